"""The three kinds of processes of a job as Ray actors: coordinator, shard, worker.

The coordinator owns the others, so Ray ends them when it dies. Nothing here is on a step's path:
actor calls only start, watch and end processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import Any

import numpy as np
import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from shardtape.backend.environment import process_environment
from shardtape.errors import CancelledError, OpError, UnavailableError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.actor import ShardActor
from shardtape.ps.client import Client
from shardtape.ps.grpc_channel import GrpcChannel
from shardtape.ps.ids import VariableSpec
from shardtape.ps.partition import Placement
from shardtape.workers.assembly import assemble, worker_job
from shardtape.workers.control import ControlServer, GrpcSession
from shardtape.workers.coordinator import Coordinator
from shardtape.workers.data import DataSpec, Handle
from shardtape.workers.job import Job
from shardtape.workers.local_ray import environment_option, share_of_cores
from shardtape.workers.sessions import Started
from shardtape.workers.shard_group import ShardGroup
from shardtape.workers.status import Outcome, Status
from shardtape.workers.title import (
    coordinator_title,
    set_process_title,
    shard_title,
    worker_title,
)
from shardtape.workers.watch import ShardWatch
from shardtape.workers.worker import SLOTS, WorkerLoop

_log = logging.getLogger("shardtape.workers")

# A worker that lost the coordinator tries to come back for so long, then its process ends.
_REJOIN_LIMIT_S = 30.0
# Until a shard's process answers with its address.
_SHARD_START_DEADLINE_S = 120.0
_START_TRIES = 3
# A coordinator whose driver is gone keeps the outcome so long for the next one.
_LINGER_S = 1800.0
_KILLED_EXIT = 1


class ShardProcess(ShardActor):
    """A shard's process with its title. It has no role until the coordinator gives it one."""

    def __init__(self, title: str, **server: Any) -> None:
        set_process_title(title)
        super().__init__(**server)


class WorkerProcess:
    """A worker's process: it joins by itself, also after Ray has restarted it."""

    def __init__(self, coordinator: Any, name: str, index: int, address: str) -> None:
        set_process_title(worker_title(name, index))
        thread = threading.Thread(
            target=self._live, args=(coordinator, index, address), name="worker", daemon=True
        )
        thread.start()

    def _live(self, coordinator: Any, index: int, address: str) -> None:
        """Works until the coordinator says stop; without a coordinator the process ends."""
        job: Job = ray.get(coordinator.job.remote(index))
        lost_s: float | None = None
        while True:
            try:
                session = GrpcSession(address, job.token, job.config.job)
                lost_s = None
                try:
                    self._loop(job, index, session).run()
                finally:
                    session.close()
                return
            except UnavailableError as error:
                _log.warning("worker-%d: %s", index, error)
                lost_s = lost_s or time.monotonic()
                if time.monotonic() - lost_s > _REJOIN_LIMIT_S:
                    os._exit(_KILLED_EXIT)
                time.sleep(0.2)
            except OpError as error:
                _log.error("worker-%d: %s", index, error)
                os._exit(_KILLED_EXIT)

    def _loop(self, job: Job, index: int, session: GrpcSession) -> WorkerLoop:
        config = job.config

        def connect(welcome: pb.Welcome, specs: tuple[VariableSpec, ...], worker: int) -> Client:
            placement = Placement.from_json(welcome.placement_json)
            channels: list[Any] = [
                GrpcChannel(shard.address, job.token, job=config.job, shard=number)
                for number, shard in enumerate(welcome.shards)
            ]
            return Client(
                channels,
                placement,
                specs,
                worker,
                generation=welcome.generation,
                job=config.job,
                slots=SLOTS,
            )

        return WorkerLoop(index, worker_job(job), session, connect, ray.get)


class CoordinatorProcess:
    """The coordinator's process; `run` blocks until the job is over."""

    def __init__(self, job: Job) -> None:
        set_process_title(coordinator_title(job.config.job))
        self._job = job
        self._coordinator: Coordinator | None = None
        self._fleet: RayFleet | None = None
        self._stops: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Starts all processes, trains, ends all processes."""
        try:
            self._job = _own_arrays(self._job)
            fleet = self._fleet = RayFleet(self._job)
            self._outcome = fleet.run(self._started)
        except OpError as error:
            self._outcome = Outcome(error=error)
        finally:
            self.end()
            self._over.set()
        # without a driver that fetches the outcome nobody would end this process
        linger = threading.Timer(_LINGER_S, os._exit, [0])
        linger.daemon = True
        linger.start()
        return self._outcome

    def outcome(self) -> Outcome:
        """Waits for the end of the job that `run` runs."""
        self._over.wait()
        return self._outcome

    def over(self) -> bool:
        """Whether the job is over."""
        return self._over.is_set()

    def _started(self, coordinator: Coordinator) -> None:
        with self._lock:
            self._coordinator = coordinator
            for reason in self._stops:
                coordinator.stop(reason)

    def job(self, worker: int) -> Job:
        """What a worker works from; every new process of a worker asks once."""
        with self._lock:
            if self._coordinator is not None:
                self._coordinator.post(Started(worker))
        return self._job

    def status(self, after_note: int = 0) -> Status:
        if self._coordinator is None:
            config = self._job.config
            return Status(workers=config.workers, epochs=config.epochs)
        return self._coordinator.status(after_note)

    def stop(self, reason: str) -> None:
        with self._lock:
            self._stops.append(reason)
            if self._coordinator is not None:
                self._coordinator.stop(reason)

    def end(self) -> None:
        """Kills the workers and shards; may be called twice."""
        if self._fleet is not None:
            self._fleet.close()


class RayFleet:
    """The processes of one job, started and replaced by its coordinator."""

    def __init__(self, job: Job) -> None:
        self._job = job
        wanted = process_environment(share_of_cores(job.config), job.variables)
        self._environment = environment_option(wanted, job.inherited)
        self._shards: list[Any] = []
        self._addresses: list[str] = []
        self._workers: list[Any] = []
        self._server: ControlServer | None = None
        self._watch: ShardWatch | None = None
        self._closed = False
        self._host = _listening_host()

    def run(self, started: Any) -> Outcome:
        """The whole life of a job; `started` gets its coordinator."""
        job, config = self._job, self._job.config
        term = _next_term(config.job)
        posted: list[Any] = []
        coordinator: Coordinator | None = None

        def post(event: Any) -> None:
            posted.append(event) if coordinator is None else coordinator.post(event)

        # before anything else is started: a port in use is told at once
        self._server = ControlServer(
            post, job.token, config.job, config.workers, self._host, config.port
        )
        self._shards = [self._start_shard(index) for index in range(config.ps)]
        self._start_workers(self._server.address)
        self._addresses = [self._address_of(index) for index in range(config.ps)]
        shards = ShardGroup([self._connect(i) for i in range(config.ps)], term)
        coordinator = assemble(job, shards, self)
        for event in posted:
            coordinator.post(event)
        self._watch = ShardWatch(shards, coordinator, config.heartbeat_timeout_s)
        started(coordinator)
        try:
            return coordinator.run()
        finally:
            self._watch.close()
            shards.close()

    def _start_shard(self, index: int) -> Any:
        config = self._job.config
        # no whole CPU: an actor that Ray cannot place waits in silence
        options = {"num_cpus": 0, "max_concurrency": 4, **self._environment}
        return (
            ray.remote(ShardProcess)
            .options(**options)
            .remote(
                shard_title(config.job, index),
                host=self._host,
                token=self._job.token,
                job=config.job,
            )
        )

    def _address_of(self, index: int) -> str:
        """The address of a shard that was just started; one that dies at once is tried again."""
        for _ in range(_START_TRIES):
            try:
                return ray.get(
                    self._shards[index].address.remote(), timeout=_SHARD_START_DEADLINE_S
                )
            except GetTimeoutError:
                raise UnavailableError(
                    f"the process of shard-{index} did not start in {_SHARD_START_DEADLINE_S:g} s"
                ) from None
            except RayActorError as error:
                if self._closed:
                    raise CancelledError("the job was stopped while it started") from None
                reason = str(error).partition("\n")[0]
                _log.warning("the process of shard-%d died at its start: %s", index, reason)
                self._shards[index] = self._start_shard(index)
        raise UnavailableError(
            f"the process of shard-{index} died {_START_TRIES} times at its start: Ray's session "
            "logs (worker-*.err) have its last words"
        )

    def _connect(self, index: int) -> GrpcChannel:
        return GrpcChannel(
            self._addresses[index], self._job.token, job=self._job.config.job, shard=index
        )

    def _start_workers(self, address: str) -> None:
        config = self._job.config
        options: dict[str, Any] = {
            "num_cpus": config.cpus_per_worker,
            "num_gpus": config.gpus_per_worker,
            "max_restarts": -1,
            **self._environment,
        }
        # they fetch the job from this actor: Ray wants no large arguments for actors that it
        # may have to start again
        coordinator = ray.get_runtime_context().current_actor
        self._workers = [
            ray.remote(WorkerProcess)
            .options(**options)
            .remote(coordinator, config.job, index, address)
            for index in range(config.workers)
        ]

    # ---- what the coordinator asks for ------------------------------------------------------

    def address(self, index: int) -> str:
        return self._addresses[index]

    def replace_shard(self, index: int) -> GrpcChannel:
        with contextlib.suppress(RayError):
            ray.kill(self._shards[index])
        self._shards[index] = self._start_shard(index)
        self._addresses[index] = self._address_of(index)
        return self._connect(index)

    def restart_worker(self, index: int) -> None:
        with contextlib.suppress(RayError):
            ray.kill(self._workers[index], no_restart=False)

    def close(self) -> None:
        """Kills all processes; may be called twice."""
        if self._closed:
            return
        self._closed = True
        for actor in (*self._workers, *self._shards):
            with contextlib.suppress(RayError):
                ray.kill(actor)
        if self._server is not None:
            self._server.close()


def _listening_host() -> str:
    """Loopback, unless the cluster has other nodes."""
    nodes = [node for node in ray.nodes() if node.get("Alive")]
    return "127.0.0.1" if len(nodes) <= 1 else ray.util.get_node_ip_address()


def _next_term(job: str) -> int:
    """The coordinator's term, from a register that gives every number once."""
    from ray.experimental import internal_kv

    term = 0
    while internal_kv._internal_kv_put(f"shardtape:{job}:term:{term}", b"taken", overwrite=False):
        term += 1
    return term


def _own_arrays(job: Job) -> Job:
    """On a cluster of its own life the data must outlive the driver: the coordinator owns it."""
    if job.config.address == "local":
        return job

    def adopted(spec: DataSpec | None) -> DataSpec | None:
        if spec is None:
            return None
        arrays: dict[str, np.ndarray | Handle] = {}
        for name, array in spec.arrays.items():
            if isinstance(array, Handle) and array.reference is not None:
                own = ray.put(ray.get(array.reference))
                array = Handle(array.dtype, array.shape, reference=own)
            arrays[name] = array
        return DataSpec(**{**spec.__dict__, "arrays": arrays})

    train = adopted(job.train)
    assert train is not None
    return Job(**{**job.__dict__, "train": train, "test": adopted(job.test)})
