"""The fidelity ladder: one strategy and window on bars, on trades, on best bid and ask, and on full depth, side by side.

The poorer recordings are made of the full one, with the same bars, so that strategies on bars decide alike everywhere; fills
are held against the mids of the full book on every rung.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.report.costs import Correction, Cost, correction, cost_of
from simcore.report.kpis import figures_of
from simcore.report.metrics import without_nan
from simcore.report.run import Run, iso, write_whole
from simcore.report.words import figure

if TYPE_CHECKING:
    import pandas as pd

    from replay_data.feed import Feed

BARS, TRADES, TOUCH, DEPTH = "bars", "trades", "touch", "depth"
RUNGS = {BARS: "bars", TRADES: "trades", TOUCH: "best bid/ask", DEPTH: "full depth"}
TAKEN = ("n_orders", "n_routes", "maker_share", "gave_up_share", "traded", "fees", "n_trades", "net_pnl")
SHOWN = (
    ("n_orders", "Orders", "count"), ("maker_fill_rate", "Maker fill rate", "pct"), ("reject_rate", "Refused at arrival", "pct"),
    ("time_to_fill_s", "Time to fill", "seconds"), ("maker_share", "Maker share", "pct"), ("fallback_share", "Fallback", "pct"),
    ("maker_markout_1s_bps", "Maker markout 1 s, bps", "bps"), ("maker_markout_5s_bps", "Maker markout 5 s, bps", "bps"),
    ("maker_markout_30s_bps", "Maker markout 30 s, bps", "bps"), ("taker_markout_5s_bps", "Taker markout 5 s, bps", "bps"),
    ("cost_bps", "Cost, bps of traded", "bps"), ("cost_se_bps", "± s.e.", "bps"), ("n_decisions", "Decisions filled", "count"),
    ("traded", "Traded", "money"), ("fees", "Fees", "money"), ("n_trades", "Trades", "count"), ("net_pnl", "Net PnL", "money"),
)  # fmt: skip


def rungs_of(feed: Feed, bars: str, sigma_day: float, volume_day_usd: float) -> dict[str, Feed]:
    """Return the feed of each rung, made of the full-depth one.

    bars: length of the bars that every rung carries. sigma_day, volume_day_usd: the day's figures on bars that know none, as on
    books.
    """
    from replay_data.reduce import bars_only, touch_only, trades_only, with_bars

    whole = with_bars(feed, bars)
    return {
        BARS: with_day(bars_only(feed, bars), sigma_day, volume_day_usd),
        TRADES: trades_only(whole),
        TOUCH: touch_only(whole),
        DEPTH: whole,
    }


def with_day(feed: Feed, sigma_day: float, volume_day_usd: float) -> Feed:
    """Return the feed with the day's figures filled in where its bars are too short a history to know them."""
    rows = feed.bars.copy()
    for (first, end), tick in zip(feed.bar_range, feed.instruments["tick_size"], strict=True):
        bars = rows[first:end]
        unknown = np.isnan(bars["sigma_day"]) | np.isnan(bars["volume_day"])
        bars["sigma_day"][unknown] = sigma_day
        bars["volume_day"][unknown] = volume_day_usd / (bars["open_ticks"][unknown] * float(tick))
    return replace(feed, bars=rows)


@dataclass
class Ladder:
    """The rungs of one strategy and window: a `Run` each, or the reason why there is none.

    `table` is a frame of the figures, one column a rung; `correction` what a bar-only cost needs, None where bars cannot say.
    """

    market: Feed
    runs: dict[str, Run]
    reasons: dict[str, str]
    costs: dict[str, Cost]

    @classmethod
    def climb(cls, feeds: dict[str, Feed], play: Callable[[Feed], Run]) -> Ladder:
        """Replay every rung; a rung on which the strategy cannot run keeps its reason."""
        from simcore.domain.errors import ConfigError

        runs, reasons, market = {}, {}, feeds[DEPTH]
        for name, feed in feeds.items():
            try:
                runs[name] = play(feed)
            except ConfigError as error:
                if name == DEPTH:
                    raise
                reasons[name] = str(error)
        return cls(market, runs, reasons, {name: cost_of(run.recording, market) for name, run in runs.items()})

    @cached_property
    def figures(self) -> dict[str, dict[str, Any]]:
        """{rung: {figure: value}}, each with its n; markouts and costs against the mids of the full book."""
        rows = {}
        for name, run in self.runs.items():
            cost, metrics = self.costs[name], run.metrics
            rows[name] = {
                **figures_of(run.recording, self.market),
                **{key: metrics[key] for key in TAKEN},
                "cost_bps": cost.bps,
                "cost_se_bps": cost.se_bps,
                "n_decisions": cost.n,
            }
        return rows

    @property
    def correction(self) -> Correction | None:
        """What to add to the cost a bar-only replay says, to get that of full depth."""
        return correction(self.costs[BARS], self.costs[DEPTH]) if BARS in self.costs else None

    @cached_property
    def table(self) -> pd.DataFrame:
        """The figures, one column a rung."""
        import pandas as pd

        return pd.DataFrame(self.figures)

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of the ladder; what is not determined is null."""
        first = self.runs[DEPTH].recording
        found = self.correction
        summary: dict[str, Any] = without_nan(
            {
                "strategies": list(first.strategies),
                "symbols": list(first.feed.symbols),
                "start": iso(first.start_ns),
                "end": iso(first.end_ns),
                "data": self.market.content_hash,
                "rungs": {
                    name: {**self.figures[name], "digest": self.runs[name].digest} if name in self.runs else {"reason": self.reasons[name]}
                    for name in RUNGS
                },
                "correction": None if found is None else found._asdict(),
            }
        )
        return summary

    def sentence(self) -> str:
        """Return the correction in words."""
        found = self.correction
        if found is None:
            return "There is no bar-only result to correct: the strategy needs an order book."
        if not np.isfinite(found.bps):
            return "Too little was traded to say what a bar-only result needs."
        said = f"A bar-only cost of {figure(self.costs[BARS].bps, 'bps')} bps of traded notional needs {found.bps:+.2f} bps"
        if not np.isfinite(found.se_bps):
            return f"{said}; too few decisions to say how sure that is."
        return f"{said} ± {found.se_bps:.2f} (95 %: {found.low_bps:+.2f} to {found.high_bps:+.2f}) to be that of full depth."

    def save(self, folder: str | Path) -> Path:
        """Write fidelity.json, and each rung's run in a folder of its name; return the path of the first."""
        folder = Path(folder)
        for name, run in self.runs.items():
            run.save(folder / name)
        text = json.dumps(self.summary(), indent=1, allow_nan=False, ensure_ascii=False)
        return Path(write_whole(folder / "fidelity.json", lambda out: out.write(text.encode())))

    def show(self) -> None:
        """Print the rungs side by side, and the correction."""
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for name in RUNGS:
            table.add_column(RUNGS[name], justify="right")
        for key, label, unit in SHOWN:
            table.add_row(label, *(figure(self.figures[name][key], unit) if name in self.runs else "–" for name in RUNGS))
        console = Console(highlight=False)
        console.print(table)
        for name, reason in self.reasons.items():
            console.print(f"{RUNGS[name]}: {reason}", markup=False)
        console.print(self.sentence(), markup=False)

    def __repr__(self) -> str:
        return f"<Ladder {', '.join(self.runs)}: {self.sentence()}>"
