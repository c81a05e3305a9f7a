"""A backtest-first trading framework for Binance USD-M futures: one decision core for replay and live.

>>> import simcore
>>> run = simcore.replay(strategy="ema_cross", symbols=["SYNAUSDT"])   # doctest: +SKIP
>>> run.metrics["sharpe"], run.trades, run.report("report.html")       # doctest: +SKIP

Importing this package imports nothing heavy; numba and the rest are loaded by the first call that needs them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcore.api import fidelity as fidelity
    from simcore.api import replay as replay
    from simcore.api import sweep as sweep
    from simcore.api import validate as validate

__version__ = "0.1.0"
__all__ = ["__version__", "fidelity", "replay", "sweep", "validate"]
DOORS = ("fidelity", "replay", "sweep", "validate")


class _Package(ModuleType):
    """This package, but `simcore.replay` stays the function.

    `simcore/replay.py` is also a module, and importing a submodule rebinds its name in the package: that one rebinding
    is ignored here, so `simcore.replay(...)` works before and after `from simcore.replay import run_replay`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "replay" and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in DOORS:
            raise AttributeError(f"module 'simcore' has no attribute {name!r}")
        function = getattr(import_module("simcore.api"), name)
        setattr(self, name, function)
        return function


sys.modules[__name__].__class__ = _Package
