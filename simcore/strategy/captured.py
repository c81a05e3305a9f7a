"""The captured data of a strategy: arrays and frames it can reach besides its arguments, and what lies in their future.

A strategy has no history but its memory. One that looks into a frame of its own module can look ahead in it, so the check
exchanges everything such a frame says about later bars and sees whether an earlier wish changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.strategy.sources import strategy_sources

if TYPE_CHECKING:
    from simcore.strategy.definition import Strategy

DEPTH = 3


@dataclass
class Captured:
    """A value with as many rows as there are bars, or more; `put` sets another in its place."""

    name: str
    value: Any
    put: Callable[[Any], None]


def captured(strategy: Strategy, bars: int) -> list[Captured]:
    """Return the data of at least `bars` rows that the strategy's function, its module and its helpers' modules hold."""
    found: list[Captured] = []
    seen: set[int] = set()
    function = strategy.python
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        found += _walk(name, cell.cell_contents, partial(setattr, cell, "cell_contents"), bars, seen, DEPTH)
    for space in _namespaces(strategy):
        for name, value in list(space.items()):
            if not name.startswith("__"):
                found += _walk(name, value, partial(space.__setitem__, name), bars, seen, DEPTH)
    return found


def _namespaces(strategy: Strategy) -> list[dict[str, Any]]:
    own = set(strategy_sources(strategy.file))
    modules = [m for m in list(sys.modules.values()) if isinstance(m, ModuleType) and getattr(m, "__file__", None)]
    spaces = [strategy.python.__globals__]
    spaces += [m.__dict__ for m in modules if m.__dict__ is not spaces[0] and Path(str(m.__file__)).resolve() in own]
    return spaces


def _walk(name: str, value: Any, put: Callable[[Any], None], bars: int, seen: set[int], depth: int) -> list[Captured]:
    if isinstance(value, int | float | str | bytes | ModuleType | type) or callable(value) or value is None:
        return []
    if _rows(value) >= bars:
        return [Captured(name, value, put)]
    if depth == 0 or id(value) in seen:
        return []
    seen.add(id(value))
    found: list[Captured] = []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _walk(f"{name}[{key!r}]", item, partial(value.__setitem__, key), bars, seen, depth - 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found += _walk(f"{name}[{i}]", item, partial(value.__setitem__, i), bars, seen, depth - 1)
    else:
        for key, item in getattr(value, "__dict__", {}).items():
            found += _walk(f"{name}.{key}", item, partial(setattr, value, key), bars, seen, depth - 1)
    return found


def _rows(value: Any) -> int:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 0
    return len(value) if isinstance(value, list | tuple) else 0


@contextmanager
def future_removed(data: list[Captured], last: list[int], change: Callable[[Any, int], Any]) -> Iterator[None]:
    """Put `change(value, last row that may be known)` in the place of each captured value, and the values back afterwards."""
    try:
        for item, row in zip(data, last, strict=True):
            item.put(change(item.value, row))
        yield
    finally:
        for item in data:
            item.put(item.value)


def cut_off(value: Any, row: int) -> Any:
    """Return the value without the rows after `row`."""
    return value.iloc[: row + 1] if hasattr(value, "iloc") else value[: row + 1]


def scrambler(seed: int) -> Callable[[Any, int], Any]:
    """Return a function that gives a copy of a value with the rows after `row` replaced by others."""

    def scramble(value: Any, row: int) -> Any:
        rng = np.random.default_rng(seed)
        order = row + 1 + rng.permutation(max(0, _rows(value) - row - 1))
        if hasattr(value, "iloc"):
            mixed = value.copy()
            for k in range(mixed.shape[1] if mixed.ndim == 2 else 0):
                mixed.isetitem(k, _mixed(mixed.iloc[:, k].to_numpy(copy=True), row, order, rng))
            if mixed.ndim == 1:
                mixed = type(mixed)(_mixed(mixed.to_numpy(copy=True), row, order, rng), index=mixed.index, name=mixed.name)
            return mixed
        if isinstance(value, list | tuple):
            tail = [value[k] for k in order]
            tail = [v * rng.lognormal(0.0, 0.3) if isinstance(v, float) else v for v in tail]
            return type(value)([*value[: row + 1], *tail])
        return _mixed(np.array(value), row, order, rng)

    return scramble


def _mixed(column: np.ndarray, row: int, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    column[row + 1 :] = column[order]
    for name in column.dtype.names or ():
        if column.dtype[name].kind == "f":
            column[name][row + 1 :] *= rng.lognormal(0.0, 0.3, size=len(order))
    if column.dtype.kind == "f":
        column[row + 1 :] *= rng.lognormal(0.0, 0.3, size=(len(order), *column.shape[1:]))
    return column


def rows_known(data: list[Captured], closes: np.ndarray, open_ns: np.ndarray, bar: int) -> list[int]:
    """Return for each captured value its last row that is known when `bar` closed.

    A time index says it; else the place where the bars' own closes begin in it; else row by row.
    """
    return [_row_known(item.value, closes, open_ns, bar) for item in data]


def _row_known(value: Any, closes: np.ndarray, open_ns: np.ndarray, bar: int) -> int:
    index: Any = getattr(value, "index", None)
    if hasattr(index, "as_unit") and hasattr(index, "asi8"):
        return int(np.searchsorted(index.as_unit("ns").asi8, open_ns[bar], side="right")) - 1
    return bar + _offset(value, closes)


def _offset(value: Any, closes: np.ndarray) -> int:
    head = closes[: min(len(closes), 8)]
    for column in _columns(value):
        for start in np.flatnonzero(column == head[0]):
            if np.array_equal(column[start : start + len(head)], head):
                return int(start)
    return 0


def _columns(value: Any) -> list[np.ndarray]:
    array = np.asarray(value)
    if array.dtype.names:
        return [array[name] for name in array.dtype.names if array.dtype[name].kind in "fi"]
    if array.dtype.kind not in "fi":
        return []
    return [array] if array.ndim == 1 else [array[:, k] for k in range(array.shape[1])] if array.ndim == 2 else []
