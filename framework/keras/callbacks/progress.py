"""`ProgbarLogger`: the progress bar of a model's loops."""

from __future__ import annotations

from typing import Any

from shardtape.keras.callbacks.base import Callback
from shardtape.keras.progress_bar import ProgressBar, tell


class ProgbarLogger(Callback):
    """Shows a progress bar; validations inside `fit` are silent.

    Args:
      count_mode: "steps" or "samples"; steps are counted in any case.
      stateful_metrics: names of values that are shown as they are, not averaged over the epoch;
        those of the model's metrics are.
    """

    def __init__(self, count_mode: Any = "samples", stateful_metrics: Any = None) -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(
                f'Unknown `count_mode`: {count_mode}. Expected values are ["samples", "steps"]'
            )
        self._stateful = set(stateful_metrics or ())
        self._bar: ProgressBar | None = None
        self._seen = 0
        self._in_fit = False
        self._counted: int | None = None  # steps of the first epoch, where nothing said them

    def _begin(self) -> None:
        self._seen = 0
        steps = self.params.get("steps") or self._counted
        self._bar = ProgressBar(steps, self.params.get("verbose", 1))

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit, self._counted = True, None

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.params.get("verbose", 1) and self.params["epochs"] > 1:
            tell(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_fit:
            self._step(batch, logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(batch, {})

    def on_predict_end(self, logs: Any = None) -> None:
        self._finish({})

    def _step(self, batch: int, logs: Any) -> None:
        self._seen = batch + 1
        if self._bar is not None and self.params.get("verbose", 1) == 1:
            self._update(logs, False)

    def _finish(self, logs: Any) -> None:
        if self._bar is not None:
            self._bar.target = self._bar.target or self._seen
            self._counted = self._bar.target if self._in_fit else None
            self._seen = self._bar.target  # also where the data ran out, as Keras shows it
            self._update(logs, True)

    def _update(self, logs: Any, finalize: bool) -> None:
        assert self._bar is not None
        names = {m.name for m in getattr(self.model, "metrics", ())}
        self._bar.stateful_metrics = self._stateful | names
        self._bar.update(self._seen, logs or {}, finalize=finalize)
