"""The catalog: what is imported is what is replayed, whole or not at all, however often and whoever reads meanwhile."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import replay_data.storage as storage
from replay_data.catalog import Catalog
from replay_data.interval import DAY_NS, HOUR_NS, MINUTE_NS, from_iso
from replay_data.storage import one_writer, write_atomic
from simcore.domain.errors import DataError

T0 = 1_740_787_200_000
START_NS = T0 * 10**6
HEADER = "open_time,open,high,low,close,volume\n"


def klines(folder: Path, symbol: str, first: int, rows: int, interval: int = 1, scale: float = 1.0, kind: str = "klines") -> Path:
    name = f"{interval}m" if interval < 60 else f"{interval // 60}h"
    path = folder / kind / symbol / name / f"{symbol}-{name}-{first}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for at in range(first, first + rows):
        o, c = (100 + (at * 7 % 13) * 0.1) * scale, (100 + ((at + 1) * 7 % 13) * 0.1) * scale
        high, low = max(o, c) + 0.1 * scale, min(o, c) - 0.1 * scale
        lines.append(f"{T0 + at * interval * 60_000},{o:.4f},{high:.4f},{low:.4f},{c:.4f},{1 + at % 9}.25\n")
    path.write_text(HEADER + "".join(lines))
    return path


def funding(folder: Path, symbol: str, rows: int, hours: int = 8) -> Path:
    path = folder / "fundingRate" / symbol / f"{symbol}-fundingRate-2025-03.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{T0 + at * hours * 3_600_000 + 7},{hours},0.0001\n" for at in range(rows)]
    path.write_text("calc_time,funding_interval_hours,last_funding_rate\n" + "".join(lines))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    klines(folder, "AAAUSDT", 0, 3000)
    klines(folder, "BBBUSDT", 0, 2000, scale=0.5)
    klines(folder, "AAAUSDT", 0, 50, 60, kind="markPriceKlines")
    klines(folder, "AAAUSDT", 0, 7, 480, kind="markPriceKlines")
    funding(folder, "AAAUSDT", 6)
    return folder


@pytest.fixture
def catalog(tmp_path: Path, source: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog")
    report = made.import_path(source)
    assert not report.refused
    return made


def files_of(root: Path) -> dict[str, bytes]:
    return {
        p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and p.name != "writer.lock"
    }


def test_an_import_reports_what_it_did(tmp_path: Path, source: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    report = Catalog(tmp_path / "catalog").import_path(source, progress=lambda *step: seen.append(step))
    assert (report.files, report.rows, report.duplicates, report.gaps) == (5, 3000 + 2000 + 50 + 7 + 6, 0, 0)
    assert len(report.series) == 5 and not report.refused
    assert seen[-1][:2] == (5, 5) and all(done <= total for done, total, _text in seen)


def test_importing_again_changes_nothing(catalog: Catalog, source: Path) -> None:
    before = files_of(catalog.root)
    report = catalog.import_path(source)
    assert files_of(catalog.root) == before
    assert not report.series and len(report.unchanged) == 5 and report.rows == 0 and report.duplicates == 5063


def test_new_files_join_old_ones_as_if_imported_together(tmp_path: Path) -> None:
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    one, two = Catalog(tmp_path / "one"), Catalog(tmp_path / "two")
    one.import_path(klines(parts, "AAAUSDT", 900, 700))
    one.import_path(klines(parts, "AAAUSDT", 0, 1000))
    two.import_path(klines(whole, "AAAUSDT", 0, 1600))
    assert one.feed().content_hash == two.feed().content_hash
    assert one.series()[0].content == two.series()[0].content and one.check() == []
    assert len(files_of(one.root)) == 3, "old generations are swept"


def test_a_file_that_contradicts_the_catalog_is_refused_and_the_catalog_stays(catalog: Catalog, tmp_path: Path) -> None:
    before = files_of(catalog.root)
    other = klines(tmp_path / "other", "AAAUSDT", 2990, 20, scale=2.0)
    report = catalog.import_path(other)
    assert files_of(catalog.root) == before
    assert report.refused[0][0] == str(other)
    assert report.refused[0][1].startswith(f"{other}: row 2: open of 2025-03-03T01:50:00Z is 200")
    assert "in the stored series. Keep the right file and import again." in report.refused[0][1]


def test_bad_files_are_listed_and_the_good_ones_kept(tmp_path: Path) -> None:
    good = klines(tmp_path / "mixed", "AAAUSDT", 0, 100)
    bad = good.with_name("AAAUSDT-1m-bad.csv")
    bad.write_text(HEADER + f"{T0},1,1,1,x,1\n")
    odd = good.with_name("notes.csv")
    odd.write_text("hello\n")
    report = Catalog(tmp_path / "catalog").import_path(tmp_path / "mixed")
    assert {Path(name).name for name, _reason in report.refused} == {"AAAUSDT-1m-bad.csv", "notes.csv"}
    assert report.rows == 100 and report.series == ["AAAUSDT 1m klines"]


def test_the_feed_holds_what_was_imported(catalog: Catalog) -> None:
    feed = catalog.feed()
    assert feed.symbols == ("AAAUSDT", "BBBUSDT") and feed.bar_range.tolist() == [[0, 3000], [3000, 5000]]
    bars = feed.bars_of("AAAUSDT")
    tick = feed.instruments["tick_size"][0]
    assert (bars["open_ns"] == START_NS + np.arange(3000) * MINUTE_NS).all()
    assert bars["close_ticks"][5] * tick == pytest.approx(100 + (6 * 7 % 13) * 0.1)
    assert feed.marks["span_ns"][0] == HOUR_NS, "the finest mark prices"
    assert feed.funding["ts_ns"].tolist() == [START_NS + at * 8 * HOUR_NS for at in range(6)]
    assert feed.mark_range.tolist() == [[0, 50], [50, 50]] and not feed.synthetic
    assert "no mark prices, margin uses the last price: BBBUSDT" in feed.caveats


def test_a_window_takes_bars_by_their_open(catalog: Catalog) -> None:
    start, end = START_NS + 100 * MINUTE_NS, START_NS + 200 * MINUTE_NS
    feed = catalog.feed(["AAAUSDT"], start, end)
    assert feed.bars["open_ns"][[0, -1]].tolist() == [start, end - MINUTE_NS]
    assert all(start <= ts <= end for ts in feed.marks["ts_ns"])
    whole = catalog.feed(["AAAUSDT"])
    assert feed.bars.tobytes() == whole.bars[100:200].tobytes()
    assert feed.content_hash != whole.content_hash == catalog.feed(["AAAUSDT"]).content_hash


def test_symbols_of_different_coverage_each_bring_their_own_rows(catalog: Catalog) -> None:
    feed = catalog.feed(start_ns=START_NS + 1990 * MINUTE_NS)
    assert [part["bars"] for part in feed.coverage] == [1010, 10]
    late = catalog.feed(start_ns=START_NS + 2500 * MINUTE_NS)
    assert late.symbols == ("AAAUSDT",)


def test_one_symbol_is_mapped_without_a_copy(catalog: Catalog) -> None:
    feed = catalog.feed(["AAAUSDT"])
    base = feed.bars
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    feed.bars["close_ticks"][0] = 1
    assert catalog.check() == [], "writing into a mapped feed never reaches the disk"


def test_a_missing_interval_is_put_together_from_complete_finer_bars(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    klines(folder, "AAAUSDT", 3, 500)
    klines(folder, "AAAUSDT", 510, 490)
    catalog = Catalog(tmp_path / "catalog")
    catalog.import_path(folder)
    fine, coarse = catalog.feed(), catalog.feed(interval="1h")
    assert [part["bars"] for part in coarse.coverage] == [14]
    hour = fine.bars[57:117]
    one = coarse.bars[0]
    assert one["open_ns"] == START_NS + HOUR_NS
    assert (one["open_ticks"], one["close_ticks"]) == (hour["open_ticks"][0], hour["close_ticks"][-1])
    assert (one["high_ticks"], one["low_ticks"]) == (hour["high_ticks"].max(), hour["low_ticks"].min())
    assert one["volume_lots"] == hour["volume_lots"].sum()
    assert coarse.coverage[0]["gap_bars"] == 1
    assert any("1h bars put together from 1m bars" in caveat for caveat in coarse.caveats)


def test_what_is_not_there_is_refused_with_what_is(catalog: Catalog, tmp_path: Path) -> None:
    for wish, message in (
        ({"symbols": ["AAAUSD"]}, f"symbol 'AAAUSD' has no bars in {catalog.root}. Did you mean 'AAAUSDT'?"),
        (
            {"symbols": ["AAAUSDT"], "start_ns": from_iso("2026-01-01")},
            "no 1m bars of AAAUSDT between 2026-01-01T00:00:00Z and the end. "
            "Covered: AAAUSDT 1m 2025-03-01T00:00:00Z to 2025-03-03T01:59:00Z.",
        ),
        (
            {"symbols": ["BBBUSDT"], "interval": "30s"},
            "no 30s bars of BBBUSDT at all. Covered: BBBUSDT 1m 2025-03-01T00:00:00Z to 2025-03-02T09:19:00Z.",
        ),
        (
            {"start_ns": START_NS + DAY_NS, "end_ns": START_NS},
            "the window is empty: it starts at 2025-03-02T00:00:00Z and ends at 2025-03-01T00:00:00Z. Swap start and end.",
        ),
        ({"interval": "1y"}, "interval '1y' is not known. Write a number with s, m, h or d, such as 1m, 5m, 1h, 1d."),
    ):
        with pytest.raises(DataError) as caught:
            catalog.feed(**wish)
        assert str(caught.value) == message
    with pytest.raises(DataError, match="no bars in this catalog. Fill it with `simcore data import PATH`."):
        Catalog(tmp_path / "empty").feed()


def test_dated_filters_come_into_force_inside_the_window(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    klines(folder, "AAAUSDT", 0, 2000)
    (folder / "um_filters-observed-2025.csv").write_text(
        "symbol,interval,start,end,observed_tick,observed_step\n"
        "AAAUSDT,1m,2025-03-01T00:00:00Z,2025-03-02T00:00:00Z,0.1,1\n"
        "AAAUSDT,1m,2025-03-02T00:00:00Z,2025-03-03T00:00:00Z,0.01,0.01\n"
    )
    catalog = Catalog(tmp_path / "catalog")
    assert catalog.import_path(folder).table_rows == 2
    feed = catalog.feed()
    one = feed.instruments[0]
    assert (one["tick_size"], one["step_size"]) == (0.01, 0.01)
    assert (one["price_filter_ticks"], one["lot_filter_lots"], one["min_qty_lots"]) == (10, 100, 100)
    assert feed.filter_range.tolist() == [[0, 1]]
    later = feed.filters[0]
    assert later["ts_ns"] == from_iso("2025-03-02")
    assert (later["price_filter_ticks"], later["lot_filter_lots"]) == (1, 1)
    after = catalog.feed(start_ns=from_iso("2025-03-02"))
    assert after.filters.size == 0 and after.instruments[0]["price_filter_ticks"] == 1


def test_tables_imported_later_prepare_the_bars_anew(catalog: Catalog, tmp_path: Path) -> None:
    before = catalog.feed(["AAAUSDT"])
    assert before.instruments[0]["tick_size"] == 0.1
    assert any("no exchange filters known" in caveat for caveat in before.caveats)
    table = tmp_path / "um_filters-observed-2025.csv"
    table.write_text("symbol,start,observed_tick,observed_step\nAAAUSDT,2025-01-01,0.05,0.05\n")
    catalog.import_path(table)
    after = catalog.feed(["AAAUSDT"])
    assert (after.instruments[0]["tick_size"], after.instruments[0]["step_size"]) == (0.05, 0.05)
    assert (after.bars["close_ticks"] == before.bars["close_ticks"] * 2).all() and catalog.check() == []


def test_check_finds_a_changed_byte_and_a_lost_file(catalog: Catalog) -> None:
    assert catalog.check() == []
    bars = next(info for info in catalog.series() if info.symbol == "BBBUSDT")
    prepared = catalog.root / bars.prepared
    data = bytearray(prepared.read_bytes())
    data[-20] ^= 1
    prepared.write_bytes(bytes(data))
    assert [(p.where, p.what.split(":")[0]) for p in catalog.check()] == [
        ("BBBUSDT 1m klines", "prepared rows differ from the truth")
    ]
    (catalog.root / bars.truth).unlink()
    assert [p.where for p in catalog.check()] == ["BBBUSDT 1m klines"]
    truth = catalog.root / next(info for info in catalog.series() if info.symbol == "AAAUSDT").truth
    truth.write_bytes(truth.read_bytes()[:-30])
    assert len(catalog.check()) == 2


def test_a_failing_write_at_any_point_leaves_the_old_catalog(catalog: Catalog, tmp_path: Path, monkeypatch) -> None:
    before, hashed = files_of(catalog.root), catalog.feed().content_hash
    more = tmp_path / "more"
    klines(more, "AAAUSDT", 3000, 100)
    klines(more, "CCCUSDT", 0, 100)
    real = os.fsync
    for fail_at in range(1, 40):
        trial = Catalog(tmp_path / f"trial{fail_at}")
        shutil.copytree(catalog.root, trial.root)
        calls = [0]

        def failing(handle: int, calls: list[int] = calls, fail_at: int = fail_at) -> None:
            calls[0] += 1
            if calls[0] == fail_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(handle)

        monkeypatch.setattr(storage.os, "fsync", failing)
        try:
            trial.import_path(more)
        except DataError as refusal:
            assert "No space left on device" in str(refusal)
        finally:
            monkeypatch.setattr(storage.os, "fsync", real)
        after = files_of(trial.root)
        assert not [name for name in after if name.endswith(".tmp")] and trial.check() == []
        if calls[0] < fail_at:
            assert "CCCUSDT" in trial.feed().symbols
            break
        if after["catalog.json"] == before["catalog.json"]:
            assert {name: after[name] for name in before} == before
            assert trial.feed().content_hash == hashed
    assert fail_at == 11, "two series of two files and the manifest, each with its folder"


def test_a_lost_or_damaged_truth_is_said_and_replaced_by_a_new_import(catalog: Catalog, source: Path) -> None:
    hashed = catalog.feed().content_hash
    for damage in (Path.unlink, lambda path: path.write_bytes(b"PAR1")):
        truth = catalog.root / next(info for info in catalog.series() if info.symbol == "BBBUSDT").truth
        damage(truth)
        assert [problem.where for problem in catalog.check()] == ["BBBUSDT 1m klines"]
        report = catalog.import_path(source)
        assert [name for name, _reason in report.refused] == [str(truth)]
        assert catalog.check() == [] and catalog.feed().content_hash == hashed


def test_a_full_disk_leaves_the_old_catalog(catalog: Catalog, tmp_path: Path) -> None:
    """The kernel itself refuses the write: the process may write no file beyond a few kilobytes."""
    before = files_of(catalog.root)
    more = klines(tmp_path / "more", "CCCUSDT", 0, 20_000)
    code = (
        "import resource, signal, sys\n"
        "from replay_data.catalog import Catalog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    Catalog({str(catalog.root)!r}).import_path({str(more)!r})\n"
        "except Exception as trouble:\n"
        "    print(type(trouble).__name__, trouble)\n"
    )
    home = dict(os.environ, NUMBA_DISABLE_JIT="1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home)
    assert done.stdout.startswith("DataError ") and "not written (File too large); what was there is unchanged" in done.stdout
    after = files_of(catalog.root)
    assert {name: after[name] for name in before} == before and catalog.check() == []
    assert not [name for name in after if name.endswith(".tmp")]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_second_writer_is_refused_and_readers_are_not(catalog: Catalog, source: Path) -> None:
    with one_writer(catalog.root):
        with pytest.raises(DataError, match=f"another import is writing here \\(process {os.getpid()}\\). Wait for it to end."):
            catalog.import_path(source)
        assert catalog.feed().bars.size == 5000
    assert catalog.import_path(source).unchanged


def test_readers_never_see_half_an_import(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    sizes = [100 + 50 * at for at in range(25)]
    folders = [klines(tmp_path / str(size), "AAAUSDT", 0, size) for size in sizes]
    catalog.import_path(folders[0])
    seen: list[int] = []
    trouble: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                feed = catalog.feed()
                assert (np.diff(feed.bars["open_ns"]) == MINUTE_NS).all()
                seen.append(int(feed.bars.size))
            except Exception as error:  # noqa: BLE001 - handed to the main thread
                trouble.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for folder in folders[1:]:
        catalog.import_path(folder)
    stop.set()
    for reader in readers:
        reader.join()
    assert not trouble and set(seen) <= set(sizes) and catalog.feed().bars.size == sizes[-1]


def test_a_broken_manifest_is_named(catalog: Catalog) -> None:
    path = catalog.root / "catalog.json"
    path.write_text("{")
    with pytest.raises(DataError, match="not a catalog manifest"):
        catalog.feed()
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="format 99; this version reads 1"):
        catalog.feed()


def test_an_atomic_write_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, lambda stream: stream.write(b"old"))

    def half(stream) -> None:
        stream.write(b"ne")
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(DataError, match="not written"):
        write_atomic(path, half)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_loading_imports_neither_pandas_nor_pyarrow(catalog: Catalog) -> None:
    code = (
        "import sys\n"
        "from replay_data.catalog import Catalog\n"
        f"Catalog({str(catalog.root)!r}).feed()\n"
        "assert not {'pandas', 'pyarrow', 'binance'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def real_catalog(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("real") / "catalog")
    report = catalog.import_path(real_data / "futures_um")
    assert report.refused == [] and report.files == 173
    assert (report.gaps, report.gap_bars) == (1, 451), "the one known gap: SOLUSDT 5m, 2025-04-05 to 04-07"
    return catalog


@pytest.mark.real
def test_real_bars_are_imported_whole(real_catalog: Catalog) -> None:
    gaps = [info for info in real_catalog.series() if info.gaps]
    assert [str(info.key) for info in gaps] == ["SOLUSDT 5m klines"]
    assert gaps[0].gaps == ((from_iso("2025-04-05T10:25:00"), 451),)
    assert real_catalog.check() == []


@pytest.mark.real
def test_real_one_minute_feed_of_18_symbols(real_catalog: Catalog) -> None:
    feed = real_catalog.feed()
    assert len(feed.symbols) == 18 and feed.bars.size == 979_806
    sol = feed.coverage[feed.symbols.index("SOLUSDT")]
    assert sol["off_tick_prices"] == 2, "a high of 174.733 and an open of 146.087"
    assert sum(part["off_tick_prices"] for part in feed.coverage) == 2
    assert all(part["gaps"] == 0 and part["mark_bars"] > 0 and part["fundings"] > 0 for part in feed.coverage)
    spans = {part["symbol"]: part["mark_interval"] for part in feed.coverage}
    assert {symbol for symbol, span in spans.items() if span == "8h"} == {"BNBUSDT", "SOLUSDT", "ETCUSDT", "LAYERUSDT"}
    btc = feed.instruments[feed.symbols.index("BTCUSDT")]
    assert (btc["tick_size"], btc["step_size"], btc["unit_e8"], btc["min_notional_e8"]) == (0.1, 0.001, 10_000, 100 * 10**8)


@pytest.mark.real
def test_real_layer_funding_switches_from_4_hours_to_1(real_catalog: Catalog) -> None:
    feed = real_catalog.feed(["LAYERUSDT"])
    hours = feed.funding["interval_ns"] // HOUR_NS
    switch = int(np.flatnonzero(hours == 1)[0])
    assert feed.funding["ts_ns"][switch] == from_iso("2025-05-06T09:00")
    assert (hours[:switch] == 4).all() and (hours[switch:] == 1).all()
    assert feed.funding["rate_e8"].min() == -2_000_000
    spacing = np.diff(feed.funding["ts_ns"]) // HOUR_NS
    assert (spacing[switch:] == 1).all() and (spacing[: switch - 1] == 4).all()


@pytest.mark.real
def test_real_filters_change_inside_the_window(real_catalog: Catalog) -> None:
    feed = real_catalog.feed(["SOLUSDT"], interval="5m")
    assert (feed.instruments[0]["step_size"], feed.instruments[0]["lot_filter_lots"]) == (0.01, 100)
    assert feed.filters["lot_filter_lots"].tolist() == [1]
    at = feed.filters["ts_ns"][0]
    assert from_iso("2025-04-05") < at < from_iso("2025-05-01")
    bars = feed.bars
    assert (bars["volume_lots"][bars["open_ns"] < at] % 100 == 0).all(), "whole lots while the step was 1"
    years = real_catalog.feed(["BTCUSDT"], interval="1h")
    assert years.instruments[0]["tick_size"] == 0.01 and years.instruments[0]["price_filter_ticks"] == 1
    assert years.filters["price_filter_ticks"].tolist() == [10, 10]
    assert years.coverage[0]["off_tick_prices"] == 0 and years.bars.size == 50_935


@pytest.mark.real
def test_real_15_minute_bars_put_together_equal_pandas(real_catalog: Catalog, real_data: Path) -> None:
    import pandas as pd

    feed = real_catalog.feed(["LINKUSDT"], start_ns=from_iso("2025-05-04"), interval="15m")
    folder = real_data / "futures_um" / "klines" / "1m" / "LINKUSDT"
    table = pd.concat(pd.read_parquet(path) for path in sorted(folder.glob("*.parquet")))
    table.index = pd.to_datetime(table["open_time"], unit="ms", utc=True)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    wanted = table.resample("15min").agg(rules)[table["close"].resample("15min").count() == 15]
    tick, step = feed.instruments["tick_size"][0], feed.instruments["step_size"][0]
    assert (feed.bars["open_ns"] == wanted.index.as_unit("ns").asi8).all()
    for name in ("open", "high", "low", "close"):
        assert np.abs(feed.bars[f"{name}_ticks"] * tick - wanted[name]).max() < 1e-9
    assert np.abs(feed.bars["volume_lots"] * step - wanted["volume"]).max() < 1e-6
