"""What the programs print, and a fresh start for each of them."""

import re
from textwrap import dedent

import pytest

import shardtape as tf

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
        assert _words(got) == _words(want)
        numbers = [[float(x) for x in _NUMBER.findall(t)] for t in (got, want)]
        assert numbers[0] == pytest.approx(numbers[1], rel=rel)

    return check


def _words(text):
    """The text with its floating numbers replaced, line by line."""
    return [_NUMBER.sub("#", line).split() for line in text.splitlines()]


@pytest.fixture(autouse=True)
def fresh_process():
    """Names and random streams as a new process has them."""
    tf.random.set_seed(None)  # starts the streams anew, unseeded
    tf.keras.backend.clear_session()
