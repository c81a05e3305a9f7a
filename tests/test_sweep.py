"""The sweep: every trial is the single replay it stands for, every trial is on record, and nothing finished is played twice."""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import simcore
from simcore.api import find_grounds
from simcore.cli import app
from simcore.config import load_config
from simcore.domain.errors import ConfigError, DataError, StrategyError
from simcore.replay import run_replay
from simcore.replay.trial import Start, Tally, Trial, edges_ns, play_together
from simcore.report.run import Run
from simcore.strategy import LONG, strategy
from simcore.validation.config_hash import ConfigHashes
from simcore.validation.provenance import strategies_hash
from simcore.validation.space import Space, read_axes, split, values_of
from simcore.validation.sweep_task import Task, own_source, play_task
from simcore.validation.trial_figures import figures_of
from simcore.validation.trials import read_trials
from tests.worlds import config_of, make_feed, six_config, wishes

ROOT = Path(__file__).parents[1]
SHARED = ("net_pnl", "total_return", "sharpe", "max_drawdown", "n_trades", "n_orders", "fees")
HAS_OPTUNA = importlib.util.find_spec("optuna") is not None
HAS_DASK = importlib.util.find_spec("distributed") is not None


def same(a: Any, b: Any) -> bool:
    """Say whether two figures are equal to the last bit, NaN and None being one."""
    return a == b or all(x is None or math.isnan(x) for x in (a, b))


# ------------------------------------------------------------ a trial is a replay


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    changes=st.lists(st.floats(0.02, 0.6), min_size=1, max_size=4),
    symbols=st.integers(1, 3),
    block_bars=st.sampled_from([7, 64, 10_000]),
    repeat=st.booleans(),
)
def test_a_trial_of_a_used_session_is_the_single_replay(
    seed: int, changes: list[float], symbols: int, block_bars: int, repeat: bool
) -> None:
    feed = make_feed(seed, symbols, 160, sigma=0.02)
    config = config_of([wishes], settings={"equity_sample_s": 3_600})
    start = Start(feed, config, [wishes])
    trials = [Trial(start, digests=True) for _ in changes]
    points = [{"wishes": {"change": change, "seed": float(seed % 97)}} for change in changes]
    if repeat:
        play_together(trials, points[::-1], block_bars)
    played = play_together(trials, points, block_bars)
    for each, point in zip(played, points, strict=True):
        single = run_replay(feed, config.replace(set={f"wishes.{key}": value for key, value in point["wishes"].items()}), strategies=[wishes])
        assert each.digest == single.digest
        assert np.array_equal(each.equity, single.equity)
        assert each.account == single.account
        assert each.n_trades == len(single.trades)
        assert all(same(float(each.totals[name]), float(single.totals[name])) for name in single.totals.dtype.names)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    fast=st.lists(st.integers(2, 9), min_size=1, max_size=3, unique=True),
    slow=st.lists(st.integers(10, 60), min_size=1, max_size=3, unique=True),
)
def test_a_swept_grid_equals_its_single_replays(tmp_path_factory: pytest.TempPathFactory, seed: int, fast: list[int], slow: list[int]) -> None:
    feed = make_feed(seed, 1, 700, sigma=0.01, interval_ns=15 * 60_000_000_000)
    config = config_of(["sma_cross"], settings={"equity_sample_s": 3_600})
    ledger = tmp_path_factory.mktemp("sweep") / "trials.jsonl"
    grid = {"fast": [float(x) for x in fast], "slow": [float(x) for x in slow]}
    done = simcore.sweep(grid, feed=feed, strategy="sma_cross", config=config, trials=ledger, threads=2, digests=True)
    assert len(done.rows) == len(fast) * len(slow)
    for row in done.rows:
        run = simcore.replay(feed=feed, strategy="sma_cross", config=config, params=row.point)
        assert row.digest == run.digest
        assert row.trial.config_hash == run.recording.config_hash
        assert row.trial.params == run.recording.params
        for name in SHARED:
            assert same(row.trial.metrics[name], run.metrics[name]), name


def test_what_is_counted_and_forgotten_changes_no_figure() -> None:
    feed, config = make_feed(5, 2, 300, sigma=0.01), six_config()
    start = Start(feed, config)
    point = {"sma_cross": {"fast": 4.0}, "zscore_reversion": {"length": 15.0}}
    kept, counted = (play_together([Trial(start, digests)], [point], 100)[0] for digests in (True, False))
    assert kept.digest and not counted.digest
    assert figures_of(kept).metrics == figures_of(counted).metrics
    assert kept.n_trades == counted.n_trades > 0
    assert np.array_equal(kept.equity, counted.equity)


def test_all_six_strategies_sweep_together_on_coarser_bars_too() -> None:
    feed, config = make_feed(11, 2, 300, sigma=0.01), six_config()
    start, changes = Start(feed, config), {"ema_cross.fast": 3.0, "donchian_breakout.entry": 12.0, "sma_cross.slow": 11.0}
    _, params = split(changes)
    first, second = play_together([Trial(start, True), Trial(start, True)], [params, {}], 50)
    assert first.digest == run_replay(feed, config.replace(set=changes)).digest
    assert second.digest == run_replay(feed, config).digest


def test_a_tally_keeps_the_equity_alone() -> None:
    with pytest.raises(KeyError, match="ledger"):
        Tally().table("ledger")


@settings(max_examples=50)
@given(bars=st.integers(1, 400), block=st.integers(1, 500), symbols=st.integers(1, 3))
def test_stretches_end_inside_the_feed_and_are_about_as_long_as_asked(bars: int, block: int, symbols: int) -> None:
    feed = make_feed(bars, symbols, max(bars, 60))
    edges = list(edges_ns(feed, block))
    assert all(feed.start_ns < edge < feed.end_ns for edge in edges)
    assert len(edges) <= -(-len(feed.bars) // block)


# ------------------------------------------------------------ the config


@settings(max_examples=30)
@given(fast=st.integers(1, 40), slow=st.integers(41, 400))
def test_a_point_hashes_as_the_config_it_stands_for(fast: int, slow: int) -> None:
    config = load_config().replace(strategies=["sma_cross"])
    changed = config.replace(set={"sma_cross.fast": fast, "sma_cross.slow": slow})
    hashes = ConfigHashes(config)
    assert hashes.hash_with({"sma_cross": {"fast": float(fast), "slow": float(slow)}}) == changed.hash
    assert hashes.hash_with({}) == config.hash


@settings(max_examples=60)
@given(fast=st.integers(-2, 700), slow=st.integers(-2, 1_500))
def test_a_point_is_left_out_exactly_where_the_config_refuses_it(fast: int, slow: int) -> None:
    config = load_config().replace(strategies=["sma_cross"])
    try:
        config.replace(set={"sma_cross.fast": fast, "sma_cross.slow": slow})
        allowed = True
    except ConfigError:
        allowed = False
    assert ConfigHashes(config).allows({"sma_cross": {"fast": float(fast), "slow": float(slow)}}) == allowed


def test_any_key_of_a_config_file_may_vary(tmp_path: Path) -> None:
    feed = make_feed(3, 1, 300, sigma=0.01)
    config = config_of(["sma_cross"])
    grid = {"settings.bar_model.fill_rule": ["touch", "through"], "risk_limits.max_leverage": [1.0, 3.0], "fast": [3.0, 5.0]}
    done = simcore.sweep(grid, feed=feed, strategy="sma_cross", config=config, trials=tmp_path / "t.jsonl", digests=True)
    assert len(done.rows) == 8 and len({row.trial.config_hash for row in done.rows}) == 8
    assert len({row.trial.fill_model_hash for row in done.rows}) == 2
    for row in done.rows:
        assert row.digest == simcore.replay(feed=feed, strategy="sma_cross", config=config, params=row.point).digest


# ------------------------------------------------------------ the space


@settings(max_examples=200)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_every_way_through_a_space_meets_each_point_once(sizes: list[int], seed: int) -> None:
    space = Space({f"s.{i}": tuple(float(v) for v in range(size)) for i, size in enumerate(sizes)})
    points = list(space.grid())
    assert points == [space.at(index) for index in range(len(space))]
    drawn = list(space.drawn(seed))
    assert drawn == list(space.drawn(seed))
    assert len(points) == len(space) and sorted(map(repr, drawn)) == sorted(map(repr, points))


def test_a_space_too_large_to_list_is_drawn_from_all_the_same() -> None:
    space = Space({f"s.{i}": tuple(float(v) for v in range(100)) for i in range(6)})
    drawn = [point for point, _ in zip(space.drawn(1), range(50), strict=False)]
    assert len({repr(point) for point in drawn}) == 50
    assert all(space.axes[key].index(value) >= 0 for point in drawn for key, value in point.items())


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("10:30:10", (10.0, 20.0, 30.0)),
        ("10:35:10", (10.0, 20.0, 30.0)),
        ("1:3", (1.0, 2.0, 3.0)),
        ("0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("5, 7", (5.0, 7.0)),
        ("touch,through", ("touch", "through")),
        ("true,false", (True, False)),
    ],
)
def test_values_are_written_as_ranges_or_lists(text: str, values: tuple[Any, ...]) -> None:
    assert values_of("s.x", text) == values


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "nothing varies"),
        ({"fast": []}, "has no value"),
        ({"fast": [3.0, 3.0]}, "same value twice"),
        ({"fast": "9:3:1"}, "count up"),
        ({"fast": "1:9:0"}, "count up"),
        ({"fast": "a:b"}, "FIRST:LAST:STEP"),
        ({"fsat": "3:5"}, "no parameter 'fsat'. Did you mean 'fast'"),
        ({"ema_cross.fast": "3:5"}, "ema_cross does not run"),
        ({"fast": ["a"]}, "a parameter is a number"),
        ({"fast": "2:3", "sma_cross.fast": "4:5"}, "given twice"),
        ({"slow": "2:3", "fast": "40:50"}, "refuse every point"),
        ({"settings.bar_modle.x": [1.0]}, "settings"),
    ],
)
def test_a_wrong_grid_is_named(tmp_path: Path, grid: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simcore.sweep(grid, feed=make_feed(1, 1, 60), strategy="sma_cross", trials=tmp_path / "t.jsonl")


def test_other_mistakes_are_named(tmp_path: Path) -> None:
    given: dict[str, Any] = {"feed": make_feed(1, 1, 60), "strategy": "sma_cross", "trials": tmp_path / "t.jsonl"}
    for more, message in (
        ({"by": "sharp"}, "cannot rank"),
        ({"method": "random"}, "needs a number"),
        ({"draws": 5}, "tried whole"),
        ({"method": "genetic"}, "none of"),
        ({"threads": 0}, "at least 1"),
        ({"cluster": "tcp://127.0.0.1:1"}, "catalog"),
    ):
        with pytest.raises(ConfigError, match=message):
            simcore.sweep({"fast": "3:5"}, **given, **more)
    assert read_trials(tmp_path / "t.jsonl").rows == ()
    with pytest.raises(ConfigError, match="not say of which strategy"):
        read_axes({"fast": "1:2"}, ["a", "b"])


def test_a_strategy_that_stops_names_the_point_and_keeps_what_was_finished(tmp_path: Path) -> None:
    @strategy(on="bar", params={"n": 2.0, "bad": 0.0})
    def divides(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
        signal["side"] = LONG if 1.0 / (params["n"] - 5.0) > 0.0 else -LONG

    ledger = tmp_path / "t.jsonl"
    with pytest.raises(StrategyError, match=r"(?s)at one of .*5\.0.*division by zero"):
        simcore.sweep({"n": [2.0, 3.0, 5.0, 7.0]}, feed=make_feed(1, 1, 60), strategy=divides, trials=ledger, threads=1)
    assert all(row.params["divides"]["n"] != 5.0 for row in read_trials(ledger))


# ------------------------------------------------------------ the ledger


GRID = {"fast": "3:9:2", "slow": "20:80:20"}
SAMPLE = {"strategy": "sma_cross", "symbols": ["SYNAUSDT"], "params": {"strategy_config.strategies.sma_cross.interval": "1h"}}


def test_what_is_on_record_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "t.jsonl"
    first = simcore.sweep({**GRID, "slow": "20:40:20"}, trials=ledger, threads=2, **SAMPLE)
    whole = simcore.sweep(GRID, trials=ledger, threads=2, **SAMPLE)
    assert sum(row.known for row in whole.rows) == len(first.rows) == 8
    assert len(read_trials(ledger)) == len(whole.rows) == 16
    monkeypatch.setattr("simcore.validation.sweep_task.play_together", None)  # nothing is left to play
    again = simcore.sweep(GRID, trials=ledger, threads=2, **SAMPLE)
    assert all(row.known for row in again.rows)
    assert again.table() == whole.table()
    assert len(read_trials(ledger)) == 16


def test_another_seed_window_or_config_is_another_trial(tmp_path: Path) -> None:
    ledger = tmp_path / "t.jsonl"
    given: dict[str, Any] = {**SAMPLE, "trials": ledger}
    grid = {"fast": "3:5:2"}
    simcore.sweep(grid, **given)
    for more in ({"seed": 1}, {"windows": [(None, "2025-02-10")]}, {"cash": 5_000.0}, {"symbols": ["SYNBUSDT"]}):
        done = simcore.sweep(grid, **{**given, **more})
        assert not any(row.known for row in done.rows), more
    assert len(read_trials(ledger)) == 10


def test_windows_and_symbols_multiply_and_the_best_point_is_best_on_average(tmp_path: Path) -> None:
    windows = [(None, "2025-02-12"), ("2025-02-12", None)]
    done = simcore.sweep(
        GRID, trials=tmp_path / "t.jsonl", **{**SAMPLE, "symbols": ["SYNAUSDT", "SYNBUSDT"]}, windows=windows, by="net_pnl"
    )
    assert len(done.rows) == 16 * 4 and len(done.points) == 16
    means = {text: np.mean([row.figure("net_pnl") for row in rows]) for text, rows in done.points.items()}
    assert json.dumps(done.best[0].point, sort_keys=True) == max(means, key=lambda text: means[text])
    assert len(done.best) == 4 and {row.trial.symbols for row in done.best} == {("SYNAUSDT",), ("SYNBUSDT",)}
    together = simcore.sweep(
        {"fast": "3:5:2"}, trials=tmp_path / "t.jsonl", **{**SAMPLE, "symbols": ["SYNAUSDT", "SYNBUSDT"]}, together=True
    )
    assert {row.trial.symbols for row in together.rows} == {("SYNAUSDT", "SYNBUSDT")}


def test_the_deflated_sharpe_ratio_counts_every_trial_of_the_study(tmp_path: Path) -> None:
    ledger = tmp_path / "t.jsonl"
    few = simcore.sweep({"fast": "3:9:2"}, trials=ledger, study="one", **SAMPLE)
    many = simcore.sweep({"fast": "3:9:2", "slow": "30:90:10"}, trials=ledger, study="one", **SAMPLE)
    alone = simcore.sweep({"fast": "3:9:2"}, trials=tmp_path / "other.jsonl", study="one", **SAMPLE)
    assert few.n_trials == 4 and many.n_trials == 4 + 28 and alone.n_trials == 4
    assert [row.dsr for row in alone.rows] == [row.dsr for row in few.rows]
    for row in many.rows:
        assert math.isnan(row.dsr) or 0.0 <= row.dsr <= 1.0
    with pytest.raises(DataError):
        (tmp_path / "bad.jsonl").write_text("no ledger\n")
        simcore.sweep({"fast": "3:9:2"}, trials=tmp_path / "bad.jsonl", **SAMPLE)


def test_a_killed_sweep_loses_no_finished_trial(tmp_path: Path) -> None:
    ledger = tmp_path / "t.jsonl"
    arguments = ["--grid", "fast=3:8", "--grid", "slow=20:400:10", "--strategy", "sma_cross", "--symbols", "SYNAUSDT", "--trials", str(ledger)]
    command = [sys.executable, "-m", "simcore", "sweep", *arguments, "--threads", "1", "--quiet"]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 300
    while not (ledger.exists() and ledger.stat().st_size > 4_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = read_trials(ledger)
    total = 6 * 39
    assert 0 < len(before) < total
    done = CliRunner().invoke(app, ["sweep", *arguments, "--json"])
    summary = json.loads(done.stdout)
    assert summary["known"] == len(before) and summary["trials"] == total
    after = read_trials(ledger)
    assert len(after) == total == after.count()
    assert after.rows[: len(before)] == before.rows
    fresh = CliRunner().invoke(app, ["sweep", *arguments, "--json", "--trials", str(tmp_path / "fresh.jsonl")])
    assert json.loads(fresh.stdout)["rows"] == summary["rows"]


# ------------------------------------------------------------ choosing points


def test_random_points_are_those_of_the_seed(tmp_path: Path) -> None:
    first, again, other = (
        simcore.sweep(GRID, method="random", draws=5, seed=seed, trials=tmp_path / name, **SAMPLE)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert [row.point for row in first.rows] == [row.point for row in again.rows] != [row.point for row in other.rows]
    assert len(first.rows) == 5


@pytest.mark.skipif(not HAS_OPTUNA, reason="Optuna is an extra: pip install 'simcore[search]'")
def test_a_search_repeats_itself_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    given: dict[str, Any] = {**SAMPLE, "method": "optuna", "draws": 40, "threads": 1, "by": "net_pnl"}
    grid = {"fast": "2:20", "slow": "21:200", "settings.bar_model.fill_rule": "touch,through"}
    first = simcore.sweep(grid, trials=tmp_path / "a", **given)
    again = simcore.sweep(grid, trials=tmp_path / "b", **given)
    known = simcore.sweep(grid, trials=tmp_path / "b", **given)
    assert [row.point for row in first.rows] == [row.point for row in again.rows] == [row.point for row in known.rows]
    assert all(row.known for row in known.rows)


@pytest.mark.skipif(HAS_OPTUNA, reason="says what to do where Optuna is missing")
def test_a_search_without_optuna_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"simcore\[search\]"):
        simcore.sweep(GRID, method="optuna", draws=3, trials=tmp_path / "t", **SAMPLE)


# ------------------------------------------------------------ the command


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    arguments = ["sweep", "--grid", "fast=3:7:2", "--grid", "slow=5,20", "--strategy", "sma_cross", "--symbols", "SYNAUSDT", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--trials", str(tmp_path / "t.jsonl"), "--out", str(table)])
    summary = json.loads(done.stdout)
    assert summary["left_out"] == 2 and summary["points"] == 4 == len(summary["rows"])
    assert {"net_pnl", "sharpe", "max_drawdown", "n_trades", "dsr", "config_hash", "data_hash"} <= set(summary["rows"][0])
    assert summary["best"]["point"] in [row["point"] for row in summary["rows"]]
    assert len(table.read_text().splitlines()) == 5


def test_the_command_prints_a_table_for_people(tmp_path: Path) -> None:
    arguments = ["sweep", "--grid", "fast=3:7:2", "--strategy", "sma_cross", "--symbols", "SYNAUSDT", "--window", "..2025-02-10"]
    done = CliRunner().invoke(app, [*arguments, "--trials", str(tmp_path / "t.jsonl")])
    assert done.exit_code == 0, done.output
    assert "best of 3 points by sharpe" in done.stdout and "sma_cross.fast" in done.stdout


@pytest.mark.parametrize("words", [["--grid", "fast"], ["--grid", "fast=3:5", "--window", "2025"], ["--grid", "a.b=1", "--grid", "a.b=2"]])
def test_the_command_names_what_it_cannot_read(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["sweep", *words])
    assert isinstance(done.exception, ConfigError)


# ------------------------------------------------------------ the cluster


@pytest.mark.campaign
@pytest.mark.skipif(not HAS_DASK, reason="dask is an extra: pip install 'simcore[cluster]'")
def test_a_cluster_plays_the_same_trials_and_outlives_a_killed_worker(tmp_path: Path) -> None:
    from distributed import LocalCluster

    grid = {"fast": "3:17", "slow": "20:400:5"}
    alone = simcore.sweep(grid, trials=tmp_path / "alone.jsonl", threads=2, **SAMPLE)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        first = int(cluster.scheduler_info["workers"] and next(iter(cluster.workers.values())).process.pid)
        killer = subprocess.Popen(
            [sys.executable, "-c", KILL_WHEN_BEGUN, str(tmp_path / "cluster.jsonl"), str(first)], cwd=ROOT
        )
        done = simcore.sweep(grid, trials=tmp_path / "cluster.jsonl", cluster=cluster.scheduler_address, **SAMPLE)
        assert killer.wait(60) == 0
    assert done.table() == alone.table()
    assert len(read_trials(tmp_path / "cluster.jsonl")) == len(done.rows) == 15 * 77


KILL_WHEN_BEGUN = """
import os, signal, sys, time
while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1]) > 4000):
    time.sleep(0.01)
os.kill(int(sys.argv[2]), signal.SIGKILL)
"""


def test_a_worker_with_other_sources_or_data_refuses_a_task() -> None:
    config = load_config().replace(strategies=["sma_cross"])
    ground = find_grounds(None, ["SYNAUSDT"], [(None, "2025-01-05")], "1h", together=False)[0]
    uses = Start(ground.open(), config).plan.uses
    sources = strategies_hash({use.name: use.strategy.source_hash for use in uses})
    right = Task(ground.sent(), config, ({"sma_cross": {"fast": 3.0}},), own_source(), sources)
    assert pickle.loads(pickle.dumps(right)).ground.feed is None
    assert pickle.loads(pickle.dumps(config)).hash == config.hash
    assert play_task(pickle.loads(pickle.dumps(right))) == play_task(right)
    for wrong, message in (
        (replace(right, source_hash="x"), "other sources of simcore"),
        (replace(right, strategy_hash="x"), "other sources of a strategy"),
        (replace(right, ground=replace(right.ground, data_hash="x")), "other data"),
        (replace(right, ground=replace(right.ground, root=None, data_hash="y")), "stays on its machine"),
    ):
        with pytest.raises(DataError, match=message):
            play_task(wrong)


def test_runs_and_trials_have_one_source_of_figures() -> None:
    feed, config = make_feed(2, 2, 400, sigma=0.01), config_of(["sma_cross", "ema_cross"])
    run = Run(run_replay(feed, config))
    figures = figures_of(play_together([Trial(Start(feed, config))], [{}], 10_000)[0])
    assert all(same(figures.metrics[name], run.metrics[name]) for name in SHARED)
