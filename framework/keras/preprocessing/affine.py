"""Affine maps, shifts of colour and of brightness of single images, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.preprocessing.image_files import array_to_img, img_to_array


def resampled(
    image: np.ndarray, matrix: np.ndarray, offset: np.ndarray, order: int = 1,
    mode: str = "nearest", cval: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """An image (height, width) whose pixel p is read at `matrix @ p + offset`.

    Args:
      order: 0 takes the nearest pixel, 1 interpolates.
      mode: what lies outside: "nearest" the nearest pixel, "constant" `cval`, "reflect" the
        mirrored image, "wrap" the repeated one.

    Raises ValueError for another order or mode.
    """
    if order not in (0, 1):
        raise ValueError(f"interpolation_order must be 0 or 1, got {order}")
    if mode not in ("nearest", "constant", "reflect", "wrap"):
        raise ValueError(f"unknown fill_mode {mode!r}")
    high, wide = image.shape
    rows, columns = np.mgrid[:high, :wide].astype(np.float64)
    y = matrix[0, 0] * rows + matrix[0, 1] * columns + offset[0]
    x = matrix[1, 0] * rows + matrix[1, 1] * columns + offset[1]
    outside = (y < 0) | (y > high - 1) | (x < 0) | (x > wide - 1)
    y, x = _inside(y, high, mode), _inside(x, wide, mode)
    if order == 0:
        made = image[_index(np.floor(y + 0.5), high), _index(np.floor(x + 0.5), wide)]
    else:
        top, left = np.floor(y), np.floor(x)
        below, right = y - top, x - left
        a, b = _index(top, high), _index(top + 1, high)
        c, d = _index(left, wide), _index(left + 1, wide)
        upper = image[a, c] * (1 - right) + image[a, d] * right
        lower = image[b, c] * (1 - right) + image[b, d] * right
        made = upper * (1 - below) + lower * below
    made = np.where(outside, cval, made) if mode == "constant" else made
    return made.astype(image.dtype)


def _inside(at: np.ndarray, size: int, mode: str) -> np.ndarray:
    if mode == "reflect":
        at = np.mod(at + 0.5, 2 * size) - 0.5  # a period is the image and its mirror image
        at = np.where(at > size - 0.5, 2 * size - 1 - at, at)
    elif mode == "wrap" and size > 1:
        # one step less than the image, so that its first and last pixel fall together
        at = np.where((at < 0) | (at > size - 1), np.mod(at, size - 1), at)
    return np.clip(at, 0, size - 1)


def _index(at: np.ndarray, size: int) -> np.ndarray:
    return np.clip(at, 0, size - 1).astype(np.intp)


def apply_affine_transform(
    x: np.ndarray, theta: float = 0, tx: float = 0, ty: float = 0, shear: float = 0,
    zx: float = 1, zy: float = 1, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, order: int = 1,
) -> np.ndarray:  # fmt: skip
    """An image turned, moved, sheared and zoomed around its middle.

    Args:
      theta, shear: in degrees.
      tx, ty: in pixels, along columns and rows.
      zx, zy: factors of the columns and rows.
    """
    parts = []
    if theta:
        angle = np.deg2rad(theta)
        sin, cos = np.sin(angle), np.cos(angle)
        parts.append([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if tx or ty:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear:
        angle = np.deg2rad(shear)
        parts.append([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return x
    matrix = np.eye(3)
    for part in parts:
        matrix = matrix @ np.array(part, np.float64)
    middle = np.array([x.shape[row_axis], x.shape[col_axis]]) / 2 - 0.5
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = middle, -middle
    matrix = there @ matrix @ back
    if col_axis > row_axis:  # the maps above are of (x, y), pixels are (row, column)
        matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]
    channels = np.moveaxis(x, channel_axis, 0)
    made = [resampled(c, matrix[:2, :2], matrix[:2, 2], order, fill_mode, cval) for c in channels]
    return np.moveaxis(np.stack(made), 0, channel_axis)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """All values plus `intensity`, kept between the least and the greatest of the image."""
    return np.clip(x + intensity, np.min(x), np.max(x))


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """An image made brighter by a factor (by Pillow, on bytes)."""
    from PIL import ImageEnhance

    least, greatest = np.min(x), np.max(x)
    local = bool(least < 0 or greatest > 255)
    image = ImageEnhance.Brightness(array_to_img(x, scale=local or scale)).enhance(brightness)
    made = img_to_array(image)
    return made / 255 * (greatest - least) + least if local and not scale else made
