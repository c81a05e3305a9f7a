"""Settled rows: one row a time, in order, from files that repeat, overlap and shuffle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay_data.interval import iso
from replay_data.prepare import Columns
from simcore.domain.errors import DataError


@dataclass(frozen=True)
class Settled:
    """Rows in order without duplicates; `source` says which input row each one is."""

    columns: Columns
    source: npt.NDArray[np.int64]
    duplicates: int
    moved: bool


def settle_order(
    times: npt.NDArray[np.int64], values: tuple[npt.NDArray[np.generic], ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Return (rows to keep, in order; pairs of conflicting rows; whether anything had to move).

    Two rows conflict when they carry the same time and different values. Of identical rows the first is kept.
    """
    rising = bool(np.all(times[1:] > times[:-1]))
    order = np.arange(times.size) if rising else np.argsort(times, kind="stable")
    if rising:
        return order, np.zeros((0, 2), np.int64), False
    ordered = times[order]
    first = np.ones(order.size, bool)
    first[1:] = ordered[1:] != ordered[:-1]
    leader = order[np.maximum.accumulate(np.where(first, np.arange(order.size), 0))]
    same = np.ones(order.size, bool)
    for column in values:
        same &= (column[order] == column[leader]) | ((column[order] != column[order]) & (column[leader] != column[leader]))
    clash = np.flatnonzero(~same)
    pairs = np.stack([leader[clash], order[clash]], axis=1)
    return order[first], pairs, bool(np.any(np.diff(order) < 0))


def settle_columns(columns: Columns, name_row: Callable[[int], str], where: str) -> Settled:
    """Return the rows settled; refuse two different rows of one time, naming both by `name_row`."""
    keep, clashes, moved = settle_order(columns.open_ns, columns.all()[1:])
    if clashes.size:
        one, other = int(clashes[0, 0]), int(clashes[0, 1])
        names = ("open", "high", "low", "close", "volume")
        odd = next(n for n in names if getattr(columns, n)[one] != getattr(columns, n)[other])
        raise DataError(
            f"{where}: {name_row(one)} and {name_row(other)} are different bars of {iso(int(columns.open_ns[one]))}: "
            f"{odd} {getattr(columns, odd)[one]:.10g} and {getattr(columns, odd)[other]:.10g}. Keep the right one."
        )
    settled = columns if keep.size == columns.open_ns.size and not moved else columns.take(keep)
    return Settled(settled, keep, columns.open_ns.size - keep.size, moved)
