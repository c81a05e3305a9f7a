"""The packed ledger: rows come back as they went in, however they were collected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.domain.records import CORE, LEDGER, ROUTE
from simcore.ledger import MASK_BITS, Collector, Roll

pytestmark = pytest.mark.jitless
LAYOUTS = (LEDGER, ROUTE)


def rows_of(layout: np.dtype, seed: int, count: int, share: float) -> np.ndarray:
    """Return rows whose words change with probability `share` from one to the next, to zero, small or any value."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, layout)
    words = rows.view(np.uint32).reshape(count, -1)
    for index in range(count):
        drawn = rng.integers(0, 2**32, words.shape[1], dtype=np.uint32) >> rng.integers(0, 33, words.shape[1]).astype(np.uint64)
        words[index] = np.where(rng.random(words.shape[1]) < share, drawn, words[index - 1])
    return rows


@given(st.sampled_from(LAYOUTS), st.integers(0, 2**32), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(0, 1), st.booleans())
def test_rows_come_back_as_they_went_in_and_their_digest_does_not_tell_how_they_were_cut(layout, seed, cuts, share, counted):
    rows = rows_of(layout, seed, sum(cuts), share)
    if counted:
        rows[layout.names[0]] = np.arange(len(rows))
    whole, pieces = Roll(layout, int(counted)), Roll(layout, int(counted))
    whole.add(rows, hashed=True)
    at = 0
    for size in cuts:
        pieces.add(rows[at : at + size], hashed=True)
        at += size
    assert whole.hash.digest() == pieces.hash.digest()
    for count in {0, 1, cuts[0], len(rows)}:
        assert pieces.unpacked(count).tobytes() == rows[:count].tobytes()


@given(st.integers(0, 2**32), st.integers(0, 400))
def test_one_bit_of_one_row_changes_the_digest(seed, place):
    rows = rows_of(LEDGER, seed, 5, 0.3)
    other = rows.copy()
    other.view(np.uint8)[place % rows.nbytes] ^= 1 << seed % 8
    one, two = Roll(LEDGER, 1), Roll(LEDGER, 1)
    one.add(rows, hashed=True)
    two.add(other, hashed=True)
    assert one.hash.digest() != two.hash.digest()


def test_a_copy_goes_its_own_way():
    rows = rows_of(LEDGER, 3, 8, 0.5)
    first = Roll(LEDGER, 1)
    first.add(rows[:4], hashed=True)
    twin = first.copy()
    first.add(rows[4:6], hashed=True)
    twin.add(rows[6:], hashed=True)
    assert first.unpacked(6).tobytes() == rows[:6].tobytes()
    assert twin.unpacked(6).tobytes() == np.concatenate([rows[:4], rows[6:]]).tobytes()


def test_rows_fill_many_blocks(monkeypatch):
    monkeypatch.setattr("simcore.ledger.BLOCK_WORDS", 3 * (LEDGER.itemsize // 4 + LEDGER.itemsize // 4 // MASK_BITS) + 1)
    rows = rows_of(LEDGER, 5, 40, 0.9)
    roll = Roll(LEDGER, 0)
    for index in range(0, 40, 2):
        roll.add(rows[index : index + 2], hashed=False)
    assert roll.unpacked(40).tobytes() == rows.tobytes()
    assert roll.unpacked(13).tobytes() == rows[:13].tobytes()


def test_collecting_empties_the_core():
    core = np.zeros(1, CORE)[0]
    core["ledger"][:3]["seq"] = [0, 1, 2]
    core["n_ledger"] = 3
    output = Collector()
    before = output.digest()
    output.collect(core)
    assert core["n_ledger"] == 0 and output.count("ledger") == 3 and output.digest() != before
    assert list(output.table("ledger")["seq"]) == [0, 1, 2] and len(output.table("ledger", 2)) == 2
