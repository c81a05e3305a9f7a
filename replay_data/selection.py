"""A selection: the part of a catalog that one run reads, put together as a feed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from replay_data.archive import FUNDINGS, KLINES, MARKS, SeriesKey
from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.instrument import contract_for, room_ticks
from replay_data.interval import interval_name, interval_ns, iso
from replay_data.manifest import Manifest, SeriesInfo
from replay_data.prepare import PREPARED_VERSION, aggregate, count_gaps_nb
from replay_data.tables import Tables
from simcore.domain.errors import DataError, did_you_mean
from simcore.domain.records import FUNDING, MARK

if TYPE_CHECKING:
    from replay_data.catalog import Catalog

ALWAYS = (-(1 << 62), 1 << 62)


@dataclass(frozen=True)
class Window:
    """The wish of one run: bars that open in [start_ns, end_ns), of one length."""

    start_ns: int
    end_ns: int
    length_ns: int


def select_feed(
    catalog: Catalog, manifest: Manifest, symbols: Sequence[str] | None, start_ns: int | None, end_ns: int | None, interval: str
) -> Feed:
    """Do what `Catalog.feed` promises, from one manifest."""
    start = ALWAYS[0] if start_ns is None else int(start_ns)
    end = ALWAYS[1] if end_ns is None else int(end_ns)
    window = Window(start, end, interval_ns(interval))
    stored = sorted({info.symbol for info in manifest.series if info.kind == KLINES})
    if not stored:
        raise DataError(f"{catalog.root}: no bars in this catalog. Fill it with `simcore data import PATH`.")
    if end <= start:
        raise DataError(f"the window is empty: it starts at {iso(start)} and ends at {iso(end)}. Swap start and end.")
    wanted = list(stored) if symbols is None else sorted(set(symbols))
    unknown = next((symbol for symbol in wanted if symbol not in stored), None)
    if unknown is not None:
        raise DataError(f"symbol {unknown!r} has no bars in {catalog.root}. {did_you_mean(unknown, stored)}")
    tables = catalog.tables(manifest)
    parts, keys = [], []
    for symbol in wanted:
        source = choose_bars(manifest, symbol, window)
        if source is None and symbols is None:
            continue
        if source is None:
            raise DataError(no_bars(manifest, symbol, window))
        part, key = _symbol_rows(catalog, manifest, tables, source, window)
        if part is None and symbols is not None:
            raise DataError(no_bars(manifest, symbol, window))
        if part is not None:
            parts.append(part)
            keys.append(key)
    if not parts:
        raise DataError(no_bars(manifest, None, window))
    feed = assemble(parts, manifest.label, manifest.synthetic, _caveats(parts, manifest))
    digest = hashlib.sha256(repr((PREPARED_VERSION, keys)).encode())
    digest.update(feed.instruments.tobytes() + feed.filters.tobytes())
    object.__setattr__(feed, "content_hash", digest.hexdigest())
    return feed


def choose_bars(manifest: Manifest, symbol: str, window: Window) -> SeriesInfo | None:
    """Return the series to take bars from: the asked interval, else the coarsest finer one that divides it."""
    fitting = []
    for info in manifest.series:
        if info.kind == KLINES and info.symbol == symbol and info.first_ns < window.end_ns and info.last_ns >= window.start_ns:
            length_ns = interval_ns(info.interval)
            if window.length_ns % length_ns == 0:
                fitting.append((length_ns, info))
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def no_bars(manifest: Manifest, symbol: str | None, window: Window) -> str:
    """Return the complaint about a window without bars: what was asked, what is covered."""
    asked = interval_name(window.length_ns)
    span = (
        "at all" if (window.start_ns, window.end_ns) == ALWAYS else f"between {_edge(window.start_ns)} and {_edge(window.end_ns)}"
    )
    infos = [info for info in manifest.series if info.kind == KLINES and symbol in (None, info.symbol)]
    if symbol is None:
        infos = sorted(infos, key=lambda info: -info.rows)[:3]
    covered = "; ".join(f"{info.symbol} {info.interval} {iso(info.first_ns)} to {iso(info.last_ns)}" for info in infos)
    return f"no {asked} bars of {symbol or 'any symbol'} {span}. Covered: {covered}."


def _edge(time_ns: int) -> str:
    return "the beginning" if time_ns == ALWAYS[0] else "the end" if time_ns == ALWAYS[1] else iso(time_ns)


def _symbol_rows(
    catalog: Catalog, manifest: Manifest, tables: Tables, source: SeriesInfo, window: Window
) -> tuple[SymbolRows | None, tuple[object, ...]]:
    """Return one symbol's rows inside the window and what identifies them; None where no bar is left."""
    rows = catalog.rows(source)
    length_ns = interval_ns(source.interval)
    if length_ns != window.length_ns:
        rows = aggregate(rows, length_ns, window.length_ns, source.step_size)
    first, end = (int(at) for at in np.searchsorted(rows["open_ns"], (window.start_ns, window.end_ns)))
    if first == end:
        return None, ()
    bars = rows[first:end]
    own = Window(int(bars["open_ns"][0]), int(bars["open_ns"][-1]) + window.length_ns, window.length_ns)
    gap_at, gap_bars = _gaps(source, bars, window)
    mark_info = choose_marks(manifest, source.symbol, own)
    marks = inside(catalog, mark_info, own, MARK)
    fund_info = manifest.by_key.get(SeriesKey(FUNDINGS, source.symbol, ""))
    funding = inside(catalog, fund_info, own, FUNDING)
    contract = contract_for(
        source.symbol,
        source.tick_size,
        source.step_size,
        window.length_ns,
        (own.start_ns, own.end_ns),
        room_ticks(bars, source.top_ticks),
        tables,
    )
    notes = _notes(source, own, marks, funding)
    part = SymbolRows(
        source.symbol, window.length_ns, bars, marks, funding, contract, gap_at, gap_bars, source.off_tick_prices, notes
    )
    extra = tuple((info.content, own.start_ns, own.end_ns) for info in (mark_info, fund_info) if info)
    return part, (source.symbol, window.length_ns, source.content, source.tick_size, source.step_size, first, end, extra)


def _gaps(source: SeriesInfo, bars: np.ndarray, window: Window) -> tuple[int, int]:
    if interval_ns(source.interval) != window.length_ns:
        gaps, missing, _odd = count_gaps_nb(np.ascontiguousarray(bars["open_ns"]), window.length_ns)
        return int(gaps), int(missing)
    inside = [count for at, count in source.gaps if bars["open_ns"][0] < at < bars["open_ns"][-1]]
    return len(inside), sum(inside)


def choose_marks(manifest: Manifest, symbol: str, own: Window) -> SeriesInfo | None:
    """Return the mark price series to use: the bars' own interval, else the finest that overlaps them."""
    overlapping = [
        info
        for info in manifest.series
        if info.kind == MARKS and info.symbol == symbol and info.first_ns < own.end_ns
        if info.last_ns + interval_ns(info.interval) >= own.start_ns
    ]
    exact = [info for info in overlapping if interval_ns(info.interval) == own.length_ns]
    return min(exact or overlapping, key=lambda info: interval_ns(info.interval), default=None)


def inside(catalog: Catalog, info: SeriesInfo | None, own: Window, layout: np.dtype) -> np.ndarray:
    """Return the rows of a series that become known from the first bar's open to the last bar's close."""
    if info is None:
        return np.zeros(0, layout)
    rows = catalog.rows(info)
    first = int(np.searchsorted(rows["ts_ns"], own.start_ns))
    end = int(np.searchsorted(rows["ts_ns"], own.end_ns, "right"))
    return rows[first:end]


def _notes(source: SeriesInfo, own: Window, marks: np.ndarray, funding: np.ndarray) -> tuple[str, ...]:
    notes = []
    if interval_ns(source.interval) != own.length_ns:
        notes.append(
            f"{source.symbol}: {interval_name(own.length_ns)} bars put together from {source.interval} bars, complete ones only"
        )
    if source.off_tick_prices:
        notes.append(
            f"{source.symbol}: {source.off_tick_prices} prices off the tick in the {source.interval} series, "
            f"rounded to the nearest"
        )
    if source.off_step_volumes:
        notes.append(f"{source.symbol}: {source.off_step_volumes} volumes off the step, rounded to the nearest")
    for noun, rows in (("mark prices", marks), ("funding", funding)):
        if not rows.size:
            continue
        step_ns = int(rows["span_ns"][0]) if noun == "mark prices" else int(rows["interval_ns"].max())
        late, early = rows["ts_ns"][0] > own.start_ns + step_ns, rows["ts_ns"][-1] < own.end_ns - step_ns
        if late or early:
            notes.append(f"{source.symbol}: {noun} only from {iso(rows['ts_ns'][0])} to {iso(rows['ts_ns'][-1])}")
    return tuple(notes)


def _caveats(parts: Sequence[SymbolRows], manifest: Manifest) -> list[str]:
    caveats = [f"{manifest.label}: no real market"] if manifest.synthetic else []
    for noun, missing in (
        ("no mark prices, margin uses the last price", [part.symbol for part in parts if not part.marks.size]),
        ("no funding history, positions pay none", [part.symbol for part in parts if not part.funding.size]),
        ("gaps in the bars", [f"{part.symbol} {part.gap_bars}" for part in parts if part.gaps]),
    ):
        if missing:
            caveats.append(f"{noun}: {', '.join(missing)}")
    coarse = [part for part in parts if part.marks.size and part.marks["span_ns"][0] > part.interval_ns]
    if coarse:
        spans = ", ".join(f"{part.symbol} {interval_name(int(part.marks['span_ns'][0]))}" for part in coarse)
        caveats.append(f"mark prices are coarser than the bars, liquidation between two of them is not seen: {spans}")
    return caveats
