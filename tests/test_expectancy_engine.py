"""Expectancy: what buckets hold, what they lend and borrow, and what a learner may read."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.domain.errors import DataError
from simcore.learning import (
    build_expectancy,
    closed_before,
    load_expectancy,
    merge_expectancy,
    save_expectancy,
    symbol_expectancy,
    trade_table,
)
from simcore.learning.expectancy import estimate, pool_hours, tabulate
from simcore.learning.intervals import central_z
from simcore.learning.trades import NANOS_PER_HOUR, TradeTable
from simcore.report.run import Run
from tests.fakes_learning import START_NS, SYMBOLS, random_trades, trades_of
from tests.worlds import make_feed, six_config

RULES = load_config().learning.expectancy
H = NANOS_PER_HOUR
few = settings(max_examples=60)
tables = st.builds(random_trades, st.integers(0, 10_000), st.integers(1, 300))


@cache
def recorded():
    from simcore.replay import run_replay

    return run_replay(make_feed(3, 3, 600), six_config())


# ------------------------------------------------------------ trades


def test_a_run_its_frame_and_its_records_give_the_same_trades() -> None:
    recording = recorded()
    assert len(recording.trades) > 100
    of_run, of_frame = trade_table(Run(recording)), trade_table(Run(recording).trades)
    records = trade_table(recording.trades, recording.feed.symbols, recording.feed.instruments["step_size"], recording.strategies)
    assert records.hash == of_run.hash
    for name in of_run.rows.dtype.names:
        if name != "strategy":
            assert of_frame.rows[name] == pytest.approx(of_run.rows[name], rel=1e-9, abs=1e-9, nan_ok=True), name
    assert of_run.rows["net_bps"] == pytest.approx(recording.trades["net_bps"], rel=1e-9, abs=1e-9)
    assert [of_frame.strategies[i] for i in of_frame.rows["strategy"]] == [of_run.strategies[i] for i in of_run.rows["strategy"]]


def test_net_is_gross_at_decision_prices_less_every_cost() -> None:
    rows = trade_table(recorded()).rows
    costs = rows["fee_bps"] + rows["slippage_bps"] + rows["funding_bps"]
    assert rows["gross_bps"] - costs == pytest.approx(rows["net_bps"], abs=1e-9)
    assert np.abs(costs).max() > 0.0


def test_what_is_no_table_of_trades_is_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"cannot be read from list. Pass a run"):
        trade_table([1, 2])
    with pytest.raises(DataError, match="no column maker_share"):
        trade_table(Run(recorded()).trades.drop(columns="maker_share"))
    with pytest.raises(DataError, match="symbol 2 has no name"):
        trade_table(recorded().trades, ("AAAUSDT", "BBBUSDT"), [0.001, 0.01])


@given(tables, st.integers(-10, 100), st.integers(0, 50))
@few
def test_the_door_lets_through_only_what_was_closed_before_the_embargo(table: TradeTable, hours: int, embargo: int) -> None:
    """P42."""
    now = START_NS + hours * 24 * H
    seen = closed_before(table, now, embargo * H)
    assert (seen.rows["exit_ns"] < now - embargo * H).all()
    assert len(seen) == int((table.rows["exit_ns"] + embargo * H < now).sum())
    recent = closed_before(table, now, embargo * H, 48 * H)
    assert (recent.rows["exit_ns"] >= now - (embargo + 48) * H).all()


# ------------------------------------------------------------ buckets


def test_a_bucket_holds_what_its_trades_brought() -> None:
    at = START_NS + 5 * H
    table = trades_of([{"decision_ns": at, "net_bps": 10.0, "r": 0.5}, {"decision_ns": at, "net_bps": -4.0}, {"net_bps": 7.0, "symbol": 1}])
    metrics = build_expectancy(table)[("AAAUSDT", 5, "normal")]
    told = {name: metrics[name] for name in ("n", "wins", "win_rate", "net_bps", "gross_bps", "fee_bps", "slippage_bps", "pnl_usd")}
    assert told == pytest.approx(
        {"n": 2, "wins": 1, "win_rate": 0.5, "net_bps": 3.0, "gross_bps": 6.0, "fee_bps": 2.0, "slippage_bps": 1.0, "pnl_usd": 0.3}
    )
    assert metrics["net_bps_sd"] == pytest.approx(np.std([10.0, -4.0], ddof=1))
    assert (metrics["n_r"], metrics["r"], metrics["r_sd"], metrics["last_exit_ns"]) == (1, 0.5, None, at + H)


def test_a_bucket_without_trades_is_absent_and_one_without_stops_has_no_r() -> None:
    """P41."""
    table = build_expectancy(trades_of([{"net_bps": 1.0}]))
    assert list(table) == [("AAAUSDT", 0, "normal")]
    assert table[("AAAUSDT", 0, "normal")]["r"] is None
    assert table[("AAAUSDT", 0, "normal")]["r_shrunk"] is None
    assert build_expectancy(trades_of([])) == {}
    assert symbol_expectancy({}) == {}


def test_the_hour_is_that_of_the_entry_decision_in_utc_and_not_of_entry_or_exit() -> None:
    for rows in (recorded().trades, recorded().trades[:1]):
        found = build_expectancy(rows_table(rows))
        assert {hour for _, hour, _ in found} == set(rows["decision_ns"] // H % 24)
    late = trades_of([{"decision_ns": START_NS + 23 * H + 59 * 60 * 10**9, "net_bps": 1.0}])
    assert list(build_expectancy(late)) == [("AAAUSDT", 23, "normal")]


def rows_table(rows: np.ndarray) -> TradeTable:
    return trade_table(rows, SYMBOLS, [0.001, 0.01, 1.0])


@given(tables, st.integers(0, 10_000))
@few
def test_the_order_of_trades_and_the_numbering_of_symbols_do_not_matter(table: TradeTable, seed: int) -> None:
    """P41: to the last bit."""
    rng = np.random.default_rng(seed)
    shuffled = table.take(rng.permutation(len(table)))
    turned = TradeTable(shuffled.rows.copy(), table.symbols[::-1], table.strategies)
    turned.rows["symbol"] = len(table.symbols) - 1 - turned.rows["symbol"]
    assert build_expectancy(shuffled) == build_expectancy(turned) == build_expectancy(table)
    assert shuffled.hash == table.hash


@given(tables, st.integers(0, 10_000))
@few
def test_two_tables_merge_to_the_table_of_all_trades(table: TradeTable, seed: int) -> None:
    """P41: exactly, shrinkage included."""
    half = np.random.default_rng(seed).random(len(table)) < 0.5
    assert merge_expectancy(build_expectancy(table.take(half)), build_expectancy(table.take(~half))) == build_expectancy(table)


@given(tables)
@few
def test_the_sums_are_those_of_plain_arithmetic(table: TradeTable) -> None:
    found, rows = build_expectancy(table), table.rows
    assert sum(metrics["n"] for metrics in found.values()) == len(rows)
    for (symbol, hour, regime), metrics in found.items():
        mine = rows[(rows["symbol"] == table.symbols.index(symbol)) & (rows["hour"] == hour)]
        mine = mine[mine["regime"] == ("default", "normal", "high_vol", "low_liq").index(regime)]
        assert metrics["n"] == len(mine)
        for name in ("net_bps", "gross_bps", "fee_bps", "slippage_bps", "funding_bps"):
            assert metrics[name] == pytest.approx(mine[name].mean(), abs=1e-4)
        if len(mine) > 1:
            assert metrics["net_bps_sd"] == pytest.approx(mine["net_bps"].std(ddof=1), abs=1e-3)


# ------------------------------------------------------------ shrinkage


@given(tables)
@few
def test_a_shrunk_mean_lies_between_the_bucket_and_its_symbol_and_its_lower_bound_below(table: TradeTable) -> None:
    sums = tabulate(table)
    net = estimate(sums, "net_bps", RULES)
    for (symbol, _, _), metrics in build_expectancy(table).items():
        upper = net.symbol_mean[sums.symbols.index(symbol)]
        assert 0.0 <= metrics["weight"] <= 1.0
        assert math.isfinite(metrics["net_bps_posterior_sd"])
        assert metrics["net_bps_posterior_sd"] > 0.0
        expected = metrics["net_bps_shrunk"] - central_z(0.8) * metrics["net_bps_posterior_sd"]
        assert metrics["net_bps_lower"] == pytest.approx(expected)
        if metrics["weight"] == 0.0:
            assert metrics["net_bps_shrunk"] == pytest.approx(upper)


def test_more_trades_of_the_same_kind_are_believed_further() -> None:
    def edge_of(copies: int) -> float:
        rows = [
            {"decision_ns": START_NS + (day * 24 + hour) * H, "net_bps": (30.0 if hour == 6 else 0.0) + (60.0 if day % 2 else -60.0)}
            for day in range(copies) for hour in range(24)
        ]  # fmt: skip
        return build_expectancy(trades_of(rows))[("AAAUSDT", 6, "normal")]["net_bps_shrunk"]

    little, some, much = edge_of(10), edge_of(100), edge_of(1_000)
    assert little < some < much < 30.0
    assert much > 10.0  # the neighbours' zeros are pooled in at half weight, so the whole 30 are out of reach


def test_on_pure_noise_buckets_keep_next_to_nothing_of_their_own_mean() -> None:
    found = build_expectancy(random_trades(1, 20_000))
    raw = [metrics["net_bps"] for metrics in found.values()]
    shrunk = [metrics["net_bps_shrunk"] for metrics in found.values()]
    assert np.std(raw) > 5.0
    assert np.std(shrunk) < np.std(raw) / 5.0


def test_a_planted_hour_stands_out_after_shrinking() -> None:
    found = build_expectancy(random_trades(2, 20_000, edges={9: 40.0}))
    best = sorted(found, key=lambda key: -found[key]["net_bps_lower"])[:8]
    assert {hour for _, hour, _ in best} <= {8, 9, 10}
    by_hour = {hour: np.mean([metrics["net_bps_shrunk"] for key, metrics in found.items() if key[1] == hour]) for hour in range(24)}
    assert max(by_hour, key=by_hour.get) == 9
    assert sum(found[key]["net_bps_lower"] > 0.0 for key in found if key[1] not in (8, 9, 10)) <= len(found) // 20


def test_neighbouring_hours_lend_their_trades_around_midnight_too() -> None:
    n = np.zeros((1, 24, 4))
    n[0, [23, 0, 2], 1] = 10.0, 20.0, 40.0
    mean = np.zeros(n.shape)
    mean[0, [23, 0, 2], 1] = 8.0, 2.0, 5.0
    variance = np.full(n.shape, 100.0)
    pooled, spread = pool_hours(mean, variance, n, 0.5)
    assert pooled[0, 0, 1] == pytest.approx((20.0 * 2.0 + 5.0 * 8.0) / 25.0)
    assert spread[0, 0, 1] == pytest.approx(100.0 * (20.0 + 0.25 * 10.0) / 25.0**2)
    assert pooled[0, 1, 1] == pytest.approx((10.0 * 2.0 + 20.0 * 5.0) / 30.0)
    assert np.isinf(spread[0, 12, 1]) and np.isinf(spread[0, 0, 0])
    alone, _ = pool_hours(mean, variance, n, 0.0)
    assert alone[0, 0, 1] == 2.0


def test_two_equal_trades_do_not_pass_for_certainty() -> None:
    same = [{"decision_ns": START_NS + 3 * H, "net_bps": 50.0}] * 2
    rest = [{"decision_ns": START_NS + k * H, "net_bps": -50.0 if k % 2 else 50.0, "symbol": k % 3} for k in range(300)]
    metrics = build_expectancy(trades_of(same + rest))[("AAAUSDT", 3, "normal")]
    assert metrics["net_bps_lower"] < 25.0


# ------------------------------------------------------------ files


@given(tables)
@settings(max_examples=20)
def test_a_saved_table_reads_back_exactly(tmp_path_factory: pytest.TempPathFactory, table: TradeTable) -> None:
    """P41."""
    path = tmp_path_factory.mktemp("table") / "expectancy.json"
    built = build_expectancy(table)
    save_expectancy(built, path)
    assert load_expectancy(path) == built


def test_a_damaged_table_is_refused_with_the_place_and_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "expectancy.json"
    with pytest.raises(DataError, match=r"no such file. Save one with save_expectancy"):
        load_expectancy(path)
    save_expectancy(build_expectancy(random_trades(1, 50)), path)
    whole = path.read_text()
    content = json.loads(whole)
    for text, words in (
        (whole[: len(whole) // 2], "cannot be read as JSON"),
        ("[]", "must hold one object"),
        (json.dumps({**content, "format": "x"}), "is no expectancy table"),
        (json.dumps({**content, "version": 9}), "version 9 cannot be read, only 1"),
        (whole.replace('"wins": 1', '"wins": 2', 1), "does not match its hash"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=words):
            load_expectancy(path)


def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "expectancy.json"
    before = build_expectancy(random_trades(1, 50))
    save_expectancy(before, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        save_expectancy(build_expectancy(random_trades(2, 50)), path)
    monkeypatch.undo()
    assert load_expectancy(path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["expectancy.json"]
