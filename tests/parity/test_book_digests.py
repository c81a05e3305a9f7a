"""The same decisions on order books, however the replay is run, and the same money in both books of the account."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simcore
from replay_data.feed import Feed, from_columns
from simcore.config import Config, load_config
from simcore.domain.enums import InputKind, LedgerKind
from simcore.engine.account import wallet_identity_nb
from simcore.replay import Session
from simcore.report.mids import touches_at
from simcore.strategy import strategy
from tests import book_streams

ROOT = Path(simcore.__file__).parents[1]
KINDS = ("ledger", "trade", "route_done", "equity")
STEPS = 1_500
SETTINGS = {
    "settings.router.wait_s": 2.0,
    "settings.router.offsets_bps.LOW": 0.0,
    "settings.entry_retry_s": 1,
    "settings.equity_sample_s": 1,
    "risk_limits.max_orders_per_minute": 1_000,
}


@strategy(on="timer", every="250ms", params={"turn": 0.15})
def lean(market, position, params, memory, signal):
    """Lean to the deeper side."""
    lean = (market["bid_depth"] - market["ask_depth"]) / (market["bid_depth"] + market["ask_depth"])
    if lean > params["turn"]:
        signal["side"] = 1
        signal["stop_distance"] = 0.4
    elif lean < -params["turn"]:
        signal["side"] = -1
        signal["target_distance"] = 0.3
    signal["urgency"] = 1.0 if abs(lean) > 2.0 * params["turn"] else 0.0


@strategy(on="book", params={"wide": 3.0})
def narrow(market, position, params, memory, signal):
    """Long while the bid is the larger touch."""
    signal["side"] = 1 if market["bid_qty"] > params["wide"] * market["ask_qty"] else 0


@strategy(on="trade", params={"lots": 0.5})
def follow(market, position, params, memory, signal):
    """Follow whoever traded more."""
    signal["side"] = 1 if market["buy_qty"] - market["sell_qty"] > params["lots"] else -1
    signal["urgency"] = 1.0


@strategy(on="timer", every="1s", params={"turn": 0.0})
def patient(market, position, params, memory, signal):
    """Lean to the deeper side, as a maker first."""
    signal["side"] = 1 if market["bid_depth"] > market["ask_depth"] else -1


@strategy(on="timer", every="100ms", params={"most": 0.05}, memory=("mid",))
def both_sides(market, position, params, memory, signal):
    """Quote two levels a side around a slow mid."""
    memory["mid"] += (market["close"] - memory["mid"]) * (0.2 if memory["mid"] > 0.0 else 1.0)
    held = position["side"] * position["qty"]
    signal["quote_levels"] = 2
    signal["quote_step"] = 0.2
    signal["bid"] = min(memory["mid"], market["bid"]) if held < params["most"] else float("nan")
    signal["ask"] = max(memory["mid"], market["ask"]) if held > -params["most"] else float("nan")


ALL = [lean, narrow, follow]


def config(*used: Any) -> Config:
    """Return a config in which the given strategies trade small and fast."""
    loaded = load_config()
    for each in used or ALL:
        loaded = loaded.with_strategy(each.name, each.params)
    return loaded.replace(strategies=[each.name for each in used or ALL], allow_unlisted_symbols=True, set=SETTINGS)


def session(feed: Feed, *used: Any, **options: Any) -> Session:
    """Return a session over books, not yet begun."""
    return Session(feed, config(*used), list(used or ALL), **options)


def finished(feed: Feed, *used: Any, **options: Any) -> Session:
    """Return a finished session."""
    done = session(feed, *used, **options)
    done.finish()
    return done


def tables(output: Any) -> tuple[bytes, ...]:
    """Return everything a run wrote, as bytes."""
    return tuple(output.table(name).tobytes() for name in KINDS)


@cache
def whole() -> tuple[Feed, int, tuple[bytes, ...]]:
    """Return the feed that is cut below, its number of wakes, and what an uncut run over it writes."""
    feed = book_streams.feed(5, STEPS)
    done = finished(feed)
    assert len(done.output.table("trade")) > 5, "the strategies must trade"
    return feed, int(done.run["slices"]), tables(done.output)


def test_two_runs_over_the_same_books_are_equal() -> None:
    feed, _, expected = whole()
    assert tables(finished(feed).output) == expected


def test_both_books_of_the_account_balance_and_agree() -> None:
    feed, _, _ = whole()
    done = finished(feed)
    assert int(wallet_identity_nb(done.core["account"])) == int(wallet_identity_nb(done.venue["account"])) == 0
    assert int(done.core["account"]["wallet_e8"]) == int(done.venue["account"]["wallet_e8"]) != round(done.plan.config.cash * 1e8)


def test_the_wallet_balances_after_every_wake() -> None:
    feed, _, _ = whole()
    run = session(feed)
    while run.advance(max_slices=1):
        for account in (run.core["account"], run.venue["account"]):
            assert int(wallet_identity_nb(account)) == 0


@settings(max_examples=40)
@given(data=st.data())
def test_a_run_cut_at_any_wake_and_resumed_from_a_copy_writes_the_same(data: st.DataObject) -> None:
    feed, slices, expected = whole()
    first = session(feed)
    first.advance(max_slices=data.draw(st.integers(0, slices), label="cut"))
    twin = first.copy()
    first.finish()
    twin.finish()
    assert tables(first.output) == expected
    assert tables(twin.output) == expected


@settings(max_examples=20)
@given(data=st.data())
def test_a_run_cut_at_any_time_and_resumed_writes_the_same(data: st.DataObject) -> None:
    feed, _, expected = whole()
    run = session(feed)
    times = data.draw(st.lists(st.integers(feed.start_ns, feed.end_ns), min_size=1, max_size=4), label="cuts")
    for until_ns in sorted(times):
        run.advance(until_ns)
        assert int(run.core["now_ns"]) <= until_ns
    run.finish()
    assert tables(run.output) == expected


def test_interpreted_strategies_decide_as_compiled_ones_do() -> None:
    feed, _, expected = whole()
    assert tables(finished(feed, interpreted=True).output) == expected


def test_the_journal_of_a_run_decides_again_without_any_book() -> None:
    feed, _, expected = whole()
    done = finished(feed, journal=True)
    assert tables(done.output) == expected
    journal = done.journal.journal(feed.filters)
    assert {InputKind.VIEW, InputKind.REPORT, InputKind.DECIDE} <= set(journal.inputs["kind"])
    again = journal.rerun(done.plan)
    for name in ("ledger", "trade", "route_done"):
        assert again.output.table(name).tobytes() == done.output.table(name).tobytes()


def test_quotes_are_the_same_however_they_are_replayed() -> None:
    feed = book_streams.feed(12, STEPS)
    done = finished(feed, both_sides, journal=True)
    totals = done.core["totals"]
    assert totals["quote_fills"] > 20 and totals["cancels"] > 20
    assert int(done.core["account"]["wallet_e8"]) == int(done.venue["account"]["wallet_e8"])
    expected = tables(done.output)
    assert tables(finished(feed, both_sides, interpreted=True).output) == expected
    cut = session(feed, both_sides)
    while cut.advance(max_slices=17):
        twin = cut.copy()
        cut, twin = (twin, cut) if int(cut.run["slices"]) % 2 else (cut, twin)
    cut.finish()
    assert tables(cut.output) == expected
    again = done.journal.journal(feed.filters).rerun(done.plan)
    assert again.output.table("ledger").tobytes() == done.output.table("ledger").tobytes()


def test_the_order_in_which_symbols_and_simultaneous_rows_come_in_does_not_matter() -> None:
    names = ("AAAUSDT", "BTCUSDT", "ETHUSDT")
    columns = {name: book_streams.columns(31 + number, 500) for number, name in enumerate(names)}
    straight = finished(from_columns(columns)).output.digest()
    turned = {name: columns[name] for name in reversed(names)}
    for name in names:
        trades = np.flatnonzero(turned[name]["kind"] == book_streams.TRADE)
        order = np.argsort(turned[name]["ts_exch"], kind="stable")
        assert len(trades) and np.array_equal(order, np.arange(len(order)))
        # The trades first of all, then every depth row: one exchange time puts them in order again.
        mixed = np.concatenate([trades, np.delete(order, trades)])
        turned[name] = {key: value[mixed] if isinstance(value, np.ndarray) else value for key, value in turned[name].items()}
    assert finished(from_columns(turned)).output.digest() == straight


def test_the_uncompiled_engine_writes_the_compiled_ones_digest() -> None:
    code = (
        "from tests.parity.test_book_digests import finished, book_streams;"
        "print(finished(book_streams.feed(9, 120, latency_ms=2.0)).output.digest())"
    )
    digest = finished(book_streams.feed(9, 120, latency_ms=2.0)).output.digest()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip() == digest, done.stderr[-2_000:]


def test_the_balance_is_known_at_the_first_wake_however_early_it_is() -> None:
    feed, _, _ = whole()
    run = session(feed, narrow)
    run.advance(max_slices=1)
    assert float(run.core["account"]["nav"]) == pytest.approx(run.plan.config.cash)


@pytest.mark.parametrize("key", ["fill_quantity", "through"])
def test_an_optimistic_fill_mode_is_named_in_the_caveats(key: str) -> None:
    feed, _, _ = whole()
    hopeful = config().replace(set={f"settings.book_model.{key}": "full"})
    assert [text for text in Session(feed, hopeful, ALL).plan.caveats if text.startswith("Optimistic")]
    assert not [text for text in session(feed).plan.caveats if text.startswith("Optimistic")]


def test_nothing_is_known_before_its_answer_has_come_back() -> None:
    feed, _, _ = whole()
    slow = config().replace(set={"settings.book_model.response_latency_ms": 40.0, "settings.book_model.entry_latency_ms": 15.0})
    run = Session(feed, slow, ALL)
    run.finish()
    ledger = run.output.table("ledger")
    fills = ledger[ledger["kind"] == LedgerKind.FILL]
    sent = {int(row["order_id"]): int(row["ts_ns"]) for row in ledger[ledger["kind"] == LedgerKind.REQUEST]}
    assert len(fills) > 10
    for row in fills:
        assert int(row["ts_ns"]) - int(row["exch_ns"]) >= 40_000_000
        if int(row["order_id"]) in sent:
            assert int(row["exch_ns"]) - sent[int(row["order_id"])] >= 15_000_000


def test_a_taker_never_fills_better_than_the_book_of_its_own_moment() -> None:
    # A re-quote or fallback that a report between two wakes leads to must not arrive in a past the exchange has left behind.
    feed = book_streams.feed(8, 12 * STEPS)
    hurried = config(patient).replace(set={"settings.router.wait_s": 0.5, "settings.router.max_requotes": 0})
    done = Session(feed, hurried, [patient])
    done.finish()
    ledger = done.output.table("ledger")
    taken = ledger[(ledger["kind"] == LedgerKind.FILL) & (ledger["x0"] == 0)]
    touch = touches_at(feed, 0, taken["exch_ns"])
    best = np.where(taken["side"] > 0, touch.ask, touch.bid) / book_streams.TICK_SIZE
    assert len(taken) > 10
    assert np.all(taken["side"] * (taken["price_ticks"] - np.rint(best)) >= 0)


def test_changing_the_future_changes_no_decision_before_it() -> None:
    columns = book_streams.columns(5, STEPS)
    feed, run = from_columns("BTCUSDT", **columns), None
    cut_ns = int(np.quantile(feed.events["ts_local"], 0.6))
    shown = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in columns.items()}
    later = shown["ts_local"] > cut_ns
    shown["qty"][later] = np.round(shown["qty"][later] * 2.0, 3)
    for each in (feed, from_columns("BTCUSDT", **shown)):
        done = session(each)
        done.advance(cut_ns)
        done.collect()
        run = done.output.digest() if run is None else run
        assert done.output.digest() == run


@pytest.mark.jitless
def test_a_short_book_replay_runs() -> None:
    done = finished(book_streams.feed(3, 40, latency_ms=1.0), lean)
    assert int(done.run["slices"]) > 1
