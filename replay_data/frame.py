"""Frames: a person's own tables of bars, turned into a feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.instrument import build_contract, room_ticks
from replay_data.interval import HOUR_NS, interval_name, interval_ns, iso, stamps_to_ns
from replay_data.prepare import Columns, count_gaps_nb, guess_step, guess_tick, prepare, shortest_jump_nb
from replay_data.settle import settle_columns
from replay_data.tables import shipped_tables
from simcore.domain.errors import DataError, did_you_mean
from simcore.domain.records import BAR, FUNDING, MARK

PRICES = ("open", "high", "low", "close")
TIMES = ("open_time", "date", "datetime", "time", "timestamp", "calc_time")
RATES = ("last_funding_rate", "funding_rate", "rate")
DEFAULT_SYMBOL = "FRAMEUSDT"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def build_feed(
    frame: Any,
    symbol: str | None,
    interval: str | None,
    tick_size: float | Mapping[str, float] | None,
    step_size: float | Mapping[str, float] | None,
    funding: Any,
    mark: Any,
) -> Feed:
    """Do what `from_frame` promises."""
    frames = _by_symbol(frame, symbol)
    names = sorted(frames)
    columns, caveats = {}, []
    for name in names:
        columns[name], notes = _bar_columns(frames[name], name)
        caveats += notes
    bars = np.empty(sum(each.open_ns.size for each in columns.values()), BAR)
    parts, at = [], 0
    for name in names:
        size = columns[name].open_ns.size
        ticks = _for_symbol(tick_size, name), _for_symbol(step_size, name)
        extra = _extra(funding, name, len(names)), _extra(mark, name, len(names))
        parts.append(_part(name, columns[name], interval, ticks, extra, bars[at : at + size]))
        at += size
    if mark is None:
        caveats.append("no mark prices given: margin and liquidation use the last price")
    if funding is None:
        caveats.append("no funding given: positions pay none")
    shown = names[0] if len(names) == 1 else f"{len(names)} symbols"
    label = f"your data: {shown}, {interval_name(parts[0].interval_ns)} bars"
    return assemble(parts, label, caveats=caveats, bars=bars)


def _by_symbol(frame: Any, symbol: str | None) -> dict[str, Any]:
    if _is_table(frame):
        return {symbol or DEFAULT_SYMBOL: frame}
    if isinstance(frame, Mapping) and frame and all(isinstance(name, str) for name in frame):
        if symbol is not None:
            raise DataError("symbol= goes with one table; a dict of tables carries its own symbols.")
        odd = next((name for name, table in frame.items() if not _is_table(table)), None)
        if odd is None:
            return dict(frame)
        raise DataError(f"{odd}: expected a DataFrame or a dict of columns open_time, open, high, low, close, volume.")
    raise DataError(f"expected a DataFrame, a dict of columns, or a dict of symbol to one of these; got {type(frame).__name__}.")


def _is_table(thing: Any) -> bool:
    if isinstance(thing, Mapping):
        return {"open", "close"} <= {_plain(name) for name in thing}
    return hasattr(thing, "columns") and hasattr(thing, "index")


def _plain(name: Any) -> str:
    return str(name).strip().lower().replace(" ", "_")


def _for_symbol(given: float | Mapping[str, float] | None, symbol: str) -> float | None:
    size = given.get(symbol) if isinstance(given, Mapping) else given
    if size is not None and not 0.0 < float(size) < float("inf"):
        raise DataError(f"{symbol}: tick_size and step_size must be positive numbers (got {size!r}).")
    return None if size is None else float(size)


def _extra(given: Any, symbol: str, count: int) -> Any:
    if isinstance(given, Mapping) and not _is_table(given) and not any(_plain(name) in TIMES for name in given):
        return given.get(symbol)
    if given is not None and count > 1:
        raise DataError("funding= and mark= of several symbols must be dicts of symbol to table.")
    return given


def _bar_columns(table: Any, symbol: str) -> tuple[Columns, list[str]]:
    """Return the table's columns, sorted and without identical duplicates, and what was done to it."""
    names = {_plain(name): name for name in (table.keys() if isinstance(table, Mapping) else table.columns)}
    missing = [name for name in (*PRICES, "volume") if name not in names]
    if missing:
        hint = did_you_mean(missing[0], [str(name) for name in names.values()]) if names else ""
        raise DataError(f"{symbol}: column {missing[0]!r} is missing. Expected open, high, low, close, volume. {hint}".strip())
    open_ns = _times(table, names, symbol)
    values = [numbers(table[names[name]], name, symbol) for name in (*PRICES, "volume")]
    if not open_ns.size:
        raise DataError(f"{symbol}: the table has no rows.")
    if any(column.size != open_ns.size for column in values):
        raise DataError(f"{symbol}: columns of different lengths ({open_ns.size} times, {values[0].size} opens).")
    columns = Columns(frozen(open_ns), *values)
    if shortest_jump_nb(columns.open_ns) > 0:
        return columns, []
    settled = settle_columns(columns, lambda row: f"row {row}", symbol)
    notes = [f"{symbol}: rows were not in order of time; sorted"] if settled.moved else []
    notes += [f"{symbol}: {settled.duplicates} identical duplicate rows dropped"] if settled.duplicates else []
    return Columns(*(frozen(column) for column in settled.columns.all())), notes


def frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view: pandas hands out read-only arrays, and kernels shall see one kind of input."""
    view = np.ascontiguousarray(values).view()
    view.setflags(write=False)
    return view


def numbers(column: Any, name: str, symbol: str) -> Floats:
    """Return a column as read-only contiguous float64, uncopied where it is that; refuse what is no number, naming its row."""
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.dtype.kind in "fiub" and values.dtype != np.float64:
        values = values.astype(np.float64)
    elif values.dtype != np.float64:
        values = _parsed(values, name, symbol)
    made: Floats = frozen(values)
    return made


def _parsed(values: npt.NDArray[Any], name: str, symbol: str) -> Floats:
    out = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            out[row] = float(value)
        except (TypeError, ValueError):
            raise DataError(f"{symbol}: row {row}: {name} is {value!r}; expected a number.") from None
    return out


def _times(table: Any, names: Mapping[str, Any], symbol: str) -> Ints:
    found = next((names[name] for name in TIMES if name in names), None)
    if found is None and not isinstance(table, Mapping):
        return _index_ns(table.index, symbol)
    if found is None:
        raise DataError(f"{symbol}: no time. Add a column open_time (ns or ms UTC, the OPEN of the bar).")
    column = table[found]
    if hasattr(column, "dt"):
        return _index_ns(_as_index(column), symbol, str(found))
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.dtype.kind == "f" and np.all(values == np.floor(values)):
        values = values.astype(np.int64)
    return stamps_to_ns(values, f"{symbol}: column {found!r}")


def _as_index(column: Any) -> Any:
    import pandas as pd

    return pd.DatetimeIndex(column)


def _index_ns(index: Any, symbol: str, column: str | None = None) -> Ints:
    """Return a DatetimeIndex in ns UTC; its unit may be any (pandas 3 writes us)."""
    place = f"column {column!r}" if column else "the index"
    if not hasattr(index, "tz"):
        raise DataError(
            f"{symbol}: {place} holds no times. Use a tz-aware DatetimeIndex: df.index = pd.to_datetime(df.index, utc=True), "
            f"or add a column open_time."
        )
    if index.tz is None:
        fix = f"df[{column!r}] = df[{column!r}].dt.tz_localize('UTC')" if column else "df.index = df.index.tz_localize('UTC')"
        raise DataError(f"{symbol}: the times of {place} have no time zone. If they are UTC: {fix}.")
    if index.hasnans:
        raise DataError(f"{symbol}: {place} has an empty time (NaT). Drop that row: df = df[df.index.notna()].")
    return np.asarray(index.as_unit("ns").asi8, np.int64)


def _part(
    symbol: str,
    columns: Columns,
    interval: str | None,
    sizes: tuple[float | None, float | None],
    extra: tuple[Any, Any],
    out: np.ndarray,
) -> SymbolRows:
    length_ns, gaps, gap_bars = _spacing(symbol, columns.open_ns, interval)
    tick, step, notes = _grid(symbol, columns, *sizes)
    made = prepare(columns, length_ns, tick, step, symbol, out)
    if made.off_tick_prices:
        notes.append(f"{symbol}: {made.off_tick_prices} prices off the tick {tick:g}, rounded to the nearest")
    if made.off_step_volumes:
        notes.append(f"{symbol}: {made.off_step_volumes} volumes off the step {step:g}, rounded to the nearest")
    window = int(columns.open_ns[0]), int(columns.open_ns[-1]) + length_ns
    brackets = shipped_tables().brackets_at(symbol, window[0])
    contract = build_contract(symbol, tick, step, length_ns, (), brackets, room_ticks(out, made.top_ticks))
    return SymbolRows(
        symbol,
        length_ns,
        out,
        mark_rows(extra[1], symbol),
        funding_rows(extra[0], symbol),
        contract,
        gaps,
        gap_bars,
        made.off_tick_prices,
        tuple(notes),
    )


def _spacing(symbol: str, open_ns: Ints, interval: str | None) -> tuple[int, int, int]:
    """Return the bar length, how many gaps there are and how many bars are missing; refuse uneven spacing."""
    if interval is None and open_ns.size < 2:
        raise DataError(f"{symbol}: one bar does not tell its length. Pass interval='1m' or what it is.")
    length_ns = interval_ns(interval) if interval else int(shortest_jump_nb(open_ns))
    gaps, missing, odd = count_gaps_nb(open_ns, length_ns)
    if odd >= 0:
        raise DataError(
            f"{symbol}: bars at {iso(open_ns[odd - 1])} and {iso(open_ns[odd])} do not lie a multiple of "
            f"{interval_name(length_ns)} apart. Pass the right interval, or resample."
        )
    return length_ns, int(gaps), int(missing)


def _grid(symbol: str, columns: Columns, tick: float | None, step: float | None) -> tuple[float, float, list[str]]:
    notes = []
    if tick is None:
        tick, exact = guess_tick(columns)
        how = "the decimals of the prices" if exact else "the size of the prices, which have too many decimals to be kept"
        notes.append(f"{symbol}: tick size {tick:g} inferred from {how}")
    if step is None:
        step, exact = guess_step(columns, tick)
        how = "the decimals of the volumes" if exact else "the tick size; volumes are rounded to it"
        notes.append(f"{symbol}: step size {step:g} inferred from {how}")
    return tick, step, notes


def _series(given: Any, wanted: tuple[str, ...], symbol: str, noun: str) -> tuple[Ints, list[Floats], Mapping[str, Any]]:
    """Return (times, the first column found of `wanted` or the series itself, all columns by plain name)."""
    if not isinstance(given, Mapping) and not hasattr(given, "columns"):
        if not hasattr(given, "index"):
            raise DataError(f"{symbol}: {noun} must be a Series, a DataFrame or a dict of columns; got {type(given).__name__}.")
        return _index_ns(given.index, symbol), [numbers(given, noun, symbol)], {}
    names = {_plain(name): name for name in (given.keys() if isinstance(given, Mapping) else given.columns)}
    found = [name for name in wanted if name in names]
    if not found:
        raise DataError(f"{symbol}: {noun}: no column {wanted[0]!r}. Expected one of {', '.join(wanted)}.")
    columns = [numbers(given[names[name]], name, symbol) for name in found]
    return _times(given, names, f"{symbol}: {noun}"), columns, {name: given[names[name]] for name in names}


def funding_rows(given: Any, symbol: str) -> np.ndarray:
    """Return FUNDING rows of a Series or table of rates; none of None."""
    if given is None:
        return np.zeros(0, FUNDING)
    times, columns, others = _series(given, RATES, symbol, "funding")
    _check_rising(times, symbol, "funding")
    rates = columns[0]
    if not np.all(np.abs(rates) < 1.0):
        row = int(np.flatnonzero(~(np.abs(rates) < 1.0))[0])
        raise DataError(f"{symbol}: funding: row {row}: rate {rates[row]} is not a fraction below 1 (0.0001 is one basis point).")
    rows = np.zeros(times.size, FUNDING)
    rows["ts_ns"] = times - times % (60 * 10**9)
    rows["rate_e8"] = np.rint(rates * 1e8).astype(np.int64)
    spacing = np.diff(rows["ts_ns"], prepend=rows["ts_ns"][:1] - 8 * HOUR_NS)
    hours = others.get("funding_interval_hours")
    rows["interval_ns"] = spacing if hours is None else numbers(hours, "funding_interval_hours", symbol) * HOUR_NS
    return rows


def mark_rows(given: Any, symbol: str) -> np.ndarray:
    """Return MARK rows of a Series or table of mark prices stamped at their open; none of None."""
    if given is None:
        return np.zeros(0, MARK)
    times, columns, _others = _series(given, PRICES, symbol, "mark")
    _check_rising(times, symbol, "mark")
    if len(columns) not in (1, 4):
        raise DataError(f"{symbol}: mark: expected open, high, low, close, or a single Series.")
    rows = np.zeros(times.size, MARK)
    span = int(np.diff(times).min()) if times.size > 1 else HOUR_NS
    for name, column in zip(PRICES, columns * 4 if len(columns) == 1 else columns, strict=False):
        if not np.all((column > 0.0) & (column < np.inf)):
            raise DataError(f"{symbol}: mark: {name} has a value that is not a positive number.")
        rows[name] = column
    rows["ts_ns"], rows["span_ns"] = times + span, span
    return rows


def _check_rising(times: Ints, symbol: str, noun: str) -> None:
    if np.any(np.diff(times) <= 0):
        raise DataError(f"{symbol}: {noun}: times must rise. Sort the rows and drop duplicates.")
