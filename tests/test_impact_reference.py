"""The square-root law of impact. The other laws of the reference file are research models, not part of the venue."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.engine.impact import impact_bps_nb, sliced_cost_bps

pytestmark = pytest.mark.jitless
CASES = ["IMP-SQ-01", "IMP-SQ-02", "IMP-SQ-03"]


def test_every_square_root_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("impact")["cases"] if case["id"].startswith("IMP-SQ")] == CASES


@pytest.mark.parametrize("case_id", CASES)
def test_square_root_impact(reference, case_id):
    case = next(case for case in reference("impact")["cases"] if case["id"] == case_id)
    inputs, expected = case["inputs"], case["expected"]
    peak = impact_bps_nb(
        inputs["sigma_daily"], inputs["daily_volume_notional"], inputs["order_notional"], inputs["Y"], math.nan, math.nan
    )
    assert peak == pytest.approx(expected["peak_impact_bps"], abs=case["tol"])
    assert sliced_cost_bps(peak) == pytest.approx(expected["average_cost_bps"], abs=case["tol"])


@pytest.mark.parametrize("unknown", [math.nan, 0.0, -1.0])
def test_what_is_unknown_comes_from_the_caller(unknown):
    assert impact_bps_nb(unknown, 1e6, 100.0, 1.0, 0.05, 5e5) == impact_bps_nb(0.05, 1e6, 100.0, 1.0, math.nan, math.nan)
    assert impact_bps_nb(0.05, unknown, 100.0, 1.0, 0.05, 5e5) == impact_bps_nb(0.05, 5e5, 100.0, 1.0, math.nan, math.nan)


def test_without_any_volume_an_order_is_a_whole_days():
    assert impact_bps_nb(0.05, 0.0, 1.0, 1.0, 0.05, 0.0) == pytest.approx(500.0)


POSITIVE = st.floats(1e-6, 1e9)


@settings(max_examples=1000)
@given(st.floats(1e-4, 1.0), POSITIVE, POSITIVE, POSITIVE)
def test_a_larger_order_never_moves_the_price_less(sigma, volume, first, second):
    small, large = sorted((first, second))
    assert impact_bps_nb(sigma, volume, small, 1.0, sigma, volume) <= impact_bps_nb(sigma, volume, large, 1.0, sigma, volume)
    assert impact_bps_nb(sigma, volume, small, 1.0, sigma, volume) >= 0.0
