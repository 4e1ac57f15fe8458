"""No test sees the global seed of another."""

import pytest

from shardtape.backend import random


@pytest.fixture(autouse=True)
def _no_global_seed():
    random.current_seed().set(None)
    yield
    random.current_seed().set(None)
