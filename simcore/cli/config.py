"""The commands `simcore config check|schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from simcore.cli.options import AsJson, ConfigFolder
from simcore.cli.shell import CHECK_FAILED, print_json, say

app = typer.Typer(help="Configuration: check a folder, export its JSON Schema.", no_args_is_help=True)
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write one file a schema here, for an editor to use.")]


@app.command("check")
def check(config: ConfigFolder = None, as_json: AsJson = False) -> None:
    """Read every file, check each by itself and all against one another; exit 1 on an error."""
    from simcore.config import check_config

    errors, warnings = check_config(config)
    if as_json:
        print_json({"errors": list(errors), "warnings": list(warnings)})
    else:
        for line in errors:
            print(f"error: {line}")
        for line in warnings:
            print(f"warning: {line}")
        say(f"{config or 'packaged config'}: {len(errors)} errors, {len(warnings)} warnings")
    raise typer.Exit(CHECK_FAILED if errors else 0)


@app.command("schema")
def schema(out: Out = None) -> None:
    """Print the JSON Schema of every config file as one object, or write them as files."""
    from simcore.config import json_schemas

    if out is None:
        print_json(json_schemas())
        return
    for path in write_schemas(out):
        say(str(path))


def write_schemas(folder: Path) -> list[Path]:
    """Write the JSON Schema of each config file, which the files name so that editors complete keys; return the paths."""
    from simcore.config import json_schemas

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in json_schemas().items():
        path = folder / f"{name.removesuffix('.json')}.schema.json"
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths
