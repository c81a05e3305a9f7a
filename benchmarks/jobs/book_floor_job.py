"""Floors of the book benchmark: `python book_floor_job.py STREAM MODE REPEATS [FILLS.npy]`.

`read`: a compiled loop that reads every field of the prepared events. `book`: it updates one book with them. `bare`: the
bare kernel of `bare_engine.py`, two books, queue model, latencies, two quotes. `bare-partial`: with partial fills.
`bare-clamp`, `bare-partial-clamp`: no queue front below zero.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

from pathlib import Path  # noqa: E402 - the stopwatch starts before the imports

import numba as nb  # noqa: E402
import numpy as np  # noqa: E402
from bare_engine import FILLED, PREPARED, RULES, TOTALS, bare_engine_nb, listed, new_best_nb, prepare  # noqa: E402
from clock import measure  # noqa: E402

from benchmarks.quotes import LATENCY_NS, MAKER_FEE, MAX_POSITION, ORDER_QTY, WAKE_NS  # noqa: E402
from benchmarks.streams import Stream, digest, load  # noqa: E402


@nb.njit(cache=True)
def read_nb(events):  # type: ignore[no-untyped-def]
    """Return a sum over all fields."""
    clocks = levels = 0
    qty = 0.0
    for i in range(len(events)):
        event = events[i]
        clocks += event["ts_local"] - event["ts_exch"]
        levels += event["level"] + event["code"]
        qty += event["qty"]
    return clocks, levels, qty


@nb.njit(cache=True)
def book_nb(events, levels):  # type: ignore[no-untyped-def]
    """Keep one book; return its best levels."""
    book, best = np.zeros((2, levels)), np.full(2, -1)
    for i in range(len(events)):
        event = events[i]
        code, level, qty = event["code"], event["level"], event["qty"]
        if code < 2:
            book[code, level] = qty
            if level >= best[code]:
                new_best_nb(book, best, code, level, qty)
    return best


def prepared(path: str, stream: Stream) -> np.ndarray:
    """Map the prepared events, written beside the stream on first use."""
    file = Path(path) / "prepared.npy"
    if not file.exists():
        columns = (stream.ts_exch, stream.ts_local, stream.kind, stream.side, stream.ticks(), stream.qty)
        np.save(file.with_suffix(".part.npy"), prepare(*columns, stream.low_tick, stream.high_tick))
        file.with_suffix(".part.npy").rename(file)
    return np.load(file, mmap_mode="r").view(PREPARED)


def rules(stream: Stream, mode: str) -> np.ndarray:
    """Return the record of `benchmarks.quotes` for a stream."""
    row = np.zeros(1, RULES)
    for name, value in {
        "wake_ns": WAKE_NS,
        "latency_ns": LATENCY_NS,
        "order_qty": ORDER_QTY,
        "max_position": MAX_POSITION,
        "fee_rate": MAKER_FEE,
        "tick_size": stream.tick_size,
        "step_size": stream.step_size,
        "low_tick": stream.low_tick,
        "high_tick": stream.high_tick,
        "partial": "partial" in mode,
        "clamp": "clamp" in mode,
    }.items():
        row[name] = value
    return row


def main(path: str, mode: str, repeats: int, out: str) -> None:
    stream = load(path)
    events = prepared(path, stream)
    levels = stream.high_tick - stream.low_tick + 1
    fills = np.zeros(0, FILLED)
    more = {"version": f"numba {nb.__version__}", "events": len(stream), "data_mb": events.nbytes / 2**20}
    if mode == "read":
        measure(lambda: dict(zip(("clocks", "levels", "qty"), read_nb(events), strict=True)), repeats, STARTED, **more)
        return
    if mode == "book":
        measure(lambda: {"best": [int(level) for level in book_nb(events, levels)]}, repeats, STARTED, **more)
        return
    span = int(stream.ts_exch[-1] - stream.ts_exch[0])
    fills = np.zeros(16 * (span // WAKE_NS + 10), FILLED)
    given = rules(stream, mode)

    def job() -> tuple[np.void, int]:
        totals = np.zeros(1, TOTALS)
        return totals[0], bare_engine_nb(events, levels, given[0], fills, totals[0])

    def figures(result: tuple[np.void, int]) -> dict[str, float | int | str]:
        totals, count = result
        table = listed(fills[:count], given[0])
        amounts = {name: float(totals[name]) for name in TOTALS.names or ()}
        counts = {name: int(totals[name]) for name in ("orders", "refused", "wakes")}
        return {**amounts, **counts, "fills": len(table), "executions": count, "digest": digest(table)}

    result = measure(job, repeats, STARTED, figures=figures, **more)
    if out:
        np.save(out, listed(fills[: result["executions"]], given[0]))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
