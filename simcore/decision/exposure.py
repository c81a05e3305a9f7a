"""Exposure: everything the account holds or may come to hold, counted before an order is judged.

Pending entries count in full, pending exits give no credit, and resting orders on the other side do not offset: the gate
judges the worst that can happen. Resting quotes may fill in any order: a sleeve of `held` lots with `bids` and `asks` ends
between held - asks and held + bids, and counts with the larger of the two sizes.
"""

from __future__ import annotations

from simcore.domain.records import MAX_SYMBOLS
from simcore.engine.account import mark_position_nb
from simcore.engine.margin import bracket_of_nb, maintenance_nb
from simcore.jit import kernel, part


@kernel
def clear_intent_nb(core, strategy, symbol, side, leg):
    """Start an order intent for the symbol, with nothing known about exposure yet."""
    intent = core["intent"]
    instrument = core["instrument"][symbol]
    market = core["market"][symbol]
    intent["ts_ns"] = core["now_ns"]
    intent["symbol"] = symbol
    intent["strategy"] = strategy
    intent["tier"] = instrument["tier"]
    intent["side"] = side
    intent["leg"] = leg
    intent["reduce_only"] = 0
    intent["crosses_zero"] = 0
    intent["quote"] = 0
    intent["qty_lots"] = 0
    intent["step_lots"] = instrument["lot_filter_lots"]
    intent["min_qty_lots"] = instrument["min_qty_lots"]
    intent["max_qty_lots"] = instrument["max_qty_lots"]
    intent["min_notional_e8"] = instrument["min_notional_e8"]
    intent["unit_e8"] = instrument["unit_e8"]
    intent["market_ts_ns"] = market["ts_ns"]
    intent["trading"] = instrument["trading"]
    intent["mark"] = market["mark"]
    intent["price_ticks"] = market["close_ticks"]
    intent["price"] = market["close"]
    intent["notional"] = 0.0
    intent["reducible_lots"] = 0.0
    intent["stop_distance"] = 0.0


@part
def quoted_lots_nb(sleeve, side):
    """Return the most lots a sleeve may come to hold towards `side` (negative: it stays on the other) when its quotes fill."""
    return side * sleeve["side"] * sleeve["qty_lots"] + (sleeve["bid_lots"] if side > 0 else sleeve["ask_lots"])


@kernel
def gather_exposure_nb(core, strategy, symbol, side):
    """Fill the intent's context and the account's margin figures from every sleeve, held, pending and quoted.

    A new quote is judged by its own side of its sleeve alone, beside the worst of all others: it cannot make the other side worse.
    """
    intent = core["intent"]
    account = core["account"]
    tier = intent["tier"]
    gross = net = symbol_gross = tier_gross = strategy_gross = 0.0
    initial = maintenance = 0.0
    held_count = pending_count = tier_count = strategy_count = 0
    for other in range(core["n_symbols"]):
        instrument = core["instrument"][other]
        value = core["market"][other]["mark"] * instrument["step_size"]
        long_lots = short_lots = 0
        symbol_lots = 0
        for owner in range(core["n_strategies"]):
            sleeve = core["sleeve"][owner * MAX_SYMBOLS + other]
            held = sleeve["qty_lots"]
            pending = sleeve["pending_entry_lots"]
            quoted = sleeve["bid_lots"] + sleeve["ask_lots"]
            if held == 0 and pending == 0 and quoted == 0:
                continue
            if held > 0:
                held_count += 1
            else:
                pending_count += 1
            if quoted > 0:
                toward = quoted_lots_nb(sleeve, side)
                net += side * toward * value
                held = max(0, toward)
                if intent["quote"] == 0 or owner != strategy or other != symbol:
                    held = max(held, quoted_lots_nb(sleeve, -side))
            else:
                net += sleeve["side"] * held * value
            lots = held + pending
            symbol_lots += lots
            if pending > 0 and sleeve["wish"] == side:
                net += side * pending * value
            if sleeve["side"] > 0:
                long_lots += held
            else:
                short_lots += held
            if sleeve["wish"] > 0:
                long_lots += pending
            else:
                short_lots += pending
            if owner == strategy:
                strategy_gross += lots * value
                strategy_count += 1
            if instrument["tier"] == tier:
                tier_count += 1
        if symbol_lots > 0:
            total = symbol_lots * value
            gross += total
            if instrument["tier"] == tier:
                tier_gross += total
            if other == symbol:
                symbol_gross = total
            initial += total / instrument["leverage"]
            maintenance += maintenance_nb(instrument, long_lots * value) + maintenance_nb(instrument, short_lots * value)
    intent["symbol_gross"] = symbol_gross
    intent["tier_gross"] = tier_gross
    intent["strategy_gross"] = strategy_gross
    intent["gross"] = gross
    intent["net"] = net
    intent["open_positions"] = held_count + pending_count
    intent["tier_positions"] = tier_count
    intent["strategy_positions"] = strategy_count
    own = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
    idle = own["qty_lots"] == 0 and own["pending_entry_lots"] == 0 and own["bid_lots"] == 0 and own["ask_lots"] == 0
    intent["new_position"] = 1 if idle else 0
    account["gross"] = gross
    account["net"] = net
    account["initial_margin"] = initial
    account["maintenance_margin"] = maintenance
    account["available"] = account["nav"] - initial
    account["open_positions"] = held_count
    account["pending_positions"] = pending_count


@kernel
def price_intent_nb(core, qty_lots, price_ticks):
    """Set quantity and worst price of the intent, and the margin terms that follow from them."""
    intent = core["intent"]
    instrument = core["instrument"][intent["symbol"]]
    intent["qty_lots"] = qty_lots
    intent["price_ticks"] = price_ticks
    intent["price"] = price_ticks * instrument["tick_size"]
    intent["notional"] = qty_lots * price_ticks * instrument["unit_e8"] * 1e-8
    bracket = bracket_of_nb(instrument, intent["symbol_gross"] + intent["notional"])
    leverage = instrument["leverage"]
    if instrument["n_brackets"] > 0:
        if instrument["bracket_leverage"][bracket] < leverage:
            leverage = instrument["bracket_leverage"][bracket]
        intent["mmr"] = instrument["bracket_mmr"][bracket]
    else:
        intent["mmr"] = 0.0
    intent["leverage"] = leverage


@part
def losses_nb(account):
    """Bring the day's loss, as the gate reads it, up to date."""
    if account["day_start_nav"] > 0.0:
        account["day_loss_pct"] = 1.0 - account["nav"] / account["day_start_nav"]


@kernel
def mark_account_nb(core):
    """Revalue every open leg at its mark and refresh NAV, its peak and the deepest drawdown."""
    account = core["account"]
    upnl = 0.0
    if account["open_legs"] > 0:
        for symbol in range(core["n_symbols"]):
            for leg in range(2):
                position = core["position"][symbol * 2 + leg]
                if position["qty_lots"] != 0:
                    step_size = core["instrument"][symbol]["step_size"]
                    upnl += mark_position_nb(position, core["market"][symbol]["mark"], step_size)
    account["upnl"] = upnl
    nav = account["wallet_e8"] * 1e-8 + upnl
    account["nav"] = nav
    account["nav_ts_ns"] = core["now_ns"]
    if nav > account["peak_nav"]:
        account["peak_nav"] = nav
        account["drawdown_pct"] = 0.0
    elif account["peak_nav"] > 0.0:
        account["drawdown_pct"] = 1.0 - nav / account["peak_nav"]
        if account["drawdown_pct"] > account["max_drawdown_pct"]:
            account["max_drawdown_pct"] = account["drawdown_pct"]
