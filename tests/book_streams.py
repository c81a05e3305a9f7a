"""Random order book streams: columns of a market that is never crossed, with trades before the depth they cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from replay_data.feed import Feed, from_columns

START_NS = 1_735_689_600_000_000_000  # 2025-01-01 UTC
MS = 1_000_000
TICK_SIZE, STEP_SIZE, MID = 0.1, 0.001, 600_000
LEVELS = 8
DEPTH, TRADE = 1, 2


def columns(seed: int, steps: int, every_ms: float = 7.0, latency_ms: float = 3.0) -> dict[str, Any]:
    """Return the arguments of `from_columns` for `steps` moves of a random market, some four rows a move."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, int, int, int]] = []
    shown: dict[tuple[int, int], int] = {}
    mid, now = MID, START_NS

    def put(kind: int, side: int, ticks: int, lots: int) -> None:
        rows.append((now, now + int((latency_ms + rng.exponential(1.0)) * MS), kind, side, ticks, lots))
        if kind == DEPTH:
            shown[side, ticks] = lots

    for away in range(1, LEVELS + 1):
        for side in (1, -1):
            put(DEPTH, side, mid - side * away, int(rng.integers(500, 4_000)))
    for _ in range(steps):
        now += int(rng.exponential(every_ms) * MS) + 1
        side, away = int(rng.choice([1, -1])), 1 + int(rng.exponential(1.2))
        ticks = mid - side * away
        if rng.random() < 0.25:
            lots = int(rng.integers(1, 1_500))
            put(TRADE, -side, ticks, lots)
            put(DEPTH, side, ticks, max(0, shown.get((side, ticks), 0) - lots))
        elif rng.random() < 0.15:
            mid += int(rng.choice([1, -1]))
            for (old_side, old), lots in list(shown.items()):
                if lots > 0 and old_side * (old - mid) >= 0:
                    put(DEPTH, old_side, old, 0)
            for both in (1, -1):
                if shown.get((both, mid - both), 0) == 0:
                    put(DEPTH, both, mid - both, int(rng.integers(200, 3_000)))
        else:
            put(DEPTH, side, ticks, int(rng.integers(0, 4_000)))
    table = np.array(rows, np.int64)
    return {
        "ts_exch": table[:, 0],
        "ts_local": table[:, 1],
        "kind": table[:, 2],
        "side": table[:, 3],
        "price": np.round(table[:, 4] * TICK_SIZE, 1),
        "qty": np.round(table[:, 5] * STEP_SIZE, 3),
        "tick_size": TICK_SIZE,
        "step_size": STEP_SIZE,
    }


def feed(seed: int, steps: int, symbols: tuple[str, ...] = ("BTCUSDT",), **options: float) -> Feed:
    """Return a feed of random books of one or several symbols."""
    return from_columns({symbol: columns(seed + number, steps, **options) for number, symbol in enumerate(symbols)})
