"""The command `simcore expectancy-builder`."""

from __future__ import annotations

from simcore.cli.options import Before, ConfigFolder, RunFolder
from simcore.cli.probes import grounds
from simcore.cli.shell import print_json


def expectancy_builder(run: RunFolder = None, before: Before = None, config: ConfigFolder = None) -> None:
    """Print what trades brought by symbol, hour and regime, as JSON; saved to a file, load_expectancy reads it."""
    from simcore.report.probes import expectancy_report

    print_json(expectancy_report(*grounds(run, before, config)))
