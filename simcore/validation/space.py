"""The space of a sweep: keys, the values each may take, and the points that combine one value of each.

A key is a strategy's parameter, "sma_cross.fast", or a place in a config file, "settings.bar_model.fill_rule".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simcore.config.models import FILES
from simcore.domain.errors import ConfigError

Value = float | str | bool
Point = dict[str, Value]
MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Space:
    """Every combination of the values in `axes`: {key: values}, the last key changing fastest."""

    axes: Mapping[str, tuple[Value, ...]]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ConfigError("sweep: nothing varies. Name a parameter and its values: --grid fast=10:50:10.")
        for key, values in self.axes.items():
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"sweep: {key} has {'the same value twice' if values else 'no value'}. Give each value once.")

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.axes.values())

    def grid(self) -> Iterator[Point]:
        """Yield every point."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def at(self, index: int) -> Point:
        """Return the point that `grid` yields at this place."""
        point: Point = {}
        for key, values in reversed(list(self.axes.items())):
            index, place = divmod(index, len(values))
            point[key] = values[place]
        return {key: point[key] for key in self.axes}

    def drawn(self, seed: int) -> Iterator[Point]:
        """Yield every point once, in a random order that `seed` decides."""
        rng, size = np.random.default_rng(seed), len(self)
        if size <= MOST_VALUES:
            yield from (self.at(int(index)) for index in rng.permutation(size))
            return
        seen: set[int] = set()
        while len(seen) < size:
            index = sum(int(rng.integers(len(values))) * weight for values, weight in zip(self.axes.values(), self._weights(), strict=True))
            if index not in seen:
                seen.add(index)
                yield self.at(index)

    def _weights(self) -> list[int]:
        sizes = [len(values) for values in self.axes.values()]
        return [math.prod(sizes[place + 1 :]) for place in range(len(sizes))]


def read_axes(given: Mapping[str, str | Value | Sequence[Value] | range], names: Sequence[str]) -> Space:
    """Return the space a person describes: {key: values}, where values is a list, a range, or text.

    As text: "10:50:10" counts from 10 to 50 (both in) by 10, "10,20,50" lists. names: the strategies that run; a key without a
    dot belongs to the only one. Raises ConfigError.
    """
    axes: dict[str, tuple[Value, ...]] = {}
    for key, values in given.items():
        if "." not in key and len(names) != 1:
            raise ConfigError(f"sweep: {key!r} does not say of which strategy. Write 'strategy.{key}'.")
        full = key if "." in key else f"{names[0]}.{key}"
        if full in axes:
            raise ConfigError(f"sweep: {full} is given twice. Put all its values in one place.")
        axes[full] = values_of(full, values)
    return Space(axes)


def values_of(key: str, given: str | Value | Sequence[Value] | range) -> tuple[Value, ...]:
    """Return the values of one axis.

    >>> values_of("x.n", "10:30:10"), values_of("x.n", "touch,through")
    ((10.0, 20.0, 30.0), ('touch', 'through'))
    """
    if isinstance(given, str):
        parts = [part.strip() for part in given.split(":")]
        if len(parts) == 1:
            return tuple(value_of(part) for part in given.split(",") if part.strip())
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) not in (2, 3):
            raise ConfigError(f"sweep: {key}={given}: write it as FIRST:LAST:STEP, such as 10:50:10, or as a list, 10,20,50.")
        return steps(key, *numbers)
    if isinstance(given, (bool, int, float, np.number)):
        return (as_value(given),)
    return tuple(as_value(value) for value in given)


def steps(key: str, first: float, last: float, step: float = 1.0) -> tuple[float, ...]:
    """Return first, first + step, ... up to `last`, which is in where the steps meet it."""
    if not (math.isfinite(first) and math.isfinite(last) and step > 0.0 and last >= first):
        raise ConfigError(f"sweep: {key}={first:g}:{last:g}:{step:g}: count up from FIRST to LAST by a STEP above 0.")
    count = math.floor((last - first) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise ConfigError(f"sweep: {key}: {count:,} values are too many. Choose a larger STEP.")
    return tuple(round(first + index * step, 12) for index in range(count))


def value_of(text: str) -> Value:
    """Return what a word of the command line means: a number, true or false, or the word."""
    word = text.strip()
    if word in ("true", "false"):
        return word == "true"
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word


def as_value(value: object) -> Value:
    """Return a number as a float; texts and booleans as they are."""
    return value if isinstance(value, (str, bool)) else float(value)  # type: ignore[arg-type]


def split(point: Mapping[str, Value]) -> tuple[Point, dict[str, dict[str, float]]]:
    """Return what of a point changes the config's files, and what the strategies' parameters: {strategy: {parameter: value}}."""
    changes: Point = {}
    params: dict[str, dict[str, float]] = {}
    for key, value in point.items():
        head, _, rest = key.partition(".")
        if head in FILES:
            changes[key] = value
        elif isinstance(value, str):
            raise ConfigError(f"sweep: {key} is {value!r}: a parameter is a number.")
        else:
            params.setdefault(head, {})[rest] = float(value)
    return changes, params
