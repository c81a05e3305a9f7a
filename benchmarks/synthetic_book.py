"""A seeded book of depth and trades: a random walk of the touch, made by quotes that come and go and takers that consume.

Every step has an exchange time of its own. A quote step changes one to three levels of one side, most of them near the
touch: new ones, other quantities, deletions; while the spread is wider than a tick, it often narrows it. A trade step
prints one trade a level it takes from (the best is often taken whole) and then, at the same exchange time, the depth that
is left. A slow pressure decides which side acts, pulled back to the middle of the range. The first rows are the snapshot,
dated on a whole tenth of a second. The feed arrives 2 ms and more after the exchange's time, in order.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

TICK_SIZE, STEP_SIZE = 0.1, 0.001
LEVELS = 1 << 15
MIDDLE = LEVELS // 2
LOW_TICK = 600_000 - MIDDLE  # the walk starts at 60,000.0
START_NS = 1_723_161_256_400_000_000
SNAPSHOT_LEVELS = 100  # a side
ROW_NS = 1_000_000  # a row a millisecond: 100 between two wakes
TRADE_SHARE = 0.12
BID, ASK = 0, 1
DEPTH, TRADE = 1, 2


def columns(events: int, seed: int) -> dict[str, np.ndarray]:
    """Return the columns of `benchmarks.streams`, `events` rows each."""
    times = np.empty((2, events), np.int64)
    codes = np.empty((2, events), np.int8)
    numbers = np.empty((2, events), np.int64)
    if not generate_nb(events, np.uint64(seed), times, codes, numbers):
        raise RuntimeError(f"seed {seed}: the walk left its range; widen LEVELS")
    ticks, lots = numbers
    return {
        "ts_exch": times[0],
        "ts_local": times[1],
        "kind": codes[0],
        "side": codes[1],
        "price": np.round((ticks + LOW_TICK) * TICK_SIZE, 8),
        "qty": np.round(lots * STEP_SIZE, 8),
    }


@nb.njit(cache=True)
def uniform_nb(state):  # type: ignore[no-untyped-def]
    """Return a number in (0, 1) (SplitMix64: the same on every machine and version)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (float(z >> np.uint64(11)) + 0.5) / 9007199254740992.0


@nb.njit(cache=True)
def lots_nb(state, median, spread):  # type: ignore[no-untyped-def]
    """Return a long-tailed number of lots, at least 1."""
    normal = math.sqrt(-2.0 * math.log(uniform_nb(state))) * math.cos(2.0 * math.pi * uniform_nb(state))
    return 1 + int(median * math.exp(spread * normal))


@nb.njit(cache=True)
def next_level_nb(book, side, level):  # type: ignore[no-untyped-def]
    """Return the best level worse than `level`, -1 where there is none. Ask levels are mirrored: better is greater."""
    level -= 1
    while level >= 0 and book[side, level] == 0:
        level -= 1
    return level


@nb.njit(cache=True)
def generate_nb(events, seed, times, codes, numbers):  # type: ignore[no-untyped-def]
    """Fill the rows; return False when the walk left its range."""
    state = np.array([seed], np.uint64)
    book = np.zeros((2, LEVELS), np.int64)
    best = np.array([MIDDLE, LEVELS - 1 - (MIDDLE + 1)], np.int64)
    row = 0
    ts, local = START_NS, START_NS
    for side in range(2):
        for depth in range(SNAPSHOT_LEVELS):
            book[side, best[side] - depth] = lots_nb(state, 300.0, 1.0)
    pressure = 0.0
    swept = np.empty(3, np.int64)
    out_kind = np.empty(16, np.int64)
    out_side = np.empty(16, np.int64)
    out_level = np.empty(16, np.int64)
    out_lots = np.empty(16, np.int64)
    snapshot = 0
    while row < events:
        count = 0
        if snapshot < 2 * SNAPSHOT_LEVELS:
            side, depth = snapshot // SNAPSHOT_LEVELS, snapshot % SNAPSHOT_LEVELS
            level = best[side] - depth
            out_kind[0], out_side[0], out_level[0], out_lots[0] = DEPTH, side, level, book[side, level]
            count = 1
            snapshot += 1
        else:
            pressure += -0.002 * pressure + 0.03 * (uniform_nb(state) - 0.5)
            tilt = 0.5 + 0.3 * math.tanh(pressure) - 2.0 * (best[BID] - MIDDLE) / LEVELS
            up = uniform_nb(state) < tilt
            if uniform_nb(state) < TRADE_SHARE:
                side = ASK if up else BID
                rest = lots_nb(state, 40.0, 1.4)
                if uniform_nb(state) < 0.25:
                    rest = book[side, best[side]]
                levels = 0
                level = best[side]
                while rest > 0 and levels < 3 and level >= 0:
                    take = min(rest, book[side, level])
                    book[side, level] -= take
                    rest -= take
                    out_kind[count], out_side[count], out_level[count], out_lots[count] = TRADE, side, level, take
                    count += 1
                    swept[levels] = level
                    levels += 1
                    if book[side, level] > 0:
                        break
                    level = next_level_nb(book, side, level)
                for i in range(levels):
                    level = swept[i]
                    out_kind[count], out_side[count], out_level[count] = DEPTH, side, level
                    out_lots[count] = book[side, level]
                    count += 1
            else:
                side = BID if up else ASK
                for _ in range(1 + int(3.0 * uniform_nb(state))):
                    other = 1 - side
                    wide = best[side] + best[other] < LEVELS - 2
                    if wide and uniform_nb(state) < 0.6:
                        level = best[side] + 1
                        lots = lots_nb(state, 150.0, 1.0)
                    else:
                        level = best[side] - min(60, int(-7.0 * math.log(uniform_nb(state))))
                        u = uniform_nb(state)
                        gone = u < 0.04 if level == best[side] else u < 0.3
                        lots = 0 if gone and book[side, level] > 0 else lots_nb(state, 300.0, 1.0)
                    book[side, level] = lots
                    out_kind[count], out_side[count], out_level[count], out_lots[count] = DEPTH, side, level, lots
                    count += 1
                    if level > best[side]:
                        best[side] = level
                    elif lots == 0 and level == best[side]:
                        best[side] = next_level_nb(book, side, level)
                        if best[side] < 100:
                            return False
            for side in range(2):
                if book[side, best[side]] == 0:
                    best[side] = next_level_nb(book, side, best[side])
            if min(best[BID], best[ASK]) < 100 or max(best[BID], best[ASK]) > LEVELS - 100:
                return False
            ts += 1_000 + int(-math.log(uniform_nb(state)) * ROW_NS * count)
        local = max(local, ts + 2_000_000 + int(-math.log(uniform_nb(state)) * 1_000_000))
        for i in range(min(count, events - row)):
            times[0, row], times[1, row] = ts, local
            is_bid = out_side[i] == BID
            codes[0, row] = out_kind[i]
            # A trade's side is its aggressor's: who takes bids sells.
            codes[1, row] = 1 if is_bid == (out_kind[i] == DEPTH) else -1
            numbers[0, row] = out_level[i] if is_bid else LEVELS - 1 - out_level[i]
            numbers[1, row] = out_lots[i]
            row += 1
    return True
