"""Which way bytes travel: shared memory where both are on one host, else gRPC, and who says why."""

import numpy as np
import pytest
from integration.ps.served import JOB, TOKEN, Served, first_values, ones

from shardtape.errors import FailedPreconditionError, InvalidArgumentError
from shardtape.ps import session
from shardtape.ps.client import GrpcChannel
from shardtape.ps.ids import BatchId
from shardtape.ps.stream import GrpcStream, LineStream, ValueCalls
from shardtape.ps.wire import shared_memory


def works(client):
    client.push(BatchId(0, client.worker, 0), 0, ones(client), slot=0).wait()
    client.pull(1)
    np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 1, rtol=1e-6)


def opened(served, transport):
    served.channel = lambda index, make=served.channel: make(index, transport=transport)
    return served.ready()


def test_auto_finds_shared_memory_and_a_line():
    with Served() as served:
        client = opened(served, "auto")
        assert client.transports == ["shared", "shared"]
        assert all(isinstance(c._stream, LineStream) for c in client.channels)
        works(client)
        assert client.parameters["kernel"].base is not None
        # no values travelled: the gradients lie in memory that the shard reads
        assert all(slot.memory is not None for slot in client._slots)


def test_grpc_can_be_forced():
    with Served() as served:
        client = opened(served, "grpc")
        assert client.transports == ["grpc", "grpc"]
        assert client.greetings[0].reason == "the client was told to use gRPC"
        assert all(isinstance(c._stream, GrpcStream) for c in client.channels)
        assert all(slot.memory is None for slot in client._slots)
        works(client)


def elsewhere(monkeypatch):
    """The shard finds itself on another host than its clients."""
    monkeypatch.setattr(session, "host_identity", lambda: "another kernel")


def test_another_host_gets_grpc(monkeypatch):
    elsewhere(monkeypatch)
    with Served() as served:
        client = opened(served, "auto")
        assert client.transports == ["grpc", "grpc"]
        assert "another host or in another container" in client.greetings[0].reason
        works(client)


def test_shared_memory_can_be_demanded(monkeypatch):
    elsewhere(monkeypatch)
    with Served() as served, pytest.raises(
        FailedPreconditionError, match="shard 0 at .*shared memory was asked for .*another host"
    ):  # fmt: skip
        opened(served, "shared")
    with pytest.raises(InvalidArgumentError, match="unknown transport 'carrier pigeon'"):
        GrpcChannel("127.0.0.1:1", transport="carrier pigeon")


def test_a_peer_that_cannot_be_opened_gets_grpc(monkeypatch):
    """Same kernel, but no right to look into the other process."""

    def refuse(offer):
        raise FailedPreconditionError("cannot open /proc/1/fd/5: Permission denied")

    from shardtape.ps import connection

    monkeypatch.setattr(connection, "PeerMemory", refuse)
    with Served() as served:
        client = opened(served, "auto")
        assert client.transports == ["grpc", "grpc"]
        assert "Permission denied" in client.greetings[0].reason
        works(client)


def test_gradients_are_sent_where_the_shard_cannot_read_them(monkeypatch):
    def refuse(offer):
        raise FailedPreconditionError("cannot map it")

    monkeypatch.setattr(session, "PeerMemory", refuse)
    with Served() as served:
        client = opened(served, "auto")
        assert client.transports == ["shared", "shared"]  # the parameters still are
        assert "cannot read gradients in place: cannot map it" in client.channels[0].reason
        works(client)


def test_too_little_memory_is_found_at_start_and_grpc_used(monkeypatch, caplog):
    monkeypatch.setattr(shared_memory, "available_bytes", lambda: 1 << 20)
    with Served() as served:
        client = opened(served, "auto")
        assert client.transports == ["grpc", "grpc"]
        assert "bytes of shared memory are needed" in client.greetings[0].reason
        works(client)
    assert "serves over gRPC only" in caplog.text


def test_too_little_memory_for_the_worker(monkeypatch, caplog):
    with Served() as served:
        monkeypatch.setattr(shared_memory, "available_bytes", lambda: 1 << 20)
        client = opened(served, "auto")
        assert client.transports == ["shared", "shared"]
        assert all(slot.memory is None for slot in client._slots)
        works(client)
    assert "gradients go over gRPC" in caplog.text


def test_a_shard_that_writes_all_the_time_is_asked_for_values(monkeypatch):
    from shardtape.ps import shared_reader

    monkeypatch.setattr(shared_reader, "TRY_FOR_S", 0.02)
    with Served(shards=1) as served:
        client = opened(served, "shared")
        works(client)
        memory = served.servers[0].host().memory
        memory.begin()  # and never ends
        client.parameters["bias"][...] = 0
        assert client.pull(2) == 1
        np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 1, rtol=1e-6)
        assert isinstance(client.channels[0]._values, ValueCalls)
        memory.settle(served.servers[0].host().shard)


def test_one_worker_may_share_with_one_shard_only():
    """Shards of one job on different hosts."""
    with Served() as served:

        def channels():
            return [
                GrpcChannel(server.address, TOKEN, job=JOB, shard=index, transport=transport)
                for index, (server, transport) in enumerate(
                    zip(served.servers, ("shared", "grpc"))
                )
            ]  # fmt: skip

        served.channels = channels
        client = served.ready()
        assert client.transports == ["shared", "grpc"]
        works(client)
