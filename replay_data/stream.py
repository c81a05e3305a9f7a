"""Streams: what one source recorded of one symbol's market, as columns, before any book is built from it.

A stream holds up to five tables, each a dict of equally long columns (times in ns, -1: not known):
depth       snapshot (1: a whole book, 2: the recorder lost the stream), ts_exch, ts_local, first_id, final_id, prev_id,
            place, and `begin`: where each message's levels begin in level_side (+1 bid, -1 ask), level_price,
            level_qty (one more entry than messages)
trades      ts_exch, ts_local, id, side (+1: a buyer took), price, qty, place
bookTicker  ts_exch, ts_local, id, bid, bid_qty, ask, ask_qty, place
markPrice   ts_exch, ts_local, mark, index, rate, next_ns, place
bookDepth   ts_exch, percentage, depth, notional
`place` is the line or row in the source file.
"""

from __future__ import annotations

import hashlib
import io
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.interval import iso
from simcore.domain.errors import DataError

DEPTHS, TRADES, TICKERS, MARKS, BOOK_DEPTHS = "depth", "trades", "bookTicker", "markPrice", "bookDepth"
DEPTH_WHOLE = ("ts_exch", "ts_local", "first_id", "final_id", "prev_id", "place")
LEVELS = ("level_side", "level_price", "level_qty")
TRADE_COLUMNS = ("ts_exch", "ts_local", "id", "side", "price", "qty", "place")
TICKER_COLUMNS = ("ts_exch", "ts_local", "id", "bid", "bid_qty", "ask", "ask_qty", "place")
MARK_COLUMNS = ("ts_exch", "ts_local", "mark", "index", "rate", "next_ns", "place")
FRACTIONS = frozenset(
    ("price", "qty", "bid", "bid_qty", "ask", "ask_qty", "mark", "index", "rate", "level_price", "level_qty")
    + ("percentage", "depth", "notional")
)
SMALL = frozenset(("snapshot", "side", "level_side"))
MOST_FAULTS = 50

Table = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Fault:
    """Something wrong in a source: the file, the place in it, and what."""

    path: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.place}: {self.what}" if self.place else f"{self.path}: {self.what}"


class Faults:
    """The first faults of a source, and how many there are."""

    def __init__(self, path: Path | str) -> None:
        self.path, self.listed, self.count = str(path), [], 0  # type: ignore[var-annotated]

    def say(self, place: int | str, what: str) -> None:
        self.count += 1
        if len(self.listed) < MOST_FAULTS:
            self.listed.append(Fault(self.path, f"row {place}" if isinstance(place, int) else place, what))


@dataclass
class Stream:
    """One symbol's tables from one source; `market` is um or spot; `notes` go into the caveats of every feed of it.

    `chained`: depth messages carry update ids, so that a lost one is seen. `clocked`: local times were recorded.
    """

    symbol: str
    market: str
    tables: dict[str, Table]
    path: str = ""
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    chained: bool = True
    clocked: bool = True


class Growing:
    """Columns that grow row by row."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.columns = {name: array("d" if name in FRACTIONS else "b" if name in SMALL else "q") for name in names}
        self.appends = [column.append for column in self.columns.values()]

    def add(self, *row: Any) -> None:
        for append, value in zip(self.appends, row, strict=True):
            append(value)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def table(self) -> Table:
        kinds = {"d": np.float64, "b": np.int8, "q": np.int64}
        return {name: np.array(column, kinds[column.typecode]) for name, column in self.columns.items()}


def rows_of(table: Table) -> int:
    """Return how many rows (messages, of depth) a table has."""
    return int(table["ts_exch"].size)


def take(table: Table, rows: npt.NDArray[Any]) -> Table:
    """Return some rows of a flat table, in that order."""
    return {name: column[rows] for name, column in table.items()}


def take_messages(table: Table, order: npt.NDArray[np.int64]) -> Table:
    """Return some messages of a depth table with their levels, in that order."""
    begin = table["begin"]
    counts = (begin[1:] - begin[:-1])[order]
    new_begin = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    levels = np.repeat(begin[order] - new_begin[:-1], counts) + np.arange(int(new_begin[-1]))
    made = {name: table[name][levels] for name in LEVELS}
    made |= {name: table[name][order] for name in ("snapshot", *DEPTH_WHOLE)}
    return made | {"begin": new_begin}


def table_hash(role: str, table: Table) -> str:
    """Return the sha256 over a table in canonical form: its role, each column by name, places left out."""
    digest = hashlib.sha256(role.encode())
    for name, column in sorted(table.items()):
        if name != "place":
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(column).view(np.uint8).data)
    return digest.hexdigest()


def table_to_parquet(role: str, table: Table, content: str) -> bytes:
    """Return a table as a Parquet file (zstd): levels of depth messages are list columns."""
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {}
    for name, column in table.items():
        if name == "begin":
            continue
        if name in LEVELS:
            columns[name] = pa.LargeListArray.from_arrays(pa.array(table["begin"]), pa.array(column))
        else:
            columns[name] = pa.array(column)
    whole = pa.table(columns).replace_schema_metadata({b"simcore.content_sha256": content.encode(), b"simcore.role": role.encode()})
    sink = io.BytesIO()
    parquet.write_table(whole, sink, compression="zstd")
    return sink.getvalue()


def table_from_parquet(path: Path) -> tuple[Table, str]:
    """Return a stored table and the content hash its file claims; raise DataError where it is unreadable."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        stored: Any = parquet.read_table(io.BytesIO(path.read_bytes())).combine_chunks()
        table: Table = {}
        for name in stored.column_names:
            column = stored[name].chunk(0) if stored[name].num_chunks else pa.array([], stored[name].type.value_type)
            if name in LEVELS:
                table["begin"] = np.asarray(column.offsets.to_numpy(), np.int64)
                column = column.values
            table[name] = np.array(column.to_numpy(zero_copy_only=False))
        return table, (stored.schema.metadata or {}).get(b"simcore.content_sha256", b"").decode()
    except (pa.ArrowException, OSError, KeyError, AttributeError) as trouble:
        raise DataError(f"{path}: the stored table is not readable ({trouble}). Import its files again.") from None


def first_ns(tables: Mapping[str, Table]) -> int:
    """Return the earliest exchange time (or local time, where there is none) of a stream."""
    stamps = [_earliest(table) for table in tables.values() if rows_of(table)]
    if not stamps:
        raise DataError("a stream without rows.")
    return min(stamps)


def _earliest(table: Table) -> int:
    known = table["ts_exch"][table["ts_exch"] > 0]
    return int(known.min() if known.size else table["ts_local"].min())


def label_of(tables: Mapping[str, Table]) -> str:
    """Return the name of a recording among those of its symbol: its first second, UTC."""
    return iso(first_ns(tables) // 10**9 * 10**9).replace("-", "").replace(":", "")


def settle_trades(trades: Table, faults: Faults, notes: list[str], symbol: str) -> Table:
    """Return trades in order of id, each once; those that are no market trades (side 0) are left out."""
    ids = trades["id"]
    order = np.argsort(ids, kind="stable")
    if np.any(np.diff(ids) < 0):
        moved = np.flatnonzero(np.diff(ids) < 0) + 1
        faults.say(int(trades["place"][moved[0]]), f"{moved.size} trades stand after later ones; put in order of their ids")
    ordered = ids[order]
    first = np.ones(order.size, bool)
    first[1:] = ordered[1:] != ordered[:-1]
    if not first.all():
        again = order[~first]
        faults.say(int(trades["place"][again[0]]), f"{again.size} trades repeat an id; the first of each is kept")
    kept = take(trades, order[first])
    holes = np.flatnonzero(np.diff(kept["id"]) > 1)
    for at in holes.tolist():
        missing = int(kept["id"][at + 1] - kept["id"][at] - 1)
        faults.say(int(kept["place"][at + 1]), f"{missing} trades are missing before id {int(kept['id'][at + 1])}")
    if holes.size:
        lost = int((np.diff(kept["id"])[holes] - 1).sum())
        notes.append(f"{symbol}: {lost} trades are missing by their ids")
    market = kept["side"] != 0
    if not market.all():
        notes.append(f"{symbol}: {int((~market).sum())} trades of the insurance fund left out")
    return take(kept, np.flatnonzero(market))
