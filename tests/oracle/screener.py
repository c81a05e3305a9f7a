"""The screener once more, plain and slow: one sentence a condition, in the numbers a person would use."""

from __future__ import annotations

import math
from typing import Any

from simcore.domain.enums import Screen


def reasons(
    signal: dict[str, Any], market: dict[str, Any], policy: dict[str, Any], screen: dict[str, Any], instrument: dict[str, Any],
    sleeve: dict[str, Any], now: int,
) -> set[Screen]:  # fmt: skip
    """Every condition that fails, of numbers that are all known."""
    found = set()
    if screen["in_universe"] != 1:
        found.add(Screen.NOT_IN_UNIVERSE)
    if abs(signal["side"]) != 1 or signal["strength"] <= 0 or market["close"] <= 0 or instrument["unit_e8"] < 1:
        found.add(Screen.CONTEXT_MISSING)
    if instrument["step_size"] <= 0 or not 0 <= market["funding_ts_ns"] <= now:
        found.add(Screen.CONTEXT_MISSING)
    if not 0 <= market["ts_ns"] <= now or now - market["ts_ns"] > screen["market_max_age_ns"]:
        found.add(Screen.MARKET_MAX_AGE_S)
    if market["bars"] < screen["warmup_bars"]:
        found.add(Screen.WARMUP)
    if market["bars_since_gap"] < screen["after_gap_bars"]:
        found.add(Screen.AFTER_GAP_BARS)
    if market["spread_bps"] > screen["max_spread_bps"]:
        found.add(Screen.MAX_SPREAD_BPS)
    if market["volume_day"] * market["close"] < screen["min_volume_day_usd"]:
        found.add(Screen.MIN_VOLUME_DAY_USD)
    if market["sigma_day"] > screen["max_sigma_day"]:
        found.add(Screen.MAX_SIGMA_DAY)
    if market["sigma_day"] < screen["min_sigma_day"]:
        found.add(Screen.MIN_SIGMA_DAY)
    if pays_too_much(signal, market, screen, now):
        found.add(Screen.FUNDING_WINDOW_S)
    if sleeve["exit_ns"] != 0 and (sleeve["exit_ns"] > now or now - sleeve["exit_ns"] < screen["cool_down_ns"]):
        found.add(Screen.COOL_DOWN_S)
    if not math.isnan(policy["score"]) and policy["score"] < screen["min_score"]:
        found.add(Screen.MIN_SCORE)
    if not math.isnan(policy["expectancy_bps"]) and policy["expectancy_bps"] < screen["min_expectancy_bps"]:
        found.add(Screen.MIN_EXPECTANCY_BPS)
    return found


def pays_too_much(signal: dict[str, Any], market: dict[str, Any], screen: dict[str, Any], now: int) -> bool:
    """Whether the next settlement lies in the window and costs more than is tolerated. Settlements are counted one by one."""
    if market["funding_ts_ns"] <= 0 or market["funding_interval_ns"] <= 0 or market["funding_ts_ns"] > now:
        return False
    upcoming = market["funding_ts_ns"]
    while upcoming <= now:
        upcoming += market["funding_interval_ns"]
    paid_bps = signal["side"] * market["funding_rate"] * 10_000
    return upcoming - now <= screen["funding_window_ns"] and paid_bps > screen["max_adverse_funding_bps"]
