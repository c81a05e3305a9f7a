"""The three kinds of trouble a person can meet. A refusal of an order is none of them: it is a value."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SimcoreError(Exception):
    """Base of every error simcore raises on purpose; its text says what, where and what to do next."""


class ConfigError(SimcoreError):
    """A setting is missing, misspelt, out of range, or contradicts another file."""


class DataError(SimcoreError):
    """A market data file or catalog is unreadable, malformed or does not cover the request."""


class StrategyError(SimcoreError):
    """A strategy does not compile, misuses the interface, or reads what it may not."""


class InvariantError(SimcoreError):
    """The books do not balance or the state contradicts itself: the run stops at once."""


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Return a closing sentence that names the nearest right spelling, or lists the choices.

    >>> did_you_mean("max_trade_nav_pc", ["max_trade_nav_pct", "max_leverage"])
    "Did you mean 'max_trade_nav_pct'?"
    >>> did_you_mean("zzz", ["b", "a"])
    'Known: a, b.'
    """
    choices = sorted(right)
    near = get_close_matches(wrong, choices, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(choices)}."
