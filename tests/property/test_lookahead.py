"""No look-ahead (P32): whatever comes after a time t, the decisions up to t stay the same to the last byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.feed import Feed, assemble
from replay_data.prepare import Columns
from simcore.config import Config
from simcore.domain.enums import LedgerKind
from simcore.replay import Session
from simcore.strategy import Strategy, strategy
from tests.worlds import (
    BAR_NS,
    GRIDS,
    config_of,
    make_columns,
    make_feed,
    make_filters,
    make_funding,
    make_marks,
    rows_of,
    six_config,
)

SYMBOLS = tuple(GRIDS)[:3]
CHANGES = ("truncated", "scrambled", "scaled", "other volumes", "other marks", "other rates", "other filters", "everything")


# ------------------------------------------------------------ another future


def other_future(feed: Feed, t_ns: int, change: str, rng: np.random.Generator) -> Feed:
    """Return the feed with everything that becomes known after `t_ns` changed in one way, or in all ways but its length."""
    bars, marks, funding, filters = feed.bars.copy(), feed.marks.copy(), feed.funding.copy(), feed.filters.copy()
    ends = {name: getattr(feed, f"{name}_range").copy() for name in ("bar", "mark", "funding", "filter")}
    every = change == "everything"
    for symbol in range(len(feed.symbols)):
        later = {name: known_later(feed, name, symbol, t_ns) for name in ends}
        if change == "truncated":
            for name, rows in later.items():
                ends[name][symbol, 1] -= rows.size
        if every or change in ("scrambled", "scaled", "other volumes"):
            change_bars(bars, later["bar"], "scaled" if every else change, rng)
        if every or change == "other marks":
            for name in ("open", "high", "low", "close"):
                marks[name][later["mark"]] *= float(rng.choice((0.5, 0.97, 1.4)))
        if every or change == "other rates":
            funding["rate_e8"][later["funding"]] = -3 * funding["rate_e8"][later["funding"]] + 7
        if every or change == "other filters":
            filters["price_filter_ticks"][later["filter"]] *= 2
            filters["min_notional_e8"][later["filter"]] *= 50
    ranges = {f"{name}_range": rows for name, rows in ends.items()}
    return dataclasses.replace(feed, bars=bars, marks=marks, funding=funding, filters=filters, content_hash="", **ranges)


def known_later(feed: Feed, stream: str, symbol: int, t_ns: int) -> np.ndarray:
    """Return the rows of one symbol's stream that become known after `t_ns`: a bar at its close, the rest at its time."""
    first, end = getattr(feed, f"{stream}_range")[symbol]
    rows = {"bar": feed.bars, "mark": feed.marks, "funding": feed.funding, "filter": feed.filters}[stream][first:end]
    known_ns = rows["open_ns"] + feed.interval_ns[symbol] if stream == "bar" else rows["ts_ns"]
    return first + np.flatnonzero(known_ns > t_ns)


def change_bars(bars: np.ndarray, later: np.ndarray, change: str, rng: np.random.Generator) -> None:
    """Shuffle, scale or empty the given bars in place, times kept."""
    if change == "other volumes":
        bars["volume_lots"][later] = rng.permutation(bars["volume_lots"][later]) * 3
        bars["volume_day"][later] *= 3.0
        bars["sigma_day"][later] *= 2.0
        return
    times = bars["open_ns"][later].copy()
    bars[later] = bars[rng.permutation(later)]
    bars["open_ns"][later] = times
    if change == "scaled":
        factor = float(rng.choice((0.6, 0.95, 1.05, 2.0)))
        for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
            bars[name][later] = np.maximum(1, (bars[name][later] * factor).astype(np.int64))


# ------------------------------------------------------------ what was decided by then


def decided(feed: Feed, config: Config, own: list[Strategy] | None = None, interpreted: bool = False) -> Session:
    """Return a finished replay."""
    session = Session(feed, config, own, interpreted=interpreted)
    session.finish()
    return session


def until(session: Session, t_ns: int) -> tuple[bytes, ...]:
    """Return what a run had written by `t_ns`; a trade or a route counts once the ledger tells of it."""
    ledger = session.output.table("ledger")
    known = ledger[ledger["ts_ns"] <= t_ns]
    trades = int((known["kind"] == LedgerKind.TRADE).sum())
    routes = int((known["kind"] == LedgerKind.ROUTE_DONE).sum())
    equity = session.output.table("equity")
    tables = (known, session.output.table("trade")[:trades], session.output.table("route_done")[:routes])
    return (*(table.tobytes() for table in tables), equity[equity["ts_ns"] <= t_ns].tobytes())


Run = Callable[[Feed], Session]


def assert_blind(run: Run, feed: Feed, t_ns: int, change: str, rng: np.random.Generator) -> bool:
    """Assert that another future after `t_ns` leaves the past alone; say whether it made another future."""
    one, other = run(feed), run(other_future(feed, t_ns, change, rng))
    assert until(one, t_ns) == until(other, t_ns), f"{change} after {t_ns} changed what was decided before"
    return one.output.digest() != other.output.digest()


@cache
def world(seed: int) -> Feed:
    return make_feed(100 + seed, 1 + seed % 4, 120, marks=1 + seed % 5, funding=9)


@settings(max_examples=150)
@given(seed=st.integers(0, 11), change=st.sampled_from(CHANGES), data=st.data())
def test_no_decision_of_any_strategy_knows_what_comes_after_it(seed: int, change: str, data: st.DataObject) -> None:
    """P32: bars, marks, funding rates and filters, at any cut, on the slices and between them."""
    feed = world(seed)
    t_ns = data.draw(st.integers(feed.start_ns + 2 * BAR_NS, feed.end_ns), label="t")
    t_ns -= data.draw(st.sampled_from((0, t_ns % BAR_NS)), label="back to the slice")
    assert_blind(lambda each: decided(each, six_config()), feed, t_ns, change, np.random.default_rng(t_ns % 1_000_003))


@pytest.mark.campaign
def test_no_decision_of_any_strategy_knows_what_comes_after_it_at_thousands_of_cuts() -> None:
    rng = np.random.default_rng(4)
    for at in range(4_000):
        feed = world(at % 200)
        t_ns = int(rng.integers(feed.start_ns + 2 * BAR_NS, feed.end_ns))
        t_ns -= t_ns % BAR_NS if at % 3 else 0
        assert_blind(lambda each: decided(each, six_config()), feed, t_ns, CHANGES[at % len(CHANGES)], rng)


def test_another_future_is_another_run() -> None:
    """The changes above are no idle ones: each makes a different run when the cut is early enough."""
    rng = np.random.default_rng(2)
    for change in CHANGES:
        feed = world(2)
        t_ns = feed.start_ns + 40 * BAR_NS
        assert assert_blind(lambda each: decided(each, six_config()), feed, t_ns, change, rng), change


@settings(max_examples=60)
@given(seed=st.integers(0, 5), cut=st.integers(2, 118))
def test_the_trailing_figures_of_a_bar_know_no_later_row_of_the_file(seed: int, cut: int) -> None:
    """P32 from the reader on: prices and volumes of the float columns are changed before they are prepared."""
    rng = np.random.default_rng(1_000 * seed + cut)
    plain = {symbol: make_columns(np.random.default_rng((seed, at)), symbol, 120) for at, symbol in enumerate(SYMBOLS)}
    t_ns = int(plain[SYMBOLS[0]].open_ns[min(cut, plain[SYMBOLS[0]].open_ns.size - 1)])
    changed = {symbol: other_columns(columns, t_ns, rng) for symbol, columns in plain.items()}
    one, other = (decided(feed_of(columns, seed), six_config()) for columns in (plain, changed))
    assert until(one, t_ns) == until(other, t_ns)


def other_columns(columns: Columns, t_ns: int, rng: np.random.Generator) -> Columns:
    """Return columns whose rows after the bar that closes at `t_ns` are rescaled and shuffled."""
    later = np.flatnonzero(columns.open_ns + BAR_NS > t_ns)
    rows = np.arange(columns.open_ns.size)
    rows[later] = rng.permutation(later)
    moved = columns.take(rows)
    factor = np.ones(rows.size)
    factor[later] = float(rng.choice((0.8, 1.0, 1.3)))
    prices = (getattr(moved, name) * factor for name in ("open", "high", "low", "close"))
    return Columns(columns.open_ns, *prices, moved.volume * factor)


def feed_of(columns: dict[str, Columns], seed: int) -> Feed:
    """Return a feed of these columns, with marks and rates that do not depend on them."""
    rng = np.random.default_rng(seed)
    parts = []
    for symbol, each in columns.items():
        still = Columns(each.open_ns, *(np.full(each.open_ns.size, GRIDS[symbol][2]) for _ in range(5)))
        marks, rates = make_marks(rng, still, BAR_NS, 12), make_funding(rng, each, BAR_NS, 9)
        parts.append(rows_of(symbol, each, BAR_NS, marks, rates, make_filters(symbol, 120, BAR_NS, False)))
    return assemble(parts, "test world", True)


@pytest.mark.real
def test_no_decision_over_a_real_window_knows_what_comes_after_it(real_window: Feed) -> None:
    """P32, over the crash of LAYERUSDT in May 2025."""
    rng = np.random.default_rng(8)
    past = decided(real_window, six_config())
    assert len(past.output.table("trade")) > 100
    for at in range(40):
        t_ns = int(rng.integers(real_window.start_ns, real_window.end_ns))
        change = CHANGES[at % len(CHANGES)]
        other = decided(other_future(real_window, t_ns, change, rng), six_config())
        assert until(other, t_ns) == until(past, t_ns), f"{change} after {t_ns}"


# ------------------------------------------------------------ the harness can fail

PEEK: dict[str, Any] = {}


@strategy(on="bar", params={}, memory=())
def clairvoyant(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
    """Cheats: looks the next close up in the feed itself."""
    close = PEEK["close"]
    at = PEEK["row"][int(market["ts_ns"])]
    signal["side"] = 1 if close[min(at + 1, len(close) - 1)] > close[at] else -1


def run_clairvoyant(feed: Feed) -> Session:
    """Return a finished run of the cheat, which has the whole feed at hand."""
    PEEK["close"] = feed.bars["close_ticks"][slice(*feed.bar_range[0])].tolist()
    PEEK["row"] = {int(open_ns) + BAR_NS: at for at, open_ns in enumerate(feed.bars["open_ns"][slice(*feed.bar_range[0])])}
    return decided(feed, config_of([clairvoyant]), [clairvoyant], interpreted=True)


def cuts_of(feed: Feed) -> Iterator[int]:
    yield from range(feed.start_ns + 20 * BAR_NS, feed.end_ns - 20 * BAR_NS, 7 * BAR_NS)


def test_a_strategy_that_reads_the_next_bar_is_caught_by_this_harness() -> None:
    feed = make_feed(77, 1, 100, gaps=False)
    caught = 0
    for t_ns in cuts_of(feed):
        try:
            assert_blind(run_clairvoyant, feed, t_ns, "scaled", np.random.default_rng(t_ns % 997))
        except AssertionError:
            caught += 1
    assert caught >= 3


def test_the_same_strategy_without_the_peek_passes() -> None:
    feed = make_feed(77, 1, 100, gaps=False)
    for t_ns in cuts_of(feed):
        run = lambda each: decided(each, config_of(["sma_cross"]), interpreted=True)  # noqa: E731 - one line says it
        assert_blind(run, feed, t_ns, "scaled", np.random.default_rng(t_ns % 997))
