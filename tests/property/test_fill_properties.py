"""Fills P37 on bars: never more than traded, never better than the rule allows, every price rounded against the trader."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL
from simcore.engine.bridge import bridge
from simcore.engine.fills import FillRule, maker_fill_lots_nb, stop_fill_ticks_nb, stop_touched_nb, taker_price_ticks_nb
from tests.oracle import fills as oracle

pytestmark = pytest.mark.jitless
sides = st.sampled_from([BUY, SELL])
ticks = st.integers(1, 400)
costs = st.floats(0.0, 200.0)


@settings(max_examples=1000)
@given(
    sides,
    ticks,
    st.integers(1, 10_000),
    st.tuples(ticks, ticks),
    st.integers(0, 10**6),
    st.floats(0.0, 1.0),
    st.sampled_from(list(FillRule)),
    st.sampled_from([1, 10]),
    st.sampled_from([1, 100]),
)
def test_p37_a_maker_fill_needs_a_trade_beyond_it_and_takes_its_share_at_most(
    side, limit, leaves, extremes, volume, cap, rule, tick_step, lot_step
):
    low, high = sorted(extremes)
    lots = maker_fill_lots_nb(side, limit, leaves, low, high, volume, cap, rule, tick_step, lot_step)
    touch = rule == FillRule.TOUCH
    assert lots == oracle.maker_fill_lots(side, limit, leaves, low, high, volume, cap, touch, tick_step, lot_step)
    assert 0 <= lots <= min(leaves, volume)


@settings(max_examples=1000)
@given(sides, st.integers(1, 10**6), costs, costs, st.sampled_from([0.1, 0.01, 0.0001]), st.sampled_from([1, 5]))
def test_a_taker_never_pays_less_than_reference_spread_and_impact(side, reference, half_spread, impact, tick, price_filter):
    paid = taker_price_ticks_nb(side, reference * tick, half_spread, impact, tick, price_filter)
    owed = reference * (1 + side * (Fraction(half_spread) + Fraction(impact)) / 10_000)
    assert paid % price_filter == 0
    assert paid >= price_filter
    if paid > price_filter:
        assert not oracle.worse(side, owed - side * Fraction(1, 10**5), Fraction(paid))
        assert abs(paid - owed) < price_filter + Fraction(1, 10**5)


@settings(max_examples=1000)
@given(sides, st.integers(2, 10**5), st.integers(2, 10**5), costs, costs, st.integers(1, 5))
def test_a_stop_never_fills_at_or_better_than_its_price_or_the_open(side, stop, opened, half_spread, impact, slippage):
    paid = stop_fill_ticks_nb(side, stop, opened, half_spread, impact, slippage, 0.01, 1)
    if paid > 1:
        assert oracle.worse(side, Fraction(paid), Fraction(stop))
        assert oracle.worse(side, Fraction(paid), Fraction(opened))


@settings(max_examples=1000)
@given(sides, ticks, st.tuples(ticks, ticks))
def test_a_stop_triggers_when_the_bar_holds_its_price_or_lies_beyond_it(side, stop, extremes):
    low, high = sorted(extremes)
    expected = any(side * (price - stop) >= 0 for price in range(low, high + 1))
    assert stop_touched_nb(side, stop, low, high) == expected


@settings(max_examples=1000)
@given(st.floats(0.05, 3.0), st.floats(0.05, 3.0), st.floats(0.0, 1.0), st.floats(0.2, 3.0))
def test_bridge_probabilities_are_probabilities_and_mirror_each_other(below, above, where, sigma):
    end = min(above, max(-below, -below + where * (below + above)))
    odds = bridge(-below, above, end, sigma)
    assert all(0.0 <= p <= 1.0 for p in odds)
    assert sum(odds[:5]) == pytest.approx(1.0, abs=1e-9)
    mirrored = bridge(-above, below, -end, sigma)
    assert odds.upper_then_lower == pytest.approx(mirrored.lower_then_upper, abs=1e-12)
    assert odds.touch_upper == pytest.approx(mirrored.touch_lower, abs=1e-12)
    assert odds.touch_upper == pytest.approx(odds.only_upper + odds.upper_then_lower + odds.lower_then_upper, abs=1e-9)
