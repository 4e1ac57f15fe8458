"""Summary writers of TF2, the default one of a thread, the step, and whether to record."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from shardtape import context, errors, storage
from shardtape.summary import encoding
from shardtape.summary.event_file_writer import DEADLINE_S, EventFileWriter

NO_STEP = (
    "No step set. Please specify one either through the `step` argument or through "
    "tf.summary.experimental.set_step()"
)


class _State(threading.local):
    writer: SummaryWriter | None = None
    step: Any = None
    recording: Any = True  # a bool, a tensor, or a function of no arguments that gives one


state = _State()


class SummaryWriter:
    """Writes summaries to an event file. Made by `create_file_writer`.

    Safe to use from several threads; `with writer.as_default()` counts for its own thread only.
    """

    def __init__(self, events: EventFileWriter | None) -> None:
        self._events = events

    @property
    def path(self) -> str | None:
        """The event file; None for a writer that drops everything."""
        return self._events.path if self._events is not None else None

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Context in which summaries of this thread go to this writer; flushes at the end.

        Args:
          step: default step inside the context; unchanged if None.
        """
        outer_writer, outer_step = state.writer, state.step
        state.writer = self
        if step is not None:
            state.step = step
        try:
            yield self
        finally:
            state.writer, state.step = outer_writer, outer_step
            if self._events is not None and not self._events.closed:
                self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Makes this the thread's writer from now on; `step` as in `as_default`."""
        state.writer = self
        if step is not None:
            state.step = step

    def scalar(self, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        """One point of a curve, whatever the default writer and `record_if` say.

        Args:
          tag: full name of the curve.
          value: stored as float32.
          step: place on the horizontal axis.
          wall_time: seconds since 1970; now if None.
        """
        if self._events is not None:
            template = encoding.scalar_template(tag)
            self._events.add_record(encoding.scalar_event(template, value, step, wall_time))

    def add_record(self, record: bytes) -> None:
        """Adds a serialised `Event`."""
        if self._events is not None:
            self._events.add_record(record)

    def init(self) -> None:
        """Nothing to do: the file is open since the writer was made."""

    def flush(self, deadline_s: float = DEADLINE_S) -> None:
        """Waits until all summaries so far are in the file; raises what writing them met.

        In a function that is being traced: at each of its runs.
        """
        if self._events is None:
            return
        if context.state.graph is not None:
            from shardtape.summary.deferred import at_each_run

            at_each_run(lambda: self.flush(deadline_s))
        else:
            self._events.flush(deadline_s)

    def close(self, deadline_s: float = DEADLINE_S) -> None:
        """Flushes and closes; a second call does nothing, a summary written later raises."""
        if self._events is not None:
            self._events.close(deadline_s)


class _ResourceSummaryWriter(SummaryWriter):
    """A writer to a file."""


class _NoopSummaryWriter(SummaryWriter):
    """A writer that drops everything."""


def create_file_writer(
    logdir: storage.Path,
    max_queue: int | None = None,
    flush_millis: int | None = None,
    filename_suffix: str | None = None,
    name: str | None = None,
    experimental_trackable: bool = False,
) -> SummaryWriter:
    """Opens a new event file in `logdir`.

    Args:
      logdir: folder, made if missing; local, or remote where fsspec has the driver.
      max_queue: summaries that may wait before they are written; 4096 if None.
      flush_millis: age in milliseconds at which they are written however few; 2000 if None.
      filename_suffix: end of the file's name; ".v2" if None.
      name, experimental_trackable: accepted for TensorFlow's sake, without effect.

    Raises:
      PermissionDeniedError, ResourceExhaustedError and other OpErrors about the folder.
    """
    suffix = ".v2" if filename_suffix is None else filename_suffix
    flush_s = None if flush_millis is None else flush_millis / 1000
    return _ResourceSummaryWriter(EventFileWriter(logdir, max_queue, flush_s, suffix))


def create_noop_writer() -> SummaryWriter:
    """A writer that drops everything."""
    return _NoopSummaryWriter(None)


def get_step() -> Any:
    """The thread's default step, or None."""
    return state.step


def set_step(step: Any) -> None:
    """Sets the thread's default step: an int, a Variable (read at each summary), or None."""
    state.step = step


@contextlib.contextmanager
def record_if(condition: bool | Callable[[], bool] | Any) -> Iterator[None]:
    """Context in which summaries are recorded only where `condition` holds.

    Args:
      condition: a bool, a scalar tensor, or a function of no arguments, asked at each summary.
    """
    outer = state.recording
    state.recording = condition
    try:
        yield
    finally:
        state.recording = outer


def recording() -> bool:
    """What the innermost `record_if` says."""
    condition = state.recording
    return (
        condition if condition is True else bool(condition() if callable(condition) else condition)
    )


def should_record_summaries() -> bool:
    """True if this thread has a default writer and `record_if` agrees."""
    return state.writer is not None and recording()


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:
    """Flushes `writer`, or the default one where there is one."""
    writer = state.writer if writer is None else writer
    if writer is not None:
        writer.flush()


def target() -> SummaryWriter | None:
    """The writer that a summary made now goes to; None: it is not recorded."""
    writer = state.writer
    if writer is None or (state.recording is not True and not recording()):
        return None
    return writer


def resolve_step(step: Any) -> int:
    """The step of a summary as an int. Raises ValueError if neither it nor a default is given."""
    if type(step) is int:
        return step
    if step is None:
        step = state.step
        if step is None:
            raise ValueError(NO_STEP)
    if hasattr(step, "numpy"):  # a tensor, or a Variable, whose value is read now
        step = step.numpy()
    try:
        return int(step)
    except (TypeError, ValueError) as error:
        raise errors.InvalidArgumentError(f"a step is a whole number, got {step!r}") from error


def full_tag(name: str) -> str:
    """The name with the current name scopes in front, as `scope/name`."""
    scope = context.state.name_stack
    return f"{scope.rstrip('/')}/{name}" if scope else name
