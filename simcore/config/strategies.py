"""The models of strategy_registry.json and strategy_config.json: which strategies there are, and how each is run."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from simcore.config.fields import Bps, File, Interval, Model, Name, Part, Seconds, Share, Symbols, Table, overrides_of
from simcore.config.limits import StrategyLimits


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
