"""Clipping of values and of gradients by their norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import compare
from shardtape.ops.arithmetic import maximum, minimum
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones_like_op
from shardtape.ops.joining import stack
from shardtape.ops.node_names import scope_itself, scoped
from shardtape.ops.reduce import l2_loss, reduce_sum
from shardtape.ops.selecting import select
from shardtape.ops.shaping import identity
from shardtape.ops.transcendental import sqrt
from shardtape.tensor import Tensor


def _values(t: Any) -> Any:
    return convert_to_tensor(t.values if isinstance(t, IndexedSlices) else t)


def _like(values: Any, t: Any) -> Any:
    if isinstance(t, IndexedSlices):
        return IndexedSlices(values, t.indices, t.dense_shape)
    return values


@takes_composites
@scoped("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """`t` with every element moved into [clip_value_min, clip_value_max].

    Args:
      t: Tensor or IndexedSlices.
      clip_value_min, clip_value_max: scalars, or tensors that broadcast to the shape of `t`.

    Raises:
      ValueError: limits whose shape would make the result larger than `t`.
    """
    values = _values(t)
    lower = minimum(values, _limit(clip_value_max, values))
    values.shape.assert_is_compatible_with(lower.shape)
    clipped = maximum(lower, _limit(clip_value_min, values), name=scope_itself() or name)
    values.shape.assert_is_compatible_with(clipped.shape)
    return _like(clipped, t)


def _limit(value: Any, like: Any) -> Any:
    if isinstance(value, Tensor) or isinstance(getattr(value, "dtype", None), dt.DType):
        return convert_to_tensor(value)
    if state.graph is not None and type(value) in (float, int):
        return value  # the op names the constant
    return convert_to_tensor(value, like.dtype)


@scoped("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: Any = None) -> Any:
    """`t` scaled down to the 2-norm `clip_norm` where its norm (over `axes`) is larger."""
    values = _values(t)
    squares = reduce_sum(values * values, axes, keepdims=True)
    there = compare.greater(squares, _limit(0, squares))
    # the root of 0 has no gradient: it is taken of 1 there
    norm = select(there, sqrt(select(there, squares, ones_like_op(squares))), squares)
    limit = _limit(clip_norm, values)
    scaled = values * limit
    values.shape.assert_is_compatible_with(scaled.shape)
    return _like(identity(scaled / maximum(norm, limit), name=name), t)


@scoped("global_norm")
def global_norm(t_list: Sequence[Any], name: str | None = None) -> Any:
    """The 2-norm of all tensors of a list together, a scalar; None in it is left out.

    Raises:
      TypeError: no list.
    """
    if isinstance(t_list, (str, Tensor)) or not isinstance(t_list, (list, tuple)):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    halves = [l2_loss(_values(t)) for t in t_list if t is not None]
    if not halves:
        return convert_to_tensor(np.float32(0))
    total = reduce_sum(stack(halves))
    return sqrt(total * 2, name=name)


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    """All tensors of a list, scaled so that their common norm is at most `clip_norm`.

    Returns:
      The scaled list (None stays None) and the norm that it had. Where the norm is infinite or
      no number, so are all results.
    """
    if isinstance(t_list, (str, Tensor)) or not isinstance(t_list, (list, tuple)):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    norm = global_norm(t_list) if use_norm is None else convert_to_tensor(use_norm)
    limit = _limit(clip_norm, norm)
    scale = limit * minimum(1 / norm, 1 / limit)
    # infinity - infinity is no number: it marks every result
    scale = scale + (norm - norm)
    out: list[Any] = []
    for t in t_list:
        if t is None:
            out.append(None)
            continue
        values = _values(t)
        out.append(_like(values * cast(scale, values.dtype), t))
    return out, norm


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Any:
    """`t` scaled down where its 2-norm divided by its size is larger than `clip_norm`."""
    from shardtape.ops.shaping import size

    values = convert_to_tensor(t)
    count = cast(size(values), dt.float32)
    inverse = 1 / sqrt(reduce_sum(values * values))
    limit = _limit(clip_norm, values)
    return identity(values * limit * minimum(inverse * count, 1 / limit), name=name)
