"""Impact: how far a taker order moves the price against itself."""

from __future__ import annotations

import math

from simcore.jit import kernel


@kernel
def impact_bps_nb(sigma_day, volume_day, qty, y, fallback_sigma_day, fallback_volume_day):
    """Return the square-root impact y * sigma_day * sqrt(qty / volume_day) in basis points.

    `sigma_day` is a fraction, `volume_day` and `qty` are in the same unit (base, lots or quote). A NaN or non-positive
    input, as before the first day of data is known, is replaced by the caller's fallback; without any volume the order is
    taken to be a whole day's.
    """
    sigma = sigma_day if sigma_day > 0.0 else fallback_sigma_day
    volume = volume_day if volume_day > 0.0 else fallback_volume_day
    share = qty / volume if volume > 0.0 else 1.0
    return y * sigma * math.sqrt(share) * 1e4


def sliced_cost_bps(peak_impact_bps: float) -> float:
    """Return the average cost of an order sliced evenly, 2/3 of the peak, under a square-root profile."""
    return peak_impact_bps * 2.0 / 3.0
