"""Rounding: floats on the exchange's grid inside kernels, in the direction that never helps the trader.

Quantities and limit prices are rounded so that the order asks for less; prices that a trader pays so that they cost more.
Arguments are finite: a NaN has no place on a grid, and its stage has vetoed it before.
"""

from __future__ import annotations

import math

from simcore.jit import kernel

# A float that lies this close to a whole number of steps means that number: 0.3 / 0.1 is 3.
SNAP = 1e-6


@kernel
def steps_down_nb(value, step):
    """Return how many whole steps a non-negative float value holds, as an integer."""
    return int(math.floor(value / step + SNAP))


@kernel
def lots_down_nb(qty, step_size, lot_filter_lots):
    """Return a float quantity in lots, cut down to a multiple of the exchange's own step; 0 for NaN and negative ones."""
    if not qty > 0.0:
        return 0
    return steps_down_nb(qty, step_size * lot_filter_lots) * lot_filter_lots


@kernel
def passive_ticks_nb(side, price, tick_size, price_filter_ticks):
    """Return a limit price on the exchange's tick that is no more aggressive than `price`: BUY down, SELL up."""
    steps = price / (tick_size * price_filter_ticks)
    whole = math.floor(steps + SNAP) if side > 0 else math.ceil(steps - SNAP)
    return int(whole) * price_filter_ticks


@kernel
def adverse_ticks_nb(side, price, tick_size, price_filter_ticks):
    """Return a paid price on the exchange's tick that is no better than `price`: BUY up, SELL down, at least one tick."""
    return max(price_filter_ticks, passive_ticks_nb(-side, price, tick_size, price_filter_ticks))
