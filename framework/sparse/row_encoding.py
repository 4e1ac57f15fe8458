"""Rows of SparseTensors for `map_fn`: as tensors and ragged tensors, which go row by row."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops import array
from shardtape.ops.math import maximum
from shardtape.ops.reduce import reduce_max
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor, SparseTensorSpec


class SparseRows:
    """Encodes SparseTensors of a spec as (indices, values, shape), by the names that the specs of
    batchable extension types have.

    A batch has ragged indices and values and a matrix of the shapes of its rows.
    """

    def __init__(self, spec: SparseTensorSpec) -> None:
        self.spec = spec

    def _unbatch(self) -> SparseRows:
        return SparseRows(self.spec._unbatch())

    def _batch(self, size: int | None) -> SparseRows:
        return SparseRows(self.spec._batch(size))

    def _encoded_specs(self) -> list[Any]:
        rank = self.spec.shape.rank
        return [
            RaggedTensorSpec([None, rank], dt.int64, 0),
            RaggedTensorSpec([None], self.spec.dtype, 0),
            TensorSpec([rank], dt.int64),
        ]

    def _encoded(self, value: Any, minimum_rank: int) -> list[Any]:
        value = SparseTensor.from_value(value)
        if not minimum_rank:
            return [value.indices, value.values, value.dense_shape]
        if value.shape.rank == 0:
            raise ValueError("Elements in elems must be 1+ dimensional Tensors, not scalars")
        ids, rows = value.indices[:, 0], value.dense_shape[0]
        parts = [
            RaggedTensor.from_value_rowids(part, ids, rows, validate=False)
            for part in (value.indices[:, 1:], value.values)
        ]
        return [*parts, array.tile(value.dense_shape[None, 1:], [rows, 1])]

    def _decoded(self, encoded: Any) -> SparseTensor:
        indices, values, shape = encoded
        if not isinstance(values, RaggedTensor):
            return SparseTensor(indices, values, shape)
        places = array.concat([values.value_rowids()[:, None], indices.flat_values], 1)
        sizes = maximum(reduce_max(shape, 0), 0)
        whole = array.concat([array.reshape(values.nrows(), [1]), sizes], 0)
        return SparseTensor(places, values.flat_values, whole)
