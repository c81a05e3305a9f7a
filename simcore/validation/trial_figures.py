"""The figures of a trial: the few that a sweep ranks by, as the report defines them, from its equity and counters alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simcore.validation.sharpe import moments

if TYPE_CHECKING:
    from simcore.replay.trial import Played

DAY_NS = 86_400_000_000_000
DAY_S = 86_400
DAYS_A_YEAR = 365
E8 = 100_000_000
NAN = math.nan
# More is better in each: a drawdown is a fraction below zero.
RANKING = ("sharpe", "net_pnl", "total_return", "max_drawdown")


@dataclass(frozen=True)
class Figures:
    """What is kept of a trial. metrics: by the names of the report, and skew, kurt and rho of the daily returns; NaN is None.

    sharpe: per day, None where it is not determined. n_days: daily returns. digest: of the run, "" where it was not kept.
    """

    metrics: dict[str, float | None]
    sharpe: float | None
    n_days: int
    digest: str = ""


def figures_of(played: Played) -> Figures:
    """Return the figures of a finished trial."""
    nav = played.equity["nav"]
    closes = daily_closes(played.equity["ts_ns"], nav)
    returns = simple_returns(closes)
    shape = moments(returns)
    start, final = (float(nav[0]), float(nav[-1])) if len(nav) else (NAN, NAN)
    metrics = {
        "net_pnl": final - start,
        "total_return": (final - start) / start if start else NAN,
        "sharpe": annual_sharpe(returns),
        "max_drawdown": float((closes / np.maximum.accumulate(closes) - 1.0).min()) if len(closes) > 1 and closes[0] > 0 else NAN,
        "n_trades": float(played.n_trades),
        "n_orders": float(played.totals["orders"]),
        "fees": int(played.account["fees_e8"]) / E8,
        "skew": shape.skew,
        "kurt": shape.kurt,
        "rho": shape.rho,
    }
    known = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    return Figures(known, shape.sr if math.isfinite(shape.sr) else None, shape.n, played.digest)


def daily_closes(ts_ns: np.ndarray, nav: np.ndarray) -> np.ndarray:
    """Return the start equity and one close for each UTC day the samples span; the last day may be a part of one."""
    if not len(ts_ns):
        return np.zeros(0)
    stamps = np.ascontiguousarray(ts_ns, np.int64)
    first, last = int(stamps[0]), int(stamps[-1])
    ends = np.minimum(np.arange(first // DAY_NS + 1, -(-last // DAY_NS) + 1, dtype=np.int64) * DAY_NS, last)
    rows = np.searchsorted(stamps, ends, side="right") - 1
    return np.concatenate([nav[:1], nav[rows]]).astype(np.float64)


def simple_returns(closes: np.ndarray) -> np.ndarray:
    """Return close / previous close - 1, up to the close that leaves nothing to earn a return on."""
    spent = np.flatnonzero(~(closes > 0))
    closes = closes[: spent[0] + 1] if len(spent) else closes
    if len(closes) < 2:
        return np.zeros(0)
    returns: np.ndarray = closes[1:] / closes[:-1] - 1.0
    return returns


def annual_sharpe(returns: np.ndarray) -> float:
    """Return mean / standard deviation (ddof 1) x sqrt(365) of daily returns; NaN where it is not determined."""
    if len(returns) < 2 or (returns == returns[0]).all():
        return NAN
    return float(float(returns.mean()) * math.sqrt(DAYS_A_YEAR) / float(returns.std(ddof=1)))
