"""Unpacked files: the bytes inside a zip, gzip or plain file from outside, or the reason why they are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO

from simcore.domain.errors import DataError

# The most a market data file may grow to, and how much more than its packed size: a real month packs about tenfold.
MAX_BYTES = 2 << 30
MAX_RATIO = 500
SMALL = 1 << 20


def read_bytes(path: Path) -> bytes:
    """Return the content of a plain, .gz or single-member .zip file; check the `.CHECKSUM` beside it where there is one.

    Raises DataError for a file that is missing, empty, truncated or corrupt, for archives with several members or with
    names that point outside, and for content that grows beyond reason.
    """
    try:
        packed = path.read_bytes()
    except OSError as trouble:
        raise DataError(f"{path}: not readable ({trouble.strerror}).") from None
    if not packed:
        raise DataError(f"{path}: the file is empty. Download it again.")
    check_sum(path, packed)
    name = path.name.lower()
    if name.endswith(".zip"):
        return _unzip(path, packed)
    if name.endswith(".gz"):
        return _gunzip(path, packed)
    return packed


def check_sum(path: Path, packed: bytes) -> None:
    """Compare with NAME.CHECKSUM, as the public archive writes it: the sha256, blanks, the name."""
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.is_file():
        return
    words = beside.read_text(encoding="utf-8", errors="replace").split()
    found = hashlib.sha256(packed).hexdigest()
    if not words or words[0].lower() != found:
        raise DataError(
            f"{path}: sha256 is {found[:12]}…, {beside.name} says {words[0][:12] if words else 'nothing'}…. Download again."
        )


def _limit(packed: int) -> int:
    return min(MAX_BYTES, max(SMALL, packed * MAX_RATIO))


def _unzip(path: Path, packed: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check_members(path, members, len(packed))
            with archive.open(members[0]) as stream:
                return _bounded(path, stream, _limit(len(packed)))
    except zipfile.BadZipFile as trouble:
        if "CRC" in str(trouble):
            raise DataError(f"{path}: wrong CRC: the content does not match its checksum. Download it again.") from None
        raise DataError(f"{path}: not a complete zip file ({trouble}). Download it again.") from None
    except (EOFError, zlib.error, OSError, ValueError, IndexError, OverflowError) as trouble:
        raise DataError(f"{path}: the zip file is damaged ({trouble or type(trouble).__name__}). Download it again.") from None
    except (NotImplementedError, RuntimeError) as trouble:
        raise DataError(f"{path}: the zip file needs what is not read here ({trouble}). Unpack and pack it plainly.") from None


def _check_members(path: Path, members: list[zipfile.ZipInfo], packed: int) -> None:
    if len(members) != 1:
        names = ", ".join(info.filename for info in members[:3])
        raise DataError(f"{path}: {len(members)} files inside ({names}); expected exactly one. Unpack it and import the folder.")
    name = members[0].filename
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise DataError(f"{path}: the file inside is named {name!r}, which points outside. Not opened.")
    if members[0].file_size > _limit(packed):
        raise DataError(
            f"{path}: {members[0].file_size:,} bytes packed into {packed:,}: more than {MAX_RATIO} times. Not opened."
        )


def _gunzip(path: Path, packed: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            return _bounded(path, stream, _limit(len(packed)))
    except EOFError:
        raise DataError(f"{path}: the gzip file ends too early. Download it again.") from None
    except (OSError, zlib.error) as trouble:
        raise DataError(f"{path}: the gzip file is damaged ({trouble}). Download it again.") from None


def _bounded(path: Path, stream: IO[bytes] | gzip.GzipFile, limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"{path}: grows beyond {limit:,} bytes when unpacked, more than {MAX_RATIO} times. Not opened.")
    if not data:
        raise DataError(f"{path}: the file is empty. Download it again.")
    return data
