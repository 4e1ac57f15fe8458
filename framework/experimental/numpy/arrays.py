"""NumPy's making, joining and cutting of arrays, on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import linalg
from shardtape import math as m
from shardtape.experimental.numpy import promotion
from shardtape.experimental.numpy.types import array, asarray, default_float, numpy_kind, promoted
from shardtape.ops import array as arrays
from shardtape.ops.cast import cast
from shardtape.ops.joining import stack as joined
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

ascontiguousarray = asanyarray = asarray


def copy(a: Any) -> Tensor:
    """The array: tensors never change."""
    return array(a)


# ---- making -----------------------------------------------------------------------------------
def _dims(shape: Any) -> Any:
    return [shape] if isinstance(shape, (int, np.integer)) else shape


def zeros(shape: Any, dtype: Any = None) -> Any:
    """As `numpy.zeros`."""
    return arrays.zeros(_dims(shape), default_float() if dtype is None else numpy_kind(dtype))


def ones(shape: Any, dtype: Any = None) -> Any:
    """As `numpy.ones`."""
    return arrays.ones(_dims(shape), default_float() if dtype is None else numpy_kind(dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """As `numpy.full`."""
    return arrays.broadcast_to(array(fill_value, dtype), _dims(shape))


empty = zeros


def zeros_like(a: Any, dtype: Any = None) -> Any:
    """As `numpy.zeros_like`."""
    return arrays.zeros_like(array(a), None if dtype is None else numpy_kind(dtype))


def ones_like(a: Any, dtype: Any = None) -> Any:
    """As `numpy.ones_like`."""
    return arrays.ones_like(array(a), None if dtype is None else numpy_kind(dtype))


empty_like = zeros_like


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None,
) -> Any:  # fmt: skip
    """As `numpy.full_like`; there is one order, and no other shape than that of `a`."""
    if shape is not None:
        raise ValueError("Overriding the shape is not supported: use full()")
    x = array(a)
    return arrays.broadcast_to(array(fill_value, dtype or x.dtype), arrays.shape(x))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """As `numpy.eye`."""
    return array(np.eye(N, M, k), default_float() if dtype is None else numpy_kind(dtype))


def identity(n: int, dtype: Any = None) -> Any:
    """As `numpy.identity`."""
    return eye(n, dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """As `numpy.arange`."""
    begin, end = (0, start) if stop is None else (start, stop)
    bounds = promoted(begin, end, step)
    made = arrays.range(*bounds)
    return made if dtype is None else cast(made, numpy_kind(dtype))


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """As `numpy.linspace`."""
    kind, wanted = _inner_kind(dtype)
    first, last = cast(array(start), kind), cast(array(stop), kind)
    parts = num - 1 if endpoint else num
    step = (last - first) / max(parts, 1)
    if endpoint:
        made = arrays.linspace(first, last, num, axis=axis)
    else:
        made = arrays.linspace(first, last, num + 1, axis=axis)
        made = arrays.gather(made, arrays.range(num), axis=axis)
    made = cast(made, wanted)
    return (made, step) if retstep else made


def _inner_kind(dtype: Any) -> tuple[dt.DType, dt.DType]:
    """The type that points are computed in, and the one that was asked for."""
    wanted = default_float() if dtype is None else numpy_kind(dtype)
    return (default_float() if wanted.is_integer else wanted), wanted


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """As `numpy.logspace`; the exponents have the type too."""
    kind, wanted = _inner_kind(dtype)
    made = linspace(start, stop, num, endpoint, dtype=wanted, axis=axis)
    return cast(m.pow(cast(array(base), kind), cast(made, kind)), wanted)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None,
              axis: int = 0) -> Any:  # fmt: skip
    """As `numpy.geomspace`; two negative ends give negative values."""
    kind, wanted = _inner_kind(dtype)
    first, last = cast(array(start), kind), cast(array(stop), kind)
    if not kind.is_complex:
        zero = arrays.zeros([], kind)
        below = m.logical_and(first < zero, last < zero)
        flip = arrays.where(below, zero - 1, zero + 1)
    else:
        flip = arrays.ones([], kind)
    scale = m.log(cast(array(10.0), kind))
    low, high = m.log(flip * first) / scale, m.log(flip * last) / scale
    return cast(flip * logspace(low, high, num, endpoint, dtype=kind, axis=axis), wanted)


def diag(v: Any, k: int = 0) -> Any:
    """As `numpy.diag`."""
    x = array(v)
    return linalg.diag(x, k=k) if x.shape.rank == 1 else diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Any:
    """As `numpy.diagflat`."""
    return diag(ravel(v), k)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """As `numpy.diagonal`."""
    return linalg.diag_part(moveaxis(a, (axis1, axis2), (-2, -1)), k=offset)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """As `numpy.tri`."""
    return array(np.tri(N, M, k), default_float() if dtype is None else numpy_kind(dtype))


def tril(m: Any, k: int = 0) -> Any:
    """As `numpy.tril`."""
    x = array(m)
    keep = np.tri(x.shape[-2], x.shape[-1], k, dtype=bool)
    return arrays.where(keep, x, arrays.zeros_like(x))


def triu(m: Any, k: int = 0) -> Any:
    """As `numpy.triu`."""
    x = array(m)
    drop = np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool)
    return arrays.where(drop, arrays.zeros_like(x), x)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """As `numpy.vander`."""
    a = array(x)
    count = a.shape[0] if N is None else N
    powers = np.arange(count) if increasing else np.arange(count)[::-1]
    return m.pow(a[:, None], cast(array(powers.copy()), a.dtype)[None, :])


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False, copy: bool = True) -> list[Any]:
    """As `numpy.meshgrid`.

    Raises ValueError for sparse grids and views.
    """
    if sparse:
        raise ValueError("meshgrid does not support sparse=True: every grid is whole")
    if not copy:
        raise ValueError("meshgrid only supports copy=True: tensors are no views")
    return list(arrays.meshgrid(*[array(x) for x in xi], indexing=indexing))


# ---- forms ------------------------------------------------------------------------------------
def shape(a: Any) -> TensorShape:
    """As `numpy.shape`."""
    return array(a).shape


def ndim(a: Any) -> int:
    """As `numpy.ndim`."""
    return array(a).shape.rank


def size(x: Any, axis: int | None = None) -> Any:
    """As `numpy.size`."""
    a = array(x)
    return a.shape.num_elements() if axis is None else a.shape[axis]


def reshape(a: Any, newshape: Any, order: str = "C") -> Any:
    """As `numpy.reshape`.

    Raises ValueError for an order that is neither "C" nor "F".
    """
    x, dims = array(a), _dims(newshape)
    if order == "F":
        return transpose(arrays.reshape(transpose(x), list(dims)[::-1]))
    if order != "C":
        raise ValueError(f"Invalid order argument {order}")
    return arrays.reshape(x, dims)


def ravel(a: Any) -> Any:
    """As `numpy.ravel`."""
    return arrays.reshape(array(a), [-1])


def transpose(a: Any, axes: Any = None) -> Any:
    """As `numpy.transpose`."""
    return arrays.transpose(array(a), axes)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """As `numpy.swapaxes`."""
    x = array(a)
    order = list(range(x.shape.rank))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return arrays.transpose(x, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """As `numpy.moveaxis`."""
    x = array(a)
    rank: int = x.shape.rank
    sources = [s % rank for s in np.atleast_1d(source)]
    targets = [d % rank for d in np.atleast_1d(destination)]
    order = [i for i in range(rank) if i not in sources]
    for target, s in sorted(zip(targets, sources)):
        order.insert(target, s)
    return arrays.transpose(x, [int(i) for i in order])


def squeeze(a: Any, axis: Any = None) -> Any:
    """As `numpy.squeeze`."""
    return arrays.squeeze(array(a), axis)


def expand_dims(a: Any, axis: Any) -> Any:
    """As `numpy.expand_dims`."""
    x = array(a)
    for at in sorted(np.atleast_1d(axis)):
        x = arrays.expand_dims(x, int(at))
    return x


def broadcast_to(array: Any, shape: Any) -> Any:
    """As `numpy.broadcast_to`."""
    return arrays.broadcast_to(asarray(array), _dims(shape))


def broadcast_arrays(*args: Any) -> list[Any]:
    """As `numpy.broadcast_arrays`."""
    values = [array(a) for a in args]
    whole = np.broadcast_shapes(*[tuple(v.shape.as_list()) for v in values])
    return [arrays.broadcast_to(v, whole) for v in values]


def _at_least(rank: int, name: str) -> Callable[..., Any]:
    def widened(*arys: Any) -> Any:
        made = []
        for a in arys:
            x = array(a)
            if x.shape.rank == 0:
                x = arrays.reshape(x, [1] * rank)
            elif x.shape.rank < rank:
                front = 1 if x.shape.rank == 1 and rank > 1 else 0
                dims = [1] * front + x.shape.as_list()
                x = arrays.reshape(x, dims + [1] * (rank - len(dims)))
            made.append(x)
        return made[0] if len(made) == 1 else made

    widened.__name__ = widened.__qualname__ = name
    widened.__doc__ = f"As `numpy.{name}`."
    return widened


atleast_1d, atleast_2d, atleast_3d = [_at_least(n, f"atleast_{n}d") for n in (1, 2, 3)]


# ---- joining and cutting ----------------------------------------------------------------------
def concatenate(arys: Sequence[Any], axis: int | None = 0) -> Any:
    """As `numpy.concatenate`."""
    values = promoted(*arys)
    if axis is None:
        return arrays.concat([ravel(v) for v in values], 0)
    return arrays.concat(list(values), axis)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """As `numpy.append`."""
    return concatenate([arr, values], axis)


def stack(arrays: Any, axis: int = 0) -> Any:
    """As `numpy.stack`."""
    return joined(list(promoted(*arrays)), axis)


def _met(values: Sequence[Any]) -> Sequence[Any]:
    """Values of one type where the mode knows weak ones, which an array of its own is not."""
    return promoted(*values) if promotion.is_on() else values


def vstack(tup: Sequence[Any]) -> Any:
    """As `numpy.vstack`."""
    return concatenate([atleast_2d(a) for a in _met(tup)], 0)


def hstack(tup: Sequence[Any]) -> Any:
    """As `numpy.hstack`."""
    values = [atleast_1d(a) for a in _met(tup)]
    return concatenate(values, 0 if values[0].shape.rank == 1 else 1)


def dstack(tup: Sequence[Any]) -> Any:
    """As `numpy.dstack`."""
    return concatenate([atleast_3d(a) for a in _met(tup)], 2)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """As `numpy.split`: into equal parts, or at places."""
    x = array(ary)
    if isinstance(indices_or_sections, (int, np.integer)):
        return arrays.split(x, int(indices_or_sections), axis=axis)
    return _cut_at(x, indices_or_sections, axis)


def _cut_at(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut at places, or into parts of about equal size."""
    x = array(ary)
    count: int = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = np.array_split(np.arange(count), int(indices_or_sections))
        sizes = [len(p) for p in parts]
    else:
        ends = np.clip([0, *indices_or_sections, count], 0, count)
        sizes = np.maximum(np.diff(ends), 0).tolist()
    return arrays.split(x, sizes, axis=axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """As `numpy.hsplit`."""
    x = array(ary)
    return _equal_parts(x, indices_or_sections, 0 if x.shape.rank == 1 else 1)


def _equal_parts(ary: Any, indices_or_sections: Any, axis: int) -> list[Any]:
    """As `split`. Raises ValueError for parts that cannot be equal."""
    x = array(ary)
    if isinstance(indices_or_sections, (int, np.integer)) and x.shape.rank:
        count = x.shape[axis]
        if count is not None and count % indices_or_sections:
            raise ValueError(
                f"array split does not result in an equal division: {count} by "
                f"{indices_or_sections}"
            )
    return split(x, indices_or_sections, axis)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """As `numpy.vsplit`."""
    return _equal_parts(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """As `numpy.dsplit`."""
    return _equal_parts(ary, indices_or_sections, 2)


def tile(a: Any, reps: Any) -> Any:
    """As `numpy.tile`."""
    x, times = array(a), [int(r) for r in np.atleast_1d(reps)]
    rank = max(x.shape.rank, len(times))
    x = arrays.reshape(x, [1] * (rank - x.shape.rank) + x.shape.as_list())
    return arrays.tile(x, [1] * (rank - len(times)) + times)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """As `numpy.repeat`."""
    return arrays.repeat(array(a), repeats, axis)


def flip(m: Any, axis: Any = None) -> Any:
    """As `numpy.flip`."""
    x = array(m)
    axes = range(x.shape.rank) if axis is None else np.atleast_1d(axis)
    return arrays.reverse(x, [int(a) % x.shape.rank for a in axes])


def flipud(m: Any) -> Any:
    """As `numpy.flipud`."""
    return flip(m, 0)


def fliplr(m: Any) -> Any:
    """As `numpy.fliplr`."""
    return flip(m, 1)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """As `numpy.rot90`."""
    x, turns = array(m), k % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, axes)
    swapped = swapaxes(x, *axes)
    return flip(swapped, axes[0]) if turns == 1 else flip(swapped, axes[1])


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """As `numpy.roll`."""
    x = array(a)
    if axis is None:
        return arrays.reshape(arrays.roll(ravel(x), shift, 0), arrays.shape(x))
    return arrays.roll(x, shift, axis)


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    """As `numpy.pad`: "constant", "reflect" or "symmetric"."""
    x = asarray(array)
    widths = np.broadcast_to(np.asarray(pad_width), (x.shape.rank, 2))
    value = kwargs.get("constant_values", 0)
    return arrays.pad(x, widths.copy(), mode.upper(), cast(asarray(value), x.dtype))


# ---- picking ----------------------------------------------------------------------------------
def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "clip") -> Any:
    """As `numpy.take`; indices beyond the ends are those of the ends ("clip") or go round."""
    x, at = array(a), array(indices)
    if axis is None:
        x, axis = ravel(x), 0
    count = cast(arrays.shape(x)[axis], at.dtype)
    at = at % count if mode == "wrap" else arrays.where(at < 0, arrays.zeros_like(at), at)
    return arrays.gather(x, m.minimum(at, count - 1), axis=axis)


def take_along_axis(arr: Any, indices: Any, axis: int) -> Any:
    """As `numpy.take_along_axis`."""
    x, at = array(arr), array(indices)
    rank: int = x.shape.rank
    last = [*[i for i in range(rank) if i != axis % rank], axis % rank]
    back = [int(i) for i in np.argsort(last)]
    made = arrays.gather(
        arrays.transpose(x, last), arrays.transpose(at, last), batch_dims=rank - 1, axis=rank - 1
    )
    return arrays.transpose(made, back)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """As `numpy.where`."""
    from shardtape.experimental.numpy.reductions import nonzero

    if x is None and y is None:
        return nonzero(condition)
    a, b = promoted(x, y)
    return arrays.where(cast(array(condition), dt.bool), a, b)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """As `numpy.select`."""
    made: Any = default  # a Python number takes the type of the choices
    for condition, choice in reversed(list(zip(condlist, choicelist))):
        made = where(condition, choice, made)
    return made
