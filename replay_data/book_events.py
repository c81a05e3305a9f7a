"""Book events: raw rows of depth and trades turned into one symbol's EVENT records, and the ladder they point into.

Three passes over one array: read (ticks, lots, order), range (which prices were ever best or traded), place (levels, local
times that never go back, rows beyond the ladder dropped). Rows of one exchange time keep their order, trades first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from replay_data.interval import DAY_NS, MINUTE_NS, iso
from replay_data.prepare import fill_day
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import BAR, EVENT
from simcore.jit import kernel

BOOK_VERSION = 1

# Kinds of raw rows. A stream without CLEAR counts as usable once both sides have a level.
DEPTH, TRADE, CLEAR, READY, GAP = 1, 2, 3, 4, 5

LADDER_MARGIN_PCT = 0.01
BASE_LATENCY_MS = 1.0
MIN_MARGIN_LEVELS = 256
MAX_SPAN = 1 << 24
# How far beyond the traded prices best prices are looked for: half and double.
WIDE = 2
MAX_TICKS = 2_000_000_000
MAX_LOTS = 1 << 50
# What the rounding of a decimal to a float may leave, in ticks or lots; more is another grid.
ON_GRID, ON_GRID_SHARE = 1e-5, 1e-15

FINE, UNSORTED, REFUSED = range(3)
MIN_LATENCY, TRADE_LOW, TRADE_HIGH, LOW, HIGH, TRADES, CLEARS, MARKS = range(8)
NEVER = 1 << 62

NO_ROWS: npt.NDArray[np.int64] = np.zeros(0, np.int64)
NO_FLAGS: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]


@kernel
def read_rows_nb(ts_exch, ts_local, kinds, sides, prices, quantities, lasts, order, ticks_per_unit, lots_per_unit, out, seen):  # type: ignore[no-untyped-def]
    """Write rows into `out`, in the order of `order` (empty: as they stand), their prices in `level`; return (problem, row)."""
    previous_ns, previous_trade = np.int64(-NEVER), 1
    message_ns, message_local = np.int64(-NEVER), np.int64(-NEVER)
    latest_local = np.int64(-NEVER)
    min_latency = np.int64(NEVER)
    trade_low, trade_high, low, high = np.int64(NEVER), np.int64(-1), np.int64(NEVER), np.int64(-1)
    trades, clears, marks = 0, 0, 0
    for at in range(ts_exch.size):
        i = at if order.size == 0 else order[at]
        kind, now_ns, local_ns = kinds[i], ts_exch[i], ts_local[i]
        trade = 1 if kind == TRADE else 0
        if (now_ns < previous_ns) | ((now_ns == previous_ns) & (trade > previous_trade)):
            return UNSORTED, i
        previous_ns, previous_trade = now_ns, trade
        min_latency = min(min_latency, local_ns - now_ns)
        latest_local = max(latest_local, local_ns)
        row = out[at]
        row["ts_exch"] = now_ns
        row["ts_local"] = latest_local
        row["spare"] = 0
        if (kind == DEPTH) | (kind == TRADE):
            side = sides[i]
            ticks, lots = prices[i] * ticks_per_unit, quantities[i] * lots_per_unit
            fine = (ticks > 0.0) & (ticks < MAX_TICKS) & (lots >= 0.0) & (lots < MAX_LOTS) & ((side == 1) | (side == -1))
            if not fine:
                return REFUSED, i
            whole, whole_lots = np.int64(ticks + 0.5), np.int64(lots + 0.5)
            rest, rest_lots = abs(ticks - whole), abs(lots - whole_lots)
            on_grid = (rest <= ON_GRID + ON_GRID_SHARE * ticks) & (rest_lots <= ON_GRID + ON_GRID_SHARE * lots)
            if not (on_grid & (whole >= 1) & (whole_lots >= trade) & ((whole_lots > 0) | (lots == 0.0))):
                return REFUSED, i
            row["level"] = whole
            row["qty_lots"] = whole_lots
            # Bids are even: a bid level, or what a seller hit.
            row["kind"] = 2 * trade + int(side == 2 * trade - 1)
            low, high = min(low, whole), max(high, whole)
            trade_low = min(trade_low, whole if trade else trade_low)
            trade_high = max(trade_high, whole if trade else trade_high)
            trades += trade
        elif kind in (CLEAR, READY, GAP):
            row["level"] = 0
            row["qty_lots"] = 0
            row["kind"] = 4 if kind == CLEAR else 6 if kind == READY else 8
            clears += kind == CLEAR
            marks += 1
        else:
            return REFUSED, i
        if lasts.size:
            row["last"] = lasts[i]
        else:
            if (now_ns == message_ns) & (local_ns == message_local) & (kind == DEPTH):
                out[at - 1]["last"] = 0
            row["last"] = 0 if kind == CLEAR else 1
            message_ns = now_ns if kind == DEPTH else np.int64(-NEVER)
            message_local = local_ns
    seen[MIN_LATENCY], seen[TRADES], seen[CLEARS], seen[MARKS] = min_latency, trades, clears, marks
    seen[TRADE_LOW], seen[TRADE_HIGH], seen[LOW], seen[HIGH] = trade_low, trade_high, low, high
    return FINE, -1


@kernel
def best_range_nb(rows, bottom, flags, cleared):  # type: ignore[no-untyped-def]
    """Return (lowest best price, highest best price, row after which both sides first have a level or -1).

    `flags[side]` marks the levels that hold something, from `bottom` up for bids and mirrored for asks, so that better is
    greater. Only whole messages count, and after a CLEAR or GAP only READY books.
    """
    size = flags.shape[1]
    best = np.full(2, -1, np.int64)
    count = np.zeros(2, np.int64)
    low, high = np.int64(NEVER), np.int64(-1)
    ok = not cleared
    first = -1
    for i in range(rows.size):
        row = rows[i]
        kind = row["kind"]
        if kind <= 1:
            at = row["level"] - bottom
            if at >= 0 and at < size:
                side = np.int64(kind)
                at = size - 1 - at if side else at
                holds = row["qty_lots"] > 0
                count[side] += int(holds) - int(flags[side, at])
                flags[side, at] = holds
                best[side] = max(best[side], at if holds else -1)
                if not holds and at == best[side]:
                    top = at if count[side] > 0 else -1
                    while top >= 0 and flags[side, top] == 0:
                        top -= 1
                    best[side] = top
        elif kind == 4:
            flags[:] = 0
            best[:] = -1
            count[:] = 0
            ok = False
        elif kind == 6:
            ok = True
        elif kind == 8:
            ok = False
        whole = ok & (row["last"] == 1) & (best[0] >= 0) & (best[1] >= 0)
        bid, ask = best[0], size - 1 - best[1]
        low = min(low, min(bid, ask) if whole else low)
        high = max(high, max(bid, ask) if whole else high)
        if whole and first < 0:
            first = i
    return low + bottom, high + bottom, first


@kernel
def place_rows_nb(rows, count, base, span, shift_ns, ready_at, marks):  # type: ignore[no-untyped-def]
    """Move the `count` rows at the end of `rows` to its beginning, levels in place of prices; return (rows kept, far rows, marks).

    `ready_at` >= 0 opens the stream with a CLEAR and puts a READY behind that row: `rows` has two rows more than `count`.
    `marks` takes the places of CLEAR, READY and GAP rows.
    """
    slack = rows.size - count
    done, far, n_marks = 0, 0, 0
    if ready_at >= 0:
        opening = rows[0]
        opening["ts_exch"] = rows[slack]["ts_exch"]
        opening["ts_local"] = rows[slack]["ts_local"] + shift_ns
        opening["qty_lots"] = 0
        opening["level"] = 0
        opening["kind"] = 4
        opening["last"] = 0
        opening["spare"] = 0
        marks[0] = 0
        done, n_marks = 1, 1
    for at in range(count):
        row = rows[slack + at]
        ts_exch, ts_local, lots = row["ts_exch"], row["ts_local"] + shift_ns, row["qty_lots"]
        kind, last, level = row["kind"], row["last"], row["level"]
        keep = True
        if kind < 4:
            level -= base
            if level < 0 or level >= span:
                keep = False
                far += 1
                # The message ends with the row before it, if it has one.
                if last and done and at and rows[done - 1]["last"] == 0 and rows[done - 1]["kind"] <= 1:
                    rows[done - 1]["last"] = 1
            elif kind & 1:
                level = 2 * span - 1 - level
        else:
            marks[n_marks] = done
            n_marks += 1
        if keep:
            new = rows[done]
            new["ts_exch"] = ts_exch
            new["ts_local"] = ts_local
            new["qty_lots"] = lots
            new["level"] = level
            new["kind"] = kind
            new["last"] = last
            new["spare"] = 0
            done += 1
        if at == ready_at:
            new = rows[done]
            new["ts_exch"] = ts_exch
            new["ts_local"] = ts_local
            new["qty_lots"] = 0
            new["level"] = 0
            new["kind"] = 6
            new["last"] = 1
            new["spare"] = 0
            marks[n_marks] = done
            n_marks += 1
            done += 1
    return done, far, n_marks


@kernel
def trade_bars_nb(rows, base, tick_step, span, interval_ns, bars):  # type: ignore[no-untyped-def]
    """Write the complete bars of the trades into `bars`; return how many. Those without a usable stream are left out."""
    most_quiet = DAY_NS // interval_ns
    done, quiet = 0, 0
    close = np.int64(0)
    first_slot = -(-rows[0]["ts_exch"] // interval_ns)
    slot = first_slot
    open_, high, low, volume = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    end_slot = (rows[rows.size - 1]["ts_exch"] + 1) // interval_ns
    broken = -1
    gap = False
    for i in range(rows.size + 1):
        at_end = i == rows.size
        kind = 255 if at_end else rows[i]["kind"]
        if kind != 2 and kind != 3 and kind < 4:
            continue
        now = end_slot if at_end else min(rows[i]["ts_exch"] // interval_ns, end_slot)
        while slot < now:
            if gap:
                broken = slot
            if broken != slot and close > 0 and (volume > 0 or quiet < most_quiet):
                bar = bars[done]
                bar["open_ns"] = slot * interval_ns
                bar["open_ticks"] = open_ if volume > 0 else close
                bar["high_ticks"] = high if volume > 0 else close
                bar["low_ticks"] = low if volume > 0 else close
                bar["close_ticks"] = close
                bar["volume_lots"] = volume
                done += 1
            quiet = 0 if volume > 0 else quiet + 1
            if volume == 0 and (gap or quiet > most_quiet or close == 0):
                slot = now
            else:
                slot += 1
            volume = np.int64(0)
        if kind == 2 or kind == 3:
            level = rows[i]["level"]
            level = level if level < span else 2 * span - 1 - level
            close = base + level * tick_step
            if now == slot:
                lots = rows[i]["qty_lots"]
                if volume == 0:
                    open_, high, low = close, close, close
                high, low = max(high, close), min(low, close)
                volume += lots
        elif kind == 8 and not at_end:
            gap = True
            broken = now
        elif kind == 6 and not at_end:
            if gap:
                broken = now
            gap = False
    return done


@dataclass(frozen=True)
class RawRows:
    """One symbol's raw rows, equal lengths, contiguous: times in ns, `kind` DEPTH to GAP, `side` +1 or -1.

    Depth: bid or ask, and the level's absolute new quantity. Trades: the aggressor. `last`: 1 on the last row of a message;
    empty where rows of one exchange and one local time make a message. `place(row)` names a row for people.
    """

    ts_exch: Ints
    ts_local: Ints
    kind: Bytes
    side: Bytes
    price: Floats
    qty: Floats
    last: npt.NDArray[np.uint8] = field(default_factory=lambda: NO_FLAGS)

    @property
    def size(self) -> int:
        return int(self.ts_exch.size)


@dataclass(frozen=True)
class BookRows:
    """EVENT records of one symbol and what was done on the way.

    `spans`: the (from, to) exchange times in ns while the book was unusable after it had been usable.
    """

    events: np.ndarray
    bars: np.ndarray
    base_ticks: int
    span: int
    trades: int
    far_rows: int
    shift_ns: int
    first_ns: int
    last_ns: int
    local_first_ns: int
    local_last_ns: int
    top_ticks: int
    usable: bool
    spans: tuple[tuple[int, int], ...]
    tick_step: int = 1


def prepare_events(
    raw: RawRows,
    tick_size: float,
    step_size: float,
    where: str,
    ladder_margin_pct: float = LADDER_MARGIN_PCT,
    base_latency_ms: float = BASE_LATENCY_MS,
    out: np.ndarray | None = None,
) -> BookRows:
    """Return raw rows as EVENT records, with the ladder they need and one-minute bars of their trades.

    `out` takes the records where it is given; it needs two more than there are rows. ladder_margin_pct: the share of the price
    the ladder reaches beyond all best and traded prices. base_latency_ms: what the smallest feed latency becomes where the
    local clock ran behind the exchange's; all local times are shifted alike. Raises DataError naming row and value for
    prices and quantities off the grid or without headroom, unknown kinds and sides.
    """
    if not raw.size:
        raise DataError(f"{where}: no rows.")
    whole = np.empty(raw.size + 2, EVENT) if out is None else out[: raw.size + 2]
    rows = whole[2:]
    seen = np.zeros(8, np.int64)
    problem, row = _read(raw, NO_ROWS, tick_size, step_size, rows, seen)
    if problem == UNSORTED:
        # Twice the time plus the class: one key for a stable sort, which is quick on what is nearly sorted.
        order = np.argsort(raw.ts_exch * 2 + (raw.kind != TRADE), kind="stable")
        problem, row = _read(raw, order, tick_size, step_size, rows, seen)
    if problem != FINE:
        raise DataError(f"{where}: {explain(raw, row, tick_size, step_size)}")
    low, high, ready_at = _range(rows, seen, where)
    base, span = _ladder(low, high, ladder_margin_pct, where)
    shift_ns = 0 if seen[MIN_LATENCY] >= 0 else round(base_latency_ms * 1e6) - int(seen[MIN_LATENCY])
    marks = np.zeros(int(seen[MARKS]) + 2, np.int64)
    kept, far, n_marks = place_rows_nb(whole, raw.size, base, span, shift_ns, -1 if seen[CLEARS] else ready_at, marks)
    events = whole[:kept]
    counted = int(seen[TRADES]), int(far), int(seen[HIGH])
    return describe(events, base, span, step_size, shift_ns, counted, marks[:n_marks])


def describe(
    events: np.ndarray, base: int, span: int, step_size: float, shift_ns: int, counted: tuple[int, int, int], marks: Ints
) -> BookRows:
    """Return EVENT records with their bars and the spans in which the book was unusable.

    counted: trades, far rows, the highest price in ticks. marks: the rows that are CLEAR, READY or GAP.
    """
    first_ns, last_ns = int(events["ts_exch"][0]), int(events["ts_exch"][-1])
    bars = trade_bars(events, base, 1, span, MINUTE_NS, step_size)
    trades, far_rows, top_ticks = counted
    kinds = events["kind"][marks]
    return BookRows(
        events,
        bars,
        base,
        span,
        trades,
        far_rows,
        shift_ns,
        first_ns,
        last_ns,
        int(events["ts_local"][0]),
        int(events["ts_local"][-1]),
        top_ticks,
        bool(np.any(kinds == EventKind.READY)),
        unusable_spans(kinds, events["ts_exch"][marks], last_ns),
    )


def trade_bars(events: np.ndarray, base: int, tick_step: int, span: int, interval_ns: int, step_size: float) -> np.ndarray:
    """Return BAR rows of the trades of one symbol's events: whole bars only, none where the stream was broken.

    A bar without a trade repeats the last close, for at most a day.
    """
    stamps = events["ts_exch"]
    slots = int(stamps[-1]) // interval_ns - int(stamps[0]) // interval_ns if events.size else 0
    buffer = np.zeros(min(slots, events.size * (DAY_NS // interval_ns + 1)) + 1, BAR)
    bars = buffer[: int(trade_bars_nb(events, base, tick_step, span, interval_ns, buffer))] if events.size else buffer[:0]
    fill_day(bars, interval_ns, step_size)
    return bars


def unusable_spans(kinds: npt.NDArray[np.uint8], times: Ints, end_ns: int) -> tuple[tuple[int, int], ...]:
    """Return the spans from GAP (or a later CLEAR) to READY; one that never ends lasts to `end_ns`."""
    spans: list[tuple[int, int]] = []
    since: int | None = None
    usable = False
    for kind, at in zip(kinds.tolist(), times.tolist(), strict=True):
        if kind == EventKind.READY:
            if since is not None and at > since:
                spans.append((since, at))
            since, usable = None, True
        elif kind in (EventKind.GAP, EventKind.CLEAR) and usable:
            since, usable = at, False
    if since is not None:
        spans.append((since, end_ns))
    return tuple(spans)


def _read(raw: RawRows, order: Ints, tick_size: float, step_size: float, rows: np.ndarray, seen: Ints) -> tuple[int, int]:
    columns = (raw.ts_exch, raw.ts_local, raw.kind, raw.side, raw.price, raw.qty, raw.last)
    problem, row = read_rows_nb(*columns, order, 1.0 / tick_size, 1.0 / step_size, rows, seen)
    return int(problem), int(row)


def _range(rows: np.ndarray, seen: Ints, where: str) -> tuple[int, int, int]:
    """Return the lowest and highest price the ladder must hold, and the row that completes a book without snapshot."""
    if seen[HIGH] < 0:
        raise DataError(f"{where}: no depth and no trade, only marks. Nothing can be replayed.")
    bottom, top = int(seen[LOW]), int(seen[HIGH])
    if seen[TRADES]:
        bottom, top = max(bottom, int(seen[TRADE_LOW]) // WIDE), min(top, int(seen[TRADE_HIGH]) * WIDE)
    if top - bottom > 4 * MAX_SPAN:
        raise DataError(
            f"{where}: prices lie {top - bottom:,} ticks apart; a book of {4 * MAX_SPAN:,} is the most. Pass a coarser tick_size."
        )
    flags = np.zeros((2, top - bottom + 1), np.uint8)
    low, high, ready_at = best_range_nb(rows, bottom, flags, bool(seen[CLEARS]))
    if ready_at < 0 and not seen[TRADES]:
        return int(seen[LOW]), int(seen[HIGH]), -1
    if ready_at < 0:
        return int(seen[TRADE_LOW]), int(seen[TRADE_HIGH]), -1
    if seen[TRADES]:
        return min(int(low), int(seen[TRADE_LOW])), max(int(high), int(seen[TRADE_HIGH])), int(ready_at)
    return int(low), int(high), int(ready_at)


def _ladder(low: int, high: int, margin_pct: float, where: str) -> tuple[int, int]:
    """Return the lowest price in ticks and the number of levels."""
    if not 0.0 <= margin_pct < 1.0:
        raise DataError(f"ladder_margin_pct is {margin_pct}; expected a fraction from 0 to below 1 (0.01 is one percent).")
    base = max(1, low - max(MIN_MARGIN_LEVELS, round(low * margin_pct)))
    span = high + max(MIN_MARGIN_LEVELS, round(high * margin_pct)) - base + 1
    if span > MAX_SPAN:
        raise DataError(
            f"{where}: best and traded prices span {low:,} to {high:,} ticks; a ladder of {MAX_SPAN:,} levels is the most. "
            f"Pass a coarser tick_size, or a shorter window."
        )
    return base, span


def explain(raw: RawRows, row: int, tick_size: float, step_size: float) -> str:
    """Return the sentence for a row that `read_rows_nb` refused."""
    when = f"row {row} ({iso(int(raw.ts_exch[row]))})"
    kind, side, price, qty = int(raw.kind[row]), int(raw.side[row]), float(raw.price[row]), float(raw.qty[row])
    if not DEPTH <= kind <= GAP:
        return f"{when}: kind is {kind}; expected 1 (depth), 2 (trade), 3 (clear), 4 (ready) or 5 (gap)."
    if side not in (1, -1):
        return f"{when}: side is {side}; expected 1 (bid, or a buyer took) or -1 (ask, or a seller took)."
    if not 0.0 < price < float("inf"):
        return f"{when}: price is {price:.12g}; a price must be a positive number."
    if not price / tick_size < MAX_TICKS:
        return f"{when}: price {price:.12g} is {price / tick_size:.4g} ticks; the limit is {MAX_TICKS:,}. Pass a coarser tick_size."
    if not 0.0 <= qty < float("inf"):
        return f"{when}: qty is {qty:.12g}; it must be 0 or more."
    if not qty / step_size < MAX_LOTS:
        return f"{when}: qty {qty:.12g} is {qty / step_size:.4g} lots; the limit is 2^50. Pass a coarser step_size."
    if not _whole(price / tick_size):
        return f"{when}: price {price:.12g} is no multiple of the tick {tick_size:.12g}. Pass the tick_size these prices have."
    if qty and not _whole(qty / step_size):
        return f"{when}: qty {qty:.12g} is no multiple of the step {step_size:.12g}. Pass the step_size these quantities have."
    return f"{when}: qty is {qty:.12g}; a trade's must be positive."


def _whole(count: float) -> bool:
    return round(count) > 0 and abs(count - round(count)) <= ON_GRID + ON_GRID_SHARE * count
