"""`prefetch`: a thread that computes elements ahead, and ends with the iterator."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

from shardtape import errors
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.parallel import AUTOTUNE, LOOK_S, join
from shardtape.data.rows import Rows, Stream
from shardtape.data.run import Run, scalar

# Where a batch is one indexing of arrays in memory, it is made when it is asked for: two threads
# that copy and compute at the same time share the memory's bandwidth, and handing over costs some
# 25 us. Measured with batches up to 9 MiB beside a matrix product; computing pays from 100 us on.
_NOT_WORTH_A_THREAD_BYTES = 8 << 20
_FIRST_BUFFER, _LARGEST_BUFFER = 2, 16  # of AUTOTUNE


class PrefetchDataset(OneInput):
    """The input, computed up to `buffer_size` elements ahead."""

    def __init__(self, input: Dataset, buffer_size: Any) -> None:
        super().__init__(input)
        self._size = AUTOTUNE if buffer_size is None else scalar(buffer_size, "buffer_size")
        if type(self._size) is int and self._size < AUTOTUNE:
            raise errors.InvalidArgumentError(
                f"buffer_size must be >= 0 or set to be {AUTOTUNE} for auto-tuning, got "
                f"{self._size}"
            )

    def _parameters(self) -> Sequence[Any]:
        return (self._size,)

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _rows(self, run: Run) -> Rows | None:
        return self._input._rows(run)

    def _stream(self, run: Run) -> Stream | None:
        return self._input._stream(run)

    def _make_cursor(self, run: Run) -> Cursor:
        cursor = self._input._cursor(run)
        size = run.number(self._size)
        copied = cursor.copied_bytes
        cheap = copied is not None and copied <= _NOT_WORTH_A_THREAD_BYTES
        return cursor if size == 0 or cheap else PrefetchCursor(cursor, size)


class PrefetchCursor(Cursor):
    """Takes elements from a thread that is `size` ahead; AUTOTUNE: as far as it is of use."""

    def __init__(self, input: Cursor, size: int) -> None:
        super().__init__(input)
        self._ahead = _Ahead(input, size)
        weakref.finalize(self, self._ahead.tell_to_end)

    def __next__(self) -> Leaves:
        return self._ahead.get()

    def start(self) -> None:
        """Begins to compute before the first element is asked for."""
        self._ahead.start()

    def close(self) -> None:
        self._ahead.close()

    def cancel(self) -> None:
        self._ahead.tell_to_end()


class _Ahead:
    """The thread and its buffer. It knows the input and not the cursor that is given out.

    The buffer is a deque, whose ends may be used without a lock; the lock is taken only to wait
    and to wake who waits.
    """

    def __init__(self, input: Cursor, size: int) -> None:
        self._input = input
        self._grows = size == AUTOTUNE
        self._limit = _FIRST_BUFFER if self._grows else size
        self._buffer: deque[tuple[Any, BaseException | None]] = deque()
        self._changed = threading.Condition()
        self._producer_waits = self._consumer_waits = False
        self._ended = self._closed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def _produce(self) -> None:
        try:
            while self._wait_for_room():
                item: tuple[Any, BaseException | None]
                try:
                    item = next(self._input), None
                except StopIteration:
                    break
                except BaseException as raised:  # noqa: BLE001 - raised where it is asked for
                    item = None, raised
                self._buffer.append(item)
                if self._consumer_waits:
                    with self._changed:
                        self._changed.notify_all()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._input.close()

    def _wait_for_room(self) -> bool:
        if len(self._buffer) < self._limit and not self._closed:
            return True
        with self._changed:
            self._producer_waits = True
            while len(self._buffer) >= self._limit and not self._closed:
                self._changed.wait(LOOK_S)
            self._producer_waits = False
            return not self._closed

    def get(self) -> Leaves:
        """The next element. Raises what its computation raised; StopIteration at the end."""
        if self._thread is None:
            self.start()
        try:
            leaves, error = self._buffer.popleft()
        except IndexError:
            leaves, error = self._wait_for_element()
        if self._producer_waits:
            with self._changed:
                self._changed.notify_all()
        if error is not None:
            raise error
        return leaves

    def _wait_for_element(self) -> tuple[Any, BaseException | None]:
        with self._changed:
            if self._grows and not self._ended:
                self._limit = min(2 * self._limit, _LARGEST_BUFFER)
            self._consumer_waits = True
            try:
                while not self._buffer:
                    if self._closed:
                        raise errors.CancelledError("the iterator was closed")
                    if self._ended and not self._buffer:
                        raise StopIteration
                    self._changed.wait(LOOK_S)
                return self._buffer.popleft()
            finally:
                self._consumer_waits = False

    def start(self) -> None:
        """Starts the thread; once."""
        with self._starting:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._produce, name="shardtape-prefetch", daemon=True
                )
                self._thread.start()

    def tell_to_end(self) -> None:
        """Lets the thread end; does not wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._input.cancel()

    def close(self) -> None:
        """Ends the thread, or closes the input where there is none."""
        with self._starting:
            self.tell_to_end()
            thread = self._thread
        if thread is None:
            self._input.close()
        else:
            join([thread])
            self._buffer.clear()
