"""Broadcasting: values repeated to a shape, and gradients summed back."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.composites import override_of
from shardtape.ops.constants import DATA
from shardtape.ops.leading_sums import sum_over
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import (
    from_vector,
)
from shardtape.ops.shaping import shape as _shape
from shardtape.shapes import TensorShape, as_shape, broadcast_shapes
from shardtape.tensor import Tensor

_HALF = {t.numpy_dtype for t in dt.HALVES}


def _sum_to_shape_reference(g: Any, x: Any) -> Any:
    out = np.zeros_like(x)
    for at, value in np.ndenumerate(g):
        tail = at[len(at) - x.ndim :] if x.ndim else ()
        out[tuple(0 if n == 1 else i for i, n in zip(tail, x.shape))] += value
    return out


@op(
    "SumToShapeOf",
    shape=same_as(1),
    shape_only=("x",),
    mixed=True,
    may_view=True,
    samples=samples.normal([(2, 3), (3,)], [(2, 3), (2, 1)], [(2, 3), ()], [(2, 3), (2, 3)]),
    reference=_sum_to_shape_reference,
)
def sum_to_shape_of(xp, g, x):
    """Sums `g` over the axes along which `x` would be broadcast to it; result: the shape of `x`.

    The same array where the shapes agree.
    """
    if g.shape == x.shape:
        return g
    axes = _summed_axes(g, x)
    kept = np.dtype(np.float32) if g.dtype in _HALF else g.dtype
    total = sum_over(xp, g, axes, dtype=kept)
    return total if total.shape == x.shape else total.reshape(x.shape)


@sum_to_shape_of.writes_into()
def _(xp, out, g, x):
    if g.shape == x.shape:
        out[...] = g
    else:
        lead = g.ndim - x.ndim
        kept = tuple([a for a in _summed_axes(g, x) if a >= lead])
        target = out if not kept else out.reshape([n for i, n in enumerate(x.shape)
                                                   if i + lead not in kept])  # fmt: skip
        sum_over(xp, g, _summed_axes(g, x), out=target)
    return out


def _summed_axes(g: Any, x: Any) -> tuple[int, ...]:
    lead = g.ndim - x.ndim
    return tuple(
        [i for i in range(g.ndim) if i < lead or (x.shape[i - lead] == 1 and g.shape[i] != 1)]
    )


@sum_to_shape_of.gradient
def _(gg, _y, g, _x):
    return broadcast_to(gg, _shape(g)), None


def _broadcast_to_shape(x: Arg, to: Arg) -> TensorShape:
    out = from_vector(1)(x, to)
    if out.rank is not None and x.shape.rank is not None and x.shape.rank > out.rank:
        raise ValueError(f"Rank of input {x.shape} is greater than that of the shape {out}")
    if out.rank is not None and x.shape.rank is not None:
        for have, want in zip(reversed(x.shape.as_list()), reversed(out.as_list())):
            if None not in (have, want) and have not in (1, want):
                raise ValueError(f"Dimensions must be equal, but are {have} and {want}")
    return out


@op(
    "BroadcastTo",
    dtypes=DATA,
    host=("shape",),
    shape=_broadcast_to_shape,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(3,)), np.array([2, 3], np.int32)), {}),
        ((rng.normal(size=(2, 1)), np.array([4, 2, 3], np.int32)), {}),
    ],
)
def broadcast_to(xp, input, shape):
    """`input` repeated along new axes and axes of size 1, to `shape`."""
    return xp.broadcast_to(input, tuple(shape.tolist()))


@broadcast_to.writes_into()
def _(xp, out, input, shape):
    xp.copyto(out, input)


@broadcast_to.gradient
def _(g, _y, input, _shape):
    return sum_to_shape_of(g, input)


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The TensorShape to which two broadcast. Raises ValueError where they do not."""
    return broadcast_shapes(as_shape(shape_x), as_shape(shape_y))


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape, an int vector, to which two shapes (int vectors) broadcast.

    A DynamicRaggedShape where one of them is.
    """
    for given in (shape_x, shape_y):
        taken = override_of("broadcast_dynamic_shape", given)
        if taken is not None:
            return taken(shape_x, shape_y)
    return broadcast_args(shape_x, shape_y)


@op(
    "BroadcastArgs",
    host=("s0", "s1"),
    dtype=lambda dtypes, attrs: dtypes[0],
    shape=lambda s0, s1: TensorShape([_longest(s0, s1)]),
    differentiable=False,
    samples=lambda rng: [((np.array([2, 1], np.int32), np.array([4, 1, 3], np.int32)), {})],
)
def broadcast_args(xp, s0, s1):
    """The shape to which the shapes `s0` and `s1` broadcast."""
    return np.array(np.broadcast_shapes(tuple(s0.tolist()), tuple(s1.tolist())), s0.dtype)


def _longest(s0: Arg, s1: Arg) -> int | None:
    a = s0.shape[0] if s0.shape.rank == 1 else None
    b = s1.shape[0] if s1.shape.rank == 1 else None
    return None if a is None or b is None else max(a, b)
