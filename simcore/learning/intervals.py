"""Intervals for shares and means on few trades."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

TINY = 1e-300
STEPS = 500


def central_z(confidence: float) -> float:
    """Return the standard normal's upper end of the central interval.

    >>> round(central_z(0.8), 4)
    1.2816
    """
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def wilson_interval(wins: float, n: float, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share; (0, 1) while there is nothing to go by."""
    if n <= 0.0:
        return 0.0, 1.0
    z = central_z(confidence)
    share, spread = wins / n, z * z / n
    centre = (share + spread / 2.0) / (1.0 + spread)
    half = z / (1.0 + spread) * math.sqrt(share * (1.0 - share) / n + spread / (4.0 * n))
    return max(0.0, centre - half) if wins > 0 else 0.0, min(1.0, centre + half) if wins < n else 1.0


def jeffreys_interval(wins: float, n: float, confidence: float) -> tuple[float, float]:
    """Return Jeffreys' interval of a share: the quantiles of Beta(wins + 1/2, n - wins + 1/2)."""
    tail, a, b = (1.0 - confidence) / 2.0, wins + 0.5, n - wins + 0.5

    def below(x: float) -> float:
        return beta_cdf(x, a, b)

    return bisect(below, tail, 0.0, 1.0), bisect(below, 1.0 - tail, 0.0, 1.0)


def mean_interval(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """Return Student's interval of the mean of two values or more."""
    sample = np.asarray(values, float)
    half = t_quantile(0.5 + confidence / 2.0, sample.size - 1) * float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return float(sample.mean()) - half, float(sample.mean()) + half


def t_quantile(p: float, freedom: float) -> float:
    """Return the quantile of Student's t for p above one half."""

    def below(x: float) -> float:
        return 1.0 - 0.5 * beta_cdf(freedom / (freedom + x * x), freedom / 2.0, 0.5)

    top = 1.0
    while below(top) < p:
        top *= 2.0
    return bisect(below, p, 0.0, top)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function by its continued fraction (Numerical Recipes, section 6.4)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * fraction(x, a, b) / a


def fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 / away_from_zero(1.0 + term * d)
            c = away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value


def away_from_zero(value: float) -> float:
    """Return the value, or a tiny number where it is nearly nothing: the method divides by it."""
    return value if abs(value) > TINY else TINY


def bisect(below: Callable[[float], float], p: float, low: float, high: float) -> float:
    """Return where a rising function reaches `p`."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        if below(middle) < p:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
