"""The peer vectorbt on the same pairs: averages of each window once, crossings and a portfolio in chunks of columns.

    python vectorbt_sweep_job.py CLOSE.npy PAIRS_A_CHUNK MOST_PAIRS

Of each pair it computes the final value and the number of orders, less than the sweep does: Sharpe ratios and drawdowns cost
it half as much again.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import json  # noqa: E402 - the stopwatch starts before the imports
import resource  # noqa: E402
from itertools import product  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402
from clock import CASH, FEE, megabytes  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from pairs import FASTS, SLOWS  # noqa: E402


def main(path: str, chunk: int, most: int) -> None:
    close = np.load(path)[0]
    index = pd.date_range("2020-01-01", periods=len(close), freq="1min")  # a zone makes vectorbt 40 times slower
    prices = pd.Series(close, index=index)

    def play(pairs: list[tuple[int, int]]) -> tuple[int, float]:
        """Trade pairs, long above and short below; return orders and the best final value."""
        orders, best = 0, -np.inf
        for first in range(0, len(pairs), chunk):
            fasts, slows = zip(*pairs[first : first + chunk], strict=True)
            quick = vbt.MA.run(prices, list(fasts), short_name="quick")
            steady = vbt.MA.run(prices, list(slows), short_name="steady")
            above, below = quick.ma_crossed_above(steady), quick.ma_crossed_below(steady)
            account = {"size": CASH / 1_000 / 30_000, "fees": FEE, "init_cash": CASH, "freq": "1min"}
            book = vbt.Portfolio.from_signals(prices, entries=above, short_entries=below, **account)
            orders += int(book.orders.count().sum())
            best = max(best, float(book.final_value().max()))
        return orders, best

    pairs = list(product(FASTS, SLOWS))[:most]
    play(pairs[:2])  # compiles
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    orders, best = play(pairs)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    figures = {"wall_s": wall, "cpu_s": cpu, "peak_mb": megabytes(), "pairs": len(pairs), "orders": orders}
    print(json.dumps({**figures, "version": f"vectorbt {vbt.__version__}"}))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
