"""The verdict: noise is refused, an edge is granted, and every criterion binds alone with the numbers it compared."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import Config, check_config, load_config
from simcore.config.validation import Criteria, Statistics, StressFloors
from simcore.domain.errors import ConfigError, DataError
from simcore.validation.criteria import Figures, Verdict, drawdown_ratio, figures_of, judge
from simcore.validation.evidence import doubtful_sharpe, effective_number, weigh
from simcore.validation.sharpe import moments, probabilistic_sharpe
from simcore.validation.trials import Trials, append_trials, read_trials
from tests.test_trials import trial

CONFIG = load_config()
CRITERIA: Criteria = CONFIG.validation.criteria
QUICK: Statistics = CONFIG.replace(set={"validation.statistics.bootstrap_draws": 500}).validation.statistics
STRESSES = [name for name in StressFloors.model_fields if name != "note"]
GOOD = Figures(
    gain_bps_a_day=2.0,
    psr=0.99,
    dsr=0.97,
    pbo=0.05,
    holm_p=0.01,
    drawdown_ratio=0.9,
    turnover_nav_a_day=3.0,
    reject_pct=0.01,
    ambiguous_exits_pct=0.01,
    trades=900,
    capacity_usd=5e6,
    t=3.4,
    stress_bps_a_day=dict.fromkeys(STRESSES, 1.0),
)
KEYS = [key for key in Criteria.model_fields if key not in ("note", "min_stress_bps_a_day", "flag_t_below")]


def with_figure(key: str, value: float) -> Figures:
    return replace(GOOD, **{key[4:]: value})


# ---------------------------------------------------------------- criteria


def test_the_packaged_criteria_are_the_projects_law():
    law = {"min_gain_bps_a_day": 0.0, "max_drawdown_ratio": 1.1, "max_ambiguous_exits_pct": 0.05, "flag_t_below": 3.0}
    assert {key: getattr(CRITERIA, key) for key in law} == law
    assert (CONFIG.validation.stress.cost_factor, CONFIG.validation.stress.latency_factor) == (2.0, 2.0)
    assert CRITERIA.max_pbo < 0.35, "noise shows 0.35 to 0.65"


def test_every_criterion_has_a_figure_and_every_figure_a_criterion():
    names = {f.name for f in fields(Figures)}
    assert {key[4:] for key in KEYS} | {"t", "stress_bps_a_day"} == names


def test_good_figures_pass_and_every_comparison_is_told():
    verdict = judge(GOOD, CRITERIA)
    assert verdict.passed and not verdict.flags and str(verdict).endswith("passed")
    assert [j.name for j in verdict.judgements] == [
        *KEYS,
        *(f"min_stress_bps_a_day.{name}" for name in STRESSES),
        "flag_t_below",
    ]
    told = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert told["passed"] is True
    row = next(row for row in told["criteria"] if row["criterion"] == "max_pbo")
    assert row == {"criterion": "max_pbo", "passed": True, "refuses": True, "value": 0.05, "rule": "<=", "limit": CRITERIA.max_pbo}


@pytest.mark.parametrize("key", KEYS)
def test_each_criterion_refuses_alone_just_beyond_its_limit(key):
    limit = float(getattr(CRITERIA, key))
    worse = np.nextafter(limit, -np.inf if key.startswith("min_") else np.inf)
    at_limit = judge(with_figure(key, limit), CRITERIA)
    assert at_limit.passed is (key != "min_gain_bps_a_day"), "a gain whose lower bound is 0 is no gain"
    verdict = judge(with_figure(key, float(worse)), CRITERIA)
    assert [j.name for j in verdict.failed] == [key] and not verdict.passed
    assert f"FAIL  {key}: " in str(verdict) and str(verdict).endswith(f"refused by {key}")


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", KEYS)
def test_a_figure_that_is_not_determined_meets_no_criterion(key, unknown):
    verdict = judge(with_figure(key, unknown), CRITERIA)
    assert [j.name for j in verdict.failed] == [key]
    json.dumps(verdict.as_dict(), allow_nan=False)


@pytest.mark.parametrize("name", STRESSES)
def test_each_stress_must_leave_something_and_must_have_been_run(name):
    for value in (0.0, -1.0, math.nan):
        verdict = judge(replace(GOOD, stress_bps_a_day={**GOOD.stress_bps_a_day, name: value}), CRITERIA)
        assert [j.name for j in verdict.failed] == [f"min_stress_bps_a_day.{name}"]
    left_out = {key: value for key, value in GOOD.stress_bps_a_day.items() if key != name}
    assert [j.value for j in judge(replace(GOOD, stress_bps_a_day=left_out), CRITERIA).failed] == [pytest.approx(math.nan, nan_ok=True)]


def test_a_small_t_is_flagged_and_not_refused():
    verdict = judge(replace(GOOD, t=2.9), CRITERIA)
    assert verdict.passed and [j.name for j in verdict.flags] == ["flag_t_below"]
    assert "flag  flag_t_below: 2.9, must be at least 3" in str(verdict)


def test_nothing_measured_passes_nothing():
    verdict = judge(Figures(), CRITERIA)
    assert len(verdict.failed) == len(KEYS) + len(STRESSES) and "not determined" in str(verdict)


VALUE = st.floats(-100.0, 1e7) | st.just(math.nan)


@settings(max_examples=500)
@given(
    st.fixed_dictionaries({f.name: VALUE for f in fields(Figures) if f.name != "stress_bps_a_day"}),
    st.sampled_from(KEYS),
    st.floats(0.0, 1e6),
)
def test_a_better_figure_never_turns_a_pass_into_a_refusal(values, key, step):
    figures = Figures(**values, stress_bps_a_day=GOOD.stress_bps_a_day)
    better = replace(figures, **{key[4:]: values[key[4:]] + (step if key.startswith("min_") else -step)})
    before, after = ({j.name for j in judge(f, CRITERIA).failed} for f in (figures, better))
    assert after <= before


def test_a_drawdown_is_compared_by_depth():
    assert drawdown_ratio(-0.2, -0.1) == pytest.approx(2.0) == drawdown_ratio(0.2, 0.1)
    assert drawdown_ratio(0.0, -0.1) == 0.0 and drawdown_ratio(0.0, 0.0) == 1.0 and drawdown_ratio(-0.1, 0.0) == math.inf
    assert math.isnan(drawdown_ratio(math.nan, 0.1))


# ---------------------------------------------------------------- the file


def refusal(path: str, value: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        CONFIG.replace(set={path: value})
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("validation.criteria.max_pbo_", 0.3, "validation.json: criteria: unknown key 'max_pbo_'. Did you mean 'max_pbo'?"),
        ("validation.criteria.max_pbo", 1.5, "validation.json: criteria.max_pbo: must be <= 1 (got 1.5)"),
        ("validation.criteria.min_trades", 0, "validation.json: criteria.min_trades: must be >= 1 (got 0)"),
        ("validation.statistics.confidence", 95, "validation.json: statistics.confidence: must be < 1 (got 95)"),
        ("validation.statistics.pbo_blocks", 7, "validation.json: statistics.pbo_blocks: should be a multiple of 2 (got 7)"),
        ("validation.stress.cost_factor", 0.5, "validation.json: stress.cost_factor: must be >= 1 (got 0.5)"),
    ],
)
def test_a_wrong_criterion_is_refused_with_its_place(path, value, words):
    assert refusal(path, value) == [words]


def test_a_missing_criterion_is_named(tmp_path):
    import shutil

    folder = Path(shutil.copytree(CONFIG.folder, tmp_path / "config"))
    tree = json.loads((folder / "validation.json").read_text())
    del tree["criteria"]["max_pbo"]
    (folder / "validation.json").write_text(json.dumps(tree))
    assert check_config(folder) == (["validation.json: criteria.max_pbo: is missing"], [])


def test_too_few_draws_for_the_confidence_are_warned_of():
    few: Config = CONFIG.replace(set={"validation.statistics.bootstrap_draws": 200})
    assert [w.split(":")[0:2] for w in few.warnings] == [["validation.json", " statistics.bootstrap_draws"]]


# ---------------------------------------------------------------- evidence and controls


def noise(periods: int, n: int, seed: int) -> np.ndarray:
    return 0.01 * np.random.Generator(np.random.PCG64(seed)).standard_normal((periods, n))


def ledger_of(path: Path, table: np.ndarray) -> Trials:
    append_trials(path, [trial(i, sharpe=moments(column).sr) for i, column in enumerate(table.T)])
    return read_trials(path)


def verdict_of(path: Path, table: np.ndarray, chosen: int) -> Verdict:
    evidence = weigh(table[:, chosen], np.zeros(len(table)), ledger_of(path, table), QUICK, table)
    rest = {f.name: getattr(GOOD, f.name) for f in fields(Figures) if f.name not in ("gain_bps_a_day", "psr", "dsr", "pbo", "t")}
    return judge(figures_of(evidence, **rest), CRITERIA)


def test_the_best_of_many_worthless_rules_is_refused(tmp_path):
    granted, fooled = 0, 0
    for seed in range(60):
        table = noise(500, 20, seed)
        best = int(np.argmax(table.mean(axis=0) / table.std(axis=0)))
        verdict = verdict_of(tmp_path / f"{seed}.jsonl", table, best)
        granted += verdict.passed
        fooled += next(j for j in verdict.judgements if j.name == "min_psr").passed
    assert granted == 0
    assert fooled > 30, "what counting the trials is for: without it, most would have passed"


def test_a_planted_edge_is_granted(tmp_path):
    for seed in range(5):
        table = noise(1000, 20, seed)
        table[:, 4] += 0.0022
        assert verdict_of(tmp_path / f"{seed}.jsonl", table, 4).passed


def test_evidence_repeats_itself_and_counts_what_the_ledger_holds(tmp_path):
    table = noise(300, 6, 1)
    trials = ledger_of(tmp_path / "t.jsonl", table)
    one, two = (weigh(table[:, 0], table[:, 1], trials, QUICK, table) for _ in range(2))
    assert one.gain == two.gain and one.pbo == two.pbo
    assert one.n_counted == 6 and 4.0 < one.n_trials <= 6.0
    alone = weigh(table[:, 0], table[:, 1], trials, QUICK)
    assert alone.n_trials == 6.0 and math.isnan(alone.pbo)
    assert alone.dsr.dsr <= alone.psr


def test_only_a_table_of_all_trials_can_say_that_they_are_alike():
    copies = np.repeat(noise(300, 1, 3), 10, axis=1)
    assert effective_number(10, copies, 0.7) == pytest.approx(1.0)
    assert effective_number(11, copies, 0.7) == 11.0
    assert effective_number(10, None, 0.7) == 10.0


def test_an_autocorrelated_record_is_believed_less_and_never_more():
    rng = np.random.Generator(np.random.PCG64(4))
    smooth = np.convolve(rng.standard_normal(404), np.ones(5) / 5, "valid") + 0.05
    own = moments(smooth)
    plain = probabilistic_sharpe(own.sr, own.n, own.skew, own.kurt)
    assert own.rho > 0.5 and doubtful_sharpe(own) < plain - 0.01
    turning = moments(np.tile([0.03, -0.02], 50) + 0.001 * rng.standard_normal(100))
    assert doubtful_sharpe(turning) <= probabilistic_sharpe(turning.sr, turning.n, turning.skew, turning.kurt)


def test_without_a_counted_trial_there_is_no_evidence(tmp_path):
    with pytest.raises(DataError, match="holds no trial of this study"):
        weigh(np.ones(9), np.zeros(9), read_trials(tmp_path / "none.jsonl"), QUICK)


def test_a_misspelt_figure_is_refused(tmp_path):
    table = noise(60, 2, 1)
    evidence = weigh(table[:, 0], table[:, 1], ledger_of(tmp_path / "t.jsonl", table), QUICK)
    with pytest.raises(DataError, match="no figure 'trade'. Did you mean 'trades'"):
        figures_of(evidence, trade=5)
    with pytest.raises(DataError, match="no figure 'psr'"):
        figures_of(evidence, psr=1.0)
