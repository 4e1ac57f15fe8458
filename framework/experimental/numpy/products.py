"""NumPy's products of vectors, matrices and arrays, on tensors."""

from __future__ import annotations

import functools
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, linalg
from shardtape import math as m
from shardtape.experimental.numpy.arrays import diagonal, moveaxis, ravel
from shardtape.experimental.numpy.types import array, promoted
from shardtape.ops import array as arrays
from shardtape.ops.cast import cast


def _fitting(product: Any) -> Any:
    """The product as a function that raises ValueError where the shapes do not fit."""

    @functools.wraps(product)
    def checked(x1: Any, x2: Any) -> Any:
        try:
            return product(x1, x2)
        except errors.InvalidArgumentError as error:
            raise ValueError(str(error)) from error

    return checked


@_fitting
def matmul(x1: Any, x2: Any) -> Any:
    """As `numpy.matmul`."""
    a, b = promoted(x1, x2)
    for x in (a, b):
        if x.shape.rank == 0:
            raise ValueError("matmul takes no scalars: use multiply")
    if a.shape.rank is None or b.shape.rank is None:
        return _matmul_of_any_rank(a, b)
    if b.shape.rank == 1:
        if a.shape.rank == 1:
            return linalg.tensordot(a, b, 1)
        return linalg.matvec(a, b)
    if a.shape.rank == 1:
        return arrays.squeeze(linalg.matmul(a[None], b), [-2])
    return linalg.matmul(a, b)


def _matmul_of_any_rank(a: Any, b: Any) -> Any:
    """While a graph is built: vectors become matrices at run time, and the result loses that."""
    row, column = (cast(arrays.rank(x) == 1, dt.int32) for x in (a, b))
    left = arrays.reshape(a, arrays.concat([arrays.ones([row], dt.int32), arrays.shape(a)], 0))
    right = arrays.reshape(b, arrays.concat([arrays.shape(b), arrays.ones([column], dt.int32)], 0))
    made = linalg.matmul(left, right)
    sizes = arrays.shape(made)
    kept = arrays.concat([sizes[:-2], sizes[-2:-1][row:], sizes[-1:][column:]], 0)
    return arrays.reshape(made, kept)


def dot(a: Any, b: Any) -> Any:
    """As `numpy.dot`."""
    x, y = promoted(a, b)
    if x.shape.rank == 0 or y.shape.rank == 0:
        return x * y
    return linalg.tensordot(x, y, [[x.shape.rank - 1], [max(0, y.shape.rank - 2)]])


def inner(a: Any, b: Any) -> Any:
    """As `numpy.inner`."""
    x, y = promoted(a, b)
    if x.shape.rank == 0 or y.shape.rank == 0:
        return x * y
    return linalg.tensordot(x, y, [[-1], [-1]])


def outer(a: Any, b: Any) -> Any:
    """As `numpy.outer`."""
    x, y = promoted(a, b)
    return ravel(x)[:, None] * ravel(y)[None, :]


def vdot(a: Any, b: Any) -> Any:
    """As `numpy.vdot`."""
    x, y = promoted(a, b)
    return dot(ravel(m.conj(x)), ravel(y))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """As `numpy.tensordot`."""
    x, y = promoted(a, b)
    return linalg.tensordot(x, y, axes)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """As `numpy.einsum`."""
    return linalg.einsum(subscripts, *promoted(*operands))


def kron(a: Any, b: Any) -> Any:
    """As `numpy.kron` of two matrices or vectors."""
    x, y = promoted(a, b)
    rank = max(x.shape.rank, y.shape.rank)
    x, y = [arrays.reshape(v, [1] * (rank - v.shape.rank) + v.shape.as_list()) for v in (x, y)]
    spread_x = arrays.reshape(x, [d for n in x.shape for d in (n, 1)])
    spread_y = arrays.reshape(y, [d for n in y.shape for d in (1, n)])
    return arrays.reshape(spread_x * spread_y, [p * q for p, q in zip(x.shape, y.shape)])


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """As `numpy.cross`: of vectors of two or three; of two vectors of two the number alone."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promoted(a, b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    sizes = [v.shape[-1] for v in (x, y)]
    if any(n not in (2, 3) for n in sizes):
        raise ValueError(f"cross needs vectors of 2 or 3, got shapes {x.shape} and {y.shape}")
    x, y = [
        v if n == 3 else arrays.concat([v, arrays.zeros_like(v[..., :1])], -1)
        for v, n in zip((x, y), sizes)
    ]
    whole = arrays.broadcast_dynamic_shape(arrays.shape(x), arrays.shape(y))
    made = linalg.cross(arrays.broadcast_to(x, whole), arrays.broadcast_to(y, whole))
    return made[..., 2] if sizes == [2, 2] else moveaxis(made, -1, axisc)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    """As `numpy.trace`."""
    found = m.reduce_sum(diagonal(a, offset, axis1, axis2), -1)
    return found if dtype is None else array(found, dtype)
