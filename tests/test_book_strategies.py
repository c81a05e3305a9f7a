"""The shipped strategies of order books: what each says on a book made for it."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from simcore.domain.enums import LedgerKind
from simcore.domain.records import MARKET, SIGNAL, SLEEVE
from simcore.strategy import FLAT, LONG, SHORT, check_strategy, load_strategy
from simcore.strategy.drive import book_walk, run
from tests.book_scenes import Book, new, sides
from tests.property.test_quote_properties import Exchange, check_books

pytestmark = pytest.mark.jitless

NAMES = ("market_maker", "book_imbalance", "grid")


def shipped(name: str):
    return load_strategy(f"strategies.{name}", name)


class Desk:
    """One strategy alone, called by hand."""

    def __init__(self, name: str, **params: float) -> None:
        self.strategy = shipped(name)
        self.values = self.strategy.param_values(params)
        self.memory = np.concatenate([self.values, self.strategy.initial_memory(params), np.zeros(1)])
        self.market, self.position, self.signal = np.zeros(1, MARKET)[0], np.zeros(1, SLEEVE)[0], np.zeros(1, SIGNAL)[0]
        self.signal["bid_size"] = self.signal["ask_size"] = 1.0

    def say(self, mid: float, held: float = 0.0, bids: float = 1.0, asks: float = 1.0):
        self.market["close"], self.market["bid_depth"], self.market["ask_depth"] = mid, bids, asks
        self.position["side"], self.position["qty"] = np.sign(held), abs(held)
        self.strategy.python(self.market, self.position, self.memory, 0, len(self.values), self.signal)
        return self.signal


@pytest.mark.parametrize("name", NAMES)
def test_it_repeats_itself_sees_no_future_and_says_the_same_interpreted(name: str) -> None:
    check_strategy(shipped(name)).raise_for_problems()
    lively = {"book_imbalance": {"enter": 0.05, "leave": 0.02, "span": 2}, "market_maker": {"span": 5}}.get(name)
    report = check_strategy(shipped(name), params=lively).raise_for_problems()
    signals = run(shipped(name), book_walk(shipped(name).on, 1, 400), lively).signals
    assert (signals["quote_levels"] > 0).any() or (set(np.unique(signals["side"])) == {-1, 0, 1})
    assert report.ok


def test_the_market_maker_is_centred_when_flat_and_leans_against_what_it_holds() -> None:
    desk = Desk("market_maker", span=10, max_usd=1_000.0, gamma=0.2)
    for k in range(40):
        flat = desk.say(100.0 + 0.02 * (k % 2)).copy()
    mid = desk.market["close"]
    assert flat["quote_levels"] == 1
    assert flat["ask"] - mid == pytest.approx(mid - flat["bid"])
    long = desk.say(mid, held=5.0).copy()
    short = desk.say(mid, held=-5.0).copy()
    assert long["bid"] < flat["bid"] and long["ask"] < flat["ask"]
    assert short["bid"] > flat["bid"] and short["ask"] > flat["ask"]


def test_the_market_maker_widens_with_the_market_and_never_below_its_least_spread() -> None:
    calm, wild = Desk("market_maker", span=10, min_half_bps=3.0), Desk("market_maker", span=10, min_half_bps=3.0)
    for k in range(60):
        narrow, wide = calm.say(100.0), wild.say(100.0 + 0.1 * (k % 2))
    assert 100.0 - narrow["bid"] == pytest.approx(100.0 * 3e-4)
    assert wide["ask"] - wide["bid"] > 1.5 * (narrow["ask"] - narrow["bid"])


def test_the_market_maker_adds_nothing_beyond_its_most() -> None:
    desk = Desk("market_maker", max_usd=1_000.0)
    assert isnan(desk.say(100.0, held=10.0)["bid"])
    assert not isnan(desk.say(100.0, held=10.0)["ask"])
    assert isnan(desk.say(100.0, held=-10.0)["ask"])


def test_the_book_imbalance_takes_the_heavy_side_and_lets_go_in_between() -> None:
    desk = Desk("book_imbalance", enter=0.5, leave=0.1, span=1)
    assert desk.say(100.0, bids=9.0, asks=1.0)["side"] == LONG
    assert desk.say(100.0, bids=6.5, asks=3.5)["side"] == LONG, "between leave and enter it stays"
    assert desk.say(100.0, bids=5.2, asks=4.8)["side"] == FLAT
    assert desk.say(100.0, bids=1.0, asks=9.0)["side"] == SHORT
    assert desk.say(100.0, bids=0.0, asks=0.0)["side"] == SHORT, "an empty view says nothing"
    assert desk.signal["urgency"] == 1.0


def test_the_grid_sells_a_spacing_above_what_it_bought() -> None:
    desk = Desk("grid", spacing_bps=10.0, levels=2)
    first = desk.say(100.0).copy()
    assert (first["bid"], first["ask"], first["quote_levels"]) == (pytest.approx(99.9), pytest.approx(100.1), 2)
    again = desk.say(99.95)
    assert again["bid"] == first["bid"], "the grid stands still while nothing fills"
    bought = desk.say(99.9, held=1.0).copy()
    assert bought["ask"] == pytest.approx(100.0, abs=1e-3)
    assert bought["bid"] == pytest.approx(99.8, abs=1e-3)
    deep = desk.say(99.6, held=3.0).copy()
    assert deep["bid"] < 99.6 < deep["ask"] < 99.8
    sold = desk.say(99.75, held=2.0)
    assert sold["bid"] == pytest.approx(99.6, abs=0.02)


def test_the_grid_is_laid_anew_when_it_is_flat_and_left_behind() -> None:
    desk = Desk("grid", spacing_bps=10.0, levels=2)
    desk.say(100.0)
    assert desk.say(100.15)["bid"] == pytest.approx(99.9)
    assert desk.say(100.25)["bid"] == pytest.approx(100.25 * 0.999)
    assert isnan(desk.say(100.0, held=1_000.0)["bid"])


BUSY = {
    "market_maker": {"span": 5.0},
    "book_imbalance": {"span": 1.0, "enter": 0.3},
    "grid": {"spacing_bps": 2.0},
}


def drive(name: str, interpreted: bool) -> Book:
    settings = {
        "strategy_config.defaults.sizing.method": "fixed_qty", "strategy_config.defaults.sizing.qty": 0.5,
        "strategy_config.defaults.screen.max_spread_bps": 50.0, "settings.router.maker_first": False,
        "settings.position_mode": "one_way", f"strategy_config.strategies.{name}.params": BUSY[name],
    }  # fmt: skip
    book = Book([shipped(name)], settings=settings, cash=50_000.0, interpreted=interpreted)
    rng = np.random.default_rng(3)
    exchange = Exchange(book, rng)
    mid = 10_000
    for k in range(1, 150):
        mid += int(rng.integers(-6, 7))
        book.view(100 * k, mid - 1, mid + 1, bid_depth_lots=int(rng.integers(1, 9_000)), ask_depth_lots=int(rng.integers(1, 9_000)))
        exchange.send(book.decide(100 * k))
        exchange.turn(100 * k + 50)
        check_books(book)
    return book


@pytest.mark.parametrize("name", NAMES)
def test_it_trades_through_the_whole_pipeline_and_decides_the_same_interpreted(name: str) -> None:
    one, two = drive(name, False), drive(name, True)
    assert one.run.digest() == two.run.digest()
    assert one.core["totals"]["maker_fills"] + one.core["totals"]["taker_fills"] > 3
    assert len(one.rows(LedgerKind.TRADE)) > 0
    if name != "book_imbalance":
        orders = new(np.concatenate(one.run.requests))
        assert len(sides(orders)(1)) > 3 and len(sides(orders)(-1)) > 3
