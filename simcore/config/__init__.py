"""The configuration: the only reader of config/*.json, typed, frozen and checked as a whole.

`models` says what each file may hold, `load` turns bytes into models, `checks` reads the files against each other,
`resolve` answers in the records of the decision core.
"""

from simcore.config.resolve import (
    Config,
    StrategyEntry,
    UniverseEntry,
    check_config,
    default_folder,
    interval_ns,
    json_schemas,
    load_config,
)

__all__ = [
    "Config",
    "StrategyEntry",
    "UniverseEntry",
    "check_config",
    "default_folder",
    "interval_ns",
    "json_schemas",
    "load_config",
]
