"""The venue's slow twin: bar matching of one symbol in plain Python, with lists, dicts and fractions, to be believed at sight.

Written from the rules, not from the kernels. Prices are whole ticks, quantities whole lots; a position is a number a leg.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

BUY, SELL = 1, -1
SNAP = Fraction(1, 1_000_000)  # the grid's tolerance for prices that are floats elsewhere


@dataclass
class Rules:
    """What the exchange and the model of it are set to. Spreads in basis points, latency in ns."""

    cap: float = 0.1
    touch: bool = False
    half_bps: float = 1.0
    slip: int = 1
    tick_step: int = 1
    lot_step: int = 1
    latency: int = 0


@dataclass
class Order:
    """One order as the twin keeps it; stops and targets are orders that belong to a strategy's holding."""

    id: int
    strategy: int
    side: int
    leg: str
    purpose: str  # entry, exit, stop, target
    tif: str  # gtc, ioc, gtx
    lots: int
    ticks: int | None  # None: market
    sent: int = 0
    stop: int | None = None
    target: int | None = None
    left: int = 0
    decided: bool = False
    triggered: bool = False
    cancel_at: int | None = None
    joined: list[tuple[int, int]] = field(default_factory=list)  # (when, lots) of what a target is for

    @property
    def closes(self) -> bool:
        """Say whether the order may only reduce."""
        return self.purpose != "entry"

    @property
    def bound(self) -> bool:
        """Say whether the order came with a position."""
        return self.purpose in ("stop", "target")


class Twin:
    """One symbol's market in hedge mode."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.orders: list[Order] = []
        self.held = {"long": 0, "short": 0}
        self.reports: list[dict[str, Any]] = []

    # ------------------------------------------------------------ requests

    def send(self, order: Order) -> None:
        """Take a new order, unless it would only reduce and there is nothing to reduce."""
        order.left = order.lots
        if order.closes and self.closable(order) == 0:
            self.say("rejected", order)
            return
        self.orders.append(order)
        self.say("accepted", order)

    def cancel(self, order_id: int, now: int) -> None:
        """Take an order back, now or when the message has arrived; one that is gone is gone."""
        for order in list(self.orders):
            if order.id == order_id:
                order.cancel_at = now + self.rules.latency
                if self.rules.latency == 0:
                    self.drop(order, "canceled")

    # ------------------------------------------------------------ a bar

    def play(self, opened_at: int, closed_at: int, opened: int, high: int, low: int, volume: int) -> None:
        """Match every order against one bar, in the order of the rules, older orders first."""
        self.now = self.opened_at = opened_at
        self.open, self.high, self.low = opened, high, low
        self.left_in_bar = math.floor(Fraction(self.rules.cap) * volume)
        for order in self.by_age():
            if order.cancel_at is not None and order.cancel_at <= opened_at:
                self.drop(order, "canceled")
            elif not order.bound and not order.decided and self.arrived(order):
                self.decide(order)
        self.now = closed_at
        for order in self.by_age():
            if order.purpose == "entry" and self.arrived(order):
                self.rest(order)
        for order in self.by_age():
            if order.purpose == "stop":
                self.watch(order)
        for order in self.by_age():
            if order.closes and order.purpose != "stop" and self.arrived(order):
                self.rest(order)
        for order in self.by_age():
            if order.cancel_at is not None and order.cancel_at <= closed_at:
                self.drop(order, "canceled")

    def by_age(self) -> list[Order]:
        """Return the live orders, oldest first; some may be gone when their turn comes."""
        return [order for order in sorted(self.orders, key=lambda order: order.id) if order in self.orders]

    def arrived(self, order: Order) -> bool:
        """Say whether the order is still there and had arrived when the bar opened."""
        return order in self.orders and (order.bound or order.sent + self.rules.latency <= self.opened_at)

    def decide(self, order: Order) -> None:
        """Decide an order at the open of its first bar: refuse it, let it rest, or let it take."""
        order.decided = True
        best = self.worse(order.side, Fraction(self.open), 0)
        would_take = order.ticks is None or order.side * (order.ticks - best) >= 0
        if order.tif == "gtx":
            if would_take:
                self.drop(order, "rejected")
            return
        if would_take:
            lots = min(order.left, self.room(), self.closable(order) if order.closes else order.left)
            if lots > 0:
                self.fill(order, lots, best, maker=False)
        if order in self.orders and order.tif == "ioc":
            self.drop(order, "expired")

    def rest(self, order: Order) -> None:
        """Fill a resting order at its limit if the bar traded beyond it."""
        if order not in self.orders or order.ticks is None:
            return
        beyond = 0 if self.rules.touch else self.rules.tick_step
        reached = self.low <= order.ticks - beyond if order.side == BUY else self.high >= order.ticks + beyond
        fresh = sum(lots for when, lots in order.joined if when > self.opened_at)
        lots = min(order.left - fresh, self.room(), self.closable(order) if order.closes else order.left)
        if reached and lots > 0:
            self.fill(order, lots, order.ticks, maker=True)

    def watch(self, order: Order) -> None:
        """Trigger a stop that the bar touched; from then on it is a market order."""
        if order not in self.orders or order.ticks is None:
            return
        level = self.open if order.triggered else order.ticks
        touched = self.high >= level if order.side == BUY else self.low <= level
        if not (order.triggered or touched):
            return
        order.triggered = True
        lots = min(order.left, self.room(), self.closable(order))
        if lots > 0:
            start = max(level, self.open) if order.side == BUY else min(level, self.open)
            both = self.target_reached(order)
            self.fill(order, lots, self.worse(order.side, Fraction(start), self.rules.slip * self.rules.tick_step), maker=False, both=both)

    def target_reached(self, stop: Order) -> bool:
        """Say whether the same strategy's target was reached in the bar of its stop."""
        beyond = 0 if self.rules.touch else self.rules.tick_step
        for order in self.orders:
            if order.purpose == "target" and order.strategy == stop.strategy and order.ticks is not None:
                return self.low <= order.ticks - beyond if order.side == BUY else self.high >= order.ticks + beyond
        return False

    # ------------------------------------------------------------ what they share

    def worse(self, side: int, ticks: Fraction, slip: int) -> int:
        """Return what a taker pays from `ticks`: slippage, half a spread, and the exchange's tick against it."""
        price = (ticks + side * slip) * (1 + side * Fraction(self.rules.half_bps) / 10_000) / self.rules.tick_step
        steps = math.ceil(price - SNAP) if side == BUY else math.floor(price + SNAP)
        return max(1, steps) * self.rules.tick_step

    def room(self) -> int:
        """Return what own orders may still fill in this bar."""
        return max(0, self.left_in_bar // self.rules.lot_step * self.rules.lot_step)

    def closable(self, order: Order) -> int:
        """Return what the order could close."""
        return max(0, -order.side * self.held[order.leg])

    def fill(self, order: Order, lots: int, ticks: int, *, maker: bool, both: bool = False) -> None:
        """Book a fill and let the exits of the same holding follow it."""
        self.left_in_bar -= lots
        self.held[order.leg] += order.side * lots
        order.left -= lots
        self.reports.append(
            {"kind": "fill", "id": order.id, "lots": lots, "ticks": ticks, "maker": maker, "left": order.left, "both": both}
        )
        if order.closes:
            for other in [o for o in self.orders if o is not order and o.closes and o.strategy == order.strategy]:
                other.left = max(0, other.left - lots)
                if other.left == 0:
                    self.drop(other, None if other.bound else "canceled")
        else:
            if order.stop is not None:
                level = min(order.stop, ticks) if order.side == BUY else max(order.stop, ticks)
                self.bind(order, "stop", level, lots, order.id + 1)
            if order.target is not None:
                self.bind(order, "target", order.target, lots, order.id + 2)
        if order.left == 0 and order in self.orders:
            self.orders.remove(order)

    def bind(self, entry: Order, purpose: str, ticks: int, lots: int, order_id: int) -> None:
        """Place, or enlarge, the strategy's stop or target."""
        for order in self.orders:
            if order.purpose == purpose and order.strategy == entry.strategy:
                order.left += lots
                order.joined.append((self.now, lots))
                if purpose == "stop" and order.ticks is not None:
                    order.ticks = min(order.ticks, ticks) if entry.side == BUY else max(order.ticks, ticks)
                return
        made = Order(order_id, entry.strategy, -entry.side, entry.leg, purpose, "gtc", lots, ticks, left=lots)
        made.joined.append((self.now, lots))
        self.orders.append(made)

    def drop(self, order: Order, word: str | None) -> None:
        """Take an order off the table and say so."""
        if word:
            self.say(word, order)
        self.orders.remove(order)

    def say(self, kind: str, order: Order) -> None:
        """Report an order's new state."""
        self.reports.append({"kind": kind, "id": order.id, "left": order.left})
