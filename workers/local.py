"""A job in the driver's own process: the same coordinator, worker loop and shard state machine,
joined by queues and calls in place of sockets. Neither Ray nor gRPC is started."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any

from shardtape.errors import UnavailableError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.client import Client
from shardtape.ps.ids import VariableSpec
from shardtape.ps.local_channel import LocalChannel
from shardtape.ps.partition import Placement
from shardtape.workers.assembly import assemble, worker_job
from shardtape.workers.config import JobConfig
from shardtape.workers.coordinator import Coordinator
from shardtape.workers.data import DataSpec
from shardtape.workers.job import Functions, Job, clipping_of, strip
from shardtape.workers.sessions import LocalSession
from shardtape.workers.shard_group import ShardGroup
from shardtape.workers.status import Outcome, Status
from shardtape.workers.worker import SLOTS, WorkerLoop

# How long the threads are waited for at the end; a step that hangs is left behind.
_JOIN_S = 10.0


class LocalFleet:
    """Shards and workers of one process. A shard's death is the process's own."""

    def __init__(self, shards: int, workers: int) -> None:
        self.channels = [LocalChannel() for _ in range(shards)]
        self.workers = workers
        self.threads: list[threading.Thread] = []
        self.sessions: list[LocalSession] = []

    def replace_shard(self, index: int) -> LocalChannel:
        self.channels[index] = LocalChannel()
        return self.channels[index]

    def restart_worker(self, index: int) -> None:
        raise NotImplementedError(f"worker-{index} is a thread of this process")

    def address(self, index: int) -> str:
        return f"local:{index}"

    def start_workers(self, job: Job, functions: Functions, coordinator: Coordinator) -> None:
        """One thread per worker; it joins by itself."""
        for index in range(self.workers):
            session = LocalSession(coordinator.post)
            loop = WorkerLoop(index, worker_job(job, functions), session, self._connect)
            thread = threading.Thread(
                target=self._live, args=(loop, session), name=f"worker-{index}", daemon=True
            )
            self.threads.append(thread)
            self.sessions.append(session)
            thread.start()

    def _live(self, loop: WorkerLoop, session: LocalSession) -> None:
        with contextlib.suppress(UnavailableError):  # the coordinator ended it: a job that failed
            loop.run()
        session.close()

    def _connect(self, welcome: pb.Welcome, specs: tuple[VariableSpec, ...], worker: int) -> Client:
        # channels of its own, as over sockets: a shard tells workers apart by them
        channels: list[Any] = [LocalChannel(channel.host) for channel in self.channels]
        return Client(
            channels,
            Placement.from_json(welcome.placement_json),
            specs,
            worker,
            generation=welcome.generation,
            slots=SLOTS,
        )


class LocalRunner:
    """Runs a job in threads of this process.

    Args:
      shards, workers: how many of each; more than one worker is for tests.
    """

    def __init__(
        self,
        config: JobConfig,
        functions: Functions,
        train: DataSpec,
        test: DataSpec | None,
        optimizer: Any,
        partitioner: Any = None,
        shards: int = 1,
        workers: int = 1,
    ) -> None:
        job = Job(
            config=config,
            functions=b"",
            train=strip(train),
            test=None if test is None else strip(test),
            optimizer=optimizer.rule_config(),
            clipping=clipping_of(optimizer),
            partitioner=partitioner,
        )
        self.fleet = LocalFleet(shards, workers)
        self._group = ShardGroup(self.fleet.channels)
        self.coordinator = assemble(job, self._group, self.fleet)
        self._outcome: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)
        self._thread.start()
        self.fleet.start_workers(job, functions, self.coordinator)

    def _run(self) -> None:
        self._outcome.put(self.coordinator.run())

    def status(self, after_note: int) -> Status:
        return self.coordinator.status(after_note)

    def stop(self, reason: str) -> None:
        self.coordinator.stop(reason)

    def wait(self, timeout_s: float) -> Outcome | None:
        try:
            return self._outcome.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        for session in self.fleet.sessions:
            session.peer.close()
        for thread in (*self.fleet.threads, self._thread):
            thread.join(_JOIN_S)
        self._group.close()
