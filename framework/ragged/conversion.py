"""RaggedTensors from and to dense tensors, sparse tensors and nested lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array, compare
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.ops.reduce import reduce_all, reduce_any, reduce_max
from shardtape.ragged import partitions
from shardtape.ragged.tensor import RaggedTensor, convert
from shardtape.tensor import EagerTensor


# ---- from dense -------------------------------------------------------------------------------
def from_tensor(
    tensor: Any, lengths: Any, padding: Any, ragged_rank: int, row_splits_dtype: Any
) -> RaggedTensor:
    """See `RaggedTensor.from_tensor`.

    Raises ValueError for both of `lengths` and `padding`, or a rank that is too small.
    """
    kind = dt.as_dtype(row_splits_dtype)
    if lengths is not None and padding is not None:
        raise ValueError("Specify argument `lengths` or `padding`, but not both.")
    if not isinstance(ragged_rank, int) or ragged_rank <= 0:
        raise ValueError(f"Argument `ragged_rank` must be greater than 0. Received {ragged_rank}.")
    if isinstance(tensor, RaggedTensor):
        return tensor
    x = convert_to_tensor(tensor)
    rank = x.shape.rank
    if rank is not None and rank <= ragged_rank:
        raise ValueError(f"the tensor's rank {rank} must be above ragged_rank={ragged_rank}")
    if isinstance(lengths, (list, tuple)) and any(np.ndim(v) or hasattr(v, "shape") and
                                                  len(v.shape) for v in lengths):  # fmt: skip
        return _with_nested_lengths(x, lengths, kind)
    sizes = array.shape(x, out_type=kind)
    if ragged_rank > 1:
        joined = array.reshape(x, array.concat([[sizes[0] * sizes[1]], sizes[2:]], 0))
        inner = from_tensor(joined, None, padding, ragged_rank - 1, kind)
        if lengths is not None:
            raise ValueError("lengths of several ragged dimensions are a tuple of vectors")
        splits = array.range(sizes[0] + 1) * sizes[1]
        return RaggedTensor(inner, splits, x.shape[1])
    if padding is not None:
        lengths = _unpadded_lengths(x, convert_to_tensor(padding, x.dtype), kind)
    if lengths is not None:
        lengths = partitions.row_integers(lengths, kind)
        lengths = array.reshape(lengths, [-1])
        zero = array.zeros_like(lengths)
        lengths = compare_clip(lengths, zero, sizes[1])
        mask = array.sequence_mask(lengths, sizes[1])
        values = array.boolean_mask(x, mask)
        return RaggedTensor(values, partitions.splits_of_lengths(lengths))
    values = array.reshape(x, array.concat([[sizes[0] * sizes[1]], sizes[2:]], 0))
    return RaggedTensor(values, array.range(sizes[0] + 1) * sizes[1], x.shape[1])


def compare_clip(x: Any, low: Any, high: Any) -> Any:
    """x within low..high."""
    from shardtape.ops.math import maximum, minimum

    return minimum(maximum(x, low), cast(high, x.dtype))


def _unpadded_lengths(x: Any, padding: Any, kind: dt.DType) -> Any:
    there = compare.not_equal(x, padding)
    if x.shape.rank is not None and x.shape.rank > 2:
        there = reduce_any(there, list(range(2, x.shape.rank)))
    places = array.range(array.shape(x, out_type=kind)[1]) + 1
    return reduce_max(
        array.concat(
            [array.zeros([array.shape(x)[0], 1], kind), cast(there, kind) * places], 1
        ), 1,
    )  # fmt: skip


def _with_nested_lengths(x: Any, lengths: Any, kind: dt.DType) -> Any:
    outer = from_tensor(x, lengths[0], None, 1, kind)
    if len(lengths) == 1:
        return outer
    return outer.with_values(_with_nested_lengths(outer.values, lengths[1:], kind))


def from_sparse(st_input: Any, row_splits_dtype: Any) -> RaggedTensor:
    """See `RaggedTensor.from_sparse`.

    Raises ValueError for another rank than 2, InvalidArgumentError for rows with gaps.
    """
    kind = dt.as_dtype(row_splits_dtype)
    if not hasattr(st_input, "dense_shape"):
        raise TypeError(
            f"Argument `st_input` must be of type SparseTensor, but is of type {type(st_input)}."
        )
    rank = st_input.dense_shape.shape[0]
    if rank != 2:
        raise ValueError(f"rank(st_input) must be 2, got {rank}.")
    rows, columns = st_input.indices[:, 0], st_input.indices[:, 1]
    made = RaggedTensor.from_value_rowids(
        st_input.values, cast(rows, kind), cast(st_input.dense_shape[0], kind)
    )
    starts = array.gather(made.row_starts(), cast(rows, kind))
    places = array.range(array.shape(rows, out_type=kind)[0]) - starts
    if type(columns) is EagerTensor and not bool(
        reduce_all(compare.equal(places, cast(columns, kind)))
    ):
        raise errors.InvalidArgumentError("SparseTensor is not right-ragged")
    return made


# ---- to dense ---------------------------------------------------------------------------------
def coordinates(rt: RaggedTensor) -> list[Any]:
    """For each innermost value its index in each dimension up to the last ragged one."""
    splits = rt.nested_row_splits
    parents = array.range(array.shape(rt.flat_values, out_type=splits[-1].dtype)[0])
    out = []
    for s in reversed(splits):
        rows = array.gather(partitions.rowids_of_splits(s), parents)
        out.append(parents - array.gather(s, rows))
        parents = rows
    out.append(parents)
    return out[::-1]


def to_tensor(rt: RaggedTensor, default_value: Any, shape: Any) -> Any:
    """See `RaggedTensor.to_tensor`."""
    flat = rt.flat_values
    places = array.stack([cast(c, dt.int64) for c in coordinates(rt)], 1)
    sizes = rt.bounding_shape(out_type=dt.int64)
    if shape is not None:
        sizes, mask = _wanted_sizes(rt, shape, sizes, places)
        if mask is not None:
            places, flat = array.boolean_mask(places, mask), array.boolean_mask(flat, mask)
        inner = flat.shape.rank - 1 if flat.shape.rank else 0
        if inner:
            flat = flat[(slice(None), *[slice(0, sizes[i - inner]) for i in range(inner)])]
    if default_value is None:
        default_value = b"" if rt.dtype is dt.string else rt.dtype.numpy_dtype.type(0)
    background = array.broadcast_to(convert_to_tensor(default_value, rt.dtype), sizes)
    result: Any = array.tensor_scatter_nd_update(background, places, flat)
    static = rt.shape
    if shape is not None and not hasattr(shape, "op"):
        from shardtape.shapes import as_shape

        known = as_shape(shape if not isinstance(shape, EagerTensor) else shape.numpy().tolist())
        static = known.merge_with([None] * len(known))
    if type(result) is not EagerTensor:
        result.set_shape(static)
    return result


def _wanted_sizes(rt: RaggedTensor, shape: Any, sizes: Any, places: Any) -> tuple[Any, Any]:
    """Sizes with those of `shape` in place, and a mask of the values that lie within."""
    if hasattr(shape, "as_list"):
        shape = shape.as_list()
    if isinstance(shape, (list, tuple)):
        wanted = [-1 if d is None else d for d in shape]
    else:
        wanted = array.unstack(cast(convert_to_tensor(shape), dt.int64))
    full = cast(array.stack([cast(convert_to_tensor(w), dt.int64) for w in wanted]), dt.int64)
    sizes = array.where(full < 0, sizes, full)
    count = rt.ragged_rank + 1
    return sizes, reduce_all(places < sizes[:count], 1)


def to_sparse(rt: RaggedTensor) -> Any:
    """See `RaggedTensor.to_sparse`."""
    from shardtape.sparse_tensor import SparseTensor

    flat = rt.flat_values
    inner = flat.shape.rank - 1
    if inner:
        whole = from_tensor(flat, None, None, inner, rt.row_splits.dtype)
        rt = rt.with_flat_values(whole)
    places = array.stack([cast(c, dt.int64) for c in coordinates(rt)], 1)
    return SparseTensor(places, rt.flat_values, rt.bounding_shape(out_type=dt.int64))


def merge_dims(rt: Any, outer: int, inner: int) -> Any:
    """Axes outer..inner as one; see `RaggedTensor.merge_dims`."""
    if outer > inner:
        raise ValueError(f"Expected outer_axis ({outer}) to be less than inner_axis ({inner})")
    if outer == inner:
        return rt
    if not isinstance(rt, RaggedTensor):
        sizes = array.shape(rt)
        return array.reshape(rt, array.concat([sizes[:outer], [-1], sizes[inner + 1 :]], 0))
    if outer > 1:
        return rt.with_values(merge_dims(rt.values, outer - 1, inner - 1))
    if outer == 0:
        return merge_dims(rt.values, 0, inner - 1)
    # the rows stay, what is in them is joined
    splits, values = rt.row_splits, rt.values
    for _ in range(inner - 1):
        if isinstance(values, RaggedTensor):
            splits, values = array.gather(values.row_splits, splits), values.values
        else:
            splits = splits * array.shape(values, out_type=splits.dtype)[1]
            values = merge_dims(values, 0, 1)
    return RaggedTensor(values, splits)


# ---- from lists -------------------------------------------------------------------------------
def constant(
    pylist: Any, dtype: Any = None, ragged_rank: int | None = None, inner_shape: Any = None,
    name: str | None = None, row_splits_dtype: Any = dt.int64,
) -> Any:  # fmt: skip
    """A RaggedTensor of nested lists; a Tensor where they are not nested.

    Args:
      ragged_rank: number of dimensions with splits; as many as lists are nested by default.
      inner_shape: shape of one innermost value.

    Raises ValueError for lists of different depth.
    """
    kind = dt.as_dtype(row_splits_dtype)
    if isinstance(pylist, np.ndarray):
        pylist = pylist.tolist()
    depth = _depth(pylist)
    if ragged_rank is not None and inner_shape is not None:
        wanted = ragged_rank
    elif ragged_rank is not None:
        wanted = ragged_rank
        if depth is not None and wanted > max(0, depth - 1) and _holds_values(pylist):
            raise ValueError(
                f"pylist has nesting depth {depth}; ragged_rank must be less than that"
            )
    else:
        inner = 0 if inner_shape is None else len(tuple(inner_shape))
        wanted = max(0, (depth or 1) - 1 - inner)
    if not isinstance(pylist, (list, tuple)):
        return convert_to_tensor(pylist, dtype)
    flat, splits = list(pylist), []
    for _ in range(wanted):
        lengths = [0]
        joined: list[Any] = []
        for row in flat:
            if not isinstance(row, (list, tuple, np.ndarray)):
                raise ValueError("all scalar values must have the same nesting depth")
            joined.extend(row)
            lengths.append(len(joined))
        splits.append(np.array(lengths, kind.numpy_dtype))
        flat = joined
    if (
        inner_shape is None
        and any(isinstance(x, (list, tuple)) for x in flat)
        and (depth is not None and wanted == depth - 1)
    ):
        raise ValueError("all scalar values must have the same nesting depth")
    values = to_array(flat, None if dtype is None else dt.as_dtype(dtype))
    if inner_shape is not None:
        values = np.reshape(values, (len(flat) if flat else 0, *inner_shape))
    result: Any = convert_to_tensor(values)
    for s in reversed(splits):
        result = RaggedTensor(result, convert_to_tensor(s))
    return result


def _holds_values(pylist: Any) -> bool:
    """Whether there is a value in nested lists; empty ones fit any depth."""
    if not isinstance(pylist, (list, tuple)):
        return True
    return any(_holds_values(x) for x in pylist)


def _depth(value: Any) -> int | None:
    """How deep lists are nested; 1 for a flat one."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return 0
    return 1 + max((_depth(item) or 0 for item in value), default=0)


def from_any(value: Any) -> Any:
    """A RaggedTensor or Tensor of a value; nested lists may be ragged."""
    if isinstance(value, (list, tuple)):
        try:
            return convert(value)
        except ValueError:
            return constant(value)
    return convert(value)
