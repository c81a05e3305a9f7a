"""The leak test: what happens after a moment must not reach a policy of that moment.

Every trade that closes at or after it is made one R better, and the learner is asked again what it would have put into force then.
An honest learner answers the same. So does `simcore.learning`: its one door to trades is `closed_before`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from replay_data.interval import iso
from simcore.validation.standing import changes, hash_of

if TYPE_CHECKING:
    from simcore.learning.trades import TradeTable

BPS = 1e4
Learner = Callable[["TradeTable", int], Any]


@dataclass(frozen=True)
class Leak:
    """A moment (ns UTC) whose policy changed with what came after it, and what of it changed."""

    now_ns: int
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{iso(self.now_ns)}: a policy that was to hold from then on knows trades that closed later: {', '.join(self.changed)}"


def one_r_better(trades: TradeTable, from_ns: int, risk_bps: float) -> TradeTable:
    """Return the trades with one R added to every one that closes at or after `from_ns`; without a stop, R is `risk_bps`."""
    rows = trades.rows.copy()
    later = rows["exit_ns"] >= from_ns
    known = np.isfinite(rows["r"]) & (rows["r"] != 0.0)
    risk = np.where(known, np.abs(np.divide(rows["net_bps"], rows["r"], out=np.ones(len(rows)), where=known)), risk_bps)[later]
    rows["r"][later] += 1.0
    for name in ("net_bps", "gross_bps"):
        rows[name][later] += risk
    rows["net_usd"][later] += risk / BPS * rows["stake_usd"][later]
    return type(trades)(rows, trades.symbols, trades.strategies)


def leak_test(learner: Learner, trades: TradeTable, times: Iterable[int], risk_bps: float = 100.0) -> list[Leak]:
    """Return every moment of `times` at which `learner(trades, now_ns)` knows what had not happened yet; an honest one has none.

    learner: returns policies with `as_dict()`, or plain values. It must not keep anything from one call to the next.
    """
    found = []
    for now_ns in times:
        before, after = (told(learner(each, now_ns)) for each in (trades, one_r_better(trades, now_ns, risk_bps)))
        if hash_of(before) != hash_of(after):
            found.append(Leak(now_ns, tuple(sorted({change.split(".")[0].split(" ")[0] for change in changes(before, after)}))))
    return found


def told(policies: Any) -> Any:
    return policies.as_dict() if hasattr(policies, "as_dict") else policies
