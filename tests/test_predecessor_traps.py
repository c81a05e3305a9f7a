"""What went wrong in the system before this one, each by name, so that it cannot come back."""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
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
from simcore.domain.enums import LONG, SHORT, LedgerKind, Screen, Veto
from simcore.domain.records import ACCOUNT, INSTRUMENT, INTENT, LIMITS, N_VETOES, TOTALS
from simcore.replay import Recording, run_replay
from simcore.strategy import strategy
from tests import book_streams
from tests.scenes import ENDLESS, LOTS, A, B, Scene, Wish, flat, gap, play

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


# ---------------------------------------------------------------- whole replays: limits that never fired


@pytest.mark.parametrize(
    ("limits_", "own", "veto"),
    [
        ({"max_concurrent_positions": 1}, {}, Veto.MAX_CONCURRENT_POSITIONS),
        ({"max_tier_positions": 1}, {}, Veto.MAX_TIER_POSITIONS),
        ({}, {"script": {"limits": {"max_strategy_positions": 1}}}, Veto.MAX_STRATEGY_POSITIONS),
        ({"max_orders_per_minute": 1}, {}, Veto.MAX_ORDERS_PER_MINUTE),
        ({"max_gross_nav_pct": 0.011}, {}, Veto.MAX_GROSS_NAV_PCT),
        ({"max_net_nav_pct": 0.011}, {}, Veto.MAX_NET_NAV_PCT),
        ({"max_tier_nav_pct": 0.011}, {}, Veto.MAX_TIER_NAV_PCT),
        ({}, {"script": {"limits": {"max_strategy_nav_pct": 0.011}}}, Veto.MAX_STRATEGY_NAV_PCT),
        ({"max_leverage": 0.011}, {}, Veto.MAX_LEVERAGE),
        ({"min_free_margin_pct": 0.9988}, {}, Veto.MIN_FREE_MARGIN_PCT),
    ],
)
def test_trap_every_limit_fires_in_a_whole_replay(limits_: dict, own: dict, veto: Veto) -> None:
    # The first symbol uses the limit up; the second one's smallest order no longer fits.
    tapes = {A: flat(n=4), B: flat(n=4)}
    minimum = {"min_notional_e8": 300 * 10**8}
    scene = play(tapes, {1: Wish(LONG, urgency=1.0)}, limits=limits_, own=own, instrument=minimum)
    assert veto in {code for _, code in scene.vetoes()}
    assert [fill.lots for fill in scene.fills(A)] == [LOTS] and scene.fills(B) == []
    free = play(tapes, {1: Wish(LONG, urgency=1.0)}, instrument=minimum)
    assert free.vetoes() == [] and len(free.fills()) == 2


# ---------------------------------------------------------------- whole replays: caps that ignored their configuration


@pytest.mark.parametrize(("cap", "lots"), [(0.01, 99), (0.05, 498), (0.1, 997), (0.25, 2_492), (1.0, 9_970)])
def test_trap_the_size_of_an_order_follows_the_configured_cap(cap: float, lots: int) -> None:
    sizing = {"method": "volatility_target", "target_sigma_day": 10.0}
    scene = play(
        flat(n=4), {1: Wish(LONG, urgency=1.0)}, limits={"max_trade_nav_pct": cap}, sizing=sizing, instrument={"max_qty_lots": 10**6}
    )
    # The cap's share of 100,000 over 1,003.0 a coin, the most the taker may pay, in lots of 0.01.
    assert [fill.lots for fill in scene.fills()] == [lots] == [int(cap * 100_000.0 / 10.03)]


@pytest.mark.parametrize("key", ["max_spread_bps", "min_volume_day_usd", "max_sigma_day", "min_sigma_day"])
def test_trap_the_market_thresholds_are_the_configured_ones(key: str) -> None:
    # The stage has a spread of 2 bps, a volume of a million coins of 1,000 and a day's volatility of 2 %.
    at = {"max_spread_bps": 2.0, "min_volume_day_usd": 1e9, "max_sigma_day": 0.0201, "min_sigma_day": 0.0199}[key]
    beyond = {"max_spread_bps": 1.9, "min_volume_day_usd": 1.001e9, "max_sigma_day": 0.0199, "min_sigma_day": 0.0201}[key]
    assert play(flat(n=3), {1: LONG}, screen={key: at}).screens() == []
    assert play(flat(n=3), {1: LONG}, screen={key: beyond}).screens() == [(1, Screen[key.upper()])]


# ---------------------------------------------------------------- whole replays: one minimum notional


@pytest.mark.parametrize("least", [5, 300, 997, 999, 1_000, 1_002])
def test_trap_what_sizer_and_gate_let_pass_the_exchange_takes(least: int) -> None:
    for wish in (Wish(LONG), Wish(SHORT), Wish(LONG, urgency=1.0), Wish(SHORT, urgency=1.0)):
        scene = play(flat(n=7), {1: wish}, instrument={"min_notional_e8": least * 10**8})
        passed = scene.rows(LedgerKind.GATE_PASS).size
        assert scene.rows(LedgerKind.REJECTED).size == 0
        assert len(scene.fills()) == passed


# ---------------------------------------------------------------- routers that left no trace of maker, taker and fallback


def test_trap_every_finished_route_says_maker_taker_and_fallback() -> None:
    from simcore.report.run import Run

    thin = (10_000, 10_000, 9_990, 10_000, 400)
    tapes = {A: [*flat(n=2), thin, *flat(n=8)], B: flat(n=11)}
    run = Run(play(tapes, {1: LONG, 6: 0}).recording)
    assert len(run.routes) == 4
    for name in ("outcome", "requested", "maker", "taker", "maker_orders", "taker_orders", "fallback", "waits_s", "slippage_bps"):
        assert run.routes[name].notna().all(), name
    filled = run.routes["maker"] + run.routes["taker"]
    assert (filled == run.routes["requested"]).all()
    assert set(run.routes["outcome"]) == {"mixed", "taker"} and run.routes["fallback"].all()


# ---------------------------------------------------------------- telemetry that was a stub


def busy_scenes() -> list[Scene]:
    """Return a few scenes in which, together, everything happens that can be counted."""
    wild, dive = (10_000, 10_060, 9_940, 10_000, ENDLESS), (10_000, 10_000, 8_000, 8_000, ENDLESS)
    now, both = Wish(LONG, urgency=1.0), Wish(LONG, stop=50, target=50, urgency=1.0)
    eight = {f"s{n}": {A: {1: now}} for n in range(8)}
    return [
        play([*flat(n=3), wild, *gap(2), *flat(n=9)], {1: both, 6: 0, 7: LONG, 8: 0}, filters={A: {2: {"min_notional_e8": 1}}}, funding={A: {2: 10_000}}),
        play([*flat(n=3), (10_000, 10_100, 10_000, 10_000, ENDLESS), *flat(n=6)], {1: both, 5: now, 7: 0}),
        play([*flat(n=2), *flat(10_100, 5)], {1: now}),
        play([*flat(n=2), *flat(9_900), (9_900, 9_900, 9_890, 9_900, ENDLESS)], {1: LONG}),
        play(flat(n=5), {1: now}, screen={"min_volume_day_usd": 1e12}),
        play({A: flat(n=4), B: flat(n=4)}, {1: now}, limits={"max_concurrent_positions": 1}),
        play([*flat(n=3), dive, *flat(8_000, 4)], {1: now}, settings={"cash": 1_500.0}, limits={"max_drawdown_pct": 0.05}),
        play([*flat(n=3), dive, *flat(8_000, 4)], scripts=eight, settings={"cash": 1_000.0}, instrument={"max_qty_lots": 90}),
    ]  # fmt: skip


def quoted_book() -> Recording:
    """Return a replay of a random book with a strategy that quotes both sides, at the touch and into it."""

    @strategy(on="timer", every="100ms", params={"into_ticks": 0.2})
    def eager(market, position, params, memory, signal):
        """Quote at the touch, and where much is bid beyond it: such a quote is refused."""
        signal["quote_levels"] = 1
        signal["bid"] = market["bid"] + (params["into_ticks"] if market["bid_qty"] > market["ask_qty"] else 0.0)
        signal["ask"] = market["ask"]

    config = load_config().with_strategy("eager", eager.params)
    config = config.replace(strategies=["eager"], allow_unlisted_symbols=True, set={"settings.book_model.queue_model": "log"})
    return run_replay(book_streams.feed(4, 800), config, strategies=[eager])


def test_trap_every_counter_counts_and_every_kind_of_row_is_written_by_somebody() -> None:
    scenes, quoted = busy_scenes(), quoted_book()
    for name in TOTALS.names or ():
        assert any(totals[name] != 0 for totals in (quoted.totals, *(scene.totals for scene in scenes))), name
    written = {int(kind) for scene in scenes for kind in scene.recording.ledger["kind"]} | set(quoted.ledger["kind"].tolist())
    # POLICY is written by learning, which is off here: tests/test_policy_refresh.py.
    assert {kind for kind in LedgerKind if kind not in written} == {LedgerKind.POLICY}
    outcomes = {name for scene in scenes for name in scene.outcomes()}
    assert {"maker", "taker", "gave_up", "canceled"} <= outcomes


# ---------------------------------------------------------------- quote assets known to the code


@pytest.mark.parametrize(("quote", "maker", "taker"), [("USDT", 2, 5), ("USDC", 0, 4)])
def test_trap_the_fees_of_a_quote_asset_come_from_assets_json_alone(quote: str, maker: int, taker: int) -> None:
    symbol = f"XXX{quote}"
    tape, wishes = [*flat(n=2), (10_000, 10_000, 9_990, 10_000, ENDLESS), *flat(n=3)], {1: LONG, 3: Wish(0, urgency=1.0)}
    scene = play({symbol: tape}, wishes, quotes={symbol: quote})
    paid = 100 * 9_998 * 100_000 * maker // 10_000 + 100 * 9_999 * 100_000 * taker // 10_000
    assert [fill.maker for fill in scene.fills()] == [True, False]
    assert int(scene.venue["account"]["fees_e8"]) == paid
    key = f"assets.quote_assets.{quote}"
    changed = play({symbol: tape}, wishes, quotes={symbol: quote}, files={f"{key}.maker_fee_bps": -1.0, f"{key}.taker_fee_bps": 7.5})
    assert int(changed.venue["account"]["fees_e8"]) == -(100 * 9_998 * 100_000) // 10_000 + 100 * 9_999 * 100_000 * 75 // 100_000
    assert [f[1:] for f in changed.fills()] == [f[1:] for f in scene.fills()], "nothing but the fee differs"


def test_trap_no_quote_asset_is_named_in_the_code() -> None:
    assets = set(json.loads((default_folder() / "assets.json").read_text())["quote_assets"]) | {"USDT", "USDC", "BUSD", "FDUSD"}
    root = Path(simcore.decision.__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        if "workspace" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        words = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
                assert not (assets & set(re.findall(r"[A-Z]{4,5}", node.value))), f"{path.name}:{node.lineno}: {node.value!r}"
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                assert not any(asset in name.upper() for asset in assets), f"{path.name}:{node.lineno}: {name}"


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
