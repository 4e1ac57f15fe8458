"""EfficientNetV2: Tan and Le, EfficientNetV2: Smaller Models and Faster Training (2021)."""

from __future__ import annotations

import math
from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import (
    entrance,
    finished,
    squeezed,
    topped,
)
from shardtape.keras.applications.efficientnet import (
    convolution_start,
    dense_start,
    preprocess_input,
)
from shardtape.keras.applications.imagenet_utils import DEVIATIONS, MEANS, decode_predictions
from shardtape.keras.models import Model

# (repeats, channels, expansion, stride, whether its convolutions are fused) of the stages
_B = (
    (1, 16, 1, 1, True), (2, 32, 4, 2, True), (2, 48, 4, 2, True), (3, 96, 4, 2, False),
    (5, 112, 6, 1, False), (8, 192, 6, 2, False),
)  # fmt: skip
_S = (
    (2, 24, 1, 1, True), (4, 48, 4, 2, True), (4, 64, 4, 2, True), (6, 128, 4, 2, False),
    (9, 160, 6, 1, False), (15, 256, 6, 2, False),
)  # fmt: skip
_M = (
    (3, 24, 1, 1, True), (5, 48, 4, 2, True), (5, 80, 4, 2, True), (7, 160, 4, 2, False),
    (14, 176, 6, 1, False), (18, 304, 6, 2, False), (5, 512, 6, 1, False),
)  # fmt: skip
_L = (
    (4, 32, 1, 1, True), (7, 64, 4, 2, True), (7, 96, 4, 2, True), (10, 192, 4, 2, False),
    (19, 224, 6, 1, False), (25, 384, 6, 2, False), (7, 640, 6, 1, False),
)  # fmt: skip
_STEM = {_B: 32, _S: 24, _M: 24, _L: 32}
_VARIANCES = tuple(d**2 for d in DEVIATIONS)
_DROP = 0.2  # share of examples for which the last block is left out


def _by_eight(channels: float) -> int:
    """The nearest multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, name=name)(x)


def _activated(x: Any, name: str) -> Any:
    return layers.Activation("swish", name=name)(x)


def _conv(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
    return layers.Conv2D(
        filters, size, strides=stride, padding="same", use_bias=False,
        kernel_initializer=convolution_start(), name=name,
    )(x)  # fmt: skip


def _block(
    x: Any, filters: int, expansion: int, stride: int, fused: bool, drop: float, name: str
) -> Any:
    """An inverted bottleneck; fused, it has one whole convolution for two."""
    inputs, width = x, x.shape[-1]
    if expansion != 1:
        size, step = (3, stride) if fused else (1, 1)
        x = _conv(x, expansion * width, size, step, f"{name}expand_conv")
        x = _activated(_normalized(x, f"{name}expand_bn"), f"{name}expand_activation")
    if not fused:
        x = layers.DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False,
            depthwise_initializer=convolution_start(), name=f"{name}dwconv2",
        )(x)  # fmt: skip
        x = _activated(_normalized(x, f"{name}bn"), f"{name}activation")
        x = squeezed(x, max(1, int(width * 0.25)), convolution_start, name)
    alone = fused and expansion == 1
    size, step = (3, stride) if alone else (1, 1)
    x = _normalized(_conv(x, filters, size, step, f"{name}project_conv"), f"{name}project_bn")
    if alone:
        x = _activated(x, f"{name}project_activation")
    if stride == 1 and width == filters:
        if drop > 0:
            x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.Add(name=f"{name}add")([x, inputs])
    return x


def _efficientnet(
    name: str, stages: Any, scales: tuple[float, float, int], include_top: bool, weights: Any,
    input_tensor: Any, input_shape: Any, pooling: str | None, classes: int, activation: Any,
    include_preprocessing: bool,
) -> Model:  # fmt: skip
    """Args: `scales` are those of width and depth, and the size of images."""
    wide, deep, size = scales
    inputs = x = entrance(input_shape, input_tensor, include_top, weights, classes, size)
    if include_preprocessing and stages is _B:
        x = layers.Rescaling(1.0 / 255)(x)
        x = layers.Normalization(mean=MEANS, variance=_VARIANCES)(x)
    elif include_preprocessing:
        x = layers.Rescaling(1.0 / 128.0, -1)(x)
    x = _conv(x, _by_eight(_STEM[stages] * wide), 3, 2, "stem_conv")
    x = _activated(_normalized(x, "stem_bn"), "stem_activation")
    total, done = sum(stage[0] for stage in stages), 0
    for number, (repeats, channels, expansion, stride, fused) in enumerate(stages, 1):
        for i in range(math.ceil(deep * repeats)):
            x = _block(x, _by_eight(channels * wide), expansion, stride if i == 0 else 1,
                       fused, _DROP * done / total,
                       f"block{number}{chr(ord('a') + i)}_")  # fmt: skip
            done += 1
    x = _conv(x, _by_eight(1280 * wide), 1, 1, "top_conv")
    x = _activated(_normalized(x, "top_bn"), "top_activation")
    x = topped(x, include_top, classes, activation, pooling, dropout=0.2, start=dense_start())
    return finished(inputs, x, name, weights)


def EfficientNetV2B0(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 B0, for images of 224 x 224.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
      include_preprocessing: the network scales 0 to 255 itself.
    """
    return _efficientnet("efficientnetv2-b0", _B, (1.0, 1.0, 224), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2B1(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 B1, for images of 240 x 240; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-b1", _B, (1.0, 1.1, 240), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2B2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 B2, for images of 260 x 260; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-b2", _B, (1.1, 1.2, 260), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2B3(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 B3, for images of 300 x 300; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-b3", _B, (1.2, 1.4, 300), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2S(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 S, for images of 384 x 384; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-s", _S, (1.0, 1.0, 384), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2M(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 M, for images of 480 x 480; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-m", _M, (1.0, 1.0, 480), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


def EfficientNetV2L(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """EfficientNetV2 L, for images of 480 x 480; arguments as of `EfficientNetV2B0`."""
    return _efficientnet("efficientnetv2-l", _L, (1.0, 1.0, 480), include_top, weights,
                         input_tensor, input_shape, pooling, classes, classifier_activation,
                         include_preprocessing)  # fmt: skip


__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
    "EfficientNetV2M",
    "EfficientNetV2L",
    "decode_predictions",
    "preprocess_input",
]
