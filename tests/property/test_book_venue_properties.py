"""The book venue under any stream: nothing is filled twice, early, late or from nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL, QueueModel, ReportKind, TimeInForce
from simcore.engine.account import wallet_identity_nb
from tests.exchange_scenes import BASE, SPAN, Exchange

EXAMPLES = 300
MODELS = [model for model in QueueModel if model != QueueModel.FIFO]
TIFS = [TimeInForce.GTX, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]


@dataclass(frozen=True)
class Step:
    """One event of a random market around a drifting mid: a trade and the shrinking it causes, or a change of a level."""

    kind: str
    side: int
    away: int
    lots: int
    drift: int


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["trade", "depth", "depth", "quiet trade"]),
        side=st.sampled_from([BUY, SELL]),
        away=st.integers(0, 4),
        lots=st.integers(0, 40),
        drift=st.sampled_from([0, 0, 0, 1, -1]),
    ),
    min_size=5,
    max_size=60,
)


class Market:
    """A book that is never crossed, played into an exchange step by step."""

    def __init__(self, scene: Exchange) -> None:
        self.scene, self.mid = scene, BASE + SPAN // 2
        self.levels: dict[tuple[int, int], int] = {}
        for away in range(5):
            self.set(BUY, self.mid - 1 - away, 20 + 5 * away)
            self.set(SELL, self.mid + 1 + away, 20 + 5 * away)

    def set(self, side: int, ticks: int, lots: int) -> None:
        if BASE <= ticks < BASE + SPAN:
            self.levels[side, ticks] = lots
            self.scene.depth(side, ticks, lots)

    def play(self, step: Step) -> int:
        """Play one step; return the lots that were printed in it."""
        if step.drift:
            self.mid += step.drift
            # What now lies beyond the new mid goes before anything new is shown.
            for (side, ticks), lots in list(self.levels.items()):
                if lots > 0 and side * (ticks - self.mid) >= 0:
                    self.set(side, ticks, 0)
        ticks = self.mid - step.side * (1 + step.away)
        shown = self.levels.get((step.side, ticks), 0)
        if step.kind == "depth":
            self.set(step.side, ticks, step.lots)
            return 0
        lots = max(1, step.lots)
        self.scene.trade(-step.side, ticks, lots)
        if step.kind == "trade":
            self.set(step.side, ticks, max(0, shown - lots))
        return lots


@settings(max_examples=EXAMPLES)
@given(steps=STEPS, model=st.sampled_from(MODELS), joins=st.lists(st.integers(0, 30), min_size=1, max_size=6), data=st.data())
def test_all_orders_of_ours_together_never_fill_more_than_was_printed(steps, model, joins, data) -> None:
    scene = Exchange(model=model)
    market = Market(scene)
    sent: dict[int, int] = {}
    for number, step in enumerate(steps):
        for _ in range(joins.count(number)):
            side, away, lots = data.draw(st.sampled_from([BUY, SELL])), data.draw(st.integers(0, 4)), data.draw(st.integers(1, 30))
            sent[scene.send(side, market.mid - side * (1 + away), lots)] = lots
        before = len(scene.fills())
        printed = market.play(step)
        new = scene.fills()[before:]
        quotes = 0 if step.kind != "depth" and not step.drift else 10**9
        assert sum(lots for _, lots, _, _ in new) <= printed + quotes
    filled: dict[int, int] = {}
    for order, lots, _, _ in scene.fills():
        assert lots > 0
        filled[order] = filled.get(order, 0) + lots
    for order, lots in filled.items():
        assert lots <= sent[order]
    live = {int(row["id"]): int(row["leaves_lots"]) for row in scene.venues[0]["order"] if row["active"]}
    for order, lots in sent.items():
        if order in live:
            assert live[order] + filled.get(order, 0) == lots
    assert int(wallet_identity_nb(scene.venues[0]["account"])) == 0


@settings(max_examples=EXAMPLES)
@given(steps=STEPS, model=st.sampled_from(MODELS), at=st.integers(0, 10), later=st.integers(1, 10), away=st.integers(0, 3))
def test_more_latency_never_fills_the_same_order_earlier(steps, model, at, later, away) -> None:
    ticks = BASE + SPAN // 2 - 1 - away

    def first_fill_ns(arrival: int) -> float:
        scene = Exchange(model=model)
        market = Market(scene)
        for number, step in enumerate(steps):
            if number == arrival:
                scene.send(BUY, ticks, 5, tif=TimeInForce.GTC)
            market.play(step)
        makers = [int(row["ts_ns"]) for row in scene.reports(ReportKind.FILL)]
        return makers[0] if makers else np.inf

    assert first_fill_ns(at) <= first_fill_ns(at + later)


@settings(max_examples=EXAMPLES)
@given(steps=STEPS, model=st.sampled_from(MODELS), at=st.integers(0, 10), gone=st.integers(0, 30), tif=st.sampled_from(TIFS))
def test_no_fill_before_arrival_and_none_after_the_cancel_arrived(steps, model, at, gone, tif) -> None:
    scene = Exchange(model=model)
    market = Market(scene)
    order, arrived, canceled = 0, 0, 10**9
    for number, step in enumerate(steps):
        if number == at:
            order, arrived = scene.send(SELL, market.mid + 1, 12, tif=tif), scene.now
        if number == at + gone and order:
            scene.cancel(order)
            canceled = scene.now
        market.play(step)
    for row in scene.reports(ReportKind.FILL):
        assert arrived <= int(row["ts_ns"]) <= canceled


@settings(max_examples=EXAMPLES)
@given(steps=STEPS, model=st.sampled_from(MODELS), at=st.integers(0, 20))
def test_a_queue_front_is_never_negative_and_never_beyond_what_is_displayed(steps, model, at) -> None:
    scene = Exchange(model=model)
    market = Market(scene)
    for number, step in enumerate(steps):
        if number == at:
            scene.send(BUY, market.mid - 1, 10)
            scene.send(SELL, market.mid + 2, 10)
        market.play(step)
        for row in scene.venues[0]["order"]:
            if row["active"]:
                assert float(row["front"]) >= 0.0


@pytest.mark.jitless
@settings(max_examples=20)
@given(steps=STEPS, model=st.sampled_from(MODELS))
def test_the_pessimistic_model_never_fills_more(steps, model) -> None:
    def filled(which: int) -> int:
        scene = Exchange(model=which)
        market = Market(scene)
        scene.send(BUY, market.mid - 2, 15)
        for step in steps:
            market.play(step)
        return sum(lots for _, lots, _, _ in scene.fills())

    assert filled(QueueModel.RISK_AVERSE) <= filled(model)
