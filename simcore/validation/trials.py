"""The trial ledger: one line for every run that was ever scored, so that luck can be counted.

A file of JSON lines that is only appended to. Each line holds a trial, the checksum of the line it was written after, and its
own checksum: a changed, removed or reordered line is found (removed last lines are not: keep `Trials.head` elsewhere). Lines
are on the disk when `append_trials` returns; a process that dies while writing leaves a cut line, which the next writer marks
and every reader reports and passes over. Writers wait for one another, in threads and in processes of one machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from replay_data.storage import sync_folder
from simcore.domain.errors import DataError, did_you_mean

BEGIN = b'{"trial":{'
END = re.compile(rb',"after":"([0-9a-f]{32}|)","checksum":"([0-9a-f]{32})"}')
END_BYTES = len(b',"after":"","checksum":""}') + 64
CUT = b"#cut"
TAIL_BYTES = 1 << 16


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scored run: what was run, on what, and how it came out. Times are nanoseconds UTC, ends exclusive.

    study: the question this run belongs to, such as "ema_cross on the 18 symbols". kind: what scored it, such as "validate",
    "sweep", "search". sharpe: per period of `period_s` seconds, None where it is not determined. metrics: anything else worth
    keeping; NaN becomes None. policy_hash: of the learned policies in force, "" without any.
    """

    recorded_ns: int
    study: str
    kind: str
    source_hash: str
    config_hash: str
    strategy_hash: str
    data_hash: str
    fill_model_hash: str
    policy_hash: str = ""
    strategies: tuple[str, ...]
    params: dict[str, dict[str, float]]
    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    seed: int
    period_s: int
    n_periods: int
    sharpe: float | None
    metrics: dict[str, float | None] = {}


IDENTITY = ("strategy_hash", "config_hash", "policy_hash", "strategies", "params")


@dataclass(frozen=True)
class Trials:
    """The trials of a ledger in the order they were written.

    problems: one sentence a cut line, with file and line. head: the checksum of the last line ("" of an empty ledger): kept
    elsewhere, it shows that no line was removed since.
    """

    path: Path
    rows: tuple[Trial, ...]
    problems: tuple[str, ...]
    head: str

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.rows)

    def where(self, **wanted: Any) -> Trials:
        """Return the trials whose fields equal `wanted`: `where(study="ema_cross", period_s=86_400)`."""
        _known_fields(wanted)
        rows = tuple(row for row in self.rows if all(getattr(row, key) == value for key, value in wanted.items()))
        return replace(self, rows=rows)

    def distinct(self, by: Sequence[str] = IDENTITY) -> tuple[Trial, ...]:
        """Return the last run of each trial that differs in `by`: by default, in what could have been chosen.

        The same strategy, config, policy and parameters on another window or seed are one trial, scored twice.
        """
        _known_fields(by)
        found = {msgspec.json.encode([getattr(row, key) for key in by], order="deterministic"): row for row in self.rows}
        return tuple(found.values())

    def count(self, by: Sequence[str] = IDENTITY) -> int:
        """Return the number of distinct trials."""
        return len(self.distinct(by))

    def sharpes(self, by: Sequence[str] = IDENTITY) -> np.ndarray:
        """Return the per-period Sharpe ratio of each distinct trial that has one.

        Raises DataError when they are of different periods: choose one with `where(period_s=...)`.
        """
        scored = [row for row in self.distinct(by) if row.sharpe is not None]
        periods = sorted({row.period_s for row in scored})
        if len(periods) > 1:
            raise DataError(f"{self.path}: Sharpe ratios per {', '.join(map(str, periods))} s cannot be mixed. Use where(period_s=...).")
        return np.array([row.sharpe for row in scored], dtype=np.float64)

    def sharpe_variance(self, by: Sequence[str] = IDENTITY) -> float:
        """Return the variance (ddof 1) of the trials' Sharpe ratios, as `deflated_sharpe` asks for it; NaN below two."""
        values = self.sharpes(by)
        return float(values.var(ddof=1)) if len(values) > 1 else math.nan


def _known_fields(names: Iterable[str]) -> None:
    for name in names:
        if name not in Trial.__struct_fields__:
            raise DataError(f"a trial has no field '{name}'. {did_you_mean(name, Trial.__struct_fields__)}")


# ---------------------------------------------------------------- lines


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _line(trial: Trial, after: str) -> tuple[bytes, str]:
    """Return the line of a trial without its line end, and its checksum."""
    body = b'{"trial":' + msgspec.json.encode(trial)
    try:
        msgspec.json.decode(body + b"}", type=dict[str, Trial])
    except msgspec.ValidationError as trouble:
        raise DataError(f"this trial cannot be kept: {trouble}. It is {trial!r:.300}") from None
    content = body + f',"after":"{after}"'.encode()
    checksum = _checksum(content)
    return content + f',"checksum":"{checksum}"}}'.encode(), checksum


def _ends_of(line: bytes) -> tuple[str, str] | None:
    """Return (after, checksum) of a line that is whole, None of any other."""
    found = END.search(line, max(0, len(line) - END_BYTES))
    if not line.startswith(BEGIN) or found is None or found.end() != len(line):
        return None
    after, checksum = found[1].decode(), found[2].decode()
    return (after, checksum) if _checksum(line[: found.start(2) - len(b',"checksum":"')]) == checksum else None


# ---------------------------------------------------------------- writing


def append_trials(path: str | Path, trials: Iterable[Trial]) -> str:
    """Write trials at the end of a ledger, flushed to the disk, and return the new head. A missing file is made.

    All or none: what could not be written whole is taken back. Raises DataError when the file is no trial ledger, a trial holds
    what a line cannot, or the disk is full; the ledger is then what it was.
    """
    path, trials = Path(path), list(trials)
    with _locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, fcntl.LOCK_EX) as handle:
        size = os.fstat(handle).st_size
        head, seal = _end_of_ledger(handle, size, path)
        lines = []
        for trial in trials:
            line, head = _line(trial, head)
            lines.append(line + b"\n")
        try:
            _write(handle, seal + b"".join(lines))
            os.fsync(handle)
            if size == 0:
                sync_folder(path.parent)
        except OSError as trouble:
            os.ftruncate(handle, size)
            reason = trouble.strerror or str(trouble)
            raise DataError(f"{path}: {len(trials)} trials not written ({reason}). Free some space, then run again.") from trouble
    return head


@contextmanager
def _locked(path: Path, flags: int, lock: int) -> Iterator[int]:
    try:
        if flags & os.O_CREAT:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as trouble:
        raise DataError(f"{path}: cannot be opened ({trouble.strerror}). Choose another place for the trial ledger.") from None
    try:
        fcntl.flock(handle, lock)
        yield handle
    finally:
        os.close(handle)


def _write(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _end_of_ledger(handle: int, size: int, path: Path) -> tuple[str, bytes]:
    """Return the checksum of the last whole line, and what must be written first to end a line that was cut."""
    length = TAIL_BYTES
    while True:
        begin = max(0, size - length)
        lines = os.pread(handle, size - begin, begin).split(b"\n")
        last_whole = next((ends for line in reversed(lines) if (ends := _ends_of(line))), None)
        if last_whole or begin == 0:
            break
        length *= 8
    if last_whole is None and any(line and not _may_be_ours(line) for line in lines):
        raise DataError(f"{path}: is not a trial ledger. Name another file; a missing one is made.")
    cut = lines[-1]
    seal = b"" if not cut else (b"\n" if _ends_of(cut) else CUT + b"\n")
    return (last_whole[1] if last_whole else ""), seal


def _may_be_ours(line: bytes) -> bool:
    """Say whether a line that is not whole can be the beginning of one, or what a power cut leaves of it."""
    start = line.removesuffix(CUT).strip(b"\0")
    return start.startswith(BEGIN) or BEGIN.startswith(start)


# ---------------------------------------------------------------- reading


def read_trials(path: str | Path) -> Trials:
    """Return the trials of a ledger; cut lines are passed over and named in `problems`. A missing file holds no trials.

    Raises DataError naming file and line when a line was changed, or lines were removed or put in another order.
    """
    path = Path(path)
    if not path.exists():
        return Trials(path, (), (), "")
    with _locked(path, os.O_RDONLY, fcntl.LOCK_SH) as handle, open(handle, "rb", closefd=False) as stream:
        lines = stream.read().split(b"\n")
    unfinished = len(lines)
    rows: list[Trial] = []
    problems: list[str] = []
    head = ""
    for number, line in enumerate(lines, 1):
        ends = _ends_of(line)
        if ends is None:
            if line.endswith(CUT) or (number == unfinished and line):
                size = len(line.removesuffix(CUT))
                problems.append(f"{path}: line {number}: was cut after {size} bytes when its writer died, and is passed over")
            elif line or number < unfinished:
                raise DataError(f"{path}: line {number}: is not what was written: its checksum does not fit. Restore the file from a copy.")
            continue
        after, checksum = ends
        if after != head:
            raise DataError(
                f"{path}: line {number}: was written after another line than the one before it: "
                "lines were removed or put in another order. Restore the file from a copy."
            )
        rows.append(_trial_of(line, path, number))
        head = checksum
    return Trials(path, tuple(rows), tuple(problems), head)


class _Line(msgspec.Struct):
    trial: Trial


def _trial_of(line: bytes, path: Path, number: int) -> Trial:
    try:
        return msgspec.json.decode(line, type=_Line).trial
    except msgspec.DecodeError as trouble:
        raise DataError(f"{path}: line {number}: was written by another version: {trouble}. Read it with that version.") from None
