"""Fill: whether an order meets the market, how much of it, and at what price, on bars and against a displayed book.

Bars hide their order of events and their queue, so every rule here guesses against the trader and says so. `side` is
always the side of the order that fills: the stop of a long position is a SELL. Prices are ticks, quantities lots.
"""

from __future__ import annotations

from enum import IntEnum

from simcore.domain.enums import TimeInForce
from simcore.engine.rounding import adverse_ticks_nb
from simcore.jit import kernel


class FillRule(IntEnum):
    """When a resting limit order counts as filled by a bar. TOUCH is optimistic: reports flag it."""

    THROUGH = 0
    TOUCH = 1


class WalkStatus(IntEnum):
    """What became of an order that met the displayed book."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    EXPIRED = 3


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


@kernel
def _available_lots_nb(side, qty_lots, limit_ticks, level_ticks, level_lots, consumed_lots):
    """Return how much of the order the book could fill within its limit."""
    available = 0
    for i in range(level_ticks.shape[0]):
        if available >= qty_lots or (limit_ticks > 0 and side * (level_ticks[i] - limit_ticks) > 0):
            break
        available += max(0, level_lots[i] - consumed_lots[i])
    return min(available, qty_lots)


@kernel
def walk_book_nb(side, qty_lots, limit_ticks, tif, level_ticks, level_lots, consumed_lots, out_ticks, out_lots):
    """Match an order against the opposite side of a displayed book; return (number of fills, leaves_lots, WalkStatus).

    Levels come best first; fills are written to `out_ticks` and `out_lots`, one a level, and added to `consumed_lots`,
    where they stay until the feed refreshes the level. `limit_ticks` 0 is a market order: what it does not get expires.
    A GTX order that would take anything is refused whole; the rest of a GTC order waits at its limit.
    """
    if min(out_ticks.shape[0], out_lots.shape[0]) < level_ticks.shape[0]:
        raise ValueError("walk_book: the output arrays are shorter than the book")
    available = _available_lots_nb(side, qty_lots, limit_ticks, level_ticks, level_lots, consumed_lots)
    if tif == TimeInForce.GTX:
        return 0, qty_lots, WalkStatus.EXPIRED if available > 0 else WalkStatus.NEW
    if tif == TimeInForce.FOK and available < qty_lots:
        return 0, qty_lots, WalkStatus.EXPIRED
    n_fills, leaves, i = 0, qty_lots, 0
    while leaves > qty_lots - available:
        take = min(leaves, level_lots[i] - consumed_lots[i])
        if take > 0:
            out_ticks[n_fills], out_lots[n_fills] = level_ticks[i], take
            consumed_lots[i] += take
            leaves -= take
            n_fills += 1
        i += 1
    if leaves == 0:
        return n_fills, leaves, WalkStatus.FILLED
    if tif == TimeInForce.GTC and limit_ticks > 0:
        return n_fills, leaves, WalkStatus.PARTIALLY_FILLED if n_fills > 0 else WalkStatus.NEW
    return n_fills, leaves, WalkStatus.EXPIRED


def slippage_bps(side: int, price: float, reference: float) -> float:
    """Return how much worse than `reference` a fill price is, in basis points; negative when it is better."""
    return side * (price - reference) / reference * 1e4
