"""simcore: the whole pipeline (screener, sizer, gate, router, account twin, ledger) on the same rule.

    python -m benchmarks.jobs.simcore_job prepare CLOSE.npy FOLDER     float columns -> a feed's records on disk
    python -m benchmarks.jobs.simcore_job replay FOLDER patient REPEATS    map the records, replay, print figures

patient: the router as configured, quotes first, re-quoted; most orders never fill. taker: one order a signal and leg.

Two processes, so that the memory of the second is that of a replay from prepared data, as a catalog gives it.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import pickle  # noqa: E402 - the stopwatch starts before the imports
from dataclasses import fields  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.jobs.clock import CASH, FAST, SLOW, measure, timed  # noqa: E402
from benchmarks.prices import TICK, ohlcv, open_ms  # noqa: E402
from replay_data.feed import Feed, from_arrays  # noqa: E402
from simcore.domain.records import BAR  # noqa: E402

SETTINGS = {
    "strategy_config.strategies.sma_cross.interval": "base",
    "sma_cross.fast": FAST,
    "sma_cross.slow": SLOW,
    "risk_limits.max_concurrent_positions": 1_000,
    "risk_limits.max_strategy_positions": 1_000,
    "risk_limits.max_tier_positions": 1_000,
    "risk_limits.max_orders_per_minute": 10_000,
}

ROUTERS: dict[str, dict[str, Any]] = {"patient": {}, "taker": {"settings.router.maker_first": "false"}}


def prepare(close_path: str, folder: str) -> None:
    """Write the feed of a close matrix: bars as .npy, everything else pickled beside it (a file of our own making)."""
    close = np.load(close_path)
    names = ("open", "high", "low", "close", "volume")
    times = open_ms(close.shape[1])
    columns = {
        f"BENCH{i:02d}USDT": {"open_time": times, **dict(zip(names, ohlcv(row), strict=True))} for i, row in enumerate(close)
    }
    few = {symbol: {name: column[:3_000] for name, column in table.items()} for symbol, table in columns.items()}
    from_arrays(few, interval="1m", tick_size=TICK, step_size=0.001)  # compiles
    seconds, _, feed = timed(lambda: from_arrays(columns, interval="1m", tick_size=TICK, step_size=0.001))
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    np.save(path / "bars.npy", feed.bars)
    rest = {field.name: getattr(feed, field.name) for field in fields(Feed) if field.name != "bars"}
    (path / "rest.pickle").write_bytes(pickle.dumps(rest))
    print(f'{{"prepare_s": {seconds}, "prepare_ns_bar": {seconds * 1e9 / close.size}}}')


def replay(folder: str, router: str, repeats: int) -> None:
    """Replay a prepared feed, cold once and then warm, and print the figures."""
    from simcore import __version__
    from simcore.config import load_config
    from simcore.replay import run_replay

    bars = np.load(Path(folder) / "bars.npy", mmap_mode="r").view(BAR)  # the file forgets that the record is aligned
    feed = Feed(bars=bars, **pickle.loads((Path(folder) / "rest.pickle").read_bytes()))
    # Many symbols in one account lose more in fees than the drawdown limit allows; smaller orders keep it trading to the end.
    size = 0.001 if len(feed.symbols) == 1 else 0.0002
    sizing = {"strategy_config.strategies.sma_cross.sizing.fraction": size}
    wanted = SETTINGS | sizing | ROUTERS[router]
    config = load_config().replace(strategies=["sma_cross"], cash=CASH, allow_unlisted_symbols=True, set=wanted)

    def job() -> dict[str, Any]:
        recording = run_replay(feed, config)
        totals = recording.totals
        return {
            "trades": int(totals["exits"]),
            "equity": float(recording.equity["nav"][-1]),
            "orders": int(totals["orders"]),
            "maker_fills": int(totals["maker_fills"]),
            "taker_fills": int(totals["taker_fills"]),
            "gate_vetoes": int(totals["gate_vetoes"]),
            "digest": recording.digest[:12],
            "speed": {key: float(value) for key, value in recording.speed.items()},
        }

    measure(job, repeats, STARTED, version=f"simcore {__version__}", data_mb=bars.nbytes / 2**20)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2], sys.argv[3])
    else:
        replay(sys.argv[2], sys.argv[3], int(sys.argv[4]))
