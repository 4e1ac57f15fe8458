"""How far apart the workers of a job may run (async, ssp, sync), and what a push must be.

`Consistency` is the choice, fixed for a job. `Clocks` is what ssp counts by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shardtape.errors import InvalidArgumentError
from shardtape.ps.ids import AttemptId, BatchId

MODES = ("async", "ssp", "sync")
AGGREGATIONS = ("mean", "sum")
NAN_POLICIES = ("apply", "refuse")


@dataclass(frozen=True, slots=True)
class Consistency:
    """The consistency mode of a job.

    Fields:
      mode: "async": a push is applied as it comes, nobody waits. "ssp": the same, but a worker
        whose clock is more than `staleness` ahead of the slowest active one waits at its next
        pull. "sync": pushes are staged until a `RoundDecision` applies their average.
      staleness: ssp only, in batches of a worker, >= 0.
      backup_workers: sync only, >= 0: contributions that a round's decision may leave out.
      aggregation: sync only: "mean" (TensorFlow's SyncReplicas) or "sum" of a round.
      nan: "apply": values of a push are not looked at (TensorFlow's way). "refuse": a part with a
        NaN or an infinity is refused, at the cost of one pass over it.

    Raises InvalidArgumentError that names the field.
    """

    mode: str = "async"
    staleness: int = 0
    backup_workers: int = 0
    aggregation: str = "mean"
    nan: str = "apply"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidArgumentError(
                f"unknown mode {self.mode!r}: expected one of {', '.join(MODES)}"
            )
        if self.aggregation not in AGGREGATIONS:
            raise InvalidArgumentError(
                f"unknown aggregation {self.aggregation!r}: expected one of "
                f"{', '.join(AGGREGATIONS)}"
            )
        if self.nan not in NAN_POLICIES:
            raise InvalidArgumentError(
                f"unknown nan policy {self.nan!r}: expected one of {', '.join(NAN_POLICIES)}"
            )
        if self.staleness < 0:
            raise InvalidArgumentError(f"staleness must be >= 0, got {self.staleness}")
        if self.backup_workers < 0:
            raise InvalidArgumentError(f"backup_workers must be >= 0, got {self.backup_workers}")
        if self.staleness and self.mode != "ssp":
            raise InvalidArgumentError(
                f"staleness {self.staleness} is a setting of mode ssp, but the mode is {self.mode}"
            )
        if self.backup_workers and self.mode != "sync":
            raise InvalidArgumentError(
                f"backup_workers {self.backup_workers} is a setting of mode sync, but the mode is "
                f"{self.mode}"
            )

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Consistency:
        return cls(**values)


class Clocks:
    """Clocks of ssp: how many batches each worker has closed on this shard.

    Counted in log entries, also those that found a duplicate or had no part, but a repeated
    message counts once. A worker process counts its own batches from 0; the shard keeps the
    difference to its own count, so that a restarted process goes on from the minimum.
    """

    # A worker has a few pushes under way at most; older ones are not repeated any more.
    _REMEMBERED = 64

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self._pulled: dict[int, int] = {}
        self._recent: dict[int, deque[AttemptId]] = {}
        self._live: frozenset[int] | None = None
        self._idle: frozenset[int] = frozenset()

    @property
    def counts(self) -> dict[int, int]:
        """Clock by worker, of all that were ever seen."""
        return dict(self._counts)

    @property
    def membership(self) -> tuple[frozenset[int] | None, frozenset[int]]:
        """What `members` set: (live, idle); live is None before."""
        return self._live, self._idle

    def active(self) -> set[int]:
        """Workers that hold others back: alive and not idle."""
        live = set(self._counts) if self._live is None else self._live
        return {worker for worker in live if worker not in self._idle}

    def advance(self, worker: int, batch: BatchId, attempt: int) -> None:
        """Counts a batch that a worker closed, unless the message is a repetition."""
        self._join(worker)
        recent = self._recent.setdefault(worker, deque(maxlen=self._REMEMBERED))
        if (batch, attempt) not in recent:
            recent.append((batch, attempt))
            self._counts[worker] += 1

    def members(self, live: frozenset[int], idle: frozenset[int]) -> None:
        """Sets who is alive and who of them waits for work; others are held back by neither.

        Who becomes active starts at the minimum of those that were.
        """
        before = self.active() & live
        floor = self._floor(before - idle)
        self._live, self._idle = live, idle
        for worker in live - idle - before:
            own = self._counts.get(worker)
            lifted = floor if own is None else max(own, floor)
            self._offsets[worker] = self._offsets.get(worker, 0) + lifted - (own or 0)
            self._counts[worker] = lifted

    def ready(self, worker: int, clock: int, staleness: int) -> bool:
        """Whether a worker may use values at its own clock, `staleness` ahead of the slowest.

        Args:
          clock: the worker process's own count; 0 is the first pull of a process. Several pulls
            may be asked about again and again, in any order.
        """
        pulled = self._pulled.get(worker)
        if pulled is not None and clock == 0 < pulled:  # the process was restarted
            for book in (self._counts, self._offsets, self._recent, self._pulled):
                book.pop(worker, None)
            pulled = None
        self._join(worker)
        if pulled is None:
            self._offsets[worker] = self._counts[worker] - clock
        self._pulled[worker] = max(clock, pulled or 0)
        others = [self._counts[w] for w in self.active() if w != worker and w in self._counts]
        return not others or clock + self._offsets[worker] - min(others) <= staleness

    def _join(self, worker: int) -> None:
        if worker not in self._counts:
            self._counts[worker] = self._floor(self.active())
            self._offsets[worker] = self._counts[worker]

    def _floor(self, active: Iterable[int]) -> int:
        """Where a newcomer starts: at the slowest active worker, else where all have come to."""
        counts = [self._counts[worker] for worker in active if worker in self._counts]
        return min(counts) if counts else max(self._counts.values(), default=0)
