"""Splits: the file's index sets, a plain twin of the purge, and that no training sample knows a test's outcome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simcore.domain.errors import DataError
from simcore.validation import splits

COUNTS = ["CPCV-N6k2", "CPCV-N10k2", "CPCV-N10k8", "CPCV-N4k2"]
INDICES = ["CPCV-SPLIT-12-3-2-p0e0", "CPCV-SPLIT-12-3-2-p1e0", "CPCV-SPLIT-12-3-2-p0e1"]


def case_of(reference, case_id):
    return next(case for case in reference("cv")["cases"] if case["id"] == case_id)


def test_every_case_of_the_file_is_one_of_these(reference):
    assert [case["id"] for case in reference("cv")["cases"]] == [*COUNTS, *INDICES, "PKF-01", "WF-01"]


@pytest.mark.parametrize("case_id", COUNTS)
def test_how_many_splits_and_paths(reference, case_id):
    case = case_of(reference, case_id)
    n, k = case["inputs"]["N"], case["inputs"]["k"]
    rows = np.arange(2 * n)
    made = splits.combinatorial_splits(rows, rows, n, k)
    paths = splits.path_ids(made)
    assert splits.n_splits(n, k) == len(made) == case["expected"]["splits"]
    assert splits.n_paths(n, k) == 1 + max(max(ids) for ids in paths) == case["expected"]["paths"]
    whole = {(fold, path) for split, ids in zip(made, paths, strict=True) for fold, path in zip(split.folds, ids, strict=True)}
    assert len(whole) == n * splits.n_paths(n, k), "every path has every block once"


@pytest.mark.parametrize("case_id", INDICES)
def test_the_index_sets_of_combinatorial_splits(reference, case_id):
    case = case_of(reference, case_id)
    i, expected = case["inputs"], case["expected"]
    rows = np.arange(i["n"])
    made = splits.combinatorial_splits(rows, rows + i["purge"], i["folds"], i["test_folds"], i["embargo"])
    assert [{"train": s.train.tolist(), "tests": [t.tolist() for t in s.tests]} for s in made] == expected["splits"]
    assert [list(ids) for ids in splits.path_ids(made)] == expected["path_ids"]
    assert splits.n_paths(i["folds"], i["test_folds"]) == expected["n_paths"]


def test_the_index_sets_of_purged_folds(reference):
    case = case_of(reference, "PKF-01")
    i = case["inputs"]
    rows = np.arange(i["n"])
    made = splits.purged_kfold(rows, np.minimum(rows + i["label_horizon"], i["n"] - 1), i["folds"], i["embargo"])
    assert [{"test": s.test.tolist(), "train": s.train.tolist()} for s in made] == case["expected"]["folds"]


def test_the_walk_forward_windows(reference):
    case = case_of(reference, "WF-01")
    i = case["inputs"]
    made = splits.walk_forward(0, i["n"], train=i["train"], test=i["test"], step=i["step"], purge=i["purge"])
    assert [{"train": list(w.train), "test": list(w.test)} for w in made] == case["expected"]["windows_half_open"]
    anchored = splits.walk_forward(0, i["n"], train=i["train"], test=i["test"], step=i["step"], purge=i["purge"], anchored=True)
    assert [w.test for w in anchored] == [w.test for w in made]
    assert [w.train for w in anchored] == [(0, w.train[1]) for w in made]


SPANS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), min_size=4, max_size=60).map(
    lambda pairs: tuple(np.array(column) for column in zip(*sorted((a, a + length) for a, length in pairs), strict=True))
)


@settings(max_examples=1000)
@given(SPANS, st.integers(2, 6), st.integers(1, 3), st.integers(0, 50))
def test_no_training_sample_shares_a_moment_with_a_test(spans, folds, test_folds, embargo):
    first, last = spans
    assume(folds <= len(first) and test_folds < folds)
    made = splits.combinatorial_splits(first, last, folds, test_folds, embargo)
    tested = np.concatenate([s.test for s in made])
    assert (np.bincount(tested, minlength=len(first)) == splits.n_splits(folds, test_folds) * test_folds / folds).all()
    for split in made:
        assert not set(split.train) & set(split.test)
        for block in split.tests:
            begin, end = first[block].min(), last[block].max()
            before, after = last[split.train] < begin, first[split.train] > end + embargo
            assert (before | after).all()


@settings(max_examples=500)
@given(SPANS, st.integers(2, 6), st.integers(0, 50))
def test_nothing_is_purged_without_need(spans, folds, embargo):
    first, last = spans
    assume(folds <= len(first))
    for split in splits.purged_kfold(first, last, folds, embargo):
        begin, end = first[split.test].min(), last[split.test].max()
        for row in set(range(len(first))) - set(split.train) - set(split.test):
            assert first[row] <= end + embargo and last[row] >= begin


@settings(max_examples=1000)
@given(*[st.integers(1, 60)] * 3, st.integers(0, 30), st.integers(1, 400), st.integers(-1000, 1000), st.booleans())
def test_walk_forward_windows_are_whole_follow_the_purge_and_stay_inside(train, test, step, purge, length, start, anchored):
    if length < train + purge + test:
        with pytest.raises(DataError, match="shorter than train"):
            splits.walk_forward(start, start + length, train=train, test=test, step=step, purge=purge, anchored=anchored)
        return
    made = splits.walk_forward(start, start + length, train=train, test=test, step=step, purge=purge, anchored=anchored)
    for i, w in enumerate(made):
        assert w.test[0] - w.train[1] == purge and w.test[1] - w.test[0] == test
        assert w.train == ((start if anchored else start + i * step), start + i * step + train)
        assert w.test[1] <= start + length
    assert made[-1].test[1] + step > start + length, "no further window would fit"


def test_efficiency_is_the_share_that_was_kept():
    assert splits.walk_forward_efficiency(0.1, 0.4) == pytest.approx(0.25)
    assert np.isnan(splits.walk_forward_efficiency(0.1, -0.4))


@pytest.mark.parametrize(
    ("first", "last", "folds", "k", "embargo", "words"),
    [
        ([0, 2, 1], [3, 3, 3], 2, 1, 0, "sample 2 is"),
        ([0, 1, 2], [3, 0, 3], 2, 1, 0, "sample 1 is"),
        ([0.0, 1.0], [1.0, 2.0], 2, 1, 0, "integers"),
        ([0, 1, 2], [0, 1, 2], 4, 1, 0, "folds: 4"),
        ([0, 1, 2], [0, 1, 2], 3, 3, 0, "test_folds: 3"),
        ([0, 1, 2], [0, 1, 2], 3, 1, -1, "embargo"),
    ],
)
def test_what_cannot_be_split_is_refused(first, last, folds, k, embargo, words):
    with pytest.raises(DataError, match=words):
        splits.combinatorial_splits(np.array(first), np.array(last), folds, k, embargo)
