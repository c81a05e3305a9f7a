"""Synthetic markets: seeded one-minute bars with the habits of real ones, for tests, controls and the embedded sample.

Habits: volatility clusters (GARCH), regimes of days, jumps, one common factor, busy and quiet hours, funding that follows
the premium, a mark price near the last. `planted_edge_bps` adds a drift in one UTC hour that a learner can find;
`pure_noise` takes every habit away: independent, constant-volatility returns without drift, in which nothing can be found.
Same arguments, same market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.instrument import build_contract, room_ticks
from replay_data.interval import DAY_NS, HOUR_NS, MINUTE_NS, from_iso
from replay_data.prepare import Columns, prepare
from replay_data.tables import BracketTable, FilterRow
from simcore.domain.errors import DataError
from simcore.domain.records import FUNDING, MARK
from simcore.jit import kernel

MINUTES = 1440
LABEL = "synthetic market"
FUNDING_EVERY_NS = 8 * HOUR_NS
# Volumes lie on a grid of 12 % steps, so that the sample packs well.
VOLUME_GRID = np.array(sorted({round(1.12**power) for power in range(190)}), dtype=np.int64)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spec:
    """One synthetic contract: where its price starts, its grid, its daily volatility, its pull to the common factor."""

    symbol: str
    price: float
    tick_size: float
    step_size: float
    sigma_day: float
    beta: float
    usd_per_minute: float

    def filters(self, valid_ns: int) -> FilterRow:
        """Return filters like those of a real contract of this size."""
        most = float(f"{2e7 / self.price:.1g}")
        return FilterRow(self.symbol, valid_ns, self.tick_size, self.step_size, self.step_size, most, most / 10, 5.0, 0.05, 0.05)

    def brackets(self, valid_ns: int) -> BracketTable:
        """Return brackets like those of a mid-sized contract, the cums chained."""
        floors = (0.0, 1e4, 5e4, 2.5e5, 1e6, 5e6, 1e7)
        caps = (*floors[1:], 5e7)
        leverages = (50.0, 25.0, 20.0, 10.0, 5.0, 2.0, 1.0)
        rates = (0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5)
        rows, cum, below = [], 0.0, 0.0
        for floor, cap, leverage, rate in zip(floors, caps, leverages, rates, strict=True):
            cum += floor * (rate - below)
            below = rate
            rows.append((floor, cap, leverage, rate, round(cum, 6)))
        return BracketTable(self.symbol, valid_ns, tuple(rows))


SPECS = (
    Spec("SYNAUSDT", 612.0, 0.1, 0.001, 0.026, 0.85, 400e3),
    Spec("SYNBUSDT", 48.0, 0.01, 0.01, 0.030, 0.80, 250e3),
    Spec("SYNCUSDT", 7.5, 0.001, 0.1, 0.034, 0.75, 160e3),
    Spec("SYNDUSDT", 0.64, 0.0001, 1.0, 0.038, 0.70, 110e3),
    Spec("SYNEUSDT", 0.052, 0.00001, 1.0, 0.042, 0.65, 80e3),
    Spec("SYNFUSDT", 82.0, 0.01, 0.01, 0.030, 0.60, 60e3),
    Spec("SYNGUSDT", 5.4, 0.001, 0.1, 0.036, 0.50, 40e3),
    Spec("SYNHUSDT", 0.47, 0.0001, 1.0, 0.046, 0.35, 20e3),
)


@dataclass(frozen=True)
class Tape:
    """One symbol's market in integers: prices in ticks, volumes in lots, mark premium in 1e-7 an hour, rates in 1e-8."""

    spec: Spec
    open_ns: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    premium_e7: Ints
    rate_e8: Ints

    def columns(self) -> Columns:
        """Return float OHLCV columns, each price the nearest float to its decimal number."""
        places = round(-np.log10(self.spec.tick_size))
        volume = np.round(self.volume * self.spec.step_size, 3)
        o, h, low, c = (np.round(ticks * self.spec.tick_size, places) for ticks in (self.open, self.high, self.low, self.close))
        return Columns(self.open_ns, o, h, low, c, volume)

    def mark_prices(self) -> tuple[Ints, dict[str, Floats]]:
        """Return hourly mark bars: open times, and open, high, low, close."""
        hours = self.open_ns.size // 60
        minute = self.close[: hours * 60].reshape(hours, 60) * self.spec.tick_size
        factor = 1.0 + self.premium_e7 * 1e-7
        first = np.concatenate([self.open[:1] * self.spec.tick_size * factor[0], (minute[:, -1] * factor)[:-1]])
        last = minute[:, -1] * factor
        high, low = np.maximum(minute.max(axis=1) * factor, first), np.minimum(minute.min(axis=1) * factor, first)
        prices = {"open": first, "high": np.maximum(high, last), "low": np.minimum(low, last), "close": last}
        return self.open_ns[: hours * 60 : 60].copy(), {name: np.round(price, 8) for name, price in prices.items()}

    def settlements(self) -> Ints:
        """Return the funding times: every 8 hours from the first one after the start."""
        first = self.open_ns[0] - self.open_ns[0] % FUNDING_EVERY_NS + FUNDING_EVERY_NS
        return np.asarray(first + np.arange(self.rate_e8.size) * FUNDING_EVERY_NS, np.int64)


@dataclass(frozen=True)
class Market:
    """A synthetic market: one tape a symbol, and the arguments that made it."""

    tapes: tuple[Tape, ...]
    recipe: Mapping[str, Any]

    def frames(self) -> dict[str, Any]:
        """Return pandas DataFrames by symbol, ready for `from_frame`."""
        import pandas as pd

        frames = {}
        for tape in self.tapes:
            columns = tape.columns()
            index = pd.DatetimeIndex(columns.open_ns.astype("datetime64[ns]"), tz="UTC")
            names = ("open", "high", "low", "close", "volume")
            frames[tape.spec.symbol] = pd.DataFrame({name: getattr(columns, name) for name in names}, index=index)
        return frames

    def feed(self) -> Feed:
        """Return the market as a feed, labelled synthetic, with filters, brackets, marks and funding."""
        parts = [_symbol_rows(tape) for tape in self.tapes]
        said = ", ".join(f"{name} {value}" for name, value in self.recipe.items())
        return assemble(parts, LABEL, True, (f"{LABEL} ({said}): no real market",))


def _symbol_rows(tape: Tape) -> SymbolRows:
    spec, start_ns = tape.spec, int(tape.open_ns[0])
    made = prepare(tape.columns(), MINUTE_NS, spec.tick_size, spec.step_size, spec.symbol)
    times, prices = tape.mark_prices()
    marks = np.zeros(times.size, MARK)
    marks["ts_ns"], marks["span_ns"] = times + HOUR_NS, HOUR_NS
    for name, column in prices.items():
        marks[name] = column
    funding = np.zeros(tape.rate_e8.size, FUNDING)
    funding["ts_ns"], funding["rate_e8"], funding["interval_ns"] = tape.settlements(), tape.rate_e8, FUNDING_EVERY_NS
    filters = (spec.filters(start_ns),)
    contract = build_contract(
        spec.symbol,
        spec.tick_size,
        spec.step_size,
        MINUTE_NS,
        filters,
        spec.brackets(start_ns),
        room_ticks(made.bars, made.top_ticks),
    )
    return SymbolRows(spec.symbol, MINUTE_NS, made.bars, marks, funding, contract)


@kernel
def garch_nb(shocks, alpha, beta):  # type: ignore[no-untyped-def]
    """Scale unit shocks in place so that large ones are followed by large ones; the long-run variance stays 1."""
    variance = 1.0
    for i in range(shocks.size):
        shocks[i] *= np.sqrt(variance)
        variance = (1.0 - alpha - beta) + alpha * shocks[i] * shocks[i] + beta * variance


def make_market(
    seed: int = 1,
    days: int = 30,
    symbols: int | Sequence[Spec] = 8,
    start: str = "2025-01-01",
    planted_edge_bps: float = 0.0,
    edge_hour: int = 14,
    pure_noise: bool = False,
) -> Market:
    """Return a synthetic market of one-minute bars from `start` (UTC).

    symbols: how many of the eight standard contracts, or contracts of one's own. planted_edge_bps: the mean move of every
    symbol over the hour `edge_hour` of each day, in basis points. Raises DataError for arguments out of range.
    """
    specs = tuple(SPECS[:symbols] if isinstance(symbols, int) else symbols)
    if not (1 <= days <= 3650 and specs and 0 <= edge_hour <= 23):
        raise DataError(f"synthetic market: days {days}, symbols {symbols}, edge_hour {edge_hour}: one is out of range.")
    start_ns = from_iso(start) // DAY_NS * DAY_NS
    count = days * MINUTES
    rng = np.random.default_rng(seed)
    hour = np.arange(count) % MINUTES / 60.0
    busy = np.ones(count) if pure_noise else 1.0 + 0.35 * np.cos((hour - 14.5) * (2 * np.pi / 24))
    level = busy if pure_noise else busy * _regimes(rng, days)
    common = _shocks(rng, count, pure_noise)
    drift = np.where(hour.astype(np.int64) == edge_hour, planted_edge_bps * 1e-4 / 60.0, 0.0)
    tapes = [_tape(rng, spec, start_ns, common, level, drift, pure_noise) for spec in specs]
    recipe = {"seed": seed, "days": days, "planted_edge_bps": planted_edge_bps, "pure_noise": pure_noise}
    return Market(tuple(sorted(tapes, key=lambda tape: tape.spec.symbol)), recipe)


def _regimes(rng: np.random.Generator, days: int) -> Floats:
    """Return a volatility level a minute: calm, normal and wild days that stay a while."""
    states = np.empty(days, np.int64)
    state = 1
    for day in range(days):
        if rng.random() < 0.2:
            state = int(rng.integers(0, 3))
        states[day] = state
    return np.repeat(np.array([0.65, 0.95, 1.55])[states], MINUTES)


def _shocks(rng: np.random.Generator, count: int, pure_noise: bool) -> Floats:
    """Return unit shocks; unless pure noise, clustered and with a jump about every other day."""
    shocks = rng.standard_normal(count)
    if not pure_noise:
        garch_nb(shocks, 0.06, 0.93)
        jumps = rng.random(count) < 0.5 / MINUTES
        shocks[jumps] += rng.standard_normal(int(jumps.sum())) * 14.0
    return shocks


def _tape(
    rng: np.random.Generator, spec: Spec, start_ns: int, common: Floats, level: Floats, drift: Floats, pure_noise: bool
) -> Tape:
    count = common.size
    beta = 0.0 if pure_noise else spec.beta
    sigma = spec.sigma_day / np.sqrt(MINUTES) * level
    shocks = beta * common + np.sqrt(1.0 - beta * beta) * _shocks(rng, count, pure_noise)
    moves = np.clip(sigma * shocks, -0.2, 0.2)
    path = spec.price * np.exp(np.cumsum(moves + drift - 0.5 * sigma * sigma))
    close = np.maximum(np.rint(path / spec.tick_size).astype(np.int64), 10)
    before = np.concatenate([[max(10, round(spec.price / spec.tick_size))], close[:-1]])
    slip = np.where(rng.random(count) < 0.12, np.where(rng.random(count) < 0.5, 1, -1), 0)
    opens = before + slip
    high, low = _extremes(rng, opens, close, sigma * path / spec.tick_size)
    usual = spec.usd_per_minute / (spec.price * spec.step_size)
    heat = level * (0.6 + 0.4 * np.abs(shocks)) * np.exp(0.7 * rng.standard_normal(count) - 0.245)
    volume = VOLUME_GRID[np.minimum(np.searchsorted(VOLUME_GRID, usual * heat), VOLUME_GRID.size - 1)]
    hours, settled = count // 60, count // 480
    premium = _premium(rng, moves, hours, pure_noise)
    rate = np.clip(1e-4 + 0.5 * (premium.reshape(settled, 8).mean(axis=1)), -0.003, 0.003)
    rates = np.zeros(settled) if pure_noise else np.rint(rate * 1e8)
    open_ns = start_ns + np.arange(count, dtype=np.int64) * MINUTE_NS
    premium_e7 = np.clip(np.rint(premium * 1e7), -20_000, 20_000).astype(np.int64)
    return Tape(spec, open_ns, opens, high, low, close, volume, premium_e7, rates.astype(np.int64))


def _extremes(rng: np.random.Generator, opens: Ints, close: Ints, sigma_ticks: Floats) -> tuple[Ints, Ints]:
    """Return high and low of each minute: the extremes of a Brownian bridge from open to close."""
    body = (close - opens).astype(np.float64)
    spread = 2.0 * sigma_ticks * sigma_ticks
    up = (body + np.sqrt(body * body - spread * np.log1p(-rng.random(body.size)))) / 2.0
    down = (body - np.sqrt(body * body - spread * np.log1p(-rng.random(body.size)))) / 2.0
    high = opens + np.maximum(np.floor(up).astype(np.int64), np.maximum(close - opens, 0))
    low = opens + np.minimum(np.ceil(down).astype(np.int64), np.minimum(close - opens, 0))
    return high, np.maximum(low, 1)


def _premium(rng: np.random.Generator, moves: Floats, hours: int, pure_noise: bool) -> Floats:
    """Return the mark's premium an hour: noise that leans with the last hours' move."""
    noise = rng.standard_normal(hours) * 6e-5
    if pure_noise:
        return noise
    hourly = moves.reshape(hours, 60).sum(axis=1)
    lean = np.convolve(hourly, np.ones(24) / 24, "full")[:hours]
    return np.asarray(noise + 0.06 * lean)
