"""The chart data: bars, fills and equity, thinned to what a screen can show and packed for the page.

A column is stored as the base64 of the deflated int32 differences of its integers; `static/report.js` undoes it. Bars are
joined to a readable length, fills and vetoes counted into them; equity samples go into buckets that keep the worst drawdown.
"""

from __future__ import annotations

import base64
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore import series
from simcore.domain.enums import EventKind, LedgerKind, Purpose
from simcore.report.metrics import market_curve
from simcore.report.tables import SECOND_NS

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.replay import Recording

READABLE_S = (1, 5, 10, 15, 30, 60, 180, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 259_200, 604_800)
CENTS, MILLIONTHS = 100, 1_000_000


def pack(values: np.ndarray) -> dict[str, Any]:
    """Return {n, base, code}: int32 differences from `base`, or {n, code, wide} with float64 values where they do not fit."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return {"n": 0, "base": 0, "code": ""}
    rounded = np.rint(np.where(np.isfinite(values), values, 0.0))
    steps = np.diff(rounded, prepend=rounded[0])
    if np.abs(steps).max() >= 2**31 or np.abs(rounded).max() >= 2**53:
        return {"n": len(values), "wide": 1, "code": deflated(rounded.astype("<f8"))}
    return {"n": len(values), "base": int(rounded[0]), "code": deflated(steps.astype("<i4"))}


def deflated(values: np.ndarray) -> str:
    """Return the base64 of the deflated bytes."""
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()


def display_interval(first_ns: int, last_ns: int, interval_ns: int, most: int) -> int:
    """Return the length, in ns, of the shown bars: the shortest readable one that keeps the chart under `most` bars."""
    for seconds in READABLE_S:
        wide = seconds * SECOND_NS
        if wide % interval_ns == 0 and (last_ns - first_ns) // wide < most:
            return wide
    return max(interval_ns, -(-(last_ns - first_ns) // most // interval_ns) * interval_ns)


def joined_bars(bars: np.ndarray, wide_ns: int) -> dict[str, np.ndarray]:
    """Return t (open, s), o, h, l, c in ticks of the bars joined to `wide_ns`; a joined bar without bars does not exist."""
    open_ns = np.ascontiguousarray(bars["open_ns"])
    group = open_ns // wide_ns
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    ends = np.append(starts[1:], len(bars)) - 1
    return {
        "t": group[starts] * wide_ns // SECOND_NS,
        "o": bars["open_ticks"][starts],
        "h": np.maximum.reduceat(bars["high_ticks"], starts),
        "l": np.minimum.reduceat(bars["low_ticks"], starts),
        "c": bars["close_ticks"][ends],
    }


def symbol_data(recording: Recording, symbol: int, fills: np.ndarray, vetoes: np.ndarray) -> dict[str, Any]:
    """Return the packed bars, fills and vetoes of one symbol."""
    feed = recording.feed
    bars, interval_ns = price_bars(feed, symbol, recording.display.chart_bars)
    tick = float(feed.instruments["tick_size"][symbol])
    base = {"name": feed.symbols[symbol], "tick": tick, "digits": max(0, -math.floor(math.log10(tick) + 1e-9)) if tick > 0 else 0}
    if not len(bars):
        return {**base, "seconds": 0, "bars": None}
    wide = display_interval(int(bars["open_ns"][0]), int(bars["open_ns"][-1]), interval_ns, recording.display.chart_bars)
    shown = joined_bars(bars, wide)
    return {
        **base,
        "seconds": wide // SECOND_NS,
        "bars": {name: pack(column) for name, column in relative(shown).items()},
        "fills": {name: pack(column) for name, column in fill_marks(recording, symbol, fills, shown["t"]).items()},
        "vetoes": {name: pack(column) for name, column in counted(vetoes["ts_ns"], shown["t"]).items()},
        "gaps": pack(np.unique(row_of(np.array(broken_spans(feed, symbol), np.int64).ravel(), shown["t"]))),
    }


def price_bars(feed: Feed, symbol: int, most: int) -> tuple[np.ndarray, int]:
    """Return the bars to draw and their length, ns: those of the feed, of a book short ones of its trades, under `most`."""
    low, high = feed.bar_range[symbol]
    if feed.kind != "book":
        return feed.bars[low:high], int(feed.interval_ns[symbol])
    from replay_data.book_events import trade_bars

    first, end = feed.event_range[symbol]
    events, ladder = feed.events[first:end], feed.ladders[symbol]
    if not len(events):
        return feed.bars[low:high], int(feed.interval_ns[symbol])
    wide = display_interval(int(events["ts_exch"][0]), int(events["ts_exch"][-1]), SECOND_NS, most)
    base, step, span = (int(ladder[name]) for name in ("base_ticks", "tick_step", "span"))
    return trade_bars(events, base, step, span, wide, float(feed.instruments["step_size"][symbol])), wide


def broken_spans(feed: Feed, symbol: int) -> tuple[tuple[int, int], ...]:
    """Return the (from, to) times in ns at which a book was unusable after it had been usable; on bars none."""
    if feed.kind != "book":
        return ()
    from replay_data.book_events import unusable_spans

    first, end = feed.event_range[symbol]
    events = feed.events[first:end]
    marks = np.flatnonzero(events["kind"] >= EventKind.CLEAR)
    return unusable_spans(events["kind"][marks], events["ts_exch"][marks], int(events["ts_exch"][-1]) if len(events) else 0)


def relative(shown: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return small numbers for the same bars: open against close, wicks above and below the body."""
    o, h, l, c = (shown[name].astype(np.int64) for name in "ohlc")  # noqa: E741
    return {"t": shown["t"], "c": c, "o": o - c, "h": h - np.maximum(o, c), "l": np.minimum(o, c) - l}


def row_of(ts_ns: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the position of the shown bar in which each time lies."""
    return np.maximum(np.searchsorted(t, np.asarray(ts_ns) // SECOND_NS, side="right") - 1, 0)


def counted(ts_ns: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shown bars in which something happened, and how often."""
    rows, n = np.unique(row_of(ts_ns, t), return_counts=True)
    return {"bar": rows, "n": n}


def fill_marks(recording: Recording, symbol: int, fills: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
    """Return fills joined by shown bar, side, entry or exit, maker or taker: count, mean price in ticks, notional.

    `kind` is 4·buy + 2·entry + maker.
    """
    kind = 4 * (fills["side"] > 0) + 2 * (fills["code"] == Purpose.ENTRY) + (fills["x0"] > 0)
    key, place, n = np.unique(row_of(fills["ts_ns"], t) * 8 + kind, return_inverse=True, return_counts=True)
    lots = np.bincount(place, fills["qty_lots"], len(key))
    worth = np.bincount(place, fills["qty_lots"] * fills["price_ticks"].astype(np.float64), len(key))
    scale = float(recording.feed.instruments["tick_size"][symbol] * recording.feed.instruments["step_size"][symbol])
    return {"bar": key // 8, "kind": key % 8, "n": n, "price": worth / np.maximum(lots, 1), "usd": worth * scale * CENTS}


def equity_data(recording: Recording) -> dict[str, Any]:
    """Return the packed equity curve: time, equity, buy and hold from the same start, drawdown, exposure."""
    rows = recording.equity
    if not len(rows):
        return {"t": pack(np.zeros(0))}
    edges = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), recording.display.chart_bars)).astype(np.int64))
    starts = np.append(0, edges[:-1] + 1)
    ts, nav = rows["ts_ns"][edges], rows["nav"][edges]
    safe = np.where(nav > 0, nav, np.inf)
    columns = {
        "t": ts // SECOND_NS,
        "nav": nav * CENTS,
        "market": market_curve(recording.feed, ts) * float(rows["nav"][0]) * CENTS,
        "drawdown": np.minimum.reduceat(series.drawdowns(rows["nav"]), starts) * MILLIONTHS,
        "gross": rows["gross"][edges] / safe * MILLIONTHS,
        "net": rows["net"][edges] / safe * MILLIONTHS,
    }
    return {name: pack(column) for name, column in columns.items()}


def chart_data(recording: Recording) -> dict[str, Any]:
    """Return everything the charts of the page draw, ready for JSON."""
    ledger = recording.ledger
    fills = ledger[ledger["kind"] == LedgerKind.FILL]
    first = (ledger["kind"] == LedgerKind.SCREEN_VETO) | ((ledger["kind"] == LedgerKind.GATE_VETO) & (ledger["x0"] == 1))
    vetoes = ledger[first]
    symbols = [
        symbol_data(recording, symbol, fills[fills["symbol"] == symbol], vetoes[vetoes["symbol"] == symbol])
        for symbol in range(len(recording.feed.symbols))
    ]
    return {"equity": equity_data(recording), "symbols": symbols}
