"""NumPy's elementwise functions on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import bitwise
from shardtape import dtypes as dt
from shardtape import math as m
from shardtape.experimental.numpy import promotion
from shardtape.experimental.numpy.types import array, inexact, result_type
from shardtape.experimental.numpy.types import numpy_promoted as promoted
from shardtape.graph.loops import while_loop
from shardtape.ops import array as arrays
from shardtape.ops.cast import cast

_Function = Callable[..., Any]


def _named(function: _Function, name: str) -> _Function:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As `numpy.{name}`."
    return function


def _float_unary(name: str, function: _Function) -> _Function:
    return _named(lambda x: function(inexact(x)), name)


def _unary(name: str, function: _Function) -> _Function:
    return _named(lambda x: function(array(x)), name)


def _binary(name: str, function: _Function) -> _Function:
    return _named(lambda x1, x2: function(*promoted(x1, x2)), name)


def _float_binary(name: str, function: _Function) -> _Function:
    def apply(x1: Any, x2: Any) -> Any:
        a, b = promoted(x1, x2)
        return function(inexact(a, dt.float64), inexact(b, dt.float64))

    return _named(apply, name)


def _const(value: float, like: Any) -> Any:
    return cast(array(value), like.dtype)


exp, expm1 = _float_unary("exp", m.exp), _float_unary("expm1", m.expm1)
log, log1p = _float_unary("log", m.log), _float_unary("log1p", m.log1p)
log2 = _float_unary("log2", lambda x: m.log(x) / _const(np.log(2.0), x))
log10 = _float_unary("log10", lambda x: m.log(x) / _const(np.log(10.0), x))
exp2 = _float_unary("exp2", lambda x: m.exp(x * _const(np.log(2.0), x)))
sqrt, sin, cos, tan = [
    _float_unary(n, getattr(m, n)) for n in ("sqrt", "sin", "cos", "tan")
]  # fmt: skip
sinh, cosh, tanh = [_float_unary(n, getattr(m, n)) for n in ("sinh", "cosh", "tanh")]
arcsin, arccos, arctan = [
    _float_unary(f"arc{n[1:]}", getattr(m, n)) for n in ("asin", "acos", "atan")
]
arcsinh, arccosh, arctanh = [
    _float_unary(f"arc{n[1:]}", getattr(m, n)) for n in ("asinh", "acosh", "atanh")
]
cbrt = _float_unary("cbrt", lambda x: m.sign(x) * m.pow(m.abs(x), _const(1 / 3, x)))
deg2rad = _float_unary("deg2rad", lambda x: x * _const(np.pi / 180, x))
rad2deg = _float_unary("rad2deg", lambda x: x * _const(180 / np.pi, x))
sinc = _float_unary("sinc", lambda x: _sinc(x))
floor, ceil = _float_unary("floor", m.floor), _float_unary("ceil", m.ceil)
fix = _float_unary("fix", lambda x: m.sign(x) * m.floor(m.abs(x)))
isnan, isinf, isfinite = [
    _float_unary(n, getattr(m, f)) for n, f in
    (("isnan", "is_nan"), ("isinf", "is_inf"), ("isfinite", "is_finite"))
]  # fmt: skip
isposinf = _float_unary("isposinf", lambda x: m.equal(x, _const(np.inf, x)))
isneginf = _float_unary("isneginf", lambda x: m.equal(x, _const(-np.inf, x)))
reciprocal = _unary("reciprocal", lambda x: m.reciprocal(x) if not x.dtype.is_integer else 1 // x)
abs = absolute = _unary("absolute", m.abs)
fabs = _unary("fabs", m.abs)
negative, square = [_unary(n, getattr(m, n)) for n in ("negative", "square")]


def sign(x: Any, out: Any = None, where: Any = None, **kwargs: Any) -> Any:
    """As `numpy.sign`."""
    if out is not None or where is not None or kwargs:
        raise ValueError("sign takes x alone: tensors never change, and every element counts")
    a = array(x)
    return cast(m.sign(m.real(a)), a.dtype) if a.dtype.is_complex else m.sign(a)


positive = _unary("positive", arrays.identity)
signbit = _unary("signbit", lambda x: m.less(x, arrays.zeros_like(x)))
conj = conjugate = _unary("conjugate", m.conj)


def real(val: Any) -> Any:
    """As `numpy.real`."""
    return m.real(array(val))


def imag(val: Any) -> Any:
    """As `numpy.imag`."""
    return m.imag(array(val))


iscomplex = _unary("iscomplex", lambda x: m.not_equal(m.imag(x), arrays.zeros_like(m.imag(x))))
isreal = _unary("isreal", lambda x: m.equal(m.imag(x), arrays.zeros_like(m.imag(x))))


def logical_not(x: Any) -> Any:
    """As `numpy.logical_not`."""
    return m.logical_not(cast(array(x), dt.bool))


def _logic(name: str, function: _Function) -> _Function:
    return _named(lambda x1, x2: function(cast(array(x1), dt.bool), cast(array(x2), dt.bool)), name)


logical_and = _logic("logical_and", m.logical_and)
logical_or = _logic("logical_or", m.logical_or)
logical_xor = _logic("logical_xor", m.logical_xor)

add, subtract, multiply = [
    _binary(n, getattr(m, n)) for n in ("add", "subtract", "multiply")
]  # fmt: skip
maximum = _binary("maximum", m.maximum)
minimum = _binary("minimum", m.minimum)
floor_divide = _binary("floor_divide", m.floordiv)
mod = remainder = _binary("remainder", m.floormod)
power = _binary("power", m.pow)
equal, not_equal, less, less_equal, greater, greater_equal = [
    _binary(n, getattr(m, n))
    for n in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
]
divide = true_divide = _float_binary("true_divide", m.truediv)
float_power = _binary("float_power", m.pow)
arctan2 = _float_binary("arctan2", m.atan2)
hypot = _float_binary("hypot", lambda x, y: m.sqrt(m.square(x) + m.square(y)))
logaddexp = _float_binary("logaddexp", lambda x, y: m.maximum(x, y) + m.log1p(m.exp(-m.abs(x - y))))
logaddexp2 = _float_binary(
    "logaddexp2",
    lambda x, y: m.maximum(x, y) + log2(1 + exp2(-m.abs(x - y))),
)
nextafter = _float_binary("nextafter", m.nextafter)
heaviside = _float_binary(
    "heaviside",
    lambda x, h: arrays.where(
        m.equal(x, arrays.zeros_like(x)), h + arrays.zeros_like(x),
        cast(m.greater(x, arrays.zeros_like(x)), x.dtype),
    ),
)  # fmt: skip
bitwise_and = _binary("bitwise_and", bitwise.bitwise_and)
bitwise_or = _binary("bitwise_or", bitwise.bitwise_or)
bitwise_xor = _binary("bitwise_xor", bitwise.bitwise_xor)
bitwise_not = _unary("bitwise_not", bitwise.invert)


def _sinc(x: Any) -> Any:
    turn = x * _const(np.pi, x)
    none = m.equal(turn, arrays.zeros_like(turn))
    safe = arrays.where(none, arrays.ones_like(turn), turn)
    return arrays.where(none, arrays.ones_like(turn), m.sin(safe) / safe)


def around(a: Any, decimals: int = 0) -> Any:
    """As `numpy.around`."""
    x = array(a)
    if x.dtype.is_integer and decimals >= 0:
        return x
    wide = inexact(x)
    factor = _const(10.0**decimals, wide)
    return cast(m.round(wide * factor) / factor, x.dtype)


round = around


def angle(z: Any, deg: bool = False) -> Any:
    """As `numpy.angle`."""
    x = m.angle(inexact(z))
    return x * _const(180 / np.pi, x) if deg else x


def clip(a: Any, a_min: Any, a_max: Any) -> Any:
    """As `numpy.clip`."""
    x = array(a)
    if promotion.is_on():
        kind = result_type(a, a_min, a_max)
        x = cast(x, kind)
        a_min, a_max = [None if v is None else cast(array(v), kind) for v in (a_min, a_max)]
    if a_min is not None:
        x = maximum(x, a_min)
    return x if a_max is None else minimum(x, a_max)


def isclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """As `numpy.isclose`."""
    x, y = promoted(a, b)
    if not (x.dtype.is_floating or x.dtype.is_complex):
        return m.equal(x, y)
    near = m.abs(x - y) <= _const(atol, m.abs(y)) + _const(rtol, m.abs(y)) * m.abs(y)
    near = m.logical_or(m.logical_and(near, m.is_finite(m.abs(y))), m.equal(x, y))
    return m.logical_or(near, m.logical_and(m.is_nan(x), m.is_nan(y))) if equal_nan else near


def polyval(p: Any, x: Any) -> Any:
    """As `numpy.polyval`."""
    coefficients, at = promoted(p, x)
    total = arrays.zeros_like(at)
    for c in arrays.unstack(coefficients):
        total = total * at + c
    return total


def divmod(x1: Any, x2: Any) -> Any:
    """As `numpy.divmod`: (x1 // x2, x1 % x2)."""
    return floor_divide(x1, x2), mod(x1, x2)


def gcd(x1: Any, x2: Any) -> Any:
    """As `numpy.gcd`, by Euclid's algorithm on whole arrays.

    Raises ValueError for floats.
    """
    a, b = promoted(x1, x2)
    if not a.dtype.is_integer:
        raise ValueError(f"Arguments to gcd must be integers, got {a.dtype.name}")
    # one shape for all turns of the loop
    a, b = m.abs(a + arrays.zeros_like(b)), m.abs(b + arrays.zeros_like(a))

    def turn(p: Any, q: Any) -> Any:
        going = m.not_equal(q, 0)
        rest = m.floormod(p, arrays.where(going, q, arrays.ones_like(q)))
        return arrays.where(going, q, p), arrays.where(going, rest, q)

    return while_loop(lambda p, q: m.reduce_any(m.not_equal(q, 0)), turn, (a, b))[0]


def lcm(x1: Any, x2: Any) -> Any:
    """As `numpy.lcm`."""
    a, b = promoted(x1, x2)
    common = gcd(a, b)
    safe = arrays.where(m.equal(common, 0), arrays.ones_like(common), common)
    return m.abs(a) // safe * m.abs(b)
