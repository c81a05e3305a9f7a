"""The cut of a history into training and test parts that share no information.

A sample's information span is the closed interval from its decision to the moment its outcome was known: of a trade, entry
decision to exit. Spans, embargoes and windows are whole numbers in one unit of the caller's choice: rows, or nanoseconds.
Sources: López de Prado (2018) "Advances in Financial Machine Learning", chapters 7 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from simcore.domain.errors import DataError


@dataclass(frozen=True)
class Split:
    """Row numbers to train on, and those of each test block, in time order. `folds` are the blocks' numbers."""

    train: np.ndarray
    tests: tuple[np.ndarray, ...]
    folds: tuple[int, ...]

    @property
    def test(self) -> np.ndarray:
        """The rows of all test blocks."""
        return np.concatenate(self.tests)


def purged_kfold(first: np.ndarray, last: np.ndarray, folds: int, embargo: int = 0) -> list[Split]:
    """Return one split a fold: its rows are tested, and trained is what shares no information with them.

    first, last: span [n each] of every sample, in order of `first`. Out of training are the samples whose span meets the
    span of the test block, and those that begin within `embargo` after its end.
    """
    return combinatorial_splits(first, last, folds, 1, embargo)


def combinatorial_splits(first: np.ndarray, last: np.ndarray, folds: int, test_folds: int, embargo: int = 0) -> list[Split]:
    """Return the splits of combinatorial purged cross-validation: every choice of `test_folds` of `folds` blocks, in order.

    Each test block is purged and followed by an embargo by itself, as in `purged_kfold`.
    """
    first, last = _spans(first, last)
    _check_folds(folds, test_folds, len(first))
    if embargo < 0:
        raise DataError(f"embargo: {embargo} must not be negative.")
    blocks = np.array_split(np.arange(len(first)), folds)
    forbidden = [_touches(first, last, block, embargo) for block in blocks]
    splits = []
    for chosen in combinations(range(folds), test_folds):
        train = ~np.any([forbidden[fold] for fold in chosen], axis=0)
        splits.append(Split(np.flatnonzero(train), tuple(blocks[fold] for fold in chosen), chosen))
    return splits


def _touches(first: np.ndarray, last: np.ndarray, block: np.ndarray, embargo: int) -> np.ndarray:
    """Return which samples may not be trained on when `block` is tested; the block's own samples are among them."""
    begin, end = first[block].min(), last[block].max()
    meets = (first <= end) & (last >= begin)
    touched: np.ndarray = meets | ((first > end) & (first <= end + embargo))
    return touched


def _spans(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts, ends = np.asarray(first), np.asarray(last)
    if starts.ndim != 1 or starts.shape != ends.shape or starts.dtype.kind not in "iu" or ends.dtype.kind not in "iu":
        raise DataError(f"spans: first {starts.dtype}{starts.shape}, last {ends.dtype}{ends.shape}; need two equal rows of integers.")
    starts, ends = starts.astype(np.int64), ends.astype(np.int64)
    wrong = np.flatnonzero((ends < starts) | (np.diff(starts, prepend=starts[:1]) < 0))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(f"spans: sample {i} is [{starts[i]}, {ends[i]}]; must end after it begins, and samples stand by their begin.")
    return starts, ends


def _check_folds(folds: int, test_folds: int, n: int) -> None:
    if not 2 <= folds <= n:
        raise DataError(f"folds: {folds} must be from 2 to the number of samples, {n}.")
    if not 1 <= test_folds < folds:
        raise DataError(f"test_folds: {test_folds} must be from 1 to {folds - 1}.")


def n_splits(folds: int, test_folds: int) -> int:
    """Return how many splits combinatorial cross-validation makes.

    >>> n_splits(6, 2), n_paths(6, 2)
    (15, 5)
    """
    return math.comb(folds, test_folds)


def n_paths(folds: int, test_folds: int) -> int:
    """Return how many whole out-of-sample histories its test blocks join to."""
    return math.comb(folds, test_folds) * test_folds // folds


def path_ids(splits: Sequence[Split]) -> list[tuple[int, ...]]:
    """Return for each split the path that each of its test blocks belongs to: the n-th test of a block goes to path n."""
    seen: dict[int, int] = {}
    paths = []
    for split in splits:
        paths.append(tuple(seen.get(fold, 0) for fold in split.folds))
        for fold in split.folds:
            seen[fold] = seen.get(fold, 0) + 1
    return paths


# ---------------------------------------------------------------- walk-forward


@dataclass(frozen=True)
class Window:
    """One step of a walk-forward: half-open intervals to learn on and, after the purge, to be scored on."""

    train: tuple[int, int]
    test: tuple[int, int]


def walk_forward(start: int, end: int, *, train: int, test: int, step: int, purge: int, anchored: bool = False) -> list[Window]:
    """Return the walk-forward windows of [start, end): train, a gap of `purge`, test; then all move on by `step`.

    purge: at least the longest holding time, so that no trade of the training part is open in the test. anchored: training
    always begins at `start`. Only whole test windows are made. Raises DataError when not even one fits.
    """
    if min(train, test, step) < 1 or purge < 0:
        raise DataError(f"train {train}, test {test}, step {step} must be at least 1, purge {purge} at least 0.")
    windows = []
    for moved in range(0, max(end - start, 0), step):
        learned = start + moved + train
        tested = learned + purge
        if tested + test > end:
            break
        windows.append(Window((start if anchored else start + moved, learned), (tested, tested + test)))
    if not windows:
        raise DataError(f"walk-forward: {end - start} is shorter than train {train} + purge {purge} + test {test}. Use shorter windows.")
    return windows


def walk_forward_efficiency(out_of_sample_annual: float, in_sample_annual: float) -> float:
    """Return the share of the in-sample annual return that was kept out of sample; NaN where there was none to keep."""
    return out_of_sample_annual / in_sample_annual if in_sample_annual > 0.0 else math.nan
