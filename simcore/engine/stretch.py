"""The quiet stretch: the bars of a run with one symbol and one strategy in which nothing happens but prices.

Nothing rests at the venue, no parent order is being worked, no clock strikes and the margin is known to hold: then a slice is a
bar that is seen, books that are marked and a strategy that keeps its wish. `engine/step.py` would do the same, record by record;
here the account stays in registers. A test holds the two against each other, to the last byte of every record.
"""

from __future__ import annotations

from simcore.decision.market import NANOS_PER_HOUR, utc_hour_nb
from simcore.engine.schedule import NEVER
from simcore.jit import inlined, part

NEAR = 1e-9


@part
def is_quiet_nb(run, venue, core):
    """Say whether the next slices may be played as a quiet stretch."""
    if run["n_symbols"] != 1 or core["n_strategies"] != 1 or core["n_timeframes"] != 1 or core["active_routes"] > 0:
        return False
    if venue["live_orders"][0] > 0 or venue["n_reports"] > 0 or venue["look"] == 1 or run["journal_on"] == 1 or run["external"] == 1:
        return False
    account = core["account"]
    if core["n_quotes"] > 0 or account["orders_in_minute"] > 0 or core["strategy"][0]["on"] != 0:
        return False
    if account["kill_switch"] != 0 or not account["peak_nav"] > 0.0:
        return False
    hedged = core["position"][0]["qty_lots"] != 0 and core["position"][1]["qty_lots"] != 0
    return not hedged and core["market"][0]["bars"] > 0 and run["bar_pos"][0] < run["bar_end"][0]


@part
def quiet_until_ns_nb(run, core, until_ns):
    """Return the last moment before a clock strikes: a mark, funding, a day, an equity sample, a horizon, a retry."""
    sleeve = core["sleeve"][0]
    last_ns = min(until_ns, run["next_other_ns"] - 1, core["next_day_ns"] - 1, core["equity_due_ns"] - 1)
    if sleeve["horizon_ns"] > 0:
        last_ns = min(last_ns, sleeve["horizon_ns"] - 1)
    if sleeve["retry_ns"] > 0:
        last_ns = min(last_ns, sleeve["retry_ns"] - 1)
    return last_ns


@inlined
def play_quiet_nb(run, venue, core, bars, places, function, until_ns, max_slices):
    """Play quiet slices up to the first that is not; True when the last one's strategy has spoken for another side.

    That slice is left open: what ends a decision is still to be done for it.
    """
    market, sleeve, signal, instrument = core["market"][0], core["sleeve"][0], core["signal"][0], core["instrument"][0]
    account, entry = core["account"], core["strategy"][0]
    params, memory_base = entry["param_base"], entry["memory_base"]
    position = core["position"][0] if core["position"][1]["qty_lots"] == 0 else core["position"][1]
    qty, step, tick, interval = position["qty_lots"], instrument["step_size"], instrument["tick_size"], instrument["interval_ns"]
    cost = position["cost_e8"] * 1e-8 if qty > 0 else -(position["cost_e8"] * 1e-8)
    wallet, peak, worst = account["wallet_e8"] * 1e-8, account["peak_nav"], account["max_drawdown_pct"]
    most = core["limits"][0]["max_drawdown_pct"]
    # A drawdown costs a division. It is deepest where NAV is lowest, and it cannot be too deep above this floor.
    lowest, floor = peak, peak * (1.0 - most) + peak * NEAR
    safe_low, safe_high = venue["safe_low"][0], venue["safe_high"][0]
    last_ns = quiet_until_ns_nb(run, core, until_ns)
    first, end, wish = run["bar_pos"][0], run["bar_end"][0], sleeve["wish"]
    held = 1 if sleeve["side"] != 0 else 0
    pos, known_ns, hour_end_ns = first, market["ts_ns"], 0
    upnl, nav, spoke = account["upnl"], account["nav"], False
    while pos < end and pos - first < max_slices:
        bar = bars[pos]
        ts_ns = bar["open_ns"] + interval
        low, high, close = bar["low_ticks"] * tick, bar["high_ticks"] * tick, bar["close_ticks"] * tick
        if ts_ns > last_ns or bar["open_ns"] > known_ns or low < safe_low or high > safe_high:
            break
        now_upnl = qty * step * close - cost if qty != 0 else 0.0
        now_nav = wallet + now_upnl
        if now_nav < floor and 1.0 - now_nav / peak > most:
            break
        upnl, nav = now_upnl, now_nav
        if nav > peak:
            worst = max(worst, 1.0 - lowest / peak)
            peak = lowest = nav
            floor = peak * (1.0 - most) + peak * NEAR
        elif nav < lowest:
            lowest = nav
        if ts_ns >= hour_end_ns:
            market["hour"] = utc_hour_nb(ts_ns)
            hour_end_ns = (ts_ns // NANOS_PER_HOUR + 1) * NANOS_PER_HOUR
        market["open_ns"] = bar["open_ns"]
        market["ts_ns"] = ts_ns
        market["bars"] += 1
        market["bars_since_gap"] += 1
        market["gap_bars"] = 0
        market["fresh"] = 1
        market["close_ticks"] = bar["close_ticks"]
        market["open"] = bar["open_ticks"] * tick
        market["high"] = high
        market["low"] = low
        market["close"] = close
        market["volume"] = bar["volume_lots"] * step
        market["sigma_day"] = bar["sigma_day"]
        market["volume_day"] = bar["volume_day"]
        market["mark"] = close
        core["now_ns"] = ts_ns
        known_ns = ts_ns
        pos += 1
        function(market, sleeve, places, params, memory_base, signal)
        if signal["side"] != wish:
            spoke = True
            break
        sleeve["bars_held"] += held
    if pos > first:
        market["fresh"] = 1 if spoke else 0
        core["fresh"] = market["fresh"]
        account["upnl"], account["nav"], account["nav_ts_ns"] = upnl, nav, known_ns
        account["peak_nav"], account["drawdown_pct"] = peak, 1.0 - nav / peak
        account["max_drawdown_pct"] = max(worst, 1.0 - lowest / peak)
        if qty != 0:
            position["mark"], position["upnl"] = market["mark"], upnl
        venue["now_ns"] = known_ns
        venue["mark"][0], venue["low"][0], venue["high"][0] = market["close"], market["low"], market["high"]
        venue["sigma_day"][0], venue["volume_day"][0] = market["sigma_day"], market["volume_day"]
        run["events"] += pos - first
        run["bar_pos"][0] = pos
        run["bar_ns"][0] = bars[pos]["open_ns"] + interval if pos < end else NEVER
        run["next_bar_ns"] = run["bar_ns"][0]
        ended = pos - first - (1 if spoke else 0)
        run["slices"] += ended
        core["totals"]["decisions"] += ended
    return spoke
