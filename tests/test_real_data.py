"""Replays of real markets, audited against the exchange's own files.

Two days around a crash run always; years of three coins and months of eighteen are the campaign.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simcore
from replay_data.catalog import Catalog
from simcore.domain.enums import LedgerKind, Purpose
from simcore.report.run import Run
from tests.audit import Audit

pytestmark = pytest.mark.real
CRASH = {"start": "2025-05-04T15:33", "end": "2025-05-07"}


@pytest.fixture(scope="session")
def futures(real_data: Path) -> Path:
    return real_data / "futures_um"


@pytest.fixture(scope="session")
def catalog(futures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file of the real data in one catalog."""
    root = tmp_path_factory.mktemp("real") / "catalog"
    report = Catalog(root).import_path(futures)
    assert not report.refused
    assert report.gaps == 1, "SOLUSDT at 5 m lacks two days of April 2025"
    return root


@pytest.fixture(scope="session")
def crash(catalog: Path) -> Run:
    """All strategies on the one-minute bars of the days in which LAYERUSDT lost two thirds."""
    return simcore.replay(data=catalog, **CRASH)


def figures(run: Run) -> dict[str, float]:
    return {**run.metrics, **run.summary()["counts"]}


def test_the_crash_days_agree_with_the_files_of_the_exchange(crash: Run, futures: Path) -> None:
    seen = Audit(crash, futures).check_all()
    assert seen["maker"] > 50 and seen["stop"] > 5 and seen["funding"] > 20 and seen["trade with a stop"] > 20


def test_the_crash_days_have_every_bar_and_balanced_books(crash: Run) -> None:
    counts = figures(crash)
    assert crash.checks["ledger_balanced"] and crash.checks["gaps"] == 0
    assert len(crash.recording.feed.symbols) == 15, "ADA, DOGE and DOT begin later"
    assert counts["bars"] == sum(row["bars"] for row in crash.recording.feed.coverage)
    assert 15 * 3_380 < counts["bars"] <= 15 * 3_387
    assert counts["orders"] > 50 and counts["liquidations"] == 0
    assert {"LAYERUSDT", "BTCUSDT"} <= set(crash.trades["symbol"])


def test_the_crash_days_repeat_to_the_byte(crash: Run, catalog: Path) -> None:
    assert simcore.replay(data=catalog, **CRASH).digest == crash.digest


def test_a_stop_in_the_crash_costs_more_than_was_planned_for_it(crash: Run) -> None:
    stops = crash.trades[(crash.trades["exit_reason"] == "stop") & crash.trades["r_multiple"].notna()]
    assert len(stops) > 5
    assert (stops["r_multiple"] < 0).all()
    assert stops["r_multiple"].min() < -1.0


def test_the_first_trade_by_hand(crash: Run) -> None:
    """LAYERUSDT settled at −8.86 bps at 16:00; the carry bought at 17:00 and was stopped out at 02:09.

    Decision 17:00 at a close of 3.2749. Limit: 1 bp offset and 2.5 bps half spread below it, 3.27375, rounded down to 3.2737.
    Stop: 5 % below the close, 3.1112 after rounding it nearer. Size: 3 % of 100,000 at the worst price.
    """
    trades = crash.trades.reset_index()
    trade = trades[(trades["symbol"] == "LAYERUSDT") & (trades["strategy"] == "funding_carry")].iloc[0]
    assert str(trade["decision_time"]) == "2025-05-04 17:00:00+00:00"
    assert (trade["arrival_price"], trade["entry_price"], trade["size"]) == (pytest.approx(3.2749), pytest.approx(3.2737), 913.3)
    assert str(trade["exit_time"]) == "2025-05-05 02:10:00+00:00" and trade["exit_reason"] == "stop"
    stop = crash.fills[(crash.fills["symbol"] == "LAYERUSDT") & (crash.fills["purpose"] == "stop")].iloc[0]
    assert stop["reference_price"] == pytest.approx(3.1112)
    assert stop["price"] < 3.1112
    assert trade["commission"] == pytest.approx(913.3 * (3.2737 * 2e-4 + stop["price"] * 5e-4), abs=2e-8)


def test_a_symbol_listed_during_a_replay_trades_from_its_listing_on(catalog: Path) -> None:
    run = simcore.replay(data=catalog, interval="1h", symbols="BTCUSDT,XRPUSDT", strategy="ema_cross", end="2020-03-01")
    first = run.trades.groupby("symbol")["decision_time"].min()
    assert str(first["BTCUSDT"])[:4] == "2019" and str(first["XRPUSDT"])[:7] == "2020-01"
    assert not (run.vetoes["reason"] == "not_in_universe").any()


def test_filters_follow_their_date(catalog: Path) -> None:
    """SOLUSDT traded in whole coins until April 2025 and in hundredths from May."""
    run = simcore.replay(data=catalog, interval="1h", symbols="SOLUSDT", strategy="ema_cross", start="2025-02-01")
    size = run.fills["size"]
    whole = np.isclose(size % 1.0, 0.0)
    assert whole[run.fills.index < "2025-04-01"].all() and not whole.all()


def test_funding_keeps_its_sign(crash: Run) -> None:
    """With the rate below zero shorts pay and longs receive."""
    ledger = crash.recording.ledger
    rows = ledger[ledger["kind"] == LedgerKind.FUNDING]
    longs = rows["code"] == 0
    sign = np.where(longs, -1.0, 1.0) * np.sign(rows["x0"])
    assert len(rows) > 20 and (np.sign(rows["value"])[rows["x0"] != 0] == sign[rows["x0"] != 0]).all()


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("window", "least"),
    [
        ({}, {"maker": 1_000, "stop": 100, "funding": 1_000}),
        (
            {"interval": "1h", "symbols": "BTCUSDT,ETHUSDT,XRPUSDT", "params": {"xs_momentum.k": 1}},
            {"maker": 10_000, "stop": 1_000, "funding": 10_000},
        ),
        ({"interval": "5m", "start": "2025-03-06", "end": "2025-04-14"}, {"maker": 500, "stop": 80, "funding": 300}),
    ],
    ids=["18 symbols, 1m", "BTC ETH XRP since 2019, 1h", "April 2025, 5m"],
)
def test_the_long_runs_agree_with_the_files_of_the_exchange(window: dict, least: dict, catalog: Path, futures: Path) -> None:
    run = simcore.replay(data=catalog, **window)
    seen = Audit(run, futures).check_all()
    assert run.checks["ledger_balanced"]
    assert simcore.replay(data=catalog, **window).digest == run.digest
    assert all(seen[name] >= n for name, n in least.items()), seen
    stops = run.recording.trades[run.recording.trades["exit_purpose"] == Purpose.STOP]
    assert -1.5 < np.nanmean(stops["r_multiple"]) < -1.0
    assert all(len(run.trades[run.trades["strategy"] == name]) > 10 for name in run.recording.strategies)
