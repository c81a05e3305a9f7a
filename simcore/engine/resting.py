"""Our resting orders in a book: where they stand in their queues, and what the feed's events do to them.

Every guess is against the trader. A print or an opposite quote beyond our price proves that the level was swept: we are at
its front and fill at our own price, by default no more than what came through. Our orders share a print: better price
first, then time. The quantity a fill takes from a crossing quote is gone until the feed says otherwise.
"""

from __future__ import annotations

import math

from simcore.domain.enums import BUY, OrderType, Purpose
from simcore.domain.records import MAX_OWN
from simcore.engine.account import closable_lots_nb, slot_nb
from simcore.engine.book import (
    apply_depth_nb,
    best_level_nb,
    best_ticks_nb,
    level_lots_nb,
    level_of_ticks_nb,
    on_ladder_nb,
    opposite_level_nb,
)
from simcore.engine.queue import join_queue_nb, keep_priority_nb, on_depth_nb, on_through_nb, on_trade_nb
from simcore.engine.schedule import NEVER
from simcore.engine.sight import SEVERAL, TAKEN, note_taken_nb
from simcore.engine.venue import MAKER, NOT_RESTING, TRIGGERED, cancel_order_nb, drop_order_nb, fill_nb
from simcore.jit import kernel, part


@part
def side_bit_nb(side):
    """Return 0 for a BUY, whose orders rest on the bid side, and 1 for a SELL."""
    return 0 if side == BUY else 1


@part
def mid_price_nb(venue, symbol, book, ladder):
    """Return the mid of a book in quote units; with one side empty, the other's best."""
    bid, ask = best_ticks_nb(book, ladder)
    ticks = 0.5 * (bid + ask) if bid > 0 and ask > 0 else 1.0 * max(bid, ask)
    return ticks * venue["instrument"][symbol]["tick_size"]


@part
def ahead_lots_nb(order, lots, ladder):
    """Return what is displayed at an order's price on its own side: an order that joins now stands behind it."""
    side = side_bit_nb(order["side"])
    return level_lots_nb(lots, ladder, side, level_of_ticks_nb(ladder, side, order["price_ticks"]))


@part
def rest_nb(stream, venue, index, ahead_lots, ladder):
    """Let an order rest at its limit behind `ahead_lots` displayed lots."""
    order = venue["order"][index]
    order["level"] = level_of_ticks_nb(ladder, side_bit_nb(order["side"]), order["price_ticks"])
    join_queue_nb(order, ahead_lots)
    order["seq"] = stream["next_seq"]
    stream["next_seq"] += 1


@kernel
def list_own_nb(stream, venue, symbol, resting, ladder):
    """List the symbol's resting orders anew, best price first, then time; find its best levels, stops and next due time.

    `resting` says of each level which order of ours rests there, laid out as the book itself: what keeps the quiet path from passing
    one by.
    """
    clear_levels_nb(stream, symbol, resting, ladder)
    n = 0
    stream["own_top"][symbol, 0] = -1
    stream["own_top"][symbol, 1] = ladder["span"] - 1
    stream["n_stops"][symbol] = 0
    due = NEVER
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 0 or order["symbol"] != symbol:
            continue
        if order["expire_ns"] > 0:
            due = min(due, order["expire_ns"])
        if order["type"] == OrderType.STOP_MARKET:
            stream["n_stops"][symbol] += 1
            if order["seen_bar"] == TRIGGERED:
                due = min(due, order["arrival_ns"])
        elif on_ladder_nb(ladder, side_bit_nb(order["side"]), order["level"]) and n < MAX_OWN:
            n = insert_own_nb(stream, venue, symbol, n, index)
    stream["n_own"][symbol] = n
    stream["due_ns"][symbol] = due
    mark_levels_nb(stream, symbol, resting, ladder)


@part
def mark_levels_nb(stream, symbol, resting, ladder):
    """Mark the levels of the listed orders: with the row of the only order there, counted from 1, or SEVERAL."""
    for at in range(stream["n_own"][symbol]):
        slot = ladder["offset"] + stream["own_level"][symbol, at]
        row, taken = stream["own"][symbol, at] + 1, resting[slot] & TAKEN
        resting[slot] = taken | (row if resting[slot] == taken and row < SEVERAL else SEVERAL)


@part
def clear_levels_nb(stream, symbol, resting, ladder):
    """Take the marks of the listed orders off their levels."""
    for at in range(stream["n_own"][symbol]):
        slot = ladder["offset"] + stream["own_level"][symbol, at]
        resting[slot] = resting[slot] & TAKEN


@part
def insert_own_nb(stream, venue, symbol, n, index):
    """Put one order into its place of the symbol's list; return the list's new length."""
    order = venue["order"][index]
    bit = side_bit_nb(order["side"])
    if order["level"] > stream["own_top"][symbol, bit]:
        stream["own_top"][symbol, bit] = order["level"]
    at = n
    while at > 0:
        before = venue["order"][stream["own"][symbol, at - 1]]
        if before["level"] > order["level"] or (before["level"] == order["level"] and before["seq"] < order["seq"]):
            break
        stream["own"][symbol, at] = stream["own"][symbol, at - 1]
        stream["own_level"][symbol, at] = stream["own_level"][symbol, at - 1]
        at -= 1
    stream["own"][symbol, at] = index
    stream["own_level"][symbol, at] = order["level"]
    return n + 1


@part
def give_nb(stream, venue, index, lots, price_ticks, maker, reference, ts_ns):
    """Fill up to `lots` of an order, never more of a reduce-only one than its leg holds; return what filled."""
    order = venue["order"][index]
    lots = min(lots, order["leaves_lots"])
    if order["reduce_only"] == 1:
        closable = closable_lots_nb(venue["position"][slot_nb(order["symbol"], order["leg"])], order["side"])
        if closable <= 0:
            order["cancel_ns"] = ts_ns
            cancel_order_nb(venue, index)
            return 0
        lots = min(lots, closable)
    if lots > 0:
        fill_nb(venue, index, lots, price_ticks, maker, reference, ts_ns, 0)
        if order["leaves_lots"] == 0:
            drop_order_nb(venue, index)
    return lots


@kernel
def on_level_nb(stream, venue, symbol, level, before_lots, after_lots):
    """Move the queue places of our orders at a level whose displayed quantity changed."""
    step_size = venue["instrument"][symbol]["step_size"]
    older = -1
    for at in range(stream["n_own"][symbol]):
        index = stream["own"][symbol, at]
        order = venue["order"][index]
        if order["level"] == level:
            on_depth_nb(order, before_lots, after_lots, stream["queue_model"], stream["queue_n"], step_size)
            if older >= 0:
                keep_priority_nb(venue["order"][older], order)
            older = index


@kernel
def on_print_nb(stream, venue, symbol, bit, level, qty_lots, lots, resting, book, ladder, ts_ns):
    """Let a print that hit `level` of side `bit` reach our orders there and at better prices; they share it.

    With `full_fill` one executable lot fills a whole order, with `full_through` a print beyond our price does.
    """
    room = qty_lots
    used_here = 0
    mid = mid_price_nb(venue, symbol, book, ladder)
    n = stream["n_own"][symbol]
    changed = False
    for at in range(n):
        index = stream["own"][symbol, at]
        order = venue["order"][index]
        if order["active"] == 0 or side_bit_nb(order["side"]) != bit or order["level"] < level:
            continue
        executable = 0
        if order["level"] > level:
            executable = on_through_nb(order, room, stream["full_through"])
        else:
            executable = on_trade_nb(order, qty_lots - used_here)
            # What older orders of ours took came off the displayed level as well.
            order["cum"] += used_here
            if stream["full_fill"] == 1 and executable > 0:
                executable = order["leaves_lots"]
            elif stream["full_fill"] == 0:
                executable = min(executable, room)
        if executable > 0:
            here = order["level"] == level
            done = give_nb(stream, venue, index, executable, order["price_ticks"], MAKER, mid, ts_ns)
            room = max(0, room - done)
            used_here += done if here else 0
            changed = True
    if changed:
        rest_new_exits_nb(stream, venue, symbol, lots, ladder)
        list_own_nb(stream, venue, symbol, resting, ladder)


@kernel
def on_touch_nb(stream, venue, symbol, bit, lots, resting, book, ladder, ts_ns):
    """Fill our orders that the best quote of side `bit` has reached: their level was swept, and the quote is what came through."""
    own = 1 - bit
    changed = False
    mid = mid_price_nb(venue, symbol, book, ladder)
    for at in range(stream["n_own"][symbol]):
        index = stream["own"][symbol, at]
        order = venue["order"][index]
        if order["active"] == 0 or side_bit_nb(order["side"]) != own:
            continue
        while order["active"] == 1 and order["level"] >= opposite_level_nb(ladder, best_level_nb(book, bit)):
            level = best_level_nb(book, bit)
            shown = level_lots_nb(lots, ladder, bit, level)
            wanted = on_through_nb(order, shown, stream["full_through"])
            done = give_nb(stream, venue, index, wanted, order["price_ticks"], MAKER, mid, ts_ns)
            changed = True
            if stream["full_through"] == 1 or done == 0:
                break
            note_taken_nb(stream, symbol, level, shown, resting, ladder)
            apply_depth_nb(lots, book, ladder, bit, level, shown - done)
    if changed:
        rest_new_exits_nb(stream, venue, symbol, lots, ladder)
        list_own_nb(stream, venue, symbol, resting, ladder)


@kernel
def rest_new_exits_nb(stream, venue, symbol, lots, ladder):
    """Let targets that a fill has just bound or enlarged rest in the book, behind everything displayed at their level."""
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 1 and order["symbol"] == symbol and order["purpose"] == Purpose.TARGET and order["level"] == NOT_RESTING:
            rest_nb(stream, venue, index, ahead_lots_nb(order, lots, ladder), ladder)


@kernel
def trigger_stops_nb(stream, venue, symbol, price_ticks, resting, ladder, ts_ns):
    """Trigger the stops that a trade at `price_ticks` reached: market orders from then on, after the entry latency."""
    changed = False
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 0 or order["symbol"] != symbol or order["type"] != OrderType.STOP_MARKET:
            continue
        if order["seen_bar"] != TRIGGERED and order["side"] * (price_ticks - order["price_ticks"]) >= 0:
            order["seen_bar"] = TRIGGERED
            order["arrival_ns"] = ts_ns + stream["entry_ns"]
            changed = True
    if changed:
        list_own_nb(stream, venue, symbol, resting, ladder)


@kernel
def forget_queues_nb(stream, venue, symbol):
    """Give up all queue places of the symbol: nobody knows the book any more. Only what goes through our price fills us."""
    for at in range(stream["n_own"][symbol]):
        order = venue["order"][stream["own"][symbol, at]]
        order["front"] = math.inf
        order["cum"] = 0.0


@kernel
def join_queues_nb(stream, venue, symbol, lots, ladder):
    """Put our resting orders behind everything that a new snapshot shows at their levels."""
    for at in range(stream["n_own"][symbol]):
        order = venue["order"][stream["own"][symbol, at]]
        join_queue_nb(order, ahead_lots_nb(order, lots, ladder))
