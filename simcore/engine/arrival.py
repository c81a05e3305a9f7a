"""Arrivals: what the exchange does with a request when it gets there, on the book it has at that moment.

Post-only is decided here, not when it was sent. A taker walks the displayed levels, and what it takes stays taken until the
feed refreshes the level. What a GTC order could not take rests alone at its price; IOC and market leave the rest, FOK takes all
or nothing.
"""

from __future__ import annotations

from simcore.domain.enums import OrderType, RejectCode, ReportKind, RequestKind, SelfTrade, TimeInForce
from simcore.engine.account import closable_lots_nb, slot_nb
from simcore.engine.book import best_level_nb, has_both_sides_nb, level_lots_nb, ticks_of_level_nb
from simcore.engine.resting import ahead_lots_nb, give_nb, list_own_nb, mid_price_nb, rest_nb, rest_new_exits_nb, side_bit_nb
from simcore.engine.sight import note_taken_nb
from simcore.engine.taking import available_lots_nb, facing_nb, take_best_nb, worst_level_nb, would_take_nb
from simcore.engine.venue import (
    TAKER,
    TRIGGERED,
    admit_order_nb,
    cancel_order_nb,
    drop_order_nb,
    refuse_nb,
    report_nb,
    write_order_nb,
)
from simcore.jit import bare, kernel, part

BURST_NS = 10_000_000_000
MINUTE_NS = 60_000_000_000


@kernel
def arrive_nb(stream, venue, request, arrival_ns, lots, resting, books, ladders):
    """Let one request arrive at the exchange."""
    lots, resting = bare(lots), bare(resting)
    symbol = request["symbol"]
    book, ladder = books[symbol], ladders[symbol]
    mark_nb(venue, symbol, book, ladder)
    if request["kind"] == RequestKind.NEW:
        arrive_order_nb(stream, venue, request, arrival_ns, lots, resting, book, ladder)
    else:
        index = find_order_nb(venue, request["order_id"])
        if index >= 0:
            venue["order"][index]["cancel_ns"] = arrival_ns
            if request["kind"] == RequestKind.CANCEL:
                cancel_order_nb(venue, index)
            else:
                amend_nb(stream, venue, index, request, arrival_ns, lots, resting, book, ladder)
    list_own_nb(stream, venue, symbol, resting, ladder)


@part
def mark_nb(venue, symbol, book, ladder):
    """Bring the price that bands and margin are judged at up to the mid, where no stream of mark prices says it."""
    if venue["marked"][symbol] == 0 and book["ok"] == 1 and has_both_sides_nb(book, ladder):
        venue["mark"][symbol] = mid_price_nb(venue, symbol, book, ladder)


@part
def find_order_nb(venue, order_id):
    """Return the row of a live order, -1 when it is done already."""
    for index in range(venue["n_orders"]):
        if venue["order"][index]["active"] == 1 and venue["order"][index]["id"] == order_id:
            return index
    return -1


@part
def arrive_order_nb(stream, venue, request, arrival_ns, lots, resting, book, ladder):
    """Admit or refuse a new order, let it take what it may, and let the rest wait or expire."""
    index = write_order_nb(venue, request, arrival_ns)
    order = venue["order"][index]
    crosses = crosses_nb(order, book, ladder)
    code = rate_code_nb(stream, arrival_ns)
    if code == RejectCode.NONE:
        code = refuse_nb(venue, order)
    if code == RejectCode.NONE and order["tif"] == TimeInForce.GTX and crosses:
        code = RejectCode.POST_ONLY.value
    if admit_order_nb(venue, index, code):
        play_order_nb(stream, venue, index, crosses, lots, resting, book, ladder, arrival_ns)


@part
def crosses_nb(order, book, ladder):
    """Say whether an order takes at once; a market order always does. From an unusable book nothing is taken."""
    if order["type"] == OrderType.MARKET:
        return True
    return book["ok"] == 1 and would_take_nb(book, ladder, order["side"], limit_ticks_nb(order))


@part
def limit_ticks_nb(order):
    """Return the price beyond which an order takes nothing, 0 for a market order."""
    return order["price_ticks"] if order["type"] == OrderType.LIMIT else 0


@part
def rate_code_nb(stream, ts_ns):
    """Count one order against the exchange's order limits; return the code of a refusal, 0 below them."""
    if ts_ns // BURST_NS != stream["burst_ns"]:
        stream["burst_ns"], stream["burst_orders"] = ts_ns // BURST_NS, 0
    if ts_ns // MINUTE_NS != stream["minute_ns"]:
        stream["minute_ns"], stream["minute_orders"] = ts_ns // MINUTE_NS, 0
    stream["burst_orders"] += 1
    stream["minute_orders"] += 1
    over_burst = stream["max_burst_orders"] > 0 and stream["burst_orders"] > stream["max_burst_orders"]
    over_minute = stream["max_minute_orders"] > 0 and stream["minute_orders"] > stream["max_minute_orders"]
    return RejectCode.ORDER_RATE.value if over_burst or over_minute else RejectCode.NONE.value


@part
def play_order_nb(stream, venue, index, crosses, lots, resting, book, ladder, ts_ns):
    """Let a live order take, rest or expire."""
    order = venue["order"][index]
    taken = 0
    if crosses and (stream["self_trade"] == SelfTrade.NONE or meet_ourselves_nb(stream, venue, index, ladder, ts_ns)):
        wanted = order["leaves_lots"]
        found = wanted
        if order["tif"] == TimeInForce.FOK:
            found = available_lots_nb(lots, book, ladder, order["side"], wanted, limit_ticks_nb(order))
        if found == wanted:
            taken = take_nb(stream, venue, index, lots, resting, book, ladder, ts_ns)
    if order["active"] == 0:
        return
    waits = order["tif"] == TimeInForce.GTC or order["tif"] == TimeInForce.GTX or order["tif"] == TimeInForce.GTD
    if order["type"] == OrderType.LIMIT and waits:
        ahead = 0 if taken > 0 else ahead_lots_nb(order, lots, ladder)
        rest_nb(stream, venue, index, ahead, ladder)
    else:
        report_nb(venue, ReportKind.EXPIRED.value, order, 0, ts_ns)
        drop_order_nb(venue, index)


@part
def meet_ourselves_nb(stream, venue, index, ladder, ts_ns):
    """Settle a meeting of two orders of ours as the exchange is told to; True when the arriving one goes on."""
    order = venue["order"][index]
    facing = facing_nb(order["side"])
    symbol = order["symbol"]
    worst = worst_level_nb(ladder, order["side"], limit_ticks_nb(order))
    goes_on = True
    for at in range(stream["n_own"][symbol]):
        other = venue["order"][stream["own"][symbol, at]]
        if other["active"] == 0 or side_bit_nb(other["side"]) != facing or other["level"] < worst:
            continue
        if stream["self_trade"] != SelfTrade.EXPIRE_TAKER:
            report_nb(venue, ReportKind.EXPIRED.value, other, RejectCode.SELF_TRADE.value, ts_ns)
            drop_order_nb(venue, stream["own"][symbol, at])
        if stream["self_trade"] != SelfTrade.EXPIRE_MAKER:
            goes_on = False
    if not goes_on:
        report_nb(venue, ReportKind.EXPIRED.value, order, RejectCode.SELF_TRADE.value, ts_ns)
        drop_order_nb(venue, index)
    return goes_on


@part
def take_nb(stream, venue, index, lots, resting, book, ladder, ts_ns):
    """Take level by level within the limit, each at its own price; what is taken leaves the book. Return the lots taken."""
    order = venue["order"][index]
    facing = facing_nb(order["side"])
    worst = worst_level_nb(ladder, order["side"], limit_ticks_nb(order))
    reference = mid_price_nb(venue, order["symbol"], book, ladder)
    taken = 0
    while book["ok"] == 1 and order["active"] == 1 and best_level_nb(book, facing) >= worst:
        level = best_level_nb(book, facing)
        shown = level_lots_nb(lots, ladder, facing, level)
        done = give_nb(stream, venue, index, shown, ticks_of_level_nb(ladder, level), TAKER, reference, ts_ns)
        if done == 0:
            break
        taken += done
        note_taken_nb(stream, order["symbol"], level, shown, resting, ladder)
        take_best_nb(lots, book, ladder, order["side"], done)
    if taken > 0:
        rest_new_exits_nb(stream, venue, order["symbol"], lots, ladder)
    return taken


@part
def amend_nb(stream, venue, index, request, arrival_ns, lots, resting, book, ladder):
    """Change price and quantity of a resting order, which then queues anew: we do not count on keeping the place.

    A new price that would take is refused as for a new post-only order; the old order stays what it was.
    """
    order = venue["order"][index]
    old_price, old_qty, old_leaves = order["price_ticks"], order["qty_lots"], order["leaves_lots"]
    order["cancel_ns"] = 0
    order["price_ticks"] = request["price_ticks"]
    order["leaves_lots"] = max(0, old_leaves + request["qty_lots"] - old_qty)
    order["qty_lots"] = request["qty_lots"]
    code = refuse_nb(venue, order)
    crosses = crosses_nb(order, book, ladder)
    if code == RejectCode.NONE and order["tif"] == TimeInForce.GTX and crosses:
        code = RejectCode.POST_ONLY.value
    if code != RejectCode.NONE:
        order["price_ticks"], order["qty_lots"], order["leaves_lots"] = old_price, old_qty, old_leaves
        report_nb(venue, ReportKind.REJECTED.value, order, code, arrival_ns)
    elif order["leaves_lots"] == 0:
        order["cancel_ns"] = arrival_ns
        cancel_order_nb(venue, index)
    else:
        report_nb(venue, ReportKind.ACCEPTED.value, order, 0, arrival_ns)
        play_order_nb(stream, venue, index, crosses, lots, resting, book, ladder, arrival_ns)


@kernel
def act_due_nb(stream, venue, symbol, ts_ns, lots, resting, book, ladder):
    """Let triggered stops whose latency is over go to market, and orders whose time is up expire."""
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 0 or order["symbol"] != symbol:
            continue
        if order["type"] == OrderType.STOP_MARKET and order["seen_bar"] == TRIGGERED and order["arrival_ns"] <= ts_ns:
            stop_out_nb(stream, venue, index, ts_ns, lots, resting, book, ladder)
        elif order["expire_ns"] > 0 and order["expire_ns"] <= ts_ns:
            report_nb(venue, ReportKind.EXPIRED.value, order, 0, ts_ns)
            drop_order_nb(venue, index)
    list_own_nb(stream, venue, symbol, resting, ladder)


@part
def stop_out_nb(stream, venue, index, ts_ns, lots, resting, book, ladder):
    """Take a triggered stop to market; what the book cannot give now is tried again a latency later."""
    order = venue["order"][index]
    position = venue["position"][slot_nb(order["symbol"], order["leg"])]
    if closable_lots_nb(position, order["side"]) <= 0:
        order["cancel_ns"] = ts_ns
        cancel_order_nb(venue, index)
        return
    take_nb(stream, venue, index, lots, resting, book, ladder, ts_ns)
    if order["active"] == 1:
        order["arrival_ns"] = ts_ns + max(1, stream["entry_ns"])
