"""The tearsheet: one offline HTML page of a run.

The page asks nothing of the network: its policy forbids it, charts and data are inside. Text from outside (symbols,
labels, notes) is escaped here and in `elements`; `static/report.js` writes text nodes only.
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
from simcore.report import band as bands
from simcore.report import checks as check
from simcore.report import drawings
from simcore.report.chartdata import chart_data
from simcore.report.definitions import BY_KEY, GROUPS, KPIS, METRICS
from simcore.report.elements import coverage_table, figures, head, kpi_table, section, table, text_row, trade_table
from simcore.report.kpis import WHOLE
from simcore.report.metrics import route_outcomes, without_nan
from simcore.report.tables import E8, SECOND_NS
from simcore.report.words import duration, figure, number, plain, tone
from simcore.series import known, mean

if TYPE_CHECKING:
    from simcore.replay import Recording

Band = list[dict[str, Any]] | None
Kpis = Mapping[str, Mapping[str, Mapping[str, Any]]]
STATIC = Path(__file__).resolve().parent / "static"
DAY_S = 86_400
TIMING_RULE = "A decision at a bar's close fills in the next bar at the earliest; fills guess against the trader."
BOOK_RULE = "An order meets the book at its arrival; makers wait in the queue, takers walk the levels. The replay does not react to us."
SHORT_DAYS = 5  # fewer daily closes than this make no figure by day or by year worth reading
PIECES = ("report.css", "uplot.css", "uplot.js", "lightweight-charts.js", "report.js")


@cache
def static(name: str) -> str:
    """Return one of the page's own files as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def page(recording: Recording, metrics: Mapping[str, Any], checks: Mapping[str, Any], kpis: Kpis, band: Band = None) -> str:
    """Return the whole page as text."""
    data = json.dumps(without_nan(chart_data(recording)), separators=(",", ":"), allow_nan=False)
    pieces = {name: static(name) for name in PIECES}
    pieces["title"] = escape(f"{recording.display.title} · {', '.join(recording.strategies)}")
    pieces["theme"] = "" if recording.display.theme == "auto" else f' data-theme="{recording.display.theme}"'
    pieces["data"] = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    pieces["body"] = "\n".join(sections(recording, metrics, checks, kpis, band))
    return re.sub(r"\{\{([a-z.-]+)\}\}", lambda match: pieces[match[1]], static("template.html"))


def sections(recording: Recording, metrics: Mapping[str, Any], checks: Mapping[str, Any], kpis: Kpis, band: Band) -> Iterable[str]:
    """Yield the page's parts, in reading order."""
    unit = quote_unit(recording)
    yield header(recording)
    yield alerts(recording, metrics, checks)
    yield tiles(metrics, unit)
    if band is not None:
        note = f"The same replay under each fill model and latency, money in {unit}; the first is this page's"
        yield section("Band", band_body(band), note)
    note = f"In {unit}; beside it, all symbols held in equal parts"
    yield section("Equity and drawdown", '<div id="equity" class="chart"></div>', note)
    yield price_section(recording)
    note = f"Where the money went, in {unit}; slippage is measured against the price at the decision"
    yield section("From gross to net", cost_body(metrics, unit), note)
    yield section("By symbol", trade_table(metrics["per_symbol"], "Symbol"), f"Closed trades, money in {unit}")
    yield section("By strategy", trade_table(metrics["per_strategy"], "Strategy"), f"Closed trades, money in {unit}")
    by_exit = trade_table(metrics["per_exit_reason"], "Exit") + trade_table(metrics["per_side"], "Side")
    yield section("By exit reason and side", by_exit, f"Closed trades, money in {unit}")
    note = f"Mean net of a trade in {unit}, by hour (UTC); below it the number of trades"
    yield section("By hour of decision", hour_body(metrics, unit), note)
    note = "What stood between signal and order, by the config key broken. A refused wish is tried again; every try counts"
    yield section("Refusals", refusal_body(recording), note)
    note = "How parent orders were carried out; slippage is against arrival, a cost is positive"
    yield section("Router", router_body(recording, metrics), note)
    note = "Of the orders sent: fills, refusals, costs and what the market did next; point at a figure for its count"
    yield section("Execution", kpi_body(kpis, recording.display.table_rows), note)
    yield section("All figures", figures_body(metrics), "Point at a name for its definition")
    yield section("Data", data_body(recording), "What the run stood on")
    yield section("Provenance", provenance_body(recording, checks), "Equal digests, equal runs")


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
        f"<p>{escape(symbols)} · {escape(fidelity_of(recording))} · {day(recording.start_ns)} to {day(recording.end_ns)} UTC"
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
    if checks["ambiguous_exit_share"] > recording.display.max_ambiguous_exits_pct:
        share = figure(checks["ambiguous_exit_share"], "pct")
        rows.append(("bad", f"{share} of exits had stop and target inside one bar: too many to trust. Replay finer bars."))
    if checks["gaps"]:
        gaps = f"{checks['gaps']} gap" + ("s" if checks["gaps"] > 1 else "")
        rows.append(("warn", f"The data has {gaps}; positions were carried through. See Data."))
    rows += [("warn", text) for text in breaks(recording)]
    span_s = (recording.end_ns - recording.start_ns) / SECOND_NS
    if span_s < SHORT_DAYS * DAY_S:
        rows.append(("warn", f"The run spans {duration(span_s)}: its figures by day and by year (Sharpe, CAGR, turnover) say nothing."))
    rows.append(("plain", luck(metrics, quote_unit(recording))))
    return '<ul class="alerts">' + "".join(f'<li class="{style}">{escape(text)}</li>' for style, text in rows) + "</ul>"


def fidelity_of(recording: Recording) -> str:
    """Return what was replayed: bars of a length, or order books."""
    return "order books" if recording.feed.kind == "book" else f"{recording.interval} bars"


def breaks(recording: Recording) -> Iterable[str]:
    """Yield a sentence a symbol whose book was unusable for a while."""
    for row in recording.feed.coverage:
        if row.get("book_gaps"):
            spans, seconds = row["book_gaps"], duration(float(row.get("unusable_s", 0.0)))
            lost = "Nothing was decided then, and places in queues were lost."
            yield f"{row['symbol']}: the book was unusable in {spans} span{'s' if spans > 1 else ''}, {seconds} in all. {lost}"


def luck(metrics: Mapping[str, Any], unit: str) -> str:
    """Return one sentence on whether the expectancy stands out from its own error."""
    n, value, error = metrics["n_trades"], metrics["expectancy"], metrics["expectancy_se"]
    if not n:
        return "No trade was closed, so nothing can be said about an edge."
    days = f" in {metrics['n_days']} days" if metrics["n_days"] >= SHORT_DAYS else ""
    sentence = f"{n} trades{days}, {figure(value, 'money')} ± {figure(error, 'money')} {unit} each"
    if not error > 0:
        return f"{sentence}: too few to say anything about an edge."
    if abs(value) < 2 * error:
        return f"{sentence}: within two standard errors of zero, so chance alone can explain it."
    return f"{sentence}: more than two standard errors from zero, before correcting for other variants that were tried."


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


def band_body(rows: list[dict[str, Any]]) -> str:
    """Return the variants of the run and the band their net PnL spans."""
    span = bands.span_of(rows)
    heads = [head("Fill model"), head("Latency"), *(head(metric.label, metric.text) for metric in bands.COLUMNS)]
    body = (
        text_row(row["model"], [f"{row['latency']}×", *(figure(row[metric.key], metric.unit) for metric in bands.COLUMNS)])
        for row in rows
    )
    low, high = (figure(span[name], "money") for name in ("low", "high"))
    return f'<p>Net PnL between <b data-band="low">{low}</b> and <b data-band="high">{high}</b>.</p>{table(heads, body)}'


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
    return section("Price, entries and exits", body, "Bars are joined to a readable length, like fills of a bar to one mark")


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
    drawing = drawings.waterfall([step for step in steps if step[0] != "Open positions" or step[1]], unit)
    costs = figures([metric for metric in METRICS if metric.group == "Costs"], metrics)
    return f'<div class="columns split"><div>{drawing}</div>{costs}</div>'


def hour_body(metrics: Mapping[str, Any], unit: str) -> str:
    """Return the hour strip, and its table folded away."""
    folded = trade_table(metrics["per_hour"], "Hour (UTC)")
    return f"{drawings.hour_strip(metrics['per_hour'], unit)}<details><summary>As a table</summary>{folded}</details>"


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
    limits = check.failing_limit_counts(recording)
    refused = {stage: sum(reasons.values()) for stage, reasons in vetoes.items()}
    blocks = (
        ("From signal to fill", drawings.bars(path)),
        ("Screener", drawings.bars(vetoes["screener"], "veto", refused["screener"])),
        ("Risk gate, first reason", drawings.bars(vetoes["gate"], "veto", refused["gate"])),
        ("Risk gate, every failing limit", drawings.bars(limits, "veto", refused["gate"])),
        ("What bounded the size", drawings.bars({plain(name): n for name, n in clamps.items()}, whole=sum(clamps.values()))),
    )
    return '<div class="columns">' + "".join(f"<div><h3>{escape(title)}</h3>{body}</div>" for title, body in blocks) + "</div>"


def router_body(recording: Recording, metrics: Mapping[str, Any]) -> str:
    """Return outcomes of parent orders with waits and slippage, and the router's own figures."""
    routes = recording.routes
    if not len(routes):
        return '<p class="none">No parent order was finished.</p>'
    heads = ("Outcome", "Parents", "Share", "Notional", "Mean wait", "Re-quotes", "Slippage, bps", "Fees")
    rows = (
        text_row(plain(name), outcome_figures(routes[routes["outcome"] == RouteOutcome[name.upper()]], len(routes)))
        for name in route_outcomes(routes)
    )
    keys = ("maker_share", "fallback_share", "gave_up_share", "avg_wait_s", "avg_slippage_bps", "n_rejects")
    return table(map(head, heads), rows) + figures([BY_KEY[key] for key in keys], metrics, "inline")


def outcome_figures(routes: np.ndarray, whole: int) -> tuple[str, ...]:
    """Return the figures of the parent orders with one outcome."""
    filled = routes[routes["maker_lots"] + routes["taker_lots"] > 0]
    return (
        figure(len(routes), "count"),
        figure(len(routes) / whole, "pct"),
        figure(int(routes["value_e8"].sum()) / E8, "money"),
        figure(mean(routes["waits_ns"] / SECOND_NS), "seconds"),
        figure(mean(routes["requotes"]), "ratio"),
        figure(mean(known(filled["slippage_bps"])), "bps"),
        figure(int(routes["fees_e8"].sum()) / E8, "money"),
    )


def kpi_body(kpis: Kpis, most_rows: int) -> str:
    """Return the router's key figures by symbol, and by hour folded away; a figure that no row has is left out.

    More rows by hour than `most_rows` are left to the files.
    """
    wanted = [kpi for kpi in KPIS if any(hours[WHOLE][f"n_{kpi.key}"] for hours in kpis.values())]
    if not wanted:
        return '<p class="none">No order was sent.</p>'
    by_symbol = {(symbol, WHOLE): hours[WHOLE] for symbol, hours in kpis.items() if any(hours[WHOLE][f"n_{kpi.key}"] for kpi in wanted)}
    by_hour = {(symbol, hour): row for symbol, hours in kpis.items() for hour, row in hours.items() if hour != WHOLE}
    body = kpi_table(by_symbol, wanted)
    if len(by_hour) > most_rows:
        return f'{body}<p class="note">The {len(by_hour)} rows by hour are in summary.json and in run.kpis.</p>'
    return f"{body}<details><summary>By hour (UTC)</summary>{kpi_table(by_hour, wanted)}</details>"


def figures_body(metrics: Mapping[str, Any]) -> str:
    """Return every metric, by group."""
    groups = {group: [metric for metric in METRICS if metric.group == group] for group in GROUPS}
    blocks = (f"<div><h3>{escape(group)}</h3>{figures(wanted, metrics)}</div>" for group, wanted in groups.items())
    return f'<div class="columns three">{"".join(blocks)}</div>'


def data_body(recording: Recording) -> str:
    """Return coverage of each symbol, and the caveats."""
    known = check.caveats_of(recording)
    caveats = "".join(f"<li>{escape(text)}</li>" for text in known)
    listed = f'<h3>Caveats</h3><ul class="caveats">{caveats or "<li>None recorded.</li>"}</ul>'
    return coverage_table(without_told(row, known) for row in recording.feed.coverage) + listed


def without_told(row: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Return a coverage row without the notes that stand among the caveats below the table."""
    told = row.get("notes") or ()
    notes = [note for note in ([told] if isinstance(told, str) else told) if note not in known]
    return {**{key: value for key, value in row.items() if key != "notes"}, **({"notes": notes} if notes else {})}


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
        "Fill rule": BOOK_RULE if recording.feed.kind == "book" else TIMING_RULE,
        "Books": "balanced to 1e-8, core and venue" if checks["ledger_balanced"] else "DO NOT BALANCE",
        "Speed": f"{number(speed['events_per_s'], 0)} events a second; load {speed['load_s']:.2f} s, "
        f"compile {speed['compile_s']:.2f} s, replay {speed['replay_s']:.2f} s",
    }
    body = "".join(text_row(name, [text]) for name, text in rows.items())
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
