"""The `shardtape` command: options, precedence, exit status, and that it starts fast."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shardtape.deploy import command
from shardtape.workers.config import option_help, option_names

LIMIT_S = 60


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from shardtape.deploy.command import main; main()"]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "NO_COLOR": "1", "TERMINAL_WIDTH": "200", **environment},
    )


@pytest.fixture
def show_options(tmp_path: Path) -> Path:
    """A script that prints what a Trainer would work with, and ends there."""
    script = tmp_path / "show.py"
    script.write_text(
        "from shardtape.workers.config import resolve\n"
        "config = resolve({'batch_size': 8, 'epochs': 2, 'seed': 3, 'mode': 'async'})\n"
        "print(config.batch_size, config.epochs, config.seed, config.mode, config.shuffle)\n"
        "raise SystemExit\n"
    )
    return script


def test_every_option_of_a_job_is_on_the_command_line() -> None:
    shown = CliRunner().invoke(command.app, ["train", "--help"], env={"TERMINAL_WIDTH": "300"})
    assert shown.exit_code == 0
    for name, text in option_help().items():
        assert f"--{name.replace('_', '-')}" in shown.output
        assert text.split(" ")[0] in shown.output
    grouped = {name for names in command._PANELS.values() for name in names}
    assert grouped - {"config"} <= set(option_names())


def test_command_line_over_environment_over_file_over_script(
    show_options: Path, tmp_path: Path
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("batch-size: 16\nepochs: 4\nseed: 5\n")
    plain = run("train", show_options)
    assert (plain.returncode, plain.stdout) == (0, "8 2 3 async True\n")
    over = run(
        *("train", show_options, "--config", file, "--batch-size", 64, "--no-shuffle"),
        SHARDTAPE_BATCH_SIZE="32",
        SHARDTAPE_EPOCHS="7",
    )
    assert (over.returncode, over.stdout) == (0, "64 7 5 async False\n")


def test_a_wrong_option_fails_with_one_readable_line(show_options: Path) -> None:
    got = run("train", show_options, "--mode", "asink")
    assert got.returncode == 2
    assert got.stderr == (
        "error: mode is 'asink': expected one of async, ssp, sync; did you mean 'async'? "
        "(from the command line)\n"
    ), "no line of the script is to blame"


def test_a_script_that_raises_fails_with_its_own_traceback(tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text("raise ValueError('my own fault')\n")
    got = run("train", script)
    assert got.returncode == 1
    assert f'File "{script}", line 1' in got.stderr and "ValueError: my own fault" in got.stderr
    assert "runpy" not in got.stderr


def test_missing_files_and_unknown_flags(tmp_path: Path, show_options: Path) -> None:
    got = run("train", tmp_path / "nowhere.py")
    assert got.returncode == 2 and "nowhere.py is not there" in got.stderr
    got = run("train", show_options, "--config", tmp_path / "nowhere.yaml")
    assert got.returncode == 2 and "nowhere.yaml" in got.stderr
    got = run("train", show_options, "--no-such-flag", "1")
    assert got.returncode == 2 and "--no-such-flag" in got.stderr


def test_arguments_after_dashes_go_to_the_script(tmp_path: Path) -> None:
    script = tmp_path / "args.py"
    script.write_text("import sys; print(sys.argv[1:]); sys.exit()\n")
    assert run("train", script, "--", "--data", "x").stdout == "['--data', 'x']\n"


def test_deploy_writes_files_and_says_what_is_next(show_options: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    got = run(
        *("deploy", "kubernetes", show_options, "--ps", 3, "--workers", 4, "--gpus-per-worker", 1),
        *("--image", "registry/shardtape:1", "--out", out, "--", "--mode", "sync"),
    )
    assert got.returncode == 0, got.stderr
    assert {path.name for path in out.iterdir()} == {
        *("rayjob.yaml", "raycluster.yaml", "script.yaml", "storage.yaml"),
    }
    assert "kubectl apply" in got.stdout and "--mode sync" in (out / "rayjob.yaml").read_text()
    got = run("deploy", "ray", show_options, "--hosts", "10.0.0.1,10.0.0.2", "--out", out)
    assert got.returncode == 0, got.stderr
    assert (out / "ray-cluster.yaml").exists() and "ray up" in got.stdout
    got = run("deploy", "ray", show_options, "--out", out)
    assert got.returncode == 2 and "--hosts 10.0.0.1,10.0.0.2" in got.stderr, got.stderr
    got = run("deploy", "kubernetes", show_options, "--workers", 0, "--out", out)
    assert got.returncode == 2 and "workers must be at least 1" in got.stderr


def deploy(script: Path, out: Path, *words: object, kind: str = "kubernetes") -> tuple[int, str]:
    hosts = ("--hosts", "10.0.0.1") if kind == "ray" else ()
    arguments = ["deploy", kind, str(script), *hosts, "--out", str(out), *map(str, words)]
    got = CliRunner().invoke(command.app, arguments)
    return got.exit_code, got.stderr


@pytest.mark.parametrize("kind", ["kubernetes", "ray"])
def test_deploy_refuses_what_cannot_be_with_status_2(
    show_options: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    status, said = deploy(tmp_path / "nope.py", out, kind=kind)
    assert status == 2 and said.startswith("error: There is no script ")
    status, said = deploy(show_options, out, "--ps", -1, kind=kind)
    assert (status, said) == (2, "error: ps must be at least 1, got -1\n")
    assert not out.exists()


def test_deploy_into_a_folder_that_cannot_be_made_is_one_line(show_options: Path) -> None:
    for out in ("/proc/x", show_options / "x"):
        got = run("deploy", "kubernetes", show_options, "--out", out)
        assert got.returncode == 1
        (line,) = got.stderr.splitlines()
        assert line.startswith(f"error: out is {str(out)!r}: no folder can be made there (")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--mode nope", "mode is 'nope': expected one of async, ssp, sync"),
        ("--epohs 3", "No such option: --epohs"),
        ("--epochs many", "Invalid value for '--epochs'"),
        ("--epochs 0", "epochs is 0: expected 1 or more"),
        ("--ps 7", "--ps 7, but what is rendered is for 2: give --ps before the --"),
        ("--gpus-per-worker 0.5", "--gpus-per-worker 0.5, but what is rendered is for 0"),
        ("--address local", "--address local: the job runs on the cluster that is rendered"),
        ("--mode async --staleness 2", "staleness is 2 but mode is 'async'"),
        (
            "--staleness 2 --round-batches 4",
            "round_batches is 4 but mode is 'ssp'",
        ),
        ("--checkpoint-every often", "checkpoint_every is 'often'"),
    ],
)
def test_deploy_checks_the_options_of_train(
    show_options: Path, tmp_path: Path, words: str, text: str
) -> None:
    status, said = deploy(show_options, tmp_path / "out", "--", *words.split())
    assert (status, len(said.splitlines())) == (2, 1), said
    assert said.startswith("error: after --: ") and text in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        "--ps 2 --workers 2 --address auto",
        "--staleness 3",  # the script may have mode ssp
        "--backup-workers 2",  # ... and rounds that are long enough
        "--summary /storage/not/here/s.json --no-resume --config /storage/x.yaml",
        "--mode sync -- --data /storage/x --epohs 3",  # behind the second -- is the script's
    ],
)
def test_deploy_takes_what_may_be_right_on_the_cluster(
    show_options: Path, tmp_path: Path, words: str
) -> None:
    assert deploy(show_options, tmp_path / "out", "--", *words.split()) == (0, "")
    assert words in (tmp_path / "out" / "rayjob.yaml").read_text()


def test_doctor_names_an_unknown_check() -> None:
    got = CliRunner().invoke(command.app, ["doctor", "--skip", "nothing"])
    assert got.exit_code == 2


def test_version_tells_what_it_stands_on() -> None:
    got = CliRunner().invoke(command.app, ["version"])
    assert got.exit_code == 0
    assert got.output.startswith("shardtape 20") and "\nray 2." in got.output


def test_the_version_alone() -> None:
    got = CliRunner().invoke(command.app, ["--version"])
    whole = CliRunner().invoke(command.app, ["version"]).output
    assert (got.exit_code, got.output) == (0, whole.splitlines()[0] + "\n")


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys; from shardtape.deploy import command; "
        "print(*[m for m in ('ray', 'grpc', 'sklearn', 'tensorboard', 'rich.console') "
        "if m in sys.modules])"
    )
    got = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert got.stdout.split() == []


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command from its entry point, with the modules of `folder` first on the path."""
    entry = Path(__file__).resolve().parents[3] / "shardtape_command.py"
    return subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path({str(entry)!r})['main']()"]
        + list(arguments),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


def test_ctrl_c_while_it_imports_ends_it_quietly(tmp_path: Path) -> None:
    module = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    (tmp_path / "typer.py").write_text(module)
    got = start(tmp_path, "version")
    assert (got.returncode, got.stderr, got.stdout) == (130, "interrupted\n", "")
    (tmp_path / "typer.py").unlink()
    got = start(tmp_path, "--version")
    assert got.returncode == 0 and got.stdout.startswith("shardtape ")


def test_the_scripts_imports_are_interrupted_quietly_too(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    (tmp_path / "job.py").write_text("import slow\n")
    got = start(tmp_path, "train", str(tmp_path / "job.py"))
    assert (got.returncode, got.stderr, got.stdout) == (130, "interrupted\n", "")
