"""Small worlds: seeded feeds, configs and strategies for tests of the whole engine, tiny and quick.

`make_feed` draws several symbols with gaps, marks, funding and a change of filters; `config_of` opens the limits so that
things happen; `wishes` is a strategy that wants something else every few bars. Same arguments, same world.
`python -m tests.worlds digest|rerun ...` prints a digest from a process of its own.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from replay_data.feed import Feed, SymbolRows, assemble
from replay_data.instrument import build_contract, room_ticks
from replay_data.interval import MINUTE_NS
from replay_data.prepare import Columns, prepare
from replay_data.tables import BracketTable, FilterRow
from simcore.config import Config, load_config
from simcore.domain.records import FUNDING, MARK
from simcore.strategy import Strategy, strategy

START_NS = 1_740_787_200 * 1_000_000_000  # 2025-03-01, a midnight
BAR_NS = 5 * MINUTE_NS
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
# Tick, step and first price. Of CCC one tick of one lot is 100 units of 1e-8, so that fees have something to round.
GRIDS = {
    "AAAUSDT": (0.1, 0.001, 600.0),
    "BBBUSDT": (0.01, 0.01, 50.0),
    "CCCUSDT": (0.000001, 1.0, 0.6),
    "DDDUSDT": (0.001, 0.1, 7.0),
}
BRACKETS = ((0.0, 5e4, 50.0, 0.01, 0.0), (5e4, 2.5e5, 20.0, 0.025, 750.0), (2.5e5, 5e7, 5.0, 0.1, 19_500.0))
SIX = ("sma_cross", "ema_cross", "donchian_breakout", "zscore_reversion", "xs_momentum", "funding_carry")


# ------------------------------------------------------------ feeds


def make_columns(
    rng: np.random.Generator, symbol: str, bars: int, interval_ns: int = BAR_NS, sigma: float = 0.004, jumps: float = 0.0,
    gaps: bool = True, depth: float = 1.0,
) -> Columns:  # fmt: skip
    """Return random OHLCV columns on the symbol's grid: a walk with wicks, jumps, bars without volume and holes."""
    tick, step, price = GRIDS[symbol]
    moves = rng.standard_normal(bars) * sigma
    moves[rng.random(bars) < jumps] += rng.choice((-1.0, 1.0)) * 20.0 * sigma
    close = np.maximum(20.0, np.rint(price / tick * np.exp(np.cumsum(np.clip(moves, -0.4, 0.4)))))
    opened = np.maximum(20.0, np.concatenate([[round(price / tick)], close[:-1]]) + rng.integers(-2, 3, bars))
    wick = np.rint(close * sigma * rng.exponential(0.5, bars))
    high, low = np.maximum(opened, close) + wick, np.maximum(10.0, np.minimum(opened, close) - wick)
    volume = np.rint(depth * 40_000.0 / (price * step) * rng.exponential(1.0, bars)) * (rng.random(bars) > 0.03)
    open_ns = START_NS + np.arange(bars, dtype=np.int64) * interval_ns
    kept = np.flatnonzero(rng.random(bars) > 0.02) if gaps else np.arange(bars)
    prices = (np.round(ticks * tick, 6) for ticks in (opened, high, low, close))
    return Columns(open_ns, *prices, np.round(volume * step, 6)).take(kept)


def make_marks(rng: np.random.Generator, columns: Columns, interval_ns: int, bars: int) -> np.ndarray:
    """Return mark bars of `bars` bars' length near the closes, longer ones where bars are missing."""
    rows = np.zeros(max(0, columns.close.size // bars - 1), MARK)
    last = np.arange(1, rows.size + 1) * bars - 1
    rows["ts_ns"] = columns.open_ns[last] + interval_ns
    rows["span_ns"] = bars * interval_ns
    factor = 1.0 + rng.normal(0.0, 2e-4, rows.size)
    for name, column in (("open", columns.open), ("high", columns.high), ("low", columns.low), ("close", columns.close)):
        rows[name] = column[last] * factor
    return rows


def make_funding(rng: np.random.Generator, columns: Columns, interval_ns: int, bars: int) -> np.ndarray:
    """Return settlements every `bars` bars, in both directions."""
    rows = np.zeros(columns.close.size // bars, FUNDING)
    rows["ts_ns"] = START_NS + np.arange(1, rows.size + 1) * bars * interval_ns
    rows["rate_e8"] = rng.normal(10_000, 60_000, rows.size).astype(np.int64)
    rows["interval_ns"] = bars * interval_ns
    return rows


def make_filters(symbol: str, bars: int, interval_ns: int, change: bool) -> tuple[FilterRow, ...]:
    """Return the symbol's filters, with coarser ones from the middle of the feed on when `change`."""
    tick, step, price = GRIDS[symbol]
    most = float(f"{2e6 / price:.1g}")
    first = FilterRow(symbol, START_NS, tick, step, step, most, most / 5, 5.0, 0.2, 0.2)
    middle = START_NS + bars // 2 * interval_ns
    later = FilterRow(symbol, middle, tick * 5, step * 10, step * 10, most / 2, most / 10, 20.0, 0.1, 0.1)
    return (first, later) if change else (first,)


def make_feed(
    seed: int, symbols: int | Sequence[str] = 3, bars: int = 240, *, interval_ns: int = BAR_NS, sigma: float = 0.004,
    jumps: float = 0.0, gaps: bool = True, marks: int = 1, funding: int = 45, filters: bool = True, depth: float = 1.0,
) -> Feed:  # fmt: skip
    """Return a random feed. marks, funding: one every so many bars, 0 for none; filters: they change halfway through."""
    rng = np.random.default_rng(seed)
    parts = []
    for symbol in SYMBOLS[:symbols] if isinstance(symbols, int) else symbols:
        columns = make_columns(rng, symbol, bars, interval_ns, sigma, jumps, gaps, depth)
        mark_rows = make_marks(rng, columns, interval_ns, marks) if marks else np.zeros(0, MARK)
        rates = make_funding(rng, columns, interval_ns, funding) if funding else np.zeros(0, FUNDING)
        parts.append(rows_of(symbol, columns, interval_ns, mark_rows, rates, make_filters(symbol, bars, interval_ns, filters)))
    return assemble(parts, "test world", True)


def rows_of(
    symbol: str, columns: Columns, interval_ns: int, marks: np.ndarray, funding: np.ndarray, filters: tuple[FilterRow, ...]
) -> SymbolRows:
    """Return one symbol's part of a feed, prepared from float columns as every reader does it."""
    tick, step, _ = GRIDS[symbol]
    made = prepare(columns, interval_ns, tick, step, symbol)
    brackets = BracketTable(symbol, START_NS, BRACKETS)
    contract = build_contract(symbol, tick, step, interval_ns, filters, brackets, room_ticks(made.bars, made.top_ticks))
    return SymbolRows(symbol, interval_ns, made.bars, marks, funding, contract)


# ------------------------------------------------------------ configs

WIDE = {
    "max_order_notional": 1e9, "max_trade_nav_pct": 1.0, "max_symbol_nav_pct": 10.0, "max_tier_nav_pct": 10.0,
    "max_strategy_nav_pct": 10.0, "max_gross_nav_pct": 10.0, "max_net_nav_pct": 10.0, "max_leverage": 50.0,
    "max_concurrent_positions": 1_000, "max_tier_positions": 1_000, "max_strategy_positions": 1_000,
    "max_orders_per_minute": 100_000, "min_free_margin_pct": 0.0, "min_liquidation_distance_pct": 0.0,
    "max_daily_loss_pct": 1.0, "max_drawdown_pct": 1.0, "price_collar_pct": 1.0,
}  # fmt: skip
OPEN_SCREEN = {
    "max_spread_bps": 10_000.0, "min_volume_day_usd": 0.0, "max_sigma_day": 100.0, "min_sigma_day": 0.0,
    "funding_window_s": 0.0, "cool_down_s": 0.0, "after_gap_bars": 0,
}  # fmt: skip
SHORT_PARAMS = {
    "sma_cross": {"fast": 3, "slow": 8},
    "ema_cross": {"fast": 4, "slow": 11},
    "donchian_breakout": {"entry": 9, "exit": 5, "atr": 6, "stop_atr": 2.0},
    "zscore_reversion": {"length": 12, "enter": 1.4, "leave": 0.3, "stop": 2.0},
    "xs_momentum": {"lookback": 10, "hold": 6, "k": 1},
    "funding_carry": {"enter_bps": 1.0, "leave_bps": 0.2, "stop_pct": 0.02},
}


@cache
def _packaged() -> Config:
    return load_config()


def config_of(
    strategies: Sequence[str] | Sequence[Strategy],
    *,
    cash: float = 100_000.0,
    params: Mapping[str, Mapping[str, float]] | None = None,
    limits: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    sizing: Mapping[str, Any] | None = None,
    intervals: Mapping[str, str] | None = None,
    free: bool = False,
) -> Config:
    """Return a config with wide limits and an open screen in which exactly these strategies run, on the replayed bars.

    settings: values by path below settings.json ("bar_model.fill_rule"). params, intervals: by strategy. free: without fees.
    """
    trees = copy.deepcopy(dict(_packaged().trees))
    trees["settings"] |= {"cash": cash, "allow_unlisted_symbols": True, "equity_sample_s": 300, "entry_retry_s": 600}
    trees["settings"]["leverage"]["unlisted"] = 20.0
    for path, value in (settings or {}).items():
        *parents, last = path.split(".")
        node = trees["settings"]
        for part in parents:
            node = node[part]
        node[last] = value
    trees["risk_limits"] = {"nav_max_age_s": 3_600, "market_max_age_s": 3_600, **WIDE, **(limits or {})}
    if free:
        trees["assets"]["quote_assets"]["USDT"] |= {"maker_fee_bps": 0.0, "taker_fee_bps": 0.0}
    registry = trees["strategy_registry"]["strategies"]
    uses = {}
    for each in strategies:
        name = each if isinstance(each, str) else each.name
        if not isinstance(each, str):
            registry[name] = {"module": "tests.worlds", "params": {key: {"default": value} for key, value in each.params.items()}}
        given = {**SHORT_PARAMS.get(name, {}), **(params or {}).get(name, {})}
        uses[name] = {"enabled": True, "interval": (intervals or {}).get(name, "base"), "params": given}
    defaults = trees["strategy_config"]["defaults"]
    defaults["screen"] |= OPEN_SCREEN
    defaults["sizing"] |= {"fraction": 0.2, "max_participation_pct": 1.0, **(sizing or {})}
    trees["strategy_config"] = {"defaults": defaults, "strategies": uses}
    return Config.of(trees, _packaged().folder)


@cache
def six_config(**settings: Any) -> Config:
    """Return a config in which all six shipped strategies trade quickly, three on coarser bars; `a__b` is the path a.b."""
    settings = {name.replace("__", "."): value for name, value in settings.items()}
    intervals = {"ema_cross": "15m", "donchian_breakout": "30m", "zscore_reversion": "15m"}
    return config_of(SIX, settings={"router.wait_s": 600, **settings}, intervals=intervals)


# ------------------------------------------------------------ strategies

MULTIPLIER, MODULUS = 16_807.0, 2_147_483_647.0


@strategy(
    on="bar",
    params={"seed": 1.0, "change": 0.25, "short": 0.5, "stop": 0.01, "urgent": 0.5},
    memory=("state", "begun"),
)
def wishes(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
    """Wish something else every few bars: long, short or flat, with and without stop, target, horizon and hurry.

    seed: of a Lehmer generator kept in memory, one a symbol. change: chance of a new wish a bar. short: share of shorts.
    stop: the widest stop, a fraction of the price. urgent: share of wishes in a hurry.
    """
    if memory["begun"] == 0.0:
        memory["begun"] = 1.0
        memory["state"] = params["seed"] * 7_919.0 + market["symbol"] * 104_729.0 + 17.0
        for _ in range(4):
            memory["state"] = memory["state"] * MULTIPLIER % MODULUS
    memory["state"] = memory["state"] * MULTIPLIER % MODULUS
    if memory["state"] / MODULUS >= params["change"]:
        return
    memory["state"] = memory["state"] * MULTIPLIER % MODULUS
    chance = memory["state"] / MODULUS
    signal["side"] = 0
    if chance > 0.15:
        signal["side"] = -1 if chance < 0.15 + 0.85 * params["short"] else 1
    memory["state"] = memory["state"] * MULTIPLIER % MODULUS
    chance = memory["state"] / MODULUS
    signal["stop_distance"] = 0.0
    signal["target_distance"] = 0.0
    signal["horizon_s"] = 0.0
    if chance < 0.6:
        signal["stop_distance"] = market["close"] * params["stop"] * (0.1 + chance)
    if chance > 0.4:
        signal["target_distance"] = market["close"] * params["stop"] * chance
    if chance > 0.9:
        signal["horizon_s"] = 600.0
    memory["state"] = memory["state"] * MULTIPLIER % MODULUS
    signal["urgency"] = 1.0 if memory["state"] / MODULUS < params["urgent"] else 0.0


def renamed(original: Strategy, name: str) -> Strategy:
    """Return the same strategy under another name, so that several can share a symbol's legs. Compiles only once."""
    original.compiled  # noqa: B018 - compile before copying
    twin = copy.copy(original)
    twin.name = name
    return twin


@cache
def several_wishes(count: int) -> tuple[Strategy, ...]:
    """Return `count` strategies of random wishes, each under its own name."""
    return tuple(renamed(wishes, f"wishes_{at}") for at in range(count))


# ------------------------------------------------------------ a process of its own


def digest_of_world(seed: int, bars: int) -> str:
    """Return the digest of the six strategies over a small world of two symbols."""
    from simcore.replay import run_replay

    return run_replay(make_feed(seed, 2, bars), six_config()).digest


def rerun_digest(path: str, seed: int, bars: int) -> str:
    """Return the digest of a saved journal, run again through a fresh core."""
    from simcore.replay import Journal
    from simcore.replay.plan import make_plan

    return Journal.load(path).rerun(make_plan(make_feed(seed, 2, bars), six_config())).digest()


if __name__ == "__main__":
    seed, bars = int(sys.argv[2]), int(sys.argv[3])
    print(digest_of_world(seed, bars) if sys.argv[1] == "digest" else rerun_digest(sys.argv[4], seed, bars))
