"""The queue twin: one resting order at one price, in decimals of the base unit, told as the model's formulas are written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

ZERO, ONE = Decimal(0), Decimal(1)


def share_behind(model: str, n: float, front: Decimal, back: Decimal) -> Decimal:
    """Return the share of a decrease that stood behind an order with `front` ahead of it and `back` behind."""
    with localcontext(prec=60):
        if model in ("power", "power2", "power3"):
            power = Decimal(n)
            if model == "power":
                return back**power / (back**power + front**power)
            if model == "power2":
                return back**power / (back + front) ** power
            return ONE - (front / (front + back)) ** power
        if model == "log":
            return (ONE + back).ln() / ((ONE + back).ln() + (ONE + front).ln())
        if model == "log2":
            return (ONE + back).ln() / (ONE + back + front).ln()
        return ONE


@dataclass
class Queued:
    """An order of `leaves` behind `front`."""

    model: str
    n: float
    lot: Decimal
    front: Decimal
    leaves: Decimal
    traded: Decimal = ZERO

    def depth(self, prev: Decimal, new: Decimal) -> None:
        """Let the displayed quantity change from `prev` to `new`."""
        change = prev - new - self.traded
        self.traded = ZERO
        if change < 0:
            self.front = min(self.front, new)
            return
        if self.front == 0:
            return
        back = prev - self.front
        p = share_behind(self.model, self.n, self.front, back)
        self.front = max(ZERO, min(self.front - (ONE - p) * change + min(back - p * change, ZERO), new))

    def trade(self, qty: Decimal) -> Decimal:
        """Let the opposite aggressor trade `qty` at the price; return what the order gets of it."""
        self.front -= qty
        self.traded += qty
        lots = (-self.front / self.lot).quantize(ONE, rounding=ROUND_HALF_UP)
        self.front = max(ZERO, self.front)
        got = min(self.leaves, lots * self.lot) if lots > 0 else ZERO
        self.leaves -= got
        return got

    def through(self, qty: Decimal, full: bool) -> Decimal:
        """Let a trade of `qty` pass through the price; return what the order gets of it."""
        self.front = ZERO
        got = self.leaves if full else min(self.leaves, qty)
        self.leaves -= got
        return got
