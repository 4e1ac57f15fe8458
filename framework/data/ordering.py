"""Datasets that give elements of others as they are: fewer, repeated, chained, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shardtape import errors, nest
from shardtape.context import state
from shardtape.data import structure
from shardtape.data.cursor import Cursor, LazyCursor, Leaves
from shardtape.data.dataset import INFINITE, UNKNOWN, Dataset, OneInput
from shardtape.data.rows import (
    ChainedStream,
    EveryStream,
    LimitedStream,
    Rows,
    Stream,
    ZippedRows,
)
from shardtape.data.run import Run, scalar
from shardtape.data.shuffling import ShuffleDataset
from shardtape.errors import InvalidArgumentError


# ---- repeat, take, skip, shard ------------------------------------------------------------------
class RepeatDataset(OneInput):
    """The input `count` times over; -1: for ever."""

    def __init__(self, input: Dataset, count: Any) -> None:
        super().__init__(input)
        self._count = -1 if count is None else scalar(count, "count")
        # At its end TensorFlow begins a pass that nobody reads, which takes an order from a
        # shuffle before it; but for a shuffle right before it, with which it is fused outside
        # of functions.
        fused = isinstance(input, (ShuffleDataset, RepeatDataset)) and state.graph is None
        self._begins_another = not fused

    def _parameters(self) -> Sequence[Any]:
        return (self._count,)

    def _cardinality(self, run: Run) -> int:
        count, size = run.number(self._count), self._input._cardinality(run)
        if count < 0:
            return 0 if size == 0 else INFINITE
        if count == 0:
            return 0
        return size if size < 0 else size * count

    def _passes(self, run: Run) -> Any:
        count = run.number(self._count)
        return itertools.repeat(None) if count < 0 else itertools.repeat(None, count)

    def _stream(self, run: Run) -> Stream | None:
        count = run.number(self._count)
        if count == 0:
            return None
        first = self._input._stream(run)
        if first is None:
            return None
        return ChainedStream(
            first.source, self._streams(first, run), count < 0, prompt=run.key is None
        )

    def _streams(self, first: Stream, run: Run) -> Iterator[Stream]:
        yield first
        for _ in itertools.islice(self._passes(run), 1, None):
            yield self._input._stream(run)  # type: ignore[misc]
        if self._begins_another:
            self._input._stream(run)

    def _make_cursor(self, run: Run) -> Cursor:
        # TensorFlow reads ahead, so that the next pass has taken its order when one was read
        return LazyCursor(
            self._openers(run), endless=run.number(self._count) < 0, prompt=run.key is None
        )

    def _openers(self, run: Run) -> Iterator[Callable[[], Cursor]]:
        passes = 0
        for _ in self._passes(run):
            passes += 1
            yield partial(self._input._cursor, run)
        if passes and self._begins_another:
            self._input._cursor(run).close()


class TakeDataset(OneInput):
    """At most the first `count` elements; -1: all."""

    def __init__(self, input: Dataset, count: Any) -> None:
        super().__init__(input)
        self._count = scalar(count, "count")

    def _parameters(self) -> Sequence[Any]:
        return (self._count,)

    def _cardinality(self, run: Run) -> int:
        count, size = run.number(self._count), self._input._cardinality(run)
        if count < 0:
            return size
        if size == INFINITE:
            return count
        return size if size < 0 else min(count, size)

    def _rows(self, run: Run) -> Rows | None:
        rows = self._input._rows(run)
        count = run.number(self._count)
        return rows if rows is None or count < 0 else rows.slice(0, count)

    def _stream(self, run: Run) -> Stream | None:
        if self._rows(run) is not None:
            return super()._stream(run)
        stream = self._input._stream(run)
        count = run.number(self._count)
        return stream if stream is None or count < 0 else LimitedStream(stream, count)

    def _make_cursor(self, run: Run) -> Cursor:
        count = run.number(self._count)
        cursor = self._input._cursor(run)
        return cursor if count < 0 else TakeCursor(cursor, count)


class TakeCursor(Cursor):
    """At most `left` elements; the input is not asked for one more."""

    def __init__(self, input: Cursor, left: int) -> None:
        super().__init__(input)
        self._input, self._left = input, left

    @property
    def copied_bytes(self) -> int | None:
        return self._input.copied_bytes

    def __next__(self) -> Leaves:
        if self._left <= 0:
            self._input.close()
            raise StopIteration
        found = next(self._input)
        self._left -= 1
        return found

    def skip(self, count: int) -> int:
        moved = self._input.skip(min(count, self._left))
        self._left -= moved
        return moved


class SkipDataset(OneInput):
    """The elements behind the first `count`; -1: none."""

    def __init__(self, input: Dataset, count: Any) -> None:
        super().__init__(input)
        self._count = scalar(count, "count")

    def _parameters(self) -> Sequence[Any]:
        return (self._count,)

    def _cardinality(self, run: Run) -> int:
        count, size = run.number(self._count), self._input._cardinality(run)
        if count < 0:
            return 0
        return size if size < 0 else max(0, size - count)

    def _rows(self, run: Run) -> Rows | None:
        rows, count = self._input._rows(run), run.number(self._count)
        if rows is None:
            return None
        return rows.slice(0, 0) if count < 0 else rows.slice(count, None)

    def _stream(self, run: Run) -> Stream | None:
        if self._rows(run) is not None:
            return super()._stream(run)
        stream, count = self._input._stream(run), run.number(self._count)
        if stream is None:
            return None
        if count < 0:
            return LimitedStream(stream, 0)
        stream.skip(count)
        return stream

    def _make_cursor(self, run: Run) -> Cursor:
        cursor, count = self._input._cursor(run), run.number(self._count)
        return TakeCursor(cursor, 0) if count < 0 else SkipCursor(cursor, count)


class SkipCursor(Cursor):
    """Leaves out the first elements when it is first asked."""

    def __init__(self, input: Cursor, count: int) -> None:
        super().__init__(input)
        self._input, self._count = input, count

    @property
    def copied_bytes(self) -> int | None:
        return self._input.copied_bytes

    def _start(self) -> None:
        if self._count:
            count, self._count = self._count, 0
            self._input.skip(count)

    def __next__(self) -> Leaves:
        self._start()
        return next(self._input)

    def skip(self, count: int) -> int:
        self._start()
        return self._input.skip(count)


class ShardDataset(OneInput):
    """Every `num_shards`-th element, beginning with number `index`."""

    def __init__(self, input: Dataset, num_shards: Any, index: Any) -> None:
        super().__init__(input)
        self._shards, self._index = scalar(num_shards, "num_shards"), scalar(index, "index")
        if type(self._shards) is int and type(self._index) is int:
            self._check(self._shards, self._index)

    @staticmethod
    def _check(shards: int, index: int) -> tuple[int, int]:
        if shards < 1:
            raise InvalidArgumentError(
                f"Number of shards must be greater than zero (currently num_shards = {shards})."
            )
        if not 0 <= index < shards:
            raise InvalidArgumentError(
                f"Index must be between 0 and {shards - 1} (currently index = {index})."
            )
        return shards, index

    def _parameters(self) -> Sequence[Any]:
        return (self._shards, self._index)

    def _numbers(self, run: Run) -> tuple[int, int]:
        return self._check(run.number(self._shards), run.number(self._index))

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        shards, index = self._numbers(run)
        return size if size < 0 else len(range(index, size, shards))

    def _rows(self, run: Run) -> Rows | None:
        rows = self._input._rows(run)
        if rows is None:
            return None
        shards, index = self._numbers(run)
        return rows.slice(index, None, shards)

    def _stream(self, run: Run) -> Stream | None:
        if self._rows(run) is not None:
            return super()._stream(run)
        stream = self._input._stream(run)
        if stream is None:
            return None
        shards, index = self._numbers(run)
        return EveryStream(stream, index, shards)

    def _make_cursor(self, run: Run) -> Cursor:
        return ShardCursor(self._input._cursor(run), *self._numbers(run))


class ShardCursor(Cursor):
    """Leaves out what belongs to other shards."""

    def __init__(self, input: Cursor, shards: int, index: int) -> None:
        super().__init__(input)
        self._input, self._shards, self._before = input, shards, index

    def __next__(self) -> Leaves:
        if self._before:
            before, self._before = self._before, 0
            if self._input.skip(before) < before:
                raise StopIteration
        found = next(self._input)
        self._before = self._shards - 1
        return found


# ---- several inputs -----------------------------------------------------------------------------
class ConcatenateDataset(Dataset):
    """One dataset behind another."""

    def __init__(self, first: Dataset, second: Dataset) -> None:
        try:
            structure.assert_same(first.element_spec, second.element_spec, "concatenate")
            spec = structure.map_structure(
                lambda a, b: a.most_specific_compatible_type(b),
                first.element_spec,
                second.element_spec,
            )
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Incompatible dataset elements:\n  {first.element_spec} vs.   "
                f"{second.element_spec} ({error})"
            ) from None
        super().__init__(spec)
        self._both = (first, second)

    def _inputs(self) -> Sequence[Dataset]:
        return self._both

    def _cardinality(self, run: Run) -> int:
        a, b = (d._cardinality(run) for d in self._both)
        if INFINITE in (a, b):
            return INFINITE
        return UNKNOWN if UNKNOWN in (a, b) else a + b

    def _make_cursor(self, run: Run) -> Cursor:
        openers = [partial(d._cursor, run) for d in self._both]
        return LazyCursor(iter(openers), prompt=run.key is None)


class ZipDataset(Dataset):
    """Elements of several datasets side by side, until the first ends.

    Args:
      datasets: a structure whose leaves are datasets.
    """

    def __init__(self, datasets: Any) -> None:
        flat = structure.flatten(datasets)
        for d in flat:
            if not isinstance(d, Dataset):
                if isinstance(d, list):
                    raise TypeError(
                        "Invalid `datasets`. `datasets` is expected to be a (nested) structure of "
                        "`tf.data.Dataset` objects. Python `list` is not supported and you should "
                        "use `tuple` instead."
                    )
                raise TypeError(
                    "Invalid `datasets`. `datasets` is expected to be a (nested) structure of "
                    f"`tf.data.Dataset` objects but encountered object of type {type(d)}."
                )
        super().__init__(_packed_specs(datasets))
        self._datasets = tuple(flat)

    def _inputs(self) -> Sequence[Dataset]:
        return self._datasets

    def _cardinality(self, run: Run) -> int:
        sizes = [d._cardinality(run) for d in self._datasets]
        finite = [s for s in sizes if s != INFINITE]
        if not finite:
            return INFINITE
        return UNKNOWN if UNKNOWN in finite else min(finite)

    def _rows(self, run: Run) -> Rows | None:
        parts = [d._rows(run) for d in self._datasets]
        if not parts or any(p is None for p in parts):
            return None
        return Rows(ZippedRows(parts))  # type: ignore[arg-type]

    def _make_cursor(self, run: Run) -> Cursor:
        return ZipCursor([d._cursor(run) for d in self._datasets])


def _packed_specs(datasets: Any) -> Any:
    if not structure.is_nested(datasets):
        return datasets.element_spec
    return nest._rebuild(datasets, [_packed_specs(c) for c in nest._children(datasets)])


class ZipCursor(Cursor):
    """An element of each input side by side."""

    def __init__(self, inputs: Sequence[Cursor]) -> None:
        super().__init__(*inputs)

    def __next__(self) -> Leaves:
        found: list[Any] = []
        failed: errors.OpError | None = None
        for cursor in self.inputs:
            try:
                found.extend(next(cursor))
            except errors.OpError as error:  # the others move on too, or pairs would shift
                failed = failed or error
        if failed is not None:
            raise failed
        return tuple(found)

    def skip(self, count: int) -> int:
        return min(cursor.skip(count) for cursor in self.inputs)
