"""The screener: whether a market is fit to enter right now.

It asks about the market and what was learned of it; caps are the risk gate's business, and `screen_and_gate_nb` asks the gate
itself, with the smallest order the exchange takes. The gate is monotone in size and the sizer never exceeds its headroom, so a
signal that passes here becomes an order that the gate accepts.

The first reason is NOT_IN_UNIVERSE, then the lowest `Screen` number of those that failed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simcore.decision.risk_gate import (
    age_s_nb,
    at_least_nb,
    at_most_nb,
    check_order,
    check_quantity_order_nb,
    finite_nb,
    notional_nb,
    positive_nb,
)
from simcore.decision.sizer import minimum_lots_nb, size_lots_nb, suggest_gross_usd_nb
from simcore.domain.enums import Screen
from simcore.domain.records import N_VETOES
from simcore.jit import kernel

BPS = 1e-4
NS = 1e-9

# Where a person changes what a market was compared with; the rest are `screen` keys of strategy_config.json.
SOURCES = {
    Screen.CONTEXT_MISSING: "inputs of the screener",
    Screen.NOT_IN_UNIVERSE: "pairs_universe.json: symbols",
    Screen.MARKET_MAX_AGE_S: "risk_limits.json: market_max_age_s",
    Screen.WARMUP: "strategy_config.json: screen.warmup_bars, and the strategy's own warm-up",
    Screen.GATE: "risk_limits.json: see the detail of the gate",
    Screen.SIZE_ZERO: "strategy_config.json: sizing",
}


@kernel
def settles_soon_nb(market, screen, now_ns):
    """Say whether funding settles within the window. A symbol without any known settlement has none we could know of."""
    settled, interval = market["funding_ts_ns"], market["funding_interval_ns"]
    if settled < 1 or interval < 1 or now_ns < settled:
        return False
    return interval - (now_ns - settled) % interval <= screen["funding_window_ns"]


@kernel
def bounds_known_nb(screen):
    """Say whether every bound of the screener is a number: a condition that is not looked at today needs its bound too."""
    score, edge, funding = screen["min_score"], screen["min_expectancy_bps"], screen["max_adverse_funding_bps"]
    return score == score and edge == edge and funding == funding


@kernel
def screen_nb(signal, market, policy, screen, instrument, sleeve, now_ns, checks):
    """Return every reason not to enter as a bit mask, bit number = `Screen`; see `would_emit_nb`."""
    close, spread, sigma = float(market["close"]), float(market["spread_bps"]), float(market["sigma_day"])
    volume = float(market["volume_day"]) * close
    known = (signal["side"] == 1 or signal["side"] == -1) and signal["strength"] > 0.0 and positive_nb(close)
    known = known and finite_nb(spread) and finite_nb(sigma) and finite_nb(volume)
    known = known and instrument["unit_e8"] > 0 and instrument["step_size"] > 0.0
    known = known and 0 <= market["funding_ts_ns"] <= now_ns and bounds_known_nb(screen)
    mask = at_least_nb(checks, Screen.CONTEXT_MISSING, 1.0 if known else 0.0, 1.0)
    mask |= at_least_nb(checks, Screen.NOT_IN_UNIVERSE, 1.0 if screen["in_universe"] == 1 else 0.0, 1.0)
    age, max_age = age_s_nb(now_ns, market["ts_ns"]), float(screen["market_max_age_ns"]) * NS
    mask |= at_most_nb(checks, Screen.MARKET_MAX_AGE_S, age, max_age)
    mask |= at_least_nb(checks, Screen.WARMUP, float(market["bars"]), float(screen["warmup_bars"]))
    since_gap = float(market["bars_since_gap"])
    mask |= at_least_nb(checks, Screen.AFTER_GAP_BARS, since_gap, float(screen["after_gap_bars"]))
    mask |= at_most_nb(checks, Screen.MAX_SPREAD_BPS, spread, float(screen["max_spread_bps"]))
    mask |= at_least_nb(checks, Screen.MIN_VOLUME_DAY_USD, volume, float(screen["min_volume_day_usd"]))
    mask |= at_most_nb(checks, Screen.MAX_SIGMA_DAY, sigma, float(screen["max_sigma_day"]))
    mask |= at_least_nb(checks, Screen.MIN_SIGMA_DAY, sigma, float(screen["min_sigma_day"]))
    if settles_soon_nb(market, screen, now_ns):
        paid_bps = float(signal["side"]) * float(market["funding_rate"]) / BPS
        mask |= at_most_nb(checks, Screen.FUNDING_WINDOW_S, paid_bps, float(screen["max_adverse_funding_bps"]))
    rested = age_s_nb(now_ns, sleeve["exit_ns"]) if sleeve["exit_ns"] != 0 else math.inf
    mask |= at_least_nb(checks, Screen.COOL_DOWN_S, rested, float(screen["cool_down_ns"]) * NS)
    # Nothing learned is neutral: a floor judges only what is known.
    score, edge = float(policy["score"]), float(policy["expectancy_bps"])
    if score == score:
        mask |= at_least_nb(checks, Screen.MIN_SCORE, score, float(screen["min_score"]))
    if edge == edge:
        mask |= at_least_nb(checks, Screen.MIN_EXPECTANCY_BPS, edge, float(screen["min_expectancy_bps"]))
    return mask


@kernel
def first_screen_nb(mask):
    """Return the reason to name first, 0 when the mask is empty."""
    if mask >> Screen.NOT_IN_UNIVERSE & 1:
        return Screen.NOT_IN_UNIVERSE.value
    for reason in range(1, N_VETOES):
        if mask >> reason & 1:
            return reason
    return 0


@kernel
def would_emit_nb(signal, market, policy, screen, instrument, sleeve, now_ns, checks):
    """Return the first `Screen` reason not to enter where `signal` points, 0 when the market is fit.

    `checks` (float64[N_VETOES, 2]) receives the value and the bound of every condition looked at. NaN in the market or in a
    bound is a reason not to enter; NaN in the policy's score or expectancy means nothing was learned, and passes.
    """
    return first_screen_nb(screen_nb(signal, market, policy, screen, instrument, sleeve, now_ns, checks))


@kernel
def screen_and_gate_nb(intent, account, limits, now_ns, checks):
    """Return the gate's vetoes on the smallest order the exchange takes; what refuses that refuses every size."""
    lots = minimum_lots_nb(intent)
    return check_quantity_order_nb(intent, account, limits, now_ns, lots, notional_nb(intent, lots), checks)


def would_emit(
    signal: Any, market: Any, policy: Any, limits: Any, *,
    screen: Any, instrument: Any, sleeve: Any, order: Any, account: Any, now: int, sizing: Any = None,
) -> tuple[bool, dict[str, Any]]:  # fmt: skip
    """Say whether `signal` becomes an order now, and if not, on what grounds.

    Takes one record each (SIGNAL, MARKET, POLICY, LIMITS, SCREEN, INSTRUMENT, SLEEVE, INTENT for `order`, ACCOUNT) and the time
    in ns UTC; changes none of them. `order` carries the price, the filters and the exposure; its quantity is not read: the
    gate is asked about the smallest order the exchange takes. With `sizing` (SIZING) the order is sized as the pipeline would,
    so the answer is True exactly when the gate accepts the sized order. The detail holds

    - `reason`, `code`, `value`, `bound`: the first condition that failed (`none`, 0, None, None when it may go),
    - `failing`: every condition that failed, with `key` and `source`; `neutral`: floors with nothing learned to judge,
    - `gate`: the detail of `check_order`, `lots` and `notional` of the order it judged.
    """
    checks = np.full((N_VETOES, 2), np.nan)
    mask = int(screen_nb(signal, market, policy, screen, instrument, sleeve, now, checks))
    lots = candidate = int(minimum_lots_nb(order))
    if sizing is not None:
        usd = suggest_gross_usd_nb(sizing, signal, market, policy, account, float(order["price"]))
        share, step_size = float(sizing["max_participation_pct"]), float(instrument["step_size"])
        lots = int(size_lots_nb(order, account, limits, usd, float(market["volume_day"]), share, step_size)[0])
    veto, gate = check_order(with_lots(order, lots or candidate), account, limits, now)
    if veto:
        mask |= 1 << Screen.GATE
        checks[Screen.GATE] = gate["value"], gate["cap"]
    elif lots == 0:
        mask |= 1 << Screen.SIZE_ZERO
        checks[Screen.SIZE_ZERO] = 0.0, float(candidate)
    failing = [_failed(reason, checks) for reason in sorted(Screen, key=_precedence) if mask >> reason & 1]
    first = failing[0] if failing else {"reason": "none", "code": 0, "value": None, "bound": None}
    learned = {"score": float(policy["score"]), "expectancy_bps": float(policy["expectancy_bps"])}
    return mask == 0, {
        **{name: first[name] for name in ("reason", "code", "value", "bound")},
        "failing": failing,
        "neutral": [name for name, value in learned.items() if math.isnan(value)],
        "gate": gate,
        "lots": lots,
        "notional": float(notional_nb(order, lots)),
    }


def with_lots(order: Any, lots: int) -> Any:
    """Return a copy of an INTENT record that asks for `lots`, with the notional that follows."""
    copy = order.copy()
    copy["qty_lots"] = lots
    copy["notional"] = notional_nb(order, lots)
    return copy


def _precedence(reason: Screen) -> int:
    return -1 if reason == Screen.NOT_IN_UNIVERSE else int(reason)


def _failed(reason: Screen, checks: np.ndarray) -> dict[str, Any]:
    key = reason.name.lower()
    return {
        "reason": key,
        "code": int(reason),
        "value": float(checks[reason, 0]),
        "bound": float(checks[reason, 1]),
        "key": key,
        "source": SOURCES.get(reason, f"strategy_config.json: screen.{key}"),
    }
