"""Every limit of the gate by name: what passes at the limit, what is refused beyond it, and what the refusal says."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcore.config import load_config
from simcore.config.resolve import default_folder
from simcore.decision.risk_gate import (
    account,
    check_order,
    clear_kill_switch,
    intent,
    latch_kill_switch_nb,
    limits,
    missing_inputs,
    record,
)
from simcore.domain.enums import Veto
from simcore.domain.records import ACCOUNT, INTENT, LIMITS

pytestmark = pytest.mark.jitless
S = 1_000_000_000
NAV = 1_000.0

# One row a limit: the limits, what meets them exactly, what goes beyond, and the two numbers that are then compared.
# An entry is worth 60.0 in a book of 1,000.0 unless the row says otherwise.
TABLE: dict[str, tuple[dict, dict, dict, tuple[float, float]]] = {
    "nav_stale": ({"nav_max_age_ns": 10 * S}, {"nav_ts_ns": 90 * S}, {"nav_ts_ns": 89 * S}, (11.0, 10.0)),
    "market_stale": ({"market_max_age_ns": 10 * S}, {"market_ts_ns": 90 * S}, {"market_ts_ns": 88 * S}, (12.0, 10.0)),
    "kill_switch": ({}, {"kill_switch": 0}, {"kill_switch": 21}, (21.0, 0.0)),
    "symbol_not_trading": ({}, {"trading": 1}, {"trading": 0}, (0.0, 1.0)),
    "min_notional": ({}, {"min_notional_e8": 60 * 10**8}, {"min_notional_e8": 61 * 10**8}, (60.0, 61.0)),
    "max_order_notional": ({"max_order_notional": 60.0}, {"notional": 60.0}, {"notional": 60.1}, (60.1, 60.0)),
    "max_trade_nav_pct": ({"max_trade_nav_pct": 0.0625}, {"notional": 62.5}, {"notional": 62.6}, (62.6, 62.5)),
    "max_symbol_nav_pct": ({"max_symbol_nav_pct": 0.25}, {"symbol_gross": 190.0}, {"symbol_gross": 191.0}, (251.0, 250.0)),
    "max_tier_nav_pct": ({"max_tier_nav_pct": 0.25}, {"tier_gross": 190.0}, {"tier_gross": 191.0}, (251.0, 250.0)),
    "max_strategy_nav_pct": ({"max_strategy_nav_pct": 0.25}, {"strategy_gross": 190.0}, {"strategy_gross": 192.0}, (252, 250)),
    "max_gross_nav_pct": ({"max_gross_nav_pct": 1.5}, {"gross": 1_440.0}, {"gross": 1_441.0}, (1_501.0, 1_500.0)),
    "max_net_nav_pct": ({"max_net_nav_pct": 0.5}, {"net": 440.0}, {"net": 441.0}, (501.0, 500.0)),
    "max_leverage": ({"max_leverage": 2.0}, {"gross": 1_940.0}, {"gross": 1_950.0}, (2.01, 2.0)),
    "max_concurrent_positions": ({"max_concurrent_positions": 3}, {"open_positions": 2}, {"open_positions": 3}, (4.0, 3.0)),
    "max_tier_positions": ({"max_tier_positions": 3}, {"tier_positions": 2}, {"tier_positions": 3}, (4.0, 3.0)),
    "max_strategy_positions": ({"max_strategy_positions": 3}, {"strategy_positions": 2}, {"strategy_positions": 3}, (4.0, 3.0)),
    "min_free_margin_pct": ({"min_free_margin_pct": 0.25}, {"available": 262.0}, {"available": 252.0}, (0.24, 0.25)),
    "min_liquidation_distance_pct": (
        {"min_liquidation_distance_pct": 0.5}, {"gross": 1_938.0, "mmr": 0.0, "maintenance_margin": 1.0},
        {"gross": 1_940.0, "mmr": 0.0, "maintenance_margin": 100.0}, (0.45, 0.5),
    ),
    "max_daily_loss_pct": ({"max_daily_loss_pct": 0.05}, {"day_loss_pct": 0.05}, {"day_loss_pct": 0.06}, (0.06, 0.05)),
    "max_drawdown_pct": ({"max_drawdown_pct": 0.3}, {"drawdown_pct": 0.3}, {"drawdown_pct": 0.31}, (0.31, 0.3)),
    "max_orders_per_minute": ({"max_orders_per_minute": 3}, {"orders_in_minute": 2}, {"orders_in_minute": 3}, (4.0, 3.0)),
    "price_collar_pct": ({"price_collar_pct": 0.25}, {"mark": 80.0}, {"mark": 62.5}, (0.6, 0.25)),
    "qty_filter": ({}, {"step_lots": 200}, {"step_lots": 7}, (600.0, 595.0)),
}  # fmt: skip


def state(given: dict[str, Any]) -> tuple[Any, Any]:
    """An order and books from field names of either; both known at 100 s."""
    books = {
        name: value for name, value in given.items() if name in ACCOUNT.names and name not in ("gross", "net", "open_positions")
    }
    order = {name: value for name, value in given.items() if name in INTENT.names}
    return intent(**{"market_ts_ns": 100 * S, **order}), account(**{"nav": NAV, "nav_ts_ns": 100 * S, **books})


@pytest.mark.parametrize("name", TABLE)
def test_at_the_limit_an_order_passes_and_beyond_it_is_refused(name: str) -> None:
    rules, at, beyond, compared = TABLE[name]
    assert check_order(*state(at), limits(**rules), 100 * S)[0] is False
    veto, detail = check_order(*state(beyond), limits(**rules), 100 * S)
    assert (veto, detail["reason"], detail["code"]) == (True, name, int(Veto[name.upper()]))
    assert (detail["value"], detail["cap"]) == pytest.approx(compared)
    assert [entry["reason"] for entry in detail["failing"]] == [name]


def test_the_table_names_every_limit_of_an_entry() -> None:
    assert set(TABLE) == {v.name.lower() for v in Veto} - {"none", "context_missing", "reduce_only"}


def test_the_source_says_where_a_person_changes_the_number() -> None:
    risk = json.loads((default_folder() / "risk_limits.json").read_text())
    for name, (rules, _, beyond, _) in TABLE.items():
        source = check_order(*state(beyond), limits(**rules), 100 * S)[1]["failing"][0]["source"]
        if source.startswith("risk_limits.json: "):
            assert source.removeprefix("risk_limits.json: ") in risk
        else:
            assert source.startswith(("exchange", "latched")), name


@pytest.mark.parametrize("name", [name for name in LIMITS.names if name.startswith("max_") and name.endswith("nav_pct")])
def test_caps_count_the_tradable_nav_so_reserves_shrink_them(name: str) -> None:
    order, books = state({"reserve_nav": 400.0})
    _, detail = check_order(order, books, limits(**{name: 0.05}), 100 * S)
    assert (detail["reason"], detail["cap"]) == (name, 30.0)
    assert (detail["equity"], detail["tradable_nav"]) == (1_000.0, 600.0)


def test_when_reserves_take_all_nothing_may_go_even_without_limits() -> None:
    _, detail = check_order(*state({"reserve_nav": 1_000.0}), limits(), 100 * S)
    assert (detail["reason"], detail["cap"], detail["headroom"]) == ("max_trade_nav_pct", 0.0, 0.0)


def test_the_bracket_bounds_the_symbol_as_the_limit_bounds_the_account() -> None:
    order, books = state({"symbol_gross": 1_950.0, "gross": 1_950.0, "leverage": 2.0})
    _, detail = check_order(order, books, limits(), 100 * S)
    assert (detail["reason"], detail["value"], detail["cap"]) == ("max_leverage", 2.01, 2.0)


def test_the_cost_to_open_counts_the_loss_an_order_opens_with() -> None:
    # 200.0 at 100.0, mark 90.0: margin 40.0 and 2 contracts x 10.0 of loss; the exchange would take 60.0 of what is free.
    order, books = state({"notional": 200.0, "mark": 90.0, "leverage": 5.0, "available": 100.0})
    _, detail = check_order(order, books, limits(min_free_margin_pct=0.05), 100 * S)
    assert (detail["reason"], detail["value"]) == ("min_free_margin_pct", pytest.approx(0.04))
    cheap, books = state({"notional": 200.0, "mark": 110.0, "leverage": 5.0, "available": 100.0})
    assert check_order(cheap, books, limits(min_free_margin_pct=0.06), 100 * S)[0] is False


def test_a_net_beyond_its_cap_waits_for_exits_not_for_entries() -> None:
    # A buy of 900.0 would end at +300.0, but a piece of it would leave the book at -500.0.
    order, books = state({"net": -600.0, "notional": 900.0})
    _, detail = check_order(order, books, limits(max_net_nav_pct=0.5), 100 * S)
    assert (detail["reason"], detail["value"], detail["cap"]) == ("max_net_nav_pct", 600.0, 500.0)


def test_adding_to_an_open_position_needs_no_free_place() -> None:
    crowded = {"open_positions": 3, "tier_positions": 3, "strategy_positions": 3}
    full = limits(max_concurrent_positions=3, max_tier_positions=3, max_strategy_positions=3)
    assert check_order(*state({**crowded, "new_position": 0}), full, 100 * S)[0] is False
    _, detail = check_order(*state(crowded), full, 100 * S)
    names = [entry["reason"] for entry in detail["failing"]]
    assert names == ["max_concurrent_positions", "max_tier_positions", "max_strategy_positions"]


def test_every_failing_limit_is_listed_and_the_first_follows_the_numbers() -> None:
    order, books = state({"notional": 900.0, "gross": 2_000.0, "trading": 0, "kill_switch": 21})
    rules = limits(max_trade_nav_pct=0.05, max_gross_nav_pct=1.5, max_order_notional=500.0)
    veto, detail = check_order(order, books, rules, 100 * S)
    names = [entry["reason"] for entry in detail["failing"]]
    assert names == ["kill_switch", "symbol_not_trading", "max_order_notional", "max_trade_nav_pct", "max_gross_nav_pct"]
    assert (veto, detail["reason"]) == (True, "kill_switch")


def test_an_accepted_order_says_how_much_room_there_was() -> None:
    order, books = state({"symbol_gross": 90.0})
    veto, detail = check_order(order, books, limits(max_symbol_nav_pct=0.25, max_trade_nav_pct=0.2), 100 * S)
    assert (veto, detail["reason"], detail["code"], detail["value"], detail["cap"]) == (False, "none", 0, None, None)
    assert (detail["headroom"], detail["headroom_clamp"], detail["trade_nav_cap"]) == (160.0, "symbol_nav", 200.0)
    assert detail["nav_fresh"] is True and detail["missing"] == []


def test_a_time_stamp_from_the_future_is_not_fresh() -> None:
    _, detail = check_order(*state({"nav_ts_ns": 101 * S, "market_ts_ns": 101 * S}), limits(), 100 * S)
    assert [entry["reason"] for entry in detail["failing"]] == ["nav_stale", "market_stale"]
    assert detail["nav_fresh"] is False


# ---------------------------------------------------------------- exits


def exit_order(**given: Any) -> Any:
    return intent(**{"reduce_only": 1, "side": -1, "qty_lots": 600, "reducible_lots": 600.0, **given})


def test_an_exit_passes_where_no_entry_would() -> None:
    shut = limits(**{name: 0 for name in LIMITS.names if name.startswith("max_") or name.endswith("max_age_ns")})
    ruined = account(
        nav=-50.0, known=0, kill_switch=21, drawdown_pct=1.0, day_loss_pct=1.0, available=-50.0, orders_in_minute=999
    )
    assert check_order(exit_order(), ruined, shut, 100 * S)[0] is False
    assert check_order(intent(qty_lots=600), ruined, shut, 100 * S)[0] is True


def test_an_exit_is_exempt_from_the_minimum_notional_as_on_the_exchange() -> None:
    assert check_order(exit_order(min_notional_e8=10**12), account(), limits(), 0)[0] is False


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"qty_lots": 601}, "reduce_only"),
        ({"reducible_lots": 0.0}, "reduce_only"),
        ({"reducible_lots": math.nan}, "context_missing"),
        ({"qty_lots": 0}, "context_missing"),
        ({"side": 0}, "context_missing"),
        ({"step_lots": 7}, "qty_filter"),
        ({"max_qty_lots": 599}, "qty_filter"),
    ],
)
def test_an_exit_answers_for_its_own_quantity_only(given: dict[str, Any], reason: str) -> None:
    veto, detail = check_order(exit_order(**given), account(), limits(), 0)
    assert (veto, detail["reason"]) == (True, reason)


def test_an_order_across_zero_answers_for_what_it_opens() -> None:
    across = {"crosses_zero": 1, "reducible_lots": 400.0, "side": 1, "net": -40.0, "symbol_gross": 40.0, "qty_lots": 600}
    assert check_order(intent(**across), account(nav=NAV), limits(max_trade_nav_pct=0.02), 0)[0] is False
    _, detail = check_order(intent(**across), account(nav=NAV), limits(max_trade_nav_pct=0.019), 0)
    assert (detail["reason"], detail["value"]) == ("max_trade_nav_pct", 20.0)
    # A reduce-only flag does not turn the opening part into an exit.
    assert check_order(intent(reduce_only=1, **across), account(nav=NAV, kill_switch=21), limits(), 0)[0] is True


# ---------------------------------------------------------------- kill switch


def test_the_kill_switch_latches_beyond_the_drawdown_and_stays() -> None:
    books, rules = account(nav=699.0, peak_nav=1_000.0, drawdown_pct=0.301), limits(max_drawdown_pct=0.3)
    assert latch_kill_switch_nb(books, rules, 7) == Veto.MAX_DRAWDOWN_PCT
    assert (books["kill_switch"], books["kill_ts_ns"]) == (Veto.MAX_DRAWDOWN_PCT, 7)
    assert latch_kill_switch_nb(books, rules, 8) == 0
    books["drawdown_pct"] = 0.0
    assert latch_kill_switch_nb(books, rules, 9) == 0
    assert (books["kill_switch"], books["kill_ts_ns"]) == (Veto.MAX_DRAWDOWN_PCT, 7)
    assert check_order(intent(), books, rules, 0)[1]["reason"] == "kill_switch"


def test_at_the_drawdown_limit_it_does_not_latch_and_a_daily_loss_never_does() -> None:
    books = account(drawdown_pct=0.3, day_loss_pct=0.9)
    assert latch_kill_switch_nb(books, limits(max_drawdown_pct=0.3, max_daily_loss_pct=0.05), 7) == 0
    assert books["kill_switch"] == 0
    # The next UTC day the loss starts anew, and entries are possible again.
    assert check_order(intent(), books, limits(max_daily_loss_pct=0.05), 0)[1]["reason"] == "max_daily_loss_pct"
    books["day_loss_pct"] = 0.0
    assert check_order(intent(), books, limits(max_daily_loss_pct=0.05), 0)[0] is False


def test_only_a_named_person_clears_the_kill_switch() -> None:
    books, rules = account(nav=600.0, peak_nav=1_000.0, drawdown_pct=0.4), limits(max_drawdown_pct=0.3)
    latch_kill_switch_nb(books, rules, 7)
    with pytest.raises(ValueError, match="Name the person"):
        clear_kill_switch(books, by_person="  ")
    assert books["kill_switch"] == Veto.MAX_DRAWDOWN_PCT
    cleared = clear_kill_switch(books, by_person="Ada")
    assert cleared == {"by_person": "Ada", "code": 21, "latched_ns": 7, "drawdown_pct": 0.4}
    # Drawdown is measured from here on, or the switch would latch again at once.
    assert latch_kill_switch_nb(books, rules, 8) == 0
    assert check_order(intent(), books, rules, 0)[0] is False


# ---------------------------------------------------------------- the limits of the configuration


def test_the_packaged_limits_judge_orders(tmp_path: Path) -> None:
    rules = load_config().limits("ema_cross", "BTCUSDT")[0]
    order = intent(notional=500.0, min_notional_e8=100 * 10**8)
    assert check_order(order, account(), rules, 0)[0] is False
    veto, detail = check_order(intent(notional=500.1), account(), rules, 0)
    assert (veto, detail["reason"], detail["cap"]) == (True, "max_trade_nav_pct", 500.0)
    # The number is the file's: another one there is another verdict here.
    shutil.copytree(default_folder(), tmp_path / "config")
    path = tmp_path / "config" / "risk_limits.json"
    path.write_text(path.read_text().replace('"max_trade_nav_pct": 0.05', '"max_trade_nav_pct": 0.12', 1))
    wider = load_config(tmp_path / "config").limits("ema_cross", "BTCUSDT")[0]
    assert check_order(intent(notional=1_200.0), account(), wider, 0)[0] is False


def test_the_helpers_refuse_a_field_that_does_not_exist() -> None:
    with pytest.raises(TypeError, match="Did you mean 'max_trade_nav_pct'"):
        limits(max_trade_nav_pc=0.1)
    assert missing_inputs(intent(), account(), limits()) == []
    assert missing_inputs(exit_order(reducible_lots=math.inf), account(), limits()) == ["intent.reducible_lots"]
    assert record(LIMITS, {"max_leverage": 2.0}, {"max_leverage": 3.0})["max_leverage"] == 3.0


def test_the_judge_leaves_arrays_of_records_alone() -> None:
    rows = np.zeros(3, INTENT)
    rows[:] = intent()
    before = rows.tobytes()
    for row in rows:
        check_order(row, account(), limits(), 0)
    assert rows.tobytes() == before
