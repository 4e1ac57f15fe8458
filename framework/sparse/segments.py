"""Segments of chosen rows, and lookups of rows that may have no ids."""

from __future__ import annotations

from typing import Any

from shardtape.ops import array
from shardtape.ops.arithmetic import div_no_nan
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.embedding import embedding_lookup_sparse
from shardtape.ops.math import greater, greater_equal, logical_and, sqrt
from shardtape.sparse.places import fill_empty_rows, retain


def _sum(data: Any, indices: Any, segment_ids: Any, num_segments: Any) -> tuple[Any, Any]:
    """The sums of the rows of each segment, and the numbers of rows, in the form of a factor."""
    rows = array.gather(convert_to_tensor(data), indices)
    ids = convert_to_tensor(segment_ids)
    ones = array.ones([array.size(ids)], rows.dtype)
    ones = array.reshape(ones, array.concat([array.shape(ones), [1] * (len(rows.shape) - 1)], 0))
    if num_segments is None:
        return array.segment_sum(rows, ids), array.segment_sum(ones, ids)
    return (
        array.unsorted_segment_sum(rows, ids, num_segments),
        array.unsorted_segment_sum(ones, ids, num_segments),
    )


def segment_sum(
    data: Any, indices: Any, segment_ids: Any, num_segments: Any = None,
    sparse_gradient: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The sum of the rows of `data` at `indices` by sorted segment."""
    return _sum(data, indices, segment_ids, num_segments)[0]


def segment_mean(
    data: Any, indices: Any, segment_ids: Any, num_segments: Any = None,
    sparse_gradient: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The mean of the rows of `data` at `indices` by sorted segment; 0 for an empty one."""
    return div_no_nan(*_sum(data, indices, segment_ids, num_segments))


def segment_sqrt_n(
    data: Any, indices: Any, segment_ids: Any, num_segments: Any = None,
    sparse_gradient: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The sum by sorted segment over the square root of the number of its rows."""
    total, count = _sum(data, indices, segment_ids, num_segments)
    return div_no_nan(total, sqrt(count))


def safe_embedding_lookup_sparse(
    embedding_weights: Any, sparse_ids: Any, sparse_weights: Any = None,
    combiner: str = "mean", default_id: Any = None, max_norm: Any = None,
    name: str | None = None, allow_fast_lookup: bool = False,
) -> Any:  # fmt: skip
    """`embedding_lookup_sparse` where ids may be negative and rows empty.

    Args:
      default_id: what an empty row looks up; None: it gives zeros.

    Negative ids are left out, and ids of weights that are not positive unless the combiner is
    "sum".
    """
    keep = greater_equal(sparse_ids.values, 0)
    if sparse_weights is not None and combiner != "sum":
        keep = logical_and(keep, greater(sparse_weights.values, 0.0))
    ids = retain(sparse_ids, keep)
    weights = None if sparse_weights is None else retain(sparse_weights, keep)
    ids, empty = fill_empty_rows(ids, 0 if default_id is None else default_id)
    if weights is not None:
        weights, _ = fill_empty_rows(weights, 1.0)
    found = embedding_lookup_sparse(embedding_weights, ids, weights, combiner, max_norm)
    if default_id is not None:
        return found
    empty = array.reshape(
        empty, array.concat([array.shape(empty), [1] * (len(found.shape) - 1)], 0)
    )
    return array.where(empty, array.zeros_like(found), found)
