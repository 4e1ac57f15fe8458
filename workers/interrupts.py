"""Ctrl-C and SIGTERM of a program that trains: counted, and acted on where it is safe."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Exit status after SIGTERM: what a shell reports for a program that it ended.
TERMINATED = 128 + signal.SIGTERM
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts SIGINT and SIGTERM in place of raising, which could tear a step in two, or Ray in
    the middle of its start, where it crashes or leaves processes behind.

    Attributes:
      count: since it was last set to zero.
      first: number of the first signal, None before there was one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None
        self._starting = True

    def take(self, number: int, frame: Any) -> None:
        """The signals' handler; the second one ends a start that does not come to its end."""
        self.count += 1
        self.first = self.first or number
        if not self._starting:
            return
        if self.count > 1:
            raise end_of(self.first)
        # not through sys.stderr, which may be in the middle of a write
        os.write(2, b"stopping as soon as all is started; a second time stops at once\n")

    def install(self) -> None:
        """Puts itself in the place of the handlers; in the main thread only."""
        for number in _SIGNALS:
            signal.signal(number, self.take)

    def started(self) -> None:
        """The job runs. Ray has put its own handler for SIGTERM in the place of this one."""
        self._starting = False
        if threading.current_thread() is threading.main_thread():
            self.install()


@contextmanager
def taken() -> Iterator[Interrupts]:
    """Takes SIGINT and SIGTERM in the main thread; elsewhere they are the program's affair."""
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = [signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS]
    found.install()
    try:
        yield found
    except SystemExit as end:
        if end.code != signal.SIGTERM:
            raise
        raise SystemExit(TERMINATED) from end  # from the handler that Ray had put in place
    finally:
        for number, handler in zip(_SIGNALS, before):
            signal.signal(number, handler)


def end_of(stopped_by: int | None) -> BaseException:
    """What a job that was stopped by a signal (None: by another driver) ends its program with."""
    if stopped_by == signal.SIGTERM:
        return SystemExit(TERMINATED)
    return KeyboardInterrupt()
