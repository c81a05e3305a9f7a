"""The page of a validation: verdict, folds, policies, statistics and bands as one offline HTML file, beside its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from replay_data.storage import write_atomic
from simcore.report.elements import head, section, table, text_row
from simcore.report.tearsheet import static
from simcore.report.words import ABSENT, figure, number, plain
from simcore.validation.outcome import BPS
from simcore.validation.policies import BASELINE
from simcore.validation.standing import standing

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.strategy import Strategy
    from simcore.validation.walkforward import Validation

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main>
{body}
<footer>Made by simcore.</footer>
</main></body></html>
"""
WIDE, HIGH = 1100, 240


def save(
    result: Validation, feed: Feed, folder: Path, asked: Mapping[str, Any], strategies: Sequence[Strategy] | None = None
) -> dict[str, str]:
    """Write validation.json (with all it stands on), validation.html and v6_policies.json into a folder; return the paths."""
    from simcore.learning.refresh import Policies
    from simcore.learning.snapshots import CURRENT, write_current
    from simcore.validation.policies import with_stages

    judged = with_stages(result.config, result.config.validation.judged)
    parts = standing(judged, feed, result.policies, strategies)
    whole = {**result.as_dict(), "asked": dict(asked), "standing": parts}
    files = {"validation": folder / "validation.json", "report": folder / "validation.html"}
    text = json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomic(files["validation"], lambda stream: stream.write(text.encode()))
    write_atomic(files["report"], lambda stream: stream.write(page(result).encode()))
    if result.policies is not None:
        write_current(folder, Policies.from_dict(result.policies))
        files["policies"] = folder / CURRENT
    return {name: str(path) for name, path in files.items()}


def page(result: Validation) -> str:
    """Return the whole page as text."""
    return PAGE.format(title=escape(f"simcore · {result.study}"), style=static("report.css"), body="\n".join(sections(result)))


def sections(result: Validation) -> Iterable[str]:
    """Yield the page's parts, in reading order."""
    yield header(result)
    note = "Sum of the daily differences out of sample, bps of NAV; folds between the lines"
    yield section("Gain over the baseline", curve(result), note)
    note = "Every criterion of validation.json with the numbers that were compared"
    yield section("Criteria", criteria_body(result), note)
    yield section("Fold by fold", folds_body(result), "Mean result of a day in bps of NAV, on the test days alone")
    note = f"Out of sample, all folds together; intervals at {result.evidence.gain.confidence:.0%}"
    yield section("Policies tried", policies_body(result), note)
    yield section("How sure", statistics_body(result))
    yield section("Stress", stress_body(result), "Mean net result of a day in bps of NAV, the whole walk-forward replayed")
    yield section("Live bands", bands_body(result), "Between which values live figures must stay")
    yield section("Stands on", table((), (text_row(plain(name), [value]) for name, value in result.hashes.items()), "text"))


def header(result: Validation) -> str:
    """Return the head: the question, the verdict in one sentence, and a loud badge on synthetic data."""
    badge = '<span class="badge synthetic">SYNTHETIC DATA</span>' if result.data["synthetic"] else ""
    failed = [judgement.name for judgement in result.verdict.failed]
    style, said = ("bad", f"Refused by {', '.join(failed)}.") if failed else ("plain", "Every criterion is met.")
    caveats = "".join(f'<li class="warn">{escape(text)}</li>' for text in result.caveats)
    return (
        f"<header><div><h1>{escape(result.study)}</h1>{badge}</div>"
        f"<p>Judged: {escape(result.judged)} · {len(result.windows)} folds · {result.evidence.gain.n} days out of sample · "
        f"data: {escape(str(result.data['label']))}</p></header>"
        f'<ul class="alerts"><li class="{style}">{escape(said)}</li><li class="plain">{escape(sentence(result))}</li>{caveats}</ul>'
    )


def sentence(result: Validation) -> str:
    """Return in one sentence what the judged policy added and how sure that is."""
    gain = result.evidence.gain
    mean, low, high = (number(each * BPS, 3) for each in (gain.mean, gain.low, gain.high))
    told = f"It added {mean} bps of NAV a day over the baseline, {low} to {high}"
    if gain.low > 0.0:
        return f"{told}: more than chance explains in one test."
    return f"{told}: chance alone can explain it." if gain.high >= 0.0 else f"{told}: it cost more than chance explains."


def curve(result: Validation) -> str:
    """Return the cumulated daily gain as a line, with a line at each fold's end."""
    names = [name for name in result.outcomes if name != BASELINE]
    base = result.pooled[BASELINE].returns
    lines = {name: np.cumsum(result.pooled[name].returns - base) * BPS for name in names}
    low = min(0.0, *(float(line.min()) for line in lines.values()))
    high = max(0.0, *(float(line.max()) for line in lines.values()))
    scale = (HIGH - 40) / ((high - low) or 1.0)
    step = WIDE / max(1, len(base))

    def y(value: float) -> float:
        return 20 + (high - value) * scale

    parts = [f'<svg class="waterfall" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="Gain over the baseline">']
    parts.append(f'<line x1="0" x2="{WIDE}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}" class="axis"/>')
    end = 0
    for outcome in result.outcomes[BASELINE][:-1]:
        end += len(outcome.days)
        parts.append(f'<line x1="{end * step:.1f}" x2="{end * step:.1f}" y1="0" y2="{HIGH}" class="step"/>')
    for name, line in lines.items():
        points = " ".join(f"{(at + 1) * step:.1f},{y(float(value)):.1f}" for at, value in enumerate(line))
        width, opacity = (2.5, 1.0) if name == result.judged else (1.0, 0.55)
        parts.append(
            f'<polyline points="0,{y(0.0):.1f} {points}" fill="none" stroke="currentColor" stroke-width="{width}" opacity="{opacity}">'
            f"<title>{escape(name)}: {float(line[-1]):.1f} bps</title></polyline>"
        )
    return "".join(parts) + "</svg>"


def criteria_body(result: Validation) -> str:
    """Return one row a criterion."""
    rows = []
    for judgement in result.verdict.judgements:
        state = "pass" if judgement.passed else ("FAIL" if judgement.refuses else "flag")
        rows.append(text_row(judgement.name, (figure_of(judgement.value), judgement.rule, f"{judgement.limit:g}", state)))
    return table(map(head, ("Criterion", "Figure", "Rule", "Limit", "")), rows, "text")


def figure_of(value: Any, digits: int = 4) -> str:
    """Return a figure with that many significant digits, or a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    return f"{value:,.{digits}g}".replace(",", "\u202f").replace("-", "−") if isinstance(value, float) else str(value)


def folds_body(result: Validation) -> str:
    """Return one row a fold."""
    heads = ("Learns from", "Scored", "to", "Baseline", "Policy", "Gain", "Trades, baseline", "Trades, policy")
    keys = ("scored_from", "scored_to", "baseline_bps_a_day", "policy_bps_a_day", "gain_bps_a_day", "baseline_trades", "policy_trades")
    folds = (result.fold(at) for at in range(len(result.windows)))
    return table(map(head, heads), (text_row(fold["learns_from"], (figure_of(fold[key]) for key in keys)) for fold in folds))


def policies_body(result: Validation) -> str:
    """Return one row a policy."""
    heads = ("Policy", "Bps a day", "Sharpe, annual", "Gain", "from", "to", "p", "Drawdown", "NAVs a day", "Trades")
    keys = ("bps_a_day", "sharpe_annual", "gain_bps_a_day", "low", "high", "p")
    rows = []
    for name in result.outcomes:
        row = result.policy(name)
        cells = [figure_of(row.get(key)) for key in keys]
        cells += [figure(row["max_drawdown"], "pct"), figure_of(row["turnover_nav_a_day"]), figure(row["trades"], "count")]
        rows.append(text_row(name, cells))
    return table(map(head, heads), rows)


def statistics_body(result: Validation) -> str:
    """Return the statistics of the judged policy, by name."""
    known = {**result.evidence_dict(), "capacity_usd": result.capacity_usd, "efficiency": result.efficiency}
    known["pbo_policies"] = ", ".join(known["pbo_policies"])
    return table((), (text_row(plain(name), [figure_of(value)]) for name, value in known.items()), "text")


def stress_body(result: Validation) -> str:
    """Return one row a stressed world, after the plain one."""
    plainly = {"as configured": float(result.pooled[result.judged].returns.mean()) * BPS}
    return table((), (text_row(plain(name), [figure_of(value)]) for name, value in {**plainly, **result.stress_bps_a_day}.items()), "text")


def bands_body(result: Validation) -> str:
    """Return one row a live figure."""
    heads = ("Figure", "Low", "Median", "High", "Windows seen")
    rows = (
        text_row(plain(name), (figure_of(each[key]) for key in ("low", "median", "high", "windows"))) for name, each in result.bands.items()
    )
    return table(map(head, heads), rows)
