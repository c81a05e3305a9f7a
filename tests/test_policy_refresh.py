"""Learning inside a replay: at its times, from what was known, in one place, recorded, and as if absent when switched off."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simcore
from replay_data.feed import Feed
from simcore.config import Config
from simcore.decision.reports import regime_nb
from simcore.domain.enums import InputKind, LedgerKind, Screen
from simcore.domain.errors import ConfigError
from simcore.domain.records import MAX_SYMBOLS, TRADE
from simcore.learning import Policies, PolicyHistory, learn
from simcore.learning.refresh import for_the_hour, limit_rows, limits_in_force, policy_rows, put_into_force, regimes_of
from simcore.learning.snapshots import entry_of
from simcore.replay import Journal, Session, run_replay
from simcore.replay.driver import Driver
from simcore.replay.refresher import Refresher
from tests.worlds import START_NS, make_feed, six_config

HOUR = 3_600 * 10**9
STAGES = ("expectancy", "scoring", "autotune", "allocator")
SWITCHED_ON = {"settings.v6_enabled": True, **{f"settings.{name}.enabled": True for name in STAGES}}
# Learn every six hours from ten trades of the last day on, and let the tuner move at once: a few days are short.
EAGER = {
    "learning.refresh.learn_every_s": 21_600, "learning.refresh.embargo_s": 600, "learning.refresh.min_trades": 10,
    "learning.autotune.min_maker_orders": 5, "learning.autotune.min_taker_orders": 5, "learning.autotune.min_misses": 3,
    "learning.autotune.min_orders": 5, "learning.autotune.min_markouts": 5, "learning.autotune.dwell_refreshes": 0,
    "learning.autotune.cooldown_s": 0, "learning.refresh.window_days": 1.0, "strategy_config.defaults.screen.min_expectancy_bps": -25.0,
    "strategy_config.defaults.screen.min_score": 0.42,
}  # fmt: skip


@cache
def feed() -> Feed:
    return make_feed(3, 3, 1_000)


@cache
def config(*off: str, **changes: Any) -> Config:
    switches = {**SWITCHED_ON, **EAGER, **{f"settings.{name}.enabled": False for name in off}}
    return six_config().replace(set={**switches, **{key.replace("__", "."): value for key, value in changes.items()}})


@cache
def played(*off: str) -> Session:
    session = Session(feed(), config(*off), journal=True)
    session.finish()
    return session


def tables(output: Any) -> list[bytes]:
    return [output.table(name).tobytes() for name in ("ledger", "trade", "route_done", "equity")]


def rows_of(session: Session, kind: LedgerKind) -> np.ndarray:
    ledger = session.output.table("ledger")
    return ledger[ledger["kind"] == kind]


# ------------------------------------------------------------ off is absent


def test_switched_off_it_does_not_exist() -> None:
    """Not by another byte, whatever learning.json says and whichever stage is on under a switched-off whole."""
    plain = run_replay(feed(), six_config())
    stages_on = six_config().replace(set={**{key: value for key, value in SWITCHED_ON.items() if "v6" not in key}, "learning.refresh.min_trades": 1})
    none_on = six_config().replace(set={"settings.v6_enabled": True, "learning.refresh.learn_every_s": 60})
    for off in (stages_on, none_on):
        session = Session(feed(), off, journal=True)
        assert session.refresher is None
        session.finish()
        assert session.output.digest() == plain.digest
        journal = session.journal.journal(feed().filters)
        assert InputKind.POLICY not in journal.inputs["kind"] and not len(journal.policies) and not len(journal.limits)
    assert plain.policies == ()


def test_stages_that_never_get_enough_trades_change_no_decision() -> None:
    """Without scores and expectancy, drawdown alone moves the allocator; it is off here."""
    starved = config("allocator", "autotune", learning__refresh__min_trades=100_000)
    session = Session(feed(), starved)
    session.finish()
    plain = run_replay(feed(), six_config().replace(set={"strategy_config.defaults.screen.min_expectancy_bps": -25.0}))
    assert session.output.table("trade").tobytes() == plain.trades.tobytes()
    assert {row["cap"] for row in rows_of(session, LedgerKind.POLICY) if not np.isnan(row["cap"])} == set()


# ------------------------------------------------------------ one input among others


def test_policies_come_into_force_at_their_times_and_the_ledger_says_so() -> None:
    session = played()
    rows, learned = rows_of(session, LedgerKind.POLICY), session.refresher.snapshots
    assert len(learned) > 10
    assert all(each.valid_from_ns % (6 * HOUR) == 0 for each in learned)
    by_symbol = rows[rows["strategy"] == -1]
    assert [(row["ts_ns"], row["code"], row["symbol"]) for row in by_symbol] == [
        (each.valid_from_ns, each.version, symbol) for each in learned for symbol in range(3)
    ]
    last = session.refresher.current
    for row, symbol in zip(by_symbol[-3:], feed().symbols, strict=True):
        assert row["value"] == last.scores[symbol]
        assert row["x0"] == last.allocation.symbols[symbol].share
        assert bool(row["x3"]) == last.router[symbol].maker_first
    assert (np.diff(session.output.table("ledger")["ts_ns"]) >= 0).all()


def test_what_was_learned_decides() -> None:
    vetoes = rows_of(played(), LedgerKind.SCREEN_VETO)
    assert {Screen.MIN_EXPECTANCY_BPS, Screen.MIN_SCORE} <= {*vetoes["code"], *rows_of(played("expectancy"), LedgerKind.SCREEN_VETO)["code"]}
    plain = Session(feed(), six_config())
    plain.finish()
    assert played().output.count("trade") < plain.output.count("trade")
    assert played("expectancy", "scoring").output.count("trade") > played("autotune").output.count("trade")
    scaled, whole = (np.mean(rows_of(each, LedgerKind.SIZE)["value"][-50:]) for each in (played("expectancy", "scoring"), plain))
    assert scaled < whole


@pytest.mark.parametrize("off", [(), *((name,) for name in STAGES)])
def test_each_stage_leaves_alone_what_it_does_not_learn(off: tuple[str, ...]) -> None:
    session = played(*off)
    policy, base = session.core["policy"][:3], session.refresher.base
    assert np.isnan(policy["expectancy_bps"]).all() == ("expectancy" in off)
    assert np.isnan(policy["score"]).all() == ("scoring" in off)
    router = ("maker_first", "offset_bps", "wait_ns", "taker_bias")
    assert all((policy[name] == base[name]).all() for name in router) == ("autotune" in off)
    limits = limits_in_force(session.core)
    assert (limits == session.refresher.base_limits).all() == ("allocator" in off)
    assert (policy["size_scale"] == 1.0).all() == ("allocator" in off)


def in_slices(session: Session, seed: int) -> Session:
    rng = np.random.default_rng(seed)
    while session.next_ns is not None:
        session.advance(max_slices=int(rng.integers(1, 40)))
        if rng.random() < 0.2:
            session = session.copy()
        if rng.random() < 0.3:
            session.collect()
    session.collect()
    return session


def in_hours(session: Session, seed: int) -> Session:
    for hours in itertools.count(1):
        session.advance(START_NS + hours * seed * HOUR // 3)
        if session.next_ns is None:
            session.collect()
            return session
    raise AssertionError


@pytest.mark.parametrize("cut", [in_slices, in_hours])
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_a_learning_replay_cut_anywhere_gives_the_same_bytes(cut: Callable[[Session, int], Session], seed: int) -> None:
    session = cut(Session(feed(), config(), journal=True), seed)
    assert tables(session.output) == tables(played().output)
    assert session.journal.journal(feed().filters).inputs.tobytes() == played().journal.journal(feed().filters).inputs.tobytes()


@pytest.mark.parametrize("interpreted", [False, True])
def test_the_driver_learns_the_same_and_keeps_the_same_journal(interpreted: bool) -> None:
    driver = Driver(feed(), config(), interpreted=interpreted)
    driver.finish()
    mine, bulk = driver.journal(), played().journal.journal(feed().filters)
    assert driver.digest() == played().output.digest()
    for name in ("inputs", "reports", "policies", "limits"):
        assert getattr(mine, name).tobytes() == getattr(bulk, name).tobytes(), name


@pytest.mark.parametrize("interpreted", [False, True])
def test_the_journal_decides_the_same_without_learning_anything(interpreted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played().journal.journal(feed().filters).save(tmp_path / "journal.npz")
    journal = Journal.load(tmp_path / "journal.npz")
    assert len(journal.decrees_at) >= len(played().refresher.snapshots)
    monkeypatch.setattr(sys.modules["simcore.replay.refresher"], "learn", None)
    assert tables(journal.rerun(played().plan, interpreted=interpreted).output) == tables(played().output)


def test_an_interpreted_session_learns_the_same() -> None:
    session = Session(feed(), config(), interpreted=True)
    session.finish()
    assert tables(session.output) == tables(played().output)


# ------------------------------------------------------------ limits and figures in the core


def test_limits_are_only_ever_tightened() -> None:
    session = Session(feed(), config())
    base, seen = limits_in_force(session.core), 0
    while session.next_ns is not None:
        session.advance(max_slices=50)
        now = limits_in_force(session.core)
        for name in now.dtype.names:
            assert (now[name] <= base[name]).all(), name
            if name.startswith(("min_", "nav_", "market_")):
                assert (now[name] == base[name]).all(), name
        seen += int((now != base).any())
    assert seen > 5


def test_the_regime_of_a_symbol_is_the_core_s_own() -> None:
    rule = getattr(regime_nb, "py_func", regime_nb)
    core = played().core.copy()
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(300):
        core["market"]["sigma_day"][:3] = rng.choice([np.nan, 0.0, 0.01, 0.5], 3)
        core["market"]["volume_day"][:3] = rng.choice([np.nan, 0.0, 1.0, 1e12], 3)
        regimes = regimes_of(core).tolist()
        assert regimes == [rule(core, symbol) for symbol in range(3)]
        found |= set(regimes)
    assert found == {0, 1, 2, 3}


def test_a_row_has_the_figure_of_its_symbol_hour_and_regime() -> None:
    edges = np.arange(2 * 24 * 4, dtype=float).reshape(2, 24, 4)
    policies = Policies(version=4, symbols=("CCCUSDT", "AAAUSDT"), edges=edges, scores={"BBBUSDT": 0.25})
    base = played().refresher.base
    plain = policy_rows(policies, base, feed().symbols)
    assert np.isnan(plain["expectancy_bps"]).all()
    rows = for_the_hour(policies, plain, feed().symbols, START_NS + 5 * HOUR + 7, np.array([2, 0, 3]))
    assert rows["expectancy_bps"][[0, 2]].tolist() == [edges[1, 5, 2], edges[0, 5, 3]]
    assert np.isnan(rows["expectancy_bps"][1]) and rows["score"][1] == 0.25
    assert rows["version"].tolist() == [4, 4, 4]
    untouched = [name for name in rows.dtype.names if name not in ("expectancy_bps", "score", "version")]
    assert all((rows[name] == base[name]).all() for name in untouched)


def test_putting_the_same_into_force_again_writes_nothing() -> None:
    core = played().core.copy()
    rows, limits = core["policy"][:3].copy(), limits_in_force(core)
    before = core.tobytes()
    put_into_force(core, rows, limits, int(core["now_ns"]))
    assert core.tobytes() == before
    rows["expectancy_bps"] += 1.0  # another hour of the same version is not news
    put_into_force(core, rows, limits, int(core["now_ns"]))
    assert core["n_ledger"] == 0 and (core["policy"]["expectancy_bps"][:3] == rows["expectancy_bps"]).all()
    limits["max_order_notional"][1, 2] = 5.0
    put_into_force(core, rows, limits, int(core["now_ns"]))
    assert core["n_ledger"] == 1 and core["limits"][MAX_SYMBOLS + 2]["max_order_notional"] == 5.0
    row = core["ledger"][0]
    assert (row["strategy"], row["symbol"], row["cap"]) == (1, 2, 5.0)


def test_a_proposal_tightens_each_strategy_by_its_own_cap() -> None:
    current = played().refresher.current
    base = played().refresher.base_limits.copy()
    base["max_strategy_positions"], base["max_order_notional"] = 3, 50.0
    names = [use.name for use in played().plan.uses]
    rows = limit_rows(current, base, names, feed().symbols)
    assert (rows["max_strategy_positions"] <= 3).all() and (rows["max_order_notional"] <= 50.0).all()
    assert limit_rows(Policies(), base, names, feed().symbols).tobytes() == base.tobytes()


# ------------------------------------------------------------ nothing from the future


class Richer(Refresher):
    """A learner whose trades that closed at or after `from_ns` brought one R, a hundred basis points, more."""

    from_ns = 0

    def rows(self, name: str, layout: np.dtype) -> np.ndarray:
        table = super().rows(name, layout)
        if layout is not TRADE or not len(table):
            return table
        richer = table.copy()
        late = richer["exit_ns"] >= self.from_ns
        stake = richer["entry_price"] * richer["qty_lots"] * self.instruments["step_size"][richer["symbol"]]
        richer["r_multiple"][late] += 1.0
        richer["gross_e8"][late] += np.rint(stake[late] * 1e6).astype(np.int64)
        return richer


def with_richer_trades(from_ns: int) -> Session:
    session = Session(feed(), config())
    session.refresher.__class__ = Richer
    session.refresher.from_ns = from_ns
    session.finish()
    return session


def test_adding_one_r_to_all_trades_after_a_moment_changes_no_decision_before_it() -> None:
    honest = played().output.table("ledger")
    span = feed().end_ns - feed().start_ns
    for share in (0.2, 0.5, 0.8):
        moment = feed().start_ns + int(share * span)
        ledger = with_richer_trades(moment).output.table("ledger")
        before, mine = (table[table["ts_ns"] <= moment] for table in (honest, ledger))
        assert mine.tobytes() == before.tobytes()
        embargo = round(config().learning.refresh.embargo_s * 1e9)
        later, changed = (table[table["ts_ns"] > moment + embargo] for table in (honest, ledger))
        assert later.tobytes() != changed.tobytes()  # the probe can see a change


def test_a_learner_that_peeks_is_caught_by_that_test() -> None:
    """The cheating control: a learner that reads every trade of the run as if it had just closed."""
    moment = feed().start_ns + (feed().end_ns - feed().start_ns) // 2
    whole = played().output.table("trade")

    class Peeking(Richer):
        def rows(self, name: str, layout: np.dtype) -> np.ndarray:
            if layout is TRADE:
                self._rows["trade"] = [whole]
            table = super().rows(name, layout)
            if layout is TRADE:
                table = table.copy()
                table["exit_ns"] = self.next_ns - self.apply_ns - HOUR
            return table

    ledgers = []
    for from_ns in (moment, 2**62):
        session = Session(feed(), config())
        session.refresher.__class__ = Peeking
        session.refresher.from_ns = from_ns
        session.finish()
        table = session.output.table("ledger")
        ledgers.append(table[table["ts_ns"] <= moment].tobytes())
    assert ledgers[0] != ledgers[1]


def test_data_after_a_moment_changes_no_policy_learned_before_it() -> None:
    """P32, P45: a learner over a changed future."""
    moment = int(feed().bars["open_ns"][feed().bar_range[0][0] + 500])
    changed = feed().bars.copy()
    late = changed["open_ns"] >= moment
    for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
        changed[name][late] *= 2
    assert late.any()
    other = Session(replace(feed(), bars=changed), config())
    other.finish()
    mine, theirs = played().refresher.snapshots, other.refresher.snapshots
    known = [(a, b) for a, b in zip(mine, theirs, strict=True) if a.valid_from_ns <= moment]
    assert len(known) > 3
    assert all(a.as_dict() == b.as_dict() for a, b in known)
    assert mine[-1].as_dict() != theirs[-1].as_dict()


def test_learning_is_a_function_of_its_arguments() -> None:
    from simcore.learning.trades import from_records

    session = played()
    trades = from_records(session.output.table("trade"), feed().symbols, session.feed_instruments["step_size"])
    now = feed().end_ns
    first = learn(trades, now, Policies(), config(), 1e5)
    rng = np.random.default_rng(1)
    assert learn(trades.take(rng.permutation(len(trades))), now, Policies(), config(), 1e5).as_dict() == first.as_dict()
    assert learn(trades, now, first, six_config(), 1e5) is first


# ------------------------------------------------------------ under a history


def history() -> PolicyHistory:
    return PolicyHistory(tuple(entry_of(each) for each in played().refresher.snapshots))


def under(past: PolicyHistory, settings: Config | None = None) -> Session:
    session = Session(feed(), settings or config(), history=past)
    session.finish()
    return session


def test_a_replay_under_its_own_history_decides_the_same() -> None:
    session = under(history())
    assert tables(session.output) == tables(played().output)
    assert session.refresher.snapshots == []


def test_march_is_replayed_with_march_s_policies() -> None:
    """Line 4: what is planted later, or written later about March, changes nothing; a change in March itself does."""
    past = history()
    strict = replace(played().refresher.current, edges=np.full((3, 24, 4), -1e6), version=99)
    tomorrow = replace(strict, valid_from_ns=feed().end_ns + HOUR)
    corrected = replace(strict, valid_from_ns=feed().start_ns + 6 * HOUR, learned_from_ns=0, learned_to_ns=0)
    for planted, recorded in ((tomorrow, None), (corrected, feed().end_ns + HOUR)):
        assert under(past.with_entry(planted, recorded)).output.digest() == played().output.digest()
    in_march = under(past.with_entry(corrected))
    assert in_march.output.digest() != played().output.digest()
    ledger, honest = in_march.output.table("ledger"), played().output.table("ledger")
    moment = corrected.valid_from_ns
    assert ledger[ledger["ts_ns"] < moment].tobytes() == honest[honest["ts_ns"] < moment].tobytes()
    # the planted policy holds until the next of the history takes over
    rows = rows_of(in_march, LedgerKind.POLICY)
    assert 99 in rows["code"] and rows["code"][-1] != 99


def test_of_a_history_only_the_stages_that_are_on_count() -> None:
    session = under(history(), config("expectancy", "autotune"))
    policy = session.core["policy"][:3]
    assert np.isnan(policy["expectancy_bps"]).all() and not np.isnan(policy["score"]).any()
    assert (policy["wait_ns"] == session.refresher.base["wait_ns"]).all()


def test_a_history_without_learning_switched_on_is_refused() -> None:
    with pytest.raises(ConfigError, match="v6_enabled: is false, so the history"):
        Session(feed(), six_config(), history=history())


def test_a_run_that_learned_writes_its_policies_and_another_replays_under_them(tmp_path: Path) -> None:
    from simcore.report.run import Run

    recording = run_replay(feed(), config())
    run = Run(recording)
    files = run.save(tmp_path / "first")
    assert {"policies", "policy_history"} <= set(files)
    again = run_replay(feed(), config(), policies=tmp_path / "first")
    assert again.digest == recording.digest == played().output.digest()
    assert again.policies == ()
    plain = Run(run_replay(feed(), six_config())).save(tmp_path / "plain")
    assert "policies" not in plain and not list((tmp_path / "plain").glob("v6_*"))
    assert simcore.replay is not None
