"""Control calls: ledgers, rounds, checkpoints, heartbeats; the same on all channels."""

import socket
import threading
import time

import numpy as np
import pytest
from integration.ps.served import FIRST, SPECS, Served, eventually, first_values, ones

from shardtape import checkpoint
from shardtape.errors import (
    CancelledError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from shardtape.ps.grpc_channel import GrpcChannel
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.messages import Push, RoundDecision, Scalars
from shardtape.ps.wire.channel import Limits

WAYS = ("local", "shared")
ways = pytest.mark.parametrize("way", WAYS)


def push(client, index, **options):
    return client.push(BatchId(0, 0, index), 0, ones(client), slot=0, **options).wait()


@ways
def test_ledgers(way):
    with Served(way) as served:
        client = served.ready()
        for index in (0, 2, 3):
            push(client, index)
        for channel in served.control():
            assert channel.missing({(0, 0): 5}) == [BatchId(0, 0, 1), BatchId(0, 0, 4)]
            assert channel.missing({}) == []
            channel.close_epoch(0)
            assert channel.missing({(0, 0): 5}) == []
            with pytest.raises(InvalidArgumentError, match="epoch must be >= 0"):
                channel.close_epoch(-1)
        assert {r.status for r in push(client, 1)} == {"duplicate"}


@ways
def test_counters_have_the_same_types(way):
    with Served(way) as served:
        client = served.ready()
        push(client, 0)
        (counters, _) = served.counters()
        assert counters["clocks"] == {0: 1} and counters["incarnation"] == (0, 0)
        assert counters["learning_rate"] == 1.0 and counters["mode"] == "async"
        assert counters["bytes"] > 0


@ways
def test_rounds_are_refused_whole(way):
    with Served(way, "sync") as served:
        client = served.ready()
        client.pull(0)
        push(client, 0)
        channel = served.control()[0]
        assert channel.staged() == [(BatchId(0, 0, 0), 0)]
        with pytest.raises(FailedPreconditionError, match="which on shard 0 is not staged"):
            served.decide(0, (0, 0, 0), (0, 9, 0))
        with pytest.raises(InvalidArgumentError, match="names no contribution"):
            served.decide(0)
        push(client, 1)
        result = channel.decide(RoundDecision(0, ((BatchId(0, 0, 0), 0),), 0, FIRST))
        assert result.dropped == ((BatchId(0, 0, 1), 0),)
        assert (result.status, result.version) == ("applied", 1)


@ways
def test_the_learning_rate_can_be_replaced(way):
    with Served(way) as served:
        client = served.ready()
        for channel in served.control():
            channel.set_learning_rate(0.25)
        push(client, 0)
        for channel in served.control():
            channel.set_learning_rate(None)
            with pytest.raises(InvalidArgumentError, match="learning rate"):
                channel.set_learning_rate(-1.0)
        push(client, 1)
        client.pull(2)
        np.testing.assert_allclose(
            client.parameters["bias"], first_values()["bias"] - 1.25, rtol=1e-6
        )


@ways
def test_digests_are_of_the_whole_state(way):
    with Served(way) as served, Served(way) as other:
        clients = served.ready(), other.ready()
        digests = [[c.digest() for c in s.control()] for s in (served, other)]
        assert digests[0] == digests[1]
        push(clients[0], 0)
        assert served.control()[0].digest() != digests[0][0]
        push(clients[1], 0)
        assert [c.digest() for c in other.control()] == [c.digest() for c in served.control()]


@ways
def test_a_skip_mark_without_a_worker(way):
    """What a coordinator does about a batch that cannot be computed."""
    with Served(way) as served:
        served.ready()
        for channel in served.control():
            skip = Push(BatchId(0, 0, 0), 9, -1, 0, FIRST, 0, commit=Scalars(skip=True))
            assert channel.push(skip).result().status == "applied"
            assert channel.missing({(0, 0): 1}) == []
            assert channel.counters()["skipped"] == 1


@ways
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_a_checkpoint_loads_into_any_number_of_shards(way, shards, tmp_path):
    parent = str(tmp_path)
    with Served(way) as served:
        client = served.ready()
        for index in range(3):
            push(client, index)
        directory = checkpoint.new_directory(parent, step=3)
        fragments = [channel.snapshot(directory, step=3) for channel in served.control()]
        checkpoint.write_manifest(directory, fragments)
        push(client, 3)  # after the cut
    with checkpoint.read(directory) as stored:  # opens without us
        expected = first_values()["bias"] - 3
        np.testing.assert_allclose(stored.tensor("bias"), expected, rtol=1e-6)
        assert set(stored.variables) == {spec.key for spec in SPECS}
    with Served(way, shards=shards) as fresh:
        for channel in fresh.control():
            counters = channel.restore(directory)
            assert counters["ready"] and counters["applied"] == 3 and counters["version"] == 3
            assert channel.missing({(0, 0): 5}) == [BatchId(0, 0, 3), BatchId(0, 0, 4)]
        client = fresh.client()
        assert client.pull(0) == 3
        np.testing.assert_allclose(client.parameters["bias"], expected, rtol=1e-6)
        assert {r.status for r in push(client, 2)} == {"duplicate"}
        assert {r.status for r in push(client, 3)} == {"applied"}


@ways
def test_a_marked_round_is_cut_on_all_shards(way, tmp_path):
    with Served(way, "sync") as served:
        client = served.ready()
        for number in range(2):
            client.pull(number)
            push(client, number)
            for channel in served.control():
                mark = "cut" if number == 0 else ""
                contribution = ((BatchId(0, 0, number), 0),)
                channel.decide(RoundDecision(number, contribution, 0, FIRST, mark=mark))
        directory = checkpoint.new_directory(str(tmp_path))
        fragments = [c.snapshot(directory, mark="cut") for c in served.control()]
        checkpoint.write_manifest(directory, fragments)
        with checkpoint.read(directory) as stored:
            expected = first_values()["bias"] - 1
            np.testing.assert_allclose(stored.tensor("bias"), expected, rtol=1e-6)
        with pytest.raises(NotFoundError, match="no snapshot marked 'cut'"):
            served.control()[0].snapshot(directory, mark="cut")


@ways
def test_checkpoints_that_cannot_be_loaded_are_named(way, tmp_path):
    with Served(way, shards=1) as served:
        (channel,) = served.control()
        with pytest.raises(NotFoundError, match="there is no checkpoint /nowhere"):
            channel.restore("/nowhere")
        plain = checkpoint.new_directory(str(tmp_path / "plain"))
        part = checkpoint.write_part(plain, "weights", {"bias": np.zeros(6, "f4")})
        checkpoint.write_manifest(plain, [part])
        with pytest.raises(DataLossError, match="was not written by a shard"):
            channel.restore(plain)
        client = served.ready()
        directory = checkpoint.new_directory(str(tmp_path / "torn"))
        fragment = channel.snapshot(directory)
        checkpoint.write_manifest(directory, [fragment])
        path = tmp_path / "torn" / directory.rsplit("/", 1)[1] / fragment["file"]
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
        with pytest.raises(DataLossError, match=fragment["file"]):
            channel.restore(directory)
        push(client, 0)  # nothing was changed
        client.pull(1)
        np.testing.assert_allclose(client.parameters["bias"], first_values()["bias"] - 1, rtol=1e-6)


def test_a_new_role_gives_up_snapshots_under_way(tmp_path):
    """They would copy the values of another generation."""
    specs = (VariableSpec("large", (4_000_000,), "float32"),)
    with Served("shared", shards=1, specs=specs) as served:
        served.ready()
        host = served.servers[0].host()
        snapshot = host.snapshot()
        served.control()[0].assume(0, served.placement, *served.role, generation=1)
        if not snapshot._error:  # it was quicker
            assert snapshot.state(1).parameters[("large", 0)].any()
        else:
            with pytest.raises(CancelledError):
                snapshot.state(1)


def test_the_same_role_again_changes_nothing():
    with Served("shared") as served:
        client = served.ready()
        push(client, 0)
        served.control()[0].assume(0, served.placement, *served.role)
        push(client, 1)
        assert served.counters()[0]["applied"] == 2


def test_other_ranges_get_other_memory():
    with Served("shared", shards=1) as served, Served("local", shards=1, specs=SPECS[:2]) as other:
        client = served.ready()
        before = served.servers[0].host().memory
        role = (SPECS[:2], *served.role[1:])
        served.control()[0].assume(0, other.placement, *role, generation=1)
        assert served.servers[0].host().memory is not before
        with pytest.raises(Exception, match="connect again|shut down|generation"):
            client.pull(1)


def test_heartbeats_tell_the_state():
    with Served("shared", shards=1) as served:
        channel = served.control()[0]
        assert channel.heartbeat()["state"] == "empty"
        client = served.ready()
        push(client, 0)
        beat = channel.heartbeat()
        assert (beat["state"], beat["shard"], beat["version"]) == ("ready", 0, 1)
        assert eventually(lambda: channel.heartbeat()["streams"] == 1)  # the line alone


def test_heartbeats_are_answered_while_payload_flows():
    """They have a connection and threads of their own."""
    specs = (VariableSpec("large", (2_000_000,), "float32"),)
    with Served("grpc", shards=1, specs=specs, limits=Limits(control_threads=2)) as served:
        clients = [served.ready(0), served.client(1)]
        stop = threading.Event()

        def work(client):
            index = 0
            while not stop.is_set():
                client.push(BatchId(0, client.worker, index), 0, ones(client), slot=0).wait()
                client.pull(index)
                index += 1

        threads = [threading.Thread(target=work, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            channel = served.control()[0]
            slowest = 0.0
            for _ in range(20):
                begin = time.monotonic()
                channel.heartbeat(deadline_s=5.0)
                slowest = max(slowest, time.monotonic() - begin)
                time.sleep(0.02)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert slowest < 2.0


def test_a_closed_channel_says_so():
    with Served("shared", shards=1) as served:
        channel = served.channel(0)
        channel.hello(0)
        channel.close()
        channel.close()
        with pytest.raises(UnavailableError, match="shard 0 at .* is closed"):
            channel.counters()
        with pytest.raises(UnavailableError, match="is closed"):
            channel.hello(0)


def test_incarnations_are_learnt_or_told():
    with Served("shared", shards=1) as served:
        new = Incarnation(2, 7)
        served.control()[0].assume(0, served.placement, *served.role, incarnation=new)
        assert served.client().greetings[0].incarnation == new
        client = served.client(incarnations=[new])
        client.initialize(first_values())
        push(client, 0)


def test_closing_a_channel_ends_what_waits_for_its_shard():
    """A frozen process keeps its sockets: whoever notices it closes the channel."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        channel = GrpcChannel(f"127.0.0.1:{frozen.getsockname()[1]}", shard=3)
        closer = threading.Timer(0.3, channel.close)
        closer.start()
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="channel to shard 3 .* while waiting for"):
            channel.counters()
        assert time.monotonic() - started < 5
        closer.join()
