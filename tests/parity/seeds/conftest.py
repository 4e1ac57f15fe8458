"""What the programs print, and a fresh start for each of them."""

from textwrap import dedent

import pytest

import shardtape as tf


@pytest.fixture
def printed(capsys):
    """`printed(block)` asserts what was printed since the last call; the block is dedented."""

    def check(block):
        assert capsys.readouterr().out == dedent(block)[1:]

    return check


@pytest.fixture(autouse=True)
def fresh_process():
    """Names and random streams as a new process has them."""
    tf.random.set_seed(None)  # starts the streams anew, unseeded
    tf.keras.backend.clear_session()
