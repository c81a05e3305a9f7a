"""The memory of a strategy: where its named numbers and windows lie in the run's flat float64 array.

One block a symbol: first the scalars, then one header a window, then the windows' data. Offsets of scalars and headers
are fixed when the strategy is written; a window whose size is a parameter moves only data, and its header says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simcore.domain.errors import StrategyError
from simcore.indicators import DATA, DATA_PER_VALUE, HEADER, SIZE


@dataclass(frozen=True)
class Window:
    """A ring buffer of the last `size` values; `size` is a whole number or the name of a parameter."""

    name: str
    size: int | str


def window(name: str, size: int | str) -> Window:
    """Declare a window of the strategy's memory, to be used as the first argument of an indicator.

    >>> window("closes", "slow")
    Window(name='closes', size='slow')
    """
    return Window(name, size)


@dataclass(frozen=True)
class Layout:
    """Which name lies where inside a symbol's block."""

    scalars: tuple[str, ...]
    windows: tuple[Window, ...]
    start: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name the author may use."""
        return self.scalars + self.window_names

    @property
    def window_names(self) -> tuple[str, ...]:
        """The names that are windows."""
        return tuple(w.name for w in self.windows)

    def offset(self, name: str) -> int:
        """Return the place of a scalar, or of a window's header, counted from the symbol's block."""
        if name in self.scalars:
            return self.scalars.index(name)
        return len(self.scalars) + HEADER * self.window_names.index(name)

    def sizes(self, params: Mapping[str, float]) -> list[int]:
        """Return the length of every window under these parameters; a length is a whole number of at least 1."""
        return [_length(w, params) for w in self.windows]

    def size(self, params: Mapping[str, float]) -> int:
        """Return how many floats one symbol needs."""
        data = sum(DATA_PER_VALUE * n for n in self.sizes(params))
        return len(self.scalars) + HEADER * len(self.windows) + data

    def fresh(self, params: Mapping[str, float]) -> np.ndarray:
        """Return one symbol's block before its first bar: scalars at their start values, windows empty."""
        block = np.zeros(self.size(params))
        for name, value in self.start.items():
            block[self.offset(name)] = value
        data = len(self.scalars) + HEADER * len(self.windows)
        for w, n in zip(self.windows, self.sizes(params), strict=True):
            header = self.offset(w.name)
            block[header + SIZE] = n
            block[header + DATA] = data - header
            data += DATA_PER_VALUE * n
        return block


def _length(w: Window, params: Mapping[str, float]) -> int:
    value = params[w.size] if isinstance(w.size, str) else w.size
    if not value >= 1 or value != int(value):
        where = f"parameter '{w.size}'" if isinstance(w.size, str) else "its size"
        raise StrategyError(f"window '{w.name}' has length {value:g}: set {where} to a whole number of at least 1.")
    return int(value)
