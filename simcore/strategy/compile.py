"""The compilation of a strategy: a trial in plain Python, machine code cached under its sources, errors in a person's words."""

from __future__ import annotations

import hashlib
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.errors import NumbaError

from simcore.domain.errors import StrategyError, did_you_mean
from simcore.jit import KERNEL_HASH, cache_root, compile_cached
from simcore.strategy.abi import SIGNATURES
from simcore.strategy.rewrite import MARKET_FIELDS, SIGNAL_FIELDS
from simcore.strategy.sources import shown

if TYPE_CHECKING:
    from simcore.strategy.definition import Strategy

TRIAL_BARS = 200
TRIAL_SYMBOLS = 3


def cache_folder(strategy: Strategy) -> Path:
    """Return where the machine code of this very source is kept: an edit of it, of a helper or of a kernel names another."""
    key = hashlib.sha256(f"{KERNEL_HASH} {strategy.source_hash}".encode()).hexdigest()
    return cache_root() / "strategies" / f"{strategy.name}-{key[:16]}"


def compile_strategy(strategy: Strategy) -> Any:
    """Return the machine code of `strategy`, from the cache when its sources were compiled before.

    Raises StrategyError of at most five lines: file and line, cause, fix.
    """
    signature = SIGNATURES[strategy.on]
    in_file = Path(strategy.file).is_file()
    folder = cache_folder(strategy)
    if not in_file or not any(folder.rglob("*.nbi")):
        try_out(strategy)
    try:
        if in_file:
            return compile_cached(strategy.python, signature, folder)
        return numba.njit(signature, nogil=True)(strategy.python)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - numba raises KeyError, TypeError and others for an author's mistake
        raise StrategyError(explain(strategy, error)) from None


def try_out(strategy: Strategy) -> None:
    """Run the strategy in plain Python on a short random walk, where a mistake shows as Python shows it, with its line."""
    from simcore.strategy.drive import run, trial_history

    symbols = TRIAL_SYMBOLS if strategy.on == "cross" else 1
    run(strategy, trial_history(strategy.on, symbols, TRIAL_BARS, strategy.every_ns), interpreted=True)


def trouble(strategy: Strategy, error: BaseException) -> StrategyError:
    """Return the StrategyError that says where in the author's files `error` came from and what may be meant."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename == strategy.file] or [f for f in frames if "simcore/strategy" not in f.filename]
    line = own[-1].lineno if own else strategy.line
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    what = f"{type(error).__name__}: {text}"
    hint = "Run with --interpreted to stop there with a debugger."
    unknown = re.search(r"no field of name (\S+)", text)
    if unknown:
        what, hint = f"a record has no field '{unknown[1]}'.", did_you_mean(unknown[1], {*MARKET_FIELDS, *SIGNAL_FIELDS})
    elif isinstance(error, ZeroDivisionError) or (isinstance(error, FloatingPointError) and "divide" in text):
        what, hint = "it divides by zero.", "Guard the division: compiled code stops the run there."
    elif isinstance(error, NameError) and error.name:
        near = did_you_mean(error.name, own_names(strategy))
        hint = near if near.startswith("Did") else "Define or import it above the strategy."
    return StrategyError(f"{shown(strategy.file)}:{line}: {strategy.name}: {what}\n  {_source_line(strategy, line)}\n  {hint}")


def own_names(strategy: Strategy) -> list[str]:
    """Return the names the strategy could have meant: its locals and the public names of its module."""
    function = strategy.python
    return [*function.__code__.co_varnames, *(n for n in function.__globals__ if not n.startswith("__"))]


CAUSES = (
    (
        r"Untyped global name '([^']+)'.*?(?:Cannot determine Numba type of|cannot be determined)? ?<class '([^']+)'>",
        "'{0}' is a {1}, which compiled code cannot use.",
        "Keep numbers in memory or params, or run this strategy with --interpreted.",
    ),
    (
        r"Untyped global name '([^']+)'",
        "'{0}' cannot be used in compiled code.",
        "Use simcore.indicators, numbers and your own @njit helpers, or run with --interpreted.",
    ),
    (r"NameError: name '([^']+)'", "'{0}' is not defined.", "Define or import it above the strategy."),
    (
        r"Unknown attribute '([^']+)' of type ([^\n]+)",
        "compiled code knows no '.{0}' here.",
        "Read fields in brackets, like market['close'], or run with --interpreted.",
    ),
    (
        r"Cannot unify ([^\n]+?) and ([^\n]+?) for '([^']+?)(?:\.\d+)?'",
        "{2} is once {0}, once {1}.",
        "Give it one type: start it as a float, like 0.0.",
    ),
    (
        r"Use of unsupported opcode \(([^)]+)\)",
        "compiled code does not know this statement ({0}).",
        "Write it plainly, or run with --interpreted.",
    ),
    (
        r"No implementation of function Function\(([^)]*)\)[^\n]*\(([^\n]*)\)",
        "{0} does not work on ({1}).",
        "Check the arguments' order and types, or run with --interpreted.",
    ),
    (r"KeyError: '([^']+)'", "a record has no field '{0}'.", "Check the spelling of the name."),
)


def explain(strategy: Strategy, error: BaseException) -> str:
    """Return a compiler's error as file and line, source, cause and fix: at most five lines."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
    text = re.sub(r"Literal\[(\w+)\]\([^)]*\)", r"\1", text)
    lines = [int(n) for n in re.findall(rf'File "{re.escape(strategy.file)}", line (\d+)', text)]
    lines += [int(n) for n in re.findall(rf'File "[^"]*{re.escape(Path(strategy.file).name)}", line (\d+)', text)]
    lines += [int(n) for n in re.findall(rf"{re.escape(strategy.file)} \((\d+)\)", text)]
    line = lines[-1] if lines else (getattr(getattr(error, "loc", None), "line", None) or strategy.line)
    cause, fix = _first_line(text), "Run it with --interpreted to see it work step by step."
    if not isinstance(error, NumbaError):
        fix = "If this is no mistake in the strategy, run it with --interpreted and report it."
    for pattern, what, advice in CAUSES:
        match = re.search(pattern, text, re.DOTALL)
        if match:
            cause, fix = what.format(*_told(match)), advice
            break
    head = f"{shown(strategy.file)}:{line}: {strategy.name} does not compile: {cause}"
    return f"{head}\n  {_source_line(strategy, line)}\n  {fix}"


def _told(match: re.Match[str]) -> list[str]:
    """Return what the compiler named, types in a fixed order and its own temporaries without their numbers."""
    groups = [g or "" for g in match.groups()]
    if len(groups) == 3:
        groups[:2] = sorted(groups[:2])
        groups[2] = "a value" if groups[2].startswith("$") else f"'{groups[2]}'"
    return groups


def _first_line(text: str) -> str:
    told = [s.strip() for s in text.splitlines() if s.strip()]
    noise = ("Failed in nopython", "During:", "File ", "TypingError", "^")
    useful = [s for s in told if not s.startswith(noise)]
    return (useful or told or ["no reason given"])[0][:200]


def _source_line(strategy: Strategy, line: int | None) -> str:
    import linecache

    return linecache.getline(strategy.file, line or 0).strip() or f"def {strategy.name}(...)"
