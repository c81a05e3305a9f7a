"""README and docstrings are promises: their code runs here."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import replay_data
import simcore
import strategies

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "CONTRIBUTING.md")


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def shell_lines() -> list[str]:
    """Return the commands of the README's shell blocks, without their comments."""
    lines = [line.split("#")[0].strip() for body in blocks("sh") for line in body.splitlines()]
    return [line for line in lines if line]


def simcore_command(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *shlex.split(line)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("body", blocks("python"), ids=lambda body: body.split("\n")[0])
def test_the_python_of_the_readme_runs(body: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(body, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_workspace_of_the_readme_works_line_by_line(tmp_path: Path) -> None:
    body = next(body for body in blocks("sh") if "simcore init" in body)
    for line in body.splitlines():
        done = simcore_command(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert list((tmp_path / "runs").glob("*/report.html"))


@pytest.mark.real
def test_importing_and_replaying_as_the_readme_says(tmp_path: Path, real_data: Path) -> None:
    body = next(body for body in blocks("sh") if "data import path/to/binance" in body)
    source = real_data / "futures_um" / "klines" / "1h" / "LTCUSDT"
    body = body.replace("path/to/binance/files", str(source)).replace("2024-01-01", "2025-03-05")
    for line in body.splitlines():
        done = simcore_command(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.real
def test_importing_and_replaying_a_recorded_book_as_the_readme_says(tmp_path: Path, real_data: Path) -> None:
    body = next(body for body in blocks("sh") if "data import path/to/recordings" in body)
    body = body.replace("path/to/recordings", str(real_data / "l2" / "um" / "ETHUSDT-20240808"))
    for line in body.splitlines():
        done = simcore_command(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("make ")])
def test_every_make_target_of_the_readme_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", [line for line in shell_lines() if re.fullmatch(r"simcore [\w-]+", line)])
def test_every_command_of_the_readme_has_help(line: str, tmp_path: Path) -> None:
    done = simcore_command(f"{line} --help", tmp_path)
    assert done.returncode == 0 and "Usage" in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_the_pages_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:md|py|txt|toml))`", text)) - {"my_strategy.py"}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert named and not missing


def modules() -> list[str]:
    found = []
    for package in (simcore, strategies, replay_data):
        found += [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [name for name in found if not name.endswith("__main__")]


def doctests_of(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


def test_every_example_in_a_docstring_gives_what_it_shows() -> None:
    ran, trouble = 0, io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for name in modules():
        for test in doctests_of(importlib.import_module(name)):
            with contextlib.redirect_stdout(trouble):
                ran += runner.run(test).attempted
    assert ran > 10, "there are examples to run"
    assert runner.summarize(verbose=False).failed == 0, trouble.getvalue()
