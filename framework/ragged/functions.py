"""Functions that look at whole rows of RaggedTensors: softmax, matmul, lookups, segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, strings
from shardtape.ops import array, math
from shardtape.ops.cast import bitcast, cast
from shardtape.ops.clip import clip_by_value
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.cross_entropy import softmax
from shardtape.ops.dropout import dropout
from shardtape.ops.embedding import embedding_lookup
from shardtape.ops.fingerprints import HASH_START, joined_fingerprints
from shardtape.ops.gather import unsorted_segment_sum
from shardtape.ops.linalg import matmul
from shardtape.ops.reduce import reduce_any
from shardtape.ops.scatter import gather_nd
from shardtape.ops.segments import unsorted_segment_max
from shardtape.ops.spelling import fingerprint
from shardtape.ragged import partitions
from shardtape.ragged.conversion import from_tensor
from shardtape.ragged.elementwise import map_flat_values
from shardtape.ragged.tensor import RaggedTensor, convert
from shardtape.tensor import EagerTensor


@overrides("softmax", RaggedTensor)
def _softmax(logits: Any, axis: Any = None, name: str | None = None) -> RaggedTensor:
    """The softmax of each innermost row.

    Raises ValueError for another axis than the last.
    """
    if axis not in (None, -1, logits.shape.rank and logits.shape.rank - 1):
        raise ValueError(f"axis={axis} is not supported for RaggedTensors: it is the last one")
    if isinstance(logits.values, RaggedTensor):
        return logits.with_values(_softmax(logits.values))
    if logits.values.shape.rank != 1:
        return logits.with_values(softmax(logits.values))
    ids, rows = logits.value_rowids(), logits.nrows()
    top = array.stop_gradient(unsorted_segment_max(logits.values, ids, rows))
    scaled = math.exp(logits.values - array.gather(top, ids))
    sums = unsorted_segment_sum(scaled, ids, rows)
    return logits.with_values(scaled / array.gather(sums, ids))


@overrides("dropout", RaggedTensor)
def _dropout(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> RaggedTensor:
    if noise_shape is not None:
        raise ValueError("noise_shape is not supported yet for RaggedTensor x")
    return x.with_flat_values(dropout(x.flat_values, rate, seed=seed))


@overrides("clip_by_value", RaggedTensor)
def _clip(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    return map_flat_values(clip_by_value, t, clip_value_min, clip_value_max)


@overrides("embedding_lookup", RaggedTensor)
def _lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> RaggedTensor:
    return ids.with_flat_values(embedding_lookup(params, ids.flat_values, max_norm))


@overrides("matmul", RaggedTensor)
def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False,
            adjoint_a: bool = False, adjoint_b: bool = False, a_is_sparse: bool = False,
            b_is_sparse: bool = False, output_type: Any = None, grad_a: bool = False,
            grad_b: bool = False, name: str | None = None) -> Any:  # fmt: skip
    """Products of a batch of matrices with ragged rows (of a), columns (of b) or inner sizes.

    Raises ValueError for values of another rank than 3, and of more than one ragged dimension.
    """
    a, b = convert(a), convert(b)
    for x in (a, b):
        if x.shape.rank != 3 or (isinstance(x, RaggedTensor) and x.ragged_rank > 2):
            raise ValueError(f"a product of ragged matrices takes batches of rank 3, got {x!r}")
    rows = _sizes(a, 2 if transpose_a or adjoint_a else 1)
    columns = _sizes(b, 1 if transpose_b or adjoint_b else 2)
    dense_a, dense_b = (x.to_tensor() if isinstance(x, RaggedTensor) else x for x in (a, b))
    made = matmul(dense_a, dense_b, transpose_a, transpose_b, adjoint_a, adjoint_b)
    if rows is None and columns is None:
        return made
    count, width = (array.shape(made, out_type=dt.int64)[i] for i in (1, 2))
    if columns is None:
        return from_tensor(made, rows, None, 1, dt.int64)
    every = array.zeros_like(columns) + count if rows is None else rows
    inner = array.repeat(columns, every)
    flat = array.reshape(made, [-1, width])
    kept = array.reshape(array.sequence_mask(every, count), [-1])
    lines = from_tensor(array.boolean_mask(flat, kept), inner, None, 1, dt.int64)
    return RaggedTensor(lines, partitions.splits_of_lengths(every))


def _sizes(x: Any, axis: int) -> Any:
    """The size of an axis in each matrix of a batch; None where it is the same in all."""
    if not isinstance(x, RaggedTensor) or x.shape[axis] is not None:
        return None
    if axis == 1:
        return cast(x.row_lengths(), dt.int64)
    # matrices of ragged columns have rows of one length each
    lengths = cast(x.values.row_lengths(), dt.int64)
    return unsorted_segment_max(lengths, x.value_rowids(), x.nrows())


@overrides("gather_nd", RaggedTensor)
def _gather_nd(
    params: Any, indices: Any, batch_dims: int = 0, name: str | None = None, *rest: Any
) -> Any:
    """`tf.gather_nd` of ragged `params`.

    Raises ValueError for batch dimensions, and for ragged or unknown indices.
    """
    if batch_dims:
        raise ValueError("batch_dims != 0 is not supported for ragged gather_nd yet")
    if isinstance(indices, RaggedTensor):
        return indices.with_flat_values(_gather_nd(params, indices.flat_values))
    at = cast(convert_to_tensor(indices), params.row_splits.dtype)
    depth = at.shape[-1]
    if depth is None:
        raise ValueError("indices.shape[-1] must be statically known")
    if depth == 0:
        raise ValueError("the indices of a RaggedTensor need one column at least")
    place, values = at[..., 0], params
    for i in range(1, depth):
        if not isinstance(values, RaggedTensor):
            columns = array.concat([place[..., None], at[..., i:]], -1)
            return gather_nd(values, columns)
        _check_inside(values, place, at[..., i])
        place = array.gather(values.row_starts(), place) + at[..., i]
        values = values.values
    return array.gather(values, place)


def _check_inside(rows: RaggedTensor, row: Any, column: Any) -> None:
    """In eager mode: each row has the column."""
    if type(column) is EagerTensor and type(row) is EagerTensor:
        lengths = array.gather(rows.row_lengths(), row)
        if bool(reduce_any((column < 0) | (column >= lengths))):
            raise errors.InvalidArgumentError(
                f"an index of gather_nd lies outside of its row: {column.numpy().tolist()} in "
                f"rows of lengths {lengths.numpy().tolist()}"
            )


def cross(inputs: Sequence[Any], name: str | None = None) -> RaggedTensor:
    """Every combination of the values of corresponding rows, joined by "_X_".

    Args:
      inputs: RaggedTensors and matrices of strings or integers with the same number of rows.

    Raises ValueError for no inputs.
    """
    return cross_texts(_rows_of_all(inputs), "_X_")


def cross_hashed(
    inputs: Sequence[Any], num_buckets: int = 0, hash_key: int | None = None,
    name: str | None = None,
) -> RaggedTensor:  # fmt: skip
    """As `cross`, with an int64 hash of each combination.

    Args:
      num_buckets: hashes lie below it; 0 for all that fit into int64.
      hash_key: where the hash begins.
    """
    return cross_numbers(_rows_of_all(inputs), num_buckets, hash_key)


def _rows_of_all(inputs: Sequence[Any]) -> list[RaggedTensor]:
    if not inputs:
        raise ValueError("a cross needs one input at least")
    rows = []
    for x in inputs:
        x = convert(x)
        ragged = isinstance(x, RaggedTensor)
        rows.append(x if ragged else from_tensor(x, None, None, 1, dt.int64))
    return rows


def cross_numbers(
    rows: Sequence[RaggedTensor], num_buckets: int, hash_key: int | None
) -> RaggedTensor:
    """Every combination of the values of corresponding rows as a hash.

    Raises InvalidArgumentError for a negative number of buckets.
    """
    if num_buckets < 0:
        raise errors.InvalidArgumentError(
            f"Value for attr 'num_buckets' of {num_buckets} must be at least minimum 0"
        )
    key = convert_to_tensor(np.array(HASH_START if hash_key is None else hash_key, np.int64))
    made: RaggedTensor | None = None
    for x in rows:
        numbers = x.with_values(_feature_numbers(x.values))
        if made is None:
            start = array.zeros_like(numbers.values) + key
            made = numbers.with_values(joined_fingerprints(start, numbers.values))
        else:
            made = pairs(made, numbers, joined_fingerprints)
    limit = convert_to_tensor(np.array(num_buckets or np.iinfo(np.int64).max, np.uint64))
    hashes = cast(bitcast(made.values, dt.uint64) % limit, dt.int64)  # type: ignore[union-attr]
    return made.with_values(hashes)  # type: ignore[union-attr]


def _feature_numbers(features: Any) -> Any:
    """A feature as 64 bits: the fingerprint of a text, an integer as it is."""
    if features.dtype is dt.string:
        return bitcast(fingerprint(features), dt.int64)
    return cast(features, dt.int64)


def cross_texts(rows: Sequence[RaggedTensor], separator: str) -> RaggedTensor:
    """Every combination of the values of corresponding rows as texts with a separator."""
    made: RaggedTensor | None = None
    for x in rows:
        if x.dtype is not dt.string:
            x = x.with_values(strings.as_string(x.values))
        made = x if made is None else pairs(
            made, x, lambda a, b: strings.join([a, b], separator=separator)
        )  # fmt: skip
    return made  # type: ignore[return-value]


def pairs(a: RaggedTensor, b: RaggedTensor, joined: Callable[[Any, Any], Any]) -> RaggedTensor:
    """`joined` of every value of a row of `a` with every one of that row of `b`."""
    of_a, of_b = a.row_lengths(), b.row_lengths()
    splits = partitions.splits_of_lengths(of_a * of_b)
    rows = partitions.rowids_of_splits(splits)
    within = array.range(splits[-1]) - array.gather(splits, rows)
    width = array.gather(of_b, rows)
    left = array.gather(a.values, array.gather(a.row_starts(), rows) + within // width)
    right = array.gather(b.values, array.gather(b.row_starts(), rows) + within % width)
    return RaggedTensor(joined(left, right), splits)
