"""Order latency: the reference cases, refusals for overload, the feed's own latency, and rows that cannot be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import LatencyModel
from simcore.domain.errors import DataError
from simcore.engine.latency import entry_latency_ns_nb, measured_rows, response_latency_ns_nb
from tests.doors import door

pytestmark = pytest.mark.jitless
entry_latency, response_latency = door(entry_latency_ns_nb), door(response_latency_ns_nb)
CASES = [f"LAT-0{n}" for n in range(1, 6)] + [f"LAT-R0{n}" for n in range(1, 4)]
NO_ROWS = np.zeros((0, 3), np.int64), np.zeros((0, 2), np.int64)


def measured_entry(rows, local_ns):
    return entry_latency(LatencyModel.INTERPOLATED.value, 0, 0.0, 0, measured_rows(rows)[0], local_ns)


def measured_response(rows, exch_ns):
    return response_latency(LatencyModel.INTERPOLATED.value, 0, 0.0, 0, measured_rows(rows)[1], exch_ns)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("latency")["cases"]] == CASES


@pytest.mark.parametrize("case_id", CASES)
def test_latency_between_measured_rows(reference, case_id):
    case = next(case for case in reference("latency")["cases"] if case["id"] == case_id)
    inputs, expected = case["inputs"], case["expected"]
    if "at_local_ns" in inputs:
        found = measured_entry(inputs["rows"], inputs["at_local_ns"])
        assert found == pytest.approx(expected["entry_latency_ns"], abs=case["tol"])
    else:
        found = measured_response(inputs["rows"], inputs["at_exchange_ns"])
        assert found == pytest.approx(expected["response_latency_ns"], abs=case["tol"])


def test_an_order_beside_a_refused_one_is_refused_and_its_round_trip_known():
    rows = [(100, 110, 120), (200, 0, 260), (300, 310, 330), (400, 420, 430)]
    assert [measured_entry(rows, at) for at in (0, 99)] == [10, 10]
    assert [measured_entry(rows, at) for at in (100, 150, 200, 250, 299)] == [-20, -40, -60, -45, -30]
    assert [measured_entry(rows, at) for at in (300, 350, 400, 10**6)] == [10, 15, 20, 20]
    assert measured_entry([(100, 0, 100), (200, 210, 220)], 50) == -1
    assert measured_entry([(100, 110, 120), (200, 0, 260)], 300) == -60


def test_answers_skip_refused_orders_and_need_no_order_of_their_own():
    rows = [(100, 150, 160), (110, 130, 170), (120, 0, 190)]
    assert [measured_response(rows, at) for at in (0, 130, 140, 150, 999)] == [40, 40, 25, 10, 10]


def test_a_stress_test_stretches_every_latency():
    rows = [(100, 110, 130), (200, 0, 260)]
    entries, responses = measured_rows(rows, scale=2.0)
    assert entries.tolist() == [[100, 20, 60], [200, -1, 120]]
    assert responses.tolist() == [[110, 40]]


@pytest.mark.parametrize("door_, rows", [(entry_latency, NO_ROWS[0]), (response_latency, NO_ROWS[1])])
def test_constant_and_feed_latency(door_, rows):
    assert door_(LatencyModel.CONSTANT.value, 5_000_000, 3.0, 999, rows, 1) == 5_000_000
    assert door_(LatencyModel.FEED.value, 1_000, 1.5, 2_000, rows, 1) == 4_000
    assert door_(LatencyModel.FEED.value, -9_000, 1.5, 2_000, rows, 1) == 0


@pytest.mark.parametrize(
    "rows, message",
    [
        ([(100, 0, 110)], "no row with an exchange time"),
        ([(100, 110, 120), (90, 95, 99)], r"row 1: sent at 90"),
        ([(100, 90, 120)], r"row 0: \[100, 90, 120\] is not in the order"),
        ([(100, 110, 120), (200, 260, 230)], r"row 1"),
        ([(100, 110, 120), (200, 0, 130)], r"row 1"),
    ],
)
def test_rows_that_cannot_be_are_refused_with_their_place(rows, message):
    with pytest.raises(DataError, match=message):
        measured_rows(rows)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8),
    st.integers(0, 10**12),
)
def test_measured_latency_lies_on_the_line_between_its_two_rows(parts, at):
    rows = sorted({sent + 1: (sent + 1, sent + 1 + there, sent + 1 + there + back) for sent, there, back in parts}.values())
    for found, table in ((measured_entry(rows, at), measured_rows(rows)[0]), (measured_response(rows, at), measured_rows(rows)[1])):
        times, latency = table[:, 0].tolist(), table[:, 1].tolist()
        before = [i for i, ts in enumerate(times) if ts <= at]
        if not before or before[-1] == len(times) - 1:
            expected = Fraction(latency[before[-1] if before else 0])
        else:
            i = before[-1]
            expected = latency[i] + Fraction(at - times[i], times[i + 1] - times[i]) * (latency[i + 1] - latency[i])
        assert abs(found - expected) <= 1
