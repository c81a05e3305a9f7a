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

FIRST_ROWS = 1 << 18


def digest_of(*tables: np.ndarray) -> str:
    """Return the sha256 of the tables' rows: equal decisions give equal digests, on any machine and in any process."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(np.ascontiguousarray(table).view(np.uint8).data)
    return digest.hexdigest()


class Collector:
    """Empties the core's output tables into growing arrays. Collect before a table is full; nothing is ever dropped.

    An array starts larger than most runs need: memory that is never written costs nothing, copying does.
    """

    def __init__(self) -> None:
        self._rows: dict[str, np.ndarray] = {}
        self._count = {table: 0 for _, table, _ in TABLES}

    def collect(self, core: Any) -> None:
        """Take the rows written since the last call and mark the core's tables empty."""
        for counter, table, layout in TABLES:
            new = int(core[counter])
            if new:
                at = self._count[table]
                self._room(table, layout, at + new)[at : at + new] = core[table][:new]
                self._count[table] = at + new
                core[counter] = 0

    def _room(self, table: str, layout: np.dtype, rows: int) -> np.ndarray:
        held = self._rows.get(table)
        if held is None or len(held) < rows:
            larger = np.empty(max(FIRST_ROWS, 2 * rows), layout)
            if held is not None:
                larger[: len(held)] = held
            self._rows[table] = held = larger
        return held

    def table(self, name: str) -> np.ndarray:
        """Return every row of one table so far: "ledger", "trade", "route_done" or "equity"."""
        layout = next(dtype for _, table, dtype in TABLES if table == name)
        return self._rows.get(name, np.zeros(0, layout))[: self._count[name]]

    def digest(self) -> str:
        """Return the digest of ledger, trades and router contexts so far."""
        return digest_of(self.table("ledger"), self.table("trade"), self.table("route_done"))

    def copy(self) -> Collector:
        """Return an independent copy, for a checkpoint or a fork."""
        twin = Collector()
        twin._rows = {name: self.table(name).copy() for name in self._rows}
        twin._count = dict(self._count)
        return twin
