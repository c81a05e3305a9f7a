"""The controls of a signal: what shuffling it leaves, and what a delay costs it.

A signal [n] is what was held over each period, a return [n] what the market did in that period; their product is the edge.
Not the trades of a finished backtest are shuffled but the signal against the market, in blocks, so that both keep their own
autocorrelation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simcore.domain.errors import DataError
from simcore.validation.sharpe import finite_series


def permuted_blocks(n: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Return the row numbers 0..n−1 with their blocks of `block` rows in random order, the first cut at a random place."""
    if n < 1 or not 1 <= block <= n:
        raise DataError(f"block: {block} must be from 1 to the number of periods, {n}.")
    shifted = np.roll(np.arange(n), -int(rng.integers(0, n)))
    pieces = [shifted[i : i + block] for i in range(0, n, block)]
    return np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])


@dataclass(frozen=True)
class PermutationTest:
    """The mean edge per period that was observed, those of the shuffled signals [draws], and the chance of one this good."""

    observed: float
    null: np.ndarray
    p_value: float


def permutation_test(signal: np.ndarray, returns: np.ndarray, block: int, draws: int, rng: np.random.Generator) -> PermutationTest:
    """Return how often a signal shuffled in blocks earns at least as much as the real one; the observation counts as a draw.

    block: in periods, at least the signal's usual holding time.
    """
    signal, returns = _aligned(signal, returns)
    if draws < 1:
        raise DataError(f"draws: {draws} must be at least 1.")
    observed = float((signal * returns).mean())
    null = np.array([(signal[permuted_blocks(len(signal), block, rng)] * returns).mean() for _ in range(draws)])
    as_good = np.count_nonzero(null >= observed - 1e-12 * abs(observed))
    return PermutationTest(observed, null, (1 + as_good) / (1 + draws))


@dataclass(frozen=True)
class TimeShift:
    """The mean edge per period when the signal comes `delays` periods later than it did (negative: earlier).

    An honest edge fades with the delay. `kept` is the share of it left one period later: near 0, the signal probably holds
    something of the period it is scored on.
    """

    delays: np.ndarray
    edges: np.ndarray
    kept: float


def time_shift(signal: np.ndarray, returns: np.ndarray, most: int) -> TimeShift:
    """Return the edge of a signal for each delay from −most to most, each over the periods that all delays share."""
    signal, returns = _aligned(signal, returns)
    n = len(signal)
    if most < 1 or n <= 2 * most:
        raise DataError(f"most: {most} must be at least 1 and leave some of the {n} periods.")
    delays = np.arange(-most, most + 1)
    inner = returns[most : n - most]
    edges = np.array([float((signal[most - delay : n - most - delay] * inner).mean()) for delay in delays])
    now, later = edges[most], edges[most + 1]
    return TimeShift(delays, edges, float(later / now) if now > 0.0 else math.nan)


def _aligned(signal: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ours, market = finite_series(signal, "signal"), finite_series(returns, "returns")
    if len(ours) != len(market) or not len(ours):
        raise DataError(f"signal has {len(ours)} periods, returns {len(market)}: needs the same, and at least one.")
    return ours, market
