"""The stationary bootstrap of dependent series, and the tests that stand on it.

Every draw comes from the generator that is passed in, in an order that depends on nothing else: one seed, one result.
Sources: Politis & Romano (1994); Politis & White (2004) with the correction of Patton, Politis & White (2009); White (2000);
Hansen (2005) "A Test for Superior Predictive Ability".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simcore.domain.errors import DataError
from simcore.validation.sharpe import finite_series

CHUNK = 1 << 20  # indices drawn at a time: part of the result under a seed, so it is not a setting
FEWEST = 3


@dataclass(frozen=True)
class BlockLength:
    """The mean block length (in rows) that estimates the variance of the mean best, for both kinds of bootstrap."""

    stationary: float
    circular: float


def block_length(series: np.ndarray) -> BlockLength:
    """Return the Politis-White block lengths of a series [n], at least 1 and at most min(3√n, n/3).

    The lag from which on autocorrelations are noise is found first, then the spectrum at 0 under a flat-top window.
    """
    values = finite_series(series, "series")
    n = len(values)
    if n < FEWEST or np.ptp(values) == 0.0:
        return BlockLength(1.0, 1.0)
    centred = values - values.mean()
    run = max(5, int(math.log10(n)))
    last = min(math.ceil(math.sqrt(n)) + run, n - 2)
    products = np.array([(centred[lag:] * centred[: n - lag]).sum() for lag in range(last + 1)])
    lags = _lags_that_count(centred, products, run, last)
    steps = np.arange(1, lags + 1)
    weights = np.minimum(1.0, 2.0 * (1.0 - steps / lags))
    covariances = products / n
    spread = 2.0 * float((weights * steps * covariances[1 : lags + 1]).sum())
    spectrum = float(covariances[0] + 2.0 * (weights * covariances[1 : lags + 1]).sum())
    longest = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    if spectrum == 0.0:
        return BlockLength(float(longest), float(longest))
    stationary, circular = (
        min(max((2.0 * spread**2 / (d * spectrum**2) * n) ** (1.0 / 3.0), 1.0), float(longest)) for d in (2.0, 4.0 / 3.0)
    )
    return BlockLength(stationary, circular)


def _lags_that_count(centred: np.ndarray, products: np.ndarray, run: int, last: int) -> int:
    """Return twice the lag after which `run` autocorrelations in a row are within the noise; `last` if there is none."""
    n = len(centred)
    bound = 2.0 * math.sqrt(math.log10(n) / n)
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    lags = np.arange(last + 1)
    scale = np.sqrt((squares[n] - squares[lags + 1]) * squares[n - lags - 1])
    noise = np.abs(products) < bound * scale
    for lag in range(last - run + 1):
        if noise[lag : lag + run].all():
            return min(2 * max(lag, 1), last)
    return last


# ---------------------------------------------------------------- drawing


def stationary_indices(n: int, block: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers [draws, n] of the stationary bootstrap: blocks of geometric length with mean `block`, around the end."""
    if n < 1 or draws < 1 or not block >= 1.0:
        raise DataError(f"n {n}, draws {draws}, block {block}: all must be at least 1.")
    begins = rng.random((draws, n)) < 1.0 / block
    begins[:, 0] = True
    starts = rng.integers(0, n, (draws, n))
    place = np.arange(n)
    begun_at = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    indices: np.ndarray = (np.take_along_axis(starts, begun_at, axis=1) + place - begun_at) % n
    return indices


def _chunks(n: int, block: float, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    rows = max(1, CHUNK // n)
    for done in range(0, draws, rows):
        yield stationary_indices(n, block, min(rows, draws - done), rng)


def bootstrap_means(values: np.ndarray, block: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean of each column in each draw: [draws] of a series [n], [draws, k] of a table [n, k] drawn row by row."""
    table = np.asarray(values, dtype=np.float64)
    columns = table[:, None] if table.ndim == 1 else table
    n = len(columns)
    pieces = []
    for indices in _chunks(n, block, draws, rng):
        flat = (indices + n * np.arange(len(indices))[:, None]).ravel()
        counts = np.bincount(flat, minlength=indices.size).reshape(indices.shape).astype(np.float64)
        pieces.append(counts @ columns / n)
    means = np.concatenate(pieces)
    return means[:, 0] if table.ndim == 1 else means


# ---------------------------------------------------------------- two policies, the same market


@dataclass(frozen=True)
class PairedDifference:
    """How much better a policy did than its baseline per period, under common random numbers.

    low, high: percentile interval of the mean difference at `confidence`. p_one_sided: chance of a difference this good if
    there were none. paired_se, unpaired_se: standard errors with and without the pairing, for independent periods.
    """

    mean: float
    low: float
    high: float
    se: float
    p_one_sided: float
    confidence: float
    block: float
    n: int
    paired_se: float
    unpaired_se: float
    correlation: float

    @property
    def t(self) -> float:
        """The mean over its bootstrap standard error; NaN where nothing varies."""
        return self.mean / self.se if self.se > 0.0 else math.nan


def paired_difference(
    policy: np.ndarray,
    baseline: np.ndarray,
    rng: np.random.Generator,
    *,
    draws: int,
    confidence: float,
    block: float | None = None,
) -> PairedDifference:
    """Return the mean of policy − baseline [n each, the same periods] with its stationary-bootstrap interval.

    block: mean block length; without it, Politis-White of the difference. Raises DataError when the series do not pair up.
    """
    ours, theirs = finite_series(policy, "policy"), finite_series(baseline, "baseline")
    if len(ours) != len(theirs) or len(ours) < FEWEST:
        raise DataError(f"policy has {len(ours)} periods, baseline {len(theirs)}: needs the same, and at least {FEWEST}.")
    if not 0.0 < confidence < 1.0:
        raise DataError(f"confidence: {confidence} must be between 0 and 1.")
    difference = ours - theirs
    n, mean = len(difference), float(difference.mean())
    length = block_length(difference).stationary if block is None else block
    means = bootstrap_means(difference, length, draws, rng)
    low, high = np.quantile(means, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    deviations = float(ours.std(ddof=1)), float(theirs.std(ddof=1))
    moves = min(deviations) > 0.0
    return PairedDifference(
        mean=mean,
        low=float(low),
        high=float(high),
        se=float(means.std(ddof=1)),
        p_one_sided=_p_value(means - mean, mean),
        confidence=confidence,
        block=length,
        n=n,
        paired_se=float(difference.std(ddof=1)) / math.sqrt(n),
        unpaired_se=math.hypot(*deviations) / math.sqrt(n),
        correlation=float(np.corrcoef(ours, theirs)[0, 1]) if moves else math.nan,
    )


def _p_value(null: np.ndarray, observed: float) -> float:
    """Return the share of draws at least as extreme, the observation counted among them: never 0."""
    return float((1 + np.count_nonzero(null >= observed)) / (1 + len(null)))


# ---------------------------------------------------------------- the best of many policies


@dataclass(frozen=True)
class Superiority:
    """Whether the best of k policies beats the benchmark, counting that k were tried.

    consistent is the p-value to quote; lower takes the policies worse than the benchmark out of the race, upper leaves them all
    in (unstudentised, that is White's reality check). best: the column with the largest statistic.
    """

    lower: float
    consistent: float
    upper: float
    best: int
    statistic: float
    mean_excess: np.ndarray
    omega: np.ndarray
    block: float


def long_run_deviation(excess: np.ndarray, block: float) -> np.ndarray:
    """Return √n × the standard error of each column's mean [k] under the stationary bootstrap, in closed form."""
    table = _excess(excess)
    n = len(table)
    keep = 1.0 - 1.0 / block
    centred = table - table.mean(axis=0)
    lags = np.arange(1, n)
    weights = (n - lags) / n * keep**lags + lags / n * keep ** (n - lags)
    variance = (centred**2).mean(axis=0)
    for lag, weight in zip(lags, weights, strict=True):
        variance = variance + 2.0 * weight * (centred[lag:] * centred[:-lag]).sum(axis=0) / n
    return np.sqrt(np.maximum(variance, 0.0))


def superior_predictive_ability(
    excess: np.ndarray, block: float, draws: int, rng: np.random.Generator, *, studentise: bool = True
) -> Superiority:
    """Return Hansen's test that no column of `excess` [n, k] (policy − benchmark per period) has a mean above 0.

    Each mean is divided by its long-run standard deviation, so that one wild policy does not drown the others. Policies that
    are worse than the benchmark by more than √(2 log log n) standard errors are not recentred ("consistent"). A column that
    never differs from the benchmark takes no part. Rows are periods, drawn together for all columns.
    """
    table = _excess(excess)
    n = len(table)
    means, omega = table.mean(axis=0), long_run_deviation(table, block)
    varies = (omega > 0.0) & (np.ptp(table, axis=0) > 0.0)
    scale = np.where(varies, omega, 1.0) if studentise else np.ones(len(omega))
    score = np.where(varies, means / scale, -np.inf)
    drawn = bootstrap_means(table, block, draws, rng)
    threshold = -omega / math.sqrt(n) * math.sqrt(2.0 * math.log(math.log(n)))
    statistic = max(0.0, float(score.max()))
    centres = {"lower": np.maximum(means, 0.0), "consistent": np.where(means >= threshold, means, 0.0), "upper": means}
    p_values = {
        name: _p_value(np.where(varies, (drawn - centre) / scale, -np.inf).max(axis=1, initial=0.0), statistic)
        for name, centre in centres.items()
    }
    return Superiority(
        **p_values,
        best=int(np.argmax(score)),
        statistic=statistic * math.sqrt(n),
        mean_excess=means,
        omega=omega,
        block=block,
    )


def reality_check(excess: np.ndarray, block: float, draws: int, rng: np.random.Generator) -> float:
    """Return White's p-value that no column of `excess` [n, k] has a mean above 0: the largest mean, every column recentred."""
    return superior_predictive_ability(excess, block, draws, rng, studentise=False).upper


def _excess(excess: np.ndarray) -> np.ndarray:
    table = np.asarray(excess, dtype=np.float64)
    if table.ndim != 2 or len(table) < FEWEST or table.shape[1] < 1:
        raise DataError(f"excess: shape {table.shape}, needs at least {FEWEST} rows (periods) and 1 column (policy).")
    if not np.isfinite(table).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise DataError(f"excess: row {row}, policy {column} is {table[row, column]}. Align the policies on the same periods first.")
    return table
