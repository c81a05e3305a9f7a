"""The command `simcore screener-probe`."""

from __future__ import annotations

from simcore.cli.options import Assignments, Catalog, ConfigFolder, End, Interval, Nav, Start, Strategies, Symbols, parse_assignments
from simcore.cli.shell import print_json


def screener_probe(
    config: ConfigFolder = None,
    data: Catalog = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    interval: Interval = None,
    strategy: Strategies = None,
    assign: Assignments = None,
    nav: Nav = None,
) -> None:
    """Replay up to --end, then print one JSON line a wished position: may it be entered, and what stands against it."""
    from simcore.api import screen

    wishes = screen(
        config=config,
        data=data,
        symbols=symbols,
        start=start,
        end=end,
        interval=interval,
        strategy=strategy or None,
        params=parse_assignments(assign),
        nav=nav,
    )
    for each in wishes:
        print_json(each)
