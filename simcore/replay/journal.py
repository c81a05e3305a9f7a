"""The journal: the recorded input stream of a run, and the re-run that feeds it back through the decision core alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from simcore.domain.enums import InputKind
from simcore.domain.errors import DataError, InvariantError
from simcore.domain.records import FILTER, INPUT, LIMITS, POLICY, REPORT, VIEW
from simcore.replay.refresher import Decree

if TYPE_CHECKING:
    from simcore.replay.plan import Plan

ROOM = 1 << 16
TABLES = {"inputs": INPUT, "reports": REPORT, "filters": FILTER, "views": VIEW, "policies": POLICY, "limits": LIMITS}
OPTIONAL = ("views", "policies", "limits")


class JournalTables:
    """The tables a running session notes its inputs in, and what was collected from them."""

    def __init__(self, on: bool) -> None:
        self.on = on
        room = ROOM if on else 1
        self.inputs = np.zeros(room, INPUT)
        self.reports = np.zeros(room, REPORT)
        self.views = np.zeros(room, VIEW)
        self._inputs: list[np.ndarray] = []
        self._reports: list[np.ndarray] = []
        self._views: list[np.ndarray] = []
        self._decrees = Decrees()

    def note_decree(self, decree: Decree) -> None:
        """Note policies that came into force, after everything else that was collected."""
        if self.on:
            self._inputs.append(self._decrees.add(decree))

    def collect(self, run: Any, stream: Any = None) -> None:
        """Take what was noted since the last call; `stream` is the record of a replay on books, which counts its views."""
        n_inputs, n_reports = int(run["n_inputs"]), int(run["n_reports"])
        if n_inputs:
            self._inputs.append(self.inputs[:n_inputs].copy())
            self.inputs[:n_inputs] = np.zeros(1, INPUT)  # a row writes only its own fields: nothing old may shine through
        if n_reports:
            self._reports.append(self.reports[:n_reports].copy())
        run["n_inputs"] = run["n_reports"] = 0
        run["reports_before"] += n_reports
        if stream is not None and stream["n_views"]:
            n_views = int(stream["n_views"])
            self._views.append(self.views[:n_views].copy())
            stream["n_views"] = 0
            stream["views_before"] += n_views

    def copy(self) -> JournalTables:
        """Return an independent copy."""
        twin = JournalTables(self.on)
        twin.inputs[:] = self.inputs
        twin.reports[:] = self.reports
        twin.views[:] = self.views
        twin._inputs, twin._reports, twin._views = list(self._inputs), list(self._reports), list(self._views)
        twin._decrees = self._decrees.copy()
        return twin

    def journal(self, filters: np.ndarray) -> Journal:
        """Return everything collected so far as a journal."""
        inputs = np.concatenate([*self._inputs, np.zeros(0, INPUT)])
        reports = np.concatenate([*self._reports, np.zeros(0, REPORT)])
        return Journal(inputs, reports, filters, np.concatenate([*self._views, np.zeros(0, VIEW)]), *self._decrees.tables())


class Decrees:
    """The policies a run has put into force, as tables that its inputs point into."""

    def __init__(self) -> None:
        self._policies: list[np.ndarray] = []
        self._limits: list[np.ndarray] = []

    def add(self, decree: Decree) -> np.ndarray:
        """Keep what came into force and return its INPUT row: index and a are the first rows in the two tables."""
        row = np.zeros(1, INPUT)
        row["kind"], row["ts_ns"], row["symbol"] = InputKind.POLICY, decree.ts_ns, -1
        row["index"] = sum(map(len, self._policies))
        row["a"] = sum(map(len, self._limits))
        self._policies.append(decree.policies)
        self._limits.append(decree.limits.ravel())
        return row

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all POLICY and all LIMITS rows."""
        return np.concatenate([*self._policies, np.zeros(0, POLICY)]), np.concatenate([*self._limits, np.zeros(0, LIMITS)])

    def copy(self) -> Decrees:
        """Return an independent copy."""
        twin = Decrees()
        twin._policies, twin._limits = list(self._policies), list(self._limits)
        return twin


@dataclass(frozen=True)
class Journal:
    """A recorded input stream: INPUT rows in the order the core took them; the reports, filters and views they point to."""

    inputs: np.ndarray
    reports: np.ndarray
    filters: np.ndarray
    views: np.ndarray = field(default_factory=lambda: np.zeros(0, VIEW))
    policies: np.ndarray = field(default_factory=lambda: np.zeros(0, POLICY))
    limits: np.ndarray = field(default_factory=lambda: np.zeros(0, LIMITS))

    def decree(self, item: Any, symbols: int, strategies: int) -> Decree:
        """Return what an input of kind POLICY put into force, in a run of so many symbols and strategies."""
        first, below = int(item["index"]), int(item["a"])
        limits = self.limits[below : below + strategies * symbols].reshape(strategies, symbols)
        return Decree(int(item["ts_ns"]), self.policies[first : first + symbols], limits)

    @cached_property
    def decrees_at(self) -> np.ndarray:
        """The places of the inputs of kind POLICY, ascending."""
        return np.flatnonzero(self.inputs["kind"] == InputKind.POLICY)

    def save(self, path: str | Path) -> None:
        """Write the journal as one .npz file, whole or not at all."""
        target = Path(path)
        part = target.with_name(target.name + ".part")
        with part.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in TABLES})
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Journal:
        """Read a journal back. Raises DataError when the file is no journal, or one of another version.

        A journal without views is one of bars, one without policies has learned nothing.
        """
        try:
            with np.load(path) as tables:
                read = {name: tables[name] for name in TABLES if name not in OPTIONAL or name in tables}
        except FileNotFoundError:
            raise DataError(f"{path}: no such file. Record a journal with run_replay(..., journal=PATH).") from None
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            raise DataError(f"{path}: not a whole journal. Record one with run_replay(..., journal=PATH).") from None
        for name, rows in read.items():
            if rows.dtype != TABLES[name]:
                raise DataError(f"{path}: its {name} were recorded by another version of simcore. Record it again.")
        return cls(**{name: _rows(rows, TABLES[name]) for name, rows in read.items()})

    def rerun(self, plan: Plan, *, interpreted: bool = False) -> CoreRun:
        """Feed the journal through a fresh decision core, without a venue; return what the core wrote.

        The plan must be made from the same config and instruments as the recorded run. Raises InvariantError when the core
        breaks on the way.
        """
        core_run = CoreRun(plan, interpreted=interpreted)
        core_run.take(self)
        return core_run


def _rows(table: np.ndarray, layout: np.dtype) -> np.ndarray:
    """Return a table read from disk under the layout kernels know; files forget that its fields are aligned."""
    return table.view(layout)


class CoreRun:
    """A decision core on its own: inputs in, requests and ledger out. This is how live runs it, too."""

    def __init__(self, plan: Plan, *, interpreted: bool = False) -> None:
        from simcore.ledger import Collector
        from simcore.replay.plan import build_core, build_instruments
        from simcore.replay.session import strategy_functions

        self.plan = plan
        self.interpreted = interpreted
        self.cores, self.memory = build_core(plan, build_instruments(plan))
        self.output = Collector()
        self.requests: list[np.ndarray] = []
        self.functions = strategy_functions(plan, compiled=not interpreted)

    @property
    def core(self) -> Any:
        """The CORE record."""
        return self.cores[0]

    def take(self, journal: Journal, first: int = 0, last: int | None = None) -> None:
        """Take the journal's inputs from row `first` to row `last` (exclusive)."""
        at, end = first, len(journal.inputs) if last is None else last
        while at < end:
            at += self.take_some(journal, at, end)
            self.empty()

    def take_some(self, journal: Journal, first: int, last: int) -> int:
        """Take inputs until the outbox has something in it; return how many were taken."""
        from simcore.decision.stream import begin_nb, end_nb, take_inputs_nb

        item = journal.inputs[first]
        if self.interpreted and item["kind"] == InputKind.DECIDE:
            from simcore.replay.session import speak

            begin_nb(self.cores, int(item["ts_ns"]), self.functions)
            speak(self.plan, self.core, self.memory)
            end_nb(self.cores, self.functions)
            return 1
        if item["kind"] == InputKind.POLICY:
            journal.decree(item, int(self.core["n_symbols"]), int(self.core["n_strategies"])).enforce(self.core)
            return 1
        decrees = journal.decrees_at
        ahead = int(np.searchsorted(decrees, first))
        last = min(last, int(decrees[ahead])) if ahead < len(decrees) else last
        last = first + 1 if self.interpreted else last
        tables = (journal.inputs, first, last, journal.reports, journal.views, journal.filters)
        return int(take_inputs_nb(self.cores, *tables, self.memory, self.functions))

    def empty(self) -> None:
        """Take requests and ledger rows out of the core's tables."""
        if self.core["broken"]:
            raise InvariantError(f"the core broke (code {int(self.core['broken'])}) at {int(self.core['now_ns'])} ns.")
        n = int(self.core["n_requests"])
        if n:
            self.requests.append(self.core["request"][:n].copy())
            self.core["n_requests"] = 0
        self.output.collect(self.core)

    def digest(self) -> str:
        """Return the digest of everything the core decided."""
        return self.output.digest()
