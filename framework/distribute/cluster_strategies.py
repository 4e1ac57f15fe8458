"""Strategies of clusters, as far as one process goes; beyond it there is `shardtape.Trainer`."""

from __future__ import annotations

from typing import Any

from shardtape.devices import canonical_name, list_logical_devices
from shardtape.distribute.cluster import ClusterSpec
from shardtape.distribute.cluster_resolver import ClusterResolver, TFConfigClusterResolver
from shardtape.distribute.communication import CommunicationImplementation, CommunicationOptions
from shardtape.distribute.strategy import Strategy
from shardtape.errors import UnimplementedError

_JOBS_OF_WORKERS = ("chief", "worker")


class MultiWorkerMirroredStrategy(Strategy):
    """One replica: this process is the only worker.

    Args:
      cluster_resolver: who is in the cluster; default what TF_CONFIG says.
      communication_options: accepted; one worker has nobody to talk to.

    Raises:
      ValueError: the resolver does not say which task this process is, or a task that is not there.
      UnimplementedError: there are several workers.
    """

    mirrors = True

    def __init__(
        self, cluster_resolver: ClusterResolver | None = None,
        communication_options: CommunicationOptions | None = None,
    ) -> None:  # fmt: skip
        resolver = cluster_resolver or TFConfigClusterResolver()
        _check_alone(resolver)
        gpus = list_logical_devices("GPU")
        super().__init__(gpus[0].name if gpus else None)
        self.cluster_resolver = resolver


class ExperimentalMultiWorkerMirroredStrategy(MultiWorkerMirroredStrategy):
    """`tf.distribute.experimental.MultiWorkerMirroredStrategy`: the arguments in the old order."""

    def __init__(
        self, communication: Any = CommunicationImplementation.AUTO,
        cluster_resolver: ClusterResolver | None = None,
    ) -> None:  # fmt: skip
        super().__init__(cluster_resolver, CommunicationOptions(implementation=communication))


ExperimentalMultiWorkerMirroredStrategy.__name__ = "MultiWorkerMirroredStrategy"
ExperimentalMultiWorkerMirroredStrategy.__qualname__ = "MultiWorkerMirroredStrategy"


def _check_alone(resolver: ClusterResolver) -> None:
    """Raises where the cluster has workers besides this process, or a wrong number for it."""
    spec = resolver.cluster_spec()
    if not spec:
        return
    job, number = resolver.task_type, resolver.task_id
    if job is None or number is None:
        raise ValueError(
            f"the cluster {spec} is given without the `task_type` and `task_id` of this process: "
            'set "task" in TF_CONFIG, or give both to the cluster resolver'
        )
    if job not in spec.jobs:
        raise ValueError(f"`task_type` {job!r} is no job of the cluster {spec}")
    if number not in spec.task_indices(job):
        raise ValueError(f"`task_id` {number} is no task of the job {job!r} in {spec}")
    if job not in (*_JOBS_OF_WORKERS, "evaluator"):
        raise ValueError(
            f"MultiWorkerMirroredStrategy runs in tasks of the jobs 'chief', 'worker' and "
            f"'evaluator', this one's job is {job!r}"
        )
    workers = _workers(spec)
    if job != "evaluator" and workers > 1:
        raise UnimplementedError(
            None, None,
            f"MultiWorkerMirroredStrategy has one worker here, the cluster {spec} has {workers}. "
            "Write the model for shardtape.Trainer and let `shardtape train JOB.py --mode sync "
            f"--ps 1 --workers {workers}` start all processes; without TF_CONFIG this process "
            "trains alone",
        )  # fmt: skip


def _workers(spec: ClusterSpec) -> int:
    return sum(spec.num_tasks(job) for job in _JOBS_OF_WORKERS if job in spec.jobs)


class CentralStorageStrategy(Strategy):
    """One replica, with its Variables on the device where it computes.

    Args:
      compute_devices: at most one name; several raise ValueError.
      parameter_device: where Variables are; only where the replica computes.
    """

    def __init__(self, compute_devices: Any = None, parameter_device: str | None = None) -> None:
        names = [compute_devices] if isinstance(compute_devices, str) else list(
            compute_devices or ()
        )  # fmt: skip
        if len(names) > 1:
            raise ValueError(
                f"CentralStorageStrategy has one replica here, got the devices {names}: train "
                "with shardtape.Trainer (`shardtape train JOB.py --ps N --workers N`)"
            )
        gpus = list_logical_devices("GPU")
        super().__init__(names[0] if names else gpus[0].name if gpus else parameter_device)
        there = self.worker_devices[0]
        if parameter_device is not None and canonical_name(parameter_device) != there:
            raise ValueError(
                f"CentralStorageStrategy keeps Variables where it computes ({there}), got "
                f"parameter_device={parameter_device!r}: leave it out"
            )


class ParameterServerStrategy(Strategy):
    """Raises: its Variables are on servers, which `shardtape train` starts.

    Args:
      cluster_resolver: who is in the cluster; an empty one is a ValueError.
      variable_partitioner: the command's options cut Variables.
    """

    def __init__(self, cluster_resolver: ClusterResolver, variable_partitioner: Any = None) -> None:
        spec = cluster_resolver.cluster_spec()
        if not spec:
            raise ValueError(
                "ParameterServerStrategy: the cluster of the resolver is empty; set TF_CONFIG or "
                "give tasks to the resolver"
            )
        shards = spec.num_tasks("ps") if "ps" in spec.jobs else 1
        workers = spec.num_tasks("worker") if "worker" in spec.jobs else 1
        raise UnimplementedError(
            None, None,
            "ParameterServerStrategy is not how this framework trains on parameter servers: write "
            "the model for shardtape.Trainer and let `shardtape train JOB.py "
            f"--ps {shards} --workers {workers}` start the servers and the workers",
        )  # fmt: skip


class Server:
    """Raises UnimplementedError: `shardtape train` starts the processes of a job."""

    def __init__(
        self, server_or_cluster_def: Any, job_name: str | None = None,
        task_index: int | None = None, protocol: str | None = None, config: Any = None,
        start: bool = True,
    ) -> None:  # fmt: skip
        given = server_or_cluster_def
        spec = given if isinstance(given, ClusterSpec) else ClusterSpec(given)
        if job_name is not None and task_index is not None:
            spec.task_address(job_name, task_index)
        _no_server(f"tf.distribute.Server of {spec}")

    @staticmethod
    def create_local_server(config: Any = None, start: bool = True) -> Server:
        """Raises UnimplementedError."""
        return _no_server("tf.distribute.Server.create_local_server")


def _no_server(what: str) -> Any:
    raise UnimplementedError(
        None, None,
        f"{what}: a process here serves no graph to others; write the model for shardtape.Trainer "
        "and let `shardtape train JOB.py --ps N --workers N` start and watch all processes",
    )  # fmt: skip
