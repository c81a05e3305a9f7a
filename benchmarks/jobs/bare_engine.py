"""The bare kernel: two books, a log queue model and two quotes, nothing else. Its fills equal hftbacktest 2.4.4's one by one.

It is a floor for speed, and an oracle for an engine's conformance. Prepared layout, 32 bytes an event: both clocks, the
quantity, the level's index and a code. **Levels are mirrored**: a bid's index is `tick - low`, an ask's `high - tick`, so
that better is greater on both sides and no line below asks which side it is on. Two levels of different sides touch or
cross when their indices add up to `levels - 1` or more. The code holds kind and side of the book: 0 bid level, 1 ask
level, 2 a trade that takes bids, 3 a trade that takes asks.

The rules are those of the peer's full-fill exchange (`NoPartialFillExchange`, `LogProbQueueModel`):

- Events of one exchange time are worked off in row order; requests that arrive at that time come after them.
- An order is filled whole, at its own price, when a trade prints through its price, when the best of the other side comes
  to its price or through it, or when trades at its price have used up the queue in front of it by half a lot or more.
- Queue: front = quantity displayed at the price on arrival. A trade at the price takes from the front. A change of the
  level, less the trades since the last one, is shared between front and back by p = ln(1+back) / (ln(1+back) + ln(1+front));
  where p is not a number, front is the level's new quantity. A front below zero is not lifted to zero (a known trap); with
  `clamp` it is, which is what an engine without that trap has to equal.
- Own orders are not part of the book and take nothing from it: the size of a print or of a level does not bound a fill.

With `partial`, of the partial-fill exchange: a trade at the price fills at most what it has left when the front is used up
(whole lots), and the front is zero then; the other two ways to be filled fill everything that is open.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from benchmarks.streams import FILL

PREPARED = np.dtype(
    [("ts_exch", np.int64), ("ts_local", np.int64), ("qty", np.float64), ("level", np.int32), ("code", np.uint8)],
    align=True,  # to 32 bytes
)
# A quote as the exchange has it: its level is GONE when there is none.
QUOTE = np.dtype(
    [("level", np.int64), ("front", np.float64), ("traded", np.float64), ("leaves", np.float64), ("serial", np.int64)]
)
# A quote as the maker believes it to be, and what it has on the way to the exchange.
WISH = np.dtype([("level", np.int64), ("serial", np.int64), ("cancel", np.int64), ("send", np.bool_)])
RULES = np.dtype(
    [
        ("wake_ns", np.int64),
        ("latency_ns", np.int64),
        ("order_qty", np.float64),
        ("max_position", np.float64),
        ("fee_rate", np.float64),
        ("tick_size", np.float64),
        ("step_size", np.float64),
        ("low_tick", np.int64),
        ("high_tick", np.int64),
        ("partial", np.bool_),
        ("clamp", np.bool_),
    ]
)
FILLED = np.dtype([("ts", np.int64), ("side", np.int64), ("serial", np.int64), ("level", np.int64), ("qty", np.float64)])
TOTALS = np.dtype(
    [
        (name, np.float64)
        for name in ("orders", "fills", "refused", "wakes", "volume", "value", "cash", "fees", "position", "equity")
    ]
)
GONE = -2  # worse than every level and than an empty book's best
BID, ASK = 0, 1


def prepare(ts_exch, ts_local, kind, side, ticks, qty, low_tick: int, high_tick: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return PREPARED events of columns; rows outside low_tick..high_tick are left out, but for trades, which are clipped."""
    inside = (ticks >= low_tick) & (ticks <= high_tick) | (kind == 2)
    events = np.zeros(int(np.count_nonzero(inside)), PREPARED)
    # A trade's side is its aggressor's: a seller takes bids.
    is_ask = (side < 0) == (kind == 1)
    mirrored = np.where(is_ask, high_tick - ticks, ticks - low_tick)
    events["ts_exch"], events["ts_local"], events["qty"] = ts_exch[inside], ts_local[inside], qty[inside]
    events["level"] = np.clip(mirrored, 0, high_tick - low_tick)[inside]
    events["code"] = ((kind - 1) * 2 + is_ask)[inside]
    return events


def listed(fills: np.ndarray, rules: np.void) -> np.ndarray:
    """Return FILLED rows as rows of `benchmarks.streams.FILL`. Partial fills: a row an order, all it executed, `ts` its number."""
    qty, partial = fills["qty"], bool(rules["partial"])
    if partial:
        fills = fills[np.argsort(fills["serial"], kind="stable")]
        first = np.flatnonzero(np.diff(fills["serial"], prepend=-1))
        fills, qty = fills[first], np.add.reduceat(fills["qty"], first)
    table = np.zeros(len(fills), FILL)
    table["ts"], table["side"] = fills["serial" if partial else "ts"], fills["side"]
    table["tick"] = np.where(fills["side"] > 0, rules["low_tick"] + fills["level"], rules["high_tick"] - fills["level"])
    table["lots"] = np.rint(qty / rules["step_size"])
    return table


@nb.njit(cache=True)
def next_level_nb(book, side, below):  # type: ignore[no-untyped-def]
    """Return the best level with a quantity that is worse than `below`, -1 where there is none."""
    level = below - 1
    while level >= 0 and book[side, level] <= 0.0:
        level -= 1
    return level


@nb.njit(cache=True)
def new_best_nb(book, best, side, level, qty):  # type: ignore[no-untyped-def]
    """Keep both bests after a level that is not worse than the best has been set to `qty`.

    A new best that touches or crosses the other side pushes that side's best back; the levels it passes keep their
    quantities until the feed deletes them.
    """
    if qty <= 0.0:
        best[side] = next_level_nb(book, side, level)
    elif level > best[side]:
        best[side] = level
        touch = book.shape[1] - 1 - level
        if best[1 - side] >= touch:
            best[1 - side] = next_level_nb(book, 1 - side, touch)


@nb.njit(cache=True)
def queue_after_change_nb(front, traded, before, after):  # type: ignore[no-untyped-def]
    """Return the quantity in front of us after a level went from `before` to `after`, `traded` of it by prints seen already."""
    decrease = before - after - traded
    if decrease < 0.0:
        return min(front, after)
    back = before - front
    weight_back = math.log(1.0 + back) if back > -1.0 else math.nan
    weight_front = math.log(1.0 + front) if front > -1.0 else math.nan
    total = weight_back + weight_front
    if total == 0.0:
        if weight_back == 0.0:
            return after
        behind = 1.0
    else:
        behind = weight_back / total
    if math.isnan(behind):
        return after
    return min(front - (1.0 - behind) * decrease + min(back - behind * decrease, 0.0), after)


@nb.njit(cache=True)
def fill_nb(quote, side, ts, qty, fills, count):  # type: ignore[no-untyped-def]
    """Record a fill of `qty`; return the number of fills. A quote without rest is gone."""
    row = fills[count]
    row["ts"], row["side"], row["serial"] = ts, 1 - 2 * side, quote["serial"]
    row["level"], row["qty"] = quote["level"], qty
    quote["leaves"] -= qty
    if quote["leaves"] <= 1e-9:
        quote["level"] = GONE
    return count + 1


@nb.njit(cache=True)
def exchange_nb(events, row, until_ns, book, best, quotes, rules, fills, count):  # type: ignore[no-untyped-def]
    """Match all events with `ts_exch <= until_ns`; return the next row and the number of fills."""
    top = book.shape[1] - 1
    step = rules["step_size"]
    while row < len(events) and events[row]["ts_exch"] <= until_ns:
        event = events[row]
        code, level, qty = event["code"], event["level"], event["qty"]
        side = code & 1
        quote = quotes[side]
        if code < 2:
            before = book[side, level]
            book[side, level] = qty
            if level == quote["level"]:
                front = queue_after_change_nb(quote["front"], quote["traded"], before, qty)
                quote["front"] = max(front, 0.0) if rules["clamp"] else front
                quote["traded"] = 0.0
            if level >= best[side]:
                new_best_nb(book, best, side, level, qty)
                other = quotes[1 - side]
                if other["level"] >= top - best[side]:
                    count = fill_nb(other, 1 - side, event["ts_exch"], other["leaves"], fills, count)
        elif level < quote["level"]:
            count = fill_nb(quote, side, event["ts_exch"], quote["leaves"], fills, count)
        elif level == quote["level"]:
            quote["front"] -= qty
            quote["traded"] += qty
            lots = math.floor(-quote["front"] / step + 0.5)
            if lots > 0:
                quote["front"] = 0.0
                take = min(lots * step, quote["leaves"]) if rules["partial"] else quote["leaves"]
                count = fill_nb(quote, side, event["ts_exch"], take, fills, count)
        row += 1
    return row, count


@nb.njit(cache=True)
def local_nb(events, row, until_ns, book, best):  # type: ignore[no-untyped-def]
    """Bring the maker's book up to all events with `ts_local <= until_ns`; return the next row."""
    while row < len(events) and events[row]["ts_local"] <= until_ns:
        event = events[row]
        code, level, qty = event["code"], event["level"], event["qty"]
        if code < 2:
            book[code, level] = qty
            if level >= best[code]:
                new_best_nb(book, best, code, level, qty)
        row += 1
    return row


@nb.njit(cache=True)
def arrive_nb(wishes, quotes, book, best, rules):  # type: ignore[no-untyped-def]
    """Let the requests of one wake reach the exchange: cancels, then new post-only orders; return how many were refused."""
    refused = 0
    for side in range(2):
        wish, quote = wishes[side], quotes[side]
        if wish["cancel"] >= 0 and quote["level"] != GONE and quote["serial"] == wish["cancel"]:
            quote["level"] = GONE
        wish["cancel"] = -1
        if wish["send"]:
            wish["send"] = False
            if best[1 - side] >= 0 and wish["level"] + best[1 - side] >= book.shape[1] - 1:
                # Refused for it would take. The maker reads that before its next wake.
                wish["level"] = GONE
                refused += 1
            else:
                quote["level"], quote["serial"] = wish["level"], wish["serial"]
                quote["front"], quote["traded"] = book[side, wish["level"]], 0.0
                quote["leaves"] = rules["order_qty"]
    return refused


@nb.njit(cache=True)
def learn_nb(fills, known, count, until_ns, wishes, left, totals, rules):  # type: ignore[no-untyped-def]
    """Book all fills whose report has arrived by `until_ns`; return how many are known."""
    while known < count and fills[known]["ts"] + rules["latency_ns"] <= until_ns:
        fill = fills[known]
        side = 0 if fill["side"] > 0 else 1
        tick = rules["low_tick"] + fill["level"] if side == 0 else rules["high_tick"] - fill["level"]
        value = tick * rules["tick_size"] * fill["qty"]
        totals["position"] += fill["qty"] * fill["side"]
        totals["cash"] -= value * fill["side"]
        totals["fees"] += value * rules["fee_rate"]
        totals["volume"] += fill["qty"]
        totals["value"] += value
        totals["fills"] += 1
        if fill["serial"] == wishes[side]["serial"]:
            left[side] -= fill["qty"]
            if left[side] <= 1e-9:
                wishes[side]["level"] = GONE
        known += 1
    return known


@nb.njit(cache=True)
def decide_nb(best, wishes, left, totals, rules):  # type: ignore[no-untyped-def]
    """The rule of `benchmarks.quotes` at one wake: what to cancel and what to send."""
    for side in range(2):
        wish = wishes[side]
        room = totals["position"] * (1 - 2 * side) < rules["max_position"] - 0.5 * rules["step_size"]
        wanted = best[side] if room and best[side] >= 0 else GONE
        if wish["level"] == wanted:
            continue
        if wish["level"] != GONE:
            wish["cancel"] = wish["serial"]
        wish["level"] = wanted
        if wanted != GONE:
            wish["serial"] = np.int64(totals["orders"])
            wish["send"] = True
            left[side] = rules["order_qty"]
            totals["orders"] += 1


@nb.njit(cache=True)
def bare_engine_nb(events, levels, rules, fills, totals):  # type: ignore[no-untyped-def]
    """Run the maker over the events; return the number of fills.

    `events` are PREPARED; neither clock goes back from one to the next. Two latencies fit between two wakes, so that only a
    fill can be unknown at a wake, never an acceptance.
    """
    market, seen = np.zeros((2, levels)), np.zeros((2, levels))
    market_best, seen_best = np.full(2, -1), np.full(2, -1)
    quotes, wishes = np.zeros(2, QUOTE), np.zeros(2, WISH)
    left = np.zeros(2)
    for side in range(2):
        quotes[side]["level"] = wishes[side]["level"] = GONE
        quotes[side]["serial"] = wishes[side]["serial"] = wishes[side]["cancel"] = -1
    row = local_row = count = known = 0
    wake = events[0]["ts_exch"]
    while True:
        row, count = exchange_nb(events, row, wake + rules["latency_ns"], market, market_best, quotes, rules, fills, count)
        totals["refused"] += arrive_nb(wishes, quotes, market, market_best, rules)
        wake += rules["wake_ns"]
        row, count = exchange_nb(events, row, wake, market, market_best, quotes, rules, fills, count)
        local_row = local_nb(events, local_row, wake, seen, seen_best)
        known = learn_nb(fills, known, count, wake, wishes, left, totals, rules)
        if local_row == len(events) and row == len(events) and known == count:
            break
        totals["wakes"] += 1
        decide_nb(seen_best, wishes, left, totals, rules)
    bid = (rules["low_tick"] + seen_best[BID]) * rules["tick_size"]
    ask = (rules["high_tick"] - seen_best[ASK]) * rules["tick_size"]
    totals["equity"] = totals["cash"] + totals["position"] * (bid + ask) / 2.0 - totals["fees"]
    return count
