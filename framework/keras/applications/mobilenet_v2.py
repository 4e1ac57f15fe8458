"""MobileNetV2: Sandler et al., Inverted Residuals and Linear Bottlenecks (2018)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import (
    channels_by_eight,
    entrance,
    finished,
    margins,
    pooled,
)
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

# (channels, blocks, stride of the first one), after the first block
_STAGES = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
_EXPANSION = 6


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as this network expects them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _block(x: Any, channels: int, stride: int, expansion: int, name: str) -> Any:
    inputs, width = x, x.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(expansion * width, 1, padding="same", use_bias=False,
                          name=f"{name}_expand")(x)  # fmt: skip
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(_normalized(x, f"{name}_expand_BN"))
    if stride == 2:
        x = layers.ZeroPadding2D(margins(x, 3), name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False,
                               padding="same" if stride == 1 else "valid",
                               name=f"{name}_depthwise")(x)  # fmt: skip
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_normalized(x, f"{name}_depthwise_BN"))
    x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _normalized(x, f"{name}_project_BN")
    if width == channels and stride == 1:
        return layers.Add(name=f"{name}_add")([inputs, x])
    return x


def MobileNetV2(
    input_shape: Any = None, alpha: float = 1.0, include_top: bool = True,
    weights: Any = "imagenet", input_tensor: Any = None, pooling: str | None = None,
    classes: int = 1000, classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """MobileNetV2.

    Args:
      input_shape, input_tensor: the shape of the input (default 224 x 224 x 3), or the input.
      alpha: factor of the channels.
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      pooling: without a top "avg" or "max" pools the features.
    """
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = layers.Conv2D(channels_by_eight(32 * alpha), 3, strides=2, padding="same", use_bias=False,
                      name="Conv1")(inputs)  # fmt: skip
    x = layers.ReLU(6.0, name="Conv1_relu")(_normalized(x, "bn_Conv1"))
    x = _block(x, channels_by_eight(16 * alpha), 1, 1, "expanded_conv")
    number = 1
    for channels, count, first_stride in _STAGES:
        for i in range(count):
            stride = first_stride if i == 0 else 1
            x = _block(
                x, channels_by_eight(channels * alpha), stride, _EXPANSION, f"block_{number}"
            )
            number += 1
    last = channels_by_eight(1280 * alpha) if alpha > 1.0 else 1280
    x = layers.Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = layers.ReLU(6.0, name="out_relu")(_normalized(x, "Conv_1_bn"))
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    else:
        x = pooled(x, pooling)
    return finished(inputs, x, f"mobilenetv2_{alpha:0.2f}_{inputs.shape[1]}", weights)


__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
