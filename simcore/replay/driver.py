"""The single-step driver: plays a feed through the decision core one input at a time, from Python, as live does.

The simulated venue is its world. What `engine/step.py` does a million times a second is written out here once more in the
plainest way, in the order of `engine/schedule.py`, so that the two can be held against each other: equal digests, equal
journals, to the last byte. A slice costs about a millisecond here: this is for tests, for debuggers and for reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from replay_data.feed import Feed
from simcore.config import Config
from simcore.decision.market import on_filter_nb
from simcore.decision.stream import begin_nb, end_nb, take_inputs_nb
from simcore.domain.enums import InputKind
from simcore.domain.errors import InvariantError
from simcore.domain.records import INPUT, REPORT, VIEW
from simcore.engine.matching import match_bar_nb
from simcore.engine.schedule import NEVER
from simcore.engine.step import MAX_ROUNDS
from simcore.engine.takeover import check_margin_nb
from simcore.engine.venue import deposit_nb, on_request_nb, see_bar_nb, see_mark_nb, settle_funding_nb
from simcore.learning.snapshots import PolicyHistory
from simcore.ledger import Collector
from simcore.replay.journal import Decrees, Journal
from simcore.replay.plan import build_core, build_instruments, build_venue, make_plan
from simcore.replay.refresher import Refresher, make_refresher
from simcore.replay.session import E8, speak, strategy_functions
from simcore.strategy import Strategy

STREAMS = ("bars", "marks", "funding", "filters")


class Cursor:
    """One symbol's rows of one stream, in order of time, with the time at which each becomes known."""

    def __init__(self, rows: np.ndarray, first: int, end: int, known_after_ns: int) -> None:
        self.rows, self.at, self.end = rows, first, end
        self._time = "open_ns" if "open_ns" in (rows.dtype.names or ()) else "ts_ns"
        self._after = known_after_ns

    @property
    def next_ns(self) -> int:
        """When the next row becomes known, NEVER after the last."""
        return int(self.rows[self._time][self.at]) + self._after if self.at < self.end else NEVER

    def due(self, now_ns: int) -> Iterator[Any]:
        """Yield the rows that are known at `now_ns`, and move past each."""
        while self.next_ns <= now_ns:
            yield self.rows[self.at]
            self.at += 1


class Driver:
    """A decision core and a simulated venue, taken from slice to slice of a feed by hand.

    feed, config, strategies, interpreted: as in `Session`. Raises what `Session` raises.
    """

    def __init__(
        self,
        feed: Feed,
        config: Config,
        strategies: list[Strategy] | None = None,
        interpreted: bool = False,
        history: PolicyHistory | None = None,
    ) -> None:
        self.feed = feed
        self.interpreted = interpreted
        self.plan = make_plan(feed, config, strategies)
        instruments = build_instruments(self.plan)
        self.venue: Any = build_venue(self.plan, instruments)[0]
        self.cores, self.memory = build_core(self.plan, instruments)
        self.output = Collector()
        self.requests: list[np.ndarray] = []
        self.functions = strategy_functions(self.plan, compiled=not interpreted)
        self._inputs: list[np.ndarray] = []
        self._reports: list[np.ndarray] = []
        self._decrees = Decrees()
        self.refresher = make_refresher(self.plan, self.core, instruments, history)
        self._cursors = {stream: self._cursors_of(stream) for stream in STREAMS}
        deposit_nb(self.venue, round(config.cash * E8), feed.start_ns)

    def _cursors_of(self, stream: str) -> list[Cursor]:
        """Return one cursor a symbol; a bar is known when it closes, everything else at its own time."""
        rows = getattr(self.feed, stream)
        ranges = getattr(self.feed, "funding_range" if stream == "funding" else f"{stream[:-1]}_range")
        wait = self.feed.interval_ns if stream == "bars" else np.zeros(len(ranges), np.int64)
        return [Cursor(rows, int(first), int(end), int(wait[at])) for at, (first, end) in enumerate(ranges)]

    @property
    def core(self) -> Any:
        """The CORE record."""
        return self.cores[0]

    @property
    def next_ns(self) -> int | None:
        """Time of the next slice (ns UTC); None when the feed is over."""
        first = min(cursor.next_ns for cursors in self._cursors.values() for cursor in cursors)
        return None if first >= NEVER else first

    # ------------------------------------------------------------ one slice

    def step(self) -> bool:
        """Play the next slice, all events of one instant; False when there is none left."""
        now_ns = self.next_ns
        if now_ns is None:
            return False
        while self.refresher is not None and self.refresher.next_ns <= now_ns:
            self._refresh(self.refresher)
        self.core["now_ns"] = self.venue["now_ns"] = now_ns
        self._close_bars(now_ns)
        self._reveal_marks(now_ns)
        self._settle_funding(now_ns)
        self._change_filters(now_ns)
        check_margin_nb(self.venue, now_ns)
        self._deliver_reports(now_ns)
        self._decide(now_ns)
        self._send_requests(now_ns)
        self._check(now_ns)
        return True

    def _refresh(self, refresher: Refresher) -> None:
        """Let the tick that is due put its policies into force."""
        decree = refresher.tick(self.core, self.feed)
        if decree is not None:
            decree.enforce(self.core)
            self._inputs.append(self._decrees.add(decree))

    def _close_bars(self, now_ns: int) -> None:
        """Match the orders of each symbol whose bar closes now, then show the bar to venue and core."""
        for symbol, cursor in enumerate(self._cursors["bars"]):
            for bar in cursor.due(now_ns):
                match_bar_nb(self.venue, symbol, bar)
                see_bar_nb(self.venue, symbol, bar)
                self._take(InputKind.BAR, now_ns, symbol, bar=bar)

    def _reveal_marks(self, now_ns: int) -> None:
        for symbol, cursor in enumerate(self._cursors["marks"]):
            for mark in cursor.due(now_ns):
                see_mark_nb(self.venue, symbol, mark, mark["span_ns"] <= self.feed.interval_ns[symbol])
                self._take(InputKind.MARK, now_ns, symbol, x=mark["close"])

    def _settle_funding(self, now_ns: int) -> None:
        for symbol, cursor in enumerate(self._cursors["funding"]):
            for funding in cursor.due(now_ns):
                settle_funding_nb(self.venue, symbol, funding)
                self._take(InputKind.FUNDING_RATE, now_ns, symbol, a=funding["rate_e8"], b=funding["interval_ns"])

    def _change_filters(self, now_ns: int) -> None:
        for symbol, cursor in enumerate(self._cursors["filters"]):
            for row in cursor.due(now_ns):
                on_filter_nb(self.venue["instrument"][symbol], row)
                self._take(InputKind.FILTER, now_ns, symbol, index=cursor.at)

    def _deliver_reports(self, now_ns: int) -> None:
        """Hand every waiting report to the core, in the venue's order."""
        reports = self.venue["report"][: self.venue["n_reports"]].copy()
        self.venue["n_reports"] = 0
        for report in reports:
            self._reports.append(np.array([report], REPORT))
            self._take(InputKind.REPORT, now_ns, -1, index=len(self._reports) - 1)

    def _decide(self, now_ns: int) -> None:
        if not self.interpreted:
            self._take(InputKind.DECIDE, now_ns, -1)
            return
        self._note(InputKind.DECIDE, now_ns, -1)
        begin_nb(self.cores, now_ns, self.functions)
        speak(self.plan, self.core, self.memory)
        end_nb(self.cores, self.functions)

    def _send_requests(self, now_ns: int) -> None:
        """Let core and venue talk until the core asks for nothing more."""
        for _ in range(MAX_ROUNDS + 1):
            requests = self.core["request"][: self.core["n_requests"]].copy()
            if not requests.size:
                return
            self.core["n_requests"] = 0
            self.requests.append(requests)
            for request in requests:
                on_request_nb(self.venue, request)
            self._deliver_reports(now_ns)
        raise InvariantError(f"core and venue do not stop talking at {now_ns} ns.")

    def _take(self, kind: InputKind, now_ns: int, symbol: int, **fields: Any) -> None:
        """Note one input in the journal and hand it to the core."""
        item = self._note(kind, now_ns, symbol, **fields)
        reports = np.zeros(0, REPORT)
        if kind == InputKind.REPORT:
            item, reports = item.copy(), self._reports[-1]
            item["index"] = 0
        take_inputs_nb(self.cores, item, 0, 1, reports, np.zeros(0, VIEW), self.feed.filters, self.memory, self.functions)

    def _note(self, kind: InputKind, now_ns: int, symbol: int, **fields: Any) -> np.ndarray:
        item = np.zeros(1, INPUT)
        row = item[0]
        row["kind"], row["ts_ns"], row["symbol"] = kind, now_ns, symbol
        for name, value in fields.items():
            row[name] = value
        self._inputs.append(item)
        return item

    def _check(self, now_ns: int) -> None:
        for owner, record in (("core", self.core), ("venue", self.venue)):
            if record["broken"]:
                raise InvariantError(f"the {owner} broke (code {int(record['broken'])}) at {now_ns} ns.")
        if self.refresher is not None:
            self.refresher.note(self.core)
        self.output.collect(self.core)

    # ------------------------------------------------------------ the whole

    def finish(self) -> None:
        """Play every slice that is left."""
        while self.step():
            pass

    def digest(self) -> str:
        """Return the digest of everything the core decided so far."""
        return self.output.digest()

    def journal(self) -> Journal:
        """Return the input stream so far."""
        inputs, reports = [*self._inputs, np.zeros(0, INPUT)], [*self._reports, np.zeros(0, REPORT)]
        tables = np.concatenate(inputs), np.concatenate(reports), self.feed.filters, np.zeros(0, VIEW)
        return Journal(*tables, *self._decrees.tables())
