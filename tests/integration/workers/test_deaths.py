"""Real SIGKILLs and SIGSTOPs of every kind of process of a job (DESIGN's failure table)."""

import random
import signal
import time

import pytest
from integration.workers.ray_jobs import (
    BATCHES,
    Killer,
    processes,
    slowed,
    trainer,
    wait_gone,
)

from shardtape.errors import UnavailableError

pytestmark = pytest.mark.usefixtures("ray_session")
EPOCHS = 8


@pytest.fixture(scope="module")
def calm():
    """Digest of the sync job that nothing happens to."""
    return (
        trainer(ps=0, workers=0, mode="sync", round_batches=4, epochs=EPOCHS, threads=1)
        .fit()
        .digest
    )


@pytest.mark.parametrize("mode", ["async", "ssp", "sync"])
def test_killed_workers_and_repeated_pushes_change_no_count(mode, calm):
    chooser = random.Random()
    options = {
        "async": {},
        "ssp": {"staleness": 1},
        "sync": {"round_batches": 4, "threads": 1},
    }[mode]
    job = trainer(mode=mode, build=slowed(0.02, duplicate=True), epochs=EPOCHS, **options)
    pauses = [chooser.uniform(0.2, 1.0) for _ in range(3)]
    with Killer(job.config.job, "worker-", pauses) as killer:
        result = job.fit()
    assert killer.hits, "the job was over before a blow"
    assert result.summary["applied_per_shard"] == [EPOCHS * BATCHES] * 2, pauses
    assert result.summary["worker_restarts"] >= 1
    if mode != "sync":
        assert result.summary["duplicates_dropped"] > 0
    else:
        assert result.digest == calm, pauses
    wait_gone(job.config.job)


def test_a_frozen_worker_is_replaced():
    job = trainer(build=slowed(0.02), epochs=4, heartbeat_timeout_s=3)
    with Killer(job.config.job, "worker-1", [0.3], signal.SIGSTOP) as killer:
        result = job.fit()
    assert killer.hits and result.summary["worker_restarts"] == 1
    assert result.summary["applied_per_shard"] == [4 * BATCHES] * 2
    wait_gone(job.config.job)


@pytest.mark.parametrize(
    ("mode", "number"),
    [("async", signal.SIGKILL), ("sync", signal.SIGKILL), ("async", signal.SIGSTOP)],
)
def test_a_killed_or_frozen_shard_rolls_the_job_back(mode, number, tmp_path, calm):
    options = {"round_batches": 4, "threads": 1} if mode == "sync" else {}
    job = trainer(
        mode=mode,
        build=slowed(0.02),
        epochs=EPOCHS,
        checkpoint_dir=str(tmp_path),
        checkpoint_every="20 steps",
        heartbeat_timeout_s=4,
        **options,
    )
    with Killer(job.config.job, "shard-1", [2.0], number) as killer:
        result = job.fit()
    assert killer.hits and result.summary["rollbacks"] == 1
    assert result.summary["applied_per_shard"] == [EPOCHS * BATCHES] * 2
    assert result.summary["steps"] == EPOCHS * BATCHES
    if mode == "sync":
        assert result.digest == calm
    wait_gone(job.config.job)


def test_a_killed_shard_without_a_checkpoint_is_a_clear_failure():
    job = trainer(build=slowed(0.1), epochs=EPOCHS)  # not done before the shard dies
    with Killer(job.config.job, "shard-0", [1.0]), pytest.raises(UnavailableError) as caught:
        job.fit()
    assert "shard-0 died" in str(caught.value) and "checkpoint_dir" in str(caught.value)
    wait_gone(job.config.job)


def test_after_the_coordinators_death_the_same_command_goes_on(tmp_path):
    name = "test-coordinator-death"
    options = {
        "job": name,
        "build": slowed(0.02),
        "epochs": EPOCHS,
        "checkpoint_dir": str(tmp_path),
        "checkpoint_every": "20 steps",
    }
    with Killer(name, "coordinator", [3.0]), pytest.raises(UnavailableError) as caught:
        trainer(**options).fit()
    text = str(caught.value)
    assert f"the coordinator of job {name!r} died" in text and str(tmp_path) in text
    wait_gone(name)
    assert (tmp_path / "running.json").exists()
    result = trainer(**options).fit()
    assert result.summary["applied_per_shard"] == [EPOCHS * BATCHES] * 2
    assert result.summary["steps"] == EPOCHS * BATCHES
    assert not (tmp_path / "running.json").exists()
    wait_gone(name)


def test_a_worker_that_dies_building_the_model_ends_the_job():
    def model():
        import os

        os._exit(7)

    job = trainer(model=model, workers=1, ps=1)
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        job.fit()
    assert time.monotonic() - started < 60, "a death is no slow start"
    text = str(caught.value)
    assert "worker-0 died 4 times in a row" in text and "while it built the model" in text
    wait_gone(job.config.job)


def test_a_worker_that_always_dies_ends_the_job():
    def build(model, seed, feeds):
        import os

        from shardtape.workers.step import CompiledStep

        class Dying(CompiledStep):
            def run(self, *arguments, **named):
                os._exit(3)

        return Dying(model, seed, feeds)

    job = trainer(build=build, workers=1, ps=1)
    with pytest.raises(UnavailableError, match="worker-0 died 4 times in a row"):
        job.fit()
    wait_gone(job.config.job)
    assert not processes(job.config.job)
