"""A quiet stretch is played in one go and, to the last byte of every record, as if bar by bar."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.feed import Feed
from simcore.config import Config
from simcore.engine.stretch import is_quiet_nb
from simcore.replay import Session
from tests.doors import door
from tests.worlds import config_of, make_feed

ALONE = ("sma_cross", "ema_cross", "donchian_breakout", "zscore_reversion", "funding_carry")
NOTED = ("journal_on", "n_inputs", "n_reports", "reports_before")


@cache
def config(strategy: str, mode: str, kill_at: float, wait_s: float) -> Config:
    """Return the config of one strategy on the replayed bars, with few clocks that end a stretch."""
    limits = {"max_drawdown_pct": kill_at}
    changes = {"position_mode": mode, "router.wait_s": wait_s, "equity_sample_s": 14_400}
    return config_of([strategy], limits=limits, settings=changes)


def records(session: Session) -> dict[str, bytes]:
    """Return all that a session knows, but for what was noted in its journal."""
    run = session.runs.copy()
    for name in NOTED:
        run[name] = 0
    tables = {name: session.output.table(name).tobytes() for name in ("ledger", "trade", "route_done", "equity")}
    core, venue = session.core, session.venue
    known = {f"core {name}": np.ascontiguousarray(core[name]).tobytes() for name in core.dtype.names if name not in tables}
    known |= {f"venue {name}": np.ascontiguousarray(venue[name]).tobytes() for name in venue.dtype.names}
    return known | tables | {"run": run.tobytes(), "memory": session.memory.tobytes()}


def assert_same(one: Session, other: Session) -> None:
    """Stop at the first record in which two sessions differ."""
    for session in (one, other):
        session.collect()
    ours, theirs = records(one), records(other)
    assert [name for name in ours if ours[name] != theirs[name]] == []


def quiet_steps(feed: Feed, wanted: Config, steps: list[int]) -> int:
    """Play a feed once in stretches and once bar by bar, cut at the same slices; return at how many cuts it was quiet."""
    free, noted = Session(feed, wanted), Session(feed, wanted, journal=True)
    quiet = 0
    for step in steps:
        free.advance(max_slices=step)
        noted.advance(max_slices=step)
        quiet += bool(door(is_quiet_nb)(free.run, free.venue, free.core))
        assert_same(free, noted)
    free.finish()
    noted.finish()
    assert_same(free, noted)
    return quiet


WORLDS = {
    "seed": st.integers(0, 100_000),
    "strategy": st.sampled_from(ALONE),
    "mode": st.sampled_from(["hedge", "one_way"]),
    "kill_at": st.sampled_from([0.02, 0.9]),
    "funding": st.sampled_from([0, 45]),
    "gaps": st.booleans(),
    "steps": st.lists(st.integers(1, 120), max_size=5),
}


@settings(max_examples=40)
@given(**WORLDS)
def test_a_quiet_stretch_is_what_its_bars_would_be(seed, strategy, mode, kill_at, funding, gaps, steps) -> None:
    feed = make_feed(seed, 1, 400, marks=0, funding=funding, gaps=gaps, jumps=0.002)
    quiet_steps(feed, config(strategy, mode, kill_at, 600.0), steps)


@pytest.mark.campaign
@settings(max_examples=2_000)
@given(**WORLDS)
def test_quiet_stretches_are_what_their_bars_would_be_in_thousands_of_worlds(seed, strategy, mode, kill_at, funding, gaps, steps) -> None:
    feed = make_feed(seed, 1, 400, marks=0, funding=funding, gaps=gaps, jumps=0.002)
    quiet_steps(feed, config(strategy, mode, kill_at, 600.0), steps)


@pytest.mark.jitless
def test_stretches_are_quiet_and_trades_happen_between_them() -> None:
    feed = make_feed(3, 1, 400, marks=0, funding=0)
    wanted = config("sma_cross", "hedge", 0.9, 600.0)
    assert quiet_steps(feed, wanted, [13] * 25) > 5
    session = Session(feed, wanted)
    session.finish()
    assert session.output.count("trade") > 5
