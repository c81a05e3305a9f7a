"""The live bands: between which values a figure lay out of sample, over every span of days as long as live is compared on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simcore.config.validation import CertificateRules
    from simcore.validation.outcome import Outcome

BPS = 1e4


def live_bands(outcome: Outcome, rules: CertificateRules) -> dict[str, Any]:
    """Return {figure: {low, median, high, windows}}, each over rolling windows of `band_days`; null where nothing was seen.

    fill_rate: quoted parent orders that a maker fill met. slippage_bps: against arrival. markout_bps: of maker fills,
    `markout_s` later. daily_pnl_bps: of the NAV, of single days. reject_rate: of the orders sent.
    """
    orders, n, span = outcome.orders, len(outcome.days), rules.band_days
    if not n:
        return {}
    place = np.searchsorted(outcome.days, orders["day"])

    def a_day(weights: np.ndarray) -> np.ndarray:
        return np.bincount(place, weights, minlength=n)[:n]

    def rolling(daily: np.ndarray) -> np.ndarray:
        return np.convolve(daily, np.ones(min(span, n)), "valid")

    def share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        top, whole = rolling(a_day(above)), rolling(a_day(below))
        return np.divide(top, whole, out=np.full(len(whole), math.nan), where=whole > 0)

    def mean(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        return share(np.where(known, values, 0.0), known.astype(float))

    series = {
        "fill_rate": share(orders["filled"] * orders["quoted"], orders["quoted"]),
        "slippage_bps": mean(orders["slippage_bps"]),
        "markout_bps": mean(orders["markout_bps"]),
        "daily_pnl_bps": outcome.returns * BPS,
        "reject_rate": share(orders["refused"], orders["sent"]),
    }
    return {name: band(values, rules.band_confidence) for name, values in series.items()}


def band(values: np.ndarray, confidence: float) -> dict[str, Any]:
    """Return the quantiles that leave `confidence` of the values between them."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"low": None, "median": None, "high": None, "windows": 0}
    low, median, high = np.quantile(known, [(1.0 - confidence) / 2.0, 0.5, (1.0 + confidence) / 2.0])
    return {"low": float(low), "median": float(median), "high": float(high), "windows": int(len(known))}
