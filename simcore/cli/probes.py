"""What the probes of the learning layer share: where their trades and their config come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simcore.cli.shell import progress_bar

if TYPE_CHECKING:
    from simcore.config import Config
    from simcore.learning.trades import TradeTable


def grounds(run: Path | None, before: str | None, config: Path | None) -> tuple[TradeTable, Config, str]:
    """Return the trades of a run folder (or of the sample, replayed now), the config, and what the trades are called."""
    from simcore.api import replay, to_ns
    from simcore.config import load_config
    from simcore.learning.trades import trade_table
    from simcore.report.probes import known_before, saved_trades

    settings, moment = load_config(config), to_ns(before, "--before")
    if run is not None:
        return known_before(saved_trades(run), moment), settings, str(run)
    with progress_bar("replay", quiet=False) as progress:
        done = replay(config=settings, progress=progress)
    return known_before(trade_table(done), moment), settings, done.recording.feed.label
