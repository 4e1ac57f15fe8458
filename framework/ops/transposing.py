"""Copies of transposed host arrays, in strips that stay in the processor's cache.

A copy of a transposed matrix reads one element of each row in turn; where the rows are many, and
their length is a power of two, what it reads is pushed out of the cache before its neighbours are
wanted. (1024, 512) of float32: 0.91 ms at once, 0.18 ms by strips of 16 rows.
"""

from __future__ import annotations

import math

import numpy as np

_LEAST_ELEMENTS = 32 << 10
_LEAST_ROWS = 64
_ALIASED_BYTES = 2048  # rows of a multiple of this many bytes share few places of the cache
_STRIP, _ALIASED_STRIP = 64, 16


def copy_transposed(x: np.ndarray, perm: list[int], out: np.ndarray) -> None:
    """Writes `x.transpose(perm)` into `out`."""
    parts = _matrices(x, perm) if x.size >= _LEAST_ELEMENTS and out.flags.c_contiguous else None
    if parts is None:
        np.copyto(out, x.transpose(perm))
        return
    count, rows, columns = parts
    strip = _STRIP if columns * x.itemsize % _ALIASED_BYTES else _ALIASED_STRIP
    for source, target in zip(x.reshape(parts), out.reshape(count, columns, rows)):
        for first in range(0, rows, strip):
            target[:, first : first + strip] = source[first : first + strip].T


def _matrices(x: np.ndarray, perm: list[int]) -> tuple[int, int, int] | None:
    """(count, rows, columns) of matrices that are transposed one by one; None for another order."""
    if not x.flags.c_contiguous:
        return None
    kept = 0
    while kept < x.ndim and perm[kept] == kept:
        kept += 1
    if kept == x.ndim:
        return None
    cut = perm[kept]  # the axes from here on come before those from `kept` on
    if perm != [*range(kept), *range(cut, x.ndim), *range(kept, cut)]:
        return None
    rows, columns = math.prod(x.shape[kept:cut]), math.prod(x.shape[cut:])
    count = math.prod(x.shape[:kept])
    if rows < _LEAST_ROWS or columns < _LEAST_ROWS or rows * columns * count != x.size:
        return None
    return (count, rows, columns) if rows * columns >= _LEAST_ELEMENTS else None
