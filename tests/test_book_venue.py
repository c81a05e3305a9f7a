"""The simulated venue on order books, rule by rule: hand-made events, and the exact lots and ticks of every fill."""

from __future__ import annotations

import pytest

from simcore.domain.enums import (
    BUY,
    SELL,
    EventKind,
    OrderType,
    Purpose,
    QueueModel,
    RejectCode,
    ReportKind,
    SelfTrade,
    TimeInForce,
)
from simcore.engine.account import wallet_identity_nb
from tests.exchange_scenes import Exchange

GTC, IOC, FOK, GTX, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX, TimeInForce.GTD


def exchange(**options: object) -> Exchange:
    """Return a book of 100 lots bid at 10,040 and 80 offered at 10,041, with more behind both."""
    return Exchange(**options).show({10_040: 100, 10_039: 50, 10_037: 30}, {10_041: 80, 10_042: 60, 10_044: 40})  # type: ignore[arg-type]


# ---------------------------------------------------------------- the queue


@pytest.mark.jitless
def test_an_order_fills_only_after_everything_displayed_ahead_of_it_has_traded() -> None:
    scene = exchange(model=QueueModel.RISK_AVERSE)
    order = scene.send(BUY, 10_040, 10)
    scene.trade(SELL, 10_040, 99)
    assert scene.fills() == []
    scene.trade(SELL, 10_040, 4)
    assert scene.fills() == [(order, 3, 10_040, True)]
    scene.trade(SELL, 10_040, 100)
    assert scene.fills() == [(order, 3, 10_040, True), (order, 7, 10_040, True)]
    assert scene.position == 10


@pytest.mark.jitless
def test_a_trade_and_the_shrinking_it_causes_count_once() -> None:
    scene = exchange(model=QueueModel.POWER)
    order = scene.send(BUY, 10_040, 10)
    scene.trade(SELL, 10_040, 60).depth(BUY, 10_040, 40)
    assert float(scene.order(order)["front"]) == 40.0


def test_a_new_best_price_has_nobody_ahead() -> None:
    scene = Exchange().show({10_040: 100}, {10_045: 80})
    order = scene.send(BUY, 10_041, 10)
    scene.trade(SELL, 10_041, 4)
    assert scene.fills() == [(order, 4, 10_041, True)]


def test_two_orders_of_ours_share_a_print_in_time_priority() -> None:
    scene = Exchange(model=QueueModel.RISK_AVERSE).show({10_040: 2}, {10_041: 50})
    first, second = scene.send(BUY, 10_040, 1), scene.send(BUY, 10_040, 1)
    scene.trade(SELL, 10_040, 3)
    assert scene.fills() == [(first, 1, 10_040, True)]
    scene.trade(SELL, 10_040, 1)
    assert scene.fills() == [(first, 1, 10_040, True), (second, 1, 10_040, True)]


def test_the_better_price_of_ours_is_served_first_and_one_print_is_never_filled_twice() -> None:
    scene = Exchange().show({10_038: 1}, {10_045: 50})
    worse, better = scene.send(BUY, 10_039, 5), scene.send(BUY, 10_040, 5)
    scene.trade(SELL, 10_039, 7)
    assert scene.fills() == [(better, 5, 10_040, True), (worse, 2, 10_039, True)]


def test_a_print_through_our_price_fills_at_our_price_and_no_more_than_its_size() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_040, 5)
    scene.trade(SELL, 10_039, 2)
    assert scene.fills() == [(order, 2, 10_040, True)]
    assert float(scene.order(order)["front"]) == 0.0


def test_the_optimistic_through_rule_fills_the_whole_order() -> None:
    scene = exchange(full_through=True)
    order = scene.send(BUY, 10_040, 5)
    scene.trade(SELL, 10_039, 2)
    assert scene.fills() == [(order, 5, 10_040, True)]


def test_an_opposite_quote_at_our_price_fills_us_at_our_price_and_loses_what_we_took() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_040, 30)
    scene.depth(BUY, 10_040, 0)
    scene.depth(SELL, 10_040, 12)
    assert scene.fills() == [(order, 12, 10_040, True)]
    assert scene.lots[199 - 40] == 0


def test_a_quote_far_behind_ours_touches_nothing() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_037, 30)
    before = float(scene.order(order)["front"])
    scene.depth(BUY, 10_036, 500).depth(SELL, 10_046, 70).trade(BUY, 10_041, 40).trade(SELL, 10_040, 60)
    assert scene.fills() == []
    assert float(scene.order(order)["front"]) == before == 30.0


# ---------------------------------------------------------------- what happens at arrival


def test_post_only_is_decided_when_the_order_arrives() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_041, 5)
    assert scene.codes() == [(order, RejectCode.POST_ONLY)]
    assert scene.fills() == []
    assert scene.reports(ReportKind.ACCEPTED) == []


@pytest.mark.jitless
def test_a_taker_pays_level_by_level_and_what_it_takes_is_gone_until_the_feed_says_otherwise() -> None:
    scene = exchange()
    first = scene.send(BUY, 10_042, 100, tif=IOC)
    assert scene.fills() == [(first, 80, 10_041, False), (first, 20, 10_042, False)]
    second = scene.send(BUY, 10_042, 100, tif=IOC)
    assert scene.fills()[2:] == [(second, 40, 10_042, False)]
    assert scene.codes() == [(second, 0)]
    scene.depth(SELL, 10_041, 80)
    third = scene.send(BUY, 10_041, 10, tif=IOC)
    assert scene.fills()[3:] == [(third, 10, 10_041, False)]


def test_fill_or_kill_takes_all_or_nothing() -> None:
    scene = exchange()
    too_much = scene.send(BUY, 10_042, 141, tif=FOK)
    assert scene.fills() == []
    assert scene.codes() == [(too_much, 0)]
    enough = scene.send(BUY, 10_042, 140, tif=FOK)
    assert scene.fills() == [(enough, 80, 10_041, False), (enough, 60, 10_042, False)]


def test_a_market_order_larger_than_the_book_leaves_the_rest() -> None:
    scene = exchange()
    order = scene.send(SELL, 0, 200, tif=IOC, type=OrderType.MARKET)
    assert [lots for _, lots, _, _ in scene.fills()] == [100, 50, 30]
    assert scene.codes() == [(order, 0)]


def test_trap_the_rest_of_a_crossing_gtc_order_waits_alone_at_its_price_and_is_not_filled_for_free() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_041, 100, tif=GTC)
    assert scene.fills() == [(order, 80, 10_041, False)]
    assert int(scene.order(order)["leaves_lots"]) == 20
    assert float(scene.order(order)["front"]) == 0.0
    scene.depth(SELL, 10_042, 55)
    assert len(scene.fills()) == 1


def test_an_order_that_expires_at_a_time_does_so_before_later_events() -> None:
    scene = Exchange().show({10_040: 1}, {10_045: 50})
    order = scene.send(BUY, 10_041, 5, tif=GTD, expire_ns=scene.now + 5)
    scene.trade(SELL, 10_041, 2, at=scene.now + 4)
    scene.trade(SELL, 10_041, 2, at=scene.now + 10)
    assert scene.fills() == [(order, 2, 10_041, True)]
    assert scene.codes() == [(order, 0)]


# ---------------------------------------------------------------- cancels, amendments, ourselves


def test_a_canceled_order_fills_no_more() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_041 - 1, 5)
    scene.cancel(order)
    scene.trade(SELL, 10_030, 500)
    assert scene.fills() == []
    assert len(scene.reports(ReportKind.CANCELED)) == 1
    scene.cancel(order)
    assert len(scene.reports(ReportKind.CANCELED)) == 1


def test_an_order_of_ours_in_front_that_goes_helps_the_one_behind() -> None:
    scene = Exchange(model=QueueModel.RISK_AVERSE).show({10_040: 2}, {10_041: 50})
    first, second = scene.send(BUY, 10_040, 4), scene.send(BUY, 10_040, 1)
    scene.cancel(first)
    scene.trade(SELL, 10_040, 3)
    assert scene.fills() == [(second, 1, 10_040, True)]


def test_an_amended_order_queues_anew() -> None:
    scene = exchange(model=QueueModel.RISK_AVERSE)
    order = scene.send(BUY, 10_040, 10)
    scene.trade(SELL, 10_040, 60).depth(BUY, 10_040, 90)
    assert float(scene.order(order)["front"]) == 40.0
    scene.amend(order, 10_040, 8)
    assert float(scene.order(order)["front"]) == 90.0
    assert int(scene.order(order)["leaves_lots"]) == 8
    scene.amend(order, 10_041, 8)
    assert scene.codes() == [(order, RejectCode.POST_ONLY)]
    assert int(scene.order(order)["price_ticks"]) == 10_040


@pytest.mark.parametrize(
    ("mode", "taken", "expired"),
    [
        (SelfTrade.NONE, 80, []),
        (SelfTrade.EXPIRE_TAKER, 0, ["taker"]),
        (SelfTrade.EXPIRE_MAKER, 80, ["maker"]),
        (SelfTrade.EXPIRE_BOTH, 0, ["maker", "taker"]),
    ],
)
def test_an_order_that_meets_our_own_goes_as_the_exchange_was_told(mode: int, taken: int, expired: list[str]) -> None:
    scene = exchange(self_trade=mode)
    maker = scene.send(SELL, 10_041, 5)
    taker = scene.send(BUY, 10_041, 80, tif=IOC)
    names = {maker: "maker", taker: "taker"}
    assert [names[order] for order, code in scene.codes() if code == RejectCode.SELF_TRADE] == expired
    assert sum(lots for order, lots, _, _ in scene.fills() if order == taker) == taken


# ---------------------------------------------------------------- stops, targets, reduce-only


def test_a_stop_goes_to_market_a_latency_after_the_trade_that_reached_it() -> None:
    scene = exchange(entry_ns=5)
    scene.send(BUY, 10_041, 10, tif=IOC, stop=10_038)
    scene.trade(SELL, 10_038, 1, at=100)
    assert scene.position == 10
    scene.depth(BUY, 10_040, 0, at=102).depth(BUY, 10_039, 0, at=102)
    scene.depth(BUY, 10_036, 7, at=110)
    fill = scene.reports(ReportKind.FILL)[-1]
    assert (int(fill["purpose"]), int(fill["qty_lots"]), int(fill["price_ticks"]), int(fill["ts_ns"])) == (Purpose.STOP, 10, 10_037, 105)
    assert scene.position == 0


def test_a_target_rests_behind_what_is_displayed_and_takes_its_stop_with_it() -> None:
    scene = exchange(model=QueueModel.RISK_AVERSE)
    scene.send(BUY, 10_041, 10, tif=IOC, stop=10_030, target=10_044)
    scene.trade(BUY, 10_044, 40)
    assert scene.position == 10
    scene.trade(BUY, 10_044, 10)
    assert scene.position == 0
    scene.trade(SELL, 10_020, 10)
    assert scene.position == 0
    assert int(scene.venues[0]["live_orders"][0]) == 0


def test_a_reduce_only_order_never_fills_beyond_the_position() -> None:
    scene = exchange()
    refused = scene.send(SELL, 10_042, 5, reduce_only=True)
    assert scene.codes() == [(refused, RejectCode.REDUCE_ONLY)]
    scene.send(BUY, 10_041, 10, tif=IOC)
    scene.send(SELL, 10_043, 25, reduce_only=True)
    scene.trade(BUY, 10_050, 100)
    assert scene.position == 0


# ---------------------------------------------------------------- broken streams, money


def test_while_nobody_knows_the_book_only_what_goes_through_our_price_fills_us() -> None:
    scene = exchange()
    order = scene.send(BUY, 10_040, 5)
    scene.mark(EventKind.GAP)
    scene.trade(SELL, 10_040, 500)
    assert scene.fills() == []
    taker = scene.send(BUY, 10_045, 5, tif=IOC)
    assert scene.codes() == [(taker, 0)]
    scene.trade(SELL, 10_039, 2)
    assert scene.fills() == [(order, 2, 10_040, True)]
    scene.mark(EventKind.CLEAR)
    scene.show({10_040: 70}, {10_041: 10}).mark(EventKind.READY)
    assert float(scene.order(order)["front"]) == 70.0


def test_every_fill_leaves_the_wallet_balanced() -> None:
    scene = exchange()
    scene.send(BUY, 10_042, 100, tif=IOC)
    scene.send(SELL, 10_040, 30, tif=IOC)
    scene.send(SELL, 0, 70, tif=IOC, type=OrderType.MARKET)
    assert scene.position == 0
    account = scene.venues[0]["account"]
    assert int(wallet_identity_nb(account)) == 0
    notional_e8 = 100_000 * (80 * 10_041 + 20 * 10_042 + 100 * 10_040)
    assert int(account["fees_e8"]) == pytest.approx(notional_e8 * 5 // 10_000, abs=3)
