"""Properties of the venue and the router on bars: every fill equals the slow twin's, and every parent order ends."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import (
    LONG,
    SHORT,
    LedgerKind,
    Leg,
    OrderType,
    Purpose,
    RejectCode,
    ReportKind,
    RequestKind,
    RouteOutcome,
    TimeInForce,
)
from simcore.domain.records import REQUEST, VENUE
from simcore.engine.matching import match_bar_nb
from simcore.engine.venue import on_request_nb, see_bar_nb
from tests.oracle.venue import Order, Rules, Twin
from tests.scenes import MINUTE_NS, START_NS, Scene, Wish, bar_rows, flat, play, session_of

LEGS = {"long": Leg.LONG, "short": Leg.SHORT}
PURPOSES = {"entry": Purpose.ENTRY, "exit": Purpose.EXIT}
TIFS = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "gtx": TimeInForce.GTX}
KINDS = {ReportKind.ACCEPTED: "accepted", ReportKind.REJECTED: "rejected", ReportKind.CANCELED: "canceled", ReportKind.EXPIRED: "expired"}
SIDES = {0: 1, 1: 1, 2: -1}  # two strategies share the long leg, one has the short leg
_TEMPLATE: list[np.ndarray] = []


def fresh_venue(rules: Rules) -> np.ndarray:
    """Return a venue of one symbol under `rules`, rich enough that margin never refuses."""
    if not _TEMPLATE:
        scene = session_of(flat(), {}, settings={"cash": 1e9})
        see_bar_nb(scene.venue, 0, bar_rows(flat())[0])
        scene.venue["n_reports"] = 0
        _TEMPLATE.append(scene.session.venues)
    venues: np.ndarray = _TEMPLATE[0].copy()
    assert venues.dtype == VENUE
    venue = venues[0]
    venue["participation_cap"], venue["fill_rule"] = rules.cap, int(rules.touch)
    venue["stop_slippage_ticks"], venue["entry_latency_ns"] = rules.slip, rules.latency
    instrument = venue["instrument"][0]
    instrument["half_spread_bps"] = rules.half_bps
    instrument["price_filter_ticks"], instrument["lot_filter_lots"] = rules.tick_step, rules.lot_step
    instrument["max_qty_lots"] = 10**6
    return venues


def send_both(venue, row: np.ndarray, twin: Twin, order: Order) -> None:
    """Send one order to both venues."""
    request = row[0]
    request["kind"], request["ts_ns"], request["order_id"] = RequestKind.NEW, order.sent, order.id
    request["strategy"], request["side"], request["leg"] = order.strategy, order.side, LEGS[order.leg]
    request["type"] = OrderType.MARKET if order.ticks is None else OrderType.LIMIT
    request["tif"], request["purpose"], request["reduce_only"] = TIFS[order.tif], PURPOSES[order.purpose], int(order.closes)
    request["qty_lots"], request["price_ticks"] = order.lots, order.ticks or 0
    request["stop_ticks"], request["target_ticks"] = order.stop or 0, order.target or 0
    on_request_nb(venue, request)
    twin.send(order)


def drawn_order(rng: random.Random, rules: Rules, order_id: int, now: int, near: int, twin: Twin) -> Order | None:
    """Draw an order of a random kind around the price, on the exchange's grid; None when its strategy is leaving already."""
    strategy = rng.randrange(3)
    side, leg = SIDES[strategy], "long" if SIDES[strategy] == 1 else "short"
    lots = rng.randint(1, 60) * rules.lot_step
    grid = rules.tick_step

    def price(low: int, high: int) -> int:
        return (near + rng.randint(low, high)) // grid * grid

    if rng.random() < 0.3:
        if any(o.strategy == strategy and o.purpose == "exit" for o in twin.orders):
            return None
        market = rng.random() < 0.5
        return Order(
            order_id,
            strategy,
            -side,
            leg,
            "exit",
            "ioc" if market else rng.choice(["gtx", "gtc"]),
            lots,
            None if market else price(-15, 15),
            now,
        )
    ticks = None if rng.random() < 0.15 else price(-20, 20)
    tif = "ioc" if ticks is None else rng.choice(["gtx", "gtx", "ioc", "gtc"])
    stop = price(-25, 3) if side == 1 else price(-3, 25)
    target = price(2, 25) if side == 1 else price(-25, -2)
    return Order(
        order_id, strategy, side, leg, "entry", tif, lots, ticks, now,
        stop if rng.random() < 0.7 else None, target if rng.random() < 0.7 else None,
    )  # fmt: skip


def kernels_reports(venue, after: int) -> list[dict]:
    """Return the venue's reports from row `after` on, in the twin's words."""
    found = []
    for row in venue["report"][after : int(venue["n_reports"])]:
        told = {"id": int(row["order_id"]), "left": int(row["leaves_lots"])}
        if row["kind"] == ReportKind.FILL:
            fill = {
                "lots": int(row["qty_lots"]),
                "ticks": int(row["price_ticks"]),
                "maker": bool(row["maker"]),
                "both": bool(row["ambiguous"]),
            }
            found.append({"kind": "fill", **told, **fill})
        else:
            found.append({"kind": KINDS[ReportKind(int(row["kind"]))], **told})
    return found


def drawn_bar(rng: random.Random, near: int) -> tuple[int, int, int, int, int]:
    """Draw a bar around a price, sometimes a jump away, sometimes without volume."""
    opened = near + (rng.randint(-60, 60) if rng.random() < 0.15 else rng.randint(-3, 3))
    close = opened + rng.randint(-12, 12)
    wick = 25 if rng.random() < 0.3 else 6
    volume = 0 if rng.random() < 0.05 else rng.randint(1, 1_500)
    return opened, max(opened, close) + rng.randint(0, wick), min(opened, close) - rng.randint(0, wick), close, volume


def compare_one_case(seed: int, seen: Counter) -> None:
    """Play a random case on both venues and compare every report, every order left and every position."""
    rng = random.Random(seed)
    rules = Rules(
        cap=rng.choice([0.1, 0.25, 1.0]), touch=rng.random() < 0.2, half_bps=rng.choice([0.0, 0.5, 1.0, 2.5]), slip=rng.randint(0, 3),
        tick_step=rng.choice([1, 1, 5]), lot_step=rng.choice([1, 1, 10]), latency=rng.choice([0, 0, MINUTE_NS // 2, MINUTE_NS * 3 // 2]),
    )  # fmt: skip
    venue, twin, row = fresh_venue(rules)[0], Twin(rules), np.zeros(1, REQUEST)
    near, order_id, told = 10_000, 4, 0
    for slot in range(rng.randint(1, 6)):
        now = START_NS + slot * MINUTE_NS
        for _ in range(rng.randint(0, 3)):
            order = drawn_order(rng, rules, order_id, now, near, twin)
            if order is not None:
                send_both(venue, row, twin, order)
                order_id += 4
        live = [order.id for order in twin.orders if not order.bound and order.cancel_at is None]
        if live and rng.random() < 0.2:
            row[0]["kind"], row[0]["order_id"], row[0]["ts_ns"] = RequestKind.CANCEL, rng.choice(live), now
            on_request_nb(venue, row[0])
            twin.cancel(int(row[0]["order_id"]), now)
        shape = drawn_bar(rng, near)
        rows = bar_rows([shape])
        rows["open_ns"] = now
        match_bar_nb(venue, 0, rows[0])
        twin.play(now, now + MINUTE_NS, *shape[:3], shape[4])
        mine = kernels_reports(venue, told)
        assert mine == twin.reports[told:], f"seed {seed}, bar {slot}"
        told += len(mine)
        fills = [report for report in mine if report["kind"] == "fill"]
        assert sum(report["lots"] for report in fills) <= rules.cap * shape[4], f"P37: seed {seed}, bar {slot}"
        near = shape[3]
        count_what_happened(mine, twin, seen)
    left = {int(o["id"]): int(o["leaves_lots"]) for o in venue["order"][: int(venue["n_orders"])] if o["active"] == 1}
    assert left == {order.id: order.left for order in twin.orders}
    assert [int(venue["position"][at]["qty_lots"]) for at in (0, 1)] == [twin.held["long"], twin.held["short"]]
    assert int(venue["live_orders"][0]) == len(twin.orders)


def count_what_happened(reports: list[dict], twin: Twin, seen: Counter) -> None:
    """Count kinds of events, so that the property cannot pass by meeting none of them."""
    for report in reports:
        kind = report["kind"]
        if kind == "fill":
            kind = {1: "stop", 2: "target"}.get(report["id"] % 4, "maker" if report["maker"] else "taker")
            seen["partial"] += report["left"] > 0
            seen["ambiguous"] += report["both"]
        seen[kind] += 1
    seen["triggered and waiting"] += any(order.triggered for order in twin.orders)


def test_p37_every_fill_of_a_bar_equals_the_slow_twins() -> None:
    seen: Counter = Counter()

    @given(st.integers(0, 2**48))
    @settings(max_examples=1_500)
    def cases(seed: int) -> None:
        compare_one_case(seed, seen)

    cases()
    rare = {"ambiguous", "triggered and waiting"}
    wanted = {"accepted", "rejected", "canceled", "expired", "maker", "taker", "stop", "target", "partial"} | rare
    assert all(seen[kind] >= (5 if kind in rare else 50) for kind in wanted), seen


@pytest.mark.campaign
def test_campaign_a_hundred_thousand_cases_equal_the_slow_twins() -> None:
    seen: Counter = Counter()
    for seed in range(100_000):
        compare_one_case(seed, seen)


# ---------------------------------------------------------------- parent orders


def drawn_history(rng: random.Random, bars: int) -> tuple[list, dict[int, Wish]]:
    """Return a random tape and random wishes on it; the last sixty bars are calm and liquid, and nothing is wished there."""
    near, tape, wishes = 10_000, [], {}
    for slot in range(bars):
        if slot and rng.random() < 0.03:
            tape.append(None)
            continue
        shape = drawn_bar(rng, near)
        near = max(5_000, shape[3])
        tape.append(shape)
        if rng.random() < 0.2:
            distances = {name: rng.randint(5, 60) for name in ("stop", "target") if rng.random() < 0.5}
            wishes[len([row for row in tape if row]) - 1] = Wish(
                rng.choice((LONG, SHORT, 0)), urgency=rng.choice((0.0, 0.0, 1.0)), minutes=rng.choice((0, 0, 7)), **distances
            )
    kept = len([row for row in tape if row])
    return [*tape, *flat(near, 60)], {**wishes, kept: Wish(0)}


def play_many(seed: int, histories: int) -> Scene:
    """Play a number of random histories side by side, one a symbol."""
    rng = random.Random(seed)
    drawn = {f"S{n:02}USDT": drawn_history(rng, 40) for n in range(histories)}
    settings_ = {"router.max_requotes": rng.randint(0, 3), "router.wait_s": rng.choice((30.0, 60.0, 180.0)), "cash": 1e7}
    settings_["bar_model.entry_latency_ms"] = rng.choice((0, 0, 100, 70_000))
    settings_["router.price_cap_bps"] = rng.choice((2.0, 30.0))
    band = rng.choice((0.5, 0.5, 0.0025))
    return play(
        {name: tape for name, (tape, _) in drawn.items()}, {name: wishes for name, (_, wishes) in drawn.items()}, settings=settings_,
        instrument={"price_band_up_pct": band, "price_band_down_pct": band},
    )  # fmt: skip


def test_p20_p22_p23_every_parent_order_ends_with_flags_that_its_fills_bear_out() -> None:
    outcomes: Counter = Counter()
    for seed in range(40):
        scene = play_many(seed, 25)
        assert int(scene.core["active_routes"]) == 0, f"P22: seed {seed}"
        assert not scene.core["sleeve"]["side"][: len(scene.feed.symbols)].any()
        assert int(scene.venue["n_orders"]) == 0
        check_routes(scene, outcomes)
    assert min(outcomes[name] for name in ("maker", "taker", "mixed", "gave_up", "rejected", "canceled")) >= 10, outcomes


def children_of(scene) -> list[list[int]]:
    """Return the order ids of every finished parent's children, told apart by the ledger's own sequence."""
    running: dict[tuple, list[int]] = {}
    found: list[list[int]] = []
    for row in scene.recording.ledger:
        if row["kind"] == LedgerKind.REQUEST:
            running.setdefault((int(row["symbol"]), int(row["strategy"]), int(row["x1"])), []).append(int(row["order_id"]))
        elif row["kind"] == LedgerKind.ROUTE_DONE:
            route = scene.routes[len(found)]
            found.append(running.pop((int(route["symbol"]), int(route["strategy"]), int(route["purpose"])), []))
    return found


def check_routes(scene, outcomes: Counter) -> None:
    """Compare every finished parent order with the ledger's fills of its children."""
    fills = scene.rows(LedgerKind.FILL)
    for route, children in zip(scene.routes, children_of(scene), strict=True):
        own = fills[np.isin(fills["order_id"], children)]
        maker, taker = int(own["qty_lots"][own["x0"] == 1].sum()), int(own["qty_lots"][own["x0"] == 0].sum())
        assert (maker, taker) == (route["maker_lots"], route["taker_lots"])
        assert maker + taker <= route["requested_lots"], "P20"
        assert len(children) == route["maker_orders"] + route["taker_orders"]
        outcome = RouteOutcome(int(route["outcome"])).name.lower()
        outcomes[outcome] += 1
        expected = {(True, True): "mixed", (True, False): "maker", (False, True): "taker"}.get((maker > 0, taker > 0), outcome)
        assert outcome == expected and (maker + taker > 0) == (outcome in ("maker", "taker", "mixed")), "P23"
        assert bool(route["fallback"]) == (route["maker_orders"] > 0 and route["taker_orders"] > 0), "P23"
        if outcome == "rejected":
            assert route["last_code"] not in (0, RejectCode.UNFILLED)


def test_p21_an_entry_is_never_quoted_or_taken_beyond_its_price_cap() -> None:
    checked = 0
    for seed in range(8):
        scene = play_many(1_000 + seed, 25)
        prices = {int(row["order_id"]): int(row["price_ticks"]) for row in scene.rows(LedgerKind.REQUEST)}
        for route, children in zip(scene.routes, children_of(scene), strict=True):
            if route["purpose"] == Purpose.ENTRY:
                assert all(route["side"] * (prices[order] - int(route["cap_ticks"])) <= 0 for order in children)
                checked += len(children)
    assert checked > 500
