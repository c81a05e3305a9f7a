"""The command `simcore sweep`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simcore.cli.options import (
    AsJson,
    Assignments,
    Cash,
    Catalog,
    ConfigFolder,
    Interval,
    Quiet,
    Seed,
    Strategies,
    Symbols,
    parse_assignments,
)
from simcore.cli.shell import print_json, print_table, progress_bar, say
from simcore.domain.errors import ConfigError

if TYPE_CHECKING:
    from simcore.validation.sweep import Row, Sweep

Grid = Annotated[
    list[str], typer.Option("--grid", metavar="KEY=VALUES", help="fast=10:50:10 (FIRST:LAST:STEP) or fast=10,20,50; repeat for several.")
]
Windows = Annotated[
    list[str] | None, typer.Option("--window", metavar="START..END", help="2025-01-01..2025-04-01; repeat for several.")
]
Together = Annotated[bool, typer.Option("--together", help="All symbols in one account; without it, each by itself.")]
Random = Annotated[int | None, typer.Option("--random", metavar="N", help="Try N points of the grid, drawn at random.")]
Search = Annotated[int | None, typer.Option("--search", metavar="N", help="Try N points where Optuna expects the best.")]
By = Annotated[str, typer.Option("--by", metavar="METRIC", help="sharpe, net_pnl, total_return or max_drawdown.")]
Study = Annotated[str, typer.Option(help="The question these trials belong to, in the ledger.")]
Ledger = Annotated[Path, typer.Option("--trials", metavar="FILE", help="Trial ledger; what it holds already is not played again.")]
Threads = Annotated[int | None, typer.Option(help="Threads of this machine; without it, one a processor.")]
Cluster = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers play instead, such as tcp://host:8786.")]
Top = Annotated[int, typer.Option(help="Rows to print.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write every row, as .csv or .parquet.")]
SHOWN = ("net_pnl", "total_return", "sharpe", "max_drawdown", "n_trades", "dsr")


def sweep(
    grid: Grid,
    config: ConfigFolder = None,
    data: Catalog = None,
    symbols: Symbols = None,
    window: Windows = None,
    interval: Interval = None,
    together: Together = False,
    strategy: Strategies = None,
    assign: Assignments = None,
    cash: Cash = None,
    seed: Seed = 0,
    random: Random = None,
    search: Search = None,
    by: By = "sharpe",
    study: Study = "",
    trials: Ledger = Path("runs/trials.jsonl"),
    threads: Threads = None,
    cluster: Cluster = None,
    top: Top = 10,
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Replay every combination of parameters, windows and symbols; all of them go into the trial ledger."""
    from simcore.api import sweep as run_sweep

    if random is not None and search is not None:
        raise ConfigError("--random and --search: choose one way to draw points.")
    method = "random" if random is not None else "optuna" if search is not None else "grid"
    with progress_bar("sweep", quiet or as_json) as progress:
        done = run_sweep(
            axes_of(grid),
            data=data,
            symbols=symbols,
            windows=[parse_window(each) for each in window] if window else None,
            interval=interval,
            together=together,
            strategy=strategy or None,
            config=config,
            params=parse_assignments(assign),
            cash=cash,
            seed=seed,
            method=method,
            draws=random if random is not None else search,
            by=by,
            study=study,
            trials=trials,
            threads=threads,
            cluster=cluster,
            progress=progress,
        )
    if out is not None:
        write(done, out)
    if as_json:
        print_json(done.summary())
    elif not quiet:
        show(done, top)


def axes_of(given: list[str]) -> dict[str, str]:
    """Return {"fast": "10:50:10"} of ["fast=10:50:10"]."""
    axes: dict[str, str] = {}
    for text in given:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not key or not values:
            raise ConfigError(f"--grid {text}: write it as fast=10:50:10 or fast=10,20,50.")
        if key in axes:
            raise ConfigError(f"--grid {text}: {key} is given twice. Put all its values in one place.")
        axes[key] = values
    return axes


def parse_window(text: str) -> tuple[str | None, str | None]:
    """Return ("2025-01-01", "2025-04-01") of "2025-01-01..2025-04-01"; an end left out is None."""
    start, dots, end = (part.strip() for part in text.partition(".."))
    if not dots:
        raise ConfigError(f"--window {text}: write it as 2025-01-01..2025-04-01; leave one end out for all there is.")
    return start or None, end or None


def show(done: Sweep, top: int) -> None:
    """Print the best points, and what the best is worth."""
    ranked = done.ranked()[:top]
    rows = [[*row.point.values(), ",".join(row.trial.symbols), *figures(row)] for group in ranked for row in group]
    print_table(f"{done.study}: best of {len(done.points):,} points by {done.by}", [*done.best[0].point, "symbols", *SHOWN], rows)
    summary: dict[str, Any] = done.summary()
    best = summary["best"]
    say(f"best: {json.dumps(best['point'])}")
    dsr = best["dsr"]
    worth = "is not determined" if dsr is None else f"is {dsr:.3f}"
    say(f"Its deflated Sharpe ratio, counting {done.n_trials:,} trials of this study on record, {worth}: the chance that it beats luck.")
    if done.left_out:
        say(f"{done.left_out:,} points were left out: the config's own rules refuse them.")
    if summary["known"]:
        say(f"{summary['known']:,} of {len(done.rows):,} trials were in the ledger already.")


def figures(row: Row) -> list[float | None]:
    """Return the shown figures of a row, rounded."""
    values = [row.figure(name) for name in SHOWN[:-1]] + [row.dsr]
    return [None if value != value else round(value, 4) for value in values]


def write(done: Sweep, path: Path) -> None:
    """Write every row as a table, whole or not at all."""
    from simcore.report.run import write_whole

    frame = done.frame()
    if path.suffix == ".parquet":
        write_whole(path, lambda out: frame.to_parquet(out, index=False))
    elif path.suffix == ".csv":
        write_whole(path, lambda out: out.write(frame.to_csv(index=False).encode()))
    else:
        raise ConfigError(f"--out {path}: name a .csv or a .parquet file.")
