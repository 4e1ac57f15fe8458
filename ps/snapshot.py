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


class Snapshot:
    """A copy in the making; `Shard.snapshot_begin` makes it.

    Args:
      state: complete but for the arrays.
      parameters, slots: the live arrays.
      start: whether a background thread copies; without one `state()` does.
    """

    def __init__(
        self,
        state: ShardState,
        parameters: Arrays,
        slots: Mapping[str, Arrays],
        *,
        start: bool = True,
    ) -> None:
        self._state = state
        self._pairs: dict[RangeId, list[tuple[np.ndarray, np.ndarray]]] = {}
        state.parameters = {id: np.empty_like(array) for id, array in parameters.items()}
        for id, array in parameters.items():
            self._pairs[id] = [(array, state.parameters[id])]
        for name, arrays in slots.items():
            state.slots[name] = {id: np.empty_like(array) for id, array in arrays.items()}
            for id, array in arrays.items():
                self._pairs[id].append((array, state.slots[name][id]))
        self._rows_per_block = {id: _rows_per_block(pairs) for id, pairs in self._pairs.items()}
        self._copied = {
            id: bytearray(max(1, -(-_rows(pairs[0][0]) // self._rows_per_block[id])))
            for id, pairs in self._pairs.items()
        }
        self._left = sum(len(flags) for flags in self._copied.values())
        self._lock = threading.Lock()
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
        flags = self._copied[id]
        if rows is None:
            blocks: Any = range(first // size, min(len(flags), -(-last // size)))
        else:
            blocks = np.unique(rows // size).tolist()
        for block in blocks:
            if not flags[block]:
                self._copy(id, block)

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
        with self._lock:
            if not self._finished.is_set():
                self._error = CancelledError(
                    f"the snapshot of shard {self._state.index} at entry {self.lsn} was cancelled"
                )
                self._finished.set()

    def _run(self) -> None:
        try:
            for id, flags in self._copied.items():
                for block in range(len(flags)):
                    if self._finished.is_set():
                        return
                    if not flags[block]:
                        self._copy(id, block)
        except Exception as error:  # noqa: BLE001 - whoever asks for the state gets it
            self._error = error
            self._finished.set()

    def _copy(self, id: RangeId, block: int) -> None:
        with self._lock:
            flags = self._copied[id]
            if flags[block] or self._finished.is_set():
                return
            size = self._rows_per_block[id]
            cut = slice(block * size, (block + 1) * size)
            for live, copy in self._pairs[id]:
                if live.ndim:
                    copy[cut] = live[cut]
                else:
                    copy[...] = live
            flags[block] = 1
            self._left -= 1
            if not self._left:
                self._finished.set()


def begin(shard: Any) -> Snapshot:
    """Begins a snapshot of a shard at its newest entry (the same as `shard.snapshot_begin()`)."""
    return shard.snapshot_begin()


def _rows(array: np.ndarray) -> int:
    return array.shape[0] if array.ndim else 1


def _rows_per_block(pairs: list[tuple[np.ndarray, np.ndarray]]) -> int:
    total_bytes = sum(live.nbytes for live, _ in pairs)
    rows = _rows(pairs[0][0])
    return max(1, min(rows, BLOCK_BYTES * rows // max(total_bytes, 1)))
