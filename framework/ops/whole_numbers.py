"""Refusing fractions where whole numbers are needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt


def refuse_fractions(value: Any, what: str, error: type[Exception] = TypeError) -> None:
    """Raises `error`, which names `what`, for a float, a list of them or a tensor of floats."""
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if type(first) is int:
        return
    kind = getattr(first, "dtype", None)
    floating = isinstance(first, (float, np.floating))
    if isinstance(kind, dt.DType):
        floating = kind.is_floating
    elif isinstance(kind, np.dtype):
        floating = kind.kind == "f"
    if floating:
        raise error(f"{what} must be a whole number (int32 or int64), got {value!r}")
