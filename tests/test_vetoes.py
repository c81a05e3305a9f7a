"""Veto economics: what was not traded is priced by hand here, and every limit is either told of or named as never binding."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from replay_data.feed import Feed
from simcore import api
from simcore.domain.enums import Clamp, LedgerKind, Screen, Veto
from simcore.domain.records import LEDGER
from simcore.replay import run_replay
from simcore.validation.policies import with_stages
from simcore.validation.vetoes import VetoReport, economics, episodes_of, shadow_bps, veto_economics
from tests.control_markets import by_the_clock, config_of, market

STEP = 5 * 60 * 10**9


@pytest.fixture(scope="module")
def feed() -> Feed:
    return market(9, days=12, symbols=2)


def rows_of(feed: Feed, *given: dict[str, Any]) -> np.ndarray:
    rows = np.zeros(len(given), LEDGER)
    for at, each in enumerate(given):
        plain = {"side": 1, **each, "ts_ns": feed.start_ns + each["bar"] * STEP}
        for name, value in plain.items():
            if name != "bar":
                rows[name][at] = value
    return rows


SIGNAL, SCREENED, GATED = LedgerKind.SIGNAL, LedgerKind.SCREEN_VETO, LedgerKind.GATE_VETO


def test_a_refused_wish_is_one_episode_until_the_mind_changes(feed: Feed) -> None:
    rows = rows_of(
        feed,
        {"bar": 5, "kind": SIGNAL},
        {"bar": 5, "kind": SCREENED, "code": Screen.COOL_DOWN_S},
        {"bar": 17, "kind": SCREENED, "code": Screen.MAX_SPREAD_BPS},
        {"bar": 30, "kind": SIGNAL, "side": 0},
        {"bar": 40, "kind": SIGNAL, "side": -1},
        {"bar": 40, "kind": LedgerKind.SIZE, "side": -1, "value": 3000.0},
        {"bar": 40, "kind": GATED, "side": -1, "code": Veto.MAX_GROSS_NAV_PCT, "x0": 1.0},
        {"bar": 40, "kind": GATED, "side": -1, "code": Veto.MAX_NET_NAV_PCT, "x0": 0.0},
        {"bar": 52, "kind": LedgerKind.GATE_PASS, "side": -1},
    )
    found, tries = episodes_of(rows)
    assert found["code"].tolist() == [Screen.COOL_DOWN_S, Veto.MAX_GROSS_NAV_PCT]
    assert found["put_off"].tolist() == [0, 1] and found["stake_usd"].tolist() == [3000.0, 3000.0]
    assert tries == {(0, Screen.COOL_DOWN_S): 1, (0, Screen.MAX_SPREAD_BPS): 1, (1, Veto.MAX_GROSS_NAV_PCT): 1}

    config = config_of(5.0)
    opens = feed.bars_of("SYNAUSDT")["open_ticks"].astype(float)
    fee_and_spread = 2.0 * (4.0 + 1.0)
    by_hand = [(opens[30] / opens[5] - 1.0) * 1e4 - fee_and_spread, -(opens[52] / opens[40] - 1.0) * 1e4]
    assert shadow_bps(found, feed, config) == pytest.approx(by_hand)


def test_a_limit_that_kept_losses_away_saved_and_its_interval_holds_the_mean() -> None:
    rules = config_of(1.0).validation.statistics
    row = economics("gate", "x", np.array([-30.0, -10.0, -20.0, np.nan]), np.full(4, 1000.0), 9, rules)
    assert row.net_bps == -20.0 and row.low <= -20.0 <= row.high and row.saved_usd == pytest.approx(6.0)
    alone = economics("gate", "x", np.array([5.0]), np.array([1000.0]), 1, rules)
    assert alone.saved_usd == pytest.approx(-0.5) and np.isnan(alone.low)


@pytest.fixture(scope="module")
def report(feed: Feed) -> VetoReport:
    tight = {"risk_limits.max_concurrent_positions": 1, "risk_limits.max_trade_nav_pct": 0.04}
    config = with_stages(config_of(1.0, **tight), ())
    return veto_economics(run_replay(feed, config, strategies=[by_the_clock]), config)


def test_every_limit_is_told_of_or_never_bound(report: VetoReport) -> None:
    for stage, codes in (("screener", Screen), ("gate", Veto), ("clamp", Clamp)):
        bound = {row.reason for row in report.rows if row.stage == stage}
        assert bound.isdisjoint(report.never[stage])
        assert bound | set(report.never[stage]) == {each.name.lower() for each in codes if each}
    reasons = {(row.stage, row.reason): row for row in report.rows}
    assert reasons["gate", "max_concurrent_positions"].episodes > 20
    assert all(row.tries >= row.episodes > 0 for row in report.rows)
    json.dumps(report.as_dict(), allow_nan=False)


def test_vetoes_through_the_door(feed: Feed) -> None:
    found = api.vetoes(feed=feed, config=config_of(1.0), strategy=by_the_clock)
    assert "max_leverage" in found.never["gate"]
