"""Memory that kernels use again and again: one set of buffers per thread.

A fresh array of a few hundred kilobytes costs page faults that are dearer than filling it.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

KEPT_BYTES = 16 << 20  # a larger buffer is made for its use and not kept


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, np.ndarray] = {}


_buffers = _Buffers()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of any content; it is valid until the thread asks for the same name again."""
    dtype = np.dtype(dtype)
    size_bytes = math.prod(shape) * dtype.itemsize
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.size < size_bytes:
        buffer = np.empty(size_bytes, np.uint8)
        if size_bytes <= KEPT_BYTES:
            _buffers.by_name[name] = buffer
    return buffer[:size_bytes].view(dtype).reshape(shape)
