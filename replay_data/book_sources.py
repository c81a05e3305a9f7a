"""Book sources: which of many files belong together as one recording of an order book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replay_data.book_store import book_label
from replay_data.recording import LINES, read_lines, read_recording, recording_files
from replay_data.stream import Stream
from replay_data.tape import SUFFIX, read_tape
from replay_data.ticks import claim, read_ticks

BESIDE = ("depth.parquet", "snapshot.json.gz", "bookTicker.parquet")
BESIDE_ENDS = ("-trades.csv.gz", "-bookTicker.csv.gz", "-markPrice1s.csv.gz", "-trades.csv", "-bookTicker.csv", "-markPrice1s.csv")


@dataclass(frozen=True)
class Source:
    """Files that are read together: a recording's folder, a file of lines, a tape, or the tick files of one symbol and day."""

    path: Path
    files: tuple[Path, ...]
    symbol: str = ""
    day: str = ""

    def __str__(self) -> str:
        return f"{self.symbol} {self.day}".strip() or self.path.name

    def read(self) -> list[Stream]:
        """Return the streams in the files; raises DataError for files that cannot be read at all."""
        if self.symbol:
            by_kind: dict[str, list[Path]] = {}
            for path in self.files:
                told = claim(path)
                if told is not None:
                    by_kind.setdefault(told[2], []).append(path)
            return [read_ticks(self.symbol, by_kind)]
        if self.path.is_dir():
            return read_recording(self.path, self.files)
        return [read_tape(self.path).stream()] if self.path.name.endswith(SUFFIX) else read_lines(self.path)

    def label(self, stream: Stream) -> str:
        return book_label(stream, self.day)


def gather(files: Sequence[Path]) -> tuple[list[Source], list[Path]]:
    """Return the sources of order books among the files, and the files that are none of them."""
    folders = {path.parent for path in files if path.name in (*LINES, "depth.parquet")}
    beside: dict[Path, list[Path]] = {}
    single: list[Source] = []
    ticks: dict[tuple[str, str], list[Path]] = {}
    rest: list[Path] = []
    for path in files:
        if path.parent in folders and (path.name in (*LINES, *BESIDE) or path.name.endswith(BESIDE_ENDS)):
            beside.setdefault(path.parent, []).append(path)
        elif path.name.endswith((".jsonl", ".jsonl.gz", SUFFIX)):
            single.append(Source(path, (path,)))
        elif (told := claim(path)) is not None:
            ticks.setdefault((told[0], told[1]), []).append(path)
        else:
            rest.append(path)
    sources = [Source(folder, _needed(folder, paths)) for folder, paths in sorted(beside.items())]
    sources += [Source(paths[0], tuple(paths), symbol, day) for (symbol, day), paths in sorted(ticks.items())]
    return sources + single, rest


def _needed(folder: Path, paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of a recording that are read: its lines alone where it has them."""
    lines, others = recording_files(folder, paths)
    return (lines,) if lines else tuple(others)
