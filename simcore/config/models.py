"""The models of config/*.json: one class a file, every key with its bounds, strict and frozen.

A key is named like the thing it feeds: a `Veto` or `Screen` member in lower case, or a record field. Units are in the
names: `_pct` is a fraction (0.05 is 5 %), `_bps` 1e-4, `_s` seconds, `_usd` quote units. A key that other objects may
override is defined once; `overrides_of` derives the optional form.
"""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    WrapSerializer,
    create_model,
)

INTERVALS_S = {
    "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600, "2h": 7_200, "4h": 14_400, "6h": 21_600,
    "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip


class Model(BaseModel):
    """What every object of the files has: no unknown keys, no guessing of types, no NaN, no change after loading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    note: str = Field("", max_length=1_000, description="Free words for the reader; decides nothing.")


class File(Model):
    """A whole file, with the schema that editors complete it from."""

    schema_: str = Field("", alias="$schema", description="Where an editor finds the schema of this file.")


def _all_or_names(value: object) -> Literal["all"] | tuple[str, ...]:
    if value == "all":
        return "all"
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        if len(set(value)) < len(value):
            raise ValueError("names a symbol twice")
        return tuple(value)
    raise ValueError('must be "all" or a list of symbols')


K = TypeVar("K")
V = TypeVar("V")
Table = Annotated[Mapping[K, V], AfterValidator(MappingProxyType), WrapSerializer(lambda table, plain: plain(dict(table)))]
Share = Annotated[float, Field(gt=0, le=1)]
Part = Annotated[float, Field(ge=0, le=1)]
Exposure = Annotated[float, Field(gt=0, le=10)]
Bps = Annotated[float, Field(ge=0, le=10_000)]
Seconds = Annotated[float, Field(ge=0, le=31_622_400)]
SomeSeconds = Annotated[float, Field(ge=0.001, le=31_622_400)]
Usd = Annotated[float, Field(gt=0, le=1e10)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,59}$")]
Symbol = Annotated[str, StringConstraints(pattern=r"^[^\s./\\\x00-\x1f]{1,40}$")]
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,12}$")]
Symbols = Annotated[
    Any,
    AfterValidator(_all_or_names),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Interval = Literal["base", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]


def overrides_of(model: type[BaseModel], name: str, keys: str = "") -> Any:
    """Return `model` with `keys` (default: all its own) optional: what a narrower scope may say again."""
    chosen = keys.split() or [key for key in model.model_fields if key not in File.model_fields]
    fields: dict[str, Any] = {}
    for key in chosen:
        field = model.model_fields[key]
        fields[key] = (Annotated[field.annotation, Field(description=field.description), *field.metadata], None)
    words = f"{name}: what is not written here is taken from the wider scope."
    return create_model(name, __base__=Model, __doc__=words, **fields)


# ---------------------------------------------------------------- settings.json


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


# ---------------------------------------------------------------- learning.json

Ratio = Annotated[float, Field(ge=0, le=1)]
SomeBps = Annotated[float, Field(gt=0, le=10_000)]
AnyBps = Annotated[float, Field(ge=-10_000, le=10_000)]
Trades = Annotated[float, Field(ge=0, le=1_000_000)]
Tier3 = Literal["LOW", "MED", "HIGH"]
Shares3 = Annotated[tuple[Part, Part, Part], Field(description="Three levels, rising.")]
Waits3 = Annotated[tuple[SomeSeconds, SomeSeconds, SomeSeconds], Field(description="Three levels, rising.")]


class Refresh(Model):
    """When policies are learned anew and put into force. Times are multiples of the spacing since 1970, UTC."""

    learn_every_s: Annotated[float, Field(ge=60, le=31_622_400)] = Field(description="Spacing of learning.")
    apply_every_s: Annotated[float, Field(ge=60, le=31_622_400)] = Field(description="Spacing of choosing the hour's figures.")
    embargo_s: Seconds = Field(description="Only trades closed this long before a refresh are read.")
    window_days: Annotated[float, Field(gt=0, le=36_600)] = Field(description="Only trades closed within this many days are read.")
    min_trades: Count = Field(description="With fewer trades nothing was learned.")


class Expectancy(Model):
    """How (symbol, hour, regime) buckets are pooled and shrunk: bucket to symbol to all symbols."""

    gate_on: Literal["shrunk_mean", "lower_bound"] = Field(description="What the screener's min_expectancy_bps is compared with.")
    lower_bound_confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="Of the central interval whose lower end is taken.")
    hour_pool_weight: Ratio = Field(description="Weight of a trade of the hour before or after, in a bucket's own mean.")
    sd_prior_trades: Trades = Field(description="How many trades the wider scope's standard deviation counts for.")
    min_sd_bps: SomeBps = Field(description="Floor of the standard deviation of a trade's result.")
    min_sd_r: Annotated[float, Field(gt=0, le=1_000)] = Field(description="The same in R.")


class Scoring(Model):
    """The score: a logistic of what a trade of the symbol is expected to bring, believed as far as there are trades."""

    half_life_cost_bps: AnyBps = Field(description="Net expectancy at which the score is one half.")
    scale_bps: SomeBps = Field(description="Net expectancy beyond that, counted as one.")
    steepness: Annotated[float, Field(gt=0, le=100)] = Field(description="Slope of the logistic.")
    confidence_trades: Annotated[float, Field(gt=0, le=1_000_000)] = Field(description="Trades at which half of it is believed.")
    prior_score: Ratio = Field(description="Score of a symbol nothing is known of.")
    floor: Ratio
    ceiling: Ratio
    volatility_penalty: Annotated[float, Field(ge=0, le=1)] = Field(description="Taken off per bps of the trades' standard deviation.")
    neutral_fee_bps: Bps = Field(description="Stands in for fees that are not known, both ways.")
    neutral_slippage_bps: Bps = Field(description="Stands in for slippage that is not known.")
    neutral_funding_bps: AnyBps = Field(description="Stands in for funding that is not known; positive is paid.")


class Autotune(Model):
    """How far and how fast the router's policy may follow what was measured. Where nothing is measured nothing moves."""

    half_life_s: SomeSeconds = Field(description="An order this old counts half.")
    markout_s: SomeSeconds = Field(description="A maker fill is judged by the price this much later.")
    min_maker_orders: Count = Field(description="Effective number of quoted parent orders below which fill rate says nothing.")
    min_taker_orders: Count
    min_markouts: Count
    min_orders: Count = Field(description="Effective number of orders sent below which the reject rate says nothing.")
    min_misses: Count = Field(description="Effective number of quotes that missed below which their drift is taken as 0.")
    dwell_refreshes: Annotated[int, Field(ge=0, le=100_000)] = Field(description="Refreshes between two changes of one setting.")
    cooldown_s: Seconds = Field(description="Pause after any change.")
    allow_taker_first: bool = Field(description="May maker_first be switched off?")
    maker_off_below_bps: AnyBps = Field(description="Advantage of quoting below which it is switched off.")
    maker_on_above_bps: AnyBps = Field(description="Advantage of quoting above which it is switched on.")
    lowest_tier: Tier3
    highest_tier: Tier3
    nearer_fill_rate_below: Ratio = Field(description="Fewer quotes filled: one tier nearer.")
    farther_fill_rate_above: Ratio = Field(description="More filled, at a bad markout: one tier farther.")
    farther_markout_below_bps: AnyBps = Field(description="What counts as a bad markout.")
    farther_reject_rate_above: Ratio = Field(description="More rejects: one tier farther.")
    nearer_reject_rate_below: Ratio = Field(description="No tier nearer while there are more rejects.")
    hurry_drift_above_bps: AnyBps = Field(description="Drift of missed quotes above which waits shrink.")
    wait_drift_below_bps: AnyBps = Field(description="Drift of missed quotes below which waits may grow.")
    wait_slippage_above_bps: AnyBps = Field(description="Taker slippage above which waits grow.")
    taker_bias_levels: Shares3
    wait_levels_s: Waits3


class Allocator(Model):
    """How caps follow scores and drawdown. Nothing here can exceed risk_limits.json."""

    base: Literal["equal", "inverse_volatility"] = Field(description="What a symbol's cap starts from, before its score.")
    low_score_share: Share = Field(description="Share of its cap that a symbol of score 0 keeps.")
    score_power: Annotated[float, Field(gt=0, le=10)] = Field(description="Shape between score 0 and 1; 1 is a straight line.")
    allow_zero: bool = Field(description="May a symbol be closed to entries altogether?")
    zero_below_score: Ratio = Field(description="Where allowed, from which score down.")
    min_symbol_nav_pct: Annotated[float, Field(ge=0, le=10)] = Field(description="Smallest cap before the gross limit is shared out.")
    drawdown_floor: Share = Field(description="Share of concurrency and trade size kept at the full drawdown.")
    recovery_per_refresh: Share = Field(description="How much of it comes back a refresh, at most.")


class Learning(File):
    """learning.json: how the learning layer learns; what of it runs is switched in settings.json."""

    refresh: Refresh
    expectancy: Expectancy
    scoring: Scoring
    autotune: Autotune
    allocator: Allocator


# ---------------------------------------------------------------- risk_limits.json


class Limits(File):
    """The gate's limits. NAV shares are of the tradable NAV: what is left after the reserves."""

    nav_max_age_s: SomeSeconds = Field(description="An older NAV vetoes.")
    market_max_age_s: SomeSeconds = Field(description="An older market vetoes, in screener and gate alike.")
    max_order_notional: Usd = Field(description="One order, in quote units.")
    max_trade_nav_pct: Share = Field(description="One order.")
    max_symbol_nav_pct: Exposure = Field(description="Gross of one symbol, both legs.")
    max_tier_nav_pct: Exposure = Field(description="Gross of all symbols of a tier.")
    max_strategy_nav_pct: Exposure = Field(description="Gross of one strategy.")
    max_gross_nav_pct: Exposure = Field(description="Gross of everything.")
    max_net_nav_pct: Exposure = Field(description="Longs less shorts of everything, without its sign.")
    max_leverage: Annotated[float, Field(gt=0, le=125)] = Field(description="Gross over the whole NAV.")
    max_concurrent_positions: Count
    max_tier_positions: Count
    max_strategy_positions: Count
    max_orders_per_minute: Count
    min_free_margin_pct: Part = Field(description="Free margin left after the order, of NAV.")
    min_liquidation_distance_pct: Part = Field(description="NAV less maintenance margin after the order, of gross.")
    max_daily_loss_pct: Share = Field(description="Loss since 00:00 UTC that stops entries until the next day.")
    max_drawdown_pct: Share = Field(description="Loss from the peak NAV that latches the kill switch.")
    price_collar_pct: Share = Field(description="Largest distance of an order's price from the mark.")


TIER_LIMITS = "max_order_notional max_trade_nav_pct max_symbol_nav_pct max_tier_nav_pct max_tier_positions price_collar_pct"
SYMBOL_LIMITS = "max_order_notional max_trade_nav_pct max_symbol_nav_pct price_collar_pct"
STRATEGY_LIMITS = f"{SYMBOL_LIMITS} max_strategy_nav_pct max_strategy_positions market_max_age_s"
if TYPE_CHECKING:
    StrategyLimits = Limits
    SymbolLimits = Limits
    TierLimits = Limits
else:
    TierLimits = overrides_of(Limits, "TierLimits", TIER_LIMITS)
    SymbolLimits = overrides_of(Limits, "SymbolLimits", SYMBOL_LIMITS)
    StrategyLimits = overrides_of(Limits, "StrategyLimits", STRATEGY_LIMITS)


class RiskLimits(Limits):
    """risk_limits.json: the limits of the account, and tighter ones per tier and symbol. The tightest always counts."""

    per_tier: Table[Name, TierLimits] = Field(default_factory=dict, description="Tighter limits for every symbol of a tier.")
    per_symbol: Table[Symbol, SymbolLimits] = Field(default_factory=dict, description="Tighter limits for one symbol.")


# ---------------------------------------------------------------- strategies


class Param(Model):
    """One parameter of a strategy: its value if none is given, and the range that makes sense."""

    default: float
    min: float = -1e15
    max: float = 1e15
    less_than: str = Field("", description="Another parameter that must be greater.")
    unit: str = ""


class Registered(Model):
    """Where a strategy's code is and which parameters it takes."""

    module: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", description="Python module.")
    summary: str = Field("", max_length=300)
    params: Table[Name, Param] = Field(default_factory=dict, description="At most 32.")


class StrategyRegistry(File):
    """strategy_registry.json: which strategies exist."""

    strategies: Table[Name, Registered]


class Screen(Model):
    """What the screener asks of a market before a signal becomes an order."""

    warmup_bars: int = Field(ge=0, le=1_000_000, description="Bars to wait beside the strategy's own warm-up.")
    max_spread_bps: Bps
    min_volume_day_usd: float = Field(ge=0, le=1e12)
    max_sigma_day: Annotated[float, Field(gt=0, le=100)] = Field(description="Volatility of the last day, as a fraction.")
    min_sigma_day: float = Field(ge=0, le=100)
    funding_window_s: Seconds = Field(description="No entry this long before an adverse funding payment.")
    max_adverse_funding_bps: Bps = Field(description="Payment tolerated inside that window.")
    cool_down_s: Seconds = Field(description="Pause after an exit.")
    after_gap_bars: int = Field(ge=0, le=100_000, description="Bars to wait after missing ones.")
    min_score: Part = Field(description="Floor of the learned score; nothing learned passes.")
    min_expectancy_bps: float = Field(ge=-10_000, le=10_000, description="Floor of what was learned; nothing passes.")


class Sizing(Model):
    """How large a wish is, before the gate's limits clamp it."""

    method: Literal["fixed_fraction", "volatility_target", "risk_per_trade", "capped_kelly", "fixed_qty"]
    fraction: Share = Field(description="Of the tradable NAV: fixed_fraction, and the base of volatility_target.")
    target_sigma_day: Annotated[float, Field(gt=0, le=10)]
    risk_per_trade_pct: Share = Field(description="Of the tradable NAV, lost when the stop is hit.")
    kelly_fraction: Annotated[float, Field(gt=0, le=0.25)] = Field(description="Quarter Kelly at most.")
    kelly_edge: float = Field(ge=0, le=10, description="Lower bound of the mean return of a trade.")
    kelly_variance: Annotated[float, Field(gt=0, le=100)] = Field(description="Variance of the return of a trade.")
    max_participation_pct: Share = Field(description="Of the symbol's volume of the last day.")
    min_stop_bps: Annotated[float, Field(gt=0, le=10_000)] = Field(description="Nearer stops are sized as if this far.")
    qty: Annotated[float, Field(ge=0, le=1e12)] = Field(description="Of fixed_qty: base units an order, the same on every symbol.")


if TYPE_CHECKING:
    ScreenOverrides = Screen
    SizingOverrides = Sizing
else:
    SizingOverrides = overrides_of(Sizing, "SizingOverrides")
    ScreenOverrides = overrides_of(Screen, "ScreenOverrides")


class StrategyDefaults(Model):
    """What every strategy starts from."""

    interval: Interval = Field(description="Bars the strategy sees; base: those of the replay.")
    symbols: Symbols
    sizing: Sizing
    screen: Screen
    limits: StrategyLimits = Field(default_factory=StrategyLimits.model_construct)


class StrategyUse(Model):
    """How one registered strategy is used."""

    enabled: bool
    interval: Interval | None = None
    symbols: Symbols = None
    params: Table[str, float] = Field(default_factory=dict)
    sizing: SizingOverrides = Field(default_factory=SizingOverrides.model_construct)
    screen: ScreenOverrides = Field(default_factory=ScreenOverrides.model_construct)
    limits: StrategyLimits = Field(default_factory=StrategyLimits.model_construct)


class StrategyConfig(File):
    """strategy_config.json: which strategies run, on what, how large."""

    defaults: StrategyDefaults
    strategies: Table[Name, StrategyUse]


# ---------------------------------------------------------------- universe, assets, reserves, dashboard


class Tier(Model):
    """A group of symbols that are traded, limited and charged alike."""


class Listing(Model):
    """One period in which a symbol may be traded, with caps that hold while it lasts."""

    tier: Name
    quote_asset: Asset
    valid_from: date = Field(description="First day, UTC.")
    valid_to: date | None = Field(None, description="First day on which it may no longer be traded.")
    max_order_notional: Usd | None = None
    max_symbol_nav_pct: Exposure | None = None


class PairsUniverse(File):
    """pairs_universe.json: which symbols may be traded, when, in which tier."""

    default_tier: Name = Field(description="Tier of unlisted symbols, where settings.json allows them.")
    tiers: Table[Name, Tier] = Field(min_length=1, max_length=8)
    symbols: Table[Symbol, tuple[Listing, ...]]


class QuoteAsset(Model):
    """What trading against one quote asset costs."""

    maker_fee_bps: float = Field(ge=-10, le=100, description="Negative: a rebate.")
    taker_fee_bps: float = Field(ge=0, le=100)
    decimals: int = Field(ge=0, le=8, description="Places shown to people; the ledger always keeps eight.")


class Assets(File):
    """assets.json: the quote assets. They differ here and nowhere else."""

    quote_assets: Table[Asset, QuoteAsset] = Field(min_length=1)


class Reserves(File):
    """reserves.json: what of the balance is not for trading."""

    treasury: Table[Asset, Annotated[float, Field(ge=0, le=1e10)]] = Field(description="Amounts kept out of the tradable NAV.")
    reserve_cash_pct: Annotated[float, Field(ge=0, lt=1)] = Field(description="Share of the starting cash kept out too.")


class Dashboard(File):
    """dashboard.json: how results are shown; nothing here changes a decision."""

    title: str = Field(min_length=1, max_length=80)
    theme: Literal["auto", "light", "dark"]
    chart_bars: int = Field(ge=100, le=1_000_000, description="Bars drawn per symbol; longer series are drawn coarser.")
    table_rows: int = Field(ge=10, le=100_000, description="Rows listed before a table is cut.")


# ---------------------------------------------------------------- validation.json


Stage = Literal["expectancy", "scoring", "autotune", "allocator"]
Stages = Annotated[tuple[Stage, ...], Field(min_length=1, max_length=4)]


class Statistics(Model):
    """How sure an interval is, and how it is drawn."""

    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(description="Of every interval and lower bound: 0.95 leaves 2.5 % a side.")
    bootstrap_draws: int = Field(ge=100, le=10_000_000)
    seed: int = Field(ge=0, le=2**63 - 1, description="Of every draw: one seed, one result.")
    pbo_blocks: int = Field(ge=2, le=20, multiple_of=2, description="S of CSCV: even; 12 gives 924 choices.")
    min_cluster_correlation: Part = Field(description="Trials that correlate this much pairwise count as one.")


class WalkForward(Model):
    """The folds: learn on `train_days`, skip `purge_days`, be scored on `test_days`; then all move on by `step_days`."""

    train_days: int = Field(ge=1, le=10_000)
    test_days: int = Field(ge=1, le=10_000)
    step_days: int = Field(ge=1, le=10_000, description="Equal to test_days: every day is scored once.")
    purge_days: int = Field(ge=0, le=1000, description="At least the longest holding time of a trade.")
    anchored: bool = Field(description="Does every fold begin at the first day?")


class Stress(Model):
    """How hard the stressed replays are."""

    cost_factor: float = Field(ge=1, le=100, description="Fees, spreads, impact, stop slippage of the cost stress, times the configured.")
    latency_factor: float = Field(ge=1, le=100, description="Latency of the latency stress, times the configured one.")
    min_latency_ms: float = Field(ge=0, le=3_600_000, description="Least latency of that stress. On bars, any latency costs one whole bar.")
    participation_factor: float = Field(gt=0, le=1, description="What pessimistic fills leave of participation_cap_pct.")


class CertificateRules(Model):
    """How long a certificate holds, and how its live bands are drawn."""

    expires_days: float = Field(gt=0, le=3660)
    band_days: int = Field(ge=1, le=366, description="Live figures are compared over this many days at a time.")
    band_confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(description="Share of the out-of-sample windows inside each band.")
    markout_s: float = Field(gt=0, le=31_622_400, description="A maker fill is judged by the price this much later.")


class StressFloors(Model):
    """Mean net result per day (bps of NAV) that must be exceeded in each stressed replay."""

    cost: float = Field(ge=-10_000, le=10_000, description="At stress.cost_factor times the costs.")
    latency: float = Field(ge=-10_000, le=10_000, description="At stress.latency_factor times the latency.")
    pessimistic_fills: float = Field(ge=-10_000, le=10_000, description="Under the most pessimistic fill rule.")
    worst_case_bars: float = Field(ge=-10_000, le=10_000, description="With every ambiguous bar resolved against the trader.")


class Criteria(Model):
    """What a policy must show before it is certified. A figure that is not determined meets no criterion."""

    min_gain_bps_a_day: float = Field(ge=-10_000, le=10_000, description="Must be exceeded by the lower bound of the out-of-sample gain.")
    min_psr: Part = Field(description="Probability that the true Sharpe ratio is above 0.")
    min_dsr: Part = Field(description="The same, above what the best of all trials would show by luck.")
    max_pbo: Part = Field(description="Probability of backtest overfitting; about 0.5 on noise.")
    max_holm_p: Part = Field(description="Chance of such a gain by luck, after Holm over every policy ever tried.")
    max_drawdown_ratio: float = Field(gt=0, le=100, description="Maximum drawdown, over the baseline's.")
    max_turnover_nav_a_day: float = Field(gt=0, le=10_000, description="Traded notional per day, in NAVs.")
    max_reject_pct: Part = Field(description="Of the orders sent, refused by the venue.")
    max_ambiguous_exits_pct: Part = Field(description="Of the trades, ended in a bar that held both stop and target.")
    min_trades: Count = Field(description="Closed out of sample.")
    min_capacity_usd: Usd = Field(description="NAV up to which the gain is expected to last.")
    min_stress_bps_a_day: StressFloors
    flag_t_below: float = Field(ge=0, le=100, description="A smaller t-statistic of the gain is flagged, not refused.")


class Validation(File):
    """validation.json: how results are judged; nothing here changes a decision."""

    statistics: Statistics
    walk_forward: WalkForward
    judged: Stages = Field(description="The policy that is judged, chosen before looking: the learning stages it switches on.")
    rivals: tuple[Stages, ...] = Field(description="Other policies that are tried beside it, and counted.")
    stress: Stress
    certificate: CertificateRules
    criteria: Criteria


FILES: dict[str, type[File]] = {
    "settings": Settings,
    "strategy_registry": StrategyRegistry,
    "strategy_config": StrategyConfig,
    "risk_limits": RiskLimits,
    "pairs_universe": PairsUniverse,
    "assets": Assets,
    "reserves": Reserves,
    "dashboard": Dashboard,
    "validation": Validation,
    "learning": Learning,
}
