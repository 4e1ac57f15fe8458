"""What the networks of `tf.keras.applications` share: their inputs, tops and weights."""

from __future__ import annotations

from typing import Any

from shardtape import nest, storage
from shardtape.errors import UnimplementedError
from shardtape.keras import layers
from shardtape.keras.image_layout import image_data_format
from shardtape.keras.models import Model
from shardtape.keras.symbolic import is_keras_tensor


def entrance(
    input_shape: Any, input_tensor: Any, include_top: bool, weights: Any, classes: int,
    size: int | None = 224, least: int = 32,
) -> Any:  # fmt: skip
    """The symbolic input (batch, height, width, channels).

    Args:
      size: height and width where none are given and the top needs them; None: it never does.
      least: the smallest height and width.

    Raises:
      UnimplementedError: weights that would be downloaded.
      ValueError: a shape that the network does not take.
    """
    if weights == "imagenet":
        raise UnimplementedError(
            "weights='imagenet' would be a download, which this framework does not make: pass "
            "weights=None for first weights, or weights='path/of/the/file' of Keras's .h5, "
            ".weights.h5 or .keras file, or of weights that `save_weights` wrote"
        )
    if weights is not None:
        path = storage.text(weights)
        there = storage.is_directory(path) or any(
            storage.size_bytes(name) is not None for name in (path, f"{path}.index")
        )
        if not there:
            raise ValueError(
                "The `weights` argument should be either `None` (random initialization) or the "
                f"path to the weights file to be loaded: there is no file {path!r}"
            )
    if image_data_format() != "channels_last":
        raise UnimplementedError(
            "tf.keras.applications are networks of channels_last images: build them under "
            "tf.keras.backend.set_image_data_format('channels_last')"
        )
    if input_shape is not None:
        input_shape = tuple(input_shape)
        if len(input_shape) != 3:
            raise ValueError("`input_shape` must be a tuple of three integers.")
        if any(n is not None and n < least for n in input_shape[:2]):
            raise ValueError(
                f"Input size must be at least {least}x{least}; Received: input_shape={input_shape}"
            )
    else:
        input_shape = (size, size, 3) if include_top else (None, None, 3)
    if include_top and size is not None and None in input_shape:
        raise ValueError(
            "If `include_top` is True, you should specify a static `input_shape`. Received: "
            f"input_shape={input_shape}"
        )
    if input_tensor is None:
        return layers.Input(shape=input_shape)
    if is_keras_tensor(input_tensor):
        return input_tensor
    raise ValueError(f"`input_tensor` must come from tf.keras.Input, got {input_tensor!r}")


def pooled(x: Any, pooling: str | None, names: tuple[Any, Any] = (None, None)) -> Any:
    """The features of a network without its top: pooled "avg" or "max", or as they are."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name=names[0])(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name=names[1])(x)
    return x


def topped(
    x: Any, include_top: bool, classes: int, activation: Any, pooling: str | None,
    names: tuple[Any, Any] = ("avg_pool", "max_pool"), dropout: float = 0.0,
    start: Any = "glorot_uniform",
) -> Any:  # fmt: skip
    """The features of a network: classified from their means, or without a top as in `pooled`.

    Args:
      dropout: before the classifying layer.
      start: that layer's initializer.
    """
    if not include_top:
        return pooled(x, pooling, names)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="top_dropout")(x)
    return layers.Dense(
        classes, activation=activation, kernel_initializer=start, name="predictions"
    )(x)  # fmt: skip


def finished(inputs: Any, outputs: Any, name: str, weights: Any) -> Model:
    """The model, with the weights of a file where a path is given."""
    model = Model(nest.flatten(inputs)[0], outputs, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def channels_by_eight(channels: float) -> int:
    """A multiple of 8 near a number, no more than a tenth below it."""
    made = max(8, int(channels + 4) // 8 * 8)
    return made + 8 if made < 0.9 * channels else made


def margins(x: Any, window: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding of images before a window that goes in steps of 2."""
    half = window // 2

    def around(size: int | None) -> tuple[int, int]:
        return (half - 1, half) if size is None or size % 2 == 0 else (half, half)

    return around(x.shape[1]), around(x.shape[2])


def squeezed(x: Any, width: int, start: Any, name: str, inner: str = "swish") -> Any:
    """Images with a gate for each channel, which depends on the means of all channels.

    Args:
      width: channels between, after which `inner` is the activation.
      start: function that makes initializers.
    """
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    gate = layers.Reshape((1, 1, channels), name=f"{name}se_reshape")(gate)
    for count, activation, part in ((width, inner, "reduce"), (channels, "sigmoid", "expand")):
        gate = layers.Conv2D(
            count, 1, padding="same", activation=activation, kernel_initializer=start(),
            name=f"{name}se_{part}",
        )(gate)  # fmt: skip
    return layers.Multiply(name=f"{name}se_excite")([x, gate])
