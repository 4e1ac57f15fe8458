"""Checkpoints of a job: when, how, and from where a job goes on.

Every shard copies itself while training goes on and writes one file; the manifest, written last,
makes the checkpoint whole. The position in the data is not stored as such: it follows from the
ledgers, which are in the shards' files. `Position` is only what reads them.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shardtape import checkpoint, storage
from shardtape.errors import CancelledError, DataLossError, OpError
from shardtape.workers.config import Interval
from shardtape.workers.sessions import Post, Saved
from shardtape.workers.shard_group import ShardGroup

_log = logging.getLogger("shardtape.workers")


@dataclass
class Position:
    """What a job needs beside the shards' states to go on.

    Fields:
      epoch: the first that is not closed; epoch_begun: some of its batches are done.
      steps: batches done.
      split_base, lengths: first split number of that epoch, and batches of each split.
      signature: of the training data, see `DataSpec.signature`.
      history: means of the closed epochs.
      epoch_steps: of `steps`, those of that epoch; None in checkpoints that do not tell.
    """

    epoch: int = 0
    steps: int = 0
    split_base: int = 0
    signature: dict[str, Any] = field(default_factory=dict)
    lengths: list[int | None] = field(default_factory=list)
    epoch_begun: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    epoch_steps: int | None = None

    def steps_with(self, in_ledgers: int) -> int:
        """Steps where the ledgers have `in_ledgers` batches of the epoch. They can be ahead of
        what the workers had reported when the checkpoint was cut."""
        if self.epoch_steps is None:
            return self.steps
        return self.steps - self.epoch_steps + in_ledgers

    @classmethod
    def from_json(cls, values: dict[str, Any], path: str) -> Position:
        """Raises DataLossError: `path` is no checkpoint of a training job."""
        names = {f.name for f in dataclasses.fields(cls)}
        found = values.get("position")
        if not isinstance(found, dict) or not set(found) <= names:
            raise DataLossError(f"{path} has no position in the data: no training job wrote it")
        return cls(**found)


class Saver:
    """Writes and finds a job's checkpoints; all but the writing thread is the coordinator's.

    Args:
      parent: folder of the checkpoints; None: there are none, and nothing is ever due.
      every: how often, None for only at the end.
      keep: newest checkpoints that stay.
      facts: plain JSON values that every manifest gets (job, mode, options).
    """

    def __init__(
        self,
        parent: str | None,
        every: Interval | None = None,
        keep: int = 3,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self._parent = parent
        self._every = every
        self._keep = keep
        self._facts = facts or {}
        self._thread: threading.Thread | None = None
        self._abandoned = threading.Event()
        self._next_due = 0.0
        self._saved_steps = -1
        self._written: tuple[str, int] | None = None  # by the thread, its event may be on the way
        self._own: list[str] = []
        self._run = uuid.uuid4().hex  # in every manifest: whose checkpoints may be pruned
        self.last: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether checkpoints are written at all."""
        return self._parent is not None

    @property
    def periodic(self) -> bool:
        """Whether checkpoints are written while training goes on."""
        return self._parent is not None and self._every is not None

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._thread is not None

    @property
    def last_step(self) -> int | None:
        """The step that `last` is of."""
        return None if self.last is None else self._saved_steps

    # ---- when -------------------------------------------------------------------------------

    def begin(self, now_s: float, steps: int) -> None:
        """Training begins (or begins again): intervals count from here."""
        if self._every is not None:
            start = now_s if self._every.unit == "second" else steps
            self._next_due = start + self._every.number

    def due(self, now_s: float, steps: int) -> bool:
        """Whether an interval of steps or seconds is over."""
        if self._parent is None or self._every is None or self.busy:
            return False
        if self._every.unit == "epoch":
            return False
        here = now_s if self._every.unit == "second" else steps
        if here < self._next_due:
            return False
        self._next_due = here + self._every.number
        return True

    def due_after_epoch(self, epochs: int) -> bool:
        """Whether a checkpoint is due when so many epochs are over."""
        if self._parent is None or self._every is None or self._every.unit != "epoch":
            return False
        return epochs % max(1, round(self._every.number)) == 0

    # ---- writing ----------------------------------------------------------------------------

    def start(self, shards: ShardGroup, position: Position, post: Post, mark: str = "") -> None:
        """Writes a checkpoint from a thread of its own and posts `Saved` at the end.

        Args:
          mark: of the snapshots that a round's decision began on all shards.
        """
        if self._parent is None or self.busy:
            return
        self._abandoned = abandoned = threading.Event()
        self._written = None

        def write() -> None:
            try:
                path = self._write(shards, position, mark, abandoned)
                self._written = path, position.steps
                post(Saved(path, steps=position.steps))
            except Exception as error:  # noqa: BLE001 - the coordinator's thread hears of it
                post(Saved("", error, abandoned=abandoned.is_set()))

        self._thread = threading.Thread(target=write, name="checkpoint", daemon=True)
        self._thread.start()

    def finished(self, event: Saved) -> None:
        """The coordinator got the `Saved` of the checkpoint under way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if event.error is None and not self._abandoned.is_set():
            self.restored(event.path, event.steps)

    def abandon(self) -> None:
        """A roll-back: what is being written now will not be finished."""
        self._abandoned.set()

    def final(self, shards: ShardGroup, position: Position) -> str | None:
        """The last checkpoint of a job, waited for; None without a folder.

        Raises:
          OpError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            if self._written is not None and not self._abandoned.is_set():
                self.restored(*self._written)
        if self._parent is None:
            return None
        if self._saved_steps == position.steps and self.last is not None:
            return self.last
        path = self._write(shards, position, "", threading.Event())
        self.restored(path, position.steps)
        return path

    def _write(
        self, shards: ShardGroup, position: Position, mark: str, abandoned: threading.Event
    ) -> str:
        assert self._parent is not None
        directory = checkpoint.new_directory(self._parent, position.steps, shards.generation)
        self._own.append(directory)  # before it is whole: a roll-back may find it a moment later
        channels = list(shards.channels)
        try:
            # threads of its own: those of the group must stay free for rounds and heartbeats
            with ThreadPoolExecutor(len(channels), thread_name_prefix="snapshot") as threads:
                fragments = shards.gather(
                    [
                        threads.submit(channel.snapshot, directory, mark=mark, step=position.steps)
                        for channel in channels
                    ]
                )
            if abandoned.is_set():
                raise CancelledError(f"{directory} belongs to a generation that is over")
            extra = {**self._facts, "run": self._run, "position": dataclasses.asdict(position)}
            path = checkpoint.write_manifest(directory, fragments, extra)
        except BaseException:
            self._clear_away(directory)
            raise
        try:
            checkpoint.prune(self._parent, self._keep, keep=self.of_other_runs())
        except OpError as error:
            _log.warning("old checkpoints could not be removed: %s", error)
        return path

    def _clear_away(self, directory: str) -> None:
        try:
            checkpoint.abandon(directory)
        except OpError as error:
            _log.warning("the unfinished %s could not be removed: %s", directory, error)

    # ---- reading ----------------------------------------------------------------------------

    def candidates(self, own: bool = False) -> list[str]:
        """Whole checkpoints, newest first.

        Args:
          own: only those of this run, and the one that it resumed from: what a roll-back may
            use. The folder can hold older ones of a run that this one does not continue.
        """
        if self._parent is None or not storage.is_directory(self._parent):
            return []
        whole = checkpoint.whole_checkpoints(self._parent)
        return [path for path in whole if path in self._own] if own else whole

    def of_other_runs(self) -> list[str]:
        """Whole checkpoints in the folder that this run neither wrote nor goes on from: they
        are somebody's result, so they are never pruned."""
        return [path for path in self.candidates() if not self._is_ours(path)]

    def _is_ours(self, path: str) -> bool:
        if path in self._own:
            return True
        try:
            return checkpoint.read_manifest(path).state.get("run") == self._run
        except OpError:
            return False  # what cannot be read is not ours to remove

    def goes_on_from(self, path: str) -> None:
        """This run is the continuation of the one that wrote `path`: its checkpoints are ours."""
        self._run = checkpoint.read_manifest(path).state.get("run", self._run)

    def broken(self) -> list[tuple[str, str]]:
        """(path, fault) of the finished checkpoints that are not whole, newest name first."""
        if self._parent is None or not storage.is_directory(self._parent):
            return []
        return checkpoint.broken_checkpoints(self._parent)

    def refuse_broken(self) -> None:
        """Raises DataLossError if there are finished checkpoints and none of them is whole:
        to begin anew in silence would hide the loss."""
        for _, fault in self.broken():
            raise DataLossError(fault)

    def written_with(self, path: str) -> dict[str, Any]:
        """Options and update rule of the job that wrote a checkpoint, as far as it tells."""
        return checkpoint.read_manifest(path).state

    @property
    def facts(self) -> dict[str, Any]:
        """Options and update rule of this job, as its checkpoints tell them."""
        return self._facts

    def position_of(self, path: str) -> Position:
        """Raises DataLossError: it is corrupt, or no training job wrote it."""
        return Position.from_json(checkpoint.read_manifest(path).state, path)

    def restored(self, path: str, steps: int) -> None:
        """It is the state of this run (written, or loaded into all shards)."""
        self.last, self._saved_steps = path, steps
        if path not in self._own:
            self._own.append(path)
