"""The cross-check of config files: what is wrong, and what is odd, only when two keys are read together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simcore.config.fields import Model
from simcore.config.learning import Learning
from simcore.config.limits import Limits, RiskLimits
from simcore.config.models import FILES
from simcore.config.settings import Settings
from simcore.config.strategies import StrategyConfig, StrategyRegistry
from simcore.config.universe import Assets, Dashboard, Listing, PairsUniverse, Reserves
from simcore.config.validation import Validation
from simcore.domain.errors import did_you_mean
from simcore.domain.records import MAX_PARAMS, MAX_STRATEGIES, MAX_SYMBOLS, MAX_TIMEFRAMES


@dataclass(frozen=True)
class Files:
    """All configuration files of a folder, each valid by itself."""

    settings: Settings
    strategy_registry: StrategyRegistry
    strategy_config: StrategyConfig
    risk_limits: RiskLimits
    pairs_universe: PairsUniverse
    assets: Assets
    reserves: Reserves
    dashboard: Dashboard
    validation: Validation
    learning: Learning


def written(model: Model) -> dict[str, Any]:
    """Return the keys that the file itself gives, without words for the reader."""
    return {key: getattr(model, key) for key in sorted(model.model_fields_set) if key not in ("note", "schema_")}


def stricter(key: str, a: float, b: float) -> float:
    """Return the tighter of two values of a limit: the smaller of a `max_`, the greater of a `min_`."""
    return max(a, b) if key.startswith("min_") else min(a, b)


def loosens(key: str, value: float, wider: float) -> bool:
    """Say whether `value` allows more than the wider scope does, so that it can never bind."""
    return stricter(key, value, wider) != value


def _unknown(place: str, what: str, name: str, known: Iterable[str], where: str) -> str:
    return f"{place}: {what} {name!r} is not in {where}. {did_you_mean(name, known)}"


def cross_errors(files: Files) -> list[str]:
    """Return every contradiction between the files, in the words of a person's next step."""
    checks = (
        _names, _tiers, _listings, _params, _asks_too_much, _sizes, _screens, _run_fits, _one_way, _latency, _reserves, _learning,
    )  # fmt: skip
    return [error for check in checks for error in check(files)]


def _names(files: Files) -> Iterator[str]:
    known, symbols = files.strategy_registry.strategies, files.pairs_universe.symbols
    reserved = sorted({*known, *files.strategy_config.strategies} & {*FILES})
    for name, code in files.strategy_registry.strategies.items():
        if len(code.params) > MAX_PARAMS:
            yield f"strategy_registry.json: strategies.{name}.params: at most {MAX_PARAMS} (got {len(code.params)})"
    for name in reserved:
        yield f"strategy_registry.json: strategies.{name}: is the name of a configuration file; choose another"
    for name in files.strategy_config.strategies:
        if name not in known:
            yield _unknown(f"strategy_config.json: strategies.{name}", "strategy", name, known, "strategy_registry.json")
    for symbol in files.risk_limits.per_symbol:
        if symbol not in symbols and not files.settings.allow_unlisted_symbols:
            yield _unknown(f"risk_limits.json: per_symbol.{symbol}", "symbol", symbol, symbols, "pairs_universe.json")
    chosen = {"defaults": files.strategy_config.defaults.symbols}
    chosen |= {f"strategies.{name}": use.symbols for name, use in files.strategy_config.strategies.items()}
    for place, names in chosen.items():
        for symbol in names if isinstance(names, tuple) else ():
            if symbol not in symbols and not files.settings.allow_unlisted_symbols:
                yield _unknown(f"strategy_config.json: {place}.symbols", "symbol", symbol, symbols, "pairs_universe.json")


def _tiers(files: Files) -> Iterator[str]:
    tiers = files.pairs_universe.tiers
    tables: dict[str, Mapping[str, Any]] = {
        "settings.json: leverage": files.settings.leverage,
        "settings.json: bar_model.half_spread_bps": files.settings.bar_model.half_spread_bps,
        "risk_limits.json: per_tier": files.risk_limits.per_tier,
    }
    for place, table in tables.items():
        for name in table:
            if name not in tiers:
                yield _unknown(f"{place}.{name}", "tier", name, tiers, "pairs_universe.json")
        if "per_tier" not in place:
            yield from (f"{place}: tier '{name}' of pairs_universe.json is missing" for name in tiers if name not in table)
    if files.pairs_universe.default_tier not in tiers:
        name = files.pairs_universe.default_tier
        yield _unknown("pairs_universe.json: default_tier", "tier", name, tiers, "its tiers")


def _listings(files: Files) -> Iterator[str]:
    tiers, assets = files.pairs_universe.tiers, files.assets.quote_assets
    for symbol, periods in files.pairs_universe.symbols.items():
        for i, period in enumerate(periods):
            place = f"pairs_universe.json: symbols.{symbol}.{i}"
            if period.tier not in tiers:
                yield _unknown(f"{place}.tier", "tier", period.tier, tiers, "its tiers")
            if period.quote_asset not in assets:
                yield _unknown(f"{place}.quote_asset", "quote asset", period.quote_asset, assets, "assets.json")
            if period.valid_to is not None and period.valid_to <= period.valid_from:
                yield f"{place}.valid_to: must be after valid_from (got {period.valid_to} <= {period.valid_from})"
            if i and not _follows(periods[i - 1], period):
                yield f"{place}.valid_from: overlaps the period before it (got {period.valid_from})"


def _follows(earlier: Listing, later: Listing) -> bool:
    return earlier.valid_to is not None and earlier.valid_to <= later.valid_from


def _params(files: Files) -> Iterator[str]:
    for name, code in files.strategy_registry.strategies.items():
        for key, param in code.params.items():
            place = f"strategy_registry.json: strategies.{name}.params.{key}"
            if not param.min <= param.default <= param.max:
                yield f"{place}.default: must lie between min {param.min:g} and max {param.max:g} (got {param.default:g})"
            if param.less_than and param.less_than not in code.params:
                yield _unknown(f"{place}.less_than", "parameter", param.less_than, code.params, f"strategies.{name}.params")
    for name, use in files.strategy_config.strategies.items():
        if name in files.strategy_registry.strategies:
            yield from value_errors(name, use.params, files.strategy_registry.strategies[name].params)


def value_errors(name: str, given: Mapping[str, float], known: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each parameter given to strategy `name` that its registered ones (`known`) do not allow."""
    place = f"strategy_config.json: strategies.{name}.params"
    for key, value in given.items():
        if key not in known:
            yield f"{place}: unknown parameter {key!r} of {name}. {did_you_mean(key, known)}"
        elif value < known[key].min:
            yield f"{place}.{key}: must be >= {known[key].min:g} (got {value:g})"
        elif value > known[key].max:
            yield f"{place}.{key}: must be <= {known[key].max:g} (got {value:g})"
    values = {key: given.get(key, param.default) for key, param in known.items()}
    for key, param in known.items():
        if param.less_than in values and not values[key] < values[param.less_than]:
            yield f"{place}.{key}: must be less than {param.less_than} {values[param.less_than]:g} (got {values[key]:g})"


def _asks_too_much(files: Files) -> Iterator[str]:
    limits, defaults = files.risk_limits, files.strategy_config.defaults
    scopes: dict[str, Any] = {"defaults": defaults, **{f"strategies.{n}": u for n, u in files.strategy_config.strategies.items()}}
    for place, scope in scopes.items():
        own = written(scope.limits)
        for key, value in own.items():
            if loosens(key, value, getattr(limits, key)):
                yield (
                    f"strategy_config.json: {place}.limits.{key}: asks for {value:g}, but risk_limits.json: {key} allows "
                    f"{getattr(limits, key):g}"
                )
        sizing = {**written(defaults.sizing), **written(scope.sizing)}
        allowed = min(limits.max_trade_nav_pct, own.get("max_trade_nav_pct", 1.0))
        if sizing["method"] == "fixed_fraction" and sizing["fraction"] > allowed:
            yield (
                f"strategy_config.json: {place}.sizing.fraction: asks for {sizing['fraction']:g} of the NAV a trade, but "
                f"max_trade_nav_pct allows {allowed:g}"
            )


def _screens(files: Files) -> Iterator[str]:
    defaults = written(files.strategy_config.defaults.screen)
    for name, use in files.strategy_config.strategies.items():
        screen = {**defaults, **written(use.screen)}
        if screen["min_sigma_day"] >= screen["max_sigma_day"]:
            yield (
                f"strategy_config.json: strategies.{name}.screen.min_sigma_day: must be less than max_sigma_day "
                f"{screen['max_sigma_day']:g} (got {screen['min_sigma_day']:g})"
            )


def enabled(files: Files) -> list[str]:
    """Return the names of the strategies that run, in the order of the file."""
    return [name for name, use in files.strategy_config.strategies.items() if use.enabled]


def symbols_of(files: Files, name: str) -> str | tuple[str, ...]:
    """Return the symbols a strategy trades: "all" or their names."""
    own = files.strategy_config.strategies[name].symbols
    chosen: str | tuple[str, ...] = files.strategy_config.defaults.symbols if own is None else own
    return chosen


def _run_fits(files: Files) -> Iterator[str]:
    names = enabled(files)
    place = "strategy_config.json: strategies"
    if len(names) > MAX_STRATEGIES:
        yield f"{place}: at most {MAX_STRATEGIES} can be enabled in one run (got {len(names)})"
    default = files.strategy_config.defaults.interval
    intervals = {files.strategy_config.strategies[name].interval or default for name in names} - {"base"}
    if len(intervals) > MAX_TIMEFRAMES - 1:
        yield f"{place}: at most {MAX_TIMEFRAMES - 1} intervals beside base in one run (got {', '.join(sorted(intervals))})"


def _sizes(files: Files) -> Iterator[str]:
    defaults = files.strategy_config.defaults.sizing
    for name, use in files.strategy_config.strategies.items():
        sizing = {**written(defaults), **written(use.sizing)}
        if sizing["method"] == "fixed_qty" and not sizing["qty"] > 0.0:
            yield (
                f"strategy_config.json: strategies.{name}.sizing.qty: fixed_qty needs a quantity above 0, in base units "
                f"(got {sizing['qty']:g})"
            )


def _latency(files: Files) -> Iterator[str]:
    model = files.settings.book_model
    if model.latency_model == "interpolated" and not model.latency_file:
        yield "settings.json: book_model.latency_file: latency_model interpolated needs a file of measured latencies"
    limits = model.order_rate_limits
    if limits.max_orders_per_10s > limits.max_orders_per_minute:
        yield (
            f"settings.json: book_model.order_rate_limits.max_orders_per_10s: must be <= max_orders_per_minute "
            f"{limits.max_orders_per_minute} (got {limits.max_orders_per_10s})"
        )


def _one_way(files: Files) -> Iterator[str]:
    if files.settings.position_mode == "one_way":
        yield from (f'{shared} Use "hedge", or enable one of them.' for shared in shared_symbols(files))


def shared_symbols(files: Files) -> Iterator[str]:
    """Return what cannot be in an account of one position a symbol: two strategies on the same one."""
    owners: dict[str, list[str]] = {}
    names = enabled(files)
    everywhere = [name for name in names if symbols_of(files, name) == "all"]
    for name in names:
        for symbol in ("every symbol",) if name in everywhere else symbols_of(files, name):
            owners.setdefault(symbol, [*everywhere] if name not in everywhere else []).append(name)
    for shared in sorted({tuple(sharing) for sharing in owners.values() if len(sharing) > 1}):
        places = [symbol for symbol, sharing in owners.items() if tuple(sharing) == shared]
        yield f"settings.json: position_mode: one_way nets {', '.join(shared)} into one position on {', '.join(places)}."


def _reserves(files: Files) -> Iterator[str]:
    for asset in files.reserves.treasury:
        if asset not in files.assets.quote_assets:
            yield _unknown(f"reserves.json: treasury.{asset}", "quote asset", asset, files.assets.quote_assets, "assets.json")
    kept = sum(files.reserves.treasury.values()) + files.reserves.reserve_cash_pct * files.settings.cash
    if kept >= files.settings.cash:
        yield f"reserves.json: keeps {kept:g} out of settings.json: cash {files.settings.cash:g}: nothing is left to trade"


# One row: the first key of learning.json must be less than the second, or two thresholds would be one.
TWO_THRESHOLDS = (
    ("autotune", "maker_off_below_bps", "maker_on_above_bps"),
    ("autotune", "nearer_fill_rate_below", "farther_fill_rate_above"),
    ("autotune", "nearer_reject_rate_below", "farther_reject_rate_above"),
    ("autotune", "wait_drift_below_bps", "hurry_drift_above_bps"),
    ("scoring", "floor", "ceiling"),
)
TIERS = ("LOW", "MED", "HIGH")


def _learning(files: Files) -> Iterator[str]:
    for section, low, high in TWO_THRESHOLDS:
        part = getattr(files.learning, section)
        if not getattr(part, low) < getattr(part, high):
            yield f"learning.json: {section}.{low}: must be less than {high} {getattr(part, high):g} (got {getattr(part, low):g})"
    tune = files.learning.autotune
    if TIERS.index(tune.lowest_tier) > TIERS.index(tune.highest_tier):
        yield f"learning.json: autotune.lowest_tier: must not be above highest_tier {tune.highest_tier} (got {tune.lowest_tier})"
    for key in ("taker_bias_levels", "wait_levels_s"):
        levels = getattr(tune, key)
        if not levels[0] < levels[1] < levels[2]:
            yield f"learning.json: autotune.{key}: must rise (got {', '.join(f'{level:g}' for level in levels)})"


def cross_warnings(files: Files) -> list[str]:
    """Return what is allowed but odd: limits that can never bind, entries that nothing uses."""
    checks = (_never_bind, _narrower_scopes, _spread_floor, _unused, _coarse_tail, _idle_stages)
    return [warning for check in checks for warning in check(files)]


# One row: the first key can never bind when it is greater than the second, because the second refuses first.
# max_gross_nav_pct and max_leverage are not compared: they measure the same exposure in tradable and in whole NAV.
SHADOWS = (
    ("max_trade_nav_pct", "max_symbol_nav_pct"),
    ("max_trade_nav_pct", "max_tier_nav_pct"),
    ("max_trade_nav_pct", "max_strategy_nav_pct"),
    ("max_symbol_nav_pct", "max_gross_nav_pct"),
    ("max_tier_nav_pct", "max_gross_nav_pct"),
    ("max_strategy_nav_pct", "max_gross_nav_pct"),
    ("max_net_nav_pct", "max_gross_nav_pct"),
    ("max_tier_positions", "max_concurrent_positions"),
    ("max_strategy_positions", "max_concurrent_positions"),
    ("max_daily_loss_pct", "max_drawdown_pct"),
)


def _never_bind(files: Files) -> Iterator[str]:
    limits = files.risk_limits
    for key, wider in SHADOWS:
        value, first = getattr(limits, key), getattr(limits, wider)
        if value > first:
            yield f"risk_limits.json: {key}: {value:g} can never bind, {wider} {first:g} comes first"


def _narrower_scopes(files: Files) -> Iterator[str]:
    limits, universe = files.risk_limits, files.pairs_universe
    for name, tier in limits.per_tier.items():
        yield from _looser(f"risk_limits.json: per_tier.{name}", tier, limits)
    for symbol, own in limits.per_symbol.items():
        yield from _looser(f"risk_limits.json: per_symbol.{symbol}", own, limits)
    for symbol, periods in universe.symbols.items():
        for i, period in enumerate(periods):
            caps = {key: getattr(period, key) for key in ("max_order_notional", "max_symbol_nav_pct")}
            for key, value in caps.items():
                if value is not None and value > getattr(limits, key):
                    yield _shadowed(f"pairs_universe.json: symbols.{symbol}.{i}.{key}", value, key, limits)


def _looser(place: str, scope: Model, limits: Limits) -> Iterator[str]:
    for key, value in written(scope).items():
        if loosens(key, value, getattr(limits, key)):
            yield _shadowed(f"{place}.{key}", value, key, limits)


def _shadowed(place: str, value: float, key: str, limits: Limits) -> str:
    return f"{place}: {value:g} can never bind, risk_limits.json: {key} {getattr(limits, key):g} comes first"


def _spread_floor(files: Files) -> Iterator[str]:
    defaults = files.strategy_config.defaults.screen
    for name in enabled(files):
        widest = {**written(defaults), **written(files.strategy_config.strategies[name].screen)}["max_spread_bps"]
        for tier, half in files.settings.bar_model.half_spread_bps.items():
            if 2.0 * half > widest:
                yield (
                    f"strategy_config.json: {name} accepts a spread of {widest:g} bps, but settings.json: "
                    f"bar_model.half_spread_bps.{tier} {half:g} means {2 * half:g}: no signal in tier {tier} can pass on bars"
                )


def _unused(files: Files) -> Iterator[str]:
    periods = [period for listed in files.pairs_universe.symbols.values() for period in listed]
    used_tiers = {period.tier for period in periods} | {files.pairs_universe.default_tier}
    used_assets = {period.quote_asset for period in periods}
    for name in files.strategy_registry.strategies:
        if name not in files.strategy_config.strategies:
            yield f"strategy_registry.json: strategies.{name}: has no entry in strategy_config.json, so it runs only by name"
    for name in files.pairs_universe.tiers:
        if name not in used_tiers:
            yield f"pairs_universe.json: tiers.{name}: no symbol is in it"
    for name in files.assets.quote_assets:
        if name not in used_assets:
            yield f"assets.json: quote_assets.{name}: no symbol of pairs_universe.json is quoted in it"
    for symbol, listed in files.pairs_universe.symbols.items():
        if not listed:
            yield f"pairs_universe.json: symbols.{symbol}: has no period, so it is never traded"
    if len(files.pairs_universe.symbols) > MAX_SYMBOLS:
        yield f"pairs_universe.json: symbols: {len(files.pairs_universe.symbols)} listed; one run holds at most {MAX_SYMBOLS}"


FEWEST_IN_TAIL = 10


def _coarse_tail(files: Files) -> Iterator[str]:
    how = files.validation.statistics
    in_tail = how.bootstrap_draws * (1.0 - how.confidence) / 2.0
    if in_tail < FEWEST_IN_TAIL:
        yield (
            f"validation.json: statistics.bootstrap_draws: {how.bootstrap_draws} leave {in_tail:g} draws beyond each end of a "
            f"{how.confidence:g} interval: its ends are guesses"
        )


STAGES = ("expectancy", "scoring", "autotune", "allocator")


def _idle_stages(files: Files) -> Iterator[str]:
    settings = files.settings
    on = [name for name in STAGES if getattr(settings, name).enabled]
    if on and not settings.v6_enabled:
        yield f"settings.json: {on[0]}.enabled: has no effect while v6_enabled is false"
    if settings.v6_enabled and not on:
        yield f"settings.json: v6_enabled: has no effect while none of {', '.join(STAGES)} is enabled"
