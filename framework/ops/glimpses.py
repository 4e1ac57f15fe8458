"""`tf.image.extract_glimpse`: windows of images around points."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array, reduce
from shardtape.ops.array import gather_nd
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import maximum, minimum
from shardtape.ops.random import random_normal, random_uniform
from shardtape.ops.refusals import refusal
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor

_NOISES = ("uniform", "gaussian", "zero")


def extract_glimpse(
    input: Any, size: Any, offsets: Any, centered: bool = True, normalized: bool = True,
    noise: str = "uniform", name: str | None = None,
) -> Tensor:  # fmt: skip
    """A window of each image; what lies outside of it is noise.

    Args:
      input: float32 (batch, height, width, channels).
      size: (height, width) of the windows.
      offsets: (batch, 2), as (y, x): of the windows' middles from -1 to 1, 0 for the middle of
        the image, with `centered` and `normalized`; else of their first pixels: with `centered`
        from the middle of the image, with `normalized` in shares of its size.
      noise: "uniform" (over the values of the image), "gaussian" (of their mean and deviation),
        "zero".

    Raises InvalidArgumentError for shapes or a noise that do not fit (ValueError in a graph).
    """
    x = convert_to_tensor(input, dt.float32)
    places = convert_to_tensor(offsets, dt.float32)
    if noise not in _NOISES:
        raise refusal(f"The noise could only be uniform, gaussian, or zero, got {noise!r}")
    if x.shape.rank != 4:
        raise refusal(f"input must be (batch_size, height, width, depth), got {x.shape}")
    if not places.shape.is_compatible_with([x.shape[0], 2]):
        raise refusal(f"offsets must be (batch_size, 2), got {places.shape}")
    window = convert_to_tensor(size, dt.int32)
    sizes = array.shape(x)
    extent = cast(sizes[1:3], dt.float32)
    start = places * extent if normalized else places
    if centered:
        start = (start / 2.0 if normalized else start) + extent / 2.0
        if normalized:
            start = start - cast(window, dt.float32) / 2.0
    first = cast(start, dt.int32)  # towards zero
    rows = first[:, :1] + array.range(window[0])[None]
    columns = first[:, 1:] + array.range(window[1])[None]
    at = [array.broadcast_to(v, array.stack([sizes[0], window[0], window[1]])) for v in (
        array.range(sizes[0])[:, None, None], rows[:, :, None], columns[:, None, :]
    )]  # fmt: skip
    inside = (at[1] >= 0) & (at[1] < sizes[1]) & (at[2] >= 0) & (at[2] < sizes[2])
    kept = [at[0], *(minimum(maximum(v, 0), n - 1) for v, n in zip(at[1:], (sizes[1], sizes[2])))]
    found = gather_nd(x, array.stack(kept, -1))
    made = where(inside[..., None], found, _noise(x, array.shape(found), noise))
    made.set_shape([x.shape[0], None, None, x.shape[3]])
    return array.identity(made, name=name)


def _noise(x: Tensor, sizes: Any, kind: str) -> Any:
    if kind == "zero":
        return array.zeros(sizes, dt.float32)
    if kind == "uniform":
        low = reduce.reduce_min(x, [1, 2, 3], keepdims=True)
        high = reduce.reduce_max(x, [1, 2, 3], keepdims=True)
        return low + (high - low) * random_uniform(sizes)
    mean = reduce.reduce_mean(x, [1, 2], keepdims=True)
    deviation = reduce.reduce_std(x, [1, 2], keepdims=True)
    low, high = (f(x, [1, 2], keepdims=True) for f in (reduce.reduce_min, reduce.reduce_max))
    return maximum(minimum(mean + deviation * random_normal(sizes), high), low)
