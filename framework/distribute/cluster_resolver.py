"""`tf.distribute.cluster_resolver`: who is in the cluster, and which task this process is."""

from __future__ import annotations

import abc
import json
import os
from typing import Any, NoReturn

from shardtape.devices import list_logical_devices
from shardtape.distribute.cluster import ClusterSpec
from shardtape.errors import UnimplementedError

__all__ = [
    "ClusterResolver",
    "GCEClusterResolver",
    "KubernetesClusterResolver",
    "SimpleClusterResolver",
    "SlurmClusterResolver",
    "TFConfigClusterResolver",
    "TPUClusterResolver",
    "UnionResolver",
]


class ClusterResolver(abc.ABC):
    """What all resolvers tell; subclasses define `cluster_spec` and `master`."""

    _task_type: str | None = None
    _task_id: int | None = None

    @abc.abstractmethod
    def cluster_spec(self) -> ClusterSpec:
        """The tasks of the cluster."""

    @abc.abstractmethod
    def master(
        self, task_type: str | None = None, task_id: int | None = None,
        rpc_layer: str | None = None,
    ) -> str:  # fmt: skip
        """The address of the session's master; "" where that is this process."""

    def num_accelerators(
        self, task_type: str | None = None, task_id: int | None = None, config_proto: Any = None
    ) -> dict[str, int]:
        """The accelerators of this process by type."""
        gpus = len(list_logical_devices("GPU"))
        return {"GPU": gpus} if gpus else {}

    @property
    def environment(self) -> str:
        """Where the cluster runs; "" where nobody said."""
        return ""

    @property
    def task_type(self) -> str | None:
        """The job of this process."""
        return self._task_type

    @task_type.setter
    def task_type(self, task_type: str | None) -> None:
        self._task_type = task_type

    @property
    def task_id(self) -> int | None:
        """The number of this process in its job."""
        return self._task_id

    @task_id.setter
    def task_id(self, task_id: int | None) -> None:
        self._task_id = task_id


def _url(address: str, rpc_layer: str | None) -> str:
    return f"{rpc_layer}://{address}" if rpc_layer else address


class SimpleClusterResolver(ClusterResolver):
    """Tells what it was given.

    Args:
      cluster_spec: a ClusterSpec, else TypeError.
      master: what `master()` gives where no task is asked for.
      task_type, task_id: which task this process is.
      num_accelerators: by type.
      rpc_layer: put before addresses, like "grpc".
    """

    def __init__(
        self, cluster_spec: ClusterSpec, master: str = "", task_type: str | None = None,
        task_id: int | None = None, environment: str = "",
        num_accelerators: dict[str, int] | None = None, rpc_layer: str | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(cluster_spec, ClusterSpec):
            raise TypeError(
                f"cluster_spec must be a `tf.train.ClusterSpec`, got {type(cluster_spec).__name__}"
            )
        self._spec, self._master = cluster_spec, master
        self._task_type, self._task_id = task_type, task_id
        self._environment, self.rpc_layer = environment, rpc_layer
        self._accelerators = dict(num_accelerators or {})

    def cluster_spec(self) -> ClusterSpec:
        return self._spec

    def master(
        self, task_type: str | None = None, task_id: int | None = None,
        rpc_layer: str | None = None,
    ) -> str:  # fmt: skip
        """The address of a task, else of the master that was given."""
        address = self._master
        if task_type is not None and task_id is not None:
            address = self._spec.task_address(task_type, task_id)
        return _url(address, rpc_layer or self.rpc_layer)

    def num_accelerators(
        self, task_type: str | None = None, task_id: int | None = None, config_proto: Any = None
    ) -> dict[str, int]:
        return dict(self._accelerators)

    @property
    def environment(self) -> str:
        return self._environment


class TFConfigClusterResolver(ClusterResolver):
    """Reads the environment variable TF_CONFIG, each time it is asked.

    Args:
      task_type, task_id, rpc_layer, environment: used in place of what the variable says.
    """

    def __init__(
        self, task_type: str | None = None, task_id: int | None = None,
        rpc_layer: str | None = None, environment: str | None = None,
    ) -> None:  # fmt: skip
        self._task_type, self._task_id = task_type, task_id
        self._rpc_layer, self._environment = rpc_layer, environment

    @property
    def task_type(self) -> str | None:
        """The job of this process; None where the variable names none."""
        found = _tf_config().get("task", {}).get("type")
        own = self._task_type if self._task_type is not None else found
        return None if own is None else str(own)

    @task_type.setter
    def task_type(self, task_type: str | None) -> None:
        self._task_type = task_type

    @property
    def task_id(self) -> int | None:
        """The number of this process in its job; None where the variable has none."""
        found = _tf_config().get("task", {}).get("index")
        own = self._task_id if self._task_id is not None else found
        return None if own is None else int(own)

    @task_id.setter
    def task_id(self, task_id: int | None) -> None:
        self._task_id = task_id

    @property
    def environment(self) -> Any:
        """Where the cluster runs; None where the variable does not say."""
        return self._environment

    @property
    def rpc_layer(self) -> str | None:
        """What is put before addresses; None where nobody said."""
        return self._rpc_layer or _tf_config().get("rpc_layer")

    @rpc_layer.setter
    def rpc_layer(self, rpc_layer: str | None) -> None:
        self._rpc_layer = rpc_layer

    def cluster_spec(self) -> ClusterSpec:
        """The tasks that the variable lists; an empty cluster where it is not set."""
        return ClusterSpec(_tf_config().get("cluster", {}))

    def master(
        self, task_type: str | None = None, task_id: int | None = None,
        rpc_layer: str | None = None,
    ) -> str:  # fmt: skip
        """The address of a task; "" for a cluster of at most one task."""
        set_by_hand = _tf_config().get("session_master")
        if set_by_hand is not None:
            return str(set_by_hand)
        spec = self.cluster_spec()
        if sum(spec.num_tasks(job) for job in spec.jobs) < 2:
            return ""
        job = task_type if task_type is not None else self.task_type
        number = task_id if task_id is not None else self.task_id
        if job is None or number is None:
            raise ValueError(
                "TF_CONFIG lists several tasks and does not say which of them this process is: "
                'add "task": {"type": ..., "index": ...}'
            )
        return _url(spec.task_address(job, number), rpc_layer or self.rpc_layer)


def _tf_config() -> dict[str, Any]:
    try:
        found = json.loads(os.environ.get("TF_CONFIG", "{}"))
    except ValueError as error:
        raise ValueError(f"the environment variable TF_CONFIG is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"the environment variable TF_CONFIG must be a JSON object, got {found!r}")
    return found


class UnionResolver(ClusterResolver):
    """The clusters of several resolvers as one; everything else is the first one's.

    Args:
      args: ClusterResolvers, else TypeError; none at all is a ValueError.
      rpc_layer, task_type, task_id: used in place of the first one's.
    """

    def __init__(
        self, *args: ClusterResolver, rpc_layer: str | None = None,
        task_type: str | None = None, task_id: int | None = None,
    ) -> None:  # fmt: skip
        if not args:
            raise ValueError("UnionResolver takes at least one ClusterResolver")
        for resolver in args:
            if not isinstance(resolver, ClusterResolver):
                raise TypeError(f"UnionResolver takes ClusterResolvers, got {resolver!r}")
        self._resolvers = args
        self.rpc_layer = rpc_layer or getattr(args[0], "rpc_layer", None)
        self._task_type = task_type if task_type is not None else args[0].task_type
        self._task_id = task_id if task_id is not None else args[0].task_id

    def cluster_spec(self) -> ClusterSpec:
        """All tasks. Raises KeyError where two resolvers number a job's tasks alike."""
        jobs: dict[str, Any] = {}
        for resolver in self._resolvers:
            for job, tasks in resolver.cluster_spec().as_dict().items():
                known = jobs.get(job)
                if known is None:
                    jobs[job] = tasks
                elif isinstance(known, list) and isinstance(tasks, list):
                    jobs[job] = known + tasks
                else:
                    jobs[job] = _merged(job, known, tasks)
        return ClusterSpec(jobs)

    def master(
        self, task_type: str | None = None, task_id: int | None = None,
        rpc_layer: str | None = None,
    ) -> str:  # fmt: skip
        """The address of a task, else the first resolver's master."""
        if task_type is not None and task_id is not None:
            address = self.cluster_spec().task_address(task_type, task_id)
            return _url(address, rpc_layer or self.rpc_layer)
        return self._resolvers[0].master(rpc_layer=rpc_layer)

    def num_accelerators(
        self, task_type: str | None = None, task_id: int | None = None, config_proto: Any = None
    ) -> dict[str, int]:
        return self._resolvers[0].num_accelerators(task_type, task_id, config_proto)

    @property
    def environment(self) -> str:
        return self._resolvers[0].environment


def _merged(job: str, known: Any, more: Any) -> dict[int, str]:
    numbered = [dict(enumerate(t)) if isinstance(t, list) else t for t in (known, more)]
    twice = sorted(set(numbered[0]) & set(numbered[1]))
    if twice:
        raise KeyError(f"two resolvers have a task {twice[0]} of the job {job!r}")
    return {**numbered[0], **numbered[1]}


class _Foreign(ClusterResolver):
    """A resolver that asks a service of its own; this framework reaches none."""

    _instead = "write the tasks into TF_CONFIG, or give them to SimpleClusterResolver"

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnimplementedError(
            None, None,
            f"{cls.__name__} is not part of this framework: {cls._instead}; "
            "`shardtape train JOB.py` starts and finds its processes by itself",
        )  # fmt: skip


class GCEClusterResolver(_Foreign):
    """Raises UnimplementedError."""


class KubernetesClusterResolver(_Foreign):
    """Raises UnimplementedError."""

    _instead = "`shardtape deploy` writes the manifests of a job on Kubernetes"


class SlurmClusterResolver(_Foreign):
    """Raises UnimplementedError."""


class TPUClusterResolver(_Foreign):
    """Raises UnimplementedError."""

    _instead = "it runs on CPUs and GPUs"
