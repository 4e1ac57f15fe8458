"""What a broken or hostile client sends is refused, and costs neither the shard nor the others."""

import os

import grpc
import numpy as np
import pytest
from integration.ps.served import JOB, TOKEN, Served, eventually, first_values, ones

from shardtape.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.messages import ROWS, Part
from shardtape.ps.wire import codec, frames, line
from shardtape.ps.wire.channel import PROTOCOL, Limits, call_metadata
from shardtape.ps.wire.frames import Payload
from shardtape.ps.wire.line import Line
from shardtape.ps.wire.shared_memory import OwnMemory
from shardtape.ps.wire.status import from_code

MIB = 1 << 20


class RawClient:
    """Frames made by hand, over gRPC."""

    def __init__(self, served, worker=7):
        self.channel = grpc.insecure_channel(served.servers[0].address)
        self.messages = []
        self.worker = worker

    def frame(self, payload=None, **body):
        """Queues a frame."""
        request = pb.ToShard(request=len(self.messages) + 1, **body)
        if isinstance(payload, Payload):
            request.payload_bytes = payload.bytes
        self.messages += frames.messages(request.SerializeToString(), payload, MIB)
        return self

    def hello(self):
        return self.frame(hello=pb.Hello(protocol=PROTOCOL, job=JOB, worker=self.worker))

    def raw(self, *messages):
        self.messages += messages
        return self

    def answers(self):
        """All answers to what was queued; raises what ends the stream."""
        call = self.channel.stream_stream("/shardtape.ps.v1.Shard/Data")
        metadata = call_metadata(TOKEN, JOB)
        found = []
        try:
            for message in call(iter(self.messages), metadata=metadata, timeout=20):
                header, _ = frames.split(message, MIB)
                found.append(pb.FromShard.FromString(header))
        finally:
            self.channel.close()
        return found

    def ended_by(self):
        """The error that ends the stream."""
        with pytest.raises(grpc.RpcError) as error:
            self.answers()
        return from_code(error.value.code().value[0], error.value.details())


def refused(answer):
    assert answer.HasField("refused"), answer
    return from_code(answer.refused.code, answer.refused.message)


def a_push(*parts, commit=True, **fields):
    table, payload = codec.encode_parts(parts)
    push = pb.Push(**{"worker": 7, "parts": table, **fields})
    if commit:
        push.commit.scale = 1.0
    return {"push": push, "payload": payload}


@pytest.fixture
def served():
    with Served(shards=1, limits=Limits(header_bytes=4096)) as served:
        served.ready(0)
        yield served
        # whatever came before, a well-behaved worker is served as ever
        client = served.client(1)
        client.push(BatchId(0, 1, 0), 0, ones(client), slot=0).wait()
        client.pull(1)
        np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 1, rtol=1e-6)


def test_data_before_hello(served):
    (answer,) = RawClient(served).frame(**a_push()).answers()
    error = refused(answer)
    assert isinstance(error, FailedPreconditionError) and "must be a Hello" in error.message


@pytest.mark.parametrize(
    "message",
    [b"", b"x", b"\xff" * 8, os.urandom(5000), frames.PREFIX.pack(5000, 0) + bytes(6000)],
)
def test_garbage_ends_the_stream(served, message):
    error = RawClient(served).hello().raw(message).ended_by()
    assert isinstance(error, InvalidArgumentError)
    assert "frame" in error.message


def test_a_header_that_is_no_protobuf_ends_the_stream(served):
    error = RawClient(served).hello().raw(frames.PREFIX.pack(3, 0) + b"\xff\xff\xff").ended_by()
    assert "header" in error.message or "parsing" in error.message


def test_an_unknown_request_is_refused(served):
    _, answer = RawClient(served).hello().frame().answers()
    assert "without a known request" in refused(answer).message


def test_an_older_protocol_is_refused(served):
    hello = pb.Hello(protocol=PROTOCOL + 1, job=JOB, worker=7)
    (answer,) = RawClient(served).frame(hello=hello).answers()
    assert f"speaks protocol {PROTOCOL + 1}" in refused(answer).message


def test_the_payload_must_be_what_the_parts_need(served):
    body = a_push(Part("bias", 0, "dense", np.zeros(6, "f4")))
    payload = Payload()
    payload.add(np.zeros(100, np.uint8))
    body["payload"] = payload
    _, answer = RawClient(served).hello().frame(**body).answers()
    error = refused(answer)
    assert "need 24 bytes of payload, 100 were announced" in error.message


def large_push(**changes):
    """A push whose payload comes in raw messages, with a part changed after it was laid out."""
    values = np.zeros((600_000,), "f4")
    table, payload = codec.encode_parts([Part("large", 0, "dense", values)])
    parts = pb.Parts.FromString(table)
    for name, value in changes.items():
        if name == "shape":
            parts.parts[0].shape[:] = value
        else:
            setattr(parts.parts[0], name, value)
    push = pb.Push(worker=7, parts=parts.SerializeToString())
    push.commit.scale = 1.0
    return {"push": push, "payload": payload}


@pytest.fixture
def large():
    specs = (VariableSpec("large", (600_000,), "float32"), VariableSpec("bias", (6,), "float32"))
    with Served(shards=1, specs=specs) as served:
        served.ready(0)
        yield served


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"key": "other"}, NotFoundError, "unknown variable 'other'"),
        ({"shape": [600_001]}, InvalidArgumentError, "has shape"),
        ({"dtype": "float64"}, InvalidArgumentError, "is float32"),
        ({"offset": 1 << 40}, InvalidArgumentError, "need at most"),
        ({"offset": 4}, InvalidArgumentError, "of payload"),
    ],
)
def test_after_a_refused_payload_the_stream_goes_on(large, changes, kind, text):
    """The raw messages of what was refused are passed over, not taken for frames."""
    client = RawClient(large).hello().frame(**large_push(**changes))
    _, bad, good = client.frame(**large_push()).answers()
    assert isinstance(refused(bad), kind) and text in refused(bad).message
    assert good.pushed.status == pb.PushResult.APPLIED


def test_raw_messages_beyond_the_payload_end_the_stream(large):
    client = RawClient(large).hello().frame(**large_push())
    client.messages[-1] += b"too much"
    error = client.ended_by()
    assert "was announced" in error.message
    assert large.counters()[0]["applied"] == 0


def test_a_payload_over_the_limit_ends_the_stream():
    limits = Limits(payload_bytes=MIB)
    specs = (VariableSpec("large", (600_000,), "float32"),)
    with Served(shards=1, specs=specs, limits=limits) as served:
        served.ready(0)
        error = RawClient(served).hello().frame(**large_push()).ended_by()
        assert isinstance(error, ResourceExhaustedError)
        assert "2,400,000 bytes is over the limit of 1,048,576" in error.message


def test_a_message_over_the_limit_ends_the_stream(served):
    error = RawClient(served).hello().raw(bytes(9 << 20)).ended_by()
    assert isinstance(error, ResourceExhaustedError)


def test_memory_that_was_never_announced(served):
    part = pb.Part(key="bias", kind=pb.Part.DENSE, dtype="float32", shape=[6], in_memory=True)
    push = pb.Push(worker=7, memory=5, parts=pb.Parts(parts=[part]).SerializeToString())
    _, answer = RawClient(served).hello().frame(push=push).answers()
    assert "memory 5 of worker 7 is not attached" in refused(answer).message


def test_parts_behind_the_end_of_a_memory(served):
    memory = OwnMemory(4096)
    attach = pb.Attach(memory=codec.encode_offer(memory.offer()))
    part = pb.Part(
        key="bias", kind=pb.Part.DENSE, dtype="float32", shape=[6], in_memory=True, offset=4080
    )
    table = pb.Parts(parts=[part]).SerializeToString()
    client = RawClient(served).hello().frame(attach=attach)
    client.frame(push=pb.Push(worker=7, memory=memory.id, parts=table))
    _, attached, answer = client.answers()
    assert attached.attached.readable
    assert "end at byte 4,104 of a memory of 4,096" in refused(answer).message


def test_memories_that_are_not_memory(served, tmp_path):
    """A client cannot make the shard open files."""
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(file, bytes(10_000))
    client = RawClient(served).hello()
    for fd in (file, 0, 9999):
        offer = pb.Memory(id=1, pid=os.getpid(), fd=fd, bytes=100, nonce=bytes(32))
        client.frame(attach=pb.Attach(memory=offer))
    client.frame(attach=pb.Attach(memory=pb.Memory(id=2, pid=1 << 40, fd=-5, bytes=1 << 60)))
    _, *answers = client.answers()
    os.close(file)
    assert [answer.attached.readable for answer in answers] == [False] * 4
    assert all(answer.attached.reason for answer in answers)


def test_row_ids_are_never_left_in_memory_that_could_change(served):
    part = pb.Part(key="kernel", kind=pb.Part.ROWS, dtype="float32", shape=[1, 3], in_memory=True)
    push = pb.Push(worker=7, memory=5, parts=pb.Parts(parts=[part]).SerializeToString())
    _, answer = RawClient(served).hello().frame(push=push).answers()
    assert "row ids must be sent" in refused(answer).message


def test_wild_row_ids(served):
    rows = np.array([1 << 62, -(1 << 62)])
    body = a_push(Part("kernel", 0, ROWS, np.zeros((2, 3), "f4"), rows))
    _, answer = RawClient(served).hello().frame(**body).answers()
    assert isinstance(refused(answer), InvalidArgumentError)


def test_a_client_that_does_not_read_is_cut_off(served):
    client = RawClient(served).hello()
    for _ in range(50):
        client.frame(pull=pb.Pull(worker=7, clock=0))
    client.messages *= 100
    call = client.channel.stream_stream("/shardtape.ps.v1.Shard/Data")
    call(iter(client.messages), metadata=call_metadata(TOKEN, JOB), timeout=20)
    assert eventually(lambda: served.control()[0].heartbeat()["streams"] <= 2)
    client.channel.close()


def test_a_line_needs_its_secret(served):
    lines = served.servers[0]._lines
    for secret in (b"", bytes(32)):
        one = Line(line.connect(lines.name, 5.0), MIB)
        hello = pb.Hello(protocol=PROTOCOL, job=JOB, worker=7, line_secret=secret)
        request = pb.ToShard(request=1, hello=hello)
        one.send(frames.messages(request.SerializeToString(), None, MIB))
        answer = pb.FromShard.FromString(frames.split(one.receive(10.0), MIB)[0])
        assert answer.request == 0 and "secret" in answer.refused.message
        with pytest.raises(Exception, match="ended|broke"):
            one.receive(10.0)
        one.close()


def test_garbage_on_a_line(served):
    lines = served.servers[0]._lines
    for message in (b"", b"garbage", bytes(100)):
        one = Line(line.connect(lines.name, 5.0), MIB)
        one.send([message])
        with pytest.raises(Exception, match="ended|broke"):
            for _ in range(3):
                assert one.receive(10.0) is not None
        one.close()


def test_first_values_must_be_whole(served):
    """A stream of first values that ends too early, or says too much, changes nothing."""
    call = grpc.insecure_channel(served.servers[0].address).stream_unary(
        "/shardtape.ps.v1.Shard/SetInitialValues", response_deserializer=pb.Digest.FromString
    )
    table, payload = codec.encode_parts([Part("bias", 0, "assign", np.zeros(6, "f4"))])
    for announced, sent in ((24, 20), (24, 30), (1 << 40, 24), (20, 20)):
        header = pb.Initialize(payload_bytes=announced, parts=table).SerializeToString()
        messages = [frames.PREFIX.pack(len(header), 0) + header, bytes(sent)]
        with pytest.raises(grpc.RpcError) as error:
            call(iter(messages), metadata=call_metadata(TOKEN, JOB), timeout=10)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
