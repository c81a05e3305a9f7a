"""Taking liquidity from a displayed book by time in force, and what it leaves for the next order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL, TimeInForce
from simcore.domain.instrument import Instrument
from simcore.engine.fills import WalkStatus, slippage_bps, walk_book_nb
from tests.oracle import fills as oracle

pytestmark = pytest.mark.jitless
CASES = [f"TAK-{n:02d}" for n in range(1, 12)]
GRID = Instrument.of("CASE", "0.01", "0.1")
# A market order is one without a limit whose rest expires.
TIF = {**TimeInForce.__members__, "MARKET": TimeInForce.IOC}


class Side:
    """One side of a displayed book, and what orders took from it so far."""

    def __init__(self, levels):
        self.ticks = np.array([ticks for ticks, _lots in levels], np.int64)
        self.lots = np.array([lots for _ticks, lots in levels], np.int64)
        self.consumed = np.zeros(len(levels), np.int64)

    def walk(self, side, qty, limit, tif):
        out_ticks, out_lots = np.zeros(len(self.ticks), np.int64), np.zeros(len(self.ticks), np.int64)
        n, leaves, status = walk_book_nb(side, qty, limit, TIF[tif], self.ticks, self.lots, self.consumed, out_ticks, out_lots)
        return list(zip(out_ticks[:n].tolist(), out_lots[:n].tolist(), strict=True)), int(leaves), WalkStatus(status).name


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("taker")["cases"]} == set(CASES)


@pytest.mark.parametrize("case_id", CASES)
def test_walking_the_book(reference, case_id):
    case = next(case for case in reference("taker")["cases"] if case["id"] == case_id)
    given_, expected, tol = case["inputs"], case["expected"], case["tol"]
    side = BUY if given_["side"] == "BUY" else SELL
    levels = given_["book"]["asks" if side == BUY else "bids"]
    book = Side([(GRID.price_to_ticks(price), GRID.qty_to_lots(qty)) for price, qty in levels])
    limit = 0 if given_["limit"] is None else GRID.price_to_ticks(given_["limit"])
    fills, leaves, status = book.walk(side, GRID.qty_to_lots(given_["qty"]), limit, given_["tif"])
    assert status == expected["status"]
    assert [[float(GRID.ticks_to_price(t)), float(GRID.lots_to_qty(q))] for t, q in fills] == expected["fills"]
    assert float(GRID.lots_to_qty(leaves)) == expected["leaves"]
    if "vwap" in expected:
        filled = sum(lots for _ticks, lots in fills)
        vwap = float(sum(ticks * lots for ticks, lots in fills) * GRID.tick_size / filled)
        mid = (given_["book"]["asks"][0][0] + given_["book"]["bids"][0][0]) / 2.0
        assert vwap == pytest.approx(expected["vwap"], abs=tol)
        assert slippage_bps(side, vwap, mid) == pytest.approx(expected["effective_half_spread_bps"], abs=tol)
        assert slippage_bps(side, vwap, levels[0][0]) == pytest.approx(expected["slippage_vs_best_bps"], abs=tol)


def test_consumed_liquidity_stays_consumed_until_the_level_is_refreshed():
    book = Side([(1001, 10), (1002, 20)])
    assert book.walk(BUY, 15, 0, "MARKET") == ([(1001, 10), (1002, 5)], 0, "FILLED")
    assert book.walk(BUY, 20, 0, "MARKET") == ([(1002, 15)], 5, "EXPIRED")
    assert book.walk(BUY, 1, 0, "MARKET") == ([], 1, "EXPIRED")
    book.consumed[0] = 0
    assert book.walk(BUY, 1, 0, "MARKET") == ([(1001, 1)], 0, "FILLED")


def test_a_book_larger_than_the_output_is_refused():
    book = Side([(1001, 10), (1002, 20)])
    with pytest.raises(ValueError, match="shorter than the book"):
        walk_book_nb(
            BUY, 1, 0, TimeInForce.IOC, book.ticks, book.lots, book.consumed, np.zeros(1, np.int64), np.zeros(2, np.int64)
        )


@st.composite
def books(draw):
    side = draw(st.sampled_from([BUY, SELL]))
    ticks = sorted(draw(st.sets(st.integers(90, 110), max_size=6)), reverse=side == SELL)
    return side, [(price, draw(st.integers(0, 9))) for price in ticks]


@settings(max_examples=1000)
@given(
    books(), st.lists(st.tuples(st.integers(1, 30), st.none() | st.integers(88, 112), st.sampled_from(sorted(TIF))), max_size=4)
)
def test_walks_equal_the_oracle_order_after_order(side_and_levels, orders):
    side, levels = side_and_levels
    book = Side(levels)
    for qty, limit, tif in orders:
        if tif in ("GTC", "GTX") and limit is None:
            continue
        left = [(t, lots - int(used)) for (t, lots), used in zip(levels, book.consumed, strict=True)]
        expected = oracle.walk(side, qty, None if tif == "MARKET" else limit, tif, left)
        fills, leaves, status = book.walk(side, qty, 0 if tif == "MARKET" or limit is None else limit, tif)
        assert (fills, leaves, status) == expected
        assert sum(lots for _ticks, lots in fills) + leaves == qty
        assert (book.consumed >= 0).all() and (book.consumed <= book.lots).all()
