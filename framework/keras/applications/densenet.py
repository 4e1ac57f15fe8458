"""DenseNet: Huang et al., Densely Connected Convolutional Networks (2016)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, topped
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

_EPSILON = 1.001e-5
_GROWTH = 32  # channels that each block adds


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as these networks expect them: 0 to 1, minus means, over deviations."""
    return _scaled(x, data_format, mode="torch")


def _activated(x: Any, bn: str, relu: str) -> Any:
    x = layers.BatchNormalization(epsilon=_EPSILON, name=bn)(x)
    return layers.Activation("relu", name=relu)(x)


def _block(x: Any, name: str) -> Any:
    """What is there, beside two convolutions of it."""
    made = _activated(x, f"{name}_0_bn", f"{name}_0_relu")
    made = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(made)
    made = _activated(made, f"{name}_1_bn", f"{name}_1_relu")
    made = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(made)
    return layers.Concatenate(name=f"{name}_concat")([x, made])


def _densenet(
    name: str, blocks: tuple[int, ...], include_top: bool, weights: Any, input_tensor: Any,
    input_shape: Any, pooling: str | None, classes: int, activation: Any,
) -> Model:  # fmt: skip
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = layers.ZeroPadding2D(((3, 3), (3, 3)))(inputs)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1/conv")(x)
    x = _activated(x, "conv1/bn", "conv1/relu")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)))(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, count in enumerate(blocks, 2):
        if stage > 2:  # half the channels and half the size
            before = f"pool{stage - 1}"
            x = _activated(x, f"{before}_bn", f"{before}_relu")
            x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{before}_conv")(x)
            x = layers.AveragePooling2D(2, strides=2, name=f"{before}_pool")(x)
        for i in range(1, count + 1):
            x = _block(x, f"conv{stage}_block{i}")
    x = _activated(x, "bn", "relu")
    x = topped(x, include_top, classes, activation, pooling)
    return finished(inputs, x, name, weights)


def DenseNet121(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """DenseNet of 121 layers.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return _densenet("densenet121", (6, 12, 24, 16), include_top, weights, input_tensor,
                     input_shape, pooling, classes, classifier_activation)  # fmt: skip


def DenseNet169(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """DenseNet of 169 layers; arguments as of `DenseNet121`."""
    return _densenet("densenet169", (6, 12, 32, 32), include_top, weights, input_tensor,
                     input_shape, pooling, classes, classifier_activation)  # fmt: skip


def DenseNet201(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """DenseNet of 201 layers; arguments as of `DenseNet121`."""
    return _densenet("densenet201", (6, 12, 48, 32), include_top, weights, input_tensor,
                     input_shape, pooling, classes, classifier_activation)  # fmt: skip


__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
