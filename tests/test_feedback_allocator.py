"""The allocator: caps that follow scores and drawdown, never above what the config allows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.config.learning import Allocator
from simcore.decision.risk_gate import account, check_order, intent, limits
from simcore.learning import Proposal, propose_policy
from simcore.learning.allocator import SymbolBounds, score_share

CONFIG = load_config()
RISK, STRATEGIES = CONFIG.risk_limits, CONFIG.strategy_config
RULES = CONFIG.learning.allocator
many = settings(max_examples=1_000)
names = st.sampled_from([f"S{n:02d}USDT" for n in range(12)])
scores_of = st.dictionaries(names, st.floats(0.0, 1.0), max_size=7)
navs = st.floats(0.0, 1e8)
drawdowns = st.floats(0.0, 1.0)
rules_of = st.builds(
    lambda share, power, zero, below, least, floor, base: RULES.model_copy(
        update={
            "low_score_share": share, "score_power": power, "allow_zero": zero, "zero_below_score": below, "min_symbol_nav_pct": least,
            "drawdown_floor": floor, "base": base,
        }
    ),
    st.floats(0.01, 1.0), st.floats(0.1, 5.0), st.booleans(), st.floats(0.0, 0.5), st.floats(0.0, 0.3), st.floats(0.01, 1.0),
    st.sampled_from(["equal", "inverse_volatility"]),
)  # fmt: skip


def propose(scores: dict[str, float], nav: float = 100_000.0, **more: object) -> Proposal:
    return propose_policy(nav, scores, RISK, STRATEGIES, **more)


def rules(**changes: object) -> Allocator:
    return RULES.model_copy(update=changes)


@given(navs, scores_of, drawdowns, rules_of)
@many
def test_no_proposal_exceeds_a_configured_limit(nav: float, scores: dict, drawdown: float, settings_: Allocator) -> None:
    """P44."""
    bounds = {name: SymbolBounds(0.05, 3_000.0, 0.02) for name in list(scores)[::2]}
    found = propose(scores, nav, drawdown_pct=drawdown, settings=settings_, bounds=bounds)
    assert 1 <= found.max_concurrent_positions <= RISK.max_concurrent_positions
    assert 0.0 < found.max_trade_nav_pct <= RISK.max_trade_nav_pct
    for name, cap in found.symbols.items():
        own = bounds.get(name) or SymbolBounds(RISK.max_symbol_nav_pct, RISK.max_order_notional, RISK.max_trade_nav_pct)
        assert 0.0 <= cap.max_nav_pct <= own.max_nav_pct
        assert 0.0 <= cap.max_order_notional <= min(own.max_order_notional, own.max_trade_nav_pct * nav + 1e-6)
        assert 0.0 <= cap.share <= 1.0
    assert math.fsum(cap.max_nav_pct for cap in found.symbols.values()) <= RISK.max_gross_nav_pct * (1 + 1e-12)
    for name, cap in found.strategies.items():
        assert 1 <= cap.max_concurrent_positions <= RISK.max_strategy_positions
        own_limit = STRATEGIES.strategies[name].limits.max_trade_nav_pct or 1.0
        assert cap.max_trade_nav_pct <= min(RISK.max_trade_nav_pct, own_limit)


@given(navs, scores_of, drawdowns, rules_of)
@many
def test_a_higher_score_never_has_a_smaller_cap(nav: float, scores: dict, drawdown: float, settings_: Allocator) -> None:
    """P44: symbols of equal limits, in every field."""
    found = propose(scores, nav, drawdown_pct=drawdown, settings=settings_).symbols
    ordered = sorted(found.values(), key=lambda cap: cap.score)
    for lower, higher in zip(ordered, ordered[1:], strict=False):
        assert lower.share <= higher.share
        assert lower.max_nav_pct <= higher.max_nav_pct * (1 + 1e-12)
        assert lower.max_order_notional <= higher.max_order_notional * (1 + 1e-12)


@given(scores_of, names, st.floats(0.0, 1.0))
@many
def test_raising_one_score_never_cuts_that_symbol(scores: dict, name: str, more: float) -> None:
    before = propose({**scores, name: scores.get(name, 0.5)})
    after = propose({**scores, name: min(1.0, scores.get(name, 0.5) + more)})
    assert after.symbols[name].max_nav_pct >= before.symbols[name].max_nav_pct * (1 - 1e-12)


@given(scores_of, rules_of)
@many
def test_a_low_score_is_reduced_and_never_zeroed_unless_that_is_allowed(scores: dict, settings_: Allocator) -> None:
    """P44."""
    for cap in propose(scores, settings=settings_).symbols.values():
        closed = settings_.allow_zero and cap.score < settings_.zero_below_score
        assert (cap.max_nav_pct == 0.0) == closed
        assert (cap.share == 0.0) == closed


@given(scores_of, st.integers(0, 1_000), drawdowns)
@many
def test_the_order_of_symbols_changes_nothing(scores: dict, seed: int, drawdown: float) -> None:
    order = np.random.default_rng(seed).permutation(len(scores))
    turned = {list(scores)[i]: list(scores.values())[i] for i in order}
    assert propose(turned, drawdown_pct=drawdown).as_dict() == propose(scores, drawdown_pct=drawdown).as_dict()


@given(scores_of, drawdowns, drawdowns)
@many
def test_a_deeper_drawdown_never_allows_more(scores: dict, one: float, other: float) -> None:
    mild, deep = (propose(scores, drawdown_pct=each) for each in sorted((one, other)))
    assert deep.scale <= mild.scale
    assert deep.max_concurrent_positions <= mild.max_concurrent_positions
    assert deep.max_trade_nav_pct <= mild.max_trade_nav_pct
    for name, cap in mild.strategies.items():
        assert deep.strategies[name].max_concurrent_positions <= cap.max_concurrent_positions


def test_what_a_drawdown_took_comes_back_step_by_step() -> None:
    whole = propose({})
    assert whole.scale == 1.0 and whole.max_concurrent_positions == RISK.max_concurrent_positions
    cut = propose({}, drawdown_pct=RISK.max_drawdown_pct / 2, previous=whole)
    assert cut.scale == pytest.approx(0.5)
    back, scales = cut, []
    for _ in range(11):
        back = propose({}, previous=back)
        scales.append(back.scale)
    steps = [min(1.0, 0.5 + RULES.recovery_per_refresh * (n + 1)) for n in range(11)]
    assert scales == pytest.approx(steps)
    assert "recovery_per_refresh" in propose({}, previous=cut).why[0]
    assert propose({}, drawdown_pct=9.0).scale == RULES.drawdown_floor
    assert propose({}, drawdown_pct=math.nan).scale == RULES.drawdown_floor


@given(scores_of, drawdowns)
@many
def test_a_proposal_on_top_of_itself_is_the_same(scores: dict, drawdown: float) -> None:
    """P44."""
    first = propose(scores, drawdown_pct=drawdown)
    assert propose(scores, drawdown_pct=drawdown, previous=first) == first


@given(st.floats(1_000.0, 1e7), scores_of.filter(bool), drawdowns, st.integers(0, 100))
@many
def test_the_gate_accepts_an_order_as_large_as_proposed(nav: float, scores: dict, drawdown: float, seed: int) -> None:
    """By the gate's own limits of the config, and by those limits tightened to the proposal."""
    found = propose(scores, nav, drawdown_pct=drawdown)
    name = sorted(scores)[seed % len(scores)]
    cap = found.symbols[name]
    largest = min(cap.max_order_notional, cap.max_nav_pct * nav, found.max_trade_nav_pct * nav) * (1 - 1e-9)
    order = intent(price=1.0, notional=math.floor(largest), min_notional_e8=0, leverage=20.0)
    if order["qty_lots"] == 0:
        return
    keys = ("max_order_notional", "max_trade_nav_pct", "max_symbol_nav_pct", "max_gross_nav_pct", "max_concurrent_positions", "max_strategy_positions")
    configured = {key: getattr(RISK, key) for key in keys}
    proposed = {
        **configured, "max_order_notional": cap.max_order_notional, "max_symbol_nav_pct": cap.max_nav_pct,
        "max_trade_nav_pct": found.max_trade_nav_pct, "max_concurrent_positions": found.max_concurrent_positions,
    }  # fmt: skip
    for given_ in (configured, proposed):
        veto, detail = check_order(order, account(nav=nav), limits(**given_), 0)
        assert not veto, detail["failing"]


@pytest.mark.parametrize("nav", [0.0, -5.0, math.nan, math.inf])
def test_without_a_nav_nothing_may_be_ordered(nav: float) -> None:
    found = propose({"AAAUSDT": 0.9}, nav)
    assert found.symbols["AAAUSDT"].max_order_notional == 0.0


def test_a_wilder_symbol_starts_from_less_and_an_unknown_one_counts_as_the_wildest() -> None:
    scores = dict.fromkeys(("CALM", "WILD", "NEW"), 0.8)
    found = propose(scores, settings=rules(base="inverse_volatility"), sigmas={"CALM": 0.02, "WILD": 0.04, "NEW": math.nan}).symbols
    assert found["WILD"].max_nav_pct == pytest.approx(found["CALM"].max_nav_pct / 2)
    assert found["NEW"].max_nav_pct == found["WILD"].max_nav_pct


def test_a_strategy_is_capped_by_the_scores_of_its_symbols() -> None:
    uses = {"ema_cross": {"enabled": True, "symbols": ["BTCUSDT"]}, "xs_momentum": {"enabled": True, "symbols": ["ETHUSDT"]}}
    config = CONFIG.replace(set={f"strategy_config.strategies.{name}.symbols": json.dumps(use["symbols"]) for name, use in uses.items()})
    found = propose_policy(1e5, {"BTCUSDT": 1.0, "ETHUSDT": 0.0}, config.risk_limits, config.strategy_config).strategies
    good, bad = found["ema_cross"], found["xs_momentum"]
    assert good.max_concurrent_positions == RISK.max_strategy_positions
    assert bad.max_concurrent_positions == max(1, math.floor(RISK.max_strategy_positions * score_share(0.0, RULES)))
    assert (found["sma_cross"].prefer, found["sma_cross"].reduce) == (("BTCUSDT",), ("ETHUSDT",))


@given(navs, scores_of, drawdowns)
@settings(max_examples=200)
def test_a_proposal_survives_json_and_every_number_is_explained(nav: float, scores: dict, drawdown: float) -> None:
    found = propose(scores, nav, drawdown_pct=drawdown)
    assert Proposal.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    for name, cap in found.symbols.items():
        assert f"max_nav_pct {cap.max_nav_pct:.6g}" in cap.why
        assert f"max_order_notional {cap.max_order_notional:.2f}" in cap.why
        assert f"{name}: {cap.why}" in str(found)
    for cap in found.strategies.values():
        assert f"max_concurrent_positions {cap.max_concurrent_positions} =" in cap.why
    told = "\n".join(found.why)
    assert all(key in told for key in ("scale:", "max_concurrent_positions:", "max_trade_nav_pct:", "max_gross_nav_pct:"))


def test_a_proposal_changes_nothing_it_was_given() -> None:
    scores = {"AAAUSDT": 0.4}
    before = json.dumps([scores, CONFIG.canonical()])
    first = propose(scores)
    asdict(first)["symbols"]["AAAUSDT"]["share"] = 9.0
    assert json.dumps([scores, CONFIG.canonical()]) == before
    assert propose(scores) == first
