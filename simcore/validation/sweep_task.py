"""The task of a sweep: some points on one ground, played where the data is — in a thread, a process or another machine.

A task is small and can be pickled; a feed is not sent but opened, mapped, where the task is played. Whoever plays a task keeps
a few sessions and uses them again, so memory does not grow with the number of trials.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from replay_data.catalog import Catalog
from replay_data.feed import Feed
from simcore.domain.errors import DataError, InvariantError, SimcoreError
from simcore.replay.trial import Start, Trial, play_together
from simcore.validation.provenance import source_hash, strategies_hash
from simcore.validation.trial_figures import Figures, figures_of

if TYPE_CHECKING:
    from simcore.config import Config
    from simcore.strategy import Strategy

# Trials that take turns over one stretch of bars, and the length of a stretch: both fit the processor's cache together.
TOGETHER = 4
BLOCK_BARS = 65_536
STARTS_KEPT = 2


@dataclass(frozen=True)
class Ground:
    """What points are scored on: symbols that share one account, in one window (ns UTC, end exclusive).

    root: the catalog folder, "" for the embedded sample, None for a feed of one's own, which stays in this process.
    """

    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    data_hash: str
    interval: str
    root: str | None = None
    window: tuple[int | None, int | None] = (None, None)
    feed: Feed | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one ground from another."""
        return self.data_hash, self.symbols, self.start_ns, self.end_ns

    def open(self) -> Feed:
        """Return the feed. Raises DataError where this machine's catalog holds other data."""
        if self.feed is not None:
            return self.feed
        if self.root is None:
            raise DataError("a feed of one's own stays on its machine. Import the data into a catalog that every worker can read.")
        start_ns, end_ns = self.window
        feed = open_catalog(self.root).feed(list(self.symbols), start_ns, end_ns, self.interval)
        if feed.content_hash != self.data_hash:
            raise DataError(f"{self.root}: a worker's catalog holds other data than the one that sent the task. Copy the catalog again.")
        return feed

    def sent(self) -> Ground:
        """Return the ground without its feed, as another process gets it."""
        return replace(self, feed=None)


def open_catalog(root: str) -> Catalog:
    """Return the catalog of a folder, that of the embedded sample where it is ""."""
    if root:
        return Catalog(root)
    from replay_data.sample import sample_catalog

    return Catalog(sample_catalog())


@dataclass(frozen=True)
class Task:
    """Points of a sweep on one ground under one config; a point is {strategy: {parameter: value}}.

    strategies: objects that stand for registered ones, where those of the config are not meant. source_hash, strategy_hash: of
    the code and of the strategies' sources that must play it.
    """

    ground: Ground
    config: Config
    points: tuple[dict[str, dict[str, float]], ...]
    source_hash: str
    strategy_hash: str
    strategies: tuple[Strategy, ...] = ()
    digests: bool = False


@cache
def own_source() -> str:
    """Return the hash of the code this process runs."""
    return source_hash()


_lock = threading.Lock()
_starts: dict[tuple[Any, ...], Start] = {}
_own = threading.local()


def start_of(task: Task) -> Start:
    """Return the start of a task, made once for all tasks on its ground under its config."""
    key = (task.ground.key, task.config.hash, tuple(id(each) for each in task.strategies))
    with _lock:
        if key not in _starts:
            while len(_starts) >= STARTS_KEPT:
                _starts.pop(next(iter(_starts)))
            _starts[key] = Start(task.ground.open(), task.config, task.strategies)
        return _starts[key]


def trials_of(start: Start, count: int, digests: bool) -> list[Trial]:
    """Return this thread's sessions for a start, at least `count`; those of another start are given back first."""
    if getattr(_own, "start", None) is not start or _own.digests != digests:
        _own.start, _own.digests, _own.trials = start, digests, []
    while len(_own.trials) < count:
        _own.trials.append(Trial(start, digests))
    trials: list[Trial] = _own.trials
    return trials


def forget() -> None:
    """Give back the starts, and the sessions of this thread."""
    with _lock:
        _starts.clear()
    _own.__dict__.clear()


def play_task(task: Task) -> list[Figures]:
    """Play every point of a task and return its figures, in order.

    Raises DataError where the worker's data or code differ from the sender's, and what a replay raises, with the point in front.
    """
    if task.source_hash != own_source():
        raise DataError("a worker runs other sources of simcore than the one that sent the task. Install the same version everywhere.")
    start = start_of(task)
    if task.strategy_hash != strategies_hash({use.name: use.strategy.source_hash for use in start.plan.uses}):
        raise DataError("a worker has other sources of a strategy than the one that sent the task. Copy the strategies again.")
    figures: list[Figures] = []
    for first in range(0, len(task.points), TOGETHER):
        points = task.points[first : first + TOGETHER]
        trials = trials_of(start, len(points), task.digests)
        try:
            figures += [figures_of(played) for played in play_together(trials, points, BLOCK_BARS)]
        except InvariantError:
            raise
        except SimcoreError as trouble:
            raise type(trouble)(f"sweep: at one of {list(points)}: {trouble}") from trouble
    return figures
