"""The suite's shared ground: the hypothesis profile, where real data and reference cases lie, one sample feed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No deadline and no "too slow": the first example of a property may compile a kernel.
settings.register_profile("simcore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("simcore"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "simcore")


def real_data_folder() -> Path | None:
    """Return the folder of real exchange data named by SIMCORE_REAL_DATA, or None where there is none."""
    named = os.environ.get("SIMCORE_REAL_DATA")
    return Path(named) if named and Path(named).is_dir() else None


def reference_folder() -> Path | None:
    """Return the folder of reference cases: SIMCORE_REFERENCE, or `reference` beside the real data."""
    real = real_data_folder()
    named = os.environ.get("SIMCORE_REFERENCE") or (real.parent / "reference" if real else None)
    return Path(named) if named and Path(named).is_dir() else None


@cache
def load_reference(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data; a test that asks for it is skipped where there is none."""
    folder = real_data_folder()
    if folder is None:
        pytest.skip("no real market data: set SIMCORE_REAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """`reference("bars")` reads bars.json of the reference cases; skipped where there are none."""
    folder = reference_folder()
    if folder is None:
        pytest.skip("no reference cases: set SIMCORE_REFERENCE to their folder")
    return lambda name: load_reference(folder, name)


@pytest.fixture(scope="session")
def sample_feed() -> Any:
    """The whole embedded synthetic sample as a Feed."""
    from replay_data.catalog import Catalog
    from replay_data.sample import sample_catalog

    return Catalog(sample_catalog()).feed()


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to use as SIMCORE_CACHE_DIR of a subprocess that must start cold."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def real_window(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Thirty hours of real one-minute bars, marks and funding of three symbols, over the crash of LAYERUSDT in May 2025."""
    from replay_data.catalog import Catalog
    from replay_data.interval import from_iso

    catalog = Catalog(tmp_path_factory.mktemp("window"))
    names = ("BTCUSDT", "LAYERUSDT", "SOLUSDT")
    for folder in ("klines/1m", "markPriceKlines/1h", "markPriceKlines/8h", "fundingRate"):
        for name in names:
            if (found := real_data / "futures_um" / folder / name).is_dir():
                catalog.import_path(found)
    return catalog.feed(list(names), from_iso("2025-05-05"), from_iso("2025-05-06T06:00"), "1m")
