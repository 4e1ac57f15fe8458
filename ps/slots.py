"""Where a worker's gradients lie: slots of full variables, shared with the shards of the host."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from shardtape.errors import FailedPreconditionError, NotFoundError, ResourceExhaustedError
from shardtape.ps.ids import VariableSpec, dtype_of
from shardtape.ps.messages import DENSE, Part
from shardtape.ps.partition import Placement
from shardtape.ps.wire.codec import FixedParts
from shardtape.ps.wire.layout import Layout, aligned_zeros
from shardtape.ps.wire.shared_memory import OwnMemory

_LOG = logging.getLogger(__name__)

# Sets of variables that came with a push; more than a few means that each push has another one.
_KEPT_ENCODINGS = 16


def cut(key: str, array: np.ndarray, placement: Placement, scalar: bool) -> list[tuple]:
    """(range, its rows of `array`) of a variable; a scalar has one range, the array itself."""
    ranges = placement.of_variable(key)
    return [(r, array if scalar else array[r.start : r.stop]) for r in ranges]


class Slot:
    """Memory for one push: every trained variable, full and contiguous.

    A slot belongs to the shards from the moment that it is handed over until they have answered.
    If one never answers, the memory is given up (`abandon`): a shard that comes back later may
    still read it, so nobody may write it again.

    Args:
      shared: whether shards of the host shall read it in place.

    Attributes:
      arrays: by key. They are other arrays after `abandon`.
      memory: None where it is not shared.
    """

    def __init__(
        self, specs: Iterable[VariableSpec], placement: Placement, *, shared: bool
    ) -> None:
        self._specs = {spec.key: spec for spec in specs if spec.role == "trained"}
        self._placement = placement
        self._shared = shared
        self._layout: Layout[str] = Layout(
            (spec.key, spec.shape, dtype_of(spec.dtype)) for spec in self._specs.values()
        )
        self.arrays: dict[str, np.ndarray] = {}
        self.memory: OwnMemory | None = None
        self._encoded: dict[tuple[str, ...], list[FixedParts]] = {}
        self._take_memory()

    def _take_memory(self) -> None:
        self.memory = None
        self._encoded = {}
        if self._shared and self._layout.bytes:
            try:
                self.memory = OwnMemory(self._layout.bytes)
            except (ResourceExhaustedError, FailedPreconditionError) as error:
                _LOG.warning("gradients go over gRPC: %s", error.message)
        if self.memory is not None:
            self.arrays = self._layout.views(self.memory.data)
        else:
            self.arrays = self._layout.views(aligned_zeros(self._layout.bytes))

    def parts(self, keys: tuple[str, ...]) -> Sequence[FixedParts]:
        """Dense parts of these variables, one list per shard. Raises NotFoundError."""
        found = self._encoded.get(keys)
        if found is None:
            if len(self._encoded) >= _KEPT_ENCODINGS:
                self._encoded.clear()
            found = self._encoded[keys] = self._encode(keys)
        return found

    def _encode(self, keys: tuple[str, ...]) -> list[FixedParts]:
        parts: list[list[Part]] = [[] for _ in range(self._placement.shards)]
        offsets: list[list[int]] = [[] for _ in range(self._placement.shards)]
        for key in keys:
            spec = self._specs.get(key)
            if spec is None:
                raise NotFoundError(f"{key!r} is no trained variable of this job")
            for r, rows in cut(key, self.arrays[key], self._placement, not spec.shape):
                parts[r.shard].append(Part(key, r.part, DENSE, rows))
                offsets[r.shard].append(self._layout.offsets[key] + r.start * spec.row_bytes)
        memory = self.memory
        return [
            FixedParts(own, None if memory is None else (memory.id, at))
            for own, at in zip(parts, offsets)
        ]

    def take(self, gradients: Mapping[str, np.ndarray]) -> None:
        """Copies in those that are not here already. Raises ValueError for what does not fit."""
        for key, array in gradients.items():
            own = self.arrays[key]
            if own is not array:
                np.copyto(own, array, casting="no")

    def abandon(self) -> OwnMemory | None:
        """Gives the memory up for fresh one; the old one."""
        old = self.memory
        self._take_memory()
        if old is not None:
            old.close()
        return old

    def close(self) -> None:
        if self.memory is not None:
            self.memory.close()
