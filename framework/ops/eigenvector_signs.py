"""The signs of a symmetric matrix's eigenvectors: those that an implicit QR iteration ends with.

An eigenvector is unique up to its sign. TensorFlow reduces the matrix to three diagonals by
Householder's reflections and then shifts and rotates (Golub and Van Loan, Matrix Computations,
8.3). The same steps in the same type give the same signs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_MAX_WORK = 1000  # cubes of the sizes of all matrices of a call: each costs 0.7 us of Python
_MAX_TURNS = 30


def used_for(shape: tuple[int, ...]) -> bool:
    """Whether matrices of a shape are few and small enough."""
    return shape[-1] > 1 and 0 < math.prod(shape) * shape[-1] <= _MAX_WORK


def aligned(matrices: Any, vectors: Any) -> Any:
    """`vectors` with the signs of a QR iteration.

    Args:
      matrices: [..., n, n], real and symmetric; only the lower halves are read.
      vectors: their eigenvectors as columns, for ascending eigenvalues.
    """
    n = matrices.shape[-1]
    made = vectors.copy()
    flat = made.reshape(-1, n, n)
    for i, matrix in enumerate(matrices.reshape(-1, n, n)):
        if not np.isfinite(matrix).all() or not matrix.any():
            continue
        wanted = _iterated(matrix)
        if wanted is not None:
            flat[i][:, (flat[i] * wanted).sum(0) < 0] *= -1
    return made


def _iterated(matrix: np.ndarray) -> np.ndarray | None:
    """The eigenvectors for ascending eigenvalues; None where the iteration does not end."""
    lower = np.tril(matrix)
    work = lower + np.tril(matrix, -1).T
    work /= np.abs(lower).max()
    q = _tridiagonal(work)
    diagonal = [*np.diagonal(work)]
    below = [*np.diagonal(work, -1)]
    info = np.finfo(matrix.dtype)
    start, end, turns = 0, len(diagonal) - 1, 0
    scale = matrix.dtype.type(1) / info.eps
    while end > 0:
        for i in range(start, end):
            scaled = scale * below[i]
            if scaled * scaled <= abs(diagonal[i]) + abs(diagonal[i + 1]) or (
                abs(below[i]) < info.tiny
            ):
                below[i] = matrix.dtype.type(0)
        while end > 0 and below[end - 1] == 0:
            end -= 1
        if end <= 0:
            break
        turns += 1
        if turns > _MAX_TURNS * len(diagonal):
            return None
        start = end - 1
        while start > 0 and below[start - 1] != 0:
            start -= 1
        _step(diagonal, below, start, end, q)
    return q[:, np.argsort(np.array(diagonal), kind="stable")]


def _tridiagonal(a: np.ndarray) -> np.ndarray:
    """Leaves three diagonals of `a`; returns the product of the reflections."""
    n = len(a)
    q = np.eye(n, dtype=a.dtype)
    for i in range(n - 2):
        x = a[i + 1 :, i].copy()
        rest = x[1:] @ x[1:]
        if rest <= np.finfo(a.dtype).tiny:
            continue
        beta = -np.copysign(np.sqrt(x[0] * x[0] + rest), x[0])
        tau = (beta - x[0]) / beta
        v = x / (x[0] - beta)
        v[0] = 1
        h = tau * (a[i + 1 :, i + 1 :] @ v)
        h -= (tau / 2 * (h @ v)) * v
        a[i + 1 :, i + 1 :] -= np.outer(v, h) + np.outer(h, v)
        a[i + 1 :, i] = 0
        a[i + 1, i] = beta
        q[:, i + 1 :] -= np.outer(tau * (q[:, i + 1 :] @ v), v)
    return q


def _step(d: list[Any], e: list[Any], start: int, end: int, q: np.ndarray) -> None:
    """One implicit QR step with Wilkinson's shift on rows `start` to `end`."""
    half, last, shift = (d[end - 1] - d[end]) / 2, e[end - 1], d[end]
    if half == 0:
        shift -= abs(last)
    else:
        root = np.hypot(half, last)
        whole = half + (root if half > 0 else -root)
        square = last * last
        shift -= last / (whole / last) if square == 0 else square / whole
    x, z = d[start] - shift, e[start]
    for k in range(start, end):
        if z == 0:
            break
        c, s = _rotation(x, z)
        sdk, dkp1 = s * d[k] + c * e[k], s * e[k] + c * d[k + 1]
        d[k] = c * (c * d[k] - s * e[k]) - s * (c * e[k] - s * d[k + 1])
        d[k + 1] = s * sdk + c * dkp1
        e[k] = c * sdk - s * dkp1
        if k > start:
            e[k - 1] = c * e[k - 1] - s * z
        x = e[k]
        if k < end - 1:
            z = -s * e[k + 1]
            e[k + 1] = c * e[k + 1]
        left, right = q[:, k].copy(), q[:, k + 1].copy()
        q[:, k], q[:, k + 1] = c * left - s * right, s * left + c * right


def _rotation(p: Any, q: Any) -> tuple[Any, Any]:
    """The cosine and sine that take q out of (p, q)."""
    kind = type(p)
    if q == 0:
        return kind(-1 if p < 0 else 1), kind(0)
    if p == 0:
        return kind(0), kind(1 if q < 0 else -1)
    if abs(p) > abs(q):
        t = q / p
        root = np.copysign(np.sqrt(1 + t * t), p)
        return 1 / root, -t / root
    t = p / q
    root = np.copysign(np.sqrt(1 + t * t), q)
    return t / root, -1 / root
