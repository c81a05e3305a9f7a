"""Scores: within [0, 1], never better for worse figures, and each able to say how it came about."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.config.learning import Scoring
from simcore.learning import build_expectancy, explain_score, score_symbol, score_universe, symbol_expectancy
from simcore.learning.scoring import explain_universe
from simcore.learning.trades import TradeTable
from tests.fakes_learning import random_trades

RULES = load_config().learning.scoring
PLAIN = {"gross_bps_shrunk": 12.0, "fee_bps": 4.0, "slippage_bps": 1.0, "funding_bps": 0.5, "net_bps_sd": 80.0, "n": 150}
bps = st.floats(-5_000.0, 5_000.0)
many = settings(max_examples=1_000)


def rules(**changes: float) -> Scoring:
    return RULES.model_copy(update=changes)


metrics = st.fixed_dictionaries(
    {"gross_bps_shrunk": bps, "fee_bps": st.floats(0.0, 100.0), "slippage_bps": bps, "funding_bps": bps, "n": st.floats(0.0, 1e6)},
    optional={"net_bps_sd": st.floats(0.0, 1e4)},
)
settings_of = st.builds(
    lambda prior, low, span, k, scale, cost, wild: rules(
        prior_score=prior, floor=low, ceiling=low + span, steepness=k, scale_bps=scale, half_life_cost_bps=cost, volatility_penalty=wild
    ),
    st.floats(0.0, 1.0), st.floats(0.0, 0.4), st.floats(0.01, 0.6), st.floats(0.01, 20.0), st.floats(0.1, 500.0), bps, st.floats(0.0, 1.0),
)  # fmt: skip


def test_the_formula_by_hand() -> None:
    net = 12.0 - 4.0 - 1.0 - 0.5
    confidence = 150 / (150 + RULES.confidence_trades)
    expected = RULES.prior_score + confidence * (1.0 / (1.0 + math.exp(-net / RULES.scale_bps)) - RULES.prior_score)
    assert score_symbol("AAAUSDT", PLAIN) == pytest.approx(expected)
    # a prior of 0 leaves the plain product of logistic and confidence
    assert score_symbol("AAAUSDT", PLAIN, rules(prior_score=0.0)) == pytest.approx(confidence / (1.0 + math.exp(-net / RULES.scale_bps)))


@given(metrics, settings_of)
@many
def test_a_score_lies_within_floor_and_ceiling(given_: dict, settings_: Scoring) -> None:
    assert settings_.floor <= score_symbol("A", given_, settings_) <= settings_.ceiling


@given(metrics, st.floats(0.0, 500.0), settings_of)
@many
def test_better_expectancy_never_scores_lower_and_more_cost_never_higher(given_: dict, more: float, settings_: Scoring) -> None:
    """P43."""
    now = score_symbol("A", given_, settings_)
    assert score_symbol("A", {**given_, "gross_bps_shrunk": given_["gross_bps_shrunk"] + more}, settings_) >= now
    for cost in ("fee_bps", "slippage_bps", "funding_bps"):
        assert score_symbol("A", {**given_, cost: given_[cost] + more}, settings_) <= now, cost
    wilder = {**given_, "net_bps_sd": given_.get("net_bps_sd", 0.0) + more}
    assert score_symbol("A", wilder, settings_) <= now


@given(st.floats(-200.0, 200.0), st.floats(0.01, 10.0))
@many
def test_a_score_rises_strictly_and_without_jumps_where_it_is_not_saturated(gross: float, more: float) -> None:
    now = score_symbol("A", {**PLAIN, "gross_bps_shrunk": gross})
    better = score_symbol("A", {**PLAIN, "gross_bps_shrunk": gross + more})
    assert now < better <= now + RULES.steepness * more / (4.0 * RULES.scale_bps) + 1e-12


@given(metrics, st.floats(1.0, 1e5))
@many
def test_more_trades_draw_a_score_from_the_prior_towards_its_logistic(given_: dict, more: float) -> None:
    few, many_ = explain_score("A", given_), explain_score("A", {**given_, "n": given_["n"] + more})
    assert abs(many_.score - many_.logistic) <= abs(few.score - few.logistic) + 1e-12


def test_what_is_missing_is_neutral_and_flagged_and_never_zero() -> None:
    """P43."""
    nothing = explain_score("A", None)
    assert (nothing.score, nothing.neutral) == (RULES.prior_score, ("gross_bps_shrunk", "fee_bps", "slippage_bps", "funding_bps"))
    assert "the prior" in str(nothing)
    for name in ("fee_bps", "slippage_bps", "funding_bps"):
        for absent in ({key: value for key, value in PLAIN.items() if key != name}, {**PLAIN, name: None}, {**PLAIN, name: math.nan}):
            part = explain_score("A", absent)
            assert part.neutral == (name,)
            assert part.score == score_symbol("A", {**PLAIN, name: getattr(RULES, f"neutral_{name}")})
            assert f"taken as neutral: {name}" in str(part)


@given(metrics, settings_of)
@many
def test_an_explanation_is_the_scores_own_arithmetic(given_: dict, settings_: Scoring) -> None:
    told = explain_score("AAAUSDT", given_, settings_)
    assert told.net_bps == told.gross_bps - told.fee_bps - told.slippage_bps - told.funding_bps - told.volatility_bps
    assert told.z == (told.net_bps - settings_.half_life_cost_bps) / settings_.scale_bps
    raw = told.prior + told.confidence * (told.logistic - told.prior)
    assert told.score == min(told.ceiling, max(told.floor, raw))


def test_the_printed_arithmetic_adds_up() -> None:
    told = str(explain_score("AAAUSDT", PLAIN))
    net, gross, *costs = (float(each) for each in re.search(r"net (\S+) bps = (\S+) gross - (\S+) fees - (\S+) slip\S* - (\S+) fund\S* - (\S+) vol", told).groups())
    assert net == pytest.approx(gross - sum(costs), abs=1e-3)
    score, prior, confidence, logistic, _ = (float(each) for each in re.search(r": (\S+) = (\S+) \+ (\S+) x \((\S+) - (\S+)\)", told).groups())
    assert score == pytest.approx(prior + confidence * (logistic - prior), abs=1e-3)


@given(st.integers(0, 1_000), st.integers(5, 400))
@settings(max_examples=60)
def test_the_order_of_trades_and_symbols_changes_no_score(seed: int, n: int) -> None:
    table = random_trades(seed, n)
    shuffled = table.take(np.random.default_rng(seed).permutation(n))
    turned = TradeTable(shuffled.rows.copy(), table.symbols[::-1])
    turned.rows["symbol"] = len(table.symbols) - 1 - turned.rows["symbol"]
    assert score_universe(build_expectancy(turned)) == score_universe(build_expectancy(table))


def test_a_universe_is_scored_from_buckets_or_from_symbols_alike() -> None:
    table = build_expectancy(random_trades(4, 500, mean_bps=5.0))
    by_symbol = symbol_expectancy(table)
    assert score_universe(table) == score_universe(by_symbol)
    assert {symbol: each.score for symbol, each in explain_universe(table).items()} == score_universe(table)
    assert sum(metrics["n"] for metrics in by_symbol.values()) == 500


@given(st.integers(0, 500), st.floats(0.1, 200.0))
@settings(max_examples=60)
def test_trades_that_all_brought_more_never_score_lower(seed: int, more: float) -> None:
    """Down to the trades themselves: every symbol's trades better by the same amount."""
    worse, better = random_trades(seed, 300), random_trades(seed, 300)
    for name in ("net_bps", "gross_bps"):
        better.rows[name] += more
    before, after = score_universe(build_expectancy(worse)), score_universe(build_expectancy(better))
    assert all(after[symbol] >= before[symbol] - 1e-9 for symbol in before)


def test_equal_inputs_score_equally() -> None:
    assert score_symbol("A", PLAIN) == score_symbol("B", dict(PLAIN))
