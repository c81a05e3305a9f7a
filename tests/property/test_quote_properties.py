"""Properties of quoting: whatever book, exchange and limits do, quotes stay within what the gate allows and the books balance."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from simcore.domain.enums import BUY, LedgerKind, QuoteStage, RejectCode, ReportKind, RequestKind
from simcore.engine.account import wallet_identity_nb
from simcore.strategy import strategy
from tests.book_scenes import TICK, UNIT_E8, Book

pytestmark = pytest.mark.jitless

CAP = 0.002
CASH = 50_000.0


@strategy(on="timer", every="100ms", memory=("turn",))
def restless(market, position, params, memory, signal):
    """Quote at ever changing distances, sizes and depths, now one side, now both, now none."""
    memory["turn"] += 1.0
    k = memory["turn"]
    signal["quote_levels"] = 1 + int(k / 7.0) % 3 if int(k / 23.0) % 5 != 4 else 0
    signal["bid"] = market["close"] - 0.1 * (1.0 + k % 4.0)
    signal["ask"] = market["close"] + 0.1 * (1.0 + k % 3.0)
    signal["quote_step"] = 0.1 * (1.0 + k % 2.0)
    signal["bid_size"] = 0.2 + 0.2 * (k % 5.0)
    signal["ask_size"] = 1.0 - 0.15 * (k % 5.0)
    if int(k) % 11 == 3:
        signal["bid"] = nan
    if int(k) % 13 == 5:
        signal["ask"] = nan


class Exchange:
    """An exchange that answers in order, when it likes: accepts, refuses, fills whole or in part, cancels, loses cancels."""

    def __init__(self, book: Book, rng: np.random.Generator) -> None:
        self.book, self.rng = book, rng
        self.live: dict[int, tuple[np.void, int]] = {}
        self.wire: list[np.void] = []

    def send(self, requests: np.ndarray) -> None:
        self.wire += list(requests)

    def turn(self, ms: float) -> None:
        """Let some of what is on the wire arrive, then fill something."""
        for _ in range(int(self.rng.integers(0, len(self.wire) + 1))):
            self.arrive(ms, self.wire.pop(0))
        for order_id in [i for i in self.live if self.rng.random() < 0.25]:
            self.fill(ms, order_id)

    def arrive(self, ms: float, request: np.void) -> None:
        order_id = int(request["order_id"])
        if request["kind"] == RequestKind.CANCEL:
            if order_id in self.live and self.rng.random() < 0.9:
                order, leaves = self.live.pop(order_id)
                self.book.answer(ms, order, ReportKind.CANCELED, leaves_lots=leaves)
        elif request["price_ticks"] == 0 or (request["reduce_only"] and request["quote"] < 0):
            self.take(ms, request)
        elif self.rng.random() < 0.2:
            self.book.answer(ms, request, ReportKind.REJECTED, code=RejectCode.POST_ONLY)
        else:
            self.book.answer(ms, request, ReportKind.ACCEPTED)
            self.live[order_id] = (request, int(request["qty_lots"]))

    def take(self, ms: float, request: np.void) -> None:
        """Fill an exit of the router as far as the position goes, and expire the rest."""
        held = int(self.book.core["position"][0]["qty_lots"])
        lots = min(int(request["qty_lots"]), max(0, -int(request["side"]) * held))
        if lots:
            price = int(self.book.core["market"][0]["bid_ticks"])
            self.book.fill(ms, request, lots, int(request["qty_lots"]) - lots, price=price, maker=0)
        if lots < request["qty_lots"]:
            self.book.answer(ms, request, ReportKind.EXPIRED, leaves_lots=request["qty_lots"] - lots, code=RejectCode.REDUCE_ONLY)

    def fill(self, ms: float, order_id: int) -> None:
        order, leaves = self.live[order_id]
        lots = leaves if self.rng.random() < 0.5 else int(self.rng.integers(1, leaves + 1))
        self.live[order_id] = (order, leaves - lots)
        if lots == leaves:
            del self.live[order_id]
        self.book.fill(ms, order, lots, leaves - lots)


def drive(seed: int, turns: int = 120, interpreted: bool = False, check: bool = True) -> Book:
    rng = np.random.default_rng(seed)
    settings = {
        "strategy_config.defaults.sizing.method": "fixed_qty", "strategy_config.defaults.sizing.qty": float(rng.choice((0.05, 0.3, 2.0))),
        "settings.quoter.min_requote_ticks": int(rng.integers(1, 4)), "settings.quoter.cancel_retry_s": 0.3,
        "strategy_config.defaults.screen.max_spread_bps": 50.0,
        "risk_limits.max_symbol_nav_pct": CAP, "risk_limits.max_trade_nav_pct": 0.5 * CAP,
        "risk_limits.max_orders_per_minute": int(rng.choice((40, 100_000))),
    }  # fmt: skip
    book = Book([restless], settings=settings, cash=CASH, interpreted=interpreted)
    exchange = Exchange(book, rng)
    mid = 1_000
    for k in range(1, turns):
        ms = 100.0 * k
        mid += int(rng.integers(-2, 3))
        if rng.random() < 0.9:
            ok = int(rng.random() < 0.95)
            book.view(ms, mid - 1, mid + 1, ok=ok, gaps=1 - ok)
        requests = book.decide(ms)
        if check:
            check_exposure(book)
            check_places(book, requests)
        exchange.send(requests)
        exchange.turn(ms + 50.0)
        if check:
            check_books(book)
    return book


def worst_usd(book: Book) -> float:
    sleeve, price = book.core["sleeve"][0], book.core["market"][0]["close"]
    held = int(sleeve["side"] * sleeve["qty_lots"])
    return max(abs(held + int(sleeve["bid_lots"])), abs(held - int(sleeve["ask_lots"]))) * price * 0.001


def check_exposure(book: Book) -> None:
    """No order of fills takes the position beyond its cap: each new quote was judged at all that may fill.

    Prices move after a quote was judged, a few ticks in a thousand.
    """
    assert worst_usd(book) <= CAP * CASH * 1.25


def check_places(book: Book, requests: np.ndarray) -> None:
    """A quote stands while it is wished, as long as its wish is near; without a usable book nothing stands."""
    core = book.core
    quotes = core["quote"][core["quote"]["active"] == 1]
    standing = quotes[quotes["stage"] != QuoteStage.CANCELLING]
    if core["market"][0]["book_ok"] == 0:
        assert not len(standing)
        assert not np.any(requests["quote"][requests["kind"] == RequestKind.NEW] >= 0)
    band = int(core["quoter"]["min_requote_ticks"])
    for request in requests[(requests["kind"] == RequestKind.CANCEL) & (requests["quote"] >= 0)]:
        row = core["quote"][request["quote"]]
        signal, level = core["signal"][0], int(row["level"])
        again = row["cancel_ns"] == core["now_ns"] and row["sent_ns"] < core["now_ns"]
        assert again
        if core["market"][0]["book_ok"] == 0 or level >= signal["quote_levels"] or core["sleeve"][0]["quote_state"] != 1:
            continue
        inner = signal["bid"] if row["side"] == BUY else signal["ask"]
        if not inner > 0.0:
            continue
        wished = inner - row["side"] * level * signal["quote_step"]
        moved = abs(wished / TICK - row["price_ticks"]) > band - 1.5
        share = signal["bid_size"] if row["side"] == BUY else signal["ask_size"]
        lots = share * core["sizing"][0]["qty"] / 0.001
        resized = row["leaves_lots"] > 1.4 * lots or row["wished_lots"] < 0.6 * lots
        assert moved or resized or row["stage"] == QuoteStage.CANCELLING


def check_books(book: Book) -> None:
    """Sleeve, leg, quotes and wallet agree to the last lot and unit."""
    core = book.core
    sleeve, leg = core["sleeve"][0], core["position"][0]
    assert sleeve["side"] * sleeve["qty_lots"] == leg["qty_lots"] == core["book"][0]["qty_lots"]
    assert wallet_identity_nb(core["account"]) == 0
    quotes = core["quote"][core["quote"]["active"] == 1]
    assert core["n_quotes"] == len(quotes)
    assert sleeve["bid_lots"] == quotes["leaves_lots"][quotes["side"] == BUY].sum()
    assert sleeve["ask_lots"] == quotes["leaves_lots"][quotes["side"] != BUY].sum()
    trades = book.run.output.table("trade")
    assert trades["gross_e8"].sum() + sleeve["gross_e8"] * (sleeve["side"] != 0) == leg["realised_e8"]
    assert trades["fees_e8"].sum() + sleeve["fees_e8"] * (sleeve["side"] != 0) == leg["fees_e8"]
    fills = book.rows(LedgerKind.FILL)
    assert (fills["side"] * fills["qty_lots"]).sum() == leg["qty_lots"]
    held = sleeve["entry_lots"] + sleeve["exit_lots"] if sleeve["side"] != 0 else 0
    assert fills["qty_lots"].sum() == 2 * trades["qty_lots"].sum() + held


@pytest.mark.parametrize("seed", range(6))
def test_quotes_stay_within_the_limits_and_the_books_balance_whatever_fills(seed: int) -> None:
    book = drive(seed)
    assert book.core["totals"]["quotes"] > 40


@pytest.mark.parametrize("seed", range(3))
def test_interpreted_and_re_run_from_the_journal_quotes_are_the_same(seed: int) -> None:
    one, two = drive(seed, 60, check=False), drive(seed, 60, interpreted=True, check=False)
    assert one.run.digest() == two.run.digest()
    assert one.journal().rerun(one.plan).digest() == one.run.digest()
    assert np.array_equal(one.core["quote"], two.core["quote"])


def test_a_market_maker_that_may_not_quote_does_not_fill_the_ledger() -> None:
    book = Book([restless], settings={"strategy_config.defaults.screen.warmup_bars": 10_000})
    for k in range(1, 100):
        book.wake(100 * k)
    assert len(book.rows(LedgerKind.SCREEN_VETO)) < 30
    assert not len(book.run.requests)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 400))
def test_quotes_stay_within_the_limits_and_the_books_balance_over_many_histories(seed: int) -> None:
    drive(seed, 300)


def test_fees_of_a_turn_are_split_to_the_last_unit() -> None:
    book = drive(11, 200)
    fills = book.rows(LedgerKind.FILL)
    assert len(book.run.output.table("trade")) > 3
    assert round(fills["value"].sum() * 1e8) == book.core["account"]["fees_e8"]
    assert (fills["qty_lots"] * fills["price_ticks"] * UNIT_E8).sum() > 0
