"""A config folder is either wholly valid or refused with every reason, each naming file, key, rule and value."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import Config, check_config, default_folder, json_schemas, load_config
from simcore.config.limits import Limits
from simcore.config.load import read_json
from simcore.config.models import FILES
from simcore.config.strategies import Screen, Sizing
from simcore.domain.enums import Screen as ScreenCode
from simcore.domain.enums import SizeMethod, Veto
from simcore.domain.errors import ConfigError, StrategyError
from simcore.domain.records import LIMITS, SCREEN, SIZING

SHIPPED = {stem: json.loads((default_folder() / f"{stem}.json").read_text()) for stem in FILES}
NAMES = tuple(f"{stem}.json" for stem in FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged config folder, to spoil."""
    return Path(shutil.copytree(default_folder(), tmp_path / "config"))


WRITTEN = json.dumps(SHIPPED)


def trees() -> dict[str, Any]:
    """Return the packaged files as plain objects, to spoil."""
    return dict(json.loads(WRITTEN))


def put(tree: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    tree[int(last) if isinstance(tree, list) else last] = value


def refusal(**changes: Any) -> list[str]:
    """Return the error lines of the packaged config with `{"risk_limits.max_leverage": -1}` put in."""
    spoilt = trees()
    for path, value in changes.items():
        put(spoilt, path, value)
    with pytest.raises(ConfigError) as caught:
        Config.of(spoilt, Path("config"))
    return str(caught.value).splitlines()


# ---------------------------------------------------------------- the packaged files


def test_the_packaged_config_has_no_error_and_no_warning() -> None:
    assert check_config(None) == ([], [])


def test_every_file_names_its_schema_and_the_schemas_are_those_of_the_models() -> None:
    schemas = json_schemas()
    assert set(schemas) == set(NAMES)
    for name, schema in schemas.items():
        shipped = default_folder() / SHIPPED[name.removesuffix(".json")]["$schema"]
        assert json.loads(shipped.read_text()) == schema, f"rewrite with: simcore config schema --out config/schema ({name})"


def test_the_reason_in_the_ledger_and_the_key_in_the_config_carry_the_same_name() -> None:
    limits, screen = set(Limits.model_fields), set(Screen.model_fields)
    not_keys = {"NONE", "CONTEXT_MISSING", "NAV_STALE", "MARKET_STALE", "KILL_SWITCH", "SYMBOL_NOT_TRADING", "MIN_NOTIONAL"}
    for veto in Veto:
        if veto.name not in not_keys | {"QTY_FILTER", "REDUCE_ONLY"}:
            assert veto.name.lower() in limits
    for code in ScreenCode:
        if code.name not in {"NONE", "CONTEXT_MISSING", "WARMUP", "GATE", "NOT_IN_UNIVERSE", "SIZE_ZERO"}:
            assert code.name.lower() in screen | limits
    assert {method.name.lower() for method in SizeMethod} == set(Sizing.model_fields["method"].annotation.__args__)  # type: ignore[union-attr]


def test_the_minimum_notional_is_not_configurable() -> None:
    """It has one source, the exchange's filter table: the predecessor's modules disagreed about it."""
    assert not re.search(r'"[a-z_]*min_?notional[a-z_]*"', json.dumps([SHIPPED, json_schemas()]))


def test_quote_assets_differ_in_assets_json_and_nowhere_in_code() -> None:
    code = "".join(path.read_text() for path in (Path(__file__).parents[1] / "simcore" / "config").glob("*.py"))
    assert "USDC" not in code and "USDT" not in code


def test_the_registry_says_what_the_strategies_code_says() -> None:
    from simcore.strategy import load_strategy

    for name, entry in load_config().strategy_registry.strategies.items():
        found = load_strategy(entry.module, name)
        assert {key: param.default for key, param in entry.params.items()} == found.params, name
        for key in entry.params:
            with pytest.raises(StrategyError):
                found.resolve({f"{key}_": 1.0})


# ---------------------------------------------------------------- one file by itself, exact messages

MESSAGES = [
    ("risk_limits.max_trade_nav_pc", 0.1, "risk_limits.json: unknown key 'max_trade_nav_pc'. Did you mean 'max_trade_nav_pct'?"),
    ("risk_limits.Max_Leverage", 3, "risk_limits.json: unknown key 'Max_Leverage'. Did you mean 'max_leverage'?"),
    (
        "risk_limits.per_symbol.BTCUSDT",
        {"max_order_notional": -5},
        "risk_limits.json: per_symbol.BTCUSDT.max_order_notional: must be > 0 (got -5)",
    ),
    (
        "risk_limits.per_symbol.BTCUSDT",
        {"max_order_notionl": 5},
        "risk_limits.json: per_symbol.BTCUSDT: unknown key 'max_order_notionl'. Did you mean 'max_order_notional'?",
    ),
    ("risk_limits.max_trade_nav_pct", 5, "risk_limits.json: max_trade_nav_pct: must be <= 1 (got 5)"),
    ("risk_limits.max_symbol_nav_pct", 20, "risk_limits.json: max_symbol_nav_pct: must be <= 10 (got 20)"),
    ("risk_limits.max_leverage", math.nan, "risk_limits.json: max_leverage: must be a finite number (got nan)"),
    ("risk_limits.max_leverage", math.inf, "risk_limits.json: max_leverage: must be a finite number (got inf)"),
    ("risk_limits.max_leverage", "3", "risk_limits.json: max_leverage: must be a number (got '3')"),
    ("risk_limits.max_leverage", True, "risk_limits.json: max_leverage: must be a number (got true)"),
    ("risk_limits.max_leverage", None, "risk_limits.json: max_leverage: must be a number (got null)"),
    ("risk_limits.max_concurrent_positions", 2.5, "risk_limits.json: max_concurrent_positions: must be a whole number (got 2.5)"),
    ("risk_limits.max_concurrent_positions", -1, "risk_limits.json: max_concurrent_positions: must be >= 1 (got -1)"),
    ("risk_limits.per_tier", [], "risk_limits.json: per_tier: must be an object in braces (got a list)"),
    ("settings.cash", 0, "settings.json: cash: must be > 0 (got 0)"),
    (
        "settings.position_mode",
        "hedging",
        "settings.json: position_mode: must be one of auto, hedge, one_way (got 'hedging'). Did you mean 'hedge'?",
    ),
    ("settings.kill_switch.flatten", 1, "settings.json: kill_switch.flatten: must be true or false (got 1)"),
    ("settings.v6_enabled", 1, "settings.json: v6_enabled: must be true or false (got 1)"),
    ("settings.expectancy.enabled", "on", "settings.json: expectancy.enabled: must be true or false (got 'on')"),
    (
        "learning.expectancy.gate_on",
        "shrunk",
        "learning.json: expectancy.gate_on: must be one of shrunk_mean, lower_bound (got 'shrunk'). Did you mean 'shrunk_mean'?",
    ),
    ("settings.router.wait_s", 0, "settings.json: router.wait_s: must be >= 0.001 (got 0)"),
    (
        "settings.bar_model.fill_rule",
        "touched",
        "settings.json: bar_model.fill_rule: must be one of through, touch (got 'touched'). Did you mean 'touch'?",
    ),
    ("settings.bar_model.half_spread_bps.core", -1, "settings.json: bar_model.half_spread_bps.core: must be >= 0 (got -1)"),
    (
        "strategy_config.strategies.sma_cross.sizing",
        {"kelly_fraction": 0.5},
        "strategy_config.json: strategies.sma_cross.sizing.kelly_fraction: must be <= 0.25 (got 0.5)",
    ),
    (
        "strategy_config.strategies.sma_cross.symbols",
        "BTCUSDT",
        "strategy_config.json: strategies.sma_cross.symbols: must be \"all\" or a list of symbols (got 'BTCUSDT')",
    ),
    (
        "strategy_config.strategies.sma_cross.interval",
        "1hour",
        "strategy_config.json: strategies.sma_cross.interval: must be one of base, 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, "
        "12h, 1d (got '1hour'). Known: 12h, 15m, 1d, 1h, 1m, 2h, 30m, 3m, 4h, 5m, 6h, 8h, base.",
    ),
    (
        "pairs_universe.symbols.BTCUSDT.0.valid_from",
        "2019-13-08",
        "pairs_universe.json: symbols.BTCUSDT.0.valid_from: must be a date like 2025-05-04 (got '2019-13-08')",
    ),
    ("assets.quote_assets.USDT.taker_fee_bps", -1, "assets.json: quote_assets.USDT.taker_fee_bps: must be >= 0 (got -1)"),
    ("reserves.reserve_cash_pct", 1, "reserves.json: reserve_cash_pct: must be < 1 (got 1)"),
    ("dashboard.theme", "drak", "dashboard.json: theme: must be one of auto, light, dark (got 'drak'). Did you mean 'dark'?"),
]


@pytest.mark.parametrize(("path", "value", "message"), MESSAGES, ids=[f"{path}={value}"[:60] for path, value, _ in MESSAGES])
def test_a_wrong_value_is_refused_with_its_place_and_the_rule(path: str, value: Any, message: str) -> None:
    assert refusal(**{path: value}) == [message]


def test_an_error_stays_on_its_line_whatever_the_name_holds() -> None:
    lines = refusal(**{"strategy_registry.strategies.sma_cross.params.fast.less_than": "slow\r\nerror: forged"})
    assert len(lines) == 1 and "parameter 'slow\\r\\nerror: forged' is not in" in lines[0]


@pytest.mark.parametrize("letter", ["\n", "\r", "\x85", "\u2028", "\x1b"])
def test_no_letter_of_a_name_breaks_an_error_line(letter: str) -> None:
    spoilt = trees()
    spoilt["assets"]["quote_assets"][f"US{letter}D"] = spoilt["assets"]["quote_assets"]["USDT"]
    lines = outcome(spoilt)
    assert isinstance(lines, list) and lines
    assert all(line.startswith("assets.json: ") and line.isprintable() for line in lines)


def test_a_missing_key_is_named() -> None:
    spoilt = trees()
    del spoilt["risk_limits"]["max_leverage"]
    del spoilt["strategy_config"]["defaults"]["screen"]["max_spread_bps"]
    with pytest.raises(ConfigError) as caught:
        Config.of(spoilt, Path("config"))
    assert str(caught.value).splitlines() == [
        "strategy_config.json: defaults.screen.max_spread_bps: is missing",
        "risk_limits.json: max_leverage: is missing",
    ]


def test_all_errors_of_all_files_come_at_once() -> None:
    lines = refusal(
        **{"settings.cash": -1, "risk_limits.max_leverage": "3", "risk_limits.max_drawdown_pct": 30, "assets.quote_assets": {}}
    )
    assert {line.split(": ")[1] for line in lines} == {"cash", "max_leverage", "max_drawdown_pct", "quote_assets"}


def test_a_thousand_errors_are_cut_to_a_readable_number() -> None:
    lines = refusal(**{"risk_limits.per_symbol": {f"S{i}": {"max_order_notional": -1} for i in range(1_000)}})
    assert len(lines) == 51 and lines[-1] == "risk_limits.json: and 950 more errors"


# ---------------------------------------------------------------- bytes

BYTES = [
    (b'{"cash": 1, "cash": 2}', "settings.json: key 'cash' is given twice"),
    (b'{"router": {"wait_s": 1, "wait_s": 2}}', "settings.json: router: key 'wait_s' is given twice"),
    (b'{"cash": 1,}', "settings.json: line 1, column 12: not valid JSON: "),
    (b"", "settings.json: line 1, column 1: not valid JSON: Expecting value."),
    (b"[]", "settings.json: must hold one object in braces (got a list)."),
    (b"null", "settings.json: must hold one object in braces (got null)."),
    (b'{"a":' * 100_000, "settings.json: is nested too deeply."),
    (b'{"a":' * 200 + b"1" + b"}" * 200, "settings.json: is nested too deeply."),
    ('{"cash": 1}'.encode("utf-16"), "settings.json: is not UTF-8 text (byte 0). Save it with UTF-8 encoding."),
    (b'{"cash": "\xe9"}', "settings.json: is not UTF-8 text (byte 10). Save it with UTF-8 encoding."),
    (b'{"cash": ' + b"9" * 5_000 + b"}", "settings.json: holds a number with too many digits."),
    (b'{"cash": 1' + b" " * 10_000_000 + b"}", "settings.json: is larger than 4,000,000 bytes. Is it a configuration file?"),
    (b"\x00" * 100, "settings.json: line 1, column 1: not valid JSON: Expecting value."),
]


@pytest.mark.parametrize(("raw", "message"), BYTES, ids=range(len(BYTES)))
def test_bytes_that_are_no_configuration_are_refused_in_words(folder: Path, raw: bytes, message: str) -> None:
    (folder / "settings.json").write_bytes(raw)
    errors, _ = check_config(folder)
    assert len(errors) == 1 and errors[0].startswith(message)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_would_switch_a_limit_off_is_refused(folder: Path, number: str) -> None:
    """A NaN or infinite cap vetoes nothing: every comparison with it is false."""
    path = folder / "risk_limits.json"
    path.write_text(path.read_text().replace('"max_gross_nav_pct": 1.50', f'"max_gross_nav_pct": {number}'))
    errors, _ = check_config(folder)
    assert len(errors) == 1 and errors[0].startswith("risk_limits.json: max_gross_nav_pct: must be a finite number (got ")


def test_an_integer_beyond_every_machine_is_refused_and_not_rounded(folder: Path) -> None:
    path = folder / "risk_limits.json"
    path.write_text(path.read_text().replace('"max_orders_per_minute": 840', f'"max_orders_per_minute": {10**400}'))
    errors, _ = check_config(folder)
    assert len(errors) == 1 and errors[0].startswith("risk_limits.json: max_orders_per_minute: ")


def test_a_lone_surrogate_is_refused(folder: Path) -> None:
    path = folder / "dashboard.json"
    path.write_text(path.read_text().replace('"simcore"', r'"\ud800"'))
    errors, _ = check_config(folder)
    assert errors == ["dashboard.json: title: holds half a character"]


def test_a_byte_order_mark_is_forgiven(folder: Path) -> None:
    path = folder / "settings.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert check_config(folder) == ([], [])


def test_a_missing_file_and_a_stranger_beside_it_are_named(folder: Path) -> None:
    (folder / "settings.json").rename(folder / "setting.json")
    errors, _ = check_config(folder)
    assert errors == [f"settings.json: is missing in {folder}. Found setting.json. `simcore init DIR` writes a complete set."]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder with configuration files"):
        load_config(tmp_path / "nowhere")


def test_a_file_that_cannot_be_read_is_an_error_of_the_config(folder: Path) -> None:
    (folder / "settings.json").unlink()
    (folder / "settings.json").mkdir()
    errors, _ = check_config(folder)
    assert len(errors) == 1 and errors[0].startswith("settings.json: cannot be read (Is a directory).")


def test_a_hostile_file_of_duplicates_is_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{" + ",".join(f'"k{i}":1,"k{i}":1' for i in range(100_000)) + "}")
    tree, errors = read_json(path)
    assert tree == {} and len(errors) == 50 and errors[0] == "settings.json: key 'k0' is given twice"


# ---------------------------------------------------------------- files against each other

CROSS = [
    (
        {"strategy_config.strategies.sma_cross.limits": {"max_trade_nav_pct": 0.2}},
        "strategy_config.json: strategies.sma_cross.limits.max_trade_nav_pct: asks for 0.2, but risk_limits.json: "
        "max_trade_nav_pct allows 0.05",
    ),
    (
        {"strategy_config.strategies.sma_cross.sizing": {"fraction": 0.1}},
        "strategy_config.json: strategies.sma_cross.sizing.fraction: asks for 0.1 of the NAV a trade, but max_trade_nav_pct "
        "allows 0.05",
    ),
    (
        {"risk_limits.per_symbol": {"BTCUSTD": {}}},
        "risk_limits.json: per_symbol.BTCUSTD: symbol 'BTCUSTD' is not in pairs_universe.json. Did you mean 'BTCUSDT'?",
    ),
    (
        {"strategy_config.strategies.sma_cross.symbols": ["ETHUSTD"]},
        "strategy_config.json: strategies.sma_cross.symbols: symbol 'ETHUSTD' is not in pairs_universe.json. "
        "Did you mean 'ETHUSDT'?",
    ),
    (
        {"strategy_config.strategies.sma_crss": {"enabled": False}},
        "strategy_config.json: strategies.sma_crss: strategy 'sma_crss' is not in strategy_registry.json. "
        "Did you mean 'sma_cross'?",
    ),
    (
        {"settings.leverage.cor": 5},
        "settings.json: leverage.cor: tier 'cor' is not in pairs_universe.json. Did you mean 'core'?",
    ),
    (
        {"pairs_universe.tiers.tiny": {}, "settings.leverage.tiny": 2},
        "settings.json: bar_model.half_spread_bps: tier 'tiny' of pairs_universe.json is missing",
    ),
    (
        {"pairs_universe.symbols.BTCUSDT.0.tier": "cor"},
        "pairs_universe.json: symbols.BTCUSDT.0.tier: tier 'cor' is not in its tiers. Did you mean 'core'?",
    ),
    (
        {"pairs_universe.symbols.BTCUSDT.0.quote_asset": "USDX"},
        "pairs_universe.json: symbols.BTCUSDT.0.quote_asset: quote asset 'USDX' is not in assets.json. Did you mean 'USDT'?",
    ),
    (
        {"reserves.treasury": {"USDD": 1.0}},
        "reserves.json: treasury.USDD: quote asset 'USDD' is not in assets.json. Did you mean 'USDT'?",
    ),
    (
        {"reserves.treasury.USDT": 1e6},
        "reserves.json: keeps 1e+06 out of settings.json: cash 100000: nothing is left to trade",
    ),
    (
        {"strategy_config.strategies.ema_cross.params.fst": 5.0},
        "strategy_config.json: strategies.ema_cross.params: unknown parameter 'fst' of ema_cross. Did you mean 'fast'?",
    ),
    (
        {"strategy_config.strategies.ema_cross.params.fast": 500},
        "strategy_config.json: strategies.ema_cross.params.fast: must be less than slow 120 (got 500)",
    ),
    (
        {"strategy_config.strategies.ema_cross.params.slow": 1e9},
        "strategy_config.json: strategies.ema_cross.params.slow: must be <= 10000 (got 1e+09)",
    ),
    (
        {"strategy_config.strategies.sma_cross.screen": {"min_sigma_day": 0.6}},
        "strategy_config.json: strategies.sma_cross.screen.min_sigma_day: must be less than max_sigma_day 0.5 (got 0.6)",
    ),
    (
        {"pairs_universe.symbols.BTCUSDT.0.valid_to": "2019-09-08"},
        "pairs_universe.json: symbols.BTCUSDT.0.valid_to: must be after valid_from (got 2019-09-08 <= 2019-09-08)",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CROSS, ids=[next(iter(changes)) for changes, _ in CROSS])
def test_files_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == [message]


def test_periods_of_a_symbol_may_follow_but_not_overlap() -> None:
    first = {"tier": "mid", "quote_asset": "USDT", "valid_from": "2020-01-01", "valid_to": "2021-01-01"}
    second = {"tier": "core", "quote_asset": "USDT", "valid_from": "2021-01-01"}
    spoilt = trees()
    spoilt["pairs_universe"]["symbols"]["BTCUSDT"] = [first, second]
    assert Config.of(spoilt, Path("config")).universe(0) == {}
    assert refusal(**{"pairs_universe.symbols.BTCUSDT": [first, {**second, "valid_from": "2020-12-31"}]}) == [
        "pairs_universe.json: symbols.BTCUSDT.1.valid_from: overlaps the period before it (got 2020-12-31)"
    ]
    open_ended = {key: value for key, value in first.items() if key != "valid_to"}
    assert len(refusal(**{"pairs_universe.symbols.BTCUSDT": [open_ended, second]})) == 1


def test_one_way_mode_refuses_two_strategies_on_one_symbol() -> None:
    spoilt = trees()
    spoilt["settings"]["position_mode"] = "one_way"
    for name, use in spoilt["strategy_config"]["strategies"].items():
        use["enabled"] = name in ("sma_cross", "ema_cross")
        use["symbols"] = ["BTCUSDT", "ETHUSDT"] if name == "sma_cross" else ["ETHUSDT", "SOLUSDT"]
    with pytest.raises(ConfigError) as caught:
        Config.of(spoilt, Path("config"))
    assert str(caught.value) == (
        "settings.json: position_mode: one_way nets sma_cross, ema_cross into one position on ETHUSDT. "
        'Use "hedge", or enable one of them.'
    )
    spoilt["strategy_config"]["strategies"]["ema_cross"]["symbols"] = ["SOLUSDT"]
    assert Config.of(spoilt, Path("config")).position_mode().name == "ONE_WAY"


WARNINGS = [
    (
        "risk_limits.max_symbol_nav_pct",
        2,
        "risk_limits.json: max_symbol_nav_pct: 2 can never bind, max_gross_nav_pct 1.5 comes first",
    ),
    (
        "risk_limits.max_daily_loss_pct",
        0.5,
        "risk_limits.json: max_daily_loss_pct: 0.5 can never bind, max_drawdown_pct 0.3 comes first",
    ),
    (
        "risk_limits.per_tier.mid.max_trade_nav_pct",
        0.9,
        "risk_limits.json: per_tier.mid.max_trade_nav_pct: 0.9 can never bind, risk_limits.json: max_trade_nav_pct 0.05 "
        "comes first",
    ),
    (
        "pairs_universe.symbols.BTCUSDT.0.max_symbol_nav_pct",
        0.9,
        "pairs_universe.json: symbols.BTCUSDT.0.max_symbol_nav_pct: 0.9 can never bind, risk_limits.json: max_symbol_nav_pct 0.2 "
        "comes first",
    ),
    (
        "strategy_config.strategies.sma_cross.screen",
        {"max_spread_bps": 9.0},
        "strategy_config.json: sma_cross accepts a spread of 9 bps, but settings.json: bar_model.half_spread_bps.unlisted 5 "
        "means 10: no signal in tier unlisted can pass on bars",
    ),
    ("pairs_universe.symbols.XXXUSDT", [], "pairs_universe.json: symbols.XXXUSDT: has no period, so it is never traded"),
    (
        "assets.quote_assets.USD1",
        {"maker_fee_bps": 2.0, "taker_fee_bps": 5.0, "decimals": 2},
        "assets.json: quote_assets.USD1: no symbol of pairs_universe.json is quoted in it",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), WARNINGS, ids=[path for path, _, _ in WARNINGS])
def test_what_is_odd_but_allowed_is_a_warning(path: str, value: Any, message: str) -> None:
    odd = trees()
    put(odd, path, value)
    assert Config.of(odd, Path("config")).warnings == [message]


# ---------------------------------------------------------------- mutations


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value of a tree, inner ones too."""
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


Place = tuple[str, tuple[Any, ...]]
PLACES: list[Place] = [(stem, path) for stem in FILES for path in places(SHIPPED[stem])]
SCALARS = st.sampled_from([None, True, False, 0, -1, 1, 5, 1.5, -0.0, 1e-300, 1e300, 10**30, math.nan, math.inf, 2**63])
WORDS = ["", "all", "1", "BTCUSDT", "core", "2025-02-30", "2030-01-01", "1h", "hedge", "x" * 5_000, "\ud800", "\x00", "é"]
SHAPES = st.sampled_from([[], {}, [[]], {"": 0}, {"a": {"a": {}}}, ["BTCUSDT", 1]])
VALUES = SCALARS | st.sampled_from(WORDS) | SHAPES | st.floats() | st.text(max_size=8)
# Objects whose keys a person chooses: elsewhere a key that is not known must be refused.
FREE = {
    ("settings", "leverage"),
    ("settings", "bar_model", "half_spread_bps"),
    ("risk_limits", "per_tier"),
    ("risk_limits", "per_symbol"),
    ("pairs_universe", "tiers"),
    ("pairs_universe", "symbols"),
    ("assets", "quote_assets"),
    ("reserves", "treasury"),
    ("strategy_registry", "strategies"),
    ("strategy_config", "strategies"),
}


def parent(tree: Any, path: tuple[Any, ...]) -> Any:
    for part in path[:-1]:
        tree = tree[part]
    return tree


def outcome(spoilt: dict[str, Any]) -> Config | list[str]:
    """Return the config, or the error lines; any other exception is a failure."""
    try:
        return Config.of(spoilt, Path("config"))
    except ConfigError as error:
        return str(error).splitlines()


def every_rule_holds(config: Config) -> None:
    """What must be true of an accepted config, looked up in what the core is handed."""
    strategies = [entry.name for entry in config.enabled_strategies]
    assert len(strategies) <= 8 and 0 < config.cash <= 1e10 and 0 <= config.reserve_nav < config.cash
    for name in config.strategy_registry.strategies:
        entry = config.entry(name)
        assert all(math.isfinite(value) for value in entry.params.values())
        for key, param in config.strategy_registry.strategies[name].params.items():
            assert param.min <= entry.params[key] <= param.max
        assert all(np.isfinite(config.sizing(name)[field][0]) for field in SIZING.names)
        for symbol in ("BTCUSDT", "KASUSDT", "SYNAUSDT", "NEVERSEEN"):
            limits, screen = config.limits(name, symbol)[0], config.screen(name, symbol)[0]
            for field in LIMITS.names:
                assert np.isfinite(limits[field]) and (limits[field] > 0 or field.startswith("min_")), field
            for field in SCREEN.names:
                assert np.isfinite(screen[field]) and (screen[field] >= 0 or field == "min_expectancy_bps"), field
            for key in ("max_trade_nav_pct", "max_drawdown_pct", "max_daily_loss_pct", "min_free_margin_pct", "price_collar_pct"):
                assert 0 <= limits[key] <= 1
            for key, widest in config.risk_limits.model_dump(include=set(LIMITS.names)).items():
                assert limits[key] >= widest if key.startswith("min_") else limits[key] <= widest
            assert screen["min_sigma_day"] < screen["max_sigma_day"]
            policy = config.policy(symbol)[0]
            assert policy["wait_ns"] > 0 and 0 <= policy["taker_bias"] <= 1 and policy["price_cap_bps"] > 0
    for day in (0, 1_750_000_000 * 10**9):
        for symbol, listed in config.universe(day).items():
            assert config.tiers[listed.tier_id] == listed.tier and listed.quote_asset in config.quote_assets
            assert listed.valid_from_ns <= day < listed.valid_to_ns, symbol


@settings(max_examples=1_000)
@given(st.sampled_from(PLACES), VALUES)
def test_a_changed_value_is_accepted_with_every_rule_intact_or_refused_by_name(place: Place, value: Any) -> None:
    stem, path = place
    spoilt = trees()
    parent(spoilt[stem], path)[path[-1]] = value
    result = outcome(spoilt)
    if isinstance(result, Config):
        every_rule_holds(result)
        return
    assert all(line.startswith(NAMES) for line in result)
    own = [line for line in result if line.startswith(f"{stem}.json")]
    parts = {str(part) for part in path}
    assert any(part in line for line in own for part in parts) or any(str(path[-1]) in line or f"{stem}.json" in line for line in result)


@settings(max_examples=1_000)
@given(st.sampled_from(PLACES), st.sampled_from(["drop_last", "double", "upper", "prefix"]), st.integers(0, 30))
def test_a_misspelt_key_is_never_a_silent_default(place: Place, how: str, at: int) -> None:
    stem, path = place
    spoilt = trees()
    owner, key = parent(spoilt[stem], path), path[-1]
    if isinstance(owner, list) or (stem, *path[:-1]) in FREE:
        return
    i = at % len(key)
    wrong = {"drop_last": key[:-1], "double": key[:i] + key[i] + key[i:], "upper": key.upper(), "prefix": "_" + key}[how]
    if wrong == key or wrong in owner:
        return
    owner[wrong] = owner.pop(key)
    result = outcome(spoilt)
    assert not isinstance(result, Config), f"{stem}.json: {wrong} was taken in silence"
    assert any(f"'{name}'" in line or f".{name}" in line for line in result for name in (wrong, key))


@settings(max_examples=1_000)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_bytes_are_read_as_a_config_or_refused(stem: str, data: st.DataObject) -> None:
    raw = bytearray((default_folder() / f"{stem}.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=6))
    path = SCRATCH / f"{stem}.json"
    path.write_bytes(bytes(raw))
    tree, errors = read_json(path)
    if errors:
        assert all(line.startswith(f"{stem}.json: ") for line in errors)
        return
    spoilt = trees()
    spoilt[stem] = tree
    result = outcome(spoilt)
    if isinstance(result, Config):
        every_rule_holds(result)
    else:
        assert all(line.startswith(NAMES) for line in result)


@pytest.fixture(autouse=True, scope="module")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> None:
    global SCRATCH
    SCRATCH = tmp_path_factory.mktemp("bytes")


SCRATCH = Path()


# ---------------------------------------------------------------- speed and weight


def test_loading_is_quick_and_pulls_in_no_heavy_library() -> None:
    """60 ms of processor time beyond numpy and pydantic, doubled for a busy machine; the best of five counts."""
    script = (
        "import sys, time\n"
        "import numpy\n"
        "from pydantic import BaseModel, create_model\n"
        "create_model('Warm', a=(int, 1))\n"
        "start = time.process_time()\n"
        "from simcore.config import load_config\n"
        "load_config()\n"
        "heavy = [name for name in ('pandas', 'pyarrow', 'binance', 'numba') if name in sys.modules]\n"
        "print(time.process_time() - start, *heavy)\n"
    )
    root = str(Path(__file__).parents[1])
    runs = []
    for _ in range(5):
        environment = {**os.environ, "PYTHONPATH": root}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root, env=environment
        )
        seconds, *heavy = done.stdout.split()
        assert heavy == []
        runs.append(float(seconds))
    assert min(runs) < 0.12, f"best of five: {min(runs) * 1e3:.0f} ms"


def test_no_key_is_decoration() -> None:
    """Every key of how things run and how they are shown is named where it is read, or is a member of an enum."""
    modelled = ("fields", "settings", "universe")
    sources = [path for folder in ("simcore", "replay_data") for path in sorted((default_folder().parent / folder).rglob("*.py"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.stem not in modelled)
    models = [FILES["dashboard"], FILES["settings"]]
    unread = []
    while models:
        for name, field in models.pop().model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                models.append(kind)
            if name not in ("schema_", "note") and not re.search(rf"[.\"]{name}\b|^    {name} = \d", text, re.MULTILINE):
                unread.append(name)
    assert unread == []
