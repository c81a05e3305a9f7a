"""The fingerprint of what a result stands on: the code that decides and simulates, the strategies, the fill model.

Config and data have hashes of their own: `Config.hash`, `Feed.content_hash`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.config import Config

PACKAGE = Path(__file__).resolve().parents[1]
SHOWN_ONLY = ("cli", "report", "validation", "api.py", "__main__.py")  # what tells and judges decides no order


def deciding_files(package: Path = PACKAGE) -> list[Path]:
    """Return every source file that can change a decision or a fill: simcore without what only tells, and replay_data."""
    own = (path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in SHOWN_ONLY)
    return sorted([*own, *(package.parent / "replay_data").rglob("*.py")])


def source_hash(package: Path = PACKAGE) -> str:
    """Return the sha256 over names and bytes of `deciding_files`: one character changed, another hash."""
    digest = hashlib.sha256()
    for path in deciding_files(package):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package.parent).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def strategies_hash(sources: Mapping[str, str]) -> str:
    """Return the sha256 over strategies given as {name: hash of its sources}; their order does not count."""
    return _hash_of(sorted(sources.items()))


def enabled_strategies_hash(config: Config) -> str:
    """Return the sha256 over the sources of the strategies that `config` runs."""
    from simcore.strategy import load_strategy

    search = [config.folder.parent]
    return strategies_hash({e.name: load_strategy(e.module, e.name, search).source_hash for e in config.enabled_strategies})


def fill_model_hash(config: Config) -> str:
    """Return the sha256 over the settings of the simulated venue and its fees; its code is part of `source_hash`."""
    files = config.canonical()
    models = {key: value for key, value in files["settings"].items() if key.endswith("_model")}
    return _hash_of([_without_notes(models), _without_notes(files["assets"])])


def _without_notes(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_notes(part) for key, part in value.items() if key != "note"}
    return [_without_notes(part) for part in value] if isinstance(value, list) else value


def _hash_of(value: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
