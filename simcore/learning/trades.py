"""The learner's trades: one row a closed trade, with what it brought and what it cost, in basis points and in R.

Costs are positive: net = gross - fees - slippage - funding. Gross is at decision prices, so slippage is not in it. The hour is
that of the entry decision, UTC; the regime is the core's at the entry. `closed_before` is the only door to what a learner reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simcore.domain.enums import Regime
from simcore.domain.errors import DataError
from simcore.domain.records import TRADE

NANOS_PER_HOUR = 3_600_000_000_000
E8 = 1e8
BPS = 1e4
HOURS = 24
REGIMES = tuple(regime.name.lower() for regime in Regime)

# r is NaN where the trade had no stop. maker_share: of the lots filled, entry and exit.
TRADE_ROW = np.dtype(
    [(name, np.int64) for name in ("symbol", "strategy", "hour", "regime", "decision_ns", "exit_ns")]
    + [
        (name, np.float64)
        for name in ("net_usd", "net_bps", "r", "gross_bps", "fee_bps", "funding_bps", "slippage_bps", "maker_share", "stake_usd")
    ],
    align=True,
)


@dataclass(frozen=True)
class TradeTable:
    """Closed trades as TRADE_ROW rows; `symbol` and `strategy` are places in `symbols` and `strategies`."""

    rows: np.ndarray
    symbols: tuple[str, ...]
    strategies: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Any) -> TradeTable:
        """Return the chosen rows, by mask, slice or positions."""
        return replace(self, rows=self.rows[which])

    @property
    def hash(self) -> str:
        """The sha256 of the trades' content in canonical order: the same trades give the same hash in any order."""
        keys = ("stake_usd", "net_usd", "exit_ns", "strategy", "symbol", "decision_ns")
        rows = self.rows[np.lexsort([self.rows[name] for name in keys])]
        digest = hashlib.sha256("\n".join((*self.symbols, "", *self.strategies)).encode())
        for name in TRADE_ROW.names or ():
            digest.update(np.ascontiguousarray(rows[name]).tobytes())
        return digest.hexdigest()


def closed_before(trades: TradeTable, decision_ns: int, embargo_ns: int = 0, window_ns: int | None = None) -> TradeTable:
    """Return the trades a learner may read for a decision at `decision_ns` (ns UTC): closed before it, less the embargo.

    window_ns: how far back, None without end. A trade that closes at the very moment is not read.
    """
    last = decision_ns - embargo_ns
    exits = trades.rows["exit_ns"]
    mask = exits < last
    if window_ns is not None:
        mask &= exits >= last - window_ns
    return trades.take(mask)


def trade_table(trades: Any, symbols: Sequence[str] = (), step_sizes: Any = None, strategies: Sequence[str] = ()) -> TradeTable:
    """Return the learner's table of closed trades.

    trades: a Recording or a Run, its `trades` frame, a table of `run.save`, a TRADE array (then with the run's `symbols` and
    their `step_sizes`, one lot in base units), or a TradeTable. Raises DataError when it is none of these.
    """
    if isinstance(trades, TradeTable):
        return trades
    recording = getattr(trades, "recording", trades)
    if hasattr(recording, "feed") and hasattr(recording, "strategies"):
        feed = recording.feed
        return from_records(recording.trades, feed.symbols, feed.instruments["step_size"], recording.strategies)
    if isinstance(trades, np.ndarray) and trades.dtype == TRADE:
        return from_records(trades, symbols, step_sizes, strategies)
    if hasattr(trades, "columns") and hasattr(trades, "reset_index"):
        return from_frame(trades)
    raise DataError(
        f"trades: cannot be read from {type(trades).__name__}. Pass a run, run.trades, or a TRADE array with symbols and step_sizes."
    )


def from_records(rows: np.ndarray, symbols: Sequence[str], step_sizes: Any, strategies: Sequence[str] = ()) -> TradeTable:
    """Return the table of the core's TRADE rows; step_sizes: one lot of each symbol, in base units."""
    steps = np.asarray(step_sizes, float)
    if rows.size and (int(rows["symbol"].max()) >= min(len(symbols), steps.size)):
        raise DataError(f"trades: symbol {int(rows['symbol'].max())} has no name or no step size. Pass those of the run.")
    stake = rows["entry_price"] * rows["qty_lots"] * steps[rows["symbol"]] if rows.size else np.zeros(0)
    table = np.zeros(len(rows), TRADE_ROW)
    for name in ("symbol", "strategy", "decision_ns", "exit_ns", "regime"):
        table[name] = rows[name]
    table["hour"] = rows["decision_ns"] // NANOS_PER_HOUR % HOURS
    table["stake_usd"] = stake
    filled = rows["maker_lots"] + rows["taker_lots"]
    table["maker_share"] = rows["maker_lots"] / np.maximum(filled, 1)
    table["r"] = rows["r_multiple"]
    fill_money(table, rows["gross_e8"] / E8, rows["fees_e8"] / E8, rows["funding_e8"] / E8, rows["slippage_usd"])
    return TradeTable(table, tuple(symbols), tuple(strategies))


def fill_money(table: np.ndarray, gross: Any, fees: Any, funding: Any, slippage: Any) -> None:
    """Write what the trades brought, in quote units and in basis points of their stake; funding received is positive here."""
    net = gross - fees + funding
    per_stake = BPS / table["stake_usd"]
    table["net_usd"] = net
    table["net_bps"] = net * per_stake
    table["gross_bps"] = (gross + slippage) * per_stake
    table["fee_bps"] = fees * per_stake
    table["funding_bps"] = -funding * per_stake
    table["slippage_bps"] = slippage * per_stake


def from_frame(frame: Any) -> TradeTable:
    """Return the table of a `run.trades` frame. Raises DataError naming the columns that are missing."""
    if "exit_time" not in frame.columns:
        frame = frame.reset_index()
    wanted = (
        "exit_time", "decision_time", "symbol", "size", "entry_price", "gross", "commission", "funding", "slippage",
        "r_multiple", "regime", "maker_share",
    )  # fmt: skip
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(f"trades: no column {', '.join(missing)}. Pass the frame run.trades as it is.")
    column: Callable[[str], np.ndarray] = lambda name: frame[name].to_numpy()  # noqa: E731 - a word for the lines below
    table = np.zeros(len(frame), TRADE_ROW)
    symbols, table["symbol"] = coded(column("symbol"))
    strategies: tuple[str, ...] = ()
    if "strategy" in frame.columns:
        strategies, table["strategy"] = coded(column("strategy"))
    table["regime"] = [regime_code(name) for name in column("regime")]
    for field, name in (("decision_ns", "decision_time"), ("exit_ns", "exit_time")):
        table[field] = frame[name].to_numpy(dtype="datetime64[ns]").astype(np.int64)
    table["hour"] = table["decision_ns"] // NANOS_PER_HOUR % HOURS
    table["stake_usd"] = np.abs(column("size").astype(float)) * column("entry_price").astype(float)
    table["maker_share"] = column("maker_share").astype(float)
    table["r"] = column("r_multiple").astype(float)
    fill_money(table, *(column(name).astype(float) for name in ("gross", "commission", "funding", "slippage")))
    return TradeTable(table, symbols, strategies)


def coded(names: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the distinct names in order, and each row's place among them."""
    known, codes = np.unique(names.astype(str), return_inverse=True)
    return tuple(str(name) for name in known), codes


def regime_code(name: Any) -> int:
    """Return the number of a regime's name; a name that is not known is the default regime."""
    return REGIMES.index(str(name)) if str(name) in REGIMES else int(Regime.DEFAULT)
