"""The walk-forward: folds are cut where they should be, what is not the policy is the same on both sides, and trials are counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simcore
from replay_data.feed import Feed
from replay_data.interval import DAY_NS
from simcore.config import load_config
from simcore.domain.errors import ConfigError, DataError
from simcore.replay import run_replay
from simcore.validation.bands import band, live_bands
from simcore.validation.capacity import capacity_usd
from simcore.validation.outcome import ORDER_ROW, TRADE_OUT, Outcome, bars_at, daily_nav, daily_returns, outcome_of
from simcore.validation.policies import BASELINE, candidates, stressed, with_stages
from simcore.validation.trials import read_trials
from simcore.validation.walkforward import Validation, validate
from tests import worlds
from tests.control_markets import by_the_clock, config_of, market
from tests.test_cli import simcore as command


@pytest.fixture(scope="module")
def feed() -> Feed:
    return market(5, days=40, symbols=2)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walk") / "trials.jsonl"


@pytest.fixture(scope="module")
def result(feed: Feed, ledger: Path) -> Validation:
    config = config_of(1.0, **{"validation.walk_forward.test_days": 12, "validation.walk_forward.step_days": 12})
    variants = {"every 3": {"by_the_clock.every": 3.0}}
    return validate(feed, config, trials=ledger, now_ns=7, strategies=[by_the_clock], variants=variants, study="control")


# ---------------------------------------------------------------- cutting a feed


def test_a_feed_cut_in_time_replays_like_one_made_of_those_rows_alone() -> None:
    whole = worlds.make_feed(3, bars=600)
    start, end = whole.start_ns + DAY_NS // 4, whole.end_ns - DAY_NS // 4
    cut = whole.between(start, end)
    kept = {}
    for name in ("bar", "mark", "funding", "filter"):
        rows, ranges = getattr(cut, name if name == "funding" else f"{name}s"), getattr(cut, f"{name}_range")
        parts = [rows[a:b] for a, b in ranges]
        ends = np.cumsum([len(part) for part in parts])
        kept[f"{name}_range"] = np.stack([ends - [len(part) for part in parts], ends], axis=1).astype(np.int64)
        kept[name if name == "funding" else f"{name}s"] = np.concatenate(parts)
    alone = replace(cut, **kept, content_hash="")
    config = worlds.config_of(worlds.SIX[:3])
    recording = run_replay(cut, config)
    assert recording.digest == run_replay(alone, config).digest and len(recording.trades) > 0
    for symbol in whole.symbols:
        times = cut.bars_of(symbol)["open_ns"]
        assert len(times) == 0 or (times[0] >= start and times[-1] < end)
    assert cut.between(start, end).content_hash == cut.content_hash


def test_a_window_without_bars_is_refused(feed: Feed) -> None:
    with pytest.raises(DataError, match="no bars open between"):
        feed.between(0, 1)


# ---------------------------------------------------------------- policies and worlds


def test_each_policy_switches_on_its_own_stages_and_the_baseline_none() -> None:
    config = config_of(1.0)
    tried = candidates(config, {"slow": {"by_the_clock.every": 6}})
    on = {
        name: [stage for stage in ("expectancy", "scoring", "autotune", "allocator") if getattr(each.settings, stage).enabled]
        for name, each in tried.items()
    }
    assert on[BASELINE] == [] and not tried[BASELINE].settings.v6_enabled
    assert on["all"] == on["slow"] == ["expectancy", "scoring", "autotune", "allocator"]
    assert on["expectancy"] == ["expectancy"]
    with pytest.raises(ConfigError, match="'all' is the name of a policy already tried"):
        candidates(config, {"all": {}})


def test_stressed_worlds_are_worse_in_what_they_say_and_in_nothing_else() -> None:
    config = with_stages(load_config(), ("expectancy",))
    model, fees = config.settings.bar_model, config.assets.quote_assets
    found = stressed(config)
    assert found["cost"].settings.bar_model.impact_y == 2.0 * model.impact_y
    for asset, each in fees.items():
        assert found["cost"].assets.quote_assets[asset].taker_fee_bps == 2.0 * each.taker_fee_bps
    assert found["latency"].settings.bar_model.entry_latency_ms == config.validation.stress.min_latency_ms
    slower = config.replace(set={"settings.bar_model.entry_latency_ms": 400.0})
    assert stressed(slower)["latency"].settings.bar_model.entry_latency_ms == 800.0
    assert found["pessimistic_fills"].settings.bar_model.participation_cap_pct == 0.5 * model.participation_cap_pct
    touching = config.replace(set={"settings.bar_model.fill_rule": "touch"})
    assert stressed(touching)["worst_case_bars"].settings.bar_model.fill_rule == "through"
    for each in found.values():
        assert each.settings.v6_enabled and each.risk_limits == config.risk_limits
    rebate = config.replace(set={f"assets.quote_assets.{next(iter(fees))}.maker_fee_bps": -1.0})
    assert stressed(rebate)["cost"].assets.quote_assets[next(iter(fees))].maker_fee_bps == -0.5


# ---------------------------------------------------------------- one outcome


def test_daily_returns_are_those_between_midnights(feed: Feed) -> None:
    config = with_stages(config_of(1.0), ())
    recording = run_replay(feed, config, strategies=[by_the_clock])
    first = feed.start_ns // DAY_NS
    outcome = outcome_of(recording, config, (first, first + 10), (first + 10, first + 20), 3600 * 10**9)
    times, nav = recording.equity["ts_ns"], recording.equity["nav"]
    for at, day in enumerate(range(first + 10, first + 20)):
        begin, end = (nav[times <= edge * DAY_NS][-1] for edge in (day, day + 1))
        assert outcome.returns[at] == pytest.approx(end / begin - 1.0, abs=1e-15)
    decided = recording.trades["decision_ns"] // DAY_NS
    mine = recording.trades[(decided >= first + 10) & (decided < first + 20)]
    assert len(outcome.trades) == len(mine) and outcome.trades["net_usd"].sum() == pytest.approx(mine["net_usd"].sum())
    assert outcome.trades["impact_usd"].min() > 0.0, "every fill of this strategy takes"
    bar = feed.bars[bars_at(feed, mine["symbol"][:1], mine["entry_ns"][:1])[0]]
    qty = mine["qty_lots"][0] * feed.instruments["step_size"][mine["symbol"][0]]
    assert outcome.trades["room"][0] == pytest.approx(0.01 * float(bar["volume_day"]) / qty) and outcome.room > 1.0
    assert len(outcome.learned) == 10 and outcome.turnover > 0.0 and outcome.reject_share == 0.0


def test_an_account_with_nothing_left_returns_nothing() -> None:
    assert daily_returns(np.array([100.0, 50.0, 0.0, 0.0])).tolist() == [-0.5, -1.0, 0.0]
    times = np.array([10, DAY_NS + 5]) + 100 * DAY_NS
    assert daily_nav(times, np.array([7.0, 8.0]), (100, 102)).tolist() == [7.0, 7.0, 8.0]


def test_the_bar_that_holds_a_moment(feed: Feed) -> None:
    opens = feed.bars_of("SYNBUSDT")["open_ns"]
    first = int(feed.bar_range[1][0])
    moments = np.array([opens[0] - 1, opens[0], opens[5] + 1, opens[-1] + DAY_NS])
    assert bars_at(feed, np.ones(4, int), moments).tolist() == [-1, first, first + 5, first + len(opens) - 1]


# ---------------------------------------------------------------- the whole


def test_folds_do_not_overlap_and_are_scored_after_they_learned(result: Validation) -> None:
    assert len(result.windows) == 2
    days = result.pooled[BASELINE].days
    assert len(set(days.tolist())) == len(days) == 24
    for window, part in zip(result.windows, result.outcomes["all"], strict=True):
        assert window.train[1] <= window.test[0] and part.days[0] == result.first_day + window.test[0]
    assert all((each.days == result.outcomes[BASELINE][at].days).all() for parts in result.outcomes.values() for at, each in enumerate(parts))


def test_until_the_learner_has_learned_something_both_sides_are_the_same(feed: Feed) -> None:
    config = config_of(1.0, **{"learning.refresh.min_trades": 100_000})
    runs = [run_replay(feed, each, strategies=[by_the_clock]) for each in (with_stages(config, ()), with_stages(config, ("expectancy",)))]
    assert (runs[0].equity["nav"] == runs[1].equity["nav"]).all() and len(runs[0].trades) == len(runs[1].trades) > 0


def test_every_policy_is_one_trial_and_the_same_run_again_is_no_new_one(result: Validation, feed: Feed, ledger: Path) -> None:
    rows = read_trials(ledger)
    assert len(rows) == len(result.outcomes) == 6 and rows.count() == 6
    assert {name for row in rows for name in row.params["policy"]} == set(result.outcomes)
    assert all(row.kind == "validate" and row.study == "control" and row.recorded_ns == 7 for row in rows)
    assert result.evidence.n_counted == 6
    again = validate(feed, result.config, trials=ledger, now_ns=8, strategies=[by_the_clock], variants={"every 3": {"by_the_clock.every": 3.0}})
    assert len(read_trials(ledger)) == 12 and again.evidence.n_counted == 6
    assert again.as_dict()["evidence"] == result.as_dict()["evidence"], "one seed, one result"
    more = validate(feed, result.config, trials=ledger, now_ns=9, strategies=[by_the_clock], variants={"every 4": {"by_the_clock.every": 4.0}})
    assert more.evidence.n_counted == 7 and more.holm[1] == 6


def test_the_table_and_the_json_say_the_same(result: Validation) -> None:
    told = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    lines = str(result).splitlines()
    assert lines[0].startswith("control: 2 folds, 24 days out of sample, judged: all")
    assert told["policies"]["all"]["gain_bps_a_day"] == pytest.approx(told["evidence"]["gain_bps_a_day"])
    assert f"{told['folds'][0]['gain_bps_a_day']:.3f}" in lines[3]
    assert [row["criterion"] for row in told["verdict"]["criteria"]][0] == "min_gain_bps_a_day"


def test_too_little_data_is_said(tmp_path: Path, feed: Feed) -> None:
    config = config_of(1.0, **{"validation.walk_forward.train_days": 400})
    with pytest.raises(DataError, match="walk-forward: .* is shorter than train 400"):
        validate(feed, config, trials=tmp_path / "t.jsonl", now_ns=1, strategies=[by_the_clock])
    assert not (tmp_path / "t.jsonl").exists()


# ---------------------------------------------------------------- bands and capacity


def test_capacity_falls_with_impact_and_is_zero_without_a_result() -> None:
    assert capacity_usd(1e5, 0.0, 1e-4) == 0.0 and np.isnan(capacity_usd(1e5, 1e-4, 0.0))
    assert capacity_usd(1e5, 1e-4, 1e-4) == pytest.approx(4e5)
    assert capacity_usd(1e5, 1e-4, 2e-4) < capacity_usd(1e5, 1e-4, 1e-4)
    assert capacity_usd(1e5, 1e-4, 1e-4, room=2.5) == pytest.approx(2.5e5)
    k = capacity_usd(1.0, 3e-4, 2e-4)
    assert 3e-4 + 2e-4 - 2e-4 * np.sqrt(k) == pytest.approx(0.0, abs=1e-12)


def test_bands_hold_the_share_of_windows_they_promise() -> None:
    rng = np.random.default_rng(1)
    n = 400
    orders = np.zeros(20 * n, ORDER_ROW)
    orders["day"] = np.repeat(np.arange(n), 20)
    orders["quoted"], orders["sent"] = 1, 2
    orders["filled"] = rng.random(len(orders)) < 0.6
    orders["slippage_bps"], orders["markout_bps"] = rng.normal(1.0, 5.0, len(orders)), np.nan
    outcome = Outcome(np.arange(n), rng.normal(0.0, 0.01, n), np.zeros(0), np.zeros(0, TRADE_OUT), orders, 1e5)
    rules = load_config().validation.certificate
    found = live_bands(outcome, rules)
    assert found["fill_rate"]["low"] < 0.6 < found["fill_rate"]["high"] and found["fill_rate"]["windows"] == n - rules.band_days + 1
    assert found["slippage_bps"]["low"] < 1.0 < found["slippage_bps"]["high"]
    assert found["markout_bps"] == {"low": None, "median": None, "high": None, "windows": 0}
    inside = (outcome.returns * 1e4 >= found["daily_pnl_bps"]["low"]) & (outcome.returns * 1e4 <= found["daily_pnl_bps"]["high"])
    assert inside.mean() == pytest.approx(rules.band_confidence, abs=0.01)
    assert band(np.array([3.0]), 0.9)["low"] == 3.0


# ---------------------------------------------------------------- doors


def test_the_command_validates_the_sample_and_refuses_it(tmp_path: Path) -> None:
    short = [f"--set=validation.walk_forward.{name}_days={days}" for name, days in (("train", 4), ("test", 3), ("step", 3), ("purge", 0))]
    quick = ["--set=validation.statistics.bootstrap_draws=400", "--set=validation.statistics.pbo_blocks=2"]
    out, trials = tmp_path / "out", tmp_path / "trials.jsonl"
    asked: list[Any] = ["--symbols", "SYNAUSDT", "--strategy", "zscore_reversion", *short, *quick, "--out", out, "--trials", trials, "--json"]
    done = command("validate", *map(str, asked))
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"]["passed"] is False and told["data"]["synthetic"] and (out / "validation.html").exists()
    key = tmp_path / "my.key"
    assert command("certificate", "key", str(key)).returncode == 0
    refused = command("promote", str(out), "--key", str(key))
    assert refused.returncode == 2 and "no certificate: the validation is refused by" in refused.stderr
    missing = command("certificate", "verify", str(out / "certificate.json"), "--key", f"{key}.pub")
    assert missing.returncode == 2 and "no such file" in missing.stderr


def test_validate_is_a_door_of_the_package() -> None:
    assert callable(simcore.validate) and simcore.validate.__module__ == "simcore.api"
