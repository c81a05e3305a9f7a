"""A selection of books: the part of a catalog's recordings that one run reads, as a feed that begins with a usable book."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from replay_data.archive import FUNDINGS, SeriesKey
from replay_data.book_events import BOOK_VERSION
from replay_data.book_store import common_grid_of, map_book
from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.instrument import RISE_ROOM, Contract, build_contract, contract_for
from replay_data.interval import MINUTE_NS, iso
from replay_data.manifest import BookInfo, Manifest
from replay_data.prepare import fill_day
from replay_data.selection import ALWAYS, Window, choose_marks, inside
from replay_data.storage import write_atomic
from replay_data.tables import Tables
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError, did_you_mean
from simcore.domain.records import BAR, EVENT, FUNDING, MARK
from simcore.jit import kernel

if TYPE_CHECKING:
    from replay_data.catalog import Catalog

CHUNK_ROWS = 1 << 17


@kernel
def book_at_nb(rows, lots):  # type: ignore[no-untyped-def]
    """Run depth rows over `lots` (a ladder's levels, both sides); return whether the book is usable after them."""
    ok = False
    for i in range(rows.size):
        row = rows[i]
        kind = row["kind"]
        if kind <= 1:
            lots[row["level"]] = row["qty_lots"]
        elif kind == 4:
            lots[:] = 0
            ok = False
        elif kind == 6:
            ok = True
        elif kind == 8:
            ok = False
    return ok


@kernel
def rebase_nb(rows, out, span, new_span, rise, tick_ratio, lot_ratio, base, latest_local):  # type: ignore[no-untyped-def]
    """Copy rows onto another ladder; return the latest local time. `base` is the old base price in old ticks, `rise` the new one's."""
    for i in range(rows.size):
        row, new = rows[i], out[i]
        latest_local = max(latest_local, row["ts_local"])
        new["ts_exch"] = row["ts_exch"]
        new["ts_local"] = latest_local
        new["qty_lots"] = row["qty_lots"] * lot_ratio
        new["kind"] = row["kind"]
        new["last"] = row["last"]
        new["spare"] = 0
        level = np.int64(row["level"])
        if row["kind"] < 4:
            if row["kind"] & 1:
                level = 2 * new_span - 1 - ((base + 2 * span - 1 - level) * tick_ratio - rise)
            else:
                level = (base + level) * tick_ratio - rise
        new["level"] = level
    return latest_local


@dataclass(frozen=True)
class Piece:
    """One recording's part of a window: rows to put first (the book at the window's start), mapped rows, a GAP at the end."""

    info: BookInfo
    opening: np.ndarray
    rows: np.ndarray
    first: int
    broken_end: bool

    @property
    def size(self) -> int:
        return int(self.opening.size + self.rows.size + self.broken_end)

    @property
    def whole(self) -> bool:
        return not self.opening.size and not self.broken_end and self.rows.size == self.info.rows


@dataclass(frozen=True)
class Ladder:
    """The ladder and grid that all recordings of one symbol share in a run."""

    base_ticks: int
    span: int
    tick_size: float
    step_size: float


def select_books(
    catalog: Catalog, manifest: Manifest, symbols: Sequence[str] | None, start_ns: int | None, end_ns: int | None
) -> Feed:
    """Do what `Catalog.feed(interval="book")` promises, from one manifest."""
    start = ALWAYS[0] if start_ns is None else int(start_ns)
    end = ALWAYS[1] if end_ns is None else int(end_ns)
    stored = sorted({info.symbol for info in manifest.books})
    if not stored:
        raise DataError(f"{catalog.root}: no order books in this catalog. Fill it with `simcore data import PATH`.")
    if end <= start:
        raise DataError(f"the window is empty: it starts at {iso(start)} and ends at {iso(end)}. Swap start and end.")
    wanted = stored if symbols is None else sorted(set(symbols))
    unknown = next((symbol for symbol in wanted if symbol not in stored), None)
    if unknown is not None:
        raise DataError(f"symbol {unknown!r} has no order books in {catalog.root}. {did_you_mean(unknown, stored)}")
    found = {symbol: pieces_of(catalog, manifest, symbol, start, end) for symbol in wanted}
    empty = next((symbol for symbol, pieces in found.items() if not pieces), None)
    if empty is not None and symbols is not None:
        raise DataError(_no_book(manifest, empty, start, end))
    found = {symbol: pieces for symbol, pieces in found.items() if pieces}
    if not found:
        raise DataError(_no_book(manifest, None, start, end))
    ladders = {symbol: ladder_of(tuple(piece.info for piece in pieces)) for symbol, pieces in found.items()}
    identity = repr((BOOK_VERSION, [_identity(symbol, found[symbol], ladders[symbol], start) for symbol in found]))
    digest = hashlib.sha256(identity.encode())
    events = _events(catalog.root, found, ladders, digest.hexdigest())
    tables = catalog.tables(manifest)
    parts, at = [], 0
    for symbol, pieces in found.items():
        size = sum(piece.size for piece in pieces)
        parts.append(_part(catalog, manifest, tables, symbol, pieces, ladders[symbol], (start, end), events[at : at + size]))
        at += size
    feed = assemble(parts, manifest.label, manifest.synthetic, _caveats(parts), events=events)
    for rows in (feed.bars, feed.marks, feed.funding, feed.filters, feed.instruments, feed.ladders):
        digest.update(np.ascontiguousarray(rows).tobytes())
    object.__setattr__(feed, "content_hash", digest.hexdigest())
    return feed


def _no_book(manifest: Manifest, symbol: str | None, start: int, end: int) -> str:
    span = f"from {iso(start) if start != ALWAYS[0] else 'the beginning'} to {iso(end) if end != ALWAYS[1] else 'the end'}"
    infos = [info for info in manifest.books if symbol in (None, info.symbol)][:5]
    covered = "; ".join(f"{info.symbol} {iso(info.first_ns)} to {iso(info.last_ns)}" for info in infos)
    return f"no order book events of {symbol or 'any symbol'} {span}. Covered: {covered}."


def pieces_of(catalog: Catalog, manifest: Manifest, symbol: str, start: int, end: int) -> list[Piece]:
    """Return the parts of a symbol's recordings whose exchange times lie in [start, end), in order of time."""
    infos = [info for info in manifest.books_of(symbol) if info.first_ns < end and info.last_ns >= start]
    pieces: list[Piece] = []
    for at, info in enumerate(infos):
        rows = map_book(catalog.root, info, "events")
        first, stop = (int(place) for place in np.searchsorted(rows["ts_exch"], (start, end)))
        if first == stop:
            continue
        opening = opening_book(rows, first, info.span, start) if first else np.zeros(0, EVENT)
        pieces.append(Piece(info, opening, rows[first:stop], first, at < len(infos) - 1))
    return pieces


def opening_book(rows: np.ndarray, first: int, span: int, start_ns: int) -> np.ndarray:
    """Return the book before row `first` as a snapshot at `start_ns`: CLEAR, its levels, READY; nothing while it was unusable."""
    lots = np.zeros(2 * span, np.int64)
    if not book_at_nb(rows[:first], lots):
        return np.zeros(0, EVENT)
    levels = np.flatnonzero(lots)
    opening = np.zeros(levels.size + 2, EVENT)
    opening["ts_exch"] = max(start_ns, int(rows["ts_exch"][first - 1]))
    opening["ts_local"] = min(max(start_ns, int(rows["ts_local"][first - 1])), int(rows["ts_local"][first]))
    opening["kind"][0], opening["kind"][-1], opening["last"][-1] = EventKind.CLEAR, EventKind.READY, 1
    middle = opening[1:-1]
    middle["level"], middle["qty_lots"], middle["kind"] = levels, lots[levels], levels >= span
    return opening


def ladder_of(infos: tuple[BookInfo, ...]) -> Ladder:
    """Return the ladder that holds the levels of all recordings."""
    grid = common_grid_of(infos)
    ratios = [round(info.tick_size / grid.tick_size) for info in infos]
    base = min(info.base_ticks * ratio for info, ratio in zip(infos, ratios, strict=True))
    top = max((info.base_ticks + info.span - 1) * ratio for info, ratio in zip(infos, ratios, strict=True))
    return Ladder(base, top - base + 1, grid.tick_size, grid.step_size)


def _identity(symbol: str, pieces: Sequence[Piece], ladder: Ladder, start: int) -> tuple[object, ...]:
    parts = [(piece.info.events, piece.first, piece.rows.size, piece.broken_end, start if piece.first else 0) for piece in pieces]
    return symbol, ladder, parts


def _events(root: Path, found: dict[str, list[Piece]], ladders: dict[str, Ladder], name: str) -> np.ndarray:
    """Return all events in one array: mapped as stored where one whole recording is asked for, else from a joined file."""
    pieces = [piece for each in found.values() for piece in each]
    if len(pieces) == 1 and pieces[0].whole:
        return pieces[0].rows
    path = root / "joined" / f"{name[:32]}.npy"
    if not path.is_file():
        try:
            write_atomic(path, lambda stream: _write_joined(stream, found, ladders))
        except DataError as trouble:
            if not isinstance(trouble.__cause__, OSError):
                raise
            path = Path(tempfile.mkdtemp(prefix="simcore-books-")) / path.name
            write_atomic(path, lambda stream: _write_joined(stream, found, ladders))
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)).view(EVENT)


def _write_joined(stream: BinaryIO, found: dict[str, list[Piece]], ladders: dict[str, Ladder]) -> None:
    count = sum(piece.size for pieces in found.values() for piece in pieces)
    header = io.BytesIO()
    shape = {"descr": np.lib.format.dtype_to_descr(EVENT), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(header, shape)
    stream.write(header.getvalue())
    buffer = np.zeros(CHUNK_ROWS, EVENT)
    for symbol, pieces in found.items():
        latest = np.int64(ALWAYS[0])
        for piece in pieces:
            for rows in _chunks(piece):
                out = buffer[: rows.size]
                latest = _rebase(rows, out, piece.info, ladders[symbol], latest)
                stream.write(out.tobytes())


def _chunks(piece: Piece):  # type: ignore[no-untyped-def]
    for rows in (piece.opening, piece.rows):
        for at in range(0, rows.size, CHUNK_ROWS):
            yield rows[at : at + CHUNK_ROWS]
    if piece.broken_end:
        ending = np.zeros(1, EVENT)
        ending["ts_exch"], ending["ts_local"] = piece.rows["ts_exch"][-1], piece.rows["ts_local"][-1]
        ending["kind"], ending["last"] = EventKind.GAP, 1
        yield ending


def _rebase(rows: np.ndarray, out: np.ndarray, info: BookInfo, ladder: Ladder, latest: np.int64) -> np.int64:
    ratios = round(info.tick_size / ladder.tick_size), round(info.step_size / ladder.step_size)
    plain = np.ascontiguousarray(rows)
    return np.int64(rebase_nb(plain, out, info.span, ladder.span, ladder.base_ticks, *ratios, info.base_ticks, latest))


def _part(
    catalog: Catalog,
    manifest: Manifest,
    tables: Tables,
    symbol: str,
    pieces: list[Piece],
    ladder: Ladder,
    window: tuple[int, int],
    events: np.ndarray,
) -> SymbolRows:
    infos = tuple(piece.info for piece in pieces)
    own = Window(int(events["ts_exch"][0]), int(events["ts_local"][-1]) + 1, MINUTE_NS)
    bars = _bars(catalog.root, infos, ladder, window)
    marks, funding = _marks(catalog, manifest, symbol, infos, own), _fundings(catalog, manifest, symbol, infos, own)
    spans = _spans(pieces, window)
    figures = {
        "events": int(events.size),
        "trades": sum(piece.info.trades if piece.whole else count_trades(piece.rows) for piece in pieces),
        "far_rows": sum(info.far_rows for info in infos),
        "book_gaps": len(spans),
        "unusable_s": round(sum(end - start for start, end in spans) / 1e9, 3),
        "local_shift_ms": max(info.shift_ns for info in infos) / 1e6,
        "ladder_levels": ladder.span,
        "faults": sum(len(info.faults) for info in infos),
    }
    contract = _contract(symbol, infos, ladder, own, tables)
    return SymbolRows(
        symbol,
        MINUTE_NS,
        bars,
        marks,
        funding,
        contract,
        notes=_notes(symbol, infos, spans),
        events=events,
        ladder=(ladder.base_ticks, 1, ladder.span),
        book=figures,
    )


def count_trades(rows: np.ndarray) -> int:
    """Return how many of the rows are trades, looked at piecewise: mapped rows are not read at once."""
    pieces = (rows["kind"][at : at + CHUNK_ROWS] for at in range(0, rows.size, CHUNK_ROWS))
    return sum(int(np.count_nonzero((kinds == EventKind.BID_HIT) | (kinds == EventKind.ASK_LIFTED))) for kinds in pieces)


def _contract(symbol: str, infos: tuple[BookInfo, ...], ladder: Ladder, own: Window, tables: Tables) -> Contract:
    room = max(RISE_ROOM * (ladder.base_ticks + ladder.span // 2), *(info.top_ticks for info in infos), 1)
    sizes = symbol, ladder.tick_size, ladder.step_size, MINUTE_NS
    if infos[0].market == "um":
        return contract_for(*sizes, (own.start_ns, own.end_ns), room, tables)
    return build_contract(*sizes, (), tables.brackets_at(symbol, own.start_ns), room)


def _bars(root: Path, infos: tuple[BookInfo, ...], ladder: Ladder, window: tuple[int, int]) -> np.ndarray:
    """Return the one-minute bars that open and close inside the window."""
    parts = []
    for info in infos:
        bars = np.array(map_book(root, info, "bars"))
        for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
            bars[name] *= round(info.tick_size / ladder.tick_size)
        bars["volume_lots"] *= round(info.step_size / ladder.step_size)
        parts.append(bars[(bars["open_ns"] >= window[0]) & (bars["open_ns"] + MINUTE_NS <= window[1])])
    joined = np.concatenate(parts).view(BAR)
    fill_day(joined, MINUTE_NS, ladder.step_size)
    return joined


def _marks(catalog: Catalog, manifest: Manifest, symbol: str, infos: tuple[BookInfo, ...], own: Window) -> np.ndarray:
    rows = np.concatenate([map_book(catalog.root, info, "marks") for info in infos]).view(MARK)
    rows = rows[(rows["ts_ns"] >= own.start_ns) & (rows["ts_ns"] <= own.end_ns)]
    if rows.size or infos[0].market != "um":
        return rows
    return inside(catalog, choose_marks(manifest, symbol, own), own, MARK)


def _fundings(catalog: Catalog, manifest: Manifest, symbol: str, infos: tuple[BookInfo, ...], own: Window) -> np.ndarray:
    stored = manifest.by_key.get(SeriesKey(FUNDINGS, symbol, ""))
    rows = inside(catalog, stored, own, FUNDING) if infos[0].market == "um" else np.zeros(0, FUNDING)
    if rows.size:
        return rows
    rows = np.concatenate([map_book(catalog.root, info, "funding") for info in infos]).view(FUNDING)
    return rows[(rows["ts_ns"] >= own.start_ns) & (rows["ts_ns"] <= own.end_ns)]


def _spans(pieces: Sequence[Piece], window: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the spans inside the window in which the book was unusable, those between recordings among them."""
    spans = [span for piece in pieces for span in piece.info.spans]
    for before, after in zip(pieces, pieces[1:], strict=False):
        spans.append((before.info.last_ns, after.info.ready_ns or after.info.last_ns))
    clipped = [(max(start, window[0]), min(end, window[1])) for start, end in sorted(spans)]
    return [(start, end) for start, end in clipped if end > start]


def _notes(symbol: str, infos: Sequence[BookInfo], spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    notes = [note for info in infos for note in info.notes]
    shift = max(info.shift_ns for info in infos)
    if shift:
        notes.append(f"{symbol}: the local clock ran behind the exchange's; local times shifted by {shift / 1e6:.3f} ms")
    if any(not info.ready_ns for info in infos):
        never = ", ".join(info.label for info in infos if not info.ready_ns)
        notes.append(f"{symbol}: the book of {never} is never usable: it has no snapshot that its changes join")
    if spans:
        first = "; ".join(f"{iso(start)} to {iso(end)}" for start, end in spans[:3])
        more = f" and {len(spans) - 3} more" if len(spans) > 3 else ""
        notes.append(f"{symbol}: book unusable in {len(spans)} spans: {first}{more}")
    faults = [fault for info in infos for fault in info.faults]
    if faults:
        notes.append(f"{symbol}: {len(faults)} faults in the recordings, the first: {faults[0]}")
    return tuple(notes)


def _caveats(parts: Sequence[SymbolRows]) -> list[str]:
    return [
        f"{noun}: {', '.join(missing)}"
        for noun, missing in (
            ("no mark prices, margin uses the last price", [part.symbol for part in parts if not part.marks.size]),
            ("no funding history, positions pay none", [part.symbol for part in parts if not part.funding.size]),
        )
        if missing
    ]
