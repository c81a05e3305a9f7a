"""Two-sided quotes: what stands at the exchange, what it costs to move it, and what never may happen."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from simcore.domain.enums import (
    BUY,
    SELL,
    LedgerKind,
    Leg,
    Purpose,
    QuoteState,
    RejectCode,
    ReportKind,
    RequestKind,
    Screen,
    TimeInForce,
    Veto,
)
from simcore.domain.errors import ConfigError
from simcore.engine.account import wallet_identity_nb
from simcore.strategy import strategy
from tests.book_scenes import E8, UNIT_E8, Book, cancels, new, sides

pytestmark = pytest.mark.jitless


@strategy(on="timer", every="100ms", params={"quote": 0.0})
def puppet(market, position, params, memory, signal):
    """State what the test wrote into the signal: it changes nothing itself."""
    if params["quote"] > 0.0:
        signal["quote_levels"] = 1


SETTINGS = {
    "strategy_config.defaults.sizing.method": "fixed_qty",
    "strategy_config.defaults.sizing.qty": 0.1,
    "settings.quoter.min_requote_ticks": 2,
    "strategy_config.defaults.screen.max_spread_bps": 50.0,
}


def quoting(settings=None, **options) -> Book:
    return Book([puppet], settings={**SETTINGS, **(settings or {})}, **options)


def wish(book: Book, bid: float = 99.8, ask: float = 100.2, levels: int = 1, **fields: float) -> None:
    signal = book.core["signal"][0]
    signal["bid"], signal["ask"], signal["quote_levels"] = bid, ask, levels
    for name, value in fields.items():
        signal[name] = value


def placed(book: Book, ms: float = 100, **fields) -> np.ndarray:
    """Quote around 100.0 and have both accepted; return the two orders, bid first."""
    wish(book, **fields)
    orders = new(book.wake(ms))
    for order in orders:
        book.answer(ms + 20, order, ReportKind.ACCEPTED)
    return orders


def sleeve(book: Book):
    return book.core["sleeve"][0]


def test_a_wish_becomes_two_post_only_orders_rounded_away_from_the_market() -> None:
    book = quoting()
    wish(book, 99.87, 100.14)
    orders = new(book.wake(100))
    assert [(o["side"], o["price_ticks"], o["qty_lots"]) for o in orders] == [(BUY, 998, 100), (SELL, 1002, 100)]
    assert {(o["tif"], o["purpose"], o["leg"], o["reduce_only"]) for o in orders} == {(TimeInForce.GTX, Purpose.QUOTE, Leg.BOTH, 0)}
    assert list(orders["route"]) == [-1, -1]
    assert len(set(orders["quote"])) == 2
    assert (sleeve(book)["bid_lots"], sleeve(book)["ask_lots"], book.core["n_quotes"]) == (100, 100, 2)


def test_levels_stand_a_step_apart_and_shares_scale_them() -> None:
    book = quoting()
    wish(book, levels=3, quote_step=0.25, bid_size=0.5)
    orders = new(book.wake(100))
    bids, asks = sides(orders)(BUY), sides(orders)(SELL)
    assert list(bids["price_ticks"]) == [998, 995, 993]
    assert list(asks["price_ticks"]) == [1002, 1005, 1007]
    assert set(bids["qty_lots"]) == {50}
    assert set(asks["qty_lots"]) == {100}


def test_more_levels_than_the_config_allows_are_not_quoted() -> None:
    book = quoting({"settings.quoter.max_levels": 2})
    wish(book, levels=9, quote_step=0.1)
    assert len(new(book.wake(100))) == 4


def test_a_quote_never_reaches_the_other_side_of_the_touch() -> None:
    book = quoting()
    wish(book, 100.7, 99.1)
    assert list(new(book.wake(100))["price_ticks"]) == [1000, 1000]


def test_an_unchanged_wish_asks_for_nothing() -> None:
    book = quoting()
    placed(book)
    for ms in range(200, 1_000, 100):
        assert len(book.wake(ms)) == 0
        assert len(book.decide(ms + 50)) == 0


def test_a_nearer_wish_keeps_the_place_in_the_queue() -> None:
    book = quoting()
    placed(book)
    wish(book, 99.7, 100.3)
    assert len(book.wake(200)) == 0
    wish(book, 99.9, 100.1)
    assert len(book.wake(300)) == 0


def test_a_wish_two_ticks_away_is_taken_back_and_sent_again_at_one_wake_cancels_first() -> None:
    book = quoting()
    first = placed(book)
    wish(book, 99.6, 100.2)
    requests = book.wake(200)
    assert [(r["kind"], r["side"]) for r in requests] == [(RequestKind.CANCEL, BUY), (RequestKind.NEW, BUY)]
    assert requests[0]["order_id"] == first[0]["order_id"]
    assert requests[1]["price_ticks"] == 996
    assert sleeve(book)["bid_lots"] == 200
    book.answer(230, first[0], ReportKind.CANCELED)
    assert sleeve(book)["bid_lots"] == 100


def test_a_third_order_of_a_level_waits_until_the_exchange_let_go_of_the_first() -> None:
    book = quoting()
    first = placed(book)[0]
    wish(book, 99.6, 100.2)
    book.wake(200)
    wish(book, 99.4, 100.2)
    requests = book.wake(300)
    assert len(cancels(requests)) == 1
    assert len(new(requests)) == 0
    assert len(book.wake(400)) == 0
    book.answer(410, first, ReportKind.CANCELED)
    assert list(new(book.wake(500))["price_ticks"]) == [994]


def test_a_cancel_that_nobody_answered_is_sent_again() -> None:
    book = quoting({"settings.quoter.cancel_retry_s": 0.5})
    first = placed(book)
    wish(book, nan, 100.2)
    assert list(cancels(book.wake(200))["order_id"]) == [first[0]["order_id"]]
    assert len(book.wake(600)) == 0
    assert list(cancels(book.wake(700))["order_id"]) == [first[0]["order_id"]]
    assert len(book.wake(800)) == 0


def test_a_quote_that_filled_in_part_keeps_its_place() -> None:
    book = quoting()
    bid, _ = placed(book)
    book.fill(150, bid, 70, leaves=30)
    assert (sleeve(book)["bid_lots"], sleeve(book)["qty_lots"], sleeve(book)["side"]) == (30, 70, 1)
    assert len(book.wake(200)) == 0
    book.fill(250, bid, 30)
    assert sleeve(book)["bid_lots"] == 0
    assert [(r["kind"], r["side"]) for r in book.wake(300)] == [(RequestKind.NEW, BUY)]


def test_a_much_smaller_or_larger_wish_is_sent_again() -> None:
    book = quoting()
    placed(book)
    wish(book, bid_size=0.7)
    assert len(book.wake(200)) == 0
    wish(book, bid_size=0.4)
    requests = book.wake(300)
    assert list(new(requests)["qty_lots"]) == [40]
    assert len(cancels(requests)) == 1


@pytest.mark.parametrize("price", [nan, inf, -inf, 0.0, -1.0, 1e300])
def test_a_price_that_is_none_takes_that_side_back(price: float) -> None:
    book = quoting()
    first = placed(book)
    wish(book, price, 100.2)
    requests = book.wake(200)
    assert [(r["kind"], r["order_id"]) for r in requests] == [(RequestKind.CANCEL, first[0]["order_id"])]


@pytest.mark.parametrize("field", ["bid_size", "quote_step"])
def test_nan_sizes_and_steps_quote_nothing_that_needs_them(field: str) -> None:
    book = quoting()
    wish(book, levels=2, quote_step=0.1)
    book.core["signal"][0][field] = nan
    orders = new(book.wake(100))
    assert [(o["side"]) for o in orders] == ([SELL, SELL] if field == "bid_size" else [BUY, SELL])


def test_an_unusable_book_takes_every_quote_back_and_a_whole_one_quotes_again() -> None:
    book = quoting()
    orders = placed(book)
    requests = book.wake(200, ok=0)
    assert [r["kind"] for r in requests] == [RequestKind.CANCEL] * 2
    for order in orders:
        book.answer(220, order, ReportKind.CANCELED)
    assert book.core["n_quotes"] == 0
    assert len(book.decide(300)) == 0
    assert len(new(book.wake(400))) == 2
    assert list(book.rows(LedgerKind.QUOTE)["code"]) == [QuoteState.QUOTING, QuoteState.BOOK_UNUSABLE, QuoteState.QUOTING]


def test_a_book_that_stands_still_too_long_is_too_old_to_quote_on() -> None:
    book = quoting({"settings.book_model.market_max_age_s": 1})
    placed(book)
    assert len(book.decide(1_000)) == 0
    assert len(cancels(book.decide(1_200))) == 2


def test_the_kill_switch_takes_the_quotes_back_before_it_sends_the_position_home() -> None:
    book = quoting()
    bid, ask = placed(book)
    book.fill(150, bid, 100)
    book.core["account"]["kill_switch"] = 1
    requests = book.wake(200)
    assert [r["kind"] for r in requests] == [RequestKind.CANCEL, RequestKind.NEW]
    assert requests[0]["order_id"] == ask["order_id"]
    assert (requests[1]["side"], requests[1]["qty_lots"], requests[1]["reduce_only"]) == (SELL, 100, 1)
    assert len(book.wake(300)) == 0


def test_a_late_fill_after_the_kill_switch_is_sent_home_too() -> None:
    book = quoting()
    bid, ask = placed(book)
    book.fill(150, bid, 100)
    book.core["account"]["kill_switch"] = 1
    home = new(book.wake(200))[0]
    book.fill(210, ask, 100)
    book.answer(220, home, ReportKind.EXPIRED, code=RejectCode.REDUCE_ONLY)
    assert sleeve(book)["side"] == 0
    assert len(new(book.wake(300))) == 0
    assert book.core["active_routes"] == 0


def test_a_strategy_that_stops_quoting_and_is_flat_goes_home() -> None:
    book = quoting()
    bid, ask = placed(book)
    book.fill(150, bid, 100)
    wish(book, levels=0)
    requests = book.wake(200)
    assert [r["kind"] for r in requests] == [RequestKind.CANCEL, RequestKind.NEW]
    assert requests[1]["purpose"] == Purpose.EXIT
    book.fill(210, ask, 60, leaves=40)
    book.answer(220, ask, ReportKind.CANCELED, leaves_lots=40)
    assert (sleeve(book)["qty_lots"], sleeve(book)["ask_lots"]) == (40, 0)


def test_a_strategy_that_quotes_again_stops_going_home() -> None:
    book = quoting()
    bid, ask = placed(book)
    book.fill(150, bid, 100)
    wish(book, levels=0)
    home = new(book.wake(200))[0]
    book.answer(210, ask, ReportKind.CANCELED)
    wish(book)
    assert list(cancels(book.wake(300))["order_id"]) == [home["order_id"]]
    book.answer(310, home, ReportKind.CANCELED)
    assert len(new(book.wake(400))) == 2


def test_a_post_only_order_that_would_take_is_a_miss_and_is_tried_again() -> None:
    book = quoting()
    wish(book)
    bid, ask = new(book.wake(100))
    book.answer(110, bid, ReportKind.REJECTED, code=RejectCode.POST_ONLY)
    book.answer(110, ask, ReportKind.EXPIRED, code=RejectCode.POST_ONLY)
    assert (book.core["n_quotes"], sleeve(book)["bid_lots"], sleeve(book)["ask_lots"]) == (0, 0, 0)
    assert book.core["totals"]["quote_misses"] == 2
    assert len(new(book.wake(200))) == 2


def test_a_report_on_an_order_that_was_replaced_changes_nothing() -> None:
    book = quoting()
    bid, _ = placed(book)
    book.answer(150, bid, ReportKind.CANCELED)
    book.answer(160, bid, ReportKind.CANCELED)
    assert (sleeve(book)["bid_lots"], book.core["n_quotes"]) == (0, 1)


def test_a_fill_through_flat_closes_one_trade_and_opens_the_next() -> None:
    book = quoting()
    bid, ask = placed(book, bid_size=0.5)
    book.fill(150, bid, 33)
    book.fill(160, ask, 100)
    assert (sleeve(book)["side"], sleeve(book)["qty_lots"]) == (-1, 67)
    trades = book.run.output.table("trade")
    assert [(t["side"], t["qty_lots"], t["exit_purpose"]) for t in trades] == [(1, 33, Purpose.QUOTE)]
    value = lambda lots, price: lots * price * UNIT_E8  # noqa: E731
    assert trades[0]["gross_e8"] == value(33, 1002) - value(33, 998)
    fees = sum(lots * price * UNIT_E8 * 20_000 // E8 for lots, price in ((33, 998), (100, 1002)))
    assert trades[0]["fees_e8"] + sleeve(book)["fees_e8"] == fees
    assert book.core["position"][0]["qty_lots"] == -67
    assert sleeve(book)["entry_price"] == pytest.approx(100.2)
    assert wallet_identity_nb(book.core["account"]) == 0


def test_slippage_of_a_quote_is_measured_from_the_mid_at_which_it_was_sent() -> None:
    book = quoting()
    bid, _ = placed(book)
    book.view(200, 989, 991)
    book.fill(210, bid, 100)
    fill = book.rows(LedgerKind.FILL)[0]
    assert fill["x1"] == 100.0
    assert sleeve(book)["slippage_usd"] == pytest.approx((99.8 - 100.0) * 0.1)
    assert (sleeve(book)["arrival"], sleeve(book)["decision_ns"]) == (100.0, bid["ts_ns"])


def test_what_the_gate_refuses_is_cut_down_and_logged_when_nothing_is_left_once() -> None:
    book = quoting({"risk_limits.max_symbol_nav_pct": 0.001, "risk_limits.max_trade_nav_pct": 0.001}, cash=5_000.0)
    wish(book)
    orders = new(book.wake(100))
    assert set(orders["qty_lots"]) == {50, 49}, "5 USD of 5,000 at 99.8 and at 100.2"
    book = quoting({"risk_limits.max_symbol_nav_pct": 0.0001, "risk_limits.max_trade_nav_pct": 0.0001}, cash=5_000.0)
    wish(book)
    for ms in range(100, 1_000, 100):
        assert len(new(book.wake(ms))) == 0
    rows = book.rows(LedgerKind.GATE_VETO)
    assert {int(code) for code in rows["code"]} >= {Veto.MAX_TRADE_NAV_PCT, Veto.MAX_SYMBOL_NAV_PCT}
    assert set(rows["ts_ns"]) == {rows["ts_ns"][0]}


def test_a_screener_veto_is_logged_when_its_reason_changes() -> None:
    book = quoting({"strategy_config.defaults.screen.max_spread_bps": 30.0})
    wish(book, 99.0, 101.0)
    for k in range(1, 6):
        assert len(new(book.wake(100 * k, 995, 1005))) == 0
    rows = book.rows(LedgerKind.SCREEN_VETO)
    assert [(r["side"], r["code"]) for r in rows] == [(BUY, Screen.MAX_SPREAD_BPS), (SELL, Screen.MAX_SPREAD_BPS)]
    assert book.core["totals"]["screen_vetoes"] == 2
    assert len(new(book.wake(700))) == 2
    for order in book.run.requests[-1]:
        book.answer(710, order, ReportKind.REJECTED, code=RejectCode.POST_ONLY)
    book.wake(800, 995, 1005)
    assert len(book.rows(LedgerKind.SCREEN_VETO)) == 4


@pytest.mark.parametrize(
    "limits",
    [
        {"risk_limits.max_orders_per_minute": 3},
        {"risk_limits.max_symbol_nav_pct": 1e-6, "risk_limits.max_trade_nav_pct": 1e-6},
        {"strategy_config.defaults.screen.max_spread_bps": 5.0},
        {"strategy_config.defaults.screen.warmup_bars": 1_000},
    ],
    ids=["order rate", "symbol cap", "spread", "warm-up"],
)
def test_what_reduces_is_quoted_whatever_refuses_an_entry(limits: dict) -> None:
    book = quoting(limits)
    book.report(50, kind=ReportKind.FILL, symbol=0, strategy=0, side=BUY, leg=Leg.BOTH, qty_lots=60, price_ticks=1000, reference=100.0)
    book.core["account"]["orders_in_minute"] = 3
    book.core["account"]["minute"] = book.core["now_ns"] // (60 * 10**9)
    wish(book)
    orders = new(book.wake(100))
    assert [(o["side"], o["qty_lots"], o["reduce_only"]) for o in orders] == [(SELL, 60, 1)]
    assert len(new(book.wake(200))) == 0


def test_a_day_s_loss_takes_entries_back_and_leaves_what_reduces() -> None:
    book = quoting({"risk_limits.max_daily_loss_pct": 0.01})
    bid, ask = placed(book, ask_size=0.5)
    book.fill(150, bid, 100)
    book.core["account"]["day_start_nav"] *= 1.1
    assert len(book.wake(200)) == 0, "the ask reduces, and the bid is gone"
    book.fill(250, ask, 50)
    orders = new(book.wake(300))
    assert [(o["side"], o["qty_lots"], o["reduce_only"]) for o in orders] == [(SELL, 50, 1)]
    book.answer(310, orders[0], ReportKind.ACCEPTED)
    book.fill(320, orders[0], 50)
    assert len(book.wake(400)) == 0
    assert list(book.rows(LedgerKind.QUOTE)["code"]) == [QuoteState.QUOTING, QuoteState.ENTRIES_HALTED]


def test_quotes_of_both_sides_count_at_the_worst_they_can_become() -> None:
    book = quoting({"risk_limits.max_symbol_nav_pct": 0.0003, "risk_limits.max_trade_nav_pct": 0.0002})
    wish(book, levels=4, quote_step=0.1)
    orders = new(book.wake(100))
    # 30 USD a symbol, whichever side fills: three orders of about 10 a side fit, the last ask cut down, a fourth does not.
    for side in (BUY, SELL):
        one = sides(orders)(side)
        assert (one["qty_lots"] * one["price_ticks"]).sum() * UNIT_E8 <= 30 * E8
        assert len(one) == 3
    assert book.core["intent"]["symbol_gross"] <= 30.0


def test_hedge_mode_and_quotes_exclude_each_other() -> None:
    assert quoting().core["account"]["position_mode"] == 0
    assert quoting({"settings.position_mode": "one_way"}).core["account"]["position_mode"] == 0
    with pytest.raises(ConfigError, match="two-sided quotes must net"):
        quoting({"settings.position_mode": "hedge"})


def test_a_symbol_that_is_not_traded_is_not_quoted() -> None:
    book = quoting({"strategy_config.defaults.symbols": ["ETHUSDT"]}, symbols=("BTCUSDT", "ETHUSDT"))
    assert list(book.core["sleeve"]["quote_base"][:2]) == [-1, 0]
    for index in range(2):
        signal = book.core["signal"][index]
        signal["bid"], signal["ask"], signal["quote_levels"] = 99.8, 100.2, 1
        book.view(100, symbol=index)
    assert set(new(book.decide(100))["symbol"]) == {1}


def test_too_many_quotes_for_one_run_are_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match="Quote fewer levels or symbols"):
        quoting({"settings.quoter.max_levels": 32}, symbols=tuple(f"S{i:02d}USDT" for i in range(9)))
