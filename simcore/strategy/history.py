"""The history a check runs on: market rows made from whatever bars a person has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simcore.domain.errors import DataError
from simcore.domain.records import BAR
from simcore.strategy.drive import History, from_columns

COLUMNS = ("open", "high", "low", "close", "volume")
STEP_NS = 3600 * 10**9


def as_history(source: Any, tick_size: float = 0.01, most: int = 20_000) -> History:
    """Return the market rows of a Feed, a frame, a dict of symbol → frame, a BAR array, or a History as it is.

    At most the first `most` bars of each symbol.
    """
    if isinstance(source, History):
        return source
    if hasattr(source, "bar_range"):
        return _of_feed(source, most)
    if isinstance(source, np.ndarray) and source.dtype == BAR:
        bars = source[:most]
        step = _interval(bars["open_ns"])
        return from_columns(["BARS"], [bars["open_ns"]], [_of_bars(bars, tick_size, 1.0)], [step])
    frames = source if isinstance(source, Mapping) and not set(COLUMNS) <= {str(k).lower() for k in source} else {"BARS": source}
    names = sorted(str(k) for k in frames)
    times, columns = zip(*(_of_frame(name, frames[name], most) for name in names), strict=True)
    return from_columns(names, list(times), list(columns), [_interval(t) for t in times])


def _interval(open_ns: np.ndarray) -> int:
    return int(np.diff(open_ns).min()) if len(open_ns) > 1 else STEP_NS


def _of_frame(name: str, frame: Any, most: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    keys = {str(k).lower(): k for k in frame}
    missing = [c for c in COLUMNS if c not in keys]
    if missing:
        raise DataError(f"{name}: column '{missing[0]}' is missing. A frame needs {', '.join(COLUMNS)}.")
    data = {c: np.asarray(frame[keys[c]], dtype=np.float64)[:most] for c in COLUMNS}
    index: Any = getattr(frame, "index", None)
    if hasattr(index, "as_unit"):
        return np.asarray(index.as_unit("ns").asi8, dtype=np.int64)[:most], data
    return np.arange(len(data["close"]), dtype=np.int64) * STEP_NS, data


def _of_bars(bars: np.ndarray, tick_size: float, step_size: float) -> dict[str, np.ndarray]:
    data = {name: bars[f"{name}_ticks"] * tick_size for name in COLUMNS[:4]}
    data["volume"] = bars["volume_lots"] * step_size
    data["close_ticks"] = bars["close_ticks"]
    data["sigma_day"], data["volume_day"] = bars["sigma_day"], bars["volume_day"]
    return data


def _of_feed(feed: Any, most: int) -> History:
    """Return a feed's bars with the last mark price and funding that were known when each bar closed."""
    times, columns = [], []
    for i in range(len(feed.symbols)):
        bars = feed.bars[feed.bar_range[i, 0] : feed.bar_range[i, 1]][:most]
        instrument = feed.instruments[i]
        data = _of_bars(bars, float(instrument["tick_size"]), float(instrument["step_size"]))
        closed = bars["open_ns"] + int(feed.interval_ns[i])
        marks = feed.marks[feed.mark_range[i, 0] : feed.mark_range[i, 1]]
        funding = feed.funding[feed.funding_range[i, 0] : feed.funding_range[i, 1]]
        data["mark"] = _as_of(closed, marks["ts_ns"], marks["close"], np.nan)
        data["mark_ts_ns"] = _as_of(closed, marks["ts_ns"], marks["ts_ns"], 0)
        data["rate"] = _as_of(closed, funding["ts_ns"], funding["rate_e8"] / 1e8, np.nan)
        data["rate_ts_ns"] = _as_of(closed, funding["ts_ns"], funding["ts_ns"], 0)
        data["rate_interval_ns"] = _as_of(closed, funding["ts_ns"], funding["interval_ns"], 0)
        times.append(bars["open_ns"])
        columns.append(data)
    return from_columns(list(feed.symbols), times, columns, [int(n) for n in feed.interval_ns])


def _as_of(when: np.ndarray, known_at: np.ndarray, values: np.ndarray, unknown: float) -> np.ndarray:
    if not len(known_at):
        return np.full(len(when), unknown)
    at = np.searchsorted(known_at, when, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], unknown)
