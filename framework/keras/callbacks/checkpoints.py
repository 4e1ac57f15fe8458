"""Callbacks that save the model, or the state of training."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from typing import Any

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint.directory import remove_checkpoint
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.checkpoint.part import INDEX
from shardtape.keras.callbacks.base import Callback, improvement_sign
from shardtape.keras.progress_bar import tell
from shardtape.variable import Variable

_log = logging.getLogger("shardtape")


class ModelCheckpoint(Callback):
    """Saves the model or its weights after epochs or batches.

    Args:
      filepath: may name metrics and the epoch: `"{epoch:02d}-{val_loss:.2f}.keras"`.
      monitor: the metric that `save_best_only` looks at.
      save_best_only: only where it improved.
      save_weights_only: `save_weights` in place of `save`.
      mode: "min", "max" or "auto" (by the name).
      save_freq: "epoch", or a number of batches.
      initial_value_threshold: what the first value must beat.

    Raises ValueError for another `save_freq`.
    """

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0,
        save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
        save_freq: Any = "epoch", options: Any = None,
        initial_value_threshold: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.filepath, self.monitor, self.verbose = os.fspath(filepath), monitor, verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq, self.period = save_freq, kwargs.pop("period", 1)
        self.load_weights_on_restart = kwargs.pop("load_weights_on_restart", False)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f'Unrecognized save_freq: {save_freq}. Expected save_freq are "epoch" or integer'
            )
        self._sign = improvement_sign(
            monitor, mode, lambda name: "acc" in name or name.startswith("fmeasure")
        )
        start = initial_value_threshold
        self.monitor_op = np.greater if self._sign > 0 else np.less
        self.best = -self._sign * np.inf if start is None else start
        self.epochs_since_last_save = 0
        self._batches = 0
        self._last_batch = -1
        self._epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        if self.load_weights_on_restart:
            found = _latest_match(self.filepath)
            if found is not None:
                self.model.load_weights(found)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        new_epoch = batch <= self._last_batch
        self._batches += batch + 1 if new_epoch else batch - self._last_batch
        self._last_batch = batch
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs_since_last_save += 1
        if self.save_freq == "epoch" and self.epochs_since_last_save >= self.period:
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        self.epochs_since_last_save = 0
        path = self._path(epoch, batch, logs)
        folder = os.path.dirname(path)
        if folder and not storage.is_remote(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_best_only:
            current = logs.get(self.monitor)
            if current is None:
                _log.warning("Can save best model only with %s available, skipping.", self.monitor)
                return
            if self._sign * (current - self.best) <= 0 or np.isnan(current):
                if self.verbose > 0:
                    tell(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from "
                         f"{self.best:.5f}")  # fmt: skip
                return
            if self.verbose > 0:
                tell(f"\nEpoch {epoch + 1}: {self.monitor} improved from {self.best:.5f} to "
                     f"{current:.5f}, saving model to {path}")  # fmt: skip
            self.best = current
        elif self.verbose > 0:
            tell(f"\nEpoch {epoch + 1}: saving model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        values = {**logs, "epoch": epoch + 1}
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return self.filepath.format(**values)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from None


def _latest_match(pattern: str) -> str | None:
    """The youngest file, folder or checkpoint whose name fits a pattern with placeholders."""
    folder, name = os.path.split(pattern)
    parts = re.split(r"\{.*?\}", name)
    fits = re.compile("^" + ".*".join(map(re.escape, parts)) + "$")
    if not os.path.isdir(folder or "."):
        return None
    times: dict[str, float] = {}
    for n in os.listdir(folder or "."):
        own = n.removesuffix(INDEX)
        if fits.match(own) and ".data-" not in own:
            times[os.path.join(folder, own)] = os.path.getmtime(os.path.join(folder, n))
    return max(times, key=lambda path: (times[path], path), default=None)


class BackupAndRestore(Callback):
    """Lets `fit` go on after a crash: it saves weights, optimizer and epoch as it goes.

    Args:
      backup_dir: folder for this training only.
      save_freq: "epoch", or a number of batches.
      delete_checkpoint: remove what was saved when training ends.
      save_before_preemption: accepted; there is no signal to wait for.

    Training goes on with the epoch after the last one that was saved. Where batches are counted
    it goes on inside the epoch: as many batches as were done are left out.
    """

    def __init__(
        self, backup_dir: Any, save_freq: Any = "epoch", delete_checkpoint: bool = True,
        save_before_preemption: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if not save_freq and not save_before_preemption:
            raise ValueError("Either `save_freq` or `save_before_preemption` must be set.")
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.delete_checkpoint = delete_checkpoint
        self._epoch = Variable(np.int64(-1), trainable=False, name="epoch", dtype="int64")
        self._batch = Variable(np.int64(-1), trainable=False, name="batch", dtype="int64")
        self._counted = 0
        self._current = 0

    @property
    def _path(self) -> str:
        return storage.join(self.backup_dir, "training")

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(model=self.model, epoch=self._epoch, batch=self._batch)

    def on_train_begin(self, logs: Any = None) -> None:
        self._epoch.assign(-1)
        self._batch.assign(-1)
        with contextlib.suppress(errors.NotFoundError):
            self._checkpoint().read(self._path).expect_partial()
            done, batch = int(self._epoch.numpy()), int(self._batch.numpy())
            self.model._first_epoch = done + 1 if batch < 0 else done
            self.model._first_batch = batch + 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        self._counted += 1
        if self._counted >= self.save_freq:
            self._counted = 0
            self._save(self._current, batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._save(epoch, -1)

    def _save(self, epoch: int, batch: int) -> None:
        self._epoch.assign(epoch)
        self._batch.assign(batch)
        storage.make_directory(self.backup_dir)
        self._checkpoint().write(self._path)

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint:
            with contextlib.suppress(errors.NotFoundError):
                remove_checkpoint(self._path)
