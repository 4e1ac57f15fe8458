"""Casts between dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.composites import override_of, takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import cpp_name
from shardtape.ops.registry import Arg, op, same_as
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_SMOOTH = dt.FLOATING | dt.COMPLEX


def _cast_samples(rng: np.random.Generator) -> Any:
    targets = (dt.float64, dt.float32, dt.int32, dt.int64, dt.bool, dt.uint8, dt.complex128)
    return [((rng.uniform(0.1, 3, size=(2, 3)),), {"DstT": t, "SrcT": None}) for t in targets]


@op(
    "Cast",
    dtypes=dt.NUMERIC | dt.BOOL,
    dtype="DstT",
    shape=same_as(0),
    widen=False,
    samples=_cast_samples,
)
def cast_op(xp, x, *, SrcT, DstT, Truncate=False):
    """`x` in the type `DstT`: floats are cut towards zero, non-zero is True.

    `SrcT` is the type of `x`: its gradient needs no more than that.
    """
    return _converted(x, DstT._numpy)


def _converted(x: Any, to: np.dtype) -> Any:
    if x.dtype.kind == "c" and to.kind != "c":
        return (x != 0) if to.kind == "b" else x.real.astype(to)
    return x.astype(to)


@cast_op.writes_into()
def _(xp, out, x, *, SrcT, DstT, Truncate=False):
    if x.dtype.kind == "c" and out.dtype.kind != "c":
        if out.dtype.kind == "b":
            xp.not_equal(x, 0, out=out)
            return
        x = x.real
    xp.copyto(out, x, casting="unsafe")


@cast_op.gradient
def _(g, _y, _x, *, SrcT, DstT):
    if SrcT in _SMOOTH and DstT in _SMOOTH:
        return cast_op(g, SrcT=DstT, DstT=SrcT)
    return None


@op("QuantizedCast", dtypes=dt.QUANTIZED_DTYPES | dt.REAL, dtype="DstT", shape=same_as(0),
    widen=False, differentiable=False)  # fmt: skip
def quantized_cast_op(xp, x, *, DstT):
    """The integers of a quantized tensor in another type, or numbers as quantized ones."""
    plain = x if x.dtype.names is None else x.view(x.dtype[0])
    if not DstT.is_quantized:
        return _converted(plain, DstT._numpy)
    return xp.ascontiguousarray(plain.astype(DstT._numpy[0])).view(DstT._numpy)


def _bits(dtype: dt.DType) -> int:
    return dtype.numpy_dtype.itemsize


def _bitcast_shape(input: Arg, *, type: Any) -> TensorShape:
    have, want = _bits(input.dtype), _bits(dt.as_dtype(type))
    if have == want or input.shape.rank is None:
        return input.shape
    if have > want:
        return input.shape.concatenate([have // want])
    return input.shape[:-1]


@op(
    "Bitcast",
    dtypes=dt.NUMERIC,
    dtype="type",
    shape=_bitcast_shape,
    may_view=True,
    differentiable=False,
    samples=lambda rng: [
        ((np.array([1, -2, 3], np.int32),), {"type": dt.float32}),
        ((np.array([1.5, -2.0], np.float32),), {"type": dt.uint8}),
        ((np.array([[1, 2], [3, 4]], np.int32),), {"type": dt.int64}),
    ],
)
def bitcast_op(xp, input, *, type):
    """The same bytes read as another type; an axis is added or taken where the sizes differ."""
    to = dt.as_dtype(type).numpy_dtype
    have, want = input.dtype.itemsize, to.itemsize
    if have == want:
        return input.view(to)
    whole = xp.ascontiguousarray(input)
    if have > want:
        return whole.reshape(-1).view(to).reshape(*input.shape, have // want)
    if input.shape[-1:] != (want // have,):
        raise ValueError(f"the last axis must be {want // have} to be read as {type}")
    return whole.reshape(-1).view(to).reshape(input.shape[:-1])


@takes_composites
def bitcast(input: Any, type: Any, name: str | None = None) -> Any:
    """The same bytes read as another type."""
    return bitcast_op(convert_to_tensor(input), type=dt.as_dtype(type), name=name)


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """`x` in another dtype; the same tensor where it has it.

    Floats are cut towards zero, everything but zero becomes True, of complex numbers the real
    part is kept.
    """
    # NumPy has more names, of sizes that differ between platforms
    if dtype is int or dtype is complex or (type(dtype) is str and not dt.is_name(dtype)):
        raise TypeError(
            f"Cannot convert the argument `type_value`: {dtype!r} to a TensorFlow DType."
        )
    wanted = dt.as_dtype(dtype)
    if not isinstance(x, Tensor):
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, wanted), x.indices, x.dense_shape)
        taken = override_of("cast", x)
        if taken is not None:
            return taken(x, wanted)
        x = convert_to_tensor(x)
    if x.dtype is wanted:
        if type(x) is SymbolicTensor and x.op.graph.shows_calls:
            from shardtape.ops.shaping import identity

            return identity(x)
        return x
    if dt.string in (x.dtype, wanted):
        raise errors.UnimplementedError(
            None, None, f"Cast {cpp_name(x.dtype)} to {cpp_name(wanted)} is not supported "
            f"[Op:Cast] name: {name or ''}"
        )  # fmt: skip
    plain = not state.busy and type(x) is EagerTensor and wanted.kind not in "srq"
    if plain and x._array.dtype.kind in "fiubcV" and x.dtype.kind != "q":
        return EagerTensor(_converted(x._array, wanted._numpy))
    if x.dtype.is_quantized or wanted.is_quantized:
        return quantized_cast_op(x, DstT=wanted, name=name)
    return cast_op(x, SrcT=x.dtype, DstT=wanted, name=name)


@takes_composites
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """`value` in another dtype; what does not fit becomes the nearest value that does."""
    from shardtape.ops import math

    wanted = dt.as_dtype(dtype)
    x = convert_to_tensor(value)
    if x.dtype.is_complex:
        x = math.real(x)
    low, high = max(x.dtype.min, wanted.min), min(x.dtype.max, wanted.max)
    if x.dtype.is_floating:
        kind = x.dtype.numpy_dtype.type
        if float(kind(high)) > float(wanted.max):
            high = np.nextafter(kind(high), kind(0))
        if float(kind(low)) < float(wanted.min):
            low = np.nextafter(kind(low), kind(0))
    kept = x.dtype.numpy_dtype.type
    return cast(math.maximum(math.minimum(x, kept(high)), kept(low)), wanted, name=name)


def to_float(x: Any, name: str = "ToFloat") -> Any:
    """`x` as float32."""
    return cast(x, dt.float32, name=name)


def to_double(x: Any, name: str = "ToDouble") -> Any:
    """`x` as float64."""
    return cast(x, dt.float64, name=name)


def to_int32(x: Any, name: str = "ToInt32") -> Any:
    """`x` as int32."""
    return cast(x, dt.int32, name=name)


def to_int64(x: Any, name: str = "ToInt64") -> Any:
    """`x` as int64."""
    return cast(x, dt.int64, name=name)
