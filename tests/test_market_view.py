"""The core's view of the market: coarser timeframes equal pandas' resample of complete buckets, with holes in the data."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.decision.market import clear_fresh_nb, on_bar_nb, on_funding_rate_nb, on_mark_nb
from simcore.domain.records import MAX_SYMBOLS
from simcore.jit import kernel
from tests.scenes import MINUTE_NS, START_NS, STEP_SIZE, TICK_SIZE, A, B, Scene, bar_rows, flat, gap, play, session_of

FIELDS = ("open", "high", "low", "close", "volume")


@kernel
def tell_bar_nb(core, symbol, bar):
    """Let the core take one bar, with nothing fresh before it."""
    clear_fresh_nb(core)
    on_bar_nb(core, symbol, bar)


@kernel
def tell_mark_nb(core, symbol, ts_ns, mark, rate_e8, interval_ns):
    """Let the core take a mark and a funding rate."""
    on_mark_nb(core, symbol, ts_ns, mark)
    on_funding_rate_nb(core, symbol, ts_ns, rate_e8, interval_ns)


_EMPTY: dict[str, np.ndarray] = {}


def fresh_core(frames: tuple[str, ...] = ("5m", "15m")) -> np.ndarray:
    """Return a core without a bar that builds these timeframes."""
    key = ",".join(frames)
    if key not in _EMPTY:
        names = [f"s{n}" for n in range(len(frames))]
        scene = session_of({A: flat(), B: flat()}, scripts={name: {} for name in names}, intervals=dict(zip(names, frames, strict=True)))
        _EMPTY[key] = scene.session.cores
    return _EMPTY[key].copy()


def drawn_tape(seed: int) -> tuple[int, list]:
    """Return the slot at which the data begins, and bars with holes of all lengths."""
    rng = random.Random(seed)
    price, tape = 10_000, []
    for _ in range(rng.randint(1, 60)):
        if tape and rng.random() < 0.12:
            tape += [None] * rng.choice((1, 1, 2, 5, 17, 40))
        opened = price + rng.randint(-5, 5)
        price = opened + rng.randint(-20, 20)
        tape.append((opened, max(opened, price) + rng.randint(0, 9), min(opened, price) - rng.randint(0, 9), price, rng.randint(0, 1_000)))
    return rng.randint(0, 20), tape


def expected_buckets(rows: np.ndarray, minutes: int) -> pd.DataFrame:
    """Return what pandas makes of the bars: buckets whose last minute was seen, from the first one without a hole on."""
    index = pd.to_datetime(rows["open_ns"])
    table = pd.DataFrame({name: rows[f"{name}_ticks"] * TICK_SIZE for name in FIELDS[:4]}, index=index)
    table["volume"], table["bars"] = rows["volume_lots"] * STEP_SIZE, 1
    table["last"] = index
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "bars": "sum", "last": "max"}
    made = table.resample(f"{minutes}min", origin="epoch").agg(how)
    made = made[made["bars"] > 0]
    made = made[made["last"] == made.index + pd.Timedelta(minutes=minutes - 1)]
    whole = np.flatnonzero(made["bars"] == minutes)
    return made.iloc[whole[0] :] if len(whole) else made.iloc[:0]


@given(st.integers(0, 2**40))
@settings(max_examples=150)
def test_coarser_bars_equal_a_resample_of_the_complete_buckets(seed: int) -> None:
    compare_with_pandas(seed)


@pytest.mark.campaign
def test_campaign_coarser_bars_equal_a_resample_of_the_complete_buckets() -> None:
    for seed in range(3_000):
        compare_with_pandas(seed)


def compare_with_pandas(seed: int) -> None:
    """Let the core see a drawn tape bar by bar and compare every bucket it publishes."""
    begin, tape = drawn_tape(seed)
    rows = bar_rows([None] * begin + tape)
    core = fresh_core()[0]
    seen: dict[int, list[tuple]] = {5: [], 15: []}
    for row in rows:
        tell_bar_nb(core, 0, row)
        for frame, minutes in ((1, 5), (2, 15)):
            market = core["market"][frame * MAX_SYMBOLS]
            if market["fresh"] == 1:
                assert market["ts_ns"] == row["open_ns"] + MINUTE_NS, "published when its last minute closed"
                assert market["ts_ns"] == market["open_ns"] + minutes * MINUTE_NS
                seen[minutes].append(
                    (int(market["open_ns"]), *(float(market[name]) for name in FIELDS), int(market["gap_bars"]), int(market["bars"]))
                )
    for minutes, got in seen.items():
        want = expected_buckets(rows, minutes)
        assert [bucket[0] for bucket in got] == want.index.astype(np.int64).tolist()
        for n, bucket in enumerate(got):
            row = want.iloc[n]
            assert bucket[1:5] == tuple(row[name] for name in FIELDS[:4])
            assert bucket[5] == pytest.approx(row["volume"], rel=1e-12, abs=1e-12)
            assert (bucket[6], bucket[7]) == (minutes - row["bars"], n + 1)


@given(st.integers(0, 2**40))
@settings(max_examples=200)
def test_the_base_view_is_the_bar_itself_with_the_holes_before_it(seed: int) -> None:
    begin, tape = drawn_tape(seed)
    rows = bar_rows([None] * begin + tape)
    core, since = fresh_core()[0], 0
    for n, row in enumerate(rows):
        tell_bar_nb(core, 0, row)
        market = core["market"][0]
        missing = int(row["open_ns"] - rows[n - 1]["open_ns"]) // MINUTE_NS - 1 if n else 0
        since = 0 if missing else since + 1
        assert (int(market["gap_bars"]), int(market["bars_since_gap"]), int(market["bars"]), int(market["fresh"])) == (
            missing,
            since,
            n + 1,
            1,
        )
        assert (int(market["open_ns"]), int(market["ts_ns"])) == (row["open_ns"], row["open_ns"] + MINUTE_NS)
        assert float(market["close"]) == float(market["mark"]) == row["close_ticks"] * TICK_SIZE
        assert int(market["hour"]) == int(row["open_ns"] + MINUTE_NS) // (60 * MINUTE_NS) % 24


def test_a_bucket_that_began_before_the_data_did_is_no_bar() -> None:
    core = fresh_core(("5m",))[0]
    for row in bar_rows([None, None, *flat(n=8)]):
        tell_bar_nb(core, 0, row)
    market = core["market"][MAX_SYMBOLS]
    assert (int(market["bars"]), int(market["open_ns"])) == (1, START_NS + 5 * MINUTE_NS)


def test_a_bucket_without_its_last_minute_is_no_bar() -> None:
    core = fresh_core(("5m",))[0]
    for row in bar_rows([*flat(n=5), *flat(n=4), None, *flat(n=4)]):
        tell_bar_nb(core, 0, row)
    assert int(core["market"][MAX_SYMBOLS]["bars"]) == 1


def test_marks_and_rates_reach_every_timeframe_and_only_their_symbol() -> None:
    core = fresh_core(("5m",))[0]
    for symbol in (0, 1):
        for row in bar_rows(flat(n=5)):
            tell_bar_nb(core, symbol, row)
    tell_mark_nb(core, 1, START_NS + 9, 777.0, 25_000, 8 * 60 * MINUTE_NS)
    for at in (1, MAX_SYMBOLS + 1):
        row = core["market"][at]
        assert (float(row["mark"]), float(row["funding_rate"]), int(row["funding_ts_ns"]), int(row["mark_ts_ns"])) == (
            777.0,
            0.00025,
            START_NS + 9,
            START_NS + 9,
        )
    assert float(core["market"][0]["mark"]) == 1_000.0 and float(core["market"][0]["funding_rate"]) == 0.0


def test_fresh_is_seen_by_one_decision_only() -> None:
    scene: Scene = play({A: [*flat(n=2), *gap(2), *flat()], B: flat(n=5)}, {})
    assert not scene.core["market"]["fresh"].any()
    scene = session_of({A: [*flat(n=2), *gap(2), *flat()], B: flat(n=5)}, {}, interpreted=True)
    heard = []
    original = type(scene.session.plan.uses[0].strategy).python

    def listen(market, *rest) -> None:
        heard.append((int(market["symbol"]), (int(market["ts_ns"]) - START_NS) // MINUTE_NS - 1))
        original(market, *rest)

    scene.session.plan.uses[0].strategy.python = listen
    scene.session.finish()
    assert heard == [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (1, 3), (0, 4), (1, 4)]
