"""Golden digests: whole replays of the embedded sample, whose every byte is agreed on.

A change of behaviour shows here first. When it is meant, `SIMCORE_GOLDEN=write pytest tests/golden` writes the new figures
beside this file; say in CHANGELOG what changed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replay_data.catalog import Catalog
from replay_data.feed import Feed
from replay_data.interval import from_iso
from replay_data.sample import sample_catalog
from simcore.config import Config, load_config
from simcore.domain.enums import LedgerKind
from simcore.replay import run_replay
from tests.worlds import six_config

EXPECTED = Path(__file__).with_name("expected.json")
CASES: dict[str, tuple[str, str, Callable[[], Config]]] = {
    "ten days of 1m bars, packaged config": ("2025-01-21", "1m", load_config),
    "ten days of 5m bars, everything trades": ("2025-02-11", "5m", six_config),
}


def window(end: str, interval: str) -> Feed:
    """Return ten days of two symbols of the sample, up to `end`."""
    end_ns = from_iso(end)
    return Catalog(sample_catalog()).feed(["SYNAUSDT", "SYNEUSDT"], end_ns - 10 * 86_400 * 10**9, end_ns, interval)


def figures(end: str, interval: str, config: Config) -> dict[str, Any]:
    """Return the agreed figures of one replay: the coarse ones first, so that a difference says where to look."""
    feed = window(end, interval)
    run = run_replay(feed, config)
    kinds = Counter(LedgerKind(int(kind)).name for kind in run.ledger["kind"])
    return {
        "data": feed.content_hash,
        "config": run.config_hash,
        "events": int(run.totals["events"]),
        "rows": dict(sorted(kinds.items())),
        "trades": len(run.trades),
        "wallet_e8": int(run.account["wallet_e8"]),
        "digest": run.digest,
    }


@pytest.mark.parametrize("case", CASES)
def test_a_replay_of_the_sample_is_what_was_agreed_on(case: str) -> None:
    end, interval, config = CASES[case]
    found = figures(end, interval, config())
    agreed = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    if os.environ.get("SIMCORE_GOLDEN") == "write":
        EXPECTED.write_text(json.dumps({**agreed, case: found}, indent=2, sort_keys=False) + "\n", encoding="utf-8")
        return
    assert case in agreed, "no golden figures: SIMCORE_GOLDEN=write pytest tests/golden"
    for name, value in agreed[case].items():
        assert found[name] == value, f"{name} changed; when that is meant: SIMCORE_GOLDEN=write pytest tests/golden"
