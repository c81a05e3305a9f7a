"""Stored series: one Parquet file of truth with its content hash, one .npy of prepared rows to map into memory."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from replay_data.archive import FUNDINGS, KLINES, Series, SeriesKey
from replay_data.instrument import common_grid
from replay_data.interval import interval_ns
from replay_data.manifest import SeriesInfo
from replay_data.prepare import PREPARED_VERSION, Columns, guess_step, guess_tick, prepare
from replay_data.storage import write_atomic
from replay_data.tables import Tables
from simcore.domain.errors import DataError
from simcore.domain.records import BAR, FUNDING, MARK

# Above this share of prices off the exchange's tick the table is wrong for these dates, and the prices' own tick is taken.
MAX_OFF_TICK_SHARE = 0.001
HASH_KEY = b"simcore.content_sha256"
LAYOUT_OF = {KLINES: BAR, FUNDINGS: FUNDING}


@dataclass(frozen=True)
class PreparedRows:
    """Rows of a series as a feed holds them, with the grid and what was rounded (bars only)."""

    rows: np.ndarray
    tick_size: float = 0.0
    step_size: float = 0.0
    off_tick_prices: int = 0
    off_step_volumes: int = 0
    top_ticks: int = 0


def content_hash(series: Series) -> str:
    """Return the sha256 over a series in canonical form: its name, its times, each column by name."""
    digest = hashlib.sha256(str(series.key).encode())
    digest.update(np.ascontiguousarray(series.times, "<i8").view(np.uint8).data)
    for name, column in sorted(series.values.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(column, f"<{column.dtype.kind}8").view(np.uint8).data)
    return digest.hexdigest()


def prepare_series(series: Series, tables: Tables) -> PreparedRows:
    """Return the series as records; bars on the finest tick and step the exchange had over their time."""
    if series.key.kind == KLINES:
        return _prepare_bars(series, tables)
    if series.key.kind == FUNDINGS:
        rows = np.zeros(series.times.size, FUNDING)
        rows["ts_ns"], rows["rate_e8"] = series.times, series.values["rate_e8"]
        rows["interval_ns"] = series.values["interval_ns"]
        return PreparedRows(rows)
    rows = np.zeros(series.times.size, MARK)
    span_ns = interval_ns(series.key.interval)
    rows["ts_ns"], rows["span_ns"] = series.times + span_ns, span_ns
    for name in ("open", "high", "low", "close"):
        rows[name] = series.values[name]
    return PreparedRows(rows)


def _prepare_bars(series: Series, tables: Tables) -> PreparedRows:
    key = series.key
    length_ns = interval_ns(key.interval)
    values = (series.values[name] for name in ("open", "high", "low", "close", "volume"))
    columns = Columns(series.times, *(np.ascontiguousarray(column, np.float64) for column in values))
    tick, step = grid_of(key.symbol, int(series.times[0]), int(series.times[-1]) + length_ns, tables)
    tick_known = tick > 0.0
    tick = tick if tick_known else guess_tick(columns)[0]
    step = step if step > 0.0 else guess_step(columns, tick)[0]
    made = prepare(columns, length_ns, tick, step, str(key))
    if tick_known and made.off_tick_prices > MAX_OFF_TICK_SHARE * 4 * series.times.size:
        tick = common_grid([tick, guess_tick(columns)[0]])
        made = prepare(columns, length_ns, tick, step, str(key))
    return PreparedRows(made.bars, tick, step, made.off_tick_prices, made.off_step_volumes, made.top_ticks)


def grid_of(symbol: str, start_ns: int, end_ns: int, tables: Tables) -> tuple[float, float]:
    """Return the finest tick and step in force between two times, or (0, 0) where no table knows the symbol."""
    rows = tables.filters_over(symbol, start_ns, end_ns)
    if not rows:
        return 0.0, 0.0
    return common_grid([row.tick_size for row in rows]), common_grid([row.step_size for row in rows])


def write_series(root: Path, series: Series, tables: Tables, sources: tuple[str, ...], old: SeriesInfo | None) -> SeriesInfo:
    """Write the truth and the prepared rows of a series under names of their content; return its manifest entry."""
    content = content_hash(series)
    made = prepare_series(series, tables)
    grid = f"{PREPARED_VERSION} {made.tick_size!r} {made.step_size!r}"
    kind, symbol, interval = series.key.kind, series.key.symbol, series.key.interval
    folder = f"{kind}/{interval}" if interval else kind
    truth = f"truth/{folder}/{symbol}-{content[:16]}.parquet"
    derived = hashlib.sha256(f"{content} {grid}".encode()).hexdigest()
    prepared = f"prepared/{folder}/{symbol}-{derived[:16]}.npy"
    if not (root / truth).is_file():
        data = _parquet_bytes(series, content)
        write_atomic(root / truth, lambda stream: stream.write(data))
    if not (root / prepared).is_file():
        write_atomic(root / prepared, lambda stream: np.save(stream, made.rows, allow_pickle=False))
    at, missing = series.gaps()
    return SeriesInfo(
        kind,
        symbol,
        interval,
        int(series.times.size),
        int(series.times[0]),
        int(series.times[-1]),
        content,
        truth,
        prepared,
        tuple((int(first), int(count)) for first, count in zip(at, missing, strict=True)),
        made.tick_size,
        made.step_size,
        made.off_tick_prices,
        made.off_step_volumes,
        made.top_ticks,
        tuple(sorted({*(old.sources if old else ()), *sources})),
    )


def _parquet_bytes(series: Series, content: str) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"time_ns": series.times, **series.values})
    table = table.replace_schema_metadata({HASH_KEY: content.encode(), b"simcore.series": str(series.key).encode()})
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_truth(path: Path, key: SeriesKey) -> tuple[Series, str]:
    """Return a stored series and the content hash its file claims; raise DataError where it is unreadable."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table: Any = parquet.read_table(io.BytesIO(path.read_bytes()))
        values = {name: table[name].to_numpy() for name in table.column_names if name != "time_ns"}
        claimed = (table.schema.metadata or {}).get(HASH_KEY, b"").decode()
        return Series(key, table["time_ns"].to_numpy(), values), claimed
    except (pa.ArrowException, OSError, KeyError) as trouble:
        raise DataError(f"{path}: the stored series is not readable ({trouble}). Import its files again.") from None


def map_rows(path: Path, kind: str) -> np.ndarray:
    """Return prepared rows mapped into memory: nothing is read before it is touched, writes stay private."""
    rows = np.load(path, mmap_mode="c", allow_pickle=False)
    layout = LAYOUT_OF.get(kind, MARK)
    if rows.ndim != 1 or rows.dtype != layout:
        raise DataError(f"{path}: prepared by another version. Import the data again.")
    return np.asarray(rows).view(layout)
