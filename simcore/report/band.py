"""The band: the same replay under the central and the pessimistic fill model, each at single and double latency.

What lies between them is the model error to quote beside a result. On books the pessimistic model takes every cancel for one
behind us (risk-averse queues) and caps sweeps by their size; on bars it is the through rule with stops before targets, which
the shipped settings have already, so that the band there is what latency costs: an order a moment late misses its bar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from simcore.report.definitions import BY_KEY, Metric
from simcore.report.kpis import figures_of

if TYPE_CHECKING:
    from simcore.config import Config
    from simcore.report.run import Run

CENTRAL, PESSIMISTIC = "central", "pessimistic"
LATENCY_FACTORS = (1, 2)
LEAST_BAR_LATENCY_MS = 1.0
BOOK_WORST = {
    "settings.book_model.queue_model": "risk_averse",
    "settings.book_model.through": "size_capped",
    "settings.book_model.fill_quantity": "partial",
}
BAR_WORST = {"settings.bar_model.fill_rule": "through"}
FIGURES = ("net_pnl", "total_return", "max_drawdown_intraday", "n_trades", "maker_share", "fees", "slippage")
COLUMNS: tuple[Metric, ...] = (
    *(BY_KEY[key] for key in FIGURES),
    Metric("maker_fill_rate", "Maker filled", "pct", "Band", "Post-only orders that filled, at least in part / those sent."),
    Metric("maker_markout_5s_bps", "Markout 5 s", "bps", "Band", "Mean markout of maker fills after 5 s; positive is good for us."),
)
BRIEF = frozenset({"net_pnl", "total_return", "n_trades", "maker_fill_rate", "maker_markout_5s_bps"})  # what a terminal has room for


class Variant(NamedTuple):
    """One way to replay: the fill model, the factor on latency, and the settings that say so."""

    model: str
    latency: int
    changes: dict[str, Any]


def variants(config: Config, on_books: bool) -> list[Variant]:
    """Return the four ways, the run as configured first."""
    found = []
    for model in (CENTRAL, PESSIMISTIC):
        for factor in LATENCY_FACTORS:
            worst = {} if model == CENTRAL else BOOK_WORST if on_books else BAR_WORST
            found.append(Variant(model, factor, {**worst, **slower(config, on_books, factor)}))
    return found


def slower(config: Config, on_books: bool, factor: int) -> dict[str, Any]:
    """Return the settings of a latency so many times the configured one; on bars none becomes the least there is."""
    if factor == 1:
        return {}
    if on_books:
        return {"settings.book_model.latency_scale": config.settings.book_model.latency_scale * factor}
    latency = config.settings.bar_model.entry_latency_ms * factor
    return {"settings.bar_model.entry_latency_ms": max(latency, LEAST_BAR_LATENCY_MS)}


def band_of(run: Run, config: Config, play: Callable[[Config], Run]) -> list[dict[str, Any]]:
    """Return one row of figures a variant; `run` is the one as configured, and equal settings are replayed once."""
    played = {config.hash: run}
    rows = []
    for model, latency, changes in variants(config, run.recording.feed.kind == "book"):
        changed = config.replace(set=changes) if changes else config
        if changed.hash not in played:
            played[changed.hash] = play(changed)
        rows.append({"model": model, "latency": latency, **row_of(played[changed.hash])})
    return rows


def row_of(run: Run) -> dict[str, Any]:
    """Return the figures of one variant."""
    figures = {**figures_of(run.recording), **run.metrics}
    return {**{metric.key: figures[metric.key] for metric in COLUMNS}, "digest": run.digest}


def span_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the lowest and highest net PnL of the band."""
    nets = [row["net_pnl"] for row in rows]
    return {"low": min(nets), "high": max(nets)}
