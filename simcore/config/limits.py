"""The models of risk_limits.json: what the gate judges by, and the narrower scopes that may tighten it."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from simcore.config.fields import Count, Exposure, File, Name, Part, Share, SomeSeconds, Symbol, Table, Usd, overrides_of


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
