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
