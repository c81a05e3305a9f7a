"""The elements of the page: section, table, list of figures. Text is escaped here; `data-value` holds a figure unrounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from simcore.report.definitions import TRADE_COLUMNS, Kpi, Metric
from simcore.report.words import ABSENT, figure, number, plain, tone

TONED_COLUMNS = frozenset({"net", "gross", "funding", "expectancy", "expectancy_bps", "mean_r"})


def section(title: str, body: str, note: str = "") -> str:
    """Return one titled part of the page."""
    aside = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{aside}{body}</section>"


def table(heads: Iterable[str], rows: Iterable[str], style: str = "") -> str:
    """Return a table of ready heads and rows, in a box that scrolls sideways where it must."""
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    return f'<div class="wide"><table class="{style}">{head}<tbody>{"".join(rows)}</tbody></table></div>'


def head(label: str, text: str = "") -> str:
    """Return a column head, with its definition as tooltip."""
    return f'<th scope="col" title="{escape(text)}">{escape(label)}</th>' if text else f'<th scope="col">{escape(label)}</th>'


def text_row(name: str, texts: Iterable[str]) -> str:
    """Return a table row of a name and ready words."""
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def raw(value: Any) -> str:
    """Return a figure unrounded; nothing where it is not determined."""
    return "" if value is None or value != value else escape(str(value))


def trade_table(rows: Mapping[str, Mapping[str, Any]], what: str) -> str:
    """Return a sortable table of trade rows by name."""
    if not rows:
        return '<p class="none">No trades.</p>'
    heads = [head(what), *(head(metric.label, metric.text) for metric in TRADE_COLUMNS)]
    return table(heads, (trade_row(name, row) for name, row in rows.items()), "sortable")


def trade_row(name: str, row: Mapping[str, Any]) -> str:
    """Return one row of a trade table."""
    cells = (
        f'<td class="{tone(row[metric.key], metric.unit) if metric.key in TONED_COLUMNS else ""}" data-key="{metric.key}" '
        f'data-value="{raw(row[metric.key])}">{escape(figure(row[metric.key], metric.unit))}</td>'
        for metric in TRADE_COLUMNS
    )
    return f'<tr data-row="{escape(name)}"><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'


def figures(wanted: Iterable[Metric], metrics: Mapping[str, Any], style: str = "figures") -> str:
    """Return names and figures, each name with its definition as tooltip."""
    rows = (
        f'<div><dt><abbr title="{escape(metric.text)}">{escape(metric.label)}</abbr></dt><dd data-metric="{metric.key}" '
        f'data-value="{raw(metrics[metric.key])}">{escape(figure(metrics[metric.key], metric.unit))}</dd></div>'
        for metric in wanted
    )
    return f'<dl class="{style}">{"".join(rows)}</dl>'


def coverage_table(coverage: Iterable[Mapping[str, Any]]) -> str:
    """Return the coverage rows of a feed as a table, whatever keys they have."""
    rows = list(coverage)
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not names:
        return ""
    body = ("<tr>" + "".join(f"<td>{escape(covered(row.get(name)))}</td>" for name in names) + "</tr>" for row in rows)
    return table((head(plain(name)) for name in names), body, "text coverage")


def covered(value: Any) -> str:
    """Return one coverage entry as words."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, (list, tuple)):
        return "; ".join(str(each) for each in value) or ABSENT
    return number(value, 0) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def kpi_table(rows: Mapping[tuple[str, str], Mapping[str, Any]], wanted: Iterable[Kpi]) -> str:
    """Return the router's key figures by (symbol, hour); each cell's tooltip says how many observations it stands on."""
    wanted = list(wanted)
    heads = [head("Symbol"), *(head(kpi.label, kpi.text) for kpi in wanted)]
    return table(heads, (kpi_row(*name, row, wanted) for name, row in rows.items()), "sortable")


def kpi_row(symbol: str, hour: str, row: Mapping[str, Any], wanted: Iterable[Kpi]) -> str:
    """Return one row of the router's key figures."""
    name = symbol if hour == "all" else f"{symbol} {hour}"
    cells = (
        f'<td class="{tone(row[kpi.key], kpi.unit) if "markout" in kpi.key else ""}" title="n = {row[f"n_{kpi.key}"]}" '
        f'data-kpi="{escape(symbol)}/{hour}/{kpi.key}" data-value="{raw(row[kpi.key])}">{escape(figure(row[kpi.key], kpi.unit))}</td>'
        for kpi in wanted
    )
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'
