"""Sobol points: a sequence that fills the unit cube evenly.

The polynomials and first direction numbers in `sobol_directions.npz` are those that S. Joe and
F. Y. Kuo published in 2008 (new-joe-kuo-6, for the first 1111 dimensions).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import known_int
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

MOST_DIMENSIONS = 1111
_BITS = 31
_MOST_POINTS = 2**31 - 1


@functools.cache
def _published() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("sobol_directions.npz")) as stored:
        return stored["polynomials"], stored["numbers"]


@functools.lru_cache(maxsize=8)
def _directions(dimensions: int) -> np.ndarray:
    """The direction numbers (dimensions, bits) int64, as fractions of 2**31."""
    polynomials, numbers = _published()
    out = np.ones((dimensions, _BITS), np.int64)  # of the first dimension all are 1
    start = 0
    for row, polynomial in zip(out, polynomials[:dimensions].tolist()):
        degree = polynomial.bit_length() - 1
        m = numbers[start : start + degree].tolist()
        start += degree
        for bit in range(degree, _BITS if degree else 0):
            value = m[bit - degree]
            for step in range(1, degree + 1):
                if polynomial >> (degree - step) & 1:
                    value ^= m[bit - step] << step
            m.append(value)
        row[: len(m)] = m
    return out << np.arange(_BITS - 1, -1, -1)


def _shape(dim: Arg, num_results: Arg, skip: Arg, **attrs: Any) -> TensorShape:
    return TensorShape([known_int(num_results), known_int(dim)])


@op(
    "SobolSample", host=("dim", "num_results", "skip"), shape=_shape, widen=False,
    dtype=lambda dtypes, attrs: dt.as_dtype(attrs["dtype"]), differentiable=False,
    samples=lambda rng: [
        ((np.int32(3), np.int32(6), np.int32(0)), {}),
        ((np.int32(40), np.int32(5), np.int32(1000)), {"dtype": dt.float64}),
    ],
)  # fmt: skip
def sobol_sample_op(xp, dim, num_results, skip, *, dtype=dt.float32):
    """Points (num_results, dim) in [0, 1): the sequence without the origin, from number `skip`."""
    dim, count, skip = int(dim), int(num_results), int(skip)
    if dim < 1 or count < 1 or skip < 0:
        raise ValueError(
            f"dim and num_results must be at least one and skip non-negative, got dim={dim}, "
            f"num_results={count}, skip={skip}"
        )
    if dim > MOST_DIMENSIONS:
        raise ValueError(f"dim must be at most {MOST_DIMENSIONS}, got {dim}")
    if count + skip >= _MOST_POINTS:
        raise ValueError(f"num_results + skip must be less than {_MOST_POINTS}, got {count + skip}")
    numbers = np.arange(skip + 1, skip + count + 1)
    gray = numbers ^ numbers >> 1
    directions = _directions(dim)
    points = np.zeros((count, dim), np.int64)
    for bit in range(int(numbers[-1]).bit_length()):
        points ^= np.where(gray[:, None] >> bit & 1, directions[:, bit], 0)
    return xp.asarray((points / 2.0**_BITS).astype(dt.as_dtype(dtype).numpy_dtype))


def sobol_sample(
    dim: Any, num_results: Any, skip: Any = 0, dtype: Any = dt.float32, name: str | None = None
) -> Tensor:
    """Points of a Sobol sequence: (num_results, dim) in [0, 1).

    Args:
      dim: at most 1111.
      skip: how many points to leave out at the beginning.
      dtype: float32 or float64.

    Raises:
      InvalidArgumentError: another dtype, or sizes out of range.
    """
    kind = dt.as_dtype(dtype)
    if kind not in (dt.float32, dt.float64):
        raise errors.InvalidArgumentError(
            f"sobol_sample gives float32 or float64, not {kind.name}: cast its result"
        )
    sizes = [convert_to_tensor(n, dt.int32) for n in (dim, num_results, skip)]
    return sobol_sample_op(*sizes, dtype=kind, name=name)
