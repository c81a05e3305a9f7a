"""The commands `simcore certificate key|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simcore.cli.options import AsJson, Catalog, ConfigFolder
from simcore.cli.shell import CHECK_FAILED, print_json, say

app = typer.Typer(help="Promotion certificates: make a signing key, verify a certificate.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(metavar="FILE", help="Certificate written by `simcore promote`.")]
Public = Annotated[Path, typer.Option("--key", metavar="FILE.pub", help="Public key that must have signed it.")]
Policies = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of v6_policies.json; without it, the certificate's own.")]


@app.command("key")
def key(path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the private key; the public one is FILE.pub.")]) -> None:
    """Make a signing key; an existing one is never overwritten."""
    from simcore.validation.signing import make_key

    name = make_key(path)
    say(f"{path}: private key {name}, keep it to yourself; {path}.pub is what verifiers trust")


@app.command("verify")
def verify(
    file: File, trusted: Public, config: ConfigFolder = None, data: Catalog = None, policies: Policies = None, as_json: AsJson = False
) -> None:
    """Hold a certificate against what is there now; exit 1 and say in words what does not fit."""
    from simcore.api import verify as check

    found = check(file, trusted, data=data, config=config, policies=policies)
    if as_json:
        print_json({"certificate": str(file), "holds": not found, "mismatches": [{"kind": m.kind, "message": m.message} for m in found]})
    else:
        for mismatch in found:
            print(mismatch)
        say(f"{file}: {f'{len(found)} mismatches: not to be used' if found else 'holds'}")
    raise typer.Exit(CHECK_FAILED if found else 0)
