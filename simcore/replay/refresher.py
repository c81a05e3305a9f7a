"""The refresher: when a replay learns, and what it hands to the core between two slices.

A tick at time t comes before everything that happens at t, and knows only what was known before. At multiples of `learn_every_s`
policies are learned anew, at multiples of `apply_every_s` the figures of the new hour and regime are chosen. What goes into
force is an input of the core like any other: the journal records it, and its re-run learns nothing. Under a history of
policies nothing is learned either: at every tick the policy as it stood then is in force.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay_data.feed import Feed
from simcore.domain.enums import LedgerKind
from simcore.domain.errors import ConfigError
from simcore.domain.records import LEDGER, ROUTE, TRADE
from simcore.engine.schedule import NEVER
from simcore.learning.allocator import SymbolBounds
from simcore.learning.autotune import RouterMetrics, maker_markouts, router_metrics
from simcore.learning.refresh import (
    NS,
    Policies,
    for_the_hour,
    learn,
    limit_rows,
    limits_in_force,
    masked,
    policy_rows,
    put_into_force,
    regimes_of,
    stages,
)
from simcore.learning.snapshots import PolicyHistory
from simcore.learning.trades import from_records
from simcore.replay.plan import Plan

# Orders whose weight is below 2^-10 are not gone through any more.
REMEMBERED_HALF_LIVES = 10


@dataclass(frozen=True)
class Decree:
    """What comes into force at `ts_ns`: POLICY rows, one a symbol, and LIMITS rows [strategies, symbols]."""

    ts_ns: int
    policies: np.ndarray
    limits: np.ndarray

    def enforce(self, core: Any) -> None:
        """Put it into force in a core."""
        put_into_force(core, self.policies, self.limits, self.ts_ns)


class Refresher:
    """The learning of one replay: the evidence so far, the policies in force, and when the next tick is due (`next_ns`)."""

    def __init__(self, plan: Plan, core: Any, instruments: np.ndarray, history: PolicyHistory | None = None) -> None:
        rules = plan.config.learning.refresh
        self.plan = plan
        self.history = history
        self.instruments = instruments
        self.base = core["policy"][: len(plan.feed.symbols)].copy()
        self.base_limits = limits_in_force(core)
        self.current = Policies()
        self.snapshots: list[Policies] = []
        self.learn_ns, self.apply_ns = round(rules.learn_every_s * NS), round(rules.apply_every_s * NS)
        self.end_ns = plan.feed.end_ns
        self._said: Policies | None = None
        self._limits = self.base_limits
        self._policies = self.base
        self._opens: tuple[np.ndarray | None, list[np.ndarray]] = (None, [])
        self._held_until = -NEVER
        self._rows: dict[str, list[np.ndarray]] = {"trade": [], "route_done": [], "ledger": []}
        self.next_ns = plan.feed.start_ns if history is not None else self.tick_after(plan.feed.start_ns)

    def copy(self) -> Refresher:
        """Return an independent copy."""
        twin = copy.copy(self)
        twin.snapshots = list(self.snapshots)
        twin._rows = {name: list(parts) for name, parts in self._rows.items()}
        return twin

    # ------------------------------------------------------------ evidence

    def note(self, core: Any) -> None:
        """Take trades, finished parent orders and maker fills out of the core's tables before they are emptied."""
        if self.history is not None:
            return
        for counter, name in (("n_trades", "trade"), ("n_routes_done", "route_done")):
            if core[counter]:
                self._rows[name].append(core[name][: core[counter]].copy())
        written = core["ledger"][: core["n_ledger"]]
        fills = written[(written["kind"] == LedgerKind.FILL) & (written["x0"] == 1.0)]
        if fills.size:
            self._rows["ledger"].append(fills.copy())

    def rows(self, name: str, layout: np.dtype) -> np.ndarray:
        """Return all rows noted of one table."""
        whole = np.concatenate([*self._rows[name], np.zeros(0, layout)])
        self._rows[name] = [whole]
        return whole

    # ------------------------------------------------------------ ticks

    def tick_after(self, ts_ns: int) -> int:
        """Return the time of the first tick after `ts_ns`, NEVER when the tape ends before it."""
        ticks = [(ts_ns // every + 1) * every for every in (self.learn_ns, self.apply_ns)]
        if self.history is not None:
            ticks[0] = self.history.next_change_ns(ts_ns) or NEVER
        tick = min(ticks)
        return tick if tick <= self.end_ns else NEVER

    def tick(self, core: Any, feed: Feed) -> Decree | None:
        """Return what comes into force at the tick that is due, None when nothing changes; the next tick is then due."""
        now = self.next_ns
        self.next_ns = self.tick_after(now)
        if self.history is not None:
            self._look_up(now, self.history)
        elif now % self.learn_ns == 0:
            self.current = self.learned(core, feed, now)
            self.snapshots.append(self.current)
        symbols = self.plan.feed.symbols
        if self._said is not self.current:
            self._said = self.current
            self._limits = limit_rows(self.current, self.base_limits, [use.name for use in self.plan.uses], symbols)
            self._policies = policy_rows(self.current, self.base, symbols)
        policies = for_the_hour(self.current, self._policies, symbols, now, regimes_of(core))
        same = policies.tobytes() == core["policy"][: len(symbols)].tobytes()
        same = same and self._limits.tobytes() == limits_in_force(core).tobytes()
        return None if same else Decree(now, policies, self._limits)

    def _look_up(self, now_ns: int, history: PolicyHistory) -> None:
        if now_ns < self._held_until:
            return
        self._held_until = history.next_change_ns(now_ns) or NEVER
        found = history.as_of(now_ns)
        self.current = Policies() if found is None else masked(found, self.plan.config)

    def learned(self, core: Any, feed: Feed, now_ns: int) -> Policies:
        """Return the policies learned from what was known before `now_ns`."""
        plan, account = self.plan, core["account"]
        steps = self.instruments["step_size"]
        trades = from_records(self.rows("trade", TRADE), plan.feed.symbols, steps, [use.name for use in plan.uses])
        nav = float(account["nav"]) if account["nav_ts_ns"] > 0 else plan.config.cash
        markets = core["market"][: len(plan.feed.symbols)]
        return learn(
            trades, now_ns, self.current, plan.config, nav - plan.config.reserve_nav,
            drawdown_pct=float(account["drawdown_pct"]),
            orders=self.measured(feed, now_ns) if "autotune" in stages(plan.config) else None,
            bounds={symbol: self.bounds(at) for at, symbol in enumerate(plan.feed.symbols)},
            sigmas={symbol: float(markets["sigma_day"][at]) for at, symbol in enumerate(plan.feed.symbols)},
        )  # fmt: skip

    def bounds(self, symbol: int) -> SymbolBounds:
        """Return a symbol's configured limits: those of the strategy that is allowed most, for each is tightened by its own later."""
        rows = self.base_limits[:, symbol]
        return SymbolBounds(*(float(rows[name].max()) for name in ("max_symbol_nav_pct", "max_order_notional", "max_trade_nav_pct")))

    def measured(self, feed: Feed, now_ns: int) -> dict[str, RouterMetrics]:
        """Return what each symbol's orders have cost by `now_ns`."""
        rules = self.plan.config.learning.autotune
        since = now_ns - round(REMEMBERED_HALF_LIVES * rules.half_life_s * NS)
        fills, routes = self.rows("ledger", LEDGER), self.rows("route_done", ROUTE)
        fills, routes = fills[fills["ts_ns"] >= since], routes[routes["done_ns"] >= since]

        def closes(symbol: int) -> tuple[np.ndarray, np.ndarray]:
            first = int(feed.bar_range[symbol][0])
            begin, stop = np.searchsorted(self.opens(feed)[symbol], (since - int(feed.interval_ns[symbol]), now_ns))
            bars = feed.bars[first + begin : first + stop]
            return bars["open_ns"] + feed.interval_ns[symbol], bars["close_ticks"] * self.instruments["tick_size"][symbol]

        ticks = self.instruments["tick_size"]
        markouts = maker_markouts(fills, ticks, closes, round(rules.markout_s * NS), now_ns)
        costs = router_metrics(routes, len(ticks), now_ns, rules, instruments=self.instruments, markouts=markouts)
        return dict(zip(self.plan.feed.symbols, costs, strict=True))


    def opens(self, feed: Feed) -> list[np.ndarray]:
        """Return the opening times of each symbol's bars, put together once a feed."""
        if self._opens[0] is not feed.bars:
            self._opens = feed.bars, [np.ascontiguousarray(feed.bars["open_ns"][first:end]) for first, end in feed.bar_range]
        return self._opens[1]


def make_refresher(plan: Plan, core: Any, instruments: np.ndarray, history: PolicyHistory | None = None) -> Refresher | None:
    """Return the refresher of a run, None while every stage of learning is switched off.

    Raises ConfigError when a history of policies is to be replayed with learning switched off.
    """
    if stages(plan.config):
        return Refresher(plan, core, instruments, history)
    if history is not None:
        raise ConfigError(
            "settings.json: v6_enabled: is false, so the history of policies would change nothing. "
            'Set "v6_enabled": true and the stages that are to count.'
        )
    return None
