"""The ladder book equals two dicts after every event, its fast loops equal its single steps, and consumed liquidity is gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import EventKind, QueueModel
from simcore.domain.records import BOOK, EVENT, LADDER, ORDER, STREAM, VENUE
from simcore.engine import book as kernels
from simcore.engine.queue import join_queue_nb, on_depth_nb, on_trade_nb
from simcore.engine.quiet import play_queues_nb
from simcore.engine.schedule import NEVER
from simcore.engine.sight import SEVERAL
from tests.doors import door
from tests.oracle.book import DictBook

pytestmark = pytest.mark.jitless
BASE, STEP, SPAN, OFFSET = 1000, 5, 12, 7
apply_event, clear_book = door(kernels.apply_event_nb), door(kernels.clear_book_nb)
best_ticks, best_lots, depth_sum = door(kernels.best_ticks_nb), door(kernels.best_lots_nb), door(kernels.depth_sum_nb)
level_of_ticks, ticks_of_level = door(kernels.level_of_ticks_nb), door(kernels.ticks_of_level_nb)
opposite_level, on_ladder, level_lots = door(kernels.opposite_level_nb), door(kernels.on_ladder_nb), door(kernels.level_lots_nb)
play, play_to_change = door(kernels.play_nb), door(kernels.play_to_change_nb)
has_both_sides = door(kernels.has_both_sides_nb)
play_queues, join_queue, on_depth, on_trade = (door(p) for p in (play_queues_nb, join_queue_nb, on_depth_nb, on_trade_nb))


class Ladder:
    """A book on a short ladder in the middle of a larger flat array."""

    def __init__(self):
        self.lots = np.full(OFFSET + 2 * SPAN + 3, -1, np.int64)
        self.books, self.ladders = np.zeros(1, BOOK), np.zeros(1, LADDER)
        self.ladders[0] = (BASE, STEP, SPAN, OFFSET)
        clear_book(self.lots, self.book, self.ladder)

    @property
    def book(self):
        return self.books[0]

    @property
    def ladder(self):
        return self.ladders[0]

    def neighbours_untouched(self):
        return bool((self.lots[:OFFSET] == -1).all() and (self.lots[OFFSET + 2 * SPAN :] == -1).all())

    def same_as(self, other):
        return self.books.tobytes() == other.books.tobytes() and self.lots.tobytes() == other.lots.tobytes()


def level_of(side, rung):
    return rung if side == 0 else 2 * SPAN - 1 - rung


@st.composite
def streams(draw, most=40):
    """Return (kind, rung, lots, last, exchange time, local time) a row."""
    kind = st.sampled_from([0, 1] * 6 + [2, 3] * 2 + [EventKind.CLEAR, EventKind.READY, EventKind.GAP])
    rows = draw(st.lists(st.tuples(kind, st.integers(0, SPAN - 1), st.integers(0, 4), st.booleans()), max_size=most))
    steps = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=len(rows), max_size=len(rows)))
    times = np.cumsum(np.array(steps, np.int64).reshape(-1, 2), axis=0)
    return [(*row, *map(int, pair)) for row, pair in zip(rows, times, strict=True)]


def events_of(rows):
    events = np.zeros(len(rows), EVENT)
    for event, (kind, rung, lots, last, ts_exch, ts_local) in zip(events, rows, strict=True):
        event["kind"], event["last"], event["qty_lots"] = kind, last, lots
        event["ts_exch"], event["ts_local"] = ts_exch, ts_local
        event["level"] = level_of(kind & 1, rung) if kind <= EventKind.ASK_LIFTED else -1
    return events


def tell(twin, row):
    """Play one row on the twin."""
    kind, rung, lots, *_ = row
    if kind <= EventKind.ASK_DEPTH:
        twin.depth(kind, BASE + rung * STEP, lots)
    elif kind <= EventKind.ASK_LIFTED:
        twin.trades += 1
        twin.buy_lots += lots if kind == EventKind.ASK_LIFTED else 0
        twin.sell_lots += lots if kind == EventKind.BID_HIT else 0
    elif kind == EventKind.CLEAR:
        twin.clear()
    else:
        twin.ok = kind == EventKind.READY
        twin.gaps += kind == EventKind.GAP


@settings(max_examples=300)
@given(streams())
def test_the_ladder_book_equals_a_dict_book_after_every_event(rows):
    ours, twin = Ladder(), DictBook()
    for row, event in zip(rows, events_of(rows), strict=True):
        before = (twin.touch(), twin.ok)
        changed = apply_event(ours.lots, ours.book, ours.ladder, event)
        tell(twin, row)
        assert best_ticks(ours.book, ours.ladder) == twin.best()
        assert best_lots(ours.lots, ours.book, ours.ladder) == tuple(lots for _ticks, lots in twin.touch())
        assert has_both_sides(ours.book, ours.ladder) == all(twin.sides)
        for side in (0, 1):
            assert [depth_sum(ours.lots, ours.book, ours.ladder, side, n) for n in (0, 1, 3, 99)] == [
                twin.depth_sum(side, n) for n in (0, 1, 3, 99)
            ]
        assert (ours.book["ok"], ours.book["gaps"], ours.book["n_trades"]) == (twin.ok, twin.gaps, twin.trades)
        assert (ours.book["buy_lots"], ours.book["sell_lots"]) == (twin.buy_lots, twin.sell_lots)
        if (twin.touch(), twin.ok) != before:
            assert changed
        elif row[0] <= EventKind.ASK_LIFTED:
            assert not changed
    assert ours.neighbours_untouched()
    assert ours.book["n_events"] == len(rows)


@settings(max_examples=300)
@given(streams(), st.integers(0, 1), st.lists(st.integers(0, 60), max_size=4))
def test_the_fast_loop_equals_single_steps_and_stops_at_its_time(rows, local, waits):
    fast, slow = Ladder(), Ladder()
    events, pos = events_of(rows), 0
    clock = events["ts_local" if local else "ts_exch"]
    for until in [*sorted(waits), 10**6]:
        happened, seen = (NEVER, until) if local else (until, NEVER)
        end = play(events, pos, len(events), happened, seen, fast.lots, fast.book, fast.ladder)
        assert end == np.searchsorted(clock, until, side="right")
        for event in events[pos:end]:
            apply_event(slow.lots, slow.book, slow.ladder, event)
        assert fast.same_as(slow)
        pos = end


def settled(event, levels, own_best, orders, ladder, model):
    """Play one event on book and orders in single steps; return False, with nothing changed, where the venue must decide."""
    kind, level, lots = int(event["kind"]), int(event["level"]), int(event["qty_lots"])
    here = [orders[row] for row, own in enumerate(levels) if own == level]
    if kind > EventKind.ASK_LIFTED or len(here) > ladder.book["ok"]:
        return False
    if kind <= EventKind.ASK_DEPTH:
        if lots > 0 and 2 * SPAN - 1 - level <= own_best[1 - kind]:
            return False
        for order in here:
            on_depth(order, ladder.lots[OFFSET + level], lots, model.value, 3.0, 0.001)
    elif level < own_best[kind & 1] or any(lots > order["front"] for order in here):
        return False
    else:
        assert [on_trade(order, lots) for order in here] == [0] * len(here)
    apply_event(ladder.lots, ladder.book, ladder.ladder, event)
    return True


@st.composite
def calm_streams(draw):
    """Return depth and trades on the bids of rungs 4 to 6 and the asks of 7 to 9, in one instant: an own order's queue moves often."""
    side = st.integers(0, 1)
    rows = draw(st.lists(st.tuples(side, st.booleans(), st.sampled_from([0, 0, 1, 2]), st.integers(0, 6)), max_size=40))
    return [(bit + 2 * trade, 6 - deep if bit == 0 else 7 + deep, lots, True, 0, 0) for bit, trade, deep, lots in rows]


calm_own = st.sampled_from([[(0, 6)], [(1, 7)], [(0, 6), (1, 7)]])


@settings(max_examples=300)
@given(
    st.one_of(
        st.tuples(streams(), st.lists(st.tuples(st.integers(0, 1), st.integers(0, SPAN - 1)), max_size=4)),
        st.tuples(calm_streams(), calm_own),
    ),
    st.lists(st.integers(0, 8), min_size=4, max_size=4),
    st.sampled_from([QueueModel.POWER, QueueModel.RISK_AVERSE, QueueModel.LOG]),
    st.integers(0, 60),
    st.sampled_from([True, True, False]),
)
def test_the_loop_past_own_queues_moves_them_and_stops_before_what_the_venue_must_decide(rows_and_own, ahead, model, until, usable):
    rows, own = rows_and_own
    fast, slow, levels = Ladder(), Ladder(), [level_of(side, rung) for side, rung in own]
    venue, stream = np.zeros(1, VENUE)[0], np.zeros(1, STREAM)[0]
    ours, twins = venue["order"], np.zeros(6, ORDER)
    for order, twin, lots in zip(ours, twins, ahead, strict=False):
        order["leaves_lots"] = twin["leaves_lots"] = 1
        join_queue(order, lots)
        join_queue(twin, lots)
    fast.books["ok"] = slow.books["ok"] = usable
    resting = np.zeros(len(fast.lots), np.uint8)
    for row, level in enumerate(levels):
        resting[OFFSET + level] = SEVERAL if levels.count(level) > 1 else row + 1
    own_best = [max([level for level in levels if (level >= SPAN) == side], default=side * SPAN - 1) for side in (0, 1)]
    stream["own_top"][0], stream["queue_model"], stream["queue_n"] = own_best, model.value, 3.0
    venue["instrument"]["step_size"][0] = 0.001
    events = events_of(rows)
    end = play_queues(stream, venue, 0, events, 0, len(events), until, NEVER, fast.lots, resting, fast.book, fast.ladder)
    past = (i for i, event in enumerate(events) if event["ts_exch"] > until or not settled(event, levels, own_best, twins, slow, model))
    assert end == next(past, len(events))
    assert fast.same_as(slow)
    assert ours[: len(twins)].tobytes() == twins.tobytes()


@settings(max_examples=300)
@given(streams(), st.booleans(), st.booleans())
def test_a_strategy_wakes_behind_each_whole_message_that_changed_what_it_watches(rows, on_touch, on_trade):
    ours, twin = Ladder(), DictBook()
    events, pos, told = events_of(rows), 0, 0
    while pos < len(events):
        pos, stopped = play_to_change(events, pos, len(events), 10**6, on_touch, on_trade, ours.lots, ours.book, ours.ladder)
        news = False
        for i in range(told, pos):
            before, trades = twin.touch(), twin.trades
            tell(twin, rows[i])
            moved = twin.touch() != before or rows[i][0] > EventKind.ASK_LIFTED
            news = news or (on_touch and moved) or (on_trade and twin.trades > trades)
            assert not (news and rows[i][3] and i < pos - 1)
        assert stopped == news
        assert not stopped or rows[pos - 1][3] or pos == len(events)
        told = pos


@settings(max_examples=300)
@given(st.integers(0, 1), st.integers(BASE - 30, BASE + (SPAN + 6) * STEP))
def test_a_price_counts_as_its_own_rung_or_the_less_aggressive_one(side, ticks):
    ladder = Ladder().ladder
    level = level_of_ticks(ladder, side, ticks)
    inside = BASE <= ticks <= BASE + (SPAN - 1) * STEP
    if inside:
        assert on_ladder(ladder, side, level)
        rounded = ticks_of_level(ladder, level)
        assert 0 <= (ticks - rounded if side == 0 else rounded - ticks) < STEP
        assert ticks_of_level(ladder, opposite_level(ladder, level)) == rounded
    elif (ticks - BASE) % STEP == 0:
        assert not on_ladder(ladder, side, level)
        assert level_lots(Ladder().lots, ladder, side, level) == 0


@settings(max_examples=300)
@given(st.integers(0, 1), st.integers(BASE - 30, BASE + 90), st.integers(BASE - 30, BASE + 90))
def test_a_better_price_never_has_a_lower_level(side, first, second):
    ladder = Ladder().ladder
    worse, better = sorted((first, second), reverse=side == 1)
    assert level_of_ticks(ladder, side, worse) <= level_of_ticks(ladder, side, better)
