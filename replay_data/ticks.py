"""Tick files: trades, aggregate trades, book tickers and book depth of the public archive, and the layouts of Tardis.

Every reader returns a table of `replay_data.stream`. A file that is damaged anywhere is refused whole, naming the row.
Archive files carry no local times (ts_local is -1). Tardis files have both times in us and no update ids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from replay_data.archive import SUFFIXES, SYMBOL
from replay_data.interval import StampError, stamps_to_ns
from replay_data.stream import BOOK_DEPTHS, DEPTHS, TICKERS, TRADES, Faults, Stream, Table, settle_trades
from replay_data.unpack import read_bytes
from simcore.domain.errors import DataError, did_you_mean
from simcore.jit import kernel

TRADE_NAMES = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
AGG_NAMES = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker", "is_best_match",
)  # fmt: skip
TICKER_NAMES = (
    "update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time", "event_time",
)  # fmt: skip
BOOK_DEPTH_NAMES = ("timestamp", "percentage", "depth", "notional")
T_DEPTH_NAMES = ("symbol", "timestamp", "first_update_id", "last_update_id", "side", "update_type", "price", "qty", "pu")
ARCHIVE = re.compile(r"([A-Z0-9_]{2,30})-(trades|aggTrades|bookTicker|bookDepth)-(\d{4}-\d{2}(-\d{2})?)\.")
TARDIS = re.compile(r"([a-z0-9-]+)_(incremental_book_L2|trades|quotes|book_snapshot_\d+)_(?:(\d{4}-\d{2}-\d{2})_)?([A-Za-z0-9-]+)\.csv")
T_DEPTH = re.compile(r"([A-Za-z0-9]+)[-_](?:T_DEPTH[-_](\d{4}-\d{2}-\d{2})[-_])?depth[-_](snap|update)")
# Of one symbol and day the first of these that is there makes the book, and the first of these its trades.
BOOK_SOURCES = ("incremental_book_L2", "book_snapshot_25", "book_snapshot_10", "book_snapshot_5", "bookTicker", "quotes")
TRADE_SOURCES = ("trades", "aggTrades")


def read_columns(
    path: Path, names: Sequence[str], whole: Sequence[str], flags: Sequence[str], fractions: Sequence[str], texts: Sequence[str] = ()
) -> dict[str, npt.NDArray[Any]]:
    """Return columns of a CSV file and `place`, their rows in it; DataError naming file, row and value for anything else.

    names: the column order of a file without a header, which may lack the last of them.
    """
    import pyarrow as pa
    from pyarrow import csv

    data = read_bytes(path)
    text = data.decode("utf-8-sig", "replace") if data[:3] == b"\xef\xbb\xbf" else None
    data = text.encode() if text is not None else data
    first = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    fields = [field.strip() for field in first.split(",")]
    wanted = (*whole, *flags, *fractions, *texts)
    header = not fields[0][:1].lstrip("-").isdigit()
    if header:
        fields = [field.lower() for field in fields]
        missing = [name for name in wanted if name not in fields]
        if missing:
            hint = did_you_mean(missing[0], fields)
            raise DataError(f"{path}: row 1: column {missing[0]!r} is missing. Expected {', '.join(wanted)}. {hint}")
    elif not set(wanted) <= set(names[: len(fields)]):
        raise DataError(f"{path}: row 1: {len(fields)} columns without a header; expected {', '.join(names)}.")
    else:
        fields = list(names[: len(fields)])
    types = {name: pa.int64() for name in whole} | {name: pa.float64() for name in fractions}
    types |= {name: pa.bool_() for name in flags} | {name: pa.dictionary(pa.int32(), pa.string()) for name in texts}
    try:
        table: Any = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=fields, skip_rows=int(header), use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(wanted), null_values=[""], strings_can_be_null=False,
                true_values=["true", "True", "TRUE", "1"], false_values=["false", "False", "FALSE", "0"],
            ),
        )  # fmt: skip
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as trouble:
        raise DataError(f"{path}: {_where(data, trouble, int(header))}") from None
    if not table.num_rows:
        raise DataError(f"{path}: no rows. Download it again.")
    empty = next((name for name in wanted if table[name].null_count), None)
    if empty is not None:
        row = int(np.flatnonzero(table[empty].is_null().to_numpy())[0])
        raise DataError(f"{path}: row {row + 1 + header}: {empty} is empty. Is the file cut off?")
    places = np.arange(table.num_rows, dtype=np.int64) + 1 + header
    return {name: _plain(table[name]) for name in wanted} | {"place": places}


def _plain(column: Any) -> npt.NDArray[Any]:
    whole = column.combine_chunks()
    return np.asarray(whole.cast("string").to_numpy(zero_copy_only=False) if hasattr(whole.type, "value_type") else whole)


def _where(data: bytes, trouble: Exception, header: int) -> str:
    """Return what pyarrow complained about with the row of the file: its own count leaves conversions out."""
    said = str(trouble).splitlines()[0]
    value = re.search(r"invalid value '(.*)'", said)
    if value is None:
        row = re.search(r"Row #(\d+)", said)
        at = f"row {int(row[1]) + 0}: " if row else ""
        return f"{at}{said[:160]}. Is the file cut off?"
    wrong = value[1].encode()
    lines = data.split(b"\n")
    place = next((at for at, line in enumerate(lines, 1) if at > header and wrong in line.split(b",")), 0)
    return f"row {place}: {value[1][:40]!r} is not what this column holds. Is the file damaged?"


def _stamps(values: npt.NDArray[Any], path: Path, name: str) -> npt.NDArray[np.int64]:
    try:
        return stamps_to_ns(values, str(path))
    except StampError as trouble:
        raise DataError(f"{path}: data row {trouble.row + 1}: {name} is {values[trouble.row]}, which lies outside 2010 to 2100.") from None


def _unknown(like: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.full(like.size, -1, np.int64)


def _places(like: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.arange(1, like.size + 1, dtype=np.int64)


def read_trades(path: Path) -> Table:
    """Return the trades of an archive file."""
    columns = read_columns(path, TRADE_NAMES, ("id", "time"), ("is_buyer_maker",), ("price", "qty"))
    return _trade_table(path, columns, "id", "time", "qty")


def read_agg_trades(path: Path, faults: Faults | None = None) -> Table:
    """Return the aggregate trades of an archive file as trades, numbered by their aggregate ids; say where single trades are missing."""
    whole = ("agg_trade_id", "transact_time", "first_trade_id", "last_trade_id")
    columns = read_columns(path, AGG_NAMES, whole, ("is_buyer_maker",), ("price", "quantity"))
    follows = np.diff(columns["agg_trade_id"]) == 1
    jumps = columns["first_trade_id"][1:] - columns["last_trade_id"][:-1] - 1
    for row in np.flatnonzero(follows & (jumps > 0)).tolist() if faults else ():
        faults.say(int(columns["place"][row + 1]), f"{int(jumps[row])} single trades are missing before this aggregate")  # type: ignore[union-attr]
    return _trade_table(path, columns, "agg_trade_id", "transact_time", "quantity")


def _trade_table(path: Path, columns: dict[str, Any], ids: str, time: str, qty: str) -> Table:
    return {
        "ts_exch": _stamps(columns[time], path, time),
        "ts_local": _unknown(columns[ids]),
        "id": columns[ids],
        "side": np.where(columns["is_buyer_maker"], -1, 1).astype(np.int8),
        "price": columns["price"],
        "qty": columns[qty],
        "place": columns["place"],
    }


def read_tickers(path: Path) -> Table:
    """Return the best bids and asks of an archive file (CSV) or of a recording's Parquet table."""
    prices = ("best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty")
    if path.name.endswith(".parquet"):
        columns, exch, local = _ticker_parquet(path, prices)
    else:
        columns = read_columns(path, TICKER_NAMES, ("update_id", "transaction_time"), (), prices)
        exch = _stamps(columns["transaction_time"], path, "transaction_time")
        local = _unknown(exch)
    named = dict(zip(("bid", "bid_qty", "ask", "ask_qty"), (columns[name] for name in prices), strict=True))
    return {"ts_exch": exch, "ts_local": local, "id": columns["update_id"], **named, "place": _places(exch)}


def _ticker_parquet(path: Path, prices: Sequence[str]) -> tuple[dict[str, Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        stored: Any = parquet.read_table(path)
        columns = {name: stored[name].to_numpy() for name in ("update_id", *prices)}
        local = stored["local_ts_ns"].to_numpy().astype(np.int64)
    except (pa.ArrowException, OSError, KeyError, ValueError) as trouble:
        raise DataError(f"{path}: not a readable book ticker table ({trouble}).") from None
    return columns, _unknown(local), local


def read_book_depth(path: Path) -> Table:
    """Return the archive's summed depth by distance from the mid."""
    columns = read_columns(path, BOOK_DEPTH_NAMES, (), (), ("percentage", "depth", "notional"), ("timestamp",))
    stamps = np.empty(columns["timestamp"].size, np.int64)
    for row, text in enumerate(columns["timestamp"]):
        try:
            stamps[row] = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9
        except ValueError:
            raise DataError(f"{path}: data row {row + 1}: timestamp is {text!r}; expected a UTC time.") from None
    values = {name: columns[name] for name in ("percentage", "depth", "notional")}
    return {"ts_exch": stamps, "ts_local": _unknown(stamps), **values, "place": _places(stamps)}


def _tardis_times(path: Path, columns: dict[str, Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return _stamps(columns["timestamp"], path, "timestamp"), _stamps(columns["local_timestamp"], path, "local_timestamp")


def _sides(path: Path, values: npt.NDArray[Any], plus: str, minus: str) -> npt.NDArray[np.int8]:
    odd = np.flatnonzero((values != plus) & (values != minus))
    if odd.size:
        raise DataError(f"{path}: data row {odd[0] + 1}: side is {values[odd[0]]!r}; expected {plus} or {minus}.")
    return np.where(values == plus, 1, -1).astype(np.int8)


def read_tardis_trades(path: Path) -> Table:
    """Return a Tardis trades file; its ids need not be numbers, so rows are numbered as they stand."""
    columns = read_columns(path, (), ("timestamp", "local_timestamp"), (), ("price", "amount"), ("side",))
    exch, local = _tardis_times(path, columns)
    sides = _sides(path, columns["side"], "buy", "sell")
    ids = _places(exch)
    return {"ts_exch": exch, "ts_local": local, "id": ids, "side": sides, "price": columns["price"], "qty": columns["amount"], "place": ids}


def read_tardis_depth(path: Path) -> Table:
    """Return a Tardis incremental_book_L2 file: rows of one local time are one message, a run of is_snapshot rows is a whole book."""
    columns = read_columns(path, (), ("timestamp", "local_timestamp"), ("is_snapshot",), ("price", "amount"), ("side",))
    exch, local = _tardis_times(path, columns)
    whole = columns["is_snapshot"]
    new = np.r_[True, (np.diff(local) != 0) | (np.diff(exch) != 0) | (whole[1:] != whole[:-1])]
    # One snapshot may be written with several local times: it goes on as long as its rows do.
    new[1:] &= ~(whole[1:] & whole[:-1])
    at = np.flatnonzero(new)
    return _messages(
        whole[at].astype(np.int8), exch[at], local[at], np.append(at, local.size), _sides(path, columns["side"], "bid", "ask"),
        columns["price"], columns["amount"],
    )  # fmt: skip


def _messages(
    snapshot: npt.NDArray[np.int8],
    exch: npt.NDArray[np.int64],
    local: npt.NDArray[np.int64],
    begin: npt.NDArray[np.int64],
    side: npt.NDArray[np.int8],
    price: npt.NDArray[np.float64],
    qty: npt.NDArray[np.float64],
) -> Table:
    ids = {name: _unknown(exch) for name in ("first_id", "final_id", "prev_id")}
    levels: Table = {"level_side": side, "level_price": np.ascontiguousarray(price), "level_qty": np.ascontiguousarray(qty)}
    whole: Table = {"snapshot": snapshot, "ts_exch": exch, "ts_local": local, **ids, "place": begin[:-1] + 1}
    return {**whole, "begin": begin.astype(np.int64), **levels}


@kernel
def changes_nb(prices, quantities, better, counts, out_price, out_qty):  # type: ignore[no-untyped-def]
    """Write the level changes that lead from each row of a side's best levels to the next; return how many in all.

    Rows hold levels best first (NaN: none); `better` is -1 for bids and +1 for asks. A level that left the row is removed.
    """
    done = 0
    depth = prices.shape[1]
    for i in range(prices.shape[0]):
        begin = done
        old, new = 0, 0
        while True:
            has_old = i > 0 and old < depth and prices[i - 1, old] == prices[i - 1, old]
            has_new = new < depth and prices[i, new] == prices[i, new]
            if not has_old and not has_new:
                break
            before = prices[i - 1, old] * better if has_old else np.inf
            after = prices[i, new] * better if has_new else np.inf
            if before < after:
                out_price[done], out_qty[done] = prices[i - 1, old], 0.0
                old += 1
                done += 1
            else:
                if before > after or quantities[i - 1, old] != quantities[i, new]:
                    out_price[done], out_qty[done] = prices[i, new], quantities[i, new]
                    done += 1
                old += before == after
                new += 1
        counts[i] = done - begin
    return done


def changes_of(
    exch: npt.NDArray[np.int64], local: npt.NDArray[np.int64], sides: Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
) -> Table:
    """Return repeated whole books as one snapshot and the changes from each to the next, as depth messages.

    sides: (prices, quantities) of bids and of asks, one row a book, best level first, NaN where there is none.
    """
    parts = []
    for better, (prices, quantities) in zip((-1.0, 1.0), sides, strict=True):
        counts = np.zeros(exch.size, np.int64)
        out = np.empty((2, 2 * prices.size))
        made = int(changes_nb(np.ascontiguousarray(prices), np.ascontiguousarray(quantities), better, counts, out[0], out[1]))
        side = np.full(made, -int(better), np.int8)
        parts.append((np.repeat(np.arange(exch.size), counts), side, out[0, :made], out[1, :made]))
    message = np.concatenate([part[0] for part in parts])
    order = np.argsort(message, kind="stable")
    side, price, qty = (np.concatenate([part[at] for part in parts])[order] for at in (1, 2, 3))
    begin = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(message, minlength=exch.size))])
    snapshot = np.zeros(exch.size, np.int8)
    snapshot[0] = 1
    return _messages(snapshot, exch, local, begin, side.astype(np.int8), price, qty)


def read_tardis_books(path: Path, levels: int) -> Table:
    """Return a Tardis book_snapshot_N file as one snapshot and the changes after it."""
    names = [f"{side}[{at}].{what}" for side in ("bids", "asks") for at in range(levels) for what in ("price", "amount")]
    columns = _tardis_wide(path, names)
    exch, local = _tardis_times(path, columns)
    sides = []
    for side in ("bids", "asks"):
        prices = np.stack([columns[f"{side}[{at}].price"] for at in range(levels)], axis=1)
        quantities = np.stack([columns[f"{side}[{at}].amount"] for at in range(levels)], axis=1)
        sides.append((prices, quantities))
    return changes_of(exch, local, sides)


def _tardis_wide(path: Path, names: list[str]) -> dict[str, npt.NDArray[Any]]:
    """Return columns where an absent level is an empty cell, read as NaN."""
    import pyarrow as pa
    from pyarrow import csv

    times = ("timestamp", "local_timestamp")
    types = {name: pa.int64() for name in times} | {name: pa.float64() for name in names}
    options = csv.ConvertOptions(column_types=types, include_columns=[*times, *names], null_values=[""])
    try:
        table: Any = csv.read_csv(io.BytesIO(read_bytes(path)), convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as trouble:
        raise DataError(f"{path}: {str(trouble).splitlines()[0][:160]}. Is the file damaged?") from None
    if not table.num_rows or any(table[name].null_count for name in times):
        raise DataError(f"{path}: no rows, or rows without times. Is the file cut off?")
    return {name: np.asarray(table[name].combine_chunks().to_numpy(zero_copy_only=False)) for name in (*times, *names)}


def read_tardis_quotes(path: Path) -> Table:
    """Return a Tardis quotes file as a book ticker."""
    names = ["bid_price", "bid_amount", "ask_price", "ask_amount"]
    columns = _tardis_wide(path, names)
    exch, local = _tardis_times(path, columns)
    named = dict(zip(("bid", "bid_qty", "ask", "ask_qty"), (columns[name] for name in names), strict=True))
    return {"ts_exch": exch, "ts_local": local, "id": _places(exch), **named, "place": _places(exch)}


def read_t_depth(paths: Sequence[Path]) -> Table:
    """Return the archive's T_DEPTH files (snapshot and updates of one day) as depth messages with their update ids."""
    parts = []
    for path in sorted(paths):
        whole = ("timestamp", "first_update_id", "last_update_id", "pu")
        columns = read_columns(path, T_DEPTH_NAMES, whole, (), ("price", "qty"), ("side", "update_type"))
        parts.append(columns | {"sign": _sides(path, columns["side"], "b", "a"), "exch": _stamps(columns["timestamp"], path, "timestamp")})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    snap = joined["update_type"] == "snap"
    order = np.lexsort((np.arange(snap.size), ~snap, joined["last_update_id"]))
    joined = {name: column[order] for name, column in joined.items()}
    snap = snap[order]
    last = joined["last_update_id"]
    at = np.flatnonzero(np.r_[True, (np.diff(last) != 0) | (snap[1:] != snap[:-1])])
    table = _messages(
        snap[at].astype(np.int8), joined["exch"][at], _unknown(at), np.append(at, last.size), joined["sign"], joined["price"], joined["qty"]
    )
    return table | {"first_id": joined["first_update_id"][at], "final_id": last[at], "prev_id": joined["pu"][at]}


def claim(path: Path) -> tuple[str, str, str] | None:
    """Return (symbol, day or "", source) of a tick file by its name; None for another kind of file."""
    if not path.name.lower().endswith(SUFFIXES):
        return None
    archive = ARCHIVE.match(path.name)
    if archive:
        return archive[1], archive[3], archive[2]
    tardis = TARDIS.match(path.name)
    if tardis:
        symbol = re.sub("[^A-Z0-9_]", "", tardis[4].upper())
        return (symbol, tardis[3] or "", tardis[2]) if SYMBOL.fullmatch(symbol) else None
    t_depth = T_DEPTH.match(path.name)
    return (t_depth[1].upper(), t_depth[2] or "", "T_DEPTH") if t_depth else None


def read_ticks(symbol: str, files: dict[str, list[Path]]) -> Stream:
    """Return the stream of one symbol and day from its tick files by source; what is not needed is said in its notes."""
    first = next(iter(files.values()))[0]
    stream = Stream(symbol, "spot" if "spot" in first.parts else "um", {}, str(first.parent), chained=False)
    book = "T_DEPTH" if "T_DEPTH" in files else next((name for name in BOOK_SOURCES if name in files), None)
    trades = next((name for name in TRADE_SOURCES if name in files), None)
    if book:
        stream.tables[DEPTHS] = _book_table(book, files[book])
        stream.chained = book == "T_DEPTH"
    if book in ("bookTicker", "quotes"):
        stream.notes.append(f"{symbol}: the book is its best bid and ask only ({book})")
    ticker = next((name for name in ("bookTicker", "quotes") if name in files), None)
    if ticker:
        stream.tables[TICKERS] = _joined([_READERS[_kind(ticker, path)](path) for path in files[ticker]])
    if trades:
        stream.tables[TRADES] = _trades(trades, files[trades], stream)
    if "bookDepth" in files:
        stream.tables[BOOK_DEPTHS] = _joined([read_book_depth(path) for path in files["bookDepth"]])
    stream.clocked = all(bool(np.any(table["ts_local"] >= 0)) for table in stream.tables.values())
    if not stream.clocked:
        stream.notes.append(f"{symbol}: files without local times: events count as known when they happened")
    unused = sorted(set(files) - {book, trades, ticker, "bookDepth"})
    if unused:
        stream.notes.append(f"{symbol}: {', '.join(unused)} files not used, {book or trades} is finer")
    return stream


def _kind(source: str, path: Path) -> str:
    return f"tardis {source}" if TARDIS.match(path.name) else source


def _trades(source: str, paths: Sequence[Path], stream: Stream) -> Table:
    """Return the trades of some files in order of their ids, each once."""
    tables, faults = [], Faults(paths[0])
    for path in paths:
        faults.path = str(path)
        tables.append(read_agg_trades(path, faults) if source == "aggTrades" else _READERS[_kind(source, path)](path))
    settled = settle_trades(_joined(tables), faults, stream.notes, stream.symbol)
    stream.faults += faults.listed
    return settled


_READERS = {
    "trades": read_trades,
    "bookTicker": read_tickers,
    "tardis trades": read_tardis_trades,
    "tardis quotes": read_tardis_quotes,
}


def _joined(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _book_table(source: str, paths: list[Path]) -> Table:
    if source == "T_DEPTH":
        return read_t_depth(paths)
    if len(paths) > 1:
        raise DataError(f"{paths[1]}: a second {source} file of the same symbol and day as {paths[0]}. Keep the right one.")
    path = paths[0]
    if source == "incremental_book_L2":
        return read_tardis_depth(path)
    if source.startswith("book_snapshot_"):
        return read_tardis_books(path, int(source.rsplit("_", 1)[1]))
    ticker = _READERS[_kind(source, path)](path)
    order = np.lexsort((ticker["id"], ticker["ts_exch"]))
    bids, asks = ((ticker[name][order][:, None], ticker[f"{name}_qty"][order][:, None]) for name in ("bid", "ask"))
    return changes_of(ticker["ts_exch"][order], ticker["ts_local"][order], (bids, asks))
