"""Which batches a range has taken: the memory that makes a push count exactly once.

Batches of a split mostly arrive in order, so a split is a high-water mark and the few indices
above it; the same holds for the closed epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shardtape.errors import FailedPreconditionError, InvalidArgumentError
from shardtape.ps.ids import BatchId


class Marks:
    """A set of non-negative ints: all below `high`, and `extra` above it."""

    __slots__ = ("extra", "high")

    def __init__(self, high: int = 0, extra: set[int] | None = None) -> None:
        self.high = high
        self.extra = extra if extra is not None else set()

    def __contains__(self, index: int) -> bool:
        return index < self.high or index in self.extra

    def __len__(self) -> int:
        return self.high + len(self.extra)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Marks):
            return NotImplemented
        return self.high == other.high and self.extra == other.extra

    __hash__ = None  # type: ignore[assignment]

    def add(self, index: int) -> None:
        if index != self.high:
            if index > self.high:
                self.extra.add(index)
            return
        self.high += 1
        while self.high in self.extra:
            self.extra.remove(self.high)
            self.high += 1

    def missing(self, count: int) -> Iterator[int]:
        """Those of 0..count that are not in the set, ascending."""
        return (index for index in range(self.high, count) if index not in self.extra)

    def to_json(self) -> list[Any]:
        return [self.high, sorted(self.extra)]

    @classmethod
    def from_json(cls, value: list[Any]) -> Marks:
        return cls(int(value[0]), {int(index) for index in value[1]})


class Ledger:
    """The batches that a range has taken, by BatchId.

    An epoch that is closed is remembered as one number: all of its batches count as taken.
    `count` is the number of distinct batches that were added, those of closed epochs included.
    """

    __slots__ = ("_closed", "_epochs", "count")

    def __init__(self) -> None:
        self._closed = Marks()
        self._epochs: dict[int, dict[int, Marks]] = {}
        self.count = 0

    def __contains__(self, batch: BatchId) -> bool:
        epoch, split, index = batch
        splits = self._epochs.get(epoch)
        if splits is not None:
            marks = splits.get(split)
            return marks is not None and index in marks
        return epoch in self._closed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def add(self, batch: BatchId) -> bool:
        """Marks a batch as taken; False if it was before (then nothing changes)."""
        if batch in self:
            return False
        epoch, split, index = batch
        self._epochs.setdefault(epoch, {}).setdefault(split, Marks()).add(index)
        self.count += 1
        return True

    def closed(self, epoch: int) -> bool:
        return epoch in self._closed

    def close_epoch(self, epoch: int) -> None:
        """Forgets the splits of an epoch: from now on all of its batches are duplicates."""
        if epoch < 0:
            raise InvalidArgumentError(f"epoch must be >= 0, got {epoch}")
        self._epochs.pop(epoch, None)
        self._closed.add(epoch)

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        """Batches that were not taken.

        Args:
          expected: number of batches by (epoch, split).

        Returns: sorted; none of a closed epoch.
        """
        lacking = []
        for (epoch, split), count in sorted(expected.items()):
            if epoch in self._closed:
                continue
            marks = self._epochs.get(epoch, {}).get(split) or Marks()
            lacking += [BatchId(epoch, split, index) for index in marks.missing(count)]
        return lacking

    def to_json(self) -> dict[str, Any]:
        """JSON-able; equal ledgers give equal values."""
        return {
            "count": self.count,
            "closed": self._closed.to_json(),
            "epochs": {
                str(epoch): {str(split): splits[split].to_json() for split in sorted(splits)}
                for epoch, splits in sorted(self._epochs.items())
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        """Reads `to_json`'s value. Raises FailedPreconditionError if it is none."""
        ledger = cls()
        try:
            ledger.count = int(value["count"])
            ledger._closed = Marks.from_json(value["closed"])
            for epoch, splits in value["epochs"].items():
                ledger._epochs[int(epoch)] = {
                    int(split): Marks.from_json(marks) for split, marks in splits.items()
                }
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise FailedPreconditionError(f"not a ledger: {error!r}") from error
        return ledger


@dataclass(slots=True)
class LedgerGroup:
    """Rows that have taken the same batches: they share a ledger and a count of updates.

    A shard begins with one group. After it took over rows from shards whose logs were cut at
    different places it has one group per source, until closed epochs make them equal again.

    Fields:
      ledger: the batches taken.
      step: updates applied (Adam's t, schedules); batches marked by a skip are not counted.
      segments: runs of rows, numbered inside the whole variable, sorted.
    """

    ledger: Ledger
    step: int
    segments: list[tuple[str, int, int]]

    def to_json(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger.to_json(),
            "step": self.step,
            "segments": [list(segment) for segment in self.segments],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LedgerGroup:
        """Reads `to_json`'s value. Raises FailedPreconditionError if it is none."""
        try:
            segments = [(str(key), int(a), int(b)) for key, a, b in value["segments"]]
            return cls(Ledger.from_json(value["ledger"]), int(value["step"]), segments)
        except (KeyError, TypeError, ValueError) as error:
            raise FailedPreconditionError(f"not a ledger group: {error!r}") from error


def merge_equal(groups: list[LedgerGroup]) -> list[LedgerGroup]:
    """Groups with equal ledgers and steps become one; the order of the first ones stays."""
    merged: list[LedgerGroup] = []
    for group in groups:
        for other in merged:
            if other.step == group.step and other.ledger == group.ledger:
                other.segments = joined(other.segments + group.segments)
                break
        else:
            merged.append(LedgerGroup(group.ledger, group.step, joined(group.segments)))
    return merged


def joined(segments: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The same rows as few sorted segments: touching ones are joined."""
    result: list[tuple[str, int, int]] = []
    for key, start, stop in sorted(segments):
        if result and result[-1][0] == key and result[-1][2] == start:
            result[-1] = (key, result[-1][1], stop)
        else:
            result.append((key, start, stop))
    return result
