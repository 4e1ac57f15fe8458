"""A Ray of this machine, started by the driver, and the variables that its processes inherit.

Ray starts a process that has variables of its own in two steps, each of which loads Ray, and never
takes one that it holds ready. So a cluster that is started for a job gets the variables as a
whole; only processes that need others have them as a runtime environment.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import ray

from shardtape.workers.config import JobConfig
from shardtape.workers.ray_groups import groups_of_their_own
from shardtape.workers.ray_output import adapt_ray_output

# Named actors of all jobs live here, so that another driver finds them.
NAMESPACE = "shardtape"

# What `start` gave, and the address of the cluster that has it.
_given: dict[str, str] = {}
_address = ""


def start(cpus: int, variables: Mapping[str, str], **options: Any) -> None:
    """Starts Ray on this machine and connects to it.

    Args:
      cpus: that Ray shall give out.
      variables: environment of all its processes; this one's own stays as it is.
      options: further ones of `ray.init`.
    """
    global _given, _address
    prepare_driver()
    with groups_of_their_own(), _environment(variables):
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            **{"namespace": NAMESPACE, "logging_level": logging.ERROR, **options},
        )
    _given, _address = dict(variables), _running()


def prepare_driver() -> None:
    """What Ray would print otherwise."""
    # it warns on every start that this will be its default
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    adapt_ray_output()


def inherited() -> dict[str, str]:
    """The variables of every process of the Ray in use; none where `start` did not start it."""
    known = _address and ray.is_initialized() and _running() == _address
    return dict(_given) if known else {}


def share_of_cores(config: JobConfig) -> int:
    """Threads of each process of a job that runs on this machine alone."""
    return config.threads or max(1, (os.cpu_count() or 1) // max(1, config.ps + config.workers))


def environment_option(wanted: Mapping[str, str], there: Mapping[str, str]) -> dict[str, Any]:
    """The option of an actor that needs the variables `wanted`, where all have those of `there`."""
    other = {name: value for name, value in wanted.items() if there.get(name) != value}
    return {"runtime_env": {"env_vars": other}} if other else {}


def _running() -> str:
    """The address of the Ray in use; empty for one that is reached by `ray://`."""
    return getattr(ray.get_runtime_context(), "gcs_address", "")


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """While it is open, processes are started with these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
