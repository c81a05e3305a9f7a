"""The compilation of the engine ahead of a run: its parts side by side on two processors, each cached once for all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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


def compile_core() -> None:
    """Compile the decision core's joints."""
    from simcore.decision.joints import core_functions
    from simcore.domain.records import MAX_STRATEGIES
    from simcore.strategy import noop_bar, noop_cross

    core_functions((noop_bar,) * MAX_STRATEGIES, (noop_cross,) * MAX_STRATEGIES)


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


def warmup(progress: Progress | None = None) -> None:
    """Compile everything a replay of the shipped strategies needs, or read it from the cache, with a word on each part.

    When nothing is cached yet, a second process compiles venue, loop and strategies while this one compiles the core and meets
    it among the strategies. What only other uses need (order books, quotes, re-runs of journals) is compiled at their first use.
    """
    parts: list[tuple[str, Callable[[], Any]]] = [
        ("decision core", compile_core),
        ("venue", compile_venue),
        ("replay loop", compile_step),
        ("strategies", compile_strategies),
        ("first replay and sample", compile_rest),
    ]
    helper = None
    ready = KERNEL_CACHE / "ready"
    if COMPILING and not ready.exists():
        helper = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "simcore.replay.compile"], stdout=subprocess.DEVNULL)
    for done, (word, step) in enumerate(parts):
        if progress is not None:
            progress(done, len(parts), word)
        step()
        if done == 0 and helper is not None:
            if progress is not None:
                progress(1, len(parts), "venue, loop and strategies (two processes)")
            compile_strategies(backwards=True)
            # Whatever it did not finish is compiled here, so its exit code does not matter.
            helper.wait()
    if COMPILING:
        ready.touch()
    if progress is not None:
        progress(len(parts), len(parts), "ready")


def main() -> None:
    """Be the second process."""
    compile_venue()
    compile_step()
    compile_strategies()


if __name__ == "__main__":
    main()
