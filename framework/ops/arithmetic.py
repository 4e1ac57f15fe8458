"""Arithmetic of two tensors, elementwise and broadcasting, and sums of many."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import compare, samples
from shardtape.ops.cast import cast, cast_op
from shardtape.ops.complex_numbers import conj
from shardtape.ops.composites import takes_composites
from shardtape.ops.filling import zeros_like, zeros_like_op
from shardtape.ops.registry import broadcast, op, ufunc_op
from shardtape.ops.repeated_rows import spread_into
from shardtape.ops.selecting import matching, select
from shardtape.ops.shape_rules import merged
from shardtape.tensor import EagerTensor, SymbolicTensor

_SMOOTH = dt.FLOATING | dt.COMPLEX
_PAIRS = samples.normal([(2, 3), (2, 3)], [(2, 3), (3,)], [(2, 1), (1, 3)], [(), (2,)])
_DIVISORS = samples.away_from_zero([(2, 3), (2, 3)], [(2, 3), (3,)], [(2, 1), (1, 3)], [(), ()])
_POSITIVE = samples.uniform(0.4, 2.5, [(2, 3), (2, 3)], [(2, 3), (3,)], [(2, 1), ()])
_APART = samples.distinct([(2, 3), (2, 3)], [(2, 3), (3,)], [(4,), ()])


# ---- sums, products ---------------------------------------------------------------------------
@ufunc_op("AddV2", "add", 2, dtypes=dt.NUMERIC | {dt.string}, widen=True, samples=_PAIRS)
def add(x, y):
    """x + y; strings are joined."""


@add.gradient
def _(g, _y, _a, _b):
    return g, g


@ufunc_op("Sub", "subtract", 2, samples=_PAIRS)
def subtract(x, y):
    """x - y."""


@subtract.gradient
def _(g, _y, _a, _b):
    return g, negative(g)


@ufunc_op("Mul", "multiply", 2, samples=_PAIRS)
def multiply(x, y):
    """x * y."""


@multiply.gradient
def _(g, _y, a, b):
    return lambda: multiply(g, conj(b)), lambda: multiply(g, conj(a))


@ufunc_op("Neg", "negative", 1, dtypes=_SMOOTH | dt.SIGNED, samples=samples.normal((2, 3), ()))
def negative(x):
    """-x."""


@negative.gradient
def _(g, _y, _x):
    return negative(g)


@op("SquaredDifference", dtypes=_SMOOTH | {dt.int32, dt.int64}, broadcasts=True, shape=broadcast,
    samples=_PAIRS)  # fmt: skip
def squared_difference(xp, x, y):
    """conj(x - y) * (x - y)."""
    d = x - y
    return xp.conj(d) * d if d.dtype.kind == "c" else d * d


@squared_difference.writes_into(0, 1)
def _(xp, out, x, y):
    if xp is np:
        spread_into(np.subtract, x, y, out)
    else:
        xp.subtract(x, y, out=out)
    xp.multiply(xp.conj(out) if out.dtype.kind == "c" else out, out, out=out)


@squared_difference.gradient
def _(g, _y, a, b):
    slope = (2 * g) * (a - b)
    return slope, negative(slope)


# ---- quotients --------------------------------------------------------------------------------
def check_divisor(y: Any) -> None:
    """Raises InvalidArgumentError where an integer divisor is zero."""
    if isinstance(y, (np.ndarray, np.generic)) and y.dtype.kind in "iu" and not y.all():
        raise errors.InvalidArgumentError("Integer division by zero")


@ufunc_op("RealDiv", "true_divide", 2, dtypes=_SMOOTH, samples=_DIVISORS)
def real_div(x, y):
    """x / y, of floating and complex numbers."""


@real_div.gradient
def _(g, _y, a, b):
    b = conj(b)
    return (
        lambda: real_div(g, b),
        lambda: multiply(g, real_div(real_div(negative(conj(a)), b), b)),
    )


def _truncated(xp: Any, x: Any, y: Any) -> Any:
    """The quotient of integers, cut towards zero."""
    check_divisor(y)
    q = xp.floor_divide(x, y)
    return q + ((q < 0) & (q * y != x)) if x.dtype.kind == "i" else q


@op("Div", dtypes=dt.NUMERIC, broadcasts=True, shape=broadcast, samples=_DIVISORS)
def div_op(xp, x, y):
    """x / y; of integers the quotient cut towards zero."""
    return _truncated(xp, x, y) if x.dtype.kind in "iu" else x / y


@div_op.gradient
def _(g, _y, a, b):
    b = conj(b)
    return div_op(g, b), g * div_op(div_op(negative(conj(a)), b), b)


@op("FloorDiv", dtypes=dt.REAL, broadcasts=True, shape=broadcast, differentiable=False,
    samples=_DIVISORS)  # fmt: skip
def floor_div(xp, x, y):
    """The quotient rounded towards minus infinity, in the type of `x`."""
    if x.dtype.kind == "f":
        return xp.floor(x / y)
    check_divisor(y)
    return xp.floor_divide(x, y)


@op("FloorMod", dtypes=dt.REAL, broadcasts=True, shape=broadcast, samples=_DIVISORS)
def floormod(xp, x, y):
    """The rest of a floored division; it has the sign of `y`, a zero of floats that of `x`."""
    check_divisor(y)
    if x.dtype.kind != "f":
        return xp.remainder(x, y)
    rest = xp.fmod(x, y)
    return xp.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


@floormod.writes_into(0, 1)
def _(xp, out, x, y):
    if x.dtype.kind == "f":
        out[...] = floormod.kernel(xp, x, y)
        return
    check_divisor(y)
    xp.remainder(x, y, out=out)


@floormod.gradient
def _(g, _y, a, b):
    return g, negative(multiply(g, floor_div(a, b)))


@op("TruncateDiv", dtypes=dt.INTEGER, broadcasts=True, shape=broadcast, differentiable=False,
    samples=_DIVISORS)  # fmt: skip
def truncatediv(xp, x, y):
    """The quotient of integers, cut towards zero."""
    return _truncated(xp, x, y)


@op("TruncateMod", dtypes=dt.FLOATING | {dt.int32, dt.int64}, broadcasts=True, shape=broadcast,
    samples=_DIVISORS)  # fmt: skip
def truncatemod(xp, x, y):
    """The rest of a division cut towards zero; it has the sign of `x`."""
    check_divisor(y)
    return xp.fmod(x, y)


@truncatemod.writes_into(0, 1)
def _(xp, out, x, y):
    check_divisor(y)
    xp.fmod(x, y, out=out)


@truncatemod.gradient
def _(g, _y, a, b):
    q = real_div(a, b)
    cut = select(compare.less(q, zeros_like_op(q)), negative(floor_div(negative(a), b)),
                 floor_div(a, b))  # fmt: skip
    return g, negative(g * cut)


@op("DivNoNan", dtypes=_SMOOTH, broadcasts=True, shape=broadcast, samples=_DIVISORS)
def div_no_nan(xp, x, y):
    """x / y, and 0 where y is 0."""
    return xp.where(y == 0, x.dtype.type(0), x / y)


@div_no_nan.writes_into(0)
def _(xp, out, x, y):
    xp.true_divide(x, y, out=out)
    xp.copyto(out, out.dtype.type(0), where=y == 0)


@div_no_nan.gradient
def _(g, _y, a, b):
    b = conj(b)
    return div_no_nan(g, b), g * div_no_nan(div_no_nan(negative(conj(a)), b), b)


@op("MulNoNan", dtypes=_SMOOTH, broadcasts=True, shape=broadcast, samples=_PAIRS)
def multiply_no_nan(xp, x, y):
    """x * y, and 0 where y is 0, whatever x is."""
    return xp.where(y == 0, x.dtype.type(0), x * y)


@multiply_no_nan.writes_into(0)
def _(xp, out, x, y):
    xp.multiply(x, y, out=out)
    xp.copyto(out, out.dtype.type(0), where=y == 0)


@multiply_no_nan.gradient
def _(g, _y, a, b):
    return multiply_no_nan(g, b), multiply_no_nan(a, g)


# ---- powers -----------------------------------------------------------------------------------
@op("Pow", dtypes=_SMOOTH | dt.SIGNED, broadcasts=True, shape=broadcast, samples=_POSITIVE)
def pow_op(xp, x, y):
    """x to the power y; integers need exponents that are not negative."""
    if y.dtype.kind == "i" and xp is np and (y < 0).any():
        raise errors.InvalidArgumentError(
            f"Integers to negative integer powers are not allowed [Op:Pow] (input shapes: "
            f"{list(x.shape)}, {list(y.shape)})"
        )
    return xp.power(x, y)


@pow_op.writes_into(0, 1)
def _(xp, out, x, y):
    xp.power(x, y, out=out)


@pow_op.gradient
def _(g, z, a, b):
    a, b, z = conj(a), conj(b), conj(z)
    zero = zeros_like_op(a)
    if a.dtype.is_complex:
        defined = compare.not_equal(a, zero)
    else:
        defined = compare.greater(a, zero)
    from shardtape.ops.transcendental import log

    log_a = select(defined, log(select(defined, a, zero + 1)), zero)
    return g * b * pow_op(a, b - 1), g * z * log_a


# ---- the larger, the smaller ------------------------------------------------------------------
@ufunc_op("Maximum", "maximum", 2, dtypes=dt.REAL, samples=_APART)
def maximum(x, y):
    """The larger of x and y."""


@maximum.gradient
def _(g, _y, a, b):
    zero, first = zeros_like_op(g), compare.greater_equal(a, b)
    return select(first, g, zero), select(first, zero, g)


@ufunc_op("Minimum", "minimum", 2, dtypes=dt.REAL, samples=_APART)
def minimum(x, y):
    """The smaller of x and y."""


@minimum.gradient
def _(g, _y, a, b):
    zero, first = zeros_like_op(g), compare.less_equal(a, b)
    return select(first, g, zero), select(first, zero, g)


# ---- products with logarithms -----------------------------------------------------------------
@op("Xlogy", dtypes=_SMOOTH, broadcasts=True, shape=broadcast, samples=_POSITIVE)
def xlogy(xp, x, y):
    """x * log(y), and 0 where x is 0."""
    return xp.where(x == 0, x.dtype.type(0), x * xp.log(y))


@xlogy.gradient
def _(g, _y, a, b):
    there = cast(compare.not_equal(a, zeros_like_op(a)), a.dtype)
    return g * xlogy(there, b), g * xdivy(a, b)


@op("Xlog1py", dtypes=_SMOOTH, broadcasts=True, shape=broadcast, samples=_POSITIVE)
def xlog1py(xp, x, y):
    """x * log(1 + y), and 0 where x is 0."""
    return xp.where(x == 0, x.dtype.type(0), x * xp.log1p(y))


@xlog1py.gradient
def _(g, _y, a, b):
    there = cast(compare.not_equal(a, zeros_like_op(a)), a.dtype)
    return g * xlog1py(there, b), g * xdivy(a, b + 1)


@op("Xdivy", dtypes=_SMOOTH, broadcasts=True, shape=broadcast, samples=_DIVISORS)
def xdivy(xp, x, y):
    """x / y, and 0 where x is 0."""
    return xp.where(x == 0, x.dtype.type(0), x / y)


@xdivy.gradient
def _(g, _y, a, b):
    there = cast(compare.not_equal(a, zeros_like_op(a)), a.dtype)
    return g * xdivy(there, b), g * xdivy(negative(a), b * b)


@ufunc_op("Atan2", "arctan2", 2, dtypes=dt.FLOATING, samples=_DIVISORS)
def atan2_op(x, y):
    """The angle of the point (y, x), in (-pi, pi]."""


@atan2_op.gradient
def _(g, _z, y, x):
    inverse = g / (x * x + y * y)
    return x * inverse, negative(y * inverse)


@ufunc_op("NextAfter", "nextafter", 2, dtypes=frozenset((dt.float32, dt.float64)),
          samples=_PAIRS)  # fmt: skip
def nextafter_op(x, y):
    """The representable number after x in the direction of y."""


@nextafter_op.gradient
def _(g, _z, _x, _y):
    return g, zeros_like_op(g)


# ---- sums of many -----------------------------------------------------------------------------
@op("AddN", dtypes=dt.NUMERIC, shape=lambda *inputs: merged(inputs),
    samples=samples.normal([(2, 3)], [(2, 3), (2, 3), (2, 3)]))  # fmt: skip
def add_n_op(xp, *inputs):
    """The sum of tensors of one shape."""
    if len(inputs) == 1:
        return inputs[0].copy()
    if any(x.shape != inputs[0].shape for x in inputs):
        raise ValueError("all inputs of a sum need one shape")
    total = xp.add(inputs[0], inputs[1])
    for x in inputs[2:]:
        total = xp.add(total, x, out=total) if total.ndim else total + x
    return total


@add_n_op.writes_into(0)
def _(xp, out, *inputs):
    if len(inputs) == 1:
        xp.copyto(out, inputs[0])
        return
    xp.add(inputs[0], inputs[1], out=out)
    for x in inputs[2:]:
        xp.add(out, x, out=out)


@add_n_op.gradient
def _(g, _y, *inputs):
    return [g] * len(inputs)


def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of a list of tensors of one shape.

    Raises TypeError for something that is no list, ValueError for an empty one.
    """
    if isinstance(inputs, (int, float, complex, str, bytes)) or inputs is None:
        raise TypeError(f"add_n takes a list of tensors, got {inputs!r}")
    if not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    if not inputs:
        raise ValueError("Inputs must be an iterable of at least one Tensor with the same dtype.")
    return add_n_op(*inputs, name=name)


# ---- public functions with TensorFlow's rules for integers ------------------------------------
def truediv(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python 3 divides: small integers in float32, int32 and larger in float64.

    Raises TypeError for different dtypes.
    """
    if type(x) is EagerTensor and x._array.dtype.kind == "f":
        return real_div(x, y, name=name)
    if type(x) in (float, int) and type(y) is SymbolicTensor and y.dtype.is_floating:
        return real_div(x, y, name=name)  # the node names the constant
    if type(y) in (float, int) and type(x) is SymbolicTensor and x.dtype.is_floating:
        return real_div(x, y, name=name)
    x, y = matching(x, y)
    if x.dtype.is_floating or x.dtype.is_complex:
        return real_div(x, y, name=name)
    if x.dtype is not y.dtype:
        raise TypeError(f"`x` and `y` must have the same dtype, got {x.dtype!r} != {y.dtype!r}.")
    to = dt.float32 if x.dtype.size <= 2 else dt.float64
    return real_div(cast_op(x, SrcT=x.dtype, DstT=to), cast_op(y, SrcT=y.dtype, DstT=to), name=name)


def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python 3 divides; see `truediv`."""
    return truediv(x, y, name)


def divide_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, and 0 where y is 0; integers as `truediv` divides them.

    Raises TypeError for truth values, strings and different dtypes.
    """
    x, y = matching(x, y)
    if x.dtype.is_floating or x.dtype.is_complex:
        return div_no_nan(x, y, name=name)
    if x.dtype is not y.dtype:
        raise TypeError(f"`x` and `y` must have the same dtype, got {x.dtype!r} != {y.dtype!r}.")
    if not x.dtype.is_integer:
        raise TypeError(f"Invalid dtype {x.dtype!r} in divide_no_nan.")
    to = dt.float32 if x.dtype.size <= 2 else dt.float64
    return div_no_nan(
        cast_op(x, SrcT=x.dtype, DstT=to), cast_op(y, SrcT=y.dtype, DstT=to), name=name
    )


def div(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python 2 divides: integers are floored."""
    x, y = matching(x, y)
    if x.dtype.is_floating or x.dtype.is_complex:
        return real_div(x, y, name=name)
    return floor_div(x, y, name=name)


def floordiv(x: Any, y: Any, name: str | None = None) -> Any:
    """x // y, rounded towards minus infinity."""
    return floor_div(x, y, name=name)


def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """x to the power y."""
    return pow_op(x, y, name=name)


def atan2(y: Any, x: Any, name: str | None = None) -> Any:
    """The angle of the point (x, y), in (-pi, pi]."""
    return atan2_op(y, x, name)


def nextafter(x1: Any, x2: Any, name: str | None = None) -> Any:
    """The representable number after x1 in the direction of x2."""
    return nextafter_op(x1, x2, name)


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A tensor times a scalar. Raises ValueError where `scalar` is none."""
    scalar, x = matching(scalar, x)
    if scalar.shape.rank not in (0, None):
        raise ValueError(f"The input scalar must be a 0-D value. Received shape {scalar.shape}.")
    return multiply(scalar, x, name=name)


def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: Any = None) -> Any:
    """The sum of a list of tensors of one shape; see `add_n`."""
    return add_n(inputs, name)


@takes_composites
def reciprocal_no_nan(x: Any, name: str | None = None) -> Any:
    """1 / x, and 0 where x is 0."""
    from shardtape.ops.convert import convert_to_tensor

    x = convert_to_tensor(x)
    return div_no_nan(zeros_like(x) + 1, x, name=name)
