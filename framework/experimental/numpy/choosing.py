"""NumPy's functions that choose elements by masks and grids of indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.experimental.numpy.types import array
from shardtape.ops import array as arrays
from shardtape.ops.cast import cast


def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """As `numpy.compress`: the slices along `axis` (of the flat array) where `condition` holds."""
    mask, x = cast(array(condition), dt.bool), array(a)
    if axis is None:
        x, axis = arrays.reshape(x, [-1]), 0
    kept = arrays.where(mask)[:, 0]
    return arrays.gather(x, kept, axis=axis)


def diag_indices(n: int, ndim: int = 2) -> tuple[Any, ...]:
    """As `numpy.diag_indices`."""
    if n < 0:
        raise ValueError(f"n argument to diag_indices must be nonnegative, got {n}")
    if ndim < 0:
        raise ValueError(f"ndim argument to diag_indices must be nonnegative, got {ndim}")
    return (arrays.range(n),) * ndim


def flatten(a: Any, order: str = "C") -> Any:
    """As `numpy.ravel`; `order` is "C", "F" or "K"."""
    x = array(a)
    if order in ("C", "K"):
        return arrays.reshape(x, [-1])
    if order != "F":
        raise ValueError(f"Unsupported value for order in flatten: {order!r}")
    rank = x.shape.rank
    return arrays.reshape(arrays.transpose(x, list(reversed(range(rank)))), [-1])


def ix_(*args: Any) -> list[Any]:
    """As `numpy.ix_`: vectors of indices or masks, shaped so that they span a grid.

    Raises ValueError for an array that is no vector.
    """
    out = []
    for i, a in enumerate(args):
        x = array(a)
        if x.shape.rank != 1:
            raise ValueError(f"Arguments must be 1-d, got arg {i} of rank {x.shape.rank}")
        if x.dtype is dt.bool:
            x = arrays.where(x)[:, 0]
        elif x.shape[0] == 0:
            x = cast(x, dt.int64)
        out.append(arrays.reshape(x, [1] * i + [-1] + [1] * (len(args) - i - 1)))
    return out


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """As `numpy.issubdtype`; tf's types are taken, too."""
    both = [a.numpy_dtype if isinstance(a, dt.DType) else a for a in (arg1, arg2)]
    return bool(np.issubdtype(*both))
