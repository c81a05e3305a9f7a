"""The session: one replay in progress, advanced in steps of any size, stopped, copied and resumed at will."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from replay_data.feed import Feed
from replay_data.interval import iso
from simcore.config import Config
from simcore.decision.joints import core_functions
from simcore.decision.pipeline import concerns_nb
from simcore.domain.enums import CalledOn
from simcore.domain.errors import InvariantError, StrategyError
from simcore.domain.records import MAX_STRATEGIES, MAX_SYMBOLS
from simcore.engine.account import wallet_identity_nb
from simcore.engine.book_joints import book_functions
from simcore.engine.book_step import advance_books_nb, deliver_rest_nb
from simcore.engine.joints import venue_functions
from simcore.engine.schedule import NEVER, next_slice_nb, open_schedule_nb
from simcore.engine.step import PHASE_STRATEGIES, Stop, advance_nb
from simcore.engine.venue import deposit_nb
from simcore.learning.snapshots import PolicyHistory
from simcore.ledger import Collector
from simcore.replay.books import Books
from simcore.replay.journal import JournalTables
from simcore.replay.plan import Plan, build_core, build_instruments, build_run, build_venue, make_plan
from simcore.replay.refresher import Refresher, make_refresher
from simcore.strategy import Strategy, noop_bar, noop_cross

FOREVER = NEVER - 1
ALL_SLICES = 2**62
E8 = 100_000_000

BROKEN = {
    1: "the ledger's table is full within one decision: replay fewer symbols or strategies",
    2: "the request queue is full within one decision: replay fewer symbols or strategies",
    3: "the route table is full: replay fewer symbols or strategies, or shorten settings.json: router.wait_s",
    4: "the trade table is full within one decision: replay fewer symbols or strategies",
    5: "the equity table is full within one decision: raise settings.json: equity_sample_s",
    11: "the report queue is full within one slice: replay fewer symbols or strategies",
    21: "core and venue do not stop talking within one decision",
}


class Session:
    """One replay: venue, core and cursors as records, and what they have written so far.

    Every way of moving it forward gives the same bytes: in one go, slice by slice, cut and resumed, copied and resumed.
    """

    def __init__(
        self,
        feed: Feed,
        config: Config,
        strategies: list[Strategy] | None = None,
        *,
        interpreted: bool = False,
        journal: bool = False,
        history: PolicyHistory | None = None,
    ) -> None:
        self.plan: Plan = make_plan(feed, config, strategies)
        self.feed = feed
        self.interpreted = interpreted
        instruments = build_instruments(self.plan)
        self.runs = build_run(self.plan)
        self.venues = build_venue(self.plan, instruments)
        self.cores, self.memory = build_core(self.plan, instruments)
        self.feed_instruments = instruments
        self.output = Collector()
        self.journal = JournalTables(journal)
        self.runs[0]["journal_on"] = int(journal)
        self.runs[0]["external"] = int(interpreted)
        open_schedule_nb(self.runs[0], feed.bars, feed.marks, feed.funding, feed.filters)
        deposit_nb(self.venues[0], round(config.cash * E8), feed.start_ns)
        self.books = Books(self.plan) if feed.kind == "book" else None
        self.functions = strategy_functions(self.plan, compiled=not interpreted)
        self.refresher: Refresher | None = make_refresher(self.plan, self.core, instruments, history)

    # ------------------------------------------------------------ state

    @property
    def run(self) -> Any:
        """The RUN record: cursors and counters."""
        return self.runs[0]

    @property
    def core(self) -> Any:
        """The CORE record: everything the decision core knows."""
        return self.cores[0]

    @property
    def venue(self) -> Any:
        """The VENUE record: the exchange's own books."""
        return self.venues[0]

    @property
    def next_ns(self) -> int | None:
        """Time of the next slice (ns UTC); None when the tape is over."""
        ts_ns = int(next_slice_nb(self.run))
        return None if ts_ns >= NEVER else ts_ns

    def copy(self) -> Session:
        """Return an independent copy: a checkpoint to go back to, or a fork to try something in."""
        twin = copy.copy(self)
        for name in ("runs", "venues", "cores", "memory"):
            setattr(twin, name, getattr(self, name).copy())
        twin.books = self.books.copy() if self.books is not None else None
        twin.output = self.output.copy()
        twin.journal = self.journal.copy()
        twin.refresher = None if self.refresher is None else self.refresher.copy()
        return twin

    # ------------------------------------------------------------ moving on

    def advance(self, until_ns: int = FOREVER, max_slices: int = ALL_SLICES) -> int:
        """Play up to and including `until_ns`, at most `max_slices` slices; return the slices played.

        Raises StrategyError when a strategy stops, InvariantError when the state contradicts itself.
        """
        before = int(self.run["slices"])
        while True:
            begun = int(self.run["phase"] == PHASE_STRATEGIES)
            tick_ns = NEVER if self.refresher is None else self.refresher.next_ns
            stop = self._advance(min(until_ns, tick_ns - 1), max_slices - (int(self.run["slices"]) - before) - begun)
            if stop == Stop.WAKE:
                speak(self.plan, self.core, self.memory)
            elif stop == Stop.EMPTY_OUTBOX:
                self.collect()
            elif stop == Stop.BROKEN:
                self._broken()
            elif self.refresher is not None and tick_ns <= until_ns and int(self.run["slices"]) - before < max_slices:
                self._refresh(self.refresher)
            else:
                return int(self.run["slices"]) - before

    def _advance(self, until_ns: int, max_slices: int) -> int:
        feed, books, journal = self.feed, self.books, self.journal
        try:
            if books is not None:
                return int(
                    advance_books_nb(
                        self.runs, books.streams, self.venues, self.cores, feed.events, books.lots, books.local_lots, books.resting,
                        books.books, books.local_books, feed.ladders, books.latencies, books.entries, books.responses, feed.bars,
                        feed.marks, feed.funding, feed.filters, journal.inputs, journal.reports, journal.views, self.memory,
                        venue_functions(on_books=True), book_functions(), self.functions, until_ns, max_slices,
                    )
                )  # fmt: skip
            return int(
                advance_nb(
                    self.runs, self.venues, self.cores, feed.bars, feed.marks, feed.funding, feed.filters,
                    journal.inputs, journal.reports, self.memory, venue_functions(), self.functions, until_ns, max_slices,
                )
            )  # fmt: skip
        except (ZeroDivisionError, IndexError, ValueError) as error:
            raise StrategyError(
                f"a strategy stopped at {iso(int(self.core['now_ns']))}: {error}. Run with --interpreted to see its line."
            ) from error

    def _refresh(self, refresher: Refresher) -> None:
        """Let the tick that is due put its policies into force, and note them in the journal."""
        self.collect()
        decree = refresher.tick(self.core, self.feed)
        if decree is not None:
            decree.enforce(self.core)
            self.journal.note_decree(decree)

    def collect(self) -> None:
        """Move what the run has written out of its tables."""
        if self.refresher is not None:
            self.refresher.note(self.core)
        self.output.collect(self.core)
        self.journal.collect(self.run, None if self.books is None else self.books.stream)

    def finish(self) -> None:
        """Play to the end of the tape and collect; checks that the books balance."""
        self.advance()
        if self.books is not None:
            journal = self.journal
            deliver_rest_nb(self.runs, self.books.streams, self.cores, journal.inputs, journal.reports, self.functions)
        self.collect()
        self.check()

    def check(self) -> None:
        """Raise InvariantError unless both books balance to the last unit and agree with each other."""
        for owner, account in (("core", self.core["account"]), ("venue", self.venue["account"])):
            difference = int(wallet_identity_nb(account))
            if difference:
                raise InvariantError(
                    f"the {owner}'s books are off by {difference}e-8 at {iso(int(self.core['now_ns']))}, after slice {self.run['slices']}."
                )
        if self.core["account"]["wallet_e8"] != self.venue["account"]["wallet_e8"] and not self.venue["n_reports"]:
            raise InvariantError(f"core and venue disagree on the wallet after slice {self.run['slices']}.")

    def _broken(self) -> None:
        code = int(self.core["broken"]) or int(self.venue["broken"])
        when = iso(int(self.core["now_ns"]))
        raise InvariantError(f"slice {self.run['slices']} ({when}): {BROKEN.get(code, f'code {code}')}.")

    def with_feed(self, feed: Feed) -> Session:
        """Return a copy that goes on over another feed of the same shape (for tests that change the future)."""
        twin = self.copy()
        twin.feed = feed
        twin.plan = dataclasses.replace(self.plan, feed=feed)
        return twin


def strategy_functions(plan: Plan, compiled: bool) -> Any:
    """Return the core's function table of a run, its places for strategies filled up with ones that do nothing."""
    bars: list[Any] = [noop_bar] * MAX_STRATEGIES
    crosses: list[Any] = [noop_cross] * MAX_STRATEGIES
    if compiled:
        for index, use in enumerate(plan.uses):
            (crosses if use.strategy.on == "cross" else bars)[index] = use.strategy.compiled
    return core_functions(tuple(bars), tuple(crosses), quoting=any(use.strategy.quotes for use in plan.uses))


def event_calls(core: Any, place: Any, own: int) -> list[int]:
    """Return the symbols whose book a strategy should see now, and count its calls: `call_event_strategies_nb` in plain Python."""
    concerns = getattr(concerns_nb, "py_func", concerns_nb)
    on, now, n = int(place["on"]), int(core["now_ns"]), int(core["n_symbols"])
    if on == CalledOn.TIMER:
        if now < place["due_ns"]:
            return []
        place["due_ns"] = (now // int(place["every_ns"]) + 1) * int(place["every_ns"])
    called = [s for s in range(n) if not core["sleeve"][own + s]["barred"] and concerns(core["market"][s], on)]
    for symbol in called:
        core["sleeve"][own + symbol]["calls"] += 1
    return called


def speak(plan: Plan, core: Any, memory: np.ndarray) -> None:
    """Let every strategy state its wish in plain Python, in the engine's own order."""
    from simcore.strategy.compile import trouble

    n = int(core["n_symbols"])
    for index, use in enumerate(plan.uses):
        place = core["strategy"][index]
        first, own = int(place["timeframe"]) * MAX_SYMBOLS, index * MAX_SYMBOLS
        params, base, stride = int(place["param_base"]), int(place["memory_base"]), int(place["memory_stride"])
        fresh = core["market"]["fresh"][first : first + n]
        function: Callable[..., None] = use.strategy.python
        try:
            with np.errstate(divide="raise", invalid="raise"):
                if use.strategy.on == "cross":
                    if fresh.any():
                        rows = (core[name][own : own + n] for name in ("sleeve", "signal"))
                        sleeves, signals = rows
                        function(core["market"][first : first + n], sleeves, memory, params, base, stride, signals, n)
                    continue
                called = event_calls(core, place, own) if use.strategy.on_book else np.flatnonzero(fresh)
                for symbol in called:
                    market, sleeve = core["market"][first + symbol], core["sleeve"][own + symbol]
                    function(market, sleeve, memory, params, base + int(symbol) * stride, core["signal"][own + symbol])
        except Exception as error:
            raise trouble(use.strategy, error) from error

