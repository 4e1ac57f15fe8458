"""Pooling of channels-last arrays, one axis after the other; any number of spatial axes.

A window of k * k costs 2 * k passes over views of the input instead of k * k, and the passes
along the outer axes run over whole rows. Where several inputs of a window are the largest, the
first in row-major order is the one that gets the gradient: along the last axis the first of each
row, then the first such row. (Over three axes TensorFlow gives it to all of them.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape.ops.patches import blocks_of_images
from shardtape.ops.windows import Axis

Axes = tuple[Axis, ...]

# Bytes of input that are taken at once. Gradient of windows of 3 over (32, 28, 28, 96), steps of 1,
# on one core with 1 MiB of second-level cache: 14.5, 13.9, 14.0, 14.3 ms with 128, 256, 512 and
# 1024 KiB, 21.5 ms at once.
_BLOCK_BYTES = 512 << 10


def _at(axis: int, place: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, place)


def _resized(x: Any, axis: int, size: int) -> tuple[int, ...]:
    return (*x.shape[:axis], size, *x.shape[axis + 1 :])


def _lowest(dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _is_trivial(a: Axis) -> bool:
    return a.window == 1 and a.stride == 1


def _largest_along(xp: Any, x: Any, axis: int, a: Axis, out: Any = None) -> Any:
    if out is None:
        out = xp.empty(_resized(x, axis, a.outputs), x.dtype)
    fresh = False
    for span in a.spans():
        source = x[_at(axis, span.inputs)]
        if not fresh:
            if span.whole:
                out[...] = source
                fresh = True
                continue
            out.fill(_lowest(x.dtype))
            fresh = True
        target = out[_at(axis, span.outputs)]
        xp.maximum(target, source, out=target)
    return out


def _order(axes: Axes) -> list[tuple[int, Axis]]:
    """(array axis, windows) from the first to the last, without those that change nothing."""
    return [(i + 1, a) for i, a in enumerate(axes) if not _is_trivial(a)]


def largest(xp: Any, x: Any, axes: Axes, out: Any = None) -> Any:
    """The largest of each window: (n, spatial..., c) to (n, outputs..., c)."""
    order = _order(axes)
    if not order:
        return x.copy()
    blocks = _image_blocks(xp, x)
    if len(order) == 1 or len(blocks) == 1:
        return _largest_of(xp, x, order, out)
    if out is None:
        out = xp.empty((x.shape[0], *[a.outputs for a in axes], x.shape[-1]), x.dtype)
    for block in blocks:
        _largest_of(xp, x[block], order, out[block])
    return out


def _largest_of(xp: Any, x: Any, order: list[tuple[int, Axis]], out: Any) -> Any:
    for axis, a in order[:-1]:
        x = _largest_along(xp, x, axis, a)
    return _largest_along(xp, x, *order[-1], out)


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


def _stages(xp: Any, x: Any, axes: Axes) -> list[tuple[Any, Any, int, Axis]]:
    """(input, output, axis, windows) of each step, from the last axis to the first."""
    stages = []
    for axis, a in reversed(_order(axes)):
        best = _largest_along(xp, x, axis, a)
        stages.append((x, best, axis, a))
        x = best
    return stages


def _all_finite(xp: Any, values: Any) -> bool:
    """Whether a product with zero is zero; on a device nobody waits to find out."""
    return xp is np and values.dtype.kind in "fV" and bool(np.isfinite(values).all())


def _masked(xp: Any, values: Any, mask: Any, finite: bool) -> Any:
    """The values where the mask is true, else zero; numpy multiplies faster than it chooses."""
    return values * mask if finite else xp.where(mask, values, values.dtype.type(0))


def _spread_along(xp: Any, x: Any, best: Any, g: Any, axis: int, a: Axis) -> Any:
    """Carries `g` to the first place of each window where x is `best`."""
    spread = xp.zeros(x.shape, g.dtype)
    spans = a.spans()
    whole = all(span.whole for span in spans)
    left, own = g, False  # what no offset has taken yet
    finite = _all_finite(xp, g)
    for offset, span in enumerate(spans):
        target = spread[_at(axis, span.inputs)]
        outputs = _at(axis, span.outputs)
        last = offset == a.window - 1
        if last and whole:
            taken = left
        else:
            here = x[_at(axis, span.inputs)] == best[outputs]
            taken = _masked(xp, left[outputs], here, finite)
        if a.overlaps:
            target += taken
        else:
            target[...] = taken
        if not last:
            if not own and span.whole:
                left = left - taken if finite else _masked(xp, left, ~here, finite)
            else:
                left = left if own else left.copy()
                rest = left[outputs]
                if finite:
                    rest -= taken
                else:
                    xp.copyto(rest, rest.dtype.type(0), where=here)
            own = True
    return spread


def largest_gradient(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    """Carries `g` (n, outputs..., c) to the places of the largest values of x."""
    if not _order(axes):
        return g.copy()
    blocks = _image_blocks(xp, x)
    if len(blocks) == 1:
        return _spread(xp, x, g, axes)
    out = xp.empty(x.shape, g.dtype)
    for block in blocks:
        out[block] = _spread(xp, x[block], g[block], axes)
    return out


def _spread(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    for source, best, axis, a in reversed(_stages(xp, x, axes)):
        g = _spread_along(xp, source, best, g, axis, a)
    return g


def _image_blocks(xp: Any, x: Any) -> list[slice]:
    """Images that stay in the processor's cache with what is made of them."""
    images = x.shape[0]
    if not x.size:
        return [slice(0, images)]
    return list(blocks_of_images(xp, images, x.nbytes // images, _BLOCK_BYTES))


def largest_gradient_to_all(xp: Any, x: Any, g: Any, axes: Axes) -> Any:
    """As `largest_gradient`, but each of several equal inputs gets the whole gradient."""
    y = largest(xp, x, axes)
    spread = xp.zeros(x.shape, g.dtype)
    for spans in itertools.product(*[a.spans() for a in axes]):
        inputs = (slice(None), *[span.inputs for span in spans])
        outputs = (slice(None), *[span.outputs for span in spans])
        target = spread[inputs]
        target += g[outputs] * (x[inputs] == y[outputs])
    return spread


def picked(xp: Any, x: Any, values: Any, axes: Axes) -> Any:
    """The members of `values` (of x's shape) at the places of the largest values of x."""
    if not _order(axes):
        return values.copy()
    finite = _all_finite(xp, values)
    for source, best, axis, a in _stages(xp, x, axes):
        found = xp.zeros(best.shape, values.dtype)
        for inputs, outputs, mask in _matches(source, best, axis, a):
            target = found[outputs]
            target += _masked(xp, values[inputs], mask, finite)
        values = found
    return values


def _sum_along(xp: Any, x: Any, axis: int, a: Axis) -> Any:
    out = None
    for span in a.spans():
        source = x[_at(axis, span.inputs)]
        if out is None:
            if span.whole:
                out = source.copy()
                continue
            out = xp.zeros(_resized(x, axis, a.outputs), x.dtype)
        target = out[_at(axis, span.outputs)]
        target += source
    return out


def _counts(xp: Any, axes: Axes, dtype: Any) -> Any:
    """Members of each window inside the input: one number, or an array (outputs..., 1)."""
    if not any(a.before or a.after for a in axes):
        count = 1
        for a in axes:
            count *= a.window
        return count
    counts = np.ones((), np.int64)
    for a in axes:
        counts = np.multiply.outer(counts, np.array(a.counts()))
    return xp.asarray(counts[..., None].astype(dtype))


def mean(xp: Any, x: Any, axes: Axes) -> Any:
    """The mean of each window, of the members inside the input."""
    y = x
    for axis, a in _order(axes):
        y = _sum_along(xp, y, axis, a)
    return y / _counts(xp, axes, x.dtype)


def mean_gradient(xp: Any, g: Any, axes: Axes) -> Any:
    """Spreads `g` (n, outputs..., c) over the windows: (n, spatial..., c)."""
    g = g / _counts(xp, axes, g.dtype)
    for axis, a in reversed(_order(axes)):
        spread = xp.zeros(_resized(g, axis, a.size), g.dtype)
        for span in a.spans():
            target = spread[_at(axis, span.inputs)]
            if a.overlaps:
                target += g[_at(axis, span.outputs)]
            else:
                target[...] = g[_at(axis, span.outputs)]
        g = spread
    return g
