"""Roots, exponentials, logarithms, trigonometric and hyperbolic functions; elementwise."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.arithmetic import multiply, negative
from shardtape.ops.complex_numbers import conj
from shardtape.ops.registry import op, same_as, ufunc_op

_SMOOTH = dt.FLOATING | dt.COMPLEX
_ANY = samples.normal((2, 3), ())
_POSITIVE = samples.uniform(0.3, 2.5, (2, 3), ())
_NOT_ZERO = samples.away_from_zero((2, 3), ())
_UNIT = samples.uniform(-0.8, 0.8, (2, 3), ())
_PAIR = samples.uniform(0.3, 1.5, [(2, 3), (2, 3)])


def _unary(type_name: str, function: str, cases: Any = _ANY, dtypes: Any = _SMOOTH) -> Any:
    return ufunc_op(type_name, function, 1, dtypes=dtypes, samples=cases)


def _slope(type_name: str, cases: Any = _PAIR) -> Any:
    """An op that TensorFlow has for the gradient of an op: `f(y, dy)`."""
    return op(type_name, dtypes=_SMOOTH, shape=same_as(0), samples=cases)


# ---- powers and roots -------------------------------------------------------------------------
@ufunc_op("Square", "square", 1, dtypes=_SMOOTH | dt.INTEGER, samples=_ANY)
def square(x):
    """x * x."""


@square.gradient
def _(g, _y, x):
    return multiply(g, multiply(conj(x), 2))


@_unary("Sqrt", "sqrt", _POSITIVE)
def sqrt(x):
    """The square root."""


@sqrt.gradient
def _(g, y, _x):
    return sqrt_grad(y, g)


@_slope("SqrtGrad")
def sqrt_grad(xp, y, dy):
    """dy * 0.5 / conj(y): the gradient of y = sqrt(x); 0 where dy is 0, also at y = 0."""
    slope = 0.5 * dy / (xp.conj(y) if y.dtype.kind == "c" else y)
    return xp.where(dy == 0, dy, slope)


@sqrt_grad.writes_into(1)
def _(xp, out, y, dy):
    none = dy == 0
    xp.multiply(dy, 0.5, out=out)
    xp.true_divide(out, xp.conj(y) if y.dtype.kind == "c" else y, out=out)
    xp.copyto(out, out.dtype.type(0), where=none)


@sqrt_grad.gradient
def _(g, z, y, dy):
    a = g / y
    return negative(conj(a)) * z, 0.5 * a


@op("Rsqrt", dtypes=_SMOOTH, shape=same_as(0), samples=_POSITIVE)
def rsqrt(xp, x):
    """1 / sqrt(x)."""
    return 1 / xp.sqrt(x)


@rsqrt.writes_into(0)
def _(xp, out, x):
    xp.sqrt(x, out=out)
    xp.true_divide(1, out, out=out)


@rsqrt.gradient
def _(g, y, _x):
    return rsqrt_grad(y, g)


@_slope("RsqrtGrad")
def rsqrt_grad(xp, y, dy):
    """dy * -0.5 * conj(y)^3: the gradient of y = 1 / sqrt(x); 0 where dy is 0."""
    y = xp.conj(y) if y.dtype.kind == "c" else y
    return xp.where(dy == 0, dy, dy * (y * -0.5) * (y * y))


@rsqrt_grad.writes_into(1)
def _(xp, out, y, dy):
    none = dy == 0
    y = xp.conj(y) if y.dtype.kind == "c" else y
    xp.multiply(dy, y * -0.5, out=out)
    xp.multiply(out, y, out=out)
    xp.multiply(out, y, out=out)
    xp.copyto(out, out.dtype.type(0), where=none)


@rsqrt_grad.gradient
def _(g, _z, y, dy):
    a, cg = conj(y), conj(g)
    return -1.5 * cg * dy * square(a), rsqrt_grad(a, g)


@op("Reciprocal", dtypes=_SMOOTH, shape=same_as(0), samples=_NOT_ZERO)
def reciprocal(xp, x):
    """1 / x."""
    return 1 / x


@reciprocal.writes_into(0)
def _(xp, out, x):
    xp.true_divide(1, x, out=out)


@reciprocal.gradient
def _(g, y, _x):
    return reciprocal_grad(y, g)


@_slope("ReciprocalGrad")
def reciprocal_grad(xp, y, dy):
    """-dy * conj(y)^2: the gradient of y = 1 / x; 0 where dy is 0."""
    y = xp.conj(y) if y.dtype.kind == "c" else y
    return xp.where(dy == 0, dy, -dy * y * y)


@reciprocal_grad.writes_into(1)
def _(xp, out, y, dy):
    none = dy == 0
    y = xp.conj(y) if y.dtype.kind == "c" else y
    xp.multiply(dy, y, out=out)
    xp.multiply(out, y, out=out)
    xp.negative(out, out=out)
    xp.copyto(out, out.dtype.type(0), where=none)


@reciprocal_grad.gradient
def _(g, _z, y, dy):
    a, cg = conj(y), conj(g)
    return cg * -2.0 * dy * a, reciprocal_grad(a, g)


# ---- exponentials and logarithms --------------------------------------------------------------
@_unary("Exp", "exp")
def exp(x):
    """e to the power x."""


@exp.gradient
def _(g, y, _x):
    return multiply(g, conj(y))


@_unary("Expm1", "expm1")
def expm1(x):
    """exp(x) - 1, exact near 0."""


@expm1.gradient
def _(g, _y, x):
    return g * exp(conj(x))


@_unary("Log", "log", _POSITIVE)
def log(x):
    """The natural logarithm."""


@log.gradient
def _(g, _y, x):
    return multiply(g, reciprocal(conj(x)))


@_unary("Log1p", "log1p", _POSITIVE)
def log1p(x):
    """log(1 + x), exact near 0."""


@log1p.gradient
def _(g, _y, x):
    return g * reciprocal(1 + conj(x))


@op("Sigmoid", dtypes=_SMOOTH, shape=same_as(0), samples=_ANY)
def sigmoid(xp, x):
    """Logistic function 1 / (1 + exp(-x)); an overflow of exp gives 0, as it should."""
    return 1 / (1 + xp.exp(-x))


@sigmoid.writes_into(0)
def _(xp, out, x):
    xp.negative(x, out=out)
    xp.exp(out, out=out)
    xp.add(out, 1, out=out)
    xp.true_divide(1, out, out=out)


@sigmoid.gradient
def _(g, y, _x):
    return sigmoid_grad(conj(y), g)


@_slope("SigmoidGrad")
def sigmoid_grad(xp, y, dy):
    """dy * y * (1 - y): the gradient of y = sigmoid(x)."""
    return dy * y * (1 - y)


@sigmoid_grad.writes_into()
def _(xp, out, y, dy):
    xp.subtract(1, y, out=out)
    xp.multiply(out, y, out=out)
    xp.multiply(out, dy, out=out)


@sigmoid_grad.gradient
def _(g, _z, y, dy):
    a, b = conj(y), conj(dy)
    gb = g * b
    return gb - 2.0 * gb * a, sigmoid_grad(a, g)


# ---- hyperbolic functions ---------------------------------------------------------------------
@_unary("Tanh", "tanh")
def tanh(x):
    """Hyperbolic tangent."""


@tanh.gradient
def _(g, y, _x):
    return tanh_grad(conj(y), g)


@_slope("TanhGrad")
def tanh_grad(xp, y, dy):
    """dy * (1 - y^2): the gradient of y = tanh(x)."""
    return dy * (1 - y * y)


@tanh_grad.writes_into(0)
def _(xp, out, y, dy):
    xp.multiply(y, y, out=out)
    xp.subtract(1, out, out=out)
    xp.multiply(out, dy, out=out)


@tanh_grad.gradient
def _(g, _z, y, dy):
    a = conj(y)
    return g * -2.0 * conj(dy) * a, tanh_grad(a, g)


@_unary("Sinh", "sinh")
def sinh(x):
    """Hyperbolic sine."""


@sinh.gradient
def _(g, _y, x):
    return g * cosh(conj(x))


@_unary("Cosh", "cosh")
def cosh(x):
    """Hyperbolic cosine."""


@cosh.gradient
def _(g, _y, x):
    return g * sinh(conj(x))


@_unary("Asinh", "arcsinh")
def asinh(x):
    """Inverse hyperbolic sine."""


@asinh.gradient
def _(g, y, _x):
    return g / cosh(conj(y))


@_unary("Acosh", "arccosh", samples.uniform(1.2, 3, (2, 3), ()))
def acosh(x):
    """Inverse hyperbolic cosine, of numbers from 1."""


@acosh.gradient
def _(g, y, _x):
    return g / sinh(conj(y))


@_unary("Atanh", "arctanh", _UNIT)
def atanh(x):
    """Inverse hyperbolic tangent, of numbers in (-1, 1)."""


@atanh.gradient
def _(g, _y, x):
    return g * reciprocal(1 - square(conj(x)))


# ---- trigonometric functions ------------------------------------------------------------------
@_unary("Sin", "sin")
def sin(x):
    """Sine, of radians."""


@sin.gradient
def _(g, _y, x):
    return g * cos(conj(x))


@_unary("Cos", "cos")
def cos(x):
    """Cosine, of radians."""


@cos.gradient
def _(g, _y, x):
    return negative(g * sin(conj(x)))


@_unary("Tan", "tan", _UNIT)
def tan(x):
    """Tangent, of radians."""


@tan.gradient
def _(g, _y, x):
    return g * square(reciprocal(cos(conj(x))))


@_unary("Asin", "arcsin", _UNIT)
def asin(x):
    """Inverse sine, in radians."""


@asin.gradient
def _(g, _y, x):
    return g * reciprocal(sqrt(1 - square(conj(x))))


@_unary("Acos", "arccos", _UNIT)
def acos(x):
    """Inverse cosine, in radians."""


@acos.gradient
def _(g, _y, x):
    return negative(g * reciprocal(sqrt(1 - square(conj(x)))))


@_unary("Atan", "arctan")
def atan(x):
    """Inverse tangent, in radians."""


@atan.gradient
def _(g, _y, x):
    return g * reciprocal(1 + square(conj(x)))
