"""Matching on bars: what a bar does to the orders it meets.

What a bar cannot tell is guessed against the trader, in this order within one bar:

1. Orders that arrived before the bar opened are decided at its open: post-only orders that would take are refused, takers
   pay the open plus half a spread and impact, at most the participation cap of the bar's volume; the rest expires.
2. Resting entries fill only when the bar trades beyond their limit, at the limit.
3. Stops trigger when touched and fill at the worse of stop and open, with spread, slippage and impact; a stop whose entry
   filled in this very bar is live in it.
4. Targets and resting exits fill last, by the same rule as makers. A target that the bar reached together with the stop is
   never taken: the exit counts as ambiguous. What a maker entry brought to a target in this bar waits for the next.
5. A cancel that was under way when the bar opened arrives after its fills.

All own orders of a bar share one participation cap. Position-bound stops and targets shrink and go with the position.
"""

from __future__ import annotations

from simcore.domain.enums import OrderType, Purpose, RejectCode, ReportKind, TimeInForce
from simcore.engine.account import closable_lots_nb, slot_nb
from simcore.engine.fills import limit_reached_nb, maker_fill_lots_nb, stop_fill_ticks_nb, stop_touched_nb, taker_price_ticks_nb
from simcore.engine.impact import impact_bps_nb
from simcore.engine.venue import MAKER, TAKER, TRIGGERED, cancel_order_nb, drop_order_nb, fill_nb, report_nb
from simcore.jit import kernel, part

PHASES = 5
PHASE_OPEN, PHASE_ENTRIES, PHASE_STOPS, PHASE_EXITS, PHASE_CANCELS = 0, 1, 2, 3, 4


@part
def room_nb(venue, symbol, volume_lots, used_lots):
    """Return how many lots own orders may still fill in this bar, on the exchange's step."""
    step = venue["instrument"][symbol]["lot_filter_lots"]
    return max(0, (int(venue["participation_cap"] * volume_lots) - used_lots) // step * step)


@part
def impact_of_nb(venue, symbol, bar, qty_lots, price):
    """Return the square-root impact of a taker in basis points, from the day before the bar."""
    qty = qty_lots * venue["instrument"][symbol]["step_size"]
    fallback = venue["fallback_volume_day_usd"] / price
    return impact_bps_nb(bar["sigma_day"], bar["volume_day"], qty, venue["impact_y"], venue["fallback_sigma_day"], fallback)


@kernel
def match_bar_nb(venue, symbol, bar):
    """Match the symbol's orders against one bar, oldest first within each phase (module docstring)."""
    used = 0
    for phase in range(PHASES if venue["entry_latency_ns"] > 0 else PHASE_CANCELS):
        last = 0
        while venue["live_orders"][symbol] > 0:
            index = next_order_nb(venue, symbol, last)
            if index < 0:
                break
            last = venue["order"][index]["id"]
            used += play_phase_nb(venue, index, bar, used, phase)


@part
def next_order_nb(venue, symbol, after_id):
    """Return the row of the symbol's oldest live order with an id above `after_id`, -1 when there is none."""
    best = -1
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 1 and order["symbol"] == symbol and order["id"] > after_id:
            if best < 0 or order["id"] < venue["order"][best]["id"]:
                best = index
    return best


@part
def play_phase_nb(venue, index, bar, used, phase):
    """Let one order take its part in one phase of a bar; return the lots it filled."""
    order = venue["order"][index]
    bound = order["armed_ns"] > 0
    if order["cancel_ns"] > 0 and (phase == PHASE_OPEN or phase == PHASE_CANCELS):
        seen_ns = bar["open_ns"] if phase == PHASE_OPEN else bar["open_ns"] + venue["instrument"][order["symbol"]]["interval_ns"]
        if order["cancel_ns"] <= seen_ns:
            return cancel_order_nb(venue, index)
    if phase == PHASE_CANCELS or (not bound and order["arrival_ns"] > bar["open_ns"]):
        return 0
    if phase == PHASE_OPEN:
        return open_order_nb(venue, index, bar, used) if not bound and order["seen_bar"] == 0 else 0
    if phase == PHASE_STOPS:
        return trigger_stop_nb(venue, index, bar, used) if order["purpose"] == Purpose.STOP else 0
    if order["type"] == OrderType.STOP_MARKET or order["reduce_only"] != (1 if phase == PHASE_EXITS else 0):
        return 0
    return rest_order_nb(venue, index, bar, used)


@part
def open_order_nb(venue, index, bar, used):
    """Decide an order at the open of the first bar after its arrival; return the lots it took."""
    order = venue["order"][index]
    symbol = order["symbol"]
    instrument = venue["instrument"][symbol]
    order["seen_bar"] = 1
    open_price = bar["open_ticks"] * instrument["tick_size"]
    side = order["side"]
    half = instrument["half_spread_bps"]
    touch = taker_price_ticks_nb(side, open_price, half, 0.0, instrument["tick_size"], instrument["price_filter_ticks"])
    crosses = order["type"] == OrderType.MARKET or side * (order["price_ticks"] - touch) >= 0
    if order["tif"] == TimeInForce.GTX:
        if crosses:
            report_nb(venue, ReportKind.REJECTED.value, order, RejectCode.POST_ONLY.value, bar["open_ns"])
            drop_order_nb(venue, index)
        return 0
    if not crosses:
        return 0 if order["tif"] == TimeInForce.GTC else expire_nb(venue, index, bar["open_ns"])
    taken = take_open_nb(venue, index, bar, used)
    if order["active"] == 1 and order["tif"] != TimeInForce.GTC:
        expire_nb(venue, index, bar["open_ns"])
    return taken


@part
def take_open_nb(venue, index, bar, used):
    """Take at the open what participation, limit and position allow; return the lots filled."""
    order = venue["order"][index]
    symbol = order["symbol"]
    instrument = venue["instrument"][symbol]
    open_price = bar["open_ticks"] * instrument["tick_size"]
    lots = min(order["leaves_lots"], room_nb(venue, symbol, bar["volume_lots"], used))
    if order["reduce_only"] == 1:
        lots = min(lots, closable_lots_nb(venue["position"][slot_nb(symbol, order["leg"])], order["side"]))
    if lots <= 0:
        return 0
    impact = impact_of_nb(venue, symbol, bar, lots, open_price)
    price = taker_price_ticks_nb(
        order["side"], open_price, instrument["half_spread_bps"], impact, instrument["tick_size"], instrument["price_filter_ticks"]
    )
    if order["type"] == OrderType.LIMIT and order["side"] * (price - order["price_ticks"]) > 0:
        return 0
    fill_nb(venue, index, lots, price, TAKER, open_price, bar["open_ns"], 0)
    if order["leaves_lots"] == 0:
        drop_order_nb(venue, index)
    return lots


@part
def expire_nb(venue, index, ts_ns):
    """End an order whose rest may not wait."""
    report_nb(venue, ReportKind.EXPIRED.value, venue["order"][index], 0, ts_ns)
    drop_order_nb(venue, index)
    return 0


@part
def rest_order_nb(venue, index, bar, used):
    """Fill a resting limit order, or a target, when the bar trades beyond it; return the lots filled.

    What joined a target after the bar opened waits: nobody knows whether the target's price came before the entry's.
    """
    order = venue["order"][index]
    symbol = order["symbol"]
    instrument = venue["instrument"][symbol]
    leaves = order["leaves_lots"]
    if order["armed_ns"] > bar["open_ns"]:
        leaves -= order["young_lots"]
    leaves = min(leaves, room_nb(venue, symbol, bar["volume_lots"], used))
    if leaves <= 0:
        return 0
    if order["reduce_only"] == 1:
        leaves = min(leaves, closable_lots_nb(venue["position"][slot_nb(symbol, order["leg"])], order["side"]))
    lots = maker_fill_lots_nb(
        order["side"], order["price_ticks"], leaves, bar["low_ticks"], bar["high_ticks"], bar["volume_lots"],
        venue["participation_cap"], venue["fill_rule"], instrument["price_filter_ticks"], instrument["lot_filter_lots"],
    )
    if lots > 0:
        limit = order["price_ticks"] * instrument["tick_size"]
        fill_nb(venue, index, lots, order["price_ticks"], MAKER, limit, bar["open_ns"] + instrument["interval_ns"], 0)
        if order["leaves_lots"] == 0:
            drop_order_nb(venue, index)
    return lots


@part
def trigger_stop_nb(venue, index, bar, used):
    """Trigger a touched stop, a market order from then on, whose rest goes on at the next bar's open; return the lots filled."""
    order = venue["order"][index]
    symbol = order["symbol"]
    instrument = venue["instrument"][symbol]
    trigger_ticks = order["price_ticks"]
    if order["seen_bar"] == TRIGGERED:
        trigger_ticks = bar["open_ticks"]
    elif not stop_touched_nb(order["side"], trigger_ticks, bar["low_ticks"], bar["high_ticks"]):
        return 0
    order["seen_bar"] = TRIGGERED
    lots = min(order["leaves_lots"], room_nb(venue, symbol, bar["volume_lots"], used))
    lots = min(lots, closable_lots_nb(venue["position"][slot_nb(symbol, order["leg"])], order["side"]))
    if lots <= 0:
        return 0
    trigger = order["price_ticks"] * instrument["tick_size"]
    impact = impact_of_nb(venue, symbol, bar, lots, trigger)
    price = stop_fill_ticks_nb(
        order["side"], trigger_ticks, bar["open_ticks"], instrument["half_spread_bps"], impact,
        venue["stop_slippage_ticks"], instrument["tick_size"], instrument["price_filter_ticks"],
    )
    ambiguous = target_reached_nb(venue, order, bar)
    fill_nb(venue, index, lots, price, TAKER, trigger, bar["open_ns"] + instrument["interval_ns"], ambiguous)
    if order["leaves_lots"] == 0:
        drop_order_nb(venue, index)
    return lots


@part
def target_reached_nb(venue, stop, bar):
    """Return 1 when the bar that triggered `stop` also reached the same sleeve's target: nobody knows which came first."""
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 1 and order["purpose"] == Purpose.TARGET and order["symbol"] == stop["symbol"]:
            if order["strategy"] == stop["strategy"]:
                tick_step = venue["instrument"][order["symbol"]]["price_filter_ticks"]
                reached = limit_reached_nb(
                    order["side"], order["price_ticks"], bar["low_ticks"], bar["high_ticks"], venue["fill_rule"], tick_step
                )
                return 1 if reached else 0
    return 0
