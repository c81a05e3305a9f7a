"""The probes: JSON a script can rely on, and the same arithmetic and caps as the code that trades."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simcore
from simcore.config import load_config
from simcore.decision.risk_gate import check_order
from simcore.decision.screener import screen_and_gate_nb
from simcore.domain.records import MAX_SYMBOLS, N_VETOES
from simcore.learning import build_expectancy, load_expectancy, trade_table
from simcore.learning.allocator import cap_changes
from simcore.learning.expectancy import Metrics
from simcore.replay.candidates import candidates, judge_entry_nb
from simcore.replay.session import Session
from simcore.report.probes import allocation_report, expectancy_report, scoring_report
from tests.fakes_learning import random_trades
from tests.test_cli import simcore as command

CONFIG = load_config()
TRADES = random_trades(7, 600, ("SYNAUSDT", "SYNBUSDT", "SYNCUSDT"), mean_bps=3.0)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A run of two sample symbols, and the folder it was saved in."""
    folder = tmp_path_factory.mktemp("probed")
    run = simcore.replay(symbols="SYNAUSDT,SYNBUSDT", out=folder)
    return run, folder


def printed(*arguments: str) -> dict[str, Any]:
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# ------------------------------------------------------------ expectancy-builder


def test_the_expectancy_of_a_run_folder_is_that_of_the_run_and_can_be_loaded(run_folder: tuple[Any, Path], tmp_path: Path) -> None:
    run, folder = run_folder
    result = printed("expectancy-builder", "--run", str(folder))
    assert set(result) == {"source", "n_trades", "trades_hash", "format", "version", "hash", "buckets"}
    assert result["n_trades"] == len(run.trades) == sum(each["n"] for each in result["buckets"]) > 0
    assert all(set(each) == {"symbol", "hour", "regime", *Metrics.__annotations__} for each in result["buckets"])
    (tmp_path / "expectancy.json").write_text(json.dumps(result), encoding="utf-8")
    assert load_expectancy(tmp_path / "expectancy.json") == build_expectancy(run)


def test_trades_that_closed_later_are_left_out_when_a_moment_is_named(run_folder: tuple[Any, Path]) -> None:
    run, folder = run_folder
    exits = np.sort(trade_table(run).rows["exit_ns"])
    moment = str(np.datetime64(int(exits[len(exits) // 2]), "ns"))[:19]
    result = printed("expectancy-builder", "--run", str(folder), "--before", moment)
    assert result["n_trades"] == int((exits < np.datetime64(moment, "ns").astype(np.int64)).sum()) < len(exits)


def test_without_a_run_folder_the_sample_is_replayed() -> None:
    result = printed("scoring-probe")
    assert "synthetic" in result["source"] and result["n_trades"] > 0


def test_a_folder_that_is_no_run_is_the_persons_mistake(tmp_path: Path) -> None:
    for name in ("expectancy-builder", "scoring-probe", "allocator-probe"):
        done = command(name, "--run", str(tmp_path))
        assert done.returncode == 2 and done.stdout == ""
        assert "trades.parquet: no such file" in done.stderr and "simcore replay --out" in done.stderr
    (tmp_path / "trades.parquet").write_bytes(b"no table")
    assert "cannot be read" in command("scoring-probe", "--run", str(tmp_path)).stderr


# ------------------------------------------------------------ scoring-probe


def test_a_score_equals_its_own_printed_arithmetic() -> None:
    rules = CONFIG.learning.scoring
    result = scoring_report(TRADES, CONFIG, "by hand")
    assert set(result) == {"source", "n_trades", "trades_hash", "scores", "explained"}
    assert list(result["scores"]) == list(TRADES.symbols)
    for each in result["explained"]:
        costs = math.fsum(each[name] for name in ("fee_bps", "slippage_bps", "funding_bps", "volatility_bps"))
        assert each["net_bps"] == pytest.approx(each["gross_bps"] - costs)
        z = (each["net_bps"] - rules.half_life_cost_bps) / rules.scale_bps
        belief = 1.0 / (1.0 + math.exp(-rules.steepness * z))
        confidence = each["n"] / (each["n"] + rules.confidence_trades)
        score = each["prior"] + confidence * (belief - each["prior"])
        assert each["score"] == pytest.approx(min(each["ceiling"], max(each["floor"], score)), abs=1e-12)
        assert result["scores"][each["symbol"]] == each["score"]
        assert each["why"].startswith(f"{each['symbol']}: {each['score']:.4f} = ")


def test_reports_repeat_themselves_whatever_the_order_of_the_trades() -> None:
    shuffled = TRADES.take(np.random.default_rng(1).permutation(len(TRADES)))
    for report in (expectancy_report, scoring_report):
        assert json.dumps(report(TRADES, CONFIG, "x")) == json.dumps(report(shuffled, CONFIG, "x"))
    assert allocation_report(TRADES, CONFIG, "x", 10_000.0) == allocation_report(shuffled, CONFIG, "x", 10_000.0)


def test_no_trades_are_no_fault() -> None:
    nothing = TRADES.take(slice(0, 0))
    assert expectancy_report(nothing, CONFIG, "x")["buckets"] == []
    assert set(scoring_report(nothing, CONFIG, "x")["scores"].values()) == {CONFIG.learning.scoring.prior_score}
    assert allocation_report(nothing, CONFIG, "x", 1_000.0)["n_trades"] == 0


# ------------------------------------------------------------ allocator-probe


@pytest.mark.parametrize("nav", [1.0, 10_000.0, 1e9])
@pytest.mark.parametrize("drawdown_pct", [0.0, 0.04, 1.0])
def test_what_is_proposed_is_never_above_the_configs_own_limits(nav: float, drawdown_pct: float) -> None:
    result = allocation_report(TRADES, CONFIG, "x", nav, drawdown_pct=drawdown_pct)
    assert result["in_force"] == "config"
    assert set(result["current"]) == set(result["proposed"])
    for change in result["changes"]:
        assert change["proposed"] <= change["current"], change
    risk, own = CONFIG.risk_limits, result["proposed"]
    assert own["max_concurrent_positions"] <= risk.max_concurrent_positions and own["max_trade_nav_pct"] <= risk.max_trade_nav_pct
    for symbol, caps in own["symbols"].items():
        configured = [CONFIG.limits(each.name, symbol)[0] for each in CONFIG.enabled_strategies]
        assert caps["max_nav_pct"] <= max(row["max_symbol_nav_pct"] for row in configured)
        assert caps["max_order_notional"] <= max(row["max_order_notional"] for row in configured)
        assert caps["max_order_notional"] <= nav * risk.max_trade_nav_pct


def test_the_difference_leads_from_what_is_in_force_to_what_is_proposed() -> None:
    result = allocation_report(TRADES, CONFIG, "x", 10_000.0, drawdown_pct=0.03)
    assert result["changes"]
    for change in result["changes"]:
        old, new = result["current"], result["proposed"]
        for key in change["cap"].split("."):
            old, new = old[key], new[key]
        assert (old, new) == (change["current"], change["proposed"]) and old != new
    assert any(line.startswith("scale: ") for line in result["why"])
    assert cap_changes(result["proposed"], result["proposed"]) == []
    assert cap_changes({"a": {"b": 1}}, {"c": 2}) == [
        {"cap": "a.b", "current": 1, "proposed": None},
        {"cap": "c", "current": None, "proposed": 2},
    ]


def test_a_run_that_learned_leaves_its_own_policies_in_force(tmp_path: Path) -> None:
    switches = {"v6_enabled": True, "expectancy.enabled": True, "scoring.enabled": True, "allocator.enabled": True}
    simcore.replay(symbols="SYNAUSDT,SYNBUSDT", params={f"settings.{key}": value for key, value in switches.items()}, out=tmp_path)
    kept = json.loads((tmp_path / "v6_policies.json").read_text(encoding="utf-8"))["policies"]["allocation"]
    result = printed("allocator-probe", "--run", str(tmp_path), "--nav", "5000")
    assert result["in_force"] == "v6_policies.json" and result["nav"] == 5000.0
    assert result["current"]["max_trade_nav_pct"] == kept["max_trade_nav_pct"]
    assert {name: each["max_nav_pct"] for name, each in result["current"]["symbols"].items()} == {
        name: each["max_nav_pct"] for name, each in kept["symbols"].items()
    }


@pytest.mark.parametrize("arguments", [("--nav", "0"), ("--nav", "nan"), ("--drawdown", "2")])
def test_a_nav_that_is_none_is_refused(arguments: tuple[str, str], run_folder: tuple[Any, Path]) -> None:
    done = command("allocator-probe", "--run", str(run_folder[1]), *arguments)
    assert done.returncode == 2 and "must be positive" in done.stderr


# ------------------------------------------------------------ screener-probe


@cache
def session() -> Session:
    """The sample of two symbols, played to its end."""
    from simcore.api import load_feed

    played = Session(load_feed(None, "SYNAUSDT,SYNBUSDT"), CONFIG)
    played.finish()
    return played


def test_every_wish_gets_one_line_with_verdict_and_reasons() -> None:
    done = command("screener-probe", "--symbols", "SYNAUSDT,SYNBUSDT")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == list(candidates(session())) != []
    wishes = session().core["signal"]["side"].reshape(-1, MAX_SYMBOLS)[: len(session().plan.uses), :2]
    assert len(lines) == np.count_nonzero(wishes)
    for line in lines:
        assert line["verdict"] is (not line["reasons"])
        assert all(set(reason) == {"reason", "value", "bound", "source"} for reason in line["reasons"])


def test_the_probe_leaves_the_session_as_it_was() -> None:
    before = session().cores.tobytes()
    assert len(list(candidates(session(), nav=50.0))) > 0
    assert session().cores.tobytes() == before


@pytest.mark.parametrize("nav", [None, 3.0, 200.0, 1e7])
@pytest.mark.parametrize("per_trade", [None, 0.0, 0.001])
def test_the_verdict_is_the_gates_own_under_its_own_caps(nav: float | None, per_trade: float | None) -> None:
    played = session().copy()
    if per_trade is not None:
        played.core["limits"]["max_trade_nav_pct"] = per_trade
    names, uses = played.feed.symbols, [use.name for use in played.plan.uses]
    for line in candidates(played, nav):
        strategy, symbol = uses.index(line["strategy"]), names.index(line["symbol"])
        core = played.cores.copy()[0]
        if nav is not None:
            core["account"]["day_start_nav"] *= nav / core["account"]["nav"]
            core["account"]["peak_nav"] *= nav / core["account"]["nav"]
            core["account"]["nav"] = nav
        rules = core["limits"][strategy * MAX_SYMBOLS + symbol]
        assert line["caps"]["max_trade_nav_pct"] == rules["max_trade_nav_pct"]
        _, passed = judge_entry_nb(core, strategy, symbol, 1 if line["side"] == "long" else -1)
        veto, gate = check_order(core["intent"], core["account"], rules, int(core["now_ns"]))
        against = [reason for reason in line["reasons"] if reason["reason"].startswith("gate.")]
        assert [(each["reason"], each["value"], each["bound"]) for each in against] == [
            (f"gate.{each['reason']}", each["value"], each["cap"]) for each in gate["failing"]
        ]
        assert bool(passed) == (not veto and not any(each["reason"] == "size_zero" for each in line["reasons"]))
        # What refuses the smallest order refuses every size: the screener's own question to the gate says the same.
        least = screen_and_gate_nb(core["intent"], core["account"], rules, int(core["now_ns"]), np.zeros((N_VETOES, 2)))
        assert not (line["verdict"] and least)
        if line["verdict"]:
            assert 0.0 < line["notional"] <= line["caps"]["max_trade_nav_pct"] * line["tradable_nav"] * (1 + 1e-12)


def test_an_account_with_nothing_may_enter_nothing_and_is_told_by_which_key() -> None:
    poor = list(candidates(session(), nav=0.01))
    assert not any(line["verdict"] for line in poor)
    assert all(any(reason["source"].startswith(("risk_limits", "strategy_config")) for reason in line["reasons"]) for line in poor)


def test_a_nav_that_is_none_is_refused_by_the_screener() -> None:
    done = command("screener-probe", "--symbols", "SYNAUSDT", "--nav", "-1")
    assert done.returncode == 2 and "must be a positive number" in done.stderr
