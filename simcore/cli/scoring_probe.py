"""The command `simcore scoring-probe`."""

from __future__ import annotations

from simcore.cli.options import Before, ConfigFolder, RunFolder
from simcore.cli.probes import grounds
from simcore.cli.shell import print_json


def scoring_probe(run: RunFolder = None, before: Before = None, config: ConfigFolder = None) -> None:
    """Print every symbol's score in [0, 1] with its own arithmetic, as JSON."""
    from simcore.report.probes import scoring_report

    print_json(scoring_report(*grounds(run, before, config)))
