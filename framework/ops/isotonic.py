"""The nearest monotone sequence: isotonic regression, by pooling neighbours out of order."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import range as range_
from shardtape.ops.gather import gather
from shardtape.ops.reduce import reduce_prod
from shardtape.ops.registry import Arg, op
from shardtape.ops.segments import unsorted_segment_mean
from shardtape.ops.shape_rules import axis_index
from shardtape.ops.shaping import reshape, shape, transpose

_TYPES = dt.REAL


def _result(dtypes: Any, attrs: Any) -> Any:
    return dt.as_dtype(attrs["output_dtype"]), dt.int32


def _shapes(input: Arg, **attrs: Any) -> list[Any]:
    return [input.shape, input.shape]


def _pooled(row: np.ndarray) -> tuple[list[float], list[int]]:
    """Means and lengths of the runs whose means do not rise, nearest to a row."""
    means: list[float] = []
    lengths: list[int] = []
    for value in row.tolist():
        mean, length = value, 1
        while means and means[-1] < mean:
            before = lengths.pop()
            mean = (means.pop() * before + mean * length) / (before + length)
            length += before
        means.append(mean)
        lengths.append(length)
    return means, lengths


@op(
    "IsotonicRegression", dtypes=_TYPES, shape=_shapes, outputs=2, dtype=_result, widen=False,
    samples=lambda rng: [
        ((np.array([[3.0, 1.0, 2.0, 5.0, 4.5], [9.0, 7.0, 8.0, 1.0, 0.0]]),),
         {"output_dtype": dt.float64}),
        ((rng.normal(size=(3, 4)) * 9,), {"output_dtype": dt.float64}),
    ],
)  # fmt: skip
def isotonic_regression_op(xp, input, *, output_dtype=dt.float32):
    """The nearest rows (n, m) that do not rise, in squared distance, and the runs of equal values.

    The second result numbers the runs of each row from 0, int32.
    """
    if input.ndim != 2:
        raise ValueError(f"input must be a matrix, got rank {input.ndim}")
    rows = np.asarray(backend.to_host(input)).astype(np.float64)
    kind = dt.as_dtype(output_dtype).numpy_dtype
    values, runs = np.empty(rows.shape, kind), np.empty(rows.shape, np.int32)
    for i, row in enumerate(rows):
        means, lengths = _pooled(row)
        values[i] = np.repeat(means, lengths)
        runs[i] = np.repeat(np.arange(len(means)), lengths)
    return xp.asarray(values), xp.asarray(runs)


@isotonic_regression_op.gradient
def _(g, y, _input, *, output_dtype):
    if g[0] is None:
        return None
    rows, columns = shape(g[0])[0], shape(g[0])[1]
    runs = reshape(y[1] + reshape(range_(rows) * columns, [-1, 1]), [-1])
    means = unsorted_segment_mean(reshape(g[0], [-1]), runs, rows * columns)
    return reshape(gather(means, runs), shape(g[0]))


def isotonic_regression(inputs: Any, decreasing: bool = True, axis: int = -1) -> tuple[Any, Any]:
    """The nearest monotone values along an axis (in squared distance), and their runs.

    Args:
      inputs: real numbers; int32 and int64 give float64, smaller integers float32.
      decreasing: the results do not rise; else they do not fall.

    Returns:
      values of the inputs' shape; int32 numbers of the runs of equal values, from 0 along the axis.
    """
    x = convert_to_tensor(inputs)
    kind = x.dtype
    if not kind.is_floating:
        kind = dt.float64 if kind.size > 2 else dt.float32
    if not decreasing:
        x = -x
    rank = x.shape.rank
    if rank is None:
        raise ValueError("isotonic_regression needs inputs of known rank: use ensure_shape")
    order = list(range(rank))
    if rank:
        place = axis_index(axis, rank)
        order[place], order[-1] = order[-1], order[place]
        x = transpose(x, order)
    sizes = shape(x)
    rows = reshape(x, [reduce_prod(sizes[:-1]), sizes[-1]] if rank else [1, 1])
    values, runs = isotonic_regression_op(rows, output_dtype=kind)
    if not decreasing:
        values = -values
    values, runs = reshape(values, sizes), reshape(runs, sizes)
    return (transpose(values, order), transpose(runs, order)) if rank else (values, runs)
