"""Queue: where a resting order stands at its price, and what a trade or a change of the level does to it.

A book by price does not say who stands before us. `order["front"]` is the quantity displayed ahead of the order and
`order["cum"]` what traded at its price since the level last changed, both in lots, as floats. A trade takes from the front;
of a decrease that trades do not explain, the model says which share `p` stood BEHIND us (formulas: hftbacktest, models/queue.rs).
Own orders are no part of the displayed quantity. A front is never negative, whatever the model.

Own orders at one price share a print in time priority: offer each, oldest first, what the older ones left of it.
"""

from __future__ import annotations

import math
from enum import IntEnum

from simcore.domain.enums import QueueModel
from simcore.jit import part

MULTIPLIED_POWERS = 8


class ThroughRule(IntEnum):
    """What a trade through the order's price fills: all of it (optimistic: reports flag it), or the print's size at most."""

    SIZE_CAPPED = 0
    FULL = 1


@part
def power_nb(base, exponent):
    """Return base ** exponent, by multiplication for small whole exponents: faster, and the same on every machine."""
    if exponent != math.floor(exponent) or exponent < 1.0 or exponent > MULTIPLIED_POWERS:
        return base**exponent
    result = base
    for _ in range(int(exponent) - 1):
        result *= base
    return result


@part
def share_behind_nb(model, n, step_size, front, back):
    """Return the share (0..1) of an unexplained decrease that stood behind an order with `front` > 0 lots ahead, `back` behind.

    `n` is the exponent of the power models. The logarithms count quantities, not lots: `step_size` is the size of a lot.
    """
    if model == QueueModel.POWER:
        ahead, behind = power_nb(front / (front + back), n), power_nb(back / (front + back), n)
        return behind / (ahead + behind)
    if model == QueueModel.POWER2:
        return power_nb(back / (front + back), n)
    if model == QueueModel.POWER3:
        return 1.0 - power_nb(front / (front + back), n)
    if model == QueueModel.LOG:
        ahead, behind = math.log1p(front * step_size), math.log1p(back * step_size)
        return behind / (ahead + behind)
    if model == QueueModel.LOG2:
        return math.log1p(back * step_size) / math.log1p((front + back) * step_size)
    return 1.0


@part
def join_queue_nb(order, ahead_lots):
    """Put an order at the end of the queue: behind what is displayed at its price when it arrives, or 0 at a price of its own."""
    order["front"] = float(max(ahead_lots, 0))
    order["cum"] = 0.0


@part
def on_depth_nb(order, prev_lots, new_lots, model, n, step_size):
    """Move an order's front when the displayed quantity at its price changes from `prev_lots` to `new_lots`.

    RISK_AVERSE takes every cancel to be behind. FIFO does so, too: its cancels come one by one, through `on_removal_nb`.
    """
    front, change = min(order["front"], float(prev_lots)), prev_lots - new_lots - order["cum"]
    order["cum"] = 0.0
    if change > 0.0 and front > 0.0:
        back = prev_lots - front
        # Where `back` holds less than its share, the formula takes the rest from the front: the cap at `new_lots` says the same.
        front -= (1.0 - share_behind_nb(model, n, step_size, front, back)) * change
    order["front"] = max(0.0, min(front, float(new_lots)))


@part
def on_trade_nb(order, qty_lots):
    """Let a trade of `qty_lots` at the order's price pass the queue; return the lots of the order it executes.

    The caller books them, and offers the next own order at this price `qty_lots` less what was executed.
    """
    front = order["front"] - qty_lots
    order["cum"] += qty_lots
    order["front"] = max(0.0, front)
    if front >= 0.0:
        return 0
    return min(int(order["leaves_lots"]), int(math.floor(0.5 - front)))


@part
def on_through_nb(order, qty_lots, rule):
    """Let a trade (or the other side's touch) of `qty_lots` pass through the order's price; return the lots it executes.

    The order's level was swept, so nobody stands before it any more.
    """
    order["front"] = 0.0
    leaves = int(order["leaves_lots"])
    return leaves if rule == ThroughRule.FULL else min(leaves, qty_lots)


@part
def on_removal_nb(order, qty_lots, seq):
    """Take a cancel out of the queue where orders have ids: it moves the front when the cancelled order, `seq`, came before ours."""
    if seq < order["seq"]:
        order["front"] = max(0.0, order["front"] - qty_lots)


@part
def keep_priority_nb(older, newer):
    """Keep an own order at the same price behind the older one.

    POWER with n > 1 takes more from a front in the middle of the level than from one before it, and would let the newer pass.
    """
    newer["front"] = max(newer["front"], older["front"])
