"""A checked config answers in the core's records: the tightest of all scopes, in the core's units, on the day asked."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simcore.config import Config, default_folder, interval_ns, load_config
from simcore.config.limits import STRATEGY_LIMITS, SYMBOL_LIMITS, TIER_LIMITS
from simcore.config.models import FILES
from simcore.domain.enums import OffsetTier, PositionMode, SizeMethod
from simcore.domain.errors import ConfigError
from simcore.domain.records import INSTRUMENT, LIMITS, POLICY, SCREEN, SIZING

DAY = 86_400 * 10**9
CONFIG = load_config()
WRITTEN = json.dumps({stem: json.loads((default_folder() / f"{stem}.json").read_text()) for stem in FILES})


def trees() -> dict[str, Any]:
    return dict(json.loads(WRITTEN))


def made(**changes: Any) -> Config:
    """Return the packaged config with `{"risk_limits.per_symbol": {...}}` put in."""
    return CONFIG.replace(set=changes)


# ---------------------------------------------------------------- hash


def test_the_hash_sees_values_and_not_layout(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for stem, tree in trees().items():
        tree.pop("$schema")
        (folder / f"{stem}.json").write_text(json.dumps(dict(reversed(tree.items())), indent=9))
    assert load_config(folder).hash == CONFIG.hash


def test_the_hash_is_the_same_in_another_process() -> None:
    script = "from simcore.config import load_config; print(load_config().hash)"
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == CONFIG.hash


def test_a_written_default_is_the_same_config_as_an_omitted_one() -> None:
    same = trees()
    same["risk_limits"]["per_symbol"] = {**same["risk_limits"]["per_symbol"], "BTCUSDT": {}}
    same["strategy_config"]["strategies"]["sma_cross"]["limits"] = {}
    assert Config.of(same, Path()).limits("sma_cross", "BTCUSDT") == CONFIG.limits("sma_cross", "BTCUSDT")
    del same["risk_limits"]["per_symbol"]["BTCUSDT"]
    assert Config.of(same, Path()).hash == CONFIG.hash


@pytest.mark.parametrize(
    "changes",
    [
        {"settings.router.wait_s": 121},
        {"risk_limits.max_trade_nav_pct": 0.049},
        {"assets.quote_assets.USDT.taker_fee_bps": 4.999},
        {"ema_cross.fast": 23},
        {"pairs_universe.symbols.BTCUSDT": [{"tier": "core", "quote_asset": "USDT", "valid_from": "2019-09-09"}]},
        {"reserves.treasury.USDT": 1e-9},
    ],
)
def test_any_change_of_a_value_changes_the_hash(changes: dict[str, Any]) -> None:
    assert made(**changes).hash != CONFIG.hash


# ---------------------------------------------------------------- replace


def test_replacing_nothing_is_the_same_config() -> None:
    assert CONFIG.replace().hash == CONFIG.hash


def test_replace_runs_exactly_the_named_strategies_with_the_given_values() -> None:
    changed = CONFIG.replace(strategies=["ema_cross"], cash=10_000.0, set={"ema_cross.fast": 10.0})
    (entry,) = changed.enabled_strategies
    assert (entry.name, entry.module, entry.interval, entry.interval_ns) == (
        "ema_cross",
        "strategies.ema_cross",
        "1h",
        3_600 * 10**9,
    )
    assert entry.params == {"fast": 10.0, "slow": 120.0} and entry.symbols == "all" and entry.trades("BTCUSDT")
    assert changed.cash == 10_000.0
    assert CONFIG.cash == 100_000.0 and len(CONFIG.enabled_strategies) == 6, "the original is left as it was"


def test_values_from_the_command_line_may_be_text() -> None:
    changed = CONFIG.replace(
        set={"ema_cross.fast": "12", "settings.bar_model.fill_rule": "touch", "settings.kill_switch.flatten": "false"}
    )
    assert changed.entry("ema_cross").params["fast"] == 12.0
    assert changed.settings.bar_model.fill_rule == "touch" and changed.settings.kill_switch.flatten is False


def test_a_whole_number_given_as_a_float_fits_a_whole_number() -> None:
    assert made(**{"risk_limits.max_concurrent_positions": 3.0}).risk_limits.max_concurrent_positions == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": ["ema_cros"]}, "strategy_registry.json: unknown strategy 'ema_cros'. Did you mean 'ema_cross'?"),
        ({"set": {"ema_cros.fast": 1}}, "--set ema_cros.fast: unknown strategy 'ema_cros'. Did you mean 'ema_cross'?"),
        ({"set": {"ema_cross.fst": 1}}, "--set ema_cross.fst: unknown parameter 'fst' of ema_cross. Did you mean 'fast'?"),
        ({"set": {"ema_cross": 1}}, "--set ema_cross: unknown parameter '' of ema_cross. Known: fast, slow."),
        ({"set": {"ema_cross.fast": 0}}, "strategy_config.json: strategies.ema_cross.params.fast: must be >= 1 (got 0)"),
        (
            {"set": {"ema_cross.fast": "ten"}},
            "strategy_config.json: strategies.ema_cross.params.fast: must be a number (got 'ten')",
        ),
        ({"set": {"settings.cash.usd": 1}}, "--set settings.cash.usd: 'settings.json' has no such place."),
        ({"set": {"settings.cahs": 1}}, "settings.json: unknown key 'cahs'. Did you mean 'cash'?"),
        ({"cash": -1.0}, "settings.json: cash: must be > 0 (got -1.0)"),
        ({"cash": math.nan}, "settings.json: cash: must be a finite number (got nan)"),
    ],
)
def test_a_wrong_replacement_is_refused_with_the_nearest_right_one(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.replace(**change)
    assert str(caught.value) == message


def test_a_strategy_made_in_python_runs_under_the_defaults() -> None:
    changed = CONFIG.with_strategy("my_idea", {"length": 30.0})
    (entry,) = changed.enabled_strategies
    assert (entry.name, entry.interval, entry.interval_ns, entry.params) == ("my_idea", "base", 0, {"length": 30.0})
    assert changed.sizing("my_idea") == CONFIG.sizing("sma_cross")
    assert changed.replace(set={"my_idea.length": 12}).entry("my_idea").params == {"length": 12.0}
    again = CONFIG.with_strategy("zscore_reversion", {"length": 30.0})
    assert again.entry("zscore_reversion").params == {"length": 30.0}
    assert again.entry("zscore_reversion").interval == "15m", "a registered name keeps how it is used"


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        CONFIG.settings.cash = 1.0
    with pytest.raises(TypeError):
        CONFIG.settings.leverage["core"] = 125.0
    with pytest.raises(TypeError):
        CONFIG.strategy_config.strategies["ema_cross"].params["fast"] = 1.0
    with pytest.raises(AttributeError):
        CONFIG.folder = Path()  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Did you mean 'settings'"):
        CONFIG.setings  # noqa: B018 - reading it is the test


def test_a_copied_folder_is_the_same_config_and_knows_where_it_lies(tmp_path: Path) -> None:
    copied = load_config(str(shutil.copytree(default_folder(), tmp_path / "mine" / "config")))
    assert copied.hash == CONFIG.hash and copied.folder == tmp_path / "mine" / "config"


# ---------------------------------------------------------------- records


def test_limits_are_in_the_units_of_the_record() -> None:
    limits = CONFIG.limits("sma_cross", "BTCUSDT")
    assert limits.dtype == LIMITS and limits.shape == (1,)
    row = limits[0]
    assert row["nav_max_age_ns"] == 120 * 10**9 and row["market_max_age_ns"] == 180 * 10**9
    assert (row["max_trade_nav_pct"], row["max_symbol_nav_pct"], row["max_gross_nav_pct"]) == (0.05, 0.2, 1.5)
    assert (row["max_concurrent_positions"], row["max_orders_per_minute"]) == (24, 840)


def test_every_limit_names_the_file_and_key_it_comes_from() -> None:
    sources = CONFIG.limit_sources("zscore_reversion", "KASUSDT")
    assert sources["max_order_notional"] == (20_000.0, "risk_limits.json: per_symbol.KASUSDT.max_order_notional")
    assert sources["max_tier_nav_pct"] == (0.5, "risk_limits.json: per_tier.mid.max_tier_nav_pct")
    assert sources["max_gross_nav_pct"] == (1.5, "risk_limits.json: max_gross_nav_pct")
    assert set(sources) == {name.replace("_ns", "_s") if name.endswith("age_ns") else name for name in LIMITS.names}
    assert CONFIG.limit_sources("zscore_reversion", "BTCUSDT")["max_trade_nav_pct"] == (
        0.04,
        "strategy_config.json: strategies.zscore_reversion.limits.max_trade_nav_pct",
    )


SHARES = st.floats(1e-6, 1.0)
VALUE = {"max_tier_positions": st.integers(1, 50), "max_strategy_positions": st.integers(1, 50)}


def scope(keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={key: VALUE.get(key, SHARES) for key in keys.split() if key != "market_max_age_s"})


@settings(max_examples=1_000)
@given(scope(TIER_LIMITS), scope(SYMBOL_LIMITS), scope(STRATEGY_LIMITS), scope("max_order_notional max_symbol_nav_pct"))
def test_the_tightest_of_all_scopes_counts(tier: dict, symbol: dict, strategy: dict, listing: dict) -> None:
    own = trees()
    risk = own["risk_limits"]
    wide = {key: risk[key] for key in LIMITS.names if key in risk}
    risk["per_tier"] = {"core": tier}
    risk["per_symbol"] = {"BTCUSDT": symbol}
    own["strategy_config"]["strategies"]["ema_cross"]["limits"] = {key: min(value, wide[key]) for key, value in strategy.items()}
    (period,) = own["pairs_universe"]["symbols"]["BTCUSDT"]
    own["pairs_universe"]["symbols"] = {"BTCUSDT": [period | listing]}
    row = Config.of(own, Path()).limits("ema_cross", "BTCUSDT")[0]
    for key, widest in wide.items():
        narrower = [given[key] for given in (tier, symbol, strategy, listing) if key in given]
        assert row[key] == min([widest, *narrower]), key


def test_the_screen_is_the_defaults_overlaid_by_the_strategy() -> None:
    screen = CONFIG.screen("zscore_reversion", "BTCUSDT")
    assert screen.dtype == SCREEN and screen.shape == (1,)
    row = screen[0]
    assert row["cool_down_ns"] == 3_600 * 10**9 and row["max_sigma_day"] == 0.25, "its own"
    assert row["max_spread_bps"] == 20.0 and row["after_gap_bars"] == 2, "the defaults"
    assert row["market_max_age_ns"] == CONFIG.limits("zscore_reversion", "BTCUSDT")[0]["market_max_age_ns"], "one source for both"
    assert row["retry_ns"] == 3_600 * 10**9, "of settings.json"
    assert row["in_universe"] == 1


def test_a_symbol_outside_the_strategy_or_the_universe_is_not_in_its_universe() -> None:
    changed = made(**{"strategy_config.strategies.ema_cross.symbols": ["BTCUSDT"]})
    assert changed.screen("ema_cross", "BTCUSDT")[0]["in_universe"] == 1
    assert changed.screen("ema_cross", "ETHUSDT")[0]["in_universe"] == 0
    assert changed.screen("sma_cross", "ETHUSDT")[0]["in_universe"] == 1
    assert CONFIG.screen("sma_cross", "MYCOINUSDT")[0]["in_universe"] == 0
    assert CONFIG.replace(allow_unlisted_symbols=True).screen("sma_cross", "MYCOINUSDT")[0]["in_universe"] == 1
    assert CONFIG.screen("sma_cross", "BTCUSDT", as_of_ns=0)[0]["in_universe"] == 0


def test_sizing_is_the_defaults_overlaid_by_the_strategy() -> None:
    sizing = CONFIG.sizing("donchian_breakout")
    assert sizing.dtype == SIZING and sizing.shape == (1,)
    assert sizing[0]["method"] == SizeMethod.RISK_PER_TRADE and sizing[0]["risk_per_trade_pct"] == 0.001
    assert (
        CONFIG.sizing("sma_cross")[0]["method"] == SizeMethod.FIXED_FRACTION and CONFIG.sizing("sma_cross")[0]["fraction"] == 0.03
    )


def test_the_policy_before_learning_has_neither_score_nor_expectancy() -> None:
    policy = CONFIG.policy("BTCUSDT")
    assert policy.dtype == POLICY and policy.shape == (1,)
    row = policy[0]
    assert np.isnan(row["score"]) and np.isnan(row["expectancy_bps"]) and row["size_scale"] == 1.0 and row["version"] == 0
    assert (row["maker_first"], row["offset_tier"], row["offset_bps"], row["wait_ns"]) == (1, OffsetTier.LOW, 1.0, 120 * 10**9)
    assert made(**{"settings.router.offset_tier": "HIGH"}).policy("BTCUSDT")[0]["offset_bps"] == 8.0


def test_an_unknown_strategy_has_no_records() -> None:
    for ask in (
        lambda: CONFIG.limits("nope", "BTCUSDT"),
        lambda: CONFIG.sizing("nope"),
        lambda: CONFIG.screen("nope", "BTCUSDT"),
    ):
        with pytest.raises(ConfigError, match="unknown strategy 'nope'"):
            ask()


# ---------------------------------------------------------------- instruments


def test_an_instrument_gets_tier_fees_leverage_and_spread_and_keeps_its_filters() -> None:
    rows = np.zeros(1, INSTRUMENT)
    rows["min_notional_e8"], rows["lot_filter_lots"], rows["liquidation_fee_e8"] = 5 * 10**8, 7, 1_250_000
    before = rows.copy()
    CONFIG.fill_instrument(rows[0], "BTCUSDT", "USDT")
    row = rows[0]
    assert CONFIG.tiers[row["tier"]] == "core" and CONFIG.quote_assets[row["quote_asset"]] == "USDT"
    assert (row["maker_fee_e8"], row["taker_fee_e8"]) == (20_000, 50_000), "2 and 5 bps as fractions in 1e-8"
    assert (row["leverage"], row["half_spread_bps"]) == (10.0, 0.5)
    written = {"tier", "quote_asset", "maker_fee_e8", "taker_fee_e8", "leverage", "half_spread_bps"}
    for field in INSTRUMENT.names:
        assert field in written or np.array_equal(rows[field], before[field]), field


def test_the_quote_asset_decides_the_fees() -> None:
    rows = np.zeros(1, INSTRUMENT)
    CONFIG.fill_instrument(rows[0], "BTCUSDC", "USDC")
    assert (rows[0]["maker_fee_e8"], rows[0]["taker_fee_e8"]) == (0, 40_000)


def test_a_rebate_is_a_negative_fee() -> None:
    rows = np.zeros(1, INSTRUMENT)
    made(**{"assets.quote_assets.USDT.maker_fee_bps": -0.5}).fill_instrument(rows[0], "BTCUSDT", "USDT")
    assert rows[0]["maker_fee_e8"] == -5_000


def test_an_unknown_quote_asset_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.fill_instrument(np.zeros(1, INSTRUMENT)[0], "BTCBUSD", "BUSD")
    assert str(caught.value) == "assets.json: no quote asset 'BUSD' for BTCBUSD. Did you mean 'USDT'?"


# ---------------------------------------------------------------- universe


PERIODS = [
    {"tier": "mid", "quote_asset": "USDT", "valid_from": "1970-01-11", "valid_to": "1970-01-21", "max_symbol_nav_pct": 0.01},
    {"tier": "core", "quote_asset": "USDT", "valid_from": "1970-01-31"},
]


@pytest.mark.parametrize(
    ("day", "tier"),
    [(0, None), (9.999, None), (10, "mid"), (19.999, "mid"), (20, None), (29.999, None), (30, "core"), (9_999, "core")],
)
def test_a_symbol_is_in_the_universe_from_its_first_day_to_before_its_last(day: float, tier: str | None) -> None:
    changed = made(**{"pairs_universe.symbols.NEWUSDT": PERIODS})
    entry = changed.universe(round(day * DAY)).get("NEWUSDT")
    assert (entry.tier if entry else None) == tier
    if entry:
        assert changed.tiers[entry.tier_id] == tier and entry.listed
        assert entry.max_symbol_nav_pct == (0.01 if tier == "mid" else math.inf)


def test_a_dated_cap_counts_in_its_period_and_without_a_date_always() -> None:
    changed = made(**{"pairs_universe.symbols.NEWUSDT": PERIODS})
    assert changed.limits("sma_cross", "NEWUSDT", as_of_ns=15 * DAY)[0]["max_symbol_nav_pct"] == 0.01
    assert changed.limits("sma_cross", "NEWUSDT", as_of_ns=40 * DAY)[0]["max_symbol_nav_pct"] == 0.2
    assert changed.limits("sma_cross", "NEWUSDT")[0]["max_symbol_nav_pct"] == 0.01, "without a date the tightest"
    assert changed.limits("sma_cross", "NEWUSDT", as_of_ns=15 * DAY)[0]["max_tier_nav_pct"] == 0.5, "of the tier it was in"


def test_unlisted_symbols_join_in_the_default_tier_only_where_allowed() -> None:
    assert "MYCOINUSDC" not in CONFIG.universe(DAY, ["MYCOINUSDC"])
    entry = CONFIG.replace(allow_unlisted_symbols=True).universe(DAY, ["MYCOINUSDC", "BTCUSDT"])["MYCOINUSDC"]
    assert (entry.tier, entry.quote_asset, entry.listed) == ("unlisted", "USDC", False)
    listed = CONFIG.replace(allow_unlisted_symbols=True)
    assert "BTCUSDT" not in listed.universe(DAY, ["BTCUSDT"]), "a listed symbol keeps its dates"
    assert listed.tier_of("BTCUSDT", DAY) == "core", "but an instrument can always be priced"


def test_the_packaged_universe_holds_every_symbol_of_the_real_data(real_data: Path) -> None:
    symbols = {path.name: path for path in (real_data / "futures_um" / "klines").glob("*/*")}
    assert symbols.keys() <= set(CONFIG.pairs_universe.symbols)
    for path in (real_data / "futures_um" / "klines").glob("*/*/*"):
        start = next(part for part in path.stem.split(".")[0].split("-") if len(part) == 8 and part.isdigit())
        first_day = (np.datetime64(f"{start[:4]}-{start[4:6]}-{start[6:]}") - np.datetime64("1970-01-01")).astype(int)
        assert path.parent.name in CONFIG.universe(int(first_day) * DAY), path.name


# ---------------------------------------------------------------- account


def test_reserves_are_the_treasury_and_a_share_of_the_starting_cash() -> None:
    assert CONFIG.reserve_nav == 0.0
    assert made(**{"reserves.treasury.USDC": 250.0, "reserves.reserve_cash_pct": 0.1}).reserve_nav == 10_250.0


def test_the_position_mode_is_the_exchanges() -> None:
    assert CONFIG.position_mode() is PositionMode.HEDGE
    assert CONFIG.replace(strategies=["ema_cross"], position_mode="one_way").position_mode() is PositionMode.ONE_WAY


def test_interval_names_are_binances() -> None:
    assert interval_ns("1m") == 60 * 10**9 and interval_ns("base") == 0
    with pytest.raises(ConfigError, match="'90m' is not a bar length"):
        interval_ns("90m")
