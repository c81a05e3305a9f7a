"""The indicators: a value at a time, equal to what pandas says of the whole series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore import indicators as ind
from simcore.strategy.memory import Layout, window

pytestmark = pytest.mark.jitless

PRICES = st.floats(0.01, 1e6)
HOLES = st.one_of(PRICES, PRICES, PRICES, PRICES, st.sampled_from([math.nan, math.inf, -math.inf]))
STEPS = st.one_of(PRICES, st.sampled_from([1.0, 2.0, 2.0, 3.0]))  # equal neighbours, for queues and flat windows


def series(values: st.SearchStrategy[float] = STEPS) -> st.SearchStrategy[np.ndarray]:
    return st.lists(values, min_size=1, max_size=60).map(np.array)


def stream(indicator: Callable[..., float], n: int, *columns: np.ndarray, before: int = 3) -> np.ndarray:
    """Feed the columns bar by bar into a window of length n that lies `before` floats into a larger array."""
    memory = np.concatenate([np.full(before, 7.0), Layout((), (window("w", n),), {}).fresh({}), np.full(2, 7.0)])
    out = np.array([indicator(memory, before, *row) for row in zip(*(c.tolist() for c in columns), strict=True)])
    assert (memory[:before] == 7.0).all() and (memory[-2:] == 7.0).all()
    return out


def agree(mine: np.ndarray, pandas: Any, scale: np.ndarray) -> None:
    finite = np.abs(scale[np.isfinite(scale)])
    np.testing.assert_allclose(mine, np.asarray(pandas, dtype=float), rtol=1e-9, atol=1e-9 * finite.max(initial=0.0))


ROLLING = {
    "sma": (ind.sma, lambda s, n: s.rolling(n).mean()),
    "rolling_max": (ind.rolling_max, lambda s, n: s.rolling(n).max()),
    "rolling_min": (ind.rolling_min, lambda s, n: s.rolling(n).min()),
    "highest_before": (ind.highest_before, lambda s, n: s.rolling(n).max().shift(1)),
    "lowest_before": (ind.lowest_before, lambda s, n: s.rolling(n).min().shift(1)),
    "lagged": (ind.lagged, lambda s, n: s.replace([np.inf, -np.inf], np.nan).shift(n)),
    "momentum": (ind.momentum, lambda s, n: s.diff(n)),
    "rate_of_change": (ind.rate_of_change, lambda s, n: s.pct_change(n, fill_method=None)),
}


@pytest.mark.parametrize("name", ROLLING)
@settings(max_examples=300)
@given(values=series(), n=st.integers(1, 20))
def test_a_streamed_indicator_equals_the_whole_series(name: str, values: np.ndarray, n: int) -> None:
    indicator, pandas = ROLLING[name]
    agree(stream(indicator, n, values), pandas(pd.Series(values), n), values)


@pytest.mark.parametrize("name", ["sma", "rolling_max", "rolling_min", "highest_before", "lowest_before", "lagged"])
@settings(max_examples=300)
@given(values=series(HOLES), n=st.integers(1, 12))
def test_a_hole_makes_a_window_nan_while_it_is_inside_and_no_longer(name: str, values: np.ndarray, n: int) -> None:
    indicator, pandas = ROLLING[name]
    clean = np.where(np.isfinite(values), values, np.nan)
    agree(stream(indicator, n, values), pandas(pd.Series(clean), n), clean)


@settings(max_examples=300)
@given(values=series(), n=st.integers(2, 20))
def test_the_standard_deviation_equals_the_two_pass_one(values: np.ndarray, n: int) -> None:
    windows = [values[i - n + 1 : i + 1] for i in range(n - 1, len(values))]
    truth = np.array([math.nan] * min(n - 1, len(values)) + [_two_pass(w) for w in windows])
    np.testing.assert_allclose(stream(ind.rolling_std, n, values), truth, rtol=1e-9, atol=1e-12 * values.max())
    # pandas keeps a rounding residue of values that left (50, 1, 2, 2, 2 with n = 3 ends at 3e-7, not 0): hence the allowance
    pandas = pd.Series(values).rolling(n).std()
    np.testing.assert_allclose(stream(ind.rolling_std, n, values), pandas, rtol=1e-9, atol=1e-6 * values.max())


def _two_pass(values: np.ndarray) -> float:
    from statistics import stdev

    return stdev(values.tolist())


@settings(max_examples=300)
@given(values=series(st.floats(90.0, 110.0)), n=st.integers(2, 20))
def test_the_zscore_equals_that_of_the_whole_series(values: np.ndarray, n: int) -> None:
    s = pd.Series(values)
    truth = np.array((s - s.rolling(n).mean()) / s.rolling(n).std())
    steep = np.array(s.rolling(n).std()) > 1e-6  # below that pandas' own rounding decides
    mine = stream(ind.zscore, n, values)
    np.testing.assert_allclose(mine[steep], truth[steep], rtol=1e-6, atol=1e-6)
    assert np.isnan(mine[: n - 1]).all()


def test_a_constant_window_has_no_spread_at_all_and_no_zscore() -> None:
    values = np.array([5.0, 9.1, 0.3] + [0.1] * 50)
    assert (stream(ind.rolling_std, 10, values)[13:] == 0.0).all()
    assert np.isnan(stream(ind.zscore, 10, values)[13:]).all()


@pytest.mark.parametrize("n", [2, 7, 100])
def test_rounding_errors_do_not_pile_up_over_a_long_wild_series(n: int) -> None:
    rng = np.random.default_rng(5)
    values = np.exp(rng.standard_normal(6_000).cumsum() * 0.7 % 30.0) * rng.uniform(0.9, 1.1, 6_000)
    windows = np.lib.stride_tricks.sliding_window_view(values, n)
    largest = windows.max(axis=1)
    np.testing.assert_array_less(np.abs(stream(ind.sma, n, values)[n - 1 :] - windows.mean(axis=1)), 1e-9 * values.max())
    np.testing.assert_allclose(stream(ind.rolling_std, n, values)[n - 1 :], windows.std(axis=1, ddof=1), rtol=1e-7)
    np.testing.assert_array_equal(stream(ind.rolling_max, n, values)[n - 1 :], largest)


@settings(max_examples=300)
@given(values=series(HOLES), n=st.integers(1, 30))
def test_the_exponential_averages_equal_pandas_ewm(values: np.ndarray, n: int) -> None:
    clean = np.where(np.isfinite(values), values, np.nan)
    quick, slow, mine, wilder = math.nan, math.nan, [], []
    for x in clean.tolist():
        quick, slow = ind.ema_step(quick, x, float(n)), ind.wilder_step(slow, x, float(n))
        mine.append(quick)
        wilder.append(slow)
    s = pd.Series(clean)
    agree(np.array(mine), s.ewm(span=n, adjust=False, ignore_na=True).mean(), clean)
    agree(np.array(wilder), s.ewm(alpha=1.0 / n, adjust=False, ignore_na=True).mean(), clean)


def wilder_of(values: np.ndarray, n: int) -> np.ndarray:
    """Wilder's average of a whole series: the mean of the first n values, then an ewm with weight 1/n from there."""
    out = np.full(len(values), np.nan)
    if len(values) >= n:
        tail = pd.Series(np.concatenate([[values[:n].mean()], values[n:]]))
        out[n - 1 :] = tail.ewm(alpha=1.0 / n, adjust=False).mean()
    return out


@settings(max_examples=300)
@given(values=st.lists(st.tuples(PRICES, PRICES, PRICES), min_size=1, max_size=40), n=st.integers(1, 15))
def test_the_average_true_range_is_wilders(values: list[tuple[float, float, float]], n: int) -> None:
    bars = np.sort(np.array(values), axis=1)
    low, close, high = bars[:, 0], bars[:, 1], bars[:, 2]
    previous = pd.Series(close).shift(1)
    spans = pd.concat([pd.Series(high - low), (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)
    agree(stream(ind.atr, n, high, low, close), wilder_of(spans.to_numpy(), n), high)


@settings(max_examples=300)
@given(values=series(), n=st.integers(1, 15))
def test_the_relative_strength_is_wilders(values: np.ndarray, n: int) -> None:
    change = np.diff(values)
    gain, loss = wilder_of(change.clip(0), n), wilder_of((-change).clip(0), n)
    with np.errstate(invalid="ignore"):
        truth = np.where(gain + loss == 0.0, 50.0, 100.0 * gain / (gain + loss))
    np.testing.assert_allclose(stream(ind.rsi, n, values)[1:], truth, rtol=1e-9, atol=1e-9)


@settings(max_examples=300)
@given(values=series(HOLES), n=st.integers(1, 12), k=st.integers(-1, 13))
def test_a_value_ago_is_read_without_adding_one(values: np.ndarray, n: int, k: int) -> None:
    memory = Layout((), (window("w", n),), {}).fresh({})
    for i, x in enumerate(values.tolist()):
        ind.lagged(memory, 0, x)
        seen = memory.copy()
        wanted = values[i - k] if 0 <= k < n and k <= i and np.isfinite(values[i - k]) else math.nan
        np.testing.assert_equal(ind.value_ago(memory, 0, k), wanted)
        np.testing.assert_array_equal(memory, seen)


@pytest.mark.parametrize("name", [*ROLLING, "rolling_std", "zscore", "rsi"])
def test_compiled_and_plain_python_say_the_same_bits(name: str) -> None:
    indicator: Any = getattr(ind, name)
    rng = np.random.default_rng(3)
    values = np.where(rng.random(400) < 0.02, math.nan, 100.0 + rng.standard_normal(400).cumsum())
    compiled = stream(indicator, 9, values)
    plain = stream(getattr(indicator, "py_func", indicator), 9, values)
    assert np.array_equal(compiled, plain, equal_nan=True)


def test_the_queue_of_an_extreme_never_grows_past_its_window() -> None:
    """A falling series is the worst one for a maximum: every newcomer stays a candidate. The queue never grows past n."""
    n = 500
    memory = Layout((), (window("w", n),), {}).fresh({})
    for i in range(3 * n):
        ind.rolling_max(memory, 0, 1e6 - i)
        assert memory[ind.LENGTH] <= n
    assert memory[ind.LENGTH] == n
