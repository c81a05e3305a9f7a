"""The tearsheet: one page, complete, offline, safe, and equal to the metrics."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.domain import records
from simcore.domain.enums import LedgerKind
from simcore.replay.recording import Display
from simcore.report import tearsheet
from simcore.report.chartdata import chart_data, display_interval, joined_bars, pack
from simcore.report.definitions import METRICS, TRADE_COLUMNS
from simcore.report.drawings import waterfall
from simcore.report.run import Run
from tests.fakes import HOUR_NS, MINUTE_NS, START_NS, fake_bars, fake_feed, fake_recording, without_trades

MOST_BARS = 2_500
HOSTILE = "</script><img src=x onerror=alert(1)>USDT"


def page_of(run: Run) -> str:
    return tearsheet.page(run.recording, run.metrics, run.checks, run.order_figures)


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(fake_recording())


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return page_of(run)


class Cells(HTMLParser):
    """Collects (table row, column) → data-value, and metric → data-value."""

    def __init__(self) -> None:
        super().__init__()
        self.row, self.tables, self.metrics = "", {}, {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "tr" and "data-row" in named:
            self.row = named["data-row"] or ""
        if tag == "td" and "data-key" in named:
            self.tables[self.row, named["data-key"]] = named["data-value"]
        if tag == "dd" and "data-metric" in named:
            self.metrics[named["data-metric"]] = named["data-value"]


def cells_of(page: str) -> Cells:
    cells = Cells()
    cells.feed(page)
    return cells


def unpack(column: dict[str, Any]) -> np.ndarray:
    """What report.js does, in Python."""
    raw = zlib.decompress(base64.b64decode(column["code"])) if column["n"] else b""
    if column.get("wide"):
        return np.frombuffer(raw, "<f8")
    return column["base"] + np.cumsum(np.frombuffer(raw, "<i4"), dtype=np.int64)


def own_text(page: str) -> str:
    """The page without the two vendored libraries."""
    for name in ("uplot.js", "lightweight-charts.js"):
        assert tearsheet.static(name) in page
        page = page.replace(tearsheet.static(name), "")
    return page


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    text = own_text(page)
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert not re.search(r"<(link|iframe|object|embed|base|form)\b|\b(src|href|srcset|action)\s*=|@import|url\(", text)
    assert "fetch(" not in page and "XMLHttpRequest" not in page and "WebSocket" not in page and "import(" not in page


def test_the_policy_forbids_the_network(page: str) -> None:
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
    assert page.index("Content-Security-Policy") < page.index("<style")


def test_every_placeholder_of_the_template_is_filled_once(page: str) -> None:
    names = re.findall(r"\{\{([a-z.-]+)\}\}", tearsheet.static("template.html"))
    assert sorted(names) == sorted({*tearsheet.PIECES, "title", "theme", "body", "data"})
    assert "{{" not in own_text(page)


def test_provenance_is_on_the_page(run: Run, page: str) -> None:
    recording = run.recording
    for text in (recording.digest, recording.config_hash, recording.feed.content_hash, "fast = 10", tearsheet.TIMING_RULE):
        assert text.replace("'", "&#x27;") in page
    for caveat in (*recording.caveats, *recording.feed.caveats):
        assert caveat in page


def test_synthetic_data_is_said_loudly_and_real_data_is_not_called_so(page: str) -> None:
    assert '<span class="badge synthetic">SYNTHETIC DATA</span>' in page
    real = page_of(Run(fake_recording(fake_feed(synthetic=False, label="Binance archive"))))
    assert "SYNTHETIC" not in real and "badge synthetic" not in real and "Binance archive" in real


def test_every_metric_on_the_page_is_the_metric(run: Run, page: str) -> None:
    shown = cells_of(page).metrics
    assert set(shown) == {metric.key for metric in METRICS}
    for key, text in shown.items():
        value = run.metrics[key]
        if value is None or value != value:
            assert text == ""
        else:
            assert text == str(value) and (isinstance(value, str) or float(text) == value)


@pytest.mark.parametrize("table", ["per_symbol", "per_strategy", "per_hour", "per_exit_reason", "per_side"])
def test_every_number_of_the_tables_is_the_metric(run: Run, page: str, table: str) -> None:
    shown = cells_of(page).tables
    for name, row in run.metrics[table].items():
        for column in TRADE_COLUMNS:
            text, value = shown[name, column.key], row[column.key]
            assert text == "" if value != value else float(text) == value, (name, column.key)


def test_every_veto_reason_appears_with_its_count(run: Run, page: str) -> None:
    for reasons in run.summary()["counts"]["vetoes"].values():
        for reason, n in reasons.items():
            assert re.search(rf'{reason}</th>.*?data-value="{n}"', page), reason


def test_definitions_are_tooltips(page: str) -> None:
    assert page.count("<abbr title=") >= len(METRICS)
    assert "all days below the root" in page


def test_hostile_names_stay_text() -> None:
    feed = fake_feed(symbols=(HOSTILE, "BTCUSDT"), label="<b>bold</b>")
    feed = replace(feed, caveats=("<script>alert(2)</script>",), coverage=({"symbol": HOSTILE, "notes": "<i>n</i>"},))
    recording = replace(fake_recording(feed), strategies=("<u>sma</u>", "{{data}}"), params={"<u>sma</u>": {"<q>": 1.0}})
    page = page_of(Run(recording))
    for harm in ("<img src", "<script>alert", "<b>bold", "<i>n", "<u>sma", "<q>"):
        assert harm not in own_text(page), harm
    assert page.count("</script>") == 4  # data, two libraries, report.js
    assert "&lt;img src=x" in page and page.count('type="application/json"') == 1
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert data["symbols"][0]["name"] == HOSTILE
    assert HOSTILE not in Run(recording)._repr_html_()


def test_trouble_is_said_at_the_top() -> None:
    recording = fake_recording()
    totals, account = recording.totals.copy(), recording.account.copy()
    totals["ambiguous_exits"], totals["liquidations"] = totals["exits"], 1
    account["wallet_e8"] += 7
    page = page_of(Run(replace(recording, totals=totals, account=account)))
    for words in ("books do not balance", "core_identity 7", "was liquidated", "inside one bar"):
        assert words in page


def test_an_empty_run_has_a_page(run: Run) -> None:
    page = page_of(Run(without_trades(run.recording)))
    assert "No trade was closed" in page and "No parent order" in page


def test_a_symbol_without_bars_has_a_page() -> None:
    feed = fake_feed(symbols=("AUSDT", "BUSDT"))
    ranges = feed.bar_range.copy()
    ranges[1] = ranges[1, 1]
    data = chart_data(without_trades(fake_recording(replace(feed, bar_range=ranges), trades_a_symbol=0)))
    assert data["symbols"][1]["bars"] is None


@settings(max_examples=300)
@given(st.lists(st.integers(-(2**52), 2**52), max_size=50))
def test_packed_integers_come_back(values: list[int]) -> None:
    assert unpack(pack(np.array(values, dtype=np.float64))).tolist() == values


def test_small_steps_pack_small() -> None:
    packed = pack(1_700_000_000.0 + 60.0 * np.arange(2_000))
    assert "wide" not in packed and len(packed["code"]) < 100


def test_joined_bars_are_those_pandas_makes() -> None:
    bars = fake_bars(1_000, MINUTE_NS, 50_000, np.random.default_rng(3))
    bars = np.delete(bars, slice(200, 300))
    shown = joined_bars(bars, 15 * MINUTE_NS)
    index = pd.to_datetime(bars["open_ns"])
    frame = pd.DataFrame({name[0]: bars[f"{name}_ticks"] for name in ("open", "high", "low", "close")}, index=index)
    wanted = frame.resample("15min").agg({"o": "first", "h": "max", "l": "min", "c": "last"}).dropna()
    assert shown["t"].tolist() == (wanted.index.as_unit("s").astype("int64")).tolist()
    for name in "ohlc":
        assert shown[name].tolist() == wanted[name].tolist()


def test_title_theme_and_lengths_are_those_of_the_config() -> None:
    recording = fake_recording()
    shown = replace(recording, display=Display("desk 7", "dark", 100, 10, 0.0))
    page = page_of(Run(shown))
    assert "<title>desk 7 · " in page and '<html lang="en" data-theme="dark">' in page
    assert 0 < chart_data(shown)["symbols"][0]["bars"]["o"]["n"] <= 100 < chart_data(recording)["symbols"][0]["bars"]["o"]["n"]
    assert "rows by hour are in summary.json" in page and "rows by hour are in summary.json" not in page_of(Run(recording))


@pytest.mark.parametrize(("days", "interval_ns"), [(1, MINUTE_NS), (365, MINUTE_NS), (2_000, HOUR_NS), (20_000, HOUR_NS)])
def test_no_chart_has_more_bars_than_it_can_show(days: int, interval_ns: int) -> None:
    last = START_NS + days * 24 * HOUR_NS - interval_ns
    wide = display_interval(START_NS, last, interval_ns, MOST_BARS)
    assert wide % interval_ns == 0 and (last - START_NS) // wide <= MOST_BARS


def test_the_chart_shows_every_fill_and_veto(run: Run) -> None:
    data, recording = chart_data(run.recording), run.recording
    for i, symbol in enumerate(data["symbols"]):
        rows = recording.ledger[recording.ledger["symbol"] == i]
        fills = rows[rows["kind"] == LedgerKind.FILL]
        counts, usd = unpack(symbol["fills"]["n"]), unpack(symbol["fills"]["usd"]) / 100
        assert counts.sum() == len(fills)
        assert usd.sum() == pytest.approx((fills["qty_lots"] * fills["price_ticks"] * 1e-4).sum(), abs=0.01 * len(counts))
        assert unpack(symbol["vetoes"]["n"]).sum() == (rows["kind"] == LedgerKind.SCREEN_VETO).sum() + (
            (rows["kind"] == LedgerKind.GATE_VETO) & (rows["x0"] == 1)
        ).sum()
        bars = {name: unpack(column) for name, column in symbol["bars"].items()}
        low, high = recording.feed.bar_range[i]
        highs = np.maximum(bars["c"], bars["c"] + bars["o"]) + bars["h"]
        assert highs.max() == recording.feed.bars["high_ticks"][low:high].max()


def test_the_equity_curve_keeps_its_ends_and_its_worst_moment() -> None:
    recording = fake_recording(fake_feed(days=120), every_ns=10 * MINUTE_NS)
    packed = chart_data(recording)["equity"]
    nav, drawdown, true = unpack(packed["nav"]) / 100, unpack(packed["drawdown"]) / 1e6, recording.equity["nav"]
    assert len(true) > len(nav)
    assert [nav[0], nav[-1]] == pytest.approx([true[0], true[-1]], abs=0.005)
    assert drawdown.min() == pytest.approx(Run(recording).metrics["max_drawdown_intraday"], abs=1e-6)


def test_the_waterfall_ends_where_it_should() -> None:
    svg = waterfall([("a", 100.0, True), ("b", -30.0, False), ("c", 70.0, True)], "USDT")
    tops = [float(y) + float(h) for y, h in re.findall(r'<rect[^>]* y="([\d.]+)"[^>]* height="([\d.]+)"', svg)]
    starts = [float(y) for y in re.findall(r'<rect[^>]* y="([\d.]+)"', svg)]
    assert starts[0] == starts[1] and tops[1] == pytest.approx(starts[2]) and tops[0] == tops[2]


def test_eight_symbols_of_ninety_days_of_minutes_stay_small() -> None:
    names = tuple(f"SYN{letter}USDT" for letter in "ABCDEFGH")
    recording = fake_recording(fake_feed(symbols=names, days=90, interval_ns=MINUTE_NS), trades_a_symbol=300)
    assert len(recording.feed.bars) == 8 * 90 * 1_440 and recording.feed.bars.dtype == records.BAR
    assert len(page_of(Run(recording)).encode()) < 3_000_000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium to open the page")
def test_the_page_draws_itself_in_a_browser_under_its_own_policy(run: Run, tmp_path: Path) -> None:
    path = run.report(tmp_path / "report.html")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
               f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", path.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert 'data-ready="1"' in shown and shown.count("<canvas") >= 4
