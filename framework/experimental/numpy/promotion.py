"""The types in which operations compute in the modes "safe" and "all" of type promotion.

A type is strong, or weak where a number of Python's proposed it: (type, is weak). Strong types
go over weak ones of the same kind; "safe" refuses what can lose digits or make values wider.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest, shapes
from shardtape.type_spec import composite_spec

Kind = tuple[dt.DType, bool]
_WEAK_ORDER = (dt.int32, dt.int64, dt.float32, dt.float64, dt.complex128)
_SIGNED = (dt.int8, dt.int16, dt.int32, dt.int64)
_UNSIGNED = (dt.uint8, dt.uint16, dt.uint32, dt.uint64)
_REAL_OF = {dt.complex64: dt.float32, dt.complex128: dt.float64}
# the bits of whole numbers that a type holds without loss, as the modes count them
_WHOLE_BITS = {dt.bfloat16: 8, dt.float16: 8, dt.float32: 16, dt.float64: 32}
_OF_PYTHON: dict[Any, Kind] = {
    bool: (dt.bool, False), int: (dt.int32, True), float: (dt.float32, True),
    complex: (dt.complex128, True), str: (dt.string, False), bytes: (dt.string, False),
}  # fmt: skip
_INT32 = np.iinfo(np.int32)

_mode = "legacy"


def set_mode(mode: str) -> None:
    """Chooses between "off", "legacy", "safe" and "all"."""
    global _mode
    _mode = mode


def mode() -> str:
    """The mode that was chosen."""
    return _mode


def is_on() -> bool:
    """Whether types are promoted by the rules of "safe" or "all"."""
    return _mode in ("safe", "all")


@functools.cache
def promoted_pair(a: Kind, b: Kind) -> tuple[Kind, bool]:
    """(type in which both meet, whether "safe" allows it).

    Raises NotImplementedError for types that do not meet: strings and numbers, quantized types.
    """
    for kind, other in ((a, b), (b, a)):
        if kind == (dt.bool, False) and _is_number(other[0]):
            return other, True
    if a[0] is b[0] is dt.string:
        return a, True
    if not (_is_number(a[0]) and _is_number(b[0])):
        raise NotImplementedError(f"no type holds the values of {a[0].name} and {b[0].name}")
    if a[1] and b[1]:
        return (max(a[0], b[0], key=_WEAK_ORDER.index), True), True
    if a[1] or b[1]:
        weak, strong = (a[0], b[0]) if a[1] else (b[0], a[0])
        return _with_weak(strong, weak)
    got, safe = _of_strong(a[0], b[0])
    # no whole number holds both signs of 64 bits: a float that any other may narrow
    return (got, got is dt.float64 and a[0].is_integer and b[0].is_integer), safe


def _is_number(kind: dt.DType) -> bool:
    whole = kind in _SIGNED or kind in _UNSIGNED
    return whole or kind is dt.bool or kind in _WHOLE_BITS or kind in _REAL_OF


def _bits(kind: dt.DType) -> int:
    return 8 * kind.size


def _with_weak(strong: dt.DType, weak: dt.DType) -> tuple[Kind, bool]:
    if weak.is_integer or strong.is_complex or (strong.is_floating and weak.is_floating):
        return (strong, False), True
    if strong.is_floating:  # meets a complex number, whose parts become as narrow as it is
        wide = strong is dt.float64
        return (dt.complex128 if wide else dt.complex64, False), wide
    kind = weak if weak.is_complex else dt.float64
    return (kind, True), weak is not dt.float32 and strong not in (dt.int64, dt.uint64)


def _of_strong(a: dt.DType, b: dt.DType) -> tuple[dt.DType, bool]:
    if a is b:
        return a, True
    if a.is_complex or b.is_complex:
        parts, safe = _of_strong(_REAL_OF.get(a, a), _REAL_OF.get(b, b))
        narrow = {dt.float64, dt.complex64} == {a, b}
        return dt.complex128 if parts is dt.float64 else dt.complex64, safe and not narrow
    if a.is_floating and b.is_floating:
        if a.size == b.size:  # bfloat16 and float16
            return dt.float32, False
        return max(a, b, key=_bits), True
    if a.is_floating or b.is_floating:
        floating, whole = (a, b) if a.is_floating else (b, a)
        return floating, _bits(whole) <= _WHOLE_BITS[floating]
    if a.is_unsigned is b.is_unsigned:
        return max(a, b, key=_bits), True
    signed, unsigned = (b, a) if a.is_unsigned else (a, b)
    if signed.size > unsigned.size:
        return signed, True
    wider = [s for s in _SIGNED if s.size > unsigned.size]
    return wider[0] if wider else dt.float64, False


def kind_of(value: Any) -> Kind:
    """The type that a value, or a type, brings.

    Raises:
      OverflowError: a number of Python's that int32 does not hold.
      NotImplementedError: a ragged or sparse value, or one whose type is no tensor's.
    """
    from shardtape.experimental.numpy.weak import WeakTensor  # no program pays for it but these

    if type(value) is WeakTensor:
        return value.dtype, True
    if isinstance(value, dt.DType):
        return value, False
    if composite_spec(value) is not None and not hasattr(value, "_as_operand"):
        raise NotImplementedError(f"type promotion takes no {type(value).__name__}")
    own = getattr(value, "read_dtype", None) or getattr(value, "dtype", None)
    if isinstance(own, dt.DType):
        return own, False
    if isinstance(own, np.dtype):
        return _of_numpy(own)
    if isinstance(value, type):
        return _OF_PYTHON[value] if value in _OF_PYTHON else _of_numpy(value)
    if isinstance(value, np.dtype):
        return _of_numpy(value)
    if isinstance(value, shapes.TensorShape):
        return dt.int32, False
    for kind, found in _OF_PYTHON.items():
        if isinstance(value, kind):
            if kind is int and not _INT32.min <= value <= _INT32.max:
                raise OverflowError(f"Python int {value} too large to convert to np.int32")
            return found
    raise NotImplementedError(f"type promotion takes no {type(value).__name__}")


def _of_numpy(kind: Any) -> Kind:
    try:
        return dt.as_dtype(kind), False
    except TypeError:
        raise NotImplementedError(f"type promotion takes no {kind}: cast it first") from None


def result_kind(*values: Any) -> Kind:
    """The type in which an operation on values (or types, or lists of them) computes.

    Raises:
      TypeError: the mode is "safe" and does not allow it.
      OverflowError, NotImplementedError: as `kind_of` and `promoted_pair`.
    """
    kinds = [kind_of(v) for v in nest.flatten([v for v in values if v is not None])]
    if not kinds:
        return dt.float32, True
    result = kinds[0]
    for other in kinds[1:]:
        met, safe = promoted_pair(result, other)
        if not safe and _mode == "safe":
            raise TypeError(
                "In promotion mode PromoMode.SAFE, implicit dtype promotion between "
                f"({result[0]!s}, weak={result[1]}) and ({other[0]!s}, weak={other[1]}) is "
                'disallowed. Cast one of them with tf.cast, or choose dtype_conversion_mode="all".'
            )
        result = met
    return result
