"""The router's figures and the run's counters, each against a count by hand in one scene that has every outcome."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from simcore.domain.enums import LONG, LedgerKind, RejectCode, RouteOutcome, RouteStage
from simcore.domain.records import ROUTE, TOTALS
from simcore.report.run import Run
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
