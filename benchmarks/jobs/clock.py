"""The stopwatch every job uses: import, first run, repeated runs, peak memory; one JSON object on stdout."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

FAST, SLOW, FEE, CASH = 20, 100, 0.0004, 1_000_000.0


def megabytes() -> float:
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(job: Callable[..., dict[str, Any]], *given: Any) -> tuple[float, float, dict[str, Any]]:
    """Run `job` on what it is given; return its time, its wall time and its result.

    The time is the smaller of processor and wall time: a busy machine lengthens the second, threads lengthen the first.
    """
    wall, processor = time.perf_counter(), time.process_time()
    result = job(*given)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return min(wall, processor), wall, result


def measure(
    job: Callable[..., dict[str, Any]], repeats: int, started: float, fresh: Callable[[], Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Run `job` once cold and `repeats` times warm, and print the figures; `started` is when the process began to import.

    `fresh`, where given, makes the argument of each run, outside of what is timed.
    """
    ready, before_mb = time.perf_counter(), megabytes()

    def run() -> tuple[float, float, dict[str, Any]]:
        return timed(job, fresh()) if fresh else timed(job)

    first, first_wall, result = run()
    runs = [run() for _ in range(repeats)] or [(first, first_wall, result)]
    figures = {
        "import_s": ready - started,
        "first_s": first,
        "warm_s": statistics.median(row[0] for row in runs),
        "best_s": min(row[0] for row in runs),
        "warm_wall_s": statistics.median(row[1] for row in runs),
        "repeats": repeats,
        "before_mb": before_mb,
        "peak_mb": megabytes(),
        "python": sys.version.split()[0],
        **more,
        **runs[-1][2],
    }
    print(json.dumps(figures))
    return figures
