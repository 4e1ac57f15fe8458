"""`TensorBoard`: event files of a model's training."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import numpy as np

from shardtape import summary
from shardtape.graph.graphdef import graph_def
from shardtape.keras.callbacks.base import Callback
from shardtape.optimizers.schedules import LearningRateSchedule
from shardtape.summary.encoding import plugin_metadata

_log = logging.getLogger("shardtape")


class TensorBoard(Callback):
    """Writes metrics, histograms of weights and the graph for TensorBoard.

    Args:
      log_dir: the files are in its folders `train` and `validation`.
      histogram_freq: epochs between two histograms of the weights; 0: none.
      write_graph: write the graph of the train step, and that of the layers.
      write_images: show weights as images, with the histograms.
      write_steps_per_second: write how many steps a second are done.
      update_freq: "epoch", "batch", or a number of batches between two points of the metrics.
      profile_batch, embeddings_freq, embeddings_metadata: accepted, without effect.
    """

    def __init__(
        self, log_dir: Any = "logs", histogram_freq: int = 0, write_graph: bool = True,
        write_images: bool = False, write_steps_per_second: bool = False,
        update_freq: Any = "epoch", profile_batch: Any = 0, embeddings_freq: int = 0,
        embeddings_metadata: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.log_dir, self.histogram_freq = os.fspath(log_dir), histogram_freq
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if embeddings_freq:
            _log.warning("TensorBoard: embeddings are not written (embeddings_freq is ignored)")
        self._writers: dict[str, Any] = {}
        self._steps = self._epoch_began_at = 0
        self._graph_written = False
        self._epoch_time = self._batch_time = time.monotonic()

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            self._writers[name] = summary.create_file_writer(os.path.join(self.log_dir, name))
        return self._writers[name]

    def on_train_begin(self, logs: Any = None) -> None:
        self._steps, self._graph_written = 0, False
        self._default: Any = None
        if self.write_graph:
            self._write_model()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_began_at, self._epoch_time = self._steps, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_time = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.write_graph and not self._graph_written:
            self._write_graph()
        if isinstance(self.update_freq, int) and self._steps % self.update_freq == 0:
            with self._writer("train").as_default(self._steps):
                for name, value in (logs or {}).items():
                    summary.scalar(f"batch_{name}", value)
                if self.write_steps_per_second:
                    elapsed = max(time.monotonic() - self._batch_time, 1e-9)
                    summary.scalar("batch_steps_per_second", 1 / elapsed)
        self._steps += 1

    def _write_model(self) -> None:
        """Writes the layers of a Sequential or functional model, as the "keras" graph."""
        if self.model._network is None and type(self.model).__name__ != "Sequential":
            return
        try:
            described = self.model.to_json()
        except (NotImplementedError, TypeError, ValueError) as error:
            _log.warning("TensorBoard: the layers are not written as a graph: %s", error)
            return
        with self._writer("train").as_default():
            summary.write("keras", described, 0, plugin_metadata("graph_keras_model", content=b"1"))

    def _write_graph(self) -> None:
        self._graph_written = True
        concrete = self.model._step_function("train_step").concrete()
        if concrete is None:  # the model runs eagerly
            return
        with self._writer("train").as_default():
            summary.graph(graph_def(concrete.graph, add_shapes=True))

    def on_test_end(self, logs: Any = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None or not logs:
            return
        with self._writer("validation").as_default(int(optimizer.iterations)):
            for name, value in logs.items():
                if np.ndim(value) == 0:
                    summary.scalar(f"evaluation_{name}_vs_iterations", value)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = {n: v for n, v in (logs or {}).items() if np.ndim(v) == 0}
        train = {n: v for n, v in values.items() if not n.startswith("val_")}
        rule = getattr(getattr(self.model, "optimizer", None), "rule", None)
        if isinstance(getattr(rule, "learning_rate", None), LearningRateSchedule):
            train["learning_rate"] = self.model.optimizer.current_learning_rate()
        if self.write_steps_per_second:
            elapsed = max(time.monotonic() - self._epoch_time, 1e-9)
            train["steps_per_second"] = (self._steps - self._epoch_began_at) / elapsed
        with self._writer("train").as_default(epoch):
            for name, value in train.items():
                summary.scalar(f"epoch_{name}", value)
        held = {n[4:]: v for n, v in values.items() if n.startswith("val_")}
        if held:
            with self._writer("validation").as_default(epoch):
                for name, value in held.items():
                    summary.scalar(f"epoch_{name}", value)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)

    def _write_weights(self, epoch: int) -> None:
        with self._writer("train").as_default(epoch):
            for layer in self.model.layers:
                for weight in layer.weights:
                    name = weight.name.replace(":", "_")
                    summary.histogram(f"{name}/histogram", weight)
                    if self.write_images:
                        image = _as_image(weight.numpy())
                        if image is not None:
                            summary.image(f"{name}/image", image)

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _as_image(weight: np.ndarray) -> np.ndarray | None:
    """A weight as images (k, h, w, channels) of values in 0..1, or None where it cannot be one."""
    w = np.squeeze(weight)
    if w.ndim == 1:
        w = w.reshape(1, -1, 1, 1)
    elif w.ndim == 2:
        w = (w.T if w.shape[0] > w.shape[1] else w)[None, ..., None]
    elif w.ndim == 3:
        w = np.transpose(w, (2, 0, 1))[..., None]
    elif w.ndim != 4:
        return None
    if w.ndim != 4 or w.shape[-1] not in (1, 3, 4):
        return None
    low, high = w.min(), w.max()
    return ((w - low) / (high - low or 1)).astype(np.float32)
