"""Metrics: the reference cases, the definitions, and what happens where a figure is not determined."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore import series
from simcore.domain import records
from simcore.report import tables
from simcore.report.definitions import METRICS, TRADE_COLUMNS
from simcore.report.metrics import market_curve, metrics_of, sampled_exposure, without_nan
from simcore.series import DAY_NS
from tests.fakes import E8, HOUR_NS, START_NS, fake_feed, fake_recording, without_trades

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sharpe": series.sharpe,
    "sortino": series.sortino,
    "cagr": series.cagr,
    "annual_return": series.cagr,
    "volatility": series.volatility,
    "annual_volatility": series.volatility,
    "calmar": series.calmar,
}
PLAIN_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "total_return": series.total_return,
    "max_drawdown": series.max_drawdown,
    "max_drawdown_duration_samples": lambda r: series.drawdown_duration(series.compounded(r)),
    "ulcer_index": series.ulcer_index,
    "var_95": series.value_at_risk,
    "es_95": series.expected_shortfall,
    "skew_g1": series.skewness,
    "kurtosis_b2": series.kurtosis,
    "tail_ratio": series.tail_ratio,
    "profit_factor_periods": tables.profit_factor,
    "hit_rate_nonzero": lambda r: tables.hit_rate(r[r != 0]),
    "exposure": lambda r: float((r != 0).mean()),
}


def of_trades(inputs: dict[str, Any]) -> dict[str, float]:
    net, r = np.array(inputs["trade_pnl"]), np.array(inputs["r_multiples"])
    return {
        "n": len(net),
        "win_rate": tables.hit_rate(net),
        "profit_factor": tables.profit_factor(net),
        "payoff": tables.payoff(net),
        "expectancy": series.mean(net),
        "expectancy_identity": float(net[net > 0].sum() + net[net < 0].sum()) / len(net),
        "mean_R": series.mean(r),
        "sqn": tables.quality_number(r),
        "sqn_on_pnl": tables.quality_number(net),
        "kelly_fixed_odds": tables.kelly_fixed_odds(net),
        "expectancy_se": tables.standard_error(net),
    }


def of_returns(inputs: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    raw = inputs.get("daily_returns", inputs.get("returns"))
    returns = np.array([math.nan if value is None else value for value in raw])
    if "cutoffs" in inputs:
        return {"value_at_risk": [series.value_at_risk(returns, cutoff) for cutoff in inputs["cutoffs"]]}
    periods = inputs["periods_per_year"]
    return {key: FUNCTIONS[key](returns, periods) if key in FUNCTIONS else PLAIN_FUNCTIONS[key](returns) for key in wanted}


def test_every_reference_case_of_the_metrics(reference: Callable[[str], Any]) -> None:
    cases = reference("metrics")["cases"]
    assert len(cases) >= 7
    for case in cases:
        wanted = case["expected"].get("project_definitions", case["expected"])
        got = of_trades(case["inputs"]) if "trade_pnl" in case["inputs"] else of_returns(case["inputs"], wanted)
        for key, value in wanted.items():
            assert got[key] == pytest.approx(value, abs=case["tol"], rel=1e-12), (case["id"], key)


def test_every_psr_reference_case(reference: Callable[[str], Any]) -> None:
    seen = 0
    for case in reference("sharpe")["cases"]:
        inputs = case["inputs"]
        if inputs["fn"] == "psr":
            got = series.probabilistic_sharpe(inputs["sr"], inputs["n"], inputs["skew"], inputs["kurt"], inputs["sr0"])
        elif inputs["fn"] == "psr_from_returns":
            got = series.psr_of_returns(np.array(inputs["returns"]), inputs.get("sr0", 0.0))
        else:
            continue
        seen += 1
        wanted = case["expected"].get("psr", case["expected"].get("psr_project"))
        assert got == pytest.approx(wanted, abs=case["tol"]), case["id"]
    assert seen >= 3


def test_every_metric_has_a_definition_and_every_definition_a_metric() -> None:
    figures = metrics_of(fake_recording())
    assert [metric.key for metric in METRICS] == list(dict.fromkeys(metric.key for metric in METRICS))
    assert {key for key in figures if not key.startswith("per_")} == {metric.key for metric in METRICS}
    assert all(metric.text.endswith(".") and metric.label for metric in METRICS + TRADE_COLUMNS)
    row = next(iter(figures["per_symbol"].values()))
    assert list(row) == [metric.key for metric in TRADE_COLUMNS]


def test_the_money_split_adds_up_to_the_net() -> None:
    figures = metrics_of(fake_recording())
    parts = figures["gross_pnl"] - figures["fees"] + figures["funding"] + figures["unrealised"]
    assert parts == pytest.approx(figures["net_pnl"], abs=1e-8)
    assert figures["net_pnl"] != 0.0


@pytest.mark.parametrize("table", ["per_symbol", "per_strategy", "per_hour", "per_exit_reason", "per_side"])
def test_every_table_adds_up_to_all_trades(table: str) -> None:
    recording = fake_recording()
    figures = metrics_of(recording)
    net = tables.net_of(recording.trades)
    for key, whole in (("n_trades", len(net)), ("net", net.sum()), ("fees", recording.trades["fees_e8"].sum() / E8)):
        assert sum(row[key] for row in figures[table].values()) == pytest.approx(whole, abs=1e-8)


def test_hours_are_all_there_even_without_trades() -> None:
    per_hour = metrics_of(without_trades(fake_recording()))["per_hour"]
    assert list(per_hour) == [f"{hour:02d}" for hour in range(24)]
    assert all(row["n_trades"] == 0 and math.isnan(row["expectancy"]) for row in per_hour.values())


def test_a_sample_at_midnight_closes_the_day_before() -> None:
    ts = START_NS + np.array([0, 6, 24, 30, 72]) * HOUR_NS
    times, closes = series.daily_closes(ts, np.array([100.0, 105.0, 110.0, 90.0, 120.0]))
    # The first day closes at 110; nothing was sampled at the end of the second, which keeps the last known equity.
    assert closes.tolist() == [100.0, 110.0, 90.0, 120.0]
    assert (np.diff(times) == DAY_NS).all()


def test_part_days_are_closed_by_the_last_sample() -> None:
    ts = START_NS + np.array([12, 20, 30]) * HOUR_NS
    times, closes = series.daily_closes(ts, np.array([100.0, 101.0, 99.0]))
    assert closes.tolist() == [100.0, 101.0, 99.0]
    assert times[-1] == ts[-1]


def test_the_market_is_held_in_equal_parts_from_the_first_open() -> None:
    feed = fake_feed(symbols=("AUSDT", "BUSDT"))
    end = START_NS + 20 * DAY_NS
    curve = market_curve(feed, np.array([START_NS, end]))
    parts = [feed.bars[high - 1]["close_ticks"] / feed.bars[low]["open_ticks"] for low, high in feed.bar_range]
    assert curve.tolist() == [1.0, pytest.approx(np.mean(parts))]


def test_the_market_is_seen_only_when_a_bar_has_closed() -> None:
    feed = fake_feed(symbols=("AUSDT",))
    bars = feed.bars
    before, at = market_curve(feed, START_NS + np.array([0, 5 * HOUR_NS - 1, 5 * HOUR_NS]))[1:]
    assert before == bars["close_ticks"][3] / bars["open_ticks"][0]
    assert at == bars["close_ticks"][4] / bars["open_ticks"][0]


def test_exposure_weighs_by_time() -> None:
    equity = np.zeros(3, records.EQUITY)
    equity["ts_ns"] = START_NS + np.array([0, 1, 4]) * HOUR_NS
    equity["nav"], equity["gross"], equity["net"] = 100.0, [80.0, 20.0, 0.0], [-80.0, 20.0, 0.0]
    equity["open_positions"] = [1, 0, 0]
    net, gross, held = sampled_exposure(equity)
    assert (net, gross, held) == (pytest.approx(0.35), pytest.approx(0.35), 0.25)


def everything_finite_or_null(recording: Any) -> dict[str, Any]:
    figures = without_nan(metrics_of(recording))
    json.dumps(figures, allow_nan=False)
    return figures


def test_a_run_without_trades_has_nulls_and_no_errors() -> None:
    figures = everything_finite_or_null(without_trades(fake_recording()))
    assert figures["n_trades"] == 0 and figures["total_return"] == 0.0 and figures["volatility"] == 0.0
    for key in ("sharpe", "sortino", "psr", "hit_rate", "profit_factor", "expectancy", "expectancy_se", "maker_share"):
        assert figures[key] is None, key


def test_a_run_of_one_day_has_no_deviation() -> None:
    recording = fake_recording(fake_feed(days=1), trades_a_symbol=5)
    figures = everything_finite_or_null(recording)
    assert figures["n_days"] == 1 and figures["sharpe"] is None and figures["volatility"] is None and figures["psr"] is None


def test_a_lost_account_is_minus_one_hundred_per_cent() -> None:
    recording = fake_recording()
    equity = recording.equity.copy()
    equity["nav"][len(equity) // 2 :] = 0.0
    figures = everything_finite_or_null(replace(recording, equity=equity))
    assert figures["total_return"] == -1.0 and figures["cagr"] == -1.0 and figures["max_drawdown"] == -1.0


def test_no_samples_at_all() -> None:
    recording = fake_recording()
    figures = everything_finite_or_null(replace(without_trades(recording), equity=recording.equity[:0]))
    assert figures["start_equity"] is None and figures["n_days"] == 0


def test_a_day_that_multiplies_the_account_gives_no_infinite_cagr() -> None:
    assert math.isnan(series.cagr(np.array([1e6])))
    assert series.cagr(np.array([0.01])) == pytest.approx(1.01**365 - 1)


@settings(max_examples=400)
@given(st.lists(st.floats(-0.99, 3.0), max_size=40), st.floats(0.5, 2.0))
def test_no_series_gives_an_infinite_figure_or_an_error(returns: list[float], scale: float) -> None:
    values = np.array(returns)
    for function in [*FUNCTIONS.values(), *PLAIN_FUNCTIONS.values(), series.psr_of_returns]:
        if function is PLAIN_FUNCTIONS["exposure"] and not returns:
            continue
        assert not math.isinf(function(values))
    curve = series.compounded(values)
    assert np.allclose(series.drawdowns(curve * scale), series.drawdowns(curve))


@settings(max_examples=400)
@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=30))
def test_drawdowns_are_those_a_reader_would_count(returns: list[float]) -> None:
    curve = series.compounded(np.array(returns)).tolist()
    peak, deepest, below, longest = curve[0], 0.0, 0, 0
    for value in curve:
        peak = max(peak, value)
        below = below + 1 if value < peak else 0
        deepest, longest = min(deepest, value / peak - 1.0), max(longest, below)
    assert series.max_drawdown(np.array(returns)) == deepest
    assert series.drawdown_duration(np.array(curve)) == longest


@given(st.lists(st.booleans(), max_size=30))
def test_the_longest_run_is_counted_right(flags: list[bool]) -> None:
    words = "".join("x" if flag else " " for flag in flags).split()
    assert series.longest_run(np.array(flags, dtype=bool)) == max(map(len, words), default=0)
