"""Properties P1 to P12 of the risk gate, over generated states and against an oracle in exact fractions."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.decision.risk_gate import account, check_order, check_order_nb, headroom_usd_nb, intent, limits
from simcore.decision.sizer import size_lots_nb
from simcore.domain.enums import Veto
from simcore.domain.records import ACCOUNT, INTENT, LIMITS, N_VETOES
from tests.oracle.risk_gate import build, exact, judge
from tests.property.gate_states import (
    CAPS,
    NOW,
    RANGES,
    SIZE_VETOES,
    Digits,
    S,
    accounts,
    changed,
    checks,
    limit_sets,
    orders,
    verdict,
    vetoes,
)

pytestmark = pytest.mark.jitless
THOROUGH = settings(max_examples=1_000)
ENTRY_LIMITS = set(Veto) - {Veto.NONE, Veto.CONTEXT_MISSING, Veto.QTY_FILTER, Veto.REDUCE_ONLY}
SPECIALS = (math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.8e308, -1.0, 1.0, 1e-9)
EXTREMES = (-(2**63), 2**63 - 1, -1, 0, 1, 2, 2**62, 2**53 + 1)


def exact_masks(order, books, rules, now=NOW) -> tuple[int, int]:
    return judge(exact(order), exact(books), exact(rules), now)


@THOROUGH
@given(orders(), accounts(), limit_sets())
def test_p01_an_order_that_passes_never_exceeds_a_cap_with_the_rounded_quantity(order, books, rules) -> None:
    # A cap that the gate did not name holds after the order, in exact arithmetic from the lots themselves.
    mask = verdict(order, books, rules)
    if mask & 1 << Veto.CONTEXT_MISSING:
        return
    o, a, r = exact(order), exact(books), exact(rules)
    notional = o["qty_lots"] * o["price_ticks"] * o["unit_e8"] / 10**8
    tradable = max(Fraction(0), a["nav"] - a["reserve_nav"])
    after = {
        Veto.MAX_ORDER_NOTIONAL: (notional, r["max_order_notional"]),
        Veto.MAX_TRADE_NAV_PCT: (notional, r["max_trade_nav_pct"] * tradable),
        Veto.MAX_SYMBOL_NAV_PCT: (o["symbol_gross"] + notional, r["max_symbol_nav_pct"] * tradable),
        Veto.MAX_TIER_NAV_PCT: (o["tier_gross"] + notional, r["max_tier_nav_pct"] * tradable),
        Veto.MAX_STRATEGY_NAV_PCT: (o["strategy_gross"] + notional, r["max_strategy_nav_pct"] * tradable),
        Veto.MAX_GROSS_NAV_PCT: (o["gross"] + notional, r["max_gross_nav_pct"] * tradable),
        Veto.MAX_NET_NAV_PCT: (abs(o["net"] + o["side"] * notional), r["max_net_nav_pct"] * tradable),
        Veto.MAX_LEVERAGE: (o["gross"] + notional, r["max_leverage"] * a["nav"]),
    }
    for veto, (value, cap) in after.items():
        if not mask & 1 << veto and cap == cap:
            assert value <= cap * (1 + 1e-12), veto


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(1, 20_000))
def test_p02_lower_equity_never_turns_a_veto_into_a_pass(order, books, rules, loss) -> None:
    poorer = changed(books, nav=books["nav"] - loss, available=books["available"] - loss)
    assert vetoes(verdict(order, books, rules)) <= vetoes(verdict(order, poorer, rules))
    for broken in (0.0, -1.0, math.nan, math.inf):
        assert verdict(order, changed(books, nav=broken), rules)
    assert Veto.NAV_STALE in vetoes(verdict(order, changed(books, nav_ts_ns=NOW - 10 * S), limits(nav_max_age_ns=9 * S)))


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(1, 999))
def test_p03_what_may_go_may_go_smaller(order, books, rules, share) -> None:
    smaller = int(order["qty_lots"]) * share // 1000 // int(order["step_lots"]) * int(order["step_lots"])
    if smaller >= order["min_qty_lots"]:
        below = vetoes(verdict(changed(order, qty_lots=smaller), books, rules)) - {Veto.MIN_NOTIONAL}
        assert below <= vetoes(verdict(order, books, rules))


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.data())
def test_p04_more_exposure_or_a_tighter_limit_never_turns_a_veto_into_a_pass(order, books, rules, data) -> None:
    before = vetoes(verdict(order, books, rules))
    more = data.draw(st.integers(1, 5_000)) / 4
    for name in (
        "symbol_gross",
        "tier_gross",
        "strategy_gross",
        "gross",
        "open_positions",
        "tier_positions",
        "strategy_positions",
    ):
        assert before <= vetoes(verdict(changed(order, **{name: order[name] + more}), books, rules)), name
    further = changed(order, net=order["net"] + (more if order["net"] >= 0 else -more))
    if order["net"] * order["side"] >= 0:
        assert before <= vetoes(verdict(further, books, rules))
    assert before <= vetoes(verdict(order, changed(books, orders_in_minute=books["orders_in_minute"] + 1), rules))
    assert before <= vetoes(verdict(order, changed(books, maintenance_margin=books["maintenance_margin"] + more), rules))
    digits = Digits(data.draw(st.binary(min_size=4, max_size=4)))
    name = digits.of(*RANGES)
    other = digits.limit(name)
    tighter = min(rules[name], other) if name in CAPS else max(rules[name], other)
    assert before <= vetoes(verdict(order, books, changed(rules, **{name: tighter})))


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(0, 3), st.sampled_from([math.nan, 0.0, -5.0, 1e9]))
def test_p05_an_exit_is_never_held_back_by_entry_limits(order, books, rules, spare, nav) -> None:
    order = changed(order, max_qty_lots=10**15, min_qty_lots=order["step_lots"])
    held = float(order["qty_lots"] + spare)
    leave = changed(order, reduce_only=1, reducible_lots=held, gross=1e12, symbol_gross=math.nan, open_positions=-1, trading=0)
    locked = changed(books, nav=nav, kill_switch=21, known=0, drawdown_pct=1.0, nav_ts_ns=0)
    assert verdict(leave, locked, rules) == 0
    # Resting reducers take from what may still be reduced: beyond it the order is no exit.
    assert vetoes(verdict(changed(leave, reducible_lots=order["qty_lots"] - 1.0), locked, rules)) == {Veto.REDUCE_ONLY}


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(1, 999))
def test_p05_crossing_zero_is_judged_as_close_and_open(order, books, rules, share) -> None:
    closing = max(1, int(order["qty_lots"]) * share // 1000)
    opening = int(order["qty_lots"]) - closing
    crossing = changed(order, crosses_zero=1, reducible_lots=float(closing))
    if opening < 1:
        return
    one = float(order["price_ticks"]) * float(order["unit_e8"]) * 1e-8
    opens = changed(order, qty_lots=opening, net=order["net"] + order["side"] * closing * one)
    judged, alone = vetoes(verdict(crossing, books, rules)), vetoes(verdict(opens, books, rules))
    close = vetoes(exact_masks(opens, books, rules)[1])
    alone -= {Veto.MIN_NOTIONAL, Veto.QTY_FILTER, Veto.MAX_NET_NAV_PCT} | close
    assert alone <= judged
    # Nothing but the net it passes through can refuse it beyond what refuses the opening part.
    assert judged - close - {Veto.MIN_NOTIONAL, Veto.QTY_FILTER, Veto.MAX_NET_NAV_PCT} <= alone


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.data())
def test_p06_every_bit_pattern_gets_an_answer_and_nan_is_a_veto(order, books, rules, data) -> None:
    rows = {"order": order, "books": books, "rules": rules}
    for _ in range(data.draw(st.integers(1, 4))):
        row = rows[data.draw(st.sampled_from(sorted(rows)))]
        name = data.draw(st.sampled_from(row.dtype.names))
        row[name] = data.draw(st.sampled_from(SPECIALS if row.dtype[name].kind == "f" else EXTREMES))
    now = data.draw(st.sampled_from((NOW, *EXTREMES)))
    mask = verdict(order, books, rules, now)
    assert 0 <= mask < 2**26
    veto, detail = check_order(order, books, rules, now)
    assert veto == (mask != 0) == (len(detail["failing"]) > 0)
    spoilt = any(math.isnan(row[name]) for row in rows.values() for name in row.dtype.names if row.dtype[name].kind == "f")
    if spoilt and not (order["reduce_only"] == 1 and order["crosses_zero"] == 0):
        assert mask != 0


@THOROUGH
@given(st.integers(0, 2**63 - 1))
def test_p06_noise_is_never_an_order(seed) -> None:
    noise = np.random.default_rng(seed)
    order, books, rules = (np.frombuffer(noise.bytes(layout.itemsize), layout)[0] for layout in (INTENT, ACCOUNT, LIMITS))
    assert verdict(order, books, rules, int(noise.integers(-(2**63), 2**63))) != 0


@THOROUGH
@given(orders(), accounts(), limit_sets(), orders())
def test_p07_the_answer_depends_on_the_input_alone_and_leaves_it_untouched(order, books, rules, other) -> None:
    before = order.tobytes(), books.tobytes(), rules.tobytes()
    seen = checks()
    first = check_order_nb(order, books, rules, NOW, seen)
    verdict(other, books, rules)
    again = checks()
    assert check_order_nb(order, books, rules, NOW, again) == first
    assert seen.tobytes() == again.tobytes()
    assert before == (order.tobytes(), books.tobytes(), rules.tobytes())


@THOROUGH
@given(orders(), accounts(), limit_sets())
def test_p08_every_broken_limit_is_named_with_its_numbers_and_its_source(order, books, rules) -> None:
    broken, close = exact_masks(order, books, rules)
    veto, detail = check_order(order, books, rules, NOW)
    named = {Veto(entry["code"]) for entry in detail["failing"]}
    if broken & 1 << Veto.CONTEXT_MISSING:
        assert Veto.CONTEXT_MISSING in named
    else:
        assert named - vetoes(close) == vetoes(broken & ~close)
    assert veto == bool(detail["failing"])
    for entry in detail["failing"]:
        assert entry["reason"] == entry["key"] == Veto(entry["code"]).name.lower()
        assert not math.isnan(entry["cap"]) and entry["source"]
    assert [entry["code"] for entry in detail["failing"]] == sorted(named)
    assert detail["code"] == (min(named) if named else 0)


@THOROUGH
@given(
    accounts(), limit_sets(), st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1, -1]), st.integers(1, 2_000)), max_size=8)
)
def test_p09_what_is_reserved_is_not_spent_twice(books, rules, wishes) -> None:
    # Orders one after the other, each accepted one pending; three symbols, two tiers, one strategy.
    books = changed(books, orders_in_minute=0)
    accepted: list[tuple[int, int, float]] = []
    free = float(books["available"])
    for symbol, side, usd in wishes:
        gross = sum(n for _, _, n in accepted)
        same_side = sum(n for _, s, n in accepted if s == side)
        order = intent(
            notional=float(usd), side=side, leverage=5.0, gross=gross, strategy_gross=gross, net=side * same_side,
            symbol_gross=sum(n for o, _, n in accepted if o == symbol),
            tier_gross=sum(n for o, _, n in accepted if o % 2 == symbol % 2),
            new_position=int(all(o != symbol for o, _, _ in accepted)), open_positions=len({o for o, _, _ in accepted}),
            tier_positions=len({o for o, _, _ in accepted if o % 2 == symbol % 2}),
            strategy_positions=len({o for o, _, _ in accepted}), market_ts_ns=NOW,
        )  # fmt: skip
        if verdict(order, books, rules) == 0:
            accepted.append((symbol, side, float(usd)))
            books = changed(books, available=books["available"] - usd / 5.0, orders_in_minute=books["orders_in_minute"] + 1)
    if not accepted:
        return
    tradable, ok = max(0.0, books["nav"] - books["reserve_nav"]), 1 + 1e-9
    gross = sum(n for _, _, n in accepted)
    assert gross <= ok * rules["max_gross_nav_pct"] * tradable
    assert gross <= ok * rules["max_leverage"] * books["nav"]
    assert len({o for o, _, _ in accepted}) <= rules["max_concurrent_positions"]
    assert len(accepted) <= rules["max_orders_per_minute"]
    for symbol in range(3):
        assert sum(n for o, _, n in accepted if o == symbol) <= ok * rules["max_symbol_nav_pct"] * tradable
        assert sum(n for o, _, n in accepted if o % 2 == symbol % 2) <= ok * rules["max_tier_nav_pct"] * tradable
        assert len({o for o, _, _ in accepted if o % 2 == symbol % 2}) <= rules["max_tier_positions"]
    for side in (1, -1):
        assert sum(n for _, s, n in accepted if s == side) <= ok * rules["max_net_nav_pct"] * tradable
    assert free - gross / 5.0 + 1e-6 >= rules["min_free_margin_pct"] * books["nav"]


@THOROUGH
@given(orders(), accounts(), limit_sets())
def test_p10_the_mirrored_order_in_the_mirrored_book_gets_the_mirrored_answer(order, books, rules) -> None:
    mirrored = changed(order, side=-order["side"], net=-order["net"], mark=2 * order["price"] - order["mark"])
    # A collar is a ratio to the mark: only there does up differ from down.
    close = vetoes(exact_masks(order, books, rules)[1]) | {Veto.PRICE_COLLAR_PCT}
    assert vetoes(verdict(mirrored, books, rules)) - close == vetoes(verdict(order, books, rules)) - close


@THOROUGH
@given(orders(), accounts(), limit_sets(), st.integers(2, 1_000))
def test_p11_there_is_no_hidden_absolute_constant(order, books, rules, k) -> None:
    size = {name: order[name] * k for name in ("symbol_gross", "tier_gross", "strategy_gross", "gross", "net", "reducible_lots")}
    filters = {name: order[name] * k for name in ("step_lots", "min_qty_lots", "max_qty_lots", "min_notional_e8")}
    larger = changed(order, qty_lots=order["qty_lots"] * k, **size, **filters)
    money = ("nav", "available", "maintenance_margin", "reserve_nav", "initial_margin", "peak_nav", "day_start_nav")
    richer = changed(books, **{name: books[name] * k for name in money})
    close = vetoes(exact_masks(order, books, rules)[1])
    wider = changed(rules, max_order_notional=rules["max_order_notional"] * k)
    assert vetoes(verdict(larger, richer, wider)) - close == vetoes(verdict(order, books, rules)) - close


@THOROUGH
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=4),
    st.sampled_from([1, -1]),
    st.integers(5, 500),
)
def test_p12_hedge_legs_add_up_in_gross_and_offset_in_net(legs, side, usd) -> None:
    # One (long, short) pair of legs a symbol, in quote units; the order goes to the first symbol.
    gross, net = float(sum(a + b for a, b in legs)), float(sum(a - b for a, b in legs))
    order = intent(
        side=side,
        notional=float(usd),
        gross=gross,
        net=net,
        symbol_gross=float(sum(legs[0])),
        tier_gross=gross,
        strategy_gross=gross,
    )
    seen = checks()
    check_order_nb(order, account(nav_ts_ns=0), limits(), 0, seen)
    longs, shorts = sum(a for a, _ in legs) + usd * (side > 0), sum(b for _, b in legs) + usd * (side < 0)
    assert seen[Veto.MAX_GROSS_NAV_PCT, 0] == longs + shorts
    assert seen[Veto.MAX_NET_NAV_PCT, 0] == max(abs(net), abs(longs - shorts))
    # The opposite leg frees nothing: a cap at today's gross refuses either side.
    assert Veto.MAX_GROSS_NAV_PCT in vetoes(verdict(order, account(), limits(max_gross_nav_pct=gross / 10_000.0), 0))


@THOROUGH
@given(orders(), accounts(), limit_sets())
def test_headroom_is_where_the_size_limits_of_the_gate_turn(order, books, rules) -> None:
    # Asked with one lot worth exactly the amount: just below the headroom no size limit fails, just above one does.
    room, clamp = headroom_usd_nb(order, books, rules)
    size = set(SIZE_VETOES)
    small = changed(order, price_ticks=1, unit_e8=1, step_lots=1, min_qty_lots=0)
    inside, outside = int(min(room, 1e9) * (1 - 1e-9) * 1e8), int(min(room, 1e9) * (1 + 1e-9) * 1e8) + 1
    if inside >= 1 and room > 1e-6:
        assert not size & vetoes(verdict(changed(small, qty_lots=inside), books, rules))
    if room < 1e9:
        assert clamp != 0
        assert size & vetoes(verdict(changed(small, qty_lots=outside), books, rules))


def test_the_generated_states_decide_every_limit_both_ways() -> None:
    seen: Counter = Counter()

    @settings(max_examples=2_000, database=None, derandomize=True)
    @given(orders(), accounts(), limit_sets())
    def run(order, books, rules) -> None:
        found = vetoes(verdict(order, books, rules))
        seen.update(found)
        seen["all"] += 1
        seen["accepted"] += not found

    run()
    assert seen["accepted"] > 0.02 * seen["all"]
    rare = {veto: seen[veto] for veto in ENTRY_LIMITS if not 5 <= seen[veto] <= 0.9 * seen["all"]}
    assert not rare


# ---------------------------------------------------------------- compiled against uncompiled, and the long campaign


def random_masks(seed: int, cases: int) -> str:
    """The hash of verdicts and numbers over states of specials, extremes and noise."""
    noise = np.random.default_rng(seed)
    digest = hashlib.sha256()
    for _ in range(cases):
        rows = [intent(market_ts_ns=0), account(), limits()]
        for _ in range(int(noise.integers(0, 5))):
            row = rows[int(noise.integers(0, 3))]
            name = row.dtype.names[int(noise.integers(0, len(row.dtype.names)))]
            row[name] = (
                SPECIALS[int(noise.integers(0, 10))] if row.dtype[name].kind == "f" else EXTREMES[int(noise.integers(0, 8))]
            )
        seen = checks()
        mask = int(check_order_nb(*rows, 0, seen))
        room, clamp = headroom_usd_nb(*rows)
        lots, bound = size_lots_nb(*rows, 1_234.5, 1e12, 1.0, 0.001)
        digest.update(
            repr((mask, float(room), int(clamp), int(lots), int(bound))).encode() + np.nan_to_num(seen, nan=-7.0).tobytes()
        )
    return digest.hexdigest()


def test_compiled_and_uncompiled_give_the_same_bytes() -> None:
    code = "from tests.property.test_gate_properties import random_masks; print(random_masks(5, 1500))"
    digests = set()
    for disabled in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(sys.path)}
        digests.add(
            subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout.strip()
        )
    assert len(digests) == 1 and len(digests.pop()) == 64


@pytest.mark.campaign
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="ten million cases need the compiler")
def test_campaign_gate_and_oracle_agree_on_ten_million_orders() -> None:
    from numba import njit

    oracle = build(njit)

    @njit
    def draw(state, most):
        state[0] ^= (state[0] << np.uint64(13)) & np.uint64(0xFFFFFFFFFFFFFFFF)
        state[0] ^= state[0] >> np.uint64(7)
        state[0] ^= state[0] << np.uint64(17)
        return np.int64(state[0] >> np.uint64(11)) % most

    @njit
    def scramble(o, a, r, s):
        o["price_ticks"] = 50 + draw(s, 5_000_000)
        o["unit_e8"] = 1 + 999 * draw(s, 2)
        o["step_lots"] = 1 + draw(s, 3)
        o["qty_lots"] = o["step_lots"] * (1 + int(draw(s, 4_000) / (o["price_ticks"] * o["unit_e8"] * 1e-8) / o["step_lots"])) + (
            draw(s, 40) == 0
        )
        o["notional"] = float(o["qty_lots"]) * o["price_ticks"] * o["unit_e8"] * 1e-8 * (1.01 if draw(s, 60) == 0 else 1.0)
        o["price"] = o["price_ticks"] / 100.0
        o["mark"] = o["price"] * (0.97 + draw(s, 61) / 1000.0)
        o["side"] = 1 - 2 * draw(s, 2)
        o["reduce_only"] = draw(s, 20) == 0
        o["crosses_zero"] = draw(s, 10) == 0
        o["reducible_lots"] = float(draw(s, 2 * o["qty_lots"]))
        o["new_position"] = draw(s, 2)
        o["symbol_gross"] = float(draw(s, 2_000))
        o["tier_gross"] = o["symbol_gross"] + draw(s, 2_000)
        o["strategy_gross"] = float(draw(s, 4_000))
        o["gross"] = o["tier_gross"] + draw(s, 4_000)
        o["net"] = o["gross"] * (draw(s, 17) - 8) / 8.0
        o["leverage"] = float(1 + draw(s, 20))
        o["mmr"] = draw(s, 10) / 200.0
        o["open_positions"] = draw(s, 60) - 1 if draw(s, 10) == 0 else draw(s, 5)
        o["tier_positions"] = draw(s, 5)
        o["strategy_positions"] = draw(s, 5)
        o["min_notional_e8"] = 500_000_000 * draw(s, 21)
        o["trading"] = draw(s, 30) > 0
        o["market_ts_ns"] = NOW - S * draw(s, 6)
        a["nav"] = float(draw(s, 20_000)) if draw(s, 50) > 0 else np.nan
        a["available"] = a["nav"] * (1.0 - draw(s, 5) / 4.0)
        a["maintenance_margin"] = float(draw(s, 2_000))
        a["reserve_nav"] = float(draw(s, 4) * 50)
        a["day_loss_pct"] = draw(s, 80) / 1000.0
        a["drawdown_pct"] = draw(s, 300) / 1000.0
        a["kill_switch"] = 21 * (draw(s, 30) == 0)
        a["orders_in_minute"] = draw(s, 8)
        a["nav_ts_ns"] = NOW - S * draw(s, 6)
        a["known"] = draw(s, 50) > 0
        r["nav_max_age_ns"] = r["market_max_age_ns"] = S * (2 + draw(s, 8))
        r["max_concurrent_positions"] = 1 + draw(s, 8)
        r["max_tier_positions"] = 1 + draw(s, 8)
        r["max_strategy_positions"] = 1 + draw(s, 8)
        r["max_orders_per_minute"] = 1 + draw(s, 20)
        r["max_order_notional"] = 1.0 + draw(s, 8_000)
        r["max_trade_nav_pct"] = draw(s, 1_500) / 1000.0
        r["max_symbol_nav_pct"] = draw(s, 2_000) / 1000.0
        r["max_tier_nav_pct"] = draw(s, 3_000) / 1000.0
        r["max_strategy_nav_pct"] = draw(s, 3_000) / 1000.0
        r["max_gross_nav_pct"] = draw(s, 6_000) / 1000.0
        r["max_net_nav_pct"] = draw(s, 4_000) / 1000.0
        r["max_leverage"] = draw(s, 80) / 10.0
        r["min_free_margin_pct"] = draw(s, 400) / 1000.0 if draw(s, 50) > 0 else -1.0
        r["min_liquidation_distance_pct"] = draw(s, 400) / 1000.0
        r["max_daily_loss_pct"] = draw(s, 200) / 1000.0
        r["max_drawdown_pct"] = draw(s, 900) / 1000.0
        r["price_collar_pct"] = draw(s, 60) / 1000.0

    @njit
    def campaign(o, a, r, s, cases, seen):
        wrong = accepted = undecided = 0
        for _ in range(cases):
            scramble(o, a, r, s)
            mask = check_order_nb(o, a, r, NOW, seen)
            broken, close = oracle(o, a, r, NOW)
            context = 1 << Veto.CONTEXT_MISSING
            if broken & context:
                wrong += mask & context == 0
            else:
                wrong += mask & ~close != broken & ~close
            undecided += close != 0
            accepted += mask == 0
        return wrong, accepted, undecided

    state = np.array([88172645463325252], np.uint64)
    wrong, accepted, undecided = campaign(intent(), account(), limits(), state, 10_000_000, np.zeros((N_VETOES, 2)))
    print(f"10,000,000 orders: {accepted} accepted, {undecided} within rounding of a limit, {wrong} verdicts differ")
    assert wrong == 0
    assert accepted > 1_000
    assert undecided < 500_000
