"""The order of a SparseTensor's values: places as numbers, sorting, selecting, moving them."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_prod, reduce_sum
from shardtape.ops.scanning import cumprod
from shardtape.sparse_tensor import SparseTensor, checked


def keys(indices: Any, dense_shape: Any) -> Any:
    """The row-major number of each place; int64 (n,) of indices (n, rank)."""
    strides = cumprod(dense_shape, exclusive=True, reverse=True)
    return reduce_sum(indices * strides, 1)


def places(numbers: Any, dense_shape: Any) -> Any:
    """The inverse of `keys`: (n, rank)."""
    strides = cumprod(dense_shape, exclusive=True, reverse=True)
    return array.expand_dims(numbers, 1) // strides % dense_shape


def reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The same values in row-major order of their places."""
    sp = checked(sp_input)
    order = array.argsort(keys(sp.indices, sp.dense_shape), stable=True)
    return SparseTensor(
        array.gather(sp.indices, order), array.gather(sp.values, order), sp.dense_shape
    )


def retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """The values at which the bool vector `to_retain` holds."""
    sp = checked(sp_input)
    keep = convert_to_tensor(to_retain)
    keep.shape.merge_with([None])
    keep.shape.merge_with(sp.values.shape)
    found = array.reshape(array.where(keep), [-1])
    return SparseTensor(
        array.gather(sp.indices, found), array.gather(sp.values, found), sp.dense_shape
    )


def transpose(sp_input: Any, perm: Any = None, name: str | None = None) -> SparseTensor:
    """Axis i of the result is axis `perm[i]`; reversed axes without `perm`."""
    sp = checked(sp_input)
    if perm is None:
        perm = array.range(array.shape(sp.dense_shape)[0])[::-1]
    moved = SparseTensor(
        array.gather(sp.indices, perm, axis=1), sp.values, array.gather(sp.dense_shape, perm)
    )
    return reorder(moved)


def slice(sp_input: Any, start: Any, size: Any, name: str | None = None) -> SparseTensor:
    """The part of `size` from `start` on, as far as the tensor goes."""
    from shardtape.ops.math import maximum, minimum
    from shardtape.ops.reduce import reduce_all

    sp = checked(sp_input)
    start = cast(convert_to_tensor(start), dt.int64)
    size = cast(convert_to_tensor(size), dt.int64)
    end = minimum(start + size, sp.dense_shape)
    inside = reduce_all((sp.indices >= start) & (sp.indices < end), 1)
    kept = retain(sp, inside)
    return SparseTensor(
        kept.indices - start, kept.values, maximum(end - start, array.zeros_like(end))
    )


def split(sp_input: Any, num_split: int, axis: Any, name: str | None = None) -> list[SparseTensor]:
    """`num_split` parts along `axis`; the first ones are one larger where it does not divide."""
    sp = checked(sp_input)
    rank = sp.dense_shape.shape[0]
    at = int(axis) % rank
    total = sp.dense_shape[at]
    base, more = total // num_split, total % num_split
    out = []
    for i in range(num_split):
        begin = base * i + _least(i, more)
        count = base + cast(convert_to_tensor(i, dt.int64) < more, dt.int64)
        start = [convert_to_tensor(0, dt.int64)] * rank
        sizes = array.unstack(sp.dense_shape, rank)
        start[at], sizes[at] = begin, count
        out.append(slice(sp, array.stack(start), array.stack(sizes)))
    return out


def _least(i: int, more: Any) -> Any:
    from shardtape.ops.math import minimum

    return minimum(convert_to_tensor(i, dt.int64), more)


def reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same values in another dense shape; one size may be -1."""
    sp = checked(sp_input)
    wanted = cast(convert_to_tensor(shape), dt.int64)
    free = wanted < 0
    known = reduce_prod(array.where(free, array.ones_like(wanted), wanted))
    rest = reduce_prod(sp.dense_shape) // known
    whole = array.where(free, array.zeros_like(wanted) + rest, wanted)
    return SparseTensor(places(keys(sp.indices, sp.dense_shape), whole), sp.values, whole)


def expand_dims(sp_input: Any, axis: Any = None, name: str | None = None) -> SparseTensor:
    """A new axis of size 1 before `axis` (the last one by default)."""
    sp = checked(sp_input)
    rank = sp.dense_shape.shape[0]
    at = -1 if axis is None else int(axis)
    if not -rank - 1 <= at <= rank:
        raise ValueError(f"axis {axis} is out of range [{-rank - 1}, {rank}]")
    at = at + rank + 1 if at < 0 else at
    column = array.zeros_like(sp.indices[:, :1])
    return SparseTensor(
        array.concat([sp.indices[:, :at], column, sp.indices[:, at:]], 1),
        sp.values,
        array.concat([sp.dense_shape[:at], [1], sp.dense_shape[at:]], 0),
    )


def concat(
    axis: int, sp_inputs: Any, expand_nonconcat_dims: bool = False, name: str | None = None
) -> SparseTensor:
    """SparseTensors joined along `axis`, in row-major order.

    Args:
      expand_nonconcat_dims: other sizes may differ; the result has the largest.

    Raises InvalidArgumentError where they differ.
    """
    from shardtape import errors
    from shardtape.ops.reduce import reduce_max
    from shardtape.tensor import EagerTensor

    inputs = [checked(sp) for sp in sp_inputs]
    rank = inputs[0].dense_shape.shape[0]
    at = axis + rank if axis < 0 else axis
    shapes = array.stack([sp.dense_shape for sp in inputs])
    if not expand_nonconcat_dims and type(shapes) is EagerTensor:
        others = [tuple(d for i, d in enumerate(row) if i != at) for row in shapes.numpy()]
        if len(set(others)) > 1:
            raise errors.InvalidArgumentError(
                f"Concat dimension {axis}: the other sizes of {shapes.numpy().tolist()} differ"
            )
    one = array.one_hot(at, rank, dtype=dt.int64)
    parts, total = [], convert_to_tensor(0, dt.int64)
    for sp in inputs:
        parts.append(sp.indices + one * total)
        total = total + sp.dense_shape[at]
    largest = reduce_max(shapes, 0)
    dense_shape = array.where(one > 0, array.zeros_like(largest) + total, largest)
    values = array.concat([sp.values for sp in inputs], 0)
    return reorder(SparseTensor(array.concat(parts, 0), values, dense_shape))


def fill_empty_rows(
    sp_input: Any, default_value: Any, name: str | None = None
) -> tuple[SparseTensor, Any]:
    """`default_value` in the first column of rows without values, and which rows were empty."""
    sp = checked(sp_input)
    rows = sp.dense_shape[0]
    ones = array.ones_like(sp.indices[:, 0])
    counts = array.unsorted_segment_sum(ones, sp.indices[:, 0], cast(rows, dt.int32))
    empty = counts < 1
    found = array.where(empty)
    rank = sp.dense_shape.shape[0]
    rest = array.zeros([array.shape(found)[0], rank - 1], dt.int64)
    default = convert_to_tensor(default_value, sp.dtype)
    filled = array.fill(array.shape(found)[:1], default)
    made = SparseTensor(
        array.concat([sp.indices, array.concat([found, rest], 1)], 0),
        array.concat([sp.values, filled], 0),
        sp.dense_shape,
    )
    return reorder(made), empty


def reset_shape(sp_input: Any, new_shape: Any = None) -> SparseTensor:
    """The same values in a dense shape that just holds them, or in `new_shape`.

    Raises InvalidArgumentError for a `new_shape` that is too small.
    """
    from shardtape.ops.reduce import reduce_max

    sp = checked(sp_input)
    if new_shape is None:
        return SparseTensor(sp.indices, sp.values, reduce_max(sp.indices, 0) + 1)
    return SparseTensor(sp.indices, sp.values, cast(convert_to_tensor(new_shape), dt.int64))
