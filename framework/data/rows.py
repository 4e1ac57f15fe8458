"""Datasets whose elements are rows of arrays, so that a batch is one indexing of each array.

`Rows` are some rows of a `RowSource`, in order and known without running anything: slices of
tensors, ranges, and what `take`, `skip`, `shard`, `zip` and simple `map` functions make of them.
A `Stream` gives numbers of rows in any order: `shuffle` and `repeat` of rows are streams. `batch`
of a stream takes a block of numbers and indexes once; nothing of that is done row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.structure import string_scalar

# To compute something from a byte takes about as long as to copy so many.
_COMPUTED_AS_COPIED = 16
# Rows that are looked up in advance where they are asked for one by one: first few, that no order
# is taken from a shuffle long before its time, then up to so many.
_AHEAD = 64


class RowSource:
    """Arrays, or what behaves like them, of which rows are taken."""

    count: int
    # what a row costs, in bytes that are copied; None: it may be on a disk
    row_bytes: int | None

    def take(self, index: Any) -> Leaves:
        """Rows by a slice or an integer array: one batch per leaf."""
        raise NotImplementedError

    def row(self, number: int) -> Leaves:
        """One row: one value per leaf."""
        raise NotImplementedError


class ArrayRows(RowSource):
    """Rows of arrays of equal length; the arrays are never changed."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = tuple(arrays)
        self.count = len(self.arrays[0])
        mapped = any(_is_mapped(a) for a in self.arrays)
        self.row_bytes = None if mapped else sum(a.nbytes // max(len(a), 1) for a in self.arrays)
        self._strings = tuple([a.dtype == object and a.ndim == 1 for a in self.arrays])
        self._any_strings = any(self._strings)

    def take(self, index: Any) -> Leaves:
        if type(index) is slice:
            return tuple([a[index] for a in self.arrays])
        return tuple([a.take(index, 0) for a in self.arrays])

    def row(self, number: int) -> Leaves:
        if not self._any_strings:
            return tuple([a[number] for a in self.arrays])
        return tuple(
            [string_scalar(a[number]) if s else a[number]
             for a, s in zip(self.arrays, self._strings)]
        )  # fmt: skip


def _is_mapped(array: Any) -> bool:
    """Whether an array lies in a file."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


class RangeRows(RowSource):
    """Row i is start + step * i, of one integer or floating type."""

    def __init__(self, count: int, start: int, step: int, dtype: np.dtype) -> None:
        self.count, self._start, self._step, self._dtype = count, start, step, dtype
        self.row_bytes = dtype.itemsize

    def take(self, index: Any) -> Leaves:
        if type(index) is slice:
            index = np.arange(*index.indices(self.count))
        return ((self._start + self._step * index.astype(np.int64)).astype(self._dtype),)

    def row(self, number: int) -> Leaves:
        return (self._dtype.type(self._start + self._step * number),)


class ZippedRows(RowSource):
    """The leaves of several sources side by side; each with its own first row and step."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.count = min(len(p.numbers) for p in parts)
        costs = [p.source.row_bytes for p in parts]
        self.row_bytes = None if None in costs else sum(costs)  # type: ignore[arg-type]
        self._parts = tuple(parts)

    def take(self, index: Any) -> Leaves:
        return tuple([leaf for p in self._parts for leaf in p.take(index)])

    def row(self, number: int) -> Leaves:
        return tuple([x for p in self._parts for x in p.source.row(p.numbers[number])])


class MappedRows(RowSource):
    """What a function makes of rows of a source.

    Args:
      function: takes the leaves of a row, or of a batch of rows, and does the same to each row.
      order: positions of its results among the leaves.
    """

    def __init__(self, source: RowSource, function: Callable[[Leaves], Leaves]) -> None:
        self.count = source.count
        cost = source.row_bytes
        self.row_bytes = None if cost is None else _COMPUTED_AS_COPIED * cost
        self._source, self._function = source, function

    def take(self, index: Any) -> Leaves:
        return self._function(self._source.take(index))

    def row(self, number: int) -> Leaves:
        return self._function(self._source.row(number))


class Rows:
    """Rows `numbers` (a range) of a source."""

    __slots__ = ("source", "numbers")

    def __init__(self, source: RowSource, numbers: range | None = None) -> None:
        self.source = source
        self.numbers = range(source.count) if numbers is None else numbers

    def slice(self, start: int | None, stop: int | None, step: int = 1) -> Rows:
        """Some of these rows."""
        return Rows(self.source, self.numbers[start:stop:step])

    def take(self, index: Any) -> Leaves:
        """A batch of rows by their places among these rows: a slice or an array."""
        numbers = self.numbers
        if type(index) is slice:
            part = numbers[index]
            if part.step == 1:
                return self.source.take(slice(part.start, part.stop))
            return self.source.take(np.arange(part.start, part.stop, part.step))
        if numbers.start or numbers.step != 1:
            index = numbers.start + numbers.step * index
        return self.source.take(index)


# ---- streams of row numbers ---------------------------------------------------------------------
class Stream:
    """Gives numbers of rows of `source`, block by block.

    Attributes:
      contiguous: blocks are slices.
    """

    source: RowSource
    contiguous = False

    def block(self, count: int) -> Any:
        """The next up to `count` numbers, int64; fewer at the end only, empty behind it."""
        raise NotImplementedError

    def skip(self, count: int) -> int:
        """Moves on by up to `count` numbers; returns by how many."""
        return len(self.block(count))

    def ended(self) -> bool:
        """Whether it is known, without a look, that no number follows."""
        return False


class OrderedStream(Stream):
    """The numbers of `Rows`, in order."""

    def __init__(self, rows: Rows) -> None:
        self.source, self._numbers, self._at = rows.source, rows.numbers, 0
        self.contiguous = rows.numbers.step == 1

    def block(self, count: int) -> np.ndarray:
        part = self._next(count)
        return np.arange(part.start, part.stop, part.step)

    def slice(self, count: int) -> slice:
        """The next numbers of a contiguous stream."""
        part = self._next(count)
        return slice(part.start, part.stop)

    def _next(self, count: int) -> range:
        part = self._numbers[self._at : self._at + count]
        self._at += len(part)
        return part

    def skip(self, count: int) -> int:
        return len(self._next(count))

    def ended(self) -> bool:
        return self._at >= len(self._numbers)


class LimitedStream(Stream):
    """At most `limit` numbers of a stream."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self.source, self._stream, self._left = stream.source, stream, limit

    def block(self, count: int) -> np.ndarray:
        found = self._stream.block(min(count, self._left))
        self._left -= len(found)
        return found

    def skip(self, count: int) -> int:
        moved = self._stream.skip(min(count, self._left))
        self._left -= moved
        return moved

    def ended(self) -> bool:
        return self._left <= 0 or self._stream.ended()


class EveryStream(Stream):
    """Every `step`-th number of a stream, beginning with number `first`."""

    def __init__(self, stream: Stream, first: int, step: int) -> None:
        self.source, self._stream = stream.source, stream
        self._first, self._step = first, step

    def block(self, count: int) -> np.ndarray:
        if count <= 0:
            return np.empty(0, np.int64)
        return self._stream.block(count * self._step)[self._first :: self._step]

    def ended(self) -> bool:
        return self._stream.ended()


class ChainedStream(Stream):
    """Streams of one source, one after the other.

    Args:
      streams: they begin when their turn comes; without an end, an empty one is the end.
      prompt: the next begins as soon as the last number of one was given.
    """

    def __init__(
        self, source: RowSource, streams: Iterator[Stream], endless: bool, prompt: bool = False
    ) -> None:
        self.source, self._streams, self._endless = source, streams, endless
        self._prompt = prompt
        self._current: Stream | None = None
        self._gave = False

    def _moved(self, count: int, move: Callable[[Stream, int], Any], size: Any) -> list[Any]:
        parts = []
        while count > 0:
            if self._current is None:
                self._current = next(self._streams, None)
                self._gave = False
                if self._current is None:
                    break
            part = move(self._current, count)
            moved = size(part)
            if moved:
                parts.append(part)
                self._gave = True
            if moved < count:
                self._current = None
                if self._endless and not self._gave:
                    self._streams = iter(())
            count -= moved
        if self._prompt and self._current is not None and self._gave and self._current.ended():
            self._current = next(self._streams, None)
            self._gave = False
        return parts

    def block(self, count: int) -> np.ndarray:
        parts = self._moved(count, lambda s, n: s.block(n), len)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def skip(self, count: int) -> int:
        return sum(self._moved(count, lambda s, n: s.skip(n), int))


class StreamCursor(Cursor):
    """A stream's rows one by one."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._row = stream.source.row
        self._ahead: list[int] = []
        self._count = 1

    @property
    def copied_bytes(self) -> int | None:
        return self._stream.source.row_bytes

    def __next__(self) -> Leaves:
        if not self._ahead:
            self._ahead = self._stream.block(self._count).tolist()
            self._count = min(2 * self._count, _AHEAD)
            if not self._ahead:
                raise StopIteration
            self._ahead.reverse()
        return self._row(self._ahead.pop())

    def skip(self, count: int) -> int:
        held = min(count, len(self._ahead))
        if held:
            del self._ahead[-held:]
        return held + self._stream.skip(count - held)

    def ended(self) -> bool:
        return not self._ahead and self._stream.ended()


class BatchedRowsCursor(Cursor):
    """Batches of a stream's rows."""

    def __init__(self, stream: Stream, size: int, drop_remainder: bool) -> None:
        super().__init__()
        self._stream, self._size, self._drop = stream, size, drop_remainder
        self._take = stream.source.take
        self._contiguous = stream.contiguous
        cost = stream.source.row_bytes
        self._bytes = None if cost is None else cost * size

    @property
    def copied_bytes(self) -> int | None:
        return self._bytes

    def __next__(self) -> Leaves:
        if self._contiguous:
            index: Any = self._stream.slice(self._size)  # type: ignore[attr-defined]
            found = index.stop - index.start
        else:
            index = self._stream.block(self._size)
            found = len(index)
        if found == 0 or (self._drop and found < self._size):
            raise StopIteration
        return self._take(index)

    def skip(self, count: int) -> int:
        moved = self._stream.skip(count * self._size)
        whole, rest = divmod(moved, self._size)
        return whole + (rest > 0 and not self._drop)

    def ended(self) -> bool:
        return self._stream.ended()
