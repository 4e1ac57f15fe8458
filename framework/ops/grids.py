"""Tensors made of positions: one-hot rows, identity matrices, spaced numbers, masks, repeats."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import executing_eagerly
from shardtape.ops.arithmetic import maximum, multiply
from shardtape.ops.broadcasting import broadcast_dynamic_shape, broadcast_to
from shardtape.ops.cast import cast
from shardtape.ops.compare import equal
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones_like, zeros_like
from shardtape.ops.filling import range as range_
from shardtape.ops.gather import boolean_mask
from shardtape.ops.joining import concat, stack, tile
from shardtape.ops.node_names import scope_itself, scoped
from shardtape.ops.padding import slice_
from shardtape.ops.reduce import reduce_max
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import Arg, op
from shardtape.ops.selecting import where
from shardtape.ops.shape_rules import axis_index, known_int
from shardtape.ops.shaping import expand_dims, rank, reshape, shape
from shardtape.ops.whole_numbers import refuse_fractions
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


# ---- one-hot rows -----------------------------------------------------------------------------
def _one_hot_shape(indices: Arg, depth: Arg, on: Arg, off: Arg, *, axis: int = -1) -> TensorShape:
    if indices.shape.rank is None:
        return UNKNOWN
    at = axis_index(axis, indices.shape.rank + 1)
    dims = indices.shape.as_list()
    dims.insert(at, known_int(depth))
    return TensorShape(dims)


def _one_hot_dtype(dtypes: Any, attrs: Any) -> dt.DType:
    if dtypes[2] is not dtypes[3]:
        raise errors.InvalidArgumentError(
            f"on_value and off_value need one dtype, got {dtypes[2].name} and {dtypes[3].name}"
        )
    return dtypes[2]


def _one_hot_samples(rng: np.random.Generator) -> Any:
    on_off = (np.asarray(rng.normal()), np.asarray(rng.normal()))
    return [
        ((np.array([0, 2, -1, 5], np.int32), np.int32(3), *on_off), {}),
        ((np.array([[0, 1], [2, 2]], np.int64), np.int32(3), *on_off), {"axis": 0}),
    ]


@op(
    "OneHot",
    dtypes=DATA,
    dtype=_one_hot_dtype,
    mixed=True,
    host=("depth",),
    widen=False,
    differentiable=False,
    shape=_one_hot_shape,
    samples=_one_hot_samples,
)
def one_hot_op(xp, indices, depth, on_value, off_value, *, axis=-1):
    """A new axis of size `depth` that holds `on_value` at the index and `off_value` elsewhere."""
    if depth < 0:
        raise ValueError(f"depth must be non-negative, got: {int(depth)}")
    at = axis_index(axis, indices.ndim + 1)
    if xp is np and at == indices.ndim and on_value.dtype.kind != "O":
        return _one_hot_rows(indices, int(depth), on_value, off_value)
    along = [1] * (indices.ndim + 1)
    along[at] = int(depth)
    places = xp.arange(int(depth)).reshape(along)
    wanted = indices.reshape(indices.shape[:at] + (1,) + indices.shape[at:])
    return xp.where(places == wanted, on_value, off_value)


def _one_hot_rows(indices: Any, depth: int, on_value: Any, off_value: Any) -> np.ndarray:
    """With the new axis at the end: only the chosen places are looked at."""
    if off_value == 0:
        out = np.zeros((*indices.shape, depth), on_value.dtype)
    else:
        out = np.full((*indices.shape, depth), off_value, on_value.dtype)
    places = indices.reshape(-1).astype(np.int64)
    rows = np.arange(places.size)
    inside = (places >= 0) & (places < depth)
    if not inside.all():
        rows, places = rows[inside], places[inside]
    out.reshape(indices.size, depth)[rows, places] = on_value
    return out


@takes_composites
@scoped("one_hot")
def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None,
    dtype: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """A new axis (the last, or `axis`) of size `depth`: `on_value` (1) at the index, else
    `off_value` (0). An index outside gives a row of `off_value`.

    Raises TypeError for values of different dtypes.
    """
    refuse_fractions(depth, "depth of one_hot")
    if dtype is None:
        for value in (on_value, off_value):
            if value is not None and dtype is None:
                dtype = convert_to_tensor(value).dtype
    dtype = dt.float32 if dtype is None else dt.as_dtype(dtype)
    pair = []
    for value, default, called in ((on_value, 1, "on_value"), (off_value, 0, "off_value")):
        made = convert_to_tensor(
            default if value is None else value,
            dtype if value is None or not isinstance(value, Tensor) else None,
            name=called,
        )
        if made.dtype is not dtype:
            raise TypeError(f"dtype {dtype!r} of on_value/off_value does not match {made.dtype!r}")
        pair.append(made)
    if isinstance(indices, (np.ndarray, np.generic)) and indices.dtype.kind in "fb":
        indices = indices.astype(np.int64)  # as TensorFlow does for numpy's values alone
    indices = convert_to_tensor(indices)
    if not indices.dtype.is_integer:
        raise (errors.InvalidArgumentError if executing_eagerly() else TypeError)(
            f"indices of one_hot must be integers, got {indices.dtype.name}: use tf.cast"
        )
    return one_hot_op(indices, depth, *pair, axis=-1 if axis is None else axis,
                      name=scope_itself() or name)  # fmt: skip


# ---- identity matrices ------------------------------------------------------------------------
@scoped("eye")
def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = dt.float32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Identity matrices: [*batch_shape, num_rows, num_columns]."""
    dtype = dt.as_dtype(dtype)
    columns = num_rows if num_columns is None else num_columns
    refuse_fractions([num_rows, columns], "num_rows and num_columns of eye")
    batch = [] if batch_shape is None else batch_shape
    if all(isinstance(n, (int, np.integer)) for n in (num_rows, columns)):
        if num_rows < 0 or columns < 0:
            raise refusal(f"eye cannot have {num_rows} rows and {columns} columns")
        one = np.eye(num_rows, columns, dtype=dtype.numpy_dtype)
        if batch_shape is None:
            return convert_to_tensor(one, name=name)
        sizes = concat([convert_to_tensor(batch, dt.int32), [int(num_rows), int(columns)]], 0)
        return broadcast_to(convert_to_tensor(one), sizes, name=name)
    rows, columns = cast(num_rows, dt.int32), cast(columns, dt.int32)
    i = expand_dims(range_(rows), 1)
    whole = cast(equal(i, expand_dims(range_(columns), 0)), dtype)
    if batch_shape is None:
        return whole
    sizes = concat([convert_to_tensor(batch, dt.int32), stack([rows, columns])], 0)
    return broadcast_to(whole, sizes, name=name)


# ---- spaced numbers ---------------------------------------------------------------------------
@scoped("linspace")
def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """`num` evenly spaced numbers from `start` to `stop`, both included, along a new axis."""
    start = convert_to_tensor(start)
    stop = convert_to_tensor(stop, None if isinstance(stop, Tensor) else start.dtype)
    refuse_fractions(num, "num of linspace")
    count = reshape(cast(num, dt.int32), [])
    sizes = broadcast_dynamic_shape(shape(start), shape(stop))
    start = expand_dims(broadcast_to(start, sizes), axis)
    stop = expand_dims(broadcast_to(stop, sizes), axis)
    whole = shape(start)
    at = axis if axis >= 0 else rank(start) + axis
    steps = maximum(count - 1, 1)
    delta = (stop - start) / cast(steps, start.dtype)
    start, stop = cast(start, delta.dtype), cast(stop, delta.dtype)
    end = where(count >= 0, cast(steps, dt.int64), convert_to_tensor(-1, dt.int64))
    inner = cast(range_(1, end, dtype=dt.int64), delta.dtype)
    along = where(equal(range_(rank(start)), at), maximum(count - 2, 0), 1)
    middle = start + delta * reshape(inner, along)
    joined = concat([start, middle, stop], axis)
    sizes = concat([whole[:at], reshape(count, [1]), whole[at + 1 :]], 0)
    return slice_(joined, zeros_like(whole), sizes, name=name)


@scoped("meshgrid")
def meshgrid(*args: Any, **kwargs: Any) -> list[Tensor]:
    """Coordinate grids of vectors; `indexing` "xy" (the first two axes swapped) or "ij".

    Raises ValueError for another indexing, InvalidArgumentError (in a graph TypeError) for vectors
    of several dtypes.
    """
    indexing = kwargs.pop("indexing", "xy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"meshgrid got an unexpected keyword argument {sorted(kwargs)[0]!r}")
    if indexing not in ("xy", "ij"):
        raise ValueError(
            f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'"
        )
    vectors = [reshape(convert_to_tensor(a), [-1]) for a in args]
    for v in vectors[1:]:
        if v.dtype is not vectors[0].dtype:  # refused, in words and kind, as a product of both
            multiply(v, ones_like(vectors[0]))
    count = len(vectors)
    order = list(builtins.range(count))
    if indexing == "xy" and count > 1:
        order[:2] = [1, 0]
    sizes = [shape(vectors[i]) for i in order]
    whole = concat(sizes, 0) if sizes else None
    out = []
    for i, v in enumerate(vectors):
        dims = [1] * count
        dims[order.index(i)] = -1
        out.append(broadcast_to(reshape(v, dims), whole))
    return out


def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Tensor:
    """Places in a tensor of shape `dims` from places in its flat form: [rank, ...].

    Raises InvalidArgumentError for one that lies outside.
    """
    return unravel_index_op(convert_to_tensor(indices), convert_to_tensor(dims), name=name)


def _unravel_shape(indices: Arg, dims: Arg) -> TensorShape:
    return TensorShape([dims.shape[0] if dims.shape.rank else None]).concatenate(indices.shape)


@op(
    "UnravelIndex",
    dtypes=frozenset((dt.int32, dt.int64)),
    host=("dims",),
    shape=lambda indices, dims: TensorShape(
        [dims.shape[0] if dims.shape.rank else None]
    ).concatenate(indices.shape),
    differentiable=False,
    samples=lambda rng: [
        ((np.array([2, 5, 7], np.int32), np.array([3, 3], np.int32)), {}),
        ((np.int32(4), np.array([2, 3], np.int32)), {}),
    ],
)
def unravel_index_op(xp, indices, dims):
    """Places along every axis of `dims` from places in the flat form."""
    sizes = dims.tolist()
    total = int(np.prod(sizes, dtype=np.int64))
    if xp is np and indices.size and not 0 <= indices.min() <= indices.max() < total:
        raise errors.InvalidArgumentError("index is out of bound as with dims [Op:UnravelIndex]")
    rest, out = indices, []
    for n in reversed(sizes):
        out.append(rest % n)
        rest = rest // n
    return xp.stack(out[::-1])


# ---- masks and repeats ------------------------------------------------------------------------
def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dt.bool, name: str | None = None
) -> Tensor:
    """True for the first `lengths` places of a new last axis of size `maxlen` (the largest)."""
    lengths = convert_to_tensor(lengths)
    if maxlen is None:
        top = reduce_max(lengths)
        maxlen = maximum(convert_to_tensor(0, top.dtype), top)
    else:
        maxlen = convert_to_tensor(maxlen)
    row = range_(convert_to_tensor(0, maxlen.dtype), maxlen, convert_to_tensor(1, maxlen.dtype))
    mask = row < cast(expand_dims(lengths, -1), maxlen.dtype)
    return mask if dt.as_dtype(dtype) is dt.bool else cast(mask, dtype, name=name)


@scoped("Repeat")
def repeat(input: Any, repeats: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Every element along `axis` (None: of the flat tensor) `repeats` times, a number or one per
    element."""
    x = convert_to_tensor(input)
    if axis is None or x.shape.rank == 0:
        x, axis = reshape(x, [-1]), axis or 0
    at = axis_index(axis, len(x.shape))
    refuse_fractions(repeats, "repeats of repeat")
    times = convert_to_tensor(repeats, dtype_hint=dt.int32)
    if times.dtype is dt.string:
        raise TypeError(f"repeats of repeat must be whole numbers, got {repeats!r}")
    times = cast(times, dt.int32)
    if times.shape.rank is not None and times.shape.rank > 1:
        raise ValueError(f"repeats of repeat must be a scalar or a vector, got {times.shape}")
    entries = times.shape[0] if times.shape.rank == 1 else None
    if entries not in (None, 1) and x.shape[at] not in (None, entries):
        raise ValueError(
            f"repeats of repeat has {entries} entries, but axis {at} of the input {x.shape} has "
            f"{x.shape[at]}"
        )
    if times.shape.rank == 0 or times.shape.num_elements() == 1:
        times = reshape(times, [])
        wide = expand_dims(x, at + 1)
        before = [1] * (at + 1)
        after = [1] * (len(x.shape) - at - 1)
        spread = tile(wide, stack([*before, times, *after]))
        sizes = shape(x)
        whole = concat([sizes[:at], reshape(sizes[at] * times, [1]), sizes[at + 1 :]], 0)
        return reshape(spread, whole, name=name)
    sizes = shape(x)
    mask = sequence_mask(broadcast_to(times, reshape(sizes[at], [1])))
    wide = expand_dims(x, at + 1)
    longest = shape(mask)[1]
    spread = broadcast_to(
        wide, concat([sizes[: at + 1], reshape(longest, [1]), sizes[at + 1 :]], 0)
    )
    return boolean_mask(spread, mask, axis=at, name=name or "repeat")
