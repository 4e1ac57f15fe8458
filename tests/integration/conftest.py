"""One local Ray for all integration tests of a session; tests that kill Ray start their own."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def ray_session():
    """A local Ray with more CPUs than this machine has, so that small jobs always find room."""
    import ray

    from shardtape.backend.environment import process_environment
    from shardtape.workers import local_ray

    if ray.is_initialized():
        yield ray
        return
    local_ray.start(8, process_environment(1), log_to_driver=False, object_store_memory=200 << 20)
    yield ray
    ray.shutdown()
