"""The command `simcore replay`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simcore.cli.options import AsJson, ConfigFolder, Quiet
from simcore.cli.shell import print_json, progress_bar, say
from simcore.domain.errors import ConfigError

if TYPE_CHECKING:
    from simcore.report.run import Run

Text = str | None
Catalog = Annotated[Path | None, typer.Option(metavar="CATALOG", help="Catalog folder; without it, the synthetic sample.")]
Symbols = Annotated[Text, typer.Option(metavar="A,B", help="Symbols to replay; without it, all of the catalog.")]
Start = Annotated[Text, typer.Option(metavar="TIME", help="First moment, such as 2025-05-04 (UTC).")]
End = Annotated[Text, typer.Option(metavar="TIME", help="Moment to stop before (UTC).")]
Interval = Annotated[Text, typer.Option(metavar="1m|5m|1h|...", help="Interval of the replayed bars.")]
Strategies = Annotated[list[str] | None, typer.Option("--strategy", metavar="NAME", help="Strategy to run; repeat for several.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="ema_cross.fast=10, or any key of a file: risk_limits.max_leverage=2."),
]
Cash = Annotated[float | None, typer.Option(help="Start balance in quote units.")]
Seed = Annotated[int, typer.Option(help="Seed of whatever is drawn.")]
Interpreted = Annotated[bool, typer.Option("--interpreted", help="Strategies as plain Python: breakpoints, any library.")]
Policies = Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder whose learned policies hold, each as it stood then.")]
Band = Annotated[bool, typer.Option("--band", help="Also the pessimistic fill model and double latency: PnL as a band.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder; without it, runs/<time>-<digest>.")]


def replay(
    config: ConfigFolder = None,
    data: Catalog = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    interval: Interval = None,
    strategy: Strategies = None,
    assign: Assignments = None,
    cash: Cash = None,
    seed: Seed = 0,
    interpreted: Interpreted = False,
    policies: Policies = None,
    band: Band = False,
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Replay market data through the whole pipeline and write a run folder with a report."""
    from simcore.api import replay as run_replay

    params = dict(parse_assignment(each) for each in assign or [])
    with progress_bar("replay", quiet or as_json) as progress:
        run = run_replay(
            config=config,
            data=data,
            symbols=symbols,
            start=start,
            end=end,
            interval=interval,
            strategy=strategy or None,
            params=params,
            cash=cash,
            seed=seed,
            interpreted=interpreted,
            policies=policies,
            progress=progress,
            band=band,
        )
    folder = out if out is not None else default_folder(run)
    run.save(folder)
    if as_json:
        print_json(run.summary())
        return
    if not quiet:
        run.show()
    say(f"report: {folder / 'report.html'}")


def parse_assignment(text: str) -> tuple[str, str]:
    """Return ("ema_cross.fast", "10") of "ema_cross.fast=10"."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value or "." not in key:
        raise ConfigError(f"--set {text}: write it as strategy.parameter=value, for example --set ema_cross.fast=10.")
    return key, value


def default_folder(run: Run) -> Path:
    """Return runs/<utc time>-<first 8 of the digest>: the one place where a replay's clock is the wall's."""
    return Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{run.digest[:8]}"
