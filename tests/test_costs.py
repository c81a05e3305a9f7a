"""Costs of trading against the mid at the decision, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simcore.domain.enums import LedgerKind, Purpose
from simcore.domain.records import LEDGER, ROUTE
from simcore.report.costs import Cost, correction, cost_of, decision_costs
from tests.fakes import fake_recording, rows_of, without_trades
from tests.scenes import START_NS
from tests.test_order_metrics import SECOND_NS, market_of

TICK = 0.05


def order(ident: int, purpose: int, side: int, sent_s: float, fills: list[tuple[float, int, float, float]]) -> list[dict[str, Any]]:
    """Return the ledger rows of one order; fills are (second, lots, price, fee)."""
    common = {"order_id": ident, "side": side}
    rows = [{"kind": LedgerKind.REQUEST, "ts_ns": sent_s, "exch_ns": sent_s, "x1": purpose, **common}]
    rows += [
        {"kind": LedgerKind.FILL, "ts_ns": at, "exch_ns": at, "code": purpose, "qty_lots": lots, "price_ticks": round(price / TICK), "value": fee, **common}
        for at, lots, price, fee in fills
    ]
    return [{**row, "ts_ns": START_NS + int(row["ts_ns"] * SECOND_NS), "exch_ns": START_NS + int(row["exch_ns"] * SECOND_NS)} for row in rows]


def recording(orders: list[list[dict[str, Any]]], parents: list[tuple[int, int, float, float]]) -> Any:
    """Return a recording of orders and of parents (purpose, side, first second, last second) on a market of 100, then 101."""
    ledger = rows_of(sorted((row for rows in orders for row in rows), key=lambda row: row["ts_ns"]), LEDGER)
    routes = rows_of(
        [
            {"purpose": purpose, "side": side, "started_ns": START_NS + int(first * SECOND_NS), "done_ns": START_NS + int(last * SECOND_NS)}
            for purpose, side, first, last in parents
        ],
        ROUTE,
    )
    market = market_of([100.0] * 10 + [101.0] * 20, SECOND_NS)
    return replace(without_trades(fake_recording()), feed=market, ledger=ledger, routes=routes), market


def test_a_parents_cost_is_that_of_all_its_orders_against_the_mid_at_its_decision() -> None:
    run, market = recording(
        [
            order(4, Purpose.ENTRY, 1, 1, [(3, 3, 99.95, 0.1)]),
            order(8, Purpose.ENTRY, 1, 11, [(11, 2, 100.15, 0.2)]),  # the fallback: the market has moved, the decision has not
            order(12, Purpose.EXIT, -1, 12, [(13, 4, 100.95, 0.4)]),
        ],
        [(Purpose.ENTRY, 1, 1, 11), (Purpose.EXIT, -1, 12, 13)],
    )
    cost, notional = decision_costs(run, market)
    assert sorted(cost) == pytest.approx([3 * -0.05 + 2 * 0.15 + 0.3, 4 * 0.05 + 0.4])
    assert sorted(notional) == pytest.approx([4 * 100.95, 3 * 99.95 + 2 * 100.15])
    found = cost_of(run, market)
    ratio = 1.05 / 903.95
    residuals = np.array([0.45 - ratio * 500.15, 0.6 - ratio * 403.8])
    assert found.bps == pytest.approx(ratio * 1e4) and found.n == 2
    assert found.se_bps == pytest.approx(math.sqrt(2 * (residuals**2).sum()) / 903.95 * 1e4)


def test_an_order_without_a_parent_is_a_decision_of_its_own() -> None:
    run, market = recording(
        [order(4, Purpose.QUOTE, 1, 1, [(3, 1, 99.95, 0.0)]), order(8, Purpose.QUOTE, -1, 12, [(14, 1, 101.05, 0.0), (15, 1, 101.05, 0.0)])],
        [(Purpose.ENTRY, 1, 0, 20)],
    )
    cost, _ = decision_costs(run, market)
    assert sorted(cost) == pytest.approx([-0.1, -0.05])


def test_a_stop_is_held_against_the_mid_at_its_fill() -> None:
    run, market = recording([order(4, Purpose.STOP, -1, 12, [(12, 2, 100.8, 0.0)])[1:]], [])
    assert decision_costs(run, market)[0] == pytest.approx([0.4])


def test_nothing_filled_costs_nothing_that_is_known() -> None:
    found = cost_of(*recording([order(4, Purpose.ENTRY, 1, 1, [])], []))
    assert math.isnan(found.bps) and found.n == 0


def test_a_correction_is_a_difference_with_both_errors() -> None:
    found = correction(Cost(3.0, 0.3, 10), Cost(4.5, 0.4, 12))
    assert found == pytest.approx((1.5, 0.5, 1.5 - 0.5 * 1.959964, 1.5 + 0.5 * 1.959964), abs=1e-5)
