"""What holds for every unit test."""

import pytest

import shardtape as tf
from shardtape.backend import random


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    """Random numbers and names of layers must not depend on the tests before."""
    yield
    tf.keras.backend.clear_session()
    if random.global_seed() is not None:
        tf.random.set_seed(None)
