"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.complex_numbers import conj, real
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.node_names import scoped
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.ops.rounding import abs as abs_
from shardtape.ops.shaping import expand_dims, squeeze, transpose
from shardtape.ops.transcendental import sqrt
from shardtape.tensor import Tensor

_NAMED = ("fro", "euclidean", 1, 2, np.inf)


@scoped("norm")
def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: Any = None
) -> Tensor:
    """The norm of vectors, of matrices or of a whole tensor.

    Args:
      ord: "euclidean" (the root of the sum of squares; "fro" of matrices), 1, 2, np.inf, or
        another positive number (of vectors).
      axis: None (the whole tensor as one vector), an axis (vectors) or a pair (matrices).

    Raises:
      ValueError: an order that is none, or none of matrices.
    """
    is_matrix = isinstance(axis, (tuple, list)) and len(axis) == 2
    if isinstance(axis, (tuple, list)) and len(axis) > 2:
        raise ValueError(
            f"'axis' must be None, an integer, or a tuple of 2 unique integers, got {axis!r}"
        )
    if is_matrix and ord not in _NAMED:
        raise ValueError(f"'ord' must be a supported matrix norm in {_NAMED}, got {ord}")
    if not is_matrix and ord != "euclidean" and not (isinstance(ord, (int, float)) and ord > 0):
        raise ValueError(f"'ord' must be a supported vector norm, got {ord}")
    keep = bool(keepdims)
    x = convert_to_tensor(tensor)
    if x.dtype is dt.string:
        raise TypeError(f"norm takes numbers, got {tensor!r}")
    axes = tuple(axis) if isinstance(axis, list) else axis
    if is_matrix and ord == 2:
        from shardtape.ops.systems import svd

        order = [i for i in range(len(x.shape)) if i not in [a % len(x.shape) for a in axes]]
        moved = transpose(x, [*order, *[a % len(x.shape) for a in axes]])
        result = reduce_max(svd(moved, compute_uv=False), -1)
        for a in sorted(a % len(x.shape) for a in axes):
            result = expand_dims(result, a)
    elif ord in ("fro", "euclidean", 2):
        squares = real(x * conj(x)) if x.dtype.is_complex else x * x
        result = sqrt(reduce_sum(squares, axes, keepdims=True))
        result = _like(result, x)
    else:
        size = abs_(x)
        if ord == 1:
            over = axes if axes is None or not is_matrix else axes[-2]
            result = reduce_sum(size, over, keepdims=True)
            result = reduce_max(result, axes[-1], keepdims=True) if is_matrix else result
        elif ord == np.inf:
            if is_matrix:
                result = reduce_sum(size, axes[1], keepdims=True)
                result = reduce_max(result, axes[0], keepdims=True)
            else:
                result = reduce_max(size, axes, keepdims=True)
        else:
            result = reduce_sum(size**ord, axes, keepdims=True) ** (1.0 / ord)
    if not keep:
        result = squeeze(result, axis=None if axes is None else axes)
    return result


def _like(result: Any, x: Any) -> Any:
    from shardtape.ops.cast import cast

    return cast(result, x.dtype) if x.dtype.is_complex else result


def normalize(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, name: Any = None
) -> tuple[Tensor, Tensor]:
    """`tensor` divided by its norm (see `norm`), and the norm with the axes kept."""
    x = convert_to_tensor(tensor)
    size = norm(x, ord=ord, axis=axis, keepdims=True)
    return x / size, size
