"""The command `simcore fidelity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simcore.cli.options import (
    AsJson,
    Assignments,
    Cash,
    ConfigFolder,
    End,
    Interpreted,
    Quiet,
    Seed,
    Start,
    Strategies,
    Symbols,
    parse_assignments,
)
from simcore.cli.shell import print_json, progress_bar, say

Books = Annotated[Path, typer.Option("--data", metavar="CATALOG", help="Catalog folder with order book recordings.")]
Bars = Annotated[str, typer.Option(metavar="1s|1m|...", help="Length of the bars made of the trades.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for fidelity.json and each rung's run; without it, none.")]


def fidelity(
    data: Books = Path("catalog"),
    config: ConfigFolder = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    bars: Bars = "1m",
    strategy: Strategies = None,
    assign: Assignments = None,
    cash: Cash = None,
    seed: Seed = 0,
    interpreted: Interpreted = False,
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Replay one strategy and window on bars, on trades, on best bid and ask, and on full depth, side by side."""
    from simcore.api import fidelity as climb

    with progress_bar("replay", quiet or as_json) as progress:
        ladder = climb(
            config=config,
            data=data,
            symbols=symbols,
            start=start,
            end=end,
            bars=bars,
            strategy=strategy or None,
            params=parse_assignments(assign),
            cash=cash,
            seed=seed,
            interpreted=interpreted,
            out=out,
            progress=progress,
        )
    if as_json:
        print_json(ladder.summary())
    elif not quiet:
        ladder.show()
    if out is not None:
        say(f"figures: {out / 'fidelity.json'}")
