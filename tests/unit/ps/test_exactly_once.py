"""Async pushes: each batch counts once on every shard, whatever is repeated, lost or re-ordered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ps.shard_jobs import SPECS, Job, assert_values, first_value, gradients

from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.sgd import SGDRule
from shardtape.ps.ids import BatchId
from shardtape.ps.messages import Scalars

BATCHES = 6
steps = st.lists(
    st.tuples(
        st.integers(0, BATCHES - 1),  # batch
        st.integers(0, 2),  # attempt
        st.integers(0, 1),  # shard
        st.sampled_from(["whole", "stage kernel", "stage bias", "commit", "close epoch"]),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(steps)
def test_random_interleavings(steps):
    """Against a model that is a set per shard and a plain subtraction.

    Attempt a of batch b has its own gradient, so that mixed attempts would show in the values.
    """
    job = Job(2, rule=SGDRule(1.0)).initialize()
    taken = [set(), set()]
    staged = [{}, {}]
    expected = {s.key: [first_value(s), first_value(s)] for s in SPECS}
    closed = False
    for index, attempt, i, what in steps:
        shard, name = job.shards[i], (BatchId(0, 0, index), attempt)
        grads = gradients(10 * index + attempt)
        if what == "close epoch":
            if index == attempt == 0 and not closed:  # seldom: the rest would only be duplicates
                closed = True
                for s in job.shards:
                    s.close_epoch(0)
                staged = [{}, {}]
            continue
        send = {
            "whole": grads, "stage kernel": {"kernel": grads["kernel"]},
            "stage bias": {"bias": grads["bias"]}, "commit": {},
        }[what]  # fmt: skip
        commit = not what.startswith("stage")
        (result,) = job.push((0, 0, index), send, attempt, commit=commit, shards=[i])
        if closed or index in taken[i]:
            assert result.status == "duplicate"
            continue
        assert result.status == ("applied" if commit else "staged")
        staged[i].setdefault(name, {}).update(send)
        if commit:
            taken[i].add(index)
            for key, grad in staged[i].pop(name).items():
                expected[key][i] = expected[key][i] - grad
            for other in [n for n in staged[i] if n[0] == name[0]]:
                del staged[i][other]
        assert shard.counters()["staged"] == len(staged[i])
    for i, shard in enumerate(job.shards):
        assert shard.counters()["applied"] == len(taken[i])
        lacking = [] if closed else [BatchId(0, 0, b) for b in range(BATCHES) if b not in taken[i]]
        assert shard.missing({(0, 0): BATCHES}) == lacking
        for id, array in shard.parameters.items():
            r = shard.ranges[id]
            np.testing.assert_array_equal(array, Job.cut(expected[id[0]][i], r))


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_a_shard_count_changes_no_bit(shards):
    one, many = Job(1, rule=AdamRule(0.1)).initialize(), Job(shards, rule=AdamRule(0.1))
    many.initialize()
    for index in range(5):
        for job in (one, many):
            for result in job.push((0, 0, index), gradients(index)):
                assert (result.status, result.version) == ("applied", index + 1)
    assert_values(one.values(), many.values())


def test_duplicates_change_nothing_but_the_log():
    job = Job(2).initialize()
    job.push((0, 0, 0), gradients(0))
    values, digest = job.values(), [s.digest() for s in job.shards]
    for attempt in (0, 0, 1):
        for result in job.push((0, 0, 0), gradients(7), attempt, worker=attempt):
            assert (result.status, result.version) == ("duplicate", 1)
        assert_values(job.values(), values)
    counters = job.shards[0].counters()
    assert (counters["applied"], counters["duplicates"], counters["updates"]) == (1, 3, 1)
    assert counters["step"] == 1
    assert digest != [s.digest() for s in job.shards]  # a duplicate is an entry, with a number


def test_staging_late_parts_of_a_known_batch_makes_no_entry():
    job = Job().initialize()
    job.push((0, 0, 0), gradients(0))
    before = job.shards[0].lsn
    (result,) = job.push((0, 0, 0), gradients(1), attempt=1, commit=False)
    assert (result.status, result.lsn) == ("duplicate", before)
    assert job.shards[0].counters()["staged"] == 0


def test_a_commit_without_parts_marks_and_counts_the_batch():
    job = Job(2, rule=SGDRule(1.0)).initialize()
    before = job.values()
    for result in job.push((0, 0, 0)):
        assert (result.status, result.version) == ("applied", 1)
    assert_values(job.values(), before)
    assert job.shards[0].missing({(0, 0): 1}) == []
    assert job.shards[1].counters()["step"] == 1


def test_a_shard_without_ranges_counts_too():
    job = Job(3, specs=SPECS[2:]).initialize()  # one scalar on three shards
    assert [len(s.ranges) for s in job.shards] == [1, 0, 0]
    results = job.push((0, 0, 0), gradients(0)) + job.push((0, 0, 0), gradients(0))
    assert [r.status for r in results] == ["applied"] * 3 + ["duplicate"] * 3
    assert [s.counters()["applied"] for s in job.shards] == [1, 1, 1]
    assert job.shards[2].missing({(0, 0): 2}) == [BatchId(0, 0, 1)]


def test_scale_skip_and_learning_rate():
    job = Job(rule=SGDRule(1.0)).initialize()
    start, grads = job.values(), gradients(0)
    job.push((0, 0, 0), grads, commit=Scalars(scale=0.5, learning_rate=0.25))
    for key, value in job.values().items():
        np.testing.assert_allclose(value, start[key] - 0.125 * grads[key], rtol=1e-6)
    after = job.values()
    (result,) = job.push((0, 0, 1), {k: g * np.nan for k, g in grads.items()},
                         commit=Scalars(skip=True))  # fmt: skip
    assert (result.status, result.version) == ("applied", 1)
    assert_values(job.values(), after)
    counters = job.shards[0].counters()
    assert (counters["applied"], counters["skipped"], counters["step"]) == (2, 1, 1)
    (result,) = job.push((0, 0, 1), grads)
    assert result.status == "duplicate"


def test_staleness_is_the_updates_between_pull_and_push():
    job = Job().initialize()
    for index in range(4):
        job.push((0, 0, index), gradients(index))
    (result,) = job.push((0, 1, 0), gradients(9), based_on=1)
    assert (result.staleness, result.version) == (3, 5)
    counters = job.shards[0].counters()
    assert (counters["staleness_max"], counters["staleness_sum"]) == (3, 3)


def test_staged_bytes_are_private():
    """A worker may overwrite its gradient slot as soon as a stage is acknowledged."""
    job = Job(rule=SGDRule(1.0)).initialize()
    start, grads = job.values(), gradients(0)
    kept = {k: g.copy() for k, g in grads.items()}
    job.push((0, 0, 0), grads, commit=False)
    for g in grads.values():
        g.fill(1e9)
    job.push((0, 0, 0))
    for key, value in job.values().items():
        np.testing.assert_array_equal(value, start[key] - kept[key])


def test_staging_buffers_are_used_again_but_never_shared():
    job = Job(rule=SGDRule(1.0)).initialize()
    start = job.values()
    for index in range(4):
        for attempt in range(2):
            job.push((0, 0, index), gradients(10 * index + attempt), attempt, commit=False)
    for index in range(4):
        job.push((0, 0, index), attempt=1)
    for key, value in job.values().items():
        expected = start[key]
        for index in range(4):
            expected = expected - gradients(10 * index + 1)[key]
        np.testing.assert_array_equal(value, expected)
    assert job.shards[0].counters()["staged_bytes"] == 0


def test_schedules_follow_the_ranges_own_count():
    from shardtape.optimizers.schedules import PiecewiseConstantDecay

    job = Job(rule=SGDRule(PiecewiseConstantDecay([1], [1.0, 0.5]))).initialize()
    ones = {s.key: np.ones(s.shape, s.dtype) for s in SPECS}
    seen = []
    for index in range(4):
        before = job.values()["scale"]
        job.push((0, 0, index), ones)
        job.push((0, 0, index), ones)  # a duplicate does not advance the schedule
        seen.append(float(before - job.values()["scale"]))
    assert seen == [1.0, 1.0, 0.5, 0.5]
    job.shards[0].set_learning_rate(0.125)
    before = job.values()["scale"]
    job.push((0, 1, 0), ones)
    assert float(before - job.values()["scale"]) == 0.125
    job.shards[0].set_learning_rate(None)
    assert job.shards[0].counters()["learning_rate"] == 0.5


def test_the_newest_parts_of_an_attempt_count_once():
    """A stage message that is sent again replaces the first and is not added to it."""
    job = Job(rule=SGDRule(1.0)).initialize()
    start, grads = job.values(), gradients(0)
    for _ in range(3):
        job.push((0, 0, 0), {"kernel": grads["kernel"]}, commit=False)
    job.push((0, 0, 0), {"bias": grads["bias"]})
    np.testing.assert_array_equal(job.values()["kernel"], start["kernel"] - grads["kernel"])
    np.testing.assert_array_equal(job.values()["bias"], start["bias"] - grads["bias"])
