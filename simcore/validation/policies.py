"""The policies of a validation: the frozen baseline, what is tried beside it, and the stressed worlds, each as a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simcore.domain.errors import ConfigError

if TYPE_CHECKING:
    from simcore.config import Config

BASELINE = "baseline"
STAGES = ("expectancy", "scoring", "autotune", "allocator")
Variants = Mapping[str, Mapping[str, Any]]


def policy_name(stages: Sequence[str]) -> str:
    """Return the name of a policy by the stages it switches on.

    >>> policy_name(["scoring", "allocator"]), policy_name(STAGES)
    ('scoring+allocator', 'all')
    """
    return "all" if set(stages) == set(STAGES) else "+".join(stage for stage in STAGES if stage in stages)


def with_stages(config: Config, stages: Sequence[str]) -> Config:
    """Return the config with exactly these learning stages on; none of them: learning is off."""
    switches: dict[str, Any] = {"settings.v6_enabled": bool(stages)}
    return config.replace(set={**switches, **{f"settings.{stage}.enabled": stage in stages for stage in STAGES}})


def candidates(config: Config, variants: Variants | None = None) -> dict[str, Config]:
    """Return every config that is tried, by name: the baseline first, then the judged one, the rivals and the variants.

    variants: assignments by name, such as {"fast 12": {"ema_cross.fast": 12}}, on top of the judged policy.
    Raises ConfigError when a variant has the name of a policy.
    """
    rules = config.validation
    judged = with_stages(config, rules.judged)
    found = {BASELINE: with_stages(config, ()), policy_name(rules.judged): judged}
    for stages in rules.rivals:
        found.setdefault(policy_name(stages), with_stages(config, stages))
    for name, assignments in (variants or {}).items():
        if name in found:
            raise ConfigError(f"variants: '{name}' is the name of a policy already tried. Choose another.")
        found[name] = judged.replace(set=dict(assignments))
    return found


def stressed(config: Config) -> dict[str, Config]:
    """Return the judged config in each stressed world, by the name of its floor in validation.json.

    cost: fees, half spreads, impact and stop slippage times `cost_factor`; a rebate shrinks by it. latency: times
    `latency_factor`, at least `min_latency_ms`. pessimistic_fills: makers only when traded through, and a smaller share of each
    bar. worst_case_bars: traded through, the rule under which a bar that holds stop and target is a stop; it differs from the
    plain replay only where the config is optimistic.
    """
    rules, model = config.validation.stress, config.settings.bar_model
    through = {"settings.bar_model.fill_rule": "through"}
    participation = model.participation_cap_pct * rules.participation_factor
    latency = max(model.entry_latency_ms * rules.latency_factor, rules.min_latency_ms)
    return {
        "cost": config.replace(set=dearer(config, rules.cost_factor)),
        "latency": config.replace(set={"settings.bar_model.entry_latency_ms": latency}),
        "pessimistic_fills": config.replace(set={**through, "settings.bar_model.participation_cap_pct": participation}),
        "worst_case_bars": config.replace(set=through),
    }


def dearer(config: Config, factor: float) -> dict[str, float]:
    """Return the assignments under which every cost is `factor` times what it was."""
    model = config.settings.bar_model
    costs = {f"settings.bar_model.half_spread_bps.{tier}": each * factor for tier, each in model.half_spread_bps.items()}
    costs |= {f"settings.bar_model.{name}": getattr(model, name) * factor for name in ("impact_y", "stop_slippage_ticks")}
    for asset, fees in config.assets.quote_assets.items():
        maker = fees.maker_fee_bps
        costs[f"assets.quote_assets.{asset}.maker_fee_bps"] = maker * factor if maker > 0.0 else maker / factor
        costs[f"assets.quote_assets.{asset}.taker_fee_bps"] = fees.taker_fee_bps * factor
    return costs
