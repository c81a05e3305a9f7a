"""The run: a finished replay as a person holds it — figures, frames, files and the report.

>>> run = simcore.replay(strategy="ema_cross")     # doctest: +SKIP
>>> run.metrics["sharpe"], run.trades.head()       # doctest: +SKIP
>>> run.save("runs/first")                         # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from simcore.report import band, checks, frames, kpis, metrics, tearsheet
from simcore.report.definitions import BY_KEY
from simcore.report.words import figure

if TYPE_CHECKING:
    import pandas as pd

    from simcore.learning.refresh import Policies
    from simcore.replay import Recording

HEADLINE = (
    "net_pnl", "total_return", "cagr", "market_return", "sharpe", "sortino", "psr", "max_drawdown", "n_days", "n_trades",
    "hit_rate", "expectancy", "expectancy_se", "profit_factor", "gross_pnl", "fees", "funding", "slippage", "maker_share",
    "exposure_gross", "turnover", "ambiguous_exit_share", "liquidations",
)  # fmt: skip


class Run:
    """A finished replay.

    `metrics` is a dict of every figure (definitions in `simcore.report.definitions`), NaN where the run does not determine
    one. `trades`, `fills`, `orders`, `vetoes`, `equity`, `routes` are pandas frames with a UTC index, `stats` is a Series under
    backtesting.py's names. `band` has one row of figures a fill model and latency where `replay(band=True)` was asked for.
    `save(folder)` writes everything; `report(path)` the HTML page alone.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.files: dict[str, str] = {}
        self.band: list[dict[str, Any]] | None = None

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Every figure by key, and the trade tables `per_symbol`, `per_strategy`, `per_hour`, `per_exit_reason`, `per_side`."""
        return metrics.metrics_of(self.recording)

    @cached_property
    def checks(self) -> dict[str, Any]:
        """Whether the books balance to the integer, and what limits belief in the figures."""
        return checks.checks_of(self.recording)

    @property
    def digest(self) -> str:
        """The sha256 over ledger, trades and routes: equal digests, equal runs."""
        return self.recording.digest

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Closed trades, by time of exit."""
        return frames.to_pandas(frames.trades_columns(self.recording))

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Fills, by time."""
        return frames.to_pandas(frames.fills_columns(self.recording))

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Orders sent, with what became of each."""
        return frames.to_pandas(frames.orders_columns(self.recording))

    @cached_property
    def vetoes(self) -> pd.DataFrame:
        """Refusals of screener and gate: reason, value, cap."""
        return frames.to_pandas(frames.vetoes_columns(self.recording))

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Samples of the account, first and last moment included."""
        return frames.to_pandas(frames.equity_columns(self.recording))

    @cached_property
    def routes(self) -> pd.DataFrame:
        """The router's context of each parent order."""
        return frames.to_pandas(frames.routes_columns(self.recording))

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """The decision ledger: what was done and why, row by row."""
        return frames.to_pandas(frames.ledger_columns(self.recording))

    @cached_property
    def order_figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The router's key figures as {symbol: {"all" or hour: {figure: value}}}; definitions in `definitions.KPIS`."""
        return kpis.kpis_of(self.recording)

    @cached_property
    def kpis(self) -> pd.DataFrame:
        """The router's key figures by symbol and UTC hour ("all": the whole run), each with its number of observations."""
        import pandas as pd

        return pd.DataFrame(list(kpis.flat_rows(self.order_figures))).set_index(["symbol", "hour"])

    @cached_property
    def stats(self) -> pd.Series:
        """The figures under backtesting.py's names, per cent as numbers (5.0 is 5 %)."""
        import pandas as pd

        return pd.Series({**stats_of(self), "_equity_curve": self.equity, "_trades": self.trades}, dtype=object)

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of the run; what is not determined is null."""
        recording = self.recording
        summary: dict[str, Any] = metrics.without_nan(
            {
                "run": provenance(recording),
                "digest": recording.digest,
                "data": data_of(recording),
                "counts": checks.counts_of(recording),
                "speed": recording.speed,
                "metrics": self.metrics,
                "kpis": self.order_figures,
                "checks": self.checks,
                "files": self.files,
                **({} if self.band is None else {"band": {"net_pnl": band.span_of(self.band), "rows": self.band}}),
            }
        )
        return summary

    def save(self, folder: str | Path) -> dict[str, str]:
        """Write ledger, orders, fills, trades, vetoes, equity, routes (Parquet), summary.json and report.html; return the paths.

        A run that learned writes its policies, too: v6_policies.json and v6_policies.history.jsonl.

        Each file appears whole or not at all: it is written beside its place, synced, and renamed.
        """
        from concurrent.futures import ThreadPoolExecutor

        import pyarrow.parquet as pq

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = {"simcore.digest": self.digest, "simcore.data": self.recording.feed.label}
        with ThreadPoolExecutor(1) as writer:  # Parquet packs and syncs beside the page, which only Python makes
            jobs = {}
            for name, columns_of in frames.FRAMES.items():
                columns = columns_of(self.recording)
                # Dictionaries pay for names only: of numbers they make a larger file, in twice the time.
                names = [key for key, column in columns.items() if isinstance(column, frames.Names)]
                options = {"compression": "zstd", "use_dictionary": names or False, "write_statistics": False}
                write = partial(pq.write_table, frames.to_arrow(columns, stamp), **options)
                jobs[name] = writer.submit(write_whole, folder / f"{name}.parquet", write)
            report = self.report(folder / "report.html")
            files = {name: job.result() for name, job in jobs.items()}
        if self.recording.policies:
            files |= save_policies(self.recording.policies, folder)
        self.files = {**files, "report": str(report), "summary": str(folder / "summary.json")}
        text = json.dumps(self.summary(), indent=1, allow_nan=False, ensure_ascii=False)
        write_whole(folder / "summary.json", lambda out: out.write(text.encode()))
        return self.files

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML file that needs no network; return its path."""
        page = tearsheet.page(self.recording, self.metrics, self.checks, self.order_figures, self.band).encode()
        write_whole(Path(path), lambda out: out.write(page))
        return Path(path)

    def show(self) -> None:
        """Print a short table of the run."""
        from rich.console import Console
        from rich.table import Table

        table = Table(show_header=False, box=None, pad_edge=False)
        asset = tearsheet.quote_unit(self.recording)
        for key in HEADLINE:
            metric = BY_KEY[key]
            unit = f" {asset}" if metric.unit == "money" else ""
            table.add_row(metric.label, f"[bold]{figure(self.metrics[key], metric.unit)}[/bold]{escape_markup(unit)}")
        table.add_row("Books", "balanced" if self.checks["ledger_balanced"] else "[red]do not balance[/red]")
        table.add_row("Speed", f"{self.recording.speed['events_per_s']:,.0f} events a second")
        table.add_row("Digest", self.digest[:16])
        console = Console(highlight=False)
        console.print(escape_markup(title_of(self.recording)), style="bold")
        console.print(table)
        if self.band is not None:
            console.print(band_table(self.band, asset))
        if self.recording.feed.synthetic:
            console.print(f"[yellow]Synthetic data: {escape_markup(self.recording.feed.label)}[/yellow]")

    def __repr__(self) -> str:
        return f"<Run {title_of(self.recording)} digest={self.digest[:12]}>"

    def _repr_html_(self) -> str:
        return tearsheet.notebook_card(self.recording, self.metrics, HEADLINE)


def save_policies(policies: tuple[Policies, ...], folder: Path) -> dict[str, str]:
    """Write what the run learned, as a history that later replays can run under; return the paths."""
    from simcore.learning.snapshots import CURRENT, HISTORY, PolicyHistory, entry_of

    PolicyHistory(tuple(entry_of(each) for each in policies)).save(folder)
    return {"policies": str(folder / CURRENT), "policy_history": str(folder / HISTORY)}


def band_table(rows: list[dict[str, Any]], asset: str) -> Any:
    """Return the band as a table for the terminal."""
    from rich.table import Table

    span = band.span_of(rows)
    title = f"Band: net PnL {figure(span['low'], 'money')} to {figure(span['high'], 'money')} {escape_markup(asset)}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    shown = [metric for metric in band.COLUMNS if metric.key in band.BRIEF]
    for label in ("Fill model", "Latency", *(metric.label for metric in shown)):
        table.add_column(label, justify="left" if label == "Fill model" else "right", no_wrap=True)
    for row in rows:
        table.add_row(row["model"], f"{row['latency']}×", *(figure(row[metric.key], metric.unit) for metric in shown))
    return table


def escape_markup(text: str) -> str:
    """Return the text with rich's brackets made harmless."""
    from rich.markup import escape

    return escape(text)


def title_of(recording: Recording) -> str:
    """Return strategies, symbols and window in one line."""
    symbols = recording.feed.symbols
    which = ", ".join(symbols) if len(symbols) <= 4 else f"{len(symbols)} symbols"
    window = f"{iso(recording.start_ns)} to {iso(recording.end_ns)}"
    on = "order books" if recording.feed.kind == "book" else recording.interval
    return f"{', '.join(recording.strategies)} on {which} {on}, {window}"


def iso(ts_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return f"{np.datetime64(int(ts_ns), 'ns').astype('datetime64[s]')}Z"


def provenance(recording: Recording) -> dict[str, Any]:
    """Return what the run was asked to do."""
    return {
        "strategies": list(recording.strategies),
        "params": recording.params,
        "symbols": list(recording.feed.symbols),
        "interval": recording.interval,
        "start": iso(recording.start_ns),
        "end": iso(recording.end_ns),
        "cash": recording.cash,
        "seed": recording.seed,
        "config_hash": recording.config_hash,
    }


def data_of(recording: Recording) -> dict[str, Any]:
    """Return what the run stood on."""
    feed = recording.feed
    return {
        "label": feed.label,
        "synthetic": feed.synthetic,
        "content_hash": feed.content_hash,
        "quote_assets": list(feed.quote_assets),
        "coverage": list(feed.coverage),
        "caveats": list(feed.caveats),
    }


def stats_of(run: Run) -> dict[str, Any]:
    """Return the figures backtesting.py names, computed by this project's definitions (its Sharpe differs: see MODELS)."""
    import pandas as pd

    figures, recording = run.metrics, run.recording
    start, end = pd.Timestamp(recording.start_ns, tz="UTC"), pd.Timestamp(recording.end_ns, tz="UTC")
    stake = run.trades["return_pct"]
    per_cent = {
        "Exposure Time [%]": "time_in_market",
        "Return [%]": "total_return",
        "Buy & Hold Return [%]": "market_return",
        "Return (Ann.) [%]": "cagr",
        "Volatility (Ann.) [%]": "volatility",
        "CAGR [%]": "cagr",
        "Alpha [%]": "alpha",
        "Max. Drawdown [%]": "max_drawdown",
        "Avg. Drawdown [%]": "avg_drawdown",
        "Win Rate [%]": "hit_rate",
    }
    plain = {
        "Equity Final [$]": "final_equity",
        "Equity Peak [$]": "peak_equity",
        "Commissions [$]": "fees",
        "Sharpe Ratio": "sharpe",
        "Sortino Ratio": "sortino",
        "Calmar Ratio": "calmar",
        "Beta": "beta",
        "# Trades": "n_trades",
        "Profit Factor": "profit_factor",
        "SQN": "sqn",
        "Kelly Criterion": "kelly",
    }
    spans = {
        "Max. Drawdown Duration": pd.to_timedelta(figures["max_drawdown_days"], unit="D"),
        "Avg. Drawdown Duration": pd.to_timedelta(figures["avg_drawdown_days"], unit="D"),
        "Max. Trade Duration": pd.to_timedelta(figures["max_hold_s"], unit="s"),
        "Avg. Trade Duration": pd.to_timedelta(figures["avg_hold_s"], unit="s"),
    }
    return {
        "Start": start,
        "End": end,
        "Duration": end - start,
        **{name: figures[key] * 100.0 for name, key in per_cent.items()},
        **{name: figures[key] for name, key in plain.items()},
        **spans,
        "Best Trade [%]": stake.max(),
        "Worst Trade [%]": stake.min(),
        "Avg. Trade [%]": stake.mean(),
        "Expectancy [%]": stake.mean(),
    }


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> str:
    """Write a file so that a reader sees the old one or the whole new one; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return str(path)
