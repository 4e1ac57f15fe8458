"""The driver's side of a job on Ray: joins or starts a cluster, starts the coordinator, follows it.

The coordinator is an actor and never the driver: a driver that came in through `ray://` cannot
reach the shards, and on a cluster of its own life a job outlives the driver.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import time
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayActorError, RayError

from shardtape.backend.environment import of_the_user, process_environment
from shardtape.errors import (
    AlreadyExistsError,
    ResourceExhaustedError,
    UnavailableError,
)
from shardtape.ps.wire import channel as wire
from shardtape.workers import local_ray
from shardtape.workers.config import JobConfig
from shardtape.workers.data import DataSpec, portable
from shardtape.workers.job import Functions, Job, clipping_of, pack, strip
from shardtape.workers.local_ray import NAMESPACE
from shardtape.workers.ray_actors import CoordinatorProcess
from shardtape.workers.status import Outcome, Status
from shardtape.workers.title import coordinator_title

_log = logging.getLogger("shardtape.workers")

# What a process of a job takes that has no values yet: Python, numpy, Ray, gRPC.
_PROCESS_BYTES = 120_000_000
# Answers of the coordinator's own actor to the driver.
_ANSWER_DEADLINE_S = 30.0
# How long a driver that cannot reach the coordinator asks again, and how often.
_UNREACHED_LIMIT_S = 30.0
_ASK_AGAIN_S = 0.5


class RayRunner:
    """Runs a job on Ray.

    Raises:
      ResourceExhaustedError: the cluster lacks CPUs or GPUs; the text says how many.
      UnavailableError: there is no cluster at the address.
      AlreadyExistsError: a job of this name runs on the cluster.
    """

    def __init__(
        self,
        config: JobConfig,
        functions: Functions,
        train: DataSpec,
        test: DataSpec | None,
        optimizer: Any,
        partitioner: Any = None,
    ) -> None:
        self._config = config
        self._coordinator: Any = None
        self._status = Status(workers=config.workers, epochs=config.epochs)
        self._unreached_s: float | None = None  # since when, by the monotonic clock
        packed = pack(functions)
        if config.address == "local" and config.port:
            wire.check_free("127.0.0.1", config.port)  # before anything is started
        self._started_ray = _join_cluster(config)
        try:
            self._coordinator = _running_coordinator(config)
            if self._coordinator is not None:
                self._outcome = self._coordinator.outcome.remote()
                return
            _check_resources(config)
            job = Job(
                config=config,
                functions=packed,
                train=portable(strip(train), ray.put),
                test=None if test is None else portable(strip(test), ray.put),
                optimizer=optimizer.rule_config(),
                clipping=clipping_of(optimizer),
                partitioner=partitioner,
                token=secrets.token_hex(16),
                variables=of_the_user(),
                inherited=local_ray.inherited(),
            )
            self._coordinator = self._start_coordinator(job)
            self._outcome = self._coordinator.run.remote()
        except BaseException:
            self.close()
            raise

    def _start_coordinator(self, job: Job) -> Any:
        config = self._config
        options: dict[str, Any] = {
            "num_cpus": 0,
            "max_concurrency": 8,
        }
        if not job.inherited:  # it computes nothing: any number of threads will do
            options |= local_ray.environment_option(process_environment(1), {})
        if config.address != "local":
            # on a cluster with a life of its own the job outlives its driver
            options |= {
                "name": coordinator_title(config.job),
                "namespace": NAMESPACE,
                "lifetime": "detached",
            }
        return ray.remote(CoordinatorProcess).options(**options).remote(job)

    def status(self, after_note: int) -> Status:
        try:
            reference = self._coordinator.status.remote(after_note)
            self._status = ray.get(reference, timeout=_ANSWER_DEADLINE_S)
            self._unreached_s = None
        except (RayError, GetTimeoutError):
            # `wait` tells what became of the coordinator
            self._status.notes = []
        return self._status

    def stop(self, reason: str) -> None:
        with contextlib.suppress(RayError):
            self._coordinator.stop.remote(reason)

    def wait(self, timeout_s: float) -> Outcome | None:
        done, _ = ray.wait([self._outcome], timeout=timeout_s)
        if not done:
            return None
        try:
            return ray.get(self._outcome)
        except ActorUnavailableError as error:
            # the connection broke, which says nothing of the job: it is asked again
            self._unreached_s = self._unreached_s or time.monotonic()
            if time.monotonic() - self._unreached_s > _UNREACHED_LIMIT_S:
                what = f"could not be reached for {_UNREACHED_LIMIT_S:.0f} s"
                raise _without_coordinator(self._config, what, error) from error
            time.sleep(min(timeout_s, _ASK_AGAIN_S))
            self._outcome = self._coordinator.outcome.remote()
            return None
        except RayActorError as error:
            raise _without_coordinator(self._config, "died", error) from error

    def close(self) -> None:
        coordinator, self._coordinator = self._coordinator, None
        if coordinator is not None and ray.is_initialized():
            with contextlib.suppress(RayError):
                reference = coordinator.end.remote()
                ray.wait([reference], timeout=10.0)
                ray.kill(coordinator)
        if self._started_ray:
            self._started_ray = False
            ray.shutdown()


def _join_cluster(config: JobConfig) -> bool:
    """Connects to Ray. Returns whether this call started a cluster, which `close` ends."""
    if ray.is_initialized():
        return False
    if config.address == "local":
        wanted = math.ceil(config.workers * config.cpus_per_worker)
        local_ray.start(
            max(os.cpu_count() or 1, wanted),
            process_environment(local_ray.share_of_cores(config)),
            log_to_driver=True,
        )
        return True
    local_ray.prepare_driver()
    try:
        ray.init(
            address=config.address,
            namespace=NAMESPACE,
            logging_level=logging.ERROR,
            log_to_driver=True,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"no Ray cluster at {config.address!r}: {str(error).rstrip('. ')}. Start one with "
            "`ray start --head`, or use address=local; one that asks for a token needs "
            "RAY_AUTH_MODE=token and its token in ~/.ray/auth_token"
        ) from error
    return True


def _running_coordinator(config: JobConfig) -> Any:
    """The coordinator that an earlier driver left running on the cluster, or None.

    Raises:
      AlreadyExistsError: there is one, and the user did not ask to go on with it.
    """
    if config.address == "local":
        return None
    try:
        found = ray.get_actor(coordinator_title(config.job), namespace=NAMESPACE)
    except ValueError:
        return None
    try:
        if config.resume:
            return found
        if not ray.get(found.over.remote(), timeout=_ANSWER_DEADLINE_S):
            raise AlreadyExistsError(
                f"job {config.job!r} is running on this cluster: --resume follows it, job=... "
                "gives this one another name"
            )
        ray.kill(found)  # it only kept its outcome for a driver that did not come
        while True:  # until its name is free; the call above bounds how long that can take
            ray.get_actor(coordinator_title(config.job), namespace=NAMESPACE)
            time.sleep(0.05)
    except (RayActorError, GetTimeoutError, ValueError):
        return None


def _check_resources(config: JobConfig) -> None:
    """An actor that Ray cannot place waits in silence, so resources are compared first."""
    have = ray.available_resources()
    total = ray.cluster_resources()
    processes = config.ps + config.workers + 1
    free_bytes = have.get("memory", math.inf)
    if processes * _PROCESS_BYTES > free_bytes:
        raise ResourceExhaustedError(
            f"{config.ps} shards and {config.workers} workers take about "
            f"{processes * _PROCESS_BYTES / 1e9:.1f} GB of memory before they hold any value, Ray "
            f"has {free_bytes / 1e9:.1f} GB free: use fewer"
        )
    needs = {
        "CPU": config.workers * config.cpus_per_worker,
        "GPU": config.workers * config.gpus_per_worker,
    }
    for name, need in needs.items():
        free = have.get(name, 0.0)
        if need <= free:
            continue
        each = config.cpus_per_worker if name == "CPU" else config.gpus_per_worker
        raise ResourceExhaustedError(
            f"the job needs {need:g} {name}s ({config.workers} workers, {each:g} each), Ray has "
            f"{free:g} free of {total.get(name, 0.0):g}: use fewer workers, lower "
            f"{'cpus' if name == 'CPU' else 'gpus'}_per_worker, or add machines"
        )


def _without_coordinator(config: JobConfig, what: str, error: RayActorError) -> Exception:
    """The error of a job whose coordinator `what`; the next run goes on from its checkpoint."""
    detached = config.address != "local" and what != "died"
    lost = UnavailableError(
        f"the coordinator of job {config.job!r} {what} ({_reason(error)})"
        + (": the job may go on without this driver, --resume follows it. " if detached else
           " and its job with it. ")
        + (
            f"The same command goes on from the newest checkpoint in {config.checkpoint_dir}"
            if config.checkpoint_dir
            else "Without checkpoint_dir the job has to begin anew"
        )
    )  # fmt: skip
    lost.coordinator_died = True  # type: ignore[attr-defined]
    return lost


def _reason(error: RayActorError) -> str:
    text = str(error).strip().splitlines()
    line = next((line for line in text if "exit" in line.lower()), text[0] if text else "")
    return line.partition("Some common causes")[0].strip()
