"""Reductions: a feed of order books as a poorer recording of the same market would have it.

`bars_only`, `trades_only` and `touch_only` are pure: same book feed in, poorer feed out, on the same prices, ladder and clocks.
What a poorer recording does not know is left out or, where a book needs it, stated in the words of each function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from replay_data.book_events import trade_bars
from replay_data.feed import Feed, join
from replay_data.interval import interval_name, interval_ns
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import BAR, EVENT, LADDER
from simcore.jit import kernel, part

COUNT_ONLY = np.zeros(0, EVENT)


@part
def put_nb(out, at, source, kind, level, qty_lots, last):  # type: ignore[no-untyped-def]
    """Write one event with the times of `source` (or only count it, where `out` has no rows); return the next place."""
    if out.size > 0:
        row = out[at]
        row["ts_exch"] = source["ts_exch"]
        row["ts_local"] = source["ts_local"]
        row["qty_lots"] = qty_lots
        row["level"] = level
        row["kind"] = kind
        row["last"] = last
        row["spare"] = 0
    return at + 1


@part
def drop_above_nb(out, at, source, side, level, shown, top):  # type: ignore[no-untyped-def]
    """Remove what is shown above `level` of a side, from its best level down; return the next place."""
    while top[side] > level:
        if shown[top[side]] > 0:
            shown[top[side]] = 0
            at = put_nb(out, at, source, side, top[side], 0, 0)
        top[side] -= 1
    return at


@part
def follow_nb(lots, span, best, side, level, qty_lots):  # type: ignore[no-untyped-def]
    """Set a level of the whole book and keep its side's best level; an empty side has the one below its first."""
    lots[level] = qty_lots
    if qty_lots > 0 and level > best[side]:
        best[side] = level
    while best[side] >= side * span and lots[best[side]] == 0:
        best[side] -= 1


@kernel
def touch_only_nb(events, span, out):  # type: ignore[no-untyped-def]
    """Write what a recorder of best bid and ask sees of `events`; return the rows. An `out` without rows only counts them."""
    lots, shown = np.zeros(2 * span, np.int64), np.zeros(2 * span, np.int64)
    best, top = np.array([-1, span - 1]), np.array([-1, span - 1])
    at, begun = 0, 0
    ok = False
    for i in range(events.size):
        event = events[i]
        kind, level = int(event["kind"]), int(event["level"])
        if kind <= 1:
            follow_nb(lots, span, best, kind, level, event["qty_lots"])
        elif kind <= 3:
            at = put_nb(out, at, event, kind, level, event["qty_lots"], event["last"])
        elif kind == EventKind.CLEAR:
            lots[:] = 0
            shown[:] = 0
            best[0], best[1] = -1, span - 1
            top[0], top[1] = -1, span - 1
            ok = False
            at = put_nb(out, at, event, kind, 0, 0, 0)
        elif kind == EventKind.GAP:
            ok = False
            at = put_nb(out, at, event, kind, 0, 0, 1)
        else:
            ok = True
        if ok and event["last"] == 1 and kind != 2 and kind != 3:
            begun = at
            for side in range(2):
                at = drop_above_nb(out, at, event, side, best[side], shown, top)
            for side in range(2):
                touch = best[side]
                if touch >= side * span and shown[touch] != lots[touch]:
                    shown[touch] = lots[touch]
                    at = put_nb(out, at, event, side, touch, lots[touch], 0)
                top[side] = max(top[side], touch)
            if kind == EventKind.READY:
                at = put_nb(out, at, event, kind, 0, 0, 1)
            elif at > begun and out.size > 0:
                out[at - 1]["last"] = 1
    return at


@part
def imply_nb(out, at, trade, when, span, shown, top):  # type: ignore[no-untyped-def]
    """Write what one print says of the touch, with the times of the event `when`; return the next place."""
    side, level, qty_lots = int(trade["kind"]) & 1, int(trade["level"]), trade["qty_lots"]
    at = drop_above_nb(out, at, when, side, level, shown, top)
    shown[level] = qty_lots
    top[side] = level
    at = put_nb(out, at, when, side, level, qty_lots, 0)
    other, facing = 1 - side, 2 * span - 2 - level
    at = drop_above_nb(out, at, when, other, facing, shown, top)
    floor = other * span
    while top[other] >= floor and shown[top[other]] == 0:
        top[other] -= 1
    if top[other] < floor and facing >= floor:
        shown[facing] = qty_lots
        top[other] = facing
        at = put_nb(out, at, when, other, facing, qty_lots, 0)
    return at


@kernel
def trades_only_nb(events, span, out):  # type: ignore[no-untyped-def]
    """Write prints and the touch they imply; return the rows. An `out` without rows only counts them.

    Prints of one moment come first, then what they say of the book.
    """
    shown = np.zeros(2 * span, np.int64)
    top = np.array([-1, span - 1])
    at, first = 0, -1
    ok, ready = False, False
    for i in range(events.size + 1):
        over = i == events.size
        kind = EventKind.GAP.value if over else int(events[i]["kind"])
        if kind <= 1:
            continue
        if first >= 0 and (kind > 3 or events[i]["ts_exch"] != events[first]["ts_exch"]):
            final = events[first]
            for k in range(first, i):
                if events[k]["kind"] == 2 or events[k]["kind"] == 3:
                    final = events[k]
            for k in range(first, i):
                if events[k]["kind"] == 2 or events[k]["kind"] == 3:
                    at = imply_nb(out, at, events[k], final, span, shown, top)
            if not ready:
                ready = True
                at = put_nb(out, at, final, EventKind.READY.value, 0, 0, 1)
            elif out.size > 0:
                out[at - 1]["last"] = 1
            first = -1
        if over:
            break
        event = events[i]
        if kind <= 3:
            at = put_nb(out, at, event, kind, event["level"], event["qty_lots"], event["last"])
            first = i if ok and first < 0 else first
        elif kind == EventKind.READY:
            ok, ready = True, False
        else:
            ok = False
            if kind == EventKind.CLEAR:
                shown[:] = 0
                top[0], top[1] = -1, span - 1
            at = put_nb(out, at, event, kind, 0, 0, 1 if kind == EventKind.GAP else 0)
    return at


def touch_only(feed: Feed) -> Feed:
    """Return the feed as a recorder of best bid and ask (with trades) would have it.

    Levels behind the touch stand as they were last seen at the touch, until the touch falls below them or the stream begins
    anew: a queue is not taken for empty because the market moved away from it.
    """
    return reduced(feed, touch_only_nb, "touch", "best bid and ask only: what stands behind the touch is as old as its last sight of it")


def trades_only(feed: Feed) -> Feed:
    """Return the feed as a recorder of trades would have it: best bid and ask are those the prints imply.

    A print lifts the ask at its price, or hits the bid. What it took is taken to stand there; better prices of its side and
    crossing ones of the other are gone; a side of which nothing is known begins one tick behind the print.
    """
    return reduced(feed, trades_only_nb, "trades", "trades only: best bid and ask and their quantities are implied by the prints")


def bars_only(feed: Feed, interval: str) -> Feed:
    """Return the feed as bars of its trades, without any book. Raises DataError where not one bar is whole."""
    with_own = with_bars(feed, interval)
    nothing = np.zeros((len(feed.symbols), 2), np.int64)
    return replace(
        with_own,
        kind="bars",
        events=COUNT_ONLY,
        event_range=nothing,
        ladders=np.zeros(len(feed.symbols), LADDER),
        label=f"{feed.label}, as {interval} bars",
        content_hash=hash_of(feed, f"bars only {interval}"),
    )


def with_bars(feed: Feed, interval: str) -> Feed:
    """Return the same books with bars of another length beside them, made of their trades."""
    needs_books(feed)
    length = interval_ns(interval)
    steps = feed.instruments["step_size"]
    parts = [
        trade_bars(feed.events[first:end], int(ladder["base_ticks"]), int(ladder["tick_step"]), int(ladder["span"]), length, float(step))
        for (first, end), ladder, step in zip(feed.event_range, feed.ladders, steps, strict=True)
    ]
    if not any(part.size for part in parts):
        raise DataError(f"{feed.label}: its trades fill no whole {interval_name(length)} bar. Choose shorter bars.")
    bars, bar_range = join(parts, BAR)
    instruments = feed.instruments.copy()
    instruments["interval_ns"] = length
    return replace(
        feed,
        bars=bars,
        bar_range=bar_range,
        interval_ns=np.full(len(feed.symbols), length, np.int64),
        instruments=instruments,
        content_hash=hash_of(feed, f"bars of {interval}"),
    )


def reduced(feed: Feed, write: Callable[..., Any], name: str, caveat: str) -> Feed:
    """Return a book feed whose events `write` has made of those of `feed`."""
    needs_books(feed)
    parts = []
    for (first, end), ladder in zip(feed.event_range, feed.ladders, strict=True):
        events, span = feed.events[first:end], int(ladder["span"])
        rows = np.empty(int(write(events, span, COUNT_ONLY)), EVENT)
        write(events, span, rows)
        parts.append(rows)
    events, event_range = join(parts, EVENT)
    return replace(
        feed,
        events=events,
        event_range=event_range,
        label=f"{feed.label}, {name} only",
        caveats=(*feed.caveats, caveat),
        content_hash=hash_of(feed, name),
    )


def needs_books(feed: Feed) -> None:
    """Raise DataError unless the feed holds order books."""
    if feed.kind != "book":
        raise DataError(f"{feed.label}: holds bars. Only a recording of order books can be made poorer.")


def hash_of(feed: Feed, what: str) -> str:
    """Return the content hash of a feed that follows from another one by a named reduction."""
    return hashlib.sha256(f"{what}:{feed.content_hash}".encode()).hexdigest()
