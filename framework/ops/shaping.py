"""Identity, and the shapes of tensors: reading and changing them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import executing_eagerly, state
from shardtape.ops import samples
from shardtape.ops.composites import override_of, takes_composites
from shardtape.ops.constants import DATA, int_scalar, int_vector
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op, same_as, scalar
from shardtape.ops.shape_rules import axis_index, known_int, known_ints, same_rank
from shardtape.ops.transposing import copy_transposed
from shardtape.ops.whole_numbers import refuse_fractions
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import EagerTensor, Tensor


# ---- identity ---------------------------------------------------------------------------------
@op("Identity", dtypes=dt.ANY, shape=same_as(0), may_view=True, samples=samples.normal((2, 3)))
def identity(xp, input):
    """The same value."""
    return input


@identity.gradient
def _(g, _y, _input):
    return g


@op(
    "StopGradient",
    dtypes=dt.ANY,
    shape=same_as(0),
    may_view=True,
    differentiable=False,
    samples=samples.normal((2, 3)),
)
def stop_gradient(xp, input):
    """The same value; no gradient flows back through it."""
    return input


@op(
    "PreventGradient",
    dtypes=dt.ANY,
    shape=same_as(0),
    may_view=True,
    samples=samples.normal((2, 3)),
)
def prevent_gradient(xp, input, *, message=""):
    """The same value; asking for its gradient is an error that shows `message`."""
    return input


@prevent_gradient.gradient
def _(_g, _y, _input, *, message):
    raise LookupError(f"Gradient explicitly disabled. Reason: {message}")


# ---- shapes -----------------------------------------------------------------------------------
def _shape_shape(input: Arg, **attrs: Any) -> TensorShape:
    return TensorShape([input.shape.rank])


@op(
    "Shape",
    dtypes=dt.ANY,
    dtype="out_type",
    shape=_shape_shape,
    shape_only=("input",),
    differentiable=False,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)),), {}),
        ((rng.normal(size=()),), {"out_type": dt.int64}),
    ],
)
def shape_op(xp, input, *, out_type=dt.int32):
    """The sizes of the axes, an int vector (always on the host)."""
    return np.array(input.shape, dt.as_dtype(out_type).numpy_dtype)


@op(
    "Size",
    dtypes=dt.ANY,
    dtype="out_type",
    shape=scalar,
    shape_only=("input",),
    differentiable=False,
    samples=samples.normal((2, 3), ()),
)
def size_op(xp, input, *, out_type=dt.int32):
    """The number of elements, an int scalar."""
    return dt.as_dtype(out_type).numpy_dtype.type(input.size)


@op(
    "Rank",
    dtypes=dt.ANY,
    dtype=dt.int32,
    shape=scalar,
    shape_only=("input",),
    differentiable=False,
    samples=samples.normal((2, 3), ()),
)
def rank_op(xp, input):
    """The number of axes, an int32 scalar."""
    return np.int32(input.ndim)


def _open_size(sizes: Sequence[int], wanted: Sequence[int | None]) -> int:
    """The size for -1 where there are no elements to count: what the axes with members leave."""
    return math.prod(n for n in sizes if n) // math.prod(n for n in wanted if n and n > 0)


def _reshape_shape(tensor: Arg, shape: Arg) -> TensorShape:
    dims = known_ints(shape)
    if dims is None:
        return UNKNOWN
    count = tensor.shape.num_elements()
    if None not in dims and sum(d == -1 for d in dims) > 1:
        raise ValueError(f"Only one size of a new shape may be -1, not two: {dims}")
    if None in dims:
        return TensorShape([None if d is None or d < 0 else d for d in dims])
    rest = 1
    for d in dims:
        rest *= d if d != -1 else 1  # type: ignore[operator]
    if -1 not in dims:
        if count is not None and count != rest:
            raise ValueError(
                f"Cannot reshape a tensor with {count} elements to shape {dims} ({rest} elements)"
            )
        return TensorShape(dims)
    at = dims.index(-1)
    if count is None:
        dims[at] = None
    elif rest == 0:
        dims[at] = _open_size(tensor.shape.as_list(), dims)
    else:
        if count % rest:
            raise ValueError(f"Cannot reshape a tensor with {count} elements to shape {dims}")
        dims[at] = count // rest
    return TensorShape(dims)


@op(
    "Reshape",
    dtypes=DATA,
    host=("shape",),
    shape=_reshape_shape,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.array([3, 2], np.int32)), {}),
        ((rng.normal(size=(2, 6)), np.array([2, -1, 3], np.int32)), {}),
        ((rng.normal(size=(1,)), np.array([], np.int32)), {}),
    ],
)
def reshape_op(xp, tensor, shape):
    """The values of `tensor` in row-major order in another shape; one size may be -1."""
    wanted = shape.tolist()
    try:
        return tensor.reshape(wanted)
    except (ValueError, TypeError):
        if not tensor.size and wanted.count(-1) == 1 and 0 in wanted:
            wanted[wanted.index(-1)] = _open_size(tensor.shape, wanted)
            return tensor.reshape(wanted)
        count = 1
        for d in np.asarray(wanted).reshape(-1).tolist():
            count *= d
        raise errors.InvalidArgumentError(
            f"Input to reshape is a tensor with {tensor.size} values, but the requested shape "
            + (f"has {count}" if count >= 0 else f"requires a multiple of {-count}")
            + " [Op:Reshape]"
        ) from None


@reshape_op.gradient
def _(g, _y, tensor, _shape):
    return reshape_op(g, shape(tensor))


def _transpose_shape(x: Arg, perm: Arg) -> TensorShape:
    order = known_ints(perm)
    if order is None:
        return same_rank(x)
    if x.shape.rank is None:
        return TensorShape([None] * len(order))
    if len(order) != x.shape.rank:
        raise ValueError(
            f"perm {order} has {len(order)} entries for a tensor of rank {x.shape.rank}"
        )
    if None in order:
        return same_rank(x)
    return TensorShape([x.shape[p] for p in order])


@op(
    "Transpose",
    dtypes=DATA,
    host=("perm",),
    shape=_transpose_shape,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.array([1, 0], np.int32)), {}),
        ((rng.normal(size=(2, 3, 4)), np.array([2, 0, 1], np.int32)), {}),
    ],
)
def transpose_op(xp, x, perm):
    """Axis i of the result is axis `perm[i]` of `x`."""
    return x.transpose(perm.tolist())


@transpose_op.writes_into()
def _(xp, out, x, perm):
    if xp is np:
        copy_transposed(x, perm.tolist(), out)
    else:
        xp.copyto(out, x.transpose(perm.tolist()))


@transpose_op.gradient
def _(g, _y, _x, perm):
    return transpose_op(g, invert_permutation(perm))


def _invert_permutation(xp, x):
    """Position i of the result says where i stands in the permutation `x`."""
    count = x.shape[0]
    out = np.full(count, -1, x.dtype)
    if count and (x.min() < 0 or x.max() >= count):
        raise errors.InvalidArgumentError(f"{x.tolist()} is not a permutation of 0..{count - 1}")
    out[x] = np.arange(count, dtype=x.dtype)
    if count and out.min() < 0:
        raise errors.InvalidArgumentError(f"{x.tolist()} is not a permutation: a value is twice")
    return out


invert_permutation = op(
    "InvertPermutation",
    host=("x",),
    dtype=lambda dtypes, attrs: dtypes[0],
    shape=same_as(0),
    differentiable=False,
    samples=lambda rng: [((np.array([2, 0, 1], np.int32),), {})],
    name="invert_permutation",
)(_invert_permutation)


def _expand_dims_shape(input: Arg, dim: Arg) -> TensorShape:
    rank, axis = input.shape.rank, known_int(dim)
    if rank is None:
        return UNKNOWN
    if axis is None:
        return TensorShape([None] * (rank + 1))
    dims = input.shape.as_list()
    dims.insert(axis_index(axis, rank + 1), 1)
    return TensorShape(dims)


@op(
    "ExpandDims",
    dtypes=DATA,
    host=("axis",),
    shape=_expand_dims_shape,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.int32(0)), {}),
        ((rng.normal(size=(2, 3)), np.int32(-1)), {}),
        ((rng.normal(size=()), np.int32(0)), {}),
    ],
)
def expand_dims_op(xp, input, axis):
    """A new axis of size 1 before axis `axis` of the result."""
    at = int(np.asarray(axis).item())
    if not -input.ndim - 1 <= at <= input.ndim:
        raise ValueError(f"Tried to expand dim index {at} for tensor with {input.ndim} dimensions.")
    at += input.ndim + 1 if at < 0 else 0
    return input.reshape(input.shape[:at] + (1,) + input.shape[at:])


@expand_dims_op.gradient
def _(g, _y, input, _axis):
    return reshape_op(g, shape(input))


def _squeeze_shape(input: Arg, *, squeeze_dims: Any = ()) -> TensorShape:
    rank = input.shape.rank
    if rank is None:
        return UNKNOWN
    axes = {axis_index(a, rank, "squeeze_dims") for a in squeeze_dims}
    if not axes:
        if None in input.shape.as_list():
            return UNKNOWN
        return TensorShape([d for d in input.shape if d != 1])
    for a in axes:
        if input.shape[a] not in (1, None):
            raise ValueError(
                f"Can not squeeze dim[{a}], expected a dimension of 1, got {input.shape[a]}"
            )
    return TensorShape([d for i, d in enumerate(input.shape) if i not in axes])


@op(
    "Squeeze",
    dtypes=DATA,
    shape=_squeeze_shape,
    may_view=True,
    samples=samples.given(
        lambda rng: ((rng.normal(size=(1, 3, 1)),), {}),
        lambda rng: ((rng.normal(size=(1, 3, 1)),), {"squeeze_dims": (-1,)}),
    ),
)
def squeeze_op(xp, input, *, squeeze_dims=()):
    """`input` without its axes of size 1, or without those that are named."""
    axes = {axis_index(a, input.ndim, "squeeze_dims") for a in squeeze_dims}
    for a in axes:
        if input.shape[a] != 1:
            raise errors.InvalidArgumentError(
                f"Can not squeeze dim[{a}], expected a dimension of 1, got {input.shape[a]} "
                "[Op:Squeeze]"
            )
    kept = [d for i, d in enumerate(input.shape) if (i not in axes if axes else d != 1)]
    return input.reshape(kept)


@squeeze_op.gradient
def _(g, _y, input):
    return reshape_op(g, shape(input))


@op(
    "EnsureShape",
    dtypes=DATA,
    shape=lambda input, shape: input.shape.merge_with(shape),
    may_view=True,
    samples=samples.given(
        lambda rng: ((rng.normal(size=(2, 3)),), {"shape": TensorShape([2, None])}),
        lambda rng: ((rng.normal(size=(2,)),), {"shape": TensorShape(None)}),
    ),
    reference=lambda input, shape: input,
)
def ensure_shape_op(xp, input, *, shape):
    """The same value, of a shape that agrees with the attribute."""
    if not shape.is_compatible_with(input.shape):
        raise errors.InvalidArgumentError(
            f"Shape of tensor {list(input.shape)} is not compatible with expected shape {shape}. "
            "[Op:EnsureShape]"
        )
    return input


@ensure_shape_op.gradient
def _(g, _y, _input, *, shape):
    return g


# ---- public functions -------------------------------------------------------------------------
def shape(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The shape of a tensor as an int vector (int32, or `out_type`).

    Sizes that are not known while a graph is built are those of the run.
    """
    out_type = dt.int32 if out_type is None else dt.as_dtype(out_type)
    sizes = None
    if not isinstance(input, Tensor):
        taken = override_of("shape", input)
        if taken is not None:  # ragged
            return taken(input, out_type, name)
        sizes = getattr(input, "dense_shape", None)
    if sizes is not None:  # sparse
        from shardtape.ops.cast import cast

        return cast(sizes, out_type, name)
    x = input if isinstance(input, Tensor) else convert_to_tensor(input)
    if state.graph is None and type(x) is EagerTensor:
        return EagerTensor(np.array(x._array.shape, out_type.numpy_dtype))
    held = getattr(getattr(x, "graph", None), "composites", None)  # of symbolic calls of layers
    key = getattr(x, "_id", None)
    if held and hasattr(held.get(key), "row_splits"):
        raise ValueError(
            "KerasTensor only supports TypeSpecs that have a shape field: a ragged input of a "
            "model has none that is one vector. Take `x.row_lengths()` or `x.bounding_shape()`"
        )
    if x.shape.is_fully_defined() and not _is_shown(x):
        return convert_to_tensor(
            np.array(x.shape.as_list(), out_type.numpy_dtype), name=name or "Shape"
        )
    return shape_op(x, out_type=out_type, name=name)


def _is_shown(x: Any) -> bool:
    """Whether calls on a tensor are layers, which are there also where their result is known."""
    return getattr(getattr(x, "graph", None), "shows_calls", False)


@takes_composites
def size(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The number of elements of a tensor, an int scalar (int32, or `out_type`)."""
    out_type = dt.int32 if out_type is None else dt.as_dtype(out_type)
    x = convert_to_tensor(input)
    count = x.shape.num_elements()
    if count is not None and not _is_shown(x):
        return convert_to_tensor(out_type.numpy_dtype.type(count), name=name or "Size")
    return size_op(x, out_type=out_type, name=name)


@takes_composites
def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of axes of a tensor, an int32 scalar."""
    x = convert_to_tensor(input)
    known = x.shape.rank
    if known is not None and not _is_shown(x):
        return convert_to_tensor(np.int32(known), name=name or "Rank")
    return rank_op(x, name=name)


@takes_composites
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The values of `tensor` in another shape; one size of `shape` may be -1."""
    if isinstance(shape, (str, bytes)) and executing_eagerly():
        raise errors.InvalidArgumentError(f"shape of reshape must be integers, got {shape!r}")
    return reshape_op(tensor, host_shape(shape), name=name)


def host_shape(value: Any) -> Any:
    """Plain sizes as a shared constant; everything else as it is. Raises TypeError for text."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"a shape is made of integers, got {value!r}")
    if type(value) in (tuple, list) and all(type(d) is int for d in value):
        return int_vector(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.int32)
    if isinstance(value, (TensorShape, int)) and not isinstance(value, bool):
        return int_vector(
            TensorShape(value).as_list() if isinstance(value, TensorShape) else (value,)
        )
    return value


@takes_composites
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = None) -> Tensor:
    """Axis i of the result is axis `perm[i]` of `a`; reversed axes without `perm`."""
    x = convert_to_tensor(a)
    if conjugate and x.dtype.is_complex:
        from shardtape.ops.math import conj

        x = conj(x)
    if perm is None:
        known = x.shape.rank
        if known is None:
            from shardtape.ops.filling import range as range_

            count = rank(x)
            perm = range_(count - 1, -1, -1)
        else:
            perm = int_vector(range(known - 1, -1, -1))
    elif type(perm) in (tuple, list) and all(type(p) is int for p in perm):
        perm = int_vector([p + len(perm) if p < 0 else p for p in perm])
    return transpose_op(x, perm, name=name)


@takes_composites
def expand_dims(input: Any, axis: Any, name: str | None = None) -> Tensor:
    """A new axis of size 1 before axis `axis` of the result (negative: from the end)."""
    if type(axis) is int:
        return expand_dims_op(input, int_scalar(axis), name=name)
    refuse_fractions(axis, "axis of expand_dims", errors.InvalidArgumentError)
    return expand_dims_op(input, axis, name=name)


@takes_composites
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """`input` without its axes of size 1, or without those in `axis`.

    Raises InvalidArgumentError for a named axis of another size.
    """
    if axis is None:
        axes: tuple[int, ...] = ()
    else:
        axes = tuple([int(a) for a in axis]) if isinstance(axis, (list, tuple)) else (int(axis),)
    return squeeze_op(input, squeeze_dims=axes, name=name)


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """`x`, known to have `shape`, some sizes of which may be None.

    Raises InvalidArgumentError where it has not (ValueError while a graph is built).
    """
    return ensure_shape_op(convert_to_tensor(x), shape=TensorShape(shape), name=name)
