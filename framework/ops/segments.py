"""Reductions of rows by segment: sorted ids, or ids in any order with their number."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import compare, samples
from shardtape.ops.arithmetic import div_no_nan, maximum
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import int_scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones_like_op, zeros_like_op
from shardtape.ops.gather import gather_op, sum_rows, unsorted_segment_sum
from shardtape.ops.joining import concat
from shardtape.ops.registry import Arg, op
from shardtape.ops.selecting import select
from shardtape.ops.shape_rules import known_int
from shardtape.ops.shaping import reshape, shape
from shardtape.ops.transcendental import sqrt
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


def _start(kind: np.dtype, function: str) -> Any:
    """The value that the reduction of nothing has."""
    if function == "multiply":
        return kind.type(1)
    low = function == "maximum"
    if kind.kind == "f":
        return np.finfo(kind).min if low else np.finfo(kind).max
    return np.iinfo(kind).min if low else np.iinfo(kind).max


def _reduce_rows(xp: Any, function: str, rows: Any, ids: Any, count: int, empty: Any) -> Any:
    """Rows reduced by id: [n, ...] to [count, ...]; negative ids are dropped."""
    out = xp.full((count, *rows.shape[1:]), empty, rows.dtype)
    if xp is np:
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        first = int(np.searchsorted(ids, 0))
        order, ids = order[first:], ids[first:]
        if len(ids) and rows.size:
            starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
            reduced = getattr(np, function).reduceat(rows[order], starts, axis=0, dtype=rows.dtype)
            out[ids[starts]] = reduced
        return out
    for i in range(count):  # cupy has no reduceat of these functions
        chosen = rows[ids == i]
        if chosen.shape[0]:
            reduce = {"maximum": xp.max, "minimum": xp.min, "multiply": xp.prod}[function]
            out[i] = reduce(chosen, axis=0)
    return out


# ---- ids in any order -------------------------------------------------------------------------
def _unsorted_shape(data: Arg, ids: Arg, count: Arg) -> TensorShape:
    if data.shape.rank is None or ids.shape.rank is None:
        return UNKNOWN
    return TensorShape([known_int(count)]).concatenate(data.shape[ids.shape.rank :])


def _unsorted_samples(rng: np.random.Generator) -> Any:
    (x,) = samples.distinct((4, 2))(rng)[0][0]
    (y,) = samples.distinct((2, 2))(rng)[0][0]
    return [
        ((x, np.array([1, 0, 1, -1], np.int32), np.int32(2)), {}),
        ((y, np.array([[1, 0], [1, 1]], np.int64), np.int32(2)), {}),
    ]


def _unsorted(type_name: str, function: str, dtypes: Any) -> Any:
    def kernel(xp, data, segment_ids, num_segments):
        rank, count = segment_ids.ndim, int(num_segments)
        ids = segment_ids.reshape(-1)
        if xp is np and ids.size and ids.max() >= count:
            raise errors.InvalidArgumentError(
                f"segment_ids has {ids.max()}, which is not in [0, {count}) [Op:{type_name}]"
            )
        rest = data.shape[rank:]
        empty = _start(data.dtype, function)
        return _reduce_rows(xp, function, data.reshape(-1, *rest), ids, count, empty)

    kernel.__name__ = f"unsorted_segment_{function}"
    kernel.__doc__ = f"Row i is the {function} of the rows of `data` whose id is i."
    return op(type_name, dtypes=dtypes, mixed=True, host=("num_segments",), shape=_unsorted_shape,
              samples=_unsorted_samples)(kernel)  # fmt: skip


_FLOAT_OR_INT = dt.REAL - dt.HALVES
unsorted_segment_max = _unsorted("UnsortedSegmentMax", "maximum", _FLOAT_OR_INT)
unsorted_segment_min = _unsorted("UnsortedSegmentMin", "minimum", _FLOAT_OR_INT)
unsorted_segment_prod = _unsorted("UnsortedSegmentProd", "multiply", _FLOAT_OR_INT)


def gather_drop_negatives(params: Any, ids: Any) -> tuple[Any, Any]:
    """Rows at ids, zeros where an id is negative; and where it is not, in the rows' shape."""
    zero = zeros_like_op(ids)
    rows = gather_op(params, maximum(ids, zero), int_scalar(0))
    there = compare.greater_equal(ids, zero)
    ones = shape(rows)[_rank(there) :] * 0 + 1
    there = compare.logical_and(
        reshape(there, concat([shape(there), ones], 0)),
        compare.equal(ones_like_op(rows), ones_like_op(rows)),
    )
    return select(there, rows, zeros_like_op(rows)), there


def _rank(x: Any) -> Any:
    from shardtape.ops.shaping import rank

    known = x.shape.rank
    return rank(x) if known is None else known


def _unsorted_extreme_gradient(g: Any, y: Any, data: Any, ids: Any, count: Any) -> Any:
    """Equal shares for all elements that are the extreme one of their segment."""
    best, there = gather_drop_negatives(y, ids)
    chosen = compare.logical_and(compare.equal(data, best), there)
    number = unsorted_segment_sum(cast(chosen, g.dtype), ids, count)
    shares, _ = gather_drop_negatives(div_no_nan(g, number), ids)
    return select(chosen, shares, zeros_like_op(shares)), None


unsorted_segment_max.gradient(_unsorted_extreme_gradient)
unsorted_segment_min.gradient(_unsorted_extreme_gradient)


@unsorted_segment_prod.gradient
def _(g, _y, data, ids, count):
    # a segment with one zero passes its gradient to that element, with two to none
    zero = compare.equal(data, zeros_like_op(data))
    zeros = unsorted_segment_sum(cast(zero, dt.int32), ids, count)
    g = select(compare.greater(zeros, zeros_like_op(zeros) + 1), zeros_like_op(g), g)
    others = unsorted_segment_prod(select(zero, ones_like_op(data), data), ids, count)
    whole = unsorted_segment_prod(data, ids, count)
    product, _ = gather_drop_negatives(whole, ids)
    product_of_others, _ = gather_drop_negatives(others, ids)
    part = select(zero, product_of_others, product / select(zero, ones_like_op(data), data))
    gathered, there = gather_drop_negatives(g, ids)
    return select(there, gathered * part, zeros_like_op(part)), None


# ---- sorted ids -------------------------------------------------------------------------------
def _sorted_shape(data: Arg, ids: Arg) -> TensorShape:
    if data.shape.rank is None:
        return UNKNOWN
    return TensorShape([None]).concatenate(data.shape[1:])


def _sorted_samples(rng: np.random.Generator) -> Any:
    (x,) = samples.distinct((4, 2))(rng)[0][0]
    return [
        ((x, np.array([0, 0, 1, 2], np.int32)), {}),
        ((x, np.array([0, 2, 2, 2], np.int64)), {}),
    ]


def _segments(xp: Any, data: Any, ids: Any, type_name: str) -> int:
    if ids.shape != data.shape[:1]:
        raise ValueError("segment_ids should be a vector of the size of data's first axis")
    if xp is np and ids.size and ((ids[1:] < ids[:-1]).any() or ids[0] < 0):
        raise errors.InvalidArgumentError(f"segment ids are not increasing [Op:{type_name}]")
    return int(ids[-1].item()) + 1 if ids.size else 0


def _sorted(type_name: str, function: str, dtypes: Any, name: str) -> Any:
    def kernel(xp, data, segment_ids):
        count = _segments(xp, data, segment_ids, type_name)
        if function in ("add", "mean"):
            total = sum_rows(xp, data, segment_ids, count)
            if function == "add":
                return total
            ones = xp.ones(segment_ids.shape, data.dtype)
            number = xp.maximum(sum_rows(xp, ones, segment_ids, count), data.dtype.type(1))
            number = number.reshape(-1, *[1] * (data.ndim - 1))
            if data.dtype.kind in "iu":  # cut towards zero, as C++ divides
                return xp.sign(total) * (xp.absolute(total) // number)
            return total / number
        empty = data.dtype.type(1 if function == "multiply" else 0)
        return _reduce_rows(xp, function, data, segment_ids, count, empty)

    kernel.__name__ = name
    kernel.__doc__ = f"Row i is the {function} of the rows of `data` whose (sorted) id is i."
    return op(type_name, dtypes=dtypes, mixed=True, dynamic=True, shape=_sorted_shape,
              samples=_sorted_samples)(kernel)  # fmt: skip


segment_sum_op = _sorted("SegmentSum", "add", dt.NUMERIC, "segment_sum")
segment_mean_op = _sorted("SegmentMean", "mean", dt.NUMERIC, "segment_mean")
segment_max_op = _sorted("SegmentMax", "maximum", dt.REAL, "segment_max")
segment_min_op = _sorted("SegmentMin", "minimum", dt.REAL, "segment_min")
segment_prod_op = _sorted("SegmentProd", "multiply", dt.NUMERIC, "segment_prod")


def _rows(g: Any, ids: Any) -> Any:
    return gather_op(g, ids, int_scalar(0))


@segment_sum_op.gradient
def _(g, _y, _data, ids):
    return _rows(g, ids), None


@segment_mean_op.gradient
def _(g, _y, data, ids):
    ones = ones_like_op(data)
    number = maximum_of(segment_sum_op(ones, ids))
    return _rows(g / number, ids), None


def maximum_of(number: Any) -> Any:
    """Counts, with 1 for segments without rows."""
    return select(compare.equal(number, zeros_like_op(number)), ones_like_op(number), number)


def _sorted_extreme_gradient(g: Any, y: Any, data: Any, ids: Any) -> Any:
    chosen = compare.equal(data, _rows(y, ids))
    number = segment_sum_op(cast(chosen, g.dtype), ids)
    shares = _rows(div_no_nan(g, number), ids)
    return select(chosen, shares, zeros_like_op(shares)), None


segment_max_op.gradient(_sorted_extreme_gradient)
segment_min_op.gradient(_sorted_extreme_gradient)


@segment_prod_op.gradient
def _(g, _y, data, ids):
    zero = compare.equal(data, zeros_like_op(data))
    zeros = segment_sum_op(cast(zero, dt.int32), ids)
    g = select(compare.greater(zeros, zeros_like_op(zeros) + 1), zeros_like_op(g), g)
    safe = select(zero, ones_like_op(data), data)
    product_of_others = _rows(segment_prod_op(safe, ids), ids)
    whole = _rows(segment_prod_op(data, ids), ids)
    return _rows(g, ids) * select(zero, product_of_others, whole / safe), None


# ---- public functions -------------------------------------------------------------------------
def _public(reduce_op: Any, what: str) -> Any:
    def reduce(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
        return reduce_op(convert_to_tensor(data), convert_to_tensor(segment_ids), name=name)

    reduce.__name__ = reduce.__qualname__ = reduce_op.name
    reduce.__doc__ = f"{what} of the rows of `data` by their sorted ids; segments without rows: 0."
    return reduce


segment_sum = _public(segment_sum_op, "The sum")
segment_mean = _public(segment_mean_op, "The mean")
segment_max = _public(segment_max_op, "The largest")
segment_min = _public(segment_min_op, "The smallest")
segment_prod = _public(segment_prod_op, "The product")


def _counts(data: Any, segment_ids: Any, num_segments: Any) -> Any:
    ones = ones_like_op(data)
    return maximum_of(unsorted_segment_sum(ones, segment_ids, num_segments))


@takes_composites
def unsorted_segment_mean(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """The mean of the rows of `data` by their ids; 0 for an id that does not occur."""
    data, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
    total = unsorted_segment_sum(data, ids, num_segments)
    return total / _counts(data, ids, num_segments)


@takes_composites
def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """The sum of the rows of `data` by their ids, divided by the root of their number."""
    data, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
    total = unsorted_segment_sum(data, ids, num_segments)
    return total / sqrt(_counts(data, ids, num_segments))
