"""Resampling: the file's figures, a plain twin of each draw, and what a test must do where there is nothing to find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.errors import DataError
from simcore.validation import controls, resampling

CASES = ["BLK-A01", "BLK-S01", "BLK-S02", "PAIR-01", "SPA-01"]


def case_of(reference, case_id):
    return next(case for case in reference("resampling")["cases"] if case["id"] == case_id)


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def noise(n: int, k: int, seed: int = 1) -> np.ndarray:
    return generator(seed).standard_normal((n, k))


def autoregressive(n: int, rho: float, seed: int = 1) -> np.ndarray:
    y = noise(n + 100, 1, seed)[:, 0]
    for i in range(1, len(y)):
        y[i] += rho * y[i - 1]
    return y[100:]


# ---------------------------------------------------------------- reference cases


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("resampling")["cases"]] == CASES


def test_block_length_of_the_published_series(reference):
    case = case_of(reference, "BLK-A01")
    y = np.random.RandomState(0).standard_normal(10_100)  # noqa: NPY002 - the case is defined by this generator
    for i in range(1, len(y)):
        y[i] += 0.3 * y[i - 1]
    found = resampling.block_length(y[100:])
    assert found.stationary == pytest.approx(case["expected"]["stationary"], abs=case["tol"])
    assert found.circular == pytest.approx(case["expected"]["circular"], abs=case["tol"])


@pytest.mark.parametrize("case_id", ["BLK-S01", "BLK-S02"])
def test_block_length_of_the_files_series(reference, case_id):
    case = case_of(reference, case_id)
    found = resampling.block_length(np.array(case["inputs"]["series"]))
    assert found.stationary == pytest.approx(case["expected"]["stationary"], abs=case["tol"])
    assert found.circular == pytest.approx(case["expected"]["circular"], abs=case["tol"])


def test_paired_comparison(reference):
    case = case_of(reference, "PAIR-01")
    i, expected, exact = case["inputs"], case["expected"], case["tol_deterministic"]
    policy, baseline = np.array(i["policy_returns"]), np.array(i["baseline_returns"])
    found = resampling.paired_difference(policy, baseline, generator(), draws=i["reps"], confidence=0.95, block=float(i["block_length"]))
    assert found.mean == pytest.approx(expected["mean_diff"], abs=exact)
    assert resampling.block_length(policy - baseline).stationary == pytest.approx(expected["optimal_block"], abs=exact)
    assert found.correlation == pytest.approx(expected["correlation"], abs=exact)
    assert found.paired_se == pytest.approx(expected["paired_se"], abs=exact)
    assert found.unpaired_se == pytest.approx(expected["naive_unpaired_se"], abs=exact)
    loose = case["tol_bootstrap_relative"]
    assert found.se == pytest.approx(expected["bootstrap_se"], rel=loose)
    assert [found.low, found.high] == pytest.approx(expected["ci95_percentile"], rel=2 * loose)
    assert found.p_one_sided == pytest.approx(expected["p_one_sided"], abs=case["tol_p"])
    assert found.t == pytest.approx(found.mean / found.se)


def test_superior_predictive_ability(reference):
    case = case_of(reference, "SPA-01")
    i, expected, tol = case["inputs"], case["expected"], case["tol_p"]
    excess = np.array(i["model_returns"])
    excess = (excess if len(excess) == len(i["benchmark_returns"]) else excess.T) - np.array(i["benchmark_returns"])[:, None]
    block, draws = float(i["block_size"]), i["reps"]
    studentised = resampling.superior_predictive_ability(excess, block, draws, generator())
    plain = resampling.superior_predictive_ability(excess, block, draws, generator(), studentise=False)
    assert studentised.mean_excess == pytest.approx(expected["mean_excess"], abs=1e-12)
    assert studentised.omega == pytest.approx(expected["omega_long_run_sd"], rel=1e-9)
    for name, found in (("studentized_by_prescaling", studentised), ("plain_arch", plain)):
        for kind, p in expected["pvalues"][name].items():
            assert getattr(found, kind) == pytest.approx(p, abs=tol), (name, kind)
    assert resampling.reality_check(excess, block, draws, generator()) == plain.upper
    assert studentised.best == 5


# ---------------------------------------------------------------- drawing


def plain_indices(n, block, draws, rng):
    """Return the draws one row number at a time: go on to the next row, or with chance 1/block begin anywhere."""
    begins, starts = rng.random((draws, n)) < 1.0 / block, rng.integers(0, n, (draws, n))
    rows = np.zeros((draws, n), np.int64)
    for draw in range(draws):
        for i in range(n):
            rows[draw, i] = starts[draw, i] if i == 0 or begins[draw, i] else (rows[draw, i - 1] + 1) % n
    return rows


@settings(max_examples=300)
@given(st.integers(1, 40), st.floats(1.0, 50.0), st.integers(1, 5), st.integers(0, 10_000))
def test_a_draw_is_what_the_plain_words_say_and_one_seed_gives_one_draw(n, block, draws, seed):
    found = resampling.stationary_indices(n, block, draws, generator(seed))
    assert (found == plain_indices(n, block, draws, generator(seed))).all()
    values = noise(n, 2, seed)
    means = resampling.bootstrap_means(values, block, draws, generator(seed))
    assert means == pytest.approx(values[found].mean(axis=1), abs=1e-12)
    assert (means == resampling.bootstrap_means(values, block, draws, generator(seed))).all()
    assert resampling.bootstrap_means(values[:, 0], block, draws, generator(seed)) == pytest.approx(means[:, 0], abs=1e-12)


def test_blocks_have_the_length_that_was_asked_for_and_rows_are_drawn_alike():
    rows = resampling.stationary_indices(500, 8.0, 400, generator())
    breaks = (np.diff(rows, axis=1) % 500 != 1).mean()
    assert breaks == pytest.approx(1 / 8, rel=0.03)
    assert np.bincount(rows.ravel(), minlength=500).std() / 400 < 0.2
    assert (np.diff(resampling.stationary_indices(50, 1e9, 3, generator()), axis=1) % 50 == 1).all()


def test_many_chunks_are_one_result(monkeypatch):
    values = noise(300, 3)
    whole = resampling.bootstrap_means(values, 5.0, 1000, generator())
    assert whole.shape == (1000, 3)
    monkeypatch.setattr(resampling, "CHUNK", 300 * 7)
    pieces = resampling.bootstrap_means(values, 5.0, 1000, generator())
    assert pieces.shape == (1000, 3)
    assert pieces.mean(axis=0) == pytest.approx(whole.mean(axis=0), abs=0.01)


def test_the_closed_form_deviation_is_that_of_the_draws():
    series = autoregressive(400, 0.5)[:, None]
    drawn = resampling.bootstrap_means(series, 10.0, 20_000, generator())
    assert resampling.long_run_deviation(series, 10.0)[0] == pytest.approx(drawn.std() * math.sqrt(400), rel=0.02)
    assert resampling.long_run_deviation(series, 1.0)[0] == pytest.approx(series.std(), rel=1e-9)


@settings(max_examples=300)
@given(st.integers(3, 120), st.floats(-0.9, 0.9), st.integers(0, 10_000), st.floats(0.001, 1000.0), st.floats(-5.0, 5.0))
def test_block_length_stays_in_bounds_and_knows_no_units(n, rho, seed, scale, offset):
    series = autoregressive(n, rho, seed)
    found = resampling.block_length(series)
    assert 1.0 <= found.stationary <= math.ceil(min(3 * math.sqrt(n), n / 3))
    assert found.stationary <= found.circular
    moved = resampling.block_length(series * scale + offset)
    assert (moved.stationary, moved.circular) == pytest.approx((found.stationary, found.circular), rel=1e-3)


def test_more_memory_needs_longer_blocks():
    lengths = [resampling.block_length(autoregressive(4000, rho, 3)).stationary for rho in (0.0, 0.3, 0.6, 0.9)]
    assert lengths == sorted(lengths) and lengths[-1] > 4 * lengths[0]
    assert resampling.block_length(np.ones(50)) == resampling.BlockLength(1.0, 1.0)
    assert resampling.block_length(np.array([1.0, 2.0])).stationary == 1.0


# ---------------------------------------------------------------- tests that find, and find nothing


def test_the_paired_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        market = autoregressive(250, 0.2, seed)
        policy = market + 0.05 + 0.3 * noise(250, 1, seed + 5000)[:, 0]
        found = resampling.paired_difference(policy, market, generator(seed), draws=500, confidence=0.9)
        covered += found.low <= 0.05 <= found.high
        assert found.paired_se < found.unpaired_se
    assert 0.83 < covered / 200 < 0.96


def test_pairing_is_symmetric_and_equal_policies_differ_by_nothing():
    ours, theirs = noise(100, 2).T
    one, other = (resampling.paired_difference(a, b, generator(), draws=300, confidence=0.9) for a, b in ((ours, theirs), (theirs, ours)))
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low), abs=1e-12)
    same = resampling.paired_difference(ours, ours, generator(), draws=100, confidence=0.9)
    assert (same.mean, same.low, same.high, same.p_one_sided) == (0.0, 0.0, 0.0, 1.0)
    assert math.isnan(same.t)


@pytest.mark.parametrize("studentise", [True, False])
def test_many_worthless_policies_beat_the_benchmark_as_rarely_as_claimed(studentise):
    p_values = [
        resampling.superior_predictive_ability(noise(200, 15, seed), 1.0, 200, generator(seed), studentise=studentise).consistent
        for seed in range(150)
    ]
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.07)


def test_one_real_edge_among_many_is_found_even_beside_a_wild_policy():
    excess = noise(500, 20, 4)
    excess[:, 7] = 0.05 * excess[:, 7] + 0.02
    excess[:, 3] *= 50.0
    found = resampling.superior_predictive_ability(excess, 1.0, 999, generator())
    assert found.best == 7 and found.consistent == pytest.approx(0.001)
    assert resampling.reality_check(excess, 1.0, 999, generator()) > 0.05  # what studentising is for


@settings(max_examples=60)
@given(st.integers(20, 80), st.integers(1, 6), st.integers(0, 10_000), st.floats(1.0, 8.0), st.booleans())
def test_the_three_p_values_are_in_order_and_a_bad_policy_more_never_helps(n, k, seed, block, studentise):
    excess = noise(n, k, seed)
    found = resampling.superior_predictive_ability(excess, block, 100, generator(seed), studentise=studentise)
    assert 0.0 < found.lower <= found.consistent <= found.upper <= 1.0
    again = resampling.superior_predictive_ability(excess, block, 100, generator(seed), studentise=studentise)
    assert (found.lower, found.upper) == (again.lower, again.upper)
    more = np.column_stack([excess, excess[:, 0] - 10.0])
    wider = resampling.superior_predictive_ability(more, block, 100, generator(seed), studentise=studentise)
    assert wider.upper >= found.upper and wider.consistent == found.consistent


def test_policies_that_never_differ_from_the_benchmark_prove_nothing():
    found = resampling.superior_predictive_ability(np.zeros((50, 3)), 2.0, 99, generator())
    assert (found.lower, found.consistent, found.upper) == (1.0, 1.0, 1.0)
    beside = noise(50, 2)
    beside[:, 1] = 0.0
    alone = resampling.superior_predictive_ability(beside[:, :1], 2.0, 99, generator())
    assert resampling.superior_predictive_ability(beside, 2.0, 99, generator()).consistent == alone.consistent


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resampling.stationary_indices(5, 0.5, 1, generator()), "block 0.5"),
        (lambda: resampling.paired_difference(np.ones(5), np.ones(4), generator(), draws=9, confidence=0.9), "policy has 5"),
        (lambda: resampling.paired_difference(np.ones(5), np.ones(5), generator(), draws=9, confidence=95), "confidence: 95"),
        (lambda: resampling.superior_predictive_ability(np.ones(9), 1.0, 9, generator()), "excess: shape"),
        (lambda: resampling.reality_check(np.array([[1.0], [math.nan], [2.0]]), 1.0, 9, generator()), "row 1, policy 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()


# ---------------------------------------------------------------- controls of a signal


def held(n: int, hold: int, seed: int) -> np.ndarray:
    return np.repeat(np.sign(noise(-(-n // hold), 1, seed)[:, 0]), hold)[:n]


@settings(max_examples=300)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10_000))
def test_shuffled_blocks_keep_every_row_and_their_inside(n, block, seed):
    if block > n:
        with pytest.raises(DataError, match="block"):
            controls.permuted_blocks(n, block, generator(seed))
        return
    rows = controls.permuted_blocks(n, block, generator(seed))
    assert sorted(rows) == list(range(n))
    assert (np.diff(rows) % n != 1).sum() <= -(-n // block) - 1


def test_a_planted_edge_is_found_and_a_lucky_hold_is_not():
    market = autoregressive(600, 0.1, 8)
    signal = held(600, 10, 9)
    found = controls.permutation_test(signal, market + 0.15 * signal, 20, 400, generator())
    assert found.p_value < 0.02 and found.observed > found.null.mean()
    p_values = [
        controls.permutation_test(held(300, 10, seed), autoregressive(300, 0.3, seed + 900), 20, 99, generator(seed)).p_value
        for seed in range(120)
    ]
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.08)


def test_a_signal_that_never_changes_owes_nothing_to_its_timing():
    found = controls.permutation_test(np.ones(100), noise(100, 1)[:, 0], 5, 50, generator())
    assert found.p_value == 1.0
    with pytest.raises(DataError, match="draws"):
        controls.permutation_test(np.ones(9), np.ones(9), 2, 0, generator())


def test_a_delay_costs_an_honest_edge_little_and_a_peek_everything():
    market = autoregressive(3000, 0.0, 2)
    trend = np.repeat(noise(100, 1, 3)[:, 0], 30) * 0.3
    honest = controls.time_shift(np.sign(trend), market + trend, 2)
    assert honest.delays.tolist() == [-2, -1, 0, 1, 2]
    assert honest.kept > 0.8
    peek = controls.time_shift(np.sign(market), market, 2)
    assert abs(peek.kept) < 0.1 and peek.edges[2] == pytest.approx(np.abs(market[2:-2]).mean())
    early = controls.time_shift(np.roll(np.sign(market), 1), market, 2)  # right, but one period late
    assert int(early.delays[np.argmax(early.edges)]) == -1


def test_a_loser_has_no_edge_to_keep_and_a_short_series_no_shift():
    assert math.isnan(controls.time_shift(-np.ones(20), np.ones(20), 3).kept)
    with pytest.raises(DataError, match="most: 5"):
        controls.time_shift(np.ones(10), np.ones(10), 5)
    with pytest.raises(DataError, match="signal has 3"):
        controls.time_shift(np.ones(3), np.ones(4), 1)
