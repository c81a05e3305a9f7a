"""Recorded books: replays every recording of an imported catalog with each book strategy and prints one table a recording.

    python -m benchmarks.real_books CATALOG    # a folder made by: simcore data import path/to/l2 --data CATALOG

A row is one strategy under one queue model, all else as packaged. `risk_averse` is the pessimistic model; the gap between the
rows of a strategy is the model's own error. The first of all runs compiles; seconds are of the whole call.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import simcore
from benchmarks.machine import describe
from replay_data.catalog import Catalog
from replay_data.feed import Feed
from replay_data.interval import iso
from simcore.report.kpis import figures_of
from simcore.report.run import Run

STRATEGIES = ("market_maker", "grid", "book_imbalance")
QUEUES = ("power", "log", "risk_averse")
COLUMNS = "strategy | queue | orders | maker fill rate | maker fills | taker fills | trades | net | fees | 5 s markout bps | seconds"


def recordings(catalog: Catalog) -> list[tuple[str, int, int]]:
    """Return (symbol, first, end) of every stored recording, in ns UTC."""
    return [(book.symbol, int(book.first_ns), int(book.last_ns) + 1) for book in catalog.books()]


def replayed(feed: Feed, strategy: str, queue: str) -> tuple[Run, float]:
    """Return one replay and its seconds."""
    started = time.perf_counter()
    run = simcore.replay(feed=feed, strategy=strategy, params={"settings.book_model.queue_model": queue})
    return run, time.perf_counter() - started


def row(strategy: str, queue: str, run: Run, seconds: float) -> str:
    """Return one line of the table."""
    m, counts, figures = run.metrics, run.summary()["counts"], figures_of(run.recording)
    cells: list[Any] = [
        strategy,
        queue,
        f"{counts['orders']:,}",
        percent(figures.get("maker_fill_rate")),
        f"{counts['maker_fills']:,}",
        f"{counts['taker_fills']:,}",
        f"{m['n_trades']:,}",
        f"{m['net_pnl']:,.2f}",
        f"{m['fees']:,.2f}",
        number(figures.get("maker_markout_5s_bps")),
        f"{seconds:.2f}",
    ]
    assert run.checks["ledger_balanced"]
    return "| " + " | ".join(map(str, cells)) + " |"


def percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.1%}"


def number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.2f}"


def main(catalog: Path) -> None:
    """Replay every recording and print its table as Markdown."""
    print(f"Recorded books, packaged settings but for the queue model. {describe()}\n")
    data = Catalog(catalog)
    for symbol, first_ns, end_ns in recordings(data):
        feed = data.feed(symbols=[symbol], start_ns=first_ns, end_ns=end_ns, interval="book")
        print(f"## {symbol}, {iso(first_ns)} to {iso(end_ns)}: {len(feed.events):,} events\n")
        print(f"| {COLUMNS} |\n|---|---|" + "---:|" * 9)
        for strategy in STRATEGIES:
            for queue in QUEUES:
                print(row(strategy, queue, *replayed(feed, strategy, queue)), flush=True)
        print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.real_books CATALOG")
    main(Path(sys.argv[1]))
