"""The commands `simcore strategy check|list`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from simcore.cli.options import AsJson, ConfigFolder
from simcore.cli.shell import CHECK_FAILED, print_json, print_table

app = typer.Typer(help="Strategies: list them, prove that one repeats itself and sees no future.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name in strategy_registry.json.")]


@app.command("check")
def check(name: Name, config: ConfigFolder = None, as_json: AsJson = False) -> None:
    """Drive a strategy over bars: twice, with the future cut off, with the future scrambled, compiled and interpreted."""
    from simcore.api import find_strategy
    from simcore.strategy import check_strategy

    found, params = find_strategy(name, config)
    report = check_strategy(found, params=params)
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        print(report)
    raise typer.Exit(0 if report.ok else CHECK_FAILED)


@app.command("list")
def list_strategies(config: ConfigFolder = None, as_json: AsJson = False) -> None:
    """List the strategies that are switched on, with interval and parameters."""
    from simcore.config import load_config

    entries = load_config(config).enabled_strategies
    if as_json:
        print_json({"strategies": [{"name": each.name, "interval": each.interval, "params": each.params} for each in entries]})
        return
    rows = [[each.name, each.interval, " ".join(f"{key}={value:g}" for key, value in each.params.items())] for each in entries]
    print_table("", ["strategy", "interval", "parameters"], rows)
