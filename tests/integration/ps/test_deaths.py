"""Processes that die or freeze: real ones, SIGKILL and SIGSTOP."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from integration.ps.served import (
    JOB,
    SPECS,
    TOKEN,
    ShardProcess,
    eventually,
    first_values,
    ones,
)

from shardtape.errors import DeadlineExceededError, UnavailableError
from shardtape.optimizers import SGD
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId
from shardtape.ps.partition import place
from shardtape.ps.wire.channel import Deadlines, RetryPolicy

PLACEMENT = place(SPECS, 1)
TRANSPORTS = ("grpc", "shared")


def connected(process, transport, mode="async", worker=0, **options):
    channel = GrpcChannel(process.address, TOKEN, job=JOB, shard=0, transport=transport)
    channel.assume(0, PLACEMENT, SPECS, SGD(1.0).rule_config(), Consistency(mode))
    client = Client([channel], PLACEMENT, SPECS, worker, job=JOB, **options)
    client.initialize(first_values())
    client.pull(0)
    return client


def freeze(pid):
    """Stops a process; the signal alone leaves it running for a moment on another core."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + 10
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end, "the process does not stop"
        time.sleep(0.001)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_killed_shard_is_noticed_within_milliseconds(transport):
    with ShardProcess() as shard:
        quick = RetryPolicy(total_s=0.0)
        with connected(shard, transport, "sync", retry=quick) as client:
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
            killed = []

            def kill():
                killed.append(time.monotonic())
                os.kill(shard.pid, signal.SIGKILL)

            threading.Timer(0.2, kill).start()
            with pytest.raises(UnavailableError, match="shard 0 at 127") as error:
                client.pull(1, deadline_s=60)  # waits for a round that nobody decides
            assert time.monotonic() - killed[0] < 0.5
            assert error.value.shard == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_after_a_kill_nothing_is_read_or_pushed(transport):
    with ShardProcess() as shard, connected(shard, transport) as client:
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        os.kill(shard.pid, signal.SIGKILL)
        shard.process.wait(10)
        # the memory of the dead is still mapped here, and must not be taken for values
        begin = time.monotonic()
        with pytest.raises(UnavailableError):
            client.pull(1)
        with pytest.raises(UnavailableError):
            client.push(BatchId(0, 0, 1), 0, ones(client), slot=0).wait()
        with pytest.raises(UnavailableError):
            client.channels[0].heartbeat()
        assert time.monotonic() - begin < 8


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_frozen_shard_runs_into_the_deadline(transport):
    with ShardProcess() as shard, connected(shard, transport) as client:
        gradients = client.gradients(0)
        before = gradients["bias"]
        freeze(shard.pid)
        try:
            begin = time.monotonic()
            with pytest.raises(DeadlineExceededError, match="did not answer in time|heartbeat"):
                client.channels[0].heartbeat(deadline_s=0.3)
            ones(client)
            handle = client.push(BatchId(0, 0, 0), 0, gradients, slot=0)
            with pytest.raises(
                DeadlineExceededError,
                match=r"shard 0 at .*within 0\.\d+ s: waited for batch 0/0/0, attempt 0, to be ack",
            ):
                handle.wait(0.3)
            assert 0.5 < time.monotonic() - begin < 5
            # who is frozen may still read the slot one day: it is given up
            assert client.gradients(0)["bias"] is not before
            client.gradients(0)["bias"][...] = 100.0
            with pytest.raises(DeadlineExceededError):
                handle.wait(0.1)
        finally:
            os.kill(shard.pid, signal.SIGCONT)
        # what was handed over before is applied as it was
        assert eventually(lambda: client.channels[0].counters()["applied"] == 1)
        client.pull(1)
        np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 1, rtol=1e-6)
        # and the next push goes through the fresh memory
        ones(client, value=2.0)
        assert client.push(BatchId(0, 0, 1), 0, client.gradients(0), slot=0).wait()[0].status == (
            "applied"
        )
        client.pull(2)
        np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 3, rtol=1e-5)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_frozen_shard_does_not_hold_up_connecting_for_ever(transport):
    with ShardProcess() as shard:
        freeze(shard.pid)
        try:
            channel = GrpcChannel(
                shard.address, TOKEN, job=JOB, transport=transport,
                deadlines=Deadlines(connect_s=0.4),
            )  # fmt: skip
            begin = time.monotonic()
            with pytest.raises(DeadlineExceededError, match="waited for its welcome"):
                channel.hello(0)
            assert time.monotonic() - begin < 3
            channel.close()
        finally:
            os.kill(shard.pid, signal.SIGCONT)


WORKER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from integration.ps.served import JOB, SPECS, TOKEN, ones
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.ids import BatchId
from shardtape.ps.partition import place
channel = GrpcChannel(sys.argv[1], TOKEN, job=JOB, shard=0, transport=sys.argv[3])
client = Client([channel], place(SPECS, 1), SPECS, 1, job=JOB)
client.pull(0)
index = 0
while True:
    client.push(BatchId(0, 1, index), 0, ones(client, slot=index % 2), slot=index % 2)
    index += 1
    if index == 5:
        print("working", flush=True)
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_killed_workers_leave_nothing_behind(transport):
    tests = str(Path(__file__).resolve().parents[2])
    before = set(os.listdir("/dev/shm"))
    with ShardProcess() as shard, connected(shard, transport) as client:
        process = psutil.Process(shard.pid)
        files = None
        for _ in range(4):
            with subprocess.Popen(
                [sys.executable, "-c", WORKER, shard.address, tests, transport],
                stdout=subprocess.PIPE, text=True,
            ) as worker:  # fmt: skip
                assert worker.stdout.readline() == "working\n"
                os.kill(worker.pid, signal.SIGKILL)
                worker.wait(10)
            heartbeat = client.channels[0].heartbeat
            assert eventually(lambda: heartbeat()["streams"] == 1)  # noqa: B023
            if files is None:
                files = (process.num_fds(), len(process.memory_maps(grouped=False)))
        assert process.num_fds() <= files[0] + 2
        # every push counted once, the last one of each perhaps not at all
        counters = client.channels[0].counters()
        assert counters["duplicates"] > 0 and counters["applied"] == counters["updates"]
        client.pull(1)
        expected = first_values()["bias"] - counters["applied"]
        np.testing.assert_allclose(client.parameters["bias"], expected, rtol=1e-4)
    assert set(os.listdir("/dev/shm")) <= before


def test_a_process_that_is_asked_to_end_ends():
    with ShardProcess() as shard:
        channel = GrpcChannel(shard.address, TOKEN, job=JOB)
        channel.shutdown()
        assert shard.process.wait(10) == 0
        channel.shutdown()  # whoever is gone has done what was asked
        channel.close()


def test_a_shard_that_breaks_ends_its_process():
    """A half-written update must not be served."""
    code = (
        "import sys\n"
        "from shardtape.ps import update\n"
        "from shardtape.ps.actor import ShardActor\n"
        "def fail(*_, **__): raise MemoryError('simulated')\n"
        "update.Updater.push = fail\n"
        f"actor = ShardActor(token={TOKEN!r}, job={JOB!r})\n"
        "print(actor.address(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        class Named:
            address = process.stdout.readline().strip()

        with connected(Named, "shared") as client:
            handle = client.push(BatchId(0, 0, 0), 0, ones(client), slot=0)
            with pytest.raises(Exception, match="must be replaced.*simulated"):
                handle.wait()
            assert process.wait(10) == 70
