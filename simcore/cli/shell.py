"""The terminal: what every command shares to speak to a person or a script."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simcore.domain.errors import InvariantError, SimcoreError

OK, CHECK_FAILED, MISTAKE, INTERNAL = 0, 1, 2, 3
Progress = Callable[[int, int, str], None]


def say(text: str = "") -> None:
    """Print one line for a person, on stderr: stdout belongs to results."""
    print(text, file=sys.stderr, flush=True)


def print_json(result: Any) -> None:
    """Print the one JSON object of a `--json` run on stdout; NaN and infinity have no place in it."""
    print(json.dumps(result, allow_nan=False, ensure_ascii=False), flush=True)


def explain(error: Exception, as_json: bool) -> int:
    """Say what went wrong, with a traceback only when the fault is simcore's own; return the exit code."""
    mistake = isinstance(error, (SimcoreError, OSError)) and not isinstance(error, InvariantError)
    if as_json:
        print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
    if not mistake:
        traceback.print_exception(error)
        say("This is a fault of simcore, not yours. The command and the lines above are what a report of it needs.")
        return INTERNAL
    say(f"{type(error).__name__}: {error}")
    return MISTAKE


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Progress | None]:
    """Give a callable(done, total, word) that draws a bar with the time left on stderr; None when nobody is watching."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int, word: str = "") -> None:
            bar.update(task, completed=done, total=total, description=word or label)

        yield show


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print rows as a plain aligned table on stdout; numbers to the right."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in texts)]) for i, name in enumerate(columns)]
    right = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]
    if title:
        print(title)
    for row in [columns, *texts]:
        print("  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(row, widths, right, strict=True)).rstrip())


def cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
