"""The learning layer: pure functions over closed trades, and the one place that puts a policy into force.

Expectancy by (symbol, hour, regime) becomes scores, router policies and caps. Plain numpy; sums are exact, so the order of
trades and symbols never matters. A learner reads only what `closed_before` lets through.
"""

from simcore.learning.allocator import Proposal, propose_policy
from simcore.learning.autotune import RouterMetrics, router_metrics, tune_policy
from simcore.learning.expectancy import (
    build_expectancy,
    load_expectancy,
    merge_expectancy,
    save_expectancy,
    symbol_expectancy,
)
from simcore.learning.refresh import Policies, learn
from simcore.learning.scoring import explain_score, score_symbol, score_universe
from simcore.learning.snapshots import PolicyHistory
from simcore.learning.trades import TradeTable, closed_before, trade_table

__all__ = [
    "Policies",
    "PolicyHistory",
    "Proposal",
    "RouterMetrics",
    "TradeTable",
    "build_expectancy",
    "closed_before",
    "explain_score",
    "learn",
    "load_expectancy",
    "merge_expectancy",
    "propose_policy",
    "router_metrics",
    "save_expectancy",
    "score_symbol",
    "score_universe",
    "symbol_expectancy",
    "trade_table",
    "tune_policy",
]
