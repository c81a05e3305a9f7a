"""Taking: what an order finds on the other side of a ladder book when it arrives, and what it consumes there.

Consumed lots leave `lots` at once, and the best level with them, so that two orders of one instant never take the same
quantity; they are back when the feed states the level anew. The market in the replay does not react to us.
`side` is the order's, BUY or SELL; `limit_ticks` 0 is a market order's.
"""

from __future__ import annotations

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
