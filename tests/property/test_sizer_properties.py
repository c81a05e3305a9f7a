"""Properties P15 to P19 of the sizer: what it returns always passes the gate, and is the largest that does."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.decision.risk_gate import CONTEXT_INPUTS, account, intent, limits, missing_inputs, record
from simcore.decision.sizer import minimum_lots_nb, size_lots_nb, suggest_gross_usd, suggest_gross_usd_nb
from simcore.domain.enums import Clamp, SizeMethod, Veto
from simcore.domain.records import MARKET, POLICY, SIGNAL, SIZING
from tests.oracle import sizer as oracle
from tests.oracle.risk_gate import exact
from tests.property.gate_states import (
    CAPS,
    NOW,
    RANGES,
    SIZE_VETOES,
    Digits,
    accounts,
    changed,
    limit_sets,
    orders,
    verdict,
    vetoes,
)

pytestmark = pytest.mark.jitless
THOROUGH = settings(max_examples=1_000)
STEP_SIZE = 0.001
PLENTY = 1e15


def sized(order: Any, books: Any, rules: Any, usd: float, volume: float = PLENTY, share: float = 1.0) -> tuple[int, Clamp]:
    lots, clamp = size_lots_nb(order, books, rules, float(usd), float(volume), float(share), STEP_SIZE)
    return int(lots), Clamp(int(clamp))


def amounts() -> st.SearchStrategy[float]:
    return st.integers(0, 40_000).map(lambda n: n / 4)


def worth(order: Any, lots: int) -> float:
    return float(lots) * float(order["price_ticks"]) * float(order["unit_e8"]) * 1e-8


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts())
def test_p15_what_the_sizer_returns_breaks_no_size_limit_of_the_gate(order, books, rules, usd) -> None:
    lots, _ = sized(order, books, rules, usd)
    if lots == 0:
        return
    found = vetoes(verdict(changed(order, qty_lots=lots), books, rules))
    assert not found & {*SIZE_VETOES, Veto.CONTEXT_MISSING, Veto.MIN_NOTIONAL, Veto.QTY_FILTER}
    # In a state that no size could change, the gate accepts.
    able = changed(order, qty_lots=lots, trading=1, new_position=0, market_ts_ns=NOW, mark=order["mark"])
    calm = changed(books, kill_switch=0, nav_ts_ns=NOW, orders_in_minute=0, day_loss_pct=0.0, drawdown_pct=0.0)
    open_state = {name: limits()[name] for name in ("max_orders_per_minute", "price_collar_pct")}
    assert verdict(able, calm, changed(rules, **open_state)) == 0


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts())
def test_p15_one_step_more_would_break_the_limit_that_the_clamp_names(order, books, rules, usd) -> None:
    lots, clamp = sized(order, books, rules, usd)
    if lots == 0 or clamp in (Clamp.PARTICIPATION, Clamp.MAX_QTY):
        return
    more = lots + int(order["step_lots"])
    if clamp == Clamp.NONE:
        assert worth(order, more) > usd
    else:
        found = vetoes(verdict(changed(order, qty_lots=more), books, rules)) & set(SIZE_VETOES)
        assert worth(order, more) <= usd
        assert any(clamp.name.removesuffix("_NAV") in veto.name for veto in found)


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts())
def test_p16_sizing_the_result_again_returns_it(order, books, rules, usd) -> None:
    lots, _ = sized(order, books, rules, usd)
    assert sized(order, books, rules, worth(order, lots))[0] == lots


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts(), st.integers(0, 5_000), st.sampled_from([0.01, 1.0, math.nan]))
def test_p17_the_result_is_a_valid_quantity_or_nothing_and_never_rounded_up(order, books, rules, usd, volume, share) -> None:
    lots, clamp = sized(order, books, rules, usd, volume, share)
    assert lots >= 0
    if lots == 0:
        return
    assert lots % order["step_lots"] == 0
    assert order["min_qty_lots"] <= lots <= order["max_qty_lots"]
    assert order["min_notional_e8"] * 1e-8 <= worth(order, lots) <= usd
    assert lots * STEP_SIZE <= volume * share * (1 + 1e-12)


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts(), st.binary(min_size=8, max_size=8))
def test_p18_more_equity_or_wider_caps_never_size_less(order, books, rules, usd, raw) -> None:
    d = Digits(raw)
    lots, _ = sized(order, books, rules, usd)
    gain = float(d.below(5_000))
    assert sized(order, changed(books, nav=books["nav"] + gain, available=books["available"] + gain), rules, usd)[0] >= lots
    name = d.of(*RANGES)
    other = d.limit(name)
    wider = max(rules[name], other) if name in CAPS else min(rules[name], other)
    assert sized(order, books, changed(rules, **{name: wider}), usd)[0] >= lots
    assert sized(order, books, rules, usd + gain)[0] >= lots
    assert sized(changed(order, gross=order["gross"] + gain), books, rules, usd)[0] <= lots


@st.composite
def wishes(draw: Any) -> tuple[Any, Any, Any, Any, Any, float]:
    d = Digits(draw(st.binary(min_size=24, max_size=24)))
    price = 1.0 + d.below(60_000) / 7
    sizing = record(
        SIZING,
        {},
        {
            "method": d.below(4), "fraction": d.below(200) / 1000, "target_sigma_day": d.below(100) / 1000,
            "risk_per_trade_pct": d.below(50) / 1000, "kelly_fraction": d.below(26) / 100,
            "kelly_edge": (d.below(40) - 10) / 1000, "kelly_variance": d.below(100) / 1000, "min_stop_bps": float(d.below(100)),
        },
    )  # fmt: skip
    signal = record(SIGNAL, {}, {"side": 1, "strength": d.below(12) / 10, "stop_distance": price * d.below(100) / 1000})
    market = record(MARKET, {}, {"sigma_day": d.below(200) / 1000})
    policy = record(POLICY, {}, {"size_scale": d.below(20) / 10})
    books = account(nav=float(d.below(20_000)), reserve_nav=float(d.below(3) * 500))
    return sizing, signal, market, policy, books, price


@THOROUGH
@given(wishes(), st.binary(min_size=8, max_size=8))
def test_p18_the_suggestion_rises_with_nav_and_scale_and_falls_with_volatility_and_stop_distance(wish, raw) -> None:
    sizing, signal, market, policy, books, price = wish
    d = Digits(raw)
    more = d.below(1_000) / 100

    def usd(signal=signal, market=market, policy=policy, books=books) -> float:
        return suggest_gross_usd_nb(sizing, signal, market, policy, books, price)

    now = usd()
    assert usd(books=changed(books, nav=books["nav"] + more)) >= now
    assert usd(policy=changed(policy, size_scale=policy["size_scale"] + more)) >= now
    assert usd(signal=changed(signal, strength=signal["strength"] + more)) >= now
    if market["sigma_day"] > 0:
        assert usd(market=changed(market, sigma_day=market["sigma_day"] + more)) <= now
    if signal["stop_distance"] > 0:
        assert usd(signal=changed(signal, stop_distance=signal["stop_distance"] + more)) <= now


@THOROUGH
@given(wishes())
def test_the_suggestion_is_what_the_method_says(wish) -> None:
    sizing, signal, market, policy, books, price = wish
    rows = [{name: row[name].item() for name in row.dtype.names} for row in (sizing, signal, market, policy, books)]
    usd, detail = suggest_gross_usd(*wish)
    assert usd == pytest.approx(oracle.suggest(*rows, price), rel=1e-12)
    assert detail["clamp"] == ("none" if usd > 0 else "no_risk_input")
    assert detail["method"] == SizeMethod(sizing["method"]).name.lower()


# What each method reads, by its place in the arguments of `suggest_gross_usd`.
READS = {
    SizeMethod.FIXED_FRACTION: ((0, "fraction"),),
    SizeMethod.VOLATILITY_TARGET: ((0, "fraction"), (0, "target_sigma_day"), (2, "sigma_day")),
    SizeMethod.RISK_PER_TRADE: ((0, "risk_per_trade_pct"), (0, "min_stop_bps"), (1, "stop_distance")),
    SizeMethod.CAPPED_KELLY: ((0, "kelly_fraction"), (0, "kelly_edge"), (0, "kelly_variance")),
}
ALWAYS_READ = ((1, "strength"), (3, "size_scale"), (4, "nav"), (4, "reserve_nav"))


@THOROUGH
@given(wishes())
def test_a_missing_number_never_makes_a_size(wish) -> None:
    method = SizeMethod(int(wish[0]["method"]))
    for part, name in (*READS[method], *ALWAYS_READ):
        spoilt = list(wish)
        spoilt[part] = changed(wish[part], **{name: math.nan})
        assert suggest_gross_usd_nb(*spoilt) == 0.0
    if method == SizeMethod.RISK_PER_TRADE:
        assert suggest_gross_usd_nb(*wish[:5], math.nan) == 0.0


@THOROUGH
@given(orders(), accounts(), limit_sets(), amounts(), st.sampled_from([1.0, 2.0, 7.0, 125.0]))
def test_p19_leverage_alone_never_changes_the_quantity_when_caps_are_in_notional(order, books, rules, usd, leverage) -> None:
    # Caps in notional: no margin limit, and no account so small that the bracket itself bounds it.
    roomy = changed(books, available=1e12, nav=1e12, reserve_nav=0.0)
    in_notional = changed(rules, min_free_margin_pct=0.0, max_leverage=math.inf)
    base = sized(order, roomy, in_notional, usd)
    assert sized(changed(order, leverage=leverage), roomy, in_notional, usd) == base


@settings(max_examples=1_000)
@given(orders(), accounts(), limit_sets(), st.integers(1, 60), st.integers(0, 60))
def test_the_size_is_what_trying_every_step_finds(order, books, rules, steps, volume) -> None:
    # A step worth at least a few quote units, so that the oracle's walk stays short.
    step = max(1, int(3.0 / worth(order, 1)))
    order = changed(order, step_lots=step, min_qty_lots=step, qty_lots=step, max_qty_lots=50 * step)
    if missing_inputs(order, books, rules):
        return
    usd, most = worth(order, step) * steps * 1.01, volume * step * STEP_SIZE * 1.01
    lots, _ = sized(order, books, rules, usd, most, 1.0)
    expected, close = oracle.size_lots(exact(order), exact(books), exact(rules), usd, most, STEP_SIZE, NOW)
    assert lots == expected or close


def test_the_clamps_by_name() -> None:
    order, books = intent(), account(nav=1_000.0)
    assert sized(order, books, limits(max_trade_nav_pct=0.05), 500.0) == (500, Clamp.TRADE_NAV)
    assert sized(order, books, limits(max_order_notional=42.0), 500.0) == (420, Clamp.ORDER_NOTIONAL)
    assert sized(changed(order, symbol_gross=70.0), books, limits(max_symbol_nav_pct=0.1), 500.0) == (300, Clamp.SYMBOL_NAV)
    assert sized(changed(order, tier_gross=70.0), books, limits(max_tier_nav_pct=0.1), 500.0) == (300, Clamp.TIER_NAV)
    assert sized(changed(order, strategy_gross=70.0), books, limits(max_strategy_nav_pct=0.1), 500.0) == (300, Clamp.STRATEGY_NAV)
    assert sized(changed(order, gross=70.0), books, limits(max_gross_nav_pct=0.1), 500.0) == (300, Clamp.GROSS_NAV)
    assert sized(changed(order, net=70.0), books, limits(max_net_nav_pct=0.1), 500.0) == (300, Clamp.NET_NAV)
    assert sized(changed(order, net=-70.0), books, limits(max_net_nav_pct=0.1), 500.0) == (1_700, Clamp.NET_NAV)
    assert sized(changed(order, gross=700.0), books, limits(max_leverage=1.0), 500.0) == (3_000, Clamp.LEVERAGE)
    assert sized(changed(order, leverage=2.0), books, limits(min_free_margin_pct=0.9), 500.0) == (2_000, Clamp.FREE_MARGIN)
    wide = limits(min_liquidation_distance_pct=0.5)
    assert sized(changed(order, gross=1_980.0, mmr=0.0), books, wide, 500.0) == (200, Clamp.LIQUIDATION_DISTANCE)
    assert sized(order, books, limits(), 500.0, volume=10.0, share=0.25) == (2_500, Clamp.PARTICIPATION)
    assert sized(changed(order, max_qty_lots=777), books, limits(), 500.0) == (777, Clamp.MAX_QTY)
    assert sized(order, books, limits(), 500.0) == (5_000, Clamp.NONE)
    assert sized(order, books, limits(), 4.99) == (0, Clamp.BELOW_MINIMUM)
    assert sized(order, books, limits(max_trade_nav_pct=0.004), 500.0) == (0, Clamp.TRADE_NAV)
    assert sized(order, books, limits(), 0.0) == sized(order, books, limits(), math.nan) == (0, Clamp.NO_RISK_INPUT)
    assert sized(order, books, limits(), 500.0, volume=math.nan) == (0, Clamp.PARTICIPATION)


def test_the_smallest_order_meets_step_quantity_and_notional() -> None:
    assert minimum_lots_nb(intent(min_notional_e8=5 * 10**8)) == 50
    assert minimum_lots_nb(intent(min_notional_e8=5 * 10**8, step_lots=7)) == 56
    assert minimum_lots_nb(intent(min_notional_e8=0, min_qty_lots=15, step_lots=10)) == 20
    assert minimum_lots_nb(intent(min_notional_e8=0, min_qty_lots=0, step_lots=10)) == 10
    assert minimum_lots_nb(intent(min_notional_e8=5 * 10**8, max_qty_lots=49)) == 0


def test_every_context_bit_has_a_name() -> None:
    spoilt = {
        "account.known": account(known=0), "account.nav": account(nav=math.nan), "account.reserve_nav": account(reserve_nav=-1.0),
        "account.available": account(available=math.inf), "account.maintenance_margin": account(maintenance_margin=-1.0),
        "account.day_loss_pct": account(day_loss_pct=math.nan), "account.drawdown_pct": account(drawdown_pct=math.nan),
        "account.orders_in_minute": account(orders_in_minute=-1), "account figures": account(upnl=math.nan, peak_nav=1.0),
    }  # fmt: skip
    for name, books in spoilt.items():
        assert name in missing_inputs(intent(), books, limits())
    wrong = {
        **dict.fromkeys(("side", "qty_lots", "price_ticks", "unit_e8", "price", "leverage", "step_lots", "max_qty_lots"), 0),
        **dict.fromkeys(("tier", "new_position", "open_positions", "tier_positions", "strategy_positions"), -1),
        **dict.fromkeys(("min_qty_lots", "min_notional_e8", "reducible_lots", "symbol_gross", "mmr"), -1),
        **dict.fromkeys(("mark", "tier_gross", "strategy_gross", "net", "stop_distance"), math.nan),
        "reduce_only": 2, "crosses_zero": 2, "notional": 61.0, "gross": math.inf,
    }  # fmt: skip
    for name, value in wrong.items():
        order = intent(qty_lots=600)
        order[name] = value
        assert f"intent.{name}" in missing_inputs(order, account(), limits())
    for name in ("min_free_margin_pct", "min_liquidation_distance_pct"):
        assert missing_inputs(intent(), account(), limits(**{name: -0.1})) == [f"limits.{name}"]
    assert len(spoilt) + len(wrong) + 2 == len(CONTEXT_INPUTS)
