"""`interleave`: elements of several datasets of a function, which take turns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shardtape import errors
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset
from shardtape.data.mapping import FlatMapDataset, open_bound
from shardtape.data.parallel import AUTOTUNE, turns
from shardtape.data.prefetching import PrefetchCursor
from shardtape.data.run import Run, scalar

_OPEN_PER_TURN = 3  # datasets
# Elements that a thread reads ahead for a dataset that will have its turn.
_AHEAD_TURNS = 2


class InterleaveDataset(FlatMapDataset):
    """`block_length` elements of each of `cycle_length` datasets in turn."""

    def __init__(
        self,
        input: Dataset,
        function: Callable[..., Any],
        cycle_length: Any = None,
        block_length: Any = None,
    ) -> None:
        super().__init__(input, function)
        self._cycle = AUTOTUNE if cycle_length is None else scalar(cycle_length, "cycle_length")
        self._block = 1 if block_length is None else scalar(block_length, "block_length")
        for name, value in (("cycle_length", self._cycle), ("block_length", self._block)):
            if type(value) is int and value < 1 and value != AUTOTUNE:
                raise errors.InvalidArgumentError(f"`{name}` must be > 0, got {value}")

    def _parameters(self) -> Sequence[Any]:
        return (*super()._parameters(), self._cycle, self._block)

    def _sizes(self, run: Run) -> tuple[int, int]:
        cycle, block = run.number(self._cycle), run.number(self._block)
        return (self._default_cycle(run) if cycle == AUTOTUNE else cycle), max(block, 1)

    def _default_cycle(self, run: Run) -> int:
        return turns(run)

    def _opener(self, run: Run) -> Callable[[Any], Cursor]:
        numbers = itertools.count()
        return lambda bound: open_bound(bound, run, next(numbers))

    def _make_cursor(self, run: Run) -> Cursor:
        cycle, block = self._sizes(run)
        return InterleaveCursor(
            self._input._cursor(run),
            self._function.bind(run),
            self._opener(run),
            cycle,
            block,
        )


class ParallelInterleaveDataset(InterleaveDataset):
    """The same, with threads that read ahead; the order stays the same."""

    def __init__(
        self,
        input: Dataset,
        function: Callable[..., Any],
        cycle_length: Any,
        block_length: Any,
        calls: Any,
        deterministic: bool | None,
    ) -> None:
        super().__init__(input, function, cycle_length, block_length)
        self._calls = scalar(calls, "num_parallel_calls")
        if type(self._calls) is int and self._calls < 1 and self._calls != AUTOTUNE:
            raise errors.InvalidArgumentError(
                f"`num_parallel_calls` must be > 0, got {self._calls}"
            )

    def _parameters(self) -> Sequence[Any]:
        return (*super()._parameters(), self._calls)

    def _threads(self, run: Run) -> int:
        calls = run.number(self._calls)
        return turns(run) if calls == AUTOTUNE else calls

    def _default_cycle(self, run: Run) -> int:
        if run.number(self._calls) == AUTOTUNE and run.key is None:
            # as in TensorFlow: each of those that take turns has two more that are opened early
            return -(-turns(run) // _OPEN_PER_TURN)
        return self._threads(run)

    def _make_cursor(self, run: Run) -> Cursor:
        cycle, block = self._sizes(run)
        open_one = self._opener(run)
        return InterleaveCursor(
            self._input._cursor(run),
            self._function.bind(run),
            lambda bound: self._ahead(open_one(bound), block),
            cycle,
            block,
        )

    def _ahead(self, cursor: Cursor, block: int) -> Cursor:
        if cursor.copied_bytes is not None:
            return cursor  # rows of arrays in memory: nothing to wait for
        ahead = PrefetchCursor(cursor, _AHEAD_TURNS * block)
        ahead.start()
        return ahead


class InterleaveCursor(Cursor):
    """Takes turns. The place of a dataset that ends goes to the next one of the input."""

    def __init__(
        self,
        input: Cursor,
        call: Callable[[Leaves], Leaves],
        open_one: Callable[[Any], Cursor],
        cycle: int,
        block: int,
    ) -> None:
        super().__init__(input)
        self._input, self._call, self._open = input, call, open_one
        self._block = block
        self._turns: list[Cursor | None] = [None] * cycle
        self._at = self._given = self._active = 0
        self._ended = False

    def __next__(self) -> Leaves:
        while self._active or not self._ended:
            current = self._turns[self._at]
            if current is None:
                self._fill()
                continue
            if self._given == self._block:
                self._pass_on()
                continue
            try:
                found = next(current)
            except StopIteration:
                current.close()
                self._turns[self._at] = None
                self._active -= 1
                self._pass_on()
                continue
            self._given += 1
            return found
        raise StopIteration

    def _fill(self) -> None:
        """Opens the next dataset in an empty place, or passes the turn on."""
        if not self._ended:
            try:
                bound = self._call(next(self._input))[0]
                self._turns[self._at] = self._open(bound)
                self._active += 1
                self._given = 0
                return
            except StopIteration:
                self._ended = True
                self._input.close()
        self._pass_on()

    def _pass_on(self) -> None:
        self._at = (self._at + 1) % len(self._turns)
        self._given = 0

    def open_cursors(self) -> Iterable[Cursor]:
        return [*[c for c in self._turns if c is not None], *self.inputs]
