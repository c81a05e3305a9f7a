"""The command `simcore vetoes`."""

from __future__ import annotations

import math

from simcore.cli.options import (
    AsJson,
    Assignments,
    Cash,
    Catalog,
    ConfigFolder,
    End,
    Interval,
    Quiet,
    Seed,
    Start,
    Strategies,
    Symbols,
    parse_assignments,
)
from simcore.cli.shell import print_json, print_table, progress_bar, say


def vetoes(
    config: ConfigFolder = None,
    data: Catalog = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    interval: Interval = None,
    strategy: Strategies = None,
    assign: Assignments = None,
    cash: Cash = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what every limit cost and saved in a replay, by trading what was refused in the shadow, and which never bound."""
    from simcore.api import vetoes as tell

    with progress_bar("replay", quiet or as_json) as progress:
        report = tell(
            config=config,
            data=data,
            symbols=symbols,
            start=start,
            end=end,
            interval=interval,
            strategy=strategy or None,
            params=parse_assignments(assign),
            cash=cash,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
        return
    heads = ["stage", "reason", "episodes", "tries", "net bps", "from", "to", "saved usd"]
    rows = [
        [row.stage, row.reason, row.episodes, row.tries, *(known(each) for each in (row.net_bps, row.low, row.high, row.saved_usd))]
        for row in report.rows
    ]
    print_table("What each limit kept from being traded, and what that saved (negative: cost)", heads, rows)
    for stage, names in report.never.items():
        say(f"never bound, {stage}: {', '.join(names) or 'none'}")


def known(value: float) -> str:
    """Return a figure to one decimal, a dash where it is not determined."""
    return f"{value:,.1f}" if math.isfinite(value) else "-"
