"""The models of learning.json: every threshold of the learning layer."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from typing import Annotated, Literal

from pydantic import Field

from simcore.config.fields import Bps, Count, File, Model, Part, Seconds, Share, SomeSeconds

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
