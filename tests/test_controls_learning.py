"""Controls of the learning layer: where the truth is known, the validation must find it, and a cheat must be found out."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simcore
from replay_data.interval import DAY_NS
from simcore import api
from simcore.domain.errors import DataError
from simcore.learning import Policies, learn
from simcore.learning.trades import TradeTable
from simcore.replay import Session
from simcore.replay.refresher import Refresher
from simcore.validation.leaks import leak_test, one_r_better
from simcore.validation.policies import with_stages
from simcore.validation.signing import make_key
from simcore.validation.walkforward import Validation, validate
from tests.control_markets import by_the_clock, config_of, market
from tests.fakes_learning import random_trades

NOISE_SEEDS = range(1, 8)
VARIANTS = {f"after {after}": {"by_the_clock.every": 3.0, "by_the_clock.after": float(after)} for after in range(3)}
SELDOM_LEARNED = {"learning.refresh.learn_every_s": 3 * 86_400}
SELDOM = {**SELDOM_LEARNED, "learning.refresh.apply_every_s": 4 * 3600}


@cache
def noise(seed: int, folder: Path) -> Validation:
    feed, config = market(seed, days=60, symbols=2), config_of(0.0, **SELDOM)
    return validate(feed, config, trials=folder / f"{seed}.jsonl", now_ns=1, strategies=[by_the_clock], variants=VARIANTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("controls")


# ---------------------------------------------------------------- noise, and an edge


def test_on_pure_noise_nothing_is_gained_and_choosing_is_overfitting(folder: Path) -> None:
    found = [noise(seed, folder) for seed in NOISE_SEEDS]
    covered = [each.evidence.gain.low <= 0.0 <= each.evidence.gain.high for each in found]
    assert sum(covered) >= len(found) - 1, "of intervals at 95 % one in twenty may miss"
    means = np.array([each.evidence.gain.mean for each in found])
    assert abs(means.mean()) < 3.0 * means.std(ddof=1) / np.sqrt(len(means))
    pbo = np.mean([each.evidence.pbo for each in found])
    assert 0.35 <= pbo <= 0.65, pbo
    for each in found:
        assert not each.verdict.passed and {"min_gain_bps_a_day", "min_dsr"} & {j.name for j in each.verdict.failed}


def test_a_planted_hour_is_found_and_certified(folder: Path) -> None:
    feed, config = market(1, days=60, symbols=4, edge_bps=150.0), config_of(5.0, **SELDOM_LEARNED)
    out = folder / "edge"
    result = simcore.validate(feed=feed, config=config, strategy=by_the_clock, trials=folder / "edge.jsonl", out=out)
    assert result.evidence.gain.low > 0.0
    assert result.verdict.passed, str(result)
    own = result.pooled["all"]
    assert len(own.trades) < 0.3 * len(result.pooled["baseline"].trades), "it kept the planted hour, not the others"
    table = result.policies["edges"]
    best = [int(np.nanargmax(np.array(each["normal"], float))) for each in table]
    assert best == [14, 14, 14, 14]

    key = folder / "edge.key"
    make_key(key)
    certificate = api.promote(out, key)
    assert api.verify(certificate, folder / "edge.key.pub", feed=feed, config=config, strategy=by_the_clock) == []
    stricter = config.replace(set={"risk_limits.max_leverage": 2.0})
    found = api.verify(certificate, folder / "edge.key.pub", feed=feed, config=stricter, strategy=by_the_clock)
    assert [str(each) for each in found] == [
        "config: the configuration is not the certified one: risk_limits.max_leverage is 2.0, was 3.0. "
        "Restore it, or validate and promote again."
    ]
    told = json.loads((out / "validation.json").read_text())
    assert told["verdict"]["passed"] and len(told["folds"]) == 3 and told["evidence"]["trials_counted"] == 5
    page = (out / "validation.html").read_text()
    assert "Every criterion is met." in page and "http" not in page.split("</style>")[1]


def test_noise_gets_no_certificate(folder: Path) -> None:
    feed, config = market(1, days=60, symbols=2), config_of(0.0, **SELDOM)
    simcore.validate(feed=feed, config=config, strategy=by_the_clock, trials=folder / "none.jsonl", out=folder / "none")
    make_key(folder / "none.key")
    with pytest.raises(DataError, match="no certificate: the validation is refused by .*min_gain_bps_a_day"):
        api.promote(folder / "none", folder / "none.key")
    assert not (folder / "none" / "certificate.json").exists()


# ---------------------------------------------------------------- cheats


def honest(trades: TradeTable, now_ns: int) -> Policies:
    config = with_stages(config_of(1.0), ("expectancy", "scoring", "allocator"))
    return learn(trades, now_ns, Policies(), config, nav=100_000.0)


def peeking(trades: TradeTable, now_ns: int) -> Policies:
    """Learns as of the end of the fold it is scored on, and says it did so now."""
    config = with_stages(config_of(1.0), ("expectancy", "scoring", "allocator"))
    return learn(trades, now_ns + 15 * DAY_NS, Policies(), config, nav=100_000.0)


def test_a_learner_that_peeks_at_its_own_fold_is_caught() -> None:
    trades = random_trades(1, 3000)
    times = [int(trades.rows["exit_ns"].min()) + day * DAY_NS for day in (20, 40, 60)]
    assert leak_test(honest, trades, times) == []
    leaks = leak_test(peeking, trades, times)
    assert [leak.now_ns for leak in leaks] == times and "edges" in leaks[0].changed
    assert "knows trades that closed later" in str(leaks[0])


def test_one_r_more_is_added_to_the_later_trades_alone() -> None:
    trades = random_trades(2, 500)
    t = int(np.median(trades.rows["exit_ns"]))
    better = one_r_better(trades, t, 100.0)
    later = trades.rows["exit_ns"] >= t
    stopped = np.isfinite(trades.rows["r"])
    assert (better.rows[~later] == trades.rows[~later])[stopped[~later]].all()
    assert np.allclose((better.rows["r"] - trades.rows["r"])[later & stopped], 1.0)
    assert (better.rows["net_bps"] - trades.rows["net_bps"])[later].min() > 0.0


def played(t: int | None) -> Any:
    """Return the ledger of a learning replay in which every trade that closes at or after `t` looks one R better to the learner."""
    feed = market(3, days=30, symbols=2)
    session = Session(feed, with_stages(config_of(0.0), ("scoring", "autotune", "allocator")), [by_the_clock])
    if t is not None:
        session.refresher = Tampered.of(session.refresher, t)
    session.finish()
    return session.output.table("ledger")


class Tampered(Refresher):
    """A refresher whose evidence is one R better from a moment on."""

    @classmethod
    def of(cls, honest: Refresher, t: int) -> Tampered:
        twin = cls.__new__(cls)
        twin.__dict__ |= {**honest.__dict__, "t": t}
        return twin

    def rows(self, name: str, layout: np.dtype) -> np.ndarray:
        rows = super().rows(name, layout).copy()
        if name == "trade":
            rows["gross_e8"][rows["exit_ns"] >= self.t] += 50 * 100_000_000
            rows["r_multiple"][rows["exit_ns"] >= self.t] += 1.0
        return rows


def test_one_r_added_to_all_later_trades_changes_no_decision_before() -> None:
    plain = played(None)
    for share in (0.3, 0.6):
        t = int(plain["ts_ns"][int(share * len(plain))])
        tampered = played(t)
        before, after = plain["ts_ns"] < t, tampered["ts_ns"] < t
        assert plain[before].tobytes() == tampered[after].tobytes()
        assert plain.tobytes() != tampered.tobytes(), "what came later must have made a difference later"
