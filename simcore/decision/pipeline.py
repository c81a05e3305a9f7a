"""The pipeline: one decision over everything that is known now, from wish to order request.

The order within a decision is fixed: books are marked, switches and clocks turn, open parent orders take their next step,
strategies speak (all of them, before any is acted on), then each wish goes through screener, sizer, risk gate and router,
strategies in registry order and symbols by name. A flip is an exit first; the entry is tried when the sleeve is flat.
"""

from __future__ import annotations

from simcore.decision.exposure import clear_intent_nb, gather_exposure_nb, losses_nb, mark_account_nb, price_intent_nb
from simcore.decision.market import ON_BOOK, ON_TIMER, ON_TRADE, clear_fresh_nb, steps_seen_nb
from simcore.decision.outbox import NANOS_PER_MINUTE, log_gate_vetoes_nb, log_nb, log_short_nb
from simcore.decision.quoter import withdraw_quotes_nb
from simcore.decision.risk_gate import check_order_nb, latch_kill_switch_nb
from simcore.decision.router import (
    abandon_route_nb,
    cap_price_nb,
    hurry_route_nb,
    open_route_nb,
    quote_price_nb,
    send_next_nb,
)
from simcore.decision.screener import would_emit_nb
from simcore.decision.sizer import fit_lots_nb, minimum_lots_nb, suggest_gross_usd_nb
from simcore.domain.enums import BUY, LedgerKind, Leg, PositionMode, Purpose, Screen
from simcore.domain.records import EQUITY_ROOM, MAX_SYMBOLS
from simcore.engine.margin import maintenance_nb
from simcore.engine.money import mul_div_floor_nb
from simcore.engine.rounding import lots_down_nb, passive_ticks_nb
from simcore.jit import flat, inlined, kernel, part

NANOS_PER_DAY = 86_400_000_000_000
BROKEN_EQUITY_FULL = 5
HORIZON = int(Purpose.HORIZON)


@part
def leg_of_nb(core, side):
    """Return the account leg that a sleeve of `side` lives on."""
    if core["account"]["position_mode"] == PositionMode.ONE_WAY:
        return Leg.BOTH.value
    return Leg.LONG.value if side > 0 else Leg.SHORT.value


@inlined
def begin_decision_nb(core, work_routes, flatten):
    """Mark the books, turn the clocks and switches, and give open parent orders their next step."""
    mark_account_nb(core)
    account = core["account"]
    now = core["now_ns"]
    if now >= core["next_day_ns"]:
        core["next_day_ns"] = (now // NANOS_PER_DAY + 1) * NANOS_PER_DAY
        account["day"] = now // NANOS_PER_DAY
        account["day_start_nav"] = account["nav"]
        log_short_nb(core, LedgerKind.DAY.value, 0, -1, -1, 0, account["nav"], 0.0)
        turn_universe_nb(core)
    if account["orders_in_minute"] > 0 and now // NANOS_PER_MINUTE != account["minute"]:
        account["orders_in_minute"] = 0
    code = latch_kill_switch_nb(account, core["limits"][0], now)
    if code != 0:
        log_short_nb(core, LedgerKind.KILL_SWITCH.value, code, -1, -1, 0, account["drawdown_pct"], core["limits"][0]["max_drawdown_pct"])
    if account["kill_switch"] != 0 and core["flatten_on_kill"] == 1 and (account["open_legs"] > 0 or core["active_routes"] > 0):
        flatten(core)
    if core["active_routes"] > 0:
        work_routes(core)


@part
def turn_universe_nb(core):
    """Let symbols into the universe, and out of it, by the dates of their listing; what is held may still be closed."""
    now = core["now_ns"]
    for strategy in range(core["n_strategies"]):
        for symbol in range(core["n_symbols"]):
            instrument = core["instrument"][symbol]
            listed = instrument["listed_from_ns"] <= now and now < instrument["listed_to_ns"]
            core["screen"][strategy * MAX_SYMBOLS + symbol]["in_universe"] = 1 if listed else 0


@kernel
def flatten_nb(core):
    """Send every open sleeve home at market, and stop every entry that is still being worked. Nothing happens twice."""
    if core["n_quotes"] > 0:
        withdraw_quotes_nb(core)
    for strategy in range(core["n_strategies"]):
        for symbol in range(core["n_symbols"]):
            sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
            if sleeve["entry_route"] >= 0:
                abandon_route_nb(core, sleeve["entry_route"])
            if sleeve["exit_route"] >= 0:
                hurry_route_nb(core, sleeve["exit_route"])
            elif sleeve["side"] != 0:
                start_exit_nb(core, strategy, symbol, Purpose.KILL.value, 1.0)


@inlined
def call_strategies_nb(core, memory, bar_functions, cross_functions):
    """Let every strategy that has a new bar of its timeframe state its wish."""
    n = core["n_symbols"]
    places = flat(memory)
    for index in range(core["n_strategies"]):
        entry = core["strategy"][index]
        first = entry["timeframe"] * MAX_SYMBOLS
        own = index * MAX_SYMBOLS
        params, base, stride = entry["param_base"], entry["memory_base"], entry["memory_stride"]
        if entry["on"] == 0:
            for symbol in range(n):
                market = core["market"][first + symbol]
                if market["fresh"] == 1:
                    sleeve = core["sleeve"][own + symbol]
                    # A place in a tuple that is known when compiling costs nothing; most runs have one strategy.
                    function = bar_functions[0] if index == 0 else bar_functions[index]
                    function(market, sleeve, places, params, base + symbol * stride, core["signal"][own + symbol])
        elif entry["on"] == 1 and any_fresh_nb(core, first):
            markets = core["market"][first : first + n]
            sleeves = core["sleeve"][own : own + n]
            cross_functions[index](markets, sleeves, places, params, base, stride, core["signal"][own : own + n], n)


@inlined
def call_event_strategies_nb(core, memory, bar_functions):
    """Let the strategies that follow the book state their wish: when their time has come, when a touch moved, after trades."""
    now = core["now_ns"]
    for index in range(core["n_strategies"]):
        entry = core["strategy"][index]
        on = entry["on"]
        if on < ON_TIMER or (on == ON_TIMER and now < entry["due_ns"]):
            continue
        if on == ON_TIMER:
            entry["due_ns"] = (now // entry["every_ns"] + 1) * entry["every_ns"]
        own = index * MAX_SYMBOLS
        params, base, stride = entry["param_base"], entry["memory_base"], entry["memory_stride"]
        for symbol in range(core["n_symbols"]):
            market = core["market"][symbol]
            sleeve = core["sleeve"][own + symbol]
            if sleeve["barred"] == 0 and concerns_nb(market, on):
                sleeve["calls"] += 1
                bar_functions[index](market, sleeve, flat(memory), params, base + symbol * stride, core["signal"][own + symbol])


@part
def concerns_nb(market, on):
    """Say whether a book's row is one that a strategy called on `on` (timer, book or trade) should see now."""
    if market["fresh"] == 0:
        return False
    return on == ON_TIMER or (on == ON_BOOK and market["touch_moved"] == 1) or (on == ON_TRADE and market["n_trades"] > 0)


@part
def any_fresh_nb(core, first):
    """Say whether any symbol's bar of the timeframe that starts at `first` closed now."""
    for symbol in range(core["n_symbols"]):
        if core["market"][first + symbol]["fresh"] == 1:
            return True
    return False


@inlined
def act_on_wishes_nb(core, consider, end_trade):
    """Compare every fresh wish with what is held, and do what is needed to make them agree."""
    now = core["now_ns"]
    for strategy in range(core["n_strategies"]):
        first = core["strategy"][strategy]["timeframe"] * MAX_SYMBOLS
        for symbol in range(core["n_symbols"]):
            if core["market"][symbol]["fresh"] == 0:
                continue
            index = strategy * MAX_SYMBOLS + symbol
            sleeve = core["sleeve"][index]
            if sleeve["side"] != 0:
                sleeve["bars_held"] += core["market"][first + symbol]["fresh"]
                if sleeve["horizon_ns"] > 0 and now >= sleeve["horizon_ns"] and sleeve["exit_route"] < 0:
                    end_trade(core, strategy, symbol, HORIZON, 1.0)
            if core["signal"][index]["side"] != sleeve["wish"] or (sleeve["retry_ns"] > 0 and now >= sleeve["retry_ns"]):
                consider(core, strategy, symbol)


@kernel
def consider_nb(core, strategy, symbol):
    """Act on one wish that differs from what is held: stop what contradicts it, leave, or try to enter."""
    index = strategy * MAX_SYMBOLS + symbol
    sleeve = core["sleeve"][index]
    signal = core["signal"][index]
    side = signal["side"]
    if sleeve["barred"] == 1:
        sleeve["wish"] = side
        return
    if side != sleeve["wish"]:
        sleeve["wish"] = side
        sleeve["wish_ns"] = core["now_ns"]
        core["totals"]["signals"] += 1
        log_nb(
            core, LedgerKind.SIGNAL.value, 0, symbol, strategy, 0, side, 0, core["market"][symbol]["close_ticks"], signal["strength"],
            signal["score"], signal["stop_distance"], signal["target_distance"], signal["urgency"], signal["horizon_s"],
        )
    sleeve["retry_ns"] = 0
    if signal["quote_levels"] > 0:
        return
    if sleeve["entry_route"] >= 0 and core["route"][sleeve["entry_route"]]["side"] != side:
        abandon_route_nb(core, sleeve["entry_route"])
    if sleeve["side"] != 0:
        leave_or_stay_nb(core, strategy, symbol, side, signal["urgency"])
    elif side != 0 and sleeve["entry_route"] < 0:
        try_entry_nb(core, strategy, symbol, side)
    elif side != 0 and core["route"][sleeve["entry_route"]]["side"] != side:
        sleeve["retry_ns"] = core["now_ns"]


@part
def leave_or_stay_nb(core, strategy, symbol, side, urgency):
    """Start the exit of a sleeve whose wish changed, or stop an exit that is no longer wished."""
    sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
    if side != sleeve["side"]:
        if sleeve["exit_route"] < 0:
            start_exit_nb(core, strategy, symbol, Purpose.EXIT.value, urgency)
    elif sleeve["exit_route"] >= 0 and core["route"][sleeve["exit_route"]]["purpose"] == Purpose.EXIT:
        abandon_route_nb(core, sleeve["exit_route"])


@part
def start_exit_nb(core, strategy, symbol, purpose, urgency):
    """Send a sleeve home: reduce-only, past the gate, through the router.

    What is held was bought under the filters of its day; whole, it may be sold under any, so none is put to the gate.
    """
    sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
    side = -sleeve["side"]
    leg = leg_of_nb(core, sleeve["side"])
    clear_intent_nb(core, strategy, symbol, side, leg)
    intent = core["intent"]
    intent["reduce_only"] = 1
    intent["reducible_lots"] = sleeve["qty_lots"] * 1.0
    intent["qty_lots"] = sleeve["qty_lots"]
    intent["step_lots"] = 1
    intent["min_qty_lots"] = 1
    intent["max_qty_lots"] = sleeve["qty_lots"]
    mask = check_order_nb(intent, core["account"], core["limits"][strategy * MAX_SYMBOLS + symbol], core["now_ns"], core["checks"])
    if mask != 0:
        log_gate_vetoes_nb(core, mask)
        return
    log_gate_pass_nb(core)
    route = open_route_nb(core, strategy, symbol, side, leg, purpose, sleeve["qty_lots"], urgency)
    if route >= 0:
        sleeve["exit_route"] = route
        send_next_nb(core, route)


@kernel
def end_trade_nb(core, strategy, symbol, purpose, urgency):
    """Send a sleeve home, as a joint: a function with a door of its own must not be another kernel's part as well."""
    start_exit_nb(core, strategy, symbol, purpose, urgency)


@part
def try_entry_nb(core, strategy, symbol, side):
    """Take one entry wish through screener, sizer, gate and router; a refusal is logged with every number compared.

    The screener sees the newest bar of the run, with the warm-up counted in the strategy's own bars.
    """
    index = strategy * MAX_SYMBOLS + symbol
    signal = core["signal"][index]
    sleeve = core["sleeve"][index]
    screen = core["screen"][index]
    market = core["view"][0]
    core["view"][0] = core["market"][symbol]
    market["bars"] = steps_seen_nb(core, strategy, symbol)
    instrument = core["instrument"][symbol]
    code = would_emit_nb(signal, market, core["policy"][symbol], screen, instrument, sleeve, core["now_ns"], core["checks"])
    if code == Screen.NONE and size_entry_nb(core, strategy, symbol, side):
        enter_nb(core, strategy, symbol, side)
        return
    if code != Screen.NONE:
        core["totals"]["screen_vetoes"] += 1
        log_nb(
            core, LedgerKind.SCREEN_VETO.value, code, symbol, strategy, 0, side, 0, market["close_ticks"], core["checks"][code, 0],
            core["checks"][code, 1], 0.0, 0.0, 0.0, 0.0,
        )
    if screen["retry_ns"] > 0:
        sleeve["retry_ns"] = core["now_ns"] + screen["retry_ns"]


@part
def size_entry_nb(core, strategy, symbol, side):
    """Size the entry and put it before the gate; True when the order may go, with its quantity in the intent."""
    index = strategy * MAX_SYMBOLS + symbol
    account, limits, intent = core["account"], core["limits"][index], core["intent"]
    market, instrument, policy = core["market"][symbol], core["instrument"][symbol], core["policy"][symbol]
    clear_intent_nb(core, strategy, symbol, side, leg_of_nb(core, side))
    gather_exposure_nb(core, strategy, symbol, side)
    losses_nb(account)
    worst = worst_price_nb(instrument, market, policy, side)
    # The exchange judges the minimum at the price the order is sent with, we judge the order at its dearest: the bar rises with it.
    least = least_price_nb(instrument, market, policy, side)
    intent["min_notional_e8"] = -mul_div_floor_nb(-instrument["min_notional_e8"], worst, least)
    intent["stop_distance"] = core["signal"][index]["stop_distance"]
    price_intent_nb(core, intent["step_lots"], worst)
    sizing = core["sizing"][strategy]
    usd = suggest_gross_usd_nb(sizing, core["signal"][index], market, policy, account, intent["price"])
    # Leverage and maintenance come from the bracket of the whole suggestion: a smaller order is never in a harder one.
    price_intent_nb(core, max(intent["step_lots"], lots_down_nb(usd / intent["price"], instrument["step_size"], 1)), worst)
    share = sizing["max_participation_pct"]
    lots, clamp = fit_lots_nb(intent, account, limits, usd, market["volume_day"], share, instrument["step_size"], core["checks"])
    price_intent_nb(core, lots, worst)
    log_nb(
        core, LedgerKind.SIZE.value, clamp, symbol, strategy, 0, side, lots, worst, usd, intent["notional"], market["volume_day"],
        account["nav"], 0.0, 0.0,
    )
    if lots == 0:
        price_intent_nb(core, minimum_lots_nb(intent), worst)
    mask = check_order_nb(intent, account, limits, core["now_ns"], core["checks"])
    if mask != 0:
        log_gate_vetoes_nb(core, mask)
        return False
    if lots == 0:
        core["totals"]["screen_vetoes"] += 1
        log_nb(
            core, LedgerKind.SCREEN_VETO.value, Screen.SIZE_ZERO, symbol, strategy, 0, side, 0, worst, usd, intent["notional"],
            clamp * 1.0, 0.0, 0.0, 0.0,
        )
        return False
    log_gate_pass_nb(core)
    return True


@part
def worst_price_nb(instrument, market, policy, side):
    """Return the price in ticks at which an entry costs most: a buy at its taker cap, a sell at its maker quote."""
    tick, tick_step = instrument["tick_size"], instrument["price_filter_ticks"]
    if side == BUY:
        return max(tick_step, cap_price_nb(side, market["close"], policy["price_cap_bps"], tick, tick_step))
    return max(tick_step, quote_price_nb(side, market, policy["offset_bps"], tick, tick_step))


@part
def least_price_nb(instrument, market, policy, side):
    """Return the lowest price in ticks at which an entry may be sent now: a buy's maker quote, a sell's taker cap."""
    tick, tick_step = instrument["tick_size"], instrument["price_filter_ticks"]
    if side == BUY:
        return max(tick_step, quote_price_nb(side, market, policy["offset_bps"], tick, tick_step))
    return max(tick_step, cap_price_nb(side, market["close"], policy["price_cap_bps"], tick, tick_step))


@part
def enter_nb(core, strategy, symbol, side):
    """Open the parent order of an entry that passed, with its stop and target levels."""
    index = strategy * MAX_SYMBOLS + symbol
    signal, sleeve, intent = core["signal"][index], core["sleeve"][index], core["intent"]
    index_route = open_route_nb(
        core, strategy, symbol, side, intent["leg"], Purpose.ENTRY.value, intent["qty_lots"], signal["urgency"]
    )
    if index_route < 0:
        return
    route = core["route"][index_route]
    route["notional"] = intent["notional"]
    set_exits_nb(core["instrument"][symbol], route, signal, side)
    sleeve["entry_route"] = index_route
    sleeve["pending_entry_lots"] = intent["qty_lots"]
    sleeve["horizon_ns"] = core["now_ns"] + int(signal["horizon_s"] * 1e9) if signal["horizon_s"] > 0.0 else 0
    send_next_nb(core, index_route)


@part
def set_exits_nb(instrument, route, signal, side):
    """Turn the signal's distances into stop and target prices around the arrival price; the stop is rounded nearer."""
    tick, tick_step = instrument["tick_size"], instrument["price_filter_ticks"]
    if signal["stop_distance"] > 0.0:
        route["stop_distance"] = signal["stop_distance"]
        stop = passive_ticks_nb(-side, route["arrival"] - side * signal["stop_distance"], tick, tick_step)
        route["stop_ticks"] = stop if stop > 0 else 0
    if signal["target_distance"] > 0.0:
        route["target_distance"] = signal["target_distance"]
        target = passive_ticks_nb(-side, route["arrival"] + side * signal["target_distance"], tick, tick_step)
        route["target_ticks"] = target if target > 0 else 0


@part
def log_gate_pass_nb(core):
    """Write the ledger row of an order the gate let pass."""
    intent = core["intent"]
    log_nb(
        core, LedgerKind.GATE_PASS.value, 0, intent["symbol"], intent["strategy"], 0, intent["side"], intent["qty_lots"],
        intent["price_ticks"], intent["notional"], core["account"]["nav"], intent["symbol_gross"], intent["gross"], intent["net"],
        intent["open_positions"] * 1.0,
    )


@part
def sample_equity_nb(core):
    """Append one row to the equity curve."""
    n = core["n_equity"]
    if n >= EQUITY_ROOM:
        core["broken"] = BROKEN_EQUITY_FULL
        return
    account = core["account"]
    gross = net = maintenance = 0.0
    for symbol in range(core["n_symbols"]):
        for leg in range(2):
            position = core["position"][symbol * 2 + leg]
            if position["qty_lots"] != 0:
                value = position["qty_lots"] * core["instrument"][symbol]["step_size"] * position["mark"]
                net += value
                gross += abs(value)
                maintenance += maintenance_nb(core["instrument"][symbol], abs(value))
    row = core["equity"][n]
    row["ts_ns"] = core["now_ns"]
    row["wallet_e8"] = account["wallet_e8"]
    row["open_positions"] = account["open_legs"]
    row["upnl"] = account["upnl"]
    row["nav"] = account["nav"]
    row["gross"] = gross
    row["net"] = net
    row["maintenance_margin"] = maintenance
    core["n_equity"] = n + 1


@inlined
def end_decision_nb(core, consider, end_trade):
    """Act on the wishes, note gaps, sample equity, and forget which bars were new."""
    if core["gaps"] > 0:
        note_gaps_nb(core)
    act_on_wishes_nb(core, consider, end_trade)
    core["totals"]["decisions"] += 1
    if core["now_ns"] >= core["equity_due_ns"]:
        sample_equity_nb(core)
        every = core["equity_every_ns"]
        core["equity_due_ns"] = (core["now_ns"] // every + 1) * every
    clear_fresh_nb(core)


@part
def note_gaps_nb(core):
    """Write a ledger row for every symbol whose new bar follows missing ones."""
    for symbol in range(core["n_symbols"]):
        market = core["market"][symbol]
        if market["fresh"] == 1 and market["gap_bars"] > 0:
            core["totals"]["gaps"] += 1
            core["totals"]["gap_bars"] += market["gap_bars"]
            log_short_nb(core, LedgerKind.GAP.value, 0, symbol, -1, 0, market["gap_bars"] * 1.0, 0.0)
    core["gaps"] = 0
