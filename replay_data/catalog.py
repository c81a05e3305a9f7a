"""A catalog: market data on disk, imported once, checked, and mapped into memory by any number of readers.

catalog.json                     the manifest; everything else is named after its content and never rewritten
truth/<kind>/<interval>/…        one Parquet file (zstd) a series, its sha256 in the metadata
prepared/<kind>/<interval>/…     the same series as records, derived and mapped at replay
truth/<role>/…, prepared/book/…  the same of recordings of order books, trades and tickers
joined/…                         events of runs over several recordings, derived when first asked for
tables/…                         imported exchange filters and leverage brackets, dated
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from replay_data.archive import SUFFIXES, ArchiveFile, Series, SeriesKey, combine, identify, read_file
from replay_data.book_events import BASE_LATENCY_MS, LADDER_MARGIN_PCT
from replay_data.book_sources import Source, gather
from replay_data.book_store import Preparation, check_book, write_book
from replay_data.feed import Feed
from replay_data.manifest import BookInfo, Manifest, SeriesInfo, read_manifest, write_manifest
from replay_data.series_store import content_hash, grid_of, map_rows, prepare_series, read_truth, write_series
from replay_data.storage import one_writer, write_atomic
from replay_data.tables import (
    BracketTable,
    FilterRow,
    Tables,
    read_brackets_json,
    read_exchange_info,
    read_filters_csv,
    read_filters_json,
    read_leverage_brackets,
    shipped_tables,
    tables_to_json,
)
from replay_data.unpack import read_bytes
from simcore.domain.errors import DataError

JSON_SUFFIXES = (".json", ".json.gz")
LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".tape")
BOOK = "book"
TABLE_MARK = b"observed_tick"
READ_TRIES = 3

Progress = Callable[[int, int, str], None]


@dataclass
class ImportReport:
    """What an import did: counts, the changed series, each refused file with its reason, each fault in a recording with its place."""

    files: int = 0
    rows: int = 0
    duplicates: int = 0
    gaps: int = 0
    gap_bars: int = 0
    off_tick_prices: int = 0
    table_rows: int = 0
    series: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    events: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """One fault of a stored catalog: the series or file, and what is wrong with it."""

    where: str
    what: str


class Catalog:
    """The catalog in folder `root`; an absent folder is an empty catalog.

    ladder_margin_pct, base_latency_ms: how order books are prepared at import, see `replay_data.from_columns`.
    """

    def __init__(
        self, root: str | Path, ladder_margin_pct: float = LADDER_MARGIN_PCT, base_latency_ms: float = BASE_LATENCY_MS
    ) -> None:
        self.root = Path(root)
        self.preparation = Preparation(ladder_margin_pct, base_latency_ms)

    def manifest(self) -> Manifest:
        return read_manifest(self.root)

    def series(self) -> tuple[SeriesInfo, ...]:
        """Return every stored series, sorted by kind, symbol and interval."""
        return self.manifest().series

    def books(self) -> tuple[BookInfo, ...]:
        """Return every stored recording of an order book, sorted by symbol and label."""
        return self.manifest().books

    def tables(self, manifest: Manifest | None = None) -> Tables:
        """Return the dated filters and brackets: the imported ones over those that come with simcore."""
        return shipped_tables().with_rows(*self._imported_tables(manifest or self.manifest()))

    def _imported_tables(self, manifest: Manifest) -> tuple[list[FilterRow], list[BracketTable]]:
        filters = read_filters_json(self.root / manifest.filters) if manifest.filters else []
        return filters, read_brackets_json(self.root / manifest.brackets) if manifest.brackets else []

    def import_path(self, path: str | Path, progress: Progress | None = None) -> ImportReport:
        """Take in a file, or every market data file below a folder; return what was done.

        Files that cannot be read or that contradict others are refused whole and listed; the rest is stored. Importing the
        same again changes nothing. Raises DataError when nothing is there, another import runs, or the disk is full: the
        catalog is then what it was before.
        """
        files = find_files(Path(path))
        with one_writer(self.root):
            return _Import(self, progress or (lambda done, total, text: None)).run(files)

    def check(self) -> list[Problem]:
        """Read and hash everything again; return what does not agree with the manifest, nothing when all is well."""
        manifest = self.manifest()
        tables = self.tables(manifest)
        problems = [problem for info in manifest.series for problem in self._check_series(info, tables)]
        return problems + [problem for info in manifest.books for problem in self._check_book(info, tables)]

    def _check_book(self, info: BookInfo, tables: Tables) -> Iterable[Problem]:
        try:
            what = check_book(self.root, info, tables, self.preparation)
            if what:
                yield Problem(str(info), what)
        except (DataError, OSError, ValueError) as trouble:
            yield Problem(str(info), str(trouble))

    def _check_series(self, info: SeriesInfo, tables: Tables) -> Iterable[Problem]:
        try:
            series, claimed = read_truth(self.root / info.truth, info.key)
            found = content_hash(series)
            if found != info.content or claimed != info.content:
                yield Problem(str(info.key), f"content hash is {found[:16]}, the manifest says {info.content[:16]}: {info.truth}")
                return
            stored = map_rows(self.root / info.prepared, info.kind)
            if stored.tobytes() != prepare_series(series, tables).rows.tobytes():
                yield Problem(
                    str(info.key), f"prepared rows differ from the truth: {info.prepared}. Delete the file and import again"
                )
        except (DataError, OSError, ValueError) as trouble:
            yield Problem(str(info.key), str(trouble))

    def feed(
        self,
        symbols: Sequence[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        interval: str = "1m",
    ) -> Feed:
        """Return the bars that open in [start_ns, end_ns), with their marks, funding, filters and brackets.

        symbols: None takes every symbol with bars in the window. A missing interval is put together from a finer one, from
        complete bars only. interval "book": the order book events that happened in [start_ns, end_ns), beginning with a usable
        book. Raises DataError for an unknown symbol, an interval that cannot be made, or an empty window.
        """
        from replay_data.book_selection import select_books
        from replay_data.selection import select_feed

        for attempt in range(READ_TRIES):
            manifest = self.manifest()
            try:
                if interval == BOOK:
                    return select_books(self, manifest, symbols, start_ns, end_ns)
                return select_feed(self, manifest, symbols, start_ns, end_ns, interval)
            except FileNotFoundError:
                # An import put a newer catalog in place between the manifest and the mapping: read that one.
                if attempt == READ_TRIES - 1 or self.manifest() == manifest:
                    break
        raise DataError(f"{self.root}: files of the manifest are missing. Run `simcore data check`, then import again.")

    def rows(self, info: SeriesInfo) -> np.ndarray:
        """Return the prepared records of a series, mapped."""
        return map_rows(self.root / info.prepared, info.kind)


def find_files(path: Path) -> list[Path]:
    """Return the file, or all market data and table files below the folder, in order of name."""
    wanted = SUFFIXES + JSON_SUFFIXES + LINE_SUFFIXES
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(wanted))
    if not files:
        there = "no file" if path.is_dir() else "nothing"
        raise DataError(f"{path}: {there} to import. Expected {', '.join(wanted)} files, or a folder of them.")
    return files


class _Import:
    """One import on its way: reads, combines, writes, and puts the new manifest in place at the end."""

    def __init__(self, catalog: Catalog, progress: Progress) -> None:
        self.catalog, self.root, self.progress = catalog, catalog.root, progress
        self.report = ImportReport()
        self.manifest = catalog.manifest()

    def run(self, files: Sequence[Path]) -> ImportReport:
        sources, rest = gather(files)
        groups, table_files = self.sort_out(rest)
        self.report.files = len(files)
        changed_tables = self.take_tables(table_files)
        tables = self.catalog.tables(self.manifest)
        changed: list[SeriesInfo] = []
        done = len(table_files)
        for key in sorted(groups):
            self.progress(done, len(files), str(key))
            info = self.take_series(key, groups[key], tables)
            changed += [info] if info else []
            done += len(groups[key])
        if changed_tables:
            changed += self.prepare_again(tables, {info.key for info in changed})
        if changed:
            self.manifest = self.manifest.with_series(changed)
        changed_books = False
        for source in sources:
            self.progress(done, len(files), str(source))
            changed_books |= self.take_book(source, tables)
            done += len(source.files)
        self.progress(len(files), len(files), "manifest")
        if changed or changed_tables or changed_books:
            write_manifest(self.root, self.manifest)
            self.sweep()
        return self.report

    def refuse(self, path: Path, reason: str) -> None:
        self.report.refused.append((str(path), reason))

    def sort_out(self, files: Sequence[Path]) -> tuple[dict[SeriesKey, list[Path]], list[Path]]:
        groups: dict[SeriesKey, list[Path]] = {}
        table_files = []
        for path in files:
            if path.name.lower().endswith(JSON_SUFFIXES) or _is_filter_table(path):
                table_files.append(path)
                continue
            try:
                groups.setdefault(identify(path), []).append(path)
            except DataError as trouble:
                self.refuse(path, str(trouble))
        return groups, table_files

    def take_tables(self, files: Sequence[Path]) -> bool:
        """Merge table files into new table files of the catalog; return whether anything changed."""
        before = Tables({}, {}).with_rows(*self.catalog._imported_tables(self.manifest))
        tables = before
        for path in files:
            try:
                filters, brackets = _read_table(path, shipped_tables().with_rows(_flat(tables.filters), ()))
            except DataError as trouble:
                self.refuse(path, str(trouble))
                continue
            tables = tables.with_rows(filters, brackets)
            self.report.table_rows += len(filters) + len(brackets)
        if tables == before:
            return False
        names = []
        for stem, data in zip(("filters", "brackets"), tables_to_json(tables), strict=True):
            names.append(f"tables/{stem}-{hashlib.sha256(data).hexdigest()[:16]}.json")
            write_atomic(self.root / names[-1], lambda stream, data=data: stream.write(data))  # type: ignore[misc]
        self.manifest = replace(self.manifest, filters=names[0], brackets=names[1], by_key={})
        return True

    def take_series(self, key: SeriesKey, paths: Sequence[Path], tables: Tables) -> SeriesInfo | None:
        """Combine the files of one series with what is stored; return its new entry, None where nothing changed."""
        old = self.manifest.by_key.get(key)
        files: list[ArchiveFile] = []
        for path in paths:
            try:
                files.append(read_file(path))
            except DataError as trouble:
                self.refuse(path, str(trouble))
        if not files:
            return None
        stored = self.stored(old) if old else None
        combined = combine(files, stored)
        for path, reason in combined.refused:
            self.refuse(path, reason)
        accepted = {file.parsed.path for file in files} - {path for path, _reason in combined.refused}
        if not accepted:
            return None
        try:
            info = write_series(self.root, combined.series, tables, tuple(path.name for path in accepted), old)
        except DataError as trouble:
            if isinstance(trouble.__cause__, OSError):
                raise
            for path in sorted(accepted):
                self.refuse(path, str(trouble))
            return None
        self.count(info, combined.duplicates, info.rows - (old.rows if old else 0))
        (self.report.unchanged if info == old else self.report.series).append(str(key))
        return None if info == old else info

    def take_book(self, source: Source, tables: Tables) -> bool:
        """Take in the recordings of one source; return whether anything changed."""
        changed = False
        try:
            streams = source.read()
        except DataError as trouble:
            self.refuse(source.path, str(trouble))
            return False
        for stream in streams:
            label = source.label(stream)
            old = next((info for info in self.manifest.books if info.key == (stream.symbol, label)), None)
            names = tuple(path.name for path in source.files)
            try:
                info = write_book(self.root, stream, label, tables, self.manifest, names, self.catalog.preparation)
            except DataError as trouble:
                if isinstance(trouble.__cause__, OSError):
                    raise
                self.refuse(source.path, str(trouble))
                continue
            self.report.faults += info.faults
            (self.report.unchanged if info == old else self.report.series).append(str(info))
            if info != old:
                self.manifest = self.manifest.with_books([info])
                self.report.events += info.rows
                self.report.gaps += len(info.spans)
                changed = True
        return changed

    def stored(self, info: SeriesInfo) -> Series | None:
        """Return what the catalog holds of a series; a file that cannot be read is said and given up."""
        path = self.root / info.truth
        try:
            return read_truth(path, info.key)[0]
        except DataError as trouble:
            self.refuse(path, str(trouble))
            path.unlink(missing_ok=True)
            return None

    def count(self, info: SeriesInfo, duplicates: int, rows: int) -> None:
        self.report.rows += rows
        self.report.duplicates += duplicates
        self.report.gaps += len(info.gaps)
        self.report.gap_bars += info.gap_bars
        self.report.off_tick_prices += info.off_tick_prices

    def prepare_again(self, tables: Tables, done: set[SeriesKey]) -> list[SeriesInfo]:
        """Prepare stored bars anew whose tick or step the new tables change."""
        changed = []
        for info in self.manifest.series:
            if info.key in done or not info.tick_size:
                continue
            if grid_of(info.symbol, info.first_ns, info.last_ns + 1, tables) != (info.tick_size, info.step_size):
                series, _claimed = read_truth(self.root / info.truth, info.key)
                changed.append(write_series(self.root, series, tables, (), info))
        return changed

    def sweep(self) -> None:
        """Delete files that no manifest names any more; a reader that has them mapped keeps them."""
        needed = self.manifest.files()
        for folder in ("truth", "prepared", "tables", "joined"):
            for path in (self.root / folder).rglob("*"):
                if path.is_file() and path.relative_to(self.root).as_posix() not in needed:
                    with suppress(OSError):
                        path.unlink()


def _flat(filters: object) -> list[FilterRow]:
    return [row for rows in filters.values() for row in rows]  # type: ignore[attr-defined]


def _is_filter_table(path: Path) -> bool:
    if not path.name.lower().endswith((".csv", ".csv.gz")):
        return False
    try:
        return TABLE_MARK in read_bytes(path)[:1000].split(b"\n")[0]
    except DataError:
        return False


def _read_table(path: Path, known: Tables) -> tuple[list[FilterRow], list[BracketTable]]:
    data = read_bytes(path)
    if TABLE_MARK in data[:1000]:
        return read_filters_csv(path, data, known), []
    if b'"filterType"' in data:
        return read_exchange_info(path, data), []
    if b'"maintMarginRatio"' in data:
        return [], read_leverage_brackets(path, data)
    raise DataError(f"{path}: not an exchange table. Known: exchangeInfo and leverageBracket responses, CSV with observed_tick.")
