"""NASNet: Zoph et al., Learning Transferable Architectures (2017)."""

from __future__ import annotations

from typing import Any, NamedTuple

from shardtape.keras import layers
from shardtape.keras.applications.building import entrance, finished, margins, pooled
from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.imagenet_utils import preprocess_input as _scaled
from shardtape.keras.models import Model

_KEPT = 0.9997  # of the moving averages, at each batch


class _Features(NamedTuple):
    """Features, and how often their images were made smaller."""

    x: Any
    level: int


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0 to 255 as this network expects them: -1 to 1."""
    return _scaled(x, data_format, mode="tf")


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=_KEPT, epsilon=1e-3, name=name)(x)


def _point(x: Any, filters: int, name: str) -> Any:
    return layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip


def _relu(x: Any, name: str | None = None) -> Any:
    return layers.Activation("relu", name=name)(x)


def _separable(x: Any, filters: int, size: int, name: str, stride: int = 1) -> Any:
    """Two separable convolutions, each after a ReLU; the first may make images smaller."""
    x = _relu(x)
    if stride == 2:
        x = layers.ZeroPadding2D(margins(x, size), name=f"separable_conv_1_pad_{name}")(x)
    for number in (1, 2):
        if number == 2:
            x = _relu(x)
        smaller = number == 1 and stride == 2
        x = layers.SeparableConv2D(
            filters, size, strides=stride if number == 1 else 1,
            padding="valid" if smaller else "same", use_bias=False,
            kernel_initializer="he_normal", name=f"separable_conv_{number}_{name}",
        )(x)  # fmt: skip
        x = _normalized(x, f"separable_conv_{number}_bn_{name}")
    return x


def _fitted(before: _Features, now: _Features, filters: int, name: str) -> Any:
    """The features of the cell before the last, of the size and channels that a cell takes."""
    x = before.x
    if before.level != now.level:
        x = _relu(x, f"adjust_relu_1_{name}")
        one = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_1_{name}")(x)
        one = _point(one, filters // 2, f"adjust_conv_1_{name}")
        two = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)  # the places between those of `one`
        two = layers.Cropping2D(((1, 0), (1, 0)))(two)
        two = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_2_{name}")(two)
        two = _point(two, filters // 2, f"adjust_conv_2_{name}")
        return _normalized(layers.Concatenate()([one, two]), f"adjust_bn_{name}")
    if x.shape[-1] != filters:
        x = _point(_relu(x), filters, f"adjust_conv_projection_{name}")
        return _normalized(x, f"adjust_bn_{name}")
    return x


def _averaged(x: Any, name: str) -> Any:
    return layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


def _normal(now: _Features, before: _Features, filters: int, name: str) -> _Features:
    """A cell that keeps the size of images."""
    p = _fitted(before, now, filters, name)
    h = _point(_relu(now.x), filters, f"normal_conv_1_{name}")
    h = _normalized(h, f"normal_bn_1_{name}")
    add = layers.Add
    made = [
        add(name=f"normal_add_1_{name}")([
            _separable(h, filters, 5, f"normal_left1_{name}"),
            _separable(p, filters, 3, f"normal_right1_{name}"),
        ]),
        add(name=f"normal_add_2_{name}")([
            _separable(p, filters, 5, f"normal_left2_{name}"),
            _separable(p, filters, 3, f"normal_right2_{name}"),
        ]),
        add(name=f"normal_add_3_{name}")([_averaged(h, f"normal_left3_{name}"), p]),
        add(name=f"normal_add_4_{name}")([
            _averaged(p, f"normal_left4_{name}"), _averaged(p, f"normal_right4_{name}"),
        ]),
        add(name=f"normal_add_5_{name}")([
            _separable(h, filters, 3, f"normal_left5_{name}"), h,
        ]),
    ]  # fmt: skip
    x = layers.Concatenate(name=f"normal_concat_{name}")([p, *made])
    return _Features(x, now.level)


def _reduction(now: _Features, before: _Features, filters: int, name: str) -> _Features:
    """A cell that halves the size of images. Without a cell before, `before` is `now`."""
    p = now.x if before is now else _fitted(before, now, filters, name)
    h = _point(_relu(now.x), filters, f"reduction_conv_1_{name}")
    h = _normalized(h, f"reduction_bn_1_{name}")
    padded = layers.ZeroPadding2D(margins(h, 3), name=f"reduction_pad_1_{name}")(h)

    def side(x: Any, size: int, place: str, stride: int = 2) -> Any:
        return _separable(x, filters, size, f"reduction_{place}_{name}", stride)

    first = layers.Add(name=f"reduction_add_1_{name}")([side(h, 5, "left1"), side(p, 7, "right1")])
    second = layers.Add(name=f"reduction_add_2_{name}")(
        [layers.MaxPooling2D(3, strides=2, name=f"reduction_left2_{name}")(padded),
         side(p, 7, "right2")]
    )  # fmt: skip
    third = layers.Add(name=f"reduction_add3_{name}")(
        [layers.AveragePooling2D(3, strides=2, name=f"reduction_left3_{name}")(padded),
         side(p, 5, "right3")]
    )  # fmt: skip
    fourth = layers.Add()([second, _averaged(first, f"reduction_left4_{name}")])
    fifth = layers.Add(name=f"reduction_add4_{name}")(
        [side(first, 3, "left4", 1),
         layers.MaxPooling2D(3, strides=2, name=f"reduction_right5_{name}")(padded)]
    )  # fmt: skip
    x = layers.Concatenate(name=f"reduction_concat_{name}")([second, third, fourth, fifth])
    return _Features(x, now.level + 1)


def _nasnet(
    input_shape: Any, include_top: bool, weights: Any, input_tensor: Any, pooling: Any,
    classes: int, activation: Any, size: int, last: int, count: int, stem: int, skips: bool,
) -> Model:  # fmt: skip
    """A NASNet.

    Args:
      last: channels of the features; count: normal cells of each of the three parts.
      stem: filters of the first convolution.
      skips: whether the cell after a reduction looks past it.
    """
    inputs = entrance(input_shape, input_tensor, include_top, weights, classes, size)
    filters = last // 24
    x = layers.Conv2D(
        stem, 3, strides=2, padding="valid", use_bias=False, kernel_initializer="he_normal",
        name="stem_conv1",
    )(inputs)  # fmt: skip
    before = now = _Features(_normalized(x, "stem_bn1"), 0)
    for width, name in ((filters // 4, "stem_1"), (filters // 2, "stem_2")):
        before, now = now, _reduction(now, before, width, name)
    for part in range(3):
        if part:
            name = f"reduce_{part * count}"
            reduced = _reduction(now, before, filters * 2**part, name)
            before, now = (before if skips else now), reduced
        for i in range(count):
            number = part * count + i + (part > 0)
            before, now = now, _normal(now, before, filters * 2**part, str(number))
    x = _relu(now.x)
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, activation=activation, name="predictions")(x)
    else:
        x = pooled(x, pooling)
    return finished(inputs, x, "NASNet", weights)


def NASNetMobile(
    input_shape: Any = None, include_top: bool = True, weights: Any = "imagenet",
    input_tensor: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """The smaller NASNet, for images of 224 x 224.

    Args:
      input_shape, input_tensor: the shape of the input, or the input itself. Where height and
        width are unknown, both must be a multiple of 32 and 1 (97, 129, ...).
      include_top: with the layer that classifies.
      weights: None (first weights), or the path of weights; "imagenet" is refused.
      pooling: without a top "avg" or "max" pools the features.
    """
    return _nasnet(input_shape, include_top, weights, input_tensor, pooling, classes,
                   classifier_activation, 224, 1056, 4, 32, False)  # fmt: skip


def NASNetLarge(
    input_shape: Any = None, include_top: bool = True, weights: Any = "imagenet",
    input_tensor: Any = None, pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:  # fmt: skip
    """The larger NASNet, for images of 331 x 331; arguments as of `NASNetMobile`."""
    return _nasnet(input_shape, include_top, weights, input_tensor, pooling, classes,
                   classifier_activation, 331, 4032, 6, 96, True)  # fmt: skip


__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
