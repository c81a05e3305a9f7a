"""simcore: a thousand moving-average pairs through the whole pipeline, each a trial in the ledger.

    python -m benchmarks.jobs.simcore_sweep_job FEED patient|taker THREADS CHECKED REPEATS

CHECKED of the trials, drawn at random, are replayed by themselves afterwards and must be equal: digest and figures.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import json  # noqa: E402 - the stopwatch starts before the imports
import pickle  # noqa: E402
import resource  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

import simcore  # noqa: E402
from benchmarks.jobs.clock import CASH, megabytes  # noqa: E402
from benchmarks.jobs.simcore_job import ROUTERS, SETTINGS  # noqa: E402
from benchmarks.pairs import FASTS, SEED, SLOWS  # noqa: E402
from replay_data.feed import Feed  # noqa: E402
from simcore.config import load_config  # noqa: E402
from simcore.domain.records import BAR  # noqa: E402
from simcore.validation.sweep import Sweep  # noqa: E402

FIGURES = ("net_pnl", "total_return", "sharpe", "max_drawdown", "n_trades", "n_orders", "fees")


def main(folder: str, router: str, threads: int, checked: int, repeats: int) -> None:
    """Sweep `repeats` times, each into a ledger of its own, and print the figures of the quickest."""
    bars = np.load(Path(folder) / "bars.npy", mmap_mode="r").view(BAR)  # the file forgets that the record is aligned
    feed = Feed(bars=bars, **pickle.loads((Path(folder) / "rest.pickle").read_bytes()))
    chosen = {key: value for key, value in (SETTINGS | ROUTERS[router]).items() if not key.startswith("sma_cross.")}
    config = load_config().replace(strategies=["sma_cross"], cash=CASH, allow_unlisted_symbols=True, set=chosen)
    grid = {"fast": list(FASTS), "slow": list(SLOWS)}
    runs = []
    with tempfile.TemporaryDirectory() as place:

        def sweep(points: dict[str, list[int]], name: str, digests: bool = False) -> Sweep:
            given = {"feed": feed, "strategy": "sma_cross", "config": config, "threads": threads, "digests": digests}
            return simcore.sweep(points, trials=Path(place) / name, **given)

        sweep({"fast": [20], "slow": [100]}, "warm")  # compiles, or reads the cache
        for repeat in range(repeats):
            wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            done = sweep(grid, f"{repeat}")
            wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
            runs.append((wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
        peak = megabytes()
        rng = np.random.default_rng(SEED)
        sample = [done.rows[int(index)] for index in rng.choice(len(done.rows), checked, replace=False)]
        for row in sample:
            run = simcore.replay(feed=feed, strategy="sma_cross", config=config, params=row.point)
            again = sweep({key: [value] for key, value in row.point.items()}, "checked", digests=True).rows[0]
            if again.digest != run.digest or any(row.trial.metrics[name] != run.metrics[name] for name in FIGURES):
                sys.exit(f"{row.point}: the sweep and the single replay differ")
    wall, processor = min(runs)
    print(
        json.dumps(
            {
                "wall_s": wall, "cpu_s": processor, "walls_s": [run[0] for run in runs], "peak_mb": peak, "checked": checked,
                "pairs": len(done.rows), "trades": int(sum(row.figure("n_trades") for row in done.rows)),
                "orders": int(sum(row.figure("n_orders") for row in done.rows)),
                "best": f"{done.best[0].point['sma_cross.fast']:g}/{done.best[0].point['sma_cross.slow']:g}",
                "version": f"simcore {simcore.__version__}",
            }
        )
    )  # fmt: skip


main(sys.argv[1], sys.argv[2], *(int(word) for word in sys.argv[3:6]))
