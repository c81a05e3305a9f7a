"""Scenes: hand-made bars, scripted wishes and wide-open limits, played through the whole pipeline, for exact expectations.

The stage is the same everywhere unless a test says otherwise: one-minute bars from midnight, a price near 10,000 ticks of 0.1
(so one tick is one basis point), lots of 0.01, and an exchange that takes at most 100 lots an order, so every wish asks for
exactly 100 lots. Half the spread is 1 bps, the maker offset 1 bps, a quote waits one bar and is renewed once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from replay_data.feed import Feed
from simcore.config import Config, load_config
from simcore.domain.enums import LedgerKind, Purpose, RouteOutcome
from simcore.domain.records import BAR, FILTER, FUNDING, INSTRUMENT, MARK
from simcore.jit import KERNEL_CACHE, compile_cached
from simcore.replay import Recording, Session
from simcore.replay.world import record
from simcore.strategy.abi import BAR_SIGNATURE

MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS
START_NS = 1_735_689_600_000_000_000  # 2025-01-01 UTC, a midnight
PRICE = 10_000
TICK_SIZE, STEP_SIZE, UNIT_E8 = 0.1, 0.01, 100_000
LOTS = 100
ENDLESS = 1_000_000
A, B = "AAAUSDT", "BBBUSDT"
NEVER_ENTRY = 10**9

Row = tuple[int, int, int, int, int]
Tape = Sequence[Row | None]


def bar(open_: int, high: int, low: int, close: int, volume: int = ENDLESS) -> Row:
    """Return one bar: prices in ticks, volume in lots."""
    return open_, high, low, close, volume


def flat(price: int = PRICE, n: int = 1, volume: int = ENDLESS) -> list[Row]:
    """Return `n` bars in which the price does not move."""
    return [bar(price, price, price, price, volume)] * n


def gap(n: int = 1) -> list[None]:
    """Return `n` missing bars."""
    return [None] * n


class Wish(NamedTuple):
    """What a scripted strategy wishes from one bar on; distances in ticks, horizon in minutes."""

    side: int
    stop: int = 0
    target: int = 0
    urgency: float = 0.0
    minutes: float = 0.0
    strength: float = 1.0


class Fill(NamedTuple):
    """One fill as the ledger has it. `bar` is the slot of the bar whose close made it known."""

    bar: int
    purpose: str
    side: int
    lots: int
    ticks: int
    maker: bool


Wishes = Mapping[int, int | Wish]


def _scripted(market, sleeve, memory, param_base, memory_base, signal):  # type: ignore[no-untyped-def]
    """Read the wish of this symbol's newest bar from the script that lies in memory."""
    bars = int(memory[param_base])
    at = memory_base + (market["symbol"] * bars + min(market["bars"], bars) - 1) * 6
    signal["side"] = int(memory[at])
    signal["stop_distance"] = memory[at + 1]
    signal["target_distance"] = memory[at + 2]
    signal["urgency"] = memory[at + 3]
    signal["horizon_s"] = memory[at + 4]
    signal["strength"] = memory[at + 5]


@cache
def _compiled_script() -> Any:
    return compile_cached(_scripted, BAR_SIGNATURE, KERNEL_CACHE)


class Script:
    """A strategy that wishes what it was told: `wishes` maps a bar's index (per symbol) to a side or a `Wish`."""

    on = "bar"
    on_book = quotes = False
    every_ns = 0
    python = staticmethod(_scripted)

    def __init__(self, name: str, symbols: Sequence[str], bars: int, wishes: Mapping[str, Wishes], tick_size: float) -> None:
        self.name = name
        self.params = {"bars": float(bars)}
        self.table = np.zeros((len(symbols), bars, 6))
        self.table[:, :, 5] = 1.0
        for index, symbol in enumerate(symbols):
            for at, told in sorted(wishes.get(symbol, {}).items()):
                wish = told if isinstance(told, Wish) else Wish(told)
                self.table[index, at:] = (
                    wish.side, wish.stop * tick_size, wish.target * tick_size, wish.urgency, wish.minutes * 60.0, wish.strength
                )  # fmt: skip

    @property
    def compiled(self) -> Any:
        """The machine code all scripts share."""
        return _compiled_script()

    def resolve(self, params: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the parameters: how many bars the script has."""
        return dict(self.params)

    def param_values(self, params: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the parameters as they lie in the flat array."""
        return np.array(list(self.params.values()))

    def initial_memory(self, params: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the whole script; every symbol's block holds all of it."""
        return self.table.ravel().copy()

    def warmup(self, params: Mapping[str, float] | None = None) -> int:
        """Return the bars needed before a wish counts: none."""
        return 0


# ------------------------------------------------------------ the feed


def instruments_of(count: int, changes: Mapping[str, Any]) -> np.ndarray:
    """Return `count` equal instruments; `changes` are fields of INSTRUMENT."""
    rows = np.zeros(count, INSTRUMENT)
    plain = {
        "unit_e8": UNIT_E8, "tick_size": TICK_SIZE, "step_size": STEP_SIZE, "price_filter_ticks": 1, "lot_filter_lots": 1,
        "min_qty_lots": 1, "max_qty_lots": LOTS, "max_market_qty_lots": 10**9, "min_notional_e8": 5 * 10**8, "trading": 1,
        "price_band_up_pct": 0.5, "price_band_down_pct": 0.5, "n_brackets": 1,
    }  # fmt: skip
    for name, value in {**plain, **changes}.items():
        rows[name] = value
    rows["bracket_mmr"][:, 0] = 0.01
    rows["bracket_leverage"][:, 0] = 50.0
    rows["bracket_floor"][:, 1:] = np.inf
    rows["liquidation_fee_e8"] = 1_250_000
    return rows


def _joined(parts: Sequence[np.ndarray], layout: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    ranges = np.stack([ends - [len(part) for part in parts], ends], axis=1).astype(np.int64)
    return np.concatenate([*parts, np.zeros(0, layout)]).astype(layout), ranges


def bar_rows(tape: Tape, interval_ns: int = MINUTE_NS, sigma_day: float = 0.02, volume_day: float = 1e6) -> np.ndarray:
    """Return the BAR rows of a tape; a missing bar leaves its slot empty."""
    rows = np.zeros(sum(row is not None for row in tape), BAR)
    slots = [slot for slot, row in enumerate(tape) if row is not None]
    rows["open_ns"] = START_NS + np.array(slots, np.int64) * interval_ns
    for at, name in enumerate(("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")):
        rows[name] = [row[at] for row in tape if row is not None]
    rows["sigma_day"], rows["volume_day"] = sigma_day, volume_day
    return rows


def _timed(rows: Mapping[int, Mapping[str, Any]], layout: np.dtype, more: Mapping[str, Any]) -> np.ndarray:
    """Return rows known at the close of the slots they are keyed by."""
    table = np.zeros(len(rows), layout)
    for row, (slot, fields) in zip(table, sorted(rows.items()), strict=True):
        row["ts_ns"] = START_NS + (slot + 1) * MINUTE_NS
        for name, value in {**more, **fields}.items():
            row[name] = value
    return table


def feed_of(
    tapes: Mapping[str, Tape], instrument: Mapping[str, Any] | None = None, *,
    marks: Mapping[str, Mapping[int, tuple[float, float, float]]] | None = None,
    funding: Mapping[str, Mapping[int, int]] | None = None,
    filters: Mapping[str, Mapping[int, Mapping[str, Any]]] | None = None,
    quotes: Mapping[str, str] | None = None, sigma_day: float = 0.02, volume_day: float = 1e6,
) -> Feed:  # fmt: skip
    """Return a feed of hand-made bars.

    marks: low, high, close in quote units by slot; funding: rates in 1e-8 by the slot at whose close they settle; filters:
    changed INSTRUMENT fields by the slot from whose close they are in force; quotes: quote asset of symbols (USDT).
    """
    symbols = tuple(sorted(tapes))
    rows = instruments_of(len(symbols), instrument or {})
    assets = tuple(sorted({(quotes or {}).get(symbol, "USDT") for symbol in symbols}))
    rows["quote_asset"] = [assets.index((quotes or {}).get(symbol, "USDT")) for symbol in symbols]
    bars, bar_range = _joined([bar_rows(tapes[symbol], MINUTE_NS, sigma_day, volume_day) for symbol in symbols], BAR)
    mark_rows = [
        _timed(
            {slot: {"open": close, "low": low, "high": high, "close": close} for slot, (low, high, close) in chosen.items()},
            MARK, {"span_ns": MINUTE_NS},
        )
        for chosen in ((marks or {}).get(symbol, {}) for symbol in symbols)
    ]  # fmt: skip
    rates = [
        _timed(
            {slot: {"rate_e8": rate} for slot, rate in (funding or {}).get(symbol, {}).items()},
            FUNDING,
            {"interval_ns": 8 * 60 * MINUTE_NS},
        )
        for symbol in symbols
    ]
    in_force = {name: rows[0][name] for name in FILTER.names or () if name != "ts_ns"}
    changes = [_timed((filters or {}).get(symbol, {}), FILTER, in_force) for symbol in symbols]
    mark_table, mark_range = _joined(mark_rows, MARK)
    rate_table, rate_range = _joined(rates, FUNDING)
    filter_table, filter_range = _joined(changes, FILTER)
    return Feed(
        symbols=symbols, bars=bars, bar_range=bar_range, interval_ns=np.full(len(symbols), MINUTE_NS, np.int64),
        marks=mark_table, mark_range=mark_range, funding=rate_table, funding_range=rate_range, filters=filter_table,
        filter_range=filter_range, instruments=rows, quote_assets=assets, synthetic=True, label="scene", content_hash="",
        coverage=tuple({"symbol": symbol, "notes": []} for symbol in symbols), caveats=(),
    )  # fmt: skip


# ------------------------------------------------------------ the config

OPEN_LIMITS = {
    "nav_max_age_s": 31e6, "market_max_age_s": 31e6, "max_order_notional": 1e9, "max_trade_nav_pct": 1.0, "max_symbol_nav_pct": 10.0,
    "max_tier_nav_pct": 10.0, "max_strategy_nav_pct": 10.0, "max_gross_nav_pct": 10.0, "max_net_nav_pct": 10.0, "max_leverage": 100.0,
    "max_concurrent_positions": 1_000, "max_tier_positions": 1_000, "max_strategy_positions": 1_000, "max_orders_per_minute": 100_000,
    "min_free_margin_pct": 0.0, "min_liquidation_distance_pct": 0.0, "max_daily_loss_pct": 1.0, "max_drawdown_pct": 1.0,
    "price_collar_pct": 1.0, "per_tier": {}, "per_symbol": {},
}  # fmt: skip
OPEN_SCREEN = {
    "warmup_bars": 0, "max_spread_bps": 10_000.0, "min_volume_day_usd": 0.0, "max_sigma_day": 100.0, "min_sigma_day": 0.0,
    "funding_window_s": 0.0, "max_adverse_funding_bps": 10_000.0, "cool_down_s": 0.0, "after_gap_bars": 0, "min_score": 0.0,
    "min_expectancy_bps": -10_000.0,
}  # fmt: skip
STAGE = {
    "cash": 100_000.0, "allow_unlisted_symbols": True, "equity_sample_s": 60.0, "entry_retry_s": 600.0,
    "router.offsets_bps.LOW": 1.0, "router.wait_s": 60.0, "router.max_requotes": 1, "router.price_cap_bps": 30.0,
    "bar_model.impact_y": 0.0, "bar_model.stop_slippage_ticks": 1.0, "bar_model.half_spread_bps.unlisted": 1.0,
    "leverage.unlisted": 10.0,
}  # fmt: skip


@cache
def _packaged() -> dict[str, Any]:
    return copy.deepcopy(dict(load_config().trees))


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a key of nested objects by its dotted path."""
    *parents, key = path.split(".")
    for name in parents:
        tree = tree[name]
    tree[key] = value


def config_of(
    names: Sequence[str], *, settings: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None,
    screen: Mapping[str, Any] | None = None, sizing: Mapping[str, Any] | None = None, files: Mapping[str, Any] | None = None,
    intervals: Mapping[str, str] | None = None, own: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:  # fmt: skip
    """Return the packaged config with wide-open limits, in which the scripts `names` run and nothing else.

    settings: keys of settings.json by dotted path; limits: keys of risk_limits.json; screen, sizing: of every strategy; own:
    more keys of one script's entry in strategy_config.json; files: keys of any file by dotted path.
    """
    trees = copy.deepcopy(_packaged())
    for path, value in {**STAGE, **(settings or {})}.items():
        put(trees["settings"], path, value)
    trees["risk_limits"] = {**OPEN_LIMITS, **(limits or {})}
    trees["strategy_registry"]["strategies"] = {name: {"module": "tests.scenes", "params": {"bars": {"default": 1.0}}} for name in names}
    method = {"method": "fixed_fraction", "fraction": 1.0, "max_participation_pct": 1.0}
    defaults = trees["strategy_config"]["defaults"]
    defaults["interval"] = "base"
    defaults["screen"] = {**OPEN_SCREEN, **(screen or {})}
    defaults["sizing"] = {**defaults["sizing"], **method, **(sizing or {})}
    trees["strategy_config"]["strategies"] = {
        name: {"enabled": True, **({"interval": intervals[name]} if intervals and name in intervals else {}), **(own or {}).get(name, {})}
        for name in names
    }
    for path, value in (files or {}).items():
        put(trees, path, value)
    return Config.of(trees, load_config().folder)


# ------------------------------------------------------------ the play


@dataclass
class Scene:
    """A played scene: its session and recording, and short ways to what happened."""

    session: Session
    config: Config
    feed: Feed
    shown: str = A
    _cache: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def recording(self) -> Recording:
        """The finished recording."""
        totals = self.session.core["totals"].copy()
        totals["events"], totals["slices"], totals["bars"] = self.session.run["events"], self.session.run["slices"], len(self.feed.bars)
        return record(self.session, self.config, 0, totals, {"load_s": 0.0, "compile_s": 0.0, "replay_s": 1.0, "events_per_s": 1.0})

    @property
    def core(self) -> Any:
        """The CORE record."""
        return self.session.core

    @property
    def venue(self) -> Any:
        """The VENUE record."""
        return self.session.venue

    @property
    def totals(self) -> Any:
        """The core's counters."""
        return self.recording.totals

    @property
    def trades(self) -> np.ndarray:
        """The closed trades."""
        return self.recording.trades

    @property
    def routes(self) -> np.ndarray:
        """The finished parent orders."""
        return self.recording.routes

    def rows(self, kind: LedgerKind, symbol: str | None = None) -> np.ndarray:
        """Return the ledger's rows of one kind, of one symbol if named."""
        ledger = self.recording.ledger
        chosen = ledger[ledger["kind"] == kind]
        return chosen if symbol is None else chosen[chosen["symbol"] == self.feed.symbols.index(symbol)]

    def slots(self, kind: LedgerKind, symbol: str | None = None) -> list[int]:
        """Return the slots at whose close the rows of one kind were written."""
        return [slot_of(ts) for ts in self.rows(kind, symbol)["ts_ns"]]

    def fills(self, symbol: str | None = None) -> list[Fill]:
        """Return every fill in the ledger's order."""
        return [
            Fill(
                slot_of(r["ts_ns"]),
                Purpose(int(r["code"])).name.lower(),
                int(r["side"]),
                int(r["qty_lots"]),
                int(r["price_ticks"]),
                r["x0"] == 1.0,
            )
            for r in self.rows(LedgerKind.FILL, symbol)
        ]  # fmt: skip

    def outcomes(self) -> list[str]:
        """Return how every finished parent order ended."""
        return [RouteOutcome(int(code)).name.lower() for code in self.routes["outcome"]]

    def vetoes(self) -> list[tuple[int, int]]:
        """Return (slot, code) of every gate veto row."""
        return [(slot_of(r["ts_ns"]), int(r["code"])) for r in self.rows(LedgerKind.GATE_VETO)]

    def screens(self) -> list[tuple[int, int]]:
        """Return (slot, code) of every screener veto."""
        return [(slot_of(r["ts_ns"]), int(r["code"])) for r in self.rows(LedgerKind.SCREEN_VETO)]

    def held(self, symbol: str = A) -> tuple[int, int]:
        """Return the lots the account's two legs of a symbol hold at the end, as the exchange says."""
        at = self.feed.symbols.index(symbol) * 2
        return int(self.venue["position"][at]["qty_lots"]), int(self.venue["position"][at + 1]["qty_lots"])


def slot_of(ts_ns: int) -> int:
    """Return the slot that closed at `ts_ns`."""
    return int((ts_ns - START_NS) // MINUTE_NS) - 1


def session_of(
    tapes: Tape | Mapping[str, Tape], wishes: Mapping[Any, Any] | None = None, *, scripts: Mapping[str, Mapping[str, Wishes]] | None = None,
    interpreted: bool = False, journal: bool = False, settings: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None,
    screen: Mapping[str, Any] | None = None, sizing: Mapping[str, Any] | None = None, files: Mapping[str, Any] | None = None,
    intervals: Mapping[str, str] | None = None, own: Mapping[str, Mapping[str, Any]] | None = None, **stage: Any,
) -> Scene:  # fmt: skip
    """Return a scene that is set but not played yet; see `play`."""
    tapes = tapes if isinstance(tapes, Mapping) else {A: tapes}
    feed = feed_of(tapes, **stage)
    if scripts is None:
        told = wishes or {}
        scripts = {"script": told if any(isinstance(key, str) for key in told) else dict.fromkeys(feed.symbols, told)}
    config = config_of(
        list(scripts), settings=settings, limits=limits, screen=screen, sizing=sizing, files=files, intervals=intervals, own=own
    )
    longest = max(len(tape) for tape in tapes.values())
    made: list[Any] = [Script(name, feed.symbols, longest, told, TICK_SIZE) for name, told in scripts.items()]
    return Scene(Session(feed, config, made, interpreted=interpreted, journal=journal), config, feed)


def play(tapes: Tape | Mapping[str, Tape], wishes: Mapping[Any, Any] | None = None, **options: Any) -> Scene:
    """Play hand-made bars against scripted wishes to the end and return the scene; the books were checked.

    tapes: the bars of one symbol, or of several by name. wishes: {bar: side or Wish}, the same for every symbol, or by symbol;
    or scripts={name: {symbol: {bar: wish}}} for several strategies. A wish at bar k is stated at its close. The other options
    are those of `config_of` and `feed_of`.
    """
    scene = session_of(tapes, wishes, **options)
    scene.session.finish()
    return scene
