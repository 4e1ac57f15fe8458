"""Vectors of category numbers as SparseTensors, and category numbers of composite inputs."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.keras.symbolic import KerasGraph
from shardtape.ops.array import expand_dims, gather, gather_nd, shape, stack, where
from shardtape.ops.cast import cast
from shardtape.ops.compare import greater_equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse.counting import bincount
from shardtape.sparse_tensor import SparseTensor, to_dense
from shardtape.tensor import Tensor


def gives_sparse(asked: bool) -> bool:
    """Whether a layer gives a SparseTensor now: symbolic calls see a dense one in its place."""
    return asked and not isinstance(state.graph, KerasGraph)


def plain_numbers(numbers: Any) -> Any:
    """The numbers of a ragged or sparse tensor one after the other; others as they are."""
    if isinstance(numbers, RaggedTensor):
        return numbers.flat_values
    return numbers.values if isinstance(numbers, SparseTensor) else numbers


def dense_numbers(numbers: Any) -> Tensor:
    """Category numbers as a dense tensor, with -1 where a ragged or sparse one has none."""
    if isinstance(numbers, RaggedTensor):
        return numbers.to_tensor(default_value=-1)
    if isinstance(numbers, SparseTensor):
        return to_dense(numbers, default_value=-1)
    return convert_to_tensor(numbers)


def encoded_sparsely(
    numbers: Tensor, mode: str, depth: int, dtype: Any, weights: Any = None, counts: Any = None
) -> SparseTensor:
    """As `encoded`, of numbers (n,) or (batch, n), without vectors of zeros in between.

    Args:
      numbers: -1 is no category.
      weights: of the categories, for "tf_idf".
      counts: of each number, for "count".
    """
    places = where(greater_equal(numbers, convert_to_tensor(0, numbers.dtype)))
    size = shape(numbers, out_type=dt.int64)
    found = SparseTensor(places, gather_nd(numbers, places), size)
    given = None
    if counts is not None:
        counts = cast(convert_to_tensor(counts), dtype)
        given = SparseTensor(places, gather_nd(counts, places), size)
    counted = bincount(
        found, given, axis=-1, minlength=depth, maxlength=depth,
        binary_output=mode in ("one_hot", "multi_hot"),
    )  # fmt: skip
    values = cast(counted.values, dtype)
    if mode == "tf_idf":
        values = values * cast(gather(weights, counted.indices[:, -1]), dtype)
    columns = convert_to_tensor(depth, dt.int64)
    if numbers.shape.rank == 1:
        return SparseTensor(counted.indices, values, expand_dims(columns, 0))
    made = SparseTensor(counted.indices, values, stack([size[0], columns]))
    made.set_shape([numbers.shape[0], depth])
    return made
