"""Cold and warm start of the command line as whole processes: `python -m benchmarks.start`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]


def wall(arguments: list[str], cache: str | None = None) -> float:
    """Return the seconds a `simcore` command takes from start to end of its process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cache is not None:
        environment["SIMCORE_CACHE_DIR"] = cache
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "simcore", *arguments], cwd=folder, env=environment, capture_output=True, check=True
        )
        return time.perf_counter() - begin


def median(arguments: list[str], cache: str, repeats: int = 5) -> float:
    """Return the median wall time of a command."""
    return statistics.median(wall(arguments, cache) for _ in range(repeats))


def main() -> None:
    """Print the table."""
    replay = ["replay", "--out", "run", "--quiet"]
    with tempfile.TemporaryDirectory() as cache:
        rows = [("simcore --help", median(["--help"], cache))]
        rows.append(("simcore warmup, cache empty", wall(["warmup", "--quiet"], cache)))
        rows.append(("simcore warmup, cache filled", median(["warmup", "--quiet"], cache)))
        rows.append(("simcore replay of the sample, first (the sample is unpacked)", wall(replay, cache)))
        rows.append(("simcore replay of the sample, warm", median(replay, cache)))
    print(describe())
    print("\n| whole process | wall |\n|---|--:|")
    for name, seconds in rows:
        print(f"| {name} | {seconds:.2f} s |")


if __name__ == "__main__":
    main()
