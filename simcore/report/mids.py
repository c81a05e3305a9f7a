"""Mids: best bid, best ask and their middle at given times, from a feed's books (or from the closes of its bars).

A book is rebuilt once a symbol, compiled, some 4 ns an event. What nobody knew is NaN: before the first snapshot, while the
stream is broken, with one side empty, and after the feed's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from simcore.domain.records import BOOK, LADDER
from simcore.engine.book import best_ticks_nb, has_both_sides_nb, play_nb
from simcore.engine.schedule import NEVER
from simcore.jit import kernel

if TYPE_CHECKING:
    from replay_data.feed import Feed

Clock = Literal["exchange", "local"]


@dataclass(frozen=True)
class Touches:
    """Best bid and ask at each asked time, in quote units; NaN where they are not known. On bars both are the last close."""

    bid: np.ndarray
    ask: np.ndarray

    @property
    def mid(self) -> np.ndarray:
        """The middle between bid and ask."""
        return 0.5 * (self.bid + self.ask)


@kernel
def touches_nb(events, ladder, times, local, lots, book, bid, ask):  # type: ignore[no-untyped-def]
    """Play one symbol's events to each of the rising `times` and write best bid and ask, in ticks; 0 where not known."""
    pos, end = 0, events.size
    last = 0
    if end > 0:
        last = events[end - 1]["ts_local"] if local == 1 else events[end - 1]["ts_exch"]
    for at in range(times.size):
        happened_ns, seen_ns = (NEVER, times[at]) if local == 1 else (times[at], NEVER)
        pos = play_nb(events, pos, end, happened_ns, seen_ns, lots, book, ladder)
        if book["ok"] == 1 and has_both_sides_nb(book, ladder) and times[at] <= last:
            bid[at], ask[at] = best_ticks_nb(book, ladder)


def touches_at(feed: Feed, symbol: int, times_ns: np.ndarray, clock: Clock = "exchange") -> Touches:
    """Return the touch of one symbol at each time, after everything that happened (or arrived: clock "local") by then.

    symbol: position in `feed.symbols`. times_ns: in any order. On bars it is the close of the last bar that ended by then, and
    unknown once the next bar is missing.
    """
    times_ns = np.ascontiguousarray(times_ns, np.int64)
    order = np.argsort(times_ns, kind="stable")
    wanted = times_ns[order]
    ticks = book_ticks(feed, symbol, wanted, clock) if feed.kind == "book" else bar_ticks(feed, symbol, wanted)
    tick_size = float(feed.instruments["tick_size"][symbol])
    found = []
    for side in ticks:
        prices = np.empty(len(times_ns))
        prices[order] = np.where(side > 0, side * tick_size, np.nan)
        found.append(prices)
    return Touches(*found)


def book_ticks(feed: Feed, symbol: int, times_ns: np.ndarray, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Return best bid and ask in ticks at rising times, 0 where not known."""
    first, end = feed.event_range[symbol]
    ladders = np.zeros(1, LADDER)
    ladders[0] = feed.ladders[symbol]
    ladders[0]["offset"] = 0
    books = np.zeros(1, BOOK)
    books["best_bid"], books["best_ask"], books["last_level"] = -1, ladders["span"] - 1, -1
    lots = np.zeros(2 * int(ladders[0]["span"]), np.int64)
    bid, ask = np.zeros(len(times_ns), np.int64), np.zeros(len(times_ns), np.int64)
    touches_nb(feed.events[first:end], ladders[0], times_ns, int(clock == "local"), lots, books[0], bid, ask)
    return bid, ask


def bar_ticks(feed: Feed, symbol: int, times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last close in ticks at rising times, twice; 0 where not known."""
    first, end = feed.bar_range[symbol]
    bars, length = feed.bars[first:end], int(feed.interval_ns[symbol])
    if not len(bars):
        return np.zeros(len(times_ns), np.int64), np.zeros(len(times_ns), np.int64)
    row = np.searchsorted(bars["open_ns"], times_ns - length, side="right") - 1
    closed = bars["open_ns"][np.maximum(row, 0)] + length
    known = (row >= 0) & (times_ns < closed + length) & (times_ns <= bars["open_ns"][-1] + length)
    close = np.where(known, bars["close_ticks"][np.maximum(row, 0)].astype(np.int64), 0)
    return close, close
