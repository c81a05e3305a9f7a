"""A fake recording: a small plausible replay written by hand from the record layouts, so that the report needs no engine.

Prices are a seeded random walk; each symbol is traded at random by two strategies; books, ledger, trades, routes and
equity samples are derived from one list of fills, so everything balances to the integer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from replay_data.feed import Feed
from simcore.domain import enums, records
from simcore.domain.enums import Clamp, LedgerKind, OrderType, Purpose, RouteOutcome, Screen, TimeInForce, Veto
from simcore.replay import Recording
from simcore.replay.recording import Display

E8 = 100_000_000
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
START_NS = 1_735_689_600_000_000_000  # 2025-01-01 UTC
MAKER_E8, TAKER_E8 = 20_000, 50_000
STRATEGIES = ("sma_cross", "donchian")


def fake_bars(n: int, interval_ns: int, start_ticks: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` BAR rows of a random walk."""
    bars = np.zeros(n, records.BAR)
    walk = start_ticks * np.exp(np.cumsum(rng.normal(0.0, 0.004, n + 1)))
    close, opening = np.rint(walk[1:]), np.rint(walk[:-1])
    bars["open_ns"] = START_NS + np.arange(n) * interval_ns
    bars["open_ticks"], bars["close_ticks"] = opening, close
    bars["high_ticks"] = np.maximum(opening, close) * 1.001
    bars["low_ticks"] = np.minimum(opening, close) * 0.999
    bars["volume_lots"] = rng.integers(1_000, 100_000, n)
    return bars


def fake_feed(
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "XRPUSDT"),
    days: int = 20,
    interval_ns: int = HOUR_NS,
    seed: int = 7,
    synthetic: bool = True,
    label: str = "SYNTHETIC sample",
) -> Feed:
    """Return a feed of random walks, one hour a bar unless told otherwise."""
    rng = np.random.default_rng(seed)
    n = days * DAY_NS // interval_ns
    tapes = [fake_bars(n, interval_ns, int(rng.integers(20_000, 900_000)), rng) for _ in symbols]
    ends = np.arange(1, len(symbols) + 1) * n
    ranges = np.column_stack([ends - n, ends]).astype(np.int64)
    instruments = np.zeros(len(symbols), records.INSTRUMENT)
    instruments["tick_size"], instruments["step_size"], instruments["unit_e8"] = 0.1, 0.001, 10_000
    empty = np.zeros((len(symbols), 2), np.int64)
    return Feed(
        symbols=symbols,
        bars=np.concatenate(tapes),
        bar_range=ranges,
        interval_ns=np.full(len(symbols), interval_ns, np.int64),
        marks=np.zeros(0, records.MARK),
        mark_range=empty,
        funding=np.zeros(0, records.FUNDING),
        funding_range=empty,
        filters=np.zeros(0, records.FILTER),
        filter_range=empty,
        instruments=instruments,
        quote_assets=("USDT",),
        synthetic=synthetic,
        label=label,
        content_hash="f" * 64,
        coverage=tuple(fake_coverage(name, n, interval_ns) for name in symbols),
        caveats=("No mark prices: liquidation is judged on contract prices.",),
    )


def fake_coverage(symbol: str, n: int, interval_ns: int) -> dict[str, Any]:
    """Return one coverage row as a feed carries it."""
    first = np.datetime64(START_NS, "ns").astype("datetime64[s]")
    last = np.datetime64(START_NS + (n - 1) * interval_ns, "ns").astype("datetime64[s]")
    return {
        "symbol": symbol,
        "interval": f"{interval_ns // MINUTE_NS}m",
        "first": f"{first}Z",
        "last": f"{last}Z",
        "bars": n,
        "gaps": 1,
        "gap_bars": 3,
        "off_tick_prices": 0,
        "mark_bars": 0,
        "mark_interval": "",
        "fundings": 0,
        "notes": "",
    }


@dataclass
class _Books:
    """What the fake run has written so far."""

    feed: Feed
    rng: np.random.Generator
    ledger: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    routes: list[dict[str, Any]] = field(default_factory=list)
    wallet: list[tuple[int, int]] = field(default_factory=list)  # (ts_ns, change of the wallet in 1e-8)
    orders: int = 0

    def row(self, ts_ns: int, kind: LedgerKind, symbol: int, strategy: int, **more: float) -> None:
        self.ledger.append({"ts_ns": ts_ns, "kind": kind, "symbol": symbol, "strategy": strategy, **more})


def _row(**fields: Any) -> dict[str, Any]:
    return fields


def _decision(books: _Books, ts: int, symbol: int, strategy: int, side: int) -> bool:
    """Write signal, screen, size and gate rows; say whether the order may go."""
    rng = books.rng
    books.row(ts, LedgerKind.SIGNAL, symbol, strategy, side=side, value=1.0, x0=50.0, x2=0.2)
    draw = rng.random()
    if draw < 0.15:
        screen = Screen.MAX_SPREAD_BPS if draw < 0.1 else Screen.COOL_DOWN_S
        books.row(ts, LedgerKind.SCREEN_VETO, symbol, strategy, code=screen, value=7.5, cap=5.0)
        return False
    clamp = Clamp.TRADE_NAV if draw < 0.6 else Clamp.NONE
    books.row(ts, LedgerKind.SIZE, symbol, strategy, code=clamp, side=side, qty_lots=100, value=900.0, cap=500.0)
    if draw < 0.3:
        veto = Veto.MAX_CONCURRENT_POSITIONS if draw < 0.2 else Veto.MAX_TRADE_NAV_PCT
        books.row(ts, LedgerKind.GATE_VETO, symbol, strategy, code=veto, side=side, value=612.5, cap=500.0, x0=1)
        books.row(ts, LedgerKind.GATE_VETO, symbol, strategy, code=Veto.MAX_GROSS_NAV_PCT, side=side, value=2.0, cap=1.5)
        return False
    books.row(ts, LedgerKind.GATE_PASS, symbol, strategy, side=side, qty_lots=100, value=500.0)
    return True


def _order(books: _Books, ts: int, symbol: int, strategy: int, side: int, lots: int, purpose: Purpose, arrival: int,
           realised_per_tick: int = 0, ambiguous: int = 0) -> dict[str, int]:
    """Send, accept and fill one order in the next minute; return price, fee and realised of the fill."""
    books.orders += 1
    order, maker = books.orders, bool(books.rng.random() < 0.6) and purpose != Purpose.STOP
    kind = OrderType.LIMIT if maker else OrderType.MARKET
    tif = TimeInForce.GTX if maker else TimeInForce.IOC
    price = int(arrival - side * 2 if maker else arrival + side * 5)
    unit = int(books.feed.instruments["unit_e8"][symbol])
    fee = lots * price * unit * (MAKER_E8 if maker else TAKER_E8) // E8
    realised = lots * (price - realised_per_tick) * -side * unit if realised_per_tick else 0
    tick = float(books.feed.instruments["tick_size"][symbol])
    common: dict[str, Any] = {"order_id": order, "side": side, "qty_lots": lots, "price_ticks": price}
    books.row(ts, LedgerKind.REQUEST, symbol, strategy, code=kind, x0=tif, x1=purpose, **common)
    books.row(ts + 1, LedgerKind.ACCEPTED, symbol, strategy, **common)
    done = ts + MINUTE_NS
    books.row(done, LedgerKind.FILL, symbol, strategy, code=purpose, value=fee / E8, x0=int(maker), x1=arrival * tick,
              x2=realised / E8, x3=ambiguous, **common)
    books.routes.append(
        _row(strategy=strategy, symbol=symbol, side=side, purpose=purpose, stage=enums.RouteStage.DONE, order_id=order,
             outcome=RouteOutcome.MAKER if maker else RouteOutcome.TAKER, started_ns=ts, placed_ns=ts, done_ns=done,
             requested_lots=lots, maker_lots=lots * maker, taker_lots=lots * (not maker), maker_orders=1,
             taker_orders=int(not maker), fallback=int(not maker), waits_ns=MINUTE_NS, value_e8=lots * price * unit,
             fees_e8=fee, arrival_ts_ns=ts, maker_allowed=1, arrival=arrival * tick,
             slippage_bps=side * (price - arrival) / arrival * 1e4, notional=lots * price * unit / E8)
    )
    books.row(done, LedgerKind.ROUTE_DONE, symbol, strategy, code=books.routes[-1]["outcome"], order_id=order)
    books.wallet.append((done, realised - fee))
    return {"price": price, "fee": fee, "realised": realised, "maker": int(maker), "done": done}


def _round_trip(books: _Books, symbol: int, strategy: int, entry_bar: int, exit_bar: int) -> None:
    """Trade one symbol once, from the close of one bar to the close of another."""
    low = int(books.feed.bar_range[symbol, 0])
    interval = int(books.feed.interval_ns[symbol])
    bars = books.feed.bars[low + entry_bar], books.feed.bars[low + exit_bar]
    side = int(books.rng.choice((1, -1)))
    ts = [int(bar["open_ns"]) + interval for bar in bars]
    if not _decision(books, ts[0], symbol, strategy, side):
        return
    close = [int(bar["close_ticks"]) for bar in bars]
    lots = int(500.0 / (close[0] * 0.1 * 0.001)) + 1
    entry = _order(books, ts[0], symbol, strategy, side, lots, Purpose.ENTRY, close[0])
    purpose = Purpose(int(books.rng.choice((Purpose.EXIT, Purpose.STOP, Purpose.TARGET))))
    ambiguous = int(purpose == Purpose.STOP and books.rng.random() < 0.05)
    leave = _order(books, ts[1], symbol, strategy, -side, lots, purpose, close[1], entry["price"], ambiguous)
    funding = int(books.rng.integers(-50_000_00, 50_000_00))
    books.wallet.append((leave["done"], funding))
    books.row(leave["done"], LedgerKind.FUNDING, symbol, strategy, value=funding / E8, x0=0.0001)
    _close_trade(books, symbol, strategy, side, lots, close, ts, entry, leave, funding, purpose, ambiguous)


def _close_trade(
    books: _Books, symbol: int, strategy: int, side: int, lots: int, close: list[int], ts: list[int],
    entry: dict[str, int], leave: dict[str, int], funding: int, purpose: Purpose, ambiguous: int,
) -> None:  # fmt: skip
    """Write the TRADE record of one round trip."""
    fees = entry["fee"] + leave["fee"]
    net = (leave["realised"] - fees + funding) / E8
    unit = 0.1 * 0.001
    shortfall = side * (entry["price"] - close[0]) - side * (leave["price"] - close[1])
    risk = lots * 0.01 * entry["price"] * unit
    books.trades.append(
        _row(strategy=strategy, symbol=symbol, side=side, qty_lots=lots, decision_ns=ts[0], entry_ns=entry["done"],
             exit_ns=leave["done"], bars_held=3, hour=ts[0] // HOUR_NS % 24, exit_purpose=purpose,
             gross_e8=leave["realised"], fees_e8=fees, funding_e8=funding,
             maker_lots=lots * (entry["maker"] + leave["maker"]), taker_lots=lots * (2 - entry["maker"] - leave["maker"]),
             ambiguous=ambiguous, entry_price=entry["price"] * 0.1, exit_price=leave["price"] * 0.1, arrival=close[0] * 0.1,
             slippage_usd=shortfall * lots * unit, risk_usd=risk, r_multiple=net / risk, net_usd=net,
             net_bps=net / (lots * entry["price"] * unit) * 1e4)
    )
    books.row(leave["done"], LedgerKind.TRADE, symbol, strategy, value=net, x0=net / risk)


def rows_of(rows: list[dict[str, Any]], dtype: np.dtype) -> np.ndarray:
    """Return a structured array of the given dicts; a field that is not named is zero."""
    table = np.zeros(len(rows), dtype)
    for name in {name for row in rows for name in row}:
        table[name] = [row.get(name, 0) for row in rows]
    return table


def _equity(books: _Books, end_ns: int, cash: float, every_ns: int) -> np.ndarray:
    """Return samples of the equity curve; open PnL is left out, as if trades were marked at their exit only."""
    ts = np.arange(START_NS, end_ns + 1, every_ns)
    changes = np.array(sorted(books.wallet), dtype=np.int64).reshape(-1, 2)
    total = np.concatenate([[0], np.cumsum(changes[:, 1])]) + int(cash * E8)
    equity = np.zeros(len(ts), records.EQUITY)
    equity["ts_ns"] = ts
    equity["wallet_e8"] = total[np.searchsorted(changes[:, 0], ts, side="right")]
    equity["nav"] = equity["wallet_e8"] / E8
    for trade in books.trades:
        inside = (ts >= trade["entry_ns"]) & (ts < trade["exit_ns"])
        notional = trade["qty_lots"] * trade["entry_price"] * 0.001
        equity["open_positions"][inside] += 1
        equity["gross"][inside] += notional
        equity["net"][inside] += notional * trade["side"]
    return equity


def _totals(books: _Books, ledger: np.ndarray, routes: np.ndarray, trades: np.ndarray) -> np.void:
    """Return the run's counters, as the rows say."""
    totals = np.zeros(1, records.TOTALS)
    row = totals[0]
    kinds = np.bincount(ledger["kind"], minlength=32)
    fills = ledger[ledger["kind"] == LedgerKind.FILL]
    notional = fills["qty_lots"] * fills["price_ticks"] * 1e-4
    maker = fills["x0"] > 0
    row["events"], row["bars"], row["gaps"] = len(books.feed.bars) + len(ledger), len(books.feed.bars), 1
    row["signals"], row["orders"] = kinds[LedgerKind.SIGNAL], kinds[LedgerKind.REQUEST]
    row["screen_vetoes"] = kinds[LedgerKind.SCREEN_VETO]
    row["gate_vetoes"] = ((ledger["kind"] == LedgerKind.GATE_VETO) & (ledger["x0"] == 1)).sum()
    row["maker_fills"], row["taker_fills"] = maker.sum(), (~maker).sum()
    row["traded_usd"], row["maker_usd"], row["taker_usd"] = notional.sum(), notional[maker].sum(), notional[~maker].sum()
    row["slippage_usd"] = trades["slippage_usd"].sum()
    row["exits"], row["ambiguous_exits"] = len(trades), trades["ambiguous"].sum()
    return row


def fake_recording(
    feed: Feed | None = None, *, trades_a_symbol: int = 40, seed: int = 7, cash: float = 10_000.0, every_ns: int = HOUR_NS
) -> Recording:
    """Return a finished run over `feed` (a small synthetic one by default) whose books balance."""
    feed = feed or fake_feed()
    books = _Books(feed, np.random.default_rng(seed))
    for symbol, (low, high) in enumerate(feed.bar_range):
        n = min(2 * trades_a_symbol, max(int(high - low) - 1, 0) // 2 * 2)
        cuts = np.sort(books.rng.choice(max(int(high - low) - 1, 0), n, replace=False))
        for entry_bar, exit_bar in zip(cuts[::2], cuts[1::2], strict=True):
            _round_trip(books, symbol, int(books.rng.integers(len(STRATEGIES))), int(entry_bar), int(exit_bar))
    ledger = rows_of(sorted(books.ledger, key=lambda row: row["ts_ns"]), records.LEDGER)
    ledger["seq"], ledger["exch_ns"] = np.arange(len(ledger)), ledger["ts_ns"]
    trades = rows_of(sorted(books.trades, key=lambda row: row["exit_ns"]), records.TRADE)
    routes = rows_of(sorted(books.routes, key=lambda row: row["done_ns"]), records.ROUTE)
    end_ns = START_NS + int(feed.interval_ns[0]) * int(feed.bar_range[0, 1])
    account = _account(ledger, trades, cash)
    return Recording(
        feed=feed,
        config_hash="c" * 64,
        strategies=STRATEGIES,
        params={"sma_cross": {"fast": 10.0, "slow": 30.0}, "donchian": {"length": 55.0}},
        seed=seed,
        cash=cash,
        start_ns=START_NS,
        end_ns=end_ns,
        interval="1h",
        ledger=ledger,
        trades=trades,
        routes=routes,
        equity=_equity(books, end_ns, cash, every_ns),
        totals=_totals(books, ledger, routes, trades),
        account=account,
        venue_account=account.copy(),
        digest="d" * 64,
        speed={"load_s": 0.01, "compile_s": 0.0, "replay_s": 0.02, "events_per_s": 1_000_000.0},
        caveats=("Fills on bars: no order book.",),
        display=Display("simcore", "auto", 2_500, 300, 0.05),
    )


def _account(ledger: np.ndarray, trades: np.ndarray, cash: float) -> np.void:
    """Return the account that the trades lead to."""
    account = np.zeros(1, records.ACCOUNT)
    row = account[0]
    row["deposits_e8"] = int(cash * E8)
    row["realised_e8"], row["fees_e8"] = trades["gross_e8"].sum(), trades["fees_e8"].sum()
    row["funding_e8"] = trades["funding_e8"].sum()
    row["wallet_e8"] = row["deposits_e8"] + row["realised_e8"] - row["fees_e8"] + row["funding_e8"]
    row["nav"] = row["wallet_e8"] / E8
    return row


def without_trades(recording: Recording) -> Recording:
    """Return the same run as if nothing had been done in it."""
    equity = recording.equity.copy()
    equity["wallet_e8"], equity["nav"] = int(recording.cash * E8), recording.cash
    equity["gross"] = equity["net"] = equity["open_positions"] = 0
    account = np.zeros(1, records.ACCOUNT)[0]
    account["wallet_e8"] = account["deposits_e8"] = int(recording.cash * E8)
    return replace(
        recording,
        ledger=recording.ledger[:0],
        trades=recording.trades[:0],
        routes=recording.routes[:0],
        equity=equity,
        totals=np.zeros(1, records.TOTALS)[0],
        account=account,
        venue_account=account.copy(),
    )
