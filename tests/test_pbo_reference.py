"""The probability of backtest overfitting: the file's cases, a plain twin, and the two controls."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.errors import DataError
from simcore.validation.overfitting import overfitting

CASES = ["PBO-01", "PBO-02"]


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("pbo")["cases"]] == CASES


@pytest.mark.parametrize("case_id", CASES)
def test_the_files_figures(reference, case_id):
    case = next(case for case in reference("pbo")["cases"] if case["id"] == case_id)
    found = overfitting(np.array(case["inputs"]["returns_TxN"]), case["inputs"]["S"])
    expected, tol = case["expected"], case["tol"]
    assert len(found.logits) == expected["n_combinations"]
    assert found.selected.tolist() == expected["selected"]
    assert found.logits == pytest.approx(expected["logits_in_lexicographic_order"], abs=tol)
    assert found.pbo == pytest.approx(expected["pbo"], abs=tol)
    assert found.prob_oos_loss == pytest.approx(expected["prob_oos_loss"], abs=tol)
    assert found.slope == pytest.approx(expected["slope_oos_on_is"], abs=tol)


def noise(periods: int, trials: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((periods, trials))


def test_on_noise_the_best_is_as_often_above_the_median_as_below():
    found = [overfitting(noise(480, 60, seed), 10).pbo for seed in range(40)]
    assert 0.45 < float(np.mean(found)) < 0.55


def test_a_planted_edge_is_no_overfitting():
    table = noise(1000, 60, 3)
    table[:, :6] += 0.15
    assert overfitting(table, 10).pbo < 0.02


def test_where_every_gain_is_paid_back_the_choice_is_called_overfitted():
    table = noise(480, 30, 4)
    table -= table.mean(axis=0)  # good in one half of time is bad in the other
    found = overfitting(table, 8)
    assert found.pbo > 0.95 < found.prob_oos_loss
    assert found.slope == pytest.approx(-1.0, abs=0.1)


def plain(table: np.ndarray, blocks: int) -> list[tuple[int, float]]:
    """Return (chosen trial, logit) for each choice of blocks, word for word as the paper says it."""
    parts = np.split(table[len(table) % blocks :], blocks)
    found = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        scores = [[float(np.mean(c) / np.std(c, ddof=1)) for c in half.T] for half in (inside, outside)]
        best = int(np.argmax(scores[0]))
        worse = sum(s < scores[1][best] for s in scores[1])
        w = (worse + (sum(s == scores[1][best] for s in scores[1]) + 1) / 2) / (table.shape[1] + 1)
        found.append((best, math.log(w / (1 - w))))
    return found


@settings(max_examples=150)
@given(st.integers(2, 9), st.sampled_from([2, 4, 6]), st.integers(0, 3), st.integers(2, 9), st.integers(0, 10_000))
def test_the_fast_sums_choose_and_rank_as_the_plain_words_do(trials, blocks, extra, rows, seed):
    table = noise(blocks * rows + extra % blocks, trials, seed)
    found = overfitting(table, blocks)
    assert found.rows_left_out == extra % blocks
    assert found.selected.tolist() == [best for best, _ in plain(table, blocks)]
    assert found.logits == pytest.approx([logit for _, logit in plain(table, blocks)], abs=1e-12)
    assert 0.0 <= found.pbo <= 1.0


def test_equal_trials_tie_exactly_at_any_width():
    table = np.repeat(noise(60, 1, 7), 37, axis=1)
    assert set(overfitting(table, 6).logits.tolist()) == {0.0}


def test_a_trial_without_trades_scores_nothing():
    table = noise(60, 3, 8)
    table[:, 1] = 0.0
    table[:30, 2] = 0.0
    found = overfitting(table, 6)
    assert np.isfinite(found.logits).all()
    assert (found.in_sample[found.selected == 1] == 0.0).all()
    losers = -np.abs(noise(60, 3, 9))
    losers[:, 1] = 0.0
    assert set(overfitting(losers, 6).selected.tolist()) == {1}


@pytest.mark.parametrize(
    ("shape", "blocks", "words"),
    [((60, 3), 5, "even"), ((60, 3), 0, "even"), ((60, 1), 6, "2 columns"), ((11, 3), 6, "at least 12 rows")],
)
def test_what_cannot_be_cut_is_refused(shape, blocks, words):
    with pytest.raises(DataError, match=words):
        overfitting(np.ones(shape), blocks)


def test_a_hole_in_the_table_is_named():
    table = noise(60, 3, 1)
    table[17, 2] = math.nan
    with pytest.raises(DataError, match="row 17, trial 2"):
        overfitting(table, 6)
