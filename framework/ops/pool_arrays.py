"""Pooling of channels-last arrays, one axis after the other; any number of spatial axes.

A window of k * k costs 2 * k passes over views of the input instead of k * k, and the passes
along the outer axes run over whole rows. Where several inputs of a window are the largest, the
first in row-major order is the one that gets the gradient: along the last axis the first of each
row, then the first such row. (Over three axes TensorFlow gives it to all of them.)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from shardtape.ops.choosing import kept, taken_out
from shardtape.ops.patches import blocks_of_images, runs
from shardtape.ops.pool_grids import (
    are_grids,
    gradient_of_grids,
    mean_gradient_of_grids,
    steps_overlap,
)
from shardtape.ops.pool_pairs import are_pairs, gradient_of_pairs
from shardtape.ops.windows import Axis, Span

Axes = tuple[Axis, ...]

# Bytes of input that are taken at once. Gradient of windows of 2 over (64, 32, 32, 32), one core
# with 1 MiB of second-level cache: 3.3, 3.0, 2.8 ms with 256, 512 and 1024 KiB.
_BLOCK_BYTES = 1 << 20
_SHORT_RUN_BYTES = 512  # numpy pays for each run of memory; shorter ones are copied as one element


def _at(axis: int, place: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, place)


def _lowest(dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _is_trivial(a: Axis) -> bool:
    return a.window == 1 and a.stride == 1


class _Plan(NamedTuple):
    """In which order the members of windows are joined: a copy is needed at the edges alone."""

    first: Span | None
    alone: tuple[slice, ...]  # outputs of the first that the second does not feed
    second: Span | None
    rest: tuple[Span, ...]


@functools.lru_cache(maxsize=1024)
def _plan(a: Axis) -> _Plan:
    spans = sorted(a.spans(), key=lambda span: not span.whole)
    if not spans[0].whole:
        return _Plan(None, (), None, tuple(spans))
    if len(spans) == 1:
        return _Plan(spans[0], (slice(0, a.outputs),), None, ())
    both = spans[1].outputs
    edges = (slice(0, both.start), slice(both.stop, a.outputs))
    alone = tuple(edge for edge in edges if edge.start < edge.stop)
    return _Plan(spans[0], alone, spans[1], tuple(spans[2:]))


def _fills(a: Axis) -> bool:
    """Every place is in one window."""
    return not (a.overlaps or a.before or a.after) and a.outputs * a.window == a.size


def _combined(
    xp: Any, combine: Any, nothing: Any, x: Any, axis: int, a: Axis, out: Any = None
) -> Any:
    """The members of each window along an axis, joined by `combine` (xp.maximum or xp.add)."""
    if out is None:
        out = xp.empty((*x.shape[:axis], a.outputs, *x.shape[axis + 1 :]), x.dtype)
    first, alone, second, rest = _plan(a)
    if first is None:
        out.fill(nothing)
    else:
        source = x[_at(axis, first.inputs)]
        for edge in alone:
            out[_at(axis, edge)] = source[_at(axis, edge)]
        if second is not None:
            both = _at(axis, second.outputs)
            combine(source[both], x[_at(axis, second.inputs)], out=out[both])
    for span in rest:
        target = out[_at(axis, span.outputs)]
        combine(target, x[_at(axis, span.inputs)], out=target)
    return out


def _order(axes: Axes) -> list[tuple[int, Axis]]:
    """(array axis, windows) from the first to the last, without those that change nothing."""
    return [(i + 1, a) for i, a in enumerate(axes) if not _is_trivial(a)]


def _image_blocks(xp: Any, x: Any) -> list[slice]:
    """Images that stay in the processor's cache with what is made of them."""
    images = x.shape[0]
    if not x.size:
        return [slice(0, images)]
    return list(blocks_of_images(xp, images, x.nbytes // images, _BLOCK_BYTES))


# ---- the largest ----------------------------------------------------------------------------
def largest(xp: Any, x: Any, axes: Axes, out: Any = None) -> Any:
    """The largest of each window: (n, spatial..., c) to (n, outputs..., c)."""
    order = _order(axes)
    if not order:
        return x.copy()
    blocks = _image_blocks(xp, x)
    if len(blocks) == 1:
        return _largest_of(xp, x, order, out)
    if out is None:
        out = xp.empty((x.shape[0], *[a.outputs for a in axes], x.shape[-1]), x.dtype)
    for block in blocks:
        _largest_of(xp, x[block], order, out[block])
    return out


def _largest_of(xp: Any, x: Any, order: list[tuple[int, Axis]], out: Any) -> Any:
    for axis, a in order[:-1]:
        x = _combined(xp, xp.maximum, _lowest(x.dtype), x, axis, a)
    return _combined(xp, xp.maximum, _lowest(x.dtype), x, *order[-1], out)


def _stages(xp: Any, x: Any, axes: Axes) -> list[tuple[Any, Any, int, Axis]]:
    """(input, output, axis, windows) of each step, from the last axis to the first."""
    stages = []
    for axis, a in reversed(_order(axes)):
        best = _combined(xp, xp.maximum, _lowest(x.dtype), x, axis, a)
        stages.append((x, best, axis, a))
        x = best
    return stages


def _spread_along(xp: Any, x: Any, best: Any, g: Any, axis: int, a: Axis, out: Any) -> Any:
    """Carries `g` to the first place of each window where x is `best`."""
    if not _fills(a):
        out.fill(0)
    spans = a.spans()
    whole = all(span.whole for span in spans)
    left, own = g, False  # what no offset has taken yet
    for offset, span in enumerate(spans):
        target = out[_at(axis, span.inputs)]
        outputs = _at(axis, span.outputs)
        last = offset == a.window - 1
        if last and whole:
            taken = left
        else:
            here = x[_at(axis, span.inputs)] == best[outputs]
            taken = kept(xp, left[outputs], here)
        if a.overlaps:
            target += taken
        else:
            target[...] = taken
        if not last:
            source = left
            if not own:
                left = xp.empty(g.shape, g.dtype) if span.whole else g.copy()
                own = True
            taken_out(xp, source[outputs], here, taken, left[outputs])
    return out


def largest_gradient(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    """Carries `g` (n, outputs..., c) to the places of the largest values of x."""
    if not _order(axes):
        return g.copy()
    if xp is np and are_pairs(x, g, axes):
        return gradient_of_pairs(x, g, axes)
    if xp is np and are_grids(x, g, axes):
        made = gradient_of_grids(x, g, axes)
        if made is not None:
            return made
    out = xp.empty(x.shape, g.dtype)
    for block in _image_blocks(xp, x):
        part = g[block]
        for number, stage in reversed(list(enumerate(_stages(xp, x[block], axes)))):
            source, best, axis, a = stage
            made = xp.empty(source.shape, g.dtype) if number else out[block]
            part = _spread_along(xp, source, best, part, axis, a, made)
    return out


def largest_gradient_to_all(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    """As `largest_gradient`, but each of several equal inputs gets the whole gradient."""
    y = largest(xp, x, axes)
    spread = xp.zeros(x.shape, g.dtype)
    for spans in itertools.product(*[a.spans() for a in axes]):
        inputs = (slice(None), *[span.inputs for span in spans])
        outputs = (slice(None), *[span.outputs for span in spans])
        target = spread[inputs]
        target += kept(xp, g[outputs], x[inputs] == y[outputs])
    return spread


def _matches(x: Any, best: Any, axis: int, a: Axis) -> Iterator[tuple[Any, Any, Any]]:
    """(places in x, places in best, mask) per offset; each window has one True, its first."""
    taken = None
    for span in a.spans():
        inputs, outputs = _at(axis, span.inputs), _at(axis, span.outputs)
        mask = x[inputs] == best[outputs]
        if taken is None:
            if a.window > 1:
                if span.whole:
                    taken = mask.copy()
                else:
                    taken = best != best
                    taken[outputs] = mask
        else:
            part = taken[outputs]
            mask &= ~part
            part |= mask
        yield inputs, outputs, mask


def picked(xp: Any, x: Any, values: Any, axes: Axes) -> Any:
    """The members of `values` (of x's shape) at the places of the largest values of x."""
    if not _order(axes):
        return values.copy()
    for source, best, axis, a in _stages(xp, x, axes):
        found = xp.zeros(best.shape, values.dtype)
        for inputs, outputs, mask in _matches(source, best, axis, a):
            target = found[outputs]
            target += kept(xp, values[inputs], mask)
        values = found
    return values


# ---- the mean -------------------------------------------------------------------------------
def _counts(xp: Any, axes: Axes, dtype: Any, channels: int) -> Any:
    """Members of each window inside the input: one number, or an array (outputs..., channels).

    One for each channel, so that numpy divides whole rows at once.
    """
    if not any(a.before or a.after for a in axes):
        count = 1
        for a in axes:
            count *= a.window
        return count
    counts = np.ones((), np.int64)
    for a in axes:
        counts = np.multiply.outer(counts, np.array(a.counts()))
    return xp.asarray(np.repeat(counts[..., None].astype(dtype), channels, -1))


def mean(xp: Any, x: Any, axes: Axes) -> Any:
    """The mean of each window, of the members inside the input."""
    counts = _counts(xp, axes, x.dtype, x.shape[-1])
    out = xp.empty((x.shape[0], *[a.outputs for a in axes], x.shape[-1]), x.dtype)
    for block in _image_blocks(xp, x):
        y = x[block]
        for axis, a in _order(axes):
            y = _combined(xp, xp.add, 0, y, axis, a)
        xp.true_divide(y, counts, out=out[block])
    return out


def mean_gradient(xp: Any, g: Any, axes: Axes) -> Any:
    """Spreads `g` (n, outputs..., c) over the windows: (n, spatial..., c)."""
    counts = _counts(xp, axes, g.dtype, g.shape[-1])
    order = _order(axes)[::-1]
    if not order:
        return g.copy()
    if xp is np and steps_overlap(g, axes):
        return mean_gradient_of_grids(g, counts, axes)
    out = xp.empty((g.shape[0], *[a.size for a in axes], g.shape[-1]), g.dtype)
    for block in _image_blocks(xp, out):
        part = g[block] / counts
        for axis, a in order[:-1]:
            part = _spread_evenly(xp, part, axis, a)
        _spread_evenly(xp, part, *order[-1], out[block])
    return out


def _spread_evenly(xp: Any, g: Any, axis: int, a: Axis, out: Any = None) -> Any:
    """Adds `g` to every member of its window."""
    if out is None:
        out = xp.empty((*g.shape[:axis], a.size, *g.shape[axis + 1 :]), g.dtype)
    if a.stride == 1:  # sums of windows, each over the outputs that its input is a member of
        last = a.window - 1
        back = Axis(a.outputs, a.window, 1, 1, last - a.before, last - a.after, a.size)
        return _combined(xp, xp.add, 0, g, axis, back, out)
    if not _fills(a):
        out.fill(0)
    if a.overlaps:
        for span in a.spans():
            target = out[_at(axis, span.inputs)]
            target += g[_at(axis, span.outputs)]
        return out
    whole, source = out, g
    run_bytes = out.itemsize * math.prod(out.shape[axis + 1 :])
    if xp is np and 0 < run_bytes <= _SHORT_RUN_BYTES and out.size:
        whole, source = (runs(x.reshape(*x.shape[: axis + 1], -1)) for x in (out, g))
    for span in a.spans():
        whole[_at(axis, span.inputs)] = source[_at(axis, span.outputs)]
    return out
