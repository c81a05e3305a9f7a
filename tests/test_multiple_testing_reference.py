"""Adjustments for many tests: the file's figures, plain twins, and the order they must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.errors import DataError
from simcore.validation import multiple_testing as mt

TESTS = ["MT-01", "MT-02"]
HAIRCUTS = ["HC-01", "HC-02"]
NAMES = {"bonferroni": "bonferroni", "holm": "holm", "fdr_bh": "benjamini_hochberg", "fdr_by": "benjamini_yekutieli"}


def case_of(reference, case_id):
    return next(case for case in reference("multiple_testing")["cases"] if case["id"] == case_id)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("multiple_testing")["cases"]] == TESTS + HAIRCUTS


@pytest.mark.parametrize("case_id", TESTS)
def test_adjusted_p_values(reference, case_id):
    case = case_of(reference, case_id)
    p, alpha = np.array(case["inputs"]["p_values"]), case["inputs"]["alpha"]
    assert set(case["expected"]) == set(NAMES)
    for theirs, ours in NAMES.items():
        expected = case["expected"][theirs]
        assert mt.adjust(p, ours) == pytest.approx(expected["adjusted"], abs=case["tol"]), ours
        assert int(mt.rejected(p, ours, alpha).sum()) == expected["rejected"], ours


@pytest.mark.parametrize("case_id", HAIRCUTS)
def test_haircuts(reference, case_id):
    case = case_of(reference, case_id)
    for method in ("bonferroni", "sidak"):
        found = mt.haircut_sharpe(*case["inputs"].values(), method)
        expected = case["expected"]
        assert (found.t, found.p_single) == pytest.approx((expected["t"], expected["p_single"]), abs=case["tol"])
        figures = (found.p, found.sr_annual, found.haircut)
        assert figures == pytest.approx(tuple(expected[method][k] for k in ("p", "haircut_sr", "haircut")), abs=case["tol"])


def plain_holm(p):
    """Return min over nothing, max over all smaller ones, of (n − rank)·p: the definition, one value at a time."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    return [min(1.0, max((len(p) - k) * p[j] for k, j in enumerate(order[: order.index(i) + 1]))) for i in range(len(p))]


def plain_step_up(p, factor):
    order = sorted(range(len(p)), key=lambda i: p[i])
    return [min(1.0, min(factor * len(p) / (k + 1) * p[j] for k, j in list(enumerate(order))[order.index(i) :])) for i in range(len(p))]


P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=25)


@settings(max_examples=1000)
@given(P_VALUES)
def test_the_adjustments_are_their_definitions(p):
    harmonic = sum(1 / k for k in range(1, len(p) + 1))
    assert mt.holm(p) == pytest.approx(plain_holm(p), abs=1e-12)
    assert mt.benjamini_hochberg(p) == pytest.approx(plain_step_up(p, 1.0), abs=1e-12)
    assert mt.benjamini_yekutieli(p) == pytest.approx(plain_step_up(p, harmonic), abs=1e-12)


@settings(max_examples=1000)
@given(P_VALUES, st.integers(0, 1000))
def test_none_is_below_the_raw_value_and_each_is_as_strict_as_it_claims(p, seed):
    raw = np.array(p)
    found = {name: mt.adjust(raw, name) for name in mt.METHODS}
    for name, adjusted in found.items():
        assert ((adjusted >= raw - 1e-12) & (adjusted <= 1.0)).all(), name
        order = np.argsort(raw, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-12).all(), name
        shuffle = np.random.Generator(np.random.PCG64(seed)).permutation(len(raw))
        assert mt.adjust(raw[shuffle], name) == pytest.approx(adjusted[shuffle], abs=1e-15), name
    assert (found["holm"] <= found["bonferroni"] + 1e-12).all()
    assert (found["sidak"] <= found["bonferroni"] + 1e-12).all()
    assert (found["benjamini_hochberg"] <= found["holm"] + 1e-12).all()
    assert (found["benjamini_hochberg"] <= found["benjamini_yekutieli"] + 1e-12).all()


def test_holm_keeps_the_chance_of_one_false_claim_and_bh_the_share():
    rng = np.random.Generator(np.random.PCG64(11))
    noise = rng.random((4000, 20))
    false_claims = np.mean([mt.rejected(p, "holm", 0.05).any() for p in noise])
    assert false_claims == pytest.approx(0.05, abs=0.012)
    shares = []
    for p in noise[:2000]:
        mixed = p.copy()
        mixed[:10] *= 1e-4  # ten real effects
        found = mt.rejected(mixed, "benjamini_hochberg", 0.05)
        shares.append(found[10:].sum() / max(found.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.025, abs=0.01)


@settings(max_examples=1000)
@given(st.floats(0.01, 6.0), st.floats(0.1, 40.0), st.floats(1.0, 1e5), st.floats(1.0, 1e5), st.sampled_from(["bonferroni", "sidak"]))
def test_more_tests_cut_more_and_one_test_cuts_nothing(sr, years, a, b, method):
    few, many = (mt.haircut_sharpe(sr, years, n, method) for n in sorted((a, b)))
    assert 0.0 <= many.sr_annual <= few.sr_annual + 1e-9 <= sr + 1e-8
    assert mt.haircut_sharpe(sr, years, 1, method).sr_annual == pytest.approx(sr, rel=1e-6, abs=1e-6)


def test_a_loser_is_no_discovery_and_a_miracle_is_not_cut():
    assert mt.haircut_sharpe(-0.5, 5, 10).sr_annual == -0.5
    assert mt.haircut_sharpe(0.0, 5, 10).p == 1.0
    assert mt.haircut_sharpe(50.0, 5, 10).haircut == 0.0
    assert mt.t_statistic(1.5, 4) == pytest.approx(3.0)


@pytest.mark.parametrize("p", [[0.1, 1.1], [-0.1], [math.nan], [[0.1]]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(DataError, match="from 0 to 1"):
        mt.holm(np.array(p))


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'holm'"):
        mt.adjust(np.array([0.1]), "holmes")
    with pytest.raises(DataError, match="needs the p-values of all tests"):
        mt.haircut_sharpe(1.0, 5, 10, "holm")
    with pytest.raises(DataError, match="needs some history"):
        mt.haircut_sharpe(1.0, 0, 10)
