"""`tf.keras.utils.SidecarEvaluator`: evaluates the checkpoints that another process writes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from shardtape.checkpoint.following import checkpoints_iterator
from shardtape.checkpoint.object_checkpoint import Checkpoint

_log = logging.getLogger("shardtape")


class SidecarEvaluator:
    """Loads each new checkpoint of a folder into a model, and evaluates it.

    Args:
      model: compiled, of the form of the one that is trained.
      data: a Dataset (or what `evaluate` takes as its first argument).
      checkpoint_dir: where `ModelCheckpoint(save_weights_only=True)` or a `tf.train.Checkpoint` of
        `model` and `optimizer` writes.
      steps: batches of an evaluation.
      max_evaluations: after so many it ends; None goes on for ever.
      callbacks: of the evaluations.
    """

    def __init__(
        self, model: Any, data: Any, checkpoint_dir: Any, steps: int | None = None,
        max_evaluations: int | None = None, callbacks: Iterable[Any] | None = None,
    ) -> None:  # fmt: skip
        self.model, self.data, self.checkpoint_dir = model, data, checkpoint_dir
        self.steps, self.max_evaluations = steps, max_evaluations
        self.callbacks = list(callbacks or [])
        self._evaluations = 0

    def start(self) -> list[dict[str, float]]:
        """Evaluates until it ends; returns the metrics of each evaluation.

        Raises RuntimeError for a model that is not compiled.
        """
        if self.model.optimizer is None:
            raise RuntimeError("SidecarEvaluator needs a model that is compiled: call compile()")
        found: list[dict[str, float]] = []
        if self.max_evaluations == 0:
            return found
        for path in checkpoints_iterator(self.checkpoint_dir):
            reader = Checkpoint(model=self.model, optimizer=self.model.optimizer)
            reader.restore(path).expect_partial()
            _log.info("Evaluation starts: model weights loaded from checkpoint file %s.", path)
            metrics = self.model.evaluate(
                self.data, steps=self.steps, callbacks=self.callbacks, verbose=0, return_dict=True
            )
            found.append(metrics)
            self._evaluations += 1
            shown = ", ".join(f"{name}={value}" for name, value in metrics.items())
            _log.info("End of evaluation. Metrics: %s", shown)
            if self.max_evaluations is not None and self._evaluations >= self.max_evaluations:
                break
        return found
