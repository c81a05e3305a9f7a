"""Scenes on order books without an exchange: views and reports are told by hand, the decision core answers.

Prices are ticks of 0.1 and quantities lots of 0.001, as on the larger USD-M contracts. The feed holds no events: a scene
feeds the inputs themselves through `CoreRun`, as the re-run of a journal does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from simcore.config import Config, load_config
from simcore.domain.enums import InputKind, ReportKind, RequestKind
from simcore.domain.records import BAR, FILTER, INPUT, INSTRUMENT, LADDER, REPORT, VIEW
from simcore.replay.journal import CoreRun, Journal
from simcore.replay.plan import make_plan
from simcore.strategy import Strategy

TICK, STEP, UNIT_E8 = 0.1, 0.001, 10_000
MS = 1_000_000
WAKE = 100 * MS
START_NS = 1_735_689_600_000_000_000  # 2025-01-01 UTC
E8 = 100_000_000
MAKER_E8 = 20_000


def book_feed(symbols: Sequence[str] = ("BTCUSDT",), changes: Mapping[str, Any] | None = None) -> Any:
    """Return what a plan reads of a feed of order books; `changes` are fields of INSTRUMENT."""
    rows = np.zeros(len(symbols), INSTRUMENT)
    defaults = {
        "tick_size": TICK, "step_size": STEP, "unit_e8": UNIT_E8, "price_filter_ticks": 1, "lot_filter_lots": 1, "min_qty_lots": 1,
        "max_qty_lots": 10**9, "max_market_qty_lots": 10**9, "min_notional_e8": E8, "trading": 1,
        "price_band_up_pct": 0.05, "price_band_down_pct": 0.05,
    }  # fmt: skip
    for name, value in {**defaults, **(changes or {})}.items():
        rows[name] = value
    empty = np.zeros((len(symbols), 2), np.int64)
    return SimpleNamespace(
        kind="book", symbols=tuple(symbols), bars=np.zeros(0, BAR), bar_range=empty, interval_ns=np.zeros(len(symbols), np.int64),
        filters=np.zeros(0, FILTER), ladders=np.zeros(0, LADDER), instruments=rows, quote_assets=("USDT",),
        start_ns=START_NS, end_ns=START_NS + 86_400 * 10**9,
    )  # fmt: skip


QUIET = {
    "risk_limits.max_orders_per_minute": 100_000, "settings.entry_retry_s": 0, "settings.allow_unlisted_symbols": True,
    "reserves.reserve_cash_pct": 0.0, "reserves.treasury": {}, "strategy_config.defaults.screen.after_gap_bars": 0,
    "strategy_config.defaults.interval": "base",
}  # fmt: skip


def book_config(strategies: Sequence[Strategy], changes: Mapping[str, Any] | None = None) -> Config:
    """Return the packaged config with exactly `strategies` registered, without reserves; `changes` are keys by their path."""
    config = load_config()
    trees = copy.deepcopy(dict(config.trees))
    code = {s.name: {"module": "tests", "params": {name: {"default": value} for name, value in s.params.items()}} for s in strategies}
    trees["strategy_registry"]["strategies"] = code
    trees["strategy_config"]["strategies"] = {s.name: {"enabled": True} for s in strategies}
    for path, value in {**QUIET, **(changes or {})}.items():
        head, *keys, last = path.split(".")
        node = trees[head]
        for key in keys:
            node = node.setdefault(key, {})
        node[last] = value
    return Config.of(trees, config.folder)


@dataclass
class Book:
    """A decision core on books, told its inputs one by one. Times are milliseconds from the start."""

    strategies: list[Strategy]
    symbols: Sequence[str] = ("BTCUSDT",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    instrument: Mapping[str, Any] = field(default_factory=dict)
    cash: float = 100_000.0
    interpreted: bool = False

    def __post_init__(self) -> None:
        feed = book_feed(self.symbols, self.instrument)
        config = book_config(self.strategies, self.settings)
        self.plan = make_plan(feed, config, list(self.strategies))
        self.run = CoreRun(self.plan, interpreted=self.interpreted)
        self.inputs: list[np.ndarray] = []
        self.views: list[np.ndarray] = []
        self.reports: list[np.ndarray] = []
        self.deposit(self.cash)

    @property
    def core(self) -> Any:
        """The CORE record."""
        return self.run.core

    # ------------------------------------------------------------ inputs

    def take(self, kind: InputKind, ms: float, symbol: int = -1, **fields: Any) -> None:
        """Hand one input to the core, and keep it for the journal."""
        item = np.zeros(1, INPUT)
        item["kind"], item["ts_ns"], item["symbol"] = kind, START_NS + round(ms * MS), symbol
        for name, value in fields.items():
            item[name] = value
        self.inputs.append(item)
        alone = item.copy()
        alone["index"] = 0
        reports, views = self.reports[-1:] or [np.zeros(0, REPORT)], self.views[-1:] or [np.zeros(0, VIEW)]
        self.run.take(Journal(alone, reports[0], self.plan.feed.filters, views[0]))

    def journal(self) -> Journal:
        """Return everything told so far."""
        reports = np.concatenate([*self.reports, np.zeros(0, REPORT)])
        views = np.concatenate([*self.views, np.zeros(0, VIEW)])
        return Journal(np.concatenate(self.inputs), reports, self.plan.feed.filters, views)

    def deposit(self, usd: float) -> None:
        """Put money into the wallet."""
        self.report(0, kind=ReportKind.TRANSFER, amount_e8=round(usd * E8), symbol=-1, strategy=-1)

    def report(self, ms: float, **fields: Any) -> None:
        """Hand one report to the core, known at `ms`."""
        row = np.zeros(1, REPORT)
        row["ts_ns"], row["route"], row["quote"] = START_NS + round(ms * MS), -1, -1
        for name, value in fields.items():
            row[name] = value
        self.reports.append(row)
        self.take(InputKind.REPORT, ms, index=len(self.reports) - 1)

    def view(self, ms: float, bid: int = 999, ask: int = 1001, symbol: int = 0, ok: int = 1, **fields: Any) -> None:
        """Show one view of a symbol's book, of 5,000 lots a side unless told otherwise."""
        row = np.zeros(1, VIEW)
        row["ts_ns"], row["ts_exch"], row["symbol"], row["book_ok"] = START_NS + round(ms * MS), START_NS + round(ms * MS), symbol, ok
        row["bid_ticks"], row["ask_ticks"], row["bid_lots"], row["ask_lots"] = bid, ask, 5_000, 5_000
        row["bid_depth_lots"] = row["ask_depth_lots"] = 20_000
        for name, value in fields.items():
            row[name] = value
        self.views.append(row)
        self.take(InputKind.VIEW, ms, symbol, index=len(self.views) - 1)

    def decide(self, ms: float) -> np.ndarray:
        """Take one decision and return the requests it made."""
        before = len(self.run.requests)
        self.take(InputKind.DECIDE, ms)
        made = self.run.requests[before:]
        return np.concatenate(made) if made else np.zeros(0, self.core["request"].dtype)

    def wake(self, ms: float, bid: int = 999, ask: int = 1001, **fields: Any) -> np.ndarray:
        """Show a view of the first symbol's book and decide."""
        self.view(ms, bid, ask, **fields)
        return self.decide(ms)

    # ------------------------------------------------------------ the exchange, by hand

    def answer(self, ms: float, request: Any, kind: ReportKind, **fields: Any) -> None:
        """Report on one request of the core's."""
        same = {name: request[name] for name in ("order_id", "route", "quote", "strategy", "symbol", "side", "leg", "purpose")}
        same |= {"price_ticks": request["price_ticks"], "leaves_lots": request["qty_lots"]}
        self.report(ms, kind=kind, **{**same, **fields})

    def fill(self, ms: float, request: Any, lots: int, leaves: int = 0, price: int | None = None, maker: int = 1) -> None:
        """Fill `lots` of one request, at its limit unless told otherwise."""
        ticks = int(request["price_ticks"]) if price is None else price
        fee = lots * ticks * UNIT_E8 * MAKER_E8 // E8
        self.answer(ms, request, ReportKind.FILL, qty_lots=lots, leaves_lots=leaves, price_ticks=ticks, maker=maker, fee_e8=fee,
                    reference=ticks * TICK)  # fmt: skip

    def rows(self, kind: int) -> np.ndarray:
        """Return the ledger's rows of one kind."""
        ledger = self.run.output.table("ledger")
        return ledger[ledger["kind"] == kind]


def new(requests: np.ndarray) -> np.ndarray:
    """Return the new orders of some requests."""
    return requests[requests["kind"] == RequestKind.NEW]


def cancels(requests: np.ndarray) -> np.ndarray:
    """Return the cancels of some requests."""
    return requests[requests["kind"] == RequestKind.CANCEL]


def sides(requests: np.ndarray) -> Callable[[int], np.ndarray]:
    """Return a function that picks the requests of one side."""
    return lambda side: requests[requests["side"] == side]
