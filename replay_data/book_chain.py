"""Book chains: depth messages judged by the exchange's rule, and turned into the rows of a book that is known or says it is not.

The rule: a snapshot with id L; changes with u <= L belong to it already; the first change applied has pu <= L < u (a spot
change: U <= L + 1 <= u); then each change's pu (spot: U - 1) is the u of the one before. A broken chain, a level off the
price grid and a crossed book are a GAP: the book is unusable until the next snapshot. Messages are put in order of their
ids first, so that what arrived late but whole is no gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay_data.book_events import (
    BASE_LATENCY_MS,
    CLEAR,
    DEPTH,
    GAP,
    LADDER_MARGIN_PCT,
    MAX_LOTS,
    MAX_SPAN,
    MAX_TICKS,
    ON_GRID,
    ON_GRID_SHARE,
    READY,
    TRADE,
    WIDE,
    BookRows,
    RawRows,
    prepare_events,
)
from replay_data.stream import DEPTHS, TRADES, Faults, Stream, Table, rows_of, take, take_messages
from simcore.domain.errors import DataError
from simcore.jit import kernel

BY_PREVIOUS, BY_NEXT, WITHOUT_IDS = range(3)
APPLIED, SNAPSHOT, BEFORE, REPEATED, BROKEN, WAITING, CROSSED, OFF_GRID, SAID = range(9)
GAPS = (BROKEN, CROSSED, OFF_GRID, SAID)
# What `snapshot` may say of a message: a change, a whole book, or that the recorder itself saw the stream break.
BREAK = 2

Ints = npt.NDArray[np.int64]


@kernel
def judge_nb(snapshot, first_id, final_id, prev_id, begin, side, ticks, lots, rule, bottom, flags, verdict):  # type: ignore[no-untyped-def]
    """Write a verdict on every message; `flags[side]` marks the levels that hold something, as in `best_range_nb`.

    ticks < 0 is a level off the grid.
    """
    size = flags.shape[1]
    best = np.full(2, -1, np.int64)
    state, known = 0, False
    last = np.int64(-1)
    for m in range(snapshot.size):
        whole = snapshot[m] == 1
        if snapshot[m] == BREAK:
            verdict[m] = SAID if state else WAITING if known else BEFORE
            state = 0
            continue
        if not whole:
            if state == 0:
                verdict[m] = WAITING if known else BEFORE
                continue
            if rule != WITHOUT_IDS:
                if state == 1 and final_id[m] <= last:
                    verdict[m] = BEFORE
                    continue
                if state == 2 and final_id[m] <= last:
                    verdict[m] = REPEATED
                    continue
                if rule == BY_PREVIOUS:
                    joins = prev_id[m] == last or (state == 1 and prev_id[m] <= last)
                else:
                    joins = first_id[m] == last + 1 or (state == 1 and first_id[m] <= last + 1)
                if not joins:
                    verdict[m] = BROKEN
                    state = 0
                    continue
        sound = True
        for i in range(begin[m], begin[m + 1]):
            if ticks[i] < 0:
                sound = False
        if not sound:
            verdict[m] = OFF_GRID
            state = 0
            continue
        if whole:
            flags[:] = 0
            best[:] = -1
        for i in range(begin[m], begin[m + 1]):
            at = ticks[i] - bottom
            if at < 0 or at >= size:
                continue
            s = 0 if side[i] == 1 else 1
            at = at if s == 0 else size - 1 - at
            holds = lots[i] > 0
            flags[s, at] = holds
            if holds:
                best[s] = max(best[s], at)
            elif at == best[s]:
                while best[s] >= 0 and flags[s, best[s]] == 0:
                    best[s] -= 1
        if best[0] >= 0 and best[1] >= 0 and best[0] >= size - 1 - best[1]:
            verdict[m] = CROSSED
            state = 0
            known = True
            continue
        verdict[m] = SNAPSHOT if whole else APPLIED
        state = 1 if whole and rule != WITHOUT_IDS else 2
        known = True
        last = final_id[m]
    return 0


@dataclass(frozen=True)
class Grid:
    """Tick and step of a stream."""

    tick_size: float
    step_size: float


def counts_of(values: npt.NDArray[np.float64], size: float, most: int) -> Ints:
    """Return values as whole numbers of `size`, -1 where they are none."""
    scaled = values * (1.0 / size)
    with np.errstate(invalid="ignore"):
        sound = (scaled >= 0.0) & (scaled < most)
        whole = np.rint(np.where(sound, scaled, 0.0))
        sound &= (np.abs(scaled - whole) <= ON_GRID + ON_GRID_SHARE * scaled) & ((whole > 0.0) | (scaled == 0.0))
    return np.where(sound, whole, -1).astype(np.int64)


def guess_size(values: npt.NDArray[np.float64], max_off_share: float) -> float:
    """Return the largest power of ten of 1 or less that all but a few values are multiples of."""
    known = values[np.isfinite(values) & (values > 0.0)]
    for places in range(9):
        size = float(f"1e-{places}")
        if lies_on(known, size, max_off_share):
            return size
    return 1e-8


def lies_on(values: npt.NDArray[np.float64], size: float, max_off_share: float) -> bool:
    """Say whether all but a share of the values (but for one in fifty and three at most, of few values) are multiples of `size`."""
    off = int(np.count_nonzero(counts_of(values, size, MAX_LOTS) < 0))
    return off <= max(max_off_share * values.size, min(3, values.size // 50))


@dataclass(frozen=True)
class Chain:
    """The depth messages of a stream in order, with a verdict on each."""

    depth: Table
    ticks: Ints
    lots: Ints
    verdict: npt.NDArray[np.int8]


def judge(stream: Stream, grid: Grid, faults: Faults) -> Chain:
    """Return the depth messages in order of their ids with a verdict on each; `faults` takes what broke, where."""
    given = stream.tables[DEPTHS]
    depth = _ordered(given, stream, faults)
    ticks = counts_of(depth["level_price"], grid.tick_size, MAX_TICKS)
    lots = counts_of(depth["level_qty"], grid.step_size, MAX_LOTS)
    ticks = np.where((lots < 0) | (ticks == 0), -1, ticks)
    rule = WITHOUT_IDS if not stream.chained else BY_NEXT if stream.market == "spot" else BY_PREVIOUS
    bottom, top = _window(stream, ticks, grid)
    flags = np.zeros((2, top - bottom + 1), np.uint8)
    verdict = np.zeros(rows_of(depth), np.int8)
    ids = depth["first_id"], depth["final_id"], depth["prev_id"]
    judge_nb(depth["snapshot"], *ids, depth["begin"], depth["level_side"], ticks, lots, rule, bottom, flags, verdict)
    _complain(depth, verdict, ticks, stream, faults)
    return Chain(depth, ticks, lots, verdict)


def _ordered(depth: Table, stream: Stream, faults: Faults) -> Table:
    """Return the messages in order of their last id, a snapshot before the change that joins it."""
    if not stream.chained:
        order = np.lexsort((np.arange(rows_of(depth)), depth["ts_local"] if stream.clocked else depth["ts_exch"]))
    else:
        order = np.lexsort((np.arange(rows_of(depth)), depth["snapshot"] != 1, depth["final_id"]))
    changes = order[depth["snapshot"][order] == 0]
    late = np.flatnonzero(np.diff(changes) < 0)
    if late.size:
        places = depth["place"][changes[late + 1]]
        faults.say(int(places[0]), f"{late.size} depth messages stand out of order; put in order of their ids")
    return depth if np.array_equal(order, np.arange(order.size)) else take_messages(depth, order)


def _window(stream: Stream, ticks: Ints, grid: Grid) -> tuple[int, int]:
    """Return the prices in ticks between which best prices are looked for."""
    sound = ticks[ticks > 0]
    if not sound.size:
        return 1, 1
    trades = stream.tables.get(TRADES)
    prints = counts_of(trades["price"], grid.tick_size, MAX_TICKS) if trades else sound[:0]
    prints = prints[prints > 0]
    middle = np.array([np.median(sound)]) if not prints.size else prints
    bottom, top = max(int(sound.min()), int(middle.min()) // WIDE), min(int(sound.max()), int(middle.max()) * WIDE)
    if top - bottom > 4 * MAX_SPAN:
        raise DataError(f"{stream.path}: prices lie {top - bottom:,} ticks of {grid.tick_size:g} apart: more than a book holds.")
    return bottom, max(bottom, top)


def _complain(depth: Table, verdict: npt.NDArray[np.int8], ticks: Ints, stream: Stream, faults: Faults) -> None:
    """Say what broke where, and how much was unusable because of it."""
    place, final = depth["place"], depth["final_id"]
    for m in np.flatnonzero(np.isin(verdict, GAPS)).tolist():
        if verdict[m] == BROKEN:
            before = int(final[m - 1]) if m else -1
            what = f"the chain breaks: this change (U {int(depth['first_id'][m])}, pu {int(depth['prev_id'][m])}) does not follow {before}"
        elif verdict[m] == CROSSED:
            what = f"the book is crossed after this message (u {int(final[m])})"
        elif verdict[m] == SAID:
            what = "the recorder lost the stream here"
        else:
            level = int(depth["begin"][m]) + int(np.flatnonzero(ticks[depth["begin"][m] : depth["begin"][m + 1]] < 0)[0])
            price, qty = depth["level_price"][level], depth["level_qty"][level]
            what = f"level {price:.12g} x {qty:.12g} is not of this symbol's tick and step"
        faults.say(int(place[m]), f"{what}; the book is unusable until the next snapshot")
    repeated = np.flatnonzero(verdict == REPEATED)
    if repeated.size:
        faults.say(int(place[repeated[0]]), f"{repeated.size} depth messages repeat or fall behind the ones before; left out")
    waiting = int(np.count_nonzero(verdict == WAITING))
    if waiting:
        stream.notes.append(f"{stream.symbol}: {waiting} depth messages after a gap wait for a snapshot")
    if not np.any(depth["snapshot"] == 1):
        faults.say("", "no snapshot: the book is never known whole and never usable")


@kernel
def emit_nb(verdict, ts_exch, ts_local, begin, side, out_exch, out_local, out_kind, out_side, out_level, out_last):  # type: ignore[no-untyped-def]
    """Write the rows of every message that counts, a GAP where the book broke; return how many."""
    done = 0
    latest = np.int64(-(1 << 62))
    for m in range(verdict.size):
        v = verdict[m]
        gap = v in (BROKEN, CROSSED, OFF_GRID, SAID)
        if not (v in (APPLIED, SNAPSHOT) or gap):
            continue
        latest = max(latest, ts_exch[m])
        if gap or v == SNAPSHOT:
            out_exch[done], out_local[done] = latest, ts_local[m]
            out_kind[done] = GAP if gap else CLEAR
            out_side[done], out_level[done], out_last[done] = 0, -1, gap
            done += 1
        if gap:
            continue
        for i in range(begin[m], begin[m + 1]):
            out_exch[done], out_local[done] = latest, ts_local[m]
            out_kind[done], out_side[done], out_level[done] = DEPTH, side[i], i
            out_last[done] = v == APPLIED and i == begin[m + 1] - 1
            done += 1
        if v == SNAPSHOT:
            out_exch[done], out_local[done] = latest, ts_local[m]
            out_kind[done], out_side[done], out_level[done], out_last[done] = READY, 0, -1, 1
            done += 1
    return done


@dataclass(frozen=True)
class Rows:
    """Raw rows of a stream's depth and trades, and the message each depth row belongs to (-1: a trade)."""

    raw: RawRows
    message: Ints
    chain: Chain | None


def raw_of(stream: Stream, grid: Grid, faults: Faults) -> Rows:
    """Return the rows of a stream's book and trades, judged; unsorted: depth first, then trades."""
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    chain = None
    if DEPTHS in stream.tables:
        chain = judge(stream, grid, faults)
        parts.append(_depth_rows(chain, _local_of(chain.depth, None)))
    if TRADES in stream.tables:
        parts.append(_trade_rows(stream, grid, faults, chain))
    if not parts:
        raise DataError(f"{stream.path}: neither depth nor trades of {stream.symbol}.")
    columns = [np.concatenate([part[at] for part in parts]) for at in range(8)]
    return Rows(RawRows(*columns[:7]), np.asarray(columns[7], np.int64), chain)


def _depth_rows(chain: Chain, local: Ints) -> tuple[npt.NDArray[np.generic], ...]:
    depth, verdict = chain.depth, chain.verdict
    levels = depth["begin"][1:] - depth["begin"][:-1]
    room = int((levels + 2).sum())
    exch, at_local, level = (np.empty(room, np.int64) for _ in range(3))
    kind, side, last = np.empty(room, np.int8), np.empty(room, np.int8), np.empty(room, np.uint8)
    stamps = _known_stamps(depth, verdict)
    done = int(emit_nb(verdict, stamps, local, depth["begin"], depth["level_side"], exch, at_local, kind, side, level, last))
    at = np.maximum(level[:done], 0)
    price = np.where(level[:done] >= 0, depth["level_price"][at], 0.0) if depth["level_price"].size else np.zeros(done)
    qty = np.where(level[:done] >= 0, depth["level_qty"][at], 0.0) if depth["level_qty"].size else np.zeros(done)
    counted = np.flatnonzero(np.isin(verdict, (APPLIED, SNAPSHOT, *GAPS)))
    rows = np.where(np.isin(verdict[counted], GAPS), 1, levels[counted] + 2 * (verdict[counted] == SNAPSHOT))
    return exch[:done], at_local[:done], kind[:done], side[:done], price, qty, last[:done], np.repeat(counted, rows)


def _known_stamps(depth: Table, verdict: npt.NDArray[np.int8]) -> Ints:
    """Return exchange times; a snapshot without one gets the time its receipt tells, but none after the change that follows."""
    stamps = depth["ts_exch"].copy()
    unknown = np.flatnonzero(stamps < 0)
    if not unknown.size:
        return stamps
    known = (stamps >= 0) & (depth["ts_local"] >= 0)
    fastest = int((depth["ts_local"] - stamps)[known].min()) if known.any() else 0
    for m in unknown.tolist():
        later = np.flatnonzero((stamps[m + 1 :] >= 0) & (verdict[m + 1 :] != BEFORE))
        told = int(depth["ts_local"][m]) - fastest
        stamps[m] = min(told, int(stamps[m + 1 + later[0]])) if later.size else told
    return stamps


def _local_of(table: Table, chain: Chain | None) -> Ints:
    """Return local times; where none were recorded, the feed latency of the depth at that time, or none at all."""
    local = table["ts_local"]
    if np.all(local >= 0):
        return np.ascontiguousarray(local)
    assumed = table["ts_exch"].copy()
    clocked = None if chain is None else np.flatnonzero((chain.depth["ts_local"] >= 0) & (chain.depth["snapshot"] == 0))
    if chain is not None and clocked is not None and clocked.size:
        stamps = np.maximum.accumulate(chain.depth["ts_exch"][clocked])
        at = np.clip(np.searchsorted(stamps, assumed, "right") - 1, 0, clocked.size - 1)
        assumed += (chain.depth["ts_local"] - chain.depth["ts_exch"])[clocked][at]
    return np.where(local >= 0, local, assumed)


def _trade_rows(stream: Stream, grid: Grid, faults: Faults, chain: Chain | None) -> tuple[npt.NDArray[np.generic], ...]:
    trades = stream.tables[TRADES]
    ticks, lots = counts_of(trades["price"], grid.tick_size, MAX_TICKS), counts_of(trades["qty"], grid.step_size, MAX_LOTS)
    bad = np.flatnonzero((ticks <= 0) | (lots <= 0))
    for row in bad.tolist():
        price, qty = trades["price"][row], trades["qty"][row]
        faults.say(int(trades["place"][row]), f"trade {price:.12g} x {qty:.12g} is not of this symbol's tick and step; left out")
    if bad.size:
        trades = take(trades, np.flatnonzero((ticks > 0) & (lots > 0)))
    order = np.argsort(trades["ts_exch"], kind="stable")
    trades = take(trades, order)
    size = rows_of(trades)
    return (
        trades["ts_exch"],
        _local_of(trades, chain),
        np.full(size, TRADE, np.int8),
        trades["side"].astype(np.int8),
        trades["price"],
        trades["qty"],
        np.ones(size, np.uint8),
        np.full(size, -1, np.int64),
    )


def build(
    stream: Stream, grid: Grid, faults: Faults, ladder_margin_pct: float = LADDER_MARGIN_PCT, base_latency_ms: float = BASE_LATENCY_MS
) -> BookRows:
    """Return the events of a stream; `faults` takes whatever broke its book."""
    rows = raw_of(stream, grid, faults)
    if not rows.raw.size:
        reason = f" The first fault: {faults.listed[0]}" if faults.listed else ""
        raise DataError(f"{stream.path}: no snapshot that changes join, and no trades: nothing to replay.{reason}")
    return prepare_events(rows.raw, grid.tick_size, grid.step_size, stream.path, ladder_margin_pct, base_latency_ms)
