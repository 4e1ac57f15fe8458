"""One local Ray for all integration tests of a session; tests that kill Ray start their own."""

from __future__ import annotations

import logging
import os

import pytest


@pytest.fixture(scope="session")
def ray_session():
    """A local Ray with more CPUs than this machine has, so that small jobs always find room."""
    import ray

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if ray.is_initialized():
        yield ray
        return
    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=200 << 20,
    )
    yield ray
    ray.shutdown()
