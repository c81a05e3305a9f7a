"""A strategy's mistakes: each is answered with file, line, cause and the next step, in five lines at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simcore.strategy import StrategyError, check_strategy, load_strategy
from simcore.strategy.drive import random_walk

pytestmark = pytest.mark.jitless
HEAD = "from simcore.indicators import sma, value_ago\nfrom simcore.strategy import FLAT, LONG, SHORT, strategy, window\n\n"
ON_BAR = "market, position, params, memory, signal"
MISTAKES = {
    # name: (decorator arguments, body, what the message says after "mine.py:<line>: mine: ")
    "market field": ("", "x = market['clsoe']", "market has no 'clsoe'. Did you mean 'close'?"),
    "market write": ("", "market['close'] = 1.0", "market['close'] is read-only: a strategy writes to signal and memory."),
    "position field": ("", "x = position['sid']", "position has no 'sid'. Did you mean 'side'?"),
    "engine's field": (
        "",
        "x = position['stop_ticks']",
        "position['stop_ticks'] is the engine's own. A strategy sees: side, qty, entry_price, bars_held, entry_ns, exit_ns.",
    ),
    "position write": ("", "position['qty'] += 1.0", "position['qty'] is read-only: a strategy writes to signal and memory."),
    "signal field": ("", "signal['sides'] = LONG", "signal has no 'sides'. Did you mean 'side'?"),
    "params name": ("params={'fast': 5}", "x = params['fsat']", "params has no 'fsat'. Did you mean 'fast'?"),
    "no params": ("", "x = params['fast']", "params has no 'fast': name it in @strategy(..., params=...)."),
    "params write": (
        "params={'fast': 5}",
        "params['fast'] = 6.0",
        "params['fast'] is read-only: keep what changes in memory.",
    ),
    "params whole": (
        "params={'fast': 5}",
        "x = max(params)",
        "'params' can only be used with a name in quotes, like params['fast'].",
    ),
    "memory name": ("memory=('quick',)", "memory['quikc'] += 1.0", "memory has no 'quikc'. Did you mean 'quick'?"),
    "memory whole": (
        "memory=('quick',)",
        "memory = 3",
        "'memory' can only be used with a name in quotes, like memory['quick'].",
    ),
    "memory index": ("memory=('quick',)", "memory[0] = 3.0", "memory is read by a name in quotes, like memory['quick']."),
    "window as number": (
        "memory=(window('w', 5),)",
        "x = memory['w'] + 1.0",
        "'w' is a window: use it as the first argument of an indicator, like sma(memory['w'], close).",
    ),
    "window fed twice": (
        "memory=(window('w', 5),)",
        "x = sma(memory['w'], 1.0) + sma(memory['w'], 2.0)",
        "window 'w' already belongs to the indicator on line 6, and each call adds a value. Declare a second window.",
    ),
    "indicator arguments": (
        "memory=(window('w', 5),)",
        "x = sma(memory['w'])",
        "sma is called with other arguments than it takes: sma(memory['w'], x).",
    ),
    "argument taken": ("", "signal = 1", "'signal' is the engine's: give your variable another name."),
    "reserved": ("", "param_base = 1", "'param_base' is a reserved name: give your variable another name."),
    "returns": ("", "return LONG", "it returns a value, which nobody reads: write the wish into signal['side']."),
}


def mine(folder: Path, decorator: str, body: str, arguments: str = ON_BAR, head: str = HEAD) -> Path:
    """Write mine.py: the decorator is on line 4, the def on line 5, the body on line 6 (after the usual head)."""
    (folder / "mine.py").write_text(
        f"{head}@strategy({decorator})\ndef mine({arguments}):\n    {body}\n    signal['side'] = LONG\n"
    )
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_name_is_an_error_at_once_with_its_line_and_the_right_one(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decorator, body, told = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StrategyError) as error:
        load_strategy("mine", "mine", [mine(tmp_path, decorator, body)])
    assert str(error.value) == f"mine.py:6: mine: {told}"


DECLARATIONS = {
    "on": ("on='bars'", "4: mine: on='bars' is not known. Did you mean 'bar'?"),
    "warmup": ("params={'slow': 5}, warmup='slwo'", "4: mine: there is no parameter 'slwo'. Did you mean 'slow'?"),
    "window size": ("memory=(window('w', 'n'),)", "4: mine: there is no parameter 'n'. It has no parameters."),
    "window length": (
        "memory=(window('w', 0),)",
        "4: mine: window 'w' has length 0: set its size to a whole number of at least 1.",
    ),
    "twice": ("memory=('a', 'b', 'a')", "4: mine: memory names 'a' twice."),
    "start": ("memory=('a',), start={'b': 1.0}", "4: mine: start names 'b', which is no number of its memory."),
    "default": (
        "params={'fast': float('nan')}",
        "4: mine: parameter 'fast' is nan: give a finite default.",
    ),
    "many": (
        "params={f'p{i}': i for i in range(33)}",
        "4: mine: 33 parameters; a strategy has at most 32.",
    ),
    "cross": (
        "on='cross'",
        '5: mine takes (market, position, params, memory, signal). A strategy on="cross" takes '
        "(market, position, params, memory, signal, n).",
    ),
}


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_wrong_declaration_is_refused(declaration: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decorator, told = DECLARATIONS[declaration]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StrategyError) as error:
        load_strategy("mine", "mine", [mine(tmp_path, decorator, "pass")])
    assert str(error.value) == f"mine.py:{told}"


def test_names_are_checked_in_a_cross_section_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {
        "x = market[n - 1]['clsoe']": "market has no 'clsoe'. Did you mean 'close'?",
        "memory[0]['quikc'] = 1.0": "memory has no 'quikc'. Did you mean 'quick'?",
        "memory['quick'] = 1.0": "'memory' can only be used with a name in quotes, like memory[i]['quick'].",
        "position[0]['side'] = 1": "position['side'] is read-only: a strategy writes to signal and memory.",
        "signal[0]['sid'] = 1": "signal has no 'sid'. Did you mean 'side'?",
    }
    for body, told in wrong.items():
        with pytest.raises(StrategyError) as error:
            load_strategy("mine", "mine", [mine(tmp_path, "on='cross', memory=('quick',)", body, f"{ON_BAR}, n")])
        assert str(error.value) == f"mine.py:6: mine: {told}"


TRIALS = {
    "name": (
        "if market['close'] > thresold: return",
        "mine.py:6: mine: NameError: name 'thresold' is not defined\n"
        "  if market['close'] > thresold: return\n"
        "  Did you mean 'threshold'?",
    ),
    "field of an alias": (
        "row = market; x = row['clsoe']",
        "mine.py:6: mine: a record has no field 'clsoe'.\n  row = market; x = row['clsoe']\n  Did you mean 'close'?",
    ),
    "division": (
        "x = 1.0 / (market['close'] - market['close'])",
        "mine.py:6: mine: it divides by zero.\n"
        "  x = 1.0 / (market['close'] - market['close'])\n"
        "  Guard the division: compiled code stops the run there.",
    ),
}


@pytest.mark.parametrize("trial", TRIALS)
def test_the_trial_in_plain_python_shows_a_mistake_with_its_line(
    trial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, told = TRIALS[trial]
    monkeypatch.chdir(tmp_path)
    found = load_strategy("mine", "mine", [mine(tmp_path, "", body, head=HEAD.replace("\n\n", "; threshold = 1.0\n\n"))])
    with pytest.raises(StrategyError) as error:
        _ = found.compiled
    assert str(error.value) == told


COMPILED = {
    "dict": (
        "x = TABLE['a']",
        "mine.py:6: mine does not compile: 'TABLE' is a dict, which compiled code cannot use.\n"
        "  x = TABLE['a']\n"
        "  Keep numbers in memory or params, or run this strategy with --interpreted.",
    ),
    "two types": (
        "x = 1\n    if market['close'] < 0: x = 'a'\n    if x == 1: signal['tag'] = 1",
        "mine.py:8: mine does not compile: 'x' is once int, once str.\n"
        "  if x == 1: signal['tag'] = 1\n"
        "  Give it one type: start it as a float, like 0.0.",
    ),
    "statement": (
        "import math",
        "mine.py:6: mine does not compile: compiled code does not know this statement (IMPORT_NAME).\n"
        "  import math\n"
        "  Write it plainly, or run with --interpreted.",
    ),
}


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
@pytest.mark.parametrize("mistake", COMPILED)
def test_a_strategy_that_does_not_compile_says_line_cause_and_fix(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, told = COMPILED[mistake]
    monkeypatch.chdir(tmp_path)
    found = load_strategy("mine", "mine", [mine(tmp_path, "", body, head=HEAD.replace("\n\n", "; TABLE = {'a': 1.0}\n\n"))])
    with pytest.raises(StrategyError) as error:
        _ = found.compiled
    assert len(str(error.value).splitlines()) <= 5
    assert str(error.value) == told


def test_an_error_while_it_runs_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    body = "signal['target_distance'] = 1.0 / (market['close'] - 7.0)"
    found = load_strategy("mine", "mine", [mine(tmp_path, "", body)])
    history = random_walk(1, 20)
    history.rows["close"][13] = 7.0
    with pytest.raises(StrategyError) as error:
        check_strategy(found, history)
    assert str(error.value) == (
        "mine.py:6: mine: it divides by zero.\n  signal['target_distance'] = 1.0 / (market['close'] - 7.0)\n"
        "  Guard the division: compiled code stops the run there."
    )


def test_a_missing_strategy_file_or_name_says_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StrategyError) as error:
        load_strategy("ema_crss", "ema_cross", [tmp_path])
    assert str(error.value) == ("there is no strategy file 'ema_crss.py' in ., the shipped strategies. Did you mean 'ema_cross'?")
    with pytest.raises(StrategyError) as error:
        load_strategy("mine", "mnie", [mine(tmp_path, "", "pass")])
    assert str(error.value) == "mine.py: it has no strategy 'mnie'. Did you mean 'mine'?"
    (tmp_path / "plain.py").write_text("def mine():\n    pass\n")
    with pytest.raises(StrategyError) as error:
        load_strategy("plain", "mine", [tmp_path])
    assert str(error.value) == "plain.py: 'mine' is not a strategy. Put @strategy(...) above its def."
    with pytest.raises(StrategyError) as error:
        load_strategy("plain", "other", [tmp_path])
    assert str(error.value) == "plain.py: it holds no strategy. Put @strategy(...) above a function."


def test_a_file_that_cannot_be_imported_says_line_and_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "a = 1\nb = (\n": "mine.py:2: SyntaxError: '(' was never closed. Correct that line.",
        "\nimport nosuchmodule\n": "mine.py:2: ModuleNotFoundError: No module named 'nosuchmodule'. "
        "Install it, or put the module beside the strategy.",
        "a = 1\nc = a / 0\n": "mine.py:2: ZeroDivisionError: division by zero. Correct that line.",
        HEAD + "@strategy()\n@strategy()\n" + f"def mine({ON_BAR}):\n    pass\n": None,
    }
    for text, told in files.items():
        (tmp_path / "mine.py").write_text(text)
        with pytest.raises(StrategyError) as error:
            load_strategy("mine", "mine", [tmp_path])
        if told is None:
            assert str(error.value) == (
                "@strategy(...) stands above <strategy mine on='bar' mine.py:4>. Put it right above one plain `def`."
            )
        else:
            assert str(error.value) == told
