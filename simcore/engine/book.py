"""Ladder book: the displayed quantities of one symbol, the best level of each side, and how events change them.

A side is 0 (bid) or 1 (ask), as the lowest bit of an event's kind. Levels are those of LADDER: the ask side is mirrored, so
that better is greater on both and no step asks which side it is on. `lots` is the run's flat array, `ladder["offset"]` where
the symbol's 2 * span levels begin in it. An empty side has its best level just below its own first one: -1, and span - 1.

A book is unusable (`ok` 0) from a CLEAR or GAP to the next READY. Trades are counted and never change a quantity: the
depth rows that follow them do.
"""

from __future__ import annotations

from simcore.domain.enums import EventKind
from simcore.jit import part

BID, ASK = 0, 1


@part
def opposite_level_nb(ladder, level):
    """Return the level of the other side at the same price."""
    return 2 * ladder["span"] - 1 - level


@part
def ticks_of_level_nb(ladder, level):
    """Return the price of a level of either side, in ticks."""
    span = ladder["span"]
    rung = level if level < span else 2 * span - 1 - level
    return ladder["base_ticks"] + rung * ladder["tick_step"]


@part
def level_of_ticks_nb(ladder, side, ticks):
    """Return the level of a price on one side; a price between two rungs counts as the less aggressive one.

    A price off the ladder gives a number outside the side's own levels: still right to compare with levels of the side, and
    not `on_ladder_nb`, so never to be read at.
    """
    step, above = ladder["tick_step"], ticks - ladder["base_ticks"]
    return above // step if side == BID else 2 * ladder["span"] - 1 + (-above) // step


@part
def on_ladder_nb(ladder, side, level):
    """Say whether a level lies among those of its side."""
    floor = side * ladder["span"]
    return floor <= level < floor + ladder["span"]


@part
def level_lots_nb(lots, ladder, side, level):
    """Return the displayed lots of a level; 0 off the ladder."""
    return lots[ladder["offset"] + level] if on_ladder_nb(ladder, side, level) else 0


@part
def best_level_nb(book, side):
    """Return the best level of one side; the side's first level less 1 when it is empty."""
    return book["best_ask"] if side == ASK else book["best_bid"]


@part
def set_best_level_nb(book, side, level):
    """Set the best level of one side."""
    book["best_bid"] = book["best_bid"] if side == ASK else level
    book["best_ask"] = level if side == ASK else book["best_ask"]


@part
def next_level_nb(lots, ladder, side, level):
    """Return the best level at or below `level` that holds a quantity; the side's first level less 1 when there is none."""
    offset, floor = ladder["offset"], side * ladder["span"]
    while level >= floor and lots[offset + level] == 0:
        level -= 1
    return level


@part
def has_both_sides_nb(book, ladder):
    """Say whether both sides hold a quantity."""
    return book["best_bid"] >= 0 and book["best_ask"] >= ladder["span"]


@part
def best_ticks_nb(book, ladder):
    """Return (best bid, best ask) in ticks; 0 for an empty side."""
    bid, ask = book["best_bid"], book["best_ask"]
    bid_ticks = ticks_of_level_nb(ladder, bid) if bid >= 0 else 0
    ask_ticks = ticks_of_level_nb(ladder, ask) if ask >= ladder["span"] else 0
    return bid_ticks, ask_ticks


@part
def best_lots_nb(lots, book, ladder):
    """Return the lots displayed at (best bid, best ask); 0 for an empty side."""
    return level_lots_nb(lots, ladder, BID, book["best_bid"]), level_lots_nb(lots, ladder, ASK, book["best_ask"])


@part
def depth_sum_nb(lots, book, ladder, side, n_levels):
    """Return the lots displayed in the first `n_levels` price levels of one side that hold any."""
    total, left = 0, n_levels
    level, floor, offset = best_level_nb(book, side), side * ladder["span"], ladder["offset"]
    while left > 0 and level >= floor:
        held = lots[offset + level]
        total += held
        left -= 1 if held > 0 else 0
        level -= 1
    return total


@part
def clear_book_nb(lots, book, ladder):
    """Empty a book and make it unusable; what traded since the last look stays counted."""
    for slot in range(ladder["offset"], ladder["offset"] + 2 * ladder["span"]):
        lots[slot] = 0
    book["best_bid"] = -1
    book["best_ask"] = ladder["span"] - 1
    book["ok"] = 0


@part
def apply_depth_nb(lots, book, ladder, side, level, qty_lots):
    """Set a level's displayed quantity and follow the best level; say whether the touch (its price or quantity) changed."""
    offset = ladder["offset"]
    best, before = best_level_nb(book, side), lots[offset + level]
    lots[offset + level] = qty_lots
    new = max(best, level) if qty_lots > 0 else best
    if level == best and qty_lots == 0:
        new = next_level_nb(lots, ladder, side, level)
    set_best_level_nb(book, side, new)
    return level >= best and before != qty_lots


@part
def count_trade_nb(book, side, level, qty_lots):
    """Count a trade against resting orders of `side`: a buyer lifts asks, a seller hits bids."""
    book["buy_lots"] += qty_lots * side
    book["sell_lots"] += qty_lots * (1 - side)
    book["last_level"] = level
    book["n_trades"] += 1


@part
def mark_book_nb(lots, book, ladder, kind):
    """Take a CLEAR, READY or GAP; the touch counts as changed."""
    if kind == EventKind.CLEAR:
        clear_book_nb(lots, book, ladder)
    elif kind == EventKind.READY:
        book["ok"] = 1
    else:
        book["ok"] = 0
        book["gaps"] += 1


@part
def apply_event_nb(lots, book, ladder, event):
    """Take one event of any kind; say whether the touch changed, or the book's being usable."""
    kind = event["kind"]
    book["n_events"] += 1
    book["ts_ns"] = event["ts_exch"]
    if kind <= EventKind.ASK_DEPTH:
        return apply_depth_nb(lots, book, ladder, kind & 1, event["level"], event["qty_lots"])
    if kind <= EventKind.ASK_LIFTED:
        count_trade_nb(book, kind & 1, event["level"], event["qty_lots"])
        return False
    mark_book_nb(lots, book, ladder, kind)
    return True


@part
def begin_view_nb(book):
    """Begin to count trades and events anew, after they were looked at."""
    book["buy_lots"] = 0
    book["sell_lots"] = 0
    book["n_trades"] = 0
    book["n_events"] = 0
    book["gaps"] = 0


@part
def followed_nb(lots, offset, span, side, level, qty_lots, best_bid, best_ask):
    """Set a level's quantity and return (best bid, best ask): `apply_depth_nb` for a loop that keeps both in registers."""
    best = best_ask if side == ASK else best_bid
    lots[offset + level] = qty_lots
    new = max(best, level if qty_lots > 0 else -1)
    if level == best and qty_lots == 0:
        floor = side * span
        while new >= floor and lots[offset + new] == 0:
            new -= 1
    return best_bid if side == ASK else new, new if side == ASK else best_ask


@part
def play_nb(events, pos, end, until_ns, seen_ns, lots, book, ladder):
    """Apply the events from row `pos` up to `end` that happened by `until_ns` and were received by `seen_ns`; return the next row.

    The fast path, some 4 ns an event: for a local book between two wakes, and an exchange book without own orders.
    """
    offset, span, start = ladder["offset"], ladder["span"], pos
    best_bid, best_ask = book["best_bid"], book["best_ask"]
    while pos < end and events[pos]["ts_exch"] <= until_ns and events[pos]["ts_local"] <= seen_ns:
        event = events[pos]
        kind = int(event["kind"])
        if kind <= EventKind.ASK_DEPTH:
            level = int(event["level"])
            best_bid, best_ask = followed_nb(lots, offset, span, kind, level, event["qty_lots"], best_bid, best_ask)
        elif kind <= EventKind.ASK_LIFTED:
            count_trade_nb(book, kind & 1, int(event["level"]), event["qty_lots"])
        else:
            mark_book_nb(lots, book, ladder, kind)
            best_bid = -1 if kind == EventKind.CLEAR else best_bid
            best_ask = span - 1 if kind == EventKind.CLEAR else best_ask
        pos += 1
    end_play_nb(book, best_bid, best_ask, events, start, pos)
    return pos


@part
def end_play_nb(book, best_bid, best_ask, events, start, pos):
    """Write back what a loop kept in registers."""
    book["best_bid"] = best_bid
    book["best_ask"] = best_ask
    book["n_events"] += pos - start
    if pos > start:
        book["ts_ns"] = events[pos - 1]["ts_exch"]


@part
def play_to_change_nb(events, pos, end, until_ns, on_touch, on_trade, lots, book, ladder):
    """Apply events in local time as `play_nb` does, and stop behind the first message that wakes a strategy.

    With `on_touch` 1 that is one which changed the best price or quantity of a side, with `on_trade` 1 one with a trade.
    Return (next row, 1 when it stopped for a change).
    """
    changed = 0
    while pos < end and events[pos]["ts_local"] <= until_ns:
        event = events[pos]
        trades = book["n_trades"]
        touched = apply_event_nb(lots, book, ladder, event)
        if (touched and on_touch == 1) or (book["n_trades"] != trades and on_trade == 1):
            changed = 1
        pos += 1
        if changed == 1 and event["last"] == 1:
            return pos, 1
    return pos, changed
