"""What went wrong in the system before this one, each by name, so that it cannot come back."""

from __future__ import annotations

import ast
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest

import simcore.decision
from simcore.config import load_config
from simcore.config.resolve import default_folder
from simcore.decision import risk_gate, screener, sizer
from simcore.decision.risk_gate import account, check_order, check_order_nb, intent, limits
from simcore.decision.screener import screen_and_gate_nb, with_lots
from simcore.decision.sizer import minimum_lots_nb, size_lots_nb
from simcore.domain.enums import Veto
from simcore.domain.records import ACCOUNT, INSTRUMENT, INTENT, LIMITS, N_VETOES

DECISION = Path(simcore.decision.__file__).parent


# ---------------------------------------------------------------- the gate never received its context, so limits never fired


@pytest.mark.parametrize("field", ["open_positions", "tier_positions", "strategy_positions"])
def test_trap_a_count_the_gate_did_not_receive_is_a_veto(field: str) -> None:
    veto, detail = check_order(intent(**{field: -1}), account(), limits(), 0)
    assert (veto, detail["reason"], detail["missing"]) == (True, "context_missing", [f"intent.{field}"])


@pytest.mark.parametrize("field", ["symbol_gross", "tier_gross", "strategy_gross", "gross", "net"])
def test_trap_an_exposure_the_gate_did_not_receive_is_a_veto(field: str) -> None:
    veto, detail = check_order(intent(**{field: math.nan}), account(), limits(), 0)
    assert (veto, detail["reason"], detail["missing"]) == (True, "context_missing", [f"intent.{field}"])


def test_trap_records_nobody_filled_are_a_veto() -> None:
    order, books, rules = (np.zeros(1, layout)[0] for layout in (INTENT, ACCOUNT, LIMITS))
    for given in ((order, account(), limits()), (intent(), books, limits()), (intent(), account(), rules), (order, books, rules)):
        assert check_order(*given, 0)[0] is True


def test_trap_no_input_of_the_gate_is_optional() -> None:
    for function in (check_order, getattr(check_order_nb, "py_func", check_order_nb)):
        parameters = inspect.signature(function).parameters.values()
        assert all(p.default is inspect.Parameter.empty and p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)


def test_trap_every_limit_of_the_record_can_refuse_an_order() -> None:
    # Each limit set to the value nobody meets: if the gate never looked at it, the order would pass.
    order, books = intent(market_ts_ns=1), account(nav_ts_ns=1, day_loss_pct=0.01, drawdown_pct=0.01)
    order["mark"] = 99.0
    assert check_order(order, books, limits(), 2)[0] is False
    for name in LIMITS.names or ():
        nobody = math.inf if name.startswith("min_") else 0
        assert check_order(order, books, limits(**{name: nobody}), 2)[0] is True, name


# ---------------------------------------------------------------- a 10 % cap and thresholds were hard-coded


@pytest.mark.parametrize("cap", [0.001, 0.05, 0.1, 0.101, 0.5, 1.0, 3.0])
def test_trap_the_cap_is_the_configured_one_at_every_size(cap: float) -> None:
    books, rules = account(nav=10_000.0, available=1e9), limits(max_trade_nav_pct=cap)
    at = round(cap * 10_000.0 * 10)
    assert check_order(intent(qty_lots=at), books, rules, 0)[0] is False
    veto, detail = check_order(intent(qty_lots=at + 10), books, rules, 0)
    assert (veto, detail["reason"], detail["cap"]) == (True, "max_trade_nav_pct", pytest.approx(cap * 10_000.0))
    assert size_lots_nb(intent(), books, rules, 1e9, 1e15, 1.0, 0.001)[0] == at


@pytest.mark.parametrize("module", [risk_gate, screener, sizer])
def test_trap_no_threshold_is_written_into_the_decision_code(module) -> None:
    # Kernels hold units, signs and nothing else; the builders of example records are the face's and not compiled.
    units = {0.0, 1.0, 1e-8, 1e-9, 1e-4}
    tree = ast.parse(Path(module.__file__).read_text())
    kernels = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.endswith("_nb")]
    assert kernels
    for function in kernels:
        numbers = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, float)}
        assert numbers <= units, f"{function.name}: {numbers - units}"
    constants = {n.value.value for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant)}
    assert {c for c in constants if isinstance(c, float)} <= units


def test_trap_every_limit_of_the_gate_is_a_key_of_the_file() -> None:
    keys = json.loads((default_folder() / "risk_limits.json").read_text())
    for name in LIMITS.names or ():
        assert name.replace("_age_ns", "_age_s") in keys, name


# ---------------------------------------------------------------- minimum notionals disagreed between modules


@pytest.mark.parametrize("usd", [1, 5, 20, 50, 100, 777])
@pytest.mark.parametrize("ticks", [3, 10_000, 6_543_210])
def test_trap_gate_sizer_and_screener_share_one_minimum_notional(usd: int, ticks: int) -> None:
    order = intent(price_ticks=ticks, price=ticks / 100, min_notional_e8=usd * 10**8, max_qty_lots=10**12, qty_lots=1)
    books, rules = account(nav=1e9), limits()
    least = int(minimum_lots_nb(order))
    enough, short = with_lots(order, least), with_lots(order, least - 1)
    assert least * ticks * 1_000 >= usd * 10**8 > (least - 1) * ticks * 1_000
    assert check_order(enough, books, rules, 0)[0] is False
    if least > 1:
        assert check_order(short, books, rules, 0)[1]["reason"] == "min_notional"
    assert size_lots_nb(order, books, rules, float(enough["notional"]), 1e15, 1.0, 0.001)[0] == least
    assert size_lots_nb(order, books, rules, float(enough["notional"]) * 0.999999, 1e15, 1.0, 0.001)[0] == 0
    assert screen_and_gate_nb(order, books, rules, 0, np.zeros((N_VETOES, 2))) == 0


def test_trap_the_minimum_notional_has_one_source_the_exchange_filter() -> None:
    # No file of the configuration names one, and filling an instrument from the configuration leaves it alone.
    for path in default_folder().rglob("*.json"):
        assert "min_notional" not in path.read_text(), path.name
    row = np.zeros(1, INSTRUMENT)[0]
    row["min_notional_e8"] = 123
    load_config().fill_instrument(row, "BTCUSDT", "USDT")
    assert row["min_notional_e8"] == 123
    assert "min_notional_e8" not in LIMITS.names and "min_notional" not in LIMITS.names


def test_trap_the_veto_shows_the_minimum_of_the_order_itself() -> None:
    _, detail = check_order(intent(notional=60.0, min_notional_e8=100 * 10**8), account(), limits(), 0)
    assert (detail["reason"], detail["value"], detail["cap"]) == ("min_notional", 60.0, 100.0)
    assert detail["failing"][0]["source"] == "exchange filter: MIN_NOTIONAL"
    assert detail["code"] == Veto.MIN_NOTIONAL
