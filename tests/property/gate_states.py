"""Generated states of the gate: books, orders and limits that meet often enough for every rule to decide some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from simcore.decision.risk_gate import account, check_order_nb, intent, limits
from simcore.domain.enums import Veto
from simcore.domain.records import N_VETOES

NOW = 1_700_000_000_000_000_000
S = 1_000_000_000

# The limits that grow stricter when they fall: the range in which they decide, and its unit.
CAPS = {
    "max_order_notional": (6_000, 1.0),
    "max_trade_nav_pct": (600, 0.001),
    "max_symbol_nav_pct": (900, 0.001),
    "max_tier_nav_pct": (1_500, 0.001),
    "max_strategy_nav_pct": (1_500, 0.001),
    "max_gross_nav_pct": (3_000, 0.001),
    "max_net_nav_pct": (2_000, 0.001),
    "max_leverage": (50, 0.1),
    "max_daily_loss_pct": (100, 0.001),
    "max_drawdown_pct": (300, 0.001),
    "price_collar_pct": (40, 0.001),
    "max_concurrent_positions": (6, 1),
    "max_tier_positions": (6, 1),
    "max_strategy_positions": (6, 1),
    "max_orders_per_minute": (9, 1),
    "nav_max_age_ns": (9, S),
    "market_max_age_ns": (9, S),
}
# Those that grow stricter when they rise.
FLOORS = {"min_free_margin_pct": (900, 0.001), "min_liquidation_distance_pct": (900, 0.001)}
RANGES = {**CAPS, **FLOORS}
SIZE_VETOES = (
    Veto.MAX_ORDER_NOTIONAL, Veto.MAX_TRADE_NAV_PCT, Veto.MAX_SYMBOL_NAV_PCT, Veto.MAX_TIER_NAV_PCT, Veto.MAX_STRATEGY_NAV_PCT,
    Veto.MAX_GROSS_NAV_PCT, Veto.MAX_NET_NAV_PCT, Veto.MAX_LEVERAGE, Veto.MIN_FREE_MARGIN_PCT, Veto.MIN_LIQUIDATION_DISTANCE_PCT,
)  # fmt: skip


class Digits:
    """A state read off one string of random bytes, digit by digit: one draw instead of forty, and zero is the simplest."""

    def __init__(self, raw: bytes) -> None:
        self.rest = int.from_bytes(raw, "little")

    def below(self, n: int) -> int:
        self.rest, digit = divmod(self.rest, n)
        return digit

    def of(self, *choices: Any) -> Any:
        return choices[self.below(len(choices))]

    def usd(self, most: int) -> float:
        return self.below(most * 4) / 4

    def limit(self, name: str) -> Any:
        most, unit = RANGES[name]
        return self.below(most + 1) * unit


def limits_of(raw: bytes) -> Any:
    """At most five limits that bind, the others open."""
    digits = Digits(raw)
    names = [digits.of(*RANGES) for _ in range(digits.below(6))]
    return limits(**{name: digits.limit(name) for name in names})


def account_of(raw: bytes) -> Any:
    d = Digits(raw)
    nav = 20_000.0 - d.below(19_950)
    used = nav * d.of(0.0, 0.125, 0.5, 0.875, 1.25)
    return account(
        nav=nav, initial_margin=used, maintenance_margin=used / 4, reserve_nav=d.of(0.0, 0.0, 0.0, 100.0, 500.0, 30_000.0),
        nav_ts_ns=NOW - d.below(6) * S, orders_in_minute=d.below(6), day_loss_pct=(d.below(80) - 20) / 1000,
        drawdown_pct=d.below(200) / 1000, kill_switch=21 * (d.below(16) == 1),
    )  # fmt: skip


def order_of(raw: bytes) -> Any:
    """An entry with consistent context: symbol within tier and strategy within gross, net within gross."""
    d = Digits(raw)
    ticks, unit, step = 50 + d.below(5_000_000), d.of(1_000, 1, 100_000), d.of(1, 10)
    one = ticks * unit * step * 1e-8
    lots = step * max(1, int((1 + d.below(4_000)) / one))
    symbol = d.usd(2_000) * d.below(2)
    tier = symbol + d.usd(2_000) * d.below(2)
    gross = tier + d.usd(4_000) * d.below(2)
    return intent(
        price=ticks / 100, price_ticks=ticks, unit_e8=unit, mark=ticks / 100 * (1 + (d.below(61) - 30) / 1000),
        qty_lots=lots, step_lots=step, min_qty_lots=step * d.of(1, 1, 1, 100), max_qty_lots=d.of(10**15, 10**15, 10**15, 1_000),
        side=d.of(1, -1), min_notional_e8=d.of(0, 5 * 10**8, 100 * 10**8), symbol_gross=symbol, tier_gross=tier,
        strategy_gross=d.of(0.0, symbol, gross), gross=gross, net=gross * (d.below(17) - 8) / 8,
        leverage=d.of(5.0, 1.0, 3.0, 20.0), mmr=d.of(0.0, 0.005, 0.05), market_ts_ns=NOW - d.below(6) * S,
        trading=int(d.below(16) != 1), new_position=d.below(2), open_positions=d.below(5), tier_positions=d.below(5),
        strategy_positions=d.below(5),
    )  # fmt: skip


def orders() -> st.SearchStrategy[Any]:
    return st.binary(min_size=24, max_size=24).map(order_of)


def accounts() -> st.SearchStrategy[Any]:
    return st.binary(min_size=12, max_size=12).map(account_of)


def limit_sets() -> st.SearchStrategy[Any]:
    return st.binary(min_size=16, max_size=16).map(limits_of)


def checks() -> np.ndarray:
    return np.full((N_VETOES, 2), np.nan)


def verdict(order: Any, books: Any, rules: Any, now: int = NOW) -> int:
    """The gate's mask."""
    return int(check_order_nb(order, books, rules, now, checks()))


def vetoes(mask: int) -> set[Veto]:
    return {veto for veto in Veto if mask >> veto & 1}


def changed(row: Any, **given: Any) -> Any:
    """A copy of a record with some fields changed; the notional follows the quantity."""
    copy = row.copy()
    for name, value in given.items():
        copy[name] = value
    if "qty_lots" in given and "notional" not in given:
        copy["notional"] = float(copy["qty_lots"]) * float(copy["price_ticks"]) * float(copy["unit_e8"]) * 1e-8
    return copy
