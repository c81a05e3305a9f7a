"""The risk gate: the last word before any order, in replay and live.

One pass looks at every limit, so a refusal names all that is broken. The gate takes whole records and has no optional context:
an exposure that is NaN, a count of -1, a NAV that is old or not known is itself a veto. Comparisons are written so that NaN
fails them, and counted in floats so that no integer wraps.

Rules, each proven by a property in tests/property/test_gate_properties.py:

- An entry is judged by the exposure that would stand after it: what is held and pending, plus its notional at the worst
  executable price with the rounded quantity. Net exposure is the worst along the way, for an order may fill in pieces.
- A reduce-only order that stays within what is held answers to the lot filter alone. Nothing else may hold back an exit.
- An order that crosses zero is judged as close + open: entry limits apply to the part beyond what is held, and no credit is
  taken for the part that closes.
- Every limit is monotone: lower equity, a tighter cap, a larger order or more exposure never turns a veto into a pass. Lower
  equity means NAV and available margin fall together, as they do on the exchange.

The first reason is the lowest `Veto` number of those that failed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simcore.domain.enums import BUY, Clamp, Leg, Veto
from simcore.domain.errors import did_you_mean
from simcore.domain.records import ACCOUNT, INTENT, LIMITS, N_VETOES
from simcore.jit import kernel

E8 = 1e-8
NS = 1e-9
# The caller's notional is integer arithmetic, ours is float: they may differ by rounding, never by a lot or a tick.
ROUNDING = 1e-9

# What the gate must know, in the order of the bits of `missing_inputs_nb`.
CONTEXT_INPUTS = (
    "account.known", "account.nav", "account.reserve_nav", "account.available", "account.maintenance_margin",
    "account.day_loss_pct", "account.drawdown_pct", "account.orders_in_minute",
    "intent.side", "intent.reduce_only", "intent.crosses_zero", "intent.new_position", "intent.qty_lots",
    "intent.price_ticks", "intent.unit_e8", "intent.price", "intent.mark", "intent.notional",
    "intent.symbol_gross", "intent.tier_gross", "intent.strategy_gross", "intent.gross", "intent.net",
    "intent.leverage", "intent.mmr", "intent.open_positions", "intent.tier_positions", "intent.strategy_positions",
    "intent.step_lots", "intent.min_qty_lots", "intent.max_qty_lots", "intent.min_notional_e8", "intent.reducible_lots",
    "limits.min_free_margin_pct", "limits.min_liquidation_distance_pct", "account figures", "intent.stop_distance", "intent.tier",
)  # fmt: skip

# Where a person changes the number an order was compared with.
SOURCES = {
    Veto.CONTEXT_MISSING: "inputs of the gate",
    Veto.NAV_STALE: "risk_limits.json: nav_max_age_s",
    Veto.MARKET_STALE: "risk_limits.json: market_max_age_s",
    Veto.KILL_SWITCH: "latched by max_drawdown_pct; cleared by a person only",
    Veto.SYMBOL_NOT_TRADING: "exchange: trading status",
    Veto.MIN_NOTIONAL: "exchange filter: MIN_NOTIONAL",
    Veto.QTY_FILTER: "exchange filter: LOT_SIZE",
    Veto.REDUCE_ONLY: "position: what is held less other reducing orders",
}


@kernel
def at_most_nb(checks, veto, value, cap):
    """Record a comparison and return the bit of `veto` unless value <= cap; NaN on either side fails."""
    checks[veto, 0] = value
    checks[veto, 1] = cap
    return 0 if value <= cap else 1 << veto


@kernel
def at_least_nb(checks, veto, value, floor):
    """Record a comparison and return the bit of `veto` unless value >= floor; NaN on either side fails."""
    checks[veto, 0] = value
    checks[veto, 1] = floor
    return 0 if value >= floor else 1 << veto


@kernel
def age_s_nb(now_ns, then_ns):
    """Return the age of a time stamp in seconds; NaN if it lies in the future or before 1970, for then a clock is wrong."""
    if then_ns < 0 or now_ns < then_ns:
        return math.nan
    return float(now_ns - then_ns) * NS


@kernel
def amount_nb(x):
    """Say whether `x` is a finite amount, zero or more."""
    return 0.0 <= x < math.inf


@kernel
def positive_nb(x):
    """Say whether `x` is finite and above zero."""
    return 0.0 < x < math.inf


@kernel
def finite_nb(x):
    """Say whether `x` is a number of either sign."""
    return -math.inf < x < math.inf


@kernel
def notional_nb(intent, lots):
    """Return the value of `lots` at the intent's price in quote units."""
    return float(lots) * float(intent["price_ticks"]) * float(intent["unit_e8"]) * E8


@kernel
def opening_lots_nb(intent, qty_lots):
    """Return the part of the quantity that opens: all of it, or what lies beyond the position when the order crosses zero."""
    beyond = float(qty_lots) - float(intent["reducible_lots"])
    if intent["crosses_zero"] != 1 or not (intent["reducible_lots"] >= 0.0):
        return float(qty_lots)
    return beyond if beyond > 0.0 else 0.0


@kernel
def tradable_nav_nb(account):
    """Return NAV less what the treasury keeps in reserve; 0 when that is negative or not known."""
    tradable = float(account["nav"]) - float(account["reserve_nav"])
    return tradable if tradable > 0.0 else 0.0


@kernel
def cap_usd_nb(limit_pct, tradable):
    """Return a cap in quote units; where nothing is tradable even an open limit leaves nothing."""
    return 0.0 if tradable <= 0.0 and limit_pct >= 0.0 else float(limit_pct) * tradable


@kernel
def cost_share_nb(intent):
    """Return the cost to open one quote unit of notional: initial margin plus the loss it opens with [COST-01]."""
    price = float(intent["price"])
    loss = float(intent["side"]) * (price - float(intent["mark"]))
    margin = 1.0 / float(intent["leverage"]) if intent["leverage"] > 0.0 else math.inf
    return margin + loss / price if loss > 0.0 and price > 0.0 else margin


@kernel
def free_margin_nb(account):
    """Return the margin that is free, never more than NAV."""
    nav, available = float(account["nav"]), float(account["available"])
    return available if available < nav else nav


@kernel
def missing_inputs_nb(intent, account, limits, qty_lots, notional):
    """Return the inputs an entry is judged by that are not known, one bit each in the order of CONTEXT_INPUTS."""
    ours = notional_nb(intent, qty_lots)
    mask = (account["known"] != 1) << 0 | (not positive_nb(account["nav"])) << 1 | (not amount_nb(account["reserve_nav"])) << 2
    mask |= (not finite_nb(account["available"])) << 3 | (not amount_nb(account["maintenance_margin"])) << 4
    mask |= (not finite_nb(account["day_loss_pct"])) << 5 | (not finite_nb(account["drawdown_pct"])) << 6
    mask |= (account["orders_in_minute"] < 0) << 7 | (intent["side"] != 1 and intent["side"] != -1) << 8
    mask |= (not 0 <= intent["reduce_only"] <= 1) << 9 | (not 0 <= intent["crosses_zero"] <= 1) << 10
    mask |= (not 0 <= intent["new_position"] <= 1) << 11 | (qty_lots < 1) << 12
    mask |= (intent["price_ticks"] < 1) << 13 | (intent["unit_e8"] < 1) << 14
    mask |= (not positive_nb(intent["price"])) << 15 | (not positive_nb(intent["mark"])) << 16
    mask |= (not (positive_nb(ours) and abs(notional - ours) <= ROUNDING * ours)) << 17
    mask |= (not amount_nb(intent["symbol_gross"])) << 18 | (not amount_nb(intent["tier_gross"])) << 19
    mask |= (not amount_nb(intent["strategy_gross"])) << 20 | (not amount_nb(intent["gross"])) << 21
    mask |= (not finite_nb(intent["net"])) << 22 | (not positive_nb(intent["leverage"])) << 23
    mask |= (not amount_nb(intent["mmr"])) << 24 | (intent["open_positions"] < 0) << 25
    mask |= (intent["tier_positions"] < 0) << 26 | (intent["strategy_positions"] < 0) << 27
    mask |= (intent["step_lots"] < 1) << 28 | (intent["min_qty_lots"] < 0) << 29
    mask |= (intent["max_qty_lots"] < 1) << 30 | (intent["min_notional_e8"] < 0) << 31
    mask |= (not amount_nb(intent["reducible_lots"])) << 32
    mask |= (not limits["min_free_margin_pct"] >= 0.0) << 33
    mask |= (not limits["min_liquidation_distance_pct"] >= 0.0) << 34
    # Nothing is compared with these, but books with a NaN in them are broken books.
    figures = abs(float(account["upnl"])) + abs(float(account["gross"])) + abs(float(account["net"]))
    figures += abs(float(account["initial_margin"])) + abs(float(account["peak_nav"])) + abs(float(account["day_start_nav"]))
    figures += abs(float(account["max_drawdown_pct"]))
    mask |= (not amount_nb(figures)) << 35 | (intent["stop_distance"] != intent["stop_distance"]) << 36
    return mask | (intent["tier"] < 0) << 37


@kernel
def check_size_nb(intent, account, limits, qty_lots, checks):
    """Return the vetoes that depend on how large the order is; the sizer searches with this very function."""
    opening = notional_nb(intent, opening_lots_nb(intent, qty_lots))
    nav, tradable = float(account["nav"]), tradable_nav_nb(account)
    symbol_after, gross_after = float(intent["symbol_gross"]) + opening, float(intent["gross"]) + opening
    mask = at_most_nb(checks, Veto.MAX_ORDER_NOTIONAL, opening, float(limits["max_order_notional"]))
    mask |= at_most_nb(checks, Veto.MAX_TRADE_NAV_PCT, opening, cap_usd_nb(limits["max_trade_nav_pct"], tradable))
    mask |= at_most_nb(checks, Veto.MAX_SYMBOL_NAV_PCT, symbol_after, cap_usd_nb(limits["max_symbol_nav_pct"], tradable))
    tier_after, strategy_after = float(intent["tier_gross"]) + opening, float(intent["strategy_gross"]) + opening
    mask |= at_most_nb(checks, Veto.MAX_TIER_NAV_PCT, tier_after, cap_usd_nb(limits["max_tier_nav_pct"], tradable))
    mask |= at_most_nb(checks, Veto.MAX_STRATEGY_NAV_PCT, strategy_after, cap_usd_nb(limits["max_strategy_nav_pct"], tradable))
    mask |= at_most_nb(checks, Veto.MAX_GROSS_NAV_PCT, gross_after, cap_usd_nb(limits["max_gross_nav_pct"], tradable))
    # A resting order fills in pieces, so the net it passes through counts, not only the net it ends at.
    net = float(intent["net"])
    net_before, net_after = abs(net), abs(net + float(intent["side"]) * notional_nb(intent, qty_lots))
    net_worst = net_before if net_before > net_after else net_after
    mask |= at_most_nb(checks, Veto.MAX_NET_NAV_PCT, net_worst, cap_usd_nb(limits["max_net_nav_pct"], tradable))
    # Two leverages, one veto: the symbol within its bracket, the account within its limit. The row shows the one that fails.
    by_symbol = at_most_nb(checks, Veto.MAX_LEVERAGE, symbol_after / nav if nav > 0.0 else math.inf, float(intent["leverage"]))
    if by_symbol == 0:
        account_leverage = gross_after / nav if nav > 0.0 else math.inf
        by_symbol = at_most_nb(checks, Veto.MAX_LEVERAGE, account_leverage, float(limits["max_leverage"]))
    free = free_margin_nb(account) - opening * cost_share_nb(intent)
    free_pct = free / nav if nav > 0.0 else -math.inf
    mask |= by_symbol | at_least_nb(checks, Veto.MIN_FREE_MARGIN_PCT, free_pct, float(limits["min_free_margin_pct"]))
    cushion = nav - (float(account["maintenance_margin"]) + opening * float(intent["mmr"]))
    distance = cushion / gross_after if gross_after > 0.0 else math.inf
    floor = float(limits["min_liquidation_distance_pct"])
    return mask | at_least_nb(checks, Veto.MIN_LIQUIDATION_DISTANCE_PCT, distance, floor)


@kernel
def check_state_nb(intent, account, limits, now_ns, checks):
    """Return the vetoes that do not depend on size: ages, switches, counts, losses, order rate and price collar."""
    nav_age, market_age = age_s_nb(now_ns, account["nav_ts_ns"]), age_s_nb(now_ns, intent["market_ts_ns"])
    mask = at_most_nb(checks, Veto.NAV_STALE, nav_age, float(limits["nav_max_age_ns"]) * NS)
    mask |= at_most_nb(checks, Veto.MARKET_STALE, market_age, float(limits["market_max_age_ns"]) * NS)
    mask |= at_most_nb(checks, Veto.KILL_SWITCH, abs(float(account["kill_switch"])), 0.0)
    mask |= at_least_nb(checks, Veto.SYMBOL_NOT_TRADING, 1.0 if intent["trading"] == 1 else 0.0, 1.0)
    if intent["new_position"] != 0:
        everywhere, tier = float(intent["open_positions"]) + 1.0, float(intent["tier_positions"]) + 1.0
        strategy = float(intent["strategy_positions"]) + 1.0
        mask |= at_most_nb(checks, Veto.MAX_CONCURRENT_POSITIONS, everywhere, float(limits["max_concurrent_positions"]))
        mask |= at_most_nb(checks, Veto.MAX_TIER_POSITIONS, tier, float(limits["max_tier_positions"]))
        mask |= at_most_nb(checks, Veto.MAX_STRATEGY_POSITIONS, strategy, float(limits["max_strategy_positions"]))
    mask |= at_most_nb(checks, Veto.MAX_DAILY_LOSS_PCT, float(account["day_loss_pct"]), float(limits["max_daily_loss_pct"]))
    mask |= at_most_nb(checks, Veto.MAX_DRAWDOWN_PCT, float(account["drawdown_pct"]), float(limits["max_drawdown_pct"]))
    rate = float(account["orders_in_minute"]) + 1.0
    mask |= at_most_nb(checks, Veto.MAX_ORDERS_PER_MINUTE, rate, float(limits["max_orders_per_minute"]))
    price, mark = float(intent["price"]), float(intent["mark"])
    away = abs(price / mark - 1.0) if mark > 0.0 else math.inf
    return mask | at_most_nb(checks, Veto.PRICE_COLLAR_PCT, away, float(limits["price_collar_pct"]))


@kernel
def check_quantity_nb(intent, qty_lots, checks):
    """Return the LOT_SIZE veto: below the minimum, above the maximum, or between two steps."""
    step, low, high = intent["step_lots"], intent["min_qty_lots"], intent["max_qty_lots"]
    if step > 0 and qty_lots % step != 0:
        checks[Veto.QTY_FILTER, 0] = float(qty_lots)
        checks[Veto.QTY_FILTER, 1] = float(qty_lots) - float(qty_lots % step)
        return 1 << Veto.QTY_FILTER
    if qty_lots < low or qty_lots < 1 or step < 1:
        return at_least_nb(checks, Veto.QTY_FILTER, float(qty_lots), float(low) if low > qty_lots else float(qty_lots) + 1.0)
    return at_most_nb(checks, Veto.QTY_FILTER, float(qty_lots), float(high))


@kernel
def check_exit_nb(intent, qty_lots, checks):
    """Return the vetoes of an order that only reduces: a sane quantity within what is held, on the lot filter."""
    known = (intent["side"] == 1 or intent["side"] == -1) and qty_lots > 0 and amount_nb(intent["reducible_lots"])
    mask = at_most_nb(checks, Veto.CONTEXT_MISSING, 0.0 if known else 1.0, 0.0)
    mask |= at_most_nb(checks, Veto.REDUCE_ONLY, float(qty_lots), float(intent["reducible_lots"]))
    return mask | check_quantity_nb(intent, qty_lots, checks)


@kernel
def check_quantity_order_nb(intent, account, limits, now_ns, qty_lots, notional, checks):
    """Return the vetoes of `intent` as if it asked for `qty_lots` worth `notional`; see `check_order_nb`."""
    if intent["reduce_only"] == 1 and intent["crosses_zero"] == 0:
        return check_exit_nb(intent, qty_lots, checks)
    missing = missing_inputs_nb(intent, account, limits, qty_lots, notional)
    mask = at_most_nb(checks, Veto.CONTEXT_MISSING, float(missing), 0.0)
    mask |= at_least_nb(checks, Veto.MIN_NOTIONAL, notional_nb(intent, qty_lots), float(intent["min_notional_e8"]) * E8)
    mask |= check_quantity_nb(intent, qty_lots, checks) | check_state_nb(intent, account, limits, now_ns, checks)
    return mask | check_size_nb(intent, account, limits, qty_lots, checks)


@kernel
def check_order_nb(intent, account, limits, now_ns, checks):
    """Return every veto of an order as a bit mask, bit number = `Veto`; 0 when it may go.

    `checks` (float64[N_VETOES, 2]) receives the value and the cap of every limit looked at, in quote units, counts, fractions
    or seconds; the row of CONTEXT_MISSING holds the bits of `missing_inputs_nb`. Records are left as they were.
    """
    return check_quantity_order_nb(intent, account, limits, now_ns, intent["qty_lots"], float(intent["notional"]), checks)


@kernel
def first_veto_nb(mask):
    """Return the veto to name first: the lowest number in the mask, 0 when it is empty."""
    for veto in range(1, N_VETOES):
        if mask >> veto & 1:
            return veto
    return 0


@kernel
def latch_kill_switch_nb(account, limits, now_ns):
    """Latch the kill switch when the drawdown is beyond its limit; return the veto at the moment it latches, else 0.

    Only `clear_kill_switch` opens it again. The daily loss does not latch: it starts anew with the next UTC day.
    """
    if account["kill_switch"] != 0 or not (account["drawdown_pct"] > limits["max_drawdown_pct"]):
        return 0
    account["kill_switch"] = Veto.MAX_DRAWDOWN_PCT
    account["kill_ts_ns"] = now_ns
    return Veto.MAX_DRAWDOWN_PCT.value


@kernel
def tighter_nb(best, clamp, room, by):
    """Return the smaller room and what bounds it; a room that is negative or not a number is none."""
    room = room if room >= 0.0 else 0.0
    return (room, by) if room < best else (best, clamp)


@kernel
def spread_over_nb(amount, share):
    """Return the notional whose `share` uses up `amount`; what costs nothing has no end unless the amount is overdrawn."""
    if share > 0.0:
        return amount / share
    return math.inf if amount >= 0.0 and share == 0.0 else 0.0


@kernel
def headroom_usd_nb(intent, account, limits):
    """Return the largest notional that passes the gate's size limits in quote units, and the `Clamp` that bounds it.

    It turns the comparisons of `check_size_nb` around one by one; the sizer then lets that function judge the last lot.
    """
    nav, tradable, gross = float(account["nav"]), tradable_nav_nb(account), float(intent["gross"])
    symbol, leverage = float(intent["symbol_gross"]), float(intent["leverage"])
    usd, clamp = tighter_nb(math.inf, Clamp.NONE, float(limits["max_order_notional"]), Clamp.ORDER_NOTIONAL)
    usd, clamp = tighter_nb(usd, clamp, cap_usd_nb(limits["max_trade_nav_pct"], tradable), Clamp.TRADE_NAV)
    usd, clamp = tighter_nb(usd, clamp, cap_usd_nb(limits["max_symbol_nav_pct"], tradable) - symbol, Clamp.SYMBOL_NAV)
    usd, clamp = tighter_nb(
        usd, clamp, cap_usd_nb(limits["max_tier_nav_pct"], tradable) - float(intent["tier_gross"]), Clamp.TIER_NAV
    )
    room = cap_usd_nb(limits["max_strategy_nav_pct"], tradable) - float(intent["strategy_gross"])
    usd, clamp = tighter_nb(usd, clamp, room, Clamp.STRATEGY_NAV)
    usd, clamp = tighter_nb(usd, clamp, cap_usd_nb(limits["max_gross_nav_pct"], tradable) - gross, Clamp.GROSS_NAV)
    net, net_cap = float(intent["net"]), cap_usd_nb(limits["max_net_nav_pct"], tradable)
    room = net_cap - float(intent["side"]) * net if abs(net) <= net_cap else 0.0
    usd, clamp = tighter_nb(usd, clamp, room, Clamp.NET_NAV)
    usd, clamp = tighter_nb(usd, clamp, leverage * nav - symbol, Clamp.LEVERAGE)
    usd, clamp = tighter_nb(usd, clamp, float(limits["max_leverage"]) * nav - gross, Clamp.LEVERAGE)
    free = free_margin_nb(account) - float(limits["min_free_margin_pct"]) * nav
    usd, clamp = tighter_nb(usd, clamp, spread_over_nb(free, cost_share_nb(intent)), Clamp.FREE_MARGIN)
    floor = float(limits["min_liquidation_distance_pct"])
    cushion = nav - float(account["maintenance_margin"]) - floor * gross
    return tighter_nb(usd, clamp, spread_over_nb(cushion, floor + float(intent["mmr"])), Clamp.LIQUIDATION_DISTANCE)


def check_order(order: Any, account: Any, limits: Any, now: int) -> tuple[bool, dict[str, Any]]:
    """Say whether `order` must be refused, and on what grounds.

    Takes one INTENT, ACCOUNT and LIMITS record and the time in ns UTC; changes none of them, raises nothing. The detail holds

    - `reason`, `code`, `value`, `cap`: the first limit broken (`none`, 0, None, None when the order may go),
    - `failing`: every limit broken, with `reason`, `code`, `value`, `cap`, `key` and `source` (where the cap is set),
    - `headroom`: the largest notional the limits leave room for, `headroom_clamp`: the limit that bounds it,
    - `nav_fresh`, `equity` (NAV), `tradable_nav`, `trade_nav_cap`, `missing`: inputs that were not known.

    >>> veto, detail = check_order(intent(notional=60.0), account(nav=1_000.0), limits(max_trade_nav_pct=0.05), 0)
    >>> veto, detail["reason"], detail["value"], detail["cap"]
    (True, 'max_trade_nav_pct', 60.0, 50.0)
    """
    checks = np.full((N_VETOES, 2), np.nan)
    mask = int(check_order_nb(order, account, limits, now, checks))
    failing = [_broken(veto, checks) for veto in Veto if mask >> veto & 1]
    first = failing[0] if failing else {"reason": "none", "code": 0, "value": None, "cap": None}
    headroom, clamp = headroom_usd_nb(order, account, limits)
    tradable = float(tradable_nav_nb(account))
    return mask != 0, {
        **{name: first[name] for name in ("reason", "code", "value", "cap")},
        "failing": failing,
        "headroom": float(headroom),
        "headroom_clamp": Clamp(clamp).name.lower(),
        "nav_fresh": bool(age_s_nb(now, account["nav_ts_ns"]) <= float(limits["nav_max_age_ns"]) * NS),
        "equity": float(account["nav"]),
        "tradable_nav": tradable,
        "trade_nav_cap": float(cap_usd_nb(limits["max_trade_nav_pct"], tradable)),
        "missing": missing_inputs(order, account, limits) if mask >> Veto.CONTEXT_MISSING & 1 else [],
    }


def _broken(veto: Veto, checks: np.ndarray) -> dict[str, Any]:
    key = veto.name.lower()
    return {
        "reason": key,
        "code": int(veto),
        "value": float(checks[veto, 0]),
        "cap": float(checks[veto, 1]),
        "key": key,
        "source": SOURCES.get(veto, f"risk_limits.json: {key}"),
    }


def missing_inputs(order: Any, account: Any, limits: Any) -> list[str]:
    """Return the names of the inputs that are missing for an entry, e.g. `intent.tier_gross`; for an exit, what it lacks.

    >>> missing_inputs(intent(tier_gross=math.nan, open_positions=-1), account(), limits())
    ['intent.tier_gross', 'intent.open_positions']
    """
    if order["reduce_only"] == 1 and order["crosses_zero"] == 0:
        sane = {
            "intent.side": abs(order["side"]) == 1,
            "intent.qty_lots": order["qty_lots"] > 0,
            "intent.reducible_lots": amount_nb(order["reducible_lots"]),
        }
        return [name for name, known in sane.items() if not known]
    mask = int(missing_inputs_nb(order, account, limits, order["qty_lots"], float(order["notional"])))
    return [name for bit, name in enumerate(CONTEXT_INPUTS) if mask >> bit & 1]


def clear_kill_switch(account: Any, *, by_person: str) -> dict[str, Any]:
    """Open the latched kill switch again in the name of a person and return the record of it.

    The peak that drawdown is measured from starts anew at today's NAV: without that the switch would latch again at once.
    Raises ValueError when no person is named, for nothing automatic may do this.

    >>> books = account(kill_switch=21, nav=700.0, peak_nav=1_000.0, drawdown_pct=0.3)
    >>> clear_kill_switch(books, by_person="Ada")["drawdown_pct"], int(books["kill_switch"]), float(books["peak_nav"])
    (0.3, 0, 700.0)
    """
    if not by_person.strip():
        raise ValueError("clear_kill_switch: by_person is empty. Name the person who takes the decision.")
    cleared = {
        "by_person": by_person.strip(),
        "code": int(account["kill_switch"]),
        "latched_ns": int(account["kill_ts_ns"]),
        "drawdown_pct": float(account["drawdown_pct"]),
    }
    account["kill_switch"] = 0
    account["kill_ts_ns"] = 0
    account["peak_nav"] = account["nav"]
    account["drawdown_pct"] = 0.0
    return cleared


def record(layout: np.dtype, defaults: dict[str, Any], given: dict[str, Any]) -> Any:
    """Return one record of `layout` with the defaults and what the caller gave; a field it does not have is a TypeError.

    >>> record(LIMITS, {}, {"max_trade_nav_pc": 1.0})
    Traceback (most recent call last):
    TypeError: no field 'max_trade_nav_pc'. Did you mean 'max_trade_nav_pct'?
    """
    row = np.zeros(1, layout)[0]
    names = layout.names or ()
    for name, value in {**defaults, **given}.items():
        if name not in names:
            raise TypeError(f"no field '{name}'. {did_you_mean(name, names)}")
        row[name] = value
    return row


def intent(**given: Any) -> Any:
    """Return an INTENT record for tests and documents: a buy of 60.0 at 100.00 in an empty book, all context known.

    Ticks are 0.01, lots 0.001. Of `notional` and `qty_lots` either gives the other; give both to make them disagree.
    """
    price = float(given.get("price", 100.0))
    defaults = {
        "price": price, "mark": price, "price_ticks": round(price * 100.0) if math.isfinite(price) else 0, "unit_e8": 1_000,
        "side": BUY, "leg": Leg.LONG, "step_lots": 1, "min_qty_lots": 1, "max_qty_lots": 10**9, "min_notional_e8": 5 * 10**8,
        "trading": 1, "new_position": 1, "leverage": 5.0, "mmr": 0.01,
    }  # fmt: skip
    row = record(INTENT, defaults, given)
    if "qty_lots" not in given:
        one = notional_nb(row, 1)
        row["qty_lots"] = round(float(given.get("notional", 60.0)) / one) if one > 0.0 else 0
    if "notional" not in given:
        row["notional"] = notional_nb(row, row["qty_lots"])
    return row


def account(**given: Any) -> Any:
    """Return an ACCOUNT record for tests and documents: 10,000 in cash and nothing held, unless said otherwise."""
    nav = float(given.get("nav", 10_000.0))
    free = nav - float(given.get("initial_margin", 0.0))
    return record(ACCOUNT, {"known": 1, "nav": nav, "available": free, "peak_nav": nav, "day_start_nav": nav}, given)


def limits(**given: Any) -> Any:
    """Return a LIMITS record for tests and documents: a limit that is not given binds nothing."""
    row = {name: 0.0 if name.startswith("min_") else math.inf for name in LIMITS.names or () if LIMITS[name].kind == "f"}
    counts = {name: np.iinfo(np.int64).max for name in LIMITS.names or () if LIMITS[name].kind == "i"}
    return record(LIMITS, {**row, **counts}, given)
