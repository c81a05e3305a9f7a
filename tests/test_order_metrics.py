"""The router's figures and the run's counters, each against a count by hand in one scene that has every outcome."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.lib.recfunctions import repack_fields

import replay_data
from simcore.domain.enums import LONG, LedgerKind, RejectCode, RouteOutcome, RouteStage, TimeInForce
from simcore.domain.errors import InvariantError
from simcore.domain.records import LEDGER, ROUTE, TOTALS
from simcore.replay import Recording
from simcore.report import tearsheet
from simcore.report.definitions import KPIS
from simcore.report.kpis import NEEDED, kpis_of
from simcore.report.run import Run
from tests.fakes import fake_recording, rows_of, without_trades
from tests.scenes import MINUTE_NS, START_NS, A, Scene, Wish, bar, flat, gap, play

# Seven symbols, each one outcome. Quotes wait one bar and are renewed once; the wish is stated at the close of bar 1.
MAKER, TAKER, MIXED, FALLBACK, REFUSED, GAVE_UP, CANCELED = (f"{name}USDT" for name in ("AM", "BT", "CX", "DF", "ER", "FG", "GC"))
UNIT = 100_000


@cache
def every_outcome() -> Scene:
    """Play the scene of all outcomes."""
    hit, thin = bar(10_000, 10_000, 9_997, 10_000), bar(10_000, 10_000, 9_990, 10_000, 400)
    away = [bar(10_000, 10_050, 10_000, 10_050), *flat(10_050, 5)]
    tapes = {
        MAKER: [*flat(n=2), hit, *flat(n=5)], TAKER: flat(n=8), MIXED: [*flat(n=2), thin, *flat(n=5)], FALLBACK: flat(n=8),
        REFUSED: flat(n=8), GAVE_UP: [*flat(n=2), *away], CANCELED: flat(n=8),
    }  # fmt: skip
    wish, now = {1: LONG}, {1: Wish(LONG, urgency=1.0)}
    wishes = dict.fromkeys(tapes, wish) | {TAKER: now, REFUSED: now, CANCELED: {1: LONG, 2: 0}}
    return play(tapes, wishes, filters={REFUSED: {0: {"price_band_up_pct": 0.001}}}, settings={"cash": 1e6})


# outcome, done in bar, maker, taker, maker orders, taker orders, rejects, re-quotes, fallback, waits in bars, (lots, ticks, fee bps)
BY_HAND = {
    MAKER: ("maker", 2, 100, 0, 1, 0, 0, 0, 0, 1, [(100, 9_998, 2)]),
    TAKER: ("taker", 2, 0, 100, 0, 1, 0, 0, 0, 1, [(100, 10_001, 5)]),
    MIXED: ("mixed", 4, 40, 60, 2, 1, 0, 1, 1, 3, [(40, 9_998, 2), (60, 10_001, 5)]),
    FALLBACK: ("taker", 4, 0, 100, 2, 1, 0, 1, 1, 3, [(100, 10_001, 5)]),
    REFUSED: ("rejected", 1, 0, 0, 0, 1, 1, 0, 0, 0, []),
    GAVE_UP: ("gave_up", 4, 0, 0, 2, 1, 0, 1, 1, 3, []),
    CANCELED: ("canceled", 2, 0, 0, 1, 0, 0, 0, 0, 1, []),
}


@pytest.mark.parametrize("symbol", BY_HAND)
def test_the_router_ctx_of_every_outcome_is_what_a_hand_counts(symbol: str) -> None:
    scene = every_outcome()
    outcome, done, maker, taker, makers, takers, rejects, requotes, fallback, waits, fills = BY_HAND[symbol]
    row = scene.routes[scene.routes["symbol"] == scene.feed.symbols.index(symbol)]
    assert len(row) == 1
    row = row[0]
    expected = {
        "active": 1, "strategy": 0, "side": LONG, "leg": 0, "purpose": 0, "stage": RouteStage.DONE,
        "outcome": RouteOutcome[outcome.upper()], "started_ns": START_NS + 2 * MINUTE_NS, "done_ns": START_NS + (done + 1) * MINUTE_NS,
        "requested_lots": 100, "maker_lots": maker, "taker_lots": taker, "maker_orders": makers, "taker_orders": takers,
        "rejects": rejects, "requotes": requotes, "fallback": fallback, "waits_ns": waits * MINUTE_NS,
        "value_e8": sum(lots * ticks * UNIT for lots, ticks, _ in fills),
        "fees_e8": sum(lots * ticks * UNIT * bps // 10_000 for lots, ticks, bps in fills),
        "arrival_ts_ns": START_NS + 2 * MINUTE_NS, "cap_ticks": 10_030, "stop_ticks": 0, "target_ticks": 0, "arrival": 1_000.0,
        "last_code": {REFUSED: RejectCode.PRICE_BAND_UP, GAVE_UP: RejectCode.UNFILLED}.get(symbol, 0),
        "notional": 1_003.0, "stop_distance": 0.0, "target_distance": 0.0,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    average = sum(lots * ticks for lots, ticks, _ in fills) / 100
    assert float(row["slippage_bps"]) == pytest.approx((average - 10_000) if fills else 0.0)  # one tick is one basis point
    # Left: what a hand need not count: the row's place, its last order, price and permission.
    assert set(ROUTE.names or ()) - set(expected) == {"symbol", "order_id", "placed_ns", "limit_ticks", "maker_allowed", "slippage_bps"}


def test_every_counter_of_the_run_is_what_a_hand_counts() -> None:
    scene = every_outcome()
    maker_usd = (100 * 9_998 + 40 * 9_998) * 1e-3
    taker_usd = (100 + 60 + 100) * 10_001 * 1e-3
    expected = {
        "events": 7 * 8 + 1, "bars": 7 * 8, "slices": 8, "decisions": 8, "gaps": 0, "gap_bars": 0,
        "signals": 8,  # one a symbol, and the one that was taken back
        "screen_vetoes": 0, "gate_vetoes": 0,
        "orders": 1 + 1 + 3 + 3 + 1 + 3 + 1, "maker_fills": 2, "taker_fills": 3, "rejects": 1,
        "cancels": 2 + 2 + 2 + 1,  # mixed, fallback and gave up take two quotes back each, canceled one
        "expiries": 1, "liquidations": 0, "stop_exits": 0, "target_exits": 0, "signal_exits": 0, "ambiguous_exits": 0, "exits": 0,
        "quotes": 0, "quote_fills": 0, "quote_misses": 0,
    }  # fmt: skip
    assert {name: int(scene.totals[name]) for name in expected} == expected
    assert float(scene.totals["maker_usd"]) == pytest.approx(maker_usd)
    assert float(scene.totals["taker_usd"]) == pytest.approx(taker_usd)
    assert float(scene.totals["traded_usd"]) == pytest.approx(maker_usd + taker_usd)
    # Against 1,000.0 at the decision, in quote units a whole coin: -0.2 (maker), +0.1, -0.2 * 0.4 + 0.1 * 0.6, +0.1.
    assert float(scene.totals["slippage_usd"]) == pytest.approx(-0.2 + 0.1 - 0.08 + 0.06 + 0.1)
    # Half a spread of one basis point on 2.6 coins taken at an open of 1,000.0.
    assert float(scene.totals["spread_usd"]) == pytest.approx(2.6 * 0.1)
    counted = {*expected, "maker_usd", "taker_usd", "traded_usd", "slippage_usd", "spread_usd"}
    assert counted == set(TOTALS.names or ())


def test_the_summary_says_the_same_numbers() -> None:
    scene = every_outcome()
    counts = Run(scene.recording).summary()["counts"]
    assert (counts["signals"], counts["orders"], counts["maker_fills"], counts["taker_fills"]) == (8, 13, 2, 3)
    metrics = Run(scene.recording).metrics
    assert (metrics["n_orders"], metrics["n_rejects"], metrics["n_cancels"]) == (13, 1, 7)
    assert metrics["maker_share"] == pytest.approx(140 * 9_998 / (140 * 9_998 + 260 * 10_001))
    assert metrics["spread_cost"] == pytest.approx(0.26)
    assert metrics["fees"] == pytest.approx((140 * 9_998 * 2 + 260 * 10_001 * 5) / 10_000 * 1e-3)


def test_the_frame_of_routes_carries_every_field_of_the_router_ctx() -> None:
    frame = Run(every_outcome().recording).routes.set_index("symbol")
    for symbol, (outcome, _, maker, taker, makers, takers, rejects, requotes, fallback, waits, _) in BY_HAND.items():
        row = frame.loc[symbol]
        told = (
            row["outcome"],
            row["maker_orders"],
            row["taker_orders"],
            row["rejects"],
            row["requotes"],
            bool(row["fallback"]),
            row["waits_s"],
        )
        assert told == (outcome, makers, takers, rejects, requotes, bool(fallback), waits * 60.0), symbol
        assert (row["maker"], row["taker"]) == (pytest.approx(maker / 100), pytest.approx(taker / 100))


def test_the_ledgers_row_of_a_finished_route_says_what_its_record_says() -> None:
    scene = every_outcome()
    for row, route in zip(scene.rows(LedgerKind.ROUTE_DONE), scene.routes, strict=True):
        told = [row[name] for name in ("code", "symbol", "qty_lots", "value", "x0", "x1", "x2")]
        filled = route["maker_lots"] + route["taker_lots"]
        assert told == [
            route["outcome"],
            route["symbol"],
            filled,
            route["requested_lots"],
            route["maker_lots"],
            route["taker_lots"],
            route["fallback"],
        ]
        assert row["x3"] == route["slippage_bps"] and row["ts_ns"] == route["done_ns"]


def test_exits_are_counted_by_what_ended_the_trade() -> None:
    wild = bar(10_000, 10_060, 9_940, 10_000)
    scene = play(
        {A: [*flat(n=3), wild, *flat(n=4)], "BUSDT": [*flat(n=3), bar(10_000, 10_060, 10_000, 10_000), *flat(n=4)], "CUSDT": flat(n=8)},
        {
            A: {1: Wish(LONG, stop=50, target=50, urgency=1.0)}, "BUSDT": {1: Wish(LONG, stop=50, target=50, urgency=1.0)},
            "CUSDT": {1: Wish(LONG, urgency=1.0), 4: Wish(0, urgency=1.0)},
        },
    )  # fmt: skip
    names = ("stop_exits", "target_exits", "signal_exits", "ambiguous_exits", "exits")
    assert [int(scene.totals[name]) for name in names] == [1, 1, 1, 1, 3]


def test_gaps_are_counted_once_a_hole_with_their_bars() -> None:
    scene = play([*flat(n=2), *gap(3), *flat(), *gap(1), *flat(n=2)], {})
    assert (int(scene.totals["gaps"]), int(scene.totals["gap_bars"])) == (2, 4)
    rows = scene.rows(LedgerKind.GAP)
    assert rows["value"].tolist() == [3.0, 1.0] and scene.slots(LedgerKind.GAP) == [5, 7]
    assert np.all(rows["symbol"] == 0)


# ---------------------------------------------------------------- the router's key figures by symbol and hour

NAN = math.nan
ORDER_KEYS = (
    "maker_fill_rate", "maker_filled_share", "reject_rate", "rejects", "time_to_fill_s", "slippage_bps", "fallback_share", "requotes",
    "taker_effective_spread_bps",
)  # fmt: skip
# (value, n) of each figure, counted by hand from the scene of all outcomes; a quote is 1 bps below the decision's price or pays 1 above.
KPIS_BY_HAND = {
    MAKER: ((1.0, 1), (1.0, 1), (0.0, 1), (0, 1), (60.0, 1), (-2.0, 1), (0.0, 1), (0, 1), (NAN, 0)),
    TAKER: ((NAN, 0), (NAN, 0), (NAN, 0), (0, 1), (NAN, 0), (1.0, 1), (NAN, 0), (0, 0), (2.0, 1)),
    MIXED: ((0.5, 2), (0.2, 2), (0.0, 2), (0, 3), (60.0, 1), (-0.2, 1), (1.0, 1), (1, 1), (2.0, 1)),
    FALLBACK: ((0.0, 2), (0.0, 2), (0.0, 2), (0, 3), (NAN, 0), (1.0, 1), (1.0, 1), (1, 1), (2.0, 1)),
    REFUSED: ((NAN, 0), (NAN, 0), (NAN, 0), (1, 1), (NAN, 0), (NAN, 0), (NAN, 0), (0, 0), (NAN, 0)),
    GAVE_UP: ((0.0, 2), (0.0, 2), (0.0, 2), (0, 3), (NAN, 0), (NAN, 0), (1.0, 1), (1, 1), (NAN, 0)),
    CANCELED: ((0.0, 1), (0.0, 1), (0.0, 1), (0, 1), (NAN, 0), (NAN, 0), (0.0, 1), (0, 1), (NAN, 0)),
}


@pytest.mark.parametrize("symbol", KPIS_BY_HAND)
def test_the_key_figures_of_every_outcome_are_what_a_hand_counts(symbol: str) -> None:
    figures = kpis_of(every_outcome().recording)[symbol]
    assert set(figures) == {"all", "00"}  # everything was decided in the first hour
    for row in figures.values():
        found = [(row[key], row[f"n_{key}"]) for key in ORDER_KEYS]
        for key, (value, n), (expected, observations) in zip(ORDER_KEYS, found, KPIS_BY_HAND[symbol], strict=True):
            assert (value, n) == (pytest.approx(expected, nan_ok=True), observations), key
        # A mean and a median of one observation are the same, and bars tell no mid at a maker's fill nor within a minute.
        assert row["time_to_fill_mean_s"] == pytest.approx(row["time_to_fill_s"], nan_ok=True)
        assert (row["latency_ms"], row["latency_mean_ms"]) == (0.0, 0.0) and row["n_latency_ms"] == row["n_rejects"]
        unknown = [key for key in row if "markout" in key or "realised" in key or key.endswith("maker_effective_spread_bps")]
        assert all(row[key] == 0 if key.startswith("n_") else math.isnan(row[key]) for key in unknown) and len(unknown) == 18


def test_no_key_figure_is_without_a_definition_or_a_test() -> None:
    keys = {kpi.key for kpi in KPIS}
    markouts = {f"{word}_markout_{seconds}s_bps" for word in ("maker", "taker") for seconds in (1, 5, 30)}
    spreads = {f"{word}_{kind}_spread_bps" for word in ("maker", "taker") for kind in ("effective", "realised")}
    assert keys == {*ORDER_KEYS, *markouts, *spreads, "time_to_fill_mean_s", "latency_ms", "latency_mean_ms"}
    row = kpis_of(every_outcome().recording)[MAKER]["all"]
    assert set(row) == keys | {f"n_{key}" for key in keys}


SECOND_NS = 1_000_000_000
KEEPER = "KUSDT"


def market_of(mids: list[float], unit_ns: int) -> replay_data.Feed:
    """Return a book whose mid is mids[k] from START_NS + k units on, a tick of 0.05 to either side."""
    ts, side, price, qty = [], [], [], []
    for at, mid in enumerate(mids):
        for sign in (1, -1):
            if at and mid != mids[at - 1]:
                ts.append(START_NS + at * unit_ns), side.append(sign), price.append(round(mids[at - 1] - sign * 0.05, 2)), qty.append(0.0)
            ts.append(START_NS + at * unit_ns), side.append(sign), price.append(round(mid - sign * 0.05, 2)), qty.append(1.0)
    stamps = np.array(ts, np.int64)
    kinds = np.ones(len(ts), np.int8)
    return replay_data.from_columns(KEEPER, stamps, stamps, kinds, np.array(side, np.int8), np.array(price), np.array(qty), 0.05, 1.0)


def traded(feed: replay_data.Feed, fills: list[dict[str, Any]], unit_ns: int) -> Recording:
    """Return a recording of one order a fill, asked 2 units before, answered 40 ms later, known 70 ms after it filled."""
    rows: list[dict[str, Any]] = []
    for at, fill in enumerate(fills):
        filled = START_NS + fill["t"] * unit_ns
        asked = filled - 2 * SECOND_NS
        side = 1 if fill["side"] == "BUY" else -1
        common = {"order_id": 4 * (at + 1), "side": side, "qty_lots": 3, "price_ticks": round(fill["price"] / 0.05)}
        tif = TimeInForce.GTX if fill["maker"] else TimeInForce.IOC
        rows.append({"kind": LedgerKind.REQUEST, "ts_ns": asked, "exch_ns": asked, "x0": tif, **common})
        rows.append({"kind": LedgerKind.ACCEPTED, "ts_ns": asked + 40_000_000, "exch_ns": asked + 20_000_000, **common})
        rows.append({"kind": LedgerKind.FILL, "ts_ns": filled + 70_000_000, "exch_ns": filled, "x0": fill["maker"], "x1": 1.0, **common})
    ledger = rows_of(sorted(rows, key=lambda row: row["ts_ns"]), LEDGER)
    return replace(without_trades(fake_recording()), feed=feed, ledger=ledger)


@pytest.mark.parametrize("takers", [False, True])
def test_markouts_and_spreads_are_those_of_the_reference_case(reference, takers: bool) -> None:
    (case,) = reference("markout")["cases"]
    inputs, expected = case["inputs"], case["expected"]
    fills = [{**fill, "maker": not takers} for fill in inputs["fills"]]
    word, other = ("taker", "maker") if takers else ("maker", "taker")
    mean = {name: float(np.mean(values)) for name, values in expected.items()}
    for unit_ns, seconds in ((10 * SECOND_NS, 30), (5 * SECOND_NS // 3, 5), (SECOND_NS // 3, 1)):
        feed = market_of(inputs["mid_by_second"], unit_ns)
        figures = kpis_of(traded(feed, fills, unit_ns))[KEEPER]["all"]
        assert figures[f"{word}_markout_{seconds}s_bps"] == pytest.approx(mean["mean_markout_bps"], abs=1e-6)
        assert figures[f"n_{word}_markout_{seconds}s_bps"] == len(fills)
        assert figures[f"{word}_effective_spread_bps"] == pytest.approx(mean["effective_spread_bps"], abs=1e-6)
        if seconds == 5:
            assert figures[f"{word}_realised_spread_bps"] == pytest.approx(mean["realized_spread_bps"], abs=1e-6)
        assert all(n == 0 for key, n in figures.items() if key.startswith(f"n_{other}_") and key.endswith("_bps"))


def test_waits_and_latencies_are_counted_from_the_sending() -> None:
    feed = market_of([100.0] * 60, SECOND_NS)
    fills = [{"t": t, "side": "BUY", "price": 100.05, "maker": True} for t in (2, 9, 30)]
    recording = traded(feed, fills, SECOND_NS)
    later = recording.ledger.copy()
    later["ts_ns"][(later["kind"] == LedgerKind.ACCEPTED) & (later["order_id"] == 12)] += 60_000_000
    figures = kpis_of(replace(recording, ledger=later))[KEEPER]["all"]
    assert (figures["time_to_fill_s"], figures["time_to_fill_mean_s"], figures["n_time_to_fill_s"]) == (2.0, 2.0, 3)
    assert (figures["latency_ms"], figures["latency_mean_ms"], figures["n_latency_ms"]) == (40.0, 60.0, 3)
    # The feed ends 29 s after the last fill, so what came 30 s after it nobody knows.
    assert (figures["n_maker_markout_5s_bps"], figures["n_maker_markout_30s_bps"]) == (3, 2)
    assert figures["maker_markout_30s_bps"] == pytest.approx(-0.05 / 100.05 * 1e4)


def test_a_refusal_at_arrival_is_a_miss_and_counted() -> None:
    feed = market_of([100.0] * 60, SECOND_NS)
    recording = traded(feed, [{"t": 5, "side": "BUY", "price": 99.95, "maker": True}] * 2, SECOND_NS)
    ledger = recording.ledger.copy()
    missed = (ledger["order_id"] == 8) & np.isin(ledger["kind"], (LedgerKind.ACCEPTED, LedgerKind.FILL))
    ledger = ledger[~missed | (ledger["kind"] == LedgerKind.ACCEPTED)]
    row = (ledger["order_id"] == 8) & (ledger["kind"] == LedgerKind.ACCEPTED)
    ledger["kind"][row], ledger["code"][row] = LedgerKind.REJECTED, RejectCode.POST_ONLY
    figures = kpis_of(replace(recording, ledger=ledger))[KEEPER]["all"]
    assert (figures["maker_fill_rate"], figures["reject_rate"], figures["rejects"]) == (0.5, 0.5, 1)
    assert (figures["n_maker_fill_rate"], figures["n_reject_rate"], figures["n_rejects"]) == (2, 2, 2)


def test_figures_belong_to_the_hour_in_which_the_order_was_sent() -> None:
    hour = 3_600
    feed = market_of([100.0] * 4, hour * SECOND_NS)
    # Sent 2 s before the hour is full, filled on the hour.
    figures = kpis_of(traded(feed, [{"t": 1, "side": "BUY", "price": 99.95, "maker": True}], hour * SECOND_NS))[KEEPER]
    assert set(figures) == {"all", "00"} and figures["00"]["n_maker_markout_30s_bps"] == 1


@pytest.mark.parametrize(("table", "field"), [(table, field) for table, fields in NEEDED.items() for field in fields])
def test_trap_a_recording_without_a_field_is_refused_not_counted_as_zero(table: str, field: str) -> None:
    # The system before this one read maker, taker and fallback with a default of zero: every rate was 0 % and nobody noticed.
    recording = every_outcome().recording
    names = [name for name in getattr(recording, table).dtype.names if name != field]
    without = repack_fields(getattr(recording, table)[names])
    with pytest.raises(InvariantError, match=f"{table} lack {field}"):
        kpis_of(replace(recording, **{table: without}))


def test_every_figure_stands_in_frame_summary_and_page() -> None:
    run = Run(every_outcome().recording)
    keys = [kpi.key for kpi in KPIS]
    assert run.kpis.index.names == ["symbol", "hour"] and set(run.kpis.columns) == {*keys, *(f"n_{key}" for key in keys)}
    assert run.kpis.loc[(MIXED, "all"), "maker_fill_rate"] == 0.5
    summary = run.summary()["kpis"]
    assert set(summary) == set(KPIS_BY_HAND) and summary[MIXED]["00"]["n_maker_fill_rate"] == 2
    assert summary[TAKER]["all"]["maker_fill_rate"] is None
    assert f'data-kpi="{MIXED}/all/maker_filled_share" data-value="0.2"' in tearsheet.page(run.recording, run.metrics, run.checks, run.order_figures)


def test_a_run_without_orders_has_every_figure_with_n_zero() -> None:
    rows = kpis_of(without_trades(fake_recording()))
    for row in rows.values():
        assert set(row) == {"all"}
        assert all(value == 0 if key.startswith("n_") or key in ("rejects", "requotes") else math.isnan(value) for key, value in row["all"].items())
