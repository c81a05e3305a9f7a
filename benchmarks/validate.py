"""Validation on real data: walks the learning layer through three windows of an imported catalog and prints the reports, whatever they say.

    python -m benchmarks.validate CATALOG [WINDOW ...]      # windows: hourly, minute, cross; without a name, all of them

CATALOG is a folder made by `simcore data import`. BTC, ETH and XRP by the hour since 2020; all symbols by the minute over 51 days; and
every symbol that has hourly bars, marks and funding, over two months. Every enabled strategy trades. Folds
of the short windows are short, and their evidence is thin: the number of days out of sample stands in the first line of each report.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import simcore
from benchmarks.machine import describe
from replay_data.archive import FUNDINGS, KLINES, MARKS
from replay_data.catalog import Catalog


def folds(train: int, test: int) -> dict[str, float]:
    """Return the assignments for folds of these many days, each day scored once."""
    walk = {"train_days": train, "test_days": test, "step_days": test}
    return {f"validation.walk_forward.{name}": float(days) for name, days in walk.items()}


WINDOWS: dict[str, dict[str, Any]] = {
    "hourly": {
        "interval": "1h",
        "symbols": "BTCUSDT,ETHUSDT,XRPUSDT",
        "start": "2020-01-01",
        "params": {"xs_momentum.k": 1, **folds(365, 180)},
    },
    "minute": {"interval": "1m", "params": folds(14, 7)},
    "cross": {"interval": "1h", "start": "2025-05-01", "end": "2025-07-01", "params": folds(20, 10)},
}


def hourly_symbols(catalog: Path) -> list[str]:
    """Return the symbols of which the catalog holds hourly bars, mark prices and funding."""
    series = Catalog(catalog).series()
    hourly = {each.symbol for each in series if each.kind == KLINES and each.interval == "1h"}
    marked, funded = ({each.symbol for each in series if each.kind == kind} for kind in (MARKS, FUNDINGS))
    return sorted(hourly & marked & funded)


def main(catalog: Path, wanted: list[str]) -> None:
    """Validate every wanted window and print its table."""
    print(f"Learning against the frozen baseline, all strategies on. {describe()}\n")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted or list(WINDOWS):
            window = dict(WINDOWS[name])
            if name == "cross":
                window["symbols"] = hourly_symbols(catalog)
            started = time.perf_counter()
            result = simcore.validate(data=catalog, trials=Path(folder) / f"{name}.jsonl", **window)
            print(f"## {name}: {len(result.symbols)} symbols\n\n```\n{result}\n```\n")
            print(f"capacity {result.capacity_usd:,.0f}; efficiency {result.efficiency:.2f}; {time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
