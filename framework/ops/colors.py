"""Colours of images: hue, saturation, brightness, other colour spaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array, samples
from shardtape.ops.cast import cast
from shardtape.ops.choosing import choose
from shardtape.ops.composites import takes_composites
from shardtape.ops.contraction import tensordot
from shardtape.ops.convert import convert_to_tensor, single_array
from shardtape.ops.image import convert_image_dtype
from shardtape.ops.math import maximum, pow, sqrt
from shardtape.ops.reduce import reduce_max, reduce_mean, reduce_prod, reduce_variance
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, Tensor

_FLOATS = frozenset(dt.FLOATING)
_COLORS = samples.uniform(0.05, 0.95, (2, 3, 3), (4, 3))


def _last_is_three(x: Arg, *args: Arg, **attrs: Any) -> TensorShape:
    if x.shape.rank is not None and (x.shape.rank == 0 or x.shape[-1] not in (None, 3)):
        raise ValueError(f"input must have 3 channels, got the shape {x.shape}")
    return x.shape


@op("RGBToHSV", dtypes=_FLOATS, shape=_last_is_three, samples=_COLORS)
def rgb_to_hsv_op(xp, images):
    """Hue, saturation and value, 0..1, of red, green, blue in the last axis."""
    return _joined(xp, _to_hsv(xp, _planes(xp, images)), images.dtype)


def _planes(xp: Any, images: Any) -> Any:
    """The three channels as arrays of their own: on steps of three numbers all is slower."""
    return xp.ascontiguousarray(xp.moveaxis(images, -1, 0))


def _joined(xp: Any, planes: Any, dtype: Any) -> Any:
    """Three planes as the channels of images."""
    out = xp.empty((*planes[0].shape, 3), dtype)
    for i, plane in enumerate(planes):
        out[..., i] = plane
    return out


def _to_hsv(xp: Any, planes: Any) -> tuple[Any, Any, Any]:
    r, g, b = planes
    value = xp.maximum(xp.maximum(r, g), b)
    spread = value - xp.minimum(xp.minimum(r, g), b)
    zero, one = xp.zeros((), r.dtype), xp.ones((), r.dtype)
    lit, colored = value > 0, spread > 0
    saturation = choose(xp, lit, spread / choose(xp, lit, value, one), zero)
    norm = one / (6 * choose(xp, colored, spread, one))
    third = r.dtype.type(2 / 6)
    hue = choose(
        xp, r == value, norm * (g - b),
        choose(xp, g == value, norm * (b - r) + third, norm * (r - g) + 2 * third),
    )  # fmt: skip
    hue = choose(xp, colored, hue, zero)
    return choose(xp, hue < 0, hue + one, hue), saturation, value


@rgb_to_hsv_op.gradient
def _(g, y, images):
    red, green, blue = [images[..., i] for i in range(3)]
    top = y[..., 2]
    low = -reduce_max(-images, -1)
    spread = top - low
    zero = array.zeros_like(top)
    one = array.ones_like(top)
    some = spread > 0
    safe = array.where(some, spread, one)
    is_red, is_green = red >= top, (red < top) & (green >= top)
    is_blue = (red < top) & (green < top)
    low_red, low_green = red <= low, (red > low) & (green <= low)
    low_blue = (red > low) & (green > low)
    out = []
    for channel, (at_top, at_low) in enumerate(
        ((is_red, low_red), (is_green, low_green), (is_blue, low_blue))
    ):
        up, down = cast(at_top, images.dtype), cast(at_low, images.dtype)
        value = up
        saturation = array.where(top > 0, (up * low - down * top) / maximum(top, 1e-38) ** 2, zero)
        # hue is (a - b) / (6 spread) + constant
        a = array.where(is_red, green, array.where(is_green, blue, red))
        b = array.where(is_red, blue, array.where(is_green, red, green))
        plus = {0: is_blue, 1: is_red, 2: is_green}[channel]
        minus = {0: is_green, 1: is_blue, 2: is_red}[channel]
        slope = cast(plus, images.dtype) - cast(minus, images.dtype)
        hue = array.where(some, (slope * safe - (a - b) * (up - down)) / (6 * safe * safe), zero)
        out.append(g[..., 0] * hue + g[..., 1] * saturation + g[..., 2] * value)
    return array.stack(out, -1)


def _hsv_reference(images: Any) -> np.ndarray:
    import colorsys

    flat = images.reshape(-1, 3)
    return np.array([colorsys.hsv_to_rgb(*row) for row in flat]).reshape(images.shape)


@op("HSVToRGB", dtypes=_FLOATS, shape=_last_is_three, samples=_COLORS, reference=_hsv_reference,
    differentiable=False)  # fmt: skip
def hsv_to_rgb_op(xp, images):
    """Red, green and blue of hue, saturation and value in the last axis."""
    return _joined(xp, _to_rgb(xp, *_planes(xp, images)), images.dtype)


def _to_rgb(xp: Any, hue: Any, saturation: Any, value: Any) -> list[Any]:
    rest = 1 - saturation
    return [(rest + saturation * c) * value for c in _levels(xp, hue * 6)]


@op("AdjustHue", dtypes=frozenset((dt.float16, dt.float32)), mixed=True, shape=_last_is_three,
    differentiable=False, samples=lambda rng: [
        ((rng.uniform(0.05, 0.95, (2, 2, 3)).astype(np.float32), np.float32(d)), {})
        for d in (0.2, -0.7)])  # fmt: skip
def adjust_hue_op(xp, images, delta):
    """The hue turned by `delta` (whole turns)."""
    red, green, blue = _planes(xp, images)
    top = xp.maximum(xp.maximum(red, green), blue)
    low = xp.minimum(xp.minimum(red, green), blue)
    middle = xp.maximum(xp.minimum(red, green), xp.minimum(xp.maximum(red, green), blue))
    sixth = xp.where(
        red < green,
        xp.where(blue < red, 1, xp.where(blue > green, 3, 2)),
        xp.where(blue < green, 0, xp.where(blue > red, 4, 5)),
    ).astype(np.int8)  # fmt: skip
    one, colored = images.dtype.type(1), top > low
    ratio = (middle - low) / xp.where(colored, top - low, one)
    hue = sixth + xp.where(sixth % 2 == 0, ratio, one - ratio)
    hue = xp.where(colored, hue, one - one) + images.dtype.type(6) * delta.astype(images.dtype)
    hue = (hue % images.dtype.type(6)).astype(images.dtype)
    return _joined(xp, _of_six(xp, hue, low, top), images.dtype)


@op("AdjustSaturation", dtypes=frozenset((dt.float16, dt.float32)), mixed=True,
    shape=_last_is_three, differentiable=False, samples=lambda rng: [
        ((rng.uniform(0.05, 0.95, (2, 2, 3)).astype(np.float32), np.float32(s)), {})
        for s in (0.5, 3.0)])  # fmt: skip
def adjust_saturation_op(xp, images, scale):
    """The saturation times `scale`, at most 1."""
    hue, saturation, value = _to_hsv(xp, _planes(xp, images))
    chroma = xp.clip(saturation * scale, 0, 1).astype(images.dtype) * value
    low = value - chroma
    return _joined(xp, _of_six(xp, hue * 6, low, low + chroma), images.dtype)


def _of_six(xp: Any, six: Any, low: Any, top: Any) -> list[Any]:
    """Red, green and blue of hues in [0, 6) and the smallest and largest of the three."""
    span = top - low
    return [xp.where(c < 1, low + c * span, top) for c in _levels(xp, six)]


def _levels(xp: Any, six: Any) -> list[Any]:
    """How far red, green and blue of hues in [0, 6) lie between the smallest and the largest."""
    return [
        xp.clip(level, 0, 1)
        for level in (xp.abs(six - 3) - 1, 2 - xp.abs(six - 2), 2 - xp.abs(six - 4))
    ]


# ---- public functions -------------------------------------------------------------------------
def _colors(images: Any) -> Any:
    if isinstance(images, (list, tuple)) and not any(isinstance(x, Tensor) for x in images):
        return np.array(images, np.float32)
    return single_array(images)


def rgb_to_hsv(images: Any, name: str | None = None) -> Any:
    """Hue, saturation and value, 0..1, of floating images (..., 3)."""
    return rgb_to_hsv_op(convert_to_tensor(_colors(images)), name=name)


def hsv_to_rgb(images: Any, name: str | None = None) -> Any:
    """Red, green and blue, 0..1, of floating images (..., 3)."""
    return hsv_to_rgb_op(convert_to_tensor(_colors(images)), name=name)


def _in_float(image: Any, function: Any) -> Any:
    """`function` of the image in float32, back in its own type."""
    image = convert_to_tensor(image)
    floats = image if image.dtype in (dt.float16, dt.float32) else (
        convert_image_dtype(image, dt.float32))  # fmt: skip
    return convert_image_dtype(function(floats), image.dtype, saturate=True)


@takes_composites
def adjust_brightness(image: Any, delta: Any) -> Any:
    """`delta` (-1..1) more or less of everything."""
    return _in_float(image, lambda x: x + cast(convert_to_tensor(delta), x.dtype))


@takes_composites
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """gain * image ** gamma.

    Raises ValueError for a negative gamma.
    """
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError("Gamma should be a non-negative real number.")
    return _in_float(image, lambda x: gain * pow(x, cast(convert_to_tensor(gamma), x.dtype)))


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Any:
    """The hue of an RGB image turned by `delta` (-1..1).

    Raises ValueError for a delta outside, where it is a number or a tensor with a value.
    """
    known = isinstance(delta, (int, float, np.ndarray, np.number, EagerTensor))
    if known and not -1 <= float(delta) <= 1:
        raise ValueError(f"delta of adjust_hue must be in the interval [-1, 1], got {delta}")
    return _in_float(
        image, lambda x: adjust_hue_op(x, convert_to_tensor(delta, dtype_hint=dt.float32))
    )


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    """The saturation of an RGB image times a factor."""
    return _in_float(
        image,
        lambda x: adjust_saturation_op(x, cast(convert_to_tensor(saturation_factor), dt.float32)),
    )


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """One channel by the eye's sensitivity (ITU-R 601)."""
    images = convert_to_tensor(images)
    floats = convert_image_dtype(images, dt.float32)
    weights = convert_to_tensor(np.array([0.2989, 0.5870, 0.1140], np.float32))
    gray = array.expand_dims(tensordot(floats, weights, [[-1], [-1]]), -1)
    return convert_image_dtype(gray, images.dtype)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """One channel three times. Raises ValueError for another number of channels."""
    images = convert_to_tensor(images)
    if images.shape.rank and images.shape[-1] not in (None, 1):
        raise ValueError(
            f"Last dimension of a grayscale image should be size 1, got shape {images.shape}"
        )
    rank = images.shape.rank or 3
    return array.tile(images, [1] * (rank - 1) + [3])


_YIQ = np.array([[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617],
                 [0.114, -0.32134392, 0.31119955]])  # fmt: skip
_FROM_YIQ = np.array([[1, 1, 1], [0.95598634, -0.27201283, -1.10674021],
                      [0.6208248, -0.64720424, 1.70423049]])  # fmt: skip
_YUV = np.array([[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512],
                 [0.114, 0.43601035, -0.10001026]])  # fmt: skip
_FROM_YUV = np.array([[1, 1, 1], [0, -0.394642334, 2.03206185],
                      [1.13988303, -0.58062185, 0]])  # fmt: skip


def _by_matrix(matrix: np.ndarray, what: str) -> Any:
    def convert(images: Any) -> Any:
        x: Any = convert_to_tensor(images)
        weights = convert_to_tensor(matrix.astype(x.dtype.numpy_dtype))
        return tensordot(x, weights, [[x.shape.rank - 1], [0]])

    convert.__name__ = convert.__qualname__ = what
    convert.__doc__ = f"Images (..., 3): {what.replace('_', ' ')}."
    return convert


rgb_to_yiq = _by_matrix(_YIQ, "rgb_to_yiq")
yiq_to_rgb = _by_matrix(_FROM_YIQ, "yiq_to_rgb")
rgb_to_yuv = _by_matrix(_YUV, "rgb_to_yuv")
yuv_to_rgb = _by_matrix(_FROM_YUV, "yuv_to_rgb")


def per_image_standardization(image: Any) -> Any:
    """Each image with mean 0 and deviation 1 (at least that of noise), in float32."""
    x = cast(convert_to_tensor(image), dt.float32)
    axes = [-1, -2, -3]
    count = cast(reduce_prod(array.shape(x)[-3:]), dt.float32)
    mean = reduce_mean(x, axes, keepdims=True)
    deviation = sqrt(reduce_variance(x, axes, keepdims=True))
    smallest = 1 / sqrt(count)
    return (x - mean) / maximum(deviation, smallest)
