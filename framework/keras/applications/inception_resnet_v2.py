"""Inception-ResNet v2: Szegedy et al., Inception-v4, Inception-ResNet (2016)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, topped
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

_Step = tuple[int, tuple[int, int]]  # filters and window of a convolution


class CustomScaleLayer(layers.Layer):
    """inputs[0] + scale * inputs[1]."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as this network expects them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _conv(
    x: Any, filters: int, size: tuple[int, int], stride: int = 1, padding: str = "same",
    name: str | None = None,
) -> Any:  # fmt: skip
    x = layers.Conv2D(
        filters, size, strides=stride, padding=padding, use_bias=False, name=name
    )(x)  # fmt: skip
    x = layers.BatchNormalization(scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _chain(x: Any, *steps: _Step) -> Any:
    for filters, size in steps:
        x = _conv(x, filters, size)
    return x


def _smaller(x: Any, filters: int) -> Any:
    return _conv(x, filters, (3, 3), 2, "valid")


def _residual(
    x: Any, chains: list[tuple[_Step, ...]], scale: float, name: str, activated: bool = True
) -> Any:
    """The inputs and a small share of what chains of convolutions make of them."""
    mixed = layers.Concatenate(axis=3, name=f"{name}_mixed")([_chain(x, *c) for c in chains])
    up = layers.Conv2D(x.shape[3], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, up])
    return layers.Activation("relu", name=f"{name}_ac")(x) if activated else x


_POINT, _THREE = (1, 1), (3, 3)
_BLOCK_35: list[tuple[_Step, ...]] = [
    ((32, _POINT),), ((32, _POINT), (32, _THREE)), ((32, _POINT), (48, _THREE), (64, _THREE)),
]  # fmt: skip
_BLOCK_17: list[tuple[_Step, ...]] = [
    ((192, _POINT),), ((128, _POINT), (160, (1, 7)), (192, (7, 1))),
]  # fmt: skip
_BLOCK_8: list[tuple[_Step, ...]] = [
    ((192, _POINT),), ((192, _POINT), (224, (1, 3)), (256, (3, 1))),
]  # fmt: skip


def InceptionResNetV2(
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
    input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """Inception-ResNet v2.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 299 x 299 x 3, at least 75 x 75).
      pooling: without a top "avg" or "max" pools the features.
    """
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes, 299, 75)
    x = _conv(inputs, 32, _THREE, 2, "valid")
    x = _conv(x, 32, _THREE, 1, "valid")
    x = _conv(x, 64, _THREE)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _conv(x, 80, _POINT, 1, "valid")
    x = _conv(x, 192, _THREE, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(x)

    branches = [
        _conv(x, 96, _POINT),
        _chain(x, (48, _POINT), (64, (5, 5))),
        _chain(x, (64, _POINT), (96, _THREE), (96, _THREE)),
    ]
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches.append(_conv(averaged, 64, _POINT))
    x = layers.Concatenate(axis=3, name="mixed_5b")(branches)
    for i in range(1, 11):
        x = _residual(x, _BLOCK_35, 0.17, f"block35_{i}")

    branches = [_smaller(x, 384), _smaller(_chain(x, (256, _POINT), (256, _THREE)), 384)]
    branches.append(layers.MaxPooling2D(3, strides=2)(x))
    x = layers.Concatenate(axis=3, name="mixed_6a")(branches)
    for i in range(1, 21):
        x = _residual(x, _BLOCK_17, 0.1, f"block17_{i}")

    branches = [
        _smaller(_chain(x, (256, _POINT)), 384),
        _smaller(_chain(x, (256, _POINT)), 288),
        _smaller(_chain(x, (256, _POINT), (288, _THREE)), 320),
    ]
    branches.append(layers.MaxPooling2D(3, strides=2)(x))
    x = layers.Concatenate(axis=3, name="mixed_7a")(branches)
    for i in range(1, 10):
        x = _residual(x, _BLOCK_8, 0.2, f"block8_{i}")
    x = _residual(x, _BLOCK_8, 1.0, "block8_10", activated=False)
    x = _conv(x, 1536, _POINT, name="conv_7b")
    x = topped(x, include_top, classes, classifier_activation, pooling, (None, None))
    return finished(inputs, x, "inception_resnet_v2", weights)


__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]
