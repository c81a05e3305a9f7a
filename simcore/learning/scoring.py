"""Scoring: one figure in [0, 1] a symbol, from what its trades are expected to bring, with its own arithmetic.

    net = shrunk gross - fees - slippage - funding - volatility penalty        (bps a trade)
    z = (net - half_life_cost_bps) / scale_bps
    score = prior + confidence * (1 / (1 + exp(-steepness * z)) - prior), within floor and ceiling
    confidence = n / (n + confidence_trades)

MODELS §9, with one addition: confidence draws to a prior instead of to zero, so that a symbol without trades is unknown and not
bad; prior_score 0 gives the plain product. The score never falls when expectancy rises or a cost falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from simcore.config.learning import Expectancy, Scoring
from simcore.learning.expectancy import Key, Metrics, packaged, symbol_expectancy

COSTS = ("fee_bps", "slippage_bps", "funding_bps")


@dataclass(frozen=True)
class ScoreExplanation:
    """A score with every number it was made of, in bps where not said otherwise. `neutral`: inputs that were not known."""

    symbol: str
    score: float
    gross_bps: float | None
    fee_bps: float
    slippage_bps: float
    funding_bps: float
    volatility_bps: float
    net_bps: float | None
    z: float | None
    logistic: float | None
    n: float
    confidence: float
    prior: float
    floor: float
    ceiling: float
    neutral: tuple[str, ...]

    def __str__(self) -> str:
        if self.net_bps is None:
            return f"{self.symbol}: {self.score:.4f}, the prior: no expectancy is known"
        unknown = f"; not known, taken as neutral: {', '.join(self.neutral)}" if self.neutral else ""
        return (
            f"{self.symbol}: {self.score:.4f} = {self.prior:.4f} + {self.confidence:.4f} x ({self.logistic:.4f} - {self.prior:.4f})"
            f" within [{self.floor:g}, {self.ceiling:g}]; {self.confidence:.4f} from {self.n:g} trades; {self.logistic:.4f} at z"
            f" {self.z:+.4f} of net {self.net_bps:+.4f} bps = {self.gross_bps:+.4f} gross - {self.fee_bps:.4f} fees"
            f" - {self.slippage_bps:.4f} slippage - {self.funding_bps:.4f} funding - {self.volatility_bps:.4f} volatility{unknown}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values, for snapshots and probes."""
        return {**asdict(self), "neutral": list(self.neutral)}


def known(metrics: Mapping[str, Any], name: str) -> float | None:
    """Return a finite figure, or None where it is missing."""
    value = metrics.get(name)
    return float(value) if value is not None and math.isfinite(value) else None


def logistic(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    lifted = math.exp(x)
    return lifted / (1.0 + lifted)


def explain_score(symbol: str, metrics: Mapping[str, Any] | None, settings: Scoring | None = None) -> ScoreExplanation:
    """Return a symbol's score with its arithmetic.

    metrics: of `symbol_expectancy`, or any mapping with `gross_bps_shrunk`, `fee_bps`, `slippage_bps`, `funding_bps`, `n`, and
    `net_bps_sd`. A missing cost is the neutral one of learning.json; without an expectancy the score is the prior.
    """
    rules = settings or packaged().scoring
    given = metrics or {}
    gross = known(given, "gross_bps_shrunk")
    costs = {name: known(given, name) for name in COSTS}
    neutral = tuple(name for name, value in costs.items() if value is None)
    paid = {name: getattr(rules, f"neutral_{name}") if value is None else value for name, value in costs.items()}
    wild = rules.volatility_penalty * (known(given, "net_bps_sd") or 0.0)
    n = max(0.0, known(given, "n") or 0.0)
    parts = ScoreExplanation(
        symbol=symbol, score=within(rules.prior_score, rules), gross_bps=gross, fee_bps=paid["fee_bps"],
        slippage_bps=paid["slippage_bps"], funding_bps=paid["funding_bps"], volatility_bps=wild, net_bps=None, z=None, logistic=None,
        n=n, confidence=0.0, prior=rules.prior_score, floor=rules.floor, ceiling=rules.ceiling, neutral=neutral,
    )  # fmt: skip
    if gross is None:
        return replace(parts, neutral=("gross_bps_shrunk", *neutral))
    net = gross - paid["fee_bps"] - paid["slippage_bps"] - paid["funding_bps"] - wild
    z = (net - rules.half_life_cost_bps) / rules.scale_bps
    belief = logistic(rules.steepness * z)
    confidence = n / (n + rules.confidence_trades)
    score = within(rules.prior_score + confidence * (belief - rules.prior_score), rules)
    return replace(parts, score=score, net_bps=net, z=z, logistic=belief, confidence=confidence)


def within(score: float, rules: Scoring) -> float:
    """Return the score within floor and ceiling."""
    return min(rules.ceiling, max(rules.floor, score))


def score_symbol(symbol: str, metrics: Mapping[str, Any] | None, settings: Scoring | None = None) -> float:
    """Return a symbol's score in [0, 1]; `explain_score` says how it came about.

    >>> score_symbol("BTCUSDT", None)
    0.5
    """
    return explain_score(symbol, metrics, settings).score


def score_universe(
    expectancy: Mapping[Key, Metrics] | Mapping[str, Mapping[str, Any]],
    settings: Scoring | None = None,
    shrinkage: Expectancy | None = None,
) -> dict[str, float]:
    """Return the score of every symbol, by name; see `explain_universe`."""
    return {symbol: each.score for symbol, each in explain_universe(expectancy, settings, shrinkage).items()}


def explain_universe(
    expectancy: Mapping[Key, Metrics] | Mapping[str, Mapping[str, Any]],
    settings: Scoring | None = None,
    shrinkage: Expectancy | None = None,
) -> dict[str, ScoreExplanation]:
    """Return every symbol's score with its arithmetic.

    expectancy: a table of `build_expectancy`, or metrics by symbol.
    """
    by_symbol: dict[str, Mapping[str, Any]] = {key: each for key, each in expectancy.items() if isinstance(key, str)}
    buckets = {key: each for key, each in expectancy.items() if not isinstance(key, str)}
    if buckets:
        by_symbol |= symbol_expectancy(buckets, shrinkage)  # type: ignore[arg-type]  # the split above tells the two apart
    return {symbol: explain_score(symbol, by_symbol[symbol], settings) for symbol in sorted(by_symbol)}
