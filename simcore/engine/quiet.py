"""Quiet: the exchange's book played past own resting orders, whose queues move in the same loop, until one of them may fill."""

from __future__ import annotations

from simcore.domain.enums import EventKind
from simcore.engine.book import ASK, count_trade_nb, end_play_nb, followed_nb
from simcore.engine.queue import on_depth_nb
from simcore.engine.sight import SEVERAL
from simcore.jit import merged, prefetch

EVENTS_AHEAD = 24


@merged
def play_queues_nb(stream, venue, symbol, events, pos, end, until_ns, seen_ns, lots, resting, book, ladder):
    """Apply events as `play_nb` does, own queues included, and stop before the first that the venue must decide; return its row.

    `resting`, laid out as `lots`, says which own order rests at a level. The venue decides: a trade of more than what stands before an
    own order, or beyond its level; a quantity of the other side at or through the best own level; anything at a level with several
    own orders or one that we took from, or with one order while the book is unusable; every CLEAR, READY and GAP.
    """
    model, n, step_size = stream["queue_model"], stream["queue_n"], venue["instrument"][symbol]["step_size"]
    own_bid, own_ask = stream["own_top"][symbol, 0], stream["own_top"][symbol, 1]
    offset, start, last = ladder["offset"], pos, 2 * ladder["span"] - 1
    best_bid, best_ask = book["best_bid"], book["best_ask"]
    most = SEVERAL - 1 if book["ok"] == 1 else 0
    while pos < end and events[pos]["ts_exch"] <= until_ns and events[pos]["ts_local"] <= seen_ns:
        event = events[pos]
        prefetch(events[min(pos + EVENTS_AHEAD, end - 1)])
        kind, level, qty_lots = int(event["kind"]), int(event["level"]), event["qty_lots"]
        if kind <= EventKind.ASK_DEPTH:
            # One test, not two: whether a level empties cannot be foreseen.
            if (level >= last - (own_bid if kind == ASK else own_ask)) & (qty_lots > 0):
                break
            own = resting[offset + level]
            if own != 0:
                if own > most:
                    break
                order = venue["order"][own - 1]
                on_depth_nb(order, lots[offset + level], qty_lots, model, n, step_size)
            best_bid, best_ask = followed_nb(lots, offset, ladder["span"], kind, level, qty_lots, best_bid, best_ask)
        elif kind <= EventKind.ASK_LIFTED:
            own_best = own_ask if kind == EventKind.ASK_LIFTED else own_bid
            if level <= own_best:
                own = resting[offset + level]
                if level < own_best or own > most:
                    break
                order = venue["order"][own - 1]
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
