"""Depthwise convolution of channels-last arrays: each channel by filters of its own.

On the host, where each channel has one filter, `einsum` multiplies and adds in one pass per member
of the window, over rows of positions and channels, while the sums stay in the processor's nearest
cache. Strides would leave runs of a few channels, so the positions are first copied apart by them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from shardtape.ops.leading_sums import sum_over
from shardtape.ops.patches import (
    Axes,
    blocks_of_images,
    buffer,
    inner,
    is_padded,
    offsets,
    pad,
    window_slices,
)
from shardtape.ops.scratch import scratch
from shardtape.ops.windows import Axis

_SUMS_BYTES = 384 << 10  # arrays that one block of images touches, one pass after the other
# By einsum; (32, 32, 32, 32), windows of 3: 1.55, 1.46, 1.34, 1.35 ms with 1, 2, 4, 8 images.
_ROWS_BYTES = 1 << 20
# Gradient of the filters: 2.22, 1.50, 1.34 ms with 512, 1024, 2048 KiB.
_FILTER_ROWS_BYTES = 2 << 20


def depthwise(xp: Any, x: Any, w: Any, axes: Axes) -> Any:
    """x (n, spatial..., c), w (window..., c, m) to (n, outputs..., c * m)."""
    channels, each = w.shape[-2:]
    if _by_rows(xp, x, w, axes, each):
        return _rows_forward(x, w[..., 0], axes)
    split, rows_of_w = _channel_rows(xp, w, axes)
    shape = (x.shape[0], *[a.outputs for a in axes], *split)
    total = xp.empty(shape, x.dtype)
    for block in _image_blocks(xp, x, axes, channels, each):
        padded = _widened(pad(xp, x[block], axes), split)
        sums = total[block]
        part = buffer(xp, "part", sums.shape, x.dtype)
        for number, offset in enumerate(offsets(axes)):
            made = part if number else sums
            xp.multiply(padded[window_slices(axes, offset)], rows_of_w[offset], out=made)
            if number:
                sums += part
    return total.reshape(*shape[: 1 + len(axes)], channels * each)


def depthwise_input_gradient(xp: Any, w: Any, g: Any, axes: Axes) -> Any:
    """w (window..., c, m), g (n, outputs..., c * m) to (n, spatial..., c)."""
    channels, each = w.shape[-2:]
    if _by_rows(xp, g, w, axes, each):
        return _rows_input_gradient(w[..., 0], g, axes)
    split, rows_of_w = _channel_rows(xp, w, axes)
    gradient = g.reshape(*g.shape[:-1], *split)
    out = xp.empty((g.shape[0], *[a.size for a in axes], channels), g.dtype)
    for block in _image_blocks(xp, g, axes, channels, each):
        rows, sums = gradient[block], out[block]
        total = sums
        if is_padded(axes):
            shape = (rows.shape[0], *[a.padded for a in axes], channels)
            total = buffer(xp, "padded", shape, g.dtype)
        total.fill(0)
        part = buffer(xp, "part", rows.shape, g.dtype)
        for offset in offsets(axes):
            xp.multiply(rows, rows_of_w[offset], out=part)
            target = total[window_slices(axes, offset)]
            target += part if each == 1 else part.sum(axis=-1)
        if total is not sums:
            sums[...] = total[inner(axes)]
    return out


def depthwise_filter_gradient(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    """x (n, spatial..., c), g (n, outputs..., c * m) to (window..., c, m)."""
    channels = x.shape[-1]
    each = g.shape[-1] // channels
    if _by_rows(xp, x, g, axes, each):
        return _rows_filter_gradient(x, g, axes)[..., None]
    split: tuple[int, ...] = (channels,) if each == 1 else (channels, each)
    gradient = g.reshape(*g.shape[:-1], *split)
    out = xp.zeros((*[a.window for a in axes], *split), x.dtype)
    outer = tuple(range(1 + len(axes)))
    for block in _image_blocks(xp, x, axes, channels, each):
        padded = _widened(pad(xp, x[block], axes), split)
        rows = gradient[block]
        part = buffer(xp, "part", rows.shape, x.dtype)
        for offset in offsets(axes):
            xp.multiply(padded[window_slices(axes, offset)], rows, out=part)
            out[offset] += sum_over(xp, part, outer)
    return out.reshape(*[a.window for a in axes], channels, each)


# ---- any number of filters per channel, any array module ------------------------------------
def _channel_rows(xp: Any, w: Any, axes: Axes) -> tuple[tuple[int, ...], Any]:
    """The last axes of outputs, (c,) where each channel has one filter, and the filters.

    Each filter is repeated for all outputs of a row, so that numpy multiplies whole rows at once.
    """
    channels, each = w.shape[-2:]
    split: tuple[int, ...] = (channels,) if each == 1 else (channels, each)
    window = w.shape[:-2]
    spread = w.reshape(*window, 1, *split)
    return split, xp.ascontiguousarray(xp.broadcast_to(spread, (*window, axes[-1].outputs, *split)))


def _widened(x: Any, split: tuple[int, ...]) -> Any:
    return x if len(split) == 1 else x[..., None]


def _image_blocks(xp: Any, x: Any, axes: Axes, channels: int, each: int) -> Iterator[slice]:
    """Images whose inputs, sums and products stay in the processor's cache."""
    outputs = math.prod(a.outputs for a in axes) * each
    inputs = math.prod(a.padded for a in axes)
    image_bytes = x.dtype.itemsize * channels * (2 * outputs + inputs)
    return blocks_of_images(xp, x.shape[0], image_bytes, _SUMS_BYTES)


# ---- one filter per channel, two axes, on the host ------------------------------------------
def _by_rows(xp: Any, x: Any, w: Any, axes: Axes, each: int) -> bool:
    return xp is np and each == 1 and len(axes) == 2 and bool(x.size and w.size)


class _Group(NamedTuple):
    """Members of windows whose places in the padded input are equal modulo the stride."""

    phase: int
    members: slice  # of the window
    first: int  # place of the first one, in strides
    step: int  # strides from one to the next


def _groups(a: Axis) -> list[_Group]:
    found = []
    for phase in range(a.stride):
        members = [k for k in range(a.window) if k * a.dilation % a.stride == phase]
        if members:
            places = [k * a.dilation // a.stride for k in members]
            apart, step = 1, 0
            if len(members) > 1:
                apart, step = members[1] - members[0], places[1] - places[0]
            chosen = slice(members[0], members[-1] + 1, apart)
            found.append(_Group(phase, chosen, places[0], step))
    return found


def _row_blocks(x: Any, axes: Axes, budget_bytes: int) -> Iterator[slice]:
    places = math.prod(a.padded for a in axes) + math.prod(a.outputs for a in axes)
    image_bytes = x.itemsize * x.shape[-1] * places
    return blocks_of_images(np, x.shape[0], image_bytes, budget_bytes)


def _repeated(w: np.ndarray, positions: int) -> np.ndarray:
    """The filters (i, j, c) of a group for each position of a row: (i, j, positions * c)."""
    shape = (*w.shape[:2], positions, w.shape[-1])
    return np.broadcast_to(w[:, :, None], shape).reshape(*w.shape[:2], -1)


def _apart(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Padded images with the places of a row copied apart by the stride: (stride, n, h, w, c)."""
    down, along = axes
    width = -(-along.padded // along.stride)
    shape = (along.stride, x.shape[0], down.padded, width, x.shape[-1])
    made = scratch("apart", shape, x.dtype)
    if is_padded(axes) or width * along.stride != along.padded:
        made.fill(0)
    rows = slice(down.before, down.before + down.size)
    for phase in range(along.stride):
        first = (phase - along.before) % along.stride  # in the input
        begin = (first + along.before) // along.stride
        values = x[:, :, first :: along.stride]
        made[phase, :, rows, begin : begin + values.shape[2]] = values
    return made


def _read(apart: np.ndarray, axes: Axes, group: _Group) -> np.ndarray:
    """What the members of a group read, (n, outputs, i, j, outputs * channels), as a view."""
    down, along = axes
    base = apart[group.phase, :, :, group.first :]
    images, row, place, item = base.strides
    count = len(range(*group.members.indices(along.window)))
    shape = (base.shape[0], down.outputs, down.window, count, along.outputs * apart.shape[-1])
    steps = (images, row * down.stride, row * down.dilation, place * group.step, item)
    return np.lib.stride_tricks.as_strided(base, shape, steps, writeable=False)


def _rows_forward(x: np.ndarray, w: np.ndarray, axes: Axes) -> np.ndarray:
    down, along = axes
    groups = [(g, _repeated(w[:, g.members], along.outputs)) for g in _groups(along)]
    width = along.outputs * x.shape[-1]
    out = np.empty((x.shape[0], down.outputs, width), x.dtype)
    for block in _row_blocks(x, axes, _ROWS_BYTES):
        apart, sums = _apart(x[block], axes), out[block]
        for number, (group, filters) in enumerate(groups):
            made = scratch("part", sums.shape, x.dtype) if number else sums
            np.einsum("nhijx,ijx->nhx", _read(apart, axes, group), filters, out=made)
            if number:
                sums += made
    return out.reshape(x.shape[0], down.outputs, along.outputs, x.shape[-1])


def _rows_filter_gradient(x: np.ndarray, g: np.ndarray, axes: Axes) -> np.ndarray:
    down, along = axes
    channels = x.shape[-1]
    rows = g.reshape(g.shape[0], down.outputs, along.outputs * channels)
    out = np.zeros((down.window, along.window, channels), x.dtype)
    for block in _row_blocks(x, axes, _FILTER_ROWS_BYTES):
        apart = _apart(x[block], axes)
        for group in _groups(along):
            read = _read(apart, axes, group)
            made = np.empty(read.shape[2:], x.dtype)
            # member by member, so that the sums stay in the nearest cache: all at once 2.15 ms
            for member in np.ndindex(made.shape[:2]):
                part = read[:, :, member[0], member[1]]
                np.einsum("nhx,nhx->x", part, rows[block], out=made[member])
            made = made.reshape(*made.shape[:2], along.outputs, channels)
            out[:, group.members] += np.add.reduce(made, 2)
    return out


class _Targets(NamedTuple):
    """Inputs whose places are equal modulo the stride: a group of members feeds each of them."""

    group: _Group
    begin: int  # place of the first of them, in strides
    places: int
    inputs: slice


def _targets(a: Axis) -> list[_Targets]:
    found = []
    for group in _groups(a):
        begin = max(0, -((group.phase - a.before) // a.stride))
        stop = (a.before + a.size - 1 - group.phase) // a.stride + 1
        first = group.phase + begin * a.stride - a.before
        if stop > begin:
            found.append(_Targets(group, begin, stop - begin, slice(first, None, a.stride)))
    return found


def _last(t: _Targets, a: Axis) -> int:
    count = len(range(*t.group.members.indices(a.window)))
    return t.group.first + (count - 1) * t.group.step


def _rows_input_gradient(w: np.ndarray, g: np.ndarray, axes: Axes) -> np.ndarray:
    channels = g.shape[-1]
    down, along = axes
    targets = [_targets(a) for a in axes]
    lead = [max(_last(t, a) for t in ts) for ts, a in zip(targets, axes)]
    trail = [
        max(0, *[t.begin + t.places - t.group.first - a.outputs for t in ts])
        for ts, a in zip(targets, axes)
    ]
    sizes = [a.outputs + before + after for a, before, after in zip(axes, lead, trail)]
    out = np.empty((g.shape[0], down.size, along.size, channels), g.dtype)
    if any(len(ts) < a.stride for ts, a in zip(targets, axes)):
        out.fill(0)  # places that no window reads
    for block in _row_blocks(g, axes, _ROWS_BYTES):
        padded = scratch("padded", (block.stop - block.start, *sizes, channels), g.dtype)
        padded.fill(0)
        inside = [slice(n, n + a.outputs) for n, a in zip(lead, axes)]
        padded[:, inside[0], inside[1]] = g[block]
        images, row, place, item = padded.strides
        for d, t in itertools.product(*targets):
            filters = _repeated(w[d.group.members, t.group.members], t.places)
            base = padded[
                :, lead[0] + d.begin - d.group.first :, lead[1] + t.begin - t.group.first :
            ]
            shape = (base.shape[0], d.places, *filters.shape[:2], t.places * channels)
            steps = (images, row, -row * d.group.step, -place * t.group.step, item)
            read = np.lib.stride_tricks.as_strided(base, shape, steps, writeable=False)
            made = scratch("part", (base.shape[0], d.places, t.places * channels), g.dtype)
            np.einsum("nhijx,ijx->nhx", read, filters, out=made)
            values = made.reshape(base.shape[0], d.places, t.places, channels)
            out[block, d.inputs, t.inputs] = values
    return out
