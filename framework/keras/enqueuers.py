"""Queues of batches that threads fill ahead: `OrderedEnqueuer` and `GeneratorEnqueuer`."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

_POLL_S = 0.1


class TimedThread:
    """A thread that calls `on_interval` again and again.

    Args:
      interval: seconds between two calls.
    """

    def __init__(self, interval: float, **kwargs: Any) -> None:
        self.interval, self.daemon = interval, kwargs.pop("daemon", False)
        self.thread_kwargs = kwargs
        self.thread: threading.Thread | None = None
        self.thread_stop_event = threading.Event()

    def _run(self) -> None:
        while not self.thread_stop_event.wait(self.interval):
            self.on_interval()

    def start(self) -> None:
        """Starts the thread; a second call does nothing while it lives."""
        if self.is_alive():
            return
        self.thread_stop_event.clear()
        self.thread = threading.Thread(target=self._run, daemon=self.daemon, **self.thread_kwargs)
        self.thread.start()

    def stop(self) -> None:
        """Tells the thread to end after the call that it is in."""
        self.thread_stop_event.set()

    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def on_interval(self) -> None:
        """What is called."""
        raise NotImplementedError("Runs every x interval seconds.")

    def __enter__(self) -> TimedThread:
        self.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self.stop()


class SequenceEnqueuer:
    """Base: batches that threads make ahead, taken by `get()`.

    Args:
      sequence: what makes them.
      use_multiprocessing: accepted: threads make them in any case.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence, self.use_multiprocessing = sequence, use_multiprocessing
        self.workers = 0
        self.queue: queue.Queue[Future[Any]] | None = None
        self._stop = threading.Event()
        self._filler: threading.Thread | None = None

    def is_running(self) -> bool:
        return self._filler is not None and not self._stop.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Starts `workers` threads; at most `max_queue_size` batches wait."""
        self.workers = max(workers, 1)
        self.queue = queue.Queue(max_queue_size)
        self._stop.clear()
        self._filler = threading.Thread(target=self._fill, daemon=True)
        self._filler.start()

    def stop(self, timeout: float | None = None) -> None:
        """Ends the threads; waits for them `timeout` seconds (None: until they end)."""
        self._stop.set()
        if self._filler is not None:
            self._filler.join(timeout)
        self._filler = None

    def _fill(self) -> None:
        from concurrent.futures import Future, ThreadPoolExecutor  # not where nothing is queued

        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for work in self._tasks():
                    if not self._put(pool.submit(work)):
                        break
            except Exception as error:  # noqa: BLE001 - whatever the user's code raises, `get` raises
                failed: Future[Any] = Future()
                failed.set_exception(error)
                self._put(failed)

    def _put(self, made: Future[Any]) -> bool:
        assert self.queue is not None
        while not self._stop.is_set():
            try:
                self.queue.put(made, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        made.cancel()
        return False

    def _tasks(self) -> Iterator[Callable[[], Any]]:
        raise NotImplementedError(f"{type(self).__name__} makes no batches")

    def get(self) -> Iterator[Any]:
        """The batches in their order, until `stop`. Raises what making one raised."""
        from concurrent.futures import wait  # loaded by then

        while self.is_running() and self.queue is not None:
            try:
                made = self.queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            while not wait([made], _POLL_S).done:
                if not self.is_running():
                    return
            try:
                found = made.result()
            except StopIteration:
                self.stop()
                return
            except Exception:  # whatever the user's code raised: no batch comes after it
                self._stop.set()
                raise
            self.queue.task_done()
            if found is not None:
                yield found


class OrderedEnqueuer(SequenceEnqueuer):
    """The batches of a `tf.keras.utils.Sequence`, epoch after epoch, in its order.

    Args:
      shuffle: in another order in each epoch.
    """

    def __init__(
        self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False
    ) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle

    def _tasks(self) -> Iterator[Callable[[], Any]]:
        while True:
            order = list(range(len(self.sequence)))
            if self.shuffle:
                random.shuffle(order)
            for i in order:
                yield lambda i=i: self.sequence[i]  # type: ignore[misc]
            self._wait_until_made()
            if self._stop.is_set():
                return
            self.sequence.on_epoch_end()

    def _wait_until_made(self) -> None:
        """Until all batches are made and taken: `on_epoch_end` may change what they come from."""
        while not self._stop.is_set() and self.queue is not None and self.queue.unfinished_tasks:
            self._stop.wait(_POLL_S / 10)


class GeneratorEnqueuer(SequenceEnqueuer):
    """The batches of a generator, in its order.

    Args:
      random_seed: accepted: threads share the seeds of the process.
    """

    def __init__(
        self, generator: Any, use_multiprocessing: bool = False, random_seed: int | None = None
    ) -> None:
        super().__init__(generator, use_multiprocessing)
        self.random_seed = random_seed
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def _tasks(self) -> Iterator[Callable[[], Any]]:
        while not self._ended.is_set():
            yield self._next

    def _next(self) -> Any:
        with self._lock:
            try:
                return next(self.sequence)
            except StopIteration:
                self._ended.set()
                raise

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Starts the thread that reads the generator: one, so that no batch overtakes another."""
        super().start(1, max_queue_size)
