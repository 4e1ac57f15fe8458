"""Eigenvalues and singular values of (batches of) matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops import eigenvector_signs, samples, singular_signs
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj, real
from shardtape.ops.decomposition import (
    TYPES,
    check_square,
    conjugate_transpose,
    matrix_solve,
    positive_definite,
    square_shape,
    well_conditioned,
)
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.linalg import matmul
from shardtape.ops.matrix_parts import (
    adjoint,
    band_part,
    matrix_diag,
    matrix_diag_part,
    matrix_set_diag,
)
from shardtape.ops.registry import Arg, op
from shardtape.ops.shaping import expand_dims
from shardtape.ops.transcendental import square
from shardtape.shapes import UNKNOWN, TensorShape


def _safe_reciprocal(x: Any) -> Any:
    return x / (square(x) + 1e-20)


def _eigh_shape(input: Arg, *, compute_v: bool = True) -> list[TensorShape]:
    whole = square_shape(input)
    if whole.rank is None:
        return [UNKNOWN] * 2
    return [whole[:-1], whole if compute_v else TensorShape([0])]


@op(
    "SelfAdjointEigV2",
    dtypes=TYPES,
    outputs=2,
    shape=_eigh_shape,
    samples=samples.given(
        lambda rng: ((positive_definite(rng, 3, 3),), {}),
        lambda rng: ((positive_definite(rng, 2, 2, 2),), {"compute_v": False}),
    ),
)
def self_adjoint_eig(xp, input, *, compute_v=True):
    """Eigenvalues in ascending order, and eigenvectors as columns, of Hermitian matrices."""
    check_square(input)
    if xp.isnan(xp.tril(input)).any().item():  # LAPACK would give numbers for some of them
        raise ValueError(
            "Self-adjoint eigen decomposition was not successful. The input might not be valid."
        )
    if not compute_v:
        return xp.linalg.eigvalsh(input), xp.zeros((0,), input.dtype)
    values, vectors = xp.linalg.eigh(input)
    if input.dtype.kind == "f" and eigenvector_signs.used_for(input.shape):
        made = eigenvector_signs.aligned(*[backend.to_host(a) for a in (input, vectors)])
        vectors = xp.asarray(made)
    return values, vectors


@self_adjoint_eig.gradient
def _(g, y, input, *, compute_v):
    values, vectors = y
    grad_e = zeros_like_op(values) if g[0] is None else g[0]
    inner = matrix_diag(grad_e)
    if not compute_v:
        vectors = self_adjoint_eig(input)[1]
    elif g[1] is not None:
        gaps = expand_dims(values, -2) - expand_dims(values, -1)
        f = matrix_set_diag(_safe_reciprocal(gaps), zeros_like_op(values))
        inner = inner + f * matmul(vectors, g[1], adjoint_a=True)
    grad = matmul(vectors, matmul(inner, vectors, adjoint_b=True))
    # the kernel reads the lower triangle only
    grad = band_part(grad + adjoint(grad), -1, 0)
    return matrix_set_diag(grad, 0.5 * matrix_diag_part(grad))


def _eig_complex(dtypes: Any, attrs: Any) -> dt.DType:
    return {dt.float32: dt.complex64, dt.float64: dt.complex128}.get(dtypes[0], dtypes[0])


@op(
    "Eig",
    dtypes=TYPES,
    dtype=_eig_complex,
    outputs=2,
    shape=_eigh_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3) + np.diag([0.0, 2.0, 4.0]),), {}),
        lambda rng: ((well_conditioned(rng, 2, 2) + np.diag([0.0, 2.0]),), {"compute_v": False}),
    ),
)
def eig_op(xp, input, *, compute_v=True):
    """Eigenvalues (complex, in no order) and eigenvectors as columns, of square matrices."""
    kind = {np.dtype(np.float32): np.complex64, np.dtype(np.float64): np.complex128}
    kind = kind.get(input.dtype, input.dtype)
    check_square(input)
    if not xp.isfinite(input).all().item():
        raise ValueError("Eigen decomposition was not successful. The input might not be valid.")
    if not compute_v:
        return xp.linalg.eigvals(input).astype(kind), xp.zeros((0,), kind)
    values, vectors = xp.linalg.eig(input)
    return values.astype(kind), vectors.astype(kind)


@eig_op.gradient
def _(g, y, input, *, compute_v):
    values, vectors = y
    middle = matrix_diag(zeros_like_op(values) if g[0] is None else g[0])
    if not compute_v:
        vectors = eig_op(input)[1]
    vt = adjoint(vectors)
    if compute_v and g[1] is not None:
        gaps = expand_dims(values, -2) - expand_dims(values, -1)
        f = conj(matrix_set_diag(_safe_reciprocal(gaps), zeros_like_op(values)))
        vgv = matmul(vt, g[1])
        part = matrix_diag(matrix_diag_part(cast(real(vgv), vgv.dtype)))
        middle = middle + f * (vgv - matmul(matmul(vt, vectors), part))
    return cast(matrix_solve(vt, matmul(middle, vt)), input.dtype)


def _svd_shape(
    input: Arg, *, compute_uv: bool = True, full_matrices: bool = False
) -> list[TensorShape]:
    x = input.shape
    if x.rank is None:
        return [UNKNOWN] * 3
    m, n = x[-2:]
    k = None if m is None or n is None else min(m, n)
    s = x[:-2].concatenate([k])
    if not compute_uv:
        return [s, TensorShape([0]), TensorShape([0])]
    wide_u, wide_v = (m, n) if full_matrices else (k, k)
    return [s, x[:-2].concatenate([m, wide_u]), x[:-2].concatenate([n, wide_v])]


def _singular(xp: Any, x: Any, **options: Any) -> list[Any]:
    """What `linalg.svd` returns; NaN for those matrices that are not finite."""
    try:
        made = xp.linalg.svd(x, **options)
    except np.linalg.LinAlgError:
        bad = ~xp.isfinite(x).all(axis=(-2, -1))
        if not bad.any().item():
            raise
        made = xp.linalg.svd(xp.where(bad[..., None, None], xp.zeros((), x.dtype), x), **options)
        made = made if isinstance(made, tuple) else (made,)
        for part in made:
            part[bad] = np.nan
    return list(made) if isinstance(made, tuple) else [made]


@op(
    "Svd",
    dtypes=TYPES,
    outputs=3,
    dtype=lambda dtypes, attrs: (dtypes[0], dtypes[0], dtypes[0]),
    shape=_svd_shape,
    samples=samples.given(
        lambda rng: ((well_conditioned(rng, 3, 3),), {}),
        lambda rng: ((rng.normal(size=(2, 2, 4)),), {}),
        lambda rng: ((rng.normal(size=(4, 2)),), {"compute_uv": False}),
        lambda rng: ((rng.normal(size=(4, 2)),), {}),
    ),
)
def svd_op(xp, input, *, compute_uv=True, full_matrices=False):
    """Singular values in descending order, left and right singular vectors as columns:
    u diag(s) v^H = input."""
    if not compute_uv:
        empty = xp.zeros((0,), input.dtype)
        return _singular(xp, input, compute_uv=False)[0], empty, empty
    u, s, vh = _singular(xp, input, full_matrices=full_matrices)
    if input.dtype.kind == "f" and singular_signs.used_for(input.shape):
        made = singular_signs.aligned(*[backend.to_host(a) for a in (input, u, vh)])
        u, vh = map(xp.asarray, made)
    return s, u, conjugate_transpose(xp, vh)


@svd_op.gradient
def _(g, y, input, *, compute_uv, full_matrices):
    s, u, v = y
    grad_s = zeros_like_op(s) if g[0] is None else g[0]
    inner = matrix_diag(grad_s)
    if not compute_uv:
        _, u, v = svd_op(input)
        return matmul(u, matmul(inner, v, adjoint_b=True))
    grad_u, grad_v = [zeros_like_op(o) if d is None else d for d, o in zip(g[1:], y[1:])]
    m, n = input.shape[-2:]
    if m is None or n is None:
        raise NotImplementedError("the gradient of svd needs known sizes of the matrices")
    tall = m > n
    if tall:  # that of the conjugate transpose
        m, n, u, v, grad_u, grad_v = n, m, v, u, grad_v, grad_u
    if full_matrices and n - m > 1:
        raise NotImplementedError(
            "svd gradient is not implemented for abs(m - n) > 1 when full_matrices is True"
        )
    s2 = square(s)
    gaps = expand_dims(s2, -2) - expand_dims(s2, -1)
    f = matrix_set_diag(_safe_reciprocal(gaps), zeros_like_op(s))
    s_mat = matrix_diag(s)
    v1, grad_v1 = v[..., :m], grad_v[..., :m]
    u_gu = matmul(u, grad_u, adjoint_a=True)
    v_gv = matmul(v1, grad_v1, adjoint_a=True)
    f_u, f_v = f * u_gu, f * v_gv
    inner = inner + matmul(f_u + adjoint(f_u), s_mat) + matmul(s_mat, f_v + adjoint(f_v))
    grad = matmul(u, matmul(inner, v1, adjoint_b=True))
    inverse = matrix_diag(_safe_reciprocal(s))
    if m != n:
        gv1t = adjoint(grad_v1)
        rest = gv1t - matmul(matmul(gv1t, v1), v1, adjoint_b=True)
        if full_matrices:
            v2, grad_v2 = v[..., m:n], grad_v[..., m:n]
            rest = rest - matmul(matmul(v1, grad_v2, adjoint_a=True), v2, adjoint_b=True)
        grad = grad + matmul(matmul(u, inverse), rest)
    if input.dtype.is_complex:
        diagonal = matrix_diag(matrix_diag_part(v_gv))
        third = matmul(inverse, adjoint(diagonal) - diagonal)
        grad = grad + 0.5 * matmul(u, matmul(third, v1, adjoint_b=True))
    return adjoint(grad) if tall else grad
