"""ResNet with activations first: He et al., Identity Mappings in Deep Residual Networks (2016)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, topped
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

_EPSILON = 1.001e-5


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as these networks expect them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _block(x: Any, filters: int, stride: int, widens: bool, name: str) -> Any:
    """Three convolutions, each behind its activation, beside a way around them."""
    first = _activated(x, f"{name}_preact")
    if widens:
        around = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(first)
    else:
        around = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(first)
    x = _activated(x, f"{name}_1")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _activated(x, f"{name}_2")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([around, x])


def _resnet(
    name: str, blocks: tuple[int, ...], include_top: bool, weights: Any, input_tensor: Any,
    input_shape: Any, pooling: str | None, classes: int, activation: Any,
) -> Model:  # fmt: skip
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(inputs)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(blocks, 2):
        for i in range(1, count + 1):
            stride = 2 if i == count and stage < 5 else 1
            x = _block(x, 16 << stage, stride, i == 1, f"conv{stage}_block{i}")
    x = _activated(x, "post")
    x = topped(x, include_top, classes, activation, pooling)
    return finished(inputs, x, name, weights)


def ResNet50V2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 50 layers with activations first.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return _resnet("resnet50v2", (3, 4, 6, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


def ResNet101V2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 101 layers with activations first; arguments as of `ResNet50V2`."""
    return _resnet("resnet101v2", (3, 4, 23, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


def ResNet152V2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 152 layers with activations first; arguments as of `ResNet50V2`."""
    return _resnet("resnet152v2", (3, 8, 36, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


__all__ = ["ResNet101V2", "ResNet152V2", "ResNet50V2", "decode_predictions", "preprocess_input"]
