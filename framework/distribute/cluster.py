"""`tf.train.ClusterSpec`: the tasks of a cluster and their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shardtape.errors import UnimplementedError


class ClusterSpec:
    """Jobs by name, each with tasks that have a number and an address.

    Args:
      cluster: for each job a list of addresses, or a dictionary from task numbers to addresses; or
        another ClusterSpec.

    Raises:
      TypeError: names or addresses are no strings, or jobs are given in another form.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, cluster: Any) -> None:
        self._jobs: dict[str, dict[int, str]] = {}
        if isinstance(cluster, ClusterSpec):
            self._jobs = {job: dict(tasks) for job, tasks in cluster._jobs.items()}
            return
        if not isinstance(cluster, Mapping):
            raise TypeError(
                "ClusterSpec takes a dictionary from the names of jobs to lists of addresses, got "
                f"{type(cluster).__name__}"
            )
        for job, tasks in cluster.items():
            if isinstance(tasks, (list, tuple)):
                numbered = dict(enumerate(tasks))
            elif isinstance(tasks, Mapping):
                numbered = {int(i): address for i, address in tasks.items()}
            else:
                raise TypeError(
                    f"The tasks for job {job!r} must be a list or a dictionary from integers to "
                    f"strings, got {type(tasks).__name__}"
                )
            self._jobs[_text(job, "The name of a job")] = {
                i: _text(address, f"The address of task {i} in job {job!r}")
                for i, address in numbered.items()
            }

    def as_dict(self) -> dict[str, Any]:
        """Jobs as lists of addresses; as dictionaries where numbers are left out."""
        return {
            job: [tasks[i] for i in range(len(tasks))] if _is_dense(tasks) else dict(tasks)
            for job, tasks in self._jobs.items()
        }

    def as_cluster_def(self) -> Any:
        """Raises UnimplementedError: no server takes the message."""
        raise UnimplementedError(
            None, None,
            "ClusterSpec.as_cluster_def: the message ClusterDef is not part of this framework; "
            "as_dict() gives the same jobs, tasks and addresses",
        )  # fmt: skip

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs."""
        return list(self._jobs)

    def _tasks(self, job_name: str) -> dict[int, str]:
        if job_name not in self._jobs:
            raise ValueError(f"No such job in cluster: {job_name!r} (there are {self.jobs})")
        return self._jobs[job_name]

    def num_tasks(self, job_name: str) -> int:
        """How many tasks a job has. Raises ValueError for an unknown job."""
        return len(self._tasks(job_name))

    def task_indices(self, job_name: str) -> list[int]:
        """The numbers of a job's tasks, ascending. Raises ValueError for an unknown job."""
        return sorted(self._tasks(job_name))

    def task_address(self, job_name: str, task_index: int) -> str:
        """The address of one task. Raises ValueError where there is none."""
        tasks = self._tasks(job_name)
        if task_index not in tasks:
            raise ValueError(f"No task with index {task_index} in job {job_name!r}")
        return tasks[task_index]

    def job_tasks(self, job_name: str) -> list[str | None]:
        """A job's addresses by number, None for a number that is left out.

        Raises ValueError for an unknown job.
        """
        tasks = self._tasks(job_name)
        return [tasks.get(i) for i in range(max(tasks, default=-1) + 1)]

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._jobs == other._jobs

    def __repr__(self) -> str:
        by_name = dict(sorted(self.as_dict().items()))
        return f"ClusterSpec({by_name})"


def _is_dense(tasks: dict[int, str]) -> bool:
    return set(tasks) == set(range(len(tasks)))


def _text(given: Any, what: str) -> str:
    if isinstance(given, bytes):
        given = given.decode()
    if not isinstance(given, str):
        raise TypeError(f"{what} must be a string, got {given!r}")
    return given
