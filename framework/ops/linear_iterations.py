"""Linear systems by iteration, and of matrices with few diagonals."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from shardtape.graph.control_flow import while_loop
from shardtape.ops import array, math, reduce
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.matrix_parts import matrix_diag
from shardtape.ops.norms import norm
from shardtape.ops.systems import triangular_solve
from shardtape.tensor import Tensor

CGState = namedtuple("CGState", ["i", "x", "r", "p", "gamma"])


def conjugate_gradient(
    operator: Any, rhs: Any, preconditioner: Any = None, x: Any = None, tol: float = 1e-05,
    max_iter: int = 20, name: str = "conjugate_gradient",
) -> CGState:  # fmt: skip
    """Solves operator @ x = rhs by conjugate gradients.

    Args:
      operator: a self-adjoint, positive definite LinearOperator (as its hints say).
      rhs: [batch..., n].
      preconditioner: a LinearOperator near the inverse of `operator`.
      x: where to begin; default 0.
      tol: it ends where the norm of every residual is at most tol * norm(rhs).
      max_iter: the most steps.

    Returns:
      i: steps taken; x: the solution; r: the residual; p: the last direction; gamma: r^H M r,
      with the preconditioner M.

    Raises ValueError for an operator whose hints say otherwise.
    """
    if not (operator.is_self_adjoint and operator.is_positive_definite):
        raise ValueError("Expected a self-adjoint, positive definite operator.")
    b = convert_to_tensor(rhs, operator.dtype)
    enough = math.multiply(cast(tol, b.dtype.real_dtype), norm(b, axis=-1))

    def prepared(r: Any) -> Any:
        return r if preconditioner is None else preconditioner.matvec(r)

    def product(u: Any, v: Any) -> Any:
        return reduce.reduce_sum(conj(u) * v, -1)

    if x is None:
        x, r = array.zeros_like(b), b
    else:
        x = convert_to_tensor(x, b.dtype)
        r = b - operator.matvec(x)
    p = prepared(r)

    def goes_on(i: Any, x: Any, r: Any, p: Any, gamma: Any) -> Any:
        far = reduce.reduce_any(norm(r, axis=-1) > enough)
        return math.logical_and(i < max_iter, far)

    def step(i: Any, x: Any, r: Any, p: Any, gamma: Any) -> Any:
        z = operator.matvec(p)
        alpha = gamma / product(p, z)
        x = x + alpha[..., None] * p
        r = r - alpha[..., None] * z
        q = prepared(r)
        after = product(r, q)
        beta = after / gamma
        return i + 1, x, r, q + beta[..., None] * p, after

    state = (convert_to_tensor(0), x, r, p, product(r, p))
    return CGState(*while_loop(goes_on, step, state, name=name))


def banded_triangular_solve(
    bands: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """Solves a triangular system whose matrix has few diagonals.

    Args:
      bands: [batch..., k, n]: the diagonals, each entry in the column of its row: for a lower
        matrix the main one first, for an upper one last.
      rhs: [batch..., n, columns].
    """
    diagonals = convert_to_tensor(bands)
    count = diagonals.shape[-2]
    if count is None:
        raise ValueError(f"the number of bands must be known, got shape {diagonals.shape}")
    band = (1 - count, 0) if lower else (0, count - 1)
    dense = matrix_diag(diagonals, k=band, align="LEFT_RIGHT")
    given = convert_to_tensor(rhs, dense.dtype)
    return triangular_solve(dense, given, lower=lower, adjoint=adjoint, name=name)
