"""The rows of the benchmarks, the runner, and how peers are found and bounded."""

import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def load(name: str) -> ModuleType:
    """A script of benchmarks/, which is no package, under a name that no module has."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rows() -> ModuleType:
    return load("rows")


@pytest.fixture
def runner(rows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py on an empty folder of benchmarks."""
    monkeypatch.setitem(sys.modules, "rows", rows)
    module = load("run")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(rows, "note_environment", lambda: None)
    return module


def test_medians_extremes_and_ratio_of_a_rate(rows: ModuleType) -> None:
    made = rows.row("dense", "steps/s", [200, 300, 250], against="TF2", theirs=[100, 90, 110])
    assert (made.ours, made.theirs, made.ratio) == (250, 100, 2.5)
    assert (made.min, made.max, made.runs, made.against) == (200, 300, 3, "TF2")


def test_less_time_is_a_ratio_above_one(rows: ModuleType) -> None:
    assert rows.row("add", "us", [2.0], theirs=10.0).ratio == 5
    assert rows.row("gb", "GB/s", [2.0], theirs=10.0).ratio == 0.2


def test_without_a_peer_there_is_no_ratio(rows: ModuleType) -> None:
    alone = rows.row("alone", "steps/s", [1.0])
    assert alone.theirs is None and alone.ratio is None
    assert " - " in rows.table([alone])
    with pytest.raises(ValueError, match="no measurements"):
        rows.row("none", "steps/s", [])


def test_json_has_the_documented_fields_and_comes_back(
    rows: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [rows.row("a", "steps/s", [1.0, 2.0], "b", [4.0])]
    file = tmp_path / "deep" / "rows.json"
    rows.report(made, file)
    assert list(json.loads(file.read_text())[0]) == [
        *("name", "ours", "unit", "against", "theirs", "ratio", "min", "max", "runs"),
    ]
    assert rows.read(file) == made
    assert "0.38" in capsys.readouterr().out


def test_peers_are_optional_and_their_failures_are_told(
    rows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHARDTAPE_PEERS_PYTHON", raising=False)
    monkeypatch.setattr(rows, "PEERS_PYTHON", tmp_path / "none")
    assert rows.run_peer("dense_ps.py", "tf2-ps") is None
    monkeypatch.setenv("SHARDTAPE_PEERS_PYTHON", sys.executable)
    monkeypatch.setattr(rows, "PEERS", tmp_path)
    (tmp_path / "good.py").write_text("print('noise'); print('{\"median\": 3}')")
    (tmp_path / "bad.py").write_text("raise SystemExit('no such peer')")
    assert rows.run_peer("good.py") == [{"median": 3}]
    with pytest.raises(RuntimeError, match="no such peer"):
        rows.run_peer("bad.py")


def test_a_command_past_its_limit_ends_with_its_children(rows: ModuleType) -> None:
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(78.125)']); "
        "time.sleep(78.125)"
    )
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="not done within 2 s"):
        rows.run_limited([sys.executable, "-c", code], 2.0)
    assert time.monotonic() - begin < 20
    time.sleep(0.2)
    left = [p for p in psutil.process_iter(["cmdline"]) if "78.125" in str(p.info["cmdline"])]
    assert not left


def test_the_runner_collects_rows_and_names_failures(
    rows: ModuleType,
    runner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = rows.row("a_row", "steps/s", [7.0])
    text = json.dumps([line.__dict__])
    (tmp_path / "good.py").write_text(f"import sys; open(sys.argv[2], 'w').write({text!r})")
    (tmp_path / "bad.py").write_text("raise SystemExit(3)")
    (tmp_path / "silent.py").write_text("")
    monkeypatch.setattr(sys, "argv", ["run.py", "--limit", "60"])
    assert runner.main() == 1
    shown = capsys.readouterr()
    assert "a_row" in shown.out
    assert "failed: bad.py: exit status 3" in shown.err
    assert "failed: silent.py: no rows" in shown.err
    monkeypatch.setattr(sys, "argv", ["run.py", "good"])
    assert runner.main() == 0
    assert rows.read(tmp_path / "results" / "good.json") == [line]


def test_an_unknown_benchmark_is_named(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "nothing"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "nothing" in capsys.readouterr().err


def test_every_benchmark_of_the_folder_takes_json() -> None:
    scripts = [p for p in BENCHMARKS.glob("*.py") if p.name not in ("rows.py", "run.py")]
    for script in scripts:
        text = script.read_text()
        assert "--json" in text or "rows.parser" in text or "parser(" in text, script.name
