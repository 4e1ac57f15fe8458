"""`shardtape train` as its user sees it: real processes, jobs of one process."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT_S = 60
COMMAND = [sys.executable, "-c", "from shardtape.deploy.command import main; main()", "train"]
JOB = """\
import sys
import numpy as np
import shardtape as tf

rng = np.random.default_rng(0)
data = {"x": rng.random((48, 300)).astype("float32"), "y": rng.random((48, 1)).astype("float32")}

def model():
    x = tf.placeholder(tf.float32, (None, 300), name="x")
    y = tf.placeholder(tf.float32, (None, 1), name="y")
    error = tf.keras.layers.Dense(1)(x) - y
    return tf.Step(tf.reduce_mean(tf.square(error)), metrics={"error": tf.reduce_mean(error)})

if __name__ == "__main__":
    optimizer = sys.argv[1] if len(sys.argv) > 1 else "sgd"
    tf.Trainer(model, train=data, optimizer=optimizer, epochs=2, batch_size=8).fit()
"""
BATCHES = 2 * 48 // 8


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.py"
    path.write_text(JOB)
    return path


def train(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def test_a_script_that_trains_nothing_is_an_error(tmp_path: Path) -> None:
    script = tmp_path / "nothing.py"
    script.write_text("print('hello')\n")
    got = train(script)
    assert (got.returncode, got.stdout) == (2, "hello\n")
    assert "ended without a shardtape.Trainer(...).fit()" in got.stderr


@pytest.mark.parametrize(
    ("seed", "expected"),
    [("-1", "expected 0 or more"), ("1" + 30 * "0", "expected 0 to 9223372036854775807")],
)
def test_a_seed_that_cannot_be_is_one_line(job: Path, seed: str, expected: str) -> None:
    got = train(job, "--seed", seed)
    assert got.returncode == 2
    assert got.stderr == f"error: seed is {seed}: {expected} (from the command line)\n"


def test_a_wrong_optimizer_shows_the_users_line_only(job: Path) -> None:
    got = train(job, "--", "adamm")
    first, second = got.stderr.splitlines()
    assert got.returncode == 1
    assert first.startswith("error: optimizer: unknown optimizer 'adamm'")
    assert second.startswith(f"  at {job}:")


def test_an_option_of_the_command_that_does_not_fit_the_scripts_others(job: Path) -> None:
    for option, other in (("ps", "workers"), ("workers", "ps")):
        got = train(job, f"--{option}", "2")
        assert got.returncode == 2, got.stderr
        (line,) = got.stderr.splitlines()
        assert f"{option} from the command line" in line and f"{other} is the default" in line


@pytest.mark.parametrize("option", ["--logdir", "--checkpoint-dir"])
def test_a_folder_that_cannot_be_made_is_said_before_the_start(job: Path, option: str) -> None:
    for wrong in ("/proc/here", str(job)):
        got = train(job, option, wrong)
        assert got.returncode == 1
        name = option.lstrip("-").replace("-", "_")
        assert got.stderr.startswith(f"error: {name} is {wrong!r}: ")


def test_a_syntax_error_in_the_options_file_has_its_line(job: Path, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("epochs: 1\nbatch_size: [1\n")
    got = train(job, "--config", str(tmp_path / "options.yaml"))
    assert got.returncode == 2
    (line,) = got.stderr.splitlines()
    assert "options.yaml, line 3: " in line


def test_a_variable_that_is_no_option_is_warned_of_once(job: Path) -> None:
    got = train(
        job,
        SHARDTAPE_BATCHSIZE="4",
        SHARDTAPE_PARITY_PYTHON="python3",
        SHARDTAPE_HEAD_SVC_SERVICE_HOST="10.0.0.1",
    )
    assert got.returncode == 0
    assert got.stderr == (
        "warning: SHARDTAPE_BATCHSIZE is set, but there is no such option; "
        "did you mean SHARDTAPE_BATCH_SIZE?\n"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ps: 0\nbatchsize: 4\n", "line 2: there is no option batchsize; did you mean batch_size?"),
        ("batch-size: 4\nps: 0\nbatch_size: 8\n", "line 3: batch_size is there already, in line 1"),
    ],
)
def test_a_file_of_options_is_refused_with_the_line(
    job: Path, tmp_path: Path, text: str, fault: str
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    got = train(job, "--config", file)
    assert (got.returncode, got.stderr) == (2, f"error: options file {file}, {fault}\n")


def test_steps_are_batches_and_rounds_are_rounds(job: Path, tmp_path: Path) -> None:
    summary = tmp_path / "new" / "summary.json"
    options = ("--mode", "sync", "--round-batches", 2, "--summary", summary)
    got = train(job, *options)
    assert got.returncode == 0, got.stderr
    figures = json.loads(summary.read_text())
    assert (figures["steps"], figures["batches"], figures["rounds"]) == (BATCHES, BATCHES, 6)
    assert (figures["interrupted"], figures["rollbacks"]) == (False, 0)
    assert f"step {BATCHES}/{BATCHES}," in got.stdout, "the display counts the same"
    assert re.search(rf"\n  steps +{BATCHES}\n  rounds +6\n", got.stdout)
    assert f"made the folder {summary.parent}\n" in got.stdout
    train(job, "--summary", summary)
    assert json.loads(summary.read_text())["rounds"] is None


def test_folders_of_a_summary_are_not_made_two_levels_deep(job: Path, tmp_path: Path) -> None:
    got = train(job, "--summary", tmp_path / "a" / "b" / "s.json")
    assert got.returncode == 2 and f"there is no {tmp_path}/a (from the command" in got.stderr
    assert not (tmp_path / "a").exists() and got.stdout == "", "said before anything starts"


def test_a_job_without_processes_counts_no_workers(job: Path) -> None:
    got = train(job, "--epochs", 400)
    assert got.stdout.startswith(("starting\n", "initializing\n", "epoch ")), got.stdout
    assert "workers" not in got.stdout


def test_nothing_left_to_do(job: Path, tmp_path: Path) -> None:
    options = ("--checkpoint-dir", tmp_path / "saved")
    first = train(job, *options).stdout
    again = train(job, *options, "--resume")
    assert again.returncode == 0, again.stderr
    assert "nothing left to do: the checkpoint is of the end, these are its figures" in again.stdout
    assert "examples/s  " not in again.stdout
    rows = [
        re.findall(r"^  (loss|error|steps) +(\S+)$", text, re.M) for text in (again.stdout, first)
    ]
    assert len(rows[0]) == 3 and [name for name, _ in rows[0]] == [name for name, _ in rows[1]]
    assert dict(rows[0])["steps"] == str(BATCHES) and float(dict(rows[0])["loss"]) > 0


def test_a_used_logdir_is_told_once_and_not_where_a_job_goes_on(job: Path, tmp_path: Path) -> None:
    options = ("--logdir", tmp_path / "runs", "--checkpoint-dir", tmp_path / "saved")
    told = f"warning: {tmp_path}/runs has curves of an earlier run: TensorBoard draws both as one"
    assert told not in train(job, *options).stdout
    assert train(job, *options, "--resume", "--epochs", 3).stdout.count(told) == 0
    assert train(job, *options).stdout.count(told) == 1


FULL_DISK = """\
import pathlib, resource, sys, time
import numpy as np
import shardtape as tf

folder = pathlib.Path(sys.argv[1])

def batches(split, of):
    for i in range(12):
        if i == 6 and list(folder.glob("*/manifest.json")):  # from here on nothing can be written
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
        time.sleep(0.005)
        x = np.full((8, 3), i, "float32")
        yield {"x": x, "y": x[:, :1]}

def model():
    x = tf.placeholder(tf.float32, (None, 3), name="x")
    y = tf.placeholder(tf.float32, (None, 1), name="y")
    return tf.Step(tf.reduce_mean(tf.square(tf.keras.layers.Dense(1)(x) - y)))

if __name__ == "__main__":
    result = tf.Trainer(model, train=batches, optimizer=tf.keras.optimizers.SGD(1e-4),
                        epochs=20, batch_size=8, splits=1, checkpoint_dir=str(folder)).fit()
    print(result.checkpoint_failed, result.summary)
"""


def test_a_disk_that_is_full_at_the_end_is_told_with_the_step_of_the_older_checkpoint(
    tmp_path: Path,
) -> None:
    script = tmp_path / "full.py"
    script.write_text(FULL_DISK)
    got = train(script, "--", tmp_path / "saved")
    assert got.returncode == 0, got.stderr
    assert "warning: the last checkpoint failed: " in got.stdout
    (row,) = re.findall(
        r"^  checkpoint  (\S+) \(of step (\d+): the last one failed\)$", got.stdout, re.M
    )
    failed, _, summary = got.stdout.splitlines()[-1].partition(" ")
    figures = ast.literal_eval(summary)
    assert failed == "True" and figures["steps"] == 20 * 12
    assert row == (figures["checkpoint"], str(figures["checkpoint_step"]))
    manifest = json.loads((Path(row[0]) / "manifest.json").read_text())
    assert manifest["state"]["position"]["steps"] == figures["checkpoint_step"] < 20 * 12


def test_a_summary_that_cannot_be_written_is_said_before_the_start(job: Path) -> None:
    got = train(job, "--summary", "/proc/s.json")
    assert (got.returncode, got.stdout) == (1, "")
    assert got.stderr.startswith("error: cannot write /proc/s.json: ")


THREADS = """\
import sys
import numpy as np
import shardtape as tf
from threadpoolctl import threadpool_info

seen = []
rng = np.random.default_rng(0)
data = {"x": rng.random((512, 700)).astype("float32"), "y": rng.random((512, 1)).astype("float32")}

def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

def model():
    seen.append(threads())
    x = tf.placeholder(tf.float32, (None, 700), name="x")
    y = tf.placeholder(tf.float32, (None, 1), name="y")
    hidden = tf.keras.layers.Dense(300, activation="tanh")(x)
    return tf.Step(tf.reduce_mean(tf.square(tf.keras.layers.Dense(1)(hidden) - y)))

if __name__ == "__main__":
    before = threads()
    result = tf.Trainer(model, train=data, batch_size=256, seed=3, progress="none").fit()
    print(seen[0], before == threads(), result.digest)
"""


def test_threads_hold_in_the_running_process_and_give_its_bits(tmp_path: Path) -> None:
    script = tmp_path / "threads.py"
    script.write_text(THREADS)
    one = train(script, "--mode", "sync", "--threads", 1)
    assert one.stdout.startswith("{1} True "), one.stdout + one.stderr
    assert train(script, "--threads", 3).stdout.startswith("{3} True ")
    as_started = train(  # what a worker process is given in place of the option
        *(script, "--mode", "sync"),
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    )
    assert as_started.stdout == one.stdout


# ---- signals --------------------------------------------------------------------------------


def start(script: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


ENDS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")]


@pytest.mark.parametrize(("number", "status", "said"), ENDS)
def test_a_signal_before_training_ends_with_one_line(
    tmp_path: Path, number: int, status: int, said: str
) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    process = start(script)
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    process.send_signal(number)
    output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output, errors) == (status, "", said + "\n")


@pytest.mark.parametrize(("number", "status", "said"), ENDS)
def test_a_signal_in_training_stops_in_order(
    job: Path, tmp_path: Path, number: int, status: int, said: str
) -> None:
    summary, saved = tmp_path / "summary.json", tmp_path / "saved"
    options = ("--epochs", 10**6, "--summary", summary, "--checkpoint-dir", saved)
    process = start(job, *options, "--checkpoint-every", "1 steps")
    deadline = time.monotonic() + LIMIT_S
    while not list(saved.glob("*/manifest.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == status, output + errors
    assert errors.splitlines()[-1] == said and "stopped before the end" in output
    figures = json.loads(summary.read_text())
    assert figures["interrupted"] is True and figures["checkpoint"]
