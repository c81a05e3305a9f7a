"""The strategy: what the decorator makes of a plain function, ready to run compiled or interpreted."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from simcore.domain.errors import StrategyError, did_you_mean
from simcore.domain.records import MAX_PARAMS
from simcore.strategy.memory import Layout, Window
from simcore.strategy.rewrite import ARGUMENTS, BOOK_KINDS, rewrite
from simcore.strategy.sources import shown, strategy_sources

UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
LEAST_EVERY_NS, MOST_EVERY_NS = UNITS_NS["ms"], 24 * UNITS_NS["h"]


class Strategy:
    """A decorated strategy function with its parameters, memory and warm-up.

    `python` is the rewritten function uncompiled, `compiled` the same with the signature of `simcore.strategy.abi`; both
    take (market, position, memory, param_base, memory_base[, memory_stride], signal[, n]). `source_hash` is the sha256 of the
    strategy's file and of the author's modules it imports, as they were when the strategy was defined.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        on: str,
        params: Mapping[str, float],
        layout: Layout,
        warmup: int | str,
        every: str | None = None,
    ) -> None:
        if not isinstance(function, FunctionType):
            raise StrategyError(f"@strategy(...) stands above {function!r}. Put it right above one plain `def`.")
        code = function.__code__
        self.name: str = function.__name__
        self.on = on
        self.params: dict[str, float] = {name: float(value) for name, value in params.items()}
        self.layout = layout
        self.file: str = code.co_filename
        self.line: int = code.co_firstlineno
        self.doc: str = (function.__doc__ or "").strip()
        self._warmup = warmup
        self.every = every
        self._check_declaration()
        self.python, self.fed, self.states = rewrite(function, on, self.params, layout, shown(self.file))
        self.source_hash: str = self._hash_sources()
        self.__doc__ = function.__doc__
        self.__name__ = self.name

    def __repr__(self) -> str:
        return f"<strategy {self.name} on={self.on!r} {shown(self.file)}:{self.line}>"

    @property
    def on_book(self) -> bool:
        """Whether it follows an order book: its clock, its touch or its trades."""
        return self.on in BOOK_KINDS

    @property
    def quotes(self) -> bool:
        """Whether it states two-sided quotes: it sets signal["quote_levels"]."""
        return "quote_levels" in self.states

    @property
    def every_ns(self) -> int:
        """The time between two calls of a timer strategy, in nanoseconds; 0 for others."""
        return duration_ns(self.every) if self.every else 0

    @property
    def where(self) -> str:
        """File and line, as shown to people."""
        return f"{shown(self.file)}:{self.line}"

    def resolve(self, params: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return every parameter as a float, the defaults overlaid by `params`; an unknown name is refused."""
        merged = dict(self.params)
        for name, value in (params or {}).items():
            if name not in merged:
                hint = did_you_mean(name, merged) if merged else "It has no parameters."
                raise StrategyError(f"{self.name} has no parameter '{name}'. {hint}")
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise StrategyError(f"{self.name}.{name} is {value!r}: a parameter is a finite number.")
            merged[name] = float(value)
        return merged

    def param_values(self, params: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the parameters in the order of their declaration, as they lie in the flat array from `param_base` on."""
        return np.array(list(self.resolve(params).values()), dtype=np.float64)

    def memory_size(self, params: Mapping[str, float] | None = None) -> int:
        """Return how many floats of memory one symbol needs under these parameters."""
        return self.layout.size(self.resolve(params))

    def initial_memory(self, params: Mapping[str, float] | None = None) -> np.ndarray:
        """Return one symbol's memory before its first bar: scalars at 0 (or their `start` value), windows empty."""
        return self.layout.fresh(self.resolve(params))

    def warmup(self, params: Mapping[str, float] | None = None) -> int:
        """Return the bars a symbol needs before the strategy's wishes count: what was declared, never less than a window."""
        values = self.resolve(params)
        declared = values[self._warmup] if isinstance(self._warmup, str) else self._warmup
        return max([math.ceil(declared), *self.layout.sizes(values)])

    def _hash_sources(self) -> str:
        digest = hashlib.sha256()
        for path in strategy_sources(self.file):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
        if not Path(self.file).is_file():
            digest.update(self.python.__code__.co_code + repr(self.python.__code__.co_consts).encode())
        return digest.hexdigest()

    @cached_property
    def compiled(self) -> Any:
        """The machine code, compiled on first use and cached on disk; StrategyError says file, line, cause and fix."""
        from simcore.strategy.compile import compile_strategy

        return compile_strategy(self)

    def _check_declaration(self) -> None:
        if self.on not in ARGUMENTS:
            raise self._wrong(f"on={self.on!r} is not known. {did_you_mean(str(self.on), ARGUMENTS)}")
        if (self.on == "timer") != (self.every is not None):
            which = 'on="timer" needs every="100ms"' if self.on == "timer" else f'every={self.every!r} belongs to on="timer"'
            raise self._wrong(f"{which}: the time between two calls.")
        if self.every is not None and not LEAST_EVERY_NS <= duration_ns(self.every) <= MOST_EVERY_NS:
            raise self._wrong(f'every={self.every!r} is no time from 1ms to 24h, written like "100ms", "5s", "1m" or "1h".')
        if len(self.params) > MAX_PARAMS:
            raise self._wrong(f"{len(self.params)} parameters; a strategy has at most {MAX_PARAMS}.")
        for name, value in self.params.items():
            if not math.isfinite(value):
                raise self._wrong(f"parameter '{name}' is {value}: give a finite default.")
        names = self.layout.names
        for name in names:
            if names.count(name) > 1:
                raise self._wrong(f"memory names '{name}' twice.")
        for name in self.layout.start:
            if name not in self.layout.scalars:
                raise self._wrong(f"start names '{name}', which is no number of its memory.")
        sizes = [w.size for w in self.layout.windows if isinstance(w.size, str)]
        for name in [*sizes, *([self._warmup] if isinstance(self._warmup, str) else [])]:
            if name not in self.params:
                hint = did_you_mean(name, self.params) if self.params else "It has no parameters."
                raise self._wrong(f"there is no parameter '{name}'. {hint}")
        try:
            self.layout.sizes(self.params)
        except StrategyError as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, what: str) -> StrategyError:
        return StrategyError(f"{self.where}: {self.name}: {what}")


def duration_ns(text: str) -> int:
    """Return a time such as "100ms" in nanoseconds; 0 for what is not written like that.

    >>> duration_ns("100ms"), duration_ns("5s"), duration_ns("soon")
    (100000000, 5000000000, 0)
    """
    match = re.fullmatch(r"([1-9]\d{0,6})(ms|s|m|h)", text) if isinstance(text, str) else None
    return int(match[1]) * UNITS_NS[match[2]] if match else 0


def strategy(
    *,
    on: str = "bar",
    every: str | None = None,
    params: Mapping[str, float] | None = None,
    memory: Sequence[str | Window] = (),
    warmup: int | str = 0,
    start: Mapping[str, float] | None = None,
) -> Callable[[Callable[..., Any]], Strategy]:
    """Make a strategy of a plain function.

    on: "bar" calls it for one symbol whenever that symbol's bar closed: f(market, position, params, memory, signal).
        "cross" calls it once for all symbols when bars of the same time closed: f(market, position, params, memory,
        signal, n), with `market[i]["close"]`, `memory[i]["x"]`, `signal[i]["side"]` and market[i]["fresh"] == 1 where a bar
        closed now.
        "timer", "book" and "trade" follow an order book and are called for one symbol like "bar": each `every`, whenever price
        or quantity of the best bid or ask changed, whenever something traded. `market` is the book's row: close is the mid.
    every: the time between two calls of a timer strategy: "100ms", "5s", "1m". Calls fall on multiples of it.
    params: names and default values, read as `params["fast"]` (floats).
    memory: names of floats kept from bar to bar, and `window(name, size)` for indicators. A symbol has its own.
    warmup: bars (on a book: calls) before the wishes count, or the name of the parameter that says so.
    start: first values of memory names; 0.0 where not given.

    The function states a wish in `signal` and returns nothing; the wish persists until it says otherwise. Nothing is compiled
    before the strategy is used. Raises StrategyError (file, line, name, nearest right name) for any name that does not exist.

    >>> from simcore.strategy import strategy, LONG, SHORT
    >>> @strategy(on="bar", params={"fast": 20, "slow": 100}, memory=("quick", "steady"), warmup=100)  # doctest: +SKIP
    ... def ema_cross(market, position, params, memory, signal):
    ...     close = market["close"]
    ...     memory["quick"] += (close - memory["quick"]) * 2.0 / (params["fast"] + 1.0)
    ...     memory["steady"] += (close - memory["steady"]) * 2.0 / (params["slow"] + 1.0)
    ...     signal["side"] = LONG if memory["quick"] > memory["steady"] else SHORT
    """
    entries = (memory,) if isinstance(memory, str | Window) else tuple(memory)
    scalars = tuple(m for m in entries if isinstance(m, str))
    windows = tuple(m for m in entries if isinstance(m, Window))
    layout = Layout(scalars, windows, dict(start or {}))

    def decorate(function: Callable[..., Any]) -> Strategy:
        return Strategy(function, on, params or {}, layout, warmup, every)

    return decorate
