"""Expectancy: what a trade of a (symbol, hour, regime) has brought, and how much of that is to be believed.

Few trades say little: with a standard deviation of 1 R and true differences of 0.05 R a bucket needs 400 trades to deserve
half its own mean. So a bucket is drawn to its symbol and the symbol to all symbols, by tau² of DerSimonian and Laird at either
step (MODELS §9), after the neighbouring hours lent some of their trades. tau² is taken from the buckets before that lending,
because lent trades make buckets alike.

Every result is kept on a fixed grid (1e-8 quote, 1e-4 bps, 1e-6 R) and summed in integers: two tables merge exactly, and the
order of trades does not exist.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from replay_data.storage import write_atomic
from simcore.config import load_config
from simcore.config.learning import Expectancy, Learning
from simcore.domain.errors import DataError
from simcore.learning.intervals import central_z
from simcore.learning.shrinkage import dersimonian_laird, random_effects_mean, shrink
from simcore.learning.trades import HOURS, REGIMES, TradeTable, trade_table

VERSION = 1
Key = tuple[str, int, str]
SHAPE = (HOURS, len(REGIMES))

USD_GRID, BPS_GRID, R_GRID = 100_000_000, 10_000, 1_000_000
MOST_STEPS = 3_000_000_000  # 300,000 bps or 3,000 R: beyond it a single trade is taken as this large, so that its square fits
HALF = 1 << 32

# Sums a bucket keeps, all integers: of a trade's result in steps of its grid, and of its square.
SUMS = (
    "n", "wins", "net_usd", "net_bps", "net_bps_sq", "gross_bps", "gross_bps_sq", "fee_bps", "slippage_bps", "funding_bps",
    "n_r", "r", "r_sq",
)  # fmt: skip


class Metrics(TypedDict):
    """What is known of a bucket, or of a symbol. None where no trade says anything (R without stops, sd of one trade).

    pnl_usd, net_bps, gross_bps, fee_bps, slippage_bps, funding_bps, r: means a trade; costs are positive. sd: of single trades.
    *_shrunk, *_posterior_sd, *_lower: after pooling and shrinking; lower is the low end of the central interval.
    n_pooled: trades that speak for the mean, neighbours included. weight: of the bucket's own pooled mean.
    """

    n: int
    wins: int
    win_rate: float
    pnl_usd: float
    net_bps: float
    net_bps_sd: float | None
    gross_bps: float
    gross_bps_sd: float | None
    fee_bps: float
    slippage_bps: float
    funding_bps: float
    n_r: int
    r: float | None
    r_sd: float | None
    n_pooled: float
    weight: float
    net_bps_shrunk: float
    net_bps_posterior_sd: float
    net_bps_lower: float
    gross_bps_shrunk: float
    r_shrunk: float | None
    r_posterior_sd: float | None
    r_lower: float | None
    last_exit_ns: int
    sums: dict[str, int]


@cache
def packaged() -> Learning:
    """Return learning.json of the packaged config, for calls that name no settings."""
    learning: Learning = load_config().learning
    return learning


# ------------------------------------------------------------ sums


@dataclass(frozen=True)
class Sums:
    """Exact sums by symbol, hour and regime: one array [symbols, 24, 4] of Python integers a name, and the latest exit."""

    symbols: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    last_exit_ns: np.ndarray


def steps_of(values: np.ndarray, grid: int) -> np.ndarray:
    """Return results in whole steps of a grid, none larger than the largest whose square fits."""
    return np.clip(np.rint(values * grid), -MOST_STEPS, MOST_STEPS).astype(np.int64)


def tabulate(trades: TradeTable) -> Sums:
    """Return the exact sums of the trades; symbols go by name, whatever their order in the table."""
    symbols = tuple(sorted(trades.symbols))
    rows = trades.rows
    place = np.array([symbols.index(name) for name in trades.symbols], np.int64)
    cell = (place[rows["symbol"]] * HOURS + rows["hour"]) * len(REGIMES) + rows["regime"] if len(rows) else np.zeros(0, np.int64)
    cells = len(symbols) * HOURS * len(REGIMES)
    order = np.argsort(cell, kind="stable")
    cell, rows = cell[order], rows[order]
    present, first = np.unique(cell, return_index=True)

    def per_cell(whole: np.ndarray) -> np.ndarray:
        full = np.zeros(cells, object)
        full[:] = 0
        if len(whole):
            full[present] = np.add.reduceat(whole, first).astype(object)
        return full.reshape(len(symbols), *SHAPE)

    def squares(whole: np.ndarray) -> np.ndarray:
        square = whole * whole
        return per_cell(square // HALF) * HALF + per_cell(square % HALF)

    stopped = np.isfinite(rows["r"])
    in_steps = {name: steps_of(rows[name], BPS_GRID) for name in ("net_bps", "gross_bps", "fee_bps", "slippage_bps", "funding_bps")}
    in_steps["r"] = steps_of(np.where(stopped, rows["r"], 0.0), R_GRID)
    in_steps["net_usd"] = np.rint(rows["net_usd"] * USD_GRID).astype(np.int64)
    in_steps |= {"n": np.ones(len(rows), np.int64), "wins": (in_steps["net_usd"] > 0).astype(np.int64), "n_r": stopped.astype(np.int64)}
    values = {name: per_cell(in_steps[name]) for name in SUMS if not name.endswith("_sq")}
    values |= {name: squares(in_steps[name.removesuffix("_sq")]) for name in SUMS if name.endswith("_sq")}
    last = np.zeros(cells, np.int64)
    if len(rows):
        last[present] = np.maximum.reduceat(rows["exit_ns"], first)
    return Sums(symbols, values, last.reshape(len(symbols), *SHAPE))


def sums_of(expectancy: Mapping[Key, Metrics]) -> Sums:
    """Return the exact sums that an expectancy table carries."""
    symbols = tuple(sorted({symbol for symbol, _, _ in expectancy}))
    values = {name: np.zeros((len(symbols), *SHAPE), object) for name in SUMS}
    last = np.zeros((len(symbols), *SHAPE), np.int64)
    for (symbol, hour, regime), metrics in expectancy.items():
        at = symbols.index(symbol), hour, REGIMES.index(regime)
        for name in SUMS:
            values[name][at] = metrics["sums"][name]
        last[at] = metrics["last_exit_ns"]
    return Sums(symbols, values, last)


def summed(sums: Sums) -> Sums:
    """Return the sums with hours and regimes put together: shape [symbols, 1, 1]."""
    axes = (1, 2)
    values = {name: value.sum(axis=axes, keepdims=True) for name, value in sums.values.items()}
    return Sums(sums.symbols, values, sums.last_exit_ns.max(axis=axes, keepdims=True, initial=0))


# ------------------------------------------------------------ means and shrinkage


def counts(sums: Sums, name: str) -> np.ndarray:
    """Return how many trades stand behind a result, as floats."""
    return np.asarray(sums.values["n_r" if name == "r" else "n"], float)


def mean_of(sums: Sums, name: str, grid: int = BPS_GRID) -> np.ndarray:
    """Return the mean of a result in its own unit, NaN where there is none."""
    n, total = counts(sums, name), np.asarray(sums.values[name], float)
    return np.divide(total, n * grid, out=np.full(n.shape, np.nan), where=n > 0)


def variance_of(sums: Sums, name: str, grid: int = BPS_GRID) -> np.ndarray:
    """Return the sample variance (n - 1) of a result in its own unit, NaN below two trades; integers cancel exactly."""
    n, total, square = sums.values["n_r" if name == "r" else "n"], sums.values[name], sums.values[f"{name}_sq"]
    spread = np.asarray(n * square - total * total, float)
    pairs = np.asarray(n * (n - 1), float)
    return np.divide(spread, pairs * (float(grid) * grid), out=np.full(pairs.shape, np.nan), where=pairs > 0)


@dataclass(frozen=True)
class Estimate:
    """A result after pooling and shrinking: arrays [symbols, 24, 4] of the buckets, [symbols] of the symbols."""

    mean: np.ndarray
    sd: np.ndarray
    weight: np.ndarray
    n_pooled: np.ndarray
    symbol_mean: np.ndarray
    symbol_sd: np.ndarray
    symbol_weight: np.ndarray
    tau2_bucket: float
    tau2_symbol: float


def pooled_variance(own: np.ndarray, n: np.ndarray, wider: np.ndarray, prior: float, least_sd: float) -> np.ndarray:
    """Return the variance of a single trade: the sample's own with `prior` trades' worth of the wider scope's."""
    freedom = np.maximum(n - 1.0, 0.0)
    spread = np.where(freedom > 0.0, np.nan_to_num(own) * freedom, 0.0) + prior * wider
    whole = freedom + prior
    return np.maximum(np.divide(spread, whole, out=np.broadcast_to(wider, whole.shape).copy(), where=whole > 0.0), least_sd**2)


def estimate(sums: Sums, name: str, settings: Expectancy) -> Estimate:
    """Return the shrunk means of one result (`net_bps`, `gross_bps` or `r`) for every bucket and symbol with any trade."""
    grid, least = (R_GRID, settings.min_sd_r) if name == "r" else (BPS_GRID, settings.min_sd_bps)
    whole = summed(sums)
    n, n_symbol = counts(sums, name), counts(whole, name).reshape(-1)
    mean, symbol_mean = mean_of(sums, name, grid), mean_of(whole, name, grid).reshape(-1)
    # One trade's variance, from all trades down to the bucket; each scope leans on the next wider one.
    own_symbol = variance_of(whole, name, grid).reshape(-1)
    freedom = np.maximum(n_symbol - 1.0, 0.0)
    within = math.fsum(np.where(freedom > 0.0, np.nan_to_num(own_symbol) * freedom, 0.0))
    everywhere = np.array(within / freedom.sum() if freedom.sum() > 0.0 else 0.0)
    symbol_variance = pooled_variance(own_symbol, n_symbol, everywhere, settings.sd_prior_trades, least)
    variance = pooled_variance(variance_of(sums, name, grid), n, symbol_variance[:, None, None], settings.sd_prior_trades, least)

    traded = n_symbol > 0
    spread = np.divide(symbol_variance, n_symbol, out=np.full(n_symbol.shape, np.inf), where=traded)
    tau2_symbol = dersimonian_laird(symbol_mean[traded], spread[traded])
    parent, parent_variance = random_effects_mean(symbol_mean[traded], spread[traded], tau2_symbol) if traded.any() else (np.nan, 0.0)
    upper, upper_weight, upper_sd = shrink(symbol_mean, spread, parent, tau2_symbol, parent_variance)

    full = n > 0
    raw = variance[full] / n[full]
    tau2 = dersimonian_laird(mean[full], raw, np.nonzero(full)[0])
    pooled, pooled_spread = pool_hours(np.nan_to_num(mean), variance, n, settings.hour_pool_weight)
    shrunk, weight, sd = shrink(pooled, pooled_spread, upper[:, None, None], tau2, (upper_sd**2)[:, None, None])
    n_pooled = np.where(np.isfinite(pooled_spread), variance / pooled_spread, 0.0)
    return Estimate(shrunk, sd, weight, n_pooled, upper, upper_sd, upper_weight, tau2, tau2_symbol)


def pool_hours(mean: np.ndarray, variance: np.ndarray, n: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, variance of that mean) with trades of the hours before and after counting `share`; 23 neighbours 0.

    Axis 1 is the hour. Where there is no trade in all three hours the variance is infinite.
    """
    around = ((0, 1.0), (1, share), (-1, share))
    weight = sum(part * np.roll(n, shift, axis=1) for shift, part in around)
    total = sum(part * np.roll(n * mean, shift, axis=1) for shift, part in around)
    spread = sum(part * part * np.roll(n * variance, shift, axis=1) for shift, part in around)
    some = np.asarray(weight) > 0.0
    pooled = np.divide(total, weight, out=np.zeros(n.shape), where=some)
    return pooled, np.divide(spread, np.asarray(weight) ** 2, out=np.full(n.shape, np.inf), where=some)


# ------------------------------------------------------------ tables


def build_expectancy(trades: Any, settings: Expectancy | None = None) -> dict[Key, Metrics]:
    """Return what trades brought by (symbol, UTC hour of the entry decision, regime), a bucket without trades being absent.

    trades: anything `trade_table` reads. settings: the `expectancy` section of learning.json; without it, the packaged one.
    Filter with `closed_before` first: this function reads every trade it is given.
    """
    return table_of(tabulate(trade_table(trades)), settings)


def merge_expectancy(*tables: Mapping[Key, Metrics], settings: Expectancy | None = None) -> dict[Key, Metrics]:
    """Return the table of all trades behind several tables: to the last bit what `build_expectancy` says of them together."""
    symbols = tuple(sorted({symbol for table in tables for symbol, _, _ in table}))
    values = {name: np.zeros((len(symbols), *SHAPE), object) for name in SUMS}
    last = np.zeros((len(symbols), *SHAPE), np.int64)
    for table in tables:
        part = sums_of(table)
        rows = [symbols.index(symbol) for symbol in part.symbols]
        for name in SUMS:
            values[name][rows] += part.values[name]
        last[rows] = np.maximum(last[rows], part.last_exit_ns)
    return table_of(Sums(symbols, values, last), settings)


def table_of(sums: Sums, settings: Expectancy | None = None) -> dict[Key, Metrics]:
    """Return the metrics of every bucket that has trades, in the order of the keys."""
    rules = settings or packaged().expectancy
    full = np.argwhere(np.asarray(sums.values["n"], np.int64) > 0)
    if not len(full):
        return {}
    net, gross, r = (estimate(sums, name, rules) for name in ("net_bps", "gross_bps", "r"))
    found = {}
    for at in map(tuple, full):
        key = sums.symbols[at[0]], int(at[1]), REGIMES[at[2]]
        found[key] = metrics_of(sums, at, rules, *((each.mean, each.sd, each.weight, each.n_pooled) for each in (net, gross, r)))
    return dict(sorted(found.items()))


def symbol_expectancy(expectancy: Mapping[Key, Metrics], settings: Expectancy | None = None) -> dict[str, Metrics]:
    """Return the metrics of every symbol over all its hours and regimes, drawn to all symbols: what scores are made of."""
    return symbols_of(sums_of(expectancy), settings)


def symbols_of(sums: Sums, settings: Expectancy | None = None) -> dict[str, Metrics]:
    """Return the metrics of every symbol that has trades, from exact sums by bucket."""
    rules = settings or packaged().expectancy
    whole = summed(sums)
    n = counts(whole, "net_bps").reshape(-1)
    if not n.any():
        return {}
    parts = []
    for name in ("net_bps", "gross_bps", "r"):
        each = estimate(sums, name, rules)
        shape = (-1, 1, 1)
        pooled = counts(whole, name)
        parts.append((each.symbol_mean.reshape(shape), each.symbol_sd.reshape(shape), each.symbol_weight.reshape(shape), pooled))
    return {symbol: metrics_of(whole, (i, 0, 0), rules, *parts) for i, symbol in enumerate(sums.symbols) if n[i] > 0}


Shrunk = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def metrics_of(sums: Sums, at: tuple[int, ...], rules: Expectancy, net: Shrunk, gross: Shrunk, r: Shrunk) -> Metrics:
    """Return one cell of the sums and of its estimates (mean, sd, weight, trades that speak for it) as plain values."""
    own = {name: int(sums.values[name][at]) for name in SUMS}
    n, z = own["n"], central_z(rules.lower_bound_confidence)

    def mean(name: str, grid: int = BPS_GRID) -> float:
        return own[name] / (n * grid)

    def sd(name: str, count: int, grid: int = BPS_GRID) -> float | None:
        if count < 2:
            return None
        return math.sqrt((count * own[f"{name}_sq"] - own[name] ** 2) / (count * (count - 1))) / grid

    n_r = own["n_r"]
    r_mean, r_sd = float(r[0][at]), float(r[1][at])
    known = n_r > 0
    return Metrics(
        n=n,
        wins=own["wins"],
        win_rate=own["wins"] / n,
        pnl_usd=mean("net_usd", USD_GRID),
        net_bps=mean("net_bps"),
        net_bps_sd=sd("net_bps", n),
        gross_bps=mean("gross_bps"),
        gross_bps_sd=sd("gross_bps", n),
        fee_bps=mean("fee_bps"),
        slippage_bps=mean("slippage_bps"),
        funding_bps=mean("funding_bps"),
        n_r=n_r,
        r=own["r"] / (n_r * R_GRID) if known else None,
        r_sd=sd("r", n_r, R_GRID),
        n_pooled=float(net[3][at]),
        weight=float(net[2][at]),
        net_bps_shrunk=float(net[0][at]),
        net_bps_posterior_sd=float(net[1][at]),
        net_bps_lower=float(net[0][at] - z * net[1][at]),
        gross_bps_shrunk=float(gross[0][at]),
        r_shrunk=r_mean if known else None,
        r_posterior_sd=r_sd if known else None,
        r_lower=r_mean - z * r_sd if known else None,
        last_exit_ns=int(sums.last_exit_ns[at]),
        sums=own,
    )


# ------------------------------------------------------------ files


def save_expectancy(expectancy: Mapping[Key, Metrics], path: str | Path) -> None:
    """Write a table as JSON, whole or not at all; `load_expectancy` returns exactly what was saved."""
    text = json.dumps(content_of(expectancy), indent=1, allow_nan=False) + "\n"
    write_atomic(Path(path), lambda stream: stream.write(text.encode()))


def content_of(expectancy: Mapping[Key, Metrics]) -> dict[str, Any]:
    """Return a table as the plain values that its file holds, one object a bucket, with their hash."""
    buckets = [{"symbol": key[0], "hour": key[1], "regime": key[2], **metrics} for key, metrics in sorted(expectancy.items())]
    return {"format": "simcore expectancy", "version": VERSION, "hash": hash_of(buckets), "buckets": buckets}


def hash_of(content: Any) -> str:
    """Return the sha256 of plain values in canonical form."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def load_expectancy(path: str | Path) -> dict[Key, Metrics]:
    """Read a saved table back. Raises DataError naming what is wrong with the file, and where."""
    where = Path(path)
    content = read_object(where, "Save one with save_expectancy(table, path).")
    if content.get("format") != "simcore expectancy":
        raise DataError(f"{where}: is no expectancy table. Save one with save_expectancy(table, path).")
    if content.get("version") != VERSION:
        raise DataError(f"{where}: version {content.get('version')!r} cannot be read, only {VERSION}. Build the table anew.")
    buckets = content.get("buckets")
    if not isinstance(buckets, list) or content.get("hash") != hash_of(buckets):
        raise DataError(f"{where}: its content does not match its hash: it was cut or edited. Build the table anew.")
    return {key_of(each, at, where): metrics_from(each, at, where) for at, each in enumerate(buckets)}


def read_object(where: Path, hint: str) -> dict[str, Any]:
    """Return the JSON object of a file. Raises DataError when there is none."""
    try:
        content = json.loads(where.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{where}: no such file. {hint}") from None
    except (OSError, ValueError, RecursionError) as trouble:
        raise DataError(f"{where}: cannot be read as JSON ({trouble}). {hint}") from None
    if not isinstance(content, dict):
        raise DataError(f"{where}: must hold one object in braces. {hint}")
    return content


def key_of(bucket: Any, at: int, where: Path) -> Key:
    """Return a saved bucket's key."""
    symbol, hour, regime = (bucket.get(name) if isinstance(bucket, dict) else None for name in ("symbol", "hour", "regime"))
    if not isinstance(symbol, str) or not isinstance(hour, int) or not 0 <= hour < HOURS or regime not in REGIMES:
        raise DataError(f"{where}: buckets.{at}: no bucket is called {symbol!r}, {hour!r}, {regime!r}. Build the table anew.")
    return symbol, hour, str(regime)


def metrics_from(bucket: Mapping[str, Any], at: int, where: Path) -> Metrics:
    """Return a saved bucket's metrics."""
    wanted: Iterable[str] = Metrics.__annotations__
    missing = [name for name in wanted if name not in bucket]
    if missing or set(bucket["sums"]) != set(SUMS):
        raise DataError(f"{where}: buckets.{at}: lacks {', '.join(missing) or 'some of its sums'}. Build the table anew.")
    return Metrics(**{name: bucket[name] for name in wanted})  # type: ignore[typeddict-item]
