"""Parts of shape rules that several ops share: axes, reductions, partly known vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape.ops.registry import Arg
from shardtape.shapes import UNKNOWN, TensorShape


def known_ints(arg: Arg) -> list[int | None] | None:
    """The members of an integer vector or scalar input; None where it is not known.

    A vector of known length and unknown members gives a list of None.
    """
    value = arg.value
    if value is None:
        shape = arg.shape
        if shape.rank == 1 and shape[0] is not None:
            return [None] * shape[0]
        return None
    if isinstance(value, (list, tuple)):
        return list(value)
    return np.asarray(value).reshape(-1).tolist()


def known_int(arg: Arg) -> int | None:
    """The value of an integer scalar input; None where it is not known."""
    got = known_ints(arg)
    return got[0] if got and len(got) == 1 else None


def axis_index(axis: int, rank: int, what: str = "axis") -> int:
    """A non-negative axis. Raises ValueError naming the range."""
    if not -rank <= axis < rank:
        raise ValueError(f"{what} {axis} is out of range [{-rank}, {rank})")
    return axis + rank if axis < 0 else axis


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """Non-negative axes of a host input. Raises ValueError for one that is out of range."""
    values = axis.tolist()
    if type(values) is int:
        values = (values,)
    if any(a < 0 or a >= rank for a in values):
        for a in values:
            if not -rank <= a < rank:
                # the parenthesis that is left open is TensorFlow's
                raise ValueError(
                    f"Invalid reduction dimension ({a} for input with {rank} dimension(s)"
                )
        return tuple([a + rank if a < 0 else a for a in values])
    return tuple(values)


def reduced(x: Arg, axis: Arg, *, keep_dims: bool = False, **attrs: Any) -> TensorShape:
    """The shape of a reduction of `x` over `axis`."""
    rank = x.shape.rank
    if rank is None:
        return UNKNOWN
    axes = known_ints(axis)
    if axes is None or None in axes:
        return TensorShape([None] * rank) if keep_dims else UNKNOWN
    gone = {axis_index(a, rank, "Invalid reduction dimension:") for a in axes}  # type: ignore[arg-type]
    if keep_dims:
        return TensorShape([1 if i in gone else d for i, d in enumerate(x.shape)])
    return TensorShape([d for i, d in enumerate(x.shape) if i not in gone])


def from_vector(index: int) -> Callable[..., TensorShape]:
    """The shape that integer input `index` holds."""

    def rule(*args: Arg, **attrs: Any) -> TensorShape:
        dims = known_ints(args[index])
        if dims is None:
            return UNKNOWN
        return TensorShape([None if d is None or d < 0 else d for d in dims])

    return rule


def with_dim(shape: TensorShape, axis: int, size: int | None) -> TensorShape:
    """`shape` with another size at `axis`."""
    dims = shape.as_list()
    dims[axis] = size
    return TensorShape(dims)


def same_rank(arg: Arg) -> TensorShape:
    """All sizes unknown."""
    return UNKNOWN if arg.shape.rank is None else TensorShape([None] * arg.shape.rank)


def merged(args: Sequence[Arg]) -> TensorShape:
    """What all inputs know of their one shape. Raises ValueError where they differ."""
    shape = args[0].shape
    for a in args[1:]:
        shape = shape.merge_with(a.shape)
    return shape
