"""What the programs print, and a fresh start for each of them."""

import logging
import re
from textwrap import dedent

import pytest

import shardtape as tf
from shardtape import logger

_NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")


@pytest.fixture
def printed(capsys):
    """`printed(block)` asserts what was printed since the last call; the block is dedented.

    With `rel` the floating numbers may differ by that relative amount (the last digits depend on
    the machine in TensorFlow, too), and so may the blanks that align them; the rest of the text
    is the same.
    """

    def check(block, rel=None):
        got, want = capsys.readouterr().out, dedent(block)[1:]
        if rel is None:
            assert got == want
            return
        assert _without_numbers(got) == _without_numbers(want)
        numbers = [[float(x) for x in _NUMBER.findall(t)] for t in (got, want)]
        assert numbers[0] == pytest.approx(numbers[1], rel=rel)

    return check


def _without_numbers(text):
    """The lines without blanks and with their floating numbers replaced."""
    return ["".join(_NUMBER.sub("#", line).split()) for line in text.splitlines()]


@pytest.fixture(autouse=True)
def fresh_process():
    """Names and random streams as a new process has them."""
    tf.random.set_seed(None)  # starts the streams anew, unseeded
    tf.keras.backend.clear_session()


@pytest.fixture
def warnings_logged(monkeypatch):
    """`warnings_logged()` is the list of the texts that the framework's logger has warned of."""
    monkeypatch.setattr(logger, "_counts", {})  # a text is logged a few times in a process
    kept = []

    class Keep(logging.Handler):
        def emit(self, record):
            kept.append(record.getMessage())

    handler = Keep(logging.WARNING)
    tf.get_logger().addHandler(handler)
    yield lambda: list(kept)
    tf.get_logger().removeHandler(handler)
