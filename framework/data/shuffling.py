"""`shuffle`: elements drawn from a buffer, in TensorFlow's own order for the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from shardtape.context import state
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.rows import Stream
from shardtape.data.run import Run, scalar
from shardtape.data.seeds import Draws, LateDraws, SeedGenerator, seeds_of
from shardtape.errors import InvalidArgumentError


class ShuffleDataset(OneInput):
    """Elements drawn from a buffer; TensorFlow's own order for the same seeds.

    Each pass draws from a stream of two seeds of its own, which a generator gives that starts at
    the dataset's seeds (`reshuffle_each_iteration`), or from the dataset's seeds themselves.
    """

    def __init__(self, input: Dataset, buffer_size: Any, seed: Any, reshuffle: bool | None) -> None:
        super().__init__(input)
        self._size = scalar(buffer_size, "buffer_size")
        if type(self._size) is int and self._size < 1:
            raise InvalidArgumentError(
                f"buffer_size must be greater than zero or UNKNOWN_CARDINALITY, got {self._size}"
            )
        self.seeds = seeds_of(seed)
        self.fixed = reshuffle is False
        # a template gets a generator for each of its runs
        self.is_template = state.graph is not None
        self.own_generator = None
        if not self.is_template:
            self.own_generator = SeedGenerator(self.seeds, self.fixed)

    def _parameters(self) -> Sequence[Any]:
        return (self._size,)

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _draws(self, run: Run) -> Draws:
        if run.late:
            return LateDraws(lambda: run.next_seeds(self))
        return Draws(*run.next_seeds(self))

    # As in TensorFlow a shuffle takes its seeds at once, and reads nothing before it must: one
    # before it takes its own with the first element.
    def _stream(self, run: Run) -> Stream | None:
        stream = self._input._stream(run.later())
        if stream is None:
            return None
        return ShuffledStream(stream, run.number(self._size), self._draws(run))

    def _make_cursor(self, run: Run) -> Cursor:
        draws = self._draws(run)
        if run.key is None:
            opener: Callable[[], Cursor] = partial(self._input._cursor, run)
        else:  # places count what was opened
            cursor = self._input._cursor(run)
            opener = lambda: cursor
        return ShuffleCursor(opener, run.number(self._size), draws)


class ShuffledStream(Stream):
    """Row numbers drawn from a buffer of `size` of them."""

    def __init__(self, stream: Stream, size: int, draws: Draws) -> None:
        self.source, self._stream, self._size, self._draws = stream.source, stream, size, draws
        self._buffer: list[int] | None = None
        self._start = self._held = 0
        self._ended = False

    def block(self, count: int) -> np.ndarray:
        if self._buffer is None:
            self._buffer = self._stream.block(self._size).tolist()
            self._held = len(self._buffer)
            self._ended = self._held < self._size
        out: list[int] = []
        if not self._ended:
            new = self._stream.block(count).tolist()
            self._replace(new, out)
            self._ended = len(new) < count
        if self._ended and len(out) < count:
            self._drain(min(count - len(out), self._held), out)
        return np.array(out, np.int64)

    # The buffer is a ring: what waits begins at place `start`. A drawn place is filled by what
    # is at the beginning, and a new element takes the place behind the end.
    def _replace(self, new: list[int], out: list[int]) -> None:
        count, size, buffer = len(new), self._size, self._buffer
        front = self._start + np.arange(count)
        drawn = front + self._draws.take(count).astype(np.int64) % size
        for i, first, item in zip((drawn % size).tolist(), (front % size).tolist(), new):
            out.append(buffer[i])  # type: ignore[index]
            buffer[i] = buffer[first]  # type: ignore[index]
            buffer[first] = item  # type: ignore[index]
        self._start += count

    def _drain(self, count: int, out: list[int]) -> None:
        steps = np.arange(count)
        front = self._start + steps
        drawn = front + self._draws.take(count).astype(np.int64) % (self._held - steps)
        size, buffer = self._size, self._buffer
        for i, first in zip((drawn % size).tolist(), (front % size).tolist()):
            out.append(buffer[i])  # type: ignore[index]
            buffer[i] = buffer[first]  # type: ignore[index]
        self._start += count
        self._held -= count

    def ended(self) -> bool:
        return self._buffer is not None and self._ended and not self._held


class ShuffleCursor(Cursor):
    """Elements drawn from a buffer of `size` of them (UNKNOWN: of all)."""

    def __init__(self, opener: Callable[[], Cursor], size: int, draws: Draws) -> None:
        super().__init__()
        self._opener: Callable[[], Cursor] | None = opener
        self._draws = draws
        self._size = size if size > 0 else None
        self._buffer: list[Any] = []
        self._start = self._held = 0
        self._ended = False
        self._words: list[int] = []

    def ended(self) -> bool:
        return self._ended and not self._held

    def __next__(self) -> Leaves:
        if self._opener is not None:
            self._input, self._opener = self._opener(), None
            self.inputs = (self._input,)
        while not self._ended and (self._size is None or self._held < self._size):
            try:
                item = next(self._input)
            except StopIteration:
                self._ended = True
                self._input.close()
                break
            if self._size is None or len(self._buffer) < self._size:
                self._buffer.append(item)
            else:
                self._buffer[(self._start + self._held) % self._size] = item
            self._held += 1
        if not self._held:
            raise StopIteration
        if not self._words:
            self._words = self._draws.take(256).tolist()
            self._words.reverse()
        buffer, size = self._buffer, self._size or len(self._buffer)
        first = self._start % size
        i = (self._start + self._words.pop() % self._held) % size
        found = buffer[i]
        buffer[i] = buffer[first]
        buffer[first] = None
        self._start += 1
        self._held -= 1
        return found
