"""Reports taken into the core's books: sleeves and the trades they leave, to the last unit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simcore.domain.enums import LONG, SHORT, LedgerKind, Purpose, Regime
from simcore.engine.account import wallet_identity_nb
from tests.scenes import MINUTE_NS, START_NS, A, B, Wish, bar, flat, play

NOW = Wish(LONG, urgency=1.0)
OUT = Wish(0, urgency=1.0)
UNIT = 100_000
PATIENT = {"router.wait_s": 3_600.0}


@pytest.mark.jitless
def test_a_trade_says_what_went_in_and_what_came_out() -> None:
    scene = play([*flat(n=4), *flat(10_100, 3)], {1: NOW, 4: OUT}, funding={A: {3: 10_000}})
    entry, leave = 100 * 10_001 * UNIT, 100 * 10_098 * UNIT  # 1010.0 less one basis point is 1009.899: 10,098 ticks
    fees = entry * 5 // 10_000 + leave * 5 // 10_000
    trade = scene.trades[0]
    expected = {
        "strategy": 0, "symbol": 0, "side": LONG, "qty_lots": 100, "decision_ns": START_NS + 2 * MINUTE_NS,
        "entry_ns": START_NS + 2 * MINUTE_NS, "exit_ns": START_NS + 5 * MINUTE_NS, "bars_held": 3, "hour": 0, "exit_purpose": Purpose.EXIT,
        "gross_e8": leave - entry, "fees_e8": fees, "funding_e8": -10_000_000, "maker_lots": 0, "taker_lots": 200, "ambiguous": 0,
    }  # fmt: skip
    assert {name: trade[name] for name in expected} == expected
    net = (leave - entry - fees - 10_000_000) / 1e8
    assert (float(trade["entry_price"]), float(trade["exit_price"])) == (pytest.approx(1_000.1), pytest.approx(1_009.8))
    assert float(trade["arrival"]) == 1_000.0
    assert float(trade["net_usd"]) == pytest.approx(net) and float(trade["net_bps"]) == pytest.approx(net / 1_000.1 * 1e4)
    assert math.isnan(trade["r_multiple"]) and trade["risk_usd"] == 0.0
    # Paid 0.1 above the price at its decision, sold 0.2 below: 0.1 of a coin's price each way and one for the exit.
    assert float(trade["slippage_usd"]) == pytest.approx(0.1 + 0.2)
    row = scene.rows(LedgerKind.TRADE)[0]
    assert (row["value"], int(row["side"]), int(row["qty_lots"])) == (pytest.approx(net), LONG, 100)


def test_a_trade_with_a_stop_is_told_in_r() -> None:
    scene = play([*flat(n=4), *flat(9_900, 3)], {1: Wish(LONG, stop=50, urgency=1.0)})
    trade = scene.trades[0]
    assert float(trade["risk_usd"]) == pytest.approx(5.0)  # 50 ticks of 0.1 on one coin
    assert float(trade["r_multiple"]) == pytest.approx(float(trade["net_usd"]) / 5.0)
    assert scene.rows(LedgerKind.TRADE)["x0"][0] == trade["r_multiple"]


def test_a_trade_of_several_fills_is_one_trade_with_their_averages() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 400)
    out = flat(10_050, 3, 600)
    scene = play([*flat(n=2), thin, *flat(n=4), *out], {1: LONG, 6: OUT})
    fills = [(f.bar, f.purpose, f.lots, f.ticks) for f in scene.fills()]
    assert fills == [(2, "entry", 40, 9_998), (4, "entry", 60, 10_001), (7, "exit", 60, 10_048), (8, "exit", 40, 10_048)]
    trade = scene.trades[0]
    assert len(scene.trades) == 1
    assert float(trade["entry_price"]) == pytest.approx((40 * 999.8 + 60 * 1_000.1) / 100)
    assert float(trade["exit_price"]) == pytest.approx(1_004.8)
    assert (int(trade["maker_lots"]), int(trade["taker_lots"]), int(trade["qty_lots"])) == (40, 160, 100)
    assert trade["entry_ns"] == START_NS + 3 * MINUTE_NS and trade["decision_ns"] == START_NS + 2 * MINUTE_NS
    cost = (40 * 9_998 + 60 * 10_001) * UNIT
    fees = (
        40 * 9_998 * UNIT * 2 // 10_000
        + 60 * 10_001 * UNIT * 5 // 10_000
        + 60 * 10_048 * UNIT * 5 // 10_000
        + 40 * 10_048 * UNIT * 5 // 10_000
    )
    assert (int(trade["gross_e8"]), int(trade["fees_e8"])) == (100 * 10_048 * UNIT - cost, fees)
    assert int(scene.core["account"]["realised_e8"]) == int(trade["gross_e8"])


def test_the_risk_of_a_trade_grows_with_what_filled() -> None:
    thin = bar(10_000, 10_000, 9_990, 10_000, 400)
    scene = play([*flat(n=2), thin, thin, thin, *flat(9_900)], {1: Wish(LONG, stop=50)}, settings=PATIENT)
    assert scene.trades["qty_lots"].tolist() == [100] and float(scene.trades["risk_usd"][0]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("sigma", "volume", "regime"),
    [(0.02, 1e6, Regime.NORMAL), (0.07, 1e6, Regime.HIGH_VOL), (0.02, 1e3, Regime.LOW_LIQ), (0.07, 1e3, Regime.HIGH_VOL)],
)
def test_a_trade_carries_the_regime_of_its_entry(sigma: float, volume: float, regime: Regime) -> None:
    scene = play(flat(n=7), {1: NOW, 3: OUT}, sigma_day=sigma, volume_day=volume)
    assert scene.trades["regime"].tolist() == [int(regime)]


def test_both_books_agree_and_balance_with_hedge_legs_and_shares() -> None:
    scripts = {
        "one": {A: {1: NOW, 5: OUT}, B: {2: Wish(SHORT, urgency=1.0)}}, "two": {A: {1: Wish(SHORT, urgency=1.0), 6: NOW}},
        "three": {A: {2: NOW, 7: OUT}},
    }  # fmt: skip
    scene = play({A: flat(n=10), B: [*flat(n=5), *flat(9_950, 5)]}, scripts=scripts, funding={A: {4: 12_345}, B: {6: -777}})
    core, venue = scene.core["account"], scene.venue["account"]
    for name in ("wallet_e8", "realised_e8", "fees_e8", "funding_e8", "deposits_e8", "open_legs"):
        assert core[name] == venue[name], name
    assert wallet_identity_nb(core) == wallet_identity_nb(venue) == 0
    for at in range(4):
        for name in ("qty_lots", "cost_e8", "realised_e8", "fees_e8", "funding_e8"):
            assert scene.core["position"][at][name] == scene.venue["position"][at][name]


def test_the_money_at_the_start_is_a_row_of_the_ledger() -> None:
    row = play(flat(n=2), {}).rows(LedgerKind.TRANSFER)[0]
    assert float(row["value"]) == 100_000.0


def test_a_horizon_of_an_entry_that_failed_is_not_inherited() -> None:
    # The first wish has a horizon of six minutes and gives up; the second has none and must not be closed by it.
    tape = [*flat(n=2), *flat(10_100, 14)]
    scene = play(tape, {1: Wish(LONG, urgency=1.0, minutes=6), 4: 0, 5: NOW})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(6, "entry")]


def test_a_horizon_counts_from_the_decision() -> None:
    scene = play(flat(n=9), {1: Wish(LONG, urgency=1.0, minutes=3)})
    # Decided at the close of bar 1: three minutes later bar 4 closes; out at the open of bar 5.
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(2, "entry"), (5, "horizon")]
    assert scene.trades["exit_purpose"].tolist() == [int(Purpose.HORIZON)]


def test_spread_is_paid_by_takers_only() -> None:
    maker = play([*flat(n=2), bar(10_000, 10_000, 9_990, 10_000)], {1: LONG})
    assert float(maker.totals["spread_usd"]) == 0.0
    stop = play([*flat(n=3), bar(10_000, 10_000, 9_900, 9_900)], {1: Wish(LONG, stop=50, urgency=1.0)})
    assert float(stop.totals["spread_usd"]) == pytest.approx(0.1 + 0.0995)  # at 1,000.0 in, at the stop of 995.0 out


def test_the_equity_curve_begins_with_the_first_decision_and_ends_with_the_last() -> None:
    tape = [*flat(n=4), *flat(9_900, 3)]
    scene = play(tape, {1: NOW}, settings={"equity_sample_s": 3_600.0})
    rows = scene.recording.equity
    assert rows["ts_ns"].tolist() == [START_NS + MINUTE_NS, START_NS + 7 * MINUTE_NS]
    last = rows[-1]
    assert float(last["upnl"]) == pytest.approx(-10.1) and float(last["nav"]) == pytest.approx(100_000.0 - 0.50005 - 10.1)
    assert (float(last["gross"]), float(last["net"]), int(last["open_positions"])) == (pytest.approx(990.0), pytest.approx(990.0), 1)
    assert float(last["maintenance_margin"]) == pytest.approx(9.9)  # one percent of what is held now
    assert scene.session.core["n_equity"] == 0 and len(scene.session.output.table("equity")) == 1
    minutely = play(tape, {1: NOW}).recording.equity
    assert len(minutely) == 7 and minutely[-1] == last


def test_the_ledger_knows_when_a_report_happened_and_when_it_was_known() -> None:
    scene = play([*flat(n=2), bar(10_000, 10_000, 9_997, 10_000), *flat(n=4)], {1: LONG, 4: OUT}, funding={A: {3: 10_000}})
    rows = scene.recording.ledger
    assert np.all(rows["exch_ns"] <= rows["ts_ns"])
    ours = ~np.isin(rows["kind"], (LedgerKind.ACCEPTED, LedgerKind.FILL, LedgerKind.CANCELED, LedgerKind.FUNDING))
    assert np.all(rows["exch_ns"][ours] == rows["ts_ns"][ours])
    maker, taker = scene.rows(LedgerKind.FILL)
    # The quote fills inside its bar, which says so at its close; the market order took the open of the next bar.
    assert (int(maker["ts_ns"]), int(taker["ts_ns"])) == (START_NS + 3 * MINUTE_NS, START_NS + 6 * MINUTE_NS)
    assert (int(maker["exch_ns"]), int(taker["exch_ns"])) == (START_NS + 3 * MINUTE_NS, START_NS + 5 * MINUTE_NS)
