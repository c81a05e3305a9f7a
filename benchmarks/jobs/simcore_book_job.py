"""simcore on a stream: the whole pipeline (screener, sizer, gate, quoter, account twin, ledger) on the same rule.

    python -m benchmarks.jobs.simcore_book_job prepare STREAM FOLDER     columns -> a feed's events on disk
    python -m benchmarks.jobs.simcore_book_job replay FOLDER full|partial|shipped REPEATS [FILLS.npy]

The strategy plays `benchmarks.quotes` through screener, sizer, gate and quoter. `full`, `partial`: the venue as the peer
has it (log queue model; an order is filled whole, or by what a print has left). `shipped`: the packaged fill model. Timed is
the whole replay, from feed and config to the recording with its digest; the fills are read from it afterwards.
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import json  # noqa: E402 - the stopwatch starts before the imports
import pickle  # noqa: E402
from dataclasses import fields  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import simcore  # noqa: E402
from benchmarks.jobs.clock import measure, timed  # noqa: E402
from benchmarks.quotes import LATENCY_NS, MAX_POSITION, ORDER_QTY, WAKE_NS  # noqa: E402
from benchmarks.streams import COLUMNS, FILL, digest  # noqa: E402
from replay_data.feed import Feed  # noqa: E402
from simcore.api import configured  # noqa: E402
from simcore.domain.enums import LedgerKind  # noqa: E402
from simcore.domain.records import EVENT  # noqa: E402
from simcore.replay import run_replay  # noqa: E402
from simcore.replay.recording import Recording  # noqa: E402
from simcore.report.frames import of_kind  # noqa: E402
from simcore.strategy import strategy  # noqa: E402

MS_NS = 1_000_000
CASH = 10_000_000.0  # so much that no limit on a share of it binds
E8 = 100_000_000


@strategy(on="timer", every=f"{WAKE_NS // MS_NS}ms", params={"max_position": MAX_POSITION - 0.0005}, memory=())
def touch_maker(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
    """Quote one order at either best price, but for the side on which the position is full."""
    signal["quote_levels"] = 1
    signal["bid_size"] = 1.0
    signal["ask_size"] = 1.0
    signal["bid"] = market["bid"] if position["qty"] * position["side"] < params["max_position"] else float("nan")
    signal["ask"] = market["ask"] if -position["qty"] * position["side"] < params["max_position"] else float("nan")


def prepare(path: str, folder: str) -> None:
    """Write the feed of a stream: events as .npy, everything else pickled beside it (a file of our own making)."""
    from benchmarks.streams import load
    from replay_data import from_columns

    stream = load(path)
    columns = {name: getattr(stream, name) for name in COLUMNS}

    def job(rows: int) -> Feed:
        few = {name: column[:rows] for name, column in columns.items()}
        return from_columns(stream.symbol, **few, tick_size=stream.tick_size, step_size=stream.step_size)

    job(min(10_000, len(stream)))  # compiles
    seconds, _, feed = timed(job, len(stream))
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "events.npy", feed.events)
    rest = {field.name: getattr(feed, field.name) for field in fields(Feed) if field.name != "events"}
    (out / "rest.pickle").write_bytes(pickle.dumps((rest, stream.step_size, len(stream))))
    print(json.dumps({"prepare_s": seconds, "prepare_ns_event": seconds * 1e9 / len(stream)}))


def replay(folder: str, mode: str, repeats: int, out: str) -> None:
    """Replay a prepared feed, cold once and then warm, and print the figures."""
    rest, step_size, rows = pickle.loads((Path(folder) / "rest.pickle").read_bytes())
    events = np.load(Path(folder) / "events.npy", mmap_mode="r").view(EVENT)  # the file forgets that the record is aligned
    feed = Feed(events=events, **rest)
    given: dict[str, Any] = {
        "settings.book_model.wake_every_ms": WAKE_NS // MS_NS,
        "settings.book_model.entry_latency_ms": LATENCY_NS // MS_NS,
        "settings.book_model.response_latency_ms": LATENCY_NS // MS_NS,
        "settings.quoter.min_requote_ticks": 1,
        "strategy_config.strategies.touch_maker.sizing.method": "fixed_qty",
        "strategy_config.strategies.touch_maker.sizing.qty": ORDER_QTY,
        "risk_limits.max_orders_per_minute": 10_000,
        "strategy_config.strategies.touch_maker.screen.after_gap_bars": 0,
    }
    if mode != "shipped":
        given |= {
            "settings.book_model.queue_model": "log",
            "settings.book_model.fill_quantity": mode,
            "settings.book_model.through": "full",
        }
    config, objects = configured(None, touch_maker, given, CASH, unlisted=True)

    def figures(recording: Recording) -> dict[str, Any]:
        if not recording.totals["orders"]:
            sys.exit("the replay sent no order: its time would say nothing")
        fills = table(recording, mode != "full")
        if out:
            np.save(out, fills)
        return {
            "orders": int(recording.totals["orders"]),
            "fills": len(fills),
            "volume": float(fills["lots"].sum() * step_size),
            "fees": int(recording.account["fees_e8"]) / E8,
            "equity": float(recording.equity["nav"][-1]) - CASH,
            "digest": digest(fills),
            "run_digest": recording.digest[:12],
        }

    more = {"version": f"simcore {simcore.__version__}", "events": rows, "data_mb": events.nbytes / 2**20}
    measure(lambda: run_replay(feed, config, strategies=objects), repeats, STARTED, figures=figures, **more)


def table(recording: Recording, partial: bool) -> np.ndarray:
    """Return the fills as rows of `benchmarks.streams.FILL`; `partial`: a row an order, all it executed, `ts` its number."""
    rows = of_kind(recording, LedgerKind.FILL)
    lots, first = rows["qty_lots"], np.arange(len(rows))
    if partial and len(rows):
        rows = rows[np.argsort(rows["order_id"], kind="stable")]
        first = np.flatnonzero(np.diff(rows["order_id"], prepend=-1))
        lots = np.add.reduceat(rows["qty_lots"], first)
    fills = np.zeros(len(first), FILL)
    sent = np.unique(of_kind(recording, LedgerKind.REQUEST)["order_id"])  # numbers rise with every order
    fills["ts"] = np.searchsorted(sent, rows["order_id"][first]) if partial else rows["exch_ns"]
    fills["side"], fills["tick"], fills["lots"] = rows["side"][first], rows["price_ticks"][first], lots
    return fills


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2], sys.argv[3])
    else:
        replay(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] if len(sys.argv) > 5 else "")
