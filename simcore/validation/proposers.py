"""The proposers of a sweep: which points are tried next — all of them, some at random, or where Optuna expects the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from simcore.domain.errors import ConfigError
from simcore.validation.space import Point, Space

METHODS = ("grid", "random", "optuna")


class Proposer(Protocol):
    """Gives points to try, and is told how they did: one score a point, more is better, NaN where there is none."""

    total: int

    def ask(self, count: int) -> list[Point]:
        """Return up to `count` points; none when there are no more."""

    def tell(self, points: Sequence[Point], scores: Sequence[float]) -> None:
        """Take the scores of points asked for, in the order they were given out."""


class Listed:
    """Points of a list that was fixed beforehand; scores change nothing."""

    learns = False

    def __init__(self, points: Iterator[Point], total: int) -> None:
        self.total = total
        self._points = islice(points, total)

    def ask(self, count: int) -> list[Point]:
        """Return the next points of the list."""
        return list(islice(self._points, count))

    def tell(self, points: Sequence[Point], scores: Sequence[float]) -> None:
        """Take note of nothing."""


class Searched:
    """Points that Optuna's TPE sampler proposes, a batch at a time: the same seed and batch size, the same search."""

    learns = True

    def __init__(self, space: Space, total: int, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError("sweep: --search needs Optuna, which is not installed. pip install 'simcore[search]'.") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.total, self.space = total, space
        self._asked = 0
        self._open: list[Any] = []
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._failed = optuna.trial.TrialState.FAIL
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self, count: int) -> list[Point]:
        """Return the next batch; the one before it must have been told."""
        count = min(count, self.total - self._asked)
        self._asked += count
        self._open = [self._study.ask() for _ in range(count)]
        return [self._point(trial) for trial in self._open]

    def _point(self, trial: Any) -> Point:
        point: Point = {}
        for key, values in self.space.axes.items():
            # Values stand in an order, so the sampler learns that neighbours are alike; words have none.
            if any(isinstance(value, str) for value in values):
                point[key] = trial.suggest_categorical(key, values)
            else:
                point[key] = values[trial.suggest_int(key, 0, len(values) - 1)]
        return point

    def tell(self, points: Sequence[Point], scores: Sequence[float]) -> None:
        """Hand the scores to the sampler; an undetermined one counts as a failed trial."""
        for trial, score in zip(self._open, scores, strict=True):
            if math.isfinite(score):
                self._study.tell(trial, score)
            else:
                self._study.tell(trial, state=self._failed)


def make_proposer(method: str, space: Space, draws: int | None, seed: int) -> Listed | Searched:
    """Return the proposer of a method: "grid", "random" (`draws` points) or "optuna" (`draws` points). Raises ConfigError."""
    if method not in METHODS:
        raise ConfigError(f"sweep: method {method!r} is none of {', '.join(METHODS)}.")
    if method == "grid":
        if draws is not None:
            raise ConfigError("sweep: a grid is tried whole, so a number of draws means nothing. Choose random or optuna, or leave it out.")
        return Listed(space.grid(), len(space))
    if draws is None or draws < 1:
        raise ConfigError(f"sweep: {method} needs a number of points to draw, at least 1.")
    if method == "random":
        return Listed(space.drawn(seed), min(draws, len(space)))
    return Searched(space, draws, seed)
