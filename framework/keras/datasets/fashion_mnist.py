"""`tf.keras.datasets.fashion_mnist`: 70,000 pictures of clothes of 28 x 28 pixels."""

from __future__ import annotations

from typing import Any

from shardtape.keras.datasets.archives import read_idx

_FOLDER = "fashion-mnist"


def load_data() -> Any:
    """((x_train, y_train), (x_test, y_test)): uint8 images (60000, 28, 28) and classes (60000,)."""
    out = []
    for part in ("train", "t10k"):
        labels = read_idx(f"{part}-labels-idx1-ubyte.gz", _FOLDER, 8)
        images = read_idx(f"{part}-images-idx3-ubyte.gz", _FOLDER, 16)
        out.append((images.reshape(len(labels), 28, 28), labels))
    return tuple(out)
