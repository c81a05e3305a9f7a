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


def measure(job: Callable[[], dict[str, Any]], repeats: int, started: float, **more: Any) -> None:
    """Run `job` once cold and `repeats` times warm, and print the figures; `started` is when the process began to import."""
    ready, before_mb = time.perf_counter(), megabytes()
    result = job()
    cold = time.perf_counter() - ready
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = job()
        times.append(time.perf_counter() - begin)
    figures = {
        "import_s": ready - started,
        "first_s": cold,
        "warm_s": statistics.median(times) if times else cold,
        "repeats": repeats,
        "before_mb": before_mb,
        "peak_mb": megabytes(),
        "python": sys.version.split()[0],
        **more,
        **result,
    }
    print(json.dumps(figures))
