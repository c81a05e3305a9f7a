"""The risk gate once more, plain and slow: every rule multiplied out, in whatever numbers it is given.

With dicts of fractions it is exact arithmetic; compiled, it judges ten million records. It shares no line with the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from simcore.domain.enums import Veto

# A float comparison may round either way when the two sides are closer than this.
CLOSE = 1e-9


def exact(row: Any) -> dict[str, Any]:
    """Return a record as a dict of fractions; NaN and infinity stay floats."""
    values = {name: row[name].item() for name in row.dtype.names}
    return {name: Fraction(v) if isinstance(v, int) or math.isfinite(v) else v for name, v in values.items()}


def build(compiler: Callable[[Callable], Callable] = lambda f: f) -> Callable:
    """Return `judge(order, account, limits, now) -> (broken, close)`: two masks of vetoes, bit number = `Veto`.

    `close` marks comparisons nearer than float rounding. When the context is missing, `broken` holds only that.
    """

    @compiler
    def over(veto, value, cap):
        """(broken, close) of the rule value <= cap."""
        if cap == math.inf:
            return 0, 0
        tie = abs(value - cap) <= CLOSE * (abs(value) + abs(cap)) and value != cap
        return (0 if value <= cap else 1 << veto), (1 << veto if tie else 0)

    @compiler
    def known(order, account, limits):
        """Whether everything an entry is judged by is there."""
        big = math.inf
        worth = order["qty_lots"] * 1.0 * order["price_ticks"] * order["unit_e8"] / 100_000_000
        books = account["known"] == 1 and 0 < account["nav"] < big and 0 <= account["reserve_nav"] < big
        books = books and -big < account["available"] < big and 0 <= account["maintenance_margin"] < big
        books = books and -big < account["day_loss_pct"] < big and -big < account["drawdown_pct"] < big
        books = books and account["orders_in_minute"] >= 0 and -big < account["upnl"] < big and -big < account["gross"] < big
        books = books and -big < account["net"] < big and -big < account["initial_margin"] < big
        books = books and -big < account["peak_nav"] < big and -big < account["day_start_nav"] < big
        books = books and -big < account["max_drawdown_pct"] < big
        what = abs(order["side"]) == 1 and order["qty_lots"] >= 1 and order["price_ticks"] >= 1 and order["unit_e8"] >= 1
        what = what and (order["reduce_only"] == 0 or order["reduce_only"] == 1)
        what = what and (order["crosses_zero"] == 0 or order["crosses_zero"] == 1)
        what = what and (order["new_position"] == 0 or order["new_position"] == 1)
        what = what and 0 < order["price"] < big and 0 < order["mark"] < big and worth < big
        what = what and abs(order["notional"] - worth) <= CLOSE * worth
        what = what and 0 <= order["reducible_lots"] < big and order["stop_distance"] == order["stop_distance"]
        held = 0 <= order["symbol_gross"] < big and 0 <= order["tier_gross"] < big and 0 <= order["strategy_gross"] < big
        held = held and 0 <= order["gross"] < big and -big < order["net"] < big
        held = held and order["tier"] >= 0 and 0 < order["leverage"] < big and 0 <= order["mmr"] < big
        held = held and order["open_positions"] >= 0 and order["tier_positions"] >= 0 and order["strategy_positions"] >= 0
        rules = (
            order["step_lots"] >= 1
            and order["min_qty_lots"] >= 0
            and order["max_qty_lots"] >= 1
            and order["min_notional_e8"] >= 0
        )
        return (
            books
            and what
            and held
            and rules
            and limits["min_free_margin_pct"] >= 0
            and limits["min_liquidation_distance_pct"] >= 0
        )

    @compiler
    def exit_only(order):
        """The verdict on an order that can only reduce."""
        broken = 0
        if abs(order["side"]) != 1 or order["qty_lots"] < 1 or not 0 <= order["reducible_lots"] < math.inf:
            broken |= 1 << Veto.CONTEXT_MISSING
        if not order["qty_lots"] <= order["reducible_lots"]:
            broken |= 1 << Veto.REDUCE_ONLY
        return broken

    @compiler
    def off_filter(order):
        """Whether the quantity is not one the exchange takes."""
        if order["qty_lots"] < 1 or order["step_lots"] < 1 or order["qty_lots"] % order["step_lots"] != 0:
            return True
        return order["qty_lots"] < order["min_qty_lots"] or order["qty_lots"] > order["max_qty_lots"]

    @compiler
    def size(order, account, limits):
        """(broken, close) of the rules on how much is held after the order."""
        whole = order["notional"]
        part = order["qty_lots"] * 1
        if order["crosses_zero"] == 1:
            part = (
                order["qty_lots"] - order["reducible_lots"]
                if order["qty_lots"] > order["reducible_lots"]
                else order["qty_lots"] * 0
            )
        opens = whole * part / order["qty_lots"]
        nav, spendable = account["nav"], account["nav"] - account["reserve_nav"]
        if spendable < 0:
            spendable = nav * 0
        broken, close = over(Veto.MAX_ORDER_NOTIONAL, opens, limits["max_order_notional"])
        b, c = over(Veto.MAX_TRADE_NAV_PCT, opens, spendable * limits["max_trade_nav_pct"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MAX_SYMBOL_NAV_PCT, opens + order["symbol_gross"], spendable * limits["max_symbol_nav_pct"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MAX_TIER_NAV_PCT, opens + order["tier_gross"], spendable * limits["max_tier_nav_pct"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MAX_STRATEGY_NAV_PCT, opens + order["strategy_gross"], spendable * limits["max_strategy_nav_pct"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MAX_GROSS_NAV_PCT, opens + order["gross"], spendable * limits["max_gross_nav_pct"])
        broken, close = broken | b, close | c
        for filled in range(2):
            b, c = over(
                Veto.MAX_NET_NAV_PCT, abs(order["net"] + order["side"] * whole * filled), spendable * limits["max_net_nav_pct"]
            )
            broken, close = broken | b, close | c
        b, c = over(Veto.MAX_LEVERAGE, opens + order["gross"], nav * limits["max_leverage"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MAX_LEVERAGE, opens + order["symbol_gross"], nav * order["leverage"])
        broken, close = broken | b, close | c
        adverse = order["side"] * (order["price"] - order["mark"])
        spent = opens / order["leverage"] + (opens * adverse / order["price"] if adverse > 0 else opens * 0)
        free = account["available"] if account["available"] < nav else nav
        b, c = over(Veto.MIN_FREE_MARGIN_PCT, nav * limits["min_free_margin_pct"] + spent, free)
        broken, close = broken | b, close | c
        needed = (opens + order["gross"]) * limits["min_liquidation_distance_pct"]
        used = account["maintenance_margin"] + opens * order["mmr"]
        b, c = over(Veto.MIN_LIQUIDATION_DISTANCE_PCT, needed + used, nav)
        if opens + order["gross"] == 0:
            b, c = 0, 0
        return broken | b, close | c

    @compiler
    def state(order, account, limits, now):
        """(broken, close) of the rules on what is so whatever the size."""
        broken, close = 0, 0
        if not 0 <= account["nav_ts_ns"] <= now or now - account["nav_ts_ns"] > limits["nav_max_age_ns"]:
            broken |= 1 << Veto.NAV_STALE
        if not 0 <= order["market_ts_ns"] <= now or now - order["market_ts_ns"] > limits["market_max_age_ns"]:
            broken |= 1 << Veto.MARKET_STALE
        if account["kill_switch"] != 0:
            broken |= 1 << Veto.KILL_SWITCH
        if order["trading"] != 1:
            broken |= 1 << Veto.SYMBOL_NOT_TRADING
        if order["new_position"] == 1:
            if order["open_positions"] >= limits["max_concurrent_positions"]:
                broken |= 1 << Veto.MAX_CONCURRENT_POSITIONS
            if order["tier_positions"] >= limits["max_tier_positions"]:
                broken |= 1 << Veto.MAX_TIER_POSITIONS
            if order["strategy_positions"] >= limits["max_strategy_positions"]:
                broken |= 1 << Veto.MAX_STRATEGY_POSITIONS
        if account["orders_in_minute"] >= limits["max_orders_per_minute"]:
            broken |= 1 << Veto.MAX_ORDERS_PER_MINUTE
        if account["day_loss_pct"] > limits["max_daily_loss_pct"]:
            broken |= 1 << Veto.MAX_DAILY_LOSS_PCT
        if account["drawdown_pct"] > limits["max_drawdown_pct"]:
            broken |= 1 << Veto.MAX_DRAWDOWN_PCT
        b, c = over(Veto.PRICE_COLLAR_PCT, abs(order["price"] - order["mark"]), order["mark"] * limits["price_collar_pct"])
        broken, close = broken | b, close | c
        b, c = over(Veto.MIN_NOTIONAL, order["min_notional_e8"] * 1.0, order["notional"] * 100_000_000)
        return broken | b, close | c

    @compiler
    def judge(order, account, limits, now):
        if order["reduce_only"] == 1 and order["crosses_zero"] == 0:
            broken = exit_only(order)
            return (broken | 1 << Veto.QTY_FILTER if off_filter(order) else broken), 0
        if not known(order, account, limits):
            return 1 << Veto.CONTEXT_MISSING, 0
        broken, close = size(order, account, limits)
        b, c = state(order, account, limits, now)
        broken, close = broken | b, close | c
        return (broken | 1 << Veto.QTY_FILTER if off_filter(order) else broken), close

    return judge


judge = build()
