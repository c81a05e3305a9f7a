"""The floor: the same rule as a bare compiled loop with running sums, no order, no gate, no ledger."""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import numba  # noqa: E402 - the stopwatch starts before the imports
import numpy as np  # noqa: E402
from clock import CASH, FAST, FEE, SLOW, measure  # noqa: E402


@numba.njit
def cross(close, fast, slow, fee, cash):  # type: ignore[no-untyped-def]
    """Trade one unit long above, one short below, equity marked each bar; return final equity, trades, deepest drawdown."""
    quick = steady = deepest = 0.0
    side = trades = 0
    peak = equity = cash
    for i in range(len(close)):
        price = close[i]
        quick += price
        steady += price
        if i >= fast:
            quick -= close[i - fast]
        if i >= slow:
            steady -= close[i - slow]
        if i < slow - 1:
            continue
        wish = 1 if quick * slow > steady * fast else -1
        if wish != side:
            cash -= (wish - side) * price + abs(wish - side) * price * fee
            side = wish
            trades += 1
        equity = cash + side * price
        peak = max(peak, equity)
        deepest = min(deepest, equity - peak)
    return equity, trades, deepest


def main(path: str, repeats: int) -> None:
    close = np.load(path)

    def job() -> dict[str, float]:
        # A list of symbols is a loop: nothing is shared but the cash, which a bare loop adds up.
        results = [cross(close[i], FAST, SLOW, FEE, CASH) for i in range(len(close))]
        return {"trades": int(sum(r[1] for r in results)), "equity": float(sum(r[0] - CASH for r in results) + CASH)}

    measure(job, repeats, STARTED, version=f"numba {numba.__version__}", data_mb=close.nbytes / 2**20)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
