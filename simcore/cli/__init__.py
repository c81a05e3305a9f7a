"""The command line, one file a command.

Exit codes: 0 fine; 1 a check failed; 2 the person's mistake, said in one message; 3 a fault of simcore itself.
Modules here import nothing heavy at the top: `simcore --help` starts neither numba nor pandas.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from simcore import __version__
from simcore.cli import (
    allocator_probe,
    certificate,
    config,
    data,
    expectancy_builder,
    fidelity,
    init,
    replay,
    scoring_probe,
    screener_probe,
    strategy,
    sweep,
    validate,
    vetoes,
    warmup,
)
from simcore.cli.shell import explain

app = typer.Typer(
    name="simcore",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("replay")(replay.replay)
app.command("fidelity")(fidelity.fidelity)
app.command("sweep")(sweep.sweep)
app.command("validate")(validate.validate)
app.command("vetoes")(vetoes.vetoes)
app.command("promote")(validate.promote)
app.command("expectancy-builder")(expectancy_builder.expectancy_builder)
app.command("scoring-probe")(scoring_probe.scoring_probe)
app.command("allocator-probe")(allocator_probe.allocator_probe)
app.command("screener-probe")(screener_probe.screener_probe)
app.command("warmup")(warmup.warmup)
app.command("init")(init.init)
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
app.add_typer(strategy.app, name="strategy")
app.add_typer(certificate.app, name="certificate")


def print_version(wanted: bool) -> None:
    """Print the version and stop, when asked to."""
    if wanted:
        print(f"simcore {__version__}")
        raise typer.Exit


@app.callback()
def simcore(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)] = False,
) -> None:
    """Backtest-first trading for Binance USD-M futures: replay, look, decide."""


# Imports make hundreds of thousands of objects that stay; with Python's default of 700, looking through them takes 0.2 s of a command.
OBJECTS_PER_COLLECTION = 1_000_000


def main() -> None:
    """Run the command named on the command line and leave with its exit code."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the outermost door: every fault becomes a message and an exit code
        sys.exit(explain(error, as_json="--json" in sys.argv))
    finally:
        gc.freeze()  # nothing is garbage but all of it: taking it apart one by one would take 0.3 s
