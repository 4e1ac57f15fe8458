"""How much of each pixel goes into each pixel of a resized image: one matrix per axis.

Rows of a matrix are output pixels, columns input pixels; float32.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

_TABLE = 1024  # TensorFlow looks the cubic kernel up in a table of so many steps
_TINY = 1000 * np.finfo(np.float32).tiny


def scale_of(size: int, out: int, align_corners: bool) -> float:
    """Input pixels per output pixel."""
    if align_corners and out > 1:
        return (size - 1) / (out - 1)
    return size / out


def _positions(size: int, out: int, align: bool, half: bool) -> np.ndarray:
    scale = np.float32(scale_of(size, out, align))
    x = np.arange(out, dtype=np.float32)
    return (x + np.float32(0.5)) * scale - np.float32(0.5) if half else x * scale


@functools.lru_cache(maxsize=256)
def nearest(size: int, out: int, align: bool, half: bool) -> np.ndarray:
    """The input pixel of each output pixel, int64 (out,)."""
    scale = np.float32(scale_of(size, out, align))
    x = np.arange(out, dtype=np.float32)
    at = (x + np.float32(0.5)) * scale if half else x * scale
    at = np.floor(at + np.float32(0.5)) if align else np.floor(at)
    return np.clip(at.astype(np.int64), 0, size - 1)


@functools.lru_cache(maxsize=256)
def bilinear(size: int, out: int, align: bool, half: bool) -> np.ndarray:
    """Two pixels each."""
    at = _positions(size, out, align, half)
    low = np.floor(at)
    share = at - low
    made = np.zeros((out, size), np.float32)
    rows = np.arange(out)
    np.add.at(made, (rows, np.maximum(low.astype(np.int64), 0)), 1 - share)
    np.add.at(made, (rows, np.minimum(np.ceil(at).astype(np.int64), size - 1)), share)
    return made


@functools.lru_cache(maxsize=4)
def _cubic_table(a: float) -> np.ndarray:
    x = np.arange(_TABLE + 1, dtype=np.float64) / _TABLE
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.stack([near, far], 1).astype(np.float32)


@functools.lru_cache(maxsize=256)
def bicubic(size: int, out: int, align: bool, half: bool) -> np.ndarray:
    """Four pixels each; with half-pixel centres those outside do not count."""
    table = _cubic_table(-0.5 if half else -0.75)
    at = _positions(size, out, align, half)
    low = np.floor(at).astype(np.int64)
    step = np.rint((at - np.floor(at)) * _TABLE).astype(np.int64)
    made = np.zeros((out, size), np.float32)
    weights = np.stack(
        [table[step, 1], table[step, 0], table[_TABLE - step, 0], table[_TABLE - step, 1]], 1
    )
    places = low[:, None] + np.arange(-1, 3)
    inside = np.clip(places, 0, size - 1)
    if half:
        weights = np.where(inside == places, weights, 0)
        total = weights.sum(1, keepdims=True)
        weights = np.where(np.abs(total) >= _TINY, weights / total, weights)
    np.add.at(made, (np.arange(out)[:, None], inside), weights)
    return made


@functools.lru_cache(maxsize=256)
def area(size: int, out: int, align: bool) -> np.ndarray:
    """Pixels by the area that they share with the output pixel."""
    scale = np.float32(scale_of(size, out, align))
    made = np.zeros((out, size), np.float32)
    for x in range(out):
        begin, end = x * scale, (x + 1) * scale
        for i in range(math.floor(begin), math.ceil(end)):
            first: Any = max(i, begin)
            last: Any = min(i + 1, end)
            made[x, min(i, size - 1)] += (last - first) / scale
    return made


# ---- kernels of any width ---------------------------------------------------------------------
def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _gaussian(x: np.ndarray) -> np.ndarray:
    return np.where(x < 1.5, np.exp(-x * x / (2 * 0.25)), 0)


def _keys(x: np.ndarray) -> np.ndarray:
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 2, 0, np.where(x >= 1, far, ((1.5 * x - 2.5) * x) * x + 1))


def _mitchell(x: np.ndarray) -> np.ndarray:
    far = (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9
    near = (((7 / 6) * x - 2) * x) * x + 8 / 9
    return np.where(x >= 2, 0, np.where(x >= 1, far, near))


_KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "lanczos1": (1.0, _lanczos(1)),
    "lanczos3": (3.0, _lanczos(3)),
    "lanczos5": (5.0, _lanczos(5)),
    "gaussian": (1.5, _gaussian),
    "box": (0.5, lambda x: np.where(x < 0.5, 1.0, np.where(x == 0.5, 0.5, 0.0))),
    "triangle": (1.0, lambda x: np.where(x < 1, 1 - x, 0)),
    "keyscubic": (2.0, _keys),
    "mitchellcubic": (2.0, _mitchell),
}


@functools.lru_cache(maxsize=256)
def spans(
    size: int, out: int, scale: float, translate: float, kernel: str, antialias: bool
) -> np.ndarray:
    """Pixels by a kernel that grows with the reduction (`antialias`).

    Raises ValueError for an unknown kernel.
    """
    if kernel not in _KERNELS:
        raise ValueError(f"Unrecognized kernel type: {kernel}")
    radius, function = _KERNELS[kernel]
    inverse = np.float32(1 / scale)
    width = max(inverse, np.float32(1)) if antialias else np.float32(1)
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * inverse - inverse * translate
    pixels = np.arange(size, dtype=np.float32) + np.float32(0.5)
    distance = np.abs(pixels[None, :] - at[:, None]) / width
    weights = np.where(distance <= radius, function(distance), 0).astype(np.float32)
    total = weights.sum(1, keepdims=True)
    weights = np.where(np.abs(total) >= _TINY, weights / np.where(total == 0, 1, total), weights)
    weights[(at < 0) | (at > size)] = 0
    return weights.astype(np.float32)


def matrices(
    kind: str, sizes: tuple[int, int], out: tuple[int, int], align: bool, half: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The matrices of both axes."""
    if kind == "area":
        return area(sizes[0], out[0], align), area(sizes[1], out[1], align)
    make = {"bilinear": bilinear, "bicubic": bicubic}[kind]
    return make(sizes[0], out[0], align, half), make(sizes[1], out[1], align, half)
