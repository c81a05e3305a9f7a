"""Benchmark streams: depth and trades of one symbol as columns, written once, read by every job as the same bytes.

A stream is a folder of .npy columns and a meta.json. Columns: `ts_exch`, `ts_local` (int64 ns), `kind` (int8: 1 a depth
level's absolute new quantity, 2 a trade), `side` (int8: +1 bid level or buying aggressor, -1 ask level or selling
aggressor), `price`, `qty` (float64, on the tick and on the step). Rows are in exchange order; the trades of one exchange
time stand before the depth they cause; neither clock goes back from row to row. Peers' jobs run in environments of their
own, so this file needs numpy alone, and numba only to write a synthetic stream.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / ".data"
COLUMNS = {"ts_exch": np.int64, "ts_local": np.int64, "kind": np.int8, "side": np.int8, "price": np.float64, "qty": np.float64}
DEPTH, TRADE = 1, 2
SEED = 20_240_808

# What a job prints of its fills, and what two jobs compare one by one.
FILL = np.dtype([("ts", np.int64), ("side", np.int64), ("tick", np.int64), ("lots", np.int64)])


@dataclass(frozen=True)
class Stream:
    """The columns of one stream, mapped from disk, and what they mean."""

    symbol: str
    tick_size: float
    step_size: float
    low_tick: int  # no level below this one is of interest, nor above the next
    high_tick: int
    ts_exch: np.ndarray
    ts_local: np.ndarray
    kind: np.ndarray
    side: np.ndarray
    price: np.ndarray
    qty: np.ndarray

    def __len__(self) -> int:
        return len(self.ts_exch)

    def ticks(self) -> np.ndarray:
        """Return the prices in ticks."""
        return np.rint(self.price / self.tick_size).astype(np.int64)


def load(path: str | Path) -> Stream:
    """Map a stream's folder."""
    path = Path(path)
    meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    return Stream(**meta, **{name: np.load(path / f"{name}.npy", mmap_mode="r") for name in COLUMNS})


def save(path: Path, columns: dict[str, np.ndarray], **meta: object) -> Path:
    """Write a stream's folder, whole or not at all; a clock that goes back is a ValueError."""
    for clock in ("ts_exch", "ts_local"):
        back = np.flatnonzero(np.diff(columns[clock]) < 0)
        if len(back):
            raise ValueError(f"{path.name}: {clock} goes back at row {back[0] + 1}")
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, dtype in COLUMNS.items():
        np.save(part / f"{name}.npy", np.ascontiguousarray(columns[name], dtype=dtype))
    (part / "meta.json").write_text(json.dumps(meta) + "\n", encoding="utf-8")
    part.rename(path)
    return path


def digest(fills: np.ndarray) -> str:
    """Return the first 16 hex digits of the fills' hash, in order of (exchange time, buys first)."""
    ordered = fills[np.lexsort((-fills["side"], fills["ts"]))]
    return hashlib.sha256(np.ascontiguousarray(ordered.astype(FILL)).tobytes()).hexdigest()[:16]


def synthetic(events: int, seed: int = SEED) -> Path:
    """Return the folder of a synthetic stream of `events` rows, written on first use."""
    path = FOLDER / f"book-{events}" if seed == SEED else FOLDER / f"book-{events}-{seed}"
    if not path.exists():
        from benchmarks.synthetic_book import LEVELS, LOW_TICK, STEP_SIZE, TICK_SIZE, columns

        save(
            path,
            columns(events, seed),
            symbol="BENCHUSDT",
            tick_size=TICK_SIZE,
            step_size=STEP_SIZE,
            low_tick=LOW_TICK,
            high_tick=LOW_TICK + LEVELS - 1,
        )
    return path


if __name__ == "__main__":
    print(synthetic(int(sys.argv[1])))
