"""Takeover: the exchange's margin check, and what it does to an account whose margin is gone.
"""

from __future__ import annotations

import math

from simcore.domain.enums import Leg, Purpose, ReportKind
from simcore.engine.account import absorb_deficit_nb, apply_fill_nb
from simcore.engine.fees import fee_e8_nb
from simcore.engine.fills import taker_price_ticks_nb
from simcore.engine.impact import impact_bps_nb
from simcore.engine.margin import maintenance_nb, must_liquidate_nb
from simcore.engine.money import notional_e8_nb
from simcore.engine.venue import drop_order_nb, leg_value_nb, report_account_nb, report_nb
from simcore.jit import kernel, part


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
            move = share / quantity
            venue["safe_low"][symbol] = worst - move if share > 0.0 else math.inf
            venue["safe_high"][symbol] = worst + move if share > 0.0 else 0.0


@part
def worst_price_nb(venue, symbol):
    """Return the extreme at which the symbol's legs together are worth least, after their maintenance."""
    low, high = venue["low"][symbol], venue["high"][symbol]
    first, second = venue["position"][symbol * 2]["qty_lots"], venue["position"][symbol * 2 + 1]["qty_lots"]
    if (first == 0 or second == 0) and venue["mmr_bound"] < 1.0:
        return low if first + second > 0 else high
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
