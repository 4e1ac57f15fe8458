"""The worker: pull, compute, push, over the batches that the coordinator hands out.

On a step's path there is nothing but the data, the pull, the compiled step and the push; control
messages come and go once per run of batches (in sync once per round). Two gradient slots let a
push travel and be applied while the next step computes. The loop knows neither Ray nor gRPC: it
gets a session, a function that connects to the shards, and a function that builds the step.
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shardtape import backend, context, optimizers
from shardtape.errors import (
    AbortedError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    OpError,
    UnavailableError,
)
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.messages import APPLIED, DROPPED, DUPLICATE, STAGED, PushResult, Scalars
from shardtape.workers import data, failures
from shardtape.workers.histograms import histograms
from shardtape.workers.sessions import PROTOCOL, Session

# Slots for gradients: one is computed into while the other is on its way.
SLOTS = 2
# A report waits for more at most so long, and a worker asks for batches when it has so few.
REPORT_EVERY_S = 0.2
LOW_WATER = 2
# What a dying shard or a roll-back may raise from a pull or push: the worker gives its batches
# back and waits for a new welcome. Anything else from there is a fault of the job.
_CUT_OFF = (
    AbortedError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    UnavailableError,
)

_STATUS = {
    APPLIED: pb.Outcome.APPLIED,
    DUPLICATE: pb.Outcome.DUPLICATE,
    STAGED: pb.Outcome.STAGED,
    DROPPED: pb.Outcome.DROPPED,
}


class StepLike(Protocol):
    """What the loop needs of a compiled step (`shardtape.workers.step.CompiledStep`)."""

    placeholders: Mapping[str, Any]
    specs: tuple[VariableSpec, ...]

    def initial_values(self) -> dict[str, np.ndarray]: ...
    def bind(self, parameters: Mapping[str, np.ndarray]) -> None: ...
    def run(self, feed: Any, key: tuple[int, int, int, int], out: Any = None) -> Any: ...
    def evaluate(self, feed: Any) -> tuple[float, dict[str, float]]: ...
    def graph_def(self) -> Any: ...


@dataclass
class WorkerJob:
    """What every worker of a job is given.

    Fields:
      model: the user's function; build: makes the step of (model, seed, feeds).
      clipping: configuration of an optimizer that clips by norms: the worker's share of it.
      push_timeout_s: longest wait for an acknowledgement before the shard counts as lost.
    """

    job: str
    seed: int
    model: Any
    train: data.DataSpec
    test: data.DataSpec | None
    build: Callable[[Any, int, Any], StepLike]
    clipping: dict[str, Any] | None = None
    push_timeout_s: float = 60.0
    device: str = "CPU"


@dataclass
class _Flight:
    """A push on its way."""

    batch: pb.Batch
    handle: Any
    slot: int
    loss: float
    metrics: dict[str, float]
    examples: int


class WorkerLoop:
    """One worker from its first message to its last.

    Args:
      index: number of the worker in the job.
      session: stream to the coordinator.
      connect: gives a `shardtape.ps.client.Client` for a welcome.
      fetch: gets an array from the object store by its reference; None where there is none.
    """

    def __init__(
        self,
        index: int,
        job: WorkerJob,
        session: Session,
        connect: Callable[[pb.Welcome, tuple[VariableSpec, ...], int], Any],
        fetch: Callable[[Any], np.ndarray] | None = None,
    ) -> None:
        self.index = index
        self.job = job
        self._session = session
        self._connect = connect
        self._fetch = fetch
        self._client: Any = None
        self._generation = -1
        self._items: deque[tuple[pb.Batch, int]] = deque()
        self._flights: deque[_Flight] = deque()
        self._report = pb.Report()
        self._reported_s = 0.0
        self._next_slot = 0
        self._split_base = 0
        self._pushed = 0
        self._pulled_round = -1
        self._version = 0
        self._wait_ms = self._pull_ms = 0.0
        self._gradients: Mapping[str, Any] = {}
        self._clipper: Any = None

    # ---- life -------------------------------------------------------------------------------

    def run(self) -> None:
        """Works until the coordinator says stop or is gone (then UnavailableError is raised)."""
        try:
            join = self._prepare()
        except BaseException as error:  # noqa: BLE001 - user code: all that it raises is told
            self._session.send(pb.FromWorker(failed=failures.to_message(error, 0)))
            self._await_stop()
            return
        self._session.send(pb.FromWorker(join=join))
        try:
            while self._turn():
                pass
        except UnavailableError:
            raise  # the coordinator is gone; shards that are gone do not come up to here
        except OpError as error:  # what a shard refused: the job is wrong, not this process
            self._session.send(pb.FromWorker(failed=failures.to_message(error, self._generation)))
            self._await_stop()
        finally:
            self._disconnect()

    def _prepare(self) -> pb.Join:
        """Opens the data, builds the step, and says who this is."""
        job = self.job
        if job.device == "GPU":
            backend.require_accelerator()
            context.state.device = "/GPU:0"  # of this thread, which builds and runs the step
        if job.clipping is not None:
            self._clipper = optimizers.deserialize(job.clipping)
        feeds = None
        self._train = data.open_source(job.train, self._fetch, None)
        if isinstance(self._train, data.ArraySource):
            feeds = data.feeds_of(self._train.arrays)
        else:
            firsts = (BatchId(0, split, 0) for split in range(len(self._train.lengths())))
            found = map(self._train.batch, firsts)  # the first splits may be empty
            first = next((batch for batch in found if batch is not None), None)
            feeds = None if first is None else data.feeds_of(first)
        self._step = job.build(job.model, job.seed, feeds)
        self._initial_values = self._step.initial_values()  # before `bind` replaces them
        names = tuple(self._step.placeholders)
        if not isinstance(self._train, data.ArraySource):
            self._train = data.open_source(job.train, self._fetch, names)
        self._test = data.open_source(job.test, self._fetch, names) if job.test else None
        self._check_feeds()
        join = pb.Join(
            job=job.job,
            protocol=PROTOCOL,
            worker=self.index,
            pid=os.getpid(),
            host=platform.node(),
            device=job.device,
        )
        for spec in self._step.specs:
            join.variables.add(key=spec.key, shape=spec.shape, dtype=spec.dtype, role=spec.role)
        if self.index == 0:
            graph = self._step.graph_def()
            join.graph = graph.SerializeToString() if graph is not None else b""
        return join

    def _check_feeds(self) -> None:
        """A wrong name, dtype or shape is told before anything is trained."""
        from shardtape.workers.feed import check_feed

        for source in (self._train, self._test):
            if isinstance(source, data.ArraySource):
                first = source.batch(BatchId(0, 0, 0))
                check_feed(self._step.placeholders, first or {})

    def _await_stop(self) -> None:
        while True:
            try:
                message = self._session.receive(1.0)
            except UnavailableError:
                return
            if message is not None and message.WhichOneof("body") == "stop":
                return

    def _turn(self) -> bool:
        """One message or one batch. Returns False when the worker is to stop."""
        if not self._items and self._client is not None:
            try:
                self._land(0)
            except _CUT_OFF as error:
                self._cut_off(error)
            self._send_report()
        message = self._session.receive(0.0 if self._items else 1.0)
        if message is None:
            if self._items:
                batch, clock = self._items.popleft()
                self._train_one(batch, clock)
            return True
        kind = message.WhichOneof("body") or "stop"
        if kind == "stop":
            return False
        if kind == "welcome":
            self._welcome(message.welcome)
        elif getattr(message, kind).generation != self._generation:
            pass  # of before a roll-back
        elif kind == "work":
            self._split_base = message.work.split_base
            self._items.extend((batch, message.work.round) for batch in message.work.batches)
        elif kind == "evaluate":
            self._evaluate(message.evaluate)
        return True

    # ---- connections ------------------------------------------------------------------------

    def _welcome(self, welcome: pb.Welcome) -> None:
        self._disconnect()
        self._generation = welcome.generation
        try:
            self._client = self._connect(welcome, self._step.specs, self.index)
            if welcome.initialize:
                self._client.initialize(self._initial_values)
            self._step.bind(self._client.parameters)
        except _CUT_OFF as error:
            self._cut_off(error)
            return
        self._session.send(pb.FromWorker(ready=pb.Ready(generation=self._generation)))

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        self._items.clear()
        self._flights.clear()
        self._report = pb.Report()
        self._pulled_round = -1
        self._pushed = 0
        if client is not None:
            client.close()

    def _cut_off(self, error: Exception) -> None:
        """A shard does not answer: gives up what it holds and waits for a new welcome."""
        generation = self._generation
        self._disconnect()
        self._generation = -1
        shard = getattr(error, "shard", -1)
        self._session.send(
            pb.FromWorker(
                unavailable=pb.Unavailable(
                    generation=generation, shard=max(0, shard), reason=str(error)
                )
            )
        )

    # ---- training ---------------------------------------------------------------------------

    def _train_one(self, batch: pb.Batch, round_number: int) -> None:
        name = BatchId(batch.epoch, batch.split, batch.index)
        try:
            feed = self._train.batch(name._replace(split=name.split - self._split_base))
        except BaseException as error:  # noqa: BLE001 - the user's data function
            self._failed(error, batch)
            return
        if feed is None:
            self._end_of_split(name)
            return
        try:
            started = time.perf_counter()
            self._pull(round_number)
            pulled = time.perf_counter()
            self._land(SLOTS - 1)
            self._pull_ms = (pulled - started) * 1e3
            self._wait_ms = (time.perf_counter() - pulled) * 1e3
            slot = self._next_slot
            result = self._compute(name, batch, feed, slot)
            if result is not None:
                self._push(name, batch, result, slot, data.examples_in(feed))
            self._report_if_due()
        except _CUT_OFF as error:
            self._cut_off(error)

    def _pull(self, round_number: int) -> None:
        if round_number >= 0:
            if round_number != self._pulled_round:
                self._version = self._client.pull(round_number)
                self._pulled_round = round_number
            return
        self._version = self._client.pull(self._pushed)

    def _compute(self, name: BatchId, batch: pb.Batch, feed: data.Batch, slot: int) -> Any:
        """The step's result, or None if user code raised."""
        started = time.perf_counter()
        try:
            result = self._step.run(feed, (self.job.seed, *name), self._client.gradients(slot))
        except BaseException as error:  # noqa: BLE001 - user code, as above
            self._failed(error, batch)
            return None
        figures = self._report.figures
        figures.compute_ms += (time.perf_counter() - started) * 1e3
        figures.wait_ms += self._wait_ms
        return result

    def _push(self, name: BatchId, batch: pb.Batch, result: Any, slot: int, examples: int) -> None:
        commit = Scalars()
        if self._clipper is not None:
            scale = self._clipper.prepare(result.gradients)
            commit = Scalars(scale) if math.isfinite(scale) else Scalars(skip=True)
        handle = self._client.push(
            name,
            batch.attempt,
            result.gradients,
            slot=slot,
            commit=commit,
            updates=result.updates,
        )
        self._pushed += 1
        self._next_slot = (slot + 1) % SLOTS
        self._gradients = result.gradients
        self._flights.append(
            _Flight(batch, handle, slot, result.loss, dict(result.metrics), examples)
        )

    def _land(self, allowed: int) -> None:
        """Waits for acknowledgements, oldest first, until at most `allowed` pushes are out."""
        while len(self._flights) > allowed:
            flight = self._flights[0]
            results = flight.handle.wait(self.job.push_timeout_s)
            self._flights.popleft()
            self._landed(flight, results)

    def _landed(self, flight: _Flight, results: list[PushResult]) -> None:
        status = _joint_status([result.status for result in results])
        self._report.outcomes.add(batch=flight.batch, status=_STATUS[status])
        if status not in (APPLIED, STAGED):
            return
        figures = self._report.figures
        figures.steps += 1
        figures.examples += flight.examples
        figures.loss += flight.loss
        if not math.isfinite(flight.loss) and not self._report.HasField("not_finite"):
            self._report.not_finite.CopyFrom(flight.batch)
        for name, value in flight.metrics.items():
            figures.metrics[name] += value
        staleness = max(result.staleness for result in results)
        figures.staleness += staleness
        figures.staleness_max = max(figures.staleness_max, staleness)
        self._traffic(flight.handle)

    def _traffic(self, handle: Any) -> None:
        figures = self._report.figures
        pulled = self._client.pull_figures()
        for shard, (size, taken) in enumerate(zip(handle.bytes, handle.milliseconds)):
            if len(figures.traffic) <= shard:
                figures.traffic.add(shard=shard)
            sums = figures.traffic[shard]
            sums.push_bytes += int(size)
            sums.push_ms += taken
            sums.pull_bytes += int(pulled[shard][0])
            sums.pull_ms += pulled[shard][1]

    def _end_of_split(self, name: BatchId) -> None:
        """The split has no batch `name`: nor do later ones of it that are in the queue exist."""
        length = self._train.length(name.epoch, name.split - self._split_base)
        self._report.ended.add(epoch=name.epoch, split=name.split, length=length)
        self._items = deque(
            (b, r) for b, r in self._items if (b.epoch, b.split) != (name.epoch, name.split)
        )

    def _failed(self, error: BaseException, batch: pb.Batch) -> None:
        self._send_report()  # what is done counts, whatever becomes of this batch
        message = failures.to_message(error, self._generation, batch)
        self._session.send(pb.FromWorker(failed=message))

    # ---- reports ----------------------------------------------------------------------------

    def _report_if_due(self) -> None:
        low = len(self._items) <= LOW_WATER
        if low or time.monotonic() - self._reported_s > REPORT_EVERY_S:
            self._send_report()

    def _send_report(self) -> None:
        report = self._report
        if not report.outcomes and not report.ended:
            return
        report.generation = self._generation
        self._report = pb.Report()
        self._reported_s = time.monotonic()
        self._session.send(pb.FromWorker(report=report))

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self, task: pb.Evaluate) -> None:
        reply = pb.Evaluated(generation=self._generation, epoch=task.epoch, start=task.start)
        try:
            self._client.pull(task.clock if task.clock >= 0 else self._pushed)
            self._pulled_round = -1
        except _CUT_OFF as error:
            self._cut_off(error)
            return
        try:
            if self._test is not None and not task.only_histograms:
                self._evaluate_batches(task, reply)
            if task.histograms:
                reply.histograms.extend(histograms(self._client.parameters, self._gradients))
        except BaseException as error:  # noqa: BLE001 - user code, as above
            message = failures.to_message(error, self._generation)
            self._session.send(pb.FromWorker(failed=message))
            return
        self._session.send(pb.FromWorker(evaluated=reply))

    def _evaluate_batches(self, task: pb.Evaluate, reply: pb.Evaluated) -> None:
        assert self._test is not None
        for feed in data.batches_between(self._test, task.start, task.stop):
            count = data.examples_in(feed)
            loss, metrics = self._step.evaluate(feed)
            reply.examples += count
            reply.loss += loss * count
            for name, value in metrics.items():
                reply.metrics[name] += value * count


def _joint_status(statuses: list[str]) -> str:
    """What became of a batch: applied if any shard applied it now, duplicate if none did."""
    for status in (DROPPED, STAGED, APPLIED):
        if status in statuses:
            return status
    return DUPLICATE
