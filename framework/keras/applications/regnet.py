"""RegNet: Radosavovic et al., Designing Network Design Spaces (2020)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import backend, layers
from shardtape.keras.applications.building import entrance, finished, pooled
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.models import Model

# by name: (blocks, channels) of the four stages, and the width of a group of channels
_SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "x002": ((1, 1, 4, 7), (24, 56, 152, 368), 8),
    "x004": ((1, 2, 7, 12), (32, 64, 160, 384), 16),
    "x006": ((1, 3, 5, 7), (48, 96, 240, 528), 24),
    "x008": ((1, 3, 7, 5), (64, 128, 288, 672), 16),
    "x016": ((2, 4, 10, 2), (72, 168, 408, 912), 24),
    "x032": ((2, 6, 15, 2), (96, 192, 432, 1008), 48),
    "x040": ((2, 5, 14, 2), (80, 240, 560, 1360), 40),
    "x064": ((2, 4, 10, 1), (168, 392, 784, 1624), 56),
    "x080": ((2, 5, 15, 1), (80, 240, 720, 1920), 120),
    "x120": ((2, 5, 11, 1), (224, 448, 896, 2240), 112),
    "x160": ((2, 6, 13, 1), (256, 512, 896, 2048), 128),
    "x320": ((2, 7, 13, 1), (336, 672, 1344, 2520), 168),
    "y002": ((1, 1, 4, 7), (24, 56, 152, 368), 8),
    "y004": ((1, 3, 6, 6), (48, 104, 208, 440), 8),
    "y006": ((1, 3, 7, 4), (48, 112, 256, 608), 16),
    "y008": ((1, 3, 8, 2), (64, 128, 320, 768), 16),
    "y016": ((2, 6, 17, 2), (48, 120, 336, 888), 24),
    "y032": ((2, 5, 13, 1), (72, 216, 576, 1512), 24),
    "y040": ((2, 6, 12, 2), (128, 192, 512, 1088), 64),
    "y064": ((2, 7, 14, 2), (144, 288, 576, 1296), 72),
    "y080": ((2, 4, 10, 1), (168, 448, 896, 2016), 56),
    "y120": ((2, 5, 11, 1), (224, 448, 896, 2240), 112),
    "y160": ((2, 4, 11, 1), (224, 448, 1232, 3024), 112),
    "y320": ((2, 5, 12, 1), (232, 696, 1392, 3712), 232),
}
_GATE = 0.25  # channels of a gate's middle, as a share of the block's inputs


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """The images as they are: the networks scale them from 0 to 255 themselves."""
    return x


def _conv(
    x: Any, filters: int, size: int, name: str, stride: int = 1, groups: int = 1,
    normalized: str | None = None,
) -> Any:  # fmt: skip
    x = layers.Conv2D(
        filters, size, strides=stride, groups=groups, padding="valid" if size == 1 else "same",
        use_bias=False, kernel_initializer="he_normal", name=name,
    )(x)  # fmt: skip
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=normalized or f"{name}_bn"
    )(x)  # fmt: skip


def _gated(x: Any, width: int, name: str) -> Any:
    """Each channel times a gate that depends on the means of all."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_gap")(x)
    for filters, activation, part in ((width, "relu", "squeeze"), (channels, "sigmoid", "excite")):
        gate = layers.Conv2D(
            filters, 1, activation=activation, kernel_initializer="he_normal",
            name=f"{name}_{part}",
        )(gate)  # fmt: skip
    return gate * x


def _block(x: Any, filters: int, group: int, stride: int, gated: bool, name: str) -> Any:
    """A bottleneck with grouped convolutions, beside the inputs."""
    inputs = x
    skip = x
    if stride != 1:
        skip = _conv(x, filters, 1, f"{name}_skip_1x1", stride, normalized=f"{name}_skip_bn")
    x = layers.ReLU(name=f"{name}_conv_1x1_1_relu")(_conv(x, filters, 1, f"{name}_conv_1x1_1"))
    x = _conv(x, filters, 3, f"{name}_conv_3x3", stride, filters // group)
    x = layers.ReLU(name=f"{name}_conv_3x3_relu")(x)
    if gated:
        x = _gated(x, int(inputs.shape[-1] * _GATE), f"{name}_squeeze_and_excite")
    x = _conv(x, filters, 1, f"{name}_conv_1x1_2")
    return layers.ReLU(name=f"{name}_exit_relu")(x + skip)


def _regnet(
    size: str, model_name: str, include_top: bool, include_preprocessing: bool, weights: Any,
    input_tensor: Any, input_shape: Any, pooling: Any, classes: int,
) -> Model:  # fmt: skip
    blocks, widths, group = _SIZES[size]
    gated = size.startswith("y")
    kind = "YBlock" if gated else "XBlock"
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = inputs
    if include_preprocessing:
        x = layers.Rescaling(scale=1.0 / 255.0, name=f"{model_name}_prestem_rescaling")(x)
    x = _conv(x, 32, 3, f"{model_name}_stem_conv", 2, normalized=f"{model_name}_stem_bn")
    x = layers.ReLU(name=f"{model_name}_stem_relu")(x)
    for stage, (count, filters) in enumerate(zip(blocks, widths)):
        for i in range(count):
            name = f"{model_name}_Stage_{stage}_{kind}_{i}"
            x = _block(x, filters, group, 2 if i == 0 else 1, gated, name)
    if include_top:
        number = backend.get_uid("head")
        x = layers.GlobalAveragePooling2D(name=f"{number}_head_gap")(x)
        x = layers.Dense(classes, name=f"{number}head_dense")(x)
    else:
        x = pooled(x, pooling)
    return finished(inputs, x, model_name, weights)


def _maker(size: str) -> Any:
    name = f"RegNet{size.upper()}"

    def make(
        model_name: str = f"regnet{size}", include_top: bool = True,
        include_preprocessing: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
        input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
        classifier_activation: Any = "softmax",
    ) -> Model:  # fmt: skip
        return _regnet(size, model_name, include_top, include_preprocessing, weights, input_tensor,
                       input_shape, pooling, classes)  # fmt: skip

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{name}, for images of 224 x 224.

    Args:
      model_name: with which names of the layers begin.
      include_top: with the layer that classifies.
      include_preprocessing: with a layer that scales pixels of 0 to 255.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
      classifier_activation: without effect, as in Keras: the last layer gives logits.
    """
    return make


RegNetX002 = _maker("x002")
RegNetX004 = _maker("x004")
RegNetX006 = _maker("x006")
RegNetX008 = _maker("x008")
RegNetX016 = _maker("x016")
RegNetX032 = _maker("x032")
RegNetX040 = _maker("x040")
RegNetX064 = _maker("x064")
RegNetX080 = _maker("x080")
RegNetX120 = _maker("x120")
RegNetX160 = _maker("x160")
RegNetX320 = _maker("x320")
RegNetY002 = _maker("y002")
RegNetY004 = _maker("y004")
RegNetY006 = _maker("y006")
RegNetY008 = _maker("y008")
RegNetY016 = _maker("y016")
RegNetY032 = _maker("y032")
RegNetY040 = _maker("y040")
RegNetY064 = _maker("y064")
RegNetY080 = _maker("y080")
RegNetY120 = _maker("y120")
RegNetY160 = _maker("y160")
RegNetY320 = _maker("y320")

__all__ = [
    "RegNetX002", "RegNetX004", "RegNetX006", "RegNetX008", "RegNetX016", "RegNetX032",
    "RegNetX040", "RegNetX064", "RegNetX080", "RegNetX120", "RegNetX160", "RegNetX320",
    "RegNetY002", "RegNetY004", "RegNetY006", "RegNetY008", "RegNetY016", "RegNetY032",
    "RegNetY040", "RegNetY064", "RegNetY080", "RegNetY120", "RegNetY160", "RegNetY320",
    "decode_predictions", "preprocess_input",
]  # fmt: skip
