"""Ctrl-C and the death of the driver, each with a Ray of its own: nothing is left running."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from integration.workers.ray_jobs import wait_gone

from shardtape import checkpoint

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from integration.workers.ray_jobs import slowed, trainer

if __name__ == "__main__":
    trainer(build=slowed(0.02), job={job!r}, epochs=500, progress="plain",
            checkpoint_dir={folder!r}, checkpoint_every="50 steps").fit()
"""


@pytest.fixture
def start(tmp_path):
    """Starts a script that trains for long, in a process group of its own."""
    started = []

    def run(job):
        script = tmp_path / "script.py"
        tests = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        folder = str(tmp_path / "checkpoints")
        script.write_text(SCRIPT.format(tests=tests, job=job, folder=folder))
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "RAY_DEDUP_LOGS": "0"},
        )
        started.append(process)
        process.seen = ""
        for line in process.stdout:
            process.seen += line
            if line.startswith("epoch"):
                return process, folder
        raise AssertionError(process.wait())

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def newest_steps(folder):
    newest = checkpoint.latest_checkpoint(folder)
    return -1 if newest is None else checkpoint.read_manifest(newest).state["position"]["steps"]


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes, deadline_s=20.0):
    gone, alive = psutil.wait_procs(processes, deadline_s)
    assert not alive, [p.cmdline()[:3] for p in alive if p.is_running()]
    return gone


def test_ctrl_c_stops_with_a_checkpoint(start):
    process, folder = start("test-ctrl-c")
    children = descendants(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the whole group
    output = process.communicate(timeout=60)[0]
    assert process.returncode in (-signal.SIGINT, 130), output
    newest = checkpoint.latest_checkpoint(folder)
    assert newest is not None and newest in output, output
    assert "stopped before the end" in output
    all_gone(children)
    wait_gone("test-ctrl-c")
    assert not os.path.exists(os.path.join(folder, "running.json"))


def test_a_killed_driver_leaves_no_process_and_the_next_run_goes_on(start):
    process, folder = start("test-driver-death")
    children = descendants(process)
    deadline = time.monotonic() + 30
    while (before := newest_steps(folder)) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    # Ray's own helpers take up to a minute to notice
    all_gone([p for p in children if p.is_running() and p.name() in ("raylet", "gcs_server")])
    wait_gone("test-driver-death")
    again, _ = start("test-driver-death")
    output_before = again.seen
    # what signals the whole group must not end the raylet under the job's feet
    groups = {p.name(): os.getpgid(p.pid) for p in descendants(again)}
    assert again.pid not in (groups["raylet"], groups["gcs_server"])
    os.killpg(again.pid, signal.SIGTERM)
    output = again.communicate(timeout=60)[0]
    assert again.returncode == 128 + signal.SIGTERM, output
    assert newest_steps(folder) > before and "going on where it was" in output_before, output
