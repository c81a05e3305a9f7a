"""The router on bars: quote, wait, quote again, take, give up; and what it does when the wish changes under way."""

from __future__ import annotations

import pytest

from simcore.decision.router import RouterPolicy, route, router_ctx
from simcore.domain.enums import BUY, LONG, SELL, SHORT, LedgerKind, Leg, OrderType, Purpose, RejectCode, TimeInForce
from simcore.domain.records import MAX_ROUTES
from tests.scenes import LOTS, STEP_SIZE, A, Fill, Scene, Wish, bar, flat, play, session_of

NOW = Wish(LONG, urgency=1.0)
OUT = Wish(0, urgency=1.0)
PATIENT = {"router.wait_s": 3_600.0}


def requests(scene: Scene) -> list[tuple[int, str, int, int]]:
    """Return (slot, time in force, lots, price) of every order the router sent."""
    rows = scene.rows(LedgerKind.REQUEST)
    words = [f"{OrderType(int(r['code'])).name} {TimeInForce(int(r['x0'])).name}" for r in rows]
    return list(zip(scene.slots(LedgerKind.REQUEST), words, rows["qty_lots"].tolist(), rows["price_ticks"].tolist(), strict=True))


# ---------------------------------------------------------------- an entry's way


@pytest.mark.jitless
def test_an_entry_is_quoted_waited_for_quoted_again_and_then_taken() -> None:
    scene = play(flat(n=7), {1: LONG})
    assert requests(scene) == [(1, "LIMIT GTX", 100, 9_998), (2, "LIMIT GTX", 100, 9_998), (3, "LIMIT IOC", 100, 10_030)]
    assert scene.slots(LedgerKind.CANCEL) == scene.slots(LedgerKind.CANCELED) == [2, 3]
    assert scene.fills() == [Fill(4, "entry", BUY, LOTS, 10_001, False)]
    done = scene.routes[0]
    assert (scene.outcomes(), int(done["fallback"]), int(done["requotes"]), int(done["waits_ns"])) == (["taker"], 1, 1, 180 * 10**9)


@pytest.mark.parametrize("requotes", [0, 1, 3])
def test_there_are_as_many_quotes_after_the_first_as_the_policy_says(requotes: int) -> None:
    scene = play(flat(n=8), {1: LONG}, settings={"router.max_requotes": requotes})
    assert [word for _, word, _, _ in requests(scene)] == ["LIMIT GTX"] * (1 + requotes) + ["LIMIT IOC"]
    assert int(scene.routes[0]["requotes"]) == requotes


@pytest.mark.parametrize(("wait_s", "slots"), [(30.0, [1, 2, 3]), (60.0, [1, 2, 3]), (61.0, [1, 3, 5]), (180.0, [1, 4, 7])])
def test_a_quote_waits_until_the_first_bar_that_closes_after_its_time(wait_s: float, slots: list[int]) -> None:
    scene = play(flat(n=10), {1: LONG}, settings={"router.wait_s": wait_s})
    assert scene.slots(LedgerKind.REQUEST) == slots


def test_a_taker_bias_shortens_the_wait_and_a_full_one_never_quotes() -> None:
    settings = {"router.wait_s": 240.0, "router.taker_bias": 0.5}
    assert play(flat(n=9), {1: LONG}, settings=settings).slots(LedgerKind.REQUEST) == [1, 3, 5]
    assert requests(play(flat(n=4), {1: LONG}, settings={"router.taker_bias": 1.0})) == [(1, "LIMIT IOC", 100, 10_030)]
    assert requests(play(flat(n=4), {1: LONG}, settings={"router.maker_first": False})) == [(1, "LIMIT IOC", 100, 10_030)]


def test_a_new_quote_follows_the_market_but_not_beyond_the_cap_of_the_decision() -> None:
    tape = [*flat(n=2), *flat(10_010), *flat(10_100), *flat(10_200, 3)]
    scene = play(tape, {1: LONG}, settings={"router.max_requotes": 5})
    assert [price for _, _, _, price in requests(scene)][:4] == [9_998, 10_007, 10_030, 10_030]  # 1001.0 less 2 bps is 1000.7998
    scene = play([*flat(n=2), *flat(9_800), *flat(9_800)], {1: LONG})
    assert [price for _, _, _, price in requests(scene)][:2] == [9_998, 9_798]


def test_an_urgent_wish_takes_at_once_and_one_at_the_bound_still_waits() -> None:
    assert requests(play(flat(n=4), {1: Wish(LONG, urgency=0.81)})) == [(1, "LIMIT IOC", 100, 10_030)]
    assert requests(play(flat(n=2), {1: Wish(LONG, urgency=0.8)})) == [(1, "LIMIT GTX", 100, 9_998)]


def test_an_entry_never_pays_more_than_its_cap_and_gives_up() -> None:
    tape = [*flat(n=2), bar(10_031, 10_031, 10_031, 10_031), *flat(10_031, 2)]
    scene = play(tape, {1: NOW})
    assert scene.fills() == [] and scene.outcomes() == ["gave_up"]
    assert len(scene.rows(LedgerKind.EXPIRED)) == 1 == int(scene.totals["expiries"])
    # One tick less, and the cap is met exactly: 1002.8 and one basis point is 1002.90028, rounded up 10,030... and no more.
    scene = play([*flat(n=2), *flat(10_028)], {1: NOW})
    assert scene.fills() == [Fill(2, "entry", BUY, LOTS, 10_030, False)]


def test_a_short_entry_never_sells_below_its_cap() -> None:
    assert play([*flat(n=2), *flat(9_969)], {1: Wish(SHORT, urgency=1.0)}).outcomes() == ["gave_up"]
    assert play([*flat(n=2), *flat(9_972)], {1: Wish(SHORT, urgency=1.0)}).fills() == [Fill(2, "entry", SELL, LOTS, 9_971, False)]


def test_an_entry_that_gave_up_is_tried_again_after_the_retry_time() -> None:
    tape = [*flat(n=2), *flat(10_100, 12)]
    scene = play(tape, {1: NOW})
    # Refused by its own cap at bar 2; the wish comes up again ten minutes later and is filled at the new price.
    assert scene.slots(LedgerKind.REQUEST) == [1, 12]
    assert scene.fills() == [Fill(13, "entry", BUY, LOTS, 10_102, False)]


def test_refused_quotes_count_as_tries_and_lead_to_the_taker() -> None:
    falling = [*flat(n=2), *flat(9_900), *flat(9_800), *flat(9_700), *flat(9_700)]
    scene = play(falling, {1: LONG})
    assert [word for _, word, _, _ in requests(scene)] == ["LIMIT GTX", "LIMIT GTX", "LIMIT IOC"]
    assert scene.rows(LedgerKind.REJECTED)["code"].tolist() == [int(RejectCode.POST_ONLY)] * 2
    assert scene.fills() == [Fill(4, "entry", BUY, LOTS, 9_701, False)]
    assert (int(scene.routes[0]["rejects"]), int(scene.routes[0]["fallback"])) == (2, 1)


def test_the_taker_takes_only_what_the_quotes_left() -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_990, 10_000, 400), *flat(n=5)], {1: LONG})
    assert [(f.bar, f.lots, f.maker) for f in scene.fills()] == [(2, 40, True), (4, 60, False)]
    assert [lots for _, _, lots, _ in requests(scene)] == [100, 60, 60]
    assert scene.outcomes() == ["mixed"]


# ---------------------------------------------------------------- exits


def test_a_patient_exit_is_quoted_before_it_is_taken() -> None:
    scene = play(flat(n=9), {1: NOW, 3: 0})
    assert requests(scene)[1:] == [(3, "LIMIT GTX", 100, 10_002), (4, "LIMIT GTX", 100, 10_002), (5, "MARKET IOC", 100, 0)]
    assert scene.fills()[1] == Fill(6, "exit", SELL, LOTS, 9_999, False)


def test_an_exit_is_never_capped() -> None:
    scene = play([*flat(n=4), *flat(5_000, 2)], {1: NOW, 3: OUT})
    assert scene.fills()[1] == Fill(4, "exit", SELL, LOTS, 4_999, False)  # 500.0 less 1 bp is 499.95: 4,999.5 ticks


def test_an_exit_is_tried_until_it_is_done() -> None:
    dry, thin = flat(n=2, volume=0), flat(n=6, volume=300)
    scene = play([*flat(n=4), *dry, *thin], {1: NOW, 3: OUT})
    assert [(f.bar, f.lots) for f in scene.fills()[1:]] == [(6, 30), (7, 30), (8, 30), (9, 10)]
    assert scene.slots(LedgerKind.REQUEST)[1:] == [3, 4, 5, 6, 7, 8]
    assert scene.outcomes() == ["taker", "taker"] and int(scene.routes[1]["taker_orders"]) == 6


def test_an_exit_larger_than_the_exchanges_market_order_goes_in_pieces() -> None:
    scene = play(flat(n=9), {1: LONG, 5: OUT}, settings={"router.max_requotes": 0}, instrument={"max_market_qty_lots": 40})
    assert [(f.bar, f.purpose, f.lots) for f in scene.fills()] == [
        (3, "entry", 40), (4, "entry", 40), (5, "entry", 20), (6, "exit", 40), (7, "exit", 40), (8, "exit", 20)
    ]  # fmt: skip


def test_an_exits_quote_that_the_exchange_refuses_goes_to_market() -> None:
    # The mark stands ten percent above: a quote at the contract's price is below the exchange's band.
    marks = {A: dict.fromkeys(range(3, 9), (1100.0, 1100.0, 1100.0))}
    scene = play(flat(n=8), {1: NOW, 3: 0}, marks=marks, instrument={"price_band_down_pct": 0.05})
    assert scene.rows(LedgerKind.REJECTED)["code"].tolist() == [int(RejectCode.PRICE_BAND_DOWN)]
    assert requests(scene)[1:] == [(3, "LIMIT GTX", 100, 10_002), (4, "MARKET IOC", 100, 0)]
    assert scene.held() == (0, 0)


@pytest.mark.parametrize(("wishes", "purpose"), [({1: Wish(LONG, urgency=1.0, minutes=2)}, Purpose.HORIZON)])
def test_an_exit_that_nobody_wished_goes_to_market_at_once(wishes: dict, purpose: Purpose) -> None:
    scene = play(flat(n=7), wishes)
    assert [word for _, word, _, _ in requests(scene)] == ["LIMIT IOC", "MARKET IOC"]
    assert scene.trades["exit_purpose"].tolist() == [int(purpose)]


# ---------------------------------------------------------------- a wish that changes


def test_a_wish_taken_back_takes_its_order_back() -> None:
    scene = play([*flat(n=3), bar(10_000, 10_000, 9_000, 10_000)], {1: LONG, 2: 0}, settings=PATIENT)
    assert scene.fills() == [] and scene.outcomes() == ["canceled"]
    assert int(scene.core["sleeve"][0]["pending_entry_lots"]) == 0


def test_a_wish_taken_back_keeps_what_filled_and_closes_it() -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_990, 10_000, 400), *flat(n=6)], {1: LONG, 2: OUT}, settings=PATIENT)
    assert [(f.bar, f.purpose, f.side, f.lots) for f in scene.fills()] == [(2, "entry", BUY, 40), (3, "exit", SELL, 40)]
    assert scene.outcomes() == ["maker", "taker"]


def test_an_exit_that_is_no_longer_wished_is_stopped() -> None:
    scene = play(flat(n=8), {1: NOW, 3: 0, 4: NOW}, settings=PATIENT)
    assert scene.outcomes() == ["taker", "canceled"] and scene.held() == (100, 0)


@pytest.mark.jitless
def test_a_flip_is_an_exit_and_then_an_entry_when_the_exit_is_done() -> None:
    scene = play(flat(n=8), {1: NOW, 4: Wish(SHORT, urgency=1.0)})
    assert scene.fills() == [
        Fill(2, "entry", BUY, LOTS, 10_001, False), Fill(5, "exit", SELL, LOTS, 9_999, False), Fill(6, "entry", SELL, LOTS, 9_999, False)
    ]  # fmt: skip
    assert scene.slots(LedgerKind.REQUEST) == [1, 4, 5] and scene.held() == (0, -100)


def test_a_wish_for_the_other_side_takes_an_unfilled_entry_back_first() -> None:
    scene = play([*flat(n=3), *flat(n=3)], {1: LONG, 2: Wish(SHORT, urgency=1.0)}, settings=PATIENT)
    assert scene.slots(LedgerKind.CANCELED) == [2]
    assert scene.fills() == [Fill(4, "entry", SELL, LOTS, 9_999, False)]
    assert scene.outcomes() == ["canceled", "taker"]


# ---------------------------------------------------------------- the face


def test_a_finished_route_says_in_words_what_was_done() -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_990, 10_000, 400), *flat(n=5)], {1: LONG})
    said = router_ctx(scene.routes[0], STEP_SIZE)
    fees = (40 * 9_998 * 2 + 60 * 10_001 * 5) / 10_000 * 100_000 / 1e8
    average = (40 * 999.8 + 60 * 1000.1) / 100
    assert said == {
        "purpose": "entry", "outcome": "mixed", "requested_qty": 1.0, "maker_qty": 0.4, "taker_qty": 0.6, "unfilled_qty": 0.0,
        "is_maker_final": False, "used_fallback": True, "maker_orders": 2, "taker_orders": 1, "rejects": 0, "requotes": 1,
        "waits_s": 180.0, "arrival": 1_000.0, "slippage_bps": pytest.approx((average / 1_000.0 - 1.0) * 1e4),
        "fees_usd": pytest.approx(fees),
    }  # fmt: skip


def test_a_parent_order_needs_a_quantity_and_a_free_row() -> None:
    core = session_of(flat(), {}).core
    with pytest.raises(ValueError, match="^a parent order needs a positive quantity, got 0 lots$"):
        route(core, strategy=0, symbol=0, side=BUY, leg=Leg.LONG, purpose=Purpose.ENTRY, qty_lots=0)
    core["route"]["active"] = 1
    with pytest.raises(RuntimeError, match=f"^all {MAX_ROUTES} routes are in use: finish or cancel some first$"):
        route(core, strategy=0, symbol=0, side=BUY, leg=Leg.LONG, purpose=Purpose.ENTRY, qty_lots=1)


def test_a_policy_survives_its_record() -> None:
    policy = RouterPolicy(maker_first=False, taker_bias=0.25, offset_bps=3.0, wait_s=7.5, max_requotes=4, price_cap_bps=12.0)
    assert RouterPolicy.from_record(policy.to_record()[0]) == policy
    assert policy.as_dict()["offset_tier"] == "LOW"
