"""Taking liquidity by time in force, and what it leaves for the next order: every order arrives at the simulated exchange."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL, OrderType, ReportKind, TimeInForce
from simcore.domain.instrument import Instrument
from tests.exchange_scenes import Exchange
from tests.oracle import fills as oracle

pytestmark = pytest.mark.jitless
CASES = [f"TAK-{n:02d}" for n in range(1, 12)]
GRID = Instrument.of("CASE", "0.01", "0.1")
# A market order is one without a limit whose rest expires.
TIF = {**TimeInForce.__members__, "MARKET": TimeInForce.IOC}
FAR_NS = 10**15


class Taker:
    """An exchange with `levels` on the side that orders of `side` take from; prices in ticks, quantities in lots."""

    def __init__(self, side: int, levels: list[tuple[int, int]], base: int, span: int) -> None:
        self.side = side
        self.scene = Exchange(base=base, span=span)
        venue = self.scene.venues[0]
        venue["marked"][0], venue["mark"][0] = 1, (base + span / 2) * 0.1
        venue["instrument"][0]["price_band_up_pct"] = venue["instrument"][0]["price_band_down_pct"] = 0.99
        for ticks, lots in levels:
            self.scene.depth(-side, ticks, lots)

    def take(self, qty: int, limit: int, tif: str) -> tuple[list[tuple[int, int]], int, str]:
        """Let an order arrive (`limit` 0: a market order); return its fills, what is left of it, and its state."""
        kind = OrderType.MARKET if limit == 0 else OrderType.LIMIT
        expires = FAR_NS if tif == "GTD" else 0
        order = self.scene.send(self.side, limit, qty, tif=TIF[tif], type=kind, expire_ns=expires)
        mine: list[Any] = [report for report in self.scene.reports() if report["order_id"] == order]
        fills = [(int(r["price_ticks"]), int(r["qty_lots"])) for r in mine if r["kind"] == ReportKind.FILL]
        left = qty - sum(lots for _ticks, lots in fills)
        ended = any(report["kind"] in (ReportKind.EXPIRED, ReportKind.REJECTED) for report in mine)
        return fills, left, "FILLED" if left == 0 else "EXPIRED" if ended else "PARTIALLY_FILLED" if fills else "NEW"


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("taker")["cases"]} == set(CASES)


@pytest.mark.parametrize("case_id", CASES)
def test_walking_the_book(reference, case_id):
    case = next(case for case in reference("taker")["cases"] if case["id"] == case_id)
    given_, expected, tol = case["inputs"], case["expected"], case["tol"]
    side = BUY if given_["side"] == "BUY" else SELL
    levels = given_["book"]["asks" if side == BUY else "bids"]
    taker = Taker(side, [(GRID.price_to_ticks(price), GRID.qty_to_lots(qty)) for price, qty in levels], GRID.price_to_ticks(99.0), 200)
    limit = 0 if given_["limit"] is None else GRID.price_to_ticks(given_["limit"])
    fills, leaves, status = taker.take(GRID.qty_to_lots(given_["qty"]), limit, given_["tif"])
    assert status == expected["status"]
    assert [[float(GRID.ticks_to_price(t)), float(GRID.lots_to_qty(q))] for t, q in fills] == expected["fills"]
    assert float(GRID.lots_to_qty(leaves)) == expected["leaves"]
    if "vwap" in expected:
        filled = sum(lots for _ticks, lots in fills)
        vwap = float(sum(ticks * lots for ticks, lots in fills) * GRID.tick_size / filled)
        mid = (given_["book"]["asks"][0][0] + given_["book"]["bids"][0][0]) / 2.0
        best = levels[0][0]
        assert vwap == pytest.approx(expected["vwap"], abs=tol)
        assert side * (vwap - mid) / mid * 1e4 == pytest.approx(expected["effective_half_spread_bps"], abs=tol)
        assert side * (vwap - best) / best * 1e4 == pytest.approx(expected["slippage_vs_best_bps"], abs=tol)


def test_what_was_taken_is_gone_until_the_feed_states_the_level_again():
    taker = Taker(BUY, [(1001, 10), (1002, 20)], 990, 20)
    assert taker.take(15, 0, "MARKET") == ([(1001, 10), (1002, 5)], 0, "FILLED")
    assert taker.take(1, 1001, "GTX") == ([], 1, "NEW")
    assert taker.take(20, 0, "MARKET") == ([(1002, 15)], 5, "EXPIRED")
    assert taker.take(1, 0, "MARKET") == ([], 1, "EXPIRED")
    assert taker.take(1, 1002, "GTX") == ([], 1, "NEW")
    taker.scene.depth(SELL, 1003, 10)
    assert taker.take(1, 0, "MARKET") == ([(1003, 1)], 0, "FILLED")


@st.composite
def books(draw):
    side = draw(st.sampled_from([BUY, SELL]))
    ticks = sorted(draw(st.sets(st.integers(90, 110), max_size=6)), reverse=side == SELL)
    return side, [(price, draw(st.integers(1, 9))) for price in ticks]


@settings(max_examples=500)
@given(
    books(),
    st.lists(st.tuples(st.integers(50, 80), st.none() | st.integers(80, 120), st.sampled_from(sorted(TIF))), max_size=4),
    st.sampled_from([(75, 60), (90, 21)]),
)
def test_orders_take_what_the_oracle_says_one_after_the_other(side_and_levels, orders, ladder):
    side, levels = side_and_levels
    taker = Taker(side, levels, *ladder)
    for size, limit, tif in orders:
        if tif in ("GTC", "GTX", "GTD") and limit is None:
            continue
        price, qty = 0 if tif == "MARKET" or limit is None else limit, size - 49
        shown = [(ticks, lots) for ticks, lots in levels if lots > 0]
        expected = oracle.walk(side, qty, price or None, "GTC" if tif == "GTD" else tif, shown)
        assert taker.take(qty, price, tif) == expected
        taken = dict(expected[0])
        levels = [(ticks, lots - taken.get(ticks, 0)) for ticks, lots in levels]
        assert int(taker.scene.lots.sum()) == sum(lots for _ticks, lots in levels)
