"""Bar intervals: their names, their lengths, and times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from simcore.domain.errors import DataError

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
UNITS = {"s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}
NAME = re.compile(r"([1-9]\d{0,3})([smhd])")

# What a market stamp may be: everything outside is a unit mistake or a broken row.
FIRST_NS = 1_262_304_000 * SECOND_NS  # 2010-01-01
LAST_NS = 4_102_444_800 * SECOND_NS  # 2100-01-01


def is_interval(text: str) -> bool:
    """Say whether `text` is written like an interval: 1m, 5m, 1h, 8h, 1d."""
    return NAME.fullmatch(text) is not None


def interval_ns(text: str) -> int:
    """Return the length in ns of an interval written like 1m, 5m, 1h, 1d.

    >>> interval_ns("5m")
    300000000000
    """
    match = NAME.fullmatch(text)
    if match is None:
        raise DataError(f"interval {text!r} is not known. Write a number with s, m, h or d, such as 1m, 5m, 1h, 1d.")
    return int(match[1]) * UNITS[match[2]]


def interval_name(length_ns: int) -> str:
    """Return the short name of a length: the inverse of `interval_ns`.

    >>> interval_name(3_600_000_000_000), interval_name(90_000_000_000)
    ('1h', '90s')
    """
    for unit in ("d", "h", "m", "s"):
        if length_ns >= UNITS[unit] and length_ns % UNITS[unit] == 0:
            return f"{length_ns // UNITS[unit]}{unit}"
    return f"{length_ns}ns"


def iso(time_ns: int) -> str:
    """Return a UTC time as ISO 8601, to the second where nothing is lost.

    >>> iso(1_745_000_000_000_000_000)
    '2025-04-18T18:13:20Z'
    """
    seconds, rest = divmod(int(time_ns), SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"


def from_iso(text: str) -> int:
    """Return the ns of an ISO 8601 time or day; without a zone it is UTC.

    >>> from_iso("2025-04-18") == from_iso("2025-04-18T00:00:00Z")
    True
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise DataError(f"time {text!r} is not ISO 8601. Write it like 2025-04-18 or 2025-04-18T18:13:20Z.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND_NS + moment.microsecond * 1000


def stamps_to_ns(stamps: npt.NDArray[np.generic], where: str) -> npt.NDArray[np.int64]:
    """Return integer epoch stamps as ns: each is taken for s, ms, us or ns by its size (archives changed their unit).

    numpy datetime64 is taken as UTC. Refuses text, fractions and times outside 2010 to 2100.
    """
    if stamps.dtype.kind == "M":
        ns = stamps.astype("datetime64[ns]").astype(np.int64)
    elif stamps.dtype.kind in "iu":
        ns = stamps.astype(np.int64, copy=False)
    else:
        raise DataError(f"{where}: times of type {stamps.dtype}; expected integer epoch stamps (ms, us or ns) or datetimes.")
    if ns.size and ns.min() >= FIRST_NS and ns.max() <= LAST_NS:
        return ns
    sound = (ns >= FIRST_NS // SECOND_NS) & (ns <= LAST_NS)
    scale = np.where(ns < 10**11, SECOND_NS, np.where(ns < 10**14, 10**6, np.where(ns < 10**17, 1000, 1)))
    ns = np.where(sound, ns, 0) * scale
    bad = np.flatnonzero((ns < FIRST_NS) | (ns > LAST_NS))
    if bad.size:
        raise StampError(f"{where}: time {stamps[bad[0]]} lies outside 2010 to 2100 in s, ms, us and ns.", int(bad[0]))
    return ns


class StampError(DataError):
    """A time stamp that is none; `row` says which."""

    def __init__(self, text: str, row: int) -> None:
        super().__init__(text)
        self.row = row
