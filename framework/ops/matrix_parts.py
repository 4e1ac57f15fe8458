"""Diagonals, bands and triangles of matrices; the last two axes are the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import executing_eagerly
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import range as range_
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.joining import concat, stack
from shardtape.ops.node_names import scoped
from shardtape.ops.reduce import reduce_prod, reduce_sum
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import known_int
from shardtape.ops.shaping import rank as rank_of
from shardtape.ops.shaping import reshape, shape, transpose
from shardtape.shapes import UNKNOWN, TensorShape
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
    inside = _band(xp, *input.shape[-2:], int(num_lower), int(num_upper))
    return xp.where(inside, input, xp.zeros((), input.dtype))


@band_part_op.gradient
def _(g, _y, _input, num_lower, num_upper):
    return band_part_op(g, num_lower, num_upper)


# ---- diagonals --------------------------------------------------------------------------------
def _diagonal_offset(k: Any, rows: int, columns: int) -> tuple[int, int]:
    low, high = (int(v) for v in np.broadcast_to(np.asarray(k).reshape(-1), 2))
    if not (-rows < low <= high < columns) and not (low == high == 0):
        raise ValueError(f"diagonals {low} to {high} do not lie in a matrix of {rows} x {columns}")
    return low, high


def _one_diagonal(k: Any) -> int:
    low, high = (int(v) for v in np.broadcast_to(np.asarray(k).reshape(-1), 2))
    if low != high:
        raise ValueError("bands of several diagonals are not supported: give one diagonal `k`")
    return low


def _diag_shape(diagonal: Arg, k: Arg, rows: Arg, columns: Arg, padding: Arg, **a: Any) -> Any:
    if diagonal.shape.rank is None:
        return UNKNOWN
    offset = known_int(k)
    n = diagonal.shape[-1]
    if offset is None or n is None:
        return diagonal.shape[:-1].concatenate([None, None])
    r, c = known_int(rows), known_int(columns)
    return diagonal.shape[:-1].concatenate(_diag_sizes(n, offset, r, c))


def _diag_sizes(n: int, k: int, rows: int | None, columns: int | None) -> tuple[Any, Any]:
    """Rows and columns of the matrix that has a diagonal of n elements at k; -1: the least."""
    least_rows, least_columns = n + max(-k, 0), n + max(k, 0)
    if rows in (None, -1) and columns in (None, -1):
        side = max(least_rows, least_columns)
        return (None, None) if rows is None or columns is None else (side, side)
    r = least_rows if rows in (None, -1) else rows
    c = least_columns if columns in (None, -1) else columns
    return r, c


def _fixed(*values: int) -> list[Any]:
    return [np.int32(v) for v in values]


@op(
    "MatrixDiagV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k", "num_rows", "num_cols"),
    shape=_diag_shape,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), *_fixed(0, -1, -1), rng.normal(size=())), {}),
        ((rng.normal(size=(3,)), *_fixed(1, -1, -1), rng.normal(size=())), {}),
        ((rng.normal(size=(2,)), *_fixed(-1, 3, 4), rng.normal(size=())), {}),
    ],
)
def matrix_diag_op(xp, diagonal, k, num_rows, num_cols, padding_value, *, align="RIGHT_LEFT"):
    """Matrices with `diagonal` (the last axis) on diagonal `k` and `padding_value` elsewhere."""
    offset, n = _one_diagonal(k), diagonal.shape[-1]
    rows, columns = _diag_sizes(n, offset, int(num_rows), int(num_cols))
    if n != min(rows - max(-offset, 0), columns - max(offset, 0)):
        raise ValueError(f"a diagonal of {n} elements at {offset} does not fit {rows} x {columns}")
    out = xp.full((*diagonal.shape[:-1], rows, columns), padding_value, diagonal.dtype)
    i = xp.arange(n)
    out[..., i + max(-offset, 0), i + max(offset, 0)] = diagonal
    return out


@matrix_diag_op.gradient
def _(g, _y, _diagonal, k, _rows, _columns, padding):
    part = matrix_diag_part_op(g, k, zeros_like_op(padding))
    return part, reduce_sum(g) - reduce_sum(part)


def _part_shape(input: Arg, k: Arg, padding: Arg, **attrs: Any) -> TensorShape:
    if input.shape.rank is None:
        return UNKNOWN
    offset, (rows, columns) = known_int(k), input.shape[-2:]
    if offset is None or rows is None or columns is None:
        return input.shape[:-2].concatenate([None])
    n = min(rows - max(-offset, 0), columns - max(offset, 0))
    return input.shape[:-2].concatenate([n])


@op(
    "MatrixDiagPartV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k",),
    shape=_part_shape,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4)), *_fixed(0), np.zeros(())), {}),
        ((rng.normal(size=(3, 3)), *_fixed(-1), np.zeros(())), {}),
        ((rng.normal(size=(3, 4)), *_fixed(2), np.zeros(())), {}),
    ],
)
def matrix_diag_part_op(xp, input, k, padding_value, *, align="RIGHT_LEFT"):
    """Diagonal `k` of matrices: [..., rows, columns] to [..., n]."""
    offset = _one_diagonal(k)
    _diagonal_offset(k, *input.shape[-2:])
    i = xp.arange(min(input.shape[-2] - max(-offset, 0), input.shape[-1] - max(offset, 0)))
    return input[..., i + max(-offset, 0), i + max(offset, 0)]


@matrix_diag_part_op.gradient
def _(g, _y, input, k, padding):
    return matrix_set_diag_op(zeros_like_op(input), g, k), zeros_like_op(padding)


@op(
    "MatrixSetDiagV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k",),
    shape=same_as(0),
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3)), *_fixed(0)), {}),
        ((rng.normal(size=(3, 3)), rng.normal(size=(2,)), *_fixed(1)), {}),
    ],
)
def matrix_set_diag_op(xp, input, diagonal, k, *, align="RIGHT_LEFT"):
    """`input` with `diagonal` on diagonal `k` of its matrices."""
    offset = _one_diagonal(k)
    out, i = input.copy(), xp.arange(diagonal.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = diagonal
    return out


@matrix_set_diag_op.gradient
def _(g, _y, _input, diagonal, k):
    zero = zeros_like_op(diagonal)
    scalar = convert_to_tensor(0, g.dtype)
    return matrix_set_diag_op(g, zero, k), matrix_diag_part_op(g, k, scalar)


# ---- public functions -------------------------------------------------------------------------
def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """`input` with zeros outside of a band around the main diagonal; -1 keeps a whole triangle."""
    return band_part_op(input, num_lower, num_upper, name=name)


def matrix_diag(
    diagonal: Any, name: str = "diag", k: Any = 0, num_rows: int = -1, num_cols: int = -1,
    padding_value: Any = 0, align: str = "RIGHT_LEFT",
) -> Tensor:  # fmt: skip
    """Matrices with `diagonal` (the last axis) on diagonal `k`, `padding_value` elsewhere."""
    x = convert_to_tensor(diagonal)
    fill = convert_to_tensor(padding_value, x.dtype)
    return matrix_diag_op(x, k, num_rows, num_cols, fill, align=align, name=name)


def matrix_diag_part(
    input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:  # fmt: skip
    """Diagonal `k` of matrices: [..., rows, columns] to [..., n]."""
    x = convert_to_tensor(input)
    fill = convert_to_tensor(padding_value, x.dtype)
    return matrix_diag_part_op(x, k, fill, align=align, name=name)


def matrix_set_diag(
    input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """`input` with `diagonal` on diagonal `k` of its matrices."""
    return matrix_set_diag_op(input, diagonal, k, align=align, name=name)


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
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    for x in (a, b):
        if x.shape.rank is not None and (not x.shape.rank or x.shape[-1] not in (None, 3)):
            wrong = errors.FailedPreconditionError if executing_eagerly() else ValueError
            raise wrong(f"Cross-products are only defined for 3-element vectors, got {x.shape}")
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
