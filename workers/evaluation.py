"""One pass over the test set, shared out among the workers in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# Batches in a piece. Fixed, so that the sums do not depend on the number of workers.
BATCHES_PER_PIECE = 8


class Piece(NamedTuple):
    """Batches start..stop (stop excluded) of the test set; 0..0 means all, of unknown number."""

    start: int
    stop: int


class Evaluation:
    """Who evaluates which piece, and what came of it.

    Args:
      epoch: the epoch that just ended.
      batches: in the test set; None where only reading it tells (then one worker reads all).
    """

    def __init__(self, epoch: int, batches: int | None) -> None:
        self.epoch = epoch
        if batches is None:
            self._pieces = [Piece(0, 0)]
        else:
            starts = range(0, batches, BATCHES_PER_PIECE)
            self._pieces = [Piece(s, min(s + BATCHES_PER_PIECE, batches)) for s in starts]
        self._waiting = list(self._pieces)
        self._held: dict[int, Piece] = {}
        self._sums: dict[int, tuple[int, float, dict[str, float]]] = {}

    def take(self, worker: int) -> Piece | None:
        """A piece for an idle worker, or None if nothing is left to hand out."""
        if worker in self._held or not self._waiting:
            return None
        self._held[worker] = self._waiting.pop(0)
        return self._held[worker]

    def lost(self, worker: int) -> None:
        """Its piece goes to another worker."""
        piece = self._held.pop(worker, None)
        if piece is not None:
            self._waiting.insert(0, piece)

    def add(
        self, worker: int, start: int, examples: int, loss: float, metrics: Mapping[str, float]
    ) -> None:
        """Sums of a piece, each weighted by examples."""
        self._held.pop(worker, None)
        self._sums.setdefault(start, (examples, loss, dict(metrics)))

    @property
    def complete(self) -> bool:
        return len(self._sums) == len(self._pieces)

    def holders(self) -> dict[int, Piece]:
        return dict(self._held)

    def result(self) -> dict[str, float]:
        """Means over all examples: "loss" and each metric; empty without examples."""
        parts = [self._sums[start] for start in sorted(self._sums)]
        examples = sum(part[0] for part in parts)
        if not examples:
            return {}
        found = {"loss": sum(part[1] for part in parts) / examples}
        for name in sorted({name for part in parts for name in part[2]}):
            found[name] = sum(part[2].get(name, 0.0) for part in parts) / examples
        return found
