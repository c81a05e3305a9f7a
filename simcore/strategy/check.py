"""The check of a strategy: proofs by trial that it may be trusted with a replay.

It repeats itself, sees no future, leaves its inputs alone, says the same compiled and interpreted, and says finite things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.domain.errors import StrategyError
from simcore.domain.records import MARKET, SIGNAL
from simcore.strategy.captured import captured, cut_off, future_removed, rows_known, scrambler
from simcore.strategy.drive import Drive, History, run, trial_history
from simcore.strategy.history import as_history

if TYPE_CHECKING:
    from simcore.strategy.definition import Strategy

PRICES = ("open", "high", "low", "close", "volume", "mark", "funding_rate", "sigma_day", "volume_day")
BOOK_PRICES = ("bid", "ask", "bid_qty", "ask_qty", "bid_depth", "ask_depth", "buy_qty", "sell_qty", "last", "spread_bps")
MAY_BE_NAN = ("bid", "ask")
RANGES = {
    "side": (-1, 1), "strength": (0.0, 1.0), "urgency": (0.0, 1.0),
    "stop_distance": (0.0, np.inf), "target_distance": (0.0, np.inf), "horizon_s": (0.0, np.inf),
    "quote_levels": (0, np.inf), "quote_step": (0.0, np.inf), "bid_size": (0.0, 1.0), "ask_size": (0.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What the check found: `problems` make a strategy unfit, `notes` are worth knowing."""

    strategy: str
    bars: int
    symbols: tuple[str, ...]
    wishes: int
    cuts: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found against it."""
        return not self.problems

    def raise_for_problems(self) -> Report:
        """Return the report, or raise StrategyError with every problem."""
        if self.problems:
            raise StrategyError("\n".join(self.problems))
        return self

    def __str__(self) -> str:
        found = "no problem found" if self.ok else f"{len(self.problems)} problem(s)"
        head = f"{self.strategy}: {self.bars:,} bars of {', '.join(self.symbols)}, {self.wishes:,} wishes, {self.cuts} cuts"
        lines = [f"{head}: {found}"]
        return "\n".join([*lines, *(f"  problem: {p}" for p in self.problems), *(f"  note: {n}" for n in self.notes)])


def check_strategy(
    strategy: Strategy,
    bars: Any = None,
    params: Mapping[str, float] | None = None,
    *,
    cuts: int = 8,
    seed: int = 7,
    max_steps: int = 20_000,
    interpreted_steps: int = 1_500,
    tick_size: float = 0.01,
) -> Report:
    """Drive `strategy` alone over `bars` and report what it does that a strategy must not do.

    bars: nothing (a built-in random walk, of order books for a strategy that follows one), a Feed, a frame with open, high,
        low, close, volume, a dict of symbol → frame, or a BAR array with its `tick_size`. The first `max_steps` closing times are
        used, interpreted the first `interpreted_steps`, and `cuts` random places after which the data is cut off or replaced.
    A strategy that only runs interpreted is checked interpreted, with a note. Raises StrategyError if it raises itself.
    """
    if bars is None:
        history = trial_history(strategy.on, 5 if strategy.on == "cross" else 2, 1_000, strategy.every_ns)
    elif strategy.on_book and not isinstance(bars, History):
        raise StrategyError(f"{strategy.where}: {strategy.name} follows an order book; leave out the bars to check it on a random one.")
    else:
        history = as_history(bars, tick_size, max_steps)
    trial = _Trial(strategy, history, strategy.resolve(params), seed, max_steps, interpreted_steps)
    trial.repeats_itself()
    trial.leaves_inputs_alone()
    trial.says_finite_things()
    trial.same_interpreted()
    trial.sees_no_future(cuts)
    side = trial.reference.signals["side"]
    return Report(
        strategy.name, int(history.rows["fresh"][: trial.steps].sum()), history.symbols,
        int(np.count_nonzero(np.diff(side, axis=0))), cuts, tuple(dict.fromkeys(trial.problems)), tuple(trial.notes),
    )  # fmt: skip


class _Trial:
    def __init__(
        self, strategy: Strategy, history: History, params: dict[str, float], seed: int, max_steps: int, interpreted_steps: int
    ) -> None:
        self.strategy, self.params, self.seed = strategy, params, seed
        self.steps = min(history.steps, max_steps)
        self.history = History(history.rows[: self.steps].copy(), history.symbols)
        self.few = min(self.steps, interpreted_steps)
        self.problems: list[str] = []
        self.notes: list[str] = []
        try:
            strategy.compiled  # noqa: B018 - compiles it
            self.compiles = True
        except StrategyError as error:
            self.compiles = False
            self.notes.append(f"it runs only interpreted. {str(error).splitlines()[0]}")
        if not self.compiles:
            self.steps = self.few
        self.before = self.history.rows.copy()
        self.reference = self.drive(self.history)

    def drive(self, history: History, interpreted: bool = False, steps: int | None = None) -> Drive:
        return run(self.strategy, history, self.params, interpreted=interpreted or not self.compiles, steps=steps or self.steps)

    def against(self, what: str) -> None:
        self.problems.append(f"{self.strategy.where}: {self.strategy.name} {what}")

    def bar(self, step: int, symbol: int) -> str:
        row = self.before[step, symbol]
        opened = datetime.fromtimestamp(int(row["open_ns"]) // 10**9, UTC).strftime("%Y-%m-%d %H:%M")
        return f"bar {int(row['bars']) - 1} of {self.history.symbols[symbol]} ({opened})"

    def repeats_itself(self) -> None:
        again = self.drive(History(self.before.copy(), self.history.symbols))
        where = first_difference(self.reference.signals, again.signals)
        if where is None and not same_numbers(self.reference.memory, again.memory):
            where = (self.steps - 1, 0)
        if where is None and self.compiles:
            twice = [self.drive(History(self.before.copy(), self.history.symbols), True, self.few).signals for _ in range(2)]
            where = first_difference(*twice)
        if where is not None:
            self.against(f"does not repeat itself: run twice on the same data, it differs first on {self.bar(*where)}. "
                         f"Keep what lasts in memory, and use no clock, file or random source.")  # fmt: skip

    def leaves_inputs_alone(self) -> None:
        if self.history.rows.tobytes() == self.before.tobytes():
            n_params = len(self.params)
            values = np.array(list(self.params.values()))
            if same_numbers(self.reference.memory[:n_params], values) and self.reference.memory[-1] == 0.0:
                return
            self.against("writes outside its memory. Use names of memory only.")
            return
        changed = [n for n in MARKET.names or () if self.history.rows[n].tobytes() != self.before[n].tobytes()]
        self.history.rows[:] = self.before
        self.against(f"changes its inputs: market {', '.join(changed)}. Write to signal and memory only.")

    def says_finite_things(self) -> None:
        warm = self.before["bars"][: self.steps] >= self.strategy.warmup(self.params)
        for name in SIGNAL.names or ():
            values = self.reference.signals[name]
            low, high = RANGES.get(name, (-np.inf, np.inf))
            none = np.isnan(values) if name in MAY_BE_NAN else np.zeros(values.shape, bool)
            bad = ~none & (~np.isfinite(values.astype(np.float64)) | (values < low) | (values > high))
            if bad.any():
                step, symbol = np.argwhere(bad)[0]
                allowed = f"{low:g} to {high:g}" if name in RANGES else "a finite number"
                value = values[step, symbol]
                self.against(f"sets signal['{name}'] to {value:g} on {self.bar(step, symbol)}; it must be {allowed}.")
        wishes = (self.reference.signals["side"] != 0) | (self.reference.signals["quote_levels"] > 0)
        early = wishes & ~warm
        if early.any():
            step, symbol = np.argwhere(early)[0]
            need = self.strategy.warmup(self.params)
            first = self.bar(step, symbol)
            self.notes.append(f"it wishes before its warm-up of {need} bars, first on {first}; the screener drops that.")
        if not wishes.any():
            self.notes.append("it never wished for a position here.")

    def same_interpreted(self) -> None:
        if not self.compiles:
            return
        plain = self.drive(self.history, interpreted=True, steps=self.few)
        where = first_difference(self.reference.signals[: self.few], plain.signals)
        if where is not None:
            self.against(f"differs interpreted from compiled first on {self.bar(*where)}. "
                         f"Look for what compiled code freezes: globals that change, or integers that overflow.")  # fmt: skip

    def sees_no_future(self, cuts: int) -> None:
        """Change everything after random cuts, in the rows handed over and in what the strategy holds besides them."""
        rng = np.random.default_rng(self.seed)
        for k in range(cuts):
            cut = int(rng.integers(0, max(1, self.steps - 1)))
            self.compare(self.altered(cut, rng), cut, interpreted=False)
            if k < 2 and self.compiles:
                self.compare(self.altered(min(cut, self.few - 2), rng), min(cut, self.few - 2), interpreted=True)
        data = captured(self.strategy, min(self.few, self.steps))
        if data:
            names = ", ".join(sorted({d.name for d in data}))
            self.notes.append(f"it can reach data besides its arguments: {names}.")
            for k in range(max(cuts, 1)):
                self.without_future(data, int(rng.integers(0, max(1, self.few - 1))), k)

    def altered(self, cut: int, rng: np.random.Generator) -> History:
        rows = self.before.copy()
        tail = rows[cut + 1 :]
        order = rng.permutation(len(tail))
        for name in (*PRICES, *BOOK_PRICES) if self.strategy.on_book else PRICES:
            tail[name] = tail[name][order] * rng.lognormal(0.0, 0.5, size=tail.shape)
        return History(rows, self.history.symbols)

    def compare(self, other: History, cut: int, interpreted: bool) -> None:
        reference = self.drive(self.history, interpreted=True, steps=cut + 1) if interpreted else self.reference
        for steps in (cut + 1, None):
            signals = self.drive(other, interpreted, steps=steps or (self.few if interpreted else self.steps)).signals
            where = first_difference(reference.signals[: cut + 1], signals[: cut + 1])
            if where is not None:
                self.against(f"reads the future: its signal on {self.bar(*where)} changes with data after that bar.")

    def without_future(self, data: list[Any], cut: int, k: int) -> None:
        """Exchange what the captured data says after `cut`, and see whether a wish up to it changes."""
        names = ", ".join(sorted({d.name for d in data}))
        symbol = int(np.argmax(self.before["fresh"][: self.few].sum(axis=0)))
        own = self.before[self.before["fresh"][:, symbol] == 1, symbol]
        bar = int(self.before[cut, symbol]["bars"]) - 1
        if bar < 0:
            return
        last = rows_known(data, own["close"], own["open_ns"], bar)
        normal = self.drive(self.history, interpreted=True, steps=cut + 1)
        for change in (scrambler(self.seed + k), cut_off):
            where: tuple[int, int] | None
            try:
                with future_removed(data, last, change):
                    changed = self.drive(self.history, interpreted=True, steps=cut + 1)
                where = first_difference(normal.signals, changed.signals)
            except StrategyError:
                where = (cut, symbol)
            if where is not None:
                self.against(f"reads the future: its signal on {self.bar(*where)} changes with later rows of '{names}'. "
                             f"Take data from market and keep it in memory.")  # fmt: skip
                return


def same_numbers(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether two float arrays hold the same bits, any NaN being like another."""
    return bool(np.all((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))))


def first_difference(a: np.ndarray, b: np.ndarray) -> tuple[int, int] | None:
    """Return step and symbol of the first signal that differs in any bit, or None."""
    differs = np.zeros(a.shape, dtype=bool)
    for name in SIGNAL.names or ():
        x, y = np.ascontiguousarray(a[name]), np.ascontiguousarray(b[name])
        unequal = x.view(np.int64) != y.view(np.int64)
        if x.dtype.kind == "f":
            unequal &= ~(np.isnan(x) & np.isnan(y))
        differs |= unequal
    if not differs.any():
        return None
    step, symbol = np.argwhere(differs)[0]
    return int(step), int(symbol)
