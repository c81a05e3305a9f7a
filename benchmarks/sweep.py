"""A thousand moving-average pairs on a year of one-minute bars, beside the peer, in one run: `python -m benchmarks.sweep`.

Every job is a process of its own and reads the same closes. simcore plays each pair through its whole pipeline, on all
processors and on one, scores it and writes it into a trial ledger; some of its trials, drawn at random, are replayed singly
afterwards and must be equal. vectorbt plays them in chunks of columns. The bare loop is the rule alone, in one thread.
Wall: from the first pair to the last, compiled before. Memory: the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.bars import JOBS, peer, prepare, run
from benchmarks.machine import describe
from benchmarks.prices import FOLDER, close_path

CHUNKS = (5, 50)  # columns of vectorbt: its quickest here of 5, 10, 25 and 50, and what is usual


def jobs(bars: int, checked: int, most: int, repeats: int) -> dict[str, list[str]]:
    """Return name -> command of every job that can run here."""
    feed, close = str(FOLDER / f"feed-1x{bars}"), str(close_path(bars, 1))
    ours = [sys.executable, "-m", "benchmarks.jobs.simcore_sweep_job", feed]
    threads = len(os.sched_getaffinity(0))
    found = {f"simcore, {threads} threads": [*ours, "taker", str(threads), str(checked), str(repeats)]}
    if threads > 1:
        found["simcore, 1 thread"] = [*ours, "taker", "1", "1", str(repeats)]
    found[f"simcore, quoting first, {threads} threads"] = [*ours, "patient", str(threads), str(checked), str(repeats)]
    found["bare loop, 1 thread"] = [sys.executable, str(JOBS / "floor_sweep_job.py"), close]
    if peer("vectorbt"):
        for chunk in CHUNKS:
            found[f"vectorbt, chunks of {chunk}"] = [peer("vectorbt"), str(JOBS / "vectorbt_sweep_job.py"), close, str(chunk), str(most)]
    return found


def table(results: dict[str, dict[str, Any]], bars: int) -> str:
    """Return the figures as a markdown table; the ratio is wall time over that of the first row, scaled to all pairs."""
    lines = ["| | wall | processor | ns a bar and pair | of simcore's time | peak MB | orders |", "|---|--:|--:|--:|--:|--:|--:|"]
    ours, pairs = 0.0, 0
    for name, r in results.items():
        if "failed" in r:
            lines.append(f"| {name} | failed: {r['failed'][:80]} | | | | | |")
            continue
        ours, pairs = ours or r["wall_s"], pairs or r["pairs"]
        scale = pairs / r["pairs"]
        part = "" if scale == 1.0 else f" for {r['pairs']} pairs"
        lines.append(
            f"| {name} ({r['version']}) | {r['wall_s']:.2f} s{part} | {r['cpu_s']:.2f} s | {r['cpu_s'] * 1e9 / (bars * r['pairs']):.1f} "
            f"| {r['wall_s'] * scale / ours:.3g}x | {r['peak_mb']:.0f} | {r['orders']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all jobs; `--only simcore --pairs 100` narrows them and the peer's share of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--checked", type=int, default=20, help="trials that are replayed singly")
    parser.add_argument("--pairs", type=int, default=1_000, help="pairs the peer plays")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", default="", help="beginnings of jobs' names, comma separated")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    options = parser.parse_args()
    print(describe(), "\n")
    prepare(options.bars, 1)
    only = tuple(name for name in options.only.split(",") if name)
    results = {}
    for name, command in jobs(options.bars, options.checked, options.pairs, options.repeats).items():
        if not only or name.startswith(only):
            print(f"running {name} ...", file=sys.stderr, flush=True)
            results[name] = run(command)
    print(table(results, options.bars))
    for name, r in results.items():
        if r.get("checked"):
            print(f"{name}: {r['checked']} of {r['pairs']} trials replayed singly, equal in digest and figures; best pair {r['best']}.")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
