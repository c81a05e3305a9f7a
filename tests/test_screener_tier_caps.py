"""Tier caps, from the files to the verdict: a tier that is full lets no signal of its symbols through, others pass."""

from __future__ import annotations

from typing import Any

import pytest

from simcore.config import load_config
from simcore.decision.risk_gate import account, intent, limits
from simcore.decision.screener import would_emit
from tests.property.gate_states import NOW
from tests.property.screen_states import instrument, market, policy, screen, signal, sizing, sleeve

pytestmark = pytest.mark.jitless


def emit(rules: Any, size: Any = None, nav: float = 10_000.0, **order: Any) -> tuple[bool, dict[str, Any]]:
    """One long signal on a healthy market, with the exposure that `order` says."""
    return would_emit(
        signal(), market(), policy(), rules,
        screen=screen(), instrument=instrument(), sleeve=sleeve(), order=intent(market_ts_ns=NOW, **order),
        account=account(nav=nav, nav_ts_ns=NOW), now=NOW, sizing=size,
    )  # fmt: skip


def test_a_full_tier_lets_nothing_through_and_says_so() -> None:
    ok, detail = emit(limits(max_tier_nav_pct=0.5), tier_gross=5_000.0)
    assert (ok, detail["reason"]) == (False, "gate")
    (broken,) = detail["gate"]["failing"]
    assert (broken["reason"], broken["value"], broken["cap"]) == ("max_tier_nav_pct", 5_005.0, 5_000.0)


def test_what_is_held_in_another_tier_does_not_fill_this_one() -> None:
    ok, _ = emit(limits(max_tier_nav_pct=0.5), tier_gross=0.0, gross=9_000.0)
    assert ok


def test_room_for_the_smallest_order_is_enough_and_a_cent_less_is_not() -> None:
    # The smallest order of the exchange here is worth 5.0.
    assert emit(limits(max_tier_nav_pct=0.5), tier_gross=4_995.0)[0] is True
    assert emit(limits(max_tier_nav_pct=0.5), tier_gross=4_995.01)[0] is False


def test_the_sized_order_fills_the_tier_to_its_cap_and_no_further() -> None:
    ok, detail = emit(limits(max_tier_nav_pct=0.5), sizing(fraction=0.9), tier_gross=4_000.0)
    assert (ok, detail["notional"]) == (True, 1_000.0)


def test_a_tier_with_all_its_places_taken_waits_for_an_exit() -> None:
    rules = limits(max_tier_positions=2)
    assert emit(rules, tier_positions=1)[0] is True
    ok, detail = emit(rules, tier_positions=2)
    assert (ok, detail["gate"]["reason"]) == (False, "max_tier_positions")
    assert emit(rules, tier_positions=2, new_position=0)[0] is True


@pytest.mark.parametrize(("tier_gross", "tier_positions"), [(float("nan"), 0), (0.0, -1)])
def test_a_signal_whose_tier_is_not_known_never_becomes_an_order(tier_gross: float, tier_positions: int) -> None:
    ok, detail = emit(limits(), tier_gross=tier_gross, tier_positions=tier_positions)
    assert (ok, detail["gate"]["reason"]) == (False, "context_missing")


def test_lowering_a_tier_cap_never_lets_more_through() -> None:
    passed = [emit(limits(max_tier_nav_pct=cap / 100), tier_gross=2_000.0)[0] for cap in range(100)]
    assert passed == sorted(passed)
    assert passed.index(True) == 21


def test_the_tiers_of_the_packaged_files_have_their_own_caps() -> None:
    config = load_config()
    core, mid = (config.limits("ema_cross", symbol)[0] for symbol in ("BTCUSDT", "AAVEUSDT"))
    assert mid["max_tier_nav_pct"] < core["max_tier_nav_pct"]
    held = float(mid["max_tier_nav_pct"]) * 10_000.0
    assert emit(core, tier_gross=held)[0] is True
    ok, detail = emit(mid, tier_gross=held)
    assert (ok, detail["gate"]["reason"]) == (False, "max_tier_nav_pct")
