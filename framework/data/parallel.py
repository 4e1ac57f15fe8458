"""A function of each element, called by several threads that end with the iterator.

The threads know the pool and not the cursor, so that a cursor that nobody holds any more closes
its pool. Errors are handed to whoever asks for the element. Every wait is ended by `close`.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from shardtape import errors
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.tracing import NumberedCalls

AUTOTUNE = -1
# With AUTOTUNE threads are started for functions that take longer: handing an element to a
# thread and back costs some 50 us, and short functions hold the interpreter's lock anyway.
_WORTH_A_THREAD_S = 200e-6
_TRIALS = 8
# A thread that waits looks after so long whether it is still wanted, should it be told nothing.
LOOK_S = 1.0
_TURNS_IN_A_JOB = 4
# How long `close` waits for threads that run user code.
_CLOSE_LIMIT_S = 10.0


def ordered(deterministic: bool | None, run: Any) -> bool:
    """Whether parallel results keep the input's order."""
    if run.key is not None:
        return True
    if deterministic is None:
        deterministic = run.deterministic
    return deterministic is not False


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def turns(run: Any) -> int:
    """Inputs that take turns where the user leaves it open; one number on all hosts of a job."""
    return cores() if run.key is None else _TURNS_IN_A_JOB


class ParallelCursor(Cursor):
    """A function of each element, called by `calls` threads.

    Args:
      calls: number of threads; AUTOTUNE: none where the function is short, else one per core.
      in_order: give the results in the order of the elements.
      may_skip: calls do nothing that is missed when they are left out.
    """

    def __init__(
        self, input: Cursor, function: NumberedCalls, calls: int, in_order: bool, may_skip: bool
    ) -> None:
        super().__init__(input)
        self._next, self._function = input.__next__, function
        self._taken = 0  # by this thread
        self._may_skip = may_skip
        self._threads = calls if calls > 0 else max(2, cores())
        self._trials = _TRIALS if calls == AUTOTUNE else 0
        self._spent_s = 0.0
        self._inline = calls == 1
        self._ended = False
        self._in_order = in_order
        self._pool: _Pool | None = None

    def __next__(self) -> Leaves:
        if self._pool is not None:
            return self._get(self._pool)
        if self._inline:
            return self._take()
        if self._trials:
            return self._try()
        return self._get(self._start())

    def _get(self, pool: _Pool) -> Leaves:
        try:
            return pool.get()
        except StopIteration:
            self._end(pool.taken)
            raise

    def _take(self) -> Leaves:
        leaves, number = self._advance()
        return self._function.call(leaves, number)

    def _advance(self) -> tuple[Leaves, int]:
        # elements that raise are counted, as the threads do
        number, self._taken = self._taken, self._taken + 1
        try:
            return self._next(), number
        except StopIteration:
            self._taken = number
            self._end(number)
            raise

    def _end(self, calls: int) -> None:
        if not self._ended:
            self._ended = True
            self._function.end(calls)

    def _try(self) -> Leaves:
        leaves, number = self._advance()
        start = time.perf_counter()
        found = self._function.call(leaves, number)
        self._spent_s = max(self._spent_s / 2, time.perf_counter() - start)
        self._trials -= 1
        if not self._trials:
            self._inline = self._spent_s < _WORTH_A_THREAD_S
        return found

    def skip(self, count: int) -> int:
        if self._pool is not None or not self._may_skip:
            return super().skip(count)
        moved = self.inputs[0].skip(count)
        self._taken += moved
        return moved

    def _start(self) -> _Pool:
        self._pool = pool = _Pool(
            self.inputs[0], self._function.call, self._threads, self._in_order, self._taken
        )
        weakref.finalize(self, pool.tell_to_end)
        return pool

    def close(self) -> None:
        if self._pool is None:
            super().close()
        else:
            self._pool.close()

    def cancel(self) -> None:
        if self._pool is None:
            super().cancel()
        else:
            self._pool.tell_to_end()


class _Pool:
    """The threads of a cursor and what they share."""

    def __init__(
        self,
        input: Cursor,
        call: Callable[[Leaves, int], Leaves],
        threads: int,
        in_order: bool,
        first: int,
    ) -> None:
        self._input, self._call, self._in_order = input, call, in_order
        self._limit = 2 * threads  # elements that were taken and not given
        self._changed = threading.Condition()
        self._taking = threading.Lock()  # one thread at a time asks the input
        self.taken = self._given = first
        self._done: dict[int, tuple[Any, BaseException | None]] = {}
        self._ended = self._closed = False
        self._running = threads
        self._threads = [
            threading.Thread(target=self._work, name="shardtape-map", daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    # ---- threads --------------------------------------------------------------------------
    def _work(self) -> None:
        try:
            while self._may_take():
                taken = self._take()
                if taken is None:
                    break
                number, leaves, error = taken
                if error is None:
                    try:
                        leaves = self._call(leaves, number)
                    except BaseException as raised:  # noqa: BLE001 - raised where it is asked for
                        error = raised
                with self._changed:
                    self._done[number] = (leaves, error)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._running -= 1
                last = not self._running
            if last:
                self._input.close()

    def _may_take(self) -> bool:
        with self._changed:
            while not self._closed and not self._ended:
                if self.taken - self._given < self._limit:
                    return True
                self._changed.wait(LOOK_S)
            return False

    def _take(self) -> tuple[int, Any, BaseException | None] | None:
        with self._taking:
            if self._ended or self._closed:
                return None
            leaves, error = None, None
            try:
                leaves = next(self._input)
            except StopIteration:
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()
                return None
            except BaseException as raised:  # noqa: BLE001 - raised where it is asked for
                error = raised
            number = self.taken
            self.taken += 1
            return number, leaves, error

    # ---- the consumer ---------------------------------------------------------------------
    def get(self) -> Leaves:
        """The next result. Raises what its computation raised; StopIteration at the end."""
        with self._changed:
            while True:
                if self._closed:
                    raise errors.CancelledError("the iterator was closed")
                number = self._given if self._in_order else next(iter(self._done), -1)
                if number in self._done:
                    break
                if self._ended and self._given == self.taken:
                    raise StopIteration
                self._changed.wait(LOOK_S)
            leaves, error = self._done.pop(number)
            self._given += 1
            self._changed.notify_all()
        if error is not None:
            raise error
        return leaves

    def tell_to_end(self) -> None:
        """Lets the threads end; does not wait for them."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._input.cancel()

    def close(self) -> None:
        """Ends the threads."""
        self.tell_to_end()
        join(self._threads)


def join(threads: list[threading.Thread]) -> None:
    """Waits for threads that were told to end; one in user code may take until the limit."""
    deadline = time.monotonic() + _CLOSE_LIMIT_S
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
