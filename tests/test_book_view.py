"""What the core makes of views of an order book, and when it asks the strategies that follow one."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from simcore.domain.enums import InputKind, LedgerKind
from simcore.domain.errors import ConfigError, DataError, StrategyError
from simcore.domain.records import MAX_SYMBOLS
from simcore.replay.journal import Journal
from simcore.strategy import LONG, SHORT, check_strategy, strategy
from tests.book_scenes import START_NS, Book, book_config, book_feed, new

pytestmark = pytest.mark.jitless


@strategy(on="timer", every="200ms", memory=("calls", "seen"))
def timer_count(market, position, params, memory, signal):
    """Count its calls."""
    memory["calls"] += 1.0
    memory["seen"] = market["close"]


@strategy(on="book", memory=("calls", "seen"))
def book_count(market, position, params, memory, signal):
    """Count its calls."""
    memory["calls"] += 1.0
    memory["seen"] = market["close"]


@strategy(on="trade", memory=("calls", "seen"))
def trade_count(market, position, params, memory, signal):
    """Count its calls and what was bought."""
    memory["calls"] += 1.0
    memory["seen"] += market["buy_qty"]


@strategy(on="timer", every="100ms", params={"above": 0.5})
def imbalance_taker(market, position, params, memory, signal):
    """Buy at once when the bid is heavy, sell when the ask is."""
    heavy = market["bid_qty"] / (market["bid_qty"] + market["ask_qty"])
    if heavy > params["above"]:
        signal["side"] = LONG
    elif heavy < 1.0 - params["above"]:
        signal["side"] = SHORT


def scene(*strategies, **options) -> Book:
    return Book(list(strategies), **options)


def memory_of(book: Book, strategy: int = 0) -> np.ndarray:
    place = book.core["strategy"][strategy]
    return book.run.memory[int(place["memory_base"]) :][: int(place["memory_stride"])]


def test_a_view_becomes_the_row_of_timeframe_0() -> None:
    book = scene(timer_count)
    book.view(100, 999, 1002, buy_lots=20, sell_lots=5, n_trades=3, last_ticks=1002, bid_lots=7)
    row = book.core["market"][0]
    assert (row["bid_ticks"], row["ask_ticks"], row["close_ticks"]) == (999, 1002, 1000)
    assert row["close"] == 0.5 * (999 * 0.1 + 1002 * 0.1)
    assert row["spread_bps"] == pytest.approx(0.3 / row["close"] * 1e4)
    assert (row["bid"], row["ask"], row["last"]) == (999 * 0.1, 1002 * 0.1, 1002 * 0.1)
    assert (row["bid_qty"], row["buy_qty"], row["sell_qty"], row["n_trades"]) == (7 * 0.001, 20 * 0.001, 5 * 0.001, 3)
    assert (row["ts_ns"], row["bars"], row["book_ok"], row["fresh"], row["touch_moved"]) == (START_NS + 100_000_000, 1, 1, 1, 1)
    assert row["mark"] == row["close"]


def test_the_day_of_a_book_without_bars_is_assumed_and_said() -> None:
    book = scene(timer_count)
    row = book.core["market"][0]
    model = book.plan.config.settings.book_model
    assert row["sigma_day"] == model.assumed_sigma_day
    assert row["volume_day"] > 0.0
    assert any("assumed" in caveat for caveat in book.plan.caveats)


def test_a_mark_price_counts_until_it_is_too_old() -> None:
    book = scene(timer_count, settings={"settings.book_model.mark_max_age_s": 1})
    book.take(InputKind.MARK, 50, 0, x=123.0)
    book.wake(100)
    assert book.core["market"][0]["mark"] == 123.0
    book.wake(1_100)
    assert book.core["market"][0]["mark"] == book.core["market"][0]["close"]


def test_a_broken_book_is_not_decided_on_until_it_is_whole_again() -> None:
    book = scene(book_count)
    book.wake(100)
    assert memory_of(book)[0] == 1
    book.wake(200, 990, 992, ok=0, gaps=1)
    row = book.core["market"][0]
    assert (row["book_ok"], row["fresh"], row["bid_ticks"]) == (0, 0, 999)
    assert memory_of(book)[0] == 1
    assert len(book.rows(LedgerKind.GAP)) == 0
    book.wake(300, 990, 992)
    assert memory_of(book)[0] == 2
    assert book.core["market"][0]["bars_since_gap"] == 0
    assert len(book.rows(LedgerKind.GAP)) == 1
    book.wake(400, 990, 992)
    assert len(book.rows(LedgerKind.GAP)) == 1


@pytest.mark.parametrize(("bid", "ask"), [(0, 1001), (-1, 1001), (1001, 1001), (1002, 1001), (999, 0)])
def test_a_book_without_two_sides_apart_may_not_be_used(bid: int, ask: int) -> None:
    book = scene(timer_count)
    book.wake(100, bid, ask)
    assert book.core["market"][0]["book_ok"] == 0
    assert memory_of(book)[0] == 0


def test_a_timer_strategy_is_called_at_multiples_of_its_time_even_when_the_book_stands_still() -> None:
    book = scene(timer_count)
    assert book.plan.timeframes == [100_000_000]
    book.wake(100)
    for ms in range(200, 1_100, 100):
        book.decide(ms)
    assert memory_of(book)[0] == 1 + 5
    assert book.core["sleeve"][0]["calls"] == 6


def test_the_core_wakes_as_often_as_its_timers_need() -> None:
    assert scene(timer_count, settings={"settings.book_model.wake_every_ms": 150}).plan.timeframes == [50_000_000]


def test_a_book_strategy_is_called_when_price_or_quantity_of_the_touch_changed() -> None:
    book = scene(book_count)
    book.wake(100)
    book.wake(200)
    assert memory_of(book)[0] == 1
    book.wake(300, bid_lots=5_001)
    book.wake(400, 1000, 1001, bid_lots=5_001)
    book.wake(500, 1000, 1001, bid_lots=5_001, bid_depth_lots=9)
    assert memory_of(book)[0] == 3


def test_a_trade_strategy_is_called_after_trades_and_sees_each_once() -> None:
    book = scene(trade_count)
    book.wake(100)
    book.wake(200, n_trades=2, buy_lots=500)
    book.decide(300)
    book.wake(400)
    assert list(memory_of(book)) == [1.0, 0.5]


def test_a_taker_on_the_book_pays_up_to_its_cap_from_the_mid() -> None:
    book = scene(imbalance_taker, settings={"settings.router.maker_first": False})
    orders = new(book.wake(100, 10_000, 10_002, bid_lots=9_000))
    assert len(orders) == 1
    cap = book.plan.config.settings.router.price_cap_bps
    assert orders[0]["price_ticks"] == int(10_001 * (1 + cap * 1e-4))
    assert book.core["route"][0]["arrival"] == 0.5 * (10_000 * 0.1 + 10_002 * 0.1)


@pytest.mark.parametrize(("bid_lots", "price"), [(9_000, 10_000), (1_000, 10_005)])
def test_a_maker_on_the_book_joins_the_real_touch(bid_lots: int, price: int) -> None:
    book = scene(imbalance_taker, settings={"settings.router.offsets_bps.LOW": 0.0})
    orders = new(book.wake(100, 10_000, 10_005, bid_lots=bid_lots))
    assert list(orders["price_ticks"]) == [price]


def test_bars_enter_beside_the_book_and_give_it_the_day() -> None:
    book = scene(timer_count)
    book.core["bar_frame"], book.core["n_timeframes"] = 1, 2
    book.wake(100)
    bar = np.zeros(1, book.inputs[0]["bar"].dtype)
    bar["open_ns"], bar["sigma_day"], bar["volume_day"] = START_NS, 0.01, 1_000.0
    for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
        bar[name] = 777
    book.core["instrument"][0]["interval_ns"] = 60_000_000_000
    book.take(InputKind.BAR, 60_000, 0, bar=bar[0])
    assert book.core["market"][MAX_SYMBOLS]["close"] == 777 * 0.1
    assert book.core["market"][0]["close"] == 100.0
    assert book.core["market"][0]["sigma_day"] == pytest.approx(0.01)


@pytest.mark.parametrize("made", [timer_count, book_count, trade_count, imbalance_taker], ids=lambda s: s.name)
def test_interpreted_decides_the_same(made) -> None:
    def drive(interpreted: bool) -> Book:
        book = scene(made, interpreted=interpreted)
        rng = np.random.default_rng(5)
        bid = 10_000
        for k in range(1, 60):
            bid += int(rng.integers(-1, 2))
            if rng.random() < 0.8:
                lots, ask = int(rng.integers(1, 9_000)), bid + int(rng.integers(1, 3))
                book.view(100 * k, bid, ask, bid_lots=lots, n_trades=int(rng.integers(0, 2)), buy_lots=int(rng.integers(0, 9)))
            book.decide(100 * k)
        return book

    one, two = drive(False), drive(True)
    assert one.run.digest() == two.run.digest()
    assert np.array_equal(one.run.memory, two.run.memory)
    again = one.journal().rerun(one.plan)
    assert again.digest() == one.run.digest()


def test_a_journal_keeps_its_views(tmp_path) -> None:
    book = scene(imbalance_taker)
    for k in range(1, 20):
        book.wake(100 * k, 10_000 + k, 10_001 + k, bid_lots=1_000 * k)
    path = tmp_path / "journal.npz"
    book.journal().save(path)
    assert Journal.load(path).rerun(book.plan).digest() == book.run.digest()


def test_a_journal_of_another_version_is_refused_in_words(tmp_path) -> None:
    book = scene(timer_count)
    book.wake(100)
    journal = book.journal()
    path = tmp_path / "old.npz"
    np.savez(path, inputs=journal.inputs, reports=journal.reports[["kind", "ts_ns"]], filters=journal.filters)
    with pytest.raises(DataError, match="its reports were recorded by another version"):
        Journal.load(path)
    np.savez(path, inputs=journal.inputs, reports=journal.reports, filters=journal.filters)
    assert len(Journal.load(path).views) == 0


def test_a_strategy_on_the_book_is_not_replayed_on_bars() -> None:
    from simcore.replay.plan import make_plan

    feed = book_feed()
    feed.kind = "bars"
    with pytest.raises(ConfigError, match="follows an order book, and this replay has bars"):
        make_plan(feed, book_config([timer_count]), [timer_count])


def test_a_timer_says_how_often() -> None:
    with pytest.raises(StrategyError, match='needs every="100ms"'):

        @strategy(on="timer")
        def when(market, position, params, memory, signal):
            """Never."""

    with pytest.raises(StrategyError, match="no time from 1ms to 24h"):

        @strategy(on="timer", every="soon")
        def whenever(market, position, params, memory, signal):
            """Never."""

    with pytest.raises(StrategyError, match='belongs to on="timer"'):

        @strategy(on="book", every="1s")
        def both(market, position, params, memory, signal):
            """Never."""


def test_a_strategy_on_the_book_is_checked_on_a_random_book() -> None:
    assert check_strategy(imbalance_taker).ok

    @strategy(on="timer", every="1s", memory=("x",))
    def bad_quote(market, position, params, memory, signal):
        """Quote shares beyond one."""
        signal["quote_levels"] = 1
        signal["bid"] = nan
        signal["ask_size"] = 2.0

    assert bad_quote.quotes
    assert any("ask_size" in problem for problem in check_strategy(bad_quote).problems)
