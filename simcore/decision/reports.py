"""Reports: what the world says happened to our orders and our account, taken into the core's own books.

The core keeps two views of a fill: the account's leg, as the exchange books it, and the strategy's sleeve, from which its
trades and learning come. Both use the same integer arithmetic.
"""

from __future__ import annotations

import math

from simcore.decision.market import utc_hour_nb
from simcore.decision.outbox import happened_nb, log_nb, log_short_nb
from simcore.decision.quoter import owns_quote_nb, quote_changed_nb, quote_filled_nb
from simcore.decision.router import abandon_route_nb, route_ended_nb, route_filled_nb
from simcore.domain.enums import LedgerKind, Purpose, Regime, RejectCode, ReportKind
from simcore.domain.records import MAX_SYMBOLS, TRADE_ROOM
from simcore.engine.account import apply_fill_nb, apply_transfer_nb, book_fill_nb, slot_nb
from simcore.engine.money import mul_div_trunc_nb, notional_e8_nb
from simcore.jit import kernel, part

BROKEN_TRADES_FULL = 4


@kernel
def on_report_nb(core, report):
    """Take one report into account, sleeves and routes."""
    kind = report["kind"]
    if kind == ReportKind.FILL:
        on_fill_nb(core, report)
    elif kind == ReportKind.FUNDING:
        on_funding_nb(core, report)
    elif kind == ReportKind.TRANSFER:
        apply_transfer_nb(core["account"], report["amount_e8"])
        log_short_nb(core, LedgerKind.TRANSFER.value, 0, -1, -1, 0, report["amount_e8"] * 1e-8, 0.0)
    elif kind == ReportKind.LIQUIDATED:
        on_liquidated_nb(core, report)
    else:
        on_order_state_nb(core, report)


@part
def on_order_state_nb(core, report):
    """Log an order's new state and let its route go on."""
    kind = report["kind"]
    code = report["code"]
    row = LedgerKind.ACCEPTED.value
    if kind == ReportKind.REJECTED:
        row = LedgerKind.REJECTED.value
        core["totals"]["rejects"] += 1
    elif kind == ReportKind.CANCELED:
        row = LedgerKind.CANCELED.value
        core["totals"]["cancels"] += 1
    elif kind == ReportKind.EXPIRED:
        row = LedgerKind.EXPIRED.value
        core["totals"]["expiries"] += 1
    log_nb(
        core, row, code, report["symbol"], report["strategy"], report["order_id"], report["side"], report["leaves_lots"],
        report["price_ticks"], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    )
    happened_nb(core, report["ts_ns"])
    if report["quote"] >= 0:
        quote_changed_nb(core, report)
    elif kind != ReportKind.ACCEPTED and owns_order_nb(core, report):
        if kind == ReportKind.EXPIRED and code == 0:
            code = RejectCode.UNFILLED.value
        route_ended_nb(core, report["route"], code)


@part
def owns_order_nb(core, report):
    """Say whether the report's order is the one its route is working now."""
    if report["route"] < 0:
        return False
    route = core["route"][report["route"]]
    return route["active"] == 1 and route["order_id"] == report["order_id"]


@part
def on_fill_nb(core, report):
    """Book a fill on the account, on its sleeve (or on every sleeve of the leg) and on its route."""
    symbol = report["symbol"]
    position = core["position"][slot_nb(symbol, report["leg"])]
    unit_e8 = core["instrument"][symbol]["unit_e8"]
    side, qty, price, fee = report["side"], report["qty_lots"], report["price_ticks"], report["fee_e8"]
    was_open = position["qty_lots"] != 0
    realised_e8 = apply_fill_nb(core["account"], position, side, qty, price, unit_e8, fee)
    core["account"]["open_legs"] += (1 if position["qty_lots"] != 0 else 0) - (1 if was_open else 0)
    value_e8 = notional_e8_nb(qty, price, unit_e8)
    count_fill_nb(core, report, value_e8)
    owned = owns_order_nb(core, report)
    # An order of ours is compared with the price at its decision, a stop or target with its own level.
    reference = core["route"][report["route"]]["arrival"] if owned else report["reference"]
    quoted = owns_quote_nb(core, report)
    if quoted:
        reference = core["quote"][report["quote"]]["arrival"]
    log_nb(
        core, LedgerKind.FILL.value, report["purpose"], symbol, report["strategy"], report["order_id"], side, qty, price,
        fee * 1e-8, report["leaves_lots"] * 1.0, report["maker"] * 1.0, reference, realised_e8 * 1e-8, report["ambiguous"] * 1.0,
    )
    happened_nb(core, report["ts_ns"])
    if report["strategy"] >= 0:
        split_fill_nb(core, report, report["strategy"], qty, fee, reference)
    else:
        done, paid = 0, 0
        for owner in range(core["n_strategies"]):
            held = core["sleeve"][owner * MAX_SYMBOLS + symbol]
            if held["side"] == -side:
                lots = held["qty_lots"]
                done += lots
                share = mul_div_trunc_nb(fee, done, qty) - paid
                paid += share
                sleeve_fill_nb(core, report, owner, lots, share, reference)
    if quoted:
        quote_filled_nb(core, report)
    if owned:
        route_filled_nb(core, report["route"], report["maker"], qty, report["leaves_lots"], value_e8, fee)


@part
def count_fill_nb(core, report, value_e8):
    """Count one fill in the run's totals; a taker pays half the modelled spread."""
    totals, instrument = core["totals"], core["instrument"][report["symbol"]]
    value = value_e8 * 1e-8
    totals["traded_usd"] += value
    if report["maker"] == 1:
        totals["maker_fills"] += 1
        totals["maker_usd"] += value
    else:
        totals["taker_fills"] += 1
        totals["taker_usd"] += value
        totals["spread_usd"] += instrument["half_spread_bps"] * 1e-4 * report["reference"] * report["qty_lots"] * instrument["step_size"]


@part
def split_fill_nb(core, report, strategy, qty_lots, fee_e8, reference):
    """Book a fill on one strategy's share of the symbol; one that turns it to the other side closes a trade and opens the next.

    The fee is split by quantity, the last unit going to the opening part.
    """
    held = core["book"][strategy * MAX_SYMBOLS + report["symbol"]]["qty_lots"]
    closing = abs(held) if held * report["side"] < 0 else 0
    if 0 < closing < qty_lots:
        share = mul_div_trunc_nb(fee_e8, closing, qty_lots)
        sleeve_fill_nb(core, report, strategy, closing, share, reference)
        sleeve_fill_nb(core, report, strategy, qty_lots - closing, fee_e8 - share, reference)
    else:
        sleeve_fill_nb(core, report, strategy, qty_lots, fee_e8, reference)


@part
def sleeve_fill_nb(core, report, strategy, qty_lots, fee_e8, reference):
    """Book a fill on one strategy's share of the symbol; open it, grow it, shrink it or close its trade."""
    symbol = report["symbol"]
    index = strategy * MAX_SYMBOLS + symbol
    sleeve = core["sleeve"][index]
    book = core["book"][index]
    instrument = core["instrument"][symbol]
    side, price, unit_e8 = report["side"], report["price_ticks"], instrument["unit_e8"]
    if sleeve["side"] == 0:
        open_sleeve_nb(core, sleeve, book, report)
    closing = book["qty_lots"] * side < 0
    sleeve["gross_e8"] += book_fill_nb(book, side, qty_lots, price, unit_e8, fee_e8)
    value_e8 = notional_e8_nb(qty_lots, price, unit_e8)
    if closing:
        sleeve["exit_lots"] += qty_lots
        sleeve["exit_value_e8"] += value_e8
        sleeve["ambiguous"] += report["ambiguous"]
    else:
        sleeve["entry_lots"] += qty_lots
        sleeve["entry_cost_e8"] += value_e8
        sleeve["pending_entry_lots"] = max(0, sleeve["pending_entry_lots"] - qty_lots)
        sleeve["risk_usd"] = sleeve["stop_distance"] * sleeve["entry_lots"] * instrument["step_size"]
    sleeve["qty_lots"] = abs(book["qty_lots"])
    sleeve["qty"] = sleeve["qty_lots"] * instrument["step_size"]
    sleeve["fees_e8"] += fee_e8
    sleeve["n_fills"] += 1
    if report["maker"] == 1:
        sleeve["maker_lots"] += qty_lots
    else:
        sleeve["taker_lots"] += qty_lots
    slippage = side * (price * instrument["tick_size"] - reference) * qty_lots * instrument["step_size"]
    sleeve["slippage_usd"] += slippage
    core["totals"]["slippage_usd"] += slippage
    if book["qty_lots"] == 0:
        close_sleeve_nb(core, index, strategy, symbol, report)
    else:
        sleeve["entry_price"] = book["cost_e8"] * 1e-8 / sleeve["qty"]


@part
def open_sleeve_nb(core, sleeve, book, report):
    """Start a new trade in an empty sleeve."""
    symbol = report["symbol"]
    sleeve["side"] = report["side"]
    sleeve["entry_ns"] = report["ts_ns"]
    sleeve["decision_ns"] = report["ts_ns"]
    sleeve["arrival"] = report["reference"]
    sleeve["stop_ticks"] = 0
    sleeve["target_ticks"] = 0
    sleeve["stop_distance"] = 0.0
    if owns_order_nb(core, report):
        route = core["route"][report["route"]]
        sleeve["decision_ns"] = route["started_ns"]
        sleeve["arrival"] = route["arrival"]
        sleeve["stop_ticks"] = route["stop_ticks"]
        sleeve["target_ticks"] = route["target_ticks"]
        sleeve["stop_distance"] = route["stop_distance"]
        sleeve["target_distance"] = route["target_distance"]
    elif owns_quote_nb(core, report):
        sleeve["decision_ns"] = core["quote"][report["quote"]]["sent_ns"]
        sleeve["arrival"] = core["quote"][report["quote"]]["arrival"]
    sleeve["hour"] = utc_hour_nb(sleeve["decision_ns"])
    sleeve["regime"] = regime_nb(core, symbol)
    sleeve["bars_held"] = 0
    sleeve["entry_lots"] = 0
    sleeve["entry_cost_e8"] = 0
    sleeve["exit_lots"] = 0
    sleeve["exit_value_e8"] = 0
    sleeve["gross_e8"] = 0
    sleeve["fees_e8"] = 0
    sleeve["funding_e8"] = 0
    sleeve["maker_lots"] = 0
    sleeve["taker_lots"] = 0
    sleeve["n_fills"] = 0
    sleeve["ambiguous"] = 0
    sleeve["slippage_usd"] = 0.0
    sleeve["risk_usd"] = 0.0
    book["cost_e8"] = 0
    book["anchor_lots"] = 0
    book["anchor_cost_e8"] = 0


@part
def regime_nb(core, symbol):
    """Return the market regime of the symbol from past data only; DEFAULT while the day's figures are unknown."""
    market = core["market"][symbol]
    if not (market["sigma_day"] > 0.0) or not (market["volume_day"] > 0.0):
        return Regime.DEFAULT.value
    if market["sigma_day"] > core["sigma_high"]:
        return Regime.HIGH_VOL.value
    if market["volume_day"] * market["close"] < core["volume_low_usd"]:
        return Regime.LOW_LIQ.value
    return Regime.NORMAL.value


@part
def close_sleeve_nb(core, index, strategy, symbol, report):
    """Write the finished trade and empty the sleeve; a wish for the other side comes up again at the next decision."""
    sleeve = core["sleeve"][index]
    write_trade_nb(core, sleeve, strategy, symbol, report)
    closed_side = sleeve["side"]
    sleeve["side"] = 0
    sleeve["qty_lots"] = 0
    sleeve["qty"] = 0.0
    sleeve["entry_price"] = 0.0
    sleeve["exit_ns"] = report["ts_ns"]
    sleeve["horizon_ns"] = 0
    if sleeve["wish"] != 0 and sleeve["wish"] != closed_side:
        sleeve["retry_ns"] = core["now_ns"]
    if sleeve["exit_route"] >= 0 and sleeve["exit_route"] != report["route"]:
        abandon_route_nb(core, sleeve["exit_route"])
    if sleeve["entry_route"] >= 0:
        abandon_route_nb(core, sleeve["entry_route"])


@part
def write_trade_nb(core, sleeve, strategy, symbol, report):
    """Append the closed trade: what it cost, what it brought, and in R where it had a stop."""
    n = core["n_trades"]
    if n >= TRADE_ROOM:
        core["broken"] = BROKEN_TRADES_FULL
        return
    step = core["instrument"][symbol]["step_size"]
    purpose = report["purpose"]
    trade = core["trade"][n]
    trade["strategy"] = strategy
    trade["symbol"] = symbol
    trade["side"] = sleeve["side"]
    trade["qty_lots"] = sleeve["entry_lots"]
    trade["decision_ns"] = sleeve["decision_ns"]
    trade["entry_ns"] = sleeve["entry_ns"]
    trade["exit_ns"] = report["ts_ns"]
    trade["bars_held"] = sleeve["bars_held"]
    trade["hour"] = sleeve["hour"]
    trade["regime"] = sleeve["regime"]
    trade["exit_purpose"] = purpose
    trade["gross_e8"] = sleeve["gross_e8"]
    trade["fees_e8"] = sleeve["fees_e8"]
    trade["funding_e8"] = sleeve["funding_e8"]
    trade["maker_lots"] = sleeve["maker_lots"]
    trade["taker_lots"] = sleeve["taker_lots"]
    trade["ambiguous"] = sleeve["ambiguous"]
    trade["entry_price"] = sleeve["entry_cost_e8"] * 1e-8 / (sleeve["entry_lots"] * step)
    trade["exit_price"] = sleeve["exit_value_e8"] * 1e-8 / (sleeve["exit_lots"] * step)
    trade["arrival"] = sleeve["arrival"]
    trade["slippage_usd"] = sleeve["slippage_usd"]
    trade["risk_usd"] = sleeve["risk_usd"]
    net = (sleeve["gross_e8"] - sleeve["fees_e8"] + sleeve["funding_e8"]) * 1e-8
    trade["net_usd"] = net
    trade["net_bps"] = net / (sleeve["entry_cost_e8"] * 1e-8) * 1e4
    trade["r_multiple"] = net / sleeve["risk_usd"] if sleeve["risk_usd"] > 0.0 else math.nan
    core["n_trades"] = n + 1
    totals = core["totals"]
    totals["exits"] += 1
    if sleeve["ambiguous"] > 0:
        totals["ambiguous_exits"] += 1
    if purpose == Purpose.STOP:
        totals["stop_exits"] += 1
    elif purpose == Purpose.TARGET:
        totals["target_exits"] += 1
    else:
        totals["signal_exits"] += 1
    log_nb(
        core, LedgerKind.TRADE.value, purpose, symbol, strategy, report["order_id"], sleeve["side"], sleeve["entry_lots"],
        report["price_ticks"], net, 0.0, trade["r_multiple"], 0.0, 0.0, 0.0,
    )


@part
def on_funding_nb(core, report):
    """Book a funding payment of one leg and share it among the sleeves that hold it, by quantity."""
    symbol = report["symbol"]
    account = core["account"]
    amount = report["amount_e8"]
    position = core["position"][slot_nb(symbol, report["leg"])]
    account["wallet_e8"] += amount
    account["funding_e8"] += amount
    position["funding_e8"] += amount
    log_nb(
        core, LedgerKind.FUNDING.value, report["leg"], symbol, -1, 0, 0, position["qty_lots"], 0, amount * 1e-8, 0.0,
        report["reference"], 0.0, 0.0, 0.0,
    )
    happened_nb(core, report["ts_ns"])
    total = abs(position["qty_lots"])
    direction = 1 if position["qty_lots"] > 0 else -1
    rest = amount
    last = -1
    for owner in range(core["n_strategies"]):
        sleeve = core["sleeve"][owner * MAX_SYMBOLS + symbol]
        if sleeve["side"] == direction and total > 0:
            share = mul_div_trunc_nb(amount, sleeve["qty_lots"], total)
            sleeve["funding_e8"] += share
            rest -= share
            last = owner
    if last >= 0:
        core["sleeve"][last * MAX_SYMBOLS + symbol]["funding_e8"] += rest


@part
def on_liquidated_nb(core, report):
    """Note that the exchange took the account over: nothing may be opened any more."""
    account = core["account"]
    account["realised_e8"] += report["amount_e8"]
    account["wallet_e8"] += report["amount_e8"]
    account["liquidated"] += 1
    account["kill_switch"] = 1
    account["kill_ts_ns"] = core["now_ns"]
    core["totals"]["liquidations"] += 1
    log_short_nb(core, LedgerKind.LIQUIDATION.value, 0, -1, -1, 0, report["reference"], report["amount_e8"] * 1e-8)
