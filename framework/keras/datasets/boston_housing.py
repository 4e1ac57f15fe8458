"""`tf.keras.datasets.boston_housing`: prices of 506 houses by 13 attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.datasets.archives import read_npz

_SHA256: str | None = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Any:
    """((x_train, y_train), (x_test, y_test)), float64, in an order that `seed` decides."""
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be in [0, 1), got {test_split}")
    x, y = read_npz("boston_housing.npz", _SHA256, ("x", "y"), path)
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    border = int(len(x) * (1 - test_split))
    return (x[:border], y[:border]), (x[border:], y[border:])
