"""The figures of a trial: the few that a sweep ranks by, as the report defines them, from its equity and counters alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcore import series
from simcore.series import NAN
from simcore.validation.sharpe import moments

if TYPE_CHECKING:
    from simcore.replay.trial import Played

DAY_S = 86_400
E8 = 100_000_000
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
    _times, closes = series.daily_closes(played.equity["ts_ns"], nav)
    returns = series.simple_returns(closes)
    shape = moments(returns)
    start, final = (float(nav[0]), float(nav[-1])) if len(nav) else (NAN, NAN)
    metrics = {
        "net_pnl": final - start,
        "total_return": (final - start) / start if start else NAN,
        "sharpe": series.sharpe(returns),
        "max_drawdown": float(series.drawdowns(closes).min()) if len(closes) > 1 and closes[0] > 0 else NAN,
        "n_trades": float(played.n_trades),
        "n_orders": float(played.totals["orders"]),
        "fees": int(played.account["fees_e8"]) / E8,
        "skew": shape.skew,
        "kurt": shape.kurt,
        "rho": shape.rho,
    }
    known = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    return Figures(known, shape.sr if math.isfinite(shape.sr) else None, shape.n, played.digest)
