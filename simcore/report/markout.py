"""Markouts: what the market did after each fill, and how its spread divides into what was kept and what was lost.

Everything in basis points; `side` is +1 for a buy, -1 for a sell. A markout is positive when the market moved our way; a
spread is positive when we paid it. Definitions: effective - realised = impact, as everywhere in the literature.
"""

from __future__ import annotations

import numpy as np

BPS = 1e4


def mid_at(mid_ns: np.ndarray, mid: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """Return the last mid known at each time; NaN before the first one, and after the last one's time: nobody knows it.

    >>> mid_at(np.array([10, 20]), np.array([1.0, 2.0]), np.array([9, 10, 19, 20, 21])).tolist()
    [nan, 1.0, 1.0, 2.0, nan]
    """
    at_ns = np.asarray(at_ns, np.int64)
    if len(mid_ns) == 0:
        return np.full(at_ns.shape, np.nan)
    row = np.searchsorted(mid_ns, at_ns, side="right") - 1
    known = (row >= 0) & (at_ns <= mid_ns[-1])
    return np.where(known, np.asarray(mid, float)[np.maximum(row, 0)], np.nan)


def markout_bps(side: np.ndarray, price: np.ndarray, mid_later: np.ndarray) -> np.ndarray:
    """Return side * (mid later - fill price) / fill price.

    >>> round(float(markout_bps(1, 100.05, 100.2)), 2)
    14.99
    """
    return np.asarray(side) * (np.asarray(mid_later) - price) / price * BPS


def effective_spread_bps(side: np.ndarray, price: np.ndarray, mid: np.ndarray) -> np.ndarray:
    """Return twice what the fill paid against the mid at its time; negative for a maker who earned it."""
    return 2.0 * np.asarray(side) * (np.asarray(price) - mid) / mid * BPS


def realised_spread_bps(side: np.ndarray, price: np.ndarray, mid: np.ndarray, mid_later: np.ndarray) -> np.ndarray:
    """Return twice what the fill paid against the mid a while later, as a share of the mid at its time."""
    return 2.0 * np.asarray(side) * (np.asarray(price) - mid_later) / mid * BPS


def price_impact_bps(side: np.ndarray, mid: np.ndarray, mid_later: np.ndarray) -> np.ndarray:
    """Return twice the mid's move in the fill's direction: effective less realised spread."""
    return 2.0 * np.asarray(side) * (np.asarray(mid_later) - mid) / mid * BPS


def fill_markouts(
    fill_ns: np.ndarray, side: np.ndarray, price: np.ndarray, mid_ns: np.ndarray, mid: np.ndarray, horizons_ns: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Return for each fill its effective spread, and for each horizon its markout, realised spread and impact.

    `effective_spread_bps` is float64[fills]; `markout_bps`, `realised_spread_bps` and `price_impact_bps` are
    float64[fills, horizons]. NaN where the mid at that time is not known.
    """
    fill_ns, side, price = np.asarray(fill_ns, np.int64), np.asarray(side), np.asarray(price, float)
    now = mid_at(mid_ns, mid, fill_ns)
    later = mid_at(mid_ns, mid, fill_ns[:, None] + np.array(horizons_ns, np.int64))
    column = side[:, None], price[:, None], now[:, None]
    return {
        "effective_spread_bps": effective_spread_bps(side, price, now),
        "markout_bps": markout_bps(column[0], column[1], later),
        "realised_spread_bps": realised_spread_bps(*column, later),
        "price_impact_bps": price_impact_bps(column[0], column[2], later),
    }
