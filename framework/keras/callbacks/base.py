"""`Callback`, lists of them, and the small ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.keras.progress_bar import tell

_log = logging.getLogger("shardtape")


class Callback:
    """Base of callbacks: methods that `fit` calls at certain moments; `self.model` is the model."""

    validation_data: Any = None  # what older callbacks read

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
    """Calls several callbacks in turn: `callbacks.on_epoch_end(3, logs)`.

    Args:
      add_history, add_progbar: add a `History` and a `ProgbarLogger`.
      model: what the callbacks' `model` is.
      params: what the callbacks' `params` are (verbose, epochs, steps).
    """

    def __init__(
        self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False,
        model: Any = None, params: dict[str, Any] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        self.callbacks: list[Any] = [c for c in given if c is not None]
        self.params = {**more} if params is None else params
        if add_progbar:
            from shardtape.keras.callbacks.progress import ProgbarLogger

            if not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
                self.callbacks.append(ProgbarLogger("steps"))
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(self.params)
        self.model = model

    def set_model(self, model: Any) -> None:
        """Hands a model to all callbacks."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hands the parameters of the training to all callbacks."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def append(self, callback: Any) -> None:
        """Adds a callback at the end."""
        callback.set_model(self.model)
        callback.set_params(self.params)
        self.callbacks.append(callback)

    def __iter__(self) -> Any:
        return iter(self.callbacks)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> None:
            for callback in self.callbacks:
                getattr(callback, name)(*args, **kwargs)

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
            tell(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


def improvement_sign(monitor: str, mode: str, rises: Callable[[str], bool]) -> int:
    """1 where larger is better, -1 where smaller is; `rises` tells it by the name."""
    if mode not in ("auto", "min", "max"):
        _log.warning("mode %s is unknown, fallback to auto mode.", mode)
        mode = "auto"
    if mode == "auto":
        mode = "max" if rises(monitor) else "min"
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
