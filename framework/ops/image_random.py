"""Random changes of images: by the global seed, or stateless by a seed of two numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array, colors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.image import adjust_contrast
from shardtape.ops.image_files import adjust_jpeg_quality
from shardtape.ops.random import random_uniform
from shardtape.ops.random_stateless import stateless_uniform
from shardtape.ops.resizing import batched
from shardtape.ops.rounding import round

Draw = Callable[..., Any]


def _drawn(seed: Any) -> Draw:
    return lambda shape, low=0.0, high=1.0, dtype=dt.float32: random_uniform(
        shape, low, high, dtype, seed
    )


def _stateless(seed: Any) -> Draw:
    return lambda shape, low=0.0, high=1.0, dtype=dt.float32: stateless_uniform(
        shape, seed, low, high, dtype
    )


def _flip(image: Any, axis: int, draw: Draw) -> Any:
    x, had_batch = batched(image)
    if had_batch:
        coins = round(draw([array.shape(x)[0]]))
        shaped = array.reshape(coins, [-1, 1, 1, 1])
        flips = array.broadcast_to(shaped > 0, array.shape(x))
        return array.where(flips, array.reverse(x, [axis]), x)
    result = array.where(draw([]) < 0.5, array.reverse(x, [axis]), x)
    return array.squeeze(result, [0])


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored at a vertical line, each image with a chance of one half."""
    return _flip(image, 2, _drawn(seed))


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Mirrored at a horizontal line, each image with a chance of one half."""
    return _flip(image, 1, _drawn(seed))


def stateless_random_flip_left_right(image: Any, seed: Any) -> Any:
    """As `random_flip_left_right`; the seed decides."""
    return _flip(image, 2, _stateless(seed))


def stateless_random_flip_up_down(image: Any, seed: Any) -> Any:
    """As `random_flip_up_down`; the seed decides."""
    return _flip(image, 1, _stateless(seed))


# ---- colours ----------------------------------------------------------------------------------
def _range(lower: float, upper: float, what: str) -> None:
    if upper <= lower:
        raise ValueError("upper must be > lower.")
    if lower < 0:
        raise ValueError(f"lower must be non-negative for {what}.")


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Brightness changed by -max_delta..max_delta."""
    return _brightness(image, max_delta, _drawn(seed))


def stateless_random_brightness(image: Any, max_delta: float, seed: Any) -> Any:
    """As `random_brightness`; the seed decides."""
    return _brightness(image, max_delta, _stateless(seed))


def _brightness(image: Any, max_delta: float, draw: Draw) -> Any:
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return colors.adjust_brightness(image, draw([], -max_delta, max_delta))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Contrast times lower..upper."""
    _range(lower, upper, "contrast")
    return adjust_contrast(image, _drawn(seed)([], lower, upper))


def stateless_random_contrast(image: Any, lower: float, upper: float, seed: Any) -> Any:
    """As `random_contrast`; the seed decides."""
    _range(lower, upper, "contrast")
    return adjust_contrast(image, _stateless(seed)([], lower, upper))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Saturation times lower..upper."""
    _range(lower, upper, "saturation")
    return colors.adjust_saturation(image, _drawn(seed)([], lower, upper))


def stateless_random_saturation(image: Any, lower: float, upper: float, seed: Any) -> Any:
    """As `random_saturation`; the seed decides."""
    _range(lower, upper, "saturation")
    return colors.adjust_saturation(image, _stateless(seed)([], lower, upper))


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Any:
    """The hue turned by -max_delta..max_delta (0..0.5)."""
    return _hue(image, max_delta, _drawn(seed))


def stateless_random_hue(image: Any, max_delta: float, seed: Any) -> Any:
    """As `random_hue`; the seed decides."""
    return _hue(image, max_delta, _stateless(seed))


def _hue(image: Any, max_delta: float, draw: Draw) -> Any:
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be <= 0.5 and non-negative.")
    return colors.adjust_hue(image, draw([], -max_delta, max_delta))


def random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any = None
) -> Any:
    """The image after a JPEG file of a random quality."""
    return _jpeg(image, min_jpeg_quality, max_jpeg_quality, _drawn(seed))


def stateless_random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any
) -> Any:
    """As `random_jpeg_quality`; the seed decides."""
    return _jpeg(image, min_jpeg_quality, max_jpeg_quality, _stateless(seed))


def _jpeg(image: Any, low: int, high: int, draw: Draw) -> Any:
    if not 0 <= low < high <= 100:
        raise ValueError("jpeg qualities must be between 0 and 100, the smaller one first")
    return adjust_jpeg_quality(image, draw([], low, high, dt.int32))


# ---- crops ------------------------------------------------------------------------------------
def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """A part of `size` at a random place of a tensor.

    Raises InvalidArgumentError where the tensor is smaller.
    """
    return _crop(value, size, _drawn(seed))


def stateless_random_crop(value: Any, size: Any, seed: Any, name: str | None = None) -> Any:
    """As `random_crop`; the seed decides."""
    return _crop(value, size, _stateless(seed))


def _crop(value: Any, size: Any, draw: Draw) -> Any:
    from shardtape import errors
    from shardtape.tensor import EagerTensor

    x = convert_to_tensor(value)
    sizes = convert_to_tensor(size, dtype_hint=dt.int32)
    have = array.shape(x)
    known = isinstance(have, EagerTensor) and isinstance(sizes, EagerTensor)
    if known and (np.asarray(have) < np.asarray(sizes)).any():
        raise errors.InvalidArgumentError(
            f"Need value.shape >= size, got {np.asarray(have)} {np.asarray(sizes)}"
        )
    limit = have - sizes + 1
    start = draw(array.shape(have), 0, np.iinfo(np.int32).max, dt.int32) % limit
    return array.slice(x, start, sizes)
