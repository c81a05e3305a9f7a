"""The Sharpe ratio as an estimate: how sure it is, how long a record it needs, what is left after many trials.

Everything is per period (day, hour, trade), never annual; kurtosis is raw (3 = normal). Where the input does not determine a
figure it is NaN, and a NaN passes no criterion. Sources: Bailey & López de Prado (2012) "The Sharpe Ratio Efficient
Frontier" and (2014) "The Deflated Sharpe Ratio"; Bailey, Borwein, López de Prado & Zhu (2014) "Pseudo-Mathematics";
López de Prado, Lipton & Zoonekynd (2025) "How to Use the Sharpe Ratio".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from simcore.domain.errors import DataError

EULER_GAMMA = 0.5772156649015329
NORMAL = NormalDist()
NAN = math.nan


def normal_cdf(z: float) -> float:
    """Return Φ(z), exact in the lower tail too."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(probability: float) -> float:
    """Return z with Φ(z) = probability; −inf at 0 and inf at 1."""
    if probability <= 0.0 or probability >= 1.0:
        return -math.inf if probability <= 0.0 else math.inf
    return NORMAL.inv_cdf(probability)


@dataclass(frozen=True)
class Moments:
    """What the inference needs of a return series. `sr` with ddof 1, skew and kurt biased, `rho` the lag-1 autocorrelation."""

    n: int
    sr: float
    skew: float
    kurt: float
    rho: float


def moments(returns: np.ndarray) -> Moments:
    """Return the moments of a return series [n]; NaN figures where it has fewer than two values or no variance.

    Raises DataError on a value that is not finite: an unknown return must be decided on before, not here.
    """
    values = finite_series(returns, "returns")
    n = len(values)
    if n < 2 or np.ptp(values) == 0.0:
        return Moments(n, NAN, NAN, NAN, NAN)
    centred = values - values.mean()
    square = centred**2
    variance = float(square.mean())
    if not variance**2 > 0.0:  # the squares underflow
        return Moments(n, NAN, NAN, NAN, NAN)
    return Moments(
        n=n,
        sr=float(values.mean() / math.sqrt(variance * n / (n - 1))),
        skew=float((square * centred).mean() / variance**1.5),
        kurt=float((square**2).mean() / variance**2),
        rho=float((centred[1:] * centred[:-1]).sum() / square.sum()),
    )


def finite_series(values: np.ndarray, name: str) -> np.ndarray:
    """Return `values` as a float array [n]. Raises DataError naming the first one that is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"{name}: must be one series, has shape {array.shape}. Pass one column.")
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise DataError(f"{name}: value {int(wrong[0])} is {array[wrong[0]]}. Drop or fill what is not finite first.")
    return array


# ---------------------------------------------------------------- one strategy


def probabilistic_sharpe(sr: float, n: int, skew: float, kurt: float, sr0: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds `sr0`, for `n` independent returns.

    >>> round(probabilistic_sharpe(0.458, 24, -2.448, 10.164), 3)
    0.913
    """
    spread = 1.0 - skew * sr + (kurt - 1.0) / 4.0 * sr * sr
    if n < 2 or not spread > 0.0:
        return NAN
    return normal_cdf((sr - sr0) * math.sqrt(n - 1) / math.sqrt(spread))


def min_track_record(sr: float, skew: float, kurt: float, sr0: float = 0.0, confidence: float = 0.95) -> float:
    """Return how many periods it takes to say with `confidence` that the true Sharpe ratio exceeds `sr0`; inf if sr <= sr0."""
    spread = 1.0 - skew * sr + (kurt - 1.0) / 4.0 * sr * sr
    if math.isnan(sr) or not spread > 0.0:
        return NAN
    if sr <= sr0:
        return math.inf
    return 1.0 + spread * (normal_quantile(confidence) / (sr - sr0)) ** 2


def sharpe_variance(sr: float, n: int, skew: float, kurt: float, rho: float) -> float:
    """Return the variance of an estimated Sharpe ratio `sr` of `n` returns that follow an AR(1) of coefficient `rho`.

    With positive `rho` a record says less than its length: at 0.2 a normal series needs half as many periods again.
    """
    if n < 1 or not -1.0 < rho < 1.0:
        return NAN
    square = rho * rho
    mean_part = (1.0 + rho) / (1.0 - rho)
    skew_part = (1.0 + rho + square) / (1.0 - square) * skew * sr
    tail_part = (1.0 + square) / (1.0 - square) * (kurt - 1.0) / 4.0 * sr * sr
    variance = (mean_part - skew_part + tail_part) / n
    return variance if variance > 0.0 else NAN


def probabilistic_sharpe_correlated(sr: float, n: int, skew: float, kurt: float, rho: float, sr0: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds `sr0`, for autocorrelated returns.

    The variance is taken at `sr0`, the value under the hypothesis that is to be refused (2025 form).
    """
    return normal_cdf((sr - sr0) / math.sqrt(sharpe_variance(sr0, n, skew, kurt, rho)))


def min_track_record_correlated(sr: float, skew: float, kurt: float, rho: float, sr0: float = 0.0, confidence: float = 0.95) -> float:
    """Return the periods needed to say with `confidence` that the true Sharpe ratio exceeds `sr0`, for autocorrelated returns."""
    if math.isnan(sr):
        return NAN
    if sr <= sr0:
        return math.inf
    return sharpe_variance(sr0, 1, skew, kurt, rho) * (normal_quantile(confidence) / (sr - sr0)) ** 2


# ---------------------------------------------------------------- the best of many


def expected_max_z(n_trials: float) -> float:
    """Return the mean of the largest of `n_trials` independent standard normal draws; 0 for one trial. Need not be whole.

    >>> round(expected_max_z(100), 4)
    2.5306
    """
    if not n_trials >= 1.0:
        raise DataError(f"n_trials: {n_trials} is below 1. The run that is judged counts as a trial too.")
    if n_trials == 1.0:
        return 0.0
    high = (1.0 - EULER_GAMMA) * normal_quantile(1.0 - 1.0 / n_trials)
    return max(0.0, high + EULER_GAMMA * normal_quantile(1.0 - 1.0 / (n_trials * math.e)))


@dataclass(frozen=True)
class Deflated:
    """A deflated Sharpe ratio: `dsr` is the probability that the true one exceeds `sr0`, the best of luck alone."""

    dsr: float
    sr0: float
    n_trials: float
    var_sr: float


def deflated_sharpe(sr: float, n: int, skew: float, kurt: float, n_trials: float, var_sr: float, rho: float | None = None) -> Deflated:
    """Return the probability that the true Sharpe ratio exceeds what the best of `n_trials` worthless ones would show.

    `var_sr` is the variance of the per-period Sharpe ratios across the trials, `n_trials` their (effective) number.
    With `rho` the returns are taken to be autocorrelated. NaN where the trials' variance is unknown and there are several.
    """
    best = expected_max_z(n_trials)
    sr0 = math.sqrt(var_sr) * best if best > 0.0 and var_sr >= 0.0 else (0.0 if best == 0.0 else NAN)
    if rho is None:
        dsr = probabilistic_sharpe(sr, n, skew, kurt, sr0)
    else:
        dsr = probabilistic_sharpe_correlated(sr, n, skew, kurt, rho, sr0)
    return Deflated(dsr, sr0, float(n_trials), float(var_sr))


def min_backtest_years(n_trials: float, target_sr_annual: float = 1.0) -> float:
    """Return the years of history below which the best of `n_trials` worthless strategies is expected to show the target.

    >>> round(min_backtest_years(45), 1)
    5.0
    """
    if not target_sr_annual > 0.0:
        raise DataError(f"target_sr_annual: {target_sr_annual} must be above 0.")
    return (expected_max_z(n_trials) / target_sr_annual) ** 2


# ---------------------------------------------------------------- how many trials were there really


def correlations(returns: np.ndarray) -> np.ndarray:
    """Return the correlation matrix [N, N] of trials in columns [T, N]; a trial that never moved correlates with nothing."""
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 3 or table.shape[1] < 1:
        raise DataError(f"returns: shape {table.shape}, needs at least 3 rows (periods) and 1 column (trial).")
    if not np.isfinite(table).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise DataError(f"returns: row {row}, trial {column} is {table[row, column]}. Align the trials on the same periods first.")
    centred = table - table.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    still = np.ptp(table, axis=0) == 0.0
    scaled = np.where(still, 0.0, centred / np.where(still | (norm == 0.0), 1.0, norm))
    matrix: np.ndarray = np.clip(scaled.T @ scaled, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def effective_trials(returns: np.ndarray) -> float:
    """Return the effective number of independent trials among columns [T, N]: (Σλ)² / Σλ² of their correlations' eigenvalues.

    N equal trials count as 1, N independent ones as N. Squared correlations that chance alone would show, 1/(T−1) each, are
    taken off first: without that, many trials on a short history would look alike and the count would flatter.
    """
    matrix = correlations(returns)
    n, periods = len(matrix), len(returns)
    off = float((matrix**2).sum()) - n
    chance = n * (n - 1) / (periods - 1)
    share_real = max(0.0, (off - chance) / (1.0 - 1.0 / (periods - 1)))
    return float(min(max(n * n / (n + share_real), 1.0), n))


def trial_clusters(returns: np.ndarray, min_correlation: float) -> np.ndarray:
    """Return the cluster number [N] of each trial: within a cluster every pair correlates at least `min_correlation`.

    Complete linkage, the nearest two clusters merged first; numbers are in order of the first member. Their count is the
    effective number of trials by clusters.
    """
    matrix = correlations(returns)
    n = len(matrix)
    near = matrix.copy()
    np.fill_diagonal(near, -np.inf)
    label = np.arange(n)
    while n > 1:
        best = int(np.argmax(near))
        i, j = sorted((best // n, best % n))
        if near[i, j] < min_correlation:
            break
        joint = np.minimum(near[i], near[j])
        joint[[i, j]] = -np.inf
        near[i], near[:, i] = joint, joint
        near[j], near[:, j] = -np.inf, -np.inf
        label[label == j] = i
    return np.unique(label, return_inverse=True)[1]
