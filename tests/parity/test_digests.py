"""The same decisions, however a replay is run: again, elsewhere, cut, chunked, interpreted, re-run from its journal, permuted."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simcore
from replay_data import from_arrays
from replay_data.feed import Feed
from simcore.domain.enums import InputKind, LedgerKind
from simcore.engine.step import Stop
from simcore.replay import Journal, Session, run_replay
from simcore.replay.driver import Driver
from simcore.replay.session import ALL_SLICES, FOREVER, speak
from tests.worlds import GRIDS, SIX, make_columns, make_feed, six_config

ROOT = Path(simcore.__file__).parents[1]
CUT_SEED, CUT_BARS = 21, 140
KINDS = ("ledger", "trade", "route_done", "equity")


def tables(output: Any) -> tuple[bytes, ...]:
    """Return everything a run wrote, as bytes."""
    return tuple(output.table(name).tobytes() for name in KINDS)


def finished(feed: Feed, **options: Any) -> Session:
    """Return a finished replay of the six strategies."""
    session = Session(feed, six_config(), **options)
    session.finish()
    return session


@cache
def whole() -> tuple[Feed, int, tuple[bytes, ...]]:
    """Return the feed that is cut below, its number of slices, and what an uncut run over it writes."""
    feed = make_feed(CUT_SEED, bars=CUT_BARS)
    session = finished(feed)
    assert len(session.output.table("trade")) > 20
    return feed, int(session.run["slices"]), tables(session.output)


# ------------------------------------------------------------ again, elsewhere, at once


def test_two_runs_of_the_same_world_are_equal() -> None:
    """P33."""
    feed = make_feed(1, bars=300)
    first, second = (run_replay(feed, six_config()) for _ in range(2))
    assert first.digest == second.digest
    assert first.ledger.tobytes() == second.ledger.tobytes() and first.equity.tobytes() == second.equity.tobytes()
    assert first.totals.tobytes() == second.totals.tobytes()
    assert set(first.trades["strategy"]) == set(range(len(SIX))), "every strategy must have traded"


def test_replays_in_threads_beside_each_other_are_equal_to_replays_alone() -> None:
    """P33: the compiled loop lets go of the interpreter's lock."""
    feeds = [make_feed(seed, bars=300) for seed in range(4)]
    alone = [run_replay(feed, six_config()).digest for feed in feeds]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda feed: run_replay(feed, six_config()).digest, feeds)) == alone


def in_another_process(*arguments: str, **environment: str) -> str:
    """Return what `python -m tests.worlds` prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "tests.worlds", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip()


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_with_another_hash_seed_writes_the_same_digest(hash_seed: str) -> None:
    """P33."""
    digest = run_replay(make_feed(3, 2, 120), six_config()).digest
    assert in_another_process("digest", "3", "120", PYTHONHASHSEED=hash_seed) == digest


@pytest.mark.parametrize("environment", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_DISABLE_JIT": "1", "NUMBA_BOUNDSCHECK": "1"}])
def test_the_uncompiled_engine_writes_the_compiled_ones_digest(environment: dict[str, str]) -> None:
    """P33: every kernel, run as the Python it is written in, gives the same bytes."""
    digest = run_replay(make_feed(7, 2, 110), six_config()).digest
    assert in_another_process("digest", "7", "110", **environment) == digest


@pytest.mark.jitless
def test_interpreted_strategies_decide_as_compiled_ones_do() -> None:
    feed = make_feed(8, 2, 60)
    assert tables(finished(feed, interpreted=True).output) == tables(finished(feed).output)


def test_interpreted_strategies_decide_as_compiled_ones_do_over_a_longer_feed() -> None:
    feed, _, expected = whole()
    assert tables(finished(feed, interpreted=True).output) == expected


# ------------------------------------------------------------ cut, copied, chunked


@settings(max_examples=120)
@given(data=st.data())
def test_a_run_cut_at_any_slice_and_resumed_from_a_copy_writes_the_same(data: st.DataObject) -> None:
    """P38, two cuts an example. The run that was copied goes on first, so that anything the two share would show."""
    feed, slices, expected = whole()
    session = Session(feed, six_config())
    session.advance(max_slices=data.draw(st.integers(0, slices), label="cut"))
    twin = session.copy()
    session.finish()
    again = twin.copy()
    twin.advance(max_slices=data.draw(st.integers(0, slices), label="second cut"))
    twin.copy().finish()
    twin.finish()
    again.finish()
    assert tables(session.output) == tables(twin.output) == tables(again.output) == expected


@settings(max_examples=60)
@given(data=st.data())
def test_a_run_cut_at_any_time_and_resumed_writes_the_same(data: st.DataObject) -> None:
    """P38, P39: `until_ns` on, before and between slices."""
    feed, _, expected = whole()
    session = Session(feed, six_config(), journal=data.draw(st.booleans(), label="journal"))
    for until_ns in sorted(data.draw(st.lists(st.integers(feed.start_ns - 1, feed.end_ns + 1), max_size=5), label="until")):
        session.advance(until_ns=until_ns)
        assert session.next_ns is None or session.next_ns > until_ns
        session = session.copy()
    session.finish()
    assert tables(session.output) == expected


@settings(max_examples=100)
@given(chunks=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_a_run_in_chunks_of_any_size_writes_the_same(chunks: list[int]) -> None:
    """P33, P39, its journal too."""
    feed, slices, expected = whole()
    session = Session(feed, six_config(), journal=True)
    played = 0
    for size in itertools.cycle(chunks):
        if session.next_ns is None:
            break
        moved = session.advance(max_slices=size)
        assert moved == min(size, slices - played)
        played += moved
        session.collect()
    session.finish()
    assert tables(session.output) == expected
    assert session.journal.journal(feed.filters).inputs.tobytes() == journal_of_whole()[1].inputs.tobytes()


@settings(max_examples=25)
@given(data=st.data())
def test_an_interpreted_run_can_be_cut_even_while_strategies_speak(data: st.DataObject) -> None:
    """P38: the copy is taken inside a slice, after the reports and before the strategies' wishes."""
    feed, slices, expected = whole()
    session = Session(feed, six_config(), interpreted=True)
    session.advance(max_slices=data.draw(st.integers(0, slices - 1), label="cut"))
    assert session._advance(FOREVER, ALL_SLICES) == Stop.WAKE
    twin = session.copy()
    for each in (session, twin):
        speak(each.plan, each.core, each.memory)
        each.finish()
        assert tables(each.output) == expected


def test_an_interpreted_run_cut_between_slices_writes_the_same() -> None:
    feed, slices, expected = whole()
    for cut in np.random.default_rng(5).integers(0, slices + 1, 10):
        session = Session(feed, six_config(), interpreted=True)
        assert session.advance(max_slices=int(cut)) == cut
        twin = session.copy()
        session.finish()
        twin.finish()
        assert tables(session.output) == tables(twin.output) == expected


# ------------------------------------------------------------ the journal


@pytest.mark.parametrize("interpreted", [False, True])
def test_the_journal_of_a_run_makes_a_lonely_core_decide_and_request_the_same(interpreted: bool) -> None:
    """The bulk loop keeps no requests; the driver, equal to it in every byte, does."""
    feed, _, expected = whole()
    session = finished(feed, journal=True)
    journal = session.journal.journal(feed.filters)
    again = journal.rerun(session.plan, interpreted=interpreted)
    assert tables(again.output) == tables(session.output) == expected
    driver = Driver(feed, six_config())
    driver.finish()
    assert np.concatenate(again.requests).tobytes() == np.concatenate(driver.requests).tobytes()
    assert again.core["account"].tobytes() == session.core["account"].tobytes()


def test_a_saved_journal_decides_the_same_in_another_process(tmp_path: Path) -> None:
    feed = make_feed(9, 2, 120)
    digest = run_replay(feed, six_config(), journal=str(tmp_path / "journal.npz")).digest
    loaded = Journal.load(tmp_path / "journal.npz")
    assert set(loaded.inputs["kind"]) == set(InputKind) - {InputKind.POLICY, InputKind.VIEW}
    assert in_another_process("rerun", "9", "120", str(tmp_path / "journal.npz"), PYTHONHASHSEED="99") == digest


def test_a_journal_taken_in_pieces_of_any_size_decides_the_same() -> None:
    """P39, for the core alone."""
    from simcore.replay.journal import CoreRun

    feed, _, expected = whole()
    session = finished(feed, journal=True)
    journal = session.journal.journal(feed.filters)
    rng = np.random.default_rng(3)
    for _ in range(10):
        cuts = np.sort(rng.integers(0, len(journal.inputs) + 1, 20))
        run = CoreRun(session.plan)
        for first, last in itertools.pairwise([0, *cuts, len(journal.inputs)]):
            run.take(journal, int(first), int(last))
        assert tables(run.output) == expected


# ------------------------------------------------------------ any order of what is simultaneous


def test_symbols_handed_over_in_any_order_write_the_same() -> None:
    """P31, P34: the canonical order is by name, not by who came first."""
    rng = np.random.default_rng(12)
    columns = {symbol: make_columns(rng, symbol, 150) for symbol in list(GRIDS)[:3]}
    arrays = {
        symbol: {"open_time": c.open_ns, "open": c.open, "high": c.high, "low": c.low, "close": c.close, "volume": c.volume}
        for symbol, c in columns.items()
    }
    ticks = {symbol: GRIDS[symbol][0] for symbol in arrays}
    steps = {symbol: GRIDS[symbol][1] for symbol in arrays}
    written = set()
    for order in itertools.permutations(arrays):
        feed = from_arrays({symbol: arrays[symbol] for symbol in order}, tick_size=ticks, step_size=steps)
        session = finished(feed)
        written.add(tables(session.output))
        assert len(session.output.table("trade")) > 20
    assert len(written) == 1


def decisions(output: Any) -> tuple[bytes, ...]:
    """Return everything a run wrote but its notes of new filters, which name each as it came in."""
    ledger = output.table("ledger")
    return (ledger[ledger["kind"] != LedgerKind.FILTER].tobytes(), *tables(output)[1:])


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_inputs_of_one_class_and_instant_in_any_order_decide_the_same(seed: int) -> None:
    """P34: bars that close together, marks, rates and filters of one instant, each class shuffled within its slice."""
    feed, journal, plan, _ = journal_of_whole()
    expected = decisions(journal.rerun(plan).output)
    rng = np.random.default_rng(seed)
    inputs = journal.inputs
    order = np.arange(len(inputs))
    shuffled = np.isin(inputs["kind"], (InputKind.BAR, InputKind.MARK, InputKind.FUNDING_RATE, InputKind.FILTER))
    edges = np.flatnonzero((np.diff(inputs["kind"]) != 0) | (np.diff(inputs["ts_ns"]) != 0)) + 1
    for first, end in itertools.pairwise([0, *edges, len(inputs)]):
        if shuffled[first]:
            order[first:end] = first + rng.permutation(end - first)
    assert (order != np.arange(len(inputs))).any()
    again = Journal(inputs[order], journal.reports, feed.filters).rerun(plan)
    assert decisions(again.output) == expected


@cache
def journal_of_whole() -> tuple[Feed, Journal, Any, tuple[bytes, ...]]:
    feed, _, expected = whole()
    session = finished(feed, journal=True)
    return feed, session.journal.journal(feed.filters), session.plan, expected


def test_a_wrong_order_of_classes_would_show() -> None:
    """The harness above can fail: a decision taken before its bars is another decision."""
    feed, journal, plan, expected = journal_of_whole()
    inputs = journal.inputs.copy()
    decisions = np.flatnonzero(inputs["kind"] == InputKind.DECIDE)
    bars = np.flatnonzero(inputs["kind"] == InputKind.BAR)
    late = decisions[len(decisions) // 2]
    bar = bars[bars < late][-1]
    inputs[[bar, late]] = inputs[[late, bar]]
    assert tables(Journal(inputs, journal.reports, feed.filters).rerun(plan).output) != expected


# ------------------------------------------------------------ real data


@pytest.mark.real
def test_a_real_window_is_the_same_bulk_by_hand_cut_and_from_its_journal(real_window: Feed) -> None:
    config = six_config()
    session = Session(real_window, config, journal=True)
    session.finish()
    expected = tables(session.output)
    assert len(session.output.table("trade")) > 50
    driver = Driver(real_window, config)
    driver.finish()
    assert tables(driver.output) == expected
    journal = session.journal.journal(real_window.filters)
    assert journal.inputs.tobytes() == driver.journal().inputs.tobytes()
    assert tables(journal.rerun(session.plan).output) == expected
    assert tables(finished(real_window, interpreted=True).output) == expected
    slices = int(session.run["slices"])
    for cut in np.random.default_rng(1).integers(0, slices, 10):
        twin = Session(real_window, config)
        twin.advance(max_slices=int(cut))
        resumed = twin.copy()
        resumed.finish()
        assert tables(resumed.output) == expected
