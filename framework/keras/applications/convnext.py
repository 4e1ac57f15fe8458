"""ConvNeXt: Liu et al., A ConvNet for the 2020s (2022)."""

from __future__ import annotations

from typing import Any

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, pooled
from shardtape.keras.applications.imagenet_utils import DEVIATIONS, MEANS, decode_predictions
from shardtape.keras.initializers import Constant
from shardtape.keras.models import Model, Sequential

_DEEP = (3, 3, 27, 3)
# by name: blocks and channels of the four stages
_SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": (_DEEP, (96, 192, 384, 768)),
    "base": (_DEEP, (128, 256, 512, 1024)),
    "large": (_DEEP, (192, 384, 768, 1536)),
    "xlarge": (_DEEP, (256, 512, 1024, 2048)),
}
_MEANS = tuple(m * 255 for m in MEANS)
_VARIANCES = tuple((d * 255) ** 2 for d in DEVIATIONS)
_FIRST_SCALE = 1e-6


class LayerScale(layers.Layer):
    """The inputs times a factor for each channel, which is trained.

    Args:
      init_values: the factors at first.
      projection_dim: number of channels.
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(
            "gamma", (self.projection_dim,), initializer=Constant(self.init_values)
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "init_values": self.init_values,
            "projection_dim": self.projection_dim,
        }


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """The images as they are: the networks scale them from 0 to 255 themselves."""
    return x


def _normalized(name: str | None = None) -> Any:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(x: Any, channels: int, name: str) -> Any:
    """A depthwise convolution and two layers for each place, beside the inputs."""
    inputs = x
    x = layers.Conv2D(
        channels, 7, padding="same", groups=channels, name=f"{name}_depthwise_conv"
    )(x)  # fmt: skip
    x = _normalized(f"{name}_layernorm")(x)
    x = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(channels, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(_FIRST_SCALE, channels, name=f"{name}_layer_scale")(x)
    return inputs + layers.Activation("linear", name=f"{name}_identity")(x)


def _convnext(
    size: str, model_name: str, include_top: bool, include_preprocessing: bool, weights: Any,
    input_tensor: Any, input_shape: Any, pooling: Any, classes: int, activation: Any,
) -> Model:  # fmt: skip
    blocks, widths = _SIZES[size]
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes)
    x = inputs
    if include_preprocessing and x.shape[-1] == 3:
        x = layers.Normalization(
            mean=list(_MEANS), variance=list(_VARIANCES), name=f"{model_name}_prestem_normalization"
        )(x)
    x = Sequential(
        [
            layers.Conv2D(widths[0], 4, strides=4, name=f"{model_name}_stem_conv"),
            _normalized(f"{model_name}_stem_layernorm"),
        ],
        name=f"{model_name}_stem",
    )(x)
    for stage, (count, channels) in enumerate(zip(blocks, widths)):
        if stage:
            number = stage - 1
            x = Sequential(
                [
                    _normalized(f"{model_name}_downsampling_layernorm_{number}"),
                    layers.Conv2D(
                        channels, 2, strides=2, name=f"{model_name}_downsampling_conv_{number}"
                    ),
                ],
                name=f"{model_name}_downsampling_block_{number}",
            )(x)
        for i in range(count):
            x = _block(x, channels, f"{model_name}_stage_{stage}_block_{i}")
    if include_top:
        x = layers.GlobalAveragePooling2D(name=f"{model_name}_head_gap")(x)
        x = _normalized(f"{model_name}_head_layernorm")(x)
        x = layers.Dense(classes, activation=activation, name=f"{model_name}_head_dense")(x)
    else:
        x = _normalized()(pooled(x, pooling))
    return finished(inputs, x, model_name, weights)


def _maker(size: str, name: str) -> Any:
    def make(
        model_name: str = f"convnext_{size}", include_top: bool = True,
        include_preprocessing: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
        input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
        classifier_activation: Any = "softmax",
    ) -> Model:  # fmt: skip
        return _convnext(size, model_name, include_top, include_preprocessing, weights,
                         input_tensor, input_shape, pooling, classes,
                         classifier_activation)  # fmt: skip

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{name}, for images of 224 x 224.

    Args:
      model_name: with which names of the layers begin.
      include_top: with the layer that classifies.
      include_preprocessing: with a layer that scales pixels of 0 to 255.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      input_tensor, input_shape: the input, or its shape (default 224 x 224 x 3).
      pooling: without a top "avg" or "max" pools the features.
    """
    return make


ConvNeXtTiny = _maker("tiny", "ConvNeXtTiny")
ConvNeXtSmall = _maker("small", "ConvNeXtSmall")
ConvNeXtBase = _maker("base", "ConvNeXtBase")
ConvNeXtLarge = _maker("large", "ConvNeXtLarge")
ConvNeXtXLarge = _maker("xlarge", "ConvNeXtXLarge")

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "decode_predictions", "preprocess_input",
]  # fmt: skip
