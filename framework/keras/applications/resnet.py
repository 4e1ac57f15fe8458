"""ResNet: He et al., Deep Residual Learning for Image Recognition (2015)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, topped
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

_EPSILON = 1.001e-5


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as these networks expect them: BGR, minus the means of ImageNet."""
    return _scaled(x, data_format, mode="caffe")


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)


def _block(x: Any, filters: int, stride: int, widens: bool, name: str) -> Any:
    """Three convolutions beside a way around them."""
    around = x
    if widens:
        around = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        around = _normalized(around, f"{name}_0_bn")
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = layers.Activation("relu", name=f"{name}_1_relu")(_normalized(x, f"{name}_1_bn"))
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = layers.Activation("relu", name=f"{name}_2_relu")(_normalized(x, f"{name}_2_bn"))
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = layers.Add(name=f"{name}_add")([around, _normalized(x, f"{name}_3_bn")])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _resnet(
    name: str, blocks: tuple[int, ...], include_top: bool, weights: Any, input_tensor: Any,
    input_shape: Any, pooling: str | None, classes: int, activation: Any,
) -> Model:  # fmt: skip
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(inputs)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = layers.Activation("relu", name="conv1_relu")(_normalized(x, "conv1_bn"))
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(blocks, 2):
        for i in range(1, count + 1):
            stride = 2 if i == 1 and stage > 2 else 1
            x = _block(x, 16 << stage, stride, i == 1, f"conv{stage}_block{i}")
    x = topped(x, include_top, classes, activation, pooling)
    return finished(inputs, x, name, weights)


def ResNet50(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 50 layers.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return _resnet("resnet50", (3, 4, 6, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


def ResNet101(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 101 layers; arguments as of `ResNet50`."""
    return _resnet("resnet101", (3, 4, 23, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


def ResNet152(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """ResNet of 152 layers; arguments as of `ResNet50`."""
    return _resnet("resnet152", (3, 8, 36, 3), include_top, weights, input_tensor, input_shape,
                   pooling, classes, classifier_activation)  # fmt: skip


__all__ = ["ResNet101", "ResNet152", "ResNet50", "decode_predictions", "preprocess_input"]
