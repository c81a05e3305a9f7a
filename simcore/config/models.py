"""The files of config/, each with its model: strict, frozen, every key with its bounds."""

from __future__ import annotations

from simcore.config.fields import File
from simcore.config.learning import Learning
from simcore.config.limits import RiskLimits
from simcore.config.settings import Settings
from simcore.config.strategies import StrategyConfig, StrategyRegistry
from simcore.config.universe import Assets, Dashboard, PairsUniverse, Reserves
from simcore.config.validation import Validation

FILES: dict[str, type[File]] = {
    "settings": Settings,
    "strategy_registry": StrategyRegistry,
    "strategy_config": StrategyConfig,
    "risk_limits": RiskLimits,
    "pairs_universe": PairsUniverse,
    "assets": Assets,
    "reserves": Reserves,
    "dashboard": Dashboard,
    "validation": Validation,
    "learning": Learning,
}
