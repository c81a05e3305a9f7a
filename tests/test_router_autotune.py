"""The router's tuner: bounded, slow on purpose, and deaf to what was not measured often enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.config import load_config
from simcore.config.learning import Autotune
from simcore.decision.router import RouterPolicy
from simcore.domain.enums import LedgerKind, OffsetTier
from simcore.domain.errors import ConfigError
from simcore.domain.records import INSTRUMENT, LEDGER, ROUTE
from simcore.learning import RouterMetrics, router_metrics, tune_policy
from simcore.learning.autotune import TunerState, maker_advantage_bps, maker_markouts, tune

CONFIG = load_config()
RULES = CONFIG.learning.autotune
OFFSETS = CONFIG.settings.router.offsets_bps.model_dump(exclude={"note"})
BASE = RouterPolicy.from_record(CONFIG.policy("BTCUSDT")[0])
HOUR_NS = 3_600_000_000_000
many = settings(max_examples=1_000)

# Nothing in it asks for a change: quoting is a little cheaper, half of the quotes fill, few are refused.
CALM = RouterMetrics(
    maker_fill_rate=0.5, n_maker=500.0, maker_markout_bps=-1.0, n_markout=500.0, taker_slippage_bps=2.0, n_taker=500.0,
    reject_rate=0.05, n_orders=1_000.0, drift_on_miss_bps=3.0, n_miss=200.0, half_spread_bps=1.0, maker_fee_bps=2.0, taker_fee_bps=5.0,
)  # fmt: skip


def rules(**changes: object) -> Autotune:
    return RULES.model_copy(update=changes)


QUICK = rules(dwell_refreshes=0, cooldown_s=0.0)
rate, bps, count = st.floats(0.0, 1.0), st.floats(-100.0, 100.0), st.floats(0.0, 1_000.0)
maybe = st.none
metrics = st.builds(
    RouterMetrics, maybe() | rate, count, maybe() | bps, count, maybe() | bps, count, maybe() | rate, count, maybe() | bps, count,
    maybe() | st.floats(0.0, 20.0), maybe() | st.floats(-1.0, 5.0), maybe() | st.floats(0.0, 10.0),
)  # fmt: skip
policies = st.builds(
    lambda first, tier, bias, wait: replace(BASE, maker_first=first, offset_tier=tier, offset_bps=OFFSETS[tier.name], taker_bias=bias, wait_s=wait),
    st.booleans(), st.sampled_from(OffsetTier), st.sampled_from(RULES.taker_bias_levels), st.sampled_from(RULES.wait_levels_s),
)  # fmt: skip


def tuned(policy: RouterPolicy, given_: RouterMetrics, settings_: Autotune = QUICK, **more: object) -> RouterPolicy:
    return tune_policy("BTCUSDT", policy, given_, settings_, base=BASE, offsets_bps=OFFSETS, **more)


def test_nothing_changes_where_nothing_asks_for_it() -> None:
    assert tuned(BASE, CALM) == BASE
    assert tune_policy("BTCUSDT", BASE, RouterMetrics()) == BASE


def test_quoting_stops_when_it_is_dearer_than_taking_and_starts_again_when_it_is_cheaper() -> None:
    """By the formula of MODELS §9: p (fee_m - half) + (1 - p) (fee_t + slip + drift) against fee_t + slip."""
    dear = replace(CALM, maker_fill_rate=0.2, drift_on_miss_bps=7.0)
    taking = 5.0 + 2.0
    assert maker_advantage_bps(dear, RULES) == pytest.approx(taking - (0.2 * (2.0 - 1.0) + 0.8 * (taking + 7.0)))
    off = tuned(BASE, dear)
    assert not off.maker_first
    assert not tuned(off, dear).maker_first
    assert tuned(off, CALM).maker_first
    assert tuned(BASE, dear, rules(dwell_refreshes=0, allow_taker_first=False)).maker_first


def test_the_markout_of_fills_is_not_counted_on_top_of_the_drift_of_misses() -> None:
    assert maker_advantage_bps(replace(CALM, maker_markout_bps=-50.0), RULES) == maker_advantage_bps(CALM, RULES)


def test_few_fills_bring_quotes_nearer_and_many_bad_ones_drive_them_away() -> None:
    middle = replace(BASE, offset_tier=OffsetTier.MED, offset_bps=OFFSETS["MED"])
    near = tuned(middle, replace(CALM, maker_fill_rate=0.3))
    assert (near.offset_tier, near.offset_bps) == (OffsetTier.LOW, OFFSETS["LOW"])
    far = tuned(middle, replace(CALM, maker_fill_rate=0.9, maker_markout_bps=-20.0))
    assert (far.offset_tier, far.offset_bps) == (OffsetTier.HIGH, OFFSETS["HIGH"])
    assert tuned(middle, replace(CALM, maker_fill_rate=0.9, maker_markout_bps=+1.0)).offset_tier == OffsetTier.MED
    assert tuned(middle, replace(CALM, reject_rate=0.5)).offset_tier == OffsetTier.HIGH
    assert tuned(middle, replace(CALM, maker_fill_rate=0.3, reject_rate=0.15)).offset_tier == OffsetTier.MED


def test_runaway_prices_shorten_waits_and_dear_taking_lengthens_them() -> None:
    hurried = tuned(BASE, replace(CALM, maker_fill_rate=0.8, drift_on_miss_bps=12.0))
    assert (hurried.taker_bias, hurried.wait_s) == (RULES.taker_bias_levels[1], RULES.wait_levels_s[0])
    patient = tuned(replace(BASE, taker_bias=0.25), replace(CALM, drift_on_miss_bps=0.0, taker_slippage_bps=9.0))
    assert (patient.taker_bias, patient.wait_s) == (RULES.taker_bias_levels[0], RULES.wait_levels_s[2])


@given(policies, metrics)
@many
def test_no_step_leaves_the_bounds_and_none_is_longer_than_one_tier(policy: RouterPolicy, given_: RouterMetrics) -> None:
    """P24."""
    after = tuned(policy, given_)
    assert abs(int(after.offset_tier) - int(policy.offset_tier)) <= 1
    assert after.offset_bps == OFFSETS[after.offset_tier.name]
    for levels, old, new in ((RULES.taker_bias_levels, policy.taker_bias, after.taker_bias), (RULES.wait_levels_s, policy.wait_s, after.wait_s)):
        assert abs(levels.index(new) - levels.index(old)) <= 1
    assert (after.max_requotes, after.price_cap_bps) == (policy.max_requotes, policy.price_cap_bps)


@given(policies, metrics)
@many
def test_tiers_stay_between_the_lowest_and_the_highest(policy: RouterPolicy, given_: RouterMetrics) -> None:
    narrow = rules(dwell_refreshes=0, cooldown_s=0.0, lowest_tier="LOW", highest_tier="MED")
    start = replace(policy, offset_tier=min(policy.offset_tier, OffsetTier.MED))
    assert tuned(start, given_, narrow).offset_tier <= OffsetTier.MED


@given(policies, metrics)
@many
def test_constant_figures_come_to_rest_within_two_steps(policy: RouterPolicy, given_: RouterMetrics) -> None:
    """P24."""
    second = tuned(tuned(policy, given_), given_)
    assert tuned(second, given_) == second


@given(metrics)
@many
def test_without_enough_measurements_the_configured_policy_stands(given_: RouterMetrics) -> None:
    few = replace(given_, n_maker=5.0, n_markout=5.0, n_taker=5.0, n_orders=5.0, n_miss=5.0)
    assert tuned(BASE, few) == BASE


def test_a_policy_whose_evidence_faded_steps_back_to_the_configured_one() -> None:
    away = replace(BASE, maker_first=False, offset_tier=OffsetTier.HIGH, offset_bps=OFFSETS["HIGH"], taker_bias=0.5, wait_s=300.0)
    step = tune("BTCUSDT", away, RouterMetrics(), QUICK, base=BASE, offsets_bps=OFFSETS)
    assert step.policy.maker_first
    assert all("evidence faded" in change.reason for change in step.changes)
    policy = step.policy
    for _ in range(3):
        policy = tuned(policy, RouterMetrics())
    assert policy == BASE


@given(st.lists(st.floats(RULES.nearer_fill_rate_below, RULES.farther_fill_rate_above), min_size=1, max_size=40), st.integers(0, 1_000))
@settings(max_examples=200)
def test_figures_inside_the_bands_never_change_anything(fills: list[float], seed: int) -> None:
    """P24: noise below the band, and the tuner does not flip-flop inside it."""
    rng = np.random.default_rng(seed)
    policy, state = BASE, TunerState()
    for at, fill in enumerate(fills):
        low, high = RULES.maker_off_below_bps, RULES.maker_on_above_bps
        seen = replace(CALM, maker_fill_rate=fill, reject_rate=rng.uniform(0.0, RULES.nearer_reject_rate_below), maker_markout_bps=rng.normal(0.0, 20.0))
        # a drift of the misses that keeps the advantage of quoting between its own two thresholds
        gain = rng.uniform(low, high)
        drift = ((7.0 - gain) - fill * 1.0) / (1.0 - fill) - 7.0
        seen = replace(seen, drift_on_miss_bps=float(np.clip(drift, RULES.wait_drift_below_bps, RULES.hurry_drift_above_bps)))
        if not low <= maker_advantage_bps(seen, RULES) <= high:
            continue
        step = tune("BTCUSDT", policy, seen, QUICK, state=state, now_ns=at, base=BASE, offsets_bps=OFFSETS)
        assert step.changes == ()
        policy, state = step.policy, step.state


@given(st.lists(metrics, min_size=2, max_size=40), st.integers(1, 48), st.integers(0, 96), st.integers(0, 5))
@settings(max_examples=300)
def test_there_is_one_change_a_cooling_period_and_a_setting_dwells(seen: list[RouterMetrics], every_h: int, cool_h: int, dwell: int) -> None:
    """P24."""
    slow = rules(dwell_refreshes=dwell, cooldown_s=cool_h * 3_600.0)
    policy, state, moments, steps = BASE, None, [], {"maker_first": [], "offset_tier": [], "patience": []}
    for at, each in enumerate(seen):
        now = at * every_h * HOUR_NS
        step = tune("BTCUSDT", policy, each, slow, state=state, now_ns=now, base=BASE, offsets_bps=OFFSETS)
        if step.changes:
            moments.append(now)
        for change in step.changes:
            name = change.setting if change.setting in steps else {"offset_bps": "offset_tier"}.get(change.setting, "patience")
            if at not in steps[name]:
                steps[name].append(at)
        policy, state = step.policy, step.state
    assert all(later - earlier >= cool_h * HOUR_NS for earlier, later in zip(moments, moments[1:], strict=False))
    for changed in steps.values():
        assert all(later - earlier >= dwell for earlier, later in zip(changed, changed[1:], strict=False))


def test_every_change_is_logged_with_the_figure_that_crossed_its_threshold() -> None:
    dear = replace(CALM, maker_fill_rate=0.2, drift_on_miss_bps=7.0)
    step = tune("BTCUSDT", BASE, dear, RULES, now_ns=77, base=BASE, offsets_bps=OFFSETS)
    (change,) = step.changes
    told = change.as_dict()
    assert (told["ts_ns"], told["symbol"], told["setting"], told["old"], told["new"]) == (77, "BTCUSDT", "maker_first", "True", "False")
    assert told["value"] == maker_advantage_bps(dear, RULES)
    assert (told["threshold"], told["n"]) == (RULES.maker_off_below_bps, 500.0)
    assert "maker_off_below_bps" in told["reason"]
    assert step.state.changed_ns == 77
    again = tune("BTCUSDT", step.policy, CALM, RULES, state=step.state, now_ns=78, base=BASE, offsets_bps=OFFSETS)
    assert again.changes == () and again.policy == step.policy


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("maker_on_above_bps", -0.5, r"maker_off_below_bps: must be less than maker_on_above_bps -0.5 \(got -0.5\)"),
        ("farther_fill_rate_above", 0.1, "nearer_fill_rate_below: must be less than farther_fill_rate_above"),
        ("lowest_tier", "HIGH", None),
        ("highest_tier", "LOW", None),
        ("wait_levels_s", "[60, 60, 90]", r"wait_levels_s: must rise \(got 60, 60, 90\)"),
    ],
)
def test_thresholds_that_are_not_two_and_levels_that_do_not_rise_are_refused(key: str, value: object, words: str | None) -> None:
    if words is None:
        assert getattr(CONFIG.replace(set={f"learning.autotune.{key}": value}).learning.autotune, key) == value
        return
    with pytest.raises(ConfigError, match=f"learning.json: autotune.{words}"):
        CONFIG.replace(set={f"learning.autotune.{key}": value})


# ------------------------------------------------------------ what orders have cost


def route(**given_: float) -> np.ndarray:
    row = np.zeros(1, ROUTE)
    for name, value in {"done_ns": 1, "requested_lots": 10, **given_}.items():
        row[name] = value
    return row


def test_parent_orders_say_what_quoting_and_taking_cost() -> None:
    instruments = np.zeros(2, INSTRUMENT)
    instruments["half_spread_bps"], instruments["maker_fee_e8"], instruments["taker_fee_e8"] = 1.5, 20_000, 50_000
    routes = np.concatenate([
        route(maker_orders=1, maker_lots=10),
        route(maker_orders=2, taker_orders=1, taker_lots=10, fallback=1, slippage_bps=9.5),
        route(taker_orders=1, taker_lots=10, slippage_bps=4.0),
        route(maker_orders=1, maker_lots=5, taker_orders=1, taker_lots=5, rejects=1),
        route(symbol=1, taker_orders=1, taker_lots=10, slippage_bps=6.0),
        route(maker_orders=1, maker_lots=10, done_ns=10**12),  # not finished by then
    ])  # fmt: skip
    own, other = router_metrics(routes, 2, 10, RULES, instruments=instruments)
    assert own.maker_fill_rate == pytest.approx((1.0 + 0.0 + 0.5) / 3)
    assert own.n_maker == pytest.approx(3.0)
    assert (own.taker_slippage_bps, own.drift_on_miss_bps) == pytest.approx((4.0, 9.5 - 1.5))
    assert own.reject_rate == pytest.approx(1 / 7)
    assert own.n_orders == pytest.approx(7.0)
    assert (own.half_spread_bps, own.maker_fee_bps, own.taker_fee_bps) == (1.5, 2.0, 5.0)
    assert (other.maker_fill_rate, other.n_maker, other.taker_slippage_bps) == (None, 0.0, 6.0)


def test_an_order_a_half_life_ago_counts_half() -> None:
    half_ns = round(RULES.half_life_s * 1e9)
    routes = np.concatenate([route(maker_orders=1, maker_lots=10), route(maker_orders=1, maker_lots=0, done_ns=1 + half_ns)])
    (own,) = router_metrics(routes, 1, 1 + half_ns + 1, RULES)
    assert own.maker_fill_rate == pytest.approx(1.0 / 3.0)
    assert own.n_maker == pytest.approx(1.5)


def test_a_markout_compares_a_maker_fill_with_the_price_some_time_later() -> None:
    ledger = np.zeros(4, LEDGER)
    ledger["kind"], ledger["ts_ns"], ledger["price_ticks"] = LedgerKind.FILL, [10, 20, 30, 90], 1_000
    ledger["side"], ledger["x0"] = [1, -1, 1, 1], [1.0, 1.0, 0.0, 1.0]
    times, closes = np.array([0, 40, 60]), np.array([100.0, 101.0, 98.0])
    rows = maker_markouts(ledger, np.array([0.1]), lambda symbol: (times, closes), 30, 100)
    assert rows["ts_ns"].tolist() == [10, 20]  # one took, one is too young
    assert rows["markout_bps"].tolist() == pytest.approx([100.0, -100.0])
