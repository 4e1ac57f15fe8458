"""The logarithm of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.matrix_functions import sqrtm
from shardtape.ops.registry import op


def _logarithm(xp: Any, x: Any) -> Any:
    """The logarithm of (batches of) square complex128 matrices by roots and a series."""
    unit = xp.broadcast_to(xp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    turns = 0
    while turns < 60 and x.size and xp.abs(x - unit).sum(-1).max().item() > 0.25:
        x = sqrtm.kernel(xp, x)
        turns += 1
    ratio = xp.linalg.solve(x + unit, x - unit)
    squared, term, total = ratio @ ratio, ratio, ratio
    for k in range(3, 60, 2):
        term = term @ squared
        total = total + term / k
    return total * (2.0 * 2.0**turns)


def _definite(rng: np.random.Generator) -> Any:
    made: list[Any] = []
    for shape in ((3, 3), (2, 2, 2)):
        a = rng.normal(size=shape)
        made.append(((a @ a.swapaxes(-1, -2) + np.eye(shape[-1]),), {}))
    return made


def _log_reference(input: Any) -> Any:
    values, vectors = np.linalg.eig(np.asarray(input, np.complex128))
    return (vectors * np.log(values)[..., None, :]) @ np.linalg.inv(vectors)


@op("MatrixLogarithm", dtypes=frozenset((dt.complex64, dt.complex128)), widen=False,
    shape=lambda input: input.shape, samples=_definite, reference=_log_reference)  # fmt: skip
def logm(xp, input):
    """The matrix whose exponential is `input`; (batches of) square complex matrices."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ValueError(f"Input matrix must be square, got {list(input.shape)}")
    return _logarithm(xp, input.astype(np.complex128)).astype(input.dtype)
