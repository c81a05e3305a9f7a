"""The shipped strategies: what they wish on hand-made price paths, and that they may be trusted on synthetic and real bars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simcore
from simcore.strategy import FLAT, LONG, SHORT, Strategy, check_strategy
from simcore.strategy.check import first_difference
from simcore.strategy.drive import History, from_columns, random_walk, run
from strategies.donchian_breakout import donchian_breakout
from strategies.ema_cross import ema_cross
from strategies.funding_carry import funding_carry
from strategies.sma_cross import sma_cross
from strategies.xs_momentum import xs_momentum
from strategies.zscore_reversion import zscore_reversion
from tests.doors import called

pytestmark = pytest.mark.jitless
ALL = (sma_cross, ema_cross, donchian_breakout, zscore_reversion, xs_momentum, funding_carry)
HOUR = 3600 * 10**9
JITLESS = os.environ.get("NUMBA_DISABLE_JIT") == "1"
START = 1_704_067_200 * 10**9


def path(*closes: list[float], spread: float = 0.0, **columns: np.ndarray) -> History:
    """Hourly bars of one symbol a list of closes: each opens at the close before, high and low lie `spread` around."""
    data = []
    for prices in closes:
        close = np.array(prices, dtype=float)
        opened = np.concatenate([close[:1], close[:-1]])
        high, low = np.maximum(opened, close) + spread, np.minimum(opened, close) - spread
        bars = {"open": opened, "high": high, "low": low, "close": close, "volume": np.ones(len(close))}
        data.append({**bars, **columns})
    open_ns = [START + np.arange(len(d["close"]), dtype=np.int64) * HOUR for d in data]
    return from_columns([f"S{i}" for i in range(len(data))], open_ns, data, [HOUR] * len(data))


def sides(strategy: Strategy, history: History, **params: float) -> list[int]:
    return run(strategy, history, params).signals["side"][:, 0].tolist()


# --- what they wish ---


@pytest.mark.parametrize("cross", [sma_cross, ema_cross])
def test_a_cross_is_flat_until_warm_long_in_a_rise_and_short_in_a_fall(cross: Strategy) -> None:
    closes = [100.0 + i for i in range(20)] + [119.0 - 2 * i for i in range(1, 21)]
    wished = sides(cross, path(closes), fast=3, slow=8)
    assert wished[:7] == [FLAT] * 7 and wished[7:20] == [LONG] * 13
    turned = wished.index(SHORT)
    assert 21 <= turned <= 25 and wished[turned:] == [SHORT] * (40 - turned)


def test_the_sma_cross_is_the_comparison_of_two_means() -> None:
    closes = (100.0 + np.random.default_rng(2).standard_normal(300).cumsum()).tolist()
    s = pd.Series(closes)
    difference = s.rolling(5).mean() - s.rolling(17).mean()
    wished = sides(sma_cross, path(closes), fast=5, slow=17)
    assert wished == [FLAT if np.isnan(d) else int(np.sign(d)) for d in difference]


def test_the_ema_cross_is_the_comparison_of_two_exponential_means() -> None:
    closes = (100.0 + np.random.default_rng(3).standard_normal(300).cumsum()).tolist()
    s = pd.Series(closes)
    difference = s.ewm(span=5, adjust=False).mean() - s.ewm(span=17, adjust=False).mean()
    assert sides(ema_cross, path(closes), fast=5, slow=17)[16:] == np.sign(difference[16:]).astype(int).tolist()


DONCHIAN = {"entry": 5, "exit": 3, "atr": 2, "stop_atr": 2.0}


def test_a_breakout_enters_above_the_channel_and_leaves_below_the_shorter_one() -> None:
    closes = [100.0] * 6 + [102.0, 103.0, 104.0, 105.0, 104.5, 100.0]
    history = path(closes, spread=0.5)
    signals = run(donchian_breakout, history, DONCHIAN).signals[:, 0]
    # 102 is above the highest high of the five bars before it, 100.5; 100.0 is below the lowest low of the last three, 102.5
    assert signals["side"].tolist() == [FLAT] * 6 + [LONG] * 5 + [FLAT]
    # average true range over two bars after Wilder: 1.0 until the breakout bar, whose range is 102.5 - 99.5 = 3.0
    assert signals["stop_distance"][6] == pytest.approx(2.0 * (1.0 + (3.0 - 1.0) / 2.0))


def test_a_breakout_downwards_is_short_and_the_stop_distance_stays_that_of_the_entry() -> None:
    closes = [100.0] * 6 + [98.0, 95.0, 91.0, 86.0]
    signals = run(donchian_breakout, path(closes, spread=0.5), DONCHIAN).signals[:, 0]
    assert signals["side"].tolist() == [FLAT] * 6 + [SHORT] * 4
    assert len(set(signals["stop_distance"][6:].tolist())) == 1


def stopped_at(strategy: Strategy, history: History, bar: int, params: dict[str, float]) -> Iterator[tuple[int, int]]:
    """Drive a bar strategy and close its position behind its back before `bar`, as a stop does: (wish, held side) a bar."""
    from simcore.domain.records import SIGNAL, SLEEVE

    values, block = strategy.param_values(params), strategy.initial_memory(params)
    memory = np.concatenate([values, block])
    position, signal = np.zeros(1, SLEEVE), np.zeros(1, SIGNAL)
    stopped = False
    for i, row in enumerate(history.rows[:, 0]):
        stopped = (stopped or i == bar) and signal[0]["side"] != FLAT
        position[0]["side"] = FLAT if stopped else signal[0]["side"]
        called(strategy.compiled, row, position[0], memory, 0, len(values), signal[0])
        yield int(signal[0]["side"]), int(position[0]["side"])


def test_after_a_stop_a_breakout_waits_for_a_new_one() -> None:
    closes = [100.0] * 6 + [102.0, 103.0, 103.5, 103.0, 103.2, 103.1, 103.0, 103.2, 106.0]
    wished = [wish for wish, _ in stopped_at(donchian_breakout, path(closes, spread=0.5), 9, DONCHIAN)]
    assert wished[6:9] == [LONG] * 3
    assert wished[9:14] == [FLAT] * 5, "stopped out: it does not buy back inside the channel"
    assert wished[14] == LONG, "a new breakout is a new entry"


ZSCORE = {"length": 10, "enter": 2.0, "leave": 0.5, "stop": 3.0}


def test_reversion_buys_a_fall_beyond_the_band_and_leaves_at_the_mean() -> None:
    closes = [100.0, 101.0] * 6 + [94.0, 95.0, 97.0, 100.0, 100.0]
    signals = run(zscore_reversion, path(closes), ZSCORE).signals[:, 0]
    z = (pd.Series(closes) - pd.Series(closes).rolling(10).mean()) / pd.Series(closes).rolling(10).std()
    assert z[12] < -2.0 and (np.abs(z[9:12]) < 2.0).all()
    assert signals["side"][:12].tolist() == [FLAT] * 12 and signals["side"][12] == LONG
    home = next(i for i in range(12, len(closes)) if abs(z[i]) < 0.5)
    assert signals["side"][12:home].tolist() == [LONG] * (home - 12) and signals["side"][home] == FLAT
    assert signals["stop_distance"][12] == pytest.approx(3.0 * pd.Series(closes).rolling(10).std()[12])


def test_reversion_sells_a_rise_and_after_a_stop_waits_for_the_mean() -> None:
    closes = [100.0, 101.0] * 6 + [107.0, 112.0, 118.0, 125.0, 133.0]
    wished = [wish for wish, _ in stopped_at(zscore_reversion, path(closes), 14, ZSCORE)]
    assert wished[12:14] == [SHORT] * 2
    assert wished[14:] == [FLAT] * 3, "stopped out: it does not sell the same rise again"


def test_the_cross_section_holds_the_best_and_sells_the_worst_until_the_next_choice() -> None:
    bars = np.arange(12.0)
    rows = [100 + 3 * bars, 100 + 2 * bars, 100 + 1 * bars, 100 - 1 * bars, 100 - 2 * bars]
    wished = run(xs_momentum, path(*[r.tolist() for r in rows]), {"lookback": 4, "hold": 3, "k": 2}).signals["side"]
    assert (wished[:4] == FLAT).all()
    assert (wished[4:] == [LONG, LONG, FLAT, SHORT, SHORT]).all()


def test_the_cross_section_changes_only_when_it_chooses_and_leaves_a_silent_symbol_out() -> None:
    up, down = 100 + np.arange(12.0), 100 - np.arange(12.0)
    turn = np.where(np.arange(12) < 6, up, 90.0)
    history = path(up.tolist(), turn.tolist(), down.tolist())
    wished = run(xs_momentum, history, {"lookback": 4, "hold": 3, "k": 1}).signals["side"]
    assert wished[6].tolist() == [LONG, FLAT, SHORT], "between two choices nothing changes"
    assert wished[7].tolist() == [LONG, SHORT, FLAT], "chosen anew: the one that fell most is sold"
    history.rows["fresh"][10, 1] = 0
    wished = run(xs_momentum, history, {"lookback": 4, "hold": 3, "k": 1}).signals["side"]
    assert wished[10].tolist() == [LONG, FLAT, SHORT], "no bar, no rank"


def test_equal_returns_rank_by_name_and_too_few_symbols_hold_nothing() -> None:
    flat = [[100.0] * 8] * 4
    wished = run(xs_momentum, path(*flat), {"lookback": 3, "hold": 1, "k": 1}).signals["side"]
    assert wished[-1].tolist() == [LONG, FLAT, FLAT, SHORT]
    assert (run(xs_momentum, path(*flat), {"lookback": 3, "hold": 1, "k": 3}).signals["side"] == FLAT).all()


CARRY = {"enter_bps": 3.0, "leave_bps": 0.5, "stop_pct": 0.05}


def carry(rates_bps: list[float], every: int = 8) -> History:
    """Flat prices; the k-th rate was settled at the end of bar 8k."""
    n = len(rates_bps) * every
    settled = START + np.repeat(np.arange(len(rates_bps)), every) * every * HOUR + HOUR
    rate = np.repeat(np.array(rates_bps), every) / 10_000.0
    span = np.full(n, every * HOUR)
    return path([100.0] * n, rate=rate, rate_ts_ns=settled, rate_interval_ns=span)


def test_carry_stands_on_the_side_that_is_paid_and_leaves_when_the_pay_is_gone() -> None:
    signals = run(funding_carry, carry([1.0, 5.0, 1.0, 0.2, -4.0, 1.0, float("nan")]), CARRY).signals[::8, 0]
    assert signals["side"].tolist() == [FLAT, SHORT, SHORT, FLAT, LONG, FLAT, FLAT]
    assert signals["stop_distance"][1] == pytest.approx(5.0)


def test_carry_leaves_when_funding_is_overdue_and_after_a_stop_until_the_next_settlement() -> None:
    history = carry([5.0, 5.0, 5.0])
    late = History(history.rows.copy(), history.symbols)
    late.rows["funding_ts_ns"][8:] = late.rows["funding_ts_ns"][0]
    assert sides(funding_carry, late, **CARRY)[:17] == [SHORT] * 17
    assert sides(funding_carry, late, **CARRY)[17:] == [FLAT] * 7, "two intervals without a settlement"
    wished = [wish for wish, _ in stopped_at(funding_carry, history, 3, CARRY)]
    assert wished[:3] == [SHORT] * 3 and wished[3:8] == [FLAT] * 5 and wished[8] == SHORT


# --- that they may be trusted ---


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_a_shipped_strategy_passes_the_check_on_the_random_walk(strategy: Strategy) -> None:
    report = check_strategy(strategy, random_walk(5, 1_200, seed=21)).raise_for_problems()
    assert report.wishes > 0
    assert not [n for n in report.notes if "warm-up" in n], "it wishes nothing before it is warm"


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_a_shipped_strategy_passes_the_check_on_the_sample_feed(strategy: Strategy, sample_feed: Any) -> None:
    """The feed is a real replay's input: ticks, hourly marks and funding settlements as they become known."""
    report = check_strategy(strategy, sample_feed, max_steps=2_500, interpreted_steps=400, cuts=2).raise_for_problems()
    assert report.symbols == sample_feed.symbols and report.bars == 2_500 * len(report.symbols)


def test_the_workspace_strategy_passes_the_check_too() -> None:
    from simcore.strategy import load_strategy

    mine = load_strategy("my_strategy", "my_strategy", [Path(simcore.__file__).parent / "cli" / "workspace"])
    assert check_strategy(mine).raise_for_problems().wishes > 0


@cache
def real_history(folder: Path) -> History:
    """The hourly bars of BTC, ETH and XRP with funding, the last bars of each."""
    times, columns, names = [], [], ["BTCUSDT", "ETHUSDT", "XRPUSDT"]
    for name in names:
        files = sorted((folder / "futures_um/klines/1h" / name).glob("*.parquet"))
        bars = pd.concat([pd.read_parquet(f) for f in files]).tail(REAL_BARS)
        funding = pd.concat([pd.read_csv(f) for f in sorted((folder / "futures_um/fundingRate" / name).glob("*.csv.gz"))])
        open_ns = bars["open_time"].to_numpy() * 1_000_000
        settled = funding["calc_time"].to_numpy() // 60_000 * 60_000 * 1_000_000
        at = np.searchsorted(settled, open_ns + HOUR, side="right") - 1
        data: dict[str, Any] = {c: bars[c].to_numpy() for c in ("open", "high", "low", "close", "volume")}
        data["rate"], data["rate_ts_ns"] = funding["last_funding_rate"].to_numpy()[at], settled[at]
        data["rate_interval_ns"] = funding["funding_interval_hours"].to_numpy()[at] * HOUR
        times.append(open_ns)
        columns.append(data)
    return from_columns(names, times, columns, [HOUR] * 3)


REAL_BARS = 1_500 if JITLESS else 8_760
REAL_PARAMS = {"xs_momentum": {"k": 1.0}, "funding_carry": {"enter_bps": 1.0}}


@pytest.mark.real
@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_a_shipped_strategy_passes_the_check_on_real_bars(strategy: Strategy, real_data: Path) -> None:
    history = real_history(real_data)
    report = check_strategy(strategy, history, REAL_PARAMS.get(strategy.name), cuts=4).raise_for_problems()
    assert report.symbols == ("BTCUSDT", "ETHUSDT", "XRPUSDT") and report.bars == 3 * REAL_BARS
    assert report.wishes > 0


def scrambled(history: History, cut: int, seed: int) -> History:
    """The same history up to `cut`, and another market after it."""
    rows = history.rows.copy()
    rng = np.random.default_rng(seed)
    tail = rows[cut + 1 :]
    for name in ("open", "high", "low", "close", "volume", "mark", "funding_rate"):
        tail[name] *= rng.lognormal(0.0, 1.0, size=tail.shape)
    tail["funding_rate"] *= rng.choice([-1.0, 1.0], size=tail.shape)
    return History(rows, history.symbols)


def no_wish_changes(strategy: Strategy, history: History, cut: int, seed: int) -> None:
    reference = run(strategy, history).signals[: cut + 1]
    other = run(strategy, scrambled(history, cut, seed)).signals[: cut + 1]
    assert first_difference(reference, other) is None
    assert first_difference(reference, run(strategy, history, steps=cut + 1).signals) is None


@settings(max_examples=20 if JITLESS else 200)
@given(which=st.sampled_from(ALL), market=st.integers(0, 3), cut=st.integers(0, 598), seed=st.integers(0, 2**32 - 1))
def test_no_change_of_the_future_changes_a_wish_before_it(which: Strategy, market: int, cut: int, seed: int) -> None:
    no_wish_changes(which, _walk(market), cut, seed)


@cache
def _walk(seed: int) -> History:
    return random_walk(4, 600, seed=seed)


@pytest.mark.real
@settings(max_examples=10 if JITLESS else 60)
@given(which=st.sampled_from(ALL), start=st.integers(0, REAL_BARS - 700), cut=st.integers(0, 698), seed=st.integers(0, 2**32 - 1))
def test_no_change_of_the_future_changes_a_wish_in_real_windows(
    real_data: Path, which: Strategy, start: int, cut: int, seed: int
) -> None:
    whole = real_history(real_data)
    no_wish_changes(which, History(whole.rows[start : start + 700].copy(), whole.symbols), cut, seed)


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_a_shipped_strategy_is_short_documented_and_says_when_it_loses(strategy: Strategy) -> None:
    lines = Path(strategy.file).read_text().splitlines()
    assert len([line for line in lines[strategy.line - 1 :] if line.strip()]) <= 40 and "oses when" in strategy.doc
    assert not [name for name in strategy.params if name not in strategy.doc]
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= {"simcore", "math"}
