"""The in-process channel, gRPC and shared memory do the same, whatever is asked of them."""

import threading
import time

import numpy as np
import pytest
from integration.ps.served import SPECS, WAYS, Served, first_values, ones

from shardtape.errors import (
    AbortedError,
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from shardtape.ps.client import Rows
from shardtape.ps.ids import BatchId, Incarnation
from shardtape.ps.messages import Part, Push, Scalars

pytestmark = pytest.mark.parametrize("way", WAYS)


def assert_values(client, **changed):
    expected = first_values()
    for key, spec in ((s.key, s) for s in SPECS):
        want = expected[key] + changed.get(key, 0)
        np.testing.assert_allclose(client.parameters[key], want, rtol=1e-6, err_msg=key)
        assert client.parameters[key].dtype == spec.dtype


def test_values_come_back_as_they_went_in(way):
    with Served(way) as served:
        client = served.ready()
        before = {key: array for key, array in client.parameters.items()}
        assert client.pull(0) == 0
        assert_values(client)
        assert all(client.parameters[key] is before[key] for key in before)
        assert [size > 0 and taken > 0 for size, taken in client.pull_figures()] == [True, True]
        expected = {"local": "local", "grpc": "grpc"}.get(way, "shared")
        assert client.transports == [expected] * 2


def test_a_dense_push_is_applied_once(way):
    with Served(way) as served:
        client = served.ready()
        client.pull(0)
        for attempt in range(3):
            handle = client.push(BatchId(0, 0, 0), attempt, ones(client), slot=0)
            results = handle.wait()
            assert [r.status for r in results] == ["duplicate" if attempt else "applied"] * 2
            assert all(ms > 0 for ms in handle.milliseconds)
        assert sum(handle.bytes) == (39 + 6 + 1) * 4
        assert client.pull(1) == 1
        assert_values(client, kernel=-1, bias=-1, scale=-1)
        for counters in served.counters():
            assert counters["applied"] == 1 and counters["duplicates"] == 2


def test_staleness_counts_updates_since_the_pull(way):
    with Served(way) as served:
        one, other = served.ready(0), served.client(1)
        one.pull(0)
        other.pull(0)
        for index in range(3):
            one.push(BatchId(0, 0, index), 0, ones(one), slot=0).wait()
        results = other.push(BatchId(0, 1, 0), 0, ones(other), slot=0).wait()
        assert [r.staleness for r in results] == [3, 3] and results[0].version == 4


def test_gradients_from_elsewhere_are_copied_into_the_slot(way):
    with Served(way) as served:
        client = served.ready()
        gradients = {s.key: np.full(s.shape, 2, s.dtype) for s in SPECS[:3]}
        client.push(BatchId(0, 0, 0), 0, gradients, slot=1).wait()
        client.push(BatchId(0, 0, 1), 0, gradients).wait()  # whichever slot is free
        client.pull(2)
        assert_values(client, kernel=-4, bias=-4, scale=-4)


def test_two_pushes_may_be_under_way(way):
    with Served(way) as served:
        client = served.ready()
        handles = []
        for index in range(6):
            gradients = ones(client, slot=index % 2, value=index)
            handles.append(client.push(BatchId(0, 0, index), 0, gradients, slot=index % 2))
        for handle in handles:
            assert {r.status for r in handle.wait()} == {"applied"} and handle.done()
        client.pull(6)
        assert_values(client, kernel=-15, bias=-15, scale=-15)


def test_rows_and_updates(way):
    with Served(way) as served:
        client = served.ready()
        rows = np.array([12, 0, 7])  # in any order, on both shards
        values = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
        mean = np.full(4, 0.25)
        handle = client.push(
            BatchId(0, 0, 0), 0, {"kernel": Rows(rows, values), **ones(client, ["bias"])},
            slot=0, updates=[("mean", "add", mean), ("scale", "assign", np.float32(9.0))],
        )  # fmt: skip
        assert {r.status for r in handle.wait()} == {"applied"}
        client.push(BatchId(0, 0, 1), 0, {}, updates=[("mean", "add", mean)]).wait()
        client.push(BatchId(0, 0, 2), 0, {}).wait()  # an empty batch counts, too
        client.pull(3)
        dense = np.zeros((13, 3))
        dense[rows] = values
        scale = 9.0 - first_values()["scale"]
        assert_values(client, kernel=-dense, bias=-1, mean=0.5, scale=scale)
        assert [c["applied"] for c in served.counters()] == [3, 3]


def test_scalars_of_the_commit(way):
    with Served(way) as served:
        client = served.ready()
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0, commit=Scalars(scale=0.5)).wait()
        client.push(BatchId(0, 0, 1), 0, ones(client), slot=0, commit=Scalars(skip=True)).wait()
        client.push(
            BatchId(0, 0, 2), 0, ones(client), slot=0, commit=Scalars(learning_rate=0.25)
        ).wait()
        client.pull(3)
        assert_values(client, kernel=-0.75, bias=-0.75, scale=-0.75)
        assert [c["skipped"] for c in served.counters()] == [1, 1]


def test_parts_are_staged_until_the_commit(way):
    with Served(way) as served:
        client = served.ready()
        batch = BatchId(0, 0, 0)
        for keys in (["kernel"], ["bias"]):
            results = client.push(batch, 0, ones(client, keys), slot=0, commit=None).wait()
            assert {r.status for r in results} == {"staged"}
            # the slot is ours again, although nothing is applied yet
            ones(client, value=100.0)
        client.pull(0)
        assert_values(client)
        client.push(batch, 0, {}).wait()
        client.pull(1)
        assert_values(client, kernel=-1, bias=-1)


def test_sync_rounds(way):
    with Served(way, "sync") as served:
        one, other = served.ready(0), served.client(1)
        assert one.pull(0) == other.pull(0) == 0
        for client, value in ((one, 1.0), (other, 3.0)):
            results = client.push(
                BatchId(0, client.worker, 0), 0, ones(client, value=value), slot=0
            ).wait()
            assert {r.status for r in results} == {"staged"}
            ones(client, value=50.0)
        with pytest.raises(DeadlineExceededError, match="waited for values of clock 1"):
            one.pull(1, deadline_s=0.05)
        assert served.decide(0, (0, 0, 0), (0, 1, 0)) == ["applied"] * 2
        assert served.decide(0, (0, 0, 0), (0, 1, 0)) == ["duplicate"] * 2
        assert one.pull(1) == other.pull(1) == 1
        assert_values(one, kernel=-2, bias=-2, scale=-2)
        assert_values(other, kernel=-2, bias=-2, scale=-2)


def test_a_pull_of_the_next_round_waits_for_its_decision(way):
    with Served(way, "sync") as served:
        client = served.ready()
        client.pull(0)
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        threading.Timer(0.2, served.decide, (0, (0, 0, 0))).start()
        begin = time.monotonic()
        assert client.pull(1, deadline_s=20) == 1
        assert 0.1 < time.monotonic() - begin < 10
        assert_values(client, kernel=-1, bias=-1, scale=-1)


def test_ssp_holds_the_fast_worker_back(way):
    with Served(way, "ssp", staleness=1) as served:
        fast, slow = served.ready(0), served.client(1)
        for channel in served.control():
            channel.members({0, 1}, set())
        fast.pull(0)
        slow.pull(0)
        for index in range(2):
            fast.push(BatchId(0, 0, index), 0, ones(fast), slot=0).wait()
            if index == 0:
                fast.pull(1)
        done = []
        waiting = threading.Thread(target=lambda: done.append(fast.pull(2, deadline_s=20)))
        waiting.start()
        time.sleep(0.2)
        assert not done
        slow.push(BatchId(0, 1, 0), 0, ones(slow), slot=0).wait()
        waiting.join(20)
        assert done == [3]
        # a worker that is idle holds nobody back
        fast.push(BatchId(0, 0, 2), 0, ones(fast), slot=0).wait()
        with pytest.raises(DeadlineExceededError):
            fast.pull(3, deadline_s=0.1)
        for channel in served.control():
            channel.members({0, 1}, {1})
        assert fast.pull(3, deadline_s=20) == 4


def test_a_pull_that_was_given_up_writes_nothing(way):
    with Served(way, "sync") as served:
        client = served.ready()
        client.pull(0)
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        with pytest.raises(DeadlineExceededError, match=r"shard 0.*not answer within 0\.0\d+ s"):
            client.pull(1, deadline_s=0.05)
        served.decide(0, (0, 0, 0))
        time.sleep(0.2)
        assert_values(client)
        assert client.pull(1) == 1
        assert_values(client, kernel=-1, bias=-1, scale=-1)


def test_first_values_can_be_told_again_but_not_changed(way):
    with Served(way) as served:
        client = served.ready()
        client.initialize(first_values())
        other = first_values()
        other["bias"] += 1
        with pytest.raises(AlreadyExistsError, match="already has values"):
            served.client(1).initialize(other)
        with pytest.raises(InvalidArgumentError, match="lack variable 'scale'"):
            client.initialize({k: v for k, v in other.items() if k != "scale"})
        other["bias"] = other["bias"].astype(np.float64)
        with pytest.raises(InvalidArgumentError, match="'bias' has shape .* float64, expected"):
            client.initialize(other)


def test_without_values_there_is_nothing_to_pull(way):
    with Served(way) as served:
        client = served.client()
        with pytest.raises(FailedPreconditionError, match="no values yet"):
            client.pull(0)
        with pytest.raises(FailedPreconditionError, match="no values yet"):
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()


@pytest.mark.parametrize(
    ("gradients", "updates", "error", "text"),
    [
        ({"kernel": np.zeros((13, 2), "f4")}, (), InvalidArgumentError, "'kernel' has shape"),
        ({"bias": np.zeros(6, "f8")}, (), InvalidArgumentError, "dtype float64"),
        ({"mean": np.zeros(4)}, (), InvalidArgumentError, "is aggregated and takes no gradient"),
        ({"other": np.zeros(4)}, (), NotFoundError, "unknown variable 'other'"),
        (
            {"kernel": Rows(np.array([13]), np.zeros((1, 3), "f4"))},
            (),
            InvalidArgumentError,
            "has row 13",
        ),
        (
            {"kernel": Rows(np.array([2]), np.zeros((1, 2), "f4"))},
            (),
            InvalidArgumentError,
            "values of",
        ),
        ({}, [("mean", "multiply", np.zeros(4))], InvalidArgumentError, "unknown kind 'multiply'"),
        ({}, [("mean", "add", np.zeros(5))], InvalidArgumentError, "update of variable 'mean'"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_sent(way, gradients, updates, error, text):
    with Served(way) as served:
        client = served.ready()
        with pytest.raises(error, match=text):
            client.push(BatchId(0, 0, 0), 0, gradients, slot=0, updates=updates)
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()


def test_the_shard_refuses_what_the_client_let_through(way):
    """Channels can be used by themselves; the shard checks everything anyhow."""
    with Served(way, shards=1) as served:
        client = served.ready()
        channel = client.channels[0]

        def push(*parts, batch=(0, 0, 0), generation=0, incarnation=(0, 0)):
            return channel.push(
                Push(
                    BatchId(*batch), 0, 0, generation, Incarnation(*incarnation), 0, list(parts),
                    Scalars(),
                )
            ).wait(10)  # fmt: skip

        bias = np.zeros(6, "f4")
        rows = np.zeros((2, 3), "f4")
        with pytest.raises(InvalidArgumentError, match="shape"):
            push(Part("bias", 0, "dense", np.zeros(5, "f4")))
        with pytest.raises(InvalidArgumentError, match="float32, the dense part sent is '?float64"):
            push(Part("bias", 0, "dense", np.zeros(6)))
        with pytest.raises(NotFoundError, match="no part 3"):
            push(Part("bias", 3, "dense", bias))
        with pytest.raises(NotFoundError, match="unknown variable 'x'"):
            push(Part("x", 0, "dense", bias))
        with pytest.raises(InvalidArgumentError, match="row 99"):
            push(Part("kernel", 0, "rows", rows, np.array([1, 99])))
        with pytest.raises(InvalidArgumentError, match="repeat"):
            push(Part("kernel", 0, "rows", rows, np.array([1, 1])))
        with pytest.raises(InvalidArgumentError, match="two parts"):
            push(Part("bias", 0, "dense", bias), Part("bias", 0, "dense", bias))
        with pytest.raises(InvalidArgumentError, match="negative"):
            push(batch=(0, 0, -1))
        with pytest.raises(FailedPreconditionError, match="generation 1"):
            push(generation=1)
        with pytest.raises(FailedPreconditionError, match=r"incarnation 0\.1"):
            push(incarnation=(0, 1))
        assert push(Part("bias", 0, "dense", bias)).status == "applied"
        (counters,) = served.counters()
        assert counters["applied"] == 1 and counters["staged"] == 0


def test_a_new_role_cuts_off_the_old_generation(way):
    with Served(way) as served:
        client = served.ready()
        client.pull(0)
        for index, channel in enumerate(served.control()):
            channel.assume(
                index, served.placement, *served.role, generation=1, incarnation=Incarnation(0, 1)
            )
        if way == "local":
            served.hosts = [channel.host for channel in served.control()]
        with pytest.raises(AbortedError):
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=0).wait()
        with pytest.raises(AbortedError):
            client.pull(1)
        # the slot was answered for, so it is still ours
        client.gradients(0)
        fresh = served.client(generation=1)
        fresh.initialize(first_values())
        fresh.pull(0)
        assert_values(fresh)
        fresh.push(BatchId(0, 0, 0), 0, ones(fresh), slot=0).wait()
        fresh.pull(1)
        assert_values(fresh, kernel=-1, bias=-1, scale=-1)
        with pytest.raises(FailedPreconditionError, match="cannot go back"):
            served.control()[0].assume(0, served.placement, *served.role)


def test_a_slot_under_way_is_not_given_away(way):
    with Served(way) as served:
        client = served.ready()
        with pytest.raises(InvalidArgumentError, match="no slot 2"):
            client.push(BatchId(0, 0, 0), 0, ones(client), slot=2)
        client.push(BatchId(0, 0, 0), 0, ones(client), slot=0)
        with pytest.raises(FailedPreconditionError, match="slot 0 still belongs to the push of"):
            client.push(BatchId(0, 0, 1), 0, client._slots[0].arrays, slot=0)
        client.gradients(0)  # waits
        client.push(BatchId(0, 0, 1), 0, ones(client), slot=0).wait()


def test_closing_ends_everything_at_once(way):
    with Served(way, "sync") as served:
        client = served.ready()
        failed = []

        def pull():
            try:
                client.pull(5, deadline_s=60)
            except Exception as error:  # noqa: BLE001 - which one is the test's question
                failed.append(error)

        waiting = threading.Thread(target=pull)
        waiting.start()
        time.sleep(0.2)
        begin = time.monotonic()
        client.close()
        waiting.join(20)
        assert not waiting.is_alive() and time.monotonic() - begin < 5
        assert failed and "shard 0" in str(failed[0])
