"""Inception v3: Szegedy et al., Rethinking the Inception Architecture (2015)."""

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


def _conv(
    x: Any, filters: int, size: tuple[int, int], stride: int = 1, padding: str = "same"
) -> Any:
    x = layers.Conv2D(filters, size, strides=stride, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)
    return layers.Activation("relu")(x)


def _chain(x: Any, *steps: tuple[int, tuple[int, int]]) -> Any:
    for filters, size in steps:
        x = _conv(x, filters, size)
    return x


def _averaged(x: Any, filters: int) -> Any:
    x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return _conv(x, filters, (1, 1))


def _small(x: Any, pool_filters: int, name: str) -> Any:
    """Windows of 1, 5, and twice 3."""
    branches = [
        _conv(x, 64, (1, 1)),
        _chain(x, (48, (1, 1)), (64, (5, 5))),
        _chain(x, (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
        _averaged(x, pool_filters),
    ]
    return layers.Concatenate(name=name)(branches)


def _sevens(x: Any, filters: int, name: str) -> Any:
    """Windows of 7 as rows and columns, once and twice."""
    row, column = (1, 7), (7, 1)
    n = filters
    branches = [
        _conv(x, 192, (1, 1)),
        _chain(x, (n, (1, 1)), (n, row), (192, column)),
        _chain(x, (n, (1, 1)), (n, column), (n, row), (n, column), (192, row)),
        _averaged(x, 192),
    ]
    return layers.Concatenate(name=name)(branches)


def _spread(x: Any, number: int, name: str) -> Any:
    """Windows of 3 as rows beside columns."""
    one = _conv(x, 320, (1, 1))
    three = _conv(x, 384, (1, 1))
    three = layers.Concatenate(name=f"mixed9_{number}")(
        [_conv(three, 384, (1, 3)), _conv(three, 384, (3, 1))]
    )
    twice = _chain(x, (448, (1, 1)), (384, (3, 3)))
    twice = layers.Concatenate()([_conv(twice, 384, (1, 3)), _conv(twice, 384, (3, 1))])
    return layers.Concatenate(name=name)([one, three, twice, _averaged(x, 192)])


def InceptionV3(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """Inception v3.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 299 x 299 x 3, at least 75 x 75).
      pooling: without a top "avg" or "max" pools the features.
    """
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes, 299, 75)
    x = _conv(inputs, 32, (3, 3), 2, "valid")
    x = _conv(x, 32, (3, 3), 1, "valid")
    x = _conv(x, 64, (3, 3))
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _conv(x, 80, (1, 1), 1, "valid")
    x = _conv(x, 192, (3, 3), 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(x)
    for i, filters in enumerate((32, 64, 64)):
        x = _small(x, filters, f"mixed{i}")
    three = _conv(x, 384, (3, 3), 2, "valid")
    twice = _conv(_chain(x, (64, (1, 1)), (96, (3, 3))), 96, (3, 3), 2, "valid")
    largest = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Concatenate(name="mixed3")([three, twice, largest])
    for i, filters in enumerate((128, 160, 160, 192), 4):
        x = _sevens(x, filters, f"mixed{i}")
    three = _conv(_conv(x, 192, (1, 1)), 320, (3, 3), 2, "valid")
    sevens = _chain(x, (192, (1, 1)), (192, (1, 7)), (192, (7, 1)))
    sevens = _conv(sevens, 192, (3, 3), 2, "valid")
    largest = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.Concatenate(name="mixed8")([three, sevens, largest])
    for i in (0, 1):
        x = _spread(x, i, f"mixed{9 + i}")
    x = topped(x, include_top, classes, classifier_activation, pooling, (None, None))
    return finished(inputs, x, "inception_v3", weights)


__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
