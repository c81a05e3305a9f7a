"""The command `simcore screener-probe`."""

from __future__ import annotations

from simcore.cli.options import ConfigFolder, Nav
from simcore.cli.replay import Assignments, Catalog, End, Interval, Start, Strategies, Symbols, parse_assignment
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

    params = dict(parse_assignment(each) for each in assign or [])
    wishes = screen(
        config=config,
        data=data,
        symbols=symbols,
        start=start,
        end=end,
        interval=interval,
        strategy=strategy or None,
        params=params,
        nav=nav,
    )
    for each in wishes:
        print_json(each)
