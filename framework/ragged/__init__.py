"""`tf.ragged`: RaggedTensors."""

from __future__ import annotations

from typing import Any

from shardtape import errors as _errors
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
from shardtape.ragged.conversion import from_any as _from_any
from shardtape.ragged.elementwise import map_flat_values
from shardtape.ragged.functions import cross, cross_hashed
from shardtape.ragged.joining import stack as _stack
from shardtape.ragged.ranges import range
from shardtape.ragged.selection import boolean_mask
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor
from shardtape.tensor import EagerTensor as _EagerTensor

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
    """Row i has the elements of `data` whose partition is i.

    Args:
      data: a tensor, or ragged; its outer axes are those of `partitions`.
      partitions: an integer for each element, ragged where the outer axes are.

    Raises:
      ValueError: another number of elements than of partitions.
      InvalidArgumentError: a partition that there is not.
    """
    from shardtape.ops.array import argsort, gather, shape

    if isinstance(partitions, RaggedTensor):
        if not isinstance(data, RaggedTensor):
            raise ValueError("partitions are ragged, so that data has to be ragged")
        return stack_dynamic_partitions(data.values, partitions.values, num_partitions)
    ids = _convert_to_tensor(partitions)
    data = _from_any(data)
    rank: Any = ids.shape.rank
    if rank is not None and data.shape.rank is not None:
        data.shape[:rank].assert_is_compatible_with(ids.shape)
    flat_ids = _reshape(ids, [-1])
    if not isinstance(data, RaggedTensor):
        data = _reshape(data, _concat([[-1], shape(data)[rank:]], 0))
    elif rank > 1:
        data = data.merge_dims(0, rank - 1)
    order = argsort(flat_ids, stable=True)
    rows = gather(flat_ids, order)
    if type(rows) is _EagerTensor and rows.shape[0]:
        first, last, count = int(rows[0]), int(rows[-1]), int(num_partitions)
        if first < 0 or last >= count:
            wrong = first if first < 0 else last
            raise _errors.InvalidArgumentError(f"partition {wrong} is not in [0, {count})")
    return RaggedTensor.from_value_rowids(gather(data, order), rows, num_partitions)


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
