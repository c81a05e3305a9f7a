"""The signing key: a local Ed25519 key pair, the private half in a file only its owner can read.

The public half lies beside it as NAME.pub and is what a verifier trusts. Its fingerprint is the first 16 hex digits of the sha256
of its 32 bytes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from replay_data.storage import write_atomic
from simcore.domain.errors import DataError

OWNER_ONLY = 0o600


def make_key(path: str | Path) -> str:
    """Write a new private key (PEM, readable by its owner alone) and PATH.pub; return the fingerprint.

    Raises DataError when the file is there already: a key is never overwritten.
    """
    where = Path(path)
    key = Ed25519PrivateKey.generate()
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise DataError(f"{where}: is there already, and a key is never overwritten. Name another file.") from None
    except OSError as trouble:
        raise DataError(f"{where}: cannot be written ({trouble.strerror}). Choose another place for the key.") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        stream.flush()
        os.fsync(stream.fileno())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_atomic(public_path(where), lambda stream: stream.write(public))
    return fingerprint(raw(key.public_key()))


def public_path(private: Path) -> Path:
    """Return where the public half of a key file lies."""
    return private.with_name(private.name + ".pub")


def raw(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(public: bytes) -> str:
    """Return the short name of a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def read(path: Path, what: str) -> bytes:
    """Return the bytes of a key file. Raises DataError when there is none."""
    try:
        return path.read_bytes()
    except OSError as trouble:
        reason = trouble.strerror or str(trouble)
        raise DataError(f"{path}: no {what} can be read there ({reason}). `simcore certificate key {path}` makes a pair.") from None


def load_private(path: str | Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file. Raises DataError when it is none, or when others may read it."""
    where = Path(path)
    content = read(where, "private key")
    if where.stat().st_mode & 0o077:
        raise DataError(f"{where}: others than its owner may read this private key. Run: chmod 600 {where}")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise DataError(f"{where}: is no Ed25519 private key in PEM form without a password. Name the file `simcore certificate key` made.")
    return key


def load_public(path: str | Path) -> bytes:
    """Return the 32 bytes of the public key of a PEM file. Raises DataError when it is none."""
    where = Path(path)
    try:
        key = load_pem_public_key(read(where, "public key"))
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise DataError(f"{where}: is no Ed25519 public key in PEM form. Name the .pub file that lies beside the private key.")
    return raw(key)


def sign(key: Ed25519PrivateKey, message: bytes) -> tuple[bytes, bytes]:
    """Return (public key, signature), 32 and 64 bytes."""
    return raw(key.public_key()), key.sign(message)


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is that of `message` by the owner of the public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
