"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

Of S equal, contiguous blocks of time, every half is once the sample on which the best of N trials is chosen, and the other half
says where that choice ranks out of sample. Bailey, Borwein, López de Prado & Zhu (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from simcore.domain.errors import DataError

CHUNK = 1 << 20  # figures held at a time: some 8 MB a table
STILL = 1e-13  # a variance below this share of the mean square is rounding, not movement


@dataclass(frozen=True)
class Overfitting:
    """What CSCV found, one entry a choice of blocks, in lexicographic order.

    pbo: share of choices whose in-sample best ranks below the median out of sample (logit < 0). prob_oos_loss: share whose
    best has a Sharpe ratio below 0 out of sample. slope: of the out-of-sample Sharpe ratio on the in-sample one.
    """

    pbo: float
    logits: np.ndarray
    selected: np.ndarray
    in_sample: np.ndarray
    out_of_sample: np.ndarray
    prob_oos_loss: float
    slope: float
    rows_left_out: int


def overfitting(returns: np.ndarray, blocks: int) -> Overfitting:
    """Return the probability that choosing the best of N trials was overfitting.

    returns: [T, N], one column a trial, the same periods for all. blocks: S, even, 10 to 16 in practice. The trials must be all
    that were tried. The T mod S oldest rows are left out so that blocks are equal. A trial that does not move scores 0.
    Raises DataError on an odd S, fewer than two trials, or fewer than two rows a block.
    """
    table = _checked(returns, blocks)
    left_out = len(table) % blocks
    parts = table[left_out:].reshape(blocks, -1, table.shape[1])
    totals, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    rows = parts.shape[1] * blocks // 2
    choices = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for i, chosen in enumerate(combinations(range(blocks), blocks // 2)):
        choices[i, chosen] = 1.0
    step = max(1, CHUNK // table.shape[1])
    pieces = [_judge(choices[i : i + step], totals, squares, rows) for i in range(0, len(choices), step)]
    selected, inside, outside, rank = (np.concatenate(column) for column in zip(*pieces, strict=True))
    w = rank / (table.shape[1] + 1)
    logits = np.log(w / (1.0 - w))
    return Overfitting(
        pbo=float((logits < 0.0).mean()),
        logits=logits,
        selected=selected,
        in_sample=inside,
        out_of_sample=outside,
        prob_oos_loss=float((outside < 0.0).mean()),
        slope=_slope(inside, outside),
        rows_left_out=left_out,
    )


def _checked(returns: np.ndarray, blocks: int) -> np.ndarray:
    table = np.asarray(returns, dtype=np.float64)
    if blocks < 2 or blocks % 2:
        raise DataError(f"blocks: {blocks} must be even and at least 2.")
    if table.ndim != 2 or table.shape[1] < 2 or len(table) < 2 * blocks:
        raise DataError(f"returns: shape {table.shape}, needs at least {2 * blocks} rows (periods) and 2 columns (trials).")
    if not np.isfinite(table).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise DataError(f"returns: row {row}, trial {column} is {table[row, column]}. Align the trials on the same periods first.")
    return table


def _judge(choices: np.ndarray, totals: np.ndarray, squares: np.ndarray, rows: int) -> tuple[np.ndarray, ...]:
    """Return (selected, its Sharpe in sample, out of sample, its rank out of sample) for each choice of blocks."""
    inside = _sharpes(choices, totals, squares, rows)
    outside = _sharpes(1.0 - choices, totals, squares, rows)
    selected = np.argmax(inside, axis=1)
    each = np.arange(len(choices))
    own = outside[each, selected][:, None]
    rank = (outside < own).sum(axis=1) + ((outside == own).sum(axis=1) + 1) / 2.0
    return selected, inside[each, selected], own[:, 0], rank


def _sharpes(choices: np.ndarray, totals: np.ndarray, squares: np.ndarray, rows: int) -> np.ndarray:
    """Return the Sharpe ratio [choices, N] over the chosen blocks; sums block by block, so equal trials tie exactly."""
    total = np.zeros((len(choices), totals.shape[1]))
    square = np.zeros_like(total)
    for block in range(len(totals)):
        total += choices[:, block, None] * totals[block]
        square += choices[:, block, None] * squares[block]
    mean = total / rows
    variance = (square - total * mean) / (rows - 1)
    moves = variance > STILL * square / rows
    still = np.where(mean == 0.0, 0.0, np.copysign(np.inf, mean))
    return np.where(moves, mean / np.sqrt(np.where(moves, variance, 1.0)), still)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 2 or np.ptp(x) == 0.0:
        return math.nan
    centred = x - x.mean()
    return float((centred * y).sum() / (centred**2).sum())
