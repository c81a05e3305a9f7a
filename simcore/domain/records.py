"""Every record layout of simcore, once.

Fields are 8 bytes wide so that a layout has no padding and one numba type each. Read them by key, `row["qty_lots"]`:
the same line runs compiled and uncompiled. Units are in the names: `_ticks`, `_lots`, `_ns`, `_e8` (1e-8 quote units),
`_bps`, `_pct` (a fraction: 0.05 is 5 %), `_s`. Prices without a unit are floats in quote units.

The decision core's whole state is one CORE record and the simulated venue's one VENUE record, so that a checkpoint is a
copy, a fork is a copy, and a kernel takes one pointer. Capacities below bound a run; exceeding one is refused at set-up.
"""

from __future__ import annotations

import numpy as np

MAX_SYMBOLS = 256
MAX_STRATEGIES = 8
MAX_TIMEFRAMES = 4
MAX_BRACKETS = 16
MAX_ORDERS = 512
MAX_ROUTES = 512
MAX_QUEUE = 2048
MAX_QUOTES = 1024
MAX_OWN = 64
MAX_TAKEN = 64
MAX_PARAMS = 32
LEDGER_ROOM = 16384
TRADE_ROOM = 2048
ROUTE_ROOM = 2048
EQUITY_ROOM = 4096
N_VETOES = 32
MAX_SLEEVES = MAX_STRATEGIES * MAX_SYMBOLS

I8, F8, I4 = np.int64, np.float64, np.int32


def _layout(ints: str = "", floats: str = "", nested: tuple = ()) -> np.dtype:
    fields: list = [(name, I8) for name in ints.split()]
    fields += [(name, F8) for name in floats.split()]
    return np.dtype(fields + list(nested), align=True)


# One bar of the tape, prepared at import. Prices in ticks, volume in lots. `sigma_day` (fraction) and `volume_day` (base
# units) are what was known when the bar OPENED: the trailing 24 hours of earlier bars. NaN while unknown.
BAR = np.dtype(
    [
        ("open_ns", I8),
        ("open_ticks", I4),
        ("high_ticks", I4),
        ("low_ticks", I4),
        ("close_ticks", I4),
        ("volume_lots", I8),
        ("sigma_day", np.float32),
        ("volume_day", np.float32),
    ],
    align=True,
)

# One event of an order book stream, prepared at import: 32 bytes, one symbol's events in one array, ordered by exchange
# time, trades before depth, then sequence; local times never go back. `level` points into the symbol's ladder (LADDER):
# depth rows to their own level, trades to the level of the resting side. `kind` is an `EventKind` with the side folded in.
# `last` is 1 on the last row of a message: only then is the book whole.
EVENT = np.dtype(
    [
        ("ts_exch", I8),
        ("ts_local", I8),
        ("qty_lots", I8),
        ("level", I4),
        ("kind", np.uint8),
        ("last", np.uint8),
        ("spare", np.uint16),
    ],
    align=True,
)

# Where a symbol's book lives: `span` price levels from `base_ticks` up, `tick_step` ticks apart. Level l < span of the bid
# side is the price base_ticks + l * tick_step; the ask side follows, mirrored, so that better is greater on both: level
# 2 * span - 1 - l is the ask at the price of bid level l. `offset` is where the symbol's levels begin in the run's flat arrays.
LADDER = _layout("base_ticks tick_step span offset")

# One mark price bar: `ts_ns` is its CLOSE time, when it is known; `span_ns` its length.
MARK = _layout("ts_ns span_ns", "open high low close")

# One funding settlement: `ts_ns` floored to the settlement instant, `rate_e8` in 1e-8 (0.0001 is 10_000).
FUNDING = _layout("ts_ns rate_e8 interval_ns")

# Exchange filters in force from `ts_ns` on, in the run's own ticks and lots.
FILTER = _layout(
    "ts_ns price_filter_ticks lot_filter_lots min_qty_lots max_qty_lots max_market_qty_lots min_notional_e8",
    "price_band_up_pct price_band_down_pct",
)

INSTRUMENT = _layout(
    "unit_e8 price_filter_ticks lot_filter_lots min_qty_lots max_qty_lots max_market_qty_lots min_notional_e8 "
    "maker_fee_e8 taker_fee_e8 liquidation_fee_e8 tier quote_asset trading n_brackets interval_ns listed_from_ns listed_to_ns",
    "tick_size step_size price_band_up_pct price_band_down_pct half_spread_bps leverage mmr_bound",
    (
        ("bracket_floor", F8, (MAX_BRACKETS,)),
        ("bracket_mmr", F8, (MAX_BRACKETS,)),
        ("bracket_cum", F8, (MAX_BRACKETS,)),
        ("bracket_leverage", F8, (MAX_BRACKETS,)),
    ),
)

# What the core knows of one symbol at one timeframe, at local time. `fresh` is 1 during the decision at which the bar closed.
# On order books timeframe 0 is the book itself: `bars` counts its views, `touch_moved` says that price or quantity of the touch
# changed now, `n_trades`, `buy_qty` and `sell_qty` (by aggressor) are what traded since the last wake.
MARKET = _layout(
    "symbol ts_ns open_ns interval_ns bars fresh gap_bars bars_since_gap hour mark_ts_ns funding_ts_ns funding_interval_ns close_ticks "
    "bid_ticks ask_ticks book_ok n_trades touch_moved",
    "open high low close volume mark funding_rate sigma_day volume_day spread_bps bid ask bid_qty ask_qty bid_depth ask_depth "
    "buy_qty sell_qty last",
)

# What a strategy wishes for one symbol: a side, or a two-sided quote of `quote_levels` orders a side, the innermost at
# `bid` and `ask` (prices; NaN: none), `quote_step` apart, `bid_size` and `ask_size` shares (0..1) of the sizer's order. A wish
# persists until the strategy says otherwise.
SIGNAL = _layout(
    "side tag quote_levels",
    "strength stop_distance target_distance horizon_s urgency score bid ask quote_step bid_size ask_size",
)

# One side-by-side state of a book while it is replayed: best levels (-1, or span - 1 on the ask side: none), whether it may be
# used, and what traded since it was last looked at.
BOOK = _layout("best_bid best_ask ok last_level buy_lots sell_lots n_trades n_events ts_ns gaps")

# What the core learns of one symbol's book at one moment of local time: the whole input of a decision on books, so a journal
# of views re-runs without the events. `depth_` sums the first levels of a side; `buy_`, `sell_lots` traded since the last view,
# by aggressor. `book_ok` is 0 while the book is unusable (before its snapshot, after a gap).
VIEW = _layout(
    "ts_ns symbol ts_exch book_ok bid_ticks ask_ticks bid_lots ask_lots bid_depth_lots ask_depth_lots buy_lots sell_lots "
    "last_ticks n_trades n_events gaps",
)

# One order of a quoting strategy, or the place for one. `arrival` is the mid when it was sent, `cancel_ns` when it was last
# taken back (0: it rests).
QUOTE = _layout(
    "active strategy symbol side level order_id stage price_ticks qty_lots wished_lots leaves_lots sent_ns cancel_ns reduce_only",
    "arrival",
)

# One leg of the account: cost_e8 is what the open quantity cost, so entry = cost / quantity. qty_lots is signed in BOTH.
# The anchor is the quantity and cost of the last increase; engine/account.py writes it, nobody else needs it.
POSITION = _layout("qty_lots cost_e8 realised_e8 fees_e8 funding_e8 anchor_lots anchor_cost_e8", "mark upnl margin")

# One strategy's share of one symbol as the core believes it. `side` +1 long, -1 short, 0 flat; qty_lots >= 0. `quote_base` is the
# first of its rows in CORE.quote (-1: none), `bid_lots` and `ask_lots` what its quotes may still fill, `quote_depth` how many
# levels may have orders, `quote_state` a `QuoteState`, `quote_code` the last reasons a quote was refused (asks times 1000);
# `calls` is how often a strategy that follows the book was asked.
SLEEVE = _layout(
    "side qty_lots entry_lots entry_cost_e8 exit_lots exit_value_e8 decision_ns entry_ns exit_ns bars_held "
    "stop_ticks target_ticks horizon_ns "
    "gross_e8 fees_e8 funding_e8 maker_lots taker_lots n_fills wish wish_ns retry_ns pending_entry_lots "
    "entry_route exit_route hour regime ambiguous barred calls quote_base bid_lots ask_lots quote_depth quote_state quote_code",
    "entry_price arrival stop_distance target_distance risk_usd slippage_usd qty",
)

ACCOUNT = _layout(
    "wallet_e8 deposits_e8 realised_e8 fees_e8 funding_e8 nav_ts_ns position_mode open_positions pending_positions "
    "kill_switch kill_ts_ns day orders_in_minute minute known liquidated open_legs",
    "upnl nav gross net initial_margin maintenance_margin available peak_nav day_start_nav drawdown_pct day_loss_pct max_drawdown_pct "
    "reserve_nav",
)

# One candidate order with the context the gate needs. A count of -1 or a NaN exposure means "not known": that vetoes.
INTENT = _layout(
    "ts_ns symbol strategy tier side leg reduce_only crosses_zero qty_lots price_ticks step_lots min_qty_lots max_qty_lots "
    "min_notional_e8 unit_e8 market_ts_ns trading new_position open_positions tier_positions strategy_positions quote",
    "price mark notional symbol_gross tier_gross strategy_gross gross net reducible_lots leverage mmr stop_distance",
)

LIMITS = _layout(
    "nav_max_age_ns market_max_age_ns max_concurrent_positions max_tier_positions max_strategy_positions max_orders_per_minute",
    "max_order_notional max_trade_nav_pct max_symbol_nav_pct max_tier_nav_pct max_strategy_nav_pct max_gross_nav_pct "
    "max_net_nav_pct max_leverage min_free_margin_pct min_liquidation_distance_pct max_daily_loss_pct max_drawdown_pct "
    "price_collar_pct",
)

# Screener settings, resolved per strategy and symbol.
SCREEN = _layout(
    "market_max_age_ns warmup_bars funding_window_ns cool_down_ns after_gap_bars retry_ns in_universe",
    "max_spread_bps min_volume_day_usd max_sigma_day min_sigma_day min_score min_expectancy_bps max_adverse_funding_bps",
)

SIZING = _layout(
    "method",
    "fraction target_sigma_day risk_per_trade_pct kelly_fraction kelly_edge kelly_variance max_participation_pct min_stop_bps qty",
)

# Router policy and learned figures per symbol. score and expectancy_bps are NaN while nothing was learned.
POLICY = _layout(
    "maker_first offset_tier wait_ns max_requotes version",
    "offset_bps taker_bias price_cap_bps urgency_taker_above score expectancy_bps size_scale",
)

# One parent order being worked by the router; a finished one is its router_ctx.
ROUTE = _layout(
    "active strategy symbol side leg purpose stage outcome order_id started_ns placed_ns done_ns requested_lots "
    "maker_lots taker_lots maker_orders taker_orders rejects requotes fallback waits_ns value_e8 fees_e8 arrival_ts_ns "
    "limit_ticks cap_ticks stop_ticks target_ticks maker_allowed last_code",
    "arrival slippage_bps stop_distance target_distance notional",
)

# One order at the venue. Stops and targets are orders of their own, tied to the entry by `strategy` and `symbol`.
ORDER = _layout(
    "active id route strategy symbol side leg type tif purpose reduce_only qty_lots leaves_lots price_ticks "
    "sent_ns arrival_ns armed_ns stop_ticks target_ticks seen_bar cancel_ns young_lots level expire_ns quote seq",
    "front cum",
)

REQUEST = _layout(
    "kind ts_ns order_id route strategy symbol side leg type tif purpose reduce_only qty_lots price_ticks stop_ticks target_ticks "
    "quote expire_ns",
)

REPORT = _layout(
    "kind ts_ns order_id route strategy symbol side leg purpose maker qty_lots leaves_lots price_ticks fee_e8 amount_e8 code "
    "ambiguous quote",
    "reference",
)

# One row of the decision ledger. `ts_ns` is when the core knew, `exch_ns` when it happened at the exchange: earlier by the way
# back for fills and other reports, the same for what the core itself did.
LEDGER = _layout(
    "seq ts_ns exch_ns kind code symbol strategy order_id side qty_lots price_ticks",
    "value cap x0 x1 x2 x3",
)

TRADE = _layout(
    "strategy symbol side qty_lots decision_ns entry_ns exit_ns bars_held hour regime exit_purpose gross_e8 fees_e8 funding_e8 "
    "maker_lots taker_lots ambiguous",
    "entry_price exit_price arrival slippage_usd risk_usd r_multiple net_usd net_bps",
)

EQUITY = _layout("ts_ns wallet_e8 open_positions", "upnl nav gross net maintenance_margin")

# One record of the recorded input stream: a bar in `bar`, a mark in x..z and w, a funding rate in a and b, a report by
# its row number in the journal's report table.
INPUT = np.dtype(
    [
        ("kind", I8),
        ("ts_ns", I8),
        ("symbol", I8),
        ("index", I8),
        ("a", I8),
        ("b", I8),
        ("bar", BAR),
        ("x", F8),
        ("y", F8),
        ("z", F8),
        ("w", F8),
    ],
    align=True,
)

# `on` is when it is called: 0 at its bars, 1 once for all bars of a moment, 2 each `every_ns`, 3 when a touch moved, 4 after trades.
STRATEGY = _layout("on timeframe memory_base memory_stride param_base warmup_bars n_params active every_ns due_ns quotes")

# How quotes are kept, from settings.json: quoter.
QUOTER = _layout("levels min_requote_ticks cancel_retry_ns", "resize_pct")

TOTALS = _layout(
    "events bars slices gaps gap_bars decisions signals screen_vetoes gate_vetoes orders maker_fills taker_fills "
    "rejects cancels expiries liquidations stop_exits target_exits signal_exits ambiguous_exits exits quotes quote_fills quote_misses",
    "traded_usd maker_usd taker_usd slippage_usd spread_usd",
)

CORE = np.dtype(
    [
        ("now_ns", I8),
        ("n_symbols", I8),
        ("n_strategies", I8),
        ("n_timeframes", I8),
        ("next_order_id", I8),
        ("seq", I8),
        ("n_ledger", I8),
        ("n_trades", I8),
        ("n_routes_done", I8),
        ("n_equity", I8),
        ("n_requests", I8),
        ("active_routes", I8),
        ("route_high", I8),
        ("fresh", I8),
        ("gaps", I8),
        ("equity_every_ns", I8),
        ("equity_due_ns", I8),
        ("next_day_ns", I8),
        ("flatten_on_kill", I8),
        ("broken", I8),
        ("bar_frame", I8),
        ("mark_max_age_ns", I8),
        ("n_quotes", I8),
        ("sigma_high", F8),
        ("volume_low_usd", F8),
        ("account", ACCOUNT),
        ("totals", TOTALS),
        ("quoter", QUOTER),
        ("timeframe_ns", I8, (MAX_TIMEFRAMES,)),
        ("strategy", STRATEGY, (MAX_STRATEGIES,)),
        ("instrument", INSTRUMENT, (MAX_SYMBOLS,)),
        ("market", MARKET, (MAX_TIMEFRAMES * MAX_SYMBOLS,)),
        ("building", MARKET, (MAX_TIMEFRAMES * MAX_SYMBOLS,)),
        ("policy", POLICY, (MAX_SYMBOLS,)),
        ("position", POSITION, (MAX_SYMBOLS * 2,)),
        ("sleeve", SLEEVE, (MAX_SLEEVES,)),
        ("book", POSITION, (MAX_SLEEVES,)),
        ("signal", SIGNAL, (MAX_SLEEVES,)),
        ("limits", LIMITS, (MAX_SLEEVES,)),
        ("screen", SCREEN, (MAX_SLEEVES,)),
        ("sizing", SIZING, (MAX_STRATEGIES,)),
        ("route", ROUTE, (MAX_ROUTES,)),
        ("quote", QUOTE, (MAX_QUOTES,)),
        ("intent", INTENT),
        ("view", MARKET, (1,)),
        ("wish", SIGNAL, (1,)),
        ("checks", F8, (N_VETOES, 2)),
        ("request", REQUEST, (MAX_QUEUE,)),
        ("ledger", LEDGER, (LEDGER_ROOM,)),
        ("trade", TRADE, (TRADE_ROOM,)),
        ("route_done", ROUTE, (ROUTE_ROOM,)),
        ("equity", EQUITY, (EQUITY_ROOM,)),
    ],
    align=True,
)

VENUE = np.dtype(
    [
        ("now_ns", I8),
        ("n_symbols", I8),
        ("n_orders", I8),
        ("n_reports", I8),
        ("entry_latency_ns", I8),
        ("fill_rule", I8),
        ("liquidated", I8),
        ("stop_slippage_ticks", I8),
        ("broken", I8),
        ("look", I8),
        ("participation_cap", F8),
        ("impact_y", F8),
        ("fallback_sigma_day", F8),
        ("fallback_volume_day_usd", F8),
        ("mmr_bound", F8),
        ("account", ACCOUNT),
        ("instrument", INSTRUMENT, (MAX_SYMBOLS,)),
        ("position", POSITION, (MAX_SYMBOLS * 2,)),
        ("live_orders", I8, (MAX_SYMBOLS,)),
        ("marked", I8, (MAX_SYMBOLS,)),
        ("mark", F8, (MAX_SYMBOLS,)),
        ("low", F8, (MAX_SYMBOLS,)),
        ("high", F8, (MAX_SYMBOLS,)),
        ("safe_low", F8, (MAX_SYMBOLS,)),
        ("safe_high", F8, (MAX_SYMBOLS,)),
        ("sigma_day", F8, (MAX_SYMBOLS,)),
        ("volume_day", F8, (MAX_SYMBOLS,)),
        ("order", ORDER, (MAX_ORDERS,)),
        ("report", REPORT, (MAX_QUEUE,)),
    ],
    align=True,
)

# Where a replay stands in its tape: one cursor a symbol and stream, and what comes next.
RUN = np.dtype(
    [
        ("n_symbols", I8),
        ("phase", I8),
        ("error", I8),
        ("slices", I8),
        ("events", I8),
        ("next_bar_ns", I8),
        ("next_other_ns", I8),
        ("journal_on", I8),
        ("n_inputs", I8),
        ("n_reports", I8),
        ("reports_before", I8),
        ("external", I8),
        ("interval_ns", I8, (MAX_SYMBOLS,)),
        ("bar_pos", I8, (MAX_SYMBOLS,)),
        ("bar_end", I8, (MAX_SYMBOLS,)),
        ("bar_ns", I8, (MAX_SYMBOLS,)),
        ("mark_pos", I8, (MAX_SYMBOLS,)),
        ("mark_end", I8, (MAX_SYMBOLS,)),
        ("funding_pos", I8, (MAX_SYMBOLS,)),
        ("funding_end", I8, (MAX_SYMBOLS,)),
        ("filter_pos", I8, (MAX_SYMBOLS,)),
        ("filter_end", I8, (MAX_SYMBOLS,)),
    ],
    align=True,
)

# Where a book replay stands: its event cursors, what is on its way between us and the exchange, and which of our orders rest
# in which book. `own` lists a symbol's resting orders (rows of VENUE.order) in time priority; `own_top` is the best level of
# each side (below its first: none); `due_ns` the next moment a triggered stop or an expiry acts. How our view of a book is read off
# the exchange's own (`shared`, `seen_pos`, `sight` and what is `taken`): engine/sight.py.
STREAM = np.dtype(
    [
        ("n_symbols", I8),
        ("wake_every_ns", I8),
        ("next_wake_ns", I8),
        ("event_wakes", I8),
        ("shared", I8),
        ("bar_delay_ns", I8),
        ("view_levels", I8),
        ("queue_model", I8),
        ("full_fill", I8),
        ("full_through", I8),
        ("self_trade", I8),
        ("next_seq", I8),
        ("latency_model", I8),
        ("entry_ns", I8),
        ("response_ns", I8),
        ("last_arrival_ns", I8),
        ("last_known_ns", I8),
        ("n_requests", I8),
        ("n_reports", I8),
        ("n_views", I8),
        ("views_before", I8),
        ("burst_ns", I8),
        ("burst_orders", I8),
        ("minute_ns", I8),
        ("minute_orders", I8),
        ("max_burst_orders", I8),
        ("max_minute_orders", I8),
        ("queue_n", F8),
        ("feed_entry_factor", F8),
        ("feed_response_factor", F8),
        ("exch_pos", I8, (MAX_SYMBOLS,)),
        ("local_pos", I8, (MAX_SYMBOLS,)),
        ("seen_pos", I8, (MAX_SYMBOLS,)),
        ("book_pos", I8, (MAX_SYMBOLS,)),
        ("event_end", I8, (MAX_SYMBOLS,)),
        ("due_ns", I8, (MAX_SYMBOLS,)),
        ("sight_ns", I8, (MAX_SYMBOLS,)),
        ("sighted", I8, (MAX_SYMBOLS,)),
        ("differs", I8, (MAX_SYMBOLS,)),
        ("n_taken", I8, (MAX_SYMBOLS,)),
        ("taken_level", I8, (MAX_SYMBOLS, MAX_TAKEN)),
        ("taken_lots", I8, (MAX_SYMBOLS, MAX_TAKEN)),
        ("n_own", I8, (MAX_SYMBOLS,)),
        ("n_stops", I8, (MAX_SYMBOLS,)),
        ("own_top", I8, (MAX_SYMBOLS, 2)),
        ("own", I8, (MAX_SYMBOLS, MAX_OWN)),
        ("own_level", I8, (MAX_SYMBOLS, MAX_OWN)),
        ("sight", VIEW, (MAX_SYMBOLS,)),
        ("arrival_ns", I8, (MAX_QUEUE,)),
        ("known_ns", I8, (MAX_QUEUE,)),
        ("request", REQUEST, (MAX_QUEUE,)),
        ("report", REPORT, (MAX_QUEUE,)),
    ],
    align=True,
)
