"""TensorFlow's functions on matrices: inverses, systems, decompositions, ranks."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import decomposition as ops
from shardtape.ops import spectra
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import real
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.linalg import matmul
from shardtape.ops.matrix_parts import matrix_diag_part
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.ops.refusals import refusal
from shardtape.ops.selecting import where
from shardtape.ops.transcendental import log
from shardtape.tensor import Tensor


class LogMatrixDeterminant(NamedTuple):
    """What `tf.linalg.slogdet` gives."""

    sign: Tensor
    log_abs_determinant: Tensor


def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of square matrices (of their conjugate transposes with `adjoint`).

    Raises InvalidArgumentError for a singular one.
    """
    return ops.matrix_inverse_op(input, adjoint=adjoint, name=name)


def det(input: Any, name: str | None = None) -> Tensor:
    """The determinant of square matrices: [..., n, n] to [...]."""
    return ops.matrix_determinant(input, name=name)


def slogdet(input: Any, name: str | None = None) -> Any:
    """The sign of the determinant, and the logarithm of its size, as a named pair."""
    return LogMatrixDeterminant(*ops.log_matrix_determinant(input, name=name))


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of positive definite matrices."""
    factor = cholesky(matrix)
    return 2.0 * reduce_sum(log(real(matrix_diag_part(factor))), [-1], name=name)


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """x with matrix @ x = rhs: [..., n, n] and [..., n, k] to [..., n, k].

    Raises InvalidArgumentError (ValueError in a graph) where the batch axes are not the same.
    """
    a, b = (x.shape if isinstance(x, Tensor) else convert_to_tensor(x).shape for x in (matrix, rhs))
    if a.rank is not None and b.rank is not None and b.rank >= 2:
        if a.rank != b.rank:
            raise refusal("All input tensors must have the same rank. [Op:MatrixSolve]")
        if not a[:-2].is_compatible_with(b[:-2]):
            raise refusal("All input tensors must have the same outer dimensions. [Op:MatrixSolve]")
    return ops.matrix_solve(matrix, rhs, adjoint=adjoint, name=name)


def triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """As `solve`, of the lower (or upper) triangle of `matrix`."""
    return ops.matrix_triangular_solve(matrix, rhs, lower=lower, adjoint=adjoint, name=name)


def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangle L with L L^H = input. Raises InvalidArgumentError where there is none."""
    return ops.cholesky(input, name=name)


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """x with (chol chol^H) @ x = rhs, `chol` a lower triangle."""
    half = ops.matrix_triangular_solve(chol, rhs)
    return ops.matrix_triangular_solve(chol, half, adjoint=True, name=name)


Qr = namedtuple("Qr", ["q", "r"])


def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """Q with orthonormal columns and an upper triangle R, Q R = input."""
    return Qr(*ops.qr_op(input, full_matrices=full_matrices, name=name))


def eigh(tensor: Any, name: str | None = None) -> Any:
    """Eigenvalues in ascending order, and eigenvectors as columns, of Hermitian matrices."""
    return spectra.self_adjoint_eig(tensor, name=name)


def eigvalsh(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of Hermitian matrices in ascending order."""
    return spectra.self_adjoint_eig(tensor, compute_v=False, name=name)[0]


def eig(tensor: Any, name: str | None = None) -> Any:
    """Eigenvalues (complex) and eigenvectors as columns, of square matrices."""
    return spectra.eig_op(tensor, name=name)


def eigvals(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of square matrices, complex."""
    return spectra.eig_op(tensor, compute_v=False, name=name)[0]


def svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Any:
    """Singular values s (descending), u and v as columns: u diag(s) v^H = tensor.

    Only s without `compute_uv`.
    """
    s, u, v = spectra.svd_op(tensor, full_matrices=full_matrices, compute_uv=compute_uv, name=name)
    s = real(s)
    return (s, u, v) if compute_uv else s


def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False, name: Any = None) -> Tensor:
    """The number of singular values above `tol`, int32 [...]."""
    a = convert_to_tensor(a)
    s = svd(a, compute_uv=False)
    if tol is None:
        side = max(a.shape[-2], a.shape[-1])
        epsilon = np.finfo(a.dtype.real_dtype.numpy_dtype).eps
        tol = epsilon * side * reduce_max(s, -1, keepdims=True)
    return reduce_sum(cast(s > tol, dt.int32), -1, name=name)


def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The Moore-Penrose inverse: [..., m, n] to [..., n, m]."""
    a = convert_to_tensor(a)
    if rcond is None:
        side = max(a.shape[-2], a.shape[-1])
        rcond = 10.0 * side * np.finfo(a.dtype.real_dtype.numpy_dtype).eps
    s, u, v = svd(a)
    cutoff = rcond * reduce_max(s, -1, keepdims=True)
    kept = where(s > cutoff, s, zeros_like_op(s) + np.inf)
    scaled = v / cast(kept, a.dtype)[..., None, :]
    return matmul(scaled, u, adjoint_b=True, name=name)


def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: Any = None
) -> Tensor:
    """x that makes |matrix @ x - rhs|^2 + l2_regularizer |x|^2 least: [..., n, k]."""
    matrix, rhs = convert_to_tensor(matrix), convert_to_tensor(rhs)
    if not fast:
        if l2_regularizer:
            raise ValueError("l2_regularizer needs fast=True")
        return matmul(pinv(matrix), rhs, name=name)
    rows, columns = matrix.shape[-2], matrix.shape[-1]
    tall = rows is None or columns is None or rows >= columns
    gram = matmul(matrix, matrix, adjoint_a=tall, adjoint_b=not tall)
    if l2_regularizer:
        from shardtape.ops.matrix_parts import matrix_set_diag

        gram = matrix_set_diag(gram, matrix_diag_part(gram) + l2_regularizer)
    factor = cholesky(gram)
    if tall:
        return cholesky_solve(factor, matmul(matrix, rhs, adjoint_a=True), name=name)
    return matmul(matrix, cholesky_solve(factor, rhs), adjoint_a=True, name=name)
