"""LU decomposition with row exchanges, and what is made of it; batches of square matrices."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.matrix_parts import adjoint, band_part, matrix_diag_part, matrix_set_diag
from shardtape.ops.registry import Arg, op
from shardtape.ops.systems import triangular_solve
from shardtape.shapes import UNKNOWN, TensorShape

_TYPES = frozenset((dt.float32, dt.float64, dt.complex64, dt.complex128))


def _shapes(input: Arg, **attrs: Any) -> list[TensorShape]:
    x = input.shape
    if x.rank is None:
        return [UNKNOWN, UNKNOWN]
    if x.rank < 2:
        raise ValueError(f"Shape must be at least rank 2 but is rank {x.rank}")
    return [x, x[:-1]]


def _samples(rng: np.random.Generator) -> Any:
    return [((rng.normal(size=s) + 1.5 * np.eye(s[-1]),), {}) for s in ((3, 3), (2, 4, 4))]


@op("Lu", dtypes=_TYPES, dtype=lambda dtypes, attrs: (dtypes[0], attrs["output_idx_type"]),
    outputs=2, shape=_shapes, samples=_samples)  # fmt: skip
def lu_op(xp, input, *, output_idx_type=dt.int32):
    """Both factors in one matrix (the ones of L left out), and the order of the rows."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ValueError(f"Input must be square, got {list(input.shape)}")
    n = input.shape[-1]
    flat = input.reshape(-1, n, n).copy()
    count = len(flat)
    rows = xp.broadcast_to(xp.arange(n), (count, n)).copy()
    batch = xp.arange(count)
    for k in range(n):
        pivot = xp.argmax(xp.abs(flat[:, k:, k]), axis=1) + k
        for whole in (flat, rows):
            upper = whole[batch, k].copy()
            whole[batch, k] = whole[batch, pivot]
            whole[batch, pivot] = upper
        if k + 1 < n:
            flat[:, k + 1 :, k] /= flat[:, k, k][:, None]
            flat[:, k + 1 :, k + 1 :] -= flat[:, k + 1 :, k, None] * flat[:, k, None, k + 1 :]
    shape = input.shape
    return flat.reshape(shape), rows.reshape(shape[:-1]).astype(output_idx_type.numpy_dtype)


@lu_op.gradient
def _(grads, outputs, _input):
    g, (both, rows) = grads[0], outputs
    lower, upper = _factors(both)
    # of L: below the diagonal; of U: the rest
    inside = band_part(matmul(adjoint(lower), band_part(g, -1, 0) - _diagonal(g)), -1, 0)
    inside = inside - _diagonal(inside)
    inside = inside + band_part(matmul(band_part(g, 0, -1), adjoint(upper)), 0, -1)
    left = triangular_solve(lower, inside, lower=True, adjoint=True)
    made = adjoint(triangular_solve(upper, adjoint(left), lower=False, adjoint=False))
    return _rows(made, array.argsort(rows))


def _diagonal(x: Any) -> Any:
    return band_part(x, 0, 0)


def _factors(both: Any) -> tuple[Any, Any]:
    strict = band_part(both, -1, 0) - _diagonal(both)
    lower = matrix_set_diag(strict, array.ones_like(matrix_diag_part(both)))
    return lower, band_part(both, 0, -1)


def _rows(x: Any, order: Any) -> Any:
    """Rows of (batches of) matrices in another order."""
    return array.gather(x, order, batch_dims=order.shape.rank - 1, axis=order.shape.rank - 1)


# ---- public functions -------------------------------------------------------------------------
Lu = namedtuple("Lu", ["lu", "p"])


def lu(input: Any, output_idx_type: Any = dt.int32, name: str | None = None) -> Any:
    """(lu, p): the factors L (ones on its diagonal) and U in one matrix, and the order of rows.

    Raises InvalidArgumentError for matrices that are not square.
    """
    kind = dt.as_dtype(output_idx_type)
    return Lu(*lu_op(convert_to_tensor(input), output_idx_type=kind, name=name))


def lu_reconstruct(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Any:
    """The matrix of which `lu` made the factors."""
    both, perm = convert_to_tensor(lower_upper), convert_to_tensor(perm)
    return _rows(matmul(*_factors(both)), array.argsort(perm))


def lu_solve(
    lower_upper: Any, perm: Any, rhs: Any, validate_args: bool = False, name: str | None = None
) -> Any:
    """X of A X = rhs by the factors of A; rhs (..., n, k)."""
    both, perm = convert_to_tensor(lower_upper), convert_to_tensor(perm)
    rhs = convert_to_tensor(rhs, both.dtype)
    if rhs.shape.rank != both.shape.rank:
        raise errors.InvalidArgumentError(
            f"rhs needs rank {both.shape.rank}, got the shape {rhs.shape}"
        )
    lower, upper = _factors(both)
    inner = triangular_solve(lower, _rows(rhs, perm), lower=True)
    return triangular_solve(upper, inner, lower=False)


def lu_matrix_inverse(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Any:
    """The inverse of A by its factors."""
    both = convert_to_tensor(lower_upper)
    n = array.shape(both)[-1]
    unit = array.broadcast_to(array.eye(n, dtype=both.dtype), array.shape(both))
    return lu_solve(both, perm, unit)
