"""The strategy: names become places, the signature holds, the cache hits, the check catches cheats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simcore.domain.enums import BUY
from simcore.domain.records import BAR, MARKET, SIGNAL, SLEEVE
from simcore.indicators import sma, value_ago
from simcore.strategy import FLAT, LONG, SHORT, StrategyError, check_strategy, load_strategy, strategy, window
from simcore.strategy.drive import random_walk, run
from tests.doors import called

pytestmark = pytest.mark.jitless
JITLESS = os.environ.get("NUMBA_DISABLE_JIT") == "1"
ROOT = Path(__file__).resolve().parents[1]


@strategy(on="bar", params={"fast": 20, "slow": 100}, memory=("quick", "steady"), warmup=100)
def styled(market, position, params, memory, signal):
    """Long while the fast average is above the slow one, short while below."""
    close = market["close"]
    memory["quick"] += (close - memory["quick"]) * 2.0 / (params["fast"] + 1.0)
    memory["steady"] += (close - memory["steady"]) * 2.0 / (params["slow"] + 1.0)
    signal["side"] = LONG if memory["quick"] > memory["steady"] else SHORT


@strategy(params={"n": 3}, memory=("last", window("closes", "n"), "count", window("four", 4)), start={"last": nan}, warmup="n")
def mixed(market, position, params, memory, signal):
    """Mean of n closes against the close of three bars ago, with every kind of memory."""
    mean = sma(memory["closes"], market["close"])
    sma(memory["four"], market["close"])
    memory["count"] += 1
    memory["last"] = value_ago(memory["four"], 3)
    if mean > memory["last"] and position["side"] == FLAT:
        signal["side"], signal["stop_distance"] = LONG, 0.1 * mean
    elif mean < memory["last"]:
        signal["side"] = FLAT


@strategy(on="cross", params={"lead": 0.0}, memory=("best", window("closes", 5)), warmup=5)
def leader(market, position, params, memory, signal, n):
    """Long the symbol furthest above its own mean."""
    first = 0
    for i in range(n):
        memory[i]["best"] = market[i]["close"] / sma(memory[i]["closes"], market[i]["close"])
        if memory[i]["best"] > memory[first]["best"] + params["lead"]:
            first = i
    for i in range(n):
        signal[i]["side"] = LONG if i == first else FLAT


# --- names and places ---


def test_a_strategy_says_what_it_needs() -> None:
    assert (styled.name, styled.on, styled.params, styled.warmup()) == ("styled", "bar", {"fast": 20.0, "slow": 100.0}, 100)
    assert styled.memory_size() == 2 and styled.initial_memory().tolist() == [0.0, 0.0]
    assert styled.doc == "Long while the fast average is above the slow one, short while below."
    assert styled.file == __file__ and "@strategy" in Path(__file__).read_text().splitlines()[styled.line - 1]
    assert repr(styled).startswith("<strategy styled on='bar' ")


def test_parameters_overlay_the_defaults_and_a_misspelt_one_is_refused() -> None:
    assert styled.param_values({"slow": 50}).tolist() == [20.0, 50.0]
    with pytest.raises(StrategyError, match="^styled has no parameter 'slw'. Did you mean 'slow'\\?$"):
        styled.resolve({"slw": 3})
    with pytest.raises(StrategyError, match="^styled.slow is nan: a parameter is a finite number.$"):
        styled.resolve({"slow": nan})
    with pytest.raises(StrategyError, match="^styled.slow is '5': a parameter is a finite number.$"):
        styled.resolve({"slow": "5"})  # type: ignore[dict-item]


def test_memory_grows_with_a_window_and_a_window_bounds_the_warm_up() -> None:
    assert mixed.memory_size({"n": 10}) - mixed.memory_size({"n": 3}) == 2 * 7
    assert mixed.warmup({"n": 3}) == 4, "the window of four needs four bars"
    assert mixed.warmup({"n": 10}) == 10
    fresh = mixed.initial_memory()
    assert np.isnan(fresh[0]) and fresh[1] == 0.0, "scalars come first, at their start value or 0"
    for wrong in (0, 2.5, -1):
        with pytest.raises(StrategyError, match=f"window 'closes' has length {wrong:g}: set parameter 'n' to a whole number"):
            mixed.memory_size({"n": wrong})


def test_names_cost_nothing_and_lines_stay_the_authors() -> None:
    assert styled.python.__code__.co_filename == __file__
    assert "params" not in styled.python.__code__.co_varnames
    lines = {line for *_, line in styled.python.__code__.co_lines() if line}
    assert styled.line < min(lines) + 2 and max(lines) < styled.line + 9


def expected_sides(closes: np.ndarray) -> list[int]:
    quick = steady = 0.0
    sides = []
    for close in closes.tolist():
        quick += (close - quick) * 2.0 / 21.0
        steady += (close - steady) * 2.0 / 101.0
        sides.append(1 if quick > steady else -1)
    return sides


@pytest.mark.parametrize("interpreted", [False, True])
def test_it_runs_compiled_and_interpreted_and_says_what_the_plain_loop_says(interpreted: bool) -> None:
    history = random_walk(2, 300)
    signals = run(styled, history, interpreted=interpreted).signals
    for i in range(2):
        assert signals["side"][:, i].tolist() == expected_sides(history.rows["close"][:, i])


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_symbol_has_its_own_memory_in_a_cross_section(interpreted: bool) -> None:
    history = random_walk(4, 60)
    closes = pd.DataFrame(history.rows["close"])
    above = (closes / closes.rolling(5).mean()).to_numpy()
    sides = run(leader, history, interpreted=interpreted).signals["side"]
    for t in range(5, 60):
        assert sides[t].tolist() == [LONG if i == above[t].argmax() else FLAT for i in range(4)]


def test_the_memory_may_lie_anywhere_in_the_flat_array() -> None:
    """The engine packs every strategy into one array: nothing outside a strategy's own block may change."""
    rows = random_walk(1, 50).rows[:, 0]
    values, block = mixed.param_values(), mixed.initial_memory()
    results = []
    for param_base, memory_base in ((0, 1), (7, 100)):
        flat = np.full(300, 5.0)
        flat[param_base : param_base + 1] = values
        flat[memory_base : memory_base + len(block)] = block
        outside = np.ones(300, dtype=bool)
        outside[memory_base : memory_base + len(block)] = False
        before = flat.copy()
        position, signal, sides = np.zeros(1, SLEEVE), np.zeros(1, SIGNAL), []
        for row in rows:
            called(mixed.compiled, row, position[0], flat, param_base, memory_base, signal[0])
            sides.append(int(signal[0]["side"]))
        assert np.array_equal(flat[outside], before[outside])
        results.append((sides, flat[memory_base : memory_base + len(block)].tobytes()))
    assert results[0] == results[1]


# --- the engine's side of the interface ---

ENGINE = """
    import json, os, sys, time
    import numpy as np
    from numba import types
    from simcore.domain.records import MARKET, SIGNAL, SLEEVE
    from simcore.jit import compile_cached, flat, KERNEL_CACHE
    from simcore.strategy import BAR_FUNCTION, CROSS_FUNCTION, noop_bar, noop_cross
    from simcore.strategy.abi import MARKET_TYPE, SIGNAL_TYPE, SLEEVE_TYPE, FLAT_MEMORY
    from strategies.ema_cross import ema_cross
    from strategies.sma_cross import sma_cross
    from strategies.xs_momentum import xs_momentum

    def advance(bars, crosses, market, position, memory, param_base, memory_base, stride, signal, n):
        for k in range(8):
            for i in range(market.size):
                bars[k](market[i], position[i], flat(memory), param_base[k], memory_base[k] + i * stride, signal[i])
            crosses[k](market, position, flat(memory), param_base[k], memory_base[k], stride, signal, market.size)

    line = lambda t: types.Array(t, 1, "C")
    signature = types.void(types.UniTuple(BAR_FUNCTION, 8), types.UniTuple(CROSS_FUNCTION, 8), line(MARKET_TYPE),
        line(SLEEVE_TYPE), FLAT_MEMORY, line(types.int64), line(types.int64), types.int64, line(SIGNAL_TYPE), types.int64)
    started = time.perf_counter()
    engine = compile_cached(advance, signature, KERNEL_CACHE)
    fns = [ema_cross.compiled, sma_cross.compiled, xs_momentum.compiled]
    took = time.perf_counter() - started
    market, position, signal = np.zeros(3, MARKET), np.zeros(3, SLEEVE), np.zeros(3, SIGNAL)
    market["close"], market["bars"], market["fresh"] = (10.0, 20.0, 30.0), 1000, 1
    stride = max(s.memory_size() for s in (ema_cross, sma_cross, xs_momentum))
    memory = np.zeros(16 + 8 * 3 * stride)
    for k, s in enumerate((ema_cross, sma_cross, xs_momentum)):
        memory[k * 3 : k * 3 + len(s.params)] = s.param_values()
        for i in range(3):
            at = 16 + (k * 3 + i) * stride
            memory[at : at + s.memory_size()] = s.initial_memory()
    bases = 16 + np.arange(8) * 3 * stride
    for close in (1.0, 2.0, 3.0):
        market["close"] *= 1.1
        engine((fns[0], fns[1], *([noop_bar] * 6)), (noop_cross, noop_cross, fns[2], *([noop_cross] * 5)), market, position,
            memory, np.arange(8) * 3 % 9, bases, stride, signal, 3)
    hits = lambda f: sum(f.stats.cache_hits.values())
    print(json.dumps({"sides": signal["side"].tolist(), "took": took, "engine": hits(engine),
        "strategies": [hits(f) for f in fns], "noop": hits(noop_bar) + hits(noop_cross)}))
"""


def in_a_process(path: Path, code: str, cache: Path, **env: str) -> Any:
    file = path / "program.py"
    file.write_text(textwrap.dedent(code))
    names = {**os.environ, "SIMCORE_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run([sys.executable, str(file)], env=names, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(JITLESS, reason="counts compilations")
def test_a_tuple_of_strategies_enters_a_cached_engine_and_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = in_a_process(tmp_path, ENGINE, cache)
    files = sorted(p.name for p in cache.rglob("*.nb?"))
    second = in_a_process(tmp_path, ENGINE, cache)
    assert (first["engine"], first["strategies"], first["noop"]) == (0, [0, 0, 0], 0)
    assert (second["engine"], second["strategies"], second["noop"]) == (1, [1, 1, 1], 2)
    assert sorted(p.name for p in cache.rglob("*.nb?")) == files, "a second process writes no machine code"
    assert second["sides"] == first["sides"]
    assert second["took"] < first["took"] / 3


MINE = """
from helper import threshold
from simcore.strategy import LONG, strategy

@strategy()
def mine(market, position, params, memory, signal):
    if market["close"] > threshold():
        signal["side"] = LONG
"""
HELPER = "from numba import njit\nfrom limits import LEVEL\n@njit(cache=True)\ndef threshold():\n    return LEVEL\n"
USE_MINE = """
    import json, numpy as np
    from simcore.domain.records import MARKET, SIGNAL, SLEEVE
    from simcore.strategy import load_strategy
    from tests.doors import called
    mine = load_strategy("mine", "mine", ["{folder}"])
    market, position, signal = np.zeros(1, MARKET), np.zeros(1, SLEEVE), np.zeros(1, SIGNAL)
    market["close"] = 50.0
    called(mine.compiled, market[0], position[0], np.zeros(1), 0, 0, signal[0])
    print(json.dumps([int(signal["side"][0]), sum(mine.compiled.stats.cache_hits.values())]))
"""


@pytest.mark.skipif(JITLESS, reason="counts compilations")
def test_an_edit_two_modules_away_is_never_yesterdays_machine_code(tmp_path: Path) -> None:
    user, cache = tmp_path / "user", tmp_path / "cache"
    user.mkdir()
    (user / "mine.py").write_text(MINE)
    (user / "helper.py").write_text(HELPER)
    (user / "limits.py").write_text("LEVEL = 40.0\n")
    code = USE_MINE.format(folder=user)
    assert in_a_process(tmp_path, code, cache) == [LONG, 0]
    assert in_a_process(tmp_path, code, cache) == [LONG, 1]
    (user / "limits.py").write_text("LEVEL = 60.0\n")
    assert in_a_process(tmp_path, code, cache) == [FLAT, 0]


# --- loading ---


def test_a_shipped_strategy_is_found_by_either_name() -> None:
    first = load_strategy("ema_cross", "ema_cross")
    assert first is load_strategy("strategies.ema_cross", "ema_cross") and first.name == "ema_cross"


def test_a_users_file_comes_before_a_shipped_one_and_is_read_again_when_it_changed(tmp_path: Path) -> None:
    body = (
        "from simcore.strategy import LONG, strategy\n\n@strategy(params={'a': 1})\n"
        "def ema_cross(%s):\n    signal['side'] = LONG\n"
    )
    (tmp_path / "strategies").mkdir()
    file = tmp_path / "strategies" / "ema_cross.py"
    file.write_text(body % "market, position, params, memory, signal")
    mine = load_strategy("ema_cross", "ema_cross", [tmp_path])
    assert mine.params == {"a": 1.0} and mine is load_strategy("strategies.ema_cross", "ema_cross", [tmp_path])
    file.write_text(file.read_text().replace("'a': 1", "'a': 22"))
    again = load_strategy("ema_cross", "ema_cross", [tmp_path])
    assert again.params == {"a": 22.0} and again.source_hash != mine.source_hash


def test_two_folders_may_each_have_a_helper_of_the_same_name(tmp_path: Path) -> None:
    for name, level in (("one", 40.0), ("two", 60.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(MINE)
        (tmp_path / name / "helper.py").write_text(f"def threshold():\n    return {level}\n")
    for name, level in (("one", 40.0), ("two", 60.0), ("one", 40.0)):
        mine = load_strategy("mine", "mine", [tmp_path / name])
        assert mine.python.__globals__["threshold"]() == level
    assert sys.path[0] != str(tmp_path / "one")


# --- the check ---

CLOSES = 100.0 + np.random.default_rng(11).standard_normal(1_500).cumsum()


def frame(closes: np.ndarray = CLOSES) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(closes), freq="h", tz="UTC")
    opened = np.concatenate([closes[:1], closes[:-1]])
    columns = {"open": opened, "high": np.maximum(opened, closes) + 1, "low": np.minimum(opened, closes) - 1, "close": closes}
    return pd.DataFrame({**columns, "volume": 10.0}, index=index)


FRAME = frame()


@strategy()
def peeks_at_an_array(market, position, params, memory, signal):
    i = market["bars"]
    signal["side"] = LONG if i < len(CLOSES) and CLOSES[i] > market["close"] else SHORT


@strategy()
def peeks_at_a_frame(market, position, params, memory, signal):
    later = FRAME["close"].iloc[market["bars"] :]
    signal["side"] = LONG if len(later) and later.iloc[0] > market["close"] else SHORT


@strategy()
def peeks_at_the_whole(market, position, params, memory, signal):
    signal["side"] = LONG if FRAME["close"].mean() > market["close"] else SHORT


@strategy()
def looks_back_honestly(market, position, params, memory, signal):
    i = market["bars"] - 1
    signal["side"] = LONG if i > 0 and FRAME["close"].iloc[i - 1] < market["close"] else SHORT


@pytest.mark.parametrize(
    ("cheat", "data"), [(peeks_at_an_array, "CLOSES"), (peeks_at_a_frame, "FRAME"), (peeks_at_the_whole, "FRAME")]
)
def test_a_strategy_that_reads_the_future_is_caught_with_the_bar(cheat: Any, data: str) -> None:
    report = check_strategy(cheat, FRAME, cuts=3)
    assert not report.ok
    (problem,) = {p.split("bar ")[0] for p in report.problems}
    assert problem == f"{cheat.where}: {cheat.name} reads the future: its signal on "
    assert "of BARS (2024-0" in report.problems[0] and data in report.problems[0]
    assert report.problems[0].endswith("Take data from market and keep it in memory.")
    with pytest.raises(StrategyError, match="reads the future"):
        report.raise_for_problems()


def test_a_closure_over_the_frame_is_caught_too() -> None:
    closes = CLOSES.copy()

    @strategy()
    def peeks(market, position, params, memory, signal):
        i = market["bars"] + 4
        signal["side"] = LONG if i < len(closes) and closes[i] > market["close"] else SHORT

    report = check_strategy(peeks, FRAME, cuts=3)
    assert "reads the future" in report.problems[0] and "'closes'" in report.problems[0].replace("CLOSES, FRAME, ", "'")


def test_a_strategy_that_looks_back_into_a_frame_is_no_cheat() -> None:
    report = check_strategy(looks_back_honestly, FRAME, cuts=6)
    assert report.ok, report
    assert JITLESS or any(n.startswith("it runs only interpreted.") for n in report.notes)
    assert any("FRAME" in n and n.startswith("it can reach data besides its arguments") for n in report.notes)


COUNT = [0]


@strategy()
def remembers_outside(market, position, params, memory, signal):
    COUNT[0] += 1
    signal["side"] = LONG if COUNT[0] % 7 < 3 else SHORT


def test_a_strategy_that_keeps_state_outside_its_memory_does_not_repeat_itself() -> None:
    report = check_strategy(remembers_outside, cuts=1)
    assert any("does not repeat itself: run twice on the same data, it differs first on bar " in p for p in report.problems)


def spoil(row: Any) -> None:
    row["close"] = 0.0


@strategy()
def spoils_its_input(market, position, params, memory, signal):
    spoil(market)
    signal["side"] = SHORT


def test_a_strategy_that_changes_its_input_through_a_helper_is_told_which() -> None:
    report = check_strategy(spoils_its_input, cuts=1)
    assert any("changes its inputs: market close. Write to signal and memory only." in p for p in report.problems)


@strategy(params={"strength": 2.0})
def too_strong(market, position, params, memory, signal):
    signal["side"] = LONG
    signal["strength"] = params["strength"]


def test_a_signal_outside_its_range_is_a_problem_with_value_and_place() -> None:
    report = check_strategy(too_strong, cuts=1)
    assert report.problems == (
        f"{too_strong.where}: too_strong sets signal['strength'] to 2 on bar 0 of W0 (2024-01-01 00:00); it must be 0 to 1.",
    )
    assert check_strategy(too_strong, params={"strength": 0.5}, cuts=1).ok


LEVEL = 100.0


@strategy()
def changes_with_a_global(market, position, params, memory, signal):
    signal["side"] = LONG if market["close"] > LEVEL else SHORT


@pytest.mark.skipif(JITLESS, reason="there is no compiled side")
def test_a_global_that_changed_after_compiling_makes_interpreted_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_strategy(changes_with_a_global, FRAME, cuts=1).ok
    monkeypatch.setitem(changes_with_a_global.python.__globals__, "LEVEL", -1.0)
    report = check_strategy(changes_with_a_global, FRAME, cuts=1)
    assert any("differs interpreted from compiled first on bar" in p for p in report.problems)


def test_the_check_takes_a_frame_a_dict_bars_and_nothing() -> None:
    bars = np.zeros(300, BAR)
    bars["open_ns"] = np.arange(300) * 60_000_000_000
    for name in ("open", "high", "low", "close"):
        bars[f"{name}_ticks"] = (CLOSES[:300] * 100).astype(np.int32)
    one = check_strategy(styled, bars, tick_size=0.01, cuts=2)
    several = check_strategy(leader, {"BBB": frame(CLOSES[:400]), "AAA": frame(CLOSES[200:700])}, cuts=2)
    assert one.ok and one.bars == 300 and one.symbols == ("BARS",)
    assert several.ok and several.bars == 900 and several.symbols == ("AAA", "BBB")
    assert "no problem found" in str(check_strategy(styled))


def test_a_strategy_sees_a_gap_and_only_settled_funding() -> None:
    history = random_walk(1, 100)
    rows = history.rows[:, 0]
    assert (rows["funding_ts_ns"] <= rows["ts_ns"]).all() and (rows["ts_ns"] == rows["open_ns"] + rows["interval_ns"]).all()
    assert set(rows.dtype.names) == set(MARKET.names or ()) and BUY == LONG
