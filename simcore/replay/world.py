"""The replay world: one call from feed and config to a finished recording."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from replay_data.feed import Feed
from replay_data.interval import interval_name
from simcore.config import Config
from simcore.decision.pipeline import sample_equity_nb
from simcore.learning.snapshots import PolicyHistory
from simcore.replay.recording import Display, Recording
from simcore.replay.session import Session
from simcore.strategy import Strategy

Progress = Callable[[int, int, str], None]
SLICES_PER_REPORT = 20_000
MINUTE_NS = 60_000_000_000
FIRST_NS = 1_735_689_600_000_000_000  # 2025-01-01, for the feed that only warms up


def run_replay(
    feed: Feed,
    config: Config,
    *,
    strategies: list[Strategy] | None = None,
    seed: int = 0,
    interpreted: bool = False,
    journal: str | None = None,
    policies: str | Path | PolicyHistory | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Replay a feed through the whole pipeline and return the recording.

    strategies: decorated objects that stand for the registered strategies of their names. seed: kept with the recording;
    nothing is drawn on bars. journal: path of an .npz file that receives the run's input stream. policies: a history
    of policies, or its folder, to replay under instead of learning. progress: called with (done, total, word), in bars.

    Raises ConfigError, DataError, StrategyError, InvariantError.
    """
    started = time.perf_counter()
    history = PolicyHistory.load(policies) if isinstance(policies, (str, Path)) else policies
    session = Session(feed, config, strategies, interpreted=interpreted, journal=journal is not None, history=history)
    loaded = time.perf_counter()
    session.advance(max_slices=0)
    compiled = time.perf_counter()
    play(session, len(feed.events) if feed.kind == "book" else len(feed.bars), progress)
    played = time.perf_counter()
    if journal is not None:
        session.journal.journal(feed.filters).save(journal)
    bars = len(feed.bars)
    events = int(session.run["events"])
    seconds = max(played - compiled, 1e-9)
    speed = {
        "load_s": loaded - started,
        "compile_s": compiled - loaded,
        "replay_s": played - compiled,
        "events_per_s": events / seconds,
    }
    totals = session.core["totals"].copy()
    totals["events"], totals["slices"], totals["bars"] = events, session.run["slices"], bars
    return record(session, config, seed, totals, speed)


def play(session: Session, total: int, progress: Progress | None) -> None:
    """Play a session to its end, in steps that a progress bar can follow."""
    if progress is not None:
        while session.advance(max_slices=SLICES_PER_REPORT) == SLICES_PER_REPORT:
            progress(int(session.run["events"]), total, "replay")
    session.finish()


def equity_to_the_end(session: Session) -> np.ndarray:
    """Return the session's equity samples, with one of its last decision at their end."""
    rows, core = session.output.table("equity"), session.core
    if not len(rows) or rows[-1]["ts_ns"] == core["now_ns"]:
        return rows
    getattr(sample_equity_nb, "py_func", sample_equity_nb)(core)
    last = core["equity"][:1].copy()
    core["n_equity"] = 0
    return np.concatenate([rows, last])


def record(session: Session, config: Config, seed: int, totals: Any, speed: dict[str, float]) -> Recording:
    """Wrap up a finished session."""
    plan, output, feed = session.plan, session.output, session.feed
    return Recording(
        feed=feed,
        config_hash=config.hash,
        strategies=tuple(use.name for use in plan.uses),
        params={use.name: dict(use.params) for use in plan.uses},
        seed=seed,
        cash=config.cash,
        start_ns=feed.start_ns,
        end_ns=feed.end_ns,
        interval="book" if feed.kind == "book" else interval_name(plan.base_ns),
        ledger=partial(output.table, "ledger", output.count("ledger")),
        trades=partial(output.table, "trade", output.count("trade")),
        routes=partial(output.table, "route_done", output.count("route_done")),
        equity=equity_to_the_end(session),
        totals=totals,
        account=session.core["account"].copy(),
        venue_account=session.venue["account"].copy(),
        digest=output.digest(),
        speed=speed,
        caveats=tuple(dict.fromkeys(plan.caveats)),
        display=display_of(config),
        policies=() if session.refresher is None else tuple(session.refresher.snapshots),
    )


def display_of(config: Config) -> Display:
    """Return what the config says about showing results."""
    shown, criteria = config.dashboard, config.validation.criteria
    return Display(shown.title, shown.theme, shown.chart_bars, shown.table_rows, criteria.max_ambiguous_exits_pct)


def first_step() -> None:
    """Open a session over the shortest feed there is and play it: compiles the loop, or reads it from the cache."""
    from replay_data.feed import from_arrays
    from simcore.config import load_config
    from simcore.ledger import unpack_rows_nb

    one = [100.0, 100.0]
    columns = {"open_time": [FIRST_NS, FIRST_NS + MINUTE_NS], "open": one, "high": one, "low": one, "close": one, "volume": one}
    feed = from_arrays({"SYNAUSDT": columns}, interval="1m", tick_size=0.1, step_size=0.001)
    run_replay(feed, load_config())
    unpack_rows_nb.compiled  # noqa: B018 - the property compiles
