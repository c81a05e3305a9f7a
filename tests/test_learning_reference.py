"""The learning layer's statistics against the reference cases: shrinkage, intervals, Kelly, risk weights, hysteresis, allocation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simcore.learning.autotune import hysteresis
from simcore.learning.intervals import central_z, jeffreys_interval, mean_interval, wilson_interval
from simcore.learning.kelly import binary_growth, binary_kelly, capped_kelly, growth_share
from simcore.learning.shrinkage import dersimonian_laird, expected_luck, james_stein, random_effects_mean, shrink
from simcore.learning.weights import (
    capped_proportional,
    equal_risk,
    hierarchical_risk_parity,
    inverse_variance,
    inverse_volatility,
    risk_shares,
)

WILSON = ["WIL-01", "WIL-02", "WIL-03"]
KELLY = ["KEL-01", "KEL-02", "KEL-03"]
ALONE = ["JS-01", "EB-01", "EB2-01", "TCI-01", "KELG-01", "HRP-01", "LEAK-01", "HYS-01", "WF-ALLOC-01"]


def case_of(reference, case_id):
    return next(case for case in reference("learning")["cases"] if case["id"] == case_id)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("learning")["cases"]} == {*WILSON, *KELLY, *ALONE}


def test_batting_averages_shrink_as_efron_and_morris_printed_them(reference):
    case = case_of(reference, "JS-01")
    y, tol = case["inputs"]["y"], case["tol"]
    centre = float(np.mean(y))
    shrunk, factor = james_stein(y, centre * (1.0 - centre) / case["inputs"]["n_each"])
    assert factor == pytest.approx(case["expected"]["c"], abs=tol)
    assert shrunk == pytest.approx(case["expected"]["estimates"], abs=tol)
    assert round(shrunk[0], 3) == 0.294


def test_buckets_shrink_to_their_parent(reference):
    case = case_of(reference, "EB-01")
    given, expected, tol = case["inputs"], case["expected"], case["tol"]
    spread = np.square(given["bucket_sd"]) / given["n"]
    tau2 = dersimonian_laird(given["bucket_mean"], spread)
    parent, _ = random_effects_mean(given["bucket_mean"], spread, tau2)
    mean, weight, sd = shrink(given["bucket_mean"], spread, parent, tau2)
    assert tau2 == pytest.approx(expected["tau2_dersimonian_laird"], abs=tol)
    assert parent == pytest.approx(expected["parent_mean"], abs=tol)
    for name, found in (("weight_on_own_mean", weight), ("posterior_mean", mean), ("posterior_sd", sd)):
        assert found == pytest.approx(expected[name], abs=tol), name
    assert mean - central_z(0.8) * sd == pytest.approx(expected["lower_80"], abs=tol)


def test_a_bucket_shrinks_to_its_symbol_and_the_symbol_to_all(reference):
    case = case_of(reference, "EB2-01")
    given, bucket = case["inputs"], case["inputs"]["bucket"]
    for symbol, expected in zip(given["symbols"], case["expected"], strict=True):
        upper, weight, _ = shrink(symbol["mean"], symbol["sd"] ** 2 / symbol["n"], given["global_mean"], symbol["tau"] ** 2)
        lower, own, _ = shrink(bucket["mean"], bucket["sd"] ** 2 / bucket["n"], upper, bucket["tau"] ** 2)
        found = {
            "symbol_weight": weight, "symbol_shrunk": upper, "bucket_weight": own, "bucket_shrunk": lower,
            "n_for_half_weight": bucket["sd"] ** 2 / bucket["tau"] ** 2,
        }  # fmt: skip
        assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, abs=case["tol"])


@pytest.mark.parametrize("case_id", WILSON)
def test_intervals_of_a_win_rate(reference, case_id):
    case = case_of(reference, case_id)
    given = case["inputs"]
    for name, interval in (("wilson", wilson_interval), ("jeffreys", jeffreys_interval)):
        found = interval(given["wins"], given["n"], given["confidence"])
        assert found == pytest.approx(case["expected"][name], abs=case["tol"]), name


def test_the_interval_of_mean_r(reference):
    case = case_of(reference, "TCI-01")
    sample = case["inputs"]["r_multiples"]
    low, high = mean_interval(sample, case["inputs"]["confidence"])
    assert [low, high] == pytest.approx(case["expected"]["ci"], abs=case["tol"])
    assert (low + high) / 2 == pytest.approx(case["expected"]["mean"], abs=case["tol"])


@pytest.mark.parametrize("case_id", KELLY)
def test_kelly_shares_of_a_bet_and_the_growth_they_bring(reference, case_id):
    case = case_of(reference, case_id)
    given, expected, tol = case["inputs"], case["expected"], case["tol"]
    p, payoff = given["win_prob"], given["payoff"]
    full = binary_kelly(p, payoff)
    # edge / variance that give this full share: with a variance of 1 the edge is the share
    fraction = capped_kelly(full, 1.0, given["fraction"], math.inf)
    assert full == pytest.approx(expected["full_kelly"], abs=tol)
    assert fraction == pytest.approx(expected["fractional"], abs=tol)
    assert capped_kelly(full, 1.0, given["fraction"], given["cap"]) == pytest.approx(expected["capped"], abs=tol)
    bet = max(0.0, full)
    assert binary_growth(p, payoff, bet) == pytest.approx(expected["growth_full"], abs=tol)
    assert binary_growth(p, payoff, fraction) == pytest.approx(expected["growth_quarter"], abs=tol)
    if expected["growth_double"] is not None:
        assert binary_growth(p, payoff, 2.0 * bet) == pytest.approx(expected["growth_double"], abs=tol)


def test_a_quarter_of_kelly_keeps_seven_sixteenths_of_the_growth(reference):
    case = case_of(reference, "KELG-01")
    edge, variance = case["inputs"]["mu"], case["inputs"]["sigma"] ** 2
    assert capped_kelly(edge, variance, 1.0, math.inf) == pytest.approx(case["expected"]["full_kelly_leverage"], abs=case["tol"])
    assert capped_kelly(edge, variance, 0.25, math.inf) == pytest.approx(case["expected"]["quarter"], abs=case["tol"])
    assert growth_share(0.25) == case["expected"]["fraction_of_max_growth_at_quarter"]


def test_risk_weights_of_five_series(reference):
    case = case_of(reference, "HRP-01")
    returns, expected, tol = np.array(case["inputs"]["returns"]), case["expected"], case["tol"]
    covariance = np.cov(returns, rowvar=False)
    weights, order = hierarchical_risk_parity(returns)
    assert order == expected["leaf_order"]
    assert weights == pytest.approx(expected["hrp_lopez_de_prado"], abs=tol)
    assert inverse_variance(covariance) == pytest.approx(expected["inverse_variance"], abs=tol)
    assert inverse_volatility(np.sqrt(np.diag(covariance))) == pytest.approx(expected["inverse_volatility"], abs=tol)
    equal = equal_risk(covariance)
    assert equal == pytest.approx(expected["equal_risk_contribution"], abs=tol)
    assert risk_shares(equal, covariance) == pytest.approx(np.full(5, 0.2), abs=1e-12)


def test_the_luck_that_a_policy_finds_on_its_own_window(reference):
    case = case_of(reference, "LEAK-01")
    given = case["inputs"]
    n, luck = given["trades_per_bucket"], case["expected"]["apparent_expectancy_in_sample"]
    assert expected_luck(given["sigma_R"], n) == pytest.approx(luck, abs=case["tol"])
    rng = np.random.default_rng(5)
    seen, later = (rng.normal(0.0, given["sigma_R"], (20_000, n)).mean(axis=1) for _ in range(2))
    assert seen[seen > 0].mean() == pytest.approx(luck, abs=case["tol_monte_carlo"])
    assert later[seen > 0].mean() == pytest.approx(case["expected"]["out_of_sample"], abs=case["tol_monte_carlo"])


def test_two_thresholds_and_a_dwell(reference):
    case = case_of(reference, "HYS-01")
    given = case["inputs"]
    on, since, told, switches = given["start"], 99, [], 0
    for rate in given["maker_fill_rate"]:
        before = on
        on, since = hysteresis(on, rate, given["switch_off_below"], given["switch_on_above"], since, given["min_dwell_steps"])
        told.append(on)
        switches += on != before
    assert told == case["expected"]["maker_first"]
    assert switches == case["expected"]["switches"]


def test_caps_cut_and_the_rest_is_spread(reference):
    case = case_of(reference, "WF-ALLOC-01")
    given = case["inputs"]
    weights = capped_proportional(given["scores"], given["caps"], given["gross_cap"])
    assert weights == pytest.approx(case["expected"]["weights"], abs=case["tol"])
    assert math.fsum(weights) == pytest.approx(case["expected"]["gross"], abs=case["tol"])
