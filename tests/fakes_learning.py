"""Trades by hand and by chance for tests of the learning layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simcore.domain.enums import Regime
from simcore.learning.trades import NANOS_PER_HOUR, TRADE_ROW, TradeTable

SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
START_NS = 1_740_787_200 * 1_000_000_000  # 2025-03-01, a midnight


def trades_of(rows: Sequence[dict[str, float]], symbols: Sequence[str] = SYMBOLS) -> TradeTable:
    """Return a table of trades; what a row does not say is plain: 1,000 at stake, one hour long, costs of 3 bps."""
    table = np.zeros(len(rows), TRADE_ROW)
    for at, given in enumerate(rows):
        decision = int(given.get("decision_ns", START_NS + at * NANOS_PER_HOUR))
        plain = {
            "symbol": 0, "regime": Regime.NORMAL, "decision_ns": decision, "exit_ns": decision + NANOS_PER_HOUR,
            "hour": decision // NANOS_PER_HOUR % 24, "stake_usd": 1_000.0, "fee_bps": 2.0, "slippage_bps": 1.0, "r": np.nan,
        }  # fmt: skip
        for name, value in {**plain, **given}.items():
            table[name][at] = value
    table["gross_bps"] = table["net_bps"] + table["fee_bps"] + table["slippage_bps"] + table["funding_bps"]
    table["net_usd"] = table["net_bps"] * table["stake_usd"] * 1e-4
    return TradeTable(table, tuple(symbols), ("one", "two"))


def random_trades(
    seed: int, n: int, symbols: Sequence[str] = SYMBOLS, *, mean_bps: float = 0.0, sd_bps: float = 100.0, edges: dict[int, float] | None = None
) -> TradeTable:
    """Return `n` normal trades over a quarter; `edges` adds basis points by hour of the decision."""
    rng = np.random.default_rng(seed)
    table = np.zeros(n, TRADE_ROW)
    table["symbol"] = rng.integers(0, len(symbols), n)
    table["strategy"] = rng.integers(0, 2, n)
    table["regime"] = rng.integers(0, 4, n)
    table["decision_ns"] = START_NS + rng.integers(0, 90 * 24 * 60, n) * (NANOS_PER_HOUR // 60)
    table["hour"] = table["decision_ns"] // NANOS_PER_HOUR % 24
    table["exit_ns"] = table["decision_ns"] + rng.integers(1, 600, n) * (NANOS_PER_HOUR // 60)
    table["stake_usd"] = rng.uniform(100.0, 10_000.0, n)
    table["net_bps"] = rng.normal(mean_bps, sd_bps, n)
    for hour, edge in (edges or {}).items():
        table["net_bps"][table["hour"] == hour] += edge
    table["fee_bps"], table["slippage_bps"] = rng.uniform(2.0, 10.0, n), rng.normal(2.0, 3.0, n)
    table["funding_bps"] = rng.normal(0.0, 1.0, n)
    table["maker_share"] = rng.random(n)
    table["r"] = np.where(rng.random(n) < 0.5, table["net_bps"] / 80.0, np.nan)
    table["gross_bps"] = table["net_bps"] + table["fee_bps"] + table["slippage_bps"] + table["funding_bps"]
    table["net_usd"] = table["net_bps"] * table["stake_usd"] * 1e-4
    return TradeTable(table, tuple(symbols), ("one", "two"))
