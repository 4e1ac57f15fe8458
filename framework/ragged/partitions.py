"""Int vectors that say which values belong to which row: splits, lengths, row ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import building
from shardtape.graph.static import constant_value
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_max
from shardtape.ops.registry import op
from shardtape.ops.scanning import cumsum
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor

ROW_TYPES = frozenset((dt.int32, dt.int64))


def row_integers(value: Any, dtype: Any = None) -> Any:
    """A vector of int32 or int64; Python integers are int64."""
    tensor = convert_to_tensor(value, dtype_hint=dt.int64)
    if dtype is not None:
        return cast(tensor, dtype)
    if tensor.dtype not in ROW_TYPES:
        raise ValueError(f"a row partition is int32 or int64, got {tensor.dtype.name}")
    return tensor


def known_integers(value: Any, what: str) -> list[int]:
    """The numbers that a graph has to know. Raises ValueError naming them where it does not."""
    known = constant_value(convert_to_tensor(value))
    if known is None:
        raise ValueError(f"the {what} of a RaggedTensor has to be known while a graph is built")
    return [int(v) for v in np.asarray(known).reshape(-1)]


def known_scalar(value: Any) -> int | None:
    """The number where the graph knows it."""
    known = constant_value(value)
    return None if known is None else int(known)


# partitions decide about shapes, so they are computed on the host
@op("RowIdsOfSplits", dtypes=ROW_TYPES, dtype=lambda dtypes, attrs: dtypes[0], host=("splits",),
    dynamic=True, differentiable=False,
    shape=lambda splits: TensorShape([None]),
    samples=lambda rng: [((np.array([0, 2, 2, 5]),), {}), ((np.array([0], np.int32),), {})],
    reference=lambda splits: np.array(
        [i for i in range(len(splits) - 1) for _ in range(splits[i + 1] - splits[i])],
        splits.dtype))  # fmt: skip
def rowids_of_splits(xp, splits):
    """The row of each value: int (number of values,) of splits (rows + 1,)."""
    counts = np.diff(splits)
    return np.repeat(np.arange(len(counts), dtype=splits.dtype), counts)


@op("PlacesOfRows", dtypes=ROW_TYPES, dtype=lambda dtypes, attrs: dtypes[0],
    host=("starts", "lengths"), dynamic=True, differentiable=False,
    shape=lambda starts, lengths: TensorShape([None]),
    samples=lambda rng: [((np.array([5, 0, 2]), np.array([2, 0, 3])), {})],
    reference=lambda starts, lengths: np.array(
        [s + j for s, n in zip(starts, lengths) for j in range(n)], starts.dtype))  # fmt: skip
def places_of_rows(xp, starts, lengths):
    """starts[0], starts[0] + 1, ... for each row; int (sum of lengths,)."""
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    spread = np.repeat(starts - before, lengths)
    return (np.arange(total, dtype=starts.dtype) + spread).astype(starts.dtype)


def splits_of_lengths(lengths: Any) -> Any:
    """(rows + 1,) of (rows,)."""
    return array.concat([array.zeros([1], lengths.dtype), cumsum(lengths)], 0)


def lengths_of_rowids(ids: Any, nrows: Any) -> Any:
    """(nrows,) of sorted ids."""
    if nrows is None:
        nrows = reduce_max(array.concat([array.zeros([1], ids.dtype) - 1, ids], 0)) + 1
    count = cast(convert_to_tensor(nrows), dt.int32)
    return array.unsorted_segment_sum(array.ones_like(ids), ids, count)


def longest(splits: Any) -> Any:
    """The length of the longest row; 0 without rows."""
    lengths = splits[1:] - splits[:-1]
    return reduce_max(array.concat([array.zeros([1], splits.dtype), lengths], 0))


def check_splits(splits: Any, values: Any, what: str, kind: str = "RaggedTensor") -> None:
    """In eager mode: splits rise from 0, to the number of values where these are given.

    Raises InvalidArgumentError naming what is wrong.
    """
    if type(splits) is not EagerTensor:
        return
    a = splits._host()
    from shardtape.ragged.tensor import rows_of

    count = None if values is None else rows_of(values)
    wrong = None
    if len(a) == 0 or a[0] != 0:
        wrong = f"the first split is {a[:1].tolist()}, not 0"
    elif (np.diff(a) < 0).any():
        wrong = f"the splits {a.tolist()} go down"
    elif type(count) is EagerTensor and a[-1] != count._host():
        wrong = f"the last split is {a[-1]}, there are {int(count)} values"
    if wrong:
        raise errors.InvalidArgumentError(
            f"Arguments to {what} do not form a valid {kind}: {wrong}"
        )


def check_rowids(ids: Any, nrows: Any) -> None:
    """In eager mode: ids are sorted, not negative and below `nrows`."""
    if nrows is not None:
        known = known_scalar(convert_to_tensor(nrows))
        if known is not None and known < 0:
            raise ValueError(f"Expected nrows >= 0; got {known}")
    if type(ids) is not EagerTensor:
        return
    a = ids._host()
    text = "Arguments to from_value_rowids do not form a valid RaggedTensor: "
    if a.size and (a[0] < 0 or (np.diff(a) < 0).any()):
        raise errors.InvalidArgumentError(f"{text}the row ids {a.tolist()} are not sorted")
    if a.size and nrows is not None and known is not None and a[-1] >= known:
        raise ValueError(f"{text}row id {a[-1]} is not below nrows={known}")


def check_uniform(length: Any, nrows: Any, values: Any) -> None:
    """Raises ValueError for rows of one length that do not hold the values, where that is known."""
    size, count = known_scalar(length), known_scalar(nrows)
    have = None if values.shape.rank is None else values.shape[0]
    if None in (size, count, have):
        return
    if size < 0 or count < 0 or size * count != have:  # type: ignore[operator]
        raise ValueError(
            f"uniform_row_length={size} times nrows={count} must equal the number of values, {have}"
        )


def same(a: Any, b: Any) -> bool | None:
    """Whether two partitions are the same; None where a graph does not know."""
    if a is b:
        return True
    if type(a) is EagerTensor and type(b) is EagerTensor:
        with building(None):
            return bool(np.array_equal(a._host(), b._host()))
    return None
