"""Sums, means and concatenations over replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.distribute.strategy import ReduceOp
from shardtape.distribute.values import DistributedValues
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import concat
from shardtape.ops.math import add_n
from shardtape.ops.reduce import reduce_prod, reduce_sum


def reduced(op: ReduceOp, values: Sequence[Any]) -> Any:
    """The sum or mean of one value for each replica.

    IndexedSlices give IndexedSlices with all rows, one replica's behind the other's; where only
    some of the values are sparse the result is dense.
    """
    sparse = [isinstance(v, IndexedSlices) for v in values]
    if all(sparse):
        return _joined_slices(op, values)
    if any(sparse):
        values = [convert_to_tensor(v) for v in values]
    total = add_n([convert_to_tensor(v) for v in values])
    return total / len(values) if op is ReduceOp.MEAN else total


def _joined_slices(op: ReduceOp, slices: Sequence[Any]) -> IndexedSlices:
    parts = [s.values / len(slices) if op is ReduceOp.MEAN else s.values for s in slices]
    shape = slices[0].dense_shape
    return IndexedSlices(concat(parts, 0), concat([s.indices for s in slices], 0), shape)


def reduced_value(op: ReduceOp, value: Any, replicas: int) -> Any:
    """The sum or mean over replicas of a value that may be distributed.

    Raises ValueError for the sum of a value that is not, of several replicas.
    """
    if isinstance(value, DistributedValues):
        return reduced(op, value.values)
    if op is ReduceOp.SUM and replicas > 1:
        raise ValueError(
            f"the value {value!r} is not distributed: nothing says how {replicas} replicas add "
            "up to a sum. Reduce what Strategy.run returned, or take the mean."
        )
    return convert_to_tensor(value)


def mean_along(values: Sequence[Any], axis: Any) -> Any:
    """The mean of all elements along an axis, of all replicas together."""
    tensors = [convert_to_tensor(v) for v in values]
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    counts = [reduce_prod([array.shape(t)[i] for i in axes]) for t in tensors]
    total = add_n([reduce_sum(t, axis) for t in tensors])
    return total / cast(add_n(counts), total.dtype)


def gathered(values: Sequence[Any], axis: int) -> Any:
    """The values of all replicas along an axis.

    Raises ValueError for scalars, which have no axis, NotImplementedError for IndexedSlices.
    """
    tensors = [v if isinstance(v, IndexedSlices) else convert_to_tensor(v) for v in values]
    if any(isinstance(t, IndexedSlices) for t in tensors):
        raise NotImplementedError("gather and all_gather take no IndexedSlices: densify them")
    if any(t.shape.rank == 0 for t in tensors):
        raise ValueError("gather and all_gather join along an axis, scalars have none: stack them")
    return concat(tensors, axis)
