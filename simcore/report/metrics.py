"""The metrics of a replay: every figure of the report in one dict.

`definitions.METRICS` holds label, unit and formula of each. A figure that the run does not determine is NaN (null in
JSON): it is never made up, never infinite, and never an exception.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore import series
from simcore.domain.enums import RouteOutcome
from simcore.report import tables
from simcore.report.tables import E8, SECOND_NS
from simcore.series import DAY_NS, DAYS_A_YEAR, NAN, deviation, finite, known, mean, ratio

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.replay import Recording

YEAR_S = DAYS_A_YEAR * 86_400


def metrics_of(recording: Recording) -> dict[str, Any]:
    """Return every metric of `definitions.METRICS` by key, and the trade tables (`per_symbol`, `per_hour`, …).

    Money is in quote units, shares and returns are fractions, times are ISO dates; undetermined figures are NaN.
    """
    times, closes = series.daily_closes(recording.equity["ts_ns"], recording.equity["nav"])
    market = market_curve(recording.feed, times)
    result = result_metrics(recording, closes, market)
    return {
        **result,
        **risk_metrics(recording, times, closes, market),
        **trade_metrics(recording),
        **cost_metrics(recording),
        **exposure_metrics(recording, closes),
        **execution_metrics(recording),
        **tables.trade_tables(recording),
    }


def market_curve(feed: Feed, times_ns: np.ndarray) -> np.ndarray:
    """Return the value at each time of 1 put into all symbols in equal parts at their first open, without costs.

    A symbol that has not opened yet, or has no bars, is held as cash. Only bars closed by a time are seen at that time.
    """
    curve = np.zeros(len(times_ns))
    for symbol, (low, high) in enumerate(feed.bar_range):
        bars = feed.bars[low:high]
        bars = bars[np.searchsorted(bars["open_ns"], times_ns[0]) :] if len(times_ns) and len(bars) else bars[:0]
        if not len(bars):
            curve += 1.0
            continue
        rows = np.searchsorted(bars["open_ns"], times_ns - int(feed.interval_ns[symbol]), side="right") - 1
        curve += np.where(rows >= 0, bars["close_ticks"][np.maximum(rows, 0)] / float(bars["open_ticks"][0]), 1.0)
    return curve / max(len(feed.symbols), 1)


def result_metrics(recording: Recording, closes: np.ndarray, market: np.ndarray) -> dict[str, Any]:
    """Return what the account started with, ended with, and how its days went."""
    nav = recording.equity["nav"]
    returns = series.simple_returns(closes)
    start, final = (float(nav[0]), float(nav[-1])) if len(nav) else (NAN, NAN)
    return {
        "start_equity": start,
        "final_equity": final,
        "peak_equity": float(nav.max()) if len(nav) else NAN,
        "low_equity": float(nav.min()) if len(nav) else NAN,
        "net_pnl": final - start,
        "total_return": ratio(final - start, start),
        "cagr": series.cagr(returns),
        "market_return": finite(market[-1] - 1.0) if len(market) else NAN,
        "n_days": max(len(closes) - 1, 0),
        "best_day": finite(returns.max()) if len(returns) else NAN,
        "worst_day": finite(returns.min()) if len(returns) else NAN,
        "days_won": int((returns > 0).sum()),
        "days_flat": int((returns == 0).sum()),
        "days_lost": int((returns < 0).sum()),
    }


def risk_metrics(recording: Recording, times: np.ndarray, closes: np.ndarray, market: np.ndarray) -> dict[str, Any]:
    """Return risk-adjusted figures, the distribution of daily returns, and drawdowns."""
    returns = series.simple_returns(closes)
    beta = beta_of(returns, series.simple_returns(market))
    total, change = ratio(closes[-1] - closes[0], closes[0]) if len(closes) else NAN, market[-1] - 1.0 if len(market) else NAN
    samples = series.drawdowns(recording.equity["nav"])
    return {
        "sharpe": series.sharpe(returns),
        "sortino": series.sortino(returns),
        "calmar": series.calmar(returns),
        "psr": series.psr_of_returns(returns),
        "volatility": series.volatility(returns),
        "skew": series.skewness(returns),
        "kurtosis": series.kurtosis(returns),
        "max_drawdown_intraday": finite(samples.min()) if len(samples) else NAN,
        **drawdown_metrics(times, closes),
        "ulcer": series.ulcer_index(returns),
        "var_5": series.value_at_risk(returns),
        "es_5": series.expected_shortfall(returns),
        "tail_ratio": series.tail_ratio(returns),
        "alpha": finite(total - beta * change),
        "beta": beta,
    }


def drawdown_metrics(times: np.ndarray, closes: np.ndarray) -> dict[str, Any]:
    """Return depth, length and dates of the drawdowns of the daily closes."""
    depth, spans = series.drawdowns(closes), series.drawdown_spans(closes)
    enough = len(closes) > 1 and not np.isnan(depth[0])
    low = int(np.argmin(depth)) if enough else 0
    peak = int(np.argmax(closes[: low + 1])) if enough else 0
    fallen = enough and depth[low] < 0
    return {
        "max_drawdown": finite(depth[low]) if enough else NAN,
        "max_drawdown_usd": finite((closes - np.maximum.accumulate(closes)).min()) if enough else NAN,
        "max_drawdown_days": series.drawdown_duration(closes) if enough else NAN,
        "avg_drawdown": mean(np.array([depth[a:b].min() for a, b in spans])),
        "avg_drawdown_days": mean(spans[:, 1] - spans[:, 0]),
        "drawdown_start": str(times[peak].astype("datetime64[ns]").astype("datetime64[D]")) if fallen else None,
        "drawdown_end": str((times[low] - 1).astype("datetime64[ns]").astype("datetime64[D]")) if fallen else None,
        "underwater_share": mean(depth[1:] < 0) if enough else NAN,
    }


def beta_of(returns: np.ndarray, market: np.ndarray) -> float:
    """Return the covariance with the market's returns / their variance; NaN where the market did not move."""
    n = min(len(returns), len(market))
    if n < 2 or not deviation(market[:n]) > 0:
        return NAN
    centred = market[:n] - market[:n].mean()
    return ratio(float(((returns[:n] - returns[:n].mean()) * centred).sum()), float((centred**2).sum()))


def trade_metrics(recording: Recording) -> dict[str, Any]:
    """Return the statistics of the closed trades."""
    trades = recording.trades[np.argsort(recording.trades["exit_ns"], kind="stable")]
    step = recording.feed.instruments["step_size"]
    net, stake, r = tables.net_of(trades), tables.stake_of(trades, step), known(tables.r_multiples(trades))
    held = (trades["exit_ns"] - trades["entry_ns"]) / SECOND_NS
    row = tables.trade_row(trades, step)
    return {
        "n_trades": len(trades),
        "n_long": int((trades["side"] > 0).sum()),
        "n_short": int((trades["side"] < 0).sum()),
        "open_positions": int(recording.equity["open_positions"][-1]) if len(recording.equity) else 0,
        "trades_a_day": ratio(len(trades), (recording.end_ns - recording.start_ns) / DAY_NS),
        "hit_rate": row["hit_rate"],
        "profit_factor": row["profit_factor"],
        "payoff": tables.payoff(net),
        "expectancy": row["expectancy"],
        "expectancy_se": row["expectancy_se"],
        "expectancy_bps": row["expectancy_bps"],
        "mean_r": row["mean_r"],
        "sqn": tables.quality_number(r),
        "kelly": tables.kelly_fixed_odds(net),
        "long_net": float(net[trades["side"] > 0].sum()),
        "short_net": float(net[trades["side"] < 0].sum()),
        "avg_win": mean(net[net > 0]),
        "avg_loss": mean(net[net < 0]),
        "best_trade": finite(net.max()) if len(net) else NAN,
        "worst_trade": finite(net.min()) if len(net) else NAN,
        "wins_in_a_row": series.longest_run(net > 0),
        "losses_in_a_row": series.longest_run(net < 0),
        "avg_hold_s": mean(held),
        "max_hold_s": finite(held.max()) if len(held) else NAN,
        "avg_hold_win_s": mean(held[net > 0]),
        "avg_hold_loss_s": mean(held[net < 0]),
        "avg_stake": mean(stake),
    }


def cost_metrics(recording: Recording) -> dict[str, Any]:
    """Return the split of the account's result: realised gross, fees, funding, and the slippage inside the gross."""
    account, totals = recording.account, recording.totals
    traded = float(totals["traded_usd"])
    fees = int(account["fees_e8"]) / E8
    slippage = finite(totals["slippage_usd"])
    return {
        "gross_pnl": int(account["realised_e8"]) / E8,
        "fees": fees,
        "funding": int(account["funding_e8"]) / E8,
        "unrealised": finite(recording.equity["upnl"][-1]) if len(recording.equity) else NAN,
        "slippage": slippage,
        "spread_cost": finite(totals["spread_usd"]),
        "traded": finite(traded),
        "fees_bps": ratio(fees * 10_000.0, traded),
        "slippage_bps": ratio(slippage * 10_000.0, traded),
    }


def exposure_metrics(recording: Recording, closes: np.ndarray) -> dict[str, Any]:
    """Return time-weighted exposure as a share of equity, time in market, and turnover a year."""
    totals, equity = recording.totals, recording.equity
    years = (recording.end_ns - recording.start_ns) / SECOND_NS / YEAR_S
    net, gross, held = sampled_exposure(equity)
    return {
        "exposure_net": net,
        "exposure_gross": gross,
        "time_in_market": held,
        "turnover": ratio(ratio(totals["traded_usd"], mean(closes[1:])), years),
    }


def sampled_exposure(equity: np.ndarray) -> tuple[float, float, float]:
    """Return (|net| / equity, gross / equity, share of time with a position): each sample holds until the next one."""
    span = np.diff(equity["ts_ns"]).astype(np.float64)
    if not span.sum() > 0:
        return NAN, NAN, NAN
    rows = equity[:-1]
    nav = np.where(rows["nav"] > 0, rows["nav"], NAN)
    usable = ~np.isnan(nav) & (span > 0)
    weight = span[usable]
    net = ratio((np.abs(rows["net"][usable]) / nav[usable] * weight).sum(), weight.sum())
    gross = ratio((rows["gross"][usable] / nav[usable] * weight).sum(), weight.sum())
    return net, gross, ratio((span * (rows["open_positions"] > 0)).sum(), span.sum())


def execution_metrics(recording: Recording) -> dict[str, Any]:
    """Return how the orders were carried out: makers, fallbacks, waits, slippage against arrival, ambiguous exits."""
    totals, routes = recording.totals, recording.routes
    filled = routes["maker_lots"] + routes["taker_lots"] > 0
    return {
        "maker_share": ratio(totals["maker_usd"], float(totals["traded_usd"])),
        "n_orders": int(totals["orders"]),
        "n_rejects": int(totals["rejects"]),
        "n_cancels": int(totals["cancels"]),
        "n_routes": len(routes),
        "fallback_share": ratio(int((routes["fallback"] > 0).sum()), int((routes["maker_orders"] > 0).sum())),
        "gave_up_share": ratio(int((~filled).sum()), len(routes)),
        "avg_wait_s": mean(routes["waits_ns"][routes["maker_orders"] > 0] / SECOND_NS),
        "avg_slippage_bps": mean(known(routes["slippage_bps"][filled])),
        "ambiguous_exit_share": ratio(int(totals["ambiguous_exits"]), int(totals["exits"])),
        "liquidations": int(totals["liquidations"]),
    }


def route_outcomes(routes: np.ndarray) -> dict[str, int]:
    """Return how many parent orders ended in each outcome, by name."""
    counts = np.bincount(routes["outcome"].astype(np.int64), minlength=len(RouteOutcome))
    return {outcome.name.lower(): int(counts[outcome]) for outcome in RouteOutcome if counts[outcome]}


def without_nan(value: Any) -> Any:
    """Return the same structure with NaN and infinities as None and numpy scalars as Python numbers: ready for JSON."""
    if isinstance(value, dict):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
