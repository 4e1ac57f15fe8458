"""What a job tells to who started it: its state while it runs, its outcome at the end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shardtape import storage

# More than the end figures take, with hundreds of shards.
_SUMMARY_BYTES = 8192
# Linux's /dev/full.
_ALWAYS_FULL = os.makedev(1, 7)
# The end figures that `--summary FILE` has, in this order.
SUMMARY_KEYS = (
    "test_accuracy",
    "examples_per_s",
    "steps",
    "batches",
    "rounds",
    "applied_per_shard",
    "skipped",
    "duplicates_dropped",
    "worker_restarts",
    "rollbacks",
    "interrupted",
    "checkpoint",
    "checkpoint_step",
    "logdir",
    "mode",
    "shards",
    "workers",
)


@dataclass
class Note:
    """Something that the user should read: a death, a roll-back, a checkpoint that failed."""

    number: int
    text: str
    warning: bool = False


@dataclass
class Status:
    """A job at one moment.

    Fields:
      state: one word for people, for example "training".
      epoch: from 1, while it is under way; epochs: of the whole job.
      step, steps: batches done by all workers, and of the whole job (None while it is not
        known); the same in every mode, also where sync averages several of them into an update.
      loss, metrics: means over the last steps; test: of the newest evaluation.
      staleness: mean number of updates between a pull and its push.
      seconds_left: of training, None while it is not known.
      notes: newer than those that were asked for.
    """

    state: str = "starting"
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int | None = None
    examples_per_s: float = 0.0
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    staleness: float = 0.0
    seconds_left: float | None = None
    workers_live: int = 0
    workers: int = 0
    notes: list[Note] = field(default_factory=list)
    finished: bool = False


@dataclass
class Outcome:
    """How a job ended, as it comes back from the coordinator.

    Fields:
      error: what it failed with, ready to be raised, else None.
      interrupted: it was stopped on request.
      history: per epoch: means of loss and metrics, and "test_*" where it was evaluated.
      tested: whether `metrics` are of the test set.
      skipped: batches that were left out because they raised.
      digest: of the final values, see `Result`.
      checkpoint, checkpoint_step: the newest whole one and the step that it is of.
      checkpoint_failed: the one of the end could not be written, so that it is an older one.
      nothing_left: it was resumed from a checkpoint of its end, so that nothing was trained.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    checkpoint: str | None = None
    checkpoint_step: int | None = None
    checkpoint_failed: bool = False
    summary: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    tested: bool = False
    skipped: list[str] = field(default_factory=list)
    error: Exception | None = None
    interrupted: bool = False
    nothing_left: bool = False


@dataclass
class Result:
    """What `Trainer.fit` returns.

    Fields:
      metrics: of the test set ("loss" and the step's metrics), of the training without one.
      checkpoint: path of the newest whole one, or None; `summary` has the step that it is of.
      summary: the end figures (`SUMMARY_KEYS`).
      history: one mapping per epoch.
      digest: SHA-256 of all variables' final values, whatever shards held them; "" where they
        are too large to be collected for it.
      skipped: batches that were left out because they raised (`on_bad_batch="skip"`).
      interrupted: whether it was stopped before its end.
      nothing_left: the checkpoint that it was resumed from was of its end; metrics are its.
      checkpoint_failed: the one of the end could not be written: `checkpoint` is an older one.
    """

    metrics: dict[str, float]
    checkpoint: str | None
    summary: dict[str, Any]
    history: list[dict[str, float]]
    digest: str = ""
    tested: bool = False
    skipped: list[str] = field(default_factory=list)
    interrupted: bool = False
    nothing_left: bool = False
    checkpoint_failed: bool = False


def make_summary_folder(path: str | os.PathLike[str]) -> str | None:
    """Makes the folder of a summary, whose own parent has to be there.

    Returns:
      The folder, if it was not there.
    """
    folder = Path(path).parent
    if folder.is_dir():
        return None
    with storage.translated("make", folder):
        folder.mkdir()
    return str(folder)


def check_summary(path: str | os.PathLike[str]) -> None:
    """Writes as much as a summary takes beside it, and removes it: found out before training.

    Raises:
      OpError: a file cannot be written there; the text says why.
    """
    target = Path(os.path.realpath(path))
    if _is_device(target):
        with storage.translated("write", path):
            _check_device(target)
        return
    trial = _beside(target)
    with storage.translated("write", path):
        try:
            trial.write_bytes(bytes(_SUMMARY_BYTES))
        finally:
            with contextlib.suppress(OSError):
                trial.unlink(missing_ok=True)


def write_summary(path: str | os.PathLike[str], summary: dict[str, Any]) -> None:
    """Writes the end figures as JSON to a local file, whole or not at all."""
    text = json.dumps({key: summary.get(key) for key in SUMMARY_KEYS}, indent=2) + "\n"
    make_summary_folder(path)
    target = Path(os.path.realpath(path))
    with storage.translated("write", path):
        if _is_device(target):  # /dev/stdout, a pipe: there is nothing to replace
            target.write_text(text)
            return
        new = _beside(target)
        try:
            new.write_text(text)
            new.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise


def _check_device(path: Path) -> None:
    """Raises OSError where nothing can be written; a trial would be read by whoever is behind."""
    found = path.stat()
    code = 0
    if stat.S_ISSOCK(found.st_mode):
        code = errno.ENXIO
    elif not os.access(path, os.W_OK):
        code = errno.EACCES
    elif stat.S_ISCHR(found.st_mode) and found.st_rdev == _ALWAYS_FULL:
        code = errno.ENOSPC
    if code:
        raise OSError(code, os.strerror(code))


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _beside(path: Path) -> Path:
    """A name in the same folder, so that a rename is one step."""
    return path.with_name(f".{path.name}.{os.getpid()}")
