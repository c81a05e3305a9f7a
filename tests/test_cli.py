"""The command line as a script and a person meet it: whole processes, exit codes, one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("numba", "numpy", "pandas", "pyarrow", "binance", "pydantic")


def python(code: str, *, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", code], cwd)


def simcore(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "simcore", *arguments], cwd, **variables)


def run(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1", **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path, subprocess.CompletedProcess[str]]:
    """One replay of two sample symbols over a week, as a script runs it."""
    folder = tmp_path_factory.mktemp("run")
    done = simcore("replay", "--symbols", "SYNAUSDT,SYNBUSDT", "--out", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder, done


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom simcore.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "replay" in done.stdout and "warmup" in done.stdout
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_importing_the_package_imports_nothing_heavy() -> None:
    done = python(f"import sys, simcore\nprint([m for m in (*{HEAVY!r}, 'typer', 'rich') if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_simcore_replay_stays_a_function_after_its_module_was_imported() -> None:
    code = (
        "import simcore\nfrom simcore.replay import run_replay\nimport simcore.replay\n"
        "assert callable(simcore.replay) and simcore.replay.__module__ == 'simcore.api', simcore.replay\n"
        "from simcore import replay\nassert replay is simcore.replay\nassert callable(run_replay)\nprint('ok')"
    )
    done = python(code)
    assert done.stdout.strip() == "ok", done.stderr


def test_an_unknown_attribute_of_the_package_is_an_attribute_error() -> None:
    import simcore as package

    with pytest.raises(AttributeError, match="no attribute 'reply'"):
        package.reply  # noqa: B018 - reading it is the test


def test_a_replay_prints_exactly_one_json_object(small_run: tuple) -> None:
    result, folder, done = small_run
    assert set(result) == {"run", "digest", "data", "counts", "speed", "metrics", "kpis", "checks", "files"}
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert result["checks"]["ledger_balanced"] is True
    assert result["counts"]["bars"] > 0 and result["counts"]["orders"] > 0
    assert set(result["speed"]) >= {"load_s", "compile_s", "replay_s", "events_per_s"}
    assert "synthetic" in json.dumps(result["data"])
    for name in ("summary.json", "report.html", "ledger.parquet", "fills.parquet", "trades.parquet", "equity.parquet"):
        assert (folder / name).stat().st_size > 0, name


def test_a_quiet_replay_names_only_the_report(tmp_path: Path) -> None:
    done = simcore("replay", "--symbols", "SYNAUSDT", "--strategy", "ema_cross", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert done.stdout == "" and done.stderr == f"report: runs/{folder.name}/report.html\n"
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert folder.name.endswith("-" + summary["digest"][:8])


def test_the_same_command_gives_the_same_digest_in_another_process(small_run: tuple, tmp_path: Path) -> None:
    result, _, _ = small_run
    again = simcore("replay", "--symbols", "SYNBUSDT,SYNAUSDT", "--out", str(tmp_path), "--json")
    assert json.loads(again.stdout)["digest"] == result["digest"]


def test_a_parameter_set_on_the_command_line_is_used(tmp_path: Path) -> None:
    common = ("replay", "--symbols", "SYNAUSDT", "--strategy", "ema_cross", "--json", "--out")
    slow = simcore(*common, str(tmp_path / "slow"))
    fast = simcore(*common, str(tmp_path / "fast"), "--set", "ema_cross.fast=5", "--set", "ema_cross.slow=20")
    slow_trades, fast_trades = (json.loads(done.stdout)["counts"]["orders"] for done in (slow, fast))
    assert fast_trades > slow_trades


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("replay", "--set", "fast=10"),
            "ConfigError: --set fast=10: write it as strategy.parameter=value, for example --set ema_cross.fast=10.",
        ),
        (
            ("replay", "--strategy", "ema_cros"),
            "ConfigError: strategy_registry.json: unknown strategy 'ema_cros'. Did you mean 'ema_cross'?",
        ),
        (
            ("replay", "--set", "ema_cross.fats=10"),
            "ConfigError: --set ema_cross.fats: unknown parameter 'fats' of ema_cross. Did you mean 'fast'?",
        ),
        (
            ("replay", "--start", "yesterday"),
            "DataError: start: 'yesterday' is no date. Write it as 2025-05-04 or 2025-05-04T12:00, in UTC.",
        ),
        (
            ("replay", "--data", "nowhere"),
            "DataError: nowhere: no such catalog folder. Make one with 'simcore data import PATH --data nowhere'.",
        ),
        (("data", "import", "nowhere.zip"), "DataError: nowhere.zip: no such file or folder."),
        (
            ("data", "list", "--data", "nowhere"),
            "DataError: nowhere: no such catalog folder. Make one with 'simcore data import PATH --data nowhere'.",
        ),
        (("init", "simcore"), "ConfigError: simcore: is there already and not empty. Name a new folder."),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    done = simcore(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message + "\n")


def test_a_mistake_with_json_is_one_json_object() -> None:
    done = simcore("replay", "--strategy", "nope", "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and error["kind"] == "ConfigError" and "unknown strategy 'nope'" in error["message"]


def test_an_unknown_option_is_the_persons_mistake() -> None:
    done = simcore("replay", "--symbol", "SYNAUSDT")
    assert done.returncode == 2 and "--symbols" in done.stderr


def test_a_fault_of_simcore_shows_its_traceback_and_exit_code_3() -> None:
    code = (
        "import sys, simcore.cli as cli\ndef broken(): raise ZeroDivisionError('planted')\n"
        "cli.app = broken\nsys.argv = ['simcore']\ncli.main()"
    )
    done = python(code)
    assert done.returncode == 3
    assert "ZeroDivisionError: planted" in done.stderr and "fault of simcore" in done.stderr


def test_a_broken_invariant_is_a_fault_of_simcore_not_a_mistake() -> None:
    code = (
        "import sys, simcore.cli as cli\nfrom simcore.domain.errors import InvariantError\n"
        "def broken(): raise InvariantError('event 7: the books differ')\n"
        "cli.app = broken\nsys.argv = ['simcore']\ncli.main()"
    )
    assert python(code).returncode == 3


def test_the_packaged_config_passes_its_own_check() -> None:
    done = simcore("config", "check", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["errors"] == []


def test_a_broken_config_fails_its_check_with_exit_code_1(tmp_path: Path) -> None:
    assert simcore("init", str(tmp_path / "work")).returncode == 0
    limits = tmp_path / "work" / "config" / "risk_limits.json"
    limits.write_text(limits.read_text(encoding="utf-8").replace('"max_leverage"', '"max_leverge"', 1), encoding="utf-8")
    done = simcore("config", "check", "--config", str(limits.parent))
    assert done.returncode == 1
    assert "unknown key 'max_leverge'. Did you mean 'max_leverage'?" in done.stdout


def test_the_schema_of_every_config_file_is_exported(tmp_path: Path) -> None:
    printed = json.loads(simcore("config", "schema").stdout)
    assert simcore("config", "schema", "--out", str(tmp_path)).returncode == 0
    written = {path.name.removesuffix(".schema.json") for path in tmp_path.iterdir()}
    assert written == {name.removesuffix(".json") for name in printed} and "risk_limits" in written


def test_a_new_workspace_replays_at_once_and_its_strategy_is_sound(tmp_path: Path) -> None:
    made = simcore("init", "work", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = simcore("replay", "--config", "work/config", "--symbols", "SYNAUSDT", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["counts"]["orders"] > 0
    assert "my_strategy" in json.dumps(summary["run"]) and "ema_cross" not in json.dumps(summary["run"])
    checked = simcore("strategy", "check", "my_strategy", "--config", "work/config", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_strategies_are_listed_with_their_parameters() -> None:
    listed = json.loads(simcore("strategy", "list", "--json").stdout)["strategies"]
    assert {"name": "sma_cross", "interval": "1h", "params": {"fast": 20.0, "slow": 100.0}} in listed


def test_no_colour_and_no_progress_reach_a_file(small_run: tuple) -> None:
    _, _, done = small_run
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.campaign
def test_after_a_warmup_a_replay_compiles_nothing(cache_home: Path, tmp_path: Path) -> None:
    cold = {"SIMCORE_CACHE_DIR": str(cache_home)}
    warm = simcore("warmup", "--json", **cold)
    assert warm.returncode == 0 and json.loads(warm.stdout)["cache"].startswith(str(cache_home))
    compiled = sorted(path.name for path in cache_home.rglob("*.nbc"))
    done = simcore("replay", "--symbols", "SYNAUSDT", "--out", str(tmp_path), "--json", **cold)
    assert done.returncode == 0, done.stderr
    after = sorted(path.name for path in cache_home.rglob("*.nbc"))
    assert compiled and after == compiled, f"compiled during the replay: {sorted(set(after) - set(compiled))}"


@pytest.mark.campaign
def test_after_a_warmup_of_books_their_engine_compiles_no_more(cache_home: Path) -> None:
    cold = {"SIMCORE_CACHE_DIR": str(cache_home)}
    assert simcore("warmup", "--books", "--quiet", **cold).returncode == 0
    engine = ("joints", "book_joints", "book_step", "book_play", "arrival", "quoter", "pipeline", "reports", "router")
    compiled = {path for path in cache_home.rglob("*.nbc") if path.name.startswith(engine)}
    code = "import simcore; from tests import book_streams; simcore.replay(feed=book_streams.feed(1, 300), strategy='market_maker')"
    env = {**os.environ, **cold, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    after = {path for path in cache_home.rglob("*.nbc") if path.name.startswith(engine)}
    assert compiled and not sorted(path.name for path in after - compiled)


@pytest.mark.real
def test_real_files_are_imported_listed_checked_and_replayed(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "futures_um" / "klines" / "5m" / "LTCUSDT"
    done = simcore("data", "import", str(source), "--data", "cat", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] > 10_000
    listed = json.loads(simcore("data", "list", "--data", "cat", "--json", cwd=tmp_path).stdout)["series"]
    assert [row["symbol"] for row in listed] == ["LTCUSDT"]
    assert simcore("data", "check", "--data", "cat", cwd=tmp_path).returncode == 0
    replayed = simcore("replay", "--data", "cat", "--interval", "5m", "--out", "out", "--json", cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    summary = json.loads(replayed.stdout)
    assert summary["counts"]["bars"] > 10_000 and summary["checks"]["ledger_balanced"] is True
