"""Fill: whether an order meets the market, how much of it, and at what price, on bars.

Bars hide their order of events and their queue, so every rule here guesses against the trader and says so. `side` is
always the side of the order that fills: the stop of a long position is a SELL. Prices are ticks, quantities lots.
"""

from __future__ import annotations

from enum import IntEnum

from simcore.engine.rounding import adverse_ticks_nb
from simcore.jit import kernel


class FillRule(IntEnum):
    """When a resting limit order counts as filled by a bar. TOUCH is optimistic: reports flag it."""

    THROUGH = 0
    TOUCH = 1


@kernel
def limit_reached_nb(side, limit_ticks, low_ticks, high_ticks, rule, tick_step):
    """Say whether a bar fills a resting limit order: by default only when it trades beyond it by one exchange tick."""
    beyond = tick_step if rule == FillRule.THROUGH else 0
    return low_ticks <= limit_ticks - beyond if side > 0 else high_ticks >= limit_ticks + beyond


@kernel
def maker_fill_lots_nb(
    side, limit_ticks, leaves_lots, low_ticks, high_ticks, volume_lots, participation_cap, rule, tick_step, lot_step=1
):
    """Return how many lots of a resting limit order a bar fills, at the limit price even where the bar opened beyond it.

    At most `participation_cap` of the bar's volume, in multiples of the exchange's `lot_step`; the rest goes on waiting.
    """
    if not limit_reached_nb(side, limit_ticks, low_ticks, high_ticks, rule, tick_step):
        return 0
    return min(leaves_lots, int(participation_cap * volume_lots) // lot_step * lot_step)


@kernel
def target_filled_nb(side, target_ticks, low_ticks, high_ticks, rule, tick_step):
    """Say whether a bar fills a profit target, a resting limit order that closes; a target of 0 ticks is none."""
    return target_ticks > 0 and limit_reached_nb(side, target_ticks, low_ticks, high_ticks, rule, tick_step)


@kernel
def stop_touched_nb(side, stop_ticks, low_ticks, high_ticks):
    """Say whether a bar triggers a stop: the price itself is enough. A stop of 0 ticks is none."""
    return stop_ticks > 0 and (high_ticks >= stop_ticks if side > 0 else low_ticks <= stop_ticks)


@kernel
def taker_price_ticks_nb(side, reference_price, half_spread_bps, impact_bps, tick_size, price_filter_ticks):
    """Return what a taker order pays without a book: reference price, half spread and impact, rounded against the trader."""
    price = reference_price * (1.0 + side * (half_spread_bps + impact_bps) * 1e-4)
    return adverse_ticks_nb(side, price, tick_size, price_filter_ticks)


@kernel
def stop_fill_ticks_nb(side, stop_ticks, open_ticks, half_spread_bps, impact_bps, slippage_ticks, tick_size, price_filter_ticks):
    """Return the price of a triggered stop: the worse of stop and bar open, then half spread, impact and slippage.

    `slippage_ticks` counts exchange ticks. A bar that opens beyond the stop fills at its open, never at the stop.
    """
    worse = max(stop_ticks, open_ticks) if side > 0 else min(stop_ticks, open_ticks)
    reference = (worse + side * slippage_ticks * price_filter_ticks) * tick_size
    return taker_price_ticks_nb(side, reference, half_spread_bps, impact_bps, tick_size, price_filter_ticks)
