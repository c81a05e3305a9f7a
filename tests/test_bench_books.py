"""The book benchmark's own ground: its stream is a sound market, and its bare kernel still has the peer's fills."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import quotes
from benchmarks.jobs import bare_engine
from benchmarks.streams import FILL, digest, save
from benchmarks.synthetic_book import LEVELS, LOW_TICK, SNAPSHOT_LEVELS, STEP_SIZE, TICK_SIZE, columns

EVENTS, SEED = 200_000, 20_240_808


@pytest.fixture(scope="module")
def stream() -> dict[str, np.ndarray]:
    return columns(EVENTS, SEED)


def ticks(stream):
    return np.rint(stream["price"] / TICK_SIZE).astype(np.int64)


def test_a_stream_begins_with_a_snapshot_and_keeps_both_clocks(stream):
    first = slice(0, 2 * SNAPSHOT_LEVELS)
    assert (stream["kind"][first] == 1).all() and (stream["ts_exch"][first] == stream["ts_exch"][0]).all()
    assert (np.diff(stream["ts_exch"]) >= 0).all() and (np.diff(stream["ts_local"]) >= 0).all()
    assert (stream["ts_local"] - stream["ts_exch"]).min() >= 2_000_000
    assert stream["ts_exch"][0] % quotes.WAKE_NS == 0


def test_a_stream_is_never_crossed_and_its_trades_are_the_depth_that_follows_them(stream):
    book: dict[int, dict[int, float]] = {1: {}, -1: {}}
    due: dict[tuple[int, int], float] = {}  # (side of the book, tick) -> what is left of it after the trades of this time
    now = 0
    rows = zip(stream["ts_exch"][:20_000], stream["kind"], stream["side"], ticks(stream), stream["qty"], strict=False)
    for ts, kind, side, tick, qty in rows:
        assert ts == now or not due, "the depth of a trade comes at the trade's time"
        now = ts
        if kind == 2:
            best = min(book[-1]) if side > 0 else max(book[1])
            level = due.get((-side, tick), book[-side][tick])
            assert tick == best or due, "a taker begins at the best price"
            due[-side, tick] = level - qty
            assert level - qty > -1e-9, "a print takes no more than its level shows"
        else:
            if due:
                assert due.pop((side, tick)) == pytest.approx(qty, abs=1e-9)
            book[side].pop(tick, None)
            if qty > 0.0:
                book[side][tick] = qty
            if book[1] and book[-1] and not due:
                assert max(book[1]) < min(book[-1])


def test_a_stream_repeats_itself_and_another_seed_is_another_stream(stream):
    again, other = columns(EVENTS, SEED), columns(EVENTS, SEED + 1)
    assert all((stream[name] == again[name]).all() for name in stream)
    assert (stream["qty"] != other["qty"]).any()


def test_a_clock_that_goes_back_is_named_with_its_row(stream, tmp_path):
    broken = {name: column.copy() for name, column in stream.items()}
    broken["ts_local"][700] -= 1_000_000_000
    with pytest.raises(ValueError, match="ts_local goes back at row 700"):
        save(tmp_path / "broken", broken, symbol="X")
    assert not (tmp_path / "broken").exists()


# Orders, fills, refused, digest of hftbacktest 2.4.4 on this very stream, by benchmarks/jobs/hftbacktest_job.py.
PEER = {"full": (3_518, 2_530, 120, "762b1560ac6b8942"), "partial": (3_499, 2_515, 120, "0eb65f0a3ec9484f")}


@pytest.mark.parametrize("exchange", PEER)
def test_the_bare_kernel_has_the_fills_of_the_peer_one_by_one(stream, exchange):
    partial = exchange == "partial"
    events = bare_engine.prepare(
        stream["ts_exch"], stream["ts_local"], stream["kind"], stream["side"], ticks(stream), stream["qty"], LOW_TICK, LOW_TICK + LEVELS - 1
    )
    assert events.dtype.itemsize == 32
    rules = np.zeros(1, bare_engine.RULES)
    rules["wake_ns"], rules["latency_ns"] = quotes.WAKE_NS, quotes.LATENCY_NS
    rules["order_qty"], rules["max_position"], rules["fee_rate"] = quotes.ORDER_QTY, quotes.MAX_POSITION, quotes.MAKER_FEE
    rules["tick_size"], rules["step_size"] = TICK_SIZE, STEP_SIZE
    rules["low_tick"], rules["high_tick"], rules["partial"] = LOW_TICK, LOW_TICK + LEVELS - 1, partial
    filled, totals = np.zeros(20_000, bare_engine.FILLED), np.zeros(1, bare_engine.TOTALS)
    count = bare_engine.bare_engine_nb(events, LEVELS, rules[0], filled, totals[0])
    fills = bare_engine.listed(filled[:count], rules[0])
    assert fills.dtype == FILL
    orders, refused = int(totals["orders"][0]), int(totals["refused"][0])
    assert (orders, len(fills), refused, digest(fills)) == PEER[exchange]
