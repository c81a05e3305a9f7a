"""The source files of a strategy: its own file and the author's modules it imports."""

from __future__ import annotations

import ast
import sys
import sysconfig
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shown(file: str | Path) -> str:
    """Return a path as a person would write it: relative to where they are, if it lies below."""
    path = Path(file)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def strategy_sources(file: str | Path) -> list[Path]:
    """Return the strategy's file and, transitively, the author's own modules it imports, in a stable order.

    Installed libraries, the standard library and simcore itself are left out: they are versioned elsewhere.
    """
    first = Path(file)
    if not first.is_file():
        return []
    found: list[Path] = []
    todo = [first.resolve()]
    while todo:
        path = todo.pop()
        if path not in found:
            found.append(path)
            todo += [p for name in _imported(path, path.stat().st_mtime_ns) if (p := _author_file(name, path.parent)) is not None]
    return [found[0], *sorted(found[1:])]


@cache
def _imported(path: Path, _modified_ns: int) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names += [base] if base else []
            names += [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
    return names


def _author_file(name: str, folder: Path) -> Path | None:
    beside = folder / (name.replace(".", "/") + ".py")
    if beside.is_file():
        return beside.resolve()
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or not file.endswith(".py") or name.split(".")[0] in sys.stdlib_module_names:
        return None
    path = Path(file).resolve()
    return path if is_authors(path) else None


def is_authors(path: Path) -> bool:
    """Say whether a file is the author's own: neither simcore's nor an installed library's."""
    return not any(path.is_relative_to(p) for p in (PACKAGE, *_library_folders()))


@cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[k]).resolve() for k in ("stdlib", "platstdlib", "purelib", "platlib")})
