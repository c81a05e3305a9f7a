"""The adjustment of p-values and Sharpe ratios for the number of tests that were made.

Adjusted p-values keep the order of the input and are compared with alpha directly. Holm is for claims (the chance of any false
one), Benjamini-Hochberg and -Yekutieli for screening (the share of false ones among those kept; BY under any dependence).
Haircuts: Harvey & Liu (2015) "Backtesting".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simcore.domain.errors import DataError, did_you_mean
from simcore.validation.sharpe import normal_quantile


def bonferroni(p_values: np.ndarray) -> np.ndarray:
    """Return n·p: controls the chance of any false discovery, whatever the dependence."""
    p = _checked(p_values)
    return np.minimum(p * len(p), 1.0)


def sidak(p_values: np.ndarray) -> np.ndarray:
    """Return 1 − (1 − p)^n: a little less than Bonferroni, for independent tests."""
    p = _checked(p_values)
    with np.errstate(divide="ignore"):
        adjusted: np.ndarray = -np.expm1(len(p) * np.log1p(-p))
    return adjusted


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return Holm's step-down p-values: as safe as Bonferroni and never larger."""
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    return _unsorted(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), order)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Return Benjamini & Hochberg's step-up p-values: the false discovery rate, for independent tests."""
    return _step_up(_checked(p_values), 1.0)


def benjamini_yekutieli(p_values: np.ndarray) -> np.ndarray:
    """Return Benjamini & Yekutieli's step-up p-values: the false discovery rate under any dependence."""
    p = _checked(p_values)
    return _step_up(p, float((1.0 / np.arange(1, len(p) + 1)).sum()))


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bonferroni": bonferroni,
    "sidak": sidak,
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
    "benjamini_yekutieli": benjamini_yekutieli,
}


def adjust(p_values: np.ndarray, method: str) -> np.ndarray:
    """Return the p-values [n] adjusted by a method of `METHODS`."""
    if method not in METHODS:
        raise DataError(f"method: '{method}' is not an adjustment. {did_you_mean(method, METHODS)}")
    return METHODS[method](p_values)


def rejected(p_values: np.ndarray, method: str, alpha: float) -> np.ndarray:
    """Return which hypotheses [n] fall at level `alpha` after the adjustment."""
    return adjust(p_values, method) <= alpha


def _checked(p_values: np.ndarray) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise DataError(f"p_values: shape {p.shape}; needs one series of numbers from 0 to 1.")
    wrong = np.flatnonzero(~((p >= 0.0) & (p <= 1.0)))
    if len(wrong):
        raise DataError(f"p_values: value {int(wrong[0])} is {p[wrong[0]]}; needs numbers from 0 to 1.")
    return p


def _step_up(p: np.ndarray, factor: float) -> np.ndarray:
    n = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (factor * n / np.arange(1, n + 1))
    return _unsorted(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _unsorted(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    result = np.empty(len(values))
    result[order] = np.minimum(values, 1.0)
    return result


# ---------------------------------------------------------------- haircuts


@dataclass(frozen=True)
class Haircut:
    """What is left of an annual Sharpe ratio after `n_tests`: `sr_annual`, and `haircut`, the share that was cut."""

    t: float
    p_single: float
    p: float
    sr_annual: float
    haircut: float


def t_statistic(sr_annual: float, years: float) -> float:
    """Return SR·√years, the t-statistic of the mean; 3 is the floor for a discovered effect."""
    return sr_annual * math.sqrt(years)


def haircut_sharpe(sr_annual: float, years: float, n_tests: float, method: str = "bonferroni") -> Haircut:
    """Return the annual Sharpe ratio that would be as significant in one test as `sr_annual` is in `n_tests`.

    method: "bonferroni" or "sidak". A ratio at or below 0 is no discovery: it comes back as it is, with p 1 and nothing cut.
    """
    if not years > 0.0 or not n_tests >= 1.0:
        raise DataError(f"years {years}, n_tests {n_tests}: needs some history and at least the one test.")
    if method not in ("bonferroni", "sidak"):
        raise DataError(f"method: '{method}' needs the p-values of all tests. {did_you_mean(method, ['bonferroni', 'sidak'])}")
    t = t_statistic(sr_annual, years)
    single = math.erfc(abs(t) / math.sqrt(2.0))
    if sr_annual <= 0.0:
        return Haircut(t, single, 1.0, sr_annual, 0.0)
    if method == "sidak":
        adjusted = -math.expm1(n_tests * math.log1p(-single)) if single < 1.0 else 1.0
    else:
        adjusted = min(single * n_tests, 1.0)
    if adjusted == 0.0:  # beyond what a float can hold: no number of tests explains it
        return Haircut(t, single, adjusted, sr_annual, 0.0)
    left = max(0.0, -normal_quantile(adjusted / 2.0)) / math.sqrt(years)
    return Haircut(t, single, adjusted, left, 1.0 - left / sr_annual)
