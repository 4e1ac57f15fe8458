"""A shard: the parameter server's state machine, without sockets, threads or clocks.

Every change is a log entry (`shardtape.ps.entry`): a call checks everything, makes the entry with
the next number, and `apply` (`shardtape.ps.machine`) carries it out. A shard is not thread-safe:
its service serialises the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from shardtape.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from shardtape.ps import entry as kinds
from shardtape.ps.consistency import Consistency
from shardtape.ps.digest import values_digest
from shardtape.ps.entry import Entry
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, VariableSpec, name_some
from shardtape.ps.machine import Allocate, StateMachine, allocate_zeros
from shardtape.ps.messages import (
    DROPPED,
    DUPLICATE,
    STAGED,
    InitialValues,
    Pull,
    PullResult,
    Push,
    PushResult,
    RoundDecision,
    RoundResult,
)
from shardtape.ps.partition import Placement
from shardtape.ps.staging import Staged, part_bytes
from shardtape.ps.validation import check_batch, check_scalars, check_sender

# Staged bytes that a shard accepts: at least this, or so many times the bytes of its parameters.
MIN_STAGING_BYTES = 1 << 30
STAGING_FACTOR = 16


class Shard(StateMachine):
    """One shard of a job.

    Args:
      index: its number in the placement.
      placement, specs: of the whole job.
      optimizer: an update rule's configuration (`Optimizer.rule_config()`).
      generation, incarnation: what messages must carry.
      allocate: (shape, dtype, key, part) -> C-contiguous array for the parameters of a range.
      staging_limit_bytes: None: the larger of 1 GiB and 16 times the parameters.

    Attributes:
      parameters: by (key, part), the live storage; written only inside calls.
      slots: by slot name, then by (key, part).
      on_write: None, or called with True before and False after parameters are written.
      spare_buffers: None, or `ps.snapshot.Buffers` for the next snapshot, that of a mark included.
      on_entry: None, or called with each new entry before it is applied (to ship it).

    Raises InvalidArgumentError: placement and specs do not fit, or a trained variable has a type
      that no optimizer updates.
    """

    def __init__(
        self,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int = 0,
        incarnation: Incarnation = Incarnation(0, 0),  # noqa: B008 - immutable
        allocate: Allocate = allocate_zeros,
        staging_limit_bytes: int | None = None,
    ) -> None:
        super().__init__(
            index, placement, specs, optimizer, consistency, generation=generation,
            incarnation=incarnation, allocate=allocate,
        )  # fmt: skip
        self.on_entry: Callable[[Entry], None] | None = None
        self._staging_limit_bytes = (
            max(MIN_STAGING_BYTES, STAGING_FACTOR * self.parameter_bytes)
            if staging_limit_bytes is None
            else staging_limit_bytes
        )

    # ---- identity ---------------------------------------------------------------------------

    def set_role(self, generation: int, incarnation: Incarnation) -> None:
        """Takes a new generation or incarnation; older messages are refused from now on.

        Raises FailedPreconditionError if either is older than what the shard has.
        """
        incarnation = Incarnation(*incarnation)
        if (generation, incarnation) < (self.generation, self.incarnation):
            raise FailedPreconditionError(
                f"shard {self.index} is of generation {self.generation}, incarnation "
                f"{self.incarnation} and cannot go back to {generation}, {incarnation}"
            )
        self.generation, self.incarnation = generation, incarnation

    # ---- first values -----------------------------------------------------------------------

    def initialize(self, values: InitialValues) -> str:
        """Sets the first values of all ranges; their digest.

        A second call with equal values does nothing, also after updates.

        Raises:
          InvalidArgumentError: a range is missing or does not fit.
          NotFoundError: a range is not of this shard.
          AlreadyExistsError: it has other first values, or restored ones.
        """
        self._check_whole()
        for id, array in values.items():
            self._check_array(id, np.asarray(array), "first value")
        missing = [f"{key}[{part}]" for key, part in self.ranges if (key, part) not in values]
        if missing:
            raise InvalidArgumentError(
                f"the first values of shard {self.index} lack {name_some(missing)}"
            )
        digest = values_digest(values)
        if self.ready:
            if digest == self._initial_digest:
                return digest
            was = f"values of digest {self._initial_digest[:12]}" if self._initial_digest else (
                "restored values"
            )  # fmt: skip
            raise AlreadyExistsError(
                f"shard {self.index} already has {was}; the first values sent have the digest "
                f"{digest[:12]}: all workers must build the same model with the same seed"
            )
        self._log(Entry(0, kinds.INITIALIZE, values=values, digest=digest))
        return digest

    # ---- pushes -----------------------------------------------------------------------------

    def push(self, push: Push) -> PushResult:
        """Stages parts of an attempt; closes it if the push carries `commit`.

        Raises:
          AbortedError, FailedPreconditionError: another generation or incarnation; no values yet.
          NotFoundError, InvalidArgumentError: a part does not fit; nothing was changed.
          ResourceExhaustedError: too much is staged.
        """
        batch, attempt = push.batch, push.attempt
        self._check_sender(push.generation, push.incarnation, f"a push of {batch}")
        self._check_ready()
        check_batch(batch, attempt)
        check_scalars(push.commit, batch)
        closing = push.commit is not None
        sync = self.consistency.mode == "sync"
        name = (batch, attempt)
        if all(batch in group.ledger for group in self._groups):
            if not closing:
                return PushResult(batch, attempt, DUPLICATE, self.lsn, self.version)
            entry = self._entry(kinds.COMMIT, push, [])
        else:
            if name in self._abandoned:
                raise AbortedError(
                    f"attempt {attempt} at {batch}: worker {push.worker} was declared dead and the "
                    "parts staged before were dropped; run the batch as a new attempt"
                )
            staged = self._staging.get(name)
            if sync and staged is not None and staged.scalars is not None:  # a repeated message
                return PushResult(batch, attempt, STAGED, self.lsn, self.version)
            if sync and push.based_on != self.round:
                return self._not_of_this_round(push)
            self._validator.push(push)
            if staged is not None:
                self._check_fits_staged(push, staged)
            if sync or not closing:
                self._check_room(push)
                entry = self._entry(kinds.STAGE, push, push.parts)
            else:
                entry = self._entry(kinds.COMMIT, push, push.parts)
        if entry.kind == kinds.COMMIT:
            entry.learning_rates = self._learning_rates(push.commit.learning_rate)  # type: ignore
        return self._log(entry)

    def decide(self, decision: RoundDecision) -> RoundResult:
        """Applies a sync round: the average of its contributions, summed in their order.

        A round that was applied before is a duplicate.

        Raises:
          FailedPreconditionError: a contribution is not staged and closed here, an earlier round
            is missing, or the round was applied from another list. Nothing was changed.
          InvalidArgumentError: the list is empty or names a batch twice.
          AbortedError: another generation or incarnation.
        """
        self._check_sender(
            decision.generation, decision.incarnation, f"the decision of round {decision.round}"
        )
        self._check_ready()
        if self.consistency.mode != "sync":
            raise FailedPreconditionError(
                f"shard {self.index} runs in mode {self.consistency.mode}: rounds are decided "
                "only in mode sync"
            )
        contributions = tuple(
            (BatchId(*batch), attempt) for batch, attempt in decision.contributions
        )
        if decision.round < self.round:
            last = self._last_decision
            if (
                last is not None
                and last.round == decision.round
                and (last.contributions != contributions)
            ):
                raise FailedPreconditionError(
                    f"round {decision.round} was applied on shard {self.index} from another list "
                    f"of contributions: {name_some(batch for batch, _ in last.contributions)}"
                )
            return RoundResult(decision.round, DUPLICATE, self.lsn, self.version)
        if decision.round > self.round:
            raise FailedPreconditionError(
                f"shard {self.index} has applied {self.round} rounds and cannot apply round "
                f"{decision.round} before round {self.round}"
            )
        self._check_contributions(decision.round, contributions)
        return self._log(
            Entry(
                0,
                kinds.ROUND,
                decision=RoundDecision(
                    decision.round, contributions, decision.generation,
                    Incarnation(*decision.incarnation), decision.learning_rate, decision.mark,
                ),
                learning_rates=self._learning_rates(decision.learning_rate),
            )
        )  # fmt: skip

    def staged(self) -> list[AttemptId]:
        """Attempts that are staged and closed, sorted: what a sync round can be made of."""
        return sorted(name for name, s in self._staging.items() if s.scalars is not None)

    @property
    def last_decision(self) -> RoundDecision | None:
        """The newest round applied: a coordinator finishes a half-told decision from it."""
        return self._last_decision

    # ---- pulls ------------------------------------------------------------------------------

    def ready_to_pull(self, worker: int, clock: int) -> bool:
        """Whether the worker may go on: the ssp bound holds, or the sync round's values are here.

        Args:
          clock: see `Pull`.
        """
        if not self.ready:
            return False
        if self.consistency.mode == "async":
            return True
        if self.consistency.mode == "sync":
            return self.round >= clock
        return self._clocks.ready(worker, clock, self.consistency.staleness)

    def pull(self, pull: Pull) -> PullResult:
        """Read-only views of the live arrays; who must wait asks `ready_to_pull` first.

        Raises:
          AbortedError, FailedPreconditionError: another generation or incarnation; no values yet.
          NotFoundError: a range is not of this shard.
        """
        self._check_sender(pull.generation, pull.incarnation, f"a pull of worker {pull.worker}")
        self._check_ready()
        arrays = {}
        for id in self.parameters if pull.keys is None else pull.keys:
            array = self.parameters.get(id)
            if array is None:
                self._validator.expected(id)  # raises, saying where the range is
                raise NotFoundError(f"shard {self.index} has no range {id}")
            view = array.view()
            view.flags.writeable = False
            arrays[id] = view
        return PullResult(self.version, self.lsn, arrays)

    # ---- control ----------------------------------------------------------------------------

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        """Sets which workers live and which of them idle.

        Neither the idle nor the dead hold others back (ssp), and what a dead worker began to
        stage and did not close is dropped; what it closed still counts.
        """
        self._check_whole()
        live_set, idle_set = frozenset(live), frozenset(idle)
        if (live_set, idle_set) != self._clocks.membership:
            self._log(Entry(0, kinds.MEMBERS, live=live_set, idle=idle_set))

    def set_learning_rate(self, rate: float | None) -> None:
        """Replaces the optimizer's own learning rate from the next update; None: gives it back."""
        self._check_whole()
        if rate is not None and not rate >= 0:
            raise InvalidArgumentError(f"a learning rate must be >= 0, got {rate}")
        self._log(Entry(0, kinds.RATE, rate=rate))

    def close_epoch(self, epoch: int) -> None:
        """Cuts the ledger down; pushes for the epoch are duplicates from now on. Idempotent."""
        self._check_whole()
        if epoch < 0:
            raise InvalidArgumentError(f"an epoch must be >= 0, got {epoch}")
        if not all(group.ledger.closed(epoch) for group in self._groups):
            self._log(Entry(0, kinds.CLOSE_EPOCH, epoch=epoch))

    # ---- inside -----------------------------------------------------------------------------

    def _log(self, entry: Entry) -> Any:
        entry.lsn = self.lsn + 1
        if self.on_entry is not None:
            self.on_entry(entry)
        return self.apply(entry)

    def _entry(self, kind: str, push: Push, parts: list[Any]) -> Entry:
        return Entry(
            0, kind, push.batch, push.attempt, push.worker, push.based_on, parts, push.commit
        )

    def _not_of_this_round(self, push: Push) -> PushResult:
        if push.based_on > self.round:
            raise FailedPreconditionError(
                f"a push of {push.batch} is based on round {push.based_on}, but shard {self.index} "
                f"has applied only {self.round}"
            )
        self._counts["dropped"] += 1
        return PushResult(push.batch, push.attempt, DROPPED, self.lsn, self.version)

    # ---- checks -----------------------------------------------------------------------------

    def _check_sender(self, generation: int, incarnation: Incarnation, who: str) -> None:
        if generation != self.generation or incarnation != self.incarnation:
            check_sender(who, generation, incarnation, self.generation, self.incarnation)

    def _check_fits_staged(self, push: Push, staged: Staged) -> None:
        for part in push.parts:
            id = (part.key, part.part)
            other = {"dense": "rows", "rows": "dense", "add": "assign", "assign": "add"}[part.kind]
            if (id, other) in staged.parts:
                raise InvalidArgumentError(
                    f"{push.batch}: a {part.kind} part for part {part.part} of variable "
                    f"{part.key!r}, of which attempt {push.attempt} has staged a {other} part"
                )

    def _check_room(self, push: Push) -> None:
        size = sum(part_bytes(part) for part in push.parts)
        if self._staging.bytes + size > self._staging_limit_bytes:
            raise ResourceExhaustedError(
                f"shard {self.index} holds {self._staging.bytes:,} staged bytes of at most "
                f"{self._staging_limit_bytes:,} and cannot take {size:,} more for {push.batch}: "
                "wait for a commit or a round, then send again"
            )

    def _check_contributions(self, number: int, contributions: tuple[AttemptId, ...]) -> None:
        if not contributions:
            raise InvalidArgumentError(f"the decision of round {number} names no contribution")
        if len({batch for batch, _ in contributions}) != len(contributions):
            raise InvalidArgumentError(f"the decision of round {number} names a batch twice")
        for batch, attempt in contributions:
            if all(batch in group.ledger for group in self._groups):
                continue  # taken before the cut that this job resumed from: adds nothing here
            staged = self._staging.get((batch, attempt))
            where = f"round {number} counts {batch}, attempt {attempt}, which on shard {self.index}"
            if staged is None or staged.scalars is None:
                state = "not staged" if staged is None else "staged only in part"
                raise FailedPreconditionError(f"{where} is {state}")
