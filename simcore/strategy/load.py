"""The loader: finds a strategy by module and name, among the shipped ones or in a folder of the user's own."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numba

from simcore.domain.errors import StrategyError, did_you_mean
from simcore.jit import KERNEL_CACHE, KERNEL_HASH, cache_root
from simcore.strategy.definition import Strategy
from simcore.strategy.sources import PACKAGE, is_authors, shown, strategy_sources

SHIPPED = "strategies"
SHIPPED_FOLDER = PACKAGE.parent / SHIPPED
NUMBA: Any = numba.config


def load_strategy(module: str, name: str, search: Iterable[str | Path] = ()) -> Strategy:
    """Return the strategy `name` of `module`.

    `module` is a file's name without `.py` ("my_cross"), or a dotted one ("strategies.ema_cross"). It is looked for in each
    folder of `search`, in their `strategies/` folders, and among the shipped strategies, in that order; a user's file needs
    no installed package and may import modules that lie beside it. Raises StrategyError: file and line, cause, fix.
    """
    folders = [Path(p) for p in search]
    path = _find(module, folders)
    loaded = _load_file(path) if path is not None else _load_shipped(module, folders)
    found = getattr(loaded, name, None)
    if isinstance(found, Strategy):
        return found
    known = [k for k, v in vars(loaded).items() if isinstance(v, Strategy)]
    file = shown(loaded.__file__ or module)
    if found is not None:
        raise StrategyError(f"{file}: '{name}' is not a strategy. Put @strategy(...) above its def.")
    if not known:
        raise StrategyError(f"{file}: it holds no strategy. Put @strategy(...) above a function.")
    raise StrategyError(f"{file}: it has no strategy '{name}'. {did_you_mean(name, known)}")


def _find(module: str, folders: list[Path]) -> Path | None:
    short = module.removeprefix(f"{SHIPPED}.")
    for folder in folders:
        for candidate in (folder / f"{module.replace('.', '/')}.py", folder / f"{short}.py", folder / SHIPPED / f"{short}.py"):
            if candidate.is_file():
                return candidate.resolve()
    return None


def _load_shipped(module: str, folders: list[Path]) -> ModuleType:
    names = [module] if module.startswith(f"{SHIPPED}.") else [f"{SHIPPED}.{module}", module]
    for name in names:
        if _spec(name) is not None:
            return importlib.import_module(name)
    places = [shown(f) for f in folders] + ["the shipped strategies"]
    hint = did_you_mean(module, _present(folders))
    raise StrategyError(f"there is no strategy file '{module}.py' in {', '.join(places)}. {hint}")


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _present(folders: list[Path]) -> set[str]:
    places = [SHIPPED_FOLDER, *(p for f in folders for p in (f, f / SHIPPED))]
    return {f.stem for p in places if p.is_dir() for f in p.glob("*.py") if not f.stem.startswith("_")} or {"none"}


def _load_file(path: Path) -> ModuleType:
    """Execute a user's file as a module of its own; an unchanged file is executed once a process."""
    if path.parent == SHIPPED_FOLDER and (shipped := _spec(f"{SHIPPED}.{path.stem}")) and shipped.origin == str(path):
        return importlib.import_module(shipped.name)
    name = f"user_strategy_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    try:
        sources = hashlib.sha256(KERNEL_HASH.encode() + b"".join(p.read_bytes() for p in strategy_sources(path))).hexdigest()
    except SyntaxError as error:
        raise _import_trouble(path, error) from None
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__simcore_sources__", None) == sources:
        return known
    module = ModuleType(name)
    module.__dict__.update({"__file__": str(path), "__simcore_sources__": sources})
    sys.modules[name] = module
    helpers_cache = cache_root() / "strategies" / f"{path.stem}-helpers-{sources[:16]}"
    try:
        with _beside(path.parent), _numba_cache(helpers_cache):
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)  # no .pyc to go stale
    except StrategyError:
        del sys.modules[name]
        raise
    except Exception as error:  # noqa: BLE001 - a user's module may raise anything
        del sys.modules[name]
        raise _import_trouble(path, error) from None
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let a file import the modules beside it, even where another folder's module of the same name was loaded before."""
    own = {p.stem for p in folder.glob("*.py")} - set(sys.stdlib_module_names)
    for name in own & set(sys.modules):
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and is_authors(Path(file).resolve()) and Path(file).resolve() != folder / f"{name}.py":
            del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _numba_cache(folder: Path) -> Iterator[None]:
    """Keep the machine code of an author's cached helpers under the hash of the author's sources."""
    NUMBA.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        NUMBA.CACHE_DIR = str(KERNEL_CACHE)


def _import_trouble(path: Path, error: BaseException) -> StrategyError:
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    file = str(path)
    if isinstance(error, SyntaxError) and error.filename:
        file = error.filename
    if line is None:
        own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        line = own[-1].lineno if own else 1
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    absent = isinstance(error, ModuleNotFoundError)
    hint = "Install it, or put the module beside the strategy." if absent else "Correct that line."
    return StrategyError(f"{shown(file)}:{line}: {type(error).__name__}: {text}. {hint}")
