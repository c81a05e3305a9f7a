"""The simulated venue on bars: its order table, its own books of the account, and what it reports.

Requests are decided as the exchange decides them when they arrive; bars are matched in matching.py and accounts without
margin taken over in takeover.py. Position-bound stops and targets shrink and go with the position.
"""

from __future__ import annotations

from simcore.domain.enums import BUY, Leg, OrderType, Purpose, RejectCode, ReportKind, RequestKind, TimeInForce
from simcore.domain.records import MAX_ORDERS, MAX_QUEUE
from simcore.engine.account import apply_fill_nb, apply_funding_nb, apply_transfer_nb, closable_lots_nb, slot_nb
from simcore.engine.fees import fee_e8_nb
from simcore.engine.margin import initial_margin_nb
from simcore.engine.money import notional_e8_nb
from simcore.jit import kernel, part

BROKEN_REPORTS_FULL = 11
TRIGGERED = 2
NOT_RESTING = -(2**31)
TAKER = 0
MAKER = 1


@part
def blank_report_nb(row, kind, symbol, leg, ts_ns):
    """Write a report about nobody's order and no money: a used row keeps nothing of what it said before."""
    row["kind"] = kind
    row["ts_ns"] = ts_ns
    row["order_id"] = 0
    row["route"] = -1
    row["strategy"] = -1
    row["symbol"] = symbol
    row["side"] = 0
    row["leg"] = leg
    row["purpose"] = 0
    row["quote"] = -1
    row["maker"] = 0
    row["qty_lots"] = 0
    row["leaves_lots"] = 0
    row["price_ticks"] = 0
    row["fee_e8"] = 0
    row["amount_e8"] = 0
    row["code"] = 0
    row["ambiguous"] = 0
    row["reference"] = 0.0


@part
def next_report_nb(venue, kind, symbol, leg, ts_ns):
    """Queue one blank report; return its row (the last one again when the queue is full)."""
    n = venue["n_reports"]
    if n >= MAX_QUEUE:
        venue["broken"] = BROKEN_REPORTS_FULL
        n = MAX_QUEUE - 1
    blank_report_nb(venue["report"][n], kind, symbol, leg, ts_ns)
    venue["n_reports"] = n + 1
    return n


@part
def report_nb(venue, kind, order, code, ts_ns):
    """Queue one report about an order, without a fill; return its row."""
    n = next_report_nb(venue, kind, order["symbol"], order["leg"], ts_ns)
    row = venue["report"][n]
    name_order_nb(row, order, order["id"])
    row["leaves_lots"] = order["leaves_lots"]
    row["code"] = code
    return n


@part
def name_order_nb(row, order, order_id):
    """Say in a report which order it is about; `order` is an ORDER row or the REQUEST that asked for it."""
    row["order_id"] = order_id
    row["route"] = order["route"]
    row["strategy"] = order["strategy"]
    row["side"] = order["side"]
    row["purpose"] = order["purpose"]
    row["quote"] = order["quote"]
    row["price_ticks"] = order["price_ticks"]


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
    index = write_order_nb(venue, request, request["ts_ns"] + venue["entry_latency_ns"])
    admit_order_nb(venue, index, refuse_nb(venue, venue["order"][index]))


@part
def write_order_nb(venue, request, arrival_ns):
    """Write a request into a free row of the order table, not active yet; return the row."""
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
    order["arrival_ns"] = arrival_ns
    order["armed_ns"] = 0
    order["stop_ticks"] = request["stop_ticks"]
    order["target_ticks"] = request["target_ticks"]
    order["seen_bar"] = 0
    order["cancel_ns"] = 0
    order["young_lots"] = 0
    order["quote"] = request["quote"]
    order["expire_ns"] = request["expire_ns"]
    order["level"] = NOT_RESTING
    order["front"] = 0.0
    order["cum"] = 0.0
    return index


@part
def admit_order_nb(venue, index, code):
    """Make a written order live, or refuse it with `code`; True when it lives."""
    order = venue["order"][index]
    if index == MAX_ORDERS - 1:
        code = RejectCode.TOO_MANY_ORDERS.value
    if code != RejectCode.NONE:
        report_nb(venue, ReportKind.REJECTED.value, order, code, order["arrival_ns"])
        return False
    order["active"] = 1
    venue["live_orders"][order["symbol"]] += 1
    if index >= venue["n_orders"]:
        venue["n_orders"] = index + 1
    report_nb(venue, ReportKind.ACCEPTED.value, order, 0, order["arrival_ns"])
    return True


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
            order["level"] = NOT_RESTING
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
    order["quote"] = -1
    order["expire_ns"] = 0
    order["level"] = NOT_RESTING
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
    n = next_report_nb(venue, kind, symbol, leg, ts_ns)
    venue["report"][n]["amount_e8"] = amount_e8
    return n


@kernel
def deposit_nb(venue, amount_e8, ts_ns):
    """Move money into the account and report it."""
    apply_transfer_nb(venue["account"], amount_e8)
    report_account_nb(venue, ReportKind.TRANSFER.value, -1, Leg.BOTH.value, ts_ns, amount_e8)
