"""The models of settings.json: the account, the router, the venue on bars and on books, the switches."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from typing import Annotated, Literal

from pydantic import Field

from simcore.config.fields import Bps, Count, File, Model, Name, Part, Seconds, Share, SomeSeconds, Table, Usd


class OffsetsBps(Model):
    """How far from the reference price a maker order of each offset tier is placed."""

    LOW: Bps
    MED: Bps
    HIGH: Bps


class Router(Model):
    """How a parent order is worked, until a learned policy says otherwise."""

    maker_first: bool = Field(description="Try a post-only order before taking.")
    offset_tier: Literal["LOW", "MED", "HIGH"] = Field(description="Which of offsets_bps a maker order uses.")
    offsets_bps: OffsetsBps
    wait_s: SomeSeconds = Field(description="How long one maker order may wait.")
    max_requotes: int = Field(ge=0, le=1_000, description="Maker orders placed again after the first before the fallback.")
    price_cap_bps: Annotated[float, Field(gt=0, le=10_000)] = Field(description="Worst taker price, from the arrival price.")
    urgency_taker_above: Part = Field(description="A signal more urgent than this goes straight to taker.")
    taker_bias: Part = Field(description="0 waits in full, 1 never quotes; between, waits shrink.")


class BarModel(Model):
    """How the simulated venue fills on bars; every guess is against the trader."""

    fill_rule: Literal["through", "touch"] = Field(description="through: the bar must trade beyond a limit. touch is optimistic.")
    participation_cap_pct: Share = Field(description="Largest share of one bar's volume an order can fill.")
    entry_latency_ms: float = Field(ge=0, le=3_600_000, description="From decision to arrival at the venue.")
    impact_y: float = Field(ge=0, le=100, description="Y of the square-root impact: Y * sigma_day * sqrt(qty / volume_day).")
    stop_slippage_ticks: float = Field(ge=0, le=10_000, description="Added against the trader to every triggered stop.")
    half_spread_bps: Table[Name, Bps] = Field(description="Half the spread a taker pays without a book, per tier.")
    fallback_sigma_day: Annotated[float, Field(gt=0, le=10)] = Field(description="Daily volatility while none is known.")
    fallback_volume_day_usd: Usd = Field(description="Daily volume while none is known.")


class OrderRateLimits(Model):
    """How many orders the exchange takes; refused ones count too."""

    max_orders_per_10s: Count
    max_orders_per_minute: Count


class BookModel(Model):
    """How time, latency and fills go on order books; every guess is against the trader."""

    wake_every_ms: Annotated[float, Field(ge=1, le=86_400_000)] = Field(description="How often the core looks at its books.")
    latency_model: Literal["constant", "interpolated", "feed"] = Field(
        description="constant: the two latencies below. interpolated: from latency_file. feed: the two, plus the feed's own times a factor."
    )
    entry_latency_ms: Annotated[float, Field(ge=0, le=60_000)] = Field(description="From decision to arrival at the exchange.")
    response_latency_ms: Annotated[float, Field(ge=0, le=60_000)] = Field(description="From the exchange back to us.")
    feed_entry_factor: Annotated[float, Field(ge=0, le=100)] = Field(description="Of the feed's latency, added to entry_latency_ms.")
    feed_response_factor: Annotated[float, Field(ge=0, le=100)] = Field(description="Of the feed's latency, added to response_latency_ms.")
    latency_scale: Annotated[float, Field(ge=0, le=100)] = Field(description="Multiplies every latency: 2 asks what twice as slow costs.")
    latency_file: str = Field(
        "", max_length=500, description="CSV of measured request_ns, exchange_ns, response_ns, for interpolated; relative to this folder."
    )
    queue_model: Literal["risk_averse", "power", "power2", "power3", "log", "log2"] = Field(
        description="What share of a level's decrease stood behind us. risk_averse is the pessimistic one."
    )
    queue_power_n: Annotated[float, Field(gt=0, le=20)] = Field(description="Exponent of the power models.")
    fill_quantity: Literal["partial", "full"] = Field(description="partial: a print fills what it holds. full is optimistic.")
    through: Literal["size_capped", "full"] = Field(description="A sweep through our price: capped by its size, or full (optimistic).")
    view_levels: int = Field(ge=1, le=1_000, description="Levels of a side that bid_depth and ask_depth add up.")
    bar_delay_ms: Annotated[float, Field(ge=0, le=60_000)] = Field(description="A bar is known this long after its close.")
    market_max_age_s: SomeSeconds = Field(description="An older book takes no entries; the tighter of this and risk_limits counts.")
    mark_max_age_s: SomeSeconds = Field(description="A mark price older than this is replaced by the mid.")
    assumed_sigma_day: Annotated[float, Field(gt=0, le=10)] = Field(description="Daily volatility while no bar tells it.")
    assumed_volume_day_usd: Usd = Field(description="Daily turnover while no bar tells it.")
    self_trade_prevention: Literal["none", "expire_taker", "expire_maker", "expire_both"] = Field(
        description="What the exchange ends when two orders of ours would meet."
    )
    order_rate_limits: OrderRateLimits


class Quoter(Model):
    """How two-sided quotes are kept at the exchange."""

    max_levels: int = Field(ge=1, le=32, description="Most quotes a side of one strategy on one symbol.")
    min_requote_ticks: int = Field(ge=1, le=100_000, description="A nearer wish keeps the quote and its place in the queue.")
    resize_pct: Part = Field(description="A quote is replaced when its wished size differs by more than this share.")
    cancel_retry_s: SomeSeconds = Field(description="A cancel that was not answered for so long is sent again.")


class KillSwitch(Model):
    """What happens when the drawdown limit latches the kill switch."""

    flatten: bool = Field(description="Close every position with reduce-only orders; otherwise only entries stop.")


class Regime(Model):
    """From where on a market counts as wild or thin; a trade carries the regime of its entry decision."""

    high_vol_sigma_day: Annotated[float, Field(gt=0, le=10)] = Field(description="Day's volatility (fraction) of 'high_vol'.")
    low_liq_volume_day_usd: Annotated[float, Field(ge=0)] = Field(description="Day's turnover (quote) below which 'low_liq'.")


class Switch(Model):
    """One learning stage, on or off; its figures are in learning.json."""

    enabled: bool = Field(description="Counts only while v6_enabled is true.")


class Settings(File):
    """settings.json: the account, the router, the venue on bars and on books, the switches."""

    cash: Usd = Field(description="Balance at the start of a replay, in quote units.")
    position_mode: Literal["auto", "hedge", "one_way"] = Field(
        description="hedge: LONG and SHORT legs that never net. auto: one_way when a strategy quotes both sides, else hedge."
    )
    leverage: Table[Name, Annotated[float, Field(ge=1, le=125)]] = Field(description="Leverage set at the exchange, per tier.")
    allow_unlisted_symbols: bool = Field(description="Give symbols missing from pairs_universe.json its default_tier.")
    equity_sample_s: Annotated[float, Field(ge=1, le=86_400)] = Field(description="Spacing of the equity curve's samples.")
    entry_retry_s: Seconds = Field(description="Pause before a refused wish is tried again.")
    router: Router
    bar_model: BarModel
    book_model: BookModel
    quoter: Quoter
    kill_switch: KillSwitch
    regime: Regime
    v6_enabled: bool = Field(description="The learning layer as a whole; off is as if it did not exist.")
    expectancy: Switch = Field(description="Entries are judged by what (symbol, hour, regime) brought so far.")
    scoring: Switch = Field(description="Symbols get a score, which the screener's min_score judges.")
    autotune: Switch = Field(description="The router's policy follows fill rate, markout, slippage and rejects.")
    allocator: Switch = Field(description="Caps and concurrency follow scores and drawdown, never above risk_limits.json.")
