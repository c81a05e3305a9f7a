"""Moving-average cross on one-minute bars, beside the peers, in one run: `python -m benchmarks.bars`.

Every job is a process of its own, a peer's in its own environment (benchmarks/.peers, made by `make bench`). All read the
same closes. Warm: the median of repeated runs after the first, indicators included (of each, the smaller of processor
and wall time: a busy machine lengthens the second, threads lengthen the first). Cold: a fresh process with an empty
compiler cache, from start to end of its first run. Memory: the peak of the process, and that of the input it stands on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.prices import FOLDER, close_path

HERE = Path(__file__).parent
JOBS = HERE / "jobs"
YEAR = 525_600


def peer(name: str) -> str:
    """Return the interpreter of a peer's environment, "" where it is not installed."""
    path = HERE / ".peers" / name / "bin" / "python"
    return str(path) if path.exists() else ""


def run(command: Sequence[str], cold: bool = False) -> dict[str, Any]:
    """Run a job and return its figures, with the wall time of the whole process; cold: with an empty compiler cache."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        # Older processors make some set-ups choose a slow BLAS on purpose; it would slow a peer's numpy for no reason.
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            environment.pop(name, None)
        if cold:
            environment |= {"NUMBA_CACHE_DIR": empty, "SIMCORE_CACHE_DIR": empty}
        begin = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - begin
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return {**json.loads(done.stdout.splitlines()[-1]), "wall_s": wall}


def prepare(bars: int, symbols: int) -> None:
    """Write the feed of one size and say what that cost."""
    folder = FOLDER / f"feed-{symbols}x{bars}"
    close = str(close_path(bars, symbols))
    done = run([sys.executable, "-m", "benchmarks.jobs.simcore_job", "prepare", close, str(folder)])
    cost = f"failed: {done['failed']}" if "failed" in done else f"{done['prepare_ns_bar']:.1f} ns a bar, once"
    print(f"simcore's records from float columns: {cost}\n")


def jobs(bars: int, symbols: int, feed: Path) -> dict[str, list[str]]:
    """Return name -> command (but for the repeats) of every job that can run at this size."""
    close = str(close_path(bars, symbols))
    found = {
        "simcore": [sys.executable, "-m", "benchmarks.jobs.simcore_job", "replay", str(feed), "patient"],
        "simcore, taking at once as the peers do": [sys.executable, "-m", "benchmarks.jobs.simcore_job", "replay", str(feed), "taker"],
        "bare loop": [sys.executable, str(JOBS / "floor_job.py"), close],
    }
    if peer("vectorbt"):
        found["vectorbt, numba"] = [peer("vectorbt"), str(JOBS / "vectorbt_job.py"), close, "numba"]
        found["vectorbt, rust"] = [peer("vectorbt"), str(JOBS / "vectorbt_job.py"), close, "rust"]
    if peer("backtesting") and bars <= YEAR and symbols == 1:
        found["backtesting.py"] = [peer("backtesting"), str(JOBS / "backtesting_job.py"), close]
    return found


def compare(bars: int, symbols: int, repeats: int, cold: bool, only: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run every job at one size, print the table, return the figures."""
    print(f"\n## {symbols} x {bars:,} bars\n")
    wanted = jobs(bars, symbols, FOLDER / f"feed-{symbols}x{bars}")
    wanted = {name: command for name, command in wanted.items() if not only or name.startswith(tuple(only))}
    if "simcore" in wanted:
        prepare(bars, symbols)
    results = {}
    for name, command in wanted.items():
        print(f"running {name} ...", file=sys.stderr, flush=True)
        slow = name == "backtesting.py" or bars * symbols > 20 * YEAR
        results[name] = run([*command, str(3 if slow else repeats)])
        if cold and "failed" not in results[name] and not name.startswith("simcore,"):
            results[name]["cold_s"] = run([*command, "0"], cold=True).get("wall_s", float("nan"))
    print(table(results, bars * symbols))
    return results


def table(results: dict[str, dict[str, Any]], bars: int) -> str:
    """Return the figures as a markdown table; ratio is time over simcore's, memory is peak and input."""
    ours = results.get("simcore", {}).get("warm_s")
    lines = [
        "| | warm | ns a bar | M bars a second | of simcore's time | fresh process, cache empty | peak MB | input MB | orders or trades |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, r in results.items():
        if "failed" in r:
            lines.append(f"| {name} | failed: {r['failed'][:80]} | | | | | | | |")
            continue
        ratio = f"{r['warm_s'] / ours:.3g}x" if ours else ""
        cold = f"{r['cold_s']:.1f} s" if "cold_s" in r else ""
        lines.append(
            f"| {name} ({r['version']}) | {r['warm_s']:.4g} s | {r['warm_s'] * 1e9 / bars:.1f} | {bars / r['warm_s'] / 1e6:.2f} | {ratio} "
            f"| {cold} | {r['peak_mb']:.0f} | {r['data_mb']:.0f} | {r.get('orders', r['trades']):,} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all sizes; `--only simcore --sizes 1x525600` narrows it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1x525600,1x5256000,50x525600", help="SYMBOLSxBARS, comma separated")
    parser.add_argument("--only", default="", help="names of jobs, comma separated")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write all figures here")
    options = parser.parse_args()
    print(describe())
    figures = {}
    for size in options.sizes.split(","):
        symbols, bars = (int(part) for part in size.split("x"))
        only = [name for name in options.only.split(",") if name]
        figures[size] = compare(bars, symbols, options.repeats, cold=(symbols, bars) == (1, YEAR), only=only)
    small, large = (figures.get(size, {}).get("simcore", {}).get("warm_s") for size in ("1x525600", "1x5256000"))
    if small and large:
        print(f"\nTen times the bars cost simcore {large / small:.1f} times the time.")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
