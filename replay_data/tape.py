"""The tape: our own append-only recording of one symbol's book and trades, which survives a cut at any byte.

A file is a header and blocks. Header: `SIMTAPE1`, length, JSON (symbol, market, tick_size, step_size), CRC. Block: `BLK1`, rows,
packed bytes, CRC of both and of the content, running number, content. Content: the columns of up to 65,536 EVENT rows, times
and prices as differences, bytes of equal rank together, zstd. In a tape `level` is the price in ticks (a ladder needs to
know the future) and rows stand in order of receipt; whoever writes judges the exchange's chain and writes GAP, CLEAR and
READY rows himself. A block is on the disk when `flush` returns. What a crash tore off is cut away by the next writer, who
begins with a GAP; a reader skips damage, says what was lost, and puts a GAP there.

`Catalog.import_path` takes tapes in (`.tape`) and prepares them for mapping; `read_tape(path).feed()` replays one at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from replay_data.book_events import CLEAR, DEPTH, GAP, READY, TRADE, RawRows, prepare_events
from replay_data.feed import Feed, assemble
from replay_data.stream import DEPTHS, TRADES, Fault, Stream, Table
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import EVENT, FUNDING, MARK

SUFFIX = ".tape"
MAGIC, BLOCK_MAGIC = b"SIMTAPE1", b"BLK1"
HEAD = struct.Struct("<8sI")
BLOCK = struct.Struct("<4sIIIQ")
CRC = struct.Struct("<I")
MAX_HEADER = 1 << 16
MAX_BLOCK_ROWS = 1 << 16
BLOCK_ROWS = 4096
ZSTD_LEVEL = 6
# Column names with the type they are packed as; those of WALKS as differences from row to row.
COLUMNS = (("ts_exch", "<i8"), ("late", "<i8"), ("qty_lots", "<i8"), ("level", "<i4"), ("kind", "u1"), ("last", "u1"), ("spare", "<u2"))
WALKS = ("ts_exch", "late", "level")
RAW_KINDS = {EventKind.CLEAR: CLEAR, EventKind.READY: READY, EventKind.GAP: GAP}


@dataclass(frozen=True)
class Header:
    """What a tape is of."""

    symbol: str
    market: str
    tick_size: float
    step_size: float

    def to_bytes(self) -> bytes:
        text = json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}).encode()
        head = HEAD.pack(MAGIC, len(text)) + text
        return head + CRC.pack(zlib.crc32(head))


@dataclass(frozen=True)
class Tape:
    """What could be read of a tape: EVENT rows in order of receipt with prices in ticks as `level`, and what was lost where."""

    path: Path
    header: Header
    rows: np.ndarray
    losses: tuple[Fault, ...]

    def feed(self) -> Feed:
        """Return a feed of this tape alone, prepared in memory."""
        from replay_data.columns import book_part

        head = self.header
        raw = raw_rows(self.rows, head)
        made = prepare_events(raw, head.tick_size, head.step_size, str(self.path))
        part = book_part(head.symbol, head.tick_size, head.step_size, made, np.zeros(0, MARK), np.zeros(0, FUNDING))
        caveats = [f"{head.symbol}: {loss}" for loss in self.losses]
        return assemble([part], f"tape: {head.symbol}, order book", caveats=caveats)

    def stream(self) -> Stream:
        """Return this tape as a stream, as the catalog stores it."""
        tables = tables_of(self.rows, self.header)
        if not tables:
            raise DataError(f"{self.path}: no whole block of rows. Nothing was recorded, or the file is not this tape's.")
        return Stream(self.header.symbol, self.header.market, tables, str(self.path), faults=list(self.losses), chained=False)


class TapeWriter:
    """Appends EVENT rows to a tape; one writer a file. Rows are safe once `flush` returned, which happens at every full block.

    An existing tape of the same symbol and grid is continued: `lost_bytes` of a torn end are cut away and a GAP row is put
    first, for what happened in between is not known. Raises DataError for another tape's file or a second writer.
    """

    def __init__(
        self, path: str | Path, symbol: str, tick_size: float, step_size: float, market: str = "um", block_rows: int = BLOCK_ROWS
    ) -> None:
        if not 1 <= block_rows <= MAX_BLOCK_ROWS:
            raise DataError(f"block_rows is {block_rows}; expected 1 to {MAX_BLOCK_ROWS}.")
        self.path, self.block_rows = Path(path), block_rows
        self.header = Header(symbol, market, float(tick_size), float(step_size))
        self.pending = np.empty(block_rows, EVENT)
        self.count, self.number, self.lost_bytes = 0, 0, 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as trouble:
            raise DataError(f"{self.path}: not writable ({trouble.strerror}).") from None
        try:
            self._lock()
            self._continue()
        except BaseException:
            os.close(self.file)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{self.path}: another recorder writes this tape.") from None

    def _continue(self) -> None:
        data = self.path.read_bytes()
        if not _header_end(data):
            # Nothing, or a header that a crash tore: there is no block yet.
            if data and not MAGIC.startswith(data[: len(MAGIC)]) and data[: len(MAGIC)] != MAGIC:
                raise DataError(f"{self.path}: not a tape. Choose another name.")
            self.lost_bytes = len(data)
            os.ftruncate(self.file, 0)
            self._write(self.header.to_bytes())
            return
        found, at = _read_header(self.path, data)
        if found != self.header:
            raise DataError(f"{self.path}: a tape of {found}; asked to record {self.header}. Choose another name.")
        end, last = at, None
        for begin, rows, number in _blocks(data, at):
            end, last, self.number = begin + BLOCK.size + _packed(data, begin), rows, number + 1
        self.lost_bytes = len(data) - end
        os.ftruncate(self.file, end)
        if last is not None:
            gap = np.zeros(1, EVENT)
            gap["ts_exch"], gap["ts_local"] = last["ts_exch"][-1], last["ts_local"][-1]
            gap["kind"], gap["last"] = EventKind.GAP, 1
            self.append(gap)

    def append(self, rows: np.ndarray) -> None:
        """Take rows (EVENT, prices in ticks as `level`); every full block goes to the disk."""
        if rows.dtype != EVENT:
            raise DataError(f"a tape takes EVENT rows, not {rows.dtype}.")
        at = 0
        while at < rows.size:
            taken = min(rows.size - at, self.block_rows - self.count)
            self.pending[self.count : self.count + taken] = rows[at : at + taken]
            self.count += taken
            at += taken
            if self.count == self.block_rows:
                self.flush()

    def flush(self) -> None:
        """Put what was appended on the disk as a block of its own."""
        if not self.count:
            return
        self._write(encode_block(self.pending[: self.count], self.number))
        self.count, self.number = 0, self.number + 1

    def _write(self, data: bytes) -> None:
        """Write whole or not at all: a block that does not fit on the disk is taken back."""
        size = os.fstat(self.file).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self.file, view) :]
            os.fsync(self.file)
        except OSError as trouble:
            os.ftruncate(self.file, size)
            raise DataError(f"{self.path}: not written ({trouble.strerror}); the rows are kept for the next flush.") from trouble

    def close(self) -> None:
        """Flush and let go of the file."""
        if self.file >= 0:
            try:
                self.flush()
            finally:
                os.close(self.file)
                self.file = -1

    def __enter__(self) -> TapeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode_block(rows: np.ndarray, number: int) -> bytes:
    """Return rows as a block."""
    import pyarrow as pa

    parts = []
    for name, kind in COLUMNS:
        column = rows["ts_local"] - rows["ts_exch"] if name == "late" else rows[name]
        column = np.diff(column, prepend=column.dtype.type(0)) if name in WALKS else column
        column = np.ascontiguousarray(column, kind)
        parts.append(column.view(np.uint8).reshape(rows.size, -1).T.tobytes())
    packed = pa.Codec("zstd", compression_level=ZSTD_LEVEL).compress(b"".join(parts), asbytes=True)
    return _block_head(rows.size, packed, number) + packed


def _block_head(rows: int, packed: bytes, number: int) -> bytes:
    bare = BLOCK.pack(BLOCK_MAGIC, rows, len(packed), 0, number)
    return BLOCK.pack(BLOCK_MAGIC, rows, len(packed), zlib.crc32(packed, zlib.crc32(bare)), number)


def _decode(packed: bytes, count: int) -> np.ndarray:
    import pyarrow as pa

    size = count * sum(np.dtype(kind).itemsize for _name, kind in COLUMNS)
    plain = np.frombuffer(pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True), np.uint8)
    rows, at = np.zeros(count, EVENT), 0
    columns: dict[str, Any] = {}
    for name, kind in COLUMNS:
        width = np.dtype(kind).itemsize
        column = np.ascontiguousarray(plain[at : at + count * width].reshape(width, count).T).view(kind).reshape(count)
        columns[name] = np.cumsum(column, dtype=column.dtype) if name in WALKS else column
        at += count * width
    columns["ts_local"] = columns["ts_exch"] + columns.pop("late")
    for name, column in columns.items():
        rows[name] = column
    return rows


def _packed(data: bytes, at: int) -> int:
    return int(BLOCK.unpack_from(data, at)[2])


def _block_at(data: bytes, at: int) -> tuple[np.ndarray, int] | None:
    """Return (rows, number) of the block at a place, None where there is no whole one."""
    if at + BLOCK.size > len(data):
        return None
    magic, count, size, check, number = BLOCK.unpack_from(data, at)
    if magic != BLOCK_MAGIC or not 1 <= count <= MAX_BLOCK_ROWS or at + BLOCK.size + size > len(data):
        return None
    packed = data[at + BLOCK.size : at + BLOCK.size + size]
    bare = BLOCK.pack(magic, count, size, 0, number)
    return (_decode(packed, count), number) if zlib.crc32(packed, zlib.crc32(bare)) == check else None


def _blocks(data: bytes, at: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """Yield (place, rows, number) of every whole block; damage between two is passed over."""
    while at < len(data):
        found = _block_at(data, at)
        if found is None:
            at = data.find(BLOCK_MAGIC, at + 1)
            if at < 0:
                return
            continue
        yield at, *found
        at += BLOCK.size + _packed(data, at)


def _header_end(data: bytes) -> int:
    """Return where the header ends, 0 where there is no whole one."""
    if len(data) < HEAD.size or data[: len(MAGIC)] != MAGIC:
        return 0
    end = HEAD.size + HEAD.unpack_from(data)[1]
    whole = HEAD.unpack_from(data)[1] <= MAX_HEADER and end + CRC.size <= len(data)
    return end + CRC.size if whole and CRC.unpack_from(data, end)[0] == zlib.crc32(data[:end]) else 0


def _read_header(path: Path, data: bytes) -> tuple[Header, int]:
    end = _header_end(data)
    if not end:
        raise DataError(f"{path}: no whole tape header in {len(data):,} bytes. Is it a tape?")
    return Header(**json.loads(data[HEAD.size : end - CRC.size])), end


def read_tape(path: str | Path) -> Tape:
    """Return every whole block of a tape; what is damaged or cut off is said in `losses`, and is a GAP where rows follow it."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as trouble:
        raise DataError(f"{path}: not readable ({trouble.strerror}).") from None
    header, end = _read_header(path, data)
    parts: list[np.ndarray] = []
    losses: list[Fault] = []
    expected = 0
    for begin, rows, number in _blocks(data, end):
        if begin > end or number != expected:
            losses.append(Fault(str(path), f"byte {end}", f"{begin - end} bytes damaged, blocks {expected} to {number - 1} lost"))
            parts.append(_gap_before(rows, parts))
        parts.append(rows)
        end, expected = begin + BLOCK.size + _packed(data, begin), number + 1
    if end < len(data):
        losses.append(Fault(str(path), f"byte {end}", f"{len(data) - end} bytes are no whole block: cut off or damaged; lost"))
    joined = np.concatenate(parts) if parts else np.zeros(0, EVENT)
    return Tape(path, header, joined.view(EVENT), tuple(losses))


def _gap_before(rows: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    gap = np.zeros(1, EVENT)
    before = parts[-1][-1] if parts else rows[0]
    gap["ts_exch"], gap["ts_local"] = before["ts_exch"], before["ts_local"]
    gap["kind"], gap["last"] = EventKind.GAP, 1
    return gap


def tape_rows(feed: Feed, symbol: str) -> np.ndarray:
    """Return the events of a feed as a tape takes them: prices in ticks as `level`."""
    rows = np.array(feed.events_of(symbol))
    ladder = feed.ladders[feed.symbols.index(symbol)]
    base, step, span = (int(ladder[name]) for name in ("base_ticks", "tick_step", "span"))
    priced = rows["kind"] < EventKind.CLEAR
    level = rows["level"].astype(np.int64)
    up = np.where(level < span, level, 2 * span - 1 - level)
    rows["level"] = np.where(priced, base + up * step, 0)
    return rows


def raw_rows(rows: np.ndarray, header: Header) -> RawRows:
    """Return tape rows as raw rows."""
    kind, side = _raw_kinds(rows)
    price = np.round(rows["level"] * header.tick_size, 10)
    qty = np.round(rows["qty_lots"] * header.step_size, 10)
    exch, local, last = (np.ascontiguousarray(rows[name]) for name in ("ts_exch", "ts_local", "last"))
    return RawRows(exch, local, kind, side, price, qty, last)


def _raw_kinds(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    code = rows["kind"]
    kind = np.where(code <= 1, DEPTH, TRADE).astype(np.int8)
    for event, raw in RAW_KINDS.items():
        kind[code == event] = raw
    # Bids are even for depth (side +1); of trades the odd ones, asks lifted, were bought (+1).
    side = np.where(code <= 1, 1 - 2 * (code & 1).astype(np.int8), 2 * (code & 1).astype(np.int8) - 1)
    return kind, np.where(code < EventKind.CLEAR, side, 0).astype(np.int8)


def tables_of(rows: np.ndarray, header: Header) -> dict[str, Table]:
    """Return tape rows as the tables of a stream."""
    tables: dict[str, Table] = {}
    raw = raw_rows(rows, header)
    places = np.arange(1, rows.size + 1, dtype=np.int64)
    prints = np.flatnonzero(raw.kind == TRADE)
    if prints.size:
        named: Table = {"ts_exch": raw.ts_exch, "ts_local": raw.ts_local, "id": places, "side": raw.side}
        named |= {"price": raw.price, "qty": raw.qty, "place": places}
        tables[TRADES] = {name: column[prints] for name, column in named.items()}
    depth = np.flatnonzero(raw.kind != TRADE)
    if depth.size:
        tables[DEPTHS] = _messages(raw, depth, places)
    return tables


def _messages(raw: RawRows, rows: np.ndarray, places: np.ndarray) -> Table:
    """Return the depth rows as messages: a whole book from CLEAR to READY, a GAP (snapshot 2), and the changes between."""
    kind, last = raw.kind[rows], raw.last[rows].astype(bool)
    marks = np.flatnonzero(kind >= CLEAR)
    for mark, follower in zip(marks.tolist(), [*marks[1:].tolist(), -1], strict=True):
        if kind[mark] == CLEAR and follower >= 0 and kind[follower] == READY:
            last[mark:follower] = False
        elif kind[mark] == CLEAR:
            # A book that was cut off in the middle is none.
            kind[mark], last[mark] = GAP, True
        if mark and kind[mark] in (CLEAR, GAP):
            last[mark - 1] = True
        if kind[mark] != CLEAR:
            last[mark] = True
    begin = np.flatnonzero(np.r_[True, last[:-1]])
    levels = np.flatnonzero(kind == DEPTH)
    first = kind[begin]
    unknown = np.full(begin.size, -1, np.int64)
    return {
        "snapshot": np.where(first == CLEAR, 1, np.where(first == GAP, 2, 0)).astype(np.int8),
        "ts_exch": raw.ts_exch[rows][begin],
        "ts_local": raw.ts_local[rows][begin],
        "first_id": unknown,
        "final_id": unknown.copy(),
        "prev_id": unknown.copy(),
        "place": places[rows][begin],
        "begin": np.append(np.searchsorted(levels, begin), levels.size).astype(np.int64),
        "level_side": raw.side[rows][levels],
        "level_price": raw.price[rows][levels],
        "level_qty": raw.qty[rows][levels],
    }
