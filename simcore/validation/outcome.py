"""The outcome of a replay inside one test window: daily returns, and what its trades and orders were like.

Only what the judge asks for is kept, so that a hundred replays fit in memory. A day's return is of the NAV at its first moment;
trades belong to the window they were decided in, orders to the one they were started in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simcore.engine.impact import impact_bps_nb

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.config import Config
    from simcore.replay import Recording

DAY_NS = 86_400_000_000_000
E8 = 1e8
BPS = 1e4
Span = tuple[int, int]

# One order of the router: share of its lots that a maker got (NaN: nothing quoted), what it paid beyond arrival, what a maker's
# fill was worth later, and how many of its requests the venue refused.
ORDER_ROW = np.dtype(
    [("day", np.int64), ("sent", np.int64), ("refused", np.int64), ("quoted", np.int64), ("filled", np.int64)]
    + [(name, np.float64) for name in ("slippage_bps", "markout_bps")]
)
# One closed trade: the day of its decision, its result, what it traded in both directions, what impact cost it, and how many times
# larger its entry could have been within the sizer's share of the day's volume.
TRADE_OUT = np.dtype(
    [("day", np.int64), ("ambiguous", np.int64)] + [(name, np.float64) for name in ("net_usd", "traded_usd", "impact_usd", "room")]
)


@dataclass(frozen=True)
class Outcome:
    """One policy in one window, or in several joined. days: UTC day numbers [n], returns [n] of these days.

    learned: daily returns of the training window before it. nav: at the start of the window, in quote units.
    """

    days: np.ndarray
    returns: np.ndarray
    learned: np.ndarray
    trades: np.ndarray
    orders: np.ndarray
    nav: float

    @property
    def drawdown(self) -> float:
        """The maximum drawdown of the compounded daily returns, as a positive fraction."""
        curve = np.concatenate([[1.0], np.cumprod(1.0 + self.returns)])
        return float((1.0 - curve / np.maximum.accumulate(curve)).max())

    @property
    def turnover(self) -> float:
        """What closed trades bought and sold a day, in NAVs."""
        return float(self.trades["traded_usd"].sum() / (self.nav * len(self.days)))

    @property
    def reject_share(self) -> float:
        """Of the orders sent, the share that the venue refused; 0 without orders."""
        return float(self.orders["refused"].sum() / max(1, self.orders["sent"].sum()))

    @property
    def ambiguous_share(self) -> float:
        """Of the trades, the share that ended in a bar which held both stop and target; 0 without trades."""
        return float((self.trades["ambiguous"] > 0).sum() / max(1, len(self.trades)))

    @property
    def room(self) -> float:
        """How many times larger the median trade could have been within the sizer's share of the day's volume; NaN without trades."""
        return float(np.median(self.trades["room"])) if len(self.trades) else math.nan

    @property
    def impact_a_day(self) -> float:
        """What impact cost a day, as a fraction of the NAV."""
        return float(self.trades["impact_usd"].sum() / (self.nav * len(self.days)))


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Return several windows as one, in their order."""
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("days", "returns", "learned", "trades", "orders")}
    return Outcome(**rows, nav=float(np.mean([part.nav for part in parts])))


def outcome_of(recording: Recording, config: Config, train: Span, test: Span, markout_ns: int) -> Outcome:
    """Return what a recording did on the days of `test`; spans are UTC day numbers, ends exclusive."""
    times, nav = recording.equity["ts_ns"], recording.equity["nav"]
    tested = daily_nav(times, nav, test)
    return Outcome(
        days=np.arange(*test),
        returns=daily_returns(tested),
        learned=daily_returns(daily_nav(times, nav, train)),
        trades=trades_of(recording, config, test),
        orders=orders_of(recording, test, markout_ns),
        nav=float(tested[0]),
    )


def daily_nav(times: np.ndarray, nav: np.ndarray, days: Span) -> np.ndarray:
    """Return the NAV at 00:00 UTC of each day and of the one after the last: the latest sample by then, else the first."""
    rows = np.searchsorted(times, np.arange(days[0], days[1] + 1) * DAY_NS, side="right") - 1
    closes: np.ndarray = nav[np.maximum(rows, 0)].astype(np.float64)
    return closes


def daily_returns(closes: np.ndarray) -> np.ndarray:
    """Return simple returns; 0 from an account that has nothing left."""
    before, change = closes[:-1], np.diff(closes)
    returns: np.ndarray = np.divide(change, before, out=np.zeros(len(change)), where=before > 0.0)
    return returns


def within(stamps: np.ndarray, days: Span) -> np.ndarray:
    mask: np.ndarray = (stamps >= days[0] * DAY_NS) & (stamps < days[1] * DAY_NS)
    return mask


def bars_at(feed: Feed, symbols: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the row of the bar that holds each time (the last one before it, in a gap); -1 before the first."""
    rows = np.full(len(times), -1, np.int64)
    for symbol in np.unique(symbols):
        first, end = (int(at) for at in feed.bar_range[symbol])
        mine = symbols == symbol
        rows[mine] = first + np.searchsorted(feed.bars["open_ns"][first:end], times[mine], side="right") - 1
        rows[mine & (rows < first)] = -1
    return rows


def trades_of(recording: Recording, config: Config, days: Span) -> np.ndarray:
    """Return TRADE_OUT rows of the trades decided on `days`."""
    trades, feed = recording.trades, recording.feed
    trades = trades[within(trades["decision_ns"], days)]
    out = np.zeros(len(trades), TRADE_OUT)
    lots = trades["qty_lots"] * feed.instruments["step_size"][trades["symbol"]]
    out["day"], out["ambiguous"], out["net_usd"] = trades["decision_ns"] // DAY_NS, trades["ambiguous"], trades["net_usd"]
    out["traded_usd"] = lots * (trades["entry_price"] + trades["exit_price"])
    taken = trades["taker_lots"] / np.maximum(trades["maker_lots"] + trades["taker_lots"], 1)
    for moment, price in (("entry_ns", "entry_price"), ("exit_ns", "exit_price")):
        out["impact_usd"] += taken * lots * trades[price] * impacts(feed, config, trades["symbol"], trades[moment], lots, trades[price])
    rows = bars_at(feed, trades["symbol"], trades["entry_ns"])
    share = config.strategy_config.defaults.sizing.max_participation_pct
    out["room"] = share * np.nan_to_num(feed.bars["volume_day"][rows].astype(np.float64)) / lots
    return out


def impacts(feed: Feed, config: Config, symbols: np.ndarray, times: np.ndarray, qty: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Return the venue's square-root impact of each fill, as a fraction of its price."""
    model = config.settings.bar_model
    rows = bars_at(feed, symbols, times)
    impact = getattr(impact_bps_nb, "py_func", impact_bps_nb)
    found = [
        impact(
            float(feed.bars["sigma_day"][row]), float(feed.bars["volume_day"][row]), each, model.impact_y,
            model.fallback_sigma_day, model.fallback_volume_day_usd / price,
        )
        for row, each, price in zip(rows, qty, prices, strict=True)
    ]  # fmt: skip
    return np.array(found, np.float64) / BPS


def orders_of(recording: Recording, days: Span, markout_ns: int) -> np.ndarray:
    """Return ORDER_ROW rows of the parent orders started on `days`."""
    routes, feed = recording.routes, recording.feed
    routes = routes[within(routes["started_ns"], days)]
    out = np.zeros(len(routes), ORDER_ROW)
    out["day"], out["refused"] = routes["started_ns"] // DAY_NS, routes["rejects"]
    out["sent"] = routes["maker_orders"] + routes["taker_orders"]
    out["quoted"], out["filled"] = routes["maker_orders"] > 0, routes["maker_lots"] > 0
    done = routes["maker_lots"] + routes["taker_lots"] > 0
    out["slippage_bps"] = np.where(done, routes["slippage_bps"], np.nan)
    rows = bars_at(feed, routes["symbol"], routes["done_ns"] + markout_ns)
    later = feed.bars["close_ticks"][rows] * feed.instruments["tick_size"][routes["symbol"]]
    with np.errstate(invalid="ignore", divide="ignore"):
        paid = routes["arrival"] * (1.0 + routes["side"] * routes["slippage_bps"] / BPS)
        markout = routes["side"] * (later - paid) / paid * BPS
    out["markout_bps"] = np.where((routes["maker_lots"] > 0) & (rows >= 0), markout, np.nan)
    return out
