"""What a user sees while a job runs, and the summary at the end.

On a terminal one live line; elsewhere plain lines, one per epoch and at most one every few
seconds. Notes (deaths, roll-backs) are lines of their own in both.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shardtape.workers.status import Note, Result, Status

# Plain lines come at most this often within an epoch.
PLAIN_EVERY_S = 10.0
_REFRESH_PER_S = 8
_BAR_WIDTH = 24


class Display(Protocol):
    """Shows a job's statuses as they come."""

    def update(self, status: Status) -> None:
        """Shows a newer status and its notes."""

    def close(self) -> None:
        """Leaves the last state on the screen; may be called twice."""


def open_display(kind: str = "auto", stream: TextIO | None = None) -> Display:
    """
    Args:
      kind: "auto" is "live" on a terminal and "plain" elsewhere; "none" shows nothing.
      stream: standard output if None.
    """
    stream = sys.stdout if stream is None else stream
    console = Console(file=stream, highlight=False, soft_wrap=kind == "plain")
    if kind == "none":
        return _Nothing()
    if kind == "live" or (kind == "auto" and console.is_terminal):
        return LiveDisplay(console)
    return PlainDisplay(stream)


class _Nothing:
    def update(self, status: Status) -> None:
        del status

    def close(self) -> None:
        pass


class PlainDisplay:
    """Lines for log files and pipes.

    Args:
      clock: seconds that only grow.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._shown: tuple[str, int] = ("", 0)
        self._shown_at = -PLAIN_EVERY_S
        self._last = Status()
        self._written = ""

    def update(self, status: Status) -> None:
        for note in status.notes:
            self._write(("warning: " if note.warning else "") + note.text)
        now = self._clock()
        place = (status.state, status.epoch)
        if place != self._shown or now - self._shown_at >= PLAIN_EVERY_S:
            if status.step or status.state != self._shown[0]:
                self._write(line(status))
            self._shown, self._shown_at = place, now
        self._last = status

    def close(self) -> None:
        if self._last.step:
            self._write(line(self._last))

    def _write(self, text: str) -> None:
        if text != self._written:
            self._written = text
            self._stream.write(text + "\n")
            self._stream.flush()


class LiveDisplay:
    """One line that changes in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def update(self, status: Status) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, refresh_per_second=_REFRESH_PER_S, transient=False
            )
            self._live.start()
        for note in status.notes:
            self._console.print(_styled(note))
        self._live.update(_row(status))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _styled(note: Note) -> Text:
    return Text(note.text, style="yellow" if note.warning else "dim")


def _row(status: Status) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(
            total=status.steps or 1, completed=status.step, width=_BAR_WIDTH, pulse=not status.steps
        ),
        line(status),
    )
    return row


def line(status: Status) -> str:
    """The status in one line."""
    if not status.step:
        workers = f", {status.workers_live} of {status.workers} workers" if status.workers else ""
        return f"{status.state}{workers}"
    parts = [f"epoch {status.epoch}/{status.epochs}"]
    total = f"/{status.steps:,}" if status.steps else ""
    parts.append(f"step {status.step:,}{total}")
    if status.examples_per_s:  # not before training, nor where nothing is left to train
        parts.append(f"{status.examples_per_s:,.0f} examples/s")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.4f}")
    parts += [f"{name} {value:.4f}" for name, value in status.metrics.items()]
    parts += [f"test {name} {value:.4f}" for name, value in status.test.items() if name != "loss"]
    parts.append(f"staleness {status.staleness:.1f}")
    if status.workers_live < status.workers:
        parts.append(f"{status.workers_live} of {status.workers} workers")
    if status.seconds_left is not None:
        parts.append(f"{duration(status.seconds_left)} left")
    if status.state not in ("training", "finished"):
        parts.append(status.state)
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """0:07, 12:30 or 3:04:05."""
    minutes, s = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


def summary_lines(result: Result) -> list[str]:
    """What is printed when a job is over."""
    figures = result.summary
    lines = ["stopped before the end" if result.interrupted else "finished"]
    if result.nothing_left:
        lines = ["nothing left to do: the checkpoint is of the end, these are its figures"]
    rows: list[tuple[str, Any]] = [
        (f"test {name}" if result.tested else name, f"{value:.4f}")
        for name, value in result.metrics.items()
    ]
    if not result.nothing_left:
        rows.append(("examples/s", f"{figures['examples_per_s']:,.0f}"))
    rows.append(("steps", f"{figures['steps']:,}"))
    if figures["rounds"] is not None:
        rows.append(("rounds", f"{figures['rounds']:,}"))
    if figures["skipped"]:
        rows.append(("skipped batches", f"{figures['skipped']:,}"))
    if figures["worker_restarts"]:
        rows.append(("worker restarts", figures["worker_restarts"]))
    if figures["rollbacks"]:
        rows.append(("roll-backs", figures["rollbacks"]))
    if result.checkpoint or result.checkpoint_failed:
        rows.append(("checkpoint", _checkpoint(result)))
    if figures["logdir"]:
        rows.append(("curves", f"tensorboard --logdir {shlex.quote(figures['logdir'])}"))
    width = max(len(name) for name, _ in rows)
    return lines + [f"  {name:{width}}  {value}" for name, value in rows]


def _checkpoint(result: Result) -> str:
    if not result.checkpoint_failed:
        return str(result.checkpoint)
    if result.checkpoint is None:
        return "none: the last one failed"
    step = result.summary["checkpoint_step"]
    return f"{result.checkpoint} (of step {step:,}: the last one failed)"
