"""The hashes of a config under many parameters: that of `config.replace(set=...)`, without making a config each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from simcore.config import Config
from simcore.config.checks import value_errors
from simcore.domain.errors import ConfigError, did_you_mean

Params = Mapping[str, Mapping[str, float]]


class ConfigHashes:
    """What `config` would hash to, and whether it would stand, with strategies' parameters changed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._canonical = config.canonical()
        self._given = {name: dict(use.params) for name, use in config.strategy_config.strategies.items()}

    def hash_with(self, params: Params) -> str:
        """Return the `Config.hash` with these parameters set: {strategy: {parameter: value}}."""
        uses = self._canonical["strategy_config"]["strategies"]
        before = {name: uses[name] for name in params}
        try:
            for name, own in params.items():
                uses[name] = {**uses[name], "params": {**self._given[name], **{key: float(value) for key, value in own.items()}}}
            text = json.dumps(self._canonical, sort_keys=True, separators=(",", ":"))
        finally:
            uses.update(before)
        return hashlib.sha256(text.encode()).hexdigest()

    def allows(self, params: Params) -> bool:
        """Say whether the config's rules on values accept these parameters.

        Raises ConfigError for a parameter that the strategy does not have.
        """
        for name, own in params.items():
            known = self.config.strategy_registry.strategies[name].params
            for key in own:
                if key not in known:
                    raise ConfigError(f"sweep: {name} has no parameter '{key}'. {did_you_mean(key, known)}")
            if any(value_errors(name, {**self._given[name], **own}, known)):
                return False
        return True
