"""Images: element types with their ranges of brightness, contrast."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.graph.scopes import name_scope
from shardtape.ops import samples
from shardtape.ops.cast import cast, saturate_cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.leading_sums import sum_over
from shardtape.ops.math import floordiv, multiply
from shardtape.ops.registry import op, same_as
from shardtape.ops.shaping import identity
from shardtape.tensor import Tensor


def _contrast_reference(images: Any, contrast_factor: Any) -> Any:
    mean = images.mean(axis=(-3, -2), keepdims=True)
    return mean + contrast_factor * (images - mean)


# TensorFlow registers no gradient for it, and neither do we: RegisterGradient may
@op("AdjustContrastv2", dtypes=frozenset((dt.float16, dt.float32)), mixed=True, shape=same_as(0),
    samples=samples.normal([(3, 4, 3), ()], [(2, 3, 2, 1), ()]),
    reference=_contrast_reference)  # fmt: skip
def adjust_contrast_op(xp, images, contrast_factor):
    """Distances from each channel's mean, times a factor; (..., height, width, channels)."""
    height, width, channels = images.shape[-3:]
    places = (images.ndim - 3, images.ndim - 2)
    mean = sum_over(xp, images, places, True) / images.dtype.type(height * width)
    rows = images.reshape(*images.shape[:-2], width * channels)  # long ones: numpy pays for each
    means = xp.broadcast_to(mean, (*mean.shape[:-2], width, channels))
    means = means.reshape(*mean.shape[:-2], width * channels)
    made = rows - means
    made *= contrast_factor.astype(mean.dtype)
    made += means
    return made.reshape(images.shape)


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """Images with more (factor above 1) or less contrast around each channel's mean.

    Args:
      images: (..., height, width, channels) of any real type; integers are computed in float32.
      contrast_factor: a float32 scalar.
    """
    with name_scope("adjust_contrast"):
        images = convert_to_tensor(images, name="images")
        floats = images
        if images.dtype not in (dt.float16, dt.float32):
            floats = convert_image_dtype(images, dt.float32)
        factor = convert_to_tensor(contrast_factor, dtype_hint=dt.float32)
        adjusted = adjust_contrast_op(floats, factor)
        return convert_image_dtype(adjusted, images.dtype, saturate=True)


@takes_composites
def convert_image_dtype(
    image: Any, dtype: Any, saturate: bool = False, name: str | None = None
) -> Tensor:
    """An image in another type, scaled: floats from 0 to 1, integers from 0 to their largest.

    Args:
      image: Tensor of any shape.
      dtype: the type to convert to.
      saturate: values that do not fit become the nearest that do.

    Raises:
      AttributeError: a type that is neither integer nor floating.
    """
    image = convert_to_tensor(image, name="image")
    wanted = dt.as_dtype(dtype)
    if not (wanted.is_floating or wanted.is_integer):
        raise AttributeError("dtype must be either floating point or integer")
    if not (image.dtype.is_floating or image.dtype.is_integer):
        raise AttributeError("image dtype must be either floating point or integer")
    if image.dtype is wanted:
        return identity(image, name=name)
    convert = saturate_cast if saturate else cast
    with name_scope(name or "convert_image"):
        if image.dtype.is_integer and wanted.is_integer:
            return _between_integers(image, wanted, convert)
        if image.dtype.is_floating and wanted.is_floating:
            return cast(image, wanted)
        if wanted.is_floating:
            scale = np.asarray(1.0 / image.dtype.max, wanted.numpy_dtype)
            return multiply(cast(image, wanted), convert_to_tensor(scale[()]))
        scale = np.asarray(wanted.max + 0.5, image.dtype.numpy_dtype)
        return convert(multiply(image, convert_to_tensor(scale[()])), wanted)


def _between_integers(image: Tensor, wanted: dt.DType, convert: Any) -> Tensor:
    have, want = image.dtype.max, wanted.max
    if have > want:
        scale = (have + 1) // (want + 1)
        return convert(floordiv(image, convert_to_tensor(scale, image.dtype)), wanted)
    scale = (want + 1) // (have + 1)
    return multiply(convert(image, wanted), convert_to_tensor(scale, wanted))
