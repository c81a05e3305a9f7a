"""The decision ledger: every decision of a run with its reason and its numbers, collected from the core, packed and hashed.

A row differs from the one before it in few places. So a row is kept as a mask of the 32-bit words that changed, and those
words: a quarter of its size, which is what a long run's memory and its digest cost. Readers get whole rows back.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numba import types

from simcore.domain.records import EQUITY, LEDGER, ROUTE, TRADE
from simcore.jit import borrowed, entry, flat, inlined, trailing_zeros

# Counter of the core, table it counts, layout: what a run writes, in the order in which the digest reads it.
TABLES = (
    ("n_ledger", "ledger", LEDGER),
    ("n_trades", "trade", TRADE),
    ("n_routes_done", "route_done", ROUTE),
    ("n_equity", "equity", EQUITY),
)
HASHED = ("ledger", "trade", "route_done")
COUNTED = ("ledger",)  # its first word is the number of the row, so it is expected to be one more than before

MASK_BITS = 32
BLOCK_WORDS = 1 << 20
ROWS = types.Array(types.uint32, 2, "C")
WORDS = types.Array(types.uint32, 1, "C")


@inlined
def pack_row_nb(rows: Any, row: Any, earlier: Any, before: Any, width: Any, out: Any, at: Any, step: Any) -> Any:
    """Write the row that begins at `rows[row]` as what differs from that at `earlier[before]`; return the next free place."""
    for first in range(0, width, MASK_BITS):
        mask = 0
        for k in range(first, min(first + MASK_BITS, width)):
            mask |= (1 if rows[row + k] != earlier[before + k] else 0) << (k - first)
        if first == 0 and step > 0:
            mask = mask & ~1 | (1 if rows[row] != earlier[before] + step else 0)
        out[at] = mask
        at += 1
        while mask != 0:
            out[at] = rows[row + first + trailing_zeros(mask)]
            mask &= mask - 1
            at += 1
    return at


@entry(types.int64(WORDS, WORDS, WORDS, types.int64, types.int64))
def pack_rows_nb(rows: Any, before: Any, out: Any, at: Any, step: Any) -> Any:
    """Write rows to `out` from place `at` on, as masks and changed words; return the next free place.

    rows: uint32, one row after the other. before: uint32, the row before the first; it becomes the last. step: what the first
    word grows by unmarked. `out` has room for every word and mask.
    """
    width, size = len(before), len(rows)
    words, earlier, packed = flat(rows), flat(before), flat(out)
    at = pack_row_nb(words, 0, earlier, 0, width, packed, at, step)
    for row in range(width, size, width):
        at = pack_row_nb(words, row, words, row - width, width, packed, at, step)
    for k in range(width):
        earlier[k] = words[size - width + k]
    return at


@entry(types.void(WORDS, ROWS, types.int64, types.int64, types.int64))
def unpack_rows_nb(packed: Any, rows: Any, first_row: Any, end_row: Any, step: Any) -> None:
    """Fill rows `first_row` to `end_row` (exclusive) from what `pack_rows_nb` wrote; the rows before them must be there."""
    packed, rows = borrowed(packed), borrowed(rows)
    width = rows.shape[1]
    at = 0
    for index in range(first_row, end_row):
        for first in range(0, width, MASK_BITS):
            mask = packed[at]
            at += 1
            for k in range(min(MASK_BITS, width - first)):
                if (mask >> k) & 1:
                    rows[index, first + k] = packed[at]
                    at += 1
                else:
                    expected = rows[index - 1, first + k] if index > 0 else 0
                    rows[index, first + k] = expected + (step if first + k == 0 else 0)


class Roll:
    """One table of a run, packed: rows are only ever added, in blocks that never move."""

    def __init__(self, layout: np.dtype, step: int) -> None:
        self.layout = layout
        self.step = step
        self.rows = 0
        self.hash = hashlib.sha256()
        self._width = layout.itemsize // 4
        self._before = np.zeros(self._width, np.uint32)
        self._blocks: list[tuple[np.ndarray, int]] = []  # each with the number of the row after its last
        self._at = 0

    def add(self, rows: np.ndarray, hashed: bool) -> None:
        """Append rows of the table's layout."""
        most = len(rows) * (self._width + -(-self._width // MASK_BITS)) + 1
        if not self._blocks or self._at + most > len(self._blocks[-1][0]):
            self._blocks.append((np.empty(max(BLOCK_WORDS, most), np.uint32), self.rows))
            self._at = 0
        block, begin = self._blocks[-1][0], self._at
        words = rows.view(np.uint32)
        self._at = int(pack_rows_nb(words, self._before, block, begin, self.step))
        self.rows += len(rows)
        self._blocks[-1] = block, self.rows
        if hashed:
            self.hash.update(block[begin : self._at].data)

    def unpacked(self, count: int) -> np.ndarray:
        """Return the first `count` rows."""
        rows = np.empty(count, self.layout)
        words = rows.view(np.uint32).reshape(count, self._width)
        first = 0
        for block, end in self._blocks:
            unpack_rows_nb(block, words, first, min(end, count), self.step)
            first = end
            if end >= count:
                break
        return rows

    def copy(self) -> Roll:
        """Return an independent copy; blocks that are full are shared."""
        twin = Roll(self.layout, self.step)
        twin.rows, twin._at = self.rows, self._at
        twin.hash = self.hash.copy()
        twin._before = self._before.copy()
        twin._blocks = list(self._blocks)
        if twin._blocks:
            block, end = twin._blocks[-1]
            twin._blocks[-1] = block[: self._at].copy(), end
        return twin


class Collector:
    """Empties the core's output tables into packed rolls. Collect before a table is full; nothing is ever dropped."""

    def __init__(self) -> None:
        self._rolls = {table: Roll(layout, int(table in COUNTED)) for _, table, layout in TABLES}

    def collect(self, core: Any) -> None:
        """Take the rows written since the last call and mark the core's tables empty."""
        for counter, table, _ in TABLES:
            new = int(core[counter])
            if new:
                self._rolls[table].add(core[table][:new], table in HASHED)
                core[counter] = 0

    def count(self, name: str) -> int:
        """Return how many rows a table has so far."""
        return self._rolls[name].rows

    def table(self, name: str, count: int | None = None) -> np.ndarray:
        """Return the rows of one table so far, or the first `count`: "ledger", "trade", "route_done" or "equity"."""
        roll = self._rolls[name]
        return roll.unpacked(roll.rows if count is None else count)

    def digest(self) -> str:
        """Return the digest of ledger, trades and router contexts so far: equal decisions give equal digests, on any machine.

        It is the sha256 of the sha256 of each packed table: independent of when the tables were collected.
        """
        return hashlib.sha256(b"".join(self._rolls[table].hash.digest() for table in HASHED)).hexdigest()

    def copy(self) -> Collector:
        """Return an independent copy, for a checkpoint or a fork."""
        twin = Collector()
        twin._rolls = {name: roll.copy() for name, roll in self._rolls.items()}
        return twin
