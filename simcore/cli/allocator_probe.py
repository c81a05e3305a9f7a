"""The command `simcore allocator-probe`."""

from __future__ import annotations

from typing import Annotated

import typer

from simcore.cli.options import Before, ConfigFolder, Nav, RunFolder
from simcore.cli.probes import grounds
from simcore.cli.shell import print_json

Drawdown = Annotated[float, typer.Option("--drawdown", metavar="SHARE", help="Drawdown from the peak NAV, as a fraction: 0.05.")]


def allocator_probe(
    run: RunFolder = None, before: Before = None, nav: Nav = None, drawdown: Drawdown = 0.0, config: ConfigFolder = None
) -> None:
    """Print the caps in force, those proposed for a NAV, and every difference, as JSON. Nothing is put into force."""
    from simcore.report.probes import allocation_report

    trades, settings, source = grounds(run, before, config)
    money = settings.cash if nav is None else nav
    print_json(allocation_report(trades, settings, source, money, drawdown_pct=drawdown, folder=run))
