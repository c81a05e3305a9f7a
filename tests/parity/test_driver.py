"""The single-step driver, a plain Python loop, against the compiled bulk replay: the same bytes (P38)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replay_data.feed import Feed
from simcore.config import Config
from simcore.domain.enums import LedgerKind, RequestKind
from simcore.replay import Session
from simcore.replay.driver import Driver
from tests.worlds import config_of, make_feed, several_wishes, six_config


def wild_world(seed: int) -> tuple[Feed, Config, list[Any]]:
    """Return a world in which an account that trades too large is taken over; most have no marks, where margin is looked at least."""
    strategies = several_wishes(6)
    change = (0.1, 0.02)[seed % 2]
    own = {each.name: {"seed": 1.0 + at, "stop": 2.0, "short": 0.0, "change": change} for at, each in enumerate(strategies)}
    config = config_of(strategies, cash=3_000.0, params=own, sizing={"fraction": 1.0})
    sigma, jumps = ((0.05, 0.03), (0.02, 0.0))[seed % 2]
    feed = make_feed(seed, 1 + seed % 5 // 3, 90, sigma=sigma, jumps=jumps, marks=seed % 3 // 2, funding=seed % 4 // 3 * 7, depth=30.0)
    return feed, config, list(strategies)


def bulk(feed: Feed, config: Config, strategies: list[Any] | None = None) -> Session:
    """Return a finished bulk replay with its journal."""
    session = Session(feed, config, strategies, journal=True)
    session.finish()
    return session


def assert_the_same(driver: Driver, session: Session) -> None:
    """Assert that digest, tables, journal and books of the two are equal, byte for byte."""
    for name in ("ledger", "trade", "route_done", "equity"):
        assert driver.output.table(name).tobytes() == session.output.table(name).tobytes(), name
    assert driver.digest() == session.output.digest()
    mine, theirs = driver.journal(), session.journal.journal(session.feed.filters)
    assert np.array_equal(mine.inputs["kind"], theirs.inputs["kind"])
    assert mine.inputs.tobytes() == theirs.inputs.tobytes()
    assert mine.reports.tobytes() == theirs.reports.tobytes()
    assert driver.core["account"].tobytes() == session.core["account"].tobytes()
    assert driver.venue["account"].tobytes() == session.venue["account"].tobytes()
    assert driver.memory.tobytes() == session.memory.tobytes()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bar_model__fill_rule": "touch", "router__maker_first": False},
        {"bar_model__entry_latency_ms": 400_000.0, "bar_model__participation_cap_pct": 0.02},
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_single_step_driver_writes_the_bulk_replays_journal_and_ledger(seed: int, settings: dict[str, Any]) -> None:
    feed, config = make_feed(seed, bars=160), six_config(**settings)
    driver = Driver(feed, config)
    driver.finish()
    session = bulk(feed, config)
    assert_the_same(driver, session)
    assert len(session.output.table("trade")) > 5


def test_driver_and_bulk_agree_where_the_exchange_takes_accounts_over() -> None:
    """The driver looks at margin in every slice, the bulk replay only where a price left the band of safety."""
    assert_agreement_under_takeovers(range(25), 5)


@pytest.mark.campaign
def test_driver_and_bulk_agree_in_hundreds_of_accounts_that_the_exchange_takes_over() -> None:
    assert_agreement_under_takeovers(range(25, 600), 100)


def assert_agreement_under_takeovers(seeds: range, least: int) -> None:
    """Assert that driver and bulk replay write the same over wild worlds, and that at least so many were liquidated."""
    taken_over = 0
    for seed in seeds:
        feed, config, strategies = wild_world(seed)
        driver = Driver(feed, config, strategies)
        driver.finish()
        session = bulk(feed, config, strategies)
        assert_the_same(driver, session)
        taken_over += int(session.core["account"]["liquidated"])
    assert taken_over >= least


@pytest.mark.jitless
def test_the_driver_runs_interpreted_strategies_to_the_same_bytes() -> None:
    feed, config = make_feed(4, 2, 60), six_config()
    driver = Driver(feed, config, interpreted=True)
    driver.finish()
    assert_the_same(driver, bulk(feed, config))


def test_driver_and_bulk_hold_the_same_state_after_every_single_slice() -> None:
    feed, config = make_feed(5, 3, 100), six_config()
    driver, session = Driver(feed, config), Session(feed, config)
    while driver.step():
        session.advance(max_slices=1)
        session.collect()
        assert driver.next_ns == session.next_ns
        assert driver.core.tobytes() == session.core.tobytes(), f"slice {session.run['slices']}"
        for name in ("account", "position", "order", "instrument", "mark", "low", "high"):
            assert driver.venue[name].tobytes() == session.venue[name].tobytes(), f"{name}, slice {session.run['slices']}"
    assert session.next_ns is None


def test_what_the_driver_sent_to_the_venue_is_what_the_ledger_says_was_requested() -> None:
    feed, config = make_feed(6, bars=160), six_config()
    driver = Driver(feed, config)
    driver.finish()
    requests = np.concatenate(driver.requests)
    ledger = driver.output.table("ledger")
    rows = ledger[np.isin(ledger["kind"], (LedgerKind.REQUEST, LedgerKind.CANCEL))]
    assert len(rows) == len(requests) > 100
    new = requests["kind"] == RequestKind.NEW
    assert np.array_equal(new, rows["kind"] == LedgerKind.REQUEST)
    for name in ("ts_ns", "order_id", "symbol", "strategy"):
        assert np.array_equal(requests[name], rows[name]), name
    for name in ("side", "qty_lots", "price_ticks"):
        assert np.array_equal(requests[name][new], rows[name][new]), name
