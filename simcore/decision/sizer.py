"""The sizer: how large an order should be, and the largest the risk gate would let pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simcore.decision.risk_gate import (
    check_size_nb,
    first_veto_nb,
    headroom_usd_nb,
    notional_nb,
    positive_nb,
    tradable_nav_nb,
)
from simcore.domain.enums import Clamp, SizeMethod, Veto
from simcore.domain.records import N_VETOES
from simcore.jit import kernel

BPS = 1e-4
HAIR = 1e-9
# More lots than any exchange has; above it the search itself could overflow.
MOST_LOTS = 1 << 61
_CLAMP_OF = {
    Veto.MAX_ORDER_NOTIONAL: Clamp.ORDER_NOTIONAL,
    Veto.MAX_TRADE_NAV_PCT: Clamp.TRADE_NAV,
    Veto.MAX_SYMBOL_NAV_PCT: Clamp.SYMBOL_NAV,
    Veto.MAX_TIER_NAV_PCT: Clamp.TIER_NAV,
    Veto.MAX_STRATEGY_NAV_PCT: Clamp.STRATEGY_NAV,
    Veto.MAX_GROSS_NAV_PCT: Clamp.GROSS_NAV,
    Veto.MAX_NET_NAV_PCT: Clamp.NET_NAV,
    Veto.MAX_LEVERAGE: Clamp.LEVERAGE,
    Veto.MIN_FREE_MARGIN_PCT: Clamp.FREE_MARGIN,
    Veto.MIN_LIQUIDATION_DISTANCE_PCT: Clamp.LIQUIDATION_DISTANCE,
}
# The clamp of each size veto by the veto's number: a constant of the compiled code, like the enums it is made of.
CLAMPS = tuple(int(_CLAMP_OF.get(Veto(v), Clamp.NONE)) if v in set(Veto) else 0 for v in range(N_VETOES))


@kernel
def suggest_gross_usd_nb(sizing, signal, market, policy, account, price):
    """Return the notional the method asks for in quote units, before any limit; 0 when an input it needs is not known.

    Each method scales with the signal's strength (at most 1) and the policy's size scale, and all but the last with the tradable
    NAV (NAV less reserves).

    - FIXED_FRACTION: `fraction` of NAV.
    - VOLATILITY_TARGET: `fraction` of NAV at `target_sigma_day`, more in calmer and less in wilder markets; the gate bounds it.
    - RISK_PER_TRADE: the notional that loses `risk_per_trade_pct` of NAV at the stop, taken at least `min_stop_bps` away.
    - CAPPED_KELLY: `kelly_fraction` x edge / variance of NAV, edge and variance per trade as fractions; none without an edge.
    - FIXED_QTY: `qty` base units at the price, whatever the NAV.
    """
    method, share = sizing["method"], math.nan
    if method == SizeMethod.FIXED_FRACTION:
        share = float(sizing["fraction"])
    elif method == SizeMethod.VOLATILITY_TARGET:
        if market["sigma_day"] > 0.0:
            share = float(sizing["fraction"]) * float(sizing["target_sigma_day"]) / float(market["sigma_day"])
    elif method == SizeMethod.RISK_PER_TRADE:
        nearest = float(sizing["min_stop_bps"]) * BPS * float(price)
        stop = float(signal["stop_distance"])
        if stop > 0.0 and nearest >= 0.0:
            share = float(sizing["risk_per_trade_pct"]) * float(price) / (stop if stop > nearest else nearest)
    elif method == SizeMethod.CAPPED_KELLY:
        if sizing["kelly_edge"] > 0.0 and sizing["kelly_variance"] > 0.0:
            share = float(sizing["kelly_fraction"]) * float(sizing["kelly_edge"]) / float(sizing["kelly_variance"])
    strength = float(signal["strength"])
    strength = 1.0 if strength > 1.0 else strength
    if method == SizeMethod.FIXED_QTY:
        # Lots are whole: a hair more than the value of the last one keeps it.
        share = 1.0
        usd = float(sizing["qty"]) * float(price) * (1.0 + HAIR) * strength * float(policy["size_scale"])
    else:
        usd = share * tradable_nav_nb(account) * strength * float(policy["size_scale"])
    return usd if positive_nb(usd) and strength > 0.0 and share > 0.0 else 0.0


@kernel
def minimum_lots_nb(intent):
    """Return the smallest quantity the exchange takes: a multiple of the step at or above both minimums; 0 if there is none."""
    step, high = int(intent["step_lots"]), int(intent["max_qty_lots"])
    one = notional_nb(intent, step)
    if step < 1 or high < step or intent["min_qty_lots"] < 0 or intent["min_notional_e8"] < 0 or not positive_nb(one):
        return 0
    wanted = float(intent["min_notional_e8"]) * 1e-8 / one
    most, steps = high // step, int(intent["min_qty_lots"]) // step
    if steps * step < intent["min_qty_lots"] or steps == 0:
        steps += 1
    if wanted > float(most) or steps > most:
        return 0
    if wanted > float(steps):
        steps = int(wanted)
    # Division may round either way; the comparison of the gate decides.
    while steps <= most and notional_nb(intent, steps * step) < float(intent["min_notional_e8"]) * 1e-8:
        steps += 1
    return steps * step if steps <= most else 0


@kernel
def fits_nb(intent, account, limits, lots, gross_usd, most_lots, checks):
    """Say whether `lots` stays within the suggestion, the tape's participation cap and every size limit of the gate."""
    if not (notional_nb(intent, lots) <= gross_usd) or not (float(lots) <= most_lots):
        return False
    return check_size_nb(intent, account, limits, lots, checks) == 0


@kernel
def binding_clamp_nb(intent, account, limits, lots, gross_usd, most_lots, checks):
    """Return what stops an order of `lots`: the clamp of the first limit it breaks, NONE when it is the suggestion itself."""
    if not (notional_nb(intent, lots) <= gross_usd):
        return Clamp.NONE.value
    if not (float(lots) <= most_lots):
        return Clamp.PARTICIPATION.value
    if lots > intent["max_qty_lots"]:
        return Clamp.MAX_QTY.value
    return CLAMPS[first_veto_nb(check_size_nb(intent, account, limits, lots, checks))]


@kernel
def size_lots_nb(intent, account, limits, gross_usd, volume_day_base, max_participation_pct, step_size):
    """Return the lots of an entry worth at most `gross_usd` that passes every size limit, and the `Clamp` that bounds it.

    The answer is the largest multiple of `step_lots` that fits, never rounded up, or 0 when that is below the exchange's minimum.
    `volume_day_base` and `step_size` (one lot) are in base units; the order takes at most `max_participation_pct` of the day.
    What fits is asked of the gate itself: each limit is monotone in size, so the largest that fits is one number.
    """
    checks = np.empty((N_VETOES, 2))
    return fit_lots_nb(intent, account, limits, gross_usd, volume_day_base, max_participation_pct, step_size, checks)


@kernel
def fit_lots_nb(intent, account, limits, gross_usd, volume_day_base, max_participation_pct, step_size, checks):
    """Size as `size_lots_nb` does, with `checks` (float64[N_VETOES, 2]) as room to compare in."""
    step, one = int(intent["step_lots"]), notional_nb(intent, intent["step_lots"])
    least = minimum_lots_nb(intent)
    if not (gross_usd > 0.0):
        return 0, Clamp.NO_RISK_INPUT.value
    if least == 0:
        return 0, Clamp.BELOW_MINIMUM.value
    most_lots = float(max_participation_pct) * float(volume_day_base) / step_size if step_size > 0.0 else math.nan
    room, _ = headroom_usd_nb(intent, account, limits)
    guess = (room if room < gross_usd else gross_usd) / one
    low, high = 0, min(int(intent["max_qty_lots"]), MOST_LOTS) // step + 1
    probe, stride = high - 1, 1
    if guess < float(high - 1):
        probe = int(guess) if guess >= 1.0 else 1
    while high - low > 1:
        if fits_nb(intent, account, limits, probe * step, gross_usd, most_lots, checks):
            low = probe
            probe += stride
        else:
            high = probe
            probe -= stride
        stride = min(2 * stride, high)
        if not low < probe < high:
            probe = low + (high - low) // 2
    clamp = binding_clamp_nb(intent, account, limits, (low + 1) * step, gross_usd, most_lots, checks)
    if low * step < least:
        return 0, (clamp if clamp != Clamp.NONE else Clamp.BELOW_MINIMUM.value)
    return low * step, clamp


def suggest_gross_usd(
    sizing: Any, signal: Any, market: Any, policy: Any, account: Any, price: float
) -> tuple[float, dict[str, Any]]:
    """Return the notional an entry should have before any limit, in quote units, and what it was made of.

    Takes one SIZING, SIGNAL, MARKET, POLICY and ACCOUNT record and the entry price. The detail holds `method`, `tradable_nav`,
    `strength` (at most 1), `size_scale`, `share` (of the tradable NAV) and `clamp`: `no_risk_input` when an input the method
    needs is not known (no stop, no volatility, no edge), else `none`.

    >>> from simcore.decision.risk_gate import account, record
    >>> from simcore.domain.records import MARKET, POLICY, SIGNAL, SIZING
    >>> risk = record(SIZING, {}, {"method": SizeMethod.RISK_PER_TRADE, "risk_per_trade_pct": 0.01})
    >>> wish = record(SIGNAL, {}, {"side": 1, "strength": 1.0, "stop_distance": 5.0})
    >>> scale = record(POLICY, {}, {"size_scale": 1.0})
    >>> suggest_gross_usd(risk, wish, record(MARKET, {}, {}), scale, account(nav=10_000.0), 100.0)[0]
    2000.0
    """
    usd = float(suggest_gross_usd_nb(sizing, signal, market, policy, account, float(price)))
    tradable = float(tradable_nav_nb(account))
    known = {int(method): method.name.lower() for method in SizeMethod}
    return usd, {
        "method": known.get(int(sizing["method"]), "unknown"),
        "tradable_nav": tradable,
        "strength": min(float(signal["strength"]), 1.0),
        "size_scale": float(policy["size_scale"]),
        "share": usd / tradable if tradable > 0.0 else 0.0,
        "clamp": (Clamp.NONE if usd > 0.0 else Clamp.NO_RISK_INPUT).name.lower(),
    }
