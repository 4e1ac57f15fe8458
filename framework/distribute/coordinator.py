"""`tf.distribute.coordinator`: names of the scheduler of ParameterServerStrategy."""

from __future__ import annotations

from typing import Any

from shardtape.errors import UnimplementedError

__all__ = [
    "ClusterCoordinator",
    "PerWorkerValue",
    "PerWorkerValues",
    "RemoteValue",
    "experimental_get_current_worker_index",
]


class ClusterCoordinator:
    """Raises UnimplementedError: the coordinator of a job is `shardtape.Trainer`.

    Args:
      strategy: a ParameterServerStrategy.
    """

    def __init__(self, strategy: Any) -> None:
        raise UnimplementedError(
            None, None,
            f"ClusterCoordinator cannot schedule on workers of {strategy!r}: shardtape.Trainer "
            "gives the batches to the workers that `shardtape train JOB.py --ps N --workers N` "
            "starts; in one process call the tf.function itself",
        )  # fmt: skip


class RemoteValue:
    """What a scheduled function will return; nothing here makes one."""

    def fetch(self) -> Any:
        raise NotImplementedError("RemoteValue.fetch: no ClusterCoordinator made this value")

    def get(self) -> Any:
        raise NotImplementedError("RemoteValue.get: no ClusterCoordinator made this value")


class PerWorkerValues:
    """One value for each worker.

    Args:
      values: in the order of the workers.
    """

    def __init__(self, values: Any) -> None:
        self._values = tuple(values)


PerWorkerValue = PerWorkerValues


def experimental_get_current_worker_index() -> int:
    """Raises RuntimeError outside a function that a ClusterCoordinator schedules."""
    raise RuntimeError(
        "experimental_get_current_worker_index: no function of a ClusterCoordinator runs here"
    )
