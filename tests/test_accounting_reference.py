"""The exchange's and other engines' own figures for PnL, fees, cost and funding."""

from __future__ import annotations

import numpy as np
import pytest

from simcore.domain.enums import BUY, SELL
from simcore.domain.instrument import Instrument
from simcore.domain.records import ACCOUNT, POSITION
from simcore.engine.account import apply_fill_nb, apply_funding_nb, entry_price, mark_position_nb, wallet_identity_nb
from simcore.engine.fees import fee_e8_nb
from simcore.engine.margin import cost_to_open_nb, short_margin_price
from simcore.engine.money import notional_e8_nb

pytestmark = pytest.mark.jitless
SIDE = {"BUY": BUY, "SELL": SELL}
GRID = Instrument.of("CASE", "0.01", "0.001")
PNL, HEDGE, FUND = ["PNL-01", "PNL-02", "PNL-03"], ["PNL-04"], ["FUND-01", "FUND-02", "FUND-03"]
OTHER = ["FEE-01", "COST-01"]


def case_of(reference, case_id):
    return next(case for case in reference("accounting")["cases"] if case["id"] == case_id)


def rate_e8(text):
    return int(round(float(text) * 1e8))


def run_fills(account, position, fills, fee_rate, after_each, tol):
    """Book the case's fills and compare every figure after each one."""
    for (side, qty, price), expected in zip(fills, after_each, strict=True):
        lots, ticks = GRID.qty_to_lots(qty), GRID.price_to_ticks(price)
        fee_e8 = fee_e8_nb(notional_e8_nb(lots, ticks, GRID.unit_e8), rate_e8(fee_rate))
        apply_fill_nb(account, position, SIDE[side], lots, ticks, GRID.unit_e8, fee_e8)
        assert GRID.lots_to_qty(position["qty_lots"]) == GRID.lots_to_qty(0) + type(GRID.step_size)(expected["qty"])
        assert entry_price(position, float(GRID.step_size)) == pytest.approx(expected["entry"], abs=tol)
        # the ledger rounds to 1e-8 quote units
        assert position["realised_e8"] / 1e8 == pytest.approx(expected["realized"], abs=max(tol, 0.5e-8))
        assert position["fees_e8"] / 1e8 == pytest.approx(expected["fees"], abs=max(tol, 1e-8))
        net = (position["realised_e8"] - position["fees_e8"]) / 1e8
        assert net == pytest.approx(expected["realized_net"], abs=max(tol, 1e-8))
        assert wallet_identity_nb(account) == 0


def test_every_case_of_the_file_is_one_of_these(reference):
    known = {*PNL, *HEDGE, *FUND, *OTHER}
    assert {case["id"] for case in reference("accounting")["cases"]} == known


@pytest.mark.parametrize("case_id", PNL)
def test_one_way_pnl(reference, case_id):
    case = case_of(reference, case_id)
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    run_fills(account, position, case["inputs"]["fills"], case["inputs"]["fee_rate"], case["expected"]["after_each"], case["tol"])
    if "unrealized" in case["expected"]:
        upnl = mark_position_nb(position, float(case["inputs"]["mark"]), float(GRID.step_size))
        assert upnl == pytest.approx(case["expected"]["unrealized"], abs=case["tol"])
    assert account["wallet_e8"] == position["realised_e8"] - position["fees_e8"]


@pytest.mark.parametrize("case_id", HEDGE)
def test_hedge_legs_are_separate_books(reference, case_id):
    case = case_of(reference, case_id)
    account, legs = np.zeros(1, ACCOUNT)[0], np.zeros(2, POSITION)
    for index, name in enumerate(("LONG", "SHORT")):
        given = case["inputs"][name]
        run_fills(account, legs[index], given["fills"], given["fee_rate"], case["expected"][name], case["tol"])
    assert account["realised_e8"] == legs["realised_e8"].sum()
    assert legs[0]["qty_lots"] > 0


def test_fee_of_a_real_fill(reference):
    case = case_of(reference, "FEE-01")
    given = case["inputs"]
    notional = notional_e8_nb(GRID.qty_to_lots(given["qty"]), GRID.price_to_ticks(given["price"]), GRID.unit_e8)
    assert fee_e8_nb(notional, rate_e8(given["taker_rate"])) == round(float(case["expected"]["commission"]) * 1e8)


def test_cost_to_open_counts_the_open_loss(reference):
    case = case_of(reference, "COST-01")
    price, mark, last, leverage = (float(case["inputs"][key]) for key in ("order_price", "mark", "last", "leverage"))
    expected = {key: float(value) for key, value in case["expected"].items()}
    long_cost = cost_to_open_nb(BUY, 1.0, price, mark, leverage)
    assert long_cost == pytest.approx(expected["long_initial_margin"] + expected["long_open_loss"], abs=case["tol"])
    short_cost = cost_to_open_nb(SELL, 1.0, price, mark, leverage)
    assert short_cost - price / leverage == pytest.approx(expected["short_open_loss"], abs=case["tol"])
    assumed = short_margin_price(price, mark, last, surcharge_pct=0.0015)
    assert assumed == pytest.approx(expected["short_assuming_price_new_rule"], abs=1e-9)


@pytest.mark.parametrize("case_id", FUND)
def test_funding_at_mark(reference, case_id):
    given, expected = (case_of(reference, case_id)[key] for key in ("inputs", "expected"))
    account, position = np.zeros(1, ACCOUNT)[0], np.zeros(1, POSITION)[0]
    side = BUY if given["side"] == "LONG" else SELL
    apply_fill_nb(account, position, side, GRID.qty_to_lots(given["qty"]), 1_000_000, GRID.unit_e8, 0)
    amount_e8 = apply_funding_nb(account, position, float(given["mark"]), rate_e8(given["rate"]), float(GRID.step_size))
    assert amount_e8 == round(float(expected["wallet_change"]) * 1e8)
    assert account["wallet_e8"] == account["funding_e8"] == position["funding_e8"] == amount_e8
