"""`tf.keras.datasets.cifar10`: 60,000 colour pictures of 32 x 32 pixels in ten classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.datasets.archives import read_cifar
from shardtape.keras.image_layout import image_data_format

_SHA256: str | None = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> Any:
    """((x_train, y_train), (x_test, y_test)): uint8 images (50000, 32, 32, 3), labels (n, 1)."""
    out = []
    for names in ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]):
        x, y = read_cifar("cifar-10-batches-py", "cifar-10-python.tar.gz", _SHA256, names, "labels")
        x = x if image_data_format() == "channels_first" else x.transpose(0, 2, 3, 1)
        out.append((x, np.asarray(y, "uint8").reshape(-1, 1)))
    return tuple(out)
