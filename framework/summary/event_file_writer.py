"""Event files written by a thread of their own, so that a training step never waits for a disk."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import socket
import struct
import threading
import time
import weakref
from typing import Any

from shardtape import errors, storage
from shardtape.records.record_writer import RecordWriter

DEFAULT_FLUSH_S = 2.0  # how old an event gets before a reader can see it
DEFAULT_MAX_QUEUE = 4096  # events that wake the writing thread at once
_BATCH_BYTES = 1 << 20  # bytes that do the same: images and graphs
_LIMIT_BYTES = 64 << 20  # waiting bytes at which the caller is held back
DEADLINE_S = 60.0

_number = itertools.count()
_open_writers: weakref.WeakSet[EventFileWriter] = weakref.WeakSet()


def file_name(suffix: str = "") -> str:
    """The name of a new event file: time, host, process and a counter make it unique."""
    return (
        f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}."
        f"{os.getpid()}.{next(_number)}{suffix}"
    )


def version_record() -> bytes:
    """The event that opens every file: `file_version` brain.Event:2."""
    version = b"brain.Event:2"
    wall_time = b"\x09" + struct.pack("<d", time.time())
    return wall_time + b"\x1a" + bytes([len(version)]) + version


class EventFileWriter:
    """Appends serialised `Event` messages to one new event file in `logdir`.

    Safe to call from several threads. An error of the writing thread (a full disk, a folder that
    is gone) is raised by the next call of `add_record`, `flush` or `close`.

    Args:
      logdir: folder, made if missing; may be remote (`s3://...`) where fsspec has the driver. A
        remote store shows the file when its own buffer is sent, at the latest at `close`.
      max_queue: events that may wait before they are written at once.
      flush_s: seconds after which waiting events are written however few they are.
      suffix: appended to the file's name.
    """

    def __init__(
        self,
        logdir: storage.Path,
        max_queue: int | None = None,
        flush_s: float | None = None,
        suffix: str = "",
    ) -> None:
        self._logdir = storage.text(logdir)
        storage.make_directory(self._logdir)
        self._path = storage.join(self._logdir, file_name(suffix))
        self._records = RecordWriter(storage.open_new(self._path))
        self._max_queue = DEFAULT_MAX_QUEUE if max_queue is None else max(1, max_queue)
        self._flush_s = DEFAULT_FLUSH_S if flush_s is None else flush_s
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # for the thread: something to do
        self._done = threading.Condition(self._lock)  # for callers: something was done
        self._waiting: list[bytes] = [version_record()]
        self._waiting_bytes = 0
        self._added = 1  # records handed over, and records on their way to the disk
        self._written = 0
        self._hurry = True  # the version goes out at once: readers find the file
        self._closing = False
        self._closed = False
        self._error: BaseException | None = None
        self._error_told = False
        self._thread = threading.Thread(target=self._run, name="shardtape-events", daemon=True)
        self._thread.start()
        _open_writers.add(self)

    @property
    def path(self) -> str:
        """The event file."""
        return self._path

    @property
    def logdir(self) -> str:
        """The folder it is in."""
        return self._logdir

    @property
    def closed(self) -> bool:
        """True from the first call of `close` on."""
        return self._closing

    def add_event(self, event: Any) -> None:
        """Adds an `Event` proto (tensorboard's or one with the same fields)."""
        self.add_record(event.SerializeToString())

    def add_record(self, record: bytes) -> None:
        """Adds a serialised `Event`.

        Raises:
          FailedPreconditionError: the writer is closed.
          DeadlineExceededError: 64 MiB wait and the disk took nothing for 60 s.
          Another OpError: what the writing thread met.
        """
        with self._lock:
            if self._error is not None or self._closing:
                self._refuse()
            while self._waiting_bytes > _LIMIT_BYTES:
                self._wait_for(self._written + 1, DEADLINE_S)
                if self._closing:
                    self._refuse()
            self._waiting.append(record)
            self._waiting_bytes += len(record)
            self._added += 1
            if len(self._waiting) >= self._max_queue or self._waiting_bytes >= _BATCH_BYTES:
                self._hurry = True
                self._work.notify()

    def flush(self, deadline_s: float = DEADLINE_S) -> None:
        """Waits until all events added so far are in the file.

        Raises:
          FailedPreconditionError: the writer is closed.
          DeadlineExceededError: they are not there after `deadline_s` seconds.
          Another OpError: what the writing thread met.
        """
        with self._lock:
            if self._error is not None or self._closing:
                self._refuse()
            self._wait_for(self._added, deadline_s)

    def close(self, deadline_s: float = DEADLINE_S) -> None:
        """Writes what waits and closes the file; a second call does nothing.

        Raises:
          DeadlineExceededError: the disk did not take the rest within `deadline_s` seconds.
          Another OpError: what the writing thread met, unless a call has raised it already.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._work.notify()
        _open_writers.discard(self)
        self._thread.join(deadline_s)
        with self._lock:
            if self._error is not None:
                if not self._error_told:
                    self._refuse()
            elif not self._closed:
                raise self._late(deadline_s)

    # The methods below are called with the lock held.

    def _refuse(self) -> None:
        if self._error is None:
            raise errors.FailedPreconditionError(
                f"the writer of {self._path} is closed: make a new one to write more events"
            )
        self._error_told = True
        if isinstance(self._error, OSError):
            raise storage.translate(self._error, "write events to", self._path) from self._error
        raise errors.InternalError(
            f"the thread that writes {self._path} has ended: {self._error!r}"
        ) from self._error

    def _late(self, deadline_s: float) -> errors.DeadlineExceededError:
        return errors.DeadlineExceededError(
            f"{self._added - self._written} events still wait for {self._path} after "
            f"{deadline_s:g} s: the disk or the store does not take them"
        )

    def _wait_for(self, target: int, deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        while self._written < target:
            self._hurry = True
            self._work.notify()
            left = end - time.monotonic()
            if left <= 0:
                raise self._late(deadline_s)
            self._done.wait(left)
            if self._error is not None:
                self._refuse()

    # The thread.

    def _run(self) -> None:
        try:
            while self._step():
                pass
            self._records.close()
        except Exception as error:  # noqa: BLE001 - handed to the next caller, whatever it is
            with self._lock:
                self._error = error
        finally:
            with self._lock:
                self._closed = True
                self._waiting, self._waiting_bytes = [], 0
                self._done.notify_all()

    def _step(self) -> bool:
        with self._lock:
            if not self._hurry and not self._closing:
                self._work.wait(self._flush_s)
            records, self._waiting = self._waiting, []
            self._waiting_bytes = 0
            self._hurry = False
            last = self._closing
        if records:
            self._records.write_many(records)
            self._records.flush()
            with self._lock:
                self._written += len(records)
                self._done.notify_all()
        return not last


def _close_all() -> None:
    for writer in list(_open_writers):
        try:
            writer.close(deadline_s=10.0)
        except errors.OpError as error:  # there is no caller left to hand it to
            logging.getLogger("shardtape").warning("at exit: %s", error)


atexit.register(_close_all)
