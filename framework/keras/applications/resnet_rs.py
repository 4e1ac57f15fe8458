"""ResNet-RS: Bello et al., Revisiting ResNets (2021)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, squeezed, topped
from shardtape.keras.applications.imagenet_utils import DEVIATIONS, MEANS, decode_predictions
from shardtape.keras.initializers import VarianceScaling
from shardtape.keras.models import Model

_WIDTHS = (64, 128, 256, 512)
# by depth: blocks of the four groups, dropout before the classifying layer, share of examples for
# which the last group's blocks are left out
_SIZES: dict[int, tuple[tuple[int, ...], float, float]] = {
    50: ((3, 4, 6, 3), 0.25, 0.0),
    101: ((3, 4, 23, 3), 0.25, 0.0),
    152: ((3, 8, 36, 3), 0.25, 0.0),
    200: ((3, 24, 36, 3), 0.25, 0.1),
    270: ((4, 29, 53, 4), 0.25, 0.1),
    350: ((4, 36, 72, 4), 0.4, 0.1),
    420: ((4, 44, 87, 4), 0.4, 0.1),
}
_VARIANCES = tuple(d**2 for d in DEVIATIONS)
_GATE = 0.25  # channels of a gate's middle, as a share of the block's outputs


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """The images as they are: the networks scale them from 0 to 255 themselves."""
    return x


def _start() -> Any:
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def _conv(x: Any, filters: int, size: int, name: str, stride: int = 1) -> Any:
    if stride > 1:
        x = layers.ZeroPadding2D(1)(x)
    return layers.Conv2D(
        filters, size, strides=stride, padding="valid" if stride > 1 else "same", use_bias=False,
        kernel_initializer=_start(), name=name,
    )(x)  # fmt: skip


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.0, epsilon=1e-5, name=name)(x)


def _stem(x: Any) -> Any:
    for i, (filters, stride) in enumerate(((32, 2), (32, 1), (64, 1), (64, 2)), 1):
        x = _conv(x, filters, 3, f"stem_1_stem_conv_{i}", stride)
        x = _normalized(x, f"stem_1_stem_batch_norm_{i}")
        x = layers.Activation("relu", name=f"stem_1_stem_act_{i}")(x)
    return x


def _block(x: Any, filters: int, stride: int, projects: bool, drop: float, name: str) -> Any:
    """A bottleneck with a gate, beside the inputs."""
    shortcut = x
    if projects:
        if stride == 2:
            shortcut = layers.AveragePooling2D(
                2, strides=2, padding="same", name=f"{name}__projection_pooling"
            )(x)
        shortcut = _conv(shortcut, 4 * filters, 1, f"{name}__projection_conv")
        shortcut = _normalized(shortcut, f"{name}__projection_batch_norm")
    x = _normalized(_conv(x, filters, 1, f"{name}__conv_1"), f"{name}_batch_norm_1")
    x = layers.Activation("relu", name=f"{name}__act_1")(x)
    x = _normalized(_conv(x, filters, 3, f"{name}__conv_2", stride), f"{name}__batch_norm_2")
    x = layers.Activation("relu", name=f"{name}__act_2")(x)
    x = _normalized(_conv(x, 4 * filters, 1, f"{name}__conv_3"), f"{name}__batch_norm_3")
    x = squeezed(x, max(1, int(4 * filters * _GATE)), _start, f"{name}__se_", "relu")
    if drop:
        x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}__drop")(x)
    x = layers.Add()([x, shortcut])
    return layers.Activation("relu", name=f"{name}__output_act")(x)


def _resnet_rs(
    depth: int, include_top: bool, weights: Any, classes: int, input_shape: Any,
    input_tensor: Any, pooling: Any, activation: Any, include_preprocessing: bool,
) -> Model:  # fmt: skip
    blocks, dropout, drop = _SIZES[depth]
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = inputs
    if include_preprocessing:
        x = layers.Rescaling(scale=1.0 / 255)(x)
        if x.shape[-1] == 3:
            x = layers.Normalization(mean=list(MEANS), variance=list(_VARIANCES))(x)
    x = _stem(x)
    for group, (count, filters) in enumerate(zip(blocks, _WIDTHS), 2):
        for i in range(count):
            stride = 2 if i == 0 and group > 2 else 1
            left_out = drop * group / 5
            x = _block(x, filters, stride, i == 0, left_out, f"BlockGroup{group}__block_{i}")
    x = topped(x, include_top, classes, activation, pooling, ("avg_pool", "max_pool"), dropout)
    return finished(inputs, x, f"resnet-rs-{depth}", weights)


def _maker(depth: int) -> Any:
    def make(
        include_top: bool = True, weights: Any = "imagenet", classes: int = 1000,
        input_shape: Any = None, input_tensor: Any = None, pooling: str | None = None,
        classifier_activation: Any = "softmax", include_preprocessing: bool = True,
    ) -> Model:  # fmt: skip
        return _resnet_rs(depth, include_top, weights, classes, input_shape, input_tensor, pooling,
                          classifier_activation, include_preprocessing)  # fmt: skip

    make.__name__ = make.__qualname__ = f"ResNetRS{depth}"
    make.__doc__ = f"""ResNet-RS of {depth} layers, for images of 224 x 224.

    Args:
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_shape, input_tensor: the shape of the input, or the input itself.
      pooling: without a top "avg" or "max" pools the features.
      include_preprocessing: with layers that scale pixels of 0 to 255.
    """
    return make


ResNetRS50 = _maker(50)
ResNetRS101 = _maker(101)
ResNetRS152 = _maker(152)
ResNetRS200 = _maker(200)
ResNetRS270 = _maker(270)
ResNetRS350 = _maker(350)
ResNetRS420 = _maker(420)

__all__ = [
    "ResNetRS101", "ResNetRS152", "ResNetRS200", "ResNetRS270", "ResNetRS350", "ResNetRS420",
    "ResNetRS50", "decode_predictions", "preprocess_input",
]  # fmt: skip
