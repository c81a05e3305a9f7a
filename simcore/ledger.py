"""The decision ledger: every decision of a run with its reason and its numbers, collected from the core and hashed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from simcore.domain.records import EQUITY, LEDGER, ROUTE, TRADE

# Counter of the core, table it counts, layout: what a run writes, in the order in which the digest reads it.
TABLES = (
    ("n_ledger", "ledger", LEDGER),
    ("n_trades", "trade", TRADE),
    ("n_routes_done", "route_done", ROUTE),
    ("n_equity", "equity", EQUITY),
)


def digest_of(*tables: np.ndarray) -> str:
    """Return the sha256 of the tables' rows: equal decisions give equal digests, on any machine and in any process."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(memoryview(np.ascontiguousarray(table)).cast("B"))
    return digest.hexdigest()


class Collector:
    """Empties the core's output tables into growing arrays. Collect before a table is full; nothing is ever dropped."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {table: [] for _, table, _ in TABLES}

    def collect(self, core: Any) -> None:
        """Take the rows written since the last call and mark the core's tables empty."""
        for counter, table, _ in TABLES:
            rows = int(core[counter])
            if rows:
                self._parts[table].append(core[table][:rows].copy())
                core[counter] = 0

    def table(self, name: str) -> np.ndarray:
        """Return every row of one table so far: "ledger", "trade", "route_done" or "equity"."""
        layout = next(dtype for _, table, dtype in TABLES if table == name)
        parts = self._parts[name]
        if len(parts) > 1:
            self._parts[name] = parts = [np.concatenate(parts)]
        return parts[0] if parts else np.zeros(0, layout)

    def digest(self) -> str:
        """Return the digest of ledger, trades and router contexts so far."""
        return digest_of(self.table("ledger"), self.table("trade"), self.table("route_done"))

    def copy(self) -> Collector:
        """Return an independent copy, for a checkpoint or a fork."""
        twin = Collector()
        twin._parts = {name: list(parts) for name, parts in self._parts.items()}
        return twin
