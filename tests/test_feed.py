"""Feeds from a person's own data, and the prepared bars inside them, against a plain twin."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.feed import Feed, from_arrays, from_frame
from replay_data.instrument import common_grid, quote_of, unit_e8
from replay_data.interval import DAY_NS, HOUR_NS, MINUTE_NS, from_iso, interval_name, interval_ns, iso, stamps_to_ns
from replay_data.prepare import Columns, aggregate, guess_step, guess_tick, prepare
from simcore.domain.errors import DataError
from simcore.domain.records import BAR

START_NS = from_iso("2025-03-01")


def frame_of(rows: int = 300, seed: int = 1, freq: str = "1min", tick: float = 0.01) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.integers(-3, 4, rows)) * tick, 4)
    before = np.concatenate([[100.0], close[:-1]])
    high = np.round(np.maximum(close, before) + rng.integers(0, 3, rows) * tick, 4)
    low = np.round(np.minimum(close, before) - rng.integers(0, 3, rows) * tick, 4)
    volume = np.round(rng.exponential(5.0, rows), 3)
    index = pd.date_range("2025-03-01", periods=rows, freq=freq, tz="UTC")
    return pd.DataFrame({"open": before, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def columns_of(open_ns: np.ndarray, closes: np.ndarray, volumes: np.ndarray) -> Columns:
    close = closes.astype(np.float64)
    return Columns(open_ns, close, close, close, close, volumes.astype(np.float64))


def day_twin(open_ns: list[int], closes: list[int], lots: list[int], interval: int) -> list[tuple[float, float]]:
    """What sigma_day and volume_day mean, said slowly: look back, list the window, add up."""
    window_ns = DAY_NS if interval <= DAY_NS // 2 else 20 * interval
    figures = []
    for at, now in enumerate(open_ns):
        inside = [j for j in range(at) if open_ns[j] >= now - window_ns]
        covered = len(inside) * interval
        if len(inside) < 2 or covered < HOUR_NS:
            figures.append((math.nan, math.nan))
            continue
        total = 0
        for j in inside[1:]:
            move = min((closes[j] - closes[j - 1]) / closes[j - 1] * 1e6, 1e7)
            total += (int(move + 0.5) if move >= 0 else int(move - 0.5)) ** 2
        span = open_ns[inside[-1]] - open_ns[inside[0]]
        volume = float(sum(lots[j] for j in inside)) * (0.5 * (DAY_NS / covered))
        figures.append((math.sqrt(float(total) * (1e-12 * (DAY_NS / span))), volume))
    return figures


@pytest.mark.jitless
@settings(max_examples=60)
@given(st.data())
def test_trailing_day_figures_equal_a_plain_look_back(data: st.DataObject) -> None:
    interval = data.draw(st.sampled_from([5 * MINUTE_NS, HOUR_NS, 4 * HOUR_NS, DAY_NS]))
    jumps = data.draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 7, 300]), min_size=2, max_size=90))
    open_ns = START_NS + np.cumsum([0, *jumps]) * interval
    closes = np.array(data.draw(st.lists(st.integers(1, 100_000), min_size=open_ns.size, max_size=open_ns.size)))
    lots = np.array(data.draw(st.lists(st.integers(0, 10**9), min_size=open_ns.size, max_size=open_ns.size)))
    bars = prepare(columns_of(open_ns, closes, lots * 0.5), interval, 1.0, 0.5, "X").bars
    twin = day_twin(open_ns.tolist(), closes.tolist(), lots.tolist(), interval)
    assert np.array_equal(bars["sigma_day"], np.array([s for s, _v in twin], np.float32), equal_nan=True)
    assert np.array_equal(bars["volume_day"], np.array([v for _s, v in twin], np.float32), equal_nan=True)


def test_trailing_day_figures_depend_on_their_window_only() -> None:
    frame = frame_of(5000, seed=7)
    whole = from_frame(frame, "AUSDT", tick_size=0.01, step_size=0.001)
    late = from_frame(frame.iloc[1000:], "AUSDT", tick_size=0.01, step_size=0.001)
    assert whole.bars[1000 + 1440 :].tobytes() == late.bars[1440:].tobytes()


def test_figures_of_a_bar_do_not_change_with_later_bars() -> None:
    frame = frame_of(3000, seed=3)
    changed = frame.copy()
    changed.iloc[2000:, :4] *= 3
    assert (
        from_frame(frame, "A", tick_size=0.01, step_size=0.001).bars[:2000].tobytes()
        == from_frame(changed, "A", tick_size=0.01, step_size=0.001).bars[:2000].tobytes()
    )
    one, other = (from_frame(each, "A", tick_size=0.01, step_size=0.001).bars[2000] for each in (frame, changed))
    assert one["sigma_day"] == other["sigma_day"] and one["volume_day"] == other["volume_day"]


@pytest.mark.jitless
def test_prices_become_ticks_and_volumes_lots() -> None:
    frame = frame_of(50)
    bars = from_frame(frame, "AUSDT", tick_size=0.01, step_size=0.001).bars
    for name in ("open", "high", "low", "close"):
        assert (bars[f"{name}_ticks"] == np.rint(frame[name].to_numpy() * 100)).all()
    assert (bars["volume_lots"] == np.rint(frame["volume"].to_numpy() * 1000)).all()
    assert (bars["open_ns"] == frame.index.as_unit("ns").asi8).all()


def test_off_tick_prices_are_rounded_counted_and_said() -> None:
    frame = frame_of(50)
    frame.iloc[10, 1] = 109.997
    feed = from_frame(frame, "AUSDT", tick_size=0.01)
    assert feed.coverage[0]["off_tick_prices"] == 1
    assert feed.bars["high_ticks"][10] == 11000
    assert any("1 prices off the tick 0.01" in caveat for caveat in feed.caveats)


@pytest.mark.parametrize("spelling", [str.lower, str.capitalize, str.upper])
def test_column_names_may_be_spelt_in_any_case(spelling) -> None:
    frame = frame_of()
    feed = from_frame(frame.rename(columns=spelling), "AUSDT")
    assert feed.content_hash == from_frame(frame, "AUSDT").content_hash


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_index_of_any_unit_means_the_same(unit) -> None:
    frame = frame_of()
    other = frame.set_axis(frame.index.as_unit(unit))
    assert from_frame(other, "AUSDT").content_hash == from_frame(frame, "AUSDT").content_hash


def test_binance_kline_headers_and_date_columns_are_understood() -> None:
    frame = frame_of()
    same = from_frame(frame, "AUSDT").content_hash
    klines = frame.reset_index(drop=True)
    klines.insert(0, "open_time", frame.index.as_unit("ms").asi8)
    klines["close_time"] = klines["open_time"] + 59_999
    assert from_frame(klines, "AUSDT").content_hash == same
    dated = frame.reset_index(names="date")
    assert from_frame(dated, "AUSDT").content_hash == same
    spaced = klines.rename(columns={"open_time": "Open time"})
    assert from_frame(spaced, "AUSDT").content_hash == same


def test_numpy_columns_give_the_same_feed_as_a_frame() -> None:
    frame = frame_of()
    columns = {name: frame[name].to_numpy() for name in frame} | {"open_time": frame.index.as_unit("ns").asi8}
    assert from_arrays(columns, "AUSDT").content_hash == from_frame(frame, "AUSDT").content_hash


def test_numpy_columns_need_no_pandas() -> None:
    code = (
        "import sys, numpy as np\n"
        "from replay_data.feed import from_arrays\n"
        "p = np.full(100, 5.0)\n"
        "t = 1_740_787_200_000_000_000 + np.arange(100) * 60_000_000_000\n"
        "feed = from_arrays(dict(open_time=t, open=p, high=p, low=p, close=p, volume=p), 'AUSDT')\n"
        "assert feed.bars.size == 100\n"
        "assert 'pandas' not in sys.modules and 'pyarrow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_times_of_another_zone_are_converted() -> None:
    frame = frame_of()
    assert from_frame(frame.tz_convert("Asia/Tokyo"), "AUSDT").content_hash == from_frame(frame, "AUSDT").content_hash


def test_symbols_are_put_in_order_of_name_each_with_its_own_rows() -> None:
    one, other = frame_of(200, 1), frame_of(100, 2, "5min")
    feed = from_frame({"ZUSDT": one, "AUSDC": other})
    assert feed.symbols == ("AUSDC", "ZUSDT")
    assert feed.bar_range.tolist() == [[0, 100], [100, 300]]
    assert feed.interval_ns.tolist() == [5 * MINUTE_NS, MINUTE_NS]
    assert feed.quote_assets == ("USDC", "USDT") and feed.instruments["quote_asset"].tolist() == [0, 1]
    assert feed.bars_of("ZUSDT").tobytes() == from_frame(one, "ZUSDT").bars.tobytes()


def test_missing_bars_are_counted_and_never_filled() -> None:
    frame = frame_of(100).drop(frame_of(100).index[[10, 11, 50]])
    feed = from_frame(frame, "AUSDT")
    assert feed.bars.size == 97
    assert (feed.coverage[0]["gaps"], feed.coverage[0]["gap_bars"]) == (2, 3)


def test_shuffled_and_repeated_rows_give_the_same_bars_and_are_said() -> None:
    frame = frame_of(100)
    messy = pd.concat([frame, frame.iloc[20:30]]).sample(frac=1.0, random_state=3)
    feed = from_frame(messy, "AUSDT")
    assert feed.content_hash == from_frame(frame, "AUSDT").content_hash
    assert "AUSDT: rows were not in order of time; sorted" in feed.caveats
    assert "AUSDT: 10 identical duplicate rows dropped" in feed.caveats


def test_what_was_inferred_is_said() -> None:
    feed = from_frame(frame_of(), "AUSDT")
    assert "AUSDT: tick size 0.01 inferred from the decimals of the prices" in feed.caveats
    assert "AUSDT: step size 0.001 inferred from the decimals of the volumes" in feed.caveats
    assert feed.instruments[0]["unit_e8"] == 1000
    given_sizes = from_frame(frame_of(), "AUSDT", tick_size=0.01, step_size=0.001)
    assert not any("inferred" in caveat for caveat in given_sizes.caveats)


@pytest.mark.jitless
@settings(max_examples=200)
@given(st.integers(0, 6), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_the_tick_writes_every_price_and_no_coarser_one_does(places: int, ticks: list[int]) -> None:
    prices = np.array([float(f"{t / 10**places:.{places}f}") for t in ticks])
    columns = columns_of(START_NS + np.arange(len(ticks)) * MINUTE_NS, prices, prices)
    tick, exact = guess_tick(columns)
    assert exact
    assert all(abs(p / tick - round(p / tick)) < 1e-6 for p in prices)
    coarser = tick * 10
    assert tick == 1.0 or any(abs(p / coarser - round(p / coarser)) > 0.05 for p in prices)
    step, _exact = guess_step(columns, tick)
    assert unit_e8("X", tick, step) >= 1


def test_prices_of_many_decimals_get_a_tick_of_a_millionth_and_a_caveat() -> None:
    frame = frame_of(200)
    rng = np.random.default_rng(5)
    frame[["open", "high", "low", "close"]] += rng.random((200, 1))
    feed = from_frame(frame, "AUSDT")
    assert feed.instruments[0]["tick_size"] == pytest.approx(1e-4)
    assert any("too many decimals" in caveat for caveat in feed.caveats)


def test_marks_and_funding_of_ones_own_become_records() -> None:
    frame = frame_of(600)
    marks = pd.Series([100.0, 101.0], index=pd.date_range("2025-03-01", periods=2, freq="1h", tz="UTC"))
    funding = pd.Series([1e-4, -2e-4], index=pd.date_range("2025-03-01 00:00:00.009", periods=2, freq="8h", tz="UTC"))
    feed = from_frame(frame, "AUSDT", funding=funding, mark=marks)
    assert feed.marks["ts_ns"].tolist() == [START_NS + HOUR_NS, START_NS + 2 * HOUR_NS]
    assert feed.marks["span_ns"].tolist() == [HOUR_NS] * 2
    assert feed.funding["ts_ns"].tolist() == [START_NS, START_NS + 8 * HOUR_NS]
    assert feed.funding["rate_e8"].tolist() == [10_000, -20_000]
    assert feed.funding["interval_ns"].tolist() == [8 * HOUR_NS] * 2
    both = from_frame({"A": frame, "B": frame}, funding={"B": funding})
    assert both.funding_range.tolist() == [[0, 0], [0, 2]]


@pytest.mark.jitless
def test_aggregated_bars_equal_a_resample_of_complete_hours() -> None:
    frame = frame_of(600, seed=9).drop(frame_of(600).index[[130, 131]])
    fine = from_frame(frame, "AUSDT", tick_size=0.01, step_size=0.001)
    coarse = aggregate(fine.bars, MINUTE_NS, HOUR_NS, 0.001)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    wanted = frame.resample("1h").agg(rules)[frame["close"].resample("1h").count() == 60]
    assert coarse.size == 9
    assert (coarse["open_ns"] == wanted.index.as_unit("ns").asi8).all()
    for name in ("open", "high", "low", "close"):
        assert (coarse[f"{name}_ticks"] == np.rint(wanted[name].to_numpy() * 100)).all()
    assert (coarse["volume_lots"] == np.rint(wanted["volume"].to_numpy() * 1000)).all()


def test_the_content_hash_tells_any_difference() -> None:
    frame = frame_of()
    feed = from_frame(frame, "AUSDT")
    frame.iloc[7, 4] += 0.001
    hashes = {feed.content_hash, from_frame(frame, "AUSDT").content_hash, from_frame(frame, "BUSDT").content_hash}
    assert len(hashes) == 3 and all(len(each) == 64 for each in hashes)


def test_p30_numbers_without_headroom_are_refused_by_name() -> None:
    open_ns = START_NS + np.arange(3) * MINUTE_NS
    big = columns_of(open_ns, np.array([1e5, 1e5, 3e7]), np.ones(3))
    with pytest.raises(DataError, match=r"^BTCUSDT: bar 2 .*high 30000000 is 3e\+09 ticks of 0.01; the limit is 2,000,000,000"):
        prepare(big, MINUTE_NS, 0.01, 1.0, "BTCUSDT")
    heavy = columns_of(open_ns, np.ones(3), np.array([1.0, 1e16, 1.0]))
    with pytest.raises(DataError, match=r"^BTCUSDT: bar 1 .*volume 1e\+16 is 1e\+16 lots of 1; the limit is 2\^50"):
        prepare(heavy, MINUTE_NS, 1.0, 1.0, "BTCUSDT")
    with pytest.raises(DataError, match="must be a whole number of at least 1"):
        unit_e8("X", 1e-5, 1e-5)


@settings(max_examples=200)
@given(st.floats(1e-6, 1e6), st.integers(0, 4))
def test_p30_the_largest_order_at_tenfold_the_top_price_fits_int64(price: float, places: int) -> None:
    tick = 10.0**-places if 1 <= price * 10**places < 1e9 else price / 1000
    frame = frame_of(5)
    frame[["open", "high", "low", "close"]] = price
    frame["volume"] = 1.0
    tick = max(1e-8, float(f"{tick:.0e}"))
    feed = from_frame(frame, "AUSDT", tick_size=tick, step_size=1.0)
    one = feed.instruments[0]
    assert 100 * int(feed.bars["high_ticks"].max()) * int(one["max_qty_lots"]) * int(one["unit_e8"]) < 2**63


def test_a_malformed_feed_is_refused() -> None:
    feed = from_frame(frame_of(10), "AUSDT")
    with pytest.raises(DataError, match="bar_range points outside its 10 rows"):
        replace(feed, bar_range=np.array([[0, 11]]))
    with pytest.raises(DataError, match="one contiguous array of BAR records"):
        replace(feed, bars=feed.bars[::2])
    with pytest.raises(DataError, match="sorted and different"):
        replace(feed, symbols=("B", "A"))
    assert isinstance(feed, Feed) and feed.bars.dtype == BAR


def test_feeds_say_where_they_start_and_end() -> None:
    feed = from_frame({"A": frame_of(10), "B": frame_of(20)})
    assert (feed.start_ns, feed.end_ns) == (START_NS, START_NS + 20 * MINUTE_NS)


@given(st.sampled_from(["1s", "1m", "3m", "5m", "15m", "1h", "4h", "8h", "12h", "1d", "3d"]))
def test_interval_names_and_lengths_are_inverse(name: str) -> None:
    assert interval_name(interval_ns(name)) == name


@settings(max_examples=300)
@given(st.integers(1_262_304_000, 4_102_444_800))
def test_stamps_of_any_unit_mean_the_same_moment(second: int) -> None:
    stamps = np.array([second, second * 10**3, second * 10**6, second * 10**9])
    assert set(stamps_to_ns(stamps, "x").tolist()) == {second * 10**9}
    assert from_iso(iso(second * 10**9)) == second * 10**9


@pytest.mark.parametrize("stamp", [0, -1, -(2**63), 2**63 - 1, 10, 5 * 10**9, 10**16 * 7])
def test_stamps_that_are_no_market_time_are_refused(stamp: int) -> None:
    with pytest.raises(DataError, match="lies outside 2010 to 2100"):
        stamps_to_ns(np.array([1_740_787_200_000, stamp]), "x")


def test_the_common_grid_divides_all() -> None:
    assert common_grid([0.1, 0.01]) == 0.01
    assert common_grid([0.5, 0.2]) == 0.1
    assert common_grid([1000.0, 1.0]) == 1.0
    assert (quote_of("BTCUSDT"), quote_of("BTCUSDC"), quote_of("AAPL")) == ("USDT", "USDC", "USDT")
