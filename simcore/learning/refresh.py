"""Refresh: learns policies from closed trades, and is the one place that puts a policy into force.

`learn` is pure: trades, the time, the policies so far and the config go in, new policies come out. `policy_rows`, `for_the_hour`
and `limit_rows` say them in the core's records; `put_into_force` writes those, at simulated times in a replay and at wall times
live. Limits are only ever tightened. With `v6_enabled` off nothing here runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from simcore.config import Config
from simcore.decision.outbox import log_nb
from simcore.decision.router import RouterPolicy
from simcore.domain.enums import LedgerKind, OffsetTier, Regime
from simcore.domain.records import MAX_SYMBOLS
from simcore.learning.allocator import Proposal, SymbolBounds, propose_policy
from simcore.learning.autotune import PolicyChange, RouterMetrics, TunerState, tune
from simcore.learning.expectancy import Sums, estimate, symbols_of, tabulate
from simcore.learning.intervals import central_z
from simcore.learning.scoring import ScoreExplanation, explain_score
from simcore.learning.trades import HOURS, NANOS_PER_HOUR, REGIMES, TradeTable, closed_before

NS = 1_000_000_000
DAY_S = 86_400
STAGES = ("expectancy", "scoring", "autotune", "allocator")


@dataclass(frozen=True, eq=False)
class Policies:
    """Everything the learning layer has in force at one time. What is empty says nothing, and the config stands.

    edges: expectancy in bps a trade [symbols, 24 hours, 4 regimes], what the screener's floor judges. scores: by symbol. router:
    tuned policies, with the state of their controllers. allocation: caps. learned_from, learned_to: the span of exits that was
    read (ns UTC). sources: hashes of the trades and of the config. Version 0 has learned nothing.
    """

    version: int = 0
    valid_from_ns: int = 0
    learned_from_ns: int = 0
    learned_to_ns: int = 0
    n_trades: int = 0
    symbols: tuple[str, ...] = ()
    edges: np.ndarray | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    explained: Mapping[str, ScoreExplanation] = field(default_factory=dict)
    router: Mapping[str, RouterPolicy] = field(default_factory=dict)
    tuner: Mapping[str, TunerState] = field(default_factory=dict)
    allocation: Proposal | None = None
    changes: tuple[PolicyChange, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the policies as plain values, for snapshots; what is not known is null."""
        same = ("version", "valid_from_ns", "learned_from_ns", "learned_to_ns", "n_trades")
        return {
            **{name: getattr(self, name) for name in same},
            "symbols": list(self.symbols),
            "edges": None if self.edges is None else [self._edge(at) for at in range(len(self.symbols))],
            "scores": dict(sorted(self.scores.items())),
            "explained": {symbol: each.as_dict() for symbol, each in sorted(self.explained.items())},
            "router": {symbol: each.as_dict() for symbol, each in sorted(self.router.items())},
            "tuner": {symbol: asdict(each) for symbol, each in sorted(self.tuner.items())},
            "allocation": None if self.allocation is None else self.allocation.as_dict(),
            "changes": [each.as_dict() for each in self.changes],
            "sources": dict(sorted(self.sources.items())),
        }

    def _edge(self, at: int) -> dict[str, list[float | None]]:
        table = np.zeros((HOURS, len(REGIMES))) if self.edges is None else self.edges[at]
        return {name: [None if math.isnan(each) else each for each in table[:, r].tolist()] for r, name in enumerate(REGIMES)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Policies:
        """Read policies back."""
        symbols = tuple(plain["symbols"])
        edges = None
        if plain["edges"] is not None:
            columns = [[each[name] for name in REGIMES] for each in plain["edges"]]
            edges = np.array(columns, float).reshape(len(symbols), len(REGIMES), HOURS).transpose(0, 2, 1).copy()
        explained = {name: {**each, "neutral": tuple(each["neutral"])} for name, each in plain["explained"].items()}
        router = {name: {**each, "offset_tier": OffsetTier[each["offset_tier"]]} for name, each in plain["router"].items()}
        parts = {
            "symbols": symbols,
            "edges": edges,
            "explained": {name: ScoreExplanation(**each) for name, each in explained.items()},
            "router": {name: RouterPolicy(**each) for name, each in router.items()},
            "tuner": {name: TunerState(**each) for name, each in plain["tuner"].items()},
            "allocation": None if plain["allocation"] is None else Proposal.from_dict(plain["allocation"]),
            "changes": tuple(PolicyChange(**each) for each in plain["changes"]),
        }
        return cls(**{**plain, **parts})


# ------------------------------------------------------------ learning


def stages(config: Config) -> frozenset[str]:
    """Return the stages that are switched on in settings.json; none while v6_enabled is false."""
    settings = config.settings
    return frozenset(name for name in STAGES if settings.v6_enabled and getattr(settings, name).enabled)


def learn(
    trades: TradeTable,
    now_ns: int,
    current: Policies,
    config: Config,
    nav: float,
    *,
    drawdown_pct: float = 0.0,
    orders: Mapping[str, RouterMetrics] | None = None,
    bounds: Mapping[str, SymbolBounds] | None = None,
    sigmas: Mapping[str, float] | None = None,
) -> Policies:
    """Return the policies learned at `now_ns` (ns UTC) from trades closed before it less the embargo; pure.

    current: the policies in force. nav: tradable, in quote units. orders: what each symbol's orders have cost by now. bounds:
    each symbol's configured limits. sigmas: daily volatilities. With every stage off the answer is `current` itself.
    """
    on, rules = stages(config), config.learning
    if not on:
        return current
    embargo, window = round(rules.refresh.embargo_s * NS), round(rules.refresh.window_days * DAY_S * NS)
    seen = closed_before(trades, now_ns, embargo, window)
    enough = len(seen) >= rules.refresh.min_trades
    sums = tabulate(seen)
    explained = scores_of(sums, config) if enough and on & {"scoring", "allocator"} else {}
    router, tuner, changes = tuned(current, now_ns, config, orders or {}) if "autotune" in on else ({}, {}, ())
    return Policies(
        version=current.version + 1,
        valid_from_ns=now_ns,
        learned_from_ns=int(seen.rows["exit_ns"].min()) if len(seen) else now_ns - embargo,
        learned_to_ns=int(seen.rows["exit_ns"].max()) if len(seen) else now_ns - embargo,
        n_trades=len(seen),
        symbols=sums.symbols,
        edges=edges_of(sums, config) if enough and "expectancy" in on else None,
        scores={name: each.score for name, each in explained.items() if each.gross_bps is not None} if "scoring" in on else {},
        explained=explained if "scoring" in on else {},
        router=router,
        tuner=tuner,
        allocation=propose_policy(
            nav, {name: each.score for name, each in explained.items()}, config.risk_limits, config.strategy_config,
            settings=rules.allocator, drawdown_pct=drawdown_pct, previous=current.allocation, bounds=bounds, sigmas=sigmas,
        ) if "allocator" in on else None,
        changes=changes,
        sources={"trades": seen.hash, "config": config.hash},
    )  # fmt: skip


def edges_of(sums: Sums, config: Config) -> np.ndarray:
    """Return what a trade of each (symbol, hour, regime) is expected to bring in bps; buckets without trades lean on their symbol."""
    rules = config.learning.expectancy
    net = estimate(sums, "net_bps", rules)
    lower = net.mean - central_z(rules.lower_bound_confidence) * net.sd
    return lower if rules.gate_on == "lower_bound" else net.mean


def scores_of(sums: Sums, config: Config) -> dict[str, ScoreExplanation]:
    """Return every symbol's score with its arithmetic; a symbol without trades gets the prior."""
    by_symbol = symbols_of(sums, config.learning.expectancy)
    return {symbol: explain_score(symbol, by_symbol.get(symbol), config.learning.scoring) for symbol in sums.symbols}


def tuned(
    current: Policies, now_ns: int, config: Config, orders: Mapping[str, RouterMetrics]
) -> tuple[dict[str, RouterPolicy], dict[str, TunerState], tuple[PolicyChange, ...]]:
    """Return each measured symbol's router policy after one step, the controllers' states, and what changed."""
    offsets = config.settings.router.offsets_bps.model_dump(exclude={"note"})
    policies, states = dict(current.router), dict(current.tuner)
    changes: list[PolicyChange] = []
    for symbol in sorted(orders):
        base = RouterPolicy.from_record(config.policy(symbol)[0])
        step = tune(
            symbol, policies.get(symbol, base), orders[symbol], config.learning.autotune,
            state=states.get(symbol), now_ns=now_ns, base=base, offsets_bps=offsets,
        )  # fmt: skip
        policies[symbol], states[symbol] = step.policy, step.state
        changes += step.changes
    return policies, states, tuple(changes)


def masked(policies: Policies, config: Config) -> Policies:
    """Return policies without the parts whose stage is switched off, for policies that come from a history."""
    on = stages(config)
    empty: dict[str, Any] = {}
    if "expectancy" not in on:
        empty["edges"] = None
    if "scoring" not in on:
        empty |= {"scores": {}, "explained": {}}
    if "autotune" not in on:
        empty |= {"router": {}, "tuner": {}}
    if "allocator" not in on:
        empty["allocation"] = None
    return replace(policies, **empty)


# ------------------------------------------------------------ in the core's records


def for_the_hour(policies: Policies, rows: np.ndarray, symbols: Sequence[str], ts_ns: int, regimes: np.ndarray) -> np.ndarray:
    """Return rows of `policy_rows` with what is expected in the hour of `ts_ns` (UTC) and in each symbol's regime."""
    if policies.edges is None:
        return rows
    chosen, hour = rows.copy(), ts_ns // NANOS_PER_HOUR % HOURS
    places = {symbol: at for at, symbol in enumerate(policies.symbols)}
    for at, symbol in enumerate(symbols):
        if symbol in places:
            chosen["expectancy_bps"][at] = policies.edges[places[symbol], hour, regimes[at]]
    return chosen


def policy_rows(policies: Policies, base: np.ndarray, symbols: Sequence[str]) -> np.ndarray:
    """Return one POLICY row a symbol, without what depends on the hour; `base` holds what the config says."""
    rows = base.copy()
    rows["version"] = policies.version
    for at, symbol in enumerate(symbols):
        row = rows[at]
        if symbol in policies.scores:
            row["score"] = policies.scores[symbol]
        if symbol in policies.router:
            learned = policies.router[symbol].to_record()[0]
            for name in ("maker_first", "offset_tier", "wait_ns", "max_requotes", "offset_bps", "taker_bias"):
                row[name] = learned[name]
        if policies.allocation is not None and symbol in policies.allocation.symbols:
            row["size_scale"] = policies.allocation.symbols[symbol].share
    return rows


def limit_rows(policies: Policies, base: np.ndarray, strategies: Sequence[str], symbols: Sequence[str]) -> np.ndarray:
    """Return LIMITS rows [strategies, symbols], each limit the tighter of the configured one in `base` and the proposed one."""
    rows = base.copy()
    proposal = policies.allocation
    if proposal is None:
        return rows
    tighten(rows, "max_concurrent_positions", proposal.max_concurrent_positions)
    tighten(rows, "max_trade_nav_pct", proposal.max_trade_nav_pct)
    for at, symbol in enumerate(symbols):
        if symbol in proposal.symbols:
            tighten(rows[:, at], "max_symbol_nav_pct", proposal.symbols[symbol].max_nav_pct)
            tighten(rows[:, at], "max_order_notional", proposal.symbols[symbol].max_order_notional)
    for at, name in enumerate(strategies):
        if name in proposal.strategies:
            tighten(rows[at], "max_strategy_positions", proposal.strategies[name].max_concurrent_positions)
            tighten(rows[at], "max_trade_nav_pct", proposal.strategies[name].max_trade_nav_pct)
    return rows


def tighten(rows: np.ndarray, name: str, cap: float) -> None:
    """Lower a limit to `cap` where it is above it."""
    rows[name] = np.minimum(rows[name], cap)


def regimes_of(core: Any) -> np.ndarray:
    """Return each symbol's market regime as the core knows it now, by the rule a trade's own regime follows."""
    markets = core["market"][: int(core["n_symbols"])]
    sigma, volume = markets["sigma_day"], markets["volume_day"]
    unknown = ~(sigma > 0.0) | ~(volume > 0.0)
    wild, thin = sigma > core["sigma_high"], volume * markets["close"] < core["volume_low_usd"]
    calm = np.where(thin, int(Regime.LOW_LIQ), int(Regime.NORMAL))
    return np.where(unknown, int(Regime.DEFAULT), np.where(wild, int(Regime.HIGH_VOL), calm))


def limits_in_force(core: Any) -> np.ndarray:
    """Return a copy of the core's limits as [strategies, symbols]."""
    strategies, symbols = int(core["n_strategies"]), int(core["n_symbols"])
    return core["limits"].reshape(-1, MAX_SYMBOLS)[:strategies, :symbols].copy()


def put_into_force(core: Any, rows: np.ndarray, limits: np.ndarray, ts_ns: int) -> None:
    """Write policies and limits into the core at `ts_ns`, with one ledger row a symbol whose version changed.

    rows: POLICY, one a symbol. limits: LIMITS [strategies, symbols]. A row of the ledger has the version as its code; strategy -1:
    value score, cap expectancy (bps), x0 size scale, x1 offset (bps), x2 patience (s), x3 1 when quoting first; with a strategy,
    for limits that changed: value max_symbol_nav_pct, cap max_order_notional, x0 max_trade_nav_pct, x1 and x2 positions allowed to
    the strategy and to all.
    """
    core["now_ns"] = ts_ns
    write = getattr(log_nb, "py_func", log_nb)
    n = len(rows)
    changed = rows["version"] != core["policy"]["version"][:n]
    before = limits_in_force(core)
    core["policy"][:n] = rows
    for strategy in range(limits.shape[0]):
        core["limits"][strategy * MAX_SYMBOLS : strategy * MAX_SYMBOLS + n] = limits[strategy]
    for symbol in np.flatnonzero(changed):
        row = rows[symbol]
        patience = row["wait_ns"] * 1e-9 * (1.0 - row["taker_bias"])
        write(
            core, LedgerKind.POLICY.value, row["version"], symbol, -1, 0, 0, 0, 0, row["score"], row["expectancy_bps"],
            row["size_scale"], row["offset_bps"], patience, float(row["maker_first"]),
        )  # fmt: skip
    for strategy, symbol in np.argwhere(before != limits):
        row = limits[strategy, symbol]
        write(
            core, LedgerKind.POLICY.value, rows["version"][symbol], symbol, strategy, 0, 0, 0, 0, row["max_symbol_nav_pct"],
            row["max_order_notional"], row["max_trade_nav_pct"], float(row["max_strategy_positions"]),
            float(row["max_concurrent_positions"]), 0.0,
        )  # fmt: skip
