"""Starts a small Ray of its own, runs one task and prints what it saw, as one line of JSON.

Run as `python -m shardtape.deploy.probe_ray` by the doctor: in a process of its own, so that a
Ray that hangs can be given up without leaving anything behind in the caller.
"""

import json
import logging
import sys
import time

TASK_LIMIT_S = 60.0
# The smallest object store that Ray accepts is 75 MiB.
OBJECT_STORE_BYTES = 80 * 1024 * 1024


def probe() -> dict[str, object]:
    """Times a local start and a task; tells which file of Shardtape each side loads."""
    import ray

    import shardtape

    begin = time.monotonic()
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    started = time.monotonic()

    @ray.remote
    def where() -> str:
        import shardtape

        return str(shardtape.__file__)

    try:
        there = ray.get(where.remote(), timeout=TASK_LIMIT_S)
        finished = time.monotonic()
    finally:
        ray.shutdown()
    return {
        "version": ray.__version__,
        "start_s": round(started - begin, 2),
        "task_s": round(finished - started, 2),
        "here": str(shardtape.__file__),
        "there": there,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe()) + "\n")
