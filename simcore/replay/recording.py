"""The recording: everything a finished replay leaves behind, for reports, learning and validation to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from replay_data.feed import Feed


@dataclass(frozen=True)
class Recording:
    """One finished replay. Tables are structured arrays of simcore.domain.records; times are nanoseconds UTC.

    equity: samples, the first at the run's first decision, the last at its last. totals, account: the core's counters and
    books; venue_account: the exchange's own books, which must agree. digest: sha256 over ledger, trades and routes.
    speed: load_s, compile_s, replay_s, events_per_s.
    """

    feed: Feed
    config_hash: str
    strategies: tuple[str, ...]
    params: dict[str, dict[str, float]]
    seed: int
    cash: float
    start_ns: int
    end_ns: int
    interval: str
    ledger: np.ndarray
    trades: np.ndarray
    routes: np.ndarray
    equity: np.ndarray
    totals: Any
    account: Any
    venue_account: Any
    digest: str
    speed: dict[str, float]
    caveats: tuple[str, ...]
