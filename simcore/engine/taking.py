"""Taking: what an order finds on the other side of a ladder book when it arrives, and what it consumes there.

Consumed lots leave `lots` at once, and the best level with them, so that two orders of one instant never take the same
quantity; they are back when the feed states the level anew. The market in the replay does not react to us.
`side` is the order's, BUY or SELL; `limit_ticks` 0 is a market order's.
"""

from __future__ import annotations

from simcore.domain.enums import TimeInForce
from simcore.engine.book import (
    ASK,
    BID,
    best_level_nb,
    level_of_ticks_nb,
    next_level_nb,
    opposite_level_nb,
    set_best_level_nb,
    ticks_of_level_nb,
)
from simcore.engine.fills import WalkStatus
from simcore.jit import part


@part
def facing_nb(side):
    """Return the side of the book that an order takes from."""
    return ASK if side > 0 else BID


@part
def worst_level_nb(ladder, side, limit_ticks):
    """Return the worst level of the facing side that an order may take from; its first level when there is no limit."""
    floor = facing_nb(side) * ladder["span"]
    if limit_ticks <= 0:
        return floor
    return max(floor, opposite_level_nb(ladder, level_of_ticks_nb(ladder, 1 - facing_nb(side), limit_ticks)))


@part
def would_take_nb(book, ladder, side, limit_ticks):
    """Say whether an order would meet the other side at once: what refuses a post-only order at its arrival."""
    return best_level_nb(book, facing_nb(side)) >= worst_level_nb(ladder, side, limit_ticks)


@part
def available_lots_nb(lots, book, ladder, side, qty_lots, limit_ticks):
    """Return how many of `qty_lots` the book displays within the limit."""
    offset, worst = ladder["offset"], worst_level_nb(ladder, side, limit_ticks)
    level, available = best_level_nb(book, facing_nb(side)), 0
    while level >= worst and available < qty_lots:
        available += lots[offset + level]
        level -= 1
    return min(available, qty_lots)


@part
def plan_taking_nb(lots, book, ladder, side, qty_lots, limit_ticks, tif):
    """Return (lots to take at arrival, WalkStatus once they are taken) by the order's time in force.

    FOK takes all or nothing, GTX nothing: it expires when it would take. What a market or IOC order does not get expires; the
    rest of a GTC or GTD order waits at its limit, where its queue is empty if it took anything.
    """
    if tif == TimeInForce.GTX:
        return 0, WalkStatus.EXPIRED.value if would_take_nb(book, ladder, side, limit_ticks) else WalkStatus.NEW.value
    available = available_lots_nb(lots, book, ladder, side, qty_lots, limit_ticks)
    if available == qty_lots:
        return available, WalkStatus.FILLED.value
    if tif == TimeInForce.FOK:
        return 0, WalkStatus.EXPIRED.value
    if limit_ticks > 0 and (tif == TimeInForce.GTC or tif == TimeInForce.GTD):
        return available, WalkStatus.PARTIALLY_FILLED.value if available > 0 else WalkStatus.NEW.value
    return available, WalkStatus.EXPIRED.value


@part
def take_best_nb(lots, book, ladder, side, qty_lots):
    """Consume up to `qty_lots` of the facing side's best level; return (price in ticks, lots), (0, 0) from an empty side."""
    facing, offset = facing_nb(side), ladder["offset"]
    level = best_level_nb(book, facing)
    if level < facing * ladder["span"] or qty_lots <= 0:
        return 0, 0
    taken = min(qty_lots, lots[offset + level])
    lots[offset + level] -= taken
    set_best_level_nb(book, facing, next_level_nb(lots, ladder, facing, level))
    return ticks_of_level_nb(ladder, level), taken


@part
def take_ladder_nb(lots, book, ladder, side, qty_lots, limit_ticks, out_ticks, out_lots):
    """Consume up to `qty_lots` within the limit, level by level; return (number of fills, lots still wanted).

    A fill a level goes to `out_ticks` and `out_lots`. With these full, and lots still wanted, call again for more.
    """
    worst, facing = worst_level_nb(ladder, side, limit_ticks), facing_nb(side)
    n_fills, leaves = 0, qty_lots
    while leaves > 0 and n_fills < out_ticks.shape[0] and best_level_nb(book, facing) >= worst:
        out_ticks[n_fills], out_lots[n_fills] = take_best_nb(lots, book, ladder, side, leaves)
        leaves -= out_lots[n_fills]
        n_fills += 1
    return n_fills, leaves
