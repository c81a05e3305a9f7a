"""Queue models against the reference cases: fronts after every event, and fills, in lots."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from simcore.domain.enums import QueueModel
from simcore.domain.instrument import Instrument
from simcore.domain.records import ORDER
from simcore.engine.queue import ThroughRule, join_queue_nb, on_depth_nb, on_through_nb, on_trade_nb
from tests.doors import door
from tests.oracle.queue import Queued

pytestmark = pytest.mark.jitless
MODELS = {
    "risk": QueueModel.RISK_AVERSE,
    "power": QueueModel.POWER,
    "power2": QueueModel.POWER2,
    "power3": QueueModel.POWER3,
    "log": QueueModel.LOG,
    "log2": QueueModel.LOG2,
}
KINDS = ["risk", "power1", "power3", "power23", "power33", "log", "log2"]
CASES = [f"QUE-{n:02d}-{kind}" for n in range(1, 4) for kind in KINDS]
join_queue, on_depth, on_trade, on_through = door(join_queue_nb), door(on_depth_nb), door(on_trade_nb), door(on_through_nb)
GRID = Instrument.of("CASE", "0.1", "0.001")


def resting(qty_lots: int, ahead_lots: int) -> np.ndarray:
    """Return a table of one order that joins the queue."""
    orders = np.zeros(1, ORDER)
    orders["qty_lots"] = orders["leaves_lots"] = qty_lots
    join_queue(orders[0], ahead_lots)
    return orders


def case_of(reference, case_id):
    return next(case for case in reference("queue")["cases"] if case["id"] == case_id)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("queue")["cases"]} == {*CASES, "QUE-OWN-01", "QUE-THRU-01"}


@pytest.mark.parametrize("case_id", CASES)
def test_a_front_after_every_event_and_every_fill(reference, case_id):
    case = case_of(reference, case_id)
    inputs, expected = case["inputs"], case["expected"]
    lot, n = inputs["lot"], inputs["n"] or 1.0
    level = GRID.qty_to_lots(inputs["level_qty_at_acceptance"])
    orders = resting(GRID.qty_to_lots(inputs["order_qty"]), level)
    twin = Queued(inputs["model"], n, Decimal(str(lot)), Decimal(level) * GRID.step_size, Decimal(str(inputs["order_qty"])))
    fronts, fills = [], []
    for i, (kind, qty) in enumerate(inputs["events"]):
        if orders["leaves_lots"][0] == 0:
            break
        lots = GRID.qty_to_lots(qty)
        if kind == "depth":
            on_depth(orders[0], level, lots, MODELS[inputs["model"]].value, n, lot)
            twin.depth(level * GRID.step_size, lots * GRID.step_size)
            level = lots
        else:
            got = on_trade(orders[0], lots)
            assert got * GRID.step_size == twin.trade(lots * GRID.step_size)
            orders["leaves_lots"] -= got
            if got > 0:
                fills.append({"event": i, "qty": got * lot})
        fronts.append(orders["front"][0] * lot)
        assert fronts[-1] == pytest.approx(float(twin.front), abs=1e-9)
    assert fronts == pytest.approx(expected["front_after_each_event"], abs=case["tol"])
    assert [fill["event"] for fill in fills] == [fill["event"] for fill in expected["fills"]]
    assert [fill["qty"] for fill in fills] == pytest.approx([fill["qty"] for fill in expected["fills"]], abs=1e-9)
    assert orders["leaves_lots"][0] * lot == pytest.approx(expected["leaves"], abs=1e-9)


def test_own_orders_at_one_price_share_a_print(reference):
    case = case_of(reference, "QUE-OWN-01")
    ahead = GRID.qty_to_lots(case["inputs"]["level_ahead"])
    own = [(order["id"], resting(GRID.qty_to_lots(order["qty"]), ahead)) for order in case["inputs"]["own_orders"]]
    fills = []
    for i, (_kind, qty) in enumerate(case["inputs"]["events"]):
        left = GRID.qty_to_lots(qty)
        for order_id, orders in own:
            got = on_trade(orders[0], left) if orders["leaves_lots"][0] > 0 else 0
            orders["leaves_lots"] -= got
            left -= got
            if got > 0:
                fills.append({"event": i, "order": order_id, "qty": float(got * GRID.step_size)})
    assert fills == case["expected"]["fills"]


def test_a_print_through_the_price(reference):
    case = case_of(reference, "QUE-THRU-01")
    inputs, expected = case["inputs"], case["expected"]
    prints = [(GRID.price_to_ticks(price), GRID.qty_to_lots(qty)) for price, qty in inputs["prints"]]
    own, qty = GRID.price_to_ticks(inputs["price"]), GRID.qty_to_lots(inputs["qty"])
    orders = resting(qty, GRID.qty_to_lots(inputs["level_ahead"]))
    full = on_through(orders[0], prints[0][1], ThroughRule.FULL.value)
    assert float(full * GRID.step_size) == expected["optimistic"]["filled"]
    orders = resting(qty, GRID.qty_to_lots(inputs["level_ahead"]))
    fills = []
    for i, (ticks, lots) in enumerate(prints):
        beyond = ticks < own
        got = on_through(orders[0], lots, ThroughRule.SIZE_CAPPED.value) if beyond else on_trade(orders[0], lots)
        orders["leaves_lots"] -= got
        fills.append({"print": i, "qty": float(got * GRID.step_size)})
    assert fills == expected["size_capped"]["fills"]
    assert float(int(orders["leaves_lots"][0]) * GRID.step_size) == expected["size_capped"]["leaves"]
