"""Datasets of datasets: windows, and groups of elements with equal keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves, SequenceCursor
from shardtape.data.dataset import UNKNOWN, Dataset, OneInput
from shardtape.data.mapping import open_bound
from shardtape.data.run import BoundDataset, Run, scalar
from shardtape.data.specs import DatasetSpec
from shardtape.data.tracing import TracedFunction, as_int64, check_scalar
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor


class ElementsDataset(Dataset):
    """Elements that are in memory already."""

    _shown = "_VariantDataset"

    def __init__(self, element_spec: Any, elements: Sequence[Leaves]) -> None:
        super().__init__(element_spec)
        self._elements = elements

    def _cardinality(self, run: Run) -> int:
        return len(self._elements)

    def _make_cursor(self, run: Run) -> Cursor:
        return SequenceCursor(iter(self._elements))


class WindowDataset(OneInput):
    """Datasets of neighbouring elements, one for each component."""

    def __init__(self, input: Dataset, size: Any, shift: Any, stride: Any, drop: Any) -> None:
        self._size = scalar(size, "size")
        self._shift = self._size if shift is None else scalar(shift, "shift")
        self._stride = scalar(stride, "stride")
        for name, value in (("size", self._size), ("shift", self._shift), ("stride", self._stride)):
            if type(value) is int and value < 1:
                raise errors.InvalidArgumentError(
                    f"Window {name} must be greater than zero, got {value}."
                )
        self._drop = bool(drop)
        super().__init__(input, structure.map_structure(DatasetSpec, input.element_spec))

    def _parameters(self) -> Sequence[Any]:
        return (self._size, self._shift, self._stride)

    def _cardinality(self, run: Run) -> int:
        count = self._input._cardinality(run)
        if count < 0:
            return count
        size, shift, stride = (run.number(n) for n in (self._size, self._shift, self._stride))
        if not self._drop:
            return -(-count // shift)
        reach = (size - 1) * stride + 1
        return 0 if count < reach else (count - reach) // shift + 1

    def _make_cursor(self, run: Run) -> Cursor:
        size, shift, stride = (run.number(n) for n in (self._size, self._shift, self._stride))
        return WindowCursor(
            self._input._cursor(run), self._input._type.specs, size, shift, stride, self._drop
        )


class WindowCursor(Cursor):
    """Keeps what the next window may need."""

    def __init__(
        self, input: Cursor, specs: Sequence[Any], size: int, shift: int, stride: int, drop: bool
    ) -> None:
        super().__init__(input)
        self._input, self._specs = input, specs
        self._size, self._shift, self._stride, self._drop = size, shift, stride, drop
        self._reach = (size - 1) * stride + 1
        self._held: deque[Leaves] = deque()
        self._ended = False

    def __next__(self) -> Leaves:
        while len(self._held) < self._reach and not self._ended:
            try:
                self._held.append(next(self._input))
            except StopIteration:
                self._ended = True
        if not self._held or (self._drop and len(self._held) < self._reach):
            raise StopIteration
        held = list(self._held)
        window = held[: self._reach : self._stride]
        if self._shift >= len(held):
            self._held.clear()
            if not self._ended:
                self._input.skip(self._shift - len(held))
        else:
            for _ in range(self._shift):
                self._held.popleft()
        return tuple(
            [
                BoundDataset(ElementsDataset(spec, [(leaves[i],) for leaves in window]), {})
                for i, spec in enumerate(self._specs)
            ]
        )


class GroupByWindowDataset(OneInput):
    """What a function makes of groups of elements with the same key."""

    def __init__(
        self,
        input: Dataset,
        key_func: Callable[..., Any],
        reduce_func: Callable[..., Any],
        window_size: Any,
        window_size_func: Callable[..., Any] | None,
    ) -> None:
        if (window_size is None) == (window_size_func is None):
            raise ValueError(
                "Either the `window_size` argument or the `window_size_func` argument must be "
                "specified, and not both."
            )
        self._key = TracedFunction(as_int64(key_func), input.element_spec, "key_func")
        check_scalar(self._key, dt.int64, "key_func")
        number = TensorSpec([], dt.int64)
        size_of = window_size_func or (lambda key: convert_to_tensor(window_size))
        self._size = TracedFunction(as_int64(size_of), number, "window_size_func")
        check_scalar(self._size, dt.int64, "window_size_func")
        self._reduce = TracedFunction(
            reduce_func, (number, DatasetSpec(input.element_spec)), "reduce_func"
        )
        spec = self._reduce.output.spec
        if not isinstance(spec, DatasetSpec):
            raise TypeError(
                "Invalid `reduce_func`. `reduce_func` must return a single `tf.data.Dataset` "
                f"object but its return type is {spec}."
            )
        super().__init__(input, spec.element_spec)

    def _parameters(self) -> Sequence[Any]:
        return [t for f in (self._key, self._size, self._reduce) for t in f.parameters()]

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        return size if size == -1 else UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        return GroupByWindowCursor(
            self._input._cursor(run),
            self._input.element_spec,
            (self._key.bind(run), self._size.bind(run), self._reduce.bind(run)),
            run,
        )


class GroupByWindowCursor(Cursor):
    """Collects elements by key; full groups are reduced at once, the others at the end."""

    def __init__(
        self, input: Cursor, element_spec: Any, functions: tuple[Any, Any, Any], run: Run
    ) -> None:
        super().__init__(input)
        self._input, self._spec, self._run = input, element_spec, run
        self._key, self._size, self._reduce = functions
        self._groups: dict[int, list[Leaves]] = {}
        self._sizes: dict[int, int] = {}
        self._opened = 0
        self._current: Cursor | None = None
        self._ended = False

    def __next__(self) -> Leaves:
        while True:
            if self._current is not None:
                try:
                    return next(self._current)
                except StopIteration:
                    self._current.close()
                    self._current = None
            if not self._ended:
                self._take()
            elif self._groups:
                self._open(min(self._groups))
            else:
                raise StopIteration

    def open_cursors(self) -> Iterable[Cursor]:
        current = self._current
        return self.inputs if current is None else (*self.inputs, current)

    def _take(self) -> None:
        try:
            leaves = next(self._input)
        except StopIteration:
            self._ended = True
            return
        key = int(self._key(leaves)[0])
        if key not in self._sizes:
            size = int(self._size((np.int64(key),))[0])
            if size < 1:
                raise errors.InvalidArgumentError(
                    f"Window size must be greater than zero, but got {size}."
                )
            self._sizes[key] = size
        group = self._groups.setdefault(key, [])
        group.append(leaves)
        if len(group) == self._sizes[key]:
            self._open(key)

    def _open(self, key: int) -> None:
        elements = ElementsDataset(self._spec, self._groups.pop(key))
        bound = self._reduce((np.int64(key), BoundDataset(elements, {})))[0]
        self._current = open_bound(bound, self._run, self._opened)
        self._opened += 1


def bucket_by_sequence_length(
    input: Any,
    element_length_func: Callable[..., Any],
    bucket_boundaries: Any,
    bucket_batch_sizes: Any,
    padded_shapes: Any,
    padding_values: Any,
    pad_to_bucket_boundary: bool,
    no_padding: bool,
    drop_remainder: bool,
) -> Dataset:
    """See `Dataset.bucket_by_sequence_length`."""
    from shardtape.ops.array import gather
    from shardtape.ops.cast import cast
    from shardtape.ops.compare import less_equal
    from shardtape.ops.math import subtract
    from shardtape.ops.reduce import reduce_sum

    if len(bucket_batch_sizes) != len(bucket_boundaries) + 1:
        raise ValueError(
            "`len(bucket_batch_sizes)` must equal `len(bucket_boundaries) + 1` but "
            f"`len(bucket_batch_sizes)={len(bucket_batch_sizes)}` and "
            f"`len(bucket_boundaries)={len(bucket_boundaries)}`."
        )
    boundaries = np.asarray(bucket_boundaries, np.int64)
    batch_sizes = np.asarray(bucket_batch_sizes, np.int64)
    padded = _as_lists(input, padded_shapes)

    length_of = as_int64(element_length_func)

    def bucket(*element: Any) -> Any:
        length = length_of(*element)
        return reduce_sum(cast(less_equal(boundaries, length), dt.int64))

    def batch_size(number: Any) -> Any:
        return gather(batch_sizes, number)

    def batches(number: Any, group: Any) -> Any:
        size = batch_size(number)
        if no_padding:
            return group.batch(size, drop_remainder=drop_remainder)
        shapes_now = padded
        if pad_to_bucket_boundary:
            # the last bucket has no boundary: its elements are too long for the one before
            limits = np.append(boundaries, boundaries[-1])
            longest = subtract(gather(limits, number), np.int64(1))
            shapes_now = [[longest if d is None else d for d in dims] for dims in padded]
        made = structure.pack(input.element_spec, shapes_now)
        batched = group.padded_batch(size, made, padding_values, drop_remainder)
        if pad_to_bucket_boundary:
            batched.too_long = (
                "When pad_to_bucket_boundary=True, elements must have length < "
                "max(bucket_boundaries)."
            )
        return batched

    return input.group_by_window(bucket, batches, window_size_func=batch_size)


def _as_lists(input: Any, padded_shapes: Any) -> list[list[Any]]:
    from shardtape.shapes import as_shape

    if padded_shapes is None:
        found = [s.shape for s in input._type.specs]
    else:
        found = structure.flatten_up_to(input.element_spec, padded_shapes, "padded_shapes")
    return [as_shape(s).as_list() for s in found]
