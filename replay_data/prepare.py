"""Prepared bars: float OHLCV columns turned into BAR rows of integer ticks, integer lots and the trailing day's figures.

`sigma_day` and `volume_day` of a bar are what was known when it opened. The window is the 24 hours before the open (bars
longer than 12 h: the last 20 bars). sigma_day = sqrt(sum of squared close-to-close returns inside the window), scaled by
sqrt(24 h / time from the window's first to its last close); volume_day = volume inside the window, scaled by 24 h / time
covered by its bars. Both are NaN until two bars and one hour are covered. The running sums are integers (lots; returns
rounded to 1e-6, clipped at tenfold, squared), so a figure depends on its window only, not on where the series began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay_data.interval import DAY_NS, HOUR_NS, iso
from simcore.domain.errors import DataError
from simcore.domain.records import BAR
from simcore.jit import kernel

PREPARED_VERSION = 1
LONG_BAR_NS = DAY_NS // 2
LONG_WINDOW_BARS = 20

# Headroom: a price fits int32; a day of the largest volumes and a cent of the largest notional fit int64.
MAX_TICKS = 2_000_000_000
MAX_LOTS = 1 << 50
OFF_GRID = 1e-4

FINE, NOT_RISING, BAD_PRICE, BAD_RANGE, BAD_VOLUME, PRICE_ROOM, VOLUME_ROOM = range(7)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@kernel
def quantise_nb(open_ns, opens, highs, lows, closes, volumes, ticks_per_unit, lots_per_unit, bars, tally):  # type: ignore[no-untyped-def]
    """Write rows into `bars`; put off-tick prices, off-step volumes and the top price in `tally`; return (problem, row)."""
    top = 0
    last_ns = np.int64(-(1 << 62))
    for i in range(open_ns.size):
        if open_ns[i] <= last_ns:
            return NOT_RISING, i
        last_ns = open_ns[i]
        o, h, low, c, v = opens[i], highs[i], lows[i], closes[i], volumes[i]
        if not (o > 0.0 and h > 0.0 and low > 0.0 and c > 0.0):
            return BAD_PRICE, i
        if not (h >= o and h >= c and low <= o and low <= c):
            return BAD_RANGE, i
        if not v >= 0.0:
            return BAD_VOLUME, i
        if not h * ticks_per_unit < MAX_TICKS:
            return PRICE_ROOM, i
        if not v * lots_per_unit < MAX_LOTS:
            return VOLUME_ROOM, i
        o *= ticks_per_unit
        h *= ticks_per_unit
        low *= ticks_per_unit
        c *= ticks_per_unit
        v *= lots_per_unit
        o_ticks, h_ticks, l_ticks, c_ticks, lots = int(o + 0.5), int(h + 0.5), int(low + 0.5), int(c + 0.5), int(v + 0.5)
        if l_ticks < 1:
            return BAD_PRICE, i
        row = bars[i]
        row["open_ns"] = last_ns
        row["open_ticks"] = o_ticks
        row["high_ticks"] = h_ticks
        row["low_ticks"] = l_ticks
        row["close_ticks"] = c_ticks
        row["volume_lots"] = lots
        top = max(top, h_ticks)
        worst = max(abs(o - o_ticks), abs(h - h_ticks), abs(low - l_ticks), abs(c - c_ticks))
        if worst > OFF_GRID:
            tally[0] += (
                int(abs(o - o_ticks) > OFF_GRID)
                + int(abs(h - h_ticks) > OFF_GRID)
                + int(abs(low - l_ticks) > OFF_GRID)
                + int(abs(c - c_ticks) > OFF_GRID)
            )
        if abs(v - lots) > OFF_GRID:
            tally[1] += 1
    tally[2] = top
    return FINE, -1


@kernel
def square_nb(before, after):  # type: ignore[no-untyped-def]
    """Return the squared return from one close to the next, in 1e-12, as an integer."""
    move = (after - before) / before * 1e6
    if move > 1e7:
        move = 1e7
    whole = int(move + 0.5) if move >= 0.0 else int(move - 0.5)
    return whole * whole


@kernel
def fill_day_nb(bars, interval_ns, window_ns, step_size, ring):  # type: ignore[no-untyped-def]
    """Fill `sigma_day` and `volume_day` of every bar; `ring` has room for the squares of one window."""
    first, first_slot, slot = 0, 0, 0
    lots = np.int64(0)
    squares = np.int64(0)
    last_span, last_count = np.int64(-1), -1
    sigma_scale, volume_scale = np.nan, np.nan
    for i in range(bars.size):
        row = bars[i]
        start_ns = row["open_ns"] - window_ns
        while first < i and bars[first]["open_ns"] < start_ns:
            lots -= bars[first]["volume_lots"]
            first += 1
            first_slot = first_slot + 1 if first_slot + 1 < ring.size else 0
            if first < i:
                squares -= ring[first_slot]
        count = i - first
        if count >= 2 and count * interval_ns >= HOUR_NS:
            span = bars[i - 1]["open_ns"] - bars[first]["open_ns"]
            if span != last_span or count != last_count:
                last_span, last_count = span, count
                sigma_scale = 1e-12 * (float(DAY_NS) / float(span))
                volume_scale = step_size * (float(DAY_NS) / float(count * interval_ns))
            row["sigma_day"] = np.sqrt(float(squares) * sigma_scale)
            row["volume_day"] = float(lots) * volume_scale
        else:
            row["sigma_day"] = np.nan
            row["volume_day"] = np.nan
        lots += row["volume_lots"]
        if first < i:
            ring[slot] = square_nb(float(bars[i - 1]["close_ticks"]), float(row["close_ticks"]))
            squares += ring[slot]
        slot = slot + 1 if slot + 1 < ring.size else 0


@kernel
def aggregate_nb(bars, interval_ns, coarse_ns, out):  # type: ignore[no-untyped-def]
    """Write the complete coarse bars of `bars` into `out` and return how many there are."""
    parts = coarse_ns // interval_ns
    done, have = 0, 0
    for i in range(bars.size):
        row = bars[i]
        start_ns = row["open_ns"] - row["open_ns"] % coarse_ns
        new = out[done]
        if have == 0 or new["open_ns"] != start_ns:
            have = 0
            new["open_ns"] = start_ns
            new["open_ticks"] = row["open_ticks"]
            new["high_ticks"] = row["high_ticks"]
            new["low_ticks"] = row["low_ticks"]
            new["volume_lots"] = 0
        new["high_ticks"] = max(new["high_ticks"], row["high_ticks"])
        new["low_ticks"] = min(new["low_ticks"], row["low_ticks"])
        new["close_ticks"] = row["close_ticks"]
        new["volume_lots"] += row["volume_lots"]
        have += 1
        if have == parts:
            done += 1
            have = 0
    return done


@kernel
def shortest_jump_nb(open_ns):  # type: ignore[no-untyped-def]
    """Return the smallest step from one time to the next; 0 or less where they do not rise, the largest int for one row."""
    shortest = np.int64(9_223_372_036_854_775_807)
    for i in range(1, open_ns.size):
        shortest = min(shortest, open_ns[i] - open_ns[i - 1])
    return shortest


@kernel
def count_gaps_nb(open_ns, interval_ns):  # type: ignore[no-untyped-def]
    """Return (gaps, missing bars, first row whose step is no multiple of the interval or -1)."""
    gaps, missing = 0, 0
    for i in range(1, open_ns.size):
        jump = open_ns[i] - open_ns[i - 1]
        if jump != interval_ns:
            if jump % interval_ns != 0:
                return gaps, missing, i
            gaps += 1
            missing += jump // interval_ns - 1
    return gaps, missing, -1


@kernel
def decimals_nb(values, most):  # type: ignore[no-untyped-def]
    """Return the decimals that write every value exactly, or most + 1 where more are needed."""
    places, scale = 0, 1.0
    for i in range(values.size):
        value = values[i] * scale
        while abs(value - np.rint(value)) > 1e-9 + 4e-15 * abs(value):
            places += 1
            if places > most:
                return places
            scale *= 10.0
            value = values[i] * scale
    return places


@dataclass(frozen=True)
class Columns:
    """The float columns of one symbol's bars, stamped at their open; equal lengths, contiguous."""

    open_ns: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def take(self, rows: npt.NDArray[np.int64]) -> Columns:
        """Return these columns with only the given rows, in that order."""
        return Columns(self.open_ns[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows])

    def all(self) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
        return self.open_ns, self.open, self.high, self.low, self.close, self.volume


@dataclass(frozen=True)
class Prepared:
    """BAR rows of one symbol and what was rounded on the way."""

    bars: np.ndarray
    tick_size: float
    step_size: float
    off_tick_prices: int
    off_step_volumes: int
    top_ticks: int


def prepare(
    columns: Columns, interval_ns: int, tick_size: float, step_size: float, where: str, out: np.ndarray | None = None
) -> Prepared:
    """Return the columns as BAR rows with their trailing-day figures.

    Prices and volumes are rounded to the nearest tick and lot; what did not lie on them is counted. The rows go into
    `out` where it is given. `where` opens every complaint, so it should name the symbol and its source. Raises DataError
    for rows that are not strictly rising in time, prices that are not positive and finite, highs below lows, negative
    volumes, and numbers without headroom.
    """
    bars = np.empty(columns.open_ns.size, BAR) if out is None else out
    tally = np.zeros(3, np.int64)
    problem, row = quantise_nb(*columns.all(), 1.0 / tick_size, 1.0 / step_size, bars, tally)
    if problem != FINE:
        raise DataError(f"{where}: {explain(columns, int(problem), int(row), tick_size, step_size)}")
    fill_day(bars, interval_ns, step_size)
    return Prepared(bars, tick_size, step_size, int(tally[0]), int(tally[1]), int(tally[2]))


def fill_day(bars: np.ndarray, interval_ns: int, step_size: float) -> None:
    """Fill the trailing-day figures of BAR rows in place."""
    window_ns = DAY_NS if interval_ns <= LONG_BAR_NS else LONG_WINDOW_BARS * interval_ns
    ring = np.zeros(window_ns // interval_ns + 2, np.int64)
    fill_day_nb(bars, interval_ns, window_ns, step_size, ring)


def aggregate(bars: np.ndarray, interval_ns: int, coarse_ns: int, step_size: float) -> np.ndarray:
    """Return complete coarser bars; a coarse bar with a missing part is left out and shows as a gap."""
    if coarse_ns % interval_ns or coarse_ns < interval_ns:
        raise DataError(f"bars of {interval_ns} ns do not add up to {coarse_ns} ns; ask for a multiple.")
    out = np.zeros(bars.size * interval_ns // coarse_ns + 2, BAR)
    made = out[: int(aggregate_nb(bars, interval_ns, coarse_ns, out))]
    fill_day(made, coarse_ns, step_size)
    return made


def explain(columns: Columns, problem: int, row: int, tick_size: float, step_size: float) -> str:
    """Return the sentence for a problem the kernel met at `row`."""
    when = f"bar {row} ({iso(int(columns.open_ns[row]))})"
    named = {name: float(getattr(columns, name)[row]) for name in ("open", "high", "low", "close")}
    if problem == NOT_RISING:
        return f"{when} does not come after the bar before it. Sort the rows and drop duplicates."
    if problem == BAD_PRICE:
        name = next((n for n, price in named.items() if not price > 0.0), None)
        if name is None:
            return f"{when}: low {named['low']:.10g} rounds to 0 ticks of {tick_size:.10g}. Pass a finer tick_size."
        return f"{when}: {name} is {named[name]:.10g}; a price must be a positive number."
    if problem == BAD_RANGE:
        if named["high"] < named["low"]:
            return f"{when}: high {named['high']:.10g} is below low {named['low']:.10g}."
        side = "high" if named["high"] < max(named["open"], named["close"]) else "low"
        return f"{when}: {side} {named[side]:.10g} does not enclose open {named['open']:.10g} and close {named['close']:.10g}."
    if problem == BAD_VOLUME:
        return f"{when}: volume is {float(columns.volume[row]):.10g}; it must be 0 or more."
    if problem == PRICE_ROOM:
        return (
            f"{when}: high {named['high']:.10g} is {named['high'] / tick_size:.4g} ticks of {tick_size:.10g}; "
            f"the limit is {MAX_TICKS:,}. Pass a coarser tick_size."
        )
    volume = float(columns.volume[row])
    return (
        f"{when}: volume {volume:.10g} is {volume / step_size:.4g} lots of {step_size:.10g}; "
        f"the limit is 2^50. Pass a coarser step_size."
    )


def guess_tick(columns: Columns) -> tuple[float, bool]:
    """Return (tick size, exact) from the decimals of the prices.

    Exact when some tick of 8 decimals or fewer writes every price; otherwise a millionth of the price, rounded down to
    a power of ten.
    """
    top = float(np.max(columns.high, initial=1.0))
    if not 0.0 < top < 1e18:
        return 1.0, False
    most = int(min(8.0, np.floor(np.log10(MAX_TICKS / top))))
    places = 0
    for prices in (columns.close, columns.high, columns.low, columns.open):
        places = max(places, int(decimals_nb(prices, most)))
        if places > most:
            return float(10.0 ** (np.floor(np.log10(top)) - 6)), False
    return float(f"1e-{places}"), True


def guess_step(columns: Columns, tick_size: float) -> tuple[float, bool]:
    """Return (step size, exact) from the decimals of the volumes; one tick times one step is a whole number of 1e-8."""
    finest = -8 - round(float(np.log10(tick_size)))
    places = int(decimals_nb(columns.volume, -finest)) if finest <= 0 else 1
    if places <= -finest:
        return float(f"1e-{places}"), True
    top = float(np.max(columns.volume, initial=1.0))
    rough = int(np.floor(np.log10(top))) - 6 if 0.0 < top < 1e18 else 0
    return float(f"1e{max(finest, rough)}"), False
