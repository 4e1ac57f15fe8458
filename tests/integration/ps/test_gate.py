"""Who may call a shard, and what each caller that may not is told."""

import socket
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from integration.ps.served import JOB, SPECS, TOKEN, Served, ones

from shardtape.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.partition import place
from shardtape.ps.service import SERVICE, ShardServer
from shardtape.ps.wire.channel import JOB_KEY, PROTOCOL, PROTOCOL_KEY, TOKEN_KEY, Limits


def greeted(served, token=TOKEN, job=JOB):
    channel = GrpcChannel(served.servers[0].address, token, job=job)
    served.opened.append(channel)
    channel.hello(0)


def test_a_wrong_token_is_refused_at_once_on_every_call():
    with Served() as served:
        for token in ("", "secre", "secret2", "SECRET"):
            channel = GrpcChannel(served.servers[0].address, token, job=JOB, shard=0)
            served.opened.append(channel)
            begin = time.monotonic()
            with pytest.raises(UnauthenticatedError, match="shard 0 at .*token is missing"):
                channel.hello(0)
            for call in (
                channel.counters, channel.heartbeat, channel.digest, channel.shutdown,
                lambda c=channel: c.members([0], []), lambda c=channel: c.close_epoch(0),
                lambda c=channel: c.snapshot("/nowhere"), lambda c=channel: c.restore("/nowhere"),
                lambda c=channel: c.initialize({}),
                lambda c=channel: c.assume(0, served.placement, *served.role, generation=9),
            ):  # fmt: skip
                with pytest.raises(UnauthenticatedError):
                    call()
            assert time.monotonic() - begin < 5
        assert served.counters()[0]["ready"] is False


def test_every_method_of_the_service_is_behind_the_gate():
    """Also those that no client of ours calls without metadata."""
    from shardtape.protos import shard_pb2

    with Served(shards=1) as served, grpc.insecure_channel(served.servers[0].address) as channel:
        for method in shard_pb2.DESCRIPTOR.services_by_name["Shard"].methods:
            call = channel.stream_unary(f"/{SERVICE}/{method.name}")
            with pytest.raises(grpc.RpcError) as refused:
                call(iter([b""]), timeout=10)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED, method.name


def test_the_health_check_needs_no_token():
    server = ShardServer(token=TOKEN, job=JOB)
    try:
        with grpc.insecure_channel(server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            answer = health.Check(request, timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
            server.assume(0, place(SPECS, 1), *Served("local", shards=1).role)
            answer = health.Check(request, timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        server.stop()


def test_another_job_is_refused():
    text = "belongs to job 'testjob', .* 'other'"
    with Served() as served, pytest.raises(FailedPreconditionError, match=text):
        greeted(served, job="other")


def test_another_protocol_is_refused():
    with Served() as served, grpc.insecure_channel(served.servers[0].address) as channel:
        metadata = ((TOKEN_KEY, TOKEN), (JOB_KEY, JOB), (PROTOCOL_KEY, str(PROTOCOL + 1)))
        with pytest.raises(grpc.RpcError, match=f"speaks protocol {PROTOCOL + 1}, this shard"):
            channel.unary_unary(f"/{SERVICE}/Heartbeat")(b"", metadata=metadata, timeout=10)


def test_a_process_without_a_role_refuses_data():
    server = ShardServer(token=TOKEN, job=JOB)
    channel = GrpcChannel(server.address, TOKEN, job=JOB)
    try:
        with pytest.raises(FailedPreconditionError, match="has no role yet"):
            channel.hello(0)
        with pytest.raises(FailedPreconditionError, match="has no role yet"):
            channel.counters()
        assert channel.heartbeat()["state"] == "unassigned"
    finally:
        channel.close()
        server.stop()


def test_workers_that_mean_something_else_are_refused():
    with Served() as served:
        placement, other = served.placement, place(SPECS[:3], 2)
        with pytest.raises(InvalidArgumentError, match="places the variables on other shards"):
            Client(served.channels(), other, SPECS[:3], 0, job=JOB)
        renamed = (*SPECS[:3], VariableSpec("mean", (4,), "float32", "aggregated"))
        with pytest.raises(InvalidArgumentError, match="has other variables"):
            Client(served.channels(), placement, renamed, 0, job=JOB)
        with pytest.raises(FailedPreconditionError, match="addresses are mixed up"):
            Client(served.channels()[::-1], placement, SPECS, 0, job=JOB)
        with pytest.raises(InvalidArgumentError, match="1 channels were given for 2 shards"):
            Client(served.channels()[:1], placement, SPECS, 0, job=JOB)
        with pytest.raises(FailedPreconditionError, match="worker 0 is of generation 3"):
            served.client(generation=3)
        with pytest.raises(FailedPreconditionError, match=r"incarnation 0\.1"):
            served.client(incarnations=[Incarnation(0, 1), Incarnation(0, 1)])


def test_a_worker_of_an_older_generation_is_refused():
    with Served(shards=1) as served:
        served.control()[0].assume(0, served.placement, *served.role, generation=2)
        with pytest.raises(AbortedError, match="generation 1"):
            served.client(generation=1)


def test_nobody_pushes_in_the_name_of_another_worker():
    with Served(shards=1) as served:
        client = served.ready(3)
        client.worker = 4
        with pytest.raises(InvalidArgumentError, match="worker 3 sent .* in the name of worker 4"):
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FailedPreconditionError, match=f"127.0.0.1:{port}: the port is in use"):
            ShardServer(port=port)
    server = ShardServer()
    with pytest.raises(FailedPreconditionError, match=f"{server.port}: the port is in use"):
        ShardServer(port=server.port)  # gRPC alone would share it
    server.stop()
    with pytest.raises(FailedPreconditionError, match="192.0.2.1 is not an address of this"):
        ShardServer(host="192.0.2.1")


def test_loopback_is_all_that_is_listened_on_by_default():
    server = ShardServer()
    try:
        assert server.address.startswith("127.0.0.1:")
    finally:
        server.stop()


def test_there_is_a_limit_of_streams_and_control_calls_are_still_answered():
    with Served("grpc", shards=1, limits=Limits(streams=2)) as served:
        served.client(0)
        served.client(1)
        with pytest.raises(ResourceExhaustedError, match="serves 2 streams already"):
            served.client(2)
        assert served.control()[0].heartbeat()["streams"] == 2
        served.opened[0].close()
        assert served.counters()[0]["ready"] is False


def test_a_stopped_server_is_unavailable():
    with Served(shards=1) as served:
        client = served.ready()
        begin = time.monotonic()
        served.servers[0].stop()
        assert time.monotonic() - begin < 3
        begin = time.monotonic()
        with pytest.raises(UnavailableError, match="shard 0 at 127"):
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        assert time.monotonic() - begin < 5
        with pytest.raises(UnavailableError):
            served.counters()
