"""Quiet: the exchange's book played past own resting orders, whose queues move in the same loop, until one of them may fill."""

from __future__ import annotations

from simcore.domain.enums import EventKind
from simcore.engine.book import ASK, count_trade_nb, end_play_nb, followed_nb
from simcore.engine.queue import on_depth_nb
from simcore.jit import part


@part
def row_at_nb(own, own_level, n_own, level):
    """Return the order row of the own order that rests at a level; one does."""
    for at in range(n_own):
        if own_level[at] == level:
            return own[at]
    return -1


@part
def play_queues_nb(
    events, pos, end, until_ns, lots, resting, own, own_level, n_own, own_bid, own_ask, orders, model, n, step_size, book, ladder
):  # fmt: skip
    """Apply events in exchange time, own queues included, and stop before the first that the venue must decide; return its row.

    `resting`, laid out as `lots`, counts own orders a level; `own_level` and `own` list their levels and their rows in `orders`;
    `own_bid` and `own_ask` are the best of these levels (-1 and span - 1: none). The venue decides: a trade of more than what
    stands before an own order, or beyond its level; a quantity of the other side at or through the best own level; anything at a
    level with several own orders, or with one while the book is unusable; every CLEAR, READY and GAP.
    """
    offset, start, last = ladder["offset"], pos, 2 * ladder["span"] - 1
    best_bid, best_ask = book["best_bid"], book["best_ask"]
    most = 1 if book["ok"] == 1 else 0
    while pos < end and events[pos]["ts_exch"] <= until_ns:
        event = events[pos]
        kind, level, qty_lots = int(event["kind"]), int(event["level"]), event["qty_lots"]
        if kind <= EventKind.ASK_DEPTH:
            if qty_lots > 0 and level >= last - (own_bid if kind == ASK else own_ask):
                break
            if resting[offset + level] != 0:
                if resting[offset + level] > most:
                    break
                order = orders[row_at_nb(own, own_level, n_own, level)]
                on_depth_nb(order, lots[offset + level], qty_lots, model, n, step_size)
            best_bid, best_ask = followed_nb(lots, offset, ladder["span"], kind, level, qty_lots, best_bid, best_ask)
        elif kind <= EventKind.ASK_LIFTED:
            own_best = own_ask if kind == EventKind.ASK_LIFTED else own_bid
            if level <= own_best:
                if level < own_best or resting[offset + level] > most:
                    break
                order = orders[row_at_nb(own, own_level, n_own, level)]
                if qty_lots > order["front"]:
                    break
                order["front"] -= qty_lots
                order["cum"] += qty_lots
            count_trade_nb(book, kind & 1, level, qty_lots)
        else:
            break
        pos += 1
    end_play_nb(book, best_bid, best_ask, events, start, pos)
    return pos
