"""The strategy toolbox: everything a strategy file imports, and what checks and loads one."""

from simcore.domain.enums import FLAT, LONG, SHORT
from simcore.domain.errors import StrategyError
from simcore.strategy.abi import BAR_FUNCTION, BAR_SIGNATURE, CROSS_FUNCTION, CROSS_SIGNATURE, noop_bar, noop_cross
from simcore.strategy.check import Report, check_strategy
from simcore.strategy.definition import Strategy, strategy
from simcore.strategy.load import load_strategy
from simcore.strategy.memory import Window, window

__all__ = [
    "BAR_FUNCTION", "BAR_SIGNATURE", "CROSS_FUNCTION", "CROSS_SIGNATURE", "FLAT", "LONG", "Report", "SHORT", "Strategy",
    "StrategyError", "Window", "check_strategy", "load_strategy", "noop_bar", "noop_cross", "strategy", "window",
]  # fmt: skip
