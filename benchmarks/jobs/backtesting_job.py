"""The peer backtesting.py: a strategy class, event by event in Python."""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import backtesting  # noqa: E402 - the stopwatch starts before the imports
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from backtesting import Backtest, Strategy  # noqa: E402
from backtesting.lib import crossover  # noqa: E402
from clock import CASH, FAST, FEE, SLOW, measure  # noqa: E402

sys.path.insert(0, str(__import__("pathlib").Path(__file__).parents[1]))
from prices import ohlcv  # noqa: E402


def average(values, n):  # type: ignore[no-untyped-def]
    return pd.Series(values).rolling(n).mean()


class SmaCross(Strategy):
    def init(self) -> None:
        self.quick, self.steady = self.I(average, self.data.Close, FAST), self.I(average, self.data.Close, SLOW)

    def next(self) -> None:
        if crossover(self.quick, self.steady):
            self.position.close()
            self.buy(size=5)
        elif crossover(self.steady, self.quick):
            self.position.close()
            self.sell(size=5)


def main(path: str, repeats: int) -> None:
    close = np.load(path)[0]
    index = pd.date_range("2020-01-01", periods=len(close), freq="1min")
    frame = pd.DataFrame(dict(zip(["Open", "High", "Low", "Close", "Volume"], ohlcv(close), strict=True)), index=index)
    backtesting.backtesting._tqdm = lambda rows, **_: rows  # the bar would be timed too

    def job() -> dict[str, float]:
        stats = Backtest(frame, SmaCross, cash=CASH, commission=FEE, finalize_trades=True).run()
        return {"trades": int(stats["# Trades"]), "equity": float(stats["Equity Final [$]"])}

    measure(job, repeats, STARTED, version=f"backtesting {backtesting.__version__}", data_mb=close.nbytes / 2**20)


main(sys.argv[1], int(sys.argv[2]))
