"""Archive files: one file of the public archive, read, checked and named.

Kind, symbol and interval come from the path, as the archive lays it out: `klines/BTCUSDT/1m/BTCUSDT-1m-2025-05.zip`,
`markPriceKlines/…`, `fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-05.zip` (symbol and interval folders in either order).
Stamps may be ms, us or ns. Bars are stamped at their open and must lie on the grid of their interval. A funding stamp
carries some ms of jitter; it is floored to the minute, which is the settlement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.interval import HOUR_NS, MINUTE_NS, StampError, interval_name, interval_ns, is_interval, iso, stamps_to_ns
from replay_data.parse import Layout, Parsed, parse_csv, parse_parquet
from replay_data.settle import settle_order
from replay_data.unpack import read_bytes
from simcore.domain.errors import DataError

KLINES, MARKS, FUNDINGS = "klines", "markPriceKlines", "fundingRate"
PRICES = ("open", "high", "low", "close")
FULL = (
    "open_time",
    *PRICES,
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
LAYOUTS = {
    KLINES: Layout(("open_time",), (*PRICES, "volume"), (FULL, FULL[:6])),
    MARKS: Layout(("open_time",), PRICES, (FULL, FULL[:6], FULL[:5])),
    FUNDINGS: Layout(
        ("calc_time",),
        ("funding_interval_hours", "last_funding_rate"),
        (("calc_time", "funding_interval_hours", "last_funding_rate"),),
    ),
}
OTHER_KINDS = (
    "aggTrades",
    "trades",
    "bookTicker",
    "bookDepth",
    "metrics",
    "indexPriceKlines",
    "premiumIndexKlines",
    "liquidationSnapshot",
)
SUFFIXES = (".csv.gz", ".csv", ".zip", ".parquet")
SYMBOL = re.compile(r"[A-Z0-9]{2,30}(_[A-Z0-9]+)?")
DATE = re.compile(r"\d[\d-]*")
FEW_ROWS = 4

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What a series is: kind, symbol, and interval ("" for funding)."""

    kind: str
    symbol: str
    interval: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.symbol, self.interval, self.kind) if part)


@dataclass(frozen=True)
class Series:
    """Rows of one series: times in ns, rising and different, and the value columns of its kind.

    klines: open, high, low, close, volume; markPriceKlines: without volume; fundingRate: rate_e8, interval_ns (integers).
    """

    key: SeriesKey
    times: Ints
    values: dict[str, npt.NDArray[Any]]

    def gaps(self) -> tuple[Ints, Ints]:
        """Return the time of each first missing bar, and how many are missing there; none for funding."""
        if not self.key.interval:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        step_ns = interval_ns(self.key.interval)
        jumps = np.diff(self.times)
        at = np.flatnonzero(jumps > step_ns)
        return self.times[at] + step_ns, jumps[at] // step_ns - 1


@dataclass(frozen=True)
class ArchiveFile:
    """One file as read: its rows as they stand in it, in any order."""

    key: SeriesKey
    parsed: Parsed
    times: Ints
    values: dict[str, npt.NDArray[Any]]

    def place(self, row: int) -> str:
        return f"{self.parsed.path}: {self.parsed.place(row)}"


def identify(path: Path) -> SeriesKey:
    """Return what a path says about its content; raise DataError where it says nothing or contradicts itself."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise DataError(f"{path}: not a market data file. Known: {', '.join(SUFFIXES)}.")
    words = path.name[: -len(suffix)].split("-")
    folders = list(path.parts[:-1])
    kinds = (KLINES, MARKS, FUNDINGS, *OTHER_KINDS)
    at = max((index for index, name in enumerate(folders) if name in kinds), default=-1)
    said = next((word for word in words[1:2] if word in kinds), None)
    kind = folders[at] if at >= 0 else said
    if kind in OTHER_KINDS or said in OTHER_KINDS:
        raise DataError(f"{path}: {said or kind} files are not read yet. Read are: {KLINES}, {MARKS}, {FUNDINGS}.")
    if said and kind != said:
        raise DataError(f"{path}: the folder says {kind}, the name says {said}. Move or rename it.")
    symbol = words[0]
    interval = words[1] if len(words) > 1 and is_interval(words[1]) else ""
    if not SYMBOL.fullmatch(symbol) or not (interval or said == FUNDINGS):
        raise DataError(f"{path}: the name says neither symbol nor interval. Name it like BTCUSDT-1m-2025-05.zip.")
    _check_folders(path, folders[at + 1 :] if at >= 0 else folders[-1:], symbol, interval, strict=at >= 0)
    return SeriesKey(kind or KLINES, symbol, interval)


def _check_folders(path: Path, folders: Sequence[str], symbol: str, interval: str, strict: bool) -> None:
    for name in folders:
        if is_interval(name) and interval and name != interval:
            raise DataError(f"{path}: the folder says interval {name}, the name says {interval}. Move or rename it.")
        looks_like = SYMBOL.fullmatch(name) and (strict or re.fullmatch(r"[A-Z0-9]+(USDT|USDC|BUSD)", name))
        if looks_like and not is_interval(name) and not DATE.fullmatch(name) and name != symbol:
            raise DataError(f"{path}: the folder says symbol {name}, the name says {symbol}. Move or rename it.")


def read_file(path: Path, key: SeriesKey | None = None) -> ArchiveFile:
    """Return the checked rows of one file; `key` replaces what its path says. Raises DataError with file, row, column, value."""
    told = key or identify(path)
    data = read_bytes(path)
    layout = LAYOUTS[told.kind]
    parsed = parse_parquet(path, data, layout) if path.name.lower().endswith(".parquet") else parse_csv(path, data, layout)
    time_name = layout.whole[0]
    try:
        times = stamps_to_ns(parsed.columns[time_name], str(path))
    except StampError as trouble:
        value = parsed.columns[time_name][trouble.row]
        raise DataError(
            f"{path}: {parsed.place(trouble.row)}: {time_name} is {value}; it lies outside 2010 to 2100 in s, ms, us and ns."
        ) from None
    values = {name: column for name, column in parsed.columns.items() if name != time_name}
    if told.kind == FUNDINGS:
        return ArchiveFile(told, parsed, *_funding_rows(parsed, times, values))
    _check_bars(parsed, values)
    _check_grid(parsed, times, interval_ns(told.interval), told.interval)
    if key is None and told.kind == KLINES and KLINES not in path.parts and not np.any(values["volume"]):
        raise DataError(f"{path}: no bar has volume: klines or mark prices? Put it in a folder named {KLINES} or {MARKS}.")
    return ArchiveFile(told, parsed, times, values)


def _refuse(parsed: Parsed, bad: npt.NDArray[np.bool_], name: str, rule: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        more = f" ({rows.size} such rows)" if rows.size > 1 else ""
        value = float(parsed.columns[name][rows[0]])
        raise DataError(f"{parsed.path}: {parsed.place(int(rows[0]))}: {name} is {value:.12g}; {rule}{more}.")


def _check_bars(parsed: Parsed, values: dict[str, npt.NDArray[Any]]) -> None:
    for name in PRICES:
        _refuse(parsed, ~np.isfinite(values[name]), name, "expected a finite number")
        _refuse(parsed, values[name] <= 0.0, name, "a price must be positive")
    rows = np.flatnonzero(values["high"] < values["low"])
    if rows.size:
        high, low = values["high"][rows[0]], values["low"][rows[0]]
        raise DataError(f"{parsed.path}: {parsed.place(int(rows[0]))}: high {high:.12g} is below low {low:.12g}.")
    _refuse(parsed, values["high"] < np.maximum(values["open"], values["close"]), "high", "below open or close")
    _refuse(parsed, values["low"] > np.minimum(values["open"], values["close"]), "low", "above open or close")
    if "volume" in values:
        _refuse(parsed, ~np.isfinite(values["volume"]), "volume", "expected a finite number")
        _refuse(parsed, values["volume"] < 0.0, "volume", "it must be 0 or more")


def _check_grid(parsed: Parsed, times: Ints, step_ns: int, interval: str) -> None:
    rows = np.flatnonzero(times % step_ns)
    if rows.size:
        first = int(rows[0])
        raise DataError(
            f"{parsed.path}: {parsed.place(first)}: open_time {iso(int(times[first]))} does not lie on the {interval} grid. "
            f"Is the interval in the name right?"
        )
    if times.size >= FEW_ROWS:
        jumps = np.diff(np.unique(times))
        if jumps.size >= FEW_ROWS - 1 and int(jumps.min()) > step_ns:
            raise DataError(
                f"{parsed.path}: all bars lie {interval_name(int(jumps.min()))} or more apart, "
                f"the name says {interval}. Rename it."
            )


def _funding_rows(parsed: Parsed, times: Ints, values: dict[str, npt.NDArray[Any]]) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
    """Return settlement times floored to the minute, rates in 1e-8 and intervals in ns."""
    hours, rates = values["funding_interval_hours"], values["last_funding_rate"]
    _refuse(parsed, ~((hours >= 1) & (hours <= 24) & (hours == np.floor(hours))), "funding_interval_hours", "expected 1 to 24")
    _refuse(parsed, ~(np.abs(rates) < 1.0), "last_funding_rate", "expected a fraction below 1 (0.0001 is one basis point)")
    whole = {"rate_e8": np.rint(rates * 1e8).astype(np.int64), "interval_ns": hours.astype(np.int64) * HOUR_NS}
    return times - times % MINUTE_NS, whole


@dataclass(frozen=True)
class Combined:
    """Files of one series put together: settled rows, dropped duplicates, and the files that contradicted earlier ones."""

    series: Series
    duplicates: int
    refused: tuple[tuple[Path, str], ...]


def combine(files: Sequence[ArchiveFile], stored: Series | None = None) -> Combined:
    """Return the rows of all files and of what is `stored`, in order of time, identical duplicates dropped.

    A file with two different rows of one time, or a row that differs from an earlier file or the stored series, is refused
    whole, naming both rows; the others still count.
    """
    keep = list(files)
    refused: list[tuple[Path, str]] = []
    while True:
        blocks = ([stored] if stored else []) + [Series(file.key, file.times, file.values) for file in keep]
        if not blocks:
            raise DataError("\n".join(reason for _path, reason in refused))
        times = np.concatenate([block.times for block in blocks])
        values = {name: np.concatenate([block.values[name] for block in blocks]) for name in blocks[0].values}
        order, clashes, _moved = settle_order(times, tuple(values.values()))
        if not clashes.size:
            series = Series(blocks[0].key, times[order], {name: column[order] for name, column in values.items()})
            return Combined(series, int(times.size - order.size), tuple(refused))
        starts = np.cumsum([0] + [block.times.size for block in blocks])
        shift = 1 if stored else 0
        for later in sorted({int(np.searchsorted(starts, row, "right")) - 1 for row in clashes[:, 1]}, reverse=True):
            row = next(pair for pair in clashes if starts[later] <= pair[1] < starts[later + 1])
            refused.append((keep[later - shift].parsed.path, _clash(keep, starts, shift, row, times, values)))
            del keep[later - shift]


def _clash(
    files: Sequence[ArchiveFile], starts: Ints, shift: int, pair: Ints, times: Ints, values: dict[str, npt.NDArray[Any]]
) -> str:
    names = []
    for row in (int(pair[1]), int(pair[0])):
        block = int(np.searchsorted(starts, row, "right")) - 1
        names.append("the stored series" if block < shift else files[block - shift].place(row - int(starts[block])))
    odd = next(name for name, column in values.items() if column[pair[0]] != column[pair[1]])
    mine, other = values[odd][pair[1]], values[odd][pair[0]]
    return (
        f"{names[0]}: {odd} of {iso(int(times[pair[1]]))} is {mine:.12g}, but {other:.12g} in {names[1]}. "
        f"Keep the right file and import again."
    )


def load_series(path: Path, key: SeriesKey | None = None) -> Series:
    """Return one file as a settled series; raise DataError for anything wrong in it."""
    return combine([read_file(path, key)]).series
