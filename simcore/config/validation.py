"""The models of validation.json: how a policy is validated, and what it must meet."""

# No postponed annotations here: pydantic would evaluate each again while loading, a tenth of its time.
from typing import Annotated, Literal

from pydantic import Field

from simcore.config.fields import Count, File, Model, Part, Usd

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
