"""Cosine transforms of the last axis, made of Fourier transforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import complex as complex_op
from shardtape.ops.complex_numbers import real
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.fourier import fft, ifft, rfft
from shardtape.ops.taper import vorbis_window
from shardtape.ops.transcendental import cos, sin

_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}


def _check(type: int, n: Any, axis: int, norm: str | None, size: int | None) -> None:
    if axis != -1:
        raise NotImplementedError(f"axis must be -1. Got: {axis}")
    if n is not None and n < 1:
        raise ValueError("n should be a positive integer or None")
    if type not in _INVERSE:
        raise ValueError("Types I, II, III and IV (I)DCT are supported.")
    if type == 1:
        if norm == "ortho":
            raise ValueError("Normalization is not supported for the Type-I DCT.")
        if size is not None and size < 2:
            raise ValueError("Type-I DCT requires the dimension to be greater than one.")
    if norm not in (None, "ortho"):
        raise ValueError(f"Unknown normalization. Expected None or 'ortho', got: {norm}")


def dct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The cosine transform of the last axis.

    Args:
      type: 1 to 4.
      n: the axis is cut, or filled with zeros, to this size first.
      norm: "ortho" makes the transform orthogonal; not for type 1.

    Raises:
      ValueError: another type or norm, or n below 1.
      NotImplementedError: another axis than the last.
    """
    x = convert_to_tensor(input)
    if n is not None:
        x = _resized(x, n)
    size = x.shape[-1]
    _check(type, n, axis, norm, size)
    count = array.shape(x)[-1] if size is None else size
    return _TYPES[type](x, count, norm == "ortho")


def idct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The inverse of `dct` (with norm None: times 2 n, or 2 (n - 1) for type 1)."""
    _check(type, n, axis, norm, None)
    return dct(input, _INVERSE[type], n, axis, norm, name)


def _resized(x: Any, n: int) -> Any:
    rank = x.shape.rank
    x = x[..., :n]
    missing = n - array.shape(x)[-1]
    rows = [[0, 0]] * (rank - 1) + [[0, missing]]
    return array.pad(x, array.stack([array.stack(row) for row in rows]))


def _number(value: Any, like: Any) -> Any:
    return cast(convert_to_tensor(value), like.dtype)


def _turns(angle: Any) -> Any:
    """exp(i angle)."""
    return complex_op(cos(angle), sin(angle))


def _steps(count: Any, like: Any) -> Any:
    return cast(array.range(count), like.dtype)


def _doubled(count: Any) -> Any:
    return array.reshape(convert_to_tensor(2 * count, dt.int32), [1])


def _first(x: Any, count: Any, ortho: bool) -> Any:
    inner = array.reverse(x, [-1])[..., 1:-1]
    return real(rfft(array.concat([x, inner], -1)))


def _second(x: Any, count: Any, ortho: bool) -> Any:
    n = _number(count, x)
    turn = _turns(-_steps(count, x) * (math.pi / 2) / n)
    made = 2 * real(rfft(x, _doubled(count))[..., :count] * turn)
    if not ortho:
        return made
    return made * _at_zero(x, count, (0.25 / n) ** 0.5, (0.5 / n) ** 0.5)


def _third(x: Any, count: Any, ortho: bool) -> Any:
    n = _number(count, x)
    one = array.ones_like(n)
    factors = (one / n**0.5, (2 / n) ** 0.5) if ortho else (one, 2 * one)
    x = x * _at_zero(x, count, *factors)
    turn = _turns(_steps(count, x) * (math.pi / 2) / n)
    wide = complex_op(x, array.zeros_like(x)) * turn
    back = ifft(array.concat([wide, array.zeros_like(wide)], -1))
    return 2 * n * real(back)[..., :count]


def _fourth(x: Any, count: Any, ortho: bool) -> Any:
    n = _number(count, x)
    steps = _steps(count, x)
    wide = complex_op(x, array.zeros_like(x)) * _turns(-steps * (math.pi / 2) / n)
    spectrum = fft(array.concat([wide, array.zeros_like(wide)], -1))[..., :count]
    made = 2 * real(spectrum * _turns(-(2 * steps + 1) * (math.pi / 4) / n))
    return made * (0.5 / n) ** 0.5 if ortho else made


def _at_zero(x: Any, count: Any, first: Any, others: Any) -> Any:
    """A vector of `others` that begins with `first`."""
    steps = array.range(count)
    shape = array.shape(steps)
    return array.where(
        steps > 0, array.broadcast_to(others, shape), array.broadcast_to(first, shape)
    )


_TYPES = {1: _first, 2: _second, 3: _third, 4: _fourth}


# ---- lapped transforms ------------------------------------------------------------------------
def mdct(
    signals: Any, frame_length: Any, window_fn: Callable[..., Any] | None = vorbis_window,
    pad_end: bool = False, norm: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Modified cosine transforms of frames that overlap by half.

    Shapes: (..., samples) to (..., frames, frame_length // 2).

    Args:
      frame_length: a multiple of 4.
      norm: None or "ortho".
    """
    from shardtape.ops.spectral import frame

    signals = convert_to_tensor(signals)
    half = frame_length // 2
    frames = frame(signals, frame_length, half, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(frame_length, dtype=frames.dtype)
    a, b, c, d = array.split(frames, 4, axis=-1)
    backwards = lambda x: array.reverse(x, [-1])
    return dct(array.concat([-backwards(c) - d, a - backwards(b)], -1), type=4, norm=norm)


def inverse_mdct(
    mdcts: Any, window_fn: Callable[..., Any] | None = vorbis_window, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The inverse of `mdct`: (..., frames, half) to (..., samples)."""
    from shardtape.ops.spectral import overlap_and_add

    mdcts = convert_to_tensor(mdcts)
    half = mdcts.shape[-1]
    if half is None:
        raise ValueError("inverse_mdct needs to know the size of the last axis")
    frames = dct(mdcts, type=4, norm=norm)
    if norm is None:
        frames = frames * (0.5 / half)
    first, second = array.split(frames, 2, axis=-1)
    backwards = lambda x: array.reverse(x, [-1])
    whole = array.concat([second, -backwards(second), -backwards(first), -first], -1)
    if window_fn is not None:
        whole = whole * window_fn(2 * half, dtype=whole.dtype)
    return overlap_and_add(whole, half)
