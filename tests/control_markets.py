"""Markets of which the truth is known: pure noise without costs, and an edge planted in one hour of the day."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from replay_data.feed import Feed, from_arrays
from replay_data.synthetic import make_market
from simcore.config import Config, load_config
from simcore.strategy import FLAT, LONG, strategy

BARS = 5  # minutes
EDGE_HOUR = 14


@strategy(on="bar", params={"every": 2, "after": 0}, memory=("side",), warmup=1)
def by_the_clock(market, position, params, memory, signal):
    """Long for one hour at every `every`-th hour of the day, counted from `after`; flat otherwise."""
    wanted = (market["hour"] + 24.0 - params["after"]) % params["every"] == 0.0
    signal["side"] = LONG if wanted else FLAT


@cache
def market(seed: int, days: int, symbols: int, edge_bps: float = 0.0) -> Feed:
    """Return noise in five-minute bars, with a drift in one hour where `edge_bps` is given."""
    made = make_market(seed=seed, days=days, symbols=symbols, planted_edge_bps=edge_bps, edge_hour=EDGE_HOUR, pure_noise=True)
    columns, ticks, steps = {}, {}, {}
    for tape in made.tapes:
        minute = tape.columns()
        fives = {name: getattr(minute, name).reshape(-1, BARS) for name in ("open", "high", "low", "close", "volume")}
        columns[tape.spec.symbol] = {
            "open_time": minute.open_ns[::BARS].copy(),
            "open": fives["open"][:, 0].copy(),
            "high": fives["high"].max(axis=1),
            "low": fives["low"].min(axis=1),
            "close": fives["close"][:, -1].copy(),
            "volume": np.round(fives["volume"].sum(axis=1), 3),
        }
        ticks[tape.spec.symbol], steps[tape.spec.symbol] = tape.spec.tick_size, tape.spec.step_size
    return from_arrays(columns, interval=f"{BARS}m", tick_size=ticks, step_size=steps)


def config_of(cost_bps: float, **more: Any) -> Config:
    """Return a config of short folds in which the clock takes at the open, and a fill costs `cost_bps` in fees and spread."""
    config = load_config().with_strategy("by_the_clock", by_the_clock.params, interval="1h")
    quick = {
        "validation.walk_forward.train_days": 15, "validation.walk_forward.test_days": 15, "validation.walk_forward.step_days": 15,
        "validation.walk_forward.purge_days": 0, "validation.statistics.bootstrap_draws": 1000, "settings.router.maker_first": False,
    }  # fmt: skip
    costs: dict[str, Any] = {f"settings.bar_model.half_spread_bps.{tier}": cost_bps / 5 for tier in config.settings.bar_model.half_spread_bps}
    costs |= {"settings.bar_model.impact_y": min(1.0, cost_bps), "settings.bar_model.stop_slippage_ticks": 0.0}
    for asset in config.assets.quote_assets:
        costs |= {f"assets.quote_assets.{asset}.{side}_fee_bps": cost_bps * 4 / 5 for side in ("maker", "taker")}
    return config.replace(set={**quick, **costs, **more}, allow_unlisted_symbols=True)
