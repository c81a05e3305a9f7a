"""The frames of a replay: its records as tables with names, UTC times and decimal units, for pandas and for Parquet.

Each `*_columns` function returns plain columns; `to_arrow` and `to_pandas` dress them. Prices are in quote units,
quantities in base units, money in quote units; a side is "long"/"short" for trades and "buy"/"sell" for orders.
Writing Parquet does not import pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore import series
from simcore.domain.enums import (
    LedgerKind,
    OrderType,
    Purpose,
    Regime,
    RejectCode,
    RouteOutcome,
    Screen,
    TimeInForce,
    Veto,
)
from simcore.report import tables
from simcore.report.tables import E8, SECOND_NS
from simcore.series import NAN

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from simcore.replay import Recording


class Names(NamedTuple):
    """A text column: for each row the position of its label. Position -1 is no label."""

    codes: np.ndarray
    labels: tuple[str, ...]

    def texts(self) -> np.ndarray:
        """Return the labels as an object array; no label is None."""
        texts: np.ndarray = np.array([*self.labels, None], dtype=object)[self.codes]
        return texts


Columns = dict[str, "np.ndarray | Names"]
NO_TIME = np.datetime64("NaT", "ns")
NO_CODE = np.iinfo(np.int64).max  # no member of any enum: a row without one


def enum_names(codes: np.ndarray, kind: type[IntEnum]) -> Names:
    """Return the members' names in small letters; an unknown number has no name."""
    known = np.array(sorted(kind), dtype=np.int64)
    rows = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return Names(np.where(known[rows] == codes, rows, -1), tuple(kind(int(code)).name.lower() for code in known))


def sides(signs: np.ndarray, up: str, down: str) -> Names:
    """Return `up` for +1, `down` for −1, nothing for 0."""
    return Names(np.where(signs > 0, 0, np.where(signs < 0, 1, -1)), (up, down))


def moments(ts_ns: np.ndarray) -> np.ndarray:
    """Return nanoseconds UTC as datetime64; 0 is no time."""
    times: np.ndarray = np.where(ts_ns > 0, ts_ns.astype("datetime64[ns]"), NO_TIME)
    return times


def quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, NaN where below is not positive."""
    return np.divide(above, below, out=np.full(len(above), NAN), where=below > 0)


def whom(recording: Recording, rows: np.ndarray) -> Columns:
    """Return the symbol and strategy columns; a row of the whole account has neither."""
    symbols, strategies = recording.feed.symbols, recording.strategies
    return {
        "symbol": Names(within(rows["symbol"], len(symbols)), symbols),
        "strategy": Names(within(rows["strategy"], len(strategies)), strategies),
    }


def within(index: np.ndarray, n: int) -> np.ndarray:
    """Return the index, −1 where it points outside."""
    return np.where((index >= 0) & (index < n), index, -1)


def scale(recording: Recording, rows: np.ndarray, name: str) -> np.ndarray:
    """Return the instrument figure `name` of each row's symbol; 0 where the row has no symbol."""
    figures = np.append(recording.feed.instruments[name], 0.0)
    per_row: np.ndarray = figures[within(rows["symbol"], len(figures) - 1)]
    return per_row


def decimals(values: np.ndarray) -> np.ndarray:
    """Return counts times a tick or step as the decimals they stand for: 9133 lots of 0.1 are 913.3, not 913.3000000000001."""
    rounded: np.ndarray = np.round(values, 12)
    return rounded


def trades_columns(recording: Recording) -> Columns:
    """Return one row a closed trade, in order of exit; net = gross − fees + funding."""
    rows = recording.trades
    step = recording.feed.instruments["step_size"]
    filled = rows["maker_lots"] + rows["taker_lots"]
    net, stake = tables.net_of(rows), tables.stake_of(rows, step)
    return {
        "exit_time": moments(rows["exit_ns"]),
        **whom(recording, rows),
        "side": sides(rows["side"], "long", "short"),
        "size": decimals(rows["qty_lots"] * step[rows["symbol"]] * rows["side"]),
        "entry_time": moments(rows["entry_ns"]),
        "decision_time": moments(rows["decision_ns"]),
        "duration": (rows["exit_ns"] - rows["entry_ns"]).astype("timedelta64[ns]"),
        "bars_held": rows["bars_held"],
        "entry_price": rows["entry_price"],
        "exit_price": rows["exit_price"],
        "arrival_price": rows["arrival"],
        "pnl": net,
        "return_pct": quotient(net * 100.0, stake),
        "gross": rows["gross_e8"] / E8,
        "commission": rows["fees_e8"] / E8,
        "funding": rows["funding_e8"] / E8,
        "slippage": rows["slippage_usd"],
        "risk": rows["risk_usd"],
        "r_multiple": tables.r_multiples(rows),
        "net_bps": quotient(net * 10_000.0, stake),
        "exit_reason": enum_names(rows["exit_purpose"], Purpose),
        "maker_share": quotient(rows["maker_lots"], filled),
        "hour": rows["hour"],
        "regime": enum_names(rows["regime"], Regime),
        "ambiguous": rows["ambiguous"] > 0,
    }


def of_kind(recording: Recording, *kinds: LedgerKind) -> np.ndarray:
    """Return the ledger's rows of these kinds, in order."""
    rows: np.ndarray = recording.ledger[np.isin(recording.ledger["kind"], kinds)]
    return rows


def fills_columns(recording: Recording) -> Columns:
    """Return one row a fill; slippage is against the price the fill is compared with, a cost is positive."""
    rows = of_kind(recording, LedgerKind.FILL)
    price = decimals(rows["price_ticks"] * scale(recording, rows, "tick_size"))
    size = decimals(rows["qty_lots"] * scale(recording, rows, "step_size"))
    return {
        "time": moments(rows["ts_ns"]),
        **whom(recording, rows),
        "order_id": rows["order_id"],
        "side": sides(rows["side"], "buy", "sell"),
        "purpose": enum_names(rows["code"], Purpose),
        "size": size,
        "price": price,
        "notional": size * price,
        "maker": rows["x0"] > 0,
        "commission": rows["value"],
        "realised": rows["x2"],
        "reference_price": rows["x1"],
        "slippage_bps": quotient((price - rows["x1"]) * rows["side"] * 10_000.0, rows["x1"]),
        "ambiguous": rows["x3"] > 0,
    }


def orders_columns(recording: Recording) -> Columns:
    """Return one row an order, with what became of it: those asked of the venue, and attached stops and targets that filled."""
    ends = of_kind(recording, LedgerKind.REJECTED, LedgerKind.CANCELED, LedgerKind.EXPIRED)
    fills = of_kind(recording, LedgerKind.FILL)
    rows = with_attached(of_kind(recording, LedgerKind.REQUEST), fills)
    ids = rows["order_id"]
    lots = gather_sum(ids, fills["order_id"], fills["qty_lots"])
    worth = gather_sum(ids, fills["order_id"], fills["qty_lots"] * fills["price_ticks"].astype(np.float64))
    end_ns, end_kind, end_code = (gather_last(ids, ends["order_id"], ends[name]) for name in ("ts_ns", "kind", "code"))
    last_fill = gather_last(ids, fills["order_id"], fills["ts_ns"])
    accepted = of_kind(recording, LedgerKind.ACCEPTED)
    tick, step = scale(recording, rows, "tick_size"), scale(recording, rows, "step_size")
    return {
        "time": moments(rows["ts_ns"]),
        **whom(recording, rows),
        "order_id": ids,
        "side": sides(rows["side"], "buy", "sell"),
        "type": enum_names(rows["code"], OrderType),
        "time_in_force": enum_names(rows["x0"].astype(np.int64), TimeInForce),
        "purpose": enum_names(rows["x1"].astype(np.int64), Purpose),
        "size": decimals(rows["qty_lots"] * step),
        "price": np.where(rows["price_ticks"] > 0, decimals(rows["price_ticks"] * tick), NAN),
        "filled": decimals(lots * step),
        "average_price": quotient(worth, lots) * tick,
        "commission": gather_sum(ids, fills["order_id"], fills["value"]),
        "accepted_time": moments(gather_last(ids, accepted["order_id"], accepted["ts_ns"])),
        "end_time": moments(np.maximum(end_ns, np.where(lots >= rows["qty_lots"], last_fill, 0))),
        "status": order_status(lots, rows["qty_lots"], end_kind),
        "reject_reason": enum_names(np.where(end_kind == LedgerKind.REJECTED, end_code, NO_CODE), RejectCode),
    }


def with_attached(requests: np.ndarray, fills: np.ndarray) -> np.ndarray:
    """Return the requests, and one like row for each order that filled without one: stops, targets and liquidations."""
    _, first, lots = np.unique(fills["order_id"], return_index=True, return_inverse=True)
    attached = fills[first]
    attached["qty_lots"] = np.bincount(lots, fills["qty_lots"], len(first)).astype(np.int64)
    attached["price_ticks"] = 0
    attached["x0"], attached["x1"] = -1.0, attached["code"]
    attached["code"] = np.select(
        [attached["code"] == Purpose.STOP, attached["code"] == Purpose.TARGET],
        [OrderType.STOP_MARKET.value, OrderType.TAKE_PROFIT.value],
        OrderType.MARKET.value,
    )
    both = np.concatenate([requests, attached[~np.isin(attached["order_id"], requests["order_id"])]])
    ordered: np.ndarray = both[np.argsort(both["ts_ns"], kind="stable")]
    return ordered


def order_status(filled: np.ndarray, wanted: np.ndarray, end_kind: np.ndarray) -> Names:
    """Return the last word on each order."""
    status = np.select(
        [
            (filled >= wanted) & (wanted > 0),
            end_kind == LedgerKind.REJECTED,
            end_kind == LedgerKind.CANCELED,
            end_kind == LedgerKind.EXPIRED,
            filled > 0,
        ],
        [0, 1, 2, 3, 4],
        default=5,
    )
    return Names(status, ("filled", "rejected", "canceled", "expired", "partial", "open"))


def positions_of(ids: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (order, row, found): for each wanted id, its position among the sorted ids."""
    order = np.argsort(ids, kind="stable")
    if not len(ids):
        return order, np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    row = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    return order, row, ids[order][row] == wanted


def gather_sum(ids: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each id the sum of the values that carry it as key."""
    order, row, found = positions_of(ids, keys)
    total = np.zeros(len(ids), dtype=values.dtype)
    np.add.at(total, order[row[found]] if len(ids) else row[found], values[found])
    return total


def gather_last(ids: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each id the last value that carries it as key, 0 where none does."""
    order, row, found = positions_of(ids, keys)
    last = np.zeros(len(ids), dtype=values.dtype)
    last[order[row[found]] if len(ids) else row[found]] = values[found]
    return last


def vetoes_columns(recording: Recording) -> Columns:
    """Return one row a refusal: stage, reason (the config key that was broken), the value and the cap it was compared with.

    The gate lists every failing limit of an order; `first` marks the one that counts as the reason.
    """
    rows = of_kind(recording, LedgerKind.SCREEN_VETO, LedgerKind.GATE_VETO, LedgerKind.KILL_SWITCH)
    screened = rows["kind"] == LedgerKind.SCREEN_VETO
    screen, gate = enum_names(rows["code"], Screen), enum_names(rows["code"], Veto)
    labels = tuple(dict.fromkeys(screen.labels + gate.labels))
    place = np.array([*(labels.index(label) for label in gate.labels), -1])
    kinds = (LedgerKind.SCREEN_VETO, LedgerKind.GATE_VETO, LedgerKind.KILL_SWITCH)
    return {
        "time": moments(rows["ts_ns"]),
        **whom(recording, rows),
        "stage": Names(np.searchsorted(kinds, rows["kind"]), ("screener", "gate", "kill_switch")),
        "reason": Names(np.where(screened, screen.codes, place[gate.codes]), labels),
        "side": sides(rows["side"], "long", "short"),
        "value": rows["value"],
        "cap": rows["cap"],
        "first": screened | (rows["kind"] == LedgerKind.KILL_SWITCH) | (rows["x0"] == 1),
    }


def equity_columns(recording: Recording) -> Columns:
    """Return the samples of the account: wallet, open PnL, equity, exposure, drawdown from the running peak."""
    rows = recording.equity
    return {
        "time": moments(rows["ts_ns"]),
        "wallet": rows["wallet_e8"] / E8,
        "unrealised": rows["upnl"],
        "equity": rows["nav"],
        "gross_exposure": rows["gross"],
        "net_exposure": rows["net"],
        "maintenance_margin": rows["maintenance_margin"],
        "open_positions": rows["open_positions"],
        "drawdown_pct": series.drawdowns(rows["nav"]) * 100.0,
    }


def routes_columns(recording: Recording) -> Columns:
    """Return the router's context of each finished parent order; slippage is against arrival, a cost is positive."""
    rows = recording.routes
    step = scale(recording, rows, "step_size")
    lots = rows["maker_lots"] + rows["taker_lots"]
    return {
        "time": moments(rows["started_ns"]),
        "end_time": moments(rows["done_ns"]),
        **whom(recording, rows),
        "side": sides(rows["side"], "buy", "sell"),
        "purpose": enum_names(rows["purpose"], Purpose),
        "outcome": enum_names(rows["outcome"], RouteOutcome),
        "requested": decimals(rows["requested_lots"] * step),
        "maker": decimals(rows["maker_lots"] * step),
        "taker": decimals(rows["taker_lots"] * step),
        "maker_orders": rows["maker_orders"],
        "taker_orders": rows["taker_orders"],
        "requotes": rows["requotes"],
        "rejects": rows["rejects"],
        "fallback": rows["fallback"] > 0,
        "waits_s": rows["waits_ns"] / SECOND_NS,
        "arrival_price": rows["arrival"],
        "average_price": quotient(rows["value_e8"] / E8, lots * step),
        "slippage_bps": np.where(lots > 0, rows["slippage_bps"], NAN),
        "commission": rows["fees_e8"] / E8,
        "last_reject": enum_names(np.where(rows["last_code"] == 0, NO_CODE, rows["last_code"]), RejectCode),
    }


def ledger_columns(recording: Recording) -> Columns:
    """Return the decision ledger as it is, with times and names beside the numbers; `code` is explained by `kind`."""
    rows = recording.ledger
    return {
        "time": moments(rows["ts_ns"]),
        "kind": enum_names(rows["kind"], LedgerKind),
        **whom(recording, rows),
        **{name: rows[name] for name in ("seq", "code", "order_id", "side", "qty_lots", "price_ticks")},
        **{name: rows[name] for name in ("value", "cap", "x0", "x1", "x2", "x3")},
    }


FRAMES: Mapping[str, Callable[[Recording], Columns]] = {
    "ledger": ledger_columns,
    "orders": orders_columns,
    "fills": fills_columns,
    "trades": trades_columns,
    "vetoes": vetoes_columns,
    "equity": equity_columns,
    "routes": routes_columns,
}


def to_arrow(columns: Columns, metadata: Mapping[str, str] | None = None) -> pa.Table:
    """Return the columns as an Arrow table: times with zone UTC, names as dictionaries, no time and no name as null."""
    import pyarrow as pa

    table = pa.Table.from_arrays([arrow_array(column) for column in columns.values()], list(columns))
    return table.replace_schema_metadata(dict(metadata)) if metadata else table


def arrow_array(column: np.ndarray | Names) -> pa.Array:
    """Return one Arrow array over the column's own memory: `pa.array` would import pandas."""
    import pyarrow as pa

    if isinstance(column, Names):
        codes = plain_array(pa.int32(), column.codes.astype(np.int32, copy=False), column.codes >= 0)
        return pa.DictionaryArray.from_arrays(codes, text_array(column.labels))
    kind = column.dtype.kind
    if kind == "M":
        return plain_array(pa.timestamp("ns", "UTC"), column, ~np.isnat(column))
    if kind == "m":
        return plain_array(pa.duration("ns"), column)
    if kind == "b":
        return plain_array(pa.bool_(), np.packbits(column, bitorder="little"), length=len(column))
    if kind == "f":
        return plain_array(pa.float64(), column.astype(np.float64, copy=False))
    return plain_array(pa.int64(), column.astype(np.int64, copy=False))


def plain_array(kind: pa.DataType, values: np.ndarray, valid: np.ndarray | None = None, length: int | None = None) -> pa.Array:
    """Return an Arrow array of fixed-width values; rows that are not `valid` are null."""
    import pyarrow as pa

    bits = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values) if length is None else length, [bits, data])


def text_array(labels: tuple[str, ...]) -> pa.Array:
    """Return an Arrow array of a few texts."""
    import pyarrow as pa

    raw = [label.encode() for label in labels]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(raw), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))])


def to_pandas(columns: Columns) -> pd.DataFrame:
    """Return the columns as a frame; the first column, where it is a time, is the index (UTC)."""
    import pandas as pd

    plain: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, Names):
            plain[name] = column.texts()
        elif column.dtype.kind == "M":
            plain[name] = pd.DatetimeIndex(column).tz_localize("UTC")
        else:
            plain[name] = np.ascontiguousarray(column)
    first = next(iter(columns))
    index = plain.pop(first)
    return pd.DataFrame(plain, index=pd.DatetimeIndex(index, name=first))
