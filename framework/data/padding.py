"""Batches of elements that differ in shape: padded or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.data import structure
from shardtape.data.batching import BatchCursor, BatchDataset, checked_batch_size, flag
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.run import Run
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.static import partial_value
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor


class PaddedBatchDataset(BatchDataset):
    """`batch_size` elements in one, padded to a common shape."""

    def __init__(
        self,
        input: Dataset,
        batch_size: Any,
        padded_shapes: Any,
        padding_values: Any,
        drop_remainder: Any,
    ) -> None:
        specs = input._type.specs
        for spec in specs:
            if not isinstance(spec, TensorSpec):
                raise TypeError(f"`padded_batch` is not supported for elements of {spec!r}")
        if padded_shapes is None:
            given = [s.shape for s in specs]  # type: ignore[attr-defined]
            for shape in given:
                if shape.rank is None:
                    raise ValueError(
                        f"You must provide `padded_shapes` argument because component {shape} has "
                        "unknown rank."
                    )
        else:
            given = structure.flatten_up_to(input.element_spec, padded_shapes, "padded_shapes")
        self.too_long: str | None = None  # the error for an element that does not fit
        # sizes, -1 where the batch decides: an array or a symbolic tensor per leaf
        self._shapes = [_sizes(g) for g in given]
        for sizes, spec in zip(self._shapes, specs):
            _check_fits(sizes, spec.shape)  # type: ignore[attr-defined]
        self._values = _padding_values(input, padding_values)
        self._size, self._drop = checked_batch_size(batch_size), flag(drop_remainder)
        known = self._size if self._drop and type(self._size) is int else None
        made = [
            TensorSpec([known, *_static(sizes, s)], s.dtype)  # type: ignore[attr-defined]
            for sizes, s in zip(self._shapes, specs)
        ]
        OneInput.__init__(self, input, structure.pack(input.element_spec, made))

    def _parameters(self) -> Sequence[Any]:
        return (self._size, *self._shapes, *[v for v in self._values if isinstance(v, Tensor)])

    def _make_cursor(self, run: Run) -> Cursor:
        sizes = [run.value(s) if isinstance(s, SymbolicTensor) else s for s in self._shapes]
        values = [run.value(v) if isinstance(v, Tensor) else v for v in self._values]
        return PaddedBatchCursor(
            self._input._cursor(run),
            self._input._type.specs,
            run.number(self._size),
            self._drop,
            sizes,
            values,
            self.too_long,
        )


def _sizes(shape: Any) -> Any:
    if isinstance(shape, SymbolicTensor):
        return shape
    if isinstance(shape, (EagerTensor, np.ndarray)):
        return np.asarray(shape, np.int64)
    if isinstance(shape, (list, tuple)) and any(isinstance(d, Tensor) for d in shape):
        filled = [-1 if d is None else d for d in shape]
        tensor = convert_to_tensor([convert_to_tensor(d, dt.int64) for d in filled])
        return tensor if isinstance(tensor, SymbolicTensor) else np.asarray(tensor, np.int64)
    dims = shapes.as_shape(shape)
    if dims.rank is None:
        raise ValueError(f"padded shapes must have a known rank, got {shape!r}")
    return np.array([-1 if d is None else d for d in dims], np.int64)


def _check_fits(sizes: Any, shape: shapes.TensorShape) -> None:
    """Raises ValueError for known sizes that are smaller, or more or fewer, than an element's."""
    if isinstance(sizes, SymbolicTensor) or shape.rank is None:
        return
    given = [None if d < 0 else int(d) for d in sizes]
    small = [d is not None and own is not None and d < own for d, own in zip(given, shape)]
    if len(given) != shape.rank or any(small):
        raise ValueError(
            f"The padded shape {shapes.TensorShape(given)} is not compatible with the shape "
            f"{shape} of the corresponding input component."
        )


def _static(sizes: Any, spec: Any) -> list[int | None]:
    if isinstance(sizes, SymbolicTensor):
        known = partial_value(sizes)
        if known is None:
            rank = sizes.shape[0] if sizes.shape.rank else None
            known = [None] * (rank if rank is not None else spec.shape.rank or 0)
        return [None if d is None or int(d) < 0 else int(d) for d in known]
    return [None if d < 0 else int(d) for d in sizes]


def _padding_values(input: Dataset, padding_values: Any) -> list[Any]:
    specs: list[Any] = input._type.specs
    if padding_values is None:
        found: list[Any] = [None] * len(specs)
    elif not structure.is_nested(padding_values):
        found = [padding_values] * len(specs)
    else:
        found = structure.flatten_up_to(input.element_spec, padding_values, "padding_values")
    out: list[Any] = []
    for value, spec in zip(found, specs):
        if value is None:
            out.append(b"" if spec.dtype is dt.string else spec.dtype.numpy_dtype.type(0))
            continue
        if isinstance(value, Tensor):
            if value.dtype is not spec.dtype:
                raise TypeError(
                    f"Mismatched type between padding value {value!r} and input dataset's "
                    f"component type {spec.dtype.name}."
                )
            out.append(value)
            continue
        made = to_array(value, spec.dtype)
        if np.ndim(made):
            raise ValueError(f"padding values must be scalars, got {value!r}")
        out.append(made[()] if isinstance(made, np.ndarray) else made)
    return out


class PaddedBatchCursor(BatchCursor):
    """Batches of arrays of different shapes."""

    def __init__(
        self,
        input: Cursor,
        specs: Sequence[Any],
        size: int,
        drop_remainder: bool,
        sizes: Sequence[Any],
        values: Sequence[Any],
        too_long: str | None = None,
    ) -> None:
        super().__init__(input, specs, size, drop_remainder)
        self._sizes, self._values, self._too_long = sizes, values, too_long

    def __next__(self) -> Leaves:
        columns = zip(*self._gather())
        return tuple(
            [
                _padded(c, s, v, self._too_long)
                for c, s, v in zip(columns, self._sizes, self._values)
            ]
        )


def _padded(arrays: Sequence[Any], sizes: Any, value: Any, too_long: str | None) -> np.ndarray:
    rank = len(sizes)
    for a in arrays:
        if a.ndim != rank:
            raise errors.InvalidArgumentError(
                "All elements in a batch must have the same rank as the padded shape for "
                f"component: expected rank {rank} got element with rank {a.ndim}"
            )
    largest = np.array([a.shape for a in arrays], np.int64).reshape(len(arrays), rank).max(0)
    shape = np.where(sizes < 0, largest, sizes)
    if (largest > shape).any():
        if too_long is not None:
            raise errors.InvalidArgumentError(too_long)
        raise errors.DataLossError(
            "Attempted to pad to a smaller size than the input element: "
            f"{largest.tolist()} into {shape.tolist()}"
        )
    out = np.full((len(arrays), *shape.tolist()), value, arrays[0].dtype)
    for i, a in enumerate(arrays):
        place: Any = (i, *map(slice, a.shape))
        out[place] = a if a.ndim or a.dtype != object else a[()]
    return out


class SparseBatchDataset(OneInput):
    """`batch_size` dense elements in one SparseTensor of rows of `row_shape`."""

    _shown = "_DenseToSparseBatchDataset"

    def __init__(self, input: Dataset, batch_size: Any, row_shape: Any) -> None:
        from shardtape.sparse_tensor import SparseTensorSpec

        spec = input.element_spec
        if not isinstance(spec, TensorSpec):
            raise TypeError(
                "`dense_to_sparse_batch` requires an input dataset whose elements have a single "
                f"component, but the given dataset has the following component types: {spec}."
            )
        self._size, self._row = checked_batch_size(batch_size), shapes.as_shape(row_shape)
        super().__init__(input, SparseTensorSpec([None, *self._row], spec.dtype))

    def _parameters(self) -> Sequence[Any]:
        return (self._size,)

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        return size if size < 0 else -(-size // run.number(self._size))

    def _make_cursor(self, run: Run) -> Cursor:
        cursor = self._input._cursor(run)
        return SparseBatchCursor(
            cursor, self._input._type.specs, run.number(self._size), self._row.as_list()
        )


class SparseBatchCursor(BatchCursor):
    """Rows of different sizes as one sparse leaf."""

    def __init__(self, input: Cursor, specs: Any, size: int, row: list[int | None]) -> None:
        super().__init__(input, specs, size, False)
        self._row = row

    def __next__(self) -> Leaves:
        from shardtape.sparse_tensor import SparseTensor

        arrays = [leaves[0] for leaves in self._gather()]
        rank = len(self._row)
        indices, values = [], []
        for i, a in enumerate(arrays):
            if a.ndim != rank or any(d is not None and n > d for n, d in zip(a.shape, self._row)):
                raise errors.DataLossError(
                    f"Input element had shape {list(a.shape)}, which does not fit the row shape "
                    f"{self._row}"
                )
            places = np.indices(a.shape).reshape(rank, -1).T
            indices.append(np.concatenate([np.full((len(places), 1), i), places], 1))
            values.append(a.reshape(-1))
        largest = np.array([a.shape for a in arrays]).reshape(len(arrays), rank).max(0)
        row = [int(n) if d is None else d for n, d in zip(largest, self._row)]
        leaf = SparseTensor(
            EagerTensor(np.concatenate(indices).astype(np.int64)),
            EagerTensor(np.concatenate(values)),
            EagerTensor(np.array([len(arrays), *row], np.int64)),
        )
        return (leaf,)
