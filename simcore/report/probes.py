"""Probes: what the learning layer makes of closed trades, as plain values for a script to read.

The trades are those of a run folder or of a run at hand; all arithmetic is that of `simcore.learning`, under the config given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from simcore.config import Config
from simcore.domain.errors import ConfigError, DataError
from simcore.learning.allocator import SymbolBounds, cap_changes, caps_of, configured_caps, propose_policy
from simcore.learning.expectancy import build_expectancy, content_of, tabulate
from simcore.learning.refresh import scores_of
from simcore.learning.snapshots import CURRENT, load_current
from simcore.learning.trades import TradeTable, closed_before, trade_table


def saved_trades(folder: str | Path) -> TradeTable:
    """Return the trades of a run folder. Raises DataError when it holds none."""
    path = Path(folder) / "trades.parquet"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Name a run folder, as 'simcore replay --out {folder}' writes one.")
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as trouble:
        raise DataError(f"{path}: cannot be read ({trouble}). Write the run anew: 'simcore replay --out {folder}'.") from trouble
    return trade_table(frame)


def known_before(trades: TradeTable, before_ns: int | None) -> TradeTable:
    """Return the trades that closed before a moment (ns UTC), all of them when there is none."""
    return trades if before_ns is None else closed_before(trades, before_ns)


def origin(trades: TradeTable, source: str) -> dict[str, Any]:
    """Return where the trades of a probe come from, with their hash."""
    return {"source": source, "n_trades": len(trades), "trades_hash": trades.hash}


def expectancy_report(trades: TradeTable, config: Config, source: str) -> dict[str, Any]:
    """Return expectancy by (symbol, hour, regime); saved as a file, `load_expectancy` reads it."""
    return {**origin(trades, source), **content_of(build_expectancy(trades, config.learning.expectancy))}


def scoring_report(trades: TradeTable, config: Config, source: str) -> dict[str, Any]:
    """Return every symbol's score with each number that it was made of and the line of arithmetic."""
    explained = scores_of(tabulate(trades), config)
    return {
        **origin(trades, source),
        "scores": {symbol: each.score for symbol, each in sorted(explained.items())},
        "explained": [{**each.as_dict(), "why": str(each)} for _, each in sorted(explained.items())],
    }


def allocation_report(
    trades: TradeTable, config: Config, source: str, nav: float, *, drawdown_pct: float = 0.0, folder: str | Path | None = None
) -> dict[str, Any]:
    """Return the caps in force, those the allocator proposes for a NAV, and what would change.

    nav: quote units, before the reserve. drawdown_pct: from the peak, a fraction. folder: of a run; the policies it left are then
    what is in force, else the config is. Raises ConfigError for a NAV or drawdown that is none.
    """
    if not 0.0 < nav < np.inf or not 0.0 <= drawdown_pct <= 1.0:
        raise ConfigError(f"allocator: nav {nav:g}, drawdown {drawdown_pct:g}: the first must be positive, the second within 0 and 1.")
    risk, strategies = config.risk_limits, config.strategy_config
    scores = {symbol: each.score for symbol, each in sorted(scores_of(tabulate(trades), config).items())}
    bounds = {symbol: bounds_of(config, symbol) for symbol in scores}
    tradable = max(0.0, nav - config.reserve_nav)
    learned = folder is not None and (Path(folder) / CURRENT).is_file()
    previous = load_current(folder).allocation if folder is not None and learned else None
    proposal = propose_policy(
        tradable, scores, risk, strategies, settings=config.learning.allocator, drawdown_pct=drawdown_pct, previous=previous, bounds=bounds
    )
    current = configured_caps(tradable, bounds, risk, strategies) if previous is None else caps_of(previous)
    proposed = caps_of(proposal)
    return {
        **origin(trades, source),
        "nav": nav,
        "tradable_nav": tradable,
        "drawdown_pct": drawdown_pct,
        "in_force": "config" if previous is None else CURRENT,
        "scores": scores,
        "current": current,
        "proposed": proposed,
        "changes": cap_changes(current, proposed),
        "why": str(proposal).splitlines(),
    }


def bounds_of(config: Config, symbol: str) -> SymbolBounds:
    """Return a symbol's configured limits: those of the strategy that is allowed most."""
    rows = [config.limits(each.name, symbol)[0] for each in config.enabled_strategies]
    keys = ("max_symbol_nav_pct", "max_order_notional", "max_trade_nav_pct")
    return SymbolBounds(*(float(max(row[key] for row in rows)) for key in keys))
