"""`tf.keras.datasets.mnist`: 70,000 handwritten digits of 28 x 28 pixels."""

from __future__ import annotations

from typing import Any

from shardtape.keras.datasets.archives import read_npz

_SHA256: str | None = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> Any:
    """((x_train, y_train), (x_test, y_test)): uint8 images (60000, 28, 28) and digits (60000,).

    Args:
      path: the name in ~/.keras/datasets, where the file is kept after the first download.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    x, y, x_test, y_test = read_npz("mnist.npz", _SHA256, names, path)
    return (x, y), (x_test, y_test)
