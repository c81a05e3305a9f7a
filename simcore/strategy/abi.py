"""The strategy interface: the two written signatures every strategy compiles to, and functions that do nothing.

A strategy receives records by pointer, and by pointer too one flat float64 array that holds all parameters and all memory
of the run, so one signature fits every strategy and the engine compiles once for all of them.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import types

from simcore.domain.records import MARKET, SIGNAL, SLEEVE
from simcore.jit import KERNEL_CACHE, compile_cached

MARKET_TYPE = numba.from_dtype(MARKET)
SLEEVE_TYPE = numba.from_dtype(SLEEVE)
SIGNAL_TYPE = numba.from_dtype(SIGNAL)
FLAT_MEMORY = types.Array(types.float64, 1, "C")
PLACES = types.CPointer(types.float64)

BAR_SIGNATURE = types.void(MARKET_TYPE, SLEEVE_TYPE, PLACES, types.int64, types.int64, SIGNAL_TYPE)
CROSS_SIGNATURE = types.void(
    types.Array(MARKET_TYPE, 1, "C"),
    types.Array(SLEEVE_TYPE, 1, "C"),
    PLACES,
    types.int64,
    types.int64,
    types.int64,
    types.Array(SIGNAL_TYPE, 1, "C"),
    types.int64,
)
BAR_FUNCTION = types.FunctionType(BAR_SIGNATURE)
CROSS_FUNCTION = types.FunctionType(CROSS_SIGNATURE)
# Strategies that follow an order book are called for one symbol, like those that follow its bars.
SIGNATURES = dict.fromkeys(("bar", "timer", "book", "trade"), BAR_SIGNATURE) | {"cross": CROSS_SIGNATURE}


def _noop_bar(market: Any, position: Any, memory: Any, param_base: int, memory_base: int, signal: Any) -> None:
    """Wish nothing: fills the engine's unused places for bar strategies."""


def _noop_cross(
    market: Any, position: Any, memory: Any, param_base: int, memory_base: int, memory_stride: int, signal: Any, n: int
) -> None:
    """Wish nothing: fills the engine's unused places for cross-section strategies."""


noop_bar = compile_cached(_noop_bar, BAR_SIGNATURE, KERNEL_CACHE)
noop_cross = compile_cached(_noop_cross, CROSS_SIGNATURE, KERNEL_CACHE)
