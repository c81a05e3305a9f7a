"""The compiler door: how kernels are compiled, and where their machine code is cached.

Numba's own cache does not notice an edit in another file, so the cache folder is named after the hash of every
source that can be inlined into a kernel: an edited fee is never yesterday's fee.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numpy as np

if "coverage" not in sys.modules:
    # numba imports coverage wherever it is installed, 40 ms of every command, and uses it only where it is running already.
    sys.modules["coverage"] = None  # makes its import fail, as if it were not installed
    import numba

    del sys.modules["coverage"]
import numba
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import NumbaExperimentalFeatureWarning
from numba.extending import intrinsic, overload

# Function-typed arguments are how strategies and joints stay compiled apart; numba calls them experimental at every use.
warnings.filterwarnings("ignore", category=NumbaExperimentalFeatureWarning)

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).resolve().parent


def source_hash(paths: Iterable[Path]) -> str:
    """Return the hash of the sources and of every tool that turns them into machine code."""
    digest = hashlib.sha256()
    tools = (numba.__version__, llvmlite.__version__, np.__version__, platform.python_version(), platform.machine())
    digest.update(repr(tools).encode())
    digest.update(repr((numba.config.DISABLE_JIT, numba.config.BOUNDSCHECK)).encode())
    for path in sorted(paths):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel_sources() -> list[Path]:
    """Return the files whose code can be inlined into a kernel."""
    folders = (PACKAGE / "domain", PACKAGE / "engine", PACKAGE / "decision")
    return [PACKAGE / "jit.py", PACKAGE / "indicators.py", *(p for f in folders for p in f.glob("*.py"))]


def cache_root() -> Path:
    """Return a writable folder for compiled code: SIMCORE_CACHE_DIR, the user's cache, or a temporary one."""
    wanted = os.environ.get("SIMCORE_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(wanted) if wanted else Path.home() / ".cache"
    folder = root / "simcore"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"simcore-{os.getuid()}"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


COMPILING = not numba.config.DISABLE_JIT
KERNEL_HASH = source_hash(p for p in kernel_sources() if p.exists())
KERNEL_CACHE = cache_root() / KERNEL_HASH[:16]
numba.config.CACHE_DIR = str(KERNEL_CACHE)


def kernel(function: F) -> F:
    """Compile `function` on first use, without the interpreter lock, cached under the hash of all kernel sources."""
    numba.config.CACHE_DIR = str(KERNEL_CACHE)
    compiled: F = njit(cache=True, nogil=True)(function)
    return compiled


def part(function: F) -> F:
    """Compile `function` as a part of the kernels that call it: no door from Python, no file of its own in the cache."""
    compiled: F = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]
    return compiled


def merged(function: F) -> F:
    """Compile `function` as a part that is always merged into its callers: for steps of a hot loop whose call costs as much as they do."""
    compiled: F = njit(nogil=True, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]
    return compiled


class Entry:
    """A compiled door from Python with one written signature, compiled (or read from the cache) at its first call."""

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.python = function
        self.signature = signature

    @cached_property
    def compiled(self) -> Any:
        """The compiled function; the plain one when the compiler is off."""
        numba.config.CACHE_DIR = str(KERNEL_CACHE)
        return njit(self.signature, cache=True, nogil=True)(self.python)

    def __call__(self, *args: Any) -> Any:
        return self.compiled(*args)


class TableType(types.StructRef):
    """The compiled type of a function table, one class a table.

    It goes by its class's name. Numba would spell out every function of it with every field of every record: a name of 100 KB that
    stands in each symbol of each kernel that takes the table.
    """

    def __init__(self, fields: Any) -> None:
        super().__init__(fields)
        self.name = type(self).__qualname__


def entry(signature: Any) -> Callable[[Callable[..., Any]], Entry]:
    """Make the decorated function a compiled door with `signature`."""
    return lambda function: Entry(function, signature)


def inlined(function: F) -> F:
    """Merge `function` into its callers before compilation: for steps of a hot loop that take whole arrays.

    A call that passes an array counts its references, some 20 ns each time; a merged step does not.
    """
    compiled: F = njit(inline="always")(function)
    return compiled


@intrinsic
def _borrowed(typing: Any, array: Any) -> Any:
    """Return the array without its reference count (numba's own array layout: meminfo first, then parent)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        layout = cgutils.create_struct_proxy(signature.return_type)(context, builder, value=args[0])
        layout.meminfo = cgutils.get_null_value(layout.meminfo.type)
        layout.parent = cgutils.get_null_value(layout.parent.type)
        return layout._getvalue()

    return array(array), generate


def borrowed(array: Any) -> Any:
    """Return `array` as a view that counts no references, for kernels whose caller holds the array until they return.

    Handing a counted array from function to function costs 10 to 20 ns a time, more than a bar's own work.
    """
    return array


@overload(borrowed, inline="always")
def _overload_borrowed(array):  # type: ignore[no-untyped-def]  # numba compares the two signatures, annotations included
    return lambda array: _borrowed(array)  # type: ignore[call-arg]


@intrinsic
def _trailing_zeros(typing: Any, bits: Any) -> Any:
    """Count the zeros below the lowest set bit."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate


def trailing_zeros(bits: Any) -> Any:
    """Return the place of the lowest set bit of a positive integer."""
    return (int(bits) & -int(bits)).bit_length() - 1


@overload(trailing_zeros, inline="always")
def _overload_trailing_zeros(bits):  # type: ignore[no-untyped-def]  # numba compares the two signatures, annotations included
    return lambda bits: _trailing_zeros(bits)  # type: ignore[call-arg]


@intrinsic
def _first_of(typing: Any, values: Any) -> Any:
    """Return the address of an array's first value."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0]).data

    return types.CPointer(values.dtype)(values), generate


def flat(values: Any) -> Any:
    """Return `values` (one-dimensional, contiguous) as a bare pointer to index: one argument instead of seven, nothing to count.

    For strategies' memory, whose places are fixed when a strategy is written. The caller holds the array.
    """
    return values


@overload(flat, inline="always")
def _overload_flat(values):  # type: ignore[no-untyped-def]  # numba compares the two signatures, annotations included
    return lambda values: _first_of(values)  # type: ignore[call-arg]


def bare(values: Any) -> Any:
    """Return `values` as `flat` does, for arrays whose places are computed: a bounds-checked run keeps the array, and checks them.

    An array that is handed to a function is counted in and out of it, 3 ns each time; a book's quantities are handed on often.
    """
    return values


@overload(bare, inline="always")
def _overload_bare(values):  # type: ignore[no-untyped-def]  # numba compares the two signatures, annotations included
    if numba.config.BOUNDSCHECK:
        return lambda values: values
    return lambda values: _first_of(values)  # type: ignore[call-arg]


@intrinsic
def _prefetch(typing: Any, row: Any) -> Any:
    """Ask the processor for the cache line of a record; the address may be anything."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(32)
        pointer = ir.IntType(8).as_pointer()
        door = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer, word, word, word]), "llvm.prefetch.p0i8"
        )
        builder.call(door, [builder.bitcast(args[0], pointer), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(row), generate


def prefetch(row: Any) -> None:
    """Start to load a record that will be read soon, from a stream too many for the processor to guess."""


@overload(prefetch, inline="always")
def _overload_prefetch(row):  # type: ignore[no-untyped-def]  # numba compares the two signatures, annotations included
    return lambda row: _prefetch(row)  # type: ignore[call-arg]


def compile_cached(function: Callable[..., Any], signature: Any, folder: Path) -> Any:
    """Compile `function` for one written signature, cached in `folder` (for strategies, keyed by their own sources)."""
    numba.config.CACHE_DIR = str(folder)
    try:
        return njit(signature, cache=True, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = str(KERNEL_CACHE)
