"""The tearsheet: one offline HTML page of a run.

The page asks nothing of the network: its policy forbids it, charts and data are inside. Text from outside (symbols,
labels, notes) is escaped here; `static/report.js` writes text nodes only. Tables carry each figure in `data-value`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.domain.enums import Clamp, LedgerKind, RouteOutcome
from simcore.report import checks as check
from simcore.report import drawings
from simcore.report.chartdata import chart_data
from simcore.report.definitions import BY_KEY, GROUPS, METRICS, TRADE_COLUMNS, Metric
from simcore.report.metrics import route_outcomes, without_nan
from simcore.report.series import finite, known, mean
from simcore.report.tables import E8, SECOND_NS
from simcore.report.words import ABSENT, figure, number, plain, tone

if TYPE_CHECKING:
    from simcore.replay import Recording

STATIC = Path(__file__).resolve().parent / "static"
AMBIGUOUS_LIMIT = 0.05  # a result with more ambiguous exits than this must not be scored: use finer bars
TIMING_RULE = "A decision at a bar's close fills in the next bar at the earliest; what a fill must guess, it guesses against the trader."
PIECES = ("report.css", "uplot.css", "uplot.js", "lightweight-charts.js", "report.js")


@cache
def static(name: str) -> str:
    """Return one of the page's own files as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def page(recording: Recording, metrics: Mapping[str, Any], checks: Mapping[str, Any]) -> str:
    """Return the whole page as text."""
    data = json.dumps(without_nan(chart_data(recording)), separators=(",", ":"), allow_nan=False)
    pieces = {name: static(name) for name in PIECES}
    pieces["title"] = escape(f"simcore · {', '.join(recording.strategies)}")
    pieces["data"] = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    pieces["body"] = "\n".join(sections(recording, metrics, checks))
    return re.sub(r"\{\{([a-z.-]+)\}\}", lambda match: pieces[match[1]], static("template.html"))


def sections(recording: Recording, metrics: Mapping[str, Any], checks: Mapping[str, Any]) -> Iterable[str]:
    """Yield the page's parts, in reading order."""
    unit = quote_unit(recording)
    yield header(recording)
    yield alerts(recording, metrics, checks)
    yield tiles(metrics, unit)
    yield section("Equity and drawdown", '<div id="equity" class="chart"></div>', f"Equity in {unit}, buy and hold of all symbols beside it")
    yield price_section(recording)
    yield section("From gross to net", cost_body(metrics, unit), f"Where the money went, in {unit}; slippage is measured against the price at the decision")
    yield section("By symbol", trade_table(metrics["per_symbol"], "Symbol"), "Closed trades")
    yield section("By strategy", trade_table(metrics["per_strategy"], "Strategy"), "Closed trades")
    yield section("By exit and side", trade_table(metrics["per_exit_reason"] | metrics["per_side"], "Exit, side"), "Closed trades")
    yield section("By hour of decision", hour_body(metrics, unit), f"Mean net of a trade in {unit}, UTC; below it the number of trades")
    yield section("Refusals", refusal_body(recording), "What stood between a signal and an order, by the config key that was broken")
    yield section("Router", router_body(recording, metrics), "How parent orders were carried out; slippage against arrival, a cost is positive")
    yield section("All figures", figures_body(metrics), "Point at a name for its definition")
    yield section("Data", data_body(recording), "What the run stood on")
    yield section("Provenance", provenance_body(recording, checks), "Equal digests, equal runs")


def section(title: str, body: str, note: str = "") -> str:
    """Return one titled part of the page."""
    aside = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{aside}{body}</section>"


def quote_unit(recording: Recording) -> str:
    """Return the quote asset, «USD» where several are added up."""
    assets = recording.feed.quote_assets
    return assets[0] if len(assets) == 1 else "USD"


def day(ts_ns: int) -> str:
    """Return a moment as a date, with the time where it is not midnight."""
    text = str(np.datetime64(int(ts_ns), "ns").astype("datetime64[m]"))
    return text.replace("T00:00", "").replace("T", " ")


def header(recording: Recording) -> str:
    """Return the head: what ran on what, and a loud badge on synthetic data."""
    feed = recording.feed
    symbols = ", ".join(feed.symbols[:8]) + (f" and {len(feed.symbols) - 8} more" if len(feed.symbols) > 8 else "")
    badge = '<span class="badge synthetic">SYNTHETIC DATA</span>' if feed.synthetic else ""
    return (
        f'<header><div><h1>{escape(", ".join(recording.strategies))}</h1>{badge}'
        f'<button id="theme" type="button" title="Light or dark">◐</button></div>'
        f"<p>{escape(symbols)} · {escape(recording.interval)} bars · {day(recording.start_ns)} to {day(recording.end_ns)} UTC"
        f" · start balance {escape(figure(recording.cash, 'money'))} {escape(quote_unit(recording))}</p>"
        f'<p class="small">Data: {escape(feed.label)} · digest <code>{escape(recording.digest[:16])}</code></p></header>'
    )


def alerts(recording: Recording, metrics: Mapping[str, Any], checks: Mapping[str, Any]) -> str:
    """Return what must be known before the figures are believed, and what the figures say about luck."""
    rows: list[tuple[str, str]] = []
    if recording.feed.synthetic:
        rows.append(("warn", "The prices are made by a random generator. Nothing here says anything about a market."))
    if not checks["ledger_balanced"]:
        wrong = ", ".join(f"{name} {value}" for name, value in check.books_of(recording).items() if value)
        rows.append(("bad", f"The books do not balance (differences in 1e-8): {wrong}. Do not use this result."))
    if checks["liquidated"]:
        rows.append(("bad", "The account was liquidated during the run."))
    if checks["ambiguous_exit_share"] > AMBIGUOUS_LIMIT:
        share = figure(checks["ambiguous_exit_share"], "pct")
        rows.append(("bad", f"{share} of exits had stop and target inside one bar: too many to trust. Replay finer bars."))
    if checks["gaps"]:
        rows.append(("warn", f"The data has {checks['gaps']} gaps; positions were carried through them. See Data."))
    rows.append(("plain", luck(metrics, quote_unit(recording))))
    return '<ul class="alerts">' + "".join(f'<li class="{style}">{escape(text)}</li>' for style, text in rows) + "</ul>"


def luck(metrics: Mapping[str, Any], unit: str) -> str:
    """Return one sentence on whether the expectancy stands out from its own error."""
    n, value, error = metrics["n_trades"], metrics["expectancy"], metrics["expectancy_se"]
    if not n:
        return "No trade was closed, so nothing can be said about an edge."
    sentence = f"{n} trades in {metrics['n_days']} days, {figure(value, 'money')} ± {figure(error, 'money')} {unit} each"
    if not error > 0:
        return f"{sentence}: too few to say anything about an edge."
    verdict = "within two standard errors of zero: luck explains it" if abs(value) < 2 * error else "more than two standard errors from zero"
    return f"{sentence}: {verdict}. No correction for other variants that were tried."


def tiles(metrics: Mapping[str, Any], unit: str) -> str:
    """Return the figures that are read first."""

    def tile(key: str, below: str) -> str:
        metric, value = BY_KEY[key], metrics[key]
        return (
            f'<div class="tile" title="{escape(metric.text)}"><span>{escape(metric.label)}</span>'
            f'<b class="{tone(value, metric.unit) if key in TONED else ""}">{escape(figure(value, metric.unit))}</b>'
            f"<small>{escape(below)}</small></div>"
        )

    def of(key: str) -> str:
        return figure(metrics[key], BY_KEY[key].unit)

    rows = (
        ("net_pnl", f"{unit}, fees and funding paid"),
        ("total_return", f"market {of('market_return')}"),
        ("sharpe", f"PSR {of('psr')}, {of('n_days')} days"),
        ("max_drawdown", f"longest {of('max_drawdown_days')}"),
        ("n_trades", f"{of('hit_rate')} won"),
        ("expectancy", f"± {of('expectancy_se')} {unit}"),
        ("fees", f"{unit}; slippage {of('slippage')}"),
        ("maker_share", f"fallback {of('fallback_share')}"),
    )
    return '<div class="tiles">' + "".join(tile(*row) for row in rows) + "</div>"


TONED = frozenset({"net_pnl", "total_return", "expectancy"})


def price_section(recording: Recording) -> str:
    """Return the price chart with its symbol selector."""
    options = "".join(f'<option value="{i}">{escape(name)}</option>' for i, name in enumerate(recording.feed.symbols))
    legend = (
        '<span class="key"><i class="up">▲</i> buy to open</span><span class="key"><i class="down">▼</i> sell to open</span>'
        '<span class="key"><i class="up">■</i> buy to close</span><span class="key"><i class="down">■</i> sell to close</span>'
        '<span class="key"><i class="veto">●</i> refused</span><span class="key">pale: maker, full: taker</span>'
    )
    controls = (
        f'<div class="controls"><label>Symbol <select id="symbol">{options}</select></label>'
        '<button type="button" id="all">Whole window</button><button type="button" id="recent">Last 300 bars</button>'
        f'<label><input type="checkbox" id="refused"> refusals</label><span class="legend">{legend}</span></div>'
    )
    body = f'{controls}<div id="price" class="chart tall"></div><p id="bar" class="small" aria-live="polite"></p>'
    return section("Price, entries and exits", body, "Bars are joined to a readable length; fills of one bar and kind are shown as one mark at their mean price")


def cost_body(metrics: Mapping[str, Any], unit: str) -> str:
    """Return the waterfall from the result at decision prices to the net."""
    steps = (
        ("At decision prices", metrics["gross_pnl"] + metrics["slippage"], True),
        ("Slippage", -metrics["slippage"], False),
        ("Fees", -metrics["fees"], False),
        ("Funding", metrics["funding"], False),
        ("Open positions", metrics["unrealised"], False),
        ("Net", metrics["net_pnl"], True),
    )
    return drawings.waterfall([step for step in steps if step[0] != "Open positions" or step[1]], unit)


def cell(value: Any, metric: Metric, coloured: bool) -> str:
    """Return one figure of a table; `data-value` holds it unrounded."""
    style = tone(value, metric.unit) if coloured else ""
    raw = "" if value is None or value != value else repr(float(value))
    return f'<td class="{style}" data-key="{metric.key}" data-value="{raw}">{escape(figure(value, metric.unit))}</td>'


def trade_table(rows: Mapping[str, Mapping[str, Any]], what: str) -> str:
    """Return a sortable table of trade rows."""
    if not rows:
        return '<p class="none">No trades.</p>'
    heads = "".join(f'<th scope="col" title="{escape(metric.text)}">{escape(metric.label)}</th>' for metric in TRADE_COLUMNS)
    coloured = ("net", "gross", "expectancy", "expectancy_bps", "mean_r", "funding")
    body = "".join(
        f'<tr data-row="{escape(str(name))}"><th scope="row">{escape(plain(str(name)) if what.startswith("Exit") else str(name))}</th>'
        + "".join(cell(row[metric.key], metric, metric.key in coloured) for metric in TRADE_COLUMNS)
        + "</tr>"
        for name, row in rows.items()
    )
    return f'<div class="wide"><table class="sortable"><thead><tr><th scope="col">{escape(what)}</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def hour_body(metrics: Mapping[str, Any], unit: str) -> str:
    """Return the hour strip, and its table folded away."""
    table = trade_table(metrics["per_hour"], "Hour (UTC)")
    return f"{drawings.hour_strip(metrics['per_hour'], unit)}<details><summary>As a table</summary>{table}</details>"


def refusal_body(recording: Recording) -> str:
    """Return the way from signals to fills, and refusals by stage and reason."""
    totals, ledger = recording.totals, recording.ledger
    kinds = np.bincount(ledger["kind"], minlength=max(LedgerKind) + 1)
    path = {
        "signals": int(totals["signals"]),
        "refused by the screener": int(totals["screen_vetoes"]),
        "refused by the gate": int(totals["gate_vetoes"]),
        "orders sent": int(totals["orders"]),
        "rejected by the venue": int(totals["rejects"]),
        "fills": int(kinds[LedgerKind.FILL]),
    }
    vetoes = check.veto_counts(recording)
    clamps = check.count_names(ledger["code"][ledger["kind"] == LedgerKind.SIZE], Clamp)
    blocks = (
        ("From signal to fill", drawings.bars({key: n for key, n in path.items()}, of=path["signals"] or None)),
        ("Screener", drawings.bars(vetoes["screener"], "veto")),
        ("Risk gate, first reason", drawings.bars(vetoes["gate"], "veto")),
        ("Risk gate, every failing limit", drawings.bars(check.failing_limit_counts(recording), "veto", sum(vetoes["gate"].values()))),
        ("What bounded the size", drawings.bars({plain(name): n for name, n in clamps.items()})),
    )
    return '<div class="columns">' + "".join(f"<div><h3>{escape(title)}</h3>{body}</div>" for title, body in blocks) + "</div>"


def router_body(recording: Recording, metrics: Mapping[str, Any]) -> str:
    """Return outcomes of parent orders with waits and slippage, and the router's own figures."""
    routes = recording.routes
    if not len(routes):
        return '<p class="none">No parent order was finished.</p>'
    rows = []
    for name, n in route_outcomes(routes).items():
        chosen = routes[routes["outcome"] == RouteOutcome[name.upper()]]
        filled = chosen[chosen["maker_lots"] + chosen["taker_lots"] > 0]
        figures = (
            figure(n, "count"),
            figure(n / len(routes), "pct"),
            figure(int(chosen["value_e8"].sum()) / E8, "money"),
            figure(mean(chosen["waits_ns"] / SECOND_NS), "seconds"),
            figure(mean(chosen["requotes"]), "ratio"),
            figure(mean(known(filled["slippage_bps"])), "bps"),
            figure(finite(int(chosen["fees_e8"].sum()) / E8), "money"),
        )
        rows.append(f'<tr><th scope="row">{escape(plain(name))}</th>' + "".join(f"<td>{escape(text)}</td>" for text in figures) + "</tr>")
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Parents", "Share", "Notional", "Mean wait", "Re-quotes", "Slippage bps", "Fees"))
    table = f'<div class="wide"><table><thead><tr><th scope="col">Outcome</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    keys = ("maker_share", "fallback_share", "gave_up_share", "avg_wait_s", "avg_slippage_bps", "n_rejects")
    return table + definition_list([BY_KEY[key] for key in keys], metrics, "inline")


def definition_list(wanted: Iterable[Metric], metrics: Mapping[str, Any], style: str) -> str:
    """Return names and figures, each name with its definition as tooltip."""
    rows = "".join(
        f'<div><dt><abbr title="{escape(metric.text)}">{escape(metric.label)}</abbr></dt>'
        f'<dd data-metric="{metric.key}" data-value="{raw(metrics[metric.key])}">{escape(figure(metrics[metric.key], metric.unit))}</dd></div>'
        for metric in wanted
    )
    return f'<dl class="{style}">{rows}</dl>'


def raw(value: Any) -> str:
    """Return a metric unrounded, for `data-value`; nothing where it is not determined."""
    return "" if value is None or value != value else escape(str(value))


def figures_body(metrics: Mapping[str, Any]) -> str:
    """Return every metric, by group."""
    blocks = (
        f"<div><h3>{escape(group)}</h3>{definition_list([m for m in METRICS if m.group == group], metrics, 'figures')}</div>" for group in GROUPS
    )
    return f'<div class="columns three">{"".join(blocks)}</div>'


def data_body(recording: Recording) -> str:
    """Return coverage of each symbol, and the caveats."""
    coverage = recording.feed.coverage
    names = list(dict.fromkeys(key for row in coverage for key in row))
    heads = "".join(f'<th scope="col">{escape(plain(name))}</th>' for name in names)
    rows = "".join("<tr>" + "".join(f"<td>{escape(covered(row.get(name)))}</td>" for name in names) + "</tr>" for row in coverage)
    caveats = "".join(f"<li>{escape(text)}</li>" for text in check.caveats_of(recording))
    table = f'<div class="wide"><table class="text"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>' if coverage else ""
    return f'{table}<h3>Caveats</h3><ul class="caveats">{caveats or "<li>None recorded.</li>"}</ul>'


def covered(value: Any) -> str:
    """Return one coverage entry as text."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, (list, tuple)):
        return "; ".join(str(each) for each in value) or ABSENT
    return number(value, 0) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def provenance_body(recording: Recording, checks: Mapping[str, Any]) -> str:
    """Return what makes the run repeatable."""
    params = "; ".join(
        f"{name}: " + (", ".join(f"{key} = {value:g}" for key, value in values.items()) or "no parameters")
        for name, values in recording.params.items()
    )
    speed = recording.speed
    rows = {
        "Digest": recording.digest,
        "Configuration": recording.config_hash,
        "Data": recording.feed.content_hash,
        "Parameters": params,
        "Seed": str(recording.seed),
        "Fill rule": TIMING_RULE,
        "Books": "balanced to 1e-8, core and venue" if checks["ledger_balanced"] else "DO NOT BALANCE",
        "Speed": f"{number(speed['events_per_s'], 0)} events a second; load {speed['load_s']:.2f} s, "
        f"compile {speed['compile_s']:.2f} s, replay {speed['replay_s']:.2f} s",
    }
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows.items())
    return f'<table class="text provenance"><tbody>{body}</tbody></table>'


def notebook_card(recording: Recording, metrics: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Return a small table for notebooks."""
    badge = " — <b>synthetic data</b>" if recording.feed.synthetic else ""
    rows = "".join(
        f'<tr><th style="text-align:left" title="{escape(BY_KEY[key].text)}">{escape(BY_KEY[key].label)}</th>'
        f"<td>{escape(figure(metrics[key], BY_KEY[key].unit))}</td></tr>"
        for key in keys
    )
    title = f"{', '.join(recording.strategies)}, {day(recording.start_ns)} to {day(recording.end_ns)} UTC"
    return f"<div><p>{escape(title)}{badge} · digest <code>{escape(recording.digest[:12])}</code></p><table>{rows}</table></div>"
