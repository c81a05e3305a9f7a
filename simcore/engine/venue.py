"""The simulated venue on bars: accepts, fills and ends orders, settles funding, and takes over accounts without margin.

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

import math

from simcore.domain.enums import BUY, Leg, OrderType, Purpose, RejectCode, ReportKind, RequestKind, TimeInForce
from simcore.domain.records import MAX_ORDERS, MAX_QUEUE
from simcore.engine.account import (
    absorb_deficit_nb,
    apply_fill_nb,
    apply_funding_nb,
    apply_transfer_nb,
    closable_lots_nb,
    slot_nb,
)
from simcore.engine.fees import fee_e8_nb
from simcore.engine.fills import limit_reached_nb, maker_fill_lots_nb, stop_fill_ticks_nb, stop_touched_nb, taker_price_ticks_nb
from simcore.engine.impact import impact_bps_nb
from simcore.engine.margin import initial_margin_nb, maintenance_nb, must_liquidate_nb
from simcore.engine.money import notional_e8_nb
from simcore.jit import kernel, part

BROKEN_REPORTS_FULL = 11
TAKER = 0
MAKER = 1
PHASES = 5
PHASE_OPEN, PHASE_ENTRIES, PHASE_STOPS, PHASE_EXITS, PHASE_CANCELS = 0, 1, 2, 3, 4
TRIGGERED = 2


@part
def report_nb(venue, kind, order, code, ts_ns):
    """Queue one report about an order, without a fill; return its row (the last one again when the queue is full)."""
    n = venue["n_reports"]
    if n >= MAX_QUEUE:
        venue["broken"] = BROKEN_REPORTS_FULL
        n = MAX_QUEUE - 1
    row = venue["report"][n]
    row["kind"] = kind
    row["ts_ns"] = ts_ns
    row["order_id"] = order["id"]
    row["route"] = order["route"]
    row["strategy"] = order["strategy"]
    row["symbol"] = order["symbol"]
    row["side"] = order["side"]
    row["leg"] = order["leg"]
    row["purpose"] = order["purpose"]
    row["maker"] = 0
    row["qty_lots"] = 0
    row["leaves_lots"] = order["leaves_lots"]
    row["price_ticks"] = order["price_ticks"]
    row["fee_e8"] = 0
    row["amount_e8"] = 0
    row["code"] = code
    row["ambiguous"] = 0
    row["reference"] = 0.0
    venue["n_reports"] = n + 1
    return n


@kernel
def on_request_nb(venue, request):
    """Decide a request as the exchange does when it arrives."""
    if request["kind"] == RequestKind.NEW:
        on_new_order_nb(venue, request)
        return
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 1 and order["id"] == request["order_id"]:
            order["cancel_ns"] = request["ts_ns"] + venue["entry_latency_ns"]
            if venue["entry_latency_ns"] == 0:
                cancel_order_nb(venue, index)
            return


@part
def cancel_order_nb(venue, index):
    """Let a cancel arrive."""
    report_nb(venue, ReportKind.CANCELED.value, venue["order"][index], 0, venue["order"][index]["cancel_ns"])
    drop_order_nb(venue, index)
    return 0


@part
def on_new_order_nb(venue, request):
    """Take a new order into the order table, or refuse it with the exchange's code."""
    index = free_order_nb(venue)
    order = venue["order"][index]
    order["id"] = request["order_id"]
    order["route"] = request["route"]
    order["strategy"] = request["strategy"]
    order["symbol"] = request["symbol"]
    order["side"] = request["side"]
    order["leg"] = request["leg"]
    order["type"] = request["type"]
    order["tif"] = request["tif"]
    order["purpose"] = request["purpose"]
    order["reduce_only"] = request["reduce_only"]
    order["qty_lots"] = request["qty_lots"]
    order["leaves_lots"] = request["qty_lots"]
    order["price_ticks"] = request["price_ticks"]
    order["sent_ns"] = request["ts_ns"]
    order["arrival_ns"] = request["ts_ns"] + venue["entry_latency_ns"]
    order["armed_ns"] = 0
    order["stop_ticks"] = request["stop_ticks"]
    order["target_ticks"] = request["target_ticks"]
    order["seen_bar"] = 0
    order["cancel_ns"] = 0
    order["young_lots"] = 0
    code = refuse_nb(venue, order)
    if index == MAX_ORDERS - 1:
        code = RejectCode.TOO_MANY_ORDERS.value
    if code != RejectCode.NONE:
        report_nb(venue, ReportKind.REJECTED.value, order, code, order["arrival_ns"])
        return
    order["active"] = 1
    venue["live_orders"][order["symbol"]] += 1
    if index >= venue["n_orders"]:
        venue["n_orders"] = index + 1
    report_nb(venue, ReportKind.ACCEPTED.value, order, 0, order["arrival_ns"])


@part
def free_order_nb(venue):
    """Return a free row of the order table; the last row is never given away, it only serves to refuse."""
    for index in range(MAX_ORDERS - 1):
        if venue["order"][index]["active"] == 0:
            return index
    return MAX_ORDERS - 1


@part
def drop_order_nb(venue, index):
    """Take an order off the table."""
    order = venue["order"][index]
    order["active"] = 0
    venue["live_orders"][order["symbol"]] -= 1
    while venue["n_orders"] > 0 and venue["order"][venue["n_orders"] - 1]["active"] == 0:
        venue["n_orders"] -= 1


@part
def refuse_nb(venue, order):
    """Return the exchange's code for refusing an order at arrival, 0 to accept it: filters, bands, reduce-only, margin.

    What is held may be closed whole, whatever step and minimum are in force by now.
    """
    instrument = venue["instrument"][order["symbol"]]
    qty, price = order["qty_lots"], order["price_ticks"]
    market = order["type"] == OrderType.MARKET
    most = instrument["max_market_qty_lots"] if market else instrument["max_qty_lots"]
    if instrument["trading"] != 1:
        return RejectCode.NOT_TRADING.value
    if qty < 1 or (qty < instrument["min_qty_lots"] and order["reduce_only"] == 0):
        return RejectCode.QTY_TOO_SMALL.value
    if qty > most:
        return RejectCode.QTY_TOO_LARGE.value
    if qty % instrument["lot_filter_lots"] != 0 and order["reduce_only"] == 0:
        return RejectCode.BAD_STEP.value
    mark = venue["mark"][order["symbol"]]
    paid = mark if market else price * instrument["tick_size"]
    if not market:
        if price <= 0 or price % instrument["price_filter_ticks"] != 0:
            return RejectCode.BAD_TICK.value
        if order["side"] == BUY and paid > mark * (1.0 + instrument["price_band_up_pct"]):
            return RejectCode.PRICE_BAND_UP.value
        if order["side"] != BUY and paid < mark * (1.0 - instrument["price_band_down_pct"]):
            return RejectCode.PRICE_BAND_DOWN.value
    position = venue["position"][slot_nb(order["symbol"], order["leg"])]
    if order["reduce_only"] == 1:
        return RejectCode.NONE.value if closable_lots_nb(position, order["side"]) > 0 else RejectCode.REDUCE_ONLY.value
    notional = qty * instrument["step_size"] * paid
    if notional < instrument["min_notional_e8"] * 1e-8:
        return RejectCode.MIN_NOTIONAL.value
    loss = max(0.0, order["side"] * (paid - mark)) * qty * instrument["step_size"]
    if initial_margin_nb(instrument, notional) + loss > available_nb(venue):
        return RejectCode.MARGIN.value
    return RejectCode.NONE.value


@part
def available_nb(venue):
    """Return the margin left for new orders: wallet and open PnL, less positions and resting entries at their own leverage.

    Entries on both sides count in full: the exchange may net them, the trader must not rely on it.
    """
    account = venue["account"]
    free = account["wallet_e8"] * 1e-8
    if account["open_legs"] > 0:
        for symbol in range(venue["n_symbols"]):
            for slot in range(symbol * 2, symbol * 2 + 2):
                position = venue["position"][slot]
                if position["qty_lots"] != 0:
                    free += leg_value_nb(venue, position, symbol, venue["mark"][symbol])
                    notional = abs(position["qty_lots"]) * venue["instrument"][symbol]["step_size"] * venue["mark"][symbol]
                    free -= initial_margin_nb(venue["instrument"][symbol], notional)
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 1 and order["reduce_only"] == 0:
            instrument = venue["instrument"][order["symbol"]]
            value = order["leaves_lots"] * instrument["step_size"] * order["price_ticks"] * instrument["tick_size"]
            free -= initial_margin_nb(instrument, value)
    return free


@part
def leg_value_nb(venue, position, symbol, price):
    """Return the unrealised PnL of one leg at `price`."""
    value = position["qty_lots"] * venue["instrument"][symbol]["step_size"] * price
    cost = position["cost_e8"] * 1e-8
    return value - cost if position["qty_lots"] > 0 else value + cost


@part
def fill_nb(venue, index, qty_lots, price_ticks, maker, reference, ts_ns, ambiguous):
    """Fill part of an order: book it on the exchange's account, report it, and bind or release stops and targets."""
    order = venue["order"][index]
    symbol = order["symbol"]
    instrument = venue["instrument"][symbol]
    position = venue["position"][slot_nb(symbol, order["leg"])]
    rate = instrument["maker_fee_e8"] if maker == MAKER else instrument["taker_fee_e8"]
    fee = fee_e8_nb(notional_e8_nb(qty_lots, price_ticks, instrument["unit_e8"]), rate)
    was_open = position["qty_lots"] != 0
    apply_fill_nb(venue["account"], position, order["side"], qty_lots, price_ticks, instrument["unit_e8"], fee)
    venue["account"]["open_legs"] += (1 if position["qty_lots"] != 0 else 0) - (1 if was_open else 0)
    venue["look"] = 1
    order["leaves_lots"] -= qty_lots
    row = venue["report"][report_nb(venue, ReportKind.FILL.value, order, 0, ts_ns)]
    row["maker"] = maker
    row["qty_lots"] = qty_lots
    row["price_ticks"] = price_ticks
    row["fee_e8"] = fee
    row["reference"] = reference
    row["ambiguous"] = ambiguous
    if order["reduce_only"] == 1:
        shrink_exits_nb(venue, index, qty_lots, ts_ns)
    else:
        bind_exits_nb(venue, index, qty_lots, price_ticks, ts_ns)


@part
def bind_exits_nb(venue, entry_index, qty_lots, price_ticks, ts_ns):
    """Place or enlarge the stop and the target that came with an entry, for the quantity that just filled.

    A stop on the wrong side of the fill triggers at once, so it counts as one at the fill's own price, never as a profit.
    """
    entry = venue["order"][entry_index]
    if entry["stop_ticks"] > 0:
        stop = min(entry["stop_ticks"], price_ticks) if entry["side"] == BUY else max(entry["stop_ticks"], price_ticks)
        bind_one_nb(venue, entry_index, Purpose.STOP.value, OrderType.STOP_MARKET.value, stop, qty_lots, ts_ns, 1)
    if entry["target_ticks"] > 0:
        bind_one_nb(venue, entry_index, Purpose.TARGET.value, OrderType.TAKE_PROFIT.value, entry["target_ticks"], qty_lots, ts_ns, 2)


@part
def bind_one_nb(venue, entry_index, purpose, order_type, price_ticks, qty_lots, ts_ns, offset):
    """Enlarge the sleeve's stop (or target), or place it when there is none yet."""
    entry = venue["order"][entry_index]
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        same = order["active"] == 1 and order["purpose"] == purpose and order["symbol"] == entry["symbol"]
        if same and order["strategy"] == entry["strategy"]:
            order["qty_lots"] += qty_lots
            order["leaves_lots"] += qty_lots
            order["young_lots"] = qty_lots + (order["young_lots"] if order["armed_ns"] == ts_ns else 0)
            order["armed_ns"] = ts_ns
            if purpose == Purpose.STOP and entry["side"] * (order["price_ticks"] - price_ticks) > 0:
                order["price_ticks"] = price_ticks
            return
    index = free_order_nb(venue)
    if index == MAX_ORDERS - 1:
        venue["broken"] = BROKEN_REPORTS_FULL
        return
    order = venue["order"][index]
    order["active"] = 1
    order["id"] = entry["id"] + offset
    order["route"] = -1
    order["strategy"] = entry["strategy"]
    order["symbol"] = entry["symbol"]
    order["side"] = -entry["side"]
    order["leg"] = entry["leg"]
    order["type"] = order_type
    order["tif"] = TimeInForce.GTC
    order["purpose"] = purpose
    order["reduce_only"] = 1
    order["qty_lots"] = qty_lots
    order["leaves_lots"] = qty_lots
    order["price_ticks"] = price_ticks
    order["sent_ns"] = ts_ns
    order["arrival_ns"] = ts_ns
    order["armed_ns"] = ts_ns
    order["young_lots"] = qty_lots
    order["stop_ticks"] = 0
    order["target_ticks"] = 0
    order["seen_bar"] = 0
    order["cancel_ns"] = 0
    venue["live_orders"][order["symbol"]] += 1
    if index >= venue["n_orders"]:
        venue["n_orders"] = index + 1


@part
def shrink_exits_nb(venue, filled_index, qty_lots, ts_ns):
    """Shrink every other exit of a sleeve that just shrank: its stop, its target and a resting exit go when it goes.

    Strategies may share a leg, and an exit that outlived its own sleeve would close another's.
    """
    filled = venue["order"][filled_index]
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if index == filled_index or order["active"] == 0 or order["symbol"] != filled["symbol"]:
            continue
        if order["reduce_only"] == 1 and order["strategy"] == filled["strategy"]:
            order["leaves_lots"] = max(0, order["leaves_lots"] - qty_lots)
            if order["leaves_lots"] == 0:
                if order["armed_ns"] == 0:
                    report_nb(venue, ReportKind.CANCELED.value, order, 0, ts_ns)
                drop_order_nb(venue, index)


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


@kernel
def see_bar_nb(venue, symbol, bar):
    """Remember a bar's prices for margin: contract prices, until a mark of the same time replaces them.

    Margin needs a look only when a price leaves the band within which the last look found it safe.
    """
    tick = venue["instrument"][symbol]["tick_size"]
    venue["mark"][symbol] = bar["close_ticks"] * tick
    venue["low"][symbol] = bar["low_ticks"] * tick
    venue["high"][symbol] = bar["high_ticks"] * tick
    if venue["low"][symbol] < venue["safe_low"][symbol] or venue["high"][symbol] > venue["safe_high"][symbol]:
        venue["look"] = 1
    venue["sigma_day"][symbol] = bar["sigma_day"]
    venue["volume_day"][symbol] = bar["volume_day"]


@kernel
def see_mark_nb(venue, symbol, mark, same_span):
    """Take a mark price bar; its extremes replace the contract's when both cover the same span."""
    venue["mark"][symbol] = mark["close"]
    if same_span:
        venue["low"][symbol] = mark["low"]
        venue["high"][symbol] = mark["high"]
    venue["look"] = 1


@kernel
def settle_funding_nb(venue, symbol, funding):
    """Settle one funding payment on every open leg of the symbol, at its mark."""
    for leg in range(3):
        slot = slot_nb(symbol, leg)
        position = venue["position"][slot]
        if position["qty_lots"] == 0 or (leg == Leg.BOTH and venue["account"]["position_mode"] != 0):
            continue
        if leg != Leg.BOTH and venue["account"]["position_mode"] == 0:
            continue
        mark = venue["mark"][symbol]
        step_size = venue["instrument"][symbol]["step_size"]
        venue["look"] = 1
        amount = apply_funding_nb(venue["account"], position, mark, funding["rate_e8"], step_size)
        n = report_account_nb(venue, ReportKind.FUNDING.value, symbol, leg, funding["ts_ns"], amount)
        venue["report"][n]["reference"] = funding["rate_e8"] * 1e-8


@part
def report_account_nb(venue, kind, symbol, leg, ts_ns, amount_e8):
    """Queue one report about the account; return its row."""
    n = venue["n_reports"]
    if n >= MAX_QUEUE:
        venue["broken"] = BROKEN_REPORTS_FULL
        n = MAX_QUEUE - 1
    row = venue["report"][n]
    row["kind"] = kind
    row["ts_ns"] = ts_ns
    row["order_id"] = 0
    row["route"] = -1
    row["strategy"] = -1
    row["symbol"] = symbol
    row["side"] = 0
    row["leg"] = leg
    row["purpose"] = 0
    row["maker"] = 0
    row["qty_lots"] = 0
    row["leaves_lots"] = 0
    row["price_ticks"] = 0
    row["fee_e8"] = 0
    row["amount_e8"] = amount_e8
    row["code"] = 0
    row["ambiguous"] = 0
    row["reference"] = 0.0
    venue["n_reports"] = n + 1
    return n


@kernel
def deposit_nb(venue, amount_e8, ts_ns):
    """Move money into the account and report it."""
    apply_transfer_nb(venue["account"], amount_e8)
    report_account_nb(venue, ReportKind.TRANSFER.value, -1, Leg.BOTH.value, ts_ns, amount_e8)


@kernel
def check_margin_nb(venue, ts_ns):
    """Take the account over when, with every symbol at its worst price since the last check, its margin is gone.

    All symbols at their worst at once is more than happened: a guess against the trader. Marks are used where they cover
    the same span as the bar, contract prices elsewhere. Where the margin holds with room to spare, the room is shared out as
    a band of prices for each symbol that needs no further look.
    """
    venue["look"] = 0
    if venue["account"]["open_legs"] == 0:
        set_bands_nb(venue, 0.0)
        return
    balance = venue["account"]["wallet_e8"] * 1e-8
    gross = 0.0
    for symbol in range(venue["n_symbols"]):
        first, second = venue["position"][symbol * 2], venue["position"][symbol * 2 + 1]
        if first["qty_lots"] != 0 or second["qty_lots"] != 0:
            worst = worst_price_nb(venue, symbol)
            balance += leg_value_nb(venue, first, symbol, worst) + leg_value_nb(venue, second, symbol, worst)
            gross += (abs(first["qty_lots"]) + abs(second["qty_lots"])) * venue["instrument"][symbol]["step_size"] * worst
    # Maintenance never exceeds mmr_bound (the greatest rate of any bracket) times the gross notional.
    room = balance - venue["mmr_bound"] * gross
    set_bands_nb(venue, room)
    if room <= 0.0 and must_liquidate_nb(balance, worst_maintenance_nb(venue)):
        liquidate_nb(venue, ts_ns)


@part
def set_bands_nb(venue, room):
    """Give each open symbol a band of prices in which all of them together cannot use up `room`; none when there is none.

    A move of d in a symbol's price costs at most (1 + mmr_bound) * d for each unit of either leg.
    """
    share = room / max(1, venue["account"]["open_legs"])
    for symbol in range(venue["n_symbols"]):
        lots = abs(venue["position"][symbol * 2]["qty_lots"]) + abs(venue["position"][symbol * 2 + 1]["qty_lots"])
        if lots == 0:
            venue["safe_low"][symbol] = 0.0
            venue["safe_high"][symbol] = math.inf
        else:
            quantity = lots * venue["instrument"][symbol]["step_size"] * (1.0 + venue["mmr_bound"])
            worst = worst_price_nb(venue, symbol)
            venue["safe_low"][symbol] = worst - share / quantity if share > 0.0 else math.inf
            venue["safe_high"][symbol] = worst + share / quantity if share > 0.0 else 0.0


@part
def worst_price_nb(venue, symbol):
    """Return the extreme at which the symbol's legs together are worth least, after their maintenance."""
    low, high = venue["low"][symbol], venue["high"][symbol]
    return low if net_value_nb(venue, symbol, low) <= net_value_nb(venue, symbol, high) else high


@part
def net_value_nb(venue, symbol, price):
    """Return the symbol's unrealised PnL less its maintenance margin at `price`."""
    first, second = venue["position"][symbol * 2], venue["position"][symbol * 2 + 1]
    value = leg_value_nb(venue, first, symbol, price) + leg_value_nb(venue, second, symbol, price)
    return value - leg_maintenance_nb(venue, first, symbol, price) - leg_maintenance_nb(venue, second, symbol, price)


@part
def leg_maintenance_nb(venue, position, symbol, price):
    """Return the maintenance margin of one leg at `price`."""
    instrument = venue["instrument"][symbol]
    return maintenance_nb(instrument, abs(position["qty_lots"]) * instrument["step_size"] * price)


@part
def worst_maintenance_nb(venue):
    """Return the account's maintenance margin with every symbol at its worst price."""
    total = 0.0
    for symbol in range(venue["n_symbols"]):
        for slot in range(symbol * 2, symbol * 2 + 2):
            if venue["position"][slot]["qty_lots"] != 0:
                total += leg_maintenance_nb(venue, venue["position"][slot], symbol, worst_price_nb(venue, symbol))
    return total


@part
def liquidate_nb(venue, ts_ns):
    """Cancel every order, close every leg at its worst price with impact and the liquidation fee, and floor the wallet at zero."""
    for index in range(venue["n_orders"] - 1, -1, -1):
        if venue["order"][index]["active"] == 1:
            report_nb(venue, ReportKind.CANCELED.value, venue["order"][index], 0, ts_ns)
            drop_order_nb(venue, index)
    before = venue["account"]["wallet_e8"]
    for symbol in range(venue["n_symbols"]):
        price = worst_price_nb(venue, symbol)
        for slot in range(symbol * 2, symbol * 2 + 2):
            if venue["position"][slot]["qty_lots"] != 0:
                close_leg_nb(venue, symbol, slot, price, ts_ns)
    paid = absorb_deficit_nb(venue["account"])
    venue["liquidated"] += 1
    venue["account"]["liquidated"] += 1
    n = report_account_nb(venue, ReportKind.LIQUIDATED.value, -1, Leg.BOTH.value, ts_ns, paid)
    venue["report"][n]["reference"] = (venue["account"]["wallet_e8"] - before) * 1e-8


@part
def close_leg_nb(venue, symbol, slot, price, ts_ns):
    """Close one leg of a liquidated account as a taker and report the fill without an order of its own."""
    instrument = venue["instrument"][symbol]
    position = venue["position"][slot]
    lots = abs(position["qty_lots"])
    side = -1 if position["qty_lots"] > 0 else 1
    leg = Leg.BOTH.value
    if venue["account"]["position_mode"] == 1:
        leg = slot - symbol * 2
    fallback = venue["fallback_volume_day_usd"] / price
    impact = impact_bps_nb(
        venue["sigma_day"][symbol], venue["volume_day"][symbol], lots * instrument["step_size"], venue["impact_y"],
        venue["fallback_sigma_day"], fallback,
    )
    ticks = taker_price_ticks_nb(
        side, price, instrument["half_spread_bps"], impact, instrument["tick_size"], instrument["price_filter_ticks"]
    )
    fee = fee_e8_nb(notional_e8_nb(lots, ticks, instrument["unit_e8"]), instrument["liquidation_fee_e8"])
    apply_fill_nb(venue["account"], position, side, lots, ticks, instrument["unit_e8"], fee)
    venue["account"]["open_legs"] -= 1
    row = venue["report"][report_account_nb(venue, ReportKind.FILL.value, symbol, leg, ts_ns, 0)]
    row["side"] = side
    row["purpose"] = Purpose.LIQUIDATION
    row["qty_lots"] = lots
    row["price_ticks"] = ticks
    row["fee_e8"] = fee
    row["reference"] = price
