"""Money: exact integer arithmetic of the ledger, in 1e-8 quote units, compiled and uncompiled alike.

Range: every argument of the `mul_div` family lies within ±2**62, the divisor within 1..2**62, and the result within
±2**62; the product in between may be as large as 2**124. 2**62 is 46 billion quote units of 1e-8.
"""

from __future__ import annotations

import math

from simcore.jit import kernel

E8 = 100_000_000
MONEY_MAX = 2**62
AMOUNT_MAX = MONEY_MAX / E8
_INT64_MAX = 2**63 - 1
_SMALL_PRODUCT = 9e18


@kernel
def _mul_div_nb(a, b, c):
    """Return quotient and remainder of a*b/c for a, b >= 0 and c > 0, without ever forming a*b when it is too large."""
    if c <= 0:
        raise ValueError("mul_div: the divisor must be positive")
    if float(a) * float(b) < _SMALL_PRODUCT:
        whole = a * b // c
        return whole, a * b - whole * c
    quotient = (a // c) * b
    rest = a % c
    if rest == 0 or b <= _INT64_MAX // rest:
        return quotient + rest * b // c, rest * b % c
    carry, low = 0, 0
    for bit in range(62, -1, -1):
        carry, low = 2 * carry, 2 * low
        if low >= c:
            carry, low = carry + 1, low - c
        if (b >> bit) & 1:
            low += rest
            if low >= c:
                carry, low = carry + 1, low - c
    return quotient + carry, low


@kernel
def mul_div_trunc_nb(a, b, c):
    """Return a*b/c cut towards zero, exact."""
    quotient, _rest = _mul_div_nb(abs(a), abs(b), c)
    return quotient if (a < 0) == (b < 0) else -quotient


@kernel
def mul_div_floor_nb(a, b, c):
    """Return a*b/c cut towards minus infinity, exact."""
    quotient, rest = _mul_div_nb(abs(a), abs(b), c)
    if (a < 0) == (b < 0):
        return quotient
    return -quotient - 1 if rest > 0 else -quotient


@kernel
def mul_div_round_nb(a, b, c):
    """Return a*b/c rounded to the nearest integer, exact; a half goes away from zero."""
    quotient, rest = _mul_div_nb(abs(a), abs(b), c)
    if rest >= c - rest:
        quotient += 1
    return quotient if (a < 0) == (b < 0) else -quotient


@kernel
def notional_e8_nb(qty_lots, price_ticks, unit_e8):
    """Return the value of `qty_lots` at `price_ticks` in 1e-8 quote units, exact; `Instrument.headroom` proves that it fits."""
    return qty_lots * price_ticks * unit_e8


@kernel
def to_e8_nb(amount):
    """Return a float amount of quote units as the nearest integer of 1e-8 units; NaN or too large a value stops the run."""
    if not abs(amount) <= AMOUNT_MAX:
        raise ValueError("to_e8: the amount is not a number or beyond the ledger's range")
    return int(math.floor(amount * 1e8 + 0.5))
