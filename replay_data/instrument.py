"""Instruments of a run: the INSTRUMENT row of a symbol, in the run's own ticks and lots."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from replay_data.tables import BracketTable, FilterRow, Tables
from simcore.domain.errors import DataError
from simcore.domain.records import FILTER, INSTRUMENT, MAX_BRACKETS

# Longest first: BTCUSDT ends on USDT, not on a coin called T.
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD1", "TUSD", "BTC", "ETH", "BNB", "USD", "EUR")
E8 = 100_000_000
LIQUIDATION_FEE_E8 = 1_250_000
NO_BAND_PCT = 1e9
NOTIONAL_ROOM = 1 << 62
RISE_ROOM = 100
MOST_LOTS = 10**12

# Stricter than any bracket table seen: used, with a caveat, for a symbol that no table knows.
ASSUMED_BRACKETS = (
    (0.0, 20.0, 0.025),
    (25e3, 10.0, 0.05),
    (100e3, 5.0, 0.1),
    (250e3, 3.0, 0.125),
    (1e6, 2.0, 0.25),
    (5e6, 1.0, 0.5),
)


@dataclass(frozen=True)
class Contract:
    """What one symbol brings to a run: its INSTRUMENT row, its later FILTER rows, and what was assumed."""

    row: np.ndarray
    filters: np.ndarray
    quote: str
    notes: tuple[str, ...]


def quote_of(symbol: str) -> str:
    """Return the quote asset a symbol is named after; USDT where the name does not say.

    >>> quote_of("BTCUSDT"), quote_of("ETHBTC"), quote_of("AAPL")
    ('USDT', 'BTC', 'USDT')
    """
    return next((quote for quote in QUOTES if symbol.endswith(quote) and symbol != quote), "USDT")


def unit_e8(symbol: str, tick_size: float, step_size: float) -> int:
    """Return the value of one tick of one lot in 1e-8 quote units; DataError where it is no whole number."""
    value = tick_size * step_size * E8
    unit = round(value)
    if unit < 1 or abs(value - unit) > 1e-6 * value:
        raise DataError(
            f"{symbol}: one tick ({tick_size:g}) of one step ({step_size:g}) is {value:g} units of 1e-8; it must be a whole "
            f"number of at least 1. Pass a coarser tick_size or step_size."
        )
    return unit


def common_grid(sizes: list[float]) -> float:
    """Return the largest size that every given tick or step is a multiple of.

    >>> common_grid([0.1, 0.01]), common_grid([0.025, 0.01])
    (0.01, 0.005)
    """
    whole = [round(size * 1e12) for size in sizes]
    return float(f"{gcd(*whole) / 1e12:.12g}")


def room_ticks(bars: np.ndarray, top_ticks: int) -> int:
    """Return the price the books must have room for: a hundredfold the first open, or the top of the tape beyond that.

    The first open alone decides wherever prices do not rise a hundredfold, so that later bars change no quantity limit.
    """
    return max(RISE_ROOM * int(bars["open_ticks"][0]), int(top_ticks))


def build_contract(
    symbol: str,
    tick_size: float,
    step_size: float,
    interval_ns: int,
    filters: tuple[FilterRow, ...],
    brackets: BracketTable | None,
    room: int,
) -> Contract:
    """Return the contract of `symbol` with the first of `filters` in force and the later ones as FILTER rows.

    Ticks and steps of `filters` must be multiples of the run's. `room` is the price in ticks (`room_ticks`) at which the
    largest order must still fit int64; larger quantities are cut to that. Fees, tier, leverage and half spread
    are left 0 for the replay to fill from its config.
    """
    row = np.zeros(1, INSTRUMENT)
    one = row[0]
    unit = unit_e8(symbol, tick_size, step_size)
    one["unit_e8"], one["tick_size"], one["step_size"] = unit, tick_size, step_size
    one["interval_ns"], one["trading"], one["liquidation_fee_e8"] = interval_ns, 1, LIQUIDATION_FEE_E8
    most = min(MOST_LOTS, max(1, NOTIONAL_ROOM // (max(1, room) * unit)))
    notes: list[str] = []
    dated = np.zeros(max(1, len(filters)), FILTER)
    if filters:
        for at, source in enumerate(filters):
            _fill_filter(dated[at], source, tick_size, step_size, most)
    else:
        notes.append(f"{symbol}: no exchange filters known; smallest order 1 step and 5 quote units, no price band")
        _fill_free(dated[0], most)
    for name in FILTER.names or ():
        if name != "ts_ns":
            one[name] = dated[0][name]
    _fill_brackets(one, brackets)
    if brackets is None:
        notes.append(f"{symbol}: no leverage brackets known; assumed 20x at 2.5 % maintenance, down to 1x at 50 %")
    return Contract(row, dated[1:].copy(), quote_of(symbol), tuple(notes))


def _fill_filter(out: np.void, source: FilterRow, tick_size: float, step_size: float, most: int) -> None:
    out["ts_ns"] = source.valid_ns
    out["price_filter_ticks"] = max(1, round(source.tick_size / tick_size))
    out["lot_filter_lots"] = max(1, round(source.step_size / step_size))
    out["min_qty_lots"] = max(1, round(source.min_qty / step_size))
    out["max_qty_lots"] = min(most, round(source.max_qty / step_size))
    out["max_market_qty_lots"] = min(most, round(source.max_market_qty / step_size))
    out["min_notional_e8"] = round(source.min_notional * E8)
    out["price_band_up_pct"] = source.price_band_up_pct
    out["price_band_down_pct"] = source.price_band_down_pct


def _fill_free(out: np.void, most: int) -> None:
    out["price_filter_ticks"] = out["lot_filter_lots"] = out["min_qty_lots"] = 1
    out["max_qty_lots"] = out["max_market_qty_lots"] = most
    out["min_notional_e8"] = 5 * E8
    out["price_band_up_pct"], out["price_band_down_pct"] = NO_BAND_PCT, 1.0


def _fill_brackets(one: np.void, table: BracketTable | None) -> None:
    rows = [(r[0], r[2], r[3]) for r in table.rows] if table else list(ASSUMED_BRACKETS)
    one["n_brackets"] = min(len(rows), MAX_BRACKETS)
    cum, rate_below = 0.0, 0.0
    for at, (floor, leverage, rate) in enumerate(rows[:MAX_BRACKETS]):
        cum += floor * (rate - rate_below)
        rate_below = rate
        one["bracket_floor"][at], one["bracket_leverage"][at], one["bracket_mmr"][at] = floor, leverage, rate
        one["bracket_cum"][at] = table.rows[at][4] if table else cum


def contract_for(
    symbol: str, tick_size: float, step_size: float, interval_ns: int, window_ns: tuple[int, int], room: int, tables: Tables
) -> Contract:
    """Return the contract of `symbol` over a window, from dated tables."""
    filters = tables.filters_over(symbol, *window_ns)
    return build_contract(symbol, tick_size, step_size, interval_ns, filters, tables.brackets_at(symbol, window_ns[0]), room)
