"""`tf.experimental.numpy.random`."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.experimental.numpy.types import default_float
from shardtape.ops.random import random_normal, random_uniform, set_seed
from shardtape.ops.random_gamma import random_poisson


def seed(s: int) -> None:
    """Sets the global seed."""
    set_seed(s)


def uniform(low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
    """Uniform numbers of the default float type."""
    return random_uniform(_dims(size), low, high, default_float())


def rand(*size: int) -> Any:
    """Uniform numbers in [0, 1)."""
    return uniform(size=size)


def random(size: Any = None) -> Any:
    """Uniform numbers in [0, 1)."""
    return uniform(size=size)


def standard_normal(size: Any = None) -> Any:
    """Normal numbers."""
    return random_normal(_dims(size), 0.0, 1.0, default_float())


def randn(*args: int) -> Any:
    """Normal numbers."""
    return standard_normal(args)


def randint(low: int, high: int | None = None, size: Any = None, dtype: Any = dt.int64) -> Any:
    """Integers from low (0) to below high."""
    bounds = (0, low) if high is None else (low, high)
    return random_uniform(_dims(size), *bounds, dt.as_dtype(dtype))


def poisson(lam: Any = 1.0, size: Any = None) -> Any:
    """Poisson numbers, int64."""
    return random_poisson(_dims(size), lam, dt.int64)


def _dims(size: Any) -> Any:
    if size is None:
        return []
    return [size] if isinstance(size, int) else list(size)
