"""The configuration of a run: all files together, checked, frozen, and answered in the core's own records."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from simcore.config.checks import Files, cross_errors, cross_warnings, enabled, shared_symbols, stricter, symbols_of, written
from simcore.config.fields import INTERVALS_S, Model
from simcore.config.load import one_line, parse, read_folder
from simcore.config.models import FILES
from simcore.config.universe import Listing
from simcore.domain.enums import OffsetTier, PositionMode, SizeMethod
from simcore.domain.errors import ConfigError, did_you_mean
from simcore.domain.records import LIMITS, POLICY, SCREEN, SIZING

PACKAGE = Path(__file__).resolve().parents[1]
NS = 1_000_000_000
FOREVER_NS = 2**63 - 1


@dataclass(frozen=True)
class StrategyEntry:
    """One enabled strategy: its code, the bars it sees ("base": those of the replay), its symbols, all its parameters."""

    name: str
    module: str
    interval: str
    interval_ns: int  # 0: base
    symbols: str | tuple[str, ...]
    params: dict[str, float]

    def trades(self, symbol: str) -> bool:
        """Say whether the strategy is meant for `symbol`."""
        return self.symbols == "all" or symbol in self.symbols


@dataclass(frozen=True)
class UniverseEntry:
    """One symbol on one day: its tier and its caps (infinite where pairs_universe.json sets none). Ends are exclusive."""

    symbol: str
    tier: str
    tier_id: int
    quote_asset: str
    listed: bool
    valid_from_ns: int
    valid_to_ns: int
    max_order_notional: float
    max_symbol_nav_pct: float


def default_folder() -> Path:
    """Return the packaged config folder: of the repository, or of the installed wheel."""
    beside = PACKAGE.parent / "config"
    return beside if (beside / "settings.json").exists() else PACKAGE / "_config"


def interval_ns(name: str) -> int:
    """Return the length of a bar such as "15m" in nanoseconds; 0 for "base".

    >>> interval_ns("15m")
    900000000000
    """
    if name == "base":
        return 0
    if name not in INTERVALS_S:
        raise ConfigError(f"interval: '{name}' is not a bar length. {did_you_mean(name, INTERVALS_S)}")
    return INTERVALS_S[name] * NS


def day_ns(day: date) -> int:
    """Return 00:00 UTC of a day in nanoseconds.

    >>> day_ns(date(1970, 1, 2))
    86400000000000
    """
    return (day - date(1970, 1, 1)).days * 86_400 * NS


@dataclass(frozen=True, repr=False, eq=False)
class Config:
    """All configuration files, valid together. Made by `load_config`; `replace` gives a changed copy.

    `folder` is where they were read; strategies of one's own are looked for beside it. `files` holds a model per file, and
    each is an attribute too: `config.settings`, `config.risk_limits`.
    """

    folder: Path
    files: Files
    trees: Mapping[str, dict[str, Any]]

    @classmethod
    def of(cls, trees: Mapping[str, dict[str, Any]], folder: Path) -> Config:
        """Return the checked configuration that plain objects, one a file, describe."""
        files, errors = build(trees)
        if files is None or errors:
            raise ConfigError("\n".join(map(one_line, errors)))
        return cls(folder, files, trees)

    def __repr__(self) -> str:
        return f"<config {self.hash[:12]} of {self.folder.name}/: {', '.join(enabled(self.files))}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain objects, checked again where they are read: another process may run another version."""
        return Config.of, (dict(self.trees), self.folder)

    # ------------------------------------------------------------ the files

    def __getattr__(self, name: str) -> Any:
        """Return the model of a file by its name: settings, risk_limits, pairs_universe, assets, …"""
        if name in FILES:
            return getattr(self.files, name)
        raise AttributeError(f"no configuration file '{name}'. {did_you_mean(name, FILES)}")

    @cached_property
    def hash(self) -> str:
        """The sha256 of the canonical form of all files: what was changed by `replace` counts, layout and $schema do not."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def canonical(self) -> dict[str, Any]:
        """Return every file as plain values with its defaults filled in, as the hash sees it."""
        return {
            stem: getattr(self.files, stem).model_dump(mode="json", exclude_none=True, exclude={"schema_"}, warnings=False)
            for stem in FILES
        }

    @cached_property
    def warnings(self) -> list[str]:
        """What is allowed but odd, such as a limit that can never bind."""
        return cross_warnings(self.files)

    # ------------------------------------------------------------ change

    def replace(
        self,
        *,
        strategies: Sequence[str] | None = None,
        cash: float | None = None,
        set: Mapping[str, float | str | bool] | None = None,  # noqa: A002 - reads as the command line's --set
        position_mode: str | None = None,
        allow_unlisted_symbols: bool | None = None,
    ) -> Config:
        """Return a copy with these changes, checked again as a whole; None leaves things as they are.

        strategies: exactly these run. set: `{"ema_cross.fast": 10}` for a strategy's parameter, or any key of a file by its
        path, `{"risk_limits.max_trade_nav_pct": 0.1, "settings.bar_model.fill_rule": "touch"}`.
        Raises ConfigError naming the unknown strategy or parameter and the nearest right one, or every rule now broken.
        """
        trees = copy.deepcopy(dict(self.trees))
        account = {"cash": cash, "position_mode": position_mode, "allow_unlisted_symbols": allow_unlisted_symbols}
        trees["settings"].update({key: value for key, value in account.items() if value is not None})
        uses = trees["strategy_config"]["strategies"]
        for path, value in (set or {}).items():
            _put(trees, path, value)
        if strategies is not None:
            for name in strategies:
                self._registered(name)
                uses.setdefault(name, {})
            for name, use in uses.items():
                use["enabled"] = name in strategies
        return Config.of(trees, self.folder)

    def with_strategy(self, name: str, params: Mapping[str, float], module: str = "__main__", interval: str = "base") -> Config:
        """Return a copy in which a strategy made in Python is registered under `name` and is the only one that runs."""
        trees = copy.deepcopy(dict(self.trees))
        registered = {"module": module, "params": {key: {"default": float(value)} for key, value in params.items()}}
        uses = trees["strategy_config"]["strategies"]
        for use in uses.values():
            use["enabled"] = False
        if name not in trees["strategy_registry"]["strategies"]:
            uses[name] = {"enabled": True, "interval": interval}
        trees["strategy_registry"]["strategies"][name] = registered
        uses.setdefault(name, {})["enabled"] = True
        uses[name]["params"] = {}
        return Config.of(trees, self.folder)

    # ------------------------------------------------------------ strategies

    def _registered(self, name: str) -> Any:
        known = self.files.strategy_registry.strategies
        if name not in known:
            raise ConfigError(f"strategy_registry.json: unknown strategy '{name}'. {did_you_mean(name, known)}")
        return known[name]

    @property
    def enabled_strategies(self) -> list[StrategyEntry]:
        """The strategies that run, in the order of strategy_config.json."""
        return [self.entry(name) for name in enabled(self.files)]

    def entry(self, name: str) -> StrategyEntry:
        """Return how a registered strategy is used, enabled or not; parameters it does not say come from the registry."""
        code, defaults = self._registered(name), self.files.strategy_config.defaults
        use = self.files.strategy_config.strategies.get(name)
        given = use.params if use else {}
        interval = (use.interval if use else None) or defaults.interval
        return StrategyEntry(
            name=name,
            module=code.module,
            interval=interval,
            interval_ns=interval_ns(interval),
            symbols=symbols_of(self.files, name) if use else defaults.symbols,
            params={key: float(given.get(key, param.default)) for key, param in code.params.items()},
        )

    def _of(self, strategy: str, part: str) -> dict[str, Any]:
        """Return a section of the defaults, overlaid by what the strategy says again."""
        self._registered(strategy)
        use = self.files.strategy_config.strategies.get(strategy)
        return {**written(getattr(self.files.strategy_config.defaults, part)), **(written(getattr(use, part)) if use else {})}

    # ------------------------------------------------------------ universe

    @cached_property
    def tiers(self) -> tuple[str, ...]:
        """The tiers by name; a tier's place in it is its number in the records."""
        return tuple(sorted(self.files.pairs_universe.tiers))

    @cached_property
    def quote_assets(self) -> tuple[str, ...]:
        """The quote assets by name; an asset's place in it is its number in the records."""
        return tuple(sorted(self.files.assets.quote_assets))

    def universe(self, as_of_ns: int, symbols: Sequence[str] = ()) -> dict[str, UniverseEntry]:
        """Return the symbols that may be traded on the day of `as_of_ns`, by name.

        Of `symbols`, those pairs_universe.json has never heard of are added in its default tier where settings.json allows it.
        """
        found = {symbol: self.listing(symbol, as_of_ns) for symbol in (*self.files.pairs_universe.symbols, *symbols)}
        return {symbol: entry for symbol, entry in sorted(found.items()) if entry is not None}

    def listing(self, symbol: str, as_of_ns: int | None = None) -> UniverseEntry | None:
        """Return a symbol's entry in force at `as_of_ns` (None: its latest), or None if it may not be traded then."""
        universe = self.files.pairs_universe
        if symbol not in universe.symbols:
            return self._unlisted(symbol) if self.files.settings.allow_unlisted_symbols else None
        for period in reversed(universe.symbols[symbol]):
            entry = self._listed(symbol, period)
            if as_of_ns is None or entry.valid_from_ns <= as_of_ns < entry.valid_to_ns:
                return entry
        return None

    def listings(self, symbol: str) -> list[UniverseEntry]:
        """Return every entry of a symbol, in the order of pairs_universe.json; its default-tier entry where it is unlisted but allowed."""
        periods = self.files.pairs_universe.symbols.get(symbol)
        if periods is None:
            return [self._unlisted(symbol)] if self.files.settings.allow_unlisted_symbols else []
        return [self._listed(symbol, period) for period in periods]

    def _listed(self, symbol: str, period: Listing) -> UniverseEntry:
        end = FOREVER_NS if period.valid_to is None else day_ns(period.valid_to)
        order, share = period.max_order_notional, period.max_symbol_nav_pct
        return UniverseEntry(
            symbol=symbol,
            tier=period.tier,
            tier_id=self.tiers.index(period.tier),
            quote_asset=period.quote_asset,
            listed=True,
            valid_from_ns=day_ns(period.valid_from),
            valid_to_ns=end,
            max_order_notional=math.inf if order is None else order,
            max_symbol_nav_pct=math.inf if share is None else share,
        )

    def _unlisted(self, symbol: str) -> UniverseEntry:
        tier = self.files.pairs_universe.default_tier
        ends = [asset for asset in self.quote_assets if symbol.endswith(asset)]
        asset = max(ends, key=len) if ends else self.quote_assets[-1]
        return UniverseEntry(symbol, tier, self.tiers.index(tier), asset, False, -FOREVER_NS, FOREVER_NS, math.inf, math.inf)

    def tier_of(self, symbol: str, as_of_ns: int | None = None) -> str:
        """Return a symbol's tier; the default tier where it has none, so that every instrument can be priced."""
        entry = self.listing(symbol, as_of_ns) or self.listing(symbol)
        return entry.tier if entry else self.files.pairs_universe.default_tier

    # ------------------------------------------------------------ records

    def limit_sources(self, strategy: str, symbol: str, as_of_ns: int | None = None) -> dict[str, tuple[float, str]]:
        """Return every limit as (value, the file and key it comes from): the tightest of all scopes."""
        risk = self.files.risk_limits
        tier = self.tier_of(symbol, as_of_ns)
        use = self.files.strategy_config.strategies.get(strategy)
        scopes: list[tuple[str, dict[str, Any]]] = [(f"risk_limits.json: per_tier.{tier}", _keys(risk.per_tier.get(tier)))]
        scopes.append((f"risk_limits.json: per_symbol.{symbol}", _keys(risk.per_symbol.get(symbol))))
        scopes.append(("strategy_config.json: defaults.limits", _keys(self.files.strategy_config.defaults.limits)))
        scopes.append((f"strategy_config.json: strategies.{strategy}.limits", _keys(use.limits if use else None)))
        scopes += self._listing_caps(symbol, as_of_ns)
        best = {key: (value, f"risk_limits.json: {key}") for key, value in _keys(risk).items() if not key.startswith("per_")}
        for place, keys in scopes:
            for key, value in keys.items():
                if stricter(key, value, best[key][0]) != best[key][0]:
                    best[key] = (value, f"{place}.{key}")
        return best

    def _listing_caps(self, symbol: str, as_of_ns: int | None) -> list[tuple[str, dict[str, Any]]]:
        """Return the caps of the period in force; without a time, of every period, so that the tightest counts."""
        scopes = []
        for i, period in enumerate(self.files.pairs_universe.symbols.get(symbol, ())):
            entry = self._listed(symbol, period)
            if as_of_ns is None or entry.valid_from_ns <= as_of_ns < entry.valid_to_ns:
                caps = {key: getattr(period, key) for key in ("max_order_notional", "max_symbol_nav_pct")}
                present = {key: value for key, value in caps.items() if value is not None}
                scopes.append((f"pairs_universe.json: symbols.{symbol}.{i}", present))
        return scopes

    def limits(self, strategy: str, symbol: str, as_of_ns: int | None = None) -> np.ndarray:
        """Return the gate's limits for a strategy on a symbol as a one-row LIMITS array: the tightest of all scopes."""
        self._registered(strategy)
        values = {key: value for key, (value, _) in self.limit_sources(strategy, symbol, as_of_ns).items()}
        return _record(LIMITS, values)

    def screen(self, strategy: str, symbol: str, as_of_ns: int | None = None) -> np.ndarray:
        """Return the screener's settings as a one-row SCREEN array; in_universe is 0 where the pair may not be traded."""
        values = self._of(strategy, "screen")
        values["market_max_age_s"] = self.limit_sources(strategy, symbol, as_of_ns)["market_max_age_s"][0]
        values["retry_s"] = self.files.settings.entry_retry_s
        trades = self.entry(strategy).trades(symbol) and self.listing(symbol, as_of_ns) is not None
        return _record(SCREEN, {**values, "in_universe": int(trades)})

    def sizing(self, strategy: str) -> np.ndarray:
        """Return how a strategy's orders are sized as a one-row SIZING array."""
        values = self._of(strategy, "sizing")
        return _record(SIZING, {**values, "method": int(SizeMethod[values["method"].upper()])})

    def policy(self, symbol: str) -> np.ndarray:
        """Return the router policy before anything was learned as a one-row POLICY array: score and expectancy are NaN."""
        router = self.files.settings.router
        same = ("wait_s", "max_requotes", "taker_bias", "price_cap_bps", "urgency_taker_above")
        values = {key: getattr(router, key) for key in same}
        values["maker_first"] = int(router.maker_first)
        values["offset_tier"] = int(OffsetTier[router.offset_tier])
        values["offset_bps"] = getattr(router.offsets_bps, router.offset_tier)
        return _record(POLICY, {**values, "version": 0, "score": math.nan, "expectancy_bps": math.nan, "size_scale": 1.0})

    def fill_instrument(self, row: Any, symbol: str, quote_asset: str, as_of_ns: int | None = None) -> None:
        """Write into an INSTRUMENT record what config decides: tier, quote asset, fees, leverage, half spread.

        Exchange filters are never touched: the minimum notional has one source, the exchange's own table.
        """
        if quote_asset not in self.files.assets.quote_assets:
            known = self.files.assets.quote_assets
            raise ConfigError(f"assets.json: no quote asset '{quote_asset}' for {symbol}. {did_you_mean(quote_asset, known)}")
        fees, tier = self.files.assets.quote_assets[quote_asset], self.tier_of(symbol, as_of_ns)
        row["tier"] = self.tiers.index(tier)
        row["quote_asset"] = self.quote_assets.index(quote_asset)
        row["maker_fee_e8"] = round(fees.maker_fee_bps * 10_000)
        row["taker_fee_e8"] = round(fees.taker_fee_bps * 10_000)
        row["leverage"] = self.files.settings.leverage[tier]
        row["half_spread_bps"] = self.files.settings.bar_model.half_spread_bps[tier]

    # ------------------------------------------------------------ account

    def position_mode(self, quoting: bool = False) -> PositionMode:
        """Return how the account books positions; `quoting` says whether a strategy of the run quotes both sides.

        Raises ConfigError for quotes in an account whose legs never net.
        """
        mode = self.files.settings.position_mode
        if mode == "auto" and quoting:
            shared = [f'{text} Enable one of them, or give them "symbols" of their own.' for text in shared_symbols(self.files)]
            if shared:
                raise ConfigError("\n".join(shared))
        if mode == "auto":
            return PositionMode.ONE_WAY if quoting else PositionMode.HEDGE
        if quoting and mode == "hedge":
            raise ConfigError(
                'settings.json: position_mode: "hedge" keeps LONG and SHORT apart, but two-sided quotes must net. '
                'Use "auto" or "one_way", or disable the strategies that quote.'
            )
        return PositionMode[mode.upper()]

    @property
    def cash(self) -> float:
        """The balance a replay starts with, in quote units."""
        return self.files.settings.cash

    @property
    def reserve_nav(self) -> float:
        """What is kept out of the tradable NAV, in quote units: the treasury and a share of the starting cash."""
        reserves = self.files.reserves
        return sum(reserves.treasury.values()) + reserves.reserve_cash_pct * self.files.settings.cash


def _keys(scope: Model | None) -> dict[str, Any]:
    return {} if scope is None else written(scope)


def _record(layout: np.dtype, values: Mapping[str, Any]) -> np.ndarray:
    """Return one row of `layout`: `_s` values become `_ns` fields, and every field must be given."""
    rows = np.zeros(1, layout)
    given = {(key[:-2] + "_ns" if key.endswith("_s") else key): (key, value) for key, value in values.items()}
    for field in layout.names or ():
        key, value = given[field]
        rows[field] = round(value * NS) if key.endswith("_s") else value
    return rows


def _put(trees: dict[str, dict[str, Any]], path: str, value: Any) -> None:
    """Set one key by its path: `strategy.param`, or a file's name and the keys below it."""
    head, _, rest = path.partition(".")
    registry = trees["strategy_registry"]["strategies"]
    if isinstance(value, str):
        value = _from_text(value)
    if head in FILES and rest:
        *parents, last = rest.split(".")
        node: Any = trees[head]
        for part in parents:
            node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ConfigError(f"--set {path}: '{head}.json' has no such place.")
        whole = isinstance(value, float) and value.is_integer() and isinstance(node.get(last), int)
        node[last] = int(value) if whole and not isinstance(node.get(last), bool) else value
        return
    if head not in registry:
        raise ConfigError(f"--set {path}: unknown strategy '{head}'. {did_you_mean(head, [*registry, *FILES])}")
    known = registry[head].get("params", {})
    if rest not in known:
        hint = did_you_mean(rest, known) if known else "It has no parameters."
        raise ConfigError(f"--set {path}: unknown parameter '{rest}' of {head}. {hint}")
    use = trees["strategy_config"]["strategies"].setdefault(head, {"enabled": False})
    use.setdefault("params", {})[rest] = value


def _from_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def build(trees: Mapping[str, dict[str, Any]]) -> tuple[Files | None, list[str]]:
    """Return all files as models, or every error: of each file by itself, and when those are none, of all together."""
    parsed: dict[str, Any] = {}
    errors: list[str] = []
    for stem in FILES:
        if stem in trees:
            parsed[stem], problems = parse(stem, trees[stem])
            errors += problems
    if errors or len(parsed) < len(FILES):
        return None, errors
    files = Files(**parsed)
    return files, cross_errors(files)


def load_config(folder: str | Path | None = None) -> Config:
    """Return the checked configuration of `folder` (None: the packaged one).

    Raises ConfigError whose text has one line for every error found, each naming file, key, rule and value.
    """
    where = Path(folder) if folder is not None else default_folder()
    trees, errors = read_folder(where)
    if errors:
        _, more = build(trees)
        raise ConfigError("\n".join(map(one_line, [*errors, *more])))
    return Config.of(trees, where)


def check_config(folder: str | Path | None = None) -> tuple[list[str], list[str]]:
    """Return (errors, warnings) of a config folder, for `simcore config check`; never raises ConfigError."""
    try:
        return [], list(load_config(folder).warnings)
    except ConfigError as error:
        return str(error).splitlines(), []


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every config file by file name, for editors to complete and check against."""
    return {f"{stem}.json": _tidy({**model.model_json_schema(), "title": f"{stem}.json"}) for stem, model in FILES.items()}


def _tidy(schema: Any) -> Any:
    """Drop what an editor would show wrongly: an override that is left out has no default of its own, least of all null."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _tidy(part) for key, part in schema.items() if not (key == "default" and part is None)}
