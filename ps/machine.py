"""What a shard is: its arrays, ledgers and staged parts, changed by log entries alone.

`apply` is deterministic: replicas that apply the same entries in the same order are bit-identical
(`digest` compares them). `ps.shard.Shard` puts the checks and the making of entries on top.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape.errors import (
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
)
from shardtape.optimizers import rule_from_config
from shardtape.optimizers.rule import Rule, compute_dtype
from shardtape.ps.consistency import Clocks, Consistency
from shardtape.ps.digest import hash_arrays
from shardtape.ps.entry import Entry
from shardtape.ps.ids import (
    AttemptId,
    BatchId,
    Incarnation,
    Range,
    RangeId,
    SpecTable,
    VariableSpec,
    dtype_of,
    name_some,
)
from shardtape.ps.ledger import Ledger, LedgerGroup, merge_equal
from shardtape.ps.messages import (
    APPLIED,
    DUPLICATE,
    STAGED,
    PushResult,
    RoundDecision,
    RoundResult,
)
from shardtape.ps.partition import Placement
from shardtape.ps.snapshot import Buffers, ShardState, Snapshot
from shardtape.ps.staging import Staged, Staging
from shardtape.ps.update import Segment, Updater, segments_of
from shardtape.ps.validation import Validator

Allocate = Callable[[tuple[int, ...], np.dtype, str, int], np.ndarray]


def allocate_zeros(shape: tuple[int, ...], dtype: np.dtype, key: str, part: int) -> np.ndarray:
    """Storage of one range in ordinary memory."""
    return np.zeros(shape, dtype)


class StateMachine:
    """The state of one shard and the entries that change it.

    Args: see `ps.shard.Shard`.
    """

    generation: int
    incarnation: Incarnation

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
    ) -> None:
        self.index = index
        self.placement = placement
        self.specs = SpecTable(specs)
        placement.check(self.specs.values())
        self.optimizer = optimizer
        self.consistency = consistency
        self.generation = generation
        self.incarnation = Incarnation(*incarnation)
        self.on_write: Callable[[bool], None] | None = None
        self.spare_buffers: Buffers | None = None
        self.ranges: dict[RangeId, Range] = {r.id: r for r in placement.of_shard(index)}
        self.parameters: dict[RangeId, np.ndarray] = {}
        for id, r in self.ranges.items():
            self.parameters[id] = self._allocated(allocate, r)
        self.slots: dict[str, dict[RangeId, np.ndarray]] = {}
        self._rule: Rule = rule_from_config(optimizer)
        self._validator = Validator(
            index, placement, self.specs, self.ranges, consistency.nan == "refuse"
        )
        self._updater = Updater(self._rule, self.specs, self.parameters, self.slots)
        self.parameter_bytes = sum(array.nbytes for array in self.parameters.values())
        self._reset([LedgerGroup(Ledger(), 0, [(r.key, r.start, r.stop) for r in self._own()])])
        self._initial_digest = ""

    def _reset(self, groups: list[LedgerGroup]) -> None:
        self.lsn = 0
        self.round = 0
        self.learning_rate: float | None = None
        self._updates = 0
        self._set_groups(groups)
        self._staging = Staging()
        self._clocks = Clocks()
        self._counts = {"duplicates": 0, "dropped": 0, "skipped": 0, "pushes": 0}
        self._staleness_sum = self._staleness_max = 0
        self._last_decision: RoundDecision | None = None
        self._snapshots: list[Snapshot] = []
        self._marked: dict[str, Snapshot] = {}
        self._abandoned: set[AttemptId] = set()
        self._failure: BaseException | None = None
        self.ready = False

    @property
    def version(self) -> int:
        """Updates that the parameters contain; in sync: rounds."""
        return self.round if self.consistency.mode == "sync" else self._updates

    # ---- the log ----------------------------------------------------------------------------

    def apply(self, entry: Entry) -> Any:
        """Carries out the next entry. What comes from another replica enters here.

        Raises:
          FailedPreconditionError: the entry is not the next one.
          InternalError: it failed half-way; the shard is broken and its process must end.
        """
        self._check_whole()
        if entry.lsn != self.lsn + 1:
            raise FailedPreconditionError(
                f"shard {self.index} is at entry {self.lsn} and cannot apply entry {entry.lsn}"
            )
        try:
            result = getattr(self, "_apply_" + entry.kind)(entry)
        except BaseException as error:
            self._failure = error
            raise InternalError(
                f"shard {self.index} failed inside entry {entry.lsn} ({entry.kind}) and must be "
                f"replaced: {error!r}"
            ) from error
        self.lsn = entry.lsn
        if result is not None:
            result.lsn, result.version = self.lsn, self.version
            mark = entry.decision.mark if entry.decision is not None else ""
            if mark:
                self._marked = {mark: self.snapshot_begin()}
        return result

    def _apply_initialize(self, entry: Entry) -> None:
        values = entry.values or {}
        self._write(True)
        for id, array in self.parameters.items():
            np.copyto(array, values[id])
        self._write(False)
        self.slots.clear()
        for name in self._rule.slots:
            self.slots[name] = {
                id: self._rule.initial(name, self.parameters[id]) for id in self._trained()
            }
        self._initial_digest = entry.digest
        self.ready = True

    def _apply_stage(self, entry: Entry) -> PushResult:
        batch = entry.batch
        assert batch is not None
        self._counts["pushes"] += 1
        self._staging.add(
            (batch, entry.attempt), entry.worker, entry.based_on, entry.parts, entry.scalars
        )
        return PushResult(batch, entry.attempt, STAGED, 0, 0)

    def _apply_commit(self, entry: Entry) -> PushResult:
        batch, scalars = entry.batch, entry.scalars
        assert batch is not None and scalars is not None
        self._counts["pushes"] += 1
        if entry.worker >= 0:  # the coordinator, which marks skipped batches, has no clock
            self._clocks.advance(entry.worker, batch, entry.attempt)
        staged = self._staging.get((batch, entry.attempt))
        result = PushResult(batch, entry.attempt, DUPLICATE, 0, 0)
        open_groups = [g for g, group in enumerate(self._groups) if batch not in group.ledger]
        if open_groups:
            result.status = APPLIED
            result.staleness = max(0, self._updates - entry.based_on)
            if scalars.skip:
                self._counts["skipped"] += 1
            else:
                parts = {((p.key, p.part), p.kind): p for p in entry.parts}
                if staged is not None:
                    parts = {**staged.parts, **parts}
                self._staleness_sum += result.staleness
                self._staleness_max = max(self._staleness_max, result.staleness)
                self._write(True)
                for g in open_groups:
                    self._updater.push(
                        parts.values(), self._segments[g], self._groups[g].step,
                        entry.learning_rates[g], scalars.scale, self._active_snapshots(),
                    )  # fmt: skip
                    self._groups[g].step += 1
                self._write(False)
                self._updates += 1
            for g in open_groups:
                self._groups[g].ledger.add(batch)
        else:
            self._counts["duplicates"] += 1
        if len(self._staging):
            self._drop(lambda other, _: other[0] == batch)
        return result

    def _apply_round(self, entry: Entry) -> RoundResult:
        decision = entry.decision
        assert decision is not None
        named = [(name, self._staging.get(name)) for name in decision.contributions]
        changed = False
        self._write(True)
        for g, group in enumerate(self._groups):
            fresh = [(name, s) for name, s in named if s and name[0] not in group.ledger]
            counted = [s for _, s in fresh if s.scalars is not None and not s.scalars.skip]
            if counted:
                changed = True
                self._updater.round(
                    counted, self._segments[g], group.step, entry.learning_rates[g],
                    self.consistency.aggregation == "mean", self._active_snapshots(),
                )  # fmt: skip
                group.step += 1
            for name, _ in fresh:
                group.ledger.add(name[0])
        self._write(False)
        self._counts["skipped"] += sum(1 for _, s in named if s and s.scalars and s.scalars.skip)
        self._updates += changed
        self.round += 1
        self._last_decision = decision
        used = set(decision.contributions)
        batches = {batch for batch, _ in used}
        dropped = tuple(
            sorted(
                name
                for name, s in self._staging.items()
                if name[0] not in batches and s.based_on <= decision.round and s.scalars is not None
            )
        )
        self._counts["dropped"] += len(dropped)
        self._drop(lambda name, s: name[0] in batches or s.based_on <= decision.round)
        return RoundResult(decision.round, APPLIED, 0, 0, dropped)

    def _apply_close_epoch(self, entry: Entry) -> None:
        for group in self._groups:
            group.ledger.close_epoch(entry.epoch)
        self._set_groups(merge_equal(self._groups))
        self._drop(lambda name, _: name[0].epoch == entry.epoch)
        self._abandoned = {name for name in self._abandoned if name[0].epoch != entry.epoch}

    def _apply_members(self, entry: Entry) -> None:
        self._clocks.members(entry.live, entry.idle)
        lost = [
            name
            for name, s in self._staging.items()
            if s.scalars is None and s.worker not in entry.live
        ]
        # who was taken for dead may still send the end of it: without its beginning
        self._abandoned.update(lost)
        self._staging.drop(lost)

    def _apply_rate(self, entry: Entry) -> None:
        self.learning_rate = entry.rate

    def digest(self) -> str:
        """Hexadecimal; equal for replicas that have applied the same entries."""
        h = hashlib.blake2b(digest_size=32)
        h.update(repr((self.lsn, self.round, self._updates, self.learning_rate)).encode())
        h.update(repr([group.to_json() for group in self._groups]).encode())
        hash_arrays(h, self.parameters)
        for name in sorted(self.slots):
            h.update(name.encode())
            hash_arrays(h, self.slots[name])
        return h.hexdigest()

    def counters(self) -> dict[str, Any]:
        """Numbers for people, tests and metrics.

        applied: distinct batches that every row of the shard has taken; skipped: those of them
        that were void; duplicates: closed again and changed nothing; dropped: contributions that
        missed their round; pushes: messages that made an entry; staged, staged_bytes: now;
        step: updates of the optimizer; staleness_max, staleness_sum: over applied pushes (sum /
        updates is the mean); updates; clocks: by worker; learning_rate: of the next update.
        """
        steps = [group.step for group in self._groups]
        return {
            "shard": self.index,
            "mode": self.consistency.mode,
            "generation": self.generation,
            "incarnation": tuple(self.incarnation),
            "ready": self.ready,
            "lsn": self.lsn,
            "version": self.version,
            "round": self.round,
            "updates": self._updates,
            "step": min(steps),
            "applied": min(group.ledger.count for group in self._groups),
            **self._counts,
            "staged": len(self._staging),
            "staged_bytes": self._staging.bytes,
            "bytes": self.parameter_bytes,
            "slot_bytes": sum(a.nbytes for arrays in self.slots.values() for a in arrays.values()),
            "ranges": len(self.ranges),
            "ledger_groups": len(self._groups),
            "staleness_max": self._staleness_max,
            "staleness_sum": self._staleness_sum,
            "clocks": self._clocks.counts,
            "learning_rate": self._learning_rates(None)[0],
        }

    # ---- reading ----------------------------------------------------------------------------

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        """Batches that some row of this shard has not taken, sorted.

        Args:
          expected: number of batches by (epoch, split); closed epochs lack nothing.
        """
        lacking: set[BatchId] = set()
        for group in self._groups:
            lacking.update(group.ledger.missing(expected))
        return sorted(lacking)

    # ---- snapshot and restore ---------------------------------------------------------------

    def snapshot_begin(self, *, start: bool = True) -> Snapshot:
        """Begins a copy of the state at the newest entry; updates go on (`ps.snapshot`).

        It goes to `spare_buffers`, if there are any.
        """
        self._check_ready()
        buffers, self.spare_buffers = self.spare_buffers, None
        snapshot = Snapshot(
            self._header(), self.parameters, self.slots, start=start, buffers=buffers
        )
        self._snapshots = [s for s in self._snapshots if not s.done]
        self._snapshots.append(snapshot)
        return snapshot

    def take_marked(self, mark: str) -> Snapshot:
        """The snapshot that a round's decision began under this name; it is handed out once."""
        try:
            return self._marked.pop(mark)
        except KeyError:
            raise NotFoundError(
                f"shard {self.index} has no snapshot marked {mark!r}: "
                f"it has {name_some(self._marked)}"
            ) from None

    def restore(self, state: ShardState) -> None:
        """Takes over a saved state; storage stays where it is, staged parts are dropped.

        Generation and incarnation stay the shard's own (`set_role`). Other placements:
        `ps.reshard` first.

        Raises InvalidArgumentError if ranges, shapes or slots differ; nothing was changed.
        """
        self._check_whole()
        ranges = {r.id: r for r in state.placement.of_shard(state.index)}
        if {id: (r.start, r.stop) for id, r in ranges.items()} != {
            id: (r.start, r.stop) for id, r in self.ranges.items()
        }:
            raise InvalidArgumentError(
                f"the state of shard {state.index} of {state.placement.shards} has other ranges "
                f"than shard {self.index} of {self.placement.shards}: reshard it first"
            )
        for id in self.ranges:
            if id not in state.parameters:
                raise InvalidArgumentError(f"the state lacks part {id[1]} of variable {id[0]!r}")
            self._check_array(id, state.parameters[id], "restored value")
        wanted = self._trained()
        for snapshot in self._active_snapshots():
            for id, r in self.ranges.items():
                snapshot.before_write(id, 0, max(r.rows, 1))
        for name in self._rule.slots:
            for id in wanted:
                array = state.slots.get(name, {}).get(id)
                if array is None or array.shape != self.parameters[id].shape:
                    raise InvalidArgumentError(
                        f"the state has no fitting slot {name!r} for part {id[1]} of variable "
                        f"{id[0]!r}, which {self._rule.class_name} needs; it has the slots "
                        f"{name_some(sorted(state.slots))}"
                    )
        self._reset([LedgerGroup.from_json(group.to_json()) for group in state.groups])
        self._initial_digest = ""
        self._write(True)
        for id, array in self.parameters.items():
            np.copyto(array, state.parameters[id])
        self._write(False)
        self.slots.clear()
        for name in self._rule.slots:
            self.slots[name] = {
                id: np.array(state.slots[name][id], compute_dtype(self.parameters[id].dtype))
                for id in wanted
            }
        self.lsn, self._updates, self.round = state.lsn, state.version, state.round
        self.learning_rate = state.learning_rate
        self._counts.update(state.counts)
        self.ready = True

    # ---- inside -----------------------------------------------------------------------------

    def _own(self) -> Sequence[Range]:
        return list(self.ranges.values())

    def _trained(self) -> list[RangeId]:
        return [id for id in self.ranges if self.specs[id[0]].role == "trained"]

    def _set_groups(self, groups: list[LedgerGroup]) -> None:
        self._groups = groups
        self._segments: list[list[Segment]] = [
            segments_of(group.segments, self._own(), self.specs) for group in groups
        ]

    def _allocated(self, allocate: Allocate, r: Range) -> np.ndarray:
        spec = self.specs[r.key]
        dtype, shape = dtype_of(spec.dtype), r.shape(spec)
        if spec.role == "trained":
            compute_dtype(dtype)  # raises for a type that no optimizer updates
        array = allocate(shape, dtype, r.key, r.part)
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise InvalidArgumentError(
                f"allocate gave shape {array.shape}, {array.dtype} for part {r.part} of variable "
                f"{r.key!r}: expected C-contiguous {shape}, {dtype}"
            )
        return array

    def _learning_rates(self, given: float | None) -> tuple[float, ...]:
        own = self.learning_rate if given is None else given
        if own is not None:
            return (own,) * len(self._groups)
        return tuple(self._rule.learning_rate_at(group.step) for group in self._groups)

    def _active_snapshots(self) -> list[Snapshot]:
        if self._snapshots:
            self._snapshots = [s for s in self._snapshots if not s.done]
        return self._snapshots

    def _drop(self, condition: Callable[[AttemptId, Staged], bool]) -> None:
        self._staging.drop([name for name, s in self._staging.items() if condition(name, s)])

    def _write(self, begin: bool) -> None:
        if self.on_write is not None:
            self.on_write(begin)

    def _header(self) -> ShardState:
        return ShardState(
            index=self.index,
            placement=self.placement,
            specs=tuple(self.specs.values()),
            generation=self.generation,
            incarnation=self.incarnation,
            lsn=self.lsn,
            version=self._updates,
            round=self.round,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            groups=[LedgerGroup.from_json(group.to_json()) for group in self._groups],
            counts=dict(self._counts),
        )

    def _check_whole(self) -> None:
        if self._failure is not None:
            raise InternalError(
                f"shard {self.index} failed before and must be replaced: {self._failure!r}"
            ) from self._failure

    def _check_ready(self) -> None:
        self._check_whole()
        if not self.ready:
            raise FailedPreconditionError(
                f"shard {self.index} has no values yet: initialize or restore it first"
            )

    def _check_array(self, id: RangeId, array: np.ndarray, what: str) -> None:
        expected = self._validator.expected(id)
        if array.shape != expected.shape or array.dtype != expected.dtype:
            raise InvalidArgumentError(
                f"the {what} of part {id[1]} of variable {id[0]!r} has shape {array.shape} and "
                f"dtype {array.dtype}, expected {expected.shape} and {expected.dtype}"
            )
