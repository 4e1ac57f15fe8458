"""A worker's client: whole variables in, gradients out, cut and sent to where their rows live."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shardtape.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    OpError,
    UnavailableError,
)
from shardtape.ps.channels import Answer, Channel, Greeting
from shardtape.ps.grpc_channel import GrpcChannel
from shardtape.ps.ids import BatchId, Incarnation, RangeId, SpecTable, VariableSpec, dtype_of
from shardtape.ps.local_channel import LocalChannel
from shardtape.ps.messages import ADD, ASSIGN, ROWS, Part, Pull, Push, PushResult, Scalars
from shardtape.ps.partition import Placement
from shardtape.ps.slots import Slot, cut
from shardtape.ps.wire.channel import Deadlines, RetryPolicy
from shardtape.ps.wire.codec import FixedParts, Parts
from shardtape.ps.wire.layout import Layout, aligned_zeros

__all__ = ["Channel", "Client", "GrpcChannel", "LocalChannel", "PushHandle", "Rows"]

_LOG = logging.getLogger(__name__)

Updates = Sequence[tuple[str, str, np.ndarray]]
_NO_COMMIT = Scalars()


@dataclass(frozen=True, slots=True)
class Rows:
    """A sparse gradient: some rows of a variable.

    Fields:
      rows: int64, unique row numbers in the whole variable, in any order.
      values: (len(rows), *shape of a row), of the variable's dtype.
    """

    rows: np.ndarray
    values: np.ndarray


class PushHandle:
    """A push under way.

    Attributes:
      batch, attempt: what was pushed.
      bytes: moved to each shard.
    """

    def __init__(
        self,
        client: Client,
        pushes: list[Push],
        answers: list[Answer[PushResult]],
        slot: int | None,
    ) -> None:
        self._client = client
        self._pushes = pushes
        self._answers = answers
        self._slot = slot
        self.batch = pushes[0].batch
        self.attempt = pushes[0].attempt
        self.bytes = [answer.bytes for answer in answers]
        self._results: list[PushResult] | None = None
        self._error: OpError | None = None

    @property
    def milliseconds(self) -> list[float]:
        """From sending to the answer, per shard; 0 where there is none yet."""
        return [answer.milliseconds for answer in self._answers]

    def done(self) -> bool:
        """Whether `wait` would return at once."""
        return self._results is not None or all(answer.done() for answer in self._answers)

    def wait(self, deadline_s: float | None = None) -> list[PushResult]:
        """The shards' answers, in their order.

        A push whose stream broke is sent again under the same ids ("duplicate" then says that the
        first one had arrived).

        Raises:
          DeadlineExceededError, UnavailableError: a shard did not answer; the error names it. The
            gradients' slot is given up: `Client.gradients` gives other arrays from now on.
          OpError: what a shard answered.
        """
        if self._results is not None:
            return self._results
        if self._error is not None:
            raise self._error
        client = self._client
        limit_s = client.deadlines.push_s if deadline_s is None else deadline_s
        give_up = time.monotonic() + limit_s
        results = []
        answered = True
        for shard in range(len(self._answers)):
            try:
                results.append(self._wait_for(shard, give_up))
            except OpError as error:
                answered = answered and not isinstance(
                    error, DeadlineExceededError | UnavailableError
                )
                error.shard = shard  # type: ignore[attr-defined]
                self._error = self._error or error
        client._landed(self, self._slot, answered)
        if self._error is not None:
            raise self._error
        self._results = results
        return results

    def _wait_for(self, shard: int, give_up: float) -> PushResult:
        retry = self._client.retry
        broken = 0.0
        waits = retry.waits_s()
        while True:
            try:
                return self._answers[shard].wait(max(0.0, give_up - time.monotonic()))
            except UnavailableError as error:
                now = time.monotonic()
                broken = broken or now
                wait = next(waits)
                if now + wait > min(give_up, broken + retry.total_s):
                    raise
                _LOG.debug("%s: sending %s again", error.message, self.batch)
                time.sleep(wait)
                self._answers[shard] = self._client.channels[shard].push(self._pushes[shard])


class Client:
    """One worker's view of all shards.

    Args:
      channels: one per shard, in their order; not connected yet.
      placement, specs: of the job.
      worker: its number, >= 0.
      incarnations: of the shards; None: whatever they have when first met.
      slots: pushes that may be under way at a time.

    Attributes:
      parameters: full, contiguous, by key; private to this worker, filled by `pull`, never
        replaced by other arrays.
      greetings: what each shard said when it was met: mode, transport, ...

    Raises what a shard answers: another placement, another job, a wrong token, ...
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        placement: Placement,
        specs: Iterable[VariableSpec],
        worker: int,
        *,
        generation: int = 0,
        job: str = "",
        slots: int = 2,
        incarnations: Sequence[Incarnation] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        if len(channels) != placement.shards:
            raise InvalidArgumentError(
                f"{len(channels)} channels were given for {placement.shards} shards"
            )
        if slots < 1:
            raise InvalidArgumentError(f"a client needs at least 1 slot, got {slots}")
        self.channels = list(channels)
        self.placement = placement
        self.specs = SpecTable(specs)
        self.worker = worker
        self.generation = generation
        self.job = job
        self.deadlines = deadlines or Deadlines()
        self.retry = retry or RetryPolicy()
        placement.check(self.specs.values())
        self.greetings: list[Greeting] = [
            self._hello(index, None if incarnations is None else incarnations[index])
            for index in range(len(self.channels))
        ]
        self._versions = [0] * len(self.channels)
        layout: Layout[str] = Layout(
            (spec.key, spec.shape, dtype_of(spec.dtype)) for spec in self.specs.values()
        )
        self.parameters: dict[str, np.ndarray] = layout.views(aligned_zeros(layout.bytes))
        self._into = self._ranges_of(self.parameters)
        self._pulled: list[tuple[int, float]] = [(0, 0.0)] * len(self.channels)
        shared = any(greeting.transport == "shared" for greeting in self.greetings)
        self._slots = [Slot(self.specs.values(), placement, shared=shared) for _ in range(slots)]
        self._under_way: list[PushHandle | None] = [None] * slots
        for slot in self._slots:
            self._attach(slot)

    def _hello(self, index: int, incarnation: Incarnation | None) -> Greeting:
        greeting = self.channels[index].hello(
            self.worker,
            generation=self.generation,
            incarnation=incarnation,
            placement=self.placement,
            specs=tuple(self.specs.values()),
        )
        if greeting.shard != index:
            raise FailedPreconditionError(
                f"{self.channels[index].name} is shard {greeting.shard}, expected shard {index}: "
                "the addresses are mixed up"
            )
        return greeting

    def _attach(self, slot: Slot) -> None:
        if slot.memory is not None:
            for channel in self.channels:
                channel.attach(slot.memory)

    def _ranges_of(self, arrays: Mapping[str, np.ndarray]) -> list[dict[RangeId, np.ndarray]]:
        """Rows of full variables, per shard."""
        found: list[dict[RangeId, np.ndarray]] = [{} for _ in self.channels]
        for key, spec in self.specs.items():
            for r, rows in cut(key, arrays[key], self.placement, not spec.shape):
                found[r.shard][r.id] = rows
        return found

    @property
    def mode(self) -> str:
        """ "async", "ssp" or "sync"."""
        return self.greetings[0].mode

    @property
    def transports(self) -> list[str]:
        """How bytes travel to each shard: "local", "shared" or "grpc"."""
        return [channel.transport for channel in self.channels]

    # ---- values -----------------------------------------------------------------------------

    def initialize(self, values: Mapping[str, np.ndarray]) -> None:
        """Gives all shards their first values: full variables, by key.

        Raises InvalidArgumentError for a variable that is missing or does not fit, and what the
        shards answer (AlreadyExistsError: they have others).
        """
        for key, spec in self.specs.items():
            if key not in values:
                raise InvalidArgumentError(f"the first values lack variable {key!r}")
            array = np.asarray(values[key])
            if array.shape != spec.shape or array.dtype != dtype_of(spec.dtype):
                raise InvalidArgumentError(
                    f"the first value of variable {key!r} has shape {array.shape} and dtype "
                    f"{array.dtype}, expected {spec.shape} and {spec.dtype}"
                )
        arrays = {key: np.asarray(values[key], order="C") for key in self.specs}
        for channel, ranges in zip(self.channels, self._ranges_of(arrays)):
            channel.initialize(ranges)

    def pull(self, clock: int, deadline_s: float | None = None) -> int:
        """Fills `parameters`; the oldest version among the shards.

        Args:
          clock: see `Pull`.

        Raises:
          DeadlineExceededError, UnavailableError: a shard did not answer; the error names it.
          AbortedError, FailedPreconditionError: of another generation or incarnation.
        """
        limit_s = self.deadlines.pull_s if deadline_s is None else deadline_s
        give_up = time.monotonic() + limit_s
        answers = [self._ask(shard, clock) for shard in range(len(self.channels))]
        for shard, answer in enumerate(answers):
            try:
                answer = self._await_values(shard, clock, answer, give_up)
            except OpError as error:
                error.shard = shard  # type: ignore[attr-defined]
                for other in answers:
                    other.give_up()
                raise
            self._versions[shard] = answer.result().version
            self._pulled[shard] = (answer.bytes, answer.milliseconds)
        return min(self._versions)

    def _ask(self, shard: int, clock: int) -> Answer:
        pull = Pull(self.worker, clock, self.generation, self.greetings[shard].incarnation)
        return self.channels[shard].pull(pull, self._into[shard])

    def _await_values(self, shard: int, clock: int, answer: Answer, give_up: float) -> Answer:
        broken = 0.0
        waits = self.retry.waits_s()
        while True:
            try:
                answer.wait(max(0.0, give_up - time.monotonic()))
                return answer
            except UnavailableError:
                now = time.monotonic()
                broken = broken or now
                wait = next(waits)
                if now + wait > min(give_up, broken + self.retry.total_s):
                    raise
                time.sleep(wait)
                answer = self._ask(shard, clock)

    def pull_figures(self) -> list[tuple[int, float]]:
        """Of the newest pull: bytes and milliseconds per shard."""
        return list(self._pulled)

    # ---- gradients --------------------------------------------------------------------------

    def gradients(self, slot: int) -> dict[str, np.ndarray]:
        """Arrays to write gradients into: full, contiguous, by key of the trained variables.

        Waits until the push that used them was answered, and raises what it raised. After a push
        that was not answered the arrays are other ones.
        """
        self._free(slot)
        return self._slots[slot].arrays

    def _free(self, slot: int) -> None:
        handle = self._under_way[slot]
        if handle is not None:
            handle.wait()

    def push(
        self,
        batch: BatchId,
        attempt: int,
        gradients: Mapping[str, np.ndarray | Rows],
        *,
        slot: int | None = None,
        commit: Scalars | None = _NO_COMMIT,
        updates: Updates = (),
    ) -> PushHandle:
        """Sends gradients and updates of a batch to all shards.

        Args:
          gradients: full variables or `Rows`, by key; variables that got none are left out.
            What is not the slot's own array is copied into it.
          slot: that the gradients were written to; None: the next one that is free.
          commit: what closes the attempt; None: more parts of it follow.
          updates: (key, "add" or "assign", full array): not gradients, such as moving averages.
            They must not change before the push is answered.

        Raises InvalidArgumentError or NotFoundError that names the variable; what shards answer
        is raised by `PushHandle.wait`.
        """
        dense = {key: g for key, g in gradients.items() if not isinstance(g, Rows)}
        more: list[list[Part]] | None = None
        if len(dense) < len(gradients) or updates:
            more = [[] for _ in self.channels]
            for key, gradient in gradients.items():
                if isinstance(gradient, Rows):
                    self._cut_rows(key, gradient, more)
            for key, kind, array in updates:
                self._cut_update(key, kind, array, more)
        fixed: Sequence[FixedParts] | None = None
        if dense:
            slot = self._next_free() if slot is None else slot
            self._check_slot(slot)
            try:
                self._slots[slot].take(dense)
            except (KeyError, ValueError, TypeError) as error:
                self._check_dense(dense)
                raise InvalidArgumentError(f"{batch}: the gradients do not fit: {error}") from error
            fixed = self._slots[slot].parts(tuple(dense))
        else:
            slot = None
        pushes = []
        for shard, greeting in enumerate(self.greetings):
            parts: list[Part]
            if fixed is not None:
                parts = Parts(fixed[shard], () if more is None else more[shard])
            else:
                parts = [] if more is None else more[shard]
            pushes.append(
                Push(
                    batch,
                    attempt,
                    self.worker,
                    self.generation,
                    greeting.incarnation,
                    self._versions[shard],
                    parts,
                    commit,
                )
            )
        answers = [channel.push(push) for channel, push in zip(self.channels, pushes)]
        handle = PushHandle(self, pushes, answers, slot)
        if slot is not None:
            self._under_way[slot] = handle
        return handle

    def _check_slot(self, slot: int) -> None:
        count = len(self._slots)
        if not 0 <= slot < count:
            raise InvalidArgumentError(f"there is no slot {slot}: the client has {count}")
        before = self._under_way[slot]
        if before is not None:
            raise FailedPreconditionError(
                f"slot {slot} still belongs to the push of {before.batch}: wait for it, or write "
                "into another slot"
            )

    def _next_free(self) -> int:
        for slot, handle in enumerate(self._under_way):
            if handle is None:
                return slot
        oldest = 0
        self._free(oldest)
        return oldest

    def _check_dense(self, dense: Mapping[str, np.ndarray]) -> None:
        """Raises an error that names the variable whose gradient does not fit."""
        for key, array in dense.items():
            spec = self.specs[key]
            if spec.role != "trained":
                raise InvalidArgumentError(f"variable {key!r} is {spec.role} and takes no gradient")
            array = np.asarray(array)
            if array.shape != spec.shape or array.dtype != dtype_of(spec.dtype):
                raise InvalidArgumentError(
                    f"the gradient of variable {key!r} has shape {array.shape} and dtype "
                    f"{array.dtype}, the variable {spec.shape} and {spec.dtype}"
                )

    def _cut_rows(self, key: str, gradient: Rows, into: list[list[Part]]) -> None:
        spec = self.specs[key]
        rows, values = gradient.rows, gradient.values
        if not spec.shape or rows.ndim != 1 or values.shape != (len(rows), *spec.shape[1:]):
            raise InvalidArgumentError(
                f"the sparse gradient of variable {key!r} of shape {spec.shape} has row numbers of "
                f"shape {rows.shape} and values of shape {values.shape}"
            )
        rows = rows.astype(np.int64, copy=False)
        if len(rows) > 1 and not np.all(rows[1:] > rows[:-1]):
            order = np.argsort(rows, kind="stable")
            rows, values = rows[order], values[order]
        if len(rows) and (rows[0] < 0 or rows[-1] >= spec.rows):
            bad = rows[0] if rows[0] < 0 else rows[-1]
            raise InvalidArgumentError(
                f"the sparse gradient of variable {key!r} has row {bad}, the variable has rows "
                f"0..{spec.rows}"
            )
        for r in self.placement.of_variable(key):
            low, high = np.searchsorted(rows, (r.start, r.stop))
            if low < high:
                part = Part(key, r.part, ROWS, values[low:high], rows[low:high] - r.start)
                into[r.shard].append(part)

    def _cut_update(self, key: str, kind: str, array: np.ndarray, into: list[list[Part]]) -> None:
        spec = self.specs[key]
        if kind not in (ADD, ASSIGN):
            raise InvalidArgumentError(
                f"unknown kind {kind!r} of an update of variable {key!r}: expected {ADD!r} or "
                f"{ASSIGN!r}"
            )
        array = np.asarray(array)
        if array.shape != spec.shape or array.dtype != dtype_of(spec.dtype):
            raise InvalidArgumentError(
                f"the update of variable {key!r} has shape {array.shape} and dtype {array.dtype}, "
                f"the variable {spec.shape} and {spec.dtype}"
            )
        for r, rows in cut(key, array, self.placement, not spec.shape):
            into[r.shard].append(Part(key, r.part, kind, rows))

    def _landed(self, handle: PushHandle, slot: int | None, answered: bool) -> None:
        """A push is over; without answers of all shards its memory must not be used again."""
        if slot is None or self._under_way[slot] is not handle:
            return
        self._under_way[slot] = None
        if not answered:
            old = self._slots[slot].abandon()
            new = self._slots[slot].memory
            for channel in self.channels:
                channel.replace_memory(old, new)

    # ---- life -------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the connections. What is under way may still be applied."""
        for channel in self.channels:
            channel.close()
        for slot in self._slots:
            slot.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
