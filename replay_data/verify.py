"""Verified books: stored events held against the exchange's own book ticker, by a book that is a dict and nothing clever.

After every applied depth message with last id u the rebuilt best bid, ask and their quantities must equal the recorded book
ticker with the nearest id at or below u: the last one the exchange sent before. A book is never crossed. The events must be the
stored tables row by row.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from replay_data.book_chain import Grid, Rows, counts_of, raw_of
from replay_data.book_events import MAX_LOTS, MAX_TICKS, READY, TRADE
from replay_data.book_store import map_book, stored_stream
from replay_data.manifest import BookInfo
from replay_data.stream import TICKERS, Faults, Table
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError

if TYPE_CHECKING:
    from replay_data.catalog import Catalog

MOST = 20


@dataclass
class Verdict:
    """What the comparison of one recording found: depth messages compared, equal ones, and the first faults in words."""

    symbol: str
    label: str
    compared: int = 0
    equal: int = 0
    crossed: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return self.compared == self.equal and not self.crossed and not self.wrong

    def say(self, what: str) -> None:
        if len(self.wrong) < MOST:
            self.wrong.append(what)


class PlainBook:
    """One symbol's book as two dicts of level to lots, best first by a heap that forgets lazily."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.heaps: tuple[list[int], list[int]] = ([], [])

    def clear(self) -> None:
        for side in (0, 1):
            self.sides[side].clear()
            self.heaps[side].clear()

    def put(self, side: int, ticks: int, lots: int) -> None:
        if lots == 0:
            self.sides[side].pop(ticks, None)
            return
        if ticks not in self.sides[side]:
            heapq.heappush(self.heaps[side], ticks if side else -ticks)
        self.sides[side][ticks] = lots

    def best(self, side: int) -> tuple[int, int]:
        """Return the best price in ticks and its lots; (-1, 0) of an empty side."""
        heap, levels = self.heaps[side], self.sides[side]
        while heap and abs(heap[0]) not in levels:
            heapq.heappop(heap)
        return (abs(heap[0]), levels[abs(heap[0])]) if heap else (-1, 0)


def verify_book(catalog: Catalog, symbol: str) -> list[Verdict]:
    """Return the verdict on every stored recording of `symbol`; raises DataError where there is none."""
    infos = catalog.manifest().books_of(symbol)
    if not infos:
        raise DataError(f"{catalog.root}: no order book of {symbol} is stored.")
    return [verify_recording(catalog, info) for info in infos]


def verify_recording(catalog: Catalog, info: BookInfo) -> Verdict:
    """Return the verdict on one stored recording."""
    verdict = Verdict(info.symbol, info.label)
    stream = stored_stream(catalog.root, info)
    grid = Grid(info.tick_size, info.step_size)
    rows = raw_of(stream, grid, Faults(info.label))
    events = map_book(catalog.root, info, "events")
    _compare(rows, grid, events, info, _best_by_id(stream.tables.get(TICKERS), grid) if info.chained else None, verdict)
    return verdict


def _best_by_id(ticker: Table | None, grid: Grid) -> tuple[np.ndarray, list[tuple[int, int, int, int]]] | None:
    if ticker is None:
        return None
    order = np.argsort(ticker["id"], kind="stable")
    prices = [counts_of(ticker[name][order], grid.tick_size, MAX_TICKS) for name in ("bid", "ask")]
    lots = [counts_of(ticker[f"{name}_qty"][order], grid.step_size, MAX_LOTS) for name in ("bid", "ask")]
    best = list(zip(prices[0].tolist(), lots[0].tolist(), prices[1].tolist(), lots[1].tolist(), strict=True))
    return ticker["id"][order], best


def _compare(
    rows: Rows,
    grid: Grid,
    events: np.ndarray,
    info: BookInfo,
    ticker: tuple[np.ndarray, list[tuple[int, int, int, int]]] | None,
    verdict: Verdict,
) -> None:
    """Walk the raw rows and the stored events side by side."""
    raw = rows.raw
    order = np.lexsort((np.arange(raw.size), raw.kind != TRADE, raw.ts_exch))
    ticks, lots = counts_of(raw.price, grid.tick_size, MAX_TICKS), counts_of(raw.qty, grid.step_size, MAX_LOTS)
    finals = rows.chain.depth["final_id"] if rows.chain else np.zeros(0, np.int64)
    columns = (column[order].tolist() for column in (raw.kind, raw.side, ticks, lots, raw.last, rows.message, raw.ts_exch))
    stored = zip(*(events[name].tolist() for name in ("kind", "level", "qty_lots", "ts_exch")), strict=True)
    book, usable, added = PlainBook(), False, 0
    for kind, side, at, quantity, last, message, now_ns in zip(*columns, strict=True):
        code = (2 * (kind == TRADE) + int(side == (1 if kind == TRADE else -1))) if kind <= TRADE else 2 * kind - 2
        if kind > TRADE or 0 <= at - info.base_ticks < info.span:
            up = at - info.base_ticks
            level = 0 if kind > TRADE else up if code % 2 == 0 else 2 * info.span - 1 - up
            wanted = (code, level, quantity if kind <= TRADE else 0, now_ns)
            found = next(stored, None)
            if found != wanted:
                verdict.say(f"event {added} is {found}, the tables say {wanted}")
                return
            added += 1
            if code == EventKind.CLEAR:
                book.clear()
                usable = False
            elif code in (EventKind.READY, EventKind.GAP):
                usable = code == EventKind.READY
            elif kind != TRADE:
                book.put(code, at, quantity)
        if usable and last and kind not in (TRADE, READY):
            _check_best(book, int(finals[message]), ticker, verdict)
    rest = sum(1 for _ in stored)
    if rest:
        verdict.say(f"{rest} events are stored that the tables do not have")


def _check_best(
    book: PlainBook, final_id: int, ticker: tuple[np.ndarray, list[tuple[int, int, int, int]]] | None, verdict: Verdict
) -> None:
    bid, ask = book.best(0), book.best(1)
    if bid[0] >= ask[0] >= 0:
        verdict.crossed += 1
        verdict.say(f"crossed after u {final_id}: bid {bid[0]} at or above ask {ask[0]} ticks")
    if ticker is None:
        return
    ids, best = ticker
    at = int(np.searchsorted(ids, final_id, "right")) - 1
    equal = at >= 0 and best[at] == (*bid, *ask)
    # After the last ticker nobody knows whether another one would have come: a difference there says nothing.
    if at < 0 or (not equal and at == ids.size - 1 and ids[at] < final_id):
        return
    verdict.compared += 1
    if equal:
        verdict.equal += 1
    else:
        verdict.say(f"after u {final_id} the book says {(*bid, *ask)}, the ticker of id {int(ids[at])} {best[at]}")
