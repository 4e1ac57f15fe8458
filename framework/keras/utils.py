"""`tf.keras.utils`: small functions for preparing data and for reproducible programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.models.drawing import model_to_dot, plot_model
from shardtape.keras.progress_bar import ProgressBar
from shardtape.keras.random_seed import set_random_seed
from shardtape.keras.saving.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from shardtape.keras.saving.serialization import (
    deserialize_keras_object,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "Sequence",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "model_to_dot",
    "normalize",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
]


class Sequence:
    """Base of data that is read batch by batch: `sequence[i]`, i in 0..len - 1.

    Subclasses define `__getitem__` and `__len__`, and may define `on_epoch_end`.
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def on_epoch_end(self) -> None:
        """After each pass."""

    def __iter__(self) -> Any:
        for i in range(len(self)):
            yield self[i]


class Progbar:
    """Shows how far a loop is.

    Args:
      target: number of steps; None where it is not known.
      width, interval: accepted; the bar is laid out as in `fit`.
      verbose: 0 silent, 1 a bar, 2 one line at the end.
      stateful_metrics: names of values that are shown as they are; others are averaged.
    """

    def __init__(
        self, target: int | None, width: int = 30, verbose: int = 1, interval: float = 0.05,
        stateful_metrics: Any = None, unit_name: str = "step",
    ) -> None:  # fmt: skip
        self.target = target
        self._bar = ProgressBar(target, verbose, unit_name, stateful_metrics or ())
        self._seen = 0

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows that `current` steps are done; `values` are (name, value) pairs."""
        self._seen = current
        end = self.target is not None and current >= self.target
        self._bar.update(current, dict(values or ()), end if finalize is None else finalize)

    def add(self, n: int, values: Any = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self._seen + n, values)


def to_categorical(y: Any, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Class numbers as one-hot rows; a last axis of size 1 is taken for the classes."""
    labels = np.array(y, dtype="int")
    shape = labels.shape
    if shape and shape[-1] == 1 and len(shape) > 1:
        shape = shape[:-1]
    flat = labels.reshape(-1)
    count = int(np.max(flat)) + 1 if num_classes is None else num_classes
    rows = np.zeros((flat.shape[0], count), dtype)
    rows[np.arange(flat.shape[0]), flat] = 1
    return rows.reshape(*shape, count)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """An array over its norm of `order` along `axis`; zeros stay zeros."""
    array = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(array, order, axis))
    norm[norm == 0] = 1
    return array / np.expand_dims(norm, axis)
