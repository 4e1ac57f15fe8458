"""Pulls of many bytes, which are gRPC calls of their own."""

import threading
import time

import grpc
import numpy as np
import pytest
from integration.ps.served import (
    FIRST,
    JOB,
    TOKEN,
    Served,
    ShardProcess,
    eventually,
    first_values,
    ones,
)

from shardtape.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    ResourceExhaustedError,
    UnavailableError,
)
from shardtape.optimizers import SGD
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.messages import Pull
from shardtape.ps.partition import place
from shardtape.ps.stream import VALUES
from shardtape.ps.wire import frames
from shardtape.ps.wire.channel import PROTOCOL, Limits, call_metadata

SPECS = (VariableSpec("large", (300, 1000), "float32"), VariableSpec("small", (3,), "float32"))
LIMITS = Limits(chunk_bytes=1 << 16)


def served(mode="async", **options):
    return Served("grpc", mode, shards=1, specs=SPECS, limits=LIMITS, **options)


def streams(it):
    return it.control()[0].heartbeat()["streams"]


def test_values_of_more_than_a_message_come_in_calls():
    with served() as shards:
        client = shards.ready()
        client.pull(0)
        assert client.channels[0]._values is not None
        np.testing.assert_array_equal(client.parameters["large"], first_values(SPECS)["large"])
        client.push(BatchId(0, 0, 0), 0, ones(client)).wait()
        assert client.pull(1) == 1
        expected = first_values(SPECS)["large"] - 1
        np.testing.assert_allclose(client.parameters["large"], expected, rtol=1e-6)
        assert client.pull_figures()[0][0] == sum(v.nbytes for v in client.parameters.values())
        assert eventually(lambda: streams(shards) == 1)  # a call leaves nothing behind


def test_few_values_come_over_the_stream():
    with Served("grpc", shards=1) as shards:
        client = shards.ready()
        client.pull(0)
        assert client.channels[0]._values is None


def test_a_call_waits_for_its_clock_no_longer_than_it_may():
    with served("ssp", staleness=0) as shards:
        slow, fast = shards.ready(0), shards.client(1)
        shards.control()[0].members([0, 1], [])
        fast.push(BatchId(0, 1, 0), 0, ones(fast)).wait()
        before = fast.parameters["large"].copy()
        with pytest.raises(DeadlineExceededError, match="shard 0 .* values of clock 1"):
            fast.pull(1, deadline_s=0.3)
        np.testing.assert_array_equal(fast.parameters["large"], before)
        # the other worker comes, and what waits is answered
        answer = threading.Thread(target=fast.pull, args=(1,))
        answer.start()
        slow.push(BatchId(0, 0, 0), 0, ones(slow)).wait()
        answer.join(10)
        assert not answer.is_alive()
        expected = first_values(SPECS)["large"] - 2
        np.testing.assert_allclose(fast.parameters["large"], expected, rtol=1e-6)


def test_a_pull_that_nobody_waits_for_holds_up_nothing():
    with served("ssp", staleness=0) as shards:
        slow, fast = shards.ready(0), shards.client(1)
        shards.control()[0].members([0, 1], [])
        fast.push(BatchId(0, 1, 0), 0, ones(fast)).wait()
        for _ in range(3):
            with pytest.raises(DeadlineExceededError):
                fast.pull(1, deadline_s=0.1)
        assert fast.pull(0, deadline_s=5) == 1
        calls = fast.channels[0]._values
        assert not calls._pending and not calls._given_up and calls.broken is None
        # of which one waits: those behind it are not made at all
        channel, into = fast.channels[0], {(s.key, 0): np.empty(s.shape, "float32") for s in SPECS}
        waiting = [channel.pull(Pull(1, 1, 0, FIRST), into) for _ in range(4)]
        for answer in (waiting[2], waiting[0]):
            answer.give_up()
        slow.push(BatchId(0, 0, 0), 0, ones(slow)).wait()
        assert [waiting[i].result(10).version for i in (1, 3)] == [2, 2]
        assert not waiting[0].done() and not waiting[2].done()
        assert not calls._given_up


def test_whoever_goes_away_waits_no_more():
    with served("ssp", staleness=0) as shards:
        shards.ready(0)
        fast = shards.client(1)
        shards.control()[0].members([0, 1], [])
        fast.push(BatchId(0, 1, 0), 0, ones(fast)).wait()
        into = {(s.key, 0): np.empty(s.shape, "float32") for s in SPECS}
        waiting = fast.channels[0].pull(Pull(1, 1, 0, FIRST), into)
        pulls = shards.servers[0]._pulls
        assert eventually(lambda: len(pulls) == 1)
        fast.channels[0].close()
        with pytest.raises(UnavailableError):
            waiting.result(10)
        assert eventually(lambda: not pulls)
        with pytest.raises(UnavailableError, match="is closed"):
            fast.pull(1)


def test_calls_that_end_as_they_begin_leave_nothing_behind():
    """gRPC tells nobody of the end of a call that was over before somebody asked to hear of it."""
    with served("ssp", staleness=0) as shards:
        shards.ready(0)
        shards.client(1)
        shards.control()[0].members([0, 1], [])
        # clock 5 does not come
        request = framed(pull=pb.Pull(worker=1, clock=5, hello=hello(worker=1)))
        with grpc.insecure_channel(shards.servers[0].address) as channel:
            call = channel.unary_stream(VALUES)
            for number in range(300):
                made = call(request, metadata=call_metadata(TOKEN, JOB), timeout=30)
                time.sleep(number % 10 / 5000)
                made.cancel()
        assert eventually(lambda: not shards.servers[0]._pulls)
        assert not shards.servers[0].host()._waiting


def test_pulls_take_no_place_of_a_stream():
    limits = Limits(chunk_bytes=1 << 16, streams=2, value_calls=1)
    with Served("grpc", "ssp", shards=1, specs=SPECS, limits=limits, staleness=0) as shards:
        clients = [shards.ready(0), shards.client(1)]
        shards.control()[0].members([0, 1], [])
        clients[1].push(BatchId(0, 1, 0), 0, ones(clients[1])).wait()
        into = {(s.key, 0): np.empty(s.shape, "float32") for s in SPECS}
        waiting = clients[1].channels[0].pull(Pull(1, 1, 0, FIRST), into)
        assert eventually(lambda: len(shards.servers[0]._pulls) == 1)
        with pytest.raises(ResourceExhaustedError, match="serves 1 pulls of many bytes"):
            clients[0].pull(0)
        clients[0].push(BatchId(0, 0, 0), 0, ones(clients[0])).wait()
        assert waiting.result(10).version == 2
        assert clients[0].pull(1) == 2


def test_a_shard_that_dies_while_a_call_waits():
    with ShardProcess() as shard:
        channel = GrpcChannel(shard.address, TOKEN, job=JOB, transport="grpc", limits=LIMITS)
        rule, mode = SGD(1.0).rule_config(), Consistency("ssp", staleness=0)
        channel.assume(0, place(SPECS, 1), SPECS, rule, mode)
        client = Client([channel], place(SPECS, 1), SPECS, 0, job=JOB)
        client.initialize(first_values(SPECS))
        client.pull(0)
        channel.members([0, 1], [])
        threading.Timer(0.3, shard.process.kill).start()
        with pytest.raises(UnavailableError, match="shard 0 at"):
            client.pull(5)
        client.close()
        channel.close()


def hello(**fields):
    return pb.Hello(**{"protocol": PROTOCOL, "job": JOB, "worker": -1, **fields})


def asked(shards, request):
    """Answers to a call that was made by hand."""
    with grpc.insecure_channel(shards.servers[0].address) as channel:
        call = channel.unary_stream(VALUES)
        answers = call(request, metadata=call_metadata(TOKEN, JOB), timeout=10)
        return [pb.FromShard.FromString(frames.split(m, 1 << 20)[0]) for m in answers]


def framed(**body):
    (message,) = frames.messages(pb.ToShard(request=7, **body).SerializeToString(), None, 1 << 20)
    return message


@pytest.mark.parametrize(
    "request_, text",
    [
        (b"", "too short"),
        (b"\xff" * 40, "announces a header"),
        (frames.PREFIX.pack(4, 0) + b"\xff\xff\xff\xff", "not a request"),
        (framed(hello=hello()), "must be a pull that says who asks"),
        (framed(pull=pb.Pull()), "must be a pull that says who asks"),
        (framed(push=pb.Push()), "must be a pull that says who asks"),
    ],
)
def test_what_is_no_pull_is_refused(request_, text):
    with served() as shards:
        client = shards.ready()
        with pytest.raises(grpc.RpcError, match=text) as refused:
            asked(shards, request_)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        client.pull(0)


def test_who_does_not_belong_here_is_refused():
    with served() as shards:
        shards.ready()
        for who, text in (
            (hello(job="other"), "belongs to job 'testjob'"),
            (hello(protocol=PROTOCOL + 1), "speaks protocol"),
            (hello(worker=0, generation=3), "generation 3"),
        ):
            (answer,) = asked(shards, framed(pull=pb.Pull(hello=who)))
            assert answer.request == 7
            assert text in answer.refused.message
    with served() as shards:
        client = shards.client()
        with pytest.raises(FailedPreconditionError, match="values"):
            client.pull(0)  # there are none yet
