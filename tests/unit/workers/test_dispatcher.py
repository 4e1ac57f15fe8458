"""The dispatcher hands out every batch, takes back a dead worker's and trusts only the ledgers."""

import random

import pytest

from shardtape.errors import FailedPreconditionError
from shardtape.ps.ids import BatchId
from shardtape.workers.dispatcher import RETRY, SKIP, STOP, BadBatches, Dispatcher


def every(lengths, epoch=0):
    return {BatchId(epoch, s, i) for s, n in enumerate(lengths) for i in range(n)}


def drain(dispatcher, workers, want=4):
    """Lets random workers take and finish work until nothing is handed out any more."""
    chooser = random.Random(0)
    seen, held = [], {w: [] for w in workers}
    while True:
        worker = chooser.choice(list(workers))
        work = dispatcher.take(worker, want)
        if work:
            held[worker] += work.items
        elif not any(held.values()):
            return seen
        if held[worker]:
            item = held[worker].pop(0)
            dispatcher.done(item.batch)
            seen.append(item)


@pytest.mark.parametrize("lengths", [[5], [3, 3, 1], [0, 4], [8] * 7])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_batch_of_every_epoch_is_handed_out_once(lengths, workers):
    dispatcher = Dispatcher(lengths, epochs=2)
    for worker in range(workers):
        dispatcher.joined(worker)
    for epoch in range(2):
        seen = drain(dispatcher, range(workers))
        assert {item.batch for item in seen} == every(lengths, epoch)
        assert len(seen) == sum(lengths) and {item.attempt for item in seen} == {0}
        assert dispatcher.ready_to_verify
        assert dispatcher.verified([])
    assert dispatcher.finished and dispatcher.steps == 2 * sum(lengths)
    assert dispatcher.take(0, 4) is None


def test_the_last_batches_are_shared_out():
    dispatcher = Dispatcher([100], epochs=1)
    dispatcher.joined(0), dispatcher.joined(1)
    first = dispatcher.take(0, 64)
    assert len(first.items) == 25
    sizes = []
    while work := dispatcher.take(len(sizes) % 2, 64):
        sizes.append(len(work.items))
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 1


def test_a_dead_workers_batches_go_to_others_as_another_attempt():
    dispatcher = Dispatcher([10], epochs=1)
    dispatcher.joined(0), dispatcher.joined(1)
    lost = dispatcher.take(0, 3).items
    dispatcher.done(lost[0].batch)
    assert dispatcher.lost(0) == [item.batch for item in lost[1:]]
    seen = drain(dispatcher, [1])
    assert {i.batch: i.attempt for i in seen} == {
        b: int(b in (lost[1].batch, lost[2].batch)) for b in every([10]) - {lost[0].batch}
    }


def test_a_worker_that_joins_twice_counts_as_lost_first():
    dispatcher = Dispatcher([4], epochs=1)
    dispatcher.joined(0)
    held = dispatcher.take(0, 2).items
    dispatcher.joined(0)
    assert dispatcher.take(0, 4).items[: len(held)] == tuple(
        item._replace(attempt=1) for item in held
    )


def test_a_ledger_that_lacks_old_batches_gets_them_all():
    dispatcher = Dispatcher([30], epochs=1)
    dispatcher.joined(0)
    lacking = {BatchId(0, 0, 0), BatchId(0, 0, 29)}
    for _ in range(3):
        drain(dispatcher, [0])
        assert dispatcher.ready_to_verify
        chooser = random.Random(len(lacking))
        assert not dispatcher.verified(lacking)
        assert {i.batch for i in drain(dispatcher, [0])} == lacking
        lacking = {BatchId(0, 0, chooser.randrange(30)) for _ in range(9)}


def test_random_deaths_lose_nothing():
    for seed in range(30):
        chooser = random.Random(seed)
        lengths = [chooser.randrange(6) for _ in range(5)]
        dispatcher = Dispatcher(lengths, epochs=1, any_order=chooser.random() < 0.5)
        held = {w: [] for w in range(3)}
        for worker in held:
            dispatcher.joined(worker)
        done = set()
        while not dispatcher.ready_to_verify:
            worker = chooser.randrange(3)
            if chooser.random() < 0.1:
                dispatcher.lost(worker)
                held[worker] = []
                dispatcher.joined(worker)
            work = dispatcher.take(worker, 3)
            held[worker] += work.items if work else ()
            if held[worker]:
                batch = held[worker].pop(0).batch
                assert dispatcher.done(batch) and batch not in done
                done.add(batch)
        assert done == every(lengths)


def test_the_ledgers_have_the_last_word():
    dispatcher = Dispatcher([6], epochs=1)
    dispatcher.joined(0)
    drain(dispatcher, [0])
    assert not dispatcher.verified([BatchId(0, 0, 2), BatchId(0, 0, 4)])
    assert not dispatcher.ready_to_verify
    assert [i.batch.index for i in drain(dispatcher, [0])] == [2, 4]
    assert dispatcher.verified([]) and dispatcher.finished


def test_splits_of_unknown_length_end_when_a_worker_says_so():
    dispatcher = Dispatcher([None, None], epochs=1, any_order=False)
    dispatcher.joined(0), dispatcher.joined(1)
    a, b = dispatcher.take(0, 3).items, dispatcher.take(1, 3).items
    assert {i.batch.split for i in a} == {0} and {i.batch.split for i in b} == {1}
    for item in a[:2]:
        dispatcher.done(item.batch)
    dispatcher.ended(0, 2)
    assert dispatcher.take(0, 3) is None, "the other split belongs to the other worker"
    dispatcher.ended(1, 0)
    assert dispatcher.ready_to_verify and dispatcher.expected() == {(0, 0): 2, (0, 1): 0}
    with pytest.raises(FailedPreconditionError, match="had 2 batches before and now 3"):
        dispatcher.ended(0, 3)


def test_a_split_left_by_a_dead_worker_is_taken_up_where_it_was():
    dispatcher = Dispatcher([None], epochs=1, any_order=False)
    dispatcher.joined(0), dispatcher.joined(1)
    dispatcher.take(0, 2)
    assert dispatcher.take(1, 2) is None
    dispatcher.lost(0)
    indices = [i.batch.index for w in range(3) for i in dispatcher.take(1, 2).items]
    assert indices == list(range(6))


def test_bad_batches():
    bad = BadBatches(limit=2, on_bad_batch=SKIP)
    dispatcher = Dispatcher([1], epochs=1, bad=bad)
    dispatcher.joined(0), dispatcher.joined(1)
    (item,) = dispatcher.take(0, 1).items
    assert dispatcher.failed(0, item.batch) == RETRY
    assert dispatcher.take(0, 1) is None, "another worker shall try it"
    (item,) = dispatcher.take(1, 1).items
    assert item.attempt == 1
    assert dispatcher.failed(1, item.batch) == SKIP
    assert dispatcher.skip(item.batch) == (item.batch, 2)
    assert dispatcher.done(item.batch)
    assert dispatcher.ready_to_verify and bad.skipped == [item.batch]
    assert Dispatcher([1], 1, bad=BadBatches(1)).failed(0, BatchId(0, 0, 0)) == STOP


def test_restart_from_a_checkpoints_position():
    dispatcher = Dispatcher([4, 4], epochs=3)
    dispatcher.joined(0)
    dispatcher.take(0, 2)
    missing = [BatchId(1, 0, 3), BatchId(1, 1, 0)]
    dispatcher.restart(1, missing)
    assert [i.batch for i in drain(dispatcher, [0])] == missing
    assert dispatcher.verified([]) and dispatcher.epoch == 2
    assert {i.batch for i in drain(dispatcher, [0])} == every([4, 4], 2)


def test_restart_with_new_splits_after_a_changed_batch_size():
    dispatcher = Dispatcher([2], epochs=2)
    dispatcher.joined(0)
    dispatcher.restart(0, [BatchId(0, 100, i) for i in range(2)], base=100)
    assert {i.batch for i in drain(dispatcher, [0])} == {BatchId(0, 100, 0), BatchId(0, 100, 1)}
    assert dispatcher.expected() == {(0, 100): 2}
    assert dispatcher.verified([])
    assert {i.batch for i in drain(dispatcher, [0])} == every([2], 1)


def test_restart_in_splits_of_unknown_length():
    """Split 1 had ended before the checkpoint, 0 and 2 had not; batch 1 of split 0 is lacking."""
    dispatcher = Dispatcher([None] * 3, 2, any_order=False)
    lacking = [BatchId(0, 0, 1)]
    dispatcher.restart(0, lacking, lengths=[None, 2, None], reached={0: 4, 1: 2})
    dispatcher.joined(0)
    lengths = [5, 2, 1]
    done = []
    while not dispatcher.ready_to_verify:
        for item in dispatcher.take(0, 4).items:
            if item.batch.index >= lengths[item.batch.split]:
                dispatcher.ended(item.batch.split, lengths[item.batch.split])
            elif item.batch in dispatcher.book.held:
                dispatcher.done(item.batch)
                done.append(item.batch)
    assert done == [BatchId(0, 0, 1), BatchId(0, 0, 4), BatchId(0, 2, 0)]
    assert dispatcher.verified([]) and dispatcher.steps == 3
    assert list(dispatcher.book.lengths.values()) == [None] * 3, "the next epoch is read anew"


def test_data_that_became_shorter_is_refused():
    dispatcher = Dispatcher([None], 1, any_order=False)
    dispatcher.restart(0, [], reached={0: 6})
    with pytest.raises(FailedPreconditionError, match="has 5 batches, but its batch 5 is in the"):
        dispatcher.ended(0, 5)
