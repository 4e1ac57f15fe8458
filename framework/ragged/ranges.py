"""`tf.ragged.range`: a row of numbers for each start, limit and step."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ragged.tensor import RaggedTensor
from shardtape.shapes import TensorShape

_TYPES = frozenset((dt.float32, dt.float64, dt.int32, dt.int64))


def _shapes(*args: Arg, **attrs: Any) -> list[TensorShape]:
    return [TensorShape([None]), TensorShape([None])]


@op("RaggedRange", dtypes=_TYPES, host=("starts", "limits", "deltas"), outputs=2, shape=_shapes,
    dynamic=True, differentiable=False,
    dtype=lambda dtypes, attrs: (attrs["Tsplits"], dtypes[0]),
    samples=lambda rng: [
        ((np.array([0, 2, 5], np.int32), np.array([3, 2, 0], np.int32),
          np.array([1, 1, -2], np.int32)), {}),
        ((np.array([0.0, 1.0], np.float32), np.array([1.0, 2.0], np.float32),
          np.array([0.25, 0.5], np.float32)), {"Tsplits": dt.int32}),
    ])  # fmt: skip
def ragged_range_op(xp, starts, limits, deltas, *, Tsplits=dt.int64):
    """Splits (rows + 1,) and values of start, start + delta, ... before limit, for each row."""
    named = {"starts": starts, "limits": limits, "deltas": deltas}
    for name, given in named.items():
        if given.ndim > 1:
            raise ValueError(f"{name} must be a scalar or vector")
    sizes = {x.size for x in named.values() if x.ndim}
    if len(sizes) > 1:
        raise ValueError("starts, limits, and deltas must have the same shape")
    size = sizes.pop() if sizes else 1
    rows = [np.broadcast_to(x, (size,)) for x in (starts, limits, deltas)]
    if (rows[2] == 0).any():
        raise ValueError("Requires delta != 0")
    if starts.dtype.kind == "f":
        counts = np.ceil((rows[1] - rows[0]) / rows[2]).astype(np.int64)
    else:
        step = rows[2].astype(np.int64)
        span = rows[1].astype(np.int64) - rows[0]
        counts = -(-span // step)
    counts = np.maximum(counts, 0)
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    ids = np.repeat(np.arange(size), counts)
    within = np.arange(ids.size) - splits[ids]
    values = (rows[0][ids] + within * rows[2][ids]).astype(starts.dtype)
    return splits.astype(Tsplits.numpy_dtype), values


def range(
    starts: Any, limits: Any = None, deltas: Any = 1, dtype: Any = None, name: str | None = None,
    row_splits_dtype: Any = dt.int64,
) -> RaggedTensor:  # fmt: skip
    """Row i has the numbers from `starts[i]` (0 where only limits are given) to `limits[i]`."""
    if limits is None:
        starts, limits = 0, starts
    given = [convert_to_tensor(x, dtype_hint=dtype) for x in (starts, limits, deltas)]
    if dtype is None:
        order = [dt.int32, dt.int64, dt.float32, dt.float64]
        dtype = max((x.dtype for x in given), key=order.index)
    given = [cast(x, dtype) for x in given]
    splits, values = ragged_range_op(*given, Tsplits=dt.as_dtype(row_splits_dtype))
    return RaggedTensor(values, splits)
