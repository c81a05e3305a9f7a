"""Queue models: fronts stay within the level, no print fills more than itself, and no model beats the queue it cannot see.

What holds of fills, path by path on any stream:
- RISK_AVERSE never fills before true FIFO, whoever cancels, and no model fills after RISK_AVERSE.
- No model fills before true FIFO where those ahead cancel first, the best that can happen to an order.
What holds of their means is in test_queue_expectation.py. The named traps of MODELS section 2 are at the end.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simcore.domain.enums import QueueModel
from simcore.domain.records import ORDER
from simcore.engine import queue as kernels
from simcore.engine.queue import ThroughRule
from tests.doors import door
from tests.oracle.queue import Queued

pytestmark = pytest.mark.jitless
join_queue, on_depth, on_trade = door(kernels.join_queue_nb), door(kernels.on_depth_nb), door(kernels.on_trade_nb)
on_through, on_removal, keep_priority = door(kernels.on_through_nb), door(kernels.on_removal_nb), door(kernels.keep_priority_nb)
share_behind = door(kernels.share_behind_nb)
LOT = 0.001
NAMES = {
    QueueModel.RISK_AVERSE: "risk",
    QueueModel.POWER: "power",
    QueueModel.POWER2: "power2",
    QueueModel.POWER3: "power3",
    QueueModel.LOG: "log",
    QueueModel.LOG2: "log2",
    QueueModel.FIFO: "risk",
}
models = st.tuples(st.sampled_from(list(NAMES)), st.sampled_from([1.0, 2.0, 3.0, 2.5]))
quantities = st.integers(0, 40)


def resting(qty_lots, ahead_lots, seq=0):
    orders = np.zeros(1, ORDER)
    orders["qty_lots"] = orders["leaves_lots"] = qty_lots
    orders["seq"] = seq
    join_queue(orders[0], ahead_lots)
    return orders[0]


def change(order, prev, new, model):
    on_depth(order, prev, new, model[0].value, model[1], LOT)


def trade(order, qty):
    got = on_trade(order, qty)
    order["leaves_lots"] -= got
    return int(got)


# Anything at all may happen to a level, also what no exchange would send.
wild_streams = st.lists(st.tuples(st.sampled_from(["depth", "trade"]), quantities), max_size=25)


@settings(max_examples=300)
@given(models, quantities, st.integers(1, 30), wild_streams)
def test_a_front_is_never_negative_nor_behind_the_level_and_a_fill_never_more_than_its_print_or_order(model, level, qty, stream):
    order = resting(qty, level)
    for kind, lots in stream:
        if kind == "depth":
            change(order, level, lots, model)
            level = lots
            assert 0.0 <= order["front"] <= level
            assert order["cum"] == 0.0
        else:
            before, leaves = float(order["front"]), int(order["leaves_lots"])
            got = trade(order, lots)
            assert 0 <= got <= min(lots, leaves)
            assert order["front"] == max(0.0, before - lots)
            assert got == 0 or order["front"] == 0.0
        assert 0 <= order["leaves_lots"] <= qty


@settings(max_examples=300)
@given(models, quantities, st.integers(1, 30), wild_streams)
def test_a_queue_equals_its_twin_in_decimals(model, level, qty, stream):
    order, lot = resting(qty, level), Decimal("0.001")
    twin = Queued(NAMES[model[0]], model[1], lot, level * lot, qty * lot)
    for kind, lots in stream:
        if kind == "depth":
            assume(twin.front <= level * lot)
            change(order, level, lots, model)
            twin.depth(level * lot, lots * lot)
            level = lots
        else:
            behind = lots - float(twin.front / lot)
            assume(abs(behind % 1.0 - 0.5) > 1e-6)  # a tie that floats may break otherwise
            assert trade(order, lots) * lot == twin.trade(lots * lot)
        assert order["front"] == pytest.approx(float(twin.front / lot), abs=1e-7)


@settings(max_examples=300)
@given(models, st.floats(0.01, 1e9), st.floats(0.0, 1e9))
def test_a_share_behind_is_a_share_and_one_where_nobody_is_ahead(model, front, back):
    assert 0.0 <= share_behind(model[0].value, model[1], LOT, front, back) <= 1.0
    assert share_behind(model[0].value, model[1], LOT, 1e-12, back + 1.0) == pytest.approx(1.0, abs=1e-3)


class Level:
    """A price level of named quantities in the order they came; ours, if asked for, among them. A true FIFO queue."""

    def __init__(self, quantities):
        self.queue = [[i, qty] for i, qty in enumerate(quantities)]
        self.next = len(quantities)

    def displayed(self, own=()):
        return sum(qty for name, qty in self.queue if name not in own)

    def join(self, qty):
        self.queue.append([self.next, qty])
        self.next += 1
        return self.next - 1

    def cancel(self, name, qty):
        for row in self.queue:
            if row[0] == name:
                row[1] -= qty
        self.queue = [row for row in self.queue if row[1] > 0]

    def trade(self, qty):
        """Execute `qty` from the head; return what each name got."""
        got = {}
        for row in self.queue:
            got[row[0]] = min(qty, row[1])
            row[1] -= got[row[0]]
            qty -= got[row[0]]
        self.queue = [row for row in self.queue if row[1] > 0]
        return got


@st.composite
def histories(draw):
    """Return what stood before us, our quantity, and steps: (trade, join or cancel; a quantity; which one cancels)."""
    step = st.tuples(st.sampled_from(["trade", "join", "cancel", "cancel"]), st.integers(1, 9), st.integers(0, 30))
    return draw(st.lists(st.integers(1, 9), max_size=8)), draw(st.integers(1, 12)), draw(st.lists(step, max_size=30))


def play_history(history, follower, from_the_front=False):
    """Play a true queue and let `follower(prev, new, traded)` return what the model fills; yield both totals after each step."""
    before, qty, steps = history
    level = Level(before)
    own = level.join(qty)
    true_fills = model_fills = 0
    for kind, lots, pick in steps:
        prev, traded = level.displayed([own]), 0
        if kind == "trade":
            traded, true_fills = lots, true_fills + level.trade(lots).get(own, 0)
        elif kind == "join":
            level.join(lots)
        else:
            others = [row for row in level.queue if row[0] != own]
            if others:
                name, held = others[0 if from_the_front else pick % len(others)]
                level.cancel(name, min(lots, held))
        model_fills += follower(prev, level.displayed([own]), traded)
        yield true_fills, model_fills


def follower_of(order, model):
    def follow(prev, new, traded):
        got = trade(order, traded) if traded > 0 else 0
        change(order, prev, new, model)
        return got

    return follow


@settings(max_examples=300)
@given(histories())
def test_risk_averse_never_fills_before_true_fifo_on_any_path(history):
    order = resting(history[1], sum(history[0]))
    for true_fills, model_fills in play_history(history, follower_of(order, (QueueModel.RISK_AVERSE, 1.0))):
        assert model_fills <= true_fills


@settings(max_examples=300)
@given(models, histories())
def test_no_model_fills_before_true_fifo_where_those_ahead_cancel_first(model, history):
    order = resting(history[1], sum(history[0]))
    for true_fills, model_fills in play_history(history, follower_of(order, model), from_the_front=True):
        assert model_fills <= true_fills


@settings(max_examples=300)
@given(models, quantities, st.integers(1, 30), wild_streams)
def test_no_model_fills_after_risk_averse_on_any_path(model, level, qty, stream):
    order, averse = resting(qty, level), resting(qty, level)
    for kind, lots in stream:
        if kind == "depth":
            change(order, level, lots, model)
            change(averse, level, lots, (QueueModel.RISK_AVERSE, 1.0))
            level = lots
        else:
            trade(order, lots)
            trade(averse, lots)
        assert order["front"] <= averse["front"]
        assert order["leaves_lots"] <= averse["leaves_lots"]


@settings(max_examples=300)
@given(histories())
def test_with_ids_the_front_is_the_true_one_and_so_are_the_fills(history):
    before, qty, steps = history
    level = Level(before)
    own = level.join(qty)
    order = resting(qty, sum(before), seq=own)
    for kind, lots, pick in steps:
        if kind == "trade":
            assert trade(order, lots) == level.trade(lots).get(own, 0)
        elif kind == "join":
            level.join(lots)
        elif others := [row for row in level.queue if row[0] != own]:
            name, held = others[pick % len(others)]
            level.cancel(name, min(lots, held))
            on_removal(order, min(lots, held), name)
        if order["leaves_lots"] > 0:
            assert order["front"] == sum(row[1] for row in level.queue if row[0] < own)


@settings(max_examples=300)
@given(models, quantities, st.lists(st.tuples(st.integers(1, 9), quantities), min_size=2, max_size=4), wild_streams)
def test_own_orders_at_one_price_share_each_print_oldest_first(model, level, own, stream):
    orders = []
    for qty, came_since in own:
        orders.append(resting(qty, level))
        change_all = orders[:-1]
        level += came_since
        for order in change_all:
            change(order, level - came_since, level, model)
    for kind, lots in stream:
        if kind == "depth":
            for order in orders:
                change(order, level, lots, model)
            for older, newer in zip(orders, orders[1:], strict=False):
                keep_priority(older, newer)
            level = lots
            continue
        left, waiting = lots, False
        for order in orders:
            got = trade(order, left)
            assert not (waiting and got > 0)
            waiting = waiting or order["leaves_lots"] > 0
            left -= got
        assert 0 <= left <= lots


@settings(max_examples=300)
@given(st.sampled_from(list(ThroughRule)), st.integers(1, 30), quantities, st.lists(quantities, max_size=6))
def test_a_print_through_the_price_ends_the_queue_and_fills_its_own_size_at_most(rule, qty, level, prints):
    order = resting(qty, level)
    for lots in prints:
        leaves = int(order["leaves_lots"])
        got = on_through(order, lots, rule.value)
        assert got == (leaves if rule == ThroughRule.FULL else min(leaves, lots))
        assert order["front"] == 0.0
        order["leaves_lots"] -= got


# ---- The known traps of a widely used engine, one test each -------------------------------------------------------------


@pytest.mark.parametrize("model", list(NAMES))
def test_trap_cancels_do_not_push_a_front_below_zero_so_a_tiny_print_fills_no_phantom_quantity(model):
    # Seen there: 0.1 displayed, 100 join, 99 cancel, then a print of 0.001 fills 1.904 with the log model.
    order = resting(2_000, 100)
    change(order, 100, 100_100, (model, 3.0))
    change(order, 100_100, 1_100, (model, 3.0))
    assert order["front"] >= 0.0
    assert trade(order, 1) <= 1


def test_trap_two_own_orders_never_both_take_one_print():
    # Seen there: 2.0 ahead, a print of 3.0 fills 2.0 of two orders of 1.0; right is 1.0.
    first, second = resting(1_000, 2_000), resting(1_000, 2_000)
    got = trade(first, 3_000)
    assert (got, trade(second, 3_000 - got)) == (1_000, 0)
    assert second["front"] == 0.0


def test_trap_every_partial_fill_is_told_at_once_and_together_they_are_the_order():
    # Seen there: 1.199 and 0.801 executed, 0.801 in the position.
    order, model = resting(2_000, 10_000), (QueueModel.POWER, 3.0)
    got, level = [], 10_000
    for kind, lots in [("depth", 14_000), ("depth", 9_000), ("trade", 3_000), ("depth", 6_000), ("trade", 2_000), ("depth", 4_000),
                       ("trade", 1_500), ("depth", 2_500), ("trade", 1_000)]:  # fmt: skip
        if kind == "depth":
            change(order, level, lots, model)
            level = lots
        else:
            got.append(trade(order, lots))
    assert got == [0, 0, 1_199, 801]
    assert order["leaves_lots"] == 0


def test_trap_an_order_filled_to_the_last_lot_is_done_and_takes_nothing_more():
    order = resting(5, 0)
    assert (trade(order, 5), int(order["leaves_lots"]), trade(order, 5)) == (5, 0, 0)


def test_trap_a_print_one_tick_through_fills_its_own_size_not_the_whole_order():
    order = resting(5_000, 2_000)
    assert on_through(order, 500, ThroughRule.SIZE_CAPPED.value) == 500


def test_trap_a_trade_and_the_depth_change_it_caused_move_the_queue_once():
    order, model = resting(10, 20), (QueueModel.POWER, 3.0)
    trade(order, 5)
    change(order, 20, 15, model)
    assert order["front"] == 15.0


def test_trap_the_newer_of_two_own_orders_never_passes_the_older_one():
    # 100 displayed, 60 cancel: with n = 3 the order behind 40 keeps 26.3 ahead of it, the one behind 50 only 20.
    older, newer, model = resting(1, 40), resting(1, 50), (QueueModel.POWER, 3.0)
    change(older, 100, 40, model)
    change(newer, 100, 40, model)
    assert older["front"] > newer["front"]
    keep_priority(older, newer)
    assert older["front"] == newer["front"] == pytest.approx(26.3, abs=0.05)
