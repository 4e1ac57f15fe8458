"""Sums of rows, the last axes of arrays, and of short ones: a call per row is most of the time.

`einsum` walks over the rows in one loop. Measured on (8192, 64) of float32: 0.15 ms by
`add.reduce`, 0.03 ms by `einsum`. A product with ones is a little faster, but the BLAS adds in an
order that depends on its threads.
"""

from __future__ import annotations

import math

import numpy as np

# Longer rows are summed part by part, so that the error does not grow with their length.
_PART_ELEMENTS = 512
# Less costs no more than what einsum does before its loop, 1 us.
_LEAST_ROWS, _LEAST_ELEMENTS = 128, 4096
_LONG_RUN = 1024  # elements that lie together; numpy adds rows of these fast enough


def sums_rows(x: np.ndarray, count: int) -> bool:
    """Whether `sum_of_trailing` is faster than numpy for a contiguous array of floats."""
    width = math.prod(x.shape[x.ndim - count :])
    if x.size < max(_LEAST_ROWS * width, _LEAST_ELEMENTS):
        return False
    return width <= _PART_ELEMENTS or width % _PART_ELEMENTS == 0


def sum_of_trailing(x: np.ndarray, count: int) -> np.ndarray:
    """The sum over the last `count` axes of a contiguous array of float32 or float64."""
    kept = x.shape[: x.ndim - count]
    width = math.prod(x.shape[x.ndim - count :])
    if width <= _PART_ELEMENTS:
        return np.einsum("ij->i", x.reshape(-1, width)).reshape(kept)
    parts = np.einsum("ij->i", x.reshape(-1, _PART_ELEMENTS))
    return np.add.reduce(parts.reshape(-1, width // _PART_ELEMENTS), 1).reshape(kept)


def sum_of_middle(x: np.ndarray, first: int, last: int) -> np.ndarray | None:
    """The sum over the axes from `first` to `last`, with others before and after, as (outer, inner)
    of a contiguous array of floats; None where numpy is as fast.

    The rows of few elements that numpy would add one by one are first added as long ones.
    """
    count, inner = math.prod(x.shape[first : last + 1]), math.prod(x.shape[last + 1 :])
    if not 0 < inner <= _LONG_RUN // 4:
        return None
    together = math.gcd(count, 1 << (_LONG_RUN // inner).bit_length() - 1)
    if together < 4 or count < 4 * together:
        return None
    parts = np.add.reduce(x.reshape(-1, count // together, together * inner), 1)
    return np.add.reduce(parts.reshape(-1, together, inner), 1)
