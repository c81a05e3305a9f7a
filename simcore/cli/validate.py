"""The commands `simcore validate` and `simcore promote`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from simcore.cli.options import (
    AsJson,
    Assignments,
    Cash,
    Catalog,
    ConfigFolder,
    End,
    Interval,
    Quiet,
    Seed,
    Start,
    Strategies,
    Symbols,
    parse_assignment,
    parse_assignments,
)
from simcore.cli.shell import CHECK_FAILED, print_json, progress_bar, say
from simcore.domain.errors import ConfigError

Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", metavar="KEY=VALUE[,KEY=VALUE]", help="A parameter set to try beside the policies; repeat for several."),
]
Ledger = Annotated[Path, typer.Option("--trials", metavar="FILE", help="Trial ledger that every scored policy is appended to.")]
Study = Annotated[str | None, typer.Option(metavar="NAME", help="A name for the question; without it, strategies, symbols and dates.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for JSON and HTML; without it, runs/validate-<time>.")]
Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key made by `simcore certificate key`.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by `simcore validate`.")]
File = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Certificate; without it, certificate.json in the folder.")]


def validate(
    config: ConfigFolder = None,
    data: Catalog = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    interval: Interval = None,
    strategy: Strategies = None,
    assign: Assignments = None,
    variant: Variants = None,
    cash: Cash = None,
    seed: Seed = 0,
    study: Study = None,
    trials: Ledger = Path("runs/trials.jsonl"),
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Prove the learning layer walk-forward against a frozen baseline; exit 1 when a criterion refuses it."""
    from simcore.api import validate as run_validate

    folder = out if out is not None else Path("runs") / f"validate-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with progress_bar("validate", quiet or as_json) as progress:
        result = run_validate(
            config=config,
            data=data,
            symbols=symbols,
            start=start,
            end=end,
            interval=interval,
            strategy=strategy or None,
            params=parse_assignments(assign),
            variants={each: parse_variant(each) for each in variant or []},
            cash=cash,
            seed=seed,
            study=study,
            trials=trials,
            out=folder,
            progress=progress,
        )
    if as_json:
        print_json(json.loads((folder / "validation.json").read_text(encoding="utf-8")))
    elif not quiet:
        print(result)
    say(f"report: {folder / 'validation.html'}")
    if not result.verdict.passed:
        raise typer.Exit(CHECK_FAILED)


def parse_variant(text: str) -> dict[str, Any]:
    """Return {"ema_cross.fast": "12", "ema_cross.slow": "60"} of "ema_cross.fast=12,ema_cross.slow=60"."""
    pairs = [parse_assignment(each) for each in text.split(",") if each.strip()]
    if not pairs:
        raise ConfigError(f"--variant {text!r}: write it as strategy.parameter=value, several joined by commas.")
    return dict(pairs)


def promote(folder: Folder, key: Key, out: File = None, as_json: AsJson = False) -> None:
    """Sign a certificate for a validation that met every criterion; exit 2 with the criteria it failed otherwise."""
    from simcore.api import promote as sign

    where = sign(folder, key, out)
    if as_json:
        print_json({"certificate": str(where)})
    else:
        say(f"certificate: {where}")
        say(f"next: simcore certificate verify {where} --key {key}.pub")
