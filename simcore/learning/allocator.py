"""Allocator: how much of the NAV each symbol may use, and how many positions at once, by score and drawdown.

    share(score) = low_score_share + (1 - low_score_share) * score ** score_power
    cap = clip(base * share, min_symbol_nav_pct, the symbol's own limit), then shared out within the gross limit
    scale = clip(1 - drawdown / max_drawdown_pct, drawdown_floor, 1), which comes back more slowly than it goes

A proposal changes nothing and writes nothing. It is never above risk_limits.json and strategy_config.json, and the gate still
has the last word with the tighter of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simcore.config.learning import Allocator
from simcore.learning.expectancy import packaged
from simcore.learning.weights import capped_proportional, inverse_volatility

# The caps of a proposal: of the whole account, of a symbol, of a strategy.
WHOLE = ("max_concurrent_positions", "max_trade_nav_pct", "max_gross_nav_pct")
OF_SYMBOL = ("max_nav_pct", "max_order_notional")
OF_STRATEGY = ("max_concurrent_positions", "max_trade_nav_pct")


@dataclass(frozen=True)
class SymbolBounds:
    """The configured limits of one symbol, the tightest of its scopes."""

    max_nav_pct: float
    max_order_notional: float
    max_trade_nav_pct: float


@dataclass(frozen=True)
class SymbolCap:
    """What one symbol may use. `share` scales the size of its orders."""

    score: float
    share: float
    max_nav_pct: float
    max_order_notional: float
    why: str


@dataclass(frozen=True)
class StrategyCap:
    """What one strategy may hold, and which of its symbols score above and below its average."""

    max_concurrent_positions: int
    max_trade_nav_pct: float
    mean_score: float | None
    prefer: tuple[str, ...]
    reduce: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Proposal:
    """Caps for every scored symbol and every enabled strategy; shares of the NAV are fractions."""

    nav: float
    drawdown_pct: float
    scale: float
    max_concurrent_positions: int
    max_trade_nav_pct: float
    max_gross_nav_pct: float
    symbols: Mapping[str, SymbolCap]
    strategies: Mapping[str, StrategyCap]
    why: tuple[str, ...]

    def __str__(self) -> str:
        lines = [*self.why, *(f"{name}: {each.why}" for table in (self.symbols, self.strategies) for name, each in table.items())]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal as plain values, for probes and snapshots."""
        plain = asdict(self)
        plain["why"] = list(self.why)
        for each in plain["strategies"].values():
            each |= {name: list(each[name]) for name in ("prefer", "reduce")}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Proposal:
        """Read a proposal back."""
        symbols = {name: SymbolCap(**each) for name, each in plain["symbols"].items()}
        pairs = ("prefer", "reduce")
        strategies = {
            name: StrategyCap(**{**each, **{key: tuple(each[key]) for key in pairs}}) for name, each in plain["strategies"].items()
        }
        return cls(**{**plain, "symbols": symbols, "strategies": strategies, "why": tuple(plain["why"])})


def propose_policy(
    nav: float,
    scores: Mapping[str, float],
    risk_cfg: Any,
    strategy_cfg: Any,
    *,
    settings: Allocator | None = None,
    drawdown_pct: float = 0.0,
    previous: Proposal | None = None,
    bounds: Mapping[str, SymbolBounds] | None = None,
    sigmas: Mapping[str, float] | None = None,
) -> Proposal:
    """Return caps for every scored symbol and every enabled strategy. Pure: equal arguments, equal proposal.

    nav: the tradable NAV in quote units; one that is not a positive number gets caps of 0. scores: [0, 1] by symbol.
    risk_cfg, strategy_cfg: the models of risk_limits.json and strategy_config.json. settings: the `allocator` section of
    learning.json. drawdown_pct: from the peak NAV, a fraction. previous: the proposal in force, from which scale recovers.
    bounds: each symbol's resolved limits, without them those of risk_cfg. sigmas: daily volatility by symbol, for inverse_volatility.
    """
    rules = settings or packaged().allocator
    money = nav if math.isfinite(nav) and nav > 0.0 else 0.0
    scale, scale_why = drawdown_scale(drawdown_pct, risk_cfg.max_drawdown_pct, rules, previous)
    trade_pct = risk_cfg.max_trade_nav_pct * scale
    positions = scaled_count(risk_cfg.max_concurrent_positions, scale)
    symbols = symbol_caps(money, scores, risk_cfg, trade_pct, scale, rules, bounds, sigmas or {})
    strategies = {
        name: strategy_cap(use, strategy_cfg, risk_cfg, scores, scale, rules)
        for name, use in sorted(strategy_cfg.strategies.items())
        if use.enabled
    }
    why = (
        scale_why,
        f"max_concurrent_positions: {positions} = {risk_cfg.max_concurrent_positions} x scale {scale:.4f}, rounded down, at least 1",
        f"max_trade_nav_pct: {trade_pct:.6g} = {risk_cfg.max_trade_nav_pct:g} x scale {scale:.4f}",
        f"max_gross_nav_pct: {risk_cfg.max_gross_nav_pct:g}, shared out among {len(scores)} symbols",
    )
    drawdown = drawdown_pct if math.isfinite(drawdown_pct) else 1.0
    return Proposal(money, drawdown, scale, positions, trade_pct, risk_cfg.max_gross_nav_pct, symbols, strategies, why)


def drawdown_scale(drawdown_pct: float, most: float, rules: Allocator, previous: Proposal | None) -> tuple[float, str]:
    """Return the share of concurrency and trade size that a drawdown leaves, and why; an unknown drawdown leaves the floor."""
    lost = max(0.0, drawdown_pct) if math.isfinite(drawdown_pct) else math.inf
    target = min(1.0, max(rules.drawdown_floor, 1.0 - lost / most))
    why = f"scale: {target:.4f} = 1 - drawdown {lost:.4f} / max_drawdown_pct {most:g}, at least drawdown_floor {rules.drawdown_floor:g}"
    if previous is not None and target > previous.scale:
        held = min(target, previous.scale + rules.recovery_per_refresh)
        if held < target:
            return held, f"{why}; held at {held:.4f} = {previous.scale:.4f} + recovery_per_refresh {rules.recovery_per_refresh:g}"
    return target, why


def scaled_count(most: int, share: float) -> int:
    """Return a share of a count, rounded down, at least one: entries stop by limits of their own, not by rounding."""
    return min(most, max(1, math.floor(most * share + 1e-9)))


def score_share(score: float, rules: Allocator) -> float:
    """Return the share of its limits that a score deserves: rising, 1 at score 1, 0 only where allow_zero lets it be."""
    if rules.allow_zero and score < rules.zero_below_score:
        return 0.0
    return min(1.0, rules.low_score_share + (1.0 - rules.low_score_share) * score**rules.score_power)


def configured(symbol: str, risk_cfg: Any) -> SymbolBounds:
    """Return a symbol's limits by risk_limits.json alone: its own where they are tighter."""
    own = risk_cfg.per_symbol.get(symbol)

    def tightest(name: str) -> float:
        narrower = getattr(own, name, None) if own is not None else None
        return float(min(getattr(risk_cfg, name), narrower) if narrower is not None else getattr(risk_cfg, name))

    return SymbolBounds(tightest("max_symbol_nav_pct"), tightest("max_order_notional"), tightest("max_trade_nav_pct"))


def symbol_caps(
    nav: float, scores: Mapping[str, float], risk_cfg: Any, trade_pct: float, scale: float, rules: Allocator,
    bounds: Mapping[str, SymbolBounds] | None, sigmas: Mapping[str, float],
) -> dict[str, SymbolCap]:  # fmt: skip
    """Return every scored symbol's cap, by name."""
    names = sorted(scores)
    own = [(bounds or {}).get(name) or configured(name, risk_cfg) for name in names]
    score = np.array([scores[name] if math.isfinite(scores[name]) else 0.0 for name in names])
    share = np.array([score_share(min(1.0, max(0.0, each)), rules) for each in score])
    calm = calmness(names, sigmas) if rules.base == "inverse_volatility" else np.ones(len(names))
    most = np.array([each.max_nav_pct for each in own])
    wanted = np.minimum(most, np.maximum(most * calm * share, np.where(share > 0.0, rules.min_symbol_nav_pct, 0.0)))
    caps = np.minimum(wanted, capped_proportional(share * calm, wanted, risk_cfg.max_gross_nav_pct))
    found = {}
    for at, name in enumerate(names):
        per_trade = min(own[at].max_trade_nav_pct * scale, trade_pct)
        cap = float(caps[at])
        order = min(own[at].max_order_notional, nav * min(per_trade, cap))
        why = (
            f"score {score[at]:.4f} gives share {share[at]:.4f}; max_nav_pct {cap:.6g} of at most {most[at]:g} x calm {calm[at]:.4f} x"
            f" share{'' if caps[at] >= wanted[at] else f', cut from {wanted[at]:.6g} by the gross limit'}; max_order_notional {order:.2f} ="
            f" min(limit {own[at].max_order_notional:g}, nav {nav:.2f} x min(max_trade_nav_pct {per_trade:.6g}, max_nav_pct {cap:.6g}))"
        )
        found[name] = SymbolCap(float(score[at]), float(share[at]), cap, order, why)
    return found


def calmness(names: list[str], sigmas: Mapping[str, float]) -> np.ndarray:
    """Return each symbol's inverse volatility over that of the calmest; a symbol of unknown volatility counts as the wildest."""
    given = [sigmas.get(name, math.nan) for name in names]
    sigma = np.array([each if math.isfinite(each) and each > 0.0 else math.nan for each in given])
    if np.isnan(sigma).all():
        return np.ones(len(names))
    weights = inverse_volatility(np.where(np.isnan(sigma), np.nanmax(sigma), sigma))
    return weights / weights.max()


def strategy_cap(use: Any, strategy_cfg: Any, risk_cfg: Any, scores: Mapping[str, float], scale: float, rules: Allocator) -> StrategyCap:
    """Return one enabled strategy's caps and hints, from the scores of the symbols it trades."""
    chosen = strategy_cfg.defaults.symbols if use.symbols is None else use.symbols
    mine = {name: score for name, score in sorted(scores.items()) if chosen == "all" or name in chosen}
    mean = math.fsum(mine.values()) / len(mine) if mine else None
    share = 1.0 if mean is None else score_share(mean, rules)
    most, whole_trade = strategy_bounds(use, strategy_cfg, risk_cfg)
    trade = whole_trade * scale
    positions = scaled_count(most, scale * share)
    told = "no scores" if mean is None else f"mean score {mean:.4f}"
    return StrategyCap(
        positions,
        trade,
        mean,
        tuple(name for name, score in mine.items() if mean is not None and score > mean),
        tuple(name for name, score in mine.items() if mean is not None and score < mean),
        f"max_concurrent_positions {positions} = {most} x scale {scale:.4f} x share {share:.4f} of {told}; max_trade_nav_pct {trade:.6g}",
    )


def strategy_bounds(use: Any, strategy_cfg: Any, risk_cfg: Any) -> tuple[int, float]:
    """Return (positions, share of the NAV a trade) that the config lets one strategy have, the tightest of its scopes."""
    scopes = (risk_cfg, strategy_cfg.defaults.limits, use.limits)

    def tightest(name: str) -> float:
        return min(value for value in (getattr(scope, name, None) for scope in scopes) if value is not None)

    return int(tightest("max_strategy_positions")), tightest("max_trade_nav_pct")


# ------------------------------------------------------------ caps alone, to compare


def caps_of(proposal: Proposal) -> dict[str, Any]:
    """Return the caps of a proposal without their reasons."""
    return {
        **{name: getattr(proposal, name) for name in WHOLE},
        "symbols": {name: {key: getattr(each, key) for key in OF_SYMBOL} for name, each in sorted(proposal.symbols.items())},
        "strategies": {name: {key: getattr(each, key) for key in OF_STRATEGY} for name, each in sorted(proposal.strategies.items())},
    }


def configured_caps(nav: float, bounds: Mapping[str, SymbolBounds], risk_cfg: Any, strategy_cfg: Any) -> dict[str, Any]:
    """Return the caps that the config alone sets, in the form of `caps_of`: what holds before anything was learned.

    nav: the tradable NAV in quote units. bounds: each symbol's resolved limits.
    """
    trade = risk_cfg.max_trade_nav_pct
    money = nav if math.isfinite(nav) and nav > 0.0 else 0.0

    def order(own: SymbolBounds) -> float:
        return min(own.max_order_notional, money * min(own.max_trade_nav_pct, trade, own.max_nav_pct))

    return {
        **{name: getattr(risk_cfg, name) for name in WHOLE},
        "symbols": {name: dict(zip(OF_SYMBOL, (own.max_nav_pct, order(own)), strict=True)) for name, own in sorted(bounds.items())},
        "strategies": {
            name: dict(zip(OF_STRATEGY, strategy_bounds(use, strategy_cfg, risk_cfg), strict=True))
            for name, use in sorted(strategy_cfg.strategies.items())
            if use.enabled
        },
    }


def cap_changes(current: Mapping[str, Any], proposed: Mapping[str, Any], place: str = "") -> list[dict[str, Any]]:
    """Return every cap that differs between two tables of `caps_of`: its place, and both values; None where one has none."""
    found: list[dict[str, Any]] = []
    for name in sorted(set(current) | set(proposed)):
        old, new = current.get(name), proposed.get(name)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            found += cap_changes(old or {}, new or {}, f"{place}{name}.")
        elif old != new:
            found.append({"cap": f"{place}{name}", "current": old, "proposed": new})
    return found
