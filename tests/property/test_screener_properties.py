"""Properties P13 and P14 of the screener: it says yes exactly when an order follows, whatever the order of its questions."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.decision.risk_gate import account, check_order, first_veto_nb, intent, limits
from simcore.decision.screener import first_screen_nb, screen_and_gate_nb, screen_nb, with_lots, would_emit, would_emit_nb
from simcore.decision.sizer import minimum_lots_nb, size_lots_nb, suggest_gross_usd_nb
from simcore.domain.enums import Screen
from simcore.domain.records import MARKET, POLICY, SCREEN, SIGNAL
from tests.oracle import screener as oracle
from tests.property.gate_states import NOW, Digits, accounts, changed, checks, limit_sets, orders
from tests.property.screen_states import instrument, market, policy, screen, screened, signal, sizing, sleeve

pytestmark = pytest.mark.jitless
THOROUGH = settings(max_examples=1_000)


# The floats the screener needs to know, by their place in `screened()`: the signal, the market, the bounds.
READS = {
    0: ("strength",),
    1: ("close", "sigma_day", "volume_day", "spread_bps"),
    3: (
        "max_spread_bps", "min_volume_day_usd", "max_sigma_day", "min_sigma_day", "min_score", "min_expectancy_bps",
        "max_adverse_funding_bps",
    ),
}  # fmt: skip
# The bound that opens each condition.
OPEN = {
    Screen.NOT_IN_UNIVERSE: {"in_universe": 1},
    Screen.MARKET_MAX_AGE_S: {"market_max_age_ns": 2**62},
    Screen.WARMUP: {"warmup_bars": 0},
    Screen.AFTER_GAP_BARS: {"after_gap_bars": 0},
    Screen.MAX_SPREAD_BPS: {"max_spread_bps": math.inf},
    Screen.MIN_VOLUME_DAY_USD: {"min_volume_day_usd": 0.0},
    Screen.MAX_SIGMA_DAY: {"max_sigma_day": math.inf},
    Screen.MIN_SIGMA_DAY: {"min_sigma_day": 0.0},
    Screen.FUNDING_WINDOW_S: {"max_adverse_funding_bps": math.inf},
    Screen.COOL_DOWN_S: {"cool_down_ns": 0},
    Screen.MIN_SCORE: {"min_score": -math.inf},
    Screen.MIN_EXPECTANCY_BPS: {"min_expectancy_bps": -math.inf},
}


def ask(parts: tuple[Any, ...], order: Any, books: Any, rules: Any, size: Any = None) -> tuple[bool, dict[str, Any]]:
    wish, seen, learned, bounds, contract, rested = parts
    return would_emit(
        wish, seen, learned, rules,
        screen=bounds, instrument=contract, sleeve=rested, order=order, account=books, now=NOW, sizing=size,
    )  # fmt: skip


def mask_of(parts: tuple[Any, ...], now: int = NOW) -> int:
    return int(screen_nb(*parts, now, checks()))


@THOROUGH
@given(screened(), orders(), accounts(), limit_sets(), st.integers(0, 1_000))
def test_p13_would_emit_is_true_exactly_when_the_gate_accepts_the_sized_order(parts, order, books, rules, fraction) -> None:
    # Compared with the pipeline's own three steps: screen, size, gate.
    wish, seen, learned, _, contract, _ = parts
    size = sizing(fraction=fraction / 1_000)
    usd = suggest_gross_usd_nb(size, wish, seen, learned, books, float(order["price"]))
    lots, _ = size_lots_nb(order, books, rules, usd, float(seen["volume_day"]), 1.0, float(contract["step_size"]))
    accepted = not check_order(with_lots(order, lots), books, rules, NOW)[0]
    ok, detail = ask(parts, order, books, rules, size)
    assert ok == (mask_of(parts) == 0 and accepted)
    assert ok == (not detail["failing"])
    assert detail["lots"] == lots


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(0, 40_000))
def test_p13_the_smallest_order_passes_the_gate_exactly_when_the_sized_one_does(order, books, rules, usd) -> None:
    smallest = int(minimum_lots_nb(order))
    passes = int(screen_and_gate_nb(order, books, rules, NOW, checks())) == 0
    lots, _ = size_lots_nb(order, books, rules, usd / 4.0, 1e15, 1.0, 0.001)
    enough = smallest > 0 and float(with_lots(order, smallest)["notional"]) <= usd / 4.0
    assert (not check_order(with_lots(order, lots), books, rules, NOW)[0]) == (passes and enough)


@THOROUGH
@given(screened(), orders(), accounts(), limit_sets())
def test_p14_the_first_reason_follows_the_precedence_and_decides_nothing(parts, order, books, rules) -> None:
    ok, detail = ask(parts, order, books, rules)
    codes = [entry["code"] for entry in detail["failing"]]
    assert ok == (codes == [])
    assert codes == sorted(codes, key=lambda code: (code != Screen.NOT_IN_UNIVERSE, code))
    assert detail["code"] == (codes[0] if codes else 0)
    assert int(would_emit_nb(*parts, NOW, checks())) == next((code for code in codes if code != Screen.GATE), 0)


@THOROUGH
@given(screened(), st.randoms(use_true_random=False))
def test_p14_conditions_are_independent_whatever_the_order_they_are_met_in(parts, shuffler) -> None:
    left = {reason for reason in Screen if mask_of(parts) >> reason & 1}
    order = sorted(left)
    shuffler.shuffle(order)
    for reason in order:
        parts = (*parts[:3], changed(parts[3], **OPEN[reason]), *parts[4:])
        left.discard(reason)
        assert {other for other in Screen if mask_of(parts) >> other & 1} == left


@THOROUGH
@given(screened())
def test_the_screener_finds_what_the_oracle_finds(parts) -> None:
    rows = [{name: row[name].item() for name in row.dtype.names if row.dtype[name].shape == ()} for row in parts]
    assert {reason for reason in Screen if mask_of(parts) >> reason & 1} == oracle.reasons(*rows, NOW)


@THOROUGH
@given(screened(), st.binary(min_size=8, max_size=8))
def test_nan_in_the_market_or_in_a_bound_is_a_reason_not_to_enter(parts, raw) -> None:
    d = Digits(raw)
    row, name = d.of(*[(part, name) for part, names in READS.items() for name in names])
    spoilt = list(parts)
    spoilt[row] = changed(parts[row], **{name: math.nan})
    assert mask_of(tuple(spoilt)) != 0


@THOROUGH
@given(st.integers(0, 2**63 - 1))
def test_noise_is_never_a_signal(seed) -> None:
    noise = np.random.default_rng(seed)
    wish, seen, learned, bounds = (
        np.frombuffer(noise.bytes(layout.itemsize), layout)[0] for layout in (SIGNAL, MARKET, POLICY, SCREEN)
    )
    assert would_emit_nb(wish, seen, learned, bounds, instrument(), sleeve(), int(noise.integers(-(2**63), 2**63)), checks()) != 0


@THOROUGH
@given(screened(), orders(), accounts(), limit_sets())
def test_asking_changes_nothing(parts, order, books, rules) -> None:
    rows = (*parts, order, books, rules)
    before = [row.tobytes() for row in rows]
    first = ask(parts, order, books, rules, sizing())
    assert repr(ask(parts, order, books, rules, sizing())) == repr(first)
    assert before == [row.tobytes() for row in rows]


def test_the_generated_markets_decide_every_condition() -> None:
    seen: Counter = Counter()

    @settings(max_examples=2_000, database=None, derandomize=True)
    @given(screened())
    def run(parts) -> None:
        seen.update(reason for reason in Screen if mask_of(parts) >> reason & 1)
        seen["fit"] += mask_of(parts) == 0

    run()
    judged = set(Screen) - {Screen.NONE, Screen.CONTEXT_MISSING, Screen.GATE, Screen.SIZE_ZERO}
    assert seen["fit"] > 50
    assert not {reason for reason in judged if seen[reason] < 20}


# ---------------------------------------------------------------- single conditions, in words


def emit(
    wish: Any = None, order: Any = None, books: Any = None, rules: Any = None, size: Any = None, **rows: Any
) -> dict[str, Any]:
    """The detail of one question; what is not given is healthy."""
    parts = (
        wish if wish is not None else signal(), rows.get("seen", market()), rows.get("learned", policy()),
        rows.get("bounds", screen()), instrument(), rows.get("rested", sleeve()),
    )  # fmt: skip
    order = intent(market_ts_ns=NOW) if order is None else order
    books = account(nav_ts_ns=NOW) if books is None else books
    ok, detail = ask(parts, order, books, limits() if rules is None else rules, size)
    assert ok == (detail["reason"] == "none")
    return detail


def test_a_fit_market_emits_and_says_that_nothing_was_learned_yet() -> None:
    detail = emit()
    assert (detail["reason"], detail["neutral"], detail["lots"]) == ("none", ["score", "expectancy_bps"], 50)
    assert emit(learned=policy(score=0.5, expectancy_bps=2.0))["neutral"] == []


def test_floors_judge_only_what_is_known() -> None:
    floor = screen(min_score=0.4, min_expectancy_bps=1.0)
    assert emit(bounds=floor)["reason"] == "none"
    low = emit(bounds=floor, learned=policy(score=0.3, expectancy_bps=0.5))
    assert [(f["reason"], f["value"], f["bound"]) for f in low["failing"]] == [
        ("min_score", 0.3, 0.4),
        ("min_expectancy_bps", 0.5, 1.0),
    ]
    assert low["failing"][0]["source"] == "strategy_config.json: screen.min_score"


def test_no_entry_shortly_before_an_adverse_settlement() -> None:
    hour = 3_600 * 10**9
    bounds = screen(funding_window_ns=hour, max_adverse_funding_bps=1.0)
    near = {"funding_ts_ns": NOW - 7 * hour, "funding_interval_ns": 8 * hour}
    assert emit(bounds=bounds, seen=market(funding_rate=0.0002, **near))["reason"] == "funding_window_s"
    assert emit(bounds=bounds, seen=market(funding_rate=0.00005, **near))["reason"] == "none"
    assert emit(signal(side=-1), bounds=bounds, seen=market(funding_rate=0.0002, **near))["reason"] == "none"
    assert emit(signal(side=-1), bounds=bounds, seen=market(funding_rate=-0.0002, **near))["reason"] == "funding_window_s"
    far = {**near, "funding_ts_ns": NOW - 6 * hour}
    assert emit(bounds=bounds, seen=market(funding_rate=0.0002, **far))["reason"] == "none"
    # A settlement that was missed does not move the next one.
    missed = {**near, "funding_ts_ns": NOW - 15 * hour}
    assert emit(bounds=bounds, seen=market(funding_rate=0.0002, **missed))["reason"] == "funding_window_s"


def test_a_symbol_without_funding_has_no_funding_window() -> None:
    bounds = screen(funding_window_ns=10**18, max_adverse_funding_bps=0.0)
    assert emit(bounds=bounds, seen=market(funding_ts_ns=0, funding_rate=math.nan))["reason"] == "none"


def test_the_size_that_comes_to_nothing_is_its_own_reason() -> None:
    assert emit(size=sizing(fraction=0.0001))["reason"] == "size_zero"
    assert emit(size=sizing(fraction=0.1))["lots"] == 10_000


def test_first_reasons_by_precedence() -> None:
    assert first_screen_nb(0) == 0
    assert first_screen_nb(1 << Screen.WARMUP | 1 << Screen.MIN_SCORE) == Screen.WARMUP
    assert first_screen_nb(1 << Screen.CONTEXT_MISSING | 1 << Screen.NOT_IN_UNIVERSE) == Screen.NOT_IN_UNIVERSE
    assert (first_veto_nb(0), first_veto_nb(1 << 25 | 1 << 3)) == (0, 3)
