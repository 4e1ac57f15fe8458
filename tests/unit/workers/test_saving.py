"""Which checkpoint is the newest when the last one fails."""

import pytest

from shardtape.errors import ResourceExhaustedError
from shardtape.workers.saving import Position, Saver


class FullAfter(Saver):
    """A Saver whose disk is full from a step on."""

    full_from = 20

    def _write(self, shards, position, mark, abandoned):
        if position.steps >= self.full_from:
            raise ResourceExhaustedError("no space")
        return f"checkpoint-{position.steps}"


def test_one_that_was_just_finished_is_the_newest_where_the_last_one_fails(tmp_path):
    saver, events = FullAfter(str(tmp_path)), []
    assert (saver.last, saver.last_step) == (None, None)
    saver.start(None, Position(steps=10), events.append)
    with pytest.raises(ResourceExhaustedError):  # nobody took the event of the first one yet
        saver.final(None, Position(steps=20))
    assert [event.path for event in events] == ["checkpoint-10"]
    assert (saver.last, saver.last_step) == ("checkpoint-10", 10)


def test_one_of_a_generation_that_is_over_is_not(tmp_path):
    saver = FullAfter(str(tmp_path))
    saver.start(None, Position(steps=10), lambda event: None)
    saver.abandon()
    with pytest.raises(ResourceExhaustedError):
        saver.final(None, Position(steps=20))
    assert saver.last is None


def test_the_end_is_not_written_twice(tmp_path):
    saver = FullAfter(str(tmp_path))
    saver.start(None, Position(steps=10), lambda event: None)
    saver.full_from = 0
    assert saver.final(None, Position(steps=10)) == "checkpoint-10"
