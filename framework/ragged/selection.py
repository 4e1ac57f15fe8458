"""Parts of RaggedTensors: `[]`, gather, boolean_mask, where."""

from __future__ import annotations

import numbers
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.indexing import check_entry
from shardtape.ops.math import maximum, minimum
from shardtape.ragged import partitions
from shardtape.ragged.conversion import coordinates, from_any, from_tensor
from shardtape.ragged.tensor import RaggedTensor, convert, matching


# ---- [] ---------------------------------------------------------------------------------------
def getitem(rt: RaggedTensor, key: Any) -> Any:
    """`rt[key]`.

    Raises:
      ValueError: an index of one element within a ragged dimension, or a mask.
      TypeError: a key that is no integer, slice, None or `...`.
      IndexError: a row that there is not.
    """
    if isinstance(key, bool):
        raise ValueError("mask cannot be scalar: use tf.ragged.boolean_mask")
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    return _item(rt, _expanded(keys, rt.shape.rank))


def _expanded(keys: list[Any], rank: int | None) -> list[Any]:
    """Without the ellipsis."""
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if not dots:
        return keys
    if len(dots) > 1:
        raise ValueError("an index has one ellipsis at most")
    if rank is None:
        raise ValueError("Ellipsis not supported for unknown shape RaggedTensors")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    return [*keys[: dots[0]], *[slice(None)] * (rank - used), *keys[dots[0] + 1 :]]


def _item(rt: Any, keys: list[Any]) -> Any:
    if not isinstance(rt, RaggedTensor):
        return rt[tuple(keys)] if keys else rt
    if not keys:
        return rt
    first, rest = keys[0], keys[1:]
    if first is None:
        return _new_row(_item(rt, rest))
    if isinstance(first, slice):
        _check_slice(first)
        if first != slice(None):
            rt = gather_rows(rt, array.range(rt.nrows())[first])
        return _inner(rt, rest)
    check_entry(first)
    at = _from_start(first, rt.nrows())
    _check_row(rt, at)
    row = rt.values[rt.row_splits[at] : rt.row_splits[at + 1]]
    return _item(row, rest)


def _from_start(first: Any, count: Any) -> Any:
    """The index, counted from the end where it is negative."""
    at = cast(convert_to_tensor(first), count.dtype)
    if isinstance(first, numbers.Integral):
        return at + count if int(first) < 0 else at
    return array.where(at < 0, at + count, at)


def _check_row(rt: RaggedTensor, at: Any) -> None:
    """Raises IndexError behind the last row, InvalidArgumentError before the first."""
    row, rows = partitions.known_scalar(at), partitions.known_scalar(rt.nrows())
    if row is None or rows is None:
        return
    if row < 0:
        raise errors.InvalidArgumentError(f"slice index {row - rows} of dimension 0 out of bounds.")
    if row >= rows:
        raise IndexError(f"Row key {row} out of bounds: there are {rows} rows")


def _check_slice(key: slice) -> None:
    for bound in (key.start, key.stop, key.step):
        kind = getattr(bound, "dtype", None)
        whole = hasattr(bound, "__index__") or (kind is not None and dt.as_dtype(kind).is_integer)
        if bound is not None and not whole:
            raise TypeError(f"slice offsets must be integers or None, got {bound!r}")


def _new_row(value: Any) -> Any:
    from shardtape.ragged.joining import expand_dims

    return expand_dims(value, 0)


def _inner(rt: RaggedTensor, keys: list[Any]) -> Any:
    """The keys of axis 1 and on, for every row."""
    if not keys:
        return rt
    first, rest = keys[0], keys[1:]
    if first is None:
        wrapped = RaggedTensor(rt, array.range(rt.nrows() + 1), 1)
        return wrapped.with_values(_inner(rt, rest))
    if not isinstance(first, slice):
        if rt._uniform is None:
            raise ValueError("Cannot index into an inner ragged dimension.")
        check_entry(first)
        kind = rt.row_splits.dtype
        at = _from_start(first, cast(convert_to_tensor(rt._uniform), kind))
        place, length = partitions.known_scalar(at), partitions.known_scalar(rt._uniform)
        if None not in (place, length) and not 0 <= place < length:  # type: ignore[operator]
            raise errors.InvalidArgumentError(
                f"Index out of bounds when indexing into a ragged tensor: {first!r}, the rows have "
                f"{length} values"
            )
        taken = rt.row_starts() + at
        values = gather_rows(rt.values, taken) if isinstance(rt.values, RaggedTensor) else (
            array.gather(rt.values, taken)
        )  # fmt: skip
        return _inner(values, rest) if isinstance(values, RaggedTensor) else (
            values[(slice(None), *rest)] if rest else values
        )  # fmt: skip
    _check_slice(first)
    if first != slice(None):
        rt = _sliced_rows(rt, first)
    if not rest:
        return rt
    if isinstance(rt.values, RaggedTensor):
        return rt.with_values(_inner(rt.values, rest))
    return rt.with_values(rt.values[(slice(None), *rest)])


def _sliced_rows(rt: RaggedTensor, key: slice) -> RaggedTensor:
    """The same slice of every row."""
    kind = rt.row_splits.dtype
    lengths = rt.row_lengths()
    step = 1 if key.step is None else key.step
    if not isinstance(step, int) or step == 0:
        raise errors.InvalidArgumentError("the step of a slice is an integer that is not 0")

    def bound(value: Any, default: Any, low: Any, high: Any) -> Any:
        if value is None:
            return default
        v = cast(convert_to_tensor(value), kind)
        v = array.where(v < 0, v + lengths, v + array.zeros_like(lengths))
        return minimum(maximum(v, low), high)

    zero = array.zeros_like(lengths)
    if step > 0:
        start, stop = bound(key.start, zero, zero, lengths), bound(key.stop, lengths, zero, lengths)
        counts = maximum((stop - start + (step - 1)) // step, zero)
    else:
        start = bound(key.start, lengths - 1, zero - 1, lengths - 1)
        stop = bound(key.stop, zero - 1, zero - 1, lengths - 1)
        counts = maximum((start - stop + (-step - 1)) // -step, zero)
    splits = partitions.splits_of_lengths(counts)
    ids = partitions.rowids_of_splits(splits)
    within = array.range(splits[-1]) - array.gather(splits, ids)
    places = array.gather(rt.row_starts() + start, ids) + within * step
    return RaggedTensor(take(rt.values, places), splits)


# ---- gather -----------------------------------------------------------------------------------
def take(values: Any, places: Any) -> Any:
    """The rows of a Tensor or RaggedTensor at a vector of places."""
    return gather_rows(values, places) if isinstance(values, RaggedTensor) else (
        array.gather(values, places)
    )  # fmt: skip


def gather_rows(rt: RaggedTensor, rows: Any) -> RaggedTensor:
    """The rows at a vector of row numbers."""
    rows = cast(rows, rt.row_splits.dtype)
    starts = array.gather(rt.row_starts(), rows)
    lengths = array.gather(rt.row_lengths(), rows)
    places = partitions.places_of_rows(starts, lengths)
    splits = partitions.splits_of_lengths(lengths)
    return RaggedTensor(take(rt.values, places), splits, rt._uniform)


@overrides("gather", RaggedTensor)
def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None,
    batch_dims: int = 0, name: str | None = None,
) -> Any:  # fmt: skip
    """`tf.gather` where `params` or `indices` is ragged.

    Raises UnimplementedError for an axis beyond `batch_dims`, and for more than one batch axis.
    """
    params, indices = convert(params), from_any(indices)
    params, indices = matching(params, indices)
    axis = batch_dims if axis is None else int(axis)
    if axis < 0:
        axis += params.shape.rank
    if batch_dims < 0:
        batch_dims += indices.shape.rank
    if axis != batch_dims or batch_dims > 1:
        if axis == 1 and batch_dims == 0 and isinstance(params, RaggedTensor):
            rows = array.range(params.nrows())
            spread = array.zeros_like(rows)[:, None] + cast(indices, rows.dtype)[None, :]
            return gather(params, spread, batch_dims=1)
        raise errors.UnimplementedError(
            f"gather of ragged tensors with axis={axis} and batch_dims={batch_dims}"
        )
    if batch_dims == 1:
        return _gather_in_rows(params, indices)
    if isinstance(indices, RaggedTensor):
        return indices.with_values(gather(params, indices.values))
    if not isinstance(params, RaggedTensor):
        return array.gather(params, indices)
    if indices.shape.rank == 0:
        return params[indices]
    if indices.shape.rank == 1:
        return gather_rows(params, indices)
    return gather(params, from_tensor(indices, None, None, indices.shape.rank - 1,
                                      params.row_splits.dtype))  # fmt: skip


def _gather_in_rows(params: Any, indices: Any) -> Any:
    if not isinstance(params, RaggedTensor):
        params = from_tensor(params, None, None, 1, indices.row_splits.dtype)
    if not isinstance(indices, RaggedTensor):
        if indices.shape.rank == 1:
            places = params.row_starts() + cast(indices, params.row_splits.dtype)
            return take(params.values, places)
        indices = from_tensor(indices, None, None, indices.shape.rank - 1, params.row_splits.dtype)
    rows = coordinates(indices)[0]
    starts = array.gather(params.row_starts(), cast(rows, params.row_splits.dtype))
    places = cast(indices.flat_values, starts.dtype) + starts
    return indices.with_flat_values(places).with_values(
        gather(params.values, indices.with_flat_values(places).values)
    )


# ---- masks ------------------------------------------------------------------------------------
def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Any:
    """`tf.ragged.boolean_mask`: the values where `mask` holds, in rows as those of `mask`.

    Raises ValueError for a scalar mask.
    """
    data, mask = from_any(data), from_any(mask)
    if mask.dtype is not dt.bool:
        mask = cast(mask, dt.bool)
    data, mask = matching(data, mask)
    if mask.shape.rank == 0:
        raise ValueError("mask cannot be scalar.")
    if not isinstance(mask, RaggedTensor) and mask.shape.rank == 1:
        found = array.reshape(array.where(mask), [-1])
        return take(data, found)
    if not isinstance(mask, RaggedTensor):
        kind = data.row_splits.dtype if isinstance(data, RaggedTensor) else dt.int64
        mask = from_tensor(mask, None, None, mask.shape.rank - 1, kind)
    if not isinstance(data, RaggedTensor):
        data = from_tensor(data, None, None, mask.ragged_rank, mask.row_splits.dtype)
    inner = boolean_mask(data.values, mask.values)
    if isinstance(mask.values, RaggedTensor):
        return mask.with_values(inner)
    kept = cast(mask.values, mask.row_splits.dtype)
    count = cast(mask.nrows(), dt.int32)
    lengths = array.unsorted_segment_sum(kept, mask.value_rowids(), count)
    return RaggedTensor(inner, partitions.splits_of_lengths(lengths))


@overrides("boolean_mask", RaggedTensor)
def _boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Any:
    if axis not in (None, 0):
        raise errors.UnimplementedError(f"boolean_mask of a RaggedTensor with axis={axis}")
    return boolean_mask(tensor, mask)


@overrides("where", RaggedTensor)
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """`tf.where` with a ragged argument."""
    from shardtape.ops.selecting import select
    from shardtape.ragged.elementwise import broadcast_flat

    if (x is None) != (y is None):
        raise ValueError("x and y must be either both None or both non-None")
    if x is not None:
        flat, rebuild = broadcast_flat([from_any(condition), from_any(x), from_any(y)])
        return rebuild(select(*flat))
    places = array.stack([cast(c, dt.int64) for c in coordinates(condition)], 1)
    inner = array.where(condition.flat_values)
    return array.concat([array.gather(places, inner[:, 0]), inner[:, 1:]], 1)
