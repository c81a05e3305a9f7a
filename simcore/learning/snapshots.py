"""Snapshots: the policies in force (`v6_policies.json`) and every one there ever was (`v6_policies.history.jsonl`).

The history is only ever appended to, and knows two times of each entry: from when it was to hold (`valid_from_ns`) and when it was
written down (`recorded_ns`). `as_of(t)` returns the policy as it stood at t: what was to hold then and had been written by then.
A correction written in June about March is seen by whoever asks with June's knowledge, and by no replay of March.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replay_data.storage import one_writer, write_atomic
from simcore.domain.errors import DataError
from simcore.learning.expectancy import hash_of, read_object
from simcore.learning.refresh import Policies

VERSION = 1
CURRENT = "v6_policies.json"
HISTORY = "v6_policies.history.jsonl"


@dataclass(frozen=True)
class Entry:
    """One line of the history: when it was to hold, when it was written, and the policies as plain values."""

    valid_from_ns: int
    recorded_ns: int
    policies: dict[str, Any]

    def line(self) -> bytes:
        """Return the entry as one line of JSON that carries its own hash."""
        content = {"valid_from_ns": self.valid_from_ns, "recorded_ns": self.recorded_ns, "policies": self.policies}
        return (json.dumps({**content, "hash": hash_of(content)}, allow_nan=False) + "\n").encode()


class PolicyHistory:
    """Policies over time, oldest line first. `torn` says that the file ended in an unfinished line, which was left out."""

    def __init__(self, entries: tuple[Entry, ...] = (), *, torn: bool = False) -> None:
        self.entries = entries
        self.torn = torn

    def __len__(self) -> int:
        return len(self.entries)

    def with_entry(self, policies: Policies, recorded_ns: int | None = None) -> PolicyHistory:
        """Return the history with one more entry. Raises DataError for policies that know what came after they were to hold."""
        return PolicyHistory((*self.entries, entry_of(policies, recorded_ns)), torn=self.torn)

    def as_of(self, valid_ns: int, known_ns: int | None = None) -> Policies | None:
        """Return the policies that held at `valid_ns` by what was written at `known_ns` (default: the same moment), or None.

        Of several that were to hold from the same moment on, the one written last counts.
        """
        known = valid_ns if known_ns is None else known_ns
        places = enumerate(self.entries)
        held = [(each.valid_from_ns, at) for at, each in places if each.valid_from_ns <= valid_ns and each.recorded_ns <= known]
        return Policies.from_dict(self.entries[max(held)[1]].policies) if held else None

    def next_change_ns(self, after_ns: int) -> int | None:
        """Return the first moment after `after_ns` at which another policy may come into force, None when there is none."""
        moments = [max(each.valid_from_ns, each.recorded_ns) for each in self.entries]
        return min((each for each in moments if each > after_ns), default=None)

    # ------------------------------------------------------------ files

    @classmethod
    def load(cls, folder: str | Path) -> PolicyHistory:
        """Read the history of a folder. Raises DataError when a line other than an unfinished last one is damaged."""
        path = Path(folder) / HISTORY
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"{path}: no such file. A replay with learning switched on writes one with its run folder.") from None
        except OSError as trouble:
            raise DataError(f"{path}: cannot be read ({trouble.strerror}).") from None
        lines = raw.split(b"\n")
        unfinished = lines.pop()
        entries = tuple(read_line(line, at + 1, path) for at, line in enumerate(lines))
        return cls(entries, torn=bool(unfinished))

    def save(self, folder: str | Path) -> None:
        """Write history and current policies into a folder, each whole or not at all, in place of what was there."""
        where = Path(folder)
        write_atomic(where / HISTORY, lambda stream: stream.writelines(each.line() for each in self.entries))
        if self.entries:
            write_current(where, Policies.from_dict(self.entries[-1].policies))


def entry_of(policies: Policies, recorded_ns: int | None = None) -> Entry:
    """Return the history's entry of policies, written down at `recorded_ns` (default: when they came into force)."""
    valid = policies.valid_from_ns
    if policies.learned_to_ns > valid:
        raise DataError(
            f"policies of version {policies.version}: learned_to_ns {policies.learned_to_ns} is after valid_from_ns {valid}: they would "
            "know the future of the time they are to hold. Let them hold from later on."
        )
    return Entry(valid, valid if recorded_ns is None else recorded_ns, policies.as_dict())


def append_policies(folder: str | Path, policies: Policies, recorded_ns: int | None = None) -> None:
    """Append policies to a folder's history and make them the current ones; one writer at a time.

    The line is on the disk before the current file changes. An unfinished line that a crash left behind is cut off first.
    """
    where = Path(folder)
    entry = entry_of(policies, recorded_ns)
    with one_writer(where):
        path = where / HISTORY
        try:
            with open(path, "ab+") as stream:
                stream.seek(0)
                whole = stream.read()
                stream.truncate(whole.rfind(b"\n") + 1)
                stream.seek(0, os.SEEK_END)
                stream.write(entry.line())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as trouble:
            raise DataError(f"{path}: not written ({trouble.strerror}). Free some space, then try again.") from trouble
        write_current(where, policies)


def write_current(folder: Path, policies: Policies) -> None:
    """Write the current policies, whole or not at all."""
    plain = policies.as_dict()
    content = {"format": "simcore policies", "version": VERSION, "hash": hash_of(plain), "policies": plain}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomic(folder / CURRENT, lambda stream: stream.write(text.encode()))


def load_current(folder: str | Path) -> Policies:
    """Read the current policies of a folder. Raises DataError naming what is wrong with the file."""
    where = Path(folder) / CURRENT
    content = read_object(where, "A refresh writes one.")
    plain = content.get("policies")
    if content.get("format") != "simcore policies" or content.get("version") != VERSION:
        raise DataError(f"{where}: is no policy file of version {VERSION}. Let a refresh write it anew.")
    if content.get("hash") != hash_of(plain):
        raise DataError(f"{where}: its content does not match its hash: it was cut or edited. Let a refresh write it anew.")
    return Policies.from_dict(content["policies"])


def read_line(line: bytes, number: int, path: Path) -> Entry:
    """Return the entry of one line of a history."""
    try:
        content = json.loads(line)
        promised = content.pop("hash")
        entry = Entry(**content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{path}: line {number} is no entry. Restore the file, or cut it off before that line.") from None
    if promised != hash_of(content):
        raise DataError(f"{path}: line {number} does not match its hash: it was edited. Restore the file, or cut it off before that line.")
    return entry
