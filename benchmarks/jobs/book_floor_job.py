"""Floors of the book benchmark: `python book_floor_job.py STREAM read|book|bare|bare-partial REPEATS [FILLS.npy]`.

`read`: a compiled loop that reads every field of the prepared events. `book`: it updates one book with them. `bare`: the
bare kernel of `bare_engine.py`, two books, queue model, latencies, two quotes. `bare-partial`: with partial fills.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

from pathlib import Path  # noqa: E402 - the stopwatch starts before the imports

import numba as nb  # noqa: E402
import numpy as np  # noqa: E402
from bare_engine import FILLED, PREPARED, RULES, TOTALS, bare_engine_nb, new_best_nb, prepare  # noqa: E402
from clock import measure  # noqa: E402

from benchmarks.quotes import LATENCY_NS, MAKER_FEE, MAX_POSITION, ORDER_QTY, WAKE_NS  # noqa: E402
from benchmarks.streams import FILL, Stream, digest, load  # noqa: E402


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


def prepared(path: str, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Map the prepared events in order of either clock; written beside the stream on first use."""
    file = Path(path) / "prepared.npy"
    order = stream.local_order()
    local_file = Path(path) / "prepared_local.npy"
    if not file.exists():
        columns = (stream.ts_exch, stream.ts_local, stream.kind, stream.side, stream.ticks(), stream.qty)
        if order is not None:
            np.save(local_file, prepare(*(column[order] for column in columns), stream.low_tick, stream.high_tick))
        events = prepare(*columns, stream.low_tick, stream.high_tick)
        np.save(file.with_suffix(".part.npy"), events)
        file.with_suffix(".part.npy").rename(file)
    events = np.load(file, mmap_mode="r").view(PREPARED)
    return events, events if order is None else np.load(local_file, mmap_mode="r").view(PREPARED)


def rules(stream: Stream, partial: bool) -> np.ndarray:
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
        "partial": partial,
    }.items():
        row[name] = value
    return row


def listed(fills: np.ndarray, stream: Stream, partial: bool) -> np.ndarray:
    """Return FILLED rows as FILL rows. Partial fills: a row an order, all it executed, `ts` its number."""
    qty = fills["qty"]
    if partial:
        fills = fills[np.argsort(fills["serial"], kind="stable")]
        first = np.flatnonzero(np.diff(fills["serial"], prepend=-1))
        fills, qty = fills[first], np.add.reduceat(fills["qty"], first)
    table = np.zeros(len(fills), FILL)
    table["ts"], table["side"] = fills["serial" if partial else "ts"], fills["side"]
    table["tick"] = np.where(fills["side"] > 0, stream.low_tick + fills["level"], stream.high_tick - fills["level"])
    table["lots"] = np.rint(qty / stream.step_size)
    return table


def main(path: str, mode: str, repeats: int, out: str) -> None:
    stream = load(path)
    events, local_events = prepared(path, stream)
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
    partial = mode == "bare-partial"
    given = rules(stream, partial)

    def job() -> dict[str, float | int | str]:
        totals = np.zeros(1, TOTALS)
        count = bare_engine_nb(events, local_events, levels, given[0], fills, totals[0])
        table = listed(fills[:count], stream, partial)
        result: dict[str, float | int | str] = {name: float(totals[0][name]) for name in TOTALS.names or ()}
        counts = {name: int(totals[0][name]) for name in ("orders", "refused", "wakes")}
        return {**result, **counts, "fills": len(table), "executions": count, "digest": digest(table)}

    result = measure(job, repeats, STARTED, **more)
    if out:
        np.save(out, listed(fills[: result["executions"]], stream, partial))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
