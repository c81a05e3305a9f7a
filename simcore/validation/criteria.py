"""The verdict: each criterion of validation.json against the figure it asks for.

A criterion is called like its key, and the key says the rule: `min_` must be reached, `max_` not passed, the gain and the stress
floors must be exceeded, `flag_` only marks. A figure that is missing, NaN or infinite meets no criterion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from simcore.domain.errors import DataError, did_you_mean
from simcore.validation.evidence import Evidence

if TYPE_CHECKING:
    from simcore.config.validation import Criteria

NAN = math.nan
BPS = 1e4


@dataclass(frozen=True)
class Figures:
    """What was measured out of sample, by the criterion that asks for it. NaN: not determined.

    gain and stress in bps of NAV per day; drawdown_ratio policy / baseline; turnover in NAVs per day; rejects and
    ambiguous_exits as shares; capacity in quote units. stress: by name of the stressed replay.
    """

    gain_bps_a_day: float = NAN
    psr: float = NAN
    dsr: float = NAN
    pbo: float = NAN
    holm_p: float = NAN
    drawdown_ratio: float = NAN
    turnover_nav_a_day: float = NAN
    reject_pct: float = NAN
    ambiguous_exits_pct: float = NAN
    trades: float = NAN
    capacity_usd: float = NAN
    t: float = NAN
    stress_bps_a_day: Mapping[str, float] = field(default_factory=dict)


def figures_of(evidence: Evidence, **measured: Any) -> Figures:
    """Return the figures of the evidence (daily returns) together with those measured elsewhere, by name.

    Raises DataError on a name that is no figure, or one that the evidence gives.
    """
    own = {"gain_bps_a_day", "t", "psr", "dsr", "pbo"}
    free = [f.name for f in fields(Figures) if f.name not in own]
    for name in measured:
        if name not in free:
            raise DataError(f"there is no figure '{name}'. {did_you_mean(name, free)}")
    return Figures(
        gain_bps_a_day=evidence.gain.low * BPS,
        t=evidence.gain.t,
        psr=evidence.psr,
        dsr=evidence.dsr.dsr,
        pbo=evidence.pbo,
        **measured,
    )


def drawdown_ratio(policy: float, baseline: float) -> float:
    """Return how much deeper the policy's maximum drawdown is than the baseline's; signs do not count.

    1 where neither fell, infinite where only the policy did.

    >>> drawdown_ratio(-0.11, -0.10) > 1.0, drawdown_ratio(0.0, 0.0), drawdown_ratio(-0.01, 0.0)
    (True, 1.0, inf)
    """
    policy, baseline = abs(policy), abs(baseline)
    if math.isnan(policy) or math.isnan(baseline):
        return NAN
    if baseline == 0.0:
        return 1.0 if policy == 0.0 else math.inf
    return policy / baseline


# ---------------------------------------------------------------- the verdict

RULES = {">": "must be above", ">=": "must be at least", "<=": "must be at most"}


@dataclass(frozen=True)
class Judgement:
    """One criterion: its name, the figure and the limit that were compared, the rule, and whether it refuses or only flags."""

    name: str
    value: float
    rule: str  # ">", ">=", "<="
    limit: float
    refuses: bool

    @property
    def passed(self) -> bool:
        """Whether the figure is known and keeps the rule."""
        if not math.isfinite(self.value):
            return False
        if self.rule == ">":
            return self.value > self.limit
        return self.value >= self.limit if self.rule == ">=" else self.value <= self.limit

    def __str__(self) -> str:
        state = "pass" if self.passed else ("FAIL" if self.refuses else "flag")
        value = "not determined" if math.isnan(self.value) else f"{self.value:.4g}"
        return f"{state}  {self.name}: {value}, {RULES[self.rule]} {self.limit:g}"

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement for JSON; a figure that is not finite is null."""
        return {
            "criterion": self.name,
            "passed": self.passed,
            "refuses": self.refuses,
            "value": self.value if math.isfinite(self.value) else None,
            "rule": self.rule,
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Verdict:
    """All criteria, in the order of validation.json."""

    judgements: tuple[Judgement, ...]

    @property
    def passed(self) -> bool:
        """Whether no criterion that refuses has failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Judgement, ...]:
        """The criteria that refuse."""
        return tuple(j for j in self.judgements if j.refuses and not j.passed)

    @property
    def flags(self) -> tuple[Judgement, ...]:
        """What is only marked."""
        return tuple(j for j in self.judgements if not j.refuses and not j.passed)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict for JSON, every comparison with its numbers."""
        return {"passed": self.passed, "criteria": [j.as_dict() for j in self.judgements]}

    def __str__(self) -> str:
        end = "passed" if self.passed else f"refused by {', '.join(j.name for j in self.failed)}"
        return "\n".join([*map(str, self.judgements), end])


def judge(figures: Figures, criteria: Criteria) -> Verdict:
    """Return the verdict on `figures`: one judgement a criterion, each with the numbers that were compared."""
    return Verdict(tuple(_judgements(figures, criteria)))


def _judgements(figures: Figures, criteria: Criteria) -> Iterator[Judgement]:
    for key in type(criteria).model_fields:
        limit = getattr(criteria, key)
        if key == "note":
            continue
        if key == "flag_t_below":
            yield Judgement(key, figures.t, ">=", limit, refuses=False)
        elif key == "min_stress_bps_a_day":
            for name in type(limit).model_fields:
                if name != "note":
                    value = float(figures.stress_bps_a_day.get(name, NAN))
                    yield Judgement(f"{key}.{name}", value, ">", getattr(limit, name), refuses=True)
        else:
            rule = ">" if key == "min_gain_bps_a_day" else (">=" if key.startswith("min_") else "<=")
            yield Judgement(key, float(getattr(figures, key[4:])), rule, float(limit), refuses=True)
