"""`shardtape.Trainer`: a model, data and options; `fit` trains and returns what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from shardtape import storage
from shardtape.backend.environment import limited_threads
from shardtape.errors import InvalidArgumentError
from shardtape.workers import data, progress
from shardtape.workers.config import JobConfig, job_begins, read_file, resolve
from shardtape.workers.interrupts import Interrupts, end_of, taken
from shardtape.workers.job import Functions, checked_optimizer
from shardtape.workers.marker import Marker
from shardtape.workers.ray_token import use_token_that_is_there
from shardtape.workers.status import (
    Note,
    Outcome,
    Result,
    Status,
    check_summary,
    make_summary_folder,
    write_summary,
)

# How often the display is refreshed.
_POLL_S = 0.3
# After the second Ctrl-C or a stop that hangs, processes are killed after so long.
_START_STOP_LIMIT_S = 5.0
_STOP_LIMIT_S = 60.0


class Runner(Protocol):
    """A job that is running somewhere."""

    def status(self, after_note: int) -> Status:
        """Its newest status."""

    def stop(self, reason: str) -> None:
        """Asks it to stop; a second time: at once."""

    def wait(self, timeout_s: float) -> Outcome | None:
        """Its outcome when it is over. Raises UnavailableError: its coordinator died."""

    def close(self) -> None:
        """Ends all of its processes; may be called twice."""


class Trainer:
    """Trains a model on a parameter server.

    Args:
      model: function without arguments that runs once in each worker. It makes placeholders and
        returns `tf.Step(loss, metrics)`, or returns a function of a batch that does so; it is
        traced once, not run for every batch.
      train: arrays by feed name; or a function of (split, of) that returns such arrays or an
        iterable of batches; or an iterable of batches that can be iterated again.
      test: the same for the test set, or None.
      optimizer: a Keras-like optimizer, its name, or its configuration.
      partitioner: "auto", a number of parts, or a partitioner object.
      config: path of a YAML file with options.
      options: see `shardtape.workers.config.JobConfig`; the file, `SHARDTAPE_*` variables and
        the command line win over them.

    Raises:
      InvalidArgumentError: an unknown or wrong option, or data that cannot be.

    Example:
      >>> tf.Trainer(model, train={"x": x, "y": y}, epochs=3, ps=2, workers=2).fit().metrics
      {'loss': 0.31}
    """

    def __init__(
        self,
        model: Callable[..., Any],
        train: Any,
        test: Any = None,
        optimizer: Any = "sgd",
        *,
        partitioner: Any = "auto",
        config: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._partitioner = None
        if isinstance(partitioner, (str, int)):
            options["partitioner"] = partitioner
        else:
            self._partitioner = partitioner
        file = None if config is None else read_file(config)
        options.setdefault("job", _script_name())
        self.config = resolve(options, file)
        self._model = model
        self._optimizer = checked_optimizer(optimizer)
        common: dict[str, Any] = {"seed": self.config.seed, "splits": self.config.splits}
        self._train = data.describe(
            train,
            name="train",
            batch_size=self.config.batch_size,
            shuffle=self.config.shuffle,
            **common,
        )
        self._test = None
        if test is not None:
            size = self.config.eval_batch_size or self.config.batch_size
            self._test = data.describe(test, name="test", batch_size=size, shuffle=False, **common)
        self._build: Callable[..., Any] | None = None

    def fit(self) -> Result:
        """Trains to the end, showing how it goes.

        Returns:
          Metrics, the last checkpoint, the end figures.

        Raises:
          KeyboardInterrupt: Ctrl-C; the job stopped in order and wrote a checkpoint before.
          SystemExit: the same after SIGTERM, with status 143.
          OpError: what the job failed with: one readable text, with the user's own lines of the
            traceback where user code raised.
        """
        job_begins()
        config = _with_absolute_paths(self.config)
        _check_folders(config, self.config)
        marker = Marker(config.checkpoint_dir, config.job)
        killed = marker.set()
        display = progress.open_display(config.progress)
        try:
            if killed and not config.resume:
                config.resume = True
                display.update(
                    Status(notes=[Note(0, "the last run here was killed: going on where it was")])
                )
            try:
                folder = config.summary and make_summary_folder(config.summary)
                if folder:
                    display.update(Status(notes=[Note(0, f"made the folder {folder}")]))
                if config.summary:
                    check_summary(config.summary)
                threads = config.threads if config.workers == 0 else None
                with limited_threads(threads), taken() as interrupts:
                    runner = self._start(config)
                    interrupts.started()
                    outcome = _follow(runner, display, interrupts)
            finally:
                display.close()
        except BaseException as error:
            # a coordinator that died leaves the marker: the same command goes on from there
            if not getattr(error, "coordinator_died", False):
                marker.clear()
            raise
        marker.clear()
        return self._conclude(config, outcome, interrupts.first)

    def _start(self, config: JobConfig) -> Runner:
        functions = Functions(
            self._model, self._train.function, self._test and self._test.function, self._build
        )
        optimizer = self._optimizer
        if config.workers == 0:
            from shardtape.workers.local import LocalRunner

            return LocalRunner(
                config, functions, self._train, self._test, optimizer, self._partitioner
            )
        if config.address != "local":
            use_token_that_is_there()
        from shardtape.workers.ray_runner import RayRunner

        return RayRunner(config, functions, self._train, self._test, optimizer, self._partitioner)

    def _conclude(self, config: JobConfig, outcome: Outcome, stopped_by: int | None) -> Result:
        outcome.checkpoint = _as_given(outcome.checkpoint, self.config.checkpoint_dir)
        if outcome.summary:
            outcome.summary["checkpoint"] = outcome.checkpoint
            outcome.summary["logdir"] = self.config.logdir
        result = Result(
            metrics=outcome.metrics,
            checkpoint=outcome.checkpoint,
            summary=outcome.summary,
            history=outcome.history,
            digest=outcome.digest,
            tested=outcome.tested,
            skipped=outcome.skipped,
            interrupted=outcome.interrupted,
            nothing_left=outcome.nothing_left,
            checkpoint_failed=outcome.checkpoint_failed,
        )
        if outcome.error is not None:
            raise outcome.error
        if config.progress != "none":
            sys.stdout.write("\n".join(progress.summary_lines(result)) + "\n")
            sys.stdout.flush()
        if config.summary:  # after the lines: they are all that is left where it fails
            write_summary(config.summary, outcome.summary)
        if outcome.interrupted:
            raise end_of(stopped_by)
        return result


def _follow(runner: Runner, display: progress.Display, interrupts: Interrupts) -> Outcome:
    """Shows a job's statuses until it is over; Ctrl-C and SIGTERM ask it to stop."""
    notes = 0
    asked_s: float | None = None
    try:
        while True:
            outcome = runner.wait(_POLL_S)
            status = runner.status(notes)
            notes = max([notes, *(note.number for note in status.notes)])
            display.update(status)
            if outcome is not None:
                return outcome
            if interrupts.count:
                interrupts.count = 0
                if status.state == "starting":  # its coordinator may be long in answering
                    display.update(Status(notes=[Note(0, "stopping before all is started")]))
                runner.stop("interrupted" if asked_s is None else "interrupted twice")
                asked_s = asked_s or time.monotonic()
            # processes that only start have nothing to finish: they are ended where they are
            limit_s = _START_STOP_LIMIT_S if status.state == "starting" else _STOP_LIMIT_S
            if asked_s is not None and time.monotonic() - asked_s > limit_s:
                raise end_of(interrupts.first)
    finally:
        runner.close()


def _check_folders(config: JobConfig, given: JobConfig) -> None:
    """Makes the folders of a job of this machine, before an hour of training finds that it cannot.

    Args:
      given: the same options, with the paths as the user wrote them.
    """
    if config.address != "local":
        return
    for name in ("logdir", "checkpoint_dir"):
        path = getattr(config, name)
        if path is None or storage.is_remote(path):
            continue
        try:
            os.makedirs(path, exist_ok=True)
            problem = None if os.access(path, os.W_OK) else "nothing can be written there"
        except OSError as error:
            problem = f"no folder can be made there ({error.strerror})"
        if problem:
            raise InvalidArgumentError(f"{name} is {getattr(given, name)!r}: {problem}")


def _script_name() -> str:
    name = Path(sys.argv[0] if sys.argv else "").stem
    return name if name and not name.startswith("-") else "train"


def _as_given(path: str | None, folder: str | None) -> str | None:
    """A path below a folder that the user gave as a relative one, in the same way."""
    if path is None or folder is None or storage.is_remote(path) or os.path.isabs(folder):
        return path
    return os.path.join(folder, os.path.relpath(path, os.path.abspath(folder)))


def _with_absolute_paths(config: JobConfig) -> JobConfig:
    """Other processes of the job have other working directories."""
    config = replace(config)
    for name in ("logdir", "checkpoint_dir"):
        path = getattr(config, name)
        if path is not None and not storage.is_remote(path):
            setattr(config, name, os.path.abspath(storage.text(path)))
    return config
