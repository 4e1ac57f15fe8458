"""VGG: Simonyan and Zisserman, Very Deep Convolutional Networks (2014)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, pooled
from shardtape.keras.models import Model

_FILTERS = (64, 128, 256, 512, 512)


def _vgg(
    name: str, convolutions: tuple[int, ...], include_top: bool, weights: Any, input_tensor: Any,
    input_shape: Any, pooling: str | None, classes: int, activation: Any,
) -> Model:  # fmt: skip
    inputs = x = entrance(input_shape, input_tensor, include_top, weights, classes)
    for block, (count, filters) in enumerate(zip(convolutions, _FILTERS), 1):
        for i in range(1, count + 1):
            x = layers.Conv2D(filters, (3, 3), activation="relu", padding="same",
                              name=f"block{block}_conv{i}")(x)  # fmt: skip
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(4096, activation="relu", name="fc1")(x)
        x = layers.Dense(4096, activation="relu", name="fc2")(x)
        x = layers.Dense(classes, activation=activation, name="predictions")(x)
    else:
        x = pooled(x, pooling)
    return finished(inputs, x, name, weights)


def VGG16(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """VGG of 16 layers with weights.

    Args:
      include_top: with the three layers that classify.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return _vgg("vgg16", (2, 2, 3, 3, 3), include_top, weights, input_tensor, input_shape,
                pooling, classes, classifier_activation)  # fmt: skip


def VGG19(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """VGG of 19 layers with weights; arguments as of `VGG16`."""
    return _vgg("vgg19", (2, 2, 4, 4, 4), include_top, weights, input_tensor, input_shape,
                pooling, classes, classifier_activation)  # fmt: skip
