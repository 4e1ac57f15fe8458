"""What a shard refuses, before anything is touched, in words that name the culprit."""

import numpy as np
import pytest
from unit.ps.shard_jobs import SPECS, Job, assert_values, first_value, gradients

from shardtape.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from shardtape.optimizers.sgd import SGDRule
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.messages import Part, Pull, Push, Scalars
from shardtape.ps.partition import place
from shardtape.ps.shard import Shard


@pytest.fixture
def job():
    specs = (*SPECS, VariableSpec("mean", (4,), "float32", "aggregated"))
    return Job(2, specs=specs).initialize()


def send(job, *parts, shard=0, batch=(0, 0, 0), commit=True, **fields):
    given = {
        "attempt": 0, "worker": 0, "generation": 0, "incarnation": Incarnation(0, 0), "based_on": 0,
        **fields,
    }  # fmt: skip
    return job.shards[shard].push(
        Push(BatchId(*batch), parts=list(parts), commit=Scalars() if commit else None, **given)
    )


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


BAD_PARTS = [
    (Part("kernal", 0, "dense", zeros(7, 3)), NotFoundError, r"'kernal'.*this job has kernel"),
    (Part("kernel", 1, "dense", zeros(6, 3)), NotFoundError, r"part 1.*on shard 1, not on shard 0"),
    (Part("kernel", 2, "dense", zeros(6, 3)), NotFoundError, r"has 2 parts.*no part 2"),
    (
        Part("kernel", 0, "dense", zeros(6, 3)),
        InvalidArgumentError,
        r"'kernel'.*\(7, 3\).*\(6, 3\)",
    ),
    (
        Part("kernel", 0, "dense", zeros(7, 3, dtype=np.float64)),
        InvalidArgumentError,
        "'kernel' is float32.*float64",
    ),
    (Part("kernel", 0, "sparse", zeros(7, 3)), InvalidArgumentError, "unknown kind 'sparse'"),
    (
        Part("kernel", 0, "dense", zeros(7, 3), np.zeros(7, np.int64)),
        InvalidArgumentError,
        "has row ids",
    ),
    (Part("mean", 0, "dense", zeros(2)), InvalidArgumentError, "'mean' is aggregated"),
    (Part("kernel", 0, "rows", zeros(2, 3)), InvalidArgumentError, "int64 of rank 1, got none"),
    (
        Part("kernel", 0, "rows", zeros(2, 3), np.zeros(2, np.int32)),
        InvalidArgumentError,
        "int64 of rank 1, got int32",
    ),
    (
        Part("kernel", 0, "rows", zeros(2, 4), np.arange(2)),
        InvalidArgumentError,
        r"shape \(2, 4\), expected \(2, 3\)",
    ),
    (
        Part("kernel", 0, "rows", zeros(2, 3), np.array([0, 7])),
        InvalidArgumentError,
        "row 7 is not",
    ),
    (Part("kernel", 0, "rows", zeros(2, 3), np.array([5, -1])), InvalidArgumentError, "row -1"),
    (Part("kernel", 0, "rows", zeros(2, 3), np.array([4, 4])), InvalidArgumentError, "repeat"),
    (Part("kernel", 0, "rows", zeros(3, 3), np.array([4, 2, 4])), InvalidArgumentError, "repeat"),
]


@pytest.mark.parametrize(("part", "error", "text"), BAD_PARTS)
@pytest.mark.parametrize("commit", [True, False])
def test_a_part_that_does_not_fit(job, part, error, text, commit):
    before, digest = job.values(), job.shards[0].digest()
    good = Part("bias", 0, "dense", np.ones(3, np.float32))
    with pytest.raises(error, match=text):
        send(job, good, part, commit=commit)
    assert job.shards[0].digest() == digest and job.shards[0].counters()["staged"] == 0
    assert_values(job.values(), before)
    assert send(job, good).status == "applied"


def test_two_parts_of_one_sort(job):
    bias = Part("bias", 0, "dense", zeros(3))
    with pytest.raises(InvalidArgumentError, match=r"two parts.*'bias'"):
        send(job, bias, bias)
    rows = Part("bias", 0, "rows", zeros(1), np.array([0]))
    with pytest.raises(InvalidArgumentError, match=r"two parts.*'bias'"):
        send(job, bias, rows)
    send(job, bias, commit=False)
    with pytest.raises(InvalidArgumentError, match="has staged a dense part"):
        send(job, rows)


def test_negative_numbers(job):
    for batch in ((-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(InvalidArgumentError, match="negative"):
            send(job, batch=batch)
    with pytest.raises(InvalidArgumentError, match="negative"):
        send(job, attempt=-1)
    with pytest.raises(InvalidArgumentError, match="learning rate"):
        job.push((0, 0, 0), commit=Scalars(learning_rate=float("nan")))
    with pytest.raises(InvalidArgumentError, match="learning rate"):
        job.shards[0].set_learning_rate(-1.0)


def test_another_generation_or_incarnation_is_refused(job):
    shard = job.shards[0]
    shard.set_role(3, Incarnation(2, 5))
    stale = [(2, Incarnation(2, 5)), (2, Incarnation(9, 9)), (3, Incarnation(2, 4)),
             (3, Incarnation(1, 9))]  # fmt: skip
    ahead = [(4, Incarnation(2, 5)), (4, Incarnation(0, 0)), (3, Incarnation(2, 6)),
             (3, Incarnation(3, 0))]  # fmt: skip
    for error, names in ((AbortedError, stale), (FailedPreconditionError, ahead)):
        for generation, incarnation in names:
            fields = {"generation": generation, "incarnation": incarnation}
            with pytest.raises(error, match=f"generation {generation}.*{incarnation}"):
                send(job, **fields)
            with pytest.raises(error, match="a pull of worker 7"):
                shard.pull(Pull(7, 0, generation, incarnation))
    assert send(job, generation=3, incarnation=Incarnation(2, 5)).status == "applied"
    for generation, incarnation in ((2, Incarnation(9, 9)), (3, Incarnation(2, 4))):
        with pytest.raises(FailedPreconditionError, match="cannot go back"):
            shard.set_role(generation, incarnation)


def test_nothing_works_before_there_are_values():
    job = Job(1)
    shard = job.shards[0]
    for call in (
        lambda: job.push((0, 0, 0)),
        job.values,
        lambda: job.decide(0, [((0, 0, 0), 0)]),
        shard.snapshot_begin,
    ):
        with pytest.raises(FailedPreconditionError, match="no values yet"):
            call()
    assert not shard.ready_to_pull(0, 0)


def test_first_values_are_set_once():
    job = Job(1)
    shard = job.shards[0]
    values = {(s.key, 0): first_value(s) for s in SPECS}
    digest = shard.initialize(values)
    lsn = shard.lsn
    job.push((0, 0, 0), gradients(0))
    assert shard.initialize({k: v.copy() for k, v in values.items()}) == digest
    assert shard.lsn == lsn + 1  # the push only
    with pytest.raises(AlreadyExistsError, match="same seed"):
        shard.initialize({**values, ("scale", 0): np.float32(9)})
    shard.restore(shard.snapshot_begin().state())
    with pytest.raises(AlreadyExistsError, match="restored values"):
        shard.initialize(values)


def test_first_values_must_fit():
    shard = Job(1).shards[0]
    values = {(s.key, 0): first_value(s) for s in SPECS}
    with pytest.raises(InvalidArgumentError, match=r"lack kernel\[0\]"):
        shard.initialize({k: v for k, v in values.items() if k[0] != "kernel"})
    with pytest.raises(InvalidArgumentError, match=r"'bias'.*\(5,\)"):
        shard.initialize({**values, ("bias", 0): zeros(5)})
    with pytest.raises(NotFoundError, match="'other'"):
        shard.initialize({**values, ("other", 0): zeros(5)})
    assert not shard.ready


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_policy(bad):
    grads = gradients(0)
    grads["kernel"][7, 1] = bad
    strict = Job(1, nan="refuse").initialize()
    before = strict.values()
    with pytest.raises(InvalidArgumentError, match=r"batch 0/0/3.*'kernel'.*NaN or an infinity"):
        strict.push((0, 0, 3), grads)
    with pytest.raises(InvalidArgumentError, match="scale is nan"):
        strict.push((0, 0, 3), gradients(0), commit=Scalars(scale=float("nan")))
    assert_values(strict.values(), before)
    assert strict.push((0, 0, 3), commit=Scalars(scale=float("nan"), skip=True))[0].status
    (result,) = Job(1).initialize().push((0, 0, 3), grads)
    assert result.status == "applied"
    with pytest.raises(InvalidArgumentError, match="'ignore'"):
        Job(1, nan="ignore")


def test_large_finite_values_are_no_infinities():
    grads = {k: np.full_like(g, 3e38) for k, g in gradients(0).items()}
    assert Job(1, nan="refuse").initialize().push((0, 0, 0), grads)[0].status == "applied"


def test_staging_is_bounded():
    job = Job(1, staging_limit_bytes=400).initialize()
    job.push((0, 0, 0), gradients(0), commit=False)  # 46 floats
    job.push((0, 0, 1), gradients(1), commit=False)
    with pytest.raises(ResourceExhaustedError, match=r"holds 368 staged bytes of at most 400"):
        job.push((0, 0, 2), gradients(2), commit=False)
    assert job.push((0, 0, 2), gradients(2))[0].status == "applied"  # needs no staging
    job.push((0, 0, 0))
    job.push((0, 0, 3), gradients(3), commit=False)


def test_pulls_are_views_that_cannot_be_written(job):
    shard = job.shards[0]
    pulled = shard.pull(Pull(0, 0, 0, Incarnation(0, 0), keys=(("bias", 0),)))
    assert list(pulled.arrays) == [("bias", 0)]
    view = pulled.arrays["bias", 0]
    assert np.shares_memory(view, shard.parameters["bias", 0])
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    for keys, text in (((("bias", 1),), "on shard 1"), ((("bios", 0),), "'bios'")):
        with pytest.raises(NotFoundError, match=text):
            shard.pull(Pull(0, 0, 0, Incarnation(0, 0), keys=keys))


def test_a_failure_after_the_number_breaks_the_shard(job, monkeypatch):
    """No half-applied entry is ever retried: the process must end."""
    shard = job.shards[0]

    def fail(*args, **kwargs):
        raise MemoryError("no memory")

    monkeypatch.setattr(shard._updater, "push", fail)
    with pytest.raises(InternalError, match=r"must be replaced.*no memory"):
        job.push((0, 0, 0), gradients(0), shards=[0])
    monkeypatch.undo()
    for call in (
        lambda: job.push((0, 0, 1), shards=[0]),
        lambda: shard.pull(Pull(0, 0, 0, Incarnation(0, 0))),
        lambda: shard.members({0}, ()),
        shard.snapshot_begin,
    ):
        with pytest.raises(InternalError, match="failed before"):
            call()


def test_construction():
    specs = (VariableSpec("count", (3,), "int64"),)
    with pytest.raises(InvalidArgumentError, match="int64"):
        Job(1, specs=specs)
    with pytest.raises(InvalidArgumentError, match="'w' without a spec"):
        Job(1, placement=place((VariableSpec("w", (3,), "float32"),), 1))
    placement = place(SPECS, 1)
    for allocate in (
        lambda shape, dtype, key, part: np.zeros(shape, np.float64),
        lambda shape, dtype, key, part: np.zeros((*shape, 1), dtype),
        lambda shape, dtype, key, part: np.zeros(shape[::-1], dtype).T,
    ):
        with pytest.raises(InvalidArgumentError, match="allocate gave"):
            Shard(
                0, placement, SPECS, SGDRule(0.1).config(), Consistency(), allocate=allocate
            )  # fmt: skip
    with pytest.raises(NotFoundError, match="no shard 1"):
        Shard(1, placement, SPECS, SGDRule(0.1).config(), Consistency())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"mode": "bsp"}, "'bsp'.*async, ssp, sync"),
        ({"mode": "ssp", "staleness": -1}, "staleness"),
        ({"mode": "async", "staleness": 2}, "mode ssp"),
        ({"mode": "ssp", "backup_workers": 1}, "mode sync"),
        ({"mode": "sync", "backup_workers": -1}, "backup_workers"),
        ({"mode": "sync", "aggregation": "median"}, "'median'"),
    ],
)
def test_consistency_settings(fields, text):
    with pytest.raises(InvalidArgumentError, match=text):
        Consistency(**fields)


def test_storage_and_write_hook():
    """The service bumps a sequence number around each write of parameters, and only then."""
    homes = {}

    def allocate(shape, dtype, key, part):
        homes[key, part] = np.full(shape, 7, dtype)
        return homes[key, part]

    shard = Shard(
        0, place(SPECS, 1), SPECS, SGDRule(1.0).config(), Consistency(), allocate=allocate
    )
    calls = []
    shard.on_write = calls.append
    shard.initialize({(s.key, 0): first_value(s) for s in SPECS})
    assert calls == [True, False]
    inside = []
    shard.on_write = lambda begin: inside.append((begin, float(homes["scale", 0])))
    before = float(homes["scale", 0])
    push = Push(BatchId(0, 0, 0), 0, 0, 0, Incarnation(0, 0), 0,
                [Part("scale", 0, "dense", np.array(1, np.float32))])  # fmt: skip
    shard.push(push)
    assert inside == []  # staged
    push.commit = Scalars()
    shard.push(push)
    shard.push(push)  # duplicate
    assert inside == [(True, before), (False, before - 1)]
    assert all(np.shares_memory(shard.parameters[id], homes[id]) for id in homes)
