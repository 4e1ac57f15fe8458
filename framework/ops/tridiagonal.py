"""Systems of equations and eigenvalues of tridiagonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.complex_numbers import conj, real
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.matrix_parts import adjoint, matrix_diag, matrix_diag_part, matrix_transpose
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.registry import Arg, op
from shardtape.ops.spectra import self_adjoint_eig
from shardtape.shapes import TensorShape

_TYPES = frozenset((dt.float32, dt.float64, dt.complex64, dt.complex128))


def _samples(rng: np.random.Generator) -> Any:
    made: list[Any] = []
    for batch in ((), (2,)):
        diagonals = rng.normal(size=(*batch, 3, 4))
        diagonals[..., 1, :] += 4.0
        # what lies outside of the matrix is not read
        diagonals[..., 0, -1] = diagonals[..., 2, 0] = 0.0
        made.append(((diagonals, rng.normal(size=(*batch, 4, 2))), {}))
    small = rng.normal(size=(3, 3))
    small[1] *= 0.1  # rows change places
    small[0, -1] = small[2, 0] = 0.0
    made.append(((small, rng.normal(size=(3, 1))), {}))
    return made


def _solved_shape(diagonals: Arg, rhs: Arg, **attrs: Any) -> TensorShape:
    for x, least in ((diagonals, 2), (rhs, 2)):
        if x.shape.rank is not None and x.shape.rank < least:
            raise ValueError(f"Shape must be at least rank {least} but is rank {x.shape.rank}")
    return rhs.shape


@op("TridiagonalSolve", dtypes=_TYPES, shape=_solved_shape, samples=_samples)
def tridiagonal_solve_op(xp, diagonals, rhs, *, partial_pivoting=True, perturb_singular=False):
    """x with T x = rhs; diagonals (..., 3, m): upper, main and lower, rhs (..., m, k)."""
    if diagonals.shape[-2] != 3:
        raise ValueError(f"Expected diagonals to have 3 rows, got {diagonals.shape[-2]}")
    n = diagonals.shape[-1]
    if rhs.shape[-2] != n:
        raise ValueError(f"Expected the same number of rows, got {n} and {rhs.shape[-2]}")
    if n == 0:
        return rhs
    upper = [diagonals[..., 0, i, None] for i in range(n)]
    main = [diagonals[..., 1, i, None] for i in range(n)]
    b = [rhs[..., i, :] for i in range(n)]
    nothing = xp.zeros_like(main[0])
    upper[-1] = nothing
    second = [nothing] * n  # above the upper diagonal, where rows changed places
    for i in range(n - 1):
        lower = diagonals[..., 2, i + 1, None]
        beyond = upper[i + 1] if i + 2 < n else nothing
        if not partial_pivoting:
            factor = lower / main[i]
            main[i + 1] = main[i + 1] - factor * upper[i]
            b[i + 1] = b[i + 1] - factor * b[i]
            continue
        change = xp.abs(lower) > xp.abs(main[i])
        rows = ((main[i], upper[i], nothing, b[i]), (lower, main[i + 1], beyond, b[i + 1]))
        first = [xp.where(change, q, p) for p, q in zip(*rows)]
        other = [xp.where(change, p, q) for p, q in zip(*rows)]
        factor = other[0] / first[0]
        main[i], upper[i], second[i], b[i] = first
        main[i + 1] = other[1] - factor * first[1]
        if i + 2 < n:
            upper[i + 1] = other[2] - factor * first[2]
        b[i + 1] = other[3] - factor * first[3]
    x: list[Any] = [None] * n
    for i in reversed(range(n)):
        value = b[i]
        if i + 1 < n:
            value = value - upper[i] * x[i + 1]
        if i + 2 < n:
            value = value - second[i] * x[i + 2]
        x[i] = value / main[i]
    return xp.stack(x, axis=-2)


@tridiagonal_solve_op.gradient
def _(g, y, diagonals, _rhs, *, partial_pivoting, perturb_singular):
    upper, main, lower = [diagonals[..., i, :] for i in range(3)]
    none = array.zeros_like(main[..., :1])
    turned = array.stack(
        [
            array.concat([lower[..., 1:], none], -1),
            main,
            array.concat([none, upper[..., :-1]], -1),
        ],
        -2,
    )
    back = tridiagonal_solve_op(
        conj(turned), g, partial_pivoting=partial_pivoting, perturb_singular=perturb_singular
    )
    seen = conj(y)
    of_main = reduce_sum(back * seen, -1)
    of_upper = reduce_sum(back[..., :-1, :] * seen[..., 1:, :], -1)
    of_lower = reduce_sum(back[..., 1:, :] * seen[..., :-1, :], -1)
    made = array.stack(
        [array.concat([of_upper, none], -1), of_main, array.concat([none, of_lower], -1)], -2
    )
    return -made, back


# ---- public functions -------------------------------------------------------------------------
def tridiagonal_solve(
    diagonals: Any, rhs: Any, diagonals_format: str = "compact", transpose_rhs: bool = False,
    conjugate_rhs: bool = False, name: str | None = None, partial_pivoting: bool = True,
    perturb_singular: bool = False,
) -> Any:  # fmt: skip
    """x with T x = rhs for tridiagonal matrices T.

    Args:
      diagonals: "compact": (..., 3, m), the upper, main and lower diagonal, the last number of
        the first and the first of the last unused; "sequence": a list of the three, the outer
        ones of m or m - 1 numbers; "matrix": (..., m, m).
      rhs: (..., m) or (..., m, k).
      transpose_rhs, conjugate_rhs: of rhs, before.
      partial_pivoting: rows change places where that is more exact.

    Raises:
      ValueError: another format, or perturb_singular, which only TensorFlow on GPUs has.
    """
    if perturb_singular:
        raise ValueError("perturb_singular is not supported")
    compact = _compact(diagonals, diagonals_format)
    rhs = convert_to_tensor(rhs, compact.dtype)
    vector = rhs.shape.rank == compact.shape.rank - 1
    if vector:
        if transpose_rhs:
            raise ValueError("transpose_rhs needs a rhs that is a matrix")
        rhs = array.expand_dims(conj(rhs) if conjugate_rhs else rhs, -1)
    elif transpose_rhs:
        rhs = adjoint(rhs) if conjugate_rhs else matrix_transpose(rhs)
    elif conjugate_rhs:
        rhs = conj(rhs)
    made = tridiagonal_solve_op(compact, rhs, partial_pivoting=partial_pivoting, name=name)
    return array.squeeze(made, -1) if vector else made


def _compact(diagonals: Any, diagonals_format: str) -> Any:
    if diagonals_format == "compact":
        return convert_to_tensor(diagonals)
    if diagonals_format == "sequence":
        upper, main, lower = [convert_to_tensor(d) for d in diagonals]
        none = array.zeros_like(main[..., :1])
        if upper.shape[-1] != main.shape[-1]:
            upper = array.concat([upper, none], -1)
        if lower.shape[-1] != main.shape[-1]:
            lower = array.concat([none, lower], -1)
        return array.stack([upper, main, lower], -2)
    if diagonals_format == "matrix":
        whole = convert_to_tensor(diagonals)
        if whole.shape.rank is not None and whole.shape[-1] != whole.shape[-2]:
            raise ValueError(
                f"Expected last two dimensions of diagonals to be same, got {whole.shape}"
            )
        upper, main, lower = [matrix_diag_part(whole, k=k) for k in (1, 0, -1)]
        return _compact((upper, main, lower), "sequence")
    raise ValueError(f"Unrecognized diagonals_format: {diagonals_format}")


def eigh_tridiagonal(
    alpha: Any, beta: Any, eigvals_only: bool = True, select: str = "a", select_range: Any = None,
    tol: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Eigenvalues, in ascending order, of a Hermitian tridiagonal matrix.

    Args:
      alpha, beta: its diagonal (n,) and the one above it (n - 1,).
      eigvals_only: False for (values, vectors as columns).
      select: "a" all, "i" those with numbers in `select_range`, both ends included, "v" those in
        the interval (low, high].
      tol: is not needed here.

    Raises ValueError for another `select`, or where its range is missing.
    """
    alpha = convert_to_tensor(alpha)
    beta = convert_to_tensor(beta, alpha.dtype)
    if select not in ("a", "i", "v"):
        raise ValueError(f"Unknown value for argument select: {select!r}")
    if select != "a" and select_range is None:
        raise ValueError(f"select={select!r} needs select_range")
    matrix = matrix_diag(alpha) + matrix_diag(beta, k=1) + matrix_diag(conj(beta), k=-1)
    values, vectors = self_adjoint_eig(matrix)
    values = real(values)
    if select == "i":
        low, high = int(select_range[0]), int(select_range[1])
        if not 0 <= low <= high < alpha.shape[0]:
            raise errors.InvalidArgumentError(f"select_range {select_range} is out of order")
        values, vectors = values[low : high + 1], vectors[:, low : high + 1]
    elif select == "v":
        inside = array.where((values > select_range[0]) & (values <= select_range[1]))[:, 0]
        values, vectors = array.gather(values, inside), array.gather(vectors, inside, axis=1)
    return values if eigvals_only else (values, vectors)
