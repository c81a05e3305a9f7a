"""The trial drive: runs a strategy alone over prepared market rows, compiled or interpreted, without the engine.

The rows handed over at a step are all the strategy can see; its position follows its own wishes at the next bar's open,
at no cost. That is enough to test what a strategy may and may not do, and says nothing about profit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numba import types

from simcore.domain.records import MARKET, SIGNAL, SLEEVE
from simcore.jit import KERNEL_CACHE, compile_cached, flat
from simcore.strategy.abi import (
    BAR_FUNCTION,
    CROSS_FUNCTION,
    FLAT_MEMORY,
    MARKET_TYPE,
    SIGNAL_TYPE,
    SLEEVE_TYPE,
)
from simcore.strategy.rewrite import BOOK_KINDS

if TYPE_CHECKING:
    from simcore.strategy.definition import Strategy

NS_PER_S = 1_000_000_000
NS_PER_HOUR = 3600 * NS_PER_S
GRID = 2


@dataclass(frozen=True)
class History:
    """Market rows as a strategy meets them: MARKET[steps, symbols], row by closing time; `fresh` says whose bar closed."""

    rows: np.ndarray
    symbols: tuple[str, ...]

    @property
    def steps(self) -> int:
        """How many closing times there are."""
        return int(self.rows.shape[0])


def _follow(position: Any, signal: Any, market: Any) -> None:
    """Let the position follow the wish of the bar before, at this bar's open."""
    wish = signal["side"]
    if position["side"] != wish:
        if position["side"] != 0:
            position["exit_ns"] = market["open_ns"]
        position["side"] = wish
        position["bars_held"] = 0
        position["qty"] = 0.0 if wish == 0 else 1.0
        position["entry_price"] = 0.0 if wish == 0 else market["open"]
        position["entry_ns"] = 0 if wish == 0 else market["open_ns"]
    if position["side"] != 0:
        position["bars_held"] += 1


def _follow_compiled() -> Any:
    return compile_cached(_follow, types.void(SLEEVE_TYPE, SIGNAL_TYPE, MARKET_TYPE), KERNEL_CACHE)


follow_nb = _follow_compiled()


def drive_bar(function, rows, position, memory, param_base, memory_base, stride, signal, out):  # type: ignore[no-untyped-def]
    """Call a bar strategy for each symbol whose bar closed, in order of time; `out[step, symbol]` is the signal after it."""
    for t in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            if rows[t, i]["fresh"] == 1:
                follow_nb(position[i], signal[i], rows[t, i])
                function(rows[t, i], position[i], flat(memory), param_base, memory_base + i * stride, signal[i])
            out[t, i] = signal[i]


def drive_cross(function, rows, position, memory, param_base, memory_base, stride, signal, out):  # type: ignore[no-untyped-def]
    """Call a cross-section strategy once a closing time for all symbols."""
    n = rows.shape[1]
    for t in range(rows.shape[0]):
        for i in range(n):
            if rows[t, i]["fresh"] == 1:
                follow_nb(position[i], signal[i], rows[t, i])
        function(rows[t], position, flat(memory), param_base, memory_base, stride, signal, n)
        for i in range(n):
            out[t, i] = signal[i]


_I8 = types.int64


def _signature(function_type: Any) -> Any:
    grid = types.Array(MARKET_TYPE, GRID, "C")
    line = types.Array(SLEEVE_TYPE, 1, "C")
    wishes = types.Array(SIGNAL_TYPE, 1, "C")
    return types.void(function_type, grid, line, FLAT_MEMORY, _I8, _I8, _I8, wishes, types.Array(SIGNAL_TYPE, GRID, "C"))


@dataclass(frozen=True)
class Drive:
    """What a run left: SIGNAL[steps, symbols] after each step, and the flat memory at its end."""

    signals: np.ndarray
    memory: np.ndarray


def run(
    strategy: Strategy,
    history: History,
    params: Mapping[str, float] | None = None,
    *,
    interpreted: bool = False,
    steps: int | None = None,
) -> Drive:
    """Run `strategy` over the first `steps` steps of `history` and return its signals.

    Raises StrategyError with the author's line when the strategy itself raises.
    """
    from simcore.strategy.compile import trouble

    rows = history.rows[:steps]
    n = rows.shape[1]
    values, block = strategy.param_values(params), strategy.initial_memory(params)
    memory = np.concatenate([values, *([block] * n), np.zeros(1)])
    position, signal, out = np.zeros(n, SLEEVE), np.zeros(n, SIGNAL), np.zeros(rows.shape, SIGNAL)
    signal["strength"] = signal["bid_size"] = signal["ask_size"] = 1.0
    function = strategy.python if interpreted else strategy.compiled
    drive = _driver(strategy.on, interpreted)
    wrong: Literal["raise", "ignore"] = (
        "raise" if interpreted or function is strategy.python else "ignore"
    )  # as compiled code does
    try:
        with np.errstate(divide=wrong, invalid=wrong, over="ignore", under="ignore"):
            drive(function, rows, position, memory, 0, len(values), len(block), signal, out)
    except Exception as error:  # noqa: BLE001 - the author's own code raised: say where, which compiled code cannot
        if not interpreted:
            run(strategy, history, params, interpreted=True, steps=steps)
        raise trouble(strategy, error) from None
    return Drive(out, memory)


_DRIVERS: dict[str, Any] = {}


def _driver(on: str, interpreted: bool) -> Any:
    across = on == "cross"
    plain = drive_cross if across else drive_bar
    if interpreted:
        return plain
    if plain.__name__ not in _DRIVERS:
        kind = CROSS_FUNCTION if across else BAR_FUNCTION
        _DRIVERS[plain.__name__] = compile_cached(plain, _signature(kind), KERNEL_CACHE)
    return _DRIVERS[plain.__name__]


def random_walk(symbols: int = 1, bars: int = 200, seed: int = 7, interval_s: int = 3600) -> History:
    """Return a seeded random market: correlated returns with clustered volatility, mark prices, funding every eight hours."""
    rng = np.random.default_rng(seed)
    columns = []
    shared = rng.standard_normal(bars)
    for i in range(symbols):
        sigma = 0.01 * np.exp(0.5 * np.sin(np.arange(bars) / 37.0 + i) + 0.3 * rng.standard_normal(bars))
        close = 100.0 * 10.0 ** (i % 4) * np.exp(np.cumsum(sigma * (0.6 * shared + 0.8 * rng.standard_normal(bars))))
        opened = np.concatenate([[close[0]], close[:-1]]) * np.exp(0.0005 * rng.standard_normal(bars))
        spread = np.exp(np.abs(sigma * rng.standard_normal(bars)))
        columns.append(
            {
                "open": opened,
                "high": np.maximum(opened, close) * spread,
                "low": np.minimum(opened, close) / spread,
                "close": close,
                "volume": 1_000.0 * np.exp(rng.standard_normal(bars)),
                "rate": 0.0001 + 0.0004 * rng.standard_normal(bars),
            }
        )
    open_ns = 1_704_067_200 * NS_PER_S + np.arange(bars, dtype=np.int64) * interval_s * NS_PER_S
    return from_columns([f"W{i}" for i in range(symbols)], [open_ns] * symbols, columns, [interval_s * NS_PER_S] * symbols)


def book_walk(on: str, symbols: int = 1, steps: int = 200, seed: int = 7, every_ns: int = 100_000_000) -> History:
    """Return a seeded random order book looked at each `every_ns`; `fresh` marks the looks at which a strategy on `on` is called."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((steps, symbols), MARKET)
    ts_ns = 1_704_067_200 * NS_PER_S + np.arange(1, steps + 1, dtype=np.int64) * every_ns
    for i in range(symbols):
        own, tick = rows[:, i], 0.1
        moves = rng.choice((-1, 0, 0, 0, 1), size=steps)
        own["bid_ticks"] = 10_000 * (i + 1) + np.cumsum(moves)
        own["ask_ticks"] = own["bid_ticks"] + rng.choice((1, 1, 1, 2, 3), size=steps)
        own["bid"], own["ask"] = own["bid_ticks"] * tick, own["ask_ticks"] * tick
        own["close"] = 0.5 * (own["bid"] + own["ask"])
        own["close_ticks"] = (own["bid_ticks"] + own["ask_ticks"]) // 2
        for name in ("bid_qty", "ask_qty", "bid_depth", "ask_depth"):
            own[name] = np.round(np.exp(rng.standard_normal(steps)), 3) + (5.0 if name.endswith("depth") else 0.001)
        own["n_trades"] = rng.poisson(0.7, size=steps)
        own["buy_qty"] = np.round(rng.random(steps), 3) * (own["n_trades"] > 0)
        own["sell_qty"] = np.round(rng.random(steps), 3) * (own["n_trades"] > 1)
        own["volume"] = own["buy_qty"] + own["sell_qty"]
        own["spread_bps"] = (own["ask"] - own["bid"]) / own["close"] * 1e4
        own["touch_moved"] = 1 - (rng.random(steps) < 0.3)
        for name in ("open", "high", "low", "mark", "last"):
            own[name] = own["close"]
        own["symbol"], own["ts_ns"], own["open_ns"], own["interval_ns"] = i, ts_ns, ts_ns, every_ns
        own["hour"] = ts_ns // NS_PER_HOUR % 24
        own["bars"] = own["bars_since_gap"] = np.arange(1, steps + 1)
        own["sigma_day"], own["volume_day"], own["funding_rate"] = 0.03, 1e5, np.nan
        own["book_ok"] = 1
        own["fresh"] = own["touch_moved"] if on == "book" else own["n_trades"] > 0 if on == "trade" else 1
    return History(rows, tuple(f"W{i}" for i in range(symbols)))


def trial_history(on: str, symbols: int, steps: int, every_ns: int = 0) -> History:
    """Return a random market of the kind that a strategy on `on` follows: bars, or order books."""
    if on in BOOK_KINDS:
        return book_walk(on, symbols, steps, every_ns=every_ns or 100_000_000)
    return random_walk(symbols, steps)


def from_columns(
    symbols: list[str], open_ns: list[np.ndarray], columns: list[dict[str, np.ndarray]], interval_ns: list[int]
) -> History:
    """Return the history of several symbols' bars, each row holding only what was known when its bar closed.

    Columns: open, high, low, close, volume; optional mark, mark_ts_ns, rate, rate_ts_ns, rate_interval_ns, sigma_day,
    volume_day and close_ticks, aligned with the bars. `rate` alone is a rate settled each eight hours.
    """
    every = np.unique(np.concatenate([t + d for t, d in zip(open_ns, interval_ns, strict=True)]))
    rows = np.zeros((len(every), len(symbols)), MARKET)
    for i, (opened, data, step) in enumerate(zip(open_ns, columns, interval_ns, strict=True)):
        own = _symbol_rows(i, opened, data, step)
        at = np.searchsorted(own["ts_ns"], every, side="right") - 1
        known = at >= 0
        rows[known, i] = own[at[known]]
        rows[~known, i] = _unknown(i, step)
        rows["fresh"][:, i] = np.isin(every, own["ts_ns"])
    return History(rows, tuple(symbols))


def _symbol_rows(index: int, opened: np.ndarray, data: Mapping[str, np.ndarray], step: int) -> np.ndarray:
    n = len(opened)
    own = np.zeros(n, MARKET)
    own["symbol"], own["interval_ns"], own["open_ns"], own["ts_ns"] = index, step, opened, opened + step
    own["bars"] = np.arange(1, n + 1)
    own["hour"] = own["ts_ns"] // NS_PER_HOUR % 24
    missing = np.concatenate([[0], (np.diff(opened) - step) // step])
    own["gap_bars"] = missing
    since = np.where(missing > 0, np.arange(n), 0)
    own["bars_since_gap"] = np.arange(1, n + 1) - np.maximum.accumulate(since)
    for name in ("open", "high", "low", "close", "volume"):
        own[name] = data[name]
    for name in ("mark", "sigma_day", "volume_day", "close_ticks", "mark_ts_ns"):
        own[name] = data.get(name, np.nan if MARKET[name].kind == "f" else 0)
    own["spread_bps"] = 2.0
    if "rate" in data:
        _put_funding(own, data)
    else:
        own["funding_rate"] = np.nan
    return own


def _put_funding(own: np.ndarray, data: Mapping[str, np.ndarray]) -> None:
    if "rate_ts_ns" in data:
        own["funding_rate"], own["funding_ts_ns"] = data["rate"], data["rate_ts_ns"]
        own["funding_interval_ns"] = data["rate_interval_ns"]
        return
    span = 8 * NS_PER_HOUR
    own["funding_ts_ns"] = own["ts_ns"] // span * span
    own["funding_interval_ns"] = span
    first = np.searchsorted(own["ts_ns"], own["funding_ts_ns"], side="left")
    own["funding_rate"] = data["rate"][first]


def _unknown(index: int, step: int) -> Any:
    row = np.zeros(1, MARKET)
    for name in MARKET.names or ():
        if MARKET[name].kind == "f":
            row[name] = np.nan
    row["symbol"], row["interval_ns"] = index, step
    return row[0]
