"""Our view of a book is read off the exchange's own in passing; it must be what a book of our own would show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.feed import Feed
from simcore.domain.enums import EventKind, InputKind
from simcore.domain.records import BOOK, LADDER, MAX_TAKEN, STREAM
from simcore.engine.sight import TAKEN, forget_taken_nb, note_taken_nb, restated_nb, take_sight_nb
from simcore.replay import Session
from tests import book_streams
from tests.doors import door
from tests.parity.test_book_digests import both_sides, config, follow, lean, narrow, patient, tables

note_taken, restated, forget_taken, take_sight = (door(p) for p in (note_taken_nb, restated_nb, forget_taken_nb, take_sight_nb))


def played(feed: Feed, uses: list[Any], how: str, **changed: Any) -> Session:
    """Return a finished session: books "shared" with the exchange, our "own", or shared ones that are thought to differ."""
    chosen = config(*uses).replace(set={f"settings.book_model.{key}": value for key, value in changed.items()})
    session = Session(feed, chosen, uses, journal=True)
    session.books.stream["shared"] = int(how != "own")
    session.books.stream["differs"][:] = int(how == "differs")
    session.finish()
    return session


def views(session: Session) -> bytes:
    """Return every view that reached the core."""
    rows: bytes = session.journal.journal(session.feed.filters).views.tobytes()
    return rows


@settings(max_examples=25)
@given(
    st.integers(1, 60),
    st.sampled_from([1.0, 7.0, 100.0]),
    st.sampled_from([0.0, 2.0, 30.0]),
    st.sampled_from([[lean], [patient], [both_sides], [lean, patient]]),
    st.sampled_from(["size_capped", "full"]),
)
def test_what_is_read_in_passing_is_what_a_book_of_our_own_shows(
    seed: int, wake_ms: float, latency_ms: float, uses: list[Any], through: str
) -> None:
    feed = book_streams.feed(seed, 600, latency_ms=latency_ms)
    given_by = {how: played(feed, uses, how, wake_every_ms=wake_ms, through=through) for how in ("shared", "own", "differs")}
    assert views(given_by["shared"]) == views(given_by["own"]) == views(given_by["differs"])
    assert tables(given_by["shared"].output) == tables(given_by["own"].output) == tables(given_by["differs"].output)


def test_no_book_of_our_own_is_played_while_the_exchanges_tells_all() -> None:
    feed = book_streams.feed(5, 1_500)
    done = played(feed, [both_sides], "shared")
    assert done.core["totals"]["quote_fills"] > 0
    assert done.books.stream["book_pos"][0] == feed.event_range[0, 0]
    assert done.books.stream["local_pos"][0] == feed.event_range[0, 1]
    assert not done.books.local_lots.any()


def test_two_wakes_within_the_feeds_latency_play_a_book_of_our_own() -> None:
    feed = book_streams.feed(5, 1_500, latency_ms=30.0)
    assert played(feed, [patient], "shared", wake_every_ms=7.0).books.stream["book_pos"][0] > feed.event_range[0, 0]


def test_strategies_that_wake_on_events_have_books_of_their_own() -> None:
    feed = book_streams.feed(5, 200)
    for each in (narrow, follow):
        assert Session(feed, config(each), [each]).books.stream["shared"] == 0


@pytest.mark.parametrize("uses", [[follow], [follow, narrow]])
def test_a_strategy_on_trades_wakes_behind_each_message_with_a_trade(uses: list[Any]) -> None:
    feed = book_streams.feed(5, 1_500)
    timer_s = 600
    done = played(feed, uses, "own", wake_every_ms=timer_s * 1e3)
    inputs = done.journal.journal(feed.filters).inputs
    woken = set(inputs["ts_ns"][inputs["kind"] == InputKind.DECIDE].tolist())
    kinds = feed.events["kind"]
    trades = feed.events[(kinds == EventKind.ASK_LIFTED) | (kinds == EventKind.BID_HIT)]
    told = set(trades["ts_local"].tolist())
    assert len(trades) > 50
    assert told <= woken
    if len(uses) == 1:
        assert {ts_ns for ts_ns in woken - told if ts_ns % (timer_s * 10**9)} == set()


@pytest.mark.jitless
def test_more_levels_than_the_list_holds_make_the_books_differ_until_the_next_snapshot() -> None:
    streams, ladders = np.zeros(1, STREAM), np.zeros(1, LADDER)
    ladders["span"] = 2 * MAX_TAKEN
    stream, resting = streams[0], np.zeros(4 * MAX_TAKEN, np.uint8)
    stream["shared"] = 1
    for level in range(MAX_TAKEN):
        note_taken(stream, 0, level, 10 + level, resting, ladders[0])
        note_taken(stream, 0, level, 1, resting, ladders[0])
    assert (stream["n_taken"][0], stream["differs"][0]) == (MAX_TAKEN, 0)
    assert stream["taken_lots"][0].tolist() == list(range(10, 10 + MAX_TAKEN))
    restated(stream, 0, 3, resting, ladders[0])
    restated(stream, 0, 3, resting, ladders[0])
    assert (stream["n_taken"][0], resting[3]) == (MAX_TAKEN - 1, 0)
    assert 3 not in stream["taken_level"][0, : MAX_TAKEN - 1]
    for level in (3, MAX_TAKEN):
        note_taken(stream, 0, level, 5, resting, ladders[0])
    assert (stream["n_taken"][0], stream["differs"][0], resting[MAX_TAKEN]) == (MAX_TAKEN, 1, 0)
    assert np.count_nonzero(resting & TAKEN) == MAX_TAKEN
    forget_taken(stream, 0, resting, ladders[0])
    assert (stream["n_taken"][0], stream["differs"][0]) == (0, 0)
    assert not resting.any()


@pytest.mark.jitless
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("left", [0, 4])
def test_a_level_that_we_emptied_is_still_the_best_in_our_view(side: int, left: int) -> None:
    span = 8
    streams, ladders, books = np.zeros(1, STREAM), np.zeros(1, LADDER), np.zeros(1, BOOK)
    stream, ladder, book = streams[0], ladders[0], books[0]
    lots, resting = np.zeros(2 * span, np.int64), np.zeros(2 * span, np.uint8)
    ladder["base_ticks"], ladder["tick_step"], ladder["span"] = 100, 1, span
    lots[[1, 2, span + 2, span + 3]] = 30, 10, 40, 20  # bids of 30 and 10 lots at 101 and 102, asks of 40 and 20 at 105 and 104
    book["best_bid"], book["best_ask"], book["last_level"], book["ok"], book["n_events"] = 2, span + 3, -1, 1, 4
    stream["shared"], stream["view_levels"] = 1, 2
    best = (2, span + 3)[side]
    note_taken(stream, 0, best, lots[best], resting, ladder)
    lots[best] = left
    if left == 0:
        book["best_ask" if side else "best_bid"] -= 1
    before = lots.copy(), books[["best_bid", "best_ask"]].copy()
    take_sight(stream, 0, 4, lots, book, ladder)
    view = stream["sight"][0]
    assert (view["bid_ticks"], view["ask_ticks"], view["bid_lots"], view["ask_lots"]) == (102, 104, 10, 20)
    assert (view["bid_depth_lots"], view["ask_depth_lots"]) == (40, 60)
    assert np.array_equal(lots, before[0]) and np.array_equal(books[["best_bid", "best_ask"]], before[1])
    assert (stream["seen_pos"][0], stream["sighted"][0]) == (4, 1)
