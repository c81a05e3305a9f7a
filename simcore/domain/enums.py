"""Every coded meaning, once. Ledgers and journals store these numbers: add at the end, never renumber."""

from __future__ import annotations

from enum import IntEnum

BUY = 1
SELL = -1
LONG = 1
SHORT = -1
FLAT = 0


class Leg(IntEnum):
    """Position leg of a symbol. One-way mode uses BOTH; hedge mode uses LONG and SHORT, which never net."""

    LONG = 0
    SHORT = 1
    BOTH = 2


class PositionMode(IntEnum):
    """How the exchange account books positions."""

    ONE_WAY = 0
    HEDGE = 1


class OrderType(IntEnum):
    """What the order asks of the venue."""

    LIMIT = 0
    MARKET = 1
    STOP_MARKET = 2
    TAKE_PROFIT = 3


class TimeInForce(IntEnum):
    """How long an order lives. GTX is post-only: refused at arrival if it would take."""

    GTC = 0
    IOC = 1
    FOK = 2
    GTX = 3
    GTD = 4


class OffsetTier(IntEnum):
    """How far from the touch a maker order is placed; the distances are in settings.json."""

    LOW = 0
    MED = 1
    HIGH = 2


class Purpose(IntEnum):
    """Why an order exists."""

    ENTRY = 0
    EXIT = 1
    STOP = 2
    TARGET = 3
    LIQUIDATION = 4
    HORIZON = 5
    KILL = 6
    QUOTE = 7


class RequestKind(IntEnum):
    """What the decision core asks of the world."""

    NEW = 0
    CANCEL = 1
    AMEND = 3


class ReportKind(IntEnum):
    """What the world tells the decision core about orders and the account."""

    ACCEPTED = 0
    REJECTED = 1
    FILL = 2
    CANCELED = 3
    EXPIRED = 4
    FUNDING = 5
    LIQUIDATED = 6
    TRANSFER = 7


class RejectCode(IntEnum):
    """Exchange refusals, with Binance's own numbers where one exists."""

    NONE = 0
    MIN_NOTIONAL = -4164
    QTY_TOO_SMALL = -4003
    QTY_TOO_LARGE = -4005
    BAD_TICK = -4014
    BAD_STEP = -4023
    PRICE_BAND_UP = -4016
    PRICE_BAND_DOWN = -4024
    MARGIN = -2019
    REDUCE_ONLY = -2022
    POST_ONLY = -5022
    UNFILLED = -2020
    NOT_TRADING = -1122
    TOO_MANY_ORDERS = -2025
    ORDER_RATE = -1015
    OVERLOAD = -1008
    SELF_TRADE = 1


class EventKind(IntEnum):
    """Rows of an order book stream, side folded in: even is the bid side, odd the ask side, of the level that changed or was hit.

    CLEAR begins a snapshot: the book is empty and unusable until READY. GAP: the stream broke here; unusable until READY.
    """

    BID_DEPTH = 0
    ASK_DEPTH = 1
    BID_HIT = 2
    ASK_LIFTED = 3
    CLEAR = 4
    READY = 6
    GAP = 8


class QueueModel(IntEnum):
    """How much of a level's shrinking is taken to have stood behind our order (MODELS: maker fills with a book)."""

    RISK_AVERSE = 0
    POWER = 1
    POWER2 = 2
    POWER3 = 3
    LOG = 4
    LOG2 = 5
    FIFO = 6


class SelfTrade(IntEnum):
    """What the exchange does when an order of ours would meet another of ours."""

    NONE = 0
    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3


class LatencyModel(IntEnum):
    """Where an order's latency comes from: two constants, measured rows, or the feed's own latency."""

    CONSTANT = 0
    INTERPOLATED = 1
    FEED = 2


class InputKind(IntEnum):
    """Records of the one ordered input stream of the decision core."""

    BAR = 0
    MARK = 1
    FUNDING_RATE = 2
    FILTER = 3
    REPORT = 4
    DECIDE = 5
    POLICY = 6
    VIEW = 7


class LedgerKind(IntEnum):
    """Rows of the decision ledger: what the core did and why."""

    SIGNAL = 1
    SCREEN_VETO = 2
    SIZE = 3
    GATE_VETO = 4
    GATE_PASS = 5
    REQUEST = 6
    CANCEL = 7
    ACCEPTED = 8
    REJECTED = 9
    FILL = 10
    CANCELED = 11
    EXPIRED = 12
    FUNDING = 13
    LIQUIDATION = 14
    ROUTE_DONE = 15
    TRADE = 16
    KILL_SWITCH = 17
    GAP = 18
    TRANSFER = 19
    DAY = 20
    FILTER = 21
    POLICY = 22
    QUOTE = 23


class Veto(IntEnum):
    """Why the risk gate refused an order: the name is the config key that was broken, or the input that failed."""

    NONE = 0
    CONTEXT_MISSING = 1
    NAV_STALE = 2
    MARKET_STALE = 3
    KILL_SWITCH = 4
    SYMBOL_NOT_TRADING = 5
    MIN_NOTIONAL = 6
    MAX_ORDER_NOTIONAL = 7
    MAX_TRADE_NAV_PCT = 8
    MAX_SYMBOL_NAV_PCT = 9
    MAX_TIER_NAV_PCT = 10
    MAX_STRATEGY_NAV_PCT = 11
    MAX_GROSS_NAV_PCT = 12
    MAX_NET_NAV_PCT = 13
    MAX_LEVERAGE = 14
    MAX_CONCURRENT_POSITIONS = 15
    MAX_TIER_POSITIONS = 16
    MAX_STRATEGY_POSITIONS = 17
    MIN_FREE_MARGIN_PCT = 18
    MIN_LIQUIDATION_DISTANCE_PCT = 19
    MAX_DAILY_LOSS_PCT = 20
    MAX_DRAWDOWN_PCT = 21
    MAX_ORDERS_PER_MINUTE = 22
    PRICE_COLLAR_PCT = 23
    QTY_FILTER = 24
    REDUCE_ONLY = 25


class Screen(IntEnum):
    """Why the screener dropped a signal; the name is the config key that was broken."""

    NONE = 0
    CONTEXT_MISSING = 1
    MARKET_MAX_AGE_S = 2
    WARMUP = 3
    MAX_SPREAD_BPS = 4
    MIN_VOLUME_DAY_USD = 5
    MAX_SIGMA_DAY = 6
    MIN_SIGMA_DAY = 7
    FUNDING_WINDOW_S = 8
    COOL_DOWN_S = 9
    MIN_SCORE = 10
    MIN_EXPECTANCY_BPS = 11
    GATE = 12
    NOT_IN_UNIVERSE = 13
    AFTER_GAP_BARS = 14
    SIZE_ZERO = 15


class Clamp(IntEnum):
    """What bounded the size of an order."""

    NONE = 0
    TRADE_NAV = 1
    ORDER_NOTIONAL = 2
    SYMBOL_NAV = 3
    TIER_NAV = 4
    STRATEGY_NAV = 5
    GROSS_NAV = 6
    NET_NAV = 7
    LEVERAGE = 8
    FREE_MARGIN = 9
    LIQUIDATION_DISTANCE = 10
    PARTICIPATION = 11
    MAX_QTY = 12
    BELOW_MINIMUM = 13
    NO_RISK_INPUT = 14


class SizeMethod(IntEnum):
    """How an order's size is suggested before the gate's limits clamp it."""

    FIXED_FRACTION = 0
    VOLATILITY_TARGET = 1
    RISK_PER_TRADE = 2
    CAPPED_KELLY = 3
    FIXED_QTY = 4


class CalledOn(IntEnum):
    """When a strategy is called: at its bars, once for all bars of a moment, by the clock, when a touch moved, after trades."""

    BAR = 0
    CROSS = 1
    TIMER = 2
    BOOK = 3
    TRADE = 4


class RouteStage(IntEnum):
    """Where a parent order stands in the router."""

    IDLE = 0
    MAKER = 1
    CANCELLING = 2
    TAKER = 3
    DONE = 4


class QuoteStage(IntEnum):
    """Where one order of a two-sided quote stands: on its way, at the exchange, or being taken back."""

    SENT = 0
    RESTING = 1
    CANCELLING = 2


class QuoteState(IntEnum):
    """Whether a strategy's quotes on a symbol stand, and if not, why. ENTRIES_HALTED lets those stand that reduce."""

    WITHDRAWN = 0
    QUOTING = 1
    KILL_SWITCH = 2
    BOOK_UNUSABLE = 3
    MARKET_STALE = 4
    ENTRIES_HALTED = 5
    LEAVING = 6


class RouteOutcome(IntEnum):
    """What the router finally did with a parent order."""

    NONE = 0
    MAKER = 1
    TAKER = 2
    MIXED = 3
    GAVE_UP = 4
    REJECTED = 5
    CANCELED = 6


class Regime(IntEnum):
    """Market regime at the entry decision."""

    DEFAULT = 0
    NORMAL = 1
    HIGH_VOL = 2
    LOW_LIQ = 3
