"""The models of what is traded and how it is shown: pairs_universe.json, assets.json, reserves.json, dashboard.json."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from simcore.config.fields import Asset, Exposure, File, Model, Name, Symbol, Table, Usd


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
