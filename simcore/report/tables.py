"""The trade table: the same figures for any group of trades — all, one symbol, one hour, one exit reason."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.domain.enums import Purpose
from simcore.series import NAN, deviation, known, mean, ratio

if TYPE_CHECKING:
    from simcore.replay import Recording

E8 = 100_000_000
SECOND_NS = 1_000_000_000
HOURS = 24


def net_of(trades: np.ndarray) -> np.ndarray:
    """Return the net result of each trade in quote units, from the integer books: gross − fees + funding."""
    net: np.ndarray = (trades["gross_e8"] - trades["fees_e8"] + trades["funding_e8"]) / E8
    return net


def stake_of(trades: np.ndarray, step_size: np.ndarray) -> np.ndarray:
    """Return the notional at entry of each trade, in quote units; `step_size` is per symbol."""
    stake: np.ndarray = trades["qty_lots"] * step_size[trades["symbol"]] * trades["entry_price"]
    return stake


def profit_factor(net: np.ndarray) -> float:
    """Return the sum of wins / |sum of losses|; NaN without a loss."""
    return ratio(net[net > 0].sum(), abs(net[net < 0].sum()))


def hit_rate(net: np.ndarray) -> float:
    """Return wins / trades; a zero is not a win."""
    return ratio(int((net > 0).sum()), len(net))


def payoff(net: np.ndarray) -> float:
    """Return the average win / |average loss|."""
    return ratio(mean(net[net > 0]), abs(mean(net[net < 0])))


def kelly_fixed_odds(net: np.ndarray) -> float:
    """Return hit rate − (1 − hit rate) / payoff."""
    return hit_rate(net) - ratio(1.0 - hit_rate(net), payoff(net))


def standard_error(values: np.ndarray) -> float:
    """Return std (ddof 1) / √n."""
    return deviation(values) / math.sqrt(len(values)) if len(values) > 1 else NAN


def quality_number(r_multiples: np.ndarray) -> float:
    """Return SQN: √n × mean(R) / std(R), over the trades that have an R-multiple."""
    values = known(r_multiples)
    return ratio(math.sqrt(len(values)) * mean(values), deviation(values)) if len(values) > 1 else NAN


def r_multiples(trades: np.ndarray) -> np.ndarray:
    """Return the R-multiple of each trade, NaN where no stop said what was risked."""
    return np.where(trades["risk_usd"] > 0, trades["r_multiple"], NAN)


def trade_row(trades: np.ndarray, step_size: np.ndarray) -> dict[str, float]:
    """Return one row of the trade table (`definitions.TRADE_COLUMNS`) for a group of trades."""
    net, stake = net_of(trades), stake_of(trades, step_size)
    filled = trades["maker_lots"] + trades["taker_lots"]
    maker = np.divide(trades["maker_lots"], filled, out=np.zeros(len(trades)), where=filled > 0)
    bps = np.divide(net * 10_000.0, stake, out=np.full(len(trades), NAN), where=stake > 0)
    return {
        "n_trades": len(trades),
        "net": float(net.sum()),
        "gross": int(trades["gross_e8"].sum()) / E8,
        "fees": int(trades["fees_e8"].sum()) / E8,
        "funding": int(trades["funding_e8"].sum()) / E8,
        "slippage": float(trades["slippage_usd"].sum()),
        "hit_rate": hit_rate(net),
        "expectancy": mean(net),
        "expectancy_se": standard_error(net),
        "expectancy_bps": mean(known(bps)),
        "profit_factor": profit_factor(net),
        "mean_r": mean(known(r_multiples(trades))),
        "maker_share": ratio((maker * stake).sum(), stake.sum()),
        "ambiguous_share": ratio(int((trades["ambiguous"] > 0).sum()), len(trades)),
        "avg_hold_s": mean((trades["exit_ns"] - trades["entry_ns"]) / SECOND_NS),
    }


def split(trades: np.ndarray, codes: np.ndarray, step_size: np.ndarray, wanted: Iterable[int]) -> list[dict[str, float]]:
    """Return one trade row for each wanted code, in that order; a code without trades gives a row of zero trades."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    rows = []
    for code in wanted:
        low, high = np.searchsorted(ordered, [code, code + 1])
        rows.append(trade_row(trades[order[low:high]], step_size))
    return rows


def named(labels: Iterable[str], rows: Iterable[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return {label: row}."""
    return dict(zip(labels, rows, strict=True))


def trade_tables(recording: Recording) -> dict[str, dict[str, Any]]:
    """Return the trade table by symbol, strategy, hour of decision (UTC, "00".."23"), exit reason and side."""
    trades, feed = recording.trades, recording.feed
    step = feed.instruments["step_size"]
    purposes = sorted({int(code) for code in trades["exit_purpose"]})
    exits = split(trades, trades["exit_purpose"], step, purposes)
    return {
        "per_symbol": named(feed.symbols, split(trades, trades["symbol"], step, range(len(feed.symbols)))),
        "per_strategy": named(recording.strategies, split(trades, trades["strategy"], step, range(len(recording.strategies)))),
        "per_hour": named((f"{hour:02d}" for hour in range(HOURS)), split(trades, trades["hour"], step, range(HOURS))),
        "per_exit_reason": named((purpose_name(code) for code in purposes), exits),
        "per_side": named(("long", "short"), split(trades, trades["side"], step, (1, -1))),
    }


def purpose_name(code: int) -> str:
    """Return the word for a Purpose code, `code N` for one this version does not know."""
    return Purpose(code).name.lower() if code in Purpose._value2member_map_ else f"code {code}"
