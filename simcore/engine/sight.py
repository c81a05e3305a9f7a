"""Sight: what we know of a book, which the exchange has known before us.

What we have received of a book is what the exchange had in it some events ago. So while no strategy wakes on events, our view of
it is read off the exchange's own book, in passing, at the row that we have received by the coming wake. What we took from that
book is ours alone to know: such levels keep what the feed says of them in a list, until the feed states them anew.

A book of our own is played only when the exchange has gone beyond our row already (two wakes within the feed's latency), or
when the list is full. Strategies that wake on events always have one.
"""

from __future__ import annotations

from simcore.domain.records import MAX_TAKEN
from simcore.engine.book import (
    ASK,
    begin_view_nb,
    best_lots_nb,
    best_ticks_nb,
    depth_sum_nb,
    has_both_sides_nb,
    play_nb,
    ticks_of_level_nb,
)
from simcore.engine.schedule import NEVER
from simcore.jit import merged, part

# A run's `resting` has a byte a level: 0, or which row of the venue's table rests there (counted from 1), or SEVERAL where that is
# more than one or too large a number; and the bit TAKEN where the exchange's book lacks what we took.
SEVERAL = 127
TAKEN = 128


@part
def received_nb(events, pos, end, until_ns):
    """Return the first row from `pos` on that had not come here by `until_ns`; local times never go back."""
    while pos < end and events[pos]["ts_local"] <= until_ns:
        pos += 1
    return pos


@merged
def await_sight_nb(stream, symbol, seen_ns, events):
    """Ask for a sight of the symbol's book as we will know it at `seen_ns`, if the exchange has not gone beyond that already."""
    pos = stream["exch_pos"][symbol]
    passed = pos > stream["local_pos"][symbol] and events[pos - 1]["ts_local"] > seen_ns
    stream["sight_ns"][symbol] = NEVER if passed or stream["differs"][symbol] == 1 else seen_ns


@part
def take_sight_nb(stream, symbol, pos, lots, book, ladder):
    """Read our view off the exchange's book, which has come to the last row we have received, with what we took put back."""
    stream["sight_ns"][symbol] = NEVER
    if stream["differs"][symbol] == 1 or pos == stream["local_pos"][symbol]:
        return
    stream["seen_pos"][symbol] = pos
    best_bid, best_ask = book["best_bid"], book["best_ask"]
    swap_taken_nb(stream, symbol, lots, ladder)
    for k in range(stream["n_taken"][symbol]):
        level = stream["taken_level"][symbol, k]
        if level >= ladder["span"]:
            book["best_ask"] = max(book["best_ask"], level)
        else:
            book["best_bid"] = max(book["best_bid"], level)
    write_view_nb(stream, symbol, lots, book, ladder)
    swap_taken_nb(stream, symbol, lots, ladder)
    book["best_bid"], book["best_ask"] = best_bid, best_ask


@part
def swap_taken_nb(stream, symbol, lots, ladder):
    """Exchange what the book holds at the levels we took from for what the feed says of them, or back."""
    for k in range(stream["n_taken"][symbol]):
        slot = ladder["offset"] + stream["taken_level"][symbol, k]
        lots[slot], stream["taken_lots"][symbol, k] = stream["taken_lots"][symbol, k], lots[slot]


@merged
def look_nb(stream, symbol, until_ns, exchange, events, lots, book, ladder, latencies):
    """Complete what we know of the symbol's book at `until_ns`; where the exchange's told nothing, play our own up to our row."""
    if stream["sighted"][symbol] == 0 and not see_own_nb(stream, symbol, until_ns, exchange, events, lots, book, ladder):
        return
    pos = stream["seen_pos"][symbol]
    stream["local_pos"][symbol] = pos
    latencies[symbol] = events[pos - 1]["ts_local"] - events[pos - 1]["ts_exch"]


@part
def see_own_nb(stream, symbol, until_ns, exchange, events, lots, book, ladder):
    """Play a book of our own up to the row received by `until_ns` and read our view off it; False when nothing new was received."""
    first = stream["local_pos"][symbol]
    pos = received_nb(events, first, stream["event_end"][symbol], until_ns)
    if pos > first:
        play_nb(events, stream["book_pos"][symbol], first, NEVER, NEVER, lots, book, ladder)
        begin_view_nb(book)
        play_nb(events, first, pos, NEVER, NEVER, lots, book, ladder)
        write_view_nb(stream, symbol, lots, book, ladder)
        forget_shown_nb(exchange, stream["sight"][symbol])
        stream["seen_pos"][symbol] = stream["book_pos"][symbol] = pos
    return pos > first


@part
def forget_shown_nb(book, view):
    """Take what a view has shown off the exchange's own count, for the next one that is read off it."""
    book["buy_lots"] -= view["buy_lots"]
    book["sell_lots"] -= view["sell_lots"]
    book["n_trades"] -= view["n_trades"]
    book["n_events"] -= view["n_events"]
    book["gaps"] -= view["gaps"]


@part
def write_view_nb(stream, symbol, lots, book, ladder):
    """Write what is known of one book now, but for the time, and begin counting anew."""
    view = stream["sight"][symbol]
    view["symbol"] = symbol
    view["ts_exch"] = book["ts_ns"]
    view["book_ok"] = 1 if book["ok"] == 1 and has_both_sides_nb(book, ladder) else 0
    view["bid_ticks"], view["ask_ticks"] = best_ticks_nb(book, ladder)
    view["bid_lots"], view["ask_lots"] = best_lots_nb(lots, book, ladder)
    view["bid_depth_lots"] = depth_sum_nb(lots, book, ladder, 0, stream["view_levels"])
    view["ask_depth_lots"] = depth_sum_nb(lots, book, ladder, ASK, stream["view_levels"])
    view["buy_lots"] = book["buy_lots"]
    view["sell_lots"] = book["sell_lots"]
    view["last_ticks"] = ticks_of_level_nb(ladder, book["last_level"]) if book["last_level"] >= 0 else 0
    view["n_trades"] = book["n_trades"]
    view["n_events"] = book["n_events"]
    view["gaps"] = book["gaps"]
    stream["sighted"][symbol] = 1
    begin_view_nb(book)


# ------------------------------------------------------------ what we took


@part
def note_taken_nb(stream, symbol, level, shown_lots, resting, ladder):
    """Keep what the feed says of a level that we are about to take from."""
    slot, n = ladder["offset"] + level, stream["n_taken"][symbol]
    if stream["shared"] == 0 or resting[slot] >= TAKEN:
        return
    if n == MAX_TAKEN:
        stream["differs"][symbol] = 1
        return
    resting[slot] += TAKEN
    stream["taken_level"][symbol, n] = level
    stream["taken_lots"][symbol, n] = shown_lots
    stream["n_taken"][symbol] = n + 1


@part
def restated_nb(stream, symbol, level, resting, ladder):
    """Forget what we took from a level that the feed has stated anew."""
    slot = ladder["offset"] + level
    if resting[slot] < TAKEN:
        return
    resting[slot] -= TAKEN
    last = stream["n_taken"][symbol] - 1
    for k in range(last):
        if stream["taken_level"][symbol, k] == level:
            stream["taken_level"][symbol, k] = stream["taken_level"][symbol, last]
            stream["taken_lots"][symbol, k] = stream["taken_lots"][symbol, last]
    stream["n_taken"][symbol] = last


@part
def forget_taken_nb(stream, symbol, resting, ladder):
    """Forget all that we took: the book is empty."""
    for k in range(stream["n_taken"][symbol]):
        resting[ladder["offset"] + stream["taken_level"][symbol, k]] -= TAKEN
    stream["n_taken"][symbol] = 0
    stream["differs"][symbol] = 0
