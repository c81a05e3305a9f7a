"""Taking liquidity by time in force, and what it leaves for the next order: from a list of levels, and from a ladder book."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL, TimeInForce
from simcore.domain.instrument import Instrument
from simcore.domain.records import BOOK, LADDER
from simcore.engine import book as ladder_book
from simcore.engine import taking
from simcore.engine.fills import WalkStatus, slippage_bps, walk_book_nb
from tests.doors import door
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


clear_book, apply_depth, crossed = door(ladder_book.clear_book_nb), door(ladder_book.apply_depth_nb), door(ladder_book.crossed_nb)
best_level, next_level = door(ladder_book.best_level_nb), door(ladder_book.next_level_nb)
plan_taking, take_ladder, take_best = door(taking.plan_taking_nb), door(taking.take_ladder_nb), door(taking.take_best_nb)
would_take, available_lots = door(taking.would_take_nb), door(taking.available_lots_nb)


class Ladder:
    """The same orders on a ladder book of `span` rungs from `base` ticks up; only the side they meet is filled."""

    def __init__(self, side, levels, base, span, step=1, room=64):
        self.facing = ladder_book.ASK if side == BUY else ladder_book.BID
        self.tables = np.zeros(1, BOOK), np.zeros(1, LADDER)
        self.book, self.ladder = self.tables[0][0], self.tables[1][0]
        self.tables[1][0] = (base, step, span, 3)
        self.lots, self.room = np.zeros(3 + 2 * span, np.int64), room
        clear_book(self.lots, self.book, self.ladder)
        for ticks, lots in levels:
            self.show(ticks, lots)

    def show(self, ticks, lots):
        rung, span = (ticks - int(self.ladder["base_ticks"])) // int(self.ladder["tick_step"]), int(self.ladder["span"])
        apply_depth(self.lots, self.book, self.ladder, self.facing, 2 * span - 1 - rung if self.facing else rung, lots)

    def walk(self, side, qty, limit, tif):
        state = self.lots, self.book, self.ladder
        wanted, status = plan_taking(*state, side, qty, limit, TIF[tif])
        fills, left = [], wanted
        out_ticks, out_lots = np.zeros(self.room, np.int64), np.zeros(self.room, np.int64)
        while left > 0:
            n, left = take_ladder(*state, side, left, limit, out_ticks, out_lots)
            assert n > 0
            fills += zip(out_ticks[:n].tolist(), out_lots[:n].tolist(), strict=True)
        return fills, int(qty - wanted), WalkStatus(status).name


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("taker")["cases"]} == set(CASES)


@pytest.mark.parametrize("path", ["list", "ladder"])
@pytest.mark.parametrize("case_id", CASES)
def test_walking_the_book(reference, case_id, path):
    case = next(case for case in reference("taker")["cases"] if case["id"] == case_id)
    given_, expected, tol = case["inputs"], case["expected"], case["tol"]
    side = BUY if given_["side"] == "BUY" else SELL
    levels = given_["book"]["asks" if side == BUY else "bids"]
    rows = [(GRID.price_to_ticks(price), GRID.qty_to_lots(qty)) for price, qty in levels]
    book = Side(rows) if path == "list" else Ladder(side, rows, GRID.price_to_ticks(99.0), 200)
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


def test_what_was_taken_from_a_ladder_is_gone_until_the_feed_states_the_level_again():
    book = Ladder(BUY, [(1001, 10), (1002, 20)], 990, 20)
    assert book.walk(BUY, 15, 0, "MARKET") == ([(1001, 10), (1002, 5)], 0, "FILLED")
    assert book.walk(BUY, 1, 1001, "GTX") == ([], 1, "NEW")
    assert book.walk(BUY, 20, 0, "MARKET") == ([(1002, 15)], 5, "EXPIRED")
    assert book.walk(BUY, 1, 0, "MARKET") == ([], 1, "EXPIRED")
    assert take_best(book.lots, book.book, book.ladder, BUY, 1) == (0, 0)
    book.show(1001, 10)
    assert book.walk(BUY, 1, 0, "MARKET") == ([(1001, 1)], 0, "FILLED")


def test_a_market_order_longer_than_the_output_is_taken_in_turns():
    levels = [(1001 + i, 1) for i in range(9)]
    assert Ladder(BUY, levels, 990, 30, room=2).walk(BUY, 8, 0, "MARKET") == ([(t, 1) for t, _ in levels[:8]], 0, "FILLED")


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


@settings(max_examples=500)
@given(
    books(),
    st.lists(st.tuples(st.integers(1, 30), st.none() | st.integers(80, 120), st.sampled_from(sorted(TIF))), max_size=4),
    st.sampled_from([(85, 30, 1), (90, 21, 1), (88, 13, 2)]),
)
def test_taking_from_a_ladder_equals_the_oracle_order_after_order(side_and_levels, orders, ladder):
    side, levels = side_and_levels
    base, span, step = ladder
    levels = [(ticks, lots) for ticks, lots in levels if (ticks - base) % step == 0]
    book = Ladder(side, levels, base, span, step, room=3)
    for qty, limit, tif in orders:
        if tif in ("GTC", "GTX", "GTD") and limit is None:
            continue
        price = 0 if tif == "MARKET" or limit is None else limit
        shown = [(ticks, lots) for ticks, lots in levels if lots > 0]
        expected = oracle.walk(side, qty, price or None, "GTC" if tif == "GTD" else tif, shown)
        state = book.lots, book.book, book.ladder
        assert would_take(book.book, book.ladder, side, price) == any(not price or side * (price - t) >= 0 for t, _ in shown)
        assert available_lots(*state, side, qty, price) == sum(lots for _ticks, lots in oracle.walk(side, qty, price or None, "IOC", shown)[0])
        assert book.walk(side, qty, price, tif) == expected
        taken = dict(expected[0])
        levels = [(ticks, lots - taken.get(ticks, 0)) for ticks, lots in levels]
        floor, top = book.facing * span, (book.facing + 1) * span - 1
        assert best_level(book.book, book.facing) == next_level(book.lots, book.ladder, book.facing, top) >= floor - 1
        assert int(book.lots.sum()) == sum(lots for _ticks, lots in levels)
