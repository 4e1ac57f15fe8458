"""NumPy's rules of types for tensors: what array functions make of their arguments."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.experimental.numpy import promotion
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor

_prefer_float32 = False


def experimental_enable_float32(enabled: bool = True) -> None:
    """Whether arrays of Python's floats alone are float32 and not float64."""
    global _prefer_float32
    _prefer_float32 = builtins.bool(enabled)


def default_float() -> dt.DType:
    """The type of what functions make without being told one: `ones`, quotients of integers."""
    return dt.float32 if promotion.is_on() else dt.float64


def numpy_kind(dtype: Any) -> dt.DType:
    """As NumPy reads it: `float` is float64, `int` int64, `complex` complex128."""
    if isinstance(dtype, dt.DType):
        return dtype
    try:
        return dt.from_numpy(np.dtype(dtype))
    except TypeError:  # names of TensorFlow's alone: "bfloat16", "half"
        return dt.as_dtype(dtype)


def array(val: Any, dtype: Any = None, copy: bool = True, ndmin: int = 0) -> Any:
    """A tensor with NumPy's default types: int64 and float64.

    Args:
      copy: of no effect, tensors never change.
      ndmin: least rank; axes of size 1 are put in front.
    """
    made = asarray(val, dtype)
    if ndmin and made.shape.rank < ndmin:
        from shardtape.ops.joining import concat
        from shardtape.ops.shaping import reshape, shape

        made = reshape(made, concat([[1] * (ndmin - made.shape.rank), shape(made)], 0))
    return made


def asarray(a: Any, dtype: Any = None) -> Any:
    """A tensor with NumPy's default types, as `array`; in the modes "safe" and "all" those of
    `tf.constant`."""
    if promotion.is_on() and dtype is None and not _is_tensor(a):
        kind = promotion.result_kind(a)[0]
        return cast(numpy_array(a), kind)
    return numpy_array(a, dtype)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "_as_tensor")


def numpy_array(value: Any, dtype: Any = None) -> Any:
    """A tensor with NumPy's default types, whatever the mode."""
    wanted = None if dtype is None else numpy_kind(dtype)
    if _is_tensor(value):
        made = convert_to_tensor(value)
    elif _holds_tensors(value):
        from shardtape.ops.array import stack

        members = numpy_promoted(*value)
        made = stack(list(members))
    else:
        plain = np.asarray(value)
        if _prefer_float32 and not isinstance(value, np.ndarray):
            plain = _narrowed(plain, value)
        made = convert_to_tensor(plain)
    return made if wanted is None or made.dtype is wanted else cast(made, wanted)


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(
        _is_tensor(v) or _holds_tensors(v) for v in value
    )


def _narrowed(plain: np.ndarray, value: Any) -> np.ndarray:
    """With Python's floats as float32, complex numbers as complex64; integers stay int64."""
    if plain.dtype not in (np.float64, np.complex128) or plain.size == 0:
        return plain
    kinds = set()
    for leaf in np.asarray(value, object).reshape(-1):
        if isinstance(leaf, (float, complex)):
            kinds.add(np.dtype(np.float32 if isinstance(leaf, float) else np.complex64))
        else:
            kinds.add(np.asarray(leaf).dtype)
    return plain.astype(np.result_type(*kinds))


_ORDER = "biufc"  # of kinds of types, from the narrowest


def _typed(value: Any) -> Any:
    """The type that a value brings; None for what takes that of others (numbers, lists)."""
    if isinstance(value, dt.DType):
        return value.numpy_dtype
    if isinstance(value, (type, str, np.dtype)):
        try:
            return np.dtype(value)
        except TypeError:  # a name that only tensors know
            return dt.as_dtype(value).numpy_dtype
    inner = getattr(value, "dtype", None)
    if isinstance(inner, dt.DType):
        return inner.numpy_dtype
    if inner is not None:
        return inner if np.ndim(value) else None
    return numpy_array(value).dtype.numpy_dtype if _holds_tensors(value) else None


def result_type(*values: Any) -> dt.DType:
    """The type in which an operation on these values is computed.

    Args:
      values: types, tensors and arrays; and numbers and lists of them, which widen the type of
        the others only where it cannot hold them.
    """
    if promotion.is_on():
        return promotion.result_kind(*values)[0]
    return _numpy_type(*values)


def _numpy_type(*values: Any) -> dt.DType:
    if not values:
        return dt.float64
    typed = [_typed(v) for v in values]
    known = [t for t in typed if t is not None]
    weak = [v for v, t in zip(values, typed) if t is None]
    if not known:
        return dt.as_dtype(np.result_type(*[numpy_array(v).dtype.numpy_dtype for v in weak]))
    # a single type need not be a number's
    made = known[0] if len(known) == 1 else np.result_type(*known)
    for value in weak:
        made = _widened(made, np.asarray(value))
    return dt.as_dtype(made)


def _widened(kind: Any, values: np.ndarray) -> np.dtype:
    """The type of an array of `kind` and numbers without a type of their own."""
    if values.dtype.kind in "iu" and kind.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        limits = np.iinfo(kind)
        if low < limits.min or high > limits.max:
            signed = kind.kind == "i" or low < 0
            size = next(
                s for s in (1, 2, 4, 8)
                if low >= (-(2 ** (8 * s - 1)) if signed else 0)
                and high < 2 ** (8 * s - (1 if signed else 0))
            )  # fmt: skip
            return np.result_type(kind, np.dtype(f"{'i' if signed else 'u'}{size}"))
        return kind
    place = _ORDER.find
    wide = "f" if kind.kind not in _ORDER else kind.kind  # bfloat16
    if values.dtype.kind not in _ORDER or place(values.dtype.kind) <= place(wide):
        return kind if values.dtype.kind in _ORDER else np.result_type(kind, values.dtype)
    number = {"c": 1j, "f": 1.0}.get(values.dtype.kind, 1)
    return np.result_type(kind, number)


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The type to which both types convert without loss, as `numpy.promote_types`."""
    return np.promote_types(_typed(type1), _typed(type2))


def promoted(*values: Any) -> Any:
    """All as tensors of one type."""
    if not promotion.is_on():
        return numpy_promoted(*values)
    kind = promotion.result_kind(*values)[0]
    return tuple([cast(numpy_array(v), kind) for v in values])


def numpy_promoted(*values: Any) -> Any:
    """All as tensors of the type that NumPy computes in, whatever the mode."""
    kind = _numpy_type(*values)
    return tuple([cast(numpy_array(v), kind) for v in values])


def inexact(value: Any, default: dt.DType | None = None) -> Any:
    """A tensor of floats or complex numbers; integers become `default`, or the default float."""
    x = array(value)
    if x.dtype.is_floating or x.dtype.is_complex:
        return x
    return cast(x, default or default_float())
