"""Xception: Chollet, Deep Learning with Depthwise Separable Convolutions (2016)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, topped
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as this network expects them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _activated(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=f"{name}_act")(x)


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _shrinking(x: Any, filters: tuple[int, int], block: int) -> Any:
    """Two separable convolutions and a maximum over windows, beside a convolution in steps."""
    around = layers.Conv2D(filters[1], 1, strides=2, padding="same", use_bias=False)(x)
    around = layers.BatchNormalization()(around)
    for i, count in enumerate(filters, 1):
        name = f"block{block}_sepconv{i}"
        if block > 2 or i > 1:  # what comes before block 2 is activated
            x = _activated(x, name)
        x = _separable(x, count, name)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return layers.Add()([x, around])


def Xception(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """Xception.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 299 x 299 x 3, at least 71 x 71).
      pooling: without a top "avg" or "max" pools the features.
    """
    inputs = x = entrance(input_shape, input_tensor, include_top, weights, classes, 299, 71)
    for i, (filters, stride) in enumerate(((32, 2), (64, 1)), 1):
        name = f"block1_conv{i}"
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = _activated(x, name)
    for block, count in ((2, 128), (3, 256), (4, 728)):
        x = _shrinking(x, (count, count), block)
    for block in range(5, 13):
        around = x
        for i in (1, 2, 3):
            name = f"block{block}_sepconv{i}"
            x = _separable(_activated(x, name), 728, name)
        x = layers.Add()([x, around])
    x = _shrinking(x, (728, 1024), 13)
    for i, filters in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{i}"
        x = _activated(_separable(x, filters, name), name)
    x = topped(x, include_top, classes, classifier_activation, pooling, (None, None))
    return finished(inputs, x, "xception", weights)


__all__ = ["Xception", "decode_predictions", "preprocess_input"]
