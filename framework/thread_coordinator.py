"""`tf.train.Coordinator`: threads that end together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from shardtape import errors

_POLL_S = 1.0


class Coordinator:
    """Tells several threads to stop, and raises where they are joined what one of them raised.

    Args:
      clean_stop_exception_types: errors that are an ordinary end; default OutOfRangeError.
    """

    def __init__(self, clean_stop_exception_types: tuple[type, ...] | None = None) -> None:
        self._clean = (
            (errors.OutOfRangeError,)
            if clean_stop_exception_types is None
            else tuple(clean_stop_exception_types)
        )
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._raised: BaseException | None = None
        self._threads: set[threading.Thread] = set()
        self.joined = False

    def request_stop(self, ex: Any = None) -> None:
        """Tells all threads to stop.

        Args:
          ex: an error, or what `sys.exc_info()` gives, which `join` raises if it is no ordinary
            end.
        """
        error = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if self.joined and error is not None and not isinstance(error, self._clean):
                raise error
            first = not self._stop.is_set()
            if first and error is not None and not isinstance(error, self._clean):
                self._raised = error
            self._stop.set()

    def clear_stop(self) -> None:
        """Takes the request back: `should_stop` is False again."""
        with self._lock:
            self.joined = False
            self._raised = None
            self._stop.clear()

    def should_stop(self) -> bool:
        return self._stop.is_set()

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """A block that asks all threads to stop where it raises."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `join` raises it
            self.request_stop(error)
        except BaseException as error:  # an exit or Ctrl-C ends this thread, and then the others
            self.request_stop(error)
            raise

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits for the request up to `timeout` seconds; whether it is there."""
        return self._stop.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread that `join` waits for."""
        with self._lock:
            self._threads.add(thread)

    def join(
        self, threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120, ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Waits for the registered threads and `threads`, and raises what one of them raised.

        The wait ends with the threads, or after a request to stop and the grace period.

        Args:
          stop_grace_period_secs: seconds that they may take after the request.
          ignore_live_threads: go on without those that are still there then.

        Raises RuntimeError for threads that are still there.
        """
        with self._lock:
            joined = self._threads.union(threads or ())
        # before a request threads work for as long as they like, as `Thread.join` waits for them
        while any(t.is_alive() for t in joined) and not self._stop.wait(_POLL_S):
            pass
        deadline = time.monotonic() + stop_grace_period_secs
        for thread in joined:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = [t.name for t in joined if t.is_alive()]
        with self._lock:
            self.joined = True
            self._threads = set()
            raised = self._raised
        if raised is not None:
            raise raised
        if left and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {' '.join(left)}")

    def raise_requested_exception(self) -> None:
        """Raises what `request_stop` was given, if it was."""
        with self._lock:
            raised = self._raised
        if raised is not None:
            raise raised
