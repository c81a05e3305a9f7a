"""The command `simcore replay`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simcore.cli.options import (
    AsJson,
    Assignments,
    Cash,
    Catalog,
    ConfigFolder,
    End,
    Interpreted,
    Interval,
    Quiet,
    Seed,
    Start,
    Strategies,
    Symbols,
    parse_assignments,
)
from simcore.cli.shell import print_json, progress_bar, say

if TYPE_CHECKING:
    from simcore.report.run import Run

Policies = Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder whose learned policies hold, each as it stood then.")]
Band = Annotated[bool, typer.Option("--band", help="Also the pessimistic fill model and double latency: PnL as a band.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder; without it, runs/<time>-<digest>.")]


def replay(
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
    interpreted: Interpreted = False,
    policies: Policies = None,
    band: Band = False,
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Replay market data through the whole pipeline and write a run folder with a report."""
    from simcore.api import replay as run_replay

    with progress_bar("replay", quiet or as_json) as progress:
        run = run_replay(
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
            interpreted=interpreted,
            policies=policies,
            progress=progress,
            band=band,
        )
    folder = out if out is not None else default_folder(run)
    run.save(folder)
    if as_json:
        print_json(run.summary())
        return
    if not quiet:
        run.show()
    say(f"report: {folder / 'report.html'}")


def default_folder(run: Run) -> Path:
    """Return runs/<utc time>-<first 8 of the digest>: the one place where a replay's clock is the wall's."""
    return Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run.digest[:8]}"
