"""Where arrays lie in one piece of memory: parameters of a shard, gradients of a worker's slot."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np

from shardtape.ps.wire.frames import ALIGNMENT, aligned

Name = TypeVar("Name", bound=Hashable)


class Layout(Generic[Name]):
    """Arrays one after the other, each at a multiple of 64 bytes.

    Args:
      items: (name, shape, dtype) in order.

    Attributes:
      offsets: of each array, in bytes.
      bytes: of all.
    """

    def __init__(self, items: Iterable[tuple[Name, tuple[int, ...], np.dtype]]) -> None:
        self.offsets: dict[Name, int] = {}
        self._forms: dict[Name, tuple[tuple[int, ...], np.dtype]] = {}
        self.bytes = 0
        for name, shape, dtype in items:
            self.offsets[name] = aligned(self.bytes)
            self._forms[name] = (shape, dtype)
            self.bytes = self.offsets[name] + math.prod(shape) * dtype.itemsize

    def view(self, data: np.ndarray, name: Name) -> np.ndarray:
        """One array inside `data` (uint8)."""
        return array_at(data, self.offsets[name], *self._forms[name])

    def views(self, data: np.ndarray) -> dict[Name, np.ndarray]:
        """All arrays inside `data` (uint8)."""
        return {name: self.view(data, name) for name in self.offsets}


def array_at(data: np.ndarray, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """C-contiguous view of an array inside `data` (uint8), which must be long enough."""
    size = math.prod(shape) * dtype.itemsize
    return data[offset : offset + size].view(dtype).reshape(shape)


def aligned_zeros(size_bytes: int) -> np.ndarray:
    """uint8 array of zeros whose first byte lies at a multiple of 64 (numpy promises only 16)."""
    whole = np.zeros(size_bytes + ALIGNMENT, np.uint8)
    begin = -whole.ctypes.data % ALIGNMENT
    return whole[begin : begin + size_bytes]
