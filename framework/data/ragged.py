"""`ragged_batch`: elements whose shape varies as rows of RaggedTensors."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.context import building
from shardtape.data import structure
from shardtape.data.batching import BatchDataset
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.run import Run
from shardtape.graph.func_graph import TensorSpec
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.ragged.tensor import RaggedTensor
from shardtape.tensor import EagerTensor


def ragged_batch(input: Dataset, batch_size: Any, drop: Any, row_splits_dtype: Any) -> Dataset:
    """See `Dataset.ragged_batch`."""
    splits = dt.as_dtype(row_splits_dtype)
    specs = [_ragged(s, splits) for s in input._type.specs]
    if any(new is not old for new, old in zip(specs, input._type.specs)):
        input = RaggedElementsDataset(input, specs)
    return BatchDataset(input, batch_size, drop)


def _ragged(spec: Any, splits: dt.DType) -> Any:
    """The spec of the values as RaggedTensors; one of a known shape stays as it is."""
    if not isinstance(spec, TensorSpec) or spec.shape.rank is None:
        return spec
    unknown = [axis for axis, size in enumerate(spec.shape) if size is None]
    return RaggedTensorSpec(spec.shape, spec.dtype, unknown[-1], splits) if unknown else spec


class RaggedElementsDataset(OneInput):
    """Tensors of the input as RaggedTensors."""

    _shown = "_DenseToRaggedDataset"

    def __init__(self, input: Dataset, specs: list[Any]) -> None:
        super().__init__(input, structure.pack(input.element_spec, specs))

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _make_cursor(self, run: Run) -> Cursor:
        return _RaggedCursor(self._input._cursor(run), self._type.specs)


class _RaggedCursor(Cursor):
    def __init__(self, input: Cursor, specs: list[Any]) -> None:
        super().__init__(input)
        self._next, self._specs = input.__next__, specs

    def __next__(self) -> Leaves:
        return tuple([_leaf(s, x) for s, x in zip(self._specs, self._next())])


def _leaf(spec: Any, leaf: Any) -> Any:
    if not isinstance(spec, RaggedTensorSpec):
        return leaf
    if not spec.ragged_rank:
        return EagerTensor(leaf)
    with building(None):
        return RaggedTensor.from_tensor(EagerTensor(leaf), ragged_rank=spec.ragged_rank)
