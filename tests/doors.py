"""Doors from a test to a part of a kernel, which has none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from simcore.jit import COMPILING, flat


def door(part: Any) -> Callable[..., Any]:
    """Return a function that calls `part`, compiled for whatever it is given; `part` itself when the compiler is off."""
    if not COMPILING:
        return part

    @njit
    def call(*args):  # type: ignore[no-untyped-def]
        return part(*args)

    return call


@njit
def called(function, market, position, memory, param_base, memory_base, signal):
    """Call a compiled bar strategy from Python, its memory in an array."""
    function(market, position, flat(memory), param_base, memory_base, signal)
