"""The quoter: keeps the two-sided quotes that strategies state standing at the exchange, as post-only orders.

A quote that rests has a place in the queue, and that is worth more than a tick: it stays while its wish is nearer than
`min_requote_ticks` and of like size. Else it is taken back and its replacement leaves at the same wake. What is being taken
back may still fill, so it counts until the exchange has said that it is gone.

Each new quote goes through screener, sizer and gate, which counts every resting quote at its worst. What only reduces the
position answers to neither, like any exit. A reason to refuse is logged when it changes, not at every wake. All quotes of a
sleeve are taken back when the kill switch is latched, when its book is unusable or old, and when its strategy stops quoting.
"""

from __future__ import annotations

from simcore.decision.exposure import clear_intent_nb, gather_exposure_nb, losses_nb, price_intent_nb, quoted_lots_nb
from simcore.decision.market import steps_seen_nb
from simcore.decision.outbox import log_gate_vetoes_nb, log_nb, request_quote_cancel_nb, request_quote_nb
from simcore.decision.risk_gate import check_order_nb, first_veto_nb
from simcore.decision.router import abandon_route_nb
from simcore.decision.screener import would_emit_nb
from simcore.decision.sizer import size_lots_nb, suggest_gross_usd_nb
from simcore.domain.enums import BUY, SELL, LedgerKind, Leg, Purpose, QuoteStage, QuoteState, RejectCode, ReportKind, Screen
from simcore.domain.records import MAX_SYMBOLS
from simcore.engine.rounding import lots_down_nb, passive_ticks_nb
from simcore.jit import kernel, part

# A price beyond so many times the mid is no price: it would not even fit an integer.
ABSURD = 1e3
# Codes of `sleeve["quote_code"]`: a `Screen` as it is, a `Veto` from here on.
GATE_CODES = 100
ASK_CODES = 1000


@kernel
def quote_nb(core):
    """Bring the orders of every quoting sleeve in line with its wish."""
    for strategy in range(core["n_strategies"]):
        if core["strategy"][strategy]["quotes"] == 1:
            for symbol in range(core["n_symbols"]):
                if core["sleeve"][strategy * MAX_SYMBOLS + symbol]["quote_base"] >= 0:
                    keep_quotes_nb(core, strategy, symbol)


@part
def keep_quotes_nb(core, strategy, symbol):
    """Take back what is no longer wished on one symbol, then send what is missing."""
    index = strategy * MAX_SYMBOLS + symbol
    sleeve, signal = core["sleeve"][index], core["signal"][index]
    state = quote_state_nb(core, index, symbol)
    if state != sleeve["quote_state"]:
        turn_state_nb(core, strategy, symbol, state)
    depth = sleeve["quote_depth"]
    wanted = state == QuoteState.QUOTING or state == QuoteState.ENTRIES_HALTED
    if depth == 0 and not wanted:
        return
    levels = min(signal["quote_levels"], core["quoter"]["levels"]) if wanted else 0
    missing = 0
    for side in (BUY, SELL):
        missing += review_side_nb(core, strategy, symbol, side, levels, state)
    if missing > 0:
        for side in (BUY, SELL):
            send_side_nb(core, strategy, symbol, side, levels, state)
    elif depth > levels:
        forget_levels_nb(core, sleeve, levels)


@part
def quote_state_nb(core, index, symbol):
    """Return the `QuoteState` of one sleeve now."""
    sleeve, market, account = core["sleeve"][index], core["market"][symbol], core["account"]
    if account["kill_switch"] != 0:
        return QuoteState.KILL_SWITCH.value
    if core["signal"][index]["quote_levels"] < 1:
        return QuoteState.WITHDRAWN.value
    if market["book_ok"] == 0:
        return QuoteState.BOOK_UNUSABLE.value
    if core["now_ns"] - market["ts_ns"] > core["screen"][index]["market_max_age_ns"]:
        return QuoteState.MARKET_STALE.value
    if sleeve["exit_route"] >= 0:
        return QuoteState.LEAVING.value
    losses_nb(account)
    if account["day_loss_pct"] > core["limits"][index]["max_daily_loss_pct"] or core["screen"][index]["in_universe"] == 0:
        return QuoteState.ENTRIES_HALTED.value
    return QuoteState.QUOTING.value


@part
def turn_state_nb(core, strategy, symbol, state):
    """Note that quoting begins or ends; a strategy that stopped quoting is judged by its side again, so a flat wish sends it home.

    One that quotes again while it is being sent home stops that first.
    """
    index = strategy * MAX_SYMBOLS + symbol
    sleeve, signal = core["sleeve"][index], core["signal"][index]
    log_nb(
        core, LedgerKind.QUOTE.value, state, symbol, strategy, 0, sleeve["side"], sleeve["qty_lots"], core["market"][symbol]["close_ticks"],
        signal["bid"], signal["ask"], signal["quote_levels"] * 1.0, signal["bid_size"], signal["ask_size"], sleeve["quote_state"] * 1.0,
    )
    sleeve["quote_state"] = state
    sleeve["quote_code"] = 0
    if state == QuoteState.WITHDRAWN:
        sleeve["retry_ns"] = core["now_ns"]
    elif state == QuoteState.LEAVING and core["route"][sleeve["exit_route"]]["purpose"] == Purpose.EXIT:
        abandon_route_nb(core, sleeve["exit_route"])


# ------------------------------------------------------------ what is wished


@part
def wished_ticks_nb(core, index, symbol, side, level):
    """Return the price in ticks of one wished quote, 0 for none; never at or beyond the other side of the touch.

    The innermost is rounded away from the market; the others stand `quote_step` apart from where it came to stand.
    """
    signal, market, instrument = core["signal"][index], core["market"][symbol], core["instrument"][symbol]
    tick, step = instrument["tick_size"], instrument["price_filter_ticks"]
    price = signal["bid"] if side == BUY else signal["ask"]
    if not (0.0 < price < ABSURD * market["close"]):
        return 0
    inner = passive_ticks_nb(side, price, tick, step)
    if side == BUY:
        inner = min(inner, market["ask_ticks"] - step)
    else:
        inner = max(inner, market["bid_ticks"] + step)
    if level > 0:
        outer = inner * tick - side * level * signal["quote_step"]
        if not (0.0 < outer < ABSURD * market["close"]):
            return 0
        inner = passive_ticks_nb(side, outer, tick, step)
    return max(0, inner)


@part
def wished_lots_nb(core, strategy, symbol, side, price_ticks):
    """Return the lots the sizer suggests for one quote, before the gate; 0 for none."""
    index = strategy * MAX_SYMBOLS + symbol
    signal, market, instrument = core["signal"][index], core["market"][symbol], core["instrument"][symbol]
    sizing = core["sizing"][strategy]
    share = signal["bid_size"] if side == BUY else signal["ask_size"]
    if not share > 0.0 or price_ticks < 1:
        return 0
    price = price_ticks * instrument["tick_size"]
    usd = min(share, 1.0) * suggest_gross_usd_nb(sizing, signal, market, core["policy"][symbol], core["account"], price)
    lots = lots_down_nb(usd / price, instrument["step_size"], instrument["lot_filter_lots"])
    most = sizing["max_participation_pct"] * market["volume_day"]
    if not lots * instrument["step_size"] <= most:
        lots = lots_down_nb(most, instrument["step_size"], instrument["lot_filter_lots"])
    return min(lots, instrument["max_qty_lots"])


@part
def row_of_nb(core, sleeve, side, level):
    """Return the first of the two QUOTE rows of one side's level."""
    levels = core["quoter"]["levels"]
    return sleeve["quote_base"] + 2 * (level if side == BUY else levels + level)


@part
def standing_nb(core, row):
    """Return which of a level's two rows holds an order that stands (not being taken back), -1 if none does."""
    for at in range(row, row + 2):
        if core["quote"][at]["active"] == 1 and core["quote"][at]["stage"] != QuoteStage.CANCELLING:
            return at
    return -1


# ------------------------------------------------------------ what stands


@part
def review_side_nb(core, strategy, symbol, side, levels, state):
    """Take back what should not stand on one side; return how many quotes are missing, each wish left in its level's free row."""
    index = strategy * MAX_SYMBOLS + symbol
    sleeve = core["sleeve"][index]
    depth = max(levels, sleeve["quote_depth"])
    lots, sized, missing = -1, -1, 0
    held = -side * sleeve["side"] * sleeve["qty_lots"]
    halted = state == QuoteState.ENTRIES_HALTED
    for level in range(depth):
        row = row_of_nb(core, sleeve, side, level)
        ticks = wished_ticks_nb(core, index, symbol, side, level) if level < levels else 0
        if ticks > 0 and lots < 0:
            lots, sized = wished_lots_nb(core, strategy, symbol, side, ticks), level
        wanted = ticks > 0 and lots > 0 and (not halted or held > 0)
        stands = False
        for at in range(row, row + 2):
            quote = core["quote"][at]
            if quote["active"] == 0:
                continue
            if quote["stage"] == QuoteStage.CANCELLING:
                retry_cancel_nb(core, at)
            elif not wanted or (halted and quoted_lots_nb(sleeve, side) > 0) or moved_nb(core, symbol, quote, ticks, lots):
                cancel_quote_nb(core, at)
            else:
                stands = True
        if stands:
            continue
        if wanted:
            missing += 1
            wish_nb(core, row, ticks, lots if level == sized else wished_lots_nb(core, strategy, symbol, side, ticks))
        else:
            wish_nb(core, row, 0, 0)
    return missing


@part
def wish_nb(core, row, ticks, lots):
    """Keep price and size (0: none) of a level where nothing stands in the row that is free for it, if one is."""
    for at in range(row, row + 2):
        if core["quote"][at]["active"] == 0:
            core["quote"][at]["price_ticks"] = ticks
            core["quote"][at]["wished_lots"] = lots
            return


@part
def moved_nb(core, symbol, quote, ticks, lots):
    """Say whether a standing quote is too far from its wish, in price or in size, to be worth its place in the queue."""
    away = abs(quote["price_ticks"] - ticks)
    if away >= core["quoter"]["min_requote_ticks"] * core["instrument"][symbol]["price_filter_ticks"]:
        return True
    # A quote the gate cut down, or that reduces, is as large as it could be; one that filled in part keeps its place.
    return quote["leaves_lots"] > lots * (1.0 + core["quoter"]["resize_pct"]) or (
        quote["wished_lots"] < lots * (1.0 - core["quoter"]["resize_pct"])
    )


@part
def cancel_quote_nb(core, row):
    """Take one quote back."""
    quote = core["quote"][row]
    quote["stage"] = QuoteStage.CANCELLING
    quote["cancel_ns"] = core["now_ns"]
    request_quote_cancel_nb(core, row)


@part
def retry_cancel_nb(core, row):
    """Ask again for a cancel that nobody answered."""
    if core["now_ns"] - core["quote"][row]["cancel_ns"] >= core["quoter"]["cancel_retry_ns"]:
        cancel_quote_nb(core, row)


@kernel
def withdraw_quotes_nb(core):
    """Take back every quote of the run."""
    for strategy in range(core["n_strategies"]):
        for symbol in range(core["n_symbols"]):
            sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
            if sleeve["quote_base"] >= 0 and sleeve["quote_depth"] > 0:
                for row in range(sleeve["quote_base"], sleeve["quote_base"] + 4 * core["quoter"]["levels"]):
                    quote = core["quote"][row]
                    if quote["active"] == 1 and quote["stage"] != QuoteStage.CANCELLING:
                        cancel_quote_nb(core, row)


@part
def forget_levels_nb(core, sleeve, levels):
    """Lower the number of levels to look at to what has orders or is wished."""
    depth = sleeve["quote_depth"]
    while depth > levels:
        for side in (BUY, SELL):
            row = row_of_nb(core, sleeve, side, depth - 1)
            if core["quote"][row]["active"] == 1 or core["quote"][row + 1]["active"] == 1:
                sleeve["quote_depth"] = depth
                return
        depth -= 1
    sleeve["quote_depth"] = depth


# ------------------------------------------------------------ what is sent


@part
def send_side_nb(core, strategy, symbol, side, levels, state):
    """Send the missing quotes of one side, innermost first, as far as screener and gate let them."""
    index = strategy * MAX_SYMBOLS + symbol
    sleeve = core["sleeve"][index]
    for level in range(levels):
        row = row_of_nb(core, sleeve, side, level)
        if standing_nb(core, row) >= 0:
            continue
        if core["quote"][row]["active"] == 1:
            row += 1
        if core["quote"][row]["active"] == 1:
            continue
        ticks, wished = core["quote"][row]["price_ticks"], core["quote"][row]["wished_lots"]
        if wished < 1:
            continue
        reducible = max(0, -quoted_lots_nb(sleeve, side))
        lots = min(wished, reducible)
        reduce_only = 1
        if wished > reducible and state == QuoteState.QUOTING:
            passed = judge_entry_nb(core, strategy, symbol, side, ticks, wished, reducible)
            if passed > 0:
                lots, reduce_only = passed, 0
        elif lots > 0:
            is_news_nb(sleeve, side, 0)
        if lots > 0:
            place_quote_nb(core, strategy, symbol, row, side, level, ticks, lots, wished, reduce_only)


@part
def judge_entry_nb(core, strategy, symbol, side, ticks, wished, reducible):
    """Return the lots of a quote that may open, after screener and gate; 0 when they refuse it, with the reason logged if it is new."""
    index = strategy * MAX_SYMBOLS + symbol
    intent, account, limits, instrument = core["intent"], core["account"], core["limits"][index], core["instrument"][symbol]
    wish, market = core["wish"][0], core["view"][0]
    core["wish"][0] = core["signal"][index]
    wish["side"] = side
    core["view"][0] = core["market"][symbol]
    market["bars"] = steps_seen_nb(core, strategy, symbol)
    sleeve, now, checks = core["sleeve"][index], core["now_ns"], core["checks"]
    code = would_emit_nb(wish, market, core["policy"][symbol], core["screen"][index], instrument, sleeve, now, checks)
    if code != Screen.NONE:
        if is_news_nb(sleeve, side, code):
            log_screen_veto_nb(core, strategy, symbol, side, code, ticks, wished)
        return 0
    clear_intent_nb(core, strategy, symbol, side, Leg.BOTH.value)
    intent["quote"] = 1
    gather_exposure_nb(core, strategy, symbol, side)
    losses_nb(account)
    intent["crosses_zero"] = 1 if reducible > 0 else 0
    intent["reducible_lots"] = reducible * 1.0
    price_intent_nb(core, wished, ticks)
    mask = check_order_nb(intent, account, limits, now, checks)
    if mask == 0:
        is_news_nb(sleeve, side, 0)
        return wished
    share, usd = core["sizing"][strategy]["max_participation_pct"], intent["notional"]
    lots, _ = size_lots_nb(intent, account, limits, usd, market["volume_day"], share, instrument["step_size"])
    if lots > reducible:
        price_intent_nb(core, lots, ticks)
        mask = check_order_nb(intent, account, limits, now, checks)
        if mask == 0:
            is_news_nb(sleeve, side, 0)
            return lots
    if is_news_nb(sleeve, side, GATE_CODES + first_veto_nb(mask)):
        log_gate_vetoes_nb(core, mask)
    return 0


@part
def is_news_nb(sleeve, side, code):
    """Keep why a side's quote was refused (0: it was not); True when that changed."""
    bid, ask = sleeve["quote_code"] % ASK_CODES, sleeve["quote_code"] // ASK_CODES
    if side == BUY:
        sleeve["quote_code"] = code + ask * ASK_CODES
        return bid != code
    sleeve["quote_code"] = bid + code * ASK_CODES
    return ask != code


@part
def log_screen_veto_nb(core, strategy, symbol, side, code, ticks, lots):
    """Write the ledger row of a quote the screener dropped."""
    core["totals"]["screen_vetoes"] += 1
    log_nb(
        core, LedgerKind.SCREEN_VETO.value, code, symbol, strategy, 0, side, lots, ticks, core["checks"][code, 0], core["checks"][code, 1],
        0.0, 0.0, 0.0, 0.0,
    )


@part
def place_quote_nb(core, strategy, symbol, row, side, level, ticks, lots, wished, reduce_only):
    """Write one QUOTE row and send its order."""
    sleeve, quote = core["sleeve"][strategy * MAX_SYMBOLS + symbol], core["quote"][row]
    quote["active"] = 1
    quote["strategy"] = strategy
    quote["symbol"] = symbol
    quote["side"] = side
    quote["level"] = level
    quote["stage"] = QuoteStage.SENT
    quote["price_ticks"] = ticks
    quote["qty_lots"] = lots
    quote["wished_lots"] = wished
    quote["leaves_lots"] = lots
    quote["sent_ns"] = core["now_ns"]
    quote["cancel_ns"] = 0
    quote["reduce_only"] = reduce_only
    quote["arrival"] = core["market"][symbol]["close"]
    rest_nb(sleeve, side, lots)
    sleeve["quote_depth"] = max(sleeve["quote_depth"], level + 1)
    core["n_quotes"] += 1
    request_quote_nb(core, row)


@part
def rest_nb(sleeve, side, lots):
    """Count lots that a side's quotes may fill; negative ones are gone."""
    if side == BUY:
        sleeve["bid_lots"] += lots
    else:
        sleeve["ask_lots"] += lots


# ------------------------------------------------------------ what the exchange says


@part
def owns_quote_nb(core, report):
    """Say whether the report's order is the one its QUOTE row holds now."""
    if report["quote"] < 0:
        return False
    quote = core["quote"][report["quote"]]
    return quote["active"] == 1 and quote["order_id"] == report["order_id"]


@part
def quote_changed_nb(core, report):
    """Take an order state of a quote: it rests, or it is gone. A refused post-only order is a miss."""
    if not owns_quote_nb(core, report):
        return
    quote = core["quote"][report["quote"]]
    if report["kind"] == ReportKind.ACCEPTED:
        if quote["stage"] == QuoteStage.SENT:
            quote["stage"] = QuoteStage.RESTING
        return
    if report["code"] == RejectCode.POST_ONLY:
        core["totals"]["quote_misses"] += 1
    end_quote_nb(core, quote)


@part
def quote_filled_nb(core, report):
    """Take a fill of a quote; a strategy that no longer quotes gets its side looked at again."""
    quote = core["quote"][report["quote"]]
    index = quote["strategy"] * MAX_SYMBOLS + quote["symbol"]
    core["totals"]["quote_fills"] += 1
    rest_nb(core["sleeve"][index], quote["side"], report["leaves_lots"] - quote["leaves_lots"])
    quote["leaves_lots"] = report["leaves_lots"]
    if quote["leaves_lots"] < 1:
        end_quote_nb(core, quote)
    if core["signal"][index]["quote_levels"] < 1:
        core["sleeve"][index]["retry_ns"] = core["now_ns"]


@part
def end_quote_nb(core, quote):
    """Free the place of a quote whose order is gone."""
    rest_nb(core["sleeve"][quote["strategy"] * MAX_SYMBOLS + quote["symbol"]], quote["side"], -quote["leaves_lots"])
    quote["leaves_lots"] = 0
    quote["active"] = 0
    core["n_quotes"] -= 1
