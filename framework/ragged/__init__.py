"""`tf.ragged`: RaggedTensors."""

from __future__ import annotations

from typing import Any

from shardtape.ops.array import concat as _concat
from shardtape.ops.array import reshape as _reshape
from shardtape.ops.cast import cast as _cast
from shardtape.ops.convert import convert_to_tensor as _convert_to_tensor
from shardtape.ragged import members as _members
from shardtape.ragged import partitions as _partitions
from shardtape.ragged import reductions as _reductions
from shardtape.ragged import segments as _segments  # noqa: F401
from shardtape.ragged import shaped as _shaped
from shardtape.ragged.conversion import constant
from shardtape.ragged.elementwise import map_flat_values
from shardtape.ragged.functions import cross, cross_hashed
from shardtape.ragged.joining import stack as _stack
from shardtape.ragged.ranges import range
from shardtape.ragged.selection import boolean_mask
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor

# importing them registers what they override
_members, _reductions, _shaped  # noqa: B018


def stack(values: Any, axis: int = 0, name: str | None = None) -> Any:
    """Values of one rank, whose sizes may differ, along a new axis."""
    return _stack(values, axis)


def row_splits_to_segment_ids(splits: Any, name: str | None = None, out_type: Any = None) -> Any:
    """The row of each value."""
    ids = _partitions.rowids_of_splits(_partitions.row_integers(splits))
    return ids if out_type is None else _cast(ids, out_type)


def segment_ids_to_row_splits(
    segment_ids: Any, num_segments: Any = None, out_type: Any = None, name: str | None = None
) -> Any:
    """The splits of sorted row ids."""
    ids = _partitions.row_integers(segment_ids)
    lengths = _partitions.lengths_of_rowids(ids, num_segments)
    splits = _partitions.splits_of_lengths(lengths)
    return splits if out_type is None else _cast(splits, out_type)


def stack_dynamic_partitions(
    data: Any, partitions: Any, num_partitions: Any, name: str | None = None
) -> RaggedTensor:
    """Row i has the elements of `data` whose partition is i."""
    from shardtape.ops.array import argsort, gather, shape

    ids = _convert_to_tensor(partitions)
    data = _convert_to_tensor(data)
    sizes = shape(data)
    flat_ids = _reshape(ids, [-1])
    rank = ids.shape.rank
    flat = _reshape(data, _concat([[-1], sizes[rank:]], 0))
    order = argsort(flat_ids, stable=True)
    return RaggedTensor.from_value_rowids(
        gather(flat, order), gather(flat_ids, order), num_partitions
    )


__all__ = [
    "RaggedTensor",
    "RaggedTensorSpec",
    "boolean_mask",
    "constant",
    "cross",
    "cross_hashed",
    "map_flat_values",
    "range",
    "row_splits_to_segment_ids",
    "segment_ids_to_row_splits",
    "stack",
    "stack_dynamic_partitions",
]
