"""Windows that taper the ends of a stretch of a signal: Hann, Hamming, Kaiser, Vorbis."""

from __future__ import annotations

import math
from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.bessel import bessel_i0e
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.scanning import cumsum
from shardtape.ops.transcendental import cos, exp, sin, sqrt


def _length(window_length: Any) -> Any:
    length = convert_to_tensor(window_length, dtype_hint=dt.int32)
    if length.shape.rank not in (0, None):
        raise ValueError(f"window_length must be a scalar, got the shape {length.shape}")
    return cast(length, dt.int32)


def _kind(dtype: Any, of: str) -> dt.DType:
    kind = dt.as_dtype(dtype)
    if not kind.is_floating:
        raise ValueError(f"{of} needs a floating dtype, got {kind.name}")
    return kind


def _raised_cosine(window_length: Any, periodic: Any, dtype: Any, a: float, b: float) -> Any:
    kind = _kind(dtype, "A window")
    length = _length(window_length)
    periodic = cast(convert_to_tensor(periodic, dt.bool), dt.int32)
    # an odd window is symmetric whatever is asked for, as in TensorFlow
    even = 1 - length % 2
    span = length + periodic * even - 1
    one = array.ones_like(span)
    span = cast(array.where(span > 0, span, one), kind)
    angle = cast(array.range(length), kind) * (2 * math.pi) / span
    window = a - b * cos(angle)
    return array.where(array.broadcast_to(length > 1, array.shape(window)), window,
                       array.ones_like(window))  # fmt: skip


def hann_window(
    window_length: Any, periodic: Any = True, dtype: Any = dt.float32, name: str | None = None
) -> Any:
    """A Hann window (window_length,); `periodic` leaves out its last value, for spectra.

    Raises ValueError for a dtype that is not floating.
    """
    return _raised_cosine(window_length, periodic, dtype, 0.5, 0.5)


def hamming_window(
    window_length: Any, periodic: Any = True, dtype: Any = dt.float32, name: str | None = None
) -> Any:
    """As `hann_window`, a Hamming window."""
    return _raised_cosine(window_length, periodic, dtype, 0.54, 0.46)


def kaiser_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dt.float32, name: str | None = None
) -> Any:
    """A Kaiser window (window_length,); `beta` is how narrow it is."""
    kind = _kind(dtype, "A window")
    length = _length(window_length)
    half = cast(length - 1, kind) / 2
    safe = array.where(half > 0, half, array.ones_like(half))
    places = cast(array.range(length), kind) - half
    ratio = array.where(
        array.broadcast_to(half > 0, array.shape(places)), places / safe, array.zeros_like(places)
    )
    inner = 1 - ratio * ratio
    beta = convert_to_tensor(beta, kind)
    argument = beta * sqrt(array.where(inner > 0, inner, array.zeros_like(inner)))
    return exp(argument - beta) * bessel_i0e(argument) / bessel_i0e(beta)


def kaiser_bessel_derived_window(
    window_length: Any, beta: Any = 12.0, dtype: Any = dt.float32, name: str | None = None
) -> Any:
    """The window of even length that is made of a Kaiser window's sums, for `mdct`."""
    half = _length(window_length) // 2
    sums = cumsum(kaiser_window(half + 1, beta, dtype))
    rising = sqrt(sums[:-1] / sums[-1])
    return array.concat([rising, array.reverse(rising, [0])], 0)


def vorbis_window(window_length: Any, dtype: Any = dt.float32, name: str | None = None) -> Any:
    """The window of the Vorbis codec, for `mdct`."""
    kind = _kind(dtype, "A window")
    length = _length(window_length)
    inner = sin((cast(array.range(length), kind) + 0.5) * math.pi / cast(length, kind))
    return sin(inner * inner * (math.pi / 2))
