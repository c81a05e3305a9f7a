"""Accounting P25-P31: whatever happens to an account, not one unit of 1e-8 is gained or lost."""

from __future__ import annotations

import itertools
import warnings
from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain.enums import BUY, SELL, Leg
from simcore.domain.records import ACCOUNT, POSITION
from simcore.engine.account import (
    absorb_deficit_nb,
    apply_fill_nb,
    apply_funding_nb,
    apply_transfer_nb,
    closable_lots_nb,
    mark_position_nb,
    wallet_identity_nb,
)
from simcore.engine.fees import fee_e8_nb
from simcore.engine.money import (
    MONEY_MAX,
    mul_div_floor_nb,
    mul_div_round_nb,
    mul_div_trunc_nb,
    notional_e8_nb,
    to_e8_nb,
)
from tests.oracle import accounting as oracle

pytestmark = pytest.mark.jitless
# (unit_e8, largest quantity, largest price): the shapes of BTC, of a mid-priced coin, and of one with prices far below a cent.
SCALES = ((10_000, 10**6, 10**7), (1_000, 10**8, 10**5), (10, 10**12, 10**4))
STEP = 0.001

fills = st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 10**6), st.integers(1, 10**6))
rates = st.sampled_from([20_000, 50_000, -5_000, 0, 1_250_000])
events = st.one_of(
    st.tuples(st.just("fill"), st.sampled_from(list(Leg)), fills, rates),
    st.tuples(st.just("funding"), st.sampled_from(list(Leg)), st.integers(1, 10**6), st.integers(-3_000_000, 3_000_000)),
    st.tuples(st.just("transfer"), st.just(Leg.BOTH), st.integers(-(10**15), 10**15), st.just(0)),
    st.tuples(st.just("liquidate"), st.just(Leg.BOTH), st.integers(1, 10**6), st.just(1_250_000)),
)
histories = st.tuples(st.sampled_from(SCALES), st.lists(events, min_size=1, max_size=12))


def scaled(scale, qty, price):
    """Spread drawn numbers from 1 to a million over the quantities and prices of a scale."""
    _unit, largest_qty, largest_price = scale
    return qty * largest_qty // 10**6 + qty % 7 + 1, price * largest_price // 10**6 + price % 7 + 1


class World:
    """One account with a LONG, a SHORT and a one-way leg, beside their oracle."""

    def __init__(self, scale):
        self.scale, self.unit = scale, scale[0]
        self.account = np.zeros(1, ACCOUNT)[0]
        self.positions = np.zeros(3, POSITION)
        self.legs = [oracle.OracleLeg() for _ in range(3)]
        self.wallet = oracle.OracleWallet()

    def fill(self, leg, side, qty, price, rate_e8):
        position = self.positions[leg]
        opens = {Leg.LONG: BUY, Leg.SHORT: SELL}.get(leg)
        if opens is not None and side != opens:
            qty = min(qty, int(closable_lots_nb(position, side)))
        if qty == 0:
            return
        notional = int(notional_e8_nb(qty, price, self.unit))
        assert notional == qty * price * self.unit
        fee = int(fee_e8_nb(notional, rate_e8))
        assert fee == oracle.fee(notional, rate_e8)
        realised = int(apply_fill_nb(self.account, position, side, qty, price, self.unit, fee))
        self.legs[leg].fill(side, qty, price)
        self.wallet.book("realised", realised)
        self.wallet.book("fee", -fee)

    def play(self, event):
        kind, leg, what, rate_e8 = event
        if kind == "fill":
            side, qty, price = what
            self.fill(leg, side, *scaled(self.scale, qty, price), rate_e8)
        elif kind == "funding":
            mark = scaled(self.scale, 1, what)[1] * self.unit / 1e8 / STEP
            self.wallet.book("funding", int(apply_funding_nb(self.account, self.positions[leg], mark, rate_e8, STEP)))
        elif kind == "transfer":
            apply_transfer_nb(self.account, what)
            self.wallet.book("transfer", what)
        else:
            price = scaled(self.scale, 1, what)[1]
            for each in Leg:
                held = int(self.positions[each]["qty_lots"])
                if held:
                    self.fill(each, SELL if held > 0 else BUY, abs(held), price, rate_e8)
            self.wallet.book("insurance", int(absorb_deficit_nb(self.account)))
            assert self.account["wallet_e8"] >= 0


@settings(max_examples=1000)
@given(histories)
def test_p25_the_wallet_balances_as_integers_after_every_event(history):
    scale, script = history
    world = World(scale)
    for event in script:
        world.play(event)
        account, wallet = world.account, world.wallet
        assert wallet_identity_nb(account) == 0
        assert int(account["wallet_e8"]) == wallet.total()
        assert int(account["deposits_e8"]) == wallet.total("transfer")
        assert int(account["fees_e8"]) == -wallet.total("fee") == int(world.positions["fees_e8"].sum())
        assert int(account["funding_e8"]) == wallet.total("funding") == int(world.positions["funding_e8"].sum())
        assert int(account["realised_e8"]) == wallet.total("realised", "insurance")
        assert int(world.positions["realised_e8"].sum()) == wallet.total("realised")
        assert world.positions[Leg.LONG]["qty_lots"] >= 0 >= world.positions[Leg.SHORT]["qty_lots"]


@settings(max_examples=1000)
@given(histories, st.integers(1, 10**6))
def test_p26_realised_plus_unrealised_is_the_sum_of_the_fills_exactly(history, mark):
    scale, script = history
    world = World(scale)
    mark = scaled(scale, 1, mark)[1]
    for event in script:
        world.play(event)
    for position, leg in zip(world.positions, world.legs, strict=True):
        qty, cost = int(position["qty_lots"]), int(position["cost_e8"])
        unrealised = qty * mark * world.unit - (cost if qty > 0 else -cost)
        assert qty == leg.qty
        assert int(position["realised_e8"]) + unrealised == leg.total(mark) * world.unit
        # every turn from closing to opening rounds the kept cost once
        assert abs(Fraction(cost) - abs(leg.qty) * leg.entry * world.unit) <= len(leg.fills)
        assert abs(Fraction(int(position["realised_e8"])) - leg.realised * world.unit) <= len(leg.fills)
        if qty == 0:
            assert cost == 0


def book_all(parts, unit, fee_rate_e8=0):
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    for side, qty, price in parts:
        fee = fee_e8_nb(notional_e8_nb(qty, price, unit), fee_rate_e8)
        apply_fill_nb(account, position, side, qty, price, unit, fee)
    return account, position


@settings(max_examples=1000)
@given(st.lists(fills, max_size=5), fills, st.lists(st.integers(1, 10**6), max_size=4), st.sampled_from(SCALES))
def test_p27_splitting_a_fill_changes_nothing_but_the_rounding_of_its_fee(before, fill, cuts, scale):
    before = [(side, *scaled(scale, qty, price)) for side, qty, price in before]
    side, qty, price = fill[0], *scaled(scale, fill[1], fill[2])
    edges = sorted({0, qty, *(cut % qty for cut in cuts)})
    parts = [(side, right - left, price) for left, right in itertools.pairwise(edges)]
    whole_account, whole = book_all([*before, (side, qty, price)], scale[0], 50_000)
    split_account, split = book_all([*before, *parts], scale[0], 50_000)
    for name in ("qty_lots", "cost_e8", "realised_e8"):
        assert whole[name] == split[name]
    assert whole_account["realised_e8"] == split_account["realised_e8"]
    assert 0 <= whole_account["fees_e8"] - split_account["fees_e8"] < len(parts)


@settings(max_examples=1000)
@given(st.integers(1, 10**6), st.integers(1, 10**6), fills, st.sampled_from(SCALES))
def test_p28_crossing_zero_is_closing_and_opening(held, entry, fill, scale):
    held, entry = scaled(scale, held, entry)
    side, extra, price = fill[0], *scaled(scale, fill[1], fill[2])
    start = [(-side, held, entry)]
    _account, crossed = book_all([*start, (side, held + extra, price)], scale[0])
    _account, in_two = book_all([*start, (side, held, price), (side, extra, price)], scale[0])
    assert crossed == in_two
    assert crossed["qty_lots"] == side * extra
    assert crossed["cost_e8"] == extra * price * scale[0]


@settings(max_examples=1000)
@given(st.sampled_from([BUY, SELL]), st.integers(0, 10**7), st.floats(1e-6, 1e6), st.integers(-3_000_000, 3_000_000))
def test_p29_funding_is_paid_on_what_is_held_and_rounded_against_the_trader(side, qty, mark, rate_e8):
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    position["qty_lots"] = side * qty
    amount = int(apply_funding_nb(account, position, mark, rate_e8, STEP))
    exact = oracle.funding(side * qty, Fraction(1, 1000), Fraction(mark), rate_e8)
    # a settlement is a float notional rounded to 1e-8, times an exact rate, rounded down
    slack = Fraction(2, 100) + abs(exact) / 10**14
    assert exact - 1 - slack <= amount <= exact + slack
    assert account["wallet_e8"] == account["funding_e8"] == position["funding_e8"] == amount
    if qty == 0:
        assert amount == 0


@settings(max_examples=1000)
@given(st.lists(st.tuples(st.integers(0, 2), fills), max_size=10), st.sampled_from(SCALES))
def test_p31_the_order_of_independent_symbols_is_irrelevant(script, scale):
    def run(ordered):
        account, positions = np.zeros(1, ACCOUNT)[0], np.zeros(3, POSITION)
        for symbol, (side, qty, price) in ordered:
            apply_fill_nb(account, positions[symbol], side, *scaled(scale, qty, price), scale[0], qty)
        return account.tobytes(), positions.tobytes()

    assert run(script) == run(sorted(script, key=lambda entry: entry[0]))


@settings(max_examples=1000)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([BUY, SELL]))
def test_marking_a_leg_shows_its_profit_at_mark(qty, entry, mark, side):
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    unit = 10_000
    apply_fill_nb(account, position, side, qty, entry, unit, 0)
    upnl = mark_position_nb(position, mark * unit / 1e8 / STEP, STEP)
    assert upnl == pytest.approx(side * qty * (mark - entry) * unit / 1e8, rel=1e-9, abs=1e-6)
    assert (position["upnl"], position["mark"]) == (upnl, mark * unit / 1e8 / STEP)
    apply_fill_nb(account, position, -side, qty, mark, unit, 0)
    assert mark_position_nb(position, float(mark), STEP) == 0.0


def test_a_leg_set_by_hand_keeps_its_entry_when_it_shrinks():
    """A reconciled position comes as quantity and cost alone, without the anchor."""
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    position["qty_lots"], position["cost_e8"] = 30, 3_001
    assert apply_fill_nb(account, position, SELL, 10, 100, 1, 0) == 1_000 - 1_000
    assert (position["qty_lots"], position["cost_e8"]) == (20, 2_001)


wide = st.integers(-MONEY_MAX, MONEY_MAX)


@st.composite
def quotients(draw):
    """a, b, c of the documented range whose a*b/c fits it too; with 1-bit to 62-bit factors alike."""
    a, b = (draw(wide) >> draw(st.integers(0, 61)) for _ in range(2))
    least = max(1, -(-abs(a * b) // MONEY_MAX))
    return a, b, draw(st.integers(least, MONEY_MAX) | st.integers(least, min(MONEY_MAX, 2 * least)))


@settings(max_examples=2000)
@given(quotients())
def test_p30_products_beyond_64_bits_are_divided_exactly(numbers):
    a, b, c = numbers
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an int64 that overflows uncompiled only warns
        arguments = [np.int64(number) for number in numbers]
        assert mul_div_floor_nb(*arguments) == a * b // c
        assert mul_div_trunc_nb(*arguments) == (abs(a * b) // c) * (1 if a * b >= 0 else -1)
        assert mul_div_round_nb(*arguments) == (2 * abs(a * b) + c) // (2 * c) * (1 if a * b >= 0 else -1)


@pytest.mark.parametrize("divisor", [0, -1])
def test_a_divisor_must_be_positive(divisor):
    with pytest.raises(ValueError, match="divisor must be positive"):
        mul_div_floor_nb(6, 4, divisor)


@settings(max_examples=1000)
@given(st.integers(0, 10**17), st.integers(-100_000, 10_000_000))
def test_fees_and_rebates_are_cut_at_eight_places(notional, rate_e8):
    assert fee_e8_nb(notional, rate_e8) == oracle.fee(notional, rate_e8)


@settings(max_examples=1000)
@given(st.integers(-(10**15), 10**15))
def test_float_money_finds_its_integer(units):
    assert to_e8_nb(units / 1e8) == units


@pytest.mark.parametrize("amount", [np.nan, np.inf, -np.inf, 1e11, -1e11])
def test_money_beyond_the_ledger_stops_the_run(amount):
    with pytest.raises(ValueError, match="beyond the ledger's range"):
        to_e8_nb(amount)


@pytest.mark.campaign
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="ten million cases need the compiler")
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_million_random_fills_keep_every_identity(seed):
    """Random walks over three scales, each fill checked against plain 64-bit sums and products modulo 2**64."""
    broken, flips, long_divisions = campaign(5_000_000, np.random.default_rng(seed))
    assert broken == 0
    assert flips > 100_000
    assert long_divisions > 100_000


@numba.njit
def campaign(n, chance):
    """Return (broken identities, flips, divisions whose product overflowed) over n fills."""
    account, position = np.zeros(1, ACCOUNT), np.zeros(1, POSITION)
    broken, flips, long_divisions, signed, spent = 0, 0, 0, 0, 0
    unit, top_qty, top_price = 1, 1, 1
    for i in range(n):
        if i % 50 == 0:
            account[0]["wallet_e8"] = account[0]["realised_e8"] = account[0]["fees_e8"] = 0
            position[0]["qty_lots"] = position[0]["cost_e8"] = position[0]["realised_e8"] = 0
            signed, spent = 0, 0
            scale = chance.integers(0, 3)
            unit = 10_000 if scale == 0 else (1_000 if scale == 1 else 10)
            top_qty = 10**6 if scale == 0 else (10**8 if scale == 1 else 10**12)
            top_price = 10**6 if scale == 0 else (10**5 if scale == 1 else 10**3)
        side = 1 if chance.integers(0, 2) == 1 else -1
        qty, price = chance.integers(1, top_qty), chance.integers(1, top_price)
        held = position[0]["qty_lots"]
        realised = apply_fill_nb(account[0], position[0], side, qty, price, unit, 7)
        signed, spent = signed + side * qty, spent + side * qty * price * unit
        now = position[0]["qty_lots"]
        flips += held * side < 0 and abs(held) < qty
        cost = position[0]["cost_e8"] if now > 0 else -position[0]["cost_e8"]
        # realised + (qty * mark - cost) == sum(signed * (mark - price)) for every mark: compare the parts
        broken += now != signed or position[0]["realised_e8"] - cost != -spent
        broken += wallet_identity_nb(account[0]) != 0 or (held * side >= 0 and realised != 0)
        a, b = chance.integers(0, MONEY_MAX), chance.integers(0, MONEY_MAX)
        c = max(a, b) + chance.integers(0, 1000) + 1
        quotient, product = mul_div_floor_nb(a, b, c), a * b
        rest = product - quotient * c  # modulo 2**64, and the true remainder is smaller than c
        broken += rest < 0 or rest >= c
        long_divisions += a > 2**32 and b > 2**32
    return broken, flips, long_divisions
