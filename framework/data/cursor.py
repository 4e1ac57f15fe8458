"""Cursors: places in datasets that are iterated over. Each dataset class has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Leaves = tuple[Any, ...]


class Cursor:
    """Gives the elements of a dataset one by one, as flat tuples of leaves.

    `next()` raises StopIteration at the end. An error that an element causes is raised once; the
    next call goes on behind that element.
    """

    def __init__(self, *inputs: Cursor) -> None:
        self.inputs: tuple[Cursor, ...] = inputs

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Leaves:
        raise NotImplementedError(f"{type(self).__name__} gives no elements")

    def skip(self, count: int) -> int:
        """Moves on by up to `count` elements; returns by how many."""
        for done in range(count):
            try:
                next(self)
            except StopIteration:
                return done
        return count

    def ended(self) -> bool:
        """Whether it is known, without a look, that no element follows."""
        return False

    def strings(self, count: int) -> list[bytes] | None:
        """The next up to `count` elements, where they are scalar strings at hand; else None."""
        return None

    @property
    def copied_bytes(self) -> int | None:
        """Cost of an element in bytes that are copied, where it is rows in memory; else None."""
        return None

    def open_cursors(self) -> Iterable[Cursor]:
        """The cursors that it reads at present."""
        return self.inputs

    def close(self) -> None:
        """Ends threads and files; may be called twice, by whoever may call `next`."""
        for cursor in self.open_cursors():
            cursor.close()

    def cancel(self) -> None:
        """Ends what waits for threads in it, with CancelledError; may be called by any thread."""
        for cursor in self.open_cursors():
            cursor.cancel()


class SequenceCursor(Cursor):
    """The elements of any Python iterator."""

    def __init__(self, elements: Iterator[Leaves], close: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._elements, self._close = elements, close

    def __next__(self) -> Leaves:
        return next(self._elements)

    def close(self) -> None:
        if self._close is not None:
            self._close()


class LazyCursor(Cursor):
    """A cursor over several datasets in turn, each opened when its turn comes.

    Args:
      openers: functions that open a cursor.
      endless: there is no end of them; then one that gives nothing is the end.
      prompt: the first is opened at once, and each other as soon as the one before it has ended.
    """

    def __init__(
        self, openers: Iterator[Callable[[], Cursor]], endless: bool = False, prompt: bool = False
    ) -> None:
        super().__init__()
        self._openers, self._endless, self._prompt = openers, endless, prompt
        self._current: Cursor | None = None
        self._gave = False
        if prompt:
            self._open_next()

    def _open_next(self) -> None:
        opener = next(self._openers, None)
        if opener is not None:
            self._current, self._gave = opener(), False

    def _advance(self) -> Cursor:
        """The cursor in use. Raises StopIteration behind the last."""
        if self._current is None:
            self._current = next(self._openers)()
            self._gave = False
        return self._current

    def _leave(self) -> None:
        if self._current is not None:
            self._current.close()
            self._current = None
        if self._endless and not self._gave:
            self._openers = iter(())

    def __next__(self) -> Leaves:
        while True:
            current = self._advance()
            try:
                found = next(current)
            except StopIteration:
                self._leave()
                continue
            self._gave = True
            if self._prompt and current.ended():
                self._leave()
                self._open_next()
            return found

    def skip(self, count: int) -> int:
        done = 0
        while done < count:
            try:
                current = self._advance()
            except StopIteration:
                return done
            moved = current.skip(count - done)
            done += moved
            self._gave = self._gave or moved > 0
            if done < count:
                self._leave()
        return done

    @property
    def copied_bytes(self) -> int | None:
        try:
            return self._advance().copied_bytes
        except StopIteration:
            return None

    def open_cursors(self) -> Iterable[Cursor]:
        current = self._current
        return self.inputs if current is None else (*self.inputs, current)
