"""The compilation of the engine ahead of a run: its parts side by side on two processors, each cached once for all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from simcore.jit import COMPILING, KERNEL_CACHE

Progress = Callable[[int, int, str], None]


def compile_venue() -> None:
    """Compile the venue's joints."""
    from simcore.engine.joints import venue_functions

    venue_functions()


def compile_strategies(backwards: bool = False) -> None:
    """Compile every strategy that the packaged config enables, first to last or last to first."""
    from simcore.config import load_config
    from simcore.strategy import load_strategy

    for entry in list(load_config().enabled_strategies)[:: -1 if backwards else 1]:
        load_strategy(entry.module, entry.name).compiled  # noqa: B018 - the property compiles


def compile_book_strategies(backwards: bool = False) -> None:
    """Compile every strategy of the packaged registry that follows an order book."""
    from simcore.config import load_config
    from simcore.strategy import load_strategy

    config = load_config()
    registered = [load_strategy(config.entry(name).module, name) for name in config.files.strategy_registry.strategies]
    for strategy in [each for each in registered if each.on_book][:: -1 if backwards else 1]:
        strategy.compiled  # noqa: B018 - the property compiles


def compile_core(quoting: bool = False) -> None:
    """Compile the decision core's joints."""
    from simcore.decision.joints import core_functions
    from simcore.domain.records import MAX_STRATEGIES
    from simcore.strategy import noop_bar, noop_cross

    core_functions((noop_bar,) * MAX_STRATEGIES, (noop_cross,) * MAX_STRATEGIES, quoting)


def compile_books() -> None:
    """Compile the loop over order books, and the exchange of them."""
    from simcore.engine.book_joints import book_functions
    from simcore.engine.book_step import advance_books_nb

    advance_books_nb.compiled  # noqa: B018 - the property compiles
    book_functions()


def compile_book_account() -> None:
    """Compile the exchange's account on order books, and the last word of a replay."""
    from simcore.engine.book_step import deliver_rest_nb
    from simcore.engine.joints import venue_functions

    venue_functions(on_books=True)
    deliver_rest_nb.compiled  # noqa: B018 - the property compiles


def compile_step() -> None:
    """Compile the loop over bars; it calls core and venue through joints, so it waits for neither."""
    from simcore.engine.step import advance_nb

    advance_nb.compiled  # noqa: B018 - the property compiles


def compile_rest() -> None:
    """Compile the small doors that a first replay passes, and unpack the embedded sample."""
    from replay_data.sample import sample_catalog
    from simcore.replay.world import first_step

    first_step()
    sample_catalog()


# What each of two processes compiles: the one that was asked, and its helper, which it meets among the strategies.
Step = tuple[str, Callable[[], Any]]
BARS: list[Step] = [("decision core", compile_core), ("strategies", partial(compile_strategies, backwards=True))]
BARS_HELPER: list[Step] = [("venue", compile_venue), ("replay loop", compile_step), ("strategies", compile_strategies)]
BOOKS: list[Step] = [
    ("decision core", compile_core),
    ("quotes", partial(compile_core, quoting=True)),
    ("account", compile_book_account),
    ("strategies of books", partial(compile_book_strategies, backwards=True)),
]
BOOKS_HELPER: list[Step] = [("books and their loop", compile_books), ("strategies of books", compile_book_strategies)]


def warmup(progress: Progress | None = None, books: bool = False) -> None:
    """Compile everything a replay of the shipped strategies needs, or read it from the cache, with a word on each part.

    books: what replays of order books need instead. When nothing is cached yet, a second process compiles half of it. What only
    other uses need (re-runs of journals, readers) is compiled at their first use.
    """
    own, others = (BOOKS, BOOKS_HELPER) if books else (BARS, BARS_HELPER)
    ready = KERNEL_CACHE / ("ready-books" if books else "ready")
    helper = None
    if COMPILING and not ready.exists():
        command = [sys.executable, "-W", "ignore", "-m", "simcore.replay.compile", *(["books"] if books else [])]
        helper = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    steps = [*own, ("the rest", wait_for(helper)), *others, *([] if books else [("first replay and sample", compile_rest)])]
    for done, (word, step) in enumerate(steps):
        if progress is not None:
            progress(done, len(steps), word + (" (beside it, in a second process, the rest)" if helper and done == 0 else ""))
        step()
    if COMPILING:
        ready.touch()
    if progress is not None:
        progress(len(steps), len(steps), "ready")


def wait_for(helper: subprocess.Popen[bytes] | None) -> Callable[[], Any]:
    """Return what waits for the second process; what it did not finish is compiled here, so its exit code does not matter."""
    return helper.wait if helper is not None else lambda: None


def main() -> None:
    """Be the second process."""
    for _, step in BOOKS_HELPER if "books" in sys.argv[1:] else BARS_HELPER:
        step()


if __name__ == "__main__":
    main()
