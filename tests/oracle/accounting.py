"""The accounting twin: one leg in exact fractions, one wallet as a list of what happened to it. Slow and plain."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class OracleLeg:
    """A position leg: signed quantity in lots, average entry in ticks, realised PnL in tick-lots."""

    qty: int = 0
    entry: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    fills: list[tuple[int, int]] = field(default_factory=list)

    def fill(self, side: int, qty: int, price: int) -> None:
        """Book a fill: what closes realises against the entry, what opens is averaged into it."""
        self.fills.append((side * qty, price))
        held = abs(self.qty)
        if self.qty * side < 0:
            closed = min(held, qty)
            direction = 1 if self.qty > 0 else -1
            self.realised += closed * direction * (price - self.entry)
            self.qty += side * closed
            held, qty = held - closed, qty - closed
        if qty > 0:
            self.entry = (self.entry * held + price * qty) / (held + qty)
            self.qty += side * qty

    def unrealised(self, mark: int) -> Fraction:
        """Return the PnL of the open quantity at `mark`, in tick-lots."""
        return self.qty * (mark - self.entry)

    def total(self, mark: int) -> int:
        """Return realised plus unrealised PnL in tick-lots by the shortest definition there is."""
        return sum(signed * (mark - price) for signed, price in self.fills)


@dataclass
class OracleWallet:
    """A wallet as the sum of its bookings."""

    bookings: list[tuple[str, int]] = field(default_factory=list)

    def book(self, kind: str, amount: int) -> None:
        """Remember one change of the wallet, in 1e-8 quote units, signed as the wallet feels it."""
        self.bookings.append((kind, amount))

    def total(self, *kinds: str) -> int:
        """Return the sum of all bookings, or of the named kinds."""
        return sum(amount for kind, amount in self.bookings if not kinds or kind in kinds)


def fee(notional_e8: int, rate_e8: int) -> int:
    """Return the fee, cut towards zero at 1e-8."""
    exact = Fraction(notional_e8 * rate_e8, 10**8)
    return int(exact)


def funding(qty_lots: int, step: Fraction, mark: Fraction, rate_e8: int) -> Fraction:
    """Return the exact wallet change of a settlement in 1e-8 quote units, before any rounding: longs pay a positive rate."""
    return -qty_lots * step * mark * 10**8 * Fraction(rate_e8, 10**8)
