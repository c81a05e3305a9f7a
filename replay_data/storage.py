"""Stored files: written whole or not at all, by one writer at a time.

A file is written under a temporary name in its own folder, flushed to the disk and renamed, so a reader sees the old file
or the new one and a full disk leaves the old one standing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from simcore.domain.errors import DataError


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file through `write(stream)`, then put it in place of `path` in one step.

    Raises DataError when the disk is full or the folder not writable; `path` is then what it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as trouble:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        reason = trouble.strerror or str(trouble)
        raise DataError(
            f"{path}: not written ({reason}); what was there is unchanged. Free some space, then try again."
        ) from trouble
    try:
        sync_folder(path.parent)
    except OSError as trouble:
        reason = trouble.strerror or str(trouble)
        raise DataError(f"{path}: written, but the disk did not confirm it ({reason}). Import again to be sure.") from trouble


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def one_writer(root: Path) -> Iterator[None]:
    """Hold the writer's lock of a folder; a second writer is refused at once. Readers need no lock."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = open(root / "writer.lock", "a+")  # noqa: SIM115 - closed below, after the lock
    except OSError as trouble:
        raise DataError(f"{root}: not writable ({trouble.strerror}). Choose another folder for the catalog.") from None
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise DataError(f"{root}: another import is writing here (process {holder}). Wait for it to end.") from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
    finally:
        stream.close()
