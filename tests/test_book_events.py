"""Columns of depth and trades become events: order, ladder, clocks, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import replay_data
from replay_data.book_events import MIN_MARGIN_LEVELS
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import EVENT
from tests.oracle.book_events import expected_events

START = 1_700_000_040_000_000_000
TICK, STEP = 0.1, 0.001
NAMES = ("ts_exch", "ts_local", "kind", "side", "price", "qty")


def columns(rows):
    table = {name: [row[name] for row in rows] for name in NAMES}
    kinds = {"price": np.float64, "qty": np.float64, "kind": np.int8, "side": np.int8}
    return {name: np.array(values, kinds.get(name, np.int64)) for name, values in table.items()}


def feed_of(rows, **kwargs):
    return replay_data.from_columns("BTCUSDT", **columns(rows), tick_size=TICK, step_size=STEP, **kwargs)


def row(at_ms, kind, side, price, qty, late_ms=5):
    when = START + at_ms * 1_000_000
    return {"ts_exch": when, "ts_local": when + late_ms * 1_000_000, "kind": kind, "side": side, "price": price, "qty": qty}


@st.composite
def streams(draw):
    """Rows in any order, some far away, some from before a snapshot, with a local clock that may run behind."""
    n = draw(st.integers(1, 60))
    skew = draw(st.integers(-2000, 50))
    rows = []
    for _ in range(n):
        kind = draw(st.sampled_from([1, 1, 1, 2, 3, 4, 5] if draw(st.booleans()) else [1, 1, 2]))
        near = st.integers(9_990, 10_010)
        ticks = draw(near if kind == 2 else st.one_of(near, st.integers(5_100, 19_900)))
        lots = draw(st.integers(0 if kind == 1 else 1, 5000))
        made = row(draw(st.integers(0, 30)) * 20_000, kind, draw(st.sampled_from([1, -1])), ticks * TICK, lots * STEP)
        made["ts_local"] += (skew + draw(st.integers(0, 3))) * 1_000_000
        rows.append(made)
    return rows


def exact(rows):
    """The rows with prices and quantities as a person writes them, for the oracle's decimals."""
    return [dict(each, price=f"{each['price']:.1f}", qty=f"{each['qty']:.3f}") for each in rows]


@pytest.mark.jitless
@given(streams())
def test_events_are_what_the_plain_reading_says(rows):
    if not any(each["kind"] <= 2 for each in rows):
        with pytest.raises(DataError, match="no depth and no trade"):
            feed_of(rows)
        return
    feed = feed_of(rows)
    ladder = feed.ladders[0]
    base, span = int(ladder["base_ticks"]), int(ladder["span"])
    expected, far, shift, seen = expected_events(exact(rows), TICK, STEP, base, span)
    names = ("ts_exch", "ts_local", "kind", "level", "qty_lots", "last")
    assert [list(map(int, each)) for each in feed.events[list(names)].tolist()] == expected
    assert feed.coverage[0]["far_rows"] == far
    assert feed.coverage[0]["local_shift_ms"] == shift / 1e6
    if seen and max(seen) <= 2 * min(seen):
        margin = max(MIN_MARGIN_LEVELS, round(min(seen) * 0.01))
        assert base == max(1, min(seen) - margin)
        assert base + span - 1 == max(seen) + max(MIN_MARGIN_LEVELS, round(max(seen) * 0.01))
    assert np.all(np.diff(feed.events["ts_local"]) >= 0) and np.all(np.diff(feed.events["ts_exch"]) >= 0)
    assert feed.start_ns == feed.events["ts_exch"][0] and feed.end_ns == feed.events["ts_local"][-1] + 1


def test_trades_come_before_depth_of_the_same_exchange_time_and_point_to_the_resting_side():
    feed = feed_of([row(0, 1, 1, 99.9, 1.0), row(0, 1, -1, 100.1, 2.0), row(0, 2, 1, 100.1, 0.5), row(0, 2, -1, 99.9, 0.25)])
    events, ladder = feed.events, feed.ladders[0]
    kinds = [EventKind(int(kind)).name for kind in events["kind"]]
    assert kinds == ["CLEAR", "ASK_LIFTED", "BID_HIT", "BID_DEPTH", "ASK_DEPTH", "READY"]
    bid, ask = 999 - ladder["base_ticks"], 2 * ladder["span"] - 1 - (1001 - ladder["base_ticks"])
    assert events["level"].tolist() == [0, ask, bid, bid, ask, 0]
    assert events["last"].tolist() == [0, 1, 1, 0, 1, 1]
    assert events["qty_lots"].tolist() == [0, 500, 250, 1000, 2000, 0]


def test_levels_beyond_the_ladder_are_left_out_and_counted_and_the_message_still_ends():
    near = [row(0, 1, 1, 9_999.9, 1.0), row(0, 1, -1, 10_000.1, 2.0)]
    feed = feed_of([*near, row(1, 1, 1, 9_999.8, 1.0), row(1, 1, 1, 5_000.1, 3.0), row(2, 1, -1, 20_000.0, 3.0)])
    assert feed.coverage[0]["far_rows"] == 2 and feed.events.size == 5
    assert feed.events["last"].tolist() == [0, 0, 1, 1, 1]
    assert any("2 depth rows beyond the ladder" in caveat for caveat in feed.caveats)


def test_a_clock_behind_the_exchange_shifts_all_local_times_alike_and_says_so():
    rows = [row(at, 1, side, price, 1.0, late) for at, late in ((0, -1270), (10, -1200), (20, -1272)) for side, price in ((1, 99.0), (-1, 101.0))]
    feed = feed_of(rows, base_latency_ms=2.0)
    late = (feed.events["ts_local"] - feed.events["ts_exch"]) / 1e6
    # The last message would be known before the one before it: it waits.
    assert late.tolist() == [4.0, 4.0, 4.0, 4.0, 74.0, 74.0, 64.0, 64.0]
    assert any("shifted by 1274.000 ms" in caveat for caveat in feed.caveats)


def test_several_symbols_share_one_array_in_order_of_name():
    one = columns([row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0), row(5, 2, 1, 101.0, 1.0)])
    two = columns([row(1, 1, 1, 49.0, 1.0), row(1, 1, -1, 51.0, 1.0)])
    sizes = {"tick_size": TICK, "step_size": STEP}
    feed = replay_data.from_columns({"ETHUSDT": one | sizes, "BTCUSDT": two | sizes})
    other = replay_data.from_columns({"BTCUSDT": two, "ETHUSDT": one}, **sizes)
    assert feed.symbols == ("BTCUSDT", "ETHUSDT") and feed.event_range.tolist() == [[0, 4], [4, 9]]
    assert feed.content_hash == other.content_hash and feed.events.tobytes() == other.events.tobytes()
    spans = feed.ladders["span"]
    assert feed.ladders["offset"].tolist() == [0, 2 * spans[0]]
    alone = replay_data.from_columns("ETHUSDT", **one, **sizes)
    assert feed.events_of("ETHUSDT").tobytes() == alone.events.tobytes()


def test_a_changed_quantity_changes_the_content_hash():
    rows = [row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0)]
    assert feed_of(rows).content_hash == feed_of(rows).content_hash
    assert feed_of(rows).content_hash != feed_of([rows[0], dict(rows[1], qty=1.001)]).content_hash


def test_minute_bars_are_made_of_whole_minutes_of_trades():
    book = [row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0)]
    prints = [row(10_000, 2, 1, 100.0, 1.0), row(20_000, 2, -1, 98.0, 2.0), row(30_000, 2, 1, 99.0, 3.0)]
    prints += [row(130_000, 2, 1, 97.0, 4.0), row(200_000, 2, 1, 96.0, 4.0)]
    feed = feed_of([*book, *prints])
    bars = feed.bars_of("BTCUSDT")
    assert ((bars["open_ns"] - START) // 60_000_000_000).tolist() == [0, 1, 2]
    columns_ = [bars[name].tolist() for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")]
    assert columns_ == [[1000, 990, 970], [1000, 990, 970], [980, 990, 970], [990, 990, 970], [6000, 0, 4000]]


def test_minutes_of_a_broken_stream_make_no_bars():
    book = [row(0, 3, 0, 0.0, 0.0), row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0), row(0, 4, 0, 0.0, 0.0)]
    prints = [row(at * 1000, 2, 1, 100.0, 1.0) for at in (10, 70, 130, 190, 250, 310, 370)]
    breaks = [row(140_000, 5, 0, 0.0, 0.0), row(200_000, 4, 0, 0.0, 0.0)]
    feed = feed_of([*book, *prints, *breaks])
    assert ((feed.bars["open_ns"] - START) // 60_000_000_000).tolist() == [0, 1, 4, 5]
    assert feed.coverage[0]["book_gaps"] == 1 and feed.coverage[0]["unusable_s"] == 60.0
    assert any("book unusable in 1 spans" in caveat for caveat in feed.caveats)


BAD = {
    "off tick": ({"price": 100.05}, r"row 1 \(2023-.*\): price 100.05 is no multiple of the tick 0.1. Pass the tick_size"),
    "off step": ({"qty": 1.0005}, r"row 1 .*: qty 1.0005 is no multiple of the step 0.001"),
    "no price": ({"price": float("nan")}, r"row 1 .*: price is nan"),
    "price below nothing": ({"price": -1.0}, r"row 1 .*: price is -1; a price must be"),
    "endless price": ({"price": float("inf")}, r"row 1 .*: price is inf"),
    "too high": ({"price": 1e9}, r"row 1 .*: price 1000000000 is 1e\+10 ticks; the limit"),
    "negative": ({"qty": -1.0}, r"row 1 .*: qty is -1; it must be 0 or more"),
    "too much": ({"qty": 1e13}, r"row 1 .*: qty 1e\+13 is 1e\+16 lots; the limit is 2\^50"),
    "nothing traded": ({"kind": 2, "qty": 0.0}, r"row 1 .*: qty is 0; a trade's must be positive"),
    "kind": ({"kind": 7}, r"row 1 .*: kind is 7; expected 1 \(depth\)"),
    "side": ({"side": 0}, r"row 1 .*: side is 0; expected 1"),
}


@pytest.mark.jitless
@pytest.mark.parametrize("name", BAD)
def test_a_row_that_is_none_is_named_with_its_value(name):
    change, message = BAD[name]
    rows = [row(0, 1, 1, 99.0, 1.0), row(1, 1, -1, 101.0, 1.0) | change]
    with pytest.raises(DataError, match=f"BTCUSDT: {message}"):
        feed_of(rows)


def test_columns_that_do_not_belong_together_are_refused():
    good = columns([row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0)])
    with pytest.raises(DataError, match="different lengths: ts_exch 2, .*qty 1"):
        replay_data.from_columns("BTCUSDT", **good | {"qty": good["qty"][:1]}, tick_size=TICK, step_size=STEP)
    with pytest.raises(DataError, match="'tick_size' is missing"):
        replay_data.from_columns("BTCUSDT", **good, step_size=STEP)
    with pytest.raises(DataError, match="unknown column 'prize'. Did you mean 'price'"):
        replay_data.from_columns({"BTCUSDT": good | {"prize": 1}}, tick_size=TICK, step_size=STEP)
    with pytest.raises(DataError, match="tick_size must be a positive number"):
        replay_data.from_columns("BTCUSDT", **good, tick_size=-0.1, step_size=STEP)
    with pytest.raises(DataError, match="row 1: kind is 300"):
        replay_data.from_columns("BTCUSDT", **good | {"kind": np.array([1, 300])}, tick_size=TICK, step_size=STEP)
    with pytest.raises(DataError, match="no rows"):
        replay_data.from_columns("BTCUSDT", **{name: column[:0] for name, column in good.items()}, tick_size=TICK, step_size=STEP)


def test_nothing_of_the_right_type_is_copied_and_pandas_columns_are_read():
    pandas = pytest.importorskip("pandas")
    good = columns([row(0, 1, 1, 99.0, 1.0), row(0, 1, -1, 101.0, 1.0)])
    frame = pandas.DataFrame(good)
    sizes = {"tick_size": TICK, "step_size": STEP}
    feed = replay_data.from_columns("BTCUSDT", **{name: frame[name] for name in frame}, **sizes)
    assert feed.events.tobytes() == replay_data.from_columns("BTCUSDT", **good, **sizes).events.tobytes()
    assert feed.events.dtype == EVENT and feed.kind == "book"
