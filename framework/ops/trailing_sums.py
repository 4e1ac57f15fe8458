"""Sums of rows, the last axes of arrays, and of short ones: a call per row is most of the time.

`einsum` walks over the rows in one loop. Measured on (8192, 64) of float32: 0.15 ms by
`add.reduce`, 0.03 ms by `einsum`. A product with ones is a little faster, but the BLAS adds in an
order that depends on its threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Longer rows are summed part by part, so that the error does not grow with their length.
_PART_ELEMENTS = 512
_LEAST_ROWS = 32
_LONG_RUN = 1024  # elements that lie together; numpy adds rows of these fast enough
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def sums_rows(x: np.ndarray, axes: Any) -> bool:
    """Whether `sum_of_trailing` takes this host array, summed over these axes."""
    if axes is None or x.dtype not in _FLOATS:
        return False
    if not 0 < len(axes) < x.ndim or not x.flags.c_contiguous:
        return False
    if tuple(sorted(axes)) != tuple(range(x.ndim - len(axes), x.ndim)):
        return False
    width = math.prod(x.shape[x.ndim - len(axes) :])
    if x.size < _LEAST_ROWS * width:
        return False
    return width <= _PART_ELEMENTS or width % _PART_ELEMENTS == 0


def sum_of_trailing(x: np.ndarray, count: int) -> np.ndarray:
    """The sum over the last `count` axes of an array that `sums_rows` accepts."""
    kept = x.shape[: x.ndim - count]
    width = math.prod(x.shape[x.ndim - count :])
    if width <= _PART_ELEMENTS:
        return np.einsum("ij->i", x.reshape(-1, width)).reshape(kept)
    parts = np.einsum("ij->i", x.reshape(-1, _PART_ELEMENTS))
    return np.add.reduce(parts.reshape(-1, width // _PART_ELEMENTS), 1).reshape(kept)


def sum_of_middle(x: np.ndarray, axes: Any) -> np.ndarray | None:
    """The sum over neighbouring axes between others, as (outer, inner); None for other axes.

    The rows of few elements that numpy would add one by one are first added as long ones.
    """
    if axes is None or x.dtype not in _FLOATS or not x.flags.c_contiguous or len(axes) >= x.ndim:
        return None
    first, last = min(axes), max(axes)
    if first == 0 or last == x.ndim - 1 or last - first + 1 != len(axes):
        return None
    count, inner = math.prod(x.shape[first : last + 1]), math.prod(x.shape[last + 1 :])
    if not 0 < inner <= _LONG_RUN // 4:
        return None
    together = math.gcd(count, 1 << (_LONG_RUN // inner).bit_length() - 1)
    if together < 4 or count < 4 * together:
        return None
    parts = np.add.reduce(x.reshape(-1, count // together, together * inner), 1)
    return np.add.reduce(parts.reshape(-1, together, inner), 1)
