"""Recordings: what a collector wrote down of the exchange's sockets, line by line or as tables.

Lines (`raw.jsonl.gz`): local receive time (s with decimals, ms, us or ns), a blank, one JSON message: a combined-stream
wrapper, a bare payload, or a REST depth response. A recording is read as far as it goes: lines that are none, messages of
another symbol and a cut end are faults, named by line. Tables: `depth.parquet`, `snapshot.json.gz`, trades, bookTicker
and markPrice1s beside it; a folder that has lines is read from its lines.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from replay_data.interval import FIRST_NS, LAST_NS, stamps_to_ns
from replay_data.stream import (
    DEPTH_WHOLE,
    DEPTHS,
    MARK_COLUMNS,
    MARKS,
    TICKER_COLUMNS,
    TICKERS,
    TRADE_COLUMNS,
    TRADES,
    Faults,
    Growing,
    Stream,
    Table,
    rows_of,
    settle_trades,
)
from replay_data.unpack import MAX_BYTES
from simcore.domain.errors import DataError

LINES = ("raw.jsonl.gz", "raw.jsonl")
FOLDER = re.compile(r"([A-Z0-9]{2,30})-(\d{8})")
PARTIAL_DEPTH = re.compile(r"@(depth(5|10|20)(@|$)|rpiDepth)")
NAME_OF_KIND = {"depthUpdate": DEPTHS, "trade": TRADES, "bookTicker": TICKERS, "markPriceUpdate": MARKS}
CHUNK = 1 << 20
MS_NS = 1_000_000


class Recorder:
    """Takes messages one by one and becomes a Stream; live recording can feed it, too."""

    def __init__(self, symbol: str, path: Path | str) -> None:
        self.symbol, self.faults = symbol, Faults(path)
        self.depth = Growing(("snapshot", *DEPTH_WHOLE, "begin"))
        self.levels = Growing(("level_side", "level_price", "level_qty"))
        self.trades, self.tickers, self.marks = Growing(TRADE_COLUMNS), Growing(TICKER_COLUMNS), Growing(MARK_COLUMNS)
        self.spot = False
        self.other_types = 0

    def take(self, place: int, local_ns: int, message: Any) -> None:
        """Take one message that was received at `local_ns`; what is wrong with it becomes a fault."""
        try:
            stream = message.get("stream", "")
            data = message["data"] if stream else message
            if "lastUpdateId" in data:
                self._snapshot(place, local_ns, data)
                return
            named = data.get("s", self.symbol)
            if named != self.symbol:
                self.faults.say(place, f"a message of {named} in a recording of {self.symbol}; left out")
            elif stream and PARTIAL_DEPTH.search(stream):
                self.faults.say(place, f"{stream} is a partial book, not a change of it; left out")
            else:
                kind = NAME_OF_KIND.get(data.get("e", "bookTicker" if "A" in data else ""))
                self._take_kind(kind, place, local_ns, data)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as trouble:
            self.faults.say(place, f"not a message of the exchange ({type(trouble).__name__}: {trouble}); left out")

    def _take_kind(self, kind: str | None, place: int, local_ns: int, data: dict[str, Any]) -> None:
        if kind == DEPTHS:
            ids = int(data["U"]), int(data["u"]), int(data.get("pu", -1))
            self._message(0, int(data.get("T", data["E"])) * MS_NS, local_ns, ids, place, data["b"], data["a"])
        elif kind == TRADES:
            # Trades of the insurance fund and of liquidations by position take no liquidity from the book.
            side = 0 if data.get("X", "MARKET") != "MARKET" else -1 if data["m"] else 1
            self.trades.add(
                int(data["T"]) * MS_NS, local_ns, int(data["t"]), side, float(data["p"]), float(data["q"]), place
            )
        elif kind == TICKERS:
            best = (float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"]))
            self.tickers.add(int(data["T"]) * MS_NS if "T" in data else -1, local_ns, int(data["u"]), *best, place)
        elif kind == MARKS:
            figures = float(data["p"]), float(data["i"]), float(data["r"] or 0.0), int(data["T"]) * MS_NS
            self.marks.add(int(data["E"]) * MS_NS, local_ns, *figures, place)
        else:
            self.other_types += 1

    def _snapshot(self, place: int, local_ns: int, data: dict[str, Any]) -> None:
        last = int(data["lastUpdateId"])
        stamp = data.get("T", data.get("E"))
        self._message(1, int(stamp) * MS_NS if stamp else -1, local_ns, (last, last, -1), place, data["bids"], data["asks"])

    def _message(
        self, snapshot: int, ts_exch: int, local_ns: int, ids: tuple[int, int, int], place: int, bids: Any, asks: Any
    ) -> None:
        levels = [(1, float(price), float(qty)) for price, qty in bids] + [(-1, float(price), float(qty)) for price, qty in asks]
        begin = len(self.levels)
        for level in levels:
            self.levels.add(*level)
        self.spot = self.spot or (not snapshot and ids[2] < 0)
        self.depth.add(snapshot, ts_exch, local_ns, *ids, place, begin)

    def stream(self) -> Stream:
        """Return everything taken so far."""
        tables: dict[str, Table] = {}
        if len(self.depth):
            depth = self.depth.table()
            depth["begin"] = np.append(depth["begin"], len(self.levels))
            tables[DEPTHS] = depth | self.levels.table()
        for role, rows in ((TRADES, self.trades), (TICKERS, self.tickers), (MARKS, self.marks)):
            if len(rows):
                tables[role] = rows.table()
        return finish(Stream(self.symbol, "spot" if self.spot else "um", tables, self.faults.path), self.faults)


def finish(stream: Stream, faults: Faults) -> Stream:
    """Put the trades of a stream in order of their ids, without repeated ones; say what is missing."""
    trades = stream.tables.get(TRADES)
    if trades is not None:
        stream.tables[TRADES] = settle_trades(trades, faults, stream.notes, stream.symbol)
        if not rows_of(stream.tables[TRADES]):
            del stream.tables[TRADES]
    if not stream.tables:
        reason = f" ({faults.listed[0].place}: {faults.listed[0].what})" if faults.listed else ""
        raise DataError(f"{stream.path}: no depth, trade, book ticker or mark price message of {stream.symbol}{reason}.")
    stream.faults = list(faults.listed)
    if faults.count > len(stream.faults):
        stream.notes.append(f"{stream.symbol}: {faults.count} faults in {Path(stream.path).name}, the first {len(stream.faults)} listed")
    return stream


def read_lines(path: Path, symbol: str | None = None) -> list[Stream]:
    """Return the streams in a file of lines: of `symbol`, or of every symbol in it where that is None."""
    recorders: dict[str, Recorder] = {}
    general = Faults(path)
    if symbol:
        recorders[symbol] = Recorder(symbol, path)
    decode = msgspec.json.Decoder().decode
    for place, line in _lines(path, general):
        stamp, _blank, text = line.partition(b" ")
        try:
            local_ns = local_time(stamp.rstrip(b":"))
            message = decode(text)
        except (ValueError, InvalidOperation) as trouble:
            general.say(place, f"not a recorded line ({trouble}); left out")
            continue
        recorder = _recorder_for(recorders, symbol, message, path)
        if recorder is None:
            general.say(place, "a message without a symbol among several symbols; left out")
        else:
            recorder.take(place, local_ns, message)
    if not recorders:
        raise DataError(f"{path}: no message in it. Expected lines of local time, a blank and one JSON message.")
    try:
        streams = [recorder.stream() for recorder in recorders.values()]
    except DataError as trouble:
        raise DataError(f"{trouble}{f' ({general.listed[0].place}: {general.listed[0].what})' if general.listed else ''}") from None
    streams[0].faults = general.listed + streams[0].faults
    return streams


def _recorder_for(recorders: dict[str, Recorder], symbol: str | None, message: Any, path: Path) -> Recorder | None:
    if symbol:
        return recorders[symbol]
    data = message.get("data", message) if isinstance(message, dict) else {}
    named = data.get("s") if isinstance(data, dict) else None
    if named is None:
        return next(iter(recorders.values())) if len(recorders) == 1 else None
    return recorders.setdefault(named, Recorder(named, path))


def local_time(stamp: bytes) -> int:
    """Return a receive time in ns: integers by their size, decimals as seconds; ValueError for anything else."""
    if b"." in stamp:
        now_ns = int(Decimal(stamp.decode()) * 10**9)
    else:
        now_ns = int(stamp)
        now_ns *= 10**9 if now_ns < 10**11 else 10**6 if now_ns < 10**14 else 1000 if now_ns < 10**17 else 1
    if not FIRST_NS <= now_ns <= LAST_NS:
        raise ValueError(f"local time {stamp.decode('ascii', 'replace')[:30]!r} lies outside 2010 to 2100")
    return now_ns


def _lines(path: Path, faults: Faults) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line) as far as the file can be read; a cut end is a fault."""
    line_no, rest, size = 0, b"", 0
    for block in _blocks(path, faults):
        size += len(block)
        if size > MAX_BYTES:
            faults.say(line_no, f"grows beyond {MAX_BYTES:,} bytes when unpacked; read up to here")
            return
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            line_no += 1
            if line.strip():
                yield line_no, line
    if rest.strip():
        yield line_no + 1, rest


def _blocks(path: Path, faults: Faults) -> Iterator[bytes]:
    try:
        packed = path.open("rb")
    except OSError as trouble:
        raise DataError(f"{path}: not readable ({trouble.strerror}).") from None
    with packed:
        if not path.name.endswith(".gz"):
            yield from iter(lambda: packed.read(CHUNK), b"")
            return
        unpacker = zlib.decompressobj(wbits=31)
        for chunk in iter(lambda: packed.read(CHUNK), b""):
            while chunk:
                try:
                    yield unpacker.decompress(chunk)
                except zlib.error as trouble:
                    faults.say("the end", f"the gzip file is damaged ({trouble}); read up to there")
                    return
                chunk = unpacker.unused_data if unpacker.eof else b""
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31) if chunk else unpacker
        if not unpacker.eof:
            yield unpacker.flush()
            faults.say("the end", "the file is cut off; read up to there")


def recording_files(folder: Path, files: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Return (the file of lines, the other files) of a recording folder."""
    lines = next((file for name in LINES for file in files if file.name == name), None)
    return lines, [file for file in files if file != lines]


def read_recording(folder: Path, files: Sequence[Path]) -> list[Stream]:
    """Return the streams of a recording folder, from its lines where there are any, else from its tables."""
    named = FOLDER.fullmatch(folder.name)
    lines, others = recording_files(folder, files)
    if lines is not None:
        return read_lines(lines, named[1] if named else None)
    symbol = named[1] if named else next((file.name.split("-")[0] for file in others if "-" in file.name), "")
    if not symbol:
        raise DataError(f"{folder}: no symbol. Name the folder like BTCUSDT-20240808.")
    return [read_tables(folder, others, symbol)]


def read_tables(folder: Path, files: Sequence[Path], symbol: str) -> Stream:
    """Return the stream in the tables of a recording folder: the same as its lines give."""
    from replay_data.ticks import read_tickers, read_trades

    faults = Faults(folder)
    tables: dict[str, Table] = {}
    notes: list[str] = []
    by_name = {file.name.removeprefix(f"{symbol}-"): file for file in files}
    depth, snapshot = by_name.get("depth.parquet"), by_name.get("snapshot.json.gz")
    if depth:
        tables[DEPTHS] = _depth_table(depth, snapshot)
    if snapshot is None:
        faults.say("", "no snapshot.json.gz: the book is never known whole")
    spot = depth is not None and bool((tables[DEPTHS]["prev_id"][tables[DEPTHS]["snapshot"] == 0] < 0).all())
    for name, file in by_name.items():
        if name.startswith("trades.csv"):
            tables[TRADES] = read_trades(file)
        elif name.startswith("bookTicker."):
            tables[TICKERS] = read_tickers(file)
        elif name.startswith("markPrice1s."):
            tables[MARKS] = _mark_table(file)
    clocked = all(np.any(table["ts_local"] >= 0) for table in tables.values())
    if not clocked:
        notes.append(f"{symbol}: trades without local times: taken as known when they happened")
    stream = Stream(symbol, "spot" if spot else "um", tables, str(folder), notes=notes)
    return finish(stream, faults)


def _depth_table(path: Path, snapshot: Path | None) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    wanted = ("local_ts_ns", "event_time_ms", "transact_time_ms", "first_update_id", "final_update_id", "prev_final_update_id")
    try:
        stored: Any = parquet.read_table(path)
        local, event, transact, first, final, prev = (stored[name].to_numpy().astype(np.int64) for name in wanted)
        side, price, qty = (stored[name].to_numpy() for name in ("side", "price", "qty"))
    except (pa.ArrowException, OSError, KeyError, ValueError) as trouble:
        raise DataError(f"{path}: not a readable depth table ({trouble}).") from None
    new = np.flatnonzero(np.r_[True, (np.diff(final) != 0) | (np.diff(local) != 0)])
    stamps = np.where(transact >= 0, transact, event) * MS_NS
    table: Table = {
        "snapshot": np.zeros(new.size, np.int8),
        "ts_exch": stamps[new],
        "ts_local": local[new],
        "first_id": first[new],
        "final_id": final[new],
        "prev_id": prev[new],
        "place": new.astype(np.int64),
        "begin": np.append(new, local.size).astype(np.int64),
        "level_side": np.where(side == 0, 1, -1).astype(np.int8),
        "level_price": price.astype(np.float64),
        "level_qty": qty.astype(np.float64),
    }
    return _with_snapshot(table, snapshot) if snapshot else table


def _with_snapshot(table: Table, path: Path) -> Table:
    try:
        document = json.loads(gzip.decompress(path.read_bytes()))
        recorder = Recorder("", path)
        recorder._snapshot(0, int(document["local_ts_ns"]), document["response"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as trouble:
        raise DataError(f"{path}: not a readable snapshot ({trouble!r}).") from None
    rows, levels = recorder.depth.table(), recorder.levels.table()
    at = int(np.searchsorted(table["ts_local"], rows["ts_local"][0]))
    cut = int(table["begin"][at])
    count = levels["level_side"].size
    merged = {name: np.insert(table[name], at, rows[name]) for name in ("snapshot", *DEPTH_WHOLE)}
    merged |= {name: np.concatenate([table[name][:cut], levels[name], table[name][cut:]]) for name in levels}
    merged["begin"] = np.concatenate([table["begin"][: at + 1], table["begin"][at:] + count])
    return merged


def _mark_table(path: Path) -> Table:
    from replay_data.ticks import read_columns

    names = ("local_ts_ns", "event_time_ms", "mark_price", "index_price", "estimated_settle_price", "funding_rate", "next_funding_time_ms")
    whole = ("local_ts_ns", "event_time_ms", "next_funding_time_ms")
    columns = read_columns(path, names, whole, (), ("mark_price", "index_price", "funding_rate"))
    return {
        "ts_exch": stamps_to_ns(columns["event_time_ms"], str(path)),
        "ts_local": columns["local_ts_ns"],
        "mark": columns["mark_price"],
        "index": columns["index_price"],
        "rate": columns["funding_rate"],
        "next_ns": stamps_to_ns(columns["next_funding_time_ms"], str(path)),
        "place": np.arange(columns["local_ts_ns"].size, dtype=np.int64),
    }
