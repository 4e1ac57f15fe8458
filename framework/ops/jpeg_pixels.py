"""The pixels of JPEG files with the fast integer transform, which is TensorFlow's default.

Pillow has the fast transform only together with colours that are not interpolated. So files with
coarser colours are decoded to luminance and colours, and the colours are interpolated and turned
to RGB here, in the integers of libjpeg. The values are TensorFlow's bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_BITS = 16  # of the fraction in the numbers that turn colours to RGB
_HALF = 1 << (_BITS - 1)


def decode_fast(opened: Any, gray: bool, interpolate: bool) -> np.ndarray | None:
    """The pixels of a JPEG file, (height, width, 1 or 3) uint8.

    Args:
      opened: what `PIL.Image.open` gave.
      gray: the luminance alone, whatever the file has.
      interpolate: colours of a coarser grid are interpolated, else repeated.

    Returns:
      None for files that Pillow cannot decode so: CMYK, and colours of unusual grids.
    """
    if opened.mode not in ("L", "RGB"):
        return None
    sampling = [(across, down) for _, across, down, _ in opened.layer]
    plain = opened.mode == "RGB" and _is_rgb(opened)
    if opened.mode == "L" or gray and not plain:
        opened.draft("L", opened.size)
        return _decoded(opened)[:, :, None]
    if len(set(sampling)) == 1 or not (interpolate or plain):
        opened.draft("RGB", opened.size)
        return _gray(_decoded(opened)) if gray else _decoded(opened)
    across, down = sampling[0]
    if plain or sampling[1:] != [(1, 1)] * 2:
        return None
    opened.draft("YCbCr", opened.size)
    values = _decoded(opened)
    luminance, colours = values[:, :, 0], values[::down, ::across, 1:].astype(np.int16)
    return _rgb(luminance, _interpolated(colours, across, down, luminance.shape))


def _is_rgb(opened: Any) -> bool:
    """Whether the file holds red, green and blue themselves."""
    return opened.info.get("adobe_transform") == 0 or [
        number for number, *_ in opened.layer
    ] == list(b"RGB")


def _decoded(opened: Any) -> np.ndarray:
    opened.decoderconfig = (1, 1)  # the full size; fast
    return np.asarray(opened)


def _interpolated(x: np.ndarray, across: int, down: int, size: tuple[int, ...]) -> np.ndarray:
    """Colours (rows, columns, 2) on the grid of the luminance.

    A pixel takes three quarters of the nearer and one of the farther colour along each axis; the
    directions of rounding alternate. Other ratios than 1 and 2, and images of up to two colours
    in a row, have their colours repeated, as libjpeg does.
    """
    if across == 2 and x.shape[1] <= 2 or (across, down) not in ((2, 1), (1, 2), (2, 2)):
        wide = np.repeat(np.repeat(x, down, 0), across, 1)
        return wide[: size[0], : size[1]]
    if down == 2:
        x = _doubled(x, 0)
        if across == 1:
            x[::2] += 1
            x[1::2] += 2
            return (x >> 2)[: size[0]]
    x = _doubled(x, 1)
    if down == 2:
        x[:, ::2] += 8
        x[:, 1::2] += 7
        x >>= 4
    else:
        x[:, ::2] += 1
        x[:, 1::2] += 2
        x >>= 2
    return x[: size[0], : size[1]]


def _doubled(x: np.ndarray, axis: int) -> np.ndarray:
    """Three times the nearer plus the farther neighbour along an axis; ends repeat themselves."""
    x = np.moveaxis(x, axis, 0)
    out = np.empty((2 * len(x), *x.shape[1:]), np.int16)
    three = 3 * x
    out[2::2] = three[1:] + x[:-1]
    out[0] = three[0] + x[0]
    out[1:-1:2] = three[:-1] + x[1:]
    out[-1] = three[-1] + x[-1]
    return np.moveaxis(out, 0, axis)


def _rgb(luminance: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 of luminance and (blue, red) differences."""
    blue, red = colours[..., 0], colours[..., 1]
    out = np.empty((*luminance.shape, 3), np.int16)
    y = luminance.astype(np.int16)
    np.add(y, _RED[red], out=out[..., 0])
    np.add(y, ((_GREEN_BLUE[blue] + _GREEN_RED[red]) >> _BITS).astype(np.int16), out=out[..., 1])
    np.add(y, _BLUE[blue], out=out[..., 2])
    return out.clip(0, 255, out=out).astype(np.uint8)


def _gray(rgb: np.ndarray) -> np.ndarray:
    """The luminance (height, width, 1) uint8 of red, green and blue."""
    red, green, blue = (rgb[..., i : i + 1].astype(np.int32) for i in range(3))
    total = _fixed(0.299) * red + _fixed(0.587) * green + _fixed(0.114) * blue + _HALF
    return (total >> _BITS).astype(np.uint8)


def _fixed(factor: float) -> int:
    return int(factor * (1 << _BITS) + 0.5)


_CENTRED = np.arange(256, dtype=np.int32) - 128
_RED = ((_fixed(1.402) * _CENTRED + _HALF) >> _BITS).astype(np.int16)
_BLUE = ((_fixed(1.772) * _CENTRED + _HALF) >> _BITS).astype(np.int16)
_GREEN_RED = -_fixed(0.71414) * _CENTRED
_GREEN_BLUE = -_fixed(0.34414) * _CENTRED + _HALF
