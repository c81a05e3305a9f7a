"""Generated markets, policies and screener settings, near enough to each other that every condition decides some."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from simcore.decision.risk_gate import record
from simcore.domain.records import INSTRUMENT, MARKET, POLICY, SCREEN, SIGNAL, SIZING, SLEEVE
from tests.property.gate_states import NOW, Digits, S

HOUR = 3_600 * S
DAY_USD = 1_000_000.0


def signal(**given: Any) -> Any:
    return record(SIGNAL, {"side": 1, "strength": 1.0}, given)


def market(**given: Any) -> Any:
    """A quiet, deep market at 100.00 whose funding settled an hour ago."""
    defaults = {
        "ts_ns": NOW, "bars": 500, "bars_since_gap": 500, "close": 100.0, "mark": 100.0, "sigma_day": 0.03, "spread_bps": 1.0,
        "volume_day": DAY_USD / 100.0, "funding_ts_ns": NOW - HOUR, "funding_interval_ns": 8 * HOUR, "funding_rate": 0.0001,
    }  # fmt: skip
    return record(MARKET, defaults, given)


def policy(**given: Any) -> Any:
    """A policy before anything was learned."""
    return record(POLICY, {"score": math.nan, "expectancy_bps": math.nan, "size_scale": 1.0}, given)


def screen(**given: Any) -> Any:
    """A screener that lets a known market pass: every bound is open unless said otherwise."""
    defaults = {
        "in_universe": 1, "market_max_age_ns": 60 * S, "max_spread_bps": math.inf, "max_sigma_day": math.inf,
        "min_expectancy_bps": -math.inf, "max_adverse_funding_bps": math.inf,
    }  # fmt: skip
    return record(SCREEN, defaults, given)


def instrument(**given: Any) -> Any:
    return record(INSTRUMENT, {"unit_e8": 1_000, "tick_size": 0.01, "step_size": 0.001, "trading": 1}, given)


def sleeve(**given: Any) -> Any:
    return record(SLEEVE, {}, given)


def sizing(**given: Any) -> Any:
    return record(SIZING, {"fraction": 0.1, "max_participation_pct": 1.0}, given)


def screened_of(raw: bytes) -> tuple[Any, ...]:
    """(signal, market, policy, screen, instrument, sleeve): each condition binds about one time in eight."""
    d = Digits(raw)
    bound = {
        "market_max_age_ns": d.of(60, 60, 60, 3) * S, "warmup_bars": d.of(0, 0, 0, 300), "after_gap_bars": d.of(0, 0, 0, 20),
        "max_spread_bps": d.of(math.inf, math.inf, 5.0), "min_volume_day_usd": d.of(0.0, 0.0, DAY_USD),
        "max_sigma_day": d.of(math.inf, math.inf, 0.08), "min_sigma_day": d.of(0.0, 0.0, 0.01),
        "funding_window_ns": d.of(0, 1, 2) * HOUR, "max_adverse_funding_bps": d.of(math.inf, 0.0, 3.0),
        "cool_down_ns": d.of(0, 0, 0, 5) * HOUR, "min_score": d.of(0.0, 0.0, 0.4), "min_expectancy_bps": d.of(-math.inf, 0.0),
        "in_universe": d.of(1, 1, 1, 1, 1, 1, 1, 0),
    }  # fmt: skip
    seen = market(
        ts_ns=NOW - d.below(8) * S, bars=d.below(600), bars_since_gap=d.below(60), sigma_day=d.below(100) / 1000,
        spread_bps=d.below(80) / 10, volume_day=d.below(20_000) * 1.0, funding_ts_ns=d.of(0, NOW - d.below(20) * HOUR),
        funding_interval_ns=d.of(8, 4, 1) * HOUR, funding_rate=(d.below(120) - 60) / 1e5,
    )  # fmt: skip
    learned = policy(score=d.of(math.nan, d.below(11) / 10), expectancy_bps=d.of(math.nan, d.below(60) - 20.0))
    rested = sleeve(exit_ns=d.of(0, NOW - d.below(10) * HOUR))
    wish = signal(side=d.of(1, -1), strength=d.of(1.0, 0.5, 0.5, 0.1))
    return wish, seen, learned, screen(**bound), instrument(), rested


def screened() -> st.SearchStrategy[tuple[Any, ...]]:
    return st.binary(min_size=24, max_size=24).map(screened_of)
