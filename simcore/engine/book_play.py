"""One symbol's events at the exchange: its book, and what they do to our orders in it.

Trades come before the depth they caused, so a print moves a queue first and the shrinking of the level that follows is not
counted again. While nothing of ours is there, only the book moves.
"""

from __future__ import annotations

from simcore.domain.enums import EventKind
from simcore.engine.arrival import act_due_nb
from simcore.engine.book import (
    apply_depth_nb,
    best_level_nb,
    count_trade_nb,
    mark_book_nb,
    opposite_level_nb,
    play_nb,
    ticks_of_level_nb,
)
from simcore.engine.quiet import play_queues_nb
from simcore.engine.resting import forget_queues_nb, join_queues_nb, on_level_nb, on_print_nb, on_touch_nb, trigger_stops_nb
from simcore.engine.schedule import NEVER
from simcore.engine.sight import forget_taken_nb, restated_nb, take_sight_nb
from simcore.jit import bare, borrowed, kernel, merged, part


@kernel
def play_exchange_nb(stream, venue, symbol, until_ns, events, lots, resting, books, ladders):
    """Play the symbol's events up to and including `until_ns`, and what falls due by then."""
    events, lots, resting = borrowed(events), bare(lots), bare(resting)
    books, ladders = borrowed(books), borrowed(ladders)
    pos, end = stream["exch_pos"][symbol], stream["event_end"][symbol]
    book, ladder = books[symbol], ladders[symbol]
    while True:
        seen_ns = stream["sight_ns"][symbol]
        pos = play_rows_nb(stream, venue, symbol, until_ns, seen_ns, events, pos, end, lots, resting, book, ladder)
        if seen_ns == NEVER or (pos < end and events[pos]["ts_local"] <= seen_ns):
            break
        take_sight_nb(stream, symbol, pos, lots, book, ladder)
    stream["exch_pos"][symbol] = pos


@part
def play_rows_nb(stream, venue, symbol, until_ns, seen_ns, events, pos, end, lots, resting, book, ladder):
    """Play the events that happened by `until_ns` and were received by `seen_ns`, and what falls due in between; return the next row.

    Where the next row has happened but was not received, what is due waits for it: events of the same moment come first.
    """
    while venue["live_orders"][symbol] > 0 or stream["n_taken"][symbol] > 0:
        due_ns = stream["due_ns"][symbol]
        first_ns = min(until_ns, due_ns)
        pos = play_quietly_nb(stream, venue, symbol, events, pos, end, first_ns, seen_ns, lots, resting, book, ladder)
        if pos < end and events[pos]["ts_exch"] <= first_ns:
            if events[pos]["ts_local"] > seen_ns:
                return pos
            play_event_nb(stream, venue, symbol, events[pos], lots, resting, book, ladder)
            pos += 1
        elif due_ns <= until_ns:
            act_due_nb(stream, venue, symbol, due_ns, lots, resting, book, ladder)
        else:
            return pos
    return play_nb(events, pos, end, until_ns, seen_ns, lots, book, ladder)


@merged
def play_quietly_nb(stream, venue, symbol, events, pos, end, until_ns, seen_ns, lots, resting, book, ladder):
    """Pass the events that at most move our queues; with stops waiting, every trade may do more."""
    if stream["n_stops"][symbol] > 0:
        return pos
    return play_queues_nb(stream, venue, symbol, events, pos, end, until_ns, seen_ns, lots, resting, book, ladder)


@part
def play_event_nb(stream, venue, symbol, event, lots, resting, book, ladder):
    """Play one event of a book in which we have orders."""
    kind, level = event["kind"], event["level"]
    book["n_events"] += 1
    book["ts_ns"] = event["ts_exch"]
    if kind <= EventKind.ASK_DEPTH:
        play_depth_nb(stream, venue, symbol, event, lots, resting, book, ladder)
    elif kind <= EventKind.ASK_LIFTED:
        bit = kind & 1
        count_trade_nb(book, bit, level, event["qty_lots"])
        if stream["own_top"][symbol, bit] >= level:
            on_print_nb(stream, venue, symbol, bit, level, event["qty_lots"], lots, resting, book, ladder, event["ts_exch"])
        if stream["n_stops"][symbol] > 0:
            trigger_stops_nb(stream, venue, symbol, ticks_of_level_nb(ladder, level), resting, ladder, event["ts_exch"])
    else:
        mark_book_nb(lots, book, ladder, kind)
        if kind == EventKind.CLEAR:
            forget_taken_nb(stream, symbol, resting, ladder)
        if kind == EventKind.READY:
            join_queues_nb(stream, venue, symbol, lots, ladder)
            cross_ourselves_nb(stream, venue, symbol, lots, resting, book, ladder, event["ts_exch"])
        else:
            forget_queues_nb(stream, venue, symbol)


@part
def play_depth_nb(stream, venue, symbol, event, lots, resting, book, ladder):
    """Give a level its new quantity; our orders there move up, and orders on the other side that it reaches fill."""
    bit, level = event["kind"] & 1, event["level"]
    before = lots[ladder["offset"] + level]
    apply_depth_nb(lots, book, ladder, bit, level, event["qty_lots"])
    restated_nb(stream, symbol, level, resting, ladder)
    if book["ok"] == 0:
        return
    if stream["own_top"][symbol, bit] >= level:
        on_level_nb(stream, venue, symbol, level, before, event["qty_lots"])
    if stream["own_top"][symbol, 1 - bit] >= opposite_level_nb(ladder, best_level_nb(book, bit)):
        on_touch_nb(stream, venue, symbol, bit, lots, resting, book, ladder, event["ts_exch"])


@part
def cross_ourselves_nb(stream, venue, symbol, lots, resting, book, ladder, ts_ns):
    """Fill what a new snapshot shows to have been passed while nobody knew the book."""
    for bit in range(2):
        if stream["own_top"][symbol, 1 - bit] >= opposite_level_nb(ladder, best_level_nb(book, bit)):
            on_touch_nb(stream, venue, symbol, bit, lots, resting, book, ladder, ts_ns)
