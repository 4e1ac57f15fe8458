"""Images as files, Pillow images and arrays: `load_img`, `img_to_array` and their sisters."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from shardtape.keras.floatx import floatx
from shardtape.keras.image_layout import image_data_format

_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
_FILTERS = {
    "nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "hamming": "HAMMING",
    "box": "BOX", "lanczos": "LANCZOS",
}  # fmt: skip


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Could not import PIL.Image. The use of `load_img` and `array_to_img` requires Pillow: "
            "`pip install pillow`"
        ) from error
    return Image


def _check_format(data_format: str | None) -> str:
    found = image_data_format() if data_format is None else data_format
    if found not in ("channels_first", "channels_last"):
        raise ValueError(f"Invalid data_format: {found}")
    return found


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image (or array) as an array (height, width, channels), of floatx by default."""
    data_format = _check_format(data_format)
    x = np.asarray(img, dtype=floatx() if dtype is None else dtype)
    if x.ndim == 3:
        return x.transpose(2, 0, 1) if data_format == "channels_first" else x
    if x.ndim == 2:
        return x[None] if data_format == "channels_first" else x[:, :, None]
    raise ValueError(f"Unsupported image shape: {x.shape}")


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array (height, width, 1, 3 or 4 channels) as a Pillow image.

    Args:
      scale: spread the values over 0..255.
    """
    pillow = _pillow()
    data_format = _check_format(data_format)
    x = np.asarray(x, dtype=floatx() if dtype is None else dtype)
    if x.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {x.shape}"
        )
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - np.min(x)
        greatest = np.max(x)
        x = (x / greatest if greatest else x) * 255
    if x.shape[2] in (3, 4):
        return pillow.fromarray(x.astype("uint8"), "RGB" if x.shape[2] == 3 else "RGBA")
    if x.shape[2] == 1:
        wide = np.max(x) > 255
        return pillow.fromarray(x[:, :, 0].astype("int32" if wide else "uint8"),
                                "I" if wide else "L")  # fmt: skip
    raise ValueError(f"Unsupported channel number: {x.shape[2]}")


def load_img(
    path: Any, grayscale: bool = False, color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None, interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:  # fmt: skip
    """A Pillow image from a file (or a stream of bytes).

    Args:
      color_mode: "rgb", "rgba" or "grayscale".
      target_size: (height, width) that it gets.
      keep_aspect_ratio: cut what does not fit instead of changing the proportions.
    """
    pillow = _pillow()
    color_mode = "grayscale" if grayscale else color_mode
    if color_mode not in _MODES:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    if isinstance(path, io.BytesIO):
        img = pillow.open(path)
    elif isinstance(path, (str, os.PathLike, bytes)):
        with open(path, "rb") as file:
            img = pillow.open(io.BytesIO(file.read()))
    else:
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    keeps = color_mode == "grayscale" and img.mode in ("I;16", "I")
    if not keeps and img.mode != _MODES[color_mode]:
        img = img.convert(_MODES[color_mode])
    if target_size is None:
        return img
    if interpolation not in _FILTERS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. Supported methods are "
            f"{', '.join(_FILTERS)}"
        )
    high, wide = target_size
    if img.size == (wide, high):
        return img
    resample = getattr(pillow.Resampling, _FILTERS[interpolation])
    if not keep_aspect_ratio:
        return img.resize((wide, high), resample)
    width, height = img.size
    cut_high, cut_wide = min(height, width * high // wide), min(width, height * wide // high)
    top, left = (height - cut_high) // 2, (width - cut_wide) // 2
    return img.resize((wide, high), resample, box=[left, top, left + cut_wide, top + cut_high])


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None,
    scale: bool = True, **kwargs: Any,
) -> None:  # fmt: skip
    """Writes an array as an image file."""
    img = array_to_img(x, data_format, scale)
    if img.mode == "RGBA" and file_format in ("jpg", "jpeg"):
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


def smart_resize(x: Any, size: tuple[int, int], interpolation: str = "bilinear") -> Any:
    """Images of another size without change of proportions: what does not fit is cut off.

    Args:
      x: tensor or array (height, width, channels) or (batch, height, width, channels).
      size: (height, width).

    Returns: of the kind of `x`, float32 where the interpolation makes it.
    """
    from shardtape import dtypes as dt
    from shardtape import image
    from shardtape.ops.array import shape
    from shardtape.ops.cast import cast
    from shardtape.ops.convert import convert_to_tensor
    from shardtape.ops.math import minimum

    if len(size) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers, but got: {size}.")
    img = convert_to_tensor(x)
    if img.shape.rank not in (3, 4):
        raise ValueError(
            "Expected an image array with shape `(height, width, channels)`, or `(batch_size, "
            f"height, width, channels)`, but got input with incorrect rank, of shape {img.shape}."
        )
    sizes = shape(img)
    height, width = sizes[-3], sizes[-2]
    high, wide = size
    cut_high = minimum(height, cast(cast(width * high, dt.float32) / wide, dt.int32))
    cut_wide = minimum(width, cast(cast(height * wide, dt.float32) / high, dt.int32))
    top = cast(cast(height - cut_high, dt.float32) / 2, dt.int32)
    left = cast(cast(width - cut_wide, dt.float32) / 2, dt.int32)
    part = img[..., top : top + cut_high, left : left + cut_wide, :]
    made = image.resize(part, size, interpolation)
    return made.numpy() if isinstance(x, np.ndarray) else made
