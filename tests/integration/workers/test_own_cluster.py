"""A Ray cluster that was started by hand (`ray start`): a job outlives its driver, the next
driver follows it, and the token that Ray asks for is found."""

import ast
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from integration.workers.ray_jobs import BATCHES, processes, wait_gone

JOB = "test-own-cluster"
EPOCHS = 16
TESTS = str(Path(__file__).resolve().parents[2])
SCRIPT = f"""\
import sys
sys.path.insert(0, {TESTS!r})
from integration.workers.ray_jobs import slowed, trainer

if __name__ == "__main__":
    address, folder, resume = sys.argv[1:]
    result = trainer(build=slowed(0.03), job={JOB!r}, epochs={EPOCHS}, progress="plain",
                     address=address, checkpoint_dir=folder, resume=resume == "resume").fit()
    print(result.summary)
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Its address. Nothing of it is left afterwards, and other Rays of the machine stay."""
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    port = free_port()
    # sockets below it have paths of at most 107 bytes: not in pytest's folder
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        log = tmp_path / "head.log"
        command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block"]
        command += [f"--port={port}", f"--ray-client-server-port={free_port()}", "--num-cpus=4"]
        command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
        command += ["--object-store-memory=100000000"]
        with log.open("w") as output:
            head = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            deadline = time.monotonic() + 60
            while "Ray runtime started" not in log.read_text():
                assert time.monotonic() < deadline and head.poll() is None, log.read_text()
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()  # it ends what it started
            try:
                head.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(head.pid, signal.SIGKILL)
                head.wait()


def start(tmp_path, address, how):
    script = tmp_path / "driver.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), address, str(tmp_path / "saved"), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_job_whose_driver_is_killed_is_followed_by_the_next(cluster, tmp_path):
    first = start(tmp_path, cluster, "anew")
    seen = ""
    for line in first.stdout:
        seen += line
        if line.startswith("epoch 2/"):
            break
    first.kill()
    first.wait()
    first.stdout.close()
    before = {process.pid for process in processes(JOB)}
    assert len(before) == 5, seen  # a coordinator, two shards, two workers
    second = start(tmp_path, cluster, "resume")
    try:
        output = ""
        for line in second.stdout:
            output += line
            if line.startswith("epoch "):
                break
        assert {process.pid for process in processes(JOB)} == before, output
        output += second.communicate(timeout=60)[0]
    finally:
        second.kill()
        second.wait()
        second.stdout.close()
    assert second.returncode == 0, output
    figures = ast.literal_eval(output.splitlines()[-1])
    assert figures["applied_per_shard"] == [EPOCHS * BATCHES] * 2
    assert (figures["rollbacks"], figures["worker_restarts"]) == (0, 0), "it was never begun anew"
    wait_gone(JOB)
