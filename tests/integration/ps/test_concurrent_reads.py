"""Values that are read while other workers write them: no part is ever half of one update."""

import threading

import numpy as np
import pytest
from integration.ps.served import JOB, TOKEN, ShardProcess

from shardtape.optimizers import SGD
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.messages import RoundDecision
from shardtape.ps.partition import place

SPECS = (VariableSpec("a", (300_000,), "float32"), VariableSpec("b", (200, 700), "float32"))
PLACEMENT = place(SPECS, 1)


def connected(process, worker, transport):
    channel = GrpcChannel(process.address, TOKEN, job=JOB, shard=0, transport=transport)
    return Client([channel], PLACEMENT, SPECS, worker, job=JOB)


def assume(process, mode):
    channel = GrpcChannel(process.address, TOKEN, job=JOB)
    channel.assume(0, PLACEMENT, SPECS, SGD(1.0).rule_config(), Consistency(mode))
    channel.close()


def value_of(array):
    assert array.min() == array.max()
    return array.flat[0]


def test_async():
    with ShardProcess() as shard:
        assume(shard, "async")
        with connected(shard, 0, "shared") as writer, connected(shard, 1, "shared") as reader:
            writer.initialize({s.key: np.zeros(s.shape, "f4") for s in SPECS})
            done = threading.Event()

            def write():
                for index in range(300):
                    gradients = writer.gradients(index % 2)
                    for array in gradients.values():
                        array[...] = -1.0
                    writer.push(BatchId(0, 0, index), 0, gradients, slot=index % 2)
                writer.gradients(0), writer.gradients(1)
                done.set()

            thread = threading.Thread(target=write)
            thread.start()
            seen, last = set(), -1
            while not done.is_set():
                version = reader.pull(0)
                a, b = (value_of(reader.parameters[key]) for key in "ab")
                # the version is the oldest among the parts
                assert last <= version <= min(a, b)
                seen.add(version)
                last = version
            thread.join()
            assert len(seen) > 3
            assert reader.pull(0) == 300 == value_of(reader.parameters["b"])


@pytest.mark.parametrize("transport", ["shared", "grpc"])
def test_sync_rounds_are_read_whole(transport):
    with ShardProcess() as shard:
        assume(shard, "sync")
        with connected(shard, 0, transport) as writer, connected(shard, 1, transport) as reader:
            writer.initialize({s.key: np.zeros(s.shape, "f4") for s in SPECS})
            rounds = 40

            def write():
                for number in range(rounds):
                    writer.pull(number)
                    gradients = writer.gradients(0)
                    for array in gradients.values():
                        array[...] = -1.0
                    batch = BatchId(0, 0, number)
                    writer.push(batch, 0, gradients, slot=0).wait()
                    decision = RoundDecision(number, ((batch, 0),), 0, Incarnation(0, 0))
                    writer.channels[0].decide(decision)

            thread = threading.Thread(target=write)
            thread.start()
            version = 0
            while version < rounds:
                version = reader.pull(0)
                assert {value_of(array) for array in reader.parameters.values()} == {version}
            thread.join()
