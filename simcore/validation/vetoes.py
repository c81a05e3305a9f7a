"""Veto economics: what every refusal and every clamp cost or saved, by trading in the shadow what was not traded.

A refused wish is tried again and again; from its first refusal until the strategy changes its mind, or an entry passes after all,
it is one episode, told by its first reason. The shadow enters at the open of the bar after the refusal and leaves at the open of the
bar after the end. It pays fees and half spreads as a taker, and nothing for an entry that was only put off. It knows no impact, no
funding and no stop, and takes no room from other trades: it says what a limit is about, not what lifting it would bring.

A clamp is judged by the trade that followed: what was cut off would have brought as much a dollar as what was left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.domain.enums import Clamp, LedgerKind, Screen, Veto
from simcore.validation.resampling import block_length, bootstrap_means

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.config import Config
    from simcore.config.validation import Statistics
    from simcore.replay import Recording

BPS = 1e4
FEWEST = 3
READ = (LedgerKind.SIGNAL, LedgerKind.SCREEN_VETO, LedgerKind.GATE_VETO, LedgerKind.GATE_PASS, LedgerKind.SIZE)
STAGES: Mapping[str, type[IntEnum]] = {"screener": Screen, "gate": Veto, "clamp": Clamp}

# One wish that was refused or cut: `end_ns` 0 until the end of the tape; put_off: an entry passed in the end.
EPISODE = np.dtype(
    [(name, np.int64) for name in ("stage", "code", "symbol", "strategy", "side", "begin_ns", "end_ns", "put_off")]
    + [("stake_usd", np.float64)]
)


@dataclass(frozen=True)
class Economics:
    """One limit: how often it was the reason, and what the shadow trades it prevented would have brought.

    net_bps: mean of a shadow trade, with its interval; NaN below three. saved_usd: what was not lost less what was not won, at the
    sizes the strategy asked for; of clamps, on the part that was cut off. Positive: the limit earned its keep.
    """

    stage: str
    reason: str
    episodes: int
    tries: int
    net_bps: float
    low: float
    high: float
    saved_usd: float

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; what is not determined is null."""
        return {key: (None if isinstance(value, float) and not math.isfinite(value) else value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class VetoReport:
    """Every limit that bound, the most costly first, and by stage those that never did."""

    rows: tuple[Economics, ...]
    never: Mapping[str, tuple[str, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {"limits": [row.as_dict() for row in self.rows], "never_bound": {stage: list(names) for stage, names in self.never.items()}}


def veto_economics(recording: Recording, config: Config) -> VetoReport:
    """Return what every limit of a finished replay of bars cost and saved."""
    ledger = recording.ledger
    rows = ledger[np.isin(ledger["kind"], [int(kind) for kind in READ])]
    found, tries = episodes_of(rows)
    shadow = shadow_bps(found, recording.feed, config)
    cut = clamped(rows, recording)
    rules = config.validation.statistics
    told = []
    for at, (stage, codes) in enumerate(STAGES.items()):
        table, results = (cut, cut["net_bps"]) if stage == "clamp" else (found, shadow)
        for code in np.unique(table["code"][table["stage"] == at]):
            mine = (table["stage"] == at) & (table["code"] == code)
            count = int(mine.sum()) if stage == "clamp" else tries[at, int(code)]
            told.append(economics(stage, codes(int(code)).name.lower(), results[mine], table["stake_usd"][mine], count, rules))
    seen = {(row.stage, row.reason) for row in told}
    names = {stage: [each.name.lower() for each in codes if each] for stage, codes in STAGES.items()}
    never = {stage: tuple(name for name in each if (stage, name) not in seen) for stage, each in names.items()}
    return VetoReport(tuple(sorted(told, key=lambda row: (row.saved_usd, row.stage, row.reason))), never)


def economics(stage: str, reason: str, net_bps: np.ndarray, stakes: np.ndarray, tries: int, rules: Statistics) -> Economics:
    """Return one limit's row from its shadow trades, in order of time; unknown results (no later bar) are left out."""
    known = np.isfinite(net_bps)
    values = net_bps[known]
    low = high = math.nan
    if len(values) >= FEWEST:
        rng = np.random.Generator(np.random.PCG64(rules.seed))
        means = bootstrap_means(values, block_length(values).stationary, rules.bootstrap_draws, rng)
        low, high = (float(each) for each in np.quantile(means, [(1.0 - rules.confidence) / 2.0, (1.0 + rules.confidence) / 2.0]))
    mean = float(values.mean()) if len(values) else math.nan
    saved = -float(np.nansum(values / BPS * stakes[known]))
    return Economics(stage, reason, int(len(net_bps)), tries, mean, low, high, saved)


# ------------------------------------------------------------ refusals


def episodes_of(rows: np.ndarray) -> tuple[np.ndarray, dict[tuple[int, int], int]]:
    """Return EPISODE rows of the refused wishes, in order of time, and how many refusals each (stage, code) had.

    A screener's refusal comes before sizing: its stake is the median size its strategy asked for.
    """
    found: list[tuple[int, ...]] = []
    stakes: list[float] = []
    open_at: dict[tuple[int, int], int] = {}
    asked: dict[tuple[int, int], float] = {}
    tries: dict[tuple[int, int], int] = {}
    for row in rows:
        kind, code, who = int(row["kind"]), int(row["code"]), (int(row["strategy"]), int(row["symbol"]))
        now = int(row["ts_ns"])
        if kind == LedgerKind.SIZE:
            asked[who] = float(row["value"])
        elif kind in (LedgerKind.SIGNAL, LedgerKind.GATE_PASS):
            if who in open_at:
                at = open_at.pop(who)
                found[at] = (*found[at][:6], now, int(kind == LedgerKind.GATE_PASS))
        elif kind == LedgerKind.SCREEN_VETO or row["x0"] == 1.0:
            stage = 0 if kind == LedgerKind.SCREEN_VETO else 1
            tries[stage, code] = tries.get((stage, code), 0) + 1
            if who not in open_at:
                open_at[who] = len(found)
                found.append((stage, code, who[1], who[0], int(row["side"]), now, 0, 0))
                stakes.append(asked.get(who, math.nan) if stage else math.nan)
    table = np.zeros(len(found), EPISODE)
    for at, each in enumerate(found):
        table[at] = (*each, stakes[at])
    for strategy in np.unique(table["strategy"]):
        sizes = rows["value"][(rows["kind"] == LedgerKind.SIZE) & (rows["strategy"] == strategy)]
        unknown = (table["strategy"] == strategy) & np.isnan(table["stake_usd"])
        table["stake_usd"][unknown] = np.median(sizes) if len(sizes) else 0.0
    return table, tries


def shadow_bps(episodes: np.ndarray, feed: Feed, config: Config) -> np.ndarray:
    """Return what each episode's shadow trade would have brought, in bps of its stake; NaN where no bar follows."""
    net = np.full(len(episodes), math.nan)
    for symbol in np.unique(episodes["symbol"]):
        bars = feed.bars_of(feed.symbols[symbol])
        name = feed.symbols[symbol]
        entry = config.listing(name)
        asset = feed.quote_assets[int(feed.instruments["quote_asset"][symbol])] if entry is None else entry.quote_asset
        cost = 2.0 * (config.assets.quote_assets[asset].taker_fee_bps + config.settings.bar_model.half_spread_bps[config.tier_of(name)])
        for at in np.flatnonzero(episodes["symbol"] == symbol):
            each = episodes[at]
            begin = int(np.searchsorted(bars["open_ns"], each["begin_ns"]))
            end = int(np.searchsorted(bars["open_ns"], each["end_ns"])) if each["end_ns"] else len(bars)
            if begin >= len(bars):
                continue
            last = float(bars["open_ticks"][end]) if end < len(bars) else float(bars["close_ticks"][-1])
            move = each["side"] * (last / float(bars["open_ticks"][begin]) - 1.0) * BPS
            net[at] = move - (0.0 if each["put_off"] else cost)
    return net


# ------------------------------------------------------------ clamps


CUT = np.dtype([("stage", np.int64), ("code", np.int64), ("net_bps", np.float64), ("stake_usd", np.float64)])


def clamped(rows: np.ndarray, recording: Recording) -> np.ndarray:
    """Return CUT rows of the trades whose entry was made smaller: what bounded it, the trade's net bps, and the stake cut off."""
    sizes = rows[(rows["kind"] == LedgerKind.SIZE) & (rows["code"] != Clamp.NONE) & (rows["qty_lots"] > 0)]
    by_decision = {(int(r["strategy"]), int(r["symbol"]), int(r["ts_ns"])): r for r in sizes}
    found = list(cuts(by_decision, recording))
    table = np.zeros(len(found), CUT)
    for at, each in enumerate(found):
        table[at] = each
    return table


def cuts(by_decision: Mapping[tuple[int, int, int], Any], recording: Recording) -> Iterator[tuple[int, int, float, float]]:
    """Yield (stage, clamp, net bps, stake cut off) of each trade whose size was clamped at its decision, by time of exit."""
    stage = list(STAGES).index("clamp")
    for trade in recording.trades:
        row = by_decision.get((int(trade["strategy"]), int(trade["symbol"]), int(trade["decision_ns"])))
        if row is not None:
            yield stage, int(row["code"]), float(trade["net_bps"]), max(0.0, float(row["value"]) - float(row["cap"]))
