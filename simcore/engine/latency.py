"""Latency: how long an order is on its way to the exchange, and its answer on the way back, in nanoseconds.

Three models (LatencyModel): a constant; rows measured live, linear between two and flat outside them; the feed's own latency
at that moment, `factor` times it plus a constant. A negative entry latency says that the exchange refused the order for
overload: the refusal is known here that many nanoseconds after it was sent, and no order ever existed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simcore.domain.enums import LatencyModel
from simcore.domain.errors import DataError
from simcore.jit import merged, part

REFUSED = -1


@part
def row_before_nb(rows, at_ns):
    """Return the last row whose time is at or before `at_ns`, -1 when all are later."""
    low, high = 0, rows.shape[0]
    while low < high:
        middle = (low + high) // 2
        if rows[middle, 0] <= at_ns:
            low = middle + 1
        else:
            high = middle
    return low - 1


@part
def between_nb(rows, row, column, at_ns):
    """Return a column's value at a time, linear between `row` and the next one, flat before the first and after the last."""
    if row < 0:
        return rows[0, column]
    if row == rows.shape[0] - 1:
        return rows[row, column]
    share = (at_ns - rows[row, 0]) / (rows[row + 1, 0] - rows[row, 0])
    return rows[row, column] + int(round(share * (rows[row + 1, column] - rows[row, column])))


@part
def measured_entry_ns_nb(entries, local_ns):
    """Return the entry latency of an order sent at `local_ns`; less than 0 when a row beside it was refused.

    `entries` has a row (sent, latency or REFUSED, round trip) for each measured order, by `measured_rows`.
    """
    row = row_before_nb(entries, local_ns)
    first, second = max(row, 0), min(row + 1, entries.shape[0] - 1)
    if entries[first, 1] == REFUSED or entries[second, 1] == REFUSED:
        return -max(1, between_nb(entries, row, 2, local_ns))
    return between_nb(entries, row, 1, local_ns)


@part
def measured_response_ns_nb(responses, exch_ns):
    """Return the response latency of what the exchange said at `exch_ns`; `responses` has rows (exchange time, latency)."""
    return between_nb(responses, row_before_nb(responses, exch_ns), 1, exch_ns)


@merged
def entry_latency_ns_nb(model, constant_ns, factor, feed_ns, entries, local_ns):
    """Return the entry latency of an order sent at `local_ns`; less than 0: refused for overload, known after that long.

    `feed_ns` is the latency of the last event that was known here when the order was sent.
    """
    if model == LatencyModel.INTERPOLATED:
        return measured_entry_ns_nb(entries, local_ns)
    if model == LatencyModel.FEED:
        return max(0, constant_ns + int(round(factor * feed_ns)))
    return constant_ns


@merged
def response_latency_ns_nb(model, constant_ns, factor, feed_ns, responses, exch_ns):
    """Return how long what the exchange said at `exch_ns` is on its way; `feed_ns`: latency of the feed's event of that time."""
    if model == LatencyModel.INTERPOLATED:
        return measured_response_ns_nb(responses, exch_ns)
    if model == LatencyModel.FEED:
        return max(0, constant_ns + int(round(factor * feed_ns)))
    return constant_ns


def measured_rows(rows: Sequence[Sequence[int]] | np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return (entries int64[N, 3], responses int64[M, 2]) of measured rows (sent, exchange, received), in nanoseconds.

    An exchange time of 0 is an order refused for overload. `scale` stretches every latency (2.0: a stress test). Raises
    DataError when no row reached the exchange, a sent time goes back, or an answer comes before its question.
    """
    table = np.array(rows, np.int64).reshape(-1, 3)
    sent, exchange, received = table.T
    reached = exchange > 0
    if not reached.any():
        raise DataError("measured latencies: no row with an exchange time; record orders that the exchange took, too")
    if len(back := np.flatnonzero(np.diff(sent) < 0)) > 0:
        row = int(back[0]) + 1
        raise DataError(f"measured latencies, row {row}: sent at {sent[row]}, before the row above; sort the rows by their sent time")
    wrong = np.flatnonzero((received < sent) | (reached & ((exchange < sent) | (received < exchange))))
    if len(wrong) > 0:
        row = int(wrong[0])
        raise DataError(
            f"measured latencies, row {row}: {table[row].tolist()} is not in the order sent, exchange, received; "
            "shift the local clock so that every latency is positive"
        )
    entry, response, round_trip = (stretched(ns, scale) for ns in (exchange - sent, received - exchange, received - sent))
    entries = np.column_stack([sent, np.where(reached, entry, REFUSED), round_trip])
    responses = np.column_stack([exchange, response])[reached]
    return entries, responses[np.argsort(responses[:, 0], kind="stable")]


def stretched(latency_ns: np.ndarray, scale: float) -> np.ndarray:
    """Return latencies times `scale`, in whole nanoseconds."""
    return np.rint(latency_ns * scale).astype(np.int64)
