"""EfficientNet: Tan and Le, Rethinking Model Scaling for Convolutional Networks (2019)."""

from __future__ import annotations

import math
from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import (
    channels_by_eight,
    entrance,
    finished,
    margins,
    squeezed,
    topped,
)
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.initializers import VarianceScaling
from shardtape.keras.models import Model

# (window, repeats, channels, expansion, stride) of the stages of B0
_STAGES = (
    (3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2), (3, 1, 320, 6, 1),
)  # fmt: skip
_DROP = 0.2  # share of examples for which the last block is left out


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the network scales 0 to 255 itself."""
    return x


def convolution_start() -> VarianceScaling:
    """The initializer of convolutions."""
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def dense_start() -> VarianceScaling:
    """The initializer of the classifying layer."""
    return VarianceScaling(1.0 / 3.0, "fan_out", "uniform")


def _activated(x: Any, bn: str, activation: str) -> Any:
    x = layers.BatchNormalization(name=bn)(x)
    return layers.Activation("swish", name=activation)(x)


def _conv(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
    return layers.Conv2D(
        filters, size, use_bias=False, kernel_initializer=convolution_start(), name=name, **options
    )(x)


def _block(
    x: Any, size: int, filters: int, expansion: int, stride: int, drop: float, name: str
) -> Any:
    """An inverted bottleneck with a gate for each channel."""
    inputs, width = x, x.shape[-1]
    if expansion != 1:
        x = _conv(x, expansion * width, 1, f"{name}expand_conv", padding="same")
        x = _activated(x, f"{name}expand_bn", f"{name}expand_activation")
    if stride == 2:
        x = layers.ZeroPadding2D(margins(x, size), name=f"{name}dwconv_pad")(x)
    x = layers.DepthwiseConv2D(
        size, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        depthwise_initializer=convolution_start(), name=f"{name}dwconv",
    )(x)  # fmt: skip
    x = _activated(x, f"{name}bn", f"{name}activation")
    x = squeezed(x, max(1, int(width * 0.25)), convolution_start, name)
    x = _conv(x, filters, 1, f"{name}project_conv", padding="same")
    x = layers.BatchNormalization(name=f"{name}project_bn")(x)
    if stride == 1 and width == filters:
        if drop > 0:
            x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.Add(name=f"{name}add")([x, inputs])
    return x


def _efficientnet(
    name: str, scales: tuple[float, float, int, float], include_top: bool, weights: Any,
    input_tensor: Any, input_shape: Any, pooling: str | None, classes: int, activation: Any,
) -> Model:  # fmt: skip
    """Args: `scales` are those of width and depth, the size of images, and the dropout."""
    wide, deep, size, dropout = scales
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes, size)
    x = layers.Rescaling(1.0 / 255.0)(inputs)
    x = layers.Normalization()(x)
    x = layers.ZeroPadding2D(margins(x, 3), name="stem_conv_pad")(x)
    x = _conv(x, channels_by_eight(32 * wide), 3, "stem_conv", strides=2, padding="valid")
    x = _activated(x, "stem_bn", "stem_activation")
    repeats = [math.ceil(deep * stage[1]) for stage in _STAGES]
    done = 0
    for stage, (window, _, channels, expansion, stride) in enumerate(_STAGES):
        for i in range(repeats[stage]):
            block = f"block{stage + 1}{chr(ord('a') + i)}_"
            x = _block(x, window, channels_by_eight(channels * wide), expansion,
                       stride if i == 0 else 1, _DROP * done / sum(repeats), block)  # fmt: skip
            done += 1
    x = _conv(x, channels_by_eight(1280 * wide), 1, "top_conv", padding="same")
    x = _activated(x, "top_bn", "top_activation")
    x = topped(x, include_top, classes, activation, pooling, dropout=dropout, start=dense_start())
    return finished(inputs, x, name, weights)


def EfficientNetB0(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B0, for images of 224 x 224.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return _efficientnet("efficientnetb0", (1.0, 1.0, 224, 0.2), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB1(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B1, for images of 240 x 240; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb1", (1.0, 1.1, 240, 0.2), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B2, for images of 260 x 260; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb2", (1.1, 1.2, 260, 0.3), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB3(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B3, for images of 300 x 300; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb3", (1.2, 1.4, 300, 0.3), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB4(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B4, for images of 380 x 380; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb4", (1.4, 1.8, 380, 0.4), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB5(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B5, for images of 456 x 456; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb5", (1.6, 2.2, 456, 0.4), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB6(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B6, for images of 528 x 528; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb6", (1.8, 2.6, 528, 0.5), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


def EfficientNetB7(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """EfficientNet B7, for images of 600 x 600; arguments as of `EfficientNetB0`."""
    return _efficientnet("efficientnetb7", (2.0, 3.1, 600, 0.5), include_top, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip


__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]
