"""The drawings of the report that need no library: cost waterfall, hour strip, bars of counts. SVG and HTML, ready to print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from simcore.report.words import ABSENT, figure, number, tone


def waterfall(steps: Iterable[tuple[str, float, bool]], unit: str) -> str:
    """Return a waterfall of (label, amount, is_total): each step starts where the one before ended; a total starts at zero."""
    spans: list[tuple[str, float, float, float, bool]] = []
    level = 0.0
    for label, amount, total in steps:
        amount = amount if math.isfinite(amount) else 0.0
        start = 0.0 if total else level
        level = start + amount
        spans.append((label, amount, start, level, total))
    low, high = min(0.0, *(min(s[2], s[3]) for s in spans)), max(0.0, *(max(s[2], s[3]) for s in spans))
    scale = 150.0 / (high - low or 1.0)
    width = 116 * len(spans)
    parts = [f'<svg class="waterfall" viewBox="0 0 {width} 222" role="img" aria-label="From gross to net">']
    zero = 24 + (high - 0.0) * scale
    parts.append(f'<line x1="0" x2="{width}" y1="{zero:.1f}" y2="{zero:.1f}" class="axis"/>')
    for i, (label, amount, start, end, total) in enumerate(spans):
        top, x = 24 + (high - max(start, end)) * scale, i * 116
        height = max(abs(end - start) * scale, 1.5)
        style = "total" if total else tone(amount, "money") or "flat"
        parts.append(f'<rect class="{style}" x="{x + 18}" y="{top:.1f}" width="80" height="{height:.1f}" rx="2"/>')
        parts.append(f'<text class="amount" x="{x + 58}" y="{top - 7:.1f}">{escape(figure(amount, "money"))}</text>')
        parts.append(f'<text class="label" x="{x + 58}" y="206">{escape(label)}</text>')
        if i + 1 < len(spans):
            y = 24 + (high - end) * scale
            parts.append(f'<line class="step" x1="{x + 98}" x2="{x + 134}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts.append(f"<title>From gross to net, in {escape(unit)}</title></svg>")
    return "".join(parts)


def hour_strip(rows: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    """Return a strip of 24 cells: mean net of the trades decided in that hour (UTC), stronger the further from zero."""
    known = [abs(row["expectancy"]) for row in rows.values() if math.isfinite(row["expectancy"])]
    most = max(known, default=0.0) or 1.0
    parts = ['<svg class="hours" viewBox="0 0 1200 84" role="img" aria-label="Expectancy by hour of decision, UTC">']
    for i, (hour, row) in enumerate(rows.items()):
        value, n, x = row["expectancy"], int(row["n_trades"]), i * 50
        strength = 0.12 + 0.78 * abs(value) / most if math.isfinite(value) else 0.0
        style = tone(value, "money") or "flat"
        error = figure(row["expectancy_se"], "money")
        words = f"{hour}:00 UTC: {figure(value, 'money')} ± {error} {unit} a trade, {n} trades, net {figure(row['net'], 'money')}"
        parts.append(f'<g><title>{escape(words)}</title><rect class="empty" x="{x + 1}" y="18" width="48" height="46" rx="3"/>')
        parts.append(
            f'<rect class="{style}" x="{x + 1}" y="18" width="48" height="46" rx="3" opacity="{strength:.2f}"/>'
            f'<text x="{x + 25}" y="12" class="hour">{escape(hour)}</text>'
            f'<text x="{x + 25}" y="46" class="value">{escape(short(value))}</text>'
            f'<text x="{x + 25}" y="78" class="count">{n or ""}</text></g>'
        )
    return "".join(parts) + "</svg>"


def short(value: float) -> str:
    """Return a figure for a small cell: at most three significant digits."""
    if not math.isfinite(value):
        return ABSENT
    size = abs(value)
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2)


def bars(counts: Mapping[str, int], style: str = "plain", whole: int = 0) -> str:
    """Return one horizontal bar a count, and its share of `whole` where that is given."""
    if not counts:
        return '<p class="none">None.</p>'
    most = max([*counts.values(), 1])
    rows = []
    for label, count in counts.items():
        share = f"{100.0 * count / whole:.1f} %" if whole else ""
        rows.append(
            f'<tr><th scope="row">{escape(label)}</th><td class="track"><div class="bar {style}" '
            f'style="width:{100.0 * count / most:.2f}%"></div></td><td class="n" data-value="{count}">{number(count, 0)}</td>'
            f'<td class="share">{share}</td></tr>'
        )
    return f'<table class="bars"><tbody>{"".join(rows)}</tbody></table>'
