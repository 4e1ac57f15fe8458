"""What holds for every unit test."""

import pytest

import shardtape as tf
from shardtape.backend import random


@pytest.fixture(autouse=True)
def _no_seed_is_left_behind():
    """Tests with seeds of their own must not depend on those before them."""
    yield
    if random.global_seed() is not None:
        tf.random.set_seed(None)
