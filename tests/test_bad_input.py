"""Bad input at the front door: `simcore.replay` and what it is given, each mistake with its exact message.

Files that are wrong are in test_bad_data, configuration in test_config_parsing and test_config_resolve, strategies in
test_strategy_errors, the command line in test_cli; here is what only a whole replay can meet.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simcore
from replay_data import from_frame
from replay_data.sample import sample_catalog
from simcore.config import Config, load_config
from simcore.domain.errors import ConfigError, DataError, StrategyError
from simcore.domain.records import BAR, REPORT
from simcore.replay import Journal
from simcore.strategy import LONG, SHORT, check_strategy, strategy
from tests.scenes import A, feed_of, flat, play

SAMPLE = "SYNAUSDT 1m 2025-01-01T00:00:00Z to 2025-03-31T23:59:00Z"


def frame(n: int = 60, freq: str = "1min", **columns: Any) -> pd.DataFrame:
    """Return flat bars of one's own."""
    index = pd.date_range("2025-03-01", periods=n, freq=freq, tz="UTC")
    return pd.DataFrame({"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "volume": 5.0, **columns}, index=index)


def message(error: type[Exception], **arguments: Any) -> str:
    """Return what `simcore.replay` says to these arguments."""
    with pytest.raises(error) as caught:
        simcore.replay(**arguments)
    return str(caught.value)


# ---------------------------------------------------------------- data


def test_an_unknown_symbol_is_named_with_the_nearest_one() -> None:
    expected = f"symbol 'SYNAUSD' has no bars in {sample_catalog()}. Did you mean 'SYNAUSDT'?"
    assert message(DataError, symbols="SYNAUSD") == message(DataError, symbols=["SYNAUSDT", "SYNAUSD"]) == expected


def test_a_window_without_data_says_what_is_covered() -> None:
    said = message(DataError, symbols="SYNAUSDT", start="2030-01-01")
    assert said == f"no 1m bars of SYNAUSDT between 2030-01-01T00:00:00Z and the end. Covered: {SAMPLE}."
    said = message(DataError, symbols="SYNAUSDT", end="2020-01-01")
    assert said == f"no 1m bars of SYNAUSDT between the beginning and 2020-01-01T00:00:00Z. Covered: {SAMPLE}."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"start": "2025-02-01", "end": "2025-01-01"},
            "the window is empty: it starts at 2025-02-01T00:00:00Z and ends at 2025-01-01T00:00:00Z. Swap start and end.",
        ),
        ({"start": datetime(2025, 1, 1)}, "start: 2025-01-01T00:00:00 has no time zone. Add tzinfo=datetime.UTC."),
        ({"end": "tomorrow"}, "end: 'tomorrow' is no date. Write it as 2025-05-04 or 2025-05-04T12:00, in UTC."),
        ({"data": "nowhere"}, "nowhere: no such catalog folder. Make one with 'simcore data import PATH --data nowhere'."),
    ],
)
def test_a_window_that_makes_no_sense(arguments: dict, said: str) -> None:
    assert message(DataError, **arguments) == said


def test_bars_that_are_no_numbers_never_reach_a_replay() -> None:
    with pytest.raises(DataError) as caught:
        from_frame(frame(close=[100.0] * 30 + [np.nan] * 30), "AUSDT")
    assert str(caught.value) == "AUSDT: bar 30 (2025-03-01T00:30:00Z): close is nan; a price must be a positive number."


def test_a_feed_without_bars_is_refused() -> None:
    feed = feed_of({A: flat()})
    with pytest.raises(DataError) as caught:
        dataclasses.replace(feed, bars=np.zeros(0, BAR), bar_range=feed.bar_range * 0, content_hash="")
    assert str(caught.value) == "a feed needs bars; this one has none."


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"settings.bar_model.fil_rule": "touch"}, "settings.json: bar_model: unknown key 'fil_rule'. Did you mean 'fill_rule'?"),
        ({"risk_limits.max_trade_nv_pct": 0.1}, "risk_limits.json: unknown key 'max_trade_nv_pct'. Did you mean 'max_trade_nav_pct'?"),
        ({"risk_limits.max_trade_nav_pct": 2.0}, "risk_limits.json: max_trade_nav_pct: must be <= 1 (got 2.0)"),
        ({"risk_limits.max_concurrent_positions": 0}, "risk_limits.json: max_concurrent_positions: must be >= 1 (got 0)"),
        ({"risk_limits.min_free_margin_pct": -0.1}, "risk_limits.json: min_free_margin_pct: must be >= 0 (got -0.1)"),
        ({"settings.router.wait_s": -1.0}, "settings.json: router.wait_s: must be >= 0.001 (got -1)"),
        ({"fast": 3}, "params: 'fast' does not say of which strategy. Write 'strategy.fast'."),
    ],
)
def test_an_unknown_key_or_a_value_out_of_range_stops_before_anything_is_read(params: dict, said: str) -> None:
    assert message(ConfigError, params=params, data="nowhere") == said


@pytest.mark.parametrize("cash", [0.0, -5.0])
def test_a_replay_needs_money(cash: float) -> None:
    assert message(ConfigError, cash=cash) == f"settings.json: cash: must be > 0 (got {cash})"


def crowd(entries: dict[str, dict[str, Any]]) -> None:
    """Make a config in which exactly these copies of a strategy run."""
    trees = copy.deepcopy(dict(load_config().trees))
    trees["strategy_registry"]["strategies"] = {name: {"module": "strategies.ema_cross", "params": {}} for name in entries}
    trees["strategy_config"]["strategies"] = entries
    Config.of(trees, load_config().folder)


def test_too_many_strategies_or_timeframes_for_one_run() -> None:
    with pytest.raises(ConfigError) as caught:
        crowd({f"s{n}": {"enabled": True} for n in range(9)})
    assert str(caught.value) == "strategy_config.json: strategies: at most 8 can be enabled in one run (got 9)"
    with pytest.raises(ConfigError) as caught:
        crowd({f"s{n}": {"enabled": True, "interval": interval} for n, interval in enumerate(("5m", "15m", "1h", "4h"))})
    said = "strategy_config.json: strategies: at most 3 intervals beside base in one run (got 15m, 1h, 4h, 5m)"
    assert str(caught.value) == said


def test_a_run_without_a_strategy() -> None:
    off = {f"strategy_config.strategies.{name}.enabled": False for name in load_config().strategy_registry.strategies}
    said = 'strategy_config.json: no strategy is enabled. Set "enabled": true for one, or name one: --strategy ema_cross.'
    assert message(ConfigError, params=off) == said


def test_a_strategys_bars_must_be_made_of_the_replayed_ones() -> None:
    params = {"strategy_config.strategies.ema_cross.interval": "5m"}
    said = message(ConfigError, feed=from_frame(frame(freq="3min"), "AUSDT"), strategy="ema_cross", params=params)
    assert said == "strategy_config.json: ema_cross.interval: 5m is no multiple of the replayed 3m bars. Choose a multiple or replay finer bars."


def test_bars_coarser_than_a_strategy_asks_for_are_used_and_said() -> None:
    run = simcore.replay(feed=from_frame(frame(freq="1D"), "AUSDT"), strategy="ema_cross")
    assert "ema_cross asks for 1h bars; the replay has 1d bars and uses those." in run.recording.caveats


def test_a_symbol_that_may_not_be_traded_is_replayed_without_trades_and_said() -> None:
    listing = {"pairs_universe.symbols": {A: [{"tier": "mid", "quote_asset": "USDT", "valid_from": "2020-01-01", "valid_to": "2021-01-01"}]}}
    scene = play(flat(n=4), {1: LONG}, files=listing)
    assert len(scene.recording.caveats) == 1 and scene.recording.caveats[0].startswith(f"{A} is not traded: ")
    assert scene.fills() == [] and len(scene.screens()) == 1


# ---------------------------------------------------------------- strategies

CLOSES = 100.0 + np.arange(200) % 7 / 10.0


@strategy()
def peeks(market, position, params, memory, signal):
    """Look at the bar after the newest one."""
    i = market["bars"]
    signal["side"] = LONG if i < len(CLOSES) and CLOSES[i] > market["close"] else SHORT


@strategy()
def divides(market, position, params, memory, signal):
    """Divide by zero on the thirtieth bar of a market at 100."""
    signal["score"] = 1.0 / (market["bars"] - 30.0 if market["close"] == 100.0 else 1.0)


@strategy()
def needs_a_dict(market, position, params, memory, signal):
    """Use what compiled code cannot."""
    signal["score"] = SETTINGS["a"]


SETTINGS = {"a": 1.0}


def at(found: Any, lines: int) -> str:
    """Return file and line, counted from the decorator."""
    return f"{found.where.rpartition(':')[0]}:{found.line + lines}"


def test_a_strategy_that_reads_the_future_in_interpreted_mode_is_told_bar_and_array() -> None:
    problem = check_strategy(peeks, frame(200, close=CLOSES)).problems[0]
    bar = problem.split("its signal on bar ")[1].split(" ")[0]
    stamp = f"2025-03-01 {int(bar) // 60:02}:{int(bar) % 60:02}"
    assert problem == (
        f"{peeks.where}: peeks reads the future: its signal on bar {bar} of BARS ({stamp}) changes with later rows of 'CLOSES'. "
        "Take data from market and keep it in memory."
    )


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_a_strategy_that_does_not_compile_says_line_cause_and_fix() -> None:
    assert message(StrategyError, feed=from_frame(frame(), "AUSDT"), strategy=needs_a_dict) == (
        f"{at(needs_a_dict, 3)}: needs_a_dict does not compile: 'SETTINGS' is a dict, which compiled code cannot use.\n"
        '  signal["score"] = SETTINGS["a"]\n'
        "  Keep numbers in memory or params, or run this strategy with --interpreted."
    )


def test_a_strategy_that_does_not_compile_runs_interpreted() -> None:
    run = simcore.replay(feed=from_frame(frame(), "AUSDT"), strategy=needs_a_dict, interpreted=True)
    assert int(run.recording.totals["decisions"]) == 60


def test_a_strategy_that_stops_says_when_and_interpreted_where() -> None:
    feed = from_frame(frame(), "AUSDT")
    said = "a strategy stopped at 2025-03-01T00:30:00Z: division by zero. Run with --interpreted to see its line."
    assert message(StrategyError, feed=feed, strategy=divides) == said
    assert message(StrategyError, feed=feed, strategy=divides, interpreted=True) == (
        f"{at(divides, 3)}: divides: it divides by zero.\n"
        '  signal["score"] = 1.0 / (market["bars"] - 30.0 if market["close"] == 100.0 else 1.0)\n'
        "  Guard the division: compiled code stops the run there."
    )


def test_names_and_objects_of_strategies_do_not_mix() -> None:
    said = "strategy: name registered strategies or pass strategy objects, not both in one replay."
    assert message(ConfigError, strategy=["ema_cross", peeks]) == said
    assert message(ConfigError, strategy=5) == "strategy: 5 is neither a name nor a strategy. Put @strategy(...) above the function."


# ---------------------------------------------------------------- journals


def test_a_file_that_is_no_journal_or_not_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    with pytest.raises(DataError) as caught:
        Journal.load(path)
    assert str(caught.value) == f"{path}: no such file. Record a journal with run_replay(..., journal=PATH)."
    scene = play(flat(n=3), {}, journal=True)
    scene.session.journal.journal(scene.feed.filters).save(path)
    assert Journal.load(path).reports.dtype == REPORT
    whole = path.read_bytes()
    for broken in (b"", b"no zip", whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DataError) as caught:
            Journal.load(path)
        assert str(caught.value) == f"{path}: not a whole journal. Record one with run_replay(..., journal=PATH)."
