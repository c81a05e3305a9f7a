"""Archive readers: every packing, header, unit and order of rows gives the same series, and damage is refused."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from replay_data.archive import FUNDINGS, KLINES, MARKS, SeriesKey, combine, identify, load_series, read_file
from replay_data.interval import HOUR_NS, MINUTE_NS, iso
from replay_data.tables import (
    Tables,
    read_brackets_json,
    read_exchange_info,
    read_filters_csv,
    read_filters_json,
    read_leverage_brackets,
    shipped_tables,
    tables_to_json,
)
from simcore.domain.errors import DataError, SimcoreError

T0 = 1_740_787_200_000
HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
KEY = SeriesKey(KLINES, "BTCUSDT", "1m")
NAME = "BTCUSDT-1m-2025-03-01"


def lines(rows: int = 50, scale: int = 1, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    out = []
    for minute in range(rows):
        o, c = (100 + rng.integers(-20, 20, 2) * 0.1).round(1)
        h, low = round(max(o, c) + 0.3, 1), round(min(o, c) - 0.2, 1)
        t = (T0 + minute * 60_000) * scale
        out.append(f"{t},{o},{h},{low},{c},{round(rng.exponential(5), 3)},{t + 60_000 * scale - 1},1.5,7,1.0,2.0,0")
    return out


def text(rows: list[str], header: bool = True) -> str:
    return "\n".join([HEADER, *rows] if header else rows) + "\n"


def pack(content: str, packing: str) -> bytes:
    if packing == "zip":
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{NAME}.csv", content)
        return sink.getvalue()
    return gzip.compress(content.encode(), mtime=0) if packing == "csv.gz" else content.encode()


def put(folder: Path, content: bytes, packing: str = "csv", name: str = NAME) -> Path:
    path = folder / KLINES / "BTCUSDT" / "1m" / f"{name}.{packing}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def same(one, other) -> bool:
    return bool(np.array_equal(one.times, other.times)) and all(
        np.array_equal(column, other.values[name]) for name, column in one.values.items()
    )


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000], ids=["ms", "us", "ns"])
@pytest.mark.parametrize("header", [True, False], ids=["header", "bare"])
@pytest.mark.parametrize("packing", ["csv", "csv.gz", "zip"])
def test_every_packing_header_and_unit_gives_the_same_series(packing, header, scale, tmp_path) -> None:
    wanted = load_series(put(tmp_path / "plain", text(lines()).encode()))
    found = load_series(put(tmp_path / "other", pack(text(lines(scale=scale), header), packing), packing))
    assert same(found, wanted) and found.key == KEY
    assert found.times[0] == T0 * 10**6 and found.times.size == 50


def test_parquet_gives_the_same_series_with_integer_or_utc_times(tmp_path: Path) -> None:
    wanted = load_series(put(tmp_path, text(lines()).encode()))
    table = pa.table({"open_time": wanted.times // 10**6, **wanted.values})
    for times in (table["open_time"], table["open_time"].cast(pa.timestamp("ms", "UTC"))):
        sink = io.BytesIO()
        parquet.write_table(table.set_column(0, "open_time", times), sink)
        assert same(load_series(put(tmp_path, sink.getvalue(), "parquet")), wanted)


def test_byte_order_marks_windows_line_ends_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    wanted = load_series(put(tmp_path, text(lines()).encode()))
    odd = "\ufeff" + text(lines()).replace("\n", "\r\n") + "\r\n"
    assert same(load_series(put(tmp_path, odd.encode())), wanted)


def test_six_columns_without_a_header_are_enough(tmp_path: Path) -> None:
    wanted = load_series(put(tmp_path, text(lines()).encode()))
    short = [",".join(line.split(",")[:6]) for line in lines()]
    assert same(load_series(put(tmp_path, text(short, header=False).encode())), wanted)


@settings(max_examples=50)
@given(st.randoms(use_true_random=False), st.integers(0, 20))
def test_unordered_and_repeated_rows_settle_to_the_same_series(random, repeats: int) -> None:
    import tempfile

    rows = lines(30)
    with tempfile.TemporaryDirectory() as folder:
        wanted = load_series(put(Path(folder), text(rows).encode()))
        messy = rows + [random.choice(rows) for _ in range(repeats)]
        random.shuffle(messy)
        combined = combine([read_file(put(Path(folder), text(messy).encode()))])
        assert same(combined.series, wanted)
        assert combined.duplicates == repeats and not combined.refused


def test_overlapping_files_are_joined_and_the_overlap_counted(tmp_path: Path) -> None:
    rows = lines(60)
    one = put(tmp_path, text(rows[:40]).encode(), name="BTCUSDT-1m-2025-03-01")
    other = put(tmp_path, text(rows[25:]).encode(), name="BTCUSDT-1m-2025-03-02")
    combined = combine([read_file(other), read_file(one)])
    assert combined.series.times.size == 60 and combined.duplicates == 15
    assert same(combined.series, load_series(put(tmp_path, text(rows).encode(), name="BTCUSDT-1m-all")))


def test_missing_bars_become_gaps_and_are_not_filled(tmp_path: Path) -> None:
    rows = lines(60)
    series = load_series(put(tmp_path, text(rows[:10] + rows[13:30] + rows[31:]).encode()))
    at, missing = series.gaps()
    assert series.times.size == 56
    assert [iso(t) for t in at] == ["2025-03-01T00:10:00Z", "2025-03-01T00:30:00Z"] and missing.tolist() == [3, 1]


def test_funding_jitter_is_floored_to_the_settlement(tmp_path: Path) -> None:
    path = tmp_path / FUNDINGS / "BTCUSDT" / "BTCUSDT-fundingRate-2025-03.csv"
    path.parent.mkdir(parents=True)
    rows = [f"{T0 + 5},8,0.00010000", f"{T0 + 28_800_000 + 16},8,-0.00003750", f"{T0 + 57_600_000},4,0.00000001"]
    path.write_text("calc_time,funding_interval_hours,last_funding_rate\n" + "\n".join(rows) + "\n")
    series = load_series(path)
    assert series.times.tolist() == [(T0 + at * 28_800_000) * 10**6 for at in range(3)]
    assert series.values["rate_e8"].tolist() == [10_000, -3_750, 1]
    assert (series.values["interval_ns"] // HOUR_NS).tolist() == [8, 8, 4]
    assert not (series.times % MINUTE_NS).any()


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05.zip", (KLINES, "BTCUSDT", "1m")),
        ("klines/5m/1000PEPEUSDT/1000PEPEUSDT-5m-20250306-20250413.parquet", (KLINES, "1000PEPEUSDT", "5m")),
        ("markPriceKlines/BTCUSDT/8h/BTCUSDT-8h-2025-05.zip", (MARKS, "BTCUSDT", "8h")),
        ("fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-05.csv.gz", (FUNDINGS, "BTCUSDT", "")),
        ("downloads/ETHUSDT-1h-2025.csv", (KLINES, "ETHUSDT", "1h")),
        ("BTCUSDT-fundingRate-2025-05.csv", (FUNDINGS, "BTCUSDT", "")),
        ("klines/BTCUSDT_250926/1m/BTCUSDT_250926-1m-2025-05.zip", (KLINES, "BTCUSDT_250926", "1m")),
    ],
)
def test_the_path_says_kind_symbol_and_interval(path: str, key: tuple[str, str, str]) -> None:
    assert identify(Path(path)) == SeriesKey(*key)


def mutated(content: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    data = bytearray(content)
    for kind, at, value in edits:
        if not data:
            break
        at %= len(data)
        if kind == 0:
            data[at] = value
        elif kind == 1:
            del data[at : at + 1 + value % 40]
        elif kind == 2:
            data[at:at] = bytes([value]) * (1 + value % 5)
        else:
            data[at:at] = data[at // 2 : at // 2 + value]
    return bytes(data)


EDITS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6)
BASE = {packing: pack(text(lines(12)), packing) for packing in ("csv", "zip", "csv.gz")}


@pytest.fixture(scope="module")
def parquet_base() -> bytes:
    sink = io.BytesIO()
    names = HEADER.split(",")[:6]
    columns = list(zip(*(line.split(",")[:6] for line in lines(12)), strict=True))
    cast = [np.array(columns[0], np.int64), *(np.array(column, np.float64) for column in columns[1:])]
    parquet.write_table(pa.table(dict(zip(names, cast, strict=True))), sink)
    return sink.getvalue()


@pytest.mark.parametrize("packing", ["csv", "zip", "csv.gz", "parquet"])
def test_a_mutated_file_loads_in_canonical_form_or_is_refused(packing, tmp_path_factory, parquet_base) -> None:
    folder = tmp_path_factory.mktemp("mutants")
    base = parquet_base if packing == "parquet" else BASE[packing]

    @settings(max_examples=1000 if packing == "csv" else 400)
    @given(EDITS)
    def mutate(edits: list[tuple[int, int, int]]) -> None:
        path = put(folder, mutated(base, edits), packing)
        try:
            series = load_series(path)
        except SimcoreError as refusal:
            assert str(path) in str(refusal)
            return
        prices = series.values
        assert series.times.size and (np.diff(series.times) > 0).all() and not (series.times % MINUTE_NS).any()
        assert all(np.isfinite(column).all() for column in prices.values())
        assert (prices["low"] > 0).all() and (prices["volume"] >= 0).all()
        assert (prices["high"] >= np.maximum(prices["open"], prices["close"])).all()
        assert (prices["low"] <= np.minimum(prices["open"], prices["close"])).all()

    mutate()


@settings(max_examples=300)
@given(EDITS)
def test_mutated_exchange_tables_are_read_or_refused(edits) -> None:
    info = {
        "serverTime": T0,
        "symbols": [
            {
                "symbol": "BTCUSDT",
                "contractType": "PERPETUAL",
                "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
                    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
                    {"filterType": "MIN_NOTIONAL", "notional": "100"},
                    {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"},
                ],
            }
        ],
    }
    keys = ("bracket", "initialLeverage", "notionalCap", "notionalFloor", "maintMarginRatio", "cum")
    brackets = [{"symbol": "BTCUSDT", "brackets": [dict(zip(keys, (1, 50, 1000, 0, 0.01, 0.0), strict=True))]}]
    for read, document, name in (
        (read_exchange_info, info, "info.json"),
        (read_leverage_brackets, brackets, "um_leverageBracket-20250622.json"),
    ):
        for row in read(Path(name), json.dumps(document).encode()):
            assert row.symbol == "BTCUSDT"
        try:
            rows = read(Path(name), mutated(json.dumps(document).encode(), edits))
        except DataError as refusal:
            assert name in str(refusal)
        else:
            assert all(isinstance(row.symbol, str) for row in rows)


def test_tables_survive_their_own_json(tmp_path: Path) -> None:
    for name, data in zip(("filters", "brackets"), tables_to_json(shipped_tables()), strict=True):
        (tmp_path / f"{name}.json").write_bytes(data)
    again = Tables({}, {}).with_rows(read_filters_json(tmp_path / "filters.json"), read_brackets_json(tmp_path / "brackets.json"))
    assert again == shipped_tables()


def test_shipped_tables_know_what_was_in_force_when() -> None:
    from replay_data.interval import from_iso

    def at(symbol: str, day: str):
        return shipped_tables().filters_over(symbol, from_iso(day), from_iso(day))[0]

    assert (at("SOLUSDT", "2025-04-05").step_size, at("SOLUSDT", "2025-05-04").step_size) == (1.0, 0.01)
    assert (at("SOLUSDT", "2021-07-01").tick_size, at("SOLUSDT", "2025-03-06").tick_size) == (0.001, 0.01)
    assert (at("BTCUSDT", "2020-01-01").tick_size, at("BTCUSDT", "2025-05-04").tick_size) == (0.01, 0.1)
    assert [at("BTCUSDT", day).min_notional for day in ("2021-07-01", "2025-05-04", "2026-10-01")] == [5, 100, 50]
    assert (at("ETHUSDT", "2025-05-04").min_notional, at("XRPUSDT", "2025-05-04").min_notional) == (20, 5)
    assert len(shipped_tables().brackets) >= 36
    for tables in shipped_tables().brackets.values():
        for table in tables:
            cum = 0.0
            for below, row in zip(((0, 0, 0, 0, 0), *table.rows), table.rows, strict=False):
                cum += row[0] * (row[3] - below[3])
                assert row[4] == pytest.approx(cum, rel=1e-6, abs=0.02)


@pytest.mark.real
def test_real_exchange_tables_are_read(real_data: Path) -> None:
    folder = real_data / "exchange_info"
    info = folder / "um_exchangeInfo-20210721.json.gz"
    rows = {row.symbol: row for row in read_exchange_info(info, gzip.decompress(info.read_bytes()))}
    assert len(rows) > 100 and rows["BTCUSDT"].tick_size == 0.01 and rows["BTCUSDT"].min_notional == 5
    assert rows["BTCUSDT"].price_band_up_pct == pytest.approx(0.15)
    brackets = folder / "um_leverageBracket-20250622.json.gz"
    tables = {table.symbol: table for table in read_leverage_brackets(brackets, gzip.decompress(brackets.read_bytes()))}
    assert len(tables) == 495 and iso(tables["BTCUSDT"].valid_ns) == "2025-06-22T00:00:00Z"
    assert all(tables[symbol] == shipped[0] for symbol, shipped in shipped_tables().brackets.items())
    observed = folder / "um_filters-observed-2025.csv"
    filters = read_filters_csv(observed, observed.read_bytes(), shipped_tables())
    assert len(filters) > 60 and {row.symbol for row in filters} >= {"BTCUSDT", "SOLUSDT", "LAYERUSDT"}


@pytest.mark.real
def test_real_samples_of_the_public_archive_are_read(real_data: Path) -> None:
    folder = real_data / "format_samples" / "binance_archive"
    cases = {
        "um_klines_1m_header.csv": (KLINES, "1m", 1),
        "cm_klines_1h_header.csv": (KLINES, "1h", 3),
        "spot_klines_1h_noheader_ms.csv": (KLINES, "1h", 3),
        "spot_klines_1h_noheader_us.csv": (KLINES, "1h", 1),
        "um_markPriceKlines_15m_header.csv": (MARKS, "15m", 2),
        "um_fundingRate_header.csv": (FUNDINGS, "", 1),
    }
    for name, (kind, interval, rows) in cases.items():
        series = load_series(folder / name, SeriesKey(kind, "BTCUSDT", interval))
        assert series.times.size == rows
    for path in sorted(folder.glob("*.csv")):
        if path.name not in cases:
            with pytest.raises(DataError):
                read_file(path)
