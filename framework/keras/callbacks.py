"""Callbacks of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.keras.progress_bar import ProgressBar

_log = logging.getLogger("shardtape")


class Callback:
    """Base of callbacks: methods that `fit` calls at certain moments; `self.model` is the model."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch; `logs` has the metrics, those of the validation with `val_`."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """As `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """As `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Any = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of an evaluation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before predictions."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After predictions."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of predictions."""


class CallbackList:
    """Calls several callbacks in turn: `callbacks.on_epoch_end(3, logs)`."""

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any], *more: Callback) -> None:
        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        self.callbacks = [*[c for c in given if c is not None], *more]
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        methods = [getattr(callback, name) for callback in self.callbacks]

        def call(*args: Any) -> None:
            for method in methods:
                method(*args)

        self.__dict__[name] = call
        return call


class History(Callback):
    """Keeps the metrics of each epoch in `history`, a list by name."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class ProgbarLogger(Callback):
    """Shows a progress bar."""

    def __init__(self, verbose: int = 1) -> None:
        super().__init__()
        self.verbose = verbose
        self._bar: ProgressBar | None = None
        self._seen = 0

    def _begin(self, steps: int | None) -> None:
        self._seen = 0
        self._bar = ProgressBar(steps, self.verbose)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        import sys

        if self.params["epochs"] > 1:
            sys.stdout.write(f"Epoch {epoch + 1}/{self.params['epochs']}\n")
        self._begin(self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self.params.get("epochs"):
            self._begin(self.params["steps"])

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.params.get("epochs"):
            self._step(logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self.params.get("epochs"):
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin(self.params["steps"])

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step({})

    def on_predict_end(self, logs: Any = None) -> None:
        self._finish({})

    def _step(self, logs: Any) -> None:
        self._seen += 1
        if self._bar is not None and self.verbose == 1:
            self._bar.update(self._seen, logs or {})

    def _finish(self, logs: Any) -> None:
        if self._bar is not None:
            self._bar.target = self._bar.target or self._seen
            self._bar.update(self._seen, logs or {}, finalize=True)


class LambdaCallback(Callback):
    """Functions as a callback."""

    def __init__(
        self, on_epoch_begin: Any = None, on_epoch_end: Any = None, on_batch_begin: Any = None,
        on_batch_end: Any = None, on_train_begin: Any = None, on_train_end: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin, "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin, "on_train_end": on_train_end, **kwargs,
        }  # fmt: skip
        for name, function in given.items():
            if function is not None:
                setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stops when the loss is no number."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            _log.warning("Batch %d: Invalid loss, terminating training", batch)
            self.model.stop_training = True


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
        self._sign = improvement_sign(monitor, mode)
        self.min_delta = abs(min_delta)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = -self._sign * np.inf
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = monitored(self.monitor, logs)
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
                self.model.set_weights(self.best_weights)

    def _better(self, value: float, reference: float) -> bool:
        return self._sign * (value - reference) > self.min_delta

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            _log.warning("Epoch %d: early stopping", self.stopped_epoch + 1)


def improvement_sign(monitor: str, mode: str) -> int:
    """1 where larger is better, -1 where smaller is."""
    if mode not in ("auto", "min", "max"):
        _log.warning("mode %s is unknown, fallback to auto mode.", mode)
        mode = "auto"
    if mode == "auto":
        mode = "max" if monitor.endswith(("acc", "accuracy", "auc")) else "min"
    return 1 if mode == "max" else -1


def monitored(name: str, logs: Any) -> float | None:
    """The value of a metric; warns where there is none of the name."""
    value = (logs or {}).get(name)
    if value is None:
        _log.warning(
            "The callback monitors `%s`, which is not available. Available metrics are: %s",
            name, ",".join(logs or {}),
        )  # fmt: skip
    return value


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
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            _log.warning("Epoch %d: the learning rate is %s", epoch + 1, rate)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["lr"] = float(self.model.optimizer.learning_rate)
