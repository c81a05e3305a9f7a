"""The return series of an account: daily closes, and the figures computed from them.

Definitions are those of the project: daily UTC closes, 365 days a year, simple returns, risk-free rate 0. A figure that
its input does not determine (no trades, one day, no variance) is NaN; nothing here raises for lack of data or returns inf.
Checked against empyrical-reloaded and quantstats where the definitions agree.
"""

from __future__ import annotations

import math

import numpy as np

from simcore.domain.records import I8

DAY_NS = 86_400_000_000_000
DAYS_A_YEAR = 365
NAN = math.nan


def finite(value: float) -> float:
    """Return `value` as a float, or NaN where it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else NAN


def ratio(above: float, below: float) -> float:
    """Return above / below, NaN where it is not defined."""
    above, below = float(above), float(below)
    return finite(above / below) if below != 0 and math.isfinite(below) else NAN


def mean(values: np.ndarray) -> float:
    """Return the mean, NaN of nothing."""
    return finite(values.mean()) if len(values) else NAN


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation (ddof 1); NaN below two values, exactly 0 for equal ones."""
    if len(values) < 2:
        return NAN
    if (values == values[0]).all():
        return 0.0
    return finite(values.std(ddof=1))


def known(values: np.ndarray) -> np.ndarray:
    """Return the values that are not NaN."""
    values = np.asarray(values, dtype=np.float64)
    kept: np.ndarray = values[~np.isnan(values)]
    return kept


def daily_closes(ts_ns: np.ndarray, nav: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (times, closes): the start equity and then one close for each UTC day the samples span.

    A sample at exactly 00:00 is the close of the day before it. A day without a sample keeps the last known equity. The
    first and last day may be parts of a day; `times` are the ends of the days, the last one cut at the last sample.
    """
    ts_ns = np.ascontiguousarray(ts_ns, dtype=I8)
    if not len(ts_ns):
        return np.zeros(0, I8), np.zeros(0)
    first, last = int(ts_ns[0]), int(ts_ns[-1])
    ends = np.arange(first // DAY_NS + 1, -(-last // DAY_NS) + 1, dtype=I8) * DAY_NS
    ends = np.minimum(ends, last)
    rows = np.searchsorted(ts_ns, ends, side="right") - 1
    times = np.concatenate([ts_ns[:1], ends])
    return times, np.concatenate([nav[:1], nav[rows]]).astype(np.float64)


def simple_returns(closes: np.ndarray) -> np.ndarray:
    """Return close / previous close − 1. The series ends with the close that leaves nothing to earn a return on."""
    spent = np.flatnonzero(~(closes > 0))
    closes = closes[: spent[0] + 1] if len(spent) else closes
    if len(closes) < 2:
        return np.zeros(0)
    returns: np.ndarray = closes[1:] / closes[:-1] - 1.0
    return returns


def compounded(returns: np.ndarray) -> np.ndarray:
    """Return the curve that starts at 1 and earns `returns`; an unknown return leaves it as it is."""
    growth = 1.0 + np.nan_to_num(np.asarray(returns, dtype=np.float64), nan=0.0)
    return np.concatenate([[1.0], np.cumprod(growth)])


def total_return(returns: np.ndarray) -> float:
    """Return the compounded return of the whole series."""
    return finite(compounded(returns)[-1] - 1.0) if len(returns) else NAN


def cagr(returns: np.ndarray, periods: int = DAYS_A_YEAR) -> float:
    """Return (1 + total)^(periods / n) − 1. A period with an unknown return counts in n; a lost account gives −1."""
    if not len(returns):
        return NAN
    growth = float(compounded(returns)[-1])
    if growth <= 0.0:
        return -1.0
    exponent = math.log(growth) * periods / len(returns)
    return math.expm1(exponent) if exponent < 700.0 else NAN


def volatility(returns: np.ndarray, periods: int = DAYS_A_YEAR) -> float:
    """Return the standard deviation (ddof 1) × √periods."""
    return finite(deviation(known(returns)) * math.sqrt(periods))


def sharpe(returns: np.ndarray, periods: int = DAYS_A_YEAR) -> float:
    """Return mean / standard deviation (ddof 1) × √periods."""
    values = known(returns)
    return ratio(mean(values) * math.sqrt(periods), deviation(values)) if len(values) > 1 else NAN


def sortino(returns: np.ndarray, periods: int = DAYS_A_YEAR) -> float:
    """Return mean / √mean(min(r, 0)²) × √periods: all observations are below the root."""
    values = known(returns)
    downside = math.sqrt(mean(np.minimum(values, 0.0) ** 2)) if len(values) > 1 else NAN
    return ratio(mean(values) * math.sqrt(periods), downside)


def drawdowns(curve: np.ndarray) -> np.ndarray:
    """Return value / running peak − 1 for each point of an equity curve; the first point is the first peak."""
    curve = np.asarray(curve, dtype=np.float64)
    if not len(curve) or not curve[0] > 0:
        return np.full(len(curve), NAN)
    return curve / np.maximum.accumulate(curve) - 1.0


def max_drawdown(returns: np.ndarray) -> float:
    """Return the deepest drawdown of the compounded returns (a fraction, at most 0)."""
    return finite(drawdowns(compounded(returns)).min()) if len(returns) else NAN


def runs(flags: np.ndarray) -> np.ndarray:
    """Return (first, end) positions of each run of true values, shape [n, 2]; `end` is one past the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def longest_run(flags: np.ndarray) -> int:
    """Return the length of the longest run of true values."""
    spans = runs(flags)
    return int((spans[:, 1] - spans[:, 0]).max(initial=0))


def drawdown_spans(curve: np.ndarray) -> np.ndarray:
    """Return (first, end) positions of the points of every drawdown: those below an earlier peak."""
    return runs(drawdowns(curve) < 0)


def drawdown_duration(curve: np.ndarray) -> float:
    """Return the most samples in a row that lie below an earlier peak: until it is regained, or until the end."""
    return float(longest_run(drawdowns(curve) < 0)) if len(curve) > 1 else NAN


def calmar(returns: np.ndarray, periods: int = DAYS_A_YEAR) -> float:
    """Return CAGR / |maximum drawdown|."""
    return ratio(cagr(returns, periods), abs(max_drawdown(returns)))


def ulcer_index(returns: np.ndarray) -> float:
    """Return √mean(drawdown²) over the n returns."""
    return math.sqrt(mean(drawdowns(compounded(returns))[1:] ** 2)) if len(returns) else NAN


def value_at_risk(returns: np.ndarray, share: float = 0.05) -> float:
    """Return the `share` quantile of the returns, linearly interpolated (a loss is negative)."""
    values = known(returns)
    return finite(np.quantile(values, share)) if len(values) else NAN


def expected_shortfall(returns: np.ndarray, share: float = 0.05) -> float:
    """Return the mean of the returns at or below the value at risk."""
    values = known(returns)
    return mean(values[values <= value_at_risk(values, share)]) if len(values) else NAN


def tail_ratio(returns: np.ndarray) -> float:
    """Return |95 % quantile| / |5 % quantile|."""
    return ratio(abs(value_at_risk(returns, 0.95)), abs(value_at_risk(returns, 0.05)))


def skewness(returns: np.ndarray) -> float:
    """Return g1: the third central moment / variance^1.5, both with ddof 0."""
    values = known(returns)
    if len(values) < 2 or deviation(values) == 0.0:
        return NAN
    centred = values - values.mean()
    return ratio(mean(centred**3), mean(centred**2) ** 1.5)


def kurtosis(returns: np.ndarray) -> float:
    """Return raw b2: the fourth central moment / variance² (3 for a normal sample)."""
    values = known(returns)
    if len(values) < 2 or deviation(values) == 0.0:
        return NAN
    centred = values - values.mean()
    return ratio(mean(centred**4), mean(centred**2) ** 2)


def normal_cdf(z: float) -> float:
    """Return Φ(z) of the standard normal distribution."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def probabilistic_sharpe(sr: float, n: int, skew: float, kurt: float, sr0: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds `sr0` (Bailey & López de Prado 2012).

    `sr` and `sr0` are per period, not annual; `kurt` is raw (3 = normal); n is the number of returns.
    """
    spread = 1.0 - skew * sr + (kurt - 1.0) / 4.0 * sr * sr
    if n < 2 or not spread > 0.0:
        return NAN
    return normal_cdf((sr - sr0) * math.sqrt(n - 1) / math.sqrt(spread))


def psr_of_returns(returns: np.ndarray, sr0: float = 0.0) -> float:
    """Return the probabilistic Sharpe ratio of a return series against `sr0` per period."""
    values = known(returns)
    return probabilistic_sharpe(sharpe(values, periods=1), len(values), skewness(values), kurtosis(values), sr0)
