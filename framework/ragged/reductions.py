"""Reductions of RaggedTensors, by the same names as those of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array, compare, reduce
from shardtape.ops.cast import cast
from shardtape.ops.composites import overrides
from shardtape.ops.math import exp, log, sqrt, square
from shardtape.ops.shaping import stop_gradient
from shardtape.ragged import partitions
from shardtape.ragged.conversion import coordinates
from shardtape.ragged.joining import expand_dims
from shardtape.ragged.tensor import RaggedTensor

_Reduce = Callable[..., Any]


def _reduced(whole: _Reduce, segment: _Reduce, rt: Any, axis: Any, keepdims: bool) -> Any:
    """`whole` reduces a tensor, `segment(data, ids, count)` rows of the same id."""
    if not isinstance(rt, RaggedTensor):
        return whole(rt, axis, keepdims)
    if axis is None:
        result = whole(rt.flat_values)
        rank: Any = rt.shape.rank if keepdims else 0
        for _ in range(rank):
            result = array.expand_dims(result, 0)
        return result
    axes = _axes(axis, rt)
    if len(axes) > 1:
        result = rt
        for a in sorted(axes, reverse=True):
            result = _reduced(whole, segment, result, a, keepdims)
        return result
    (at,) = axes
    result = _one(whole, segment, rt, at)
    return expand_dims(result, at) if keepdims else result


def _axes(axis: Any, rt: RaggedTensor) -> list[int]:
    values = partitions.known_integers(axis, "axis")
    return [rt._axis(a) for a in values]


def _one(whole: _Reduce, segment: _Reduce, rt: RaggedTensor, at: int) -> Any:
    if at > 1:
        inner = rt.values
        return rt.with_values(_reduced(whole, segment, inner, at - 1, False))
    if isinstance(rt.values, RaggedTensor):
        return _outer_of_nested(segment, rt, at)
    if at == 1:
        count = cast(rt.nrows(), dt.int32)
        return segment(rt.values, rt.value_rowids(), count)
    places = coordinates(rt)[1]
    return segment(rt.values, places, cast(partitions.longest(rt.row_splits), dt.int32))


def _outer_of_nested(segment: _Reduce, rt: RaggedTensor, at: int) -> Any:
    """Axis 0 or 1 of rows of rows: what has the same other indices goes together."""
    inner = rt.values
    if isinstance(inner.values, RaggedTensor):
        raise errors.UnimplementedError(
            f"a reduction of axis {at} of a RaggedTensor of ragged_rank {rt.ragged_rank}"
        )
    first, second, third = coordinates(rt)
    lengths = inner.row_lengths()
    if at == 1:
        groups, count = rt.value_rowids(), rt.nrows()
        group = first
    else:
        groups, count = coordinates(rt.with_values(lengths))[1], partitions.longest(rt.row_splits)
        group = second
    longest = array.unsorted_segment_max(lengths, groups, cast(count, dt.int32))
    longest = reduce.reduce_max(array.stack([longest, array.zeros_like(longest)], 1), 1)
    splits = partitions.splits_of_lengths(longest)
    ids = array.gather(splits, group) + third
    return RaggedTensor(segment(inner.values, ids, cast(splits[-1], dt.int32)), splits)


def _register(kind: str, whole: _Reduce, segment: _Reduce) -> None:
    @overrides(kind, RaggedTensor)
    def reduction(x: Any, axis: Any, keepdims: Any) -> Any:
        return _reduced(whole, segment, x, axis, bool(keepdims))


def _bools(x: Any) -> Any:
    return x if x.dtype is dt.bool else cast(cast(x, dt.int32), dt.bool)


def _all(data: Any, ids: Any, count: Any) -> Any:
    return cast(array.unsorted_segment_prod(cast(data, dt.int32), ids, count), dt.bool)


def _any(data: Any, ids: Any, count: Any) -> Any:
    total = array.unsorted_segment_sum(cast(data, dt.int32), ids, count)
    return compare.not_equal(total, array.zeros_like(total))


_register("Sum", reduce.reduce_sum, array.unsorted_segment_sum)
_register("Prod", reduce.reduce_prod, array.unsorted_segment_prod)
_register("Max", reduce.reduce_max, array.unsorted_segment_max)
_register("Min", reduce.reduce_min, array.unsorted_segment_min)
_register("All", lambda x, *rest: reduce.reduce_all(_bools(x), *rest), _all)
_register("Any", lambda x, *rest: reduce.reduce_any(_bools(x), *rest), _any)


@overrides("Mean", RaggedTensor)
def _mean(x: Any, axis: Any, keepdims: Any) -> Any:
    ones = x.with_flat_values(array.ones_like(x.flat_values))
    return reduce.reduce_sum(x, axis, keepdims) / reduce.reduce_sum(ones, axis, keepdims)


@overrides("reduce_variance", RaggedTensor)
def _variance(x: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    if x.dtype.is_complex:
        raise ValueError("reduce_variance is not supported for RaggedTensors with complex dtypes.")
    mean = reduce.reduce_mean(x, axis, keepdims)
    return reduce.reduce_mean(square(x), axis, keepdims) - square(mean)


@overrides("reduce_std", RaggedTensor)
def _std(x: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    return sqrt(_variance(x, axis, keepdims))


@overrides("reduce_logsumexp", RaggedTensor)
def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    top = stop_gradient(reduce.reduce_max(x.flat_values))
    return log(reduce.reduce_sum(exp(x - top), axis, keepdims)) + top


@overrides("reduce_euclidean_norm", RaggedTensor)
def _norm(x: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    return sqrt(reduce.reduce_sum(square(x), axis, keepdims))


@overrides("count_nonzero", RaggedTensor)
def _count_nonzero(
    x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = dt.int64, name: Any = None
) -> Any:
    there = compare.not_equal(x, array.zeros_like(x.flat_values)[:1] if x.shape.rank else 0)
    flat = compare.not_equal(x.flat_values, array.zeros_like(x.flat_values))
    return reduce.reduce_sum(cast(there.with_flat_values(flat), dtype), axis, keepdims)
