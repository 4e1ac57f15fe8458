"""A driver whose connection to the coordinator broke: it asks again before it calls it dead."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorUnavailableError, RayActorError

from shardtape.errors import UnavailableError
from shardtape.workers import ray_runner
from shardtape.workers.config import JobConfig

BROKEN = ActorUnavailableError("RPC error: Socket closed", b"0" * 16)


@pytest.fixture
def runner(monkeypatch):
    """A runner, and the outcomes that Ray's next answers hold; time passes only by `sleep`."""
    answers, now = [], [100.0]

    def get(reference, timeout=None):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(seconds):
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(ray_runner, "time", clock)
    monkeypatch.setattr(ray_runner.ray, "wait", lambda refs, timeout: (refs, []))
    monkeypatch.setattr(ray_runner.ray, "get", get)
    made = object.__new__(ray_runner.RayRunner)
    made._config = JobConfig(job="far")
    made._coordinator = SimpleNamespace(outcome=SimpleNamespace(remote=object))
    made._outcome = object()
    made._unreached_s = None
    return made, answers, now


def test_a_broken_connection_is_asked_again(runner):
    made, answers, _ = runner
    first = made._outcome
    answers += [BROKEN, "the outcome"]
    assert made.wait(0.1) is None and made._outcome is not first
    assert made.wait(0.1) == "the outcome"


def test_one_that_stays_away_is_given_up(runner):
    made, answers, now = runner
    answers += [BROKEN] * 1000
    with pytest.raises(
        UnavailableError, match="'far' could not be reached for 30 s .*Socket closed"
    ):
        while True:
            assert made.wait(0.1) is None
    assert 130 <= now[0] < 131


def test_a_dead_one_is_given_up_at_once(runner):
    made, answers, now = runner
    answers += [RayActorError(error_msg="The actor died: exit code 1")]
    with pytest.raises(UnavailableError, match="exit code 1"):
        made.wait(0.1)
    assert now == [100.0]
