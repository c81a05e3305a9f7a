"""Stored books: a stream's tables as Parquet truth, its events, bars, marks and funding as records to map into memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from replay_data.book_chain import Grid, build, guess_size, lies_on
from replay_data.book_events import BASE_LATENCY_MS, BOOK_VERSION, LADDER_MARGIN_PCT, BookRows
from replay_data.instrument import common_grid, unit_e8
from replay_data.interval import SECOND_NS
from replay_data.manifest import BookInfo, Manifest
from replay_data.series_store import grid_of
from replay_data.storage import write_atomic
from replay_data.stream import (
    DEPTHS,
    MARKS,
    TICKERS,
    TRADES,
    Faults,
    Stream,
    Table,
    label_of,
    rows_of,
    table_from_parquet,
    table_hash,
    table_to_parquet,
)
from replay_data.tables import Tables
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import BAR, EVENT, FUNDING, MARK

# Above this share of prices off the exchange's tick the table is wrong for these dates, and the data's own grid is taken.
MAX_OFF_GRID_SHARE = 0.001
E8 = 10**8


@dataclass(frozen=True)
class Preparation:
    """How books are prepared: see `prepare_events`."""

    ladder_margin_pct: float = LADDER_MARGIN_PCT
    base_latency_ms: float = BASE_LATENCY_MS


def grid_for(stream: Stream, tables: Tables) -> Grid:
    """Return the tick and step of a stream: the exchange's where its prices lie on them, else what they show themselves."""
    prices, quantities = _values(stream, "price"), _values(stream, "qty")
    stamps = [table["ts_exch"] for table in stream.tables.values()]
    window = min(int(part.max()) for part in stamps), max(int(part.max()) for part in stamps) + 1
    tick, step = grid_of(stream.symbol, *window, tables) if stream.market == "um" else (0.0, 0.0)
    if not (tick and lies_on(prices, tick, MAX_OFF_GRID_SHARE) and lies_on(quantities, step, MAX_OFF_GRID_SHARE)):
        tick, step = guess_size(prices, MAX_OFF_GRID_SHARE), guess_size(quantities, MAX_OFF_GRID_SHARE)
    unit_e8(stream.symbol, tick, step)
    return Grid(tick, step)


def _values(stream: Stream, what: str) -> np.ndarray:
    parts = [stream.tables[DEPTHS][f"level_{what}"]] if DEPTHS in stream.tables else []
    parts += [stream.tables[TRADES][what]] if TRADES in stream.tables else []
    if not parts:
        raise DataError(f"{stream.path}: neither depth nor trades of {stream.symbol}: import them together with the rest.")
    return np.concatenate(parts)


def mark_rows(table: Table | None, shift_ns: int) -> np.ndarray:
    """Return the mark price stream as MARK rows, known when they were received."""
    if table is None:
        return np.zeros(0, MARK)
    rows = np.zeros(rows_of(table), MARK)
    known = np.maximum.accumulate(table["ts_local"] + shift_ns)
    rows["ts_ns"] = known
    rows["span_ns"] = SECOND_NS
    for name in ("open", "high", "low", "close"):
        rows[name] = table["mark"]
    return rows[np.r_[True, np.diff(known) > 0]]


def funding_rows(table: Table | None) -> np.ndarray:
    """Return the settlements that fall inside a mark price stream: the last rate before each."""
    if table is None or rows_of(table) < 2:
        return np.zeros(0, FUNDING)
    order = np.argsort(table["ts_exch"], kind="stable")
    due, rate = table["next_ns"][order], table["rate"][order]
    at = np.flatnonzero((np.diff(due) > 0) & (due[:-1] > 0) & (table["ts_exch"][order][1:] >= due[:-1]))
    rows = np.zeros(at.size, FUNDING)
    rows["ts_ns"], rows["rate_e8"] = due[at], np.rint(rate[at] * E8).astype(np.int64)
    rows["interval_ns"] = due[at + 1] - due[at]
    return rows


def join_stored(root: Path, stream: Stream, old: BookInfo | None) -> Stream:
    """Return a stream with the tables that are stored under its label; refuse a table that differs from the stored one."""
    if old is None:
        return stream
    stored = stored_stream(root, old)
    for role, table in stream.tables.items():
        if role in stored.tables and table_hash(role, table) != table_hash(role, stored.tables[role]):
            raise DataError(f"{stream.path}: {role} of {old} differs from what is stored. Keep the right one and import again.")
    known = set(stored.notes)
    merged = replace(stream, tables=stored.tables | stream.tables, chained=stored.chained or stream.chained)
    merged.notes = stored.notes + [note for note in stream.notes if note not in known]
    merged.clocked = stored.clocked and stream.clocked
    return merged


def stored_stream(root: Path, info: BookInfo) -> Stream:
    """Return the stream of a stored recording."""
    tables = {}
    for role, file, content in info.truths:
        tables[role], claimed = table_from_parquet(root / file)
        if claimed != content or table_hash(role, tables[role]) != content:
            raise DataError(f"{root / file}: the content is not what was written. Import its files again.")
    path = info.sources[0] if info.sources else info.label
    return Stream(info.symbol, info.market, tables, path, notes=list(info.notes), chained=info.chained, clocked=info.clocked)


def write_book(
    root: Path, stream: Stream, label: str, tables: Tables, manifest: Manifest, sources: tuple[str, ...], how: Preparation
) -> BookInfo:
    """Write a recording under names of its content; return its manifest entry. Raises DataError for one that does not fit in."""
    old = next((info for info in manifest.books if info.key == (stream.symbol, label)), None)
    _check_market(stream, manifest)
    stream = join_stored(root, stream, old)
    grid = grid_for(stream, tables)
    faults = Faults(stream.path)
    for fault in stream.faults:
        faults.listed.append(fault)
    made = build(stream, grid, faults, how.ladder_margin_pct, how.base_latency_ms)
    _check_place(stream, label, made, manifest)
    truths = tuple(_write_truth(root, stream, label, role) for role in sorted(stream.tables))
    parts = {
        "events": made.events,
        "bars": made.bars,
        "marks": mark_rows(stream.tables.get(MARKS), made.shift_ns),
        "funding": funding_rows(stream.tables.get(MARKS)),
    }
    derived = repr((BOOK_VERSION, [content for _role, _file, content in truths], grid, how))
    digest = hashlib.sha256(derived.encode()).hexdigest()[:16]
    files = {name: _write_rows(root, f"prepared/book/{stream.symbol}-{label}-{name}-{digest}.npy", rows) for name, rows in parts.items()}
    ready = np.flatnonzero(made.events["kind"] == EventKind.READY)
    return BookInfo(
        stream.symbol,
        label,
        stream.market,
        int(made.events.size),
        made.first_ns,
        made.last_ns,
        truths,
        tick_size=grid.tick_size,
        step_size=grid.step_size,
        base_ticks=made.base_ticks,
        span=made.span,
        top_ticks=made.top_ticks,
        trades=made.trades,
        far_rows=made.far_rows,
        shift_ns=made.shift_ns,
        ready_ns=int(made.events["ts_exch"][ready[0]]) if ready.size else 0,
        spans=made.spans,
        chained=stream.chained,
        clocked=stream.clocked,
        notes=tuple(stream.notes),
        faults=tuple(str(fault) for fault in faults.listed),
        sources=tuple(sorted({*(old.sources if old else ()), *sources})),
        **files,
    )


def _check_market(stream: Stream, manifest: Manifest) -> None:
    for other in manifest.books_of(stream.symbol):
        if other.market != stream.market:
            raise DataError(
                f"{stream.path}: {stream.symbol} is {stream.market} here, but {other.market} in {other}. Use one catalog for each market."
            )


def _check_place(stream: Stream, label: str, made: BookRows, manifest: Manifest) -> None:
    for other in manifest.books_of(stream.symbol):
        if other.label != label and made.first_ns <= other.last_ns and made.last_ns >= other.first_ns:
            raise DataError(f"{stream.path}: overlaps {other}, which is stored. Keep one of them.")


def _write_truth(root: Path, stream: Stream, label: str, role: str) -> tuple[str, str, str]:
    table = stream.tables[role]
    content = table_hash(role, table)
    name = f"truth/{role}/{stream.symbol}-{label}-{content[:16]}.parquet"
    if not (root / name).is_file():
        data = table_to_parquet(role, table, content)
        write_atomic(root / name, lambda stream: stream.write(data))
    return role, name, content


def _write_rows(root: Path, name: str, rows: np.ndarray) -> str:
    if not rows.size:
        return ""
    if not (root / name).is_file():
        write_atomic(root / name, lambda stream: np.save(stream, rows, allow_pickle=False))
    return name


LAYOUTS = {"events": EVENT, "bars": BAR, "marks": MARK, "funding": FUNDING}


def map_book(root: Path, info: BookInfo, part: str) -> np.ndarray:
    """Return the events, bars, marks or funding of a stored recording, mapped."""
    name, layout = getattr(info, part), LAYOUTS[part]
    if not name:
        return np.zeros(0, layout)
    rows = np.load(root / name, mmap_mode="r" if part == "events" else "c", allow_pickle=False)
    if rows.dtype != layout or rows.ndim != 1:
        raise DataError(f"{root / name}: prepared by another version. Import the data again.")
    return np.asarray(rows).view(layout)


def check_book(root: Path, info: BookInfo, tables: Tables, how: Preparation) -> str:
    """Return what does not agree with the manifest in a stored recording, "" when all is well."""
    stream = stored_stream(root, info)
    made = build(stream, grid_for(stream, tables), Faults(stream.path), how.ladder_margin_pct, how.base_latency_ms)
    if made.events.tobytes() != map_book(root, info, "events").tobytes():
        return f"prepared events differ from the truth: {info.events}. Delete the file and import again"
    return ""


def book_label(stream: Stream, day: str) -> str:
    """Return the name of a recording among those of its symbol: the day its files name, else its first second."""
    return day.replace("-", "") if day else label_of(stream.tables)


def common_grid_of(infos: tuple[BookInfo, ...]) -> Grid:
    """Return the grid that every one of several recordings lies on."""
    return Grid(common_grid([info.tick_size for info in infos]), common_grid([info.step_size for info in infos]))


__all__ = ["BookInfo", "Preparation", "TICKERS", "book_label", "check_book", "common_grid_of", "map_book", "stored_stream", "write_book"]
