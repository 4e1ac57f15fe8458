"""Inverses, determinants, linear systems and triangular factors of (batches of) matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import samples
from shardtape.ops.broadcasting import sum_to_shape_of
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import real
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.joining import concat
from shardtape.ops.linalg import matmul
from shardtape.ops.matrix_parts import (
    adjoint,
    band_part,
    matrix_diag_part,
    matrix_set_diag,
)
from shardtape.ops.registry import Arg, op
from shardtape.ops.shaping import expand_dims
from shardtape.shapes import UNKNOWN, TensorShape, broadcast_shapes

TYPES = frozenset((dt.float32, dt.float64, dt.complex64, dt.complex128))


def well_conditioned(rng: np.random.Generator, *dims: int) -> np.ndarray:
    return rng.normal(size=dims) * 0.3 + 2 * np.eye(dims[-1])


def positive_definite(rng: np.random.Generator, *dims: int) -> np.ndarray:
    a = rng.normal(size=dims)
    return a @ a.swapaxes(-1, -2) + np.eye(dims[-1])


def conjugate_transpose(xp: Any, x: Any) -> Any:
    """The conjugate transpose of the last two axes."""
    x = x.swapaxes(-1, -2)
    return xp.conj(x) if x.dtype.kind == "c" else x


def square_shape(input: Arg, **attrs: Any) -> TensorShape:
    x = input.shape
    if x.rank is None:
        return UNKNOWN
    if x.rank < 2:
        raise ValueError(f"Shape must be at least rank 2 but is rank {x.rank}")
    if None not in (x[-1], x[-2]) and x[-1] != x[-2]:
        raise ValueError(f"Dimensions must be equal, but are {x[-2]} and {x[-1]}")
    side = x[-1] if x[-1] is not None else x[-2]
    return x[:-2].concatenate([side, side])


def check_square(x: Any, what: str = "Input matrix must be square.") -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(what)


def _check_system(matrix: Any, rhs: Any) -> None:
    """Raises ValueError unless the sides of matrix @ x = rhs fit; batch axes may broadcast."""
    check_square(matrix, "First input (lhs) must be a square matrix.")
    if rhs.ndim < 2:
        raise ValueError(
            f"rhs must be a matrix or a batch of them, got shape {list(rhs.shape)}: use "
            "tf.expand_dims for a vector"
        )
    if matrix.shape[-1] != rhs.shape[-2]:
        raise ValueError("Input matrix and rhs are incompatible.")
    for m, n in zip(matrix.shape[-3::-1], rhs.shape[-3::-1]):
        if m != n and 1 not in (m, n):
            raise ValueError("All input tensors must have the same outer dimensions.")


def batch_shape(input: Arg, **attrs: Any) -> TensorShape:
    whole = square_shape(input)
    return UNKNOWN if whole.rank is None else whole[:-2]


# ---- inverses and determinants ----------------------------------------------------------------
@op(
    "MatrixInverse",
    dtypes=TYPES,
    shape=square_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3),), {}),
        lambda rng: ((well_conditioned(rng, 2, 2, 2),), {"adjoint": True}),
    ),
)
def matrix_inverse_op(xp, input, *, adjoint=False):
    """The inverse of square matrices, or of their conjugate transposes."""
    check_square(input)
    try:
        return xp.linalg.inv(conjugate_transpose(xp, input) if adjoint else input)
    except np.linalg.LinAlgError:
        raise errors.InvalidArgumentError("Input is not invertible. [Op:MatrixInverse]") from None


@matrix_inverse_op.gradient
def _(g, y, _input, *, adjoint):
    inner = matmul(g, y, adjoint_a=adjoint, adjoint_b=not adjoint)
    return -matmul(y, inner, adjoint_a=not adjoint)


@op(
    "MatrixDeterminant",
    dtypes=TYPES,
    shape=batch_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3),), {}),
        lambda rng: ((well_conditioned(rng, 2, 2, 2),), {}),
    ),
)
def matrix_determinant(xp, input):
    """The determinant of square matrices: [..., n, n] to [...]."""
    check_square(input)
    return xp.linalg.det(input)


def _per_matrix(x: Any) -> Any:
    return expand_dims(expand_dims(x, -1), -1)


@matrix_determinant.gradient
def _(g, y, input):
    return _per_matrix(g * y) * matrix_inverse_op(input, adjoint=True)


@op(
    "LogMatrixDeterminant",
    dtypes=TYPES,
    outputs=2,
    shape=lambda input: [batch_shape(input)] * 2,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3),), {}),
        lambda rng: ((-well_conditioned(rng, 2, 3, 3),), {}),
    ),
)
def log_matrix_determinant(xp, input):
    """The sign of the determinant of square matrices, and the logarithm of its size."""
    check_square(input)
    sign, log_abs = xp.linalg.slogdet(input)
    return sign, log_abs


@log_matrix_determinant.gradient
def _(g, _y, input):
    if g[1] is None:
        return None
    return _per_matrix(g[1]) * matrix_inverse_op(input, adjoint=True)


# ---- linear systems ---------------------------------------------------------------------------
def _solve_shape(matrix: Arg, rhs: Arg, **attrs: Any) -> TensorShape:
    a, b = square_shape(matrix), rhs.shape
    if a.rank is None or b.rank is None:
        return UNKNOWN
    if None not in (a[-1], b[-2]) and a[-1] != b[-2]:
        raise ValueError(f"Dimensions must be equal, but are {a[-1]} and {b[-2]}")
    return broadcast_shapes(a[:-2], b[:-2]).concatenate([a[-1], b[-1]])


@op(
    "MatrixSolve",
    dtypes=TYPES,
    shape=_solve_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3), rng.normal(size=(3, 2))), {}),
        lambda rng: (
            (well_conditioned(rng, 2, 2, 2), rng.normal(size=(2, 2, 1))),
            {"adjoint": True},
        ),
    ),
)
def matrix_solve(xp, matrix, rhs, *, adjoint=False):
    """x with matrix @ x = rhs: [..., n, n] and [..., n, k] to [..., n, k]."""
    _check_system(matrix, rhs)
    try:
        return xp.linalg.solve(conjugate_transpose(xp, matrix) if adjoint else matrix, rhs)
    except np.linalg.LinAlgError:
        raise errors.InvalidArgumentError("Input matrix is not invertible. [Op:MatrixSolve]") from (
            None
        )


@matrix_solve.gradient
def _(g, y, matrix, _rhs, *, adjoint):
    grad_b = matrix_solve(matrix, g, adjoint=not adjoint)
    if adjoint:
        return -matmul(y, grad_b, adjoint_b=True), grad_b
    return -matmul(grad_b, y, adjoint_b=True), grad_b


@op(
    "MatrixTriangularSolve",
    dtypes=TYPES,
    shape=_solve_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3), rng.normal(size=(3, 2))), {}),
        lambda rng: (
            (well_conditioned(rng, 2, 2, 2), rng.normal(size=(2, 2, 1))),
            {"lower": False, "adjoint": True},
        ),
        lambda rng: ((well_conditioned(rng, 3, 3), rng.normal(size=(2, 3, 1))), {}),
    ),
)
def matrix_triangular_solve(xp, matrix, rhs, *, lower=True, adjoint=False):
    """As `MatrixSolve`, of the lower or upper triangle of `matrix`; batch axes broadcast."""
    _check_system(matrix, rhs)
    triangle = xp.tril(matrix) if lower else xp.triu(matrix)
    if adjoint:
        triangle = conjugate_transpose(xp, triangle)
    batch = np.broadcast_shapes(triangle.shape[:-2], rhs.shape[:-2])
    triangle = xp.broadcast_to(triangle, (*batch, *triangle.shape[-2:]))
    rhs = xp.broadcast_to(rhs, (*batch, *rhs.shape[-2:]))
    try:
        return xp.linalg.solve(triangle, rhs)
    except np.linalg.LinAlgError:
        raise errors.InvalidArgumentError(
            "Input matrix is not invertible. [Op:MatrixTriangularSolve]"
        ) from None


@matrix_triangular_solve.gradient
def _(g, y, matrix, rhs, *, lower, adjoint):
    grad_b = matrix_triangular_solve(matrix, g, lower=lower, adjoint=not adjoint)
    if adjoint:
        grad_a = -matmul(y, grad_b, adjoint_b=True)
    else:
        grad_a = -matmul(grad_b, y, adjoint_b=True)
    grad_a = band_part(grad_a, -1, 0) if lower else band_part(grad_a, 0, -1)
    return sum_to_shape_of(grad_a, matrix), sum_to_shape_of(grad_b, rhs)


# ---- decompositions ---------------------------------------------------------------------------
@op(
    "Cholesky",
    dtypes=TYPES,
    shape=square_shape,
    samples=samples.given(
        lambda rng: ((positive_definite(rng, 3, 3),), {}),
        lambda rng: ((positive_definite(rng, 2, 2, 2),), {}),
    ),
)
def cholesky(xp, input):
    """The lower triangle L with L L^H = input; NaN for matrices that are not positive definite."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise errors.InvalidArgumentError(
            f"Input matrix must be square. Got shape {list(input.shape)} [Op:Cholesky]"
        )
    try:
        return xp.linalg.cholesky(input)
    except np.linalg.LinAlgError:
        factors = [_factor_or_nan(xp, matrix) for matrix in input.reshape(-1, *input.shape[-2:])]
        return xp.stack(factors).reshape(input.shape)


def _factor_or_nan(xp: Any, matrix: Any) -> Any:
    """One matrix's factor; a lower triangle of NaN where it is not positive definite."""
    try:
        return xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return xp.tril(xp.full_like(matrix, np.nan))


@cholesky.gradient
def _(g, y, _input):
    middle = matmul(y, g, adjoint_a=True)
    middle = matrix_set_diag(middle, 0.5 * matrix_diag_part(middle))
    middle = band_part(middle, -1, 0)
    # l^-H middle l^-1 by two triangular systems instead of an inverse
    left = matrix_triangular_solve(y, middle, adjoint=True)
    grad = adjoint(matrix_triangular_solve(y, adjoint(left), adjoint=True))
    return 0.5 * (grad + adjoint(grad))


def _qr_shape(input: Arg, *, full_matrices: bool = False) -> list[TensorShape]:
    x = input.shape
    if x.rank is None:
        return [UNKNOWN] * 2
    m, n = x[-2:]
    k = None if m is None or n is None else min(m, n)
    if full_matrices:
        return [x[:-2].concatenate([m, m]), x]
    return [x[:-2].concatenate([m, k]), x[:-2].concatenate([k, n])]


@op(
    "Qr",
    dtypes=TYPES,
    outputs=2,
    shape=_qr_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3),), {}),
        lambda rng: ((rng.normal(size=(2, 4, 2)),), {}),
        lambda rng: ((rng.normal(size=(2, 3)),), {}),
    ),
)
def qr_op(xp, input, *, full_matrices=False):
    """Q with orthonormal columns and an upper triangle R, Q R = input."""
    q, r = xp.linalg.qr(input, mode="complete" if full_matrices else "reduced")
    return q, r


def _by_triangle(x: Any, r: Any) -> Any:
    """x times the inverse of r^H, r an upper triangle."""
    return adjoint(matrix_triangular_solve(r, adjoint(x), lower=False))


def _qr_gradient(q: Any, r: Any, dq: Any, dr: Any) -> Any:
    qdq = matmul(q, dq, adjoint_a=True)
    rdr = matmul(r, dr, adjoint_b=True)
    lower = band_part((qdq - adjoint(qdq)) + (rdr - adjoint(rdr)), -1, 0)
    total = matmul(q, dr + _by_triangle(lower, r)) + _by_triangle(dq - matmul(q, qdq), r)
    if q.dtype.is_complex:
        m = rdr - adjoint(qdq)
        diagonal = matrix_set_diag(zeros_like_op(m), matrix_diag_part(m))
        correction = diagonal - cast(real(diagonal), q.dtype)
        total = total + _by_triangle(matmul(q, adjoint(correction)), r)
    return total


@qr_op.gradient
def _(g, y, input, *, full_matrices):
    q, r = y
    dq, dr = [zeros_like_op(o) if d is None else d for d, o in zip(g, y)]
    rows, columns = r.shape[-2:]
    if None in (rows, columns, q.shape[-2]):
        raise NotImplementedError("the gradient of qr needs known sizes of the matrices")
    if rows > columns and full_matrices:
        raise NotImplementedError(
            "QrGrad not implemented when nrows > ncols and full_matrices is true."
        )
    count = q.shape[-2]
    if count >= columns:
        return _qr_gradient(q, r, dq, dr)
    rest, dv = input[..., count:], dr[..., count:]
    dx = _qr_gradient(q, r[..., :count], dq + matmul(rest, dv, adjoint_b=True), dr[..., :count])
    return concat([dx, matmul(q, dv)], -1)
