"""Acknowledgements: every request is answered once, and only the order a route is working now can move the route."""

from __future__ import annotations

import numpy as np
import pytest

from simcore.decision.reports import on_report_nb
from simcore.domain.enums import BUY, LONG, SELL, LedgerKind, Leg, Purpose, RejectCode, ReportKind, RouteStage
from simcore.domain.records import REPORT
from tests.property.test_venue_properties import drawn_history
from tests.scenes import A, Scene, Wish, bar, flat, play, session_of

NOW = Wish(LONG, urgency=1.0)
PATIENT = {"router.wait_s": 3_600.0}
ANSWERS = (LedgerKind.ACCEPTED, LedgerKind.REJECTED)


def random_scene(seed: int, latency_ms: float, symbols: int = 20) -> Scene:
    """Return an unplayed scene of random histories."""
    import random

    rng = random.Random(seed)
    drawn = {f"S{n:02}USDT": drawn_history(rng, 40) for n in range(symbols)}
    settings = {"cash": 1e7, "bar_model.entry_latency_ms": latency_ms, "router.wait_s": 120.0}
    return session_of({k: tape for k, (tape, _) in drawn.items()}, {k: wishes for k, (_, wishes) in drawn.items()}, settings=settings)


@pytest.mark.parametrize("latency_ms", [0.0, 100.0, 70_000.0])
def test_every_request_is_accepted_or_refused_exactly_once_and_every_order_ends_once(latency_ms: float) -> None:
    scene = random_scene(1, latency_ms)
    scene.session.finish()
    sent = scene.rows(LedgerKind.REQUEST)["order_id"].tolist()
    accepted, rejected = (scene.rows(kind)["order_id"].tolist() for kind in ANSWERS)
    post_only = scene.rows(LedgerKind.REJECTED)["code"] == RejectCode.POST_ONLY
    refused = [order for order, late in zip(rejected, post_only, strict=True) if not late]
    assert len(sent) > 90 and len(set(sent)) == len(sent)
    # Post-only is decided at the open, after the order was accepted; every other refusal comes instead of acceptance.
    assert sorted(accepted + refused) == sent
    fills = scene.rows(LedgerKind.FILL)
    done = fills["order_id"][(fills["cap"] == 0.0) & (fills["order_id"] % 4 == 0)].tolist()
    ends = rejected + scene.rows(LedgerKind.CANCELED)["order_id"].tolist() + scene.rows(LedgerKind.EXPIRED)["order_id"].tolist() + done
    assert sorted(ends) == sent


@pytest.mark.parametrize("latency_ms", [0.0, 100.0, 70_000.0])
def test_after_every_slice_the_routes_work_exactly_the_orders_the_exchange_has(latency_ms: float) -> None:
    scene = random_scene(2, latency_ms)
    met = 0
    while scene.session.next_ns is not None:
        scene.session.advance(max_slices=1)
        orders = scene.venue["order"][: int(scene.venue["n_orders"])]
        live = orders[(orders["active"] == 1) & (orders["armed_ns"] == 0)]
        routes = scene.core["route"][: int(scene.core["route_high"])]
        working = routes[(routes["active"] == 1) & (routes["order_id"] != 0)]
        assert sorted(live["id"]) == sorted(working["order_id"])
        for order in live:
            row = scene.core["route"][order["route"]]
            assert (row["order_id"], row["symbol"], row["side"]) == (order["id"], order["symbol"], order["side"])
            left = row["requested_lots"] - row["maker_lots"] - row["taker_lots"]
            assert 0 < order["leaves_lots"] <= left, "P20"
        met += len(live)
    assert met > 150


def test_a_refused_entry_ends_its_route_and_comes_up_again_after_the_retry_time() -> None:
    # The cap of 30 bps lies beyond a price band of 20 bps.
    scene = play(flat(n=14), {1: NOW}, instrument={"price_band_up_pct": 0.002})
    assert scene.rows(LedgerKind.REJECTED)["code"].tolist() == [int(RejectCode.PRICE_BAND_UP)] * 2
    assert scene.slots(LedgerKind.REQUEST) == scene.slots(LedgerKind.REJECTED) == scene.slots(LedgerKind.ROUTE_DONE) == [1, 11]
    assert scene.outcomes() == ["rejected", "rejected"]


# ---------------------------------------------------------------- reports by hand


def working_scene() -> Scene:
    """Return a scene that stopped while the route of order 4 rests its quote of 100 lots."""
    scene = session_of(flat(n=4), {1: LONG}, settings=PATIENT)
    scene.session.advance(max_slices=3)
    assert scene.core["route"][0]["order_id"] == 4 and scene.core["active_routes"] == 1
    return scene


def tell(scene: Scene, kind: ReportKind, **fields) -> None:
    """Tell the core one report about a BUY of strategy 0 on symbol 0."""
    row = np.zeros(1, REPORT)[0]
    plain = {"kind": kind, "order_id": 4, "side": BUY, "leg": Leg.LONG, "purpose": Purpose.ENTRY, "quote": -1}
    plain["ts_ns"] = int(scene.core["now_ns"])
    for name, value in {**plain, **fields}.items():
        row[name] = value
    on_report_nb(scene.core, row)


@pytest.mark.parametrize("kind", [ReportKind.CANCELED, ReportKind.EXPIRED, ReportKind.REJECTED])
def test_the_end_of_an_order_the_route_does_not_work_is_logged_and_leaves_the_route_alone(kind: ReportKind) -> None:
    scene = working_scene()
    before, rows = scene.core["route"][0].copy(), int(scene.core["n_ledger"])
    for fields in ({"order_id": 99}, {"order_id": 0}, {"route": -1}, {"route": 7}):
        tell(scene, kind, **fields)
    assert scene.core["route"][0] == before
    assert int(scene.core["n_ledger"]) == rows + 4


@pytest.mark.parametrize("fields", [{"order_id": 99}, {"route": -1}, {"route": 7}])
def test_a_fill_of_an_unknown_or_late_order_is_booked_but_not_on_the_route(fields: dict) -> None:
    scene = working_scene()
    before = scene.core["route"][0].copy()
    tell(scene, ReportKind.FILL, qty_lots=10, price_ticks=9_990, fee_e8=1_000, leaves_lots=0, **fields)
    assert scene.core["route"][0] == before
    assert int(scene.core["position"][0]["qty_lots"]) == 10 == int(scene.core["sleeve"][0]["qty_lots"])
    assert int(scene.core["account"]["fees_e8"]) == 1_000 and int(scene.core["account"]["wallet_e8"]) == 100_000 * 10**8 - 1_000


def test_a_fill_of_the_order_the_route_works_is_booked_on_both() -> None:
    scene = working_scene()
    tell(scene, ReportKind.FILL, qty_lots=30, price_ticks=9_998, fee_e8=1_000, leaves_lots=70, maker=1)
    row = scene.core["route"][0]
    assert (int(row["maker_lots"]), int(row["fees_e8"]), int(row["value_e8"]), int(row["order_id"])) == (30, 1_000, 30 * 9_998 * 100_000, 4)
    assert int(scene.core["sleeve"][0]["pending_entry_lots"]) == 70
    tell(scene, ReportKind.FILL, qty_lots=70, price_ticks=9_998, fee_e8=1_000, leaves_lots=0, maker=1)
    assert int(scene.core["active_routes"]) == 0 and int(scene.core["sleeve"][0]["entry_route"]) == -1


def test_the_same_end_told_twice_moves_the_route_once() -> None:
    scene = working_scene()
    tell(scene, ReportKind.REJECTED, code=RejectCode.MARGIN)
    assert int(scene.core["active_routes"]) == 0 and int(scene.core["n_routes_done"]) == 1
    tell(scene, ReportKind.REJECTED, code=RejectCode.MARGIN)
    tell(scene, ReportKind.CANCELED)
    assert int(scene.core["active_routes"]) == 0 and int(scene.core["n_routes_done"]) == 1


def test_a_report_about_a_row_that_another_route_has_by_now_does_not_touch_it() -> None:
    scene = working_scene()
    tell(scene, ReportKind.REJECTED, code=RejectCode.MARGIN)
    from simcore.decision.router import route

    assert route(scene.core, strategy=0, symbol=0, side=SELL, leg=Leg.SHORT, purpose=Purpose.ENTRY, qty_lots=5) == 0
    reused = scene.core["route"][0].copy()
    assert reused["order_id"] == 8 and reused["stage"] == RouteStage.MAKER
    tell(scene, ReportKind.CANCELED)
    tell(scene, ReportKind.FILL, qty_lots=10, price_ticks=9_990)
    assert scene.core["route"][0] == reused
    assert int(scene.core["position"][0]["qty_lots"]) == 10


def test_a_cancel_that_lost_the_race_is_answered_by_the_fill_alone() -> None:
    hit = bar(10_000, 10_000, 9_990, 10_000)
    late = {"bar_model.entry_latency_ms": 100.0, **PATIENT}
    # The wish is taken back at bar 3; the message arrives within bar 4, which fills the order. What filled is closed again.
    scene = play([*flat(n=4), hit, *flat(n=4)], {1: LONG, 3: Wish(0, urgency=1.0)}, settings=late)
    assert scene.slots(LedgerKind.CANCEL) == [3] and scene.rows(LedgerKind.CANCELED).size == 0
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(4, "entry"), (6, "exit")]
    assert scene.outcomes() == ["maker", "taker"] and scene.held(A) == (0, 0)
