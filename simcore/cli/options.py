"""The options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
