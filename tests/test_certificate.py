"""The certificate: it holds while nothing changed, and every kind of change is told in its own words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simcore
from replay_data.feed import Feed
from simcore import api
from simcore.config import Config, default_folder
from simcore.domain.errors import DataError
from simcore.learning.refresh import Policies
from simcore.learning.snapshots import CURRENT, write_current
from simcore.validation import certificate, provenance, signing
from simcore.validation.standing import KINDS, Mismatch, canonical, differences, hash_of, source_parts, standing
from tests.control_markets import market

DAY_NS = 86_400_000_000_000
NOW_NS = 1_750_000_000 * 1_000_000_000
MINE = '''"""A strategy of one's own."""

from simcore.strategy import LONG, strategy


@strategy(on="bar", params={"n": 3}, memory=("seen",), warmup=1)
def mine(market, position, params, memory, signal):
    """Long after n bars."""
    memory["seen"] += 1.0
    if memory["seen"] > params["n"]:
        signal["side"] = LONG
'''


@pytest.fixture(scope="module")
def feed() -> Feed:
    return market(1, days=35, symbols=2).between(0, 2**62)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "certificate.key"
    signing.make_key(path)
    return path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a configuration and a strategy of its own, as `simcore init` makes one."""
    folder = tmp_path / "work"
    shutil.copytree(default_folder(), folder / "config")
    (folder / "mine.py").write_text(MINE)
    registry = folder / "config" / "strategy_registry.json"
    tree = json.loads(registry.read_text())
    tree["strategies"]["mine"] = {"module": "mine", "params": {"n": {"default": 3}}}
    registry.write_text(json.dumps(tree))
    uses = folder / "config" / "strategy_config.json"
    tree = json.loads(uses.read_text())
    for use in tree["strategies"].values():
        use["enabled"] = False
    tree["strategies"]["mine"] = {"enabled": True}
    uses.write_text(json.dumps(tree))
    return folder


def judged(folder: Path) -> Config:
    from simcore.validation.policies import with_stages

    settings, _ = api.configured(folder / "config", None, None, None, unlisted=True)
    return with_stages(settings, settings.validation.judged)


def certified(work: Path, feed: Feed, key: Path, now_ns: int = NOW_NS) -> Path:
    """Return a certificate over a validation that passed, in a folder with its learned policies."""
    policies = Policies(version=3, valid_from_ns=NOW_NS - DAY_NS, scores={"SYNAUSDT": 0.6})
    config = judged(work)
    write_current(work, policies)
    validation: dict[str, Any] = {
        "study": "mine", "symbols": list(feed.symbols), "strategies": ["mine"], "judged": "all", "seed": 0, "windows": [], "folds": [],
        "asked": {"strategies": None, "params": {}, "cash": None, "symbols": list(feed.symbols), "start_ns": 0, "end_ns": 1, "interval_ns": 1},
        "evidence": {}, "stress_bps_a_day": {}, "capacity_usd": 1e6, "efficiency": 0.5, "bands": {"fill_rate": {"low": 0.4, "high": 0.6}},
        "caveats": [], "policies": {"all": {"bps_a_day": 1.0}}, "verdict": {"passed": True, "criteria": []},
        "standing": standing(config, feed, policies.as_dict()),
    }  # fmt: skip
    path = work / "certificate.json"
    certificate.issue(path, certificate.content_of(validation, config.validation.certificate, now_ns), key)
    return path


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, work: Path, feed: Feed, key: Path) -> Callable[..., list[Mismatch]]:
    path = certified(work, feed, key)

    def run(now_ns: int = NOW_NS + DAY_NS, **changed: Any) -> list[Mismatch]:
        monkeypatch.setattr(api.time, "time_ns", lambda: now_ns)
        trusted = changed.pop("trusted", key.with_name(key.name + ".pub"))
        return simcore.api.verify(path, trusted, **{"feed": feed, "config": work / "config", **changed})

    return run


def only(found: list[Mismatch], kind: str) -> str:
    assert [each.kind for each in found] == [kind], [str(each) for each in found]
    return found[0].message


# ---------------------------------------------------------------- it holds, and what breaks it


def test_it_holds_while_nothing_changed(check: Callable[..., list[Mismatch]]) -> None:
    assert check() == []


def test_one_character_of_the_strategy(check: Callable[..., list[Mismatch]], work: Path) -> None:
    (work / "mine.py").write_text(MINE.replace("> params", ">= params"))
    told = only(check(), "strategy")
    assert "the strategy is not the certified one: mine has changed" in told


def test_one_number_of_the_config(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / "config" / "risk_limits.json"
    path.write_text(path.read_text().replace('"max_leverage": 3.0', '"max_leverage": 3.5'))
    told = only(check(), "config")
    assert "risk_limits.max_leverage is 3.5, was 3.0" in told


def test_a_fee_is_config_and_fill_model(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / "config" / "settings.json"
    path.write_text(path.read_text().replace('"impact_y": 1.0', '"impact_y": 1.1', 1))
    found = check()
    assert [each.kind for each in found] == ["config", "fill_model"]
    assert "settings.bar_model.impact_y is 1.1, was 1.0" in found[0].message and "simulated venue" in found[1].message


def test_the_policy_learned_anew_and_the_policy_edited(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / CURRENT
    path.write_text(path.read_text().replace("0.6", "0.7"))
    assert "does not match its hash" in only(check(), "policy")
    write_current(work, Policies(version=3, valid_from_ns=NOW_NS - DAY_NS, scores={"SYNAUSDT": 0.7}))
    assert "the learned policies are not the certified ones: v6_policies.json has changed" in only(check(), "policy")
    path.unlink()
    assert "no such file" in only(check(), "policy")


def test_one_row_of_data(check: Callable[..., list[Mismatch]], feed: Feed) -> None:
    bars = feed.bars.copy()
    row = int(feed.bar_range[1][0]) + 100
    bars["close_ticks"][row] += 1
    told = only(check(feed=Feed(**{**vars_of(feed), "bars": bars})), "data")
    assert "SYNBUSDT bars of 2025-01 has changed" in told and "SYNAUSDT" not in told


def vars_of(feed: Feed) -> dict[str, Any]:
    return {name: getattr(feed, name) for name in feed.__dataclass_fields__ if name != "content_hash"} | {"content_hash": ""}


def test_one_character_of_a_kernels_source(check: Callable[..., list[Mismatch]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "copy" / "simcore"
    shutil.copytree(provenance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(provenance.PACKAGE.parent / "replay_data", package.parent / "replay_data", ignore=shutil.ignore_patterns("__pycache__"))
    assert source_parts(package) == source_parts()
    fills = package / "engine" / "fills.py"
    fills.write_text(fills.read_text().replace("beyond = tick_step", "beyond = tick_stem", 1))
    monkeypatch.setattr("simcore.validation.standing.source_parts", lambda *_: source_parts(package))
    told = only(check(), "source")
    assert "simcore's source is not the certified one: simcore/engine/fills.py has changed" in told


def test_one_character_of_the_file_itself(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / "certificate.json"
    whole = path.read_text()
    for old, new, said in (
        ('"low": 0.4', '"low": 0.3', "its content was changed after it was signed"),
        ('"version": 1', '"version":  1', "its letters were changed, though not what it says"),
    ):
        path.write_text(whole.replace(old, new, 1))
        assert said in check()[0].message and check()[0].kind == "file"
    path.write_text(whole[:-200])
    with pytest.raises(DataError, match="cannot be read as JSON"):
        check()


def test_a_changed_content_with_a_hash_to_match_is_no_longer_signed(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / "certificate.json"
    whole = json.loads(path.read_text())
    whole["content"]["expires_ns"] += 365 * DAY_NS
    whole["content_hash"] = hash_of(whole["content"])
    path.write_bytes(certificate.render(whole))
    assert "the signature is not that of its key" in only(check(), "signature")


def test_an_expired_one_and_one_from_the_future(check: Callable[..., list[Mismatch]]) -> None:
    assert "it expired on" in only(check(now_ns=NOW_NS + 30 * DAY_NS), "expired")
    assert check(now_ns=NOW_NS + 30 * DAY_NS - 1) == []
    assert "it was issued on" in only(check(now_ns=NOW_NS - 1), "clock")


def test_the_wrong_key(check: Callable[..., list[Mismatch]], tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    name = signing.make_key(other)
    told = only(check(trusted=tmp_path / "other.key.pub"), "key")
    assert "is not trusted here" in told and name in told


def test_several_changes_are_all_told(check: Callable[..., list[Mismatch]], work: Path) -> None:
    (work / "mine.py").write_text(MINE.replace("> params", ">= params"))
    path = work / "config" / "risk_limits.json"
    path.write_text(path.read_text().replace('"max_leverage": 3.0', '"max_leverage": 3.5'))
    assert [each.kind for each in check(now_ns=NOW_NS + 31 * DAY_NS)] == ["expired", "config", "strategy"]


# ---------------------------------------------------------------- parts of it


def test_a_refused_validation_gets_none(feed: Feed, work: Path) -> None:
    refused = {"study": "mine", "verdict": {"passed": False, "criteria": [{"criterion": "min_dsr", "refuses": True, "passed": False}]}}
    with pytest.raises(DataError, match="mine: no certificate: the validation is refused by min_dsr"):
        certificate.content_of(refused, judged(work).validation.certificate, NOW_NS)


def test_every_byte_of_the_file_counts(check: Callable[..., list[Mismatch]], work: Path) -> None:
    path = work / "certificate.json"
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(whole), 60):
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(0, 7))
        path.write_bytes(bytes(changed))
        try:
            found = certificate.check_file(path, certificate.read_certificate(path), [], NOW_NS)
        except DataError:
            continue
        assert found, at


def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    signing.make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DataError, match="never overwritten"):
        signing.make_key(path)
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        signing.load_private(path)
    with pytest.raises(DataError, match="no Ed25519 public key"):
        signing.load_public(path)
    with pytest.raises(DataError, match="no private key can be read"):
        signing.load_private(tmp_path / "missing.key")


def test_canonical_bytes_do_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": [1.5, "é"]}) == canonical({"a": [1.5, "é"], "b": 1}) == '{"a":[1.5,"é"],"b":1}'.encode()
    parts = {kind: {"x": 1} for kind in KINDS}
    assert differences(parts, {**parts}) == []
