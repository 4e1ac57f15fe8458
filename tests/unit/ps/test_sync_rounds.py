"""Sync rounds: bit-identical results, decisions that are refused whole, backup workers."""

import itertools
import random

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ps.shard_jobs import SPECS, Job, assert_values, gradients

from shardtape.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.sgd import SGDRule
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.messages import Part, Push, Scalars

ROUND = [(0, 0, i) for i in range(4)]


def run_rounds(shards, workers, seed, rounds=3, rule=None):
    """`workers` processes compute rounds of four batches; what arrives when is shuffled."""
    rng = random.Random(seed)
    job = Job(shards, "sync", rule=rule or SGDRule(0.1, momentum=0.9)).initialize()
    for number in range(rounds):
        batches = [(0, number, i) for i in range(4)]
        # each worker sends its own batches in order, but to each shard at its own pace
        queues = [
            [(w, b, i) for b in batches[w::workers]]
            for w in range(workers)
            for i in range(len(job.shards))
        ]
        while any(queues):
            queue = rng.choice([q for q in queues if q])
            worker, batch, shard = queue.pop(0)
            scalars = Scalars(scale=1.0 + batch[2] / 8)
            grads = gradients(100 * number + batch[2])
            (result,) = job.push(batch, grads, 0, worker, scalars, [shard], based_on=number)
            assert result.status == "staged"
        for shard in rng.sample(range(len(job.shards)), len(job.shards)):
            (result,) = job.decide(number, [(b, 0) for b in batches], [shard])
            assert (result.status, result.version) == ("applied", number + 1)
    return job.values()


@pytest.mark.parametrize("rule", [SGDRule(0.1, momentum=0.9), AdamRule(0.1)], ids=["sgd", "adam"])
def test_bit_identical_for_any_workers_shards_and_arrival(rule):
    expected = run_rounds(1, 1, 0, rule=rule)
    for shards, workers, seed in itertools.product((1, 2, 3, 4), (1, 2, 4), (1, 2)):
        assert_values(run_rounds(shards, workers, seed, rule=rule), expected)


def test_the_average_is_the_mean_in_list_order():
    job = Job(1, "sync", rule=SGDRule(1.0)).initialize()
    start = job.values()
    scales = (1.0, 0.5, 3.0, 0.25)
    for batch, scale in zip(ROUND, scales):
        job.push(batch, gradients(batch[2]), commit=Scalars(scale=scale))
    job.decide(0, [(b, 0) for b in ROUND])
    for key, value in job.values().items():
        total = np.zeros_like(start[key])
        for batch, scale in zip(ROUND, scales):
            total = total + gradients(batch[2])[key] * np.float32(scale)
        np.testing.assert_array_equal(value, start[key] - total * np.float32(0.25))


def test_sum_by_option():
    values = []
    for aggregation, rate in (("mean", 1.0), ("sum", 0.25)):
        job = Job(1, "sync", rule=SGDRule(rate), aggregation=aggregation).initialize()
        for batch in ROUND:
            job.push(batch, gradients(batch[2]))
        job.decide(0, [(b, 0) for b in ROUND])
        values.append(job.values())
    assert_values(*values)


def test_a_lone_contribution_is_itself():
    job, other = Job(1, "sync").initialize(), Job(1, "async").initialize()
    job.push(ROUND[0], gradients(0), commit=Scalars(scale=0.3))
    job.decide(0, [(ROUND[0], 0)])
    other.push(ROUND[0], gradients(0), commit=Scalars(scale=0.3))
    assert_values(job.values(), other.values())


def test_nothing_is_applied_before_the_decision():
    job = Job(2, "sync").initialize()
    before = job.values()
    for batch in ROUND:
        job.push(batch, gradients(batch[2]))
    assert_values(job.values(), before)
    shard = job.shards[0]
    assert shard.missing({(0, 0): 4}) == [BatchId(*b) for b in ROUND]
    assert shard.staged() == [(BatchId(*b), 0) for b in ROUND]
    assert shard.ready_to_pull(0, 0) and not shard.ready_to_pull(0, 1)
    job.decide(0, [(b, 0) for b in ROUND])
    assert shard.missing({(0, 0): 4}) == [] and shard.staged() == []
    assert shard.ready_to_pull(0, 1) and not shard.ready_to_pull(0, 2)
    counters = shard.counters()
    assert (counters["applied"], counters["step"], counters["round"]) == (4, 1, 1)
    assert counters["staged_bytes"] == 0


def test_a_decision_that_names_what_is_not_staged_changes_nothing():
    job = Job(1, "sync").initialize()
    shard = job.shards[0]
    job.push(ROUND[0], gradients(0))
    job.push(ROUND[1], gradients(1), commit=False)
    job.push(ROUND[2], gradients(2), attempt=1)
    before, digest = job.values(), shard.digest()
    cases = [
        ([(ROUND[0], 0), (ROUND[3], 0)], FailedPreconditionError, "batch 0/0/3.*not staged"),
        ([(ROUND[0], 0), (ROUND[1], 0)], FailedPreconditionError, "0/0/1.*staged only in part"),
        ([(ROUND[0], 0), (ROUND[2], 0)], FailedPreconditionError, "0/0/2, attempt 0.*not staged"),
        ([(ROUND[0], 0), (ROUND[0], 0)], InvalidArgumentError, "names a batch twice"),
        ([], InvalidArgumentError, "names no contribution"),
    ]
    for names, error, text in cases:
        with pytest.raises(error, match=text):
            job.decide(0, names)
        assert shard.digest() == digest and len(shard.staged()) == 2
    assert_values(job.values(), before)
    with pytest.raises(FailedPreconditionError, match="round 1 before round 0"):
        job.decide(1, [(ROUND[0], 0)])
    job.decide(0, [(ROUND[0], 0), (ROUND[2], 1)])
    assert shard.missing({(0, 0): 3}) == [BatchId(0, 0, 1)]


def test_a_decision_told_twice_is_a_duplicate():
    job = Job(2, "sync").initialize()
    for batch in ROUND:
        job.push(batch, gradients(batch[2]))
    names = [(b, 0) for b in ROUND]
    job.decide(0, names, [0])  # the coordinator dies here
    last = job.shards[0].last_decision
    assert last.round == 0 and [tuple(b) for b, _ in last.contributions] == ROUND
    before = job.shards[0].digest()
    assert [r.status for r in job.decide(0, last.contributions)] == ["duplicate", "applied"]
    assert job.shards[0].digest() == before
    with pytest.raises(FailedPreconditionError, match="from another list"):
        job.decide(0, names[:2])


def test_decisions_belong_to_sync():
    job = Job(1, "async").initialize()
    with pytest.raises(FailedPreconditionError, match="only in mode sync"):
        job.decide(0, [(ROUND[0], 0)])


def test_a_repeated_push_stages_nothing_twice():
    job = Job(1, "sync", rule=SGDRule(1.0)).initialize()
    shard = job.shards[0]
    job.push(ROUND[0], gradients(0))
    lsn, staged = shard.lsn, shard.counters()["staged_bytes"]
    (result,) = job.push(ROUND[0], gradients(0))
    assert (result.status, result.lsn) == ("staged", lsn)
    assert shard.counters()["staged_bytes"] == staged
    job.decide(0, [(ROUND[0], 0)])
    (result,) = job.push(ROUND[0], gradients(0), based_on=0)
    assert result.status == "duplicate"


def test_a_dead_workers_batches_run_again_into_the_same_round():
    straight, other = Job(2, "sync").initialize(), Job(2, "sync").initialize()
    for batch in ROUND:
        straight.push(batch, gradients(batch[2]), worker=batch[2] % 2)
    straight.decide(0, [(b, 0) for b in ROUND])
    # worker 1 dies: one of its batches reached shard 0 only, the other stopped half-way
    for batch in (ROUND[0], ROUND[2]):
        other.push(batch, gradients(batch[2]), worker=0)
    other.push(ROUND[1], gradients(1), worker=1, shards=[0])
    other.push(ROUND[3], {"bias": gradients(3)["bias"]}, worker=1, commit=False)
    for shard in other.shards:
        shard.members([0], ())
    assert other.shards[0].staged() == [(BatchId(*b), 0) for b in (ROUND[0], ROUND[1], ROUND[2])]
    for batch in (ROUND[1], ROUND[3]):
        other.push(batch, gradients(batch[2]), attempt=1, worker=0)
    other.decide(0, [(b, b[2] % 2) for b in ROUND])
    assert_values(other.values(), straight.values())
    assert other.shards[0].counters()["staged"] == 0


def test_the_end_of_a_dropped_attempt_is_refused():
    """Its beginning is gone: half a gradient must not count as the whole."""
    from shardtape.errors import AbortedError

    for mode in ("async", "sync"):
        job = Job(1, mode).initialize()
        job.shards[0].members([0, 1], ())
        job.push(ROUND[0], {"bias": gradients(0)["bias"]}, worker=1, commit=False)
        job.shards[0].members([0], ())
        with pytest.raises(AbortedError, match="worker 1 was declared dead"):
            job.push(ROUND[0], {"kernel": gradients(0)["kernel"]}, worker=1)
        (result,) = job.push(ROUND[0], gradients(0), attempt=1, worker=0)
        assert result.status == ("applied" if mode == "async" else "staged")


def test_backup_workers_drop_what_the_decision_leaves_out():
    job = Job(2, "sync", rule=SGDRule(1.0), backup_workers=1).initialize()
    reference = Job(2, "sync", rule=SGDRule(1.0)).initialize()
    for batch in ROUND:
        job.push(batch, gradients(batch[2]))
    counted = [(b, 0) for b in ROUND[:3]]
    for result in job.decide(0, counted):
        assert result.dropped == ((BatchId(*ROUND[3]), 0),)
    for batch in ROUND[:3]:
        reference.push(batch, gradients(batch[2]))
    reference.decide(0, counted)
    assert_values(job.values(), reference.values())
    for shard in job.shards:
        assert shard.missing({(0, 0): 4}) == [BatchId(0, 0, 3)]  # to be dispatched again
        assert shard.counters()["dropped"] == 1
    # a straggler that comes after the round is told so, without a mark
    for result in job.push((0, 0, 4), gradients(4), based_on=0):
        assert (result.status, result.version) == ("dropped", 1)
    for result in job.push(ROUND[3], gradients(3)):
        assert result.status == "staged"
    job.decide(1, [(ROUND[3], 0)])
    assert job.shards[0].missing({(0, 0): 4}) == []
    with pytest.raises(FailedPreconditionError, match="based on round 9"):
        job.push((0, 0, 5), gradients(4), based_on=9)


def test_skipped_contributions_are_marked_and_not_averaged():
    job, reference = Job(1, "sync").initialize(), Job(1, "sync").initialize()
    for batch in ROUND:
        void = batch[2] == 1
        grads = gradients(batch[2])
        if void:
            grads = {k: np.full_like(g, np.nan) for k, g in grads.items()}
        job.push(batch, grads, commit=Scalars(skip=void))
        if not void:
            reference.push(batch, gradients(batch[2]))
    job.decide(0, [(b, 0) for b in ROUND])
    reference.decide(0, [(b, 0) for b in ROUND if b[2] != 1])
    assert_values(job.values(), reference.values())
    assert job.shards[0].missing({(0, 0): 4}) == []
    job.push((0, 0, 4), gradients(0), commit=Scalars(skip=True))
    before = job.values()
    job.decide(1, [((0, 0, 4), 0)])
    assert_values(job.values(), before)
    counters = job.shards[0].counters()
    assert (counters["round"], counters["step"], counters["skipped"]) == (2, 1, 2)


def test_the_rounds_learning_rate():
    job = Job(1, "sync", rule=SGDRule(1.0)).initialize()
    start, grads = job.values(), gradients(0)
    job.push(ROUND[0], grads)
    job.decide(0, [(ROUND[0], 0)], learning_rate=0.5)
    np.testing.assert_array_equal(job.values()["bias"], start["bias"] - grads["bias"] / 2)


AGGREGATED = (
    *SPECS,
    VariableSpec("mean", (5,), "float32", "aggregated"),
    VariableSpec("seen", (), "int64", "aggregated"),
)


def push_updates(job, batch, **updates):
    shard = job.shards[0]
    parts = [Part(key, 0, kind, np.asarray(v)) for key, (kind, v) in updates.items()]
    push = Push(BatchId(*batch), 0, 0, 0, shard.incarnation, shard.version, parts, Scalars(0.5))
    return shard.push(push)


def test_moving_values_are_averaged_per_round_and_never_scaled():
    job = Job(1, "sync", specs=AGGREGATED).initialize()
    start = job.values()
    f = np.float32
    push_updates(job, ROUND[0], mean=("assign", np.full(5, 1, f)), seen=("add", np.int64(32)))
    push_updates(job, ROUND[1], mean=("assign", np.full(5, 4, f)), seen=("add", np.int64(33)))
    push_updates(job, ROUND[2], seen=("add", np.int64(34)))
    job.decide(0, [(b, 0) for b in ROUND[:3]])
    np.testing.assert_array_equal(job.values()["mean"], np.full(5, 2.5))
    assert job.values()["seen"] == start["seen"] + 33
    push_updates(job, (0, 1, 0), mean=("add", np.full(5, 1, f)))
    push_updates(job, (0, 1, 1), mean=("add", np.full(5, 2, f)))
    job.decide(1, [((0, 1, i), 0) for i in range(2)])
    np.testing.assert_array_equal(job.values()["mean"], np.full(5, 4))


def test_moving_values_in_async():
    job = Job(1, "async", specs=AGGREGATED).initialize()
    f = np.float32
    push_updates(job, ROUND[0], mean=("assign", np.full(5, 1, f)), seen=("add", np.int64(2)))
    push_updates(job, ROUND[1], mean=("add", np.full(5, 2, f)), seen=("add", np.int64(3)))
    push_updates(job, ROUND[1], mean=("add", np.full(5, 2, f)), seen=("add", np.int64(3)))
    np.testing.assert_array_equal(job.values()["mean"], np.full(5, 3))
    assert job.values()["seen"] == 5
    assert "mean" not in {id[0] for arrays in job.shards[0].slots.values() for id in arrays}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_sparse_rounds_equal_dense_ones(data):
    """Rows of an embedding, mixed with dense gradients: the same bits as all dense."""
    specs = (VariableSpec("table", (11, 3), "float32"),)
    shards = data.draw(st.integers(1, 3))
    rule = data.draw(st.sampled_from([SGDRule(0.1), AdamRule(0.1), SGDRule(0.1, momentum=0.9)]))
    dense = Job(1, "sync", rule=rule, specs=specs).initialize()
    sparse = Job(shards, "sync", rule=rule, specs=specs).initialize()
    for number in range(2):
        batches = [(0, number, i) for i in range(3)]
        for batch in batches:
            rows = np.array(data.draw(st.lists(st.integers(0, 10), unique=True)), np.int64)
            grad = np.zeros((11, 3), np.float32)
            grad[rows] = gradients(batch[2], specs)["table"][rows]
            scale = data.draw(st.sampled_from([1.0, 0.3]))
            dense.push(batch, {"table": grad}, commit=Scalars(scale))
            if data.draw(st.booleans()):
                sparse.push(batch, {"table": grad}, commit=Scalars(scale))
                continue
            for shard in sparse.shards:
                parts = []
                for r in shard.ranges.values():
                    own = rows[(rows >= r.start) & (rows < r.stop)]
                    parts.append(Part("table", r.part, "rows", grad[own], own - r.start))
                push = Push(BatchId(*batch), 0, 0, 0, shard.incarnation, number, parts,
                            Scalars(scale))  # fmt: skip
                assert shard.push(push).status == "staged"
        for job in (dense, sparse):
            job.decide(number, [(b, 0) for b in batches])
    # a sum that starts from +0 instead of a gradient may turn -0 into +0, which is equal
    assert_values(dense.values(), sparse.values())


def test_half_precision_contributions_are_summed_in_float32():
    specs = (VariableSpec("w", (4,), "bfloat16"),)
    job = Job(1, "sync", rule=SGDRule(1.0), specs=specs)
    job.shards[0].initialize({("w", 0): np.zeros(4, ml_dtypes.bfloat16)})
    small = [1.0, 1 / 256, 1 / 256, 1 / 256]  # in bfloat16, 1 + 1/256 is 1
    for batch, value in zip(ROUND, small):
        job.push(batch, {"w": np.full(4, value, ml_dtypes.bfloat16)})
    job.decide(0, [(b, 0) for b in ROUND])
    expected = -np.float32(sum(small) / 4).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(job.values()["w"], np.full(4, expected))


def test_a_mark_rides_in_the_rounds_entry():
    job = Job(2, "sync").initialize()
    job.push(ROUND[0], gradients(0))
    job.push(ROUND[1], gradients(1))
    job.decide(0, [(ROUND[0], 0)], mark="ckpt-1")
    cut = job.values()
    job.push(ROUND[1], gradients(1))
    job.decide(1, [(ROUND[1], 0)])
    for shard in job.shards:
        state = shard.take_marked("ckpt-1").state()
        assert state.round == 1
        for id, array in state.parameters.items():
            np.testing.assert_array_equal(array, job.cut(cut[id[0]], shard.ranges[id]))
        with pytest.raises(NotFoundError, match="'ckpt-1'"):
            shard.take_marked("ckpt-1")
