"""The simulated venue on bars, rule by rule: hand-made bars, and the exact tick, lot, fee and moment of every fill."""

from __future__ import annotations

import numpy as np
import pytest

from simcore.domain.enums import (
    BUY,
    LONG,
    SELL,
    SHORT,
    LedgerKind,
    Leg,
    OrderType,
    Purpose,
    RejectCode,
    ReportKind,
    RequestKind,
    TimeInForce,
    Veto,
)
from simcore.domain.records import REQUEST
from simcore.engine.account import wallet_identity_nb
from simcore.engine.matching import match_bar_nb
from simcore.engine.venue import on_request_nb, see_bar_nb
from tests.scenes import ENDLESS, LOTS, A, B, Fill, Scene, Wish, bar, bar_rows, flat, gap, play, session_of

NOW = Wish(LONG, urgency=1.0)
PATIENT = {"router.wait_s": 3_600.0}


# ---------------------------------------------------------------- when a resting order fills


@pytest.mark.jitless
def test_a_decision_at_a_close_fills_at_the_earliest_in_the_next_bar() -> None:
    # The bar of the decision trades far below the limit; only the next one may fill it.
    scene = play([*flat(), bar(10_000, 10_000, 9_000, 10_000), bar(10_000, 10_000, 9_997, 10_000), *flat()], {1: LONG})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 9_998, True)]


@pytest.mark.parametrize(("low", "filled"), [(9_999, False), (9_998, False), (9_997, True), (9_000, True)])
def test_a_bid_fills_only_when_the_bar_trades_one_tick_beyond_it(low: int, filled: bool) -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, low, 10_000)], {1: LONG})
    assert scene.fills() == ([Fill(2, "entry", BUY, LOTS, 9_998, True)] if filled else [])


@pytest.mark.parametrize(("high", "filled"), [(10_001, False), (10_002, False), (10_003, True), (11_000, True)])
def test_an_offer_fills_only_when_the_bar_trades_one_tick_beyond_it(high: int, filled: bool) -> None:
    scene = play([*flat(n=2), bar(10_000, high, 10_000, 10_000)], {1: SHORT})
    assert scene.fills() == ([Fill(2, "entry", SELL, LOTS, 10_002, True)] if filled else [])


@pytest.mark.parametrize(("low", "filled"), [(9_994, False), (9_991, False), (9_990, True)])
def test_one_tick_beyond_means_the_exchanges_own_tick(low: int, filled: bool) -> None:
    # The quote of 9,998 lies on no multiple of five: it is placed at 9,995 and fills from 9,990 down.
    scene = play([*flat(n=2), bar(10_000, 10_000, low, 10_000)], {1: LONG}, instrument={"price_filter_ticks": 5})
    assert scene.fills() == ([Fill(2, "entry", BUY, LOTS, 9_995, True)] if filled else [])


def test_a_resting_bid_fills_at_its_limit_even_when_the_bar_opens_far_below() -> None:
    scene = play([*flat(n=3), *flat(9_500)], {1: LONG}, settings=PATIENT)
    assert scene.fills() == [Fill(3, "entry", BUY, LOTS, 9_998, True)]


def test_a_maker_fill_pays_the_maker_fee_on_its_exact_notional() -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_997, 10_000)], {1: LONG})
    notional_e8 = 100 * 9_998 * 100_000
    assert int(scene.venue["account"]["fees_e8"]) == notional_e8 * 2 // 10_000 == 19_996_000
    assert int(scene.venue["account"]["wallet_e8"]) == 100_000 * 10**8 - 19_996_000


def test_touch_mode_fills_at_the_touch_and_the_recording_says_so() -> None:
    tape = [*flat(n=2), bar(10_000, 10_000, 9_998, 10_000)]
    touch = play(tape, {1: LONG}, settings={"bar_model.fill_rule": "touch"})
    assert touch.fills() == [Fill(2, "entry", BUY, LOTS, 9_998, True)]
    assert touch.recording.caveats == ("Optimistic fill rule 'touch': resting orders fill when the price is merely reached.",)
    assert play(tape, {1: LONG}).recording.caveats == ()


def test_bars_without_volume_fill_nothing() -> None:
    dry = [*flat(n=2), bar(10_000, 10_100, 9_900, 10_000, 0), bar(10_000, 10_000, 9_990, 10_000)]
    scene = play(dry, {1: LONG}, settings=PATIENT)
    assert scene.fills() == [Fill(3, "entry", BUY, LOTS, 9_998, True)]
    assert play([*flat(n=2), *flat(n=2, volume=0)], {1: NOW}).fills() == []


# ---------------------------------------------------------------- post-only


@pytest.mark.parametrize(("opened", "refused"), [(9_999, False), (9_998, False), (9_997, True), (9_900, True)])
def test_post_only_is_decided_at_the_open_of_the_next_bar(opened: int, refused: bool) -> None:
    # At an open of 9,997 the offer stands at 9,998 (half a spread above, rounded up): a bid of 9,998 would take it.
    scene = play([*flat(n=2), bar(opened, 10_000, opened, 10_000)], {1: LONG})
    rejected = scene.rows(LedgerKind.REJECTED)
    assert rejected["code"].tolist() == ([int(RejectCode.POST_ONLY)] if refused else [])
    assert int(scene.totals["rejects"]) == int(refused)
    assert all(not fill.maker for fill in scene.fills()) or not refused


def test_a_refused_quote_is_quoted_again_at_once_from_the_new_price() -> None:
    scene = play([*flat(n=2), bar(9_900, 9_900, 9_900, 9_900), bar(9_900, 9_900, 9_890, 9_900)], {1: LONG})
    assert scene.slots(LedgerKind.REQUEST) == [1, 2]
    assert scene.rows(LedgerKind.REQUEST)["price_ticks"].tolist() == [9_998, 9_898]  # 9,900 less 2 bps is 9,898.02
    assert scene.fills() == [Fill(3, "entry", BUY, LOTS, 9_898, True)]


# ---------------------------------------------------------------- how much a bar fills


def test_an_order_fills_over_several_bars_when_they_are_thin() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 300)  # ten percent: 30 lots
    scene = play([*flat(n=2), thin, thin, thin, thin, thin], {1: LONG}, settings=PATIENT)
    assert [(f.bar, f.lots, f.ticks) for f in scene.fills()] == [(2, 30, 9_998), (3, 30, 9_998), (4, 30, 9_998), (5, 10, 9_998)]
    assert scene.held() == (100, 0)


def test_what_a_bar_fills_is_a_multiple_of_the_exchanges_step() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 379)
    scene = play([*flat(n=2), thin, thin, thin], {1: LONG}, settings=PATIENT, instrument={"lot_filter_lots": 20})
    assert [f.lots for f in scene.fills()] == [20, 20, 20]


def test_all_own_orders_of_a_bar_share_one_participation_cap_oldest_first() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 1_500)
    both = {"one": {A: {1: LONG}}, "two": {A: {1: LONG}}}
    scene = play([*flat(n=2), thin, thin], scripts=both, settings=PATIENT)
    assert [(f.bar, f.lots) for f in scene.fills()] == [(2, 100), (2, 50), (3, 50)]
    assert scene.rows(LedgerKind.FILL)["strategy"].tolist() == [0, 1, 1]


def test_takers_at_the_open_come_before_resting_orders_in_the_shared_cap() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 1_200)
    both = {"one": {A: {1: LONG}}, "two": {A: {1: NOW}}}
    scene = play([*flat(n=2), thin], scripts=both, settings=PATIENT)
    assert [(f.bar, f.lots, f.maker) for f in scene.fills()] == [(2, 100, False), (2, 20, True)]


# ---------------------------------------------------------------- takers


def test_a_taker_pays_the_open_and_half_the_spread_and_the_taker_fee() -> None:
    scene = play([*flat(n=2), bar(10_020, 10_020, 10_000, 10_000)], {1: NOW})
    # 1002.0 and one basis point is 1002.1002: rounded up, 10,022 ticks.
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 10_022, False)]
    assert int(scene.venue["account"]["fees_e8"]) == 100 * 10_022 * 100_000 * 5 // 10_000


def test_impact_is_the_square_root_of_the_share_of_the_day() -> None:
    # sigma 2 %, 1 base unit of 10,000 a day: 0.02 * sqrt(1/10,000) is 2 bps, on top of half a spread of 1 bp.
    settings = {"bar_model.impact_y": 1.0}
    scene = play([*flat(n=3)], {1: NOW}, settings=settings, volume_day=10_000.0, sizing={"max_participation_pct": 1.0})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 10_003, False)]


def test_impact_before_a_day_is_known_comes_from_the_fallbacks() -> None:
    # The screener wants a known day, so this asks the venue itself: sigma 4 %, 10,000,000 USD a day is 10,000 units.
    settings = {"bar_model.impact_y": 1.0, "bar_model.fallback_sigma_day": 0.04, "bar_model.fallback_volume_day_usd": 1e7}
    venue = set_venue(settings=settings)
    send(venue, type=OrderType.MARKET, tif=TimeInForce.IOC)
    match(venue, flat()[0], sigma_day=np.nan, volume_day=np.nan)
    assert told(venue)[-1] == (ReportKind.FILL, 100, 10_005)  # 4 bps and 1 bp


# ---------------------------------------------------------------- stops and targets


BRACKET = Wish(LONG, stop=50, target=50, urgency=1.0)


@pytest.mark.jitless
def test_a_bar_that_reaches_stop_and_target_takes_the_stop_and_counts_as_ambiguous() -> None:
    scene = play([*flat(n=3), bar(10_000, 10_060, 9_940, 10_050), *flat()], {1: BRACKET})
    # 9,950 less one tick of slippage and one basis point of half spread is 9,948.0: nothing better than 9,948.
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 10_001, False), Fill(3, "stop", SELL, LOTS, 9_948, False)]
    assert scene.trades["ambiguous"].tolist() == [1]
    assert (int(scene.totals["ambiguous_exits"]), int(scene.totals["stop_exits"]), int(scene.totals["exits"])) == (1, 1, 1)


def test_a_bar_that_only_touches_the_target_is_not_ambiguous_under_the_through_rule() -> None:
    scene = play([*flat(n=3), bar(10_000, 10_050, 9_940, 10_000)], {1: BRACKET})
    assert scene.trades["ambiguous"].tolist() == [0]
    scene = play([*flat(n=3), bar(10_000, 10_051, 9_940, 10_000)], {1: BRACKET})
    assert scene.trades["ambiguous"].tolist() == [1]


def test_a_stop_is_triggered_by_the_touch_alone() -> None:
    assert [f.purpose for f in play([*flat(n=3), bar(10_000, 10_000, 9_951, 10_000)], {1: BRACKET}).fills()] == ["entry"]
    assert [f.purpose for f in play([*flat(n=3), bar(10_000, 10_000, 9_950, 10_000)], {1: BRACKET}).fills()] == ["entry", "stop"]


def test_a_stop_that_the_bar_gapped_fills_at_the_open_and_slippage_never_at_the_stop() -> None:
    scene = play([*flat(n=3), bar(9_900, 9_990, 9_890, 9_990)], {1: BRACKET})
    # open 9,900, one tick of slippage, one basis point: 9,898.01, rounded down.
    assert scene.fills()[1] == Fill(3, "stop", SELL, LOTS, 9_898, False)
    short = Wish(SHORT, stop=50, target=50, urgency=1.0)
    scene = play([*flat(n=3), bar(10_100, 10_110, 10_000, 10_000)], {1: short})
    # open 10,100, one tick of slippage, one basis point: 10,102.01, rounded up.
    assert scene.fills()[1] == Fill(3, "stop", BUY, LOTS, 10_103, False)


def test_a_stop_is_live_in_the_bar_in_which_its_entry_filled() -> None:
    wish = Wish(LONG, stop=50)
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_940, 10_000)], {1: wish})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 9_998, True), Fill(2, "stop", SELL, LOTS, 9_948, False)]


def test_a_stop_above_the_price_of_its_own_entry_is_no_profit() -> None:
    # The quote follows the price down; it fills at 9,928, below the stop at 9,950 that was meant from 10,000.
    # Such a stop triggers at once, at the market: not at 9,950.
    wish = Wish(LONG, stop=50)
    scene = play([*flat(n=2), *flat(9_960), *flat(9_930), bar(9_930, 9_930, 9_920, 9_930)], {1: wish}, settings={"router.max_requotes": 5})
    assert [(f.bar, f.purpose, f.ticks) for f in scene.fills()] == [(4, "entry", 9_928), (4, "stop", 9_926)]
    assert scene.trades["gross_e8"][0] < 0


def test_a_target_waits_for_the_bar_after_its_makers_entry() -> None:
    wish = Wish(LONG, target=50)
    wide = bar(10_000, 10_100, 9_990, 10_000)
    scene = play([*flat(n=2), wide, *flat(), bar(10_000, 10_051, 10_000, 10_000)], {1: wish})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 9_998, True), Fill(4, "target", SELL, LOTS, 10_050, True)]
    assert int(scene.totals["target_exits"]) == 1


def test_a_target_may_fill_in_the_bar_at_whose_open_its_entry_was_taken() -> None:
    wish = Wish(LONG, target=50, urgency=1.0)
    scene = play([*flat(n=2), bar(10_000, 10_051, 10_000, 10_000)], {1: wish})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 10_001, False), Fill(2, "target", SELL, LOTS, 10_050, True)]


def test_lots_that_joined_a_target_in_a_bar_wait_for_the_next_while_older_ones_fill() -> None:
    wide = bar(10_000, 10_100, 9_990, 10_000, 600)  # 60 lots a bar
    scene = play([*flat(n=2), wide, wide, wide], {1: Wish(LONG, target=50)}, settings=PATIENT)
    # Bar 3 fills the other 40 of the entry first; of the cap, 20 are left for the 60 lots that may be sold.
    assert [(f.bar, f.purpose, f.lots) for f in scene.fills()] == [(2, "entry", 60), (3, "entry", 40), (3, "target", 20), (4, "target", 60)]
    deep = bar(10_000, 10_100, 9_990, 10_000)
    scene = play([*flat(n=2), wide, deep, deep], {1: Wish(LONG, target=50)}, settings=PATIENT)
    assert [(f.bar, f.purpose, f.lots) for f in scene.fills()] == [(2, "entry", 60), (3, "entry", 40), (3, "target", 60), (4, "target", 40)]


def test_the_stop_of_a_partial_entry_covers_what_filled_and_no_more() -> None:
    thin, dive = bar(10_000, 10_000, 9_990, 10_000, 300), bar(10_000, 10_000, 9_900, 9_900)
    scene = play([*flat(n=2), thin, *flat(n=1), dive, *flat(9_900, 3)], {1: Wish(LONG, stop=50)}, settings=PATIENT)
    # 30 lots first; in the dive the other 70 fill before the stop sells all 100.
    assert [(f.bar, f.purpose, f.lots, f.ticks) for f in scene.fills()] == [
        (2, "entry", 30, 9_998), (4, "entry", 70, 9_998), (4, "stop", 100, 9_948)
    ]  # fmt: skip
    thin_dive = bar(10_000, 10_000, 9_900, 9_900, 500)
    scene = play([*flat(n=2), thin, thin_dive, *flat(9_900, 3)], {1: Wish(LONG, stop=50)}, settings=PATIENT)
    # 50 lots in the dive, all of them taken by the entry: the triggered stop goes on at the next open, for what was held then.
    assert [(f.bar, f.purpose, f.lots, f.ticks) for f in scene.fills()] == [
        (2, "entry", 30, 9_998), (3, "entry", 50, 9_998), (4, "entry", 20, 9_998), (4, "stop", 100, 9_898)
    ]  # fmt: skip


def test_when_the_stop_closes_a_partial_entry_the_rest_is_not_bought() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 300)
    scene = play([*flat(n=2), thin, bar(9_960, 9_960, 9_940, 9_950, 400), *flat(9_950, 4)], {1: Wish(LONG, stop=50)}, settings=PATIENT)
    # Bar 3: 40 lots in all; the entry takes them first (it rests since bar 2), the stop goes on in bar 4.
    assert sum(f.side * f.lots for f in scene.fills()) == 0
    assert scene.held() == (0, 0)
    assert int(scene.venue["n_orders"]) == 0


def test_stop_and_target_vanish_with_the_position() -> None:
    wild = bar(10_000, 11_000, 9_000, 10_000)
    scene = play([*flat(n=3), *flat(), wild, wild], {1: BRACKET, 3: Wish(0, urgency=1.0)})
    assert [(f.bar, f.purpose, f.ticks) for f in scene.fills()] == [(2, "entry", 10_001), (4, "exit", 9_999)]
    assert int(scene.venue["n_orders"]) == 0 and scene.venue["live_orders"].sum() == 0


def test_a_stop_shrinks_with_a_partial_exit() -> None:
    thin = bar(10_000, 10_000, 10_000, 10_000, 400)
    dive = bar(10_000, 10_000, 9_900, 9_900, ENDLESS)
    scene = play([*flat(n=3), *flat(), thin, dive], {1: Wish(LONG, stop=50, urgency=1.0), 3: Wish(0, urgency=1.0)})
    # 40 of 100 leave in bar 4; in bar 5 the rest leaves at the open, before the stop is touched.
    assert [(f.bar, f.purpose, f.lots) for f in scene.fills()] == [(2, "entry", 100), (4, "exit", 40), (5, "exit", 60)]
    assert scene.held() == (0, 0)


def test_a_stop_touched_without_volume_goes_on_at_the_next_open() -> None:
    dry = bar(10_000, 10_000, 9_940, 10_000, 0)
    scene = play([*flat(n=3), dry, bar(9_980, 9_980, 9_980, 9_980)], {1: BRACKET})
    # It is a market order by then: the open of 9,980, not the stop of 9,950. One tick and one basis point: 9,978.0021.
    assert scene.fills()[1] == Fill(4, "stop", SELL, LOTS, 9_978, False)


def test_a_stop_larger_than_the_bars_share_goes_on_at_the_next_open() -> None:
    thin = bar(10_000, 10_000, 9_940, 9_960, 700)
    scene = play([*flat(n=3), thin, bar(9_800, 9_800, 9_800, 9_800)], {1: BRACKET})
    assert [(f.bar, f.lots, f.ticks) for f in scene.fills()[1:]] == [(3, 70, 9_948), (4, 30, 9_798)]
    assert scene.trades["qty_lots"].tolist() == [100]


def test_strategies_that_share_a_leg_close_their_own_share_only() -> None:
    # One has a stop and wants out by a resting offer; the bar reaches both. Two stays as it is.
    scripts = {"one": {A: {1: Wish(LONG, stop=50, urgency=1.0), 3: 0}}, "two": {A: {1: NOW}}}
    wild = bar(10_000, 10_100, 9_900, 10_000)
    scene = play([*flat(n=4), wild, wild, *flat(n=3)], scripts=scripts, settings=PATIENT)
    assert scene.held() == (100, 0)
    sleeves = scene.core["sleeve"]
    assert (int(sleeves[0]["side"]), int(sleeves[256]["side"]), int(sleeves[256]["qty_lots"])) == (0, LONG, 100)
    assert int(scene.core["active_routes"]) == 0


# ---------------------------------------------------------------- gaps


@pytest.mark.jitless
def test_a_resting_order_does_not_fill_in_a_gap_but_in_the_bar_after_it() -> None:
    scene = play([*flat(n=2), *gap(5), bar(9_900, 9_900, 9_890, 9_900), *flat(9_900)], {1: LONG}, settings=PATIENT)
    # The order arrived before the bar after the gap: that bar's open decides it, and it would take: refused.
    assert scene.rows(LedgerKind.REJECTED)["code"].tolist() == [int(RejectCode.POST_ONLY)]
    scene = play([*flat(n=3), *gap(5), bar(9_900, 9_900, 9_890, 9_900)], {1: LONG}, settings=PATIENT)
    # It rested before the gap, so it fills at its limit, and the fill is known when that bar closes.
    assert scene.fills() == [Fill(8, "entry", BUY, LOTS, 9_998, True)]


def test_a_stop_behind_a_gap_fills_at_the_first_open_after_it() -> None:
    scene = play([*flat(n=3), *gap(30), bar(9_000, 9_000, 9_000, 9_000)], {1: BRACKET})
    assert scene.fills()[1] == Fill(33, "stop", SELL, LOTS, 8_998, False)  # 8,999 less one basis point: 8,998.1


# ---------------------------------------------------------------- funding


def test_funding_is_paid_at_the_mark_on_what_is_held_at_that_moment() -> None:
    tape = [*flat(n=6)]
    marks = {A: {3: (1_001.0, 1_001.0, 1_001.0)}}
    scene = play(tape, {1: NOW}, funding={A: {3: 10_000}}, marks=marks)
    # 1 base unit at a mark of 1,001.0 and a rate of 0.0001: 0.1001, paid by the long.
    assert int(scene.venue["account"]["funding_e8"]) == -10_010_000 == int(scene.core["account"]["funding_e8"])
    row = scene.rows(LedgerKind.FUNDING)[0]
    assert (row["value"], row["x0"], scene.slots(LedgerKind.FUNDING)) == (pytest.approx(-0.1001), 0.0001, [3])


@pytest.mark.parametrize(
    ("side", "rate", "amount"),
    [(LONG, 10_000, -10_000_000), (SHORT, 10_000, 10_000_000), (LONG, -25_000, 25_000_000), (SHORT, -25_000, -25_000_000)],
)
def test_longs_pay_a_positive_rate_to_shorts_and_a_negative_one_the_other_way(side: int, rate: int, amount: int) -> None:
    scene = play([*flat(n=6)], {1: Wish(side, urgency=1.0)}, funding={A: {3: rate}})
    assert int(scene.venue["account"]["funding_e8"]) == amount


@pytest.mark.parametrize(("settles", "paid"), [(0, False), (1, False), (2, True), (3, True), (4, True), (5, False)])
def test_funding_touches_positions_of_its_own_moment_only(settles: int, paid: bool) -> None:
    # In at the open of bar 2, out at the open of bar 5: held when bars 2, 3 and 4 close, and not when bar 5 closes.
    scene = play([*flat(n=7)], {1: NOW, 4: Wish(0, urgency=1.0)}, funding={A: {settles: 10_000}})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(2, "entry"), (5, "exit")]
    assert (int(scene.venue["account"]["funding_e8"]) != 0) == paid
    assert len(scene.rows(LedgerKind.FUNDING)) == int(paid)


def test_funding_is_shared_among_the_strategies_that_hold_the_leg() -> None:
    scripts = {"one": {A: {1: NOW, 4: Wish(0, urgency=1.0)}}, "two": {A: {1: NOW, 4: Wish(0, urgency=1.0)}}}
    scene = play([*flat(n=7)], scripts=scripts, funding={A: {3: 10_001}})
    account = int(scene.venue["account"]["funding_e8"])
    assert account == -20_002_000
    assert scene.trades["funding_e8"].tolist() == [-10_001_000, -10_001_000]


def test_hedge_legs_are_paid_each_on_their_own() -> None:
    scripts = {"one": {A: {1: NOW}}, "two": {A: {1: Wish(SHORT, urgency=1.0)}}}
    scene = play([*flat(n=5)], scripts=scripts, funding={A: {3: 10_000}})
    assert scene.rows(LedgerKind.FUNDING)["value"].tolist() == [pytest.approx(-0.1), pytest.approx(0.1)]
    assert scene.rows(LedgerKind.FUNDING)["code"].tolist() == [int(Leg.LONG), int(Leg.SHORT)]
    assert int(scene.venue["account"]["funding_e8"]) == 0


# ---------------------------------------------------------------- liquidation

ROUND = {1: Wish(LONG, urgency=1.0), 8: Wish(SHORT, urgency=1.0)}
EIGHT = [f"s{n}" for n in range(8)]
SMALL = {"settings": {"cash": 1_000.0}, "instrument": {"max_qty_lots": 90}}


def crash(low_a: int, low_b: int, wishes=ROUND, **options) -> Scene:
    """Play two longs of 3.6 units, bought at 1000.1 on a wallet of 1,000, into one bar with these lows that closes where it opened."""
    tapes = {
        A: [*flat(n=4), bar(10_000, 10_000, low_a, 10_000), *flat(n=8)],
        B: [*flat(n=4), bar(10_000, 10_000, low_b, 10_000), *flat(n=8)],
    }
    scripts = {name: {A if n < 4 else B: wishes} for n, name in enumerate(EIGHT)}
    return play(tapes, scripts=scripts, **SMALL, **options)


def one_leg(tape, side: int) -> Scene:
    """Play one position of 7.2 units on a wallet of 1,000, opened at the open of bar 2."""
    return play(tape, scripts={name: {A: {1: Wish(side, urgency=1.0)}} for name in EIGHT}, **SMALL)


@pytest.mark.jitless
def test_a_cross_account_dies_of_two_symbols_together_on_their_lows_and_not_their_closes() -> None:
    scene = crash(8_700, 8_600)
    fills = [f for f in scene.fills() if f.purpose == "liquidation"]
    # Each leg goes at its own low with half a spread against it: 870.0 less 1 bp is 8,699.13 ticks, 860.0 is 8,599.14.
    assert fills == [Fill(4, "liquidation", SELL, 360, 8_699, False), Fill(4, "liquidation", SELL, 360, 8_599, False)]
    entries = 8 * (90 * 10_001 * 100_000 * 5 // 10_000)
    fees = entries + sum(360 * ticks * 100_000 * 125 // 10_000 for ticks in (8_699, 8_599))
    assert int(scene.venue["account"]["fees_e8"]) == fees
    assert int(scene.totals["liquidations"]) == 1 == int(scene.venue["account"]["liquidated"])
    assert scene.held(A) == scene.held(B) == (0, 0)


def test_the_wallet_of_a_liquidated_account_is_floored_at_zero_and_the_fund_pays_the_rest() -> None:
    scene = crash(8_700, 8_600)
    loss = 360 * (10_001 - 8_699 + 10_001 - 8_599) * 100_000
    account = scene.venue["account"]
    deficit = loss + int(account["fees_e8"]) - 1_000 * 10**8
    assert deficit > 0
    assert int(account["wallet_e8"]) == 0 == int(scene.core["account"]["wallet_e8"])
    assert int(account["realised_e8"]) == deficit - loss
    assert wallet_identity_nb(account) == 0 == wallet_identity_nb(scene.core["account"])
    assert scene.rows(LedgerKind.LIQUIDATION)["cap"].tolist() == [pytest.approx(deficit / 1e8)]


def test_nothing_is_opened_after_a_liquidation() -> None:
    scene = crash(8_700, 8_600)
    assert int(scene.core["account"]["kill_switch"]) == 1
    assert [f for f in scene.fills() if f.bar > 4] == []
    assert {slot for slot, code in scene.vetoes() if code == Veto.KILL_SWITCH} == {8}  # the wishes of bar 8


@pytest.mark.parametrize(("low_a", "low_b"), [(8_700, 10_000), (10_000, 8_600), (8_800, 8_800)])
def test_an_account_survives_what_its_other_symbol_can_carry(low_a: int, low_b: int) -> None:
    assert int(crash(low_a, low_b).totals["liquidations"]) == 0


def test_liquidation_reads_the_mark_where_it_covers_the_bar_and_not_the_contract() -> None:
    calm = {symbol: dict.fromkeys(range(13), (995.0, 1000.0, 1000.0)) for symbol in (A, B)}
    assert int(crash(8_700, 8_600, marks=calm).totals["liquidations"]) == 0
    wild = {symbol: {slot: (860.0 if slot == 4 else 999.0, 1_000.0, 1_000.0) for slot in range(13)} for symbol in (A, B)}
    assert int(crash(10_000, 10_000, marks=wild).totals["liquidations"]) == 1


def test_p40_liquidation_comes_exactly_when_the_balance_no_longer_exceeds_the_maintenance() -> None:
    # 7.2 units bought at 1000.1 from a wallet of 1,000 less fees of 3.60036; maintenance is 1 % of the notional at mark.
    # 996.39964 + 7.2 (p - 1000.1) = 0.072 p  ->  p = 870.415...: a low of 8,705 lives, one of 8,704 does not.
    for low, dead in ((9_000, 0), (8_705, 0), (8_704, 1), (8_000, 1)):
        scene = one_leg([*flat(n=4), bar(10_000, 10_000, low, 10_000), *flat()], LONG)
        assert int(scene.totals["liquidations"]) == dead, low


def test_p40_a_slow_slide_is_judged_at_every_bar() -> None:
    # The band of prices that needs no look must never hide the moment.
    slide = [bar(p, p, p - 1, p - 1) for p in range(9_990, 8_690, -5)]
    scene = one_leg([*flat(n=4), *slide], LONG)
    first = next(slot for slot, row in enumerate(slide) if row[2] <= 8_704)
    assert scene.slots(LedgerKind.LIQUIDATION) == [4 + first]


def test_a_short_is_liquidated_by_the_high() -> None:
    for high, dead in ((10_500, 0), (11_200, 0), (11_400, 1)):
        scene = one_leg([*flat(n=4), bar(10_000, high, 10_000, 10_000), *flat()], SHORT)
        assert int(scene.totals["liquidations"]) == dead, high


def test_funding_alone_can_empty_an_account() -> None:
    # 7.2 units at 1,000 pay 13 % of 7,200: 936 of the wallet's 996.4, and the maintenance is 72.
    scene = play([*flat(n=6)], scripts={name: {A: {1: Wish(LONG, urgency=1.0)}} for name in EIGHT}, funding={A: {4: 13_000_000}}, **SMALL)
    assert scene.slots(LedgerKind.LIQUIDATION) == [4]


def test_resting_orders_are_taken_back_in_a_liquidation() -> None:
    wishes = {name: {A: {1: Wish(LONG, urgency=1.0)}, B: {3: Wish(LONG)}} for name in EIGHT[:7]}
    tapes = {A: [*flat(n=5), bar(10_000, 10_000, 8_000, 10_000), *flat()], B: flat(n=7)}
    scene = play(
        tapes, scripts=wishes, settings={"cash": 1_000.0, "router.wait_s": 3_600.0}, instrument={"max_qty_lots": 95, "min_notional_e8": 1}
    )
    quotes = scene.rows(LedgerKind.ACCEPTED, B)["order_id"].tolist()
    assert len(quotes) >= 3 and scene.rows(LedgerKind.CANCELED)["order_id"].tolist()[::-1] == quotes
    assert set(scene.slots(LedgerKind.CANCELED)) == {5}
    assert int(scene.venue["n_orders"]) == 0 and int(scene.core["active_routes"]) == 0
    assert scene.core["sleeve"]["pending_entry_lots"].sum() == 0


def test_liquidation_closes_every_strategys_share_and_its_fee_to_the_last_unit() -> None:
    scripts = {
        name: {A: {1: Wish(LONG, urgency=1.0, strength=strength)}} for name, strength in (("one", 1.0), ("two", 0.5), ("three", 0.33))
    }
    tape = [*flat(n=4), bar(10_000, 10_000, 3_000, 10_000), *flat()]
    scene = play(tape, scripts=scripts, settings={"cash": 1_000.0}, instrument={"max_qty_lots": 97})
    lots = scene.rows(LedgerKind.FILL)["qty_lots"].tolist()
    assert len(lots) == 4 and lots[3] == sum(lots[:3]) and len(set(lots)) == 4
    paid = round(scene.rows(LedgerKind.LIQUIDATION)[0]["cap"] * 1e8)
    assert len(scene.trades) == 3
    assert scene.trades["fees_e8"].sum() == int(scene.venue["account"]["fees_e8"])
    assert scene.trades["gross_e8"].sum() == int(scene.venue["account"]["realised_e8"]) - paid


# ---------------------------------------------------------------- what the exchange refuses


def set_venue(**options):
    """Return the venue of an empty stage that has seen one flat bar."""
    venue = session_of([*flat()], {}, **options).venue
    see_bar_nb(venue, 0, bar_rows(flat())[0])
    venue["n_reports"] = 0
    return venue


def send(venue, *, kind=RequestKind.NEW, order_id=4, type=OrderType.LIMIT, tif=TimeInForce.GTC, **fields) -> None:
    """Send the venue one request by hand: a BUY of 100 lots at 10,000 ticks unless told otherwise."""
    row = np.zeros(1, REQUEST)[0]
    plain = {"kind": kind, "order_id": order_id, "side": BUY, "leg": Leg.LONG, "type": type, "tif": tif, "purpose": Purpose.ENTRY}
    for name, value in {**plain, "qty_lots": 100, "price_ticks": 10_000, **fields}.items():
        row[name] = value
    on_request_nb(venue, row)


def match(venue, row, **day) -> None:
    """Match one bar of symbol 0 that opens long after every order arrived."""
    rows = bar_rows([row], **day)
    match_bar_nb(venue, 0, rows[0])


def told(venue) -> list[tuple]:
    """Return (kind, lots, ticks) of every report so far."""
    return [(int(r["kind"]), int(r["qty_lots"]), int(r["price_ticks"])) for r in venue["report"][: int(venue["n_reports"])]]


def refusal(venue) -> int:
    """Return the code of the last report, which must be a refusal or an acceptance."""
    row = venue["report"][int(venue["n_reports"]) - 1]
    assert row["kind"] in (ReportKind.REJECTED, ReportKind.ACCEPTED)
    return int(row["code"])


@pytest.mark.parametrize(
    ("instrument", "fields", "code"),
    [
        ({}, {}, RejectCode.NONE),
        ({"trading": 0}, {}, RejectCode.NOT_TRADING),
        ({"min_qty_lots": 101}, {}, RejectCode.QTY_TOO_SMALL),
        ({"min_qty_lots": 100}, {}, RejectCode.NONE),
        ({}, {"qty_lots": 101}, RejectCode.QTY_TOO_LARGE),
        ({"max_market_qty_lots": 99}, {"type": OrderType.MARKET, "price_ticks": 0}, RejectCode.QTY_TOO_LARGE),
        ({"lot_filter_lots": 30}, {}, RejectCode.BAD_STEP),
        ({"price_filter_ticks": 5}, {"price_ticks": 10_001}, RejectCode.BAD_TICK),
        ({}, {"price_ticks": 0}, RejectCode.BAD_TICK),
        ({"price_band_up_pct": 0.05}, {"price_ticks": 10_501}, RejectCode.PRICE_BAND_UP),
        ({"price_band_up_pct": 0.05}, {"price_ticks": 10_499}, RejectCode.NONE),
        ({"price_band_down_pct": 0.05}, {"side": SELL, "leg": Leg.SHORT, "price_ticks": 9_499}, RejectCode.PRICE_BAND_DOWN),
        ({"price_band_down_pct": 0.05}, {"side": SELL, "leg": Leg.SHORT, "price_ticks": 9_501}, RejectCode.NONE),
        ({"min_notional_e8": 1_001 * 10**8}, {}, RejectCode.MIN_NOTIONAL),
        ({"min_notional_e8": 1_000 * 10**8}, {}, RejectCode.NONE),
        ({}, {"reduce_only": 1, "side": SELL, "purpose": Purpose.EXIT}, RejectCode.REDUCE_ONLY),
    ],
)
def test_an_order_is_refused_at_arrival_with_the_exchanges_own_code(instrument: dict, fields: dict, code: RejectCode) -> None:
    venue = set_venue(instrument=instrument)
    send(venue, **fields)
    assert refusal(venue) == code
    assert int(venue["n_orders"]) == (1 if code == RejectCode.NONE else 0)


def test_margin_for_resting_entries_is_kept_and_the_order_that_exceeds_it_is_refused() -> None:
    # A wallet of 250 at leverage 10 carries 2,500 of notional: two orders of 1,000, not three.
    venue = set_venue(settings={"cash": 250.0})
    for order_id, code in ((4, RejectCode.NONE), (8, RejectCode.NONE), (12, RejectCode.MARGIN)):
        send(venue, order_id=order_id)
        assert refusal(venue) == code
    send(venue, kind=RequestKind.CANCEL, order_id=8)
    send(venue, order_id=16)
    assert refusal(venue) == RejectCode.NONE


def test_an_order_beyond_the_mark_needs_its_opening_loss_too() -> None:
    # 1,000 at leverage 10 is 100, and a bid 1 % above the mark loses 10 at once: 110.0 and a little are needed.
    for cash, code in ((111.0, RejectCode.NONE), (110.5, RejectCode.MARGIN)):
        venue = set_venue(settings={"cash": cash})
        send(venue, price_ticks=10_100)
        assert refusal(venue) == code


def test_a_cancel_of_an_order_that_is_gone_says_nothing() -> None:
    venue = set_venue()
    send(venue, kind=RequestKind.CANCEL, order_id=4)
    assert told(venue) == []


@pytest.mark.parametrize(
    ("tif", "expected"),
    [
        (TimeInForce.IOC, [ReportKind.ACCEPTED, ReportKind.FILL, ReportKind.EXPIRED]),
        (TimeInForce.GTC, [ReportKind.ACCEPTED, ReportKind.FILL]),
        (TimeInForce.GTX, [ReportKind.ACCEPTED, ReportKind.REJECTED]),
    ],
)
def test_what_does_not_fill_at_the_open_expires_rests_or_was_refused(tif: TimeInForce, expected: list) -> None:
    venue = set_venue()
    send(venue, tif=tif, price_ticks=10_010)
    match(venue, bar(10_000, 10_000, 10_000, 10_000, 400))
    assert [kind for kind, _, _ in told(venue)] == expected
    assert int(venue["n_orders"]) == (1 if tif == TimeInForce.GTC else 0)


def test_an_order_that_arrives_within_a_bar_waits_for_the_next_open() -> None:
    venue = set_venue(settings={"bar_model.entry_latency_ms": 1.0})
    first = bar_rows(flat())[0]
    send(venue, type=OrderType.MARKET, tif=TimeInForce.IOC, ts_ns=int(first["open_ns"]))
    match_bar_nb(venue, 0, first)
    assert [kind for kind, _, _ in told(venue)] == [ReportKind.ACCEPTED]
    later = first.copy()
    later["open_ns"] += 60_000_000_000
    match_bar_nb(venue, 0, later)
    assert [kind for kind, _, _ in told(venue)] == [ReportKind.ACCEPTED, ReportKind.FILL]


def test_the_order_table_refuses_when_it_is_full_instead_of_losing_an_order() -> None:
    venue = set_venue(settings={"cash": 1e9})
    for n in range(512):
        send(venue, order_id=4 * (n + 1))
    codes = venue["report"]["code"][: int(venue["n_reports"])].tolist()
    assert codes == [0] * 511 + [int(RejectCode.TOO_MANY_ORDERS)]


# ---------------------------------------------------------------- a cancel on its way


LATE = {"bar_model.entry_latency_ms": 100.0, "router.wait_s": 120.0}


def test_a_cancel_that_races_a_fill_loses_when_the_bar_fills_first() -> None:
    # Wish at bar 1; with latency the order meets bar 3. The cancel is sent at the close of bar 3 and arrives within bar 4.
    hit = bar(10_000, 10_000, 9_990, 10_000)
    scene = play([*flat(n=4), hit, *flat(n=3)], {1: LONG}, settings=LATE)
    assert scene.slots(LedgerKind.CANCEL) == [3]
    assert scene.fills() == [Fill(4, "entry", BUY, LOTS, 9_998, True)]
    assert scene.rows(LedgerKind.CANCELED).size == 0 and scene.outcomes() == ["maker"]


def test_a_cancel_on_its_way_ends_what_the_bar_left_and_the_route_goes_on() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 400)
    scene = play([*flat(n=4), thin, *flat(n=6)], {1: LONG}, settings=LATE)
    assert scene.slots(LedgerKind.CANCEL)[0] == 3 and scene.slots(LedgerKind.CANCELED)[0] == 4
    assert scene.fills()[0] == Fill(4, "entry", BUY, 40, 9_998, True)
    assert scene.rows(LedgerKind.REQUEST)["qty_lots"].tolist()[:2] == [100, 60]
    assert scene.held() == (100, 0)


def test_without_latency_a_cancel_is_done_before_the_next_bar() -> None:
    hit = bar(10_000, 10_000, 9_990, 10_000)
    scene = play([*flat(n=3), hit, *flat()], {1: LONG, 2: 0})
    assert scene.fills() == [] and scene.outcomes() == ["canceled"]
