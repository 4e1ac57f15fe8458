"""MobileNet: Howard et al., MobileNets: Efficient Networks for Mobile Vision (2017)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, pooled
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

# (filters, stride) of the blocks behind the first convolution
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
    (1024, 1),
)  # fmt: skip


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as this network expects them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def MobileNet(
    input_shape: Any = None, alpha: float = 1.0, depth_multiplier: int = 1,
    dropout: float = 1e-3, include_top: bool = True, weights: Any = "imagenet",
    input_tensor: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """MobileNet.

    Args:
      input_shape, input_tensor: the shape of the input (default 224 x 224 x 3), or the input.
      alpha: factor of the filters.
      depth_multiplier: filters of each channel in depthwise convolutions.
      dropout: rate before the top.
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      pooling: without a top "avg" or "max" pools the features.
    """
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False,
                      name="conv1")(inputs)  # fmt: skip
    x = _activated(x, "conv1")
    for i, (filters, stride) in enumerate(_BLOCKS, 1):
        if stride == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same" if stride == 1 else "valid",
                                   depth_multiplier=depth_multiplier, use_bias=False,
                                   name=f"conv_dw_{i}")(x)  # fmt: skip
        x = _activated(x, f"conv_dw_{i}")
        x = layers.Conv2D(int(filters * alpha), 1, padding="same", use_bias=False,
                          name=f"conv_pw_{i}")(x)  # fmt: skip
        x = _activated(x, f"conv_pw_{i}")
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        x = layers.Activation(classifier_activation, name="predictions")(x)
    else:
        x = pooled(x, pooling)
    return finished(inputs, x, f"mobilenet_{alpha:0.2f}_{inputs.shape[1]}", weights)


__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
