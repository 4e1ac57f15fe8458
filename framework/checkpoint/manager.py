"""`tf.train.CheckpointManager`: numbered checkpoints of one object, old ones removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shardtape import storage
from shardtape.checkpoint.directory import remove_checkpoint, whole_checkpoints
from shardtape.checkpoint.manifest import read_manifest
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.checkpoint.state_file import update_checkpoint_state


class CheckpointManager:
    """Keeps the newest checkpoints of an object in a folder.

    Args:
      checkpoint: a `tf.train.Checkpoint`.
      directory: folder; what is in it already belongs to the manager.
      max_to_keep: how many stay; None keeps all.
      keep_checkpoint_every_n_hours: one in this time stays in addition.
      checkpoint_name: start of the names, which end in a number.
      step_counter: int Variable; needed with `checkpoint_interval`.
      checkpoint_interval: steps that must lie between two checkpoints.
      init_fn: called by `restore_or_initialize` where there is no checkpoint.

    Raises:
      ValueError: `max_to_keep` is not positive, or an interval comes without a counter.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: storage.Path,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], Any] | None = None,
    ) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(
                f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}"
            )
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("`step_counter` should be passed with `checkpoint_interval`")
        self._checkpoint = checkpoint
        self._directory = storage.text(directory).rstrip("/")
        self._max_to_keep = max_to_keep
        self._keep_every_s = (
            None if keep_checkpoint_every_n_hours is None else keep_checkpoint_every_n_hours * 3600
        )
        self._prefix = storage.join(self._directory, checkpoint_name)
        self._step_counter, self._interval = step_counter, checkpoint_interval
        self._init_fn = init_fn
        self._last_step: int | None = None
        found = whole_checkpoints(self._directory)[::-1]
        # What an earlier manager left beyond its limit, it had kept for its age.
        kept = 0 if max_to_keep is None else max(0, len(found) - max_to_keep)
        self._checkpoints = found[kept:]
        self._times = {path: read_manifest(path).time for path in self._checkpoints}
        self._last_kept_s = read_manifest(found[kept - 1]).time if kept else time.time()

    @property
    def checkpoint(self) -> Checkpoint:
        """What is saved."""
        return self._checkpoint

    @property
    def directory(self) -> str:
        """The folder."""
        return self._directory

    @property
    def checkpoint_interval(self) -> int | None:
        """Steps that must lie between two checkpoints."""
        return self._interval

    @property
    def checkpoints(self) -> list[str]:
        """Paths of the checkpoints that count for `max_to_keep`, the oldest first."""
        return list(self._checkpoints)

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the newest, or None."""
        return self._checkpoints[-1] if self._checkpoints else None

    def save(
        self, checkpoint_number: Any = None, check_interval: bool = True, options: Any = None
    ) -> str | None:
        """Writes a checkpoint and removes the oldest beyond `max_to_keep`.

        Args:
          checkpoint_number: number in its name; if None, the count of saves.
          check_interval: whether `checkpoint_interval` counts.

        Returns:
          Its path, or None if the interval has not passed.
        """
        if self._interval is not None:
            step = int(self._step_counter)
            due = self._last_step is None or step >= self._last_step + self._interval
            if check_interval and not due:
                return None
            self._last_step = step
        if checkpoint_number is None:
            path = self._checkpoint._write_next(self._prefix)
        else:
            self._checkpoint.save_counter.assign_add(1)
            path = self._checkpoint.write(f"{self._prefix}-{int(checkpoint_number)}")
        self._checkpoints = [p for p in self._checkpoints if p != path] + [path]
        self._times[path] = time.time()
        old = self._taken_out()
        # the file names nothing that is about to go, whenever the process is killed
        update_checkpoint_state(
            self._directory, path, self._checkpoints,
            all_model_checkpoint_timestamps=[self._times[p] for p in self._checkpoints],
            last_preserved_timestamp=self._last_kept_s,
        )  # fmt: skip
        for other in old:
            remove_checkpoint(other)
        return path

    def _taken_out(self) -> list[str]:
        """Those beyond `max_to_keep` that do not stay for their age."""
        old = []
        while self._max_to_keep is not None and len(self._checkpoints) > self._max_to_keep:
            path = self._checkpoints.pop(0)
            written = self._times.pop(path)
            if self._keep_every_s is not None and (
                written - self._keep_every_s >= self._last_kept_s
            ):
                self._last_kept_s = written
                continue
            old.append(path)
        return old

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint; where there is none, calls `init_fn`.

        Returns:
          The path that was restored, or None.
        """
        if self.latest_checkpoint is not None:
            self._checkpoint.restore(self.latest_checkpoint).assert_existing_objects_matched()
            if self._step_counter is not None:
                self._last_step = int(self._step_counter)
            return self.latest_checkpoint
        if self._init_fn is not None:
            self._init_fn()
        return None
