"""Kelly: how much of the capital an edge is worth, and how fast capital then grows."""

from __future__ import annotations

import math


def binary_kelly(win_prob: float, payoff: float) -> float:
    """Return the full Kelly share of a bet that wins `payoff` or loses one; negative without an edge."""
    return win_prob - (1.0 - win_prob) / payoff


def binary_growth(win_prob: float, payoff: float, share: float) -> float:
    """Return the expected log growth of such a bet at a share of the capital below one."""
    return win_prob * math.log1p(share * payoff) + (1.0 - win_prob) * math.log1p(-share)


def capped_kelly(edge: float, variance: float, fraction: float, cap: float) -> float:
    """Return the share of capital: `fraction` of Kelly's edge / variance, none without an edge, never above `cap`.

    edge: a cautious mean return of a trade (its lower bound), variance: of that return.

    >>> capped_kelly(0.0006, 0.0004, 0.25, 1.0)
    0.37499999999999994
    """
    return min(cap, fraction * max(0.0, edge) / variance)


def growth_share(fraction: float) -> float:
    """Return which share of the greatest growth a fraction of Kelly keeps: 2 f - f²."""
    return fraction * (2.0 - fraction)
