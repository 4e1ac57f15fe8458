"""`tf.keras.datasets.cifar100`: 60,000 colour pictures of 32 x 32 pixels in a hundred classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.datasets.archives import read_cifar
from shardtape.keras.image_layout import image_data_format

_SHA256: str | None = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> Any:
    """((x_train, y_train), (x_test, y_test)): uint8 images (50000, 32, 32, 3), labels (50000, 1).

    Args:
      label_mode: "fine" (a hundred classes) or "coarse" (twenty).
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            f'`label_mode` must be one of `"fine"`, `"coarse"`. Received: label_mode={label_mode}.'
        )
    out = []
    for name in ("train", "test"):
        x, y = read_cifar("cifar-100-python", "cifar-100-python.tar.gz", _SHA256, [name],
                          f"{label_mode}_labels")  # fmt: skip
        x = x if image_data_format() == "channels_first" else x.transpose(0, 2, 3, 1)
        out.append((x, np.asarray(y).reshape(-1, 1)))
    return tuple(out)
