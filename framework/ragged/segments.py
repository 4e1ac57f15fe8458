"""Rows of RaggedTensors reduced by segment, position by position."""

from __future__ import annotations

from typing import Any

from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.dispatch import add_dispatcher
from shardtape.ops.gather import unsorted_segment_sum
from shardtape.ops.math import maximum, sqrt
from shardtape.ops.registry import Op
from shardtape.ops.segments import unsorted_segment_max
from shardtape.ragged import partitions
from shardtape.ragged.tensor import RaggedTensor

_SEGMENTS = frozenset(f"UnsortedSegment{what}" for what in ("Max", "Min", "Prod", "Sum"))


def _by_segment(op: Op, inputs: tuple[Any, ...]) -> Any:
    if op.type not in _SEGMENTS or not any(isinstance(x, RaggedTensor) for x in inputs[:2]):
        return NotImplemented
    data, ids, count = inputs
    return lambda op, attrs, name: _reduced(op, data, ids, count)


add_dispatcher(_by_segment)


def _reduced(op: Op, data: Any, ids: Any, count: Any) -> Any:
    """A row for each segment, as long as the longest of its rows.

    Ids that are ragged themselves say where each element goes, so that the outer rows are no more.

    Raises ValueError for ids that are nested deeper than the data.
    """
    if isinstance(ids, RaggedTensor):
        if not isinstance(data, RaggedTensor):
            raise ValueError(
                "segment_ids.shape must be a prefix of data.shape, but segment_ids is ragged and "
                "data is not"
            )
        return _reduced(op, data.values, ids.values, count)
    if not isinstance(data, RaggedTensor):
        return op(data, ids, count)
    kind = data.row_splits.dtype
    ids = convert_to_tensor(ids)
    lengths = maximum(unsorted_segment_max(data.row_lengths(), ids, count), array.zeros([], kind))
    splits = partitions.splits_of_lengths(lengths)
    rows = data.value_rowids()
    within = array.range(data.row_splits[-1]) - array.gather(data.row_splits, rows)
    starts = array.gather(splits, cast(array.gather(ids, rows), kind))
    return RaggedTensor.from_row_splits(
        _reduced(op, data.values, starts + within, splits[-1]), splits, validate=False
    )


def _counts(data: RaggedTensor, ids: Any, count: Any) -> Any:
    ones = data.with_flat_values(array.ones_like(data.flat_values))
    return unsorted_segment_sum(ones, ids, count)


@overrides("unsorted_segment_mean", RaggedTensor)
def _mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    total = unsorted_segment_sum(data, segment_ids, num_segments)
    return total / _counts(data, segment_ids, num_segments)


@overrides("unsorted_segment_sqrt_n", RaggedTensor)
def _sqrt_n(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    total = unsorted_segment_sum(data, segment_ids, num_segments)
    return total / sqrt(_counts(data, segment_ids, num_segments))
