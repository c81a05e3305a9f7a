"""Benchmark prices: one seeded random walk a symbol, written once, read by every job as the same bytes.

Only the close is stored, float64[symbols, bars]; a job that needs whole bars derives them (`ohlcv`). Peers' jobs run in
environments of their own, so this file imports numpy alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / ".data"
SEED = 20_250_630
TICK = 0.1
FIRST_OPEN_MS = 1_577_836_800_000  # 2020-01-01
MINUTE_MS = 60_000


def close_path(bars: int, symbols: int) -> Path:
    """Return the .npy file of closes, written on first use: a log random walk of 1e-3 a bar, on the tick."""
    path = FOLDER / f"close-{symbols}x{bars}.npy"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        rng = np.random.default_rng([SEED, symbols, bars])
        close = np.empty((symbols, bars))
        for i in range(symbols):
            # Pulled back to its start, so that ten years of minutes neither vanish nor explode.
            close[i] = 30_000.0 * np.exp(reverting_walk(rng.standard_normal(bars) * 1e-3))
        np.save(path.with_suffix(".part.npy"), np.round(close / TICK) * TICK)
        path.with_suffix(".part.npy").rename(path)
    return path


def reverting_walk(steps: np.ndarray, block: int = 525_600) -> np.ndarray:
    """Return a walk that is back at zero after every block (a year of minutes)."""
    walk = np.cumsum(steps)
    for first in range(0, len(walk), block):
        piece = walk[first : first + block]
        piece -= piece[0] + (piece[-1] - piece[0]) * np.linspace(0.0, 1.0, len(piece))
    return walk


def ohlcv(close: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return open, high, low, close, volume of one symbol: open at the last close, two ticks of wick, steady volume."""
    opens = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opens, close) + 2 * TICK
    low = np.minimum(opens, close) - 2 * TICK
    volume = 1_000.0 + (np.arange(len(close)) * 7_919) % 500
    return opens, high, low, close, volume


def open_ms(bars: int) -> np.ndarray:
    """Return the open times of one-minute bars in ms."""
    return FIRST_OPEN_MS + MINUTE_MS * np.arange(bars, dtype=np.int64)
