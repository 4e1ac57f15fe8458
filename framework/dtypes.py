"""Element types: names, numbers and limits are TensorFlow's."""

from __future__ import annotations

import builtins
from typing import Any

import ml_dtypes
import numpy as np


class DType:
    """The type of a tensor's elements; compare with `==` or `is`, make with `as_dtype`."""

    __slots__ = ("name", "as_datatype_enum", "_numpy", "kind", "__weakref__")

    def __init__(self, name: str, enum: int, numpy_type: Any, kind: str) -> None:
        self.name = name
        self.as_datatype_enum = enum
        self._numpy = np.dtype(numpy_type)
        # f float, i signed, u unsigned, c complex, b bool, s string, r resource, q quantized
        self.kind = kind

    @property
    def as_numpy_dtype(self) -> Any:
        """The numpy scalar type; `object` for strings and resources; quantized ones a record."""
        return self._numpy if self.kind == "q" else self._numpy.type

    @property
    def numpy_dtype(self) -> np.dtype:
        """The numpy dtype instance."""
        return self._numpy

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the parts of a complex type, itself otherwise."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    @property
    def is_floating(self) -> builtins.bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> builtins.bool:
        return self.kind in "iu"

    @property
    def is_unsigned(self) -> builtins.bool:
        return self.kind == "u"

    @property
    def is_complex(self) -> builtins.bool:
        return self.kind == "c"

    @property
    def is_bool(self) -> builtins.bool:
        return self.kind == "b"

    @property
    def is_numpy_compatible(self) -> builtins.bool:
        return self.kind != "r"

    @property
    def is_quantized(self) -> builtins.bool:
        return self.kind == "q"

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self._numpy.itemsize

    @property
    def min(self) -> Any:
        """Smallest value. Raises TypeError for types without an order."""
        return self._limits().min

    @property
    def max(self) -> Any:
        """Largest value. Raises TypeError for types without an order."""
        return self._limits().max

    @property
    def limits(self) -> tuple[Any, Any]:
        """(low, high) of the values of an image in this type, as TensorFlow gives them: (0, 1)
        for float32 and float64, (0, the largest value) for integers.

        Raises ValueError for types that have none.
        """
        if self.name in ("float32", "float64"):
            return 0, 1
        if self.kind in "iu":
            return 0, int(self.max)
        if self.kind == "b":
            return False, True
        raise ValueError(f"{self} does not have defined limits.")

    @property
    def is_numeric(self) -> builtins.bool:
        return self.kind in "fiuc"

    def is_subtype_of(self, other: Any) -> builtins.bool:
        """Whether it is the same type: types of elements have no others below them."""
        return self is other

    def most_specific_common_supertype(self, types: Any) -> DType | None:
        """This type where all `types` are it, else None."""
        return self if all(self is other for other in types) else None

    def _limits(self) -> Any:
        if self.kind == "f":
            return ml_dtypes.finfo(self._numpy)
        if self.kind in "iu":
            return np.iinfo(self._numpy)
        raise TypeError(f"Cannot find the limits of {self!r}.")

    def is_compatible_with(self, other: Any) -> builtins.bool:
        return self is as_dtype(other)

    def __eq__(self, other: object) -> builtins.bool:
        if other is self:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __ne__(self, other: object) -> builtins.bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.name)

    def __int__(self) -> int:
        return self.as_datatype_enum

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


float32 = DType("float32", 1, np.float32, "f")
float64 = DType("float64", 2, np.float64, "f")
int32 = DType("int32", 3, np.int32, "i")
uint8 = DType("uint8", 4, np.uint8, "u")
int16 = DType("int16", 5, np.int16, "i")
int8 = DType("int8", 6, np.int8, "i")
string = DType("string", 7, object, "s")
complex64 = DType("complex64", 8, np.complex64, "c")
int64 = DType("int64", 9, np.int64, "i")
bool = DType("bool", 10, np.bool_, "b")
bfloat16 = DType("bfloat16", 14, ml_dtypes.bfloat16, "f")
uint16 = DType("uint16", 17, np.uint16, "u")
complex128 = DType("complex128", 18, np.complex128, "c")
float16 = DType("float16", 19, np.float16, "f")
resource = DType("resource", 20, object, "r")
variant = DType("variant", 21, object, "r")
uint32 = DType("uint32", 22, np.uint32, "u")
uint64 = DType("uint64", 23, np.uint64, "u")
half, double = float16, float64
# Integers that stand for floats of a range; numpy tells them from plain ones by the record
qint8 = DType("qint8", 11, [("qint8", "i1")], "q")
quint8 = DType("quint8", 12, [("quint8", "u1")], "q")
qint32 = DType("qint32", 13, [("qint32", "i4")], "q")
qint16 = DType("qint16", 15, [("qint16", "i2")], "q")
quint16 = DType("quint16", 16, [("quint16", "u2")], "q")
QUANTIZED_DTYPES = frozenset((qint8, quint8, qint32, qint16, quint16))

ALL_TYPES: tuple[DType, ...] = (
    float32, float64, int32, uint8, int16, int8, string, complex64, int64, bool, bfloat16,
    uint16, complex128, float16, resource, variant, uint32, uint64,
)  # fmt: skip

FLOATING = frozenset((float16, bfloat16, float32, float64))
COMPLEX = frozenset((complex64, complex128))
SIGNED = frozenset((int8, int16, int32, int64))
UNSIGNED = frozenset((uint8, uint16, uint32, uint64))
INTEGER = SIGNED | UNSIGNED
REAL = FLOATING | INTEGER
NUMERIC = REAL | COMPLEX
BOOL = frozenset((bool,))
ANY = frozenset(ALL_TYPES)
HALVES = frozenset((float16, bfloat16))

_BY_NAME = {t.name: t for t in ALL_TYPES} | {
    "half": float16, "float": float32, "double": float64, "float32_ref": float32,
}  # fmt: skip
_BY_NAME |= {t.name: t for t in QUANTIZED_DTYPES}
_BY_ENUM = {t.as_datatype_enum: t for t in (*ALL_TYPES, *QUANTIZED_DTYPES)}
_BY_NUMPY: dict[np.dtype, DType] = {t.numpy_dtype: t for t in ALL_TYPES if t.kind not in "sr"}
_BY_NUMPY[np.dtype(object)] = string
_BY_NUMPY |= {t.numpy_dtype: t for t in QUANTIZED_DTYPES}
# What TensorFlow takes for a type: names, numbers, three Python types, numpy's scalar types.
_BY_ANYTHING: dict[Any, DType] = {float: float32, builtins.bool: bool, object: string}
_BY_ANYTHING |= {d.type: t for d, t in _BY_NUMPY.items() if t not in QUANTIZED_DTYPES}
_BY_ANYTHING |= {np.str_: string, np.bytes_: string, np.longlong: int64, np.ulonglong: uint64}
_BY_ANYTHING |= _BY_NAME | _BY_ENUM


def from_numpy(dtype: np.dtype) -> DType:
    """The DType of a numpy dtype. Raises TypeError where there is none (datetimes, records)."""
    found = _BY_NUMPY.get(dtype)
    if found is None:
        if dtype.kind in "SU":
            return string
        native = _BY_NUMPY.get(dtype.newbyteorder("="))
        if native is None:
            raise TypeError(f"Cannot convert value {dtype!r} to a TensorFlow DType.")
        return native
    return found


def is_name(name: str) -> builtins.bool:
    """Whether TensorFlow has a type of this name, like "float32" or "half"."""
    return name in _BY_NAME


def as_dtype(type_value: Any) -> DType:
    """A DType from a DType, its name or number, `float`, `bool`, a numpy type or numpy dtype.

    Raises TypeError for everything else, as TensorFlow does for `int`, "int" and "f4".
    """
    value = type_value
    if isinstance(value, DType):
        return value
    try:
        found = _BY_ANYTHING.get(value)
    except TypeError:  # it cannot be hashed
        found = None
    if found is not None:
        return found
    kind = value if isinstance(value, np.dtype) else getattr(value, "dtype", None)
    if isinstance(kind, np.dtype):  # the latter of an array
        try:
            return from_numpy(kind)
        except TypeError:  # numpy's types that have no like
            pass
    raise TypeError(f"Cannot convert the argument `type_value`: {value!r} to a TensorFlow DType.")


def __getattr__(name: str) -> Any:
    # functions that are ops, and so are defined after the types
    if name in ("cast", "complex", "saturate_cast"):
        from shardtape.ops import math

        return getattr(math, name)
    from shardtape.absent import missing_text

    known = [n for n in globals() if not n.startswith("_")]
    raise AttributeError(missing_text("tf.dtypes", name, [*known, "cast", "complex"]))
