"""Policies for deaths return decisions: restart, roll back, or give up with the reason."""

from shardtape.workers.recovery import (
    FRUITLESS_DEATHS,
    FRUITLESS_ROLLBACKS,
    GiveUp,
    Liveness,
    Restart,
    RollBack,
    ShardDeaths,
    WorkerDeaths,
)


def test_a_worker_that_makes_progress_may_die_up_to_the_limit():
    deaths = WorkerDeaths(limit=10)
    for _ in range(10):
        assert deaths.died(1, "killed") == Restart()
        deaths.progressed(1)
    gave_up = deaths.died(1, "killed")
    assert isinstance(gave_up, GiveUp) and "max_worker_restarts=10" in gave_up.reason
    assert deaths.restarts == 11


def test_a_worker_that_only_dies_ends_the_job():
    deaths = WorkerDeaths(limit=100)
    for _ in range(FRUITLESS_DEATHS - 1):
        assert deaths.died(0, "connection lost") == Restart()
        assert deaths.died(1, "connection lost") == Restart()
        deaths.progressed(1)
    gave_up = deaths.died(0, "connection lost")
    assert isinstance(gave_up, GiveUp) and "worker-0 died 4 times in a row" in gave_up.reason


def test_a_shards_death_rolls_back_to_the_checkpoint():
    deaths = ShardDeaths()
    facts = {"generation": 2, "steps": 130, "checkpoint_steps": 100}
    assert deaths.died(1, "killed", checkpoint="c/1", **facts) == RollBack("c/1", 3, 30)
    early = {"generation": 0, "steps": 7, "checkpoint_steps": 0}
    assert deaths.died(1, "killed", checkpoint=None, periodic=True, **early) == RollBack(None, 1, 7)
    gave_up = deaths.died(1, "killed", checkpoint=None, **facts)
    assert isinstance(gave_up, GiveUp) and "shard-1 died (killed)" in gave_up.reason
    assert "checkpoint_dir" in gave_up.reason


def test_roll_backs_to_the_same_checkpoint_have_a_limit():
    deaths = ShardDeaths()
    facts = {"generation": 0, "steps": 1, "checkpoint_steps": 0}
    for _ in range(FRUITLESS_ROLLBACKS):
        assert isinstance(deaths.died(0, "x", checkpoint="a", **facts), RollBack)
    assert isinstance(deaths.died(0, "x", checkpoint="b", **facts), RollBack)
    for _ in range(FRUITLESS_ROLLBACKS):
        last = deaths.died(0, "x", checkpoint="b", **facts)
    assert isinstance(last, GiveUp) and "is there enough memory" in last.reason


def test_a_shard_without_values_is_simply_replaced():
    deaths = ShardDeaths()
    for _ in range(FRUITLESS_ROLLBACKS):
        assert deaths.died_empty(0, "killed") == Restart()
    gave_up = deaths.died_empty(1, "killed")
    assert isinstance(gave_up, GiveUp) and "before training began" in gave_up.reason


def test_silence():
    liveness = Liveness(timeout_s=5)
    liveness.heard("worker-0", 0.0), liveness.heard("worker-1", 3.0), liveness.heard("x", 0.0)
    liveness.forget("x")
    assert liveness.silent(6.0) == [("worker-0", 6.0)]
    assert liveness.silent(5.0) == []
