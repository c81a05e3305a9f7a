"""Bridge: which of two prices a bar most likely reached first. For reports only: no decision and no fill rests on it.

A Brownian path from 0 to `end` between the bounds `lower` < 0 < `upper`, by the method of images (the same series as for
double-barrier options). Seen on simulated bars: right in the mean, where a fixed order of extremes is not.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

from simcore.jit import kernel

_TERMS = 512
_SQRT_4_LN_2 = math.sqrt(4.0 * math.log(2.0))


class PathRule(IntEnum):
    """How to draw one path through a bar: by its direction, or to the extreme nearer to the open first."""

    CLOSE_DIRECTION = 0
    NEAREST_EXTREME = 1


class Bridge(NamedTuple):
    """Probabilities of a path, given where it ends."""

    upper_then_lower: float
    lower_then_upper: float
    only_upper: float
    only_lower: float
    neither: float
    touch_upper: float
    touch_lower: float


@kernel
def first_hit_then_other_nb(near, far, end, sigma):
    """Return the probability that a path to `end` hits `near` first and `far` later; the two lie on both sides of 0."""
    span = 2.0 * abs(far - near)
    sign = 1.0 if near > far else -1.0
    total = 0.0
    for n in range(1, _TERMS):
        shift = sign * span * n
        direct, mirrored = end + shift, 2.0 * far - end - shift
        # exponents relative to the density at the end, so that a distant end does not underflow
        term = math.exp((end * end - direct * direct) / (2.0 * sigma * sigma))
        term -= math.exp((end * end - mirrored * mirrored) / (2.0 * sigma * sigma))
        total += term
        if abs(term) < 1e-18:
            break
    return min(1.0, max(0.0, total))


@kernel
def touch_nb(bound, end, sigma):
    """Return the probability that a path to `end` touches `bound`; 1 when it ends at or beyond it."""
    if bound * (bound - end) <= 0.0:
        return 1.0
    return math.exp(-2.0 * bound * (bound - end) / (sigma * sigma))


@kernel
def bridge_nb(lower, upper, end, sigma):
    """Return the seven probabilities of `Bridge`, for lower < 0 < upper, lower <= end <= upper and sigma > 0."""
    upper_first = first_hit_then_other_nb(upper, lower, end, sigma)
    lower_first = first_hit_then_other_nb(lower, upper, end, sigma)
    touch_upper, touch_lower = touch_nb(upper, end, sigma), touch_nb(lower, end, sigma)
    both = upper_first + lower_first
    only_upper, only_lower = max(0.0, touch_upper - both), max(0.0, touch_lower - both)
    neither = max(0.0, 1.0 - both - only_upper - only_lower)
    return upper_first, lower_first, only_upper, only_lower, neither, touch_upper, touch_lower


def bridge(lower: float, upper: float, end: float, sigma: float) -> Bridge:
    """Return how likely a path from 0 to `end` touches the bounds, in which order; all in the same unit as `sigma`."""
    if not (lower < 0.0 < upper and lower <= end <= upper and sigma > 0.0):
        raise ValueError(f"bridge: needs lower < 0 < upper, the end between them and sigma > 0; got {(lower, upper, end, sigma)}")
    return Bridge(*bridge_nb(lower, upper, end, sigma))


def parkinson_sigma(high: float, low: float) -> float:
    """Return a bar's own volatility in price units: its range over sqrt(4 ln 2), after Parkinson (1980)."""
    return (high - low) / _SQRT_4_LN_2


def p_target_first(open_: float, high: float, low: float, close: float, stop: float, target: float) -> float:
    """Return the probability that a bar which reached stop and target reached the target first.

    The open lies between the two; a close beyond one of them is taken as a close at it.
    """
    lower, upper = min(stop, target) - open_, max(stop, target) - open_
    if not lower < 0.0 < upper:
        return 1.0 if (target - open_) * (stop - target) >= 0.0 else 0.0
    odds = bridge(lower, upper, min(upper, max(lower, close - open_)), parkinson_sigma(high, low))
    both = odds.upper_then_lower + odds.lower_then_upper
    p_upper = odds.upper_then_lower / both if both > 0.0 else 0.5
    return p_upper if target > stop else 1.0 - p_upper


def high_came_first(open_: float, high: float, low: float, close: float, rule: PathRule) -> bool:
    """Say whether one drawn path goes to the high before the low; ties go high first by direction, low first by distance."""
    if rule == PathRule.CLOSE_DIRECTION:
        return close <= open_
    return high - open_ < open_ - low
