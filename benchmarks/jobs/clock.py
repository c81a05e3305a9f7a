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


def timed(job: Callable[..., Any], *given: Any) -> tuple[float, float, Any]:
    """Run `job` on what it is given; return its time, its wall time and its result.

    The time is the smaller of processor and wall time: a busy machine lengthens the second, threads lengthen the first.
    """
    wall, processor = time.perf_counter(), time.process_time()
    result = job(*given)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return min(wall, processor), wall, result


def measure(
    job: Callable[..., Any],
    repeats: int,
    started: float,
    fresh: Callable[[], Any] | None = None,
    figures: Callable[[Any], dict[str, Any]] = dict,
    **more: Any,
) -> dict[str, Any]:
    """Run `job` once cold and `repeats` times warm, and print the figures; `started` is when the process began to import.

    Outside of what is timed: `fresh`, where given, makes the argument of each run; `figures` reads the last run's result.
    """
    ready, before_mb = time.perf_counter(), megabytes()

    def run() -> tuple[float, float, Any]:
        return timed(job, fresh()) if fresh else timed(job)

    first, first_wall, result = run()
    times = [(first, first_wall)] if repeats == 0 else []
    for _ in range(repeats):
        del result  # two results at once would be the peak of memory
        seconds, wall, result = run()
        times.append((seconds, wall))
    peak_mb = megabytes()
    printed = {
        "import_s": ready - started,
        "first_s": first,
        "warm_s": statistics.median(row[0] for row in times),
        "best_s": min(row[0] for row in times),
        "warm_wall_s": statistics.median(row[1] for row in times),
        "repeats": repeats,
        "before_mb": before_mb,
        "peak_mb": peak_mb,
        "python": sys.version.split()[0],
        **more,
        **figures(result),
    }
    print(json.dumps(printed))
    return printed
