"""Mids at given times: against a book kept in dicts, with everything nobody knew as NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay_data
from simcore.report.mids import touches_at
from tests.scenes import MINUTE_NS, START_NS, A, bar, feed_of

pytestmark = pytest.mark.jitless
DEPTH, TRADE, CLEAR, READY, GAP = 1, 2, 3, 4, 5
MS = 1_000_000
TICK = 0.1


def feed_from(rows: list[tuple[int, int, int, int, int]], delay_ms: int = 2) -> replay_data.Feed:
    """Return a feed of rows (time in ms, kind, side, ticks, lots)."""
    ms, kind, side, ticks, lots = (np.array(column) for column in zip(*rows, strict=True))
    ts = START_NS + ms.astype(np.int64) * MS
    return replay_data.from_columns(
        A, ts, ts + delay_ms * MS, kind.astype(np.int8), side.astype(np.int8), np.round(ticks * TICK, 1), lots * 1.0, TICK, 1.0
    )


def told_by_dicts(rows: list[tuple[int, int, int, int, int]], ms: int) -> tuple[float, float]:
    """Return (bid, ask) after everything up to `ms`, the plain way."""
    books: dict[int, dict[int, int]] = {1: {}, -1: {}}
    ok, snapshots = True, any(row[1] == CLEAR for row in rows)
    ok = not snapshots
    for at, kind, side, ticks, lots in rows:
        if at > ms:
            break
        if kind == DEPTH:
            books[side].pop(ticks, None)
            if lots:
                books[side][ticks] = lots
        elif kind == CLEAR:
            books, ok = {1: {}, -1: {}}, False
        elif kind in (READY, GAP):
            ok = kind == READY
    if not ok or not books[1] or not books[-1] or ms > rows[-1][0]:
        return np.nan, np.nan
    return round(max(books[1]) * TICK, 1), round(min(books[-1]) * TICK, 1)


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([DEPTH] * 6 + [GAP, "snapshot"]), st.sampled_from((1, -1)), st.integers(0, 5), st.integers(0, 3)),
    min_size=1,
    max_size=40,
)  # fmt: skip


@settings(max_examples=300)
@given(STEPS, st.lists(st.integers(-1, 90), min_size=1, max_size=12))
def test_the_touch_is_what_a_book_in_dicts_says(steps, asked):
    rows = [(0, CLEAR, 1, 100, 0), (0, DEPTH, 1, 1_000, 1), (0, DEPTH, -1, 1_001, 1), (0, READY, 1, 100, 0)]
    ms = 1
    for wait, kind, side, away, lots in steps:
        ms += wait
        ticks = 1_000 - away if side == 1 else 1_001 + away
        if kind == "snapshot":
            rows += [(ms, CLEAR, 1, 100, 0), (ms, DEPTH, 1, 999, 2), (ms, DEPTH, -1, 1_002, 2), (ms, READY, 1, 100, 0)]
        else:
            rows.append((ms, kind, side, ticks, lots))
    feed = feed_from(rows)
    for clock, shift in (("exchange", 0), ("local", 2)):
        found = touches_at(feed, 0, START_NS + (np.array(asked) + shift) * MS, clock)
        expected = np.array([told_by_dicts(rows, at) for at in asked])
        np.testing.assert_allclose(found.bid, expected[:, 0])
        np.testing.assert_allclose(found.ask, expected[:, 1])
        np.testing.assert_allclose(found.mid, expected.mean(axis=1))


def test_a_symbol_is_read_from_its_own_events():
    one = {"ts_exch": [START_NS] * 2, "ts_local": [START_NS] * 2, "kind": [1, 1], "side": [1, -1], "tick_size": TICK, "step_size": 1.0}
    feed = replay_data.from_columns({
        "AUSDT": {**one, "price": [10.0, 10.2], "qty": [1.0, 1.0]},
        "BUSDT": {**one, "price": [20.0, 20.4], "qty": [1.0, 1.0]},
    })  # fmt: skip
    assert [float(touches_at(feed, symbol, np.array([START_NS])).mid[0]) for symbol in (0, 1)] == pytest.approx([10.1, 20.2])


def test_on_bars_it_is_the_last_close_and_unknown_in_a_hole():
    feed = feed_of({A: [bar(10_000, 10_005, 9_995, 10_001), bar(10_001, 10_001, 10_001, 10_002), None, None, bar(9_000, 9_000, 9_000, 9_000)]})
    minutes = np.array([0.5, 1, 1.5, 2, 2.9, 3, 4.5, 5, 5.1])
    found = touches_at(feed, 0, START_NS + (minutes * MINUTE_NS).astype(np.int64)).mid
    np.testing.assert_allclose(found, [np.nan, 1_000.1, 1_000.1, 1_000.2, 1_000.2, np.nan, np.nan, 900.0, np.nan])


def test_times_may_come_in_any_order():
    feed = feed_from([(0, DEPTH, 1, 1_000, 1), (0, DEPTH, -1, 1_001, 1), (5, DEPTH, -1, 1_003, 1), (5, DEPTH, -1, 1_001, 0)])
    found = touches_at(feed, 0, START_NS + np.array([5, 0, 6]) * MS)
    np.testing.assert_allclose(found.ask, [100.3, 100.1, np.nan])
