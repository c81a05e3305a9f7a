"""The audit: a run on real data re-told from the exchange's own files, fill by fill and payment by payment.

It reads the source files with pandas and floats, and shares no code with catalog, venue or account.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simcore.domain.enums import LedgerKind, Leg, Purpose
from simcore.report.run import Run

SPANS = {"1m": 60, "5m": 300, "1h": 3_600, "8h": 28_800}
NS = 1_000_000_000
E8 = 100_000_000


class Audit:
    """One run beside the files below `folder` (klines, markPriceKlines, fundingRate)."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.recording, self.folder = run, run.recording, folder
        self.feed = run.recording.feed
        self.span_ns = SPANS[run.recording.interval] * NS
        self.seen: Counter[str] = Counter()
        self.triggered: set[int] = set()
        ledger = run.recording.ledger
        self.fills = ledger[ledger["kind"] == LedgerKind.FILL]
        self.requests = {int(row["order_id"]): row for row in ledger[ledger["kind"] == LedgerKind.REQUEST]}

    @cache  # noqa: B019 - an audit lives as long as its test
    def table(self, kind: str, interval: str, symbol: str) -> pd.DataFrame | None:
        """The source rows of a symbol by time of OPEN (ns), None where there are none."""
        files = sorted((self.folder / kind / interval / symbol).glob("*.parquet"))
        if not files:
            return None
        rows = pd.concat(map(pd.read_parquet, files), ignore_index=True)
        return rows.set_index(rows["open_time"] * 1_000_000)

    def bar(self, symbol: str, close_ns: int) -> dict[str, float]:
        """The source bar that closes at `close_ns`."""
        return self.table("klines", self.recording.interval, symbol).loc[close_ns - self.span_ns]

    def tick(self, row: Any) -> float:
        return float(self.feed.instruments["tick_size"][row["symbol"]])

    def lot(self, row: Any) -> float:
        return float(self.feed.instruments["step_size"][row["symbol"]])

    # ------------------------------------------------------------ fills

    def check_fills(self) -> None:
        """Every fill against its bar: the price it could get, the fee, and when it was asked for."""
        volume: Counter[tuple[int, int]] = Counter()
        for fill in self.fills:
            symbol, tick = self.feed.symbols[fill["symbol"]], self.tick(fill)
            bar = self.bar(symbol, int(fill["ts_ns"]))
            price, side = fill["price_ticks"] * tick, int(fill["side"])
            request = self.requests.get(int(fill["order_id"]))
            if request is not None:
                assert request["ts_ns"] <= fill["ts_ns"] - self.span_ns, f"{symbol}: filled in the bar of its decision"
            if fill["x0"]:
                self.check_maker(fill, bar, price, side, tick)
            elif fill["code"] == Purpose.STOP:
                self.check_stop(fill, bar, price, side, tick)
            else:
                self.seen["taker"] += 1
                assert side * (price - bar["open"]) > 0, f"{symbol}: a taker pays more than the open"
                assert abs(price / bar["open"] - 1.0) < 0.02
            self.check_fee(fill, price)
            volume[int(fill["symbol"]), int(fill["ts_ns"])] += int(fill["qty_lots"])
        for (index, ts_ns), lots in volume.items():
            traded = self.bar(self.feed.symbols[index], ts_ns)["volume"]
            step = float(self.feed.instruments["step_size"][index])
            assert lots * step <= 0.1 * traded * (1 + 1e-9), (
                f"{self.feed.symbols[index]}: more than the cap of {traded} in one bar"
            )

    def check_maker(self, fill: Any, bar: Any, price: float, side: int, tick: float) -> None:
        """A resting order fills at its own limit, in a bar that traded beyond it."""
        self.seen["maker"] += 1
        request = self.requests[int(fill["order_id"])]
        assert request["price_ticks"] == fill["price_ticks"], "a maker fills at its limit"
        extreme = bar["low"] if side > 0 else bar["high"]
        assert side * (price - extreme) > 0.5 * tick, "the bar traded through the limit"

    def check_stop(self, fill: Any, bar: Any, price: float, side: int, tick: float) -> None:
        """A stop fills worse than its level and worse than the open of its bar; what the cap left over goes on at later opens."""
        level = float(fill["x1"])
        if int(fill["order_id"]) in self.triggered:
            self.seen["rest of a stop"] += 1
            assert side * (price - bar["open"]) > 0
            return
        self.triggered.add(int(fill["order_id"]))
        self.seen["stop"] += 1
        assert side * (price - level) > 0 and side * (price - bar["open"]) > 0
        if side * (bar["open"] - level) > 0:
            self.seen["stop gapped"] += 1

    def check_fee(self, fill: Any, price: float) -> None:
        """Two basis points as a maker, five as a taker, cut at eight places."""
        notional = price * fill["qty_lots"] * self.lot(fill)
        fee = notional * (2e-4 if fill["x0"] else 5e-4)
        assert -1e-8 <= fee - fill["value"] < 1.1e-8 + 1e-12 * notional

    # ------------------------------------------------------------ stops

    def check_no_stop_was_missed(self) -> None:
        """From entry to exit no bar touched a trade's stop, except the bar in which the stop filled."""
        routes = self.recording.routes
        entries = routes[(routes["purpose"] == Purpose.ENTRY) & (routes["stop_ticks"] > 0)]
        level = {(int(r["strategy"]), int(r["symbol"]), int(r["started_ns"])): int(r["stop_ticks"]) for r in entries}
        stops = self.fills[self.fills["code"] == Purpose.STOP]
        stopped = {(int(r["strategy"]), int(r["symbol"]), int(r["ts_ns"])) for r in stops}
        takers = {(int(r["strategy"]), int(r["symbol"]), int(r["ts_ns"])) for r in self.fills[self.fills["x0"] == 0]}
        for trade in self.recording.trades:
            who = int(trade["strategy"]), int(trade["symbol"])
            ticks = level.get((*who, int(trade["decision_ns"])))
            if ticks is None:
                continue
            self.seen["trade with a stop"] += 1
            first = self.first_touch(trade, ticks * self.tick(trade))
            if first is None:
                assert trade["exit_purpose"] != Purpose.STOP
            elif first < self.bar_end(int(trade["exit_ns"])):
                assert (*who, first) in stopped, f"{self.feed.symbols[who[1]]}: stop touched in the bar to {first}, not filled"
            elif trade["exit_purpose"] != Purpose.STOP:
                assert (*who, first) in takers, "only an exit at the bar's open comes before its stop"

    def bar_end(self, ts_ns: int) -> int:
        """The close of the bar that holds `ts_ns`; a time on the grid is the close of the bar before it."""
        return -(-ts_ns // self.span_ns) * self.span_ns

    def first_touch(self, trade: Any, stop: float) -> int | None:
        """The close (ns) of the first bar from entry to exit that touched the stop."""
        symbol = self.feed.symbols[trade["symbol"]]
        fills = self.fills[(self.fills["strategy"] == trade["strategy"]) & (self.fills["symbol"] == trade["symbol"])]
        entry = int(fills["ts_ns"][np.searchsorted(fills["ts_ns"], int(trade["decision_ns"]), side="right")])
        bars = self.table("klines", self.recording.interval, symbol)
        bars = bars.loc[entry - self.span_ns : self.bar_end(int(trade["exit_ns"])) - 1]
        touched = bars["low"] <= stop * (1 + 1e-12) if trade["side"] > 0 else bars["high"] >= stop * (1 - 1e-12)
        return int(bars.index[touched.to_numpy()][0]) + self.span_ns if touched.any() else None

    # ------------------------------------------------------------ funding

    @cache  # noqa: B019
    def rates(self, symbol: str) -> dict[int, float]:
        files = sorted((self.folder / "fundingRate" / symbol).glob("*.csv.gz"))
        if not files:
            return {}
        rows = pd.concat(map(pd.read_csv, files), ignore_index=True)
        return dict(
            zip((rows["calc_time"] // 60_000 * 60_000 * 1_000_000).tolist(), rows["last_funding_rate"].tolist(), strict=True)
        )

    def mark(self, symbol: str, ts_ns: int) -> float:
        """The mark price known at a settlement: the mark bar that closes then, or the last close of the contract."""
        for interval in ("1h", "8h"):
            rows = self.table("markPriceKlines", interval, symbol)
            if rows is not None and ts_ns - SPANS[interval] * NS in rows.index:
                return float(rows["close"].loc[ts_ns - SPANS[interval] * NS])
        rows = self.table("klines", self.recording.interval, symbol)
        return float(rows["close"].loc[: ts_ns - self.span_ns].iloc[-1])

    def check_funding(self) -> None:
        """Every settlement on every open leg was paid, at the file's rate and the file's mark, and nothing else was."""
        held: Counter[tuple[str, int]] = Counter()
        paid: dict[tuple[str, int, int], float] = {}
        due: dict[tuple[str, int, int], float] = {}
        times = sorted({t for symbol in self.feed.symbols for t in self.rates(symbol)})
        ledger = self.recording.ledger
        rows = ledger[(ledger["kind"] == LedgerKind.FILL) | (ledger["kind"] == LedgerKind.FUNDING)]
        at = 0
        for ts_ns in (t for t in times if self.recording.start_ns <= t <= self.recording.end_ns):
            while at < len(rows) and (
                rows["ts_ns"][at] < ts_ns or (rows["ts_ns"][at] == ts_ns and rows["kind"][at] == LedgerKind.FILL)
            ):
                self.book(rows[at], held, paid)
                at += 1
            for (symbol, leg), quantity in held.items():
                rate = self.rates(symbol).get(ts_ns)
                if quantity and rate is not None and self.in_data(symbol, ts_ns):
                    direction = 1 if leg == Leg.LONG else -1
                    due[symbol, leg, ts_ns] = -direction * quantity * self.mark(symbol, ts_ns) * rate
        for row in rows[at:]:
            self.book(row, held, paid)
        assert paid.keys() == due.keys()
        self.seen["funding"] = len(due)
        for key, amount in due.items():
            assert abs(paid[key] - amount) <= 3e-8 + 1e-9 * abs(amount), (key, paid[key], amount)

    def in_data(self, symbol: str, ts_ns: int) -> bool:
        index = self.feed.symbols.index(symbol)
        low, high = self.feed.funding_range[index]
        return bool(np.isin(ts_ns, self.feed.funding["ts_ns"][low:high]))

    def book(self, row: Any, held: Counter[tuple[str, int]], paid: dict[tuple[str, int, int], float]) -> None:
        symbol = self.feed.symbols[row["symbol"]]
        if row["kind"] == LedgerKind.FUNDING:
            paid[symbol, int(row["code"]), int(row["ts_ns"])] = float(row["value"])
            return
        opens = row["code"] == Purpose.ENTRY
        leg = Leg.LONG if (row["side"] > 0) == opens else Leg.SHORT
        held[symbol, int(leg)] += (1 if opens else -1) * round(float(row["qty_lots"]) * self.lot(row), 9)
        held[symbol, int(leg)] = round(held[symbol, int(leg)], 9)
        assert held[symbol, int(leg)] >= 0, f"{symbol}: a leg was closed by more than it held"

    # ------------------------------------------------------------ limits

    def check_limits(self) -> None:
        """Positions of a strategy and of the account never exceed the shipped limits, gross stays near its cap."""
        held: Counter[tuple[int, int]] = Counter()
        for fill in self.fills:
            who = int(fill["strategy"]), int(fill["symbol"])
            held[who] += int(fill["qty_lots"]) * (1 if fill["code"] == Purpose.ENTRY else -1)
            assert held[who] >= 0, "no strategy closes what another holds"
            if not held[who]:
                del held[who]
            assert len(held) <= 24 and max(Counter(strategy for strategy, _ in held).values(), default=0) <= 6
        self.seen["most positions"] = len(held)
        equity = self.recording.equity
        assert (equity["gross"] <= 1.5 * 1.25 * equity["nav"]).all(), "entries are capped, price moves are not"

    def check_all(self) -> Counter[str]:
        """Run every check; return what was seen."""
        self.check_fills()
        self.check_no_stop_was_missed()
        self.check_funding()
        self.check_limits()
        return self.seen
