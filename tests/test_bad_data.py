"""Bad market data: each kind of fault is refused with its exact message: file, row, column, value, next step."""
# ruff: noqa: E501 - an exact message is read best on one line

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from replay_data.archive import combine, load_series, read_file
from replay_data.catalog import Catalog
from replay_data.feed import from_frame
from simcore.domain.errors import DataError

HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
ROW = "{t},{o},{h},{l},{c},{v},{e},0,0,0,0,0\n"
T0 = 1_740_787_200_000
NAME = "BTCUSDT-1m-2025-03-01"


def row(minute: int, o="100.1", h="100.3", low="100.0", c="100.2", v="5.5", t: object = None) -> str:
    stamp = T0 + minute * 60_000
    return ROW.format(t=stamp if t is None else t, o=o, h=h, l=low, c=c, v=v, e=stamp + 59_999)


def good(rows: int = 6) -> str:
    return HEADER + "".join(row(minute) for minute in range(rows))


def place(folder: Path, content: bytes | str, suffix: str = ".csv", kind: str = "klines", name: str = NAME) -> Path:
    target = folder / kind / "BTCUSDT" / "1m" / f"{name}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    return target


def zipped(content: str, member: str = f"{NAME}.csv") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return sink.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_series(path)
    return str(caught.value)


CELLS = {
    "text in a number": (row(2, o="abc"), "row 4: open is 'abc'; expected a number."),
    "empty cell": (row(2, c=""), "row 4: close is ''; expected a number."),
    "nan": (row(2, h="nan"), "row 4: high is nan; expected a finite number."),
    "infinite": (row(2, h="inf"), "row 4: high is inf; expected a finite number."),
    "overflowing": (row(2, h="1e400"), "row 4: high is inf; expected a finite number."),
    "negative price": (row(2, low="-1.5"), "row 4: low is -1.5; a price must be positive."),
    "zero price": (row(2, o="0"), "row 4: open is 0; a price must be positive."),
    "high below low": (row(2, h="99", low="99.5"), "row 4: high 99 is below low 99.5."),
    "high below close": (row(2, h="100.15"), "row 4: high is 100.15; below open or close."),
    "low above open": (row(2, low="100.15"), "row 4: low is 100.15; above open or close."),
    "negative volume": (row(2, v="-3"), "row 4: volume is -3; it must be 0 or more."),
    "fraction in a time": (row(2, t="1740787320000.5"), "row 4: open_time is '1740787320000.5'; expected a whole number."),
    "control letter in a time": (row(2, t="1740787320000\x1c"), "row 4: open_time is '1740787320000\\x1c'; expected a whole number."),
    "underscore": (row(2, o="1_00.1"), "row 4: open is '1_00.1'; expected a number."),
    "time of another age": (row(2, t=12), "row 4: open_time is 12; it lies outside 2010 to 2100 in s, ms, us and ns."),
    "time off the grid": (
        row(2, t=T0 + 120_001),
        "row 4: open_time 2025-03-01T00:02:00.001000000Z does not lie on the 1m grid. Is the interval in the name right?",
    ),
    "short row": ("1740787320000,100,101\n", "row 4: 3 columns; expected 12. Is the file cut off?"),
}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("packing", ["csv", "zip", "csv.gz"])
def test_a_bad_cell_is_named_by_file_row_column_and_value(case: str, packing: str, tmp_path: Path) -> None:
    bad, message = CELLS[case]
    text = HEADER + row(0) + row(1) + bad + row(3)
    content = {"csv": text.encode(), "zip": zipped(text), "csv.gz": gzip.compress(text.encode())}[packing]
    path = place(tmp_path, content, f".{packing}")
    assert refusal(path) == f"{path}: {message}"


def test_the_row_is_the_line_of_the_file_with_and_without_a_header(tmp_path: Path) -> None:
    path = place(tmp_path, row(0) + row(1, c="x"))
    assert refusal(path) == f"{path}: row 2: close is 'x'; expected a number."
    path = place(tmp_path, "\n" + HEADER + "\n" + row(0) + "\n\n" + row(1, low="-1"))
    assert refusal(path) == f"{path}: row 7: low is -1; a price must be positive."


def test_several_bad_rows_are_counted(tmp_path: Path) -> None:
    path = place(tmp_path, HEADER + row(0) + row(1, low="-1") + row(2, low="-2"))
    assert refusal(path) == f"{path}: row 3: low is -1; a price must be positive (2 such rows)."


def test_wrong_columns(tmp_path: Path) -> None:
    path = place(tmp_path, good().replace("high", "hihg", 1))
    assert refusal(path) == (
        f"{path}: row 1: column 'high' is missing. Expected open_time, open, high, low, close, volume. Did you mean 'hihg'?"
    )
    path = place(tmp_path, "".join(line.rsplit(",", 5)[0] + "\n" for line in row(0).splitlines()))
    assert refusal(path) == (
        f"{path}: row 1: 7 columns without a header; expected 12 or 6: open_time, open, high, low, close, volume."
    )
    path = place(tmp_path, good().replace("taker_buy_volume", "open", 1))
    assert refusal(path) == f"{path}: row 1: column 'open' appears twice."


def test_swapped_columns_are_read_by_name(tmp_path: Path) -> None:
    path = place(tmp_path, f"close,volume,open_time,low,high,open\n100.2,5.5,{T0},100.0,100.3,100.1\n")
    series = load_series(path)
    assert {name: column[0] for name, column in series.values.items()} == {
        "open": 100.1, "high": 100.3, "low": 100.0, "close": 100.2, "volume": 5.5,
    }  # fmt: skip


def test_empty_files(tmp_path: Path) -> None:
    for suffix in (".csv", ".zip", ".csv.gz", ".parquet"):
        path = place(tmp_path, b"", suffix)
        assert refusal(path) == f"{path}: the file is empty. Download it again."
    path = place(tmp_path, gzip.compress(b""), ".csv.gz")
    assert refusal(path) == f"{path}: the file is empty. Download it again."
    path = place(tmp_path, zipped(""), ".zip")
    assert refusal(path) == f"{path}: the file is empty. Download it again."
    path = place(tmp_path, HEADER)
    assert refusal(path) == f"{path}: no rows below the header. Download it again."
    path = place(tmp_path, "\n\n")
    assert refusal(path) == f"{path}: the file has no rows. Download it again."


def test_a_truncated_zip(tmp_path: Path) -> None:
    path = place(tmp_path, zipped(good(500))[:-200], ".zip")
    assert refusal(path) == f"{path}: not a complete zip file (File is not a zip file). Download it again."


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = place(tmp_path, gzip.compress(good(500).encode())[:-200], ".csv.gz")
    assert refusal(path) == f"{path}: the gzip file ends too early. Download it again."


def test_a_wrong_crc(tmp_path: Path) -> None:
    content = bytearray(zipped(good()))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        crc = archive.infolist()[0].CRC.to_bytes(4, "little")
    at = content.rfind(crc)
    content[at] ^= 0xFF
    first = content.find(crc)
    if first >= 0:
        content[first] ^= 0xFF
    path = place(tmp_path, bytes(content), ".zip")
    assert refusal(path) == f"{path}: wrong CRC: the content does not match its checksum. Download it again."


def test_a_wrong_checksum_file(tmp_path: Path) -> None:
    path = place(tmp_path, zipped(good()), ".zip")
    path.with_name(path.name + ".CHECKSUM").write_text(f"{'0' * 64}  {path.name}\n")
    assert f"{path}: sha256 is " in refusal(path) and "says 000000000000…. Download again." in refusal(path)


def test_a_zip_of_several_files(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", good())
        archive.writestr("b.csv", good())
    path = place(tmp_path, sink.getvalue(), ".zip")
    assert refusal(path) == f"{path}: 2 files inside (a.csv, b.csv); expected exactly one. Unpack it and import the folder."


@pytest.mark.parametrize("member", ["../evil.csv", "/etc/evil.csv", "a/../../b.csv", "C:evil.csv"])
def test_a_zip_that_points_outside(member: str, tmp_path: Path) -> None:
    path = place(tmp_path, zipped(good(), member), ".zip")
    assert refusal(path) == f"{path}: the file inside is named {member!r}, which points outside. Not opened."


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    path = place(tmp_path, zipped("0" * 50_000_000), ".zip")
    packed = path.stat().st_size
    assert refusal(path) == f"{path}: 50,000,000 bytes packed into {packed:,}: more than 500 times. Not opened."
    path = place(tmp_path, gzip.compress(b"0" * 50_000_000), ".csv.gz")
    assert "more than 500 times. Not opened." in refusal(path)


def test_a_folder_and_a_name_that_disagree(tmp_path: Path) -> None:
    path = place(tmp_path, good(), name="ETHUSDT-1m-2025-03-01")
    assert refusal(path) == f"{path}: the folder says symbol BTCUSDT, the name says ETHUSDT. Move or rename it."
    path = place(tmp_path, good(), name="BTCUSDT-5m-2025-03-01")
    assert refusal(path) == f"{path}: the folder says interval 1m, the name says 5m. Move or rename it."
    path = place(tmp_path, good(), name="BTCUSDT-fundingRate-2025-03")
    assert refusal(path) == f"{path}: the folder says klines, the name says fundingRate. Move or rename it."
    path = place(tmp_path, good(), name="whatever")
    assert refusal(path) == f"{path}: the name says neither symbol nor interval. Name it like BTCUSDT-1m-2025-05.zip."
    path = place(tmp_path, good(), kind="aggTrades", name="BTCUSDT-aggTrades-2025-03-01")
    assert refusal(path) == f"{path}: aggTrades files are not read yet. Read are: klines, markPriceKlines, fundingRate."


def test_an_interval_that_the_bars_do_not_have(tmp_path: Path) -> None:
    text = HEADER + "".join(row(5 * at) for at in range(6))
    path = place(tmp_path, text)
    assert refusal(path) == f"{path}: all bars lie 5m or more apart, the name says 1m. Rename it."


def test_conflicting_duplicates_name_both_rows(tmp_path: Path) -> None:
    path = place(tmp_path, HEADER + row(0) + row(1) + row(2) + row(1, v="6.5"))
    assert refusal(path) == (
        f"{path}: row 5: volume of 2025-03-01T00:01:00Z is 6.5, but 5.5 in {path}: row 3. Keep the right file and import again."
    )


def test_conflicting_files_name_both_rows(tmp_path: Path) -> None:
    one = place(tmp_path, good(), name="BTCUSDT-1m-2025-03-01")
    other = place(tmp_path, HEADER + row(5, c="100.25") + row(6), name="BTCUSDT-1m-2025-03-02")
    combined = combine([read_file(one), read_file(other)])
    assert combined.series.times.size == 6
    assert combined.refused == (
        (
            other,
            f"{other}: row 2: close of 2025-03-01T00:05:00Z is 100.25, but 100.2 in {one}: row 7. "
            f"Keep the right file and import again.",
        ),
    )


def test_funding_figures_out_of_range(tmp_path: Path) -> None:
    header = "calc_time,funding_interval_hours,last_funding_rate\n"
    path = tmp_path / "fundingRate" / "BTCUSDT" / "BTCUSDT-fundingRate-2025-03.csv"
    path.parent.mkdir(parents=True)
    path.write_text(header + f"{T0},8,0.0001\n{T0 + 28_800_000},0,0.0001\n")
    assert refusal(path) == f"{path}: row 3: funding_interval_hours is 0; expected 1 to 24."
    path.write_text(header + f"{T0},8,1.5\n")
    assert refusal(path) == (f"{path}: row 2: last_funding_rate is 1.5; expected a fraction below 1 (0.0001 is one basis point).")


def test_damaged_parquet(tmp_path: Path) -> None:
    table = pa.table({"open_time": [T0], **{name: [100.0] for name in ("open", "high", "low", "close", "volume")}})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    path = place(tmp_path, sink.getvalue()[:-20], ".parquet")
    assert refusal(path).startswith(f"{path}: not a readable Parquet file (") and refusal(path).endswith("Download it again.")
    parquet.write_table(table.drop_columns("low"), path)
    assert refusal(path) == (
        f"{path}: column 'low' is missing. Expected open_time, open, high, low, close, volume. "
        f"Known: close, high, open, open_time, volume."
    )
    parquet.write_table(table.set_column(1, "open", pa.array([None], pa.float64())), path)
    assert refusal(path) == f"{path}: row 0: open is empty; expected a number."
    parquet.write_table(table.set_column(1, "open", pa.array(["100"])), path)
    assert refusal(path) == f"{path}: column 'open' holds string; expected numbers."
    parquet.write_table(table.slice(0, 0), path)
    assert refusal(path) == f"{path}: the file has no rows. Download it again."


def test_mark_prices_taken_for_klines(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.csv"
    path.write_text(HEADER + row(0, v="0") + row(1, v="0"))
    assert refusal(path) == (
        f"{path}: no bar has volume: klines or mark prices? Put it in a folder named klines or markPriceKlines."
    )


def test_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Catalog(tmp_path / "catalog").import_path(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"{tmp_path / 'nowhere'}: nothing to import. Expected .csv.gz, .csv, .zip, .parquet, .json, .json.gz, .jsonl, .jsonl.gz, .tape files, "
        f"or a folder of them."
    )


def frame(**changes: object) -> pd.DataFrame:
    index = pd.date_range("2025-03-01", periods=4, freq="1min", tz="UTC")
    table = pd.DataFrame({"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "volume": 5.0}, index=index)
    for name, value in changes.items():
        table[name] = table[name].astype(object)
        table.iloc[2, table.columns.get_loc(name)] = value
        table[name] = table[name].infer_objects()
    return table


FRAMES = {
    "naive index": (frame().tz_localize(None), "the times of the index have no time zone. If they are UTC: df.index = df.index.tz_localize('UTC')."),
    "no times": (
        frame().reset_index(drop=True),
        "the index holds no times. Use a tz-aware DatetimeIndex: df.index = pd.to_datetime(df.index, utc=True), or add a column open_time.",
    ),
    "naive column": (
        frame().tz_localize(None).reset_index(names="date"),
        "the times of column 'date' have no time zone. If they are UTC: df['date'] = df['date'].dt.tz_localize('UTC').",
    ),
    "missing column": (frame().drop(columns="volume"), "column 'volume' is missing. Expected open, high, low, close, volume. Known: close, high, low, open."),
    "text": (frame(close="n/a"), "row 2: close is 'n/a'; expected a number."),
    "nan": (frame(high=np.nan), "bar 2 (2025-03-01T00:02:00Z): high is nan; a price must be a positive number."),
    "negative": (frame(low=-1.0), "bar 2 (2025-03-01T00:02:00Z): low is -1; a price must be a positive number."),
    "high below low": (frame(high=98.0), "bar 2 (2025-03-01T00:02:00Z): high 98 is below low 99."),
    "open outside": (frame(open=101.5), "bar 2 (2025-03-01T00:02:00Z): high 101 does not enclose open 101.5 and close 100."),
    "negative volume": (frame(volume=-1.0), "bar 2 (2025-03-01T00:02:00Z): volume is -1; it must be 0 or more."),
    "nan volume": (frame(volume=np.nan), "bar 2 (2025-03-01T00:02:00Z): volume is nan; it must be 0 or more."),
    "no rows": (frame().iloc[:0], "the table has no rows."),
    "one row": (frame().iloc[:1], "one bar does not tell its length. Pass interval='1m' or what it is."),
    "conflict": (
        pd.concat([frame(), frame(volume=9.0).iloc[2:3]]),
        "row 2 and row 4 are different bars of 2025-03-01T00:02:00Z: volume 5 and 9. Keep the right one.",
    ),
    "uneven": (
        frame().set_axis(frame().index + pd.to_timedelta([0, 0, 0, 7], unit="s")),
        "bars at 2025-03-01T00:02:00Z and 2025-03-01T00:03:07Z do not lie a multiple of 1m apart. Pass the right interval, or resample.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES)
def test_a_bad_frame_is_refused_with_the_fix(case: str) -> None:
    table, message = FRAMES[case]
    with pytest.raises(DataError) as caught:
        from_frame(table, "AUSDT")
    assert str(caught.value) == f"AUSDT: {message}"


def test_things_that_are_no_frames() -> None:
    for thing in (None, 5, [1, 2], "BTCUSDT", {}):
        with pytest.raises(DataError, match="^expected a DataFrame, a dict of columns, or a dict of symbol to one of these"):
            from_frame(thing)
    with pytest.raises(DataError, match="^AUSDT: expected a DataFrame or a dict of columns"):
        from_frame({"AUSDT": 5})
    with pytest.raises(DataError, match=r"tick_size and step_size must be positive numbers \(got -1\)"):
        from_frame(frame(), "AUSDT", tick_size=-1)
