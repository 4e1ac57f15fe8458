"""RaggedTensors joined, stacked, repeated, with more axes or in another order."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged import partitions
from shardtape.ragged.conversion import from_any, from_tensor
from shardtape.ragged.selection import _sliced_rows, gather_rows
from shardtape.ragged.tensor import RaggedTensor, matching


def _together(values: Any) -> list[Any]:
    """All as RaggedTensors with one dtype of splits and one ragged rank."""
    made = [from_any(v) for v in values]
    ragged = [v for v in made if isinstance(v, RaggedTensor)]
    rank = max(v.ragged_rank for v in ragged)
    kind = ragged[0].row_splits.dtype
    return list(matching(*[_with_rank(v, rank, kind) for v in made]))


def _with_rank(value: Any, rank: int, kind: dt.DType) -> Any:
    if not isinstance(value, RaggedTensor):
        return from_tensor(value, None, None, rank, kind)
    if value.ragged_rank < rank:
        inner = from_tensor(value.flat_values, None, None, rank - value.ragged_rank, kind)
        return value.with_flat_values(inner)
    return value


@overrides("concat", RaggedTensor)
def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """`tf.concat` with a RaggedTensor among the values.

    Raises InvalidArgumentError where the values have other numbers of rows.
    """
    if isinstance(values, RaggedTensor):
        return values
    if len(values) == 1:
        return from_any(values[0])
    first = next(v for v in values if isinstance(v, RaggedTensor))
    return _concat(values, first._axis(axis))


def _concat(values: Any, at: int) -> Any:
    if not any(isinstance(v, RaggedTensor) for v in values):
        return array.concat(values, at)
    made = _together(values)
    if at == 0:
        splits = [made[0].row_splits]
        end = made[0].row_splits[-1]
        for v in made[1:]:
            splits.append(v.row_splits[1:] + end)
            end = end + v.row_splits[-1]
        return RaggedTensor(_concat([v.values for v in made], 0), array.concat(splits, 0))
    if at == 1:
        counts = [partitions.known_scalar(v.nrows()) for v in made]
        if len({c for c in counts if c is not None}) > 1:
            raise errors.InvalidArgumentError(
                f"Input tensors have incompatible numbers of rows: {counts}"
            )
        rows = made[0].nrows()
        whole = _concat(made, 0)
        turns = cast(array.range(len(made)), rows.dtype)
        places = array.range(rows)[:, None] + turns[None, :] * rows
        picked = gather_rows(whole, array.reshape(places, [-1]))
        return RaggedTensor(picked.values, picked.row_splits[:: len(made)])
    return made[0].with_values(_concat([v.values for v in made], at - 1))


@overrides("stack", RaggedTensor)
def stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    """`tf.stack` and `tf.ragged.stack`: values of one rank along a new axis."""
    if isinstance(values, RaggedTensor):
        return values
    made = [from_any(v) for v in values]
    if not any(isinstance(v, RaggedTensor) for v in made):
        rank = made[0].shape.rank
        if not rank:
            return array.stack(made, axis)
        if not -rank - 1 <= axis <= rank:
            raise ValueError(f"axis={axis} out of bounds: expected {-rank - 1}<=axis<{rank + 1}")
        at = axis if axis >= 0 else axis + rank + 1
        if rank == 1 and at == 0:
            lengths = array.stack([array.shape(v, out_type=dt.int32)[0] for v in made])
            return RaggedTensor(array.concat(made, 0), partitions.splits_of_lengths(lengths))
        if at >= rank - 1:
            return array.stack(made, at)
        made = [from_tensor(v, None, None, 1, dt.int64) for v in made]
    first = next(v for v in made if isinstance(v, RaggedTensor))
    first_rank: Any = first.shape.rank
    at = axis if axis >= 0 else axis + first_rank + 1
    made = _together(made)
    if at == 0:
        lengths = array.stack([v.nrows() for v in made])
        return RaggedTensor(_concat(made, 0), partitions.splits_of_lengths(lengths))
    return _concat([expand_dims(v, at) for v in made], at)


@overrides("expand_dims", RaggedTensor)
def expand_dims(input: Any, axis: Any, name: str | None = None) -> Any:
    """`tf.expand_dims` of a RaggedTensor."""
    if not isinstance(input, RaggedTensor):
        return array.expand_dims(input, axis)
    rank: Any = input.shape.rank
    at = int(axis)
    at = at + rank + 1 if at < 0 else at
    if not 0 <= at <= rank:
        raise ValueError(f"axis={axis} out of bounds: expected {-rank - 1}<=axis<={rank}")
    rows = input.nrows()
    if at == 0:
        splits = array.stack([array.zeros_like(rows), rows])
        return RaggedTensor(input, splits, partitions.known_scalar(rows))
    if at == 1:
        return RaggedTensor(input, array.range(rows + 1), 1)
    return input.with_values(expand_dims(input.values, at - 1))


@overrides("squeeze", RaggedTensor)
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """`tf.squeeze` of named axes of size 1."""
    if axis is None:
        raise ValueError("Ragged.squeeze must have an axis argument.")
    axes = sorted(input._axis(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis]))
    result = input
    for at in reversed(axes):
        result = _without(result, at)
    return result


def _without(rt: Any, at: int) -> Any:
    if not isinstance(rt, RaggedTensor):
        return array.squeeze(rt, [at])
    if at == 0:
        return rt[0]
    if at == 1:
        return rt.values
    return rt.with_values(_without(rt.values, at - 1))


@overrides("tile", RaggedTensor)
def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """`tf.tile` of a RaggedTensor by known numbers."""
    times = partitions.known_integers(multiples, "multiples")
    result = input
    for at, count in enumerate(times):
        if count == 0:
            result = _empty(result, at)
        elif count > 1:
            result = _concat([result] * count, at)
    return result


def _empty(rt: Any, at: int) -> Any:
    return rt[(slice(None),) * at + (slice(0, 0),)]


@overrides("reverse", RaggedTensor)
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """`tf.reverse` of a RaggedTensor."""
    axes = [tensor._axis(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
    result = tensor
    for at in axes:
        result = _reversed(result, at)
    return result


def _reversed(rt: Any, at: int) -> Any:
    if not isinstance(rt, RaggedTensor):
        return array.reverse(rt, [at])
    if at == 0:
        return rt[::-1]
    if at == 1:
        return _sliced_rows(rt, slice(None, None, -1))
    return rt.with_values(_reversed(rt.values, at - 1))


@overrides("size", RaggedTensor)
def size(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    """The number of values."""
    return array.size(input.flat_values, out_type=out_type)


@overrides("rank", RaggedTensor)
def rank(input: Any, name: str | None = None) -> Any:
    """The number of axes."""
    return convert_to_tensor(input.shape.rank, dt.int32)


@overrides("unstack", RaggedTensor)
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The rows, a list."""
    count = partitions.known_scalar(value.nrows()) if num is None else num
    if count is None or axis != 0:
        raise ValueError("a RaggedTensor is unstacked along axis 0 into a known number of rows")
    return [value[i] for i in range(count)]
