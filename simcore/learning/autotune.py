"""Autotune: a bounded controller that lets the router's policy follow what orders have cost, one step at a time.

Three settings move, each with two thresholds, a minimum of evidence, a dwell, and a cooldown after any change:

- maker_first, by the cost of quoting against taking (MODELS §9). Quoting: p (maker fee - half spread) + (1 - p) (taker fee + taker
  slippage + drift of the misses); taking: taker fee + taker slippage. The markout of the fills is not added: a miss is followed by
  a taker order, so it would count adverse selection twice.
- offset_tier, one tier nearer while few quotes fill, one farther while many fill at a bad markout or many are refused.
- patience (taker_bias and wait_s together), less while prices run away from missed quotes, more while taking is dear.

What was not measured often enough moves nothing; when a setting's evidence has faded it steps back to the configured policy, so
that a policy without quotes does not stay without them for want of evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from simcore.config.learning import Autotune
from simcore.decision.router import RouterPolicy
from simcore.domain.enums import LedgerKind, OffsetTier
from simcore.learning.expectancy import packaged

BPS = 1e4
RESTED = 1 << 30  # refreshes since a change that never was


@dataclass(frozen=True)
class RouterMetrics:
    """What orders of one symbol have cost lately, exponentially weighted, each with its effective number; None: not measured.

    maker_fill_rate: share of a quoted parent order filled as maker. maker_markout_bps: the price some time after a maker fill
    against it, positive in our favour. taker_slippage_bps: of orders that took at once, against the price at the decision.
    drift_on_miss_bps: how far the price had run when a quote that missed was taken. reject_rate: refusals an order sent.
    """

    maker_fill_rate: float | None = None
    n_maker: float = 0.0
    maker_markout_bps: float | None = None
    n_markout: float = 0.0
    taker_slippage_bps: float | None = None
    n_taker: float = 0.0
    reject_rate: float | None = None
    n_orders: float = 0.0
    drift_on_miss_bps: float | None = None
    n_miss: float = 0.0
    half_spread_bps: float | None = None
    maker_fee_bps: float | None = None
    taker_fee_bps: float | None = None


@dataclass(frozen=True)
class PolicyChange:
    """One step of one setting, with the figure that crossed its threshold; for logs and snapshots."""

    ts_ns: int
    symbol: str
    setting: str
    old: str
    new: str
    reason: str
    value: float | None
    threshold: float | None
    n: float

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class TunerState:
    """Where a symbol's controller stands: refreshes since each setting changed, and when anything last did."""

    maker_first: int = RESTED
    offset_tier: int = RESTED
    patience: int = RESTED
    changed_ns: int | None = None


@dataclass(frozen=True)
class Tuning:
    """The answer of one step: the policy from now on, the controller's state, and what changed."""

    policy: RouterPolicy
    state: TunerState
    changes: tuple[PolicyChange, ...] = ()


@dataclass(frozen=True)
class Wish:
    """Where evidence pushes a setting: +1, 0 or -1, and why. `faded`: there is too little evidence to hold it anywhere."""

    push: int = 0
    reason: str = ""
    value: float | None = None
    threshold: float | None = None
    n: float = 0.0
    faded: bool = False


# ------------------------------------------------------------ two thresholds


def hysteresis(on: bool, value: float, off_below: float, on_above: float, since: int, dwell: int) -> tuple[bool, int]:
    """Return (on, steps since the last switch) after one more step: off below one threshold, on above the other.

    >>> hysteresis(True, 0.3, 0.4, 0.55, 99, 3), hysteresis(False, 0.9, 0.4, 0.55, 0, 3)
    ((False, 0), (False, 1))
    """
    since += 1
    if since >= dwell and (value < off_below if on else value > on_above):
        return not on, 0
    return on, since


def next_level(value: float, levels: Sequence[float], push: int) -> float:
    """Return the neighbouring level above or below a value, which may lie between two; at the end, the last one.

    >>> next_level(120.0, (60.0, 120.0, 300.0), 1), next_level(500.0, (60.0, 120.0, 300.0), 1)
    (300.0, 500.0)
    """
    beyond = [level for level in levels if (level > value if push > 0 else level < value)]
    return (min(beyond) if push > 0 else max(beyond)) if beyond and push else value


# ------------------------------------------------------------ one step


def tune_policy(
    symbol: str,
    current_policy: RouterPolicy,
    metrics: RouterMetrics,
    settings: Autotune | None = None,
    *,
    state: TunerState | None = None,
    now_ns: int = 0,
    base: RouterPolicy | None = None,
    offsets_bps: Mapping[str, float] | None = None,
) -> RouterPolicy:
    """Return the policy of a symbol after one step of the controller: the current one, or one step from it.

    settings: the `autotune` section of learning.json, without it the packaged one. state: of the step before, without it rested.
    base: the policy to fall back to when evidence fades. offsets_bps: the distance of each tier, without it the tier's number moves
    and its distance stays. `tune` also returns the next state and the log of changes.
    """
    return tune(symbol, current_policy, metrics, settings, state=state, now_ns=now_ns, base=base, offsets_bps=offsets_bps).policy


def tune(
    symbol: str,
    policy: RouterPolicy,
    metrics: RouterMetrics,
    settings: Autotune | None = None,
    *,
    state: TunerState | None = None,
    now_ns: int = 0,
    base: RouterPolicy | None = None,
    offsets_bps: Mapping[str, float] | None = None,
) -> Tuning:
    """Return what `tune_policy` returns together with the controller's next state and the changes made; see there."""
    rules = settings or packaged().autotune
    before = state or TunerState()
    since = {name: min(RESTED, getattr(before, name) + 1) for name in ("maker_first", "offset_tier", "patience")}
    waiting = before.changed_ns is not None and now_ns - before.changed_ns < round(rules.cooldown_s * 1e9)
    changes: list[PolicyChange] = []
    if not waiting:
        for name, wish_of, step in STEPS:
            if since[name] < rules.dwell_refreshes:
                continue
            wish = wish_of(policy, metrics, rules)
            stepped = back_to(policy, base, name, rules, offsets_bps) if wish.faded else step(policy, wish.push, rules, offsets_bps)
            if stepped != policy:
                reason = "evidence faded: one step back to the configured policy" if wish.faded else wish.reason
                changes += changes_between(policy, stepped, symbol, now_ns, replace(wish, reason=reason))
                policy, since[name] = stepped, 0
    return Tuning(policy, TunerState(**since, changed_ns=now_ns if changes else before.changed_ns), tuple(changes))


def changes_between(old: RouterPolicy, new: RouterPolicy, symbol: str, now_ns: int, wish: Wish) -> list[PolicyChange]:
    """Return one record a field that differs."""
    before, after = old.as_dict(), new.as_dict()
    return [
        PolicyChange(now_ns, symbol, name, str(before[name]), str(after[name]), wish.reason, wish.value, wish.threshold, wish.n)
        for name in before
        if before[name] != after[name]
    ]


# ------------------------------------------------------------ where evidence pushes


def maker_advantage_bps(metrics: RouterMetrics, rules: Autotune) -> float | None:
    """Return what quoting first saves against taking at once, in bps of the price; None while its inputs are not known."""
    inputs = metrics.maker_fill_rate, metrics.half_spread_bps, metrics.maker_fee_bps, metrics.taker_fee_bps
    if any(each is None for each in inputs) or metrics.n_maker < rules.min_maker_orders:
        return None
    p, half_spread, maker_fee, taker_fee = (float(each) for each in inputs if each is not None)
    slippage = half_spread
    if metrics.taker_slippage_bps is not None and metrics.n_taker >= rules.min_taker_orders:
        slippage = metrics.taker_slippage_bps
    drift = 0.0
    if metrics.drift_on_miss_bps is not None and metrics.n_miss >= rules.min_misses:
        drift = metrics.drift_on_miss_bps
    taking = taker_fee + slippage
    return taking - (p * (maker_fee - half_spread) + (1.0 - p) * (taking + drift))


def wish_maker_first(policy: RouterPolicy, metrics: RouterMetrics, rules: Autotune) -> Wish:
    """Return whether to quote first: by the advantage of it, between two thresholds."""
    if not rules.allow_taker_first:
        return Wish()
    gain, n = maker_advantage_bps(metrics, rules), metrics.n_maker
    if gain is None:
        return Wish(n=n, faded=metrics.n_maker < rules.min_maker_orders / 2.0)
    low, high = rules.maker_off_below_bps, rules.maker_on_above_bps
    on, _ = hysteresis(policy.maker_first, gain, low, high, RESTED, 0)
    if on == policy.maker_first:
        return Wish(n=n)
    if on:
        return Wish(+1, "quoting first is cheaper by more than maker_on_above_bps", gain, high, n)
    return Wish(-1, "quoting first is dearer by more than maker_off_below_bps allows", gain, low, n)


def wish_offset_tier(policy: RouterPolicy, metrics: RouterMetrics, rules: Autotune) -> Wish:
    """Return which way the tier goes; without quotes it stays."""
    if not policy.maker_first:
        return Wish()
    fills = metrics.maker_fill_rate if metrics.n_maker >= rules.min_maker_orders else None
    rejects = metrics.reject_rate if metrics.n_orders >= rules.min_orders else None
    markout = metrics.maker_markout_bps if metrics.n_markout >= rules.min_markouts else None
    if rejects is not None and rejects > rules.farther_reject_rate_above:
        return Wish(+1, "rejects above farther_reject_rate_above", rejects, rules.farther_reject_rate_above, metrics.n_orders)
    if fills is None:
        return Wish(n=metrics.n_maker, faded=metrics.n_maker < rules.min_maker_orders / 2.0)
    if fills > rules.farther_fill_rate_above and markout is not None and markout < rules.farther_markout_below_bps:
        return Wish(+1, "fills are many and their markout is bad", markout, rules.farther_markout_below_bps, metrics.n_markout)
    calm = rejects is None or rejects < rules.nearer_reject_rate_below
    if fills < rules.nearer_fill_rate_below and calm:
        return Wish(-1, "fill rate below nearer_fill_rate_below", fills, rules.nearer_fill_rate_below, metrics.n_maker)
    return Wish(n=metrics.n_maker)


def wish_patience(policy: RouterPolicy, metrics: RouterMetrics, rules: Autotune) -> Wish:
    """Return whether to wait less (+1) or longer (-1) before taking."""
    if not policy.maker_first:
        return Wish()
    drift, n = metrics.drift_on_miss_bps, metrics.n_miss
    if drift is None or n < rules.min_misses:
        return Wish(n=n, faded=n < rules.min_misses / 2.0 and metrics.n_maker < rules.min_maker_orders / 2.0)
    if drift > rules.hurry_drift_above_bps:
        return Wish(+1, "missed quotes drift by more than hurry_drift_above_bps", drift, rules.hurry_drift_above_bps, n)
    slippage = metrics.taker_slippage_bps if metrics.n_taker >= rules.min_taker_orders else None
    if drift < rules.wait_drift_below_bps and slippage is not None and slippage > rules.wait_slippage_above_bps:
        return Wish(-1, "taking slips by more than wait_slippage_above_bps", slippage, rules.wait_slippage_above_bps, metrics.n_taker)
    return Wish(n=n)


# ------------------------------------------------------------ steps within bounds


Offsets = Mapping[str, float] | None


def step_maker_first(policy: RouterPolicy, push: int, rules: Autotune, offsets_bps: Offsets) -> RouterPolicy:
    """Return the policy with quoting switched on (+1) or off (-1)."""
    return policy if push == 0 else replace(policy, maker_first=push > 0)


def step_offset_tier(policy: RouterPolicy, push: int, rules: Autotune, offsets_bps: Offsets) -> RouterPolicy:
    """Return the policy one tier farther (+1) or nearer (-1), between lowest_tier and highest_tier."""
    levels = range(OffsetTier[rules.lowest_tier], OffsetTier[rules.highest_tier] + 1)
    tier = OffsetTier(int(next_level(int(policy.offset_tier), levels, push)))
    return with_tier(policy, tier, offsets_bps)


def with_tier(policy: RouterPolicy, tier: OffsetTier, offsets_bps: Offsets) -> RouterPolicy:
    """Return the policy at a tier, with that tier's distance."""
    if tier == policy.offset_tier:
        return policy
    offset = policy.offset_bps if offsets_bps is None else float(offsets_bps[tier.name])
    return replace(policy, offset_tier=tier, offset_bps=offset)


def step_patience(policy: RouterPolicy, push: int, rules: Autotune, offsets_bps: Offsets) -> RouterPolicy:
    """Return the policy with one level less (+1) or more (-1) patience."""
    bias = next_level(policy.taker_bias, rules.taker_bias_levels, push)
    return replace(policy, taker_bias=bias, wait_s=next_level(policy.wait_s, rules.wait_levels_s, -push))


def back_to(policy: RouterPolicy, base: RouterPolicy | None, name: str, rules: Autotune, offsets_bps: Offsets) -> RouterPolicy:
    """Return the policy one step nearer to the configured one in one setting."""
    if base is None:
        return policy
    if name == "maker_first":
        return replace(policy, maker_first=base.maker_first)
    if name == "offset_tier":
        near = int(np.sign(int(base.offset_tier) - int(policy.offset_tier)))
        tier = OffsetTier(int(policy.offset_tier) + near)
        home = replace(policy, offset_tier=tier, offset_bps=base.offset_bps)
        return home if tier == base.offset_tier else with_tier(policy, tier, offsets_bps)
    bias = towards(policy.taker_bias, base.taker_bias, rules.taker_bias_levels)
    return replace(policy, taker_bias=bias, wait_s=towards(policy.wait_s, base.wait_s, rules.wait_levels_s))


def towards(value: float, goal: float, levels: Sequence[float]) -> float:
    """Return the next level on the way from a value to a goal, the goal itself when no level lies between."""
    if value == goal:
        return value
    step = next_level(value, levels, 1 if goal > value else -1)
    past = step >= goal if goal > value else step <= goal
    return goal if past or step == value else step


STEPS: tuple[tuple[str, Callable[..., Wish], Callable[..., RouterPolicy]], ...] = (
    ("maker_first", wish_maker_first, step_maker_first),
    ("offset_tier", wish_offset_tier, step_offset_tier),
    ("patience", wish_patience, step_patience),
)


# ------------------------------------------------------------ what orders have cost


def router_metrics(
    routes: np.ndarray,
    n_symbols: int,
    now_ns: int,
    settings: Autotune | None = None,
    *,
    instruments: np.ndarray | None = None,
    markouts: np.ndarray | None = None,
) -> list[RouterMetrics]:
    """Return what each symbol's finished parent orders (ROUTE rows) have cost by `now_ns`, newer ones counting more.

    instruments: INSTRUMENT rows, for fees and half spread. markouts: rows of `maker_markouts`.
    """
    rules = settings or packaged().autotune
    done = routes[routes["done_ns"] < now_ns]
    weight = decay(done["done_ns"], now_ns, rules.half_life_s)
    quoted, missed = done["maker_orders"] > 0, (done["maker_orders"] > 0) & (done["maker_lots"] == 0) & (done["taker_lots"] > 0)
    took = (done["maker_orders"] == 0) & (done["taker_lots"] > 0)
    sent = done["maker_orders"] + done["taker_orders"]
    spread = np.zeros(n_symbols) if instruments is None else instruments["half_spread_bps"][:n_symbols]
    filled = done["maker_lots"] / np.maximum(done["requested_lots"], 1)
    fill_rate = averages(done["symbol"], filled, weight * quoted, n_symbols)
    slippage = averages(done["symbol"], done["slippage_bps"], weight * took, n_symbols)
    drift = averages(done["symbol"], done["slippage_bps"] - spread[done["symbol"]], weight * missed, n_symbols)
    rejects = averages(done["symbol"], done["rejects"] / np.maximum(sent, 1), weight * sent, n_symbols)
    later: list[tuple[float | None, float]] = [(None, 0.0)] * n_symbols
    if markouts is not None:
        age = decay(markouts["ts_ns"], now_ns, rules.half_life_s)
        later = averages(markouts["symbol"], markouts["markout_bps"], age, n_symbols)
    return [
        RouterMetrics(
            *fill_rate[at], *later[at], *slippage[at], *rejects[at], *drift[at],
            **({} if instruments is None else prices_of(instruments[at])),
        )
        for at in range(n_symbols)
    ]  # fmt: skip


def prices_of(instrument: Any) -> dict[str, float]:
    """Return half spread and fees of an INSTRUMENT row in bps."""
    fees = {name: float(instrument[f"{name.removesuffix('_bps')}_e8"]) / BPS for name in ("maker_fee_bps", "taker_fee_bps")}
    return {"half_spread_bps": float(instrument["half_spread_bps"]), **fees}


def decay(ts_ns: np.ndarray, now_ns: int, half_life_s: float) -> np.ndarray:
    """Return the weight of something that happened at `ts_ns`: one half a half-life ago."""
    return np.exp2(-((now_ns - ts_ns) / 1e9) / half_life_s)


def averages(symbol: np.ndarray, values: np.ndarray, weight: np.ndarray, n_symbols: int) -> list[tuple[float | None, float]]:
    """Return (weighted mean, sum of weights) by symbol; None where there is no weight."""
    total = np.bincount(symbol, weights=weight, minlength=n_symbols)
    value = np.bincount(symbol, weights=weight * values, minlength=n_symbols)
    return [(float(value[i] / total[i]), float(total[i])) if total[i] > 0.0 else (None, 0.0) for i in range(n_symbols)]


MARKOUT = np.dtype([("symbol", np.int64), ("ts_ns", np.int64), ("markout_bps", np.float64)])
Prices = Callable[[int], tuple[np.ndarray, np.ndarray]]


def maker_markouts(ledger: np.ndarray, tick_sizes: np.ndarray, prices: Prices, markout_ns: int, now_ns: int) -> np.ndarray:
    """Return one MARKOUT row a maker fill of the ledger that is old enough to be judged at `now_ns`.

    prices: called with a symbol's number, returns (times at which a price became known, ascending; the prices). The markout is
    side * (price known `markout_ns` after the fill / fill price - 1), in bps.
    """
    fills = ledger[(ledger["kind"] == LedgerKind.FILL) & (ledger["x0"] == 1.0) & (ledger["ts_ns"] + markout_ns < now_ns)]
    rows = np.zeros(len(fills), MARKOUT)
    rows["symbol"], rows["ts_ns"] = fills["symbol"], fills["ts_ns"]
    for symbol in np.unique(fills["symbol"]):
        own = fills["symbol"] == symbol
        times, values = prices(int(symbol))
        at = np.searchsorted(times, fills["ts_ns"][own] + markout_ns, side="right") - 1
        price = fills["price_ticks"][own] * tick_sizes[symbol]
        rows["markout_bps"][own] = np.where(at >= 0, fills["side"][own] * (values[np.maximum(at, 0)] / price - 1.0) * BPS, 0.0)
    return rows
