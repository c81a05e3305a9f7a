"""Margin P40: an account is taken over exactly when balance no longer exceeds maintenance, at the price foretold."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL
from simcore.domain.instrument import write_brackets
from simcore.domain.records import ACCOUNT, INSTRUMENT, POSITION
from simcore.engine.account import absorb_deficit_nb, apply_fill_nb, apply_transfer_nb, mark_position_nb, wallet_identity_nb
from simcore.engine.margin import (
    Leg,
    cost_to_open_nb,
    initial_margin_nb,
    liquidation_price,
    liquidation_roots_nb,
    maintenance_nb,
    max_leverage_nb,
    must_liquidate_nb,
)
from tests.oracle import margin as oracle

pytestmark = pytest.mark.jitless


def table_of(seed):
    """An exchange-like table, rising floors and rates with falling leverage, as a record and as the oracle's brackets."""
    chance = random.Random(seed)
    floors = [0, *sorted(chance.sample(range(1, 2_000), chance.randrange(8)))]
    rates = sorted(chance.sample(range(40, 5_000), len(floors)))
    brackets = [(Fraction(floor * 1_000), Fraction(rate, 10_000)) for floor, rate in zip(floors, rates, strict=True)]
    rows, cum, last = [], Fraction(0), Fraction(0)
    for floor, rate in brackets:
        cum, last = cum + floor * (rate - last), rate
        rows.append(
            {
                "notionalFloor": int(floor),
                "maintMarginRatio": float(rate),
                "cum": float(cum),
                "initialLeverage": max(1, int(1 / rate / 2)),
            }
        )
    record = np.zeros(1, INSTRUMENT)[0]
    record["leverage"] = chance.randint(1, 125)
    write_brackets(record, "XUSDT", rows)
    return record, brackets


# Drawn by seed, not bracket by bracket: a thousand tables cost a second instead of ten.
tables = st.integers(0, 10**6).map(table_of)
quantities = st.integers(1, 1_000).map(lambda n: Fraction(n, 10))
prices = st.integers(1_000, 5_000_000).map(lambda n: Fraction(n, 100))
balances = st.integers(0, 10**9).map(lambda n: Fraction(n, 100))
one_leg = st.tuples(st.sampled_from([BUY, SELL]), quantities, prices).map(lambda leg: [(leg[0] * leg[1], leg[2])])
hedge = st.tuples(quantities, prices, quantities, prices).map(lambda leg: [(leg[0], leg[1]), (-leg[2], leg[3])])


@settings(max_examples=1000)
@given(tables, st.floats(0.0, 5e6), st.floats(0.0, 5e6))
def test_maintenance_is_the_sum_over_the_slices_of_the_notional(table, first, second):
    record, brackets = table
    assert maintenance_nb(record, first) == pytest.approx(
        float(oracle.maintenance(brackets, Fraction(first))), rel=1e-9, abs=1e-6
    )
    small, large = sorted((first, second))
    # each is right to a rounding error of its bracket's cum
    assert maintenance_nb(record, small) <= maintenance_nb(record, large) + 1e-6
    assert max_leverage_nb(record, small) >= max_leverage_nb(record, large)


@settings(max_examples=1000)
@given(tables, st.floats(1.0, 5e6))
def test_initial_margin_uses_the_lower_of_chosen_and_allowed_leverage(table, notional):
    record, brackets = table
    index = oracle.bracket_index(brackets, Fraction(notional))
    allowed = max(1, int(1 / brackets[index][1] / 2))
    assert initial_margin_nb(record, notional) == notional / min(allowed, record["leverage"])


@settings(max_examples=1000)
@given(tables, balances, one_leg | hedge)
def test_liquidation_prices_are_those_found_by_looking_everywhere(table, balance, legs):
    record, brackets = table
    expected = oracle.liquidation_prices(brackets, balance, legs)
    (q1, e1), (q2, e2) = (*legs, (0, 0))[:2]
    # away from the touch points where rounding decides whether a root exists
    assume(all(not math.isclose(a, b, rel_tol=1e-6) for a, b in zip(expected, expected[1:], strict=False)))
    assume(all(1e-6 < root < 1e9 for root in expected))
    found = [float(root) for root in liquidation_roots_nb(record, *map(float, (balance, q1, e1, q2, e2))) if not math.isnan(root)]
    assert found == pytest.approx([float(root) for root in expected], rel=1e-6)


@settings(max_examples=1000)
@given(tables, balances, one_leg | hedge, prices)
def test_put_back_into_the_account_the_price_leaves_balance_equal_to_maintenance(table, balance, legs, mark):
    record, brackets = table
    price = liquidation_price(record, float(balance), [Leg(float(q), float(e)) for q, e in legs], mark=float(mark))
    if price is None:
        # no positive price separates alive from dead: the account fares alike at both ends
        ends = [oracle.surplus(brackets, balance, legs, Fraction(p)) > 0 for p in (Fraction(1, 10**9), mark)]
        assert ends[0] == ends[1] or abs(oracle.surplus(brackets, balance, legs, mark)) < 1
        return
    left = oracle.surplus(brackets, balance, legs, Fraction(price))
    size = balance + sum(abs(q) * (e + Fraction(price)) for q, e in legs)
    assert abs(left) <= size / 10**9


@settings(max_examples=1000)
@given(tables, balances, one_leg)
def test_p40_an_account_dies_on_the_losing_side_of_its_liquidation_price_and_lives_on_the_other(table, balance, legs):
    record, brackets = table
    qty, entry = float(legs[0][0]), float(legs[0][1])
    price = liquidation_price(record, float(balance), [Leg(qty, entry)])
    assume(price is not None)
    for nudge, dies in ((-1e-6, qty > 0), (1e-6, qty < 0)):
        mark = price * (1.0 + nudge)
        live_balance = float(balance) + qty * (mark - entry)
        assert must_liquidate_nb(live_balance, maintenance_nb(record, abs(qty) * mark)) == dies


@settings(max_examples=1000)
@given(tables, balances, st.lists(st.tuples(one_leg, prices), min_size=1, max_size=4))
def test_p40_a_cross_account_dies_exactly_when_balance_is_below_the_sum_of_maintenance(table, wallet, held):
    record, brackets = table
    surplus = wallet
    upnl = maintenance = 0.0
    for [(qty, entry)], mark in held:
        surplus += qty * (mark - entry) - oracle.maintenance(brackets, abs(qty) * mark)
        upnl += float(qty) * (float(mark) - float(entry))
        maintenance += maintenance_nb(record, float(abs(qty) * mark))
    assume(abs(surplus) > Fraction(1, 1000))
    assert must_liquidate_nb(float(wallet) + upnl, maintenance) == (surplus < 0)


@settings(max_examples=1000)
@given(st.integers(0, 10**12), st.sampled_from([BUY, SELL]), st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_p40_after_a_liquidation_nothing_below_zero_is_left(deposit, side, qty, entry, last):
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    apply_transfer_nb(account, deposit)
    apply_fill_nb(account, position, side, qty, entry, 10_000, 0)
    apply_fill_nb(account, position, -side, qty, last, 10_000, 12_345)
    before = int(account["wallet_e8"])
    absorbed = absorb_deficit_nb(account)
    assert account["wallet_e8"] == max(0, before)
    assert absorbed == max(0, -before)
    assert wallet_identity_nb(account) == 0
    assert mark_position_nb(position, 1.0, 1.0) == 0.0


@settings(max_examples=1000)
@given(st.sampled_from([BUY, SELL]), quantities, prices, prices, st.integers(1, 125))
def test_the_cost_to_open_is_margin_plus_the_loss_at_mark(side, qty, price, mark, leverage):
    loss = max(Fraction(0), side * (price - mark) * qty)
    cost = cost_to_open_nb(side, float(qty), float(price), float(mark), float(leverage))
    assert cost == pytest.approx(float(qty * price / leverage + loss), rel=1e-9)


def test_equal_hedge_legs_are_liquidated_above_only():
    """Their value does not move with the price; their maintenance grows with it."""
    record = np.zeros(1, INSTRUMENT)[0]
    record["n_brackets"], record["bracket_mmr"][0] = 1, 0.01
    lower, upper = liquidation_roots_nb(record, 100.0, 1.0, 1000.0, -1.0, 1000.0)
    assert math.isnan(lower)
    assert upper == pytest.approx(5000.0)
    assert liquidation_price(record, 100.0, [Leg(1.0, 1000.0), Leg(-1.0, 1000.0)], mark=1000.0) == pytest.approx(5000.0)


def test_of_two_prices_the_losing_sides_is_reported():
    record = np.zeros(1, INSTRUMENT)[0]
    record["n_brackets"] = 2
    record["bracket_mmr"][:2], record["bracket_floor"][1], record["bracket_cum"][1] = (0.01, 0.5), 2000.0, 980.0
    legs = [Leg(1.0, 1000.0), Leg(-0.9, 1000.0)]
    lower, upper = liquidation_roots_nb(record, 20.0, 1.0, 1000.0, -0.9, 1000.0)
    assert 0.0 < lower < 1000.0 < upper
    assert liquidation_price(record, 20.0, legs, mark=1000.0) == lower
    assert liquidation_price(record, 20.0, legs) == lower
    mirrored = [Leg(0.9, 1000.0), Leg(-1.0, 1000.0)]
    assert liquidation_price(record, 20.0, mirrored, mark=1000.0) > 1000.0


def test_a_symbol_without_brackets_maintains_nothing_and_lends_nothing():
    record = np.zeros(1, INSTRUMENT)[0]
    record["leverage"] = 20.0
    assert maintenance_nb(record, 1e6) == 0.0
    assert initial_margin_nb(record, 1e6) == 1e6
    assert math.isnan(maintenance_nb(record, math.nan))
