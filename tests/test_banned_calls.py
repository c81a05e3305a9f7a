"""The lint of what decides: no wall clock, no global randomness, no loop over a set, whose order changes from run to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "simcore"
DECIDING = ["domain", "engine", "decision", "ledger.py", "jit.py", "indicators.py"]
BANNED_MODULES = {"time", "random", "secrets", "uuid"}
BANNED_CALLS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "os.urandom", "id", "hash"}
SEEDED = {"np.random.Generator", "np.random.PCG64", "np.random.SeedSequence"}


def deciding_sources() -> list[Path]:
    paths = [PACKAGE / name for name in DECIDING]
    return sorted(p for path in paths for p in (path.rglob("*.py") if path.is_dir() else [path]) if p.exists())


def dotted(node: ast.AST) -> str:
    """Return "a.b.c" of an attribute chain, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def is_set(node: ast.AST) -> bool:
    called = isinstance(node, ast.Call) and dotted(node.func) in {"set", "frozenset"}
    return called or isinstance(node, (ast.Set, ast.SetComp))


def violations(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, what) of every banned import, call and loop in a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, f"import {a.name}") for a in node.names if a.name.split(".")[0] in BANNED_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in BANNED_MODULES:
            yield node.lineno, f"from {node.module} import"
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in BANNED_CALLS or ".".join(name.split(".")[-2:]) in BANNED_CALLS:
                yield node.lineno, f"{name}()"
            if name in {"list", "tuple", "enumerate", "iter", "sum"} and node.args and is_set(node.args[0]):
                yield node.lineno, f"{name}() of a set"
        elif isinstance(node, ast.Attribute):
            name = dotted(node).replace("numpy.", "np.")
            if name.startswith("np.random.") and name not in SEEDED:
                yield node.lineno, name
        elif isinstance(node, (ast.For, ast.comprehension)) and is_set(node.iter):
            yield node.iter.lineno, "loop over a set"


def test_what_decides_reads_no_clock_and_draws_no_global_number() -> None:
    sources = deciding_sources()
    assert len(sources) > 5, "the lint must look at something"
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {what}"
        for path in sources
        for line, what in violations(path.read_text(encoding="utf-8"))
    ]
    assert not found, "banned here, pass it in as an argument instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "from time import time",
        "import random",
        "from uuid import uuid4",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now()",
        "import numpy as np\nnp.random.default_rng()",
        "import numpy as np\nnp.random.seed(1)",
        "import numpy\nnumpy.random.rand()",
        "for x in {1, 2}: pass",
        "[x for x in set(y)]",
        "list({1, 2})",
        "import os\nos.urandom(8)",
        "x = hash('a')",
    ],
)
def test_the_lint_finds_what_is_planted(source: str) -> None:
    assert list(violations(source))


@pytest.mark.parametrize("source", ["x = {1: 2}\nfor k in x: pass", "sorted({1, 2})", "3 in {1, 2}", "row['time'] = now_ns"])
def test_the_lint_leaves_honest_code_alone(source: str) -> None:
    assert not list(violations(source))
