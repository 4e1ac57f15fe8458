"""Python values, numpy arrays and tensor-likes to Tensors, by TensorFlow's dtype rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import state
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_INT32 = np.iinfo(np.int32)
_INT64_MAX = np.iinfo(np.int64).max
_FLOAT32 = np.dtype(np.float32)
# kinds of types that Python values of a kind become where a dtype is given
_WIDER = {"f": "fcV", "c": "c", "i": "iufcV", "u": "iufcV", "b": "b", "V": "fcV"}
_MIXED = "Can't convert Python sequence with mixed types to Tensor."
_OF_BOOL = (dt.int32, dt.int64, dt.uint64, dt.float16, dt.float32, dt.float64)
# (type, function(value, dtype, name) -> Tensor or NotImplemented), the newest first
_conversions: list[tuple[Any, Any]] = []


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Any, priority: int = 100
) -> None:
    """Instances of `base_type` become tensors by
    `conversion_func(value, dtype=None, name=None, as_ref=False)`."""
    _conversions.insert(0, (base_type, conversion_func))


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    dtype_hint: Any = None,
    name: str | None = None,
    *,
    hint_integer: bool = False,
) -> Tensor:
    """A Tensor of `value`.

    Python floats become float32, ints int32 (int64 where they do not fit), numpy arrays keep
    their dtype. In a graph the result is a constant node.

    Args:
      dtype: the result's type; a Tensor of another type is refused.
      dtype_hint: used where the value leaves the choice.
      hint_integer: empty lists become int32 (shapes and axes).

    Raises:
      ValueError: a Tensor of another dtype, or None inside the value.
      TypeError: a value that the dtype cannot hold.
    """
    if dtype is not None:
        dtype = dt.as_dtype(dtype)
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
                f"{value.dtype.name}: {value!r}"
            )
        return value
    for base, function in _conversions:
        if isinstance(value, base):
            got = function(value, dtype=dtype, name=name, as_ref=False)
            if got is not NotImplemented:
                return got
    custom = getattr(value, "_as_tensor", None)
    if custom is not None:
        got = custom(dtype)
        if got is not NotImplemented:
            return got
    if isinstance(value, (list, tuple)) and _holds_tensor(value):
        return _stack(value, dtype)
    if dtype is None and dtype_hint is not None:
        try:
            array = to_array(value, dt.as_dtype(dtype_hint))
        except (TypeError, ValueError):
            array = to_array(value, None)
    else:
        if hint_integer and dtype is None and isinstance(value, (list, tuple)) and not value:
            dtype = dt.int32
        array = to_array(value, dtype)
    if state.graph is not None:
        return state.graph.constant(array, name)
    return EagerTensor(array)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A constant tensor.

    Args:
      value: Python values or an array; a single one fills `shape`.
      dtype: the result's type.
      shape: the result's shape; the values are laid out in it row by row.

    Raises:
      TypeError: a number of values that the shape cannot hold, or a tensor of another dtype.
    """
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not dt.as_dtype(dtype):
            raise TypeError(
                f"Expected tensor {value} with dtype {dt.as_dtype(dtype)!r}, but got dtype "
                f"{value.dtype!r}: use tf.cast"
            )
        same = shape is None or shapes.as_shape(shape) == value.shape
        if type(value) is SymbolicTensor or (same and state.graph is None):
            return value  # with its gradient
        array = value._array  # type: ignore[attr-defined]
    else:
        array = to_array(value, None if dtype is None else dt.as_dtype(dtype))
    if shape is not None:
        dims: Any = shapes.as_shape(shape).as_list()
        if None in dims:
            raise ValueError("Dimension -1 must be >= 0")
        count = int(np.prod(dims))
        if np.size(array) == count:
            array = np.reshape(array, dims)[()]
        elif np.size(array) == 1:
            array = np.full(dims, np.reshape(array, ()))[()]
        else:
            raise TypeError(
                f"Eager execution of tf.constant with unsupported shape. Tensor {array} (converted "
                f"from {value}) has {np.size(array)} elements, but got `shape` {tuple(dims)} with "
                f"{count} elements)."
            )
    if state.graph is not None:
        return state.graph.constant(array, name)
    return EagerTensor(array)


def single_array(value: Any) -> Any:
    """An array as float32, for ops whose type is float32 where no tensor says another.

    In graphs floating arrays keep their type. What is no array is returned as it is.
    """
    if not isinstance(value, np.ndarray) or (state.graph is not None and value.dtype.kind == "f"):
        return value
    return value.astype(np.float32) if value.dtype.kind in "iufb" else value


def to_array(value: Any, dtype: dt.DType | None) -> Any:
    """A numpy array (a fresh one, since tensors never change) or numpy scalar of `value`."""
    kind = type(value)
    if kind is float:
        if dtype is None:
            return _single(value)
        if dtype.kind in "fc":
            return dtype._numpy.type(value)
    elif kind is int:
        if dtype is None:
            return np.int32(value) if _INT32.min <= value <= _INT32.max else _long(value)
        if dtype.kind in "fciu":
            try:
                return dtype._numpy.type(value)
            except OverflowError:
                return _wrapped(value, dtype)
    elif kind is bool:
        if dtype in (None, dt.bool):
            return np.bool_(value)
        if dtype in _OF_BOOL:
            return dtype._numpy.type(value)
    elif value is None:
        raise ValueError(
            "Attempt to convert a value (None) with an unsupported type "
            "(<class 'NoneType'>) to a Tensor."
        )
    if isinstance(value, shapes.TensorShape):
        value = value.as_list()
        if None in value:
            raise ValueError(f"Cannot convert a partially known TensorShape {value} to a Tensor.")
        dtype = dtype or dt.int32
    if isinstance(value, dt.DType):
        value = value.as_datatype_enum
    given = isinstance(value, (np.ndarray, np.generic))
    if not given and hasattr(value, "__array__") and not isinstance(value, (list, tuple)):
        value, given = np.asarray(value), True
    first = None if given else _first_leaf(value)
    if isinstance(first, (str, bytes)) or (
        isinstance(first, np.ndarray) and first.dtype.kind in "SU"
    ):
        # numpy's own string types drop zero bytes at the end
        return _strings(np.array(value, object), value, dtype)
    if dtype is dt.uint64 and type(first) is int:
        return _of_unsigned(value)
    array = value if given else _from_python(value)
    if not given and _is_mixed(array, first, dtype):
        raise ValueError(_MIXED)
    if array.dtype.kind in "SU" or (
        array.dtype.kind == "O" and not (given and dtype is not None and dtype.kind in "iufcb")
    ):
        return _strings(array, value, dtype)
    own = not given
    if dtype is None:
        try:
            wanted = dt.from_numpy(array.dtype)._numpy
        except TypeError:
            raise ValueError(
                "Failed to convert a NumPy array to a Tensor (Unsupported numpy type: "
                f"{array.dtype})."
            ) from None
        if (
            not given
            and array.size == 0
            and (array.dtype == np.float64 or isinstance(first, np.ndarray))
        ):
            wanted = _FLOAT32
        elif not given:
            wanted = _python_dtype(array, first)
    else:
        wanted = dtype._numpy
        _check_castable(array, value, dtype, given)
    if array.dtype != wanted:
        if array.dtype.kind == "c" and wanted.kind in "iuf":
            array = array.real  # numpy would warn
        made = np.asarray(array, dtype=wanted)[()]
        if dtype is None and wanted == np.float32 and np.isinf(made).any():
            _check_range(array, made)
        return made
    return array if own else np.array(array, order="C")[()]


def _wrapped(value: int, dtype: dt.DType) -> np.generic:
    """The number modulo what an integer dtype holds: -1 is 255 in uint8.

    Raises:
      ValueError: a number that int64 does not hold; for uint64 TypeError.
    """
    if dtype is dt.uint64:
        raise TypeError(f"Cannot convert {value} to EagerTensor of dtype {dtype.name}")
    return _long(value).astype(dtype._numpy)


def _of_unsigned(value: Any) -> np.ndarray:
    """Nested Python integers as uint64, which numpy makes float64 where some are small."""
    try:
        return np.array(value, np.uint64)
    except OverflowError:
        raise TypeError(f"Cannot convert {value} to EagerTensor of dtype uint64") from None
    except ValueError:
        raise ValueError("Can't convert non-rectangular Python sequence to Tensor.") from None


def _single(value: float) -> np.float32:
    made = np.float32(value)
    if abs(made) == np.inf:
        _check_range(np.float64(value), made)
    return made


def _long(value: int) -> np.int64:
    try:
        return np.int64(value)
    except OverflowError:
        raise ValueError(
            f"Can't convert Python sequence with out-of-range integer to Tensor: {value}"
        ) from None


def _check_range(wide: Any, narrow: Any) -> None:
    """Raises ValueError for a Python float that became infinite."""
    if not np.array_equal(np.isinf(wide), np.isinf(narrow)):
        raise ValueError(
            "Can't convert Python sequence with a value out of range for a float32. Give "
            "dtype=tf.float64."
        )


def _from_python(value: Any) -> np.ndarray:
    try:
        made = np.array(value)
    except ValueError:
        raise ValueError("Can't convert non-rectangular Python sequence to Tensor.") from None
    if made.dtype.kind == "O" and any(x is None for x in made.flat):
        return made
    if made.dtype.kind in "uO" and isinstance(_first_leaf(value), int):
        raise ValueError("Can't convert Python sequence with out-of-range integer to Tensor.")
    return made


def _is_mixed(array: np.ndarray, first: Any, dtype: dt.DType | None) -> bool:
    """Whether numpy found a common type that TensorFlow does not go to from that of the first leaf.

    It does where that type is asked for, and in graphs.
    """
    kind = array.dtype.kind
    of_first = first.dtype.kind if isinstance(first, (np.generic, np.ndarray)) else ""
    if kind in "iuf":
        wider = type(first) is bool or of_first == "b"
    elif kind in "SU":
        return True
    else:
        wider = kind == "c" and (isinstance(first, (int, float)) or of_first in tuple("iuf"))
    if not wider or state.graph is not None:
        return False
    return dtype is None or dtype.kind not in _WIDER.get(kind, "")


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def _python_dtype(array: np.ndarray, first: Any) -> np.dtype:
    """The dtype of a nested sequence: its first leaf decides, of Python or of numpy alike.

    Floats become float32, unless the first is numpy's float64 or float16; integers int32 where
    they fit and else int64; complex numbers complex128. In graphs numpy's common type counts,
    of which float64 becomes float32 and int64 int32.
    """
    have = array.dtype
    if isinstance(first, (np.generic, np.ndarray)):
        if state.graph is not None:
            if isinstance(first, np.ndarray):
                return have
        elif have.kind == "f":
            return first.dtype if first.dtype in (np.float64, np.float16) else _FLOAT32
        elif have.kind == "c":
            return np.dtype(np.complex128)
        elif have.kind in "iu":
            return _integer_dtype(array)
    if have == np.float64:
        return _FLOAT32
    if have == np.int64:
        return _integer_dtype(array)
    return have


def _integer_dtype(array: np.ndarray) -> np.dtype:
    if not array.size:
        return np.dtype(np.int32)
    least, most = array.min(), array.max()
    if most > _INT64_MAX:
        raise ValueError("Can't convert Python sequence with out-of-range integer to Tensor.")
    return np.dtype(np.int32 if _INT32.min <= least and most <= _INT32.max else np.int64)


def _check_castable(array: np.ndarray, value: Any, dtype: dt.DType, given: bool) -> None:
    have, want = array.dtype.kind, dtype.kind
    if array.size == 0 or have == want:
        return
    # arrays are cast as numpy casts them, whatever is lost, and truth values are numbers
    if given and have in "biufcVO" and want in "biufcV":
        return
    if have == "b" and dtype in _OF_BOOL:
        return
    if want not in _WIDER.get(have, ""):
        shown = value if not isinstance(value, np.ndarray) else f"a numpy array of {array.dtype}"
        raise TypeError(f"Cannot convert {shown} to EagerTensor of dtype {dtype.name}")


def _strings(array: np.ndarray, value: Any, dtype: dt.DType | None) -> Any:
    array = np.asarray(array)  # numpy's string scalars have no methods of arrays
    flat = array.astype(object) if array.dtype.kind != "O" else array
    out = np.empty(array.shape, object)
    source, target = flat.reshape(-1), out.reshape(-1)
    for i, item in enumerate(source):
        if isinstance(item, str):
            target[i] = item.encode()
        elif isinstance(item, bytes):
            target[i] = bytes(item)
        elif (
            i
            and not isinstance(value, (np.ndarray, np.generic))
            and isinstance(source[0], (str, bytes))
        ):
            raise ValueError(_MIXED)
        elif item is None:
            raise ValueError(
                "Attempt to convert a value (None) with an unsupported type "
                "(<class 'NoneType'>) to a Tensor."
            )
        else:
            raise ValueError(
                f"Failed to convert a value of type {type(item)} ({item!r}) to a Tensor."
            )
    if dtype not in (None, dt.string):
        raise TypeError(f"Cannot convert {value!r} to EagerTensor of dtype {dtype.name}")
    return out


def _holds_tensor(value: Any) -> bool:
    for item in value:
        if isinstance(item, Tensor) or hasattr(item, "_as_tensor"):
            return True
        if isinstance(item, (list, tuple)) and _holds_tensor(item):
            return True
    return False


def _stack(value: Any, dtype: dt.DType | None) -> Tensor:
    from shardtape.ops.array import pack  # the op itself converts its inputs

    if dtype is None:
        dtype = _leaf_dtype(value)
    parts = []
    for item in value:
        made = convert_to_tensor(item, None if isinstance(item, Tensor) else dtype)
        if dtype is not None and made.dtype is not dtype:
            both = isinstance(item, Tensor) and state.graph is None
            wrong = errors.InvalidArgumentError if both else TypeError
            raise wrong(f"Cannot pack a {made.dtype.name} tensor with {dtype.name} values.")
        parts.append(made)
    return pack(*parts, axis=0)


def _leaf_dtype(value: Any) -> dt.DType | None:
    for item in value:
        inner = getattr(item, "dtype", None)
        if isinstance(item, Tensor) or isinstance(inner, dt.DType):
            return inner
        if isinstance(item, (list, tuple)):
            found = _leaf_dtype(item)
            if found is not None:
                return found
    return None
