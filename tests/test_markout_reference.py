"""Markouts and the division of spreads, against the reference case and in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.report.markout import fill_markouts, mid_at

pytestmark = pytest.mark.jitless
SECOND = 1_000_000_000


def test_the_reference_case(reference):
    (case,) = reference("markout")["cases"]
    inputs, expected, tol = case["inputs"], case["expected"], case["tol"]
    fills = inputs["fills"]
    found = fill_markouts(
        fill_ns=np.array([fill["t"] for fill in fills]) * SECOND,
        side=np.array([1 if fill["side"] == "BUY" else -1 for fill in fills]),
        price=np.array([fill["price"] for fill in fills]),
        mid_ns=np.arange(len(inputs["mid_by_second"])) * SECOND,
        mid=np.array(inputs["mid_by_second"]),
        horizons_ns=(inputs["horizon"] * SECOND,),
    )
    assert found["markout_bps"][:, 0] == pytest.approx(expected["markout_bps"], abs=tol)
    assert found["markout_bps"].mean() == pytest.approx(expected["mean_markout_bps"], abs=tol)
    assert found["effective_spread_bps"] == pytest.approx(expected["effective_spread_bps"], abs=tol)
    assert found["realised_spread_bps"][:, 0] == pytest.approx(expected["realized_spread_bps"], abs=tol)


def test_a_mid_after_the_last_one_known_is_not_known():
    found = fill_markouts(np.array([5, 15]), np.array([1, -1]), np.array([1.0, 2.0]), np.array([10, 20]), np.array([1.5, 2.5]), (0, 10))
    assert np.isnan(found["markout_bps"]).tolist() == [[True, False], [False, True]]
    assert np.isnan(found["effective_spread_bps"]).tolist() == [True, False]
    assert found["markout_bps"][0, 1] == pytest.approx(5000.0)
    assert found["markout_bps"][1, 0] == pytest.approx(2500.0)


def test_without_any_mid_nothing_is_known():
    empty = np.zeros(0)
    assert np.isnan(fill_markouts(np.array([1]), np.array([1]), np.array([1.0]), empty, empty, (1,))["markout_bps"]).all()


PRICE = st.floats(1.0, 1e5)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([1, -1]), PRICE), max_size=6), st.lists(PRICE, min_size=1, max_size=30))
def test_impact_is_effective_less_realised_and_mids_are_the_last_known(fills, mids):
    times = np.arange(len(mids)) * 2
    fill_ns, side, price = (np.array([fill[i] for fill in fills]) for i in range(3))
    found = fill_markouts(fill_ns, side, price, times, np.array(mids), (0, 3))
    difference = found["effective_spread_bps"][:, None] - found["realised_spread_bps"]
    np.testing.assert_allclose(found["price_impact_bps"], difference, rtol=1e-7, atol=1e-4)
    for at, got in zip(fill_ns, mid_at(times, np.array(mids), fill_ns), strict=True):
        known = [mid for ts, mid in zip(times, mids, strict=True) if ts <= at] if at <= times[-1] else []
        assert got == known[-1] if known else np.isnan(got)
