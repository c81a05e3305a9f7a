"""The manifest: what a catalog holds, in one JSON file that is replaced whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from replay_data.archive import SeriesKey
from replay_data.interval import iso
from replay_data.storage import write_atomic
from simcore.domain.errors import DataError

NAME = "catalog.json"
FORMAT = 1


@dataclass(frozen=True)
class SeriesInfo:
    """One stored series: its extent, its gaps, the sha256 of its content, and the files that hold it.

    gaps: (time of the first missing bar in ns, bars missing). tick_size and step_size are those of the prepared bars.
    """

    kind: str
    symbol: str
    interval: str
    rows: int
    first_ns: int
    last_ns: int
    content: str
    truth: str
    prepared: str
    gaps: tuple[tuple[int, int], ...] = ()
    tick_size: float = 0.0
    step_size: float = 0.0
    off_tick_prices: int = 0
    off_step_volumes: int = 0
    top_ticks: int = 0
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> SeriesKey:
        return SeriesKey(self.kind, self.symbol, self.interval)

    @property
    def gap_bars(self) -> int:
        return sum(count for _at, count in self.gaps)

    def __str__(self) -> str:
        return f"{self.key}: {self.rows:,} rows, {iso(self.first_ns)} to {iso(self.last_ns)}, {len(self.gaps)} gaps"


@dataclass(frozen=True)
class BookInfo:
    """One stored recording of one symbol's book, trades and tickers: its extent, what broke in it, and the files that hold it.

    label: its first second (or its day). truths: (role, file, sha256 of the content) of each table. spans: exchange times in
    ns between which the book was unusable; ready_ns: when it was first usable, 0: never. faults: what was wrong, where.
    """

    symbol: str
    label: str
    market: str
    rows: int
    first_ns: int
    last_ns: int
    truths: tuple[tuple[str, str, str], ...]
    events: str
    bars: str
    marks: str
    funding: str
    tick_size: float
    step_size: float
    base_ticks: int
    span: int
    top_ticks: int
    trades: int
    far_rows: int
    shift_ns: int
    ready_ns: int
    spans: tuple[tuple[int, int], ...] = ()
    chained: bool = True
    clocked: bool = True
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.symbol, self.label

    @property
    def files(self) -> set[str]:
        return {self.events, self.bars, self.marks, self.funding, *(file for _role, file, _content in self.truths)} - {""}

    def __str__(self) -> str:
        return f"{self.symbol} {self.label} book"


@dataclass(frozen=True)
class Manifest:
    """A catalog's series, books and tables; `label` is shown wherever its data is shown."""

    series: tuple[SeriesInfo, ...] = ()
    label: str = "imported market data"
    synthetic: bool = False
    filters: str = ""
    brackets: str = ""
    books: tuple[BookInfo, ...] = ()
    by_key: dict[SeriesKey, SeriesInfo] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self.by_key.update({info.key: info for info in self.series})

    def with_series(self, changed: Iterable[SeriesInfo]) -> Manifest:
        keyed = self.by_key | {info.key: info for info in changed}
        return replace(self, series=tuple(keyed[key] for key in sorted(keyed)), by_key={})

    def with_books(self, changed: Iterable[BookInfo]) -> Manifest:
        keyed = {info.key: info for info in self.books} | {info.key: info for info in changed}
        return replace(self, books=tuple(keyed[key] for key in sorted(keyed)), by_key={})

    def books_of(self, symbol: str) -> tuple[BookInfo, ...]:
        """Return the recordings of a symbol in order of time."""
        return tuple(sorted((info for info in self.books if info.symbol == symbol), key=lambda info: info.first_ns))

    def files(self) -> set[str]:
        """Return the names of all files the catalog needs, relative to its root."""
        names = {name for info in self.series for name in (info.truth, info.prepared)}
        names |= {name for info in self.books for name in info.files}
        return names | ({self.filters, self.brackets} - {""})


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of a catalog folder; an absent one is an empty catalog."""
    path = root / NAME
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise DataError(f"{path}: format {document['format']}; this version reads {FORMAT}. Import the data again.")
        series = []
        for entry in document["series"]:
            entry["gaps"] = tuple((int(at), int(count)) for at, count in entry["gaps"])
            entry["sources"] = tuple(entry["sources"])
            series.append(SeriesInfo(**entry))
        books = tuple(_book(entry) for entry in document.get("books", []))
        tables = document["filters"], document["brackets"]
        return Manifest(tuple(series), document["label"], document["synthetic"], *tables, books)
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError, KeyError, TypeError) as trouble:
        raise DataError(f"{path}: not a catalog manifest ({trouble!r}). Import the data again into an empty folder.") from None


def _book(entry: dict[str, Any]) -> BookInfo:
    for name in ("truths", "spans"):
        entry[name] = tuple(tuple(row) for row in entry[name])
    for name in ("notes", "faults", "sources"):
        entry[name] = tuple(entry[name])
    return BookInfo(**entry)


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Put the manifest in place in one step: from here on readers see the new catalog."""
    document = {
        "format": FORMAT,
        "label": manifest.label,
        "synthetic": manifest.synthetic,
        "filters": manifest.filters,
        "brackets": manifest.brackets,
        "series": [asdict(info) for info in manifest.series],
        "books": [asdict(info) for info in manifest.books],
    }
    write_atomic(root / NAME, lambda stream: stream.write(json.dumps(document, indent=1).encode()))
