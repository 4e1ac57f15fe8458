"""`tf.keras.utils`: small functions for preparing data and for reproducible programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.data_sequence import Sequence
from shardtape.keras.downloads import get_file
from shardtape.keras.embedding_transfer import warmstart_embedding_matrix
from shardtape.keras.enqueuers import (
    GeneratorEnqueuer,
    OrderedEnqueuer,
    SequenceEnqueuer,
    TimedThread,
)
from shardtape.keras.feature_space import FeatureSpace
from shardtape.keras.legacy_names import experimental, legacy
from shardtape.keras.models.batches import packed, unpack
from shardtape.keras.models.drawing import model_to_dot, plot_model
from shardtape.keras.preprocessing.folders import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from shardtape.keras.preprocessing.image_files import (
    array_to_img,
    img_to_array,
    load_img,
    save_img,
)
from shardtape.keras.preprocessing.sequence import pad_sequences
from shardtape.keras.preprocessing.splitting import split_dataset
from shardtape.keras.preprocessing.timeseries import timeseries_dataset_from_array
from shardtape.keras.progress_bar import (
    ProgressBar,
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from shardtape.keras.random_seed import set_random_seed
from shardtape.keras.saving.object_forms import (
    deserialize_keras_object,
    serialize_keras_object,
)
from shardtape.keras.saving.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from shardtape.keras.sidecar import SidecarEvaluator
from shardtape.keras.symbolic import node_of

__all__ = [
    "CustomObjectScope",
    "FeatureSpace",
    "GeneratorEnqueuer",
    "OrderedEnqueuer",
    "Progbar",
    "Sequence",
    "SequenceEnqueuer",
    "SidecarEvaluator",
    "TimedThread",
    "array_to_img",
    "audio_dataset_from_directory",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "experimental",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "to_ordinal",
    "unpack_x_y_sample_weight",
    "warmstart_embedding_matrix",
]


def get_source_inputs(tensor: Any, layer: Any = None, node_index: Any = None) -> list[Any]:
    """The inputs that a symbolic tensor is computed from."""
    found: list[Any] = []
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        t = stack.pop(0)
        if t._id in seen:
            continue
        seen.add(t._id)
        before = list(node_of(t).inputs())
        if before:
            stack.extend(before)
        else:
            found.append(t)
    return found


class Progbar:
    """Shows how far a loop is.

    Args:
      target: number of steps; None where it is not known.
      width: characters of the whole bar.
      interval: accepted; the bar moves as often as in `fit`.
      verbose: 0 silent, 1 a bar, 2 one line at the end.
      stateful_metrics: names of values that are shown as they are; others are averaged.
    """

    def __init__(
        self, target: int | None, width: int = 30, verbose: int = 1, interval: float = 0.05,
        stateful_metrics: Any = None, unit_name: str = "step",
    ) -> None:  # fmt: skip
        self.target = target
        self._bar = ProgressBar(target, verbose, unit_name, stateful_metrics or (), width)
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


def to_ordinal(y: Any, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Class numbers k as rows of num_classes - 1 numbers, of which the first k are 1."""
    labels = np.array(y, dtype="int")
    shape = labels.shape
    if shape and shape[-1] == 1 and len(shape) > 1:
        shape = shape[:-1]
    flat = labels.reshape(-1)
    count = int(np.max(flat)) + 1 if num_classes is None else num_classes
    rows = np.arange(count - 1) < flat[:, None]
    return rows.astype(dtype).reshape(*shape, count - 1)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """x alone, (x, y) or (x, y, sample_weight), as `fit` hands them to `train_step`."""
    return packed(x, y, None if y is None else sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of what `train_step` was given; None for what is not there."""
    return unpack(data)
