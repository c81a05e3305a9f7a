"""A feed: everything a replay reads, as plain numpy records in one canonical order.

`Catalog.feed()`, `from_frame()`, `from_arrays()` and `from_columns()` make one; the replay consumes it and nothing else.
Bars are stamped at their OPEN; marks at their close, when they are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.instrument import Contract
from replay_data.interval import interval_name, iso
from simcore.domain.errors import DataError
from simcore.domain.records import BAR, EVENT, FILTER, FUNDING, INSTRUMENT, LADDER, MARK, MAX_SYMBOLS

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Feed:
    """Market data of one run.

    symbols: sorted by name, the canonical order. bars, marks, funding, filters: rows of all symbols, one symbol after the
    other; the `_range` beside each holds the first and the end row of each symbol (int64[S, 2]). instruments: INSTRUMENT[S]
    without fees, tier, leverage and half spread, which the replay fills from its config. coverage: a dict a symbol.
    content_hash: sha256 over everything a replay reads; pass "" to have it computed when first asked for.

    kind "book": events hold every symbol's order book stream (EVENT, one symbol after the other, see its layout) and ladders
    (LADDER[S]) where their levels lie; bars are then one-minute bars of the trades and may be none.
    """

    symbols: tuple[str, ...]
    bars: np.ndarray
    bar_range: Ints
    interval_ns: Ints
    marks: np.ndarray
    mark_range: Ints
    funding: np.ndarray
    funding_range: Ints
    filters: np.ndarray
    filter_range: Ints
    instruments: np.ndarray
    quote_assets: tuple[str, ...]
    synthetic: bool
    label: str
    content_hash: str
    coverage: tuple[dict[str, Any], ...]
    caveats: tuple[str, ...]
    kind: str = "bars"
    events: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    event_range: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    ladders: np.ndarray = field(default_factory=lambda: np.zeros(0, LADDER))

    def __post_init__(self) -> None:
        count = len(self.symbols)
        if not self.event_range.size and not self.ladders.size:
            object.__setattr__(self, "event_range", np.zeros((count, 2), np.int64))
            object.__setattr__(self, "ladders", np.zeros(count, LADDER))
        if not 1 <= count <= MAX_SYMBOLS:
            raise DataError(f"a feed holds 1 to {MAX_SYMBOLS} symbols; this one has {count}.")
        if list(self.symbols) != sorted(set(self.symbols)):
            raise DataError("a feed's symbols must be sorted and different.")
        for name, layout in (("bar", BAR), ("mark", MARK), ("funding", FUNDING), ("filter", FILTER)):
            rows = getattr(self, "funding" if name == "funding" else f"{name}s")
            _check_rows(name, rows, getattr(self, f"{name}_range"), layout, count)
        _check_rows("event", self.events, self.event_range, EVENT, count)
        if self.ladders.dtype != LADDER or self.ladders.shape != (count,):
            raise DataError("a feed needs one LADDER row for each symbol.")
        if self.kind not in ("bars", "book"):
            raise DataError(f"a feed's kind is 'bars' or 'book', not {self.kind!r}.")
        ranges, noun = (self.event_range, "events") if self.kind == "book" else (self.bar_range, "bars")
        if not any(end > first for first, end in ranges):
            raise DataError(f"a feed needs {noun}; this one has none.")
        if self.instruments.dtype != INSTRUMENT or self.instruments.shape != (count,) or self.interval_ns.shape != (count,):
            raise DataError("a feed needs one INSTRUMENT row and one interval for each symbol.")
        if not self.content_hash:
            object.__delattr__(self, "content_hash")

    def __getattr__(self, name: str) -> Any:
        """Compute the content hash when it is first asked for: hashing costs more than converting a frame."""
        if name != "content_hash":
            raise AttributeError(name)
        object.__setattr__(self, "content_hash", hash_content(self))
        return self.content_hash

    @property
    def start_ns(self) -> int:
        """The open of the earliest bar; of books, the exchange time of the earliest event."""
        if self.kind == "book":
            return int(min(self.events["ts_exch"][first] for first, end in self.event_range if end > first))
        return int(min(self.bars["open_ns"][first] for first, end in self.bar_range if end > first))

    @property
    def end_ns(self) -> int:
        """The close of the latest bar; of books, one ns after the latest event is known."""
        if self.kind == "book":
            return 1 + int(max(self.events["ts_local"][end - 1] for first, end in self.event_range if end > first))
        ends = zip(self.bar_range, self.interval_ns, strict=True)
        return int(max(self.bars["open_ns"][end - 1] + length for (first, end), length in ends if end > first))

    def between(self, start_ns: int, end_ns: int) -> Feed:
        """Return the feed of the bars that open in [start_ns, end_ns): the same rows, nothing is copied but filters.

        Every symbol stays, with or without bars. Marks and funding are those known from the first bar's open to the last one's
        close; filters in force at the start count from there. Raises DataError without any bar, or of order books.
        """
        if self.kind != "bars":
            raise DataError("a feed of order books cannot be cut in time. Make one of the window wanted.")
        filters = self.filters.copy()
        ranges: dict[str, list[tuple[int, int]]] = {name: [] for name in ("bar", "mark", "funding", "filter")}
        for at, length in enumerate(self.interval_ns):
            first, end = inside(self.bars["open_ns"], self.bar_range[at], start_ns, end_ns - 1)
            ranges["bar"].append((first, end))
            stamps = self.bars["open_ns"][first:end]
            low, high = (int(stamps[0]), int(stamps[-1] + length)) if len(stamps) else (start_ns, end_ns)
            ranges["mark"].append(inside(self.marks["ts_ns"], self.mark_range[at], low, high))
            ranges["funding"].append(inside(self.funding["ts_ns"], self.funding_range[at], low, high))
            begun, changed = inside(filters["ts_ns"], self.filter_range[at], low + 1, high)
            if begun > self.filter_range[at][0]:
                begun -= 1
                filters["ts_ns"][begun] = low
            ranges["filter"].append((begun, changed))
        if all(first == end for first, end in ranges["bar"]):
            raise DataError(f"no bars open between {iso(start_ns)} and {iso(end_ns)}. Covered: {iso(self.start_ns)} to {iso(self.end_ns)}.")
        cut: dict[str, Any] = {f"{name}_range": np.array(rows, np.int64) for name, rows in ranges.items()}
        return replace(self, **cut, filters=filters, content_hash="")

    def bars_of(self, symbol: str) -> np.ndarray:
        """Return the BAR rows of one symbol, a view."""
        first, end = self.bar_range[self.symbols.index(symbol)]
        return self.bars[first:end]

    def events_of(self, symbol: str) -> np.ndarray:
        """Return the EVENT rows of one symbol, a view."""
        first, end = self.event_range[self.symbols.index(symbol)]
        return self.events[first:end]


def inside(times: np.ndarray, span: Ints, low: int, high: int) -> tuple[int, int]:
    """Return the first and the end row of `times` within `span` that lie in [low, high]."""
    begin, end = (int(at) for at in span)
    first, last = np.searchsorted(times[begin:end], (low, high + 1))
    return begin + int(first), begin + int(last)


def _check_rows(name: str, rows: np.ndarray, ranges: Ints, layout: np.dtype, count: int) -> None:
    if rows.dtype != layout or rows.ndim != 1 or not rows.flags.c_contiguous:
        raise DataError(f"a feed's {name} rows must be one contiguous array of {name.upper()} records.")
    if ranges.shape != (count, 2) or ranges.dtype != np.int64:
        raise DataError(f"a feed's {name}_range must be int64[{count}, 2]; it is {ranges.dtype}{list(ranges.shape)}.")
    if np.any(ranges[:, 0] > ranges[:, 1]) or np.any(ranges < 0) or np.any(ranges > rows.size):
        raise DataError(f"a feed's {name}_range points outside its {rows.size} rows.")


def hash_content(feed: Feed) -> str:
    """Return the sha256 over every figure a replay reads from the feed."""
    digest = hashlib.sha256(repr((feed.symbols, feed.quote_assets)).encode())
    arrays = (feed.interval_ns, feed.bar_range, feed.bars, feed.mark_range, feed.marks, feed.funding_range, feed.funding)
    for rows in (*arrays, feed.filter_range, feed.filters, feed.instruments):
        digest.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    if feed.kind != "bars":
        for rows in (feed.event_range, feed.events, feed.ladders):
            digest.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class SymbolRows:
    """One symbol's rows on their way into a feed."""

    symbol: str
    interval_ns: int
    bars: np.ndarray
    marks: np.ndarray
    funding: np.ndarray
    contract: Contract
    gaps: int = 0
    gap_bars: int = 0
    off_tick_prices: int = 0
    notes: tuple[str, ...] = ()
    events: np.ndarray | None = None
    ladder: tuple[int, int, int] = (0, 0, 0)
    book: Mapping[str, Any] = field(default_factory=dict)

    def coverage(self) -> dict[str, Any]:
        stamps = self.bars["open_ns"] if self.events is None else self.events["ts_exch"]
        return {
            "symbol": self.symbol,
            "interval": interval_name(self.interval_ns) if self.events is None else "book",
            "first": iso(stamps[0]),
            "last": iso(stamps[-1]),
            **self.book,
            "bars": int(self.bars.size),
            "gaps": self.gaps,
            "gap_bars": self.gap_bars,
            "off_tick_prices": self.off_tick_prices,
            "mark_bars": int(self.marks.size),
            "mark_interval": interval_name(int(self.marks["span_ns"][0])) if self.marks.size else "",
            "fundings": int(self.funding.size),
            "notes": list(self.notes),
        }


def join(rows: Sequence[np.ndarray], layout: np.dtype, whole: np.ndarray | None = None) -> tuple[np.ndarray, Ints]:
    """Return the rows of all symbols in one array with each one's range; a single one is not copied, nor a given `whole`."""
    ends = np.cumsum([part.size for part in rows], dtype=np.int64)
    ranges = np.stack([ends - [part.size for part in rows], ends], axis=1).astype(np.int64)
    if whole is None:
        whole = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return whole.view(layout), ranges


def assemble(
    parts: Sequence[SymbolRows],
    label: str,
    synthetic: bool = False,
    caveats: Sequence[str] = (),
    content_hash: str = "",
    bars: np.ndarray | None = None,
    events: np.ndarray | None = None,
) -> Feed:
    """Return the feed of `parts`, in order of symbol.

    `bars` and `events` may hold all their bars and events already, one after the other in order of symbol.
    """
    parts = sorted(parts, key=lambda part: part.symbol) if bars is None and events is None else parts
    joined, bar_range = join([part.bars for part in parts], BAR, bars)
    marks, mark_range = join([part.marks for part in parts], MARK)
    funding, funding_range = join([part.funding for part in parts], FUNDING)
    filters, filter_range = join([part.contract.filters for part in parts], FILTER)
    quotes = tuple(sorted({part.contract.quote for part in parts}))
    instruments = np.concatenate([part.contract.row for part in parts]).view(INSTRUMENT)
    for at, part in enumerate(parts):
        instruments[at]["quote_asset"] = quotes.index(part.contract.quote)
    notes = [note for part in parts for note in (*part.contract.notes, *part.notes)]
    books: dict[str, Any] = {}
    if any(part.events is not None for part in parts):
        rows = [np.zeros(0, EVENT) if part.events is None else part.events for part in parts]
        whole, event_range = join(rows, EVENT, events)
        books = {"kind": "book", "events": whole, "event_range": event_range, "ladders": _ladders(parts)}
    return Feed(
        symbols=tuple(part.symbol for part in parts),
        bars=joined,
        bar_range=bar_range,
        interval_ns=np.array([part.interval_ns for part in parts], np.int64),
        marks=marks,
        mark_range=mark_range,
        funding=funding,
        funding_range=funding_range,
        filters=filters,
        filter_range=filter_range,
        instruments=instruments,
        quote_assets=quotes,
        synthetic=synthetic,
        label=label,
        content_hash=content_hash,
        coverage=tuple(part.coverage() for part in parts),
        caveats=tuple(dict.fromkeys((*caveats, *notes))),
        **books,
    )


def _ladders(parts: Sequence[SymbolRows]) -> np.ndarray:
    """Return a LADDER row for each symbol, their levels one after the other in a run's flat arrays."""
    rows = np.zeros(len(parts), LADDER)
    offset = 0
    for row, part in zip(rows, parts, strict=True):
        row["base_ticks"], row["tick_step"], row["span"] = part.ladder
        row["offset"] = offset
        offset += 2 * int(row["span"])
    return rows


def from_frame(
    frame: Any,
    symbol: str | None = None,
    interval: str | None = None,
    tick_size: float | Mapping[str, float] | None = None,
    step_size: float | Mapping[str, float] | None = None,
    funding: Any = None,
    mark: Any = None,
) -> Feed:
    """Return a feed of your own bars.

    frame: a pandas DataFrame (or a dict of symbol to DataFrame) with open, high, low, close, volume, in any case, indexed
    by a time-zone aware DatetimeIndex of bar OPEN times, or with a `date`, `time`, `timestamp` or `open_time` column; or the
    same as a dict of numpy arrays with `open_time` in ms, us or ns UTC. Binance kline headers are understood.
    tick_size, step_size: one number, or one a symbol; inferred from the decimals when left out, and said so in the caveats.
    funding: a Series of rates by time, or a frame with `last_funding_rate` (or `rate`); mark: a Series of mark prices, or a
    frame of open, high, low, close, stamped at their open. For several symbols, dicts of these. Raises DataError.
    """
    from replay_data.frame import build_feed

    return build_feed(frame, symbol, interval, tick_size, step_size, funding, mark)


def from_arrays(
    columns: Mapping[str, Any],
    symbol: str | None = None,
    interval: str | None = None,
    tick_size: float | Mapping[str, float] | None = None,
    step_size: float | Mapping[str, float] | None = None,
    funding: Any = None,
    mark: Any = None,
) -> Feed:
    """Return a feed of numpy columns: `from_frame` without pandas, float64 columns are read in place.

    columns: open_time (int64, ns or ms), open, high, low, close, volume; or a dict of symbol to such columns.
    """
    return from_frame(columns, symbol, interval, tick_size, step_size, funding, mark)


def from_columns(
    symbol: str | Mapping[str, Mapping[str, Any]],
    ts_exch: Any = None,
    ts_local: Any = None,
    kind: Any = None,
    side: Any = None,
    price: Any = None,
    qty: Any = None,
    tick_size: float | None = None,
    step_size: float | None = None,
    *,
    last: Any = None,
    funding: Any = None,
    mark: Any = None,
    ladder_margin_pct: float | None = None,
    base_latency_ms: float | None = None,
) -> Feed:
    """Return a feed of your own order book rows; several symbols: a dict of symbol to a dict of these arguments.

    ts_exch, ts_local: when it happened and when you could know, epoch ns (us and ms are understood). kind: 1 a depth level's
    absolute new quantity (0 removes it), 2 a trade; 3 begins a snapshot, 4 ends it, 5 says that the stream broke (the book is
    unusable until the next 4). side: of depth +1 bid, -1 ask; of trades the aggressor, +1 bought, -1 sold. price, qty: floats,
    exact multiples of tick_size and step_size. Rows are put in order of (ts_exch, trades before depth), otherwise as they
    stand; depth rows of one ts_exch and one ts_local are one message unless `last` (1 ends a message) says otherwise. Without
    snapshot the book counts as usable once both sides have a level.
    funding, mark: as for `from_frame`. ladder_margin_pct: share of the price the ladder of levels reaches beyond all best and
    traded prices (default 0.01); depth rows beyond it are left out and counted. base_latency_ms: what the smallest feed latency
    is shifted to where it is negative (default 1). Raises DataError naming row and value.
    """
    from replay_data.book_events import BASE_LATENCY_MS, LADDER_MARGIN_PCT
    from replay_data.columns import build_book_feed

    margin = LADDER_MARGIN_PCT if ladder_margin_pct is None else ladder_margin_pct
    base_ms = BASE_LATENCY_MS if base_latency_ms is None else base_latency_ms
    given = {
        "ts_exch": ts_exch,
        "ts_local": ts_local,
        "kind": kind,
        "side": side,
        "price": price,
        "qty": qty,
        "tick_size": tick_size,
        "step_size": step_size,
        "last": last,
        "funding": funding,
        "mark": mark,
    }
    if isinstance(symbol, str):
        return build_book_feed({symbol: given}, margin, base_ms)
    shared = {name: value for name, value in given.items() if value is not None}
    return build_book_feed({name: {**shared, **columns} for name, columns in symbol.items()}, margin, base_ms)
