"""Order books beside hftbacktest, on the same events, in one run: `python -m benchmarks.books`.

The stream is synthetic (`benchmarks.synthetic_book`), the maker is `benchmarks.quotes`: two quotes, looked at each 100 ms,
5 ms to the exchange and 5 ms back, log queue model. Every job is a process of its own, the peer's in its own environment
(benchmarks/.peers, made by `make bench-books`). Time: the shortest of the repeats, the event arrays in place; the jobs are
run in turn, and the whole round as often as `--rounds` says. Fresh process: from its start to its first result, compiler
cache empty or filled. Memory: the process's peak. `--recordings FOLDER...` adds captures of real depth and trades.

Two runs are compared by the digest of all fills: exchange time, side, price and quantity; for partial fills, what every
order executed. Equal digests are equal fills, one by one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import JOBS, peer, run
from benchmarks.machine import describe
from benchmarks.streams import FOLDER, load

SMALL = 5_000_000
EVENT_BYTES, SPARE_MB = 32, 64
SIMCORE, PEER, BARE = "simcore, full fills", "hftbacktest, full fills", "bare kernel, full fills"


def written(module: str, argument: str) -> Path:
    """Return the folder of a stream, written by a process of its own: a child's peak of memory begins with its parent's."""
    done = subprocess.run([sys.executable, "-m", module, argument], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{module} {argument}: {done.stderr.strip().splitlines()[-1]}")
    *notes, path = done.stdout.splitlines()
    print("\n".join(note.lstrip("# ") for note in notes))
    return Path(path)


def prepare(stream: Path) -> str:
    """Write simcore's feed of a stream and return the folder, saying what that cost."""
    folder = FOLDER / f"feed-{stream.name}"
    done = run([sys.executable, "-m", "benchmarks.jobs.simcore_book_job", "prepare", str(stream), str(folder)])
    cost = f"not available: {done['failed']}" if "failed" in done else f"{done['prepare_ns_event']:.1f} ns an event, once"
    print(f"simcore's events from columns: {cost}\n")
    return str(folder)


def jobs(stream: Path, feed: str) -> dict[str, list[str]]:
    """Return name -> command (but for the repeats) of every job."""
    ours = [sys.executable, "-m", "benchmarks.jobs.simcore_book_job", "replay", feed]
    floor = [sys.executable, str(JOBS / "book_floor_job.py"), str(stream)]
    found = {
        SIMCORE: [*ours, "full"],
        "simcore, partial fills": [*ours, "partial"],
        "simcore as shipped": [*ours, "shipped"],
    }
    if peer("hftbacktest"):
        theirs = [peer("hftbacktest"), str(JOBS / "hftbacktest_job.py"), str(stream)]
        found |= {PEER: [*theirs, "full"], "hftbacktest, partial fills": [*theirs, "partial"]}
    return found | {
        BARE: [*floor, "bare"],
        "bare kernel, partial fills": [*floor, "bare-partial"],
        "bare, no front below zero": [*floor, "bare-clamp"],
        "bare, partial, no front below zero": [*floor, "bare-partial-clamp"],
        "floor: one book": [*floor, "book"],
        "floor: reads the events": [*floor, "read"],
    }


def compare(stream: Path, repeats: int, rounds: int, start: bool, only: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run every job on one stream, print the table, return the figures."""
    feed = prepare(stream) if not only or "simcore" in only else ""
    wanted = {name: command for name, command in jobs(stream, feed).items() if not only or name.startswith(tuple(only))}
    results: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, command in wanted.items():
            last = results.get(name)
            if last and "failed" in last:
                continue
            result = run([*command, str(repeats)])
            if last and "failed" not in result:
                result["best_s"] = min(last["best_s"], result["best_s"])
            results[name] = result
    for name, command in wanted.items():
        if start and "failed" not in results[name]:
            results[name]["cold_s"] = run([*command, "0"], cold=True).get("wall_s", float("nan"))
            results[name]["cached_s"] = run([*command, "0"]).get("wall_s", float("nan"))
    print(table(results))
    print("\n" + "\n".join(remarks(results)) + "\n")
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a markdown table; ratio is time over simcore's."""
    ours = results.get(SIMCORE, {}).get("best_s")
    lines = [
        "| | seconds | ns an event | M events/s | of simcore's time | fresh process, cache empty / filled | peak MB "
        "| orders | refused | fills | volume | fees | equity | fills' digest |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, r in results.items():
        if "failed" in r:
            lines.append(f"| {name} | not available: {r['failed'][:110]} |" + " |" * 12)
            continue
        ratio = f"{r['best_s'] / ours:.3g}x" if ours else ""
        start = f"{r['cold_s']:.1f} / {r['cached_s']:.1f} s" if "cold_s" in r else ""
        lines.append(
            f"| {name} ({r['version']}) | {r['best_s']:.4f} | {r['best_s'] * 1e9 / r['events']:.1f} "
            f"| {r['events'] / r['best_s'] / 1e6:.1f} | {ratio} | {start} | {r['peak_mb']:.0f} | "
            + " | ".join(figure(r.get(key)) for key in ("orders", "refused", "fills", "volume", "fees", "equity"))
            + f" | {r.get('digest', '')} |"
        )
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Return a count or an amount as text."""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def remarks(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return what the table does not say by itself."""
    lines = []
    for kind in ("full", "partial"):
        digests = {name: r["digest"] for name, r in results.items() if f"{kind} fills" in name and "digest" in r}
        if len(digests) > 1:
            equal = len(set(digests.values())) == 1
            lines.append(f"- {kind} fills: {', '.join(digests)} {'agree on every fill' if equal else 'DO NOT AGREE'}.")
    for name, r in results.items():
        if r.get("ended", "end of data") != "end of data":
            lines.append(f"- {name} {r['ended']}.")
        if abs(r.get("volume_of_peer", 0.0) - r.get("volume", 0.0)) > 1e-6 and "volume_of_peer" in r:
            lines.append(
                f"- {name}: its account shows volume {r['volume_of_peer']:.3f}, position {r['position_of_peer']:.3f}; its orders "
                f"executed {r['volume']:.3f} and left {r['position']:.3f}. It books an order when it is done, with its last part "
                "only; its fees and equity are of that account."
            )
    r = results.get(SIMCORE, {})
    if "peak_mb" in r:
        allowed = r["events"] * EVENT_BYTES / 2**20 + SPARE_MB
        grown = r["peak_mb"] - r["before_mb"]
        lines.append(
            f"- simcore: a replay adds {grown:.0f} MB (events mapped from disk included) to the {r['before_mb']:.0f} MB of the "
            f"process after its imports; events x {EVENT_BYTES} bytes + {SPARE_MB} MB are {allowed:.0f} MB."
        )
    if SIMCORE in results and PEER in results and "best_s" in results[SIMCORE] and "best_s" in results[PEER]:
        ratio = results[PEER]["best_s"] / results[SIMCORE]["best_s"]
        lines.append(f"- simcore is {ratio:.1f} times as fast as the peer (at least 4, aim 6).")
    return lines


def growth(figures: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Return, a job, what an event of the largest stream costs beside one of the smallest: 1 is linear."""
    (small, few), *_, (large, many) = ((int(size), results) for size, results in figures.items())
    lines = []
    for name in few:
        if "best_s" in few[name] and "best_s" in many.get(name, {}):
            ratio = many[name]["best_s"] / large / (few[name]["best_s"] / small)
            lines.append(f"- {name}: an event of {large:,} costs {ratio:.2f} times one of {small:,}.")
    return lines


def main() -> None:
    """Run all streams; `--only hftbacktest,bare --sizes 5000000` narrows it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="5000000,20000000", help="events, comma separated")
    parser.add_argument("--recordings", nargs="*", type=Path, default=[], help="folders of captures")
    parser.add_argument("--only", default="", help="names of jobs, comma separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write all figures here")
    options = parser.parse_args()
    print(describe())
    only = [name for name in options.only.split(",") if name]
    figures = {}
    for size in (int(part) for part in options.sizes.split(",") if part):
        print(f"\n## {size:,} events\n")
        stream = written("benchmarks.streams", str(size))
        figures[str(size)] = compare(stream, options.repeats, options.rounds, size == SMALL, only)
    if len(figures) > 1:
        print("\n".join(growth(figures)))
    for folder in options.recordings:
        print(f"\n## {folder.name}, recorded\n")
        stream = written("benchmarks.recordings", str(folder))
        print(f"{len(load(stream)):,} rows\n")
        figures[folder.name] = compare(stream, options.repeats, options.rounds, False, only)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
