"""Datasets that call a function for each element: map, filter, take_while, flat_map, unique."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import INFINITE, UNKNOWN, Dataset, OneInput
from shardtape.data.parallel import AUTOTUNE, ParallelCursor, ordered
from shardtape.data.rows import MappedRows, Rows, Stream
from shardtape.data.rowwise import is_rowwise
from shardtape.data.run import Run, scalar
from shardtape.data.specs import DatasetSpec
from shardtape.data.tracing import TracedFunction, check_scalar, true

_log = logging.getLogger("shardtape.data")


class _WithFunction(OneInput):
    """Base of datasets with one input and one function of its elements."""

    def __init__(
        self, input: Dataset, function: Callable[..., Any], name: str, spec: Any = None
    ) -> None:
        self._function = TracedFunction(function, input.element_spec, name)
        super().__init__(input, self._function.output.spec if spec is None else spec)

    def _parameters(self) -> Sequence[Any]:
        return self._function.parameters()


class MapDataset(_WithFunction):
    """A function of each element."""

    def __init__(self, input: Dataset, function: Callable[..., Any]) -> None:
        super().__init__(input, function, "map_func")

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    # functions that do to each row of a batch what they do to the row need no loop over rows
    def _rows(self, run: Run) -> Rows | None:
        if not is_rowwise(self._function):
            return None
        rows = self._input._rows(run)
        if rows is None:
            return None
        return Rows(MappedRows(rows.source, self._function.bind(run)), rows.numbers)

    def _stream(self, run: Run) -> Stream | None:
        if self._rows(run) is not None:
            return super()._stream(run)
        if not is_rowwise(self._function):
            return None
        stream = self._input._stream(run)
        if stream is not None:
            stream.source = MappedRows(stream.source, self._function.bind(run))
        return stream

    def _make_cursor(self, run: Run) -> Cursor:
        draws = run.key is not None and not self._function.pure and self._function.only_draws
        kind = DrawingMapCursor if draws else MapCursor
        return kind(self._input._cursor(run), self._function, run)


class MapCursor(Cursor):
    """A function of each element, called by whoever asks."""

    def __init__(self, input: Cursor, function: TracedFunction, run: Run) -> None:
        super().__init__(input)
        self._next, self._call = input.__next__, function.bind(run)
        self._pure = function.pure

    def __next__(self) -> Leaves:
        return self._call(self._next())

    def skip(self, count: int) -> int:
        return self.inputs[0].skip(count) if self._pure else super().skip(count)

    def ended(self) -> bool:
        return self.inputs[0].ended()


class DrawingMapCursor(Cursor):
    """The same in a job where calls do nothing but draw: those left out need not be made."""

    def __init__(self, input: Cursor, function: TracedFunction, run: Run) -> None:
        super().__init__(input)
        self._next, self._call = input.__next__, function.bind_numbered(run).call
        self._number = 0

    def __next__(self) -> Leaves:
        leaves = self._next()
        self._number += 1
        return self._call(leaves, self._number - 1)

    def skip(self, count: int) -> int:
        moved = self.inputs[0].skip(count)
        self._number += moved
        return moved


class ParallelMapDataset(MapDataset):
    """A function of each element, called by several threads."""

    def __init__(
        self, input: Dataset, function: Callable[..., Any], calls: Any, deterministic: bool | None
    ) -> None:
        super().__init__(input, function)
        self._calls = scalar(calls, "num_parallel_calls")
        if type(self._calls) is int and self._calls < 1 and self._calls != AUTOTUNE:
            raise errors.InvalidArgumentError(
                f"num_parallel_calls must be greater than zero, got {self._calls}"
            )
        self._deterministic = deterministic

    def _parameters(self) -> Sequence[Any]:
        return (*super()._parameters(), self._calls)

    def _make_cursor(self, run: Run) -> Cursor:
        return ParallelCursor(
            self._input._cursor(run),
            self._function.bind_numbered(run),
            run.number(self._calls),
            ordered(self._deterministic, run),
            self._function.pure or (run.key is not None and self._function.only_draws),
        )


class FilterDataset(_WithFunction):
    """The elements for which a function gives true."""

    def __init__(self, input: Dataset, predicate: Callable[..., Any]) -> None:
        super().__init__(input, predicate, "predicate", input.element_spec)
        check_scalar(self._function, dt.bool, "predicate")

    def _cardinality(self, run: Run) -> int:
        return UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        return FilterCursor(self._input._cursor(run), self._function.bind(run))


class FilterCursor(Cursor):
    """Leaves out elements."""

    def __init__(self, input: Cursor, call: Callable[[Leaves], Leaves]) -> None:
        super().__init__(input)
        self._next, self._call = input.__next__, call

    def __next__(self) -> Leaves:
        while True:
            leaves = self._next()
            if true(self._call(leaves)):
                return leaves


class TakeWhileDataset(FilterDataset):
    """The elements before the first for which a function gives false."""

    def _make_cursor(self, run: Run) -> Cursor:
        return TakeWhileCursor(self._input._cursor(run), self._function.bind(run))


class TakeWhileCursor(FilterCursor):
    """Ends at the first element that does not fit."""

    _ended = False

    def __next__(self) -> Leaves:
        if self._ended:
            raise StopIteration
        leaves = self._next()
        if true(self._call(leaves)):
            return leaves
        self._ended = True
        self.close()
        raise StopIteration


class FlatMapDataset(_WithFunction):
    """The elements of the datasets that a function makes, in order."""

    def __init__(self, input: Dataset, function: Callable[..., Any]) -> None:
        super().__init__(input, function, "map_func")
        spec = self._function.output.spec
        if not isinstance(spec, DatasetSpec):
            raise TypeError(
                "Invalid `map_func`. `map_func` must return a `Dataset` object. Got "
                f"{getattr(spec, 'value_type', type(spec))}."
            )
        Dataset.__init__(self, spec.element_spec)

    def _cardinality(self, run: Run) -> int:
        return UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        return FlatMapCursor(self._input._cursor(run), self._function.bind(run), run)


class FlatMapCursor(Cursor):
    """One dataset of the function after the other."""

    def __init__(self, input: Cursor, call: Callable[[Leaves], Leaves], run: Run) -> None:
        super().__init__(input)
        self._input, self._call, self._run = input, call, run
        self._current: Cursor | None = None
        self._opened = 0

    def _advance(self) -> Cursor:
        if self._current is None:
            bound = self._call(next(self._input))[0]
            self._current = open_bound(bound, self._run, self._opened)
            self._opened += 1
        return self._current

    def _leave(self) -> None:
        if self._current is not None:
            self._current.close()
            self._current = None

    def __next__(self) -> Leaves:
        while True:
            current = self._advance()
            try:
                return next(current)
            except StopIteration:
                self._leave()

    def skip(self, count: int) -> int:
        done = 0
        while done < count:
            try:
                current = self._advance()
            except StopIteration:
                return done
            done += current.skip(count - done)
            if done < count:
                self._leave()
        return done

    def open_cursors(self) -> Iterable[Cursor]:
        current = self._current
        return self.inputs if current is None else (*self.inputs, current)


def open_bound(bound: Any, run: Run, number: int) -> Cursor:
    """A cursor over a dataset that is an element or the result of call `number` of a function."""
    return bound.dataset._cursor(run.inside(bound, number))


class UniqueDataset(OneInput):
    """Each element once."""

    def __init__(self, input: Dataset) -> None:
        specs = input._type.specs
        allowed = (dt.int32, dt.int64, dt.string)
        if len(specs) != 1 or getattr(specs[0], "dtype", None) not in allowed:
            raise TypeError(
                "`tf.data.Dataset.unique` only supports inputs with a single component of type "
                f"tf.int32, tf.int64 or tf.string, got {input.element_spec}"
            )
        super().__init__(input)

    def _cardinality(self, run: Run) -> int:
        return UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        return UniqueCursor(self._input._cursor(run))


class UniqueCursor(Cursor):
    """Leaves out what was seen before."""

    def __init__(self, input: Cursor) -> None:
        super().__init__(input)
        self._next = input.__next__
        self._seen: set[Any] = set()

    def __next__(self) -> Leaves:
        while True:
            leaves = self._next()
            value = leaves[0]
            values = tuple(value.ravel().tolist()) if value.ndim else value[()]
            if values not in self._seen:
                self._seen.add(values)
                return leaves


class IgnoreErrorsDataset(OneInput):
    """The elements that can be computed."""

    def __init__(self, input: Dataset, log_warning: bool) -> None:
        super().__init__(input)
        self._log_warning = log_warning

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        return size if size == INFINITE else UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        return IgnoreErrorsCursor(self._input._cursor(run), self._log_warning)


class IgnoreErrorsCursor(Cursor):
    """Leaves out elements that raise."""

    def __init__(self, input: Cursor, log_warning: bool) -> None:
        super().__init__(input)
        self._next, self._log_warning = input.__next__, log_warning

    def __next__(self) -> Leaves:
        while True:
            try:
                return self._next()
            except errors.OpError as error:
                if self._log_warning:
                    _log.warning("ignored an element that cannot be computed: %s", error)
