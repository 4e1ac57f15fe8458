"""Snapshots: one log position, while updates go on; restore, also into other numbers of shards."""

import json
import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ps.shard_jobs import SPECS, Job, assert_values, gradients, straight

from shardtape.errors import (
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
)
from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.sgd import SGDRule
from shardtape.ps import snapshot as snapshots
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.ledger import joined
from shardtape.ps.messages import Part, Push, Scalars
from shardtape.ps.partition import place
from shardtape.ps.reshard import reshard, reshard_one
from shardtape.ps.snapshot import ShardState

RULE = AdamRule(0.1)


def arrays_of(shard):
    copies = {("", id): a.copy() for id, a in shard.parameters.items()}
    for name, arrays in shard.slots.items():
        copies.update({(name, id): a.copy() for id, a in arrays.items()})
    return copies


def arrays_in(state):
    found = {("", id): a for id, a in state.parameters.items()}
    for name, arrays in state.slots.items():
        found.update({(name, id): a for id, a in arrays.items()})
    return found


def assert_arrays(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=str(name))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(snapshots, "BLOCK_BYTES", 64)


def states_of(job):
    return [shard.snapshot_begin(start=False).state() for shard in job.shards]


def test_updates_after_the_mark_are_not_in_it(small_blocks):
    """No background thread: all that is copied early is copied by the writes themselves."""
    job = Job(1, rule=RULE).initialize()
    shard = job.shards[0]
    job.push((0, 0, 0), gradients(0))
    before, lsn = arrays_of(shard), shard.lsn
    snapshot = shard.snapshot_begin(start=False)
    for index in range(1, 4):
        job.push((0, 0, index), gradients(index))
    assert snapshot.done  # dense updates have touched everything
    state = snapshot.state()
    assert_arrays(arrays_in(state), before)
    assert (state.lsn, state.version, snapshot.lsn) == (lsn, 1, lsn)
    assert state.groups[0].ledger.missing({(0, 0): 3}) == [BatchId(0, 0, 1), BatchId(0, 0, 2)]
    assert state.groups[0].step == 1


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([SGDRule(0.5), SGDRule(0.5, momentum=0.9), AdamRule(0.1)]),
    st.integers(0, 1 << 30),
)
def test_any_mixture_of_copies_and_writes(rule, seed):
    """Sparse and dense updates, and the copying thread's steps, in any order."""
    rng = random.Random(seed)
    specs = (VariableSpec("table", (40, 2), "float32"), VariableSpec("bias", (5,), "float32"))
    job = Job(1, rule=rule, specs=specs).initialize()
    shard = job.shards[0]
    job.push((1, 0, 0), gradients(99, specs))  # from now on momentum moves every row
    before_size, snapshots.BLOCK_BYTES = snapshots.BLOCK_BYTES, 48
    try:
        before = arrays_of(shard)
        snapshot = shard.snapshot_begin(start=False)
        blocks = [(id, b) for id, flags in snapshot._blocks.items() for b in range(len(flags))]
        rng.shuffle(blocks)
        index = 0
        for block in blocks:
            while rng.random() < 0.4:
                index += 1
                if rng.random() < 0.3:
                    job.push((0, 0, index), {"bias": gradients(index, specs)["bias"]})
                    continue
                rows = np.array(rng.sample(range(40), rng.randrange(5)), np.int64)
                part = Part("table", 0, "rows", np.ones((len(rows), 2), np.float32), rows)
                shard.push(
                    Push(BatchId(0, 0, index), 0, 0, 0, shard.incarnation, 0, [part], Scalars())
                )
            snapshot._copy(*block)
        assert_arrays(arrays_in(snapshot.state()), before)
    finally:
        snapshots.BLOCK_BYTES = before_size


def test_a_sparse_write_copies_only_its_blocks(small_blocks):
    specs = (VariableSpec("table", (64, 4), "float32"),)
    job = Job(1, rule=SGDRule(0.5), specs=specs).initialize()
    shard = job.shards[0]
    snapshot = shard.snapshot_begin(start=False)
    rows = np.array([3, 60], np.int64)
    part = Part("table", 0, "rows", np.ones((2, 4), np.float32), rows)
    push = Push(BatchId(0, 0, 0), 0, 0, 0, shard.incarnation, 0, [part], Scalars())
    shard.push(push)
    assert sum(state != 0 for state in snapshot._blocks["table", 0]) == 2


def test_a_background_thread_copies_while_updates_go_on():
    specs = (VariableSpec("w", (3000, 500), "float32"), VariableSpec("b", (500,), "float32"))
    job = Job(1, rule=SGDRule(1.0), specs=specs).initialize()
    shard = job.shards[0]
    ones = {s.key: np.ones(s.shape, np.float32) for s in specs}
    for round_ in range(5):
        before = arrays_of(shard)
        snapshot = shard.snapshot_begin()
        for index in range(4):
            job.push((0, round_, index), ones)
        assert_arrays(arrays_in(snapshot.state(deadline_s=30)), before)
    assert shard.counters()["applied"] == 20
    assert not [t for t in threading.enumerate() if t.name.startswith("snapshot")]


def test_a_writer_waits_for_one_block_only(monkeypatch):
    """The copying thread is in the middle of the first block; the writer copies its own."""
    specs = (VariableSpec("a", (4,), "float32"), VariableSpec("z", (4,), "float32"))
    job = Job(1, rule=SGDRule(1.0), specs=specs).initialize()
    shard = job.shards[0]
    inside, go_on = threading.Event(), threading.Event()

    class Slow(np.ndarray):
        def __setitem__(self, cut, value):
            inside.set()
            assert go_on.wait(30)
            super().__setitem__(cut, value)

    buffers = snapshots.Buffers(shard.parameters, shard.slots)
    buffers.parameters["a", 0] = buffers.parameters["a", 0].view(Slow)
    shard.spare_buffers = buffers
    before = arrays_of(shard)
    snapshot = shard.snapshot_begin()
    assert inside.wait(30)
    job.push((0, 0, 0), {"z": np.ones(4, np.float32)})  # goes on at once
    assert not snapshot.done
    pushing = threading.Thread(
        target=job.push, args=((0, 0, 1), {"a": np.ones(4, np.float32)}), daemon=True
    )
    pushing.start()
    pushing.join(0.1)
    assert pushing.is_alive()  # what it writes is being copied
    go_on.set()
    pushing.join(30)
    assert not pushing.is_alive()
    assert_arrays(arrays_in(snapshot.state()), before)
    assert shard.counters()["applied"] == 2


def test_buffers_serve_again(small_blocks):
    job = Job(1, rule=RULE).initialize()
    shard = job.shards[0]
    buffers = snapshots.Buffers(shard.parameters, shard.slots)
    for index in range(3):
        shard.spare_buffers = buffers
        before = arrays_of(shard)
        snapshot = shard.snapshot_begin(start=False)
        assert shard.spare_buffers is None
        job.push((0, 0, index), gradients(index))
        state = snapshot.state()
        assert_arrays(arrays_in(state), before)
        assert np.shares_memory(state.parameters["bias", 0], buffers.parameters["bias", 0])


def test_two_snapshots_at_once(small_blocks):
    job = Job(1, rule=RULE).initialize()
    shard = job.shards[0]
    first, first_arrays = shard.snapshot_begin(start=False), arrays_of(shard)
    job.push((0, 0, 0), {"bias": gradients(0)["bias"]})
    second, second_arrays = shard.snapshot_begin(start=False), arrays_of(shard)
    job.push((0, 0, 1), gradients(1))
    assert_arrays(arrays_in(first.state()), first_arrays)
    assert_arrays(arrays_in(second.state()), second_arrays)


def test_restoring_does_not_disturb_a_snapshot(small_blocks):
    job = Job(1, rule=RULE).initialize()
    shard = job.shards[0]
    (old,) = states_of(job)
    job.push((0, 0, 0), gradients(0))
    before, snapshot = arrays_of(shard), shard.snapshot_begin(start=False)
    shard.restore(old)
    assert_arrays(arrays_in(snapshot.state()), before)


def test_a_cancelled_snapshot_and_a_failed_one(monkeypatch):
    job = Job(1, rule=RULE).initialize()
    shard = job.shards[0]
    snapshot = shard.snapshot_begin(start=False)
    snapshot.cancel()
    with pytest.raises(CancelledError, match="entry 1 was cancelled"):
        snapshot.state()
    job.push((0, 0, 0), gradients(0))
    assert not any(sum(flags) for flags in snapshot._blocks.values())

    def fail(self, id, block, wait=False):
        raise MemoryError("no memory")

    monkeypatch.setattr(snapshots.Snapshot, "_copy", fail)
    snapshot = shard.snapshot_begin()
    with pytest.raises(InternalError, match="no memory"):
        snapshot.state(deadline_s=10)


def test_the_wait_for_a_snapshot_has_a_deadline(monkeypatch):
    monkeypatch.setattr(
        snapshots.Snapshot, "_copy", lambda self, id, block, wait=False: time.sleep(0.2)
    )
    snapshot = Job(1).initialize().shards[0].snapshot_begin()
    with pytest.raises(DeadlineExceededError, match="3 blocks are left"):
        snapshot.state(deadline_s=0.05)
    snapshot.cancel()


def test_a_state_goes_through_json_and_arrays():
    job = Job(2, rule=RULE).initialize()
    for index in (0, 1, 3):
        job.push((0, 0, index), gradients(index))
    job.shards[0].set_learning_rate(0.5)
    for state in states_of(job):
        header = json.loads(json.dumps(state.header()))
        again = ShardState.from_header(header, state.parameters, state.slots)
        assert again == state
    with pytest.raises(FailedPreconditionError, match="slots"):
        ShardState.from_header(header, state.parameters, {})
    with pytest.raises(FailedPreconditionError, match="not the header"):
        ShardState.from_header({**header, "lsn": None}, state.parameters, state.slots)


def test_training_goes_on_from_a_restored_state_with_the_same_bits():
    straight_job, other = Job(2, rule=RULE).initialize(), Job(2, rule=RULE).initialize()
    for index in range(3):
        straight_job.push((0, 0, index), gradients(index))
        other.push((0, 0, index), gradients(index))
    other.push((0, 0, 7), {"bias": gradients(7)["bias"]}, commit=False)  # is not in the state
    states = states_of(other)
    restored = Job(2, rule=RULE)
    for shard, state in zip(restored.shards, states):
        shard.restore(state)
        assert shard.counters()["staged"] == 0
    for index in range(5):  # the first three are known
        results = restored.push((0, 0, index), gradients(index))
        assert {r.status for r in results} == {"duplicate" if index < 3 else "applied"}
        straight_job.push((0, 0, index), gradients(index))
    assert_values(restored.values(), straight_job.values())
    assert restored.shards[0].counters()["step"] == 5


def test_restore_refuses_what_does_not_fit():
    job = Job(2, rule=RULE).initialize()
    states = states_of(job)
    before = job.shards[0].digest()
    with pytest.raises(InvalidArgumentError, match="reshard it first"):
        job.shards[0].restore(states[1])
    with pytest.raises(InvalidArgumentError, match="reshard it first"):
        Job(1, rule=RULE).shards[0].restore(states[0])
    sgd = Job(2, rule=SGDRule(0.1)).initialize()
    with pytest.raises(InvalidArgumentError, match="slot 'momentum'.*Adam.*has the slots none"):
        job.shards[0].restore(states_of(sgd)[0])
    del states[0].parameters["kernel", 0]
    with pytest.raises(InvalidArgumentError, match="lacks part 0 of variable 'kernel'"):
        job.shards[0].restore(states[0])
    assert job.shards[0].digest() == before


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_another_number_of_shards_has_equal_arrays(old, new, data):
    job = Job(old, rule=RULE).initialize()
    for index in range(data.draw(st.integers(0, 3))):
        job.push((0, 0, index), gradients(index))
    partitioner = data.draw(st.sampled_from(["auto", "straight"]))
    placement = straight(SPECS, new) if partitioner == "straight" else place(SPECS, new)
    states = reshard(data.draw(st.permutations(states_of(job))), placement)
    assert [state.index for state in states] == list(range(new))
    other = Job(rule=RULE, placement=placement)
    for shard, state in zip(other.shards, states):
        shard.restore(state)
        assert shard.counters()["ledger_groups"] == 1
    assert_values(other.values(), job.values())
    for one in (job, other):  # slots and counts came along
        one.push((0, 0, 9), gradients(9))
    assert_values(other.values(), job.values())
    back = reshard(reshard(states_of(other), job.placement), placement)
    for a, b in zip(states_of(other), back):
        assert_arrays(arrays_in(a), arrays_in(b))
        assert a.groups == b.groups
        own = sorted((r.key, r.start, r.stop) for r in placement.of_shard(a.index))
        assert sorted(cut for g in a.groups for cut in g.segments) == joined(own)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_an_async_cut_is_made_whole_by_the_ledgers(data):
    """Shards cut at different log positions: each row takes the batches it lacks, and only those.

    Reference: gradients that are powers of two, so that sums do not depend on their order.
    """
    old, new = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    count = 5
    specs = (VariableSpec("w", (9, 2), "float32"), VariableSpec("s", (), "float32"))
    grads = [{s.key: np.full(s.shape, 2.0**i, np.float32) for s in specs} for i in range(count)]
    job = Job(old, rule=SGDRule(1.0), specs=specs).initialize()
    start = job.values()
    for i in range(old):
        for index in data.draw(st.lists(st.integers(0, count - 1), unique=True)):
            job.push((0, 0, index), grads[index], shards=[i])
    placement = straight(specs, new)
    other = Job(rule=SGDRule(1.0), specs=specs, placement=placement)
    for shard, state in zip(other.shards, reshard(states_of(job), placement)):
        shard.restore(state)
    lacking = sorted({b for s in other.shards for b in s.missing({(0, 0): count})})
    assert lacking == sorted({b for s in job.shards for b in s.missing({(0, 0): count})})
    for batch in data.draw(st.permutations(lacking)):
        grad = grads[batch.index]
        if data.draw(st.booleans()):
            other.push(batch, grad)
            continue
        for shard in other.shards:  # the same as rows
            parts = [
                Part("w", r.part, "rows", np.full((r.rows, 2), 2.0**batch.index, np.float32),
                     np.arange(r.rows))
                if r.key == "w" else Part("s", 0, "dense", grad["s"])
                for r in shard.ranges.values()
            ]  # fmt: skip
            shard.push(Push(batch, 0, 0, 0, shard.incarnation, 0, parts, Scalars()))
    for key, value in other.values().items():
        np.testing.assert_array_equal(value, start[key] - (2.0**count - 1))
    for shard in other.shards:
        assert shard.missing({(0, 0): count}) == []
        assert shard.counters()["applied"] == count
        shard.close_epoch(0)
        assert shard.counters()["ledger_groups"] == 1


def test_steps_move_with_their_rows():
    """Adam's t of a row is the number of updates that the row has had."""
    specs = (VariableSpec("w", (4, 2), "float32"),)
    job = Job(2, rule=RULE, specs=specs).initialize()
    for index in range(3):
        job.push((0, 0, index), gradients(index, specs), shards=[0])
    placement = straight(specs, 1)
    other = Job(rule=RULE, specs=specs, placement=placement)
    other.shards[0].restore(reshard_one(states_of(job), placement, 0))
    assert other.shards[0].counters()["ledger_groups"] == 2
    other.push((0, 0, 9), gradients(9, specs))
    job.push((0, 0, 9), gradients(9, specs))
    assert_values(other.values(), job.values())


def test_reshard_refuses_what_is_not_one_cut():
    job = Job(2, rule=RULE).initialize()
    states = states_of(job)
    placement = straight(SPECS, 1)
    with pytest.raises(InvalidArgumentError, match="no shard state"):
        reshard([], placement)
    with pytest.raises(DataLossError, match=r"parameters of variable 'bias': row 3"):
        reshard(states[:1], placement)
    with pytest.raises(InvalidArgumentError, match="two states are of one shard"):
        reshard([states[0], states[0]], placement)
    with pytest.raises(InvalidArgumentError, match="placements differ"):
        reshard([states[0], *states_of(Job(3, rule=RULE).initialize())], placement)
    sync = Job(2, "sync").initialize()
    sync.push((0, 0, 0), gradients(0))
    sync.decide(0, [((0, 0, 0), 0)], [0])
    with pytest.raises(InvalidArgumentError, match="rounds 1 and 0"):
        reshard(states_of(sync), placement)
    with pytest.raises(InvalidArgumentError, match="'other' without a spec"):
        reshard(states, place((*SPECS, VariableSpec("other", (2,), "float32")), 1))


def test_a_snapshot_in_sync_keeps_the_round():
    job = Job(1, "sync").initialize()
    job.push((0, 0, 0), gradients(0))
    job.decide(0, [((0, 0, 0), 0)])
    restored = Job(1, "sync")
    restored.shards[0].restore(states_of(job)[0])
    assert restored.shards[0].round == 1
    assert restored.push((0, 0, 1), gradients(1))[0].status == "staged"
    restored.decide(1, [((0, 0, 1), 0)])
