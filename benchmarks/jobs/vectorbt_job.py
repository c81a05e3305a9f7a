"""The peer vectorbt: indicators, crossings and a portfolio from signals; several symbols share one cash."""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import numpy as np  # noqa: E402 - the stopwatch starts before the imports
import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402
from clock import CASH, FAST, FEE, SLOW, measure  # noqa: E402


def main(path: str, engine: str, repeats: int) -> None:
    vbt.settings["engine"] = engine
    close = np.load(path)
    symbols, bars = close.shape
    index = pd.date_range("2020-01-01", periods=bars, freq="1min")  # a zone makes vectorbt 40 times slower
    frame = pd.DataFrame(close.T, index=index, columns=[f"S{i:02d}" for i in range(symbols)])
    prices = frame if symbols > 1 else frame.iloc[:, 0]
    shared = {"group_by": True, "cash_sharing": True} if symbols > 1 else {}

    def job() -> dict[str, float]:
        quick, steady = vbt.MA.run(prices, FAST, short_name="quick"), vbt.MA.run(prices, SLOW, short_name="steady")
        above, below = quick.ma_crossed_above(steady), quick.ma_crossed_below(steady)
        if symbols > 1:
            above.columns = below.columns = prices.columns
        # A thousandth of the cash a symbol, long above and short below.
        account = {"size": CASH / 1_000 / 30_000, "fees": FEE, "init_cash": CASH, "freq": "1min", **shared}
        book = vbt.Portfolio.from_signals(prices, entries=above, short_entries=below, **account)
        return {"trades": int(book.orders.count().sum()), "equity": float(book.final_value())}

    versions = f"vectorbt {vbt.__version__}"
    measure(job, repeats, STARTED, version=versions, data_mb=close.nbytes / 2**20)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
