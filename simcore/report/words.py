"""The wording of numbers: how figures are written for people, in tables, pages and the terminal."""

from __future__ import annotations

import math
from typing import Any

ABSENT = "–"
MINUS = "−"


def number(value: float, digits: int) -> str:
    """Return the number with thousands separated by a thin space and a real minus sign."""
    text = f"{abs(value):,.{digits}f}".replace(",", "\u202f")
    return MINUS + text if value < 0 and float(text.replace("\u202f", "")) != 0 else text


def money(value: float) -> str:
    """Return an amount in quote units: cents below ten thousand, whole units above."""
    return number(value, 2 if abs(value) < 10_000 else 0)


def percent(value: float) -> str:
    """Return a fraction as per cent, with more digits where it is small."""
    share = value * 100.0
    return f"{number(share, 1 if abs(share) >= 100 else 2)} %"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, such as `2 d 3 h`."""
    left = int(round(seconds))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    if not parts:
        return f"{seconds:.2g} s" if seconds else "0 s"
    return " ".join(parts[:2])


def figure(value: Any, unit: str) -> str:
    """Return a metric as text, by its unit in `definitions`; a figure that is not determined is a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    if unit == "money":
        return money(float(value))
    if unit == "pct":
        return percent(float(value))
    if unit == "seconds":
        return duration(float(value))
    if unit == "count":
        return number(float(value), 0)
    if unit == "days":
        return f"{number(float(value), 0 if float(value).is_integer() else 1)} d"
    if unit == "bps":
        return number(float(value), 2)
    if unit == "r":
        return f"{number(float(value), 3)} R"
    if unit == "ratio":
        return number(float(value), 2 if abs(value) < 1_000 else 0)
    return str(value)


def tone(value: Any, unit: str) -> str:
    """Return "good", "bad" or "" for a figure whose sign speaks."""
    if unit not in ("money", "pct", "r", "bps") or not isinstance(value, (int, float)) or not math.isfinite(value):
        return ""
    return "good" if value > 0 else "bad" if value < 0 else ""


def plain(reason: str) -> str:
    """Return a config key as words: `max_trade_nav_pct` → `max trade nav pct`."""
    return reason.replace("_", " ")
