"""Datasets out of values in memory: tensors, their rows, ranges, random numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves, SequenceCursor
from shardtape.data.dataset import INFINITE, UNKNOWN, Dataset
from shardtape.data.leaves import unstack
from shardtape.data.rows import ArrayRows, RangeRows, Rows
from shardtape.data.run import BoundDataset, Run, scalar, symbols_of
from shardtape.data.seeds import Draws, SeedGenerator, seeds_of
from shardtape.data.specs import DatasetSpec
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec

_WORDS_AT_ONCE = 256


class _OfValues(Dataset):
    """Base of datasets that hold a structure of tensors."""

    def __init__(self, values: Any, element_spec: Any) -> None:
        super().__init__(element_spec)
        self._values = [_on_host(v) for v in structure.flatten(values)]
        self._value_specs: list[TypeSpec] = structure.flatten(structure.spec_of(values))

    def _parameters(self) -> Sequence[Any]:
        found: list[Any] = []
        for spec, value in zip(self._value_specs, self._values):
            if isinstance(value, Tensor):
                found.append(value)
            elif isinstance(spec, DatasetSpec):
                found.extend(symbols_of(value))
            else:
                found.extend(spec._to_components(value))
        return found

    def _leaves(self, run: Run) -> Leaves:
        return tuple([_leaf(s, v, run) for s, v in zip(self._value_specs, self._values)])


def _on_host(value: Any) -> Any:
    """The value; a tensor on a GPU is copied to the host once, here."""
    if type(value) is EagerTensor and backend.is_device(value._array):
        return EagerTensor(value._host())
    return value


def _leaf(spec: TypeSpec, value: Any, run: Run) -> Any:
    if isinstance(spec, TensorSpec):
        return run.value(value)
    if isinstance(spec, DatasetSpec):
        return BoundDataset(value, run.values)
    parts = spec._to_components(value)
    if any(isinstance(p, SymbolicTensor) for p in parts):
        value = spec._from_components([EagerTensor(run.value(p)) for p in parts])
    return structure.unwrap_leaf(spec, value)


class TensorDataset(_OfValues):
    """One element: a structure of values."""

    def __init__(self, element: Any) -> None:
        values = structure.normalize(element)
        super().__init__(values, structure.spec_of(values))

    def _cardinality(self, run: Run) -> int:
        return 1

    def _make_cursor(self, run: Run) -> Cursor:
        return SequenceCursor(iter([self._leaves(run)]))


class TensorSliceDataset(_OfValues):
    """One element for each row of tensors (or of composites that can be taken apart)."""

    def __init__(self, tensors: Any) -> None:
        if tensors is None:
            raise ValueError("from_tensor_slices needs tensors, got None")
        values = structure.normalize(structure.map_structure(_uncopied, tensors))
        leaves = structure.flatten(values)
        if not leaves:
            raise ValueError("Invalid `tensors`. `tensors` should not be empty.")
        specs = structure.spec_of(values)
        super().__init__(values, structure.map_structure(structure.unbatched_spec, specs))
        self._check_rows()

    def _check_rows(self) -> None:
        sizes = [_rows_in(s) for s in self._value_specs]
        known = [n for n in sizes if n is not None]
        for size in known[1:]:
            if size != known[0]:
                raise ValueError(f"Dimensions {known[0]} and {size} are not compatible")

    def _cardinality(self, run: Run) -> int:
        for spec in self._value_specs:
            size = _rows_in(spec)
            if size is not None:
                return size
        values = [v for v in self._values if isinstance(v, Tensor)]
        if values and values[0]._id in run.values:  # type: ignore[attr-defined]
            return len(run.value(values[0]))
        return UNKNOWN

    def _rows(self, run: Run) -> Rows | None:
        if not all(isinstance(s, TensorSpec) for s in self._value_specs):
            return None
        arrays = self._leaves(run)
        for array in arrays[1:]:
            if len(array) != len(arrays[0]):
                raise ValueError(f"Dimensions {len(arrays[0])} and {len(array)} are not compatible")
        return Rows(ArrayRows(arrays))

    def _make_cursor(self, run: Run) -> Cursor:
        leaves = self._leaves(run)
        return SequenceCursor(zip(*[unstack(s, x) for s, x in zip(self._value_specs, leaves)]))


def _uncopied(value: Any) -> Any:
    """Arrays that nobody changes are used where they lie; all others are copied."""
    if not isinstance(value, np.ndarray) or value.dtype.kind in "SUOMmV" or not value.ndim:
        return value
    fixed = isinstance(value, np.memmap) or not _may_change(value)
    if not fixed or not value.dtype.isnative:
        return value
    return EagerTensor(value.view(np.ndarray))


def _may_change(array: np.ndarray) -> bool:
    """Whether somebody may write into the array's memory."""
    holder: Any = array
    while holder is not None:
        if isinstance(holder, np.ndarray) and holder.flags.writeable:
            return True
        holder = getattr(holder, "base", None)
    return False


def _rows_in(spec: TypeSpec) -> int | None:
    shape = getattr(spec, "shape", None)
    return None if shape is None or not shape.rank else shape[0]


class RangeDataset(Dataset):
    """Numbers from start to stop (excluded) in equal steps."""

    def __init__(self, *args: Any, output_type: Any = dt.int64, name: Any = None) -> None:
        if not 1 <= len(args) <= 3:
            raise ValueError(
                f"`tf.data.Dataset.range` expects 1 to 3 arguments, got {len(args)}: {args}"
            )
        start, stop, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
        self._dtype = dt.as_dtype(output_type)
        super().__init__(TensorSpec([], self._dtype))
        self._start = scalar(start, "start")
        self._stop = scalar(stop, "stop")
        self._step = scalar(step, "step")
        if type(self._step) is int and self._step == 0:
            from shardtape.errors import InvalidArgumentError

            raise InvalidArgumentError("step must be a non-zero integer.")

    def _parameters(self) -> Sequence[Any]:
        return (self._start, self._stop, self._step)

    def _range(self, run: Run) -> range:
        return range(run.number(self._start), run.number(self._stop), run.number(self._step))

    def _cardinality(self, run: Run) -> int:
        return len(self._range(run))

    def _rows(self, run: Run) -> Rows:
        numbers = self._range(run)
        source = RangeRows(len(numbers), numbers.start, numbers.step, self._dtype.numpy_dtype)
        return Rows(source)


class CounterDataset(Dataset):
    """Numbers in equal steps, without an end."""

    _shown = "_ScanDataset"

    def __init__(self, start: Any, step: Any, dtype: Any) -> None:
        with_dtype = dt.as_dtype(dtype)
        super().__init__(TensorSpec([], with_dtype))
        self._start = convert_to_tensor(start, with_dtype)
        self._step = convert_to_tensor(step, with_dtype)

    def _parameters(self) -> Sequence[Any]:
        return (self._start, self._step)

    def _cardinality(self, run: Run) -> int:
        return INFINITE

    def _rows(self, run: Run) -> Rows:
        start, step = (run.value(x)[()].item() for x in (self._start, self._step))
        dtype = self._type.specs[0].dtype.numpy_dtype  # type: ignore[attr-defined]
        return Rows(RangeRows(sys.maxsize, start, step, dtype))


class RandomDataset(Dataset):
    """Endless random integers of 32 bits, as int64; TensorFlow's own for the same seeds."""

    def __init__(self, seed: Any, rerandomize: bool | None) -> None:
        super().__init__(TensorSpec([], dt.int64))
        self.seeds = seeds_of(seed)
        self.fixed = not rerandomize
        self.is_template = state.graph is not None
        self.own_generator = None
        if not self.is_template:
            self.own_generator = SeedGenerator(self.seeds, self.fixed)

    def _cardinality(self, run: Run) -> int:
        return INFINITE

    def _make_cursor(self, run: Run) -> Cursor:
        return SequenceCursor(_words(Draws(*run.next_seeds(self))))


def _words(draws: Draws) -> Iterator[Leaves]:
    while True:
        for word in draws.take(_WORDS_AT_ONCE).astype(np.int64):
            yield (word,)
