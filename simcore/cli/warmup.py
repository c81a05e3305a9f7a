"""The command `simcore warmup`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from simcore.cli.options import AsJson, Quiet
from simcore.cli.shell import Progress, print_json, progress_bar, say

Books = Annotated[bool, typer.Option("--books", help="What replays of order books need, not those of bars.")]


def warmup(books: Books = False, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Compile what a replay needs, once; later runs load it from the cache."""
    started = time.perf_counter()
    silent = quiet or as_json
    if not silent:
        say("compiling the engine and the strategies (half a minute the first time, a second when cached)")
    with progress_bar("compiling", silent) as progress:
        from simcore.jit import KERNEL_CACHE
        from simcore.replay import warmup as compile_all

        compile_all(progress or (None if silent else step_lines()), books)
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"seconds": round(seconds, 3), "cache": str(KERNEL_CACHE)})
    elif not quiet:
        say(f"ready in {seconds:.1f} s; compiled code is kept in {KERNEL_CACHE}")


def step_lines() -> Progress:
    """Give a callable(done, total, word) that prints each new word as a line: the progress of a log file."""
    last = ""

    def step(done: int, total: int, word: str = "") -> None:
        nonlocal last
        if word and word != last:
            last = word
            say(f"  {done}/{total}  {word}")

    return step
