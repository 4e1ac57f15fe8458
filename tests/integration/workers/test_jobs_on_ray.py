"""Whole jobs on Ray: modes, bit-identity, bad input; every process is gone afterwards."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from integration.workers.ray_jobs import BATCHES, processes, slowed, trainer, wait_gone
from unit.workers.local_jobs import TRAIN, X, Y

from shardtape import checkpoint
from shardtape.errors import (
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnknownError,
)
from shardtape.protos import coordinator_pb2 as pb
from shardtape.workers.control import ControlServer, GrpcSession
from shardtape.workers.marker import Marker

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.mark.parametrize(
    "options",
    [{"mode": "async"}, {"mode": "ssp", "staleness": 1}, {"mode": "sync", "round_batches": 4}],
    ids=lambda o: o["mode"],
)
def test_every_mode_learns_and_applies_each_batch_once(options, tmp_path):
    job = trainer(test=TRAIN, epochs=4, checkpoint_dir=str(tmp_path), **options)
    result = job.fit()
    assert result.summary["applied_per_shard"] == [4 * BATCHES] * 2
    assert result.metrics["loss"] < 0.7 * result.history[0]["loss"]
    assert result.checkpoint == checkpoint.latest_checkpoint(str(tmp_path))
    assert (result.summary["shards"], result.summary["workers"]) == (2, 2)
    wait_gone(job.config.job)


def test_sync_is_bit_identical_for_any_number_of_workers_and_shards():
    common = {"mode": "sync", "round_batches": 4, "threads": 1}
    digests = {
        (ps, workers): trainer(ps=ps, workers=workers, **common).fit().digest
        for ps, workers in [(0, 0), (1, 1), (2, 2), (1, 4)]
    }
    assert len(set(digests.values())) == 1 and "" not in digests.values(), digests


def test_large_arrays_and_functions_of_split_as_data():
    big = {"x": np.repeat(X, 300, axis=0), "y": np.repeat(Y, 300, axis=0)}
    assert big["x"].nbytes > 1 << 20
    result = trainer(train=big, batch_size=1000, epochs=1).fit()
    assert result.summary["applied_per_shard"] == [60, 60]

    def numbers(split, of):
        for start in range(split * 8, len(X), of * 8):
            yield X[start : start + 8], Y[start : start + 8]

    result = trainer(train=numbers, splits=3).fit()
    assert result.summary["applied_per_shard"] == [2 * BATCHES] * 2


def test_user_code_that_raises_gives_one_readable_error():
    def model():
        raise RuntimeError("the user's own words")  # the user's own line

    job = trainer(model=model)
    with pytest.raises(UnknownError) as caught:
        job.fit()
    text = str(caught.value)
    assert text.startswith("RuntimeError in the model or the data: the user's own words")
    assert "# the user's own line" in text and "test_jobs_on_ray.py" in text
    assert "worker.py" not in text and "ray::" not in text
    wait_gone(job.config.job)


@pytest.mark.parametrize(("threads", "expected"), [(3, "3"), (1, "1")])
def test_processes_get_the_threads_that_were_asked_for(threads, expected, monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def model():
        import os

        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")
        raise RuntimeError("has " + " ".join(os.environ[name] for name in names))

    with pytest.raises(UnknownError, match=f"has {expected} {expected} 2147483647"):
        trainer(model=model, ps=1, workers=1, threads=threads).fit()


def test_a_wrong_feed_is_named():
    with pytest.raises(InvalidArgumentError, match="'labels'"):
        trainer(train={"x": X, "labels": Y}).fit()


def test_on_a_cluster_with_a_life_of_its_own_a_job_outlives_its_driver(ray_session, tmp_path):
    name = "test-detached"
    options = {
        "job": name,
        "address": "auto",
        "epochs": 6,
        "build": slowed(0.03),
        "checkpoint_dir": str(tmp_path),
    }
    text = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from integration.workers.ray_jobs import slowed, trainer\n"
        f"options = {options | {'build': None}!r}\n"
        "options |= {'build': slowed(0.03), 'progress': 'plain'}\n"
        "if __name__ == '__main__':\n    trainer(**options).fit()\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(text)
    address = ray_session.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "RAY_ADDRESS": address},
    )
    lines = []
    for line in driver.stdout:
        lines.append(line)
        if line.startswith("epoch"):
            break
    driver.kill()
    driver.wait()
    assert processes(name, "coordinator"), "".join(lines)
    (tmp_path / "running.json").unlink()
    with pytest.raises(AlreadyExistsError, match="--resume follows it"):
        trainer(**options).fit()
    result = trainer(**options, resume=True).fit()
    assert result.summary["applied_per_shard"] == [6 * BATCHES] * 2
    assert result.history[0]["loss"] > 0 and len(result.history) == 6
    wait_gone(name)
    again = trainer(**options | {"epochs": 1, "checkpoint_dir": None}).fit()
    assert again.summary["steps"] == BATCHES


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        job = trainer(port=port)
        with pytest.raises(FailedPreconditionError, match=f"{port}: the port is in use"):
            job.fit()
    wait_gone(job.config.job)


def test_what_the_cluster_lacks_is_said():
    with pytest.raises(ResourceExhaustedError, match=r"needs 2 GPUs .* Ray has 0 free of 0"):
        trainer(gpus_per_worker=1).fit()
    with pytest.raises(ResourceExhaustedError, match="needs 99 CPUs"):
        trainer(workers=99).fit()


def test_a_wrong_token_is_refused():
    events = []
    server = ControlServer(events.append, "right", "job", workers=1)
    try:
        for token, job, error, text in (
            ("wrong", "job", UnauthenticatedError, "token"),
            ("right", "other", FailedPreconditionError, "this is job 'job'"),
        ):
            session = GrpcSession(server.address, token, job)
            with pytest.raises(error, match=text):
                session.receive(10)
            with pytest.raises(error, match=text):
                session.send(pb.FromWorker())
            session.close()
        assert not events
        with grpc.insecure_channel(server.address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        server.close()


def test_a_second_job_in_the_same_checkpoint_folder_is_refused(tmp_path):
    text = (
        "import sys, time\nfrom shardtape.workers.marker import Marker\n"
        f"Marker({str(tmp_path)!r}, 'other').set()\nprint('set', flush=True)\ntime.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"set\n"
        with pytest.raises(AlreadyExistsError, match=f"process {other.pid}"):
            trainer(checkpoint_dir=str(tmp_path)).fit()
    finally:
        other.kill()
        other.wait()
    assert Marker(str(tmp_path), "next").set(), "it was killed: go on from its checkpoint"
    assert os.stat(tmp_path / "running.json").st_mode & 0o777 == 0o600


def test_a_model_that_ends_the_process_is_an_error_like_any_other():
    def model():
        import sys

        sys.exit("no data today")  # the line that counts

    job = trainer(model=model)
    with pytest.raises(UnknownError, match="no data today") as caught:
        job.fit()
    assert "# the line that counts" in str(caught.value)
    wait_gone(job.config.job)


def test_more_parts_than_rows():
    job = trainer(partitioner="9")
    with pytest.raises(InvalidArgumentError, match=r"variable 'b'.*fewer than the 9"):
        job.fit()
    wait_gone(job.config.job)


def flip_a_bit(folder):
    """In the second shard's file; its name."""
    file = sorted(Path(folder).glob("*.safetensors"))[1]
    data = bytearray(file.read_bytes())
    data[-8] ^= 1
    file.write_bytes(bytes(data))
    return file.name


def test_after_a_corrupt_checkpoint_the_older_one_is_used_and_then_none(tmp_path):
    folder = str(tmp_path)
    options = {"checkpoint_dir": folder, "epochs": 3, "checkpoint_every": "1 epoch"}
    trainer(**options).fit()
    newest, older = checkpoint.whole_checkpoints(folder)[:2]
    damaged = flip_a_bit(newest)
    result = trainer(**options, resume=True).fit()
    assert result.summary["applied_per_shard"] == [3 * BATCHES] * 2
    assert result.checkpoint not in (newest, older)
    # which ones are kept, and whether the first one is the oldest of them, is a matter of time
    kept = checkpoint.whole_checkpoints(folder)
    names = [damaged if path == newest else flip_a_bit(path) for path in kept]
    with pytest.raises(DataLossError, match=names[-1]):
        trainer(**options, resume=True).fit()
