"""Gradients as plain arrays: their shapes checked, their norms, sums of sparse ones.

An array is numpy's or cupy's; a sparse gradient is a pair (rows, values).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from shardtape.backend import array_module
from shardtape.tensor import Tensor


def gradient_arrays(gradient: Any, variable: Any) -> Any:
    """The array of a dense gradient; (row ids, values) of a sparse one.

    Raises ValueError that names the variable if the shape does not fit.
    """
    shape = tuple(variable.shape)
    if hasattr(gradient, "indices") and hasattr(gradient, "values"):
        rows, values = _array(gradient.indices).reshape(-1), _array(gradient.values)
        if tuple(values.shape[1:]) != shape[1:]:
            raise ValueError(
                f"the sparse gradient of variable {variable.name} has rows of shape "
                f"{tuple(values.shape[1:])}, the variable {shape[1:]}"
            )
        low, high = (rows.min().item(), rows.max().item()) if len(rows) else (0, 0)
        if len(rows) and not 0 <= low <= high < shape[0]:
            raise ValueError(
                f"the sparse gradient of variable {variable.name} reaches from row {low} to "
                f"{high}, the variable has {shape[0]}"
            )
        return rows, values
    array = _array(gradient)
    if tuple(array.shape) != shape:
        raise ValueError(
            f"the gradient of variable {variable.name} has shape {tuple(array.shape)}, the "
            f"variable {shape}"
        )
    return array


def _array(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value._array  # type: ignore[attr-defined]
    return value if hasattr(value, "reshape") else np.asarray(value)


def sum_duplicates(rows: Any, values: Any) -> tuple[Any, Any]:
    """Adds up the values of equal row ids, in the order in which they come.

    Args:
      rows: (n,) integers.
      values: (n, ...).

    Returns: (unique int64 rows, ascending; their sums).
    """
    xp = array_module(values)
    rows = xp.asarray(rows).reshape(-1).astype(np.int64, copy=False)
    unique, inverse = xp.unique(rows, return_inverse=True)
    if len(unique) == len(rows):
        sums = xp.empty_like(values)
        sums[inverse] = values
    else:
        sums = xp.zeros((len(unique), *values.shape[1:]), values.dtype)
        xp.add.at(sums, inverse, values)
    return unique, sums


def squared_norm(array: Any) -> float:
    """Sum of the squares of an array's elements, summed in its compute type."""
    xp = array_module(array)
    flat = array.reshape(-1)
    if flat.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    return xp.dot(flat, flat).item()


def global_norm(arrays: Iterable[Any]) -> float:
    """Euclidean norm of all elements of all arrays."""
    return math.sqrt(sum(squared_norm(array) for array in arrays))


def norm_factor(norm: float, clip_norm: float) -> float:
    """What to multiply by so that `norm` becomes at most `clip_norm`; NaN for a norm that is not
    finite, as in TensorFlow."""
    if not math.isfinite(norm):
        return math.nan
    return clip_norm / max(norm, clip_norm)
