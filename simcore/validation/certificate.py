"""The promotion certificate: what was validated, on what, with which figures, until when; signed, and checked against what is there.

A file of JSON: `content`, the sha256 of its canonical form, and an Ed25519 signature over that hash. `verify` reads source, config,
policies, strategies and data anew and says in words what is not what it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replay_data.interval import iso
from replay_data.storage import write_atomic
from simcore.domain.errors import DataError
from simcore.validation.standing import Mismatch, Parts, differences, hash_of, hashes_of

if TYPE_CHECKING:
    from simcore.config.validation import CertificateRules

FORMAT = "simcore certificate"
VERSION = 1
DAY_NS = 86_400_000_000_000
FIELDS = ("content", "content_hash", "public_key", "signature")
TAKEN_OVER = ("study", "symbols", "strategies", "judged", "seed", "asked", "windows", "folds", "evidence", "stress_bps_a_day",
              "capacity_usd", "efficiency", "verdict", "bands", "caveats")  # fmt: skip


def content_of(validation: Mapping[str, Any], rules: CertificateRules, now_ns: int) -> dict[str, Any]:
    """Return what a certificate says, from a validation's JSON (`standing` included). Raises DataError when it was refused."""
    verdict = validation["verdict"]
    if not verdict["passed"]:
        failed = [row["criterion"] for row in verdict["criteria"] if row["refuses"] and not row["passed"]]
        raise DataError(f"{validation['study']}: no certificate: the validation is refused by {', '.join(failed)}.")
    expires = now_ns + round(rules.expires_days * DAY_NS)
    return {
        "format": FORMAT,
        "version": VERSION,
        "issued": iso(now_ns),
        "issued_ns": now_ns,
        "expires": iso(expires),
        "expires_ns": expires,
        "figures": validation["policies"][validation["judged"]],
        **{key: validation[key] for key in TAKEN_OVER},
        "hashes": hashes_of(validation["standing"]),
        "standing": validation["standing"],
    }


def issue(path: str | Path, content: Mapping[str, Any], key_path: str | Path) -> str:
    """Sign a certificate's content and write it, whole or not at all; return its content hash."""
    from simcore.validation.signing import load_private, sign

    digest = hash_of(content)
    public, signature = sign(load_private(key_path), digest.encode())
    whole = {"content": content, "content_hash": digest, "public_key": public.hex(), "signature": signature.hex()}
    write_atomic(Path(path), lambda stream: stream.write(render(whole)))
    return digest


def render(whole: Mapping[str, Any]) -> bytes:
    """Return the bytes of a certificate file: one form only, so that no character of it is free."""
    return (json.dumps(whole, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_certificate(path: str | Path) -> dict[str, Any]:
    """Return the JSON object of a certificate file, not yet verified. Raises DataError when it is none."""
    where = Path(path)
    try:
        whole = json.loads(where.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{where}: no such file. `simcore promote` writes one.") from None
    except (OSError, ValueError, RecursionError) as trouble:
        raise DataError(f"{where}: cannot be read as JSON ({trouble}). It was cut or edited: restore it.") from None
    if not isinstance(whole, dict) or sorted(whole) != sorted(FIELDS) or not isinstance(whole["content"], dict):
        raise DataError(f"{where}: is no certificate: it must hold {', '.join(FIELDS)}.")
    if (whole["content"].get("format"), whole["content"].get("version")) != (FORMAT, VERSION):
        raise DataError(f"{where}: is no certificate of version {VERSION}. Promote again with this version of simcore.")
    return whole


def check_file(path: str | Path, whole: Mapping[str, Any], trusted: Sequence[bytes], now_ns: int) -> list[Mismatch]:
    """Return what is wrong with the certificate itself: edited, not signed by a trusted key (32 bytes each), or expired."""
    from simcore.validation.signing import fingerprint, signed_by

    where, content, found = Path(path), whole["content"], []
    digest = hash_of(content)
    if digest != whole["content_hash"]:
        found.append(Mismatch("file", f"{where}: its content was changed after it was signed: the content hash does not fit. Restore it."))
    elif render(whole) != where.read_bytes():
        found.append(Mismatch("file", f"{where}: its letters were changed, though not what it says. Restore the file as it was written."))
    try:
        public, signature = bytes.fromhex(whole["public_key"]), bytes.fromhex(whole["signature"])
    except (ValueError, TypeError):
        public, signature = b"", b""
    if public not in trusted:
        known = ", ".join(fingerprint(each) for each in trusted) or "none"
        found.append(Mismatch("key", f"it is signed by the key {fingerprint(public)}, which is not trusted here (trusted: {known})."))
    if not signed_by(public, signature, str(whole["content_hash"]).encode()):
        found.append(Mismatch("signature", f"{where}: the signature is not that of its key over this content. Do not use it."))
    if now_ns >= content["expires_ns"]:
        found.append(Mismatch("expired", f"it expired on {content['expires']}; now it is {iso(now_ns)}. Validate and promote again."))
    if now_ns < content["issued_ns"]:
        found.append(Mismatch("clock", f"it was issued on {content['issued']}, after now, {iso(now_ns)}. Set the clock."))
    return found


def verify(path: str | Path, parts: Parts, trusted: Sequence[bytes], now_ns: int) -> list[Mismatch]:
    """Return everything in which the certificate, or what it stands on, is not as certified; nothing: it holds.

    parts: of `standing`, from what is there now. trusted: public keys (32 bytes each). now_ns: the time to hold it against.
    Raises DataError when the file is no certificate at all.
    """
    whole = read_certificate(path)
    found = check_file(path, whole, trusted, now_ns)
    if any(each.kind == "file" for each in found):
        return found  # what an edited file says of the parts is worth nothing
    return [*found, *differences(whole["content"]["standing"], parts)]
