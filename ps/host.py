"""A shard and what has to be serialised around it: one lock, waiting pulls, shared parameters.

The state machine is not thread-safe; streams, control calls and the in-process channel all go
through here. Nothing here knows sockets.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from shardtape.errors import (
    AbortedError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, RangeId, VariableSpec, dtype_of
from shardtape.ps.messages import Pull, PullResult, Push, PushResult, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.shard import Shard
from shardtape.ps.snapshot import ShardState, Snapshot
from shardtape.ps.validation import Validator, check_sender
from shardtape.ps.wire.codec import Declared, largest_payload_bytes
from shardtape.ps.wire.layout import Layout, aligned_zeros
from shardtape.ps.wire.shared_memory import Offer, OwnMemory

_LOG = logging.getLogger(__name__)

# Pulls of one owner that may wait at a time.
WAITING_PULLS = 16
FIRST = Incarnation(0, 0)


def specs_digest(specs: Iterable[VariableSpec]) -> str:
    """Hexadecimal; equal for the same variables in any order."""
    rows = sorted((s.key, list(s.shape), s.dtype, s.role) for s in specs)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


class ParameterMemory:
    """One piece of memory for all parameters of a shard, which workers of the host can read.

    Args:
      shared: False: ordinary memory from the start.

    Attributes:
      layout: by range.
      data: uint8 array.
      private_because: why it is not shared, or "".
    """

    def __init__(
        self, index: int, placement: Placement, specs: Iterable[VariableSpec], *, shared: bool
    ) -> None:
        by_key = {spec.key: spec for spec in specs}
        self.layout: Layout[RangeId] = Layout(
            (r.id, r.shape(by_key[r.key]), dtype_of(by_key[r.key].dtype))
            for r in placement.of_shard(index)
        )
        self.private_because = "" if shared else "the shard was told not to share memory"
        self._own: OwnMemory | None = None
        if shared:
            try:
                self._own = OwnMemory(self.layout.bytes)
            except (FailedPreconditionError, ResourceExhaustedError) as error:
                self.private_because = error.message
                _LOG.warning("shard %d serves over gRPC only: %s", index, error.message)
        if self._own is not None:
            self.data = self._own.data
        else:
            self.data = aligned_zeros(self.layout.bytes)

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype, key: str, part: int) -> np.ndarray:
        """For `Shard`."""
        return self.layout.view(self.data, (key, part))

    def offer(self) -> Offer | None:
        return None if self._own is None else self._own.offer()

    def label(self, shard: Shard) -> None:
        """Says whose values these are; readers of another generation stop reading."""
        if self._own is not None:
            sequence = self._own.sequence
            sequence.begin()
            sequence.label(shard.generation, *shard.incarnation)
            sequence.end(shard.version, shard.lsn, shard.ready)

    def give_up(self, generation: int, incarnation: Incarnation) -> None:
        """The shard has got other memory; whoever still reads this one must connect again."""
        if self._own is not None:
            sequence = self._own.sequence
            sequence.begin()
            sequence.label(generation, *incarnation)
            sequence.end(0, 0, False)
        self.close()

    def begin(self) -> None:
        """The parameters are about to change."""
        if self._own is not None:
            self._own.sequence.begin()

    def settle(self, shard: Shard) -> None:
        """The parameters have changed (if they have)."""
        if self._own is not None and self._own.sequence.writing:
            self._own.sequence.end(shard.version, shard.lsn, shard.ready)

    def close(self) -> None:
        """No new reader; those who read go on."""
        if self._own is not None:
            self._own.close()


@dataclass(slots=True)
class _Waiting:
    owner: object
    worker: int
    clock: int
    then: Callable[[], None]


class ShardHost:
    """Serialises the calls of one shard.

    Attributes:
      largest_payload_bytes: bound of what any push or first values can need.

    Args:
      shard: its parameters may lie in `memory`.
      memory: None: the parameters are only read through pulls.
      on_failure: called once, with the error, when the shard breaks and must be replaced; it must
        return at once.
    """

    def __init__(
        self,
        shard: Shard,
        memory: ParameterMemory | None = None,
        on_failure: Callable[[InternalError], None] | None = None,
    ) -> None:
        self.shard = shard
        self.memory = memory
        self.failure: InternalError | None = None
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._owners: dict[int, object] = {}
        self._retired: AbortedError | None = None
        self._snapshots: list[Snapshot] = []
        specs = shard.specs
        self._specs_digest = specs_digest(specs.values())
        self._placement_digest = shard.placement.digest()
        self._validator = Validator(shard.index, shard.placement, specs, shard.ranges)
        self._declared = {
            id: Declared(r.shape(specs[r.key]), dtype_of(specs[r.key].dtype), r.rows)
            for id, r in shard.ranges.items()
        }
        self.largest_payload_bytes = largest_payload_bytes(self._declared.values())
        if memory is not None:
            memory.label(shard)
            shard.on_write = lambda begin: memory.begin() if begin else None

    @classmethod
    def create(
        cls,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int = 0,
        incarnation: Incarnation = FIRST,
        memory: ParameterMemory | None = None,
        shared: bool = True,
        on_failure: Callable[[InternalError], None] | None = None,
    ) -> ShardHost:
        """A host with a new shard, whose parameters lie in `memory` (None: a new one)."""
        specs = tuple(specs)
        if memory is None:
            memory = ParameterMemory(index, placement, specs, shared=shared)
        shard = Shard(
            index,
            placement,
            specs,
            optimizer,
            consistency,
            generation=generation,
            incarnation=incarnation,
            allocate=memory.allocate,
        )
        return cls(shard, memory, on_failure)

    @contextmanager
    def _serialised(self) -> Iterator[Shard]:
        """The shard, for one call; afterwards readers and waiting pulls are served."""
        ready: list[_Waiting] = []
        failed = False
        with self._lock:
            if self._retired is not None:
                raise self._retired
            try:
                yield self.shard
            except InternalError as error:
                failed = self.failure is None
                self.failure = self.failure or error
                raise
            finally:
                # After a failure the parameters may be half-written: they stay marked as such.
                if self.failure is None and self.memory is not None:
                    self.memory.settle(self.shard)
                if self._waiting:
                    ready = self._take_ready()
                if failed and self._on_failure is not None and self.failure is not None:
                    self._on_failure(self.failure)
        for waiting in ready:
            waiting.then()

    def declared(self, id: RangeId) -> Declared:
        """What a range is. Raises NotFoundError that says where it is, if anywhere."""
        found = self._declared.get(id)
        if found is None:
            self._validator.expected(id)
            raise NotFoundError(f"shard {self.shard.index} has no range {id}")
        return found

    def check_client(
        self,
        worker: int,
        generation: int,
        incarnation: tuple[int, int],
        placement_digest: str,
        digest_of_specs: str,
    ) -> None:
        """Refuses a worker that means another shard, other ranges or other variables.

        Digests that are empty are not compared: who only reads may not know them.

        Raises:
          AbortedError, FailedPreconditionError: another generation or incarnation.
          InvalidArgumentError: another placement, or other variables.
        """
        with self._lock:
            shard = self.shard
            if self._retired is not None:
                raise self._retired
            if worker >= 0:
                who = f"worker {worker}"
                theirs = Incarnation(*incarnation)
                check_sender(who, generation, theirs, shard.generation, shard.incarnation)
        if placement_digest and placement_digest != self._placement_digest:
            raise InvalidArgumentError(
                f"worker {worker} places the variables on other shards than shard {shard.index} "
                "does: both must get one placement from the coordinator"
            )
        if digest_of_specs and digest_of_specs != self._specs_digest:
            raise InvalidArgumentError(
                f"worker {worker} has other variables than shard {shard.index}: the model must be "
                "built alike everywhere"
            )

    # ---- data -------------------------------------------------------------------------------

    def claim(self, worker: int, owner: object) -> None:
        """From now on pushes of `worker` count only if `owner` brings them.

        A worker that lost its stream sends its push again through a new one. What the old stream
        still holds must not be read: the gradient memory may be written again by then.
        """
        with self._lock:
            self._owners[worker] = owner

    def release(self, owner: object) -> None:
        """Forgets an owner and its waiting pulls."""
        with self._lock:
            for worker in [w for w, o in self._owners.items() if o is owner]:
                del self._owners[worker]
            self._waiting = [w for w in self._waiting if w.owner is not owner]

    def push(self, push: Push, owner: object = None) -> PushResult:
        """`Shard.push`. Raises AbortedError if `owner` is not the worker's stream any more."""
        with self._serialised() as shard:
            if owner is not None and self._owners.get(push.worker, owner) is not owner:
                raise AbortedError(
                    f"worker {push.worker} has opened another stream: this one counts no more"
                )
            return shard.push(push)

    def when_ready(self, pull: Pull, then: Callable[[], None], owner: object = None) -> bool:
        """Calls `then` once the worker may read: now (returns True), or later on another thread.

        Raises:
          AbortedError, FailedPreconditionError: of another generation, or no values yet.
          ResourceExhaustedError: too many pulls of this owner wait.
        """
        with self._lock:
            if self._retired is not None:
                raise self._retired
            shard = self.shard
            # an empty pull checks the sender without touching values
            shard.pull(Pull(pull.worker, pull.clock, pull.generation, pull.incarnation, ()))
            if not shard.ready_to_pull(pull.worker, pull.clock):
                if sum(1 for w in self._waiting if w.owner is owner) >= WAITING_PULLS:
                    raise ResourceExhaustedError(
                        f"{WAITING_PULLS} pulls of worker {pull.worker} wait already: "
                        "wait for their answers"
                    )
                self._waiting.append(_Waiting(owner, pull.worker, pull.clock, then))
                return False
        then()
        return True

    def pull(self, pull: Pull, take: Callable[[PullResult], Any] | None = None) -> Any:
        """`Shard.pull`; what `take` makes of the live arrays while nobody writes them."""
        with self._lock:
            if self._retired is not None:
                raise self._retired
            result = self.shard.pull(pull)
            return result if take is None else take(result)

    def copied(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Copies of live arrays, each made while nobody writes, as somebody asks for them."""
        while True:
            with self._lock:
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _take_ready(self) -> list[_Waiting]:
        ready: list[_Waiting] = []
        still: list[_Waiting] = []
        for waiting in self._waiting:
            go = self.failure is not None or self.shard.ready_to_pull(waiting.worker, waiting.clock)
            (ready if go else still).append(waiting)
        self._waiting = still
        return ready

    # ---- control ----------------------------------------------------------------------------

    def initialize(self, values: Mapping[RangeId, np.ndarray]) -> str:
        with self._serialised() as shard:
            return shard.initialize(values)

    def decide(self, decision: RoundDecision) -> RoundResult:
        with self._serialised() as shard:
            return shard.decide(decision)

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        with self._serialised() as shard:
            shard.members(live, idle)

    def counters(self) -> dict[str, Any]:
        with self._lock:
            return self.shard.counters()

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        with self._lock:
            return self.shard.missing(expected)

    def staged(self) -> list[tuple[BatchId, int]]:
        with self._lock:
            return self.shard.staged()

    def close_epoch(self, epoch: int) -> None:
        with self._serialised() as shard:
            shard.close_epoch(epoch)

    def set_learning_rate(self, rate: float | None) -> None:
        with self._serialised() as shard:
            shard.set_learning_rate(rate)

    def digest(self) -> str:
        with self._lock:
            return self.shard.digest()

    def set_role(self, generation: int, incarnation: Incarnation) -> None:
        """Older messages are refused from now on; waiting pulls are, too."""
        with self._lock:
            self.shard.set_role(generation, incarnation)
            if self.memory is not None:
                self.memory.label(self.shard)
            waiting, self._waiting = self._waiting, []
        for pull in waiting:
            pull.then()

    def snapshot(self, mark: str = "") -> Snapshot:
        """A snapshot of now, or the one that a round's decision began under `mark`."""
        with self._serialised() as shard:
            snapshot = shard.take_marked(mark) if mark else shard.snapshot_begin()
            self._snapshots = [s for s in self._snapshots if not s.done]
            self._snapshots.append(snapshot)
            return snapshot

    def restore(self, state: ShardState) -> None:
        with self._serialised() as shard:
            shard.restore(state)

    def retire(self, generation: int, incarnation: Incarnation) -> None:
        """Refuses everything from now on (AbortedError): the process gets another role.

        Raises FailedPreconditionError if that role is older than this one.
        """
        shard = self.shard
        if (generation, incarnation) < (shard.generation, shard.incarnation):
            raise FailedPreconditionError(
                f"shard {shard.index} is of generation {shard.generation}, incarnation "
                f"{shard.incarnation}, and cannot go back to {generation}, {incarnation}"
            )
        reason = (
            f"shard {shard.index} was given a new role of generation {generation}, incarnation "
            f"{incarnation}: connect again"
        )
        with self._lock:
            self._retired = AbortedError(reason)
            for snapshot in self._snapshots:
                snapshot.cancel()  # the memory may get other values
            waiting, self._waiting = self._waiting, []
        for pull in waiting:
            pull.then()
