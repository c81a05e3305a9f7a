"""The fill twin: bar rules as sentences about prices, a book as a list of single lots."""

from __future__ import annotations

from fractions import Fraction

BookLevels = list[tuple[int, int]]


def maker_fill_lots(
    side: int, limit: int, leaves: int, low: int, high: int, volume: int, cap: float, touch: bool, tick: int, lot: int
) -> int:
    """Return what a bar fills of a resting order: it must trade beyond the limit, and leaves us at most our share of it."""
    prices_that_fill = range(limit + 1) if touch else range(limit - tick + 1)
    if side < 0:
        prices_that_fill = range(limit, high + 1) if touch else range(limit + tick, high + 1)
    extreme = low if side > 0 else high
    if extreme not in prices_that_fill:
        return 0
    share = int(cap * volume)
    return min(leaves, share - share % lot)


def walk(side: int, qty: int, limit: int | None, tif: str, levels: BookLevels) -> tuple[list[tuple[int, int]], int, str]:
    """Return (fills, leaves, status) by taking single lots, best first, from the part of the book within the limit."""
    lots = [ticks for ticks, amount in levels for _ in range(amount) if limit is None or side * (limit - ticks) >= 0]
    if tif == "GTX":
        return [], qty, "EXPIRED" if lots else "NEW"
    if tif == "FOK" and len(lots) < qty:
        return [], qty, "EXPIRED"
    taken = lots[:qty]
    fills = [(price, taken.count(price)) for price in dict.fromkeys(taken)]
    leaves = qty - len(taken)
    if leaves == 0:
        return fills, 0, "FILLED"
    if tif == "GTC" and limit is not None:
        return fills, leaves, "PARTIALLY_FILLED" if fills else "NEW"
    return fills, leaves, "EXPIRED"


def worse(side: int, price: Fraction, than: Fraction) -> bool:
    """Say whether paying (or receiving) `price` is worse for an order of `side` than `than`."""
    return side * (price - than) > 0
