"""The recording: everything a finished replay leaves behind, for reports, learning and validation to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from replay_data.feed import Feed
from simcore.learning.refresh import Policies


class Rows:
    """A table of a recording: given as rows, or as what unpacks them when they are first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, recording: Any, owner: type | None = None) -> np.ndarray:
        if recording is None:
            raise AttributeError(self._name)  # a dataclass asks for a default; there is none
        rows = recording.__dict__[self._name]
        if callable(rows):
            rows = recording.__dict__[self._name] = rows()
        table: np.ndarray = rows
        return table

    def __set__(self, recording: Any, rows: np.ndarray | Callable[[], np.ndarray]) -> None:
        recording.__dict__[self._name] = rows


class Display(NamedTuple):
    """How a recording is shown, from dashboard.json, and from where on validation.json distrusts its exits (a share)."""

    title: str
    theme: str
    chart_bars: int
    table_rows: int
    max_ambiguous_exits_pct: float


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One finished replay. Tables are structured arrays of simcore.domain.records; times are nanoseconds UTC.

    equity: samples, the first at the run's first decision, the last at its last. totals, account: the core's counters and
    books; venue_account: the exchange's own books, which must agree. digest: sha256 over ledger, trades and routes.
    speed: load_s, compile_s, replay_s, events_per_s. policies: what the run learned, in order; empty with learning switched off.
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
    ledger: Rows = Rows()
    trades: Rows = Rows()
    routes: Rows = Rows()
    equity: np.ndarray
    totals: Any
    account: Any
    venue_account: Any
    digest: str
    speed: dict[str, float]
    caveats: tuple[str, ...]
    display: Display
    policies: tuple[Policies, ...] = ()
