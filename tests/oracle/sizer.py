"""The sizer once more, plain and slow: try every multiple of the step and keep the largest the gate's oracle lets pass."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from simcore.domain.enums import SizeMethod, Veto
from tests.oracle.risk_gate import judge

SIZE_RULES = sum(1 << v for v in range(Veto.MAX_ORDER_NOTIONAL, Veto.MAX_LEVERAGE + 1))
SIZE_RULES |= 1 << Veto.MIN_FREE_MARGIN_PCT | 1 << Veto.MIN_LIQUIDATION_DISTANCE_PCT


def value(order: dict[str, Any], lots: int) -> Fraction:
    """The notional of `lots` in quote units."""
    return Fraction(lots) * order["price_ticks"] * order["unit_e8"] / 10**8


def size_lots(
    order: dict[str, Any],
    account: dict[str, Any],
    limits: dict[str, Any],
    gross_usd: float,
    most_base: float,
    step_size: float,
    now: int,
) -> tuple[int, bool]:
    """The largest valid quantity, and whether the decision was closer than float rounding. Steps are tried one by one."""
    step, best, close, lots = int(order["step_lots"]), 0, False, 0
    while True:
        lots += step
        sized = {**order, "qty_lots": Fraction(lots), "notional": value(order, lots)}
        broken, near = judge(sized, account, limits, now)
        for a, b in ((value(order, lots), gross_usd), (lots * step_size, most_base)):
            close = close or abs(float(a) - b) <= 1e-9 * abs(b)
        close = close or near & SIZE_RULES != 0
        too_much = value(order, lots) > gross_usd or lots * step_size > most_base or lots > order["max_qty_lots"]
        if too_much or broken & SIZE_RULES or broken & 1 << Veto.CONTEXT_MISSING:
            break
        best = lots
    if best < order["min_qty_lots"] or value(order, best) * 10**8 < order["min_notional_e8"]:
        return 0, close
    return best, close


def suggest(sizing: dict, signal: dict, market: dict, policy: dict, account: dict, price: float) -> float:
    """The notional each method asks for, as its textbook sentence says; any missing number gives nothing."""
    nav = account["nav"] - account["reserve_nav"]
    scale = min(signal["strength"], 1.0) * policy["size_scale"]
    if not (nav > 0 and signal["strength"] > 0 and policy["size_scale"] > 0):
        return 0.0
    if sizing["method"] == SizeMethod.FIXED_FRACTION:
        return max(0.0, nav * scale * sizing["fraction"])
    if sizing["method"] == SizeMethod.VOLATILITY_TARGET:
        return (
            nav * scale * sizing["fraction"] * (sizing["target_sigma_day"] / market["sigma_day"])
            if market["sigma_day"] > 0
            else 0.0
        )
    if sizing["method"] == SizeMethod.RISK_PER_TRADE:
        if not signal["stop_distance"] > 0:
            return 0.0
        stop = max(signal["stop_distance"], price * sizing["min_stop_bps"] / 10_000)
        # The loss at the stop is the risk: quantity = risk / stop, notional = quantity x price.
        return nav * scale * sizing["risk_per_trade_pct"] / stop * price
    if sizing["method"] == SizeMethod.CAPPED_KELLY:
        if not (sizing["kelly_edge"] > 0 and sizing["kelly_variance"] > 0):
            return 0.0
        return nav * scale * sizing["kelly_fraction"] * (sizing["kelly_edge"] / sizing["kelly_variance"])
    return 0.0
