"""Callbacks that watch a metric: they stop training or change the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.keras.callbacks.base import Callback, improvement_sign, monitored
from shardtape.keras.progress_bar import tell


def _rises(name: str) -> bool:
    return name.endswith(("acc", "accuracy", "auc"))


class EarlyStopping(Callback):
    """Stops when a metric no longer improves.

    Args:
      monitor: its name.
      min_delta: less is no improvement.
      patience: epochs without improvement after which it stops.
      mode: "min", "max" or "auto" (by the name).
      baseline: value that must be beaten.
      restore_best_weights: go back to the weights of the best epoch.
      start_from_epoch: earlier epochs do not count.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0,
        verbose: int = 0, mode: str = "auto", baseline: float | None = None,
        restore_best_weights: bool = False, start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.monitor, self.patience, self.verbose = monitor, patience, verbose
        self.baseline, self.restore_best_weights = baseline, restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._sign = improvement_sign(monitor, mode, _rises)
        self.monitor_op = np.greater if self._sign > 0 else np.less
        self.min_delta = abs(min_delta)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = -self._sign * np.inf
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
        self.wait += 1
        if self._better(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose > 0:
                    tell(
                        "Restoring model weights from the end of the best epoch: "
                        f"{self.best_epoch + 1}."
                    )
                self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Any) -> Any:
        """The value of the metric in an epoch's logs, None where it is not there."""
        return monitored(self.monitor, logs)

    def _better(self, value: float, reference: float) -> bool:
        return self._sign * (value - reference) > self.min_delta

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            tell(f"Epoch {self.stopped_epoch + 1}: early stopping")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch: `schedule(epoch)` or `schedule(epoch, rate)`."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)) and not hasattr(rate, "dtype"):
            raise ValueError(f'The output of the "schedule" function should be float. Got: {rate}')
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            tell(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["lr"] = np.float32(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a metric no longer improves.

    Args:
      monitor: its name.
      factor: < 1, of the learning rate.
      patience: epochs without improvement after which it is lowered.
      mode: "min", "max" or "auto" (by the name).
      min_delta: less is no improvement.
      cooldown: epochs after a reduction in which nothing is counted.
      min_lr: it does not get lower.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10,
        verbose: int = 0, mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0,
        min_lr: float = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Got {factor}")
        self.monitor, self.factor, self.patience = monitor, factor, patience
        self.verbose, self.mode, self.cooldown, self.min_lr = verbose, mode, cooldown, min_lr
        self.min_delta = kwargs.pop("epsilon", min_delta)
        self._reset()

    def _reset(self) -> None:
        self._sign = improvement_sign(self.monitor, self.mode, lambda name: "acc" in name)
        self.best = -self._sign * np.inf
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        optimizer = self.model.optimizer
        logs["lr"] = np.float32(optimizer.learning_rate)
        current = monitored(self.monitor, logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._sign * (current - self.best) > self.min_delta:
            self.best, self.wait = current, 0
            return
        if self.in_cooldown():
            return
        self.wait += 1
        if self.wait < self.patience or logs["lr"] <= np.float32(self.min_lr):
            return
        rate = max(float(logs["lr"]) * self.factor, self.min_lr)
        optimizer.learning_rate = rate
        if self.verbose > 0:
            tell(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        self.cooldown_counter, self.wait = self.cooldown, 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0
