"""The embedded sample: a synthetic market of eight symbols, small enough to ship, expanded once into a catalog.

`sample/market.xz` holds integer deltas (gap, body, wicks, volume grid, premium, rates) as bytes, one stream a field, with
rare large values beside them; xz packs them close to their entropy. `python -m replay_data.sample` makes it anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.archive import FUNDINGS, KLINES, MARKS, Series, SeriesKey
from replay_data.interval import MINUTE_NS
from replay_data.manifest import FORMAT, NAME, Manifest, SeriesInfo, write_manifest
from replay_data.prepare import PREPARED_VERSION
from replay_data.series_store import write_series
from replay_data.storage import write_atomic
from replay_data.synthetic import FUNDING_EVERY_NS, SPECS, VOLUME_GRID, Market, Spec, Tape, make_market
from replay_data.tables import Tables, tables_to_json
from simcore.domain.errors import DataError
from simcore.jit import cache_root

FOLDER = Path(__file__).resolve().parent / "sample"
LABEL = "synthetic sample"
RECIPE: dict[str, Any] = {"seed": 20250101, "days": 90, "start": "2025-01-01"}
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0, "dict_size": 1 << 24}]
EXPANDED_VERSION = 1
FIELDS = ("gap", "body", "up", "down", "volume", "premium", "rate")

Ints = npt.NDArray[np.int64]


def sample_catalog() -> Path:
    """Return the catalog folder of the sample, expanding it into the cache the first time (a few seconds)."""
    about = json.loads((FOLDER / "sample.json").read_bytes())
    made_of = (about["sha256"], PREPARED_VERSION, EXPANDED_VERSION, FORMAT, *SeriesInfo.__dataclass_fields__)
    version = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    root = cache_root() / f"sample-{version}"
    if not (root / NAME).is_file():
        expand(root)
    return root


def expand(root: Path) -> None:
    """Write the sample as a catalog beside `root` and move it there in one step; two at once do no harm."""
    packed = (FOLDER / "market.xz").read_bytes()
    about = json.loads((FOLDER / "sample.json").read_bytes())
    if hashlib.sha256(packed).hexdigest() != about["sha256"]:
        raise DataError(f"{FOLDER / 'market.xz'}: damaged: its sha256 is not the one in sample.json. Install simcore again.")
    work = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    try:
        write_catalog(work, unpack_tapes(packed, about["start_ns"], about["minutes"]))
        if not root.exists():
            try:
                os.rename(work, root)
            except OSError:
                if not (root / NAME).is_file():
                    raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_catalog(root: Path, tapes: tuple[Tape, ...]) -> None:
    """Write tapes as a catalog labelled synthetic, with their own filters and brackets."""
    start_ns = int(tapes[0].open_ns[0])
    tables = Tables({}, {}).with_rows(
        [tape.spec.filters(start_ns) for tape in tapes], [tape.spec.brackets(start_ns) for tape in tapes]
    )
    infos = [write_series(root, series, tables, ("synthetic",), None) for tape in tapes for series in tape_series(tape)]
    for name, data in zip(("filters", "brackets"), tables_to_json(tables), strict=True):
        write_atomic(root / f"tables/{name}.json", lambda stream, data=data: stream.write(data))  # type: ignore[misc]
    manifest = Manifest((), LABEL, True, "tables/filters.json", "tables/brackets.json").with_series(infos)
    write_manifest(root, manifest)


def tape_series(tape: Tape) -> tuple[Series, Series, Series]:
    """Return a tape as the three series a catalog stores: bars, hourly marks, funding."""
    columns = tape.columns()
    symbol = tape.spec.symbol
    names = ("open", "high", "low", "close", "volume")
    bars = Series(SeriesKey(KLINES, symbol, "1m"), columns.open_ns, {name: getattr(columns, name) for name in names})
    times, prices = tape.mark_prices()
    marks = Series(SeriesKey(MARKS, symbol, "1h"), times, dict(prices))
    rates = {"rate_e8": tape.rate_e8, "interval_ns": np.full(tape.rate_e8.size, FUNDING_EVERY_NS, np.int64)}
    return bars, marks, Series(SeriesKey(FUNDINGS, symbol, ""), tape.settlements(), rates)


def pack_tapes(tapes: tuple[Tape, ...]) -> bytes:
    """Return tapes as one xz stream; `unpack_tapes` gives them back exactly."""
    out = io.BytesIO()
    for name in FIELDS:
        for tape in tapes:
            _write(out, _field(tape, name))
    return lzma.compress(out.getvalue(), format=lzma.FORMAT_XZ, filters=FILTERS)


def _field(tape: Tape, name: str) -> Ints:
    top, bottom = np.maximum(tape.open, tape.close), np.minimum(tape.open, tape.close)
    before = np.concatenate([[first_ticks(tape.spec)], tape.close[:-1]])
    fields = {
        "gap": tape.open - before,
        "body": tape.close - tape.open,
        "up": tape.high - top,
        "down": bottom - tape.low,
        "volume": np.searchsorted(VOLUME_GRID, tape.volume),
        "premium": tape.premium_e7,
        "rate": tape.rate_e8,
    }
    return np.asarray(fields[name], np.int64)


def first_ticks(spec: Spec) -> int:
    return round(spec.price / spec.tick_size)


def _write(out: io.BytesIO, values: Ints) -> None:
    """Write values as bytes around their smallest usual value; the few beyond a byte follow as int32."""
    small = np.where((values >= -127) & (values <= 127), values, -128).astype(np.int8)
    large = values[small == -128].astype("<i4")
    out.write(np.array([values.size, large.size], "<i4").tobytes() + small.tobytes() + large.tobytes())


def unpack_tapes(packed: bytes, start_ns: int, minutes: int) -> tuple[Tape, ...]:
    """Return the tapes of a packed sample."""
    data, at = lzma.decompress(packed), 0
    fields: dict[str, list[Ints]] = {name: [] for name in FIELDS}
    for name in FIELDS:
        for _spec in SPECS:
            count, extra = np.frombuffer(data, "<i4", 2, at)
            values = np.frombuffer(data, np.int8, count, at + 8).astype(np.int64)
            values[values == -128] = np.frombuffer(data, "<i4", extra, at + 8 + count)
            at += 8 + int(count) + 4 * int(extra)
            fields[name].append(values)
    open_ns = start_ns + np.arange(minutes, dtype=np.int64) * MINUTE_NS
    return tuple(_tape(spec, open_ns, {name: fields[name][at] for name in FIELDS}) for at, spec in enumerate(SPECS))


def _tape(spec: Spec, open_ns: Ints, field: dict[str, Ints]) -> Tape:
    close = first_ticks(spec) + np.cumsum(field["gap"] + field["body"])
    opens = close - field["body"]
    high, low = np.maximum(opens, close) + field["up"], np.minimum(opens, close) - field["down"]
    return Tape(spec, open_ns, opens, high, low, close, VOLUME_GRID[field["volume"]], field["premium"], field["rate"])


def build(folder: Path = FOLDER) -> Market:
    """Write the sample's files from its recipe; return the market."""
    market = make_market(**RECIPE)
    packed = pack_tapes(market.tapes)
    about = {
        "label": LABEL,
        "recipe": RECIPE,
        "symbols": [tape.spec.symbol for tape in market.tapes],
        "start_ns": int(market.tapes[0].open_ns[0]),
        "minutes": int(market.tapes[0].open_ns.size),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "market.xz").write_bytes(packed)
    (folder / "sample.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return market


if __name__ == "__main__":
    build()
