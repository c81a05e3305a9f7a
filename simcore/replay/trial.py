"""The trial: one session used again and again over one feed, for runs that differ in the parameters of their strategies.

Every decision is that of a single replay: the same records, the same kernels, the same order of calls. What a trial saves is
around them: its records are put back, not made anew, and the rows it writes are counted and forgotten. The equity is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay_data.feed import Feed
from simcore.config import Config
from simcore.domain.records import EQUITY, MAX_SYMBOLS
from simcore.ledger import TABLES, Collector
from simcore.replay.plan import Plan, build_memory, listed_since
from simcore.replay.session import Session
from simcore.replay.world import equity_to_the_end
from simcore.strategy import Strategy

Params = Mapping[str, Mapping[str, float]]
# The first of the tables at a record's end, which are written whole, row by row, before they count; and their counter.
TAILS = {"runs": ("", ""), "venues": ("report", "n_reports"), "cores": ("request", "n_requests")}


@dataclass(frozen=True)
class Played:
    """What a finished trial leaves behind: its equity (EQUITY rows), counters, books and the number of its closed trades.

    digest: as of a recording where it was asked for, else "".
    """

    equity: np.ndarray
    totals: Any
    account: Any
    n_trades: int
    digest: str


class Tally:
    """Empties the core's output tables like a `Collector`, but keeps only the equity and counts the rest."""

    def __init__(self) -> None:
        self._count = {table: 0 for _, table, _ in TABLES}
        self._equity = bytearray()  # joining arrays of records compares their layouts field by field, each time

    def collect(self, core: Any) -> None:
        """Count the rows written since the last call and mark the core's tables empty."""
        for counter, table, _ in TABLES:
            new = int(core[counter])
            if new:
                self._count[table] += new
                if table == "equity":
                    self._equity += core["equity"][:new].data
                core[counter] = 0

    def count(self, name: str) -> int:
        """Return how many rows a table has had so far."""
        return self._count[name]

    def table(self, name: str) -> np.ndarray:
        """Return the equity so far; no other table is kept."""
        if name != "equity":
            raise KeyError(f"a tally keeps no {name}; ask the trial for its digest, or replay it by itself.")
        return np.frombuffer(bytes(self._equity), EQUITY)

    def digest(self) -> str:
        """Return "": what was not kept has no digest."""
        return ""


class Start:
    """The records of a run before its first event, under one feed and one config; shared by the trials that begin there."""

    def __init__(self, feed: Feed, config: Config, strategies: Sequence[Strategy] | None = None) -> None:
        self.feed, self.config = feed, config
        self.strategies = list(strategies) if strategies else None
        session = self.session()
        self.plan: Plan = session.plan
        self.heads = {name: head_of(getattr(session, name), *tail).copy() for name, tail in TAILS.items()}
        self.least_warmup = self._least_warmup()

    def session(self, params: Params | None = None) -> Session:
        """Return a new session over the feed, before its first event."""
        changed = {f"{name}.{key}": value for name, own in (params or {}).items() for key, value in own.items()}
        return Session(self.feed, self.config.replace(set=changed) if changed else self.config, self.strategies)

    def _least_warmup(self) -> np.ndarray:
        """Return the bars the screener asks for by itself, int64[strategies, symbols]."""
        plan, rows = self.plan, np.zeros((len(self.plan.uses), len(self.feed.symbols)), np.int64)
        for index, use in enumerate(plan.uses):
            for at, symbol in enumerate(self.feed.symbols):
                rows[index, at] = plan.config.screen(use.name, symbol, listed_since(plan, symbol))[0]["warmup_bars"]
        return rows


class Trial:
    """One session that plays trial after trial from the same `Start`.

    digests: keep what the digest needs; slower. On order books every trial has a session of its own.
    """

    def __init__(self, start: Start, digests: bool = False) -> None:
        self.start, self.digests = start, digests
        self.session = start.session()

    def begin(self, params: Params) -> None:
        """Go back to the start, under these parameters: {strategy: {parameter: value}}; those not named keep the config's."""
        start = self.start
        if start.feed.kind == "book":
            self.session = start.session(params)
        else:
            self._restore(params)
        if not self.digests:
            self.session.output = Tally()  # type: ignore[assignment]  # collects, counts and tells the equity as a Collector does

    def _restore(self, params: Params) -> None:
        start, session, feed = self.start, self.session, self.start.feed
        for name, head in start.heads.items():
            bytes_of(getattr(session, name))[: len(head)] = head
        uses = [
            dataclasses.replace(use, params=use.strategy.resolve({**use.params, **params.get(use.name, {})})) for use in start.plan.uses
        ]
        session.plan = dataclasses.replace(start.plan, uses=uses)
        session.memory, places = build_memory(session.plan)
        for index, use in enumerate(uses):
            row, own = session.core["strategy"][index], index * MAX_SYMBOLS
            row["param_base"], row["memory_base"], row["memory_stride"] = places[index]
            row["warmup_bars"] = warmup = use.strategy.warmup(use.params)
            screens = session.core["screen"][own : own + len(feed.symbols)]
            screens["warmup_bars"] = np.maximum(start.least_warmup[index], warmup)
        session.output = Collector()

    def advance(self, until_ns: int) -> None:
        """Play up to and including `until_ns` (ns UTC). Raises what `Session.advance` raises."""
        self.session.advance(until_ns)
        self.session.collect()

    def finish(self) -> Played:
        """Play to the end of the tape and return what is left of the trial. Raises what `Session.finish` raises."""
        session = self.session
        session.finish()
        totals = session.core["totals"].copy()
        totals["events"], totals["slices"], totals["bars"] = session.run["events"], session.run["slices"], len(session.feed.bars)
        equity = equity_to_the_end(session)
        account = session.core["account"].copy()
        return Played(equity, totals, account, session.output.count("trade"), session.output.digest())


def head_of(records: np.ndarray, tail: str, counter: str) -> np.ndarray:
    """Return the bytes of a record up to its table `tail` and the rows that count of it; all bytes where there is none."""
    if not tail:
        return bytes_of(records)
    offset = records.dtype.fields[tail][1]  # type: ignore[index]
    return bytes_of(records)[: offset + int(records[0][counter]) * records[0][tail].dtype.itemsize]


def bytes_of(rows: np.ndarray) -> np.ndarray:
    """Return the bytes of an array of records, as a view."""
    return rows.view(np.uint8).reshape(-1)


def play_together(trials: Sequence[Trial], params: Sequence[Params], block_bars: int) -> list[Played]:
    """Play one run a parameter set, all over the same stretch of bars before the next: each bar is read once into the cache.

    trials: at least as many as parameter sets, all from one `Start`. block_bars: bars of all symbols in one stretch.
    """
    feed = trials[0].start.feed
    for trial, own in zip(trials, params, strict=False):
        trial.begin(own)
    for until_ns in edges_ns(feed, block_bars):
        for trial, _ in zip(trials, params, strict=False):
            trial.advance(until_ns)
    return [trial.finish() for trial, _ in zip(trials, params, strict=False)]


def edges_ns(feed: Feed, block_bars: int) -> range:
    """Return the times that part a feed into stretches of about `block_bars` bars, but for its end."""
    rows = max(len(feed.bars), 1)
    stretches = max(1, -(-rows // block_bars))
    first, end = feed.start_ns, feed.end_ns
    step = max(1, -(-(end - first) // stretches))
    return range(first + step, end, step)
