"""Functions of square matrices: exponential, square root; products with tridiagonal ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.graph.loops import while_loop
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linalg import matmul
from shardtape.ops.math import abs, ceil, log, maximum, pow
from shardtape.ops.matrix_parts import adjoint, matrix_transpose
from shardtape.ops.reduce import reduce_max, reduce_sum
from shardtape.ops.registry import op, same_as
from shardtape.ops.systems import solve

_TYPES = frozenset((dt.float32, dt.float64, dt.complex64, dt.complex128))
_THETA = 5.371920351148152  # up to this norm the quotient below is exact to the last digit
_PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
         129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0,
         40840800.0, 960960.0, 16380.0, 182.0, 1.0)  # fmt: skip


def expm(input: Any, name: str | None = None) -> Any:
    """The exponential of (batches of) square matrices, by scaling and squaring."""
    x = convert_to_tensor(input)
    real = x.dtype.real_dtype
    norm = reduce_max(reduce_sum(abs(x), -2), -1)
    small = np.asarray(np.finfo(real.numpy_dtype).tiny, real.numpy_dtype)[()]
    ratio = maximum(norm / convert_to_tensor(_THETA, real), small)
    two = convert_to_tensor(2.0, real)
    turns = maximum(ceil(log(ratio) / log(two)), array.zeros_like(ratio))
    turns = array.stop_gradient(turns)
    scaled = x / cast(pow(two, turns), x.dtype)[..., None, None]
    value = _quotient(scaled)
    most = reduce_max(turns)

    def square(i: Any, v: Any) -> Any:
        again = (i < turns)[..., None, None]
        return i + 1, array.where(again, matmul(v, v), v)

    start = convert_to_tensor(0.0, real)
    _, value = while_loop(lambda i, v: i < most, square, (start, value))
    return value


def _quotient(a: Any) -> Any:
    """The diagonal Pade approximant of order 13."""
    kind = a.dtype
    b = [convert_to_tensor(np.asarray(c, kind.numpy_dtype)[()]) for c in _PADE]
    unit = array.eye(array.shape(a)[-1], dtype=kind)
    a2 = matmul(a, a)
    a4 = matmul(a2, a2)
    a6 = matmul(a2, a4)
    odd = matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2
    u = matmul(a, odd + b[1] * unit)
    even = matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2
    v = even + b[0] * unit
    return solve(v - u, v + u)


def _definite(rng: np.random.Generator) -> Any:
    made: list[Any] = []
    for shape in ((3, 3), (2, 2, 2)):
        a = rng.normal(size=shape)
        made.append(((a @ a.swapaxes(-1, -2) + np.eye(shape[-1]),), {}))
    return made


@op("MatrixSquareRoot", dtypes=_TYPES, shape=same_as(0), samples=_definite)  # fmt: skip
def sqrtm(xp, input):
    """The matrix whose square is `input`; (batches of) square matrices."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ValueError(f"Input matrix must be square, got {list(input.shape)}")
    wide = input.astype(np.complex128)
    # the iteration of Denman and Beavers: roots of the matrix and of its inverse
    root = wide
    inverse = xp.broadcast_to(xp.eye(input.shape[-1], dtype=np.complex128), wide.shape)
    for _ in range(60):
        new = (root + xp.linalg.inv(inverse)) / 2
        inverse = (inverse + xp.linalg.inv(root)) / 2
        change = xp.abs(new - root).max().item() if new.size else 0.0
        size = xp.abs(new).max().item() if new.size else 1.0
        root = new
        if change <= 1e-15 * size:
            break
    return (root if input.dtype.kind == "c" else root.real).astype(input.dtype)


@sqrtm.gradient
def _(g, y, _input):
    # R X + X R = G, as one linear system of all elements
    root = adjoint(y)
    n = array.shape(y)[-1]
    unit = array.broadcast_to(array.eye(n, dtype=y.dtype), array.shape(y))
    system = _kronecker(root, unit) + _kronecker(unit, matrix_transpose(root))
    flat = array.reshape(g, array.concat([array.shape(y)[:-2], [n * n, 1]], 0))
    return array.reshape(solve(system, flat), array.shape(y))


def _kronecker(a: Any, b: Any) -> Any:
    """The Kronecker product of (batches of) square matrices of one size."""
    n = array.shape(a)[-1]
    product = a[..., :, None, :, None] * b[..., None, :, None, :]
    return array.reshape(product, array.concat([array.shape(a)[:-2], [n * n, n * n]], 0))


# ---- tridiagonal matrices ---------------------------------------------------------------------
def tridiagonal_matmul(
    diagonals: Any, rhs: Any, diagonals_format: str = "compact", name: str | None = None
) -> Any:
    """A tridiagonal matrix times a matrix (..., n, k).

    Args:
      diagonals: "compact": (..., 3, n), the upper, main and lower diagonal, the first and last
        number of the outer ones unused; "sequence": a list of the three; "matrix": (..., n, n).

    Raises ValueError for another format.
    """
    if diagonals_format == "matrix":
        return matmul(diagonals, rhs)
    if diagonals_format == "compact":
        whole = convert_to_tensor(diagonals)
        upper, main, lower = whole[..., 0, :-1], whole[..., 1, :], whole[..., 2, 1:]
    elif diagonals_format == "sequence":
        upper, main, lower = [convert_to_tensor(d) for d in diagonals]
        count = main.shape[-1]
        upper = upper[..., :-1] if upper.shape[-1] == count else upper
        lower = lower[..., 1:] if lower.shape[-1] == count else lower
    else:
        raise ValueError(f"Unrecognized diagonals_format: {diagonals_format}")
    rhs = convert_to_tensor(rhs, main.dtype)
    none = array.zeros_like(rhs[..., :1, :])
    above = array.concat([upper[..., None] * rhs[..., 1:, :], none], -2)
    below = array.concat([none, lower[..., None] * rhs[..., :-1, :]], -2)
    return main[..., None] * rhs + above + below
