"""`tf.sparse.cross`, `cross_hashed`: every combination of features, as texts or as hashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged import functions
from shardtape.ragged.conversion import from_tensor
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor


def cross(inputs: Sequence[Any], name: str | None = None, separator: str | None = None) -> Any:
    """A SparseTensor of every combination of the features in corresponding rows, joined.

    Args:
      inputs: a list of SparseTensors and matrices of strings or integers, with as many rows each.
      separator: between two features: "_X_" by default.

    Raises:
      TypeError: no list, or something else in it.
      InvalidArgumentError: a tensor that is no matrix.
    """
    joined = functions.cross_texts(_rows(inputs), "_X_" if separator is None else separator)
    return joined.to_sparse()


def cross_hashed(
    inputs: Sequence[Any], num_buckets: int = 0, hash_key: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """As `cross`, with the hash of each combination: int64.

    Args:
      num_buckets: hashes lie below it; 0 for all that fit into int64.
      hash_key: where the hash begins.

    Raises as `cross`, and InvalidArgumentError for a negative number of buckets.
    """
    return functions.cross_numbers(_rows(inputs), num_buckets, hash_key).to_sparse()


def _rows(inputs: Any) -> list[RaggedTensor]:
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"Inputs must be a list, got {type(inputs).__name__}")
    if not inputs or not all(
        isinstance(x, (SparseTensor, Tensor, np.ndarray, list, tuple)) for x in inputs
    ):
        kinds = [type(x).__name__ for x in inputs]
        raise TypeError(f"All inputs must be Tensor or SparseTensor, and one at least: got {kinds}")
    made = []
    for i, x in enumerate(inputs):
        if isinstance(x, SparseTensor):
            made.append(RaggedTensor.from_value_rowids(x.values, x.indices[:, 0], x.dense_shape[0]))
            continue
        x = convert_to_tensor(x)
        if x.shape.rank not in (None, 2):
            raise errors.InvalidArgumentError(
                f"Dense inputs should be a matrix but received shape {x.shape} at position {i}"
            )
        made.append(from_tensor(x, None, None, 1, dt.int64))
    return made
