"""Exposure: what is held and what may come, counted before an order is judged, against a count in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.decision.exposure import clear_intent_nb, gather_exposure_nb, mark_account_nb, price_intent_nb
from simcore.domain.enums import LONG, SHORT, Leg
from simcore.domain.records import MAX_SYMBOLS
from tests.scenes import STEP_SIZE, A, B, Scene, Wish, flat, play, session_of

NOW = Wish(LONG, urgency=1.0)
PATIENT = {"router.wait_s": 3_600.0}
SYMBOLS, STRATEGIES = 5, 3
MARKS = np.array([1_000.0, 50.0, 7.5, 320.0, 0.25])


@pytest.mark.jitless
def test_held_and_pending_count_in_full_and_the_other_leg_gives_no_credit() -> None:
    scripts = {"one": {A: {1: NOW}}, "two": {A: {1: Wish(SHORT, urgency=1.0)}, B: {3: LONG}}}
    scene = play({A: flat(n=5), B: flat(n=5)}, scripts=scripts, settings=PATIENT)
    core = scene.core
    clear_intent_nb(core, 1, 1, LONG, Leg.LONG.value)
    gather_exposure_nb(core, 1, 1, LONG)
    intent, account = core["intent"], core["account"]
    assert (float(intent["gross"]), float(intent["symbol_gross"])) == (pytest.approx(3_000.0), pytest.approx(1_000.0))
    assert float(intent["strategy_gross"]) == pytest.approx(2_000.0)
    assert float(intent["net"]) == pytest.approx(1_000.0)  # +1,000 and -1,000 held, +1,000 pending
    assert (int(intent["open_positions"]), int(intent["strategy_positions"]), int(intent["new_position"])) == (3, 2, 0)
    assert (int(account["open_positions"]), int(account["pending_positions"])) == (2, 1)
    assert float(account["initial_margin"]) == pytest.approx(300.0)  # leverage 10
    assert float(account["available"]) == pytest.approx(float(account["nav"]) - 300.0)


_SCENE: list[Scene] = []


def stage() -> Scene:
    """Return one stage for all examples: five symbols of two tiers, three strategies, no positions."""
    if not _SCENE:
        tapes = {f"S{n}USDT": flat(n=2) for n in range(SYMBOLS)}
        scene = session_of(tapes, scripts={f"s{n}": {} for n in range(STRATEGIES)})
        scene.session.finish()
        for n in range(SYMBOLS):
            scene.core["market"][n]["mark"] = MARKS[n]
            scene.core["instrument"][n]["tier"] = n % 2
            scene.core["instrument"][n]["leverage"] = 5.0 + n
        _SCENE.append(scene)
    return _SCENE[0]


sleeve = st.tuples(
    st.sampled_from((-1, 0, 1)), st.integers(0, 5_000), st.one_of(st.just(0), st.integers(1, 5_000)), st.sampled_from((-1, 0, 1))
)


@given(
    st.lists(sleeve, min_size=SYMBOLS * STRATEGIES, max_size=SYMBOLS * STRATEGIES),
    st.integers(0, STRATEGIES - 1),
    st.integers(0, SYMBOLS - 1),
    st.sampled_from((-1, 1)),
)
@settings(max_examples=1_000)
def test_exposure_equals_a_plain_count_over_all_sleeves(sleeves: list, strategy: int, symbol: int, side: int) -> None:
    core = stage().core
    held = []
    for n, (direction, lots, pending, wish) in enumerate(sleeves):
        owner, other = divmod(n, SYMBOLS)
        lots = lots if direction else 0
        row = core["sleeve"][owner * MAX_SYMBOLS + other]
        row["side"], row["qty_lots"], row["pending_entry_lots"], row["wish"] = direction if lots else 0, lots, pending, wish
        held.append((owner, other, direction if lots else 0, lots, pending, wish, float(MARKS[other]) * STEP_SIZE))
    clear_intent_nb(core, strategy, symbol, side, Leg.LONG.value)
    gather_exposure_nb(core, strategy, symbol, side)
    intent, account = core["intent"], core["account"]
    tier = symbol % 2

    def gross(chosen) -> float:
        return sum((lots + pending) * value for owner, other, _, lots, pending, _, value in held if chosen(owner, other))

    busy = [row for row in held if row[3] or row[4]]
    expected = {
        "gross": gross(lambda o, s: True), "symbol_gross": gross(lambda o, s: s == symbol), "tier_gross": gross(lambda o, s: s % 2 == tier),
        "strategy_gross": gross(lambda o, s: o == strategy),
        "net": sum(d * lots * v + (side * pending * v if wish == side else 0.0) for _, _, d, lots, pending, wish, v in held),
    }  # fmt: skip
    for name, value in expected.items():
        assert float(intent[name]) == pytest.approx(value, rel=1e-12, abs=1e-9), name
    assert int(intent["open_positions"]) == len(busy)
    assert int(intent["tier_positions"]) == sum(row[1] % 2 == tier for row in busy)
    assert int(intent["strategy_positions"]) == sum(row[0] == strategy for row in busy)
    own = held[strategy * SYMBOLS + symbol]
    assert int(intent["new_position"]) == int(own[3] == 0 and own[4] == 0)
    initial = sum((lots + pending) * v / (5.0 + other) for _, other, _, lots, pending, _, v in held)
    assert float(account["initial_margin"]) == pytest.approx(initial, rel=1e-12, abs=1e-9)
    assert float(account["maintenance_margin"]) == pytest.approx(0.01 * expected["gross"], rel=1e-9, abs=1e-9)


def test_the_margin_terms_of_an_order_come_from_the_bracket_it_would_stand_in() -> None:
    scene = session_of(flat(n=2), {})
    row = scene.core["instrument"][0]
    row["n_brackets"] = 2
    row["bracket_floor"][1], row["bracket_mmr"][1], row["bracket_leverage"][1] = 5_000.0, 0.05, 4.0
    clear_intent_nb(scene.core, 0, 0, LONG, Leg.LONG.value)
    intent = scene.core["intent"]
    for gross, leverage, mmr in ((0.0, 10.0, 0.01), (4_000.0, 10.0, 0.01), (4_001.0, 4.0, 0.05)):
        intent["symbol_gross"] = gross
        price_intent_nb(scene.core, 100, 10_000)
        assert (float(intent["leverage"]), float(intent["mmr"])) == (leverage, mmr)
        assert float(intent["notional"]) == pytest.approx(1_000.0) and int(intent["qty_lots"]) == 100


def test_nav_peak_and_drawdown_follow_the_mark() -> None:
    scene = play(flat(n=4), {1: NOW})
    account, market = scene.core["account"], scene.core["market"][0]
    wallet = int(account["wallet_e8"]) / 1e8
    for mark, drawdown in ((1_100.0, 0.0), (1_050.0, 50.0), (1_200.0, 0.0), (900.0, 300.0)):
        market["mark"] = mark
        mark_account_nb(scene.core)
        assert float(account["nav"]) == pytest.approx(wallet + mark - 1_000.1)
        assert float(account["drawdown_pct"]) == pytest.approx(drawdown / float(account["peak_nav"]))
    assert float(account["peak_nav"]) == pytest.approx(wallet + 199.9)
    assert float(account["max_drawdown_pct"]) == pytest.approx(300.0 / (wallet + 199.9))
