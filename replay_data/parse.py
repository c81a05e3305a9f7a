"""Parsed tables: the wanted number columns of CSV text or a Parquet file, with the place of whatever is wrong in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simcore.domain.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Layout:
    """What a kind of file holds: its whole-number and fractional columns, and the orders a headerless file may have."""

    whole: tuple[str, ...]
    fractional: tuple[str, ...]
    headerless: tuple[tuple[str, ...], ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        return self.whole + self.fractional


@dataclass(frozen=True)
class Parsed:
    """Columns of equal length, and how to name the place of a row: `row 17` is the 17th line of the file."""

    path: Path
    columns: Mapping[str, npt.NDArray[Any]]
    text: str | None = None
    header: bool = False

    def place(self, row: int) -> str:
        """Return what a person needs to find a row: its line in a text file, its index in a Parquet file."""
        if self.text is None:
            return f"row {row}"
        lines = _data_lines(self.text, self.header)
        return next((f"row {line}" for at, (line, _fields) in enumerate(lines) if at == row), f"row {row}")


def _data_lines(text: str, header: bool) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    seen_header = not header
    for fields in reader:
        if fields and not seen_header:
            seen_header = True
        elif fields:
            yield reader.line_num, fields


def parse_csv(path: Path, data: bytes, layout: Layout) -> Parsed:
    """Return the wanted columns of CSV text, with or without a header; raise DataError naming row, column and value."""
    text = data.decode("utf-8-sig", "replace").replace("\x00", "\ufffd")
    try:
        first = next((line for line in text.splitlines() if line.strip()), "")
        fields = next(csv.reader([first]), [])
        names, header = _names(path, [field.strip() for field in fields], layout)
        columns = _fast(text, names, header, layout)
        if columns is None:
            columns = _slow(path, text, names, header, layout)
    except csv.Error as trouble:
        raise DataError(f"{path}: not readable as CSV ({trouble}).") from None
    if not next(iter(columns.values())).size:
        raise DataError(f"{path}: no rows below the header. Download it again.")
    return Parsed(path, columns, text, header)


def _names(path: Path, fields: Sequence[str], layout: Layout) -> tuple[list[str], bool]:
    """Return the column names and whether the first line holds them."""
    if not fields:
        raise DataError(f"{path}: the file has no rows. Download it again.")
    if fields[0][:1].isdigit():
        known = next((names for names in layout.headerless if len(names) == len(fields)), None)
        if known is None:
            sizes = " or ".join(str(len(names)) for names in layout.headerless)
            raise DataError(
                f"{path}: row 1: {len(fields)} columns without a header; expected {sizes}: {', '.join(layout.wanted)}."
            )
        return list(known), False
    names = [field.lower().replace(" ", "_") for field in fields]
    missing = [name for name in layout.wanted if name not in names]
    if missing:
        hint = did_you_mean(missing[0], names)
        raise DataError(f"{path}: row 1: column {missing[0]!r} is missing. Expected {', '.join(layout.wanted)}. {hint}")
    double = [name for name in layout.wanted if names.count(name) > 1]
    if double:
        raise DataError(f"{path}: row 1: column {double[0]!r} appears twice.")
    return names, True


def _fast(text: str, names: Sequence[str], header: bool, layout: Layout) -> dict[str, npt.NDArray[Any]] | None:
    """Return the columns as pyarrow reads them, or None where it will not."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    unique = [name if names.count(name) == 1 else f"{at}:{name}" for at, name in enumerate(names)]
    types = {name: pa.int64() for name in layout.whole} | {name: pa.float64() for name in layout.fractional}
    body = text.lstrip("\r\n \t")
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(body.encode()),
            read_options=arrow_csv.ReadOptions(column_names=unique, skip_rows=int(header), use_threads=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(layout.wanted), null_values=[], strings_can_be_null=False
            ),
        )
        return {name: table[name].to_numpy() for name in layout.wanted}
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError):
        return None


def _slow(path: Path, text: str, names: Sequence[str], header: bool, layout: Layout) -> dict[str, npt.NDArray[Any]]:
    """Read row by row: slower, but it can say which row, column and value is wrong."""
    at = {name: names.index(name) for name in layout.wanted}
    rows: list[list[Any]] = []
    for line, fields in _data_lines(text, header):
        if len(fields) != len(names):
            raise DataError(f"{path}: row {line}: {len(fields)} columns; expected {len(names)}. Is the file cut off?")
        row: list[Any] = [_whole(path, line, name, fields[at[name]]) for name in layout.whole]
        row += [_fractional(path, line, name, fields[at[name]]) for name in layout.fractional]
        rows.append(row)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(layout.wanted)
    kinds = [np.int64] * len(layout.whole) + [np.float64] * len(layout.fractional)
    named = zip(layout.wanted, columns, kinds, strict=True)
    return {name: np.array(column, kind) for name, column, kind in named}


def _whole(path: Path, line: int, name: str, text: str) -> int:
    digits = text.strip(" \t").removeprefix("-")  # other blanks that strip() takes, int() does not
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise DataError(f"{path}: row {line}: {name} is {text[:40]!r}; expected a whole number.")
    return int(text)


def _fractional(path: Path, line: int, name: str, text: str) -> float:
    # Python reads 1_000 as a number; archives never write it.
    try:
        return float(text.replace("_", "?"))
    except ValueError:
        raise DataError(f"{path}: row {line}: {name} is {text[:40]!r}; expected a number.") from None


def parse_parquet(path: Path, data: bytes, layout: Layout) -> Parsed:
    """Return the wanted columns of a Parquet file; raise DataError for damage, another schema, or missing values."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        present = file.schema_arrow.names
        missing = [name for name in layout.wanted if name not in present]
        if missing:
            hint = did_you_mean(missing[0], present)
            raise DataError(f"{path}: column {missing[0]!r} is missing. Expected {', '.join(layout.wanted)}. {hint}")
        table = file.read(columns=list(layout.wanted), use_threads=False)
        columns = {name: _arrow_column(path, name, table[name], name in layout.whole) for name in layout.wanted}
    except (pa.ArrowException, OSError, ValueError, MemoryError) as trouble:
        reason = str(trouble).splitlines()[0][:120] if str(trouble) else type(trouble).__name__
        raise DataError(f"{path}: not a readable Parquet file ({reason}). Download it again.") from None
    if not next(iter(columns.values())).size:
        raise DataError(f"{path}: the file has no rows. Download it again.")
    return Parsed(path, columns)


def _arrow_column(path: Path, name: str, column: Any, whole: bool) -> npt.NDArray[Any]:
    import pyarrow as pa

    if column.null_count:
        row = next(at for at, value in enumerate(column) if not value.is_valid)
        raise DataError(f"{path}: row {row}: {name} is empty; expected a number.")
    kind = column.type
    if whole and pa.types.is_timestamp(kind):
        if kind.tz is None or kind.tz == "UTC":
            return np.asarray(column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).to_numpy())
    elif whole and pa.types.is_integer(kind):
        return np.asarray(column.to_numpy(), np.int64)
    elif not whole and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return np.asarray(column.to_numpy(), np.float64)
    wanted = "whole numbers or UTC times" if whole else "numbers"
    raise DataError(f"{path}: column {name!r} holds {kind}; expected {wanted}.")
