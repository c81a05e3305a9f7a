"""Book scenes: hand-made events and requests at the simulated exchange, for exact expectations of every fill.

The ladder has 100 levels from tick 10,000 up; a tick is 0.1, a lot 0.01. Times are small integers, in ns. Orders go straight to
the exchange: what the wire and the core do to them is tested elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simcore.domain.enums import BUY, EventKind, Leg, OrderType, QueueModel, ReportKind, RequestKind, SelfTrade, TimeInForce
from simcore.domain.records import BOOK, EVENT, LADDER, REQUEST, STREAM, VENUE
from simcore.engine.arrival import arrive_nb
from simcore.engine.book_play import play_exchange_nb
from simcore.engine.schedule import NEVER
from simcore.engine.venue import deposit_nb

BASE, SPAN = 10_000, 100
TICK_SIZE, STEP_SIZE, UNIT_E8 = 0.1, 0.01, 100_000
CASH_E8 = 10**15


@dataclass
class Exchange:
    """One symbol's book at the exchange. Prices in ticks, quantities in lots."""

    model: int = QueueModel.POWER
    power: float = 3.0
    full_fill: bool = False
    full_through: bool = False
    self_trade: int = SelfTrade.NONE
    entry_ns: int = 0
    base: int = BASE
    span: int = SPAN
    next_id: int = 4

    def __post_init__(self) -> None:
        self.venues, self.streams = np.zeros(1, VENUE), np.zeros(1, STREAM)
        venue, stream = self.venues[0], self.streams[0]
        venue["n_symbols"] = stream["n_symbols"] = 1
        instrument = venue["instrument"][0]
        instrument["unit_e8"], instrument["tick_size"], instrument["step_size"] = UNIT_E8, TICK_SIZE, STEP_SIZE
        instrument["price_filter_ticks"] = instrument["lot_filter_lots"] = instrument["min_qty_lots"] = instrument["trading"] = 1
        instrument["max_qty_lots"] = instrument["max_market_qty_lots"] = 10**9
        instrument["price_band_up_pct"] = instrument["price_band_down_pct"] = 0.5
        instrument["leverage"], instrument["maker_fee_e8"], instrument["taker_fee_e8"] = 10.0, 20_000, 50_000
        venue["account"]["known"] = 1
        deposit_nb(venue, CASH_E8, 0)
        venue["n_reports"] = 0
        stream["queue_model"], stream["queue_n"] = self.model, self.power
        stream["full_fill"], stream["full_through"] = self.full_fill, self.full_through
        stream["self_trade"], stream["entry_ns"] = self.self_trade, self.entry_ns
        stream["due_ns"][:] = stream["sight_ns"][:] = NEVER
        stream["own_top"][0] = -1, self.span - 1
        self.lots, self.resting = np.zeros(2 * self.span, np.int64), np.zeros(2 * self.span, np.uint8)
        self.ladders, self.books = np.zeros(1, LADDER), np.zeros(1, BOOK)
        self.ladders[0] = (self.base, 1, self.span, 0)
        self.books["best_bid"], self.books["best_ask"], self.books["last_level"] = -1, self.span - 1, -1
        self.now = 0
        self.mark(EventKind.READY)

    # ------------------------------------------------------------ the feed

    def depth(self, side: int, ticks: int, lots: int, at: int | None = None) -> Exchange:
        """Set a level's displayed quantity; side +1 is the bid side."""
        return self._event(EventKind.BID_DEPTH if side == BUY else EventKind.ASK_DEPTH, self.level(side, ticks), lots, at)

    def trade(self, aggressor: int, ticks: int, lots: int, at: int | None = None) -> Exchange:
        """Let somebody trade; a buying aggressor lifts an ask."""
        kind = EventKind.ASK_LIFTED if aggressor == BUY else EventKind.BID_HIT
        return self._event(kind, self.level(-aggressor, ticks), lots, at)

    def mark(self, kind: int, at: int | None = None) -> Exchange:
        """Begin a snapshot (CLEAR), end it (READY) or break the stream (GAP)."""
        return self._event(kind, 0, 0, at)

    def show(self, bids: dict[int, int], asks: dict[int, int]) -> Exchange:
        """Set several levels at once."""
        for side, levels in ((1, bids), (-1, asks)):
            for ticks, lots in levels.items():
                self.depth(side, ticks, lots)
        return self

    def _event(self, kind: int, at_level: int, lots: int, at: int | None) -> Exchange:
        self.now = self.now + 1 if at is None else at
        row = np.zeros(1, EVENT)
        row[0] = (self.now, self.now, lots, at_level, kind, 1, 0)
        stream = self.streams[0]
        stream["exch_pos"][0], stream["event_end"][0] = 0, 1
        play_exchange_nb(stream, self.venues[0], 0, self.now, row, self.lots, self.resting, self.books, self.ladders)
        assert stream["exch_pos"][0] == 1
        return self

    # ------------------------------------------------------------ our orders

    def send(
        self,
        side: int,
        ticks: int,
        lots: int,
        tif: int = TimeInForce.GTX,
        type: int = OrderType.LIMIT,
        reduce_only: bool = False,
        stop: int = 0,
        target: int = 0,
        expire_ns: int = 0,
        strategy: int = 0,
    ) -> int:
        """Let a new order arrive now; return its id."""
        row = np.zeros(1, REQUEST)[0]
        row["kind"], row["ts_ns"], row["order_id"], row["route"], row["quote"] = RequestKind.NEW, self.now, self.next_id, -1, -1
        row["side"], row["leg"], row["type"], row["tif"] = side, Leg.BOTH, type, tif
        row["qty_lots"], row["price_ticks"], row["reduce_only"] = lots, ticks, reduce_only
        row["stop_ticks"], row["target_ticks"], row["expire_ns"], row["strategy"] = stop, target, expire_ns, strategy
        self.next_id += 4
        self._arrive(row)
        return int(row["order_id"])

    def cancel(self, order_id: int) -> None:
        """Let a cancel arrive now."""
        row = np.zeros(1, REQUEST)[0]
        row["kind"], row["ts_ns"], row["order_id"] = RequestKind.CANCEL, self.now, order_id
        self._arrive(row)

    def amend(self, order_id: int, ticks: int, lots: int) -> None:
        """Let a change of price and quantity arrive now."""
        row = np.zeros(1, REQUEST)[0]
        row["kind"], row["ts_ns"], row["order_id"] = RequestKind.AMEND, self.now, order_id
        row["price_ticks"], row["qty_lots"] = ticks, lots
        self._arrive(row)

    def _arrive(self, row: Any) -> None:
        arrive_nb(self.streams[0], self.venues[0], row, self.now, self.lots, self.resting, self.books, self.ladders)

    # ------------------------------------------------------------ what happened

    def reports(self, *kinds: int) -> list[Any]:
        """Return the reports so far, of the given kinds or all."""
        rows = self.venues[0]["report"][: int(self.venues[0]["n_reports"])]
        return [row for row in rows if not kinds or row["kind"] in kinds]

    def fills(self) -> list[tuple[int, int, int, bool]]:
        """Return every fill as (order id, lots, ticks, maker)."""
        return [(int(r["order_id"]), int(r["qty_lots"]), int(r["price_ticks"]), bool(r["maker"])) for r in self.reports(ReportKind.FILL)]

    def codes(self) -> list[tuple[int, int]]:
        """Return every refusal and expiry as (order id, code)."""
        return [(int(r["order_id"]), int(r["code"])) for r in self.reports(ReportKind.REJECTED, ReportKind.EXPIRED)]

    def order(self, order_id: int) -> Any:
        """Return a live order's row."""
        rows = self.venues[0]["order"]
        return next(row for row in rows if row["active"] and row["id"] == order_id)

    @property
    def position(self) -> int:
        """Signed lots held."""
        return int(self.venues[0]["position"][0]["qty_lots"])

    def level(self, side: int, ticks: int) -> int:
        """Return the ladder level of a price on the bid (+1) or ask (-1) side."""
        rung = ticks - self.base
        return rung if side == BUY else 2 * self.span - 1 - rung
