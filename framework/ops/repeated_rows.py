"""Elementwise functions of a large host array and a vector of few channels.

numpy runs a loop over each row of channels. With the vector repeated, many rows are one:
(64, 32, 32, 16) times (16,) takes 0.14 ms in place of 0.34 ms, with 32 channels 0.065 for 0.10.
"""

from __future__ import annotations

import math

import numpy as np

_LEAST_ELEMENTS = 32 << 10
_SHORT_ROW = 128  # from here on a loop over each row costs as little
_LONG_ROW = 2048


def spread_into(ufunc: np.ufunc, x: np.ndarray, y: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`ufunc(x, y, out=out)`, where `x` and `y` broadcast to the shape of `out`."""
    if x.shape != y.shape and out.size >= _LEAST_ELEMENTS and out.ndim > 1:
        small = x if x.size < y.size else y
        width = small.size
        if 1 < width < _SHORT_ROW and small.shape[-1] == width == out.shape[-1]:
            large = y if small is x else x
            if large.shape == out.shape and large.flags.c_contiguous and out.flags.c_contiguous:
                count = math.gcd(out.size // width, 1 << (_LONG_ROW // width).bit_length() - 1)
                shape = (-1, count * width)
                row = np.empty((count, width), small.dtype)
                row[...] = small.reshape(-1)
                row, large = row.reshape(-1), large.reshape(shape)
                pair = (row, large) if small is x else (large, row)
                ufunc(*pair, out=out.reshape(shape))
                return out
    return ufunc(x, y, out=out)
