"""The trial ledger: nothing is lost at a cut, a kill or a crowd, and nothing is changed unseen."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.domain.errors import DataError
from simcore.validation import provenance, trials
from simcore.validation.sharpe import deflated_sharpe
from simcore.validation.trials import Trial, append_trials, read_trials

ROOT = Path(__file__).parents[1]


def trial(number: int = 0, **changes: Any) -> Trial:
    fields: dict[str, Any] = {
        "recorded_ns": 1_700_000_000_000_000_000 + number,
        "study": "ema_cross on hourly bars",
        "kind": "sweep",
        "source_hash": "a" * 64,
        "config_hash": "b" * 64,
        "strategy_hash": "c" * 64,
        "data_hash": "d" * 64,
        "fill_model_hash": "e" * 64,
        "strategies": ("ema_cross",),
        "params": {"ema_cross": {"fast": float(number), "slow": 30.0}},
        "symbols": ("SYNAUSDT", "SYNBUSDT"),
        "start_ns": 0,
        "end_ns": 86_400_000_000_000 * 365,
        "seed": 7,
        "period_s": 86_400,
        "n_periods": 365,
        "sharpe": 0.01 * number,
        "metrics": {"max_drawdown": -0.1, "n_trades": 12.0},
    }
    return Trial(**{**fields, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.jsonl"


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_trials(path)
    return str(caught.value)


# ---------------------------------------------------------------- what comes back

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRIALS = st.builds(
    trial,
    st.integers(0, 1000),
    study=TEXT,
    params=st.dictionaries(TEXT, st.dictionaries(TEXT, FLOATS, max_size=3), max_size=2),
    metrics=st.dictionaries(TEXT, st.none() | FLOATS, max_size=4),
    sharpe=st.none() | FLOATS,
    symbols=st.lists(TEXT, max_size=3).map(tuple),
    seed=st.integers(0, 2**63 - 1),
)


@settings(max_examples=200)
@given(st.lists(TRIALS, max_size=6), st.integers(0, 6))
def test_every_trial_comes_back_as_it_was_written(tmp_path_factory, written, first):
    path = tmp_path_factory.mktemp("ledger") / "trials.jsonl"
    append_trials(path, written[:first])
    head = append_trials(path, written[first:])
    found = read_trials(path)
    assert found.rows == tuple(written) and found.problems == () and found.head == head
    assert all(isinstance(json.loads(line), dict) for line in path.read_bytes().split(b"\n") if line)


def test_a_missing_ledger_holds_no_trials_and_a_new_one_is_made_with_its_folder(tmp_path):
    path = tmp_path / "runs" / "study" / "trials.jsonl"
    assert len(read_trials(path)) == 0 and math.isnan(read_trials(path).sharpe_variance())
    assert append_trials(path, []) == ""
    append_trials(path, [trial(1)])
    assert [t.recorded_ns for t in read_trials(path)] == [trial(1).recorded_ns]


def test_what_is_not_determined_is_null(path):
    append_trials(path, [trial(1, sharpe=math.nan, metrics={"calmar": math.inf})])
    (found,) = read_trials(path)
    assert found.sharpe is None and found.metrics == {"calmar": None}


@pytest.mark.parametrize("wrong", [{"seed": "seven"}, {"n_periods": 3.5}, {"params": {"a": {"b": None}}}, {"strategies": 5}])
def test_a_trial_that_could_not_be_read_back_is_not_written(path, wrong):
    append_trials(path, [trial(1)])
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"cannot be kept.*{next(iter(wrong))}"):
        append_trials(path, [trial(2), trial(3, **wrong)])
    assert path.read_bytes() == before


# ---------------------------------------------------------------- cut, killed, crowded


def test_a_cut_at_any_byte_loses_nothing_that_was_whole(tmp_path):
    whole = tmp_path / "whole.jsonl"
    written = [trial(i) for i in range(3)]
    for one in written:
        append_trials(whole, [one])
    content = whole.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    path = tmp_path / "cut.jsonl"
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        kept = [one for one, end in zip(written, ends, strict=True) if end - 1 <= size]  # a line without its end is whole
        torn = size > 0 and size not in ends and size + 1 not in ends
        found = read_trials(path)
        assert list(found) == kept
        assert len(found.problems) == torn
        assert not torn or f"{path}: line {len(kept) + 1}: was cut" in found.problems[0]
        append_trials(path, [trial(9)])
        again = read_trials(path)
        assert list(again) == [*kept, trial(9)] and len(again.problems) == torn


def test_a_writer_that_dies_while_it_marks_a_cut_line_is_no_harm(path):
    append_trials(path, [trial(1)])
    good = path.read_bytes()
    for left in (b"#", b"#c", b"#cu", b"#cut"):
        path.write_bytes(good + good[:50] + left)
        append_trials(path, [trial(2)])
        found = read_trials(path)
        assert list(found) == [trial(1), trial(2)] and len(found.problems) == 1
    path.write_bytes(good + b"\0" * 300)  # what a power cut may leave
    append_trials(path, [trial(2)])
    assert list(read_trials(path)) == [trial(1), trial(2)]
    path.write_bytes(b"\0" * 300)
    append_trials(path, [trial(2)])
    assert list(read_trials(path)) == [trial(2)]


def test_a_long_cut_line_before_the_end_is_looked_past(path, monkeypatch):
    append_trials(path, [trial(1)])
    with path.open("ab") as stream:
        stream.write(b'{"trial":{"recorded_ns":' + b"1" * 5000)
    monkeypatch.setattr(trials, "TAIL_BYTES", 64)
    append_trials(path, [trial(2)])
    append_trials(path, [trial(3)])
    assert [t.seed for t in read_trials(path)] == [7, 7, 7]


def test_a_full_disk_leaves_the_ledger_as_it_was(path, monkeypatch):
    append_trials(path, [trial(1)])
    before = path.read_bytes()
    write, room = os.write, [400]

    def short(handle: int, view: Any) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        done = write(handle, bytes(view)[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(DataError, match="No space left"):
        append_trials(path, [trial(2), trial(3)])
    assert path.read_bytes() == before
    room[0] = 10**9
    append_trials(path, [trial(2)])
    assert len(read_trials(path)) == 2


WRITER = """
import sys
from tests.test_trials import append_trials, trial
for i in range(int(sys.argv[2])):
    append_trials(sys.argv[1], [trial(int(sys.argv[3]) + i)])
    print(int(sys.argv[3]) + i, flush=True)
"""


def writer(path: Path, n: int, first: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(n), str(first)], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_writers_in_several_processes_and_threads_lose_no_line(path):
    processes = [writer(path, 40, 1000 * p) for p in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: append_trials(path, [trial(5000 + i), trial(6000 + i)]), range(40)))
    assert [p.wait(120) for p in processes] == [0, 0]
    expected = {1000 * p + i for p in range(2) for i in range(40)} | {k + i for k in (5000, 6000) for i in range(40)}
    found = read_trials(path)
    assert sorted(int(t.params["ema_cross"]["fast"]) for t in found) == sorted(expected)
    assert found.problems == ()


def test_what_a_killed_writer_was_told_is_kept_is_kept(path):
    process = writer(path, 100_000, 0)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)]
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().splitlines()]
    process.wait(60)
    append_trials(path, [trial(-1)])
    found = [int(t.params["ema_cross"]["fast"]) for t in read_trials(path)]
    assert found[-1] == -1 and found[: len(told)] == told and len(found) <= len(told) + 2


# ---------------------------------------------------------------- changed unseen? no


@pytest.fixture
def five(path: Path) -> Path:
    append_trials(path, [trial(i) for i in range(5)])
    return path


def test_any_changed_byte_is_found_with_its_line(five):
    content = five.read_bytes()
    lines = content.split(b"\n")
    rng = np.random.Generator(np.random.PCG64(3))
    for position in rng.choice(len(content) - 1, 300, replace=False):
        changed = bytearray(content)
        changed[position] ^= 1 << int(rng.integers(0, 7))
        number = content[:position].count(b"\n") + 1
        five.write_bytes(changed)
        try:
            found = read_trials(five)
        except DataError as trouble:
            assert f"{five}: line {number}: " in str(trouble) or f"{five}: line {number + 1}: " in str(trouble)
        else:  # only of the last line can it not be told whether it was changed or cut
            assert len(found) < 5 and f"line {number}" in found.problems[0] and number == len(lines) - 1


def test_removed_repeated_and_reordered_lines_are_found(five):
    lines = five.read_bytes().splitlines(keepends=True)
    for kept, number in (([0, 1, 3, 4], 3), ([1, 2, 3, 4], 1), ([0, 2, 1, 3, 4], 2), ([0, 1, 1, 2, 3, 4], 3)):
        five.write_bytes(b"".join(lines[i] for i in kept))
        assert f"line {number}: was written after another line" in refusal(five)
    five.write_bytes(b"".join([*lines[:2], b"\n", *lines[2:]]))
    assert "line 3: is not what was written" in refusal(five)


def test_a_line_marked_as_cut_by_hand_is_missed_by_the_next(five):
    lines = five.read_bytes().splitlines()
    lines[2] = lines[2][:-5] + b"#cut"
    five.write_bytes(b"\n".join(lines) + b"\n")
    assert "line 4: was written after another line" in refusal(five)


def test_removed_last_lines_show_in_the_head(five):
    head = read_trials(five).head
    lines = five.read_bytes().splitlines(keepends=True)
    five.write_bytes(b"".join(lines[:-1]))
    assert read_trials(five).head != head


@pytest.mark.parametrize("content", ['{"a": 1}\n', "name,value\n1,2", "# notes", "\n\n\nx"])
def test_another_kind_of_file_is_not_written_to(path, content):
    path.write_text(content)
    with pytest.raises(DataError, match=r"trials\.jsonl: is not a trial ledger"):
        append_trials(path, [trial(1)])
    assert path.read_text() == content


def test_a_folder_in_the_ledgers_place_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        append_trials(tmp_path, [trial(1)])


def test_a_line_of_another_version_is_named(five):
    body = b'{"trial":' + msgspec.json.encode({**msgspec.to_builtins(trial(9)), "colour": "red"})
    content = body + f',"after":"{read_trials(five).head}"'.encode()
    with five.open("ab") as stream:
        stream.write(content + f',"checksum":"{trials._checksum(content)}"}}\n'.encode())
    assert "line 6: was written by another version" in refusal(five) and "colour" in refusal(five)


# ---------------------------------------------------------------- counting


def test_the_same_choice_on_another_window_or_seed_is_one_trial(path):
    rows = [trial(1), trial(1, seed=8), trial(1, start_ns=5, data_hash="f" * 64), trial(2), trial(3, policy_hash="p")]
    append_trials(path, rows)
    found = read_trials(path)
    assert found.count() == 3 and len(found) == 5
    assert found.distinct()[0].start_ns == 5, "the last run of a trial speaks for it"
    assert found.count(by=("seed",)) == 2
    assert found.where(seed=8).rows == (rows[1],)


def test_the_ledger_says_what_the_deflated_sharpe_ratio_asks(path):
    append_trials(path, [trial(i) for i in range(1, 21)] + [trial(40, sharpe=None)])
    found = read_trials(path)
    assert found.count() == 21
    assert found.sharpe_variance() == pytest.approx(np.var(0.01 * np.arange(1, 21), ddof=1))
    best = max(found.sharpes())
    deflated = deflated_sharpe(best, 365, 0.0, 3.0, found.count(), found.sharpe_variance())
    assert deflated.sr0 == pytest.approx(found.sharpe_variance() ** 0.5 * 1.9, rel=0.05)


def test_ratios_of_days_and_hours_do_not_mix(path):
    append_trials(path, [trial(1), trial(2, period_s=3600)])
    with pytest.raises(DataError, match=r"per 3600, 86400 s cannot be mixed"):
        read_trials(path).sharpe_variance()
    assert len(read_trials(path).where(period_s=3600).sharpes()) == 1


def test_an_unknown_field_is_named_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'study'"):
        trials.Trials(Path("x"), (), (), "").where(studdy="a")


# ---------------------------------------------------------------- fingerprints


def test_one_character_of_what_decides_changes_the_source_hash(tmp_path):
    package = tmp_path / "simcore"
    for name in ("engine/fees.py", "report/words.py", "cli/replay.py", "replay/world.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("x = 1\n")
    before = provenance.source_hash(package)
    (package / "report/words.py").write_text("x = 2\n")
    assert provenance.source_hash(package) == before
    (package / "engine/fees.py").write_text("x = 2\n")
    changed = provenance.source_hash(package)
    (package / "engine/fees.py").write_text("x = 1\n")
    (package / "replay/world.py").rename(package / "replay/worlds.py")
    assert len({before, changed, provenance.source_hash(package)}) == 3
    names = {path.relative_to(ROOT).as_posix() for path in provenance.deciding_files()}
    assert {"simcore/engine/fills.py", "simcore/decision/pipeline.py", "simcore/jit.py", "replay_data/feed.py"} <= names
    assert not any(name.startswith("simcore/report") for name in names)


def test_the_fill_model_is_the_venues_settings_and_fees_and_nothing_else():
    config = load_config()
    same = [config.replace(cash=5_000.0), config.replace(set={"settings.bar_model.note": "x"})]
    other = [config.replace(set={"settings.bar_model.impact_y": 2.0}), config.replace(set={"assets.quote_assets.USDT.taker_fee_bps": 9.0})]
    assert {provenance.fill_model_hash(c) for c in same} == {provenance.fill_model_hash(config)}
    assert len({provenance.fill_model_hash(c) for c in [config, *other]}) == 3


def test_strategies_are_known_by_their_sources():
    config = load_config()
    one, two = (provenance.enabled_strategies_hash(config.replace(strategies=[name])) for name in ("ema_cross", "sma_cross"))
    assert one != two and len(one) == 64
    assert provenance.strategies_hash({"a": "1", "b": "2"}) == provenance.strategies_hash({"b": "2", "a": "1"})
