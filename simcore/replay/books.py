"""The books of a replay: of each symbol the exchange's, and one of our own where that does not tell all (engine/sight.py)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from simcore.config import Config
from simcore.domain.enums import LatencyModel, QueueModel, SelfTrade
from simcore.domain.errors import DataError
from simcore.domain.records import BOOK, STREAM
from simcore.engine.book_step import WAKE_ON_BOOK, WAKE_ON_TRADE
from simcore.engine.latency import measured_rows
from simcore.engine.schedule import NEVER
from simcore.replay.plan import Plan

MS = 1_000_000
EVENT_WAKES = {"book": WAKE_ON_BOOK, "trade": WAKE_ON_TRADE}
ARRAYS = ("streams", "lots", "local_lots", "resting", "books", "local_books", "latencies")


class Books:
    """State of every book of a run: quantities by level, best levels, cursors, and what is on the wire.

    lots, local_lots: int64, the levels of all symbols one after the other as the feed's ladders say. resting: which of our
    orders rests at each level. latencies: of each symbol's newest event, ns. entries, responses: measured latencies, where the
    config names a file.
    """

    def __init__(self, plan: Plan) -> None:
        feed = plan.feed
        n = len(feed.symbols)
        levels = int((feed.ladders["offset"] + 2 * feed.ladders["span"]).max())
        self.streams = build_stream(plan)
        self.lots = np.zeros(levels, np.int64)
        self.local_lots = np.zeros(levels, np.int64)
        self.resting = np.zeros(levels, np.uint8)
        self.books = start_books(feed.ladders)
        self.local_books = start_books(feed.ladders)
        self.latencies = np.zeros(n, np.int64)
        self.entries, self.responses = read_latencies(plan.config)

    def copy(self) -> Books:
        """Return an independent copy."""
        twin = copy.copy(self)
        for name in ARRAYS:
            setattr(twin, name, getattr(self, name).copy())
        return twin

    @property
    def stream(self) -> Any:
        """The STREAM record."""
        return self.streams[0]


def start_books(ladders: np.ndarray) -> np.ndarray:
    """Return one empty BOOK row a symbol; a book is usable once the feed says so."""
    rows = np.zeros(len(ladders), BOOK)
    rows["best_bid"] = -1
    rows["best_ask"] = ladders["span"] - 1
    rows["last_level"] = -1
    return rows


def build_stream(plan: Plan) -> np.ndarray:
    """Return the STREAM record of a run before its first event, from settings.json: book_model."""
    feed, model = plan.feed, plan.config.settings.book_model
    streams = np.zeros(1, STREAM)
    stream = streams[0]
    n = len(feed.symbols)
    stream["n_symbols"] = n
    stream["wake_every_ns"] = round(model.wake_every_ms * MS)
    stream["event_wakes"] = sum({EVENT_WAKES[use.strategy.on] for use in plan.uses if use.strategy.on in EVENT_WAKES})
    stream["bar_delay_ns"] = round(model.bar_delay_ms * MS)
    stream["view_levels"] = model.view_levels
    stream["queue_model"] = int(QueueModel[model.queue_model.upper()])
    stream["queue_n"] = model.queue_power_n
    stream["full_fill"] = int(model.fill_quantity == "full")
    stream["full_through"] = int(model.through == "full")
    stream["self_trade"] = int(SelfTrade[model.self_trade_prevention.upper()])
    stream["latency_model"] = int(LatencyModel[model.latency_model.upper()])
    stream["entry_ns"] = round(model.entry_latency_ms * model.latency_scale * MS)
    stream["response_ns"] = round(model.response_latency_ms * model.latency_scale * MS)
    stream["feed_entry_factor"] = model.feed_entry_factor * model.latency_scale
    stream["feed_response_factor"] = model.feed_response_factor * model.latency_scale
    stream["max_burst_orders"] = model.order_rate_limits.max_orders_per_10s
    stream["max_minute_orders"] = model.order_rate_limits.max_orders_per_minute
    stream["shared"] = int(stream["event_wakes"] == 0)
    for cursor in ("exch_pos", "local_pos", "book_pos"):
        stream[cursor][:n] = feed.event_range[:, 0]
    stream["event_end"][:n] = feed.event_range[:, 1]
    stream["due_ns"][:] = NEVER
    stream["sight_ns"][:] = NEVER
    stream["own_top"][:n, 0] = -1
    stream["own_top"][:n, 1] = feed.ladders["span"] - 1
    note_optimism(plan)
    first = first_local_ns(plan)
    stream["next_wake_ns"] = (first // stream["wake_every_ns"] + 1) * stream["wake_every_ns"]
    return streams


def note_optimism(plan: Plan) -> None:
    """Say in the run's caveats which modes of the fill model guess for the trader."""
    model = plan.config.settings.book_model
    if model.fill_quantity == "full":
        plan.caveats.append("Optimistic fill mode 'full': a print that reaches an order fills all of it, whatever the print's size.")
    if model.through == "full":
        plan.caveats.append("Optimistic through mode 'full': a print beyond an order's price fills all of it, whatever the print's size.")


def first_local_ns(plan: Plan) -> int:
    """Return when the first event of any symbol was received."""
    feed = plan.feed
    return min(int(feed.events["ts_local"][first]) for first, end in feed.event_range if end > first)


def read_latencies(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return the measured entry and response latencies of settings.json: book_model.latency_file, empty for other models.

    The file is CSV with a header: request_ns, exchange_ns, response_ns. Raises DataError naming file and line.
    """
    model = config.settings.book_model
    if model.latency_model != "interpolated":
        return np.zeros((0, 3), np.int64), np.zeros((0, 2), np.int64)
    path = config.folder / model.latency_file
    try:
        rows = np.loadtxt(path, dtype=np.int64, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as trouble:
        raise DataError(
            f"{path}: {trouble}. settings.json: book_model.latency_file names a CSV of request_ns, exchange_ns, response_ns."
        ) from None
    return measured_rows(rows, model.latency_scale)
