"""The sweep: parameters x windows x symbols, each combination a replay, every one of them in the trial ledger.

A sweep may be stopped and run again: what the ledger holds is not played twice. The best of many flatters; the deflated Sharpe
ratio beside it says how much of it the search alone would have found by luck, counting every trial of the study on record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replay_data.interval import iso
from simcore.config import Config
from simcore.domain.errors import ConfigError
from simcore.validation.cluster import Workers
from simcore.validation.config_hash import ConfigHashes
from simcore.validation.proposers import Listed, Searched
from simcore.validation.provenance import fill_model_hash, strategies_hash
from simcore.validation.sharpe import deflated_sharpe
from simcore.validation.space import Point, split
from simcore.validation.sweep_task import Ground, Task, forget, own_source, play_task
from simcore.validation.trial_figures import DAY_S, RANKING, Figures
from simcore.validation.trials import Trial, Trials, append_trials, read_trials

if TYPE_CHECKING:
    from simcore.strategy import Strategy

Progress = Callable[[int, int, str], None]
Clock = Callable[[], int]
NAN = math.nan
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Asked:
    """One combination to play: a point, the config with the point's changes, its parameters and where it is scored."""

    point: Point
    ground: Ground
    config: Config
    params: dict[str, dict[str, float]]
    key: Key


@dataclass(frozen=True)
class Row:
    """One trial of a sweep: point, symbols, window, what it did, and its deflated Sharpe ratio (NaN: not determined).

    known: it was in the ledger already. digest: of the run where it was asked for.
    """

    point: Point
    trial: Trial
    dsr: float
    known: bool
    digest: str

    def figure(self, name: str) -> float:
        """Return a metric by name, NaN where it is not determined."""
        value = self.trial.metrics.get(name)
        return NAN if value is None else float(value)


@dataclass(frozen=True)
class Sweep:
    """A finished sweep. rows: a trial each, in the order they were proposed. by: the metric that ranks.

    left_out: points that the config's own rules refuse, such as a fast average that is not faster. n_trials: distinct trials of
    the study on record, which the deflated Sharpe ratios count.
    """

    rows: tuple[Row, ...]
    by: str
    study: str
    left_out: int
    n_trials: int

    @property
    def points(self) -> dict[str, list[Row]]:
        """The rows of each point, by the point's text."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(json.dumps(row.point, sort_keys=True), []).append(row)
        return found

    def ranked(self) -> list[list[Row]]:
        """Return the rows of each point, best point first: by the mean of the metric over its grounds; undetermined ones last."""
        return sorted(self.points.values(), key=lambda rows: -_or_least(self.score(rows)))

    def score(self, rows: Sequence[Row]) -> float:
        """Return the mean of the ranking metric over the grounds of one point; NaN unless all of them have it."""
        return float(np.mean([row.figure(self.by) for row in rows]))

    @property
    def best(self) -> list[Row]:
        """The rows of the best point, one a ground."""
        return self.ranked()[0]

    def table(self) -> dict[str, list[Any]]:
        """Return the rows as columns: what was varied, symbols, window, figures."""
        keys = list(self.rows[0].point) if self.rows else []
        names = list(self.rows[0].trial.metrics) if self.rows else []
        columns: dict[str, list[Any]] = {key: [row.point[key] for row in self.rows] for key in keys}
        columns["symbols"] = [",".join(row.trial.symbols) for row in self.rows]
        columns["start"] = [iso(row.trial.start_ns) for row in self.rows]
        columns["end"] = [iso(row.trial.end_ns) for row in self.rows]
        columns |= {name: [row.figure(name) for row in self.rows] for name in names}
        columns["dsr"] = [row.dsr for row in self.rows]
        return columns

    def frame(self) -> Any:
        """Return the rows as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(self.table())

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints: the best point, and every row; undetermined figures are null."""
        best = self.best
        return {
            "study": self.study,
            "by": self.by,
            "points": len(self.points),
            "trials": len(self.rows),
            "known": sum(row.known for row in self.rows),
            "left_out": self.left_out,
            "trials_on_record": self.n_trials,
            "best": {
                "point": best[0].point,
                self.by: _or_none(self.score(best)),
                "dsr": _or_none(min((row.dsr for row in best), key=_or_least)),
            },
            "rows": [_row_summary(row) for row in self.rows],
        }


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row_summary(row: Row) -> dict[str, Any]:
    trial = row.trial
    return {
        "point": row.point,
        "symbols": list(trial.symbols),
        "start": iso(trial.start_ns),
        "end": iso(trial.end_ns),
        **trial.metrics,
        "dsr": _or_none(row.dsr),
        "config_hash": trial.config_hash,
        "data_hash": trial.data_hash,
        **({"digest": row.digest} if row.digest else {}),
    }


class Runner:
    """One sweep under way: turns points into tasks, keeps the ledger, and remembers what is known."""

    def __init__(
        self, config: Config, strategies: Sequence[Strategy], grounds: Sequence[Ground], workers: Workers,
        *, study: str, seed: int, trials: Path, clock: Clock, digests: bool, progress: Progress | None,
    ) -> None:  # fmt: skip
        from simcore.strategy import load_strategy

        self.config, self.grounds, self.workers = config, list(grounds), workers
        self.study, self.seed, self.trials, self.clock, self.digests = study, seed, trials, clock, digests
        self.progress = progress
        self.source = own_source()
        objects = {each.name: each for each in strategies}
        folder = [config.folder.parent]
        self.uses = {e.name: objects.get(e.name) or load_strategy(e.module, e.name, folder) for e in config.enabled_strategies}
        self.strategy_hash = strategies_hash({name: use.source_hash for name, use in self.uses.items()})
        self.objects = tuple(strategies)
        self._configs: dict[str, tuple[Config, ConfigHashes, str]] = {}
        self.known = {key_of(row): row for row in read_trials(trials) if row.kind == "sweep"}
        self.done: dict[Key, tuple[Trial, str]] = {}
        self.left_out = self.total = 0

    # ------------------------------------------------------------ points

    def config_of(self, changes: Point) -> tuple[Config, ConfigHashes, str]:
        """Return the config with a point's changes, what hashes it with any parameters, and the hash of its fill model."""
        text = json.dumps(changes, sort_keys=True)
        if text not in self._configs:
            config = self.config.replace(set=changes) if changes else self.config
            self._configs[text] = config, ConfigHashes(config), fill_model_hash(config)
        return self._configs[text]

    def asked(self, point: Point) -> list[Asked]:
        """Return a point on every ground; nothing where the config's own rules refuse its parameters."""
        changes, params = split(point)
        config, hashes, model = self.config_of(changes)
        for name in params:
            if name not in self.uses:
                raise ConfigError(f"sweep: {name} does not run. Name it with --strategy, or vary one of {', '.join(self.uses)}.")
        if not hashes.allows(params):
            self.left_out += 1
            return []
        own = hashes.hash_with(params)
        return [
            Asked(point, ground, config, params, (self.source, own, self.strategy_hash, model, *ground.key, self.seed))
            for ground in self.grounds
        ]

    # ------------------------------------------------------------ playing

    def play(self, asked: Sequence[Asked]) -> None:
        """Play what is not known yet; each finished task is in the ledger before the next is looked at."""
        missing: dict[Key, Asked] = {}
        for each in asked:
            if each.key in self.known and not (self.digests and each.key not in self.done):
                self.done.setdefault(each.key, (self.known[each.key], ""))
            elif each.key not in self.done:
                missing[each.key] = each
        waiting = iter(list(self.tasks(list(missing.values()))))
        running: dict[Future[list[Figures]], list[Asked]] = {}
        try:
            while True:
                for task, members in waiting:
                    running[self.workers.executor.submit(play_task, task)] = members
                    if len(running) >= 2 * self.workers.count:
                        break
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    self.keep(running.pop(future), future.result())
        except BaseException:
            for future in running:
                future.cancel()
            self.keep_finished(running)
            raise

    def tasks(self, asked: Sequence[Asked]) -> Iterator[tuple[Task, list[Asked]]]:
        """Yield tasks of points that share ground and config, and what each of them answers."""
        groups: dict[Key, list[Asked]] = {}
        for each in asked:
            groups.setdefault((*each.ground.key, each.config.hash), []).append(each)
        for group in groups.values():
            # Toward the end of a small sweep no worker should wait for another's long task.
            size = max(1, min(self.workers.points, -(-len(group) // self.workers.count)))
            ground = group[0].ground if self.workers.local else group[0].ground.sent()
            for first in range(0, len(group), size):
                members = group[first : first + size]
                points = tuple(each.params for each in members)
                yield Task(ground, group[0].config, points, self.source, self.strategy_hash, self.objects, self.digests), members

    def keep(self, members: Sequence[Asked], figures: Sequence[Figures]) -> None:
        """Append the trials of a finished task to the ledger, all of them in one write."""
        rows = [self.trial(each, result) for each, result in zip(members, figures, strict=True)]
        append_trials(self.trials, [row for each, row in zip(members, rows, strict=True) if each.key not in self.known])
        for each, row, result in zip(members, rows, figures, strict=True):
            self.done[each.key] = row, result.digest
        if self.progress is not None:
            self.progress(len(self.done), self.total, "sweep")

    def keep_finished(self, running: Mapping[Future[list[Figures]], list[Asked]]) -> None:
        """Save what was finished while something else went wrong."""
        for future, members in running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                self.keep(members, future.result())

    def trial(self, asked: Asked, figures: Figures) -> Trial:
        """Return the ledger's line of one combination."""
        ground = asked.ground
        source, config_hash, strategy_hash, model = asked.key[:4]
        params = {name: use.resolve({**self.config.entry(name).params, **asked.params.get(name, {})}) for name, use in self.uses.items()}
        return Trial(
            recorded_ns=self.clock(), study=self.study, kind="sweep", source_hash=source, config_hash=config_hash,
            strategy_hash=strategy_hash, data_hash=ground.data_hash, fill_model_hash=model, strategies=tuple(self.uses), params=params,
            symbols=ground.symbols, start_ns=ground.start_ns, end_ns=ground.end_ns, seed=self.seed, period_s=DAY_S,
            n_periods=figures.n_days, sharpe=figures.sharpe, metrics=figures.metrics,
        )  # fmt: skip


def key_of(row: Trial) -> Key:
    """Return what tells one combination from another; equal keys give equal results."""
    hashes = row.source_hash, row.config_hash, row.strategy_hash, row.fill_model_hash
    return (*hashes, row.data_hash, row.symbols, row.start_ns, row.end_ns, row.seed)


def run_sweep(
    config: Config,
    grounds: Sequence[Ground],
    proposer: Listed | Searched,
    workers: Workers,
    *,
    trials: str | Path,
    clock: Clock,
    by: str = "sharpe",
    study: str = "",
    seed: int = 0,
    strategies: Sequence[Strategy] = (),
    digests: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Play every point that `proposer` gives on every ground, and return the sweep.

    config: names the strategies that run and everything that does not vary. trials: the trial ledger; what it holds already
    (same sources, config, strategies, data, window and seed) is not played again. clock: nanoseconds UTC, written beside each
    trial. by: "sharpe", "net_pnl", "total_return" or "max_drawdown". study: the question the trials belong to; without it, the
    names of the strategies. digests: play everything and keep the digest of each run.

    Raises ConfigError, DataError, StrategyError; what was finished by then is in the ledger.
    """
    if by not in RANKING:
        raise ConfigError(f"sweep: cannot rank by {by!r}. Choose one of {', '.join(RANKING)}.")
    names = ", ".join(each.name for each in config.enabled_strategies)
    runner = Runner(
        config, strategies, grounds, workers,
        study=study or names, seed=seed, trials=Path(trials), clock=clock, digests=digests, progress=progress,
    )  # fmt: skip
    runner.total = proposer.total * len(runner.grounds)
    everything: list[Asked] = []
    known = frozenset(runner.known)
    batch = workers.count * workers.points if proposer.learns else proposer.total
    try:
        while points := proposer.ask(batch):
            asked = [runner.asked(point) for point in points]
            runner.total -= sum(not each for each in asked) * len(runner.grounds)
            runner.play([each for group in asked for each in group])
            proposer.tell(points, [score_of(runner, group, by) for group in asked])
            everything += [each for group in asked for each in group]
    finally:
        forget()
    if not everything:
        raise ConfigError("sweep: the config's own rules refuse every point. Look at min, max and less_than in strategy_registry.json.")
    return judged(runner, list({each.key: each for each in everything}.values()), known, by)


def score_of(runner: Runner, group: Sequence[Asked], by: str) -> float:
    """Return the mean of a metric over the grounds of one point; NaN where one of them has none, or the point was left out."""
    values = [runner.done[each.key][0].metrics.get(by) for each in group]
    return float(np.mean([NAN if value is None else value for value in values])) if values else NAN


def judged(runner: Runner, everything: Sequence[Asked], known: frozenset[Key], by: str) -> Sweep:
    """Return the sweep with the deflated Sharpe ratio of each trial: among all trials of the study on the same ground."""
    record = read_trials(runner.trials)
    mine = record.where(study=runner.study, period_s=DAY_S)
    count = max(mine.count(), len({json.dumps(each.point, sort_keys=True) for each in everything}))
    spread = {ground.key: spread_of(mine, ground) for ground in runner.grounds}
    rows = []
    for each in everything:
        trial, digest = runner.done[each.key]
        rows.append(Row(each.point, trial, dsr_of(trial, count, spread[each.ground.key]), each.key in known, digest))
    return Sweep(tuple(rows), by, runner.study, runner.left_out, count)


def spread_of(record: Trials, ground: Ground) -> float:
    """Return the variance of the Sharpe ratios of a study's trials on one ground, whatever the order in which they finished."""
    sharpes = np.sort(record.where(symbols=ground.symbols, start_ns=ground.start_ns, end_ns=ground.end_ns).sharpes())
    return float(sharpes.var(ddof=1)) if len(sharpes) > 1 else NAN


def dsr_of(trial: Trial, n_trials: int, variance: float) -> float:
    """Return the lower of the deflated Sharpe ratios with and without autocorrelation; NaN where it is not determined."""
    shape = [trial.metrics.get(name) for name in ("skew", "kurt", "rho")]
    if trial.sharpe is None or None in shape:
        return NAN
    skew, kurt, rho = (float(value) for value in shape if value is not None)
    plain = deflated_sharpe(trial.sharpe, trial.n_periods, skew, kurt, n_trials, variance).dsr
    careful = deflated_sharpe(trial.sharpe, trial.n_periods, skew, kurt, n_trials, variance, rho).dsr
    return min(plain, careful) if plain == plain and careful == careful else NAN
