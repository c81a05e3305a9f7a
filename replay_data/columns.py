"""Columns: a person's own depth and trades, turned into a feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.book_events import BookRows, RawRows, prepare_events
from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.frame import frozen, funding_rows, mark_rows, numbers
from replay_data.instrument import RISE_ROOM, build_contract
from replay_data.interval import MINUTE_NS, iso, stamps_to_ns
from replay_data.tables import shipped_tables
from simcore.domain.errors import DataError, did_you_mean
from simcore.domain.records import EVENT

TIMES, SIGNS, NUMBERS = ("ts_exch", "ts_local"), ("kind", "side"), ("price", "qty")
NAMES = (*TIMES, *SIGNS, *NUMBERS)
SIZES = ("tick_size", "step_size")
OPTIONAL = ("last", "funding", "mark")
MS_NS = 1_000_000


def build_book_feed(columns: Mapping[str, Mapping[str, Any]], ladder_margin_pct: float, base_latency_ms: float) -> Feed:
    """Do what `from_columns` promises."""
    names = sorted(columns)
    if not names:
        raise DataError("from_columns got no symbol. Pass a symbol and its columns, or a dict of symbol to columns.")
    raws = {name: raw_rows(name, columns[name]) for name in names}
    events = np.empty(sum(raw.size + 2 for raw in raws.values()), EVENT)
    parts, end = [], 0
    for name in names:
        given = columns[name]
        tick, step = (_size(name, given, size) for size in SIZES)
        made = prepare_events(raws[name], tick, step, name, ladder_margin_pct, base_latency_ms, events[end:])
        end += made.events.size
        parts.append(book_part(name, tick, step, made, mark_rows(given.get("mark"), name), funding_rows(given.get("funding"), name)))
    caveats = []
    if all(given.get("mark") is None for given in columns.values()):
        caveats.append("no mark prices given: margin and liquidation use the last price")
    if all(given.get("funding") is None for given in columns.values()):
        caveats.append("no funding given: positions pay none")
    shown = names[0] if len(names) == 1 else f"{len(names)} symbols"
    return assemble(parts, f"your data: {shown}, order books", caveats=caveats, events=events[:end])


def raw_rows(symbol: str, given: Mapping[str, Any]) -> RawRows:
    """Return the columns of one symbol, checked for names, types and lengths; nothing of the right type is copied."""
    missing = [name for name in (*NAMES, *SIZES) if given.get(name) is None]
    if missing:
        hint = did_you_mean(missing[0], [str(name) for name in given])
        raise DataError(f"{symbol}: {missing[0]!r} is missing. Expected {', '.join((*NAMES, *SIZES))}. {hint}")
    unknown = next((name for name in given if name not in (*NAMES, *SIZES, *OPTIONAL)), None)
    if unknown is not None:
        raise DataError(f"{symbol}: unknown column {unknown!r}. {did_you_mean(str(unknown), (*NAMES, *SIZES, *OPTIONAL))}")
    times = [stamps_to_ns(_array(given[name]), f"{symbol}: {name}") for name in TIMES]
    signs = [_small(symbol, name, given[name], np.int8) for name in SIGNS]
    values = [numbers(given[name], name, symbol) for name in NUMBERS]
    last = _small(symbol, "last", given["last"] if given.get("last") is not None else (), np.uint8)
    sizes = {name: column.size for name, column in zip(NAMES, (*times, *signs, *values), strict=True)}
    if last.size:
        sizes["last"] = last.size
    if len(set(sizes.values())) > 1:
        raise DataError(f"{symbol}: columns of different lengths: {', '.join(f'{name} {size}' for name, size in sizes.items())}.")
    if not times[0].size:
        raise DataError(f"{symbol}: the columns have no rows.")
    return RawRows(*(frozen(column) for column in (*times, *signs, *values, last)))


def _array(column: Any) -> npt.NDArray[Any]:
    return column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)


def _small(symbol: str, name: str, column: Any, kind: type[np.generic]) -> npt.NDArray[Any]:
    values = _array(column)
    if values.dtype == kind:
        return values
    small = values.astype(kind)
    odd = np.flatnonzero(small != values)
    if odd.size:
        raise DataError(f"{symbol}: row {odd[0]}: {name} is {values[odd[0]].item()!r}; expected a small whole number.")
    return small


def _size(symbol: str, given: Mapping[str, Any], name: str) -> float:
    size = given[name]
    if isinstance(size, bool) or not isinstance(size, (int, float, np.number)) or not 0.0 < float(size) < float("inf"):
        raise DataError(f"{symbol}: {name} must be a positive number (got {size!r}).")
    return float(size)


def book_part(symbol: str, tick: float, step: float, made: BookRows, marks: np.ndarray, funding: np.ndarray) -> SymbolRows:
    """Return the rows of one symbol's book with its contract, as a feed takes them; no exchange filters are applied."""
    brackets = shipped_tables().brackets_at(symbol, made.first_ns)
    room = max(RISE_ROOM * (made.base_ticks + made.span // 2), made.top_ticks)
    contract = build_contract(symbol, tick, step, MINUTE_NS, (), brackets, room)
    return SymbolRows(
        symbol, MINUTE_NS, made.bars, marks, funding, contract, notes=book_notes(symbol, made), events=made.events, **ladder_of(made)
    )


def ladder_of(made: BookRows) -> dict[str, Any]:
    """Return what a feed says of a book: where its ladder lies and its coverage figures."""
    figures = {
        "events": int(made.events.size),
        "trades": made.trades,
        "far_rows": made.far_rows,
        "book_gaps": len(made.spans),
        "unusable_s": round(sum(end - start for start, end in made.spans) / 1e9, 3),
        "local_shift_ms": made.shift_ns / MS_NS,
        "ladder_levels": made.span,
    }
    return {"ladder": (made.base_ticks, made.tick_step, made.span), "book": figures}


def book_notes(symbol: str, made: BookRows) -> tuple[str, ...]:
    """Return what a reader of results must know of a book."""
    notes = []
    if made.shift_ns:
        notes.append(f"{symbol}: the local clock ran behind the exchange's; local times shifted by {made.shift_ns / MS_NS:.3f} ms")
    if not made.usable:
        notes.append(f"{symbol}: the book is never usable: it has no snapshot and never both sides")
    if made.spans:
        first = "; ".join(f"{iso(start)} to {iso(end)}" for start, end in made.spans[:3])
        more = f" and {len(made.spans) - 3} more" if len(made.spans) > 3 else ""
        notes.append(f"{symbol}: book unusable in {len(made.spans)} spans: {first}{more}")
    if made.far_rows:
        notes.append(f"{symbol}: {made.far_rows} depth rows beyond the ladder left out")
    return tuple(notes)
