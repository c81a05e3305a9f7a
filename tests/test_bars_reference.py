"""Fills, stops and paths on bars: the reference cases, then the rules in the places a bar engine gets wrong."""

from __future__ import annotations

import pytest

from simcore.domain.enums import BUY, SELL
from simcore.domain.instrument import Instrument
from simcore.engine.bridge import PathRule, bridge, high_came_first, p_target_first, parkinson_sigma
from simcore.engine.fills import (
    FillRule,
    maker_fill_lots_nb,
    stop_fill_ticks_nb,
    stop_touched_nb,
    taker_price_ticks_nb,
    target_filled_nb,
)

pytestmark = pytest.mark.jitless
BARS = [f"BAR-0{n}" for n in range(1, 7)]
PATHS = [f"PATH-0{n}" for n in range(1, 5)]
BRIDGES = [f"BRIDGE-0{n}" for n in range(1, 5)]


def case_of(reference, case_id):
    return next(case for case in reference("bars")["cases"] if case["id"] == case_id)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("bars")["cases"]} == {*BARS, *PATHS, *BRIDGES}


@pytest.mark.parametrize("case_id", BARS)
def test_maker_fills_on_bars(reference, case_id):
    case = case_of(reference, case_id)
    given, expected = case["inputs"], case["expected"]
    grid = Instrument.of("CASE", given["tick"], "0.1")
    side = BUY if given["side"] == "BUY" else SELL
    low, high, limit = (grid.price_to_ticks(p) for p in (given["bar"]["low"], given["bar"]["high"], given["limit"]))
    leaves, volume = grid.qty_to_lots(given["order_qty"]), grid.qty_to_lots(given["bar"]["volume"])

    def lots(rule):
        return maker_fill_lots_nb(side, limit, leaves, low, high, volume, given["participation_cap"], rule, 1)

    through = lots(FillRule.THROUGH)
    assert (through > 0) == expected["through_rule_fills"]
    assert (lots(FillRule.TOUCH) > 0) == expected["touch_rule_fills"]
    assert float(grid.lots_to_qty(through)) == expected["filled_qty"]
    if expected["fill_price"] is not None:
        # a maker fill is at the limit: the kernel gives a quantity only, there is no better price to be had
        assert float(grid.ticks_to_price(limit)) == expected["fill_price"]


@pytest.mark.parametrize("case_id", PATHS)
def test_which_of_stop_and_target_came_first(reference, case_id):
    case = case_of(reference, case_id)
    given, expected, tol = case["inputs"], case["expected"], case["tol"]
    bar = given["open"], given["high"], given["low"], given["close"]
    grid = Instrument.of("CASE", "0.1", "1")
    low, high, stop, target = (grid.price_to_ticks(given[key]) for key in ("low", "high", "stop", "target"))
    exit_side = SELL if given["side"] == "LONG" else BUY
    stopped = stop_touched_nb(exit_side, stop, low, high)
    reached = target_filled_nb(exit_side, target, low, high, FillRule.THROUGH, 1)
    assert (stopped and reached) == expected["both_touched"]
    assert expected["worst_case"] == "stop"
    p_target = p_target_first(*bar, given["stop"], given["target"])
    p_upper = p_target if given["target"] > given["stop"] else 1.0 - p_target
    assert p_target == pytest.approx(expected["p_target_first"], abs=tol)
    assert p_upper == pytest.approx(expected["p_upper_touched_first_given_both"], abs=tol)
    assert parkinson_sigma(given["high"], given["low"]) == pytest.approx(expected["sigma_parkinson"], abs=tol)
    assert high_came_first(*bar, PathRule.CLOSE_DIRECTION) == (expected["close_direction_rule_first"] == "high")
    assert high_came_first(*bar, PathRule.NEAREST_EXTREME) == (expected["nearest_extreme_rule_first"] == "high")


@pytest.mark.parametrize("case_id", BRIDGES)
def test_bridge_probabilities(reference, case_id):
    case = case_of(reference, case_id)
    odds = bridge(*(case["inputs"][key] for key in ("lower", "upper", "end", "sigma")))
    assert odds._asdict() == pytest.approx(case["expected"], abs=case["tol"])
    assert sum(odds[:5]) == pytest.approx(1.0, abs=1e-12)


def test_a_bridge_needs_its_start_between_the_bounds():
    with pytest.raises(ValueError, match="lower < 0 < upper"):
        bridge(0.5, 1.0, 0.7, 1.0)


def test_an_open_outside_stop_and_target_leaves_nothing_to_guess():
    assert p_target_first(101.5, 102.0, 98.0, 99.0, stop=99.0, target=101.0) == 1.0
    assert p_target_first(98.5, 102.0, 98.0, 99.0, stop=99.0, target=101.0) == 0.0
    assert p_target_first(101.5, 102.0, 98.0, 99.0, stop=101.0, target=99.0) == 0.0


def test_a_maker_order_waits_for_its_share_of_the_volume():
    assert maker_fill_lots_nb(BUY, 995, 80, 990, 1004, 500, 0.1, FillRule.THROUGH, 1) == 50
    assert maker_fill_lots_nb(BUY, 995, 30, 990, 1004, 500, 0.1, FillRule.THROUGH, 1) == 30
    assert maker_fill_lots_nb(BUY, 995, 80, 990, 1004, 9, 0.1, FillRule.THROUGH, 1) == 0
    # an exchange step of 20 lots: partial fills come in steps
    assert maker_fill_lots_nb(BUY, 995, 80, 990, 1004, 500, 0.1, FillRule.THROUGH, 1, 20) == 40


def test_through_means_one_exchange_tick_even_on_a_finer_grid():
    assert maker_fill_lots_nb(BUY, 990, 10, 981, 1000, 10_000, 0.1, FillRule.THROUGH, 10) == 0
    assert maker_fill_lots_nb(BUY, 990, 10, 980, 1000, 10_000, 0.1, FillRule.THROUGH, 10) == 10


def test_a_stop_is_touched_by_its_price_and_zero_is_no_stop():
    assert stop_touched_nb(SELL, 990, 990, 1000)
    assert not stop_touched_nb(SELL, 990, 991, 1000)
    assert stop_touched_nb(BUY, 1000, 990, 1000)
    assert not stop_touched_nb(BUY, 0, 990, 1000)
    assert not stop_touched_nb(SELL, 0, 990, 1000)
    assert not target_filled_nb(BUY, 0, 0, 1000, FillRule.TOUCH, 1)


def test_a_triggered_stop_never_fills_at_its_price_for_free():
    # 1 tick of slippage, no spread, no impact: still a tick worse than the stop
    assert stop_fill_ticks_nb(SELL, 990, 1000, 0.0, 0.0, 1, 0.1, 1) == 989
    assert stop_fill_ticks_nb(BUY, 1010, 1000, 0.0, 0.0, 1, 0.1, 1) == 1011
    # 100 bps of half spread and impact on 98.9
    assert stop_fill_ticks_nb(SELL, 990, 1000, 60.0, 40.0, 1, 0.1, 1) == 979


def test_a_bar_that_opens_beyond_the_stop_fills_at_the_open_or_worse():
    assert stop_fill_ticks_nb(SELL, 990, 950, 0.0, 0.0, 1, 0.1, 1) == 949
    assert stop_fill_ticks_nb(BUY, 1010, 1060, 0.0, 0.0, 1, 0.1, 1) == 1061


def test_a_taker_pays_half_the_spread_and_the_impact_rounded_against_him():
    assert taker_price_ticks_nb(BUY, 100.0, 0.0, 0.0, 0.1, 1) == 1000
    assert taker_price_ticks_nb(BUY, 100.0, 1.0, 2.0, 0.1, 1) == 1001
    assert taker_price_ticks_nb(SELL, 100.0, 1.0, 2.0, 0.1, 1) == 999
    assert taker_price_ticks_nb(BUY, 100.0, 1.0, 2.0, 0.1, 10) == 1010
    assert taker_price_ticks_nb(SELL, 0.1, 9000.0, 0.0, 0.1, 1) == 1
