"""Printed liquidation prices, maintenance margins and brackets of real accounts, help pages and exact arithmetic."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest

from simcore.domain.enums import BUY
from simcore.domain.errors import DataError
from simcore.domain.instrument import write_brackets
from simcore.domain.records import INSTRUMENT
from simcore.engine.margin import (
    Leg,
    bracket_of_nb,
    break_even,
    initial_margin_nb,
    liquidation_price,
    liquidation_roots_nb,
    maintenance_nb,
    margin_ratio,
    max_leverage_nb,
    must_liquidate_nb,
)

pytestmark = pytest.mark.jitless
GIVEN_BRACKET = [f"LIQ-0{n}" for n in range(1, 9)]
TABLE = ["LIQ-S01", "LIQ-S02", "LIQ-S03"]
LOOK_UP = [f"BRK-0{n}" for n in range(1, 6)]
OTHER = ["LIQ-G01", "ACC-01"]


def case_of(reference, case_id):
    return next(case for case in reference("liquidation")["cases"] if case["id"] == case_id)


def one_bracket(mmr, cum, leverage=20.0):
    """An instrument whose whole range is one bracket, as the printed cases give it."""
    row = np.zeros(1, INSTRUMENT)[0]
    row["n_brackets"], row["leverage"] = 1, leverage
    row["bracket_mmr"][0], row["bracket_cum"][0], row["bracket_leverage"][0] = float(mmr), float(cum), 125.0
    return row


def table_of(reference, symbol):
    row = np.zeros(1, INSTRUMENT)[0]
    rows = [
        {"notionalFloor": b["floor"], "maintMarginRatio": b["mmr"], "cum": b["cum"], "initialLeverage": 1}
        for b in reference("liquidation")["BRACKETS"][symbol]
    ]
    write_brackets(row, symbol, rows)
    return row


def signed(position):
    qty = float(position["qty"])
    return qty if position["side"] == "LONG" else -qty


def upnl_of(position):
    return signed(position) * (float(position["mark"]) - float(position["entry"]))


def test_every_case_of_the_file_is_one_of_these(reference):
    assert {case["id"] for case in reference("liquidation")["cases"]} == {*GIVEN_BRACKET, *TABLE, *LOOK_UP, *OTHER}


@pytest.mark.parametrize("case_id", GIVEN_BRACKET)
def test_printed_liquidation_price(reference, case_id):
    case = case_of(reference, case_id)
    position, expected, tol = case["inputs"]["position"], case["expected"], float(case["tol"])
    instrument = one_bracket(position["mmr"], position["cum"])
    others = case["inputs"].get("others", [])
    maintenance = sum(maintenance_nb(one_bracket(o["mmr"], o["cum"]), float(o["qty"]) * float(o["mark"])) for o in others)
    upnl = sum(upnl_of(o) for o in others)
    # LIQ-08 prints no wallet: any that covers the whole entry value gives the printed "no price".
    wallet = float(case["inputs"].get("wallet", float(position["qty"]) * float(position["entry"])))
    price = liquidation_price(
        instrument,
        wallet,
        [Leg(signed(position), float(position["entry"]))],
        mark=float(position["mark"]),
        others_maintenance=maintenance,
        others_upnl=upnl,
    )
    if float(expected["liquidation_price"]) == 0.0:
        assert price is None
    else:
        assert price == pytest.approx(float(expected["liquidation_price"]), abs=tol)
    if others:
        assert maintenance == pytest.approx(float(expected["others_maintenance_margin"]), abs=1e-5)
        assert upnl == pytest.approx(float(expected["others_unrealized_pnl"]), abs=1e-5)


@pytest.mark.parametrize("case_id", ["LIQ-04", "LIQ-05", "LIQ-06", "LIQ-07", "LIQ-08"])
def test_printed_margins(reference, case_id):
    case = case_of(reference, case_id)
    given, expected = case["inputs"], case["expected"]
    position = given["position"]
    instrument = one_bracket(position["mmr"], position["cum"], float(given.get("leverage", 80)))
    upnl = upnl_of(position)
    # the exchange cut LIQ-04's average entry to eight places before printing
    assert upnl == pytest.approx(float(expected["unrealized_pnl"]), abs=5e-7 if case_id == "LIQ-04" else 2e-8)
    if "isolated_margin" in expected:
        assert float(given["wallet"]) + upnl == pytest.approx(float(expected["isolated_margin"]), abs=5e-7)
    if "notional" in expected:
        notional = float(position["qty"]) * float(position["mark"])
        initial = expected.get("initial_margin", expected.get("initial_margin_at_80x"))
        assert notional == pytest.approx(float(expected["notional"]), abs=2e-8)
        assert maintenance_nb(instrument, notional) == pytest.approx(float(expected["maintenance_margin"]), abs=2e-8)
        assert initial_margin_nb(instrument, notional) == pytest.approx(float(initial), abs=2e-8)
        paid = 0.0005 if case_id == "LIQ-07" else 0.0002
        assert break_even(BUY, float(position["entry"]), paid) == pytest.approx(float(expected["break_even"]), abs=2e-8)


@pytest.mark.parametrize("case_id", TABLE)
def test_the_bracket_is_that_of_the_notional_at_the_price(reference, case_id):
    case = case_of(reference, case_id)
    position, expected = case["inputs"]["position"], case["expected"]
    instrument = table_of(reference, position["symbol"])
    legs = [Leg(signed(position), float(position["entry"]))]
    price = liquidation_price(instrument, float(case["inputs"]["wallet"]), legs, mark=float(position["mark"]))
    if expected["liquidation_price"] is None:
        assert price is None
        return
    assert price == pytest.approx(float(expected["liquidation_price"]), abs=float(case["tol"]))
    assert price != pytest.approx(float(expected["entry_bracket_answer"]), abs=1.0)
    bracket = bracket_of_nb(instrument, float(position["qty"]) * price)
    assert instrument["bracket_mmr"][bracket] == float(expected["bracket_mmr_at_liquidation"])


def test_hedge_legs_share_one_liquidation_price(reference):
    case = case_of(reference, "LIQ-G01")
    given, expected = case["inputs"], case["expected"]
    instrument = table_of(reference, given["symbol"])
    long, short = (Leg(sign * float(given[k]["qty"]), float(given[k]["entry"])) for k, sign in (("long", 1), ("short", -1)))
    wallet, answer, tol = float(given["wallet"]), float(expected["liquidation_price_both_legs"]), float(case["tol"])
    assert liquidation_price(instrument, wallet, [long, short]) == pytest.approx(answer, abs=tol)
    assert liquidation_price(instrument, wallet, [short, long], mark=41_000.0) == pytest.approx(answer, abs=tol)
    roots = liquidation_roots_nb(instrument, wallet, long.qty, long.entry, short.qty, short.entry)
    assert sum(not math.isnan(root) for root in roots) == expected["n_roots"]
    rates = [float(instrument["bracket_mmr"][bracket_of_nb(instrument, abs(leg.qty) * answer)]) for leg in (long, short)]
    assert rates == [float(rate) for rate in expected["brackets_at_liquidation"]]


@pytest.mark.parametrize("case_id", LOOK_UP)
def test_maintenance_by_bracket(reference, case_id):
    case = case_of(reference, case_id)
    given, expected = case["inputs"], case["expected"]
    instrument, notional = table_of(reference, given["symbol"]), float(given["notional"])
    index = bracket_of_nb(instrument, notional)
    if case_id == "BRK-03":
        # Exactly on a floor the peer names the bracket above; the exchange writes floor < notional <= cap, and we follow it.
        # The maintenance is the same in both.
        index = bracket_of_nb(instrument, math.nextafter(notional, math.inf))
    assert instrument["bracket_mmr"][index] == float(expected["mmr"])
    assert instrument["bracket_cum"][index] == float(expected["cum"])
    assert round(maintenance_nb(instrument, notional), 8) == float(expected["maintenance_margin"])


def test_an_account_of_two_symbols(reference):
    case = case_of(reference, "ACC-01")
    positions, expected, tol = case["inputs"]["positions"], case["expected"], float(case["tol"])
    upnl = sum(upnl_of(p) for p in positions)
    maintenance = sum(maintenance_nb(table_of(reference, p["symbol"]), float(p["qty"]) * float(p["mark"])) for p in positions)
    balance = float(case["inputs"]["wallet"]) + upnl
    assert upnl == pytest.approx(float(expected["unrealized_pnl"]), abs=tol)
    assert balance == pytest.approx(float(expected["margin_balance"]), abs=tol)
    assert maintenance == pytest.approx(float(expected["maintenance_margin"]), abs=tol)
    assert margin_ratio(maintenance, balance) == pytest.approx(float(expected["margin_ratio"]), abs=tol)
    assert must_liquidate_nb(balance, maintenance) == expected["liquidate"]


def test_margin_ratio_and_liquidation_at_the_edges():
    assert margin_ratio(0.0, 100.0) == 0.0
    assert margin_ratio(1.0, 0.0) == math.inf
    assert must_liquidate_nb(100.0, 100.0)
    assert not must_liquidate_nb(100.01, 100.0)
    assert not must_liquidate_nb(-5.0, 0.0)
    assert not must_liquidate_nb(math.nan, 100.0)


def test_a_symbol_has_one_or_two_legs():
    with pytest.raises(ValueError, match="one or two legs of a symbol, not 3"):
        liquidation_price(one_bracket("0.01", "0"), 1.0, [Leg(1.0, 1.0)] * 3)


@pytest.mark.real
def test_maintenance_is_continuous_over_every_real_bracket(real_data):
    table = json.loads(gzip.decompress((real_data / "exchange_info" / "um_leverageBracket-20250622.json.gz").read_bytes()))
    steps = 0
    for entry in table:
        row = np.zeros(1, INSTRUMENT)[0]
        write_brackets(row, entry["symbol"], entry["brackets"])
        for index in range(1, row["n_brackets"]):
            floor = float(row["bracket_floor"][index])
            assert bracket_of_nb(row, floor) == index - 1
            assert bracket_of_nb(row, math.nextafter(floor, math.inf)) == index
            below = maintenance_nb(row, floor)
            above = floor * row["bracket_mmr"][index] - row["bracket_cum"][index]
            assert above == pytest.approx(below, rel=1e-9), (entry["symbol"], index)
            assert max_leverage_nb(row, floor) >= max_leverage_nb(row, floor + 1.0)
            steps += 1
    assert len(table) == 495
    assert steps > 3000


BAD_TABLES = [
    ([], "0 leverage brackets"),
    ([{"notionalFloor": 5, "maintMarginRatio": 0.01, "cum": 0, "initialLeverage": 20}], "does not continue"),
    ([{"notionalFloor": 0, "maintMarginRatio": 1.5, "cum": 0, "initialLeverage": 20}], "does not continue"),
    ([{"notionalFloor": 0, "maintMarginRatio": 0.01, "cum": 7, "initialLeverage": 20}], "maintenance is continuous at 0"),
]


@pytest.mark.parametrize(("rows", "sentence"), BAD_TABLES)
def test_a_table_that_is_none_is_refused(rows, sentence):
    with pytest.raises(DataError, match=sentence):
        write_brackets(np.zeros(1, INSTRUMENT)[0], "XUSDT", rows)
