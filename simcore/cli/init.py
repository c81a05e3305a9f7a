"""The command `simcore init`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from simcore.cli.config import write_schemas
from simcore.cli.shell import say
from simcore.domain.errors import ConfigError

TEMPLATE = Path(__file__).parent / "workspace" / "my_strategy.py"
NAME = "my_strategy"
REGISTERED = """    "my_strategy": {
      "module": "my_strategy",
      "summary": "Your own: long while the fast average is clearly above the slow one, short while clearly below.",
      "params": {
        "fast": {"default": 24, "min": 1, "max": 5000, "unit": "bars", "less_than": "slow"},
        "slow": {"default": 96, "min": 2, "max": 10000, "unit": "bars"},
        "band_bps": {"default": 10.0, "min": 0, "max": 1000, "unit": "bps"}
      }
    },
"""
USED = """    "my_strategy": {
      "enabled": true,
      "interval": "1h",
      "params": {"fast": 24, "slow": 96, "band_bps": 10.0}
    },
"""


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; it must not exist, or be empty.")]


def init(folder: Folder) -> None:
    """Make a workspace: config to edit and a commented strategy of your own that replays at once."""
    from simcore.config import default_folder, load_config

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there already and not empty. Name a new folder.")
    config = folder / "config"
    config.mkdir(parents=True)
    for source in sorted(default_folder().glob("*.json")):
        shutil.copyfile(source, config / source.name)
    write_schemas(config / "schema")
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    register(config / "strategy_registry.json", REGISTERED)
    switch_all_off(config / "strategy_config.json")
    register(config / "strategy_config.json", USED)
    load_config(config)
    say(f"{folder}: ready. Your strategy is {folder / TEMPLATE.name}; the limits it trades under are in {config}.")
    say(f"next: simcore replay --config {config}")
    say(f"      simcore strategy check {NAME} --config {config}")


def register(path: Path, entry: str) -> None:
    """Put `entry` first among the file's strategies, leaving every other character as a person wrote it."""
    text = path.read_text(encoding="utf-8")
    opening = '  "strategies": {\n'
    if text.count(opening) != 1:
        raise ConfigError(f"{path.name}: expected one line {opening.strip()!r}; add the entry by hand:\n{entry}")
    path.write_text(text.replace(opening, opening + entry), encoding="utf-8")


def switch_all_off(path: Path) -> None:
    """Leave the shipped strategies registered but off: a first workspace replays one strategy, its own."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"enabled": true', '"enabled": false'), encoding="utf-8")
