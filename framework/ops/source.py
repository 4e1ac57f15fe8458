"""Ops without inputs: constants and placeholders."""

from __future__ import annotations

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.ops.registry import IO, op


@op("Const", shape=lambda value: shapes.TensorShape._of(np.shape(value)), dtypes=dt.ANY,
    dtype=lambda dtypes, attrs: dt.from_numpy(attrs["value"].dtype), may_view=True,
    widen=False, differentiable=False)  # fmt: skip
def const(xp, *, value):
    """A value that is part of the graph."""
    return value


@op("Placeholder", shape=lambda dtype, shape: shapes.as_shape(shape), dtypes=dt.ANY,
    dtype="dtype", effects=IO, may_view=True, widen=False, differentiable=False)  # fmt: skip
def placeholder(xp, *, dtype, shape):
    """A value that every run feeds."""
    raise errors.InvalidArgumentError(
        f"You must feed a value for placeholder tensor with dtype {dt.as_dtype(dtype).name} and "
        f"shape {shapes.as_shape(shape)}"
    )


@op("PlaceholderWithDefault", shape=lambda input, shape: shapes.as_shape(shape), dtypes=dt.ANY,
    may_view=True, widen=False)  # fmt: skip
def placeholder_with_default(xp, input, *, shape):
    """A value that a run may feed; else `input`."""
    return input


@placeholder_with_default.gradient
def _(g, _y, _x):
    return g


@op("NoOp", shape=lambda: [], dtype=lambda dtypes, attrs: (), dtypes=dt.ANY, outputs=0,
    effects=IO, differentiable=False, widen=False)  # fmt: skip
def no_op(xp):
    """Does nothing; others run before it."""
