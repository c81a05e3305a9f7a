"""The margin twin: maintenance as a sum over the slices of a notional, like an income tax; liquidation by looking everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

# A bracket is (floor, rate). There is no `cum` here: it is what the exchange adds to avoid this very sum.
Brackets = Sequence[tuple[Fraction, Fraction]]
SignedLeg = tuple[Fraction, Fraction]


def bracket_index(brackets: Brackets, notional: Fraction) -> int:
    """Return the last bracket whose floor lies below the notional."""
    below = [i for i, (floor, _rate) in enumerate(brackets) if floor < notional]
    return below[-1] if below else 0


def maintenance(brackets: Brackets, notional: Fraction) -> Fraction:
    """Return the maintenance margin: every slice of the notional at the rate of its own bracket."""
    total = Fraction(0)
    for i, (floor, rate) in enumerate(brackets):
        cap = brackets[i + 1][0] if i + 1 < len(brackets) else max(notional, floor)
        total += max(Fraction(0), min(notional, cap) - floor) * rate
    return total


def surplus(brackets: Brackets, balance: Fraction, legs: Sequence[SignedLeg], price: Fraction) -> Fraction:
    """Return margin balance minus maintenance at a mark price; legs are (signed quantity, entry)."""
    equity = balance + sum(qty * (price - entry) for qty, entry in legs)
    return equity - sum(maintenance(brackets, abs(qty) * price) for qty, _entry in legs)


def liquidation_prices(brackets: Brackets, balance: Fraction, legs: Sequence[SignedLeg]) -> list[Fraction]:
    """Return every positive price at which the surplus changes its sign, by solving it on each straight piece."""
    kinks = {Fraction(0)}
    for qty, _entry in legs:
        if qty:
            kinks |= {floor / abs(qty) for floor, _rate in brackets}
    edges = sorted(kinks)
    edges.append(edges[-1] + 1)
    roots: list[Fraction] = []
    for i, (left, right) in enumerate(zip(edges, edges[1:], strict=False)):
        at_left, at_right = (surplus(brackets, balance, legs, price) for price in (left, right))
        slope = (at_right - at_left) / (right - left)
        if slope == 0:
            continue
        root = left - at_left / slope
        last = i == len(edges) - 2
        if root > 0 and left <= root and (root < right or last):
            roots.append(root)
    return sorted(set(roots))
