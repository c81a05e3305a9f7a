"""The capacity: the NAV at which a policy's own impact has eaten its result, by the square-root law the venue fills with.

Impact per unit traded grows with the root of the size, so at k times the NAV a result r with impact cost i (both a day, as
fractions of the NAV) becomes r + i - i * sqrt(k), which is 0 at k = (1 + r / i)². Where the sizer's share of the day's volume ends
sooner, for half of the trades, that is the capacity: beyond it the law is not what was replayed.
"""

from __future__ import annotations

import math


def capacity_usd(nav: float, result_a_day: float, impact_a_day: float, room: float = math.inf) -> float:
    """Return the NAV (quote units) up to which the result stays positive: 0 without a result, NaN where no impact was paid.

    room: how many times larger orders may become.

    >>> round(capacity_usd(100_000.0, 0.0003, 0.0001)), round(capacity_usd(100_000.0, 0.0003, 0.0001, room=5.0))
    (1600000, 500000)
    """
    if not result_a_day > 0.0:
        return 0.0 if result_a_day <= 0.0 else math.nan
    if not impact_a_day > 0.0:
        return math.nan
    return nav * min(room, (1.0 + result_a_day / impact_a_day) ** 2)
