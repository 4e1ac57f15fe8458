"""Convolution of channels-last arrays by matrix products; any number of spatial axes.

Three products share one geometry: the convolution, the gradient of its input and the gradient of
its filter. On the host the images are worked off in blocks whose copied windows stay in the
processor's cache (2 to 4 times faster than all at once). Windows are copied as rows (one per
output position) or, for few channels, as planes (one per member of the window), whichever gives
the longer runs of contiguous memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape.ops import few_features
from shardtape.ops.scratch import scratch
from shardtape.ops.windows import Axis

Axes = tuple[Axis, ...]

# Windows of one block. Smaller blocks fit the second-level cache, but their products are slower:
# 16384 windows of 288, 64 filters, one core: 4.0, 3.2, 3.0 ms with 512, 1024, 2048 KiB.
_WINDOWS_BYTES = 2 << 20
_SUMS_BYTES = 1 << 20  # arrays that one block of an input gradient touches
# An input gradient is a convolution up to so many copied elements for each that is added. One core,
# 64 images of 16 x 16, windows of 3: 64 to 32 channels 5.2 ms added, 3.3 ms as a convolution; 64 to
# 64: 7.5, 6.2; 32 to 64: 4.4, 4.2; without padding the latter is the slower one.
_COPIED_PER_ADDED = 1.5
_PLANE_CHANNELS = 4  # planes read the input with a stride of the channels


def blocks_of_images(xp: Any, images: int, image_bytes: int, budget_bytes: int) -> Iterator[slice]:
    """Images that together stay below so many bytes; all at once on a device."""
    step = images
    if xp is np and image_bytes:
        step = max(1, min(images, budget_bytes // image_bytes))
    for first in range(0, images, max(1, step)):
        yield slice(first, min(images, first + step))


def runs(x: np.ndarray) -> np.ndarray:
    """A contiguous host array without its last axis; an element is all that lay along it."""
    return x.view(np.dtype((np.void, x.shape[-1] * x.itemsize)))[..., 0]


def buffer(xp: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    return scratch(name, shape, dtype) if xp is np else xp.empty(shape, dtype)


def is_pointwise(axes: Axes) -> bool:
    """One member per window, every position once: a plain matrix product."""
    return all(a.window == 1 and a.stride == 1 and not a.before and not a.after for a in axes)


def inner(axes: Axes) -> tuple[slice, ...]:
    return (slice(None), *[slice(a.before, a.before + a.size) for a in axes])


def is_padded(axes: Axes) -> bool:
    return any(a.before or a.after for a in axes)


def pad(xp: Any, x: Any, axes: Axes) -> Any:
    """`x` with zeros around it; `x` itself where there are none."""
    if not is_padded(axes):
        return x
    shape = (x.shape[0], *[a.padded for a in axes], x.shape[-1])
    padded = buffer(xp, "padded", shape, x.dtype)
    padded.fill(0)
    padded[inner(axes)] = x
    return padded


def window_slices(axes: Axes, offset: tuple[int, ...]) -> tuple[slice, ...]:
    """What member `offset` of all windows reads in the padded input."""
    out = [slice(None)]
    for a, o in zip(axes, offset):
        first = o * a.dilation
        stop = first + (a.outputs - 1) * a.stride + 1 if a.outputs else first
        out.append(slice(first, stop, a.stride))
    return tuple(out)


def offsets(axes: Axes) -> Iterator[tuple[int, ...]]:
    return itertools.product(*[range(a.window) for a in axes])


def _view(x: Any, axes: Axes, planes: bool) -> np.ndarray:
    """All windows of a padded host array as a view, (images, outputs..., window..., channels).

    Planes have the window and the channels first.
    """
    steps = x.strides
    out = tuple(a.outputs for a in axes)
    window = tuple(a.window for a in axes)
    out_steps = tuple(s * a.stride for s, a in zip(steps[1:], axes))
    window_steps = tuple(s * a.dilation for s, a in zip(steps[1:], axes))
    if planes:
        shape = (*window, x.shape[-1], x.shape[0], *out)
        strides = (*window_steps, steps[-1], steps[0], *out_steps)
    else:
        shape = (x.shape[0], *out, *window, x.shape[-1])
        strides = (steps[0], *out_steps, *window_steps, steps[-1])
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _wants_planes(axes: Axes, channels: int) -> bool:
    last = axes[-1]
    run = channels * (last.window if last.dilation == 1 else 1)
    return channels <= _PLANE_CHANNELS and run < last.outputs


def _windows(xp: Any, x: Any, axes: Axes, planes: bool) -> Any:
    """A matrix (outputs, window x channels) of all windows of the padded `x`."""
    members = math.prod(a.window for a in axes) * x.shape[-1]
    if xp is np:
        view = _view(x, axes, planes)
        columns = scratch("windows", view.shape, x.dtype)
        np.copyto(columns, view)
        return columns.reshape(members, -1).T if planes else columns.reshape(-1, members)
    out = [a.outputs for a in axes]
    columns = xp.empty((x.shape[0], *out, *[a.window for a in axes], x.shape[-1]), x.dtype)
    for offset in offsets(axes):
        place = (*[slice(None)] * (1 + len(axes)), *offset)
        columns[place] = x[window_slices(axes, offset)]
    return columns.reshape(-1, members)


def _is_plain(array: Any) -> bool:
    return bool(array.flags.c_contiguous)


def convolve(xp: Any, x: Any, w: Any, axes: Axes, out: Any = None) -> Any:
    """x (n, spatial..., c), w (window..., c, f) to (n, outputs..., f)."""
    features = w.shape[-1]
    shape = (x.shape[0], *[a.outputs for a in axes], features)
    if out is None or not _is_plain(out):
        made = convolve(xp, x, w, axes, xp.empty(shape, x.dtype))
        if out is None:
            return made
        out[...] = made
        return out
    if not out.size or not w.size:
        out.fill(0)
        return out
    channels = x.shape[-1]
    matrix = w.reshape(-1, features)
    if is_pointwise(axes):
        xp.matmul(x.reshape(-1, channels), matrix, out=out.reshape(-1, features))
        return out
    if xp is np and few_features.is_wanted(axes, channels, features):
        return few_features.convolve(x, w, axes, out)
    planes = _wants_planes(axes, channels)
    image_bytes = math.prod(shape[1:-1]) * matrix.shape[0] * x.dtype.itemsize
    for block in blocks_of_images(xp, x.shape[0], image_bytes, _WINDOWS_BYTES):
        columns = _windows(xp, pad(xp, x[block], axes), axes, planes)
        xp.matmul(columns, matrix, out=out[block].reshape(-1, features))
    return out


def filter_gradient(xp: Any, x: Any, g: Any, axes: Axes, out: Any = None) -> Any:
    """x (n, spatial..., c), g (n, outputs..., f) to (window..., c, f)."""
    channels, features = x.shape[-1], g.shape[-1]
    shape = (*[a.window for a in axes], channels, features)
    if out is None or not _is_plain(out):
        made = filter_gradient(xp, x, g, axes, xp.empty(shape, x.dtype))
        if out is None:
            return made
        out[...] = made
        return out
    if not g.size or not x.size:
        out.fill(0)
        return out
    total = out.reshape(-1, features)
    if is_pointwise(axes):
        xp.matmul(x.reshape(-1, channels).T, g.reshape(-1, features), out=total)
        return out
    if xp is np and few_features.is_wanted(axes, channels, features):
        return few_features.filter_gradient(x, g, axes, out)
    planes = _wants_planes(axes, channels)
    image_bytes = math.prod(g.shape[1:-1]) * total.shape[0] * x.dtype.itemsize
    part = None
    for block in blocks_of_images(xp, x.shape[0], image_bytes, _WINDOWS_BYTES):
        columns = _windows(xp, pad(xp, x[block], axes), axes, planes)
        rows = g[block].reshape(-1, features)
        if part is None:
            xp.matmul(columns.T, rows, out=total)
            part = buffer(xp, "part", total.shape, total.dtype)
        else:
            xp.matmul(columns.T, rows, out=part)
            total += part
    return out


def _turned(axes: Axes) -> Axes | None:
    """The windows of outputs that each input is a member of; None with strides."""
    made = []
    for a in axes:
        before, after = a.reach - 1 - a.before, a.reach - 1 - a.after
        if a.stride != 1 or before < 0 or after < 0:
            return None
        made.append(Axis(a.outputs, a.window, 1, a.dilation, before, after, a.size))
    return tuple(made)


def input_gradient(xp: Any, w: Any, g: Any, axes: Axes, out: Any = None) -> Any:
    """w (window..., c, f), g (n, outputs..., f) to (n, spatial..., c).

    One product per member of the window, added where the windows lie: with strides there are
    none of the zeros that a convolution with the flipped filter would multiply. Without strides
    that convolution is faster where it has no more windows to copy than those there are to add.
    """
    channels, features = w.shape[-2:]
    shape = (g.shape[0], *[a.size for a in axes], channels)
    if out is None or not _is_plain(out):
        made = input_gradient(xp, w, g, axes, xp.empty(shape, g.dtype))
        if out is None:
            return made
        out[...] = made
        return out
    if not g.size or not out.size or not w.size:
        out.fill(0)
        return out
    if is_pointwise(axes):
        matrix = w.reshape(channels, features)
        xp.matmul(g.reshape(-1, features), matrix.T, out=out.reshape(-1, channels))
        return out
    turned = _turned(axes)
    if xp is np and turned is not None:
        outputs, sizes = math.prod(g.shape[1:-1]), math.prod(shape[1:-1])
        if features * sizes <= _COPIED_PER_ADDED * channels * outputs:
            back = (slice(None, None, -1),) * len(axes)
            return convolve(xp, g, np.ascontiguousarray(w[back].swapaxes(-1, -2)), turned, out)
    if xp is np and few_features.is_few(axes, features, channels):
        return few_features.input_gradient(w, g, axes, out)
    is_larger = is_padded(axes)
    itemsize = g.dtype.itemsize
    positions = math.prod(a.outputs for a in axes)
    image_bytes = itemsize * (positions * (features + channels) + math.prod(shape[1:]))
    for block in blocks_of_images(xp, g.shape[0], image_bytes, _SUMS_BYTES):
        rows = g[block].reshape(-1, features)
        count = block.stop - block.start
        part = buffer(xp, "part", (count, *[a.outputs for a in axes], channels), g.dtype)
        flat = part.reshape(-1, channels)
        total = out[block]
        if is_larger:
            total = buffer(xp, "padded", (count, *[a.padded for a in axes], channels), g.dtype)
        total.fill(0)
        for offset in offsets(axes):
            xp.matmul(rows, w[offset].T, out=flat)
            target = total[window_slices(axes, offset)]
            target += part
        if is_larger:
            out[block] = total[inner(axes)]
    return out
