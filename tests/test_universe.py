"""Which symbols may be traded, as of a day."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simcore.config import load_config
from simcore.config.resolve import default_folder
from simcore.decision.universe import resolve_universe


def ns(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def listings(tmp_path: Path):
    """Build a configuration whose universe is `symbols`; everything else is the packaged one."""

    def build(symbols: dict, unlisted: bool = False):
        folder = tmp_path / "config"
        shutil.copytree(default_folder(), folder)
        pairs = json.loads((folder / "pairs_universe.json").read_text())
        pairs["symbols"] = symbols
        (folder / "pairs_universe.json").write_text(json.dumps(pairs))
        limits = json.loads((folder / "risk_limits.json").read_text())
        limits["per_symbol"] = {}
        (folder / "risk_limits.json").write_text(json.dumps(limits))
        settings = json.loads((folder / "settings.json").read_text())
        settings["allow_unlisted_symbols"] = unlisted
        (folder / "settings.json").write_text(json.dumps(settings))
        return load_config(folder)

    return build


def listing(tier: str, start: str, end: str | None = None, **caps: float) -> dict:
    return {"tier": tier, "quote_asset": "USDT", "valid_from": start, "valid_to": end, **caps}


def test_a_listed_symbol_is_in_with_its_tier_and_its_own_caps(listings) -> None:
    config = listings(
        {"BTCUSDT": [listing("core", "2020-01-01", max_order_notional=5_000.0)], "ETHUSDT": [listing("large", "2020-01-01")]}
    )
    btc, eth = resolve_universe(config, ["BTCUSDT", "ETHUSDT"], ns("2024-01-01"))
    assert (btc.in_universe, btc.tier, btc.tier_id) == (True, "core", config.tiers.index("core"))
    assert (btc.max_order_notional, btc.max_symbol_nav_pct) == (5_000.0, math.inf)
    assert (eth.in_universe, eth.tier, eth.tier_id) == (True, "large", config.tiers.index("large"))


def test_membership_follows_the_date_and_the_end_is_exclusive(listings) -> None:
    config = listings({"BTCUSDT": [listing("core", "2020-01-01", "2021-01-01"), listing("mid", "2022-01-01", "2023-01-01")]})

    def at(day: str):
        return resolve_universe(config, ["BTCUSDT"], ns(day))[0]

    assert (at("2020-01-01").tier, at("2020-12-31").tier, at("2022-06-01").tier) == ("core", "core", "mid")
    before, between, after = at("2019-12-31"), at("2021-01-01"), at("2023-01-01")
    assert [m.in_universe for m in (before, between, after)] == [False, False, False]
    assert after.reason == "listed until 2023-01-01"
    assert between.reason == "listed from 2022-01-01"


def test_what_is_out_is_listed_too_and_the_gate_would_not_know_its_tier(listings) -> None:
    config = listings({"BTCUSDT": [listing("core", "2020-01-01")]})
    (out,) = resolve_universe(config, ["BTCUSTD"], ns("2024-01-01"))
    assert (out.in_universe, out.tier_id, out.max_order_notional, out.max_symbol_nav_pct) == (False, -1, 0.0, 0.0)
    assert out.reason == "pairs_universe.json does not list it. Did you mean 'BTCUSDT'?"


def test_unlisted_symbols_are_in_only_where_settings_allow_them(listings) -> None:
    config = listings({"BTCUSDT": [listing("core", "2020-01-01")]}, unlisted=True)
    (own,) = resolve_universe(config, ["MYDATA"], ns("2024-01-01"))
    assert (own.in_universe, own.tier) == (True, "unlisted")


def test_each_symbol_answers_once_in_the_order_asked(listings) -> None:
    config = listings({"BTCUSDT": [listing("core", "2020-01-01")], "ETHUSDT": [listing("core", "2020-01-01")]})
    members = resolve_universe(config, ["ETHUSDT", "BTCUSDT", "ETHUSDT"], ns("2024-01-01"))
    assert [m.symbol for m in members] == ["ETHUSDT", "BTCUSDT"]


def test_anything_that_offers_listings_will_do() -> None:
    @dataclass(frozen=True)
    class Entry:
        tier: str = "core"
        tier_id: int = 3

    class Plain:
        def universe(self, as_of_ns: int, symbols=()) -> dict[str, Entry]:
            return {"BTCUSDT": Entry()}

        def listing(self, symbol: str, as_of_ns: int | None = None) -> None:
            return None

    inside, outside = resolve_universe(Plain(), ["BTCUSDT", "XUSDT"], 0)
    assert (inside.tier_id, inside.max_symbol_nav_pct, outside.in_universe) == (3, math.inf, False)
