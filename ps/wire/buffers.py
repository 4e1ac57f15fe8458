"""Memory for payloads that arrive in pieces, used again and again.

Fresh pages cost more than the copy into them: the kernel clears each one first.
"""

from __future__ import annotations

import mmap
import threading
import weakref

import numpy as np

from shardtape.errors import ResourceExhaustedError
from shardtape.ps.wire.memory_limits import available_bytes

# Sizes are rounded up, so that pushes of nearly one size share buffers.
_ROUND_BYTES = 1 << 20


class BufferPool:
    """Hands out byte arrays; each comes back by itself when nobody refers to it any more.

    That nobody does is known from the arrays themselves: whoever keeps a view (a staged part)
    keeps the buffer, and nobody has to say when he is done.

    Args:
      keep_bytes: of buffers that are kept although nobody uses them.
    """

    def __init__(self, keep_bytes: int = 1 << 30) -> None:
        self._keep_bytes = keep_bytes
        self._free: dict[int, list[mmap.mmap]] = {}
        self._free_bytes = 0
        self._used: dict[int, tuple[weakref.ref[np.ndarray], mmap.mmap]] = {}
        # The callback of a weak reference can run inside `take` (garbage collection): re-entrant.
        self._lock = threading.RLock()

    def take(self, size_bytes: int) -> np.ndarray:
        """uint8 array of the size, page-aligned; its contents are arbitrary.

        Raises ResourceExhaustedError if the machine lacks the memory.
        """
        rounded = max(1, -(-size_bytes // _ROUND_BYTES)) * _ROUND_BYTES
        with self._lock:
            free = self._free.get(rounded)
            memory = free.pop() if free else None
            if memory is not None:
                self._free_bytes -= rounded
        if memory is None:
            left = available_bytes()
            if left is not None and rounded > left:
                raise ResourceExhaustedError(
                    f"a payload of {size_bytes:,} bytes does not fit: {left:,} bytes of memory "
                    "are available"
                )
            memory = mmap.mmap(-1, rounded, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        whole = np.frombuffer(memory, np.uint8, size_bytes)
        key = id(whole)
        with self._lock:
            self._used[key] = (weakref.ref(whole, lambda _: self._back(key)), memory)
        return whole

    @property
    def used_bytes(self) -> int:
        """Of buffers that somebody refers to."""
        with self._lock:
            return sum(len(memory) for _, memory in self._used.values())

    def _back(self, key: int) -> None:
        with self._lock:
            _, memory = self._used.pop(key)
            if self._free_bytes + len(memory) <= self._keep_bytes:
                self._free.setdefault(len(memory), []).append(memory)
                self._free_bytes += len(memory)
