"""`tf.keras.utils`: small functions for preparing data and for reproducible programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.random_seed import set_random_seed

__all__ = ["normalize", "set_random_seed", "to_categorical"]


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
