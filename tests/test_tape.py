"""The tape: whatever is cut, flipped or torn, every other whole block is read back and the loss is said."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay_data
from replay_data.catalog import Catalog
from replay_data.tape import BLOCK, TapeWriter, _header_end, read_tape, tape_rows
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from simcore.domain.records import EVENT
from tests.book_files import Market, text_of, write_lines

GRID = {"symbol": "BTCUSDT", "tick_size": 0.1, "step_size": 0.001}


def random_rows(count: int, seed: int = 1) -> np.ndarray:
    """Rows of every kind with any values a recorder may write."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, EVENT)
    rows["ts_exch"] = 1_700_000_000_000_000_000 + np.cumsum(rng.integers(0, 10**7, count))
    rows["ts_local"] = rows["ts_exch"] + rng.integers(-(10**9), 10**9, count)
    rows["qty_lots"] = rng.integers(0, 1 << 50, count)
    rows["level"] = rng.integers(1, 2**31 - 1, count)
    rows["kind"] = rng.choice([0, 1, 2, 3, 4, 6, 8], count)
    rows["last"], rows["spare"] = rng.integers(0, 2, count), rng.integers(0, 2**16, count)
    return rows


@cache
def market_rows(steps: int = 400, seed: int = 1) -> tuple[Market, np.ndarray, replay_data.Feed]:
    """A market's feed, and its events as a recorder would have written them."""
    market = Market(seed, steps)
    with tempfile.TemporaryDirectory() as folder:
        path = write_lines(Path(folder) / "source", text_of(market.lines))
        catalog = Catalog(Path(folder) / "catalog")
        assert catalog.import_path(path).faults == []
        feed = catalog.feed(interval="book")
        return market, tape_rows(feed, "BTCUSDT"), feed


def recorded(path: Path, rows: np.ndarray, block_rows: int = 64, **grid) -> Path:
    with TapeWriter(path, **(GRID | grid), block_rows=block_rows) as tape:
        tape.append(rows)
    return path


@settings(max_examples=40)
@given(count=st.integers(1, 300), seed=st.integers(0, 99), block_rows=st.integers(1, 100), sizes=st.lists(st.integers(0, 50), max_size=8))
def test_what_is_written_is_read_back(tmp_path_factory, count, seed, block_rows, sizes):
    rows = random_rows(count, seed)
    path = tmp_path_factory.mktemp("tape") / "BTCUSDT.tape"
    with TapeWriter(path, **GRID, block_rows=block_rows) as tape:
        at = 0
        for size in sizes:
            tape.append(rows[at : at + size])
            tape.flush()
            at += size
        tape.append(rows[at:])
    read = read_tape(path)
    assert read.rows.tobytes() == rows.tobytes() and read.losses == ()
    assert (read.header.symbol, read.header.market, read.header.tick_size, read.header.step_size) == ("BTCUSDT", "um", 0.1, 0.001)


def ends_of(data: bytes) -> list[int]:
    """Return where each block of a sound tape ends."""
    at, ends = _header_end(data), []
    while at < len(data):
        at += BLOCK.size + BLOCK.unpack_from(data, at)[2]
        ends.append(at)
    return ends


def whole_rows(data: bytes, rows: np.ndarray, block_rows: int, size: int) -> int:
    """Return how many rows lie in blocks that end within the first `size` bytes."""
    return min(rows.size, block_rows * sum(end <= size for end in ends_of(data)))


def test_a_tape_cut_at_any_byte_gives_back_every_whole_block(tmp_path):
    rows = random_rows(70)
    path = recorded(tmp_path / "BTCUSDT.tape", rows, 16)
    data = path.read_bytes()
    header = _header_end(data)
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        if size < header:
            with pytest.raises(DataError, match="no whole tape header"):
                read_tape(path)
            continue
        read = read_tape(path)
        kept = whole_rows(data, rows, 16, size)
        assert read.rows.tobytes() == rows[:kept].tobytes()
        assert bool(read.losses) != (size in (header, *ends_of(data)))
        if read.losses:
            assert "cut off or damaged; lost" in str(read.losses[0]) and f"{path}: byte " in str(read.losses[0])


@settings(max_examples=60)
@given(data=st.data())
def test_a_flipped_byte_costs_its_block_and_is_said(tmp_path_factory, data):
    rows = random_rows(200)
    path = recorded(tmp_path_factory.mktemp("tape") / "BTCUSDT.tape", rows, 40)
    content = bytearray(path.read_bytes())
    header = _header_end(bytes(content))
    block_ends = ends_of(bytes(content))
    at = data.draw(st.integers(header, len(content) - 1), label="at")
    content[at] ^= data.draw(st.integers(1, 255), label="flip")
    path.write_bytes(bytes(content))
    read = read_tape(path)
    assert len(read.losses) == 1
    lost = next(block for block in range(5) if at < block_ends[block])
    before, after = rows[: lost * 40], rows[(lost + 1) * 40 :]
    assert read.rows.size == 160 + bool(after.size)
    assert read.rows[: before.size].tobytes() == before.tobytes()
    assert read.rows[read.rows.size - after.size :].tobytes() == after.tobytes()
    if after.size:
        assert read.rows["kind"][before.size] == EventKind.GAP and f"blocks {lost} to {lost} lost" in str(read.losses[0])


@settings(max_examples=30)
@given(data=st.data())
def test_a_torn_tape_is_continued_with_a_gap(tmp_path_factory, data):
    rows = random_rows(100)
    path = recorded(tmp_path_factory.mktemp("tape") / "BTCUSDT.tape", rows, 16)
    content = path.read_bytes()
    size = data.draw(st.integers(0, len(content)), label="size")
    path.write_bytes(content[:size])
    more = random_rows(20, 7)
    kept = whole_rows(content, rows, 16, size) if size >= _header_end(content) else 0
    with TapeWriter(path, **GRID) as tape:
        assert tape.lost_bytes == size - max([0, *(end for end in (_header_end(content), *ends_of(content)) if end <= size)])
        tape.append(more)
    read = read_tape(path)
    assert read.losses == ()
    assert read.rows[:kept].tobytes() == rows[:kept].tobytes() and read.rows[-20:].tobytes() == more.tobytes()
    assert read.rows.size == kept + 20 + (1 if kept else 0)
    if kept:
        assert read.rows["kind"][kept] == EventKind.GAP and read.rows["ts_exch"][kept] == rows["ts_exch"][kept - 1]


def test_every_block_is_on_the_disk_before_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    path = tmp_path / "BTCUSDT.tape"
    rows = random_rows(25)
    with TapeWriter(path, **GRID, block_rows=10) as tape:
        for row in range(25):
            tape.append(rows[row : row + 1])
            whole = read_tape(path).rows
            assert whole.tobytes() == rows[: (row + 1) // 10 * 10].tobytes() and synced[-1] == path.stat().st_size
    assert len(synced) == 4


def test_a_full_disk_loses_nothing_that_was_written(tmp_path, monkeypatch):
    path = tmp_path / "BTCUSDT.tape"
    rows = random_rows(30)
    tape = TapeWriter(path, **GRID, block_rows=10)
    tape.append(rows[:20])
    before = path.read_bytes()
    real = os.write

    def half(file, data):
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(DataError, match="not written .No space left.*kept for the next flush"):
        tape.append(rows[20:])
    assert path.read_bytes() == before
    monkeypatch.setattr(os, "write", real)
    tape.close()
    assert read_tape(path).rows.tobytes() == rows.tobytes()


def test_another_recorder_another_symbol_and_another_file_are_refused(tmp_path):
    path = tmp_path / "BTCUSDT.tape"
    with TapeWriter(path, **GRID) as tape:
        with pytest.raises(DataError, match="another recorder writes this tape"):
            TapeWriter(path, **GRID)
        tape.append(random_rows(3))
    with pytest.raises(DataError, match="a tape of .*BTCUSDT.*asked to record .*ETHUSDT"):
        TapeWriter(path, **(GRID | {"symbol": "ETHUSDT"}))
    other = tmp_path / "notes.txt"
    other.write_text("not a tape, but somebody's notes")
    with pytest.raises(DataError, match="not a tape. Choose another name"):
        TapeWriter(other, **GRID)
    assert other.read_text().startswith("not a tape")
    with pytest.raises(DataError, match="no whole tape header"):
        read_tape(other)
    with pytest.raises(DataError, match="a tape takes EVENT rows"), TapeWriter(path, **GRID) as tape:
        tape.append(np.zeros(3))


def test_a_tape_replays_as_the_feed_it_was_recorded_from(tmp_path):
    _market, rows, feed = market_rows()
    path = recorded(tmp_path / "source" / "BTCUSDT.tape", rows)
    alone = read_tape(path).feed()
    assert alone.events.tobytes() == feed.events.tobytes()
    assert alone.ladders.tobytes() == feed.ladders.tobytes() and alone.bars.tobytes() == feed.bars.tobytes()
    catalog = Catalog(tmp_path / "catalog")
    report = catalog.import_path(path.parent)
    assert report.refused == [] and report.faults == []
    stored = catalog.feed(interval="book")
    assert stored.events.tobytes() == feed.events.tobytes() and not stored.events.flags.writeable
    assert catalog.import_path(path).unchanged and catalog.check() == []


def test_a_damaged_tape_is_imported_with_its_gap_marked(tmp_path):
    _market, rows, _feed = market_rows()
    path = recorded(tmp_path / "source" / "BTCUSDT.tape", rows)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    catalog = Catalog(tmp_path / "catalog")
    report = catalog.import_path(path)
    assert report.refused == [] and any("bytes damaged, blocks" in fault for fault in report.faults)
    assert any("the recorder lost the stream here" in fault for fault in report.faults)
    feed = catalog.feed(interval="book")
    assert np.count_nonzero(feed.events["kind"] == EventKind.GAP) == 1 and feed.coverage[0]["unusable_s"] > 1.0
    lone = read_tape(path).feed()
    assert np.count_nonzero(lone.events["kind"] == EventKind.GAP) == 1 and any("bytes damaged" in text for text in lone.caveats)


def test_a_tape_that_ends_in_the_middle_of_a_snapshot_is_not_usable_there(tmp_path):
    _market, rows, _feed = market_rows()
    cut = int(np.flatnonzero(rows["kind"] == EventKind.READY)[0]) - 5
    path = recorded(tmp_path / "BTCUSDT.tape", rows[:cut])
    catalog = Catalog(tmp_path / "catalog")
    ((_file, reason),) = catalog.import_path(path).refused
    assert "nothing to replay" in reason and catalog.books() == ()
    recorded(path, np.concatenate([rows, rows[:0]]))
    feed = Catalog(tmp_path / "other")
    feed.import_path(path)
    assert np.count_nonzero(feed.feed(interval="book").events["kind"] == EventKind.READY) == 1


def test_a_tape_is_small(tmp_path):
    """A market's rows take a small part of their 32 bytes; how much depends on the market, so the bound is loose."""
    _market, rows, _feed = market_rows(3000)
    path = recorded(tmp_path / "BTCUSDT.tape", rows, 4096)
    assert path.stat().st_size < 0.3 * rows.nbytes


@pytest.mark.real
def test_a_real_recording_fits_a_tape_of_few_bytes_a_row(tmp_path, real_data):
    catalog = Catalog(tmp_path / "catalog")
    catalog.import_path(real_data / "l2" / "um" / "ETHUSDT-20240808")
    feed = catalog.feed(interval="book")
    path = recorded(tmp_path / "ETHUSDT.tape", tape_rows(feed, "ETHUSDT"), 4096, symbol="ETHUSDT", tick_size=0.01)
    assert path.stat().st_size < 8 * feed.events.size
    assert read_tape(path).feed().events.tobytes() == feed.events.tobytes()
