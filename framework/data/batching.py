"""Batches of elements, and their rows as elements again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import UNKNOWN, Dataset, OneInput
from shardtape.data.leaves import cut, join, rows_of, stack, unstack
from shardtape.data.rows import BatchedRowsCursor
from shardtape.data.run import Run, scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import EagerTensor, SymbolicTensor


def checked_batch_size(batch_size: Any) -> Any:
    """The parameter. Raises InvalidArgumentError unless it is positive."""
    size = scalar(batch_size, "batch_size")
    if type(size) is int and size < 1:
        raise errors.InvalidArgumentError(f"Batch size must be greater than zero, got {size}.")
    return size


def flag(value: Any) -> bool:
    """A Python or eager bool. Raises TypeError for a symbolic one."""
    if isinstance(value, SymbolicTensor):
        raise TypeError("`drop_remainder` must be known when the dataset is made")
    if isinstance(value, EagerTensor) and value.dtype is dt.bool:
        return bool(value)
    if value is None:
        raise ValueError("`drop_remainder` must be a bool, got None")
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`drop_remainder` must be a bool, got {value!r}")
    return bool(value)


class BatchDataset(OneInput):
    """`batch_size` elements in one."""

    def __init__(self, input: Dataset, batch_size: Any, drop_remainder: Any) -> None:
        self._size, self._drop = checked_batch_size(batch_size), flag(drop_remainder)
        known = self._size if self._drop and type(self._size) is int else None
        super().__init__(
            input,
            structure.map_structure(
                lambda s: structure.batched_spec(s, known), input.element_spec
            ),
        )  # fmt: skip

    def _parameters(self) -> Sequence[Any]:
        return (self._size,)

    def _cardinality(self, run: Run) -> int:
        size, batch = self._input._cardinality(run), run.number(self._size)
        if size < 0:
            return size
        return size // batch if self._drop else -(-size // batch)

    def _make_cursor(self, run: Run) -> Cursor:
        size = run.number(self._size)
        stream = self._input._stream(run)
        if stream is not None:
            return BatchedRowsCursor(stream, size, self._drop)
        return BatchCursor(self._input._cursor(run), self._input._type.specs, size, self._drop)


class ParallelBatchDataset(BatchDataset):
    """The same: copying is not worth threads."""


class BatchCursor(Cursor):
    """Batches of elements that come one by one."""

    def __init__(self, input: Cursor, specs: Sequence[Any], size: int, drop_remainder: bool):
        super().__init__(input)
        self._next, self._specs, self._size, self._drop = (
            input.__next__, specs, size, drop_remainder,
        )  # fmt: skip

    def _gather(self) -> list[Leaves]:
        """The elements of the next batch. Raises StopIteration where there is none."""
        found: list[Leaves] = []
        failed: errors.OpError | None = None
        count = 0
        while count < self._size:
            try:
                found.append(self._next())
            except StopIteration:
                break
            except errors.OpError as error:  # the whole batch fails, and the next is whole
                failed = failed or error
            count += 1
        if failed is not None:
            raise failed
        if not found or (self._drop and len(found) < self._size):
            raise StopIteration
        return found

    def ended(self) -> bool:
        return self.inputs[0].ended()

    def __next__(self) -> Leaves:
        strings = self.inputs[0].strings(self._size)
        if strings is not None:
            if not strings or (self._drop and len(strings) < self._size):
                raise StopIteration
            made = np.empty(len(strings), object)
            made[:] = strings
            return (made,)
        columns = zip(*self._gather())
        return tuple([stack(s, c, i) for i, (s, c) in enumerate(zip(self._specs, columns))])

    def skip(self, count: int) -> int:
        moved = self.inputs[0].skip(count * self._size)
        whole, rest = divmod(moved, self._size)
        return whole + (rest > 0 and not self._drop)


class UnbatchDataset(OneInput):
    """The rows of each element as elements."""

    def __init__(self, input: Dataset) -> None:
        specs: Sequence[Any] = input._type.specs
        known = [
            s.shape[0]
            for s in specs
            if getattr(s, "shape", None) is not None and s.shape.rank and s.shape[0] is not None
        ]
        for size in known[1:]:
            if size != known[0]:
                raise ValueError(
                    "All components must have the same known rows to be unbatched, got "
                    f"{known[0]} and {size}"
                )
        self._known = known[0] if known else None
        super().__init__(
            input, structure.map_structure(structure.unbatched_spec, input.element_spec)
        )

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        if size < 0 or self._known is None:
            return size if size == -1 and self._known else UNKNOWN
        return size * self._known

    def _make_cursor(self, run: Run) -> Cursor:
        return UnbatchCursor(self._input._cursor(run), self._input._type.specs)


class UnbatchCursor(Cursor):
    """Takes batches apart."""

    def __init__(self, input: Cursor, specs: Sequence[Any]) -> None:
        super().__init__(input)
        self._input, self._specs = input, specs
        self._rows: Iterator[Leaves] = iter(())

    def __next__(self) -> Leaves:
        while True:
            found = next(self._rows, None)
            if found is not None:
                return found
            leaves = next(self._input)
            counts = {rows_of(s, x) for s, x in zip(self._specs, leaves)}
            if len(counts) > 1:
                raise errors.InvalidArgumentError(
                    f"Input element must have the same batch size in each component: {counts}"
                )
            self._rows = zip(*[unstack(s, x) for s, x in zip(self._specs, leaves)])


class RebatchDataset(OneInput):
    """Batches of another size, or of sizes that take turns."""

    def __init__(self, input: Dataset, batch_size: Any, drop_remainder: Any) -> None:
        self._sizes = self._checked(batch_size)
        self._drop = flag(drop_remainder)
        one = self._drop and not isinstance(self._sizes, SymbolicTensor) and len(self._sizes) == 1
        known = self._sizes[0] if one else None

        def spec(s: Any) -> Any:
            return structure.batched_spec(structure.unbatched_spec(s), known)

        super().__init__(input, structure.map_structure(spec, input.element_spec))

    @staticmethod
    def _checked(batch_size: Any) -> Any:
        tensor = convert_to_tensor(batch_size)
        if isinstance(tensor, SymbolicTensor):
            return tensor
        sizes = [int(n) for n in tensor.numpy().reshape(-1)]
        if not sizes or min(sizes) < 1:
            raise errors.InvalidArgumentError(f"batch sizes must be positive, got {sizes}")
        return sizes

    def _parameters(self) -> Sequence[Any]:
        return (self._sizes,) if isinstance(self._sizes, SymbolicTensor) else ()

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        return size if size == -1 else UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        sizes = self._sizes
        if isinstance(sizes, SymbolicTensor):
            sizes = [int(n) for n in run.value(sizes).reshape(-1)]
        return RebatchCursor(self._input._cursor(run), self._input._type.specs, sizes, self._drop)


class RebatchCursor(Cursor):
    """Cuts and joins batches; the rows are not looked at."""

    def __init__(
        self, input: Cursor, specs: Sequence[Any], sizes: list[int], drop_remainder: bool
    ) -> None:
        super().__init__(input)
        self._input, self._specs, self._drop = input, specs, drop_remainder
        self._sizes, self._turn = sizes, 0
        self._held: Leaves | None = None
        self._at = self._count = 0

    def __next__(self) -> Leaves:
        wanted = self._sizes[self._turn]
        parts: list[Leaves] = []
        missing = wanted
        while missing:
            if self._held is None or self._at == self._count:
                self._held = next(self._input, None)
                if self._held is None:
                    break
                self._at, self._count = 0, rows_of(self._specs[0], self._held[0])
                continue
            stop = min(self._at + missing, self._count)
            parts.append(
                tuple([cut(s, x, self._at, stop) for s, x in zip(self._specs, self._held)])
            )
            missing -= stop - self._at
            self._at = stop
        if not parts or (missing and self._drop):
            raise StopIteration
        self._turn = (self._turn + 1) % len(self._sizes)
        return tuple([join(s, c) for s, c in zip(self._specs, zip(*parts))])
