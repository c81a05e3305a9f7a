"""The start of a command: what a replay from the command line leaves unloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNWANTED = (
    "simcore.validation", "pandas", "pyarrow.dataset", "binance", "aiohttp", "asyncio", "scipy", "matplotlib", "rich.progress", "coverage",
)  # fmt: skip


def test_a_replay_from_the_command_line_loads_nothing_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom simcore.cli import app\n"
        f"try:\n    app(['replay', '--symbols', 'SYNAUSDT', '--strategy', 'ema_cross', '--out', {str(tmp_path)!r}])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [name for name in {UNWANTED!r} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert "Warning" not in done.stderr
