"""Tensors filled with one value, ranges and grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.ops import samples
from shardtape.ops.broadcasting import sum_to_shape_of
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor, to_array
from shardtape.ops.kernel_errors import shown as _shown
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import (
    from_vector,
)
from shardtape.ops.shaping import host_shape, reshape
from shardtape.ops.shaping import shape as _shape
from shardtape.ops.whole_numbers import refuse_fractions
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, Tensor


# ---- filled tensors ---------------------------------------------------------------------------
@op(
    "ZerosLike",
    dtypes=DATA,
    shape=same_as(0),
    shape_only=("x",),
    differentiable=False,
    samples=samples.normal((2, 3), ()),
)
def zeros_like_op(xp, x):
    """Zeros (False, empty strings) in the shape of `x`."""
    if x.dtype == object:
        return np.full(x.shape, b"", object)
    return xp.zeros(x.shape, x.dtype)


@op(
    "OnesLike",
    dtypes=dt.NUMERIC | dt.BOOL,
    shape=same_as(0),
    shape_only=("x",),
    differentiable=False,
    widen=False,
    samples=samples.normal((2, 3), ()),
)
def ones_like_op(xp, x):
    """Ones (True) in the shape of `x`."""
    return xp.ones(x.shape, x.dtype)


def _fill_shape(dims: Arg, value: Arg) -> TensorShape:
    if value.shape.rank not in (None, 0):
        raise ValueError(f"Shape must be rank 0 but is rank {value.shape.rank}")
    known = dims.value
    if isinstance(known, np.ndarray) and known.dtype.kind == "i" and (known < 0).any():
        raise ValueError(f"Fill dimensions must be >= 0, got {known.tolist()}")
    return from_vector(0)(dims, value)


@op(
    "Fill",
    dtypes=DATA,
    host=("dims",),
    shape=_fill_shape,
    samples=lambda rng: [
        ((np.array([2, 3], np.int32), rng.normal(size=())), {}),
        ((np.array([], np.int32), rng.normal(size=())), {}),
    ],
)
def fill_op(xp, dims, value):
    """A tensor of shape `dims` whose elements are all `value`, a scalar."""
    if dims.ndim > 1:
        raise ValueError(f"dims must represent a vector, got shape {_shown(dims.shape)}")
    if value.shape not in ((), (1,)):
        raise ValueError(f"value must represent a scalar, got shape {_shown(value.shape)}")
    # eagerly a scalar is a vector of one, and a vector of one a scalar
    return xp.full(tuple(dims.reshape(-1).tolist()), value.reshape(()), value.dtype)


@fill_op.gradient
def _(g, _y, _dims, value):
    return sum_to_shape_of(g, value)


# ---- public functions -------------------------------------------------------------------------
@takes_composites
def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Zeros in the shape of `input`, of its dtype or `dtype`."""
    x = convert_to_tensor(input)
    if dtype is not None and dt.as_dtype(dtype) is not x.dtype:
        return zeros(_shape(x), dtype, name)
    return zeros_like_op(x, name=name)


@takes_composites
def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones in the shape of `input`, of its dtype or `dtype`."""
    x = convert_to_tensor(input)
    if dtype is not None and dt.as_dtype(dtype) is not x.dtype:
        return ones(_shape(x), dtype, name)
    return ones_like_op(x, name=name)


def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """A tensor of shape `dims` whose elements are all `value`."""
    return fill_op(host_shape(dims), value, name=name)


def zeros(shape: Any, dtype: Any = dt.float32, name: str | None = None) -> Tensor:
    """Zeros (False, empty strings) of `shape`."""
    dtype = dt.as_dtype(dtype)
    sizes = _sizes(shape, "a size of zeros")
    value = np.array(b"", object) if dtype is dt.string else dtype.numpy_dtype.type(0)
    if state.graph is not None:
        return _filled(sizes, value, name or "zeros")
    return fill_op(sizes, convert_to_tensor(value, dtype), name=name)


def ones(shape: Any, dtype: Any = dt.float32, name: str | None = None) -> Tensor:
    """Ones (True) of `shape`. Raises TypeError for strings."""
    dtype = dt.as_dtype(dtype)
    if dtype is dt.string:
        raise TypeError("there are no ones of dtype string: use tf.fill")
    sizes = _sizes(shape, "a size of ones")
    if state.graph is not None:
        return _filled(sizes, dtype.numpy_dtype.type(1), name or "ones")
    return fill_op(sizes, convert_to_tensor(dtype.numpy_dtype.type(1)), name=name)


def _sizes(shape: Any, what: str) -> Any:
    """Sizes as ops take them. Raises TypeError, which names `what`, for a fraction among them."""
    sizes = host_shape(shape)
    if sizes is shape and type(shape) in (list, tuple):
        for size in shape:
            refuse_fractions(size, what)
    if isinstance(sizes, Tensor) and sizes.shape.rank == 0:
        return reshape(sizes, [1])  # one number is the size of a vector
    return sizes


def _filled(sizes: Any, value: Any, name: str) -> Tensor:
    """In a graph: a constant where it is small, else a node."""
    known = isinstance(sizes, np.ndarray) and sizes.ndim == 1 and (sizes >= 0).all()
    if known and sizes.prod() < _MAX_CONSTANT_ELEMENTS:
        return state.graph.constant(np.full(sizes.tolist(), value), name)
    return fill_op(sizes, value, name=name)


_MAX_CONSTANT_ELEMENTS = 1000  # as in TensorFlow


# ---- ranges -----------------------------------------------------------------------------------
def _range_shape(start: Arg, limit: Arg, delta: Arg) -> TensorShape:
    values = [start.value, limit.value, delta.value]
    if any(v is None or isinstance(v, list) for v in values):
        return TensorShape([None])
    return TensorShape([len(_range_values(*values))])


_MOST_STEPS = np.iinfo(np.int64).max


def _range_values(start: Any, limit: Any, delta: Any) -> Any:
    if delta == 0:
        raise ValueError("Requires delta != 0: 0")
    if (limit - start) / delta < 0:
        return np.empty(0, start.dtype)
    if start.dtype.kind in "iu":
        return np.arange(int(start), int(limit), int(delta), dtype=start.dtype)
    steps = np.abs((np.float64(limit) - np.float64(start)) / np.float64(delta))
    if np.isnan(steps):
        order = "<=" if delta > 0 else ">="
        sign = ">" if delta > 0 else "<"
        raise ValueError(f"Requires start {order} limit when delta {sign} 0: {start}/{limit}")
    if steps > _MOST_STEPS:
        raise ValueError(f"Requires ((limit - start) / delta) <= {_MOST_STEPS}")
    count = int(np.ceil(steps))
    # TensorFlow adds up, in the type of the result
    return start + np.arange(count).astype(start.dtype) * delta


@op(
    "Range",
    host=("start", "limit", "delta"),
    dtype=lambda dtypes, attrs: dtypes[0],
    shape=_range_shape,
    differentiable=False,
    samples=lambda rng: [
        ((np.int32(1), np.int32(8), np.int32(3)), {}),
        ((np.float32(3), np.float32(-1), np.float32(-0.5)), {}),
        ((np.int64(3), np.int64(3), np.int64(1)), {}),
    ],
)
def range_op(xp, start, limit, delta):
    """The numbers from `start` to before `limit` in steps of `delta`."""
    return _range_values(start, limit, delta)


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range"
) -> Tensor:
    """The numbers from `start` (0 where only one is given) to before `limit`."""
    if limit is None:
        start, limit = 0, start
    given = [start, limit, delta]
    if all(type(v) in (int, float) for v in given) and (limit - start) * delta < 0:
        raise refusal(
            f"range needs start <= limit for a positive delta, start >= limit for a negative one, "
            f"got start={start}, limit={limit}, delta={delta}"
        )
    if dtype is None:
        kinds = [v.dtype if isinstance(v, Tensor) else _dtype_of(v) for v in given]
        strange = [v for v, kind in zip(given, kinds) if not (kind.is_integer or kind.is_floating)]
        if strange:
            raise TypeError(f"range takes numbers, got {strange[0]!r}")
        order = [dt.int32, dt.int64, dt.float16, dt.bfloat16, dt.float32, dt.float64]
        dtype = max(kinds, key=order.index)
    dtype = dt.as_dtype(dtype)
    ends = [_as_type(v, dtype) for v in given]
    if state.graph is None and all(type(v) is EagerTensor and v.ndim == 0 for v in ends):
        first, last, step = [v._host() for v in ends]
        if last < first if step > 0 else step < 0 and last > first:
            needed = (
                "start <= limit when delta > 0" if step > 0 else "start >= limit when delta < 0"
            )
            raise errors.InvalidArgumentError(f"Requires {needed}: {first}/{last} [Op:Range]")
    return range_op(*ends, name=name)


def _as_type(value: Any, dtype: dt.DType) -> Any:
    from shardtape.ops.cast import cast

    if isinstance(value, Tensor):
        return cast(value, dtype)
    if hasattr(value, "_as_tensor"):
        return cast(convert_to_tensor(value), dtype)
    array = np.asarray(value).astype(dtype.numpy_dtype)
    return array if state.graph is not None else convert_to_tensor(array)


def _dtype_of(value: Any) -> dt.DType:
    inner = getattr(value, "dtype", None)
    return inner if isinstance(inner, dt.DType) else dt.from_numpy(to_array(value, None).dtype)
