"""The staging area of a shard: parts of attempts that are not applied yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from shardtape.ps.ids import AttemptId, RangeId
from shardtape.ps.messages import Part, Scalars

# Of one shape and dtype, so many buffers are kept for re-use; fresh pages cost more than the copy.
_KEPT_BUFFERS = 8


@dataclass(slots=True)
class Staged:
    """What one attempt has staged so far.

    Fields:
      parts: by (range, kind).
      scalars: of the commit that closed it; None: more parts may follow.
    """

    worker: int
    based_on: int
    parts: dict[tuple[RangeId, str], Part] = field(default_factory=dict)
    scalars: Scalars | None = None
    bytes: int = 0


class Staging:
    """Staged attempts by (BatchId, attempt); attempts of one batch never mix."""

    def __init__(self) -> None:
        self._staged: dict[AttemptId, Staged] = {}
        self._buffers: dict[tuple[tuple[int, ...], np.dtype], list[np.ndarray]] = {}
        self._pooled: set[int] = set()  # ids of arrays in staged parts that go back to _buffers
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._staged)

    def __iter__(self) -> Iterator[AttemptId]:
        return iter(self._staged)

    def get(self, attempt: AttemptId) -> Staged | None:
        return self._staged.get(attempt)

    def items(self) -> Iterable[tuple[AttemptId, Staged]]:
        return self._staged.items()

    def add(
        self,
        attempt: AttemptId,
        worker: int,
        based_on: int,
        parts: Iterable[Part],
        scalars: Scalars | None,
    ) -> None:
        """Stages parts, copied unless private; one that is there already is replaced."""
        staged = self._staged.get(attempt)
        if staged is None:
            staged = self._staged[attempt] = Staged(worker, based_on)
        for part in parts:
            name = ((part.key, part.part), part.kind)
            before = staged.parts.pop(name, None)
            if before is not None:
                self._release(staged, before)
            kept = part if part.private else self._copied(part)
            staged.parts[name] = kept
            size = part_bytes(kept)
            staged.bytes += size
            self.bytes += size
        if scalars is not None:
            staged.scalars = scalars

    def drop(self, attempts: Iterable[AttemptId]) -> int:
        """Forgets attempts; how many there were."""
        count = 0
        for attempt in list(attempts):
            staged = self._staged.pop(attempt, None)
            if staged is not None:
                count += 1
                for part in staged.parts.values():
                    self._release(staged, part)
        return count

    def clear(self) -> None:
        self.drop(self._staged)
        self._buffers.clear()

    def _copied(self, part: Part) -> Part:
        rows = None if part.rows is None else np.array(part.rows)
        kept = self._buffers.get((part.values.shape, part.values.dtype))
        if rows is None and kept:
            values = kept.pop()
            np.copyto(values, part.values)
        else:
            values = np.array(part.values, order="C")
        if rows is None:
            self._pooled.add(id(values))
        return replace(part, values=values, rows=rows, private=True)

    def _release(self, staged: Staged, part: Part) -> None:
        size = part_bytes(part)
        staged.bytes -= size
        self.bytes -= size
        if id(part.values) in self._pooled:
            self._pooled.discard(id(part.values))
            kept = self._buffers.setdefault((part.values.shape, part.values.dtype), [])
            if len(kept) < _KEPT_BUFFERS:
                kept.append(part.values)


def part_bytes(part: Part) -> int:
    """Bytes of a part's arrays."""
    return part.values.nbytes + (0 if part.rows is None else part.rows.nbytes)
