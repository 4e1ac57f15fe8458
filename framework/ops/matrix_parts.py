"""Bands and triangles of matrices, transposes and products; the last two axes are the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.diagonals import matrix_diag as matrix_diag
from shardtape.ops.diagonals import matrix_diag_part as matrix_diag_part
from shardtape.ops.diagonals import matrix_set_diag as matrix_set_diag
from shardtape.ops.filling import range as range_
from shardtape.ops.joining import concat, stack
from shardtape.ops.node_names import scoped
from shardtape.ops.reduce import reduce_prod, reduce_sum
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import op, same_as
from shardtape.ops.selecting import matching
from shardtape.ops.shaping import rank as rank_of
from shardtape.ops.shaping import reshape, shape, transpose
from shardtape.tensor import Tensor

_NUMBERS = dt.NUMERIC | dt.BOOL


# ---- bands ------------------------------------------------------------------------------------
def _band(xp: Any, rows: int, columns: int, lower: int, upper: int) -> Any:
    """Which elements of a matrix lie in a band; a negative width is unlimited."""
    i = xp.arange(rows).reshape(-1, 1)
    j = xp.arange(columns).reshape(1, -1)
    below = (i - j <= lower) if lower >= 0 else (i == i)
    above = (j - i <= upper) if upper >= 0 else (j == j)
    return below & above


@op(
    "MatrixBandPart",
    dtypes=_NUMBERS,
    widen=False,
    host=("num_lower", "num_upper"),
    shape=same_as(0),
    samples=lambda rng: [
        ((rng.normal(size=(3, 4)), np.int64(1), np.int64(0)), {}),
        ((rng.normal(size=(2, 3, 3)), np.int64(-1), np.int64(1)), {}),
    ],
)
def band_part_op(xp, input, num_lower, num_upper):
    """`input` with zeros outside of a band of `num_lower` diagonals below the main one and
    `num_upper` above; -1 is all."""
    if input.ndim < 2:
        raise ValueError("input must be at least 2-dim")
    for side, width, size, what in (
        ("num_lower", num_lower, input.shape[-2], "rows"),
        ("num_upper", num_upper, input.shape[-1], "columns"),
    ):
        if int(width) > size:
            raise ValueError(
                f"{side} must be negative or less or equal to number of {what} ({size}) "
                f"got: {int(width)}"
            )
    inside = _band(xp, *input.shape[-2:], int(num_lower), int(num_upper))
    return xp.where(inside, input, xp.zeros((), input.dtype))


@band_part_op.gradient
def _(g, _y, _input, num_lower, num_upper):
    return band_part_op(g, num_lower, num_upper)


# ---- public functions -------------------------------------------------------------------------
def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """`input` with zeros outside of a band around the main diagonal; -1 keeps a whole triangle."""
    return band_part_op(input, num_lower, num_upper, name=name)


@scoped("Trace")
def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the main diagonal of matrices: [..., n, m] to [...]."""
    return reduce_sum(matrix_diag_part(x), [-1], name=name)


def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """The last two axes swapped. Raises ValueError for a vector."""
    x = convert_to_tensor(a)
    rank = x.shape.rank
    if rank is None:
        count = rank_of(x)
        order = concat([range_(count - 2), [count - 1], [count - 2]], 0)
        return transpose(x, order, conjugate=conjugate, name=name)
    if rank < 2:
        raise ValueError(f"Argument `a` should be a (batch) matrix with rank >= 2: {x.shape}")
    perm = [*range(rank - 2), rank - 1, rank - 2]
    return transpose(x, perm, conjugate=conjugate, name=name)


def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """The conjugate transpose of the last two axes."""
    return matrix_transpose(matrix, conjugate=True, name=name or "adjoint")


def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The cross product of vectors of 3 (the last axis).

    Raises FailedPreconditionError for other vectors (ValueError while a graph is built).
    """
    a, b = matching(a, b)
    for x in (a, b):
        if x.shape.rank is not None and (not x.shape.rank or x.shape[-1] not in (None, 3)):
            raise refusal(
                f"Cross-products are only defined for 3-element vectors, got {x.shape}",
                errors.FailedPreconditionError,
            )
    a1, a2, a3 = a[..., 0], a[..., 1], a[..., 2]
    b1, b2, b3 = b[..., 0], b[..., 1], b[..., 2]
    parts = [a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1]
    return stack(parts, axis=-1, name=name or "Cross")


def tensor_diag(diagonal: Any, name: str | None = None) -> Tensor:
    """A tensor [d1..dk, d1..dk] with `diagonal` [d1..dk] on its diagonal."""
    from shardtape.ops.shaping import reshape, shape

    x = convert_to_tensor(diagonal)
    sizes = shape(x)
    return reshape(matrix_diag(reshape(x, [-1])), concat([sizes, sizes], 0), name=name)


def tensor_diag_part(input: Any, name: str | None = None) -> Tensor:
    """The diagonal [d1..dk] of a tensor [d1..dk, d1..dk]."""
    x = convert_to_tensor(input)
    half = len(x.shape) // 2
    sizes = shape(x)[:half]
    side = reduce_prod(sizes)
    flat = reshape(x, stack([side, side]))
    return reshape(matrix_diag_part(flat), sizes, name=name)
