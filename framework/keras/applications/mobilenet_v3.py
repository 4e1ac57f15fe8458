"""MobileNetV3: Howard et al., Searching for MobileNetV3 (2019)."""

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
from shardtape.keras.models import Model

# (expansion, channels, large window, stride, gated, hard swish) of the blocks
_SMALL = (
    (1, 16, False, 2, True, False), (72 / 16, 24, False, 2, False, False),
    (88 / 24, 24, False, 1, False, False), (4, 40, True, 2, True, True),
    (6, 40, True, 1, True, True), (6, 40, True, 1, True, True), (3, 48, True, 1, True, True),
    (3, 48, True, 1, True, True), (6, 96, True, 2, True, True), (6, 96, True, 1, True, True),
    (6, 96, True, 1, True, True),
)  # fmt: skip
_LARGE = (
    (1, 16, False, 1, False, False), (4, 24, False, 2, False, False),
    (3, 24, False, 1, False, False), (3, 40, True, 2, True, False), (3, 40, True, 1, True, False),
    (3, 40, True, 1, True, False), (6, 80, False, 2, False, True), (2.5, 80, False, 1, False, True),
    (2.3, 80, False, 1, False, True), (2.3, 80, False, 1, False, True),
    (6, 112, False, 1, True, True), (6, 112, False, 1, True, True), (6, 160, True, 2, True, True),
    (6, 160, True, 1, True, True), (6, 160, True, 1, True, True),
)  # fmt: skip


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the networks scale 0 to 255 themselves."""
    return x


def _hard_sigmoid(x: Any) -> Any:
    return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


def _activated(x: Any, hard: bool) -> Any:
    return layers.Multiply()([x, _hard_sigmoid(x)]) if hard else layers.ReLU()(x)


def _normalized(x: Any, name: str) -> Any:
    name = f"{name}/BatchNorm"
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _gated(x: Any, name: str) -> Any:
    """Images with a gate for each channel, which depends on the means of all channels."""
    channels = x.shape[-1]
    name = f"{name}squeeze_excite/"
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}AvgPool")(x)
    gate = layers.Conv2D(channels_by_eight(channels * 0.25), 1, padding="same",
                         name=f"{name}Conv")(gate)  # fmt: skip
    gate = layers.ReLU(name=f"{name}Relu")(gate)
    gate = layers.Conv2D(channels, 1, padding="same", name=f"{name}Conv_1")(gate)
    return layers.Multiply(name=f"{name}Mul")([x, _hard_sigmoid(gate)])


def _block(
    x: Any, expansion: float, channels: int, window: int, stride: int, gated: bool, hard: bool,
    number: int,
) -> Any:  # fmt: skip
    inputs, width = x, x.shape[-1]
    name = f"expanded_conv_{number}/" if number else "expanded_conv/"
    if number:
        x = layers.Conv2D(channels_by_eight(width * expansion), 1, padding="same", use_bias=False,
                          name=f"{name}expand")(x)  # fmt: skip
        x = _activated(_normalized(x, f"{name}expand"), hard)
    if stride == 2:
        x = layers.ZeroPadding2D(margins(x, window), name=f"{name}depthwise/pad")(x)
    x = layers.DepthwiseConv2D(window, strides=stride, padding="same" if stride == 1 else "valid",
                               use_bias=False, name=f"{name}depthwise")(x)  # fmt: skip
    x = _activated(_normalized(x, f"{name}depthwise"), hard)
    if gated:
        x = _gated(x, name)
    x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _normalized(x, f"{name}project")
    return layers.Add(name=f"{name}Add")([inputs, x]) if stride == 1 and width == channels else x


def _mobilenet(
    name: str, blocks: Any, last: int, input_shape: Any, alpha: float, minimalistic: bool,
    include_top: bool, weights: Any, input_tensor: Any, classes: int, pooling: str | None,
    dropout_rate: float, activation: Any, include_preprocessing: bool,
) -> Model:  # fmt: skip
    inputs = x = entrance(input_shape, input_tensor, include_top, weights, classes, None)
    if include_preprocessing:
        x = layers.Rescaling(1.0 / 127.5, -1.0)(x)
    hard = not minimalistic
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="Conv")(x)
    x = _activated(_normalized(x, "Conv"), hard)
    for number, (expansion, channels, large, stride, gated, swish) in enumerate(blocks):
        x = _block(x, expansion, channels_by_eight(channels * alpha), 5 if large and hard else 3,
                   stride, gated and hard, swish and hard, number)  # fmt: skip
    x = layers.Conv2D(channels_by_eight(x.shape[-1] * 6), 1, padding="same", use_bias=False,
                      name="Conv_1")(x)  # fmt: skip
    x = _activated(_normalized(x, "Conv_1"), hard)
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        last = channels_by_eight(last * alpha) if alpha > 1.0 else last
        x = layers.Conv2D(last, 1, padding="same", name="Conv_2")(x)
        x = _activated(x, hard)
        if dropout_rate > 0:
            x = layers.Dropout(dropout_rate)(x)
        x = layers.Conv2D(classes, 1, padding="same", name="Logits")(x)
        x = layers.Flatten()(x)
        x = layers.Activation(activation, name="Predictions")(x)
    else:
        x = pooled(x, pooling, ("avg_pool", "max_pool"))
    return finished(inputs, x, name, weights)


def MobileNetV3Small(
    input_shape: Any = None, alpha: float = 1.0, minimalistic: bool = False,
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    classes: int = 1000, pooling: str | None = None, dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """The small MobileNetV3.

    Args:
      input_shape, input_tensor: the shape of the input (default of any size), or the input.
      alpha: factor of the channels.
      minimalistic: without gates, hard swish and windows of 5.
      include_top: with the layers that classify.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      pooling: without a top "avg" or "max" pools the features.
      dropout_rate: before the top.
      include_preprocessing: the network scales 0 to 255 itself.
    """
    return _mobilenet("MobilenetV3small", _SMALL, 1024, input_shape, alpha, minimalistic,
                      include_top, weights, input_tensor, classes, pooling, dropout_rate,
                      classifier_activation, include_preprocessing)  # fmt: skip


def MobileNetV3Large(
    input_shape: Any = None, alpha: float = 1.0, minimalistic: bool = False,
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    classes: int = 1000, pooling: str | None = None, dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax", include_preprocessing: bool = True,
) -> Model:  # fmt: skip
    """The large MobileNetV3; arguments as of `MobileNetV3Small`."""
    return _mobilenet("MobilenetV3large", _LARGE, 1280, input_shape, alpha, minimalistic,
                      include_top, weights, input_tensor, classes, pooling, dropout_rate,
                      classifier_activation, include_preprocessing)  # fmt: skip


__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]
