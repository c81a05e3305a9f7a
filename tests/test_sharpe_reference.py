"""Sharpe inference: the papers' worked examples, and what must hold for every series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simcore import series
from simcore.domain.errors import DataError
from simcore.validation import sharpe

CASES = [f"SHR-{i:02d}" for i in range(1, 7)] + ["SHR-C01", "SHR-C02", "SHR-D01"]


def psr(i: dict[str, Any]) -> dict[str, float]:
    return {"psr": sharpe.probabilistic_sharpe(i["sr"], i["n"], i["skew"], i["kurt"], i["sr0"])}


def dsr(i: dict[str, Any]) -> dict[str, float]:
    sr, var_sr = i["sr_annual"] / math.sqrt(i["periods"]), i["var_sr_annual"] / i["periods"]
    found = sharpe.deflated_sharpe(sr, i["n"], i["skew"], i["kurt"], i["n_trials"], var_sr)
    return {"expected_max_z": sharpe.expected_max_z(i["n_trials"]), "sr0_per_period": found.sr0, "dsr": found.dsr}


def min_trl_years(i: dict[str, Any]) -> dict[str, float]:
    root = math.sqrt(i["periods"])
    periods = sharpe.min_track_record(i["sr_annual"] / root, i["skew"], i["kurt"], i["sr0_annual"] / root, i["prob"])
    return {"years": periods / i["periods"]}


def psr_2026(i: dict[str, Any]) -> dict[str, float]:
    shape = (i["skew"], i["kurt"], i["rho"])
    return {
        "sd_at_sr": math.sqrt(sharpe.sharpe_variance(i["sr"], i["T"], *shape)),
        "psr": sharpe.probabilistic_sharpe_correlated(i["sr"], i["T"], *shape, i["sr0"]),
        "min_trl": sharpe.min_track_record_correlated(i["sr"], *shape, i["sr0"]),
    }


def psr_from_returns(i: dict[str, Any]) -> dict[str, float]:
    m = sharpe.moments(np.array(i["returns"]))
    project = sharpe.probabilistic_sharpe(m.sr, m.n, m.skew, m.kurt, i["sr0"])
    return {"sr_ddof1": m.sr, "skew_g1": m.skew, "kurt_b2": m.kurt, "psr_project": project}


FUNCTIONS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "psr": psr,
    "dsr": dsr,
    "min_trl_years": min_trl_years,
    "min_btl_years": lambda i: {"years": sharpe.min_backtest_years(i["n_trials"], i["target"])},
    "psr_2026": psr_2026,
    "psr_from_returns": psr_from_returns,
}
OTHERS = {"psr_purgedcv", "psr_quantstats"}  # other libraries' small-sample conventions


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("sharpe")["cases"]] == CASES


@pytest.mark.parametrize("case_id", CASES)
def test_the_papers_figures(reference, case_id):
    case = next(case for case in reference("sharpe")["cases"] if case["id"] == case_id)
    found = FUNCTIONS[case["inputs"]["fn"]](case["inputs"])
    expected = {key: value for key, value in case["expected"].items() if key not in OTHERS}
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=case["tol"]), key


def test_an_autocorrelated_record_says_less_than_its_length(reference):
    case = next(case for case in reference("sharpe")["cases"] if case["id"] == "SHR-06")["inputs"]
    correlated = math.sqrt(sharpe.sharpe_variance(case["sr"], 24, case["skew"], case["kurt"], 0.2))
    assert correlated > math.sqrt(sharpe.sharpe_variance(case["sr"], 24, 0.0, 3.0, 0.0)) == pytest.approx(0.214, abs=5e-4)


# ---------------------------------------------------------------- properties

SR = st.floats(-1.5, 1.5)
N = st.integers(5, 5_000)
SKEW = st.floats(-1.5, 1.5)
KURT = st.floats(3.5, 12.0)


@settings(max_examples=1000)
@given(SR, SR, N, SKEW, KURT, SR)
def test_a_higher_hurdle_is_never_likelier_passed(low, high, n, skew, kurt, sr):
    low, high = sorted((low, high))
    easy, hard = (sharpe.probabilistic_sharpe(sr, n, skew, kurt, hurdle) for hurdle in (low, high))
    assume(not math.isnan(easy))
    assert 0.0 <= hard <= easy <= 1.0


@settings(max_examples=1000)
@given(st.floats(0.0, 1.5), st.floats(0.0, 1.5), N, st.floats(0.0, 1.0), st.floats(-3.0, 0.0), st.floats(1.0, 20.0))
def test_a_better_record_is_never_less_believed(a, b, n, sr0, skew, kurt):
    worse, better = (sharpe.probabilistic_sharpe(sr, n, skew, kurt, sr0) for sr in sorted((a, b)))
    assert better >= worse - 1e-12


@settings(max_examples=1000)
@given(st.floats(0.0, 1.0), N, N, SKEW, KURT)
def test_a_longer_record_of_a_good_strategy_is_never_less_believed(sr, a, b, skew, kurt):
    short, long = sorted((a, b))
    assume(not math.isnan(sharpe.probabilistic_sharpe(sr, 10, skew, kurt)))
    assert sharpe.probabilistic_sharpe(sr, long, skew, kurt) >= sharpe.probabilistic_sharpe(sr, short, skew, kurt)


@settings(max_examples=1000)
@given(SR, N, SKEW, KURT, st.floats(1.0, 1e6), st.floats(1.0, 1e6), st.floats(0.0, 0.5), st.sampled_from([None, 0.0, 0.3, -0.3]))
def test_deflating_never_flatters_and_more_trials_never_help(sr, n, skew, kurt, a, b, var_sr, rho):
    few, many = sorted((a, b))
    if rho is None:
        plain = sharpe.probabilistic_sharpe(sr, n, skew, kurt)
    else:
        plain = sharpe.probabilistic_sharpe_correlated(sr, n, skew, kurt, rho)
    first, second = (sharpe.deflated_sharpe(sr, n, skew, kurt, trials, var_sr, rho) for trials in (few, many))
    assert first.sr0 <= second.sr0
    assume(not math.isnan(first.dsr + plain))
    if rho is None:  # the 2025 form takes the variance at the hurdle, which moves with it
        assert second.dsr <= first.dsr <= plain
    assert sharpe.deflated_sharpe(sr, n, skew, kurt, 1, var_sr, rho).dsr == plain


@settings(max_examples=1000)
@given(st.floats(0.02, 1.0), SKEW, KURT, st.floats(0.6, 0.999), st.floats(-0.5, 0.015))
def test_the_minimum_record_is_where_the_probability_reaches_the_confidence(sr, skew, kurt, confidence, sr0):
    n = sharpe.min_track_record(sr, skew, kurt, sr0, confidence)
    assume(n >= 2.5)
    z = (sr - sr0) * math.sqrt(n - 1.0) / math.sqrt(1.0 - skew * sr + (kurt - 1.0) / 4.0 * sr * sr)
    assert sharpe.normal_cdf(z) == pytest.approx(confidence, abs=1e-9)


@settings(max_examples=500)
@given(st.lists(st.floats(-0.2, 0.2), min_size=0, max_size=60), st.floats(-0.1, 0.1))
def test_report_and_validation_agree_on_every_series(values, sr0):
    m, values = sharpe.moments(np.array(values)), np.array(values)
    same = {"sr": series.sharpe(values, periods=1), "skew": series.skewness(values), "kurt": series.kurtosis(values)}
    assume(m.n < 2 or np.ptp(values) > 1e-12 or np.ptp(values) == 0.0)
    for key, value in same.items():
        assert getattr(m, key) == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), key
    assert sharpe.probabilistic_sharpe(m.sr, m.n, m.skew, m.kurt, sr0) == pytest.approx(
        series.psr_of_returns(values, sr0), abs=1e-9, nan_ok=True
    )


def test_the_expected_maximum_is_that_of_drawn_maxima():
    rng = np.random.Generator(np.random.PCG64(5))
    for n in (10, 100):
        drawn = rng.standard_normal((20_000, n)).max(axis=1).mean()
        assert sharpe.expected_max_z(n) == pytest.approx(drawn, abs=0.04)
    assert sharpe.expected_max_z(1) == 0.0 == sharpe.expected_max_z(1.1)


@pytest.mark.parametrize("wrong", [0.0, 0.5, -1.0, math.nan])
def test_no_trial_at_all_is_refused(wrong):
    with pytest.raises(DataError, match="below 1"):
        sharpe.expected_max_z(wrong)


def test_what_is_not_determined_is_nan_and_what_is_not_finite_is_refused():
    assert math.isnan(sharpe.moments(np.ones(9)).sr)
    assert math.isnan(sharpe.deflated_sharpe(0.1, 100, 0.0, 3.0, 10, math.nan).dsr)
    assert math.isnan(sharpe.probabilistic_sharpe(math.nan, 100, 0.0, 3.0))
    assert math.isnan(sharpe.sharpe_variance(0.1, 100, 0.0, 3.0, 1.0))
    assert sharpe.min_track_record(0.1, 0.0, 3.0, 0.1) == math.inf
    with pytest.raises(DataError, match=r"returns: value 1 is nan"):
        sharpe.moments(np.array([0.1, math.nan]))


# ---------------------------------------------------------------- how many trials there really were


def noise(periods: int, trials: int, seed: int = 1) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((periods, trials))


def test_copies_count_once_and_independent_trials_count_each():
    base = noise(400, 5)
    assert sharpe.effective_trials(np.repeat(base[:, :1], 20, axis=1)) == pytest.approx(1.0)
    assert sharpe.effective_trials(noise(400, 30)) == pytest.approx(30.0, rel=0.05)
    assert sharpe.effective_trials(noise(60, 200)) == pytest.approx(200.0, rel=0.1)  # a short history does not flatter
    assert sharpe.effective_trials(np.repeat(base, 8, axis=1)) == pytest.approx(5.0, rel=0.05)


def test_clusters_are_the_groups_that_were_planted():
    groups = np.repeat(noise(500, 4), 6, axis=1) + 0.3 * noise(500, 24, seed=2)
    assert sharpe.trial_clusters(groups, 0.7).tolist() == np.repeat(np.arange(4), 6).tolist()
    assert len(set(sharpe.trial_clusters(noise(500, 12), 0.7))) == 12


@settings(max_examples=200)
@given(st.integers(1, 12), st.integers(3, 40), st.integers(0, 10_000), st.floats(0.0, 3.0), st.floats(-0.5, 0.99))
def test_clusters_are_as_tight_as_asked_and_no_two_could_be_joined(trials, periods, seed, common, least):
    table = noise(periods, trials, seed) + common * noise(periods, 1, seed + 1)
    label, matrix = sharpe.trial_clusters(table, least), sharpe.correlations(table)
    assert 1.0 <= sharpe.effective_trials(table) <= trials
    tightest = [matrix[np.ix_(label == a, label == b)].min() for a in set(label) for b in set(label) if a < b]
    assert all(matrix[np.ix_(label == a, label == a)].min() >= least for a in set(label))
    assert all(value < least for value in tightest)


def test_a_trial_that_never_traded_is_a_cluster_of_its_own():
    table = noise(100, 3)
    table[:, 1] = 0.0
    assert sharpe.correlations(table)[1].tolist() == [0.0, 1.0, 0.0]
    assert len(set(sharpe.trial_clusters(table, 0.5))) == 3
    table[4, 2] = math.inf
    with pytest.raises(DataError, match="row 4, trial 2"):
        sharpe.effective_trials(table)
