"""Ticks, lots and rounding: at the edge in decimals, inside kernels in floats; never to the trader's gain."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL
from simcore.domain.errors import DataError
from simcore.domain.instrument import Instrument, unit_e8
from simcore.engine.rounding import adverse_ticks_nb, lots_down_nb, passive_ticks_nb

pytestmark = pytest.mark.jitless
BTC = Instrument.of("BTCUSDT", "0.10", "0.001")
SIDES = st.sampled_from([BUY, SELL])
# The sizes listed on the exchange: prices from 0.0000001, quantities from 0.001 to 1.
GRIDS = st.sampled_from([("0.1", "0.001"), ("0.01", "0.001"), ("0.0001", "0.1"), ("0.00001", "1"), ("0.0000001", "1")])
AMOUNTS = st.decimals("0", "1000000", places=9, allow_nan=False)


def test_a_unit_of_the_ledger_is_a_whole_number():
    assert unit_e8("0.10", "0.001") == 10_000
    assert unit_e8(0.1, 0.001) == 10_000
    assert unit_e8("0.0000001", "1") == 10
    with pytest.raises(DataError, match="not a whole number"):
        unit_e8("0.0001", "0.00001")


def test_quotes_become_ticks_exactly_or_not_at_all():
    assert BTC.price_to_ticks("103250.5") == BTC.price_to_ticks(103250.5) == 1_032_505
    assert BTC.ticks_to_price(1_032_505) == Decimal("103250.50")
    with pytest.raises(DataError, match=r"BTCUSDT: price 103250.55 is not a multiple of the tick 0.10"):
        BTC.price_to_ticks("103250.55")


def test_floats_are_read_as_a_person_writes_them():
    assert BTC.qty_to_lots(0.3) == 300
    assert BTC.qty_to_lots(0.1 + 0.2) == 300
    assert BTC.qty_to_lots(np.int64(2)) == BTC.qty_to_lots(np.float64(2.0)) == 2000


@pytest.mark.parametrize("nonsense", ["abc", math.nan, math.inf, -1.0, 1e300, True, None])
def test_what_is_no_quantity_is_refused_by_name(nonsense):
    with pytest.raises(DataError, match="BTCUSDT"):
        BTC.qty_to_lots(nonsense)


@pytest.mark.parametrize(("tick", "step", "filters"), [("0", "1", {}), ("0.1", "-1", {}), ("0.1", "1", {"lot_filter_lots": 0})])
def test_sizes_that_cannot_be_counted_in_are_refused(tick, step, filters):
    with pytest.raises(DataError, match="XUSDT"):
        Instrument.of("XUSDT", tick, step, **filters)


def test_an_exchange_filter_may_be_coarser_than_the_runs_grid():
    coarse = Instrument.of("XUSDT", "0.01", "0.001", price_filter_ticks=10, lot_filter_lots=100)
    assert coarse.price_to_ticks("99.93") == 9993
    assert (coarse.limit_ticks(BUY, "99.93"), coarse.limit_ticks(SELL, "99.93")) == (9990, 10_000)
    assert coarse.qty_to_lots("0.4599") == 400
    assert coarse.notional(400, 9990) == Decimal("39.96")


def test_headroom_of_the_ledger_is_proven_or_refused():
    # The exchange's largest BTC order at ten times the highest price so far, several times over.
    assert BTC.check_headroom(1_000_000, 12_000_000) >= 30
    with pytest.raises(DataError, match="BTCUSDT: .* more than the ledger's"):
        BTC.check_headroom(10**12, 12_000_000)


@settings(max_examples=1000)
@given(GRIDS, AMOUNTS, st.sampled_from([1, 10, 100]))
def test_rounding_never_enlarges_an_order(grid, qty, lot_filter):
    instrument = Instrument.of("XUSDT", *grid, lot_filter_lots=lot_filter)
    lots = instrument.qty_to_lots(qty)
    assert instrument.lots_to_qty(lots) <= qty < instrument.lots_to_qty(lots + lot_filter)
    assert lots % lot_filter == 0
    assert instrument.qty_to_lots(instrument.lots_to_qty(lots)) == lots


@settings(max_examples=1000)
@given(GRIDS, AMOUNTS, SIDES, st.sampled_from([1, 10]))
def test_rounding_never_makes_a_limit_more_aggressive(grid, price, side, price_filter):
    instrument = Instrument.of("XUSDT", *grid, price_filter_ticks=price_filter)
    ticks = instrument.limit_ticks(side, price)
    assert side * (instrument.ticks_to_price(ticks) - price) <= 0
    assert abs(instrument.ticks_to_price(ticks) - price) < instrument.tick_size * price_filter
    assert ticks % price_filter == 0


@settings(max_examples=1000)
@given(GRIDS, st.floats(0.0, 1e9), st.sampled_from([1, 10, 100]))
def test_the_kernel_rounds_quantities_as_the_face_does(grid, qty, lot_filter):
    step = float(grid[1])
    assume(qty / step < 1e12)
    lots = lots_down_nb(qty, step, lot_filter)
    exact = Fraction(qty) / (Fraction(grid[1]) * lot_filter)
    tolerance = Fraction(1, 10**6) + exact / 2**50
    assert lots % lot_filter == 0
    assert lots // lot_filter <= exact + tolerance
    assert lots // lot_filter > exact - 1 - tolerance


@pytest.mark.parametrize("none", [math.nan, 0.0, -3.0])
def test_no_quantity_is_no_lots(none):
    assert lots_down_nb(none, 0.001, 1) == 0


@settings(max_examples=1000)
@given(GRIDS, st.integers(1, 10**7), SIDES, st.sampled_from([1, 10]))
def test_the_kernel_leaves_prices_on_the_grid_alone(grid, steps, side, price_filter):
    tick, ticks = float(grid[0]), steps * price_filter
    assert passive_ticks_nb(side, ticks * tick, tick, price_filter) == ticks
    assert adverse_ticks_nb(side, ticks * tick, tick, price_filter) == ticks


@settings(max_examples=1000)
@given(GRIDS, st.floats(1.0, 1e7), SIDES)
def test_the_kernel_rounds_limits_back_and_paid_prices_against_the_trader(grid, ticks, side):
    tick = float(grid[0])
    passive, adverse = passive_ticks_nb(side, ticks * tick, tick, 1), adverse_ticks_nb(side, ticks * tick, tick, 1)
    assert side * (passive - ticks) <= 1e-5
    assert side * (adverse - ticks) >= -1e-5
    assert abs(passive - ticks) < 1.0 + 1e-5 and abs(adverse - ticks) < 1.0 + 1e-5
