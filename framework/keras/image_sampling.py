"""Images read at other places by affine maps; images of another size."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import resizing
from shardtape.ops.array import gather_nd, range, reshape, shape, stack
from shardtape.ops.cast import cast
from shardtape.ops.compare import logical_and
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import floor, maximum, minimum
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")
RESIZE_METHODS = (
    *INTERPOLATIONS, "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic",
)  # fmt: skip


def sample(
    images: Any, maps: Any, height: Any, width: Any, fill_mode: str = "reflect",
    interpolation: str = "bilinear", fill_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images (batch, h, w, c) of another size, whose pixels come from other places.

    Args:
      maps: (batch, 6): pixel (x, y) of the output is read at
        (m0 x + m1 y + m2, m3 x + m4 y + m5) of the input.
      height, width: of the output.
      fill_mode: what lies outside: the mirrored image, the repeated one, `fill_value`, or the
        nearest pixel.
    """
    x = cast(range(width), dt.float32)
    y = cast(range(height), dt.float32)
    m = [reshape(maps[:, i], [-1, 1, 1]) for i in (0, 1, 2, 3, 4, 5)]
    x, y = reshape(x, [1, 1, -1]), reshape(y, [1, -1, 1])
    sizes = shape(images)
    rows = _inside(m[3] * x + m[4] * y + m[5], sizes[1], fill_mode)
    columns = _inside(m[0] * x + m[1] * y + m[2], sizes[2], fill_mode)

    def read(row: Any, column: Any) -> Tensor:
        last_row, last_column = cast(sizes[1], row.dtype) - 1, cast(sizes[2], row.dtype) - 1
        at = stack([_clipped(row, last_row), _clipped(column, last_column)], -1)
        found = gather_nd(images, cast(at, dt.int32), batch_dims=1)
        if fill_mode != "constant":
            return found
        there = logical_and(
            logical_and(row >= 0, row <= last_row), logical_and(column >= 0, column <= last_column)
        )
        return where(there[..., None], found, convert_to_tensor(fill_value, found.dtype))

    if interpolation == "nearest":
        return read(floor(rows + 0.5), floor(columns + 0.5))
    top, left = floor(rows), floor(columns)
    below = cast(rows - top, images.dtype)[..., None]
    right = cast(columns - left, images.dtype)[..., None]
    upper = read(top, left) * (1 - right) + read(top, left + 1) * right
    lower = read(top + 1, left) * (1 - right) + read(top + 1, left + 1) * right
    return upper * (1 - below) + lower * below


def _clipped(at: Any, last: Any) -> Tensor:
    return minimum(maximum(at, convert_to_tensor(0.0, at.dtype)), last)


def _inside(at: Any, size: Any, fill_mode: str) -> Tensor:
    """Coordinates outside the image as those whose pixels stand for them."""
    size = cast(size, at.dtype)
    if fill_mode == "constant":
        return at
    if fill_mode == "reflect":
        at = at % (2 * size)
        at = where(at < size, at, 2 * size - at - 1)
    elif fill_mode == "wrap":
        # as TensorFlow counts: a size less one, so that what lies between last and first is first
        period = maximum(size - 1, convert_to_tensor(1.0, at.dtype))
        at = where(
            at < 0, at + size * (floor(-at / period) + 1),
            where(at > size - 1, at - size * floor(at / period), at),
        )  # fmt: skip
    return _clipped(at, size - 1)


def resize(images: Any, height: Any, width: Any, interpolation: str = "bilinear") -> Tensor:
    """Images (batch, h, w, c) of another size, without smoothing; float32 unless "nearest"."""
    size = stack([cast(height, dt.int32), cast(width, dt.int32)])
    return resizing.resize(images, size, interpolation)
