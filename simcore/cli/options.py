"""The options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simcore.domain.errors import ConfigError

ConfigFolder = Annotated[
    Path | None, typer.Option("--config", metavar="DIR", help="Folder of JSON files; without it, the packaged one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no table.")]
RunFolder = Annotated[
    Path | None, typer.Option("--run", metavar="DIR", help="Run folder whose trades are read; without it, the sample is replayed.")
]
Before = Annotated[str | None, typer.Option("--before", metavar="TIME", help="Only trades closed before this moment (UTC).")]
Nav = Annotated[float | None, typer.Option("--nav", help="NAV in quote units; without it, the account's own.")]
Text = str | None
Catalog = Annotated[Path | None, typer.Option(metavar="CATALOG", help="Catalog folder; without it, the synthetic sample.")]
Symbols = Annotated[Text, typer.Option(metavar="A,B", help="Symbols to replay; without it, all of the catalog.")]
Start = Annotated[Text, typer.Option(metavar="TIME", help="First moment, such as 2025-05-04 (UTC).")]
End = Annotated[Text, typer.Option(metavar="TIME", help="Moment to stop before (UTC).")]
Interval = Annotated[Text, typer.Option(metavar="1m|5m|1h|...", help="Interval of the replayed bars.")]
Strategies = Annotated[list[str] | None, typer.Option("--strategy", metavar="NAME", help="Strategy to run; repeat for several.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="ema_cross.fast=10, or any key of a file: risk_limits.max_leverage=2."),
]
Cash = Annotated[float | None, typer.Option(help="Start balance in quote units.")]
Seed = Annotated[int, typer.Option(help="Seed of whatever is drawn.")]
Interpreted = Annotated[bool, typer.Option("--interpreted", help="Strategies as plain Python: breakpoints, any library.")]


def parse_assignment(text: str) -> tuple[str, str]:
    """Return ("ema_cross.fast", "10") of "ema_cross.fast=10"."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value or "." not in key:
        raise ConfigError(f"--set {text}: write it as strategy.parameter=value, for example --set ema_cross.fast=10.")
    return key, value


def parse_assignments(given: list[str] | None) -> dict[str, str]:
    """Return every `--set` of a command line as {"ema_cross.fast": "10"}."""
    return dict(parse_assignment(each) for each in given or [])
