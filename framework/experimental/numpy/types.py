"""NumPy's rules of types for tensors: what array functions make of their arguments."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor

_prefer_float32 = False


def experimental_enable_float32(enabled: bool = True) -> None:
    """Whether Python's floats and integer quotients become float32 and not float64."""
    global _prefer_float32
    _prefer_float32 = builtins.bool(enabled)


def default_float() -> dt.DType:
    """The type of floats that have none of their own."""
    return dt.float32 if _prefer_float32 else dt.float64


def array(value: Any, dtype: Any = None) -> Any:
    """A tensor with NumPy's default types: int64 and float64."""
    wanted = None if dtype is None else dt.as_dtype(dtype)
    if isinstance(value, Tensor) or hasattr(value, "_as_tensor"):
        made = convert_to_tensor(value)
    elif _holds_tensors(value):
        from shardtape.ops.array import stack

        members = promoted(*value)
        made = stack(list(members))
    else:
        plain = np.asarray(value)
        if plain.dtype == np.float64 and not hasattr(value, "dtype") and _prefer_float32:
            plain = plain.astype(np.float32)
        made = convert_to_tensor(plain)
    return made if wanted is None or made.dtype is wanted else cast(made, wanted)


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(
        isinstance(v, Tensor) or hasattr(v, "_as_tensor") or _holds_tensors(v) for v in value
    )


def _numpy_type(value: Any) -> Any:
    """What `np.result_type` takes: a dtype, or a Python number (which is weak)."""
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        return value
    inner = getattr(value, "dtype", None)
    if isinstance(inner, dt.DType):
        return inner.numpy_dtype
    return inner if inner is not None else array(value).dtype.numpy_dtype


def result_type(*values: Any) -> np.dtype:
    """The type in which an operation on these values is computed."""
    made = np.result_type(*[_numpy_type(v) for v in values])
    if made == np.float64 and _prefer_float32 and not any(
        getattr(_numpy_type(v), "name", None) == "float64" for v in values
    ):  # fmt: skip
        return np.dtype(np.float32)
    return made


def promoted(*values: Any) -> Any:
    """All as tensors of one type."""
    kind = dt.as_dtype(result_type(*values))
    return tuple([cast(array(v), kind) for v in values])


def inexact(value: Any) -> Any:
    """A tensor of floats or complex numbers; integers become the default float."""
    x = array(value)
    if x.dtype.is_floating or x.dtype.is_complex:
        return x
    return cast(x, default_float())
