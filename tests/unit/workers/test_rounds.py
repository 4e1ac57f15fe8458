"""Sync rounds are fixed by the data: deaths, late batches and readers change nothing of them."""

import random

import pytest

from shardtape.ps.ids import BatchId
from shardtape.workers.dispatcher import RETRY, SKIP, BadBatches
from shardtape.workers.rounds import RoundDispatcher


def run(lengths, workers, round_batches, *, seed=0, deaths=0.0, known=True, backup=0):
    """Runs one epoch with random workers; returns the rounds' lists of batches."""
    chooser = random.Random(seed)
    shown = lengths if known else [None] * len(lengths)
    dispatcher = RoundDispatcher(
        shown, 1, round_batches=round_batches, any_order=known, backup=backup
    )
    held = {w: [] for w in range(workers)}
    for worker in held:
        dispatcher.joined(worker)
    rounds = []
    for _ in range(10_000):
        if dispatcher.ready_to_verify:
            assert dispatcher.verified([]) and dispatcher.finished
            assert dispatcher.steps == sum(lengths)
            return rounds
        worker = chooser.randrange(workers)
        if chooser.random() < deaths:
            dispatcher.lost(worker)
            dispatcher.joined(worker)
            held[worker] = []
        if work := dispatcher.take(worker, 1):
            assert work.round == len(rounds)
            held[worker] += work.items
        if held[worker]:
            batch, attempt = held[worker].pop(0)
            if batch.index < lengths[batch.split]:
                dispatcher.staged(batch, attempt)
            else:
                dispatcher.ended(batch.split, lengths[batch.split])
        if decision := dispatcher.decide():
            assert dispatcher.decide() is None, "a decision is given once"
            rounds.append([batch for batch, _ in decision.contributions])
            dispatcher.decided(decision.round)
    raise AssertionError("the epoch does not end")


@pytest.mark.parametrize("lengths", [[7], [4, 4, 3], [1, 0, 5]])
def test_rounds_depend_neither_on_workers_nor_on_deaths_nor_on_known_lengths(lengths):
    expected = run(lengths, 1, 4)
    assert [len(r) for r in expected[:-1]] == [4] * (len(expected) - 1)
    assert sorted(b for r in expected for b in r) == [
        BatchId(0, s, i) for s, n in enumerate(lengths) for i in range(n)
    ]
    for seed in range(10):
        for workers in (1, 2, 3, 5):
            assert run(lengths, workers, 4, seed=seed, deaths=0.1) == expected
            assert run(lengths, workers, 4, seed=seed, deaths=0.1, known=False) == expected


def test_a_round_is_shared_out_evenly_and_waits_for_all():
    dispatcher = RoundDispatcher([8], 1, round_batches=4)
    for worker in range(3):
        dispatcher.joined(worker)
    works = [dispatcher.take(worker, 1) for worker in range(3)]
    assert [len(w.items) for w in works] == [2, 1, 1]
    assert dispatcher.take(0, 1) is None
    items = [item for work in works for item in work.items]
    for item in reversed(items[1:]):
        dispatcher.staged(*item)
    assert dispatcher.decide() is None
    dispatcher.staged(*items[0])
    assert dispatcher.decide().contributions == tuple(items)


def test_a_dead_workers_batch_is_run_again_into_the_same_round():
    dispatcher = RoundDispatcher([4], 1, round_batches=2)
    dispatcher.joined(0), dispatcher.joined(1)
    (kept,), (lost,) = dispatcher.take(0, 1).items, dispatcher.take(1, 1).items
    dispatcher.staged(*kept)
    dispatcher.lost(1)
    (again,) = dispatcher.take(0, 1).items
    assert again == (lost.batch, 1)
    dispatcher.staged(*lost)  # a message that comes late from the dead
    assert dispatcher.decide() is None
    dispatcher.staged(*again)
    assert dispatcher.decide().contributions == (kept, again)


def test_backups_are_not_waited_for_and_come_first_in_the_next_round():
    dispatcher = RoundDispatcher([6], 1, round_batches=2, backup=1)
    for worker in range(3):
        dispatcher.joined(worker)
    a, b, c = (dispatcher.take(worker, 1).items[0] for worker in range(3))
    dispatcher.staged(*a), dispatcher.staged(*c)
    decision = dispatcher.decide()
    assert decision.contributions == (a, c)
    dispatcher.decided(0)
    assert dispatcher.take(0, 1).items[0] == (b.batch, 1)
    dispatcher.dropped(*b)  # the shard's answer to the late one
    assert dispatcher.take(1, 1).items[0].batch == BatchId(0, 0, 3)


@pytest.mark.parametrize("seed", range(5))
def test_with_backups_every_batch_still_counts_once(seed):
    rounds = run([9, 4], 3, 2, seed=seed, deaths=0.05, backup=1)
    assert sorted(b for r in rounds for b in r) == [
        BatchId(0, s, i) for s, n in enumerate([9, 4]) for i in range(n)
    ]
    assert all(len(r) >= 2 for r in rounds[:-1])


def test_a_batch_that_a_ledger_has_leaves_the_round():
    dispatcher = RoundDispatcher([5], 1, round_batches=2)
    dispatcher.joined(0)
    first, second = dispatcher.take(0, 1).items
    assert dispatcher.done(first.batch)
    (third,) = dispatcher.take(0, 1).items
    dispatcher.staged(*second), dispatcher.staged(*third)
    assert dispatcher.decide().contributions == (second, third)


def test_bad_batches_count_as_skipped_in_their_round():
    dispatcher = RoundDispatcher([3], 1, round_batches=2, bad=BadBatches(2, SKIP))
    dispatcher.joined(0), dispatcher.joined(1)
    (a,), (b,) = dispatcher.take(0, 1).items, dispatcher.take(1, 1).items
    assert dispatcher.failed(0, a.batch) == RETRY
    assert dispatcher.take(0, 1) is None
    (a,) = dispatcher.take(1, 1).items
    assert dispatcher.failed(1, a.batch) == SKIP
    skip = dispatcher.skip(a.batch)
    assert skip == (a.batch, 2)
    dispatcher.staged(*b), dispatcher.staged(*skip)
    assert dispatcher.decide().contributions == (skip, b), "the shards leave it out of the mean"


def test_restart_from_a_checkpoints_position():
    dispatcher = RoundDispatcher([4], 2, round_batches=2)
    dispatcher.joined(0)
    dispatcher.take(0, 1)
    dispatcher.rounds_done = 3
    dispatcher.restart(1, [BatchId(1, 0, 2), BatchId(1, 0, 3)])
    work = dispatcher.take(0, 1)
    assert work.round == 3 and [i.batch.index for i in work.items] == [2, 3]
    for item in work.items:
        dispatcher.staged(*item)
    dispatcher.decided(dispatcher.decide().round)
    assert dispatcher.ready_to_verify and dispatcher.verified([]) and dispatcher.finished
