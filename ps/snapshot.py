"""Snapshots of a shard without a pause, and the states that they give.

A snapshot is of one log position. A background thread copies the arrays block by block; before an
update writes rows that are not copied yet, it copies their blocks itself. So an update waits for
the copy of what it touches at most, and never for the whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shardtape.errors import (
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
)
from shardtape.ps.ids import Incarnation, RangeId, VariableSpec
from shardtape.ps.ledger import LedgerGroup
from shardtape.ps.partition import Placement

# Rows are copied in blocks of about so many bytes: what a writer may have to wait for, 0.1 ms.
BLOCK_BYTES = 1 << 20
# A writer waits for the copy of one block; only a machine that is out of memory takes seconds.
BLOCK_DEADLINE_S = 60.0

Arrays = dict[RangeId, np.ndarray]


@dataclass(slots=True)
class ShardState:
    """All that a shard knows at one log position, except staged parts (their batches run again).

    Fields:
      parameters: by range; slots: by slot name, then by range (trained variables only).
      groups: ledgers and update counts, with the rows that they belong to.
      round: sync rounds applied; 0 in the other modes.
      optimizer: the update rule's configuration; learning_rate: what replaced its own, or None.
      counts: counters that a restart should not lose (see `Shard.counters`).
    """

    index: int
    placement: Placement
    specs: tuple[VariableSpec, ...]
    generation: int
    incarnation: Incarnation
    lsn: int
    version: int
    round: int
    optimizer: dict[str, Any]
    learning_rate: float | None
    groups: list[LedgerGroup]
    counts: dict[str, int]
    parameters: Arrays = field(default_factory=dict)
    slots: dict[str, Arrays] = field(default_factory=dict)

    def header(self) -> dict[str, Any]:
        """All but the arrays, JSON-able."""
        return {
            "index": self.index,
            "placement": self.placement.to_json(),
            "specs": [[s.key, list(s.shape), s.dtype, s.role] for s in self.specs],
            "generation": self.generation,
            "incarnation": list(self.incarnation),
            "lsn": self.lsn,
            "version": self.version,
            "round": self.round,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "groups": [group.to_json() for group in self.groups],
            "counts": self.counts,
            "slots": sorted(self.slots),
        }

    @classmethod
    def from_header(
        cls, header: Mapping[str, Any], parameters: Arrays, slots: dict[str, Arrays]
    ) -> ShardState:
        """The state of a header and its arrays. Raises FailedPreconditionError if they differ."""
        try:
            specs = tuple(VariableSpec(k, tuple(s), d, r) for k, s, d, r in header["specs"])
            state = cls(
                index=int(header["index"]),
                placement=Placement.from_json(header["placement"]),
                specs=specs,
                generation=int(header["generation"]),
                incarnation=Incarnation(*header["incarnation"]),
                lsn=int(header["lsn"]),
                version=int(header["version"]),
                round=int(header["round"]),
                optimizer=dict(header["optimizer"]),
                learning_rate=header["learning_rate"],
                groups=[LedgerGroup.from_json(group) for group in header["groups"]],
                counts={str(k): int(v) for k, v in header["counts"].items()},
                parameters=parameters,
                slots=slots,
            )
            expected = list(header["slots"])
        except (KeyError, TypeError, ValueError) as error:
            raise FailedPreconditionError(f"not the header of a shard state: {error!r}") from error
        if expected != sorted(slots):
            raise FailedPreconditionError(
                f"the state of shard {state.index} has the slots {expected}, got arrays of "
                f"{sorted(slots)}"
            )
        return state


# What has happened to a block.
_FREE, _CLAIMED, _COPIED = 0, 1, 2


class Buffers:
    """Memory for one snapshot, touched already: fresh pages cost ten times what the copy does.

    Make it before the shard is asked for the snapshot, without holding the shard's lock. It may
    serve the next snapshot when nobody uses the state of this one any more.

    Args:
      parameters, slots: the live arrays, of which only shapes and dtypes are read.
    """

    def __init__(self, parameters: Arrays, slots: Mapping[str, Arrays]) -> None:
        self.parameters = {id: _touched(array) for id, array in parameters.items()}
        self.slots = {
            name: {id: _touched(array) for id, array in arrays.items()}
            for name, arrays in slots.items()
        }


class Snapshot:
    """A copy in the making; `Shard.snapshot_begin` makes it.

    Args:
      state: complete but for the arrays.
      parameters, slots: the live arrays.
      start: whether a background thread copies; without one `state()` does.
      buffers: where to copy to; None: new memory.
    """

    def __init__(
        self,
        state: ShardState,
        parameters: Arrays,
        slots: Mapping[str, Arrays],
        *,
        start: bool = True,
        buffers: Buffers | None = None,
    ) -> None:
        self._state = state
        self._pairs: dict[RangeId, list[tuple[np.ndarray, np.ndarray]]] = {}
        if buffers is not None:
            state.parameters, state.slots = buffers.parameters, buffers.slots
        else:
            state.parameters = {id: np.empty_like(array) for id, array in parameters.items()}
            for name, arrays in slots.items():
                state.slots[name] = {id: np.empty_like(array) for id, array in arrays.items()}
        for id, array in parameters.items():
            self._pairs[id] = [(array, state.parameters[id])]
        for name, arrays in slots.items():
            for id, array in arrays.items():
                self._pairs[id].append((array, state.slots[name][id]))
        self._rows_per_block = {id: _rows_per_block(pairs) for id, pairs in self._pairs.items()}
        self._blocks = {
            id: bytearray(max(1, -(-_rows(pairs[0][0]) // self._rows_per_block[id])))
            for id, pairs in self._pairs.items()
        }
        self._left = sum(len(blocks) for blocks in self._blocks.values())
        # held for moments only, and never while a block is copied: a thread that takes it again and
        # again would keep the writer out until all is copied
        self._changed = threading.Condition()
        self._waiting = 0
        self._finished = threading.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if not self._left:
            self._finished.set()
        if start:
            self._thread = threading.Thread(
                target=self._run, name=f"snapshot-{state.index}", daemon=True
            )
            self._thread.start()

    @property
    def lsn(self) -> int:
        """The log position that the snapshot is of."""
        return self._state.lsn

    @property
    def done(self) -> bool:
        """Whether all is copied, or nothing will be any more."""
        return self._finished.is_set()

    def before_write(
        self, id: RangeId, first: int, last: int, rows: np.ndarray | None = None
    ) -> None:
        """To be called before rows first..last of a range (or the given ones) are written."""
        if self._finished.is_set():
            return
        size = self._rows_per_block[id]
        states = self._blocks[id]
        if rows is None:
            blocks: Any = range(first // size, min(len(states), -(-last // size)))
        else:
            blocks = np.unique(rows // size).tolist()
        for block in blocks:
            if states[block] != _COPIED:
                self._copy(id, block, wait=True)

    def state(self, deadline_s: float = 60.0) -> ShardState:
        """The finished copy.

        Raises:
          DeadlineExceededError: it is not finished in time.
          CancelledError: it was cancelled.
          InternalError: the copying thread failed.
        """
        if self._thread is None and not self._finished.is_set():
            self._run()
        begun = time.monotonic()
        if not self._finished.wait(deadline_s):
            raise DeadlineExceededError(
                f"the snapshot of shard {self._state.index} at entry {self.lsn} is not copied "
                f"after {time.monotonic() - begun:.1f} s: {self._left} blocks are left"
            )
        if isinstance(self._error, CancelledError):
            raise self._error
        if self._error is not None:
            raise InternalError(
                f"the snapshot of shard {self._state.index} failed: {self._error!r}"
            ) from self._error
        return self._state

    def cancel(self) -> None:
        """Stops copying; later writes are not slowed any more."""
        with self._changed:
            if not self._finished.is_set():
                self._error = CancelledError(
                    f"the snapshot of shard {self._state.index} at entry {self.lsn} was cancelled"
                )
                self._finished.set()
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            for id, states in self._blocks.items():
                for block in range(len(states)):
                    if self._finished.is_set():
                        return
                    if states[block] == _FREE:
                        self._copy(id, block)
        except Exception as error:  # noqa: BLE001 - whoever asks for the state gets it
            with self._changed:
                self._error = error
                self._finished.set()
                self._changed.notify_all()

    def _copy(self, id: RangeId, block: int, wait: bool = False) -> None:
        """Copies a block, unless another thread does; with `wait`, until it is copied."""
        states = self._blocks[id]
        with self._changed:
            if wait and states[block] == _CLAIMED:
                self._waiting += 1
                copied = self._changed.wait_for(
                    lambda: states[block] != _CLAIMED or self._finished.is_set(), BLOCK_DEADLINE_S
                )
                self._waiting -= 1
                if not copied:
                    raise DeadlineExceededError(
                        f"a block of part {id[1]} of variable {id[0]!r} is not copied after "
                        f"{BLOCK_DEADLINE_S:g} s: the snapshot's thread hangs"
                    )
            if states[block] != _FREE or self._finished.is_set():
                return
            states[block] = _CLAIMED
        size = self._rows_per_block[id]
        cut = slice(block * size, (block + 1) * size)
        for live, copy in self._pairs[id]:
            if live.ndim:
                copy[cut] = live[cut]
            else:
                copy[...] = live
        with self._changed:
            states[block] = _COPIED
            self._left -= 1
            if not self._left:
                self._finished.set()
            if self._waiting:
                self._changed.notify_all()


def begin(shard: Any) -> Snapshot:
    """Begins a snapshot of a shard at its newest entry (the same as `shard.snapshot_begin()`)."""
    return shard.snapshot_begin()


def _touched(array: np.ndarray) -> np.ndarray:
    copy = np.empty_like(array)
    copy.fill(0)
    return copy


def _rows(array: np.ndarray) -> int:
    return array.shape[0] if array.ndim else 1


def _rows_per_block(pairs: list[tuple[np.ndarray, np.ndarray]]) -> int:
    total_bytes = sum(live.nbytes for live, _ in pairs)
    rows = _rows(pairs[0][0])
    return max(1, min(rows, BLOCK_BYTES * rows // max(total_bytes, 1)))
