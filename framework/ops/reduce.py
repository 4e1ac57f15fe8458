"""Reductions over axes: sums, means, products, extremes, logic."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops import arithmetic, compare, samples
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj, real
from shardtape.ops.composites import override_of, takes_composites
from shardtape.ops.constants import int_scalar, int_vector
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.extremes import extreme_over
from shardtape.ops.filling import range as range_
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.leading_sums import sum_over
from shardtape.ops.node_names import scoped
from shardtape.ops.registry import op, same_as, scalar
from shardtape.ops.scanning import cumprod_op
from shardtape.ops.selecting import select
from shardtape.ops.shape_rules import axes_of, reduced
from shardtape.ops.shaping import (
    invert_permutation,
    rank_op,
    reshape,
    shape,
    stop_gradient,
    transpose_op,
)
from shardtape.ops.transcendental import exp, log, sqrt, square
from shardtape.ops.whole_numbers import refuse_fractions
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, Tensor


def _axis_samples(draw: Any) -> Any:
    def cases(rng: np.random.Generator) -> Any:
        x = draw((2, 3), (2, 3), (2, 2, 3), (4,))(rng)
        (a,), (b,), (c,), (d,) = (inputs for inputs, _ in x)
        return [
            ((a, np.array([0], np.int32)), {}),
            ((b, np.int32(-1)), {"keep_dims": True}),
            ((c, np.array([0, 2], np.int32)), {}),
            ((d, np.array([], np.int32)), {}),
            ((c, np.array([0, 1, 2], np.int32)), {}),
        ]

    return cases


_NORMAL = _axis_samples(samples.normal)
_DISTINCT = _axis_samples(samples.distinct)


# ---- gradients of sums and means: spread back over the axes -----------------------------------
def _spread_reference(g: Any, x: Any, axis: Any, keep_dims: bool, mean: bool) -> Any:
    axes = tuple(np.atleast_1d(axis) % max(x.ndim, 1)) if np.size(axis) else ()
    shaped = np.reshape(g, [1 if i in axes else n for i, n in enumerate(x.shape)])
    count = np.prod([x.shape[i] for i in axes])
    spread = np.ones(x.shape, g.dtype) * shaped
    return (spread / count).astype(g.dtype) if mean else spread


@op(
    "SpreadLike",
    dtypes=dt.NUMERIC,
    host=("axis",),
    shape=same_as(1),
    shape_only=("x",),
    may_view=True,
    mixed=True,
    samples=lambda rng: [
        ((rng.normal(size=(3,)), np.zeros((2, 3)), np.int32(0)), {}),
        ((rng.normal(size=(2, 1)), np.zeros((2, 3)), np.int32(1)), {"keep_dims": True}),
        ((rng.normal(size=()), np.zeros((2, 3)), np.array([0, 1], np.int32)), {"mean": True}),
    ],
    reference=lambda g, x, axis, keep_dims=False, mean=False: _spread_reference(
        g, x, axis, keep_dims, mean
    ),
)
def spread_like(xp, g, x, axis, *, keep_dims=False, mean=False):
    """`g`, a reduction of `x` over `axis`, repeated to the shape of `x`; divided by the count
    of elements where `mean` is set."""
    if mean:
        g = _divided(xp, g, x.size, g.size)
    if xp is np and g.size == 1 and g.dtype.kind in "fiuc":
        spread = np.ndarray(x.shape, g.dtype, g, 0, (0,) * x.ndim)  # a fifth of `broadcast_to`
        spread.flags.writeable = False
        return spread
    if not keep_dims:
        axes = axes_of(axis, x.ndim)
        g = g.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
    return xp.broadcast_to(g, x.shape)


def _divided(xp: Any, total: Any, elements: int, groups: int) -> Any:
    """A sum over `elements / groups` members each, divided by their number as C++ does."""
    count = elements // groups if groups else 0
    if total.dtype.kind in "iu":
        if not count:
            return total
        wide = total.astype(np.uint64 if total.dtype.kind == "u" else np.int64)
        return _cut(wide, count).astype(total.dtype)
    return total / total.dtype.type(count)


def _cut(total: Any, count: int) -> Any:
    """Wide integers divided by a count, towards zero."""
    if total.dtype.kind == "u":
        return total // np.uint64(count)
    below = total // np.int64(count)
    return below + ((below < 0) & (below * np.int64(count) != total))


def _whole_mean(xp: Any, x: Any, axes: Any, keepdims: bool) -> Any:
    """The mean of integers, whose sum may be too large for their dtype, cut towards zero."""
    add: Any = np.add.reduce if xp is np else xp.sum
    wide = np.uint64 if x.dtype.kind == "u" else np.int64
    total = add(x, axis=axes, dtype=wide, keepdims=keepdims)
    count = x.size // total.size if total.size else 0
    return (_cut(total, count) if count else total).astype(x.dtype)


@spread_like.writes_into()
def _(xp, out, g, x, axis, *, keep_dims=False, mean=False):
    xp.copyto(out, spread_like.kernel(xp, g, x, axis, keep_dims=keep_dims, mean=mean))


@spread_like.gradient
def _(g, _y, _g, _x, axis, *, keep_dims, mean):
    return (mean_op if mean else sum_op)(g, axis, keep_dims=keep_dims), None


# ---- sums and means ---------------------------------------------------------------------------
@op("Sum", dtypes=dt.NUMERIC, host=("axis",), shape=reduced, samples=_NORMAL)
def sum_op(xp, input, axis, *, keep_dims=False):
    """The sum over `axis` (an int or a vector), in the dtype of `input`."""
    return sum_over(xp, input, axes_of(axis, input.ndim), keep_dims)


@sum_op.writes_into()
def _(xp, out, input, axis, *, keep_dims=False):
    sum_over(xp, input, axes_of(axis, input.ndim), keep_dims, out=out)


@sum_op.gradient
def _(g, _y, x, axis, *, keep_dims):
    return spread_like(g, x, axis, keep_dims=keep_dims)


@op("Mean", dtypes=dt.NUMERIC, host=("axis",), shape=reduced, samples=_NORMAL)
def mean_op(xp, input, axis, *, keep_dims=False):
    """The mean over `axis`, in the dtype of `input` (integers are cut towards zero)."""
    if input.dtype.kind in "iu":
        return _whole_mean(xp, input, axes_of(axis, input.ndim), keep_dims)
    total = sum_over(xp, input, axes_of(axis, input.ndim), keep_dims)
    return _divided(xp, total, input.size, total.size)


@mean_op.writes_into()
def _(xp, out, input, axis, *, keep_dims=False):
    if out.dtype.kind in "iu":
        xp.copyto(out, mean_op.kernel(xp, input, axis, keep_dims=keep_dims))
    else:
        sum_op.into(xp, out, input, axis, keep_dims=keep_dims)
        xp.true_divide(out, out.dtype.type(input.size // out.size if out.size else 0), out=out)


@mean_op.gradient
def _(g, _y, x, axis, *, keep_dims):
    return spread_like(g, x, axis, keep_dims=keep_dims, mean=True)


@op("L2Loss", dtypes=dt.FLOATING, shape=scalar, samples=samples.normal((2, 3), ()))
def l2_loss_op(xp, t):
    """Half the sum of squares, a scalar."""
    flat = t.reshape(-1)
    return 0.5 * xp.dot(flat, flat)


@l2_loss_op.gradient
def _(g, _y, t):
    return t * g


# ---- products ---------------------------------------------------------------------------------
@op("Prod", dtypes=dt.NUMERIC, host=("axis",), shape=reduced, samples=_NORMAL)
def prod_op(xp, input, axis, *, keep_dims=False):
    """The product over `axis`, in the dtype of `input`."""
    product = np.multiply.reduce if xp is np else xp.prod
    return product(input, axis=axes_of(axis, input.ndim), dtype=input.dtype, keepdims=keep_dims)


@prod_op.gradient
def _(g, _y, x, axis, *, keep_dims):
    # the product of all others, exact where elements are zero: exclusive products from both ends
    g = spread_like(g, x, axis, keep_dims=keep_dims)
    order = axes_first(x, axis)
    moved = transpose_op(x, order)
    flat = flatten_axes(x, moved, axis)
    left = cumprod_op(flat, int_scalar(0), exclusive=True)
    right = cumprod_op(flat, int_scalar(0), exclusive=True, reverse=True)
    others = reshape(conj(left) * conj(right), shape(moved))
    return g * transpose_op(others, invert_permutation(order))


@op(
    "AxesFirst",
    dtypes=dt.ANY,
    shape_only=("x",),
    dtype=dt.int32,
    host=("axis",),
    shape=lambda x, axis: TensorShape([x.shape.rank]),
    differentiable=False,
    samples=lambda rng: [((rng.normal(size=(2, 3, 4)), np.array([2], np.int32)), {})],
    reference=lambda x, axis: np.array([2, 0, 1], np.int32),
)
def axes_first(xp, x, axis):
    """The permutation of the axes of `x` that brings `axis` to the front, an int32 vector."""
    first = axes_of(axis, x.ndim)
    return np.array([*first, *[i for i in range(x.ndim) if i not in first]], np.int32)


@op(
    "FlattenAxes",
    dtypes=dt.NUMERIC,
    shape_only=("x",),
    host=("axis",),
    mixed=True,
    may_view=True,
    dtype=lambda dtypes, attrs: dtypes[1],
    shape=lambda x, moved, axis: TensorShape([None, None]),
    samples=lambda rng: [
        ((np.zeros((2, 3, 4)), rng.normal(size=(4, 2, 3)), np.array([2], np.int32)), {})
    ],
    reference=lambda x, moved, axis: moved.reshape(4, 6),
)
def flatten_axes(xp, x, moved, axis):
    """`moved` (`x` with `axis` in front) as a matrix: elements along `axis`, all others."""
    count = 1
    for a in axes_of(axis, x.ndim):
        count *= x.shape[a]
    return moved.reshape(count, moved.size // count if count else 0)


@flatten_axes.gradient
def _(g, _y, _x, moved, _axis):
    return None, reshape(g, shape(moved))


# ---- extremes ---------------------------------------------------------------------------------
def _extreme(xp: Any, name: str, input: Any, axis: Any, keep_dims: bool, out: Any = None) -> Any:
    axes = axes_of(axis, input.ndim)
    if input.size:
        if xp is np:
            combine = np.maximum if name == "max" else np.minimum
            return extreme_over(combine, input, axes, keep_dims, out)
        return getattr(xp, name)(input, axis=axes, keepdims=keep_dims, out=out)
    kind = input.dtype
    if kind.kind == "f":
        start = kind.type(-np.inf if name == "max" else np.inf)
    else:
        start = kind.type(np.iinfo(kind).min if name == "max" else np.iinfo(kind).max)
    dims = [1 if i in axes else n for i, n in enumerate(input.shape) if keep_dims or i not in axes]
    got = xp.full(dims, start, kind)
    if out is None:
        return got
    return xp.copyto(out, got)


@op("Max", dtypes=dt.REAL, host=("axis",), shape=reduced, samples=_DISTINCT)
def max_op(xp, input, axis, *, keep_dims=False):
    """The largest element over `axis`; minus infinity (the least integer) of nothing."""
    return _extreme(xp, "max", input, axis, keep_dims)


@max_op.writes_into()
def _(xp, out, input, axis, *, keep_dims=False):
    _extreme(xp, "max", input, axis, keep_dims, out)


@op("Min", dtypes=dt.REAL, host=("axis",), shape=reduced, samples=_DISTINCT)
def min_op(xp, input, axis, *, keep_dims=False):
    """The smallest element over `axis`; infinity (the largest integer) of nothing."""
    return _extreme(xp, "min", input, axis, keep_dims)


@min_op.writes_into()
def _(xp, out, input, axis, *, keep_dims=False):
    _extreme(xp, "min", input, axis, keep_dims, out)


def _extreme_gradient(g: Any, y: Any, x: Any, axis: Any, *, keep_dims: Any) -> Any:
    """Equal shares for all elements that are the extreme one."""
    chosen = cast(compare.equal(spread_like(y, x, axis, keep_dims=keep_dims), x), g.dtype)
    count = sum_op(chosen, axis, keep_dims=keep_dims)
    shares = spread_like(arithmetic.real_div(g, count), x, axis, keep_dims=keep_dims)
    return arithmetic.multiply(chosen, shares)


max_op.gradient(_extreme_gradient)
min_op.gradient(_extreme_gradient)


# ---- logic ------------------------------------------------------------------------------------
def _logic_samples(rng: np.random.Generator) -> Any:
    x = rng.random((2, 3)) > 0.4
    return [
        ((x, np.array([0], np.int32)), {}),
        ((x, np.int32(-1)), {"keep_dims": True}),
        ((x, np.array([0, 1], np.int32)), {}),
    ]


@op("All", dtypes=dt.BOOL, host=("axis",), shape=reduced, differentiable=False,
    samples=_logic_samples)  # fmt: skip
def all_op(xp, input, axis, *, keep_dims=False):
    """Whether all elements over `axis` are True."""
    return xp.all(input, axis=axes_of(axis, input.ndim), keepdims=keep_dims)


@op("Any", dtypes=dt.BOOL, host=("axis",), shape=reduced, differentiable=False,
    samples=_logic_samples)  # fmt: skip
def any_op(xp, input, axis, *, keep_dims=False):
    """Whether any element over `axis` is True."""
    return xp.any(input, axis=axes_of(axis, input.ndim), keepdims=keep_dims)


# ---- public functions -------------------------------------------------------------------------
def all_axes(x: Any) -> Any:
    """The axes of a tensor as an int vector."""
    rank = x.shape.rank
    return range_(rank_op(x)) if rank is None else int_vector(range(rank))


def _reduction(reduce_op: Any) -> Any:
    def reduce(x: Any, axis: Any, keepdims: Any, name: Any) -> Any:
        if not isinstance(x, Tensor):
            taken = override_of(reduce_op.type, x)
            if taken is not None:
                return taken(x, axis, keepdims)
            x = convert_to_tensor(x, dt.bool if reduce_op.dtypes == dt.BOOL else None)
        if axis is None:
            if type(x) is EagerTensor and state.graph is None:
                axis = int_vector(range(x._array.ndim))
            else:
                axis = convert_to_tensor(all_axes(x))
        elif type(axis) is int:
            axis = int_scalar(axis)
        elif type(axis) in (tuple, list) and all(type(a) is int for a in axis):
            axis = int_vector(axis)
        else:
            refuse_fractions(axis, "axis of a reduction")
        if keepdims:
            return reduce_op(x, axis, keep_dims=True, name=name)
        return reduce_op(x, axis, name=name)

    return reduce


_sum, _mean, _prod = _reduction(sum_op), _reduction(mean_op), _reduction(prod_op)
_max, _min = _reduction(max_op), _reduction(min_op)
_all, _any = _reduction(all_op), _reduction(any_op)


def reduce_sum(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The sum over `axis` (None: all)."""
    return _sum(input_tensor, axis, keepdims, name)


def reduce_mean(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The mean over `axis` (None: all), in the input's dtype: of integers it is an integer."""
    return _mean(input_tensor, axis, keepdims, name)


def reduce_prod(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The product over `axis` (None: all)."""
    return _prod(input_tensor, axis, keepdims, name)


def reduce_max(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The largest element over `axis` (None: all)."""
    return _max(input_tensor, axis, keepdims, name)


def reduce_min(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The smallest element over `axis` (None: all)."""
    return _min(input_tensor, axis, keepdims, name)


def reduce_all(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Whether all elements over `axis` (None: all) are True."""
    return _all(input_tensor, axis, keepdims, name)


def reduce_any(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Whether any element over `axis` (None: all) is True."""
    return _any(input_tensor, axis, keepdims, name)


@takes_composites
@scoped("ReduceLogSumExp")
def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """log(sum(exp(x))) over `axis` (None: all), without overflow."""
    x = convert_to_tensor(input_tensor)
    top = reduce_max(x, axis, True)
    top = stop_gradient(select(compare.is_finite(top), top, zeros_like_op(top)))
    result = log(reduce_sum(exp(x - top), axis, keepdims))
    if not keepdims:
        top = reshape(top, shape(result))
    return arithmetic.add(result, top, name=name)


@takes_composites
@scoped("reduce_variance")
def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The variance over `axis` (None: all), divided by the number of elements.

    Raises TypeError for integers.
    """
    x = convert_to_tensor(input_tensor)
    if x.dtype.is_integer:
        raise TypeError(f"Input must be either real or complex. Received integer type {x.dtype}.")
    diff = x - reduce_mean(x, axis, True)
    squares = real(conj(diff) * diff) if diff.dtype.is_complex else square(diff)
    return reduce_mean(squares, axis, keepdims, name)


@takes_composites
@scoped("reduce_std")
def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The standard deviation over `axis` (None: all); see `reduce_variance`."""
    return sqrt(reduce_variance(input_tensor, axis, keepdims), name=name)


@takes_composites
def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The square root of the sum of squares over `axis` (None: all)."""
    x = convert_to_tensor(input_tensor)
    squares = real(conj(x) * x) if x.dtype.is_complex else square(x)
    total = reduce_sum(squares, axis, keepdims)
    if x.dtype.is_integer:  # the root, cut to a whole number
        total = cast(total, dt.float64)
    return cast(sqrt(total, name=name), x.dtype)


@takes_composites
def count_nonzero(
    input: Any, axis: Any = None, keepdims: bool = False, dtype: Any = dt.int64, name: Any = None
) -> Any:
    """The number of elements over `axis` (None: all) that are not zero (not empty)."""
    x = convert_to_tensor(input)
    there = cast(compare.not_equal(x, zeros_like_op(x)), dt.int64)
    return cast(reduce_sum(there, axis, keepdims), dtype, name)


def l2_loss(t: Any, name: str | None = None) -> Any:
    """Half the sum of squares, a scalar."""
    return l2_loss_op(t, name=name)


def zero_fraction(value: Any, name: str | None = None) -> Any:
    """The share of zeros, a float32 scalar."""
    x = convert_to_tensor(value)
    zeros = cast(compare.equal(x, zeros_like_op(x)), dt.float32)
    return reduce_mean(zeros, name=name)
