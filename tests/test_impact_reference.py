"""The square-root law of impact that fills orders, and the laws of the literature that costs are held against."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.engine.impact import impact_bps_nb, sliced_cost_bps
from simcore.report.impact_models import almgren_chriss, almgren_cost, next_move_up_probability, obizhaeva_wang

pytestmark = pytest.mark.jitless
CASES = ["IMP-SQ-01", "IMP-SQ-02", "IMP-SQ-03"]
ALMGREN = [f"IMP-AL-{name}-{days}" for name in ("IBM", "DRI") for days in ("0.1", "0.2", "0.5")]
QUEUES = [f"MIC-CDL-{bid}-{ask}" for bid, ask in ((1, 1), (2, 1), (5, 2), (10, 1))]


def case_of(reference, case_id):
    case = next(case for case in reference("impact")["cases"] if case["id"] == case_id)
    return case["inputs"], case["expected"], case["tol"]


def test_every_case_of_the_file_is_one_of_these(reference):
    named = {*CASES, *ALMGREN, *QUEUES, "IMP-AC-01", "IMP-OW-01"}
    assert {case["id"] for case in reference("impact")["cases"]} == named


@pytest.mark.parametrize("case_id", ALMGREN)
def test_almgrens_costs_of_a_tenth_of_a_day(reference, case_id):
    inputs, expected, tol = case_of(reference, case_id)
    assert inputs["alpha"] == 1.0  # permanent impact is linear in the rate: the function has no other
    cost = almgren_cost(
        inputs["sigma_daily"], inputs["participation"], inputs["shares_out_over_adv"], inputs["T_days"],
        inputs["gamma"], inputs["eta"], inputs["beta"], inputs["delta"],
    )  # fmt: skip
    found = [cost.permanent_bps, cost.temporary_bps, cost.realised_bps]
    assert found == pytest.approx([expected[f"{name}_bps"] for name in ("permanent", "temporary", "realized")], abs=tol)
    assert [round(bps) for bps in found] == expected["published_rounded_bps"]


def test_the_schedule_of_almgren_and_chriss(reference):
    inputs, expected, tol = case_of(reference, "IMP-AC-01")
    kappa, holdings = almgren_chriss(*(inputs[name] for name in ("X", "T", "N", "sigma", "eta", "gamma", "lam")))
    assert kappa == pytest.approx(expected["kappa"], abs=tol)
    assert holdings == pytest.approx(expected["holdings"], abs=tol * inputs["X"])


def test_without_risk_aversion_the_schedule_is_a_straight_line():
    assert almgren_chriss(100.0, 5.0, 5, 0.95, 2.5e-6, 2.5e-7, 0.0)[1].tolist() == [100.0, 80.0, 60.0, 40.0, 20.0, 0.0]


def test_the_blocks_of_obizhaeva_and_wang(reference):
    inputs, expected, tol = case_of(reference, "IMP-OW-01")
    block, rate = obizhaeva_wang(inputs["X0"], inputs["rho"], inputs["T"])
    assert [block, block, rate] == pytest.approx([expected[name] for name in ("initial_block", "final_block", "rate")], abs=tol)
    assert 2.0 * block + rate * inputs["T"] == pytest.approx(inputs["X0"])


@pytest.mark.parametrize("case_id", QUEUES)
def test_the_next_move_of_cont_and_de_larrard(reference, case_id):
    inputs, expected, tol = case_of(reference, case_id)
    assert next_move_up_probability(inputs["bid_queue"], inputs["ask_queue"]) == pytest.approx(expected["p_next_move_up"], abs=tol)


@pytest.mark.parametrize("case_id", CASES)
def test_square_root_impact(reference, case_id):
    inputs, expected, tol = case_of(reference, case_id)
    peak = impact_bps_nb(
        inputs["sigma_daily"], inputs["daily_volume_notional"], inputs["order_notional"], inputs["Y"], math.nan, math.nan
    )
    assert peak == pytest.approx(expected["peak_impact_bps"], abs=tol)
    assert sliced_cost_bps(peak) == pytest.approx(expected["average_cost_bps"], abs=tol)


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
