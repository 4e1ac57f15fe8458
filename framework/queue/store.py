"""What queues keep: elements in an order, and who waits for them or for room.

A store knows arrays and threads, no tensors. Every wait has a deadline.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.backend.philox import Philox

WAIT_LIMIT_S = 600.0

Element = tuple[Any, ...]


class Store:
    """Elements first in, first out.

    Args:
      kind: the queue's name in errors.
      capacity: how many elements there may be.
      reserve: while it is open, so many elements stay when some are taken.
    """

    def __init__(self, kind: str, capacity: int, reserve: int = 0) -> None:
        self.kind, self.capacity, self._reserve = kind, capacity, reserve
        self._elements: Any = deque()
        self._wanted: list[int] = []  # what each call of `take` that waits needs there
        self._changed = threading.Condition()
        self.closed = self._cancelled = False

    def __len__(self) -> int:
        return len(self._elements)

    # ---- order ----------------------------------------------------------------------------
    def _insert(self, element: Element) -> None:
        self._elements.append(element)

    def _remove(self) -> Element:
        return self._elements.popleft()

    # ---- operations -----------------------------------------------------------------------
    def put(self, elements: list[Element]) -> None:
        """Adds elements one after the other; waits while it is full.

        Raises CancelledError once it is closed.
        """
        with self._changed:
            if self.closed:
                raise errors.CancelledError(f"{self.kind} is closed: nothing can be enqueued")
            for element in elements:
                self._wait(self._has_room, f"room for an element (capacity {self.capacity})")
                if self._cancelled:
                    raise errors.CancelledError(f"{self.kind} was closed while enqueue waited")
                self._insert(element)
                self._changed.notify_all()

    def take(self, count: int, fewer: bool = False) -> list[Element]:
        """`count` elements; waits until they are there.

        Meanwhile as many have room, also above the capacity: it could wait for ever otherwise.

        Args:
          fewer: once it is closed, what is left will do.

        Raises OutOfRangeError where it is closed and has not enough.
        """

        def enough() -> bool:
            return self.closed or len(self._elements) >= count + self._reserve

        with self._changed:
            if not enough():
                self._wanted.append(count + self._reserve)
                self._changed.notify_all()
                try:
                    self._wait(enough, f"{count} elements")
                finally:
                    self._wanted.remove(count + self._reserve)
            have = len(self._elements)
            if have < count and not (fewer and have):
                raise errors.OutOfRangeError(
                    f"{self.kind} is closed and has insufficient elements (requested {count}, "
                    f"current size {have})"
                )
            taken = [self._remove() for _ in range(min(count, have))]
            self._changed.notify_all()
            return taken

    def close(self, cancel_pending: bool) -> None:
        """Takes no more elements. Raises CancelledError where it was closed."""
        with self._changed:
            if self.closed and not (cancel_pending and not self._cancelled):
                raise errors.CancelledError(f"{self.kind} is already closed")
            self.closed = True
            self._cancelled = self._cancelled or cancel_pending
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._cancelled or len(self._elements) < max(self.capacity, *self._wanted, 0)

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_LIMIT_S
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                raise errors.DeadlineExceededError(
                    f"{self.kind} waited {WAIT_LIMIT_S:.0f} s for {what} and holds "
                    f"{len(self._elements)}; another thread has to enqueue, dequeue or close it"
                )
            self._changed.wait(left)


class ShuffledStore(Store):
    """Elements in the random order that TensorFlow has for the same seeds."""

    def __init__(self, kind: str, capacity: int, reserve: int, start: Philox) -> None:
        super().__init__(kind, capacity, reserve)
        self._elements = []
        self._words = _words(start)

    def _remove(self) -> Element:
        place = next(self._words) % len(self._elements)
        last = self._elements.pop()
        if place == len(self._elements):
            return last
        taken, self._elements[place] = self._elements[place], last
        return taken


def _words(position: Philox) -> Iterator[int]:
    while True:
        yield from position.block()
        position = position.skip(1)


class SortedStore(Store):
    """Elements by their first part, the least first; of equals, the first in."""

    def __init__(self, kind: str, capacity: int) -> None:
        super().__init__(kind, capacity)
        self._elements = []

    def _remove(self) -> Element:
        return self._elements.pop(0)

    def _insert(self, element: Element) -> None:
        bisect.insort(self._elements, element, key=lambda e: int(e[0]))


def padded(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays of one rank in a batch as large as the largest; zeros or empty strings fill it up."""
    size = np.max([a.shape for a in arrays], 0) if arrays[0].ndim else ()
    nothing = b"" if arrays[0].dtype == object else 0
    out = np.full((len(arrays), *size), nothing, arrays[0].dtype)
    for i, a in enumerate(arrays):
        place: tuple[Any, ...] = (i, *(slice(n) for n in a.shape))
        out[place] = a
    return out
