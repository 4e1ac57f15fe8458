"""Joining and cutting tensors along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import samples
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA, int_scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.kernel_errors import shown
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import (
    axis_index,
    known_int,
    known_ints,
    merged,
    with_dim,
)
from shardtape.ops.shaping import host_shape, identity
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


# ---- stacking ---------------------------------------------------------------------------------
def _pack_shape(*values: Arg, axis: int = 0) -> TensorShape:
    one = merged(values)
    if one.rank is None:
        return UNKNOWN
    dims = one.as_list()
    dims.insert(axis_index(axis, one.rank + 1), len(values))
    return TensorShape(dims)


@op(
    "Pack",
    dtypes=DATA,
    shape=_pack_shape,
    samples=samples.given(
        lambda rng: ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}),
        lambda rng: ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {"axis": -1}),
        lambda rng: ((rng.normal(size=()), rng.normal(size=()), rng.normal(size=())), {}),
    ),
)
def pack(xp, *values, axis=0):
    """Tensors of one shape (R axes), stacked along a new axis `axis` (R + 1 axes)."""
    return xp.stack(values, axis)


@pack.writes_into()
def _(xp, out, *values, axis=0):
    if axis == 0:
        for i, v in enumerate(values):
            out[i] = v
    else:
        xp.stack(values, axis, out=out)


@pack.gradient
def _(g, _y, *values, axis):
    return unpack(g, num=len(values), axis=axis)


def _unpack_shape(value: Arg, *, num: int, axis: int = 0) -> list[TensorShape]:
    rank = value.shape.rank
    if rank is None:
        return [UNKNOWN] * num
    at = axis_index(axis, rank)
    dims = value.shape.as_list()
    if dims.pop(at) not in (None, num):
        raise ValueError(f"axis {axis} of {value.shape} cannot be unstacked into {num} tensors")
    return [TensorShape(dims)] * num


@op(
    "Unpack",
    dtypes=DATA,
    shape=_unpack_shape,
    outputs=lambda attrs, count: attrs["num"],
    may_view=True,
    samples=samples.given(
        lambda rng: ((rng.normal(size=(2, 3)),), {"num": 2}),
        lambda rng: ((rng.normal(size=(2, 3)),), {"num": 3, "axis": -1}),
    ),
)
def unpack(xp, value, *, num, axis=0):
    """The `num` slices of `value` along `axis`, without that axis."""
    at = axis_index(axis, value.ndim)
    if value.shape[at] != num:
        raise ValueError(
            f"Input shape axis {axis} must equal {num}, got shape {shown(value.shape)}"
        )
    return tuple(xp.moveaxis(value, at, 0) if at else value)


@unpack.gradient
def _(g, y, _value, *, num, axis):
    return pack(*with_zeros(g, y), axis=axis)


def with_zeros(grads: Any, outputs: Any) -> list[Any]:
    """Gradients of several outputs with zeros in the place of None."""
    return [zeros_like_op(o) if g is None else g for g, o in zip(grads, outputs)]


# ---- concatenation and cutting ----------------------------------------------------------------
def _concat_shape(*args: Arg, **attrs: Any) -> TensorShape:
    values, axis = args[:-1], known_int(args[-1])
    known = [v.shape for v in values if v.shape.rank is not None]
    if not known:
        return UNKNOWN
    rank = known[0].rank
    if axis is None:
        return TensorShape([None] * rank)  # type: ignore[operator]
    at = axis_index(axis, rank)  # type: ignore[arg-type]
    rest, total = with_dim(known[0], at, None), 0
    for v in values:
        if v.shape.rank is None:
            total = None  # type: ignore[assignment]
            continue
        rest = rest.merge_with(with_dim(v.shape.with_rank(rank), at, None))  # type: ignore[arg-type]
        size = v.shape[at]
        total = None if total is None or size is None else total + size  # type: ignore[assignment]
    return with_dim(rest, at, total)


@op(
    "ConcatV2",
    dtypes=DATA,
    host=(-1,),
    shape=_concat_shape,
    samples=samples.given(
        lambda rng: ((rng.normal(size=(2, 3)), rng.normal(size=(1, 3)), np.int32(0)), {}),
        lambda rng: ((rng.normal(size=(2, 1)), rng.normal(size=(2, 3)), np.int32(-1)), {}),
    ),
)
def concat_op(xp, *inputs):
    """Tensors that agree in all axes but `axis` (the last input), joined along it."""
    return xp.concatenate(inputs[:-1], int(inputs[-1]))


@concat_op.writes_into()
def _(xp, out, *inputs):
    xp.concatenate(inputs[:-1], int(inputs[-1]), out=out)


@concat_op.gradient
def _(g, _y, *inputs):
    return list(split_like(g, *inputs))


def _split_like_shape(g: Arg, *rest: Arg, **attrs: Any) -> list[TensorShape]:
    return [v.shape for v in rest[:-1]]


@op(
    "SplitLike",
    dtypes=DATA,
    host=(-1,),
    shape=_split_like_shape,
    outputs=lambda attrs, count: count - 2,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(5, 2)), np.zeros((2, 2)), np.zeros((3, 2)), np.int32(0)), {})
    ],
    reference=lambda g, a, b, axis: (g[:2], g[2:]),
)
def split_like(xp, g, *rest):
    """`g` cut along the axis (the last input) into pieces of the shapes of the other inputs."""
    axis, at, out = axis_index(int(rest[-1]), g.ndim), 0, []
    before = (slice(None),) * axis
    for like in rest[:-1]:
        out.append(g[(*before, slice(at, at + like.shape[axis]))])
        at += like.shape[axis]
    if at != g.shape[axis]:
        raise ValueError(f"pieces of {at} in all do not fill axis {axis} of {list(g.shape)}")
    return tuple(out)


@split_like.gradient
def _(g, y, _g, *rest):
    return [concat_op(*with_zeros(g, y), rest[-1]), *[None] * (len(rest) - 1)]


def _split_shape(axis: Arg, value: Arg, *, num_split: int) -> list[TensorShape]:
    at, rank = known_int(axis), value.shape.rank
    if rank is None:
        return [UNKNOWN] * num_split
    if at is None:
        return [TensorShape([None] * rank)] * num_split
    at = axis_index(at, rank)
    size = value.shape[at]
    if size is not None and size % num_split:
        raise ValueError(
            f"Dimension size must be evenly divisible by {num_split} but is {size} "
            f"(axis {at} of shape {value.shape})"
        )
    return [with_dim(value.shape, at, None if size is None else size // num_split)] * num_split


@op(
    "Split",
    dtypes=DATA,
    host=("axis",),
    shape=_split_shape,
    outputs=lambda attrs, count: attrs["num_split"],
    may_view=True,
    samples=lambda rng: [
        ((np.int32(1), rng.normal(size=(2, 6))), {"num_split": 3}),
        ((np.int32(-2), rng.normal(size=(2, 3))), {"num_split": 2}),
    ],
)
def split_op(xp, axis, value, *, num_split):
    """`value` cut along `axis` into `num_split` equal pieces."""
    at = axis_index(int(axis), value.ndim)
    if value.shape[at] % num_split:
        raise errors.InvalidArgumentError(
            f"Number of ways to split should evenly divide the split dimension, but got "
            f"split_dim {at} (size = {value.shape[at]}) and num_split {num_split} [Op:Split]"
        )
    size, before = value.shape[at] // num_split, (slice(None),) * at
    return tuple([value[(*before, slice(i * size, (i + 1) * size))] for i in range(num_split)])


@split_op.gradient
def _(g, y, axis, _value, *, num_split):
    return concat_op(*with_zeros(g, y), axis)


def _split_v_shape(value: Arg, sizes: Arg, axis: Arg, *, num_split: int) -> list[TensorShape]:
    at, rank = known_int(axis), value.shape.rank
    if rank is None:
        return [UNKNOWN] * num_split
    if at is None:
        return [TensorShape([None] * rank)] * num_split
    at = axis_index(at, rank)
    cuts = known_ints(sizes) or [None] * num_split
    whole = value.shape[at]
    if -1 in cuts:
        others = [c for c in cuts if c != -1]
        rest = None if whole is None or None in others else whole - sum(others)  # type: ignore[arg-type]
        cuts = [rest if c == -1 else c for c in cuts]
    return [with_dim(value.shape, at, c) for c in cuts]


@op(
    "SplitV",
    dtypes=DATA,
    host=("size_splits", "axis"),
    shape=_split_v_shape,
    outputs=lambda attrs, count: attrs["num_split"],
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 6)), np.array([1, 3, 2]), np.int32(1)), {"num_split": 3}),
        ((rng.normal(size=(5,)), np.array([-1, 2]), np.int32(0)), {"num_split": 2}),
    ],
)
def split_v_op(xp, value, size_splits, axis, *, num_split):
    """`value` cut along `axis` into pieces of given sizes; one of them may be -1, the rest."""
    at, whole = axis_index(int(axis), value.ndim), 0
    sizes = size_splits.tolist()
    if -1 in sizes:
        sizes[sizes.index(-1)] = value.shape[at] - sum(s for s in sizes if s != -1)
    if sum(sizes) != value.shape[at] or min(sizes, default=0) < 0 or len(sizes) != num_split:
        raise errors.InvalidArgumentError(
            f"Determined shape must either match input shape along split_dim exactly if fully "
            f"specified, or be less than the size of the input along split_dim if not fully "
            f"specified. Got: {size_splits.tolist()} for size {value.shape[at]} [Op:SplitV]"
        )
    before, out = (slice(None),) * at, []
    for size in sizes:
        out.append(value[(*before, slice(whole, whole + size))])
        whole += size
    return tuple(out)


@split_v_op.gradient
def _(g, y, _value, _sizes, axis, *, num_split):
    return concat_op(*with_zeros(g, y), axis)


# ---- repetition -------------------------------------------------------------------------------
def _tile_shape(input: Arg, multiples: Arg) -> TensorShape:
    times = known_ints(multiples)
    if input.shape.rank is None:
        return UNKNOWN if times is None else TensorShape([None] * len(times))
    if times is None:
        return TensorShape([None] * input.shape.rank)
    if len(times) != input.shape.rank:
        raise ValueError(f"multiples {times} need one entry per axis of {input.shape}")
    return TensorShape(
        [None if d is None or t is None else d * t for d, t in zip(input.shape, times)]
    )


@op(
    "Tile",
    dtypes=DATA,
    host=("multiples",),
    shape=_tile_shape,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.array([2, 1], np.int32)), {}),
        ((rng.normal(size=(2,)), np.array([3], np.int32)), {}),
    ],
)
def tile_op(xp, input, multiples):
    """`input` repeated `multiples[i]` times along axis i."""
    times = multiples.tolist()
    if len(times) != input.ndim:
        raise ValueError(
            f"Expected multiples argument to be a vector of length {input.ndim} but got length "
            f"{len(times)}"
        )
    return xp.tile(input, times) if times else input.copy()


@tile_op.gradient
def _(g, _y, input, multiples):
    return sum_tiles(g, input, multiples)


def _sum_tiles_reference(g: Any, input: Any, multiples: Any) -> Any:
    out = np.zeros_like(input)
    for at, value in np.ndenumerate(g):
        out[tuple(i % n for i, n in zip(at, input.shape))] += value
    return out


@op(
    "SumTiles",
    dtypes=dt.NUMERIC,
    shape_only=("input",),
    host=("multiples",),
    shape=same_as(1),
    samples=lambda rng: [
        ((rng.normal(size=(4, 3)), np.zeros((2, 3)), np.array([2, 1], np.int32)), {})
    ],
    reference=_sum_tiles_reference,
)
def sum_tiles(xp, g, input, multiples):
    """The sum of the repetitions that `tile(input, multiples)` would make out of `input`."""
    split = [n for pair in zip(multiples.tolist(), input.shape) for n in pair]
    return xp.sum(g.reshape(split), axis=tuple(range(0, len(split), 2)), dtype=g.dtype)


@sum_tiles.gradient
def _(g, _y, _g, _input, multiples):
    return tile_op(g, multiples), None


# ---- public functions -------------------------------------------------------------------------
@takes_composites
def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """Tensors of one shape stacked along a new axis."""
    if (
        axis == 0
        and not isinstance(values, Tensor)
        and (
            not isinstance(values, (list, tuple))
            or not any(isinstance(v, Tensor) or hasattr(v, "_as_tensor") for v in values)
        )
    ):
        try:
            return convert_to_tensor(values)
        except ValueError:  # mixed types are told by the op, which names its input
            if not isinstance(values, (list, tuple)):
                raise
    if isinstance(values, Tensor):
        values = unstack(values)
    if axis != 0:  # which is in range always
        first = values[0] if values else 0
        known = first.shape.rank if isinstance(first, Tensor) else np.ndim(first)
        if known is not None and not -known - 1 <= axis <= known:
            raise ValueError(
                f"Argument `axis` = {axis} of stack is not in range [{-known - 1}, {known + 1})"
            )
    return pack(*values, axis=axis, name=name)


@takes_composites
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The slices of `value` along `axis`, a list.

    Raises ValueError where their number is neither given nor known.
    """
    x = convert_to_tensor(value)
    if num is None:
        known = x.shape.rank
        if known is not None:
            num = x.shape[axis_index(axis, known)]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {x.shape}")
    parts = unpack(x, num=num, axis=axis, name=name)
    return list(parts) if num else []  # without results it is an Operation


@takes_composites
def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Tensors that agree in all axes but `axis`, joined along it."""
    if not isinstance(values, (list, tuple)):
        values = [values]
    if len(values) == 1:
        return identity(values[0], name=name)
    if not values:
        raise refusal("concat needs one tensor at least, got an empty list")
    return concat_op(*values, int_scalar(axis) if type(axis) is int else axis, name=name)


@takes_composites
def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Any]:
    """`value` cut along `axis`: into so many equal pieces, or into pieces of given sizes.

    Args:
      num_or_size_splits: an int, or the sizes (a list or an int vector).
      num: the number of sizes where the graph cannot know it.
    """
    axis = int_scalar(axis) if type(axis) is int else axis
    if isinstance(num_or_size_splits, (int, np.integer)):
        if num_or_size_splits < 1:
            raise refusal(f"Number of ways to split should be > 0, but got {num_or_size_splits}")
        return list(split_op(axis, value, num_split=int(num_or_size_splits), name=name))
    sizes = convert_to_tensor(num_or_size_splits)
    if sizes.shape.rank == 0:
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split."
        )
    if num is None:
        num = sizes.shape[0] if sizes.shape.rank == 1 else None
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {sizes.shape}")
    return list(split_v_op(value, sizes, axis, num_split=num, name=name))


@takes_composites
def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """`input` repeated `multiples[i]` times along axis i."""
    if isinstance(multiples, (int, np.integer)):
        raise refusal(f"multiples of tile must be a list, one entry per axis, got {multiples}")
    return tile_op(input, host_shape(multiples), name=name)
