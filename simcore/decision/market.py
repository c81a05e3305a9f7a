"""What the core knows of the market: bars become MARKET rows, per symbol and timeframe, as they close, and views of a book too.

A coarser timeframe is built from the bars of the run: a bucket counts as a bar when its last base bar has closed, and a
bucket whose beginning was not seen never becomes one. Nothing is filled in: missing bars are counted in `gap_bars`.

On order books timeframe 0 is the book: each view of it is written there, and bars enter at the timeframe `bar_frame`.
"""

from __future__ import annotations

from simcore.decision.outbox import log_short_nb
from simcore.domain.enums import CalledOn, LedgerKind
from simcore.domain.records import MAX_SYMBOLS
from simcore.jit import kernel, merged, part

NANOS_PER_HOUR = 3_600_000_000_000
HOURS_PER_DAY = 24
ON_TIMER, ON_BOOK, ON_TRADE = int(CalledOn.TIMER), int(CalledOn.BOOK), int(CalledOn.TRADE)


@merged
def on_bar_nb(core, symbol, bar):
    """Take one closed bar of `symbol` into the core's market view."""
    instrument = core["instrument"][symbol]
    base = core["bar_frame"]
    market = core["market"][base * MAX_SYMBOLS + symbol]
    tick = instrument["tick_size"]
    open_ns = bar["open_ns"]
    interval = instrument["interval_ns"]
    missing = 0
    if market["bars"] > 0 and open_ns > market["ts_ns"]:
        missing = (open_ns - market["ts_ns"]) // interval
        market["bars_since_gap"] = 0
        core["gaps"] += 1
    else:
        market["bars_since_gap"] += 1
    market["gap_bars"] = missing
    market["open_ns"] = open_ns
    market["ts_ns"] = open_ns + interval
    market["hour"] = utc_hour_nb(open_ns + interval)
    market["bars"] += 1
    market["fresh"] = 1
    market["close_ticks"] = bar["close_ticks"]
    market["open"] = bar["open_ticks"] * tick
    market["high"] = bar["high_ticks"] * tick
    market["low"] = bar["low_ticks"] * tick
    market["close"] = bar["close_ticks"] * tick
    market["volume"] = bar["volume_lots"] * instrument["step_size"]
    market["sigma_day"] = bar["sigma_day"]
    market["volume_day"] = bar["volume_day"]
    market["mark"] = market["close"]
    core["fresh"] = 1
    for frame in range(base + 1, core["n_timeframes"]):
        build_frame_nb(core, symbol, frame)
    if base > 0:
        copy_day_nb(core["market"][symbol], market)


@part
def copy_day_nb(market, bar):
    """Give a book the day's volatility and volume of its bars, where they know them."""
    if bar["sigma_day"] == bar["sigma_day"] and bar["volume_day"] == bar["volume_day"]:
        market["sigma_day"] = bar["sigma_day"]
        market["volume_day"] = bar["volume_day"]


@part
def on_view_nb(core, view):
    """Take one view of a symbol's book into timeframe 0: the mid is its close, the touch is real, what traded is since the last wake.

    A book that may not be used, or that lacks a side, leaves the last prices as they are and is not fresh: they grow old.
    """
    symbol = view["symbol"]
    instrument = core["instrument"][symbol]
    market = core["market"][symbol]
    bid_ticks, ask_ticks = view["bid_ticks"], view["ask_ticks"]
    gaps = view["gaps"] if market["book_ok"] == 1 else view["gaps"] + market["gap_bars"]
    market["gap_bars"] = gaps
    if gaps > 0:
        core["gaps"] += 1
        market["bars_since_gap"] = 0
    if view["book_ok"] == 0 or bid_ticks < 1 or ask_ticks <= bid_ticks:
        market["book_ok"] = 0
        market["fresh"] = 0
        return
    tick, step = instrument["tick_size"], instrument["step_size"]
    bid, ask = bid_ticks * tick, ask_ticks * tick
    bid_qty, ask_qty = view["bid_lots"] * step, view["ask_lots"] * step
    stood = market["book_ok"] == 1 and market["bid_ticks"] == bid_ticks and market["ask_ticks"] == ask_ticks
    market["touch_moved"] = 0 if stood and market["bid_qty"] == bid_qty and market["ask_qty"] == ask_qty else 1
    mid = 0.5 * (bid + ask)
    market["book_ok"] = 1
    market["open_ns"] = view["ts_ns"]
    market["ts_ns"] = view["ts_ns"]
    market["hour"] = utc_hour_nb(view["ts_ns"])
    market["bars"] += 1
    market["bars_since_gap"] += 1 if gaps == 0 else 0
    market["fresh"] = 1
    market["close_ticks"] = (bid_ticks + ask_ticks) // 2
    market["bid_ticks"] = bid_ticks
    market["ask_ticks"] = ask_ticks
    market["n_trades"] = view["n_trades"]
    market["open"] = mid
    market["high"] = mid
    market["low"] = mid
    market["close"] = mid
    market["bid"] = bid
    market["ask"] = ask
    market["bid_qty"] = bid_qty
    market["ask_qty"] = ask_qty
    market["bid_depth"] = view["bid_depth_lots"] * step
    market["ask_depth"] = view["ask_depth_lots"] * step
    market["buy_qty"] = view["buy_lots"] * step
    market["sell_qty"] = view["sell_lots"] * step
    market["volume"] = market["buy_qty"] + market["sell_qty"]
    if view["last_ticks"] > 0:
        market["last"] = view["last_ticks"] * tick
    market["spread_bps"] = (ask - bid) / mid * 1e4
    if market["mark_ts_ns"] == 0 or core["now_ns"] - market["mark_ts_ns"] > core["mark_max_age_ns"]:
        market["mark"] = mid
    core["fresh"] = 1


@part
def wake_books_nb(core):
    """Open a decision on books: every book that may be used is to be decided on, whether it changed since the last or not."""
    for symbol in range(core["n_symbols"]):
        market = core["market"][symbol]
        if market["book_ok"] == 1 and market["fresh"] == 0:
            market["fresh"] = 1
            market["gap_bars"] = 0
            market["touch_moved"] = 0
            market["n_trades"] = 0
            market["buy_qty"] = 0.0
            market["sell_qty"] = 0.0
            market["volume"] = 0.0
            core["fresh"] = 1


@part
def build_frame_nb(core, symbol, frame):
    """Add the symbol's newest base bar to its bucket of one coarser timeframe; publish the bucket when it is complete."""
    base = core["market"][core["bar_frame"] * MAX_SYMBOLS + symbol]
    index = frame * MAX_SYMBOLS + symbol
    bucket = core["building"][index]
    span = core["timeframe_ns"][frame]
    start = base["open_ns"] - base["open_ns"] % span
    if bucket["bars"] == 0 or bucket["open_ns"] != start:
        bucket["open_ns"] = start
        bucket["bars"] = 1
        bucket["gap_bars"] = (base["open_ns"] - start) // base["interval_ns"]
        bucket["open"] = base["open"]
        bucket["high"] = base["high"]
        bucket["low"] = base["low"]
        bucket["volume"] = base["volume"]
    else:
        bucket["bars"] += 1
        bucket["gap_bars"] += base["gap_bars"]
        if base["high"] > bucket["high"]:
            bucket["high"] = base["high"]
        if base["low"] < bucket["low"]:
            bucket["low"] = base["low"]
        bucket["volume"] += base["volume"]
    if base["ts_ns"] == start + span:
        seen = core["market"][index]["bars"]
        if seen > 0 or base["bars"] >= bucket["bars"]:
            publish_frame_nb(core, index, base, bucket, span)


@part
def publish_frame_nb(core, index, base, bucket, span):
    """Make a complete bucket the timeframe's newest bar. A first bucket that began before the data did is dropped."""
    market = core["market"][index]
    if market["bars"] == 0 and bucket["gap_bars"] > 0:
        return
    market["gap_bars"] = bucket["gap_bars"]
    market["bars_since_gap"] = base["bars_since_gap"]
    market["open_ns"] = bucket["open_ns"]
    market["ts_ns"] = bucket["open_ns"] + span
    market["bars"] += 1
    market["fresh"] = 1
    market["close_ticks"] = base["close_ticks"]
    market["open"] = bucket["open"]
    market["high"] = bucket["high"]
    market["low"] = bucket["low"]
    market["close"] = base["close"]
    market["volume"] = bucket["volume"]
    copy_context_nb(market, base)


@part
def copy_context_nb(market, base):
    """Give a coarser timeframe the hour and the day's figures of its base."""
    market["hour"] = base["hour"]
    market["sigma_day"] = base["sigma_day"]
    market["volume_day"] = base["volume_day"]
    market["mark"] = base["mark"]
    market["funding_rate"] = base["funding_rate"]
    market["funding_ts_ns"] = base["funding_ts_ns"]
    market["funding_interval_ns"] = base["funding_interval_ns"]


@part
def on_mark_nb(core, symbol, ts_ns, mark):
    """Take a mark price that became known at `ts_ns`."""
    for frame in range(core["n_timeframes"]):
        market = core["market"][frame * MAX_SYMBOLS + symbol]
        market["mark"] = mark
        market["mark_ts_ns"] = ts_ns


@part
def on_funding_rate_nb(core, symbol, ts_ns, rate_e8, interval_ns):
    """Take the rate of a settlement that just happened: the last rate known, until the next one."""
    for frame in range(core["n_timeframes"]):
        market = core["market"][frame * MAX_SYMBOLS + symbol]
        market["funding_rate"] = rate_e8 * 1e-8
        market["funding_ts_ns"] = ts_ns
        market["funding_interval_ns"] = interval_ns


@kernel
def on_filter_nb(instrument, row):
    """Put a new row of exchange filters into force on an INSTRUMENT record."""
    instrument["price_filter_ticks"] = row["price_filter_ticks"]
    instrument["lot_filter_lots"] = row["lot_filter_lots"]
    instrument["min_qty_lots"] = row["min_qty_lots"]
    instrument["max_qty_lots"] = row["max_qty_lots"]
    instrument["max_market_qty_lots"] = row["max_market_qty_lots"]
    instrument["min_notional_e8"] = row["min_notional_e8"]
    instrument["price_band_up_pct"] = row["price_band_up_pct"]
    instrument["price_band_down_pct"] = row["price_band_down_pct"]


@part
def on_new_filter_nb(core, symbol, row):
    """Take a new row of exchange filters into the core."""
    on_filter_nb(core["instrument"][symbol], row)
    log_short_nb(core, LedgerKind.FILTER.value, 0, symbol, -1, 0, row["lot_filter_lots"] * 1.0, row["min_notional_e8"] * 1e-8)


@part
def clear_fresh_nb(core):
    """Forget which bars closed now, once the decision over them is taken."""
    for frame in range(core["n_timeframes"]):
        for symbol in range(core["n_symbols"]):
            core["market"][frame * MAX_SYMBOLS + symbol]["fresh"] = 0
    core["fresh"] = 0


@part
def steps_seen_nb(core, strategy, symbol):
    """Return how many bars, or calls on the book, a strategy has seen of a symbol: what its warm-up is counted in."""
    entry = core["strategy"][strategy]
    if entry["on"] >= ON_TIMER:
        return core["sleeve"][strategy * MAX_SYMBOLS + symbol]["calls"]
    return core["market"][entry["timeframe"] * MAX_SYMBOLS + symbol]["bars"]


@merged
def utc_hour_nb(ts_ns):
    """Return the UTC hour of day, 0 to 23."""
    return (ts_ns // NANOS_PER_HOUR) % HOURS_PER_DAY
