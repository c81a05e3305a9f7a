"""The definition of every metric: its label, unit, group and formula, shown wherever the figure is shown.

A metric that is not listed here does not exist: `tests/test_metrics.py` holds the two lists equal. Shares and returns
are fractions (0.05 is 5 %), money is in quote units, durations in seconds or days as the key says.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """One figure of the report."""

    key: str
    label: str
    unit: str  # money, pct, ratio, count, days, seconds, bps, r, time
    group: str
    text: str


def _group(group: str, rows: tuple[tuple[str, str, str, str], ...]) -> tuple[Metric, ...]:
    return tuple(Metric(key, label, unit, group, text) for key, label, unit, text in rows)


_RESULT = _group(
    "Result",
    (
        ("start_equity", "Start equity", "money", "Equity at the first sample: the deposits."),
        ("final_equity", "Final equity", "money", "Wallet plus unrealised PnL at mark, at the last sample."),
        ("peak_equity", "Peak equity", "money", "Highest equity of all samples."),
        ("low_equity", "Lowest equity", "money", "Lowest equity of all samples."),
        ("net_pnl", "Net PnL", "money", "Final equity − start equity."),
        ("total_return", "Return", "pct", "Final equity / start equity − 1."),
        ("cagr", "CAGR", "pct", "(1 + return)^(365 / n) − 1 over n daily closes; a part of a day counts as a day."),
        ("market_return", "Market change", "pct", "All symbols held in equal parts, first open to last close, no costs."),
        ("n_days", "Days", "count", "Daily UTC closes in the run; a first or last part of a day counts as one."),
        ("best_day", "Best day", "pct", "Highest daily return."),
        ("worst_day", "Worst day", "pct", "Lowest daily return."),
        ("days_won", "Days won", "count", "Days with a return above zero."),
        ("days_flat", "Days flat", "count", "Days with a return of exactly zero."),
        ("days_lost", "Days lost", "count", "Days with a return below zero."),
    ),
)

_RISK = _group(
    "Risk",
    (
        ("sharpe", "Sharpe", "ratio", "mean / std (ddof 1) × √365 of daily returns, risk-free rate 0."),
        ("sortino", "Sortino", "ratio", "mean / √mean(min(r, 0)²) × √365, all days below the root."),
        ("calmar", "Calmar", "ratio", "CAGR / |maximum drawdown|."),
        ("psr", "PSR (vs 0)", "pct", "P(true Sharpe > 0) = Φ(SR·√(n−1) / √(1 − g3·SR + (g4−1)/4·SR²)), SR per day."),
        ("volatility", "Volatility", "pct", "Standard deviation (ddof 1) of daily returns × √365."),
        ("skew", "Skewness", "ratio", "g1 of daily returns: third central moment / variance^1.5 (both ddof 0)."),
        ("kurtosis", "Kurtosis", "ratio", "Raw b2 of daily returns (a normal one has 3)."),
        ("max_drawdown", "Max drawdown", "pct", "Lowest daily close / running peak − 1; the start counts as the first peak."),
        ("max_drawdown_intraday", "Max drawdown, intraday", "pct", "The same over every equity sample of the run."),
        ("max_drawdown_usd", "Max drawdown, amount", "money", "Largest fall of a daily close below its running peak."),
        ("max_drawdown_days", "Longest drawdown", "days", "Most daily closes in a row below an earlier peak."),
        ("avg_drawdown", "Average drawdown", "pct", "Mean of the depths of all drawdown episodes, on daily closes."),
        ("avg_drawdown_days", "Average drawdown length", "days", "Mean number of daily closes in a drawdown episode."),
        ("drawdown_start", "Drawdown from", "time", "Day of the peak before the deepest daily drawdown."),
        ("drawdown_end", "Drawdown low at", "time", "Day of the deepest daily drawdown."),
        ("underwater_share", "Time under water", "pct", "Share of days that closed below an earlier peak."),
        ("ulcer", "Ulcer index", "pct", "√mean(drawdown²) over the daily closes."),
        ("var_5", "VaR 5 %", "pct", "5 % quantile of daily returns, linearly interpolated."),
        ("es_5", "Expected shortfall 5 %", "pct", "Mean of the daily returns at or below VaR 5 %."),
        ("tail_ratio", "Tail ratio", "ratio", "|95 % quantile| / |5 % quantile| of daily returns."),
        ("alpha", "Alpha", "pct", "Return − beta × market change, over the whole run."),
        ("beta", "Beta", "ratio", "Covariance with the market's daily returns / their variance."),
    ),
)

_TRADES = _group(
    "Trades",
    (
        ("n_trades", "Trades", "count", "Closed trades: from flat to flat of one strategy on one symbol."),
        ("n_long", "Long trades", "count", "Closed trades that were long."),
        ("n_short", "Short trades", "count", "Closed trades that were short."),
        ("open_positions", "Open at the end", "count", "Positions open at the last sample; they are in no trade figure."),
        ("trades_a_day", "Trades a day", "ratio", "Closed trades / length of the run in days."),
        ("hit_rate", "Hit rate", "pct", "Trades with a net above zero / all trades; a zero is not a win."),
        ("profit_factor", "Profit factor", "ratio", "Sum of wins / |sum of losses|, on trades, net."),
        ("payoff", "Payoff", "ratio", "Average win / |average loss|."),
        ("expectancy", "Expectancy", "money", "Mean net result of a trade."),
        ("expectancy_se", "Standard error of expectancy", "money", "std (ddof 1) of net results / √n."),
        ("expectancy_bps", "Expectancy, bps", "bps", "Mean net result of a trade / notional at entry."),
        ("mean_r", "Expectancy in R", "r", "Mean R-multiple: net / amount risked to the stop, over trades that had a stop."),
        ("sqn", "SQN", "ratio", "√n × mean(R) / std(R) over trades that had a stop."),
        ("kelly", "Kelly, fixed odds", "pct", "Hit rate − (1 − hit rate) / payoff."),
        ("long_net", "Net of long trades", "money", "Sum of net results, long."),
        ("short_net", "Net of short trades", "money", "Sum of net results, short."),
        ("avg_win", "Average win", "money", "Mean net of winning trades."),
        ("avg_loss", "Average loss", "money", "Mean net of losing trades."),
        ("best_trade", "Best trade", "money", "Highest net of a trade."),
        ("worst_trade", "Worst trade", "money", "Lowest net of a trade."),
        ("wins_in_a_row", "Wins in a row", "count", "Longest run of winning trades, by time of exit."),
        ("losses_in_a_row", "Losses in a row", "count", "Longest run of losing trades, by time of exit."),
        ("avg_hold_s", "Average holding time", "seconds", "Mean time from first entry fill to last exit fill."),
        ("max_hold_s", "Longest holding time", "seconds", "Longest time from first entry fill to last exit fill."),
        ("avg_hold_win_s", "Holding time of wins", "seconds", "Mean holding time of winning trades."),
        ("avg_hold_loss_s", "Holding time of losses", "seconds", "Mean holding time of losing trades."),
        ("avg_stake", "Average stake", "money", "Mean notional at entry."),
    ),
)

_COSTS = _group(
    "Costs",
    (
        ("gross_pnl", "Realised gross", "money", "Realised PnL at fill prices, before fees and funding; slippage is inside."),
        ("fees", "Fees", "money", "Trading and liquidation fees paid (a cost is positive)."),
        ("funding", "Funding", "money", "Funding received (paid is negative)."),
        ("unrealised", "Unrealised", "money", "Open PnL at mark at the end of the run."),
        ("slippage", "Slippage", "money", "Fill prices against the price at the decision (a cost is positive); inside gross."),
        ("spread_cost", "Spread paid", "money", "Half spreads paid by takers, inside slippage."),
        ("traded", "Traded notional", "money", "Sum of |quantity × price| of all fills."),
        ("fees_bps", "Fees, bps of traded", "bps", "Fees / traded notional."),
        ("slippage_bps", "Slippage, bps of traded", "bps", "Slippage / traded notional."),
    ),
)

_EXPOSURE = _group(
    "Exposure",
    (
        ("exposure_net", "Net exposure", "pct", "Time-weighted mean of |net notional| / equity."),
        ("exposure_gross", "Gross exposure", "pct", "Time-weighted mean of gross notional / equity."),
        ("time_in_market", "Time in market", "pct", "Share of time with a position open, between equity samples."),
        ("turnover", "Turnover a year", "ratio", "Traded notional / mean daily equity / years."),
    ),
)

_EXECUTION = _group(
    "Execution",
    (
        ("maker_share", "Maker share", "pct", "Notional filled as maker / all traded notional."),
        ("n_orders", "Orders", "count", "Orders sent to the venue."),
        ("n_rejects", "Rejected orders", "count", "Orders the venue refused."),
        ("n_cancels", "Canceled orders", "count", "Orders taken back before they were filled."),
        ("n_routes", "Parent orders", "count", "Orders worked to their end by the router."),
        ("fallback_share", "Fallback to taker", "pct", "Parents that fell back to taker / parents allowed to be maker."),
        ("gave_up_share", "Given up", "pct", "Parent orders that ended without a fill / all parent orders."),
        ("avg_wait_s", "Average wait", "seconds", "Mean time that maker orders of a parent rested."),
        ("avg_slippage_bps", "Slippage a parent, bps", "bps", "Mean of fill price against arrival; a cost is positive."),
        ("ambiguous_exit_share", "Ambiguous exits", "pct", "Exits with stop and target in one bar / all exits."),
        ("liquidations", "Liquidations", "count", "Times the account was liquidated."),
    ),
)

METRICS: tuple[Metric, ...] = _RESULT + _RISK + _TRADES + _COSTS + _EXPOSURE + _EXECUTION
BY_KEY: dict[str, Metric] = {metric.key: metric for metric in METRICS}
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(metric.group for metric in METRICS))

TRADE_COLUMNS: tuple[Metric, ...] = _group(
    "Table",
    (
        ("n_trades", "Trades", "count", "Closed trades."),
        ("net", "Net", "money", "Gross − fees + funding of closed trades."),
        ("gross", "Gross", "money", "Realised PnL at fill prices."),
        ("fees", "Fees", "money", "Fees paid."),
        ("funding", "Funding", "money", "Funding received (paid is negative)."),
        ("slippage", "Slippage", "money", "Fill prices against the price at the decision; part of gross."),
        ("hit_rate", "Hit rate", "pct", "Winning trades / trades."),
        ("expectancy", "Expectancy", "money", "Mean net of a trade."),
        ("expectancy_se", "± s.e.", "money", "Standard error of the expectancy."),
        ("expectancy_bps", "bps", "bps", "Mean net of a trade per notional at entry."),
        ("profit_factor", "Profit factor", "ratio", "Sum of wins / |sum of losses|."),
        ("mean_r", "Mean R", "r", "Mean R-multiple of trades that had a stop."),
        ("maker_share", "Maker", "pct", "Maker share of entry and exit quantity, weighted by notional at entry."),
        ("ambiguous_share", "Ambiguous", "pct", "Trades whose exit was ambiguous inside its bar."),
        ("avg_hold_s", "Held", "seconds", "Mean holding time."),
    ),
)


class Kpi(NamedTuple):
    """One of the router's key figures: the mean, median or sum `of` its observations."""

    key: str
    label: str
    unit: str
    of: str
    text: str


def _side_kpis(word: str) -> tuple[Kpi, ...]:
    spreads = (
        Kpi(f"{word}_effective_spread_bps", f"Effective, {word}", "bps", "mean", f"2 · side · (fill − mid) / mid at {word} fills."),
        Kpi(f"{word}_realised_spread_bps", f"Realised, {word}", "bps", "mean", f"2 · side · (fill − mid 5 s later) / mid at {word} fills."),
    )
    markouts = tuple(
        Kpi(
            f"{word}_markout_{seconds}s_bps", f"{word.capitalize()} {seconds} s", "bps", "mean",
            f"Markout of {word} fills: side · (mid {seconds} s later − fill) / fill. Positive is good for us.",
        )
        for seconds in (1, 5, 30)
    )  # fmt: skip
    return (*spreads, *markouts)


KPIS: tuple[Kpi, ...] = (
    Kpi("maker_fill_rate", "Filled", "pct", "mean", "Post-only orders that filled, at least in part / those sent; a refusal is a miss."),
    Kpi("maker_filled_share", "Quantity filled", "pct", "mean", "Mean share of its quantity that a post-only order filled."),
    Kpi("reject_rate", "Refused", "pct", "mean", "Post-only orders refused at arrival because they would have taken / those sent."),
    Kpi("rejects", "Refusals", "count", "sum", "Orders of any kind that the exchange refused, for whatever reason; n: orders sent."),
    Kpi("time_to_fill_s", "To fill", "seconds", "median", "Median time from sending a post-only order to its first fill."),
    Kpi("time_to_fill_mean_s", "To fill, mean", "seconds", "mean", "Mean time from sending a post-only order to its first fill."),
    Kpi("latency_ms", "Latency, ms", "ratio", "median", "Median time from sending an order to knowing that it was taken or refused."),
    Kpi("latency_mean_ms", "Latency, mean", "ratio", "mean", "Mean time from sending an order to knowing that it was taken or refused."),
    Kpi("slippage_bps", "Slippage", "bps", "mean", "Mean over parents of fill price against the decision price; a cost is positive."),
    Kpi("fallback_share", "Fallback", "pct", "mean", "Parents that fell back to taker / parents that quoted."),
    Kpi("requotes", "Re-quotes", "count", "sum", "Quotes that parents renewed; n: parents that quoted."),
    *_side_kpis("maker"),
    *_side_kpis("taker"),
)
