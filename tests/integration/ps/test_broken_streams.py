"""Cut connections: what waits fails at once, what is sent again counts once, nothing is torn."""

import socket
import threading
import time

import numpy as np
import pytest
from integration.ps.served import JOB, TOKEN, Served, first_values, ones

from shardtape.errors import AbortedError, UnavailableError
from shardtape.ps.channels import Answer
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation
from shardtape.ps.messages import Part, Pull, Push, Scalars
from shardtape.ps.service import ShardServer
from shardtape.ps.wire.channel import Deadlines, RetryPolicy

CARRIERS = ("grpc", "shared", "shared, no line")


class Proxy:
    """A TCP proxy that can cut its connections: a network that fails."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._to)
            except OSError:
                return
            self.connections += 1
            self._open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        open_now, self._open = self._open, []
        for each in open_now:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def close(self):
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            self._listener.close()
        self.cut()


@pytest.fixture
def proxied():
    with Served("grpc", shards=1) as served:
        proxy = Proxy(served.servers[0].address)
        channel = GrpcChannel(proxy.address, TOKEN, job=JOB, shard=0, transport="grpc")
        client = Client([channel], served.placement, served.specs, 0, job=JOB)
        client.initialize(first_values())
        served.opened.append(client)
        yield served, proxy, client
        proxy.close()


def test_pushes_and_pulls_survive_cut_connections(proxied):
    served, proxy, client = proxied
    stop, pushed = threading.Event(), threading.Event()

    def cut():
        # at a moment of its own after each push that got through, so that a slow machine, on which
        # connecting takes longer than any fixed pause, is not cut off for good
        while not stop.wait(0.005):
            if pushed.wait(0.05):
                pushed.clear()
                time.sleep(0.003)
                proxy.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    statuses = []
    try:
        for index in range(40):
            handle = client.push(BatchId(0, 0, index), 0, ones(client), slot=0)
            statuses += [r.status for r in handle.wait(30)]
            pushed.set()
            client.pull(index)
            time.sleep(0.005)
    finally:
        stop.set()
        cutter.join()
    assert proxy.connections > 3
    assert set(statuses) <= {"applied", "duplicate"}
    (counters,) = served.counters()
    assert counters["applied"] == 40
    client.pull(40)
    np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 40, rtol=1e-5)


def test_a_cut_connection_is_noticed_within_milliseconds(proxied):
    served, proxy, client = proxied
    channel = client.channels[0]
    role = (*served.role[:2], Consistency("sync"))
    served.control()[0].assume(0, served.placement, *role, generation=1)
    channel.hello(0, generation=1)
    channel.initialize({r: first_values()[r[0]] for r in client._into[0]})
    answer = channel.pull(Pull(0, 1, 1, Incarnation(0, 0)), client._into[0])
    time.sleep(0.1)
    assert not answer.done()
    begin = time.monotonic()
    proxy.cut()
    with pytest.raises(UnavailableError, match="shard 0 at .*cannot be reached or went away"):
        answer.wait(20)
    assert time.monotonic() - begin < 1.0


def test_a_dead_network_is_given_up_after_the_retry_policy(proxied):
    _, proxy, client = proxied
    client.retry = RetryPolicy(total_s=0.3)
    client.pull(0)
    proxy.close()
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match="shard 0") as error:
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait(30)
    assert 0.1 < time.monotonic() - begin < 5
    assert error.value.shard == 0
    with pytest.raises(UnavailableError):
        client.pull(1, deadline_s=30)


def test_a_repeated_push_is_a_duplicate_and_a_success(proxied):
    """The answer was lost, not the push."""
    served, proxy, client = proxied
    handle = client.push(BatchId(0, 0, 0), 0, ones(client), slot=0)
    handle._answers[0].wait(10)
    # as if the answer had never come
    lost = Answer("shard 0", "an acknowledgement")
    lost.fail(UnavailableError("cut"))
    handle._answers[0] = lost
    assert [r.status for r in handle.wait(10)] == ["duplicate"]
    assert served.counters()[0]["applied"] == 1


@pytest.mark.parametrize("way", CARRIERS)
def test_only_the_newest_stream_of_a_worker_counts(way):
    """What an old stream still holds may lie in memory that is written again."""
    with Served(way, shards=1) as served:
        old, new = served.ready(0), served.client(0)

        def push(client, index):
            parts = [Part("bias", 0, "dense", np.ones(6, "f4"))]
            push = Push(
                BatchId(0, 0, index), 0, 0, 0, Incarnation(0, 0), 0, parts, Scalars()
            )  # fmt: skip
            return client.channels[0].push(push).wait(10)

        with pytest.raises(AbortedError, match="opened another stream"):
            push(old, 0)
        assert push(new, 1).status == "applied"
        # reading is still allowed
        old.pull(0)


@pytest.mark.parametrize("way", CARRIERS)
def test_a_restarted_server_of_the_same_role_is_found_again(way):
    with Served(way, shards=1) as served:
        client = served.ready(deadlines=Deadlines(push_s=20))
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        server = served.servers[0]
        port = server.port
        server.stop(0.1)
        again = ShardServer(port=port, token=TOKEN, job=JOB)
        served.servers[0] = again
        again.assume(0, served.placement, *served.role)
        client.initialize(first_values())
        handle = client.push(BatchId(0, 0, 1), 0, ones(client), slot=0)
        assert [r.status for r in handle.wait()] == ["applied"]
        client.pull(2)
        expected = first_values()["bias"] - 1
        np.testing.assert_allclose(client.parameters["bias"], expected, rtol=1e-6)
