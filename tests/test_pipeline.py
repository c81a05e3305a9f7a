"""The pipeline in whole replays: limits, switches, retries, filters and clocks, each seen to act where it should."""

from __future__ import annotations

import pytest

from simcore.decision.pipeline import consider_nb
from simcore.domain.enums import BUY, LONG, SELL, SHORT, Clamp, LedgerKind, Leg, Purpose, Screen, Veto
from simcore.domain.records import MAX_SYMBOLS
from tests.scenes import DAY_NS, LOTS, MINUTE_NS, START_NS, A, B, Fill, Scene, Wish, bar, flat, gap, play, session_of

NOW = Wish(LONG, urgency=1.0)
OUT = Wish(0, urgency=1.0)
C, D = "CCCUSDT", "DDDUSDT"
PATIENT = {"router.wait_s": 3_600.0}
DAY = DAY_NS // MINUTE_NS


def entries(scene: Scene) -> list[tuple[int, str, str]]:
    """Return (slot, strategy, symbol) of every order the gate let pass that opens something."""
    rows = scene.rows(LedgerKind.GATE_PASS)
    rows = rows[rows["value"] > 0]
    names = scene.recording.strategies
    slots = [(int(ts) - START_NS) // MINUTE_NS - 1 for ts in rows["ts_ns"]]
    return [(slot, names[r["strategy"]], scene.feed.symbols[r["symbol"]]) for slot, r in zip(slots, rows, strict=True)]


# ---------------------------------------------------------------- caps fire


@pytest.mark.jitless
def test_at_most_so_many_positions_at_once_strategies_and_symbols_in_their_order() -> None:
    scripts = {"one": {B: {1: NOW}, C: {1: NOW}}, "two": {A: {1: NOW}, B: {1: NOW}}}
    tapes = {A: flat(n=5), B: flat(n=5), C: flat(n=5)}
    scene = play(tapes, scripts=scripts, limits={"max_concurrent_positions": 3})
    assert entries(scene) == [(1, "one", B), (1, "one", C), (1, "two", A)]
    row = scene.rows(LedgerKind.GATE_VETO)[0]
    assert (int(row["code"]), float(row["value"]), float(row["cap"]), float(row["x0"])) == (Veto.MAX_CONCURRENT_POSITIONS, 4.0, 3.0, 1.0)
    assert int(scene.totals["gate_vetoes"]) == 1


def test_a_place_that_came_free_is_taken_at_the_next_try() -> None:
    tapes = {A: flat(n=24), B: flat(n=24)}
    scene = play(tapes, {A: {1: NOW, 5: OUT}, B: {1: NOW}}, limits={"max_concurrent_positions": 1})
    assert entries(scene) == [(1, "script", A), (11, "script", B)]


def test_a_tier_has_its_own_places_and_its_own_share() -> None:
    tiers = {
        "pairs_universe.symbols": {
            name: [{"tier": tier, "quote_asset": "USDT", "valid_from": "2020-01-01"}]
            for name, tier in ((A, "mid"), (B, "mid"), (C, "large"))
        }
    }
    tapes = {A: flat(n=4), B: flat(n=4), C: flat(n=4)}
    places = play(tapes, {1: NOW}, files=tiers, limits={"per_tier": {"mid": {"max_tier_positions": 1}}})
    assert [symbol for _, _, symbol in entries(places)] == [A, C]
    assert places.vetoes() == [(1, Veto.MAX_TIER_POSITIONS)]
    share = play(tapes, {1: NOW}, files=tiers, limits={"per_tier": {"mid": {"max_tier_nav_pct": 0.015}}})
    # 1.5 % of 100,000 is 1,500: A takes 1,003 at worst, B what is left of it.
    assert share.rows(LedgerKind.SIZE)["code"].tolist() == [Clamp.MAX_QTY, Clamp.TIER_NAV, Clamp.MAX_QTY]
    assert share.rows(LedgerKind.GATE_PASS)["qty_lots"].tolist() == [100, 49, 100]


def test_a_strategy_has_its_own_places_and_its_own_share() -> None:
    tapes = {A: flat(n=4), B: flat(n=4)}
    scripts = {"one": {A: {1: NOW}, B: {1: NOW}}, "two": {A: {1: NOW}, B: {1: NOW}}}
    scene = play(tapes, scripts=scripts, own={"one": {"limits": {"max_strategy_positions": 1}}})
    assert entries(scene) == [(1, "one", A), (1, "two", A), (1, "two", B)]
    assert scene.vetoes() == [(1, Veto.MAX_STRATEGY_POSITIONS)]
    scene = play(tapes, scripts=scripts, own={"two": {"limits": {"max_strategy_nav_pct": 0.012}}})
    assert scene.rows(LedgerKind.GATE_PASS)["qty_lots"].tolist() == [100, 100, 100, 19]


@pytest.mark.parametrize(
    ("limit", "lots", "clamp"),
    [
        ({"max_trade_nav_pct": 0.005}, 49, Clamp.TRADE_NAV),  # 500 / 10.03 a lot at the cap price
        ({"max_order_notional": 300.0}, 29, Clamp.ORDER_NOTIONAL),
        ({"max_symbol_nav_pct": 0.0021}, 20, Clamp.SYMBOL_NAV),
        ({"max_gross_nav_pct": 0.004}, 39, Clamp.GROSS_NAV),
        ({"max_net_nav_pct": 0.003}, 29, Clamp.NET_NAV),
        ({"max_leverage": 0.0075}, 74, Clamp.LEVERAGE),
    ],
)
def test_every_cap_bounds_the_size_and_names_itself(limit: dict, lots: int, clamp: Clamp) -> None:
    # The suggestion is 500 times the NAV; the limits leave what they leave.
    scene = play(flat(n=4), {1: NOW}, limits=limit, sizing={"method": "volatility_target", "target_sigma_day": 10.0})
    assert scene.rows(LedgerKind.SIZE)["code"].tolist() == [clamp]
    assert [f.lots for f in scene.fills()] == [lots]


def test_pending_orders_count_before_they_fill() -> None:
    tapes = {A: flat(n=6), B: flat(n=6)}
    scene = play(tapes, {A: {1: LONG}, B: {3: LONG}}, settings=PATIENT, limits={"max_concurrent_positions": 1})
    assert entries(scene) == [(1, "script", A)] and scene.vetoes() == [(3, Veto.MAX_CONCURRENT_POSITIONS)]
    assert scene.fills() == []


# ---------------------------------------------------------------- retries


@pytest.mark.parametrize(("retry_s", "slots"), [(600.0, [1, 11, 21]), (300.0, [1, 6, 11, 16, 21, 26]), (0.0, [1])])
def test_a_refused_wish_is_tried_again_after_the_retry_time_and_not_earlier(retry_s: float, slots: list[int]) -> None:
    scene = play(flat(n=30), {1: NOW}, settings={"entry_retry_s": retry_s}, screen={"min_volume_day_usd": 1e12})
    assert [slot for slot, _ in scene.screens()] == slots
    assert {code for _, code in scene.screens()} == {Screen.MIN_VOLUME_DAY_USD}
    assert int(scene.totals["signals"]) == 1 and int(scene.totals["screen_vetoes"]) == len(slots)


def test_a_wish_that_changed_is_tried_at_once() -> None:
    scene = play(flat(n=8), {1: NOW, 4: Wish(SHORT, urgency=1.0)}, screen={"min_volume_day_usd": 1e12})
    assert [slot for slot, _ in scene.screens()] == [1, 4]


def test_a_retry_that_passes_goes_through() -> None:
    scene = play(flat(n=14), {1: NOW}, screen={"warmup_bars": 10})
    assert scene.screens() == [(1, Screen.WARMUP)]
    row = scene.rows(LedgerKind.SCREEN_VETO)[0]
    assert (float(row["value"]), float(row["cap"])) == (2.0, 10.0)
    assert scene.fills() == [Fill(12, "entry", BUY, LOTS, 10_001, False)]


# ---------------------------------------------------------------- gaps and cool-downs


def test_after_a_gap_entries_wait_for_as_many_bars_as_the_screen_says() -> None:
    tape = [*flat(n=3), *gap(4), *flat(n=6)]
    for wish_at, passes in ((3, False), (4, False), (5, True)):  # bars since the gap: 0, 1, 2
        scene = play(tape, {wish_at: NOW}, screen={"after_gap_bars": 2})
        assert (scene.screens() == []) == passes, wish_at
        if not passes:
            row = scene.rows(LedgerKind.SCREEN_VETO)[0]
            assert (int(row["code"]), float(row["value"]), float(row["cap"])) == (Screen.AFTER_GAP_BARS, wish_at - 3.0, 2.0)


def test_an_exit_is_not_held_back_by_a_gap() -> None:
    scene = play([*flat(n=3), *gap(4), *flat(n=3)], {1: NOW, 3: OUT}, screen={"after_gap_bars": 50})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [] and scene.screens() == [(1, Screen.AFTER_GAP_BARS)]
    scene = play([*flat(n=60), *gap(4), *flat(n=3)], {55: NOW, 60: OUT}, screen={"after_gap_bars": 50})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(56, "entry"), (65, "exit")]


def test_a_cool_down_counts_from_the_exit() -> None:
    scene = play(flat(n=20), {1: NOW, 3: OUT, 5: NOW}, screen={"cool_down_s": 300.0}, settings={"entry_retry_s": 60.0})
    # Out in bar 4, whose open is its exit: 240 seconds have passed at the close of bar 7, 300 at that of bar 8.
    assert [slot for slot, _ in scene.screens()] == [5, 6, 7]
    assert [f.bar for f in scene.fills()] == [2, 4, 9]


def test_no_entry_shortly_before_a_payment_it_would_make() -> None:
    settles = {A: {0: 100_000}}  # ten basis points, the next in eight hours
    tape = flat(n=490)
    scene = play(
        tape,
        {475: NOW},
        funding=settles,
        screen={"funding_window_s": 600.0, "max_adverse_funding_bps": 5.0},
        settings={"entry_retry_s": 300.0},
    )
    # The settlement is at the close of bar 480; the window is the ten minutes before it.
    assert scene.screens() == [(475, Screen.FUNDING_WINDOW_S)] and [f.bar for f in scene.fills()] == [481]
    assert (
        play(
            tape, {475: Wish(SHORT, urgency=1.0)}, funding=settles, screen={"funding_window_s": 600.0, "max_adverse_funding_bps": 5.0}
        ).screens()
        == []
    )


# ---------------------------------------------------------------- losses and switches

CRASH = [*flat(n=4), *flat(8_000, 8)]


def test_the_kill_switch_latches_at_the_drawdown_and_closes_everything() -> None:
    # 200 lost of 2,000 is 10 % from the peak.
    tapes = {A: CRASH, B: flat(n=12)}
    scene = play(
        tapes, {A: {1: NOW}, B: {1: NOW, 8: OUT}}, settings={"cash": 2_000.0, "entry_retry_s": 60.0}, limits={"max_drawdown_pct": 0.05}
    )
    kill = scene.rows(LedgerKind.KILL_SWITCH)
    assert (
        scene.slots(LedgerKind.KILL_SWITCH) == [4]
        and float(kill["value"][0]) == pytest.approx(0.1, abs=0.001)
        and float(kill["cap"][0]) == 0.05
    )
    assert [(f.bar, f.purpose, f.ticks) for f in scene.fills()[2:]] == [(5, "kill", 7_999), (5, "kill", 9_999)]
    assert scene.trades["exit_purpose"].tolist() == [Purpose.KILL] * 2
    assert int(scene.core["account"]["kill_switch"]) == Veto.MAX_DRAWDOWN_PCT


def test_nothing_is_opened_while_the_kill_switch_is_latched_not_even_on_another_day() -> None:
    tape = [*CRASH, *flat(8_000, DAY)]
    scene = play(tape, {1: NOW, 8: Wish(SHORT, urgency=1.0)}, settings={"cash": 2_000.0}, limits={"max_drawdown_pct": 0.05})
    assert [f.purpose for f in scene.fills()] == ["entry", "kill"]
    killed = [slot for slot, code in scene.vetoes() if code == Veto.KILL_SWITCH]
    assert killed == list(range(8, len(tape), 10))


def test_without_flatten_the_kill_switch_only_stops_entries() -> None:
    scene = play(
        {A: CRASH, B: flat(n=12)},
        {A: {1: NOW}, B: {6: NOW}},
        settings={"cash": 2_000.0, "kill_switch.flatten": False},
        limits={"max_drawdown_pct": 0.05},
    )
    assert [f.purpose for f in scene.fills()] == ["entry"] and scene.held(A) == (100, 0)
    assert Veto.KILL_SWITCH in {code for _, code in scene.vetoes()}


def test_the_kill_switch_takes_resting_entries_back() -> None:
    scene = play(
        {A: CRASH, B: flat(n=12)}, {A: {1: NOW}, B: {2: LONG}}, settings={"cash": 2_000.0, **PATIENT}, limits={"max_drawdown_pct": 0.05}
    )
    assert scene.slots(LedgerKind.CANCELED) == [4] and scene.held(B) == (0, 0)
    assert scene.core["sleeve"]["pending_entry_lots"].sum() == 0 and int(scene.venue["n_orders"]) == 0


def test_the_kill_switch_ends_the_patience_of_an_exit_that_is_under_way() -> None:
    scene = play(
        {A: CRASH, B: flat(n=12)},
        {A: {1: NOW}, B: {1: NOW, 3: 0}},
        settings={"cash": 2_000.0, **PATIENT},
        limits={"max_drawdown_pct": 0.05},
    )
    assert [(f.bar, f.purpose, f.ticks) for f in scene.fills(B)] == [(2, "entry", 10_001), (5, "exit", 9_999)]


def test_an_entry_that_fills_after_the_kill_switch_latched_is_closed_again() -> None:
    # The cancel is under way while the bar fills the order.
    late = {"cash": 2_000.0, "bar_model.entry_latency_ms": 100.0, **PATIENT}
    tapes = {A: [*flat(n=5), *flat(8_000, 8)], B: [*flat(n=6), bar(10_000, 10_000, 9_990, 10_000), *flat(n=6)]}
    scene = play(tapes, {A: {1: NOW}, B: {2: LONG}}, settings=late, limits={"max_drawdown_pct": 0.05})
    assert scene.slots(LedgerKind.KILL_SWITCH) == [5]
    assert [(f.bar, f.purpose) for f in scene.fills(B)] == [(6, "entry"), (8, "kill")]
    assert scene.held(A) == scene.held(B) == (0, 0)


def test_the_days_loss_stops_entries_until_midnight() -> None:
    tapes = {A: [*flat(n=4), *flat(8_000, DAY + 20)], B: flat(n=DAY + 24)}
    scene = play(tapes, {A: {1: NOW}, B: {6: NOW}}, settings={"cash": 2_000.0}, limits={"max_daily_loss_pct": 0.05})
    tried = [slot for slot, code in scene.vetoes() if code == Veto.MAX_DAILY_LOSS_PCT]
    # Every ten minutes of the first day; the bar that closes at midnight is slot 1439, so slot 1446 is the first try of the next.
    assert tried == list(range(6, 1_440, 10))
    assert entries(scene)[1] == (1_446, "script", B)
    row = scene.rows(LedgerKind.GATE_VETO)[0]
    assert float(row["value"]) == pytest.approx(200.6 / 2_000.0, abs=2e-4) and float(row["cap"]) == 0.05


def test_every_day_starts_with_a_row_that_says_what_its_loss_is_measured_from() -> None:
    scene = play([*flat(n=4), *flat(8_000, DAY)], {1: NOW}, settings={"cash": 2_000.0})
    rows = scene.rows(LedgerKind.DAY)
    assert scene.slots(LedgerKind.DAY) == [0, 1_439]
    assert rows["value"].tolist() == [pytest.approx(2_000.0), pytest.approx(2_000.0 - 0.50005 - 200.1)]


def test_exits_pass_while_every_limit_on_entries_is_broken() -> None:
    tapes = {A: CRASH, B: flat(n=12), C: flat(n=12)}
    broken = {"max_drawdown_pct": 0.01, "max_daily_loss_pct": 0.01, "max_orders_per_minute": 1, "max_concurrent_positions": 3}
    wishes = {A: {0: NOW, 5: OUT}, B: {1: NOW, 5: OUT}, C: {2: NOW, 5: OUT}}
    scene = play(tapes, wishes, settings={"cash": 4_000.0, "kill_switch.flatten": False}, limits=broken)
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(1, "entry"), (2, "entry"), (3, "entry"), (6, "exit"), (6, "exit"), (6, "exit")]
    assert scene.vetoes() == []


def test_only_so_many_orders_a_minute_and_the_rest_come_up_again() -> None:
    tapes = {A: flat(n=14), B: flat(n=14), C: flat(n=14)}
    scene = play(tapes, {1: NOW}, limits={"max_orders_per_minute": 2})
    assert entries(scene) == [(1, "script", A), (1, "script", B), (11, "script", C)]
    row = scene.rows(LedgerKind.GATE_VETO)[0]
    assert (int(row["code"]), float(row["value"]), float(row["cap"])) == (Veto.MAX_ORDERS_PER_MINUTE, 3.0, 2.0)


def test_a_nav_or_a_market_that_is_too_old_vetoes() -> None:
    limits = {"nav_max_age_s": 120.0, "market_max_age_s": 180.0}
    for nav_age, market_age, kind, code in (
        (0, 0, LedgerKind.GATE_PASS, 0), (120, 0, LedgerKind.GATE_PASS, 0), (121, 0, LedgerKind.GATE_VETO, Veto.NAV_STALE),
        (0, 180, LedgerKind.GATE_PASS, 0), (0, 181, LedgerKind.SCREEN_VETO, Screen.MARKET_MAX_AGE_S),
    ):  # fmt: skip
        scene = session_of(flat(n=4), {}, limits=limits)
        scene.session.advance(max_slices=2)
        scene.session.collect()
        core = scene.core
        core["account"]["nav_ts_ns"] = core["now_ns"] - nav_age * 10**9
        core["market"][0]["ts_ns"] = core["now_ns"] - market_age * 10**9
        core["signal"][0]["side"], core["signal"][0]["urgency"] = LONG, 1.0
        consider_nb(core, 0, 0)
        rows = core["ledger"][: int(core["n_ledger"])]
        assert (int(kind), int(code)) in {(int(row["kind"]), int(row["code"])) for row in rows}, (nav_age, market_age)


# ---------------------------------------------------------------- filters by date


def test_order_sizes_follow_the_step_in_force() -> None:
    change = {A: {5: {"lot_filter_lots": 30, "min_qty_lots": 30}}}
    scene = play(flat(n=14), {1: NOW, 3: OUT, 7: NOW}, filters=change)
    assert [(f.bar, f.lots) for f in scene.fills()] == [(2, 100), (4, 100), (8, 90)]
    rows = scene.rows(LedgerKind.FILTER)
    assert scene.slots(LedgerKind.FILTER) == [5] and rows["value"].tolist() == [30.0] and rows["cap"].tolist() == [5.0]


def test_prices_follow_the_tick_in_force() -> None:
    scene = play([*flat(n=3), bar(10_000, 10_000, 9_900, 10_000), *flat(n=2)], {1: LONG}, filters={A: {2: {"price_filter_ticks": 25}}})
    assert scene.rows(LedgerKind.REQUEST)["price_ticks"].tolist()[:2] == [9_998, 9_975]


def test_what_was_bought_under_a_finer_step_is_sold_whole() -> None:
    change = {A: {5: {"lot_filter_lots": 30, "min_qty_lots": 30, "max_qty_lots": 60}}}
    scene = play(flat(n=16), {1: NOW, 7: OUT}, filters=change)
    assert [(f.bar, f.purpose, f.lots) for f in scene.fills()][0] == (2, "entry", 100)
    assert scene.held() == (0, 0) and int(scene.core["active_routes"]) == 0
    assert scene.rows(LedgerKind.REJECTED).size == 0


@pytest.mark.parametrize(("least", "goes"), [(997, True), (1_000, True), (1_001, False), (2_000, False)])
def test_an_order_below_the_exchanges_minimum_is_not_sent(least: int, goes: bool) -> None:
    # Two quotes the gate may let pass: 999.8 as a maker is what the exchange would judge.
    scene = play(flat(n=4), {1: LONG}, instrument={"min_notional_e8": least * 10**8 - 2 * 10**7})
    assert (len(scene.rows(LedgerKind.REQUEST)) > 0) == goes
    assert scene.rows(LedgerKind.REJECTED).size == 0
    if not goes:
        assert scene.rows(LedgerKind.SIZE)["qty_lots"].tolist() == [0]


# ---------------------------------------------------------------- one-way mode


def test_one_way_mode_keeps_one_signed_position() -> None:
    scene = play(flat(n=10), {1: NOW, 4: Wish(SHORT, urgency=1.0)}, settings={"position_mode": "one_way"}, funding={A: {8: 10_000}})
    assert [(f.bar, f.side) for f in scene.fills()] == [(2, BUY), (5, SELL), (6, SELL)]
    assert scene.held() == (-100, 0)
    assert scene.rows(LedgerKind.FUNDING)["code"].tolist() == [int(Leg.BOTH)]
    assert int(scene.venue["account"]["funding_e8"]) == 10_000_000


def test_one_way_mode_is_liquidated_like_any_other() -> None:
    scene = play([*flat(n=4), *flat(20_000, 3)], {1: Wish(SHORT, urgency=1.0)}, settings={"position_mode": "one_way", "cash": 1_005.0})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(2, "entry"), (4, "liquidation")]
    assert int(scene.venue["account"]["wallet_e8"]) == 0


# ---------------------------------------------------------------- timeframes


def test_a_strategy_of_a_coarser_timeframe_decides_at_its_own_bars() -> None:
    scene = play(flat(n=20), {1: NOW}, intervals={"script": "5m"})
    # Its second bar closes with slot 9.
    assert scene.slots(LedgerKind.SIGNAL) == [9] and [f.bar for f in scene.fills()] == [10]


def test_two_timeframes_run_side_by_side_on_their_own_clocks() -> None:
    scripts = {"slow": {A: {1: NOW}}, "quick": {A: {1: NOW, 3: OUT, 5: NOW}}}
    scene = play(flat(n=12), scripts=scripts, intervals={"slow": "5m"})
    rows = scene.rows(LedgerKind.SIGNAL)
    names = scene.recording.strategies
    assert [(names[r["strategy"]], slot) for r, slot in zip(rows, scene.slots(LedgerKind.SIGNAL), strict=True)] == [
        ("quick", 1), ("quick", 3), ("quick", 5), ("slow", 9)
    ]  # fmt: skip
    assert int(scene.core["sleeve"][MAX_SYMBOLS]["side"]) == LONG


def test_a_strategy_that_is_not_meant_for_a_symbol_never_trades_it() -> None:
    scene = play({A: flat(n=5), B: flat(n=5)}, {1: NOW}, own={"script": {"symbols": [B]}})
    assert [symbol for _, _, symbol in entries(scene)] == [B] and int(scene.totals["signals"]) == 1


# ---------------------------------------------------------------- stops around the arrival price


@pytest.mark.parametrize(("side", "stop", "target"), [(LONG, 9_950, 10_080), (SHORT, 10_050, 9_920)])
def test_levels_stand_at_their_distance_from_the_price_of_the_decision(side: int, stop: int, target: int) -> None:
    scene = play(flat(n=4), {1: Wish(side, stop=50, target=80, urgency=1.0)})
    sleeve = scene.core["sleeve"][0]
    assert (int(sleeve["stop_ticks"]), int(sleeve["target_ticks"])) == (stop, target)
    live = scene.venue["order"][: int(scene.venue["n_orders"])]
    assert sorted(live["price_ticks"][live["active"] == 1].tolist()) == sorted((stop, target))


def test_levels_lie_on_the_exchanges_tick_the_stop_nearer_the_target_farther() -> None:
    scene = play(flat(n=4), {1: Wish(LONG, stop=53, target=53, urgency=1.0)}, instrument={"price_filter_ticks": 25})
    sleeve = scene.core["sleeve"][0]
    assert (int(sleeve["stop_ticks"]), int(sleeve["target_ticks"])) == (9_950, 10_075)
