"""Clocks of ssp: the bound, and who does not hold others back."""

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ps.shard_jobs import Job, gradients

from shardtape.ps.consistency import Clocks
from shardtape.ps.ids import BatchId


class Workers:
    """Worker processes that count their own batches, against one shard."""

    def __init__(self, count, staleness):
        self.job = Job(1, "ssp", staleness=staleness).initialize()
        self.shard = self.job.shards[0]
        self.clocks = [0] * count
        self.next = 0
        self.shard.members(range(count), ())

    def may_go(self, worker, ahead=0):
        return self.shard.ready_to_pull(worker, self.clocks[worker] + ahead)

    def work(self, worker, batch=None, attempt=0):
        if batch is None:
            batch, self.next = (0, 0, self.next), self.next + 1
        self.clocks[worker] += 1
        return self.job.push(batch, gradients(0), attempt, worker)[0]


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 4), st.lists(st.integers(0, 3), max_size=60))
def test_nobody_is_ever_further_ahead_than_the_bound(staleness, count, order):
    workers = Workers(count, staleness)
    for i in order:
        worker = i % count
        if workers.may_go(worker):
            # what it will compute with was pulled at most `staleness` ahead of the slowest
            assert workers.clocks[worker] <= min(workers.clocks) + staleness
            workers.work(worker)
        else:
            others = [c for w, c in enumerate(workers.clocks) if w != worker]
            assert workers.clocks[worker] > min(others) + staleness
    slowest = workers.clocks.index(min(workers.clocks))
    assert workers.may_go(slowest)  # somebody always may


def test_staleness_zero_is_lockstep():
    workers = Workers(2, 0)
    assert workers.may_go(0) and workers.may_go(1)
    workers.work(0)
    assert not workers.may_go(0) and workers.may_go(1)
    workers.work(1)
    assert workers.may_go(0) and workers.may_go(1)


def test_prefetches_count_into_the_bound():
    workers = Workers(2, 1)
    assert workers.may_go(0) and workers.may_go(0, ahead=1)
    assert not workers.may_go(0, ahead=2)
    workers.work(1)
    assert workers.may_go(0, ahead=2)


def test_waiting_pulls_are_asked_about_in_any_order():
    workers = Workers(2, 0)
    assert workers.may_go(0)
    for _ in range(3):
        workers.work(0)
    for _ in range(2):
        assert not workers.may_go(0) and not workers.may_go(0, ahead=1)
    for _ in range(3):
        workers.work(1)
    assert workers.may_go(0) and not workers.may_go(0, ahead=1) and workers.may_go(0)
    assert workers.shard.counters()["clocks"] == {0: 3, 1: 3}


def test_the_coordinators_skip_marks_are_no_clock():
    job = Job(1, "ssp").initialize()
    job.push((0, 0, 0), worker=-1)
    for index in (1, 2):
        assert job.shards[0].ready_to_pull(0, index - 1)
        job.push((0, 0, index), worker=0)
    assert job.shards[0].counters()["clocks"] == {0: 2}


def test_duplicates_and_empty_commits_count_and_repeated_messages_do_not():
    workers = Workers(2, 0)
    workers.work(0, (0, 0, 0))
    assert workers.work(1, (0, 0, 0), attempt=1).status == "duplicate"
    assert workers.may_go(0) and workers.may_go(1)
    assert workers.shard.counters()["clocks"] == {0: 1, 1: 1}
    for _ in range(3):  # worker 0 sends its first push again after a time-out
        workers.job.push((0, 0, 0), gradients(0), 0, worker=0)
    assert workers.shard.counters()["clocks"] == {0: 1, 1: 1}


def test_idle_and_dead_workers_hold_nobody_back():
    for live, idle in (([0, 1], [1]), ([0], [])):
        workers = Workers(2, 0)
        workers.work(0)
        assert not workers.may_go(0)
        workers.shard.members(live, idle)
        assert workers.may_go(0)
        for _ in range(5):
            workers.work(0)
            assert workers.may_go(0)


def test_who_comes_back_starts_at_the_minimum():
    workers = Workers(3, 0)
    workers.shard.members([0, 1, 2], [2])
    for _ in range(4):
        workers.work(0)
        workers.work(1)
    workers.shard.members([0, 1, 2], ())
    assert workers.shard.counters()["clocks"] == {0: 4, 1: 4, 2: 4}
    assert workers.may_go(2) and workers.may_go(0)  # with its own clock of 0
    workers.work(2)
    assert not workers.may_go(2)
    workers.work(0)
    workers.work(1)
    assert workers.may_go(2)


def test_a_restarted_process_counts_from_zero_again():
    workers = Workers(2, 1)
    for _ in range(6):
        workers.work(0)
        workers.work(1)
    workers.may_go(0)
    workers.may_go(1)
    workers.shard.members([0], ())
    workers.work(0)
    workers.work(0)
    workers.shard.members([0, 1], ())
    workers.clocks[1] = 0  # the new process
    assert workers.may_go(1)
    workers.work(1)
    assert workers.may_go(1)
    workers.work(1)
    assert not workers.may_go(1)  # 2 ahead of worker 0
    assert workers.may_go(0)


def test_a_newcomer_starts_where_all_are():
    workers = Workers(1, 0)
    for _ in range(3):
        workers.work(0)
    workers.clocks.append(0)
    workers.shard.members([0, 1], ())
    assert workers.may_go(1) and workers.may_go(0)
    workers.work(1)
    assert not workers.may_go(1)
    # all are gone, one comes back: it goes on from where the work had come to
    workers.shard.members([], ())
    workers.shard.members([0, 2], ())
    assert workers.shard.counters()["clocks"][2] == 4


def test_without_a_coordinator_whoever_speaks_is_a_member():
    clocks = Clocks()
    assert clocks.ready(0, 0, 0)
    clocks.advance(0, BatchId(0, 0, 0), 0)
    assert clocks.ready(0, 1, 0)
    assert clocks.ready(1, 0, 0)
    assert clocks.counts == {0: 1, 1: 1}
    clocks.advance(0, BatchId(0, 0, 1), 0)
    assert not clocks.ready(0, 2, 0)


def test_other_modes_do_not_wait_for_clocks():
    job = Job(1, "async").initialize()
    job.shards[0].members([0, 1], ())
    for index in range(5):
        job.push((0, 0, index), worker=0)
    assert job.shards[0].ready_to_pull(0, 5)


def test_members_that_did_not_change_make_no_entry():
    shard = Workers(2, 0).shard
    before = shard.lsn
    shard.members([1, 0], [])
    assert shard.lsn == before
    shard.members([1, 0], [1])
    assert shard.lsn == before + 1
