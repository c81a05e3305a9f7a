"""A recorded capture of Binance USD-M depth and trades as a benchmark stream: `python -m benchmarks.recordings FOLDER...`.

FOLDER holds depth.parquet, snapshot.json.gz and raw.jsonl.gz (trades are read there: the archive's file has no local
times). The stream begins with the snapshot, dated on the whole tenth of a second before it; then the changes it does not
contain, and the trades after it. Trades that are no market trades (insurance fund) are left out, as feeds' consumers do.

Feed latency: the collector's clock may run behind the exchange's, so all local times are shifted by one number, such that
the smallest latency is BASE_LATENCY_NS; and a row is not seen before the row above it (running maximum), so that one row
order serves both clocks. Both are printed.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quotes import WAKE_NS
from benchmarks.streams import DEPTH, FOLDER, TRADE, save

BASE_LATENCY_NS = 1_000_000
REACH = 0.02  # levels of interest: this share of the price to either side
FILTERS = {"BTCUSDT": (0.1, 0.001), "ETHUSDT": (0.01, 0.001)}  # tick and step when these were recorded
MS_NS = 1_000_000


def recording(folder: Path) -> Path:
    """Return the folder of the stream of a capture, written on first use."""
    path = FOLDER / f"recorded-{folder.name}"
    if path.exists():
        return path
    symbol = folder.name.split("-")[0]
    tick, step = FILTERS[symbol]
    with gzip.open(folder / "snapshot.json.gz", "rt", encoding="utf-8") as file:
        snapshot = json.load(file)["response"]
    start = snapshot["T"] * MS_NS // WAKE_NS * WAKE_NS
    rows = pd.concat((depth_rows(folder, snapshot), trade_rows(folder, snapshot)))
    # One exchange time: trades first. A stable sort keeps each stream's own order.
    rows = rows.sort_values(["ts_exch", "kind"], ascending=[True, False], kind="stable", ignore_index=True)
    latency = (rows.ts_local - rows.ts_exch).to_numpy()
    shift = BASE_LATENCY_NS - int(latency.min())
    shifted = rows.ts_local.to_numpy() + shift
    rows["ts_local"] = np.maximum.accumulate(shifted)
    held = int(np.count_nonzero(rows.ts_local != shifted))
    print(
        f"# {folder.name}: local times {shift / 1e6:+.3f} ms, median latency {np.median(latency + shift) / 1e6:.3f} ms, "
        f"{held:,} of {len(rows):,} rows seen later than they came, for one above them was late"
    )
    whole = pd.concat((snapshot_rows(snapshot, start), rows), ignore_index=True)
    best = (float(snapshot["bids"][0][0]) + float(snapshot["asks"][0][0])) / 2.0
    return save(
        path,
        {name: whole[name].to_numpy() for name in whole},
        symbol=symbol,
        tick_size=tick,
        step_size=step,
        low_tick=round(best * (1.0 - REACH) / tick),
        high_tick=round(best * (1.0 + REACH) / tick),
    )


def snapshot_rows(snapshot: dict[str, Any], start_ns: int) -> pd.DataFrame:
    """Return the snapshot's levels as changes at `start_ns`."""
    frames = []
    for side, name in ((1, "bids"), (-1, "asks")):
        levels = np.array(snapshot[name], dtype=float)
        frames.append(pd.DataFrame({"kind": DEPTH, "side": side, "price": levels[:, 0], "qty": levels[:, 1]}))
    return pd.concat(frames).assign(ts_exch=start_ns, ts_local=start_ns + BASE_LATENCY_NS)


def depth_rows(folder: Path, snapshot: dict[str, Any]) -> pd.DataFrame:
    """Return the changes the snapshot does not contain; the chain of update ids must be unbroken."""
    depth = pd.read_parquet(folder / "depth.parquet")
    depth = depth[depth.final_update_id >= snapshot["lastUpdateId"]]
    messages = depth.drop_duplicates("final_update_id")
    if messages.first_update_id.iloc[0] > snapshot["lastUpdateId"]:
        raise ValueError(f"{folder}/depth.parquet: the changes begin after the snapshot")
    broken = messages.prev_final_update_id.to_numpy()[1:] != messages.final_update_id.to_numpy()[:-1]
    if broken.any():
        raise ValueError(f"{folder}/depth.parquet: update {messages.final_update_id.iloc[int(broken.argmax())]} has no successor")
    return pd.DataFrame(
        {
            "ts_exch": depth.transact_time_ms * MS_NS,
            "ts_local": depth.local_ts_ns,
            "kind": DEPTH,
            "side": 1 - 2 * depth.side.astype(np.int64),
            "price": depth.price,
            "qty": depth.qty,
        }
    )


def trade_rows(folder: Path, snapshot: dict[str, Any]) -> pd.DataFrame:
    """Return the market trades since the snapshot, with their local times."""
    rows = []
    with gzip.open(folder / "raw.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            if '"e":"trade"' not in line:
                continue
            local, message = line.split(" ", 1)
            trade = json.loads(message)["data"]
            if trade["X"] == "MARKET" and trade["T"] >= snapshot["T"]:
                local_ns = int(local) * (1 if len(local) == 19 else 1_000)  # older captures in microseconds
                side = -1 if trade["m"] else 1  # the maker bought: the aggressor sold
                rows.append((trade["T"] * MS_NS, local_ns, TRADE, side, float(trade["p"]), float(trade["q"])))
    return pd.DataFrame(rows, columns=["ts_exch", "ts_local", "kind", "side", "price", "qty"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m benchmarks.recordings FOLDER...")
    for name in sys.argv[1:]:
        print(recording(Path(name)))
