"""Real data: replays three windows of an imported catalog and prints their summary tables.

    python -m benchmarks.real CATALOG      # a folder made by: simcore data import path/to/futures_um --data CATALOG

Eighteen symbols of one-minute bars with funding and marks; BTC, ETH and XRP since 2019 by the hour; the sell-off of April 2025 at
five minutes. Every shipped strategy is on. The first of two runs warms up; figures and speed are of the second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import simcore
from benchmarks.machine import describe
from simcore.report.run import Run

WINDOWS: dict[str, dict[str, Any]] = {
    "18 symbols, 1m, 2025-05-04 to 2025-06-24": {"interval": "1m"},
    "BTC, ETH, XRP, 1h, 2019/2020 to 2025-06-30": {
        "interval": "1h",
        "symbols": "BTCUSDT,ETHUSDT,XRPUSDT",
        "params": {"xs_momentum.k": 1},
    },
    "15 symbols, 5m, 2025-03-06 to 2025-04-13": {"interval": "5m", "start": "2025-03-06", "end": "2025-04-14"},
}
COLUMNS = ("n_trades", "net", "gross", "fees", "funding", "slippage", "hit_rate", "expectancy", "mean_r", "maker_share")


def main(catalog: Path) -> None:
    """Replay every window and print its tables as Markdown."""
    print(f"Real data, all strategies on. {describe()}\n")
    for title, window in WINDOWS.items():
        simcore.replay(data=catalog, **window)
        started = time.perf_counter()
        run = simcore.replay(data=catalog, **window)
        seconds = time.perf_counter() - started
        print(f"## {title}\n")
        print(summary_table(run, seconds))
        for name, first in (("per_strategy", "strategy"), ("per_exit_reason", "exit"), ("per_symbol", "symbol")):
            print(group_table(run.metrics[name], first))
        print(f"Vetoes: {run.summary()['counts']['vetoes']}\n")
        print("Caveats: " + "; ".join(run.checks["caveats"]) + "\n")


def summary_table(run: Run, seconds: float) -> str:
    """Return the run in one table of names and figures."""
    m, counts, speed = run.metrics, run.summary()["counts"], run.recording.speed
    rows = {
        "bars, events": f"{counts['bars']:,}, {counts['events']:,}",
        "net PnL, return": f"{m['net_pnl']:,.2f} USDT, {m['total_return']:.2%} (market {m['market_return']:.2%})",
        "gross, fees, funding, open": f"{m['gross_pnl']:,.2f}, {m['fees']:,.2f}, {m['funding']:,.2f}, {m['unrealised']:,.2f}",
        "slippage inside gross": f"{m['slippage']:,.2f} ({m['slippage_bps']:.2f} bps of {m['traded']:,.0f} traded)",
        "Sharpe, PSR, days": f"{m['sharpe']:.2f}, {m['psr']:.2%}, {m['n_days']}",
        "max drawdown": f"{m['max_drawdown']:.2%}, {m['max_drawdown_days']:.0f} days",
        "trades, hit rate": f"{m['n_trades']:,}, {m['hit_rate']:.2%}",
        "expectancy": f"{m['expectancy']:.2f} ± {m['expectancy_se']:.2f} USDT",
        "signals, orders": f"{counts['signals']:,}, {counts['orders']:,}",
        "maker fills, taker fills": f"{counts['maker_fills']:,}, {counts['taker_fills']:,} (maker share {m['maker_share']:.2%})",
        "fallback, gave up, rejects": f"{m['fallback_share']:.2%}, {m['gave_up_share']:.2%}, {m['n_rejects']}",
        "gross exposure, turnover a year": f"{m['exposure_gross']:.2%}, {m['turnover']:.1f}",
        "ambiguous exits, liquidations": f"{m['ambiguous_exit_share']:.2%}, {m['liquidations']}",
        "gaps": str(run.checks["gaps"]),
        "books": "balanced" if run.checks["ledger_balanced"] else "DO NOT BALANCE",
        "replay, whole call": f"{speed['replay_s']:.3f} s ({speed['events_per_s']:,.0f} events a second), {seconds:.2f} s",
        "digest": run.digest[:16],
    }
    return "| | |\n|---|---:|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def group_table(rows: dict[str, dict[str, float]], first: str) -> str:
    """Return the trade table of one grouping."""
    lines = [f"| {first} | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    lines += [f"| {name} | " + " | ".join(cells(row)) + " |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def cells(row: dict[str, float]) -> Iterable[str]:
    """Yield the figures of one row as text."""
    for key in COLUMNS:
        value = row[key]
        yield "–" if value != value else f"{value:,.0f}" if key == "n_trades" else f"{value:,.2f}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.real CATALOG")
    main(Path(sys.argv[1]))
