"""The walk-forward validation: every policy that is tried, fold by fold beside a frozen baseline, and the verdict on the judged one.

A fold replays its training days and goes on into its test days without a stop, and only the test days are scored. The learner
learns inside the replay, by the refresh that live runs, from trades closed before each moment. Every policy of a fold sees the
same bars, latencies and seed, so that what differs between two of them is the policy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replay_data.interval import iso
from simcore.domain.errors import DataError
from simcore.validation.bands import live_bands
from simcore.validation.capacity import capacity_usd
from simcore.validation.criteria import Verdict, drawdown_ratio, figures_of, judge
from simcore.validation.evidence import Evidence, weigh
from simcore.validation.multiple_testing import adjust
from simcore.validation.outcome import BPS, DAY_NS, Outcome, joined, outcome_of
from simcore.validation.policies import BASELINE, Variants, candidates, policy_name, stressed
from simcore.validation.provenance import enabled_strategies_hash, fill_model_hash, source_hash, strategies_hash
from simcore.validation.resampling import (
    PairedDifference,
    Superiority,
    block_length,
    paired_difference,
    superior_predictive_ability,
)
from simcore.validation.sharpe import moments
from simcore.validation.splits import Window, walk_forward, walk_forward_efficiency
from simcore.validation.trials import Trial, Trials, append_trials, read_trials

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.config import Config
    from simcore.replay import Recording
    from simcore.strategy import Strategy

NS = 1_000_000_000
DAY_S = 86_400
DAYS_A_YEAR = 365
KIND = "validate"

Progress = Callable[[int, int, str], None]
Play = Callable[["Feed", "Config", int], "Recording"]


@dataclass(frozen=True)
class Validation:
    """A finished validation. windows: days since `first_day` (a UTC day number), one a fold; outcomes: by policy, one a fold.

    stress: outcomes of the judged policy in each stressed world. trials: those of the ledger that competed, this run's among
    them. policies: what the judged policy had learned when the last fold ended, as plain values; None without learning.
    hashes: of what the result stands on.
    """

    config: Config
    study: str
    symbols: tuple[str, ...]
    strategies: tuple[str, ...]
    judged: str
    seed: int
    first_day: int
    windows: tuple[Window, ...]
    outcomes: Mapping[str, tuple[Outcome, ...]]
    stress: Mapping[str, tuple[Outcome, ...]]
    trials: Trials
    hashes: Mapping[str, str]
    data: Mapping[str, Any]
    policies: Mapping[str, Any] | None = None
    caveats: tuple[str, ...] = field(default=())

    @cached_property
    def pooled(self) -> dict[str, Outcome]:
        """Every policy's test windows as one record, by name."""
        return {name: joined(parts) for name, parts in self.outcomes.items()}

    @cached_property
    def table(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The policies that differ, and their daily returns out of sample [days, policies]; equal ones are one."""
        kept: dict[bytes, str] = {}
        for name, outcome in self.pooled.items():
            kept.setdefault(outcome.returns.tobytes(), name)
        names = tuple(kept.values())
        return names, np.column_stack([self.pooled[name].returns for name in names])

    @cached_property
    def evidence(self) -> Evidence:
        """What the daily returns say of the judged policy against the baseline."""
        mine, base = self.pooled[self.judged].returns, self.pooled[BASELINE].returns
        return weigh(mine, base, self.trials, self.config.validation.statistics, self.table[1])

    def gain(self, name: str) -> PairedDifference:
        """Return what a policy added over the baseline a day, with its interval."""
        rules = self.config.validation.statistics
        rng = np.random.Generator(np.random.PCG64(rules.seed))
        mine, base = self.pooled[name].returns, self.pooled[BASELINE].returns
        return paired_difference(mine, base, rng, draws=rules.bootstrap_draws, confidence=rules.confidence)

    @cached_property
    def gains(self) -> dict[str, PairedDifference]:
        """What every policy but the baseline added."""
        return {name: self.gain(name) for name in self.outcomes if name != BASELINE}

    @cached_property
    def superiority(self) -> Superiority | None:
        """Hansen's test that none of this run's policies beats the baseline; None where none differs from it."""
        names, table = self.table
        if len(names) < 2:
            return None
        excess = table[:, 1:] - table[:, :1]
        rules = self.config.validation.statistics
        block = max(block_length(column).stationary for column in excess.T)
        return superior_predictive_ability(excess, block, rules.bootstrap_draws, np.random.Generator(np.random.PCG64(rules.seed)))

    @cached_property
    def holm(self) -> tuple[float, int]:
        """The judged policy's chance of such a gain by luck after Holm, and over how many policies ever tried."""
        earlier = [row for row in self.trials.distinct() if row.metrics.get("gain_p") is not None]
        p_values = [row.metrics["gain_p"] for row in earlier]
        mine = [at for at, row in enumerate(earlier) if row.params.get("policy", {}).get(self.judged) == 1.0]
        own = next((at for at in mine if earlier[at].config_hash == self.hashes["config"]), None)
        if own is None:
            return math.nan, len(p_values)
        return float(adjust(np.array(p_values, np.float64), "holm")[own]), len(p_values)

    @cached_property
    def capacity_usd(self) -> float:
        """The NAV at which the judged policy's own impact has eaten its result."""
        own = self.pooled[self.judged]
        return capacity_usd(own.nav, float(own.returns.mean()), own.impact_a_day, own.room)

    @cached_property
    def stress_bps_a_day(self) -> dict[str, float]:
        """The judged policy's mean net result a day in each stressed world, in basis points of the NAV."""
        return {name: float(joined(parts).returns.mean() * BPS) for name, parts in self.stress.items()}

    @cached_property
    def efficiency(self) -> float:
        """The judged policy's mean daily result out of sample over that of its training windows."""
        own = self.pooled[self.judged]
        return walk_forward_efficiency(float(own.returns.mean()) * DAYS_A_YEAR, float(own.learned.mean()) * DAYS_A_YEAR)

    @cached_property
    def verdict(self) -> Verdict:
        """Every criterion of validation.json against its figure."""
        own, base = self.pooled[self.judged], self.pooled[BASELINE]
        figures = figures_of(
            self.evidence,
            holm_p=self.holm[0],
            drawdown_ratio=drawdown_ratio(own.drawdown, base.drawdown),
            turnover_nav_a_day=own.turnover,
            reject_pct=own.reject_share,
            ambiguous_exits_pct=own.ambiguous_share,
            trades=float(len(own.trades)),
            capacity_usd=self.capacity_usd,
            stress_bps_a_day=self.stress_bps_a_day,
        )
        return judge(figures, self.config.validation.criteria)

    @cached_property
    def bands(self) -> dict[str, Any]:
        """Between which values live figures must stay."""
        return live_bands(self.pooled[self.judged], self.config.validation.certificate)

    def span(self, window: Window) -> tuple[str, str, str]:
        """Return when a fold begins to learn, begins to be scored, and ends."""
        days = (window.train[0], window.test[0], window.test[1])
        return tuple(iso((self.first_day + day) * DAY_NS)[:10] for day in days)  # type: ignore[return-value]  # three of them

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the daily series for JSON; what is not determined is null."""
        return plain(
            {
                "study": self.study,
                "symbols": self.symbols,
                "strategies": self.strategies,
                "judged": self.judged,
                "seed": self.seed,
                "data": self.data,
                "hashes": self.hashes,
                "windows": [dict(zip(("learns_from", "scored_from", "scored_to"), self.span(each), strict=True)) for each in self.windows],
                "folds": [self.fold(at) for at in range(len(self.windows))],
                "policies": {name: self.policy(name) for name in self.outcomes},
                "evidence": self.evidence_dict(),
                "stress_bps_a_day": self.stress_bps_a_day,
                "capacity_usd": self.capacity_usd,
                "efficiency": self.efficiency,
                "verdict": self.verdict.as_dict(),
                "bands": self.bands,
                "caveats": self.caveats,
            }
        )

    def fold(self, at: int) -> dict[str, Any]:
        """Return one fold: mean daily result of baseline and judged policy (bps of NAV), their difference, trades."""
        base, own = self.outcomes[BASELINE][at], self.outcomes[self.judged][at]
        begin, scored, end = self.span(self.windows[at])
        return {
            "learns_from": begin,
            "scored_from": scored,
            "scored_to": end,
            "baseline_bps_a_day": float(base.returns.mean()) * BPS,
            "policy_bps_a_day": float(own.returns.mean()) * BPS,
            "gain_bps_a_day": float((own.returns - base.returns).mean()) * BPS,
            "baseline_trades": len(base.trades),
            "policy_trades": len(own.trades),
        }

    def policy(self, name: str) -> dict[str, Any]:
        """Return one policy's pooled figures, and what it added over the baseline."""
        outcome = self.pooled[name]
        figures: dict[str, Any] = {
            "bps_a_day": float(outcome.returns.mean()) * BPS,
            "sharpe_annual": moments(outcome.returns).sr * math.sqrt(DAYS_A_YEAR),
            "max_drawdown": outcome.drawdown,
            "turnover_nav_a_day": outcome.turnover,
            "trades": len(outcome.trades),
            "net_usd": float(outcome.trades["net_usd"].sum()),
        }
        if name != BASELINE:
            gain = self.gains[name]
            figures |= {"gain_bps_a_day": gain.mean * BPS, "low": gain.low * BPS, "high": gain.high * BPS, "p": gain.p_one_sided}
        return figures

    def evidence_dict(self) -> dict[str, Any]:
        """Return the statistics of the judged policy."""
        evidence, best = self.evidence, self.superiority
        return {
            "days": evidence.gain.n,
            "gain_bps_a_day": evidence.gain.mean * BPS,
            "low": evidence.gain.low * BPS,
            "high": evidence.gain.high * BPS,
            "confidence": evidence.gain.confidence,
            "t": evidence.gain.t,
            "block_days": evidence.gain.block,
            "paired_se_bps": evidence.gain.paired_se * BPS,
            "unpaired_se_bps": evidence.gain.unpaired_se * BPS,
            "correlation": evidence.gain.correlation,
            "psr": evidence.psr,
            "dsr": evidence.dsr.dsr,
            "trials_counted": evidence.n_counted,
            "trials_effective": evidence.n_trials,
            "pbo": evidence.pbo,
            "pbo_policies": self.table[0],
            "spa_p": best.consistent if best else math.nan,
            "holm_p": self.holm[0],
            "holm_policies": self.holm[1],
        }

    def __str__(self) -> str:
        return "\n".join(lines_of(self))


def plain(value: Any) -> Any:
    """Return a structure as plain values, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def lines_of(result: Validation) -> list[str]:
    """Return the short table of a validation, line by line."""
    known = result.evidence_dict()
    lines = [
        f"{result.study}: {len(result.windows)} folds, {known['days']} days out of sample, judged: {result.judged}",
        "",
        f"{'fold scored':<24}{'baseline':>10}{'policy':>10}{'gain':>10}{'trades':>16}    (bps of NAV a day)",
    ]
    for at in range(len(result.windows)):
        fold = result.fold(at)
        counts = f"{fold['baseline_trades']} / {fold['policy_trades']}"
        figures = "".join(f"{fold[f'{key}_bps_a_day']:>10.3f}" for key in ("baseline", "policy", "gain"))
        lines.append(f"{fold['scored_from']} {fold['scored_to']}   {figures}{counts:>16}")
    lines += ["", f"{'policy':<24}{'bps a day':>10}{'Sharpe':>10}{'gain':>10}   interval             p"]
    for name in result.outcomes:
        row = result.policy(name)
        sharpe = f"{row['sharpe_annual']:.2f}" if math.isfinite(row["sharpe_annual"]) else "-"
        gain = f"{row['gain_bps_a_day']:>10.3f}   [{row['low']:.3f}, {row['high']:.3f}]   {row['p']:.3f}" if name != BASELINE else ""
        lines.append(f"{name:<24}{row['bps_a_day']:>10.3f}{sharpe:>10}{gain}")
    lines += [
        "",
        f"PBO {known['pbo']:.2f} over {len(known['pbo_policies'])} policies; SPA p {known['spa_p']:.3f}; Holm p {known['holm_p']:.3f} over "
        f"{known['holm_policies']}; {known['trials_counted']} trials in the ledger",
        "",
        str(result.verdict),
    ]
    return lines


# ------------------------------------------------------------ running


def validate(
    feed: Feed,
    config: Config,
    *,
    trials: str | Path,
    now_ns: int,
    study: str | None = None,
    strategies: Sequence[Strategy] | None = None,
    variants: Variants | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Validation:
    """Walk the judged policy, its rivals and variants and the baseline through all folds, count the trials, and return the result.

    feed: of bars. config: validation.json says how long folds are, what is tried and what must be met. trials: the trial ledger
    that this run's trials are appended to; those of the same strategies on record compete. now_ns: the time written into it.
    study: a name for the question. strategies: objects that stand for registered ones. variants: see `policies.candidates`.

    Raises ConfigError, DataError (too little data for one fold, a damaged ledger), StrategyError.
    """
    rules = config.validation
    first_day, end_day = -(-feed.start_ns // DAY_NS), feed.end_ns // DAY_NS
    walk = rules.walk_forward
    windows = walk_forward(
        0, end_day - first_day, train=walk.train_days, test=walk.test_days, step=walk.step_days, purge=walk.purge_days,
        anchored=walk.anchored,
    )  # fmt: skip
    tried = candidates(config, variants)
    judged = policy_name(rules.judged)
    worlds = stressed(tried[judged])
    play = Player(feed, list(strategies or []), seed, first_day, windows, round(rules.certificate.markout_s * NS), progress)
    play.total = len(windows) * (len(tried) + len(worlds))
    outcomes = {name: play.folds(each, name) for name, each in tried.items()}
    policies = play.last_policies.get(tried[judged].hash)
    stress = {name: play.folds(each, f"stress {name}") for name, each in worlds.items()}
    uses = tuple(entry.name for entry in config.enabled_strategies)
    question = study or f"{', '.join(uses)} on {named(feed.symbols)}, {iso(feed.start_ns)[:10]} to {iso(feed.end_ns)[:10]}"
    hashes = {
        "source": source_hash(),
        "config": tried[judged].hash,
        "strategy": strategy_hash(config, strategies),
        "data": feed.content_hash,
        "fill_model": fill_model_hash(tried[judged]),
    }
    result = Validation(
        config=config,
        study=question,
        symbols=feed.symbols,
        strategies=uses,
        judged=judged,
        seed=seed,
        first_day=first_day,
        windows=tuple(windows),
        outcomes=outcomes,
        stress=stress,
        trials=Trials(Path(trials), (), (), ""),
        hashes=hashes,
        data={"label": feed.label, "synthetic": feed.synthetic, "start": iso(feed.start_ns), "end": iso(feed.end_ns)},
        policies=policies,
        caveats=feed.caveats,
    )
    append_trials(trials, [trial_of(result, name, each, now_ns) for name, each in tried.items()])
    return replace(result, trials=read_trials(trials).where(strategies=uses, period_s=DAY_S))


def named(symbols: Sequence[str]) -> str:
    """Return up to three symbols by name, more by number."""
    return ", ".join(symbols) if len(symbols) <= 3 else f"{len(symbols)} symbols"


def strategy_hash(config: Config, strategies: Sequence[Strategy] | None) -> str:
    """Return the hash of the strategies' sources, of the given objects where there are any."""
    return strategies_hash({each.name: each.source_hash for each in strategies}) if strategies else enabled_strategies_hash(config)


@dataclass
class Player:
    """Replays configs over the folds; a config already played is not played again."""

    feed: Feed
    strategies: list[Strategy]
    seed: int
    first_day: int
    windows: Sequence[Window]
    markout_ns: int
    progress: Progress | None = None
    total: int = 0
    done: int = 0
    played: dict[str, tuple[Outcome, ...]] = field(default_factory=dict)
    last_policies: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def folds(self, config: Config, word: str) -> tuple[Outcome, ...]:
        """Return the outcome of a config in every fold."""
        if config.hash not in self.played:
            self.played[config.hash] = tuple(self.fold(config, window, word) for window in self.windows)
        else:
            self.done += len(self.windows)
        return self.played[config.hash]

    def fold(self, config: Config, window: Window, word: str) -> Outcome:
        """Replay one fold from its first training day to its last test day."""
        from simcore.replay import run_replay

        train, test = (tuple(self.first_day + day for day in span) for span in (window.train, window.test))
        part = self.feed.between(train[0] * DAY_NS, test[1] * DAY_NS)
        recording = run_replay(part, config, strategies=self.strategies or None, seed=self.seed)
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, max(self.total, self.done), word)
        learned = getattr(recording, "policies", None)
        if learned:
            self.last_policies[config.hash] = learned[-1].as_dict()
        return outcome_of(recording, config, (train[0], train[1]), (test[0], test[1]), self.markout_ns)


def trial_of(result: Validation, name: str, config: Config, now_ns: int) -> Trial:
    """Return the ledger's record of one policy of a validation."""
    outcome = result.pooled[name]
    own = moments(outcome.returns)
    metrics: dict[str, float | None] = {"bps_a_day": float(outcome.returns.mean()) * BPS, "trades": float(len(outcome.trades))}
    if name != BASELINE:
        gain = result.gains[name]
        metrics |= {"gain_bps_a_day": gain.mean * BPS, "gain_p": gain.p_one_sided}
    if not len(outcome.returns):
        raise DataError(f"{name}: no day was scored. Choose longer test windows.")
    return Trial(
        recorded_ns=now_ns,
        study=result.study,
        kind=KIND,
        source_hash=result.hashes["source"],
        config_hash=config.hash,
        strategy_hash=result.hashes["strategy"],
        data_hash=result.hashes["data"],
        fill_model_hash=fill_model_hash(config),
        strategies=result.strategies,
        params={**{entry.name: dict(entry.params) for entry in config.enabled_strategies}, "policy": {name: 1.0}},
        symbols=result.symbols,
        start_ns=int(outcome.days[0]) * DAY_NS,
        end_ns=(int(outcome.days[-1]) + 1) * DAY_NS,
        seed=result.seed,
        period_s=DAY_S,
        n_periods=len(outcome.returns),
        sharpe=own.sr if math.isfinite(own.sr) else None,
        metrics=metrics,
    )
