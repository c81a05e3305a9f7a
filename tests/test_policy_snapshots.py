"""Snapshots of policies: read back exactly, appended to only, and looked up as they stood."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.domain.errors import DataError
from simcore.learning import Policies, PolicyHistory, RouterMetrics, learn
from simcore.learning.snapshots import CURRENT, HISTORY, append_policies, entry_of, load_current
from tests.fakes_learning import START_NS, random_trades

DAY = 86_400 * 10**9
STAGES = ("expectancy", "scoring", "autotune", "allocator")
CONFIG = load_config().replace(set={"settings.v6_enabled": True, **{f"settings.{name}.enabled": True for name in STAGES}})
DEAR = RouterMetrics(
    maker_fill_rate=0.1, n_maker=500.0, taker_slippage_bps=1.0, n_taker=500.0, drift_on_miss_bps=20.0, n_miss=500.0, half_spread_bps=1.0,
    maker_fee_bps=2.0, taker_fee_bps=5.0,
)  # fmt: skip


def learned(day: int, previous: Policies | None = None) -> Policies:
    """Return what every stage learns on that day of the made-up quarter."""
    trades = random_trades(1, 2_000, mean_bps=3.0)
    orders = {"AAAUSDT": DEAR, "BBBUSDT": RouterMetrics()}
    return learn(trades, START_NS + day * DAY, previous or Policies(), CONFIG, 50_000.0, orders=orders, drawdown_pct=0.1)


def marked(version: int, valid_ns: int) -> Policies:
    return Policies(version=version, valid_from_ns=valid_ns, learned_from_ns=valid_ns, learned_to_ns=valid_ns)


def test_policies_survive_json_in_every_part() -> None:
    first = learned(40)
    again = Policies.from_dict(json.loads(json.dumps(first.as_dict(), allow_nan=False)))
    assert again.as_dict() == first.as_dict()
    assert again.edges.tobytes() == first.edges.tobytes()
    assert (again.router, again.tuner, again.allocation, again.changes) == (first.router, first.tuner, first.allocation, first.changes)
    assert first.changes and first.scores and first.allocation.symbols
    assert Policies.from_dict(Policies().as_dict()).as_dict() == Policies().as_dict()


def test_a_snapshot_says_what_it_was_learned_from() -> None:
    found = learned(40)
    assert START_NS < found.learned_from_ns < found.learned_to_ns < found.valid_from_ns - CONFIG.learning.refresh.embargo_s * 1e9
    assert found.sources == {"trades": found.sources["trades"], "config": CONFIG.hash}
    assert learned(41).sources["trades"] != found.sources["trades"] == learned(40).sources["trades"]


def test_a_folder_keeps_every_policy_and_the_current_one(tmp_path: Path) -> None:
    first = learned(40)
    second = learned(41, first)
    for each in (first, second):
        append_policies(tmp_path, each)
    assert load_current(tmp_path).as_dict() == second.as_dict()
    history = PolicyHistory.load(tmp_path)
    assert (len(history), history.torn) == (2, False)
    assert history.as_of(first.valid_from_ns - 1) is None
    assert history.as_of(first.valid_from_ns).as_dict() == first.as_dict()
    assert history.as_of(second.valid_from_ns + DAY).as_dict() == second.as_dict()
    assert (second.version, history.next_change_ns(first.valid_from_ns)) == (2, second.valid_from_ns)


def test_a_correction_is_seen_by_those_who_know_of_it_and_by_no_earlier_moment() -> None:
    """Bitemporal: June's word on March changes no replay of March."""
    march, june = START_NS, START_NS + 90 * DAY
    history = PolicyHistory().with_entry(marked(1, march)).with_entry(marked(2, march), recorded_ns=june)
    for moment in (march, march + 30 * DAY, june - 1):
        assert history.as_of(moment).version == 1
    assert history.as_of(june).version == 2
    assert history.as_of(march + DAY, known_ns=june).version == 2
    assert history.next_change_ns(march) == june


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=15), st.integers(-1, 101))
@settings(max_examples=1_000)
def test_a_lookup_is_the_plain_rule_over_all_lines(lines: list[tuple[int, int]], moment: int) -> None:
    history = PolicyHistory(tuple(entry_of(marked(at + 1, valid), recorded) for at, (valid, recorded) in enumerate(lines)))
    best = None
    for at, (valid, recorded) in enumerate(lines):
        if valid <= moment and recorded <= moment and (best is None or valid >= lines[best][0]):
            best = at
    found = history.as_of(moment)
    assert (None if found is None else found.version) == (None if best is None else best + 1)
    change = history.next_change_ns(moment)
    until = change if change is not None else moment + 5
    assert all((history.as_of(t) or Policies()).version == (found or Policies()).version for t in range(moment, min(until, moment + 5)))


def test_policies_that_know_the_future_of_their_time_are_refused(tmp_path: Path) -> None:
    early = replace(learned(40), valid_from_ns=START_NS)
    with pytest.raises(DataError, match="they would know the future"):
        append_policies(tmp_path, early)
    assert not (tmp_path / HISTORY).exists()


def test_a_line_that_a_crash_left_unfinished_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    for version in (1, 2):
        append_policies(tmp_path, marked(version, START_NS + version * DAY))
    path = tmp_path / HISTORY
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, (first + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        history = PolicyHistory.load(tmp_path)
        assert (len(history), history.torn) == (1, True)
    append_policies(tmp_path, marked(3, START_NS + 3 * DAY))
    history = PolicyHistory.load(tmp_path)
    assert ([each.policies["version"] for each in history.entries], history.torn) == ([1, 3], False)


def test_an_edited_line_and_an_edited_file_are_refused_with_the_place(tmp_path: Path) -> None:
    for version in (1, 2):
        append_policies(tmp_path, marked(version, START_NS + version * DAY))
    path, current = tmp_path / HISTORY, tmp_path / CURRENT
    whole = path.read_text()
    path.write_text(whole.replace('"version": 1', '"version": 7', 1))
    with pytest.raises(DataError, match=r"line 1 does not match its hash"):
        PolicyHistory.load(tmp_path)
    path.write_text("{}\n" + whole)
    with pytest.raises(DataError, match=r"line 1 is no entry"):
        PolicyHistory.load(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        PolicyHistory.load(tmp_path / "nowhere")
    current.write_text(current.read_text().replace('"version": 2', '"version": 3', 1))
    with pytest.raises(DataError, match="does not match its hash"):
        load_current(tmp_path)
    current.write_text("{}")
    with pytest.raises(DataError, match="no policy file of version 1"):
        load_current(tmp_path)


def test_a_full_disk_leaves_the_current_policies_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_policies(tmp_path, marked(1, START_NS))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        append_policies(tmp_path, marked(2, START_NS + DAY))
    monkeypatch.undo()
    assert load_current(tmp_path).version == 1
    append_policies(tmp_path, marked(3, START_NS + 2 * DAY))
    assert load_current(tmp_path).version == 3


def test_what_was_not_learned_is_null_and_not_a_number_nowhere(tmp_path: Path) -> None:
    few = learn(random_trades(1, 10), START_NS + 80 * DAY, Policies(), CONFIG, 1_000.0)
    assert few.edges is None and few.scores == {} and few.allocation.symbols == {}
    some = replace(learned(40), edges=learned(40).edges.copy())
    some.edges[0, 0, 0] = math.nan
    append_policies(tmp_path, some)
    assert math.isnan(load_current(tmp_path).edges[0, 0, 0])
    assert "NaN" not in (tmp_path / CURRENT).read_text()
