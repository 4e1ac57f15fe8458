"""Running sums and products along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import arithmetic
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import int_scalar
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.registry import op, same_as
from shardtape.ops.shape_rules import axis_index


def _scan_samples(rng: np.random.Generator) -> Any:
    x = rng.uniform(0.5, 1.5, size=(3, 2)) * rng.choice([-1, 1], size=(3, 2))
    return [
        ((x, np.int32(0)), {}),
        ((x, np.int32(-1)), {"exclusive": True}),
        ((x, np.int32(0)), {"reverse": True}),
        ((x, np.int32(0)), {"exclusive": True, "reverse": True}),
    ]


def _scan(xp: Any, function: str, x: Any, axis: Any, exclusive: bool, reverse: bool) -> Any:
    at = axis_index(int(axis), x.ndim)
    back = (*[slice(None)] * at, slice(None, None, -1))
    if reverse:
        x = x[back]
    out = getattr(xp, function)(x, axis=at, dtype=x.dtype)
    if exclusive:
        start = xp.zeros if function == "cumsum" else xp.ones
        first = (*[slice(None)] * at, slice(0, x.shape[at] - 1 if x.shape[at] else 0))
        edge = [*x.shape[:at], min(1, x.shape[at]), *x.shape[at + 1 :]]
        out = xp.concatenate([start(edge, x.dtype), out[first]], at)
    return out[back] if reverse else out


@op("Cumsum", dtypes=dt.NUMERIC, host=("axis",), shape=same_as(0), samples=_scan_samples)
def cumsum_op(xp, x, axis, *, exclusive=False, reverse=False):
    """Sums of the elements up to each one along `axis`; without itself where `exclusive`."""
    return _scan(xp, "cumsum", x, axis, exclusive, reverse)


@cumsum_op.gradient
def _(g, _y, _x, axis, *, exclusive, reverse):
    return cumsum_op(g, axis, exclusive=exclusive, reverse=not reverse)


@op("Cumprod", dtypes=dt.NUMERIC, host=("axis",), shape=same_as(0), samples=_scan_samples)
def cumprod_op(xp, x, axis, *, exclusive=False, reverse=False):
    """Products of the elements up to each one along `axis`; without itself where `exclusive`."""
    return _scan(xp, "cumprod", x, axis, exclusive, reverse)


@cumprod_op.gradient
def _(g, y, x, axis, *, exclusive, reverse):
    sums = cumsum_op(y * g, axis, exclusive=exclusive, reverse=not reverse)
    return arithmetic.div_no_nan(sums, x)


@op(
    "CumulativeLogsumexp",
    dtypes=dt.FLOATING,
    host=("axis",),
    shape=same_as(0),
    # the first of the exclusive ones is minus infinity: an edge case of the parity tests
    samples=lambda rng: [c for c in _scan_samples(rng) if "exclusive" not in c[1]],
)
def cumulative_logsumexp_op(xp, x, axis, *, exclusive=False, reverse=False):
    """log(sum(exp)) of the elements up to each one along `axis`, without overflow."""
    at = axis_index(int(axis), x.ndim)
    back = (*[slice(None)] * at, slice(None, None, -1))
    if reverse:
        x = x[back]
    lead = (slice(None),) * at
    out = xp.empty(x.shape, x.dtype)
    total = xp.full((*x.shape[:at], *x.shape[at + 1 :]), -np.inf, x.dtype)
    for i in range(x.shape[at]):
        if exclusive:
            out[(*lead, i)] = total
        total = xp.logaddexp(total, x[(*lead, i)])
        if not exclusive:
            out[(*lead, i)] = total
    return out[back] if reverse else out


@cumulative_logsumexp_op.gradient
def _(g, y, x, axis, *, exclusive, reverse):
    from shardtape.ops.selecting import where
    from shardtape.ops.transcendental import exp, log

    lowest = g.dtype.min

    def part(size: Any) -> Any:
        there = size > 0
        logs = where(there, log(where(there, size, zeros_like_op(size) + 1)), lowest)
        total = cumulative_logsumexp_op(logs - y, axis, exclusive=exclusive, reverse=not reverse)
        return exp(total + x)

    return part(g) - part(-g)


@takes_composites
def cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """Sums of the elements up to each one along `axis`."""
    axis = int_scalar(axis) if type(axis) is int else axis
    return cumsum_op(x, axis, exclusive=exclusive, reverse=reverse, name=name)


def cumprod(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """Products of the elements up to each one along `axis`."""
    axis = int_scalar(axis) if type(axis) is int else axis
    return cumprod_op(x, axis, exclusive=exclusive, reverse=reverse, name=name)


def cumulative_logsumexp(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
) -> Any:
    """log(sum(exp)) of the elements up to each one along `axis`."""
    axis = int_scalar(axis) if type(axis) is int else axis
    return cumulative_logsumexp_op(x, axis, exclusive=exclusive, reverse=reverse, name=name)
