"""Images turned, cropped and padded: (batch, height, width, channels) or without the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import floor, maximum, minimum
from shardtape.ops.resizing import batched
from shardtape.tensor import EagerTensor


def _each(image: Any, function: Callable[[Any], Any]) -> Any:
    x, had_batch = batched(image)
    result = function(x)
    return result if had_batch else array.squeeze(result, [0])


def flip_left_right(image: Any) -> Any:
    """Mirrored at a vertical line."""
    return _each(image, lambda x: array.reverse(x, [2]))


def flip_up_down(image: Any) -> Any:
    """Mirrored at a horizontal line."""
    return _each(image, lambda x: array.reverse(x, [1]))


def transpose(image: Any, name: str | None = None) -> Any:
    """Mirrored at the diagonal."""
    return _each(image, lambda x: array.transpose(x, [0, 2, 1, 3]))


def rot90(image: Any, k: Any = 1, name: str | None = None) -> Any:
    """Turned counter-clockwise by 90 degrees, `k` times."""
    turns = convert_to_tensor(k)
    if isinstance(turns, EagerTensor):
        return _each(image, lambda x: _turned(x, int(turns) % 4))
    from shardtape.graph.control_flow import switch_case

    x, had_batch = batched(image)
    result = switch_case(
        cast(turns % 4, dt.int32), [lambda n=n: _turned(x, n) for n in (0, 1, 2, 3)]
    )
    return result if had_batch else array.squeeze(result, [0])


def _turned(x: Any, k: int) -> Any:
    if k == 1:
        return array.reverse(array.transpose(x, [0, 2, 1, 3]), [1])
    if k == 2:
        return array.reverse(x, [1, 2])
    if k == 3:
        return array.reverse(array.transpose(x, [0, 2, 1, 3]), [2])
    return array.identity(x)


# ---- crops ------------------------------------------------------------------------------------
def central_crop(image: Any, central_fraction: Any) -> Any:
    """The middle of an image, `central_fraction` (0..1] of each side.

    Raises ValueError for another fraction.
    """
    fraction = float(central_fraction)
    if not 0 < fraction <= 1:
        raise ValueError("`central_fraction` must be within (0, 1]")
    if fraction == 1:
        return convert_to_tensor(image)

    def cropped(x: Any) -> Any:
        height, width = array.unstack(array.shape(x)[1:3], 2)
        top = _start(height, x.shape[1], fraction)
        left = _start(width, x.shape[2], fraction)
        return x[:, top : height - top, left : width - left, :]

    return _each(image, cropped)


def _start(size: Any, known: int | None, fraction: float) -> Any:
    if known is not None:
        return int((known - known * fraction) / 2)
    whole = cast(size, dt.float64)
    return cast(floor((whole - whole * fraction) / 2), dt.int32)


def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The part of `target_height` x `target_width` from (`offset_height`, `offset_width`) on.

    Raises ValueError or InvalidArgumentError for a part that is not within the image.
    """

    def cropped(x: Any) -> Any:
        _check(offset_width, lambda v: v >= 0, "offset_width must be >= 0")
        _check(offset_height, lambda v: v >= 0, "offset_height must be >= 0")
        _check(target_width, lambda v: v > 0, "target_width must be > 0")
        _check(target_height, lambda v: v > 0, "target_height must be > 0")
        height, width = x.shape[1], x.shape[2]
        if isinstance(x, EagerTensor):
            _check(offset_width + target_width, lambda v: v <= width,
                   "width must be >= target + offset")  # fmt: skip
            _check(offset_height + target_height, lambda v: v <= height,
                   "height must be >= target + offset")  # fmt: skip
        return x[
            :,
            offset_height : offset_height + target_height,
            offset_width : offset_width + target_width,
            :,
        ]

    return _each(image, cropped)


def _check(value: Any, holds: Callable[[Any], bool], text: str) -> None:
    if isinstance(value, int) and not holds(value):
        raise ValueError(text)
    if isinstance(value, EagerTensor) and not holds(int(value)):
        raise errors.InvalidArgumentError(text)


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The image at (`offset_height`, `offset_width`) of zeros, `target_height` x `target_width`.

    Raises ValueError where it does not fit in.
    """

    def padded(x: Any) -> Any:
        height, width = array.unstack(array.shape(x)[1:3], 2)
        below = target_height - offset_height - height
        right = target_width - offset_width - width
        _check(offset_height, lambda v: v >= 0, "offset_height must be >= 0")
        _check(offset_width, lambda v: v >= 0, "offset_width must be >= 0")
        for value, text in ((right, "width must be <= target - offset"),
                            (below, "height must be <= target - offset")):  # fmt: skip
            if isinstance(value, EagerTensor) and int(value) < 0:
                raise ValueError(text)
        return _padded(x, offset_height, below, offset_width, right)

    result = _each(image, padded)
    if not isinstance(result, EagerTensor) and isinstance(target_height, int):
        rank = result.shape.rank
        if isinstance(target_width, int):
            sides = [None, target_height, target_width, None]
            result.set_shape(sides[4 - rank :])
    return result


def _padded(x: Any, top: Any, below: Any, left: Any, right: Any) -> Any:
    pairs = [
        array.stack([cast(convert_to_tensor(a), dt.int32), cast(convert_to_tensor(b), dt.int32)])
        for a, b in ((0, 0), (top, below), (left, right), (0, 0))
    ]
    return array.pad(x, array.stack(pairs))


def resize_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """The middle of the image, with zeros around it where it is too small."""

    def fitted(x: Any) -> Any:
        height, width = array.unstack(array.shape(x)[1:3], 2)
        wide, high = target_width - width, target_height - height
        cropped = x[
            :,
            maximum(-high // 2, 0) : maximum(-high // 2, 0) + minimum(target_height, height),
            maximum(-wide // 2, 0) : maximum(-wide // 2, 0) + minimum(target_width, width),
            :,
        ]
        top, left = maximum(high // 2, 0), maximum(wide // 2, 0)
        inner_height, inner_width = array.unstack(array.shape(cropped)[1:3], 2)
        return _padded(
            cropped, top, target_height - top - inner_height,
            left, target_width - left - inner_width,
        )  # fmt: skip

    result = _each(image, fitted)
    if not isinstance(result, EagerTensor):
        sides = [d if isinstance(d, int) else None for d in (target_height, target_width)]
        result.set_shape([None, *sides, None][4 - result.shape.rank :])
    return result


def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Any:
    """Patches of images as the last axis: (batch, rows, columns, size * size * channels)."""
    x = convert_to_tensor(images)
    _, high, wide, _ = sizes
    _, down, across, _ = strides
    _, rate_down, rate_across, _ = rates
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding is 'SAME' or 'VALID', got {padding!r}")
    span = (high - 1) * rate_down + 1, (wide - 1) * rate_across + 1
    height, width = array.unstack(array.shape(x)[1:3], 2)
    if padding == "SAME":
        rows, columns = -(-height // down), -(-width // across)
        extra_rows = maximum((rows - 1) * down + span[0] - height, 0)
        extra_columns = maximum((columns - 1) * across + span[1] - width, 0)
        x = _padded(x, extra_rows // 2, extra_rows - extra_rows // 2, extra_columns // 2,
                    extra_columns - extra_columns // 2)  # fmt: skip
    else:
        rows, columns = (height - span[0]) // down + 1, (width - span[1]) // across + 1
    parts = []
    for i in range(high):
        for j in range(wide):
            top, left = i * rate_down, j * rate_across
            parts.append(
                x[:, top : top + (rows - 1) * down + 1 : down,
                  left : left + (columns - 1) * across + 1 : across, :]
            )  # fmt: skip
    return array.concat(parts, 3)
