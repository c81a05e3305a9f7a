"""The fidelity ladder and the band: the same wishes under poorer data, worse fill models and slower wires."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import simcore
from replay_data.reduce import bars_only, touch_only, trades_only, with_bars
from simcore.domain.errors import ConfigError, DataError
from simcore.report import tearsheet
from simcore.report.band import span_of, variants
from simcore.report.chartdata import chart_data
from simcore.report.fidelity import RUNGS
from simcore.report.run import Run
from simcore.strategy import strategy
from tests import book_streams
from tests.fakes import fake_recording, without_trades
from tests.scenes import A, config_of, feed_of, flat
from tests.test_mids import GAP, TRADE, feed_from
from tests.test_reduce import SNAPSHOT

SETTINGS = {
    "settings.router.wait_s": 0.4,
    "settings.router.max_requotes": 1,
    "settings.bar_model.half_spread_bps.core": 0.01,
    "settings.router.offsets_bps.LOW": 0.02,
    "settings.entry_retry_s": 1,
    "settings.equity_sample_s": 1,
    "risk_limits.max_orders_per_minute": 1_000,
    "strategy_config.strategies.swing.interval": "base",
}


@strategy(on="bar", params={"every": 2.0}, memory=("bars",))
def swing(market, position, params, memory, signal):
    """Long for a few bars, then short."""
    memory["bars"] += 1.0
    signal["side"] = 1 if memory["bars"] % (2.0 * params["every"]) < params["every"] else -1


@strategy(on="timer", every="500ms", params={"turn": 0.1})
def lean(market, position, params, memory, signal):
    """Lean to the deeper side."""
    signal["side"] = 1 if market["bid_depth"] > market["ask_depth"] else -1


@cache
def books() -> Any:
    return book_streams.feed(11, 12_000)


@cache
def ladder() -> Any:
    return simcore.fidelity(feed=books(), strategy=swing, bars="1s", params=SETTINGS)


def test_every_rung_is_the_replay_of_its_poorer_recording() -> None:
    made = ladder()
    whole = with_bars(books(), "1s")
    feeds = {"trades": trades_only(whole), "touch": touch_only(whole), "depth": whole}
    assert list(made.runs) == list(RUNGS) and made.reasons == {}
    for name, feed in feeds.items():
        assert made.runs[name].digest == simcore.replay(feed=feed, strategy=swing, params=SETTINGS).digest, name
    bars = made.runs["bars"].recording.feed
    assert bars.kind == "bars" and (bars.bars["close_ticks"] == bars_only(whole, "1s").bars["close_ticks"]).all()
    assert len({run.digest for run in made.runs.values()}) == 4


def test_every_rung_decides_on_the_same_bars_and_is_judged_by_the_same_mids() -> None:
    figures = ladder().figures
    for name, row in figures.items():
        assert row["n_maker_fill_rate"] > 10 and 0.0 <= row["maker_fill_rate"] <= 1.0, name
        assert row["n_maker_markout_1s_bps"] > 0 and math.isfinite(row["maker_markout_1s_bps"]), name
        assert row["n_decisions"] > 5 and row["cost_se_bps"] > 0.0, name
    assert figures["bars"]["n_routes"] == pytest.approx(figures["depth"]["n_routes"], rel=0.5)


def test_the_correction_is_what_a_bar_only_cost_lacks() -> None:
    made = ladder()
    found = made.correction
    assert found.bps == pytest.approx(made.figures["depth"]["cost_bps"] - made.figures["bars"]["cost_bps"])
    assert found.se_bps == pytest.approx(math.hypot(made.figures["depth"]["cost_se_bps"], made.figures["bars"]["cost_se_bps"]))
    assert found.low_bps < found.bps < found.high_bps
    assert f"{found.bps:+.2f} bps" in made.sentence()


def test_a_ladder_is_a_table_a_json_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ladder()
    assert list(made.table.columns) == list(RUNGS) and made.table.loc["cost_bps", "depth"] == made.costs["depth"].bps
    path = made.save(tmp_path)
    told = json.loads(path.read_text())
    assert told["rungs"]["touch"]["digest"] == made.runs["touch"].digest and told["correction"]["bps"] == made.correction.bps
    assert {each.name for each in tmp_path.iterdir()} == {"fidelity.json", *RUNGS}
    made.show()
    shown = capsys.readouterr().out
    assert "best bid/ask" in shown and "Maker fill rate" in shown and "A bar-only cost" in shown


def test_a_strategy_of_the_book_has_no_rung_on_bars() -> None:
    made = simcore.fidelity(feed=books(), strategy=lean, bars="1s", params={k: v for k, v in SETTINGS.items() if "swing" not in k})
    assert list(made.runs) == ["trades", "touch", "depth"] and "follows an order book" in made.reasons["bars"]
    assert made.correction is None and "needs an order book" in made.sentence()
    assert made.summary()["rungs"]["bars"] == {"reason": made.reasons["bars"]} and made.summary()["correction"] is None


def test_a_ladder_needs_books_and_bars_short_enough() -> None:
    with pytest.raises(DataError, match="holds bars"):
        simcore.fidelity(feed=feed_of({A: flat(n=5)}), strategy=swing)
    with pytest.raises(DataError, match="fill no whole 1h bar"):
        simcore.fidelity(feed=books(), strategy=swing, bars="1h")


# ---------------------------------------------------------------- the band


AT_THE_TOUCH = SETTINGS | {"settings.router.offsets_bps.LOW": 0.0}  # behind the touch queues are short and the models agree


@cache
def banded() -> Any:
    return simcore.replay(feed=with_bars(books(), "1s"), strategy=swing, params=AT_THE_TOUCH, band=True)


def test_the_band_holds_both_fill_models_at_single_and_double_latency() -> None:
    run = banded()
    assert [(row["model"], row["latency"]) for row in run.band] == [("central", 1), ("central", 2), ("pessimistic", 1), ("pessimistic", 2)]
    assert run.band[0]["digest"] == run.digest and run.band[0]["net_pnl"] == run.metrics["net_pnl"]
    changes = {"settings.book_model.queue_model": "risk_averse", "settings.book_model.latency_scale": 2.0}
    worst = simcore.replay(feed=with_bars(books(), "1s"), strategy=swing, params=AT_THE_TOUCH | changes)
    assert run.band[3]["digest"] == worst.digest and run.band[3]["net_pnl"] == worst.metrics["net_pnl"]
    assert len({row["digest"] for row in run.band}) >= 3
    assert run.band[2]["maker_fill_rate"] <= run.band[0]["maker_fill_rate"]


def test_the_band_stands_in_summary_page_and_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = banded()
    told = run.summary()["band"]
    assert told["rows"][2]["model"] == "pessimistic"
    assert told["net_pnl"] == span_of(run.band) and told["net_pnl"]["low"] <= run.metrics["net_pnl"] <= told["net_pnl"]["high"]
    page = tearsheet.page(run.recording, run.metrics, run.checks, run.order_figures, run.band)
    assert "<h2>Band</h2>" in page and 'data-band="low"' in page
    run.show()
    assert "Band: net PnL" in capsys.readouterr().out


def test_a_run_without_a_band_says_nothing_of_one() -> None:
    run = ladder().runs["depth"]
    assert run.band is None and "band" not in run.summary()


def test_on_bars_the_pessimistic_model_is_the_through_rule_and_a_late_order() -> None:
    touch = config_of(["one"], settings={"bar_model.fill_rule": "touch"})
    found = variants(touch, on_books=False)
    assert [each.changes for each in found] == [
        {},
        {"settings.bar_model.entry_latency_ms": 1.0},
        {"settings.bar_model.fill_rule": "through"},
        {"settings.bar_model.fill_rule": "through", "settings.bar_model.entry_latency_ms": 1.0},
    ]
    slow = config_of(["one"], settings={"bar_model.entry_latency_ms": 300.0})
    assert variants(slow, on_books=False)[1].changes == {"settings.bar_model.entry_latency_ms": 600.0}


def test_variants_that_change_nothing_are_replayed_once() -> None:
    run = simcore.replay(feed=ladder().runs["bars"].recording.feed, strategy=swing, params=SETTINGS, band=True)
    digests = [row["digest"] for row in run.band]
    assert digests[0] == digests[2] == run.digest and digests[1] == digests[3] != digests[0]


def test_a_wrong_name_is_refused_before_anything_is_replayed() -> None:
    with pytest.raises(ConfigError, match="Did you mean"):
        simcore.fidelity(feed=books(), strategy="ema_cros")


# ---------------------------------------------------------------- the page of a short recording


def test_a_recording_of_minutes_has_a_curve_and_candles_of_seconds() -> None:
    run = simcore.replay(feed=with_bars(books(), "1s"), strategy=swing, params=SETTINGS | {"settings.equity_sample_s": 3_600})
    assert len(run.equity) > 60, "samples an hour apart would be no curve"
    page = tearsheet.page(run.recording, run.metrics, run.checks, run.order_figures)
    assert "order books ·" in page and "1s bars ·" not in page and "An order meets the book at its arrival" in page
    assert "say nothing" in page, "a day and a year have no meaning here"
    drawn = chart_data(run.recording)["symbols"][0]
    assert drawn["seconds"] == 1 and drawn["bars"]["t"]["n"] > 60 and drawn["gaps"]["n"] == 0


def test_broken_spans_of_a_book_are_marked_in_chart_and_words() -> None:
    rows = [*SNAPSHOT, *((1_000 * at, TRADE, 1, 1_001, 1) for at in range(1, 60)), (60_000, GAP, 1, 100, 0)]
    rows += [(70_000, *row[1:]) for row in SNAPSHOT] + [(1_000 * at, TRADE, 1, 1_001, 1) for at in range(71, 120)]
    feed = feed_from(rows)
    recording = replace(without_trades(fake_recording()), feed=feed, start_ns=feed.start_ns, end_ns=feed.end_ns)
    drawn = chart_data(recording)["symbols"][0]
    assert drawn["seconds"] == 1 and drawn["gaps"]["n"] == 1  # no candle in between: one place
    run = Run(recording)
    page = tearsheet.page(recording, run.metrics, run.checks, run.order_figures)
    assert "the book was unusable in 1 span, 10 s in all" in page
