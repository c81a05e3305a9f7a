"""Poorer recordings of the same market, against plain Python that keeps dicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.reduce import bars_only, touch_only, trades_only, with_bars
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.report.mids import touches_at
from tests.scenes import START_NS, A, bar, feed_of
from tests.test_mids import CLEAR, DEPTH, GAP, MS, READY, TRADE, feed_from

pytestmark = pytest.mark.jitless
SNAPSHOT = [(0, CLEAR, 1, 100, 0), (0, DEPTH, 1, 1_000, 5), (0, DEPTH, 1, 999, 7), (0, DEPTH, -1, 1_001, 4), (0, READY, 1, 100, 0)]


def rows_of(feed) -> list[tuple[int, str, int, int]]:
    """Return (ms, kind, ticks, lots) of every event."""
    ladder = feed.ladders[0]
    base, span = int(ladder["base_ticks"]), int(ladder["span"])
    told = []
    for row in feed.events:
        level = int(row["level"])
        ticks = base + (level if level < span else 2 * span - 1 - level)
        told.append((int(row["ts_exch"] - START_NS) // MS, EventKind(int(row["kind"])).name, ticks if row["kind"] < 4 else 0, int(row["qty_lots"])))
    return told


def test_only_changes_of_the_touch_are_kept() -> None:
    feed = feed_from([*SNAPSHOT, (1, DEPTH, 1, 999, 9), (2, DEPTH, 1, 1_000, 6), (3, DEPTH, -1, 1_002, 8), (4, DEPTH, -1, 1_001, 0)])
    assert rows_of(touch_only(feed)) == [
        (0, "CLEAR", 0, 0), (0, "BID_DEPTH", 1_000, 5), (0, "ASK_DEPTH", 1_001, 4), (0, "READY", 0, 0),
        (2, "BID_DEPTH", 1_000, 6), (4, "ASK_DEPTH", 1_001, 0), (4, "ASK_DEPTH", 1_002, 8),
    ]  # fmt: skip


def test_a_level_behind_the_touch_stands_as_last_seen() -> None:
    feed = feed_from([*SNAPSHOT, (1, DEPTH, -1, 1_001, 0), (1, DEPTH, -1, 1_003, 2), (2, DEPTH, 1, 1_001, 3), (3, DEPTH, 1, 1_000, 50), (4, DEPTH, 1, 1_001, 0)])
    told = [row for row in rows_of(touch_only(feed)) if row[0] >= 2]
    # The bid at 1,000 is not taken back when a better one comes, and its growth shows when it is the touch again.
    assert told == [(2, "BID_DEPTH", 1_001, 3), (4, "BID_DEPTH", 1_001, 0), (4, "BID_DEPTH", 1_000, 50)]


def test_a_broken_stream_is_broken_in_every_reduction() -> None:
    feed = feed_from([*SNAPSHOT, (1, TRADE, 1, 1_001, 1), (2, GAP, 1, 100, 0), (3, TRADE, 1, 1_001, 1), *((5, *row[1:]) for row in SNAPSHOT), (6, TRADE, -1, 1_000, 2)])
    kinds = [kind for _, kind, _, _ in rows_of(touch_only(feed))]
    assert kinds.count("GAP") == 1 and kinds.count("READY") == 2 and kinds.index("GAP") < len(kinds) - 1 - kinds[::-1].index("READY")
    implied = rows_of(trades_only(feed))
    assert implied == [
        (0, "CLEAR", 0, 0), (1, "ASK_LIFTED", 1_001, 1), (1, "ASK_DEPTH", 1_001, 1), (1, "BID_DEPTH", 1_000, 1), (1, "READY", 0, 0),
        (2, "GAP", 0, 0), (3, "ASK_LIFTED", 1_001, 1), (5, "CLEAR", 0, 0), (6, "BID_HIT", 1_000, 2), (6, "BID_DEPTH", 1_000, 2),
        (6, "ASK_DEPTH", 1_001, 2), (6, "READY", 0, 0),
    ]  # fmt: skip


def test_prints_imply_the_touch() -> None:
    feed = feed_from([*SNAPSHOT, (1, TRADE, 1, 1_001, 3), (2, TRADE, -1, 999, 2), (3, TRADE, 1, 1_003, 1), (3, TRADE, 1, 1_004, 6), (4, TRADE, -1, 1_003, 4)])
    told = [row for row in rows_of(trades_only(feed)) if row[0] >= 2 and "DEPTH" in row[1]]
    assert told == [
        (2, "BID_DEPTH", 1_000, 0), (2, "BID_DEPTH", 999, 2),  # the guess one tick behind the first print was wrong
        (3, "ASK_DEPTH", 1_001, 0), (3, "ASK_DEPTH", 1_003, 1), (3, "ASK_DEPTH", 1_003, 0), (3, "ASK_DEPTH", 1_004, 6),
        (4, "BID_DEPTH", 1_003, 4),
    ]  # fmt: skip


BOOK_STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([DEPTH] * 4 + [TRADE]), st.sampled_from((1, -1)), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=60
)  # fmt: skip


def market(steps) -> list[tuple[int, int, int, int, int]]:
    """Return rows of a market that never crosses."""
    rows, ms = list(SNAPSHOT), 1
    for wait, kind, side, away, lots in steps:
        ms += wait
        resting = side if kind == DEPTH else -side
        ticks = 1_000 - away if resting == 1 else 1_001 + away
        rows.append((ms, kind, side, ticks, lots if kind == DEPTH else lots + 1))
    return rows


@settings(max_examples=300)
@given(BOOK_STEPS)
def test_the_touch_alone_tells_the_same_touch_at_every_moment(steps) -> None:
    rows = market(steps)
    feed = feed_from(rows)
    times = START_NS + np.arange(rows[-1][0] + 1) * MS
    whole, touch = touches_at(feed, 0, times), touches_at(touch_only(feed), 0, times)
    last = touch_only(feed).events["ts_exch"][-1]
    np.testing.assert_array_equal(np.where(times <= last, whole.bid, np.nan), touch.bid)
    np.testing.assert_array_equal(np.where(times <= last, whole.ask, np.nan), touch.ask)


@settings(max_examples=300)
@given(BOOK_STEPS)
def test_reductions_keep_every_trade_and_an_order_of_time(steps) -> None:
    feed = feed_from(market(steps))
    trades = feed.events[np.isin(feed.events["kind"], (2, 3))]
    for poorer in (touch_only(feed), trades_only(feed)):
        kept = poorer.events[np.isin(poorer.events["kind"], (2, 3))]
        assert kept.tobytes() == trades.tobytes()
        assert np.all(np.diff(poorer.events["ts_exch"]) >= 0) and np.all(np.diff(poorer.events["ts_local"]) >= 0)
        touch = touches_at(poorer, 0, poorer.events["ts_exch"])
        assert np.all((touch.bid < touch.ask) | np.isnan(touch.mid))
        assert not len(poorer.events) or poorer.events["last"][-1] == 1 or poorer.events["kind"][-1] == EventKind.CLEAR


@settings(max_examples=200)
@given(BOOK_STEPS, st.sampled_from((2, 5)))
def test_bars_are_those_of_the_trades(steps, seconds) -> None:
    rows = [*SNAPSHOT, (500, TRADE, 1, 1_001, 2), *((1_000 * ms, *rest) for ms, *rest in market(steps)[len(SNAPSHOT) :]), (100_000, TRADE, 1, 1_001, 1)]
    made = with_bars(feed_from(rows), f"{seconds}s")
    assert made.kind == "book" and set(made.interval_ns.tolist()) == {seconds * 10**9}
    prints = [(at // 1_000, ticks, lots) for at, kind, _, ticks, lots in rows if kind == TRADE]
    close = None
    told = {}
    for slot in range(100 // seconds):
        inside = [(ticks, lots) for at, ticks, lots in prints if at // seconds == slot]
        prices = [ticks for ticks, _ in inside] or ([close] if close else [])
        if prices:
            told[slot] = (prices[0], max(prices), min(prices), prices[-1], sum(lots for _, lots in inside))
            close = prices[-1]
    found = {
        int(b["open_ns"] - START_NS) // (seconds * 10**9): tuple(int(b[name]) for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots"))
        for b in made.bars
    }  # fmt: skip
    assert found == told


def test_bars_only_has_no_book_left() -> None:
    rows = [*SNAPSHOT, *((1_000 * at, TRADE, 1, 1_001 + at, at) for at in range(1, 9))]
    poorer = bars_only(feed_from(rows), "1s")
    assert poorer.kind == "bars" and not len(poorer.events) and not poorer.ladders["span"].any() and len(poorer.bars) == 7
    assert poorer.instruments["interval_ns"][0] == 10**9
    with pytest.raises(DataError, match="fill no whole 1h bar"):
        bars_only(feed_from(rows), "1h")


def test_bars_cannot_be_made_poorer() -> None:
    with pytest.raises(DataError, match="holds bars"):
        touch_only(feed_of({A: [bar(1, 1, 1, 1)]}))


def test_a_reduction_has_a_content_hash_of_its_own() -> None:
    feed = feed_from([*SNAPSHOT, (1, TRADE, 1, 1_001, 3), (2_500, TRADE, 1, 1_001, 3)])
    made = [feed, touch_only(feed), trades_only(feed), with_bars(feed, "1s"), bars_only(feed, "1s"), with_bars(feed, "2s")]
    assert len({each.content_hash for each in made}) == len(made)
    assert touch_only(feed).content_hash == touch_only(feed).content_hash
