"""Synthetic markets: the same seed gives the same market, its habits are there, and the sample is what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from replay_data import sample
from replay_data.catalog import Catalog
from replay_data.feed import from_frame
from replay_data.interval import HOUR_NS
from replay_data.synthetic import SPECS, Market, make_market
from simcore.domain.errors import DataError


def returns(market: Market) -> np.ndarray:
    """Log returns of every symbol a minute, from close to close."""
    return np.stack([np.diff(np.log(tape.close)) for tape in market.tapes])


def hourly(market: Market, hour: int) -> np.ndarray:
    """The move of every symbol over one UTC hour of each day, in basis points."""
    out = []
    for tape in market.tapes:
        close = np.log(tape.close.reshape(-1, 24, 60)[:, :, -1])
        before = np.log(tape.open.reshape(-1, 24, 60)[:, :, 0])
        out.append((close - before)[:, hour] * 1e4)
    return np.array(out)


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(seed=11, days=60)


def test_the_same_seed_gives_the_same_market_and_another_one_another() -> None:
    one, again, other = make_market(3, days=3).feed(), make_market(3, days=3).feed(), make_market(4, days=3).feed()
    assert one.content_hash == again.content_hash != other.content_hash


def test_bars_are_sound_and_in_order(market: Market) -> None:
    for tape in market.tapes:
        assert (tape.high >= np.maximum(tape.open, tape.close)).all() and (tape.low >= 1).all()
        assert (tape.low <= np.minimum(tape.open, tape.close)).all() and (tape.volume > 0).all()
        assert (np.diff(tape.open_ns) == 60 * 10**9).all()


def test_volatility_clusters_and_returns_do_not(market: Market) -> None:
    moves = returns(market)
    for row in moves:
        size = np.abs(row) - np.abs(row).mean()
        assert (size[1:] * size[:-1]).mean() / size.var() > 0.1
        assert abs(np.corrcoef(row[1:], row[:-1])[0, 1]) < 0.05
        assert ((row - row.mean()) ** 4).mean() / row.var() ** 2 > 5.0


def test_symbols_move_together_and_hours_differ(market: Market) -> None:
    correlation = np.corrcoef(returns(market)[:, :])
    assert 0.2 < correlation[np.triu_indices(len(SPECS), 1)].mean() < 0.8
    spread = [np.abs(hourly(market, hour)).mean() for hour in range(24)]
    assert np.mean(spread[12:17]) > 1.3 * np.mean(spread[0:5])


def test_a_planted_edge_is_in_its_hour_and_nowhere_else() -> None:
    market = make_market(seed=5, days=120, planted_edge_bps=40.0, edge_hour=9)
    plain = make_market(seed=5, days=120, edge_hour=9)
    for hour in range(24):
        gain = (hourly(market, hour) - hourly(plain, hour)).mean()
        assert gain == pytest.approx(40.0 if hour == 9 else 0.0, abs=3.0)


def test_pure_noise_has_no_habits() -> None:
    market = make_market(seed=8, days=60, pure_noise=True)
    moves = returns(market)
    assert abs(np.corrcoef(moves)[np.triu_indices(len(SPECS), 1)]).max() < 0.03
    for row in moves:
        size = np.abs(row) - np.abs(row).mean()
        assert abs((size[1:] * size[:-1]).mean() / size.var()) < 0.03
        assert ((row - row.mean()) ** 4).mean() / row.var() ** 2 < 3.5
    means = np.array([hourly(market, hour).mean() / (hourly(market, hour).std() / np.sqrt(480)) for hour in range(24)])
    assert np.abs(means).max() < 4.0
    assert all((tape.rate_e8 == 0).all() for tape in market.tapes)


def test_marks_stay_near_the_last_price_and_funding_is_plausible(market: Market) -> None:
    feed = market.feed()
    for at, tape in enumerate(market.tapes):
        first, end = feed.mark_range[at]
        marks = feed.marks[first:end]
        last = tape.close[59::60] * tape.spec.tick_size
        assert marks.size == 60 * 24 and np.abs(marks["close"] / last - 1).max() < 0.003
        assert (marks["high"] >= marks["low"]).all() and (marks["span_ns"] == HOUR_NS).all()
        assert 0 < np.abs(tape.rate_e8).max() <= 300_000 and tape.rate_e8.std() > 0


def test_a_market_is_labelled_synthetic_wherever_it_goes(market: Market) -> None:
    feed = market.feed()
    assert feed.synthetic and "synthetic" in feed.label and any("synthetic" in caveat for caveat in feed.caveats)
    assert all(symbol.startswith("SYN") for symbol in feed.symbols)


def test_frames_go_through_from_frame() -> None:
    market = make_market(2, days=2, symbols=2)
    sizes = {tape.spec.symbol: tape.spec for tape in market.tapes}
    feed = from_frame(
        market.frames(),
        tick_size={name: spec.tick_size for name, spec in sizes.items()},
        step_size={name: spec.step_size for name, spec in sizes.items()},
    )
    assert feed.bars.tobytes() == market.feed().bars.tobytes()


@pytest.mark.parametrize("wrong", [{"days": 0}, {"symbols": 0}, {"edge_hour": 24}])
def test_arguments_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(DataError, match="out of range"):
        make_market(**wrong)


def test_the_sample_is_small_and_its_hash_is_right() -> None:
    import hashlib

    packed = (sample.FOLDER / "market.xz").read_bytes()
    about = json.loads((sample.FOLDER / "sample.json").read_bytes())
    assert sum(path.stat().st_size for path in sample.FOLDER.iterdir()) < 3_000_000
    assert hashlib.sha256(packed).hexdigest() == about["sha256"] and about["label"] == "synthetic sample"


def test_the_sample_is_what_its_recipe_makes() -> None:
    about = json.loads((sample.FOLDER / "sample.json").read_bytes())
    stored = sample.unpack_tapes((sample.FOLDER / "market.xz").read_bytes(), about["start_ns"], about["minutes"])
    made = make_market(**sample.RECIPE).tapes
    assert about["recipe"] == sample.RECIPE
    # Another processor's exp and log may differ in the last digit and move a price by a tick.
    for one, other in zip(stored, made, strict=True):
        assert np.abs(one.close - other.close).max() <= 1 and (one.close != other.close).mean() < 1e-3


def test_packing_is_exact() -> None:
    tapes = make_market(seed=77, days=4).tapes
    back = sample.unpack_tapes(sample.pack_tapes(tapes), int(tapes[0].open_ns[0]), tapes[0].open_ns.size)
    for one, other in zip(tapes, back, strict=True):
        for name in ("open_ns", "open", "high", "low", "close", "volume", "premium_e7", "rate_e8"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_the_sample_catalog_is_complete_and_labelled(sample_feed) -> None:
    feed = sample_feed
    assert feed.symbols == tuple(f"SYN{letter}USDT" for letter in "ABCDEFGH")
    assert feed.synthetic and feed.label == "synthetic sample" and "synthetic sample: no real market" in feed.caveats
    assert feed.bars.size == 8 * 90 * 1440 and feed.marks.size == 8 * 90 * 24 and feed.funding.size == 8 * 90 * 3
    for one, spec in zip(feed.instruments, SPECS, strict=True):
        assert (one["tick_size"], one["step_size"]) == (spec.tick_size, spec.step_size)
        assert one["min_notional_e8"] == 5 * 10**8 and one["n_brackets"] == 7 and one["price_filter_ticks"] == 1
        assert one["trading"] == 1 and one["liquidation_fee_e8"] == 1_250_000
    assert all(part["gaps"] == 0 and part["off_tick_prices"] == 0 for part in feed.coverage)


def test_the_sample_expands_once_into_an_empty_home_and_checks_out(cache_home: Path) -> None:
    code = (
        "import sys, time\n"
        "from replay_data.sample import sample_catalog\n"
        "root = sample_catalog()\n"
        "start = time.perf_counter(); assert sample_catalog() == root; again = time.perf_counter() - start\n"
        "from replay_data.catalog import Catalog\n"
        "assert Catalog(root).check() == []\n"
        "print(root, again)\n"
    )
    home = dict(os.environ, SIMCORE_CACHE_DIR=str(cache_home))
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, check=True)
    root, again = done.stdout.split()
    assert Path(root).parent == cache_home / "simcore" and float(again) < 0.05
    assert not [path for path in Path(root).parent.iterdir() if path.name.endswith(".tmp")]


def test_a_damaged_sample_is_refused(tmp_path: Path, monkeypatch) -> None:
    for name in ("market.xz", "sample.json"):
        (tmp_path / name).write_bytes((sample.FOLDER / name).read_bytes())
    data = bytearray((tmp_path / "market.xz").read_bytes())
    data[1000] ^= 1
    (tmp_path / "market.xz").write_bytes(bytes(data))
    monkeypatch.setattr(sample, "FOLDER", tmp_path)
    with pytest.raises(DataError, match="damaged: its sha256 is not the one in sample.json"):
        sample.expand(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_loading_the_sample_is_quick_once_expanded(sample_feed) -> None:
    root = sample.sample_catalog()
    best = min(_timed(lambda: Catalog(root).feed()) for _ in range(5))
    assert best < 1.0, f"loading took {best:.3f} s"


def _timed(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start
