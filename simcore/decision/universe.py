"""The universe: which symbols may be traded on a given day, in which tier, under which caps of their own.

A symbol's listing has dates, so a replay of March trades what was in the universe in March. What is outside is listed too,
with the reason: a symbol never disappears from a run without a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from simcore.domain.errors import did_you_mean

NANOS_PER_SECOND = 1_000_000_000


class Listings(Protocol):
    """What the universe asks of the configuration; `simcore.config.Config` offers it."""

    def universe(self, as_of_ns: int, symbols: Sequence[str] = ()) -> Mapping[str, Any]:
        """Return what may be traded at `as_of_ns`, by symbol: objects with `tier`, `tier_id`, caps and dates."""

    def listing(self, symbol: str, as_of_ns: int | None = None) -> Any | None:
        """Return one symbol's entry at `as_of_ns` (None: its latest), or None."""


@dataclass(frozen=True)
class Member:
    """One symbol as of one moment. Outside the universe tier_id is -1, which the gate treats as not known; caps are 0."""

    symbol: str
    in_universe: bool
    reason: str
    tier: str
    tier_id: int
    max_order_notional: float
    max_symbol_nav_pct: float


def resolve_universe(config: Listings, symbols: Iterable[str], as_of_ns: int) -> list[Member]:
    """Return one `Member` for each symbol, in the order given, as of `as_of_ns` (UTC).

    A member that is in has its tier and its own caps (infinite where pairs_universe.json sets none: the other limits hold). One
    that is out says why: never listed, with the nearest name that is, not yet, or no longer.
    """
    wanted = tuple(dict.fromkeys(symbols))
    listed = config.universe(as_of_ns, wanted)
    return [_inside(name, listed[name]) if name in listed else _outside(config, name, as_of_ns, listed) for name in wanted]


def _inside(symbol: str, entry: Any) -> Member:
    order, share = getattr(entry, "max_order_notional", math.inf), getattr(entry, "max_symbol_nav_pct", math.inf)
    return Member(symbol, True, "listed", entry.tier, entry.tier_id, order, share)


def _outside(config: Listings, symbol: str, as_of_ns: int, listed: Iterable[str]) -> Member:
    latest = config.listing(symbol)
    if latest is None:
        reason = f"pairs_universe.json does not list it. {did_you_mean(symbol, listed)}"
        return Member(symbol, False, reason, "", -1, 0.0, 0.0)
    if as_of_ns >= latest.valid_to_ns:
        reason = f"listed until {_day(latest.valid_to_ns)}"
    elif as_of_ns < latest.valid_from_ns:
        reason = f"listed from {_day(latest.valid_from_ns)}"
    else:
        reason = "between two listings"
    return Member(symbol, False, reason, latest.tier, -1, 0.0, 0.0)


def _day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NANOS_PER_SECOND, UTC).date().isoformat()
