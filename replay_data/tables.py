"""Dated exchange tables: which filters and leverage brackets were in force for a symbol at a time.

simcore ships what is known of some forty Binance USD-M contracts (`tables/*.json`, with its sources); a catalog adds what
its owner imports: exchangeInfo and leverageBracket responses, or a CSV of observed filters. Later rows win over earlier
ones, imported ones over shipped ones of the same date. A time before the first row uses the first row.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from replay_data.interval import from_iso, iso
from simcore.domain.errors import DataError
from simcore.domain.records import MAX_BRACKETS

SHIPPED = Path(__file__).resolve().parent / "tables"
FILTER_FIELDS = (
    "tick_size",
    "step_size",
    "min_qty",
    "max_qty",
    "max_market_qty",
    "min_notional",
    "price_band_up_pct",
    "price_band_down_pct",
)
ASSUMED_MIN_NOTIONAL = 5.0
ASSUMED_BAND_PCT = 0.15
DAY_IN_NAME = re.compile(r"(20\d{2})-?(\d{2})-?(\d{2})")


@dataclass(frozen=True)
class FilterRow:
    """Exchange filters of one symbol from `valid_ns` on: sizes in quote and base units, bands as fractions."""

    symbol: str
    valid_ns: int
    tick_size: float
    step_size: float
    min_qty: float
    max_qty: float
    max_market_qty: float
    min_notional: float
    price_band_up_pct: float
    price_band_down_pct: float

    def to_json(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "valid_from": iso(self.valid_ns),
            **{name: f"{getattr(self, name):.12g}" for name in FILTER_FIELDS},
        }


@dataclass(frozen=True)
class BracketTable:
    """Leverage brackets of one symbol from `valid_ns` on: rows of (floor, cap, leverage, maintenance rate, cum)."""

    symbol: str
    valid_ns: int
    rows: tuple[tuple[float, float, float, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        return {"symbol": self.symbol, "valid_from": iso(self.valid_ns), "brackets": [list(row) for row in self.rows]}


@dataclass(frozen=True)
class Tables:
    """Filters and brackets by symbol, each sorted by date."""

    filters: Mapping[str, tuple[FilterRow, ...]]
    brackets: Mapping[str, tuple[BracketTable, ...]]

    def filters_over(self, symbol: str, start_ns: int, end_ns: int) -> tuple[FilterRow, ...]:
        """Return the filters in force at `start_ns` and those that come into force before `end_ns`; may be empty."""
        rows = self.filters.get(symbol, ())
        before = [row for row in rows if row.valid_ns <= start_ns]
        later = [row for row in rows if start_ns < row.valid_ns < end_ns]
        first = before[-1:] or list(rows[:1])
        return tuple(first + [row for row in later if row not in first])

    def brackets_at(self, symbol: str, time_ns: int) -> BracketTable | None:
        """Return the brackets in force, or None for a symbol without any."""
        rows = self.brackets.get(symbol, ())
        before = [row for row in rows if row.valid_ns <= time_ns]
        return before[-1] if before else (rows[0] if rows else None)

    def with_rows(self, filters: Iterable[FilterRow], brackets: Iterable[BracketTable]) -> Tables:
        """Return these tables with more rows; a new row replaces an old one of the same symbol and date."""
        return Tables(_merge(self.filters, filters), _merge(self.brackets, brackets))


def _merge(old: Mapping[str, tuple[Any, ...]], new: Iterable[Any]) -> dict[str, tuple[Any, ...]]:
    keyed = {(row.symbol, row.valid_ns): row for rows in old.values() for row in rows}
    keyed |= {(row.symbol, row.valid_ns): row for row in new}
    merged: dict[str, list[Any]] = {}
    for key in sorted(keyed):
        merged.setdefault(key[0], []).append(keyed[key])
    return {symbol: tuple(rows) for symbol, rows in merged.items()}


@cache
def shipped_tables() -> Tables:
    """Return the tables that come with simcore."""
    return Tables({}, {}).with_rows(
        read_filters_json(SHIPPED / "filters.json"), read_brackets_json(SHIPPED / "leverage_brackets.json")
    )


def _json(path: Path, data: bytes | None = None) -> Any:
    try:
        return json.loads(path.read_bytes() if data is None else data)
    except (OSError, ValueError, RecursionError) as trouble:
        raise DataError(f"{path}: not readable as JSON ({trouble}). Download it again.") from None


def _number(path: Path, place: str, value: Any, least: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= least) or isinstance(value, bool):
        raise DataError(f"{path}: {place}: {value!r} is not a number of at least {least:g}.")
    return number


def _filter_row(path: Path, symbol: str, valid_ns: int, values: Mapping[str, Any]) -> FilterRow:
    numbers = [
        _number(path, f"{symbol}.{name}", values.get(name), 1e-12 if name in ("tick_size", "step_size") else 0.0)
        for name in FILTER_FIELDS
    ]
    row = FilterRow(symbol, valid_ns, *numbers)
    unit = row.tick_size * row.step_size * 1e8
    if unit < 0.5 or abs(unit - round(unit)) > 1e-6 * unit:
        raise DataError(f"{path}: {symbol}: tick {row.tick_size:g} times step {row.step_size:g} is no whole number of 1e-8.")
    return row


def _bracket_table(path: Path, symbol: str, valid_ns: int, rows: Iterable[Iterable[Any]]) -> BracketTable:
    numbers = [tuple(_number(path, f"{symbol}.brackets", value, 0.0) for value in row) for row in rows]
    numbers.sort()
    if not 1 <= len(numbers) <= MAX_BRACKETS or any(len(row) != 5 for row in numbers) or numbers[0][0] != 0.0:
        raise DataError(f"{path}: {symbol}: expected 1 to {MAX_BRACKETS} brackets of 5 numbers, the first from notional 0.")
    for lower, upper in zip(numbers, numbers[1:], strict=False):
        if lower[1] != upper[0] or upper[3] < lower[3]:
            raise DataError(f"{path}: {symbol}: bracket from {upper[0]:g} does not follow the one up to {lower[1]:g}.")
    return BracketTable(symbol, valid_ns, tuple((r[0], r[1], r[2], r[3], r[4]) for r in numbers))


def _rows(path: Path, document: Any, key: str) -> list[dict[str, Any]]:
    rows = document.get(key) if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("symbol"), str) for row in rows):
        raise DataError(f"{path}: expected a list of objects with a symbol under {key!r}.")
    return rows


def _valid_ns(path: Path, row: Mapping[str, Any]) -> int:
    try:
        return from_iso(str(row.get("valid_from")))
    except DataError as trouble:
        raise DataError(f"{path}: {row.get('symbol')}.valid_from: {trouble}") from None


def read_filters_json(path: Path) -> list[FilterRow]:
    """Return the rows of a filters.json as simcore writes it."""
    return [_filter_row(path, row["symbol"], _valid_ns(path, row), row) for row in _rows(path, _json(path), "filters")]


def read_brackets_json(path: Path) -> list[BracketTable]:
    """Return the rows of a leverage_brackets.json as simcore writes it."""
    rows = _rows(path, _json(path), "leverage_brackets")
    return [_bracket_table(path, row["symbol"], _valid_ns(path, row), row.get("brackets", ())) for row in rows]


def read_exchange_info(path: Path, data: bytes) -> list[FilterRow]:
    """Return the filters of every perpetual of an exchangeInfo response, in force from its server time."""
    document = _json(path, data)
    stamp = document.get("serverTime") if isinstance(document, dict) else None
    valid_ns = int(_number(path, "serverTime", stamp, 1e12)) * 1_000_000
    rows = []
    for entry in _rows(path, document, "symbols"):
        filters = {str(item.get("filterType")): item for item in entry.get("filters", ()) if isinstance(item, dict)}
        if entry.get("contractType", "PERPETUAL") != "PERPETUAL" or "PRICE_FILTER" not in filters or "LOT_SIZE" not in filters:
            continue
        lot, market, band = filters["LOT_SIZE"], filters.get("MARKET_LOT_SIZE", {}), filters.get("PERCENT_PRICE", {})
        up = _number(path, f"{entry['symbol']}.multiplierUp", band.get("multiplierUp", 1 + ASSUMED_BAND_PCT), 1.0)
        down = _number(path, f"{entry['symbol']}.multiplierDown", band.get("multiplierDown", 1 - ASSUMED_BAND_PCT), 0.0)
        values = {
            "tick_size": filters["PRICE_FILTER"].get("tickSize"),
            "step_size": lot.get("stepSize"),
            "min_qty": lot.get("minQty"),
            "max_qty": lot.get("maxQty"),
            "max_market_qty": market.get("maxQty", lot.get("maxQty")),
            "min_notional": filters.get("MIN_NOTIONAL", {}).get("notional", ASSUMED_MIN_NOTIONAL),
            "price_band_up_pct": round(up - 1.0, 8),
            "price_band_down_pct": round(max(0.0, 1.0 - down), 8),
        }
        rows.append(_filter_row(path, entry["symbol"], valid_ns, values))
    if not rows:
        raise DataError(f"{path}: no perpetual contract with PRICE_FILTER and LOT_SIZE. Expected an exchangeInfo response.")
    return rows


def read_leverage_brackets(path: Path, data: bytes) -> list[BracketTable]:
    """Return the brackets of a leverageBracket response; its date is the one in the file's name."""
    found = DAY_IN_NAME.search(path.name)
    if found is None:
        raise DataError(
            f"{path}: a leverageBracket response carries no date. Put it in the name: um_leverageBracket-20250622.json."
        )
    try:
        valid = datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=UTC)
    except ValueError:
        raise DataError(f"{path}: {found[0]} in the name is not a day.") from None
    keys = ("notionalFloor", "notionalCap", "initialLeverage", "maintMarginRatio", "cum")
    tables = []
    for entry in _rows(path, _json(path, data), "brackets"):
        brackets = entry.get("brackets")
        if not isinstance(brackets, list) or not all(isinstance(item, dict) for item in brackets):
            raise DataError(f"{path}: {entry['symbol']}: no list of brackets.")
        rows = [[item.get(key) for key in keys] for item in brackets]
        tables.append(_bracket_table(path, entry["symbol"], int(valid.timestamp()) * 10**9, rows))
    return tables


def read_filters_csv(path: Path, data: bytes, known: Tables) -> list[FilterRow]:
    """Return rows of an observed-filters CSV (symbol, start, observed_tick, observed_step), each in force from its start.

    What prices and volumes cannot show (minimum notional, largest quantities, bands) is taken from `known`.
    """
    table = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace")))
    wanted = ("symbol", "start", "observed_tick", "observed_step")
    missing = [name for name in wanted if name not in (table.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: row 1: column {missing[0]!r} is missing. Expected {', '.join(wanted)}.")
    rows = []
    for line in table:
        symbol, valid_ns = line["symbol"], from_iso(line["start"])
        before = known.filters_over(symbol, valid_ns, valid_ns)
        values = {name: getattr(before[0], name) for name in FILTER_FIELDS} if before else {}
        assumed = {"max_qty": 1e6, "max_market_qty": 1e5, "min_notional": ASSUMED_MIN_NOTIONAL}
        bands = {"price_band_up_pct": ASSUMED_BAND_PCT, "price_band_down_pct": ASSUMED_BAND_PCT}
        observed = {"tick_size": line["observed_tick"], "step_size": line["observed_step"], "min_qty": line["observed_step"]}
        rows.append(_filter_row(path, symbol, valid_ns, assumed | bands | values | observed))
    return rows


def tables_to_json(tables: Tables) -> tuple[bytes, bytes]:
    """Return the two files that `read_filters_json` and `read_brackets_json` read back."""
    filters = {"filters": [row.to_json() for rows in tables.filters.values() for row in rows]}
    brackets = {"leverage_brackets": [row.to_json() for rows in tables.brackets.values() for row in rows]}
    return json.dumps(filters, indent=1).encode(), json.dumps(brackets, indent=1).encode()
