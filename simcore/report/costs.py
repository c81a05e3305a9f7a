"""Trading costs: what the orders of a run paid against the mid at their decision, and how sure that figure is.

The unit is a decision: a parent order with all its quotes and fallbacks, a quote, or a stop or target the exchange held for us.
Its cost is what its fills paid beyond the mid when it was decided, and their fees, in quote units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simcore.domain.enums import LedgerKind, Purpose
from simcore.domain.records import MAX_SYMBOLS
from simcore.report.kpis import sent_times
from simcore.report.mids import touches_at
from simcore.series import NAN

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.replay import Recording

BPS = 1e4
Z_95 = 1.959963984540054


class Cost(NamedTuple):
    """Cost per traded notional in basis points, its standard error, and the number of decisions it stands on."""

    bps: float
    se_bps: float
    n: int


def cost_of(recording: Recording, market: Feed) -> Cost:
    """Return the cost of a run per traded notional, fees included, against the mids of `market`.

    A ratio of sums over decisions; its standard error is the ratio estimator's, sqrt(n / (n - 1) · Σ (c - R·v)²) / Σ v.
    """
    cost, notional = decision_costs(recording, market)
    n, traded = len(cost), float(notional.sum())
    if not traded > 0.0:
        return Cost(NAN, NAN, 0)
    ratio = float(cost.sum()) / traded
    spread = float(((cost - ratio * notional) ** 2).sum())
    error = math.sqrt(n / (n - 1) * spread) / traded if n > 1 else NAN
    return Cost(ratio * BPS, error * BPS, n)


def decision_costs(recording: Recording, market: Feed) -> tuple[np.ndarray, np.ndarray]:
    """Return cost and traded notional of every decision that filled and whose mid is known, in quote units."""
    ledger, own = recording.ledger, recording.feed
    fills = ledger[(ledger["kind"] == LedgerKind.FILL) & (ledger["code"] != Purpose.LIQUIDATION)]
    decision, decided_ns = decisions_of(recording, fills)
    mid = np.full(len(fills), NAN)
    for symbol in np.unique(fills["symbol"]):
        of = fills["symbol"] == symbol
        mid[of] = touches_at(market, market.symbols.index(own.symbols[symbol]), decided_ns[of], "local").mid
    size = fills["qty_lots"] * own.instruments["step_size"][fills["symbol"]]
    price = fills["price_ticks"] * own.instruments["tick_size"][fills["symbol"]]
    known = ~np.isnan(mid)
    cost = fills["side"] * (price - mid) * size + fills["value"]
    _, place = np.unique(decision[known], return_inverse=True)
    return np.bincount(place, cost[known]), np.bincount(place, (size * price)[known])


def decisions_of(recording: Recording, fills: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (decision, its time) of each fill: its parent's number, or below zero that of an order without one."""
    sent = recording.ledger[recording.ledger["kind"] == LedgerKind.REQUEST]
    asked_ns = sent_times(fills, sent)
    routes = recording.routes
    decision, decided_ns = -fills["order_id"] - 1, asked_ns.copy()
    mine, theirs = key_of(fills, fills["code"]), key_of(routes, routes["purpose"])
    for key in np.unique(mine):
        rows = np.flatnonzero(mine == key)
        parents = np.flatnonzero(theirs == key)
        parents = parents[np.argsort(routes["started_ns"][parents], kind="stable")]
        if not len(parents):
            continue
        at = np.searchsorted(routes["started_ns"][parents], asked_ns[rows], side="right") - 1
        parent = parents[np.maximum(at, 0)]
        inside = (at >= 0) & (asked_ns[rows] <= routes["done_ns"][parent])
        decision[rows[inside]] = parent[inside]
        decided_ns[rows[inside]] = routes["started_ns"][parent[inside]]
    return decision, decided_ns


def key_of(rows: np.ndarray, purpose: np.ndarray) -> np.ndarray:
    """Return one number for strategy, symbol and purpose: of these, one parent is worked at a time."""
    key: np.ndarray = (rows["strategy"] * MAX_SYMBOLS + rows["symbol"]) * (max(Purpose) + 1) + purpose
    return key


class Correction(NamedTuple):
    """What must be added to one cost to get another, in basis points, with its 95 % interval."""

    bps: float
    se_bps: float
    low_bps: float
    high_bps: float


def correction(poorer: Cost, better: Cost) -> Correction:
    """Return better less poorer; the two are taken for independent, which errs to the wide side."""
    error = math.hypot(poorer.se_bps, better.se_bps)
    change = better.bps - poorer.bps
    return Correction(change, error, change - Z_95 * error, change + Z_95 * error)
