"""The log: a replica that applies the shipped entries is bit-identical."""

import contextlib
import copy
import random

import pytest
from unit.ps.shard_jobs import Job, gradients

from shardtape.errors import AbortedError, FailedPreconditionError
from shardtape.optimizers.adam import AdamRule
from shardtape.optimizers.schedules import CosineDecay
from shardtape.optimizers.sgd import SGDRule
from shardtape.ps.ids import BatchId
from shardtape.ps.messages import Scalars

RULE = AdamRule(CosineDecay(0.1, 50))


def shipped(job):
    """A replica of the job's only shard that gets a copy of every entry, and the entries."""
    replica = Job(1, job.consistency.mode, rule=job.rule).shards[0]
    entries = []

    def ship(entry):
        entries.append(copy.deepcopy(entry))

    job.shards[0].on_entry = ship
    return replica, entries


@contextlib.contextmanager
def abandoned_only(shard, batch, attempt):
    """A push may be refused only if its beginning was dropped with a dead worker."""
    try:
        yield
    except AbortedError:
        assert (BatchId(*batch), attempt) in shard._abandoned


@pytest.mark.parametrize("mode", ["async", "ssp", "sync"])
@pytest.mark.parametrize("seed", range(3))
def test_replicas_are_bit_identical(mode, seed):
    rng = random.Random(seed)
    job = Job(1, mode, rule=RULE)
    shard = job.shards[0]
    replica, entries = shipped(job)
    job.initialize()
    for _ in range(80):
        what = rng.randrange(10)
        batch, attempt = (0, rng.randrange(2), rng.randrange(8)), rng.randrange(2)
        if what < 5:
            scalars = Scalars(rng.choice([1.0, 0.5]), rng.random() < 0.1)
            with abandoned_only(shard, batch, attempt):
                job.push(batch, gradients(rng.randrange(99)), attempt, rng.randrange(3), scalars)
        elif what < 7:
            part = {"bias": gradients(1)["bias"]}
            with abandoned_only(shard, batch, attempt):
                job.push(batch, part, attempt, rng.randrange(3), commit=False)
        elif what == 7:
            shard.members({w for w in range(3) if rng.random() < 0.7}, ())
        elif what == 8:
            shard.set_learning_rate(rng.choice([None, 0.01]))
        elif mode == "sync" and (names := shard.staged()):
            one_each = list({batch: (batch, a) for batch, a in names}.values())
            job.decide(shard.round, one_each)
    shard.close_epoch(0)
    for entry in entries:
        replica.apply(entry)
    assert replica.digest() == shard.digest()
    assert replica.counters() == shard.counters()
    assert [e.lsn for e in entries] == list(range(1, shard.lsn + 1))


def test_the_learning_rate_is_in_the_entry():
    """A schedule's value is decided once: another processor's cosine may differ."""
    job = Job(1, rule=RULE)
    _, entries = shipped(job)
    job.initialize()
    for index in range(2):
        job.push((0, 0, index), gradients(index))
    assert [e.learning_rates for e in entries[1:]] == [
        (RULE.learning_rate_at(0),), (RULE.learning_rate_at(1),),
    ]  # fmt: skip


def test_entries_are_applied_in_order_only():
    job = Job(1)
    replica, entries = shipped(job)
    job.initialize()
    job.push((0, 0, 0), gradients(0))
    with pytest.raises(FailedPreconditionError, match="at entry 0 and cannot apply entry 2"):
        replica.apply(entries[1])
    replica.apply(entries[0])
    with pytest.raises(FailedPreconditionError, match="at entry 1 and cannot apply entry 1"):
        replica.apply(entries[0])


def test_reads_change_no_state():
    job = Job(1, "ssp", staleness=1, rule=SGDRule(0.1)).initialize()
    shard = job.shards[0]
    job.push((0, 0, 0), gradients(0))
    digest, lsn = shard.digest(), shard.lsn
    job.values()
    shard.counters()
    shard.missing({(0, 0): 3})
    shard.ready_to_pull(0, 1)
    shard.snapshot_begin().state()
    assert (shard.digest(), shard.lsn) == (digest, lsn)


def test_digest_sees_every_kind_of_difference():
    def trained(**push):
        job = Job(1, rule=AdamRule(0.1)).initialize()
        job.push((0, 0, 0), gradients(0), **push)
        return job.shards[0]

    same = trained().digest()
    assert trained(attempt=3, worker=2).digest() == same  # who did it does not matter
    assert trained(commit=Scalars(0.5)).digest() != same
    changed = trained()
    changed.slots["velocity"]["bias", 0][2] += 1e-7
    assert changed.digest() != same
    closed = trained()
    closed.close_epoch(0)
    assert closed.digest() != same
