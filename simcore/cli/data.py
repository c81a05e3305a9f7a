"""The commands `simcore data import|list|check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simcore.cli.options import AsJson, Quiet
from simcore.cli.shell import CHECK_FAILED, print_json, print_table, progress_bar, say
from simcore.domain.errors import DataError

if TYPE_CHECKING:
    from replay_data.catalog import Catalog
    from replay_data.verify import Verdict

app = typer.Typer(help="Market data: import files into a catalog, list it, check it.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--data", metavar="CATALOG", help="Catalog folder.")]
Source = Annotated[Path, typer.Argument(help="File, or folder read with everything under it: zip, csv, csv.gz, parquet, jsonl.gz.")]
Books = Annotated[bool, typer.Option("--books", help="Also hold every order book against its recorded book ticker.")]
CATALOG = Path("catalog")


@app.command("import")
def import_files(path: Source, catalog: Folder = CATALOG, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Import bars, funding, and recordings or tick files of order books; exit 1 when a file was refused or a recording has faults."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")

    from replay_data.catalog import Catalog

    with progress_bar("import", quiet or as_json) as progress:
        report = Catalog(catalog).import_path(path, progress=progress)
    if as_json:
        print_json({"catalog": str(catalog), **asdict(report)})
    elif not quiet:
        say(
            f"{catalog}: {report.files:,} files, {report.rows:,} rows in {len(report.series):,} series, {report.duplicates:,} "
            f"duplicates dropped, {report.gaps:,} gaps of {report.gap_bars:,} bars, {report.off_tick_prices:,} off-tick prices"
        )
        if report.events:
            say(f"{catalog}: {report.events:,} order book events")
        book = " --interval book" if report.events and not report.rows else ""
        say(f"next: simcore replay --data {catalog}{book}")
    for file, reason in report.refused:
        say(f"refused {file}: {reason}")
    for fault in () if as_json else report.faults:
        say(f"fault {fault}")
    raise typer.Exit(CHECK_FAILED if report.refused or report.faults else 0)


@app.command("list")
def list_series(catalog: Folder = CATALOG, as_json: AsJson = False) -> None:
    """List every series and order book of a catalog with its first and last time, rows and gaps."""
    opened = open_catalog(catalog)
    series, books = opened.series(), opened.books()
    if as_json:
        print_json({"catalog": str(catalog), "series": [asdict(each) for each in series], "books": [asdict(each) for each in books]})
        return

    from replay_data.interval import iso

    rows = [[s.kind, s.symbol, s.interval, iso(s.first_ns), iso(s.last_ns), s.rows, len(s.gaps)] for s in series]
    rows += [["book", b.symbol, b.label, iso(b.first_ns), iso(b.last_ns), b.rows, len(b.spans)] for b in books]
    print_table(f"{catalog}: {len(rows)} series", ["kind", "symbol", "interval", "first", "last", "rows", "gaps"], rows)


@app.command("check")
def check(catalog: Folder = CATALOG, books: Books = False, as_json: AsJson = False) -> None:
    """Read every file again and compare its hash; exit 1 when something is wrong."""
    opened = open_catalog(catalog)
    problems = opened.check()
    verdicts = verify_books(opened) if books else []
    if as_json:
        told = [asdict(each) for each in problems]
        print_json({"catalog": str(catalog), "problems": told, "books": [asdict(each) for each in verdicts]})
    else:
        for problem in problems:
            print(f"{problem.where}: {problem.what}")
        for verdict in verdicts:
            say(f"{verdict.symbol} {verdict.label}: {verdict.equal:,} of {verdict.compared:,} books equal the recorded book ticker")
            for wrong in verdict.wrong:
                print(f"{verdict.symbol} {verdict.label}: {wrong}")
        say(f"{catalog}: {len(problems)} problems" if problems else f"{catalog}: every file is what it was when written")
    raise typer.Exit(CHECK_FAILED if problems or not all(verdict.fine for verdict in verdicts) else 0)


def verify_books(catalog: Catalog) -> list[Verdict]:
    """Return the verdict on every stored recording of an order book."""
    from replay_data.verify import verify_recording

    return [verify_recording(catalog, info) for info in catalog.books()]


def open_catalog(folder: Path) -> Catalog:
    """Return the catalog of a folder that exists."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such catalog folder. Make one with 'simcore data import PATH --data {folder}'.")

    from replay_data.catalog import Catalog

    return Catalog(folder)
