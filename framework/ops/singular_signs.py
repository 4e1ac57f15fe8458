"""The signs of singular vectors: those that a two-sided Jacobi iteration ends with.

A pair of singular vectors is unique up to its sign. TensorFlow decomposes matrices of fewer than 16
columns on a CPU by Jacobi rotations, after a QR decomposition with pivots where the matrix is not
square (Golub and Van Loan, Matrix Computations, 8.6); the same rotations give the same signs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_MAX_COLUMNS = 15
_MAX_PAIRS = 36  # of columns, of all matrices of a call: each costs 40 us of Python
_MAX_SWEEPS = 60


def used_for(shape: tuple[int, ...]) -> bool:
    """Whether matrices of a shape are few and small enough."""
    pairs = math.prod(shape[:-2]) * min(shape[-2:]) ** 2
    return shape[-1] <= _MAX_COLUMNS and 0 < pairs <= _MAX_PAIRS


def aligned(matrices: Any, u: Any, vh: Any) -> tuple[Any, Any]:
    """u and vh with the signs of a Jacobi iteration.

    Args:
      matrices: [..., m, n], real.
      u, vh: their singular vectors, [..., m, k or m] and [..., k or n, n].
    """
    rows, columns = matrices.shape[-2:]
    count = min(rows, columns)
    u, vh = u.copy(), vh.copy()
    flat_u, flat_vh = u.reshape(-1, *u.shape[-2:]), vh.reshape(-1, *vh.shape[-2:])
    for i, matrix in enumerate(matrices.reshape(-1, rows, columns)):
        if not np.isfinite(matrix).all() or not matrix.any():
            continue
        wanted = _right_vectors(matrix.astype(np.float64))
        turned = (flat_vh[i, :count] * wanted.T[:count]).sum(1) < 0
        flat_vh[i, :count][turned] *= -1
        flat_u[i, :, :count][:, turned] *= -1
    return u, vh


def _right_vectors(matrix: np.ndarray) -> np.ndarray:
    """The right singular vectors as columns, those of the largest values first."""
    rows, columns = matrix.shape
    if rows > columns:
        _, r, order = _pivoted_qr(matrix)
        work, v = r[:columns], np.eye(columns)[:, order]
    elif columns > rows:
        q, r, _ = _pivoted_qr(matrix.T)
        work, v = r[:rows].T.copy(), q[:, :rows].copy()
    else:
        work, v = matrix.copy(), np.eye(columns)
    v = _rotated(work, v)
    return v[:, np.argsort(-np.abs(np.diagonal(work)), kind="stable")]


def _pivoted_qr(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Householder's QR with the column of the largest remaining norm first."""
    r, (m, n) = a.copy(), a.shape
    q, order = np.eye(m), list(range(n))
    for k in range(min(m, n)):
        best = k + int(np.argmax((r[k:, k:] ** 2).sum(0)))
        r[:, [k, best]] = r[:, [best, k]]
        order[k], order[best] = order[best], order[k]
        x = r[k:, k].copy()
        if not x[1:].any():
            continue
        beta = -math.copysign(float(np.linalg.norm(x)), x[0])
        x[0] -= beta
        x /= np.linalg.norm(x)
        r[k:] -= 2 * np.outer(x, x @ r[k:])
        q[:, k:] -= 2 * np.outer(q[:, k:] @ x, x)
    return q, np.triu(r), order


def _rotated(work: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Makes `work` diagonal in place; `v` takes the rotations from the right."""
    tiny, precision = np.finfo(np.float64).tiny, 2 * np.finfo(np.float64).eps
    n = work.shape[0]
    for _ in range(_MAX_SWEEPS):
        still = True
        bound = max(tiny, precision * float(np.abs(np.diagonal(work)).max()))
        for p in range(1, n):
            for q in range(p):
                if abs(work[p, q]) <= bound and abs(work[q, p]) <= bound:
                    continue
                still = False
                left, right = _pair_of_rotations(
                    work[p, p], work[p, q], work[q, p], work[q, q], tiny
                )
                work[[p, q]] = left @ work[[p, q]]
                work[:, [p, q]] = work[:, [p, q]] @ right
                v[:, [p, q]] = v[:, [p, q]] @ right
        if still:
            break
    return v


def _pair_of_rotations(
    a: float, b: float, c: float, d: float, tiny: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations that make ((a, b), (c, d)) diagonal: the first makes it symmetric."""
    trace, skew = a + d, c - b
    if abs(skew) < tiny:
        cos, sin = 1.0, 0.0
    else:
        ratio = trace / skew
        root = math.sqrt(1 + ratio * ratio)
        cos, sin = ratio / root, 1 / root
    x, y, z = cos * a + sin * c, cos * b + sin * d, cos * d - sin * b
    right = np.eye(2)
    if 2 * abs(y) >= tiny:
        tau = (x - z) / (2 * abs(y))
        root = math.sqrt(tau * tau + 1)
        t = 1 / (tau + root) if tau > 0 else 1 / (tau - root)
        norm = 1 / math.sqrt(t * t + 1)
        s = -math.copysign(1.0, t) * math.copysign(1.0, y) * abs(t) * norm
        right = np.array([[norm, s], [-s, norm]])
    first = np.array([[cos, sin], [-sin, cos]])
    return right.T @ first, right
