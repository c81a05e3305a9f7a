"""The run: frames, checks, summary, files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from simcore.domain.enums import LedgerKind, Purpose, Screen, Veto
from simcore.report import checks, frames
from simcore.report.run import Run, write_whole
from simcore.report.words import duration, figure, money
from tests.fakes import fake_recording, without_trades

FRAMES = ("trades", "fills", "orders", "vetoes", "equity", "routes", "ledger")


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(fake_recording())


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_has_a_utc_index(run: Run, name: str) -> None:
    frame = getattr(run, name)
    assert isinstance(frame.index, pd.DatetimeIndex) and str(frame.index.tz) == "UTC"
    assert len(frame) and frame.index.is_monotonic_increasing


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_run_has_empty_frames_with_the_same_columns(run: Run, name: str) -> None:
    empty = getattr(Run(without_trades(run.recording)), name)
    assert list(empty.columns) == list(getattr(run, name).columns)
    assert len(empty) == (len(run.equity) if name == "equity" else 0)


@pytest.mark.parametrize("name", list(frames.FRAMES))
def test_parquet_and_pandas_hold_the_same_table(run: Run, tmp_path: Path, name: str) -> None:
    columns = frames.FRAMES[name](run.recording)
    table = frames.to_arrow(columns)
    table.validate(full=True)
    pq.write_table(table, tmp_path / "t.parquet")
    read = pq.read_table(tmp_path / "t.parquet").to_pandas()
    shown = frames.to_pandas(columns).reset_index()
    assert list(read.columns) == list(shown.columns)
    for column in shown:
        left, right = read[column].astype(object), shown[column].astype(object)
        assert ((left == right) | (left.isna() & right.isna())).all(), column


def test_trades_say_what_the_books_say(run: Run) -> None:
    trades, recording = run.trades, run.recording
    assert trades["pnl"].sum() == pytest.approx(run.metrics["net_pnl"], abs=1e-8)
    assert (trades["gross"] - trades["commission"] + trades["funding"]).to_numpy() == pytest.approx(trades["pnl"].to_numpy())
    assert set(trades["symbol"]) == set(recording.feed.symbols) and set(trades["strategy"]) == set(recording.strategies)
    assert set(trades["side"]) == {"long", "short"}
    assert (np.sign(trades["size"]) == np.where(trades["side"] == "long", 1, -1)).all()
    assert trades["maker_share"].between(0, 1).all() and set(trades["exit_reason"]) <= {"exit", "stop", "target"}


def test_orders_meet_their_fills(run: Run) -> None:
    orders, fills = run.orders.set_index("order_id"), run.fills.set_index("order_id")
    assert (orders["status"] == "filled").all()
    assert orders.loc[fills.index, "average_price"].to_numpy() == pytest.approx(fills["price"].to_numpy())
    assert orders["commission"].sum() == pytest.approx(run.metrics["fees"])
    assert orders["end_time"].notna().all() and orders["reject_reason"].isna().all()


def test_an_attached_stop_that_filled_is_an_order_too() -> None:
    recording = fake_recording()
    ledger = recording.ledger
    stop = ledger["order_id"][(ledger["kind"] == LedgerKind.FILL) & (ledger["code"] == Purpose.STOP)][0]
    asked = ledger[(ledger["order_id"] != stop) | (ledger["kind"] == LedgerKind.FILL)]
    orders = Run(replace(recording, ledger=asked)).orders.set_index("order_id")
    assert len(orders) == len(Run(recording).orders) and orders.index.is_unique
    row = orders.loc[stop]
    assert (row["type"], row["purpose"], row["status"], row["filled"]) == ("stop_market", "stop", "filled", row["size"])
    assert pd.isna(row["time_in_force"]) and np.isnan(row["price"])


def test_an_order_that_was_refused_or_taken_back_says_so() -> None:
    recording = fake_recording()
    ledger = recording.ledger.copy()
    first, second = ledger["order_id"][ledger["kind"] == LedgerKind.REQUEST][:2]
    for order, kind, code in ((first, LedgerKind.REJECTED, -2019), (second, LedgerKind.CANCELED, 0)):
        row = np.flatnonzero((ledger["order_id"] == order) & (ledger["kind"] == LedgerKind.FILL))[0]
        ledger[row]["kind"], ledger[row]["code"] = kind, code
    orders = Run(replace(recording, ledger=ledger)).orders.set_index("order_id")
    assert (orders.loc[first, "status"], orders.loc[first, "reject_reason"]) == ("rejected", "margin")
    assert (orders.loc[second, "status"], orders.loc[second, "filled"]) == ("canceled", 0.0)


def test_vetoes_name_the_config_key_and_the_numbers(run: Run) -> None:
    vetoes = run.vetoes
    gate = vetoes[vetoes["stage"] == "gate"]
    assert set(vetoes["stage"]) == {"screener", "gate"}
    assert {"max_spread_bps", "max_trade_nav_pct", "max_gross_nav_pct"} <= set(vetoes["reason"])
    assert (gate["value"] > gate["cap"]).all() and gate["first"].sum() == run.recording.totals["gate_vetoes"]


def test_reason_names_are_the_enums_in_small_letters() -> None:
    recording = fake_recording()
    ledger = recording.ledger[:2].copy()
    ledger["kind"] = [LedgerKind.SCREEN_VETO, LedgerKind.GATE_VETO]
    ledger["code"] = [Screen.CONTEXT_MISSING, Veto.CONTEXT_MISSING]
    assert Run(replace(recording, ledger=ledger)).vetoes["reason"].tolist() == ["context_missing", "context_missing"]


def test_veto_counts_count_an_order_once(run: Run) -> None:
    counts = run.summary()["counts"]["vetoes"]
    assert sum(counts["gate"].values()) == run.recording.totals["gate_vetoes"]
    assert sum(counts["screener"].values()) == run.recording.totals["screen_vetoes"]
    assert sum(checks.failing_limit_counts(run.recording).values()) > sum(counts["gate"].values())


def test_routes_tell_what_the_router_did(run: Run) -> None:
    routes = run.routes
    assert (routes["maker"] + routes["taker"]).to_numpy() == pytest.approx(routes["requested"].to_numpy())
    assert (routes["outcome"] == np.where(routes["maker"] > 0, "maker", "taker")).all()
    assert (routes["waits_s"] == 60.0).all() and routes["last_reject"].isna().all()
    cost = (routes["average_price"] - routes["arrival_price"]) / routes["arrival_price"] * 1e4
    assert np.where(routes["side"] == "buy", cost, -cost) == pytest.approx(routes["slippage_bps"].to_numpy(), abs=1e-6)


def test_balanced_books_pass_the_check(run: Run) -> None:
    assert run.checks["ledger_balanced"] is True
    assert set(run.checks) == {"ledger_balanced", "ambiguous_exit_share", "gaps", "liquidated", "caveats"}


@pytest.mark.parametrize("books", ["account", "venue_account"])
@pytest.mark.parametrize("name", ["wallet_e8", "fees_e8", "realised_e8", "funding_e8"])
def test_one_unit_of_1e_8_unbalances_the_books(books: str, name: str) -> None:
    recording = fake_recording()
    wrong = getattr(recording, books).copy()
    wrong[name] += 1
    assert Run(replace(recording, **{books: wrong})).checks["ledger_balanced"] is False


def test_books_that_balance_but_disagree_with_the_fills_are_unbalanced() -> None:
    recording = fake_recording()
    wrong = recording.account.copy()
    wrong["fees_e8"] += 1
    wrong["wallet_e8"] -= 1
    found = replace(recording, account=wrong, venue_account=wrong.copy())
    assert {name: value for name, value in checks.books_of(found).items() if value} == {"fills_fees": -1, "trades_fees": -1}
    assert Run(found).checks["ledger_balanced"] is False


def test_a_trade_that_was_lost_is_noticed_when_everything_is_closed() -> None:
    recording = fake_recording()
    found = replace(recording, trades=recording.trades[1:])
    assert checks.books_of(found)["trades_realised"] == -int(recording.trades["gross_e8"][0])
    fills = recording.ledger[recording.ledger["kind"] == LedgerKind.FILL]
    assert checks.all_closed(fills) and not checks.all_closed(fills[1:])


def test_the_summary_has_exactly_the_promised_keys(run: Run) -> None:
    summary = run.summary()
    assert list(summary) == ["run", "digest", "data", "counts", "speed", "metrics", "kpis", "checks", "files"]
    assert list(summary["speed"]) == ["load_s", "compile_s", "replay_s", "events_per_s"]
    assert set(summary["counts"]) == {
        "events", "bars", "signals", "vetoes", "orders", "maker_fills", "taker_fills", "liquidations",
    }  # fmt: skip
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_stats_carry_the_names_backtesting_py_users_know(run: Run) -> None:
    stats = run.stats
    for name in ("Start", "End", "Duration", "Exposure Time [%]", "Equity Final [$]", "Return [%]", "Buy & Hold Return [%]",
                 "Sharpe Ratio", "Max. Drawdown [%]", "# Trades", "Win Rate [%]", "Profit Factor", "SQN", "_trades"):  # fmt: skip
        assert name in stats.index
    assert stats["Return [%]"] == pytest.approx(run.metrics["total_return"] * 100)
    assert stats["Best Trade [%]"] == run.trades["return_pct"].max()
    assert len(Run(without_trades(run.recording)).stats) == len(stats)


def test_saving_writes_every_file_and_names_it(run: Run, tmp_path: Path) -> None:
    files = run.save(tmp_path / "run")
    assert set(files) == {"ledger", "orders", "fills", "trades", "vetoes", "equity", "routes", "report", "summary"}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(Path(name).name for name in files.values())
    summary = json.loads(Path(files["summary"]).read_text())
    assert summary["files"] == files and summary["digest"] == run.digest
    assert pq.read_schema(files["trades"]).metadata[b"simcore.digest"] == run.digest.encode()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_whole(path, lambda out: out.write(b"old"))

    def fail(out: Any) -> None:
        out.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, fail)
    assert path.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["summary.json"]


def test_saving_does_not_import_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.fakes import fake_recording; from simcore.report.run import Run\n"
        f"Run(fake_recording()).save({str(tmp_path)!r}); sys.exit('pandas' in sys.modules)"
    )
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_table_in_the_terminal_says_synthetic(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.show()
    shown = capsys.readouterr().out
    assert "Synthetic data" in shown and "balanced" in shown and figure(run.metrics["sharpe"], "ratio") in shown


def test_the_notebook_card_and_repr(run: Run) -> None:
    assert "synthetic data" in run._repr_html_() and "Sharpe" in run._repr_html_()
    assert run.digest[:12] in repr(run)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "money", "–"),
        (float("nan"), "pct", "–"),
        (float("inf"), "ratio", "–"),
        (-0.001, "money", "0.00"),
        (-1234.5, "money", "−1\u202f234.50"),
        (0.0512, "pct", "5.12 %"),
        (90_061, "seconds", "1 d 1 h"),
        (19.0, "days", "19 d"),
        (0.25, "r", "0.250 R"),
        (1_234_567, "count", "1\u202f234\u202f567"),
    ],
)
def test_figures_are_written_for_people(value: Any, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_small_durations_and_large_money() -> None:
    assert (duration(0), duration(0.25), duration(61), money(123_456.7)) == ("0 s", "0.25 s", "1 min 1 s", "123\u202f457")
